"""Draw the noise of a release: OpenDP's measurements, each with its privacy map asked again (S31, S36)."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import opendp.prelude as dp

from cleanroom.errors import InvariantBroken

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cleanroom.accounting.privacy_loss import PureEpsilon, Rho

dp.enable_features("contrib")

_INTEGERS: Final = dp.vector_domain(dp.atom_domain(T="i64"))
_L2: Final = dp.l2_distance(T="f64")
_L1: Final = dp.l1_distance(T="i64")

CLAMP: Final = 2**62
"""Clamping to ±2^62 is 1-Lipschitz in each coordinate, so it moves no two vectors further apart (S23)."""

MAP_SLACK: Final = 1 + Fraction(1, 2**49)
"""How far OpenDP's map may lie above the exact loss. The norm, its quotient by the scale and the square of that are
each rounded up by at most u = 2^-52, the first two before squaring: (1 + u)^5 < 1 + 8u."""

LAPLACE_MOSTLY_NONE: Final = (1 - 2.0**-30) / math.log(39)
"""The largest scale, to 2^-30, at which discrete Laplace noise is 0 19 times of 20: 2q/(1 + q) = 5 % at q = 1/39."""

_WEIGHT_BITS: Final = 48

_EXACT_MARGIN_BELOW: Final = 4096.0
"""OpenDP adds up the mass point by point, in time linear in the scale; above this the normal quantile is used."""

NORMAL_975: Final = 1.959963984540055
"""The 97.5 % quantile of the standard normal distribution, rounded up."""


def add_noise(vector: Sequence[int], *, norm: int, scale: float, charged: Rho) -> tuple[int, ...]:
    """Return `vector` with independent discrete Gaussian noise on every coordinate.

    The cost is found twice and a disagreement stops the question. Exactly: norm²/2·scale², which is the loss of
    OpenDP's sampler (it draws in rational arithmetic with the scale's exact value), may not exceed `charged` at all.
    And by OpenDP's own map, whose float is that value rounded up: it may exceed `charged` by `MAP_SLACK` and no more.

    Args:
        vector: the exact vector of the release, in lattice steps.
        norm: Z, what one person moves it by at most (L2), in lattice steps.
        scale: the noise scale in lattice steps.
        charged: what the room's account was charged for this draw.

    Raises:
        InvariantBroken: this draw would cost more than was charged.
    """
    if norm <= 0 or not math.isfinite(scale) or scale <= 0:
        raise InvariantBroken("a norm and a noise scale are positive and finite")
    if Fraction(norm) ** 2 > 2 * Fraction(scale) ** 2 * charged.as_fraction():
        raise InvariantBroken("the draw costs more than its question was charged")
    measurement: Any = dp.m.make_gaussian(_INTEGERS, _L2, scale=float(scale))
    if Fraction(float(measurement.map(_float_up(norm)))) > charged.as_fraction() * MAP_SLACK:
        raise InvariantBroken("OpenDP finds the draw dearer than its question was charged")
    noised = measurement([max(-CLAMP, min(CLAMP, value)) for value in vector])
    return tuple(int(value) for value in noised)


def add_laplace(vector: Sequence[int], *, norm: int, scale: float, charged: PureEpsilon) -> tuple[int, ...]:
    """Return `vector` with independent discrete Laplace noise on every coordinate: pure differential privacy (S11).

    The cost is found twice, as in `add_noise`: norm/scale may not exceed `charged` at all, OpenDP's map, that quotient
    rounded up, not by more than `MAP_SLACK`.

    Args:
        vector: the exact vector of the release, in lattice steps.
        norm: what one person moves it by at most (L1), in lattice steps.
        scale: the noise scale in lattice steps.
        charged: what this draw may cost a person who goes everywhere.

    Raises:
        InvariantBroken: this draw would cost more than was charged.
    """
    if norm <= 0 or not math.isfinite(scale) or scale <= 0:
        raise InvariantBroken("a norm and a noise scale are positive and finite")
    if Fraction(norm) > Fraction(scale) * charged.as_fraction():
        raise InvariantBroken("the draw costs more than its question was charged")
    measurement: Any = dp.m.make_laplace(_INTEGERS, _L1, scale=float(scale))
    if Fraction(float(measurement.map(norm))) > charged.as_fraction() * MAP_SLACK:
        raise InvariantBroken("OpenDP finds the draw dearer than its question was charged")
    noised = measurement([min(max(value, -CLAMP), CLAMP) for value in vector])
    return tuple(int(value) for value in noised)


def noisy_max(scores: Sequence[Sequence[int]], *, reach: int, scale: float, charged: Rho) -> tuple[int, ...]:
    """Return for each list of scores the place of one of the greatest, by OpenDP's noisy max under zCDP (S36).

    Args:
        scores: one list for each cell.
        reach: the root of what one person moves the cells' scores by, Σ of their squared L∞ distances.
        scale: of the noise on a score.
        charged: what the room's account was charged for these choices together.

    Raises:
        InvariantBroken: these choices would cost more than was charged.
    """
    if reach <= 0 or not math.isfinite(scale) or scale <= 0:
        raise InvariantBroken("a reach and a noise scale are positive and finite")
    if Fraction(reach) ** 2 > 2 * Fraction(scale) ** 2 * charged.as_fraction():
        raise InvariantBroken("the choice costs more than its question was charged")
    measurement: Any = dp.m.make_noisy_max(
        _INTEGERS,
        dp.linf_distance(T="i64"),
        dp.zero_concentrated_divergence(),
        scale=float(scale),
    )
    # One cell moved by the whole reach costs as much as many moved by their parts: the squares add up.
    if Fraction(float(measurement.map(reach))) > charged.as_fraction() * MAP_SLACK:
        raise InvariantBroken("OpenDP finds the choice dearer than its question was charged")
    return tuple(int(measurement(list(cell))) for cell in scores)


def margin95(scale: float) -> float:
    """Return the least whole a with P(|noise| ≤ a) ≥ 95 %, in lattice steps.

    OpenDP's accuracy b is the least with P(|noise| ≥ b) ≤ 5 %, so a = b - 1. Above `_EXACT_MARGIN_BELOW` the normal
    margin, rounded up, stands for it: at most one step in 8 000 wider than the least, never narrower.

    Args:
        scale: the noise scale in lattice steps.
    """
    if not math.isfinite(scale) or scale <= 0:
        raise InvariantBroken("a noise scale is positive and finite")
    if scale < _EXACT_MARGIN_BELOW:
        return float(dp.discrete_gaussian_scale_to_accuracy(float(scale), 0.05)) - 1.0
    return float(math.ceil(NORMAL_975 * scale))


def laplace_margin95(scale: float, draws: int = 1) -> float:
    """Return the least whole a with P(|noise| ≤ a) ≥ 95 % for discrete Laplace noise, in lattice steps.

    P(|noise| > a) = 2q^(a+1)/(1 + q) with q = exp(-1/scale). The least a is found from the logarithm and held against
    the formula; a float's error at the very edge widens the margin by one step, and never narrows it.

    Args:
        draws: that all stay within it, whatever the one tells of the next: at most as many times one's chance to stray.
    """
    if not math.isfinite(scale) or scale <= 0:
        raise InvariantBroken("a noise scale is positive and finite")

    def beyond(a: int) -> float:
        return draws * 2 * math.exp(-(a + 1) / scale) / (1 + math.exp(-1 / scale))

    a = max(0, math.floor(scale * math.log(draws * 2 / (0.05 * (1 + math.exp(-1 / scale)))) - 1) - 1)
    while beyond(a) * (1 + 2.0**-40) > 0.05:
        a += 1
    return float(a)


def largest_laplace_scale(most: Fraction) -> float:
    """Return the largest scale whose `laplace_margin95` is at most `most` lattice steps; 0 if there is none."""
    return _largest(most, laplace_margin95, 1 / math.log(20))


def largest_scale(most: Fraction) -> float:
    """Return the largest scale whose `margin95` is at most `most` lattice steps, to 2^-30 of it; 0 if there is none.

    The margin never falls as the scale grows, so the scale is found between one that keeps it and one that does not.
    """
    return _largest(most, margin95, 1 / NORMAL_975)


def _largest(most: Fraction, margin: Callable[[float], float], guess: float) -> float:
    """Return the largest scale whose margin is at most `most`, near `guess` times that."""
    whole = math.floor(most)
    if whole < 1 or whole > CLAMP:
        return 0.0

    def keeps(scale: float) -> bool:
        return margin(scale) <= whole

    low, high = whole * guess, (whole + 1) * guess
    while low > 0 and not keeps(low):
        low *= 1 - 2.0**-10
    while keeps(high):
        high *= 1 + 2.0**-10
    while high - low > low * 2.0**-30:
        middle = (low + high) / 2
        if keeps(middle):
            low = middle
        else:
            high = middle
    return low


def weights_of(scales: Sequence[float]) -> tuple[int, ...]:
    """Return whole weights in proportion to 1/s², the greatest 2^48; within 2^-48 of the best variance."""
    precisions = [1 / Fraction(scale) ** 2 for scale in scales]
    largest = max(precisions)
    return tuple(math.floor(each / largest * (1 << _WEIGHT_BITS)) for each in precisions)


def combined_scale(scales: Sequence[float]) -> float:
    """Return the scale of a combination: the root of its variance where each draw's is its scale squared, rounded up.

    A discrete Gaussian's variance is at most its scale squared (Canonne, Kamath and Steinke 2020, Corollary 9).
    """
    if len(scales) == 1:
        return scales[0]
    weights = weights_of(scales)
    square = sum((w * Fraction(s)) ** 2 for w, s in zip(weights, scales, strict=True)) / Fraction(sum(weights)) ** 2
    scale = math.sqrt(float(square))
    while Fraction(scale) ** 2 < square:
        scale = math.nextafter(scale, math.inf)
    return scale


def combined_margin95(scale: float) -> float:
    """Return a margin that combined draws stay within 19 times out of 20, in lattice steps.

    Their noise is a weighted mean of discrete Gaussians: as near to the normal as one of them, on a finer lattice.
    Above `_EXACT_MARGIN_BELOW` its margin is the single draw's, rounded up to a whole step, which a half step's mass
    (below 0.05/4096) could at most shorten; below that, the normal one with half a step added for the lattice.
    """
    if scale >= _EXACT_MARGIN_BELOW:
        return margin95(scale)
    return NORMAL_975 * scale + 0.5


def _float_up(value: int) -> float:
    near = float(value)
    return near if int(near) >= value else math.nextafter(near, math.inf)
