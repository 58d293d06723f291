"""Quantiles of pure releases (S11): how far a person moves what is read, how it is drawn and priced."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pure_plans import priced
from pure_quantiles import FALSE_ALARM, ONE, PURE, bound_of, quantile, readings
from rooms import FRANCOS, TNM, Engine, Room, admit, catalog_of
from searches import LIMITS
from slow_vector import planned, stream
from test_sensitivity import BOTH, visit

from cleanroom.accounting.accountant import Draw, Reach, charges_of
from cleanroom.accounting.privacy_loss import PureEpsilon
from cleanroom.catalog import Contribution
from cleanroom.errors import InvariantBroken
from cleanroom.query import drawing
from cleanroom.query.bound import PureQuantileBound
from cleanroom.query.contribution import ExactVector, contributions
from cleanroom.query.drawing import draw
from cleanroom.query.mechanisms import Noise, draws, quantile_reach
from cleanroom.query.precision import Epsilon
from cleanroom.query.quantiles import no_weights
from cleanroom.query.statistics import CategoryKey, CountRows, NumberKey

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cleanroom.query.plan import Plan


def moved(bound: PureQuantileBound, ours: np.ndarray, theirs: np.ndarray) -> int:
    """Return how far the readings of one round move at most, over all cells together, wherever each is read."""
    pairs = [
        (readings(bound, list(map(int, one))), readings(bound, list(map(int, other))))
        for one, other in zip(ours, theirs, strict=True)
    ]
    return sum(max(abs(a - b) for a, b in zip(*pair, strict=True)) for pair in pairs)


def allowed(bound: PureQuantileBound, *, one_cell: bool) -> tuple[int, int]:
    """Return how far a round's readings may move, everywhere and in one table, stated apart from the product."""
    most = max(bound.below, bound.above)
    sides = bound.below + bound.above if one_cell else 2 * most
    return 2 * most * bound.norm, 2 * sides * bound.norm


def check_readings(seed: int) -> None:
    """Remove a person, and replace their rows by any others: the readings move by what is charged, at most."""
    rng = Random(seed)
    cells, groups = rng.choice((1, 1, 2, 5)), rng.choice((1, 2))
    fraction = rng.choice(("1/2", "1/10", "9/10", "0", "1", "1/3"))
    keys = (NumberKey(1, 0, cells - 1, ONE, nullable=False),) if cells > 1 else ()
    sets = rng.choice(((), ((0,), ()))) if keys else ()
    upper = rng.choice((0, 1, 10, 10_000_000))
    a_plan = planned(keys, (quantile(fraction, upper),), rng.choice((1, 3)), groups, sets=sets, pure=True)
    (bound,) = a_plan.bounds.quantiles
    assert isinstance(bound, PureQuantileBound)
    width = rng.choice((1, 4, 60))

    def person() -> list[tuple[int, int]]:
        values = (0, upper, upper // 2, rng.randrange(upper + 1))
        return [(rng.choice(values), rng.randrange(cells)) for _ in range(rng.randrange(1, width + 1))]

    def weights(*persons: list[tuple[int, int]]) -> np.ndarray:
        found: np.ndarray = contributions(a_plan, stream(list(persons), 2)).weights[0]
        return found

    crowd = [person() for _ in range(3)]
    mine, other = person(), person()
    whole = weights(*crowd, mine)
    everywhere, in_one_table = allowed(bound, one_cell=a_plan.bounds.cells == 1)
    assert int(weights(mine).sum()) <= bound.norm
    if bound.candidates < 1_000:
        assert moved(bound, whole, weights(*crowd)) <= everywhere
        assert moved(bound, whole, weights(*crowd, other)) <= in_one_table
    reach = quantile_reach(bound, one_cell=a_plan.bounds.cells == 1)
    assert reach == Reach(everywhere, in_one_table)
    (due,) = draws(a_plan.bounds, Noise(None, (float(bound.norm),)))
    assert due.epsilon_at(everywhere) == bound.rounds * Fraction(everywhere, bound.norm)
    assert due.loss_at(everywhere) == bound.rounds * Fraction(everywhere, bound.norm) ** 2 / 2
    assert 2**bound.rounds >= bound.candidates


@given(st.integers(0, 2**32))
@settings(LIMITS, max_examples=200)
def test_nobody_moves_readings_further_than_is_charged(seed: int) -> None:
    check_readings(seed)


def test_a_hundred_after_another() -> None:
    for seed in range(100):
        check_readings(seed)


def check_full_reach() -> None:
    """A person everywhere, and one hidden at one member, move the readings by all that they are charged for."""
    near = Fraction(99_999, 100_000)
    for fraction in ("1/2", "1/10"):
        bound = bound_of(quantile(fraction))
        a_plan = planned((), (quantile(fraction),), 2, 1, pure=True)
        low, high = (contributions(a_plan, stream([[(value,)] * 7], 1)).weights[0] for value in (0, 10))
        nobody = no_weights(bound, 1)
        most, in_one_table = allowed(bound, one_cell=True)
        assert most * near <= max(moved(bound, nobody, low), moved(bound, nobody, high)) <= most
        assert in_one_table * near <= moved(bound, low, high) <= in_one_table
    # In two cells, one before and one after, a person moves both.
    a_plan = planned((CategoryKey(1, ("a", "b"), nullable=False),), (quantile("1/10"),), 2, 1, pure=True)
    (bound,) = a_plan.bounds.quantiles
    assert isinstance(bound, PureQuantileBound)
    first, second = (contributions(a_plan, stream([[(0, cell)] * 7], 2)).weights[0] for cell in (0, 1))
    _, in_one_table = allowed(bound, one_cell=False)
    assert in_one_table * near <= moved(bound, first, second) <= in_one_table


def test_readings_reach_what_is_charged() -> None:
    check_full_reach()


def test_hiding_at_one_member_moves_readings_twice_as_far_and_a_person_everywhere_once() -> None:
    """A person in one cell at tnm whom francos' rows pull into others, as in S2."""
    made = {
        table: catalog_of(table, seats=(0, 100), most_rows=2_000, contribution=Contribution(1, 1))
        for table in (TNM, FRANCOS)
    }
    sql = f"SELECT seats, MEDIAN(seats) AS q FROM ({BOTH.format(columns='seats')}) AS t GROUP BY seats"  # noqa: S608
    a_plan = admit(sql, None, made, pure=True)
    (bound,) = a_plan.bounds.quantiles
    assert isinstance(bound, PureQuantileBound)
    others = tuple(visit(seats=seats) for seats in range(1, 101))
    room = Room(made, {TNM: ((visit(seats=0),),), FRANCOS: (others,)})
    engine = Engine(a_plan)
    whole, without, nobody = (
        engine.exact(each).weights[0] for each in (room, room.without(0, {FRANCOS}), room.without(0))
    )
    everywhere, in_one_table = allowed(bound, one_cell=False)
    assert 1.9 * bound.norm < moved(bound, whole, without) / 2 <= in_one_table / 2
    assert 0.9 * everywhere < moved(bound, whole, nobody) <= everywhere
    reach = quantile_reach(bound, one_cell=False)
    assert reach == Reach(everywhere, in_one_table)


def check_weights_are_clipped() -> None:
    """In fifty cells, two in full: all weights together are as long as the norm in L1, to the last step no longer."""
    a_plan = planned((NumberKey(0, 0, 49, ONE, nullable=False),), (quantile(upper=3, column=1),), 3, 2, pure=True)
    (bound,) = a_plan.bounds.quantiles
    assert bound.norm == 2 * 3 * bound.weight
    for each in (1, 3, 20):
        spread = contributions(a_plan, stream([[(cell, 1) for cell in range(50)] * each], 2)).weights[0]
        assert bound.norm * 0.999 <= int(spread.sum()) <= bound.norm
    two = contributions(a_plan, stream([[(cell, 1) for cell in range(2)] * 3], 2)).weights[0]
    assert int(two.sum()) == bound.norm
    # Two persons, each cut alone.
    both = contributions(a_plan, stream([[(cell, 1) for cell in range(50)], [(0, 1)]], 2)).weights[0]
    assert bound.norm * 0.999 + bound.weight <= int(both.sum()) <= bound.norm + bound.weight


def test_weights_of_many_cells_are_as_long_as_the_norm() -> None:
    check_weights_are_clipped()


def pure_plan(*more: Any, keys: tuple[Any, ...] = (CategoryKey(1, ("a", "b"), nullable=False),)) -> Plan:
    return planned(keys, (quantile(), *more), 2, 1, pure=True)


def test_each_round_is_drawn_with_its_norm_scale_and_part_of_the_charge(monkeypatch: pytest.MonkeyPatch) -> None:
    a_plan = pure_plan(CountRows(), quantile("1/10"))
    (noise,) = priced((a_plan,), Epsilon(Decimal(1)), {TNM}).noises
    charge = charges_of(draws(a_plan.bounds, noise), PURE, PURE)[0]
    given: list[dict[str, Any]] = []

    def noised(values: Sequence[int], **more: Any) -> tuple[int, ...]:
        given.append(more)
        return tuple(values)

    monkeypatch.setattr(drawing, "add_laplace", noised)
    exact = contributions(a_plan, stream([[(3, 0), (5, 1)], [(9, 1)]], 2))
    draw(a_plan, noise, exact, None, charge)
    vector, *others = given
    assert vector["norm"] == a_plan.bounds.norm // a_plan.bounds.grain
    for bound, scale in zip(a_plan.bounds.quantiles, noise.quantiles, strict=True):
        assert isinstance(bound, PureQuantileBound)
        mine = {
            "norm": 2 * max(bound.below, bound.above) * bound.norm,
            "scale": scale,
            "charged": PureEpsilon.at_least(Fraction(bound.reading) / Fraction(scale)),
        }
        assert others[0] == mine
        while others and others[0] == mine:
            others.pop(0)
    assert not others


def check_nothing_more_is_read() -> None:
    """More rounds than were charged stop the question."""
    bound = bound_of(quantile())
    a_plan = pure_plan(keys=())
    scale = float(bound.reading)
    due = Draw(Reach(bound.reading, 2 * bound.reading), Fraction(scale), pure=True, times=bound.rounds - 1)
    weights = contributions(a_plan, stream([[(3, 0)]] * 10_000, 2)).weights[0]
    with pytest.raises(InvariantBroken):
        drawing._chosen(bound, weights, scale, due)


def test_nothing_more_is_read_than_was_charged() -> None:
    check_nothing_more_is_read()
    (wide,) = draws(pure_plan(keys=()).bounds, Noise(None, (1e9,)))
    assert wide.pure


def test_a_quantile_and_a_count_share_an_epsilon_out_by_weights() -> None:
    made = {TNM: catalog_of(TNM)}
    sql = "SELECT COUNT(*) AS n, MEDIAN(seats) AS q FROM tnm.visits"
    for weights, ratio in ((None, 1), (Fraction(3), 3)):
        kind: Callable[[], Fraction] | None = None
        if weights is not None:
            given = iter((ONE, weights))
            kind = lambda given=given: next(given)  # noqa: E731 - one name, one weight
        a_plan = admit(sql, None, made, pure=True, weigh=kind)
        found = priced((a_plan,), Epsilon(Decimal("0.8")), {TNM})
        vector, read = draws(a_plan.bounds, found.noises[0])
        parts = [each.epsilon_at(each.reach.everywhere) for each in (vector, read)]
        assert float(parts[1] / parts[0]) == pytest.approx(ratio, rel=1e-9)
        assert Fraction(799_999, 10**6) <= sum(parts) <= Fraction(8, 10)


def test_readings_have_laplace_s_law_of_the_scale_that_was_priced(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is added to a reading, over many draws: its mean size is 2q/(1 − q²), and no other scale's."""
    a_plan = pure_plan(keys=())
    (bound,) = a_plan.bounds.quantiles
    assert isinstance(bound, PureQuantileBound)
    scale = float(bound.reading) * 4
    charge = charges_of(draws(a_plan.bounds, Noise(None, (scale,))), PURE, PURE)[0]
    whole = drawing.add_laplace
    sizes: list[float] = []

    def seen(values: Sequence[int], **more: Any) -> tuple[int, ...]:
        noised = whole(values, **more)
        sizes.extend(abs(a - b) / scale for a, b in zip(noised, values, strict=True))
        return noised

    monkeypatch.setattr(drawing, "add_laplace", seen)
    weights = contributions(a_plan, stream([[(3, 0)]] * 9, 2)).weights[0]
    for _ in range(1_500):
        draw(a_plan, Noise(None, (scale,)), ExactVector((), (weights,)), None, charge)
    # P(|noise| > s·ln 2) is one half; by Hoeffding the share strays by less than this but once in 10⁹.
    stray = math.sqrt(math.log(2 / FALSE_ALARM) / (2 * len(sizes)))
    for times in (1.0, 0.7, 1.4):
        share = sum(each > times * math.log(2) for each in sizes) / len(sizes)
        assert (abs(share - 0.5) <= stray) == (times == 1.0)
