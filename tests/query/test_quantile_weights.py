"""The pass that lays down a quantile's weights: a person is cut in exact arithmetic, whatever a float says."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pytest
from slow_vector import planned, stream

from cleanroom.query.backend import PersonRows
from cleanroom.query.clipping import halves
from cleanroom.query.contribution import contributions
from cleanroom.query.quantiles import _add_weights, no_weights, scores
from cleanroom.query.statistics import NumberKey, Quantile

if TYPE_CHECKING:
    import numpy.typing as npt

UNIT = 5 << 18


def laid(
    cells: list[list[int]],
    *,
    units: list[int] | None = None,
    unit: int = UNIT,
    norm: float,
    square: int,
    count: int = 25,
    bins: list[int] | None = None,
    absent: tuple[int, ...] = (),
    max_rows: int = 1,
    pure: bool = False,
) -> npt.NDArray[np.int64]:
    """Run the pass over rows of one person, or of `units`; two bins."""
    rows = len(cells[0])
    present = np.ones(rows, dtype=np.bool_)
    present[list(absent)] = False
    weights = np.zeros((count, 2), dtype=np.int64)
    _add_weights(
        PersonRows.of_rows(np.array(units or [0] * rows, dtype=np.int64), {}).starts,
        np.array(cells, dtype=np.int64),
        np.array(bins or [0] * rows, dtype=np.int64),
        present,
        max_rows,
        unit,
        norm,
        *halves(square),
        weights,
        pure,
    )
    return weights


EVERY = [list(range(25))]


def test_a_norm_exactly_met_is_kept_and_one_less_takes_a_step_of_each() -> None:
    """25 cells of 5·2^18 are 25·2^18 long; four fifths of that are 2^20 in each cell, to the unit."""
    whole = 25 << 18
    kept = laid(EVERY, norm=float(whole), square=whole**2)
    assert set(kept[:, 0].tolist()) == {UNIT}
    # Not met by one: though the float's factor is 1 to its last bit, the weights shrink.
    assert set(laid(EVERY, norm=float(whole), square=whole**2 - 1)[:, 0].tolist()) == {UNIT - 1}
    fifths = 20 << 18
    assert set(laid(EVERY, norm=float(fifths), square=fifths**2)[:, 0].tolist()) == {1 << 20}
    assert set(laid(EVERY, norm=float(fifths), square=fifths**2 - 1)[:, 0].tolist()) == {(1 << 20) - 1}


def test_an_l1_norm_exactly_met_is_kept_and_one_less_takes_a_step_of_each() -> None:
    """25 cells of 5·2^18 add up to 125·2^18; four fifths of that are 2^20 in each cell, to the unit. L2 has no say."""
    for norm, each in (
        (125 << 18, UNIT),
        ((125 << 18) - 1, UNIT - 1),
        (100 << 18, 1 << 20),
        ((100 << 18) - 1, (1 << 20) - 1),
    ):
        assert set(laid(EVERY, norm=float(norm), square=0, pure=True)[:, 0].tolist()) == {each}
    several = laid([[0, 0, 1]], unit=90, norm=90.0, square=0, pure=True, max_rows=9)
    assert several[:2, 0].tolist() == [60, 30]


def test_weights_that_a_float_rounds_up_are_shortened_again() -> None:
    """A fifth of the norm lies between two floats, and the upper one is taken: five of these are too many."""
    unit, norm = 2**54 + 400, 5 * 2**54 + 16
    assert 5 * int(float(unit) * (float(norm) / (5 * unit))) > norm
    (weight,) = set(laid([list(range(5))], unit=unit, norm=float(norm), square=0, pure=True)[:5, 0].tolist())
    assert norm * (1 - 2**-39) <= 5 * weight <= norm


def test_an_l1_norm_that_nothing_meets_leaves_nothing() -> None:
    """The last resort."""
    assert not laid(EVERY, norm=-1.0, square=0, pure=True).any()


def test_squares_beyond_64_bits_are_compared_whole() -> None:
    """The same with weights whose squares fill the upper half too, and with the halves the other way around."""
    for shift in (14, 16, 20):
        unit, fifths = UNIT << shift, 20 << 18 + shift
        exact = laid(EVERY, unit=unit, norm=float(fifths), square=fifths**2)
        assert set(exact[:, 0].tolist()) == {1 << 20 + shift}
        less = laid(EVERY, unit=unit, norm=float(fifths), square=fifths**2 - 1)[:, 0].tolist()
        assert sum(each**2 for each in less) < fifths**2
        assert min(less) >= (1 << 20 + shift) * (1 - 2**-36) - 1
        plenty = laid(EVERY, unit=unit, norm=float(10 * fifths), square=(10 * fifths) ** 2)
        assert set(plenty[:, 0].tolist()) == {unit}


def test_squares_are_told_apart_by_their_upper_halves() -> None:
    one, norm = [[3]], math.sqrt(5) * 2**32
    assert laid(one, unit=(1 << 33) + 1, norm=norm, square=5 << 64)[3, 0] == (1 << 33) + 1
    assert laid(one, unit=1 << 34, norm=norm, square=5 << 64)[3, 0] == int(norm)


@pytest.mark.parametrize("square", [0, 4, 3 * 2**64 + 5])
def test_a_float_that_does_not_shorten_leaves_nothing(square: int) -> None:
    """The last resort: a factor above one for ever."""
    assert not laid(EVERY, unit=1 << 45, norm=float(1 << 60), square=square).any()


def test_each_person_is_cut_alone_and_nothing_is_carried_over() -> None:
    """Three persons: two of one row, between them one of many rows in two cells."""
    units = [0] + [4] * 6 + [9]
    cells = [[0, 0, 0, 1, 1, 0, 1, 1], [-1, 2, 2, 2, 2, 2, 2, 25]]
    bins = [0, 1, 0, 1, 0, 0, 1, 1]
    unit = 60
    weights = laid(cells, units=units, unit=unit, norm=1e9, square=10**18, bins=bins, max_rows=2)
    middle = {0: unit * 2 // 3, 1: unit * 2 // 3, 2: unit * 2 // 6}
    assert weights[0].tolist() == [unit + 2 * middle[0], middle[0]]
    assert weights[1].tolist() == [middle[1], 2 * middle[1] + unit]
    assert weights[2].tolist() == [3 * middle[2], 3 * middle[2]]
    assert not weights[3:].any()


def test_rows_without_a_value_weigh_nothing_and_count_for_nothing() -> None:
    weights = laid([[0, 0, 0, 1]], norm=1e9, square=10**18, absent=(1, 2, 3), bins=[1, 0, 0, 0])
    assert weights[0].tolist() == [0, UNIT]
    assert not weights[1:].any()


def test_more_cells_than_there_is_room_for_at_first() -> None:
    for count in (64, 65, 129, 200):
        every = [list(range(count))]
        norm = UNIT * count
        weights = laid(every, norm=float(norm), square=norm**2, count=count)
        assert set(weights[:, 0].tolist()) == {UNIT}
        half = laid(every, norm=UNIT / 2, square=(UNIT // 2) ** 2, count=count)
        assert 0 < sum(int(each) ** 2 for each in half[:, 0]) <= (UNIT // 2) ** 2
        # Two persons, so that room made for one serves the next.
        both = laid([every[0] * 2], units=[0] * count + [1] * count, norm=float(norm), square=norm**2, count=count)
        assert set(both[:, 0].tolist()) == {2 * UNIT}


@pytest.mark.parametrize(
    ("lower", "upper"), [(-700, 50_001), (-4, 9), (5, 5), (-9, -9), (-50_000, -1), (-3_000_017, 900_001), (7, 1 << 44)]
)
def test_every_value_has_the_bin_of_its_candidate_or_gap(lower: int, upper: int) -> None:
    """By looking each value up in the list of candidates, which ends with the upper bound at a step of any width."""
    asked = Quantile(0, lower, upper, Fraction(1), Fraction(1, 2), discrete=True)
    (quantile,) = planned((), (asked,), 1, 1).bounds.quantiles
    listed = [quantile.grid.candidate(place) for place in range(quantile.candidates)]
    assert listed == sorted(set(listed))
    assert (listed[0], listed[-1]) == (lower, upper)
    spread = range(lower, upper + 1, max(37, (upper - lower) // 50_000))
    values = sorted({*spread, *listed, *(each + 1 for each in listed), lower - 5, upper + 5})
    inside = [min(max(value, lower), upper) for value in values]
    wanted = [bisect_left(listed, value) + bisect_right(listed, value) - 1 for value in inside]
    assert quantile.grid.bins(np.array(values, dtype=np.int64)).tolist() == wanted
    nobody = no_weights(quantile, 3)
    assert nobody.shape == (3, 2 * len(listed) - 1)
    assert not nobody.any()
    assert [len(each) for each in scores(quantile, nobody)] == [len(listed)] * 3


@pytest.mark.parametrize("fraction", [Fraction(0), Fraction(1, 4), Fraction(1, 2), Fraction(1), Fraction(1, 1000)])
def test_a_score_weighs_what_lies_below_against_what_lies_above(fraction: Fraction) -> None:
    """S36, in Python's integers: also where 63 bits do not hold the products, and where scores are cut at 2^62."""
    bound = planned((), (Quantile(0, -3, 6, Fraction(1), fraction, discrete=True),), 1, 1).bounds.quantiles[0]
    bins = 2 * bound.candidates - 1
    for times in (1, 1 << 20, 1 << 46, 1 << 51):
        cells = [[(at * at + place) % 7 * times for at in range(bins)] for place in range(3)]
        expected = [
            [
                -min(
                    1 << 62,
                    max(
                        0,
                        bound.above * sum(cell[: 2 * at]) - bound.below * sum(cell[2 * at :]),
                        bound.below * sum(cell[2 * at + 1 :]) - bound.above * sum(cell[: 2 * at + 1]),
                    ),
                )
                for at in range(bound.candidates)
            ]
            for cell in cells
        ]
        assert list(scores(bound, np.array(cells, dtype=np.int64))) == expected


def test_weights_of_a_release_are_as_long_as_its_norm_at_most() -> None:
    plan = planned(
        (NumberKey(0, 0, 8, Fraction(1), nullable=False),),
        (Quantile(1, 0, 3, Fraction(1), Fraction(1, 2), discrete=True),),
        1,
        2,
    )
    (bound,) = plan.bounds.quantiles
    (weights,) = contributions(plan, stream([[(cell, 1) for cell in range(9)]], 2)).weights
    square = sum(int(weight) ** 2 for weight in weights.ravel())
    assert bound.norm**2 * 0.999 < square <= bound.norm**2


def test_room_for_one_person_s_weights_serves_the_next() -> None:
    """Sixty persons, one after another: room that grew for each would be all that there is."""
    weights = laid([[0] * 60], units=list(range(60)), norm=float(UNIT), square=UNIT**2)
    assert weights[0, 0] == 60 * UNIT
