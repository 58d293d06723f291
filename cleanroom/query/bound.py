"""Set the bounds of a release: how much of one person may be in it, as one norm.

The exact vector of a release has one entry for each (cell, component). A component is held as a whole number of
lattice steps: the value times its multiplier k_j times 2^10 (S31, S32), so that one integer vector, one norm Z and one
noise scale s serve all statistics. k_j is public and chosen so that a person who contributes in full to one cell moves
every component about equally: k_j·natural_j ≈ 16·max natural. The weight of S31 is w_j = 1/k_j.

Z is what a person with full contributions in `max_groups` cells has; `query.contribution` clips everyone to it,
always, whatever the catalog says (S6). Nothing here looks at data.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final, assert_never

from cleanroom.errors import Refused
from cleanroom.query.algebra import depth
from cleanroom.query.refusals import refusal
from cleanroom.query.statistics import CountPersons, CountRows, Mean, Statistic, Sum

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cleanroom.catalog import Contribution
    from cleanroom.query.unit import TypedQuery

MAX_CELLS: Final = 100_000
MAX_ENTRIES: Final = 1 << 20
MAX_RELATION_DEPTH: Final = 32
"""How deep relations may nest: what is printed of them is read again by a recursive parser."""

LATTICE_BITS: Final = 10
LARGEST_ENTRY: Final = 1 << 50
"""An entry of a person's vector stays below 2^50 steps: squares sum exactly in 128 bits, and doubles hold it."""

SPREAD: Final = 16
"""How finely multipliers are matched to natural sizes: within 1/32 of equal shares."""

SUPPRESSION_SHARE: Final = 2
"""A persons' count that serves the owners' threshold only gets half the weight of a statistic asked for."""


class Measured(Enum):
    """What a component adds up over a person's rows in a cell."""

    PERSONS = "persons"
    ROWS = "rows"
    TOTAL = "total"
    MEAN_ROWS = "mean_rows"
    MEAN_TOTAL = "mean_total"


@dataclass(frozen=True, slots=True)
class Component:
    """One number of each cell.

    Args:
        column: the relation's column that is added up, or None.
        middle: what is subtracted from each value, in steps (S34); 0 for totals.
        lower: least contribution of a person to a cell, before the multiplier.
        upper: greatest contribution of a person to a cell, before the multiplier.
        multiplier: lattice steps for one unit, divided by 2^LATTICE_BITS (k_j).
    """

    measured: Measured
    column: int | None
    middle: int
    lower: int
    upper: int
    multiplier: int

    @property
    def natural(self) -> int:
        """Greatest size of a person's contribution to a cell, before the multiplier."""
        return max(self.upper, -self.lower)

    @property
    def steps(self) -> int:
        """Lattice steps of one unit."""
        return self.multiplier << LATTICE_BITS


@dataclass(frozen=True, slots=True)
class Bounds:
    """The public bounds of one release.

    Args:
        cells: number of cells, the product of the keys' sizes.
        max_rows: rows of a person that count in a cell (c).
        max_groups: cells in which a person may contribute in full (m).
        components: what each cell holds.
        norm: greatest L2 norm of a person's vector, in lattice steps (Z).
        threshold: the owners' threshold on noised persons of a cell; 0 for none (S37).
    """

    cells: int
    max_rows: int
    max_groups: int
    components: tuple[Component, ...]
    norm: int
    threshold: int

    @property
    def signed(self) -> bool:
        """Whether an entry can be negative; then two vectors of one person differ by up to 2Z (S2)."""
        return any(component.lower < 0 for component in self.components)

    @property
    def one_entry(self) -> bool:
        """Whether the whole vector is one number."""
        return self.cells * len(self.components) == 1


@dataclass(frozen=True, slots=True)
class BoundedQuery:
    """A typed query and its bounds."""

    query: TypedQuery
    bounds: Bounds


def bound(query: TypedQuery, contributions: Iterable[Contribution], threshold: int) -> BoundedQuery:
    """Set the bounds of `query`.

    Args:
        contributions: the defaults of the tables that it reads; the most generous counts, and only decides what is
            clipped (S6).
        threshold: the largest threshold of the owners' rules, in persons; 0 for none.

    Raises:
        Refused: too many cells, or bounds that do not sum exactly.
    """
    if depth(query.source.relation) > MAX_RELATION_DEPTH:
        raise Refused((refusal("too_deep", limit=MAX_RELATION_DEPTH),))
    cells = math.prod(key.size for key in query.keys)
    if cells > MAX_CELLS:
        raise Refused(
            (
                refusal(
                    "too_many_cells",
                    cells=cells,
                    limit=MAX_CELLS,
                    hint=("groupez par moins de colonnes", "group by fewer columns"),
                ),
            )
        )
    defaults = tuple(contributions)
    max_rows = max(default.max_rows for default in defaults)
    max_groups = min(cells, max(default.max_groups for default in defaults))
    natural = [part for statistic in query.statistics for part in _components(statistic, max_rows)]
    asked = any(isinstance(statistic, CountPersons) for statistic in query.statistics)
    if threshold and not asked:
        natural.append(_PERSONS)
    if cells * (len(natural)) > MAX_ENTRIES:
        raise Refused((refusal("too_many_cells", cells=cells * len(natural), limit=MAX_ENTRIES),))
    largest = max(component.natural for component in natural)
    if (largest * SPREAD) << LATTICE_BITS > LARGEST_ENTRY:
        raise Refused((refusal("bounds_too_wide"),))
    components = tuple(
        Component(
            part.measured,
            part.column,
            part.middle,
            part.lower,
            part.upper,
            _multiplier(part, largest, suppression_only=threshold > 0 and not asked),
        )
        for part in natural
    )
    square = sum((component.steps * component.natural) ** 2 for component in components)
    norm = math.isqrt(max_groups * square - 1) + 1
    return BoundedQuery(query, Bounds(cells, max_rows, max_groups, components, norm, threshold))


_PERSONS: Final = Component(Measured.PERSONS, None, 0, 0, 1, 1)


def _components(statistic: Statistic, max_rows: int) -> tuple[Component, ...]:
    match statistic:
        case CountPersons():
            return (_PERSONS,)
        case CountRows():
            return (Component(Measured.ROWS, None, 0, 0, max_rows, 1),)
        case Sum(column=column, lower=lower, upper=upper):
            # A column that can only be 0 still gets a positive size: its total is noised like any other.
            least, most = min(0, max_rows * lower), max(0, max_rows * upper)
            return (Component(Measured.TOTAL, column, 0, least, max(most, 1 if least == 0 else 0), 1),)
        case Mean(column=column):
            reach = max_rows * statistic.half_width
            return (
                Component(Measured.MEAN_ROWS, column, 0, 0, max_rows, 1),
                Component(Measured.MEAN_TOTAL, column, statistic.middle, -reach, reach, 1),
            )
    assert_never(statistic)


def _multiplier(component: Component, largest: int, *, suppression_only: bool) -> int:
    share = SUPPRESSION_SHARE if suppression_only and component.measured is Measured.PERSONS else 1
    return max(1, largest * SPREAD // (component.natural * share))
