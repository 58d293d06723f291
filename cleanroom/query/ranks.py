"""Say how far the rank of a released quantile may be from the one asked for: by the noise of its choice, for nothing.

In a cell let W be the whole weight, u that of a row that counts in full, and a/b the fraction. Candidate t has the
score −x(t), x(t) = max(0, b·W_<(t) − a·W, b·W_>(t) − (b − a)·W) (`query.quantiles`). So x(t)/(b·u) is by how many rows
too much lies below t, or above it: none if t is a quantile. It is a rank, and no margin in the value's own unit, which
would be two more quantiles to pay (S36): how far apart two values of near ranks lie only the data say.

*Claim.* Let there be K candidates, s the scale of the choice, and m the least x of a cell. Then the candidate T that is
released has x(T) < m + s·ln(20·(K − 1)) with a probability of at least 95 %, whatever the data. Where every step of the
bounds is a candidate, m = 0.

*Proof.* OpenDP's noisy max adds independent Gumbel noise of scale s to each score and takes the greatest, so it chooses
t with probability e^(−x(t)/s)/Σ e^(−x(v)/s). Let B be the sum of e^((m − x(t))/s) over candidates with x(t) ≥ m + d.
The best one is none of these if d > 0, so they are K − 1 at most, and B ≤ (K − 1)·e^(−d/s), which is 1/20 for the d of
the claim. The best one adds 1 to the sum, so that one of them is chosen with probability B/(1 + B) at most, less than
1/20 by far more than a float's error. If every step is a candidate, all weight lies at candidates, since values are
brought within the bounds. Let t be the least with b·W_≤(t) ≥ a·W. Then b·W_<(t) < a·W, or t is the first and W_<(t) =
0; and b·W_>(t) = b·W − b·W_≤(t) ≤ (b − a)·W. So x(t) = 0. ∎

Hardly a better bound holds for all data: with all of a cell's weight at one candidate, so much that the others have x =
d, one of these is chosen once in 21. Each cell is by itself; of twenty cells one may be beyond.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

from cleanroom.errors import Bilingual
from cleanroom.query.bisecting import DOUBT
from cleanroom.query.bound import PureQuantileBound
from cleanroom.query.noise import laplace_margin95
from cleanroom.query.statistics import StatisticOutput

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cleanroom.query.bound import QuantileBound
    from cleanroom.query.mechanisms import Noise
    from cleanroom.query.plan import Plan


def rank_margin95(quantile: QuantileBound, scale: float) -> int:
    """Return how many rows too many lie below a released value, or above it, 19 times out of 20: at most so many.

    Args:
        scale: of the noisy max, in steps of score; of a reading if it is pure.
    """
    if quantile.candidates == 1:
        return 0
    if isinstance(quantile, PureQuantileBound):
        beyond = Fraction(laplace_margin95(scale, quantile.rounds)) + DOUBT * Fraction(scale)
        halves = 1 if quantile.grid.step == 1 else 2
        return math.ceil(halves * beyond / (2 * (quantile.below + quantile.above) * quantile.weight))
    furthest = scale * math.log(20 * (quantile.candidates - 1))
    return math.ceil(furthest / ((quantile.below + quantile.above) * quantile.weight))


def rank_margins(plan: Plan, noise: Noise) -> tuple[int | None, ...]:
    """Return the rank margin of each statistic of the answer, in rows; None for what is no quantile."""
    found = {
        quantile.statistic: rank_margin95(quantile, scale)
        for quantile, scale in zip(plan.bounds.quantiles, noise.quantiles, strict=True)
    }
    return tuple(found.get(output.statistic) for output in plan.outputs if isinstance(output, StatisticOutput))


def rank_notes(plan: Plan, noise: Noise) -> tuple[Bilingual, ...]:
    """Return what is known of each quantile's rank, in words."""
    return tuple(_notes(plan, noise))


def _notes(plan: Plan, noise: Noise) -> Iterator[Bilingual]:
    quantiles = {each.statistic: each for each in plan.bounds.quantiles}
    outputs = [output for output in plan.outputs if isinstance(output, StatisticOutput)]
    for output, rows in zip(outputs, rank_margins(plan, noise), strict=True):
        if rows is None:
            continue
        quantile = quantiles[output.statistic]
        # A release over which something else is said has no labels.
        place = f"quantile {quantile.below}/{quantile.below + quantile.above}"
        fr, en = (f"« {output.label} »", f"“{output.label}”") if output.label else (place, place)
        if quantile.grid.step == 1:
            said = (
                f"au plus {rows} lignes de trop sont sous la valeur ou au-dessus",
                f"at most {rows} rows too many lie below the value or above it",
            )
        else:
            said = (
                f"aucune des valeurs proposées au choix n'est de plus de {rows} lignes plus proche du rang",
                f"none of the values that it is chosen from is nearer to the rank by more than {rows} rows",
            )
        most = plan.bounds.max_rows
        yield Bilingual(
            f"{fr} : 19 fois sur 20, pour chaque case, {said[0]} (chaque ligne de qui en a plus de {most}, ou est dans "
            "beaucoup de cases, pèse moins)",
            f"{en}: 19 times out of 20, for each cell, {said[1]} (each row of someone with more than {most}, or in "
            "many cells, weighs less)",
        )
