"""From noised numbers to an answer's lines: keys, values, margins and states; post-processing only, nothing here costs.

A cell whose noised persons fall below the owners' threshold is withheld whole, before anything else is computed from
it (S37). How values come from noised sums is in `query.estimates`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import TYPE_CHECKING

from cleanroom.errors import InvariantBroken
from cleanroom.query.bound import Measured
from cleanroom.query.cells import KeyValue, SurvivingKeys, key_values
from cleanroom.query.estimates import Value, estimate, places_of, units_of
from cleanroom.query.mechanisms import vector_deviation, vector_margin95
from cleanroom.query.noise import combined_margin95
from cleanroom.query.plan import Plan
from cleanroom.query.statistics import (
    CountPersons,
    CountRows,
    GroupingOutput,
    KeyOutput,
    Quantile,
    StatisticOutput,
    Sum,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cleanroom.query.bound import Bounds

__all__ = ["Cell", "CellState", "KeyValue", "NoisedRelease", "Value", "margins_before", "scales_of"]


class CellState(StrEnum):
    """What became of a cell."""

    RELEASED = "released"
    SUPPRESSED = "suppressed"


@dataclass(frozen=True, slots=True)
class Cell:
    """A line of the answer.

    Args:
        keys: what the columns of keys and of GROUPING show, in the order of the answer's columns.
        values: of the columns of statistics, in the order of the answer's columns.
    """

    keys: tuple[KeyValue | int, ...]
    values: tuple[Value, ...]
    state: CellState


@dataclass(frozen=True, slots=True)
class NoisedRelease:
    """A release after noise.

    Args:
        scale: of the vector's noise, in lattice steps; of the keys' counts where these are the answer.
        steps: cell by cell, component by component, as the exact vector; fractions where draws were combined.
        chosen: for each quantile the place of the candidate chosen in each cell.
        surviving: the unknown keys that passed the threshold; None if all keys are public.
        picked: the place of the bound that was chosen, where there was one to choose; the plan is settled with it.
        draws: of how many draws it is the combination (`query.combining`).
        spread: where cells were made to add up (`query.consistent`), for each grouping set the scale of its noise in
            that of the draw; none where they are as drawn.
    """

    plan: Plan
    scale: float
    steps: tuple[int | Fraction, ...]
    chosen: tuple[tuple[int, ...], ...] = ()
    surviving: SurvivingKeys | None = None
    picked: int | None = None
    draws: int = 1
    spread: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        bounds = self.plan.bounds
        if (
            bounds.choice is not None
            or (self.surviving is None) == bool(bounds.distinct_keys)
            or len(self.steps) != self.cell_count * len(bounds.components)
            or [len(each) for each in self.chosen] != [self.cell_count] * len(bounds.quantiles)
        ):
            raise InvariantBroken("a release has another shape than its plan")

    @property
    def cell_count(self) -> int:
        """How many lines the answer has."""
        return self.plan.bounds.cells * (1 if self.surviving is None else self.surviving.size)

    def content(self) -> object:
        """Return all that was drawn, as JSON can write it: what an answer's digest is made of."""
        if self.picked is not None:
            return [self.picked, self.steps, self.chosen, self._surviving()]
        if self.draws > 1:
            return [str(each) for each in self.steps]
        if not self.chosen and self.surviving is None:
            return self.steps
        return [self.steps, self.chosen, self._surviving()]

    def _surviving(self) -> object:
        return None if self.surviving is None else [self.surviving.columns, self.surviving.counted]

    def cells(self) -> Iterator[Cell]:
        """Yield every cell: set by set, surviving keys in code-point order, public keys in their domains' order."""
        bounds = self.plan.bounds
        width = len(bounds.components)
        asked = [output.statistic for output in self.plan.outputs if isinstance(output, StatisticOutput)]
        places = [_places(self.plan, statistic) for statistic in asked]
        units = [_units(self.plan, statistic) for statistic in asked]
        margins = [self._spreads(places, units, factor) for factor in self.spread or (1.0,)]
        for number in range(self.cell_count):
            if self.surviving is not None and bounds.counted_by_threshold:
                persons = Fraction(self.surviving.counted[number])
                estimates = [[persons] for _ in asked]
            else:
                noised = self.steps[number * width : (number + 1) * width]
                persons = _persons(bounds, noised)
                estimates = [
                    [noised[at] * unit for at, unit in zip(mine, each, strict=True)] if each else []
                    for mine, each in zip(places, units, strict=True)
                ]
            yield self._cell(number, persons, estimates, margins, places)

    def _spreads(
        self, places: Sequence[tuple[int, ...]], units: Sequence[tuple[Fraction, ...]], factor: float
    ) -> list[list[float]]:
        """Return the 95 % margin of each part of each statistic.

        Args:
            factor: what adding up has made of the noise's scale; it leaves numbers of persons as they are.
        """
        components = self.plan.bounds.components
        drawn = vector_margin95(self.plan.bounds, self.scale) if self.draws == 1 else combined_margin95(self.scale)
        adjusted = combined_margin95(self.scale * factor) if self.spread else drawn
        kept = {at for at, each in enumerate(components) if each.measured is Measured.PERSONS}
        return [
            # A quantile has a place and no unit.
            [float(unit) * (drawn if at in kept else adjusted) for at, unit in zip(mine, each, strict=False)]
            for mine, each in zip(places, units, strict=True)
        ]

    def withheld(self) -> tuple[int, ...]:
        """Return the cells whose noised persons fall below the owners' threshold (S37)."""
        bounds, width = self.plan.bounds, len(self.plan.bounds.components)
        if not bounds.threshold:
            return ()
        if self.surviving is not None and bounds.counted_by_threshold:
            return tuple(number for number, each in enumerate(self.surviving.counted) if each < bounds.threshold)
        return tuple(
            number
            for number in range(self.cell_count)
            if _persons(bounds, self.steps[number * width : (number + 1) * width]) < bounds.threshold
        )

    def _cell(
        self,
        number: int,
        persons: Fraction,
        estimates: Sequence[Sequence[Fraction]],
        margins: Sequence[Sequence[Sequence[float]]],
        places: Sequence[tuple[int, ...]],
    ) -> Cell:
        plan = self.plan
        keys, set_at = key_values(plan.keys, plan.sets, self.surviving, number)
        shown: list[KeyValue | int] = []
        for output in plan.outputs:
            match output:
                case KeyOutput(key=key):
                    shown.append(keys[key])
                case GroupingOutput(keys=grouped):
                    shown.append(sum((at not in plan.sets[set_at]) << bit for bit, at in enumerate(reversed(grouped))))
        if plan.bounds.threshold and persons < plan.bounds.threshold:
            return Cell(tuple(shown), tuple(Value(None, None) for _ in places), CellState.SUPPRESSED)
        values = []
        spreads_here = margins[set_at if self.spread else 0]
        asked = [plan.statistics[output.statistic] for output in plan.outputs if isinstance(output, StatisticOutput)]
        for statistic, mine, numbers, spreads in zip(asked, places, estimates, spreads_here, strict=True):
            if isinstance(statistic, Quantile):
                quantile = plan.bounds.quantiles[mine[0]]
                code = quantile.grid.candidate(self.chosen[mine[0]][number])
                values.append(Value(float(code * Fraction(statistic.resolution)), None))
            else:
                values.append(estimate(statistic, numbers, spreads))
        return Cell(tuple(shown), tuple(values), CellState.RELEASED)


def _places(plan: Plan, statistic: int) -> tuple[int, ...]:
    """Return where a statistic's parts stand: among the components, or among the quantiles."""
    if isinstance(plan.statistics[statistic], Quantile):
        return (next(at for at, each in enumerate(plan.bounds.quantiles) if each.statistic == statistic),)
    if plan.bounds.counted_by_threshold:
        return (0,)
    return places_of(plan.statistics[statistic], plan.bounds)


def _units(plan: Plan, statistic: int) -> tuple[Fraction, ...]:
    """Return the value of one step of each of a statistic's parts; none for a quantile, whose places are candidates."""
    if isinstance(plan.statistics[statistic], Quantile):
        return ()
    if plan.bounds.counted_by_threshold:
        return (Fraction(1),)
    return units_of(plan.statistics[statistic], plan.bounds)


def _persons(bounds: Bounds, noised: Sequence[int | Fraction]) -> Fraction:
    """Return a cell's noised persons: of all its rows, not those that a FILTER or a column's NULLs leave."""
    for steps, component in zip(noised, bounds.components, strict=True):
        if component.measured is Measured.PERSONS and component.column is None:
            return steps * component.step
    return Fraction(0)


def margins_before(plan: Plan, scale: float) -> tuple[float | None, ...]:
    """Return the 95 % margin of each statistic of the answer that is known before data is read, else None (S41)."""
    margin = vector_margin95(plan.bounds, scale)
    return tuple(None if unit is None else float(unit) * margin for unit in _known_units(plan))


def scales_of(plan: Plan, scale: float) -> tuple[float | None, ...]:
    """Return the noise's standard deviation for each count and sum of the answer, in its unit; None for the others."""
    deviation = vector_deviation(plan.bounds, scale)
    return tuple(None if unit is None else float(unit) * deviation for unit in _known_units(plan))


def _known_units(plan: Plan) -> Iterator[Fraction | None]:
    """Yield the value of a lattice step for each statistic of the answer; None where it depends on released sizes."""
    for output in plan.outputs:
        if isinstance(output, StatisticOutput):
            counted = isinstance(plan.statistics[output.statistic], (CountPersons, CountRows, Sum))
            yield _units(plan, output.statistic)[0] if counted else None
