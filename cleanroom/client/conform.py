"""Turn a source's values into the table file's types, or say exactly which rows break the declaration.

Strict unless its owner chooses otherwise: one broken row, and nothing travels. The message is for the rows' owner, on
the owner's machine; it may quote values. The rules are in `values`, one value at a time, and in `columns`, whole
columns.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

import polars as pl

from cleanroom.catalog import Number
from cleanroom.client.columns import ConformedColumn, conform_column, written_text
from cleanroom.client.faults import FaultReport, Faults, RowFault, RowsRefused, shown
from cleanroom.client.near import NOBODY, hint
from cleanroom.client.normalise import WHITE_SPACE, identifier_text, is_blank, normalise_column
from cleanroom.client.number_forms import DecimalMark, NumberForm
from cleanroom.client.reading import Forms, Reading
from cleanroom.client.values import ReasonKind, nearest_bound
from cleanroom.client.vocabulary import Translation, Vocabulary, VocabularyUse
from cleanroom.errors import InvariantBroken
from cleanroom.identifiers import IdentifierKind

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from cleanroom.catalog import Column, TableCatalog
    from cleanroom.client.csv_rows import UnevenRows
    from cleanroom.client.read_table import SourceTable
    from cleanroom.client.written import WrittenForm


class BadRows(Enum):
    """What becomes of rows that break the declaration."""

    REFUSE = "refuse"
    """Nothing travels."""

    LEAVE_OUT = "leave out"
    """The rows stay at home, counted and reported."""


class OutOfBounds(Enum):
    """What becomes of numbers outside the declared bounds."""

    REFUSE = "refuse"
    """They break the declaration."""

    CLIP = "clip"
    """They become the bound that they are beyond, counted and reported."""


@dataclass(frozen=True, slots=True)
class Treatment:
    """What the owner chose for values that are not as declared."""

    bad_rows: BadRows = BadRows.REFUSE
    out_of_bounds: OutOfBounds = OutOfBounds.REFUSE
    vocabularies: tuple[Vocabulary, ...] = ()


@dataclass(frozen=True, slots=True)
class Clipped:
    """How many numbers of a column became its bounds."""

    column: str
    to_lower: int
    to_upper: int


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


class Conforming:
    """Checks and converts the sources of one upload, one after another, a batch of rows at a time."""

    def __init__(self, catalog: TableCatalog, reading: Reading, treatment: Treatment) -> None:
        self._catalog = catalog
        self._reading = reading
        self._treatment = treatment
        self._faults = Faults()
        self._sources: list[str | None] = []
        self._kept = 0
        self.forms = Forms(catalog, reading)
        """How the source at hand is written, as far as it was read."""
        self.rows_read = 0
        """How many rows of the source at hand were read, without uneven ones."""
        self._clipped: dict[str, tuple[int, int]] = {}
        self._translations = {each.column: Translation(each) for each in treatment.vocabularies}

    def conform(self, source: SourceTable) -> Generator[Conformed]:
        """Yield a source's rows that are as declared.

        If bad rows are refused, nothing is yielded any more after the first; the rest is read for the counts.

        Raises:
            InvalidUpload: the source cannot be read, or has rows whose number of fields is wrong, if they are refused.
        """
        self._sources.append(source.name)
        self.forms = forms = Forms(self._catalog, self._reading)
        self.rows_read = 0
        mine = Faults()
        for frame in source.batches:
            forms.see(frame)
            conformed = self._batch(source, frame, forms.found, mine)
            self.rows_read += frame.height
            if conformed is not None:
                self._kept += len(conformed.identifiers) + conformed.without_person
                yield conformed
        if source.uneven is not None and source.uneven.counts:
            self._take_uneven(source.name or "", source.uneven, mine)
        # Hints say in which form a column is read, which may be known at its end only.
        self._faults.take(mine, lambda fault: self._hinted(fault, forms.found))

    def report(self) -> FaultReport:
        """Return what was wrong in all sources: what was left out, as nothing else went on.

        Raises:
            RowsRefused: bad rows are refused and there are some; or nothing would be left.
        """
        names = [self._catalog.unit.source, *(column.name for column in self._catalog.columns)]
        report = self._faults.report(self._sources, names)
        if self._refusing() or (report.rows and not self._kept):
            raise RowsRefused(report)
        return report

    def clipped(self) -> tuple[Clipped, ...]:
        """Say which numbers became bounds."""
        return tuple(Clipped(name, *found) for name, found in self._clipped.items() if found != (0, 0))

    def vocabularies(self) -> tuple[VocabularyUse, ...]:
        """Say how vocabularies were used."""
        return tuple(each.use() for each in self._translations.values())

    def _refusing(self, mine: Faults | None = None) -> bool:
        found = self._faults.rows + (0 if mine is None else mine.rows)
        return self._treatment.bad_rows is BadRows.REFUSE and found > 0

    def _batch(
        self, source: SourceTable, frame: pl.DataFrame, forms: Mapping[str, WrittenForm], mine: Faults
    ) -> Conformed | None:
        identifiers = identifier_text(frame[self._catalog.unit.source])
        clipped: list[tuple[str, pl.Series, pl.Series]] = []
        columns = {
            column.name: self._column(frame[column.name], column, forms.get(column.name), clipped)
            for column in self._catalog.columns
        }
        found = (
            ((self._catalog.unit.source, ReasonKind.NO_IDENTIFIER), self._of_nobody(identifiers)),
            *(((name, reason), wrong) for name, column in columns.items() for reason, wrong in column.faults),
        )
        bad: pl.Series | None = None
        for kind, wrong in found:
            if not wrong.any():
                continue
            bad = wrong if bad is None else bad | wrong
            rows = wrong.arg_true()
            name, reason = kind
            mine.add(
                kind,
                len(rows),
                [
                    RowFault(source.name, source.number_of(self.rows_read + row), name, shown(frame[name][row]), reason)
                    for row in rows.head(max(0, mine.wanted(kind)))
                ],
            )
        if bad is not None:
            mine.rows += int(bad.sum())
        if self._refusing(mine):
            return None
        for name, values, wrong in clipped:
            self._count_clipped(name, values, wrong if bad is None else wrong & ~bad)
        return self._of_persons(identifiers, {name: each.values for name, each in columns.items()}, bad)

    def _column(
        self,
        values: pl.Series,
        column: Column,
        form: WrittenForm | None,
        clipped: list[tuple[str, pl.Series, pl.Series]],
    ) -> ConformedColumn:
        translation = self._translations.get(column.name)
        conformed = conform_column(values if translation is None else translation(values), column.type, form)
        outside = next((wrong for reason, wrong in conformed.faults if reason is ReasonKind.OUT_OF_BOUNDS), None)
        if (
            self._treatment.out_of_bounds is OutOfBounds.REFUSE
            or not isinstance(column.type, Number)
            or outside is None
        ):
            return conformed
        bounds = _bounds(written_text(values), outside, column.type, form)
        clipped.append((column.name, bounds, outside))
        return ConformedColumn(
            bounds.zip_with(outside, conformed.values),
            tuple(fault for fault in conformed.faults if fault[0] is not ReasonKind.OUT_OF_BOUNDS),
        )

    def _count_clipped(self, name: str, bounds: pl.Series, rows: pl.Series) -> None:
        declared = self._catalog.column(name)
        if declared is None or not isinstance(declared.type, Number):
            raise InvariantBroken("what is no number was clipped")
        to_lower = int((bounds.filter(rows) == declared.type.lower).sum())
        lower, upper = self._clipped.get(name, (0, 0))
        self._clipped[name] = (lower + to_lower, upper + int(rows.sum()) - to_lower)

    def _of_nobody(self, identifiers: pl.Series) -> pl.Series:
        """Tell which identifiers name nobody; «NULL» in a thousand rows would be one customer of a thousand visits."""
        blank = is_blank(identifiers)
        if self._catalog.unit.kind is not IdentifierKind.OPAQUE:
            return blank
        return blank | identifiers.str.strip_chars(WHITE_SPACE).str.to_uppercase().is_in(NOBODY).fill_null(value=False)

    def _of_persons(self, identifiers: pl.Series, columns: dict[str, pl.Series], bad: pl.Series | None) -> Conformed:
        """Leave out bad rows, and those whose identifier is not of its kind."""
        frame = pl.DataFrame([values.alias(name) for name, values in columns.items()])
        if bad is not None:
            identifiers, frame = identifiers.filter(~bad), frame.filter(~bad)
        unit = self._catalog.unit
        normal = normalise_column(unit.kind, identifiers, unit.region)
        known = normal.is_not_null()
        if known.all():
            return Conformed(normal, frame, 0)
        return Conformed(normal.filter(known), frame.filter(known), len(known) - int(known.sum()))

    def _hinted(self, fault: RowFault, forms: Mapping[str, WrittenForm]) -> RowFault:
        column = self._catalog.column(fault.column)
        kind = None if column is None else column.type
        return replace(fault, hint=hint(fault.value, fault.reason, kind, forms.get(fault.column)))

    def _take_uneven(self, name: str, uneven: UnevenRows, mine: Faults) -> None:
        """Count the rows that the reader left out; one whose end is unknown may hold others, and is never left out."""
        if self._treatment.bad_rows is BadRows.REFUSE:
            raise uneven.error(name, uneven.first)
        if uneven.open_quotes:
            raise uneven.error(name, uneven.open_quotes)
        for more, count in uneven.counts.items():
            reason = ReasonKind.TOO_MANY_FIELDS if more else ReasonKind.TOO_FEW_FIELDS
            first = [each for each in uneven.first if (each.fields > uneven.width) is more]
            mine.add(("", reason), count, [RowFault(name, each.row, "", each.text, reason) for each in first])
            mine.rows += count


def _bounds(text: pl.Series, outside: pl.Series, kind: Number, form: WrittenForm | None) -> pl.Series:
    """Return the bound that each number is beyond where `outside` is true; null elsewhere."""
    # Each distinct value once, as in `columns`.
    known = form if isinstance(form, NumberForm) else NumberForm(DecimalMark.POINT)
    bounds = {value: nearest_bound(value, kind, known) for value in text.filter(outside).unique()}
    return text.replace_strict(list(bounds), list(bounds.values()), default=None, return_dtype=pl.Int64)
