"""Rooms that generated questions are asked in: hostile bytes, ties, heavy persons, many-to-many, and twins.

A *twin* of a person for a table has the person's rows in all tables but this one, under a token of their own. So one
run of a question says for every person and every table what the person's rows in that table change; that nobody's part
depends on anybody else's rows is held apart from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from random import Random
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from column_values import clean_value, hostile_value
from memory_reader import Row
from rooms import PUBLISHED, Catalogs, Room, catalogs, day

from cleanroom.catalog.reference import ReferenceTable, reference_table
from cleanroom.query.binding.asking import ReferenceCatalog
from cleanroom.query.terms.types import declared_type

if TYPE_CHECKING:
    from cleanroom.catalog import ColumnType
    from cleanroom.identifiers import TableName

PERSONS = 4
FIRST_TWIN = 100


def _tables() -> dict[str, ReferenceTable]:
    days = [day(2024, 1, 15), day(2024, 1, 31), day(2024, 2, 1), day(2024, 2, 29), day(2024, 2, 1)]
    return {
        "zones": reference_table(
            ["region", "zone", "habitants"],
            [None, None, Decimal(1)],
            [
                pa.array(["nord", "sud", "est", "est", None], pa.string()),
                pa.array(["a", "b", "a", "b", "c"], pa.string()),
                pa.array([3, 5, 8, None, 1], pa.int64()),
            ],
        ),
        "fetes": reference_table(
            ["jour", "saison"],
            [None, None],
            [pa.array(days, pa.int32()).cast(pa.date32()), pa.array(["hiver", "hiver", "mars", "mars", "hiver"])],
        ),
        "places": reference_table(
            ["seats", "rang"], [Decimal(1), Decimal(1)], [pa.array([1, 5, 5, 12]), pa.array([1, 2, 3, 4])]
        ),
    }


REFERENCE_TABLES = _tables()
PUBLISHED.update({table.digest: table for table in REFERENCE_TABLES.values()})
REFERENCES = {
    name: ReferenceCatalog(
        name,
        table.digest,
        table.rows,
        tuple((column.name, declared_type(column.type)) for column in table.columns),
        table.repeats,
    )
    for name, table in REFERENCE_TABLES.items()
}


@dataclass(frozen=True)
class Population:
    """A room with twins.

    Args:
        twins: the number of the twin of each person and table.
    """

    room: Room
    twins: dict[tuple[int, TableName], int]

    @property
    def catalogs(self) -> Catalogs:
        """The room's tables."""
        return self.room.catalogs


@lru_cache(maxsize=128)
def population(number: int) -> Population:
    """Return the room of this number."""
    rng = Random(number)
    return with_twins(crowded(rng, catalogs(rng)))


def with_twins(room: Room) -> Population:
    """Return a room with a twin of every person for every table."""
    pairs = [(person, table) for person in room.persons for table in sorted(room.catalogs)]
    twins = {pair: FIRST_TWIN + place for place, pair in enumerate(pairs)}
    uploads: dict[TableName, tuple[tuple[Row, ...], ...]] = {}
    for table, parts in room.uploads.items():
        rows = [row for part in parts for row in part]
        copies = [
            (twin, values)
            for (person, without), twin in twins.items()
            if without != table
            for owner, values in rows
            if owner == person
        ]
        uploads[table] = (*parts, tuple(copies))
    return Population(Room(room.catalogs, uploads), twins)


def crowded(rng: Random, made: Catalogs) -> Room:
    """Return a room of few persons in which rows tie, repeat, break the declaration, and one person is heavy."""
    uploads: dict[TableName, tuple[tuple[Row, ...], ...]] = {}
    heavy = rng.randrange(PERSONS)
    for table, catalog in made.items():
        few = {column.name: _few(rng, column.type) for column in catalog.columns}
        rows: list[Row] = []
        for person in range(PERSONS):
            most = rng.choice((6, 9)) if person == heavy else rng.choice((0, 1, 2, 3))
            for _ in range(most):
                values = tuple(rng.choice(few[column.name]) for column in catalog.columns)
                rows += [(person, values)] * rng.choice((1, 1, 1, 2))
        if rng.random() < 0.3:
            rows.append((None, tuple(rng.choice(few[column.name]) for column in catalog.columns)))
        rng.shuffle(rows)
        cut = rng.randrange(len(rows) + 1) if rng.random() < 0.4 else 0
        uploads[table] = (tuple(rows[:cut]), tuple(rows[cut:])) if cut else (tuple(rows),)
    return Room(made, uploads)


def _few(rng: Random, kind: ColumnType) -> list[Any]:
    """Return the values of a column: few, so that they tie, some of them beyond the declaration."""
    return [hostile_value(rng, kind) for _ in range(rng.choice((2, 3, 5, 8)))]


@lru_cache(maxsize=128)
def plain_population(number: int) -> Room:
    """Return the room of this number whose rows keep the declaration and whose bounds do not bind."""
    rng = Random(number)
    return declared(rng, catalogs(rng, loose=True))


def declared(rng: Random, made: Catalogs) -> Room:
    """Return a room of few persons whose rows tie, repeat, and keep the declaration; one person lacks each table."""
    uploads: dict[TableName, tuple[tuple[Row, ...], ...]] = {}
    for place, (table, catalog) in enumerate(made.items()):
        few = {
            column.name: [clean_value(rng, column.type) for _ in range(rng.choice((2, 3, 5)))]
            for column in catalog.columns
        }
        rows: list[Row] = []
        for person in range(7):
            for _ in range(0 if person == place else rng.choice((0, 1, 1, 2, 3, 5))):
                values = tuple(rng.choice(few[column.name]) for column in catalog.columns)
                rows += [(person, values)] * rng.choice((1, 1, 1, 1, 2))
        rng.shuffle(rows)
        uploads[table] = (tuple(rows),)
    return Room(made, uploads)
