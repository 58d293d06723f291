"""Bind aggregates and windows over released and public rows."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from cleanroom.query.binding.public_constants import Bound, as_kind, constant, written_as
from cleanroom.query.public import language as p
from cleanroom.query.public.language import Kind

if TYPE_CHECKING:
    from cleanroom.query.binding.public_terms import PublicScope

_FOLDS: Final[dict[type[exp.Expr], p.Fold]] = {
    exp.Count: p.Fold.COUNT, exp.Sum: p.Fold.SUM, exp.Avg: p.Fold.AVG, exp.Min: p.Fold.MIN, exp.Max: p.Fold.MAX,
    exp.Median: p.Fold.MEDIAN, exp.Stddev: p.Fold.STDDEV_SAMP, exp.StddevSamp: p.Fold.STDDEV_SAMP,
    exp.StddevPop: p.Fold.STDDEV_POP, exp.Variance: p.Fold.VAR_SAMP, exp.VariancePop: p.Fold.VAR_POP,
    exp.CountIf: p.Fold.COUNT_IF, exp.LogicalAnd: p.Fold.EVERY, exp.LogicalOr: p.Fold.SOME,
}  # fmt: skip
_RANKINGS: Final[dict[type[exp.Expr], p.Ranking]] = {
    exp.RowNumber: p.Ranking.ROW_NUMBER, exp.Rank: p.Ranking.RANK, exp.DenseRank: p.Ranking.DENSE_RANK,
    exp.PercentRank: p.Ranking.PERCENT_RANK, exp.CumeDist: p.Ranking.CUME_DIST, exp.Ntile: p.Ranking.NTILE,
    exp.Lag: p.Ranking.LAG, exp.Lead: p.Ranking.LEAD, exp.FirstValue: p.Ranking.FIRST_VALUE,
    exp.LastValue: p.Ranking.LAST_VALUE, exp.NthValue: p.Ranking.NTH_VALUE,
}  # fmt: skip
_OF_VALUES: Final = frozenset(
    {p.Ranking.LAG, p.Ranking.LEAD, p.Ranking.FIRST_VALUE, p.Ranking.LAST_VALUE, p.Ranking.NTH_VALUE}
)
_KEEPING: Final = frozenset({p.Fold.MIN, p.Fold.MAX})
_OF_NUMBERS: Final = frozenset(_FOLDS.values()) - {*_KEEPING, p.Fold.COUNT, p.Fold.COUNT_IF, p.Fold.EVERY, p.Fold.SOME}
MOST_OFFSET: Final = 10_000


def is_fold(node: exp.Expr) -> bool:
    """Return whether a node is an aggregate, its FILTER included."""
    return type(node) in _FOLDS or isinstance(node, exp.Filter)


def folded(scope: PublicScope, node: exp.Expr, window: p.PublicWindow | None) -> Bound | None:
    """Bind an aggregate over public rows, or over a window of them."""
    call, where = node, None
    if isinstance(call, exp.Filter):
        held = replace(scope, folds=False, windows=False).of_kind(call.expression.this, Kind.TRUTH)
        if held is None:
            return None
        where, call = held[0], call.this
    fold = _FOLDS.get(type(call))
    if fold is None or (window is None and not scope.folds) or call.args.get("expressions"):
        scope.asking.refuse("aggregate_not_admitted", node, function=written_as(call))
        return None
    if fold is p.Fold.COUNT and isinstance(call.this, exp.Star):
        made = p.Folded(fold, None, where, Kind.NUMBER, frozenset(), once=scope.once, window=window)
        return made, p.PublicColumn("", "", Kind.NUMBER)
    argument = call.this
    distinct = isinstance(argument, exp.Distinct)
    if isinstance(argument, exp.Distinct):
        if fold is not p.Fold.COUNT or len(argument.expressions) != 1 or window is not None:
            scope.asking.refuse("aggregate_not_admitted", node, function=f"{written_as(call)}(DISTINCT …)")
            return None
        argument = argument.expressions[0]
    inner = replace(scope, folds=window is not None and scope.folds, windows=False)
    wanted = Kind.NUMBER if fold in _OF_NUMBERS else Kind.TRUTH if fold not in {*_KEEPING, p.Fold.COUNT} else None
    item = inner.bind(argument) if wanted is None else inner.of_kind(argument, wanted)
    if item is None:
        return None
    kind = item[1].kind if fold in {*_KEEPING, p.Fold.EVERY, p.Fold.SOME} else Kind.NUMBER
    behind = item[1].behind
    term = p.Folded(fold, item[0], where, kind, behind, once=scope.once, window=window, distinct=distinct)
    return term, p.PublicColumn("", "", kind, behind if kind is Kind.NUMBER else frozenset())


def windowed(scope: PublicScope, node: exp.Window) -> Bound | None:
    """Bind a window function over public rows."""
    if not scope.windows:
        scope.asking.refuse("not_admitted", node, what="OVER")
        return None
    inner = replace(scope, windows=False)
    partition = [inner.bind(each) for each in node.args.get("partition_by") or ()]
    order_node = node.args.get("order")
    order = [ordered(inner, each) for each in (order_node.expressions if order_node is not None else ())]
    frame = _frame(inner, node)
    if frame is False or any(each is None for each in (*partition, *order)):
        return None
    window = p.PublicWindow(
        tuple(each[0] for each in partition if each is not None),
        tuple(each for each in order if each is not None),
        frame if isinstance(frame, p.PublicFrame) else None,
    )
    ranking = _RANKINGS.get(type(node.this))
    if ranking is None:
        return inner.fold(node.this, window)
    return _ranked(inner, node, ranking, window)


def _ranked(scope: PublicScope, node: exp.Window, ranking: p.Ranking, window: p.PublicWindow) -> Bound | None:
    call = node.this
    item = scope.bind(call.this) if ranking in _OF_VALUES else None
    number = call.this if ranking is p.Ranking.NTILE else call.args.get("offset")
    offset = offset_of(scope, number, node, default=1)
    if offset is None or (item is None and ranking in _OF_VALUES):
        return None
    if not offset and ranking in {p.Ranking.NTILE, p.Ranking.NTH_VALUE}:
        scope.asking.refuse("not_admitted", node, what=ranking.name)
        return None
    default: p.PublicTerm | None = None
    if call.args.get("default") is not None and item is not None:
        bound = scope.bind(call.args["default"])
        fitting = None if bound is None else as_kind(bound, item[1].kind)
        if fitting is None:
            if bound is not None:
                scope.asking.refuse("not_admitted", node, what=f"{ranking.name}(…, …, …)")
            return None
        default = fitting[0]
    kind = item[1].kind if item is not None else Kind.NUMBER
    behind = item[1].behind if item is not None else frozenset()
    term = p.Ranked(ranking, item[0] if item is not None else None, offset, kind, behind, window, default)
    return term, p.PublicColumn("", "", kind, behind)


def ordered(scope: PublicScope, node: exp.Expr) -> p.PublicOrder | None:
    """Bind a term of ORDER BY."""
    found = scope.bind(node.this if isinstance(node, exp.Ordered) else node)
    if found is None:
        return None
    return p.PublicOrder(found[0], bool(node.args.get("desc")), bool(node.args.get("nulls_first")))


def offset_of(scope: PublicScope, node: exp.Expr | None, place: exp.Expr, *, default: int) -> int | None:
    """Return a constant whole number from 0."""
    if node is None:
        return default
    found = constant(scope.asking, node)
    value = found[0].value if found is not None and isinstance(found[0], p.Value) else None
    if isinstance(value, Decimal) and value == int(value) and 0 <= value <= MOST_OFFSET:
        return int(value)
    scope.asking.refuse("not_admitted", place, what="OFFSET")
    return None


def _frame(scope: PublicScope, node: exp.Window) -> p.PublicFrame | bool | None:
    """Return a frame, None for none, False where it is refused: RANGE has no distances here."""
    spec = node.args.get("spec")
    if spec is None:
        return None
    kind = str(spec.args.get("kind")).upper()
    ends: list[int | None] = []
    for end, side in ((spec.args.get("start"), "start_side"), (spec.args.get("end") or "CURRENT ROW", "end_side")):
        if end == "CURRENT ROW":
            ends.append(0)
        elif end == "UNBOUNDED":
            ends.append(None)
        else:
            number = offset_of(scope, end, node, default=0) if isinstance(end, exp.Expr) and kind == "ROWS" else None
            if number is None:
                if kind != "ROWS":
                    scope.asking.refuse("not_admitted", node, ("ROWS BETWEEN …", "ROWS BETWEEN …"), what="RANGE …")
                return False
            ends.append(-number if str(spec.args.get(side)).upper() == "PRECEDING" else number)
    if kind not in {"ROWS", "RANGE"}:
        scope.asking.refuse("not_admitted", node, ("ROWS BETWEEN …", "ROWS BETWEEN …"), what=kind)
        return False
    return p.PublicFrame(kind == "RANGE", ends[0], ends[1])
