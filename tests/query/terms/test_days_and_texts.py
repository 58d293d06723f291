"""Letters, spaces, patterns and the calendar agree with DuckDB everywhere, and bounds of parts with every day."""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from random import Random
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pytest

from cleanroom.catalog import day_number, day_of
from cleanroom.errors import Refusal
from cleanroom.identifiers import TableName
from cleanroom.query.terms import dates, day_labels, letters, texts
from cleanroom.query.terms.calendar_bounds import FIRST_DAY, LAST_DAY, bounds_of_part, months_later, part_of_day
from cleanroom.query.terms.language import Column, DatePart, Integer
from cleanroom.query.terms.typed import Constant, Typed
from cleanroom.query.terms.types import CategoryType, DateType, NumberType, TextType

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


def test_every_code_point_has_the_engines_case_and_space(engine: duckdb.DuckDBPyConnection) -> None:
    points = [chr(number) for number in range(1, 0x110000) if not 0xD800 <= number <= 0xDFFF]
    engine.register("points", pa.table({"s": points}))
    lower, upper = (
        [made for (made,) in engine.execute(f"SELECT {name}(s) FROM points").fetchall()]  # noqa: S608
        for name in ("lower", "upper")
    )
    assert [letters.lower(text) for text in points] == lower
    assert [letters.upper(text) for text in points] == upper
    odd = "SELECT s, trim(s), ltrim(s), rtrim(s) FROM points WHERE length(s) <> 1 OR trim(s) <> s"
    spaces = engine.execute(odd).fetchall()
    assert {text for text, *_ in spaces} == {text for text in points if letters.is_space(text)}
    assert all(trimmed == ["", "", ""] for _, *trimmed in spaces)
    for text, left, right in (("\u3000 a\t ", True, True), (" a ", True, False), ("\u00a0a ", False, True)):
        sql = "SELECT trim($t)" if left and right else "SELECT ltrim($t)" if left else "SELECT rtrim($t)"
        assert engine.execute(sql, {"t": text}).fetchall() == [(letters.trim(text, left=left, right=right),)]


LETTERS = "aAbBéÉßẞİiΣσς%_\\ \u00a0🇨e\u0301"


def some_text(source: Random, most: int, extra: str = "") -> str:
    return "".join(source.choice(LETTERS + extra * 4) for _ in range(source.randint(0, most)))


def test_patterns_match_as_in_the_engine(engine: duckdb.DuckDBPyConnection) -> None:
    source = Random(20240607)
    pairs = [(some_text(source, 8), some_text(source, 6, "%_")) for _ in range(20_000)]
    engine.register("pairs", pa.table({"s": [text for text, _ in pairs], "p": [pattern for _, pattern in pairs]}))
    found = engine.execute("SELECT s LIKE p, s ILIKE p FROM pairs").fetchall()
    for (text, pattern), (like, ilike) in zip(pairs, found, strict=True):
        assert letters.like(pattern, ignore_case=False).matches(text) == like, (text, pattern)
        assert letters.like(pattern, ignore_case=True).matches(text) == ilike, (text, pattern)
    assert sum(like for like, _ in found) > 1_000


def test_a_hostile_pattern_costs_bounded_work() -> None:
    assert not letters.like("%a" * 500, ignore_case=False).matches("a" * 499 + "b" * 501)
    assert letters.like("%_a%" * 250, ignore_case=True).matches("aA" * 500)


def test_pieces_of_texts_are_cut_as_in_the_engine(engine: duckdb.DuckDBPyConnection) -> None:
    source = Random(5)
    for _ in range(150):
        text, start, length = some_text(source, 8), source.randint(1, 10), source.randint(-9, 10)
        word = Typed(Integer(0), CategoryType((text,), nullable=False))
        made = {
            "left($1, $3)": texts.left(word, length),
            "right($1, $3)": texts.right(word, length),
            "substring($1, $2, abs($3))": texts.substring(word, start, abs(length)),
            "substring($1, $2 + 0 * $3)": texts.substring(word, start, None),
            "replace($1, 'a', left('é', $2 + 0 * $3))": texts.replaced(word, "a", "é"),
        }
        for sql, found in made.items():
            used = {"text": text, "start": start, "length": length}
            named = sql.replace("$1", "$text").replace("$2", "$start").replace("$3", "$length")
            given = {name: value for name, value in used.items() if f"${name}" in named}
            assert isinstance(found, Typed)
            assert engine.execute(f"SELECT {named}", given).fetchone() == (texts.constant_text(found),), sql


@pytest.mark.parametrize("part", list(DatePart))
def test_bounds_of_parts_are_those_of_the_days(part: DatePart) -> None:
    source = Random(part.value)
    for _ in range(150):
        lower = source.randint(FIRST_DAY, LAST_DAY - 5_000)
        upper = lower + source.choice((0, 1, 6, 20, 40, 100, 364, 366, 700, 799, 801, 1_500, 4_500))
        found = [part_of_day(part, day_of(number)) for number in range(lower, upper + 1)]
        assert bounds_of_part(part, lower, upper) == (min(found), max(found)), (day_of(lower), day_of(upper))


def test_parts_and_months_agree_with_the_engine(engine: duckdb.DuckDBPyConnection) -> None:
    days = [*range(day_number(date(1999, 1, 1)), day_number(date(2009, 1, 1))), FIRST_DAY, LAST_DAY]
    listed = ", ".join(f"date_part('{part.value}', d)" for part in DatePart)
    engine.register("days", pa.table({"d": pa.array([day_of(day) for day in days], pa.date32())}))
    for day, row in zip(days, engine.execute(f"SELECT {listed} FROM days").fetchall(), strict=True):  # noqa: S608
        assert tuple(part_of_day(part, day_of(day)) for part in DatePart) == row
    for months in (-25, -1, 1, 11, 13):
        moved = engine.execute(
            "SELECT CAST(d + to_months(?) AS DATE) - DATE '1970-01-01' FROM days LIMIT ?", [months, 3653]
        )
        assert [months_later(day, months) for day in days[:3653]] == [each for (each,) in moved.fetchall()]
    assert months_later(LAST_DAY, 1) is None
    assert months_later(FIRST_DAY, -1) is None


def test_every_label_of_a_long_range_is_the_engines(engine: duckdb.DuckDBPyConnection) -> None:
    lower, upper = day_number(date(995, 12, 20)), day_number(date(1022, 1, 10))
    engine.register("old", pa.table({"d": pa.array([day_of(day) for day in range(lower, upper + 1)], pa.date32())}))
    for form in day_labels.FORMATS:
        made = day_labels.label(Typed(Column(0), DateType(lower, upper, nullable=False)), form)
        assert isinstance(made, Typed)
        assert isinstance(made.type, CategoryType)
        found = engine.execute("SELECT DISTINCT strftime(d, ?) FROM old", [form]).fetchall()
        assert set(made.type.domain) == {text for (text,) in found}, form


def refused(found: Typed | Refusal) -> str:
    assert isinstance(found, Refusal)
    return found.code


def test_what_grows_too_large_is_refused() -> None:
    many = Typed(Column(0), CategoryType(tuple(str(number) for number in range(200)), nullable=False))
    assert refused(texts.concatenated(many, many)) == "domain_too_large"
    long = Constant("é" * 1_001)
    short = Typed(Column(0), CategoryType(("a", "é" * 600), nullable=False))
    assert refused(texts.lower(long)) == "text_value_too_long"
    assert refused(texts.concatenated(short, short)) == "text_value_too_long"
    assert refused(texts.replaced(short, "é", "éé")) == "text_value_too_long"
    assert refused(texts.replaced(short, "a", "é" * 1_001)) == "text_value_too_long"
    assert refused(texts.like(short, Constant("%" * 1_001), ignore_case=False)) == "text_value_too_long"
    assert refused(texts.found(short, Constant("%" * 1_001), texts.Place.START)) == "text_value_too_long"
    every = Typed(Column(0), DateType(FIRST_DAY, LAST_DAY, nullable=False))
    assert refused(day_labels.label(every, "%Y-%m-%d")) == "domain_too_large"
    assert refused(day_labels.label(every, "%Y-%m")) == "domain_too_large"
    years = day_labels.label(every, "%Y")
    assert isinstance(years, Typed)
    assert isinstance(years.type, CategoryType)
    assert years.type.domain[0] == "0001"
    assert len(years.type.domain) == 9_999


def test_origins_and_what_was_compared_are_kept() -> None:
    column = (TableName("tnm", "visits"), "region")
    region = Typed(Column(0), CategoryType(("a", "b"), nullable=False), frozenset({column}))
    lower = texts.lower(region)
    assert isinstance(lower, Typed)
    assert (lower.origins, lower.compared) == ({column}, frozenset())
    like = texts.like(lower, Constant("a%"), ignore_case=False)
    assert isinstance(like, Typed)
    assert (like.origins, like.compared) == ({column}, {column})
    both = texts.concatenated(region, lower)
    assert isinstance(both, Typed)
    assert both.origins == {column}


def test_null_gives_null() -> None:
    null, text = Constant(None), Typed(Column(0), TextType(nullable=True))
    day = Typed(Column(1), DateType(0, 10, nullable=False))
    for found in (
        texts.lower(null),
        texts.length(null),
        texts.concatenated(null, Constant("a")),
        dates.part_of(DatePart.YEAR, null),
        dates.days_between(day, null),
        dates.add_days(null, day),
        dates.last_of_month(null),
        day_labels.label(null, "%Y"),
    ):
        assert isinstance(found, Typed)
        assert found.type.nullable
    assert isinstance(texts.like(text, null, ignore_case=False), Typed)


def test_a_number_of_days_is_whole() -> None:
    day = Typed(Column(0), DateType(0, 10, nullable=False))
    fine = Typed(Column(1), NumberType(Fraction(1, 2), 0, 4, False, 0, 4))
    pairs = Typed(Column(1), NumberType(Fraction(2), 0, 4, False, 0, 4))
    assert refused(dates.add_days(day, fine)) == "argument_type"
    found = dates.add_days(day, pairs)
    assert isinstance(found, Typed)
    assert found.type == DateType(0, 18, nullable=False)
