"""What DuckDB computes from a printed term is what the term means, on any row: extremes, NULL, hostile texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pytest
import sqlglot
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from searches import nightly
from sqlglot import exp

from cleanroom.errors import InvariantBroken
from cleanroom.query.terms import language as t
from cleanroom.query.terms.duckdb_terms import may_print, placeholder, printed
from cleanroom.query.terms.evaluate import Values, evaluate
from tests.query.terms.random_terms import FLAGS, NUMBERS, TEXTS, RandomTerms

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS = 60
UNSHRUNK = (Phase.explicit, Phase.reuse, Phase.generate)
"""A seed is not worth shrinking: each names its terms."""

AROUND = {exp.Select, exp.From, exp.Table, exp.TableAlias, exp.Alias}


@pytest.fixture(scope="module")
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


def in_duckdb(
    engine: duckdb.DuckDBPyConnection, term: t.Term, rows: pa.Table
) -> tuple[list[object], sqlglot.exp.Expression]:
    parameters: list[object] = []

    def bind(value: object) -> str:
        parameters.append(list(value) if isinstance(value, tuple) else value)
        return placeholder(value)  # type: ignore[arg-type]

    sql = f"SELECT {printed(term, bind)} AS v FROM rows AS t"  # noqa: S608
    engine.register("rows", rows)
    found = [value for (value,) in engine.execute(sql, parameters).fetchall()]
    return found, sqlglot.parse_one(sql, read="duckdb")


def check(engine: duckdb.DuckDBPyConnection, seed: int, depth: int) -> None:
    terms = RandomTerms(seed)
    pick = terms.source.choice
    numbers, more = [pick(NUMBERS) for _ in range(ROWS)], [pick(NUMBERS) for _ in range(ROWS)]
    texts, flags = [pick(TEXTS) for _ in range(ROWS)], [pick(FLAGS) for _ in range(ROWS)]
    rows = pa.table(
        {
            "c0": pa.array(numbers, pa.int64()),
            "c1": pa.array(more, pa.int64()),
            "c2": pa.array(texts, pa.string()),
            "c3": pa.array(flags, pa.bool_()),
        }
    )
    columns = {0: Values.of(numbers), 1: Values.of(more), 2: Values.of(texts, str), 3: Values.of(flags, bool)}
    for _ in range(10):
        term = terms.any_term(depth)
        found, tree = in_duckdb(engine, term, rows)
        assert found == evaluate(term, columns, ROWS).items(), term
        assert all(type(node) in AROUND or may_print(node) for node in tree.walk()), term


@settings(max_examples=80, phases=UNSHRUNK)
@given(seed=st.integers(0, 1 << 32))
def test_any_term_means_the_same_in_duckdb(engine: duckdb.DuckDBPyConnection, seed: int) -> None:
    check(engine, seed, depth=4)


@pytest.mark.soak
@settings(max_examples=nightly(40_000), phases=UNSHRUNK)
@given(seed=st.integers(0, 1 << 32), depth=st.integers(1, 5))
def test_any_deep_term_means_the_same_in_duckdb(engine: duckdb.DuckDBPyConnection, seed: int, depth: int) -> None:
    check(engine, seed, depth)


def test_the_whole_calendar_agrees(engine: duckdb.DuckDBPyConnection) -> None:
    days = [*range(-9_999_999, 10_000_000, 997), *range(-30, 800), 19_781, 19_782, 10_000_000, -10_000_000]
    rows = pa.table({"c0": pa.array(days, pa.int64())})
    terms: list[t.Term] = [t.PartOf(part, t.Column(0)) for part in t.DatePart]
    terms += [t.StartOf(unit, t.Column(0)) for unit in t.DateUnit]
    terms += [t.AddMonths(t.Column(0), months) for months in (1, -1, 13, 120_000, -120_000)]
    for term in terms:
        found, _ = in_duckdb(engine, term, rows)
        assert found == evaluate(term, {0: Values.of(days)}).items(), term


def test_long_lists_are_one_parameter(engine: duckdb.DuckDBPyConnection) -> None:
    size = 10_000
    term = t.LookUp(t.Column(0), 0, tuple((code * 7919) % size for code in range(size)))
    codes = [*range(-2, size + 2), None]
    rows = pa.table({"c0": pa.array(codes, pa.int64())})
    found, tree = in_duckdb(engine, term, rows)
    assert found == evaluate(term, {0: Values.of(codes)}).items()
    assert len(list(tree.find_all(exp.Placeholder))) < 10


def test_a_term_is_printed_no_longer_than_it_is() -> None:
    term: t.Term = t.Column(0)
    for _ in range(60):
        term = t.Absolute(t.Quotient(t.FloorDivide(t.Sign(term), 3), t.Integer(7), 10))
    assert len(printed(term, placeholder)) < 400 * t.size_of(term)


@pytest.mark.parametrize(
    "term",
    [
        t.Integer(1 << 62),
        t.FloorDivide(t.Column(0), 0),
        t.FloorDivide(t.Column(0), -1),
        t.Remainder(t.Column(0), 0),
        t.AddMonths(t.Column(0), 200_000),
        t.Quotient(t.Column(0), t.Column(1), 1 << 62),
        t.LookUp(t.Column(0), 0, (1 << 63,)),
    ],
)
def test_what_no_proof_allows_is_never_printed(term: t.Term) -> None:
    with pytest.raises(InvariantBroken):
        printed(term, placeholder)
