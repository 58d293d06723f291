"""Say of each row whether a predicate holds, of columns as narrow as they lie.

In SQL's logic of three values: a predicate is true, false or neither, and rows are kept where it is true. Codes of one
or two bytes are compared many at a time; whatever their width, what is compared is the value.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Final, assert_never

import numpy as np
from numba import njit

from cleanroom.errors import InvariantBroken
from cleanroom.query import algebra
from cleanroom.query.algebra import Comparison, Predicate, Truth
from cleanroom.query.terms.evaluate import Values, evaluate
from cleanroom.query.terms.language import Column, Compared, Integer, columns_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from cleanroom.query.terms.language import Term
    from cleanroom.query.terms.types import Code
    from cleanroom.storage.scan import CodeColumn

    Int64s = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]

_LARGEST_INTEGER: Final = 1 << 62
_LEAST: Final = -(1 << 63)
_MOST: Final = (1 << 63) - 1
_SHORT_LIST: Final = 8
"""Codes of a list up to which each is compared with narrow codes by itself."""

_LARGEST_LIST: Final = 1 << 16
"""Codes between the least and the greatest of a set up to which membership is looked up, not searched."""


def where(predicate: Predicate, columns: Sequence[CodeColumn], rows: int, *, wanted: bool = True) -> Bools:
    """Return which of so many rows a predicate is true of, or false of; neither holds where it is NULL."""
    match predicate:
        case Truth():
            return np.full(rows, predicate is (Truth.TRUE if wanted else Truth.FALSE))
        case algebra.And(items=items) | algebra.Or(items=items):
            # Not(And) is the Or of the negations, in three-valued logic too.
            every = isinstance(predicate, algebra.And) == wanted
            parts = [where(item, columns, rows, wanted=wanted) for item in items]
            return reduce(np.logical_and if every else np.logical_or, parts) if parts else np.full(rows, every)
        case algebra.Not(item=item):
            return where(item, columns, rows, wanted=not wanted)
        case algebra.IsNull(column=column):
            present = columns[column].present
            missing = np.zeros(rows, dtype=np.bool_) if present is None else ~present
            return missing if wanted else ~missing
        case algebra.InRange(column=column, lower=lower, upper=upper):
            return _known(_ranged(columns[column], lower, upper, wanted), columns[column])
        case algebra.InSet(column=column, codes=codes):
            return _known(_listed(columns[column], codes, wanted), columns[column])
        case algebra.CompareColumns(comparison=comparison, left=left, right=right):
            one, other = columns[left], columns[right]
            return _known(_known(_compared(comparison, one.values, other.values) == wanted, one), other)
        case algebra.Holds(term=term):
            found = evaluate(term, {place: _values(columns[place]) for place in columns_of(term)}, rows)
            held: Bools = (found.data.astype(np.bool_) == wanted) & found.present
            return held
        case algebra.TextIn():
            raise InvariantBroken("this predicate is for the engine")
    assert_never(predicate)


def decides(predicate: Predicate) -> bool:
    """Return whether a predicate is one that is decided here; others are for the engine."""
    match predicate:
        case algebra.And(items=items) | algebra.Or(items=items):
            return all(decides(item) for item in items)
        case algebra.Not(item=item):
            return decides(item)
        case algebra.Holds(term=Compared(left=left, right=right)):
            return plain(left) and plain(right)
        case algebra.TextIn() | algebra.Holds():
            return False
        case _:
            return True


def plain(term: Term) -> bool:
    """Return whether a term is a column or a number that 64 bits hold with room to spare."""
    return isinstance(term, Column) or (isinstance(term, Integer) and abs(term.value) < _LARGEST_INTEGER)


def _values(column: CodeColumn) -> Values:
    present = np.ones(len(column.codes), dtype=np.bool_) if column.present is None else column.present
    return Values(column.values, present)


def _known(holds: Bools, column: CodeColumn) -> Bools:
    return holds if column.present is None else holds & column.present


def _ranged(column: CodeColumn, lower: int | None, upper: int | None, wanted: bool) -> Bools:
    """Return where a value is within bounds, or where it is not."""
    least = _LEAST if lower is None else max(lower, _LEAST)
    most = _MOST if upper is None else min(upper, _MOST)
    codes = column.codes
    if _narrow(codes):
        least, most = max(least - column.first, 0), min(most - column.first, np.iinfo(codes.dtype).max)
    if least > most:
        return np.full(len(codes), not wanted)
    if _narrow(codes):
        # Unsigned: a code below the least wraps to one beyond.
        away = codes - codes.dtype.type(least)
        return np.asarray(away <= most - least if wanted else away > most - least, dtype=np.bool_)
    found: Bools = _in_range(column.values, least, most, wanted)
    return found


def _narrow(codes: npt.NDArray[np.integer]) -> bool:
    """Return whether codes are such that the processor compares many at a time."""
    return codes.dtype.kind == "u"


def _listed(column: CodeColumn, codes: Sequence[Code], wanted: bool) -> Bools:
    """Return where a value is in a list, or where it is not."""
    listed = np.array(sorted({int(code) for code in codes}), dtype=np.int64)
    if len(listed) <= _SHORT_LIST and _narrow(column.codes):
        found: Bools = np.full(len(column.codes), not wanted)
        for code in listed.tolist():
            alike = _ranged(column, code, code, wanted)
            found = found | alike if wanted else found & alike
        return found
    if not len(listed):
        return np.full(len(column.codes), not wanted)
    values, least, most = column.values, int(listed[0]), int(listed[-1])
    if most - least >= _LARGEST_LIST:
        return np.asarray(np.isin(values, listed) == wanted)
    inside = np.zeros(most - least + 1, dtype=np.bool_)
    inside[listed - least] = True
    looked_up: Bools = _in_list(values, inside, np.int64(least), np.int64(most), wanted)
    return looked_up


def _compared(comparison: Comparison, left: Int64s, right: Int64s) -> Bools:
    match comparison:
        case Comparison.EQUAL:
            holds = left == right
        case Comparison.LESS:
            holds = left < right
        case Comparison.LESS_OR_EQUAL:
            holds = left <= right
        case _:
            assert_never(comparison)
    return np.asarray(holds, dtype=np.bool_)


@njit(cache=True, nogil=True)
def _in_range(values, least, most, wanted):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return which values are from `least` to `most`, or which are not."""
    found = np.empty(values.shape[0], dtype=np.bool_)
    for row in range(values.shape[0]):
        found[row] = ((values[row] >= least) & (values[row] <= most)) == wanted
    return found


@njit(cache=True, nogil=True)
def _in_list(values, inside, least, most, wanted):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return which values are in a list that says of each number from `least` to `most` if it is, or which are not."""
    found = np.empty(values.shape[0], dtype=np.bool_)
    first, last = np.uint64(least), np.uint64(most) - np.uint64(least)
    for row in range(values.shape[0]):
        # No branch. A number below the least wraps to one beyond the list, which is short.
        place = np.uint64(values[row]) - first
        found[row] = ((place <= last) & inside[min(place, last)]) == wanted
    return found
