"""Variances, quantiles, counts of a column, listed keys and grouping sets: the exact numbers, and how far they move."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from searches import LIMITS, by_seeds, try_each
from slow_vector import check_kernel, each_person, known_codes, planned, slow_scores, slow_weights, stream

from cleanroom.errors import Refused
from cleanroom.query.backend import Codes, PersonRows
from cleanroom.query.bound import MAX_SCORES
from cleanroom.query.components import LARGEST_HALF_WIDTH, LARGEST_VALUE
from cleanroom.query.contribution import contributions
from cleanroom.query.mechanisms import quantile_reach, shape_of
from cleanroom.query.plan import Plan
from cleanroom.query.quantiles import scores
from cleanroom.query.release import NoisedRelease
from cleanroom.query.statistics import (
    CategoryKey,
    CountPersons,
    CountRows,
    GroupingOutput,
    KeyOutput,
    ListedKey,
    Mean,
    MonthKey,
    NumberKey,
    Quantile,
    StatisticOutput,
    Sum,
    Variance,
)

ONE = Fraction(1)
WIDTHS = ((0, 10), (-5, 7), (5, 5), (0, 0), (-9, -3), (-LARGEST_HALF_WIDTH, LARGEST_HALF_WIDTH))
FRACTIONS = (Fraction(1, 2), Fraction(1, 4), Fraction(9, 10), Fraction(0), Fraction(1), Fraction(1, 3))


def any_plan(rng: Random) -> Plan:
    """Return a plan over columns 0 to 4 with anything that a release can hold."""
    keys = tuple(
        rng.sample(
            (
                CategoryKey(0, ("a", "b", "c"), nullable=rng.random() < 0.5),
                NumberKey(1, -2, 3, Fraction(1, 3), nullable=rng.random() < 0.5),
                MonthKey(2, 648, 3, nullable=rng.random() < 0.5),
                ListedKey(1, (-3, 0, 4), ("x", Decimal(2), True), nullable=rng.random() < 0.5),
            ),
            rng.randrange(4),
        )
    )
    every = tuple(range(len(keys)))
    rollup = tuple(every[:size] for size in range(len(keys), -1, -1))
    sets = rng.choice((rollup, (every,), (every, ()), tuple((at,) for at in every) or ((),)))
    low, high = rng.choice(WIDTHS)
    chosen: list[Any] = [
        CountPersons(),
        CountPersons(3),
        CountRows(),
        CountRows(3),
        Sum(3, low, high, ONE),
        Mean(3, low, high, ONE),
        Variance(3, low, high, ONE, sample=rng.random() < 0.5, root=rng.random() < 0.5),
        Variance(4, 0, 3, ONE, sample=False, root=False),
        Quantile(3, low, high, ONE, rng.choice(FRACTIONS), discrete=True),
        Quantile(4, 0, 3, ONE, rng.choice(FRACTIONS), discrete=False),
    ]
    listed = tuple(rng.sample(chosen, rng.randrange(1, 6)))
    return planned(keys, listed, rng.choice((1, 2, 5, 16)), rng.choice((1, 2, 7)), rng.choice((0, 20)), sets)


def any_rows(rng: Random, a_plan: Plan) -> PersonRows:
    """Return persons' rows, within and without what is declared."""
    bounded = (Sum, Mean, Variance, Quantile)
    found = [each for each in a_plan.statistics if isinstance(each, bounded) and each.column == 3]
    low, high = (found[0].lower, found[0].upper) if found else (0, 3)
    persons = [
        [
            (
                rng.choice((0, 1, 2, 3, -1, None)),
                rng.choice((-3, -2, 0, 3, 4, None)),
                rng.choice((19_723, 19_753, 19_754, 19_782, 19_814, 0, None)),
                rng.choice((low, high, (low + high) // 2, rng.randrange(low, high + 1), low - 1, high + 2**40, None)),
                rng.choice((0, 1, 2, 3, None)),
            )
            for _ in range(rng.choice((1, 2, 5, 40)))
        ]
        for _ in range(rng.randrange(6))
    ]
    return stream(persons, 5)


def check_everything(rng: Random) -> None:
    """Compare vector and scores with the slow ones; remove each person, and replace each by each other."""
    a_plan = any_plan(rng)
    rows = any_rows(rng, a_plan)
    check_kernel(a_plan, rows)
    whole = contributions(a_plan, rows)
    parts = [contributions(a_plan, part) for part in each_person(rows)]
    assert whole.values == tuple(map(sum, zip(*(part.values for part in parts), strict=True))) if parts else True
    largest = {0: 1, 1: 2, 2: 4}[
        (a_plan.bounds.signed * 2) or (0 if a_plan.bounds.one_entry else 1)
    ] * a_plan.bounds.norm**2
    assert shape_of(a_plan.bounds).squared_diameter_factor * a_plan.bounds.norm**2 == largest
    for one in parts:
        assert sum(entry**2 for entry in one.values) <= a_plan.bounds.norm**2
        for other in parts:
            assert sum((a - b) ** 2 for a, b in zip(one.values, other.values, strict=True)) <= largest
    for at, quantile in enumerate(a_plan.bounds.quantiles):
        check_quantile(a_plan, at, rows)
        reach = quantile_reach(quantile, one_cell=a_plan.bounds.one_cell)
        total = list(scores(quantile, whole.weights[at]))
        for part in parts:
            without = list(scores(quantile, whole.weights[at] - part.weights[at]))
            assert moved(total, without) <= reach.everywhere
            for other in parts:
                instead = list(scores(quantile, whole.weights[at] - part.weights[at] + other.weights[at]))
                assert moved(total, instead) <= reach.in_one_table


def moved(one: list[list[int]], other: list[list[int]]) -> int:
    """Return Σ over cells of the squared L∞ distance of two sets of scores."""
    return sum(
        max(abs(a - b) for a, b in zip(mine, theirs, strict=True)) ** 2 for mine, theirs in zip(one, other, strict=True)
    )


def check_quantile(a_plan: Plan, at: int, rows: PersonRows) -> None:
    """Where no norm binds, the scores are the definition's, and the weights are its rows'."""
    quantile = a_plan.bounds.quantiles[at]
    for part in each_person(rows):
        weighted = slow_weights(a_plan, quantile, part)
        square = sum(sum(weight for _, weight in cell) ** 2 for cell in weighted)
        fast = contributions(a_plan, part).weights[at]
        assert sum(int(cell.sum()) ** 2 for cell in fast) <= quantile.norm**2
        if square <= quantile.norm**2:
            assert list(scores(quantile, fast)) == [slow_scores(quantile, cell) for cell in weighted]
        else:
            # Shrunk by one factor: no cell's weight by more than a truncation beyond it.
            factor = math.sqrt(quantile.norm**2 / square)
            for cell, mine in zip(weighted, fast, strict=True):
                total = sum(weight for _, weight in cell)
                assert total * factor * (1 - 1e-9) - len(cell) - 1 <= int(mine.sum()) <= total


@given(st.integers(0, 2**32))
@settings(LIMITS, max_examples=300)
def test_every_statistic_is_the_slow_arithmetic_and_moves_as_declared(seed: int) -> None:
    check_everything(Random(seed))


@pytest.mark.soak
@by_seeds(100_000, at_once=2_000)
def test_the_same_many_times(seeds: range) -> None:
    try_each(seeds, lambda seed: check_everything(Random(seed)))


# Reach: the bounds are met, not only kept


def test_grouping_sets_count_each_in_the_norm() -> None:
    """A person in one cell of each of three sets has a vector √3 times as long (S27)."""
    key = CategoryKey(0, ("a", "b"), nullable=False)
    other = CategoryKey(1, ("x", "y"), nullable=False)
    a_plan = planned((key, other), (CountPersons(),), 1, 1, sets=((0, 1), (0,), ()))
    step = a_plan.bounds.components[0].steps
    assert a_plan.bounds.cells == 4 + 2 + 1
    assert contributions(a_plan, stream([[(0, 1)]], 2)).values == (0, step, 0, 0, step, 0, step)
    assert 3 * step**2 <= a_plan.bounds.norm**2 < 3 * step**2 * 1.000_1


def check_score_reach() -> None:
    """One person can move a quantile's scores by exactly the room's reach, and by replacement nearly by the table's."""
    a_plan = planned((), (Quantile(0, 0, 10, ONE, Fraction(1, 10), discrete=True),), 2, 1)
    quantile = a_plan.bounds.quantiles[0]
    reach = quantile_reach(quantile, one_cell=True)
    others = contributions(a_plan, stream([[(5,)]] * 40, 1)).weights[0]
    low = contributions(a_plan, stream([[(0,)] * 7], 1)).weights[0]
    high = contributions(a_plan, stream([[(10,)] * 7], 1)).weights[0]
    before = list(scores(quantile, others))
    near = Fraction(99_999, 100_000)
    assert reach.everywhere * near <= moved(before, list(scores(quantile, others + low))) <= reach.everywhere
    there = list(scores(quantile, others + low))
    assert reach.in_one_table * near <= moved(there, list(scores(quantile, others + high))) <= reach.in_one_table


def test_scores_reach_what_is_charged() -> None:
    check_score_reach()


def check_rows_at_a_candidate() -> None:
    """Somebody whose rows lie at a candidate counts on one side of it, whichever way the crowd leans."""
    for tenths in (1, 5, 9):
        a_plan = planned((), (Quantile(0, 0, 10, ONE, Fraction(tenths, 10), discrete=True),), 2, 1)
        quantile = a_plan.bounds.quantiles[0]
        reach = quantile_reach(quantile, one_cell=True)
        for crowd in (0, 5, 10):
            others = contributions(a_plan, stream([[(crowd,)]] * 40, 1)).weights[0]
            before = list(scores(quantile, others))
            for mine in range(11):
                weights = contributions(a_plan, stream([[(mine,)] * 7], 1)).weights[0]
                assert moved(before, list(scores(quantile, others + weights))) <= reach.everywhere


def test_rows_at_a_candidate_count_on_one_side() -> None:
    check_rows_at_a_candidate()


def check_candidates_are_public() -> None:
    """One person's going does not move the others' weights from bin to bin: the least value is theirs or not."""
    a_plan = planned((), (Quantile(0, 0, 10_000, ONE, Fraction(1, 2), discrete=True),), 1, 1)
    lowest, others = [[(17,)]], [[(400,)], [(9_000,)]]
    whole = contributions(a_plan, stream([*lowest, *others], 1)).weights[0]
    without = contributions(a_plan, stream(others, 1)).weights[0]
    assert np.flatnonzero(whole[0] - without[0]).tolist() == [2 * 17]


def test_candidates_do_not_depend_on_rows() -> None:
    check_candidates_are_public()


def test_a_value_that_many_have_is_the_median() -> None:
    """Prices: 30 persons pay 10, 20 pay 15, 50 pay 42. No value between 10 and 42 but 15 is as good (docs/adr/0017)."""
    a_plan = planned((), (Quantile(0, 0, 50, ONE, Fraction(1, 2), discrete=True),), 1, 1)
    quantile = a_plan.bounds.quantiles[0]
    for thirty, twenty, rest, wanted in ((30, 22, 48, 15), (10, 50, 40, 15), (52, 8, 40, 10), (8, 40, 52, 42)):
        paid = [[(10,)]] * thirty + [[(15,)]] * twenty + [[(42,)]] * rest
        (found,) = scores(quantile, contributions(a_plan, stream(paid, 1)).weights[0])
        assert [place for place, score in enumerate(found) if score == max(found)] == [wanted]


def test_weights_of_many_cells_are_as_long_as_the_norm() -> None:
    a_plan = planned(
        (NumberKey(0, 0, 49, ONE, nullable=False),), (Quantile(1, 0, 3, ONE, Fraction(1, 2), discrete=True),), 3, 2
    )
    quantile = a_plan.bounds.quantiles[0]
    weights = contributions(a_plan, stream([[(cell, 1) for cell in range(50)]], 2)).weights[0]
    square = sum(int(cell.sum()) ** 2 for cell in weights)
    assert quantile.norm**2 * 0.999 <= square <= quantile.norm**2
    heavy = contributions(a_plan, stream([[(0, 1)] * 5_000], 2)).weights[0]
    assert 0.98 * 3 * quantile.weight <= int(heavy.sum()) <= 3 * quantile.weight


def check_one_factor() -> None:
    """Where three of seven rows count, all parts shrink alike (S34); values stay within what is declared."""
    for listed in ((Variance(0, 0, 9, ONE, sample=False, root=False),), (Mean(0, 0, 9, ONE),)):
        a_plan = planned((), listed, 3, 1)
        for rows in ([(9,), (0,), (1,), (1,), (2,), (0,), (None,), (0,)], [(0,), (15,), (None,)]):
            check_kernel(a_plan, stream([rows], 1))  # type: ignore[list-item]


def test_rows_total_and_squares_shrink_by_one_factor() -> None:
    check_one_factor()


# Grouping sets and labels


def test_rollup_shows_null_and_grouping() -> None:
    keys = (
        ListedKey(0, (0, 1), (False, True), nullable=True),
        ListedKey(1, (10, 20, 30), (Decimal("0.5"), Decimal(1), Decimal("1.5")), nullable=False),
    )
    plain = planned(keys, (CountPersons(),), 1, 9, sets=((0, 1), (0,), ()))
    outputs = (KeyOutput("k", 0), KeyOutput("l", 1), GroupingOutput("g", (0, 1)), StatisticOutput("n", 0))
    a_plan = replace(plain, outputs=outputs)
    rows = stream([[(1, 20)], [(1, 30)], [(None, 10)], [(1, 99)]], 2)
    cells = list(NoisedRelease(a_plan, 1.0, contributions(a_plan, rows).values).cells())
    shown = {cell.keys: cell.values[0].number for cell in cells}
    assert len(cells) == 9 + 3 + 1 == len(shown)
    full = {keys for keys in shown if keys[2] == 0}
    assert full == {(k, m, 0) for k in (False, True, None) for m in (Decimal("0.5"), Decimal(1), Decimal("1.5"))}
    assert {keys: n for keys, n in shown.items() if n} == {
        (True, Decimal(1), 0): 1,
        (True, Decimal("1.5"), 0): 1,
        (None, Decimal("0.5"), 0): 1,
        # The row that no cell of both keys holds is one of its region's, and of everybody's.
        (True, None, 1): 3,
        (None, None, 1): 1,
        (None, None, 3): 4,
    }
    assert plain.digest() != planned(keys, (CountPersons(),), 1, 9).digest()


def test_labels_of_fractions_are_decimals() -> None:
    third = planned((NumberKey(0, 0, 3, Fraction(1, 3), nullable=False),), (CountRows(),), 1, 1)
    eighth = planned((NumberKey(0, 0, 3, Fraction(1, 8), nullable=False),), (CountRows(),), 1, 1)
    shown = []
    for a_plan in (third, eighth):
        full = replace(a_plan, outputs=(KeyOutput("k", 0),))
        shown.append([cell.keys[0] for cell in NoisedRelease(full, 1.0, (0,) * 4).cells()])
    assert shown[1] == [Decimal(0), Decimal("0.125"), Decimal("0.25"), Decimal("0.375")]
    assert [round(float(str(value)), 12) for value in shown[0]] == [0, 0.333333333333, 0.666666666667, 1]


@pytest.mark.parametrize("codes", [(1, 1), (2, 1), ()])
def test_a_listed_key_is_ascending_and_labelled(codes: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="listed key"):
        ListedKey(0, codes, ("a",) * len(codes), nullable=False)
    assert known_codes(ListedKey(0, (1, 5), ("a", "b"), nullable=True)) == [1, 5]


# What is too wide


@pytest.mark.parametrize(
    "wide",
    [
        Sum(0, 0, LARGEST_VALUE + 1, ONE),
        Mean(0, -LARGEST_VALUE - 1, 0, ONE),
        Quantile(0, 0, LARGEST_VALUE + 1, ONE, Fraction(1, 2), discrete=True),
        Variance(0, 0, 2 * LARGEST_HALF_WIDTH + 2, ONE, sample=True, root=False),
    ],
)
def test_bounds_that_might_not_sum_exactly_are_refused_with_a_hint(wide: Any) -> None:
    with pytest.raises(Refused) as caught:
        planned((), (wide,), 1, 1)
    assert caught.value.code == "bounds_too_wide"
    assert "ROUND" in caught.value.refusals[0].hint.en  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "widest",
    [
        Sum(0, -LARGEST_VALUE, LARGEST_VALUE, ONE),
        Mean(0, -LARGEST_VALUE, LARGEST_VALUE, ONE),
        Variance(0, -LARGEST_HALF_WIDTH, LARGEST_HALF_WIDTH, ONE, sample=True, root=False),
        Variance(0, LARGEST_VALUE - 2 * LARGEST_HALF_WIDTH, LARGEST_VALUE, ONE, sample=True, root=False),
    ],
)
def test_the_widest_bounds_admitted_sum_exactly_over_all_rows_of_a_person(widest: Any) -> None:
    for rows in (65_535, 3):
        a_plan = planned((), (widest,), rows, 1)
        for value in (widest.lower, widest.upper):
            persons = [[(value,)] * 131_072, [(value,)]]
            check_kernel(a_plan, stream(persons, 1))  # type: ignore[arg-type]


def test_many_quantiles_of_many_cells_are_refused() -> None:
    key = NumberKey(0, 0, MAX_SCORES // 64, ONE, nullable=False)
    with pytest.raises(Refused) as caught:
        planned((key,), (Quantile(1, 0, 500, ONE, Fraction(1, 2), discrete=True),), 1, 1)
    assert caught.value.code == "too_many_cells"
    fewer = planned(
        (NumberKey(0, 0, 4_095, ONE, nullable=False),),
        (Quantile(1, 0, 50_000, ONE, Fraction(1, 2), discrete=True),),
        1,
        1,
    )
    assert fewer.bounds.quantiles[0].candidates <= 256


def test_a_stream_s_order_of_rows_changes_no_integer() -> None:
    """Sums and weights of a person are those of a set of rows."""
    rng = Random(3)
    a_plan = any_plan(rng)
    rows = any_rows(rng, a_plan)
    first = next(each_person(rows), None)
    if first is not None:
        turned = PersonRows(
            first.persons,
            first.starts,
            {at: Codes(c.values[::-1].copy(), c.present[::-1].copy()) for at, c in first.columns.items()},
        )
        assert contributions(a_plan, first).values == contributions(a_plan, turned).values
