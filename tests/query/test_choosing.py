"""Bounds chosen among public candidates: what a person moves, what is charged whatever comes out (S38)."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import TYPE_CHECKING

import pytest
from empirical import FRANCOS, HEAVY, RULES, crowd, room_of, rows
from rooms import Engine, Room

from cleanroom.accounting.account import ROOM
from cleanroom.accounting.accountant import charges_of
from cleanroom.errors import InvariantBroken, Refused
from cleanroom.identifiers import PartyId, Purpose, Role
from cleanroom.query.bound import BoundChoice, Sized
from cleanroom.query.choosing import pulls
from cleanroom.query.contribution import exact_vector, streamed
from cleanroom.query.drawing import picked_bound
from cleanroom.query.gate import Question, ValidatedPlan, admit
from cleanroom.query.mechanisms import choice_reach, draws, settled_noise
from cleanroom.query.planning import AskedBounds
from cleanroom.query.precision import Auto, precision
from cleanroom.query.release import margins_before
from cleanroom.query.sizes import persons_by_size, size_columns

if TYPE_CHECKING:
    from memory_reader import Row

AUTO = Auto.AUTO
PLAIN = AskedBounds()
BOTH = "(SELECT person, region, seats FROM tnm.visits UNION ALL SELECT person, region, seats FROM francos.visits) AS t"
COUNTS = f"SELECT region, COUNT(*) AS n FROM {BOTH} GROUP BY region"  # noqa: S608
MEDIANS = f"SELECT region, MEDIAN(seats) AS v FROM {BOTH} GROUP BY region"  # noqa: S608
MEANS = f"SELECT region, AVG(seats) AS v FROM {BOTH} GROUP BY region"  # noqa: S608
SUMS = f"SELECT region, SUM(seats - 30) AS s FROM {BOTH} GROUP BY region"  # noqa: S608
ROWS, TOTAL = AskedBounds(max_rows=AUTO), AskedBounds(max_sum=AUTO)
GROUPS = AskedBounds(max_groups=AUTO)
CELLS = COUNTS.replace("COUNT(*)", "COUNT(DISTINCT person)")
ASKED = {
    "counts": (COUNTS, ROWS),
    "means": (MEANS, ROWS),
    "sums": (SUMS, TOTAL),
    "cells": (CELLS, GROUPS),
    "medians": (MEDIANS, ROWS),
}


def admitted(sql: str, bounds: AskedBounds = PLAIN, **wanted: object) -> ValidatedPlan:
    """Return a question's plan as the gate issues it."""
    how = precision(**(wanted or {"epsilon": 1}))
    given = (bounds.max_rows, bounds.max_groups, (), bounds.max_sum)
    return admit(Question(sql, None, PartyId("tnm"), Role.MEMBER, Purpose("audit"), how, *given), RULES)


def sizes(validated: ValidatedPlan, room: Room) -> tuple[int, ...]:
    """Return the persons of a room by size."""
    (plan,) = validated.plan.releases
    assert plan.bounds.choice is not None
    engine = Engine(plan)
    with engine.reading(room):
        return persons_by_size(plan, streamed(plan, engine.backend, size_columns(plan, plan.bounds.choice)), None)


def some_room(seed: int) -> Room:
    """Return a room of few persons, some of them heavy, at both members."""
    rng = Random(seed)

    def visits() -> list[Row]:
        return [
            (person, (rng.choice(("nord", "sud", "est")), rng.choice((0, 3, 100)), 1, "web"))
            for person in range(1, 7)
            for _ in range(rng.choice((0, 1, 2, 5, 40)))
        ]

    return room_of(tnm=visits(), francos=visits())


@pytest.mark.parametrize("name", sorted(ASKED))
def test_persons_are_counted_once_by_their_size(name: str) -> None:
    sql, asked = ASKED[name]
    validated = admitted(sql, asked)
    choice = validated.plan.releases[0].bounds.choice
    assert choice is not None
    for seed in range(8):
        room = some_room(seed)
        mine: defaultdict[int, Counter[str]] = defaultdict(Counter)
        for parts in room.uploads.values():
            for person, (region, seats, *_) in parts[0]:
                assert person is not None
                mine[person][region] += seats - 30 if choice.sized is Sized.TOTAL else 1
        largest = [
            len(cells)
            if choice.sized is Sized.GROUPS
            else max(cells.values())
            if choice.below or name == "medians"
            else math.isqrt(sum(each**2 for each in cells.values()))
            for cells in mine.values()
        ]
        wanted = [sum(size <= edge for size in largest) for edge in choice.candidates]
        counts = sizes(validated, room)
        assert [sum(counts[: place + 1]) for place in range(len(choice.candidates))] == wanted
        assert sum(counts) == len(largest)


def check_scores(name: str, rooms: int) -> None:
    """Remove each person everywhere, then from one table: no score moves further than it was priced for."""
    sql, asked = ASKED[name]
    validated = admitted(sql, asked)
    choice = validated.plan.releases[0].bounds.choice
    assert choice is not None
    reach, noise = choice_reach(choice), validated.noises[0].choice
    assert noise is not None
    pulls = noise.pulls
    for seed in range(rooms):
        room = some_room(seed)
        whole = choice.scores(sizes(validated, room), 3, pulls)
        for person in room.persons:
            for tables, allowed in ((None, reach.everywhere), ({FRANCOS}, reach.in_one_table)):
                other = choice.scores(sizes(validated, room.without(person, tables)), 3, pulls)
                assert max(abs(a - b) for a, b in zip(whole, other, strict=True)) ** 2 <= allowed


@pytest.mark.parametrize("name", sorted(ASKED))
def test_nobody_moves_a_score_further_than_is_charged(name: str) -> None:
    check_scores(name, 5)


@pytest.mark.parametrize("wanted", [None, {"margin": 900}])
@pytest.mark.parametrize("name", ["counts", "sums", "cells"])
def test_what_is_charged_covers_the_choice_and_whatever_it_leads_to(name: str, wanted: dict[str, int] | None) -> None:
    sql, asked = ASKED[name]
    wanted = wanted or {"epsilon": 1}
    validated = admitted(sql, asked, **wanted)
    (plan,), (noise,), (paid,) = validated.plan.releases, validated.noises, validated.paid
    choice = plan.bounds.choice
    assert choice is not None
    assert noise.choice is not None
    charged = {each.account: each.rho for each in paid}
    reach = choice_reach(choice)
    for place in range(len(choice.candidates)):
        settled = plan.settled(place)
        after = draws(settled.bounds, settled_noise(noise, place))
        for each in charges_of(after, frozenset(plan.tables)):
            square = reach.everywhere if each.account == ROOM else reach.in_one_table
            mine = square / (2 * Fraction(noise.choice.scale) ** 2)
            assert each.rho.as_fraction() + mine <= charged[each.account].as_fraction() + Fraction(1, 10**11)
            assert mine > 0
        (margin,) = margins_before(settled, settled_noise(noise, place).scale)
        assert margin is not None
        # What is promised before is what the widest gives, and no other gives less.
        assert margin <= (margins_before(plan, noise.scale)[0] or 0) <= wanted.get("margin", float("inf"))


def alike(persons: int) -> Room:
    """Return a room where everybody has one row, in one region."""
    return room_of(tnm=[row for person in range(persons) for row in rows(person, ("nord", 40, 1, "web"))])


@pytest.mark.parametrize("name", sorted(ASKED))
def test_of_bounds_that_nobody_exceeds_the_narrowest_is_picked(name: str) -> None:
    """At ε 1: not at random, as where their scores are the same. A false alarm once in 10⁹ rounds of draws."""
    sql, asked = ASKED[name]
    validated = admitted(sql, asked, epsilon=1)
    (plan,), (noise,), (paid,) = validated.plan.releases, validated.noises, validated.paid
    choice = plan.bounds.choice
    assert choice is not None
    room, engine = alike(600), Engine(plan)
    counts = sizes(validated, room)
    (place,) = (at for at, count in enumerate(counts) if count)
    assert noise.choice is not None
    scores = choice.scores(counts, noise.choice.target, noise.choice.pulls)
    assert [at for at, score in enumerate(scores) if score == max(scores)] == [place]
    charge = next(each for each in paid if each.account == ROOM)
    made = 300
    with engine.reading(room):
        picked = Counter(picked_bound(plan, noise, engine.backend, None, charge) for _ in range(made))
    chances = [math.exp((score - max(scores)) / noise.choice.scale) for score in scores]
    stray = math.sqrt(math.log(1e9) / (2 * made))
    assert max(chances) / sum(chances) > 0.75
    # If these bounds were as likely as each other, the first would be picked this often at most.
    at_random = 1 / len(counts[place:-1]) + stray
    assert picked[place] / made > 0.75 - stray > at_random


@pytest.mark.parametrize("sized", list(Sized))
def test_a_bound_x_times_as_wide_is_x_times_less_likely_for_nothing(sized: Sized) -> None:
    """Or x√x times, of rows and cells: where noise grows with x, no wide bound costs more than its chance is small."""
    choice = BoundChoice(sized, None, 0, 0, (1, 2, 3, 64), (), 1, 0)
    scale, power = 1e6, 1 if sized is Sized.TOTAL else 1.5
    wanted = [width**-power for width in choice.candidates]
    assert [math.exp(-pull / scale) for pull in pulls(choice, scale)] == pytest.approx(wanted, rel=1e-5)
    assert pulls(choice, 1e-3) == (0, 0, 0, 0)


def test_heavy_persons_are_kept_where_noise_is_small_and_cut_where_it_is_not() -> None:
    """Six hundred persons have a row, ten have fifty; the best score, without the noise of the choice."""
    heavy = [row for person in range(10) for row in rows(person, *[("nord", 1, 1, "web")] * 50)]
    room = room_of(tnm=[*crowd(600), *heavy])
    for epsilon, least, most in ((2_000, 48, 64), (Decimal("0.05"), 1, 1)):
        validated = admitted("SELECT COUNT(*) AS n FROM tnm.visits", ROWS, epsilon=epsilon)
        choice, noise = validated.plan.releases[0].bounds.choice, validated.noises[0].choice
        assert choice is not None
        assert noise is not None
        scores = choice.scores(sizes(validated, room), noise.target, noise.pulls)
        assert least <= choice.candidates[scores.index(max(scores))] <= most


def test_a_choice_costs_an_eighth_of_a_statistic() -> None:
    validated = admitted(COUNTS, ROWS)
    (plan,), (noise,) = validated.plan.releases, validated.noises
    vector, choice = (draw.loss_at(draw.reach.in_one_table) for draw in draws(plan.bounds, noise))
    assert float(choice / vector) == pytest.approx(1 / 8, rel=1e-6)


def test_the_bound_that_is_picked_is_one_of_the_best_scores() -> None:
    """At a price where the noise of a choice is far below one person: nobody else is ever picked."""
    room = room_of(tnm=[*crowd(60), *rows(1, *[("nord", 1, 1, "web")] * 50)])
    validated = admitted("SELECT COUNT(*) AS n FROM tnm.visits", ROWS, epsilon=Decimal(20_000))
    (plan,), (noise,), (paid,) = validated.plan.releases, validated.noises, validated.paid
    assert plan.bounds.choice is not None
    assert noise.choice is not None
    scores = plan.bounds.choice.scores(sizes(validated, room), noise.choice.target, noise.choice.pulls)
    charge = next(each for each in paid if each.account == ROOM)
    engine = Engine(plan)
    for _ in range(5):
        with engine.reading(room):
            picked = picked_bound(plan, noise, engine.backend, None, charge)
        assert picked is not None
        assert scores[picked] == max(scores)


def test_nothing_is_read_with_a_bound_that_is_not_settled() -> None:
    (plan,) = admitted(COUNTS, ROWS).plan.releases
    engine = Engine(plan)
    room = room_of(tnm=HEAVY)
    with engine.reading(room), pytest.raises(InvariantBroken, match="still to be chosen"):
        exact_vector(plan, engine.backend, None)
    with pytest.raises(InvariantBroken, match="one to choose"):
        plan.settled(None)
    with pytest.raises(InvariantBroken, match="another release"):
        draws(plan.bounds, replace(admitted(COUNTS, ROWS).noises[0], choice=None))


def test_a_choice_that_changes_nothing_is_neither_made_nor_paid() -> None:
    persons = "SELECT region, COUNT(DISTINCT person) AS n FROM tnm.visits GROUP BY region"
    plain, asked = admitted(persons), admitted(persons, ROWS)
    assert asked.plan.digest() == plain.plan.digest()
    assert asked.charges == plain.charges


def test_rows_of_quantiles_alone_are_chosen_up_to_the_default_at_sixteen_times_their_noise() -> None:
    """Four rows count by default, in two cells in full: a median's scores fall by 2 for each unit of weight."""
    (plan,), (noise,) = (found := admitted(MEDIANS, ROWS)).plan.releases, found.noises
    choice = plan.bounds.choice
    assert choice is not None
    assert (choice.candidates, choice.above, choice.below) == ((1, 2, 3, 4), 1, 0)
    assert choice.bounds[-1].quantiles == admitted(MEDIANS).plan.releases[0].bounds.quantiles
    assert noise.choice is not None
    (quantile,), (scale,) = plan.bounds.quantiles, noise.quantiles
    persons = scale / (2 * quantile.weight * 4)
    assert noise.choice.target == math.ceil(16 * persons * 3 + noise.choice.scale / 2)
    # One number more, and rows decide on its vector.
    for more, wanted in (("COUNT(*) AS n", (64, 0)), ("AVG(seats) AS m", (64, 1))):
        (other,) = admitted(MEDIANS.replace("MEDIAN", f"{more}, MEDIAN"), ROWS).plan.releases
        assert other.bounds.choice is not None
        assert (other.bounds.choice.candidates[-1], other.bounds.choice.below) == wanted


def test_bounds_of_totals_given_or_refused() -> None:
    (plan,) = admitted(SUMS, AskedBounds(max_sum=Decimal("120.9"))).plan.releases
    (total,) = plan.bounds.components
    assert (total.lower, total.upper) == (-120, 120)
    (lone,) = admitted("SELECT SUM(seats) AS s FROM tnm.visits", AskedBounds(max_sum=Decimal(7))).plan.releases
    assert [(each.lower, each.upper) for each in lone.bounds.components] == [(0, 7)]
    for sql in ("SELECT COUNT(*) AS n FROM tnm.visits", "SELECT SUM(seats) AS a, SUM(day) AS b FROM tnm.visits"):
        for asked in (TOTAL, AskedBounds(max_sum=Decimal(5))):
            with pytest.raises(Refused) as caught:
                admitted(sql, asked)
            assert caught.value.code == "precision"
    (cells,) = admitted(CELLS, GROUPS).plan.releases
    assert cells.bounds.choice is not None
    assert [each.max_groups for each in cells.bounds.choice.bounds] == list(cells.bounds.choice.candidates) == [1, 2, 3]
    # One cell leaves nothing to choose; keys without a domain have no cells yet.
    whole = "SELECT COUNT(DISTINCT person) AS n FROM tnm.visits"
    assert admitted(whole, GROUPS).plan.digest() == admitted(whole).plan.digest()
    for sql in (
        "SELECT channel, COUNT(*) AS n FROM tnm.visits GROUP BY channel",
        "SELECT channel, COUNT(DISTINCT person) AS n FROM tnm.visits GROUP BY channel",
        "SELECT region, MEDIAN(seats) AS n FROM tnm.visits GROUP BY region",
    ):
        with pytest.raises(Refused, match="number"):
            admitted(sql, GROUPS)
    both = "SELECT region, MEDIAN(seats) AS q, COUNT(*) AS n FROM tnm.visits GROUP BY region"
    assert admitted(both, GROUPS).plan.releases[0].bounds.choice is not None
    for wrong in ({"max_sum": Decimal(0)}, {"max_sum": Decimal("NaN")}, {"max_sum": AUTO, "max_rows": AUTO}):
        with pytest.raises(Refused):
            AskedBounds(**wrong)  # type: ignore[arg-type]
