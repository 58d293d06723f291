"""Make the room that is measured: two members, the observatoire that asks, budgets that last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bench.data import CHANNELS, DAYS, DISCIPLINES, FIRST_DAY, MEMBERS, REGIONS
from cleanroom.identifiers import PartyId, Role, TableName
from cleanroom.room import Home, Room, registry, upload
from cleanroom.room.answer_store import take_away
from cleanroom.room.database import transaction

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.data import BenchData

ASKER: Final = "observatoire"
PURPOSE: Final = "statistics"
TABLE: Final = "visits"
MAX_ROWS: Final = 10
MAX_GROUPS: Final = 4
MAX_ROWS_PER_PERSON: Final = 300
SETTINGS: Final = b"purposes: [statistics]\nbudget: {epsilon: 1000, delta: 1e-6, window: never}\n"

_DECLARATION: Final = """\
table: {table}
unit: {{name: person, from: courriel, kind: email}}
columns:
  region: {{type: category, domain: [{regions}]}}
  discipline: {{type: category, domain: [{disciplines}]}}
  channel: {{type: category, domain: [{channels}]}}
  purchased: {{type: date, range: [{first}, {last}]}}
  tickets: {{type: integer, bounds: [1, 8]}}
  amount: {{type: decimal, resolution: 0.01, bounds: [0, 250], unit: CAD}}
limits: {{max_rows_per_person: {limit}}}
defaults: {{max_rows_contributed: {rows}, max_groups_contributed: {groups}}}
budget: {{epsilon: 1000, delta: 1e-7, window: never}}
rules:
  - name: everything that is measured, for one table or an overlap
    parties: [{asker}]
    purposes: [{purpose}]
    analyses: [aggregate, overlap]
    functions: [count_persons, count_rows, sum, avg]
    dimensions: [region, discipline, "purchased:month"]
    threshold: 20
    default_epsilon: 1
  - name: everything that is measured, for the sector
    parties: [{asker}]
    purposes: [{purpose}]
    analyses: [sector]
    functions: [count_persons, count_rows, sum, avg]
    dimensions: [region, discipline, "purchased:month"]
    min_parties: 2
    threshold: 20
    default_epsilon: 1
  - name: the matrix of overlaps between members, which tells them apart
    parties: [{asker}]
    purposes: [{purpose}]
    analyses: [overlap, sector]
    functions: [count_persons]
    dimensions: [region]
    threshold: 20
    default_epsilon: 1
"""


def table_of(member: str) -> TableName:
    """Return the name of a member's table."""
    return TableName(PartyId(member), TABLE)


def declaration(member: str) -> bytes:
    """Return a member's table file."""
    last = FIRST_DAY.fromordinal(FIRST_DAY.toordinal() + DAYS - 1)
    return _DECLARATION.format(
        table=table_of(member),
        regions=", ".join(REGIONS),
        disciplines=", ".join(DISCIPLINES),
        channels=", ".join(CHANNELS),
        first=FIRST_DAY,
        last=last,
        limit=MAX_ROWS_PER_PERSON,
        rows=MAX_ROWS,
        groups=MAX_GROUPS,
        asker=ASKER,
        purpose=PURPOSE,
    ).encode()


def empty_room(directory: Path) -> Room:
    """Make the room of the two members under `directory`, with declarations and no data."""
    return room_of(directory, MEMBERS)


def room_of(directory: Path, members: Sequence[str]) -> Room:
    """Make a room under `directory`, its keys beside it, with parties and declarations and no data."""
    room = Room.create(directory / "room", home=Home(directory / "home"), settings=SETTINGS)
    for member in members:
        room.add_party(member, Role.MEMBER)
    room.add_party(ASKER, Role.OBSERVATOIRE)
    for member in members:
        room.declare(declaration(member))
    return room


def open_room(directory: Path) -> Room:
    """Open the room that was made under `directory`."""
    return Room.open(directory / "room", home=Home(directory / "home"))


def forget_answers(room: Room) -> None:
    """Destroy the stored answers, so that the next question draws again: a reuse would be measured for it."""
    with transaction(room.connection):
        for table in registry.declarations(room.connection):
            take_away(room, table)


def filled_room(directory: Path, data: BenchData) -> None:
    """Make a room with both members' rows."""
    with empty_room(directory) as room:
        for member in MEMBERS:
            upload(room, table_of(member), data.csv(member))
