"""A public table of the room: its columns, its values as codes, and the one form that it is known by (S30).

The canonical content is ASCII JSON, column by column: texts as they are, days since 1970-01-01, whole steps of the
resolution. Whatever else is known of the table, types included, is computed from that, so its digest fixes it all.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cached_property
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from cleanroom.catalog.columns import LARGEST_DOMAIN, LARGEST_NUMBER, Category, Column, Date, Number, Text, day_of
from cleanroom.errors import Bilingual, Fault
from cleanroom.identifiers import Digest, InvalidName, identifier

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cleanroom.catalog.columns import ColumnType

FORMAT: Final = "cleanroom/reference/v1"
MOST_ROWS: Final = 100_000
MOST_COLUMNS: Final = 64
LARGEST_CONTENT: Final = 16 << 20
"""Bytes of the canonical content."""

DAMAGED: Final = "reference_damaged"
_KINDS: Final = ("text", "date", "number")


@dataclass(frozen=True)
class ReferenceTable:
    """A public table's values.

    Args:
        columns: their types are those of the values: a text's domain is its values, in order, as long as there are few
            enough to be a domain; the bounds of a number or a date are its least and greatest value.
        written: for each column its values: texts, or whole numbers (steps; days since 1970-01-01).
    """

    columns: tuple[Column, ...]
    written: tuple[pa.Array, ...]

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return len(self.written[0])

    @cached_property
    def content(self) -> bytes:
        """The canonical content."""
        document = {
            "columns": [
                [
                    column.name,
                    _kind(column.type),
                    str(column.type.resolution) if isinstance(column.type, Number) else "",
                ]
                for column in self.columns
            ],
            "format": FORMAT,
            "values": [values.to_pylist() for values in self.written],
        }
        return json.dumps(document, ensure_ascii=True, separators=(",", ":"), sort_keys=True).encode("ascii")

    @cached_property
    def digest(self) -> Digest:
        """The digest of the canonical content."""
        return Digest.of(self.content)

    @cached_property
    def repeats(self) -> tuple[int, ...]:
        """For each column how many rows have its commonest value, NULL not counted."""
        return tuple(_commonest(values) for values in self.written)

    @cached_property
    def codes(self) -> pa.Table:
        """The values as the engine sees a scan's: indices in the domain, days, steps; texts without a domain."""
        arrays = []
        for column, values in zip(self.columns, self.written, strict=True):
            if isinstance(column.type, Category):
                arrays.append(pc.index_in(values, pa.array(column.type.domain, pa.string())).cast(pa.int64()))
            else:
                arrays.append(values)
        return pa.Table.from_arrays(arrays, names=[column.name for column in self.columns])

    @cached_property
    def shown(self) -> pa.Table:
        """The values as people read them: texts, dates, numbers as doubles."""
        arrays = []
        for column, values in zip(self.columns, self.written, strict=True):
            match column.type:
                case Number(resolution=resolution):
                    exact = [None if step is None else float(resolution * step) for step in values.to_pylist()]
                    arrays.append(pa.array(exact, pa.float64()))
                case Date():
                    arrays.append(values.cast(pa.int32()).cast(pa.date32()))
                case _:
                    arrays.append(values)
        return pa.Table.from_arrays(arrays, names=[column.name for column in self.columns])


def reference_table(
    names: Sequence[str], resolutions: Sequence[Decimal | None], values: Sequence[pa.Array]
) -> ReferenceTable:
    """Return a table of these values, its types computed.

    Args:
        resolutions: of a number; None for texts and dates.
        values: texts, dates as date32, numbers as int64 steps.
    """
    columns, written = [], []
    for name, resolution, column in zip(names, resolutions, values, strict=True):
        whole = column.cast(pa.int32()).cast(pa.int64()) if pa.types.is_date32(column.type) else column
        written.append(whole)
        kind = "date" if pa.types.is_date32(column.type) else "text" if resolution is None else "number"
        columns.append(Column(name, _type(kind, resolution, whole)))
    return ReferenceTable(tuple(columns), tuple(written))


def read_content(name: str, content: bytes, digest: Digest) -> ReferenceTable:
    """Read the canonical content of the table of this name back.

    Raises:
        Fault: it is not what `digest` names, or not as this module writes it.
    """
    if Digest.of(content) != digest:
        raise damaged(name)
    try:
        document = json.loads(content)
        described, values = document["columns"], document["values"]
        columns, written = [], []
        for (column_name, kind, resolution), column in zip(described, values, strict=True):
            whole = pa.array(column, pa.string() if kind == "text" else pa.int64())
            step = Decimal(resolution) if kind == "number" else None
            written.append(whole)
            columns.append(Column(identifier(column_name), _type(kind, step, whole)))
        table = ReferenceTable(tuple(columns), tuple(written))
        known = document["format"] == FORMAT and len({len(each) for each in written}) == 1
    except (ValueError, KeyError, TypeError, RecursionError, pa.ArrowException, InvalidOperation, InvalidName):
        raise damaged(name) from None
    if not known or table.content != content:
        raise damaged(name)
    return table


def damaged(name: str) -> Fault:
    """Return what is said of a stored table that is not the one that the operator signed."""
    return Fault(
        Bilingual(
            f"public.{name} est endommagée : ce n'est pas la table que l'opérateur a signée ; rien n'a été imputé",
            f"public.{name} is damaged: it is not the table that the operator signed; nothing was charged",
        ),
        code=DAMAGED,
    )


def _type(kind: str, resolution: Decimal | None, values: pa.Array) -> ColumnType:
    nullable = values.null_count > 0
    if kind == "text":
        domain = tuple(sorted(values.unique().drop_null().to_pylist()))
        return Category(domain, nullable) if 1 <= len(domain) <= LARGEST_DOMAIN else Text(nullable)
    least, most = pc.min_max(values).values()
    lower, upper = least.as_py(), most.as_py()
    if lower is None or kind not in _KINDS:
        raise ValueError(kind)
    if kind == "date":
        return Date(day_of(lower), day_of(upper), nullable)
    if resolution is None or resolution <= 0 or max(-lower, upper) > LARGEST_NUMBER:
        raise ValueError(kind)
    return Number(resolution, lower, upper, nullable)


def _kind(kind: ColumnType) -> str:
    match kind:
        case Number():
            return "number"
        case Date():
            return "date"
        case _:
            return "text"


def _commonest(values: pa.Array) -> int:
    counts = values.drop_null().value_counts()
    return int(pc.max(counts.field("counts")).as_py()) if len(counts) else 0
