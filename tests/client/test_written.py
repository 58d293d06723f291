"""Dates and decimals as French and English offices write them, against a slow reading that shares no code."""

from __future__ import annotations

import re
from datetime import date, timedelta
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanroom.catalog import Category, Column, Contribution, Date, Number, PrivacyUnit, TableCatalog
from cleanroom.client.columns import conform_column
from cleanroom.client.conform import Conforming, Treatment
from cleanroom.client.faults import RowsRefused
from cleanroom.client.near import near_category
from cleanroom.client.read_table import SourceTable
from cleanroom.client.reading import Reading
from cleanroom.client.values import ReasonKind
from cleanroom.client.written import DateForm, DecimalMark, NumberForm, written_form
from cleanroom.identifiers import IdentifierKind, TableName

DAYS = Date(date(1900, 1, 1), date(2099, 12, 31), nullable=True)
CENTS = Number(Decimal("0.01"), -(2**31 - 1), 2**31 - 1, nullable=True)
BLANKS = ("\u202f", "\u00a0", " ", "'", "\u2019")


def read(values: list[str], kind: Date | Number) -> list[object]:
    column = pl.Series(values, dtype=pl.String)
    conformed = conform_column(column, kind, written_form(column, kind))
    rows: list[object] = conformed.values.to_list()
    for reason, wrong in conformed.faults:
        for row in wrong.arg_true():
            rows[row] = reason
    return rows


def slow_days(values: list[str]) -> list[object]:
    """Read days one letter at a time: which sign stands where."""
    shapes = ["".join("9" if letter in "0123456789" else letter for letter in value) for value in values]
    known = ("9999-99-99", "99/99/9999", "99-99-9999", "99.99.9999")
    first = next((shape for shape in shapes if shape in known), None)
    rows: list[object] = []
    for value, shape in zip(values, shapes, strict=True):
        if shape != first or first is None:
            short = shape in ("99/99/99", "99-99-99", "99.99.99")
            other = ReasonKind.SHORT_YEAR if short else ReasonKind.NOT_A_DATE
            rows.append(ReasonKind.MIXED_DATES if shape in known else other)
            continue
        if shape == "9999-99-99":
            year, month, day = int(value[:4]), int(value[5:7]), int(value[8:])
        else:
            day, month, year = int(value[:2]), int(value[3:5]), int(value[6:])
        leap = (year % 4 == 0 and year % 100 != 0) or year % 400 == 0
        longest = [31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        if not (1 <= month <= 12 and 1 <= day <= longest[month - 1] and year > 0):
            rows.append(ReasonKind.NO_SUCH_DAY)
        elif not 1900 <= year <= 2099:
            rows.append(ReasonKind.OUT_OF_BOUNDS)
        else:
            rows.append(date(1, 1, 1) + timedelta(days=(date(year, month, day) - date(1, 1, 1)).days))
    return rows


def numbered(text: str) -> tuple[Decimal, str, int] | None:
    """Read a number: its value, its mark, how many digits follow it; None for what is none."""
    body = text[1:] if text[:1] in {"+", "-"} else text
    marks = [letter for letter in body if letter in ".,"]
    if len(marks) > 1:
        return None
    whole, _, decimals = body.partition(marks[0]) if marks else (body, "", "")
    for blank in BLANKS:
        groups = whole.split(blank)
        if len(groups) > 1:
            if not (1 <= len(groups[0]) <= 3 and all(len(group) == 3 for group in groups[1:])):
                return None
            whole = "".join(groups)
            break
    digits = whole + decimals
    if not whole or (marks and not decimals) or any(letter not in "0123456789" for letter in digits):
        return None
    value = Decimal(int(digits)).scaleb(-len(decimals))
    return (-value if text[0] == "-" else value), (marks or [""])[0], len(decimals)


def slow_cents(values: list[str]) -> list[object]:
    found = [numbered(value) for value in values]
    mark = next((number[1] for number in found if number is not None and number[1]), None)
    rows: list[object] = []
    for value, number in zip(values, found, strict=True):
        if number is None:
            body = value[1:] if value[:1] in {"+", "-"} else value
            both = "," in body and "." in body and body[0] in "0123456789"
            plain = all(letter in "0123456789.," for letter in body)
            rows.append(ReasonKind.MIXED_MARKS if both and plain else ReasonKind.NOT_A_NUMBER)
        elif number[1] not in {"", mark}:
            rows.append(ReasonKind.MIXED_MARKS)
        elif number[1] == "," and number[2] > 2:
            rows.append(ReasonKind.NOT_A_MULTIPLE)
        elif abs(number[0] * 100) > 2**31 - 1:
            rows.append(ReasonKind.OUT_OF_BOUNDS)
        else:
            steps = number[0] * 100
            rows.append(int(steps) if steps == int(steps) else ReasonKind.NOT_A_MULTIPLE)
    return rows


def spelled_day(form: DateForm) -> st.SearchStrategy[str]:
    pairs = st.tuples(st.integers(0, 32), st.integers(0, 13), st.sampled_from([0, 1899, 1900, 2000, 2023, 2024, 2100]))
    return pairs.map(
        lambda at: form.value.replace("%d", f"{at[0]:02}").replace("%m", f"{at[1]:02}").replace("%Y", f"{at[2]:04}")
    )


FOUR = (DateForm.ISO, DateForm.SLASHES, DateForm.DASHES, DateForm.DOTS)
SPELLED_DAYS = st.sampled_from(FOUR).flatmap(
    lambda form: st.lists(
        st.one_of(spelled_day(form), spelled_day(form), st.sampled_from(["1/2/2024", "01/02/24", "2024-13"])),
        min_size=1,
        max_size=6,
    )
)


@st.composite
def spelled_numbers(draw: st.DrawFn) -> str:
    whole = str(draw(st.integers(0, 30_000_000)))
    blank = draw(st.sampled_from(["", "", *BLANKS]))
    if blank:
        places = range(len(whole), 0, -3)
        whole = blank.join(reversed([whole[max(0, place - 3) : place] for place in places]))
    sign, mark = draw(st.sampled_from(["", "-", "+"])), draw(st.sampled_from(["", ",", ",", "."]))
    return sign + whole + (mark + draw(st.text("0123456789", min_size=1, max_size=3)) if mark else "")


WITHOUT_DOUBT = re.compile(r"[+-]?\d{1,3}((,\d{3})+\.\d+|(\.\d{3})+,\d+)")
GARBLED = st.text("0129,. '\u202f-", min_size=1, max_size=9).filter(
    lambda text: text == text.strip() and WITHOUT_DOUBT.fullmatch(text) is None
)


@settings(deadline=None, max_examples=300)
@given(SPELLED_DAYS | st.lists(st.sampled_from(FOUR).flatmap(spelled_day), min_size=1, max_size=4))
def test_days_are_read_as_slowly(values: list[str]) -> None:
    assert read(values, DAYS) == slow_days(values)


@settings(deadline=None, max_examples=300)
@given(st.lists(spelled_numbers() | GARBLED, min_size=1, max_size=6))
def test_numbers_are_read_as_slowly(values: list[str]) -> None:
    values = [value.strip("\u202f") or "0" for value in values]
    assert read(values, CENTS) == slow_cents(values)


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("1 234,56", 123456),
        ("1\u202f234\u202f567,8", 123456780),
        ("-12\u00a0345", -1234500),
        ("1'234.50", 123450),
        ("1\u2019234,5", 123450),
        ("12,5", 1250),
        ("1 23,5", ReasonKind.NOT_A_NUMBER),
        ("1 234'567", ReasonKind.NOT_A_NUMBER),
        ("1234 567", ReasonKind.NOT_A_NUMBER),
        ("1 234,567", ReasonKind.NOT_A_MULTIPLE),
        ("1.234,56", 123456),
        ("1.234.567,8", 123456780),
        ("1,234.56", 123456),
        ("1.23,456", ReasonKind.MIXED_MARKS),
        ("12.345,67,8", ReasonKind.MIXED_MARKS),
    ],
)
def test_thousands(text: str, steps: object) -> None:
    assert read([text], CENTS) == [steps]


def test_day_comes_first_wherever_iso_is_not_written() -> None:
    for form, text in (
        (DateForm.SLASHES, "03/04/2024"),
        (DateForm.DASHES, "03-04-2024"),
        (DateForm.DOTS, "03.04.2024"),
    ):
        assert written_form(pl.Series([None, " ", "n/a", text]), DAYS) is form
        assert read([text, "04/13/2024".replace("/", text[2])], DAYS) == [date(2024, 4, 3), ReasonKind.NO_SUCH_DAY]


def test_a_form_far_down_a_column_is_found() -> None:
    comma = NumberForm(DecimalMark.COMMA, seen=True)
    assert written_form(pl.Series(["1"] * 1000 + ["1,5", "x"]), CENTS) == comma
    assert written_form(pl.Series(["1", "1 000", "1,2.3", "n,a"]), CENTS) == NumberForm(seen=True)
    assert written_form(pl.Series([1.5]), CENTS) is None
    assert written_form(pl.Series(["1,5"]).cast(pl.Categorical), CENTS) == comma


CATALOG = TableCatalog(
    TableName.parse("tnm.visits"),
    PrivacyUnit("person", "courriel", IdentifierKind.EMAIL),
    (
        Column("région", Category(("montreal", "capitale_nationale", "cœur_du_québec"), nullable=False)),
        Column("jour", DAYS),
        Column("montant", CENTS),
    ),
    max_rows_per_person=9,
    contribution=Contribution(1, 1),
)


def test_broken_rows_say_what_may_be_meant_in_both_languages() -> None:
    rows = [
        ("a@b.ca", "montreal", "31/12/2024", "1 234,5"),
        ("a@b.ca", "Montréal", "2024-12-31", "1.5"),
        ("a@b.ca", "Paris", "12/31/2024", "2,5"),
    ]
    frame = pl.DataFrame(rows, orient="row", schema=["courriel", "région", "jour", "montant"])
    conforming = Conforming(CATALOG, Reading(), Treatment())
    assert list(conforming.conform(SourceTable("v.csv", iter([frame]), ()))) == []
    with pytest.raises(RowsRefused) as refused:
        conforming.report()
    assert refused.value.message.fr == (
        "5 valeurs ne respectent pas la déclaration, dans 2 lignes ; rien n'a été déposé\n"
        "  2 × « région » : hors du domaine déclaré\n"
        "  1 × « jour » : ce jour n'existe pas\n"
        "  1 × « jour » : date écrite autrement que la première de la colonne\n"
        "  1 × « montant » : virgule et point mêlés dans la colonne : lequel marque les décimales ?\n"
        "premières lignes :\n"
        "  v.csv, ligne 2, colonne « région », 'Montréal' : hors du domaine déclaré (serait-ce « montreal » ?)\n"
        "  v.csv, ligne 2, colonne « jour », '2024-12-31' : date écrite autrement que la première de la colonne"
        " (la colonne est lue en JJ/MM/AAAA)\n"
        "  v.csv, ligne 2, colonne « montant », '1.5' : virgule et point mêlés dans la colonne : lequel marque les"
        " décimales ? (la colonne est lue en virgule décimale)\n"
        "  v.csv, ligne 3, colonne « région », 'Paris' : hors du domaine déclaré (déclaré : montreal,"
        " capitale_nationale, cœur_du_québec ; traduisez par --map)\n"
        "  v.csv, ligne 3, colonne « jour », '12/31/2024' : ce jour n'existe pas"
        " (la colonne est lue en JJ/MM/AAAA ; si le mois est d'abord : --dates MM/JJ/AAAA)\n"
        "pour laisser ces lignes chez vous et déposer les autres : --skip-bad-rows"
    )
    english = refused.value.message.en
    assert "row 2, column 'région', 'Montréal': not in the declared domain (is it 'montreal'?)" in english
    assert "date not written like the column's first (the column is read as DD/MM/YYYY)" in english
    assert "which marks the decimals? (the column is read as decimal comma)" in english


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("Montréal", "montreal"),
        ("MONTRE\u0301AL ", "montreal"),
        ("Capitale-Nationale", "capitale_nationale"),
        ("Coeur du Quebec", "cœur_du_québec"),
        ("Monreal", "montreal"),
        ("Paris", None),
        ("", None),
        ("—", None),
    ],
)
def test_near_values(text: str, near: str | None) -> None:
    kind = CATALOG.columns[0].type
    assert isinstance(kind, Category)
    assert near_category(text, kind) == near
