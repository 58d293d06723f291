"""The mechanisms of one release, how far a person moves each, and what their noise costs together.

A release draws discrete Gaussian noise on one vector, chooses each quantile of each cell by noisy max, and drops
unknown keys below a noised threshold: whichever of these its statistics and keys need. Each is (d²/2s²)-zCDP in its own
distance d and scale s; the losses add up. A pure release draws discrete Laplace noise on its vector and on what its
quantiles are read from (S11); their epsilons add up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from cleanroom.accounting.accountant import Draw, Reach, ReleaseNorm, VectorShape
from cleanroom.accounting.privacy_loss import float_up
from cleanroom.errors import InvariantBroken
from cleanroom.query.bound import PureQuantileBound
from cleanroom.query.key_threshold import delta_of
from cleanroom.query.noise import LAPLACE_MOSTLY_NONE, laplace_margin95, largest_laplace_scale, largest_scale, margin95

if TYPE_CHECKING:
    from cleanroom.query.bound import BoundChoice, Bounds, QuantileBound


@dataclass(frozen=True, slots=True)
class KeyNoise:
    """The noise on the persons of an unknown key, and the least noised number that is released.

    Args:
        scale: in persons.
        threshold: in persons.
    """

    scale: float
    threshold: int


@dataclass(frozen=True, slots=True)
class ChoiceNoise:
    """How a bound is chosen, and the noise of the release for each outcome (`query.choosing`).

    Args:
        scale: of the noisy max, or of the noise on persons by size if it is pure; in persons.
        target: r, what the scores aim at.
        pulls: c, what each candidate's score is less for its width.
        settled: for each candidate.
    """

    scale: float
    target: int
    pulls: tuple[int, ...]
    settled: tuple[Noise, ...]


@dataclass(frozen=True, slots=True)
class Noise:
    """The scales of a release's mechanisms; where a bound is still to be chosen, those of the widest.

    Args:
        vector: of the discrete Gaussian on the vector, in lattice steps, or the discrete Laplace if it is pure; None if
            there is no vector.
        quantiles: of the noisy max of each quantile, in steps of score; of each reading if it is pure.
        keys: of the threshold on unknown keys; None if all keys are public.
        choice: of a bound; None if there is none to choose.
    """

    vector: float | None
    quantiles: tuple[float, ...] = ()
    keys: KeyNoise | None = None
    choice: ChoiceNoise | None = None

    @property
    def scale(self) -> float:
        """The scale that most of the answer has: the vector's, else that of the keys' counts, else of a quantile."""
        if self.vector is not None:
            return self.vector
        return self.keys.scale if self.keys is not None else self.quantiles[0]


def settled_noise(noise: Noise, picked: int | None) -> Noise:
    """Return the noise with the bound that was chosen; as it is where there was none to choose."""
    if (noise.choice is None) != (picked is None):
        raise InvariantBroken("a bound is chosen where there is one to choose")
    return noise if noise.choice is None or picked is None else noise.choice.settled[picked]


def shape_of(bounds: Bounds) -> VectorShape:
    """Return what is known of a person's vector under these bounds (S2)."""
    if bounds.signed:
        return VectorShape.SIGNED
    return VectorShape.ONE_NON_NEGATIVE if bounds.one_entry else VectorShape.NON_NEGATIVE


def vector_reach(bounds: Bounds) -> Reach:
    """Return how far one person moves the vector: in L2, squared; of a pure release in L1 (S11)."""
    if bounds.pure:
        return Reach(bounds.norm, bounds.norm * shape_of(bounds).diameter_factor)
    return ReleaseNorm(bounds.norm, shape_of(bounds)).reach


def grained_scale(bounds: Bounds, scale: float) -> float:
    """Return the scale of a pure vector's noise in multiples of its grain, rounded up: no dearer than `scale`."""
    return float_up(Fraction(scale) / bounds.grain)


def vector_margin95(bounds: Bounds, scale: float) -> float:
    """Return the least whole number of steps that the noise of a release's numbers stays within 19 times of 20."""
    return bounds.grain * laplace_margin95(grained_scale(bounds, scale)) if bounds.pure else margin95(scale)


def vector_deviation(bounds: Bounds, scale: float) -> float:
    """Return the standard deviation of the noise of a release's numbers, in steps.

    Discrete Laplace noise of scale s has the variance 2q/(1 - q)², q = exp(-1/s), whose root is 1/(√2·sinh(1/2s)).
    """
    if not bounds.pure:
        return scale
    return bounds.grain / (math.sqrt(2) * math.sinh(1 / (2 * grained_scale(bounds, scale))))


def widest_scale(bounds: Bounds, most: Fraction) -> float:
    """Return the largest scale of a release's noise whose margin is at most `most` steps; 0 if there is none.

    Of a pure vector to 2^-30 of it; the product's rounding is taken off.
    """
    if not bounds.pure:
        return largest_scale(most)
    if most < bounds.grain > 1:
        # Less than one grain: nothing but no noise at all, 19 times out of 20.
        return bounds.grain * LAPLACE_MOSTLY_NONE
    return largest_laplace_scale(most / bounds.grain) * bounds.grain * (1 - 2.0**-40)


def quantile_reach(quantile: QuantileBound, *, one_cell: bool) -> Reach:
    """Return how far one person moves the scores: Σ over cells of squared L∞ distances (proof: `query.quantiles`).

    Of a pure release the readings of one round, in L1 (proof: `query.bisecting`).
    """
    if isinstance(quantile, PureQuantileBound):
        sides = quantile.below + quantile.above if one_cell else 2 * quantile.factor
        return Reach(quantile.reading, 2 * sides * quantile.norm)
    square = quantile.norm**2
    if one_cell:
        return Reach(quantile.factor**2 * square, (quantile.below + quantile.above) ** 2 * square)
    return Reach(quantile.factor**2 * square, 2 * (quantile.below**2 + quantile.above**2) * square)


def quantile_rounds(quantile: QuantileBound) -> int:
    """Return how often noise is drawn for a quantile: once, or if it is pure, in each round of readings."""
    return quantile.rounds if isinstance(quantile, PureQuantileBound) else 1


def quantile_reaches(bounds: Bounds) -> tuple[Reach, ...]:
    """Return how far one person moves the scores of each quantile."""
    return tuple(quantile_reach(each, one_cell=bounds.one_cell) for each in bounds.quantiles)


def keys_reach(bounds: Bounds) -> Reach:
    """Return how far one person moves the counts of unknown keys: m of them by 1, or m others as well (S2)."""
    return Reach(bounds.distinct_keys, 2 * bounds.distinct_keys)


def choice_reach(choice: BoundChoice) -> Reach:
    """Return how far one person moves the scores of a bound's candidates, or if pure, persons by size.

    Proof: `query.choosing`.
    """
    if choice.bounds[0].pure:
        return Reach(1, 2)
    return Reach(choice.factor**2, choice.span**2)


def choice_draw(choice: BoundChoice, noise: ChoiceNoise) -> Draw:
    """Return the draw that chooses a bound: a noisy max, or if pure, discrete Laplace noise on persons by size."""
    return Draw(choice_reach(choice), Fraction(noise.scale), pure=choice.bounds[0].pure)


def draws(bounds: Bounds, noise: Noise) -> tuple[Draw, ...]:
    """Return what is drawn, each with what it costs: the vector, the quantiles, the threshold, the choice of a bound.

    Where a bound is still to be chosen, each mechanism is as dear as with the dearest candidate.
    """
    if (bounds.choice is None) != (noise.choice is None):
        raise InvariantBroken("the noise is that of another release")
    if bounds.choice is None or noise.choice is None:
        return _settled_draws(bounds, noise)
    each = [_settled_draws(*pair) for pair in zip(bounds.choice.bounds, noise.choice.settled, strict=True)]
    dearest = tuple(_dearest(alike) for alike in zip(*each, strict=True))
    return (*dearest, choice_draw(bounds.choice, noise.choice))


def _dearest(alike: tuple[Draw, ...]) -> Draw:
    """Return the dearest of one mechanism's draws, in either account, everywhere and in one table."""
    found = max(alike, key=lambda draw: draw.loss)
    for draw in alike:
        if (
            draw.loss_at(draw.reach.in_one_table) > found.loss_at(found.reach.in_one_table)
            or draw.delta_everywhere > found.delta_everywhere
            or draw.delta_in_one_table > found.delta_in_one_table
        ):
            raise InvariantBroken("no candidate of a bound is the dearest in every account")
    return found


def _settled_draws(bounds: Bounds, noise: Noise) -> tuple[Draw, ...]:
    if (
        (noise.vector is None) == bool(bounds.components)
        or len(noise.quantiles) != len(bounds.quantiles)
        or (noise.keys is None) == bool(bounds.distinct_keys)
        or (bounds.pure and noise.keys is not None)
        or any(isinstance(each, PureQuantileBound) != bounds.pure for each in bounds.quantiles)
    ):
        raise InvariantBroken("the noise is that of another release")
    found: list[Draw] = []
    if noise.vector is not None:
        found.append(Draw(vector_reach(bounds), Fraction(noise.vector), pure=bounds.pure))
    found += [
        Draw(reach, Fraction(scale), pure=bounds.pure, times=quantile_rounds(quantile))
        for quantile, reach, scale in zip(bounds.quantiles, quantile_reaches(bounds), noise.quantiles, strict=True)
    ]
    if noise.keys is not None:
        most, keys = bounds.distinct_keys, noise.keys
        found.append(
            Draw(
                keys_reach(bounds),
                Fraction(keys.scale),
                Fraction(delta_of(keys.scale, keys.threshold, most)),
                Fraction(delta_of(keys.scale, keys.threshold, 2 * most)),
            )
        )
    return tuple(found)
