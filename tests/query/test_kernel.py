"""The pass that adds up people, small and exactly: what it reads, what it must not, and where an integer is needed."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from slow_vector import check_kernel, planned, slow, stream

from cleanroom.accounting.accountant import MAX_NORM
from cleanroom.errors import InvariantBroken
from cleanroom.query import contribution
from cleanroom.query.clipping import LARGEST_ENTRY
from cleanroom.query.contribution import _on_lattice, contributions
from cleanroom.query.statistics import CategoryKey, CountPersons, CountRows, Mean, Sum, Variance

ONE = Fraction(1)
LIMITS = settings(derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))


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


def test_sums_over_people_are_kept_in_integers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten million persons of 2^32 steps are more than a float holds exactly."""
    kernel = contribution._add_persons
    seen: list[str] = []

    def looked_at(*arguments: Any) -> None:
        seen.extend(each.dtype.name for each in arguments if isinstance(each, np.ndarray))
        kernel(*arguments)

    monkeypatch.setattr(contribution, "_add_persons", looked_at)
    contributions(planned((), (Sum(0, 0, 9, ONE),), 1, 1), stream([[(3,)]], 1))
    assert seen == ["int64", "int64", "int64", "bool", "int64", "int64", "int64"]


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
            contributions(plan, replace(rows, units=units))


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
