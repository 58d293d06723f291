"""Turn a source's values into the table file's types, or say exactly which rows break the declaration.

Strict: one broken row, and nothing travels. The message is for the rows' owner, on the owner's machine; it may quote
values. The rules are in `values`, one value at a time, and in `columns`, whole columns.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import polars as pl

from cleanroom.client.columns import conform_column
from cleanroom.client.normalise import is_blank, normalise_column
from cleanroom.client.values import ReasonKind
from cleanroom.errors import Bilingual, InvalidUpload

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cleanroom.catalog import TableCatalog
    from cleanroom.client.read_table import SourceTable

SHOWN: Final = 10
"""How many broken rows are spelled out."""

_LONGEST_VALUE: Final = 60


@dataclass(frozen=True, slots=True)
class RowFault:
    """One value that the declaration does not allow.

    Args:
        source: the file's name; None for a table in memory.
        row: the row, from 1, the header not counted.
        value: what stands there, shortened; None for nothing.
    """

    source: str | None
    row: int
    column: str
    value: str | None
    reason: ReasonKind

    def sentence(self) -> Bilingual:
        """Say it in both languages."""
        where = "" if self.source is None else f"{self.source}, "
        value = "—" if self.value is None else repr(self.value)
        return Bilingual(
            f"{where}ligne {self.row}, colonne « {self.column} », {value} : {self.reason.message.fr}",
            f"{where}row {self.row}, column {self.column!r}, {value}: {self.reason.message.en}",
        )


class RowsRefused(InvalidUpload):
    """Rows break the declaration; `first` are the first of them, `counts` all, by column and reason."""

    def __init__(self, first: Sequence[RowFault], counts: Counter[tuple[str, ReasonKind]]) -> None:
        self.first = tuple(first)
        self.counts = counts
        total = counts.total()
        lines = [fault.sentence() for fault in self.first]
        fr = [f"{total} valeurs ne respectent pas la déclaration ; rien n'a été déposé"]
        en = [f"{total} values break the declaration; nothing was uploaded"]
        for (column, reason), count in counts.most_common():
            fr.append(f"  {count} × « {column} » : {reason.message.fr}")
            en.append(f"  {count} × {column!r}: {reason.message.en}")
        fr += ["premières lignes :", *(f"  {line.fr}" for line in lines)]
        en += ["first rows:", *(f"  {line.en}" for line in lines)]
        super().__init__(Bilingual("\n".join(fr), "\n".join(en)), code="rows_refused")


@dataclass(frozen=True, slots=True)
class Conformed:
    """Rows whose values are all as declared.

    Args:
        identifiers: each row's identifier in its normal form.
        columns: the declared columns, in their storage types.
        without_person: rows left out because their identifier is not of its kind; said to the owner only (S13).
    """

    identifiers: pl.Series
    columns: pl.DataFrame
    without_person: int


def conform(source: SourceTable, catalog: TableCatalog) -> Conformed:
    """Check and convert one source.

    Raises:
        RowsRefused: at least one value breaks the declaration.
    """
    faults: list[RowFault] = []
    counts: Counter[tuple[str, ReasonKind]] = Counter()

    def note(column: str, reason: ReasonKind, wrong: pl.Series) -> None:
        rows = wrong.arg_true()
        if rows.is_empty():
            return
        counts[column, reason] += len(rows)
        values = source.frame[column].gather(rows.head(SHOWN))
        for row, value in zip(rows.head(SHOWN), values, strict=True):
            faults.append(RowFault(source.name, row + 1, column, _shown(value), reason))

    unit = catalog.unit
    raw = source.frame[unit.source]
    identifiers = raw if raw.dtype == pl.String else raw.cast(pl.String)
    note(unit.source, ReasonKind.NO_IDENTIFIER, is_blank(identifiers))
    columns: list[pl.Series] = []
    for column in catalog.columns:
        conformed = conform_column(source.frame[column.name], column.type)
        for reason, wrong in conformed.faults:
            note(column.name, reason, wrong)
        columns.append(conformed.values.alias(column.name))
    if faults:
        faults.sort(key=lambda fault: fault.row)
        raise RowsRefused(faults[:SHOWN], counts)
    normal = normalise_column(unit.kind, identifiers)
    known = normal.is_not_null()
    frame = pl.DataFrame(columns)
    if known.all():
        return Conformed(normal, frame, 0)
    return Conformed(normal.filter(known), frame.filter(known), len(known) - int(known.sum()))


def _shown(value: object) -> str | None:
    if value is None:
        return None
    text = str(value)
    return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "…"
