"""How far the rank of a released quantile is off, 19 times out of 20: what is said holds, and half of it would not."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from searches import LIMITS
from slow_vector import planned

from cleanroom.accounting.accountant import charges_of
from cleanroom.identifiers import TableName
from cleanroom.query.candidates import Grid
from cleanroom.query.contribution import ExactVector
from cleanroom.query.drawing import draw
from cleanroom.query.mechanisms import Noise, draws
from cleanroom.query.quantiles import no_weights, scores
from cleanroom.query.ranks import rank_margin95, rank_margins, rank_notes
from cleanroom.query.statistics import CategoryKey, CountRows, KeyOutput, Quantile, StatisticOutput

if TYPE_CHECKING:
    from cleanroom.query.bound import QuantileBound
    from cleanroom.query.plan import Plan

FALSE_ALARM = 1e-9
ONE = Fraction(1)
TNM = TableName.parse("tnm.visits")
LAST = 200
CELLS = 400
ROUNDS = 10


def quantile(fraction: Fraction, upper: int = LAST) -> Quantile:
    return Quantile(1, 0, upper, ONE, fraction, discrete=False)


def plan_of(*statistics: Quantile | CountRows, cells: int = CELLS, rows: int = 4) -> Plan:
    """Return a plan over cells of one key, that reads one table."""
    keys = (CategoryKey(0, tuple(f"k{place}" for place in range(cells)), nullable=False),)
    return planned(keys, statistics, rows, 1)


def missed(bound: QuantileBound, cell: np.ndarray, place: int) -> int:
    """Return by how much weight too much lies below a candidate or above it, times b; by adding it up."""
    a, b = bound.below, bound.below + bound.above
    whole, under, over = int(cell.sum()), int(cell[: 2 * place].sum()), int(cell[2 * place + 1 :].sum())
    return max(0, b * under - a * whole, b * over - (b - a) * whole)


def beyond(fraction: Fraction, allowed: int, scale: float) -> float:
    """Return how often a released value is further off than `allowed` rows, where the data are worst for that.

    All of a cell's weight lies at its last value, so much that every other one is just further off.
    """
    plan = plan_of(quantile(fraction))
    (bound,) = plan.bounds.quantiles
    weights = no_weights(bound, CELLS)
    weights[:, -1] = allowed * (bound.below + bound.above) * bound.weight // bound.below + 1
    noise = Noise(None, (scale * bound.weight,))
    room, _ = charges_of(draws(plan.bounds, noise), {TNM})
    found = 0
    for _ in range(ROUNDS):
        (chosen,) = draw(plan, noise, ExactVector((), (weights,)), None, room).chosen
        far = [missed(bound, weights[cell], place) for cell, place in enumerate(chosen)]
        found += sum(each > allowed * (bound.below + bound.above) * bound.weight for each in far)
    return found / (ROUNDS * CELLS)


def check_coverage(tenths: int) -> None:
    """Draw from the worst data for the margin, and for half of it: beyond the one lies at most 5 %, not so the other.

    A frequency strays by as much as allowed for once in 10⁹ (Hoeffding).
    """
    fraction, scale = Fraction(tenths, 10), 40.0
    (bound,) = plan_of(quantile(fraction)).bounds.quantiles
    margin = rank_margin95(bound, scale * bound.weight)
    stray = math.sqrt(math.log(1 / FALSE_ALARM) / (2 * ROUNDS * CELLS))
    assert beyond(fraction, margin, scale) <= 0.05 + stray
    assert beyond(fraction, margin // 2, scale) > 0.05 + stray


@pytest.mark.parametrize("tenths", [3, 5, 9])
def test_a_rank_is_within_its_margin_in_nineteen_of_twenty_and_half_is_too_small(tenths: int) -> None:
    check_coverage(tenths)


@settings(LIMITS, max_examples=60)
@given(st.lists(st.integers(0, 9), min_size=4, max_size=12), st.fractions(0, 1, max_denominator=20), st.integers(0, 5))
def test_a_score_is_the_rows_too_many_and_some_value_of_a_whole_grid_has_none(
    weights: list[int], fraction: Fraction, gap: int
) -> None:
    (bound,) = plan_of(quantile(fraction, len(weights) - 1), cells=1).bounds.quantiles
    assert (bound.grid.step, bound.grid.bits, bound.candidates) == (1, 0, len(weights))
    laid = no_weights(bound, 1)
    laid[0, 0::2] = weights
    (found,) = scores(bound, laid)
    assert found == [-missed(bound, laid[0], place) for place in range(len(weights))]
    assert max(found) == 0
    # With weight between two candidates it is still the score, but the best may have some too.
    laid[0, 1] = gap
    (found,) = scores(bound, laid)
    assert found == [-missed(bound, laid[0], place) for place in range(len(weights))]


def test_the_margin_is_in_rows_and_rounded_up() -> None:
    (bound,) = plan_of(quantile(Fraction(3, 4))).bounds.quantiles
    assert (bound.below, bound.above, bound.candidates) == (3, 1, 201)
    unit = 4 * bound.weight / math.log(20 * 200)
    assert [rank_margin95(bound, unit * rows) for rows in (0.5, 0.999, 7.3, 8.0001)] == [1, 1, 8, 9]
    single = replace(bound, grid=Grid(5, 5, 1))
    assert single.candidates == 1
    assert rank_margin95(single, 1e9) == 0


def test_each_quantile_of_an_answer_has_its_margin_in_both_languages() -> None:
    plan = plan_of(quantile(Fraction(1, 2)), CountRows(), quantile(Fraction(1, 10)), cells=2, rows=7)
    noise = Noise(50.0, (3e7, 6e7))
    first, none, third = rank_margins(plan, noise)
    assert none is None
    median, decile = plan.bounds.quantiles
    assert (first, third) == (rank_margin95(median, 3e7), rank_margin95(decile, 6e7))
    one, other = rank_notes(plan, noise)
    for note, label, rows in ((one, "v0", first), (other, "v2", third)):
        assert f"“{label}”: 19 times out of 20, for each cell, at most {rows} rows too many" in note.en
        assert f"« {label} » : 19 fois sur 20, pour chaque case, au plus {rows} lignes de trop" in note.fr
        assert "more than 7" in note.en
        assert "plus de 7" in note.fr
        assert "nearer" not in note.en
    assert rank_notes(plan_of(CountRows(), cells=2), Noise(50.0)) == ()
    # Keys have no rank; where something is said over a release, its columns have no labels.
    bare = replace(plan, outputs=(KeyOutput("k", 0), StatisticOutput("", 2), StatisticOutput("", 1)))
    assert rank_margins(bare, noise) == (third, None)
    (note,) = rank_notes(bare, noise)
    assert note.en.startswith(f"quantile 1/10: 19 times out of 20, for each cell, at most {third} rows")
    assert note.fr.startswith(f"quantile 1/10 : 19 fois sur 20, pour chaque case, au plus {third} lignes")


@pytest.mark.parametrize("upper", [10_000_000, 200_000])
def test_where_values_are_left_out_the_best_of_them_is_what_it_is_compared_with(upper: int) -> None:
    plan = plan_of(quantile(Fraction(1, 2), upper), cells=2)
    (bound,) = plan.bounds.quantiles
    assert bound.grid.bits or bound.grid.step > 1
    (note,) = rank_notes(plan, Noise(None, (3e7,)))
    rows = rank_margin95(bound, 3e7)
    assert f"none of the values that it is chosen from is nearer to the rank by more than {rows} rows" in note.en
    assert f"aucune des valeurs proposées au choix n'est de plus de {rows} lignes plus proche" in note.fr
