"""What is gathered of one person's rows, by itself: cells that are not there, rows beyond what is looked at."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cleanroom.errors import InvariantBroken
from cleanroom.query.backend import Codes, PersonRows
from cleanroom.query.bound import Measured
from cleanroom.query.clipping import halves, sum_of_squares
from cleanroom.query.components import PERSON_ROWS
from cleanroom.query.contribution import _KINDS, _add_persons, require_order
from cleanroom.query.gathering import add_squares, add_up, gather

THERE = 2
"""Cells that there are."""


def gathered(cells: list[list[int]], end: int) -> tuple[list[int], list[int]]:
    """Return the cells that a person is in, and how many rows each has."""
    touched, counts = np.zeros(THERE + 1, dtype=np.int64), np.zeros(THERE, dtype=np.int64)
    count = gather(np.array(cells, dtype=np.int64), 0, end, THERE, touched, counts)
    return touched[:count].tolist(), counts.tolist()


def added(cells: Any, values: Any, end: int, *, squares: bool = False) -> tuple[list[int], list[int]]:
    """Return how many values each cell has, and their sum, or the sum of their squares less one each."""
    numbers = np.array([values], dtype=np.int64)
    present = np.ones(numbers.shape, dtype=np.bool_)
    counts, sums = np.zeros((1, THERE), dtype=np.int64), np.zeros((1, THERE), dtype=np.int64)
    within = (np.array(cells, dtype=np.int64), 0, end, THERE, 0, numbers, present, True, -9, 9)
    if squares:
        add_squares(*within, 0, 1, sums)
    else:
        add_up(*within, counts, sums)
    return counts[0].tolist(), sums[0].tolist()


@pytest.mark.parametrize("beyond", [-1, THERE, THERE + 1])
def test_cells_that_are_not_there_are_nobody_s(beyond: int) -> None:
    assert gathered([[beyond]], 5) == ([], [0, 0])
    assert gathered([[1], [beyond]], 5) == ([1], [0, 5])
    assert gathered([[0, beyond, 1, beyond]], 4) == ([0, 1], [1, 1])
    assert added([[beyond]], [3, 4], 2) == ([0, 0], [0, 0])
    assert added([[0, beyond, 1]], [3, 4, 20], 3) == ([1, 1], [3, 9])
    assert added([[beyond]], [3, 4], 2, squares=True)[1] == [0, 0]
    assert added([[0, beyond, 1]], [3, 4, 20], 3, squares=True)[1] == [8, 80]


def test_rows_of_a_cell_that_all_share_are_looked_at_up_to_a_number() -> None:
    rows = PERSON_ROWS + 3
    assert gathered([[0]], rows)[1] == [PERSON_ROWS, 0]
    assert added([[0]], [2] * rows, rows) == ([PERSON_ROWS, 0], [2 * PERSON_ROWS, 0])
    assert added([[0]], [2] * rows, rows, squares=True)[1] == [3 * PERSON_ROWS, 0]


def test_rows_of_cells_of_their_own_are_looked_at_wherever_they_stand() -> None:
    """The number is of each cell's rows: those of another cell, after as many, count."""
    cells = [[0] * PERSON_ROWS + [1, 1]]
    values = [2] * (PERSON_ROWS + 2)
    assert added(cells, values, len(values)) == ([PERSON_ROWS, 2], [2 * PERSON_ROWS, 4])
    assert added(cells, values, len(values), squares=True)[1] == [3 * PERSON_ROWS, 6]


def test_what_persons_give_is_added_in_both_halves() -> None:
    """Three persons of two rows, of which one gives 2^41 + 2."""
    steps, norm = (1 << 40) + 1, 1 << 50
    low, high = np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64)
    nothing = np.zeros((0, 6), dtype=np.int64)
    _add_persons(
        np.array([0, 2, 4, 6]),
        np.zeros((1, 1), dtype=np.int64),
        nothing,
        np.zeros((0, 6), dtype=np.bool_),
        np.zeros(0, dtype=np.bool_),
        np.zeros((0, 2), dtype=np.int64),
        1,
        9,
        np.array([[_KINDS[Measured.ROWS], -1, 0, 0, 9, steps, 0, 0]], dtype=np.int64),
        norm,
        *halves(norm * norm),
        False,
        low,
        high,
    )
    assert (int(high[0]) << 32) + int(low[0]) == 3 * 2 * steps


def test_a_sum_of_squares_carries_from_each_of_its_parts() -> None:
    """2^64 - 2^33 + 1 after the entries taken together first; then 2^48, which passes 2^64."""
    entries = np.zeros(4_097, dtype=np.int64)
    entries[0], entries[4_096] = (1 << 32) - 1, 1 << 24
    with np.errstate(over="ignore"):
        high, low = sum_of_squares(entries, 4_097)
    assert (int(high) << 64) + int(low) == ((1 << 32) - 1) ** 2 + (1 << 48)
    assert high == 1


@pytest.mark.parametrize(("values", "present"), [(4, 3), (3, 4), (2, 3), (3, 2)])
def test_columns_are_as_long_as_there_are_rows(values: int, present: int) -> None:
    column = Codes(np.zeros(values, dtype=np.int64), np.ones(present, dtype=np.bool_))
    rows = PersonRows(np.array([4, 9]), np.array([0, 2, 3]), {0: column})
    with pytest.raises(InvariantBroken, match="ordered"):
        require_order(rows)
