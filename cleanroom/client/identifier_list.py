"""Read identifiers that a member names: one a line, the column of a CSV file called as the table's, or as written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from cleanroom.client.csv_rows import UnevenRows, read_header, read_rows
from cleanroom.client.csv_text import CsvText, find_text, unreadable
from cleanroom.client.normalise import WHITE_SPACE, normalise_column
from cleanroom.errors import Bilingual, InvalidUpload, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cleanroom.catalog import PrivacyUnit
    from cleanroom.client.csv_rows import Delimiter

_SHOWN: Final = 10
_LARGEST_LIST: Final = 1 << 28


def read_identifiers(path: Path, unit: PrivacyUnit) -> pl.Series:
    """Return the identifiers of a file in their normal form.

    If the first line names several columns, one must be called as the unit's source; else each line is an identifier,
    but for a first one that says what the unit's source is called.

    Raises:
        UsageError: there is no such file.
        InvalidUpload: it cannot be read, or a line is no identifier of the unit's kind; names the lines.
    """
    if not path.is_file():
        raise UsageError(Bilingual(f"fichier introuvable : {path}", f"no such file: {path}"), code="no_source")
    text = find_text(path)
    wanted = unit.source.strip(WHITE_SPACE).lower()
    header, delimiter = read_header(text, lambda names: wanted in [_loose(name) for name in names])
    if len(header) == 1:
        values, first = _lines(text)
        if len(values) and _loose(str(values[0])) == wanted:
            values, first = values.slice(1), first.slice(1)
    else:
        values = _column(text, header, delimiter, [_loose(name) for name in header], wanted)
        first = pl.Series("line", range(1, len(values) + 1), dtype=pl.Int64)
    normal = normalise_column(unit.kind, values, unit.region)
    wrong = normal.is_null()
    if wrong.any():
        raise _unusable(path.name, values.filter(wrong), first.filter(wrong))
    return normal


def written_identifiers(values: Sequence[str], unit: PrivacyUnit) -> pl.Series:
    """Return identifiers as they are written on a command line, in their normal form.

    Raises:
        InvalidUpload: one is no identifier of the unit's kind; names each by its place.
    """
    given = pl.Series("value", values, dtype=pl.String)
    normal = normalise_column(unit.kind, given, unit.region)
    wrong = normal.is_null()
    if wrong.any():
        places = pl.Series("line", range(1, len(given) + 1), dtype=pl.Int64)
        raise _unusable(None, given.filter(wrong), places.filter(wrong))
    return normal


def _loose(name: str) -> str:
    return name.strip(WHITE_SPACE).lower()


def _lines(text: CsvText) -> tuple[pl.Series, pl.Series]:
    """Return the lines that are not blank, and their numbers."""
    with text.open() as octets:
        content = octets.read(_LARGEST_LIST + 1)
    if len(content) > _LARGEST_LIST:
        raise unreadable(text.path.name, "la liste est trop longue", "the list is too long")
    lines = pl.Series("value", content.decode().replace("\r\n", "\n").replace("\r", "\n").split("\n"), dtype=pl.String)
    there = lines.str.strip_chars(WHITE_SPACE) != ""
    numbers = pl.Series("line", range(1, len(lines) + 1), dtype=pl.Int64)
    return lines.filter(there), numbers.filter(there)


def _column(text: CsvText, header: list[str], delimiter: Delimiter, names: list[str], wanted: str) -> pl.Series:
    name = text.path.name
    if names.count(wanted) != 1:
        raise unreadable(
            name,
            f"une liste a un identifiant par ligne, ou une colonne « {wanted} » ; il y a : {', '.join(header)}",
            f"a list has one identifier a line, or a column {wanted!r}; there is: {', '.join(header)}",
        )
    uneven = UnevenRows(len(header))
    with text.opened() as opened:
        frames = list(read_rows(opened, delimiter, len(header), (names.index(wanted),), uneven))
        values = pl.concat(
            [pl.Series("value", [], dtype=pl.String), *(each.to_series().rename("value") + "" for each in frames)]
        )
    if uneven.counts:
        raise uneven.error(name, uneven.first)
    return values


def _unusable(name: str | None, values: pl.Series, lines: pl.Series) -> InvalidUpload:
    if name is None:
        fr, en = (
            [f"rien n'est fait ; ne sont pas des identifiants : {len(values)}"],
            [f"nothing is done; are no identifiers: {len(values)}"],
        )
    else:
        fr = [f"{name} : la liste n'est pas prise ; lignes qui ne sont pas des identifiants : {len(values)}"]
        en = [f"{name}: the list is not taken; lines that are no identifiers: {len(values)}"]
    where = Bilingual("n°", "no.") if name is None else Bilingual("ligne", "line")
    for line, value in zip(lines.head(_SHOWN), values.head(_SHOWN), strict=True):
        quoted = "—" if value is None else repr(value[:60])
        fr.append(f"  {where.fr} {line}, {quoted}")
        en.append(f"  {where.en} {line}, {quoted}")
    return InvalidUpload(Bilingual("\n".join(fr), "\n".join(en)), code="invalid_identifiers")
