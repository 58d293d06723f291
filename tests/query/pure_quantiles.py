"""Quantiles of pure releases: their bounds, what is read of them, and how good a candidate is."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from rooms import TNM
from slow_vector import planned

from cleanroom.query.bound import PureQuantileBound
from cleanroom.query.statistics import NumberKey, Quantile

if TYPE_CHECKING:
    from collections.abc import Sequence


FALSE_ALARM = 1e-9
ONE = Fraction(1)
PURE = frozenset({TNM})


def quantile(fraction: Fraction | str = "1/2", upper: int = 10, column: int = 0) -> Quantile:
    return Quantile(column, 0, upper, ONE, Fraction(fraction), discrete=True)


def bound_of(asked: Quantile, cells: int = 1, rows: int = 2, groups: int = 1) -> PureQuantileBound:
    keys = (NumberKey(1, 0, cells - 1, ONE, nullable=False),) if cells > 1 else ()
    (bound,) = planned(keys, (asked,), rows, groups, pure=True).bounds.quantiles
    assert isinstance(bound, PureQuantileBound)
    return bound


def readings(bound: PureQuantileBound, cell: Sequence[int]) -> list[int]:
    """Return G at each candidate, from its definition."""
    a, b = bound.below, bound.below + bound.above
    return [b * (sum(cell[: 2 * t + 1]) + sum(cell[: 2 * t + 2])) - 2 * a * sum(cell) for t in range(bound.candidates)]


def exactly(values: Sequence[int]) -> Sequence[int]:
    return values


def score(bound: PureQuantileBound, cell: Sequence[int], place: int) -> int:
    """Return x: by how much weight too much lies on a side of a candidate, times b (`query.ranks`)."""
    a, b = bound.below, bound.below + bound.above
    whole, under, over = sum(cell), sum(cell[: 2 * place]), sum(cell[2 * place + 1 :])
    return max(0, b * under - a * whole, b * over - (b - a) * whole)
