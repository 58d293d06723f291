"""Read one sheet of a workbook into columns of text, which are then checked exactly as a CSV file's are.

Excel holds numbers in binary and shows at most 15 digits of them; so does this reader, with nine decimals at most:
0.1 + 0.2 is 0.3. Formulas give the values that were last calculated, percentages the number behind them (15 % is
0.15), error cells their name (#N/A), which no check lets pass for nothing.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import polars as pl

from cleanroom.client.csv_text import unreadable
from cleanroom.errors import Bilingual, InvalidUpload, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import fastexcel

LARGEST_UNPACKED: Final = 2 << 30
"""Bytes that a workbook may unpack to: a full sheet of twenty columns; more is taken for a mistake, or a bomb."""

LARGEST_CELLS: Final = 50_000_000
"""Cells from the first to the last row and column that hold anything; all of them are laid out in memory."""

_ZIP: Final = b"PK\x03\x04"
_COMPOUND: Final = b"\xd0\xcf\x11\xe0"
_ENCRYPTED: Final = "EncryptedPackage".encode("utf-16-le")
_PIECE: Final = 4 << 20
_LONGEST_TAG: Final = 512
_TAIL: Final = 1 << 16
_FIRST_WIDE_CELL: Final = re.compile(rb'<(?:\w+:)?c\b[^>]*?\br="([A-Z]{2,3})[0-9]{1,7}"[^>]*(?<!/)>')
_FIRST_ROWS: Final = 30
_SHOWN: Final = 3

_WIDE_CELL: Final = re.compile(rb'<(?:\w+:)?c\b[^>]*?\br="([A-Z]{2,3})[0-9]{1,7}"[^>]*(?<!/)>')
_WIDE: Final = re.compile(rb' r="[A-Z]{2,3}[0-9]')
_ROWS: Final = re.compile(rb'<(?:\w+:)?(?:row\b[^>]*?\br="|c\b[^>]*?\br="[A-Z]{1,3})([0-9]{1,7})"')
_ERROR: Final = re.compile(r"Error\((\w+)\)")
_ERRORS: Final = {
    "NA": "#N/A",
    "Div0": "#DIV/0!",
    "Ref": "#REF!",
    "Value": "#VALUE!",
    "Name": "#NAME?",
    "Num": "#NUM!",
    "Null": "#NULL!",
}
_MOMENT: Final = r"\A[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?\z"
_MIDNIGHT: Final = " 00:00:00"
_NO_DAY: Final = "1899-12-31 "
"""What stands before a time of day without a day."""

_INEXACT: Final = r"\A-?[0-9]{7,15}\.[0-9]{9}\z"
_TOO_LONG: Final = r"\A-?[0-9]{16,}\z"


@dataclass(frozen=True, slots=True)
class SheetFacts:
    """Which sheet was read, and which were not."""

    name: str
    others: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet's columns; the header is its first row that holds anything.

    Args:
        cells: all rows below the header that hold anything, as text; nothing is null.
        numbers: the sheet's own number of each of those rows.
    """

    facts: SheetFacts
    header: list[str]
    cells: pl.DataFrame
    numbers: pl.Series


def is_workbook(path: Path) -> bool:
    """Tell by its first bytes whether a file is a workbook, or packed as one; its name does not matter."""
    with path.open("rb") as file:
        return file.read(4) in {_ZIP, _COMPOUND}


def read_sheet(
    path: Path, sheet: str | None, known: Callable[[list[str]], int], wanted: Callable[[str], bool]
) -> Sheet:
    """Read a sheet: the one called `sheet`, else the first visible one that holds anything.

    Args:
        known: how many of a row's texts are column names; the header's row has most.
        wanted: whether the column of a name must be exact; others are not looked at.

    Raises:
        InvalidUpload: it is no workbook that can be read, is protected, too large, or its header is further down.
        UsageError: no sheet is called so.
    """
    import fastexcel

    _check_package(path)
    try:
        book = fastexcel.read_excel(path)
        names = book.sheet_names
        if sheet is not None and sheet not in names:
            raise _no_such_sheet(path, sheet, names)
        for name in names if sheet is None else [sheet]:
            _check_extent(path, names.index(name))
            loaded = book.load_sheet(name, header_row=None, skip_rows=0, dtypes="string")
            if loaded.height and (sheet is not None or loaded.visible == "visible"):
                facts = SheetFacts(name, tuple(other for other in names if other != name))
                return _sheet(path, book, facts, loaded, known, wanted)
    except (KeyError, zipfile.BadZipFile):  # the list of sheets names a part that is not there
        raise _damaged(path) from None
    except fastexcel.FastExcelError as error:
        if "assword" in str(error):
            raise _protected(path) from None
        raise _damaged(path) from None
    raise unreadable(
        path.name,
        "le classeur n'a aucune feuille visible qui contienne quelque chose",
        "the workbook has no visible sheet that holds anything",
    )


def _sheet(
    path: Path,
    book: fastexcel.ExcelReader,
    facts: SheetFacts,
    loaded: fastexcel.ExcelSheet,
    known: Callable[[list[str]], int],
    wanted: Callable[[str], bool],
) -> Sheet:
    batch, errors = loaded.to_arrow_with_errors()
    cells = pl.DataFrame(batch)
    cells.columns = [str(place) for place in range(cells.width)]
    if errors is not None:
        cells = _with_errors(cells, errors.errors)
    # All rows of the sheet are there, those above the first cell too.
    numbers = pl.int_range(1, cells.height + 1, eager=True)
    filled = cells.select(pl.any_horizontal((pl.all().str.strip_chars() != "").fill_null(value=False))).to_series()
    start = int(filled.arg_max() or 0) + 1
    header = _header(path, facts, cells.slice(start - 1, _FIRST_ROWS), start, known)
    below = filled & (numbers > start)
    cells, numbers = cells.filter(below), numbers.filter(below)
    places = [place for place, name in enumerate(header) if wanted(name)]
    cells = cells.with_columns(_days(column) for column in cells.get_columns())
    exact = [_exact(path, book, facts.name, header, cells, below, place) for place in places]
    return Sheet(facts, header, cells.with_columns(exact), numbers)


def _with_errors(cells: pl.DataFrame, errors: Sequence[fastexcel.CellError]) -> pl.DataFrame:
    """Put the names of error cells where the library has nothing."""
    found: dict[int, tuple[list[int], list[str]]] = {}
    for error in errors:
        row, column = error.offset_position
        kind = _ERROR.search(error.detail)
        rows, names = found.setdefault(column, ([], []))
        rows.append(row)
        names.append(_ERRORS.get(kind[1], "#ERR!") if kind is not None else "#ERR!")
    return cells.with_columns(cells[str(column)].scatter(rows, names) for column, (rows, names) in found.items())


def _header(
    path: Path, facts: SheetFacts, first: pl.DataFrame, start: int, known: Callable[[list[str]], int]
) -> list[str]:
    rows = [[value or "" for value in row] for row in first.rows()]
    counts = [known([name for name in row if name.strip()]) for row in rows]
    best = max(range(len(rows)), key=counts.__getitem__)
    if counts[best] > counts[0]:
        raise unreadable(
            path.name,
            f"feuille « {facts.name} » : l'en-tête semble être à la ligne {start + best}, non à la ligne {start} ; "
            "supprimez les lignes au-dessus, enregistrez, recommencez",
            f"sheet {facts.name!r}: the header seems to be in row {start + best}, not in row {start}; delete the rows "
            "above it, save, try again",
        )
    if counts[0] == 0 and facts.others:
        others = ", ".join(facts.others)
        raise unreadable(
            path.name,
            f"la feuille « {facts.name} » n'a aucune des colonnes déclarées ; les autres feuilles : {others} "
            "(choisissez par --sheet)",
            f"the sheet {facts.name!r} has none of the declared columns; the other sheets: {others} (choose by "
            "--sheet)",
        )
    return rows[0]


def _exact(
    path: Path,
    book: fastexcel.ExcelReader,
    sheet: str,
    header: list[str],
    cells: pl.DataFrame,
    below: pl.Series,
    place: int,
) -> pl.Series:
    """Return a column with the 15 digits of a number that its user sees."""
    text = cells[str(place)]
    inexact = text.str.contains(_INEXACT).fill_null(value=False)
    too_long = text.str.contains(_TOO_LONG).fill_null(value=False)
    if not (inexact.any() or too_long.any()):
        return text
    # Text of the same letters is meant as it stands; only cells that are numbers load as Booleans.
    loaded = book.load_sheet(sheet, header_row=None, skip_rows=0, use_columns=[place], dtypes="boolean")
    number = pl.DataFrame(loaded.to_arrow()).to_series().is_not_null().filter(below)
    if (too_long & number).any():
        lost = ", ".join(text.filter(too_long & number).head(_SHOWN))
        raise unreadable(
            path.name,
            f"colonne « {header[place]} » : Excel ne garde que 15 chiffres d'un nombre, et il y en a de plus longs "
            f"({lost}) ; exportez la colonne comme texte, ou en CSV",
            f"column {header[place]!r}: Excel keeps 15 digits of a number only, and there are longer ones ({lost}); "
            "export the column as text, or as CSV",
        )
    rounded = {value: _fifteen_digits(value) for value in text.filter(inexact & number).unique()}
    return text.zip_with(~(inexact & number), text.replace(rounded))


def _days(text: pl.Series) -> pl.Series:
    """Return days without midnight, and times of day without a day."""
    moments = text.str.contains(_MOMENT).fill_null(value=False)
    if not moments.any():
        return text
    text = text.str.strip_prefix(_NO_DAY)
    written = text.filter(moments)
    if bool((written.str.ends_with(_MIDNIGHT) | (written.str.len_bytes() < len(_NO_DAY))).all()):
        return text.zip_with(~moments, text.str.strip_suffix(_MIDNIGHT))
    return text


def _fifteen_digits(text: str) -> str:
    whole = len(text.partition(".")[0].lstrip("-"))
    return f"{float(text):.{max(0, 15 - whole)}f}".rstrip("0").rstrip(".")


def _check_package(path: Path) -> None:
    """Hold what the file unpacks to within bounds, and see that nothing of it is damaged, before it is read."""
    with path.open("rb") as file:
        if file.read(4) == _COMPOUND:
            held = b""
            while piece := file.read(_PIECE):
                if _ENCRYPTED in held + piece:
                    raise _protected(path)
                held = piece[-len(_ENCRYPTED) :]
            return
    try:
        with zipfile.ZipFile(path) as package:
            names = set(package.namelist())
            if sum(entry.file_size for entry in package.infolist()) > LARGEST_UNPACKED:
                raise _too_large(path)
            if "xl/workbook.xml" not in names:
                raise _no_workbook(path)
            # Sizes are what the file says; to unpack it, checksums and all, is to know.
            damaged = package.testzip()
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError):
        raise _damaged(path) from None
    if damaged is not None:
        raise _damaged(path)


def _check_extent(path: Path, place: int) -> None:
    """Hold a sheet's extent within bounds: all cells up to the last row and column are laid out in memory.

    Args:
        place: the sheet's, in the workbook's order.
    """
    if not zipfile.is_zipfile(path):
        return  # an old workbook's 65,536 rows and 256 columns are never too many
    last, widest = 0, 26
    with zipfile.ZipFile(path) as package, package.open(_sheet_part(package, place)) as xml:
        held = b""
        while piece := xml.read(_PIECE):
            text = held + piece
            # The library, too, takes the last cell to be in the last row.
            last = max([last, *map(int, _ROWS.findall(text[-_TAIL:]) or _ROWS.findall(text))])
            if _WIDE.search(text) is not None:  # much faster to look for
                widest = max([widest, *map(_column_number, set(_WIDE_CELL.findall(text)))])
            held = text[-_LONGEST_TAG:]
    if last * widest > LARGEST_CELLS:
        raise _too_large(path)


def _sheet_part(package: zipfile.ZipFile, place: int) -> str:
    """Return the name of a sheet's part, by the workbook's list of sheets and its relations (ECMA-376-1 §18.2.19)."""
    book = package.read("xl/workbook.xml")
    sheets = re.findall(rb'<(?:\w+:)?sheet\b[^>]*?\b\w+:id="([^"]+)"', book)
    for relation in re.findall(rb"<(?:\w+:)?Relationship\b[^>]*>", package.read("xl/_rels/workbook.xml.rels")):
        target = re.search(rb'\bTarget="([^"]+)"', relation)
        identity = re.search(rb'\bId="([^"]+)"', relation)
        if target and identity and place < len(sheets) and identity[1] == sheets[place]:
            name = target[1].decode()
            return name.lstrip("/") if name.startswith("/") else f"xl/{name}"
    raise zipfile.BadZipFile("the sheet has no part")


def _column_number(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - ord("A") + 1
    return number


def _no_such_sheet(path: Path, sheet: str, names: list[str]) -> UsageError:
    there = ", ".join(names)
    return UsageError(
        Bilingual(
            f"{path.name} n'a pas de feuille « {sheet} » ; il y a : {there}",
            f"{path.name} has no sheet {sheet!r}; there is: {there}",
        ),
        code="unknown_sheet",
    )


def _protected(path: Path) -> InvalidUpload:
    return unreadable(
        path.name,
        "le classeur est protégé par un mot de passe ; retirez-le (Fichier, Informations, Protéger) et enregistrez",
        "the workbook is protected by a password; remove it (File, Info, Protect) and save",
    )


def _damaged(path: Path) -> InvalidUpload:
    return unreadable(
        path.name,
        "classeur endommagé ou incomplet ; ouvrez-le dans Excel et enregistrez-le de nouveau en .xlsx",
        "workbook damaged or incomplete; open it in Excel and save it again as .xlsx",
    )


def _no_workbook(path: Path) -> InvalidUpload:
    return unreadable(
        path.name,
        "c'est une archive ou un classeur d'une autre sorte ; enregistrez-le en .xlsx, ou la feuille en « CSV UTF-8 »",
        "this is an archive or a workbook of another kind; save it as .xlsx, or the sheet as “CSV UTF-8”",
    )


def _too_large(path: Path) -> InvalidUpload:
    return unreadable(
        path.name,
        "le classeur est trop grand une fois ouvert (ou une cellule isolée est très loin des autres) ; "
        "enregistrez la feuille en « CSV UTF-8 »",
        "the workbook is too large once opened (or a lone cell is very far from the others); save the sheet as "
        "“CSV UTF-8”",
    )
