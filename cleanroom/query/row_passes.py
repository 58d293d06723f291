"""Pass over rows that know no person, and look at persons afterwards: what `query.in_full` decides, compiled.

Where a person's rows end is what no processor can guess, and a wrong guess takes as long as ten rows. So rows are
counted and summed one after another, each in whatever cell it is; then a pass over persons, without a branch, says who
is surely counted in full, and only the others' rows are looked at again. What somebody gave who is not is subtracted.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

MOST_ROWS: Final = 1 << 10
"""Rows of a person who is counted in full."""

_MOST_BITS: Final = 64


@njit(cache=True, nogil=True)
def add_rows_that_share(starts, cells, cell_count, most_rows, most, in_cells):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Add the persons who fit, whose rows all share a cell in each grouping set; return the others."""
    left = np.empty(starts.shape[0], dtype=np.int64)
    within = np.int64(0)
    for cell in cells:
        within += np.int64(0 <= cell < cell_count)
    remaining, fitting, together = 0, np.int64(0), np.int64(0)
    for person in range(starts.shape[0] - 1):
        rows = starts[person + 1] - starts[person]
        fits = (rows <= most_rows) & (rows <= MOST_ROWS)
        fits &= most[min(within, most.shape[0] - 1), min(rows * cells.shape[0], most.shape[1] - 1)] >= 0
        fitting += np.int64(fits)
        together += np.int64(fits) * rows
        left[remaining] = person
        remaining += not fits
    for cell in cells:
        if 0 <= cell < cell_count:
            in_cells[0, cell] += fitting
            in_cells[1, cell] += together
    return left[:remaining].copy()


@njit(cache=True, nogil=True)
def add_rows(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    starts, cells, inside, cell_count, values, bounded, limits, each_row, most_rows, most, surely, in_cells, sums
):
    """Add all rows, take those of persons back who do not fit, and return these persons.

    Args:
        inside: whether it is known that each row is in a cell.
        bounded: whether it is known that each value is within its bounds.
        most: the greatest size of a person, by cells and counted rows.
        surely: who fits whatever the values of their rows, likewise.
    """
    everybody, rows, sets = starts.shape[0] - 1, starts[starts.shape[0] - 1], cells.shape[0]
    persons, counts = in_cells[0], in_cells[1]
    stride = 0 if cells.shape[1] == 1 else 1
    begins = np.zeros(rows + 1, dtype=np.bool_)
    for person in range(everybody):
        begins[np.uint64(starts[person])] = True
    left, within = np.empty(everybody + 1, dtype=np.int64), np.empty(everybody + 1, dtype=np.int64)
    # Running sums of the cells that persons are first met in, before each row and at last over all. Of a person it is
    # their difference, exact whatever they wrap to, since nobody is in more cells than there are.
    if cell_count < _MOST_BITS:
        few = np.zeros(rows + 1, dtype=np.uint8)
        for number in range(sets):
            _count_few(cells[number], inside, stride, begins, cell_count, few, persons, counts)
        unsure = _unsure(starts, few, np.uint8(255), sets, most_rows, surely, left, within)
    else:
        many = np.zeros(rows + 1, dtype=np.uint32)
        for number in range(sets):
            _count(cells[number], stride, begins, cell_count, many, persons, counts)
        unsure = _unsure(starts, many, np.uint32(0xFFFFFFFF), sets, most_rows, surely, left, within)
    for number in range(sets):
        for measure in range(values.shape[0]):
            _sum(cells[number], inside, stride, values[measure], bounded, limits[measure], cell_count, sums[measure])
    in_cell = np.zeros(cell_count, dtype=np.int64)
    remaining = 0
    for place in range(unsure):
        person = left[place]
        start, end = starts[person], starts[person + 1]
        fits = end - start <= MOST_ROWS
        if fits:
            size = _size(cells, inside, stride, start, end, cell_count, values, limits, each_row)
            fits = size <= most[min(within[place], most.shape[0] - 1), min((end - start) * sets, most.shape[1] - 1)]
        # Each cell but one has a row at least, so that no more than the others are in that one.
        if fits and (end - start) * sets - max(within[place] - 1, 0) > most_rows:
            fits = _most_in_a_cell(cells, stride, start, end, cell_count, in_cell) <= most_rows
        left[remaining] = person
        remaining += not fits
    _take_back(left[:remaining], starts, cells, stride, cell_count, values, limits, persons, counts, sums)
    return left[:remaining].copy()


@njit(nogil=True, inline="always")
def _unsure(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    starts, met, mask, sets, most_rows, surely, left, within
):
    """Write down who does not surely fit, and in how many cells they are; return how many they are.

    Args:
        met: running sums of the cells that persons are first met in, of as many bits as `mask` has.
    """
    remaining = np.uint64(0)
    most_cells, most_counted = np.uint64(surely.shape[0] - 1), np.uint64(surely.shape[1] - 1)
    start, before = np.uint64(0), met[0]
    for person in range(starts.shape[0] - 1):
        end = np.uint64(starts[person + 1])
        after = met[end]
        cells, rows = np.uint64((after - before) & mask), end - start
        fits = surely[min(cells, most_cells), min(rows * np.uint64(sets), most_counted)]
        # No branch: who fits is what no processor can guess.
        left[remaining] = person
        within[remaining] = cells
        remaining += np.uint64(not (fits & (rows <= np.uint64(most_rows))))
        start, before = end, after
    return np.int64(remaining)


@njit(nogil=True, inline="always")
def _count_few(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    cells, inside, stride, begins, cell_count, met, persons, counts
):
    """Do what `_count` does, of so few cells that a bit each says which ones a person was met in."""
    one, outside = np.uint64(1), np.uint64(cell_count)
    # Rows in turn, so that none waits for the one before to be counted; of each cell those of persons met and new.
    found = np.zeros((2, 2 * cell_count + 2), dtype=np.int64)
    seen, first = np.uint64(0), np.uint64(0)
    for at in range(begins.shape[0] - 1):
        row = np.uint64(at)
        cell = np.uint64(cells[np.uint64(at * stride)])
        if not inside:
            cell = min(cell, outside)
        seen &= np.uint64(begins[row]) - one
        new = ((seen >> cell) & one) ^ one
        seen |= one << cell
        found[row & one, cell + cell + new] += 1
        first += new if inside else new & np.uint64(cell < outside)
        met[row + one] += np.uint8(first)
    for number in range(cell_count):
        those_new = found[0, 2 * number + 1] + found[1, 2 * number + 1]
        persons[number] += those_new
        counts[number] += those_new + found[0, 2 * number] + found[1, 2 * number]


@njit(nogil=True, inline="always")
def _count(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    cells, stride, begins, cell_count, met, persons, counts
):
    """Count rows and persons by cell; add to the running sum of cells that a person is first met in."""
    last = np.full(cell_count, -1, dtype=np.int64)
    first, start = np.uint32(0), 0
    for row in range(begins.shape[0] - 1):
        cell = np.uint64(cells[np.uint64(row * stride)])
        start = row if begins[np.uint64(row)] else start
        if cell < np.uint64(cell_count):
            counts[cell] += 1
            new = last[cell] < start
            last[cell] = row
            persons[cell] += np.int64(new)
            first += np.uint32(new)
        met[np.uint64(row + 1)] += np.uint32(first)


@njit(nogil=True, inline="always")
def _sum(cells, inside, stride, values, bounded, limits, cell_count, sums):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Sum a measure by cell."""
    least, most, first = limits[0], limits[1], limits[2]
    one, outside = np.uint64(1), np.uint64(cell_count)
    found = np.zeros((2, cell_count + 1), dtype=np.int64)
    for at in range(values.shape[0]):
        row = np.uint64(at)
        cell = np.uint64(cells[np.uint64(at * stride)])
        if not inside:
            cell = min(cell, outside)
        value = np.int64(values[row]) + first
        if not bounded:
            value = min(max(value, least), most)
        found[row & one, cell] += value
    for number in range(cell_count):
        sums[number] += found[0, number] + found[1, number]


@njit(nogil=True, inline="always")
def _size(cells, inside, stride, start, end, cell_count, values, limits, each_row):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return a person's size: what their rows add up to that are in cells, in absolute values."""
    size, sets = np.int64(0), cells.shape[0]
    for measure in range(values.shape[0]):
        least, most, first = limits[measure, 0], limits[measure, 1], limits[measure, 2]
        steps, away, middle = each_row[measure, 0], each_row[measure, 1], each_row[measure, 2]
        if inside:
            for row in range(start, end):
                bounded = min(max(np.int64(values[measure, np.uint64(row)]) + first, least), most)
                size += sets * (abs(bounded) * steps + abs(bounded - middle) * away)
            continue
        for number in range(sets):
            for row in range(start, end):
                bounded = min(max(np.int64(values[measure, np.uint64(row)]) + first, least), most)
                of_row = abs(bounded) * steps + abs(bounded - middle) * away
                size += of_row if np.uint64(cells[number, np.uint64(row * stride)]) < np.uint64(cell_count) else 0
    return size


@njit(nogil=True, inline="always")
def _most_in_a_cell(cells, stride, start, end, cell_count, in_cell):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return how many of a person's rows are in one cell at most; `in_cell` is nought before and after."""
    most = np.int64(0)
    for number in range(cells.shape[0]):
        for row in range(start, end):
            cell = np.uint64(cells[number, np.uint64(row * stride)])
            if cell < np.uint64(cell_count):
                in_cell[cell] += 1
        if cell_count < end - start:
            for place in range(cell_count):
                most = max(most, in_cell[place])
                in_cell[place] = 0
            continue
        for row in range(start, end):
            cell = np.uint64(cells[number, np.uint64(row * stride)])
            if cell < np.uint64(cell_count):
                most = max(most, in_cell[cell])
                in_cell[cell] = 0
    return most


@njit(nogil=True, inline="always")
def _take_back(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    left, starts, cells, stride, cell_count, values, limits, persons, counts, sums
):
    """Subtract what persons gave."""
    seen = np.full(cell_count, -1, dtype=np.int64)
    for person in left:
        for number in range(cells.shape[0]):
            for row in range(starts[person], starts[person + 1]):
                cell = np.uint64(cells[number, np.uint64(row * stride)])
                if cell < np.uint64(cell_count):
                    counts[cell] -= 1
                    persons[cell] -= np.int64(seen[cell] != person)
                    seen[cell] = person
                    for measure in range(values.shape[0]):
                        value = np.int64(values[measure, np.uint64(row)]) + limits[measure, 2]
                        sums[measure, cell] -= min(max(value, limits[measure, 0]), limits[measure, 1])
