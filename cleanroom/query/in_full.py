"""Add up the persons whom no bound shortens: row by row, without a vector of each.

Most persons are so few rows that every one of them counts in full. What such a person gives a cell is then a sum over
their rows, and the order in which rows are added does not matter: so all rows of all persons are added in passes that
know no person, whose speed no processor's guess at who ends where decides; and who does not fit is taken back.

*Claim.* Of each person that is not left, what was added is the vector z that `query.contribution` makes of their rows,
and Σz² ≤ norm², of a pure release Σ|z| ≤ norm. Nothing was added of a person that is left.

*Proof.* A person has k cells and r rows, each counted once for every grouping set, and at most `most_rows` in a cell.
Then of z's entries in a cell none is cut: n ≤ max_rows where rows are counted or averaged, and so |Σ(v − middle)| ≤
max_rows·max|v − middle|, which `_additive` holds against the entry's bounds; a total is at most Σ|v|, which `most` is
held against. No entry is rounded, since units are whole steps. So each is Σ over rows of what one row gives, but for
the entries of persons, which are their steps once a cell. The entries of persons have Σ = k·Σsteps² of squares; those
of one count of rows an L2 norm of at most their L1 norm, r·steps at most; all others together one of at most `size`,
the sum over rows and sets of the absolute values of what a row gives them. So k·Σp² + r²·Σn² + size² ≤ norm² is enough,
p and n the steps of persons and rows, in L1 k·Σp + r·Σn + size ≤ norm: `most[k, r]`, made of whole numbers by
`math.isqrt`, is the greatest such size, and no more than any total's bound in steps; -1 where there is none. A row's
size is below 2^52 and a person has at most 2^10 rows, so a person's is below 2^62, and the difference of two running
sums is exact whatever they wrap to. ∎

What all persons together give is below 2^62, since each is within the norm, so that sums that wrap on the way, or while
somebody is still to be taken back, end as they should.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np
from numba import njit

from cleanroom.query.bound import Component, Measured

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from cleanroom.query.bound import Bounds

    Int64s = npt.NDArray[np.int64]

_MOST_ROWS: Final = 1 << 10
_LARGEST_ROW: Final = 1 << 52
_LARGEST_SUM: Final = 1 << 62
_MOST_COUNTED: Final = 64
"""Cells of one person, and rows where rows are counted; who has more is left."""


def add_in_full(
    bounds: Bounds,
    starts: Int64s,
    cells: Int64s,
    cell_count: int,
    places: Sequence[int],
    values: Int64s,
    limits: Int64s,
    low: Int64s,
    high: Int64s,
) -> Int64s:
    """Add what persons give who are counted in full; return the others, in order, who are still to be added.

    Args:
        starts: where each person's rows begin, and at last how many there are; shape (persons + 1,).
        cells: each row's cell in each grouping set, or -1; shape (sets, rows), or (sets, 1) where all share one.
        places: of each component, the row of `values` that it looks at, or -1.
        values: of each measure, nowhere NULL; shape (measures, rows).
        limits: of each measure the bounds that values are brought within; shape (measures, 2).
        low: added to: the lower 32 bits of each entry, cell by cell, component by component.
        high: added to: the others.
    """
    persons = len(starts) - 1
    each_row = _steps_of_rows(bounds.components, places, len(values))
    if each_row is None or bounds.norm * persons >= _LARGEST_SUM or not _additive(bounds, limits, places, each_row):
        return np.arange(persons, dtype=np.int64)
    most = _most_sizes_of(bounds)
    measured = {each.measured for each in bounds.components}
    # Where rows are neither counted nor averaged, how many are in a cell does not matter.
    counted = not measured.isdisjoint({Measured.ROWS, Measured.MEAN_TOTAL})
    most_rows = bounds.max_rows if counted else _MOST_ROWS
    in_cells = np.zeros((2, cell_count), dtype=np.int64)
    sums = np.zeros((len(values), cell_count), dtype=np.int64)
    left: Int64s
    if cells.shape[1] == 1 and not len(values):
        left = _add_sharing(starts, cells[:, 0], cell_count, most_rows, most, in_cells)
    else:
        left = _add(starts, cells, cell_count, values, limits, each_row, most_rows, most, in_cells, sums)
    for number, (each, place) in enumerate(zip(bounds.components, places, strict=True)):
        match each.measured:
            case Measured.PERSONS:
                found = in_cells[0]
            case Measured.ROWS:
                found = in_cells[1]
            case _:
                found = sums[place] - in_cells[1] * each.middle
        entries = found * each.steps
        low[number :: len(places)] += entries & 0xFFFFFFFF
        high[number :: len(places)] += entries >> 32
    return left


def _steps_of_rows(components: Sequence[Component], places: Sequence[int], measures: int) -> Int64s | None:
    """Return what a row's size is made of; None where an entry is no sum over rows of whole steps.

    Returns:
        Of each measure the steps of its values and of their distances from the middle, and the middle.
    """
    found = np.zeros((measures, 3), dtype=np.int64)
    for each, place in zip(components, places, strict=True):
        if each.shift or each.measured is Measured.SQUARES:
            return None
        if each.measured is Measured.TOTAL:
            found[place, 0] += each.steps
        elif each.measured is Measured.MEAN_TOTAL:
            if found[place, 1]:
                # A second middle of one measure, which no statistics have: sizes are kept of one.
                return None
            found[place, 1:] = each.steps, each.middle
    return found


def _additive(bounds: Bounds, limits: Int64s, places: Sequence[int], each_row: Int64s) -> bool:
    """Return whether a row's size fits, and no mean of a person with at most max_rows rows meets its bounds."""
    size = 0
    for (least, most), (values, away, middle) in zip(limits.tolist(), each_row.tolist(), strict=True):
        size += max(-least, most, 0) * values + max(middle - least, most - middle, 0) * away
    if size >= _LARGEST_ROW:
        return False
    for each, place in zip(bounds.components, places, strict=True):
        if each.measured is Measured.MEAN_TOTAL:
            least, most = limits[place].tolist()
            farthest = max(each.middle - least, most - each.middle)
            if bounds.max_rows * farthest > min(each.upper, -each.lower):
                return False
    return True


def _most_sizes_of(bounds: Bounds) -> Int64s:
    totals = [each for each in bounds.components if each.measured is Measured.TOTAL]
    return _most_sizes(
        bounds.norm,
        bounds.pure,
        tuple(each.steps for each in bounds.components if each.measured is Measured.PERSONS),
        tuple(each.steps for each in bounds.components if each.measured is Measured.ROWS),
        min((each.steps * _total_bound(each) for each in totals), default=_LARGEST_SUM),
    )


@lru_cache(maxsize=16)
def _most_sizes(norm: int, pure: bool, persons: tuple[int, ...], rows: tuple[int, ...], most: int) -> Int64s:
    """Return the greatest size of a person in k cells with r rows; shape (cells, rows).

    The last of both stands for all further ones, and so does the first where neither persons nor rows are counted.
    """
    power = 1 if pure else 2
    of_cell, of_row = (sum(steps**power for steps in each) for each in (persons, rows))
    found = np.full((_MOST_COUNTED if persons else 1, _MOST_COUNTED if rows else 1), -1, dtype=np.int64)
    for cells in range(max(1, len(found) - 1)):
        for count in range(max(1, found.shape[1] - 1)):
            left = norm**power - cells * of_cell - count**power * of_row
            if left < 0:
                break
            found[cells, count] = min(left if pure else math.isqrt(left), most)
    return found


def _total_bound(component: Component) -> int:
    never_negative = component.least is not None and component.least >= 0 and component.lower <= 0
    return component.upper if never_negative else min(component.upper, -component.lower)


@njit(cache=True, nogil=True)
def _add_sharing(starts, cells, cell_count, most_rows, most, in_cells):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Add the persons who fit, whose rows all share a cell in each grouping set; return the others."""
    left = np.empty(starts.shape[0], dtype=np.int64)
    within = np.int64(0)
    for cell in cells:
        within += np.int64(0 <= cell < cell_count)
    remaining, fitting, together = 0, np.int64(0), np.int64(0)
    for person in range(starts.shape[0] - 1):
        rows = starts[person + 1] - starts[person]
        fits = (rows <= most_rows) & (rows <= _MOST_ROWS)
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
def _add(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    starts, cells, cell_count, values, limits, each_row, most_rows, most, in_cells, sums
):
    """Add all rows, take those of persons back who do not fit, and return these persons."""
    everybody, rows = starts.shape[0] - 1, starts[starts.shape[0] - 1]
    persons, counts = in_cells[0], in_cells[1]
    stride = 0 if cells.shape[1] == 1 else 1
    begins = np.zeros(rows + 1, dtype=np.bool_)
    for person in range(everybody):
        begins[starts[person]] = True
    # Running sums before each row, and at last over all.
    sized = values.shape[0] > 0
    sizes, firsts = np.zeros(rows + 1 if sized else 1, dtype=np.int64), np.zeros(rows + 1, dtype=np.int32)
    for number in range(cells.shape[0]):
        _count(cells[number], stride, begins, cell_count, firsts, persons, counts)
        for measure in range(values.shape[0]):
            steps = each_row[measure]
            _sum(cells[number], stride, values[measure], limits[measure], cell_count, steps, sizes, sums[measure])
    left = np.empty(everybody + 1, dtype=np.int64)
    in_cell = np.zeros(cell_count, dtype=np.int64)
    remaining = 0
    for person in range(everybody):
        start, end = starts[person], starts[person + 1]
        within = np.int64(firsts[np.uint64(end)] - firsts[np.uint64(start)])
        size = sizes[np.uint64(end)] - sizes[np.uint64(start)] if sized else np.int64(0)
        counted = (end - start) * cells.shape[0]
        fits = end - start <= _MOST_ROWS
        fits &= size <= most[min(within, most.shape[0] - 1), min(counted, most.shape[1] - 1)]
        if fits and end - start > most_rows:
            fits = _most_in_a_cell(cells, stride, start, end, cell_count, in_cell) <= most_rows
        # No branch: who fits is what no processor can guess.
        left[remaining] = person
        remaining += not fits
    _take_back(left[:remaining], starts, cells, stride, cell_count, values, limits, persons, counts, sums)
    return left[:remaining].copy()


@njit(nogil=True, inline="always")
def _count(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    cells, stride, begins, cell_count, firsts, persons, counts
):
    """Count rows and persons by cell; add to the running sum of cells that a person is first met in."""
    last = np.full(cell_count, -1, dtype=np.int64)
    first, start = np.int32(0), 0
    for row in range(begins.shape[0] - 1):
        cell = np.uint64(cells[np.uint64(row * stride)])
        start = row if begins[np.uint64(row)] else start
        if cell < np.uint64(cell_count):
            counts[cell] += 1
            new = last[cell] < start
            last[cell] = row
            persons[cell] += np.int64(new)
            first += np.int32(new)
        firsts[np.uint64(row + 1)] += first


@njit(nogil=True, inline="always")
def _sum(cells, stride, values, limits, cell_count, each_row, sizes, sums):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Sum a measure by cell, and add to the running sums of sizes."""
    least, most = limits[0], limits[1]
    steps, away, middle = each_row[0], each_row[1], each_row[2]
    size = np.int64(0)
    for row in range(values.shape[0]):
        cell = np.uint64(cells[np.uint64(row * stride)])
        if cell < np.uint64(cell_count):
            value = min(max(values[np.uint64(row)], least), most)
            sums[cell] += value
            size += abs(value) * steps + abs(value - middle) * away
        sizes[np.uint64(row + 1)] += size


@njit(cache=True, nogil=True)
def _most_in_a_cell(cells, stride, start, end, cell_count, in_cell):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return how many of a person's rows are in one cell at most; `in_cell` is nought before and after."""
    most = np.int64(0)
    for number in range(cells.shape[0]):
        for row in range(start, end):
            cell = np.uint64(cells[number, np.uint64(row * stride)])
            if cell < np.uint64(cell_count):
                in_cell[cell] += 1
                most = max(most, in_cell[cell])
        for row in range(start, end):
            cell = np.uint64(cells[number, np.uint64(row * stride)])
            if cell < np.uint64(cell_count):
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
                        value = values[measure, np.uint64(row)]
                        sums[measure, cell] -= min(max(value, limits[measure, 0]), limits[measure, 1])
