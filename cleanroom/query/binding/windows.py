"""Windows over one person's rows: PARTITION BY must name the unit (S14, S20)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from cleanroom.query import algebra
from cleanroom.query.binding.aggregates import is_aggregate
from cleanroom.query.binding.grouping import PersonGroups, ordering
from cleanroom.query.binding.joins import with_null
from cleanroom.query.binding.scalars import bind_scalar
from cleanroom.query.fanout import most_rows
from cleanroom.query.person_rows import Frame, FrameUnit, WindowFunction, WindowName
from cleanroom.query.terms.language import Column
from cleanroom.query.terms.typed import Constant, Typed
from cleanroom.query.terms.types import NumberType

if TYPE_CHECKING:
    from cleanroom.query.binding.asking import Asking
    from cleanroom.query.binding.personal import Rows
    from cleanroom.query.binding.scope import RowScope
    from cleanroom.query.person_rows import Ordering

MOST_OFFSET: Final = 10_000
"""Rows before or after the present one that a window may name."""

_HINT: Final = ("OVER (PARTITION BY person ORDER BY …)", "OVER (PARTITION BY person ORDER BY …)")

_NUMBERS: Final[dict[type[exp.Expr], WindowName]] = {
    exp.RowNumber: WindowName.ROW_NUMBER,
    exp.Rank: WindowName.RANK,
    exp.DenseRank: WindowName.DENSE_RANK,
}
_VALUES: Final[dict[type[exp.Expr], WindowName]] = {
    exp.Lag: WindowName.LAG,
    exp.Lead: WindowName.LEAD,
    exp.FirstValue: WindowName.FIRST_VALUE,
    exp.LastValue: WindowName.LAST_VALUE,
}


@dataclass
class PersonWindows:
    """Adds the windows of a SELECT list to its rows, each as a column."""

    asking: Asking
    rows: Rows

    def column(self, scope: RowScope, node: exp.Window) -> Typed | None:
        """Bind a window function; `scope` names the rows."""
        partition: list[Typed] = []
        unit = False
        for each in node.args.get("partition_by") or ():
            if scope.unit(each, quiet=True) is not None:
                unit = True
                continue
            bound = bind_scalar(each, scope)
            if isinstance(bound, Typed):
                partition.append(bound)
        if not unit:
            scope.refuse("window_without_unit", node, _HINT)
            return None
        order_node = node.args.get("order")
        order: list[Ordering] = []
        for each in order_node.expressions if order_node is not None else ():
            made = ordering(scope, each)
            if made is None:
                return None
            order.append(made)
        frame = self._frame(scope, node)
        if frame is False:
            return None
        return self._made(scope, node, tuple(partition), tuple(order), frame if isinstance(frame, Frame) else None)

    def _made(
        self,
        scope: RowScope,
        node: exp.Window,
        partition: tuple[Typed, ...],
        order: tuple[Ordering, ...],
        frame: Frame | None,
    ) -> Typed | None:
        call = node.this
        terms = tuple(each.term for each in partition)
        most = most_rows(self.rows.relation, self.asking.limits())
        usual = min(most, self.asking.rows_counted(self.rows.relation))
        if type(call) in _NUMBERS:
            if frame is not None:
                scope.refuse("not_admitted", node, what="ROWS/RANGE")
                return None
            kind = NumberType(Fraction(1), 1, most, nullable=False, usual_lower=1, usual_upper=max(1, usual))
            function = WindowFunction(_NUMBERS[type(call)], None, terms, order)
            return self._add(function, Typed(Column(0), kind), partition)
        if type(call) in _VALUES:
            value = bind_scalar(call.this, scope)
            offset = self._offset(scope, call.args.get("offset"), default=1)
            if not isinstance(value, Typed) or offset is None:
                if value is not None:
                    scope.refuse("not_admitted", node, what=type(call).__name__.upper())
                return None
            named = _VALUES[type(call)]
            function = WindowFunction(named, value.term, terms, order, frame, offset=offset)
            return self._add(function, replace(value, type=with_null(value.type)), partition)
        if is_aggregate(call):
            groups = PersonGroups(self.asking, self.rows, [], replace(scope, instead=None))
            fact = groups.aggregate(call)
            if fact is None:
                return None
            (aggregate,) = groups.aggregates
            if aggregate.order:
                scope.refuse("not_admitted", node, what="FIRST/LAST OVER")
                return None
            function = WindowFunction(WindowName.AGGREGATE, aggregate.item, terms, order, frame, aggregate)
            return self._add(function, fact, partition)
        scope.refuse("not_admitted", node, what=type(call).__name__)
        return None

    def _add(self, function: WindowFunction, fact: Typed, partition: tuple[Typed, ...]) -> Typed:
        origins = fact.origins.union(*(each.origins for each in partition))
        fact = replace(fact, origins=origins)
        (place,) = self.rows.add(algebra.Window(self.rows.relation, (function,)), fact)
        return self.rows.columns[place]

    def _offset(self, scope: RowScope, node: exp.Expr | None, *, default: int) -> int | None:
        if node is None:
            return default
        bound = bind_scalar(node, scope)
        value = bound.value if isinstance(bound, Constant) else None
        try:
            number = int(str(value))
        except ValueError:
            number = -1
        if not 0 <= number <= MOST_OFFSET or isinstance(value, bool):
            scope.refuse("not_admitted", node, what="OFFSET")
            return None
        return number

    def _frame(self, scope: RowScope, node: exp.Window) -> Frame | bool | None:
        """Return the frame as written, None for none, or False where it is refused."""
        spec = node.args.get("spec")
        if spec is None:
            return None
        kind = str(spec.args.get("kind") or "").upper()
        start = self._end(scope, spec.args.get("start"), spec.args.get("start_side"))
        end = self._end(scope, spec.args.get("end") or "CURRENT ROW", spec.args.get("end_side"))
        if kind not in {"ROWS", "RANGE"} or start is False or end is False:
            scope.refuse("not_admitted", node, what=f"{kind or 'OVER'} …")
            return False
        first = None if start is True else int(start)
        last = None if end is True else int(end)
        unit = FrameUnit[kind]
        if unit is FrameUnit.RANGE and not ({first, last} <= {None, 0}):
            scope.refuse("not_admitted", node, what="RANGE n PRECEDING", hint=("ROWS …", "ROWS …"))
            return False
        if unit is FrameUnit.ROWS and first is not None and last is not None and first > last:
            scope.refuse("not_admitted", node, what="ROWS BETWEEN")
            return False
        return Frame(unit, first, last)

    def _end(self, scope: RowScope, end: object, side: object) -> int | bool:
        """Return the offset of a frame's end, True for UNBOUNDED, False for what is none."""
        if end == "CURRENT ROW":
            return 0
        if end == "UNBOUNDED":
            return True
        number = self._offset(scope, end, default=0) if isinstance(end, exp.Expr) else None
        if number is None:
            return False
        return -number if str(side).upper() == "PRECEDING" else number
