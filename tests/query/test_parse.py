"""Text becomes a tree of admitted constructs, or a refusal; hostile text costs bounded work and nothing else."""

# ruff: noqa: S608, E501 - questions are what is tested here, one a line
from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from parse_samples import COUNT, MADE, codes
from questions import question
from rooms import admit, catalogs, choices, seeds
from searches import LIMITS

from cleanroom.errors import Position, Refused
from cleanroom.query.parse import MAX_CHARACTERS, MAX_DEPTH, MAX_OPERANDS, MAX_TOKENS, parse

# Limits


def test_length_is_limited_before_anything_is_read() -> None:
    fitting = COUNT + " " * (MAX_CHARACTERS - len(COUNT))
    assert codes(fitting) == set()
    assert codes(fitting + " ") == {"text_too_long"}
    assert codes("'" * 10_000_000) == {"text_too_long"}


def test_tokens_are_limited() -> None:
    listed = f"{COUNT} WHERE seats IN ({{}})"
    assert codes(listed.format(", ".join(["1"] * 900))) == set()
    assert codes(listed.format(",".join(["1"] * (MAX_TOKENS // 2)))) == {"too_many_tokens"}


def test_depth_is_limited_on_tokens() -> None:
    nested = f"{COUNT} WHERE {{}}seats = 1{{}}"
    assert codes(nested.format("(" * 20, ")" * 20)) == set()
    assert codes(nested.format("(" * MAX_DEPTH, ")" * MAX_DEPTH)) == {"too_deep"} or codes(
        nested.format("(" * (MAX_DEPTH + 1), ")" * (MAX_DEPTH + 1))
    ) == {"too_deep"}
    assert codes(COUNT + "(" * 5_000) == {"too_many_tokens"}
    assert codes(COUNT + "(" * 1_500) == {"too_deep"}


@pytest.mark.parametrize("word", ["AND seats = 1", "OR seats = 1"])
def test_chains_of_conditions_are_limited_and_long_ones_work(word: str) -> None:
    assert codes(f"{COUNT} WHERE seats = 1 " + " ".join([word] * MAX_OPERANDS)) == set()
    assert codes(f"{COUNT} WHERE seats = 1 " + " ".join([word] * (MAX_OPERANDS + 1))) == {"too_deep"}


def test_deep_relations_are_refused_by_their_depth() -> None:
    inner = "tnm.visits"
    for _ in range(25):
        inner = f"(SELECT person FROM {inner} AS t)"
    assert codes(f"SELECT COUNT(*) AS n FROM {inner} AS t") == set()
    joins = "".join(f" JOIN tnm.visits AS a{number} USING (person)" for number in range(40))
    assert codes(f"SELECT COUNT(*) AS n FROM tnm.visits AS t{joins}") == {"too_deep"}
    meets = "".join(f" INTERSECT SELECT person FROM tnm.visits WHERE amount > {number}" for number in range(40))
    assert codes(f"SELECT COUNT(*) AS n FROM (SELECT person FROM tnm.visits{meets}) AS t") == {"too_deep"}


@pytest.mark.parametrize("count", [30, 60, 190, 900])
def test_not_upon_not_is_answered_or_refused(count: int) -> None:
    assert codes(f"{COUNT} WHERE " + "NOT " * count + "seats = 1") <= {"too_deep", "unreadable"}
    assert codes(f"{COUNT} WHERE seats = " + "- " * count + "1") <= {"too_deep", "unreadable", "not_admitted"}


# Characters

INVISIBLE = (
    "\u200b",
    "\u2060",
    "\ufeff",
    "\u00a0",
    "\u3000",
    "\u00ad",
    "\u202e",
    "\u2028",
    "\u0085",
    "\U000e0041",
    "é",
)
CONTROLS = ("\x00", "\x01", "\x0b", "\x0c", "\x1b", "\x7f", "\ud800")
PLACES = (
    "{c}SELECT COUNT(*) AS n FROM tnm.visits",
    "SELECT{c}COUNT(*) AS n FROM tnm.visits",
    "SELECT COUNT{c}(*) AS n FROM tnm.visits",
    "SELECT COUNT(*) AS n{c}UNION{c}ALL{c}SELECT{c}amount FROM tnm.visits",
    "SELECT COUNT(*) AS n FROM{c} tnm.visits",
    "SELECT COUNT(*) AS n FROM tnm.{c}visits",
    "SELECT COUNT(*) AS n FROM tnm.vis{c}its",
    "SELECT COUNT(*) AS n FROM tnm.visits{c}",
    "SELECT COUNT(*) AS n FROM tnm.visits WHERE seats{c}= 1",
    "SELECT COUNT(*) AS n FROM tnm.visits WHERE seats = 1{c}0",
    "SELECT COUNT(*) AS n FROM tnm.visits WHERE seats = ${c}a",
    "SELECT COUNT(*) AS n FROM tnm.visits WHERE bought = DATE{c}'2024-01-01'",
    "SELECT COUNT(*) AS n FROM tnm.visits /* x */{c}",
    "SELECT COUNT(*) AS n FROM /* x */{c}/* y */ tnm.visits",
    "SELECT COUNT(*) AS n FROM tnm.visits -- x\n{c}",
    "SELECT COUNT(*) AS n FROM tnm.visits;{c}",
)


def test_invisible_characters_are_refused_at_every_place() -> None:
    """DuckDB reads some of them as blanks and sqlglot as letters: outside strings and quoted names none is taken."""
    for place in PLACES:
        for character in (*INVISIBLE, *CONTROLS):
            text = place.format(c=character)
            with pytest.raises(Refused) as caught:
                parse(text, {"a": 1} if "$" in text else None)
            # sqlglot may find the text unreadable first; it is never read.
            assert caught.value.code in {"odd_character", "unreadable"}, (place, character)
            if caught.value.code == "odd_character":
                assert caught.value.refusals[0].position is not None


def test_the_position_of_an_odd_character_is_its_own() -> None:
    with pytest.raises(Refused) as caught:
        parse("SELECT COUNT(*)\n  AS n\u200bUNION FROM tnm.visits")
    assert caught.value.refusals[0].position == Position(2, 7)


@pytest.mark.parametrize("character", INVISIBLE)
def test_strings_quoted_names_and_comments_may_hold_any_letter(character: str) -> None:
    assert codes(f"{COUNT} WHERE channel = 'a{character}b'") == set()
    assert codes(f"{COUNT} -- a{character}b") == set()
    assert codes(f"/* a{character}b */ {COUNT}") == set()
    if character.isprintable():
        assert codes(f'SELECT COUNT(*) AS "a{character}b" FROM tnm.visits') == set()
    else:
        assert codes(f'SELECT COUNT(*) AS "a{character}b" FROM tnm.visits') == {"not_admitted"}


@pytest.mark.parametrize("character", CONTROLS)
def test_control_characters_are_refused_even_in_strings(character: str) -> None:
    assert codes(f"{COUNT} WHERE channel = 'a{character}b'") == {"odd_character"}


def test_a_kelvin_sign_is_no_k() -> None:
    assert codes('SELECT COUNT(*) AS n FROM tnm.visits WHERE "\u212aey" = 1') == {"unknown_name"}
    assert codes("SELECT COUNT(*) AS n FROM tnm.visits WHERE SEATS = 1") == set()


# Statements


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("", "not_a_select"),
        ("   ", "not_a_select"),
        (";", "not_a_select"),
        ("-- rien", "not_a_select"),
        (f"{COUNT}; {COUNT}", "several_statements"),
        (f"{COUNT};/**/;SELECT 1", "several_statements"),
        ("DROP TABLE tnm.visits", "not_a_select"),
        (f"EXPLAIN {COUNT}", "not_a_select"),
        (f"COPY ({COUNT}) TO 'x'", "not_a_select"),
        ("SET threads = 1", "not_a_select"),
        ("tnm.visits", "not_a_select"),
        ("SELECT COUNT(*", "unreadable"),
        ("SELECT 'a", "unreadable"),
        ("SELECT FROM WHERE", "unreadable"),
    ],
)
def test_one_select_and_nothing_else(sql: str, code: str) -> None:
    assert code in codes(sql)


def test_a_trailing_semicolon_and_comments_are_harmless() -> None:
    for sql in (f"{COUNT};", f"{COUNT};;", f"{COUNT}; -- fin", f"/* SELECT * */ {COUNT}", f"{COUNT} /* a * / */"):
        assert codes(sql) == set(), sql


@pytest.mark.parametrize(
    "tail",
    [
        "USING SAMPLE 1 ROWS", "TABLESAMPLE 10%", "QUALIFY seats > 1", "LIMIT 10%", "LIMIT seats", "OFFSET -1", "ORDER BY seats",
        "HAVING seats > 1", "WINDOW w AS (), w AS ()", "FETCH FIRST 1 ROWS WITH TIES", "FOR UPDATE", "AS t(a, b)",
        "LEFT JOIN francos.visits ON TRUE", "FULL JOIN francos.visits USING (region)", "SEMI JOIN francos.visits USING (region)",
        "ANTI JOIN francos.visits ON visits.seats = 1", "CROSS JOIN francos.visits", "NATURAL JOIN francos.visits",
        "ASOF JOIN francos.visits USING (person)", "POSITIONAL JOIN francos.visits", ", LATERAL (SELECT 1)",
        "WHERE channel || 'x' = 'y'", "WHERE EXISTS (SELECT 1 FROM francos.visits)", "WHERE seats = ANY (SELECT 1)",
        "WHERE seats IS TRUE", "WHERE seats", "WHERE sqrt(seats) > 1", "WHERE seats / (seats - 1) > 1",
        "WHERE CAST(seats AS DATE) = DATE '2024-01-01'", "WHERE TRY_CAST('2024-02-30' AS DATE) = bought",
        "WHERE bought = DATE '2024-01-01' + INTERVAL '1 day ago'", "WHERE (seats, amount) = (1, 2)",
        "WHERE seats IN (SELECT seats FROM francos.visits)", "WHERE seats = @a", "UNION SELECT 1",
        "PIVOT (COUNT(*) FOR region IN ('a'))", "WHERE person = 'x'", "WHERE channel SIMILAR TO 'a.*'",
    ],
)  # fmt: skip
def test_what_is_not_listed_is_not_admitted(tail: str) -> None:
    assert codes(f"SELECT COUNT(*) FROM tnm.visits {tail}", {"a": 1} if ":a" in tail else None)


@pytest.mark.parametrize(
    "output",
    [
        "COUNT(*) OVER ()", "COUNT(DISTINCT seats)", "COUNT(*) FILTER (WHERE person = 'a')", "COUNT(*) FILTER (WHERE seats)",
        "COUNT(DISTINCT person, seats)", "COUNT(DISTINCT *)", "COUNT(*, 1)", "COUNT(* EXCLUDE region)", "SUM(DISTINCT seats)",
        "SUM(seats ORDER BY seats)", "AVG(seats, amount)", "SUM(person)", "SUM(region)", "AVG(bought)", "MIN(seats)", "MAX(seats)",
        "MEDIAN(seats, 1)", "QUANTILE_CONT(seats, 0.5, 1)", "QUANTILE_CONT(seats, 1.5)", "QUANTILE_CONT(seats, seats)", "1", "'a'",
        "NULL", "*", "person", "seats", "random()", "COUNT(*) + random()", "COUNT(*) + seats", "first(seats ORDER BY bought)",
        "(SELECT 1)", "COUNT(*)::TINYINT", "main.sum(seats)", "COLUMNS('a')", "$a", "SUM($a)", "bool_or(seats > 1)",
        "ANY_VALUE(seats)", "LIST(seats)", "arg_max(seats, amount)", "SUM(sqrt(seats))", "EXISTS (SELECT 1 FROM francos.visits)",
    ],
)  # fmt: skip
def test_outputs_that_are_no_admitted_aggregate_are_refused(output: str) -> None:
    assert codes(f"SELECT {output} FROM tnm.visits", {"a": 1} if "$a" in output else None)


@pytest.mark.parametrize("month", ["month, bought", "region, bought", "'month', bought, 'x'", "'decade', bought", "'month', seats", "'month', 'month'", "'hour', bought", '"month", bought', "'month', person"])  # fmt: skip
def test_only_the_month_of_a_date_is_a_key(month: str) -> None:
    """sqlglot takes a column for the unit as its name and drops a third argument: the text is looked at again (W-10)."""
    assert codes(f"SELECT date_trunc({month}) AS m, COUNT(*) AS n FROM tnm.visits GROUP BY 1")


@pytest.mark.parametrize(
    "month", ["'month', bought", "'MONTH', visits.bought", ' \'month\' ,\n"tnm"."visits"."bought" ']
)
def test_the_month_of_a_date_is_a_key_however_it_is_spelt(month: str) -> None:
    assert codes(f"SELECT date_trunc({month}) AS m, COUNT(*) AS n FROM tnm.visits GROUP BY m") == set()


@pytest.mark.parametrize(
    "day", ["2024-W01-1", "20240101", "2024-1-1", "2024-01-01 00:00", "2024-02-30", "０024-01-01", "today", ""]
)
def test_a_date_is_year_month_and_day_and_nothing_else(day: str) -> None:
    refused = {"comparison_types", "argument_type", "cast_can_fail"}
    assert codes(f"{COUNT} WHERE bought = DATE '{day}'") & refused
    assert codes(f"{COUNT} WHERE bought = '{day}'") & refused
    assert codes(f"{COUNT} WHERE bought = ?", [day]) & refused


# Parameters

BOOLEAN = [True]


@pytest.mark.parametrize(
    ("sql", "parameters"),
    [
        ("seats = ?", None),
        ("seats = ?", []),
        ("seats = ?", [1, 2]),
        ("seats = ?", {"a": 1}),
        ("seats = $a", [1]),
        ("seats = $a", {}),
        ("seats = $a", {"a": 1, "b": 2}),
        ("seats = $a", {"a": 1, "A": 2}),
        ("seats = $a AND amount = ?", [1, 2]),
        ("seats = $a AND amount = ?", {"a": 1}),
        ("seats = 1", [1]),
        ("seats = ?", "1"),
        ("seats = ?", b"1"),
        ("seats = ?", 1),
        ("seats = ?", [None]),
        ("seats = ?", [1.5]),
        ("seats = ?", [[1]]),
        ("seats = ?", [Decimal("1E+100000")]),
        ("seats = ?", [Decimal("1E-100000")]),
        ("seats = ?", [Decimal("NaN")]),
        ("seats = ?", [Decimal("sNaN")]),
        ("seats = ?", [Decimal("Infinity")]),
        ("seats = ?", [10**400]),
        ("seats = ?", [-(10**18)]),
        ("channel = ?", ["\ud800"]),
        ("channel = ?", ["a\0b"]),
        ("channel = ?", ["a\u200bb"]),
        ("channel = ?", ["x" * 1_001]),
        ("channel = ?", ["x" * 10_000_000]),
    ],
)
def test_parameters_that_do_not_fit_are_refused(sql: str, parameters: Any) -> None:
    assert codes(f"{COUNT} WHERE {sql}", parameters) == {"parameters"}


@pytest.mark.parametrize(
    ("sql", "parameters"),
    [
        ("seats = ?", [1]),
        ("seats = ?", (1,)),
        ("seats = ?", [Decimal("1.50")]),
        ("seats = ?", [10**18 - 1]),
        ("seats = ?", [Decimal("0E+999999")]),
        ("seats = $a OR amount = $a", {"a": 1}),
        ("seats = $A", {"a": 1}),
        ("seats IN (?, ?)", [1, 2]),
        ("channel = ?", ["l'été; DROP TABLE x --"]),
        ("bought = ?", ["2024-02-29"]),
        ("seats = ?", BOOLEAN),
    ],
)
def test_parameters_that_fit_are_taken(sql: str, parameters: Any) -> None:
    # A boolean is a value, but no number: it is refused as a comparison, not as a parameter.
    expected = {"comparison_types"} if parameters is BOOLEAN else set()
    assert codes(f"{COUNT} WHERE {sql}", parameters) == expected


def test_placeholders_stand_for_values_only() -> None:
    assert codes("SELECT COUNT(*) AS n FROM $t", {"t": "tnm.visits"})
    assert codes("SELECT $a, COUNT(*) AS n FROM tnm.visits GROUP BY 1", {"a": "region"})
    assert codes("SELECT COUNT(*) AS n FROM tnm.visits GROUP BY $a", {"a": "region"})


def test_positional_parameters_are_taken_in_reading_order() -> None:
    one = admit(f"{COUNT} WHERE seats > ? AND amount < ?", [2, 3], MADE)
    other = admit(f"{COUNT} WHERE seats > 2 AND amount < 3", None, MADE)
    assert one.digest() == other.digest()


@given(choices(), seeds())
@settings(LIMITS, max_examples=80)
def test_parameters_and_literals_are_the_same_plan(rng: Random, seed: int) -> None:
    made = catalogs(Random(seed))
    written = question(rng, made)
    try:
        plans = [admit(sql, given, made) for sql, given in ((written.sql, written.parameters), (written.written, None))]
    except Refused as refused:
        assert refused.code == "bounds_too_wide"  # noqa: PT017
        return
    assert plans[0].digest() == plans[1].digest()


def test_an_ordinal_of_thousands_of_digits_is_refused() -> None:
    assert codes(f"SELECT region, COUNT(*) AS n FROM tnm.visits GROUP BY {'1' * 5_000}") >= {"unknown_name"}


@pytest.mark.parametrize("ordinal", ["0", "3", "99", "1.5", "1e0", "-1", "'1'", "0x1"])
def test_ordinals_outside_the_list_are_refused(ordinal: str) -> None:
    assert codes(f"SELECT region, COUNT(*) AS n FROM tnm.visits GROUP BY {ordinal}")


@pytest.mark.parametrize("kind", ["JOIN", "INNER JOIN", "LEFT JOIN"])
def test_joins_that_wait_for_their_condition_are_counted_before_parsing(kind: str) -> None:
    """sqlglot tries every nesting of them: forty would keep it busy for years, and its memory growing."""
    text = "SELECT COUNT(*) AS n FROM tnm.visits " + " ".join(f"{kind} tnm.visits AS t{n}" for n in range(40))
    assert codes(text) == {"join_without_unit"}
    nested = "SELECT COUNT(*) AS n FROM tnm.visits " + f"{kind} tnm.visits " * 6
    assert codes(nested) - {"join_without_unit"} <= {"unreadable", "not_admitted", "duplicate_name"}
