"""The public values among which a quantile is chosen: all of them where there are few, else a grid that can be told."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from searches import LIMITS
from slow_vector import planned

from cleanroom.query.candidates import Grid, _listed, grid_of
from cleanroom.query.notes import notes
from cleanroom.query.statistics import NumberKey, Quantile

ONE = Fraction(1)


def asked(lower: int, upper: int, cells: int = 1) -> Grid:
    keys = () if cells == 1 else (NumberKey(0, 0, cells - 1, ONE, nullable=False),)
    plan = planned(keys, (Quantile(1, lower, upper, ONE, Fraction(1, 2), discrete=True),), 1, 1)
    return plan.bounds.quantiles[0].grid


def listed(grid: Grid) -> list[int]:
    return [grid.candidate(place) for place in range(grid.size)]


@pytest.mark.parametrize(
    ("lower", "upper", "cells"),
    [(1, 12, 1), (0, 25_000, 1), (-4, -4, 1), (-9, (1 << 17) - 10, 1), (0, 7_709, 17), (-512, 511, 1_024)],
)
def test_every_value_is_a_candidate_where_there_are_few(lower: int, upper: int, cells: int) -> None:
    assert listed(asked(lower, upper, cells)) == list(range(lower, upper + 1))


def test_where_there_are_many_cells_they_lie_evenly() -> None:
    grid = asked(0, 50_000, 1_024)
    assert grid == Grid(0, 50_000, 49)
    assert listed(grid) == [*range(0, 50_000, 49), 50_000]
    assert asked(0, 50_000, 4_096).size <= 256
    assert asked(0, 25_000, 100) == Grid(0, 25_000, 20)
    # So they do where four steps apart is all that it takes.
    assert asked(0, 25_000, 17) == Grid(0, 25_000, 4)
    assert asked(0, 4 * ((1 << 17) - 1)) == Grid(0, 4 * ((1 << 17) - 1), 4)
    assert asked(0, 4 * ((1 << 17) - 1) + 1).bits > 0


def test_amounts_far_below_their_bound_are_met_closely() -> None:
    """Up to a million dollars in cents: 15.26 dollars apart, but each cent to 81.92, and one in 8 192 beyond."""
    grid = asked(0, 100_000_000)
    assert (grid.step, grid.bits) == (1_526, 13)
    values = np.array(listed(grid))
    assert len(values) <= 1 << 17
    assert set(range(8_193)) <= set(values.tolist())
    for amount in (50_00, 163_85, 5_000_00, 20_000_00):
        assert np.abs(values - amount).min() <= amount / (1 << 13)


def test_few_candidates_of_wide_bounds_are_not_all_beyond_the_data() -> None:
    """Keys without a domain have 256: of a million dollars even ones lie 3 921 apart, and tell nothing below."""
    assert grid_of(0, 25_000, 256) == Grid(0, 25_000, 99)
    grid = grid_of(0, 100_000_000, 256)
    assert (grid.step, grid.bits) == (787_402, 3)
    for amount in (50_00, 327_68, 5_000_00):
        assert np.abs(np.array(listed(grid)) - amount).min() <= amount / 8
    assert grid_of(0, 1 << 40, 64).bits == 0


def test_few_significant_bits_are_told_one_by_one() -> None:
    """By the definition: even ones, the last, and those whose distance from zero ends in zeros after the first bits."""

    def few(distance: int, bits: int) -> bool:
        return distance % (1 << max(0, distance.bit_length() - bits)) == 0

    for lower, upper, step, bits in (
        (-700, 5_001, 97, 3),
        (40, 9_000, 400, 5),
        (-9_000, -40, 1_000, 1),
        (0, 4_095, 4_096, 4),
    ):
        zero = min(max(0, lower), upper)
        wanted = {each for each in range(lower, upper + 1) if few(abs(each - zero), bits)}
        assert listed(Grid(lower, upper, step, bits)) == sorted(wanted | {*range(lower, upper, step), upper})
    with pytest.raises(ValueError, match="read-only"):
        _listed(Grid(-700, 5_001, 97, 3))[0] = 0


def test_from_where_on_they_are_closer_near_zero() -> None:
    for most, steps in ((256, 1_024), (2_048, 1_024), (2_049, 4), (1 << 17, 4)):
        assert grid_of(0, steps * (most - 1), most) == Grid(0, steps * (most - 1), steps)
        assert grid_of(0, steps * (most - 1) + 1, most).bits > 0
    for lower in (0, -300_000, -1_000_000):
        for most in (256, 3_000, 12_345):
            upper = 1_000_000
            grid = grid_of(lower, upper, most)
            fits, more = (listed(Grid(lower, upper, 10**7, bits)) for bits in (grid.bits, grid.bits + 1))
            # As many as half of the candidates have room for, zero on either side of it and an upper bound counted in.
            assert len(fits) <= most // 2 + 2
            assert len(more) > most // 2 - 2


def test_half_of_the_candidates_is_room_for_as_many() -> None:
    # The last one, a million, has more than five bits; zero is counted on either side of it.
    fits = len(listed(Grid(0, 1_000_000, 10**7, 5))) - 1
    assert [grid_of(0, 1_000_000, most).bits for most in (2 * fits + 1, 2 * fits + 2)] == [4, 5]


def test_the_answer_says_how_far_apart_they_lie() -> None:
    for upper, said in (
        (25_000, "among 25001 values, 1 apart, over"),
        (10**8, "1526 apart at most, closer near zero, over"),
    ):
        plan = planned((), (Quantile(1, 0, upper, ONE, Fraction(1, 2), discrete=True),), 1, 1)
        assert any(said in note.en for note in notes(plan))


@given(st.integers(-(1 << 44), 1 << 44), st.integers(0, 1 << 45), st.integers(2, 1 << 12))
@settings(LIMITS, max_examples=100)
def test_a_grid_is_ascending_as_large_as_allowed_and_nowhere_too_coarse(lower: int, width: int, most: int) -> None:
    upper = lower + width
    grid = grid_of(lower, upper, most)
    values = listed(grid)
    assert len(values) == grid.size <= most
    assert (values[0], values[-1]) == (lower, upper)
    assert all(one < other for one, other in pairwise(values))
    assert (grid.step == 1) == (width < most)
    zero = min(max(0, lower), upper)
    for one, other in pairwise(values):
        gap, near = other - one, min(abs(one - zero), abs(other - zero))
        assert gap <= grid.step
        if grid.bits:
            # Two neighbours of so many significant bits, on the same side of zero.
            assert gap <= max(1, near >> grid.bits - 1)
    if grid.bits or most >= 256:
        assert (grid.bits > 0) == (width > (4 if most > 2_048 else 1_024) * (most - 1))
    assert grid.step == max(1, -(-width // ((most // 2 if grid.bits else most) - 1)))


@given(
    st.integers(-(1 << 30), 1 << 30),
    st.integers(0, 1 << 31),
    st.integers(2, 1 << 12),
    st.lists(st.integers(), max_size=20),
)
@settings(LIMITS, max_examples=200)
def test_a_value_is_at_its_candidate_or_between_two(lower: int, width: int, most: int, numbers: list[int]) -> None:
    grid = grid_of(lower, lower + width, most)
    values = listed(grid)
    codes = [
        max(-(1 << 62), min(1 << 62, each)) for each in (*numbers, *values[:9], *(each + 1 for each in values[:9]))
    ]
    for code, found in zip(codes, grid.bins(np.array(codes, dtype=np.int64)).tolist(), strict=True):
        inside = min(max(code, lower), lower + width)
        place, between = divmod(found, 2)
        if between:
            assert values[place] < inside < values[place + 1]
        else:
            assert values[place] == inside
