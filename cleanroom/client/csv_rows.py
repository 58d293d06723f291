"""Read a CSV file's rows: find its delimiter, hold every row to the header's number of fields."""

from __future__ import annotations

import csv
import io
import zlib
from array import array
from collections import Counter
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv as arrow_csv

from cleanroom.client.csv_text import unreadable
from cleanroom.errors import Bilingual, InvalidUpload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from cleanroom.client.csv_text import CsvText, OpenText

_LONGEST_HEADER: Final = 1 << 20
_BLOCK: Final = 1 << 20
_SHOWN: Final = 10
_LONGEST_VALUE: Final = 60
_OPEN_QUOTE: Final = Bilingual(", guillemet jamais fermé", ", a quote never closed")


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


_DELIMITERS: Final = frozenset(each.value for each in Delimiter)


def read_header(
    text: CsvText, known: Callable[[list[str]], int], *, given: Delimiter | None = None
) -> tuple[list[str], Delimiter]:
    """Return a file's column names and delimiter: the one under which most names are known, then most fields.

    Args:
        known: how many of the names are declared.
        given: the delimiter, if the file's owner says it.

    Raises:
        InvalidUpload: the file is empty, its first line blank, or the header's quotes do not match.
    """
    name = text.path.name
    with text.open() as octets:
        start = octets.read(_LONGEST_HEADER).decode("utf-8", "ignore")
    if not start:
        raise unreadable(
            name, "le fichier est vide ; refaites l'exportation", "the file is empty; make the export again"
        )
    headers: list[tuple[list[str], Delimiter]] = []
    if given is None and text.separator is not None:
        given = _said(text)
    for delimiter in Delimiter if given is None else (given,):
        try:
            header = next(csv.reader(io.StringIO(start, newline=""), delimiter=delimiter.value, strict=True), [])
        except csv.Error:
            continue
        headers.append((header, delimiter))
    if not headers:
        raise unreadable(
            name,
            "en-tête mal formé : un guillemet n'y est pas fermé ; corrigez la première ligne",
            "malformed header: a quote is not closed in it; mend the first line",
        )
    header, delimiter = max(headers, key=lambda found: (known(found[0]), len(found[0])))
    if not any(field.strip() for field in header):
        raise unreadable(
            name,
            "la première ligne est vide ; l'en-tête y est attendu : supprimez les lignes vides du début",
            "the first line is blank; it must be the header: delete the blank lines at the beginning",
        )
    return header, delimiter


def _said(text: CsvText) -> Delimiter:
    """Return the delimiter that the file itself names."""
    for delimiter in Delimiter:
        if delimiter.value == text.separator:
            return delimiter
    raise unreadable(
        text.path.name,
        f"la première ligne annonce le séparateur {text.separator!r} ; on lit virgule, point-virgule, tabulation et |",
        f"the first line says that {text.separator!r} separates fields; comma, semicolon, tab and | are read",
    )


def read_rows(
    opened: OpenText, delimiter: Delimiter, width: int, wanted: Sequence[int], uneven: UnevenRows
) -> Iterator[pl.DataFrame]:
    """Yield the fields at the places `wanted`, as text, some thousand rows at a time, the file never whole in memory.

    Nothing at all is null. Blank lines are no rows. The frames hold on to Arrow's buffers: what is kept of them must be
    built anew.

    Args:
        uneven: gathers the rows that do not have `width` fields; they are not in the frames.

    Raises:
        InvalidUpload: a row is too long, or the file changed meanwhile.
    """
    name = opened.text.path.name
    names = [str(place) for place in range(width)]
    try:
        reader = arrow_csv.open_csv(
            opened.stream,
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
        for batch in reader:
            if batch.num_rows:
                yield pl.DataFrame(batch)
    except pa.ArrowInvalid:
        raise unreadable(
            name,
            f"une ligne dépasse {_BLOCK >> 20} Mio : un guillemet n'est jamais fermé ?",
            f"a row is longer than {_BLOCK >> 20} MiB: is a quote never closed?",
        ) from None
    except (OSError, EOFError, zlib.error, UnicodeDecodeError):
        raise unreadable(name, "le fichier a changé pendant la lecture", "the file changed meanwhile") from None


class _InvalidRow(Protocol):
    """What Arrow says of a row whose number of fields is not the header's."""

    actual_columns: int
    number: int | None
    text: str


@dataclass(frozen=True, slots=True)
class UnevenRow:
    """A row that has not the header's number of fields.

    Args:
        row: from 1, the header not counted.
        open_quote: a quote in it is never closed, so that where the row ends is not known.
    """

    row: int
    fields: int
    text: str
    open_quote: bool


class UnevenRows:
    """Gathers the rows whose number of fields is not the header's, while a reader leaves them out."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.counts: Counter[bool] = Counter()
        """How many there are, by whether they have too many fields."""
        self.first: list[UnevenRow] = []
        self.open_quotes: list[UnevenRow] = []
        self._numbers = array("q")

    def __call__(self, row: _InvalidRow) -> str:
        """Take what Arrow's reader cannot read."""
        more = row.actual_columns > self.width
        self.counts[more] += 1
        # Arrow counts the header as row 1.
        number = (row.number or 0) - 1
        self._numbers.append(number)
        open_quote = row.text.count('"') % 2 == 1
        if self.counts[more] <= _SHOWN or (open_quote and len(self.open_quotes) < _SHOWN):
            text = row.text if len(row.text) <= _LONGEST_VALUE else row.text[:_LONGEST_VALUE] + "…"
            found = UnevenRow(number, row.actual_columns, text, open_quote)
            if self.counts[more] <= _SHOWN:
                self.first.append(found)
            if open_quote:
                self.open_quotes.append(found)
        return "skip"

    def number_of(self, place: int) -> int:
        """Return the number in its file of the row that is at a place, from 0, among those that are even."""
        numbers = np.array(self._numbers, dtype=np.int64)
        before = numbers - np.arange(len(numbers)) - 1
        return place + 1 + int(np.searchsorted(before, place + 1))

    def error(self, name: str, rows: Sequence[UnevenRow]) -> InvalidUpload:
        """Say which rows, in both languages."""
        fr = [f"{name} : des lignes n'ont pas les {self.width} champs de l'en-tête ; rien n'a été déposé"]
        en = [f"{name}: rows do not have the header's {self.width} fields; nothing was uploaded"]
        for more, count in sorted(self.counts.items()):
            fr.append(f"  {count} × {'trop de' if more else 'pas assez de'} champs")
            en.append(f"  {count} × too {'many' if more else 'few'} fields")
        if rows and all(each.fields == self.width + 1 and each.text[-1:] in _DELIMITERS for each in rows):
            fr.append("  chaque ligne finit par un séparateur que l'en-tête n'a pas : ajoutez-le à la première ligne")
            en.append("  each row ends with a delimiter that the header lacks: add it to the first line")
        fr.append("premières lignes :")
        en.append("first rows:")
        for each in sorted(rows, key=lambda found: found.row)[:_SHOWN]:
            fr.append(f"  ligne {each.row}, {each.text!r} : {each.fields} champs" + _OPEN_QUOTE.fr * each.open_quote)
            en.append(f"  row {each.row}, {each.text!r}: {each.fields} fields" + _OPEN_QUOTE.en * each.open_quote)
        return InvalidUpload(Bilingual("\n".join(fr), "\n".join(en)), code="uneven_rows")
