"""Days as texts: `strftime` with formats whose texts are public for every range, and the same in every locale."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final

from cleanroom.catalog import day_of
from cleanroom.catalog.columns import LARGEST_DOMAIN
from cleanroom.query.refusals import refusal
from cleanroom.query.terms.calendar_bounds import bounds_of_part, part_of_day
from cleanroom.query.terms.dates import DAYS_IN_WEEK, as_day
from cleanroom.query.terms.language import DatePart, FloorDivide, Integer, Minus, PartOf, Plus, Times
from cleanroom.query.terms.operands import derived, is_null, nothing
from cleanroom.query.terms.typed import Typed
from cleanroom.query.terms.types import CategoryType, DateType

if TYPE_CHECKING:
    from collections.abc import Callable

    from cleanroom.errors import Refusal
    from cleanroom.query.terms.language import Term
    from cleanroom.query.terms.operands import Operand

_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_WEEKDAYS: Final = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_SHORT: Final = 3


@dataclass(frozen=True, slots=True)
class _Format:
    """A format: texts numbered without gaps, each number another text.

    Args:
        number: of a day, as a term.
        bounds: least and greatest number of the days of a range.
        label: the text of a number.
    """

    number: Callable[[Term], Term]
    bounds: Callable[[int, int], tuple[int, int]]
    label: Callable[[int], str]


def _part(part: DatePart, label: Callable[[int], str]) -> _Format:
    return _Format(lambda day: PartOf(part, day), lambda lower, upper: bounds_of_part(part, lower, upper), label)


def _padded(part: DatePart, width: int) -> _Format:
    return _part(part, lambda number: f"{number:0{width}}")


def _months(label: str) -> _Format:
    def number(day: Term) -> Term:
        return Plus(Times(PartOf(DatePart.YEAR, day), Integer(12)), PartOf(DatePart.MONTH, day))

    def of_day(day: int) -> int:
        return day_of(day).year * 12 + day_of(day).month

    def text(number: int) -> str:
        year, month = divmod(number - 1, 12)
        return label.format(year=year, month=month + 1)

    return _Format(number, lambda lower, upper: (of_day(lower), of_day(upper)), text)


def _days(label: Callable[[date], str]) -> _Format:
    return _Format(lambda day: day, lambda lower, upper: (lower, upper), lambda number: label(day_of(number)))


def _weeks() -> _Format:
    # 1970-01-01 is a Thursday: three days later, a week begins with every seventh day.
    def text(number: int) -> str:
        monday = day_of(number * DAYS_IN_WEEK - 3)
        year, week, _ = monday.isocalendar()
        return f"{year:04}-W{week:02}"

    def bounds(lower: int, upper: int) -> tuple[int, int]:
        return (lower + 3) // DAYS_IN_WEEK, (upper + 3) // DAYS_IN_WEEK

    return _Format(lambda day: FloorDivide(Plus(day, Integer(3)), DAYS_IN_WEEK), bounds, text)


def _ordinal(day: date) -> str:
    return f"{day.year:04}-{part_of_day(DatePart.DAY_OF_YEAR, day):03}"


FORMATS: Final[dict[str, _Format]] = {
    "%Y": _padded(DatePart.YEAR, 4),
    "%m": _padded(DatePart.MONTH, 2),
    "%d": _padded(DatePart.DAY, 2),
    "%j": _padded(DatePart.DAY_OF_YEAR, 3),
    "%G": _padded(DatePart.ISO_YEAR, 4),
    "%V": _padded(DatePart.WEEK, 2),
    "%u": _padded(DatePart.ISO_DAY_OF_WEEK, 1),
    "%w": _padded(DatePart.DAY_OF_WEEK, 1),
    "%B": _part(DatePart.MONTH, lambda month: _MONTHS[month - 1]),
    "%b": _part(DatePart.MONTH, lambda month: _MONTHS[month - 1][:_SHORT]),
    "%A": _part(DatePart.DAY_OF_WEEK, lambda day: _WEEKDAYS[day]),
    "%a": _part(DatePart.DAY_OF_WEEK, lambda day: _WEEKDAYS[day][:_SHORT]),
    "%Y-%m": _months("{year:04}-{month:02}"),
    "%Y/%m": _months("{year:04}/{month:02}"),
    "%m/%Y": _months("{month:02}/{year:04}"),
    "%Y%m": _months("{year:04}{month:02}"),
    "%G-W%V": _weeks(),
    "%Y-%m-%d": _days(lambda day: day.isoformat()),
    "%Y%m%d": _days(lambda day: day.isoformat().replace("-", "")),
    "%d/%m/%Y": _days(lambda day: f"{day.day:02}/{day.month:02}/{day.year:04}"),
    "%Y-%j": _days(_ordinal),
}
"""Formats of `strftime` that are admitted; names of months and days are English in DuckDB, whatever the locale."""


def label(value: Operand, form: object) -> Typed | Refusal:
    """Return a day as a text in one of `FORMATS`: a category with every text of the range."""
    known = FORMATS.get(form) if isinstance(form, str) else None
    if known is None:
        listed = ", ".join(f"'{each}'" for each in FORMATS)
        return refusal("not_admitted", value.position, hint=(listed, listed), what="strftime")
    if is_null(value):
        return nothing(value)
    day = as_day("strftime", value)
    if not isinstance(day, Typed) or not isinstance(day.type, DateType):
        return day
    lower, upper = known.bounds(day.type.lower, day.type.upper)
    if upper - lower >= LARGEST_DOMAIN:
        return refusal("domain_too_large", value.position, limit=LARGEST_DOMAIN)
    domain = tuple(known.label(number) for number in range(lower, upper + 1))
    return derived(Minus(known.number(day.term), Integer(lower)), CategoryType(domain, day.type.nullable), (day,))
