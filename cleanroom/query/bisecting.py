"""Find a quantile of a pure release by noised readings of its weights: discrete Laplace noise and nothing else (S11).

Candidates, bins and weights are those of `query.quantiles`, a person's weights over all cells at most d = `norm` in L1.
With C(j) the weight of a cell's bins up to j (bin 2t is candidate t's, 2t + 1 the gap after it) and W the whole, let

    G(t) = b·(C(2t) + C(2t + 1)) − 2a·W,   for the fraction a/b.

It never falls as t grows, and the least t with G(t) ≥ 0 is the candidate with the best score (claim 2). Where it lies
is asked in R = ⌈log₂ K⌉ rounds, K candidates. In each, every cell that is not settled is read once, at a place that
earlier noised readings decide on: G there plus discrete Laplace noise of scale s. All else is computed from readings.

*How it is read.* A reading beyond ±h, h = 2s, is taken at its word: the candidates on the wrong side of it are out. One
within is doubtful: with nothing known of G, the chance that G < 0 there is that of the noise alone, and the candidates
beyond the place weigh so much more or less than the others. The next place is the median of what is left, by weight
(probabilistic bisection: Horstein 1963; Waeber, Frazier and Henderson 2013); so is the answer, but never outside the
doubtful places. While nothing is doubtful this is halving. Why so and not a noised tree: docs/adr/0021.

*Claim 1 (privacy).* Let M = max(a, b − a) and m = min(a, b − a). The readings cost a person who goes everywhere
R·2M·d/s in epsilon, one whose rows in some tables go R·4M·d/s, and where there is one cell R·2b·d/s.

*Proof.* Fix the readings of earlier rounds: the places q_g of this round are then fixed too, the same in both rooms. A
row of weight w adds 2(b − a)·w to G(q), if it lies at q or below, −2a·w if above, and b·w − 2a·w, which is between, in
the gap after q. So a person of weight d_g in cell g adds something in [−2a·d_g, 2(b − a)·d_g]: going moves G(q_g) by at
most 2M·d_g, and coming to weigh d'_g otherwise by at most 2(M·max(d_g, d'_g) + m·min(d_g, d'_g)), as in
`query.quantiles`. Over all cells, each read once a round or not at all, that is 2M·d in L1; and at most
2M·Σ(d_g + d'_g) ≤ 4M·d, with one cell 2(M + m)·d = 2b·d. Discrete Laplace noise of scale s on each makes a round
(L1/s)-DP whatever was read before, and R rounds together R times that, by adaptive composition of pure differential
privacy (Dwork and Roth 2014, Theorem 3.16: each round's ratio of probabilities, given the past, is bounded, and they
multiply). Which place is asked, and what is answered, is post-processing. ∎ What zCDP accounts lose is the sum of half
the squares of the rounds' epsilons, a fraction 1/R of half the square of their sum (Bun and Steinke 2016, 1.4 and 2.3).
All rounds are charged up front, and each is held against its part as it is drawn (`query.drawing`).

*Claim 2 (rank).* Let z bound the noise of all of a cell's readings. Then the candidate t that is answered has
G(t) ≥ −(h + z) and, but for the first, G(t − 1) ≤ h + z. With x the score's size (`query.ranks`), x(t) ≤ x(v) + h + z
for every candidate v; and where every step is a candidate, x(t) ≤ (h + z)/2.

*Proof.* At a doubtful place q it is |G(q)| ≤ h + z. Beyond doubt, a reading at q below −h says G(q) ≤ z, one above h
says G(q) ≥ −z, and so do the ends: G(K − 1) ≥ 0, and nothing lies before the first. What is left is always from first
to last, first − 1 and last being such places or ends. If no place is doubtful, each round leaves of n candidates at
most ⌈n/2⌉, so that after R there is one, t = first = last. If some are, the least and the greatest being p and p', the
answer is brought to min(p, last) ≤ t ≤ max(p' + 1, first). If t ≥ p, then G(t) ≥ G(p) ≥ −(h + z), else t = last; if
t − 1 ≤ p', then G(t − 1) ≤ G(p') ≤ h + z, else t = first.
Now let F(j) = b·C(j) − a·W, so that x(v) = max(0, F(2v − 1), −F(2v)) and G(v) = F(2v) + F(2v + 1). F never falls. If
v ≥ t, F(2t − 1) ≤ F(2v − 1) ≤ x(v); if v < t, F(2t − 1) = G(t − 1) − F(2t − 2) ≤ h + z − F(2v) ≤ h + z + x(v). Likewise
−F(2t) ≤ −F(2v) if v ≤ t, and −F(2t) = F(2t + 1) − G(t) ≤ x(v) + h + z if v > t. (With h + z = 0: the least t with
G(t) ≥ 0 has the best score.) Where every step is a candidate gaps are empty, F(2t) = F(2t + 1) = G(t)/2 and
F(2t − 1) = F(2t − 2) = G(t − 1)/2. ∎
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cleanroom.query.bound import PureQuantileBound
    from cleanroom.query.quantiles import Int64s

DOUBT: Final = 2
"""Readings within so many scales of 0 are doubtful. A wider band errs less in small tables, and makes the rank that can
be promised wider; at 2 it is a third wider than with none (docs/adr/0021)."""


class Search:
    """Where the quantile of one cell may lie, by the readings there are.

    Args:
        candidates: how many there are.
        scale: of the noise on a reading.
    """

    def __init__(self, candidates: int, scale: float) -> None:
        self.first, self.last = 0, candidates - 1
        self._scale = scale
        self._doubtful: list[tuple[int, float]] = []

    @property
    def settled(self) -> bool:
        """Whether one candidate is left."""
        return self.first == self.last

    def place(self) -> int:
        """Return the candidate to read G at, if it is not settled; never the last one that is left."""
        return min(self._median(), self.last - 1)

    def learn(self, place: int, reading: int) -> None:
        """Take in what was read at the place."""
        if abs(reading) <= DOUBT * self._scale:
            # Of two in doubt, how much likelier it is that G is below 0 there than not, by the noise alone.
            tail = math.exp(-abs(reading) / self._scale) / 2
            self._doubtful.append((place, (1 - tail) / tail if reading < 0 else tail / (1 - tail)))
        elif reading < 0:
            self.first = place + 1
        else:
            self.last = place

    def found(self) -> int:
        """Return the candidate that is answered."""
        chosen = self._median()
        if self._doubtful:
            places = [place for place, _ in self._doubtful]
            least, greatest = min(places), max(places)
            chosen = max(chosen, min(least, self.last))
            chosen = min(chosen, max(greatest + 1, self.first))
        return chosen

    def _median(self) -> int:
        """Return the least candidate with half of the weight of what is left at it or below."""
        inside = sorted((place, odds) for place, odds in self._doubtful if self.first <= place < self.last)
        edges = [self.first, *(place + 1 for place, _ in inside), self.last + 1]
        weights = [1.0]
        for _, odds in inside:
            weights.append(weights[-1] * odds)
        parts = [(start, end - start, weight) for (start, end), weight in zip(pairwise(edges), weights, strict=True)]
        left = sum(length * weight for _, length, weight in parts) / 2
        for start, length, weight in parts:
            if length and left <= length * weight:
                return start + min(length, max(1, math.ceil(left / weight))) - 1
            left -= length * weight
        return self.last


def bisected(
    quantile: PureQuantileBound,
    weights: Int64s,
    scale: float,
    read: Callable[[Sequence[int]], Sequence[int]],
) -> tuple[int, ...]:
    """Return for each cell the place of the candidate that is found.

    Args:
        weights: in each cell and bin; shape (cells, bins).
        scale: of the noise that `read` adds.
        read: noises exact readings, each of another cell; used once a round.
    """
    upto = np.cumsum(weights, axis=1)
    cells = [Search(quantile.candidates, scale) for _ in weights]
    for _ in range(quantile.rounds):
        asked = [(number, cell.place()) for number, cell in enumerate(cells) if not cell.settled]
        if not asked:
            break
        readings = read([balance(quantile, upto[number], place) for number, place in asked])
        for (number, place), reading in zip(asked, readings, strict=True):
            cells[number].learn(place, reading)
    return tuple(cell.found() for cell in cells)


def balance(quantile: PureQuantileBound, upto: Int64s, place: int) -> int:
    """Return G at a candidate.

    Args:
        upto: the weight of a cell's bins, each with those before it.
    """
    below, above = quantile.below, quantile.above
    after = min(2 * place + 1, len(upto) - 1)
    return (below + above) * (int(upto[2 * place]) + int(upto[after])) - 2 * below * int(upto[-1])
