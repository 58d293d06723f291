"""What is printed is our own plan and nothing else, is read again, and runs in a locked engine (docs/adr/0002)."""

# ruff: noqa: E501 - one statement a line
from __future__ import annotations

from dataclasses import replace
from random import Random

import duckdb
import pytest
from hypothesis import given, settings
from questions import Question, question
from rooms import FRANCOS, TNM, Room, admit, catalog_of, catalogs, choices, seeds, vector
from searches import LIMITS
from sqlglot.errors import ParseError

from cleanroom.errors import InvariantBroken, Refused
from cleanroom.query.contribution import needed_columns
from cleanroom.query.duckdb_backend import DuckDBBackend
from cleanroom.query.duckdb_reading import read_again
from cleanroom.query.duckdb_sql import Statement, statement
from cleanroom.query.plan import Plan

MADE = {table: catalog_of(table, nullable=("region",)) for table in (TNM, FRANCOS)}


def printed(a_plan: Plan) -> Statement:
    """Return a plan's statement."""
    return statement(a_plan.relation, needed_columns(a_plan))


def locked() -> duckdb.DuckDBPyConnection:
    """Return the backend's own connection."""
    return DuckDBBackend({}, 0)._connection


@given(choices(), seeds())
@settings(LIMITS, max_examples=40)
def test_every_printed_statement_is_read_again(rng: Random, seed: int) -> None:
    made = catalogs(Random(seed))
    written = question(rng, made)
    try:
        a_plan = admit(written.sql, written.parameters, made)
    except Refused:
        return
    text = printed(a_plan)
    read_again(text, CONNECTION)
    check_foreign_words(text, written)


CONNECTION = locked()
OURS = {"u", "t", "r", "a", "b", "n", "g", "place"}


def check_foreign_words(text: Statement, written: Question) -> None:
    """No name, label or value of the question is in the printed text: every quoted word is one of ours."""
    quoted = text.sql.split('"')[1::2]
    assert all(word in OURS or (word[0] in "csrkxwop" and word[1:].isdigit()) for word in quoted)
    # The one text that is ours: the day that codes of days are counted from.
    assert set(text.sql.split("'")[1::2]) <= {"1970-01-01", "month", "week", "quarter", "year"}
    for word in (
        "region",
        "discipline",
        "bought",
        "seats",
        "amount",
        "channel",
        "visits",
        "tnm",
        "nord",
        "web",
        "2024",
        "k0",
        "v0",
    ):
        assert word not in text.sql
    assert text.sql.count("?") == len(text.parameters)


def test_labels_and_strings_of_the_question_never_reach_the_printed_text() -> None:
    sql = (
        'SELECT region AS "x\'); DROP TABLE s0 --", COUNT(*) AS "union all select amount" FROM tnm.visits '
        "WHERE channel = 'a'') OR TRUE --' OR channel IN ('\u200bUNION\u200bALL') GROUP BY 1"
    )
    text = printed(admit(sql, None, MADE))
    assert "DROP" not in text.sql
    assert "union all" not in text.sql.lower()
    assert "a') OR TRUE --" in text.parameters
    read_again(text, CONNECTION)


PRINTED = printed(admit("SELECT region, COUNT(*) AS n FROM tnm.visits WHERE seats > 3 GROUP BY region", None, MADE))


def test_another_table_is_caught() -> None:
    for sql in (
        PRINTED.sql.replace('"s0"', '"s1"'),
        PRINTED.sql.replace('FROM "s0" AS t', 'FROM "s0" AS t INNER JOIN "s1" AS b ON b."u" = t."u"'),
    ):
        assert sql != PRINTED.sql
        with pytest.raises(InvariantBroken, match="other tables"):
            read_again(replace(PRINTED, sql=sql), CONNECTION)


def test_a_node_that_is_never_printed_is_caught() -> None:
    for sql in (
        PRINTED.sql + " LIMIT 1",
        PRINTED.sql.replace('t."u"', 'hash(t."u") AS "u"', 1),
        PRINTED.sql.replace(">= CAST(? AS BIGINT)", ">= (SELECT max(z.c1) FROM s0 AS z)"),
        PRINTED.sql.replace(">= CAST(? AS BIGINT)", ">= (SELECT z.c1 FROM (SELECT DISTINCT c1 FROM s0) AS z)"),
        PRINTED.sql.replace(">= CAST(? AS BIGINT)", ">= (SELECT max(z.c1) FROM s0 AS z GROUP BY z.c1, z.u)"),
        PRINTED.sql.replace(">= CAST(? AS BIGINT)", ">= (SELECT row_number() OVER (ORDER BY z.u) FROM s0 AS z)"),
        PRINTED.sql.replace(">= CAST(? AS BIGINT)", "^ 2 >= CAST(? AS BIGINT)"),
    ):
        assert sql != PRINTED.sql
        with pytest.raises(InvariantBroken, match="printed SQL holds"):
            read_again(replace(PRINTED, sql=sql), CONNECTION)


@pytest.mark.parametrize(
    "sql",
    [
        PRINTED.sql + "; SELECT 1",
        "SELECT 1 UNION ALL " + PRINTED.sql,
        "DELETE FROM s0",
        PRINTED.sql + ";" + PRINTED.sql,
    ],
)
def test_more_than_one_select_is_caught(sql: str) -> None:
    with pytest.raises(InvariantBroken):
        read_again(replace(PRINTED, sql=sql), CONNECTION)


def test_a_blank_that_only_duckdb_sees_is_caught() -> None:
    """The finding: U+200B is a letter to sqlglot and a blank to DuckDB (reference/attacks.md §1)."""
    hidden = PRINTED.sql.replace(
        " AS r", ' AS r\u200bUNION\u200bALL\u200bSELECT\u200bz."u",z."c0"\u200bFROM\u200bs9\u200bAS\u200bz', 1
    )
    with pytest.raises((InvariantBroken, ParseError, duckdb.Error)):
        read_again(replace(PRINTED, sql=hidden), CONNECTION)


def test_values_beyond_62_bits_are_never_printed() -> None:
    from cleanroom.query.algebra import InRange, Scan, Select

    wide = Select(Scan(TNM, ("seats",)), InRange(0, 1 << 62, None), (0,))
    with pytest.raises(InvariantBroken, match="62 bits"):
        statement(wide, (0,))


# The engine


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("enable_external_access", False),
        ("autoload_known_extensions", False),
        ("autoinstall_known_extensions", False),
        ("lock_configuration", True),
        ("temp_directory", ""),
        ("preserve_insertion_order", True),
    ],
)
def test_the_engine_is_locked_down(setting: str, value: object) -> None:
    row = CONNECTION.execute("SELECT value FROM duckdb_settings() WHERE name = ?", [setting]).fetchone()
    assert row is not None
    assert str(row[0]).lower() == str(value).lower()


@pytest.mark.parametrize(
    "sql",
    [
        "SET threads = 1", "SET enable_external_access = true", "SET temp_directory = '/tmp'", "RESET memory_limit",
        "SELECT * FROM read_text('/etc/passwd')", "SELECT * FROM read_csv('/etc/passwd')", "COPY (SELECT 1) TO '/tmp/cleanroom_x'",
        "ATTACH '/tmp/cleanroom_x.db'", "INSTALL httpfs", "LOAD httpfs", "SELECT * FROM '/etc/passwd'", "EXPORT DATABASE '/tmp/cleanroom_x'",
    ],
)  # fmt: skip
def test_the_engine_reaches_nothing_outside_itself(sql: str) -> None:
    with pytest.raises(duckdb.Error):
        CONNECTION.execute(sql)


def test_the_engine_does_not_spill_but_fails() -> None:
    """Plaintext never reaches a disk: without room in memory a statement fails instead."""
    small = DuckDBBackend({}, 0, memory=20 << 20)._connection
    with pytest.raises(duckdb.OutOfMemoryException):
        small.execute("SELECT count(*) FROM (SELECT DISTINCT range AS a FROM range(20000000))").fetchall()


def test_python_variables_are_not_tables() -> None:
    """DuckDB reads DataFrames of the caller by name unless told not to; no such name is ever printed, and none is found."""
    visits = __import__("pyarrow").table({"u": [1]})
    assert visits.num_rows == 1
    with pytest.raises(duckdb.Error):
        CONNECTION.execute("SELECT * FROM visits")


def test_a_run_leaves_no_table_behind() -> None:
    room = Room(MADE, {TNM: (((0, ("nord", "danse", 19_740, 19_740, 5, 5, "web")),),), FRANCOS: ((),)})
    a_plan = admit("SELECT region, COUNT(*) AS n FROM tnm.visits WHERE seats > 3 GROUP BY region", None, MADE)
    assert any(vector(a_plan, room))
    backend = DuckDBBackend(room.readers(a_plan.tables), 1)
    from cleanroom.query.contribution import exact_vector

    exact_vector(a_plan, backend)
    with pytest.raises(duckdb.Error):
        backend._connection.execute('SELECT * FROM "s0"')


def test_a_plan_s_digest_is_its_meaning_not_its_spelling() -> None:
    same = (
        "SELECT region, COUNT(*) AS n FROM tnm.visits GROUP BY region",
        "select REGION as r, count(*) from TNM.visits v group by 1 -- x",
    )
    assert len({admit(sql, None, MADE).digest() for sql in same}) == 1
    others = (
        "SELECT region, COUNT(*) AS n FROM francos.visits GROUP BY region",
        "SELECT region, COUNT(DISTINCT person) AS n FROM tnm.visits GROUP BY region",
        "SELECT discipline, COUNT(*) AS n FROM tnm.visits GROUP BY discipline",
        "SELECT region, COUNT(*) AS n FROM tnm.visits WHERE seats > 3 GROUP BY region",
        "SELECT region, COUNT(*) AS n FROM tnm.visits WHERE seats >= 3 GROUP BY region",
        "SELECT region, COUNT(*) AS n FROM tnm.visits WHERE NOT seats > 3 GROUP BY region",
    )
    assert len({admit(sql, None, MADE).digest() for sql in (*same, *others)}) == 1 + len(others)
