"""Who is counted in full comes to the same as everybody one after another; who is not is left, whole."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from slow_vector import as_narrow, check_kernel, planned, stream

from cleanroom.query import contribution
from cleanroom.query.contribution import contributions
from cleanroom.query.in_full import _additive, _largest_row, _most_sizes, _most_sizes_of, _surely, add_in_full
from cleanroom.query.row_passes import add_rows_that_share
from cleanroom.query.statistics import CategoryKey, CountPersons, CountRows, Mean, Sum, Variance

if TYPE_CHECKING:
    from cleanroom.query.plan import Plan

ONE = Fraction(1)
KEY = CategoryKey(0, ("a", "b", "c", "d"), nullable=False)
MANY = CategoryKey(0, tuple(map(str, range(70))), nullable=False)
"""More values than a person's cells have bits."""

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
            keys: Any = rng.choice(((), (KEY,), (KEY,), (MANY,)))
            sets: Any = rng.choice(((), ((0,), ()))) if keys else ()
            plan = planned(
                keys, statistics, rng.choice((1, 2, 5)), rng.choice((1, 2, 4)), rng.choice((0, 9)), sets,
                pure=rng.random() < 0.3,
            )  # fmt: skip
            if rng.random() < 0.4:
                # Shorter; or so long that nothing but the number of rows in a cell decides.
                norm = max(1, plan.bounds.norm * rng.choice((rng.randrange(1, 12), 200)) // 12)
                plan = replace(plan, bounds=replace(plan.bounds, norm=norm))
            rows = stream(some_persons(rng), 3)
            found, fewer = both_ways(plan, rows)
            left += fewer
            assert both_ways(plan, as_narrow(rows, rng.choice((0, 0, 5)))) == (found, fewer)
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
    apart: Any = [[(row % 2, 1, 0) for row in range(count)] for count in (1_024, 1_025)]
    assert both_ways(plan, stream(apart, 3))[1] == 1


@pytest.mark.parametrize("values", [62, 63, 64, 65])
def test_persons_are_told_apart_in_as_many_cells_as_bits_say(values: int) -> None:
    """Also in the last one, and who is in none."""
    key = CategoryKey(0, tuple(map(str, range(values))), nullable=False)
    plan = planned((key,), (CountPersons(), CountRows()), 3, 4)
    cells = (0, 1, values - 2, values - 1, values, -1)
    persons: Any = [[(one, 0, 0), (other, 0, 0)] for one in cells for other in cells]
    assert both_ways(plan, stream(persons, 3))[1] == 0
    for held in (rows for rows in persons if min(rows)[0] >= 0):
        both_ways(plan, as_narrow(stream([held], 3), 0))


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


def test_who_just_fits_is_counted_in_full() -> None:
    """As many rows in a cell as count, of several persons; as many cells as the norm has room for, and no step more."""
    plan = planned((KEY,), (CountRows(),), 2, 4)
    just: Any = [[(0, 0, 0), (1, 0, 0), (0, 0, 0), (1, 0, 0)]] * 3
    assert both_ways(plan, stream(just, 3)) == ((6 * plan.bounds.components[0].steps,) * 2 + (0, 0), 0)
    alone = planned((KEY,), (CountPersons(),), 1, 1)
    assert alone.bounds.norm == alone.bounds.components[0].steps
    assert both_ways(alone, stream([[(0, 0, 0)] * 2, [(3, 0, 0)]], 3))[1] == 0


def test_rows_that_share_a_cell_are_counted_up_to_as_many_as_count() -> None:
    """Also where the norm leaves room for more, and in each of several sets."""
    plan = planned((), (CountPersons(), CountRows()), 3, 1)
    wide = replace(plan, bounds=replace(plan.bounds, norm=100 * plan.bounds.norm))
    persons, rows = (each.steps for each in plan.bounds.components)
    found, left = both_ways(wide, stream([[(0, 0, 0)] * count for count in (1, 3, 4)], 3))
    assert (found, left) == ((3 * persons, 7 * rows), 1)


def test_cells_that_there_are_not_hold_nobody_whose_rows_share_them() -> None:
    most = np.full((64, 64), -1, dtype=np.int64)
    most[2, :9] = 0
    counted = np.zeros((2, 3), dtype=np.int64)
    starts = np.array([0, 1, 3, 6, 8], dtype=np.int64)
    # In the cells 0 and 2 of four sets, so that two rows count as eight.
    left = add_rows_that_share(starts, np.array([0, 3, -1, 2]), 3, 9, most, counted)
    assert left.tolist() == [2]
    assert counted.tolist() == [[3, 0, 3], [5, 0, 5]]
    assert add_rows_that_share(
        np.array([0, 1_024, 2_049]), np.array([0]), 1, 5_000, np.zeros((1, 1), np.int64), counted
    ).tolist() == [1]
    # The last of the table stands for all further cells, and for all further rows.
    for table in ([[0], [-1]], [[0, -1]]):
        most = np.array(table, dtype=np.int64)
        assert add_rows_that_share(np.array([0, 1]), np.array([0]), 1, 9, most, counted).tolist() == [0]


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
    # Of a second middle no sizes are kept, whatever the first was.
    for middle in (5, 0):
        first, again = (replace(total, middle=each, upper=20, lower=-20) for each in (middle, 4))
        twice = replace(plan, bounds=replace(plan.bounds, components=(count, first, again), norm=3 * plan.bounds.norm))
        assert both_ways(twice, rows)[1] == 3
    # A sum and a mean of one column look at the same values.
    beside = planned((), (Sum(1, 0, 10, ONE), Mean(1, 0, 10, ONE)), 2, 1)
    assert both_ways(beside, stream([[(0, 5, 0)], [(0, 6, 0)]], 3))[1] == 0


@pytest.mark.parametrize("pure", [False, True])
@pytest.mark.parametrize(("persons", "rows"), [((), ()), ((3,), ()), ((), (2,)), ((3, 5), (2, 7))])
@pytest.mark.parametrize("most", [40, 10**9])
def test_the_greatest_size_is_the_greatest_that_the_norm_leaves(
    pure: bool, persons: tuple[int, ...], rows: tuple[int, ...], most: int
) -> None:
    norm, power = 200, 1 if pure else 2
    found = _most_sizes(norm, pure, persons, rows, most)
    assert found.shape == (64 if persons else 1, 64 if rows else 1)
    for (cells, count), size in np.ndenumerate(found):
        whole = cells * sum(each**power for each in persons) + count**power * sum(each**power for each in rows)
        sizes = [each for each in range(norm + 1) if whole + each**power <= norm**power]
        last = (persons and cells == 63) or (rows and count == 63)
        assert size == (-1 if last or not sizes else min(most, sizes[-1]))


def test_what_a_person_may_give_is_made_of_each_component_once() -> None:
    statistics = (Sum(1, 0, 9, ONE), CountPersons(), CountRows(), Sum(2, -4, 9, ONE))
    plan = planned((KEY,), statistics, 3, 2)
    first, persons, rows, second = (replace(each, multiplier=16) for each in plan.bounds.components)
    second = replace(second, lower=-2)
    for components, expected in (
        ((first, persons, rows), ((persons.steps,), (rows.steps,), 27 * first.steps)),
        ((first, persons, second), ((persons.steps,), (), 2 * second.steps)),
        ((rows, rows), ((), (rows.steps, rows.steps), 1 << 62)),
    ):
        bounds = replace(plan.bounds, components=components)
        assert np.array_equal(_most_sizes_of(bounds), _most_sizes(bounds.norm, bounds.pure, *expected))


SIZES = (
    # Bounds of values; steps of values, of their distances from the middle, the middle; the greatest size of a row.
    ((0, 9), (7, 0, 0), 63),
    ((-9, 4), (7, 0, 0), 63),
    ((3, 9), (7, 0, 0), 63),
    ((-9, -3), (7, 0, 0), 63),
    ((0, 10), (0, 7, 5), 35),
    ((0, 10), (0, 7, 4), 42),
    ((-10, 0), (0, 7, -4), 42),
    ((0, 10), (3, 7, 5), 65),
    ((-20, 0), (3, 7, -5), 165),
    ((0, 0), (7, 0, 0), 0),
    ((5, 5), (0, 7, 5), 0),
)


@pytest.mark.parametrize(("limits", "steps", "size"), SIZES)
def test_a_row_is_as_large_as_its_measures_together_can_be(
    limits: tuple[int, int], steps: tuple[int, int, int], size: int
) -> None:
    """To the step: 2^52 is too large, one less is not."""
    values, away, middle = steps
    twice = np.array([(*limits, 0), (*limits, 0)], dtype=np.int64)
    for fits in (True, False):
        # The first measure as given, the second, of one step a unit, such that both are together just within, or not.
        rest = (1 << 52) - fits - size
        wide = np.array([(*limits, 0), (0, rest, 0)], dtype=np.int64)
        each_row = np.array([steps, (1, 0, 0)], dtype=np.int64)
        assert (_largest_row(wide, each_row) < 1 << 52) is fits
    assert _largest_row(twice, np.array([steps, steps], dtype=np.int64)) == 2 * size
    found = max(abs(value) * values + abs(value - middle) * away for value in range(limits[0], limits[1] + 1))
    assert found == size


@pytest.mark.parametrize(
    ("limits", "middle"), [((0, 10), 5), ((0, 10), 4), ((0, 10), 6), ((-10, 3), -2), ((-3, 10), 1)]
)
def test_a_mean_is_within_bounds_as_wide_as_its_farthest_value_reaches(limits: tuple[int, int], middle: int) -> None:
    plan = planned((), (Mean(1, *limits, ONE),), 3, 1)
    count, total = plan.bounds.components
    farthest = 3 * max(abs(value - middle) for value in limits)
    for short, fits in ((0, True), (1, False)):
        for lower, upper in ((-farthest + short, farthest), (-farthest, farthest - short)):
            narrow = replace(total, middle=middle, lower=lower, upper=upper)
            bounds = replace(plan.bounds, components=(count, narrow))
            assert _additive(bounds, np.array([(*limits, 0)], dtype=np.int64), [-1, 0]) is fits


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


def test_a_row_is_as_large_as_in_all_sets_together() -> None:
    """Counted in each of several sets, rows that fit in one would wrap."""
    for sets in (1, 2):
        statistics = (Sum(1, 0, 2**21, ONE),)
        plan = planned((KEY,), statistics, 1, 1, sets=((0,), ())[:sets])
        narrow = replace(plan.bounds.components[0], upper=1, shift=0, multiplier=1 << 20)
        wide = replace(plan, bounds=replace(plan.bounds, components=(narrow,), norm=narrow.steps))
        assert 2**21 * narrow.steps == 1 << 51
        assert both_ways(wide, stream([[(0, 0, 0)]], 3))[1] == sets - 1


def test_who_surely_fits_does_so_with_the_greatest_rows() -> None:
    most = np.full((64, 1), 100, dtype=np.int64)
    most[2:, 0] = 40
    most[63, 0] = -1
    for largest in (0, 7, 41):
        found = _surely(most, largest)
        assert found.shape == (64, 64)
        for cells, counted in np.ndindex(64, 64):
            assert found[cells, counted] == (counted < 63 and counted * largest <= int(most[cells, 0]))
    table = np.array([[5, 3, -1] + [9] * 61], dtype=np.int64)
    assert _surely(table, 4)[0, :5].tolist() == [True, False, False, False, False]


def test_what_is_on_a_coarser_unit_is_counted_the_other_way() -> None:
    plan = planned((), (Sum(1, 0, 2**30, ONE),), 3, 1)
    component = plan.bounds.components[0]
    assert component.shift
    found, left = both_ways(plan, stream([[(0, 7, 0)] * 3], 3))
    assert (found, left) == (((21 * component.steps) >> component.shift,), 1)
