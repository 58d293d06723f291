"""A small reader of SQL expressions, for tests: each node becomes one call of a constructor."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import sqlglot
from sqlglot import exp

from cleanroom.errors import Refusal
from cleanroom.query.terms import arithmetic, casting, comparing, conditional, logic
from cleanroom.query.terms.casting import Digits, Target
from cleanroom.query.terms.comparing import Operator
from cleanroom.query.terms.typed import Constant, Typed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cleanroom.query.terms.operands import Operand

_TWO = {
    exp.Add: arithmetic.plus,
    exp.Sub: arithmetic.minus,
    exp.Mul: arithmetic.times,
    exp.Div: arithmetic.divide,
    exp.IntDiv: arithmetic.integer_divide,
    exp.Mod: arithmetic.modulo,
    exp.Nullif: conditional.nullif,
}
_ONE = {
    exp.Neg: arithmetic.negate,
    exp.Floor: arithmetic.floor,
    exp.Ceil: arithmetic.ceil,
    exp.Abs: arithmetic.absolute,
    exp.Sign: arithmetic.sign,
    exp.Not: logic.opposite,
}
_COMPARED = {
    exp.EQ: Operator.EQ,
    exp.NEQ: Operator.NE,
    exp.LT: Operator.LT,
    exp.LTE: Operator.LE,
    exp.GT: Operator.GT,
    exp.GTE: Operator.GE,
}
_TARGETS = {"INT": Target.INTEGER, "INT128": Target.HUGEINT, "TEXT": Target.VARCHAR, "UTINYINT": None, "TINYINT": None}


class _Refused(Exception):
    def __init__(self, reason: Refusal) -> None:
        self.reason = reason


def read_term(sql: str, columns: Mapping[str, Typed]) -> Operand | Refusal:
    """Return what an expression is over these columns."""
    tree = sqlglot.parse_one(f"SELECT {sql}", read="duckdb").expressions[0]
    try:
        return _read(tree, columns)
    except _Refused as refused:
        return refused.reason


def _kept(result: Typed | Refusal) -> Typed:
    if isinstance(result, Refusal):
        raise _Refused(result)
    return result


def _read(node: exp.Expression, columns: Mapping[str, Typed]) -> Operand:
    def inside(each: exp.Expression) -> Operand:
        return _read(each, columns)

    kind = type(node)
    if kind in _TWO:
        return _kept(_TWO[kind](inside(node.this), inside(node.expression)))
    if kind in _ONE:
        return _kept(_ONE[kind](inside(node.this)))
    if kind in _COMPARED:
        return _kept(comparing.compare(_COMPARED[kind], inside(node.this), inside(node.expression)))
    match node:
        case exp.Paren():
            return inside(node.this)
        case exp.Column():
            return columns[node.name]
        case exp.Null():
            return Constant(None)
        case exp.Boolean():
            return Constant(node.this)
        case exp.Literal():
            return Constant(node.this if node.is_string else Decimal(node.this))
        case exp.Round():
            digits = node.args.get("decimals")
            return _kept(arithmetic.round_(inside(node.this), inside(digits) if digits is not None else None))
        case exp.Least():
            return _kept(arithmetic.least([inside(each) for each in (node.this, *node.expressions)]))
        case exp.Greatest():
            return _kept(arithmetic.greatest([inside(each) for each in (node.this, *node.expressions)]))
        case exp.Coalesce():
            return _kept(conditional.coalesce([inside(each) for each in (node.this, *node.expressions)]))
        case exp.If():
            otherwise = node.args.get("false")
            last = inside(otherwise) if otherwise is not None else Constant(None)
            return _kept(conditional.choose(inside(node.this), inside(node.args["true"]), last))
        case exp.Case():
            pairs = [(inside(each.this), inside(each.args["true"])) for each in node.args["ifs"]]
            last = node.args.get("default")
            otherwise = inside(last) if last is not None else None
            if node.this is None:
                return _kept(conditional.case(pairs, otherwise))
            return _kept(conditional.simple_case(inside(node.this), pairs, otherwise))
        case exp.Between():
            return _kept(comparing.between(inside(node.this), inside(node.args["low"]), inside(node.args["high"])))
        case exp.In():
            return _kept(comparing.one_of(inside(node.this), [inside(each) for each in node.expressions]))
        case exp.And():
            return _kept(logic.all_of([inside(node.this), inside(node.expression)]))
        case exp.Or():
            return _kept(logic.any_of([inside(node.this), inside(node.expression)]))
        case exp.NullSafeNEQ():
            return _kept(comparing.distinct(inside(node.this), inside(node.expression)))
        case exp.NullSafeEQ():
            return _kept(logic.opposite(comparing.distinct(inside(node.this), inside(node.expression))))
        case exp.Is(expression=exp.Null()):
            return _kept(comparing.is_missing(inside(node.this)))
        case exp.Is(expression=exp.Boolean() as wanted):
            return _kept(comparing.is_truth(inside(node.this), wanted.this))
        case exp.Cast():
            return _cast(node, inside(node.this))
    raise AssertionError(f"the test's reader knows no {kind.__name__}")


def _cast(node: exp.Cast, item: Operand) -> Operand:
    to = node.to
    if to.this is exp.DataType.Type.DATE and isinstance(item, Constant):
        return Constant(date.fromisoformat(str(item.value)))
    name = to.this.value
    target = _TARGETS.get(name) or Target(name)
    sizes = [int(each.name) for each in to.expressions]
    digits = Digits(*sizes) if sizes else None
    return _kept(casting.cast(item, target, digits))
