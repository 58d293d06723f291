"""THE property: no person moves an exact vector by more than was declared (SOUNDNESS S2, F).

For any admitted question, any rooms D and any person p: ‖v(D) - v(D without p)‖² ≤ norm², and with p removed from one
table only ≤ D². All arithmetic here is on whole numbers.
"""

# ruff: noqa: S608 - questions are what is tested here, one a line
from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import partial
from random import Random

import pytest
from distances import squared_diameter, squared_distance
from hypothesis import given, settings
from memory_reader import Row
from questions import question
from rooms import FRANCOS, TNM, Engine, Room, admit, catalog_of, catalogs, choices, day, hostile_room, seeds, vector
from searches import LIMITS, by_seeds, try_each

from cleanroom.accounting.accountant import ReleaseNorm
from cleanroom.catalog import Contribution
from cleanroom.errors import Refused
from cleanroom.query.mechanisms import shape_of
from cleanroom.query.plan import Plan

THRESHOLDS = (0, 0, 20)


def weight(rng: Random) -> Fraction:
    """Return what a statistic weighs: the norm holds whatever the askers prefer."""
    return Fraction(rng.choice((1, 2, Fraction(7, 3), 100, 10_000)))


def asked(rng: Random, seed: int) -> tuple[Plan, Room]:
    """Return a plan and a room for it; what is too wide to sum is asked again."""
    for attempt in range(20):
        made = catalogs(Random(seed + attempt))
        written = question(rng, made)
        try:
            threshold, weigh = rng.choice(THRESHOLDS), None if rng.random() < 0.5 else partial(weight, rng)
            a_plan = admit(written.sql, written.parameters, made, threshold=threshold, weigh=weigh)
        except Refused as refused:
            if refused.code == "bounds_too_wide":
                continue
            raise
        return a_plan, hostile_room(Random(seed + attempt), made)
    raise AssertionError("twenty questions in a row were too wide")


def check_leaving(rng: Random, seed: int) -> None:
    """Remove a person everywhere, then from each table alone."""
    a_plan, room = asked(rng, seed)
    if not room.persons:
        return
    engine = Engine(a_plan)
    person = room.persons[seed % len(room.persons)]
    whole = engine.vector(room)
    assert squared_distance(whole, engine.vector(room.without(person))) <= a_plan.bounds.norm**2
    if len(a_plan.tables) > 1:
        for table in a_plan.tables:
            moved = squared_distance(whole, engine.vector(room.without(person, {table})))
            assert moved <= squared_diameter(a_plan)


def check_sum_of_persons(rng: Random, seed: int) -> None:
    """Compare the room with the sum of rooms of one person each: nobody's part depends on anybody else."""
    a_plan, room = asked(rng, seed)
    engine = Engine(a_plan)
    whole = engine.vector(room)
    parts = []
    for person in room.persons:
        alone = room
        for other in room.persons:
            if other != person:
                alone = alone.without(other)
        part = engine.vector(alone)
        assert sum(entry * entry for entry in part) <= a_plan.bounds.norm**2
        parts.append(part)
    assert whole == tuple(map(sum, zip(*parts, strict=True))) if parts else not any(whole)


def check_arrangement(rng: Random, seed: int) -> None:
    """Slice the room, cut its uploads, interleave its persons otherwise: the vector stays."""
    a_plan, room = asked(rng, seed)
    engine = Engine(a_plan)
    whole = engine.vector(room)
    assert engine.vector(room, bits=1 + seed % 3) == whole
    assert engine.vector(rearranged(room, Random(seed))) == whole


def rearranged(room: Room, rng: Random) -> Room:
    """Return the same rows in several uploads, persons interleaved otherwise, each person's rows in their order."""
    uploads = {}
    for table, parts in room.uploads.items():
        waiting: dict[int | None, list[Row]] = {}
        for row in (row for part in parts for row in part):
            waiting.setdefault(row[0], []).append(row)
        mixed = []
        while waiting:
            person = rng.choice(list(waiting))
            mixed.append(waiting[person].pop(0))
            if not waiting[person]:
                del waiting[person]
        cuts = sorted(rng.randrange(len(mixed) + 1) for _ in range(rng.randrange(3)))
        uploads[table] = tuple(tuple(mixed[a:b]) for a, b in zip([0, *cuts], [*cuts, len(mixed)], strict=True))
    return Room(room.catalogs, uploads)


@given(choices(), seeds())
@settings(LIMITS, max_examples=180)
def test_a_person_moves_the_vector_by_at_most_what_is_declared(rng: Random, seed: int) -> None:
    check_leaving(rng, seed)


@given(choices(), seeds())
@settings(LIMITS, max_examples=80)
def test_a_room_is_the_sum_of_its_persons(rng: Random, seed: int) -> None:
    check_sum_of_persons(rng, seed)


@given(choices(), seeds())
@settings(LIMITS, max_examples=100)
def test_slices_uploads_and_the_order_of_others_change_nothing(rng: Random, seed: int) -> None:
    check_arrangement(rng, seed)


@pytest.mark.soak
@pytest.mark.parametrize("check", [check_leaving, check_sum_of_persons, check_arrangement])
@by_seeds(30_000, at_once=1_000)
def test_the_same_many_times(check: Callable[[Random, int], None], seeds: range) -> None:
    try_each(seeds, lambda seed: check(Random(seed), seed))


@given(choices(), seeds())
@settings(LIMITS, max_examples=100)
def test_the_ledger_s_norm_and_diameter_are_the_tests_own(rng: Random, seed: int) -> None:
    """What the accountant charges for is what the property above bounds."""
    a_plan, _ = asked(rng, seed)
    charged = ReleaseNorm(a_plan.bounds.norm, shape_of(a_plan.bounds))
    assert charged.squared_norm == a_plan.bounds.norm**2
    largest = charged.squared_norm if len(a_plan.tables) == 1 else charged.squared_diameter
    assert largest == squared_diameter(a_plan)


# Rooms where hiding one's rows at one member moves the vector further than the norm (S2)

BOTH = "SELECT person, {columns} FROM tnm.visits UNION ALL SELECT person, {columns} FROM francos.visits"


def visit(person: int | None = 0, **values: object) -> Row:
    """Return a row of `catalog_of`'s columns."""
    ordinary = {
        "region": "nord",
        "discipline": "danse",
        "bought": day(2024, 1, 20),
        "played": day(2024, 2, 1),
        "seats": 2,
        "amount": 1_000,
        "channel": "web",
    }
    return person, tuple({**ordinary, **values}.values())


def diluted() -> tuple[Plan, Room]:
    """A person in one cell at tnm and in a thousand at francos: norm clipping shares the length out."""
    made = {
        table: catalog_of(table, seats=(0, 1_000), most_rows=2_000, contribution=Contribution(1, 1))
        for table in (TNM, FRANCOS)
    }
    sql = f"SELECT seats, COUNT(*) AS n FROM ({BOTH.format(columns='seats')}) AS t GROUP BY seats"
    others = tuple(visit(seats=seats) for seats in range(1, 1_001))
    return admit(sql, None, made), Room(made, {TNM: ((visit(seats=0),),), FRANCOS: (others,)})


def displaced() -> tuple[Plan, Room]:
    """A person whose francos row is the first of the union and crowds out the tnm row: from one cell to another."""
    made = {table: catalog_of(table, most_rows=65_535, contribution=Contribution(1, 1)) for table in (TNM, FRANCOS)}
    joins = "".join(f" JOIN tnm.visits AS j{number} USING (person)" for number in range(17))
    sql = f"SELECT t.region, COUNT(*) AS n FROM ({BOTH.format(columns='region')}) AS t{joins} GROUP BY t.region"
    room = Room(made, {TNM: ((visit(region="sud"),),), FRANCOS: ((visit(region="nord"),),)})
    return admit(sql, None, made), room


def reversed_sign() -> tuple[Plan, Room]:
    """A person whose total is the greatest at tnm, and the least once francos' rows are added."""
    made = {
        table: catalog_of(table, amount=(-1_000, 1_000), most_rows=50, contribution=Contribution(3, 2))
        for table in (TNM, FRANCOS)
    }
    sql = f"SELECT SUM(amount) AS s FROM ({BOTH.format(columns='amount')}) AS t"
    gains, losses = tuple([visit(amount=1_000)] * 3), tuple([visit(amount=-1_000)] * 6)
    return admit(sql, None, made), Room(made, {TNM: (gains,), FRANCOS: (losses,)})


@pytest.mark.parametrize(
    ("made", "tenths"), [(diluted, 19), (displaced, 20), (reversed_sign, 40)], ids=["diluted", "displaced", "sign"]
)
def test_hiding_at_one_member_reaches_beyond_the_norm_and_stays_within_the_diameter(made: object, tenths: int) -> None:
    """These rooms make D necessary: a table charged for the norm alone would pay too little."""
    a_plan, room = made()  # type: ignore[operator]
    engine = Engine(a_plan)
    whole = engine.vector(room)
    norm = a_plan.bounds.norm**2
    moved = squared_distance(whole, engine.vector(room.without(0, {FRANCOS})))
    # One part in a million: the norm is rounded up to a lattice step.
    assert 10 * moved * 1_000_001 >= tenths * norm * 1_000_000
    charged = ReleaseNorm(a_plan.bounds.norm, shape_of(a_plan.bounds))
    assert moved <= charged.squared_diameter
    assert squared_distance(whole, engine.vector(room.without(0))) <= norm


def test_a_single_table_s_person_reaches_the_norm_and_no_more() -> None:
    """The norm is not slack either: a person with full contributions in the groups allowed has exactly it."""
    made = {TNM: catalog_of(TNM, contribution=Contribution(3, 2))}
    a_plan = admit("SELECT region, COUNT(*) AS n FROM tnm.visits GROUP BY region", None, made)
    room = Room(made, {TNM: (tuple([visit(region="nord")] * 5 + [visit(region="sud")] * 3),)})
    length = sum(entry**2 for entry in vector(a_plan, room))
    assert length <= a_plan.bounds.norm**2 < length * 1.000_1


def test_one_cell_a_person_is_clipped_all_the_same() -> None:
    """A key that the catalog's facts make unique per person is no licence (S6): heavy rows in many cells shrink."""
    made = {TNM: catalog_of(TNM, seats=(1, 40), most_rows=50, contribution=Contribution(1, 1))}
    a_plan = admit("SELECT seats, COUNT(DISTINCT person) AS n FROM tnm.visits GROUP BY seats", None, made)
    room = Room(made, {TNM: (tuple(visit(seats=seats) for seats in range(1, 41)),)})
    assert 0 < sum(entry**2 for entry in vector(a_plan, room)) <= a_plan.bounds.norm**2


def test_rows_of_both_arms_share_one_cap() -> None:
    """c is applied once, after the union (S29): 3 rows of 6, not 3 of each arm."""
    made = {table: catalog_of(table, contribution=Contribution(3, 2)) for table in (TNM, FRANCOS)}
    a_plan = admit(f"SELECT region, COUNT(*) AS n FROM ({BOTH.format(columns='region')}) AS t GROUP BY 1", None, made)
    room = Room(made, {TNM: (tuple([visit()] * 3),), FRANCOS: (tuple([visit()] * 3),)})
    assert vector(a_plan, room) == (3 * a_plan.bounds.components[0].steps, 0, 0)


APART = (
    "SELECT COUNT(*) AS n FROM tnm.visits AS a JOIN francos.visits AS b USING (person)",
    "SELECT b.region, COUNT(*) AS n FROM tnm.visits AS a JOIN francos.visits AS b ON a.person = b.person GROUP BY 1",
    "SELECT region, COUNT(*) AS n FROM tnm.visits WHERE person IN (SELECT person FROM francos.visits) GROUP BY region",
    "SELECT COUNT(*) AS n FROM (SELECT person FROM tnm.visits INTERSECT SELECT person FROM francos.visits) AS t",
    "SELECT COUNT(DISTINCT person) AS n FROM tnm.visits JOIN francos.visits USING (person)",
)


@pytest.mark.parametrize("sql", APART)
def test_joins_and_semi_joins_stay_inside_a_person(sql: str) -> None:
    """Of three persons one is in both tables: only that one counts, whoever else is there."""
    made = {table: catalog_of(table, contribution=Contribution(9, 3)) for table in (TNM, FRANCOS)}
    a_plan = admit(sql, None, made)
    rows = {TNM: (visit(0), visit(0, region="sud"), visit(1)), FRANCOS: (visit(2, region="est"), visit(1), visit(1))}
    room = Room(made, {table: (listed,) for table, listed in rows.items()})
    engine = Engine(a_plan)
    alone = engine.vector(room.without(0).without(2))
    assert any(alone)
    assert engine.vector(room) == alone


@pytest.mark.parametrize(
    ("sql", "factor"),
    [
        ("SELECT COUNT(*) AS n", 1),
        ("SELECT SUM(t.seats) AS n", 1),
        ("SELECT COUNT(*) AS n, COUNT(DISTINCT t.person) AS p", 2),
        ("SELECT SUM(t.amount) AS n", 4),
        ("SELECT AVG(t.seats) AS n", 4),
        ("SELECT COUNT(*) AS n, AVG(t.seats) AS a", 4),
    ],
)
def test_what_may_change_when_a_person_is_hidden_at_one_member(sql: str, factor: int) -> None:
    made = {table: catalog_of(table, amount=(-5, 1)) for table in (TNM, FRANCOS)}
    alone = admit(f"{sql} FROM tnm.visits AS t", None, made)
    both = admit(f"{sql} FROM tnm.visits AS t JOIN francos.visits AS f USING (person)", None, made)
    for a_plan, wanted in ((alone, 1), (both, factor)):
        charged = ReleaseNorm(a_plan.bounds.norm, shape_of(a_plan.bounds))
        assert squared_diameter(a_plan) == wanted * a_plan.bounds.norm**2
        if len(a_plan.tables) > 1:
            assert charged.squared_diameter == squared_diameter(a_plan)


def test_every_person_is_clipped_alone() -> None:
    """A stream of many persons, met by slices: lengths add, factors do not."""
    made = {TNM: catalog_of(TNM, contribution=Contribution(2, 1))}
    a_plan = admit("SELECT region, COUNT(*) AS n FROM tnm.visits GROUP BY region", None, made)
    rows = [visit(person, region=region) for person in range(50) for region in ("nord", "sud") for _ in range(4)]
    room = Room(made, {TNM: (tuple(rows),)})
    one = vector(a_plan, Room(made, {TNM: (tuple(rows[:8]),)}))
    for bits in (0, 1, 4):
        assert vector(a_plan, room, bits=bits) == tuple(50 * entry for entry in one)


def test_rows_of_a_person_in_another_order_change_nothing_in_a_join_that_is_cut() -> None:
    """FirstRows orders by all columns (S20): the file's order decides nothing."""
    made = {table: catalog_of(table, most_rows=65_535, contribution=Contribution(1, 1)) for table in (TNM, FRANCOS)}
    joins = "".join(f" JOIN francos.visits AS j{number} USING (person)" for number in range(17))
    sql = f"SELECT t.region, t.seats, COUNT(*) AS n FROM tnm.visits AS t{joins} GROUP BY 1, 2"
    a_plan = admit(sql, None, made)
    rows = [visit(region=region, seats=seats) for region in ("sud", "nord", "est") for seats in (7, 3, 12)]
    found = set()
    for seed in range(4):
        shuffled = Random(seed).sample(rows, len(rows))
        found.add(vector(a_plan, Room(made, {TNM: (tuple(shuffled),), FRANCOS: ((visit(),),)})))
    assert len(found) == 1
    # The first in the order of the codes: region nord, 3 seats.
    assert [place for place, entry in enumerate(found.pop()) if entry] == [2]


def test_first_rows_are_each_person_s_own() -> None:
    """A cut join cuts inside a person: twenty persons of one row each keep it."""
    made = {table: catalog_of(table, most_rows=65_535) for table in (TNM, FRANCOS)}
    joins = "".join(f" JOIN francos.visits AS j{number} USING (person)" for number in range(17))
    a_plan = admit(f"SELECT COUNT(*) AS n FROM tnm.visits AS t{joins}", None, made)
    everybody = tuple(visit(person) for person in range(20))
    room = Room(made, {TNM: (everybody,), FRANCOS: (everybody,)})
    assert vector(a_plan, room) == (20 * a_plan.bounds.components[0].steps,)


def test_every_person_of_a_union_is_clipped_alone() -> None:
    """The arms' rows of a person come together before they are bounded."""
    made = {table: catalog_of(table, contribution=Contribution(3, 2)) for table in (TNM, FRANCOS)}
    a_plan = admit(f"SELECT COUNT(*) AS n FROM ({BOTH.format(columns='region')}) AS t", None, made)
    rows = tuple(visit(person) for person in range(30) for _ in range(2))
    room = Room(made, {TNM: (rows,), FRANCOS: (rows,)})
    assert vector(a_plan, room) == (30 * 3 * a_plan.bounds.components[0].steps,)
