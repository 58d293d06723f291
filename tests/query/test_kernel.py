"""The pass that adds up people, small and exactly: what it reads, what it must not, and where an integer is needed."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from searches import LIMITS
from slow_vector import check_kernel, planned, slow, stream

from cleanroom.accounting.accountant import MAX_NORM
from cleanroom.errors import InvariantBroken
from cleanroom.query import contribution
from cleanroom.query.backend import Codes, PersonRows
from cleanroom.query.clipping import LARGEST_ENTRY, sum_of_squares
from cleanroom.query.contribution import _on_lattice, contributions
from cleanroom.query.statistics import CategoryKey, CountPersons, CountRows, Mean, Sum, Variance

ONE = Fraction(1)


def exactly(plan: Any, rows: Any) -> None:
    """Compare with the slow arithmetic to the last step, where no float enters."""
    vectors, clipped = slow(plan, rows)
    assert not clipped
    assert list(contributions(plan, rows).values) == [sum(column) for column in zip(*vectors, strict=True)]


@given(st.integers(-(2**44), 2**44), st.integers(1, 2**18), st.integers(0, 24))
@example(0, 1, 0)
@example(-1, 1, 1)
@settings(LIMITS, max_examples=200)
def test_a_product_is_cut_towards_zero(value: int, steps: int, shift: int) -> None:
    exact = math.trunc(Fraction(value * steps, 1 << shift))
    assert _on_lattice(np.int64(value), np.int64(steps), np.int64(shift)) == exact


@pytest.mark.parametrize("value", [-(2**39) - 1, 2**39 + 1, -(2**40), 2**40 - 7, 0, -1])
def test_totals_of_many_bits_are_cut_towards_zero(value: int) -> None:
    """Bounds so wide that a value is divided by more than the lattice multiplies it."""
    plan = planned((), (Sum(0, -(2**44), 2**44, ONE), CountRows()), 1, 1)
    assert plan.bounds.components[0].shift > 10
    exactly(plan, stream([[(value,)]], 1))
    exactly(planned((), (Mean(0, -(2**44), 2**44, ONE),), 1, 1), stream([[(value,)]], 1))


@pytest.mark.parametrize("rows", [1, 3])
def test_as_many_rows_as_count_are_added_up_in_whole_numbers(rows: int) -> None:
    """No float where nothing is weighted down: 44 bits times the multiplier are more than it holds."""
    plan = planned((), (Mean(0, 0, 2**44, ONE),), rows, 1)
    for value in (2**43 + 12_345_678_901, 2**44 - 3, 1):
        exactly(plan, stream([[(value,)] * rows, [(value - 1,)] * rows], 1))


def test_columns_are_told_apart_and_so_are_their_bounds() -> None:
    statistics = (CountRows(0), CountRows(1), CountPersons(1), CountRows(), Sum(1, 0, 5, ONE), Sum(1, -9, 9, ONE))
    rows = stream([[(1, None), (None, 3), (None, 8)], [(2, -7)], [(None, None)]], 2)
    exactly(planned((), statistics, 3, 1), rows)
    for place in range(len(statistics)):
        exactly(planned((), statistics[place:], 3, 1), rows)
        exactly(planned((), statistics[place::-1], 3, 1), rows)
    squares = (Sum(1, 0, 5, ONE), Variance(0, -3, 4, ONE, sample=False, root=False))
    exactly(planned((), squares, 3, 1), stream([[(1, None), (-3, 3)], [(4, -7)], [(None, None), (4, 1), (4, 2)]], 2))


def test_cells_that_there_are_not_are_not_written_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled code checks no place in memory: whoever numbers cells wrongly must not reach beyond the sums."""
    plan = planned((CategoryKey(0, ("a", "b"), nullable=False),), (CountRows(),), 1, 1)
    rows = stream([[(0,), (1,), (0,), (1,)]], 1)
    monkeypatch.setattr(contribution, "cells_of_rows", lambda *_: np.array([[2, -1, 1, 2**40]], dtype=np.int64))
    step = plan.bounds.components[0].steps
    assert contributions(plan, rows).values == (0, step)


def test_room_for_one_person_serves_the_next() -> None:
    """More numbers than there is room for at first, then fewer, then still more."""
    plan = planned(
        (CategoryKey(0, tuple(map(str, range(300))), nullable=False),), (CountRows(), CountPersons()), 2, 300
    )
    persons: Any = [[(cell,) for cell in range(count)] for count in (31, 32, 33, 64, 65, 1, 129, 300, 2)]
    exactly(plan, stream(persons, 1))


def test_no_more_rows_of_a_cell_are_looked_at_than_sums_have_room_for() -> None:
    plan = planned((), (Sum(0, -(2**44), 2**44, ONE),), 1 << 17, 1)
    most = [(2**44,)] * (1 << 17)
    assert contributions(plan, stream([[*most, (-(2**44),)]], 1)) == contributions(plan, stream([most], 1))
    check_kernel(plan, stream([[(2**44,)] * 5], 1))
    rows = planned((), (CountRows(),), 1 << 18, 1)
    assert contributions(rows, stream([[*most, (-(2**44),)]], 1)) == contributions(rows, stream([most], 1))
    keyed = planned((CategoryKey(1, ("a", "b"), nullable=False),), (Sum(0, -(2**44), 2**44, ONE),), 1 << 17, 2)
    apart = [(2**44, 1)] * (1 << 17)
    less = contributions(keyed, stream([[(5, 0), *apart]], 2))
    assert contributions(keyed, stream([[(5, 0), *apart, (-(2**44), 1)]], 2)) == less


def test_sums_over_people_are_kept_in_integers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten million persons of 2^32 steps are more than a float holds exactly."""
    kernel = contribution._add_persons
    seen: list[str] = []

    def looked_at(*arguments: Any) -> None:
        seen.extend(each.dtype.name for each in arguments if isinstance(each, np.ndarray))
        kernel(*arguments)

    monkeypatch.setattr(contribution, "_add_persons", looked_at)
    contributions(planned((), (Sum(0, 0, 9, ONE),), 1, 1), stream([[(3,)]], 1))
    assert seen == ["int64", "int64", "int64", "bool", "bool", "int64", "int64", "int64", "int64"]


def test_a_total_is_clamped_not_weighted_down() -> None:
    """S33: of a person with more rows than count, the sum of all of them counts, within the bounds of as many."""
    plan = planned((), (Sum(0, -9, 9, ONE),), 2, 1)
    step = plan.bounds.components[0].steps
    for values, total in (((9, -9, 1, 1, 1), 3), ((9, 9, 9), 18), ((-9, -9, -9, 1), -18)):
        assert contributions(plan, stream([[(value,) for value in values]], 1)).values == (total * step,)


def test_an_entry_is_small_enough_for_the_sums_it_is_in() -> None:
    """2^27 squares of entries in two 64-bit halves, an entry as a double, and one entry beyond an L1 norm of 2^62."""
    assert (1 << 27) * LARGEST_ENTRY**2 <= 1 << 127
    assert float(LARGEST_ENTRY) - 1 == LARGEST_ENTRY - 1
    assert MAX_NORM + LARGEST_ENTRY < 1 << 63
    plan = planned((), (CountRows(),), 1, 1)
    largest = replace(plan.bounds.components[0], upper=1 << 40, multiplier=1)
    assert largest.reach == LARGEST_ENTRY
    contributions(replace(plan, bounds=replace(plan.bounds, components=(largest,))), stream([[(1,)]], 1))
    larger = replace(plan, bounds=replace(plan.bounds, components=(replace(largest, upper=(1 << 40) + 1),)))
    with pytest.raises(InvariantBroken):
        contributions(larger, stream([[(1,)]], 1))


def test_a_slice_is_in_order_from_its_first_row_to_its_last() -> None:
    plan = planned((), (CountRows(),), 1, 1)
    rows = stream([[(1,)], [(1,)], [(1,)], [(1,)]], 1)
    contributions(plan, rows)
    for at in range(3):
        units = rows.units.copy()
        units[at], units[at + 1] = units[at + 1], units[at]
        with pytest.raises(InvariantBroken):
            contributions(plan, PersonRows.of_rows(units, rows.columns))


def test_more_rows_than_count_weigh_as_those_that_count() -> None:
    """S34: one factor for the count, the total and the squares of a person in a cell; wide values on a coarser unit."""
    statistics = (Mean(0, -9, 5, ONE), Variance(0, -9, 5, ONE, sample=False, root=False))
    plan = planned((CategoryKey(1, ("a", "b"), nullable=False),), statistics, 2, 2)
    persons: Any = [
        [(5, 0), (5, 0), (-9, 0), (1, 1)],
        [(-9, 0)] * 3,
        [(5, 1)] * 3,
        [(-3, 1), (2, 1), (None, 1), (4, 1), (4, 1), (-9, 0)],
    ]
    check_kernel(plan, stream(persons, 2))
    for person in persons:
        check_kernel(plan, stream([person], 2))
    wide = planned((), (Mean(0, -(2**44), 2**44, ONE),), 2, 1)
    assert wide.bounds.components[1].shift > 0
    check_kernel(wide, stream([[(2**44,), (2**43 + 5,), (-7,)], [(-(2**44),), (12_345,), (9,), (1,)]], 1))


def some_persons(rng: Random) -> Any:
    """Return persons of no cell, of one and of several, many of them alike, with values at and beyond the bounds."""

    def row(cell: int | None) -> tuple[int | None, ...]:
        return cell, rng.choice((-(2**40), -9, -1, 0, 3, 9, 2**40, None))

    few = (1, 1, 1, 2, 3, 5)
    many = (255, 256, 257)
    persons: Any = []
    for _ in range(rng.randrange(1, 25)):
        rows = rng.choice(many if rng.random() < 0.1 else few)
        home = rng.choice((0, 1, 2, None, 7))
        away = rng.choice((0.0, 0.0, 0.5))
        persons.append([row(rng.randrange(-1, 4) if rng.random() < away else home) for _ in range(rows)])
    return persons


COUNTED: Any = ((CountRows(),), (CountPersons(),), (CountPersons(), CountRows()))
SUMMED: Any = ((Sum(1, -9, 9, ONE),), (CountRows(1), CountRows()), (Mean(1, -9, 5, ONE), CountPersons()))
KEY = CategoryKey(0, ("a", "b", "c"), nullable=False)


def check_together(first: int, end: int) -> None:
    """Compare the persons of a slice with each by itself, and with the slow arithmetic, where bounds bind or not."""
    clipped = 0
    for seed in range(first, end):
        rng = Random(seed)
        keys: Any = rng.choice(((), (KEY,), (KEY,)))
        pure = rng.random() < 0.3
        plan = planned(keys, rng.choice(COUNTED + SUMMED), rng.choice((1, 2, 300)), rng.choice((1, 2)), pure=pure)
        if rng.random() < 0.5:
            # Shorter than one full cell, so that everybody is shortened.
            plan = replace(plan, bounds=replace(plan.bounds, norm=max(1, plan.bounds.norm * rng.randrange(1, 9) // 10)))
        persons = some_persons(rng)
        alone = [contributions(plan, stream([person], 2)).values for person in persons]
        together = contributions(plan, stream(persons, 2)).values
        assert together == tuple(map(sum, zip(*alone, strict=True)))
        if pure:
            assert all(sum(map(abs, each)) <= plan.bounds.norm for each in alone)
        else:
            check_kernel(plan, stream(persons, 2))
            clipped += len(slow(plan, stream(persons, 2))[1])
    assert clipped > end - first, "hardly anybody is shortened"


@pytest.mark.parametrize("first", range(0, 200, 20))
def test_persons_give_together_what_each_gives_alone(first: int) -> None:
    """Those whom no bound shortens are added up row by row, the others one after another."""
    check_together(first, first + 20)


def test_persons_who_are_alike_are_shortened_alike() -> None:
    """Ten persons of one row each: ten times the vector that one of them gives, which no longer than the norm."""
    plan = planned((), (CountRows(), CountPersons()), 1, 1)
    short = replace(plan, bounds=replace(plan.bounds, norm=plan.bounds.norm // 3))
    for each in (plan, short):
        one = contributions(each, stream([[(0,)]], 1)).values
        assert 0 < sum(value**2 for value in one) <= each.bounds.norm**2
        assert contributions(each, stream([[(0,)]] * 10, 1)).values == tuple(10 * value for value in one)


def test_rows_are_in_order_only_if_persons_increase_and_runs_follow_each_other() -> None:
    plan = planned((), (CountRows(),), 1, 1)
    columns = {0: Codes(np.zeros(3, dtype=np.int64), np.ones(3, dtype=np.bool_))}

    def rows(persons: list[int], starts: list[int]) -> PersonRows:
        return PersonRows(np.array(persons, dtype=np.int64), np.array(starts, dtype=np.int64), columns)

    step = plan.bounds.components[0].steps
    assert contributions(plan, rows([4, 9], [0, 2, 3])).values == (2 * step,)
    wrong = (
        rows([9, 4], [0, 2, 3]),
        rows([4, 4], [0, 2, 3]),
        rows([4, 9], [0, 0, 3]),
        rows([4, 9], [1, 2, 3]),
        rows([4, 9, 10], [0, 2, 1, 3]),
        rows([4, 9], [0, 2, 4]),
        rows([4, 9], [0, 1, 2]),
        rows([4], [0, 2, 3]),
        rows([4, 9], [0, 3]),
    )
    for each in wrong:
        with pytest.raises(InvariantBroken, match="ordered"):
            contributions(plan, each)


@pytest.mark.parametrize("count", [1, 2, 4_095, 4_096, 4_097, 9_000])
def test_squares_sum_exactly_however_many(count: int) -> None:
    """Entries up to 2^50, the largest, and sums beyond what is taken together."""
    rng = Random(count)
    for entries in (
        [LARGEST_ENTRY] * count,
        [-LARGEST_ENTRY] * count,
        [LARGEST_ENTRY - 1] * count,
        [rng.randrange(-LARGEST_ENTRY, LARGEST_ENTRY + 1) for _ in range(count)],
        [rng.choice((0, 1, (1 << 25) - 1, 1 << 25, -(1 << 25) - 1, (1 << 32) + 1)) for _ in range(count)],
    ):
        high, low = sum_of_squares(np.array(entries, dtype=np.int64), count)
        assert (int(high) << 64) + int(low) == sum(each**2 for each in entries)


def test_a_row_without_the_key_has_no_cell_though_codes_may_be_cells() -> None:
    """A key never NULL by declaration that is all the same; a code beyond the domain; NULL as a value of its own."""
    codes = np.array([0, 1, 0, 2], dtype=np.int64)
    for present, nullable, expected in (
        ([True, False, True, True], False, (2, 0)),
        ([True, True, True, True], False, (2, 1)),
        ([True, False, True, True], True, (2, 0, 1)),
        ([True, True, True, True], True, (2, 1, 0)),
    ):
        plan = planned((CategoryKey(0, ("a", "b"), nullable=nullable),), (CountRows(),), 1, 3)
        columns = {0: Codes(codes.copy(), np.array(present))}
        rows = PersonRows(np.arange(4), np.arange(5), columns)
        step = plan.bounds.components[0].steps
        assert contributions(plan, rows).values == tuple(step * each for each in expected)
