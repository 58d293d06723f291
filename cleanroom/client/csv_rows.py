"""Read a CSV file's rows: find its delimiter, hold every row to the header's number of fields."""

from __future__ import annotations

import csv
import io
from collections import Counter
from enum import Enum
from typing import TYPE_CHECKING, Final, Protocol

import polars as pl
import pyarrow as pa
import pyarrow.csv as arrow_csv

from cleanroom.client.csv_text import unreadable
from cleanroom.errors import Bilingual, InvalidUpload

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cleanroom.client.csv_text import CsvText

_LONGEST_HEADER: Final = 1 << 20
_BLOCK: Final = 1 << 20
_SHOWN: Final = 10
_LONGEST_VALUE: Final = 60


class Delimiter(Enum):
    """What stands between fields."""

    COMMA = ","
    SEMICOLON = ";"
    TAB = "\t"
    PIPE = "|"

    @property
    def shown(self) -> Bilingual:
        """Say it in both languages."""
        match self:
            case Delimiter.COMMA:
                return Bilingual("virgule", "comma")
            case Delimiter.SEMICOLON:
                return Bilingual("point-virgule", "semicolon")
            case Delimiter.TAB:
                return Bilingual("tabulation", "tab")
            case Delimiter.PIPE:
                return Bilingual("barre verticale", "pipe")


def read_header(text: CsvText, known: Callable[[list[str]], int]) -> tuple[list[str], Delimiter]:
    """Return a file's column names and delimiter: the one under which most names are known, then most fields.

    Args:
        known: how many of the names are declared.

    Raises:
        InvalidUpload: the file is empty, its first line blank, or the header's quotes do not match.
    """
    name = text.path.name
    with text.open() as octets:
        start = octets.read(_LONGEST_HEADER).decode("utf-8", "ignore")
    if not start:
        raise unreadable(name, "le fichier est vide", "the file is empty")
    headers: list[tuple[list[str], Delimiter]] = []
    for delimiter in Delimiter:
        try:
            header = next(csv.reader(io.StringIO(start, newline=""), delimiter=delimiter.value, strict=True), [])
        except csv.Error:
            continue
        headers.append((header, delimiter))
    if not headers:
        raise unreadable(name, "en-tête mal formé", "malformed header")
    header, delimiter = max(headers, key=lambda found: (known(found[0]), len(found[0])))
    if not any(field.strip() for field in header):
        raise unreadable(
            name,
            "la première ligne est vide ; l'en-tête y est attendu",
            "the first line is blank; it must be the header",
        )
    return header, delimiter


def read_rows(text: CsvText, delimiter: Delimiter, width: int, wanted: Sequence[int]) -> pl.DataFrame:
    """Read the fields at the places `wanted`, as text; nothing at all is null. Blank lines are no rows.

    Raises:
        InvalidUpload: rows have fewer or more fields than the header, or the file changed meanwhile.
    """
    uneven = _Uneven(text.path.name, width)
    names = [str(place) for place in range(width)]
    try:
        with text.open() as octets:
            reader = arrow_csv.open_csv(
                # Arrow reads a plain file faster than through Python.
                str(text.path) if text.as_it_is else octets,
                # In one thread, rows have numbers; more would not be faster, as conversion is cheap beside parsing.
                read_options=arrow_csv.ReadOptions(
                    use_threads=False, block_size=_BLOCK, column_names=names, skip_rows_after_names=1
                ),
                parse_options=arrow_csv.ParseOptions(
                    delimiter=delimiter.value, newlines_in_values=True, invalid_row_handler=uneven
                ),
                convert_options=arrow_csv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()),
                    include_columns=[str(place) for place in wanted],
                    null_values=[""],
                    strings_can_be_null=True,
                ),
                memory_pool=pa.system_memory_pool(),
            )
            parts = [_compact(batch) for batch in reader if batch.num_rows]
    except pa.ArrowInvalid:
        raise unreadable(
            text.path.name,
            f"une ligne dépasse {_BLOCK >> 20} Mio : un guillemet n'est jamais fermé ?",
            f"a row is longer than {_BLOCK >> 20} MiB: is a quote never closed?",
        ) from None
    except UnicodeDecodeError:
        raise unreadable(
            text.path.name, "le fichier a changé pendant la lecture", "the file changed meanwhile"
        ) from None
    if uneven.counts:
        raise uneven.error()
    if not parts:
        return pl.DataFrame(schema=dict.fromkeys((str(place) for place in wanted), pl.String))
    return pl.concat(parts, rechunk=False)


def _compact(batch: pa.RecordBatch) -> pl.DataFrame:
    """Build the texts anew: they then hold on to no buffer of Arrow's, and short ones to none at all."""
    return pl.DataFrame(batch).select(pl.all() + "")


class _InvalidRow(Protocol):
    """What Arrow says of a row whose number of fields is not the header's."""

    actual_columns: int
    number: int | None
    text: str


class _Uneven:
    """Gathers the rows whose number of fields is not the header's."""

    def __init__(self, name: str, width: int) -> None:
        self.counts: Counter[bool] = Counter()
        self._name = name
        self._width = width
        self._first: list[tuple[int, int, str]] = []

    def __call__(self, row: _InvalidRow) -> str:
        self.counts[row.actual_columns > self._width] += 1
        if len(self._first) < _SHOWN:
            # Arrow counts the header as row 1.
            self._first.append(((row.number or 0) - 1, row.actual_columns, row.text))
        return "skip"

    def error(self) -> InvalidUpload:
        """Say which rows, in both languages."""
        fr = [f"{self._name} : des lignes n'ont pas les {self._width} champs de l'en-tête ; rien n'a été déposé"]
        en = [f"{self._name}: rows do not have the header's {self._width} fields; nothing was uploaded"]
        for more, count in sorted(self.counts.items()):
            fr.append(f"  {count} × {'trop de' if more else 'pas assez de'} champs")
            en.append(f"  {count} × too {'many' if more else 'few'} fields")
        fr.append("premières lignes :")
        en.append("first rows:")
        for row, fields, text in self._first:
            value = repr(text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "…")
            open_quote = text.count('"') % 2 == 1
            fr.append(f"  ligne {row}, {value} : {fields} champs" + (", guillemet jamais fermé" * open_quote))
            en.append(f"  row {row}, {value}: {fields} fields" + (", a quote never closed" * open_quote))
        return InvalidUpload(Bilingual("\n".join(fr), "\n".join(en)), code="uneven_rows")
