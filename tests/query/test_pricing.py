"""What a precision buys where a question has several mechanisms: never more than asked, shared out as said."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from slow_vector import TNM, planned

from cleanroom.accounting.account import ROOM
from cleanroom.accounting.accountant import charges_of
from cleanroom.accounting.privacy_loss import rho_for
from cleanroom.errors import Refused
from cleanroom.identifiers import PartyId, Purpose, TableName
from cleanroom.policies import Analysis, AnalysisRule, BudgetTerms, Function
from cleanroom.policies.rule import SpendingWindow
from cleanroom.query.algebra import Scan, Semi
from cleanroom.query.mechanisms import draws
from cleanroom.query.noise import margin95
from cleanroom.query.plan import Plan
from cleanroom.query.precision import Default, Epsilon, Margin
from cleanroom.query.pricing import QUESTIONS_OF_A_DELTA, Priced, price
from cleanroom.query.statistics import CategoryKey, CountPersons, CountRows, Mean, Quantile, Sum, UnknownKey, Variance

LIMITS = settings(derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
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
    rule = AnalysisRule(
        "r",
        frozenset({PartyId("tnm")}),
        frozenset({Purpose("p")}),
        frozenset(Analysis),
        frozenset(Function),
        frozenset(),
        None,
        0,
        0,
        Decimal("0.4"),
        None if limit is None else Decimal(limit),
        None,
    )
    budget = BudgetTerms(Decimal(20), delta, SpendingWindow.NEVER)
    tables = a_plan.tables
    return price((a_plan,), wanted, dict.fromkeys(tables, rule), dict.fromkeys(tables, budget))


def asked(listed: tuple[Any, ...], keys: tuple[Any, ...], *, two: bool, threshold: int = 0) -> Plan:
    a_plan = planned(keys, listed, 3, 2, threshold)
    both = Semi(Scan(TNM, ("c0", "c1", "c2")), Scan(FRANCOS, ()))
    return replace(a_plan, relation=both) if two else a_plan


@given(
    st.sets(st.sampled_from(STATISTICS), min_size=1),
    st.sampled_from(KEYS),
    st.booleans(),
    st.sampled_from((0, 20)),
    st.sampled_from(("0.05", "0.3", "2")),
)
@settings(LIMITS, max_examples=120)
def test_an_epsilon_bounds_the_dearest_account_and_is_used_up(
    listed: set[Any], keys: tuple[Any, ...], two: bool, threshold: int, epsilon: str
) -> None:
    a_plan = asked(tuple(sorted(listed, key=repr)), keys, two=two, threshold=threshold)
    found = priced(a_plan, Epsilon(Decimal(epsilon)))
    limit = rho_for(Decimal(epsilon), DELTA / 2)
    largest = max(charge.rho for charge in found.charges)
    assert largest <= limit
    assert largest.as_fraction() >= limit.as_fraction() * Fraction(999_999, 1_000_000)
    (noise,) = found.noises
    due = draws(a_plan.bounds, noise)
    assert found.charges == charges_of(due, set(a_plan.tables))
    # Equal shares: a quantile, the threshold, and each statistic of the vector.
    losses = [draw.reach.largest(tables_alone=not two) / (2 * draw.scale**2) for draw in due]
    summed = sum(not isinstance(each, Quantile) for each in listed)
    parts = []
    if a_plan.bounds.components:
        parts.append(Fraction(summed) if summed else Fraction(1, 2))
    parts += [ONE] * (len(a_plan.bounds.quantiles) + bool(a_plan.bounds.distinct_keys))
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
    assert caught.value.code == "epsilon_over_limit"
