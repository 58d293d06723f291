"""What people read: numbers, columns, carets, withheld cells; and what a terminal or a spreadsheet never gets."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import date
from decimal import Decimal

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanroom.cli import figures
from cleanroom.cli.answers import answer_lines, cost_lines
from cleanroom.cli.console import Console, pointed
from cleanroom.cli.formats import Table, as_csv, as_json
from cleanroom.cli.text import grid, visible, width
from cleanroom.errors import Bilingual, Language, Position
from cleanroom.room import AccountCost, Answer, Receipt
from cleanroom.room.provenance import Provenance

FR, EN = Console(Language.FR), Console(Language.EN)
COST = AccountCost("room", "0.01", 0.6543, "0", "0.01", "4", 0.6543, "20")
THIN = "\u202f"


@pytest.mark.parametrize(
    ("value", "margin", "french", "english"),
    [
        (1234.4, 54.67, f"1{THIN}234 ± 55", "1,234 ± 55"),
        (-0.3, 12.0, "0 ± 12", "0 ± 12"),
        (-1234567.0, 50.00000000001, f"−1{THIN}234{THIN}567 ± 50", "−1,234,567 ± 50"),
        (23.456, 1.234, "23,5 ± 1,3", "23.5 ± 1.3"),
        (0.12345, 0.0123, "0,123 ± 0,013", "0.123 ± 0.013"),
        (5.0, 0.0, "5 ± 0", "5 ± 0"),
    ],
)
def test_values_have_the_decimals_that_their_margin_leaves(
    value: float, margin: float, french: str, english: str
) -> None:
    assert figures.with_margin(value, margin, Language.FR) == french
    assert figures.with_margin(value, margin, Language.EN) == english


@given(st.floats(min_value=1e-6, max_value=1e12))
def test_a_margin_is_never_shown_smaller_than_it_is(margin: float) -> None:
    shown = Decimal(figures.margin(margin, Language.EN).replace(",", ""))
    assert shown >= Decimal(margin) * (1 - Decimal("2e-9"))
    assert shown <= Decimal(margin) * Decimal("1.11")


def test_shares_are_rounded_down() -> None:
    assert figures.share("4.633", "4.634275779992", Language.EN) == "99.9%"
    assert figures.share("1", "1", Language.FR) == f"100{THIN}%"
    assert figures.share("0", "0", Language.EN) == "0%"


NOWHERE = Provenance("tnm", "p", 0, "sha256:0", "sha256:0", (), (), (), (), ())


def test_an_answer_with_withheld_cells() -> None:
    frame = pd.DataFrame(
        {
            "mois": [date(2025, 1, 1), date(2025, 2, 1), None],
            "n": [1234.4, float("nan"), 20.2],
            "n_margin95": [54.67, float("nan"), 54.67],
            "n_state": ["released", "suppressed", "released"],
        }
    )
    note = Bilingual("au plus 10 lignes", "at most 10 rows")
    answer = Answer(frame, 1, 0.65, (("n", 27.9),), (note,), (COST,), NOWHERE, Receipt(7, b""))
    french, english = (answer_lines(console, answer, Table.of(frame)) for console in (FR, EN))
    assert french[0:5] == [
        "mois                    n",
        "─────────────  ──────────",
        f"2025-01        1{THIN}234 ± 55",
        "2025-02            retenu",
        "(sans valeur)     20 ± 55",
    ]
    assert english[2:5] == ["2025-01     1,234 ± 55", "2025-02       withheld", "(no value)     20 ± 55"]
    assert any("Cases retenues : 1. " in line for line in french)
    assert any("Cells withheld: 1. " in line for line in english)
    assert "· au plus 10 lignes" in french
    assert "· at most 10 rows" in english
    assert re.split(r" {2,}", french[-1]) == ["toute la salle", "0,654", f"99,7{THIN}%"]
    assert re.split(r" {2,}", english[-1]) == ["whole room", "0.654", "99.7%"]


def test_many_accounts_are_summed_up() -> None:
    tables = tuple(AccountCost(f"m{at}.visits", "0.01", 0.5, "0", f"{at / 100}", "4", 0.5, "20") for at in range(150))
    lines = cost_lines(EN, (COST, *tables), asked=True)
    assert len(lines) == 2 + 12 + 1
    assert "m149.visits" in "".join(lines)
    assert lines[-1] == "… and 139 tables with more left"


def test_columns_line_up_whatever_their_characters() -> None:
    lines = grid(["a", "b"], [("日本", "1"), ("é\u0301", "22"), ("x\x1b", "3")], right={1})
    assert len({width(line) for line in lines}) == 1


@given(st.text())
def test_nothing_that_a_terminal_obeys_is_visible(text: str) -> None:
    shown = visible(text)
    assert len(shown) == len(text)
    assert not any(ord(character) < 32 or 0x7F <= ord(character) < 0xA0 for character in shown)
    assert not set(shown) & set("\u200b\u202a\u202e\u2066\u2028\ufeff")
    shown.encode()


@given(st.recursive(st.text() | st.none() | st.integers(), lambda inner: st.lists(inner, max_size=3), max_leaves=5))
def test_json_is_what_it_was_and_harmless(value: object) -> None:
    written = as_json([value])
    assert json.loads(written) == [value]
    assert not any(ord(character) < 32 or 0x7F <= ord(character) < 0xA0 for character in written)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "＝1", "\r=1", "'=1"])
def test_no_cell_of_a_csv_is_a_formula(text: str) -> None:
    table = Table((text, "n"), ((text, -3.5),))
    header, row = csv.reader(io.StringIO(as_csv(table).decode(), newline=""))
    for cell in (header[0], row[0]):
        assert cell.lstrip()[:1] not in {"=", "+", "-", "@", "＝"}
        assert cell.isprintable()
    assert row[1] == "-3.5"


def test_plain_text_of_a_csv_stays() -> None:
    table = Table(("région",), (("bas-saint-laurent",), ("a,b",), (None,), (Decimal("0.50"),), (date(2025, 1, 1),)))
    assert as_csv(table).decode() == 'région\r\nbas-saint-laurent\r\n"a,b"\r\n""\r\n0.50\r\n2025-01-01\r\n'


def test_numbers_of_keys_in_json() -> None:
    assert (
        as_json([Decimal("2.50"), Decimal(3), Decimal("0.1234567890123456789")]) == '[2.5, 3, "0.1234567890123456789"]'
    )


def test_a_caret_points_into_a_long_line() -> None:
    sql = "SELECT " + "a, " * 100 + "HERE, " + "b, " * 100 + "\nFROM x"
    line, caret = pointed(sql, Position(1, sql.index("HERE") + 1))
    assert line.startswith("  1 | …")
    assert line.endswith("…")
    assert line[caret.index("^") :].startswith("HERE")
    assert width(line) < 140
    assert pointed(sql, Position(9, 1)) == []
    assert pointed("é日 x\r\n", Position(1, 4))[1].index("^") == 6 + 4
