"""Comparisons and logic: boolean terms, three-valued as in SQL, exact.

A constant that a column can never equal is no error and shows nothing: it is never equal, and NULL for NULL (attacks:
boundary filters). A number is compared with a constant on codes: `amount > 37.425` with cents is `amount >= 37.43`.
What is compared goes to `compared` (S44).
"""

from __future__ import annotations

import math
from dataclasses import replace
from enum import Enum
from fractions import Fraction
from typing import TYPE_CHECKING, Final, assert_never

from cleanroom.errors import InvariantBroken, Refusal
from cleanroom.query.refusals import refusal
from cleanroom.query.terms import language as t
from cleanroom.query.terms.alike import alike, constant_value, day_of_constant, is_value, recoded
from cleanroom.query.terms.evaluate import evaluate
from cleanroom.query.terms.logic import all_of, any_of, as_boolean, opposite
from cleanroom.query.terms.operands import derived, described, is_null
from cleanroom.query.terms.resolutions import number, small, too_large
from cleanroom.query.terms.typed import Constant, Typed
from cleanroom.query.terms.types import LARGEST_CODE, BooleanType, CategoryType, DateType, TextType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cleanroom.errors import Position
    from cleanroom.query.terms.operands import Operand


class Operator(Enum):
    """How two values are compared."""

    EQ = "="
    NE = "<>"
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="


FLIPPED: Final = {
    Operator.EQ: Operator.EQ,
    Operator.NE: Operator.NE,
    Operator.LT: Operator.GT,
    Operator.LE: Operator.GE,
    Operator.GT: Operator.LT,
    Operator.GE: Operator.LE,
}


def compare(operator: Operator, left: Operand, right: Operand, position: Position | None = None) -> Typed | Refusal:
    """Compare two values.

    Returns:
        A boolean; NULL where a value is. Or `comparison_types`, if the values are not of one type, or what brings them
        to one type refuses.
    """
    if is_null(left) or is_null(right):
        return _boolean(t.Flag(None), (left, right), position, nullable=True)
    if operator is Operator.NE:
        equal = compare(Operator.EQ, left, right, position)
        return equal if isinstance(equal, Refusal) else replace(opposite_of(equal), position=position)
    if _constant(left) and not _constant(right):
        return compare(FLIPPED[operator], right, left, position)
    term = _with_constant(operator, left, right) if _constant(right) else None
    if term is None:
        found = _between_terms(operator, left, right, position)
        if isinstance(found, Refusal):
            return found
        term = found
    return _boolean(term, (left, right), position)


def opposite_of(item: Typed) -> Typed:
    """Return the opposite of a boolean term."""
    found = opposite(item)
    if isinstance(found, Refusal):
        raise InvariantBroken("a comparison that is not boolean")
    return found


def between(item: Operand, lower: Operand, upper: Operand, position: Position | None = None) -> Typed | Refusal:
    """Return whether a value lies between two others, both included."""
    if isinstance(item, Typed) and not small(item.term):
        return too_large(position)
    return all_of((compare(Operator.GE, item, lower, position), compare(Operator.LE, item, upper, position)), position)


def one_of(item: Operand, values: Sequence[Operand], position: Position | None = None) -> Typed | Refusal:
    """Return whether a value equals one of a list; a NULL in the list makes a miss unknown, as in SQL."""
    numbers: set[int] = set()
    words: set[str] = set()
    others: list[Typed] = []
    mine = item.term if isinstance(item, Typed) else None
    missed = unknown = False
    for value in values:
        single = compare(Operator.EQ, item, value, position)
        if isinstance(single, Refusal):
            return single
        match single.term:
            case t.Compared(left=left, right=t.Integer(code)) if left is mine:
                numbers.add(code)
            case t.Compared(left=left, right=t.Word(word)) if left is mine:
                words.add(word)
            case t.Choice(branches=((t.Missing(item=left), t.Flag(None)),), otherwise=t.Flag(False)) if left is mine:
                missed = True
            case t.Flag(None):
                unknown = True
            case _:
                others.append(single)
    found: list[Typed] = []
    if mine is not None and (numbers or words):
        found.append(_boolean(t.OneOf(mine, tuple(sorted(numbers)) or tuple(sorted(words))), (item, *values), position))
    elif mine is not None and missed:
        found.append(_boolean(never(mine), (item, *values), position))
    if unknown:
        found.append(_boolean(t.Flag(None), (item, *values), position, nullable=True))
    found += others
    if len(found) > 1 and mine is not None and not small(mine):
        return too_large(position)
    return any_of(found, position)


def is_missing(item: Operand, position: Position | None = None) -> Typed | Refusal:
    """Return whether a value is NULL; never NULL itself."""
    if isinstance(item, Constant):
        return Typed(t.Flag(item.value is None), BooleanType(nullable=False), position=position)
    return _boolean(t.Missing(item.term), (item,), position, nullable=False)


def distinct(left: Operand, right: Operand, position: Position | None = None) -> Typed | Refusal:
    """Return whether two values differ, NULL counting as a value: IS DISTINCT FROM; never NULL itself."""
    if is_null(left) or is_null(right):
        other = is_missing(left if is_null(right) else right, position)
        return other if isinstance(other, Refusal) else opposite_of(other)
    equal = compare(Operator.EQ, left, right, position)
    if isinstance(equal, Refusal):
        return equal
    terms = [each.term for each in (left, right) if isinstance(each, Typed)]
    if not small(*terms):
        return too_large(position)
    missing = tuple(t.Missing(term) for term in terms if not is_value(term))
    branches: list[tuple[t.Term, t.Term]] = []
    if len(missing) == 2:
        branches.append((t.AllOf(missing), t.Flag(False)))
    if missing:
        branches.append((t.AnyOf(missing) if len(missing) > 1 else missing[0], t.Flag(True)))
    unequal = opposite_of(equal).term
    term = t.Choice(tuple(branches), unequal) if branches else unequal
    return _boolean(term, (left, right), position, nullable=False)


def is_truth(item: Operand, wanted: bool, position: Position | None = None) -> Typed | Refusal:
    """Return whether a boolean is true, or is false: IS TRUE, IS FALSE; never NULL itself."""
    found = as_boolean("IS TRUE", item)
    if isinstance(found, Refusal):
        return found
    when = found.term if wanted else opposite_of(found).term
    term = t.Choice(((when, t.Flag(True)),), t.Flag(False))
    return replace(derived(term, BooleanType(nullable=False), [found]), position=position)


def never(term: t.Term) -> t.Term:
    """Return FALSE, and NULL where a term is."""
    return t.Choice(((t.Missing(term), t.Flag(None)),), t.Flag(False))


def always(term: t.Term) -> t.Term:
    """Return TRUE, and NULL where a term is."""
    return t.Choice(((t.Missing(term), t.Flag(None)),), t.Flag(True))


def _boolean(
    term: t.Term, values: Sequence[Operand], position: Position | None, *, nullable: bool | None = None
) -> Typed:
    if nullable is None:
        nullable = any(value.type.nullable if isinstance(value, Typed) else value.value is None for value in values)
    if isinstance(term, t.Flag):
        nullable = term.value is None
    return replace(derived(term, BooleanType(nullable), values, compares=True), position=position)


def _constant(value: Operand) -> bool:
    return isinstance(value, Constant) or isinstance(value.term, (t.Integer, t.Word, t.Flag))


def _with_constant(operator: Operator, left: Operand, right: Operand) -> t.Term | None:
    """Compare a term with a constant, or return None if that takes no care of its own."""
    if _constant(left) or not isinstance(left, Typed):
        return None
    given = number(right)
    mine = number(left)
    if mine is not None and given is not None and given.constant is not None:
        return _ordered(operator, left.term, given.constant / mine.type.resolution)
    value = constant_value(right)
    match left.type:
        case DateType():
            day = _day(right)
            return None if day is None else _ordered(operator, left.term, Fraction(day))
        case CategoryType(domain=domain) if isinstance(value, str):
            return _among(operator, left.term, domain, value)
        case TextType() if isinstance(value, str):
            return _compared(operator, left.term, t.Word(value))
    return None


def _day(value: Operand) -> int | None:
    if isinstance(value, Typed) and isinstance(value.type, DateType):
        return value.term.value if isinstance(value.term, t.Integer) else None
    return day_of_constant(constant_value(value))


def _ordered(operator: Operator, term: t.Term, bound: Fraction) -> t.Term:
    """Compare codes, which are whole, with an exact bound."""
    below, above = math.floor(bound), math.ceil(bound)
    match operator:
        case Operator.EQ:
            return (
                t.Compared(t.Comparing.EQUAL, term, t.Integer(below))
                if below == above and _held(below)
                else never(term)
            )
        case Operator.LT:
            return _at_most(term, above - 1)
        case Operator.LE:
            return _at_most(term, below)
        case Operator.GT:
            return _at_least(term, below + 1)
        case _:
            return _at_least(term, above)


def _held(code: int) -> bool:
    return abs(code) <= LARGEST_CODE


def _at_most(term: t.Term, code: int) -> t.Term:
    if _held(code):
        return t.Compared(t.Comparing.LESS_OR_EQUAL, term, t.Integer(code))
    return always(term) if code > 0 else never(term)


def _at_least(term: t.Term, code: int) -> t.Term:
    if _held(code):
        return t.Compared(t.Comparing.LESS_OR_EQUAL, t.Integer(code), term)
    return always(term) if code < 0 else never(term)


def _among(operator: Operator, term: t.Term, domain: tuple[str, ...], word: str) -> t.Term:
    """Compare a category with a text: the codes of those of its texts for which it holds."""
    if operator is Operator.EQ:
        return t.Compared(t.Comparing.EQUAL, term, t.Integer(domain.index(word))) if word in domain else never(term)
    codes = tuple(code for code, text in enumerate(domain) if _holds(operator, text, word))
    if not codes:
        return never(term)
    return always(term) if len(codes) == len(domain) else t.OneOf(term, codes)


def _holds(operator: Operator, left: str, right: str) -> bool:
    match operator:
        case Operator.EQ | Operator.NE:
            return (left == right) is (operator is Operator.EQ)
        case Operator.LT:
            return left < right
        case Operator.LE:
            return left <= right
        case Operator.GT:
            return left > right
        case Operator.GE:
            return left >= right
    assert_never(operator)


def _between_terms(operator: Operator, left: Operand, right: Operand, position: Position | None) -> t.Term | Refusal:
    """Compare two terms, or two constants, brought to one type."""
    found = alike((left, right), position)
    if isinstance(found, Refusal):
        return _types_refused(left, right, position) if found.code == "kinds_mixed" else found
    a, b = found.terms
    if isinstance(found.type, CategoryType) and operator is not Operator.EQ:
        # Texts are ordered by their code points: a public rank for each code.
        ranks = {text: rank for rank, text in enumerate(sorted(found.type.domain))}
        listed = tuple(ranks[text] for text in found.type.domain)
        a, b = _ranked(a, listed), _ranked(b, listed)
    term = _compared(operator, a, b)
    if all(isinstance(each, (t.Integer, t.Word, t.Flag)) for each in (a, b)):
        (flag,) = evaluate(term, {}).items()
        return t.Flag(None if flag is None else bool(flag))
    return term


def _ranked(term: t.Term, ranks: tuple[int, ...]) -> t.Term:
    return t.Integer(ranks[term.value]) if isinstance(term, t.Integer) else recoded(term, ranks)


def _compared(operator: Operator, a: t.Term, b: t.Term) -> t.Term:
    match operator:
        case Operator.EQ:
            return t.Compared(t.Comparing.EQUAL, a, b)
        case Operator.LT:
            return t.Compared(t.Comparing.LESS, a, b)
        case Operator.LE:
            return t.Compared(t.Comparing.LESS_OR_EQUAL, a, b)
        case Operator.GT:
            return t.Compared(t.Comparing.LESS, b, a)
        case _:
            return t.Compared(t.Comparing.LESS_OR_EQUAL, b, a)


def _types_refused(left: Operand, right: Operand, position: Position | None) -> Refusal:
    (fr, en), (other_fr, other_en) = described(left), described(right)
    return refusal("comparison_types", position, type_fr=f"{fr} et {other_fr}", type_en=f"{en} and {other_en}")
