"""Print a plan's relation as SQL for DuckDB: our plan, our names, literals as bound parameters.

Nothing that a person typed is printed. Tables are s0, s1, … (the scans in order), columns c0, c1, …, the unit is u.
Every per-person operation contains u (S14); IN and INTERSECT are semi-joins on u (S16). What is printed is read once
more, by sqlglot and by DuckDB, and must be one SELECT over exactly those tables (docs/adr/0002).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, assert_never

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from cleanroom.errors import InvariantBroken
from cleanroom.query import algebra

if TYPE_CHECKING:
    import duckdb

PRINTED: Final = frozenset(
    {
        exp.Select, exp.From, exp.Table, exp.TableAlias, exp.Subquery, exp.Identifier, exp.Column, exp.Alias, exp.Where,
        exp.Join, exp.Union, exp.Paren, exp.And, exp.Or, exp.Not, exp.EQ, exp.LT, exp.LTE, exp.GTE, exp.Is, exp.Null,
        exp.Boolean, exp.In, exp.Placeholder, exp.Literal, exp.Case, exp.If, exp.Distinct, exp.Order, exp.Ordered,
        exp.Cast, exp.DataType, exp.DataTypeParam, exp.Exists, exp.Window, exp.RowNumber,
    }
)  # fmt: skip
"""Node classes that a printed statement may hold."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement to run.

    Args:
        parameters: values of the placeholders, in order.
        tables: the scans that s0, s1, … stand for.
    """

    sql: str
    parameters: tuple[int | str, ...]
    tables: tuple[algebra.Scan, ...]


def statement(relation: algebra.Relation, columns: tuple[int, ...], *, ordered: bool = True) -> Statement:
    """Print `relation` with these of its columns, ordered by unit."""
    printer = _Printer()
    body = printer.relation(relation)
    chosen = "".join(f', r."c{column}"' for column in columns)
    order = ' ORDER BY r."u"' if ordered else ""
    sql = f'SELECT r."u"{chosen} FROM ({body}) AS r{order}'  # noqa: S608 - names are ours, values are bound
    return Statement(sql, tuple(printer.parameters), tuple(printer.scans))


def keeps_order(relation: algebra.Relation) -> bool:
    """Return whether rows come out in the order of the one scan they come from (DuckDB preserves insertion order)."""
    match relation:
        case algebra.Scan():
            return True
        case algebra.Select(source=source):
            return keeps_order(source)
        case _:
            return False


def read_again(printed: Statement, connection: duckdb.DuckDBPyConnection) -> None:
    """Read a printed statement with both parsers and compare it with the plan.

    Raises:
        InvariantBroken: not one SELECT, other tables, or a node that we never print.
    """
    expected = {f"s{number}" for number in range(len(printed.tables))}
    try:
        trees = sqlglot.parse(printed.sql, read="duckdb")
    except (SqlglotError, RecursionError):
        raise InvariantBroken("printed SQL cannot be read again") from None
    if len(trees) != 1 or not isinstance(trees[0], exp.Select):
        raise InvariantBroken("printed SQL is not one SELECT")
    for node in trees[0].walk():
        if type(node) not in PRINTED:
            raise InvariantBroken(f"printed SQL holds {type(node).__name__}")
    tables = {table.name for table in trees[0].find_all(exp.Table)}
    # DuckDB names the tables of a statement without parameters only; each "?" of ours is one.
    without_parameters = printed.sql.replace("?", "NULL")
    seen = connection.get_table_names(without_parameters)
    if len(connection.extract_statements(printed.sql)) != 1 or tables != expected or seen != expected:
        raise InvariantBroken("printed SQL reads other tables than the plan")


@dataclass
class _Printer:
    parameters: list[int | str] = field(default_factory=list)
    scans: list[algebra.Scan] = field(default_factory=list)

    def relation(self, node: algebra.Relation) -> str:
        match node:
            case algebra.Scan(columns=columns):
                name = f"s{len(self.scans)}"
                self.scans.append(node)
                listed = "".join(f', t."c{place}"' for place in range(len(columns)))
                return f'SELECT t."u"{listed} FROM "{name}" AS t'  # noqa: S608
            case algebra.Select(source=source, predicate=predicate, columns=columns):
                body = self.relation(source)
                listed = "".join(f', t."c{column}" AS "c{place}"' for place, column in enumerate(columns))
                where = "" if predicate is algebra.Truth.TRUE else f" WHERE {self.predicate(predicate)}"
                return f'SELECT t."u"{listed} FROM ({body}) AS t{where}'  # noqa: S608
            case algebra.Join(left=left, right=right):
                first, second = self.relation(left), self.relation(right)
                width = algebra.column_count(left)
                listed = "".join(f', a."c{place}" AS "c{place}"' for place in range(width))
                listed += "".join(
                    f', b."c{place}" AS "c{width + place}"' for place in range(algebra.column_count(right))
                )
                return f'SELECT a."u"{listed} FROM ({first}) AS a INNER JOIN ({second}) AS b ON a."u" = b."u"'  # noqa: S608
            case algebra.Semi(source=source, other=other):
                first, second = self.relation(source), self.relation(other)
                listed = "".join(f', a."c{place}"' for place in range(algebra.column_count(source)))
                inner = f'SELECT b."u" FROM ({second}) AS b WHERE b."u" = a."u"'  # noqa: S608
                return f'SELECT a."u"{listed} FROM ({first}) AS a WHERE EXISTS ({inner})'  # noqa: S608
            case algebra.FirstRows(source=source, most=most):
                body = self.relation(source)
                names = [f't."c{place}"' for place in range(algebra.column_count(source))]
                order = f" ORDER BY {', '.join(names)}" if names else ""
                listed = "".join(f", {name}" for name in names)
                number = f'ROW_NUMBER() OVER (PARTITION BY t."u"{order}) AS "place"'
                inner = f'SELECT t."u"{listed}, {number} FROM ({body}) AS t'  # noqa: S608
                kept = "".join(f', n."c{place}"' for place in range(len(names)))
                return f'SELECT n."u"{kept} FROM ({inner}) AS n WHERE n."place" <= {most}'  # noqa: S608
            case algebra.UnionAll(arms=arms):
                return " UNION ALL ".join(f"({self.arm(arm)})" for arm in arms)
            case algebra.Persons(source=source):
                return f'SELECT DISTINCT t."u" FROM ({self.relation(source)}) AS t'  # noqa: S608
        assert_never(node)

    def arm(self, arm: algebra.Arm) -> str:
        body = self.relation(arm.relation)
        listed = "".join(f", {_recoded(place, codes)}" for place, codes in enumerate(arm.recodes))
        return f'SELECT t."u"{listed} FROM ({body}) AS t'  # noqa: S608

    def predicate(self, node: algebra.Predicate) -> str:
        match node:
            case algebra.Truth():
                return f"CAST({node.value} AS BOOLEAN)"
            case algebra.InRange(column=column, lower=lower, upper=upper):
                ends = [f't."c{column}" >= {self.bind(lower)}'] if lower is not None else []
                ends += [f't."c{column}" <= {self.bind(upper)}'] if upper is not None else []
                return f"({' AND '.join(ends)})" if ends else f"({_known(column)})"
            case algebra.InSet(column=column, codes=codes):
                return self.listed(column, codes)
            case algebra.TextIn(column=column, values=values):
                return self.listed(column, values)
            case algebra.IsNull(column=column):
                return f'(t."c{column}" IS NULL)'
            case algebra.CompareColumns(comparison=comparison, left=left, right=right):
                return f'(t."c{left}" {comparison.value} t."c{right}")'
            case algebra.And(items=items):
                return f"({' AND '.join(self.predicate(item) for item in items)})"
            case algebra.Or(items=items):
                return f"({' OR '.join(self.predicate(item) for item in items)})"
            case algebra.Not(item=item):
                return f"(NOT {self.predicate(item)})"
        assert_never(node)

    def listed(self, column: int, values: tuple[int, ...] | tuple[str, ...]) -> str:
        if not values:
            # Never equal, and NULL for NULL: IN () is not SQL.
            return f'(CASE WHEN t."c{column}" IS NULL THEN NULL ELSE FALSE END)'
        return f'(t."c{column}" IN ({", ".join(self.bind(value) for value in values)}))'

    def bind(self, value: int | str) -> str:
        if isinstance(value, int) and abs(value) >= 1 << 62:
            raise InvariantBroken("a literal beyond 62 bits")
        self.parameters.append(value)
        return "CAST(? AS BIGINT)" if isinstance(value, int) else "CAST(? AS VARCHAR)"


def _known(column: int) -> str:
    return f'CASE WHEN t."c{column}" IS NULL THEN NULL ELSE TRUE END'


def _recoded(place: int, codes: tuple[int, ...] | None) -> str:
    if codes is None:
        return f't."c{place}" AS "c{place}"'
    cases = " ".join(f'WHEN t."c{place}" = {old} THEN {new}' for old, new in enumerate(codes))
    return f'CASE {cases} END AS "c{place}"'
