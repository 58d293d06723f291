"""THE property, for one plan and one room: nobody moves anything that is released further than was declared (S2, F).

Stated here apart from the product: L2 of the vector, L2 of the reach of a quantile's scores, number of keys.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from distances import squared_diameter, squared_distance
from rooms import Engine, Room

from cleanroom.query.bound import QuantileBound
from cleanroom.query.cells import SurvivingKeys
from cleanroom.query.quantiles import scores

if TYPE_CHECKING:
    from collections.abc import Iterable

    from memory_reader import Row

    from cleanroom.identifiers import TableName
    from cleanroom.query.contribution import ExactVector


def assert_sound(engine: Engine, room: Room, people: Iterable[int] | None = None) -> None:
    """Remove each person everywhere, then from each table alone."""
    watched = Watched(engine, room)
    for person in room.persons if people is None else people:
        watched.require(room.without(person), None)
        if len(engine.plan.tables) > 1:
            for table in engine.plan.tables:
                watched.require(room.without(person, {table}), table)


class Watched:
    """What a plan makes of a room, and how far that moves when somebody goes."""

    def __init__(self, engine: Engine, room: Room) -> None:
        self.engine = engine
        self.plan = engine.plan
        self.keys = engine.keys(room) if self.plan.bounds.distinct_keys else None
        self.whole = engine.exact(room, surviving=self.keys)

    def require(self, neighbour: Room, table: TableName | None) -> None:
        """Hold a room without a person against the bounds.

        Args:
            table: that the person left; None for all.
        """
        bounds = self.plan.bounds
        # Keys that survived are public: the second release counts by the same ones on both rooms (S8).
        exact = self.engine.exact(neighbour, surviving=self.keys)
        moved = squared_distance(self.whole.values, exact.values)
        square = bounds.norm**2
        if table is not None:
            square = squared_diameter(self.plan)
        assert moved <= square, (moved, square)
        self._require_scores(exact, everywhere=table is None)
        if self.keys is not None:
            self._require_keys(self.engine.keys(neighbour), everywhere=table is None)

    def _require_scores(self, exact: ExactVector, *, everywhere: bool) -> None:
        for bound, ours, theirs in zip(self.plan.bounds.quantiles, self.whole.weights, exact.weights, strict=True):
            reach = sum(each * each for each in _moves(bound, ours, theirs))
            if everywhere or len(self.plan.tables) == 1:
                allowed = max(bound.below, bound.above) ** 2 * bound.norm**2
            elif self.plan.bounds.cells == 1 and not self.plan.bounds.distinct_keys:
                allowed = (bound.below + bound.above) ** 2 * bound.norm**2
            else:
                allowed = 2 * (bound.below**2 + bound.above**2) * bound.norm**2
            assert reach <= allowed, (reach, allowed)

    def _require_keys(self, theirs: SurvivingKeys, *, everywhere: bool) -> None:
        assert self.keys is not None
        ours = dict(zip(zip(*self.keys.columns, strict=True), self.keys.counted, strict=True))
        other = dict(zip(zip(*theirs.columns, strict=True), theirs.counted, strict=True))
        changes = [abs(ours.get(key, 0) - other.get(key, 0)) for key in ours.keys() | other.keys()]
        most = self.plan.bounds.distinct_keys
        alone = everywhere or len(self.plan.tables) == 1
        assert max(changes, default=0) <= 1
        assert sum(changes) <= (most if alone else 2 * most)
        if alone:
            # Nobody's going brings a key.
            assert all(other[key] <= ours.get(key, 0) for key in other)


def _moves(bound: QuantileBound, ours: np.ndarray, theirs: np.ndarray) -> list[int]:
    """Return for each cell how far its scores move at most."""
    pairs = zip(scores(bound, ours), scores(bound, theirs), strict=True)
    return [max(abs(a - b) for a, b in zip(one, other, strict=True)) for one, other in pairs]


def assert_personal(engine: Engine, room: Room) -> None:
    """Hold the room to be the sum of rooms of one person each: nobody's part depends on anybody else's rows."""
    keys = engine.keys(room) if engine.plan.bounds.distinct_keys else None
    whole = engine.exact(room, surviving=keys)
    parts = [engine.exact(only(room, person), surviving=keys) for person in room.persons]
    for part in parts:
        assert sum(entry * entry for entry in part.values) <= engine.plan.bounds.norm**2
    if parts:
        total = parts[0]
        for part in parts[1:]:
            total += part
        assert whole.values == total.values
        assert all(np.array_equal(a, b) for a, b in zip(whole.weights, total.weights, strict=True))
    else:
        assert not any(whole.values)


def assert_arranged(engine: Engine, room: Room, other: Room, bits: int) -> None:
    """Hold the same rows in another order, and slices of them, to give the same."""
    keys = engine.keys(room) if engine.plan.bounds.distinct_keys else None
    whole = engine.exact(room, surviving=keys)
    for again in (engine.exact(other, surviving=keys), engine.exact(room, bits=bits, surviving=keys)):
        assert again.values == whole.values
        assert all(np.array_equal(a, b) for a, b in zip(again.weights, whole.weights, strict=True))


def only(room: Room, person: int) -> Room:
    """Return the room with one person's rows and nobody else's."""
    kept: dict[TableName, tuple[tuple[Row, ...], ...]] = {
        table: tuple(tuple(row for row in part if row[0] == person) for part in parts)
        for table, parts in room.uploads.items()
    }
    return replace(room, uploads=kept)
