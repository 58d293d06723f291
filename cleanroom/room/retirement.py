"""The end of uploads: a version without them, then their keys destroyed, then their files removed.

The act that retires (a replacement, a correction, a withdrawal, an erasure) commits first, with its log entry; the rest
follows at once and, if a crash cuts it short, at the next opening or intake. Each step may be done again. What was
spent on a retired upload stays spent (S4).
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from audit_log import EventType
from cleanroom.errors import Fault
from cleanroom.room import registry
from cleanroom.room.database import transaction
from cleanroom.room.locks import nobody_asking, taking_in_now
from cleanroom.room.registry import Stage
from cleanroom.storage.partition_store import StoredPartition
from key_management import KeyId, KeyKind, KeyManagementError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from cleanroom.room.registry import Retirement, Upload
    from cleanroom.room.room import Room

PATIENCE_SECONDS: Final = 10.0
"""How long keys wait for questions under way, which would otherwise fail, charged. The owner's wish comes first."""

_PAUSE_SECONDS: Final = 0.02


def retire(connection: sqlite3.Connection, uploads: Iterable[Upload], *, number: int, log_index: int) -> None:
    """Take uploads out of their table's version, inside the transaction of the act that does it.

    Args:
        number: the version that no longer has them.
        log_index: of the act's log entry.
    """
    connection.executemany(
        "INSERT INTO retirement (upload, number, log_index, stage) VALUES (?, ?, ?, ?)",
        [(each.upload, number, log_index, Stage.RETIRED.value) for each in uploads],
    )


def remove_orphans(room: Room) -> None:
    """Remove files that no record knows; the caller holds the intake lock, and has committed something since it opened.

    Then no commit of before that failed half-way can be found done by the next opening, and miss its file. Those of
    retired uploads stay: a question under way may be reading them, and `finish` removes them.
    """
    found = registry.history(room.connection)
    room.store.remove_orphans({each.upload for each, end in found if end is None or end.stage is not Stage.GONE})


def finish(room: Room, *, patience: float = PATIENCE_SECONDS) -> bool:
    """Destroy keys and remove files of what is retired; the caller holds the intake lock.

    Args:
        patience: seconds to wait until no question is under way.

    Returns:
        Whether all of it is done; what is not will be tried at the next opening or intake.
    """
    try:
        _destroy_keys(room, patience)
        return _remove_files(room)
    except (Fault, KeyManagementError, OSError):
        return False


def finish_after_crash(room: Room) -> None:
    """Finish what a crash cut short, unless a package is being taken in: whoever does that finishes it."""
    if not _pending(room.connection):
        return
    with taking_in_now(room.path) as alone:
        if alone:
            finish(room, patience=0.0)


def _pending(connection: sqlite3.Connection, *stages: Stage) -> list[tuple[Upload, Retirement]]:
    wanted = stages or (Stage.RETIRED, Stage.DESTROYED)
    (count,) = connection.execute("SELECT count(*) FROM retirement WHERE stage <> 'gone'").fetchone()
    if not count:
        return []
    found = registry.history(connection)
    return [(upload, end) for upload, end in found if end is not None and end.stage in wanted]


def _destroy_keys(room: Room, patience: float) -> None:
    retired = _pending(room.connection, Stage.RETIRED)
    if not retired:
        return
    with ExitStack() as held:
        deadline = time.monotonic() + patience
        while not held.enter_context(nobody_asking(room.path)):
            held.pop_all().close()
            if time.monotonic() >= deadline:
                break
            time.sleep(_PAUSE_SECONDS)
        _destroy(room, retired)
    room.remember_log()


def _destroy(room: Room, retired: list[tuple[Upload, Retirement]]) -> None:
    acts = {end.log_index: [each for each, its in retired if its.log_index == end.log_index] for _, end in retired}
    with transaction(room.connection):
        known = registry.parties(room.connection)
        for index, uploads in sorted(acts.items()):
            owner = known[uploads[0].table.owner]
            for each in uploads:
                room.keyring.destroy(room.connection, KeyId(KeyKind.DATA, each.upload))
                room.connection.execute(
                    "UPDATE retirement SET stage = ? WHERE upload = ?", (Stage.DESTROYED.value, each.upload)
                )
            room.journal.append(
                room.connection,
                EventType.KEY_DESTROYED,
                at=registry.advance_clock(room.connection, room.now()),
                actor=owner.party,
                ordinals=(owner.ordinal,),
                caused_by=index,
                details={
                    "table": ", ".join(sorted({str(each.table) for each in uploads})),
                    "uploads": [each.upload for each in uploads],
                },
            )


def _remove_files(room: Room) -> bool:
    destroyed = _pending(room.connection, Stage.DESTROYED)
    if not destroyed:
        return True
    for upload, _ in destroyed:
        room.store.remove(StoredPartition(upload.manifest))
    # The wrapped keys' old bytes leave the write-ahead log too; that needs a moment in which nobody reads.
    room.keyring.purge(room.connection)
    with transaction(room.connection):
        room.connection.executemany(
            "UPDATE retirement SET stage = ? WHERE upload = ?",
            [(Stage.GONE.value, upload.upload) for upload, _ in destroyed],
        )
    return True
