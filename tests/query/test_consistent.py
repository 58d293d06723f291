"""Cells that were made to add up do, exactly; least squares by another road says the same; margins cover."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from itertools import product
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rooms import TNM, admit, catalog_of
from searches import LIMITS
from slow_vector import planned

from cleanroom.accounting.privacy_loss import Rho
from cleanroom.errors import Refused
from cleanroom.query.binding.question import bind_question
from cleanroom.query.bound import Measured
from cleanroom.query.combining import answered
from cleanroom.query.consistent import consistency_notes, consistent, variance_factor
from cleanroom.query.drawn import Drawn
from cleanroom.query.mechanisms import Noise
from cleanroom.query.noise import add_noise
from cleanroom.query.parse import parse
from cleanroom.query.plan import Plan, QuestionPlan
from cleanroom.query.release import NoisedRelease
from cleanroom.query.statistics import CategoryKey, CountPersons, CountRows, KeyOutput, Mean, StatisticOutput, Sum
from cleanroom.query.totals import additive, require_consistent

FALSE_ALARM = 1e-9
ROLLUP = ((), (0,), (0, 1))
CUBE = ((), (0,), (0, 1), (1,))
SETS = (
    ROLLUP,
    CUBE,
    ((0,), (0, 1)),
    ((), (0,), (1,)),
    ((), (0, 1)),
    ((), (0,), (0, 1), (0, 1, 2)),
    ((0, 1), (1,), (1, 2)),
)
ALL = (CountRows(), CountPersons(), Sum(3, 0, 40, Fraction(1)), Mean(3, 0, 40, Fraction(1)))


def plan_of(
    sizes: tuple[int, ...], sets: tuple[tuple[int, ...], ...], listed: tuple[Any, ...] = ALL, **more: Any
) -> Plan:
    keys = tuple(
        CategoryKey(at, tuple(f"v{code}" for code in range(size)), nullable=False) for at, size in enumerate(sizes)
    )
    made = planned(keys, listed, 4, 2, sets=sets, **more)
    return replace(made, outputs=(*(KeyOutput(f"k{at}", at) for at in range(len(keys))), *made.outputs))


def cells_of(plan: Plan) -> list[tuple[int, dict[int, int]]]:
    """Return each cell as its set and the codes of its keys, set by set, stated here apart from the product."""
    sizes = [key.size for key in plan.keys]
    return [
        (at, dict(zip(chosen, codes, strict=True)))
        for at, chosen in enumerate(plan.sets)
        for codes in product(*(range(sizes[key]) for key in chosen))
    ]


def design(plan: Plan) -> np.ndarray[Any, Any]:
    """Return the matrix that adds up a table over all keys to every cell."""
    atoms = list(product(*(range(key.size) for key in plan.keys)))
    return np.array(
        [[all(atom[key] == code for key, code in cell.items()) for atom in atoms] for _, cell in cells_of(plan)], float
    )


def release_of(plan: Plan, rng: Random, scale: float = 5_000.0) -> NoisedRelease:
    count = plan.bounds.cells * len(plan.bounds.components)
    return NoisedRelease(plan, scale, tuple(rng.randrange(-(10**7), 10**7) for _ in range(count)))


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    sets = draw(st.sampled_from(SETS))
    keys = 1 + max((key for chosen in sets for key in chosen), default=0)
    sizes = tuple(draw(st.integers(1, 4)) for _ in range(keys))
    return plan_of(sizes, sets, tuple(draw(st.lists(st.sampled_from(ALL), min_size=1, unique=True))))


@given(plans(), st.randoms(use_true_random=False))
@settings(LIMITS, max_examples=80)
def test_cells_add_up_exactly_and_persons_stay_as_drawn(plan: Plan, rng: Random) -> None:
    release = release_of(plan, rng)
    adjusted = consistent(release)
    width, where = len(plan.bounds.components), cells_of(plan)
    for place in range(width):
        mine = adjusted.steps[place::width]
        if plan.bounds.components[place].measured is Measured.PERSONS:
            assert mine == release.steps[place::width]
            continue
        for at, cell in enumerate(where):
            for other in range(len(plan.sets)):
                if set(cell[1]) < set(plan.sets[other]):
                    parts = [
                        mine[each]
                        for each, (number, codes) in enumerate(where)
                        if number == other and cell[1].items() <= codes.items()
                    ]
                    assert sum(parts) == mine[at]


@given(plans(), st.randoms(use_true_random=False))
@settings(LIMITS, max_examples=60)
def test_an_independent_least_squares_says_the_same_numbers_and_variances(plan: Plan, rng: Random) -> None:
    release = release_of(plan, rng)
    adjusted, width = consistent(release), len(plan.bounds.components)
    matrix = design(plan)
    projection = matrix @ np.linalg.pinv(matrix)
    for place in additive(plan):
        drawn = np.array([float(each) for each in release.steps[place::width]])
        mine = np.array([float(each) for each in adjusted.steps[place::width]])
        assert np.allclose(mine, projection @ drawn, rtol=1e-9, atol=1e-3)
    variances = np.diag(projection @ projection.T)
    for (number, _), variance in zip(cells_of(plan), variances, strict=True):
        assert float(variance_factor(plan, plan.sets[number])) == pytest.approx(variance, abs=1e-9)
        assert variance_factor(plan, plan.sets[number]) <= 1
        if adjusted.spread:
            assert variance <= adjusted.spread[number] ** 2 <= variance * (1 + 1e-9)


@pytest.mark.parametrize("step", [16_384, 2**56, 2**59])
def test_what_adds_up_already_is_left_as_it_is(step: int) -> None:
    """Unbiased: the numbers without noise, which add up, are their own projection; beyond 64 bits as well."""
    plan = plan_of((3, 4), CUBE, (CountRows(),))
    table = np.arange(12, dtype=object).reshape(3, 4) * step
    exact = (int(table.sum()), *table.sum(axis=1).tolist(), *table.ravel().tolist(), *table.sum(axis=0).tolist())
    assert consistent(NoisedRelease(plan, 1.0, exact)).steps == exact


def test_combined_draws_add_up_with_margins_of_their_own() -> None:
    plan = plan_of((3, 4), CUBE, (CountRows(),))
    draws = [Drawn(Noise(scale), release_of(plan, Random(seed)).steps) for seed, scale in ((1, 9_000.0), (2, 6_000.0))]
    combined = answered(plan, draws)
    adjusted = consistent(combined)
    inner = [at for at, (number, _) in enumerate(cells_of(plan)) if plan.sets[number] == (0, 1)]
    assert adjusted.steps[0] == sum(adjusted.steps[at] for at in inner)
    (before, *_), (after, *_) = ([cell.values[0].margin95 for cell in each.cells()] for each in (combined, adjusted))
    assert before is not None
    assert after == pytest.approx(before * math.sqrt(variance_factor(plan, ())), rel=1e-3)


@pytest.mark.parametrize("sets", [ROLLUP, CUBE])
def test_margins_of_adjusted_cells_cover_nineteen_times_of_twenty(sets: tuple[tuple[int, ...], ...]) -> None:
    """Over draws of real noise on zero: within Hoeffding's bound at 1e-9; margins of two thirds would fail."""
    plan = plan_of((3, 4), sets, (CountRows(),))
    runs, scale = 1_200, 8_192.0
    zeros, norm = (0,) * plan.bounds.cells, 8_192
    paid = Rho.at_least(Fraction(norm) ** 2 / (2 * Fraction(scale) ** 2))
    inside = dict.fromkeys(range(len(plan.sets)), 0)
    narrower = dict(inside)
    first = {number: at for at, (number, _) in reversed(list(enumerate(cells_of(plan))))}
    for _ in range(runs):
        drawn = add_noise(zeros, norm=norm, scale=scale, charged=paid)
        cells = list(consistent(NoisedRelease(plan, scale, drawn)).cells())
        for number, at in first.items():
            (value,) = cells[at].values
            assert value.number is not None
            assert value.margin95 is not None
            inside[number] += abs(value.number) <= value.margin95
            narrower[number] += abs(value.number) <= 0.6 * value.margin95
    slack = math.sqrt(math.log(2 * len(inside) / FALSE_ALARM) / (2 * runs))
    assert all(abs(count / runs - 0.95) <= slack for count in inside.values()), inside
    assert all(count / runs < 0.95 - slack for count in narrower.values()), narrower


def test_nothing_is_adjusted_where_a_cell_is_withheld() -> None:
    plan = plan_of((2,), ((), (0,)), (CountRows(), CountPersons()), threshold=20)
    persons = next(at for at, each in enumerate(plan.bounds.components) if each.measured is Measured.PERSONS)
    twenty = math.ceil(20 / plan.bounds.components[persons].step)

    def release(*counted: int) -> NoisedRelease:
        rows = [[10**6 + place, 10**6 + place] for place in range(3)]
        for row, count in zip(rows, counted, strict=True):
            row[persons] = count
        return NoisedRelease(plan, 1.0, tuple(each for row in rows for each in row))

    shown = release(twenty, twenty, twenty)
    assert consistent(shown).steps != shown.steps
    hidden = release(twenty, twenty - 1, twenty)
    assert hidden.withheld() == (1,)
    assert consistent(hidden) == hidden


def test_what_has_no_totals_or_only_persons_or_is_pure_stays_as_it_is() -> None:
    for plan in (
        plan_of((2, 3), ((0, 1),), (CountRows(),)),
        plan_of((2,), ((), (0,)), (CountPersons(),)),
        plan_of((2,), ((), (0,)), (CountRows(),), pure=True),
    ):
        release = release_of(plan, Random(5))
        assert consistent(release) is release


def test_what_is_said_of_cells_that_were_to_add_up() -> None:
    rolled = plan_of((2,), ((), (0,)), (CountRows(),))
    drawn, plain = release_of(rolled, Random(5)), release_of(plan_of((2,), ((0,),), (CountRows(),)), Random(5))
    persons = release_of(plan_of((2,), ((), (0,)), (CountPersons(),)), Random(5))
    adjusted = consistent(drawn)
    assert adjusted.spread
    # Withheld cells leave a release as it was drawn, and that alone is why one with totals is not adjusted.
    for shown, words in (
        ((adjusted,), ["adjusted afterwards"]),
        ((adjusted, plain), ["adjusted afterwards"]),
        ((plain, persons), []),
        ((drawn,), ["nothing is adjusted"]),
        ((adjusted, drawn, plain), ["adjusted afterwards", "nothing is adjusted"]),
    ):
        found = consistency_notes(shown)
        assert [word in note.en for word, note in zip(words, found, strict=True)] == [True] * len(words)
        assert all(note.fr != note.en for note in found)


def test_what_computes_from_its_numbers_is_refused_and_what_shows_them_is_not() -> None:
    made = {TNM: catalog_of(TNM)}
    total = "SELECT region, COUNT(*) AS n FROM tnm.visits GROUP BY ROLLUP (region)"

    def question(said: str) -> QuestionPlan:
        bound = bind_question(parse(f"SELECT {said} FROM ({total}) AS q", None), made, {})  # noqa: S608
        assert bound.finish is not None
        return QuestionPlan((admit(total, None, made),), bound.finish)

    for said in ("n, region, 'x' AS c", "'x' AS c, n"):
        require_consistent(question(said))
    for said in ("region, n * 2 AS twice", "n, n + 1 AS more", "region, n, n / 3 AS third"):
        with pytest.raises(Refused) as caught:
            require_consistent(question(said))
        hint = caught.value.refusals[0].hint
        assert hint is not None
        assert "computes from its numbers" in hint.en
        assert "calcule sur ses nombres" in hint.fr


def test_one_release_that_adds_up_is_enough_and_one_pure_is_too_many() -> None:
    made = {TNM: catalog_of(TNM)}
    total = "SELECT region, COUNT(*) AS n FROM tnm.visits GROUP BY ROLLUP (region)"
    rows, persons, pure = (
        admit(total, None, made),
        admit(total.replace("COUNT(*)", "COUNT(DISTINCT person)"), None, made),
        admit(total, None, made, pure=True),
    )
    require_consistent(QuestionPlan((persons, rows), None))
    with pytest.raises(Refused):
        require_consistent(QuestionPlan((rows, pure), None))


def test_what_cannot_add_up_is_refused() -> None:
    made = {TNM: catalog_of(TNM)}
    total = "SELECT region, COUNT(*) AS n FROM tnm.visits GROUP BY ROLLUP (region)"
    require_consistent(QuestionPlan((admit(total, None, made),), None))
    for sql, pure, word in (
        ("SELECT region, COUNT(*) AS n FROM tnm.visits GROUP BY region", False, "ROLLUP"),
        (total.replace("COUNT(*)", "COUNT(DISTINCT person)"), False, "persons"),
        (total, True, "pure"),
    ):
        with pytest.raises(Refused) as caught:
            require_consistent(QuestionPlan((admit(sql, None, made, pure=pure),), None))
        hint = caught.value.refusals[0].hint
        assert hint is not None
        assert word in hint.en
        assert hint.fr != hint.en


def test_values_are_those_of_the_adjusted_numbers() -> None:
    plan = plan_of((2,), ((), (0,)), (CountRows(),))
    unit = plan.bounds.components[0].step
    steps = tuple(math.ceil(value / unit) for value in (100, 30, 40))
    cells = list(consistent(NoisedRelease(plan, 5_000.0, steps)).cells())
    numbers = [cell.values[0].number for cell in cells]
    # The gap of thirty is shared out: each of the three numbers moves by a third of it.
    assert numbers == pytest.approx([90, 40, 50])
    assert isinstance(plan.outputs[-1], StatisticOutput)
    assert cells[0].values[0].margin95 == pytest.approx(cells[1].values[0].margin95)
    assert cells[0].values[0].margin95 == pytest.approx(1.96 * 5_000 * float(unit) * math.sqrt(2 / 3), rel=1e-3)
