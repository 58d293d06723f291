"""Write the details of the log for their readers, sealed: beside an export, in one file that anybody may hold.

For each party with a reading key a fresh key of this file, sealed to it (HPKE, `key_management.transport`), and in
each entry's slots the entry's own key under those of its readers. What of it others could count is made the same for
all that the log's public part does not tell apart: as many boxes as parties were added, as many slots as an entry
touches parties, and one for who acted, and one for each mandate ever given. Details whose retention is over are not in
it; a copy made before keeps them, and its holder answers for that.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from audit_log import EventType, LogFault, open_checkpoint, write_sealed
from audit_log import NotVerified as LogNotVerified
from cleanroom.errors import Bilingual, Fault
from cleanroom.identifiers import Digest
from cleanroom.partition.package import replacing
from cleanroom.room import registry
from cleanroom.room.reading_rights import Rights
from key_management import SecretKey, TransportKey, bind, seal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from audit_log import Envelope
    from cleanroom.room.registry import Party
    from cleanroom.room.room import Room

SUFFIX: Final = ".details"
_BLOCKS: Final = {EventType.DATASET_UPLOADED: 4}
"""A manifest names the rows of each row group, so its length would tell how many there are (S13): the groups of two
hundred million rows fit into four blocks."""
_LABEL: Final = b"cleanroom/sealed-details/v1"


def sealed_path(directory: Path) -> Path:
    """Return where the sealed details of an export are: beside its directory, which holds tlog-tiles alone."""
    return directory.with_name(directory.name + SUFFIX)


def box_info(note: bytes) -> bytes:
    """Return what a box is bound to: this use, and the very checkpoint, its signatures included."""
    return bind(_LABEL, Digest.of(note).value)


def keyed_parties(room: Room) -> tuple[Party, ...]:
    """Return the parties that details can be sealed for; the operator reads with the room's own key."""
    return tuple(each for each in registry.parties(room.connection).values() if each.reading_key is not None)


def write_details(room: Room, path: Path, note: bytes) -> None:
    """Write the sealed details of a checkpoint's entries; durable, over an earlier file.

    Args:
        note: the checkpoint as it was exported.

    Raises:
        Fault: the disk, or the log's own details are damaged.
    """
    # In this order: of whoever comes in meanwhile the rights are known, and a box and a slot are counted.
    readers = tuple(_Reader(each, SecretKey.generate()) for each in keyed_parties(room))
    rights = Rights.of(room.connection, room.journal)
    size = open_checkpoint(note, room.journal.log.verifier).size
    counted = [
        envelope.event.type
        for _, envelope in room.journal.log.entries(room.connection)
        if envelope.event.type in {EventType.PARTY_ADDED, EventType.MANDATE_GIVEN}
    ]
    others = 1 + counted.count(EventType.MANDATE_GIVEN)

    def keys_of(_index: int, envelope: Envelope) -> Sequence[bytes]:
        return [each.key.reveal_secret_bytes() for each in readers if rights.may_read(each.party, envelope.event)]

    try:
        with replacing(path) as target:
            write_sealed(
                target,
                room.connection,
                note=note,
                size=size,
                boxes=_boxes(readers, counted.count(EventType.PARTY_ADDED), box_info(note)),
                room_reader=room.journal.room_reader(),
                keys_of=keys_of,
                slots_of=lambda envelope: len(envelope.event.parties) + others,
                least_blocks=lambda envelope: _BLOCKS.get(envelope.event.type, 1),
            )
    except (LogFault, LogNotVerified) as error:
        raise Fault(
            Bilingual(f"les détails ne s'exportent pas : {error}", f"the details cannot be exported: {error}"),
            code="export_failed",
        ) from None


@dataclass(frozen=True, slots=True)
class _Reader:
    """A party, and the key that it has for this file alone."""

    party: Party
    key: SecretKey


def _boxes(readers: Sequence[_Reader], count: int, info: bytes) -> list[bytes]:
    """Seal each reader's key to it, and others to nobody, so that their number tells nothing; in no order."""
    boxes = [seal(each.party.reading_key, each.key, info) for each in readers if each.party.reading_key is not None]
    nobody = TransportKey.generate().public_bytes()
    boxes += [seal(nobody, SecretKey.generate(), info) for _ in range(count - len(boxes))]
    secrets.SystemRandom().shuffle(boxes)
    return boxes
