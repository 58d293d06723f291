"""What loss two samples of outputs show: an event that some runs choose, and bounds on how often others show it."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

FALSE_ALARM = 1e-9
ORDERS = (1.02, 1.1, 1.25, 1.5, 2.0, 3.0, 4.0, 8.0, 16.0)
ABSENT = -(2.0**60)
"""Stands for a cell that is not there or withheld: that too is seen."""


def bound(ours: NDArray[np.float64], theirs: NDArray[np.float64], delta: float, choosing: int) -> float:
    """Return the lower bound on rho that two samples of outputs show, of which the first runs choose the event.

    Args:
        ours: a row a run.
        theirs: the same numbers, of the other room.
        delta: what is paid beside rho.
        choosing: runs that choose the event.
    """
    event = chosen_event(ours[:choosing], theirs[:choosing], delta)
    hits = [int(event(sample[choosing:]).sum()) for sample in (ours, theirs)]
    return shown(*hits, len(ours) - choosing, delta, FALSE_ALARM / 2)


def chosen_event(
    ours: NDArray[np.float64], theirs: NDArray[np.float64], delta: float
) -> Callable[[NDArray[np.float64]], NDArray[np.bool_]]:
    """Return the event on outputs, projections of them included, that promises most."""
    weights = _direction(ours, theirs)

    def projected(sample: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack([sample, _projected(sample, weights), sample.sum(axis=1)])

    event = _event(projected(ours), projected(theirs), delta)
    return lambda sample: event(projected(sample))


def shown(hits: int, others: int, runs: int, delta: float, alarm: float) -> float:
    """Return the least rho at which an event that was seen `hits` and `others` times is plausible."""
    low = clopper_pearson(hits, runs, alarm / 2, upper=False)
    high = clopper_pearson(others, runs, alarm / 2, upper=True)
    p, q = max(0.0, (low - delta) / (1 - delta)), min(1.0, high / (1 - delta))
    return max((_renyi(p, q, order) / order for order in ORDERS), default=0.0) if p > q else 0.0


def _renyi(p: float, q: float, order: float) -> float:
    """Return D_α between coins that fall with p and q."""
    inside = p**order * q ** (1 - order) + (1 - p) ** order * (1 - q) ** (1 - order) if q < 1 else 1.0
    return math.log(inside) / (order - 1)


def clopper_pearson(hits: int, runs: int, alarm: float, *, upper: bool) -> float:
    """Return a bound on a probability that an event seen `hits` times of `runs` exceeds at most so often."""
    if upper:
        return 1.0 - clopper_pearson(runs - hits, runs, alarm, upper=False)
    if hits == 0:
        return 0.0
    low, high = 0.0, hits / runs
    for _ in range(60):
        middle = (low + high) / 2
        if _tail(hits, runs, middle) > alarm:
            high = middle
        else:
            low = middle
    return low


def _tail(hits: int, runs: int, chance: float) -> float:
    """Return P(X ≥ hits) for X of `runs` coins."""
    if chance <= 0:
        return 0.0
    k = np.arange(hits, runs + 1)
    logs = _log_factorials(runs)
    chosen = logs[runs] - logs[k] - logs[runs - k]
    return float(np.exp(chosen + k * math.log(chance) + (runs - k) * math.log1p(-chance)).sum())


@cache
def _log_factorials(most: int) -> NDArray[np.float64]:
    return np.array([math.lgamma(each + 1) for each in range(most + 1)])


def _direction(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the direction in which the means differ most for their spread, over what is always there."""
    steady = (ours > ABSENT).all(axis=0) & (theirs > ABSENT).all(axis=0)
    spread = ours.var(axis=0) + theirs.var(axis=0)
    steady &= spread > 0
    weights = np.zeros(ours.shape[1])
    apart = ours[:, steady].mean(axis=0) - theirs[:, steady].mean(axis=0)
    # What is within the means' own error would only add noise.
    error = np.sqrt(spread[steady] / len(ours))
    weights[steady] = np.where(np.abs(apart) > 2 * error, apart / spread[steady], 0.0)
    return weights


def _projected(sample: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    used = weights != 0
    return sample[:, used] @ weights[used]


def _event(
    ours: NDArray[np.float64], theirs: NDArray[np.float64], delta: float
) -> Callable[[NDArray[np.float64]], NDArray[np.bool_]]:
    """Return the event, of all limits on all numbers, that promises to show the greatest loss on as many runs again."""
    best, chosen = -1.0, (0, 0.0, True)
    runs = len(ours)
    for place in range(ours.shape[1]):
        values = np.concatenate([ours[:, place], theirs[:, place]])
        for limit in np.unique(np.quantile(values, np.linspace(0.01, 0.99, 40), method="lower")):
            share, other = (float((sample[:, place] > limit).mean()) for sample in (ours, theirs))
            for above, p, q in ((True, share, other), (False, 1 - share, 1 - other)):
                # About what Clopper and Pearson will give, at six standard errors.
                low = p - 6 * math.sqrt((p * (1 - p) + 1 / runs) / runs) - delta
                high = q + 6 * math.sqrt((q * (1 - q) + 1 / runs) / runs)
                found = max(_renyi(low, high, order) / order for order in ORDERS) if 0 < high < low else p - q - 1
                if found > best:
                    best, chosen = found, (place, float(limit), above)
    place, limit, above = chosen
    return lambda sample: (sample[:, place] > limit) == above
