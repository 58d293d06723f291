"""Erasing details for good: ciphertext and wrapped keys go, and an entry says so; leaf, tree and proofs stay.

One entry's details go by decision (`details.erased`, caused by that entry). Those of a retention class go by their age,
many at once, under one entry (`retention.executed`): its public part alone says which, and anybody can check that none
of them went too early.
"""

import sqlite3
from collections.abc import Mapping, Sequence

from audit_log.appending import Drafted, append_prepared
from audit_log.details import canonical_details
from audit_log.entry import RETENTION_SECONDS, Envelope, Event, EventType
from audit_log.errors import MalformedEntry, NoSuchEntry
from audit_log.note import Signer
from audit_log.tables import read_ciphertext, read_head, read_leaf
from audit_log.transaction import all_or_nothing


def erases(erasure: Event, index: int, erased: Event) -> bool:
    """Say whether an entry is the one under which another's details may be gone.

    Args:
        erasure: the entry that says so.
        index: of the entry whose details are gone.
        erased: that entry.
    """
    match erasure.type:
        case EventType.DETAILS_ERASED:
            return erasure.caused_by == index
        case EventType.RETENTION_EXECUTED:
            period = RETENTION_SECONDS[erasure.ret]
            due = period is not None and erased.t + period <= erasure.t
            return due and index <= erasure.caused_by and erased.ret is erasure.ret
        case _:
            return False


def erase_one(
    connection: sqlite3.Connection,
    signer: Signer,
    index: int,
    event: Event,
    details: Mapping[str, object],
    readers: Mapping[str, bytes],
) -> int:
    """Erase one entry's details by decision; as `Log.erase`."""
    if event.type is not EventType.DETAILS_ERASED or event.caused_by != index:
        raise MalformedEntry("type", "an erasure is details.erased, caused by the entry whose details go")
    return _erase(connection, signer, (index,), event, details, readers)


def erase_expired(
    connection: sqlite3.Connection,
    signer: Signer,
    indexes: Sequence[int],
    event: Event,
    details: Mapping[str, object],
    readers: Mapping[str, bytes],
) -> int:
    """Erase many entries' details by age; as `Log.erase_expired`."""
    if event.type is not EventType.RETENTION_EXECUTED or not indexes or event.caused_by != max(indexes):
        raise MalformedEntry("type", "a retention is retention.executed, caused by the last entry whose details go")
    return _erase(connection, signer, indexes, event, details, readers)


def _erase(
    connection: sqlite3.Connection,
    signer: Signer,
    indexes: Sequence[int],
    event: Event,
    details: Mapping[str, object],
    readers: Mapping[str, bytes],
) -> int:
    for index in indexes:
        leaf = read_leaf(connection, index)
        if leaf is None:
            raise NoSuchEntry(index, read_head(connection).size)
        if not erases(event, index, Envelope.parse_at(index, leaf).event):
            raise MalformedEntry("ret", f"the details of entry {index} are not of this class, or not due yet")
        read_ciphertext(connection, index)
    erasure = Drafted(event, canonical_details(details), readers).seal()
    with all_or_nothing(connection):
        # Freed pages are overwritten; the WAL keeps the old ones until the caller's next checkpoint of it.
        connection.execute("PRAGMA secure_delete = ON")
        (erased_by,) = append_prepared(connection, signer, [erasure])
        connection.executemany(
            "UPDATE audit_detail SET ciphertext = NULL, erased_by = ? WHERE idx = ?",
            [(erased_by, index) for index in indexes],
        )
        connection.executemany("DELETE FROM audit_wrap WHERE idx = ?", [(index,) for index in indexes])
    return erased_by


def erased_entries(connection: sqlite3.Connection) -> frozenset[int]:
    """Return the indexes of the entries whose details were erased."""
    return frozenset(
        index for (index,) in connection.execute("SELECT idx FROM audit_detail WHERE erased_by IS NOT NULL")
    )
