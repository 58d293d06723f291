"""Files as they must not be: every kind that a ticket office has sent or may send, made here byte by byte.

What is said of each stands in `bad_files.yaml`, as a theatre's marketing lead reads it.
"""

from __future__ import annotations

import codecs
import gzip
import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

import polars as pl
import pyarrow as pa
import xlsxwriter
from xlsxwriter.worksheet import Worksheet

from cleanroom.catalog import Category, Column, Contribution, Date, Number, PrivacyUnit, TableCatalog, Text
from cleanroom.identifiers import IdentifierKind, TableName

CATALOG = TableCatalog(
    TableName.parse("tnm.ventes"),
    PrivacyUnit("person", "courriel", IdentifierKind.EMAIL),
    (
        Column("region", Category(("Montréal", "Laval", "Capitale-Nationale"), nullable=False)),
        Column("jour", Date(date(2024, 1, 1), date(2024, 12, 31), nullable=True)),
        Column("montant", Number(Decimal("0.01"), 0, 50_000, nullable=True, unit="CAD")),
        Column("billets", Number(Decimal(1), 1, 12, nullable=False)),
        Column("note", Text(nullable=True)),
    ),
    max_rows_per_person=50,
    contribution=Contribution(10, 4),
)
OPAQUE = TableCatalog(
    CATALOG.table,
    PrivacyUnit("person", "client", IdentifierKind.OPAQUE, namespace="tnm"),
    CATALOG.columns,
    max_rows_per_person=50,
    contribution=Contribution(10, 4),
)
HEADER = "courriel;region;jour;montant;billets;note\n"
GOOD = "a@b.ca;Montréal;2024-05-03;12,50;2;\n"
NAMES = HEADER.strip().split(";")
CELLS: list[object] = ["a@b.ca", "Montréal", date(2024, 5, 3), 12.5, 2, None]


@dataclass(frozen=True, slots=True)
class BadFile:
    """What is written under a name, and the table that it is meant for."""

    name: str
    write: Callable[[Path], object]
    catalog: TableCatalog = CATALOG
    sheet: str | None = None


def octets(content: bytes, name: str = "ventes.csv", catalog: TableCatalog = CATALOG) -> BadFile:
    return BadFile(name, lambda path: path.write_bytes(content), catalog)


def text(content: str, encoding: str = "utf-8", name: str = "ventes.csv") -> BadFile:
    return octets(content.encode(encoding), name)


def row(**cells: str) -> BadFile:
    """Return a file whose second row differs from the good one in some cells."""
    good = dict(zip(NAMES, GOOD.rstrip("\n").split(";"), strict=True))
    return text(HEADER + GOOD + ";".join((good | cells).values()) + "\n")


def column(name: str, *values: str) -> BadFile:
    """Return a file with these values in one column."""
    good = dict(zip(NAMES, GOOD.rstrip("\n").split(";"), strict=True))
    return text(HEADER + "".join(";".join((good | {name: value}).values()) + "\n" for value in values))


def workbook(path: Path, fill: Callable[[Worksheet, xlsxwriter.Workbook], None], *, sheet: str = "Ventes") -> None:
    with xlsxwriter.Workbook(str(path)) as book:
        fill(book.add_worksheet(sheet), book)


def table(worksheet: Worksheet, rows: list[list[object]], book: xlsxwriter.Workbook, *, start: int = 0) -> None:
    days = book.add_format({"num_format": "yyyy-mm-dd"})
    worksheet.write_row(start, 0, NAMES)
    for number, cells in enumerate(rows, start=start + 1):
        for place, cell in enumerate(cells):
            if isinstance(cell, date):
                worksheet.write_datetime(number, place, cell, days)
            elif cell is not None:
                worksheet.write(number, place, cell)


def sheet(*rows: list[object], start: int = 0, title: str | None = None) -> BadFile:
    def fill(worksheet: Worksheet, book: xlsxwriter.Workbook) -> None:
        if title is not None:
            worksheet.merge_range(0, 0, 0, 5, title)
        table(worksheet, list(rows), book, start=start)

    return BadFile("ventes.xlsx", lambda path: workbook(path, fill))


def cells(**changed: object) -> BadFile:
    """Return a workbook whose second row differs from the good one in some cells."""
    return sheet(CELLS, list((dict(zip(NAMES, CELLS, strict=True)) | changed).values()))


def changed(made: BadFile, change: Callable[[bytes], bytes]) -> BadFile:
    def write(path: Path) -> None:
        made.write(path)
        path.write_bytes(change(path.read_bytes()))

    return BadFile(made.name, write, made.catalog, made.sheet)


def two_sheets(path: Path) -> None:
    with xlsxwriter.Workbook(str(path)) as book:
        book.add_worksheet("Sommaire").write_row(0, 0, ["Total des ventes", "12 345"])
        table(book.add_worksheet("Données"), [CELLS], book)


def far_cell(path: Path) -> None:
    def fill(worksheet: Worksheet, book: xlsxwriter.Workbook) -> None:
        table(worksheet, [CELLS], book)
        worksheet.write(1_048_575, 16_383, " ")

    workbook(path, fill)


def formula_error(worksheet: Worksheet, book: xlsxwriter.Workbook) -> None:
    table(worksheet, [CELLS, CELLS], book)
    worksheet.write_formula(2, 3, "=1/0", None, "#DIV/0!")
    worksheet.write_formula(2, 1, "=NA()", None, "#N/A")


def archive(**members: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as package:
        for name, content in members.items():
            package.writestr(name, content)
    return made.getvalue()


def encrypted() -> bytes:
    """Return what a protected workbook begins with: a compound file that has a stream called so."""
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504) + "EncryptedPackage".encode("utf-16-le") + bytes(512)


def zstd(content: bytes) -> bytes:
    return bytes(pa.Codec("zstd").compress(content, asbytes=True))


def parquet(**columns: object) -> Callable[[Path], object]:
    good = dict(zip(NAMES, [[value] for value in CELLS], strict=True))
    return lambda path: pl.DataFrame(good | columns).write_parquet(path)


BAD_FILES: dict[str, BadFile] = {
    # the file as a whole
    "empty file": octets(b""),
    "blank first line": text("\n" + HEADER + GOOD),
    "no header": text(GOOD),
    "a directory": BadFile("ventes", lambda path: path.mkdir()),
    "no such file": BadFile("ventes.csv", lambda _: None),
    "no permission": BadFile("ventes.csv", lambda path: (path.write_text(HEADER), path.chmod(0))),
    "a web page called xls": octets(b"<html><table><tr><td>courriel</td></tr></table></html>", "ventes.xls"),
    "a picture": octets(b"\x89PNG\r\n\x1a\n" + bytes(40), "ventes.csv"),
    # encodings
    "neither UTF-8 nor Windows-1252": octets(HEADER.encode() + b"a@b.ca;Montr\x81al"),
    "an old Macintosh's accents": text(HEADER + GOOD.replace("Montréal", "Trois-Rivières"), "mac_roman"),
    "two encodings": octets((HEADER + GOOD).encode() + GOOD.encode("cp1252")),
    "a mark of UTF-8 before something else": octets(codecs.BOM_UTF8 + (HEADER + GOOD).encode("cp1252")),
    "UTF-16 cut in a letter": octets((HEADER + GOOD).encode("utf-16") + b"a"),
    "UTF-16 without its mark": text(HEADER + GOOD, "utf-16-le"),
    "a zero byte": octets((HEADER + GOOD).encode() + b"a@b.ca;\0"),
    "Windows-1252 twice encoded": row(region="MontrÃ©al"),
    # packing
    "gzip cut short": octets(gzip.compress((HEADER + GOOD).encode())[:-9], "ventes.csv.gz"),
    "gzip damaged": octets(gzip.compress((HEADER + GOOD).encode())[:10] + b"\xff" * 40, "ventes.csv.gz"),
    "zstd cut short": octets(zstd((HEADER + GOOD).encode())[:-3], "ventes.csv.zst"),
    "an archive": octets(archive(**{"ventes.csv": HEADER.encode()}), "ventes.zip"),
    "Parquet damaged": octets(b"PAR1 nothing PAR1", "ventes.parquet"),
    # the header
    "a column is missing": text(HEADER.replace("billets", "nb_billet") + GOOD),
    "a column twice": text(HEADER.replace("note", "note;note") + GOOD.replace(";\n", ";x;y\n")),
    "an open quote in the header": text('"' + HEADER),
    "an unknown separator": text("sep=:\n" + HEADER.replace(";", ":") + GOOD),
    # rows
    "rows of other lengths": text(HEADER + GOOD + "c@d.ca;Laval\n" + GOOD.replace(";2;", ";2;x;")),
    "a delimiter at the end of rows": text(HEADER + GOOD.replace("\n", ";\n") * 2),
    "an open quote": text(HEADER + GOOD + 'a@b.ca;"Laval;2024-05-03;1;1;\n' + GOOD),
    # identifiers
    "empty identifiers": column("courriel", "a@b.ca", "", "   "),
    "NULL for a customer": octets(
        (HEADER.replace("courriel", "client") + GOOD + GOOD.replace("a@b.ca", "NULL")).encode(), catalog=OPAQUE
    ),
    # categories
    "without its accent": row(region="Montreal"),
    "misspelled": row(region="Capital-Nationale"),
    "unknown category": row(region="Paris"),
    "missing category": row(region=""),
    "N/D where something must be": row(region="N/D"),
    # dates
    "a day that does not exist": column("jour", "30/01/2024", "31/02/2024"),
    "the month first": column("jour", "05/03/2024", "05/13/2024"),
    "two forms of dates": column("jour", "2024-05-03", "03/05/2024"),
    "a year of two digits": column("jour", "03/05/24"),
    "days without zeros": column("jour", "3/5/2024"),
    "a day number of Excel": column("jour", "45415"),
    "a time with a zone": column("jour", "2024-05-03T19:30:00Z"),
    "N/D for a day": column("jour", "2024-05-03", "N/D"),
    "another year": column("jour", "2024-05-03", "2019-05-03"),
    "no date": column("jour", "2024-05-03", "vendredi"),
    # numbers
    "out of bounds": row(montant="1 500,00"),
    "too many tickets": row(billets="40"),
    "half a ticket": row(billets="1,5"),
    "too many decimals": row(montant="12,505"),
    "the result of a calculation": column("montant", "12.3333333333"),
    "a thousand or one": column("montant", "1,000"),
    "comma and point": column("montant", "12,50", "12.50"),
    "a number too large": row(montant="9" * 40),
    "a percentage": column("montant", "15 %"),
    "with and without currency": column("montant", "12,50 $", "12,50"),
    "another currency": column("montant", "12,50 €"),
    "no number": row(montant="gratuit"),
    "a dash for nothing": row(montant="-"),
    "an error of Excel": row(montant="#REF!"),
    "missing number": row(billets=""),
    # workbooks
    "workbook cut short": changed(sheet(CELLS), lambda content: content[:-200]),
    "workbook damaged": changed(sheet(CELLS), lambda content: content.replace(b"xl/worksheets", b"xl/w0rksheets")),
    "workbook with a password": octets(encrypted(), "ventes.xlsx"),
    "old workbook damaged": octets(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "ventes.xls"),
    "a title above the header": sheet(CELLS, start=2, title="Ventes de la saison 2024"),
    "the data on another sheet": BadFile("ventes.xlsx", two_sheets),
    "a sheet that is not there": BadFile("ventes.xlsx", two_sheets, sheet="Donnees"),
    "an empty workbook": BadFile("ventes.xlsx", lambda path: workbook(path, lambda *_: None)),
    "a lone cell far away": BadFile("ventes.xlsx", far_cell),
    "errors of formulas": BadFile("ventes.xlsx", lambda path: workbook(path, formula_error)),
    "days as text beside days": cells(jour="25/05/2024"),
    "days without a date format": cells(jour=45415),
    "a fraction of a cent": cells(montant=12.345),
    "a total below": sheet(CELLS, [None, None, None, 12.5, 2, "TOTAL"]),
    # tables
    "a list for a cell": BadFile("ventes.parquet", parquet(note=[["x"]])),
    "a moment with a zone": BadFile(
        "ventes.parquet", parquet(jour=pl.Series([0]).cast(pl.Datetime("us", "America/Toronto")))
    ),
}
