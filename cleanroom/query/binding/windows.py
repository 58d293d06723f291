"""Windows over one person's rows: PARTITION BY must name the unit (S14, S20)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from cleanroom.errors import Refusal
from cleanroom.query import algebra
from cleanroom.query.binding.aggregates import is_aggregate
from cleanroom.query.binding.functions import is_span, span_of
from cleanroom.query.binding.grouping import PersonGroups, ordering
from cleanroom.query.binding.joins import with_null
from cleanroom.query.binding.scalars import bind_scalar
from cleanroom.query.fanout import most_rows
from cleanroom.query.person_rows import Frame, FrameUnit, WindowFunction, WindowName
from cleanroom.query.terms.comparing import is_missing
from cleanroom.query.terms.conditional import case
from cleanroom.query.terms.dates import Span
from cleanroom.query.terms.language import Column, Integer
from cleanroom.query.terms.typed import Constant, Typed
from cleanroom.query.terms.types import DateType, NumberType

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
    exp.NthValue: WindowName.NTH_VALUE,
}
_MOST_RANGE: Final = 1 << 40
"""How far a RANGE frame reaches at most, in codes: a code and it together stay far within 64 bits."""


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
        frame = self._frame(scope, node, self._ordered_by(scope, order_node))
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
        if isinstance(call, exp.Ntile):
            many = self._offset(scope, call.this, default=0)
            if not many or frame is not None:
                scope.refuse("not_admitted", node, what="NTILE")
                return None
            kind = NumberType.between(1, many)
            function = WindowFunction(WindowName.NTILE, None, terms, order, offset=many)
            return self._add(function, Typed(Column(0), kind), partition)
        if type(call) in _VALUES:
            return self._value(scope, node, partition, order, frame)
        if is_aggregate(call):
            groups = PersonGroups(self.asking, self.rows, [], scope)
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

    def _ordered_by(self, scope: RowScope, node: exp.Expr | None) -> list[Typed]:
        """Return what a window is ordered by, with its types."""
        bound = [bind_scalar(each.this, scope) for each in (node.expressions if node is not None else ())]
        return [each for each in bound if isinstance(each, Typed)]

    def _value(
        self,
        scope: RowScope,
        node: exp.Window,
        partition: tuple[Typed, ...],
        order: tuple[Ordering, ...],
        frame: Frame | None,
    ) -> Typed | None:
        """Bind a function that shows another row's value."""
        call = node.this
        value = bind_scalar(call.this, scope)
        offset = self._offset(scope, call.args.get("offset"), default=1)
        named = _VALUES[type(call)]
        if not isinstance(value, Typed) or offset is None or (named is WindowName.NTH_VALUE and not offset):
            if value is not None:
                scope.refuse("not_admitted", node, what=type(call).__name__.upper())
            return None
        terms = tuple(each.term for each in partition)
        function = WindowFunction(named, value.term, terms, order, frame, offset=offset)
        shown = replace(value, type=with_null(value.type))
        if call.args.get("default") is None:
            return self._add(function, shown, partition)
        instead = bind_scalar(call.args["default"], scope)
        if instead is None:
            return None
        # Whether there is such a row: the same function of a value that every row has. Both stand in one relation, so
        # that rows which tie are in the same order for both (S20).
        of_one = replace(function, item=Integer(1))
        origins = value.origins.union(*(each.origins for each in partition))
        places = self.rows.add(
            algebra.Window(self.rows.relation, (function, of_one)),
            replace(shown, origins=origins),
            Typed(Column(0), NumberType.between(1, 1, nullable=True), origins),
        )
        found, there = (self.rows.columns[place] for place in places)
        made = case([(is_missing(there), instead)], found, scope.position(node))
        if isinstance(made, Refusal):
            scope.note(made)
            return None
        return made

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

    def _frame(self, scope: RowScope, node: exp.Window, order: list[Typed]) -> Frame | bool | None:
        """Return the frame as written, None for none, or False where it is refused."""
        spec = node.args.get("spec")
        if spec is None:
            return None
        kind = str(spec.args.get("kind") or "").upper()
        if kind not in {"ROWS", "RANGE"}:
            scope.refuse("not_admitted", node, what=f"{kind or 'OVER'} …")
            return False
        unit = FrameUnit[kind]
        by = order[0] if unit is FrameUnit.RANGE and len(order) == 1 else None
        start = self._end(scope, node, spec.args.get("start"), spec.args.get("start_side"), unit, by)
        end = self._end(scope, node, spec.args.get("end") or "CURRENT ROW", spec.args.get("end_side"), unit, by)
        if start is False or end is False:
            return False
        first = None if start is True else int(start)
        last = None if end is True else int(end)
        if first is not None and last is not None and first > last:
            scope.refuse("not_admitted", node, what=f"{kind} BETWEEN")
            return False
        return Frame(unit, first, last)

    def _end(
        self, scope: RowScope, node: exp.Window, end: object, side: object, unit: FrameUnit, by: Typed | None
    ) -> int | bool:
        """Return the offset of a frame's end, True for UNBOUNDED, False for what is refused."""
        if end == "CURRENT ROW":
            return 0
        if end == "UNBOUNDED":
            return True
        number = None
        if isinstance(end, exp.Expr):
            if unit is FrameUnit.ROWS:
                number = self._offset(scope, end, default=0)
            else:
                number = self._distance(scope, node, end, by)
        if number is None:
            return False
        return -number if str(side).upper() == "PRECEDING" else number

    def _distance(self, scope: RowScope, node: exp.Window, end: exp.Expr, by: Typed | None) -> int | None:
        """Return how many codes of the one term of ORDER BY a RANGE frame's end is away.

        Rows within a distance of a value are a function of the person's rows, ties included, so no tie-breaker is
        needed (S20). A distance of months is none in days, and is refused.
        """
        hint = (
            "ORDER BY une date ou un nombre RANGE BETWEEN INTERVAL 30 DAY PRECEDING AND CURRENT ROW",
            "ORDER BY one date or number RANGE BETWEEN INTERVAL 30 DAY PRECEDING AND CURRENT ROW",
        )
        codes: Fraction | None = None
        if by is not None and isinstance(by.type, DateType) and is_span(end):
            span = span_of(end, lambda each: bind_scalar(each, scope), scope)
            codes = Fraction(span.days) if isinstance(span, Span) and not span.months else None
        elif by is not None and isinstance(by.type, (DateType, NumberType)) and not is_span(end):
            bound = bind_scalar(end, scope)
            value = bound.value if isinstance(bound, Constant) else None
            if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
                resolution = by.type.resolution if isinstance(by.type, NumberType) else Fraction(1)
                # Between codes lie no values: a distance is cut to a whole number of them.
                codes = Fraction(math.floor(Fraction(value) / resolution))
        if codes is None or codes.denominator != 1 or not 0 <= codes <= _MOST_RANGE:
            scope.refuse("not_admitted", node, hint, what="RANGE …")
            return None
        return int(codes)
