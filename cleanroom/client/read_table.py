"""Read a member's table into Polars, only the declared columns: CSV, Parquet, pandas, Polars, Arrow.

Rows come in batches, so that a file of any size needs little memory; the next batch is read while one is used. A
file's values stay as they are written; `conform` gives them their types, so that nothing is guessed or rounded.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from cleanroom.ahead import ahead
from cleanroom.client.csv_rows import Delimiter, UnevenRows, read_header, read_rows
from cleanroom.client.csv_text import Encoding, Packing, find_text, unreadable
from cleanroom.client.excel import SheetFacts, is_workbook, read_sheet
from cleanroom.client.headers import column_name
from cleanroom.client.normalise import WHITE_SPACE
from cleanroom.client.progress import Progress, Stage, unheard
from cleanroom.client.reading import Reading
from cleanroom.errors import Bilingual, InvalidUpload, UsageError

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from cleanroom.catalog import TableCatalog


@runtime_checkable
class ArrowStream(Protocol):
    """A table in memory that speaks Arrow's C stream interface: pandas, Polars, pyarrow, DuckDB."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...


Source = ArrowStream | str | Path

BATCH_ROWS: Final = 1 << 16
"""Rows converted at a time: what conversion needs besides its result stays below 50 MB."""

_PARQUET_ROWS: Final = 1 << 16
_PARQUET_BUFFER: Final = 1 << 20


def _nowhere() -> tuple[int, int]:
    return 0, 0


@dataclass(frozen=True, slots=True)
class CsvFacts:
    """How a CSV file was found to be written."""

    packing: Packing
    encoding: Encoding
    delimiter: Delimiter


@dataclass(frozen=True, slots=True)
class SourceTable:
    """One file or table, its declared columns under their declared names, read as its rows are asked for.

    Args:
        name: how messages call it; None for a table in memory.
        batches: the rows, once: the identifier's column and the declared columns; all text if it came from CSV.
        dropped: the columns that are not declared and were not read, in the file's order.
        csv: how the file is written; None for what is no CSV.
        uneven: the rows of a CSV file that have not its header's fields, as far as it was read.
        place: how much of it was read, and how much there is: bytes of a file, else rows.
        sheet: which sheet of a workbook it is; None for what is no workbook.
        sheet_rows: the sheet's own numbers of a workbook's rows; None for what is no workbook.
    """

    name: str | None
    batches: Iterator[pl.DataFrame]
    dropped: tuple[str, ...]
    csv: CsvFacts | None = None
    uneven: UnevenRows | None = None
    place: Callable[[], tuple[int, int]] = _nowhere
    sheet: SheetFacts | None = None
    sheet_rows: pl.Series | None = None

    def number_of(self, place: int) -> int:
        """Return the number that its owner knows a row by, from the row's place, from 0, among those that were read."""
        if self.sheet_rows is not None:
            return int(self.sheet_rows[place])
        return place + 1 if self.uneven is None else self.uneven.number_of(place)


def read_sources(
    source: Source | Sequence[Source],
    catalog: TableCatalog,
    reading: Reading | None = None,
    *,
    batch_rows: int = BATCH_ROWS,
    progress: Progress = unheard,
) -> Generator[SourceTable]:
    """Open one source after another; each must be read, or given up, before the next.

    Args:
        source: a path to a CSV or Parquet file, a table in memory, or several of them that make one upload.
        reading: what the owner says of how the files are written.
        batch_rows: rows read at a time; two batches more may be in memory than the one in use.

    Raises:
        InvalidUpload: a file cannot be read, or lacks a declared column; also while its rows are read.
        UsageError: something is neither a file nor a table.
    """
    several = source if isinstance(source, list | tuple) else (source,)
    if not several:
        raise UsageError(Bilingual("aucun fichier à déposer", "no file to upload"), code="no_source")
    for number, one in enumerate(several):
        progress(Stage.CHECKING, number, len(several))
        table = _open(one, catalog, reading or Reading())
        progress(Stage.CHECKING, number + 1, len(several))
        with closing(ahead(_in_batches(table.batches, batch_rows))) as batches:
            yield replace(table, batches=batches)


def _in_batches(frames: Iterator[pl.DataFrame], rows: int) -> Generator[pl.DataFrame]:
    """Cut and join frames into batches of `rows` rows; the last may be shorter."""
    held: list[pl.DataFrame] = []
    count = 0
    for frame in frames:
        start = 0
        while count + frame.height - start >= rows:
            end = start + rows - count
            yield pl.concat([*held, frame.slice(start, end - start)], how="vertical_relaxed", rechunk=True)
            held, count, start = [], 0, end
        if start < frame.height:
            held.append(frame.slice(start))
            count += frame.height - start
    if held:
        yield pl.concat(held, how="vertical_relaxed", rechunk=True)


def _open(source: object, catalog: TableCatalog, reading: Reading) -> SourceTable:
    if isinstance(source, str | Path):
        return _open_file(Path(source), catalog, reading)
    if isinstance(source, pl.DataFrame):
        return _table(source.columns, iter([source]), catalog, source.height)
    if isinstance(source, ArrowStream):
        with _one_type():
            reader = pa.RecordBatchReader.from_stream(source)
        return _table(reader.schema.names, _batches(reader), catalog, 0)
    raise UsageError(Bilingual("ni un fichier ni une table", "neither a file nor a table"), code="unknown_source")


def _table(columns: list[str], frames: Iterator[pl.DataFrame], catalog: TableCatalog, rows: int) -> SourceTable:
    chosen, dropped = _choose(columns, catalog, None)
    read = Counter[str]()

    def renamed() -> Iterator[pl.DataFrame]:
        for frame in frames:
            read["rows"] += frame.height
            yield frame.select(**{to: pl.col(at) for at, to in chosen.items()})

    return SourceTable(None, renamed(), dropped, place=lambda: (read["rows"], max(rows, read["rows"])))


def _batches(reader: pa.RecordBatchReader) -> Iterator[pl.DataFrame]:
    with _one_type():
        for batch in reader:
            yield pl.DataFrame(batch)


@contextmanager
def _one_type() -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, pl.exceptions.PolarsError, TypeError, ValueError):
        raise unreadable(None, "une colonne mêle plusieurs types", "a column mixes several types") from None


def _open_file(path: Path, catalog: TableCatalog, reading: Reading) -> SourceTable:
    if path.is_dir():
        raise UsageError(
            Bilingual(
                f"{path} est un répertoire ; donnez les fichiers qu'il contient",
                f"{path} is a directory; give the files in it",
            ),
            code="no_source",
        )
    if not path.is_file():
        raise UsageError(Bilingual(f"fichier introuvable : {path}", f"no such file: {path}"), code="no_source")
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise unreadable(
            path.name,
            f"le fichier ne s'ouvre pas ({error.strerror}) ; voyez s'il est à vous, et fermé dans Excel",
            f"the file does not open ({error.strerror}); see that it is yours, and closed in Excel",
        ) from None
    if path.suffix.lower() in {".parquet", ".pq"}:
        return _open_parquet(path, catalog)
    if is_workbook(path):
        return _open_workbook(path, catalog, reading)
    return _open_csv(path, catalog, reading)


def _open_parquet(path: Path, catalog: TableCatalog) -> SourceTable:
    unread = unreadable(
        path.name,
        "Parquet illisible : endommagé, incomplet, ou autre chose ; exportez de nouveau",
        "unreadable Parquet: damaged, incomplete or something else; export again",
    )
    try:
        # Not all of a row group at once: some writers make one row group of a whole file.
        file = pq.ParquetFile(path, pre_buffer=False, buffer_size=_PARQUET_BUFFER)
        columns = file.schema_arrow.names
        rows = file.metadata.num_rows
    except (pa.ArrowException, OSError):
        raise unread from None
    chosen, dropped = _choose(columns, catalog, path.name)
    read = Counter[str]()

    def batches() -> Iterator[pl.DataFrame]:
        try:
            with file:
                for batch in file.iter_batches(_PARQUET_ROWS, columns=list(chosen), use_threads=False):
                    read["rows"] += batch.num_rows
                    yield pl.DataFrame(batch).select(**{to: pl.col(at) for at, to in chosen.items()})
        except (pa.ArrowException, pl.exceptions.PolarsError, OSError):
            raise unread from None

    size = path.stat().st_size
    return SourceTable(path.name, batches(), dropped, place=lambda: (size * read["rows"] // max(1, rows), size))


def _open_workbook(path: Path, catalog: TableCatalog, reading: Reading) -> SourceTable:
    declared = {_loose(name) for name in _declared(catalog)}
    sheet = read_sheet(path, reading.sheet, _known(catalog), lambda name: _loose(name) in declared)
    chosen, dropped = _choose(sheet.header, catalog, path.name)
    places = {str(sheet.header.index(at)): to for at, to in chosen.items()}
    rows = sheet.cells.select(**{to: pl.col(place) for place, to in places.items()})
    size = path.stat().st_size  # all of it was read to be checked
    return SourceTable(
        path.name, iter([rows]), dropped, place=lambda: (size, size), sheet=sheet.facts, sheet_rows=sheet.numbers
    )


def _open_csv(path: Path, catalog: TableCatalog, reading: Reading) -> SourceTable:
    text = find_text(path, reading.encoding)
    header, delimiter = read_header(text, _known(catalog), given=reading.delimiter)
    chosen, dropped = _choose(header, catalog, path.name)
    wanted = sorted(chosen, key=header.index)
    places = [header.index(column) for column in wanted]
    uneven = UnevenRows(len(header))
    size = path.stat().st_size
    done = Counter[str]()

    def batches() -> Iterator[pl.DataFrame]:
        with text.opened() as opened:
            for frame in read_rows(opened, delimiter, len(header), places, uneven):
                done["bytes"] = min(size, opened.place())
                frame.columns = [chosen[column] for column in wanted]
                yield frame
        done["bytes"] = size

    facts = CsvFacts(text.packing, text.encoding, delimiter)
    return SourceTable(path.name, batches(), dropped, facts, uneven, lambda: (done["bytes"], size))


def _known(catalog: TableCatalog) -> Callable[[list[str]], int]:
    """Return what tells how many of a row's texts are names of declared columns."""
    declared = {_loose(name) for name in _declared(catalog)}
    return lambda names: len(declared & {_loose(name) for name in names})


def _declared(catalog: TableCatalog) -> tuple[str, ...]:
    return (catalog.unit.source, *(column.name for column in catalog.columns))


def _choose(header: list[str], catalog: TableCatalog, name: str | None) -> tuple[dict[str, str], tuple[str, ...]]:
    """Match declared columns with those of the file: exactly, else ignoring case, accents and signs (DESIGN §9).

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
                f"plusieurs colonnes s'appellent « {column} » ; renommez celle qui n'est pas la bonne",
                f"several columns are called {column!r}; rename the one that is not meant",
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
    return column_name(column) or column.strip(WHITE_SPACE)


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
