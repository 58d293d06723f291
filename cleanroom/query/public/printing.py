"""Print a public relation as SQL: of each column its value, its 95 % margin, and whether a withheld cell is behind it.

Column i is v{i}, m{i}, s{i}. Margins follow the linear rule of error propagation (S35): independent noise adds up in
squares, noise that may be shared adds up straight, so a margin is at most too wide; where no rule is known it is NULL.
Names are ours and constants are bound, as in `duckdb_sql`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, assert_never

from cleanroom.errors import Refused
from cleanroom.query.public import language as p
from cleanroom.query.public.printed import NO_FLAG, NO_MARGIN, Triple, held
from cleanroom.query.refusals import refusal
from cleanroom.query.terms.types import LONGEST_TEXT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date
    from decimal import Decimal

    Bind = Callable[[Decimal | str | date, p.Kind], str]

_COUNTING: Final = frozenset({p.Ranking.LAG, p.Ranking.LEAD, p.Ranking.NTH_VALUE})
_DAY_PARTS: Final = frozenset(
    {
        p.Op.YEAR,
        p.Op.MONTH,
        p.Op.QUARTER,
        p.Op.DAY,
        p.Op.DAY_OF_WEEK,
        p.Op.ISO_DAY_OF_WEEK,
        p.Op.WEEK,
        p.Op.DAY_OF_YEAR,
    }
)

MAX_PRINTED: Final = 1 << 20
"""Characters of a statement: a margin holds the values that it is of, so expressions print longer than they are."""


@dataclass(frozen=True, slots=True)
class PublicStatement:
    """A statement to run over registered tables.

    Args:
        releases: the numbers of the releases that t0, t1, … stand for.
        references: the public tables that r0, r1, … stand for.
    """

    sql: str
    parameters: tuple[float | str | date, ...]
    releases: tuple[int, ...]
    references: tuple[p.ReferenceRows, ...]


def public_statement(relation: p.PublicRelation) -> PublicStatement:
    """Print `relation`; its rows come in its order, or in the order of its values where it has none."""
    printer = _Printer()
    body = printer.relation(relation)
    width = len(relation.columns)
    ordered = isinstance(relation, p.PublicSelect) and bool(relation.order)
    values = ", ".join(f'q."v{place}"' for place in range(width))
    order = 'q."place"' if ordered else values
    listed = ", ".join(f'q."v{i}", q."m{i}", q."s{i}"' for i in range(width))
    sql = f"SELECT {listed} FROM ({body}) AS q ORDER BY {order}"  # noqa: S608 - names are ours, values are bound
    return PublicStatement(sql, tuple(printer.parameters), tuple(printer.releases), tuple(printer.references))


@dataclass
class _Printer:
    parameters: list[float | str | date] = field(default_factory=list)
    releases: list[int] = field(default_factory=list)
    references: list[p.ReferenceRows] = field(default_factory=list)

    def relation(self, node: p.PublicRelation) -> str:
        return _short(self.text(node))

    def text(self, node: p.PublicRelation) -> str:
        """Print a relation of any length."""
        match node:
            case p.ReleaseTable(release=release, columns=columns):
                name = f"t{len(self.releases)}"
                self.releases.append(release)
                return f'SELECT {_all("x", len(columns))} FROM "{name}" AS x'  # noqa: S608
            case p.ReferenceRows(columns=columns):
                name = f"r{len(self.references)}"
                self.references.append(node)
                return f'SELECT {_all("x", len(columns))} FROM "{name}" AS x'  # noqa: S608
            case p.PublicJoin():
                return self.join(node)
            case p.PublicSelect():
                return self.select(node)
            case p.PublicSet(kind=kind, arms=arms):
                word = f" {kind.value} "
                return word.join(f"({self.relation(arm)})" for arm in arms)
        assert_never(node)

    def join(self, node: p.PublicJoin) -> str:
        width = len(node.left.columns)
        listed = _all("a", width) + _all("b", len(node.right.columns), first=width, comma=True)
        left, right = self.relation(node.left), self.relation(node.right)

        def column(index: int) -> Triple:
            if index < width:
                return held("a", node.left, index)
            return held("b", node.right, index - width)

        on = self.term(node.condition, column).value
        return f"SELECT {listed} FROM ({left}) AS a {node.kind.value} JOIN ({right}) AS b ON {on}"  # noqa: S608

    def select(self, node: p.PublicSelect) -> str:
        def column(index: int) -> Triple:
            return held("x", node.source, index)

        triples = [self.term(term, column) for term in node.outputs]
        listed = ", ".join(
            f'{each.value} AS "v{i}", {each.margin_or_null} AS "m{i}", {each.flag} AS "s{i}"'
            for i, each in enumerate(triples)
        )
        orders = [self.term(each.term, column).value for each in node.order] if not node.distinct else []
        hidden = "".join(f', {each} AS "o{i}"' for i, each in enumerate(orders))
        source = self.relation(node.source)
        where = f" WHERE {self.term(node.where, column).value}" if node.where is not None else ""
        group = ""
        if node.groups:
            group = f" GROUP BY {', '.join(self.grouped(each, column) for each in node.groups)}"
        having = f" HAVING {self.term(node.having, column).value}" if node.having is not None else ""
        word = "DISTINCT " if node.distinct else ""
        body = f"SELECT {word}{listed}{hidden} FROM ({source}) AS x{where}{group}{having}"  # noqa: S608
        if not node.order and node.limit is None and not node.offset:
            return body
        return self.sorted(node, body, len(triples))

    def grouped(self, term: p.Ref, column: Callable[[int], Triple]) -> str:
        """Print a key with all three of its columns, so that the SELECT list may show them."""
        triple = self.term(term, column)
        return f"{triple.value}, {triple.margin_or_null}, {triple.flag}"

    def sorted(self, node: p.PublicSelect, body: str, width: int) -> str:
        values = [f'y."v{i}"' for i in range(width)]
        by = []
        for i, each in enumerate(node.order):
            name = f'y."o{i}"'
            if node.distinct and isinstance(each.term, p.Ref):
                name = f'y."v{each.term.index}"'
            nulls = "FIRST" if each.nulls_first else "LAST"
            by.append(f"{name} {'DESC' if each.descending else 'ASC'} NULLS {nulls}")
        # What ties is put in the order of the values, so that the answer is a function of released numbers alone.
        order = ", ".join([*by, *values])
        place = f'ROW_NUMBER() OVER (ORDER BY {order}) AS "place"'
        last = "" if node.limit is None else f' AND z."place" <= {node.offset + node.limit}'
        return (
            f'SELECT {_all("z", width)}, z."place" FROM (SELECT {_all("y", width)}, {place} FROM ({body}) AS y) AS z '  # noqa: S608
            f'WHERE z."place" > {node.offset}{last}'
        )

    # Terms

    def term(self, term: p.PublicTerm, column: Callable[[int], Triple]) -> Triple:
        made = self.triple(term, column)
        _short(made.value, made.margin or "", made.flag)
        return made

    def triple(self, term: p.PublicTerm, column: Callable[[int], Triple]) -> Triple:
        """Print a term of any length."""
        match term:
            case p.Ref(index=index):
                return column(index)
            case p.Value(value=value, kind=kind):
                return Triple(self.constant(value, kind), None, NO_FLAG)
            case p.Case(branches=branches, otherwise=otherwise, kind=kind):
                parts = [(self.term(when, column), self.term(then, column)) for when, then in branches]
                last = self.term(otherwise, column)
                whens = [(when.value, then) for when, then in parts]
                return Triple(
                    _case([(when, then.value) for when, then in whens], last.value, kind.value),
                    _case([(when, then.margin_or_null) for when, then in whens], last.margin_or_null, "DOUBLE")
                    if term.behind
                    else None,
                    _any([*(when.flag for when, _ in parts), *(then.flag for _, then in parts), last.flag]),
                )
            case p.Call():
                return self.call(term, [self.term(each, column) for each in term.arguments])
            case p.Folded():
                return self.folded(term, column)
            case p.Ranked():
                return self.ranked(term, column)
        assert_never(term)

    def constant(self, value: object, kind: p.Kind) -> str:
        if value is None:
            return f"CAST(NULL AS {kind.value})"
        if isinstance(value, bool):
            return f"CAST({str(value).upper()} AS BOOLEAN)"
        self.parameters.append(float(value) if kind is p.Kind.NUMBER else value)  # type: ignore[arg-type]
        # By number, since a margin names its value again.
        return f"CAST(${len(self.parameters)} AS {kind.value})"

    def call(self, term: p.Call, parts: list[Triple]) -> Triple:
        values = [each.value for each in parts]
        noisy = [each.margin for each in parts if each.margin is not None]
        flag = _any([each.flag for each in parts])
        margin = _margin(term, parts, noisy) if term.behind else None
        return Triple(_value(term.op, values), margin, flag)

    def folded(self, term: p.Folded, column: Callable[[int], Triple]) -> Triple:
        item = self.term(term.item, column) if term.item is not None else None
        where = f" FILTER (WHERE {self.term(term.where, column).value})" if term.where is not None else ""
        over = f"{where}{self.over(term.window, column)}" if term.window is not None else where
        if item is None:
            return Triple(f"CAST(COUNT(*){over} AS DOUBLE)", None, NO_FLAG)
        flag = f"COALESCE(BOOL_OR({item.flag}){over}, FALSE)"
        if term.fold in {p.Fold.COUNT, p.Fold.COUNT_IF}:
            word = "DISTINCT " if term.distinct else ""
            return Triple(f"CAST({term.fold.value.upper()}({word}{item.value}){over} AS DOUBLE)", None, flag)
        value = f"{term.fold.value.upper()}({item.value}){over}"
        if item.margin is None or not term.behind:
            return Triple(value, None, flag)
        spread = f"SQRT(SUM({item.margin} * {item.margin}){over})" if term.once else f"SUM({item.margin}){over}"
        match term.fold:
            case p.Fold.SUM:
                return Triple(value, spread, flag)
            case p.Fold.AVG:
                return Triple(value, f"({spread} / NULLIF(COUNT({item.value}){over}, 0))", flag)
            case _:
                return Triple(value, NO_MARGIN, flag)

    def ranked(self, term: p.Ranked, column: Callable[[int], Triple]) -> Triple:
        item = self.term(term.item, column) if term.item is not None else None
        over = self.over(term.window, column)
        name = term.ranking.value.upper()
        if item is None:
            parts = str(term.offset) if term.ranking is p.Ranking.NTILE else ""
            return Triple(f"CAST({name}({parts}){over} AS DOUBLE)", None, NO_FLAG)
        default = self.term(term.default, column) if term.default is not None else None
        away = f", {term.offset}" if term.ranking in _COUNTING else ""
        end = f"){over}"
        other = f", {default.value}" if default is not None else ""
        margin = None
        if item.margin is not None or (default is not None and default.margin is not None):
            spread = f", {default.margin_or_null}" if default is not None else ""
            margin = f"{name}({item.margin_or_null}{away}{spread}{end}"
        flags = _any([f"COALESCE({name}({item.flag}{away}{end}, FALSE)", *([default.flag] if default else [])])
        return Triple(f"{name}({item.value}{away}{other}{end}", margin, flags)

    def over(self, window: p.PublicWindow, column: Callable[[int], Triple]) -> str:
        parts = []
        if window.partition:
            parts.append("PARTITION BY " + ", ".join(self.term(each, column).value for each in window.partition))
        if window.order:
            order = [
                f"{self.term(each.term, column).value} {'DESC' if each.descending else 'ASC'} "
                f"NULLS {'FIRST' if each.nulls_first else 'LAST'}"
                for each in window.order
            ]
            parts.append("ORDER BY " + ", ".join(order))
        if window.frame is not None:
            unit = "RANGE" if window.frame.peers else "ROWS"
            start, end = _end(window.frame.start, "PRECEDING"), _end(window.frame.end, "FOLLOWING")
            parts.append(f"{unit} BETWEEN {start} AND {end}")
        return f" OVER ({' '.join(parts)})"


def _short(*texts: str) -> str:
    """Return a text, the first of some that together are no longer than a statement may be.

    Raises:
        Refused: they are longer; each step at most adds up what the steps before it made, so work stays bounded.
    """
    if sum(map(len, texts)) > MAX_PRINTED:
        raise Refused((refusal("statement_too_long", limit=MAX_PRINTED),))
    return texts[0]


def _all(name: str, width: int, *, first: int = 0, comma: bool = False) -> str:
    listed = ", ".join(
        f'{name}."{letter}{place}" AS "{letter}{first + place}"' for place in range(width) for letter in "vms"
    )
    return f", {listed}" if comma and listed else listed


def _case(branches: Sequence[tuple[str, str]], otherwise: str, kind: str) -> str:
    whens = " ".join(f"WHEN {when} THEN {then}" for when, then in branches)
    return f"CAST(CASE {whens} ELSE {otherwise} END AS {kind})"


def _any(flags: Sequence[str]) -> str:
    kept = [flag for flag in dict.fromkeys(flags) if flag != NO_FLAG]
    return f"({' OR '.join(kept)})" if kept else NO_FLAG


def _end(offset: int | None, open_end: str) -> str:
    if offset is None:
        return f"UNBOUNDED {open_end}"
    return "CURRENT ROW" if offset == 0 else f"{abs(offset)} {'PRECEDING' if offset < 0 else 'FOLLOWING'}"


def _value(op: p.Op, values: list[str]) -> str:
    a, b = values[0], values[1] if len(values) > 1 else ""
    match op:
        case p.Op.ADD | p.Op.SUBTRACT | p.Op.MULTIPLY | p.Op.EQUAL | p.Op.LESS | p.Op.LESS_OR_EQUAL:
            return f"({a} {op.value} {b})"
        case p.Op.DIVIDE | p.Op.REMAINDER:
            return f"({a} {op.value} NULLIF({b}, 0))"
        case p.Op.NEGATE:
            return f"(-{a})"
        case p.Op.SQRT:
            return f"SQRT(CASE WHEN {a} >= 0 THEN {a} ELSE NULL END)"
        case p.Op.AND | p.Op.OR:
            return f"({f' {op.value.upper()} '.join(values)})"
        case p.Op.NOT:
            return f"(NOT {a})"
        case p.Op.IS_NULL:
            return f"({a} IS NULL)"
        case p.Op.LIKE:
            return f"({a} LIKE {b})"
        case p.Op.CONCAT:
            # Cut, or `k || k` of `k || k` of … would double at every step.
            return f"LEFT({a} || {b}, {LONGEST_TEXT})"
        case p.Op.ROUND:
            return f"ROUND({a}, CAST({b} AS INTEGER))" if b else f"ROUND({a})"
        case p.Op.LEFT | p.Op.RIGHT:
            return f"{op.value.upper()}({a}, CAST({b} AS BIGINT))"
        case p.Op.ILIKE:
            return f"({a} ILIKE {b})"
        case p.Op.LN | p.Op.LOG10:
            return f"{op.value.upper()}(CASE WHEN {a} > 0 THEN {a} ELSE NULL END)"
        case p.Op.EXP:
            # Above this, a number that no reader can tell from infinity.
            return f"EXP(CASE WHEN {a} < 700 THEN {a} ELSE NULL END)"
        case p.Op.WHOLE_DIVIDE:
            return f"TRUNC({a} / NULLIF({b}, 0))"
        case p.Op.SIGN | p.Op.LENGTH:
            return f"CAST({op.value.upper()}({a}) AS DOUBLE)"
        case _ if op in _DAY_PARTS:
            return f"CAST({op.value.upper()}({a}) AS DOUBLE)"
        case _:
            return f"{op.value.upper()}({', '.join(values)})"


def _margin(term: p.Call, parts: list[Triple], noisy: list[str]) -> str:
    """Return the margin of a function of noised numbers (S35)."""
    a = parts[0]
    b = parts[1] if len(parts) > 1 else None
    match term.op:
        case p.Op.ADD | p.Op.SUBTRACT | p.Op.GREATEST | p.Op.LEAST:
            return _together(noisy, apart=term.apart and term.op in {p.Op.ADD, p.Op.SUBTRACT})
        case p.Op.NEGATE | p.Op.ABS | p.Op.ROUND | p.Op.FLOOR | p.Op.CEIL:
            return noisy[0]
        case p.Op.MULTIPLY if b is not None:
            sides = [f"ABS({b.value}) * {a.margin}"] if a.margin is not None else []
            sides += [f"ABS({a.value}) * {b.margin}"] if b.margin is not None else []
            return _together(sides, apart=term.apart)
        case p.Op.DIVIDE if b is not None:
            sides = [f"ABS({a.margin} / NULLIF({b.value}, 0))"] if a.margin is not None else []
            if b.margin is not None:
                sides.append(f"ABS({a.value} * {b.margin} / NULLIF({b.value} * {b.value}, 0))")
            return _together(sides, apart=term.apart)
        case p.Op.SQRT:
            return f"({noisy[0]} / NULLIF(2 * {_value(p.Op.SQRT, [a.value])}, 0))"
        case p.Op.TRUNC:
            return noisy[0]
        case p.Op.LN:
            return f"ABS({noisy[0]} / NULLIF({a.value}, 0))"
        case _:
            return NO_MARGIN


def _together(margins: list[str], *, apart: bool) -> str:
    if len(margins) == 1:
        return f"({margins[0]})"
    if apart:
        # Each is written once: written twice, a margin of a margin of … would double at every step.
        return f"SQRT({' + '.join(f'POW({each}, 2)' for each in margins)})"
    return f"({' + '.join(margins)})"
