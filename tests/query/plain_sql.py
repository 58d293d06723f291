"""Questions against plain SQL: a room as a member would read it, and answers without noise through the same finish."""

# ruff: noqa: S608 - tables are named by their catalog
from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import groupby, islice, permutations
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa
from rooms import Engine, Room, bind
from slow_vector import best

from cleanroom.catalog import Category, Date, Number, Text
from cleanroom.query.cells import key_values
from cleanroom.query.components import Measured
from cleanroom.query.finishing import answer_columns, answer_rows
from cleanroom.query.release import CellState, NoisedRelease
from cleanroom.query.statistics import Mean, Quantile, StatisticOutput, Variance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import numpy.typing as npt
    from rooms import Catalogs

    from cleanroom.catalog.reference import ReferenceTable
    from cleanroom.query.bound import QuantileBound
    from cleanroom.query.parse import Parameters
    from cleanroom.query.plan import Plan, QuestionPlan
    from cleanroom.query.public.language import PublicColumn
    from cleanroom.query.public.run import PublicRows
    from cleanroom.query.release import Cell
    from cleanroom.query.statistics import Statistic

Answer = list[tuple[Any, ...]]


def database(room: Room, public: Mapping[str, ReferenceTable] | None = None) -> duckdb.DuckDBPyConnection:
    """Return a database with the room's rows as a member would read them: texts, dates and decimals.

    Args:
        public: the room's public tables, by name.
    """
    connection = duckdb.connect(":memory:", config={"threads": 1, "default_null_order": "nulls_last"})
    types = {Category: pa.string(), Text: pa.string(), Date: pa.date32(), Number: pa.decimal128(18, 2)}
    for table, catalog in room.catalogs.items():
        rows = [row for part in room.uploads[table] for row in part]
        columns = [(catalog.unit.name, pa.array([f"p{person}" for person, _ in rows], pa.string()))]
        for place, column in enumerate(catalog.columns):
            values = [plain(column.type, values[place]) for _, values in rows]
            kind = pa.int32() if column.name in {"seats", "tickets"} else types[type(column.type)]
            if pa.types.is_integer(kind):
                values = [None if value is None else int(value) for value in values]
            columns.append((column.name, pa.array(values, kind)))
        connection.register("arriving", pa.table(dict(columns)))
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {table.owner}")
        connection.execute(f"CREATE TABLE {table} AS SELECT * FROM arriving")
        connection.unregister("arriving")
    connection.execute("CREATE SCHEMA public")
    for name, reference in (public or {}).items():
        connection.register("arriving", reference.shown)
        whole = [each.name for each in reference.columns if isinstance(each.type, Number) and each.type.resolution == 1]
        listed = f"* REPLACE ({', '.join(f'CAST({each} AS INTEGER) AS {each}' for each in whole)})" if whole else "*"
        connection.execute(f"CREATE TABLE public.{name} AS SELECT {listed} FROM arriving")
        connection.unregister("arriving")
    return connection


def plain(kind: object, code: Any) -> Any:
    """Return a code as the value it stands for."""
    if code is None:
        return None
    match kind:
        case Date():
            return date(1970, 1, 1) + timedelta(days=code)
        case Number(resolution=resolution):
            return code * resolution
    return code


class _Occupied(NoisedRelease):
    """A release without noise, without the lines of empty cells: a GROUP BY of plain SQL has none of those."""

    def cells(self) -> Iterator[Cell]:
        """Yield the cells that somebody is in, and the one of everybody, which SQL gives for no rows too."""
        whole = replace(self, plan=replace(self.plan, bounds=replace(self.plan.bounds, threshold=0)))
        for number, cell in enumerate(super().cells()):
            if cell.state is CellState.RELEASED:
                yield cell
            elif (
                self.plan.keys
                and not self.plan.sets[key_values(self.plan.keys, self.plan.sets, self.surviving, number)[1]]
            ):
                yield next(islice(NoisedRelease.cells(whole), number, None))


def exact_release(a_plan: Plan, room: Room) -> tuple[NoisedRelease, dict[int, float]]:
    """Return what a release would be without noise, and how far each of its statistics may be off.

    Args:
        a_plan: has a threshold of one person.
    """
    engine = Engine(a_plan)
    surviving = engine.keys(room) if a_plan.bounds.distinct_keys else None
    exact = engine.exact(room, surviving=surviving)
    chosen = []
    off = {place: _truncated(a_plan, each) for place, each in enumerate(a_plan.statistics)}
    for bound, weights in zip(a_plan.bounds.quantiles, exact.weights, strict=True):
        statistic = a_plan.statistics[bound.statistic]
        assert isinstance(statistic, Quantile)
        chosen.append(tuple(best(bound, cell, discrete=statistic.discrete) for cell in weights))
        for place, cell in zip(chosen[-1], weights, strict=True):
            loose = float(_loose(bound, statistic, place, cell) * Fraction(statistic.resolution))
            off[bound.statistic] = max(off[bound.statistic], loose)
    if not a_plan.keys and a_plan.bounds.threshold:
        # One line, whether or not anybody is in it.
        a_plan = replace(a_plan, bounds=replace(a_plan.bounds, threshold=0))
    return _Occupied(a_plan, 1.0, exact.values, tuple(chosen), surviving), off


def _truncated(a_plan: Plan, statistic: Statistic) -> float:
    """Return how far a mean or a variance may be off since totals of wide bounds are cut to whole steps of the lattice.

    Of each person's total a step at most is cut (S20), and a person in a mean has a row at least: a step of the mean. A
    variance is Q/N - (S/N)², and S/N at most half the width.
    """
    if not isinstance(statistic, (Mean, Variance)):
        return 0.0
    steps = dict.fromkeys((Measured.MEAN_TOTAL, Measured.SQUARES), Fraction(0))
    for each in a_plan.bounds.components:
        if each.column == statistic.column and each.measured in steps and each.multiplier % 2**each.shift:
            steps[each.measured] = max(steps[each.measured], Fraction(2**each.shift, each.multiplier))
    mean, squares = (steps[each] * statistic.resolution for each in steps)
    if isinstance(statistic, Mean):
        return float(mean)
    width = (statistic.upper - statistic.lower) * statistic.resolution
    return 2 * float(squares * statistic.resolution + width * mean)


def _loose(bound: QuantileBound, statistic: Quantile, place: int, cell: npt.NDArray[np.int64]) -> int:
    """Return how far, in steps, a quantile may be off that has its greatest score at a place.

    One that must be a value of the data not at all where each is a candidate, else not beyond the next. One that may
    lie between two of them not beyond the nearest data: plain SQL interpolates where one of them is a quantile too.
    """
    if statistic.discrete:
        return bound.grid.step if bound.grid.step > 1 else 0
    filled = np.flatnonzero(cell)
    before, after = filled[filled < 2 * place], filled[filled > 2 * place]
    first = int(before[-1]) // 2 if len(before) else place
    last = (int(after[0]) + 1) // 2 if len(after) else place
    here = bound.grid.candidate(place)
    return max(bound.grid.step, here - bound.grid.candidate(first), bound.grid.candidate(last) - here)


def exact_answer(plan: QuestionPlan, room: Room) -> tuple[PublicRows, dict[tuple[int, int], float]]:
    """Return the answer before noise, and how far each number of a release may be off."""
    exact = [exact_release(each, room) for each in plan.releases]
    found = answer_rows(plan, tuple(release for release, _ in exact), {})
    assert found.columns == answer_columns(plan)
    return found, {
        (number, place): off[output.statistic]
        for number, (release, (_, off)) in enumerate(zip(plan.releases, exact, strict=True))
        for place, output in enumerate(release.outputs)
        if isinstance(output, StatisticOutput)
    }


def neutral(plan: QuestionPlan) -> list[bool]:
    """Return for each column whether it has a declared neutral value where plain SQL has NULL."""
    averaged = {
        (number, place)
        for number, release in enumerate(plan.releases)
        for place, output in enumerate(release.outputs)
        if isinstance(output, StatisticOutput)
        and isinstance(release.statistics[output.statistic], (Mean, Variance, Quantile))
    }
    if plan.finish is None:
        return [(0, place) in averaged for place in range(len(plan.releases[0].outputs))]
    return [bool(column.behind & averaged) for column in plan.finish.columns]


def compare_answer(
    sql: str, written: str, room: Room, *, parameters: Parameters = None, wide: Catalogs, within: float = 0.0
) -> int:
    """Compare a question's answer with plain SQL; return how many lines it has.

    Args:
        written: what plain SQL is asked.
        wide: catalogs whose bounds do not bind.
        within: how far a number may be off besides, where each row is rounded to a resolution.
    """
    plan = bind(sql, parameters, wide, threshold=1)
    with database(room) as connection:
        return compare_plan(plan, written, room, connection, within=within)


def compare_plan(
    plan: QuestionPlan, written: str, room: Room, connection: duckdb.DuckDBPyConnection, *, within: float = 0.0
) -> int:
    """Compare the answer of a plan, bound with a threshold of one person, with plain SQL in a database of the room."""
    theirs = [tuple(native(value) for value in row) for row in connection.execute(written).fetchall()]
    found, off = exact_answer(plan, room)
    mine = [tuple(native(cell.value) for cell in row) for row in found.rows]
    near = [max([within, *(off.get(each, 0.0) for each in column.behind)]) for column in found.columns]
    lenient = neutral(plan)
    # A number that must be a whole line's name: labels and keys.
    keys = [place for place, column in enumerate(found.columns) if not column.behind]
    assert Counter(_key(row, keys) for row in mine) == Counter(_key(row, keys) for row in theirs), (
        written,
        mine,
        theirs,
    )

    def differs(one: tuple[Any, ...], other: tuple[Any, ...]) -> str | None:
        for column, got, wanted, off, spared in zip(found.columns, one, other, near, lenient, strict=True):
            if not _alike(got, wanted, column, off, neutral=spared):
                return column.label
        return None

    ordered = "order by" in written.lower().rsplit(")", 1)[-1]
    for one, other in zip(mine, theirs, strict=True) if ordered else _partners(mine, theirs, keys, differs):
        label = differs(one, other)
        assert label is None, (written, label, one, other)
    return len(theirs)


def _partners(
    mine: Answer, theirs: Answer, keys: list[int], differs: Callable[[tuple[Any, ...], tuple[Any, ...]], str | None]
) -> Iterator[tuple[tuple[Any, ...], tuple[Any, ...]]]:
    """Pair the lines of two answers by their keys; few lines with the same keys in the order in which they are alike.

    The line of those whose key is NULL and that of a grand total are named alike.
    """
    ours, others = (sorted(rows, key=lambda row: _sortable(row, keys)) for rows in (mine, theirs))
    start = 0
    for _, same in groupby(ours, key=lambda row: _key(row, keys)):
        lines = list(same)
        against = others[start : start + len(lines)]
        start += len(lines)
        orders = permutations(against) if len(lines) <= 5 else iter((tuple(against),))
        alike = (order for order in orders if {None}.issuperset(map(differs, lines, order)))
        yield from zip(lines, next(alike, tuple(against)), strict=True)


def native(value: Any) -> Any:
    """Return a value in the one form that both sides are compared in."""
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, (int, float, Decimal)):
        return float(value)
    return value


def _key(row: tuple[Any, ...], keys: list[int]) -> tuple[Any, ...]:
    return tuple(round(row[place], 9) if isinstance(row[place], float) else row[place] for place in keys)


def _sortable(row: tuple[Any, ...], keys: list[int]) -> tuple[Any, ...]:
    first = [(value is not None, str(type(value)), value) for value in _key(row, keys)]
    rest = [(value is not None, round(value, 6) if isinstance(value, float) else 0) for value in row]
    return (first, rest)


def _alike(got: Any, wanted: Any, column: PublicColumn, off: float, *, neutral: bool) -> bool:
    if wanted is None:
        # The aggregate of nothing is the declared neutral value instead of NULL (S34).
        return got is None or (bool(column.behind) and (neutral or got == 0))
    if isinstance(wanted, float) and isinstance(got, float):
        near = max(1e-9, 1.001 * off if column.behind else 0)
        # A deviation is the root of a variance, which is what may be off.
        squared = column.behind and abs(got * got - wanted * wanted) <= 1.001 * off
        return bool(squared) or math.isclose(got, wanted, rel_tol=1e-9, abs_tol=near)
    return bool(got == wanted)
