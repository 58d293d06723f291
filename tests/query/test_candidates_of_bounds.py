"""Which bounds `auto` chooses from, and what it aims at: each number that accuracy was measured with."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from slow_vector import planned

from cleanroom.query.bound import BoundChoice, Bounds, Sized
from cleanroom.query.choosing import aim, chosen_groups, chosen_rows, chosen_total, pulls
from cleanroom.query.statistics import CategoryKey, CountPersons, CountRows, Mean, Quantile, Sum

if TYPE_CHECKING:
    pass

ONE = Fraction(1)
KEYS = (CategoryKey(0, ("a", "b", "c"), nullable=False),)
COUNT, PERSONS, SUM, MEAN = CountRows(), CountPersons(), Sum(1, -3, 40, ONE), Mean(1, 0, 9, ONE)
MEDIAN, DECILE = (Quantile(1, 0, 50, ONE, Fraction(*each), discrete=False) for each in ((1, 2), (1, 10)))


def rows_chosen(
    *statistics: CountRows | CountPersons | Mean | Quantile, default: int, limit: int
) -> BoundChoice | None:
    return chosen_rows(statistics, default, limit, lambda rows: planned(KEYS, statistics, rows, 2).bounds)


def test_rows_are_whole_numbers_up_to_sixteen_times_the_default() -> None:
    few = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
    many = (*few, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096)
    for default, limit, wanted in (
        (10, 65_535, (*few, 160)),
        (8, 65_535, few),
        (10, 5, (1, 2, 3, 4, 5)),
        (300, 65_535, (*many, 4800)),
        (300, 4096, many),
        (1, 2, (1, 2)),
    ):
        found = rows_chosen(COUNT, default=default, limit=limit)
        assert found is not None
        assert found.candidates == wanted
        assert [each.max_rows for each in found.bounds] == list(wanted)
        assert (found.sized, found.column, found.least, found.most) == (Sized.ROWS, None, 0, 0)


def test_rows_of_quantiles_alone_end_at_the_default() -> None:
    found = rows_chosen(MEDIAN, DECILE, default=10, limit=65_535)
    assert found is not None
    assert (found.candidates, found.above, found.below) == ((1, 2, 3, 4, 6, 8, 10), 1, 0)
    with_mean = rows_chosen(MEDIAN, MEAN, default=10, limit=65_535)
    assert with_mean is not None
    assert (with_mean.candidates[-1], with_mean.above, with_mean.below) == (160, 1, 1)
    with_rows = rows_chosen(MEAN, COUNT, default=10, limit=65_535)
    assert with_rows is not None
    assert (with_rows.candidates[-1], with_rows.above, with_rows.below) == (160, 1, 0)
    # One row by default, or nothing that rows decide on: nothing to choose.
    assert rows_chosen(MEDIAN, default=1, limit=65_535) is None
    assert rows_chosen(PERSONS, default=10, limit=65_535) is None


@pytest.mark.parametrize("widest", [1, 17, 40_000, 3**15])
def test_totals_are_sixteen_each_two_thirds_of_the_one_before(widest: int) -> None:
    found = chosen_total(SUM, widest, lambda most: planned(KEYS, (SUM,), 1000, 1).bounds)
    wanted = {max(1, math.ceil(widest * Fraction(2, 3) ** power)) for power in range(16)}
    assert found.candidates == tuple(sorted(wanted))
    assert len(found.bounds) == len(wanted)
    assert (found.sized, found.column, found.least, found.most) == (Sized.TOTAL, 1, -3, 40)
    assert (found.above, found.below) == (1, 0)


def test_cells_in_full_end_at_the_cells_there_are() -> None:
    def chosen(default: int, limit: int) -> BoundChoice | None:
        return chosen_groups(default, limit, lambda groups: planned(KEYS, (COUNT,), 4, groups).bounds)

    found = chosen(2, 17)
    assert found is not None
    assert found.candidates == (1, 2, 3, 4, 6, 8, 12, 16, 17)
    assert (found.sized, found.column, found.least, found.most) == (Sized.GROUPS, None, 0, 0)
    assert (found.above, found.below) == (1, 0)
    wide = chosen(2, 1000)
    assert wide is not None
    assert wide.candidates[-1] == 32
    assert chosen(2, 1) is None
    two = chosen(1, 2)
    assert two is not None
    assert two.candidates == (1, 2)


def choosing(bounds: Bounds, sized: Sized, below: int = 0) -> Bounds:
    """Return bounds as the widest of candidates."""
    return replace(bounds, choice=BoundChoice(sized, None, 0, 0, (1, 2), (bounds, bounds), 1, below))


def test_what_is_aimed_at_is_the_noise_in_persons_over_all_cells_and_half_a_stray() -> None:
    mean_size = math.sqrt(2 / math.pi)
    for pure, size in ((False, mean_size), (True, 1.0)):
        # Of the component that rows or totals decide on, not of the persons before it.
        bounds = planned(KEYS, (PERSONS, COUNT, SUM), 6, 2, shares=(ONE, 4 * ONE, 9 * ONE), pure=pure).bounds
        persons, rows, total = bounds.components
        assert len({each.reach for each in bounds.components}) == 3
        scale = 30.0 * rows.reach
        for sized, reach in ((Sized.ROWS, rows.reach), (Sized.TOTAL, total.reach)):
            wanted = 1.75 * scale / reach * size * 3 + 5.0
            assert aim(choosing(bounds, sized), scale, 10.0) == math.ceil(wanted)
        wide = 2 if pure else 2 * math.sqrt(2)
        wanted = 1.75 * scale / persons.reach * size / wide * 3 + 5.0
        assert aim(choosing(bounds, Sized.GROUPS), scale, 10.0) == math.ceil(wanted)
    # A sum alone, of which rows are chosen.
    alone = planned(KEYS, (SUM,), 6, 2).bounds
    wanted = 1.75 * scale / alone.components[0].reach * mean_size * 3 + 5.0
    assert aim(choosing(alone, Sized.ROWS), scale, 10.0) == math.ceil(wanted)
    assert aim(choosing(bounds, Sized.ROWS, below=1), scale, 10.0) == 0
    assert aim(bounds, scale, 10.0) == 0
    assert aim(choosing(bounds, Sized.GROUPS), None, 10.0) == 5
    assert aim(choosing(bounds, Sized.ROWS), None, 10.0) == 5


def test_of_quantiles_sixteen_times_as_far_as_the_widest_of_them_strays() -> None:
    bounds = planned(KEYS, (MEDIAN, DECILE), 6, 2).bounds
    median, decile = bounds.quantiles
    person = median.weight * 6
    scales = (7.0 * 2 * person, 9.0 * 10 * person)
    assert aim(choosing(bounds, Sized.ROWS), None, 10.0, scales) == 16 * 9 * 3 + 5
    assert (decile.below, decile.above) == (1, 9)
    # What is read of a pure release is doubled.
    assert aim(choosing(replace(bounds, pure=True), Sized.ROWS), None, 10.0, scales) == math.ceil(16 * 4.5 * 3 + 5)
    # Where only an owner's threshold has a vector.
    counted = planned(KEYS, (MEDIAN,), 6, 2, threshold=20).bounds
    assert counted.components
    assert aim(choosing(counted, Sized.ROWS), 1e9, 10.0, scales[:1]) == 16 * 7 * 3 + 5


def test_a_pull_is_the_logarithm_of_the_width_in_strays_rounded() -> None:
    listed = BoundChoice(Sized.TOTAL, 1, 0, 9, (4, 6, 9, 400), (), 1, 0)
    assert pulls(listed, 10.0) == (0, 4, 8, 46)
    assert pulls(replace(listed, sized=Sized.ROWS), 10.0) == (0, 6, 12, 69)
    assert pulls(replace(listed, sized=Sized.GROUPS), 10.0) == (0, 6, 12, 69)
