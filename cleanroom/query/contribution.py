"""Bound what each person contributes to the vector of a release, and add it up.

*Claim.* Let D and D' be rooms that differ by the rows of one person p. Then the exact vectors of a plan on D and D'
differ by at most `bounds.norm` (C) in L2; if they differ by p's rows in some of the tables, by at most 2·norm, and by
√2·norm when no entry can be negative (D, S2).

*Proof.* A relation is personal, so the stream's rows of another person are the same on D and D'. `_add_persons`
reads one run of rows at a time, and adds to the sum only what that run gives: a function of that person's rows alone.
(Persons whom no bound shortens are added up by `query.in_full`, which proves that this comes to the same, and who is
among them depends on their own rows.) What it adds is an integer vector z over all cells of all grouping
sets (S27), whose Σz² was checked, in exact 128-bit arithmetic, to be at most norm²; a vector that fails is shrunk, and
at last replaced by zero. So removing p removes one vector of length at most norm; replacing p's rows replaces one such
vector by another, and ‖z − z'‖ ≤ ‖z‖ + ‖z'‖, or √(‖z‖² + ‖z'‖²) if all entries are non-negative. The cells are public:
declared, or released before (S8, S24). Nothing above the check needs to be right for this, only for accuracy. ∎

Of a pure release (S11) the same holds in L1: what was checked is Σ|z| ≤ norm, so that removing p moves the sum by at
most norm in L1, and replacing p's rows by at most 2·norm.

*Accuracy.* That no sum over a person's rows overflows 63 bits follows from the bounds of `query.components`: at most
2^17 rows of a cell are looked at, and every value is brought within its bounds first. An entry is at most 2^50 steps,
whatever its bounds, which is what the exact check needs. The sums over persons are exact: two 32-bit halves in 64-bit
accumulators, put together as Python integers.

That a run holds all rows of a person, once, is checked: persons increase, their runs follow each other from the first
row to the last, and a slice holds a person whole.
Quantiles are bounded in `query.quantiles`, unknown keys in `query.unknown_keys`, by the same exact arithmetic.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
from numba import njit

from cleanroom.ahead import ahead
from cleanroom.errors import InvariantBroken
from cleanroom.kept_memory import keep_memory
from cleanroom.query.backend import SliceTooLarge
from cleanroom.query.bound import Bounds, Measured
from cleanroom.query.clipping import LARGEST_ENTRY, clip, clip_sum, halves
from cleanroom.query.gathering import add_squares, add_up, gather
from cleanroom.query.in_full import add_in_full
from cleanroom.query.measures import measures_of
from cleanroom.query.quantiles import add_weights, no_weights
from cleanroom.query.row_cells import cells_of_rows, every_row, to_write
from cleanroom.storage.token_runs import rows_of, starts_of

if TYPE_CHECKING:
    from collections.abc import Generator

    import numpy.typing as npt

    from cleanroom.query.backend import Backend, PersonRows, Slice
    from cleanroom.query.cells import SurvivingKeys
    from cleanroom.query.plan import Plan

    Int64s = npt.NDArray[np.int64]

_KINDS: Final = {
    Measured.PERSONS: 0,
    Measured.ROWS: 1,
    Measured.TOTAL: 2,
    Measured.MEAN_TOTAL: 3,
    Measured.SQUARES: 4,
}
_MOST_ROWS: Final = 1 << 30
"""Rows of a slice; memory ends long before."""


@dataclass(frozen=True, slots=True)
class ExactVector:
    """The bounded sums of a release before noise. Never leaves the room: only `query.noise` and the tests look at it.

    Args:
        values: in lattice steps: cell by cell, component by component.
        weights: for each quantile the weight in each cell and bin (`query.quantiles`); shape (cells, bins).
    """

    values: tuple[int, ...]
    weights: tuple[Int64s, ...] = field(default=(), compare=False)

    def __add__(self, other: ExactVector) -> ExactVector:
        return ExactVector(
            tuple(a + b for a, b in zip(self.values, other.values, strict=True)),
            tuple(a + b for a, b in zip(self.weights, other.weights, strict=True)),
        )

    def __repr__(self) -> str:
        return f"ExactVector({len(self.values)} entries)"


def exact_vector(plan: Plan, backend: Backend, surviving: SurvivingKeys | None = None) -> ExactVector:
    """Add up the bounded contributions of every person of the room to `plan`.

    Args:
        surviving: the unknown keys that were released, where the plan has such keys.
    """
    if plan.bounds.choice is not None:
        raise InvariantBroken("a bound is still to be chosen")
    cells = cell_count(plan, surviving)
    total = ExactVector(
        (0,) * (cells * len(plan.bounds.components)), tuple(no_weights(each, cells) for each in plan.bounds.quantiles)
    )
    if not total.values and not total.weights:
        return total
    for rows in streamed(plan, backend, needed_columns(plan)):
        total += contributions(plan, rows, surviving)
    return total


def streamed(plan: Plan, backend: Backend, columns: tuple[int, ...]) -> Generator[PersonRows]:
    """Yield the rows of a plan's relation, slice by slice; the next is read while one is used.

    One thread reads, so that readers and engine are nobody else's; what is made of slices does not depend on when. Two
    slices are in memory at most.
    """
    parts = list(backend.slices())
    keep_memory()
    made = _made(plan, backend, columns, parts)
    if len(parts) < 2:
        yield from made
        return
    with closing(ahead(made, depth=0)) as slices:
        yield from slices


def _made(plan: Plan, backend: Backend, columns: tuple[int, ...], parts: list[Slice]) -> Generator[PersonRows]:
    waiting = parts[::-1]
    while waiting:
        part = waiting.pop()
        try:
            rows = backend.rows(plan.relation, columns, part)
        except SliceTooLarge:
            # One person's rows are bounded (S23), so memory that some row fills must not become an answer withheld.
            waiting.extend(part.halves()[::-1])
            continue
        yield rows


def require_order(rows: PersonRows) -> None:
    """Stop the question if the rows of a slice are not those of one person after another."""
    lengths = {len(each) for column in rows.columns.values() for each in (column.codes, column.present)}
    if rows.rows > _MOST_ROWS or lengths - {rows.rows} or not _in_order(rows.persons, rows.starts):
        raise InvariantBroken("the rows of a slice are not ordered by person")


def cell_count(plan: Plan, surviving: SurvivingKeys | None) -> int:
    """Return how many cells a plan has, all grouping sets together."""
    if bool(plan.bounds.distinct_keys) != (surviving is not None):
        raise InvariantBroken("surviving keys are those of a plan with unknown keys")
    return plan.bounds.cells * (1 if surviving is None else surviving.size)


def needed_columns(plan: Plan) -> tuple[int, ...]:
    """Return the relation's columns that keys and statistics read, sorted."""
    keys = {key.column for key in plan.keys}
    measures = {component.column for component in plan.bounds.components if component.column is not None}
    return tuple(sorted(keys | measures | {each.column for each in plan.bounds.quantiles}))


def contributions(plan: Plan, rows: PersonRows, surviving: SurvivingKeys | None = None) -> ExactVector:
    """Add up the bounded contributions of the persons of one slice."""
    bounds = plan.bounds
    require_order(rows)
    count = cell_count(plan, surviving)
    cells = cells_of_rows(plan.keys, plan.sets, rows, surviving)
    weights = tuple(
        add_weights(each, bounds.max_rows, rows, every_row(cells, rows.rows), count) for each in bounds.quantiles
    )
    if not bounds.components:
        return ExactVector((), weights)
    measures = measures_of(bounds.components, rows)
    low = np.zeros(count * len(bounds.components), dtype=np.int64)
    high = np.zeros_like(low)
    square = bounds.norm * bounds.norm
    places = [measures.place(component) for component in bounds.components]
    starts = rows.starts
    if measures.complete.all():
        left = add_in_full(bounds, starts, cells, count, places, measures.codes, measures.limits, low, high)
        if len(left) < len(starts) - 1:
            cells = cells if cells.shape[1] == 1 else rows_of(left, starts, cells)
            measures, starts = measures.of_persons(left, starts), starts_of(left, starts)
    _add_persons(
        starts,
        to_write(cells),
        measures.values(),
        measures.present,
        measures.complete,
        measures.limits,
        count,
        bounds.max_rows,
        _parameters(bounds, places),
        bounds.norm,
        *halves(0 if bounds.pure else square),
        bounds.pure,
        low,
        high,
    )
    return ExactVector(tuple((int(upper) << 32) + int(lower) for upper, lower in zip(high, low, strict=True)), weights)


def _parameters(bounds: Bounds, places: list[int]) -> Int64s:
    """Return a row a component: kind, value row, middle, least, greatest, steps of a unit, its power of 2, offset."""
    table = []
    for component, place in zip(bounds.components, places, strict=True):
        if component.reach > LARGEST_ENTRY:
            raise InvariantBroken("a component exceeds the lattice")
        table.append(
            (
                _KINDS[component.measured],
                place,
                component.middle,
                component.lower,
                component.upper,
                component.steps,
                component.shift,
                component.offset,
            )
        )
    return np.array(table, dtype=np.int64).reshape(len(bounds.components), 8)


@njit(cache=True, nogil=True)
def _in_order(persons, starts):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return whether numbers increase, so that nobody comes back, and runs follow each other from first row to last."""
    if starts.shape[0] != persons.shape[0] + 1 or starts[0] != 0:
        return False
    ordered = True
    for person in range(persons.shape[0]):
        ordered &= starts[person] < starts[person + 1]
        ordered &= person == 0 or persons[person - 1] < persons[person]
    return ordered


@njit(cache=True, nogil=True)
def _add_persons(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    starts,
    cells,
    values,
    present,
    complete,
    limits,
    cell_count,
    max_rows,
    parameters,
    norm,
    square_high,
    square_low,
    pure,
    low,
    high,
):
    measures = values.shape[0]
    components = parameters.shape[0]
    middles = np.zeros(measures, dtype=np.int64)
    offsets = np.zeros(measures, dtype=np.int64)
    squared = np.zeros(measures, dtype=np.bool_)
    for component in range(components):
        if parameters[component, 0] == 4:
            place = parameters[component, 1]
            squared[place] = True
            middles[place] = parameters[component, 2]
            offsets[place] = parameters[component, 7]
    touched = np.zeros(cell_count + 1, dtype=np.int64)
    counts = np.zeros(cell_count, dtype=np.int64)
    value_counts = np.zeros((measures, cell_count), dtype=np.int64)
    value_sums = np.zeros((measures, cell_count), dtype=np.int64)
    value_squares = np.zeros((measures, cell_count if squared.any() else 0), dtype=np.int64)
    vector = np.zeros(64, dtype=np.int64)
    for person in range(starts.shape[0] - 1):
        start, end = starts[person], starts[person + 1]
        count = gather(cells, start, end, cell_count, touched, counts)
        for measure in range(measures):
            least, most, whole = limits[measure, 0], limits[measure, 1], complete[measure]
            add_up(
                cells, start, end, cell_count, measure, values, present, whole, least, most, value_counts, value_sums
            )
            if squared[measure]:
                middle, offset = middles[measure], offsets[measure]
                add_squares(
                    cells, start, end, cell_count, measure, values, present, whole, least, most, middle, offset,
                    value_squares,
                )  # fmt: skip
        entries = count * components
        if entries > vector.shape[0]:
            vector = np.zeros(max(entries, 2 * vector.shape[0]), dtype=np.int64)
        for component in range(components):
            kind, place, middle = parameters[component, 0], parameters[component, 1], parameters[component, 2]
            least, most = parameters[component, 3], parameters[component, 4]
            steps, shift = parameters[component, 5], parameters[component, 6]
            for at in range(count):
                cell = touched[at]
                n = value_counts[place, cell] if place >= 0 else counts[cell]
                if kind == 0:
                    entry = steps if n > 0 else 0
                elif kind == 1:
                    entry = min(n, max_rows) * steps
                elif kind == 2:
                    entry = _on_lattice(min(max(value_sums[place, cell], least), most), steps, shift)
                else:
                    total = value_sums[place, cell] - n * middle if kind == 3 else value_squares[place, cell]
                    if n > max_rows:
                        # The same factor as for the rows: max_rows / n (S34), truncated towards zero.
                        share = float(total) * (float(max_rows) / float(n))
                        share = min(max(share, float(least)), float(most))
                        entry = np.int64(share * float(steps) / float(np.int64(1) << shift))
                    else:
                        entry = _on_lattice(min(max(total, least), most), steps, shift)
                vector[at * components + component] = entry
        if pure:
            clip_sum(vector, entries, norm)
        else:
            clip(vector, entries, norm, square_high, square_low)
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
                if squared[measure]:
                    value_squares[measure, cell] = 0


@njit(nogil=True, inline="always")
def _on_lattice(value, steps, shift):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return value·steps/2^shift, truncated towards zero; the product itself might not fit 63 bits."""
    size = abs(value)
    whole = (size >> shift) * steps + (((size & ((np.int64(1) << shift) - 1)) * steps) >> shift)
    return whole if value >= 0 else -whole
