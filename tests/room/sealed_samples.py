"""Who reads what of a room's sealed details: mandates, exports, readings, and the truth beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from room_samples import MEMBER, OTHER

from audit_log import open_checkpoint
from cleanroom.identifiers import PartyId
from cleanroom.room import (
    log_reading,
    registry,
)
from cleanroom.room.log_reading import Wanted
from cleanroom.room.mandates import Terms, give_mandate, sign_mandate, sign_withdrawal, withdraw_mandates
from cleanroom.room.reading_key import (
    read_reading_key,
    reading_key_path,
)
from cleanroom.room.reading_rights import Rights
from cleanroom.room.sealed_reading import open_details, read_own
from key_management import TransportKey

if TYPE_CHECKING:
    from pathlib import Path

    from cleanroom.room import Home, Room
    from cleanroom.room.sealed_reading import OwnReading

VERA, OPERATOR = PartyId("vera"), PartyId("operator")
M, N = PartyId(MEMBER), PartyId(OTHER)


def mandate(room: Room, giver: PartyId, **terms: Any) -> int:
    said = Terms(VERA, **terms)
    return give_mandate(room, said, sign_mandate(room.home, room.room_id, giver, said, at=room.now()))


def withdrawn(room: Room, giver: PartyId) -> tuple[int, ...]:
    return withdraw_mandates(room, sign_withdrawal(room.home, room.room_id, giver, VERA, at=room.now()))


def exported(room: Room, out: Path) -> Path:
    log_reading.export(room, out, details=True)
    return out


def key_of(home: Home, party: PartyId) -> TransportKey:
    return read_reading_key(reading_key_path(home, party))


def reading(out: Path, key: TransportKey, room: Room, wanted: Wanted | None = None) -> tuple[OwnReading, list[Any]]:
    """Read an export as its reader does: of the room, only the log's key is used."""
    checkpoint = open_checkpoint((out / "checkpoint").read_bytes(), room.journal.log.verifier)
    with open_details(out) as file:
        found = read_own(out, checkpoint, file, key)
        return found, list(found.lines(wanted or Wanted()))


def opened(out: Path, key: TransportKey, room: Room) -> dict[int, dict[str, Any]]:
    found, lines = reading(out, key, room)
    assert found.missing == []
    return {line.index: line.details for line in lines if line.details is not None}


def truth(room: Room, reader: PartyId) -> dict[int, dict[str, Any]]:
    """Return what the room itself would show a party, by the same rule, from its own tables."""
    rights, party = Rights.of(room.connection, room.journal), registry.party_named(room.connection, reader)
    gone = {index for (index,) in room.connection.execute("SELECT idx FROM audit_detail WHERE erased_by IS NOT NULL")}
    return {
        index: room.journal.details(room.connection, index)
        for index, envelope in room.journal.log.entries(room.connection)
        if rights.may_read(party, envelope.event) and index not in gone
    }
