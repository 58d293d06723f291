"""The public values among which a quantile is chosen: every step of the declared bounds, or a grid of them (S36).

A choice among more values costs no more (`query.quantiles`), so there are as many as memory and time allow. Where the
bounds have more steps, half of the values lie evenly between them, and half are finer the nearer they lie to zero:
those whose distance from it has few significant bits. Amounts of money are declared from 0 to something large and
mostly lie far below; a median of them is then met to a small part of itself, not of the bounds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Int64s = npt.NDArray[np.int64]

MOST_CANDIDATES: Final = 1 << 17
"""Values of all cells together, where there are few cells: drawing among so many takes some tenths of a second."""

EVEN_CANDIDATES: Final = 1 << 10
"""Values of a cell, where there are many."""

FINE_STEP: Final = 4
COARSE_STEP: Final = 1 << 10
"""Steps of the resolution between even candidates up to which they need no finer ones among them; the second where a
cell has few, and half of them were too few."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The candidates of one cell, in steps of the resolution.

    Args:
        lower: the first.
        upper: the last.
        step: between those that lie evenly; the last may be nearer.
        bits: significant bits of the distance from zero, or from the bound next to it, of the others; 0 for none.
    """

    lower: int
    upper: int
    step: int
    bits: int = 0

    @property
    def size(self) -> int:
        """Number of candidates."""
        if self.bits:
            return len(_listed(self))
        return -((self.lower - self.upper) // self.step) + 1

    def candidate(self, place: int) -> int:
        """Return a candidate, of the least first."""
        if self.bits:
            return int(_listed(self)[place])
        return min(self.upper, self.lower + place * self.step)

    def bins(self, codes: Int64s) -> Int64s:
        """Return the bin of each value: 2i for candidate i, 2i + 1 between candidates i and i + 1."""
        inside = np.clip(codes, self.lower, self.upper)
        if self.bits:
            listed = _listed(self)
            places = np.searchsorted(listed, inside)
            return np.where(listed[places] == inside, 2 * places, 2 * places - 1)
        away = inside - self.lower
        whole, rest = np.divmod(away, self.step)
        last = 2 * (self.size - 1)
        return np.where(away == self.upper - self.lower, last, 2 * whole + (rest > 0))


@lru_cache(maxsize=256)
def grid_of(lower: int, upper: int, most: int) -> Grid:
    """Return at most so many candidates, two or more, of bounds."""
    width = upper - lower
    even = _step(width, most)
    if even <= (FINE_STEP if most > 2 * EVEN_CANDIDATES else COARSE_STEP):
        return Grid(lower, upper, even)
    half, bits = most // 2, 0
    while sum(len(_few_bits(reach, bits + 1)) for reach in _sides(lower, upper)) <= half:
        bits += 1
    return Grid(lower, upper, _step(width, half), bits) if bits else Grid(lower, upper, even)


def _step(width: int, most: int) -> int:
    return max(1, -(-width // (most - 1)))


def _sides(lower: int, upper: int) -> tuple[int, int]:
    """Return how far the bounds reach below and above zero, or the bound next to it."""
    zero = _zero(lower, upper)
    return zero - lower, upper - zero


def _zero(lower: int, upper: int) -> int:
    return min(max(0, lower), upper)


@lru_cache(maxsize=64)
def _listed(grid: Grid) -> Int64s:
    """Return all candidates, ascending."""
    below, above = (_few_bits(reach, grid.bits) for reach in _sides(grid.lower, grid.upper))
    zero = _zero(grid.lower, grid.upper)
    even = np.arange(grid.lower, grid.upper, grid.step)
    listed = np.unique(np.concatenate([even, [grid.upper], zero - below, zero + above]))
    listed.setflags(write=False)
    return listed


def _few_bits(reach: int, bits: int) -> Int64s:
    """Return the numbers from 0 to `reach` of at most so many significant bits."""
    last, step = 1 << bits, 1
    parts = [np.arange(min(reach, last) + 1)]
    while last < reach:
        step *= 2
        parts.append(np.arange(last + step, min(reach, 2 * last) + 1, step))
        last *= 2
    return np.concatenate(parts)
