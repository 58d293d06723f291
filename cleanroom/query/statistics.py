"""What a release groups by and adds up: keys with public, complete sets of values, and statistics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decimal import Decimal

    from cleanroom.query.algebra import Code


@dataclass(frozen=True, slots=True)
class CategoryKey:
    """Group by a category; the cells are its declared domain, and NULL where it is nullable."""

    column: int
    domain: tuple[str, ...]
    nullable: bool

    @property
    def size(self) -> int:
        """Number of values."""
        return len(self.domain) + self.nullable


@dataclass(frozen=True, slots=True)
class NumberKey:
    """Group by a number: one cell for each step of its declared bounds."""

    column: int
    lower: Code
    upper: Code
    resolution: Decimal
    nullable: bool

    @property
    def size(self) -> int:
        """Number of values."""
        return self.upper - self.lower + 1 + self.nullable


@dataclass(frozen=True, slots=True)
class MonthKey:
    """Group by the month of a date: one cell for each month of its declared range.

    Args:
        first: months from 1970-01 to the first month.
        months: number of months.
    """

    column: int
    first: int
    months: int
    nullable: bool

    @property
    def size(self) -> int:
        """Number of values."""
        return self.months + self.nullable


Key = CategoryKey | NumberKey | MonthKey


@dataclass(frozen=True, slots=True)
class CountPersons:
    """COUNT(DISTINCT person)."""


@dataclass(frozen=True, slots=True)
class CountRows:
    """COUNT(*): rows, each person's capped."""


@dataclass(frozen=True, slots=True)
class Sum:
    """SUM of a number: each person's total clamped (S33).

    Args:
        lower: least value of the column, in steps.
        upper: greatest value, in steps.
    """

    column: int
    lower: Code
    upper: Code
    resolution: Decimal


@dataclass(frozen=True, slots=True)
class Mean:
    """AVG of a number: rows and centred total of a person, scaled by one factor (S34)."""

    column: int
    lower: Code
    upper: Code
    resolution: Decimal

    @property
    def middle(self) -> Code:
        """The integer that values are centred on."""
        return (self.lower + self.upper) // 2

    @property
    def half_width(self) -> int:
        """Greatest distance of a value from the middle, in steps; at least 1."""
        return max(self.upper - self.middle, self.middle - self.lower, 1)


Statistic = CountPersons | CountRows | Sum | Mean


@dataclass(frozen=True, slots=True)
class KeyOutput:
    """An answer's column that shows a key."""

    label: str
    key: int


@dataclass(frozen=True, slots=True)
class StatisticOutput:
    """An answer's column that shows a statistic."""

    label: str
    statistic: int


Output = KeyOutput | StatisticOutput
