"""CAST where it cannot fail on any value, and changes nothing but the type.

Numbers stay exact: to DOUBLE or FLOAT nothing happens, so no floating-point number is ever near the noise (DESIGN §3).
TINYINT and SMALLINT are refused, for what is computed with them overflows sooner than the question shows; so is
TRY_CAST, which hides failures.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from cleanroom.catalog import day_of
from cleanroom.catalog.columns import LARGEST_DOMAIN
from cleanroom.errors import Refusal
from cleanroom.query.refusals import refusal
from cleanroom.query.terms import language as t
from cleanroom.query.terms.alike import constant_value, day_of_constant
from cleanroom.query.terms.arithmetic import round_
from cleanroom.query.terms.operands import derived, described, is_null, nothing
from cleanroom.query.terms.resolutions import as_typed, small, too_large
from cleanroom.query.terms.typed import Constant, Typed
from cleanroom.query.terms.types import BooleanType, CategoryType, DateType, NumberType, TextType

if TYPE_CHECKING:
    from cleanroom.errors import Position
    from cleanroom.query.terms.operands import Operand


class Target(Enum):
    """A type that SQL can name in CAST; whatever else it names is refused where it is read."""

    INTEGER = "INTEGER"
    BIGINT = "BIGINT"
    HUGEINT = "HUGEINT"
    DECIMAL = "DECIMAL"
    DOUBLE = "DOUBLE"
    FLOAT = "FLOAT"
    DATE = "DATE"
    VARCHAR = "VARCHAR"
    BOOLEAN = "BOOLEAN"


@dataclass(frozen=True, slots=True)
class Digits:
    """The digits of a DECIMAL: all, and those behind the point."""

    precision: int = 18
    scale: int = 3


_WHOLE: Final = {Target.INTEGER: 1 << 31, Target.BIGINT: 1 << 63, Target.HUGEINT: 1 << 127}


def cast(
    item: Operand, target: Target, digits: Digits | None = None, position: Position | None = None
) -> Typed | Refusal:
    """Return a value as another type.

    Args:
        digits: of a DECIMAL; DuckDB's DECIMAL(18, 3) if not said.

    Returns:
        The term, or `cast_can_fail`, or `domain_too_large` for too many texts.
    """
    if is_null(item):
        return nothing(item)
    refused = _refused(item, target, position)
    text = constant_value(item)
    if isinstance(text, str):
        day = day_of_constant(text) if target is Target.DATE else None
        if day is not None:
            return replace(derived(t.Integer(day), DateType(day, day, nullable=False), [item]), position=position)
        if target is not Target.VARCHAR:
            return refused
        kind = CategoryType((text,), nullable=False)
        return replace(derived(t.Integer(0), kind, [item]), position=position)
    typed = _as_typed(item)
    if typed is None:
        return refused
    match typed.type, target:
        case NumberType(), Target.DOUBLE | Target.FLOAT:
            return replace(typed, position=position)
        case NumberType(), Target.INTEGER | Target.BIGINT | Target.HUGEINT:
            return _rounded(typed, 0, _WHOLE[target], position) or refused
        case NumberType(), Target.DECIMAL:
            given = digits or Digits()
            if not 0 <= given.scale <= given.precision <= 38 or given.scale > 18:
                return refused
            return _rounded(typed, given.scale, 10 ** (given.precision - given.scale), position) or refused
        case (DateType(), Target.DATE) | (BooleanType(), Target.BOOLEAN):
            return replace(typed, position=position)
        case ((TextType() | CategoryType()), Target.VARCHAR):
            return replace(typed, position=position)
        case BooleanType(nullable=null), Target.INTEGER | Target.BIGINT | Target.HUGEINT:
            kind_of_flag = replace(NumberType.between(0, 1), nullable=null)
            return _flag(typed, kind_of_flag, position)
        case BooleanType(nullable=null), Target.VARCHAR:
            return _flag(typed, CategoryType(("false", "true"), null), position)
        case NumberType() | DateType(), Target.VARCHAR:
            return _written(typed, position) or refused
    return refused


def _refused(item: Operand, target: Target, position: Position | None) -> Refusal:
    french, english = described(item)
    return refusal("cast_can_fail", position, type_fr=french, type_en=english, target=target.value)


def _as_typed(item: Operand) -> Typed | None:
    found = as_typed(item)
    if found is None and isinstance(item, Constant):
        day = day_of_constant(item.value)
        if day is not None:
            return Typed(t.Integer(day), DateType(day, day, nullable=False), position=item.position)
    return found


def _flag(item: Typed, kind: NumberType | CategoryType, position: Position | None) -> Typed | Refusal:
    """Return 1 for true and 0 for false."""
    if not small(item.term):
        return too_large(position)
    as_number = t.Choice(((item.term, t.Integer(1)),), t.Integer(0))
    term = t.Choice(((t.Missing(item.term), t.Nothing()),), as_number)
    return replace(derived(term, kind, [item]), position=position)


def _rounded(item: Typed, digits: int, limit: int, position: Position | None) -> Typed | Refusal | None:
    """Round to so many decimals, half away from zero as DuckDB does; None if a value could reach `limit` in size."""
    found = round_(item, Constant(digits), position)
    if isinstance(found, Refusal) or not isinstance(found.type, NumberType):
        return found
    kind = found.type
    largest = max(abs(kind.lower), abs(kind.upper)) * kind.resolution
    return found if largest < limit else None


def _written(item: Typed, position: Position | None) -> Typed | Refusal | None:
    """Return a number or a day of few values as a category of texts; None for numbers without a decimal form."""
    kind = item.type
    if not isinstance(kind, (NumberType, DateType)):
        return None
    if kind.upper - kind.lower >= LARGEST_DOMAIN:
        return refusal("domain_too_large", position, limit=LARGEST_DOMAIN)
    codes = range(kind.lower, kind.upper + 1)
    if isinstance(kind, DateType):
        domain = tuple(day_of(code).isoformat() for code in codes)
    else:
        places = _decimals(kind.resolution)
        if places is None:
            return None
        domain = tuple(_decimal(code * kind.resolution, places) for code in codes)
    place = item.term if kind.lower == 0 else t.Minus(item.term, t.Integer(kind.lower))
    return replace(derived(place, CategoryType(domain, kind.nullable), [item]), position=position)


def _decimals(resolution: Fraction) -> int | None:
    """Return how many decimals a whole number of steps has."""
    return next((places for places in range(19) if 10**places % resolution.denominator == 0), None)


def _decimal(value: Fraction, places: int) -> str:
    whole = int(value * 10**places)
    digits = str(abs(whole)).zfill(places + 1)
    sign = "-" if whole < 0 else ""
    return f"{sign}{digits[:-places]}.{digits[-places:]}" if places else f"{sign}{digits}"
