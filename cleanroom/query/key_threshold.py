"""The threshold on unknown keys: OpenDP's measurement, the delta it costs, and the least one within a delta (S8)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import opendp.prelude as dp

if TYPE_CHECKING:
    from fractions import Fraction

dp.enable_features("contrib")


def threshold_measurement(scale: float, threshold: int) -> Any:
    """Return OpenDP's measurement over counts of keys."""
    return dp.m.make_gaussian_threshold(
        dp.map_domain(dp.atom_domain(T="i64"), dp.atom_domain(T="i64")),
        dp.l02inf_distance(dp.absolute_distance(T="f64")),
        scale=float(scale),
        threshold=threshold,
    )


def delta_of(scale: float, threshold: int, changed: int) -> float:
    """Return the delta of a threshold when one person brings `changed` keys that nobody else has, rounded up.

    A key of one person passes where 1 + noise ≥ threshold, so delta is at most `changed` times
    P(noise ≥ threshold − 1) for noise of mass proportional to exp(−x²/2s²) on whole numbers. With t = threshold − 1,
    Σ_{x ≥ t} exp(−x²/2s²) ≤ exp(−t²/2s²)·(1 + s²/t), and the sum over all whole numbers is at least s·√(2π) (Poisson's
    summation). OpenDP's map, whose tail is the continuous one, is asked as well and the larger of the two is taken: at
    small scales the continuous tail understates what a discrete draw does.
    """
    t = float(threshold - 1)
    if t <= 0:
        return 1.0
    mine = changed * math.exp(-(t**2) / (2 * scale**2)) * (1 + scale**2 / t) / max(1.0, scale * math.sqrt(2 * math.pi))
    distance = (changed, math.nextafter(math.sqrt(changed), math.inf), 1.0)
    theirs = float(threshold_measurement(scale, threshold).map(distance)[1])
    return min(1.0, max(mine * (1 + 2.0**-40), theirs))


def least_threshold(scale: float, changed: int, delta: Fraction) -> int | None:
    """Return the least threshold whose delta is at most `delta`; None if there is none that OpenDP can show."""
    low, high = 1, 2
    while delta_of(scale, high, changed) > delta:
        if high > 64 * scale + 64:
            return None
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if delta_of(scale, middle, changed) > delta:
            low = middle
        else:
            high = middle
    return high
