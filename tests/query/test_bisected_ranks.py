"""Quantiles of pure releases (S11): what is found, by which readings, and how far off its rank may be."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pure_plans import priced
from pure_quantiles import FALSE_ALARM, ONE, PURE, bound_of, exactly, quantile, readings, score
from rooms import TNM, admit, catalog_of
from searches import LIMITS
from slow_vector import planned

from cleanroom.accounting.accountant import charges_of
from cleanroom.query.bisecting import DOUBT, Search, balance, bisected
from cleanroom.query.bound import PureQuantileBound
from cleanroom.query.candidates import Grid
from cleanroom.query.contribution import ExactVector
from cleanroom.query.drawing import draw
from cleanroom.query.mechanisms import Noise, draws
from cleanroom.query.method import mechanism_notes
from cleanroom.query.noise import laplace_margin95
from cleanroom.query.precision import Epsilon
from cleanroom.query.quantiles import no_weights
from cleanroom.query.ranks import rank_margin95, rank_notes
from cleanroom.query.statistics import NumberKey

if TYPE_CHECKING:
    from collections.abc import Sequence


def check_best(gaps: Sequence[int], weights: Sequence[int], fraction: Fraction) -> None:
    """Without noise the candidate that is found has the best score, wherever weight lies, gaps included."""
    bound = bound_of(quantile(fraction, len(weights) - 1))
    cell = [0] * (2 * len(weights) - 1)
    cell[0::2] = weights
    cell[1::2] = gaps[: len(weights) - 1]
    (found,) = bisected(bound, np.array([cell], dtype=np.int64), 1e-3, exactly)
    best = min(score(bound, cell, place) for place in range(len(weights)))
    # A reading of 0 is in doubt: then both sides of it are as good.
    assert score(bound, cell, found) == best


@given(
    st.lists(st.integers(0, 9), min_size=12, max_size=12),
    st.lists(st.integers(0, 9), min_size=1, max_size=12),
    st.fractions(0, 1, max_denominator=20),
)
@settings(LIMITS, max_examples=300)
def test_without_noise_the_best_candidate_is_found(gaps: list[int], weights: list[int], fraction: Fraction) -> None:
    check_best(gaps, weights, fraction)


def test_weight_between_two_candidates_is_on_the_side_of_the_nearer_rank() -> None:
    """Half of a gap counts for each side: what lies at the two candidates decides, however much lies between."""
    bound = bound_of(quantile(upper=1))
    for gap in (0, 1, 1_000):
        for last, wanted in ((9, 0), (11, 1)):
            cell = np.array([[10, gap, last]], dtype=np.int64)
            assert bisected(bound, cell, 1e-3, exactly) == (wanted,)


def check_rank(rng: Random) -> None:
    """Whatever noise does within its margin, the rank that is found is within what is promised (claim 2)."""
    size = rng.choice((2, 3, 7, 64, 300))
    bound = bound_of(quantile(rng.choice(("1/2", "1/10", "1")), size - 1))
    scale = rng.choice((3.0, 50.0, 1000.0))
    margin = int(laplace_margin95(scale, bound.rounds))
    gaps = rng.random() < 0.5
    cell = [0] * (2 * size - 1)
    for _ in range(rng.choice((1, 2, 20))):
        place = rng.randrange(2 * size - 1) if gaps else 2 * rng.randrange(size)
        cell[place] += rng.choice((1, margin // 4 + 1, margin // 2, margin - 1, 2 * margin, 40 * margin))
    how = rng.choice(("down", "up", "any", "contrary"))

    def noise(value: int) -> int:
        match how:
            case "down":
                return -margin
            case "up":
                return margin
            case "any":
                return rng.randint(-margin, margin)
        return margin if value < 0 else -margin

    (found,) = bisected(bound, np.array([cell], dtype=np.int64), scale, lambda each: [v + noise(v) for v in each])
    least = min(score(bound, cell, place) for place in range(size))
    beyond = Fraction(margin) + DOUBT * Fraction(scale)
    assert score(bound, cell, found) <= (least + beyond if gaps else beyond / 2)


@given(st.integers(0, 2**32))
@settings(LIMITS, max_examples=400)
def test_a_rank_is_within_what_noise_within_its_margin_can_do(seed: int) -> None:
    check_rank(Random(seed))


def check_contrary_noise() -> None:
    """Noise at its margin, always the same way, puts a rank nearly as far off as is promised, and no further."""
    bound = bound_of(quantile(upper=4095))
    scale = 20.0 * bound.weight
    margin = int(laplace_margin95(scale, bound.rounds))
    # All weight at the first candidate, where G is it twice; noise takes it to just below nought.
    cell = np.zeros((1, 2 * bound.candidates - 1), dtype=np.int64)
    cell[0, 0] = (margin - 1) // 2
    (found,) = bisected(bound, cell, scale, lambda each: [value - margin for value in each])
    off = score(bound, cell[0].tolist(), found)
    rows = rank_margin95(bound, scale)
    unit = (bound.below + bound.above) * bound.weight
    assert found > 0
    assert 0.7 * rows * unit < off <= rows * unit


def test_the_promised_rank_is_nearly_met() -> None:
    check_contrary_noise()


def test_a_margin_of_many_draws_holds_for_all_of_them() -> None:
    for scale in (0.4, 3.0, 1e5):
        one = math.exp(-1 / scale)
        for many in (1, 7, 17):
            least = int(laplace_margin95(scale, many))
            stray = [many * 2 * one ** (each + 1) / (1 + one) for each in (least, least - 1)]
            assert stray[0] <= 0.05
            assert least == 0 or stray[1] > 0.05 * (1 - 1e-9)


def test_a_released_rank_is_within_its_margin_in_nineteen_of_twenty() -> None:
    """Drawn as it is released, from data that are hard: all weight at one end, as much as half of the margin."""
    cells, rounds = 400, 10
    a_plan = planned((NumberKey(1, 0, cells - 1, ONE, nullable=False),), (quantile(upper=200),), 4, 1, pure=True)
    (bound,) = a_plan.bounds.quantiles
    assert isinstance(bound, PureQuantileBound)
    scale = float(bound.reading)
    rows = rank_margin95(bound, scale)
    charge = charges_of(draws(a_plan.bounds, Noise(None, (scale,))), PURE, PURE)[0]
    for part, fewest, most in ((1.1, 0.0, 0.05), (0.1, 0.05, 1.0)):
        unit = (bound.below + bound.above) * bound.weight
        weights = no_weights(bound, cells)
        weights[:, -1] = int(part * rows * unit) // bound.below
        beyond = 0
        for _ in range(rounds):
            (chosen,) = draw(a_plan, Noise(None, (scale,)), ExactVector((), (weights,)), None, charge).chosen
            last = bound.candidates - 1
            beyond += sum(each < last for each in chosen)
        share, stray = beyond / (cells * rounds), math.sqrt(math.log(1 / FALSE_ALARM) / (2 * cells * rounds))
        assert fewest - stray <= share <= most + stray


def test_each_open_cell_is_read_once_a_round_and_no_other_place_is_asked() -> None:
    bound = bound_of(quantile(upper=999), cells=5)
    rng = np.random.default_rng(3)
    weights = rng.integers(0, 50, (5, 2 * bound.candidates - 1))
    weights[2] = 0
    weights[2, 0] = 10**6
    seen: list[list[int]] = []

    def read(values: Sequence[int]) -> Sequence[int]:
        seen.append(list(values))
        return values

    found = bisected(bound, weights, 1e-3, read)
    assert len(seen) <= bound.rounds == 10
    assert all(len(each) <= 5 for each in seen)
    assert all(set(each) <= {v for cell in weights.tolist() for v in readings(bound, cell)} for each in seen)
    assert found[2] == 0
    upto = np.cumsum(weights, axis=1)
    for cell in range(5):
        assert [balance(bound, upto[cell], place) for place in range(1000)] == readings(bound, weights[cell].tolist())


def test_one_candidate_is_not_read() -> None:
    bound = bound_of(quantile(upper=0))
    assert (bound.candidates, bound.rounds) == (1, 1)
    assert bisected(bound, np.array([[5], [0]], dtype=np.int64), 1.0, pytest.fail) == (0, 0)
    assert rank_margin95(bound, 1e9) == 0


def test_halving_where_nothing_is_in_doubt_and_the_median_of_weights_where_something_is() -> None:
    search = Search(1_000, 10.0)
    assert search.place() == 499
    search.learn(499, -1_000)
    assert (search.first, search.last, search.place()) == (500, 999, 749)
    # Seven tenths of a scale below: beyond the place it is three times as likely.
    search.learn(749, -7)
    tail = math.exp(-0.7) / 2
    odds = (1 - tail) / tail
    assert search.place() == 749 + math.ceil((250 + 250 * odds) / 2 / odds - 250 / odds)
    search.learn(search.place(), 21)
    assert search.last == search.first + 250 + math.ceil((250 + 250 * odds) / 2 / odds - 250 / odds) - 1
    search.learn(search.first, 20)
    assert not search.settled
    assert search.first <= search.found() <= search.last


def check_median(rng: Random) -> None:
    """The next place halves the weight of what is left, by weights laid down candidate by candidate."""
    size, scale = rng.choice((2, 3, 5, 9, 200)), 10.0
    search = Search(size, scale)
    weights = [1.0] * size
    for _ in range(rng.randrange(9)):
        if search.settled:
            return
        place = rng.choice((search.place(), rng.randrange(search.first, search.last)))
        reading = rng.choice((-900, -21, -20, -13, -1, 0, 1, 6, 20, 21, 900))
        search.learn(place, reading)
        # How likely the noise alone is to make such a reading of something above 0, and of something below.
        above = math.exp(-abs(reading) / scale) / 2 if reading < 0 else 1 - math.exp(-reading / scale) / 2
        if abs(reading) > 20:
            above = float(reading > 0)
        weights = [each * (above if at <= place else 1 - above) for at, each in enumerate(weights)]
    assert [at for at in (0, size - 1) if weights[at] > 0 and not search.first <= at <= search.last] == []
    assert (search.first, search.last) == (
        min(at for at in range(size) if weights[at] > 0),
        max(at for at in range(size) if weights[at] > 0),
    )
    half = sum(weights) / 2
    asked = search._median()
    assert sum(weights[: asked + 1]) >= half * (1 - 1e-12)
    assert sum(weights[:asked]) < half * (1 + 1e-12)
    if not search.settled:
        assert search.place() == min(asked, search.last - 1)


@given(st.integers(0, 2**32))
@settings(LIMITS, max_examples=600)
def test_the_next_place_halves_the_weight_of_what_is_left(seed: int) -> None:
    check_median(Random(seed))


def test_the_last_candidate_is_never_read_and_an_even_weight_is_halved_at_the_lower_place() -> None:
    search = Search(4, 10.0)
    search.learn(1, 0)
    assert search.place() == 1
    for place in (0, 1, 2, 2):
        search.learn(place, -20)
    assert search._median() == search.found() == search.last == 3
    assert search.place() == 2


def test_an_answer_is_between_the_outermost_places_in_doubt() -> None:
    search = Search(1_000_000, 10.0)
    for place in (500, 20, 100):
        search.learn(place, 0)
    assert search.found() == 501
    other = Search(1_000_000, 10.0)
    for place in (999_000, 999_900, 999_500):
        other.learn(place, 1)
    assert other.found() == 999_000


def test_an_answer_is_not_outside_the_places_in_doubt() -> None:
    """Of much that is left on one side: what no reading says anything of is not answered."""
    search = Search(1_000_000, 10.0)
    search.learn(10, -19)
    assert search.found() == 11
    other = Search(1_000_000, 10.0)
    other.learn(999_900, 19)
    assert other.found() == 999_900


def test_ties_are_told_apart_by_readings_alone() -> None:
    """The same readings give the same answer."""
    bound = bound_of(quantile(upper=99))
    cell = np.ones((1, 2 * bound.candidates - 1), dtype=np.int64)
    assert len(Counter(bisected(bound, cell, 50.0, exactly) for _ in range(5))) == 1


def test_method_and_rank_are_said_in_both_languages() -> None:
    made = {TNM: catalog_of(TNM)}
    a_plan = admit("SELECT MEDIAN(seats) AS q FROM tnm.visits", None, made, pure=True)
    (noise,) = priced((a_plan,), Epsilon(Decimal(1)), {TNM}).noises
    (bound,) = a_plan.bounds.quantiles
    assert isinstance(bound, PureQuantileBound)
    words = mechanism_notes(a_plan, noise)
    (method,) = [each for each in words if "readings" in each.en]
    assert f"quantile 1/2: {bound.rounds} readings a cell, discrete Laplace noise" in method.en
    assert f"quantile 1/2 : {bound.rounds} lectures par case, bruit de Laplace discret" in method.fr
    assert f"L1 norm {bound.norm}" in method.en
    assert f"norme L1 {bound.norm}" in method.fr
    assert "noisy max" not in "".join(each.en for each in words)
    (rank,) = rank_notes(a_plan, noise)
    assert f"at most {rank_margin95(bound, noise.quantiles[0])} rows too many" in rank.en


def test_a_rank_s_margin_is_in_rows_and_twice_as_wide_where_values_are_left_out() -> None:
    bound = bound_of(quantile("3/4", 200))
    scale = 7.0 * bound.weight
    beyond = (laplace_margin95(scale, 8) + 2 * scale) / (4 * bound.weight)
    assert bound.rounds == 8
    assert rank_margin95(bound, scale) == math.ceil(beyond / 2)
    sparse = replace(bound, grid=Grid(0, 400, 2))
    assert sparse.candidates == bound.candidates
    assert rank_margin95(sparse, scale) == math.ceil(beyond)
