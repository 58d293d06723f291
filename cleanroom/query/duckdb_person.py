"""Print what is computed within one person's rows: GROUP BY and PARTITION BY always begin with the unit (S14).

The terms are computed in a subquery under names of ours (k, x, w, o, p), so that each is printed once and bound once;
what depends on an order ends it with every column, so that ties are between equal rows (S20).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cleanroom.query import algebra
from cleanroom.query.person_rows import (
    Frame,
    FrameUnit,
    Ordering,
    PersonAggregate,
    PersonFunction,
    WindowFunction,
    WindowName,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cleanroom.query.terms.language import Term

    Print = Callable[[Term], str]

_PLAIN: Final = {
    PersonFunction.COUNT: "COUNT",
    PersonFunction.LEAST: "MIN",
    PersonFunction.GREATEST: "MAX",
    PersonFunction.EVERY: "BOOL_AND",
    PersonFunction.SOME: "BOOL_OR",
}
_COUNTING: Final = frozenset({WindowName.LAG, WindowName.LEAD, WindowName.NTH_VALUE})
"""Functions of a row so many away."""

_UNTIED: Final = frozenset({WindowName.RANK, WindowName.DENSE_RANK})
"""Functions of the order's peers: tie-breakers would change them, and they need none."""


class Inner:
    """The columns of the subquery that computes terms, in the order in which they are printed."""

    def __init__(self, printed: Print) -> None:
        self._printed = printed
        self.listed: list[str] = []

    def name(self, prefix: str, term: Term) -> str:
        """Compute a term under a new name; return the name as the SELECT around writes it."""
        name = f"{prefix}{len(self.listed)}"
        self.listed.append(f'{self._printed(term)} AS "{name}"')
        return f'g."{name}"'

    def order(self, orders: Sequence[Ordering]) -> list[str]:
        """Compute what to order by."""
        return [
            f"{self.name('o', each.term)} {'DESC' if each.descending else 'ASC'} "
            f"NULLS {'FIRST' if each.nulls_first else 'LAST'}"
            for each in orders
        ]


def all_columns(width: int) -> list[str]:
    """Return every column of the subquery's source."""
    return [f'g."c{place}"' for place in range(width)]


def grouped(node: algebra.GroupPerson, printed: Print, body: Callable[[], str]) -> str:
    """Print GROUP BY unit and keys.

    Args:
        printed: prints a term over the source's columns.
        body: prints the source; called after the terms, as it stands after them in the text.
    """
    inner = Inner(printed)
    ties = all_columns(algebra.column_count(node.source))
    keys = [inner.name("k", key) for key in node.keys]
    values = [_aggregate(each, inner, ties) for each in node.aggregates]
    listed = "".join(f', {each} AS "c{place}"' for place, each in enumerate([*keys, *values]))
    kept = _kept(algebra.column_count(node.source), inner)
    groups = ", ".join(['g."u"', *keys])
    return f'SELECT g."u"{listed} FROM (SELECT t."u"{kept} FROM ({body()}) AS t) AS g GROUP BY {groups}'  # noqa: S608


def _kept(width: int, inner: Inner) -> str:
    return "".join(f", {each}" for each in [*inner.listed, *(f't."c{place}"' for place in range(width))])


def _aggregate(aggregate: PersonAggregate, inner: Inner, ties: list[str], over: str = "") -> str:
    """Print an aggregate of rows, or with `over` of the rows of a frame."""
    item = inner.name("x", aggregate.item) if aggregate.item is not None else "*"
    where = f" FILTER (WHERE {inner.name('w', aggregate.where)})" if aggregate.where is not None else ""
    function, end = aggregate.function, f"{where}{over}"
    if function in _PLAIN:
        return f"{_PLAIN[function]}({item}){end}"
    match function:
        case PersonFunction.COUNT_ROWS:
            return f"COUNT(*){end}"
        case PersonFunction.COUNT_DISTINCT:
            return f"COUNT(DISTINCT {item}){end}"
        case PersonFunction.SUM:
            return f"TRY_CAST(SUM({item}){end} AS BIGINT)"
        case PersonFunction.AVERAGE:
            # Twice the quotient, cut towards 0, and then its half: a decimal's cast rounds halves away from 0.
            total = f"CAST(SUM({item}){end} AS HUGEINT) * {2 * aggregate.scale}"
            twice = f"TRY_CAST(({total}) // NULLIF(COUNT({item}){end}, 0) AS BIGINT)"
            return f"CAST(CAST({twice} AS DECIMAL(19, 0)) * CAST(0.5 AS DECIMAL(2, 1)) AS BIGINT)"
        case _:
            name = "FIRST" if function is PersonFunction.FIRST else "LAST"
            order = ", ".join([*inner.order(aggregate.order), *ties])
            return f"{name}({item} ORDER BY {order}){end}"


def windowed(node: algebra.Window, printed: Print, body: Callable[[], str]) -> str:
    """Print window functions over PARTITION BY unit and terms; see `grouped` for the arguments."""
    inner = Inner(printed)
    width = algebra.column_count(node.source)
    ties = all_columns(width)
    values = [_window(each, inner, ties) for each in node.functions]
    listed = "".join(f', {each} AS "c{place}"' for place, each in enumerate([*ties, *values]))
    kept = _kept(width, inner)
    return f'SELECT g."u"{listed} FROM (SELECT t."u"{kept} FROM ({body()}) AS t) AS g'  # noqa: S608


def _window(function: WindowFunction, inner: Inner, ties: list[str]) -> str:
    partition = ", ".join(['g."u"', *(inner.name("p", each) for each in function.partition)])
    order = inner.order(function.order)
    frame = function.frame
    # Functions of peers and RANGE frames need no tie-breakers; all others get every column (S20).
    of_peers = function.name is WindowName.AGGREGATE and (frame is None or frame.unit is FrameUnit.RANGE)
    if function.name not in _UNTIED and not of_peers:
        order += ties
    by = f" ORDER BY {', '.join(order)}" if order else ""
    over = f" OVER (PARTITION BY {partition}{by}{_frame(frame)})"
    name = function.name.value.upper()
    if function.aggregate is not None:
        return _aggregate(function.aggregate, inner, ties, over)
    if function.item is None:
        return f"{name}({function.offset if function.name is WindowName.NTILE else ''}){over}"
    offset = f", {function.offset}" if function.name in _COUNTING else ""
    return f"{name}({inner.name('x', function.item)}{offset}){over}"


def _frame(frame: Frame | None) -> str:
    if frame is None:
        return ""
    return f" {frame.unit.value} BETWEEN {_end(frame.start, 'PRECEDING')} AND {_end(frame.end, 'FOLLOWING')}"


def _end(offset: int | None, open_end: str) -> str:
    if offset is None:
        return f"UNBOUNDED {open_end}"
    if offset == 0:
        return "CURRENT ROW"
    return f"{abs(offset)} {'PRECEDING' if offset < 0 else 'FOLLOWING'}"
