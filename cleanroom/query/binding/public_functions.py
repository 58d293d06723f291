"""Functions of released and public values whose other arguments are constants."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from cleanroom.query.binding.public_constants import Bound, constant, constant_of
from cleanroom.query.binding.public_windows import offset_of
from cleanroom.query.public import language as p
from cleanroom.query.public.language import Kind, Op
from cleanroom.query.terms.day_labels import FORMATS

if TYPE_CHECKING:
    from cleanroom.query.binding.public_terms import PublicScope

_TEXT_TYPES: Final = {exp.DataType.Type.TEXT, exp.DataType.Type.VARCHAR}


def day_label(scope: PublicScope, node: exp.TimeToStr) -> Bound | None:
    """Bind strftime of a day, with the formats that keys may have."""
    day = scope.of_kind(node.this, Kind.DATE)
    shape = constant(scope.asking, node.args["format"])
    if day is None or shape is None:
        return None
    value = shape[0].value if isinstance(shape[0], p.Value) else None
    if value not in FORMATS:
        hint = ", ".join(f"'{each}'" for each in FORMATS)
        scope.asking.refuse("not_admitted", node, (hint, hint), what="STRFTIME")
        return None
    return scope.made(Op.STRFTIME, [day, shape], Kind.TEXT)


def side(scope: PublicScope, node: exp.Left | exp.Right) -> Bound | None:
    """Bind so many first or last characters."""
    item = scope.of_kind(node.this, Kind.TEXT)
    many = offset_of(scope, node.expression, node, default=0)
    if item is None or many is None:
        return None
    op = Op.LEFT if isinstance(node, exp.Left) else Op.RIGHT
    return scope.made(op, [item, constant_of(Decimal(many), Kind.NUMBER)], Kind.TEXT)


def rounded(scope: PublicScope, node: exp.Round) -> Bound | None:
    """Bind ROUND, to whole numbers or to a constant number of decimals."""
    item = scope.of_kind(node.this, Kind.NUMBER)
    digits = node.args.get("decimals")
    if item is None or digits is None:
        return None if item is None else scope.made(Op.ROUND, [item], Kind.NUMBER)
    places = constant(scope.asking, digits)
    value = places[0].value if places is not None and isinstance(places[0], p.Value) else None
    if not isinstance(value, Decimal) or value != int(value) or not 0 <= value <= 15:
        scope.asking.refuse("not_admitted", node, what="ROUND(x, n)")
        return None
    return scope.made(Op.ROUND, [item, constant_of(value, Kind.NUMBER)], Kind.NUMBER)


def cast(scope: PublicScope, node: exp.Cast) -> Bound | None:
    """Bind CAST where it changes nothing, or rounds a number."""
    item = scope.bind(node.this)
    same = {Kind.TEXT: _TEXT_TYPES, Kind.DATE: {exp.DataType.Type.DATE}, Kind.TRUTH: {exp.DataType.Type.BOOLEAN}}
    if item is not None and node.to.this in same.get(item[1].kind, ()):
        return item
    # Not bound again: CAST within CAST would double the work each time.
    item = scope.fitted(item, node.this, Kind.NUMBER)
    if item is None:
        return None
    whole = {exp.DataType.Type.INT, exp.DataType.Type.BIGINT}
    if node.to.this in whole:
        return scope.made(Op.ROUND, [item], Kind.NUMBER)
    if node.to.this in {exp.DataType.Type.DOUBLE, exp.DataType.Type.FLOAT}:
        return item
    digits = [str(each.this) for each in node.to.expressions]
    if node.to.this is exp.DataType.Type.DECIMAL and all(each.isdecimal() for each in digits):
        # A released number has no bound that DECIMAL could overflow: it is rounded, and stays one.
        scale = int(digits[1]) if len(digits) > 1 else 0 if digits else 3
        if scale <= 15:
            return scope.made(Op.ROUND, [item, constant_of(Decimal(scale), Kind.NUMBER)], Kind.NUMBER)
    scope.asking.refuse("not_admitted", node, what="CAST")
    return None
