"""Who gets which part of a question's price: each value of the answer, the owners' threshold, open keys (S41).

The parts are those of the loss that the dearest account pays. Within the vector, what a component costs goes with the
square of the length that a full contribution gives it; statistics that use the same component share it equally.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from cleanroom.query.estimates import places_of
from cleanroom.query.mechanisms import draws
from cleanroom.query.statistics import Quantile

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cleanroom.query.mechanisms import Noise
    from cleanroom.query.plan import Plan


@dataclass(frozen=True, slots=True)
class Split:
    """The parts of a price, which sum to 1.

    Args:
        statistics: by number of the release, and place among its statistics.
        threshold: of the count that only the owners' threshold asks for.
        keys: of the threshold on keys without a domain.
    """

    statistics: dict[tuple[int, int], Fraction]
    threshold: Fraction
    keys: Fraction


def split_of(plans: Sequence[Plan], noises: Sequence[Noise]) -> Split:
    """Return how the price of some releases is shared out."""
    statistics: defaultdict[tuple[int, int], Fraction] = defaultdict(Fraction)
    threshold = keys = Fraction(0)
    for number, (plan, noise) in enumerate(zip(plans, noises, strict=True)):
        bounds, alone = plan.bounds, len(plan.tables) == 1
        losses = [
            draw.epsilon_at(reach) if draw.pure else draw.loss_at(reach)
            for draw in draws(bounds, noise)
            for reach in [draw.reach.largest(tables_alone=alone)]
        ]
        if noise.vector is not None:
            loss = losses.pop(0)
            for place, part in _vector_parts(plan):
                if place is None:
                    threshold += loss * part
                else:
                    statistics[number, place] += loss * part
        for quantile in bounds.quantiles:
            statistics[number, quantile.statistic] += losses.pop(0)
        if noise.keys is not None:
            if bounds.counted_by_threshold:
                statistics[number, 0] += losses.pop(0)
            else:
                keys += losses.pop(0)
    total = sum(statistics.values(), threshold + keys)
    return Split({place: part / total for place, part in statistics.items()}, threshold / total, keys / total)


def _vector_parts(plan: Plan) -> Iterator[tuple[int | None, Fraction]]:
    """Yield who gets which part of the vector's price: a statistic by its place, None for the owners' threshold."""
    bounds = plan.bounds
    users: list[list[int]] = [[] for _ in bounds.components]
    for place, statistic in enumerate(plan.statistics):
        if not isinstance(statistic, Quantile):
            for component in places_of(statistic, bounds):
                users[component].append(place)
    # In L2 the squares of full contributions share the price out, in L1 they do themselves.
    power = 1 if bounds.pure else 2
    whole = sum(component.reach**power for component in bounds.components)
    for each, mine in zip(bounds.components, users, strict=True):
        part = Fraction(each.reach**power, whole)
        if not mine:
            yield None, part
        for place in mine:
            yield place, part / len(mine)
