"""Who is counted in full comes to the same as everybody one after another; who is not is left, whole."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from slow_vector import check_kernel, planned, stream

from cleanroom.query import contribution
from cleanroom.query.contribution import contributions
from cleanroom.query.in_full import add_in_full
from cleanroom.query.statistics import CategoryKey, CountPersons, CountRows, Mean, Sum, Variance

if TYPE_CHECKING:
    from cleanroom.query.plan import Plan

ONE = Fraction(1)
KEY = CategoryKey(0, ("a", "b", "c", "d"), nullable=False)
ASKED: Any = (
    (CountRows(),),
    (CountPersons(),),
    (CountPersons(), CountRows()),
    (Sum(1, 0, 9, ONE),),
    (Sum(1, -9, 9, ONE),),
    (Sum(1, -3, 9, ONE), CountRows()),
    (Mean(1, 0, 9, ONE),),
    (Mean(1, -9, 5, ONE), CountPersons()),
    (Sum(1, 0, 9, ONE), Mean(1, 0, 9, ONE), Sum(2, 0, 40, ONE)),
    (Mean(1, 0, 9, ONE), Variance(2, 0, 9, ONE, sample=False, root=False)),
)


def both_ways(plan: Plan, rows: Any) -> tuple[tuple[int, ...], int]:
    """Return the vector, found equal to the one with nobody counted in full, and how many persons were left."""
    left: list[int] = []

    def counted(*arguments: Any) -> Any:
        persons = add_in_full(*arguments)
        left.append(len(persons))
        return persons

    def everybody_left(_: Any, starts: Any, *__: Any) -> Any:
        left.append(len(starts) - 1)
        return np.arange(len(starts) - 1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contribution, "add_in_full", counted)
        found = contributions(plan, rows).values
        patch.setattr(contribution, "add_in_full", everybody_left)
        assert contributions(plan, rows).values == found
    return found, left[0] if left else len(rows.persons)


def some_persons(rng: Random) -> Any:
    """Return persons of few rows and of many, in no cell, in one and in several, with values beyond the bounds."""
    persons: Any = []
    for _ in range(rng.randrange(1, 30)):
        rows = rng.choice((1, 1, 1, 2, 3, 5, 9, 40))
        home, away = rng.choice((0, 1, 2, 3, 7)), rng.choice((0.0, 0.1, 0.9))
        largest = rng.choice((0, 1, 3, 12, 2**40))
        persons.append(
            [
                (
                    rng.randrange(-1, 5) if rng.random() < away else home,
                    rng.randrange(-largest, largest + 1),
                    rng.randrange(0, largest + 1),
                )
                for _ in range(rows)
            ]
        )
    return persons


def check_both_ways(first: int, end: int) -> None:
    """Compare the two ways where bounds bind and where they do not: no float enters what is counted in full."""
    left, everybody = 0, 0
    for seed in range(first, end):
        rng = Random(seed)
        for statistics in ASKED:
            keys: Any = rng.choice(((), (KEY,), (KEY,)))
            sets: Any = rng.choice(((), ((0,), ()))) if keys else ()
            plan = planned(
                keys, statistics, rng.choice((1, 2, 5)), rng.choice((1, 2, 4)), rng.choice((0, 9)), sets,
                pure=rng.random() < 0.3,
            )  # fmt: skip
            if rng.random() < 0.4:
                shorter = max(1, plan.bounds.norm * rng.randrange(1, 12) // 12)
                plan = replace(plan, bounds=replace(plan.bounds, norm=shorter))
            rows = stream(some_persons(rng), 3)
            left += both_ways(plan, rows)[1]
            everybody += len(rows.persons)
            if not plan.bounds.pure:
                check_kernel(plan, rows)
    assert everybody / 10 < left < everybody * 9 / 10, "hardly anybody goes one of the ways"


@pytest.mark.parametrize("first", range(0, 100, 10))
def test_both_ways_come_to_the_same(first: int) -> None:
    check_both_ways(first, first + 10)


def test_who_has_very_many_rows_is_left() -> None:
    plan = planned((KEY,), (CountPersons(), Sum(1, 0, 9, ONE)), 5_000, 4)
    persons: Any = [[(0, 1, 0)] * rows for rows in (1_023, 1_024, 1_025, 1)]
    assert both_ways(plan, stream(persons, 3))[1] == 1


def test_who_is_in_more_cells_than_are_looked_up_is_left() -> None:
    key = CategoryKey(0, tuple(map(str, range(80))), nullable=False)
    plan = planned((key,), (CountPersons(),), 1, 70)
    persons: Any = [[(cell, 0, 0) for cell in range(count)] for count in (1, 62, 63, 64, 75)]
    found, left = both_ways(plan, stream(persons, 3))
    assert left == 3
    assert sum(found) < sum(len(person) for person in persons) * plan.bounds.components[0].steps


def test_who_has_more_counted_rows_than_are_looked_up_is_left() -> None:
    plan = planned((KEY,), (CountRows(),), 70, 4)
    persons: Any = [[(0, 0, 0)] * count for count in (1, 62, 63, 64, 90)]
    narrow = replace(plan, bounds=replace(plan.bounds, norm=64 * plan.bounds.components[0].steps))
    found, left = both_ways(narrow, stream(persons, 3))
    assert left == 3
    assert sum(found) == (1 + 62 + 63 + 64 + 64) * plan.bounds.components[0].steps


def test_a_total_of_more_rows_than_count_is_counted_in_full_within_its_bound() -> None:
    """S33: a total is clamped, not weighted down, so that the number of its rows does not matter."""
    plan = planned((KEY,), (Sum(1, 0, 9, ONE),), 2, 2)
    step = plan.bounds.components[0].steps
    persons: Any = [[(1, 6, 0)] * 3, [(1, 6, 0)] * 4]
    assert both_ways(plan, stream(persons, 3)) == ((0, 18 * step + 18 * step, 0, 0), 1)


def test_sums_over_persons_that_might_not_fit_are_made_the_other_way() -> None:
    plan = planned((KEY,), (CountRows(),), 1, 1)
    long = replace(plan, bounds=replace(plan.bounds, norm=1 << 61))
    assert both_ways(long, stream([[(0, 0, 0)]], 3))[1] == 0
    assert both_ways(long, stream([[(0, 0, 0)], [(1, 0, 0)]], 3))[1] == 2


@pytest.mark.parametrize("sign", [1, -1])
def test_large_entries_are_added_in_both_halves(sign: int) -> None:
    plan = planned((KEY,), (Sum(1, -(2**23), 2**23, ONE),), 1, 1)
    step = plan.bounds.components[0].steps
    assert 2**23 * step > 2**36
    persons: Any = [[(0, sign * 2**23, 0)], [(0, sign * (2**23 - 1), 0)], [(2, sign * 5, 0)]]
    found, left = both_ways(plan, stream(persons, 3))
    assert (found, left) == ((sign * (2**24 - 1) * step, 0, sign * 5 * step, 0), 0)


def test_nobody_is_counted_in_full_where_a_value_is_missing() -> None:
    plan = planned((KEY,), (Sum(1, 0, 9, ONE),), 5, 2)
    persons: Any = [[(0, 1, 0)], [(1, None, 0)]]
    assert both_ways(plan, stream(persons, 3))[1] == 2


def test_a_total_below_its_least_is_not_counted_in_full() -> None:
    plan = planned((), (Sum(1, -1, 9, ONE),), 3, 1)
    assert plan.bounds.components[0].lower == -3
    persons: Any = [[(0, -1, 0)] * 5, [(0, -1, 0)] * 3, [(0, 2, 0)]]
    step = plan.bounds.components[0].steps
    assert both_ways(plan, stream(persons, 3)) == ((step * (-3 - 3 + 2),), 1)


def test_a_mean_whose_rows_all_count_is_counted_in_full() -> None:
    plan = planned((), (Mean(1, 0, 10, ONE),), 2, 1)
    count, total = plan.bounds.components
    rows = stream([[(0, 10, 0), (0, 2, 0)], [(0, 4, 0)], [(0, 4, 0)] * 3], 3)
    assert total.middle == 5
    assert both_ways(plan, rows) == ((5 * count.steps, (5 - 3 - 1) * total.steps - 2 * total.steps), 1)
    # Of a second middle no sizes are kept.
    again = replace(total, middle=4, upper=12, lower=-12)
    twice = replace(plan, bounds=replace(plan.bounds, components=(count, total, again), norm=2 * plan.bounds.norm))
    assert both_ways(twice, rows)[1] == 3


def test_a_mean_whose_bounds_are_narrower_is_not_counted_in_full() -> None:
    """No mean of the product's has such bounds; the proof does not rely on that."""
    plan = planned((), (Mean(1, 0, 10, ONE),), 2, 1)
    count, total = plan.bounds.components
    narrow = replace(plan, bounds=replace(plan.bounds, components=(count, replace(total, lower=-3, upper=3))))
    found, left = both_ways(narrow, stream([[(0, 10, 0)]], 3))
    assert (found[1], left) == (3 * total.steps, 1)


def test_a_row_whose_size_might_not_fit_is_counted_the_other_way() -> None:
    """A narrow bound on totals of wide values: sizes in steps would wrap, and a long total look short."""
    plan = planned((), (Sum(1, 0, 2**44, ONE),), 1, 1)
    narrow = replace(plan.bounds.components[0], upper=1, shift=0, multiplier=1 << 20)
    wide = replace(plan, bounds=replace(plan.bounds, components=(narrow,), norm=narrow.steps))
    # 2^34 times 2^30 steps are 2^64: nothing, if they wrap.
    assert both_ways(wide, stream([[(0, 2**34, 0)]], 3)) == ((narrow.steps,), 1)


def test_what_is_on_a_coarser_unit_is_counted_the_other_way() -> None:
    plan = planned((), (Sum(1, 0, 2**30, ONE),), 3, 1)
    component = plan.bounds.components[0]
    assert component.shift
    found, left = both_ways(plan, stream([[(0, 7, 0)] * 3], 3))
    assert (found, left) == (((21 * component.steps) >> component.shift,), 1)
