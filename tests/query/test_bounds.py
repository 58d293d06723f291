"""The limits of a release stand where they are stated, to the unit; slices are all read, and each as it must be."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from slow_vector import TNM, planned

from cleanroom.catalog import Contribution
from cleanroom.errors import Refused
from cleanroom.query import bound
from cleanroom.query.algebra import Distinct, Scan
from cleanroom.query.bound import BoundChoice, PureQuantileBound, Sized, _root_up, bounds_of, require_depth
from cleanroom.query.components import Measured
from cleanroom.query.statistics import CountPersons, CountRows, Mean, NumberKey, Quantile, Sum, UnknownKey

if TYPE_CHECKING:
    from cleanroom.query.algebra import Relation

ONE, HALF = Fraction(1), Fraction(1, 2)


def numbers(count: int, column: int = 0) -> NumberKey:
    return NumberKey(column, 0, count - 1, ONE, nullable=False)


def middle(upper: int = 3) -> Quantile:
    return Quantile(1, 0, upper, ONE, HALF, discrete=True)


def admitted(*arguments: Any) -> bool:
    try:
        planned(*arguments)
    except Refused:
        return False
    return True


def test_cells_end_at_a_hundred_thousand() -> None:
    assert admitted((numbers(100_000),), (CountRows(),), 1, 1)
    assert not admitted((numbers(100_001),), (CountRows(),), 1, 1)
    assert admitted((numbers(316), numbers(316, 1)), (CountRows(),), 1, 1)
    assert not admitted((numbers(317), numbers(316, 1)), (CountRows(),), 1, 1)


def test_numbers_of_all_cells_end_at_2_to_the_20() -> None:
    def sums(count: int) -> tuple[Sum, ...]:
        return tuple(Sum(place + 1, 0, 5, ONE) for place in range(count))

    assert admitted((numbers(1 << 16),), sums(16), 1, 1)
    assert not admitted((numbers((1 << 16) + 1),), sums(16), 1, 1)


def test_quantiles_end_at_32_and_their_candidates_at_2_to_the_20() -> None:
    assert admitted((), (middle(),) * 32, 1, 1)
    assert not admitted((), (middle(),) * 33, 1, 1)
    # Fewer than 64 candidates for a column of more values are too coarse.
    assert admitted((numbers(1 << 14),), (middle(1_000),), 1, 1)
    assert not admitted((numbers((1 << 14) + 1),), (middle(1_000),), 1, 1)
    assert admitted((numbers(100_000),), (middle(),), 1, 1)
    # 63 are all there are of these.
    assert admitted((numbers((1 << 14) + 1),), (middle(62),), 1, 1)
    assert not admitted((numbers((1 << 14) + 1),), (middle(63),), 1, 1)
    assert not admitted((numbers((1 << 14) + 1),), (Quantile(1, -32, 32, ONE, HALF, discrete=True),), 1, 1)
    open_key = planned((UnknownKey(0, nullable=False),), (middle(261_120),), 1, 1).bounds
    assert open_key.quantiles[0].candidates == 256
    for cells, most in ((1, 1 << 17), (3, (1 << 17) // 3), (256, 1_024), (1_024, 1_024), (1_025, 1_023)):
        for upper, step in ((most - 1, 1), (most, 2)):
            (bound,) = planned((numbers(cells),), (middle(upper),), 1, 1).bounds.quantiles
            # One value more than there is room for: from there on they are two steps apart, evenly.
            assert (bound.grid.step == 1) == (step == 1)
            assert bound.candidates <= most
            assert (bound.candidates == most) == (step == 1)


def test_survivors_end_where_cells_numbers_and_candidates_do() -> None:
    key = UnknownKey(0, nullable=False)
    assert planned((key,), (CountPersons(),), 1, 1).bounds.most_surviving == 100_000
    assert planned((key, numbers(4, 1)), (CountRows(),), 1, 1).bounds.most_surviving == 25_000
    wide = planned((key, numbers(2, 1)), tuple(Sum(place + 2, 0, 5, ONE) for place in range(16)), 1, 1).bounds
    assert wide.most_surviving == (1 << 20) // 32
    assert planned((key, numbers(2, 2)), (middle(261_120),), 1, 1).bounds.most_surviving == (1 << 20) // 512
    # The quantile of most candidates decides.
    for order in (1, -1):
        assert planned((key,), (middle(), middle(261_120))[::order], 1, 1).bounds.most_surviving == 4_096
    assert planned((key, numbers(100_000, 1)), (CountRows(),) * 2, 1, 1).bounds.most_surviving == 1


def test_a_quantile_s_weight_is_a_share_of_2_to_the_20() -> None:
    for rows, weight in ((1, 1 << 20), (7, (1 << 20) // 7), (1 << 17, 16)):
        (bound,) = planned((), (middle(),), rows, 3).bounds.quantiles
        assert (bound.weight, bound.norm) == (weight, weight * rows)
    (bound,) = planned((numbers(9),), (middle(),), 2, 4).bounds.quantiles
    assert bound.norm == 2 * (1 << 19) * 2
    for fraction, shares in ((Fraction(1, 4), (1, 3)), (Fraction(1), (1, 0)), (Fraction(3, 5), (3, 2))):
        (bound,) = planned((), (Quantile(1, 0, 3, ONE, fraction, discrete=True),), 1, 1).bounds.quantiles
        assert (bound.below, bound.above) == shares


def test_a_norm_is_never_rounded_down() -> None:
    for square in range(2_000):
        assert _root_up(square) == next(root for root in range(46) if root * root >= square)
    assert _root_up((1 << 60) ** 2 + 1) == (1 << 60) + 1


# What is known of a person's vector, on which D rests (S2)


def test_a_least_contribution_below_zero_is_a_sign() -> None:
    assert planned((), (Sum(0, -1, 0, ONE),), 1, 1).bounds.signed
    assert planned((), (Sum(0, -1, 5, ONE), CountRows()), 1, 1).bounds.signed
    assert not planned((), (Sum(0, 0, 5, ONE), CountRows()), 1, 1).bounds.signed


def test_one_cell_of_each_unknown_key_is_not_one_cell() -> None:
    open_keys = planned((UnknownKey(0, nullable=False),), (CountRows(),), 1, 1).bounds
    assert open_keys.cells == 1
    assert not open_keys.one_cell
    assert not open_keys.one_entry
    lone = planned((), (CountRows(),), 1, 1).bounds
    assert lone.one_cell
    assert lone.one_entry
    assert not planned((), (CountRows(), CountPersons()), 1, 1).bounds.one_entry
    assert not planned((numbers(2),), (CountRows(),), 1, 1).bounds.one_entry


def test_only_persons_by_unknown_keys_are_counted_by_the_threshold() -> None:
    key = UnknownKey(0, nullable=False)
    assert planned((key,), (CountPersons(),), 1, 1).bounds.counted_by_threshold
    assert not planned((key,), (CountPersons(), CountRows()), 1, 1).bounds.counted_by_threshold
    assert not planned((key,), (middle(),), 1, 1).bounds.counted_by_threshold
    assert not planned((key, numbers(2, 1)), (CountPersons(),), 1, 1).bounds.counted_by_threshold
    assert not planned((), (CountPersons(),), 1, 1).bounds.counted_by_threshold
    assert not planned((numbers(2),), (middle(),), 1, 1).bounds.counted_by_threshold


def test_relations_nest_32_deep() -> None:
    def nested(times: int) -> Relation:
        relation: Relation = Scan(TNM, ("c0",))
        for _ in range(times):
            relation = Distinct(relation)
        return relation

    require_depth(nested(31))
    with pytest.raises(Refused) as caught:
        require_depth(nested(32))
    assert caught.value.code == "too_deep"
    assert "32" in caught.value.refusals[0].message.en


# The bounds, by hand


def upwards(square: int) -> int:
    """Return the least whole number whose square is at least this."""
    return next(each for each in range(math.isqrt(square), math.isqrt(square) + 2) if each**2 >= square)


def test_the_most_generous_defaults_bound_a_release() -> None:
    """They decide on what is clipped, and the norm counts each set with as many cells as a person may be in."""
    keys = (numbers(4), numbers(3, 1))
    sets = ((0, 1), (0,), (1,), ())
    for defaults in ([Contribution(3, 2), Contribution(5, 1)], [Contribution(5, 1), Contribution(3, 2)]):
        bounds = bounds_of(keys, sets, (CountRows(),), defaults, 0)
        assert (bounds.cells, bounds.max_rows, bounds.max_groups) == (12 + 4 + 3 + 1, 5, 2)
        (component,) = bounds.components
        assert component.upper == 5
        assert bounds.norm == upwards((2 + 2 + 2 + 1) * component.reach**2)
    bounds = bounds_of(keys, sets, (CountRows(), Sum(1, 0, 3, ONE)), [Contribution(2, 9)], 0)
    assert bounds.max_groups == 9
    assert bounds.norm == upwards((9 + 4 + 3 + 1) * sum(each.reach**2 for each in bounds.components))
    (quantile,) = bounds_of(keys, sets, (middle(),), [Contribution(2, 9)], 0).quantiles
    assert quantile.norm == upwards((9 + 4 + 3 + 1) * (2 * quantile.weight) ** 2)


def test_an_owner_s_threshold_needs_persons_once() -> None:
    def measured(statistics: tuple[Any, ...], threshold: int) -> list[Measured]:
        bounds = bounds_of((), ((),), statistics, [Contribution(5, 1)], threshold)
        assert bounds.threshold == threshold
        return [each.measured for each in bounds.components]

    assert measured((CountRows(),), 0) == [Measured.ROWS]
    assert measured((CountPersons(),), 0) == [Measured.PERSONS]
    assert measured((CountRows(),), 20) == [Measured.ROWS, Measured.PERSONS]
    assert measured((CountPersons(), CountRows()), 20) == [Measured.PERSONS, Measured.ROWS]
    # Persons with a value of a column are others than persons.
    assert measured((CountPersons(3),), 20) == [Measured.PERSONS] * 2
    asked, added = bounds_of((), ((),), (CountRows(),), [Contribution(1, 1)], 20).components
    assert asked.multiplier == 2 * added.multiplier


def test_unknown_keys_are_bounded_by_their_number() -> None:
    key = UnknownKey(0, nullable=True)
    for keys, statistics, vector in (
        ((key,), (CountPersons(),), False),
        ((key,), (CountPersons(), CountRows()), True),
        ((key, numbers(3, 1)), (CountPersons(),), True),
        ((key,), (CountPersons(1),), True),
        ((key,), (CountRows(),), True),
    ):
        bounds = bounds_of(keys, (tuple(range(len(keys))),), statistics, [Contribution(5, 4), Contribution(5, 2)], 20)
        assert (bounds.distinct_keys, bounds.max_groups) == (4, 4)
        assert bool(bounds.components) is vector
        assert bounds.norm == upwards(4 * sum(each.reach**2 for each in bounds.components))
    assert bounds_of((numbers(3),), ((0,),), (CountRows(),), [Contribution(5, 4)], 0).distinct_keys == 0
    for sets in (((0, 1), ()), ((0,),), ((1, 0),)):
        with pytest.raises(Refused) as caught:
            bounds_of((key, numbers(3, 1)), sets, (CountRows(),), [Contribution(5, 4)], 0)
        assert caught.value.code == "not_admitted"


def test_equal_components_are_held_once_at_the_greatest_weight() -> None:
    statistics = (CountRows(1), Mean(1, 0, 8, ONE), CountRows(1), CountRows())
    plain = bounds_of((), ((),), statistics, [Contribution(2, 1)], 0)
    assert [each.measured for each in plain.components] == [Measured.ROWS, Measured.MEAN_TOTAL, Measured.ROWS]
    shares = (Fraction(1), Fraction(9), Fraction(4), Fraction(1))
    for order in (1, -1):
        weighted = bounds_of((), ((),), statistics[::order], [Contribution(2, 1)], 0, shares[::order])
        rows = {each.column: each.multiplier for each in weighted.components if each.measured is Measured.ROWS}
        # The rows that a mean of weight 9 needs are held at its weight, 3 times as finely as those of weight 1.
        assert 2.8 < rows[1] / rows[None] < 3.2
        assert weighted.shares == shares[::order]


def test_the_score_of_a_candidate_is_what_keeps_it_from_being_the_best() -> None:
    """−max(0, g, −g before) − c, g = p·(persons above) − q·(not above) − r, by counting persons one by one."""
    choice = BoundChoice(Sized.ROWS, None, 0, 0, (1, 4, 9), (), 7, 2)
    sizes = [1, 1, 1, 2, 4, 4, 5, 9, 9, 30, 31]

    def scored(sizes: list[int], target: int, pulls: tuple[int, ...] = (0, 3, 11)) -> list[int]:
        ends = (0, 1, 4, 9, 10**9)
        counts = [sum(low < size <= high for size in sizes) for low, high in pairwise(ends)]
        return choice.scores(counts, target, pulls)

    best = set()
    for target in (0, 5, 30, -40, 60):
        above = [sum(size > candidate for size in sizes) for candidate in choice.candidates]
        over = [7 * each - 2 * (len(sizes) - each) - target for each in above]
        wanted = [-max(0, over[0]), -max(0, over[1], -over[0]) - 3, -max(0, over[2], -over[1]) - 11]
        assert scored(sizes, target) == wanted
        plain = scored(sizes, target, (0, 0, 0))
        # The first that is not above 0, or the last of all.
        first = next((place for place, each in enumerate(over) if each <= 0), 2)
        assert plain.index(max(plain)) == first
        best.add(first)
        for gone in range(len(sizes)):
            fewer = scored(sizes[:gone] + sizes[gone + 1 :], target)
            assert max(abs(a - b) for a, b in zip(fewer, wanted, strict=True)) <= choice.factor == 7
            for other in (1, 3, 9, 40):
                instead = scored([*sizes[:gone], other, *sizes[gone + 1 :]], target)
                assert max(abs(a - b) for a, b in zip(instead, wanted, strict=True)) <= choice.span == 9
    assert best == {0, 1, 2}


def reasons(*arguments: Any, **more: Any) -> list[tuple[str, str]]:
    with pytest.raises(Refused) as refused:
        planned(*arguments, **more)
    assert all(each.hint for each in refused.value.refusals if each.code == "too_many_cells")
    return [(each.code, each.message.en) for each in refused.value.refusals]


def test_a_refusal_says_how_many_there_are_and_how_many_there_may_be() -> None:
    admitted_are = "cells; at most {} are admitted"
    assert reasons((numbers(100_001),), (CountRows(),), 1, 1) == [
        ("too_many_cells", f"100001 {admitted_are.format(100_000)}")
    ]
    sums = tuple(Sum(place + 1, 0, 5, ONE) for place in range(17))
    assert reasons((numbers(1 << 16),), sums, 1, 1) == [
        ("too_many_cells", f"{17 << 16} {admitted_are.format(1 << 20)}")
    ]
    assert reasons((numbers((1 << 14) + 1),), (middle(1_000),), 1, 1) == [
        ("too_many_cells", f"{(1 << 14) + 1} {admitted_are.format(1 << 14)}")
    ]


def test_a_pure_release_is_over_public_keys_alone_and_its_quantiles_have_an_l1_norm() -> None:
    """S11: a threshold needs a delta; an L1 norm must fit 62 bits."""
    open_key = (UnknownKey(0, nullable=False),)
    for statistic in (CountRows(), middle()):
        planned(open_key, (statistic,), 1, 1)
        (reason,) = reasons(open_key, (statistic,), 1, 1, pure=True)
        assert reason[0] == "not_admitted"
    sets: tuple[tuple[int, ...], ...] = ((0,), ())
    for pure, norm in ((True, 3 * 2), (False, None)):
        (bound,) = planned((numbers(3),), (middle(),), 2, 2, sets=sets, pure=pure).bounds.quantiles
        assert isinstance(bound, PureQuantileBound) == pure
        # Two of three cells, and the one of all, with two rows each.
        whole = norm * bound.weight if norm else upwards(3 * (2 * bound.weight) ** 2)
        assert bound.norm == whole
    assert "open key" in reasons((UnknownKey(0, nullable=False),), (CountRows(),), 1, 1, pure=True)[0][1]
    pure = planned((numbers(3),), (CountRows(), Sum(1, 0, 5, ONE)), 2, 2, pure=True).bounds
    assert (pure.norm, pure.pure) == (2 * sum(component.reach for component in pure.components), True)


def test_weights_part_an_l1_norm_as_they_part_an_l2_one() -> None:
    """What a component costs goes with its length in L1, with the square of it in L2: four times is twice."""
    statistics = (CountRows(), CountRows(1))
    for pure, times in ((False, 2), (True, 4)):
        first, second = planned((), statistics, 1, 1, shares=(ONE, Fraction(4)), pure=pure).bounds.components
        assert second.multiplier == times * first.multiplier


def test_an_l1_norm_ends_where_the_ledger_s_norms_do(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = ((numbers(3),), (CountRows(),), 2, 2)
    norm = planned(*plan, pure=True).bounds.norm
    monkeypatch.setattr(bound, "MAX_NORM", norm)
    assert planned(*plan, pure=True).bounds.norm == norm
    monkeypatch.setattr(bound, "MAX_NORM", norm - 1)
    assert [code for code, _ in reasons(*plan, pure=True)] == ["bounds_too_wide"]
