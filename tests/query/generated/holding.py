"""THE property, for every person and every table at once (S2, S8, S29, S36; SOUNDNESS F).

From one run of a plan on a room with twins, each person's rows are bounded alone. Then

- the room's vector is the sum of its persons' vectors, and each is no longer than C;
- what a person's rows in one table change is no longer than D, and nothing where the plan does not read the table;
- a person brings at most m unknown keys, and changes at most 2m of them with the rows of one table;
- the scores of each quantile move no further than declared;
- and, from a second run, half of the people among nobody else, their rows in another order and in slices, have exactly
  the rows that they had among the others. So what is true of a person alone is true of the person's going.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from distances import squared_diameter, squared_distance
from memory_reader import token
from rooms import Engine, Room
from slow_vector import each_person

from cleanroom.query.backend import Codes, PersonRows
from cleanroom.query.cells import SurvivingKeys
from cleanroom.query.contribution import cell_count, contributions
from cleanroom.query.quantiles import scores
from cleanroom.query.unknown_keys import counted_keys

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from generated.populations import Population

    from cleanroom.identifiers import TableName
    from cleanroom.query.bound import QuantileBound
    from cleanroom.query.contribution import ExactVector
    from cleanroom.query.plan import Plan

MOST_ENTRIES = 20_000
"""Longer vectors are not looked at: they say nothing that shorter ones do not."""


@dataclass(frozen=True)
class Part:
    """What one person brings: a bounded vector, and the unknown keys kept."""

    exact: ExactVector
    keys: frozenset[tuple[object, ...]]


def hold(plan: Plan, people: Population, rng: Random) -> bool:
    """Hold a plan against its bounds in a room; return whether it was looked at."""
    # Two parsers read a statement for longer than it runs: some of them are read again, here and in other tests.
    engine = Engine(plan, again=rng.random() < 0.2)
    streams = engine.stream(people.room)
    surviving = survivors(plan, streams) if plan.bounds.distinct_keys else None
    if cell_count(plan, surviving) * max(1, len(plan.bounds.components)) > MOST_ENTRIES:
        return False
    rows = by_person(streams, plan, people.room)
    parts = {person: part_of(plan, mine, surviving) for person, mine in rows.items()}
    whole = contributions(plan, streams[0], surviving)
    nobody = part_of(plan, nothing(streams[0]), surviving)
    _require_sum(plan, whole, list(parts.values()), nobody)
    for (person, table), twin in people.twins.items():
        _require_table(plan, parts.get(person, nobody), parts.get(twin, nobody), table)
    _require_alone(engine, people.room, rows, rng)
    return True


def _require_sum(plan: Plan, whole: ExactVector, parts: list[Part], nobody: Part) -> None:
    assert not any(nobody.exact.values)
    total = nobody.exact
    for part in parts:
        assert sum(entry * entry for entry in part.exact.values) <= plan.bounds.norm**2
        assert len(part.keys) <= plan.bounds.distinct_keys
        total += part.exact
        for bound, weights, none in zip(plan.bounds.quantiles, part.exact.weights, nobody.exact.weights, strict=True):
            reach = sum(each * each for each in moves(bound, weights, none))
            assert reach <= max(bound.below, bound.above) ** 2 * bound.norm**2, "a person's quantile scores"
    assert whole.values == total.values
    assert all(np.array_equal(a, b) for a, b in zip(whole.weights, total.weights, strict=True))


def _require_table(plan: Plan, part: Part, twin: Part, table: TableName) -> None:
    """Hold what a person's rows in one table change to D; a table that is not read changes nothing."""
    moved = squared_distance(part.exact.values, twin.exact.values)
    if table not in plan.tables:
        assert moved == 0, "a table that the plan does not name"
        assert part.keys == twin.keys
        return
    assert moved <= squared_diameter(plan), (moved, squared_diameter(plan))
    assert len(part.keys ^ twin.keys) <= 2 * plan.bounds.distinct_keys
    alone = len(plan.tables) == 1
    one_cell = plan.bounds.cells == 1 and not plan.bounds.distinct_keys
    for bound, mine, theirs in zip(plan.bounds.quantiles, part.exact.weights, twin.exact.weights, strict=True):
        reach = sum(each * each for each in moves(bound, mine, theirs))
        if alone:
            allowed = max(bound.below, bound.above) ** 2 * bound.norm**2
        elif one_cell:
            allowed = (bound.below + bound.above) ** 2 * bound.norm**2
        else:
            allowed = 2 * (bound.below**2 + bound.above**2) * bound.norm**2
        assert reach <= allowed, "a table's quantile scores"


def _require_alone(engine: Engine, room: Room, rows: dict[int, PersonRows], rng: Random) -> None:
    """Hold the rows of half the people, among nobody else, to be those that they had."""
    everybody = room.persons
    half = set(rng.sample(everybody, (len(everybody) + 1) // 2))
    alone = Room(
        room.catalogs,
        {
            table: (tuple(rng.sample(kept, len(kept))),)
            for table, parts in room.uploads.items()
            for kept in [_ordered_cap(room, table, [row for part in parts for row in part if row[0] in half])]
        },
    )
    streams = engine.stream(alone, bits=rng.choice((0, 0, 1, 2)))
    found = {person: fingerprints(mine) for person, mine in by_person(streams, engine.plan, alone).items()}
    expected = {person: fingerprints(mine) for person, mine in rows.items() if person in half}
    assert found == expected, "rows of people depend on other people's"


def _ordered_cap(room: Room, table: TableName, rows: list[tuple[int | None, tuple[object, ...]]]) -> list[object]:
    """Return the rows that a table's cap keeps, which goes by the order of the file and is tested apart (S23)."""
    most = room.catalogs[table].max_rows_per_person
    seen: dict[int | None, int] = {}
    kept: list[object] = []
    for row in rows:
        seen[row[0]] = seen.get(row[0], 0) + 1
        if seen[row[0]] <= most:
            kept.append(row)
    return kept


def by_person(streams: list[PersonRows], plan: Plan, room: Room) -> dict[int, PersonRows]:
    """Return each person's rows; a slice's numbers are ranks among the tokens that it has in the tables read.

    Args:
        streams: of all slices, in their order.
    """
    read = {row[0] for table in plan.tables for part in room.uploads[table] for row in part if row[0] is not None}
    bits = len(streams).bit_length() - 1
    ordered: list[list[int]] = [[] for _ in streams]
    for person in sorted(read, key=token):
        ordered[int.from_bytes(token(person), "big") >> (128 - bits)].append(person)
    found: dict[int, PersonRows] = {}
    for stream, people in zip(streams, ordered, strict=True):
        if stream.rows:
            for mine in each_person(stream):
                found[people[int(mine.persons[0])]] = mine
    return found


def nothing(stream: PersonRows) -> PersonRows:
    """Return no rows of the same columns."""
    columns = {at: Codes(codes.values[:0], codes.present[:0]) for at, codes in stream.columns.items()}
    return PersonRows(stream.persons[:0], stream.starts[:1], columns, stream.words)


def part_of(plan: Plan, rows: PersonRows, surviving: SurvivingKeys | None) -> Part:
    """Bound one person's rows."""
    keys: frozenset[tuple[object, ...]] = frozenset()
    if plan.bounds.distinct_keys:
        counted = counted_keys(plan, [rows])
        assert all(n == 1 for n in counted["n"].to_pylist())
        keys = frozenset(zip(*(counted[at].to_pylist() for at in range(counted.num_columns - 1)), strict=True))
    return Part(contributions(plan, rows, surviving), keys)


def survivors(plan: Plan, streams: list[PersonRows]) -> SurvivingKeys:
    """Return every unknown key, as if all survived."""
    counted = counted_keys(plan, streams)
    listed = [counted[place].to_pylist() for place in range(counted.num_columns)]
    rows = sorted(zip(*listed, strict=True), key=lambda row: [(value is not None, value) for value in row])
    width = counted.num_columns - 1
    return SurvivingKeys(tuple(tuple(row[at] for row in rows) for at in range(width)), tuple(row[-1] for row in rows))


def moves(bound: QuantileBound, ours: np.ndarray, theirs: np.ndarray) -> Iterator[int]:
    """Yield for each cell how far its scores move at most."""
    for mine, other in zip(ours, theirs, strict=True):
        if np.array_equal(mine, other):
            yield 0
        else:
            one, two = next(scores(bound, mine[None])), next(scores(bound, other[None]))
            yield max(abs(a - b) for a, b in zip(one, two, strict=True))


def fingerprints(rows: PersonRows) -> list[str]:
    """Return the rows of a person as a multiset, texts by what they say."""
    listed = []
    for at in range(rows.rows):
        values = []
        for column, codes in sorted(rows.columns.items()):
            words = rows.words.get(column)
            value: object = int(codes.values[at]) if codes.present[at] else None
            values.append(words[int(codes.values[at])] if words is not None and value is not None else value)
        listed.append(hashlib.sha256(repr(values).encode()).hexdigest()[:16])
    return sorted(listed)
