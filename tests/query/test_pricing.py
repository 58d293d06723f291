"""What a precision buys where a question has several mechanisms: never more than asked, shared out as said."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from open_rules import open_rule
from searches import LIMITS
from slow_vector import TNM, planned

from cleanroom.accounting.account import ROOM
from cleanroom.accounting.accountant import charges_of
from cleanroom.accounting.privacy_loss import rho_for
from cleanroom.errors import AtEachDoor, Refused
from cleanroom.identifiers import TableName
from cleanroom.policies import BudgetTerms
from cleanroom.policies.rule import SpendingWindow
from cleanroom.query.algebra import Scan, Semi
from cleanroom.query.bound import BoundChoice, Sized
from cleanroom.query.estimates import units_of
from cleanroom.query.key_threshold import delta_of
from cleanroom.query.mechanisms import draws
from cleanroom.query.noise import largest_scale, margin95
from cleanroom.query.plan import Plan
from cleanroom.query.precision import Default, Epsilon, Margin
from cleanroom.query.pricing import QUESTIONS_OF_A_DELTA, Priced, price
from cleanroom.query.sharing import split_of
from cleanroom.query.statistics import CategoryKey, CountPersons, CountRows, Mean, Quantile, Sum, UnknownKey, Variance

FRANCOS = TableName.parse("francos.visits")
ONE = Fraction(1)
DELTA = Fraction(1, 10**7)

STATISTICS = (
    CountPersons(),
    CountRows(),
    Sum(1, 0, 50, ONE),
    Mean(1, 0, 50, ONE),
    Variance(1, 0, 50, ONE, sample=True, root=True),
    Quantile(1, 0, 50, ONE, Fraction(1, 2), discrete=False),
    Quantile(1, 0, 50, ONE, Fraction(1, 10), discrete=True),
)
KEYS: tuple[tuple[Any, ...], ...] = (
    (),
    (CategoryKey(0, ("a", "b"), nullable=True),),
    (UnknownKey(2, nullable=True),),
    (CategoryKey(0, ("a", "b"), nullable=True), UnknownKey(2, nullable=False)),
)


def priced(
    a_plan: Plan, wanted: Epsilon | Margin | Default, *, delta: Fraction = DELTA, limit: str | None = None
) -> Priced:
    return prices([a_plan], wanted, delta=delta, limit=limit)


def prices(
    plans: list[Plan], wanted: Epsilon | Margin | Default, *, delta: Fraction = DELTA, limit: str | None = None
) -> Priced:
    rule = open_rule(limit=limit)
    budget = BudgetTerms(Decimal(20), delta, SpendingWindow.NEVER)
    tables = {table for a_plan in plans for table in a_plan.tables}
    return price(tuple(plans), wanted, dict.fromkeys(tables, rule), dict.fromkeys(tables, budget))


def asked(
    listed: tuple[Any, ...],
    keys: tuple[Any, ...],
    *,
    two: bool,
    threshold: int = 0,
    shares: tuple[Fraction, ...] = (),
) -> Plan:
    a_plan = planned(keys, listed, 3, 2, threshold, shares=shares)
    both = Semi(Scan(TNM, ("c0", "c1", "c2")), Scan(FRANCOS, ()))
    return replace(a_plan, relation=both) if two else a_plan


@given(
    st.sets(st.sampled_from(STATISTICS), min_size=1),
    st.sampled_from(KEYS),
    st.booleans(),
    st.sampled_from((0, 20)),
    st.sampled_from(("0.05", "0.3", "2")),
    st.none() | st.lists(st.sampled_from((1, 2, Fraction(7, 3), 10_000)), min_size=7, max_size=7),
)
@settings(LIMITS, max_examples=150)
def test_an_epsilon_bounds_the_dearest_account_and_is_used_up(
    listed: set[Any], keys: tuple[Any, ...], two: bool, threshold: int, epsilon: str, weights: list[Any] | None
) -> None:
    statistics = tuple(sorted(listed, key=repr))
    shares = () if weights is None else tuple(map(Fraction, weights[: len(statistics)]))
    a_plan = asked(statistics, keys, two=two, threshold=threshold, shares=shares)
    found = priced(a_plan, Epsilon(Decimal(epsilon)))
    limit = rho_for(Decimal(epsilon), DELTA / 2)
    largest = max(charge.rho for charge in found.charges)
    assert largest <= limit
    assert largest.as_fraction() >= limit.as_fraction() * Fraction(999_999, 1_000_000)
    (noise,) = found.noises
    due = draws(a_plan.bounds, noise)
    assert found.charges == charges_of(due, set(a_plan.tables))
    # Shares by weight, equal where none are given: each quantile, the threshold, and each statistic of the vector.
    weighing = shares or (ONE,) * len(statistics)
    losses = [draw.reach.largest(tables_alone=not two) / (2 * draw.scale**2) for draw in due]
    summed = sum(w for each, w in zip(statistics, weighing, strict=True) if not isinstance(each, Quantile))
    parts = []
    if a_plan.bounds.components:
        parts.append(Fraction(summed) if summed else Fraction(1, 2))
    parts += [w for each, w in zip(statistics, weighing, strict=True) if isinstance(each, Quantile)]
    parts += [ONE] * bool(a_plan.bounds.distinct_keys)
    for loss, part in zip(losses, parts, strict=True):
        assert float(loss / limit.as_fraction()) == pytest.approx(float(part / sum(parts)), rel=1e-9)
    spent = {charge.account: charge.delta_threshold for charge in found.charges}
    assert all(delta <= DELTA / 2 / QUESTIONS_OF_A_DELTA for delta in spent.values())
    assert (spent[ROOM] > 0) is bool(a_plan.bounds.distinct_keys)


@pytest.mark.parametrize("two", [False, True])
@pytest.mark.parametrize("keys", KEYS)
def test_a_margin_holds_for_counts_and_sums_beside_other_statistics(keys: tuple[Any, ...], two: bool) -> None:
    a_plan = asked((CountRows(), STATISTICS[3], STATISTICS[5]), keys, two=two)
    (noise,) = priced(a_plan, Margin(Decimal(400))).noises
    assert noise.vector is not None
    step = a_plan.bounds.components[0].step
    assert margin95(noise.vector) * step <= 400 < margin95(noise.vector * 1.01) * step
    vector, *others = draws(a_plan.bounds, noise)
    for each in others:
        shares = [draw.reach.largest(tables_alone=not two) / (2 * draw.scale**2) for draw in (vector, each)]
        assert float(shares[0] / shares[1]) == pytest.approx(2, rel=1e-9)


def test_a_margin_of_counts_by_unknown_keys_is_the_threshold_s() -> None:
    a_plan = asked((CountPersons(),), KEYS[2], two=True)
    (noise,) = priced(a_plan, Margin(Decimal(30))).noises
    assert noise.vector is None
    assert noise.keys is not None
    assert margin95(noise.keys.scale) <= 30 < margin95(noise.keys.scale * 1.1)


@pytest.mark.parametrize("listed", [STATISTICS[3:4], STATISTICS[4:5], STATISTICS[5:6], STATISTICS[3:6]])
def test_a_margin_without_counts_and_sums_is_refused(listed: tuple[Any, ...]) -> None:
    with pytest.raises(Refused) as caught:
        priced(asked(listed, (), two=False), Margin(Decimal(50)))
    assert caught.value.code == "precision"


def test_a_delta_too_small_for_a_threshold_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        priced(asked((CountPersons(),), KEYS[2], two=False), Default(), delta=Fraction(1, 10**40))
    assert caught.value.code == "precision"


def test_an_owner_s_limit_holds_for_all_mechanisms_together() -> None:
    a_plan = asked(STATISTICS[4:], KEYS[1], two=True)
    assert priced(a_plan, Epsilon(Decimal("0.5")), limit="0.5").charges
    with pytest.raises(Refused) as caught:
        priced(a_plan, Epsilon(Decimal("0.51")), limit="0.5")
    assert len(caught.value.refusals) == 2
    for reason in caught.value.refusals:
        assert reason.code == "epsilon_over_limit"
        assert isinstance(reason.hint, AtEachDoor)
        assert (reason.hint.en, reason.hint.typed.en) == ("epsilon=0.5", "--epsilon 0.5")


@pytest.mark.parametrize("two", [False, True])
def test_a_choice_of_bounds_has_an_eighth_of_what_a_statistic_has(two: bool) -> None:
    """Where somebody may be hidden at one member alone a choice reaches further, and is drawn as much wider."""
    narrow, wide = (planned(KEYS[1], (CountRows(),), rows, 2).bounds for rows in (1, 4))
    a_plan = asked((CountRows(),), KEYS[1], two=two)
    choice = BoundChoice(Sized.ROWS, None, 0, 0, (1, 4), (narrow, wide), 1, 1)
    a_plan = replace(a_plan, bounds=replace(wide, choice=choice))
    found = priced(a_plan, Epsilon(Decimal("0.5")))
    limit = rho_for(Decimal("0.5"), DELTA / 2).as_fraction()
    (noise,) = found.noises
    due = draws(a_plan.bounds, noise)
    losses = sorted(draw.reach.largest(tables_alone=not two) / (2 * draw.scale**2) for draw in due)
    assert [float(loss / limit) for loss in losses] == pytest.approx([1 / 9, 8 / 9], rel=1e-9)


@given(
    st.lists(st.sampled_from(STATISTICS[:5]), min_size=1, unique=True),
    st.sampled_from(KEYS[:2]),
    st.sampled_from((0, 20)),
    st.booleans(),
    st.decimals("0.5", "5000", places=1),
)
@settings(LIMITS, max_examples=120)
def test_a_margin_is_met_at_the_least_cost(
    listed: list[Any], keys: tuple[Any, ...], threshold: int, two: bool, margin: Decimal
) -> None:
    """No greater noise keeps the margin, to one part in 2^20; so no account can pay less for it (S31)."""
    if not any(isinstance(each, (CountRows, CountPersons, Sum)) for each in listed):
        return
    a_plan = asked(tuple(listed), keys, two=two, threshold=threshold)
    (noise,) = priced(a_plan, Margin(margin)).noises
    assert noise.vector is not None
    steps = [units_of(each, a_plan.bounds)[0] for each in listed if isinstance(each, (CountRows, CountPersons, Sum))]
    assert all(Fraction(margin95(noise.vector)) * step <= Fraction(margin) for step in steps)
    stronger = noise.vector * (1 + 2.0**-20)
    assert any(Fraction(margin95(stronger)) * step > Fraction(margin) for step in steps)


@pytest.mark.parametrize("margin", [1, 2, 3, 10, 30, 500, 3_000, 9_000])
def test_no_scale_above_the_one_chosen_keeps_a_margin(margin: int) -> None:
    scale = largest_scale(Fraction(margin) + Fraction(1, 3))
    assert margin95(scale) <= margin < margin95(scale * (1 + 2.0**-20))


def test_weights_move_margins_by_their_roots() -> None:
    listed = (CountRows(), Sum(1, 0, 50, ONE))
    plain, weighted = (asked(listed, (), two=False, shares=shares) for shares in ((), (Fraction(9), ONE)))
    (before,) = priced(plain, Epsilon(Decimal(1))).noises
    (after,) = priced(weighted, Epsilon(Decimal(1))).noises
    assert before.vector is not None
    assert after.vector is not None
    ratios = [
        (after.vector * float(new.step)) / (before.vector * float(old.step))
        for old, new in zip(plain.bounds.components, weighted.bounds.components, strict=True)
    ]
    # Of ten parts nine, where there was one of two: the margin goes with the root of the part.
    assert ratios[0] == pytest.approx((1 / 2) ** 0.5 / (9 / 10) ** 0.5, rel=0.02)
    assert ratios[1] == pytest.approx((1 / 2) ** 0.5 / (1 / 10) ** 0.5, rel=0.02)
    assert plain.digest() != weighted.digest()


@given(
    st.lists(st.sampled_from(STATISTICS), min_size=1, unique=True),
    st.sampled_from(KEYS),
    st.sampled_from((0, 20)),
    st.lists(st.sampled_from((1, 2, 50)), min_size=7, max_size=7),
)
@settings(LIMITS, max_examples=80)
def test_the_split_shown_is_the_weights_and_sums_to_one(
    listed: list[Any], keys: tuple[Any, ...], threshold: int, weights: list[int]
) -> None:
    shares = tuple(map(Fraction, weights[: len(listed)]))
    a_plan = asked(tuple(listed), keys, two=True, threshold=threshold, shares=shares)
    (noise,) = priced(a_plan, Epsilon(Decimal(1))).noises
    split = split_of((a_plan,), (noise,))
    assert sum(split.statistics.values(), split.threshold + split.keys) == 1
    assert set(split.statistics) == {(0, place) for place in range(len(listed))}
    assert all(part > 0 for part in split.statistics.values())
    assert (split.keys > 0) is (bool(a_plan.bounds.distinct_keys) and not a_plan.bounds.counted_by_threshold)
    quantiles = [place for place, each in enumerate(listed) if isinstance(each, Quantile)]
    for place in quantiles[1:]:
        ratio = split.statistics[0, place] / split.statistics[0, quantiles[0]]
        assert float(ratio) == pytest.approx(float(shares[place] / shares[quantiles[0]]), rel=1e-6)


def test_a_threshold_takes_a_256th_of_what_a_table_grants_for_thresholds() -> None:
    """Of half the delta, the least threshold for that; of several releases each takes its part."""
    plan = asked((CountPersons(),), (UnknownKey(2, nullable=True),), two=False)
    for count in (1, 2):
        noises = prices([plan] * count, Epsilon(Decimal("0.0005"))).noises
        for noise in noises:
            keys, most = noise.keys, plan.bounds.distinct_keys
            assert keys is not None
            granted = DELTA / 2 / 256 / count
            assert (
                delta_of(keys.scale, keys.threshold, most) <= granted < delta_of(keys.scale, keys.threshold - 1, most)
            )
