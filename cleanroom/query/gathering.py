"""Gather one person's rows by cell: how many rows each cell has, and what a column adds up to in it.

All of it is one person's own: counts and sums are nothing before a person and are cleared after. What is gathered is
bounded afterwards (`query.contribution`), or measured for a bound that is chosen (`query.sizes`).

Compiled into whoever calls: a call costs more than most persons' rows do.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from cleanroom.query.components import PERSON_ROWS


@njit(nogil=True, inline="always")
def gather(cells, start, end, cell_count, touched, counts):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Count a person's rows by cell, `PERSON_ROWS` of each at most; return how many cells they are in.

    Args:
        cells: each row's cell in each grouping set, or -1; shape (sets, rows), or (sets, 1) where all rows share one.
            Rows that a sum has no room for lose theirs.
        start: the person's first row.
        end: past the last.
        cell_count: cells from there on do not exist, and are written nowhere.
        touched: written: the cells that the person is in; of one entry more than there are cells.
        counts: written: how many rows each cell has; nought before.
    """
    count = 0
    if cells.shape[1] == 1:
        for number in range(cells.shape[0]):
            cell = cells[number, 0]
            if 0 <= cell < cell_count:
                touched[count] = cell
                counts[cell] = min(end - start, PERSON_ROWS)
                count += 1
        return count
    for number in range(cells.shape[0]):
        for row in range(start, end):
            # Unsigned, as are places below: compiled code then need not count a negative one from the end.
            cell = cells[number, np.uint64(row)]
            if 0 <= cell < cell_count:
                before = counts[np.uint64(cell)]
                if before < PERSON_ROWS:
                    # No branch: which row is the first of its cell is what no processor can guess.
                    touched[np.uint64(count)] = cell
                    count += before == 0
                    counts[np.uint64(cell)] = before + 1
                else:
                    cells[number, np.uint64(row)] = -1
    return count


@njit(nogil=True, inline="always")
def add_up(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    cells, start, end, cell_count, measure, values, present, whole, least, most, counts, sums
):
    """Count the values of a measure that are not NULL in each of a person's cells, and sum them, brought within bounds.

    Args:
        cells: after `gather`; of rows that share one cell, `PERSON_ROWS` are looked at.
        measure: the row of the arrays that follow.
        values: shape (measures, rows), like `present`.
        whole: whether no value is NULL, so that `present` need not be looked at.
        least: values below are taken for it.
        most: values above are taken for it.
        counts: added to; shape (measures, cells), like `sums`.
    """
    shared = cells.shape[1] == 1
    last = min(end, start + PERSON_ROWS) if shared else end
    for number in range(cells.shape[0]):
        for row in range(start, last):
            cell = cells[number, np.uint64(0 if shared else row)]
            if 0 <= cell < cell_count and (whole or present[measure, np.uint64(row)]):
                counts[measure, np.uint64(cell)] += 1
                sums[measure, np.uint64(cell)] += min(max(values[measure, np.uint64(row)], least), most)


@njit(nogil=True, inline="always")
def add_squares(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    cells, start, end, cell_count, measure, values, present, whole, least, most, middle, offset, squares
):
    """Sum the squares of a measure's distances from `middle`, less `offset` each (S34), in each of a person's cells."""
    shared = cells.shape[1] == 1
    last = min(end, start + PERSON_ROWS) if shared else end
    for number in range(cells.shape[0]):
        for row in range(start, last):
            cell = cells[number, np.uint64(0 if shared else row)]
            if 0 <= cell < cell_count and (whole or present[measure, np.uint64(row)]):
                away = min(max(values[measure, np.uint64(row)], least), most) - middle
                squares[measure, cell] += away * away - offset
