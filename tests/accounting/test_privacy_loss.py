"""Rounding goes against whoever asks; epsilon is never understated; rho_for is the largest that fits."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanroom.accounting.account import ROOM, Charge, combined
from cleanroom.accounting.privacy_loss import (
    MAX_STEPS,
    STEPS_PER_RHO,
    Budget,
    InvalidPrivacyParameter,
    PrivacyLossOverflow,
    PureEpsilon,
    Rho,
    Window,
    epsilon_of,
    rho_for,
    shown_epsilon,
)
from cleanroom.errors import InvariantBroken

ONE_STEP = Fraction(1, STEPS_PER_RHO)
DELTA = Fraction(1, 10**7)

losses = st.fractions(min_value=0, max_value=10**6, max_denominator=10**30)
rhos = st.integers(min_value=1, max_value=MAX_STEPS).map(Rho) | st.integers(min_value=1, max_value=10**13).map(Rho)
deltas = st.integers(min_value=1, max_value=60).map(lambda k: Fraction(1, 10**k)) | st.fractions(
    min_value=Fraction(1, 10**9), max_value=Fraction(999, 1000)
)
epsilons = st.decimals(min_value="0.000001", max_value="1000000", places=6) | st.decimals("0.01", "10", places=3)


@settings(deadline=None)
@given(losses)
def test_charges_round_up_and_budgets_down_by_less_than_a_step(loss: Fraction) -> None:
    charge, budget = Rho.at_least(loss).as_fraction(), Rho.at_most(loss).as_fraction()
    assert budget <= loss <= charge
    assert charge - loss < ONE_STEP
    assert loss - budget < ONE_STEP


@settings(deadline=None)
@given(st.lists(losses, max_size=20))
def test_what_is_charged_in_parts_is_at_least_what_is_charged_at_once(parts: list[Fraction]) -> None:
    charged = Rho.total(Rho.at_least(part) for part in parts)
    assert charged.as_fraction() >= sum(parts)
    assert charged >= Rho.at_least(Fraction(sum(parts)))


@settings(deadline=None)
@given(st.integers(0, MAX_STEPS // 2), st.integers(0, MAX_STEPS // 2))
def test_rho_adds_orders_and_subtracts_exactly(a: int, b: int) -> None:
    assert Rho(a) + Rho(b) == Rho(a + b)
    assert (Rho(a) < Rho(b)) == (a < b)
    assert Rho(a).left_after(Rho(b)).pico == max(0, a - b)
    assert Fraction(str(Rho(a))) == Rho(a).as_fraction()


@pytest.mark.parametrize("steps", [-1, 1.0, True, "1", None, Fraction(1)])
def test_rho_is_a_whole_number_of_steps(steps: object) -> None:
    with pytest.raises(InvalidPrivacyParameter):
        Rho(steps)  # type: ignore[arg-type]


def test_rho_beyond_the_ledger_is_refused() -> None:
    assert Rho(MAX_STEPS).pico == 2**63 - 1
    with pytest.raises(PrivacyLossOverflow):
        Rho(MAX_STEPS) + Rho(1)
    with pytest.raises(PrivacyLossOverflow):
        Rho.at_least(Fraction(10**7))


@pytest.mark.parametrize(("rho", "epsilon"), [("0.02", 0.995081), ("0.05", 1.619409), ("1", 8.395143), ("0", 0.0)])
def test_known_epsilons(rho: str, epsilon: float) -> None:
    assert epsilon_of(Rho.at_most(Fraction(rho)), DELTA) == pytest.approx(epsilon, abs=1e-6)


def test_150_tables_at_epsilon_1_are_epsilon_16_for_a_person_in_all() -> None:
    """S1: why the room has an account of its own."""
    one = rho_for(Decimal(1), DELTA)
    assert epsilon_of(Rho(one.pico * 150), DELTA) == pytest.approx(16, abs=0.2)


def delta_at(epsilon: float, rho: float, order: float) -> float:
    """Canonne, Kamath and Steinke 2020, section 2.3, as printed; the log of delta for one order."""
    return (order - 1) * (order * rho - epsilon) + order * math.log1p(-1 / order) - math.log(order - 1)


def smallest_delta(epsilon: float, rho: float) -> float:
    low, high = -20.0, 28.0
    for _ in range(200):
        left, right = low + (high - low) / 3, high - (high - low) / 3
        if delta_at(epsilon, rho, 1 + math.exp(left)) < delta_at(epsilon, rho, 1 + math.exp(right)):
            high = right
        else:
            low = left
    return delta_at(epsilon, rho, 1 + math.exp((low + high) / 2))


@settings(max_examples=60, deadline=None)
@given(rhos, deltas)
def test_epsilon_is_the_proposition_s_and_not_more_than_its_float_error_above(rho: Rho, delta: Fraction) -> None:
    epsilon = epsilon_of(rho, delta)
    exact = float(rho.as_fraction())
    slack = 1e-9 + 1e-12 * exact
    assert smallest_delta(epsilon, exact) <= math.log(delta) + slack
    if epsilon > 1e-3:
        below = epsilon * (1 - 1e-6)
        assert smallest_delta(below, exact) > math.log(delta)


@pytest.mark.parametrize("rho", ["0.001", "0.02", "1", "5000", "16000", "17000", "1000000", "9000000"])
@pytest.mark.parametrize("delta", ["1e-100", "5e-8", "1e-3", "0.5", "0.99"])
def test_epsilon_is_the_printed_formula_s_least_to_nine_digits(rho: str, delta: str) -> None:
    """At small losses OpenDP answers, at large ones and at large deltas its search is loose and ours answers."""
    low, high = -20.0, 28.0

    def at_order(log_order: float) -> float:
        t = math.exp(log_order)
        return (1 + t) * float(rho) + (-math.log(float(delta)) - math.log1p(t) + t * math.log(t / (1 + t))) / t

    for _ in range(200):
        left, right = low + (high - low) / 3, high - (high - low) / 3
        low, high = (low, right) if at_order(left) < at_order(right) else (left, high)
    least = max(0.0, at_order((low + high) / 2))
    epsilon = epsilon_of(Rho.at_least(Fraction(rho)), Fraction(delta))
    assert least * (1 - 1e-12) <= epsilon <= least * (1 + 1e-9)


@settings(max_examples=60, deadline=None)
@given(st.integers(10**6, 50 * 10**12).map(Rho), st.integers(2, 12).map(lambda k: Fraction(1, 10**k)))
def test_epsilon_covers_the_gaussian_mechanism(rho: Rho, delta: Fraction) -> None:
    """A second route: the exact trade-off of one mechanism that costs rho (Balle and Wang 2018, Theorem 8)."""
    mu, epsilon = math.sqrt(2 * float(rho.as_fraction())), epsilon_of(rho, delta)

    def phi(x: float) -> float:
        return math.erfc(-x / math.sqrt(2)) / 2

    exact = phi(mu / 2 - epsilon / mu) - math.exp(epsilon) * phi(-mu / 2 - epsilon / mu)
    assert exact <= float(delta)


@settings(max_examples=40, deadline=None)
@given(rhos, rhos, deltas)
def test_epsilon_grows_with_rho_and_with_a_smaller_delta(a: Rho, b: Rho, delta: Fraction) -> None:
    low, high = sorted((a, b))
    ulps = 1 + 1e-9  # two routes and a search meet within this
    assert epsilon_of(low, delta) <= epsilon_of(high, delta) * ulps
    assert epsilon_of(low, delta) <= epsilon_of(low, delta / 10) * ulps


@settings(max_examples=60, deadline=None)
@given(epsilons, deltas)
def test_rho_for_fits_and_its_next_step_does_not(epsilon: Decimal, delta: Fraction) -> None:
    rho = rho_for(epsilon, delta)
    assert Fraction(epsilon_of(rho, delta)) <= Fraction(epsilon)
    assert Fraction(epsilon_of(Rho(rho.pico + 1), delta)) > Fraction(epsilon)


@pytest.mark.parametrize("rho", [1, 10**9, 16384 * 10**12, 16384 * 10**12 + 1, 10**18, MAX_STEPS])
@pytest.mark.parametrize("delta", [Fraction(1, 10**100), DELTA, Fraction(1, 2), 1 - Fraction(1, 10**40)])
def test_epsilon_is_finite_wherever_it_may_be_asked(rho: int, delta: Fraction) -> None:
    assert 0 <= epsilon_of(Rho(rho), delta) < 1e8


INVALID_NUMBERS = [
    Decimal("NaN"),
    Decimal("sNaN"),
    Decimal("Infinity"),
    Decimal("-Infinity"),
    Decimal(0),
    Decimal(-1),
    Decimal("1e999999"),
    Decimal("1e-999999"),
    Decimal("1." + "1" * 2000),
    10**400,
    1,
    1.0,
    math.nan,
    True,
    "1",
    None,
]


@pytest.mark.parametrize("epsilon", INVALID_NUMBERS, ids=lambda value: repr(value)[:20])
def test_an_epsilon_without_meaning_is_refused_in_both_languages(epsilon: object) -> None:
    with pytest.raises(InvalidPrivacyParameter) as caught:
        rho_for(epsilon, DELTA)  # type: ignore[arg-type]
    assert isinstance(caught.value, ValueError)
    assert caught.value.message.fr
    assert caught.value.message.en
    with pytest.raises(InvalidPrivacyParameter):
        Budget(epsilon, DELTA, Window.NEVER)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "delta",
    [Fraction(0), Fraction(-1, 2), Fraction(1), Fraction(3, 2), Fraction(1, 10**101), 10**400, 0, 1e-7, True, "1e-7"],
    ids=lambda value: repr(value)[:20],
)
def test_a_delta_without_meaning_is_refused(delta: object) -> None:
    with pytest.raises(InvalidPrivacyParameter):
        epsilon_of(Rho(1), delta)  # type: ignore[arg-type]
    with pytest.raises(InvalidPrivacyParameter):
        rho_for(Decimal(1), delta)  # type: ignore[arg-type]
    if delta != Fraction(0) or type(delta) is not Fraction:
        with pytest.raises(InvalidPrivacyParameter):
            Budget(Decimal(1), delta, Window.NEVER)  # type: ignore[arg-type]


@given(st.decimals("1e-6", "100", places=9).filter(bool))
def test_a_budget_without_delta_counts_epsilons_themselves(epsilon: Decimal) -> None:
    budget = Budget(epsilon, Fraction(0), Window.NEVER)
    assert budget.pure
    assert budget.rho_max == PureEpsilon.at_most(Fraction(epsilon))
    assert budget.rho_max != Rho(budget.rho_max.pico)
    assert (budget.delta_conversion, budget.delta_threshold) == (0, 0)
    assert Fraction(shown_epsilon(budget.rho_max, Fraction(0))) >= budget.rho_max.as_fraction()


@given(st.integers(1, 10**14))
def test_an_epsilon_implies_half_its_square_and_no_step_less(pico: int) -> None:
    exact = Fraction(pico, 10**12) ** 2 / 2
    implied = PureEpsilon(pico).rho
    assert isinstance(implied, Rho)
    assert 0 <= implied.as_fraction() - exact < Fraction(1, 10**12)


def test_losses_of_two_kinds_neither_compare_nor_add() -> None:
    assert Rho(5) != PureEpsilon(5)
    with pytest.raises(TypeError):
        _ = Rho(4) < PureEpsilon(5)  # type: ignore[operator]
    with pytest.raises(InvariantBroken):
        combined([Charge(ROOM, Rho(1)), Charge(ROOM, PureEpsilon(1))])


@settings(deadline=None)
@given(st.sampled_from(["0.1", "1", "20"]), st.integers(3, 20).map(lambda k: Fraction(1, 10**k)))
def test_a_budget_s_halves_are_its_delta(epsilon: str, delta: Fraction) -> None:
    budget = Budget(Decimal(epsilon), delta, Window.NEVER)
    assert budget.delta_conversion + budget.delta_threshold == delta
    assert epsilon_of(budget.rho_max, budget.delta_conversion) <= float(epsilon)


def test_a_budget_s_window_is_one_of_three() -> None:
    with pytest.raises(InvalidPrivacyParameter):
        Budget(Decimal(1), DELTA, "day")  # type: ignore[arg-type]


times = st.integers(min_value=0, max_value=253_402_300_799)


@settings(deadline=None)
@given(times)
def test_windows_are_utc_calendar_months_and_years(unix_time: int) -> None:
    moment = datetime.fromtimestamp(unix_time, tz=UTC)
    month, year = Window.MONTH.start_of(unix_time), Window.YEAR.start_of(unix_time)
    assert Window.NEVER.start_of(unix_time) == 0 <= year <= month <= unix_time
    assert datetime.fromtimestamp(month, tz=UTC) == datetime(moment.year, moment.month, 1, tzinfo=UTC)
    assert datetime.fromtimestamp(year, tz=UTC) == datetime(moment.year, 1, 1, tzinfo=UTC)
    assert Window.MONTH.start_of(month) == month
    if month:
        assert Window.MONTH.start_of(month - 1) < month


@pytest.mark.parametrize("unix_time", [-1, 253_402_300_800, 1.0, True, "0"])
def test_a_time_outside_the_calendar_is_refused(unix_time: object) -> None:
    with pytest.raises(InvalidPrivacyParameter):
        Window.MONTH.start_of(unix_time)  # type: ignore[arg-type]
