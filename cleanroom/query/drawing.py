"""From exact numbers to a noised release: every draw of a plan, checked against what was charged for all of them."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from cleanroom.accounting.privacy_loss import PureEpsilon, Rho
from cleanroom.errors import InvariantBroken
from cleanroom.query.bisecting import bisected
from cleanroom.query.bound import PureQuantileBound
from cleanroom.query.contribution import streamed
from cleanroom.query.drawn import Drawn
from cleanroom.query.mechanisms import choice_draw, draws, grained_scale
from cleanroom.query.noise import add_laplace, add_noise, noisy_max
from cleanroom.query.quantiles import scores
from cleanroom.query.sizes import persons_by_size, size_columns
from cleanroom.query.unknown_keys import counted_keys, key_columns, surviving_keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cleanroom.accounting.account import Charge
    from cleanroom.accounting.accountant import Draw
    from cleanroom.query.backend import Backend
    from cleanroom.query.bound import Bounds, QuantileBound
    from cleanroom.query.cells import SurvivingKeys
    from cleanroom.query.contribution import ExactVector
    from cleanroom.query.mechanisms import Noise
    from cleanroom.query.plan import Plan
    from cleanroom.query.quantiles import Int64s


def require_paid(plan: Plan, noise: Noise, charged: Charge) -> None:
    """Stop the question if its draws together cost more than the room was charged, in rho or in delta.

    Args:
        charged: the room's charge for this release.
    """
    due = draws(plan.bounds, noise)
    if sum((draw.loss for draw in due), Fraction(0)) > charged.rho.as_fraction():
        raise InvariantBroken("the draws cost more than their question was charged")
    if sum((draw.delta_everywhere for draw in due), Fraction(0)) > charged.delta_threshold:
        raise InvariantBroken("the threshold costs more delta than its question was charged")


def released_keys(plan: Plan, noise: Noise, backend: Backend, charged: Charge) -> SurvivingKeys | None:
    """Release the unknown keys of a plan past their threshold; None if all keys are public."""
    require_paid(plan, noise, charged)
    if noise.keys is None:
        return None
    counted = counted_keys(plan, streamed(plan, backend, key_columns(plan)))
    return surviving_keys(
        counted, scale=noise.keys.scale, threshold=noise.keys.threshold, most=plan.bounds.most_surviving
    )


def picked_bound(
    plan: Plan, noise: Noise, backend: Backend, surviving: SurvivingKeys | None, charged: Charge
) -> int | None:
    """Choose the bound of a release among its candidates (`query.choosing`); None where there is none to choose.

    Returns:
        The place of the candidate.
    """
    require_paid(plan, noise, charged)
    choice = plan.bounds.choice
    if choice is None or noise.choice is None:
        return None
    counts = persons_by_size(plan, streamed(plan, backend, size_columns(plan, choice)), surviving)
    due = choice_draw(choice, noise.choice)
    if due.pure:
        epsilon = PureEpsilon.at_least(due.epsilon_at(due.reach.everywhere))
        noised = add_laplace(counts, norm=due.reach.everywhere, scale=noise.choice.scale, charged=epsilon)
        # The rest is computed from released numbers.
        found = choice.scores(noised, noise.choice.target, noise.choice.pulls)
        return found.index(max(found))
    (picked,) = noisy_max(
        (choice.scores(counts, noise.choice.target, noise.choice.pulls),),
        reach=choice.factor,
        scale=noise.choice.scale,
        charged=Rho.at_least(due.loss),
    )
    return picked


def draw(
    plan: Plan,
    noise: Noise,
    exact: ExactVector,
    surviving: SurvivingKeys | None,
    charged: Charge,
    picked: int | None = None,
) -> Drawn:
    """Noise the vector of a settled plan and choose its quantiles.

    Args:
        picked: the bound that the plan and its noise were settled with.

    Raises:
        InvariantBroken: the draws would cost more than was charged.
    """
    require_paid(plan, noise, charged)
    bounds = plan.bounds
    due = list(draws(bounds, noise))
    steps: tuple[int, ...] = ()
    if noise.vector is not None:
        first = due.pop(0)
        if bounds.pure:
            epsilon = PureEpsilon.at_least(first.epsilon_at(first.reach.everywhere))
            steps = _on_grain(bounds, exact.values, noise.vector, epsilon)
        else:
            paid = Rho.at_least(first.loss)
            steps = add_noise(exact.values, norm=bounds.norm, scale=noise.vector, charged=paid)
    chosen = tuple(
        _chosen(quantile, weights, scale, each)
        for quantile, weights, scale, each in zip(
            bounds.quantiles, exact.weights, noise.quantiles, due[: len(bounds.quantiles)], strict=True
        )
    )
    return Drawn(noise, steps, chosen, surviving, picked)


def _chosen(quantile: QuantileBound, weights: Int64s, scale: float, due: Draw) -> tuple[int, ...]:
    """Return the candidate of each cell: by noisy max, or if pure, by readings that together cost what is due."""
    if not isinstance(quantile, PureQuantileBound):
        reach = quantile.factor * quantile.norm
        return noisy_max(tuple(scores(quantile, weights)), reach=reach, scale=scale, charged=Rho.at_least(due.loss))
    epsilon = PureEpsilon.at_least(due.epsilon_at(due.reach.everywhere) / due.times)
    left = due.times

    def read(values: Sequence[int]) -> tuple[int, ...]:
        nonlocal left
        left -= 1
        if left < 0:
            raise InvariantBroken("more is read of a quantile than was charged")
        return add_laplace(values, norm=quantile.reading, scale=scale, charged=epsilon)

    return bisected(quantile, weights, scale, read)


def _on_grain(bounds: Bounds, values: Sequence[int], scale: float, charged: PureEpsilon) -> tuple[int, ...]:
    """Noise a pure vector on multiples of its grain (`Bounds.grain`), the least that its norm needs to hide a person.

    Raises:
        InvariantBroken: a number lies between two multiples, or this draw would cost more than was charged.
    """
    grain = bounds.grain
    if any(value % grain for value in values) or bounds.norm % grain:
        raise InvariantBroken("a vector lies off the grain of its noise")
    noised = add_laplace(
        [value // grain for value in values],
        norm=bounds.norm // grain,
        scale=grained_scale(bounds, scale),
        charged=charged,
    )
    return tuple(grain * value for value in noised)
