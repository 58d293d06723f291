"""What a release groups by and adds up: keys, statistics, and the columns of an answer.

Keys other than `UnknownKey` have public, complete sets of values (S25), read off the catalog and the question.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import date
    from decimal import Decimal

    from cleanroom.query.terms.types import Code

    Resolution = Decimal | Fraction
    """The value of one step of a number's codes: above 0, taken exactly."""

RANK_STEPS: Final = 10_000
"""The fraction of a quantile is a ratio of whole numbers of at most this."""


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
    resolution: Resolution
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


@dataclass(frozen=True, slots=True)
class ListedKey:
    """Group by a column whose codes are among these: CASE labels, bins, the months of a filter, booleans.

    Args:
        codes: ascending, none twice; a row with another code is in no cell.
        labels: what the answer shows for each code.
    """

    column: int
    codes: tuple[Code, ...]
    labels: tuple[Label, ...]
    nullable: bool

    def __post_init__(self) -> None:
        if len(self.codes) != len(self.labels) or any(a >= b for a, b in zip(self.codes, self.codes[1:], strict=False)):
            raise ValueError("a listed key has ascending codes, each with its label")
        if not self.size:
            raise ValueError("a listed key has a value")

    @property
    def size(self) -> int:
        """Number of values."""
        return len(self.codes) + self.nullable


class Shown(Enum):
    """How the values of a key without a public domain are shown."""

    TEXT = "text"
    NUMBER = "number"
    DATE = "date"


@dataclass(frozen=True, slots=True)
class UnknownKey:
    """Group by values without a public domain; those that many persons have are released past a threshold (S8).

    Args:
        shown: texts are texts in the stream; numbers and dates are codes.
        resolution: of a number.
        nullable: whether NULL is one of the values.
    """

    column: int
    nullable: bool
    shown: Shown = Shown.TEXT
    resolution: Resolution = Fraction(1)


PublicKey = CategoryKey | NumberKey | MonthKey | ListedKey
Key = PublicKey | UnknownKey


@dataclass(frozen=True, slots=True)
class CountPersons:
    """COUNT(DISTINCT person): persons with a row in the cell, or with one where `column` is not NULL (S28)."""

    column: int | None = None


@dataclass(frozen=True, slots=True)
class CountRows:
    """COUNT(*), or COUNT(column): rows where it is not NULL (S28); each person's capped."""

    column: int | None = None


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
    resolution: Resolution


@dataclass(frozen=True, slots=True)
class Mean:
    """AVG of a number: rows and centred total of a person, scaled by one factor (S34)."""

    column: int
    lower: Code
    upper: Code
    resolution: Resolution

    @property
    def middle(self) -> Code:
        """The integer that values are centred on."""
        return (self.lower + self.upper) // 2

    @property
    def half_width(self) -> int:
        """Greatest distance of a value from the middle, in steps; at least 1."""
        return max(self.upper - self.middle, self.middle - self.lower, 1)


@dataclass(frozen=True, slots=True)
class Variance:
    """VAR_POP, VAR_SAMP, STDDEV_POP or STDDEV_SAMP: rows, centred total and centred squares, one factor (S34).

    Args:
        sample: divide by n - 1 instead of n.
        root: the standard deviation.
    """

    column: int
    lower: Code
    upper: Code
    resolution: Resolution
    sample: bool
    root: bool

    @property
    def mean(self) -> Mean:
        """The mean of the same column, which has the first two of its three components."""
        return Mean(self.column, self.lower, self.upper, self.resolution)

    @property
    def offset(self) -> int:
        """What centres a square: ⌊h²/2⌋, h the half-width."""
        return self.mean.half_width**2 // 2


@dataclass(frozen=True, slots=True)
class Quantile:
    """QUANTILE_CONT, QUANTILE_DISC, MEDIAN: one of the candidates, chosen by noisy max (S36) or found purely (S11).

    Args:
        fraction: from 0 to 1.
        discrete: whether a value of the data was asked for, or a point between two; either is met to within one step
            of the candidates.
    """

    column: int
    lower: Code
    upper: Code
    resolution: Resolution
    fraction: Fraction
    discrete: bool


Statistic = CountPersons | CountRows | Sum | Mean | Variance | Quantile


def bounds_of_values(statistic: Statistic) -> tuple[float, float] | None:
    """Return the bounds of the values that a statistic is of, in their unit: derived ones of expressions too.

    A count has none; the values of a person in a cell are clamped to these.
    """
    match statistic:
        case CountPersons() | CountRows():
            return None
        case _:
            resolution = Fraction(statistic.resolution)
            return float(statistic.lower * resolution), float(statistic.upper * resolution)


@dataclass(frozen=True, slots=True)
class KeyOutput:
    """An answer's column that shows a key; NULL in the rows of grouping sets without it."""

    label: str
    key: int


@dataclass(frozen=True, slots=True)
class GroupingOutput:
    """An answer's column that shows GROUPING(keys): a bit for each, the first highest; 1 where it is not grouped by."""

    label: str
    keys: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class StatisticOutput:
    """An answer's column that shows a statistic."""

    label: str
    statistic: int


Output = KeyOutput | GroupingOutput | StatisticOutput

if TYPE_CHECKING:
    Label = str | Decimal | date | bool
