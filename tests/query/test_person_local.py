"""What is computed within a person's rows looks at nobody else's, and not at their order (S14, S20, S22)."""

# ruff: noqa: E501 - questions, one a line
from __future__ import annotations

from random import Random

import pytest
from rooms import FRANCOS, TNM, Room, admit, catalog_of, vector
from test_sensitivity import visit

from cleanroom.catalog import Contribution

MADE = {
    table: catalog_of(table, nullable=("region",), most_rows=50, contribution=Contribution(9, 6))
    for table in (TNM, FRANCOS)
}
INSIDE = (
    "SELECT COUNT(DISTINCT person) AS n FROM (SELECT person, COUNT(*) AS c FROM tnm.visits AS a FULL JOIN francos.visits AS b USING (person) GROUP BY person) AS t WHERE c > 1",
    "SELECT COUNT(*) AS n FROM (SELECT person, region, SUM(seats) AS s FROM tnm.visits GROUP BY person, region) AS t WHERE s > 5",
    "SELECT SUM(seats) AS n FROM (SELECT person, seats, row_number() OVER (PARTITION BY person ORDER BY bought) AS i FROM tnm.visits) AS t WHERE i = 1",
    "SELECT SUM(x) AS n FROM (SELECT person, lag(seats) OVER (PARTITION BY person ORDER BY bought) AS x FROM tnm.visits) AS t",
    "SELECT SUM(x) AS n FROM (SELECT person, first(seats ORDER BY bought) AS x FROM tnm.visits GROUP BY person) AS t",
    "SELECT SUM(x) AS n FROM (SELECT person, last_value(seats) OVER (PARTITION BY person ORDER BY bought ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS x FROM tnm.visits) AS t",
    "SELECT region, COUNT(*) AS n FROM (SELECT DISTINCT person, region FROM tnm.visits) AS t GROUP BY region",
    "SELECT region, COUNT(*) AS n FROM (SELECT person, region FROM tnm.visits EXCEPT SELECT person, region FROM francos.visits) AS t GROUP BY region",
    "SELECT COUNT(*) AS n FROM tnm.visits AS a WHERE a.seats = (SELECT MAX(b.seats) FROM tnm.visits AS b WHERE b.person = a.person)",
    "SELECT COUNT(*) AS n FROM tnm.visits AS a LEFT JOIN francos.visits AS b ON a.person = b.person AND b.seats > a.seats WHERE b.person IS NULL",
    "SELECT COUNT(*) AS n FROM tnm.visits AS a WHERE a.seats > 6 OR NOT EXISTS (SELECT 1 FROM francos.visits AS b WHERE b.person = a.person AND b.bought > a.bought)",
    "SELECT region, seats, COUNT(*) AS n FROM tnm.visits GROUP BY ROLLUP (region, seats)",
)


def tied(seed: int, persons: int = 6) -> Room:
    """Return a room of few persons, some at one member only, whose rows tie in every column but one or two."""
    rng = Random(seed)

    def rows() -> tuple[object, ...]:
        found = []
        for person in range(persons):
            for _ in range(rng.choice((0, 1, 3, 5))):
                found.append(visit(person, region=rng.choice(("nord", "sud")), seats=rng.randint(1, 12)))
        return tuple(found)

    return Room(MADE, {TNM: (rows(),), FRANCOS: (rows(),)})


def shuffled(room: Room, seed: int) -> Room:
    """Return the room with each table's rows in another order."""
    rng = Random(seed)
    uploads = {
        table: tuple(tuple(rng.sample(rows, len(rows))) for rows in parts) for table, parts in room.uploads.items()
    }
    return Room(room.catalogs, uploads)


@pytest.mark.parametrize("sql", INSIDE)
def test_a_room_is_the_sum_of_its_persons(sql: str) -> None:
    a_plan = admit(sql, None, MADE)
    for seed in range(3):
        room = tied(seed)
        whole = vector(a_plan, room)
        alone = [vector(a_plan, only(room, person)) for person in range(6)]
        assert whole == tuple(sum(entries) for entries in zip(*alone, strict=True))


@pytest.mark.parametrize("sql", INSIDE)
def test_the_order_of_rows_decides_nothing(sql: str) -> None:
    a_plan = admit(sql, None, MADE)
    room = tied(7)
    assert len({vector(a_plan, shuffled(room, seed)) for seed in range(6)}) == 1


def only(room: Room, person: int) -> Room:
    """Return the room as if nobody else were in it."""
    kept = room
    for other in range(6):
        if other != person:
            kept = kept.without(other)
    return kept


def test_a_person_s_own_total_is_cut_to_the_rows_that_count() -> None:
    """A person's SUM is cut to K rows' worth where a release adds it up (S22): K = 2 rows of at most 12 seats."""
    made = {TNM: catalog_of(TNM, seats=(1, 12), most_rows=50, contribution=Contribution(2, 1))}
    sql = "SELECT SUM(s) AS n FROM (SELECT person, SUM(seats) AS s FROM tnm.visits GROUP BY person) AS t"
    a_plan = admit(sql, None, made)
    rows = tuple(visit(seats=12) for _ in range(30))
    (total,) = vector(a_plan, Room(made, {TNM: (rows,)}))
    assert total == 24 * a_plan.bounds.components[0].steps
    assert a_plan.statistics[0].upper == 24  # type: ignore[union-attr]
