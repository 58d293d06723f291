"""Set the bounds of a release: how much of one person may be in it.

The exact vector of a release has one entry for each (cell, component), all grouping sets together (S27). Z is what a
person with full contributions in `max_groups` cells of each set has; `query.contribution` clips everyone to it, always,
whatever the catalog says (S6). Quantiles have a norm of their own, of weights (S36), and unknown keys a number of them
that a person keeps (S8). Nothing here looks at data.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from cleanroom.accounting.accountant import MAX_NORM
from cleanroom.errors import Refused
from cleanroom.query.algebra import depth
from cleanroom.query.candidates import EVEN_CANDIDATES, MOST_CANDIDATES, Grid, grid_of
from cleanroom.query.cells import GroupingSets, set_sizes, unknown_keys
from cleanroom.query.components import (
    LATTICE_BITS,
    PERSONS,
    SPREAD,
    SUPPRESSION_SHARE,
    Component,
    Measured,
    components_of,
    weighted,
)
from cleanroom.query.refusals import refusal
from cleanroom.query.statistics import RANK_STEPS, CountPersons, Key, Quantile, Statistic

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cleanroom.catalog import Contribution
    from cleanroom.query.algebra import Relation

__all__ = [
    "LATTICE_BITS",
    "MAX_CELLS",
    "SPREAD",
    "SUPPRESSION_SHARE",
    "BoundChoice",
    "Bounds",
    "Component",
    "Measured",
    "PureQuantileBound",
    "QuantileBound",
    "Sized",
    "bounds_of",
]

MAX_CELLS: Final = 100_000
MAX_ENTRIES: Final = 1 << 20
MAX_SCORES: Final = 1 << 20
"""Candidates of all cells of a quantile together."""

MOST_QUANTILES: Final = 32
UNKNOWN_CANDIDATES: Final = 256
FEWEST_CANDIDATES: Final = 64
MAX_RELATION_DEPTH: Final = 32
"""How deep relations may nest: what is printed of them is read again by a recursive parser."""

WEIGHT: Final = 1 << 20
"""Weight of a person in full, about, that quantiles are computed from: 2^17 rows still weigh eight steps each."""


@dataclass(frozen=True, slots=True)
class QuantileBound:
    """What one person can move of a quantile's scores (S36).

    Args:
        statistic: place among the plan's statistics.
        column: the relation's column.
        grid: the candidates, in steps of the resolution; values below the first or above the last are taken for it.
        below: a, for the fraction a/b of rows that lie below.
        above: b - a.
        weight: of one row of a person with at most c rows in the cell.
        norm: greatest L2 norm of a person's weights by cell (d), or L1 norm if the release is pure.
    """

    statistic: int
    column: int
    grid: Grid
    below: int
    above: int
    weight: int
    norm: int

    @property
    def candidates(self) -> int:
        """Number of candidates."""
        return self.grid.size

    @property
    def factor(self) -> int:
        """Greatest move of a score by a row's weight: max(a, b - a)."""
        return max(self.below, self.above)


class PureQuantileBound(QuantileBound):
    """The same of a pure release: the norm is L1, the value found by noised readings (`query.bisecting`)."""

    @property
    def rounds(self) -> int:
        """How often each cell is read: as often as halving takes to come from all candidates to one."""
        return max(1, (self.candidates - 1).bit_length())

    @property
    def reading(self) -> int:
        """Greatest move of one round's readings, of all cells together, when a person goes (L1)."""
        return 2 * self.factor * self.norm


class Sized(Enum):
    """What the size of a person is: rows or a total, in a cell or all together, or how many cells they are in."""

    ROWS = "rows"
    TOTAL = "total"
    GROUPS = "groups"


@dataclass(frozen=True, slots=True)
class BoundChoice:
    """A bound that is chosen among public candidates.

    Args:
        column: that is added up; None for rows and cells.
        least: values of the column below are taken for it.
        most: values of the column above are taken for it.
        candidates: ascending; rows, steps of the column, or cells.
        bounds: of the release, for each candidate.
        above: p, what a person above a candidate counts in its score.
        below: q, what another person counts against them.
    """

    sized: Sized
    column: int | None
    least: int
    most: int
    candidates: tuple[int, ...]
    bounds: tuple[Bounds, ...]
    above: int
    below: int

    @property
    def factor(self) -> int:
        """Greatest move of a score when a person goes."""
        return max(self.above, self.below)

    @property
    def span(self) -> int:
        """Greatest move of a score when a person's size changes."""
        return self.above + self.below

    def scores(self, counts: Sequence[int], target: int, pulls: Sequence[int]) -> list[int]:
        """Return the score of each candidate (`query.choosing`).

        Args:
            counts: persons by size: up to each candidate but not the one before, and beyond the last.
            target: r.
            pulls: c, of each candidate.
        """
        total, upto = sum(counts), 0
        found: list[int] = []
        short = 0
        for here, pull in zip(counts[: len(self.candidates)], pulls, strict=True):
            upto += here
            over = self.above * (total - upto) - self.below * upto - target
            found.append(-max(0, over, short) - pull)
            short = -over
        return found


@dataclass(frozen=True, slots=True)
class Bounds:
    """The public bounds of one release.

    Args:
        cells: number of public cells, of all grouping sets; for each surviving key where keys are unknown.
        max_rows: rows of a person that count in a cell (c).
        max_groups: cells of a grouping set in which a person may contribute in full (m).
        components: what each cell holds.
        norm: greatest L2 norm of a person's vector, in lattice steps (Z), or L1 norm if it is pure; 0 if there are no
            components.
        threshold: the owners' threshold on noised persons of a cell; 0 for none (S37).
        quantiles: one for each quantile among the statistics.
        distinct_keys: unknown keys that a person keeps (m of S8); 0 where all keys are public.
        shares: the weight of each statistic, at least 1; none where they weigh the same.
        max_sum: greatest size of a person's total in a cell, in steps of the column (S33); None for what rows give.
        choice: that settles them once data is read; until then they are the widest of its candidates (S38).
        pure: whether the norm is L1 and the noise discrete Laplace (S11).
    """

    cells: int
    max_rows: int
    max_groups: int
    components: tuple[Component, ...]
    norm: int
    threshold: int
    quantiles: tuple[QuantileBound, ...] = ()
    distinct_keys: int = 0
    shares: tuple[Fraction, ...] = ()
    max_sum: int | None = None
    choice: BoundChoice | None = None
    pure: bool = False

    @property
    def signed(self) -> bool:
        """Whether an entry can be negative; then two vectors of one person differ by up to 2Z (S2)."""
        return any(component.lower < 0 for component in self.components)

    @property
    def one_cell(self) -> bool:
        """Whether there is one cell, whatever the data."""
        return self.cells == 1 and not self.distinct_keys

    @property
    def one_entry(self) -> bool:
        """Whether the whole vector is one number."""
        return self.one_cell and self.cells * len(self.components) == 1

    @property
    def grain(self) -> int:
        """Lattice steps that every number of every vector is a multiple of, for pure noise; 1 where none is known.

        Where a person who fills every cell is within the norm, nobody is ever shortened (S31): a count's entry is then
        steps·n, and an undivided total's steps·t, for whole n and t. So all vectors lie on multiples of the greatest
        common divisor g of these steps, and noise drawn on multiples of g hides v as noise of scale s/g on whole
        numbers hides v/g: two vectors norm apart in L1 are norm/g apart in these, and the loss is (norm/g)/(s/g), the
        same as on the lattice (S11, S32). Means are cut by rows, and so lie on the lattice itself.
        """
        if not self.pure or self.norm < self.cells * sum(each.reach for each in self.components):
            return 1
        whole = {Measured.PERSONS, Measured.ROWS, Measured.TOTAL}
        steps = (each.steps if each.measured in whole and not each.shift else 1 for each in self.components)
        return max(1, math.gcd(*steps))

    @property
    def most_surviving(self) -> int:
        """How many unknown keys are answered at most: the others are cut after noise, fewest persons first (S41)."""
        width = max(1, len(self.components))
        scores = max((each.candidates for each in self.quantiles), default=1)
        return max(
            1, min(MAX_CELLS // self.cells, MAX_ENTRIES // (self.cells * width), MAX_SCORES // (self.cells * scores))
        )

    @property
    def counted_by_threshold(self) -> bool:
        """Whether the noised counts of the threshold are the answer: persons by unknown keys, and nothing else."""
        return bool(self.distinct_keys) and not self.components and not self.quantiles


def require_depth(relation: Relation) -> None:
    """Refuse a relation that nests too deep."""
    if depth(relation) > MAX_RELATION_DEPTH:
        raise Refused((refusal("too_deep", limit=MAX_RELATION_DEPTH),))


def bounds_of(
    keys: tuple[Key, ...],
    sets: GroupingSets,
    statistics: tuple[Statistic, ...],
    contributions: Iterable[Contribution],
    threshold: int,
    shares: tuple[Fraction, ...] = (),
    max_sum: int | None = None,
    *,
    pure: bool = False,
) -> Bounds:
    """Set the bounds of a release.

    Args:
        sets: grouping sets; where a key is unknown, one set of all keys.
        contributions: the defaults of the tables that it reads; the most generous counts, and only decides what is
            clipped (S6).
        threshold: the largest threshold of the owners' rules, in persons; 0 for none.
        shares: the weight of each statistic, at least 1; none for equal ones.
        max_sum: greatest size of a person's total in a cell, in steps; None for what rows give.
        pure: whether a table's budget is pure: the norm is L1, unknown keys are refused (S11).

    Raises:
        Refused: too many cells, or bounds that do not sum exactly.
    """
    sizes = set_sizes(keys, sets)
    unknown = bool(unknown_keys(keys))
    if unknown and sets != (tuple(range(len(keys))),):
        raise Refused((refusal("not_admitted", what="ROLLUP, CUBE, GROUPING SETS (clé sans domaine / open key)"),))
    if pure:
        _require_domains(unknown=unknown)
    cells = sum(sizes)
    if cells > MAX_CELLS:
        raise _too_many(cells, MAX_CELLS)
    defaults = tuple(contributions)
    max_rows = max(default.max_rows for default in defaults)
    wanted = max(default.max_groups for default in defaults)
    # Of each set, as many cells as that set has; of a set with unknown keys, which nobody can count beforehand, m.
    groups = [wanted if unknown else min(size, wanted) for size in sizes]
    parts: dict[Component, Fraction] = {}
    for place, statistic in enumerate(statistics):
        for part in components_of(statistic, max_rows, max_sum):
            parts[part] = max(parts.get(part, Fraction(0)), shares[place] if shares else Fraction(1))
    only_persons = unknown and len(unknown_keys(keys)) == len(keys) and set(statistics) == {CountPersons()}
    if only_persons:
        components: tuple[Component, ...] = ()
    else:
        suppression = PERSONS if threshold and PERSONS not in parts else None
        # What a component costs goes with the square of its length in L2, with the length itself in L1.
        weights = [weight**2 if pure else weight for weight in parts.values()] if shares else []
        components = weighted(list(parts), suppression, weights)
    if cells * len(components) > MAX_ENTRIES:
        raise _too_many(cells * len(components), MAX_ENTRIES)
    if pure:
        norm = sum(groups) * sum(component.reach for component in components)
        if norm > MAX_NORM:
            raise Refused((refusal("bounds_too_wide"),))
    else:
        norm = _root_up(sum(groups) * sum(component.reach**2 for component in components))
    return Bounds(
        cells,
        max_rows,
        max(groups),
        components,
        norm,
        threshold,
        _quantiles(statistics, cells, sum(groups), max_rows, unknown=unknown, pure=pure),
        wanted if unknown else 0,
        shares,
        max_sum,
        pure=pure,
    )


def _require_domains(*, unknown: bool) -> None:
    """Refuse in a pure question what is not over public cells: a threshold on keys needs a delta (S11)."""
    if unknown:
        hint = (
            "un budget de delta 0 n'admet que des réponses par domaines déclarés",
            "a budget of delta 0 admits answers by declared domains only",
        )
        raise Refused((refusal("not_admitted", what="GROUP BY (clé sans domaine / open key)", hint=hint),))


def _quantiles(
    statistics: tuple[Statistic, ...], cells: int, groups: int, max_rows: int, *, unknown: bool, pure: bool
) -> tuple[QuantileBound, ...]:
    """Return the bounds of each quantile: its candidates, and what one person weighs in it."""
    made = PureQuantileBound if pure else QuantileBound
    asked = [(place, each) for place, each in enumerate(statistics) if isinstance(each, Quantile)]
    if len(asked) > MOST_QUANTILES:
        raise Refused((refusal("not_admitted", what=f"QUANTILE × {len(asked)} (> {MOST_QUANTILES})"),))
    # Keys that survive, which nobody can count beforehand, share the scores: few each, so that many may.
    fine = 0 if unknown else MOST_CANDIDATES // cells
    most = max(min(UNKNOWN_CANDIDATES if unknown else EVEN_CANDIDATES, MAX_SCORES // cells), fine)
    weight = max(16, WEIGHT // max_rows)
    found = []
    for place, each in asked:
        if most < FEWEST_CANDIDATES and each.upper - each.lower >= most:
            raise _too_many(cells, MAX_SCORES // FEWEST_CANDIDATES)
        fraction = each.fraction.limit_denominator(RANK_STEPS)
        found.append(
            made(
                place,
                each.column,
                grid_of(each.lower, each.upper, most),
                fraction.numerator,
                fraction.denominator - fraction.numerator,
                weight,
                groups * weight * max_rows if pure else _root_up(groups * (weight * max_rows) ** 2),
            )
        )
    return tuple(found)


def _root_up(square: int) -> int:
    return math.isqrt(square - 1) + 1 if square else 0


def _too_many(cells: int, limit: int) -> Refused:
    hint = ("groupez par moins de colonnes", "group by fewer columns")
    return Refused((refusal("too_many_cells", cells=cells, limit=limit, hint=hint),))
