"""Numbers of different resolutions made one: intervals of codes, common steps, constants as terms.

A number is `code * resolution`, so a constant factor changes the resolution and leaves the codes as they are; only
sums and comparisons bring codes to a common step, with whole factors that are public. Intervals come in pairs: what
any row can have, and what is usual where a person's own counts come in (S22); both follow the same rule.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from functools import reduce
from types import EllipsisType
from typing import TYPE_CHECKING, Final

from cleanroom.errors import Refusal
from cleanroom.query.refusals import refusal
from cleanroom.query.terms import language as t
from cleanroom.query.terms.operands import derived
from cleanroom.query.terms.typed import Constant, Typed
from cleanroom.query.terms.types import LARGEST_CODE, NumberType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cleanroom.errors import Position
    from cleanroom.query.terms.operands import Operand

FINEST: Final = 10**18
"""Numerators and denominators of resolutions, and factors of codes, stay within it."""

LARGEST_DUPLICATE: Final = 500
"""Nodes of a term that is written more than once where SQL names it once."""

Interval = tuple[int, int]
Rule = Callable[..., Interval]


@dataclass(frozen=True, slots=True)
class Number:
    """A term that is known to be a number."""

    term: t.Term
    type: NumberType
    typed: Typed

    @property
    def intervals(self) -> tuple[Interval, Interval]:
        """What any row can have, and what is usual."""
        return (self.type.lower, self.type.upper), (self.type.usual_lower, self.type.usual_upper)

    @property
    def constant(self) -> Fraction | None:
        """The value of a constant."""
        return self.term.value * self.type.resolution if isinstance(self.term, t.Integer) else None


def exact(value: object) -> Fraction | None:
    """Return the number that a literal is, or None."""
    if isinstance(value, (int, Decimal, Fraction)) and not isinstance(value, bool):
        if isinstance(value, Decimal) and (not value.is_finite() or abs(value.adjusted()) > 40):
            # 1e1000000 would be a number of a million digits; nothing within our bounds is so large, or so small.
            return Fraction(0) if value == 0 else None
        return Fraction(value)
    return None


def number(value: Operand) -> Number | None:
    """Return an argument as a number, or None if it is none (NULL is none)."""
    if isinstance(value, Typed):
        return Number(value.term, value.type, value) if isinstance(value.type, NumberType) else None
    found = exact(value.value)
    if found is None:
        return None
    # A constant is one step of its own size: whatever meets it keeps the coarsest common step.
    code, resolution = (found > 0) - (found < 0), abs(found) or Fraction(1)
    kind = NumberType.between(code, code, resolution=resolution)
    return Number(t.Integer(code), kind, Typed(t.Integer(code), kind, position=value.position))


def made(
    term: t.Term,
    resolution: Fraction,
    rule: Rule,
    operands: Sequence[Number],
    position: Position | None,
    *,
    nullable: bool | None = None,
    unit: str | EllipsisType | None = ...,
) -> Typed | Refusal:
    """Return a number with the interval that `rule` makes of those of its operands.

    Args:
        nullable: whether NULL can come about; if None, where one of the operands can be NULL.
        unit: what the result counts; if not said, what its operands count, where these count the same.

    Returns:
        The term, or `bounds_too_wide` if its codes could leave ±2^60 or its resolution is too fine or too coarse.
    """
    (lower, upper), (usual_lower, usual_upper) = (
        rule(*intervals) for intervals in zip(*(each.intervals for each in operands), strict=True)
    )
    units = {each.type.unit for each in operands if each.constant is None}
    kind = NumberType(
        resolution,
        lower,
        upper,
        any(each.type.nullable for each in operands) if nullable is None else nullable,
        usual_lower,
        usual_upper,
        (units.pop() if len(units) == 1 else None) if isinstance(unit, EllipsisType) else unit,
    )
    if not fits(kind):
        return too_wide(position)
    return replace(derived(term, kind, [each.typed for each in operands]), position=position)


def fits(kind: NumberType) -> bool:
    """Return whether codes and resolution stay within what is computed with."""
    size = max(abs(kind.lower), abs(kind.upper), abs(kind.usual_lower), abs(kind.usual_upper))
    return size <= LARGEST_CODE and 0 < kind.resolution.numerator <= FINEST and kind.resolution.denominator <= FINEST


def too_wide(position: Position | None) -> Refusal:
    """Return the refusal of a number that exact arithmetic does not hold."""
    hint = (
        "bornez ou arrondissez la valeur, par exemple LEAST(x, 1000) ou ROUND(x, 2)",
        "bound or round the value, for instance LEAST(x, 1000) or ROUND(x, 2)",
    )
    return refusal("bounds_too_wide", position, hint=hint)


def common_step(numbers: Sequence[Number]) -> Fraction:
    """Return the largest step that all resolutions are multiples of; a zero fits any."""
    steps = [each.type.resolution for each in numbers if each.constant != 0] or [Fraction(1)]
    return reduce(_common, steps)


def _common(a: Fraction, b: Fraction) -> Fraction:
    return Fraction(math.gcd(a.numerator * b.denominator, b.numerator * a.denominator), a.denominator * b.denominator)


def in_steps(value: Number, step: Fraction) -> Number | None:
    """Return a number with its codes in finer steps, or None if they could leave ±2^60."""
    if value.constant == 0:
        return replace(value, type=replace(value.type, resolution=step))
    factor = value.type.resolution / step
    if factor.denominator != 1 or factor > FINEST:
        return None
    by = factor.numerator
    kind = replace(
        value.type,
        resolution=step,
        lower=value.type.lower * by,
        upper=value.type.upper * by,
        usual_lower=value.type.usual_lower * by,
        usual_upper=value.type.usual_upper * by,
    )
    return replace(value, term=scaled(value.term, by), type=kind) if fits(kind) else None


def together(numbers: Sequence[Number]) -> list[Number] | None:
    """Return numbers with one resolution, or None if their codes could leave ±2^60."""
    step = common_step(numbers)
    found = [in_steps(each, step) for each in numbers]
    return [each for each in found if each is not None] if None not in found else None


def scaled(term: t.Term, factor: int) -> t.Term:
    """Return a term times a constant, without an operation where none is needed."""
    if isinstance(term, t.Integer):
        return t.Integer(term.value * factor)
    return term if factor == 1 else t.Times(term, t.Integer(factor))


def small(*terms: t.Term) -> bool:
    """Return whether terms may be written more than once: nested, they would grow beyond measure."""
    left = LARGEST_DUPLICATE
    waiting = list(terms)
    while waiting and left > 0:
        waiting.extend(t.parts(waiting.pop()))
        left -= 1
    return not waiting


def too_large(position: Position | None) -> Refusal:
    """Return the refusal of a term that would have to be written too often."""
    return refusal("term_too_large", position, limit=LARGEST_DUPLICATE)


def as_typed(value: Operand) -> Typed | None:
    """Return a numeric, boolean or NULL constant as a term; None for texts, days and numbers beyond measure."""
    if isinstance(value, Typed):
        return value
    return _constant(value)


def _constant(value: Constant) -> Typed | None:
    from cleanroom.query.terms.types import BooleanType, NullType

    match value.value:
        case None:
            return Typed(t.Nothing(), NullType(), position=value.position)
        case bool(flag):
            return Typed(t.Flag(flag), BooleanType(nullable=False), position=value.position)
    found = number(value)
    return found.typed if found is not None and fits(found.type) else None
