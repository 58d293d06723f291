"""Every draw of a release: what is charged for it, what stops it, how it is distributed, what unknown keys survive."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from searches import LIMITS
from slow_vector import planned, stream
from streamed import Streamed, room_charge, text_rows

from cleanroom.accounting.account import ROOM, AccountId, Charge
from cleanroom.accounting.accountant import charges_of
from cleanroom.accounting.privacy_loss import Rho
from cleanroom.errors import InvariantBroken
from cleanroom.identifiers import TableName
from cleanroom.query.backend import PersonRows, Slice
from cleanroom.query.contribution import contributions
from cleanroom.query.drawing import draw, released_keys, require_paid
from cleanroom.query.key_threshold import delta_of, least_threshold, threshold_measurement
from cleanroom.query.mechanisms import KeyNoise, Noise, draws
from cleanroom.query.noise import noisy_max
from cleanroom.query.plan import Plan
from cleanroom.query.release import NoisedRelease, margins_before
from cleanroom.query.statistics import (
    CategoryKey,
    CountPersons,
    CountRows,
    Mean,
    NumberKey,
    Quantile,
    Sum,
    UnknownKey,
    Variance,
)

if TYPE_CHECKING:
    from cleanroom.query.algebra import Relation

FALSE_ALARM = 1e-9
ONE = Fraction(1)
TNM, FRANCOS = TableName.parse("tnm.visits"), TableName.parse("francos.visits")


def stray(draws_made: int) -> float:
    """Return how far a frequency strays from its probability with a chance of 1e-9 (Hoeffding)."""
    return math.sqrt(math.log(2 / FALSE_ALARM) / (2 * draws_made))


# Noisy max


def test_a_choice_falls_as_the_exponential_of_its_score_and_no_other_scale() -> None:
    scale, made = 40.0, 12_000
    listed = [0, -40, -100, -1_000]
    reach = 40
    charged = Rho.at_least(Fraction(reach**2) / (2 * Fraction(scale) ** 2))
    chosen = Counter(noisy_max([listed] * made, reach=reach, scale=scale, charged=charged))
    for guess, fits in ((scale, True), (2 * scale, False), (scale / 2, False)):
        weights = [math.exp(score / guess) for score in listed]
        wanted = [weight / sum(weights) for weight in weights]
        near = all(abs(chosen[at] / made - p) <= stray(made) for at, p in enumerate(wanted))
        assert near is fits


def test_a_choice_dearer_than_its_charge_is_stopped() -> None:
    charged = Rho.at_least(Fraction(1, 2))
    assert noisy_max([[0, -5]], reach=10, scale=10.0, charged=charged)[0] in {0, 1}
    with pytest.raises(InvariantBroken, match="costs more"):
        noisy_max([[0]], reach=11, scale=10.0, charged=charged)
    with pytest.raises(InvariantBroken):
        noisy_max([[0]], reach=0, scale=10.0, charged=charged)
    with pytest.raises(InvariantBroken):
        noisy_max([[0]], reach=1, scale=math.inf, charged=charged)


def test_opendp_s_own_price_of_a_choice_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cleanroom.query.noise.MAP_SLACK", Fraction(1, 2))
    with pytest.raises(InvariantBroken, match="OpenDP"):
        noisy_max([[0]], reach=10, scale=10.0, charged=Rho.at_least(Fraction(1, 2)))


# What several draws cost together


def check_price(noise: Noise, a_plan: Plan) -> None:
    """Compare the charge with the sum that the definitions give, for a release of two tables."""
    bounds = a_plan.bounds
    room, *tables = charges_of(draws(bounds, noise), {TNM, FRANCOS})
    everywhere = in_table = Fraction(0)
    if noise.vector is not None:
        factor = 4 if bounds.signed else 1 if bounds.one_entry else 2
        everywhere += Fraction(bounds.norm**2) / (2 * Fraction(noise.vector) ** 2)
        in_table += Fraction(factor * bounds.norm**2) / (2 * Fraction(noise.vector) ** 2)
    for quantile, scale in zip(bounds.quantiles, noise.quantiles, strict=True):
        a, c, d = quantile.below, quantile.above, quantile.norm
        everywhere += Fraction(max(a, c) ** 2 * d**2) / (2 * Fraction(scale) ** 2)
        square = (a + c) ** 2 if bounds.cells == 1 and not bounds.distinct_keys else 2 * (a * a + c * c)
        in_table += Fraction(square * d**2) / (2 * Fraction(scale) ** 2)
    if noise.keys is not None:
        everywhere += Fraction(bounds.distinct_keys) / (2 * Fraction(noise.keys.scale) ** 2)
        in_table += Fraction(2 * bounds.distinct_keys) / (2 * Fraction(noise.keys.scale) ** 2)
    assert room.account == ROOM
    assert room.rho == Rho.at_least(everywhere)
    assert [each.rho for each in tables] == [Rho.at_least(in_table)] * 2
    alone = charges_of(draws(bounds, noise), {TNM})
    assert {each.rho for each in alone} == {room.rho}
    if noise.keys is not None:
        assert 0 < room.delta_threshold < tables[0].delta_threshold
        assert {each.delta_threshold for each in alone} == {room.delta_threshold}


def many() -> tuple[Plan, Noise]:
    keys = (CategoryKey(0, ("a", "b"), nullable=False),)
    quantiles = tuple(Quantile(1, 0, 9, ONE, Fraction(a, 4), discrete=True) for a in (1, 3))
    a_plan = planned(keys, (CountRows(), *quantiles, Mean(1, 0, 9, ONE)), 3, 2, 20)
    return a_plan, Noise(a_plan.bounds.norm * 3.0, (a_plan.bounds.quantiles[0].norm * 11.0,) * 2)


def test_losses_of_all_draws_add_up() -> None:
    a_plan, noise = many()
    check_price(noise, a_plan)
    one = planned((), (Quantile(1, 0, 9, ONE, Fraction(9, 10), discrete=True),), 3, 2)
    check_price(Noise(None, (one.bounds.quantiles[0].norm * 5.0,)), one)
    unknown = planned((UnknownKey(0, nullable=True),), (CountPersons(), CountRows()), 3, 4)
    check_price(Noise(unknown.bounds.norm * 3.0, (), KeyNoise(20.0, 120)), unknown)


def test_a_draw_that_was_not_paid_in_rho_or_delta_stops_the_question() -> None:
    a_plan, noise = many()
    paid = room_charge(a_plan, noise)
    require_paid(a_plan, noise, paid)
    exact = contributions(a_plan, stream([[(0, 3)]], 2))
    assert draw(a_plan, noise, exact, None, paid).chosen
    for cheaper in (
        replace(noise, vector=a_plan.bounds.norm * 2.9),
        replace(noise, quantiles=(noise.quantiles[0], noise.quantiles[1] * 0.99)),
    ):
        with pytest.raises(InvariantBroken, match="cost more"):
            draw(a_plan, cheaper, exact, None, paid)
    for other in (Noise(None, noise.quantiles), Noise(noise.vector), replace(noise, keys=KeyNoise(20.0, 120))):
        with pytest.raises(InvariantBroken, match="another release"):
            draws(a_plan.bounds, other)
    unknown = planned((UnknownKey(0, nullable=True),), (CountPersons(),), 3, 4)
    thresholded = Noise(None, (), KeyNoise(20.0, 120))
    full = room_charge(unknown, thresholded)
    with pytest.raises(InvariantBroken, match="delta"):
        require_paid(unknown, Noise(None, (), KeyNoise(20.0, 119)), full)
    with pytest.raises(InvariantBroken, match="delta"):
        require_paid(unknown, thresholded, Charge(full.account, full.rho))


class Unread(Streamed):
    """A room that nobody paid for."""

    def rows(self, relation: Relation, columns: tuple[int, ...], part: Slice) -> PersonRows:
        raise AssertionError("read before it was paid")


def test_unknown_keys_are_not_read_before_they_are_paid() -> None:
    unknown = planned((UnknownKey(0, nullable=True),), (CountPersons(),), 3, 4)
    noise = Noise(None, (), KeyNoise(20.0, 120))
    full = room_charge(unknown, noise)
    backend = Unread([text_rows([[("web", 0, None)]])])
    for cheap in (Charge(full.account, full.rho), Charge(full.account, Rho(full.rho.pico - 10), full.delta_threshold)):
        with pytest.raises(InvariantBroken, match="charged"):
            released_keys(unknown, noise, backend, cheap)
    public = planned((), (CountRows(),), 1, 1)
    vector = Noise(public.bounds.norm * 2.0)
    assert released_keys(public, vector, backend, room_charge(public, vector)) is None


# The threshold


def tail(scale: float, least: int) -> float:
    """Return P(noise ≥ least) of the discrete Gaussian, by its definition."""
    reach = math.ceil(40 * scale) + 40
    whole = math.fsum(math.exp(-(x * x) / (2 * scale**2)) for x in range(-reach, reach + 1))
    return math.fsum(math.exp(-(x * x) / (2 * scale**2)) for x in range(least, reach + 1)) / whole


def check_delta() -> None:
    """The delta charged covers the draw that is made, by the definition of both."""
    for scale in (0.7, 3.0, 11.0, 100.0):
        for away in (1.5, 3.0, 6.0):
            threshold = max(2, math.ceil(1 + away * scale))
            for changed in (1, 4, 8):
                charged = delta_of(scale, threshold, changed)
                assert min(1.0, changed * tail(scale, threshold - 1) * (1 - 1e-9)) <= charged
                assert charged <= max(1e-15, 2.5 * changed * tail(scale, threshold - 1))


def test_the_delta_charged_covers_a_discrete_draw() -> None:
    check_delta()


@pytest.mark.parametrize(("scale", "threshold", "changed"), [(0.7, 4, 1), (3.0, 20, 8), (11.5, 60, 3), (7.0, 50, 2)])
def test_the_delta_charged_is_rounded_up(scale: float, threshold: int, changed: int) -> None:
    """The bound that the docstring proves, to fifty digits; floats may lie above it only."""
    with localcontext(prec=50):
        s, t, pi = (
            Decimal(scale),
            Decimal(threshold - 1),
            Decimal("3.14159265358979323846264338327950288419716939937510"),
        )
        whole = changed * (-(t * t) / (2 * s * s)).exp() * (1 + s * s / t) / max(Decimal(1), s * (2 * pi).sqrt())
        charged = Decimal(delta_of(scale, threshold, changed))
        assert whole <= charged <= whole * (1 + Decimal(2) ** -36)


def test_a_lone_key_passes_as_often_as_the_discrete_gaussian_says() -> None:
    """At scale 3 and threshold 10 that is 2.2 in a thousand, more than the continuous tail that OpenDP's map uses."""
    scale, threshold, made = 3.0, 10, 60_000
    passed = len(threshold_measurement(scale, threshold)(dict.fromkeys(range(made), 1)))
    true = tail(scale, threshold - 1)
    # Bernstein's inequality, for a small probability.
    width = math.sqrt(2 * true / made * math.log(2 / FALSE_ALARM)) + math.log(2 / FALSE_ALARM) / (3 * made) * 2
    assert abs(passed / made - true) <= width
    assert true <= delta_of(scale, threshold, 1)
    assert float(threshold_measurement(scale, threshold).map((1, 1.0, 1.0))[1]) < true


@given(st.floats(0.3, 300), st.integers(1, 16), st.integers(6, 12))
@settings(LIMITS, max_examples=60)
def test_the_least_threshold_is_the_least(scale: float, changed: int, digits: int) -> None:
    delta = Fraction(1, 10**digits)
    threshold = least_threshold(scale, changed, delta)
    assert threshold is not None
    assert delta_of(scale, threshold, changed) <= delta
    assert threshold == 2 or delta_of(scale, threshold - 1, changed) > delta


def test_a_threshold_that_one_person_meets_hides_nothing() -> None:
    for threshold in (1, 0, -3):
        assert delta_of(3.0, threshold, 2) == 1.0
    assert delta_of(0.3, 2, 1) < 0.01
    # Sixteen keys that half of the noise lets pass: no more than certainty.
    assert delta_of(100.0, 2, 16) == 1.0


def test_a_delta_that_opendp_cannot_show_has_no_threshold() -> None:
    assert least_threshold(3.0, 4, Fraction(1, 10**60)) is None


def test_a_release_of_another_shape_is_our_bug() -> None:
    a_plan = planned(
        (NumberKey(0, 0, 2, ONE, nullable=False),),
        (Sum(1, 0, 5, ONE), Variance(1, 0, 5, ONE, sample=True, root=True)),
        1,
        1,
    )
    assert len(a_plan.bounds.components) == 4
    with pytest.raises(InvariantBroken, match="another shape"):
        NoisedRelease(a_plan, 1.0, (0,) * 11)
    with pytest.raises(InvariantBroken, match="another shape"):
        NoisedRelease(a_plan, 1.0, (0,) * 12, ((0, 0, 0),))
    assert margins_before(a_plan, 100.0)[1] is None
    assert AccountId(TNM) != ROOM
