"""Read a printed statement again, with sqlglot and with DuckDB: one SELECT over exactly the plan's tables.

Whatever puts rows together in it begins with the unit (S14), and it holds no node that we never print
(docs/adr/0002).
"""

from __future__ import annotations

from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING, Final

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from cleanroom.errors import InvariantBroken
from cleanroom.query.terms.duckdb_terms import PRINTED_TERMS, may_print

if TYPE_CHECKING:
    import duckdb

    from cleanroom.query.duckdb_sql import Statement

PRINTED: Final = PRINTED_TERMS | {
    exp.Select, exp.From, exp.Table, exp.TableAlias, exp.Subquery, exp.Identifier, exp.Column, exp.Alias, exp.Where,
    exp.Join, exp.Union, exp.Paren, exp.And, exp.Or, exp.Not, exp.EQ, exp.LT, exp.LTE, exp.GTE, exp.Is, exp.Null,
    exp.Boolean, exp.In, exp.Placeholder, exp.Literal, exp.Case, exp.If, exp.Distinct, exp.Order, exp.Ordered,
    exp.Cast, exp.DataType, exp.DataTypeParam, exp.Exists, exp.Window, exp.WindowSpec, exp.RowNumber, exp.Rank,
    exp.DenseRank, exp.Lag, exp.Lead, exp.FirstValue, exp.LastValue, exp.NthValue, exp.Ntile, exp.Group,
    exp.Count, exp.Sum, exp.Min, exp.Max,
    exp.LogicalAnd, exp.LogicalOr, exp.First, exp.Last, exp.Filter, exp.Star, exp.Coalesce, exp.TryCast, exp.IntDiv,
    exp.Mul, exp.Nullif,
}  # fmt: skip
"""Node classes that a printed statement may hold."""


def read_again(made: Statement, connection: duckdb.DuckDBPyConnection) -> None:
    """Read a printed statement with both parsers and compare it with the plan.

    Raises:
        InvariantBroken: not one SELECT, other tables, or a node that we never print.
    """
    expected = {f"s{number}" for number in range(len(made.tables))}
    expected |= {f"r{number}" for number in range(len(made.public))}
    trees = _parsed(made.sql)
    if len(trees) != 1 or not isinstance(trees[0], exp.Select):
        raise InvariantBroken("printed SQL is not one SELECT")
    for node in trees[0].walk():
        if type(node) not in PRINTED and not may_print(node):
            raise InvariantBroken(f"printed SQL holds {type(node).__name__}")
        if not _of_one_person(node):
            raise InvariantBroken(f"printed SQL holds a {type(node).__name__} across people")
    tables = {table.name for table in trees[0].find_all(exp.Table)}
    # DuckDB names the tables of a statement without parameters only; each "?" of ours is one.
    without_parameters = made.sql.replace("?", "NULL")
    seen = connection.get_table_names(without_parameters)
    if len(connection.extract_statements(made.sql)) != 1 or tables != expected or seen != expected:
        raise InvariantBroken("printed SQL reads other tables than the plan")


def _parsed(sql: str) -> list[exp.Expr | None]:
    """Parse in a thread of its own, whose stack is empty: how deep the caller's is must not decide (S12)."""
    found: list[list[exp.Expr | None]] = []

    def read() -> None:
        with suppress(SqlglotError, RecursionError):
            found.append(list(sqlglot.parse(sql, read="duckdb")))

    reader = Thread(target=read)
    reader.start()
    reader.join()
    if not found:
        raise InvariantBroken("printed SQL cannot be read again")
    return found[0]


def _of_one_person(node: exp.Expr) -> bool:
    """Return whether what puts rows together begins with the unit: PARTITION BY, GROUP BY, DISTINCT (S14)."""
    if isinstance(node, exp.Window):
        return _is_unit(next(iter(node.args.get("partition_by") or ()), None))
    if not isinstance(node, exp.Select):
        return True
    group, outputs = node.args.get("group"), node.expressions
    if node.args.get("distinct") and not _is_unit(next(iter(outputs), None)):
        return False
    if group is not None:
        return _is_unit(next(iter(group.expressions), None))
    return not any(_folds(output) for output in outputs)


def _is_unit(node: exp.Expr | None) -> bool:
    return isinstance(node, exp.Column) and node.name == "u"


def _folds(node: exp.Expr) -> bool:
    """Return whether an expression aggregates rows of its own SELECT: not those of a window or a subquery."""
    if isinstance(node, (exp.Window, exp.Subquery, exp.Select, exp.Exists)):
        return False
    return isinstance(node, exp.AggFunc) or any(_folds(child) for child in node.iter_expressions())
