"""Pure questions (S11): nobody moves a vector further in L1 than its norm, nor what a quantile is read from."""

from __future__ import annotations

import math
from collections import Counter
from decimal import Decimal
from functools import partial
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from pure_plans import FALSE_ALARM, distance, furthest, lies_within, priced
from questions import question
from rooms import FRANCOS, TNM, Engine, Room, admit, catalog_of, catalogs, choices, hostile_room, seeds
from searches import LIMITS, by_seeds, try_each
from test_sensitivity import BOTH, visit, weight

from cleanroom.accounting.accountant import Reach, charges_of
from cleanroom.catalog import Contribution
from cleanroom.errors import InvariantBroken, Refused
from cleanroom.query.bound import PureQuantileBound, QuantileBound
from cleanroom.query.contribution import ExactVector
from cleanroom.query.drawing import draw
from cleanroom.query.mechanisms import draws, shape_of, vector_margin95
from cleanroom.query.plan import Plan
from cleanroom.query.precision import Epsilon


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
