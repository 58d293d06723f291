"""Scalar constructs that must be refused, each with its code; nothing written is dropped or read differently."""

from __future__ import annotations

import pytest
from sqlglot import exp

from cleanroom.errors import Refused
from cleanroom.query.admitted import ADMITTED_SCALARS, CALLS
from cleanroom.query.parse import parse
from cleanroom.query.refusals import MESSAGES
from tests.query.binding.scalar_rows import bound

HOSTILE: dict[str, str] = {
    # Arguments that sqlglot drops, moves or reads as something else
    "date_trunc('month', bought, score)": "not_admitted",
    "date_trunc('month', bought, 'x', 'y')": "not_admitted",
    "date_trunc(genre, bought)": "not_admitted",
    "date_trunc(month, bought)": "not_admitted",
    'date_trunc("month", bought)': "not_admitted",
    "date_trunc(lower('MONTH'), bought)": "not_admitted",
    "date_trunc('mo' || 'nth', bought)": "not_admitted",
    "date_trunc('month ', bought)": "not_admitted",
    "date_trunc('hour', bought)": "not_admitted",
    "date_trunc('decade', bought)": "not_admitted",
    "date_trunc(('month'), bought)": "not_admitted",
    "date_diff('day', bought, seen, 3)": "not_admitted",
    "date_diff(genre, bought, seen)": "not_admitted",
    "date_diff(day, bought, seen)": "not_admitted",
    'datediff("day", bought, seen)': "not_admitted",
    "date_diff('hour', bought, seen)": "not_admitted",
    "date_part(genre, bought)": "not_admitted",
    "date_part(['year', 'month'], bought)": "not_admitted",
    "date_part('epoch', bought)": "not_admitted",
    "date_part('year', bought, 3)": "not_admitted",
    "extract(epoch FROM bought)": "not_admitted",
    "extract(genre FROM bought)": "not_admitted",
    "strftime(bought, '%Y', 3)": "not_admitted",
    "strftime(bought, '%c')": "not_admitted",
    "strftime(bought, genre)": "not_admitted",
    "strftime('%Y', bought + 1)": "not_admitted",
    "MOD(score, 7, 3)": "not_admitted",
    "nvl(score, 0)": "not_admitted",
    "iif(score > 0, 1, 2)": "not_admitted",
    "IF(score > 0, 1)": "not_admitted",
    "len(channel, genre)": "not_admitted",
    "ROUND(amount, 1, 2)": "not_admitted",
    "FLOOR(amount, 3)": "not_admitted",
    "FLOOR(amount TO DAY)": "not_admitted",
    "last_day(bought, 'month')": "not_admitted",
    "week(bought, 1)": "not_admitted",
    "left(channel, 1, 2)": "not_admitted",
    "substring(channel, 1, 3, 4)": "not_admitted",
    "date_add(bought, INTERVAL 3 DAY, 4)": "not_admitted",
    "date_add('day', 3, bought)": "not_admitted",
    "bought + INTERVAL '30 days ago'": "not_admitted",
    "bought + INTERVAL '1 month 2 days'": "not_admitted",
    "bought + INTERVAL '1-2' YEAR TO MONTH": "not_admitted",
    "bought + INTERVAL 1.5 DAY": "not_admitted",
    "bought + INTERVAL '1.5' DAY": "not_admitted",
    "bought + INTERVAL 2 HOUR": "not_admitted",
    "bought + INTERVAL 3": "not_admitted",
    "bought + INTERVAL tickets DAY": "not_admitted",
    "bought + INTERVAL -3 DAY": "not_admitted",
    "bought + INTERVAL + 3 DAY": "not_admitted",
    "bought + INTERVAL '3' 'DAY'": "not_admitted",
    'bought + INTERVAL 3 "DAY"': "not_admitted",
    "bought + INTERVAL (1 + 2) DAY": "not_admitted",
    "bought + -INTERVAL 3 DAY": "not_admitted",
    "INTERVAL 3 DAY - bought": "not_admitted",
    "bought + INTERVAL 1 DAY * 3": "not_admitted",
    "bought + '3 days'::INTERVAL": "not_admitted",
    "bought + to_days(tickets)": "not_admitted",
    "bought + to_hours(3)": "not_admitted",
    "INTERVAL 3 DAY": "not_admitted",
    "DATE '2024-01-01'::TIMESTAMP": "not_admitted",
    "INTEGER '5'::VARCHAR": "not_admitted",
    "DATE '2024-01-01'::DATE": "not_admitted",
    # Types and values
    "DATE '2024-02-30'": "cast_can_fail",
    "DATE '2024-1-1'": "cast_can_fail",
    "CAST(channel AS DATE)": "cast_can_fail",
    "CAST(tickets AS TINYINT)": "not_admitted",
    "CAST(tickets AS INTEGER[])": "not_admitted",
    "CAST(bought AS TIMESTAMP)": "not_admitted",
    "CAST(amount AS DECIMAL(3, 2))": "cast_can_fail",
    "TRY_CAST(channel AS INTEGER)": "cast_can_fail",
    "channel::UUID": "not_admitted",
    "year(channel)": "argument_type",
    "year(tickets)": "argument_type",
    "month('hier')": "argument_type",
    "bought + 1.5": "argument_type",
    "bought + amount": "argument_type",
    "bought + genre": "argument_type",
    "bought + seen": "argument_type",
    "3 - bought": "argument_type",
    "bought * 2": "argument_type",
    "early - INTERVAL 1 DAY": "date_range",
    "late + 1": "date_range",
    "late + INTERVAL 1 MONTH": "date_range",
    "bought + INTERVAL 9000 YEARS": "date_range",
    "bought + INTERVAL 999999999 DAYS": "date_range",
    "bought + score * 100000": "date_range",
    "strftime(early + 0 * score, '%Y-%m-%d') || strftime(late, '%Y-%m-%d')": "domain_too_large",
    "region || channel": "argument_type",
    "channel || 'x'": "argument_type",
    "genre || channel": "argument_type",
    "concat(genre, TRUE)": "argument_type",
    "concat(channel, 'x')": "argument_type",
    "genre LIKE region": "argument_type",
    "tickets LIKE '1%'": "argument_type",
    "contains(channel, 'a_b')": "argument_type",
    "contains(genre, channel)": "argument_type",
    "replace(channel, 'a', 'b')": "argument_type",
    "replace(genre, 'a', region)": "argument_type",
    "right(channel, 2)": "argument_type",
    "ltrim(channel)": "argument_type",
    "substring(genre, 0, 2)": "not_admitted",
    "substring(genre, -2)": "not_admitted",
    "substring(genre, tickets)": "argument_type",
    "left(genre, 1.5)": "argument_type",
    "LOWER(tickets)": "argument_type",
    "length(bought)": "argument_type",
    "amount / score": "division_by_zero",
    "tickets = 'x'": "comparison_types",
    "bought < 3": "comparison_types",
    "COALESCE(bought, tickets)": "kinds_mixed",
    # Constructs
    "genre LIKE 'a%' ESCAPE '$'": "not_admitted",
    "genre SIMILAR TO 'a.*'": "not_admitted",
    "genre ~ 'a'": "not_admitted",
    "genre !~ 'a'": "not_admitted",
    "genre GLOB 'a*'": "not_admitted",
    "regexp_matches(genre, 'a')": "not_admitted",
    "regexp_replace(genre, 'a', 'b', 'l')": "not_admitted",
    "genre LIKE ANY ('a', 'b')": "not_admitted",
    "genre COLLATE NOCASE = 'A'": "not_admitted",
    "trim(genre, 'x')": "not_admitted",
    "trim(BOTH 'x' FROM genre)": "not_admitted",
    "current_date": "not_admitted",
    "now()": "not_admitted",
    "today()": "not_admitted",
    "random()": "not_admitted",
    "make_date(2024, tickets, 1)": "not_admitted",
    "chr(tickets)": "not_admitted",
    "hash(genre)": "not_admitted",
    "md5(genre)": "not_admitted",
    "ascii(genre)": "not_admitted",
    "reverse(genre)": "not_admitted",
    "sqrt(amount)": "not_admitted",
    "amount ** 0.5": "not_admitted",
    "tickets & 3": "not_admitted",
    "tickets << 60": "not_admitted",
    "divide(amount, 2)": "not_admitted",
    "error('x')": "not_admitted",
    "getenv('HOME')": "not_admitted",
    "main.year(bought)": "not_admitted",
    "bought.year()": "not_admitted",
    "year(DISTINCT bought)": "not_admitted",
    "lower(genre ORDER BY score)": "not_admitted",
    "abs(x := 3)": "not_admitted",
    "lower(genre) OVER ()": "not_admitted",
    "lower(genre) FILTER (WHERE score > 0)": "not_admitted",
    "score BETWEEN SYMMETRIC 3 AND 1": "not_admitted",
    "score IS tickets": "not_admitted",
    "score IN ()": "not_admitted",
    "score IN tickets": "not_admitted",
    "(score, tickets) IN ((1, 2), 3)": "not_admitted",
    "score = ANY ([1, 2])": "not_admitted",
    "score IN (SELECT 1)": "not_admitted",
    "[1, 2]": "not_admitted",
    "ROW(1, 2)": "not_admitted",
    "'a' 'b'": "not_admitted",
    "$$a$$": "not_admitted",
    "1e400": "not_admitted",
    "person": "unit_use",
    "length(person)": "unit_use",
    "CASE WHEN person = 'x' THEN 1 ELSE 0 END": "unit_use",
    "COALESCE(person, 'x')": "unit_use",
    "nobody + 1": "unknown_name",
    " + ".join(["score"] * 200): "too_deep",
}


def codes(sql: str) -> set[str]:
    try:
        found, reasons = bound(sql)
    except Refused as refused:
        return {reason.code for reason in refused.refusals}
    assert (found is None) == bool(reasons)
    return {reason.code for reason in reasons}


@pytest.mark.parametrize(("sql", "code"), HOSTILE.items())
def test_what_is_hostile_is_refused_with_its_code(sql: str, code: str) -> None:
    assert codes(sql) == {code}


PLACELESS = {"INTERVAL 3 DAY", "bought + INTERVAL '1-2' YEAR TO MONTH", "current_date"}
"""sqlglot keeps no place for these."""


@pytest.mark.parametrize("sql", sorted(HOSTILE.keys() - PLACELESS))
def test_a_refusal_says_where(sql: str) -> None:
    try:
        _, reasons = bound(sql)
    except Refused as refused:
        reasons = list(refused.refusals)
    for reason in reasons:
        assert reason.code in MESSAGES
        assert reason.position is not None
        assert reason.message.fr
        assert reason.message.en


def test_all_reasons_come_at_once() -> None:
    _, reasons = bound("year(channel) + month(genre) + LOWER(tickets) + nobody")
    assert [reason.code for reason in reasons] == ["argument_type"] * 3 + ["unknown_name"]


def test_a_long_row_of_conditions_is_no_deep_tree() -> None:
    found, reasons = bound(" OR ".join(f"score = {number}" for number in range(190)))
    assert found is not None
    assert not reasons


def test_a_case_of_cases_is_held_to_its_size() -> None:
    sql = "score"
    for _ in range(6):
        sql = f"CASE {sql} {' '.join(f'WHEN {number} THEN {number + 1}' for number in range(9))} ELSE 0 END"
    assert codes(sql) == {"term_too_large"}


def test_what_is_listed_has_its_spellings() -> None:
    assert set(CALLS) <= set(ADMITTED_SCALARS)
    for kind in ADMITTED_SCALARS:
        if issubclass(kind, exp.Func) and kind not in {exp.Cast, exp.And, exp.Or, exp.Case}:
            assert kind in CALLS, kind


def test_a_function_unknown_to_sqlglot_is_refused_by_its_name() -> None:
    with pytest.raises(Refused) as caught:
        parse("SELECT pragma_version() FROM t.v")
    assert "PRAGMA_VERSION" in str(caught.value)
