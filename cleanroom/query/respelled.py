"""Write other spellings as those that are bound: `x = ANY (SELECT …)` as IN, OVER w as what WINDOW says of w.

It works on sqlglot's tree, before the allow-list looks at it. Each rewriting is an identity of SQL, said beside it;
what is no known spelling stays as it is, and the allow-list refuses it. Nothing is proved here: what comes out is
bound like any text, so a wrong identity costs accuracy, never a bound. Copies are counted, so that text cannot
multiply.
"""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, Final

from sqlglot import exp

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_COPIED: Final = 5_000
"""Nodes that rewritings may copy in one question."""

_COMPARISONS: Final = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.Between)
_MIDNIGHT: Final = re.compile(r"(\d{4}-\d{2}-\d{2})( 00:00(:00(\.0+)?)?)?", re.ASCII)
_POWERS: Final = {"2": 2, "3": 3, "4": 4}
_WITHIN: Final = {"this", "alias", "over"}


class _Copies:
    """How many nodes may still be copied."""

    def __init__(self) -> None:
        self.left = MOST_COPIED

    def of(self, *nodes: exp.Expr) -> list[exp.Expr] | None:
        """Return copies, or None if they are too many."""
        self.left -= sum(sum(1 for _ in node.walk()) for node in nodes)
        return None if self.left < 0 else [node.copy() for node in nodes]


def respelled(tree: exp.Expr) -> None:
    """Rewrite a tree in place."""
    copies = _Copies()
    # Leaves first: what a rewriting copies is already rewritten.
    for node in reversed(list(tree.walk())):
        if isinstance(node, exp.Select):
            _windows(node, copies)
            _groups(node)
            _fetch(node)
            continue
        rewrite = _REWRITES.get(type(node))
        made = None if rewrite is None or node is tree else rewrite(node, copies)
        if made is not None:
            made.meta.update({name: value for name, value in node.meta.items() if name not in made.meta})
            node.replace(made)


def _given(node: exp.Expr) -> set[str]:
    return {name for name, value in node.args.items() if value not in (None, False, [], ())}


def _windows(select: exp.Select, copies: _Copies) -> None:
    """Write `OVER w` out as what WINDOW says of w; a name that two windows have stays, and is refused."""
    listed = select.args.get("windows") or []
    named = {str(each.this.name).lower(): each for each in listed if isinstance(each.this, exp.Identifier)}
    if not named or len(named) < len(listed) or any(_given(each) & {"alias", "first"} for each in listed):
        return
    for window in list(_own(select)):
        if "alias" not in _given(window) or not _given(window) <= _WITHIN:
            continue
        meant = named.get(str(window.args["alias"].name).lower())
        held = None if meant is None else copies.of(meant)
        if held is None:
            return
        for part in ("partition_by", "order", "spec"):
            window.set(part, held[0].args.get(part))
        window.set("alias", None)
    select.set("windows", None)


def _own(node: exp.Expr) -> list[exp.Window]:
    """Return the windows of a SELECT itself, not of SELECTs inside it."""
    found: list[exp.Window] = []
    waiting = list(node.iter_expressions())
    while waiting:
        each = waiting.pop()
        if isinstance(each, (exp.Select, exp.Union, exp.Intersect, exp.Except)):
            continue
        if isinstance(each, exp.Window):
            found.append(each)
        waiting += each.iter_expressions()
    return found


def _groups(select: exp.Select) -> None:
    """Write GROUP BY (a, b) as GROUP BY a, b; GROUP BY () is one group of all rows, as an aggregate alone has it.

    Without an aggregate it stays, to be refused: it makes a row of none, which EXISTS would see.
    """
    group = select.args.get("group")
    if group is None or not any(isinstance(each, exp.Tuple) for each in group.expressions):
        return
    flat: list[exp.Expr] = []
    for each in group.expressions:
        flat += each.expressions if isinstance(each, exp.Tuple) else [each]
    if not flat and not any(each.find(exp.AggFunc) for each in select.expressions):
        return
    group.set("expressions", flat)
    if not _given(group):
        select.set("group", None)


def _fetch(select: exp.Select) -> None:
    """Write FETCH FIRST n ROWS ONLY as LIMIT n."""
    fetch = select.args.get("limit")
    if not isinstance(fetch, exp.Fetch) or fetch.args.get("count") is None:
        return
    options = fetch.args.get("limit_options")
    if options is None or not (options.args.get("percent") or options.args.get("with_ties")):
        select.set("limit", exp.Limit(expression=fetch.args["count"]))


def _count(node: exp.Expr, _: _Copies) -> exp.Expr | None:
    """COUNT() is COUNT(*)."""
    return None if _given(node) - {"big_int"} else exp.Count(this=exp.Star(), big_int=True)


def _named(node: exp.Expr, _: _Copies) -> exp.Expr | None:
    """count_star() is COUNT(*); mean(x) is AVG(x)."""
    name, arguments = str(node.this).lower(), node.expressions
    if name == "count_star" and not arguments:
        return exp.Count(this=exp.Star(), big_int=True)
    if name == "mean" and len(arguments) == 1:
        return exp.Avg(this=arguments[0])
    return None


def _quantile(node: exp.Expr, _: _Copies) -> exp.Expr | None:
    """quantile(x, q) is QUANTILE_DISC(x, q)."""
    if _given(node) != {"this", "quantile"}:
        return None
    return exp.PercentileDisc(this=node.this, expression=node.args["quantile"])


def _some(node: exp.Expr, _: _Copies) -> exp.Expr | None:
    """x = ANY (SELECT …) is x IN (SELECT …), and x <> ALL (SELECT …) its negation."""
    quantified = exp.Any if isinstance(node, exp.EQ) else exp.All
    right = node.expression
    if not isinstance(right, quantified) or not isinstance(right.this, (exp.Subquery, exp.Select)):
        return None
    query = right.this if isinstance(right.this, exp.Subquery) else exp.Subquery(this=right.this)
    inside = exp.In(this=node.this, query=query)
    return inside if isinstance(node, exp.EQ) else exp.Not(this=inside)


def _in_tuples(node: exp.Expr, copies: _Copies) -> exp.Expr | None:
    """(a, b) IN ((1, 2), …) is a IS NOT DISTINCT FROM 1 AND … OR …: DuckDB compares rows so, NULL with NULL."""
    left, rows = node.this, node.expressions
    if not isinstance(left, exp.Tuple) or not rows or _given(node) != {"this", "expressions"}:
        return None
    if any(not isinstance(row, exp.Tuple) or len(row.expressions) != len(left.expressions) for row in rows):
        return None
    either: exp.Expr | None = None
    for row in rows:
        sides = copies.of(*left.expressions)
        if sides is None:
            return None
        both: exp.Expr | None = None
        for mine, theirs in zip(sides, row.expressions, strict=True):
            equal: exp.Expr = exp.NullSafeEQ(this=mine, expression=theirs)
            both = equal if both is None else exp.And(this=both, expression=equal)
        either = both if either is None else exp.Or(this=either, expression=both)
    return None if either is None else exp.Paren(this=either)


def _format_first(node: exp.Expr, _: _Copies) -> exp.Expr | None:
    """strftime('%Y', day) is strftime(day, '%Y')."""
    shape, day = node.this, node.args.get("format")
    if not isinstance(shape, exp.Literal) or not shape.is_string or not isinstance(day, exp.Column):
        return None
    return exp.TimeToStr(this=day, format=shape)


def _try_cast(node: exp.Expr, _: _Copies) -> exp.Expr | None:
    """TRY_CAST is CAST where that cannot fail; where it could, CAST is refused."""
    return exp.Cast(this=node.this, to=node.args["to"]) if _given(node) == {"this", "to", "safe"} else None


def _midnight(node: exp.Expr, _: _Copies) -> exp.Expr | None:
    """A day compared with a midnight is compared with that day."""
    text, parent = node.this, node.parent
    if node.args["to"].this not in {exp.DataType.Type.TIMESTAMPNTZ, exp.DataType.Type.TIMESTAMP}:
        return None
    if not isinstance(text, exp.Literal) or not isinstance(parent, _COMPARISONS):
        return None
    found = _MIDNIGHT.fullmatch(str(text.this)) if text.is_string else None
    return None if found is None else _day(found.group(1), text)


def _make_date(node: exp.Expr, _: _Copies) -> exp.Expr | None:
    """make_date(2024, 2, 29) is DATE '2024-02-29'; a day that does not exist stays, and is refused."""
    parts = [node.args.get(name) for name in ("year", "month", "day")]
    if not all(isinstance(part, exp.Literal) and str(part.this).isdecimal() for part in parts):
        return None
    try:
        made = date(*(int(str(part.this)) for part in parts if part is not None))
    except (ValueError, OverflowError):
        return None
    return _day(made.isoformat(), node)


def _day(text: str, place: exp.Expr) -> exp.Expr:
    literal = exp.Literal.string(text)
    literal.meta.update(place.meta)
    return exp.Cast(this=literal, to=exp.DataType(this=exp.DataType.Type.DATE))


def _power(node: exp.Expr, copies: _Copies) -> exp.Expr | None:
    """x ** 2 is x * x; so are the third and fourth powers."""
    count = _POWERS.get(str(node.expression.this)) if isinstance(node.expression, exp.Literal) else None
    if count is None or node.expression.is_string:
        return None
    factors = copies.of(*([node.this] * count))
    if factors is None:
        return None
    product: exp.Expr = exp.Paren(this=factors[0])
    for factor in factors[1:]:
        product = exp.Mul(this=product, expression=exp.Paren(this=factor))
    return exp.Paren(this=product)


_REWRITES: Final[dict[type[exp.Expr], Callable[[exp.Expr, _Copies], exp.Expr | None]]] = {
    exp.Count: _count,
    exp.Anonymous: _named,
    exp.Quantile: _quantile,
    exp.EQ: _some,
    exp.NEQ: _some,
    exp.In: _in_tuples,
    exp.TimeToStr: _format_first,
    exp.TryCast: _try_cast,
    exp.Cast: _midnight,
    exp.DateFromParts: _make_date,
    exp.Pow: _power,
}
