"""Pure questions (S11): nobody moves a vector further in L1 than its norm, the noise is Laplace's, epsilons add up."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from functools import partial
from random import Random

import numpy as np
import opendp.prelude as dp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from open_rules import open_rule
from questions import question
from rooms import FRANCOS, TNM, Engine, Room, admit, catalog_of, catalogs, choices, hostile_room, seeds
from searches import LIMITS, by_seeds, try_each
from slow_vector import planned
from test_pricing import KEYS, STATISTICS
from test_sensitivity import BOTH, visit, weight

from cleanroom.accounting.account import ROOM, AccountId
from cleanroom.accounting.accountant import Draw, Reach, VectorShape, charges_of, least_pure_scale
from cleanroom.accounting.privacy_loss import InvalidPrivacyParameter, PureEpsilon, Rho
from cleanroom.catalog import Contribution
from cleanroom.errors import InvariantBroken, Refused
from cleanroom.identifiers import TableName
from cleanroom.policies import BudgetTerms
from cleanroom.policies.rule import SpendingWindow
from cleanroom.query.algebra import Scan, Semi
from cleanroom.query.binding.question import bind_question
from cleanroom.query.bound import PureQuantileBound, QuantileBound
from cleanroom.query.choosing import FALL
from cleanroom.query.contribution import ExactVector, streamed
from cleanroom.query.drawing import draw, picked_bound
from cleanroom.query.mechanisms import choice_reach, draws, shape_of, vector_deviation, vector_margin95
from cleanroom.query.noise import add_laplace, laplace_margin95, largest_laplace_scale
from cleanroom.query.parse import parse
from cleanroom.query.plan import Plan
from cleanroom.query.planning import AskedBounds
from cleanroom.query.planning import planned as bounds_planned
from cleanroom.query.precision import Auto, Default, Epsilon, Margin, Precision
from cleanroom.query.pricing import Priced, price
from cleanroom.query.sharing import split_of
from cleanroom.query.sizes import persons_by_size, size_columns
from cleanroom.query.statistics import CategoryKey

FALSE_ALARM = 1e-9
SUMS = STATISTICS[:5]


def distance(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    return sum(abs(a - b) for a, b in zip(one, other, strict=True))


def furthest(a_plan: Plan) -> int:
    """Return how far leaving one table may move the vector in L1, stated here apart from the product (S2, S11)."""
    one_number = a_plan.bounds.cells * len(a_plan.bounds.components) == 1
    signed = any(component.lower < 0 for component in a_plan.bounds.components)
    return a_plan.bounds.norm * (1 if len(a_plan.tables) == 1 or (one_number and not signed) else 2)


def read_apart(bound: QuantileBound, ours: np.ndarray, theirs: np.ndarray) -> int:
    """Return how far the readings of a quantile lie apart in L1, wherever each cell is read (`query.bisecting`)."""
    below, both = bound.below, bound.below + bound.above
    sides = []
    for weights in (ours, theirs):
        upto = np.cumsum(weights, axis=1)
        at, after = upto[:, 0::2], np.column_stack([upto[:, 1::2], upto[:, -1:]])
        sides.append(both * (at + after) - 2 * below * upto[:, -1:])
    return int(np.abs(sides[0] - sides[1]).max(axis=1).sum())


def furthest_read(a_plan: Plan, bound: QuantileBound, *, everywhere: bool) -> int:
    """Return how far a person may move the readings of a round, stated here apart from the product."""
    most = max(bound.below, bound.above)
    if everywhere or len(a_plan.tables) == 1:
        return 2 * most * bound.norm
    return 2 * (bound.below + bound.above if a_plan.bounds.cells == 1 else 2 * most) * bound.norm


def check_leaving(rng: Random, seed: int) -> None:
    made = catalogs(Random(seed))
    written = question(rng, made)
    weigh = None if rng.random() < 0.5 else partial(weight, rng)
    try:
        a_plan = admit(written.sql, written.parameters, made, threshold=rng.choice((0, 20)), weigh=weigh, pure=True)
    except Refused:
        return
    room = hostile_room(Random(seed), made)
    engine = Engine(a_plan)
    exact = engine.exact(room)
    whole = exact.values
    assert not any(value % a_plan.bounds.grain for value in (*whole, a_plan.bounds.norm))
    for person in room.persons[:2]:
        for table in (None, *a_plan.tables):
            theirs = engine.exact(room.without(person, None if table is None else {table}))
            assert distance(whole, theirs.values) <= (a_plan.bounds.norm if table is None else furthest(a_plan))
            for bound, mine, other in zip(a_plan.bounds.quantiles, exact.weights, theirs.weights, strict=True):
                assert read_apart(bound, mine, other) <= furthest_read(a_plan, bound, everywhere=table is None)
    charged = Reach(a_plan.bounds.norm, a_plan.bounds.norm * shape_of(a_plan.bounds).diameter_factor)
    assert charged.largest(tables_alone=len(a_plan.tables) == 1) == furthest(a_plan)


@given(choices(), seeds())
@settings(LIMITS, max_examples=120)
def test_nobody_moves_a_pure_vector_further_than_its_norm(rng: Random, seed: int) -> None:
    check_leaving(rng, seed)


def test_thirty_questions_after_another() -> None:
    for seed in range(30):
        check_leaving(Random(seed), seed)


@pytest.mark.soak
@by_seeds(60_000, at_once=1_000)
def test_the_same_many_times(seeds: range) -> None:
    try_each(seeds, lambda seed: check_leaving(Random(seed), seed))


def test_a_person_with_full_contributions_has_the_norm_and_a_heavier_one_no_more() -> None:
    made = {TNM: catalog_of(TNM, contribution=Contribution(3, 2))}
    sql = "SELECT region, COUNT(*) AS n FROM tnm.visits GROUP BY region"
    a_plan = admit(sql, None, made, pure=True)
    for regions in (("nord", "sud"), ("nord", "sud", "est")):
        rows = tuple(visit(region=region) for region in regions for _ in range(3))
        found = admit(sql, None, made, pure=True)
        length = sum(map(abs, Engine(found).vector(Room(made, {TNM: (rows,)}))))
        assert a_plan.bounds.norm - len(regions) <= length <= a_plan.bounds.norm


def test_one_number_has_the_noise_of_whole_persons_and_a_shortened_one_that_of_the_lattice() -> None:
    made = {TNM: catalog_of(TNM, contribution=Contribution(3, 2))}
    grains = {
        "SELECT COUNT(DISTINCT person) AS n FROM tnm.visits": 1,
        "SELECT COUNT(*) AS n FROM tnm.visits": 1,
        "SELECT SUM(seats) AS n FROM tnm.visits": 1,
        "SELECT COUNT(DISTINCT person) AS n, COUNT(*) AS m FROM tnm.visits": 1,
        # Two of three regions in full: who goes to all is shortened.
        "SELECT region, COUNT(DISTINCT person) AS n FROM tnm.visits GROUP BY region": None,
        "SELECT AVG(seats) AS n FROM tnm.visits": None,
    }
    for sql, unit in grains.items():
        bounds = admit(sql, None, made, pure=True).bounds
        steps = [component.steps for component in bounds.components]
        assert bounds.grain == (1 if unit is None else math.gcd(*steps)), sql
        assert admit(sql, None, made).bounds.grain == 1


def test_a_number_between_two_grains_gets_no_noise() -> None:
    made = {TNM: catalog_of(TNM, contribution=Contribution(3, 2))}
    a_plan = admit("SELECT COUNT(DISTINCT person) AS n FROM tnm.visits", None, made, pure=True)
    (noise,) = priced((a_plan,), Epsilon(Decimal(1)), {TNM}).noises
    room, _ = charges_of(draws(a_plan.bounds, noise), {TNM}, {TNM})
    draw(a_plan, noise, ExactVector((7 * a_plan.bounds.grain,)), None, room)
    with pytest.raises(InvariantBroken):
        draw(a_plan, noise, ExactVector((7 * a_plan.bounds.grain + 1,)), None, room)


@pytest.mark.parametrize("epsilon", ["0.5", "1", "2"])
def test_a_single_count_errs_as_little_as_whole_noise_can(epsilon: str) -> None:
    """Its law is that of the geometric mechanism, the best there is for one count: mean error 2q/(1 - q²), q = e^-ε."""
    made = {TNM: catalog_of(TNM)}
    a_plan = admit("SELECT COUNT(DISTINCT person) AS n FROM tnm.visits", None, made, pure=True)
    (noise,) = priced((a_plan,), Epsilon(Decimal(epsilon)), {TNM}).noises
    room, _ = charges_of(draws(a_plan.bounds, noise), {TNM}, {TNM})
    (unit,) = (component.step for component in a_plan.bounds.components)
    many = 4_000
    drawn = [draw(a_plan, noise, ExactVector((0,)), None, room).steps[0] * unit for _ in range(many)]
    assert all(each.denominator == 1 for each in drawn)
    assert lies_within(Counter(map(int, drawn)), 1 / float(epsilon), many)
    inside = sum(
        abs(each) * a_plan.bounds.components[0].steps <= vector_margin95(a_plan.bounds, noise.vector or 0)
        for each in drawn
    )
    assert inside / many >= 0.95 - math.sqrt(math.log(1 / FALSE_ALARM) / (2 * many))


def test_hiding_at_one_member_reaches_twice_the_norm() -> None:
    """A person in one cell at tnm whom francos' rows pull into others: a table charged for the norm would pay half."""
    made = {
        table: catalog_of(table, seats=(0, 1_000), most_rows=2_000, contribution=Contribution(1, 1))
        for table in (TNM, FRANCOS)
    }
    sql = f"SELECT seats, COUNT(*) AS n FROM ({BOTH.format(columns='seats')}) AS t GROUP BY seats"  # noqa: S608
    a_plan = admit(sql, None, made, pure=True)
    others = tuple(visit(seats=seats) for seats in range(1, 1_001))
    room = Room(made, {TNM: ((visit(seats=0),),), FRANCOS: (others,)})
    engine = Engine(a_plan)
    moved = distance(engine.vector(room), engine.vector(room.without(0, {FRANCOS})))
    assert 1.9 * a_plan.bounds.norm < moved <= furthest(a_plan)


def test_keys_without_a_domain_are_refused_and_quantiles_are_answered() -> None:
    made = {TNM: catalog_of(TNM)}
    sql = "SELECT channel, COUNT(DISTINCT person) AS n FROM tnm.visits GROUP BY channel"
    admit(sql, None, made)
    for each in (sql, sql.replace("COUNT(DISTINCT person)", "MEDIAN(seats)")):
        with pytest.raises(Refused) as caught:
            admit(each, None, made, pure=True)
        assert caught.value.refusals[0].hint is not None
        assert "delta 0" in caught.value.refusals[0].hint.en
    for each in ("SELECT MEDIAN(seats) AS m FROM tnm.visits", "SELECT QUANTILE_DISC(seats, 0.9) AS m FROM tnm.visits"):
        plan = admit(each, None, made, pure=True)
        assert all(isinstance(bound, PureQuantileBound) for bound in plan.bounds.quantiles)
        other = admit(each, None, made)
        assert not any(isinstance(bound, PureQuantileBound) for bound in other.bounds.quantiles)
        assert plan.numbers() != other.numbers()


# Price

TABLES = (TNM, TableName.parse("francos.visits"))


def priced(plans: tuple[Plan, ...], wanted: Precision, pure: set[TableName], *, limit: str | None = None) -> Priced:
    rule = open_rule(limit=limit)
    tables = {table for plan in plans for table in plan.tables}
    budgets = {
        table: BudgetTerms(Decimal(20), Fraction(0) if table in pure else Fraction(1, 10**7), SpendingWindow.NEVER)
        for table in tables
    }
    return price(plans, wanted, dict.fromkeys(tables, rule), budgets)


def asked(listed: tuple[object, ...], *, two: bool, threshold: int = 0, shares: tuple[Fraction, ...] = ()) -> Plan:
    a_plan = planned(KEYS[1], listed, 3, 2, threshold, shares=shares, pure=True)
    both = Semi(Scan(TNM, ("c0", "c1", "c2")), Scan(TABLES[1], ()))
    return replace(a_plan, relation=both) if two else a_plan


@given(
    st.lists(st.sampled_from(STATISTICS), min_size=1, unique=True),
    st.booleans(),
    st.sampled_from((0, 20)),
    st.sampled_from(("0.05", "0.3", "2")),
    st.lists(st.sampled_from((1, 2, 100)), min_size=7, max_size=7),
)
@settings(LIMITS, max_examples=100)
def test_a_pure_epsilon_is_shared_out_and_used_up(
    listed: list[object], two: bool, threshold: int, epsilon: str, weights: list[int]
) -> None:
    shares = tuple(map(Fraction, weights[: len(listed)]))
    plans = (asked(tuple(listed), two=two, threshold=threshold, shares=shares), asked(SUMS[:1], two=False))
    found = priced(plans, Epsilon(Decimal(epsilon)), {TNM})
    by_account = {charge.account: charge.loss for charge in found.charges}
    own = by_account[AccountId(TNM)]
    limit = PureEpsilon.at_most(Fraction(epsilon))
    assert isinstance(own, PureEpsilon)
    assert limit.pico * 0.999_999 <= own.pico <= limit.pico
    # What the zCDP accounts pay: half the square of each release's epsilon, added.
    # A quantile is read in rounds, 51 candidates in six: each costs half the square of its own epsilon.
    exact = Fraction(0)
    for plan, noise in zip(plans, found.noises, strict=True):
        assert (noise.vector is None) == (not plan.bounds.components)
        if noise.vector is not None:
            exact += (Fraction(plan.bounds.norm) / Fraction(noise.vector)) ** 2 / 2
        for bound, scale in zip(plan.bounds.quantiles, noise.quantiles, strict=True):
            exact += 6 * (2 * max(bound.below, bound.above) * Fraction(bound.norm) / Fraction(scale)) ** 2 / 2
    room = by_account[ROOM]
    assert isinstance(room, Rho)
    assert exact <= room.as_fraction() <= exact + Fraction(2, 10**12)
    if two:
        assert isinstance(by_account[AccountId(TABLES[1])], Rho)
    assert not any(charge.delta_threshold for charge in found.charges)
    assert Fraction(found.epsilon) >= own.as_fraction() * Fraction(999_999, 10**6)
    split = split_of(plans, found.noises)
    assert sum(split.statistics.values(), split.threshold) == 1


@given(st.lists(st.sampled_from(SUMS[:3]), min_size=1, unique=True), st.booleans(), st.integers(2, 5_000))
@settings(LIMITS, max_examples=60)
def test_a_pure_margin_is_met_at_the_least_cost(listed: list[object], two: bool, margin: int) -> None:
    a_plan = asked(tuple(listed), two=two)
    (noise,) = priced((a_plan,), Margin(Decimal(margin)), {TNM}).noises
    assert noise.vector is not None
    steps = [float(component.step) for component in a_plan.bounds.components]
    widest = max(steps)
    assert vector_margin95(a_plan.bounds, noise.vector) * widest <= margin * (1 + 1e-12)
    assert vector_margin95(a_plan.bounds, noise.vector * (1 + 2.0**-20)) * widest > margin * (1 - 1e-12)


def test_limits_and_defaults_are_epsilons_themselves() -> None:
    a_plan = asked(SUMS[:2], two=True)
    default = priced((a_plan,), Default(), {TNM}, limit="0.5")
    assert default.epsilon == pytest.approx(0.4, rel=1e-6)
    assert priced((a_plan,), Epsilon(Decimal("0.5")), {TNM}, limit="0.5").charges
    with pytest.raises(Refused) as caught:
        priced((a_plan,), Epsilon(Decimal("0.51")), {TNM}, limit="0.5")
    assert caught.value.code == "epsilon_over_limit"
    with pytest.raises(Refused):
        priced((a_plan,), Epsilon(Decimal("1e-12")), {TNM, TABLES[1]}) and priced(
            (a_plan, a_plan), Epsilon(Decimal("1e-12")), {TNM}
        )


@given(st.integers(1, 2**62), st.booleans(), st.fractions("1/100000", 20, max_denominator=10**6))
def test_the_least_pure_scale_is_least(norm: int, alone: bool, epsilon: Fraction) -> None:
    reach = Reach(norm, norm * VectorShape.SIGNED.diameter_factor)
    scale = least_pure_scale(reach, tables_alone=alone, epsilon=epsilon)
    largest = reach.largest(tables_alone=alone)
    assert Fraction(largest) / Fraction(scale) <= epsilon < Fraction(largest) / Fraction(math.nextafter(scale, 0))


def test_gaussian_noise_pays_no_pure_account() -> None:
    with pytest.raises(InvariantBroken):
        charges_of((Draw(Reach(1, 2), Fraction(1)),), {TNM}, {TNM})
    with pytest.raises(InvalidPrivacyParameter):
        least_pure_scale(Reach(1, 2), tables_alone=True, epsilon=Fraction(0))
    a_plan = asked(SUMS[:1], two=False)
    (noise,) = priced((a_plan,), Epsilon(Decimal(1)), {TNM}).noises
    assert all(draw.pure for draw in draws(a_plan.bounds, noise))


# Noise


@given(st.integers(1, 10**6), st.fractions("1/100", 10, max_denominator=1_000))
@settings(LIMITS, max_examples=60)
def test_opendp_says_what_the_exact_quotient_says(norm: int, epsilon: Fraction) -> None:
    scale = least_pure_scale(Reach(norm, norm), tables_alone=True, epsilon=epsilon)
    exact = Fraction(norm) / Fraction(scale)
    measurement = dp.m.make_laplace(dp.vector_domain(dp.atom_domain(T="i64")), dp.l1_distance(T="i64"), scale=scale)
    assert exact <= Fraction(float(measurement.map(norm))) <= exact * (1 + Fraction(1, 2**49))
    add_laplace([0, 5], norm=norm, scale=scale, charged=PureEpsilon.at_least(exact))
    with pytest.raises(InvariantBroken):
        add_laplace([0], norm=norm, scale=scale, charged=PureEpsilon(PureEpsilon.at_most(exact).pico - 1))
    with pytest.raises(InvariantBroken):
        add_laplace([0], norm=norm + norm // 1000 + 1, scale=scale, charged=PureEpsilon.at_least(exact))


def test_not_a_step_too_little_is_charged() -> None:
    """Of an epsilon of 10 000 a step is less than the slack that OpenDP's float is given: the exact check sees it."""
    whole = PureEpsilon(10**16)
    add_laplace([0], norm=10**6, scale=100.0, charged=whole)
    with pytest.raises(InvariantBroken):
        add_laplace([0], norm=10**6, scale=100.0, charged=PureEpsilon(whole.pico - 1))


@pytest.mark.parametrize("scale", [0.3, 1.0, 7.5, 400.0])
def test_laplace_noise_has_the_law_that_it_should(scale: float) -> None:
    """Counts of each value against their probabilities: of the right scale all within bounds, of a wrong one not.

    Of fewer draws a narrow scale that is a tenth too small passes once in twenty.
    """
    many = 120_000
    epsilon = PureEpsilon.at_least(1 / Fraction(scale))
    noised = Counter(add_laplace([0] * many, norm=1, scale=scale, charged=epsilon))
    assert lies_within(noised, scale, many)
    assert not lies_within(noised, scale * 1.1, many)
    assert not lies_within(noised, scale / 1.1, many)


def lies_within(counted: Counter[int], scale: float, many: int) -> bool:
    """Hold P(|noise| ≤ a) for a few a against what was drawn, by Hoeffding's bound at 1e-9 together."""
    q = math.exp(-1 / scale)
    places = [0, int(scale / 2), int(scale), int(2 * scale), int(3 * scale)]
    slack = math.sqrt(math.log(2 * len(places) / FALSE_ALARM) / (2 * many))
    for a in places:
        inside = sum(count for value, count in counted.items() if abs(value) <= a)
        if abs(inside / many - (1 - 2 * q ** (a + 1) / (1 + q))) > slack:
            return False
    return True


@given(st.floats(0.05, 1e9))
def test_the_laplace_margin_is_the_least_that_holds(scale: float) -> None:
    def beyond(a: float) -> float:
        return 2 * math.exp(-(a + 1) / scale) / (1 + math.exp(-1 / scale))

    a = laplace_margin95(scale)
    assert beyond(a) <= 0.05
    assert a == 0 or beyond(a - 1) > 0.05 * (1 - 1e-6)
    bounds = replace(asked(SUMS[:1], two=False).bounds)
    assert vector_margin95(bounds, scale) == a
    if scale > 10:
        assert vector_deviation(bounds, scale) == pytest.approx(scale * math.sqrt(2), rel=0.01)


@pytest.mark.parametrize("margin", [1, 3, 50, 9_000, 10**9])
def test_no_laplace_scale_above_the_one_chosen_keeps_a_margin(margin: int) -> None:
    scale = largest_laplace_scale(Fraction(margin))
    assert laplace_margin95(scale) <= margin < laplace_margin95(scale * (1 + 2.0**-20))


def test_a_pure_draw_is_laplace() -> None:
    """Of many cells at scale s: Laplace has a third of the mass beyond s·ln 3, Gaussian noise of scale s 27 %."""
    cells = 20_000
    keys = (CategoryKey(0, tuple(f"v{place}" for place in range(cells)), nullable=False),)
    a_plan = planned(keys, SUMS[:1], 3, 1, pure=True)
    (noise,) = priced((a_plan,), Epsilon(Decimal(1)), {TNM}).noises
    assert noise.vector is not None
    room, _ = charges_of(draws(a_plan.bounds, noise), {TNM}, {TNM})
    drawn = draw(a_plan, noise, ExactVector((0,) * cells), None, room)
    beyond = sum(abs(step) > noise.vector * math.log(3) for step in drawn.steps)
    slack = math.sqrt(math.log(2 / FALSE_ALARM) / (2 * cells)) + 0.002
    assert abs(beyond / cells - 1 / 3) < slack < 1 / 3 - 0.272


# Bounds that are chosen

CHOSEN = {
    "rows": ("SELECT region, COUNT(*) AS n FROM tnm.visits GROUP BY region", AskedBounds(max_rows=Auto.AUTO)),
    "total": ("SELECT region, SUM(seats) AS s FROM tnm.visits GROUP BY region", AskedBounds(max_sum=Auto.AUTO)),
    "mean": ("SELECT region, AVG(seats) AS v FROM tnm.visits GROUP BY region", AskedBounds(max_rows=Auto.AUTO)),
    "cells": ("SELECT region, COUNT(*) AS n FROM tnm.visits GROUP BY region", AskedBounds(max_groups=Auto.AUTO)),
    "one": ("SELECT COUNT(*) AS n FROM tnm.visits", AskedBounds(max_rows=Auto.AUTO)),
}


def chosen(name: str, *, two: bool = False) -> Plan:
    sql, asked_bounds = CHOSEN[name]
    made = {table: catalog_of(table, most_rows=200, contribution=Contribution(3, 2)) for table in (TNM, FRANCOS)}
    if two:
        sql = sql.replace("FROM tnm.visits", f"FROM ({BOTH.format(columns='region, seats')}) AS t")
    (release,) = bind_question(parse(sql, None), made, {}).releases
    return bounds_planned(release, asked_bounds, made, 0, pure=True)


@pytest.mark.parametrize("two", [False, True])
@pytest.mark.parametrize("wanted", [Epsilon(Decimal(1)), Margin(Decimal(2_000))])
@pytest.mark.parametrize("name", sorted(CHOSEN))
def test_a_pure_charge_covers_the_choice_and_whatever_it_leads_to(name: str, wanted: Precision, two: bool) -> None:
    if name == "mean" and isinstance(wanted, Margin):
        return
    a_plan = chosen(name, two=two)
    found = priced((a_plan,), wanted, {TNM})
    (noise,), choice = found.noises, a_plan.bounds.choice
    assert choice is not None
    assert noise.choice is not None
    by_account = {charge.account: charge.loss for charge in found.charges}
    tnm, room = by_account[AccountId(TNM)], by_account[ROOM]
    assert isinstance(tnm, PureEpsilon)
    assert isinstance(room, Rho)
    # One person is in one number of persons by size: 1 when they go, 2 when their size changes.
    choosing = Fraction(2 if two else 1) / Fraction(noise.choice.scale)
    assert choosing > 0
    for place in range(len(choice.candidates)):
        settled, scale = a_plan.settled(place), noise.choice.settled[place].vector
        assert scale is not None
        after = Fraction(furthest(settled)) / Fraction(scale)
        assert after + choosing <= tnm.as_fraction()
        everywhere = (Fraction(settled.bounds.norm) / Fraction(scale)) ** 2 + 1 / Fraction(noise.choice.scale) ** 2
        assert everywhere / 2 <= room.as_fraction()
    if isinstance(wanted, Epsilon):
        assert tnm.pico <= PureEpsilon.at_most(Fraction(1)).pico <= tnm.pico * 1.000_001
    assert split_of((a_plan,), (noise,)).statistics


def test_pure_totals_are_chosen_among_as_wide_ones_as_the_default_s_length() -> None:
    """Seats go up to 12, three rows count by default, two cells in full: 72 in L1, which one cell in full gives too."""
    made = {TNM: catalog_of(TNM, most_rows=200, contribution=Contribution(3, 2))}

    def widest(said: str, rows: int | None = None, groups: int | None = None, *, pure: bool = True) -> int:
        sql = f"SELECT region, {said} FROM tnm.visits GROUP BY region"  # noqa: S608 - the statistics of this test
        (release,) = bind_question(parse(sql, None), made, {}).releases
        a_plan = bounds_planned(release, AskedBounds(rows, groups, Auto.AUTO), made, 0, pure=pure)
        assert a_plan.bounds.choice is not None
        assert a_plan.bounds.choice.candidates[-1] == max(each.natural for each in a_plan.bounds.components)
        return a_plan.bounds.choice.candidates[-1]

    total = "SUM(seats) AS s"
    assert widest(total) == widest(f"{total}, COUNT(DISTINCT person) AS n") == 72
    # Rows that were given, or that something else counts by, stay as they are.
    assert widest(total, rows=3) == widest(total, groups=2) == widest(f"{total}, COUNT(*) AS n") == 36
    assert widest(total, pure=False) == 36


def test_a_pure_choice_aims_at_its_noise_and_how_far_it_strays() -> None:
    for name in ("total", "rows"):
        a_plan = chosen(name)
        (noise,) = priced((a_plan,), Epsilon(Decimal(1)), {TNM}).noises
        assert noise.choice is not None
        assert noise.vector is not None
        (component,) = a_plan.bounds.components
        there = noise.vector / component.reach * a_plan.bounds.cells
        assert noise.choice.target == math.ceil(FALL * there + math.sqrt(2) / 2 * noise.choice.scale)


def test_of_bounds_that_nobody_exceeds_the_narrowest_is_picked_purely() -> None:
    """Two thousand people with a row each, at ε 1; a false alarm once in 10⁹ rounds of draws."""
    a_plan = chosen("rows")
    found = priced((a_plan,), Epsilon(Decimal(1)), {TNM})
    made, engine, catalog = 300, Engine(a_plan), {TNM: catalog_of(TNM, most_rows=200)}
    visits = tuple((person, visit(region="nord")[1]) for person in range(2_000))
    with engine.reading(Room(catalog, {TNM: (visits,)})):
        picked = [picked_bound(a_plan, found.noises[0], engine.backend, None, found.paid[0][0]) for _ in range(made)]
    stray = math.sqrt(math.log(1 / FALSE_ALARM) / (2 * made))
    choice = a_plan.bounds.choice
    assert choice is not None
    assert picked.count(0) / made > 0.75 - stray > 1 / len(choice.candidates) + stray


def check_sizes(name: str, seeds_tried: int) -> None:
    """Remove each person everywhere, then from one table: persons by size move by no more than is charged."""
    a_plan = chosen(name, two=True)
    choice = a_plan.bounds.choice
    assert choice is not None
    reach = choice_reach(choice)
    made = {table: catalog_of(table, most_rows=200) for table in (TNM, FRANCOS)}
    engine = Engine(a_plan)

    def sizes(room: Room) -> tuple[int, ...]:
        with engine.reading(room):
            columns = size_columns(a_plan, choice)
            return persons_by_size(a_plan, streamed(a_plan, engine.backend, columns), None)

    for seed in range(seeds_tried):
        rng = Random(seed)
        people = [
            [
                tuple(
                    visit(region=rng.choice(("nord", "sud")), seats=rng.choice((0, 3, 9)))
                    for _ in range(rng.choice((0, 1, 5, 40)))
                )
                for _ in range(2)
            ]
            for _ in range(5)
        ]
        room = Room(
            made,
            {
                table: (tuple((person, row[1]) for person, mine in enumerate(people) for row in mine[place]),)
                for place, table in enumerate((TNM, FRANCOS))
            },
        )
        whole = sizes(room)
        for person in room.persons:
            for tables, allowed in ((None, reach.everywhere), ({FRANCOS}, reach.in_one_table)):
                assert distance(whole, sizes(room.without(person, tables))) <= allowed


@pytest.mark.parametrize("name", sorted(CHOSEN))
def test_nobody_moves_persons_by_size_further_than_is_charged(name: str) -> None:
    check_sizes(name, 4)


def test_a_size_is_what_clipping_looks_at() -> None:
    """Of one person with twenty rows in each of two cells the L1 length is forty; L2 would be twenty-eight."""
    a_plan = chosen("rows")
    choice = a_plan.bounds.choice
    assert choice is not None
    assert {24, 32} < set(choice.candidates)
    mine = tuple(visit(region=region) for region in ("nord", "sud") for _ in range(20))
    engine = Engine(a_plan)
    with engine.reading(Room({TNM: catalog_of(TNM, most_rows=200)}, {TNM: (mine,)})):
        counts = persons_by_size(a_plan, streamed(a_plan, engine.backend, size_columns(a_plan, choice)), None)
    assert sum(counts) == 1
    assert ((*choice.candidates, 999)[counts.index(1)]) >= 40


def test_the_best_bound_is_picked_where_its_noise_is_small() -> None:
    a_plan = chosen("one")
    choice = a_plan.bounds.choice
    assert choice is not None
    (noise,) = priced((a_plan,), Epsilon(Decimal(3_000)), {TNM}).noises
    (paid,) = priced((a_plan,), Epsilon(Decimal(3_000)), {TNM}).paid
    assert noise.choice is not None
    visits = tuple((person, visit()[1]) for person in range(40) for _ in range(1 if person else 20))
    made = {TNM: catalog_of(TNM, most_rows=200)}
    engine = Engine(a_plan)
    with engine.reading(Room(made, {TNM: (visits,)})):
        counts = persons_by_size(a_plan, streamed(a_plan, engine.backend, size_columns(a_plan, choice)), None)
        scores = choice.scores(counts, noise.choice.target, noise.choice.pulls)
        for _ in range(5):
            picked = picked_bound(a_plan, noise, engine.backend, None, paid[0])
            assert picked is not None
            assert scores[picked] == max(scores)
