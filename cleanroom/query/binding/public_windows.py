"""Windows over released and public rows: rankings, LAG and LEAD, aggregates of a frame."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from cleanroom.query.binding.public_constants import Bound, constant
from cleanroom.query.public import language as p
from cleanroom.query.public.language import Kind

if TYPE_CHECKING:
    from cleanroom.query.binding.public_terms import PublicScope

RANKINGS: Final[dict[type[exp.Expr], p.Ranking]] = {
    exp.RowNumber: p.Ranking.ROW_NUMBER, exp.Rank: p.Ranking.RANK, exp.DenseRank: p.Ranking.DENSE_RANK,
    exp.Lag: p.Ranking.LAG, exp.Lead: p.Ranking.LEAD,
}  # fmt: skip
MOST_OFFSET: Final = 10_000


def window(scope: PublicScope, node: exp.Window) -> Bound | None:
    """Bind a window function."""
    if not scope.windows:
        scope.asking.refuse("not_admitted", node, what="OVER")
        return None
    inner = replace(scope, windows=False)
    partition = [inner.bind(each) for each in node.args.get("partition_by") or ()]
    order_node = node.args.get("order")
    order = [ordered(inner, each) for each in (order_node.expressions if order_node is not None else ())]
    rows = frame(scope, node)
    if rows is False or any(each is None for each in (*partition, *order)):
        return None
    window = p.PublicWindow(
        tuple(each[0] for each in partition if each is not None),
        tuple(each for each in order if each is not None),
        rows if isinstance(rows, tuple) else None,
    )
    call = node.this
    ranking = RANKINGS.get(type(call))
    if ranking is None:
        return inner.fold(call, window)
    item = inner.bind(call.this) if ranking in {p.Ranking.LAG, p.Ranking.LEAD} else None
    away = offset(scope, call.args.get("offset"), node, default=1)
    if away is None or (item is None and ranking in {p.Ranking.LAG, p.Ranking.LEAD}):
        return None
    kind = item[1].kind if item is not None else Kind.NUMBER
    behind = item[1].behind if item is not None else frozenset()
    ranked = p.Ranked(ranking, item[0] if item is not None else None, away, kind, behind, window)
    return ranked, p.PublicColumn("", "", kind, behind)


def ordered(scope: PublicScope, node: exp.Expr) -> p.PublicOrder | None:
    """Bind a term of ORDER BY."""
    term = node.this if isinstance(node, exp.Ordered) else node
    found = scope.bind(term)
    if found is None:
        return None
    return p.PublicOrder(found[0], bool(node.args.get("desc")), bool(node.args.get("nulls_first")))


def offset(scope: PublicScope, node: exp.Expr | None, place: exp.Expr, *, default: int) -> int | None:
    """Return a constant whole number from 0."""
    if node is None:
        return default
    found = constant(scope.asking, node)
    value = found[0].value if found is not None and isinstance(found[0], p.Value) else None
    if isinstance(value, Decimal) and value == int(value) and 0 <= value <= MOST_OFFSET:
        return int(value)
    scope.asking.refuse("not_admitted", place, what="OFFSET")
    return None


def frame(scope: PublicScope, node: exp.Window) -> tuple[int | None, int | None] | bool | None:
    """Return a ROWS frame's ends, None for no frame, False where it is refused."""
    spec = node.args.get("spec")
    if spec is None:
        return None
    ends: list[int | None] = []
    for end, side in ((spec.args.get("start"), "start_side"), (spec.args.get("end") or "CURRENT ROW", "end_side")):
        if end == "CURRENT ROW":
            ends.append(0)
        elif end == "UNBOUNDED":
            ends.append(None)
        else:
            number = offset(scope, end, node, default=0) if isinstance(end, exp.Expr) else None
            if number is None:
                return False
            ends.append(-number if str(spec.args.get(side)).upper() == "PRECEDING" else number)
    if str(spec.args.get("kind")).upper() != "ROWS":
        scope.asking.refuse("not_admitted", node, ("ROWS BETWEEN …", "ROWS BETWEEN …"), what="RANGE")
        return False
    return ends[0], ends[1]
