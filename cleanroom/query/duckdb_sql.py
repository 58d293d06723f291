"""Print a plan's relation as SQL for DuckDB: our plan, our names, literals as bound parameters.

Nothing that a person typed is printed. Tables are s0, s1, … (the scans in order), columns c0, c1, …, the unit is u.
Every per-person operation contains u (S14); IN, EXISTS, INTERSECT and EXCEPT are semi- and anti-joins on u (S16); an
outer join's u is COALESCE of both sides', so it is never NULL. What is printed is read once more (`duckdb_reading`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, assert_never

from cleanroom.errors import Refused
from cleanroom.query import algebra
from cleanroom.query.duckdb_person import grouped, windowed
from cleanroom.query.refusals import refusal
from cleanroom.query.terms.duckdb_terms import Parameter, placeholder, printed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from cleanroom.query.terms.language import Term

MAX_PRINTED: Final = 1 << 18
"""Characters of a statement."""

MAX_CALLS: Final = 850
"""Calls within each other that reading a statement again may take, of the thousand that Python gives a thread."""

_OF_SELECT, _OF_BRACKET = 16, 26
"""Calls that sqlglot 30 nests for a subquery in FROM, and for any other bracket, function or CASE (measured)."""

_BRACKETS: Final = re.compile(r"\(SELECT\b|\(|\)|\bCASE\b|\bEND\b")


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


def require_printable(relation: algebra.Relation) -> None:
    """Refuse a relation whose statement would be too long, or too deep for the recursive parser that reads it again.

    Raises:
        Refused: before anything is charged; what was admitted and cannot be read would else be paid for nothing.
    """
    printed_text = statement(relation, ()).sql
    if len(printed_text) > MAX_PRINTED:
        raise Refused((refusal("statement_too_long", limit=MAX_PRINTED),))
    if calls_to_read(printed_text) > MAX_CALLS:
        raise Refused((refusal("nested_too_deep"),))


def calls_to_read(text: str) -> int:
    """Return how many calls deep sqlglot goes to read a text of ours, rounded up: so many for each bracket and CASE."""
    open_calls: list[int] = []
    depth = deepest = 0
    for found in _BRACKETS.finditer(text):
        word = found.group()
        if word in {")", "END"}:
            depth -= open_calls.pop()
            continue
        open_calls.append(_OF_SELECT if word == "(SELECT" else _OF_BRACKET)
        depth += open_calls[-1]
        deepest = max(deepest, depth)
    return deepest


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
