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
from cleanroom.query.estimates import Value, estimate, places_of, resolutions_of, unit_of
from cleanroom.query.noise import margin95
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
        steps: cell by cell, component by component, as the exact vector.
        chosen: for each quantile the place of the candidate chosen in each cell.
        surviving: the unknown keys that passed the threshold; None if all keys are public.
    """

    plan: Plan
    scale: float
    steps: tuple[int, ...]
    chosen: tuple[tuple[int, ...], ...] = ()
    surviving: SurvivingKeys | None = None

    def __post_init__(self) -> None:
        bounds = self.plan.bounds
        if (
            (self.surviving is None) == bool(bounds.distinct_keys)
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
        if not self.chosen and self.surviving is None:
            return self.steps
        keys = None if self.surviving is None else [self.surviving.columns, self.surviving.counted]
        return [self.steps, self.chosen, keys]

    def cells(self) -> Iterator[Cell]:
        """Yield every cell: set by set, surviving keys in code-point order, public keys in their domains' order."""
        bounds = self.plan.bounds
        width = len(bounds.components)
        resolutions = resolutions_of(self.plan)
        units = [unit_of(component, resolutions) for component in bounds.components]
        margin = margin95(self.scale)
        margins = [float(unit) * margin for unit in units]
        places = [
            _places(self.plan, output.statistic) for output in self.plan.outputs if isinstance(output, StatisticOutput)
        ]
        persons = next(
            (
                at
                for at, each in enumerate(bounds.components)
                if each.measured is Measured.PERSONS and each.column is None
            ),
            0,
        )
        for number in range(self.cell_count):
            if self.surviving is not None and bounds.counted_by_threshold:
                counted = Fraction(self.surviving.counted[number])
                estimates, spreads = [counted], [margin]
            else:
                noised = self.steps[number * width : (number + 1) * width]
                estimates, spreads = [steps * unit for steps, unit in zip(noised, units, strict=True)], margins
            yield self._cell(number, estimates, spreads, persons, places)

    def _cell(
        self,
        number: int,
        estimates: list[Fraction],
        margins: list[float],
        persons: int,
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
        if plan.bounds.threshold and estimates[persons] < plan.bounds.threshold:
            return Cell(tuple(shown), tuple(Value(None, None) for _ in places), CellState.SUPPRESSED)
        values = []
        for output, mine in zip(
            (output for output in plan.outputs if isinstance(output, StatisticOutput)), places, strict=True
        ):
            statistic = plan.statistics[output.statistic]
            if isinstance(statistic, Quantile):
                quantile = plan.bounds.quantiles[mine[0]]
                code = quantile.candidate(self.chosen[mine[0]][number])
                values.append(Value(float(code * Fraction(statistic.resolution)), None))
            else:
                values.append(estimate(statistic, [estimates[at] for at in mine], [margins[at] for at in mine]))
        return Cell(tuple(shown), tuple(values), CellState.RELEASED)


def _places(plan: Plan, statistic: int) -> tuple[int, ...]:
    """Return where a statistic's parts stand: among the components, or among the quantiles."""
    if isinstance(plan.statistics[statistic], Quantile):
        return (next(at for at, each in enumerate(plan.bounds.quantiles) if each.statistic == statistic),)
    if plan.bounds.counted_by_threshold:
        return (0,)
    return places_of(plan.statistics[statistic], plan.bounds)


def margins_before(plan: Plan, scale: float) -> tuple[float | None, ...]:
    """Return the 95 % margin of each statistic of the answer that is known before data is read, else None (S41)."""
    margin = margin95(scale)
    return tuple(None if unit is None else float(unit) * margin for unit in _units(plan))


def scales_of(plan: Plan, scale: float) -> tuple[float | None, ...]:
    """Return the noise's standard deviation for each count and sum of the answer, in its unit; None for the others."""
    return tuple(None if unit is None else float(unit) * scale for unit in _units(plan))


def _units(plan: Plan) -> Iterator[Fraction | None]:
    """Yield the value of a lattice step for each statistic of the answer; None where it depends on released sizes."""
    resolutions = resolutions_of(plan)
    for output in plan.outputs:
        if isinstance(output, StatisticOutput):
            statistic = plan.statistics[output.statistic]
            if not isinstance(statistic, (CountPersons, CountRows, Sum)):
                yield None
            elif plan.bounds.counted_by_threshold:
                yield Fraction(1)
            else:
                yield unit_of(plan.bounds.components[places_of(statistic, plan.bounds)[0]], resolutions)
