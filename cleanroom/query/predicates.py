"""Turn comparisons into predicates on codes, total on every value that a scan can give.

A comparison with a literal outside the column's domain is not an error and shows nothing: it is simply never equal
(attacks: boundary filters). Numbers are compared exactly: `amount > 37.425` with cents is `amount >= 37.43`.
"""

from __future__ import annotations

import math
import re
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from cleanroom.catalog import Category, Date, Number, Text, day_number
from cleanroom.errors import Refusal
from cleanroom.query.algebra import CompareColumns, Comparison, InRange, InSet, Not, Or, Predicate, TextIn, Truth
from cleanroom.query.refusals import refusal
from cleanroom.query.resolved import Operator

if TYPE_CHECKING:
    from cleanroom.catalog import ColumnType
    from cleanroom.errors import Position

FLIPPED: Final = {
    Operator.EQ: Operator.EQ,
    Operator.NE: Operator.NE,
    Operator.LT: Operator.GT,
    Operator.LE: Operator.GE,
    Operator.GT: Operator.LT,
    Operator.GE: Operator.LE,
}

_TYPE_WORDS: Final[dict[type, tuple[str, str]]] = {
    Category: ("une catégorie (seulement =, <>, IN avec des textes)", "a category (only =, <>, IN with texts)"),
    Text: ("un texte (seulement =, <>, IN avec des textes)", "a text (only =, <>, IN with texts)"),
    Date: ("une date (avec DATE 'AAAA-MM-JJ')", "a date (with DATE 'YYYY-MM-DD')"),
    Number: ("un nombre (avec des nombres)", "a number (with numbers)"),
}

ConstantValue = str | Decimal | date | bool | None

BEYOND: Final = Fraction(1 << 40)
"""Beyond every code that a scan can give (below 2^32): a bound is cut to it, so that what is printed fits 64 bits
and a comparison cannot fail on the rows that reach it."""

_ISO_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def iso_date(text: str) -> date | None:
    """Read `YYYY-MM-DD` and nothing else, or return None."""
    if _ISO_DATE.fullmatch(text) is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def compare_constant(
    operator: Operator, column: int, kind: ColumnType, value: ConstantValue, position: Position | None
) -> Predicate | Refusal:
    """Compare a column with a constant.

    Returns:
        The predicate; NULL compares as unknown, as in SQL. Or why the types do not fit.
    """
    if value is None:
        return Truth.UNKNOWN
    match kind:
        case Category(domain=domain) if isinstance(value, str) and operator in {Operator.EQ, Operator.NE}:
            codes = (domain.index(value),) if value in domain else ()
            return _unless(operator is Operator.NE, InSet(column, codes))
        case Text() if isinstance(value, str) and operator in {Operator.EQ, Operator.NE}:
            return _unless(operator is Operator.NE, TextIn(column, (value,)))
        case Date():
            day = _as_date(value)
            if day is not None:
                return _ordered(operator, column, Fraction(day_number(day)))
        case Number() if isinstance(value, Decimal):
            return _ordered(operator, column, kind.steps(value))
    fr, en = _TYPE_WORDS[type(kind)]
    return refusal("comparison_types", position, type_fr=fr, type_en=en)


def list_constants(
    column: int, kind: ColumnType, values: tuple[ConstantValue, ...], position: Position | None
) -> Predicate | Refusal:
    """Compare a column with a list of constants, IN; a NULL in the list makes a miss unknown, as in SQL."""
    codes: set[int] = set()
    texts: set[str] = set()
    for value in values:
        single = compare_constant(Operator.EQ, column, kind, value, position)
        match single:
            case Refusal():
                return single
            case InSet(codes=found):
                codes.update(found)
            case InRange(lower=int(code)):
                codes.add(code)
            case TextIn(values=found_texts):
                texts.update(found_texts)
    listed: Predicate = InSet(column, tuple(sorted(codes)))
    if isinstance(kind, Text):
        listed = TextIn(column, tuple(sorted(texts)))
    if None in values:
        return Or((listed, Truth.UNKNOWN))
    return listed


def compare_columns(
    operator: Operator, left: tuple[int, ColumnType], right: tuple[int, ColumnType], position: Position | None
) -> Predicate | Refusal:
    """Compare two columns of the same row: dates with dates, numbers with numbers of the same resolution."""
    match left[1], right[1]:
        case (Date(), Date()):
            pass
        case (Number(resolution=a), Number(resolution=b)) if a == b:
            pass
        case _:
            fr, en = _TYPE_WORDS[type(left[1])]
            return refusal("comparison_types", position, type_fr=fr, type_en=en)
    i, j = left[0], right[0]
    match operator:
        case Operator.EQ:
            return CompareColumns(Comparison.EQUAL, i, j)
        case Operator.NE:
            return Not(CompareColumns(Comparison.EQUAL, i, j))
        case Operator.LT:
            return CompareColumns(Comparison.LESS, i, j)
        case Operator.LE:
            return CompareColumns(Comparison.LESS_OR_EQUAL, i, j)
        case Operator.GT:
            return CompareColumns(Comparison.LESS, j, i)
        case Operator.GE:
            return CompareColumns(Comparison.LESS_OR_EQUAL, j, i)


def _as_date(value: ConstantValue) -> date | None:
    if isinstance(value, date):
        return value
    return iso_date(value) if isinstance(value, str) else None


def _ordered(operator: Operator, column: int, bound: Fraction) -> Predicate:
    """Compare codes, which are whole, with an exact bound."""
    bound = max(-BEYOND, min(BEYOND, bound))
    below, above = math.floor(bound), math.ceil(bound)
    match operator:
        case Operator.EQ | Operator.NE:
            equal: Predicate = InRange(column, below, below) if below == above else InSet(column, ())
            return _unless(operator is Operator.NE, equal)
        case Operator.LT:
            return InRange(column, None, above - 1)
        case Operator.LE:
            return InRange(column, None, below)
        case Operator.GT:
            return InRange(column, below + 1, None)
        case Operator.GE:
            return InRange(column, above, None)


def _unless(negated: bool, predicate: Predicate) -> Predicate:
    return Not(predicate) if negated else predicate
