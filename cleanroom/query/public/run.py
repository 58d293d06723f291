"""Run a public relation over released tables: in an engine of its own, which sees noised numbers and nothing else."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import duckdb
import numpy as np
import pyarrow as pa

from cleanroom.errors import InvariantBroken
from cleanroom.query.public.language import Kind, PublicColumn, PublicRelation, ReferenceRows
from cleanroom.query.public.printing import public_statement

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cleanroom.catalog.reference import ReferenceTable
    from cleanroom.identifiers import Digest

_TYPES: Final = {
    Kind.NUMBER: pa.float64(),
    Kind.TEXT: pa.string(),
    Kind.DATE: pa.date32(),
    Kind.TRUTH: pa.bool_(),
}
MOST_ROWS: Final = 1_000_000
"""Rows of an answer."""

PublicValue = str | Decimal | date | bool | float | None


@dataclass(frozen=True, slots=True)
class Shown:
    """One value of an answer.

    Args:
        margin: half the width of its 95 % interval; None where no rule gives one, or nothing is noised.
        withheld: whether a cell behind it was withheld.
    """

    value: PublicValue
    margin: float | None
    withheld: bool

    @property
    def state(self) -> str:
        """`released`; `suppressed` where nothing is shown; `partial` where some of what is behind was withheld."""
        if not self.withheld:
            return "released"
        return "suppressed" if self.value is None else "partial"


@dataclass(frozen=True, slots=True)
class PublicRows:
    """A public table, row by row."""

    columns: tuple[PublicColumn, ...]
    rows: tuple[tuple[Shown, ...], ...]


def run(
    relation: PublicRelation,
    releases: Mapping[int, PublicRows],
    references: Mapping[Digest, ReferenceTable],
) -> PublicRows:
    """Run `relation`.

    Args:
        releases: the released tables by number.
        references: the public tables that it reads, by digest.
    """
    statement = public_statement(relation)
    connection = duckdb.connect(
        ":memory:",
        config={
            "enable_external_access": "false",
            "autoload_known_extensions": "false",
            "autoinstall_known_extensions": "false",
            "temp_directory": "",
            "memory_limit": "1GiB",
            "threads": 1,
            "default_null_order": "nulls_last",
        },
    )
    try:
        for number, release in enumerate(statement.releases):
            connection.register(f"t{number}", _table(releases[release]))
        for number, each in enumerate(statement.references):
            connection.register(f"r{number}", _reference(each, references[each.table.digest]))
        connection.execute("SET lock_configuration = true")
        found = connection.execute(statement.sql, list(statement.parameters)).fetchmany(MOST_ROWS + 1)
    finally:
        connection.close()
    if len(found) > MOST_ROWS:
        raise InvariantBroken("an answer of more than a million rows")
    return PublicRows(relation.columns, tuple(_shown(relation.columns, row) for row in found))


def empty(columns: tuple[PublicColumn, ...]) -> PublicRows:
    """Return a table without rows: what admission tries a statement on, before anything is charged."""
    return PublicRows(columns, ())


def _shown(columns: tuple[PublicColumn, ...], row: Sequence[object]) -> tuple[Shown, ...]:
    shown = []
    for place, column in enumerate(columns):
        value, margin, withheld = row[3 * place : 3 * place + 3]
        if isinstance(value, float) and not math.isfinite(value):
            value = None
        if column.kind is Kind.NUMBER and isinstance(value, float) and not column.behind:
            value = Decimal(repr(value)) if value != int(value) or abs(value) > 1e15 else Decimal(int(value))
        width = float(margin) if isinstance(margin, float) and math.isfinite(margin) else None
        shown.append(Shown(value, width, withheld=bool(withheld)))  # type: ignore[arg-type]
    return tuple(shown)


def _table(rows: PublicRows) -> pa.Table:
    arrays, names = [], []
    for place, column in enumerate(rows.columns):
        cells = [row[place] for row in rows.rows]
        arrays += [
            pa.array([_native(cell.value, column.kind) for cell in cells], _TYPES[column.kind]),
            pa.array([cell.margin for cell in cells], pa.float64()),
            pa.array([cell.withheld for cell in cells], pa.bool_()),
        ]
        names += [f"v{place}", f"m{place}", f"s{place}"]
    return pa.Table.from_arrays(arrays, names=names)


def _reference(rows: ReferenceRows, table: ReferenceTable) -> pa.Table:
    arrays, names = [], []
    for place, name in enumerate(rows.table.columns):
        arrays += [
            table.shown.column(name),
            pa.nulls(table.rows, pa.float64()),
            pa.array(np.zeros(table.rows, dtype=np.bool_)),
        ]
        names += [f"v{place}", f"m{place}", f"s{place}"]
    return pa.Table.from_arrays(arrays, names=names)


def _native(value: object, kind: Kind) -> object:
    return float(str(value)) if value is not None and kind is Kind.NUMBER else value
