"""Several charged draws of one release as one answer, and the decision on its cells: post-processing only (S37, S39).

Each draw is the same exact vector v plus independent noise of its own scale s_i: same plan, bounds and versions, which
the reuse key states. The answer is Σ w_i·x_i / Σ w_i with public weights w_i ∝ 1/s_i², rounded to whole numbers. It is
unbiased whatever the weights, and its variance Σ w_i²·s_i² / (Σ w_i)² is least at the exact ones: 1 / Σ 1/s_i². So
precisions add up as losses do, and a draw at ρ_new - ρ_old makes the answer as precise as one at ρ_new would be.

Privacy: the combination is a function of numbers that were each released and charged. The later draws were chosen after
the earlier ones were seen; zCDP composes under such choices by the sum of the charges (Bun and Steinke 2016, Lemma 1.7
and 2.3), and that sum is what the ledgers hold.

Whether a cell is withheld is decided on the combined noised count of persons. It is again a function of released
numbers. A cell may so be shown that an earlier, less precise answer withheld, and the other way round: the rule of the
owners speaks of the noised count, and this is the best one there is. It is decided once for each set of draws, and
stored with them; nobody can have it decided anew without a further charged draw.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from cleanroom.errors import InvariantBroken
from cleanroom.query.noise import combined_scale, weights_of
from cleanroom.query.release import NoisedRelease

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cleanroom.query.drawn import Drawn
    from cleanroom.query.plan import Plan


def answered(plan: Plan, draws: Sequence[Drawn]) -> NoisedRelease:
    """Return what all draws of a release say together.

    Args:
        draws: at least one, the oldest first; several only of a vector alone.
    """
    if len(draws) == 1:
        (one,) = draws
        settled = plan if plan.bounds.choice is None else plan.settled(one.picked)
        return NoisedRelease(settled, one.noise.scale, one.steps, one.chosen, one.surviving, one.picked)
    scales = [each.noise.vector for each in draws]
    known = [scale for scale in scales if scale is not None]
    if len(known) != len(draws) or not known or any(each.chosen or each.surviving is not None for each in draws):
        raise InvariantBroken("only vectors are combined")
    if len({len(each.steps) for each in draws}) != 1:
        raise InvariantBroken("draws of one release have one shape")
    weights = weights_of(known)
    total = sum(weights)
    steps = tuple(
        Fraction(sum(weight * step for weight, step in zip(weights, each, strict=True)), total)
        for each in zip(*(draw.steps for draw in draws), strict=True)
    )
    return NoisedRelease(plan, combined_scale(known), steps, draws=len(draws))
