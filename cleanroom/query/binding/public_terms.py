"""Bind terms over released and public tables: typed, and total, so that nothing fails after it was paid."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from cleanroom.identifiers import fold
from cleanroom.query.binding import public_functions
from cleanroom.query.binding.asking import MOST_LABELS, near
from cleanroom.query.binding.public_constants import Bound, as_kind, constant, constant_of, written_as
from cleanroom.query.binding.public_windows import folded, is_fold, windowed
from cleanroom.query.public import language as p
from cleanroom.query.public.language import Kind, Op

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cleanroom.query.binding import public_functions
from cleanroom.query.binding.asking import Asking

_NUMBERS: Final[dict[type[exp.Expr], Op]] = {
    exp.Add: Op.ADD, exp.Sub: Op.SUBTRACT, exp.Mul: Op.MULTIPLY, exp.Div: Op.DIVIDE, exp.Mod: Op.REMAINDER,
    exp.Neg: Op.NEGATE, exp.Abs: Op.ABS, exp.Floor: Op.FLOOR, exp.Ceil: Op.CEIL, exp.Sqrt: Op.SQRT,
    exp.Sign: Op.SIGN, exp.Trunc: Op.TRUNC, exp.Ln: Op.LN, exp.Exp: Op.EXP, exp.IntDiv: Op.WHOLE_DIVIDE,
}  # fmt: skip
_TEXTS: Final[dict[type[exp.Expr], Op]] = {
    exp.Lower: Op.LOWER, exp.Upper: Op.UPPER, exp.DPipe: Op.CONCAT, exp.Like: Op.LIKE, exp.ILike: Op.ILIKE,
    exp.Trim: Op.TRIM, exp.Length: Op.LENGTH,
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

_RESULTS: Final[dict[type[exp.Expr], Kind]] = {
    exp.Like: Kind.TRUTH, exp.ILike: Kind.TRUTH, exp.Length: Kind.NUMBER,
}  # fmt: skip
MAX_TERM: Final = 10_000
"""Nodes of a term written out in full."""
_OF_DAYS: Final[dict[type[exp.Expr], Op]] = {
    exp.Year: Op.YEAR, exp.Month: Op.MONTH, exp.Quarter: Op.QUARTER, exp.Day: Op.DAY, exp.DayOfMonth: Op.DAY,
    exp.DayOfWeek: Op.DAY_OF_WEEK, exp.DayOfWeekIso: Op.ISO_DAY_OF_WEEK, exp.Week: Op.WEEK, exp.WeekOfYear: Op.WEEK,
    exp.DayOfYear: Op.DAY_OF_YEAR,
}  # fmt: skip


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
        merged: what USING makes of several columns of one name.
        numbers: binds a subquery that is one number of another public relation.
    """

    asking: Asking
    sources: list[PublicSource]
    replaced: Mapping[int, int] = field(default_factory=dict)
    folds: bool = False
    windows: bool = True
    aliases: Mapping[str, exp.Expr] = field(default_factory=dict)
    once: bool = True
    instead: Callable[[exp.Expr], Bound | None] | None = None
    merged: Mapping[str, Bound] = field(default_factory=dict)
    numbers: Callable[[exp.Subquery], Bound | None] | None = None

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
            result = _RESULTS.get(kind, Kind.TEXT)
            made = self.call(_TEXTS[kind], node, Kind.TEXT, result)
            return self.made(Op.NOT, [made], Kind.TRUTH) if made is not None and node.args.get("negate") else made
        if kind in _OF_DAYS:
            return self.call(_OF_DAYS[kind], node, Kind.DATE, Kind.NUMBER)
        if kind in _COMPARED:
            return self.compared(node)
        if is_fold(node):
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
                return public_functions.rounded(self, node)
            case exp.Cast():
                return public_functions.cast(self, node)
            case exp.Is(expression=exp.Boolean()):
                return self.truth(node)
            case exp.Left() | exp.Right():
                return public_functions.side(self, node)
            case exp.Log() if isinstance(node.this, exp.Literal) and str(node.this.this) == "10":
                return self.call_of(Op.LOG10, [node.expression], Kind.NUMBER, Kind.NUMBER)
            case exp.TimeToStr():
                return public_functions.day_label(self, node)
            case exp.Window():
                return windowed(self, node)
            case exp.Subquery():
                return self.nested(node)
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
        if found and not table and name in self.merged:
            return self.merged[name]
        shown = ".".join(part for part in (owner, table, name) if part)[:140]
        if found:
            self.asking.refuse("ambiguous_name", node, name=shown)
        elif not table and name in self.aliases:
            self.asking.labels_written_out += 1
            if self.asking.labels_written_out > MOST_LABELS:
                self.asking.refuse("term_too_large", node, limit=MOST_LABELS)
                return None
            before = dict(list(self.aliases.items())[: list(self.aliases).index(name)])
            return replace(self, aliases=before).bind(self.aliases[name])
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

    def truth(self, node: exp.Is) -> Bound | None:
        """Bind IS TRUE and IS FALSE, which are never NULL."""
        item = self.of_kind(node.this, Kind.TRUTH)
        if item is None:
            return None
        if not node.expression.this:
            item = self.made(Op.NOT, [item], Kind.TRUTH)
        return self.made(Op.COALESCE, [item, constant_of(value=False, kind=Kind.TRUTH)], Kind.TRUTH)

    def call(self, op: Op, node: exp.Expr, wanted: Kind, result: Kind) -> Bound | None:
        arguments = [node.this, *([node.expression] if node.args.get("expression") is not None else [])]
        return self.call_of(op, arguments, wanted, result)

    def call_of(self, op: Op, arguments: list[exp.Expr], wanted: Kind, result: Kind) -> Bound | None:
        """Bind a function of terms of one kind."""
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
        return self.fitted(self.bind(node), node, wanted)

    def fitted(self, found: Bound | None, node: exp.Expr, wanted: Kind) -> Bound | None:
        """Return what a term was bound to as one kind; None if it is refused, now or before."""
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

    def fold(self, node: exp.Expr, window: p.PublicWindow | None) -> Bound | None:
        """Bind an aggregate over public rows."""
        return folded(self, node, window)

    def nested(self, node: exp.Subquery) -> Bound | None:
        """Bind a subquery that is one number of another public relation."""
        if self.numbers is None:
            self.asking.refuse("not_admitted", node, what="SELECT")
            return None
        return self.numbers(node)
