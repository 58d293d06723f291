"""Amounts and days as offices write them: currencies, thousands, losses, times, months by name; one form a column."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanroom.catalog import Date, Number
from cleanroom.client.columns import conform_column
from cleanroom.client.day_forms import DateForm, MomentForm
from cleanroom.client.number_forms import DecimalMark, NumberForm
from cleanroom.client.values import ReasonKind
from cleanroom.client.written import WrittenForm, written_form

DAYS = Date(date(1970, 1, 1), date(2069, 12, 31), nullable=True)
CENTS = Number(Decimal("0.01"), -(2**31 - 1), 2**31 - 1, nullable=True, unit="CAD")


def rows(values: pl.Series, kind: Date | Number, form: WrittenForm | None) -> list[object]:
    conformed = conform_column(values, kind, form)
    found: list[object] = conformed.values.to_list()
    for reason, wrong in conformed.faults:
        for row in wrong.arg_true():
            found[row] = reason
    return found


def read(values: list[str], kind: Date | Number, given: WrittenForm | None = None) -> list[object]:
    column = pl.Series(values, dtype=pl.String)
    return rows(column, kind, written_form(column, kind, given))


@st.composite
def ledgers(draw: st.DrawFn) -> tuple[list[int], list[str]]:
    """Return amounts in cents, and how one accountant writes all of them."""
    cents = draw(st.lists(st.integers(-(2**31 - 1), 2**31 - 1) | st.integers(-999, 999), min_size=1, max_size=8))
    mark = draw(st.sampled_from([".", ","]))
    group = draw(st.sampled_from(["", ",", ".", "\u00a0", "\u202f", " ", "'"]).filter(lambda sign: sign != mark))
    currency = draw(st.sampled_from(["", "$", "CA$", "CAD", "$ CA", "C$"]))
    before, blank = draw(st.booleans()), draw(st.sampled_from(["", " ", "\u00a0"]))
    brackets = draw(st.booleans())
    written = []
    for cent in cents:
        whole = f"{abs(cent) // 100:,}".replace(",", group) + f"{mark}{abs(cent) % 100:02}"
        bracketed = cent < 0 and brackets
        body = f"({whole})" if bracketed else whole
        if currency:
            body = f"{currency}{blank}{body}" if before else f"{body}{blank}{currency}"
        written.append(("-" if cent < 0 and not brackets else "") + body)
    return cents, written


@settings(deadline=None, max_examples=400)
@given(ledgers())
def test_an_accountants_column_is_exact(ledger: tuple[list[int], list[str]]) -> None:
    cents, written = ledger
    assert read(written, CENTS) == cents


OFFICE = [
    *("5", "1 234", "12.5", "12,5", "1,234", "1.234", "1,234.50", "1.234,50", "(3,25)", "1,2.3", "N/D", " ", "1.2.3"),
    *("$5", "$1.5", "5 $", "5,50 $", "CA$5", "€5", "($7.25)", "$ (7.25)", "-$8", "$-8", "--8", "(-8)", "$5$", "15 %"),
]
OFFICE_DAYS = [
    *("2024-05-03", "2024-05-03 19:30", "2024-05-03T19:30:01.25", "2024-05-03T19:30Z", "03/05/2024", "31/02/2024"),
    *("03/05/2024 19 h 30", "3 mai 2024", "3 mai 2024 19h", "May 3, 2024", "03/05/24", "2024/05/03", "N/D", "45000"),
]


@settings(deadline=None, max_examples=500)
@given(
    st.tuples(st.just(CENTS), st.lists(st.sampled_from(OFFICE), min_size=2, max_size=7))
    | st.tuples(st.just(DAYS), st.lists(st.sampled_from(OFFICE_DAYS), min_size=2, max_size=7)),
    st.integers(1, 6),
)
def test_a_column_read_in_parts_is_read_as_whole(column: tuple[Date | Number, list[str]], size: int) -> None:
    """What was read before the form was known must not have been read otherwise."""
    kind, values = column
    form: WrittenForm | None = None
    found: list[object] = []
    for start in range(0, len(values), size):
        part = pl.Series(values[start : start + size], dtype=pl.String)
        form = written_form(part, kind, form)
        found += rows(part, kind, form)
    whole = pl.Series(values, dtype=pl.String)
    assert (found, form) == (rows(whole, kind, written_form(whole, kind)), written_form(whole, kind))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["$5", "5"], [500, ReasonKind.MIXED_CURRENCIES]),
        (["5", "$5"], [500, ReasonKind.MIXED_CURRENCIES]),
        (["$5", "€5"], [500, ReasonKind.MIXED_CURRENCIES]),
        (["€5"], [ReasonKind.OTHER_CURRENCY]),
        (["US$5"], [ReasonKind.OTHER_CURRENCY]),
        (["$5 CAD"], [ReasonKind.NOT_A_NUMBER]),  # two of them
        (["5 $ CAD", "5$CAD"], [500, 500]),
        (["(-5)", "-(5)"], [ReasonKind.NOT_A_NUMBER] * 2),
        (["12.5", "1,234.50", "1,234", "12,34"], [1250, 123450, 123400, ReasonKind.MIXED_MARKS]),
        (["12.5", "1,234", "1,234.50"], [1250, ReasonKind.MIXED_MARKS, ReasonKind.MIXED_MARKS]),  # a thousand, or one?
        (["\N{MINUS SIGN}5", "15 %"], [-500, ReasonKind.PERCENT]),
        (["5 CAN$", "5 dollars"], [ReasonKind.NOT_A_NUMBER] * 2),
    ],
)
def test_currencies_are_of_one_kind(values: list[str], expected: list[object]) -> None:
    assert read(values, CENTS) == expected


def test_what_was_found_is_shown() -> None:
    form = written_form(pl.Series(["$1,234.50"]), CENTS)
    assert form == NumberForm(DecimalMark.POINT, "$", grouped=True, seen=True)
    assert form.shown.fr == "point décimal, virgule des milliers, « $ » partout"
    assert form.shown.en == "decimal point, comma between thousands, $ everywhere"
    assert MomentForm(DateForm.SLASHES).described.fr == "JJ/MM/AAAA HH:MM, jour d'abord ; l'heure reste chez vous"
    assert MomentForm(DateForm.ISO).described.en == "YYYY-MM-DD HH:MM; the time of day stays with you"


FRENCH = [
    "janvier",
    "février",
    "mars",
    "avril",
    "mai",
    "juin",
    "juillet",
    "août",
    "septembre",
    "octobre",
    "novembre",
    "décembre",
]
SHORT = ["janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.", "déc."]


@settings(deadline=None)
@given(
    st.lists(st.dates(date(1970, 1, 1), date(2068, 12, 31)), min_size=1, max_size=5),
    st.sampled_from(["long", "short", "english", "us"]),
    st.sampled_from(["", " 19:30", " 19 h 30", " 7:30 PM", ", 19:30:59.123"]),
)
def test_months_by_name(days: list[date], style: str, time: str) -> None:
    written = {
        "long": [f"{'1er' if day.day == 1 else day.day} {FRENCH[day.month - 1]} {day.year}" for day in days],
        "short": [f"{day.day}-{SHORT[day.month - 1]}-{day.year}" for day in days],
        "english": [f"{day:%d %B %Y}" for day in days],
        "us": [f"{day:%b} {day.day}, {day.year}" for day in days],
    }[style]
    assert read([text + time for text in written], DAYS) == days


def spelled(form: DateForm, day: date) -> str:
    text = form.value.replace("%-d", str(day.day)).replace("%-m", str(day.month))
    return day.strftime(text)


@settings(deadline=None)
@given(
    st.sampled_from([each for each in DateForm if each is not DateForm.NAMED]), st.integers(0, 36_000), st.booleans()
)
def test_every_form_that_is_given_is_read(form: DateForm, number: int, timed: bool) -> None:
    day = date(1970, 1, 1) + timedelta(days=number)
    text = spelled(form, day) + (" 23:59" if timed else "")
    assert read([text, text], DAYS, form) == [day, day]
    assert DateForm.called(form.shown.fr.lower()) is DateForm.called(form.shown.en) is form
    if not form.found_out:
        assert read([text], DAYS) != [day] or spelled(DateForm.SLASHES, day) == spelled(form, day)


@settings(deadline=None)
@given(st.lists(st.datetimes(datetime(1970, 1, 1), datetime(2068, 12, 31)), min_size=1, max_size=5))  # noqa: DTZ001
def test_moments_are_cut_to_the_day(moments: list[datetime]) -> None:
    days = [moment.date() for moment in moments]
    assert read([moment.isoformat(" ") for moment in moments], DAYS) == days
    assert read([moment.isoformat("T", "milliseconds") for moment in moments], DAYS) == days
    assert read([f"{moment:%d/%m/%Y %H:%M}" for moment in moments], DAYS) == days
    column = pl.Series(moments)
    assert rows(column, DAYS, written_form(column, DAYS)) == days
    zoned = [moment.isoformat() + "-04:00" for moment in moments]
    assert read(zoned, DAYS) == [ReasonKind.ZONED_TIME] * len(days)
