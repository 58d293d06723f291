"""Workbooks as Excel writes them, read into the text that their users see; made by xlsxwriter, which shares no code."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
import xlsxwriter
from bad_files import CATALOG, CELLS, NAMES, table, workbook
from hypothesis import given, settings
from hypothesis import strategies as st
from xlsxwriter.worksheet import Worksheet

from cleanroom.catalog import Column, Contribution, Number, PrivacyUnit, TableCatalog
from cleanroom.client import excel
from cleanroom.client.conform import Conforming, Treatment
from cleanroom.client.excel import Sheet, read_sheet
from cleanroom.client.read_table import read_sources
from cleanroom.client.reading import Reading
from cleanroom.errors import InvalidUpload
from cleanroom.identifiers import IdentifierKind, TableName

Fill = Callable[[Worksheet, xlsxwriter.Workbook], None]


def read(path: Path, fill: Fill, sheet: str | None = None) -> Sheet:
    workbook(path, fill)
    return read_sheet(path, sheet, len, lambda _: True)


def column(path: Path, fill: Callable[[Worksheet, xlsxwriter.Workbook], None]) -> list[str | None]:
    """Return the first column of a sheet, below its header."""

    def with_header(worksheet: Worksheet, book: xlsxwriter.Workbook) -> None:
        worksheet.write(0, 0, "colonne")
        fill(worksheet, book)

    return list(read(path, with_header).cells["0"])


def test_cells_are_read_as_they_are_seen(tmp_path: Path) -> None:
    def fill(worksheet: Worksheet, book: xlsxwriter.Workbook) -> None:
        worksheet.write_number(1, 0, 12.1)
        worksheet.write_formula(2, 0, "=0.1+0.2", None, 0.1 + 0.2)
        worksheet.write_string(3, 0, "12,50")
        worksheet.write_boolean(4, 0, True)
        worksheet.write_number(5, 0, 0.15, book.add_format({"num_format": "0 %"}))
        worksheet.write_formula(6, 0, "=NA()", None, "#N/A")
        worksheet.write_formula(7, 0, '="x"&"y"', None, "xy")
        worksheet.write_datetime(8, 0, time(19, 30), book.add_format({"num_format": "hh:mm"}))
        worksheet.write_number(9, 0, 12.5, book.add_format({"num_format": '#,##0.00 "$"'}))
        worksheet.write_string(10, 0, "12345678901234567890")

    assert column(tmp_path / "v.xlsx", fill) == [
        *("12.1", "0.3", "12,50", "true", "0.15", "#N/A", "xy", "19:30:00", "12.5", "12345678901234567890"),
    ]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(-(2**31 - 1), 2**31 - 1), min_size=1, max_size=30), st.sampled_from([0, 1, 2, 4, 6]))
def test_every_amount_that_a_table_may_hold_is_exact(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int], places: int
) -> None:
    """Doubles are not decimals: 21474836.47 is none, and must come out as it went in."""
    path = tmp_path_factory.mktemp("excel") / "v.xlsx"
    exact = [Decimal(step).scaleb(-places) for step in steps]

    def fill(worksheet: Worksheet, _: xlsxwriter.Workbook) -> None:
        # As formulas, since xlsxwriter itself rounds plain numbers to 16 digits.
        for row, value in enumerate(exact, start=1):
            worksheet.write_formula(row, 0, "=A1", None, repr(float(value)))

    assert [Decimal(value or "") for value in column(path, fill)] == exact
    bounds = 2**31 - 1
    catalog = TableCatalog(
        TableName.parse("tnm.v"),
        PrivacyUnit("person", "client", IdentifierKind.OPAQUE),
        (Column("colonne", Number(Decimal(1).scaleb(-places), -bounds, bounds, nullable=False)),),
        max_rows_per_person=9,
        contribution=Contribution(1, 1),
    )

    def both(worksheet: Worksheet, book: xlsxwriter.Workbook) -> None:
        worksheet.write_row(0, 0, ["colonne", "client"])
        fill(worksheet, book)
        for row in range(len(steps)):
            worksheet.write(row + 1, 1, f"c{row}")

    workbook(path, both)
    conforming = Conforming(catalog, Reading(), Treatment())
    (conformed,) = [part for source in read_sources(path, catalog) for part in conforming.conform(source)]
    assert conformed.columns["colonne"].to_list() == steps


def test_days_and_moments(tmp_path: Path) -> None:
    def moments(*values: date | datetime) -> Fill:
        def fill(worksheet: Worksheet, book: xlsxwriter.Workbook) -> None:
            days = book.add_format({"num_format": "yyyy-mm-dd"})
            for row, value in enumerate(values, start=1):
                worksheet.write_datetime(row, 0, value, days)

        return fill

    noon = datetime(2024, 5, 3, 12)  # noqa: DTZ001
    path = tmp_path / "v.xlsx"
    assert column(path, moments(date(2024, 5, 3), date(1970, 1, 1))) == ["2024-05-03", "1970-01-01"]
    # One form a column: what has a time makes moments of all.
    assert column(path, moments(date(2024, 5, 3), noon)) == ["2024-05-03 00:00:00", "2024-05-03 12:00:00"]
    with xlsxwriter.Workbook(str(path), {"date_1904": True}) as book:
        worksheet = book.add_worksheet()
        worksheet.write(0, 0, "colonne")
        moments(date(2024, 5, 3))(worksheet, book)
    assert list(read_sheet(path, None, len, lambda _: True).cells["0"]) == ["2024-05-03"]


def test_blank_rows_are_no_rows_and_numbers_are_the_sheets(tmp_path: Path) -> None:
    def fill(worksheet: Worksheet, book: xlsxwriter.Workbook) -> None:
        table(worksheet, [CELLS, [None] * 6, [" ", *[None] * 5], CELLS], book, start=2)
        for row in range(40, 50):
            worksheet.write_blank(row, 0, None, book.add_format({"bold": True}))

    found = read(tmp_path / "v.xlsx", fill)
    assert found.header == NAMES
    assert found.numbers.to_list() == [4, 7]
    (frame,) = [frame for source in read_sources(tmp_path / "v.xlsx", CATALOG) for frame in source.batches]
    assert frame.row(0) == ("a@b.ca", "Montréal", "2024-05-03", "12.5", "2", None)
    (source,) = read_sources(tmp_path / "v.xlsx", CATALOG)
    assert [source.number_of(place) for place in (0, 1)] == [4, 7]
    assert source.sheet == excel.SheetFacts("Ventes", ())


def test_sheets_that_are_hidden_or_empty_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "v.xlsx"
    with xlsxwriter.Workbook(str(path)) as book:
        book.add_worksheet("vide")
        hidden = book.add_worksheet("cachée")
        hidden.write(0, 0, "x")
        table(book.add_worksheet("Ventes d'été"), [CELLS], book)
        book.worksheets()[2].activate()
        hidden.hide()
    found = read_sheet(path, None, len, lambda _: True)
    assert found.facts == excel.SheetFacts("Ventes d'été", ("vide", "cachée"))
    assert read_sheet(path, "cachée", len, lambda _: True).header == ["x"]


def test_numbers_that_excel_has_spoiled_are_refused_only_where_they_are_wanted(tmp_path: Path) -> None:
    path = tmp_path / "v.xlsx"

    def fill(worksheet: Worksheet, _: xlsxwriter.Workbook) -> None:
        worksheet.write_row(0, 0, ["carte", "texte"])
        worksheet.write_number(1, 0, 4_540_123_412_341_234_5)
        worksheet.write_string(1, 1, "45401234123412345")

    workbook(path, fill)
    with pytest.raises(InvalidUpload, match="keeps 15 digits"):
        read_sheet(path, None, len, lambda name: name == "carte")
    assert read_sheet(path, None, len, lambda name: name == "texte").cells["1"].to_list() == ["45401234123412345"]


def test_what_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excel, "LARGEST_UNPACKED", 1 << 20)

    def fill(worksheet: Worksheet, _: xlsxwriter.Workbook) -> None:
        for row in range(40_000):
            worksheet.write(row, 0, 1)

    path = tmp_path / "v.xlsx"
    workbook(path, fill)
    assert path.stat().st_size < 1 << 19
    with pytest.raises(InvalidUpload, match="too large once opened"):
        read_sheet(path, None, len, lambda _: True)


@pytest.mark.parametrize("piece", [97, 4 << 20])
@pytest.mark.parametrize("place", [(0, 16_383), (1_048_575, 0), (1_048_575, 100), (9, 27)])
def test_a_sheets_extent_is_known_before_it_is_laid_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: tuple[int, int], piece: int
) -> None:
    monkeypatch.setattr(excel, "_PIECE", piece)
    path = tmp_path / "v.xlsx"

    def fill(worksheet: Worksheet, _: xlsxwriter.Workbook) -> None:
        worksheet.write(0, 0, "colonne")
        worksheet.write(1, 0, 1)
        worksheet.write(*place, "x")

    workbook(path, fill)
    cells = max(2, place[0] + 1) * max(26, place[1] + 1)
    monkeypatch.setattr(excel, "LARGEST_CELLS", cells - 1)
    with pytest.raises(InvalidUpload, match="too large"):
        read_sheet(path, None, len, lambda _: True)
    monkeypatch.setattr(excel, "LARGEST_CELLS", cells)
    if cells <= 1 << 21:
        assert isinstance(read_sheet(path, None, len, lambda _: True).cells, pl.DataFrame)


OLD = (
    "c-rk)O=uHA6#izDG(WWYGcB}22?eXxMi4Jv+Kp1}DW!Vw4?#ES9%}1G)_Bm1)taLqcv3_t)Pt9*7k^Me4}u4wq6a|`5<T`LD0pbI"
    "zIoY|v??^9h01)(ym|9x-pt#X_hxqX&3vLVbHA&K6&QpMH7AUg2AQA~_6l)Oz2ivM%R`hLg>{8+h!(OXfG2IQgK`b!dRL+0p8o|="
    ";1i`|IE|5_Wv15<d)Nj;NE-%-3fv?~6rF5Ul4*hI2Bvqp<x{3vmRw;vKy54HDCYH%zFn>tAJ%%fE(+Q2L)Q7gk{xKrE9u1-u8Mlw"
    "0CwBs#^gGy==Qf_7PO$lre)f)9K&ryfFp!VE|(b^svt#+J&SKn8u;o(_4BlnudQ5w<lmRegMW~RXc1S+uW5c@3eE`*k}^4Uhrb@k"
    "2TiMFo>@c&QsA#|(1qez+a5P3sd$oDa*<O-t7KRu3Vb7*-(D~xa+l{_A--%^Xya&UB|3%}^9hcbICZ;t=gZq%epElsk|{n3>gUBK"
    "X&xM0lp3TQ<r<Btk5V7=+n8SBUN<t|#WY0@O?mHVyUXmG<~EnPwwK1)$#|!4Zs4~NUtZY%sJr}G-%9-4aP@p@?!7*P9y-6qNMAnF"
    "=okIs#&wCux|a)gZ~4fy^Ot=lq{Us^9rsX-VM#_7A;Gj>lCvXzmNa*+q_+5twqR{JAJ1rfX<ZVxUP`Tnq|_eNl6b(AmTfqXBT!IK"
    "P*6}%P*6~44#NE!_qkVufcv!{bpPutQL3rmB>ycAph!=NE|q&>QEua0Q~uL|fbjYftJLxS7fKwW(QQm1&vr~S?Z0$e6OHe)YQ^~9"
    "3!!GmuQg-mKOX-FVOiC#"
)
"""An .xls of Excel 97: courriel, jour, montant; one row."""


def test_an_old_workbook(tmp_path: Path) -> None:
    path = tmp_path / "v.xls"
    path.write_bytes(zlib.decompress(base64.b85decode(OLD)))
    found = read_sheet(path, None, len, lambda _: True)
    assert found.header == ["courriel", "jour", "montant"]
    assert found.cells.rows() == [("a@b.ca", "2024-05-03", "12.1")]
