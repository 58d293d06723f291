"""Persons' rows in memory, with texts among them, and what the room is charged for a draw from them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from slow_vector import stream

from cleanroom.accounting.accountant import charges_of
from cleanroom.identifiers import TableName
from cleanroom.query.backend import PersonRows, Slice
from cleanroom.query.mechanisms import draws

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from cleanroom.accounting.accountant import Charge
    from cleanroom.query.algebra import Relation
    from cleanroom.query.mechanisms import Noise
    from cleanroom.query.plan import Plan

TNM = TableName.parse("tnm.visits")


@dataclass
class Streamed:
    """Slices that lie in memory."""

    parts: list[PersonRows]

    def slices(self) -> Iterator[Slice]:
        bits = max(1, (len(self.parts) - 1).bit_length())
        yield from (Slice(bits, prefix) for prefix in range(len(self.parts)))

    def rows(self, relation: Relation, columns: tuple[int, ...], part: Slice) -> PersonRows:
        return self.parts[part.prefix]


def text_rows(persons: list[list[tuple[str | None, int | None, int | None]]], rng: Random | None = None) -> PersonRows:
    """Return a stream whose first column is text; its words in any order."""
    words = sorted({row[0] for person in persons for row in person if row[0] is not None})
    if rng is not None:
        rng.shuffle(words)
    places: dict[str | None, int | None] = {word: at for at, word in enumerate(words)}
    places[None] = None
    coded = [[(places[row[0]], *row[1:]) for row in person] for person in persons]
    return replace(stream(coded, 3), words={0: tuple(words)})


def room_charge(a_plan: Plan, noise: Noise) -> Charge:
    return charges_of(draws(a_plan.bounds, noise), {TNM})[0]
