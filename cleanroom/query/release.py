"""From the noised vector to values, margins and states: post-processing only, nothing here costs anything.

The estimate of a component is its noised steps times the value of a step. Counts and sums are these; AVG is
clamp(mid + S/max(N, 1), A, B), always finite and of the same shape (S34). A cell whose noised persons fall below the
owners' threshold is withheld whole, before anything else is computed from it (S37).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import assert_never

from cleanroom.errors import InvariantBroken
from cleanroom.query.bound import Component, Measured
from cleanroom.query.noise import margin95
from cleanroom.query.plan import Plan
from cleanroom.query.precision import resolutions_of, unit_of
from cleanroom.query.statistics import (
    CategoryKey,
    CountPersons,
    CountRows,
    Key,
    KeyOutput,
    Mean,
    MonthKey,
    NumberKey,
    Statistic,
    StatisticOutput,
    Sum,
)


class CellState(StrEnum):
    """What became of a cell."""

    RELEASED = "released"
    SUPPRESSED = "suppressed"


KeyValue = str | Decimal | date | None


@dataclass(frozen=True, slots=True)
class Value:
    """A released number.

    Args:
        number: None where the cell was suppressed.
        margin95: half the width of its 95 % interval, of the noise alone; None where the cell was suppressed.
    """

    number: float | None
    margin95: float | None


@dataclass(frozen=True, slots=True)
class Cell:
    """A line of the answer."""

    keys: tuple[KeyValue, ...]
    values: tuple[Value, ...]
    state: CellState


@dataclass(frozen=True, slots=True)
class NoisedRelease:
    """A release after noise: the plan, the scale, the noised steps.

    Args:
        steps: cell by cell, component by component, as the exact vector.
        scale: of the noise, in steps.
    """

    plan: Plan
    scale: float
    steps: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.steps) != self.plan.bounds.cells * len(self.plan.bounds.components):
            raise InvariantBroken("a release has another shape than its plan")

    def cells(self) -> Iterator[Cell]:
        """Yield every declared cell, in the order of the keys' domains."""
        bounds = self.plan.bounds
        width = len(bounds.components)
        resolutions = resolutions_of(self.plan)
        units = [unit_of(component, resolutions) for component in bounds.components]
        margin = margin95(self.scale)
        for number in range(bounds.cells):
            noised = self.steps[number * width : (number + 1) * width]
            estimates = [steps * unit for steps, unit in zip(noised, units, strict=True)]
            margins = [float(unit) * margin for unit in units]
            yield self._cell(number, estimates, margins)

    def _cell(self, number: int, estimates: list[Fraction], margins: list[float]) -> Cell:
        plan = self.plan
        keys = _key_values(plan.keys, number)
        shown_keys = tuple(keys[output.key] for output in plan.outputs if isinstance(output, KeyOutput))
        statistics = [output.statistic for output in plan.outputs if isinstance(output, StatisticOutput)]
        if plan.bounds.threshold:
            persons = next(
                estimate
                for estimate, component in zip(estimates, plan.bounds.components, strict=True)
                if component.measured is Measured.PERSONS
            )
            if persons < plan.bounds.threshold:
                return Cell(shown_keys, tuple(Value(None, None) for _ in statistics), CellState.SUPPRESSED)
        values = tuple(
            _value(plan.statistics[statistic], plan.bounds.components, estimates, margins) for statistic in statistics
        )
        return Cell(shown_keys, values, CellState.RELEASED)


def margins_before(plan: Plan, scale: float) -> tuple[float | None, ...]:
    """Return the 95 % margin of each statistic of the answer that is known before data is read, else None (S41)."""
    margin = margin95(scale)
    return tuple(None if unit is None else float(unit) * margin for unit in _units(plan))


def scales_of(plan: Plan, scale: float) -> tuple[float | None, ...]:
    """Return the noise's standard deviation for each statistic of the answer, in its unit; None for means."""
    return tuple(None if unit is None else float(unit) * scale for unit in _units(plan))


def _units(plan: Plan) -> Iterator[Fraction | None]:
    """Yield the value of a lattice step for each statistic of the answer; None where it depends on released sizes."""
    resolutions = resolutions_of(plan)
    for output in plan.outputs:
        if isinstance(output, StatisticOutput):
            statistic = plan.statistics[output.statistic]
            place = _place(statistic, plan.bounds.components)
            yield None if isinstance(statistic, Mean) else unit_of(plan.bounds.components[place], resolutions)


def _value(
    statistic: Statistic, components: tuple[Component, ...], estimates: list[Fraction], margins: list[float]
) -> Value:
    place = _place(statistic, components)
    if not isinstance(statistic, Mean):
        return Value(float(estimates[place]), margins[place])
    resolution = Fraction(statistic.resolution)
    rows, total = estimates[place], estimates[place + 1]
    divisor = max(rows, Fraction(1))
    lower, upper = statistic.lower * resolution, statistic.upper * resolution
    mean = min(max(statistic.middle * resolution + total / divisor, lower), upper)
    # Delta method on S/N from noised values (S35); the interval never exceeds the declared range.
    ratio = float(total / divisor)
    spread = math.hypot(margins[place + 1], ratio * margins[place]) / float(divisor)
    return Value(float(mean), min(spread, float(upper - lower)))


def _place(statistic: Statistic, components: tuple[Component, ...]) -> int:
    """Return where the statistic's first component stands."""
    match statistic:
        case CountPersons():
            wanted: tuple[Measured, int | None] = (Measured.PERSONS, None)
        case CountRows():
            wanted = (Measured.ROWS, None)
        case Sum(column=column):
            wanted = (Measured.TOTAL, column)
        case Mean(column=column):
            wanted = (Measured.MEAN_ROWS, column)
        case _:
            assert_never(statistic)
    return next(at for at, each in enumerate(components) if (each.measured, each.column) == wanted)


def _key_values(keys: tuple[Key, ...], cell: int) -> list[KeyValue]:
    values: list[KeyValue] = []
    for key in reversed(keys):
        cell, code = divmod(cell, key.size)
        values.append(None if key.nullable and code == key.size - 1 else _key_value(key, code))
    return values[::-1]


def _key_value(key: Key, code: int) -> KeyValue:
    match key:
        case CategoryKey(domain=domain):
            return domain[code]
        case NumberKey(lower=lower, resolution=resolution):
            return (lower + code) * resolution
        case MonthKey(first=first):
            month = first + code
            return date(1970 + month // 12, month % 12 + 1, 1)
    assert_never(key)
