"""Rooms for the corpus: people who go to several houses, often or once, with gaps in what is known of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from memory_reader import Row
from rooms import Catalogs, Room, day

from cleanroom.catalog import Category, Date, Number, Text

if TYPE_CHECKING:
    from random import Random


CHANNELS = ("web", "web", "web", "guichet", "telephone", "appli", "abonnement", "Web ", "")


def corpus_room(rng: Random, made: Catalogs, persons: int) -> Room:
    """Return a room with overlaps, NULLs and skew: few come often, many to one house, purchases in runs."""
    uploads: dict[Any, tuple[tuple[Row, ...], ...]] = {}
    keen = {person: rng.choice((1, 1, 2, 3, 12)) for person in range(persons)}
    houses = {person: rng.sample(sorted(made), min(len(made), rng.choice((1, 1, 2, 2, 3, 5)))) for person in keen}
    home = {person: rng.randrange(17) for person in keen}
    begin = {person: rng.randrange(0, 500) for person in keen}
    for table, catalog in made.items():
        rows: list[Row] = []
        for person, often in keen.items():
            if table not in houses[person]:
                continue
            for _ in range(rng.randrange(1, often + 1)):
                row = tuple(_value(rng, column.type, home[person], begin[person]) for column in catalog.columns)
                rows += [(person, row)] * rng.choice((1, 1, 1, 1, 1, 2))
        rng.shuffle(rows)
        uploads[table] = (tuple(rows),)
    return Room(made, uploads)


def _value(rng: Random, kind: Any, home: int, begin: int) -> Any:
    if kind.nullable and rng.random() < 0.12:
        return None
    match kind:
        case Category(domain=domain):
            return domain[home % len(domain)] if rng.random() < 0.6 else rng.choice(domain)
        case Text():
            return rng.choice(CHANNELS)
        case Date(lower=lower, upper=upper):
            if rng.random() < 0.05:
                return rng.choice((lower, upper, day(2024, 2, 29), day(2024, 12, 31)))
            return min(upper, lower + begin + rng.choice((0, 0, 1, 7, 29, 30, 31, 60, 200)))
        case Number(lower=lower, upper=upper):
            if rng.random() < 0.3:
                return rng.choice((lower, upper, (lower + upper) // 2))
            return min(upper, lower + int(rng.expovariate(6 / (upper - lower + 1))))
    raise AssertionError(kind)
