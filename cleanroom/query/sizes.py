"""Count persons by size, for a bound that is chosen among candidates (proof: `query.choosing`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from cleanroom.errors import InvariantBroken
from cleanroom.query.bound import BoundChoice, Sized
from cleanroom.query.components import PERSON_ROWS
from cleanroom.query.contribution import cell_count, require_order
from cleanroom.query.row_cells import cells_of_rows

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cleanroom.query.backend import PersonRows
    from cleanroom.query.cells import SurvivingKeys
    from cleanroom.query.plan import Plan


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
        cells = cells_of_rows(plan.keys, plan.sets, rows, surviving)
        if choice.sized is Sized.TOTAL and choice.column is not None:
            column = rows.columns[choice.column]
            values = np.where(column.present, np.clip(column.values, choice.least, choice.most), 0)
        else:
            values = np.ones(len(rows.units), dtype=np.int64)
        _count_sizes(rows.units, cells, values, count, edges, _kind(plan, choice), len(plan.sets), found)
    return tuple(int(each) for each in found)


def _kind(plan: Plan, choice: BoundChoice) -> int:
    """Return what of a person's cells is their size: the largest, or that at which clipping looks."""
    if choice.sized is Sized.GROUPS:
        return _CELLS
    if choice.below:
        return _LARGEST
    return _SUM if plan.bounds.pure else _LENGTH


@njit(cache=True, nogil=True)
def _count_sizes(units, cells, values, cell_count, edges, kind, sets_together, found):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    sets, rows = cells.shape
    totals = np.zeros(cell_count, dtype=np.int64)
    counts = np.zeros(cell_count, dtype=np.int64)
    touched = np.zeros(cell_count, dtype=np.int64)
    start = 0
    while start < rows:
        end = start + 1
        while end < rows and units[end] == units[start]:
            end += 1
        count = 0
        for row in range(start, end):
            for number in range(sets):
                cell = cells[number, row]
                if cell < 0 or cell >= cell_count or counts[cell] >= PERSON_ROWS:
                    continue
                if counts[cell] == 0:
                    touched[count] = cell
                    count += 1
                counts[cell] += 1
                totals[cell] += values[row]
        size, square, length = np.int64(0), 0.0, 0.0
        for at in range(count):
            cell = touched[at]
            size = max(size, abs(totals[cell]))
            square += float(totals[cell]) * float(totals[cell])
            length += abs(float(totals[cell]))
            totals[cell] = 0
            counts[cell] = 0
        # Nearly; it decides on nothing but accuracy, and is each person's own.
        if kind == _LENGTH:
            size = np.int64(min(np.sqrt(square), 2.0**62))
        elif kind == _SUM:
            size = np.int64(min(length, 2.0**62))
        elif kind == _CELLS:
            size = np.int64((count + sets_together - 1) // sets_together)
        if count > 0:
            found[np.searchsorted(edges, size)] += 1
        start = end
