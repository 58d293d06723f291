"""What a cell adds up: natural sizes, multipliers, powers of two, and where exact sums end (S23, S31 to S34)."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from cleanroom.errors import Refused
from cleanroom.query.components import PERSONS, Component, Measured, components_of, weighted
from cleanroom.query.statistics import CountPersons, CountRows, Mean, Quantile, Sum, Variance

ONE, HALF = Fraction(1), Fraction(1, 2)


def total(upper: int) -> Component:
    return components_of(Sum(0, 0, upper, ONE), 1)[0]


def refused(statistic: Any, rows: int = 1) -> str:
    with pytest.raises(Refused) as refusal:
        components_of(statistic, rows)
    (reason,) = refusal.value.refusals
    assert reason.hint is not None
    assert "ROUND" in reason.hint.en
    return reason.code


def test_each_statistic_adds_up_its_own() -> None:
    rows = Component(Measured.ROWS, 3, 0, 0, 5, 1)
    assert components_of(CountPersons(), 5) == (PERSONS,)
    assert (PERSONS.shift, PERSONS.offset, PERSONS.least, PERSONS.most) == (0, 0, None, None)
    assert components_of(CountPersons(3), 5) == (replace(PERSONS, column=3),)
    assert components_of(CountRows(3), 5) == (rows,)
    # The middle of -3 and 8 is 2 or 3, six from the farther; a square of at most 36 lies within 18 of 18.
    mean = components_of(Mean(3, -3, 8, ONE), 5)
    middle = mean[1].middle
    assert middle in {2, 3}
    assert mean == (rows, Component(Measured.MEAN_TOTAL, 3, middle, -30, 30, 1, least=-3, most=8))
    squares = Component(Measured.SQUARES, 3, middle, -90, 90, 1, offset=18, least=-3, most=8)
    assert components_of(Variance(3, -3, 8, ONE, sample=False, root=False), 5) == (*mean, squares)
    assert components_of(Quantile(3, -3, 8, ONE, HALF, discrete=True), 5) == ()


@pytest.mark.parametrize(
    ("bounds", "rows", "most", "least_and_most"),
    [
        ((-3, 8), 5, None, (-15, 40)),
        ((2, 8), 5, None, (0, 40)),
        ((-8, -2), 5, None, (-40, 0)),
        # What can only be nought is noised like any other.
        ((0, 0), 5, None, (0, 1)),
        ((-3, 8), 5, 12, (-12, 12)),
        ((-3, 8), 5, 16, (-15, 16)),
        ((-3, 8), 5, 60, (-15, 40)),
        ((2, 8), 5, 0, (0, 1)),
    ],
)
def test_a_total_is_bounded_by_rows_and_by_what_is_asked(
    bounds: tuple[int, int], rows: int, most: int | None, least_and_most: tuple[int, int]
) -> None:
    (part,) = components_of(Sum(0, *bounds, ONE), rows, most)
    assert part == Component(Measured.TOTAL, 0, 0, *least_and_most, 1, least=bounds[0], most=bounds[1])


def test_values_end_at_2_to_the_44_and_squares_at_half_widths_of_2_to_the_23() -> None:
    for lower, upper in ((0, 2**44), (-(2**44), 0), (-(2**44), 2**44)):
        for kind in (Sum, Mean):
            assert components_of(kind(0, lower, upper, ONE), 1)
        components_of(Quantile(0, lower, upper, ONE, HALF, discrete=True), 1)
    for lower, upper in ((0, 2**44 + 1), (-(2**44) - 1, 0)):
        for kind in (Sum, Mean):
            assert refused(kind(0, lower, upper, ONE)) == "bounds_too_wide"
        assert refused(Quantile(0, lower, upper, ONE, HALF, discrete=True)) == "bounds_too_wide"
    assert components_of(Variance(0, -(2**23), 2**23, ONE, sample=True, root=True), 1)
    assert refused(Variance(0, -(2**23) - 1, 2**23 + 1, ONE, sample=True, root=True)) == "bounds_too_wide"


def test_an_entry_is_its_contribution_in_steps_of_its_unit() -> None:
    part = Component(Measured.TOTAL, 0, 0, -9, 5, 3, shift=1)
    # The greatest size is 9, which is 5 twos; a two is 3·2^10 steps.
    assert (part.natural, part.size, part.steps) == (9, 5, 3 << 10)
    assert part.step == Fraction(2, 3 << 10)
    assert part.reach == (9 * (3 << 10)) >> 1
    assert replace(part, upper=10).natural == 10


def test_values_are_made_shorter_than_24_bits() -> None:
    for upper, shift in ((2**24 - 1, 0), (2**24, 1), (2**44, 21)):
        (part,) = weighted([total(upper)], None)
        assert (part.shift, part.multiplier) == (shift, 16)
    # As much shorter as the root of the largest weight is longer.
    for weight, longer in (
        (Fraction(1), 0),
        (Fraction(2), 1),
        (Fraction(4), 1),
        (Fraction(9, 2), 2),
        (Fraction(5), 2),
        (Fraction(17), 3),
    ):
        first, second = weighted([total(2**24), total(2**24 + 1)], None, [weight, ONE])
        assert (first.shift, second.shift) == (1 + longer, 1 + longer)


def test_full_contributions_move_each_number_by_its_part() -> None:
    """k·size is sixteen times the largest size, times the root of the weight; half of it for the owners' threshold."""
    parts = [total(10), replace(PERSONS, column=4), total(5)]
    assert [each.multiplier for each in weighted(parts, None)] == [16, 160, 32]
    assert [each.multiplier for each in weighted(parts, PERSONS)] == [16, 160, 32, 80]
    shares = [ONE, Fraction(4), Fraction(9, 4)]
    assert [each.multiplier for each in weighted(parts, PERSONS, shares)] == [16, 320, 48, 80]
    # Rounded down: 16·7/5 is 22.4.
    assert [each.multiplier for each in weighted([total(7), total(5)], None)] == [16, 22]
    assert weighted([], None) == ()
    assert [each.multiplier for each in weighted([], PERSONS)] == [8]
