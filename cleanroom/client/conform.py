"""Turn a source's values into the table file's types, or say exactly which rows break the declaration.

Strict: one broken row, and nothing travels. The message is for the rows' owner, on the owner's machine; it may quote
values. The rules are in `values`, one value at a time, and in `columns`, whole columns.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import polars as pl

from cleanroom.client.columns import ConformedColumn, conform_column
from cleanroom.client.near import hint
from cleanroom.client.normalise import is_blank, normalise_column
from cleanroom.client.values import ReasonKind
from cleanroom.errors import Bilingual, InvalidUpload

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from cleanroom.catalog import TableCatalog
    from cleanroom.client.read_table import SourceTable
    from cleanroom.client.written import WrittenForm

SHOWN: Final = 10
"""How many broken rows are spelled out."""

SLICE_ROWS: Final = 1 << 18
"""Rows converted at a time: what conversion needs besides its result stays below 200 MB."""

_LONGEST_VALUE: Final = 60


@dataclass(frozen=True, slots=True)
class RowFault:
    """One value that the declaration does not allow.

    Args:
        source: the file's name; None for a table in memory.
        row: the row, from 1, the header not counted.
        value: what stands there, shortened; None for nothing.
        hint: what may have been meant, or in what form the column is.
    """

    source: str | None
    row: int
    column: str
    value: str | None
    reason: ReasonKind
    hint: Bilingual | None = None

    def sentence(self) -> Bilingual:
        """Say it in both languages."""
        where = "" if self.source is None else f"{self.source}, "
        value = "—" if self.value is None else repr(self.value)
        hint = Bilingual("", "") if self.hint is None else Bilingual(f" ({self.hint.fr})", f" ({self.hint.en})")
        return Bilingual(
            f"{where}ligne {self.row}, colonne « {self.column} », {value} : {self.reason.message.fr}{hint.fr}",
            f"{where}row {self.row}, column {self.column!r}, {value}: {self.reason.message.en}{hint.en}",
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


def conform(source: SourceTable, catalog: TableCatalog, forms: Mapping[str, WrittenForm]) -> Iterator[Conformed]:
    """Check and convert one source, a slice of rows after another, so that little more than its values is in memory.

    After the first broken row nothing is yielded any more; the rest is read for the counts.

    Args:
        forms: from `written_forms` of the whole source.

    Raises:
        RowsRefused: at least one value breaks the declaration.
    """
    faults: list[RowFault] = []
    counts: Counter[tuple[str, ReasonKind]] = Counter()
    for start in range(0, max(1, source.frame.height), SLICE_ROWS):
        frame = source.frame.slice(start, SLICE_ROWS)
        identifiers = frame[catalog.unit.source].cast(pl.String)
        columns = {
            column.name: conform_column(frame[column.name], column.type, forms.get(column.name))
            for column in catalog.columns
        }
        found = (
            (catalog.unit.source, ReasonKind.NO_IDENTIFIER, is_blank(identifiers)),
            *((name, reason, wrong) for name, column in columns.items() for reason, wrong in column.faults),
        )
        for name, reason, wrong in found:
            rows = wrong.arg_true()
            if not rows.is_empty():
                counts[name, reason] += len(rows)
                faults += [
                    RowFault(source.name, start + row + 1, name, _shown(frame[name][row]), reason)
                    for row in rows.head(SHOWN)
                ]
        if not faults:
            yield _of_persons(identifiers, columns, catalog)
    if faults:
        faults.sort(key=lambda fault: fault.row)
        raise RowsRefused([_hinted(fault, catalog, forms) for fault in faults[:SHOWN]], counts)


def _hinted(fault: RowFault, catalog: TableCatalog, forms: Mapping[str, WrittenForm]) -> RowFault:
    """Add to a fault what may have been meant."""
    kind = next((column.type for column in catalog.columns if column.name == fault.column), None)
    return replace(fault, hint=hint(fault.value, fault.reason, kind, forms.get(fault.column)))


def _of_persons(identifiers: pl.Series, columns: dict[str, ConformedColumn], catalog: TableCatalog) -> Conformed:
    """Leave out the rows whose identifier is not of its kind."""
    normal = normalise_column(catalog.unit.kind, identifiers)
    frame = pl.DataFrame([column.values.alias(name) for name, column in columns.items()])
    known = normal.is_not_null()
    if known.all():
        return Conformed(normal, frame, 0)
    return Conformed(normal.filter(known), frame.filter(known), len(known) - int(known.sum()))


def _shown(value: object) -> str | None:
    if value is None:
        return None
    text = str(value)
    return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "…"
