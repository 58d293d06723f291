"""Values brought to one type, so that they can be compared with each other or stand in one column.

Numbers get a common resolution, days stay days, texts with public domains get the union of their domains, in the order
of first occurrence; NULL fits everything, and an ISO text fits a day.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final

from cleanroom.catalog import day_number
from cleanroom.catalog.columns import LARGEST_DOMAIN
from cleanroom.errors import Refusal
from cleanroom.query.refusals import refusal
from cleanroom.query.terms import language as t
from cleanroom.query.terms.operands import described, is_null
from cleanroom.query.terms.resolutions import fits, number, together, too_wide
from cleanroom.query.terms.typed import Constant, Typed
from cleanroom.query.terms.types import (
    LONGEST_TEXT,
    BooleanType,
    CategoryType,
    DateType,
    NullType,
    NumberType,
    TextType,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cleanroom.errors import Position
    from cleanroom.query.terms.operands import Operand
    from cleanroom.query.terms.resolutions import Number
    from cleanroom.query.terms.types import ValueType

_ISO_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Alike:
    """Terms of one type, which is the hull of theirs."""

    type: ValueType
    terms: tuple[t.Term, ...]


def iso_date(text: str) -> date | None:
    """Read `YYYY-MM-DD` and nothing else, or return None."""
    if _ISO_DATE.fullmatch(text) is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def day_of_constant(value: object) -> int | None:
    """Return the code of a day, or of a text that is one, or None."""
    if isinstance(value, str):
        value = iso_date(value)
    return day_number(value) if isinstance(value, date) else None


def nothing_of(kind: ValueType) -> t.Term:
    """Return the NULL of a type."""
    if isinstance(kind, BooleanType):
        return t.Flag(None)
    return t.Nothing(text=isinstance(kind, TextType))


def is_value(term: t.Term) -> bool:
    """Return whether a term is one value, and not NULL: a boolean that is always NULL is a flag too."""
    return isinstance(term, (t.Integer, t.Word)) or (isinstance(term, t.Flag) and term.value is not None)


def alike(values: Sequence[Operand], position: Position | None = None) -> Alike | Refusal:
    """Bring values to one type.

    Returns:
        The terms in order, or `kinds_mixed`, `bounds_too_wide`, `domain_too_large` or `text_value_too_long`.
    """
    there = [value for value in values if not is_null(value)]
    if not there:
        return Alike(NullType(), tuple(t.Nothing() for _ in values))
    missing = len(there) < len(values)
    found = _of_one_kind(there, missing, position)
    if isinstance(found, Refusal):
        return found
    terms = iter(found.terms)
    blank = nothing_of(found.type)
    return Alike(found.type, tuple(blank if is_null(value) else next(terms) for value in values))


def _of_one_kind(values: list[Operand], missing: bool, position: Position | None) -> Alike | Refusal:
    if any(_is_day(value) for value in values):
        return _days(values, missing) or _mixed(values, position)
    numbers = [number(value) for value in values]
    if None not in numbers:
        return _numbers([each for each in numbers if each is not None], missing) or too_wide(position)
    flags = [_flag(value) for value in values]
    if None not in flags:
        typed = [each for each in flags if each is not None]
        nullable = missing or any(each.type.nullable for each in typed)
        return Alike(BooleanType(nullable), tuple(each.term for each in typed))
    if all(_is_text(value) for value in values):
        if any(isinstance(value, Typed) and isinstance(value.type, TextType) for value in values):
            return _texts(values, missing, position)
        return _categories(values, missing, position)
    return _mixed(values, position)


def _is_day(value: Operand) -> bool:
    if isinstance(value, Constant):
        return isinstance(value.value, date)
    return isinstance(value.type, DateType)


def _days(values: list[Operand], missing: bool) -> Alike | None:
    terms: list[t.Term] = []
    ends: list[int] = []
    for value in values:
        if isinstance(value, Typed) and isinstance(value.type, DateType):
            terms.append(value.term)
            ends += [value.type.lower, value.type.upper]
            missing = missing or value.type.nullable
            continue
        day = day_of_constant(constant_value(value))
        if day is None:
            return None
        terms.append(t.Integer(day))
        ends.append(day)
    return Alike(DateType(min(ends), max(ends), missing), tuple(terms))


def _numbers(numbers: list[Number], missing: bool) -> Alike | None:
    brought = together(numbers)
    if brought is None:
        return None
    kinds = [each.type for each in brought]
    units = {each.type.unit for each in brought if each.constant is None}
    kind = NumberType(
        kinds[0].resolution,
        min(each.lower for each in kinds),
        max(each.upper for each in kinds),
        missing or any(each.nullable for each in kinds),
        min(each.usual_lower for each in kinds),
        max(each.usual_upper for each in kinds),
        units.pop() if len(units) == 1 else None,
    )
    return Alike(kind, tuple(each.term for each in brought)) if fits(kind) else None


def _flag(value: Operand) -> Typed | None:
    if isinstance(value, Typed):
        return value if isinstance(value.type, BooleanType) else None
    if isinstance(value.value, bool):
        return Typed(t.Flag(value.value), BooleanType(nullable=False), position=value.position)
    return None


def _is_text(value: Operand) -> bool:
    if isinstance(value, Constant):
        return isinstance(value.value, str)
    return isinstance(value.type, (CategoryType, TextType))


def constant_value(value: Operand) -> object:
    """Return what a constant is; for a term that is a text on every row that text, for other terms None."""
    if isinstance(value, Constant):
        return value.value
    if isinstance(value.type, CategoryType) and isinstance(value.term, t.Integer):
        return value.type.domain[value.term.value]
    return None


def _texts(values: list[Operand], missing: bool, position: Position | None) -> Alike | Refusal:
    terms: list[t.Term] = []
    for value in values:
        if isinstance(value, Typed) and isinstance(value.type, TextType):
            terms.append(value.term)
            missing = missing or value.type.nullable
            continue
        text = constant_value(value)
        if not isinstance(text, str):
            return _mixed(values, position)
        if len(text) > LONGEST_TEXT:
            return refusal("text_value_too_long", position, limit=LONGEST_TEXT)
        terms.append(t.Word(text))
    return Alike(TextType(missing), tuple(terms))


def _categories(values: list[Operand], missing: bool, position: Position | None) -> Alike | Refusal:
    codes: dict[str, int] = {}
    for value in values:
        for text in _domain(value):
            codes.setdefault(text, len(codes))
    if len(codes) > LARGEST_DOMAIN:
        return refusal("domain_too_large", position, limit=LARGEST_DOMAIN)
    nullable = missing or any(isinstance(value, Typed) and value.type.nullable for value in values)
    terms = tuple(_recoded(value, codes) for value in values)
    return Alike(CategoryType(tuple(codes), nullable), terms)


def _domain(value: Operand) -> tuple[str, ...]:
    """Return the texts that a value can be: one, if it is constant."""
    text = constant_value(value)
    if isinstance(text, str):
        return (text,)
    return value.type.domain if isinstance(value, Typed) and isinstance(value.type, CategoryType) else ()


def _recoded(value: Operand, codes: dict[str, int]) -> t.Term:
    text = constant_value(value)
    if isinstance(text, str) or isinstance(value, Constant):
        return t.Integer(codes[str(text)])
    return recoded(value.term, tuple(codes[each] for each in _domain(value)))


def recoded(term: t.Term, codes: tuple[int | None, ...]) -> t.Term:
    """Return a category's code as another one, without a look-up where all stay."""
    return term if codes == tuple(range(len(codes))) else t.LookUp(term, 0, codes)


def _mixed(values: Sequence[Operand], position: Position | None) -> Refusal:
    first = described(values[0])
    second = next((each for each in map(described, values) if each != first), first)
    return refusal(
        "kinds_mixed", position, first_fr=first[0], second_fr=second[0], first_en=first[1], second_en=second[1]
    )
