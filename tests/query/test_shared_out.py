"""How a precision is shared out over releases and their parts, to the step; too much and too little are refused."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from open_rules import open_rule
from slow_vector import TNM, planned

from cleanroom.accounting.account import ROOM, AccountId
from cleanroom.accounting.privacy_loss import PureEpsilon, Rho, rho_for
from cleanroom.accounting.steps import MAX_STEPS
from cleanroom.errors import Bilingual, Refused
from cleanroom.identifiers import TableName
from cleanroom.policies import BudgetTerms
from cleanroom.policies.rule import SpendingWindow
from cleanroom.query import pricing
from cleanroom.query.algebra import Scan, Semi
from cleanroom.query.bound import BoundChoice, Sized
from cleanroom.query.key_threshold import delta_of
from cleanroom.query.mechanisms import Noise, choice_reach, draws, keys_reach, vector_reach
from cleanroom.query.plan import Plan
from cleanroom.query.precision import Default, Epsilon, Margin, Precision
from cleanroom.query.pricing import (
    Priced,
    _noise,
    _parts,
    _pure_noise_for_margin,
    _pure_share,
    _scale_for_margin,
    _Share,
    _share_for_epsilon,
    _share_for_margin,
    price,
)
from cleanroom.query.statistics import CategoryKey, CountPersons, CountRows, Mean, Quantile, Sum, UnknownKey

ONE = Fraction(1)
DELTA = Fraction(1, 10**7)
FRANCOS = TableName.parse("francos.visits")
KEYS = (CategoryKey(0, ("a", "b"), nullable=False),)
OPEN = (UnknownKey(0, nullable=True),)
MEDIAN = Quantile(1, 0, 9, ONE, Fraction(1, 2), discrete=True)


def priced(plans: tuple[Plan, ...], wanted: Precision, *, pure: bool = False, limit: str | None = None) -> Priced:
    """Price releases over a table with the default 0.4 and delta 1e-7, and one with 0.2 and 3e-7; or both pure."""
    rules = {TNM: open_rule("0.4", limit), FRANCOS: open_rule("0.2")}
    deltas = (Fraction(0), Fraction(0)) if pure else (DELTA, 3 * DELTA)
    budgets = {
        table: BudgetTerms(Decimal(20), delta, SpendingWindow.NEVER) for table, delta in zip(rules, deltas, strict=True)
    }
    return price(plans, wanted, rules, budgets)


def asked(*statistics: Any, keys: tuple[Any, ...] = KEYS, two: bool = True, **more: Any) -> Plan:
    plan = planned(keys, statistics, 3, 2, **more)
    both = Semi(Scan(TNM, ("c0", "c1")), Scan(FRANCOS, ()))
    return replace(plan, relation=both) if two else plan


def refused(*arguments: Any, **more: Any) -> Any:
    with pytest.raises(Refused) as caught:
        priced(*arguments, **more)
    (reason,) = caught.value.refusals
    return reason


@pytest.mark.parametrize("pure", [False, True])
def test_the_strictest_default_of_the_rules_is_the_default(pure: bool) -> None:
    plans = (asked(CountRows(), pure=pure), asked(CountPersons(), pure=pure))
    assert priced(plans, Default(), pure=pure) == priced(plans, Epsilon(Decimal("0.2")), pure=pure)


def test_releases_share_an_epsilon_so_that_each_may_be_rounded_up() -> None:
    assert _pure_share(Decimal(1), 1) == ONE
    assert _pure_share(Decimal(1), 3) == PureEpsilon(PureEpsilon.at_most(ONE).pico - 2).as_fraction()
    least = PureEpsilon(3).as_fraction()
    step = Decimal(least.numerator) / Decimal(least.denominator)
    assert _pure_share(step, 3) == PureEpsilon(1).as_fraction()
    plans = (asked(CountRows()), asked(MEDIAN), asked(CountPersons(), keys=OPEN))
    whole = rho_for(Decimal(1), DELTA).pico
    assert _share_for_epsilon(plans[:1], Decimal(1), DELTA).rho == Rho(whole).as_fraction()
    assert _share_for_epsilon(plans, Decimal(1), DELTA).rho == Rho(whole - 2).as_fraction() / 3
    small = Decimal("0.000005")
    assert rho_for(small, DELTA).pico == 3
    assert _share_for_epsilon(plans, small, DELTA).rho == Rho(1).as_fraction() / 3
    for share in (lambda: _pure_share(step, 4), lambda: _share_for_epsilon((*plans, plans[0]), small, DELTA)):
        with pytest.raises(Refused) as caught:
            share()
        assert caught.value.code == "precision"
        assert "too small for any answer" in caught.value.refusals[0].message.en


def test_the_smallest_delta_of_the_tables_is_that_of_an_epsilon() -> None:
    plans = (asked(CountRows()),)
    found = priced(plans, Epsilon(Decimal(1)))
    most = rho_for(Decimal(1), DELTA / 2)
    largest = max(charge.rho for charge in found.charges)
    assert most.pico * 0.999_999 <= largest.pico <= most.pico
    assert found.epsilon == pytest.approx(1, rel=1e-5)
    pure = priced((asked(CountRows(), pure=True),), Epsilon(Decimal(1)), pure=True)
    assert pure.epsilon == pytest.approx(1, rel=1e-6)
    assert {charge.account for charge in pure.charges} == {ROOM, AccountId(TNM), AccountId(FRANCOS)}


def test_weights_share_out_the_loss_of_a_release() -> None:
    """Vector, quantiles and threshold; the vector has the parts of its statistics, half a one for the owners' alone."""
    statistics = (CountRows(), MEDIAN, replace(MEDIAN, fraction=Fraction(1, 4)), Sum(1, 0, 9, ONE))
    for shares, parts in (((), (2, 1, 1)), ((ONE, Fraction(4), Fraction(2), Fraction(3)), (4, 4, 2))):
        plan = asked(*statistics, two=False, shares=shares)
        (noise,) = priced((plan,), Epsilon(Decimal(1))).noises
        losses = [float(draw.loss) for draw in draws(plan.bounds, noise)]
        assert [loss / losses[-1] * parts[-1] for loss in losses] == pytest.approx(parts, rel=1e-6)
    plan = asked(MEDIAN, two=False, threshold=20)
    (noise,) = priced((plan,), Epsilon(Decimal(1))).noises
    vector, quantile = (float(draw.loss) for draw in draws(plan.bounds, noise))
    assert vector / quantile == pytest.approx(1 / 2, rel=1e-6)
    plan = asked(CountRows(), MEDIAN, two=False, keys=OPEN)
    (noise,) = priced((plan,), Epsilon(Decimal(1))).noises
    losses = [float(draw.loss) for draw in draws(plan.bounds, noise)]
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-6)


@pytest.mark.parametrize("two", [False, True])
def test_a_margin_fixes_the_scale_and_what_a_part_costs_then(two: bool) -> None:
    plan = asked(CountRows(), Sum(1, 0, 9, ONE), MEDIAN, two=two)
    share = _share_for_margin(plan, Fraction(50))
    assert share.vector is not None
    assert share.keys is None
    reach = vector_reach(plan.bounds)
    moved = reach.in_one_table if two else reach.everywhere
    assert share.rho == Fraction(moved) / (2 * Fraction(share.vector) ** 2) / 2
    counted = asked(CountPersons(), keys=OPEN, two=two)
    share = _share_for_margin(counted, Fraction(50))
    assert share.keys is not None
    assert share.vector is None
    moved = keys_reach(counted.bounds).in_one_table if two else keys_reach(counted.bounds).everywhere
    assert share.rho == Fraction(moved) / (2 * Fraction(share.keys) ** 2)
    (noise,) = priced((plan,), Margin(Decimal(50))).noises
    assert noise.vector == _share_for_margin(plan, Fraction(50)).vector


def test_what_is_too_much_or_says_nothing_is_refused_with_why() -> None:
    count, mean = asked(CountRows()), asked(Mean(1, 0, 9, ONE))
    assert "depends on the rows" in refused((mean,), Margin(Decimal(5))).message.en
    assert "too small" in refused((count,), Margin(Decimal("1e-12"))).message.en
    pure = asked(CountRows(), pure=True)
    for plan, is_pure in ((count, False), (pure, True)):
        reason = refused((plan,), Epsilon(Decimal("0.6")), pure=is_pure, limit="0.5")
        assert reason.code == "epsilon_over_limit"
        assert "tnm" in reason.message.en
        assert "0.5" in reason.message.en
        assert reason.hint.en == reason.hint.fr == "epsilon=0.5"
        assert reason.as_typed().hint == Bilingual("--epsilon 0.5", "--epsilon 0.5")
        assert priced((plan,), Epsilon(Decimal("0.5")), pure=is_pure, limit="0.5").charges


def test_what_no_account_can_hold_is_refused_with_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def overflowing(*_: object) -> None:
        Rho(MAX_STEPS + 1)

    monkeypatch.setattr(pricing, "charges_of", overflowing)
    for pure in (False, True):
        reason = refused((asked(CountRows(), pure=pure),), Epsilon(Decimal(1)), pure=pure)
        assert reason.code == "precision"
        assert "exceeds any budget" in reason.message.en


def test_parts_are_the_weights_of_what_is_drawn() -> None:
    four = Fraction(4)
    for plan, parts in (
        (asked(CountRows(), CountPersons()), ONE * 2),
        (asked(CountRows(), MEDIAN, shares=(ONE, four)), ONE * 5),
        (asked(MEDIAN, threshold=20), Fraction(3, 2)),
        (asked(MEDIAN), ONE),
        # The threshold's own count is the answer; beside it the vector has its part.
        (asked(CountPersons(), keys=OPEN), ONE),
        (asked(CountPersons(), CountRows(), MEDIAN, keys=OPEN, shares=(ONE, four, four)), ONE * 10),
    ):
        assert _parts(plan) == parts
        choice = BoundChoice(Sized.ROWS, None, 0, 0, (1, 3), (plan.bounds, plan.bounds), 1, 1)
        assert _parts(replace(plan, bounds=replace(plan.bounds, choice=choice))) == parts + Fraction(1, 8)


@pytest.mark.parametrize("two", [False, True])
def test_a_threshold_covers_the_keys_that_come_and_go_in_a_table(two: bool) -> None:
    """S2, S8: where a person's rows in one table go, their keys go and as many others may come."""
    plan = asked(CountPersons(), keys=OPEN, two=two)
    share = Fraction(1, 1000)
    keys = _noise(plan, _Share(share), DELTA).keys
    assert keys is not None
    most = plan.bounds.distinct_keys * (2 if two else 1)
    taken, less = (delta_of(keys.scale, keys.threshold - lower, most) for lower in (0, 1))
    assert taken <= DELTA < less
    choice = BoundChoice(Sized.ROWS, None, 0, 0, (1, 3), (replace(plan.bounds, max_rows=1), plan.bounds), 7, 2)
    chosen = _noise(replace(plan, bounds=replace(plan.bounds, choice=choice)), _Share(share), DELTA)
    assert chosen.choice is not None
    assert [settled.keys for settled in chosen.choice.settled] == [keys, keys]
    reach = Fraction(choice_reach(choice).in_one_table if two else choice_reach(choice).everywhere)
    loss = reach / (2 * Fraction(chosen.choice.scale) ** 2)
    assert share / 8 * Fraction(999_999, 10**6) <= loss <= share / 8


@pytest.mark.parametrize("two", [False, True])
def test_a_pure_epsilon_is_used_up_by_what_is_drawn(two: bool) -> None:
    """S11, S38: vectors by their statistics' weights, a choice an eighth of a part; the same whatever comes out."""
    plan, other = (asked(*each, two=two, pure=True) for each in ((CountRows(), CountPersons()), (CountRows(),)))
    narrow = planned(KEYS, (CountRows(), CountPersons()), 1, 2, pure=True).bounds
    choice = BoundChoice(Sized.ROWS, None, 0, 0, (1, 3), (narrow, plan.bounds), 7, 2)
    chosen = replace(plan, bounds=replace(plan.bounds, choice=choice))
    noises = priced((chosen, other), Epsilon(Decimal(1)), pure=True).noises
    losses = []
    for each, noise in zip((chosen, other), noises, strict=True):
        for draw in draws(each.bounds, noise):
            losses.append(draw.epsilon_at(draw.reach.in_one_table if two else draw.reach.everywhere))
    part = 1 / Fraction(25, 8)
    assert [float(loss) for loss in losses] == pytest.approx([float(part * each) for each in (2, 1 / 8, 1)], rel=1e-9)
    assert sum(losses) <= 1
    found = noises[0].choice
    assert found is not None
    assert found.settled[-1] == Noise(noises[0].vector)
    settled = found.settled[0].vector
    assert settled is not None
    reach = vector_reach(narrow).in_one_table if two else vector_reach(narrow).everywhere
    assert float(reach / Fraction(settled)) == pytest.approx(float(2 * part), rel=1e-9)
    assert reach / Fraction(settled) <= 2 * part


@pytest.mark.parametrize("two", [False, True])
def test_a_pure_margin_fixes_the_scale_and_what_a_part_costs_then(two: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pricing, "aim", lambda *given: given)
    plan = asked(CountRows(), CountPersons(), two=two, pure=True)
    scale = _scale_for_margin(plan, Fraction(50))
    assert _pure_noise_for_margin(plan, Fraction(50)) == Noise(scale)
    choice = BoundChoice(Sized.ROWS, None, 0, 0, (1, 2, 3), (plan.bounds,) * 3, 7, 2)
    found = _pure_noise_for_margin(replace(plan, bounds=replace(plan.bounds, choice=choice)), Fraction(50))
    assert found.vector == scale
    assert found.choice is not None
    reach = vector_reach(plan.bounds).in_one_table if two else vector_reach(plan.bounds).everywhere
    aimed: Any = found.choice.target
    assert aimed == (replace(plan.bounds, choice=choice), scale, math.sqrt(2) * found.choice.scale, ())
    assert len(found.choice.settled) == 3
    loss = reach / Fraction(scale) / 2 / 8
    taken = Fraction(2 if two else 1) / Fraction(found.choice.scale)
    assert loss * Fraction(999_999, 10**6) <= taken <= loss
