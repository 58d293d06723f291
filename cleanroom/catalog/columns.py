"""Describe columns: their type, domain, bounds and resolution, as the room enforces them (S7).

Every value has one exact integer or text form, so that nothing on the way to noise is a float (DESIGN §3):

- category: the index of its value in the declared domain;
- date: days since 1970-01-01;
- number: a whole number of steps of the declared resolution (cents for 0.01).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Final

LARGEST_NUMBER: Final = (1 << 31) - 1
"""Bounds, in steps of the resolution, stay below 2^31, so that sums over fewer than 2^31 rows fit 64 bits (S23)."""

LARGEST_DOMAIN: Final = 10_000
EPOCH_DAY: Final = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Category:
    """A value of a declared, public domain; whatever else arrives is NULL (S7)."""

    domain: tuple[str, ...]
    nullable: bool


@dataclass(frozen=True, slots=True)
class Text:
    """Free text; it has no public domain."""

    nullable: bool


@dataclass(frozen=True, slots=True)
class Date:
    """A day of a declared, closed range; other days are clamped to it (S7)."""

    first: date
    last: date
    nullable: bool

    @property
    def lower(self) -> int:
        """First day, in days since 1970-01-01."""
        return day_number(self.first)

    @property
    def upper(self) -> int:
        """Last day, in days since 1970-01-01."""
        return day_number(self.last)


@dataclass(frozen=True, slots=True)
class Number:
    """An integer or a decimal with declared, closed bounds; other values are clamped to them (S7).

    Args:
        resolution: the size of one step: 1 for integers, 0.01 for cents.
        lower: least value, in steps.
        upper: greatest value, in steps.
        unit: what is counted, for people (CAD); or None.
    """

    resolution: Decimal
    lower: int
    upper: int
    nullable: bool
    unit: str | None = None

    def steps(self, value: Decimal) -> Fraction:
        """Return `value` as a number of steps, exactly; it need not be whole."""
        return Fraction(value) / Fraction(self.resolution)

    def value(self, steps: int) -> Decimal:
        """Return the value of a whole number of steps."""
        return self.resolution * steps


ColumnType = Category | Text | Date | Number


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table."""

    name: str
    type: ColumnType


def day_number(day: date) -> int:
    """Return the days from 1970-01-01 to `day`."""
    return (day - EPOCH_DAY).days


def day_of(number: int) -> date:
    """Return the day that is `number` days after 1970-01-01."""
    return EPOCH_DAY + timedelta(days=number)
