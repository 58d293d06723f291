"""The Gregorian calendar on arrays of days since 1970-01-01, before it was introduced too (ISO 8601)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_never

import numpy as np
import numpy.typing as npt

from cleanroom.query.terms.language import DatePart, DateUnit

if TYPE_CHECKING:
    Days = npt.NDArray[np.int64]


def part_of(part: DatePart, days: Days) -> Days:
    """Return a part of each day."""
    match part:
        case DatePart.YEAR:
            return _years(days)
        case DatePart.QUARTER:
            return _months(days) % 12 // 3 + 1
        case DatePart.MONTH:
            return _months(days) % 12 + 1
        case DatePart.WEEK:
            return _day_of_year(_thursday(days)) // 7 + 1
        case DatePart.ISO_YEAR:
            return _years(_thursday(days))
        case DatePart.DAY:
            return days - _first(_months(days), "M") + 1
        case DatePart.DAY_OF_WEEK:
            return (days + 4) % 7
        case DatePart.ISO_DAY_OF_WEEK:
            return (days + 3) % 7 + 1
        case DatePart.DAY_OF_YEAR:
            return _day_of_year(days) + 1
    assert_never(part)


def start_of(unit: DateUnit, days: Days) -> Days:
    """Return the first day of the week, month, quarter or year of each day."""
    match unit:
        case DateUnit.WEEK:
            return days - (days + 3) % 7
        case DateUnit.MONTH:
            return _first(_months(days), "M")
        case DateUnit.QUARTER:
            return _first(_months(days) // 3 * 3, "M")
        case DateUnit.YEAR:
            return _first(_years(days) - 1970, "Y")
    assert_never(unit)


def add_months(days: Days, months: int) -> Days:
    """Return the same day so many months later, or the last of that month."""
    place = days - _first(_months(days), "M")
    there = _months(days) + months
    last = _first(there + 1, "M") - 1
    return np.minimum(_first(there, "M") + place, last)


def _cut(days: Days, unit: Any) -> Days:
    whole: Days = days.astype("datetime64[D]").astype(f"datetime64[{unit}]").astype(np.int64)
    return whole


def _months(days: Days) -> Days:
    """Return the months since January 1970."""
    return _cut(days, "M")


def _years(days: Days) -> Days:
    return _cut(days, "Y") + 1970


def _first(whole: Days, unit: Any) -> Days:
    """Return the first day of months or years since 1970."""
    days: Days = whole.astype(f"datetime64[{unit}]").astype("datetime64[D]").astype(np.int64)
    return days


def _day_of_year(days: Days) -> Days:
    return days - _first(_years(days) - 1970, "Y")


def _thursday(days: Days) -> Days:
    """Return the Thursday of each day's week: its year is the week's (ISO 8601)."""
    return start_of(DateUnit.WEEK, days) + 3
