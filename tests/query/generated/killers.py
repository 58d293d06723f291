"""The properties for one question as text, in rooms of their own: what a sabotage must turn red."""

from __future__ import annotations

from functools import lru_cache
from random import Random

import pytest
from generated.holding import hold
from generated.populations import REFERENCE_TABLES, REFERENCES, crowded, declared, with_twins
from plain_sql import compare_plan, database
from rooms import FRANCOS, MUSEE, TNM, Catalogs, bind, catalog_of

from cleanroom.catalog import Contribution
from cleanroom.errors import Refused

ROOMS = 2


@lru_cache(maxsize=2)
def tables(*, loose: bool) -> Catalogs:
    """Return three owners' tables, with values that may be missing."""
    bounds = Contribution(5_000, 65_535) if loose else Contribution(2, 2)
    nullable = ("region", "bought", "seats", "channel")
    return {
        table: catalog_of(table, nullable=nullable, seats=seats, most_rows=40, contribution=bounds)
        for table, seats in ((TNM, (1, 12)), (FRANCOS, (-2, 5)), (MUSEE, (0, 3)))
    }


def agrees(sql: str) -> None:
    """Hold a question to what plain SQL makes of it."""
    lines = 0
    for seed in range(ROOMS):
        room = declared(Random(seed), tables(loose=True))
        plan = bind(sql, None, room.catalogs, threshold=1, references=REFERENCES)
        with database(room, REFERENCE_TABLES) as connection:
            lines += compare_plan(plan, sql, room, connection, within=1e-3)
    assert lines, "a question that nobody is in says nothing"


def holds(sql: str) -> None:
    """Hold a question to what it declares, for every person and table."""
    for seed in range(ROOMS):
        people = with_twins(crowded(Random(seed), tables(loose=False)))
        for release in bind(sql, None, people.catalogs, threshold=0, references=REFERENCES).releases:
            assert hold(release, people, Random(seed))


def refuses(sql: str) -> None:
    """Hold a question to be refused."""
    with pytest.raises(Refused):
        bind(sql, None, tables(loose=False), references=REFERENCES)


def searched(first: int, count: int) -> None:
    """Ask generated questions of both properties, by seed."""
    from test_generated import check_held, check_plain

    for seed in range(first, first + count):
        check_held(Random(seed), seed % 20)
        check_plain(Random(seed), seed % 20)
