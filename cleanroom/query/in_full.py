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
`math.isqrt`, is the greatest such size, and no more than any total's bound in steps; -1 where there is none. In all
sets together a row's size is below 2^52, and a person has at most 2^10 rows, so a person's is below 2^62. Of who has so
many cells and rows that r rows of the greatest size that bounds allow are no larger, no value need be looked at. ∎

What all persons together give is below 2^62, since each is within the norm, so that sums that wrap on the way, or while
somebody is still to be taken back, end as they should.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from cleanroom.query.bound import Component, Measured
from cleanroom.query.row_passes import MOST_ROWS, add_rows, add_rows_that_share

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from cleanroom.query.bound import Bounds

    Int64s = npt.NDArray[np.int64]

_LARGEST_ROW: Final = 1 << 52
_LARGEST_SUM: Final = 1 << 62
_MOST_COUNTED: Final = 64
"""Cells of one person, and rows where rows are counted; who has more is left."""


def add_in_full(
    bounds: Bounds,
    starts: Int64s,
    cells: npt.NDArray[np.integer],
    cell_count: int,
    places: Sequence[int],
    values: npt.NDArray[np.integer],
    limits: Int64s,
    low: Int64s,
    high: Int64s,
) -> Int64s:
    """Add what persons give who are counted in full; return the others, in order, who are still to be added.

    Args:
        starts: where each person's rows begin, and at last how many there are; shape (persons + 1,).
        cells: each row's cell in each grouping set, or -1; shape (sets, rows), or (sets, 1) where all share one.
        places: of each component, the row of `values` that it looks at, or -1.
        values: of each measure how far above a first one, nowhere NULL; shape (measures, rows).
        limits: of each measure the bounds that values are brought within, and the first one; shape (measures, 3).
        low: added to: the lower 32 bits of each entry, cell by cell, component by component.
        high: added to: the others.
    """
    persons = len(starts) - 1
    each_row = _steps_of_rows(bounds.components, places, len(values))
    if each_row is None or bounds.norm * persons >= _LARGEST_SUM:
        return np.arange(persons, dtype=np.int64)
    largest = _largest_row(limits, each_row)
    if largest * len(cells) >= _LARGEST_ROW or not _additive(bounds, limits, places):
        return np.arange(persons, dtype=np.int64)
    most = _most_sizes_of(bounds)
    measured = {each.measured for each in bounds.components}
    # Where rows are neither counted nor averaged, how many are in a cell does not matter.
    counted = not measured.isdisjoint({Measured.ROWS, Measured.MEAN_TOTAL})
    most_rows = bounds.max_rows if counted else MOST_ROWS
    in_cells = np.zeros((2, cell_count), dtype=np.int64)
    sums = np.zeros((len(values), cell_count), dtype=np.int64)
    left: Int64s
    if cells.shape[1] == 1 and not len(values):
        left = add_rows_that_share(starts, cells[:, 0], cell_count, most_rows, most, in_cells)
    else:
        surely, inside = _surely(most, largest), cells.dtype == np.uint8 and int(cells.max(initial=0)) < cell_count
        cells, values = _to_read(cells), _to_read(values)
        left = add_rows(
            starts,
            cells,
            inside,
            cell_count,
            values,
            _bounded(values, limits),
            limits,
            each_row,
            most_rows,
            most,
            surely,
            in_cells,
            sums,
        )
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


def _largest_row(limits: Int64s, each_row: Int64s) -> int:
    """Return the greatest size of a row in one grouping set."""
    return sum(
        max(-least, most, 0) * values + max(middle - least, most - middle, 0) * away
        for (least, most, _), (values, away, middle) in zip(limits.tolist(), each_row.tolist(), strict=True)
    )


def _surely(most: Int64s, largest: int) -> npt.NDArray[np.bool_]:
    """Return who fits whatever the values of their rows, by cells and counted rows; the last of both are all further.

    Args:
        most: of `_most_sizes`.
        largest: the greatest size of a row in one grouping set.
    """
    counted = np.arange(_MOST_COUNTED, dtype=np.int64)
    found = (most >= counted * largest) & (counted < _MOST_COUNTED - 1)
    return np.ascontiguousarray(np.broadcast_to(found, (len(most), _MOST_COUNTED)))


def _bounded(values: npt.NDArray[np.integer], limits: Int64s) -> bool:
    """Return whether values are known to be within their bounds: of narrow codes the greatest is found in no time."""
    if values.dtype.kind != "u" or not len(values):
        return False
    ((least, most, first),) = limits.tolist()
    return bool(least <= first and first + int(values.max(initial=0)) <= most)


def _to_read(array: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
    """Return an array that nothing is written to, as columns of a file are: compiled code tells the two apart."""
    view = array.view()
    view.flags.writeable = False
    return view


def _additive(bounds: Bounds, limits: Int64s, places: Sequence[int]) -> bool:
    """Return whether no mean of a person with at most max_rows rows meets its bounds."""
    for each, place in zip(bounds.components, places, strict=True):
        if each.measured is Measured.MEAN_TOTAL:
            least, most, _ = limits[place].tolist()
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
