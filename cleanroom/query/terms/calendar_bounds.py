"""The least and the greatest part that the days of a range have, from its ends alone."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Final, assert_never

from cleanroom.catalog import day_number, day_of
from cleanroom.query.terms.language import DatePart

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST_DAY: Final = day_number(date.min)
LAST_DAY: Final = day_number(date.max)
"""Days that a term may have: years 1 to 9999."""

_LOOKED_AT: Final = 800
"""Days of a range whose parts are looked at one by one; a longer one holds two whole years."""


def days_in_reach(lower: int, upper: int) -> bool:
    """Return whether all days of a range lie in the years 1 to 9999."""
    return lower >= FIRST_DAY and upper <= LAST_DAY


def part_of_day(part: DatePart, day: date) -> int:
    """Return a part of a day."""
    match part:
        case DatePart.YEAR:
            return day.year
        case DatePart.QUARTER:
            return (day.month + 2) // 3
        case DatePart.MONTH:
            return day.month
        case DatePart.WEEK:
            return day.isocalendar().week
        case DatePart.ISO_YEAR:
            return day.isocalendar().year
        case DatePart.DAY:
            return day.day
        case DatePart.DAY_OF_WEEK:
            return day.isoweekday() % 7
        case DatePart.ISO_DAY_OF_WEEK:
            return day.isoweekday()
        case DatePart.DAY_OF_YEAR:
            return day.timetuple().tm_yday
    assert_never(part)


def bounds_of_part(part: DatePart, lower: int, upper: int) -> tuple[int, int]:
    """Return the least and the greatest part of the days from `lower` to `upper`."""
    if part in {DatePart.YEAR, DatePart.ISO_YEAR}:  # they only grow
        return part_of_day(part, day_of(lower)), part_of_day(part, day_of(upper))
    found = [part_of_day(part, day) for day in _telling(lower, upper)]
    return min(found), max(found)


def _telling(lower: int, upper: int) -> Iterator[date]:
    """Yield days of a range that have all extremes of its parts."""
    if upper - lower <= _LOOKED_AT:
        for number in range(lower, upper + 1):
            yield day_of(number)
        return
    first, last = day_of(lower), day_of(upper)
    # A whole year has every month, day and weekday; whether a year has 366 days, or a week 53, its end shows.
    # Only week 53 of the year before may be left at the beginning.
    yield first
    year = date(first.year + 1, 1, 1)
    for number in range(366):
        yield year + timedelta(days=number)
    for each in range(first.year, last.year + 1):
        for end in (date(each, 12, 28), date(each, 12, 31)):
            if first <= end <= last:
                yield end


def months_later(day: int, months: int) -> int | None:
    """Return the same day so many months later, or the last day of that month; None beyond the years 1 to 9999."""
    start = day_of(day)
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    if not 1 <= year <= date.max.year:
        return None
    for last in (start.day, 30, 29, 28):
        if last <= start.day:
            try:
                return day_number(date(year, month + 1, last))
            except ValueError:
                continue
    return None
