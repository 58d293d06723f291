"""A scalar expression means what DuckDB computes from the same text on the plain values."""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING

import duckdb
import pytest
from scalar_expressions import LINES

from cleanroom.query.terms.evaluate import Values
from tests.query.binding.scalar_rows import assert_same, bound, computed, engine_of_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    Rows = tuple[duckdb.DuckDBPyConnection, dict[int, Values]]


@pytest.fixture(scope="module")
def rows() -> Iterator[Rows]:
    engine, columns = engine_of_rows()
    with engine:
        yield engine, columns


def check(rows: Rows, sql: str) -> None:
    found, reasons = bound(sql)
    assert found is not None, [(each.code, str(each.message)) for each in reasons]
    assert not reasons
    engine, columns = rows
    kind, evaluated, in_engine = computed(engine, found, columns)
    wanted = [value for (value,) in engine.execute(f"SELECT {sql} FROM v ORDER BY place").fetchall()]  # noqa: S608
    assert_same(kind, evaluated, wanted)
    assert_same(kind, in_engine, wanted)


@pytest.mark.parametrize("sql", LINES)
def test_an_expression_means_what_duckdb_computes(rows: Rows, sql: str) -> None:
    check(rows, sql)


def test_there_are_many() -> None:
    assert len(LINES) == len(set(LINES)) >= 250


@pytest.mark.parametrize(
    ("sql", "same", "parameters"),
    [
        ("tickets >= ?", "tickets >= 3", [3]),
        ("amount > $least", "amount > 1.5", {"least": Decimal("1.5")}),
        ("genre = ?", "genre = 'opera'", ["opera"]),
        ("bought >= ?", "bought >= '2021-01-31'", ["2021-01-31"]),
        ("channel LIKE ?", "channel LIKE '%e%'", ["%e%"]),
        ("bought + INTERVAL ? DAY", "bought + INTERVAL 7 DAY", [7]),
        ("bought + INTERVAL ($p) MONTHS", "bought + INTERVAL 2 MONTHS", {"p": 2}),
        ("bought + to_days(?)", "bought + to_days(9)", [9]),
        ("(score > 0) = ?", "(score > 0) = TRUE", [True]),
        ("substring(channel, ?, ?)", "substring(channel, 2, 2)", [2, 2]),
        ("tickets IN (?, ?)", "tickets IN (1, 5)", [1, 5]),
    ],
)
def test_a_parameter_is_its_value(rows: Rows, sql: str, same: str, parameters: list[object]) -> None:
    found, reasons = bound(sql, parameters)  # type: ignore[arg-type]
    assert found is not None, reasons
    engine, columns = rows
    kind, evaluated, in_engine = computed(engine, found, columns)
    wanted = [value for (value,) in engine.execute(f"SELECT {same} FROM v ORDER BY place").fetchall()]  # noqa: S608
    assert_same(kind, evaluated, wanted)
    assert_same(kind, in_engine, wanted)


PIECES = ("score", "tickets", "amount", "2", "-3", "- score", "(tickets - 4)", "7")
TESTS = (
    "score IS NULL",
    "genre = 'opera'",
    "NOT tickets = 3",
    "genre LIKE 'd%'",
    "channel IS NOT NULL",
    "tickets IN (1, 2)",
)


def random_text(source: Random) -> str:
    """Return operators in a row without brackets, so that both readers must agree on which binds first."""

    def numbers() -> str:
        words = [source.choice(PIECES)]
        for _ in range(source.randint(1, 4)):
            words += [source.choice(("+", "-", "*", "*", "%", "//")), source.choice(PIECES)]
            if words[-2] in {"%", "//"}:
                words[-1] = source.choice(("2", "7"))
        return " ".join(words)

    def test() -> str:
        shape = source.randint(0, 4)
        if shape == 0:
            return source.choice(TESTS)
        if shape == 1:
            return f"{numbers()} BETWEEN {numbers()} AND {numbers()}"
        if shape == 2:
            return f"{numbers()} IS {source.choice(('', 'NOT '))}DISTINCT FROM {numbers()}"
        if shape == 3:
            return f"NOT {numbers()} {source.choice(('<', '>=', '<>'))} {numbers()}"
        return f"{numbers()} {source.choice(('=', '<', '<='))} {numbers()}"

    if source.random() < 0.4:
        return numbers()
    words = [test()]
    for _ in range(source.randint(0, 3)):
        words += [source.choice(("AND", "OR")), test()]
    return " ".join(words)


@pytest.mark.parametrize("seed", range(40))
def test_operators_in_a_row_bind_as_duckdb_binds_them(rows: Rows, seed: int) -> None:
    source = Random(seed)
    met = 0
    for _ in range(12):
        sql = random_text(source)
        found, _ = bound(sql)
        if found is None:
            continue  # a decimal under `//`, or numbers that could grow too large: refused, and that is all
        try:
            rows[0].execute(f"SELECT {sql} FROM v LIMIT 0")  # noqa: S608
        except duckdb.Error:
            continue
        check(rows, sql)
        met += 1
    assert met >= 4
