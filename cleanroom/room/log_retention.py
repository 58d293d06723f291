"""Erase the details whose time is over, by class; itself an entry of the log, and every proof stays valid.

The class of an entry is signed in its leaf. Whoever verifies finds each erasure that came too early or had no entry.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from audit_log import RETENTION_SECONDS, Retention, erased_entries
from cleanroom.errors import Bilingual, Fault
from cleanroom.room import registry
from cleanroom.room.database import transaction
from cleanroom.room.home import OPERATOR
from cleanroom.room.journal import RETENTION
from key_management import KeyManagementError

if TYPE_CHECKING:
    from audit_log import Event
    from cleanroom.room.room import Room


@dataclass(frozen=True, slots=True)
class ClassDue:
    """What a class holds.

    Args:
        kept: entries whose details are there.
        due: indexes of those whose time is over.
        erased: entries whose details were erased before.
        next_due: Unix time when the next ones are due, None if no age ends them.
        erased_by: the entry under which they were erased, None if they were not.
    """

    retention: Retention
    kept: int
    due: tuple[int, ...]
    erased: int
    next_due: int | None
    erased_by: int | None = None


def due_after(event: Event) -> int | None:
    """Return the Unix time from which an entry's details are due, None if no age ends them.

    The longer of what its leaf says and what its kind is kept for: rooms of before the classes wrote one for all.
    """
    periods = RETENTION_SECONDS[event.ret], RETENTION_SECONDS[RETENTION[event.type]]
    return None if None in periods else event.t + max(each for each in periods if each is not None)


def retention(room: Room, *, dry_run: bool) -> tuple[ClassDue, ...]:
    """Erase what is due, or only say what it would be.

    Raises:
        Fault: erased and entered, but the old bytes could not leave the database's files, since somebody reads.
    """
    if dry_run:
        return _classes(room, max(room.now(), registry.clock(room.connection)))
    with transaction(room.connection):
        now = registry.advance_clock(room.connection, room.now())
        found = tuple(_erased(room, each, now) for each in _classes(room, now))
    room.remember_log()
    # Also when nothing was due: what a reader kept from leaving the files last time leaves now.
    _purge(room)
    return found


def _erased(room: Room, found: ClassDue, now: int) -> ClassDue:
    if not found.due:
        return found
    index = room.journal.erase_expired(
        room.connection,
        found.due,
        found.retention,
        at=now,
        actor=OPERATOR,
        details={"class": found.retention.value, "entries": len(found.due), "method": "key-destroyed"},
    )
    return ClassDue(found.retention, found.kept, found.due, found.erased, found.next_due, index)


def _classes(room: Room, now: int) -> tuple[ClassDue, ...]:
    gone = erased_entries(room.connection)
    kept: dict[Retention, int] = dict.fromkeys(Retention, 0)
    erased: dict[Retention, int] = dict.fromkeys(Retention, 0)
    due: dict[Retention, list[int]] = {each: [] for each in Retention}
    later: dict[Retention, list[int]] = {each: [] for each in Retention}
    for index, envelope in room.journal.log.entries(room.connection):
        event = envelope.event
        if index in gone:
            erased[event.ret] += 1
            continue
        kept[event.ret] += 1
        end = due_after(event)
        if end is not None and end <= now:
            due[event.ret].append(index)
        elif end is not None:
            later[event.ret].append(end)
    return tuple(
        ClassDue(each, kept[each], tuple(due[each]), erased[each], min(later[each], default=None)) for each in Retention
    )


def _purge(room: Room) -> None:
    """Let the old bytes leave the write-ahead log too; that needs a moment in which nobody reads."""
    try:
        room.keyring.purge(room.connection)
    except KeyManagementError:
        raise Fault(
            Bilingual(
                "effacé et consigné, mais d'anciens octets restent dans le fichier -wal tant que quelqu'un lit la "
                "base ; recommencez quand personne ne s'en sert",
                "erased and logged, but old bytes stay in the -wal file while somebody reads the database; run it "
                "again when nobody uses it",
            ),
            code="purge_incomplete",
        ) from None
