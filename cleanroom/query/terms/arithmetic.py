"""Arithmetic on numbers, exact, with proved intervals. NULL in, NULL out; what could fail on a row is refused.

Each function takes terms or constants and returns a term, or a refusal: `argument_type` for what is no number,
`bounds_too_wide` for codes that could leave ±2^60, `division_by_zero` for a divisor that can be 0. Days plus days are
in `dates`.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from typing import TYPE_CHECKING, Final

from cleanroom.errors import Refusal
from cleanroom.query.refusals import refusal
from cleanroom.query.terms import language as t
from cleanroom.query.terms.operands import is_null, nothing, unfit
from cleanroom.query.terms.resolutions import (
    FINEST,
    Interval,
    Number,
    in_steps,
    made,
    number,
    scaled,
    small,
    together,
    too_large,
    too_wide,
)
from cleanroom.query.terms.types import LARGEST_CODE, LARGEST_DIVIDEND

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cleanroom.errors import Position
    from cleanroom.query.terms.operands import Operand
    from cleanroom.query.terms.typed import Typed

_QUOTIENT_CODES: Final = (1 << 31) - 1
"""A quotient is rounded to the finest power of ten at which its usual codes are no larger."""

_DIGITS: Final = 12
"""At most so many decimals of a quotient."""


def plus(left: Operand, right: Operand, position: Position | None = None) -> Typed | Refusal:
    """Return the sum of two numbers."""
    return _sum("+", left, right, position)


def minus(left: Operand, right: Operand, position: Position | None = None) -> Typed | Refusal:
    """Return the difference of two numbers."""
    return _sum("-", left, right, position)


def _sum(sign: str, left: Operand, right: Operand, position: Position | None) -> Typed | Refusal:
    found = _numbers(sign, left, right)
    if not isinstance(found, list):
        return found
    brought = together(found)
    if brought is None:
        return too_wide(position)
    a, b = brought
    if sign == "+":
        return made(t.Plus(a.term, b.term), a.type.resolution, _added, brought, position)
    return made(t.Minus(a.term, b.term), a.type.resolution, _subtracted, brought, position)


def times(left: Operand, right: Operand, position: Position | None = None) -> Typed | Refusal:
    """Return the product of two numbers; a constant factor changes the resolution alone."""
    found = _numbers("*", left, right)
    if not isinstance(found, list):
        return found
    a, b = found
    if b.constant is None and a.constant is not None:
        a, b = b, a
    if b.constant is not None:
        return _by(a, b, b.constant, position)
    # Tickets times dollars are dollars; dollars times dollars are nothing that has a name.
    counted = (a,) if b.type.unit is None else (b,) if a.type.unit is None else ()
    unit = counted[0].type.unit if counted else None
    resolution = a.type.resolution * b.type.resolution
    return made(t.Times(a.term, b.term), resolution, _multiplied, (a, b), position, unit=unit)


def negate(item: Operand, position: Position | None = None) -> Typed | Refusal:
    """Return a number with the other sign."""
    found = _numbers("-", item)
    if not isinstance(found, list):
        return found
    return _by(found[0], found[0], Fraction(-1), position)


def _by(item: Number, other: Number, factor: Fraction, position: Position | None) -> Typed | Refusal:
    """Multiply by a constant."""
    operands = (item,) if item is other else (item, other)
    if factor == 0:
        return made(t.Times(item.term, t.Integer(0)), Fraction(1), lambda *_: (0, 0), operands, position)
    resolution = item.type.resolution * abs(factor)
    if factor > 0:
        return made(item.term, resolution, lambda a, *_: a, operands, position)
    term = scaled(item.term, -1) if isinstance(item.term, t.Integer) else t.Minus(t.Integer(0), item.term)
    return made(term, resolution, lambda a, *_: (-a[1], -a[0]), operands, position)


def divide(left: Operand, right: Operand, position: Position | None = None) -> Typed | Refusal:
    """Return the quotient of two numbers.

    By a constant it is exact. By anything else it is rounded to a power of ten, half away from zero; the divisor's
    bounds exclude 0, or it is `NULLIF(x, 0)`.
    """
    found = _numbers("/", left, right)
    if not isinstance(found, list):
        return found
    a, b = found
    if b.constant is not None:
        return _by(a, b, 1 / b.constant, position) if b.constant else _by_zero(position)
    if b.type.lower <= 0 <= b.type.upper and not _never_zero(b.term):
        return _by_zero(position)
    whole, usual = (_divided(*each) for each in zip(a.intervals, b.intervals, strict=True))
    step = a.type.resolution / b.type.resolution
    for digits in range(_DIGITS, -19, -1):
        scale = step * Fraction(10) ** digits
        if max(abs(end) for end in usual) * scale <= _QUOTIENT_CODES and (
            max(abs(end) for end in whole) * scale <= LARGEST_CODE and _divides(a, scale.numerator)
        ):
            break
    else:
        return too_wide(position)
    below = in_steps(b, b.type.resolution / scale.denominator) if scale.denominator <= FINEST else None
    if below is None or scale.numerator > FINEST:
        return too_wide(position)

    def rounded(x: Interval, y: Interval) -> Interval:
        lower, upper = _divided(x, y)
        return _half_away(lower * scale), _half_away(upper * scale)

    term = t.Quotient(a.term, below.term, scale.numerator)
    return made(
        term, Fraction(10) ** -digits, rounded, (a, b), position, unit=a.type.unit if b.type.unit is None else None
    )


def floor(item: Operand, position: Position | None = None) -> Typed | Refusal:
    """Return the greatest whole number at most `item`."""
    return _whole("FLOOR", item, 0, position)


def ceil(item: Operand, position: Position | None = None) -> Typed | Refusal:
    """Return the least whole number at least `item`."""
    return _whole("CEIL", item, 1, position)


def _whole(name: str, item: Operand, up: int, position: Position | None) -> Typed | Refusal:
    found = _numbers(name, item)
    if not isinstance(found, list):
        return found
    step = found[0].type.resolution
    if step.denominator == 1:
        return made(found[0].term, step, lambda a: a, found, position)
    by = step.denominator
    fine = in_steps(found[0], Fraction(1, by))
    if fine is None or fine.type.upper + by > LARGEST_CODE:
        return too_wide(position)
    moved = t.Plus(fine.term, t.Integer(by - 1)) if up else fine.term
    more = up * (by - 1)
    return made(
        t.FloorDivide(moved, by), Fraction(1), lambda a: ((a[0] + more) // by, (a[1] + more) // by), [fine], position
    )


def round_(item: Operand, digits: Operand | None = None, position: Position | None = None) -> Typed | Refusal:
    """Return a number rounded to so many decimals, half away from zero; `digits` is a whole constant, or 0."""
    if is_null(item) or (digits is not None and is_null(digits)):
        return nothing(item)
    found = number(item)
    if found is None:
        return unfit("ROUND", item)
    places = Fraction(0)
    if digits is not None:
        given = number(digits)
        if given is None or given.constant is None or given.constant.denominator != 1:
            return unfit("ROUND", digits)
        places = given.constant
    if abs(places) > 18:
        return too_wide(position)
    step = Fraction(10) ** -int(places)
    ratio = found.type.resolution / step
    if ratio.denominator == 1:
        return made(found.term, found.type.resolution, lambda a: a, [found], position)
    if ratio.denominator > FINEST or not _divides(found, ratio.numerator):
        return too_wide(position)

    def rounded(a: Interval) -> Interval:
        return _half_away(a[0] * ratio), _half_away(a[1] * ratio)

    term = t.Quotient(found.term, t.Integer(ratio.denominator), ratio.numerator)
    return made(term, step, rounded, [found], position)


def absolute(item: Operand, position: Position | None = None) -> Typed | Refusal:
    """Return a number without its sign."""
    found = _numbers("ABS", item)
    if not isinstance(found, list):
        return found
    term = found[0].term if found[0].type.lower >= 0 else t.Absolute(found[0].term)
    return made(term, found[0].type.resolution, _unsigned, found, position)


def sign(item: Operand, position: Position | None = None) -> Typed | Refusal:
    """Return -1, 0 or 1."""
    found = _numbers("SIGN", item)
    if not isinstance(found, list):
        return found
    return made(t.Sign(found[0].term), Fraction(1), lambda a: (_sign(a[0]), _sign(a[1])), found, position, unit=None)


def modulo(left: Operand, right: Operand, position: Position | None = None) -> Typed | Refusal:
    """Return what is left of a number divided by a constant, with the sign of the number."""
    found = _numbers("%", left, right)
    if not isinstance(found, list):
        return found
    if found[1].constant is None:
        return unfit("%", right, hint=_CONSTANT_DIVISOR)
    if found[1].constant == 0:
        return _by_zero(position)
    brought = together(found)
    if brought is None:
        return too_wide(position)
    by = abs(brought[1].type.lower)
    return made(
        t.Remainder(brought[0].term, by),
        brought[0].type.resolution,
        lambda a, *_: (0 if a[0] >= 0 else max(a[0], 1 - by), 0 if a[1] <= 0 else min(a[1], by - 1)),
        brought,
        position,
    )


def integer_divide(left: Operand, right: Operand, position: Position | None = None) -> Typed | Refusal:
    """Return the quotient of whole numbers, `//`, cut towards zero; the divisor is a constant."""
    found = _numbers("//", left, right)
    if not isinstance(found, list):
        return found
    for each, given in zip(found, (left, right), strict=True):
        if each.type.resolution.denominator != 1:
            return unfit("//", given, hint=("FLOOR(x / 2)", "FLOOR(x / 2)"))
    if found[1].constant is None:
        return unfit("//", right, hint=_CONSTANT_DIVISOR)
    if found[1].constant == 0:
        return _by_zero(position)
    item = in_steps(found[0], Fraction(1))
    by = int(found[1].constant)
    if item is None:
        return too_wide(position)
    size, term = abs(by), item.term
    if item.type.lower < 0:
        if not small(term):
            return too_large(position)
        term = t.Minus(term, t.Remainder(term, size))
    term = t.FloorDivide(term, size)
    if by < 0:
        term = t.Minus(t.Integer(0), term)

    def cut(a: Interval, *_: Interval) -> Interval:
        ends = sorted(_sign(end * by) * (abs(end) // size) for end in a)
        return ends[0], ends[-1]

    return made(term, Fraction(1), cut, (item, found[1]), position)


def least(items: Sequence[Operand], position: Position | None = None) -> Typed | Refusal:
    """Return the least of the numbers that are not NULL."""
    return _extreme("LEAST", items, position)


def greatest(items: Sequence[Operand], position: Position | None = None) -> Typed | Refusal:
    """Return the greatest of the numbers that are not NULL."""
    return _extreme("GREATEST", items, position)


def _extreme(name: str, items: Sequence[Operand], position: Position | None) -> Typed | Refusal:
    there = [item for item in items if not is_null(item)]
    if not there:
        return nothing(*items)
    found: list[Number] = []
    for item in there:
        each = number(item)
        if each is None:
            return unfit(name, item)
        found.append(each)
    brought = together(found)
    if brought is None:
        return too_wide(position)
    # A value outside its domain arrives as NULL in any column (S7), and NULL is skipped: only a constant surely bounds.
    sure = [place for place, each in enumerate(brought) if each.constant is not None]

    def rule(*intervals: Interval) -> Interval:
        lowers, uppers = [a for a, _ in intervals], [b for _, b in intervals]
        if name == "LEAST":
            return min(lowers), min([max(uppers), *(uppers[place] for place in sure)])
        return max([min(lowers), *(lowers[place] for place in sure)]), max(uppers)

    terms = tuple(each.term for each in brought)
    term = terms[0] if len(terms) == 1 else t.Least(terms) if name == "LEAST" else t.Greatest(terms)
    nullable = all(each.type.nullable for each in brought)
    return made(term, brought[0].type.resolution, rule, brought, position, nullable=nullable)


_CONSTANT_DIVISOR: Final = ("divisez par une constante", "divide by a constant")


def _numbers(name: str, *values: Operand) -> list[Number] | Typed | Refusal:
    """Return the arguments as numbers; or NULL if one is NULL; or why they are none."""
    found: list[Number] = []
    for value in values:
        each = number(value)
        if each is not None:
            found.append(each)
        elif not is_null(value):
            return unfit(name, value)
    return found if len(found) == len(values) else nothing(*values)


def _by_zero(position: Position | None) -> Refusal:
    hint = ("divisez par NULLIF(x, 0)", "divide by NULLIF(x, 0)")
    return refusal("division_by_zero", position, hint=hint)


def _divides(item: Number, scale: int) -> bool:
    """Return whether a number times `scale` can be divided exactly."""
    return max(abs(end) for ends in item.intervals for end in ends) * 2 * scale < LARGEST_DIVIDEND and scale <= FINEST


def _never_zero(term: t.Term) -> bool:
    """Return whether a term is `NULLIF(x, 0)`."""
    match term:
        case t.Choice(
            branches=((t.Compared(comparing=t.Comparing.EQUAL, left=item, right=t.Integer(0)), t.Nothing()),),
            otherwise=other,
        ):
            return item is other
    return False


def _half_away(value: Fraction) -> int:
    size = (2 * abs(value.numerator) + value.denominator) // (2 * value.denominator)
    return size if value > 0 else -size


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)


def _added(a: Interval, b: Interval) -> Interval:
    return a[0] + b[0], a[1] + b[1]


def _subtracted(a: Interval, b: Interval) -> Interval:
    return a[0] - b[1], a[1] - b[0]


def _multiplied(a: Interval, b: Interval) -> Interval:
    corners = [x * y for x, y in product(a, b)]
    return min(corners), max(corners)


def _unsigned(a: Interval) -> Interval:
    return (0 if a[0] <= 0 <= a[1] else min(abs(a[0]), abs(a[1]))), max(abs(a[0]), abs(a[1]))


def _divided(a: Interval, b: Interval) -> tuple[Fraction, Fraction]:
    """Return the interval of quotients of codes, the divisor 0 left out."""
    parts = [(max(b[0], 1), b[1]), (b[0], min(b[1], -1))]
    ends = [end for lower, upper in parts if lower <= upper for end in (lower, upper)]
    corners = [Fraction(x, y) for x in a for y in ends] or [Fraction(0)]
    return min(corners), max(corners)
