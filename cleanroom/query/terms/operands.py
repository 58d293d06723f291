"""What a function finds in its arguments: a term, a constant, NULL; and where its result comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cleanroom.query.refusals import refusal
from cleanroom.query.terms.language import Integer, Nothing, columns_of
from cleanroom.query.terms.typed import Constant, Typed
from cleanroom.query.terms.types import (
    BooleanType,
    CategoryType,
    DateType,
    NullType,
    NumberType,
    TextType,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cleanroom.errors import Refusal
    from cleanroom.query.terms.language import Term
    from cleanroom.query.terms.types import ValueType

Operand = Typed | Constant


def is_null(value: Operand) -> bool:
    """Return whether an argument is nothing but NULL."""
    return value.value is None if isinstance(value, Constant) else isinstance(value.type, NullType)


def nothing(*values: Operand) -> Typed:
    """Return the NULL that a function makes of NULL."""
    return derived(Nothing(), NullType(), values)


def derived(term: Term, kind: ValueType, values: Iterable[Operand], *, compares: bool = False) -> Typed:
    """Return what is made of `values`, with all that they come from.

    Args:
        compares: the values are compared with something on the way (S44).
    """
    typed = [each for each in values if isinstance(each, Typed)]
    origins = frozenset(origin for each in typed for origin in each.origins)
    compared = frozenset(origin for each in typed for origin in each.compared)
    if (
        isinstance(kind, (NumberType, DateType))
        and kind.lower == kind.upper
        and not (kind.nullable or columns_of(term))
    ):
        term = Integer(kind.lower)
    position = next((each.position for each in typed if each.position is not None), None)
    return Typed(term, kind, origins, compared | origins if compares else compared, position)


_WORDS: Final[dict[type, tuple[str, str]]] = {
    NumberType: ("un nombre", "a number"),
    DateType: ("une date", "a date"),
    CategoryType: ("une catégorie", "a category"),
    TextType: ("un texte", "a text"),
    BooleanType: ("un booléen", "a boolean"),
    NullType: ("NULL", "NULL"),
}


def unfit(function: str, value: Operand, *, hint: tuple[str, str] | None = None) -> Refusal:
    """Return the refusal of an argument whose type a function does not take."""
    french, english = described(value)
    return refusal("argument_type", value.position, hint=hint, function=function, type_fr=french, type_en=english)


def described(value: Operand) -> tuple[str, str]:
    """Return what an argument is, in French and in English."""
    if isinstance(value, Typed):
        return _WORDS[type(value.type)]
    match value.value:
        case None:
            return _WORDS[NullType]
        case bool():
            return _WORDS[BooleanType]
        case str():
            return _WORDS[TextType]
    return ("une constante", "a constant")
