"""Values become storage types exactly, or the rows that break the declaration are named."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanroom.catalog import Category, Column, Contribution, Date, Number, PrivacyUnit, TableCatalog, Text
from cleanroom.client.columns import conform_column
from cleanroom.client.conform import Conformed, Conforming, Treatment
from cleanroom.client.faults import RowsRefused
from cleanroom.client.read_table import SourceTable
from cleanroom.client.reading import Reading
from cleanroom.client.values import ReasonKind, category_value, clean, date_value, number_value
from cleanroom.client.written import DateForm, MomentForm, NumberForm, written_form
from cleanroom.errors import Language
from cleanroom.identifiers import IdentifierKind, TableName

CENTS = Number(Decimal("0.01"), 0, 50_000, nullable=True)
DAYS = Date(date(2024, 1, 1), date(2024, 12, 31), nullable=True)
NUMBERS = [
    CENTS,
    Number(Decimal(1), -3, 12, nullable=True),
    Number(Decimal("0.05"), -100, 100, nullable=True),
    Number(Decimal("0.25"), 0, 2**31 - 1, nullable=True),
    Number(Decimal(10), 0, 9, nullable=True),
    Number(Decimal("1E-12"), 0, 2**31 - 1, nullable=True),
    Number(Decimal("123456789.123456789"), -(2**31 - 1), 2**31 - 1, nullable=True),
]
DIGITS = st.text("0123456789", max_size=18)
SPELLED = (
    st.builds(
        "".join,
        st.tuples(
            st.sampled_from(["", "", "-", "+", " "]),
            DIGITS,
            st.sampled_from(["", ".", ",", "e", "\u0660"]),
            st.text("0123456789", max_size=4),
            st.sampled_from(["", "", "e2", "E-1", " ", "$"]),
        ),
    )
    | st.integers(-60_000, 60_000).map(lambda cents: str(Decimal(cents) / 100))
    | st.integers(-20, 20).map(str)
)


def outcome(values: pl.Series, kind: Category | Date | Number) -> list[object]:
    """Return for each row its reason, or its value."""
    conformed = conform_column(values, kind, written_form(values, kind))
    rows: list[object] = conformed.values.to_list()
    for reason, wrong in conformed.faults:
        for row in wrong.arg_true():
            assert not isinstance(rows[row], ReasonKind)
            rows[row] = reason
    return rows


@settings(deadline=None)
@given(st.sampled_from(NUMBERS), st.lists(SPELLED | st.none(), min_size=1, max_size=6))
def test_columns_of_numbers_follow_the_rule_of_one(kind: Number, values: list[str | None]) -> None:
    form = written_form(pl.Series(values, dtype=pl.String), kind)
    assert form is None or isinstance(form, NumberForm)
    expected = [None if (text := clean(value)) is None else number_value(text, kind, form) for value in values]
    assert outcome(pl.Series(values, dtype=pl.String), kind) == expected


@settings(deadline=None)
@given(st.lists(st.integers(0, 50_000), min_size=1, max_size=20))
def test_every_way_of_writing_cents_is_exact(cents: list[int]) -> None:
    exact = [Decimal(cent) / 100 for cent in cents]
    for values in (
        pl.Series([str(value) for value in exact]),
        pl.Series([f"{value:.4f}" for value in exact]),
        pl.Series([f"{value:.2f}".replace(".", ",") for value in exact]),
        pl.Series([float(value) for value in exact]),
        pl.Series(exact, dtype=pl.Decimal(20, 6)),
    ):
        assert outcome(values, CENTS) == cents


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12.5", 1250),
        ("12,50", 1250),
        ("1,000", ReasonKind.NOT_A_MULTIPLE),  # a thousand, or one?
        ("1.000", 100),
        ("1 000", ReasonKind.OUT_OF_BOUNDS),
        ("1.234,56", ReasonKind.OUT_OF_BOUNDS),
        ("1,234.56", ReasonKind.OUT_OF_BOUNDS),
        ("1,23.456", ReasonKind.MIXED_MARKS),
        ("12.505", ReasonKind.NOT_A_MULTIPLE),
        ("500", 50_000),
        ("500.01", ReasonKind.OUT_OF_BOUNDS),
        ("-0.01", ReasonKind.OUT_OF_BOUNDS),
        ("-0", 0),
        ("1e2", 10_000),
        ("9" * 50, ReasonKind.OUT_OF_BOUNDS),
        ("1e999999999", ReasonKind.NOT_A_NUMBER),
        ("12 $", 1200),
        ("(0.00)", 0),
        ("(12.5)", ReasonKind.OUT_OF_BOUNDS),
        ("12 ¢", ReasonKind.NOT_A_NUMBER),
        ("12 %", ReasonKind.PERCENT),
        ("inf", ReasonKind.NOT_A_NUMBER),
        ("\u0661", ReasonKind.NOT_A_NUMBER),
    ],
)
def test_amount(text: str, expected: object) -> None:
    assert outcome(pl.Series([text]), CENTS) == [expected]


def test_typed_numbers() -> None:
    assert outcome(pl.Series([0.1 + 0.2, float("nan"), float("inf"), 1e300]), CENTS) == [
        ReasonKind.NOT_A_MULTIPLE,
        None,
        ReasonKind.NOT_A_NUMBER,
        ReasonKind.NOT_A_NUMBER,
    ]
    tickets = Number(Decimal(1), 1, 12, nullable=True)
    assert outcome(pl.Series([1.0, 12.0, 2.5, None]), tickets) == [1, 12, ReasonKind.NOT_A_MULTIPLE, None]
    assert outcome(pl.Series([2**64 - 1, 3], dtype=pl.UInt64), tickets) == [ReasonKind.OUT_OF_BOUNDS, 3]


@settings(deadline=None)
@given(
    st.lists(
        st.text("0123456789-+T ", max_size=11)
        | st.dates().map(str)
        | st.datetimes().map(str)
        | st.sampled_from(["3 mai 2024", "31 avril 2024", "2024-05-03 19 h 30", "2024-05-03T19:30:00Z", "03/05/24"]),
        min_size=1,
        max_size=6,
    )
)
def test_columns_of_dates_follow_the_rule_of_one(values: list[str]) -> None:
    form = written_form(pl.Series(values), DAYS)
    assert form is None or isinstance(form, DateForm | MomentForm)
    expected = [None if (text := clean(value)) is None else date_value(text, DAYS, form) for value in values]
    assert outcome(pl.Series(values), DAYS) == expected


def test_typed_dates() -> None:
    noon = datetime(2024, 5, 1, 12)  # noqa: DTZ001
    midnight = datetime(2024, 5, 1)  # noqa: DTZ001
    day = date(2024, 5, 1)
    assert outcome(pl.Series([day, date(2030, 1, 1), None]), DAYS) == [day, ReasonKind.OUT_OF_BOUNDS, None]
    assert outcome(pl.Series([midnight, noon, None]), DAYS) == [day, day, None]
    assert written_form(pl.Series([midnight, noon]), DAYS) == MomentForm(DateForm.ISO)
    assert written_form(pl.Series([midnight, midnight]), DAYS) is None
    assert outcome(pl.Series([midnight.replace(tzinfo=UTC)]), DAYS) == [ReasonKind.ZONED_TIME]
    assert outcome(pl.Series(["2024-02-30", "2024-2-1", "2024-05-01T00:00"]), DAYS) == [
        ReasonKind.NO_SUCH_DAY,
        ReasonKind.NOT_A_DATE,
        day,
    ]


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(["a", "théâtre", "the\u0301a\u0302tre", "\u00a0b c", "é", "e\u0301"]), unique=True, min_size=1
    ),
    st.lists(
        st.sampled_from(["a", "A", " théâtre", "the\u0301a\u0302tre", "b c", "é", "e\u0301", "", " "]), min_size=1
    ),
)
def test_columns_of_categories_follow_the_rule_of_one(domain: list[str], values: list[str]) -> None:
    kind = Category(tuple(domain), nullable=True)
    expected = [None if (text := clean(value)) is None else category_value(text, kind) for value in values]
    assert outcome(pl.Series(values), kind) == expected
    assert conform_column(pl.Series(values), kind, None).values.dtype == pl.Enum(domain)


def test_what_nothing_converts_is_refused_for_every_type() -> None:
    for kind in (Category(("a",), nullable=True), Text(nullable=True), DAYS, CENTS):
        nested = conform_column(pl.Series([["a"], None]), kind, None)
        assert [(reason, wrong.to_list()) for reason, wrong in nested.faults] == [
            (ReasonKind.NOT_READABLE, [True, False])
        ]


CATALOG = TableCatalog(
    TableName.parse("tnm.visits"),
    PrivacyUnit("person", "courriel", IdentifierKind.EMAIL),
    (
        Column("region", Category(("laval", "estrie"), nullable=False)),
        Column("amount", Number(Decimal("0.01"), 0, 50_000, nullable=False)),
        Column("note", Text(nullable=True)),
    ),
    max_rows_per_person=9,
    contribution=Contribution(1, 1),
)


Rows = list[tuple[str | None, str | None, str | None, str | None]]


def converted(rows: Rows, batch_rows: int = 1 << 18) -> list[Conformed]:
    frame = pl.DataFrame(rows, orient="row", schema=dict.fromkeys(("courriel", "region", "amount", "note"), pl.String))
    conforming = Conforming(CATALOG, Reading(), Treatment())
    done = list(conforming.conform(SourceTable("ventes.csv", frame.iter_slices(batch_rows), ())))
    assert conforming.report().rows == 0
    return done


@pytest.mark.parametrize("batch_rows", [1 << 18, 2])
def test_every_broken_row_is_counted_and_the_first_are_named_in_both_languages(batch_rows: int) -> None:
    with pytest.raises(RowsRefused) as refused:
        converted(
            (
                [
                    ("a@b.ca", "laval", "1", None),
                    (" ", "laval", "1", None),
                    (None, "laval", "1", None),
                    ("a@b.ca", "gatineau", "12.345", None),
                    ("a@b.ca", None, "x" * 99, None),
                ]
            ),
            batch_rows,
        )
    assert refused.value.code == "rows_refused"
    assert dict(refused.value.counts) == {
        ("courriel", ReasonKind.NO_IDENTIFIER): 2,
        ("region", ReasonKind.NOT_IN_DOMAIN): 1,
        ("region", ReasonKind.MISSING): 1,
        ("amount", ReasonKind.NOT_A_MULTIPLE): 1,
        ("amount", ReasonKind.NOT_A_NUMBER): 1,
    }
    assert [(fault.row, fault.column, fault.value) for fault in refused.value.first] == [
        (2, "courriel", " "),
        (3, "courriel", None),
        (4, "region", "gatineau"),
        (4, "amount", "12.345"),
        (5, "region", None),
        (5, "amount", "x" * 60 + "…"),
    ]
    french = refused.value.message.into(Language.FR)
    english = refused.value.message.into(Language.EN)
    assert "ventes.csv, ligne 4, colonne « region », 'gatineau' : hors du domaine déclaré" in french
    assert "ventes.csv, row 4, column 'region', 'gatineau': not in the declared domain" in english
    assert "6 valeurs ne respectent pas la déclaration, dans 4 lignes ; rien n'a été déposé" in french
    assert "2 × 'courriel': empty identifier" in english


@pytest.mark.parametrize("batch_rows", [1 << 18, 7])
def test_only_the_first_broken_rows_are_spelled_out(batch_rows: int) -> None:
    with pytest.raises(RowsRefused) as refused:
        converted([("a@b.ca", "paris", "1", None)] * 1000, batch_rows)
    assert [fault.row for fault in refused.value.first] == list(range(1, 11))
    assert refused.value.counts.total() == 1000


def test_rows_of_nobody_are_left_out_and_counted() -> None:
    (conformed,) = converted(
        [("n/a", "laval", "1", "x"), ("A@b.ca", "estrie", "2,50", " "), ("c@d.ca", "laval", "3", "y")]
    )
    assert conformed.without_person == 1
    assert conformed.identifiers.to_list() == ["a@b.ca", "c@d.ca"]
    assert conformed.columns.rows() == [("estrie", 250, None), ("laval", 300, "y")]
