"""Bind terms over released and public tables: typed, and total, so that nothing fails after it was paid."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from cleanroom.identifiers import fold
from cleanroom.query.binding.asking import near
from cleanroom.query.binding.public_constants import Bound, as_kind, constant, constant_of, written_as
from cleanroom.query.binding.public_windows import window
from cleanroom.query.public import language as p
from cleanroom.query.public.language import Kind, Op

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cleanroom.query.binding.asking import Asking

_NUMBERS: Final[dict[type[exp.Expr], Op]] = {
    exp.Add: Op.ADD, exp.Sub: Op.SUBTRACT, exp.Mul: Op.MULTIPLY, exp.Div: Op.DIVIDE, exp.Mod: Op.REMAINDER,
    exp.Neg: Op.NEGATE, exp.Abs: Op.ABS, exp.Floor: Op.FLOOR, exp.Ceil: Op.CEIL, exp.Sqrt: Op.SQRT,
}  # fmt: skip
_TEXTS: Final[dict[type[exp.Expr], Op]] = {
    exp.Lower: Op.LOWER, exp.Upper: Op.UPPER, exp.DPipe: Op.CONCAT, exp.Like: Op.LIKE,
}  # fmt: skip
_COMPARED: Final[dict[type[exp.Expr], tuple[Op, bool, bool]]] = {
    exp.EQ: (Op.EQUAL, False, False),
    exp.NEQ: (Op.EQUAL, False, True),
    exp.LT: (Op.LESS, False, False),
    exp.LTE: (Op.LESS_OR_EQUAL, False, False),
    exp.GT: (Op.LESS, True, False),
    exp.GTE: (Op.LESS_OR_EQUAL, True, False),
}
"""Operator, whether its sides are exchanged, whether it is negated."""

_FOLDS: Final[dict[type[exp.Expr], p.Fold]] = {
    exp.Count: p.Fold.COUNT, exp.Sum: p.Fold.SUM, exp.Avg: p.Fold.AVG, exp.Min: p.Fold.MIN, exp.Max: p.Fold.MAX,
}  # fmt: skip
MAX_TERM: Final = 10_000
"""Nodes of a term written out in full."""


@dataclass(frozen=True, slots=True)
class PublicSource:
    """A public relation of a FROM clause.

    Args:
        first: where its columns begin among those of all sources.
    """

    label: str
    owner: str
    columns: tuple[p.PublicColumn, ...]
    first: int


@dataclass
class PublicScope:
    """Names over public rows.

    Args:
        replaced: nodes that stand for a column, by identity: keys and aggregates of the release below.
        folds: whether aggregates may be called.
        aliases: what labels of the same SELECT mean, where they may be used (HAVING, ORDER BY).
    """

    asking: Asking
    sources: list[PublicSource]
    replaced: Mapping[int, int] = field(default_factory=dict)
    folds: bool = False
    windows: bool = True
    aliases: Mapping[str, exp.Expr] = field(default_factory=dict)
    once: bool = True
    instead: Callable[[exp.Expr], Bound | None] | None = None

    @property
    def columns(self) -> list[p.PublicColumn]:
        """The columns of all sources."""
        return [column for source in self.sources for column in source.columns]

    def bind(self, node: exp.Expr) -> Bound | None:
        """Bind a term; None where it is refused, which is noted."""
        found = self.found(node)
        if found is not None and self.asking.public_size(found[0]) > MAX_TERM:
            self.asking.refuse("term_too_large", node, limit=MAX_TERM)
            return None
        return found

    def found(self, node: exp.Expr) -> Bound | None:
        """Bind a term of any size."""
        if id(node) in self.replaced:
            place = self.replaced[id(node)]
            return p.Ref(place), self.columns[place]
        if self.instead is not None:
            found = self.instead(node)
            if found is not None:
                return found
        kind = type(node)
        if isinstance(node, exp.Paren):
            return self.bind(node.this)
        if isinstance(node, exp.Column):
            return self.named(node)
        plain = constant(self.asking, node)
        if plain is not None:
            return plain
        if kind in _NUMBERS:
            return self.call(_NUMBERS[kind], node, Kind.NUMBER, Kind.NUMBER)
        if kind in _TEXTS:
            result = Kind.TRUTH if kind is exp.Like else Kind.TEXT
            return self.call(_TEXTS[kind], node, Kind.TEXT, result)
        if kind in _COMPARED:
            return self.compared(node)
        if kind in _FOLDS or kind is exp.Filter:
            return self.fold(node, None)
        match node:
            case exp.And() | exp.Or():
                return self.joined(node)
            case exp.Not():
                return self.call(Op.NOT, node, Kind.TRUTH, Kind.TRUTH)
            case exp.Is(expression=exp.Null()):
                inner = self.bind(node.this)
                return None if inner is None else self.made(Op.IS_NULL, [inner], Kind.TRUTH)
            case exp.Between():
                return self.between(node)
            case exp.In() if not node.args.get("query"):
                return self.one_of(node)
            case exp.Case():
                return self.case(node)
            case exp.If():
                return self.chosen([self.of_kind(node.this, Kind.TRUTH)], [node.args["true"]], node.args.get("false"))
            case exp.Coalesce() | exp.Least() | exp.Greatest():
                return self.several(node)
            case exp.Nullif():
                return self.nullif(node)
            case exp.Round():
                return self.round(node)
            case exp.Cast():
                return self.cast(node)
            case exp.Year() | exp.Month():
                return self.call(Op.YEAR if kind is exp.Year else Op.MONTH, node, Kind.DATE, Kind.NUMBER)
            case exp.Window():
                return window(self, node)
        self.asking.refuse("not_admitted", node, what=written_as(node))
        return None

    def named(self, node: exp.Column) -> Bound | None:
        if isinstance(node.this, exp.Star):
            self.asking.refuse("not_admitted", node, what="*")
            return None
        name, table = fold(str(node.name)), fold(str(node.table))
        owner = fold(str(node.args["db"].this)) if node.args.get("db") is not None else ""
        found = [
            (p.Ref(source.first + at), column)
            for source in self.sources
            if (not table or table == source.label) and (not owner or owner == source.owner)
            for at, column in enumerate(source.columns)
            if column.name == name and name
        ]
        if len(found) == 1:
            return found[0]
        shown = ".".join(part for part in (owner, table, name) if part)[:140]
        if found:
            self.asking.refuse("ambiguous_name", node, name=shown)
        elif not table and name in self.aliases:
            return replace(self, aliases={}).bind(self.aliases[name])
        else:
            known = [column.name for column in self.columns if column.name]
            self.asking.refuse("unknown_name", node, near(name, known), name=shown)
        return None

    # Calls

    def made(self, op: Op, parts: list[Bound], kind: Kind) -> Bound:
        """Put a call together, with what is behind it."""
        behinds = [column.behind for _, column in parts]
        behind: p.Behind = frozenset().union(*behinds)
        apart = sum(len(each) for each in behinds) == len(behind)
        call = p.Call(op, tuple(term for term, _ in parts), kind, behind, apart)
        return call, p.PublicColumn("", "", kind, behind if kind is Kind.NUMBER else frozenset())

    def call(self, op: Op, node: exp.Expr, wanted: Kind, result: Kind) -> Bound | None:
        arguments = [node.this, *([node.expression] if node.args.get("expression") is not None else [])]
        parts = [self.of_kind(each, wanted) for each in arguments]
        if any(part is None for part in parts):
            return None
        return self.made(op, [part for part in parts if part is not None], result)

    def joined(self, node: exp.And | exp.Or) -> Bound | None:
        """Bind AND or OR with all operands in a row, so that a long list is no deep term."""
        waiting: list[exp.Expr] = [node]
        parts: list[Bound | None] = []
        while waiting:
            each = waiting.pop()
            if type(each) is type(node):
                waiting += [each.expression, each.this]
            else:
                parts.append(self.of_kind(each, Kind.TRUTH))
        if any(part is None for part in parts):
            return None
        op = Op.AND if isinstance(node, exp.And) else Op.OR
        return self.made(op, [part for part in parts if part is not None], Kind.TRUTH)

    def of_kind(self, node: exp.Expr, wanted: Kind) -> Bound | None:
        """Bind a term of one kind; NULL and ISO texts take the kind that is asked for."""
        found = self.bind(node)
        if found is None:
            return None
        fitting = as_kind(found, wanted)
        if fitting is None:
            fr, en = found[1].kind.words
            self.asking.refuse("public_types", node, function=written_as(node), type_fr=fr, type_en=en)
        return fitting

    def alike(self, nodes: list[exp.Expr]) -> list[Bound] | None:
        """Bind terms of one kind, whichever it is."""
        parts = [self.bind(each) for each in nodes]
        if any(part is None for part in parts):
            return None
        found = [part for part in parts if part is not None]
        kind = next((column.kind for term, column in found if not isinstance(term, p.Value)), None)
        if kind is None:
            kind = next(
                (column.kind for term, column in found if isinstance(term, p.Value) and term.value is not None),
                Kind.NUMBER,
            )
        fitting = [as_kind(each, kind) for each in found]
        for node, each, before in zip(nodes, fitting, found, strict=True):
            if each is None:
                fr, en = before[1].kind.words
                self.asking.refuse("public_types", node, function=written_as(node), type_fr=fr, type_en=en)
                return None
        return [each for each in fitting if each is not None]

    def compared(self, node: exp.Expr) -> Bound | None:
        op, exchanged, negated = _COMPARED[type(node)]
        parts = self.alike([node.this, node.expression])
        if parts is None:
            return None
        made = self.made(op, parts[::-1] if exchanged else parts, Kind.TRUTH)
        return self.made(Op.NOT, [made], Kind.TRUTH) if negated else made

    def between(self, node: exp.Between) -> Bound | None:
        parts = self.alike([node.this, node.args["low"], node.args["high"]])
        if parts is None:
            return None
        item, low, high = parts
        ends = [
            self.made(Op.LESS_OR_EQUAL, [low, item], Kind.TRUTH),
            self.made(Op.LESS_OR_EQUAL, [item, high], Kind.TRUTH),
        ]
        return self.made(Op.AND, ends, Kind.TRUTH)

    def one_of(self, node: exp.In) -> Bound | None:
        parts = self.alike([node.this, *node.expressions])
        if parts is None or len(parts) < 2:
            return None
        equal = [self.made(Op.EQUAL, [parts[0], each], Kind.TRUTH) for each in parts[1:]]
        return equal[0] if len(equal) == 1 else self.made(Op.OR, equal, Kind.TRUTH)

    def several(self, node: exp.Expr) -> Bound | None:
        parts = self.alike([node.this, *node.expressions])
        if parts is None:
            return None
        op = {exp.Coalesce: Op.COALESCE, exp.Least: Op.LEAST, exp.Greatest: Op.GREATEST}[type(node)]  # type: ignore[index]
        return self.made(op, parts, parts[0][1].kind)

    def nullif(self, node: exp.Nullif) -> Bound | None:
        parts = self.alike([node.this, node.expression])
        if parts is None:
            return None
        equal, _ = self.made(Op.EQUAL, parts, Kind.TRUTH)
        term, column = parts[0]
        nothing = p.Value(None, column.kind)
        return p.Case(((equal, nothing),), term, column.kind, column.behind), replace(column, name="", label="")

    def round(self, node: exp.Round) -> Bound | None:
        item = self.of_kind(node.this, Kind.NUMBER)
        digits = node.args.get("decimals")
        if item is None or digits is None:
            return None if item is None else self.made(Op.ROUND, [item], Kind.NUMBER)
        places = constant(self.asking, digits)
        value = places[0].value if places is not None and isinstance(places[0], p.Value) else None
        if not isinstance(value, Decimal) or value != int(value) or not 0 <= value <= 15:
            self.asking.refuse("not_admitted", node, what="ROUND(x, n)")
            return None
        return self.made(Op.ROUND, [item, constant_of(value, Kind.NUMBER)], Kind.NUMBER)

    def cast(self, node: exp.Cast) -> Bound | None:
        item = self.of_kind(node.this, Kind.NUMBER)
        if item is None:
            return None
        whole = {exp.DataType.Type.INT, exp.DataType.Type.BIGINT}
        if node.to.this in whole:
            return self.made(Op.ROUND, [item], Kind.NUMBER)
        if node.to.this in {exp.DataType.Type.DOUBLE, exp.DataType.Type.FLOAT}:
            return item
        self.asking.refuse("not_admitted", node, what="CAST")
        return None

    def case(self, node: exp.Case) -> Bound | None:
        operand, written = node.args.get("this"), node.args.get("ifs") or ()
        whens: list[Bound | None]
        if operand is None:
            whens = [self.of_kind(each.this, Kind.TRUTH) for each in written]
        else:
            # Bound once: CASE in the place of the operand of CASE would else be read again for each branch.
            parts = self.alike([operand, *(each.this for each in written)])
            if parts is None:
                return None
            whens = [self.made(Op.EQUAL, [parts[0], each], Kind.TRUTH) for each in parts[1:]]
        return self.chosen(whens, [each.args["true"] for each in written], node.args.get("default"))

    def chosen(self, whens: list[Bound | None], thens: list[exp.Expr], otherwise: exp.Expr | None) -> Bound | None:
        """Return the value beside the first condition that is true."""
        values = self.alike([*thens, otherwise if otherwise is not None else exp.Null()])
        if values is None or any(when is None for when in whens):
            return None
        kind = values[0][1].kind
        behind: p.Behind = frozenset().union(*(column.behind for _, column in values))
        pairs = tuple((when[0], then[0]) for when, then in zip(whens, values, strict=False) if when is not None)
        return p.Case(pairs, values[-1][0], kind, behind), p.PublicColumn("", "", kind, behind)

    # Aggregates over public rows

    def fold(self, node: exp.Expr, frame: p.PublicWindow | None) -> Bound | None:
        call, where = node, None
        if isinstance(call, exp.Filter):
            held = replace(self, folds=False, windows=False).of_kind(call.expression.this, Kind.TRUTH)
            if held is None:
                return None
            where, call = held[0], call.this
        fold = _FOLDS.get(type(call))
        if fold is None or (frame is None and not self.folds) or call.args.get("expressions"):
            self.asking.refuse("aggregate_not_admitted", node, function=written_as(call))
            return None
        if fold is p.Fold.COUNT and isinstance(call.this, exp.Star):
            made = p.Folded(fold, None, where, Kind.NUMBER, frozenset(), once=self.once, window=frame)
            return made, p.PublicColumn("", "", Kind.NUMBER)
        inner = replace(self, folds=frame is not None and self.folds, windows=False)
        number = fold in {p.Fold.SUM, p.Fold.AVG}
        item = inner.of_kind(call.this, Kind.NUMBER) if number else inner.bind(call.this)
        if item is None:
            return None
        kind = item[1].kind if fold in {p.Fold.MIN, p.Fold.MAX} else Kind.NUMBER
        behind = item[1].behind
        folded = p.Folded(fold, item[0], where, kind, behind, once=self.once, window=frame)
        return folded, p.PublicColumn("", "", kind, behind if kind is Kind.NUMBER else frozenset())
