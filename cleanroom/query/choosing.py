"""Let the release choose its own bound among public candidates: `auto` (S33, S38).

A bound that is too wide costs noise, one that is too narrow cuts heavy persons; which it is depends on how much persons
have, so it is learnt from them and paid for. The candidates are public: for rows, and for cells that count in full,
whole numbers up to sixteen times the tables' default, for totals fractions of the widest total. Each person has a
*size*: of their numbers of rows by cell, or of their totals, the L2 norm (L1 if pure), at which clipping looks; for
means the largest number; for cells how many they are in. Of the candidates t_1 < t_2 < … let

    g_j = p·#{persons of size > t_j} − q·#{persons of size ≤ t_j} − r,   p, q, r public,

which falls as j grows. The best is the first that is not above 0, so t_j has the score

    −max(0, g_j, −g_{j−1}) − c_j,   c_j public, nothing for j − 1 = 0:

minus how much g would have to be otherwise for it to be that one, and a pull towards narrow bounds. The candidate is
chosen by OpenDP's noisy max.

In a pure question, which admits discrete Laplace noise alone (S11), the persons by size are noised instead, a number
for each candidate and one for those beyond, and the best score of the noised numbers is post-processing. Each person is
in one of these numbers or in none: who goes moves them by at most 1 in L1, whose size changes by at most 2. The
accounts add its epsilon to that of the vector.

*Claim.* A person who goes moves every score by at most max(p, q); one whose rows in some tables go, and whose size
becomes another one, by at most p + q.

*Proof.* A relation is personal, so the size of another person is the same in both rooms, and each person is counted
once: among those above t, or among those not above, or not at all. Going takes away p or −q from g_j. Changing size
changes p into −q, −q into p, one of them into 0 or back, or nothing. So much for each g_j; the greatest of 0, g_j and
−g_{j−1} moves by no more than the one that moves most, and r and c_j are computed from the candidates and the noise's
scale, the same for both rooms. ∎

*Charge.* The choice is one more draw, of reach (max(p, q)², (p + q)²), charged up front (`query.mechanisms`). What
follows it is drawn with the bounds chosen. For each candidate norm, cells and noise are fixed and priced before
anything is read, and what is charged is the dearest of them, so the charge holds for every outcome (S12, S24): by
adaptive composition the loss is at most that of the choice and the largest of the losses after it (Bun and Steinke
2016, Lemma 2.3). The outcome is part of the answer, of its digest and of what is stored.

*Which candidate is best* is a question of accuracy alone. Counts and sums: cutting at t loses what #{size > t} persons
have above it, so widening t by one wins as much as there are such persons and costs the noise of one more in every
cell: best is where #{size > t} is the noise in persons, its mean size, over all cells (p, q = 1, 0): √(2/π) of the
standard deviation of Gaussian noise, the scale of Laplace's. For cells in full, widening t by one wins Σ √k/2√t over
persons in k > t cells (in L1, one each), and costs the noise of as much in every cell: what is aimed at is the noise at
one cell, halved as if t were four (in L1, that noise). But what widening from t_j to t_{j+1} wins goes with the mean of
#{size > u} between the two, of which #{size > t_j} is 1.5 times as much if it falls with the square of u, and
candidates lie a half apart, 1.8 times if with its cube: r is 1.75 times the noise. Means and variances, which cut no
total but weigh persons: the median size (p, q = 1, 1), since noise grows with the bound and rows of most persons are
then all counted. Quantiles alone (p, q = 1, 0): what is cut lies on both sides of a quantile, and moves its rank by
what one side has more of, here taken for a sixteenth; a choice of scale s strays from the rank by s/b in weight, in the
mean, since scores fall by b for each unit (`query.quantiles`). There the widest candidate is the tables' default: one
quantile has so little noise that a wider bound wins nothing where amounts do not depend on how often people come.

Where nobody is above t, all wider bounds have the same g: of them g_{j−1} leaves the first alone at the top, by r, and
where r is not far above the noise of the choice, c_j does: it is that noise times the logarithm of t_j/t_1, so that a
bound that is x times as wide is x or x^1.5 times less likely for nothing, while noise grows with x (docs/adr/0014 §10).
To r is added half of how far a noisy choice strays: that errs to the narrow side, since bias and noise, of different
kind, add up in squares.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from cleanroom.query.bound import BoundChoice, Bounds, Measured, QuantileBound, Sized
from cleanroom.query.statistics import CountRows, Quantile, Sum

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cleanroom.query.statistics import Statistic

WIDEST: Final = 16
"""The widest number of rows is so many times the default."""

SIDES: Final = 16
"""How many rows are cut for one that a side of a quantile has more of than the other."""

TOTALS: Final = 16
"""Candidates of a total, each two thirds of the one before."""

PULL: Final = {Sized.ROWS: 1.5, Sized.GROUPS: 1.5, Sized.TOTAL: 1.0}
"""By what power of its width a bound is less likely where nobody tells it from a narrower one. Totals are chosen over a
wider range, whose low end is below what anybody spends: there a strong pull costs small tables more than it saves."""

FALL: Final = 1.75
"""How many more persons are above a candidate than, in the mean, above the sizes between it and the next."""

_ROWS: Final = (1, *(each << power for power in range(11) for each in (2, 3)), 4096)
"""Whole numbers, each a third or a half more than the one before from 2 on."""


def chosen_rows(
    statistics: Sequence[Statistic], default: int, limit: int, bounds: Callable[[int], Bounds]
) -> BoundChoice | None:
    """Return the choice of how many rows of a person count in a cell; None where no statistic depends on it.

    Args:
        default: the tables' default.
        limit: rows of a person that can be in a cell at all.
        bounds: of the release, by the number of rows.
    """
    alone = all(isinstance(each, Quantile) for each in statistics)
    widest = max(1, min(default if alone else WIDEST * default, limit))
    candidates = (*(each for each in _ROWS if each < widest), widest)
    found = tuple(map(bounds, candidates))
    if all((each.components, each.quantiles) == (found[0].components, found[0].quantiles) for each in found):
        return None
    added = any(isinstance(each, CountRows | Sum) for each in statistics)
    return BoundChoice(Sized.ROWS, None, 0, 0, candidates, found, 1, 0 if added or alone else 1)


def chosen_total(statistic: Sum, widest: int, bounds: Callable[[int], Bounds]) -> BoundChoice:
    """Return the choice of a person's total in a cell.

    Args:
        statistic: the sum that it is for.
        widest: the greatest size of a total without `auto`, in steps.
        bounds: of the release, by the greatest total.
    """
    sizes = {max(1, -(-widest * 2**power // 3**power)) for power in range(TOTALS)}
    candidates = tuple(sorted(sizes))
    found = tuple(map(bounds, candidates))
    return BoundChoice(Sized.TOTAL, statistic.column, statistic.lower, statistic.upper, candidates, found, 1, 0)


def chosen_groups(default: int, limit: int, bounds: Callable[[int], Bounds]) -> BoundChoice | None:
    """Return the choice of the cells in which a person counts in full; None where there is nothing to choose.

    Args:
        default: the tables' default.
        limit: the cells of the largest grouping set.
        bounds: of the release, by the number of cells.
    """
    widest = max(1, min(WIDEST * default, limit))
    candidates = (*(each for each in _ROWS if each < widest), widest)
    found = tuple(map(bounds, candidates))
    return None if len(found) == 1 else BoundChoice(Sized.GROUPS, None, 0, 0, candidates, found, 1, 0)


def aim(bounds: Bounds, scale: float | None, stray: float, quantiles: Sequence[float] = ()) -> int:
    """Return r: how many persons the best bound leaves above it, with room for a choice that strays.

    Args:
        bounds: of the widest candidate.
        scale: of the noise on its vector; None if it has no vector.
        stray: scale of the noise on a score, in persons.
        quantiles: scale of the choice of each quantile.
    """
    choice = bounds.choice
    if choice is None or choice.below:
        return 0
    if choice.sized is Sized.GROUPS:
        # At one cell in full the noise of `bounds.cells` cells; half of it if it grows with the root of their number.
        wide = float(bounds.max_groups) if bounds.pure else 2 * math.sqrt(bounds.max_groups)
        one = 0.0 if scale is None else scale / bounds.components[0].reach * _mean_size(bounds) / wide
        return math.ceil(FALL * one * bounds.cells + stray / 2)
    sized = {Measured.TOTAL} if choice.sized is Sized.TOTAL else {Measured.ROWS, Measured.TOTAL}
    reach = next((each.reach for each in bounds.components if each.measured in sized), None)
    if reach is None:
        ranks = [scale / _whole_person(each, bounds) for each, scale in zip(bounds.quantiles, quantiles, strict=True)]
        return math.ceil(SIDES * max(ranks) * bounds.cells + stray / 2)
    noise = 0.0 if scale is None else scale / reach * _mean_size(bounds) * bounds.cells
    return math.ceil(FALL * noise + stray / 2)


def _whole_person(quantile: QuantileBound, bounds: Bounds) -> int:
    """Return what a person's whole weight in a cell is worth in scores; in readings, which are doubled, if pure."""
    doubled = 2 if bounds.pure else 1
    return doubled * (quantile.below + quantile.above) * quantile.weight * bounds.max_rows


def pulls(choice: BoundChoice, stray: float) -> tuple[int, ...]:
    """Return c: what each candidate's score is less for its width, in persons.

    Args:
        stray: scale of the noise on a score, in persons.
    """
    narrowest = choice.candidates[0]
    return tuple(round(PULL[choice.sized] * stray * math.log(each / narrowest)) for each in choice.candidates)


def _mean_size(bounds: Bounds) -> float:
    """Return the mean size of noise of scale 1."""
    return 1.0 if bounds.pure else math.sqrt(2 / math.pi)
