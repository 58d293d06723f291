"""Print a plan's relation as SQL for DuckDB: our plan, our names, literals as bound parameters.

Nothing that a person typed is printed. Tables are s0, s1, … (the scans in order), columns c0, c1, …, the unit is u.
Every per-person operation contains u (S14); IN, EXISTS, INTERSECT and EXCEPT are semi- and anti-joins on u (S16); an
outer join's u is COALESCE of both sides', so it is never NULL. What is printed is read once
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
from cleanroom.query.duckdb_person import grouped, windowed
from cleanroom.query.terms.duckdb_terms import PRINTED_TERMS, Parameter, may_print, placeholder, printed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import duckdb

    from cleanroom.query.terms.language import Term

PRINTED: Final = PRINTED_TERMS | {
    exp.Select, exp.From, exp.Table, exp.TableAlias, exp.Subquery, exp.Identifier, exp.Column, exp.Alias, exp.Where,
    exp.Join, exp.Union, exp.Paren, exp.And, exp.Or, exp.Not, exp.EQ, exp.LT, exp.LTE, exp.GTE, exp.Is, exp.Null,
    exp.Boolean, exp.In, exp.Placeholder, exp.Literal, exp.Case, exp.If, exp.Distinct, exp.Order, exp.Ordered,
    exp.Cast, exp.DataType, exp.DataTypeParam, exp.Exists, exp.Window, exp.WindowSpec, exp.RowNumber, exp.Rank,
    exp.DenseRank, exp.Lag, exp.Lead, exp.FirstValue, exp.LastValue, exp.Group, exp.Count, exp.Sum, exp.Min, exp.Max,
    exp.LogicalAnd, exp.LogicalOr, exp.First, exp.Last, exp.Filter, exp.Star, exp.Coalesce, exp.TryCast, exp.IntDiv,
    exp.Mul, exp.Nullif,
}  # fmt: skip
"""Node classes that a printed statement may hold."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement to run.

    Args:
        parameters: values of the placeholders, in order.
        tables: the scans that s0, s1, … stand for.
        public: the public tables that r0, r1, … stand for.
    """

    sql: str
    parameters: tuple[Parameter, ...]
    tables: tuple[algebra.Scan, ...]
    public: tuple[algebra.PublicTable, ...]


def statement(relation: algebra.Relation, columns: tuple[int, ...], *, ordered: bool = True) -> Statement:
    """Print `relation` with these of its columns, ordered by unit."""
    printer = _Printer()
    body = printer.relation(relation)
    chosen = "".join(f', r."c{column}"' for column in columns)
    order = ' ORDER BY r."u"' if ordered else ""
    sql = f'SELECT r."u"{chosen} FROM ({body}) AS r{order}'  # noqa: S608 - names are ours, values are bound
    return Statement(sql, tuple(printer.parameters), tuple(printer.scans), tuple(printer.public))


def keeps_order(relation: algebra.Relation) -> bool:
    """Return whether rows come out in the order of the one scan they come from (DuckDB preserves insertion order)."""
    match relation:
        case algebra.Scan():
            return True
        case algebra.Select(source=source) | algebra.Project(source=source):
            return keeps_order(source)
        case _:
            return False


def read_again(made: Statement, connection: duckdb.DuckDBPyConnection) -> None:
    """Read a printed statement with both parsers and compare it with the plan.

    Raises:
        InvariantBroken: not one SELECT, other tables, or a node that we never print.
    """
    expected = {f"s{number}" for number in range(len(made.tables))}
    expected |= {f"r{number}" for number in range(len(made.public))}
    try:
        trees = sqlglot.parse(made.sql, read="duckdb")
    except (SqlglotError, RecursionError):
        raise InvariantBroken("printed SQL cannot be read again") from None
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


@dataclass
class _Printer:
    parameters: list[Parameter] = field(default_factory=list)
    scans: list[algebra.Scan] = field(default_factory=list)
    public: list[algebra.PublicTable] = field(default_factory=list)

    def relation(self, node: algebra.Relation) -> str:
        match node:
            case algebra.Scan(columns=columns):
                name = f"s{len(self.scans)}"
                self.scans.append(node)
                return f'SELECT t."u"{_listed("t", range(len(columns)))} FROM "{name}" AS t'  # noqa: S608
            case algebra.Select(source=source, predicate=predicate, columns=columns):
                body = self.relation(source)
                where = "" if predicate is algebra.Truth.TRUE else f" WHERE {self.predicate(predicate)}"
                return f'SELECT t."u"{_listed("t", columns)} FROM ({body}) AS t{where}'  # noqa: S608
            case algebra.Project(source=source, terms=terms):
                listed = "".join(f', {self.term(term)} AS "c{place}"' for place, term in enumerate(terms))
                return f'SELECT t."u"{listed} FROM ({self.relation(source)}) AS t'  # noqa: S608
            case algebra.Join():
                return self.join(node)
            case algebra.Semi(source=source, other=other, negated=negated, condition=condition):
                body = self.relation(source)
                width = algebra.column_count(source)
                listed = _listed("a", range(width))
                exists = self.exists(other, condition, width)
                return f'SELECT a."u"{listed} FROM ({body}) AS a WHERE {"NOT " * negated}{exists}'  # noqa: S608
            case algebra.Mark(source=source, other=other, condition=condition):
                width = algebra.column_count(source)
                exists = self.exists(other, condition, width)
                listed = _listed("a", range(width))
                return f'SELECT a."u"{listed}, {exists} AS "c{width}" FROM ({self.relation(source)}) AS a'  # noqa: S608
            case algebra.FirstRows(source=source, most=most):
                names = [f't."c{place}"' for place in range(algebra.column_count(source))]
                order = f" ORDER BY {', '.join(names)}" if names else ""
                listed = "".join(f", {name}" for name in names)
                number = f'ROW_NUMBER() OVER (PARTITION BY t."u"{order}) AS "place"'
                inner = f'SELECT t."u"{listed}, {number} FROM ({self.relation(source)}) AS t'  # noqa: S608
                return f'SELECT n."u"{_listed("n", range(len(names)))} FROM ({inner}) AS n WHERE n."place" <= {most}'  # noqa: S608
            case algebra.UnionAll(arms=arms):
                return " UNION ALL ".join(f"({self.arm(arm)})" for arm in arms)
            case algebra.Persons(source=source):
                return f'SELECT DISTINCT t."u" FROM ({self.relation(source)}) AS t'  # noqa: S608
            case algebra.Distinct(source=source):
                listed = _listed("t", range(algebra.column_count(source)))
                return f'SELECT DISTINCT t."u"{listed} FROM ({self.relation(source)}) AS t'  # noqa: S608
            case algebra.GroupPerson(source=source):
                return grouped(node, self.term, lambda: self.relation(source))
            case algebra.Window(source=source):
                return windowed(node, self.term, lambda: self.relation(source))
            case algebra.JoinPublic():
                return self.join_public(node)
        assert_never(node)

    def join(self, node: algebra.Join) -> str:
        width, other = algebra.column_count(node.left), algebra.column_count(node.right)
        first, second = self.relation(node.left), self.relation(node.right)
        listed = _listed("a", range(width))
        listed += "".join(f', b."c{place}" AS "c{width + place}"' for place in range(other))
        sides = [name for name, absent in (("a", node.kind.keeps_right), ("b", node.kind.keeps_left)) if absent]
        listed += "".join(f', ({name}."u" IS NOT NULL) AS "c{width + other + at}"' for at, name in enumerate(sides))
        unit = 'a."u"' if node.kind is algebra.JoinKind.INNER else 'COALESCE(a."u", b."u") AS "u"'
        on = self.met(node.condition, width)
        return f"SELECT {unit}{listed} FROM ({first}) AS a {node.kind.value} JOIN ({second}) AS b ON {on}"  # noqa: S608

    def join_public(self, node: algebra.JoinPublic) -> str:
        width = algebra.column_count(node.source)
        listed = _listed("a", range(width))
        listed += "".join(f', b."c{place}" AS "c{width + place}"' for place in range(len(node.table.columns)))
        body = self.relation(node.source)
        name = f"r{len(self.public)}"
        self.public.append(node.table)
        on = self.term(node.condition, _sides(width))
        kind = "LEFT" if node.outer else "INNER"
        return f'SELECT a."u"{listed} FROM ({body}) AS a {kind} JOIN "{name}" AS b ON {on}'  # noqa: S608

    def exists(self, other: algebra.Relation, condition: Term | None, width: int) -> str:
        body = self.relation(other)
        return f'EXISTS (SELECT b."u" FROM ({body}) AS b WHERE {self.met(condition, width)})'  # noqa: S608

    def met(self, condition: Term | None, width: int) -> str:
        """Print that two rows are of one unit, and what must hold besides."""
        besides = "" if condition is None else f" AND {self.term(condition, _sides(width))}"
        return f'b."u" = a."u"{besides}'

    def term(self, term: Term, column: Callable[[int], str] = lambda index: f't."c{index}"') -> str:
        return f"({printed(term, self.bound, column)})"

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
            case algebra.Holds(term=term):
                return self.term(term)
        assert_never(node)

    def listed(self, column: int, values: tuple[int, ...] | tuple[str, ...]) -> str:
        if not values:
            # Never equal, and NULL for NULL: IN () is not SQL.
            return f'(CASE WHEN t."c{column}" IS NULL THEN NULL ELSE FALSE END)'
        return f'(t."c{column}" IN ({", ".join(self.bind(value) for value in values)}))'

    def bind(self, value: int | str) -> str:
        return self.bound(value)

    def bound(self, value: Parameter) -> str:
        """Keep a value for the next placeholder of the text."""
        self.parameters.append(value)
        return placeholder(value)


def _listed(name: str, columns: Iterable[int]) -> str:
    """Return these columns of `name` as c0, c1, …"""
    return "".join(
        f', {name}."c{column}"' + (f' AS "c{place}"' if place != column else "") for place, column in enumerate(columns)
    )


def _sides(width: int) -> Callable[[int], str]:
    """Return how the columns of two sides are named, those of the left first."""
    return lambda index: f'a."c{index}"' if index < width else f'b."c{index - width}"'


def _known(column: int) -> str:
    return f'CASE WHEN t."c{column}" IS NULL THEN NULL ELSE TRUE END'


def _recoded(place: int, codes: tuple[int, ...] | None) -> str:
    if codes is None:
        return f't."c{place}" AS "c{place}"'
    cases = " ".join(f'WHEN t."c{place}" = {old} THEN {new}' for old, new in enumerate(codes))
    return f'CASE {cases} END AS "c{place}"'
