"""The mandates in force, as each reader may know them: the same in the room and from an export."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from room_samples import LATE, MEMBER, OTHER, Place

from audit_log import EventType, open_checkpoint
from cleanroom.identifiers import PartyId, Role
from cleanroom.room import log_reading
from cleanroom.room.log_reading import sign_log_reading
from cleanroom.room.mandate_list import ENTRIES, Mandates, State, mandates_of
from cleanroom.room.mandates import Terms, give_mandate, sign_mandate, sign_withdrawal, withdraw_mandates
from cleanroom.room.reading_key import read_reading_key, reading_key_path
from cleanroom.room.sealed_reading import open_details, read_own

if TYPE_CHECKING:
    from pathlib import Path

    from cleanroom.room import Room

VERA, ALMA, OPERATOR = PartyId("vera"), PartyId("alma"), PartyId("operator")
M, N = PartyId(MEMBER), PartyId(OTHER)


def give(room: Room, giver: PartyId, auditor: PartyId, **terms: Any) -> int:
    said = Terms(auditor, **terms)
    return give_mandate(room, said, sign_mandate(room.home, room.room_id, giver, said, at=room.now()))


def withdraw(room: Room, giver: PartyId, auditor: PartyId) -> int:
    withdraw_mandates(room, sign_withdrawal(room.home, room.room_id, giver, auditor, at=room.now()))
    return room.journal.log.size(room.connection) - 1


def inside(room: Room, reader: PartyId | None = None) -> Mandates:
    request = None if reader is None else sign_log_reading(room, reader, ENTRIES)
    return mandates_of(log_reading.read(room, ENTRIES, request=request))


def at_home(room: Room, place: Place, out: Path, reader: PartyId) -> Mandates:
    """Read them from an export, with the reader's key and the log's."""
    log_reading.export(room, out, details=True)
    checkpoint = open_checkpoint((out / "checkpoint").read_bytes(), room.journal.log.verifier)
    with open_details(out) as file:
        found = read_own(out, checkpoint, file, read_reading_key(reading_key_path(place.home, reader)))
        return mandates_of(found.lines(ENTRIES))


def told(found: Mandates) -> dict[int, State]:
    return {each.log_index: each.state for each in found.given}


def test_each_reader_knows_its_own_in_the_room_and_at_home(room: Room, place: Place, tmp_path: Path) -> None:
    for auditor in (VERA, ALMA):
        room.add_party(auditor, Role.AUDITOR)
    first = give(room, M, VERA, events=(EventType.DATASET_UPLOADED,), since=5, until=9)
    second, others = give(room, M, VERA), give(room, N, ALMA)
    ended = withdraw(room, M, VERA)
    last = give(room, M, VERA)
    everything = {first: State.WITHDRAWN, second: State.WITHDRAWN, others: State.IN_FORCE, last: State.IN_FORCE}
    found = inside(room)
    assert (told(found), found.hidden) == (everything, 0)
    one = found.given[0]
    assert (one.giver, one.auditor, one.events) == (M, VERA, (EventType.DATASET_UPLOADED,))
    assert (one.since, one.until, one.ended_by) == (5, 9, ended)
    times = {index: room.journal.log.entry(room.connection, index).event.t for index in (first, ended)}
    assert (one.at, one.ended_at) == (times[first], times[ended])
    assert (found.given[-1].events, found.given[-1].until, found.given[-1].ended_at) == ((), None, None)
    mine = {index: state for index, state in everything.items() if index != others}
    for number, (reader, known) in enumerate(((M, mine), (VERA, mine), (N, {others: State.IN_FORCE}))):
        through = inside(room, reader)
        assert told(through) == known
        assert through.hidden == len(everything) - len(known)
        assert at_home(room, place, tmp_path / str(number), reader) == through
    nobody = inside(room, PartyId(LATE))
    assert (nobody.given, nobody.hidden) == ((), 4)


def test_the_operators_mandate_is_known_to_everybody(room: Room) -> None:
    room.add_party(VERA, Role.AUDITOR)
    index = give(room, OPERATOR, VERA)
    for reader in (M, N, PartyId(LATE), VERA):
        assert told(inside(room, reader)) == {index: State.IN_FORCE}
    withdraw(room, OPERATOR, VERA)
    for reader in (M, N, PartyId(LATE), VERA):
        assert told(inside(room, reader)) == {index: State.WITHDRAWN}


def test_a_withdrawal_that_the_reader_may_not_read_is_not_passed_over(room: Room, place: Place, tmp_path: Path) -> None:
    """Alma may read which mandates are given, not which are withdrawn; who withdrew up to which entry is public."""
    for auditor in (VERA, ALMA, PartyId("berthe")):
        room.add_party(auditor, Role.AUDITOR)
    hers = give(room, M, ALMA, events=(EventType.MANDATE_GIVEN,))
    first, berthes = give(room, M, VERA), give(room, M, PartyId("berthe"))
    last = give(room, M, VERA)
    assert told(inside(room, ALMA)) == dict.fromkeys((hers, first, berthes, last), State.IN_FORCE)
    ended = withdraw(room, M, VERA)
    later = give(room, M, VERA)
    found = inside(room, ALMA)
    unsure = dict.fromkeys((hers, first, berthes), State.UNSURE)
    assert told(found) == {**unsure, last: State.WITHDRAWN, later: State.IN_FORCE}
    assert {each.ended_by for each in found.given} == {ended, None}
    assert at_home(room, place, tmp_path / "out", ALMA) == found
    assert told(inside(room))[berthes] is State.IN_FORCE  # as the operator knows
