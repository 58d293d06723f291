"""All overlaps of many members in one question: right in every pair, and bounded for somebody who is everywhere."""

from __future__ import annotations

from itertools import combinations
from random import Random

from distances import squared_distance
from memory_reader import Row
from rooms import Engine, Room, admit, key_values

from cleanroom.catalog import Category, Column, Contribution, PrivacyUnit, TableCatalog
from cleanroom.identifiers import IdentifierKind, PartyId, TableName

HOUSES = tuple(f"house_{number}" for number in range(7))
EVERYWHERE = 1_000
"""The number of somebody who is at every house."""


def catalogs(max_groups: int) -> dict[TableName, TableCatalog]:
    return {
        table: TableCatalog(
            table,
            PrivacyUnit("person", "courriel", IdentifierKind.EMAIL),
            (Column("region", Category(("montreal", "laval"), nullable=False)),),
            max_rows_per_person=20,
            contribution=Contribution(10, max_groups),
        )
        for table in (TableName(PartyId(house), "visits") for house in HOUSES)
    }


def question() -> str:
    arms = " UNION ALL ".join(f"SELECT person, '{house}' AS house FROM {house}.visits" for house in HOUSES)  # noqa: S608
    return (
        f"WITH s AS ({arms}) SELECT a.house AS one, b.house AS other, COUNT(DISTINCT a.person) AS n"  # noqa: S608
        " FROM s AS a JOIN s AS b ON a.person = b.person WHERE a.house < b.house GROUP BY 1, 2"
    )


def room(described: dict[TableName, TableCatalog]) -> Room:
    """Return a room where each person is at some houses, up to three times at each."""
    rng = Random(150)
    uploads: dict[TableName, tuple[tuple[Row, ...], ...]] = {}
    for table in described:
        visitors = [person for person in range(60) if rng.random() < 0.4] + [EVERYWHERE]
        rows = [(person, ("laval",)) for person in visitors for _ in range(rng.randint(1, 3))]
        uploads[table] = (tuple(rows),)
    return Room(described, uploads)


def test_every_pair_is_the_overlap_of_its_two_members() -> None:
    described = catalogs(len(HOUSES) ** 2)
    made, a_plan = room(described), admit(question(), None, described)
    steps = a_plan.bounds.components[0].steps
    found = dict(zip(key_values(a_plan.keys), Engine(a_plan).vector(made), strict=True))
    visitors = {table.owner: {person for person, _ in parts[0]} for table, parts in made.uploads.items()}
    for one, other in combinations(HOUSES, 2):
        met = len(visitors[PartyId(one)] & visitors[PartyId(other)])
        assert found[one, other] == met * steps, (one, other)
    assert sum(1 for value in found.values() if value) <= len(HOUSES) * (len(HOUSES) - 1) // 2


def test_somebody_at_every_house_moves_the_matrix_by_no_more_than_the_norm() -> None:
    """21 pairs, of which four count: the norm is of four, and the person fills it, whose overlap it was (S6, S31)."""
    described = catalogs(4)
    made, a_plan = room(described), admit(question(), None, described)
    engine = Engine(a_plan)
    whole = engine.vector(made)
    norm = a_plan.bounds.norm
    moved = squared_distance(whole, engine.vector(made.without(EVERYWHERE)))
    assert norm**2 * 9 // 10 < moved <= norm**2
    # Gone from one member only: the other party of an overlap may know the rest (S2).
    table = TableName(PartyId(HOUSES[3]), "visits")
    assert squared_distance(whole, engine.vector(made.without(EVERYWHERE, {table}))) <= 2 * norm**2
