"""What a release draws and how far one person moves it, in numbers (S2, S8, S11, S36, S38); nothing else is drawn."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from slow_vector import planned

from cleanroom.accounting.accountant import Draw, Reach, VectorShape
from cleanroom.errors import InvariantBroken
from cleanroom.query.bound import BoundChoice, Bounds, Sized
from cleanroom.query.key_threshold import delta_of
from cleanroom.query.mechanisms import (
    ChoiceNoise,
    KeyNoise,
    Noise,
    _dearest,
    choice_reach,
    draws,
    grained_scale,
    keys_reach,
    quantile_reaches,
    settled_noise,
    shape_of,
    vector_reach,
    widest_scale,
)
from cleanroom.query.noise import LAPLACE_MOSTLY_NONE, laplace_margin95, largest_laplace_scale, largest_scale
from cleanroom.query.statistics import CategoryKey, CountPersons, CountRows, Mean, Quantile, Sum, UnknownKey

ONE = Fraction(1)
TWO_CELLS = (CategoryKey(0, ("a", "b"), nullable=False),)
OPEN = (UnknownKey(0, nullable=False),)
QUARTER = Quantile(1, 0, 3, ONE, Fraction(1, 4), discrete=True)


def bounds_of(keys: tuple[Any, ...], *statistics: Any, groups: int = 1, pure: bool = False) -> Bounds:
    return planned(keys, statistics, 2, groups, pure=pure).bounds


@pytest.mark.parametrize(
    ("keys", "statistics", "shape", "l1", "l2"),
    [
        ((), (CountRows(),), VectorShape.ONE_NON_NEGATIVE, 1, 1),
        ((), (CountRows(), CountPersons()), VectorShape.NON_NEGATIVE, 2, 2),
        (TWO_CELLS, (CountRows(),), VectorShape.NON_NEGATIVE, 2, 2),
        ((), (Sum(1, -1, 2, ONE),), VectorShape.SIGNED, 2, 4),
        (TWO_CELLS, (Sum(1, -1, 2, ONE), CountRows()), VectorShape.SIGNED, 2, 4),
    ],
)
def test_a_vector_moves_by_its_norm_and_by_its_diameter(
    keys: tuple[Any, ...], statistics: tuple[Any, ...], shape: VectorShape, l1: int, l2: int
) -> None:
    bounds = bounds_of(keys, *statistics)
    assert shape_of(bounds) is shape
    assert vector_reach(bounds) == Reach(bounds.norm**2, l2 * bounds.norm**2)
    pure = bounds_of(keys, *statistics, pure=True)
    assert vector_reach(pure) == Reach(pure.norm, l1 * pure.norm)
    assert draws(bounds, Noise(3.0)) == (Draw(vector_reach(bounds), Fraction(3)),)
    assert draws(pure, Noise(3.0)) == (Draw(vector_reach(pure), Fraction(3), pure=True),)


def test_scores_of_a_quantile_move_by_weights_of_a_person() -> None:
    """M²·d²; by what is above and below together where there is one cell, else by twice the squares of both."""
    (alone,) = bounds_of((), QUARTER).quantiles
    assert quantile_reaches(bounds_of((), QUARTER)) == (Reach(9 * alone.norm**2, 16 * alone.norm**2),)
    (wide,) = bounds_of(TWO_CELLS, QUARTER).quantiles
    assert quantile_reaches(bounds_of(TWO_CELLS, QUARTER)) == (Reach(9 * wide.norm**2, 20 * wide.norm**2),)
    half = replace(QUARTER, fraction=Fraction(1, 2))
    both = bounds_of((), QUARTER, half)
    assert [each.everywhere // alone.norm**2 for each in quantile_reaches(both)] == [9, 1]
    found = draws(both, Noise(None, (3.0, 5.0)))
    assert [(draw.reach, draw.scale) for draw in found] == list(
        zip(quantile_reaches(both), (Fraction(3), Fraction(5)), strict=True)
    )


def test_a_pure_quantile_is_read_in_rounds_and_each_moves_by_twice_the_weights() -> None:
    """2M·d in L1; 2b·d where there is one cell, else 4M·d; four candidates are told apart in two rounds."""
    (alone,) = bounds_of((), QUARTER, pure=True).quantiles
    assert quantile_reaches(bounds_of((), QUARTER, pure=True)) == (Reach(6 * alone.norm, 8 * alone.norm),)
    (wide,) = bounds_of(TWO_CELLS, QUARTER, pure=True).quantiles
    assert quantile_reaches(bounds_of(TWO_CELLS, QUARTER, pure=True)) == (Reach(6 * wide.norm, 12 * wide.norm),)
    (found,) = draws(bounds_of((), QUARTER, pure=True), Noise(None, (3.0,)))
    assert found == Draw(Reach(6 * alone.norm, 8 * alone.norm), Fraction(3), pure=True, times=2)
    # Epsilons add up over rounds, and so do the losses that they imply.
    assert found.epsilon_at(9) == 2 * Fraction(9, 3)
    assert found.loss_at(9) == 2 * Fraction(9, 3) ** 2 / 2
    for times in (0, -1):
        with pytest.raises(InvariantBroken):
            Draw(Reach(1, 2), Fraction(1), times=times)
    assert Draw(Reach(4, 8), Fraction(3), times=5).loss == 5 * Fraction(4, 18)


def test_keys_move_by_as_many_as_a_person_keeps_and_their_threshold_costs_delta() -> None:
    bounds = bounds_of(OPEN, CountPersons(), groups=3)
    assert keys_reach(bounds) == Reach(3, 6)
    noise = Noise(None, keys=KeyNoise(4.0, 40))
    (draw,) = draws(bounds, noise)
    assert draw == Draw(
        Reach(3, 6), Fraction(4), Fraction(delta_of(4.0, 40, 3)), Fraction(delta_of(4.0, 40, 6)), pure=False
    )
    assert 0 < draw.delta_everywhere < draw.delta_in_one_table
    with_rows = bounds_of(OPEN, CountRows(), QUARTER, groups=3)
    assert len(draws(with_rows, Noise(2.0, (3.0,), KeyNoise(4.0, 40)))) == 3


def test_the_scale_of_a_release_is_the_vector_s_before_the_keys_before_a_quantile_s() -> None:
    assert Noise(2.0, (3.0, 5.0), KeyNoise(4.0, 40)).scale == 2.0
    assert Noise(None, (3.0, 5.0), KeyNoise(4.0, 40)).scale == 4.0
    assert Noise(None, (3.0, 5.0)).scale == 3.0


def test_noise_of_another_release_is_not_drawn() -> None:
    """More mechanisms, or fewer, than the bounds have; a pure release has no noisy max and no threshold (S11)."""
    vector, quantile = bounds_of(TWO_CELLS, CountRows()), bounds_of((), QUARTER)
    keys = bounds_of(OPEN, CountPersons())
    some, threshold = Noise(2.0), KeyNoise(4.0, 40)
    wrong: list[tuple[Bounds, Noise]] = [
        (vector, Noise(None)),
        (vector, Noise(2.0, (3.0,))),
        (vector, Noise(2.0, keys=threshold)),
        (quantile, some),
        (quantile, Noise(None)),
        (quantile, Noise(None, (3.0, 3.0))),
        (quantile, Noise(None, (3.0,), threshold)),
        (keys, Noise(None)),
        (keys, Noise(2.0, keys=threshold)),
        (replace(quantile, pure=True), Noise(None, (3.0,))),
        (replace(bounds_of((), QUARTER, pure=True), pure=False), Noise(None, (3.0,))),
        (bounds_of((), QUARTER, pure=True), Noise(None)),
        (replace(keys, pure=True), Noise(None, keys=threshold)),
        (vector, replace(some, choice=ChoiceNoise(1.0, 0, (0,), (some,)))),
    ]
    for bounds, noise in wrong:
        with pytest.raises(InvariantBroken):
            draws(bounds, noise)


def choice(*bounds: Bounds) -> BoundChoice:
    return BoundChoice(Sized.ROWS, None, 0, 0, tuple(range(1, len(bounds) + 1)), bounds, 7, 2)


def test_the_dearest_of_the_candidates_is_charged_and_the_choice_itself() -> None:
    narrow, wide = bounds_of(TWO_CELLS, CountRows()), bounds_of(TWO_CELLS, CountRows(), groups=2)
    chosen = choice(narrow, wide)
    assert choice_reach(chosen) == Reach(49, 81)
    dear, cheap = Noise(1.0), Noise(64.0)
    for settled, place in (((dear, cheap), 0), ((cheap, dear), 1)):
        noise = replace(settled[1], choice=ChoiceNoise(5.0, 0, (0, 1), settled))
        found = draws(replace(wide, choice=chosen), noise)
        assert found == (
            Draw(vector_reach((narrow, wide)[place]), Fraction(1)),
            Draw(Reach(49, 81), Fraction(5)),
        )
    with pytest.raises(InvariantBroken):
        draws(replace(wide, choice=chosen), Noise(1.0))


def test_a_candidate_that_is_dearer_in_one_account_alone_stops_the_question() -> None:
    """A vector of one entry lies C apart in a table, one of two √2·C: the dearest everywhere need not be it there."""
    one, two = bounds_of((), CountRows()), bounds_of(TWO_CELLS, CountRows())
    square = two.norm / one.norm
    chosen = choice(one, two)
    # Everywhere the first costs a little more; in one table the second nearly twice as much.
    settled = (Noise(1.0), Noise(square * 1.01))
    with pytest.raises(InvariantBroken):
        draws(replace(two, choice=chosen), replace(settled[1], choice=ChoiceNoise(5.0, 0, (0, 1), settled)))


def test_draws_are_compared_in_every_account_to_the_last_step() -> None:
    dear = Draw(Reach(9, 18), Fraction(3), Fraction(1, 1000), Fraction(1, 500))
    cheap = Draw(Reach(8, 16), Fraction(3), Fraction(1, 1000), Fraction(1, 500))
    twice = Draw(Reach(36, 72), Fraction(6), Fraction(1, 1001), Fraction(1, 501))
    for alike in ((dear, cheap), (cheap, dear), (dear, twice), (dear,), (dear, dear)):
        assert _dearest(alike).loss == dear.loss
    # The same loss everywhere: the first of them is the dearest, if it is so in a table and in delta.
    for other in (
        replace(cheap, reach=Reach(8, 19)),
        replace(twice, reach=Reach(35, 73)),
        replace(cheap, delta_everywhere=Fraction(1, 999)),
        replace(cheap, delta_in_one_table=Fraction(1, 499)),
    ):
        for alike in ((dear, other), (other, dear)):
            with pytest.raises(InvariantBroken):
                _dearest(alike)


def test_a_choice_settles_the_noise_where_there_is_one_to_make() -> None:
    settled = (Noise(1.0), Noise(2.0))
    waiting = replace(settled[1], choice=ChoiceNoise(5.0, 0, (0, 1), settled))
    assert [settled_noise(waiting, at) for at in range(2)] == list(settled)
    assert settled_noise(settled[0], None) is settled[0]
    for noise, picked in ((waiting, None), (settled[0], 0)):
        with pytest.raises(InvariantBroken):
            settled_noise(noise, picked)


def test_the_grain_is_a_step_of_whole_numbers_where_nobody_is_shortened() -> None:
    """S11, S31: of means, of coarser units, and where a person is shortened or noise is Gaussian, there is none."""
    count, persons, total = CountRows(), CountPersons(), Sum(1, 0, 5, ONE)
    for listed in ((count,), (persons,), (total,), (count, persons), (count, persons, total)):
        bounds = bounds_of(TWO_CELLS, *listed, groups=2, pure=True)
        assert bounds.grain == math.gcd(*(each.steps for each in bounds.components)) >= 1 << 10
        # One cell of two counts in full: who has both is shortened.
        assert bounds_of(TWO_CELLS, *listed, pure=True).grain == 1
        assert bounds_of(TWO_CELLS, *listed, groups=2).grain == 1
        assert bounds_of((), *listed).grain == 1
        assert replace(bounds, norm=bounds.norm - 1).grain == 1
    assert bounds_of((), Mean(1, 0, 5, ONE), pure=True).grain == 1
    wide = bounds_of((), Sum(1, 0, 1 << 40, ONE), pure=True)
    assert (wide.components[0].shift > 0, wide.grain) == (True, 1)


def test_the_widest_scale_is_that_of_the_grain() -> None:
    plain, pure = bounds_of(TWO_CELLS, CountRows()), bounds_of(TWO_CELLS, CountRows(), groups=2, pure=True)
    shortened = bounds_of(TWO_CELLS, CountRows(), pure=True)
    most = Fraction(123_456_789, 7)
    assert widest_scale(plain, most) == largest_scale(most)
    off = 1 - 2.0**-40
    for each in (most, Fraction(1), Fraction(1, 2)):
        assert widest_scale(shortened, each) == largest_laplace_scale(each) * off
    for each in (most, Fraction(pure.grain)):
        assert widest_scale(pure, each) == largest_laplace_scale(each / pure.grain) * pure.grain * off
    assert widest_scale(pure, Fraction(pure.grain) - 1) == pure.grain * LAPLACE_MOSTLY_NONE
    # The largest at which 19 of 20 draws are nought, 2q/(1 + q) = 1/20 at q = 1/39, to a few parts in 2^30.
    assert Fraction(2, 39) / (1 + Fraction(1, 39)) == Fraction(1, 20)
    assert 1 - 2.0**-29 <= widest_scale(pure, ONE) / pure.grain * math.log(39) < 1
    assert laplace_margin95(widest_scale(pure, ONE) / pure.grain) == 0
    assert grained_scale(pure, 3.0 * pure.grain) == 3.0
    assert Fraction(grained_scale(pure, 0.1)) * pure.grain >= Fraction(0.1)


def test_a_pure_choice_moves_one_person_from_size_to_size() -> None:
    """S11, S38: persons by size are noised, each person in one size; a person hidden at one member changes two."""
    bounds = tuple(bounds_of(TWO_CELLS, CountRows(), groups=groups, pure=True) for groups in (1, 2))
    chosen = choice(*bounds)
    assert choice_reach(chosen) == Reach(1, 2)
    settled = tuple(Noise(each.norm * 3.0) for each in bounds)
    noise = replace(settled[1], choice=ChoiceNoise(5.0, 0, (0, 1), settled))
    found = draws(replace(bounds[1], choice=chosen), noise)
    assert found[-1] == Draw(Reach(1, 2), Fraction(5), pure=True)
    assert [draw.pure for draw in found] == [True, True]
