"""What each cell of a release adds up, in whole numbers: the components of its statistics (S31 to S34).

A component is held as a whole number of lattice steps: the value times its multiplier k_j times 2^10 (S31, S32), and
where the value can be far larger than 2^24, divided by a power of two. So one integer vector, one norm Z and one noise
scale s serve all statistics.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import Enum
from fractions import Fraction
from typing import TYPE_CHECKING, Final, assert_never

from cleanroom.errors import Refused
from cleanroom.query.refusals import refusal
from cleanroom.query.statistics import CountPersons, CountRows, Mean, Quantile, Statistic, Sum, Variance

if TYPE_CHECKING:
    from collections.abc import Sequence

LATTICE_BITS: Final = 10
SIZE_BITS: Final = 24
"""A value is divided until it is below 2^24 before its multiplier: sixteen million persons then sum below 2^62 (S23),
and the lattice is still 2^34 times finer than the value."""

SPREAD: Final = 16
"""How finely multipliers are matched to natural sizes: within 1/32 of equal shares."""

SUPPRESSION_SHARE: Final = 2
"""A persons' count that serves the owners' threshold only gets half the weight of a statistic asked for."""

PERSON_ROWS: Final = 1 << 17
"""Rows of a person in a cell that are looked at; relations are cut to as many (S23)."""

LARGEST_VALUE: Final = 1 << 44
LARGEST_HALF_WIDTH: Final = 1 << 23
"""2^17 values below 2^44, less as many times a middle below it, stay below 2^62; so do 2^17 centred squares of numbers
within 2^23, each at most 2^45."""


class Measured(Enum):
    """What a component adds up over a person's rows in a cell."""

    PERSONS = "persons"
    ROWS = "rows"
    TOTAL = "total"
    MEAN_TOTAL = "mean_total"
    SQUARES = "squares"


@dataclass(frozen=True, slots=True)
class Component:
    """One number of each cell.

    Args:
        column: the relation's column that is added up, or whose NULLs are left out; None for rows.
        middle: what is subtracted from each value, in steps (S34); 0 for totals.
        lower: least contribution of a person to a cell, before the multiplier.
        upper: greatest contribution of a person to a cell, before the multiplier.
        multiplier: lattice steps for one unit, divided by 2^LATTICE_BITS (k_j).
        shift: the unit is 2^shift.
        offset: what is subtracted from each square (S34); 0 for all else.
        least: values of the column below are taken for it; None for no such bound.
        most: values of the column above are taken for it.
    """

    measured: Measured
    column: int | None
    middle: int
    lower: int
    upper: int
    multiplier: int
    shift: int = 0
    offset: int = 0
    least: int | None = None
    most: int | None = None

    @property
    def natural(self) -> int:
        """Greatest size of a person's contribution to a cell, before the multiplier."""
        return max(self.upper, -self.lower)

    @property
    def size(self) -> int:
        """That in units of 2^shift, rounded up."""
        return -(-self.natural >> self.shift)

    @property
    def steps(self) -> int:
        """Lattice steps of one unit."""
        return self.multiplier << LATTICE_BITS

    @property
    def step(self) -> Fraction:
        """What one lattice step is worth, in steps of the column's resolution."""
        return Fraction(1 << self.shift, self.steps)

    @property
    def reach(self) -> int:
        """Greatest size of a person's entry, in lattice steps."""
        return (self.natural * self.steps) >> self.shift


PERSONS: Final = Component(Measured.PERSONS, None, 0, 0, 1, 1)


def components_of(statistic: Statistic, max_rows: int, max_sum: int | None = None) -> tuple[Component, ...]:
    """Return what a statistic adds up, multipliers not set yet; nothing for a quantile.

    Args:
        max_rows: rows of a person that count in a cell (c).
        max_sum: greatest size of a person's total in a cell, in steps (L of S33); None for what rows give.

    Raises:
        Refused: bounds whose sums might not fit 63 bits.
    """
    match statistic:
        case CountPersons(column=column):
            return (Component(Measured.PERSONS, column, 0, 0, 1, 1),)
        case CountRows(column=column):
            return (Component(Measured.ROWS, column, 0, 0, max_rows, 1),)
        case Sum(column=column, lower=lower, upper=upper):
            _require_exact(lower, upper)
            # A column that can only be 0 still gets a positive size: its total is noised like any other.
            least, most = min(0, max_rows * lower), max(0, max_rows * upper)
            if max_sum is not None:
                least, most = max(least, -max_sum), min(most, max_sum)
            upper_total = max(most, 1 if least == 0 else 0)
            return (Component(Measured.TOTAL, column, 0, least, upper_total, 1, least=lower, most=upper),)
        case Mean(column=column, lower=lower, upper=upper):
            _require_exact(lower, upper)
            reach = max_rows * statistic.half_width
            return (
                Component(Measured.ROWS, column, 0, 0, max_rows, 1),
                Component(Measured.MEAN_TOTAL, column, statistic.middle, -reach, reach, 1, least=lower, most=upper),
            )
        case Variance(column=column, lower=lower, upper=upper):
            mean = statistic.mean
            if mean.half_width > LARGEST_HALF_WIDTH:
                raise _too_wide()
            reach = max_rows * (mean.half_width**2 - statistic.offset)
            squares = Component(Measured.SQUARES, column, mean.middle, -reach, reach, 1, least=lower, most=upper)
            return (*components_of(mean, max_rows), replace(squares, offset=statistic.offset))
        case Quantile(lower=lower, upper=upper):
            _require_exact(lower, upper)
            return ()
    assert_never(statistic)


def weighted(
    parts: list[Component], suppression: Component | None, weights: Sequence[Fraction] = ()
) -> tuple[Component, ...]:
    """Return components with multipliers, such that a full contribution moves each by about its part (S31).

    What one component costs of a release goes with the square of its size times its multiplier, so
    k_j·size_j ≈ 16·max size·√weight_j; the w_j of S31 is 1/k_j. Values are made as much shorter as the largest root is
    longer, so that sums fit as they do without weights.

    Args:
        parts: what the statistics add up.
        suppression: the count of persons that only the owners' threshold asks for, last; or None.
        weights: of the parts, at least 1 each; none for equal parts.
    """
    every = [*parts, suppression] if suppression is not None else parts
    shares = [*(weights or [Fraction(1)] * len(parts)), Fraction(1, SUPPRESSION_SHARE**2)]
    longer = math.isqrt(math.ceil(max(weights, default=Fraction(1))) - 1).bit_length()
    shifted = [replace(part, shift=max(0, part.natural.bit_length() - SIZE_BITS + longer)) for part in every]
    largest = max((part.size for part in shifted), default=1)
    return tuple(
        replace(part, multiplier=max(1, math.isqrt(int((largest * SPREAD) ** 2 * share / part.size**2))))
        for part, share in zip(shifted, shares, strict=False)
    )


def _require_exact(lower: int, upper: int) -> None:
    if max(abs(lower), abs(upper)) > LARGEST_VALUE:
        raise _too_wide()


def _too_wide() -> Refused:
    return Refused(
        (
            refusal(
                "bounds_too_wide",
                hint=("arrondissez : ROUND(x, 0), ROUND(x, -2)", "round it: ROUND(x, 0), ROUND(x, -2)"),
            ),
        )
    )
