"""Days in terms: parts, beginnings, sums, differences and labels, as DuckDB computes them on dates.

Every result is proved to stay in the years 1 to 9999 before it is made; what could leave them is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import TYPE_CHECKING, Final, assert_never

from cleanroom.catalog import day_number, day_of
from cleanroom.query.refusals import refusal
from cleanroom.query.terms.alike import Alike, alike, iso_date
from cleanroom.query.terms.calendar_bounds import bounds_of_part, days_in_reach, months_later
from cleanroom.query.terms.language import (
    AddMonths,
    Choice,
    Compared,
    Comparing,
    DatePart,
    DateUnit,
    FloorDivide,
    Greatest,
    Integer,
    Least,
    Minus,
    PartOf,
    Plus,
    StartOf,
    Times,
)
from cleanroom.query.terms.operands import derived, is_null, nothing, unfit
from cleanroom.query.terms.resolutions import in_steps, number
from cleanroom.query.terms.typed import Constant, Typed
from cleanroom.query.terms.types import DateType, NumberType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cleanroom.errors import Refusal
    from cleanroom.query.terms.language import Term
    from cleanroom.query.terms.operands import Operand

DAYS_IN_WEEK: Final = 7
LONGEST_SPAN: Final = 4_000_000
"""Days that a span may have: more than all of the years 1 to 9999."""


@dataclass(frozen=True, slots=True)
class Span:
    """An interval: a whole number of months, then of days; either may be below 0."""

    months: int
    days: int


@dataclass(frozen=True, slots=True)
class Day:
    """A term that is a day, with its type."""

    value: Typed
    type: DateType

    @property
    def term(self) -> Term:
        """What it is computed from."""
        return self.value.term


def as_day(function: str, value: Operand) -> Typed | Refusal:
    """Return a term of `DateType`, also for a text constant that is a day; or why it is none."""
    if isinstance(value, Typed):
        return value if isinstance(value.type, DateType) else unfit(function, value)
    found = iso_date(value.value) if isinstance(value.value, str) else value.value
    if not isinstance(found, date):
        hint = ("DATE 'AAAA-MM-JJ'", "DATE 'YYYY-MM-DD'")
        return unfit(function, value, hint=hint)
    number = day_number(found)
    return Typed(Integer(number), DateType(number, number, nullable=False), position=value.position)


def _day(function: str, value: Operand) -> Day | Refusal:
    found = as_day(function, value)
    if isinstance(found, Typed) and isinstance(found.type, DateType):
        return Day(found, found.type)
    return found if not isinstance(found, Typed) else unfit(function, value)


def start_of(unit: DateUnit, value: Operand) -> Typed | Refusal:
    """Return the first day of the week, month, quarter or year that a day lies in."""
    if is_null(value):
        return nothing(value)
    day = _day("date_trunc", value)
    if not isinstance(day, Day):
        return day
    kind = DateType(_start(unit, day.type.lower), _start(unit, day.type.upper), day.type.nullable)
    return derived(StartOf(unit, day.term), kind, (day.value,))


def _start(unit: DateUnit, number: int) -> int:
    day = day_of(number)
    match unit:
        case DateUnit.WEEK:
            return number - (day.isoweekday() - 1)
        case DateUnit.MONTH:
            return day_number(day.replace(day=1))
        case DateUnit.QUARTER:
            return day_number(date(day.year, (day.month - 1) // 3 * 3 + 1, 1))
        case DateUnit.YEAR:
            return day_number(date(day.year, 1, 1))
    assert_never(unit)


def same_day(value: Operand) -> Typed | Refusal:
    """Return a day cut to its day: itself."""
    return nothing(value) if is_null(value) else as_day("date_trunc", value)


def part_of(part: DatePart, value: Operand) -> Typed | Refusal:
    """Return a part of a day as a number, within what its range allows."""
    if is_null(value):
        return nothing(value)
    day = _day(part.value, value)
    if not isinstance(day, Day):
        return day
    lower, upper = bounds_of_part(part, day.type.lower, day.type.upper)
    kind = NumberType.between(lower, upper, nullable=day.type.nullable)
    return derived(PartOf(part, day.term), kind, (day.value,))


def add_span(value: Operand, span: Span) -> Typed | Refusal:
    """Return a day a span later, or earlier where the span is below 0: first its months, then its days."""
    if is_null(value):
        return nothing(value)
    day = _day("INTERVAL", value)
    if not isinstance(day, Day):
        return day
    term, lower, upper = day.term, day.type.lower, day.type.upper
    if span.months:
        first, last = months_later(lower, span.months), months_later(upper, span.months)
        if first is None or last is None:
            return refusal("date_range", value.position)
        term, lower, upper = AddMonths(term, span.months), first, last
    if span.days:
        term, lower, upper = Plus(term, Integer(span.days)), lower + span.days, upper + span.days
    if not days_in_reach(lower, upper):
        return refusal("date_range", value.position)
    return derived(term, DateType(lower, upper, day.type.nullable), (day.value,))


def add_days(value: Operand, days: Operand, *, sign: int = 1) -> Typed | Refusal:
    """Return a day so many whole days later (`sign` 1) or earlier (-1); the number may be a term."""
    if is_null(value) or is_null(days):
        return nothing(value, days)
    day = _day("DATE + …" if sign > 0 else "DATE - …", value)
    if not isinstance(day, Day):
        return day
    whole = _whole(days)
    if whole is None:
        return unfit("DATE ± …", days, hint=("un nombre entier de jours", "a whole number of days"))
    term, kind = whole
    if sign > 0:
        made: Term = Plus(day.term, term)
        lower, upper = day.type.lower + kind.lower, day.type.upper + kind.upper
    else:
        made = Minus(day.term, term)
        lower, upper = day.type.lower - kind.upper, day.type.upper - kind.lower
    if not days_in_reach(lower, upper):
        return refusal("date_range", value.position)
    return derived(made, DateType(lower, upper, day.type.nullable or kind.nullable), (day.value, days))


def _whole(value: Operand) -> tuple[Term, NumberType] | None:
    """Return a whole number of any rows in steps of 1, or None."""
    found = number(value)
    if found is None or found.type.resolution.denominator != 1:
        return None
    whole = in_steps(found, Fraction(1))
    return None if whole is None else (whole.term, whole.type)


def days_between(left: Operand, right: Operand) -> Typed | Refusal:
    """Return `left - right`, a number of days."""
    return difference(None, right, left)


def difference(unit: DateUnit | None, start: Operand, end: Operand) -> Typed | Refusal:
    """Return how many days (None), weeks, months, quarters or years lie between two days, as date_diff counts them.

    Months, quarters and years count the beginnings passed; weeks are seven whole days, cut towards 0 (DuckDB 2).
    """
    if is_null(start) or is_null(end):
        return nothing(start, end)
    first, last = _day("date_diff", start), _day("date_diff", end)
    if not isinstance(first, Day):
        return first
    if not isinstance(last, Day):
        return last
    ends = (first.type.lower, first.type.upper, last.type.lower, last.type.upper)
    made: Term = Minus(last.term, first.term)
    if unit is not None and unit is not DateUnit.WEEK:
        made = Minus(_period(unit, last.term), _period(unit, first.term))
        least, most, earliest, latest = (_periods(unit, day_of(number)) for number in ends)
        ends = (least, most, earliest, latest)
    lower, upper = ends[2] - ends[1], ends[3] - ends[0]
    if unit is DateUnit.WEEK:
        made = _cut_to_weeks(made, lower, upper)
        lower, upper = _weeks(lower), _weeks(upper)
    null = first.type.nullable or last.type.nullable
    return derived(made, NumberType.between(lower, upper, nullable=null), (first.value, last.value))


def _periods(unit: DateUnit, day: date) -> int:
    """Return the number of a day's month, quarter or year, counted on without end."""
    if unit is DateUnit.YEAR:
        return day.year
    return day.year * 12 + day.month if unit is DateUnit.MONTH else day.year * 4 + (day.month + 2) // 3


def _period(unit: DateUnit, day: Term) -> Term:
    year = PartOf(DatePart.YEAR, day)
    if unit is DateUnit.YEAR:
        return year
    if unit is DateUnit.MONTH:
        return Plus(Times(year, Integer(12)), PartOf(DatePart.MONTH, day))
    return Plus(Times(year, Integer(4)), PartOf(DatePart.QUARTER, day))


def _weeks(days: int) -> int:
    return days // DAYS_IN_WEEK if days >= 0 else -(-days // DAYS_IN_WEEK)


def _cut_to_weeks(days: Term, lower: int, upper: int) -> Term:
    above = FloorDivide(days, DAYS_IN_WEEK)
    below = Minus(Integer(0), FloorDivide(Minus(Integer(0), days), DAYS_IN_WEEK))
    if lower >= 0:
        return above
    if upper <= 0:
        return below
    return Choice(((Compared(Comparing.LESS, days, Integer(0)), below),), above)


def extreme(items: Sequence[Operand], *, latest: bool) -> Typed | Refusal:
    """Return the latest, or the earliest, of the days that are not NULL."""
    found = alike(items)
    if not isinstance(found, Alike):
        return found
    if not isinstance(found.type, DateType):
        return unfit("GREATEST" if latest else "LEAST", items[0])
    # A value outside its range arrives as NULL in any column (S7), and NULL is skipped: the hull is what is sure.
    null = all(is_null(item) or (isinstance(item, Typed) and item.type.nullable) for item in items)
    kind = DateType(found.type.lower, found.type.upper, null)
    return derived(Greatest(found.terms) if latest else Least(found.terms), kind, items)


def last_of_month(value: Operand) -> Typed | Refusal:
    """Return the last day of a day's month."""
    if is_null(value):
        return nothing(value)
    day = _day("last_day", value)
    if not isinstance(day, Day):
        return day
    # The day after the last one may be 10000-01-01, which no row keeps.
    term = Minus(AddMonths(StartOf(DateUnit.MONTH, day.term), 1), Integer(1))
    ends = [_last(day_of(number)) for number in (day.type.lower, day.type.upper)]
    return derived(term, DateType(ends[0], ends[1], day.type.nullable), (day.value,))


def _last(day: date) -> int:
    after = months_later(day_number(day.replace(day=1)), 1)
    return day_number(date.max) if after is None else after - 1


def day_constant(value: Constant) -> Constant | None:
    """Return the day that a text constant is, for DATE '…'; None if it is none."""
    if value.value is None or isinstance(value.value, date):
        return value
    day = iso_date(value.value) if isinstance(value.value, str) else None
    return None if day is None else Constant(day, value.position)
