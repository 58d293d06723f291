"""Bound what each person contributes, and add it up: the only place where a bound is applied.

*Claim.* Let D and D' be rooms that differ by the rows of one person p. Then the exact vectors of a plan on D and D'
differ by at most `bounds.norm` (C) in L2; if they differ by p's rows in some of the tables, by at most 2·norm, and by
√2·norm when no entry can be negative (D, S2).

*Proof.* A relation is personal, so the stream's rows of another person are the same on D and D'. `_add_persons`
reads one run of rows at a time, and adds to the sum only what that run gives: a function of that person's rows alone,
with no state carried over. What it adds is an integer vector z whose Σz² was just checked, in exact 128-bit
arithmetic, to be at most norm²; a vector that fails is shrunk, and at last replaced by zero. So removing p removes one
vector of length at most norm; replacing p's rows replaces one such vector by another, and ‖z − z'‖ ≤ ‖z‖ + ‖z'‖, or
√(‖z‖² + ‖z'‖²) if all entries are non-negative. Nothing above the check needs to be right for this, only for
accuracy. ∎

That a run holds all rows of a person, once, is checked: units never decrease, and a slice holds a person whole.
The sums are exact: two 32-bit halves in 64-bit accumulators, put together as Python integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, assert_never

import numpy as np
from numba import njit

from cleanroom.errors import InvariantBroken
from cleanroom.query.backend import SliceTooLarge
from cleanroom.query.bound import LARGEST_ENTRY, Bounds, Measured
from cleanroom.query.statistics import CategoryKey, Key, MonthKey, NumberKey

if TYPE_CHECKING:
    import numpy.typing as npt

    from cleanroom.query.backend import Backend, Codes, PersonRows
    from cleanroom.query.plan import Plan

    Int64s = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]

_PERSONS: Final = 0
_ROWS: Final = 1
_TOTAL: Final = 2
_MEAN_ROWS: Final = 3
_MEAN_TOTAL: Final = 4
_KINDS: Final = {
    Measured.PERSONS: _PERSONS,
    Measured.ROWS: _ROWS,
    Measured.TOTAL: _TOTAL,
    Measured.MEAN_ROWS: _MEAN_ROWS,
    Measured.MEAN_TOTAL: _MEAN_TOTAL,
}
_SHRINKS: Final = 64
_MOST_ROWS: Final = 1 << 30
"""Rows of a slice; beyond, a person's total of values below 2^31 might not fit 63 bits. Memory ends long before."""


@dataclass(frozen=True, slots=True)
class ExactVector:
    """The bounded sums of a release before noise, in lattice steps: cell by cell, component by component.

    Never leaves the room: only `query.noise` and the tests may look at it.
    """

    values: tuple[int, ...]

    def __add__(self, other: ExactVector) -> ExactVector:
        return ExactVector(tuple(a + b for a, b in zip(self.values, other.values, strict=True)))

    def __repr__(self) -> str:
        return f"ExactVector({len(self.values)} entries)"


def exact_vector(plan: Plan, backend: Backend) -> ExactVector:
    """Add up the bounded contributions of every person of the room to `plan`."""
    columns = needed_columns(plan)
    total = ExactVector((0,) * (plan.bounds.cells * len(plan.bounds.components)))
    waiting = list(backend.slices())[::-1]
    while waiting:
        part = waiting.pop()
        try:
            rows = backend.rows(plan.relation, columns, part)
        except SliceTooLarge:
            # One person's rows are bounded (S23), so memory that some row fills must not become an answer withheld.
            waiting.extend(part.halves()[::-1])
            continue
        total += contributions(plan, rows)
    return total


def needed_columns(plan: Plan) -> tuple[int, ...]:
    """Return the relation's columns that keys and components read, sorted."""
    keys = {key.column for key in plan.keys}
    measures = {component.column for component in plan.bounds.components if component.column is not None}
    return tuple(sorted(keys | measures))


def contributions(plan: Plan, rows: PersonRows) -> ExactVector:
    """Add up the bounded contributions of the persons of one slice."""
    bounds = plan.bounds
    units = rows.units
    if len(units) > _MOST_ROWS or bool(np.any(units[1:] < units[:-1])):
        raise InvariantBroken("the rows of a slice are not ordered by person")
    cells = cell_numbers(plan.keys, rows)
    measured = sorted({component.column for component in bounds.components if component.column is not None})
    values = np.zeros((len(measured), len(units)), dtype=np.int64)
    present = np.zeros((len(measured), len(units)), dtype=np.bool_)
    for place, column in enumerate(measured):
        values[place] = rows.columns[column].values
        present[place] = rows.columns[column].present
    low = np.zeros(bounds.cells * len(bounds.components), dtype=np.int64)
    high = np.zeros_like(low)
    square = bounds.norm * bounds.norm
    _add_persons(
        units,
        cells,
        values,
        present,
        bounds.cells,
        bounds.max_rows,
        _parameters(bounds, measured),
        float(bounds.norm),
        np.uint64(square >> 64),
        np.uint64(square & ((1 << 64) - 1)),
        low,
        high,
    )
    return ExactVector(tuple((int(upper) << 32) + int(lower) for upper, lower in zip(high, low, strict=True)))


def cell_numbers(keys: tuple[Key, ...], rows: PersonRows) -> Int64s:
    """Return each row's cell, or -1 outside the declared domain (dropped silently, S25)."""
    cells = np.zeros(len(rows.units), dtype=np.int64)
    outside = np.zeros(len(rows.units), dtype=np.bool_)
    for key in keys:
        codes, missing = _key_codes(key, rows.columns[key.column])
        inside = (codes >= 0) & (codes < key.size - key.nullable)
        if key.nullable:
            codes = np.where(missing, key.size - 1, codes)
            inside |= missing
        else:
            inside &= ~missing
        cells = cells * key.size + codes
        outside |= ~inside
    cells[outside] = -1
    return cells


def _key_codes(key: Key, column: Codes) -> tuple[Int64s, Bools]:
    missing = ~column.present
    match key:
        case CategoryKey():
            return column.values, missing
        case NumberKey(lower=lower):
            return column.values - lower, missing
        case MonthKey(first=first):
            # One conversion for each day of the range that occurs, not for each row.
            days = np.where(missing, _first_day(first), column.values)
            least, most = (int(days.min()), int(days.max())) if len(days) else (0, 0)
            calendar = np.arange(least, most + 1).astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
            return (calendar - first)[days - least], missing
    assert_never(key)


def _first_day(month: int) -> int:
    """Return the first day of a month, both counted from 1970-01."""
    return int(np.datetime64(month, "M").astype("datetime64[D]").astype(np.int64))


def _parameters(bounds: Bounds, measured: list[int]) -> Int64s:
    """Return one row a component: kind, value row, middle, least, greatest, lattice steps of one unit."""
    table = []
    for component in bounds.components:
        if component.natural * component.steps > LARGEST_ENTRY:
            raise InvariantBroken("a component exceeds the lattice")
        place = measured.index(component.column) if component.column is not None else -1
        kind = _KINDS[component.measured]
        table.append((kind, place, component.middle, component.lower, component.upper, component.steps))
    return np.array(table, dtype=np.int64).reshape(len(bounds.components), 6)


@njit(cache=True, nogil=True)
def _add_persons(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    units, cells, values, present, cell_count, max_rows, parameters, norm, square_high, square_low, low, high
):
    measures, rows = values.shape
    components = parameters.shape[0]
    counts = np.zeros(cell_count, dtype=np.int64)
    value_counts = np.zeros((measures, cell_count), dtype=np.int64)
    value_sums = np.zeros((measures, cell_count), dtype=np.int64)
    touched = np.zeros(cell_count, dtype=np.int64)
    vector = np.zeros(64, dtype=np.int64)
    start = 0
    while start < rows:
        end = start + 1
        while end < rows and units[end] == units[start]:
            end += 1
        count = 0
        for row in range(start, end):
            cell = cells[row]
            if cell < 0 or cell >= cell_count:
                continue
            if counts[cell] == 0:
                touched[count] = cell
                count += 1
            counts[cell] += 1
            for measure in range(measures):
                if present[measure, row]:
                    value_counts[measure, cell] += 1
                    value_sums[measure, cell] += values[measure, row]
        entries = count * components
        if entries > vector.shape[0]:
            vector = np.zeros(max(entries, 2 * vector.shape[0]), dtype=np.int64)
        for at in range(count):
            cell = touched[at]
            for component in range(components):
                kind, place, middle, least, most, steps = parameters[component]
                if kind == 0:
                    entry = steps
                elif kind == 1:
                    entry = min(counts[cell], max_rows) * steps
                elif kind == 2:
                    entry = min(max(value_sums[place, cell], least), most) * steps
                elif kind == 3:
                    entry = min(value_counts[place, cell], max_rows) * steps
                else:
                    n = value_counts[place, cell]
                    total = value_sums[place, cell] - n * middle
                    if n > max_rows:
                        # The same factor as for the rows: max_rows / n (S34), truncated towards zero.
                        share = float(total) * (float(max_rows) / float(n))
                        entry = np.int64(min(max(share, float(least)), float(most)) * float(steps))
                    else:
                        entry = min(max(total, least), most) * steps
                vector[at * components + component] = entry
        _clip(vector, entries, norm, square_high, square_low)
        for at in range(count):
            cell = touched[at]
            for component in range(components):
                entry = vector[at * components + component]
                place = cell * components + component
                low[place] += entry & 0xFFFFFFFF
                high[place] += entry >> 32
            counts[cell] = 0
            for measure in range(measures):
                value_counts[measure, cell] = 0
                value_sums[measure, cell] = 0
        start = end


@njit(cache=True, nogil=True)
def _clip(vector, entries, norm, square_high, square_low):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Shrink vector[:entries] until Σz² ≤ norm² in exact arithmetic (S32); a last resort is zero."""
    high, low = _sum_of_squares(vector, entries)
    if high < square_high or (high == square_high and low <= square_low):
        return
    length = np.sqrt(float(high) * 18446744073709551616.0 + float(low))
    original = vector[:entries].copy()
    factor = norm / length
    for _ in range(_SHRINKS):
        for at in range(entries):
            vector[at] = np.int64(float(original[at]) * factor)
        high, low = _sum_of_squares(vector, entries)
        if high < square_high or (high == square_high and low <= square_low):
            return
        factor *= 1.0 - 2.0**-40
    for at in range(entries):
        vector[at] = 0


@njit(cache=True, nogil=True)
def _sum_of_squares(vector, entries):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return Σz² as two 64-bit halves; |z| ≤ 2^50 and fewer than 2^27 entries, so that it fits."""
    mask = np.uint64(0xFFFFFFFF)
    shift = np.uint64(32)
    one = np.uint64(1)
    high = np.uint64(0)
    low = np.uint64(0)
    for at in range(entries):
        size = np.uint64(abs(vector[at]))
        small = size & mask
        large = size >> shift
        cross = (small * large) << one
        square_low = small * small + (cross << shift)
        square_high = large * large + (cross >> shift)
        if square_low < small * small:
            square_high += one
        total = low + square_low
        if total < low:
            high += one
        low = total
        high += square_high
    return high, low
