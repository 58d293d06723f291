"""Look through a sample, every column of it, for what a table file would have to say of it; for the owner alone (S25).

Rows go by in batches; what is kept of a column is a few thousand distinct values at most, and of each person a number.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from cleanroom.catalog import Date, Number
from cleanroom.client.columns import conform_column, written_text
from cleanroom.client.csv_rows import UnevenRows, read_header, read_rows
from cleanroom.client.csv_text import find_text, unreadable
from cleanroom.client.excel import is_workbook, read_sheet
from cleanroom.client.normalise import identifier_text, is_blank, normalise_column
from cleanroom.client.number_forms import NumberForm
from cleanroom.client.read_table import ArrowStream
from cleanroom.client.values import ReasonKind
from cleanroom.client.written import WrittenForm, written_form
from cleanroom.errors import Bilingual, UsageError
from cleanroom.identifiers import IdentifierKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cleanroom.client.read_table import Source
    from cleanroom.client.reading import Reading

MOST_VALUES: Final = 2_000
"""Distinct values of a column that are counted; a column with more is no category."""

_TRIED: Final = 2_000
_ROWS: Final = 1 << 17
_LARGEST: Final = (1 << 31) - 1
_RESOLUTIONS: Final = (Decimal(1), Decimal("0.01"), Decimal("0.0001"))
EVERY_DAY: Final = Date(date(1, 1, 1), date(9999, 12, 31), nullable=True)
"""Whatever is a date."""


@dataclass(slots=True)
class Numbers:
    """What a column is as numbers.

    Args:
        wrong: values that are none.
    """

    resolution: Decimal = _RESOLUTIONS[0]
    form: WrittenForm | None = None
    lower: Decimal | None = None
    upper: Decimal | None = None
    wrong: int = 0

    def see(self, values: pl.Series) -> None:
        """Read the next values."""
        self.form = written_form(values, any_number(self.resolution), self.form)
        while True:
            kind = any_number(self.resolution)
            read = conform_column(values, kind, self.form)
            finer = [each for each in _RESOLUTIONS if each < self.resolution]
            if not finer or all(reason is not ReasonKind.NOT_A_MULTIPLE for reason, _ in read.faults):
                break
            self.resolution = finer[0]
        self.wrong += sum(int(wrong.sum()) for _, wrong in read.faults)
        least, most = read.values.min(), read.values.max()
        if isinstance(least, int) and isinstance(most, int):
            self.lower = min(kind.value(least), kind.value(least) if self.lower is None else self.lower)
            self.upper = max(kind.value(most), kind.value(most) if self.upper is None else self.upper)

    @property
    def currency(self) -> str | None:
        """The currency that all of them bear."""
        return self.form.currency if isinstance(self.form, NumberForm) else None


@dataclass(slots=True)
class Days:
    """What a column is as dates."""

    form: WrittenForm | None = None
    first: date | None = None
    last: date | None = None
    wrong: int = 0

    def see(self, values: pl.Series) -> None:
        """Read the next values."""
        self.form = written_form(values, EVERY_DAY, self.form)
        read = conform_column(values, EVERY_DAY, self.form)
        self.wrong += sum(int(wrong.sum()) for _, wrong in read.faults)
        least, most = read.values.min(), read.values.max()
        if isinstance(least, date) and isinstance(most, date):
            self.first = min(least, self.first or least)
            self.last = max(most, self.last or most)


@dataclass(slots=True)
class ColumnSurvey:
    """What was seen of one column.

    Args:
        header: what the sample calls it.
        given: what the owner says of its dates or decimals.
        missing: rows that have nothing in it.
        counts: its values with how many rows have each, most first; None if there are too many of them.
        numbers: None if it holds none.
        days: None if it holds none.
        emails: of its values, the share that are e-mail addresses; likewise `phones`.
        distinct: of its first values, the share that are distinct.
        readable: whether its type can be an upload's at all.
    """

    header: str
    given: WrittenForm | None = None
    rows: int = 0
    missing: int = 0
    counts: pl.DataFrame | None = None
    numbers: Numbers | None = None
    days: Days | None = None
    emails: float = 0.0
    phones: float = 0.0
    distinct: float = 0.0
    readable: bool = True
    _started: bool = False

    @property
    def values(self) -> int:
        """How many rows have something in it."""
        return self.rows - self.missing

    def see(self, values: pl.Series) -> None:
        """Look at the next rows."""
        self.rows += len(values)
        if values.dtype.is_nested() or values.dtype in {pl.Binary, pl.Object, pl.Time, pl.Duration}:
            self.readable = False
            return
        text = written_text(values)
        present = values.filter(text.is_not_null())
        text = text.drop_nulls()
        self.missing += len(values) - len(text)
        if text.is_empty():
            return
        if not self._started:
            self._begin(present, text)
        if self.numbers is not None:
            self.numbers.see(present)
        if self.days is not None:
            self.days.see(present)
        if self.counts is not None:
            more = text.rename("value").value_counts(name="rows")
            both = pl.concat([self.counts, more.cast(self.counts.schema)]) if self.counts.height else more
            self.counts = (
                both.group_by("value").agg(pl.col("rows").sum()).sort("rows", "value", descending=[True, False])
            )
            if self.counts.height > MOST_VALUES:
                self.counts = None

    def _begin(self, present: pl.Series, text: pl.Series) -> None:
        """Find out from the first values which readings are worth while."""
        self._started = True
        self.counts = pl.DataFrame(schema={"value": pl.String, "rows": pl.UInt32})
        few, few_text = present.head(_TRIED), text.head(_TRIED)
        numbers, days = Numbers(form=self.given), Days(form=self.given)
        numbers.see(few)
        days.see(few)
        if 2 * numbers.wrong < len(few) and present.dtype != pl.Boolean:
            self.numbers = Numbers(form=self.given if isinstance(self.given, NumberForm) else None)
        if 2 * days.wrong < len(few):
            self.days = Days(form=None if isinstance(self.given, NumberForm) else self.given)
        self.emails = _share(few_text, IdentifierKind.EMAIL)
        self.phones = _share(few_text, IdentifierKind.PHONE)
        self.distinct = text.n_unique() / len(text)


@dataclass(frozen=True, slots=True)
class Survey:
    """What was seen of a sample.

    Args:
        name: the file's; None for a table in memory.
        again: reads its rows once more.
    """

    name: str | None
    rows: int
    columns: tuple[ColumnSurvey, ...]
    again: Callable[[], Iterator[pl.DataFrame]]

    def person_rows(self, place: int, kind: IdentifierKind) -> pl.Series:
        """Return how many rows each person has, fewest first.

        Args:
            place: the identifier's column, from 0.
        """
        counted = _PersonRows(kind)
        for frame in self.again():
            counted.see(frame.to_series(place))
        return counted.counts()


@dataclass(slots=True)
class _PersonRows:
    """How many rows each person has, whoever it is."""

    kind: IdentifierKind
    _parts: list[pl.DataFrame] = field(default_factory=list)

    def see(self, values: pl.Series) -> None:
        """Count the next rows."""
        text = identifier_text(values)
        normal = normalise_column(self.kind, text.filter(~is_blank(text))).drop_nulls()
        self._parts.append(normal.hash().rename("person").value_counts(name="rows"))
        if len(self._parts) >= 16:
            self._parts = [self._together()]

    def counts(self) -> pl.Series:
        """Return the number of rows of each person, fewest first."""
        return self._together()["rows"].sort()

    def _together(self) -> pl.DataFrame:
        if not self._parts:
            return pl.DataFrame(schema={"person": pl.UInt64, "rows": pl.UInt32})
        return pl.concat(self._parts).group_by("person").agg(pl.col("rows").sum())


def survey(source: Source, reading: Reading) -> Survey:
    """Look through a sample.

    Args:
        source: a path to a CSV, Excel or Parquet file, or a table in memory.

    Raises:
        InvalidUpload: it cannot be read, or holds no row.
        UsageError: it is neither a file nor a table.
    """
    name, header, again = _opened(source, reading)
    given = dict(reading.dates_of)
    marks = None if reading.decimals is None else NumberForm(reading.decimals)
    columns = tuple(ColumnSurvey(each, given.get(each, reading.dates) or marks) for each in header)
    rows = 0
    for frame in again():
        rows += frame.height
        for column, values in zip(columns, frame.get_columns(), strict=True):
            column.see(values)
    if not rows:
        raise unreadable(name, "aucune ligne sous l'en-tête", "no row under the header")
    return Survey(name, rows, columns, again)


def _opened(source: Source, reading: Reading) -> tuple[str | None, list[str], Callable[[], Iterator[pl.DataFrame]]]:
    if isinstance(source, str | Path):
        return _opened_file(Path(source), reading)
    if isinstance(source, ArrowStream):
        try:
            frame = pl.DataFrame(source)
        except (pa.ArrowException, pl.exceptions.PolarsError, TypeError, ValueError):
            raise unreadable(None, "une colonne mêle plusieurs types", "a column mixes several types") from None
        return None, frame.columns, lambda: frame.iter_slices(_ROWS)
    raise UsageError(Bilingual("ni un fichier ni une table", "neither a file nor a table"), code="unknown_source")


def _opened_file(path: Path, reading: Reading) -> tuple[str, list[str], Callable[[], Iterator[pl.DataFrame]]]:
    if not path.is_file():
        raise UsageError(Bilingual(f"fichier introuvable : {path}", f"no such file: {path}"), code="no_source")
    if path.suffix.lower() in {".parquet", ".pq"}:
        try:
            header = pq.read_schema(path).names
        except (pa.ArrowException, OSError):
            raise unreadable(path.name, "Parquet illisible", "unreadable Parquet") from None
        return path.name, header, lambda: _parquet_rows(path)
    if is_workbook(path):
        # A title above the header fills one cell of its row.
        sheet = read_sheet(path, reading.sheet, lambda names: min(len(names), 2), lambda _: False)
        filled = [place for place, name in enumerate(sheet.header) if name.strip()]
        cells = sheet.cells.select(str(place) for place in filled)
        return path.name, [sheet.header[place] for place in filled], lambda: cells.iter_slices(_ROWS)
    text = find_text(path, reading.encoding)
    header, delimiter = read_header(text, lambda _: 0, given=reading.delimiter)

    def rows() -> Iterator[pl.DataFrame]:
        uneven = UnevenRows(len(header))
        with text.opened() as opened:
            yield from read_rows(opened, delimiter, len(header), range(len(header)), uneven)
        if uneven.counts:
            raise uneven.error(path.name, uneven.first)

    return path.name, header, lambda: _joined(rows())


def _parquet_rows(path: Path) -> Iterator[pl.DataFrame]:
    try:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            for batch in file.iter_batches(_ROWS, use_threads=False):
                yield pl.DataFrame(batch)
    except (pa.ArrowException, pl.exceptions.PolarsError, OSError):
        raise unreadable(path.name, "Parquet illisible", "unreadable Parquet") from None


def _joined(frames: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """Join the small frames of a CSV file."""
    held: list[pl.DataFrame] = []
    for frame in frames:
        held.append(frame)
        if sum(each.height for each in held) >= _ROWS:
            yield pl.concat(held)
            held = []
    if held:
        yield pl.concat(held)


def any_number(resolution: Decimal) -> Number:
    """Return the type of a number of this resolution and of no other bound than what fits."""
    return Number(resolution, -_LARGEST, _LARGEST, nullable=True)


def _share(text: pl.Series, kind: IdentifierKind) -> float:
    return int(normalise_column(kind, text).is_not_null().sum()) / len(text)
