"""Refusals: every code is reached, has words in both languages, a place, a hint where there is one, and no rows."""

# ruff: noqa: S608, E501, ISC004 - questions are what is tested here, one a line
from __future__ import annotations

import string

import pytest
from refusal_samples import COUNT, MADE, bound, reasons
from rooms import TNM, admit, bind, catalog_of

from cleanroom.errors import Language, Position, Refused
from cleanroom.query.refusals import MESSAGES, refusal

ANSWERED = (
    "SELECT COUNT(*) AS n FROM (SELECT person, date_trunc('month', bought) AS m FROM tnm.visits) AS t WHERE m = DATE '2024-01-01'",
    "SELECT m, COUNT(*) AS n FROM (SELECT person, date_trunc('month', bought) AS m FROM tnm.visits) AS t GROUP BY m",
    "SELECT COUNT(*) AS n FROM (SELECT person, 1 AS one, seats FROM tnm.visits) AS t WHERE seats = 2",
    "SELECT COUNT(*) AS n FROM (SELECT person, COUNT(*) AS k FROM tnm.visits GROUP BY person) AS t",
    "SELECT COUNT(*) AS n FROM (SELECT person, 1, seats FROM tnm.visits UNION ALL SELECT person, 1, seats FROM francos.visits) AS t WHERE seats = 2",
    "SELECT COUNT(*) AS n FROM tnm.visits WHERE person NOT IN (SELECT person FROM tnm.visits)",
    "SELECT COUNT(*) AS n FROM tnm.visits WHERE person IN (SELECT person FROM tnm.visits) OR seats = 1",
    "SELECT COUNT(*) AS n FROM tnm.visits WHERE NOT (person IN (SELECT person FROM tnm.visits))",
    "SELECT COUNT(*) AS n FROM (SELECT person FROM tnm.visits UNION SELECT person FROM tnm.visits) AS t",
    "SELECT COUNT(*) AS n FROM (SELECT person FROM tnm.visits EXCEPT SELECT person FROM tnm.visits) AS t",
    "SELECT COUNT(*) AS n FROM (SELECT person, region FROM tnm.visits INTERSECT SELECT person, region FROM tnm.visits) AS t",
    "SELECT COUNT(*) AS n FROM tnm.visits UNION ALL SELECT COUNT(*) FROM tnm.visits",
    "SELECT COUNT(*) AS n FROM tnm.visits WHERE region < 'a'",
    "SELECT COUNT(*) AS n FROM tnm.visits WHERE region = discipline",
    "SELECT COUNT(*) AS n FROM tnm.visits WHERE seats = amount",
    "SELECT COUNT(*) AS n FROM tnm.visits WHERE 1 = 1",
    "SELECT COUNT(*) AS n FROM tnm.visits WHERE date_trunc('month', bought) = DATE '2024-01-01'",
    "SELECT COUNT(*) AS n FROM tnm.visits WHERE date_trunc('month', bought) IS NULL",
)
CODES: dict[str, str | None] = {
    "text_too_long": COUNT + " " * 20_000,
    "too_many_tokens": COUNT + "(" * 3_000,
    "too_deep": COUNT + "(" * 100,
    "odd_character": COUNT + "\u200b",
    "unreadable": "SELECT COUNT(*",
    "several_statements": f"{COUNT}; {COUNT}",
    "not_a_select": "DROP TABLE x",
    "not_admitted": f"{COUNT} TABLESAMPLE 10%",
    "parameters": f"{COUNT} WHERE seats = ?",
    "unknown_name": f"{COUNT} WHERE seatz = 1",
    "unqualified_table": "SELECT COUNT(*) AS n FROM visits",
    "ambiguous_name": "SELECT COUNT(*) AS n FROM tnm.visits AS a JOIN francos.visits AS b USING (person) WHERE seats = 1",
    "duplicate_name": "SELECT COUNT(*) AS n FROM tnm.visits AS a JOIN francos.visits AS a USING (person)",
    "row_output": "SELECT region FROM tnm.visits",
    "no_people": "SELECT 1 AS one",
    "unit_use": f"{COUNT} WHERE person = 'x'",
    "join_without_unit": "SELECT COUNT(*) AS n FROM tnm.visits AS a, francos.visits AS b",
    "kinds_differ": "SELECT COUNT(*) AS n FROM tnm.visits AS a JOIN musee.visits AS b USING (person)",
    "epochs_differ": None,
    "set_operation": "SELECT COUNT(*) AS n FROM (SELECT region FROM tnm.visits INTERSECT ALL SELECT region FROM tnm.visits) AS t",
    "union_types": "SELECT COUNT(*) AS n FROM (SELECT person, seats FROM tnm.visits UNION ALL SELECT person, region FROM "
    "tnm.visits) AS t",
    "aggregate_not_admitted": "SELECT COUNT(DISTINCT region) AS n FROM tnm.visits",
    "measure_required": "SELECT SUM(region) AS n FROM tnm.visits",
    "not_grouped": "SELECT region, COUNT(*) AS n FROM tnm.visits",
    # Texts go past a threshold; only days of more than 350 years have neither a list nor a threshold.
    "key_without_domain": None,
    "public_types": "SELECT UPPER(COUNT(*)) AS n FROM tnm.visits",
    "too_many_columns": "SELECT "
    + "*, " * 30
    + f"* FROM (SELECT {'*, ' * 40}* FROM (SELECT region, COUNT(*) AS n FROM tnm.visits GROUP BY region) AS t) AS s",
    "too_many_relations": "WITH a0 AS (SELECT person FROM tnm.visits), "
    + ", ".join(f"a{n} AS (SELECT x.person FROM a{n - 1} AS x JOIN a{n - 1} AS y USING (person))" for n in range(1, 9))
    + " SELECT COUNT(*) AS n FROM a8",
    "division_by_zero": f"{COUNT} WHERE amount / (seats - 1) > 1",
    "cast_can_fail": f"{COUNT} WHERE CAST(seats AS DECIMAL(1, 0)) > 1",
    "too_many_sets": f"SELECT COUNT(*) AS n FROM tnm.visits GROUP BY CUBE ({', '.join(f'seats + {n}' for n in range(7))})",
    "kinds_mixed": f"{COUNT} WHERE COALESCE(seats, region) = 1",
    "window_without_unit": "SELECT SUM(x) AS n FROM (SELECT person, row_number() OVER (ORDER BY seats) AS x FROM tnm.visits) AS t",
    "distinct_without_unit": "SELECT COUNT(*) AS n FROM (SELECT DISTINCT region, row_number() OVER (PARTITION BY person "
    "ORDER BY seats) AS r FROM tnm.visits) AS t",
    "release_in_personal": "SELECT COUNT(*) AS n FROM tnm.visits AS a JOIN (SELECT COUNT(*) AS n FROM tnm.visits) AS b ON TRUE",
    "unit_may_be_absent": "SELECT COUNT(*) AS n FROM (SELECT b.person FROM tnm.visits AS a LEFT JOIN francos.visits AS b "
    "USING (person)) AS t",
    "picks_rows": "SELECT COUNT(*) AS n FROM (SELECT person FROM tnm.visits LIMIT 3) AS t",
    "correlated": f"{COUNT} AS a WHERE a.seats = (SELECT MAX(b.seats) FROM tnm.visits AS b WHERE b.person = a.person AND "
    "b.region = a.region)",
    # With public tables: tests of these.
    "public_first": None,
    "comparison_types": f"{COUNT} WHERE seats = 'a'",
    "too_many_cells": "SELECT amount, COUNT(*) AS n FROM tnm.visits GROUP BY amount",
    # A mean or a variance of values this wide: tests/query/test_statistics.py.
    "bounds_too_wide": None,
    # Terms: tests/query/binding and tests/query/terms have expressions for each.
    "argument_type": None,
    "date_range": None,
    "domain_too_large": None,
    "text_value_too_long": None,
    "term_too_large": None,
    # What is printed: tests/query/test_bounded_work.py.
    "statement_too_long": None,
    "nested_too_deep": None,
    # A worker that is killed: tests/query/test_admission_worker.py.
    "too_much_work": None,
    # The rules' own: tests/query/test_gate.py has a question for each.
    "nothing_allowed": None,
    "analysis_not_allowed": None,
    "function_not_allowed": None,
    "dimension_not_allowed": None,
    "literal_not_allowed": None,
    "too_few_parties": None,
    "filter_inside_union": None,
    "cohort_too_close": None,
    "isolates_owner": None,
    "epsilon_over_limit": None,
    "precision": None,
    # Nobody raises it in this version: the ledger refuses with its own words (cleanroom.accounting).
    "budget_insufficient": None,
}


def test_every_code_has_its_question() -> None:
    assert set(CODES) == set(MESSAGES)


@pytest.mark.parametrize("code", [code for code, sql in CODES.items() if sql is not None])
def test_a_code_is_reached_by_its_question(code: str) -> None:
    found = reasons(CODES[code] or "")
    assert code in {each.code for each in found.refusals}
    for each in found.refusals:
        for language in Language:
            assert each.message.into(language)
            assert "{" not in each.message.into(language)


@pytest.mark.parametrize("code", MESSAGES)
def test_both_languages_name_the_same_things_and_format(code: str) -> None:
    fields = [{name for _, name, _, _ in string.Formatter().parse(text) if name} for text in MESSAGES[code]]
    bare = [{name.removesuffix("_fr").removesuffix("_en") for name in each} for each in fields]
    assert bare[0] == bare[1]
    made = refusal(code, Position(1, 1), hint=("a", "b"), **dict.fromkeys(fields[0] | fields[1], "{x!r} % é"))
    assert made.message.fr != made.message.en or code == "several"


@pytest.mark.parametrize(
    ("sql", "line", "column", "hint"),
    [
        (f"{COUNT}\nWHERE seatz = 1", 2, 7, "seats"),
        ("SELECT COUNT(*) AS n\nFROM visits", 2, 6, "tnm.visits"),
        (f"{COUNT} WHERE\n  seats = 'a'", 2, 3, None),
        ("SELECT\n COUNT(DISTINCT region) AS n FROM tnm.visits", 2, None, "COUNT(DISTINCT person)"),
        ("SELECT COUNT(*) AS n,\n MAX(amount) FROM tnm.visits", 2, 2, "QUANTILE_DISC(amount, 0.99)"),
        ("SELECT COUNT(*) AS n FROM tnm.visitz", 1, 27, "tnm.visits"),
        ("FROM tnm.visits", 1, None, "SELECT COUNT(*) AS n FROM (SELECT * FROM tnm.visits) AS t"),
        ("WITH v AS (FROM tnm.visits) FROM v", 1, None, "COUNT(DISTINCT person)"),
        (f"{COUNT} WHERE seats BETWEEN SYMMETRIC 4 AND 2", 1, None, "BETWEEN 2 AND 4"),
        ("SELECT COUNT(*) AS n\nFROM (SELECT DISTINCT ON (person) * FROM tnm.visits) AS t", 2, None, "QUALIFY"),
    ],
)
def test_a_refusal_says_where_and_what_would_do(sql: str, line: int, column: int | None, hint: str | None) -> None:
    first = reasons(sql).refusals[0]
    assert first.position is not None
    assert first.position.line == line
    assert column is None or first.position.column == column
    if hint:
        assert first.hint is not None
        assert hint in first.hint.fr
        assert hint in first.hint.en


@pytest.mark.parametrize(
    "sql",
    ["FROM tnm.visits", "SELECT region, seats FROM tnm.visits", "SELECT MAX(seats) FROM tnm.visits GROUP BY person"],
)
def test_rows_of_people_are_counted_by_the_hint_as_it_stands(sql: str) -> None:
    (reason,) = reasons(sql).refusals
    assert reason.hint is not None
    assert admit(reason.hint.en, None, MADE)


def test_all_reasons_of_a_stage_come_at_once() -> None:
    found = reasons(f"{COUNT} WHERE seatz = 1 AND amont = 2 AND (SELECT 1) = 2 AND x.seats = 3")
    assert len(found.refusals) >= 3 or {each.code for each in found.refusals} == {"not_admitted"}
    found = reasons("SELECT COUNT(*) AS n FROM tnm.visits AS v WHERE seatz = 1 AND amont = 2 AND x.seats = 3")
    assert [each.code for each in found.refusals] == ["unknown_name"] * 3
    found = reasons(f"{COUNT} WHERE seats = 'a' AND region = 1 AND person = 2 AND bought > 3")
    assert len(found.refusals) == 4


def test_unknown_and_forbidden_tables_and_columns_read_alike() -> None:
    """A table that no rule opens is not in what the resolver sees: its refusal is that of a table that is nowhere."""
    visible = {TNM: MADE[TNM]}
    texts = []
    for name in ("francos.visits", "ailleurs.visits"):
        with pytest.raises(Refused) as caught:
            bound(f"SELECT COUNT(*) AS n FROM {name}", visible)
        texts.append([(each.code, each.message.en.replace(name, "…"), each.position) for each in caught.value.refusals])
    assert texts[0] == texts[1]


@pytest.mark.parametrize(
    "sql",
    [
        # C-3: outputs of a sub-select that cannot be, used outside
        "SELECT COUNT(*) AS n FROM (SELECT person, COUNT(*) AS k FROM tnm.visits) AS t WHERE k = 2",
        "SELECT COUNT(*) AS n FROM (SELECT person, person FROM tnm.visits) AS t",
        "SELECT COUNT(*) AS n FROM (SELECT person AS x, person AS y FROM tnm.visits) AS t",
        # W-6: one name for the unit and a column
        "SELECT COUNT(*) AS n FROM (SELECT person AS x, region AS x FROM tnm.visits) AS t WHERE x = 'nord'",
        "SELECT COUNT(*) AS n FROM (SELECT region AS x, seats AS x FROM tnm.visits) AS t",
        # W-1: unaliased tables of two owners, a bare column
        "SELECT COUNT(*) AS n FROM tnm.visits JOIN francos.visits USING (person) WHERE visits.seats = 1",
        "SELECT COUNT(*) AS n FROM tnm.visits JOIN tnm.visits USING (person)",
        # W-2, W-3: labels
        'SELECT COUNT(*) AS "" FROM tnm.visits',
        f"SELECT COUNT(*) AS {'x' * 64} FROM tnm.visits",
        'SELECT COUNT(*) AS "a\nb" FROM tnm.visits',
        'SELECT COUNT(*) AS "a\u202eb" FROM tnm.visits',
        # The unit is a key and nothing else
        "SELECT person, COUNT(*) AS n FROM tnm.visits GROUP BY person",
        "SELECT COUNT(*) AS n FROM tnm.visits WHERE person IN ('a')",
        "SELECT COUNT(*) AS n FROM tnm.visits WHERE person IN (SELECT person, seats FROM tnm.visits)",
        "SELECT COUNT(*) AS n FROM tnm.visits WHERE person IN (SELECT region AS person FROM tnm.visits)",
        "SELECT COUNT(*) AS n FROM tnm.visits WHERE seats IN (SELECT seats FROM tnm.visits)",
        "SELECT COUNT(*) AS n FROM tnm.visits AS a WHERE a.person IN (SELECT person FROM tnm.visits AS b WHERE b.seats = a.seats)",
        # Sets
        "SELECT COUNT(*) AS n FROM (SELECT region FROM tnm.visits INTERSECT SELECT region FROM tnm.visits) AS t",
        "SELECT COUNT(*) AS n FROM (SELECT person, region FROM tnm.visits UNION ALL SELECT region, person FROM tnm.visits) AS t",
        "SELECT COUNT(*) AS n FROM (SELECT person, region FROM tnm.visits UNION ALL SELECT person FROM tnm.visits) AS t",
        "SELECT person FROM tnm.visits UNION ALL SELECT person FROM tnm.visits",
        # Types
        f"{COUNT} WHERE region = seats",
        f"{COUNT} WHERE channel = region",
        f"{COUNT} WHERE seats = bought",
        f"{COUNT} WHERE bought > 20240101",
        f"{COUNT} WHERE seats",
        f"{COUNT} WHERE seats = TRUE",
        f"{COUNT} WHERE seats = 1e19",
        f"{COUNT} WHERE seats IN (1, 'a')",
    ],
)
def test_what_breaks_a_rule_is_refused(sql: str) -> None:
    assert reasons(sql)


@pytest.mark.parametrize("sql", ANSWERED)
def test_what_meets_every_rule_is_admitted(sql: str) -> None:
    assert bind(sql, None, MADE).releases


def test_a_vector_s_entries_are_limited_too() -> None:
    """W-4: cells times statistics."""
    made = {TNM: catalog_of(TNM, amount=(0, 99_998))}
    grouped = "SELECT amount, {} FROM tnm.visits GROUP BY amount"
    assert admit(grouped.format("COUNT(*) AS n"), None, made)
    many = ", ".join(f"{function}({column})" for function in ("SUM", "AVG") for column in ("seats", "amount"))
    assert admit(grouped.format(many), None, made).bounds.cells == 99_999
    wide = "SELECT a.amount, " + ", ".join(f"AVG({each}.seats), AVG({each}.amount)" for each in "abc")
    with pytest.raises(Refused) as caught:
        admit(
            f"{wide} FROM tnm.visits AS a, tnm.visits AS b, tnm.visits AS c WHERE a.person = b.person AND b.person = c.person GROUP BY 1",
            None,
            made,
        )
    assert caught.value.code == "too_many_cells"


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        ("SELECT COUNT(*) AS n FROM (VALUES (1)) AS t", "VALUES"),
        ("SELECT DISTINCT ON (region) region FROM tnm.visits", "DISTINCT ON"),
        ("SELECT COUNT(*) AS n FROM tnm.visits USING SAMPLE 10", "TABLESAMPLE"),
        ("SELECT APPROX_COUNT_DISTINCT(person) AS n FROM tnm.visits", "APPROX_COUNT_DISTINCT"),
        ("SELECT LIST(person) AS n FROM tnm.visits", "LIST"),
        ("SELECT FROM tnm.visits GROUP BY (region, seats)", "SELECT FROM"),
        # One row of none: EXISTS would always hold.
        (
            "SELECT COUNT(*) AS n FROM tnm.visits AS v WHERE EXISTS (SELECT 1 FROM francos.visits AS f"
            " WHERE f.person = v.person GROUP BY ())",
            "()",
        ),
        ("SELECT COUNT(*) AS n FROM (SELECT FROM tnm.visits) AS t", "SELECT FROM"),
        ("SELECT * EXCLUDE (person) FROM tnm.visits", "* EXCLUDE"),
        ("SELECT COUNT(*) AS n FROM tnm.visits POSITIONAL JOIN francos.visits", "POSITIONAL JOIN"),
    ],
)
def test_what_is_not_admitted_is_called_as_it_was_written(sql: str, what: str) -> None:
    said = [each.message.en for each in reasons(sql).refusals if each.code == "not_admitted"]
    assert any(f"'{what}'" in each for each in said), said


@pytest.mark.parametrize("sql", ["SELECT 1 AS one", "SELECT name FROM (SELECT 'a' AS name) AS t"])
def test_a_question_about_nobody_says_so(sql: str) -> None:
    assert [each.code for each in reasons(sql).refusals] == ["no_people"]
