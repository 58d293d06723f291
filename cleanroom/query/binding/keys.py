"""The cells of a key: a public, complete set of values, from declared domains and the question's own filters (S25)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

from cleanroom.catalog import day_of
from cleanroom.query import statistics
from cleanroom.query.terms import language as t
from cleanroom.query.terms.types import (
    BooleanType,
    CategoryType,
    DateType,
    NumberType,
    TextType,
    ValueType,
)
from cleanroom.query.terms.universes import MOST, Universe, universe_of, values_over

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cleanroom.query.terms.typed import Typed

Label = str | Decimal | date | bool


def clamped(typed: Typed) -> t.Term:
    """Return a number's term within its usual bounds (S22); others as they are."""
    kind = typed.type
    if not isinstance(kind, NumberType) or (kind.usual_lower, kind.usual_upper) == (kind.lower, kind.upper):
        return typed.term
    low, high = t.Integer(kind.usual_lower), t.Integer(kind.usual_upper)
    return t.Choice(
        (
            (t.Compared(t.Comparing.LESS, typed.term, low), low),
            (t.Compared(t.Comparing.LESS, high, typed.term), high),
        ),
        typed.term,
    )


def key_of(typed: Typed, column: int, columns: Sequence[Typed], filters: Sequence[t.Term]) -> statistics.Key | None:
    """Return the key that groups by `typed`, which stands in `column`; None if its values are not public.

    Args:
        columns: what the term looks at.
        filters: conditions that every row fulfils; they narrow the values.
    """
    if isinstance(typed.type, TextType):
        return None
    places = t.columns_of(typed.term)
    if isinstance(typed.term, t.Column) and not any(places & t.columns_of(each) for each in filters):
        plain = _plain(typed.type, column)
        if plain is not None:
            return plain
    universes = {place: universe(each.type) for place, each in enumerate(columns)}
    values = values_over(clamped(typed), universes, filters=filters)
    if values is not None and not (values.values or values.null):
        # No row can be there: the cells are those of the key without the filter, all of noise alone.
        values = values_over(clamped(typed), universes)
    if values is not None and all(isinstance(value, int) for value in values.values):
        codes = tuple(sorted(int(value) for value in values.values))
        return _listed(typed.type, column, codes, nullable=values.null)
    kind = typed.type
    match kind:
        case CategoryType(domain=domain):
            return statistics.CategoryKey(column, domain, kind.nullable)
        case BooleanType():
            return _listed(kind, column, (0, 1), nullable=kind.nullable)
        case NumberType():
            return _dense(kind, column)
        case DateType(lower=lower, upper=upper) if upper - lower < MOST:
            return _listed(kind, column, tuple(range(lower, upper + 1)), nullable=kind.nullable)
    return None


def month_key(
    typed: Typed, columns: Sequence[Typed], filters: Sequence[t.Term]
) -> tuple[Callable[[int], statistics.Key], Typed] | None:
    """Return the key of date_trunc('month', column) where no filter narrows it, and the column as it is stored."""
    match typed.term:
        case t.StartOf(unit=t.DateUnit.MONTH, day=t.Column(index=place) as column):
            kind = columns[place].type
            if not isinstance(kind, DateType) or any(place in t.columns_of(each) for each in filters):
                return None
        case _:
            return None
    first, last = (day.year * 12 + day.month for day in (day_of(kind.lower), day_of(kind.upper)))
    months, since = last - first + 1, first - (1970 * 12 + 1)
    nullable = kind.nullable

    def made(at: int) -> statistics.Key:
        return statistics.MonthKey(at, since, months, nullable)

    return made, replace(columns[place], term=column)


def word_key(typed: Typed, filters: Sequence[t.Term]) -> tuple[Callable[[int], statistics.Key], Typed] | None:
    """Return the key of a text whose values the question itself lists (WHERE text IN (…)), and the term it is of."""
    words: tuple[str, ...] | None = None
    for each in filters:
        match each:
            case t.OneOf(item=item, values=values) if item == typed.term:
                listed = tuple(str(value) for value in values)
            case t.Compared(comparing=t.Comparing.EQUAL, left=left, right=t.Word(value=value)) if left == typed.term:
                listed = (value,)
            case _:
                continue
        words = listed if words is None else tuple(word for word in words if word in listed)
    if words is None or not words:
        return None
    ordered = tuple(sorted(set(words)))
    place = t.PlaceOf(typed.term, ordered)
    kind = NumberType.between(0, len(ordered) - 1)

    def made(column: int) -> statistics.Key:
        return statistics.ListedKey(column, tuple(range(len(ordered))), ordered, False)

    return made, replace(typed, term=place, type=kind)


def universe(kind: ValueType) -> Universe:
    """Return every value that a column can have; a person's own counts and sums within their usual bounds (S22)."""
    if isinstance(kind, NumberType):
        kind = replace(kind, lower=kind.usual_lower, upper=kind.usual_upper)
    return universe_of(kind)


def _plain(kind: ValueType, column: int) -> statistics.Key | None:
    match kind:
        case CategoryType(domain=domain):
            return statistics.CategoryKey(column, domain, kind.nullable)
        case NumberType(lower=lower, upper=upper) if (lower, upper) == (kind.usual_lower, kind.usual_upper):
            return _dense(kind, column)
    return None


def _dense(kind: NumberType, column: int) -> statistics.Key:
    return statistics.NumberKey(column, kind.usual_lower, kind.usual_upper, kind.resolution, kind.nullable)


def _listed(kind: ValueType, column: int, codes: tuple[int, ...], *, nullable: bool) -> statistics.Key:
    return statistics.ListedKey(column, codes, tuple(label(kind, code) for code in codes), nullable)


def label(kind: ValueType, code: int) -> Label:
    """Return how a code is shown."""
    match kind:
        case CategoryType(domain=domain):
            return domain[code]
        case DateType():
            return day_of(code)
        case BooleanType():
            return bool(code)
        case NumberType(resolution=resolution):
            return exact(code * resolution)
    raise TypeError(type(kind).__name__)


def exact(value: Fraction) -> Decimal:
    """Return a fraction as a decimal: exactly if it has one of at most 18 places, else rounded to 18."""
    for places in range(19):
        scaled = value * 10**places
        if scaled.denominator == 1:
            return Decimal(int(scaled)).scaleb(-places)
    return Decimal(round(value * 10**18)).scaleb(-18)
