"""Values and margins from noised sums: post-processing only.

The estimate of a component is its noised steps times the value of a step. Counts and sums are these. AVG is
clamp(mid + S/max(N, 1), A, B), VAR is Q/N + ⌊h²/2⌋ − (S/N)² clamped to [0, (B − A)²/4]: always finite, of the same
shape whatever the data (S34). Margins of ratios are the delta method's, from noised values (S35); none exceeds the
declared range. A quantile has no margin unless two more are asked (S36); of its rank there is one (`query.ranks`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, assert_never

from cleanroom.errors import InvariantBroken
from cleanroom.query.bound import Bounds, Component, Measured
from cleanroom.query.components import components_of
from cleanroom.query.statistics import CountPersons, CountRows, Mean, Quantile, Statistic, Sum, Variance

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Value:
    """A released number.

    Args:
        number: None where the cell was suppressed.
        margin95: half the width of its 95 % interval, of the noise alone; None where the cell was suppressed, and for
            quantiles.
    """

    number: float | None
    margin95: float | None


def unit_of(component: Component, statistic: Statistic) -> Fraction:
    """Return the value of one lattice step of a statistic's component, in the answer's unit; of squares, in its square.

    Statistics can share a component and differ in resolution: SUM(x) and SUM(x * 3) add up the same steps of x.
    """
    match component.measured:
        case Measured.PERSONS | Measured.ROWS:
            return component.step
        case Measured.TOTAL | Measured.MEAN_TOTAL:
            return _resolution(statistic) * component.step
        case Measured.SQUARES:
            return _resolution(statistic) ** 2 * component.step
    assert_never(component.measured)


def units_of(statistic: Statistic, bounds: Bounds) -> tuple[Fraction, ...]:
    """Return the value of one lattice step of each of a statistic's components."""
    return tuple(unit_of(bounds.components[place], statistic) for place in places_of(statistic, bounds))


def _resolution(statistic: Statistic) -> Fraction:
    if not isinstance(statistic, (Sum, Mean, Variance)):
        raise InvariantBroken("rows have no total")
    return Fraction(statistic.resolution)


def places_of(statistic: Statistic, bounds: Bounds) -> tuple[int, ...]:
    """Return where the statistic's components stand in a cell."""
    wanted = [_identity(part) for part in components_of(statistic, bounds.max_rows, bounds.max_sum)]
    known = [_identity(part) for part in bounds.components]
    return tuple(known.index(each) for each in wanted)


def _identity(part: Component) -> tuple[object, ...]:
    return (part.measured, part.column, part.middle, part.lower, part.upper, part.least, part.most)


def estimate(statistic: Statistic, estimates: Sequence[Fraction], margins: Sequence[float]) -> Value:
    """Return a statistic's value and margin.

    Args:
        estimates: of its components, in the answer's unit.
        margins: likewise.
    """
    match statistic:
        case CountPersons() | CountRows() | Sum():
            return Value(float(estimates[0]), margins[0])
        case Mean():
            return _mean(statistic, estimates, margins)
        case Variance():
            return _variance(statistic, estimates, margins)
        case Quantile():
            raise InvariantBroken("a quantile is no sum")
    assert_never(statistic)


def _mean(statistic: Mean, estimates: Sequence[Fraction], margins: Sequence[float]) -> Value:
    resolution = Fraction(statistic.resolution)
    rows, total = estimates
    divisor = max(rows, Fraction(1))
    lower, upper = statistic.lower * resolution, statistic.upper * resolution
    mean = min(max(statistic.middle * resolution + total / divisor, lower), upper)
    ratio = float(total / divisor)
    spread = math.hypot(margins[1], ratio * margins[0]) / float(divisor)
    return Value(float(mean), min(spread, float(upper - lower)))


def _variance(statistic: Variance, estimates: Sequence[Fraction], margins: Sequence[float]) -> Value:
    resolution = Fraction(statistic.resolution)
    rows, total, squares = estimates
    divisor = max(rows, Fraction(2 if statistic.sample else 1))
    widest = ((statistic.upper - statistic.lower) * resolution) ** 2 / 4
    away, square = total / divisor, squares / divisor
    variance = min(max(square + statistic.offset * resolution**2 - away**2, Fraction(0)), widest)
    # The partial derivatives of Q/N - (S/N)² by N, S and Q.
    spread = math.hypot(float(2 * away**2 - square) * margins[0], 2 * float(away) * margins[1], margins[2]) / float(
        divisor
    )
    if statistic.sample:
        correction = divisor / (divisor - 1)
        variance, widest, spread = variance * correction, widest * correction, spread * float(correction)
    spread = min(spread, float(widest))
    if not statistic.root:
        return Value(float(variance), spread)
    root, squared = math.sqrt(variance), float(variance)
    # The interval of the variance, under the root: its farther end.
    ends = math.sqrt(squared + spread) - root, root - math.sqrt(max(squared - spread, 0.0))
    return Value(root, min(max(ends), math.sqrt(widest)))
