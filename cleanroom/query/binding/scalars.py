"""Bind scalar expressions: from sqlglot's tree to typed terms, by node class, arguments and what the text says.

What is not named here is refused by its name. Constants stay `Constant` until they meet a term.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from cleanroom.errors import Refusal
from cleanroom.query.admitted import ADMITTED_SCALARS, CALLS
from cleanroom.query.binding.functions import FUNCTIONS, function, is_span, span_of
from cleanroom.query.binding.written import written
from cleanroom.query.parse import MAX_NESTED, is_plain_number
from cleanroom.query.refusals import refusal
from cleanroom.query.terms import arithmetic, casting, comparing, conditional, dates, logic
from cleanroom.query.terms.casting import Digits, Target
from cleanroom.query.terms.comparing import Operator
from cleanroom.query.terms.language import LookUp, OneOf, parts
from cleanroom.query.terms.typed import Constant, Typed
from cleanroom.query.terms.types import DateType

if TYPE_CHECKING:
    from collections.abc import Callable

    from cleanroom.errors import Position
    from cleanroom.query.binding.scalar_scope import ScalarScope
    from cleanroom.query.terms.language import Term
    from cleanroom.query.terms.operands import Operand

Bound = Typed | Constant

MAX_TERM: Final = 10_000
"""Nodes of a term written out in full: CASE and BETWEEN repeat their operand."""

_LISTED: Final = 64
"""Values of a list that weigh as much as a node."""

_OPERATORS: Final[dict[type[exp.Expr], Operator]] = {
    exp.EQ: Operator.EQ,
    exp.NEQ: Operator.NE,
    exp.LT: Operator.LT,
    exp.LTE: Operator.LE,
    exp.GT: Operator.GT,
    exp.GTE: Operator.GE,
}
_PAIRS: Final[dict[type[exp.Expr], Callable[[Operand, Operand], Typed | Refusal]]] = {
    exp.Mul: arithmetic.times,
    exp.Div: arithmetic.divide,
    exp.IntDiv: arithmetic.integer_divide,
    exp.Mod: arithmetic.modulo,
    exp.Nullif: conditional.nullif,
    exp.NullSafeNEQ: comparing.distinct,
}
_SINGLE: Final[dict[type[exp.Expr], Callable[[Operand], Typed | Refusal]]] = {
    exp.Abs: arithmetic.absolute,
    exp.Sign: arithmetic.sign,
    exp.Floor: arithmetic.floor,
    exp.Ceil: arithmetic.ceil,
    exp.Trunc: conditional.truncated,
    exp.Not: logic.opposite,
}
_TARGETS: Final[dict[exp.DType, Target]] = {
    exp.DataType.Type.INT: Target.INTEGER,
    exp.DataType.Type.BIGINT: Target.BIGINT,
    exp.DataType.Type.INT128: Target.HUGEINT,
    exp.DataType.Type.DECIMAL: Target.DECIMAL,
    exp.DataType.Type.DOUBLE: Target.DOUBLE,
    exp.DataType.Type.FLOAT: Target.FLOAT,
    exp.DataType.Type.DATE: Target.DATE,
    exp.DataType.Type.TEXT: Target.VARCHAR,
    exp.DataType.Type.VARCHAR: Target.VARCHAR,
    exp.DataType.Type.BOOLEAN: Target.BOOLEAN,
}
_OPERATOR_OR_CALL: Final = frozenset({exp.Mod, exp.StartsWith})
"""Classes that an operator makes too; as one it has no place of a name."""


def bind_scalar(node: exp.Expr, scope: ScalarScope) -> Bound | None:
    """Bind one expression.

    Returns:
        Its typed term, or the constant that it is; None if it is refused, with every reason noted in `scope`.
    """
    return _Binding(scope).bind(node)


class _Binding:
    def __init__(self, scope: ScalarScope) -> None:
        self.scope = scope
        self.nested = 0
        self.place: Position | None = None
        self.sizes: dict[int, tuple[Term, int]] = {}

    def bind(self, node: exp.Expr) -> Bound | None:
        special = self.scope.special(node)
        if not isinstance(special, bool):
            return special
        if self.nested >= MAX_NESTED:
            self.scope.refuse("too_deep", node, limit=MAX_NESTED)
            return None
        around = self.place
        self.nested, self.place = self.nested + 1, self.scope.position(node) or around
        try:
            return self.kept(node, self.found(node))
        finally:
            self.nested, self.place = self.nested - 1, around

    def kept(self, node: exp.Expr, found: Bound | Refusal | None) -> Bound | None:
        """Note why a node is refused; say where it stands, and hold its size."""
        if found is None:
            return None
        if isinstance(found, Refusal):
            # INTERVAL has no place of its own in sqlglot's tree: then it stands where what is around it does.
            self.scope.note(found if found.position is not None else replace(found, position=self.place))
            return None
        if isinstance(found, Typed) and self.size(found.term) > MAX_TERM:
            self.scope.refuse("term_too_large", node, limit=MAX_TERM)
            return None
        return replace(found, position=self.place)

    def size(self, term: Term) -> int:
        """Return the nodes of a term written out, counting each shared part once for each place."""
        known = self.sizes.get(id(term))
        if known is None:
            listed = len(term.values) if isinstance(term, (LookUp, OneOf)) else 0
            known = (term, 1 + listed // _LISTED + sum(self.size(part) for part in parts(term)))
            self.sizes[id(term)] = known  # the term is kept, so that its identity stays its own
        return known[1]

    def found(self, node: exp.Expr) -> Bound | Refusal | None:
        known = ADMITTED_SCALARS.get(type(node))
        if known is None:
            return self.refused(node)
        for name, value in node.args.items():
            if name not in known and value not in (None, False, [], ()):
                return self.refused(node)
        if type(node) in CALLS and not self.written_so(node):
            return self.refused(node)
        match node:
            case exp.Paren():
                return self.bind(node.this)
            case exp.Column():
                return self.scope.column(node)
            case exp.Null():
                return Constant(None)
            case exp.Boolean():
                return Constant(bool(node.this))
            case exp.Literal():
                return Constant(str(node.this)) if node.is_string else self.number(node)
            case exp.Placeholder():
                return Constant(self.scope.parameter(node))
            case exp.Neg():
                return self.negative(node)
            case exp.And() | exp.Or():
                return self.joined(node)
            case exp.Cast():
                return self.cast(node)
            case exp.Add() | exp.Sub():
                return self.sum(node)
            case exp.Case():
                return self.case(node)
            case exp.If():
                return self.choice(node)
            case exp.Is():
                return self.tested(node)
            case exp.In():
                return self.listed(node)
            case exp.Between():
                item, low, high = self.bind(node.this), self.bind(node.args["low"]), self.bind(node.args["high"])
                return None if item is None or low is None or high is None else comparing.between(item, low, high)
            case exp.Round():
                return self.rounded(node)
            case exp.Coalesce() | exp.Least() | exp.Greatest():
                return self.several(node)
        if type(node) in FUNCTIONS:
            made = function(node, self.bind, self.scope)
            if node.args.get("negate") and made is not None:
                return logic.opposite(made)
            return made
        return self.plain(node)

    def plain(self, node: exp.Expr) -> Bound | Refusal | None:
        """Bind what has one or two operands and nothing else."""
        kind = type(node)
        if kind in _SINGLE:
            item = self.bind(node.this)
            return None if item is None else _SINGLE[kind](item)
        if kind not in _OPERATORS and kind not in _PAIRS and kind is not exp.NullSafeEQ:
            return self.refused(node)
        left, right = self.bind(node.this), self.bind(node.expression)
        if left is None or right is None:
            return None
        if kind in _OPERATORS:
            return comparing.compare(_OPERATORS[kind], left, right)
        if kind is exp.NullSafeEQ:
            return logic.opposite(comparing.distinct(left, right))
        return _PAIRS[kind](left, right)

    def refused(self, node: exp.Expr) -> Refusal:
        """Refuse a node by the name that the text gives it."""
        start = node.meta.get("start")
        call = written(self.scope.text).calls.get(int(start)) if start is not None else None
        shown = call.name.upper()[:40] if call is not None else None
        if isinstance(node, exp.Tuple):
            shown = "(…)" if node.expressions else "()"
        elif shown is None:
            shown = node.sql_names()[0] if isinstance(node, exp.Func) else type(node).__name__
        return refusal("not_admitted", self.scope.position(node), what=shown)

    def written_so(self, node: exp.Expr) -> bool:
        """Return whether the text writes a function as it is admitted: its name and as many arguments."""
        spellings = CALLS[type(node)]
        text = written(self.scope.text)
        start = node.meta.get("start")
        if start is not None:
            call = text.calls.get(int(start))
            return call is not None and call.arguments in spellings.get(call.name, ())
        # Without a place: an operator, or a call that sqlglot does not place. All calls of that name must be plain.
        calls = text.named(frozenset(spellings))
        if not calls and type(node) not in _OPERATOR_OR_CALL:
            return False
        return all(call.arguments in spellings[call.name] for call in calls)

    def number(self, node: exp.Literal) -> Bound | Refusal:
        try:
            value = Decimal(str(node.this))
        except InvalidOperation:
            value = Decimal("NaN")
        if is_plain_number(value):
            return Constant(value)
        return refusal("not_admitted", self.scope.position(node), what=str(node.this)[:40])

    def negative(self, node: exp.Neg) -> Bound | Refusal | None:
        item = self.bind(node.this)
        if isinstance(item, Constant) and isinstance(item.value, (int, Decimal)) and not isinstance(item.value, bool):
            return Constant(-item.value)
        return None if item is None else arithmetic.negate(item)

    def joined(self, node: exp.And | exp.Or) -> Bound | Refusal | None:
        """Bind AND or OR with all operands in a row, so that a long list is no deep tree."""
        kind = type(node)
        waiting: list[exp.Expr] = [node]
        operands: list[Bound | None] = []
        while waiting:
            each = waiting.pop()
            if type(each) is kind:
                waiting += [each.expression, each.this]
            else:
                operands.append(self.bind(each))
        there = [each for each in operands if each is not None]
        if len(there) < len(operands):
            return None
        return logic.all_of(there) if kind is exp.And else logic.any_of(there)

    def cast(self, node: exp.Cast) -> Bound | Refusal | None:
        if isinstance(node.this, exp.Cast) and written(self.scope.text).turned_casts:
            hint = ("CAST(… AS …)", "CAST(… AS …)")
            return refusal("not_admitted", self.scope.position(node), hint=hint, what="DATE '…'::…")
        item = self.bind(node.this)
        target = _target(node.to)
        if target is None:
            return refusal("not_admitted", self.scope.position(node), what=f"CAST(… AS {_shown_type(node.to)})")
        return None if item is None else casting.cast(item, *target)

    def sum(self, node: exp.Add | exp.Sub) -> Bound | Refusal | None:
        """Bind + and -: of numbers, of days and spans, of days and numbers."""
        sign = 1 if isinstance(node, exp.Add) else -1
        first, second = node.this, node.expression
        if sign > 0 and is_span(first) and not is_span(second):
            first, second = second, first
        left = self.bind(first)
        if is_span(second):
            span = span_of(second, self.bind, self.scope)
            if left is None or not isinstance(span, dates.Span):
                return span if isinstance(span, Refusal) else None
            return dates.add_span(left, dates.Span(sign * span.months, sign * span.days))
        right = self.bind(second)
        if left is None or right is None:
            return None
        if _is_day(left) and _is_day(right) and sign < 0:
            return dates.days_between(left, right)
        if _is_day(left):
            return dates.add_days(left, right, sign=sign)
        if _is_day(right) and sign > 0:
            return dates.add_days(right, left)
        return arithmetic.plus(left, right) if sign > 0 else arithmetic.minus(left, right)

    def case(self, node: exp.Case) -> Bound | Refusal | None:
        subject = self.bind(node.this) if node.args.get("this") is not None else None
        default = node.args.get("default")
        otherwise = self.bind(default) if default is not None else Constant(None)
        branches = [(self.bind(each.this), self.bind(each.args["true"])) for each in node.args["ifs"]]
        whole = [(when, then) for when, then in branches if when is not None and then is not None]
        if otherwise is None or len(whole) < len(branches) or (subject is None and node.args.get("this") is not None):
            return None
        if subject is not None:
            return conditional.simple_case(subject, whole, otherwise)
        return conditional.case(whole, otherwise)

    def choice(self, node: exp.If) -> Bound | Refusal | None:
        condition, then, otherwise = (self.bind(node.args[name]) for name in ("this", "true", "false"))
        if condition is None or then is None or otherwise is None:
            return None
        return conditional.choose(condition, then, otherwise)

    def tested(self, node: exp.Is) -> Bound | Refusal | None:
        """Bind IS NULL, IS TRUE and IS FALSE; sqlglot writes IS NOT as NOT around them."""
        wanted = node.expression
        if not isinstance(wanted, (exp.Null, exp.Boolean)):
            return self.refused(node)
        item = self.bind(node.this)
        if item is None:
            return None
        if isinstance(wanted, exp.Null):
            return comparing.is_missing(item)
        return comparing.is_truth(item, bool(wanted.this))

    def listed(self, node: exp.In) -> Bound | Refusal | None:
        if node.args.get("query") is not None:
            return self.scope.subquery(node)
        if not node.expressions:
            return self.refused(node)
        item = self.bind(node.this)
        values = [self.bind(each) for each in node.expressions]
        there = [each for each in values if each is not None]
        return None if item is None or len(there) < len(values) else comparing.one_of(item, there)

    def rounded(self, node: exp.Round) -> Bound | Refusal | None:
        item = self.bind(node.this)
        places = node.args.get("decimals")
        digits = self.bind(places) if places is not None else None
        if item is None or (places is not None and digits is None):
            return None
        return arithmetic.round_(item, digits)

    def several(self, node: exp.Expr) -> Bound | Refusal | None:
        values = [self.bind(each) for each in (node.this, *node.expressions)]
        items = [each for each in values if each is not None]
        if len(items) < len(values):
            return None
        if isinstance(node, exp.Coalesce):
            return conditional.coalesce(items)
        latest = isinstance(node, exp.Greatest)
        if any(_is_day(item) for item in items):
            return dates.extreme(items, latest=latest)
        return arithmetic.greatest(items) if latest else arithmetic.least(items)


def _is_day(value: Operand) -> bool:
    if isinstance(value, Typed):
        return isinstance(value.type, DateType)
    return isinstance(value.value, date)


def _target(to: exp.DataType) -> tuple[Target, Digits | None] | None:
    """Return the type that a CAST names, and the digits of a DECIMAL; None if it is none of ours."""
    target = _TARGETS.get(to.this)
    if target is None or any(value for name, value in to.args.items() if name not in {"this", "expressions"}):
        return None
    given = [each.this for each in to.expressions if isinstance(each, exp.DataTypeParam)]
    if len(given) < len(to.expressions) or (given and target is not Target.DECIMAL):
        return None
    sizes = [int(str(each.this)) for each in given if isinstance(each, exp.Literal) and str(each.this).isdecimal()]
    if len(sizes) < len(given) or len(sizes) > 2:
        return None
    if not sizes:
        return target, None
    return target, Digits(sizes[0], sizes[1] if len(sizes) > 1 else 0)


def _shown_type(to: exp.DataType) -> str:
    kind = to.this
    return kind.value[:40] if isinstance(kind, exp.DataType.Type) else "…"
