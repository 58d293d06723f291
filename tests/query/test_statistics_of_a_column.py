"""Quantiles, variances, deviations and counts of one column are the textbook's, within what is said of them."""

from __future__ import annotations

import math
import statistics as textbook
from fractions import Fraction
from random import Random

import numpy as np
import pytest
from slow_vector import best, planned, stream
from test_statistics import FRACTIONS, ONE

from cleanroom.query.backend import PersonRows
from cleanroom.query.contribution import contributions
from cleanroom.query.plan import Plan
from cleanroom.query.quantiles import LARGEST_SCORE, scores
from cleanroom.query.release import NoisedRelease
from cleanroom.query.statistics import (
    CountPersons,
    CountRows,
    Mean,
    Quantile,
    Variance,
)

# The numbers themselves


@pytest.mark.parametrize("seed", range(12))
def test_an_exact_quantile_is_the_textbook_s_within_a_step(seed: int) -> None:
    rng = Random(seed)
    low, high = rng.choice(((0, 12), (0, 50_000), (-700, 700)))
    values = sorted(min(max(int(rng.gauss((low + high) / 2, (high - low) / 6)), low), high) for _ in range(801))
    for fraction in FRACTIONS[:3]:
        a_plan = planned((), (Quantile(0, low, high, ONE, fraction, discrete=False),), 1, 1)
        quantile = a_plan.bounds.quantiles[0]
        weights = contributions(a_plan, stream([[(value,)] for value in rng.sample(values, len(values))], 1)).weights[
            0
        ][0]
        for discrete, method in ((False, "linear"), (True, "inverted_cdf")):
            found = quantile.grid.candidate(best(quantile, weights, discrete=discrete))
            wanted = float(np.quantile(values, float(fraction), method=method))
            # Every step is a candidate; of an even number of rows the middle two have the answer between them.
            assert abs(found - wanted) <= 1


def test_scores_beyond_62_bits_are_clamped() -> None:
    """Nine times 2^61 fits no 64-bit integer: it is not left to wrap around, which would move scores at will."""
    quantile = planned((), (Quantile(0, 0, 2, ONE, Fraction(1, 10), discrete=True),), 1, 1).bounds.quantiles[0]
    heavy = np.array([[2**61, 0, 0, 0, 2**61], [5, 0, 0, 0, 3]], dtype=np.int64)
    assert list(scores(quantile, heavy)) == [[0, -(2**62), -(2**62)], [0, -42, -42]]
    assert list(scores(quantile, np.array([[2**60, 0, 0, 0, 2**60]], dtype=np.int64))) == [[0, -(2**62), -(2**62)]]
    upper = planned((), (Quantile(0, 0, 2, ONE, Fraction(9, 10), discrete=True),), 1, 1).bounds.quantiles[0]
    last = np.array([[0, 0, 0, 0, 2**61]], dtype=np.int64)
    assert list(scores(upper, last)) == [[-(2**62), -(2**62), 0]]
    even = planned((), (Quantile(0, 0, 2, ONE, Fraction(1, 2), discrete=True),), 1, 1).bounds.quantiles[0]
    assert list(scores(even, heavy[:1])) == [[0, 0, 0]]
    assert list(scores(even, np.array([[2**61 - 1, 0, 5, 0, 2**61 + 2]], dtype=np.int64))) == [[-8, 0, -2]]
    assert LARGEST_SCORE == 2**62


def value_of(a_plan: Plan, rows: PersonRows) -> list[float | None]:
    exact = contributions(a_plan, rows)
    chosen = tuple(
        tuple(best(quantile, cell, discrete=False) for cell in weights)
        for quantile, weights in zip(a_plan.bounds.quantiles, exact.weights, strict=True)
    )
    (cell,) = NoisedRelease(a_plan, 1.0, exact.values, chosen).cells()
    return [value.number for value in cell.values]


@pytest.mark.parametrize("seed", range(8))
def test_variances_and_deviations_are_the_textbook_s(seed: int) -> None:
    rng = Random(seed)
    low, high = rng.choice(((0, 50_000), (-7, 9), (1, 12), (-(2**22), 2**22)))
    values = [rng.randrange(low, high + 1) for _ in range(200)]
    resolution = Fraction(1, 100)
    listed = tuple(
        Variance(0, low, high, resolution, sample=sample, root=root)
        for sample in (False, True)
        for root in (False, True)
    )
    a_plan = planned((), (*listed, Mean(0, low, high, resolution)), 3, 1)
    # Three numbers of each cell serve all five statistics.
    assert len(a_plan.bounds.components) == 3
    rows = stream([[(value,), (None,)] for value in values], 1)
    scaled = [value / 100 for value in values]
    wanted = [
        textbook.pvariance(scaled),
        textbook.pstdev(scaled),
        textbook.variance(scaled),
        textbook.stdev(scaled),
        textbook.fmean(scaled),
    ]
    assert value_of(a_plan, rows) == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("steps", [(0, 0, 0), (1, 10**12, -(10**12)), (-5, -(10**15), 10**15), (3, 0, -(10**30))])
@pytest.mark.parametrize("sample", [True, False])
@pytest.mark.parametrize("root", [True, False])
def test_a_variance_is_finite_and_in_range_whatever_the_noise(steps: tuple[int, ...], sample: bool, root: bool) -> None:
    a_plan = planned((), (Variance(0, -50, 70, ONE, sample=sample, root=root),), 3, 1)
    (cell,) = NoisedRelease(a_plan, 1e6, steps).cells()
    (value,) = cell.values
    assert value.number is not None
    assert value.margin95 is not None
    most = 120**2 / 4 * (2 if sample else 1)
    assert 0 <= value.number <= (math.sqrt(most) if root else most)
    assert 0 <= value.margin95 <= (math.sqrt(most) if root else most)


@pytest.mark.parametrize(("sample", "root"), [(False, False), (True, True)])
def test_a_variance_s_margin_holds_about_nineteen_times_of_twenty(sample: bool, root: bool) -> None:
    """The delta method, at a noise that a release of a few hundred persons has; the margin is neither idle nor wide."""
    rng = np.random.default_rng(7)
    a_plan = planned((), (Variance(0, 0, 100, ONE, sample=sample, root=root),), 1, 1)
    rows = stream([[(int(value),)] for value in rng.integers(0, 101, 3_000)], 1)
    exact = contributions(a_plan, rows).values
    truth = value_of(a_plan, rows)[0]
    scale = a_plan.bounds.norm * 5.0
    hits = narrow = 0
    draws = 4_000
    for noise in rng.normal(0, scale, (draws, 3)).round().astype(np.int64):
        (cell,) = NoisedRelease(a_plan, scale, tuple(int(a + b) for a, b in zip(exact, noise, strict=True))).cells()
        (value,) = cell.values
        assert value.number is not None and value.margin95 is not None and truth is not None  # noqa: PT018
        hits += abs(value.number - truth) <= value.margin95
        narrow += abs(value.number - truth) <= 0.7 * value.margin95
    # Hoeffding: a count of 4 000 draws strays by more than 0.052 with a probability below 1e-9.
    assert abs(hits / draws - 0.95) <= 0.052 + 0.01
    assert narrow / draws < 0.95 - 0.052


def test_counts_of_a_column_leave_out_its_nulls() -> None:
    a_plan = planned((), (CountRows(), CountRows(0), CountPersons(), CountPersons(0)), 5, 1)
    rows = stream([[(1,), (None,), (2,)], [(None,)], [(3,)]], 1)
    assert value_of(a_plan, rows) == [5, 3, 3, 2]
