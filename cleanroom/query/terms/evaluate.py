"""What a term means: the reference semantics, on arrays, exact and total for any 64-bit codes.

Admission uses it to know every value that a term can have over declared domains (`universes`); tests hold what the
engine computes from `duckdb_terms` against it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, Final, assert_never

import numpy as np
import numpy.typing as npt

from cleanroom.query.terms import language as t
from cleanroom.query.terms import letters
from cleanroom.query.terms.calendar_parts import add_months, part_of, start_of
from cleanroom.query.terms.types import LARGEST_DIVIDEND, LONGEST_TEXT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_INT64: Final = np.iinfo(np.int64)
FURTHEST_DAY: Final = 9_999_999
"""Days from 1970-01-01 beyond which a code is no day, but NULL."""

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Values:
    """One value a row.

    Args:
        data: int64 codes, booleans, or an object array of str; anything where `present` is false.
        present: False where the value is NULL.
    """

    data: npt.NDArray[Any]
    present: Bools

    @classmethod
    def of(cls, items: Sequence[int | bool | str | None], kind: type = int) -> Values:
        """Return the values of a list, None for NULL; `kind` is int, bool or str."""
        dtype: Any = {int: np.int64, bool: np.bool_, str: object}[kind]
        data = np.zeros(len(items), dtype) if kind is not str else np.full(len(items), "", object)
        for place, item in enumerate(items):
            if item is not None:
                data[place] = item
        return cls(data, np.array([item is not None for item in items], np.bool_))

    def items(self) -> list[int | bool | str | None]:
        """Return the values as a list, None for NULL."""
        pairs = zip(self.data.tolist(), self.present.tolist(), strict=True)
        return [value if there else None for value, there in pairs]


def evaluate(term: t.Term, columns: Mapping[int, Values], rows: int | None = None) -> Values:
    """Return the values of a term on every row.

    Args:
        columns: the values of each column that the term looks at.
        rows: how many rows there are, where no column says it.
    """
    if rows is None:
        rows = next((len(column.present) for column in columns.values()), 1)
    return _Evaluation(columns, rows).value(term)


def is_true(values: Values) -> Bools:
    """Return where a boolean is true: neither false nor NULL."""
    true: Bools = values.data.astype(np.bool_) & values.present
    return true


@dataclass(frozen=True, slots=True)
class _Evaluation:
    columns: Mapping[int, Values]
    rows: int

    def value(self, term: t.Term) -> Values:
        match term:
            case t.Column(index=index):
                return self.columns[index]
            case t.Integer(value=number):
                return self.constant(number, np.int64)
            case t.Word(value=text):
                return self.constant(text, object)
            case t.Flag(value=flag):
                return self.constant(flag, np.bool_)
            case t.Nothing(text=text):
                return self.constant(None, object if text else np.int64)
            case t.Plus(left=left, right=right):
                return _exact(lambda a, b: a + b, lambda a, b: a + b, self.value(left), self.value(right))
            case t.Minus(left=left, right=right):
                return _exact(lambda a, b: a - b, lambda a, b: a + b, self.value(left), self.value(right))
            case t.Times(left=left, right=right):
                return _exact(lambda a, b: a * b, lambda a, b: a * b, self.value(left), self.value(right))
            case t.FloorDivide(item=item, divisor=divisor):
                values = self.value(item)
                highest = min((1 << 64) - 1 - floor_multiple(divisor), int(_INT64.max)) if divisor > 1 else _INT64.max
                return Values(values.data // divisor, values.present & (values.data <= highest))
            case t.Quotient(left=left, right=right, scale=scale):
                return _quotient(self.value(left), self.value(right), scale)
            case t.Remainder(item=item, divisor=divisor):
                values = self.value(item)
                return Values(np.fmod(values.data, np.int64(divisor)), values.present)
            case t.Absolute(item=item):
                return _exact(abs, abs, self.value(item))
            case t.Sign(item=item):
                values = self.value(item)
                return Values(np.sign(values.data), values.present)
            case t.Least(items=items):
                return reduce(lambda a, b: _extreme(np.minimum, a, b), [self.value(item) for item in items])
            case t.Greatest(items=items):
                return reduce(lambda a, b: _extreme(np.maximum, a, b), [self.value(item) for item in items])
            case t.Choice(branches=branches, otherwise=otherwise):
                chosen = self.value(otherwise)
                for when, then in reversed(branches):
                    chosen = _where(is_true(self.value(when)), self.value(then), chosen)
                return chosen
            case t.LookUp(item=item, first=first, values=listed):
                return _look_up(self.value(item), first, listed)
            case t.PartOf(part=part, day=day):
                days = _days(self.value(day))
                return Values(part_of(part, days.data), days.present)
            case t.StartOf(unit=unit, day=day):
                days = _days(self.value(day))
                return Values(start_of(unit, days.data), days.present)
            case t.AddMonths(day=day, months=months):
                days = _days(self.value(day))
                return Values(add_months(days.data, months), days.present)
            case (
                t.PlaceOf(text=text) | t.Lower(text=text) | t.Upper(text=text) | t.Trim(text=text)
                | t.Substring(text=text) | t.Length(text=text) | t.Like(text=text)
            ):  # fmt: skip
                return _of_text(term, self.value(text))
            case t.Compared(comparing=comparing, left=left, right=right):
                return _compared(comparing, self.value(left), self.value(right))
            case t.OneOf(item=item, values=listed):
                values = self.value(item)
                if values.data.dtype != object:
                    return Values(np.isin(values.data, np.array(listed, np.int64)), values.present)
                words = frozenset(listed)
                return Values(np.array([each in words for each in values.data], np.bool_), values.present)
            case t.Missing(item=item):
                return Values(~self.value(item).present, np.ones(self.rows, np.bool_))
            case t.AllOf(items=items):
                return reduce(_both, [self.value(item) for item in items])
            case t.AnyOf(items=items):
                return _opposite(reduce(_both, [_opposite(self.value(item)) for item in items]))
            case t.Opposite(item=item):
                return _opposite(self.value(item))
        assert_never(term)

    def constant(self, value: int | str | bool | None, dtype: Any) -> Values:
        blank = "" if dtype is object else 0
        data = np.empty(self.rows, dtype)
        data.fill(blank if value is None else value)  # np.full would cut a text's last U+0000
        return Values(data, np.full(self.rows, value is not None))


def _size(values: Values) -> int:
    """Return the greatest size of a number that is present."""
    there = values.data[values.present]
    return max(abs(int(there.min())), abs(int(there.max()))) if there.size else 0


def _exact(operation: Callable[..., Any], size: Callable[..., int], *operands: Values) -> Values:
    """Apply an operation in 64 bits if its result fits them whatever the rows, else in Python's integers."""
    present = reduce(np.logical_and, [each.present for each in operands])
    if size(*(_size(each) for each in operands)) <= _INT64.max:
        blanked = [np.where(each.present, each.data, 0) for each in operands]
        return Values(operation(*blanked), present)
    return _fitting(operation(*(each.data.astype(object) for each in operands)), present)


def _fitting(numbers: npt.NDArray[Any], present: Bools) -> Values:
    """Return whole numbers of any size as 64-bit codes, NULL where they do not fit."""
    fits = present & ((numbers >= int(_INT64.min)) & (numbers <= int(_INT64.max))).astype(np.bool_)
    return Values(np.where(fits, numbers, 0).astype(np.int64), fits)


def floor_multiple(divisor: int) -> int:
    """Return the least multiple of a divisor that makes any 64-bit number plus it positive."""
    return -(-(1 << 63) // divisor) * divisor


def _quotient(left: Values, right: Values, scale: int) -> Values:
    above: Any = (
        left.data.astype(object) * (2 * scale) if _size(left) * 2 * scale > _INT64.max else left.data * 2 * scale
    )
    held = (above > -LARGEST_DIVIDEND) & (above < LARGEST_DIVIDEND)
    present = left.present & right.present & (right.data != 0) & held.astype(np.bool_)
    number, below = np.where(present, above, 0).astype(np.int64), np.where(present, right.data, 1)
    # The least 64-bit number has no size in 64 bits; nothing of 17 digits is as large as its half.
    size = np.abs(number) // np.abs(np.maximum(below, -_INT64.max))
    half_away = (size + 1) // 2
    return Values(np.where((number < 0) ^ (below < 0), -half_away, half_away), present)


def _extreme(which: Callable[..., Any], a: Values, b: Values) -> Values:
    first, second = np.where(a.present, a.data, b.data), np.where(b.present, b.data, a.data)
    return Values(which(first, second), a.present | b.present)


def _where(condition: Bools, a: Values, b: Values) -> Values:
    data = np.where(condition, a.data, b.data)
    return Values(data, np.where(condition, a.present, b.present))


def _look_up(item: Values, first: int, listed: tuple[int | None, ...]) -> Values:
    table = Values.of(listed)
    inside = item.present & (item.data >= first) & (item.data <= first + len(listed) - 1)
    place = np.where(inside, item.data, first) - first
    return Values(table.data[place], inside & table.present[place])


def _days(values: Values) -> Values:
    present = values.present & (values.data >= -FURTHEST_DAY) & (values.data <= FURTHEST_DAY)
    return Values(np.where(present, values.data, 0), present)


def _compared(comparing: t.Comparing, left: Values, right: Values) -> Values:
    present = left.present & right.present
    match comparing:
        case t.Comparing.EQUAL:
            return Values(left.data == right.data, present)
        case t.Comparing.LESS:
            return Values((left.data < right.data).astype(np.bool_), present)
        case t.Comparing.LESS_OR_EQUAL:
            return Values((left.data <= right.data).astype(np.bool_), present)
    assert_never(comparing)


def _both(a: Values, b: Values) -> Values:
    false = (a.present & ~is_true(a)) | (b.present & ~is_true(b))
    return Values(~false, false | (a.present & b.present))


def _opposite(values: Values) -> Values:
    return Values(~is_true(values), values.present)


_TextTerm = t.PlaceOf | t.Lower | t.Upper | t.Trim | t.Substring | t.Length | t.Like


def _of_text(term: _TextTerm, texts: Values) -> Values:
    match term:
        case t.PlaceOf(words=words):
            places = {word: place for place, word in reversed(list(enumerate(words)))}
            found = np.array([places.get(each, -1) for each in texts.data], np.int64)
            return Values(found, texts.present & (found >= 0))
        case t.Lower():
            return _each(letters.lower, texts, object)
        case t.Upper():
            return _each(letters.upper, texts, object)
        case t.Trim():
            return _each(letters.trim, texts, object)
        case t.Substring(start=start, length=length):
            return _each(lambda text: letters.substring(text, start, length), texts, object)
        case t.Length():
            return _each(lambda text: min(len(text), LONGEST_TEXT), texts, np.int64)
        case t.Like(pattern=pattern, ignore_case=ignore_case):
            like = letters.like(pattern, ignore_case=ignore_case)
            return _each(lambda text: like.matches(text[:LONGEST_TEXT]), texts, np.bool_)
    assert_never(term)


def _each(function: Callable[[str], object], texts: Values, dtype: Any) -> Values:
    made = np.zeros(len(texts.data), dtype)
    made[:] = [function(text) for text in texts.data]
    return Values(made, texts.present)
