"""Bounds that pure questions choose: persons by size with discrete Laplace noise (S11, S38)."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from random import Random

import pytest
from pure_plans import FALSE_ALARM, distance, furthest, priced
from rooms import FRANCOS, TNM, Engine, Room, catalog_of
from test_sensitivity import BOTH, visit

from cleanroom.accounting.account import ROOM, AccountId
from cleanroom.accounting.privacy_loss import PureEpsilon, Rho
from cleanroom.catalog import Contribution
from cleanroom.query.binding.question import bind_question
from cleanroom.query.choosing import FALL
from cleanroom.query.contribution import streamed
from cleanroom.query.drawing import picked_bound
from cleanroom.query.mechanisms import choice_reach
from cleanroom.query.parse import parse
from cleanroom.query.plan import Plan
from cleanroom.query.planning import AskedBounds
from cleanroom.query.planning import planned as bounds_planned
from cleanroom.query.precision import Auto, Epsilon, Margin, Precision
from cleanroom.query.sharing import split_of
from cleanroom.query.sizes import persons_by_size, size_columns

CHOSEN = {
    "rows": ("SELECT region, COUNT(*) AS n FROM tnm.visits GROUP BY region", AskedBounds(max_rows=Auto.AUTO)),
    "total": ("SELECT region, SUM(seats) AS s FROM tnm.visits GROUP BY region", AskedBounds(max_sum=Auto.AUTO)),
    "mean": ("SELECT region, AVG(seats) AS v FROM tnm.visits GROUP BY region", AskedBounds(max_rows=Auto.AUTO)),
    "cells": ("SELECT region, COUNT(*) AS n FROM tnm.visits GROUP BY region", AskedBounds(max_groups=Auto.AUTO)),
    "one": ("SELECT COUNT(*) AS n FROM tnm.visits", AskedBounds(max_rows=Auto.AUTO)),
}


def chosen(name: str, *, two: bool = False) -> Plan:
    sql, asked_bounds = CHOSEN[name]
    made = {table: catalog_of(table, most_rows=200, contribution=Contribution(3, 2)) for table in (TNM, FRANCOS)}
    if two:
        sql = sql.replace("FROM tnm.visits", f"FROM ({BOTH.format(columns='region, seats')}) AS t")
    (release,) = bind_question(parse(sql, None), made, {}).releases
    return bounds_planned(release, asked_bounds, made, 0, pure=True)


@pytest.mark.parametrize("two", [False, True])
@pytest.mark.parametrize("wanted", [Epsilon(Decimal(1)), Margin(Decimal(2_000))])
@pytest.mark.parametrize("name", sorted(CHOSEN))
def test_a_pure_charge_covers_the_choice_and_whatever_it_leads_to(name: str, wanted: Precision, two: bool) -> None:
    if name == "mean" and isinstance(wanted, Margin):
        return
    a_plan = chosen(name, two=two)
    found = priced((a_plan,), wanted, {TNM})
    (noise,), choice = found.noises, a_plan.bounds.choice
    assert choice is not None
    assert noise.choice is not None
    by_account = {charge.account: charge.loss for charge in found.charges}
    tnm, room = by_account[AccountId(TNM)], by_account[ROOM]
    assert isinstance(tnm, PureEpsilon)
    assert isinstance(room, Rho)
    # One person is in one number of persons by size: 1 when they go, 2 when their size changes.
    choosing = Fraction(2 if two else 1) / Fraction(noise.choice.scale)
    assert choosing > 0
    for place in range(len(choice.candidates)):
        settled, scale = a_plan.settled(place), noise.choice.settled[place].vector
        assert scale is not None
        after = Fraction(furthest(settled)) / Fraction(scale)
        assert after + choosing <= tnm.as_fraction()
        everywhere = (Fraction(settled.bounds.norm) / Fraction(scale)) ** 2 + 1 / Fraction(noise.choice.scale) ** 2
        assert everywhere / 2 <= room.as_fraction()
    if isinstance(wanted, Epsilon):
        assert tnm.pico <= PureEpsilon.at_most(Fraction(1)).pico <= tnm.pico * 1.000_001
    assert split_of((a_plan,), (noise,)).statistics


def test_pure_totals_are_chosen_among_as_wide_ones_as_the_default_s_length() -> None:
    """Seats go up to 12, three rows count by default, two cells in full: 72 in L1, which one cell in full gives too."""
    made = {TNM: catalog_of(TNM, most_rows=200, contribution=Contribution(3, 2))}

    def widest(said: str, rows: int | None = None, groups: int | None = None, *, pure: bool = True) -> int:
        sql = f"SELECT region, {said} FROM tnm.visits GROUP BY region"  # noqa: S608 - the statistics of this test
        (release,) = bind_question(parse(sql, None), made, {}).releases
        a_plan = bounds_planned(release, AskedBounds(rows, groups, Auto.AUTO), made, 0, pure=pure)
        assert a_plan.bounds.choice is not None
        assert a_plan.bounds.choice.candidates[-1] == max(each.natural for each in a_plan.bounds.components)
        return a_plan.bounds.choice.candidates[-1]

    total = "SUM(seats) AS s"
    assert widest(total) == widest(f"{total}, COUNT(DISTINCT person) AS n") == 72
    # Rows that were given, or that something else counts by, stay as they are.
    assert widest(total, rows=3) == widest(total, groups=2) == widest(f"{total}, COUNT(*) AS n") == 36
    assert widest(total, pure=False) == 36


def test_a_pure_choice_aims_at_its_noise_and_how_far_it_strays() -> None:
    for name in ("total", "rows"):
        a_plan = chosen(name)
        (noise,) = priced((a_plan,), Epsilon(Decimal(1)), {TNM}).noises
        assert noise.choice is not None
        assert noise.vector is not None
        (component,) = a_plan.bounds.components
        there = noise.vector / component.reach * a_plan.bounds.cells
        assert noise.choice.target == math.ceil(FALL * there + math.sqrt(2) / 2 * noise.choice.scale)


def test_of_bounds_that_nobody_exceeds_the_narrowest_is_picked_purely() -> None:
    """Two thousand people with a row each, at ε 1; a false alarm once in 10⁹ rounds of draws."""
    a_plan = chosen("rows")
    found = priced((a_plan,), Epsilon(Decimal(1)), {TNM})
    made, engine, catalog = 300, Engine(a_plan), {TNM: catalog_of(TNM, most_rows=200)}
    visits = tuple((person, visit(region="nord")[1]) for person in range(2_000))
    with engine.reading(Room(catalog, {TNM: (visits,)})):
        picked = [picked_bound(a_plan, found.noises[0], engine.backend, None, found.paid[0][0]) for _ in range(made)]
    stray = math.sqrt(math.log(1 / FALSE_ALARM) / (2 * made))
    choice = a_plan.bounds.choice
    assert choice is not None
    assert picked.count(0) / made > 0.75 - stray > 1 / len(choice.candidates) + stray


def check_sizes(name: str, seeds_tried: int) -> None:
    """Remove each person everywhere, then from one table: persons by size move by no more than is charged."""
    a_plan = chosen(name, two=True)
    choice = a_plan.bounds.choice
    assert choice is not None
    reach = choice_reach(choice)
    made = {table: catalog_of(table, most_rows=200) for table in (TNM, FRANCOS)}
    engine = Engine(a_plan)

    def sizes(room: Room) -> tuple[int, ...]:
        with engine.reading(room):
            columns = size_columns(a_plan, choice)
            return persons_by_size(a_plan, streamed(a_plan, engine.backend, columns), None)

    for seed in range(seeds_tried):
        rng = Random(seed)
        people = [
            [
                tuple(
                    visit(region=rng.choice(("nord", "sud")), seats=rng.choice((0, 3, 9)))
                    for _ in range(rng.choice((0, 1, 5, 40)))
                )
                for _ in range(2)
            ]
            for _ in range(5)
        ]
        room = Room(
            made,
            {
                table: (tuple((person, row[1]) for person, mine in enumerate(people) for row in mine[place]),)
                for place, table in enumerate((TNM, FRANCOS))
            },
        )
        whole = sizes(room)
        for person in room.persons:
            for tables, allowed in ((None, reach.everywhere), ({FRANCOS}, reach.in_one_table)):
                assert distance(whole, sizes(room.without(person, tables))) <= allowed


@pytest.mark.parametrize("name", sorted(CHOSEN))
def test_nobody_moves_persons_by_size_further_than_is_charged(name: str) -> None:
    check_sizes(name, 4)


def test_a_size_is_what_clipping_looks_at() -> None:
    """Of one person with twenty rows in each of two cells the L1 length is forty; L2 would be twenty-eight."""
    a_plan = chosen("rows")
    choice = a_plan.bounds.choice
    assert choice is not None
    assert {24, 32} < set(choice.candidates)
    mine = tuple(visit(region=region) for region in ("nord", "sud") for _ in range(20))
    engine = Engine(a_plan)
    with engine.reading(Room({TNM: catalog_of(TNM, most_rows=200)}, {TNM: (mine,)})):
        counts = persons_by_size(a_plan, streamed(a_plan, engine.backend, size_columns(a_plan, choice)), None)
    assert sum(counts) == 1
    assert ((*choice.candidates, 999)[counts.index(1)]) >= 40


def test_the_best_bound_is_picked_where_its_noise_is_small() -> None:
    a_plan = chosen("one")
    choice = a_plan.bounds.choice
    assert choice is not None
    (noise,) = priced((a_plan,), Epsilon(Decimal(3_000)), {TNM}).noises
    (paid,) = priced((a_plan,), Epsilon(Decimal(3_000)), {TNM}).paid
    assert noise.choice is not None
    visits = tuple((person, visit()[1]) for person in range(40) for _ in range(1 if person else 20))
    made = {TNM: catalog_of(TNM, most_rows=200)}
    engine = Engine(a_plan)
    with engine.reading(Room(made, {TNM: (visits,)})):
        counts = persons_by_size(a_plan, streamed(a_plan, engine.backend, size_columns(a_plan, choice)), None)
        scores = choice.scores(counts, noise.choice.target, noise.choice.pulls)
        for _ in range(5):
            picked = picked_bound(a_plan, noise, engine.backend, None, paid[0])
            assert picked is not None
            assert scores[picked] == max(scores)
