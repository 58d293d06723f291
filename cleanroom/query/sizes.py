"""Count persons by size, for a bound that is chosen among candidates (proof: `query.choosing`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numba import njit

from cleanroom.errors import InvariantBroken
from cleanroom.query.backend import Codes
from cleanroom.query.bound import BoundChoice, Sized
from cleanroom.query.contribution import cell_count, require_order
from cleanroom.query.gathering import add_up, gather
from cleanroom.query.row_cells import cells_of_rows, to_write
from cleanroom.query.statistics import Quantile

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cleanroom.query.backend import PersonRows
    from cleanroom.query.cells import SurvivingKeys
    from cleanroom.query.plan import Plan


_NOTHING: Final = Codes(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.bool_))
_LARGEST, _LENGTH, _SUM, _CELLS = range(4)


def size_columns(plan: Plan, choice: BoundChoice) -> tuple[int, ...]:
    """Return the relation's columns that decide on a person's size, sorted."""
    sized = () if choice.column is None else (choice.column,)
    return tuple(sorted({key.column for key in plan.keys} | set(sized)))


def persons_by_size(plan: Plan, slices: Iterable[PersonRows], surviving: SurvivingKeys | None) -> tuple[int, ...]:
    """Return how many persons have a size up to each candidate but not the one before; at last, beyond them all.

    Persons without a row in any cell are not counted.
    """
    choice = plan.bounds.choice
    if choice is None:
        raise InvariantBroken("a release without a choice of bounds has no sizes")
    count = cell_count(plan, surviving)
    edges = np.array(choice.candidates, dtype=np.int64)
    found = np.zeros(len(edges) + 1, dtype=np.int64)
    for rows in slices:
        require_order(rows)
        cells = to_write(cells_of_rows(plan.keys, plan.sets, rows, surviving))
        summed = choice.sized is Sized.TOTAL and choice.column is not None
        column = rows.columns[choice.column] if summed and choice.column is not None else _NOTHING
        _count_sizes(
            rows.starts,
            cells,
            column.values.reshape(1, -1),
            column.present.reshape(1, -1),
            summed,
            choice.least,
            choice.most,
            count,
            edges,
            _kind(plan, choice),
            found,
        )
    return tuple(int(each) for each in found)


def _kind(plan: Plan, choice: BoundChoice) -> int:
    """Return what of a person's cells is their size: the largest, or that at which clipping looks."""
    if choice.sized is Sized.GROUPS:
        return _CELLS
    if choice.below or all(isinstance(each, Quantile) for each in plan.statistics):
        return _LARGEST
    return _SUM if plan.bounds.pure else _LENGTH


@njit(cache=True, nogil=True)
def _count_sizes(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    starts, cells, values, present, summed, least, most, cell_count, edges, kind, found
):
    sets = cells.shape[0]
    touched = np.zeros(cell_count + 1, dtype=np.int64)
    counts = np.zeros(cell_count, dtype=np.int64)
    value_counts = np.zeros((1, cell_count), dtype=np.int64)
    sums = np.zeros((1, cell_count), dtype=np.int64)
    for person in range(starts.shape[0] - 1):
        start, end = starts[person], starts[person + 1]
        count = gather(cells, start, end, cell_count, touched, counts)
        if summed:
            add_up(cells, start, end, cell_count, 0, values, present, False, least, most, value_counts, sums)
        size, square, length = np.int64(0), 0.0, 0.0
        for at in range(count):
            cell = touched[at]
            total = sums[0, cell] if summed else counts[cell]
            size = max(size, abs(total))
            square += float(total) * float(total)
            length += abs(float(total))
            counts[cell] = 0
            sums[0, cell] = 0
        # Nearly; it decides on nothing but accuracy, and is each person's own.
        if kind == _LENGTH:
            size = np.int64(min(np.sqrt(square), 2.0**62))
        elif kind == _SUM:
            size = np.int64(min(length, 2.0**62))
        elif kind == _CELLS:
            size = np.int64((count + sets - 1) // sets)
        if count > 0:
            found[np.searchsorted(edges, size)] += 1
