"""Read a member's table into Polars, only the declared columns: CSV, Parquet, pandas, Polars, Arrow.

A file's values stay as they are written; `conform` gives them their types, so that nothing is guessed or rounded.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import polars as pl
import pyarrow as pa

from cleanroom.client.csv_rows import Delimiter, read_header, read_rows
from cleanroom.client.csv_text import Encoding, Packing, find_text, unreadable
from cleanroom.client.normalise import WHITE_SPACE
from cleanroom.errors import Bilingual, InvalidUpload, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cleanroom.catalog import TableCatalog


@runtime_checkable
class ArrowStream(Protocol):
    """A table in memory that speaks Arrow's C stream interface: pandas, Polars, pyarrow, DuckDB."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...


Source = ArrowStream | str | Path


@dataclass(frozen=True, slots=True)
class CsvFacts:
    """How a CSV file was found to be written."""

    packing: Packing
    encoding: Encoding
    delimiter: Delimiter


@dataclass(frozen=True, slots=True)
class SourceTable:
    """One file or table, its declared columns under their declared names.

    Args:
        name: how messages call it; None for a table in memory.
        frame: the identifier's column, then the declared columns; all text if it came from CSV.
        dropped: the columns that are not declared and were not read, in the file's order.
        csv: how the file is written; None for what is no CSV.
    """

    name: str | None
    frame: pl.DataFrame
    dropped: tuple[str, ...]
    csv: CsvFacts | None = None


def read_sources(source: Source | Sequence[Source], catalog: TableCatalog) -> Iterator[SourceTable]:
    """Read one source after another, so that one of them at a time is in memory.

    Args:
        source: a path to a CSV or Parquet file, a table in memory, or several of them that make one upload.

    Raises:
        InvalidUpload: a file cannot be read, or lacks a declared column.
        UsageError: something is neither a file nor a table.
    """
    several = source if isinstance(source, list | tuple) else (source,)
    if not several:
        raise UsageError(Bilingual("aucun fichier à déposer", "no file to upload"), code="no_source")
    for one in several:
        yield _read(one, catalog)


def _read(source: object, catalog: TableCatalog) -> SourceTable:
    if isinstance(source, str | Path):
        return _read_file(Path(source), catalog)
    if isinstance(source, ArrowStream):
        try:
            frame = pl.DataFrame(source)
        except (pa.ArrowException, pl.exceptions.PolarsError, TypeError, ValueError):
            raise unreadable(None, "une colonne mêle plusieurs types", "a column mixes several types") from None
        chosen, dropped = _choose(frame.columns, catalog, None)
        return SourceTable(None, frame.select(**{to: pl.col(at) for at, to in chosen.items()}), dropped)
    raise UsageError(Bilingual("ni un fichier ni une table", "neither a file nor a table"), code="unknown_source")


def _read_file(path: Path, catalog: TableCatalog) -> SourceTable:
    if not path.is_file():
        raise UsageError(Bilingual(f"fichier introuvable : {path}", f"no such file: {path}"), code="no_source")
    if path.suffix.lower() in {".parquet", ".pq"}:
        return _read_parquet(path, catalog)
    return _read_csv(path, catalog)


def _read_parquet(path: Path, catalog: TableCatalog) -> SourceTable:
    try:
        columns = list(pl.read_parquet_schema(path))
        chosen, dropped = _choose(columns, catalog, path.name)
        frame = pl.read_parquet(path, columns=list(chosen))
    except pl.exceptions.PolarsError:
        raise unreadable(path.name, "Parquet illisible", "unreadable Parquet") from None
    return SourceTable(path.name, frame.select(**{to: pl.col(at) for at, to in chosen.items()}), dropped)


def _read_csv(path: Path, catalog: TableCatalog) -> SourceTable:
    text = find_text(path)
    declared = {_loose(name) for name in _declared(catalog)}
    header, delimiter = read_header(text, lambda names: len(declared & {_loose(name) for name in names}))
    chosen, dropped = _choose(header, catalog, path.name)
    wanted = sorted(chosen, key=header.index)
    frame = read_rows(text, delimiter, len(header), [header.index(column) for column in wanted])
    frame.columns = [chosen[column] for column in wanted]
    return SourceTable(path.name, frame, dropped, CsvFacts(text.packing, text.encoding, delimiter))


def _declared(catalog: TableCatalog) -> tuple[str, ...]:
    return (catalog.unit.source, *(column.name for column in catalog.columns))


def _choose(header: list[str], catalog: TableCatalog, name: str | None) -> tuple[dict[str, str], tuple[str, ...]]:
    """Match declared columns with those of the file: exactly, else ignoring ASCII case and blanks around (DESIGN §9).

    Returns:
        The declared name of each column of the file that is read; the columns that are not.
    """
    declared = _declared(catalog)
    chosen: dict[str, str] = {}
    missing: list[str] = []
    for column in declared:
        exact = [at for at in header if at == column]
        alike = exact or [at for at in header if _loose(at) == _loose(column)]
        if len(alike) > 1:
            raise unreadable(
                name,
                f"plusieurs colonnes s'appellent « {column} »",
                f"several columns are called {column!r}",
            )
        if not alike:
            missing.append(column)
        elif alike[0] in chosen:
            raise unreadable(
                name,
                f"la colonne « {alike[0]} » sert deux fois",
                f"the column {alike[0]!r} is used twice",
            )
        else:
            chosen[alike[0]] = column
    if missing:
        raise _missing(missing, [at for at in header if at not in chosen], name, header_lacks=not chosen)
    return chosen, tuple(at for at in header if at not in chosen)


def _loose(column: str) -> str:
    stripped = column.strip(WHITE_SPACE)
    return "".join(letter.lower() if letter.isascii() else letter for letter in stripped)


def _missing(missing: list[str], spare: list[str], name: str | None, *, header_lacks: bool) -> InvalidUpload:
    fr, en = [], []
    lacks = name is not None and header_lacks
    first = Bilingual(" ; la première ligne doit être l'en-tête" * lacks, "; the first line must be the header" * lacks)
    for column in missing:
        near = difflib.get_close_matches(_loose(column), [_loose(at) for at in spare], n=1)
        found = next((at for at in spare if near and _loose(at) == near[0]), None)
        fr.append(f"« {column} »" + (f" (serait-ce « {found} » ?)" if found is not None else ""))
        en.append(repr(column) + (f" (is it {found!r}?)" if found is not None else ""))
    return InvalidUpload(
        Bilingual(
            f"{_place(name).fr}colonnes déclarées absentes : {', '.join(fr)}{first.fr}",
            f"{_place(name).en}declared columns missing: {', '.join(en)}{first.en}",
        ),
        code="missing_columns",
    )


def _place(name: str | None) -> Bilingual:
    return Bilingual("", "") if name is None else Bilingual(f"{name} : ", f"{name}: ")
