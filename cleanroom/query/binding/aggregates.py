"""Aggregates as written, whichever side of a release they stand on: a person's own rows, or people."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from cleanroom.query.binding.scalars import bind_scalar
from cleanroom.query.binding.written import written
from cleanroom.query.terms.typed import Constant, Typed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cleanroom.query.binding.scope import RowScope


class Called(Enum):
    """An aggregate's name, after its spellings."""

    COUNT_ROWS = "COUNT(*)"
    COUNT = "COUNT"
    COUNT_DISTINCT = "COUNT(DISTINCT …)"
    COUNT_IF = "COUNT_IF"
    SUM = "SUM"
    AVG = "AVG"
    MIN = "MIN"
    MAX = "MAX"
    VAR_POP = "VAR_POP"
    VAR_SAMP = "VAR_SAMP"
    STDDEV_POP = "STDDEV_POP"
    STDDEV_SAMP = "STDDEV_SAMP"
    QUANTILE_CONT = "QUANTILE_CONT"
    QUANTILE_DISC = "QUANTILE_DISC"
    EVERY = "BOOL_AND"
    SOME = "BOOL_OR"
    FIRST = "FIRST"
    LAST = "LAST"


@dataclass(frozen=True, slots=True)
class Aggregated:
    """An aggregate call taken apart.

    Args:
        item: the argument, or None for COUNT(*).
        where: the FILTER's condition, or None.
        fraction: of a quantile, as written; None for others.
        order: what FIRST and LAST are ordered by.
        from_above: whether the fraction is counted from the greatest value.
    """

    called: Called
    node: exp.Expr
    item: exp.Expr | None
    where: exp.Expr | None
    fraction: exp.Expr | None = None
    order: tuple[exp.Ordered, ...] = ()
    from_above: bool = False


_PLAIN: Final[dict[type[exp.Expr], Called]] = {
    exp.Sum: Called.SUM,
    exp.Avg: Called.AVG,
    exp.Min: Called.MIN,
    exp.Max: Called.MAX,
    exp.VariancePop: Called.VAR_POP,
    exp.Variance: Called.VAR_SAMP,
    exp.StddevPop: Called.STDDEV_POP,
    exp.StddevSamp: Called.STDDEV_SAMP,
    exp.Stddev: Called.STDDEV_SAMP,
    exp.LogicalAnd: Called.EVERY,
    exp.LogicalOr: Called.SOME,
    exp.CountIf: Called.COUNT_IF,
}

_CALLS: Final = (
    exp.AggFunc, exp.Filter, exp.WithinGroup, exp.PercentileCont, exp.PercentileDisc, exp.Median, exp.ArgMin,
    exp.ArgMax,
)  # fmt: skip


def is_aggregate(node: exp.Expr) -> bool:
    """Return whether a node is an aggregate call, its FILTER included."""
    return isinstance(node, _CALLS) and not isinstance(node, (exp.Lag, exp.Lead, exp.RowNumber))


def calls_in(node: exp.Expr) -> Iterator[exp.Expr]:
    """Yield the aggregate calls of a SELECT's expression: not those of its subqueries and windows."""
    if isinstance(node, (exp.Window, exp.Select, exp.Union, exp.Intersect, exp.Except)):
        return
    if is_aggregate(node):
        yield node
        return
    for child in node.iter_expressions():
        yield from calls_in(child)


def calls_under(node: exp.Expr) -> Iterator[exp.Expr]:
    """Yield the aggregate calls of an expression over groups, also those inside windows, though no window itself."""
    if isinstance(node, (exp.Select, exp.Union, exp.Intersect, exp.Except)):
        return
    if is_aggregate(node):
        yield node
        return
    for child in under_window(node) if isinstance(node, exp.Window) else node.iter_expressions():
        yield from calls_under(child)


def under_window(node: exp.Window) -> list[exp.Expr]:
    """Return what a window looks at: the arguments of its call, and the terms of OVER and FILTER.

    In SUM(COUNT(*)) OVER () the sum is over groups, and the count alone is over rows.
    """
    filtered = isinstance(node.this, exp.Filter)
    call = node.this.this if filtered else node.this
    found = [each for each in call.iter_expressions() if not isinstance(each, exp.Star)]
    found += [node.this.expression] if filtered else []
    return [*found, *(each for each in node.iter_expressions() if each is not node.this)]


def taken_apart(scope: RowScope, node: exp.Expr) -> Aggregated | None:
    """Read an aggregate call; refuse what is none of ours, arguments that sqlglot would drop included."""
    where: exp.Expr | None = None
    call = node
    if isinstance(call, exp.Filter):
        where = call.expression.this
        call = call.this
    found = _read(scope, call, where)
    if found is None:
        scope.refuse("aggregate_not_admitted", node, function=_name(call))
    return found


def _read(scope: RowScope, call: exp.Expr, where: exp.Expr | None) -> Aggregated | None:
    item = call.args.get("this")
    match call:
        case exp.Count(this=exp.Star()):
            return Aggregated(Called.COUNT_ROWS, call, None, where)
        case exp.Count(this=exp.Literal()) if not call.expressions:
            # A constant is never NULL: COUNT(1) counts rows.
            return Aggregated(Called.COUNT_ROWS, call, None, where)
        case exp.Count(this=exp.Distinct()):
            distinct = call.this.expressions
            return Aggregated(Called.COUNT_DISTINCT, call, distinct[0], where) if len(distinct) == 1 else None
        case exp.Count() if isinstance(item, exp.Expr) and not call.expressions:
            return Aggregated(Called.COUNT, call, item, where)
        case exp.WithinGroup():
            return _within_group(scope, call, where)
        case exp.Median():
            return Aggregated(Called.QUANTILE_CONT, call, item, where, exp.Literal.number("0.5"))
        case exp.PercentileCont() | exp.PercentileDisc() if call.args.get("expression") is not None:
            if not _quantiles_as_read(scope):
                return None
            name = Called.QUANTILE_CONT if isinstance(call, exp.PercentileCont) else Called.QUANTILE_DISC
            return Aggregated(name, call, item, where, call.expression)
        case exp.First() | exp.Last():
            if not isinstance(item, exp.Order) or item.this is None:
                return None
            name = Called.FIRST if isinstance(call, exp.First) else Called.LAST
            return Aggregated(name, call, item.this, where, order=tuple(item.expressions))
        case exp.ArgMin() | exp.ArgMax():
            order = exp.Ordered(this=call.expression, desc=isinstance(call, exp.ArgMax), nulls_first=False)
            return Aggregated(Called.FIRST, call, item, where, order=(order,))
    name_of = _PLAIN.get(type(call))
    if name_of is None or not isinstance(item, exp.Expr) or not _written_arguments(scope, call, 1):
        return None
    return Aggregated(name_of, call, item, where)


def _within_group(scope: RowScope, call: exp.WithinGroup, where: exp.Expr | None) -> Aggregated | None:
    inner, order = call.this, call.expression
    if not isinstance(inner, (exp.PercentileCont, exp.PercentileDisc)) or inner.args.get("expression") is not None:
        return None
    if not isinstance(order, exp.Order) or len(order.expressions) != 1:
        return None
    down = bool(order.expressions[0].args.get("desc"))
    if down and isinstance(inner, exp.PercentileDisc):
        # Counted from above, the value of the data that is met is another one.
        scope.refuse("aggregate_not_admitted", call, function="WITHIN GROUP (ORDER BY … DESC)")
        return None
    name = Called.QUANTILE_CONT if isinstance(inner, exp.PercentileCont) else Called.QUANTILE_DISC
    return Aggregated(name, call, order.expressions[0].this, where, inner.this, from_above=down)


def _quantiles_as_read(scope: RowScope) -> bool:
    """Return whether every quantile of the text has the arguments that sqlglot kept: it drops a third one silently."""
    calls = written(scope.text).calls.values()
    return all(call.arguments <= 2 for call in calls if call.name.startswith(("quantile", "percentile")))


def _written_arguments(scope: RowScope, call: exp.Expr, wanted: int) -> bool:
    """Return whether the text gives the call so many arguments: sqlglot drops some silently (attacks §2)."""
    start = call.meta.get("start")
    found = written(scope.text).calls.get(int(start)) if start is not None else None
    return found is None or found.arguments == wanted


def _name(call: exp.Expr) -> str:
    if isinstance(call, exp.Anonymous):
        return str(call.this).upper()[:40]
    return call.sql_names()[0] if isinstance(call, exp.Func) else type(call).__name__


def argument(scope: RowScope, found: Aggregated) -> Typed | None:
    """Bind the argument of an aggregate; a constant is refused, since it belongs to nobody's rows."""
    if found.item is None:
        return None
    bound = bind_scalar(found.item, scope)
    if isinstance(bound, Constant):
        scope.refuse("measure_required", found.node, function=found.called.value)
        return None
    return bound
