"""What a predicate of the algebra means, for tests."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

from cleanroom.query import algebra
from cleanroom.query.terms import language as t
from cleanroom.query.terms.evaluate import Values, evaluate

if TYPE_CHECKING:
    from collections.abc import Mapping


def holds(predicate: algebra.Predicate, rows: Mapping[int, Values], count: int) -> Values:
    """Return where a predicate is true, false or NULL."""
    match predicate:
        case algebra.Truth():
            known = {algebra.Truth.TRUE: True, algebra.Truth.FALSE: False, algebra.Truth.UNKNOWN: None}
            return Values.of([known[predicate]] * count, bool)
        case algebra.Holds(term=term):
            return evaluate(term, rows, count)
        case algebra.InRange(column=column, lower=lower, upper=upper):
            values = rows[column]
            inside = np.ones(count, np.bool_)
            if lower is not None:
                inside &= values.data >= lower
            if upper is not None:
                inside &= values.data <= upper
            return Values(inside, values.present)
        case algebra.InSet(column=column, codes=listed) | algebra.TextIn(column=column, values=listed):
            return evaluate(t.OneOf(t.Column(column), listed), rows, count)
        case algebra.IsNull(column=column):
            return evaluate(t.Missing(t.Column(column)), rows, count)
        case algebra.Not(item=item):
            inside_out = holds(item, rows, count)
            return Values(~inside_out.data, inside_out.present)
        case algebra.And(items=items):
            return _joined(t.AllOf, [holds(item, rows, count) for item in items], count)
        case algebra.Or(items=items):
            return _joined(t.AnyOf, [holds(item, rows, count) for item in items], count)
    raise AssertionError(predicate)


def _joined(node: type[t.AllOf] | type[t.AnyOf], items: list[Values], count: int) -> Values:
    def two(a: Values, b: Values) -> Values:
        return evaluate(node((t.Column(0), t.Column(1))), {0: a, 1: b}, count)

    return reduce(two, items)
