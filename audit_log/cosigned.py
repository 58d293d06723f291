"""Checkpoints that witnesses cosigned, kept beside the head, which may have grown since.

Of the sizes that a quorum has cosigned the largest is kept, and behind it those that still gather cosignatures: one
witness that is ahead of the others must not take away what all of them have said.
"""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from audit_log.checkpoint import Checkpoint, open_checkpoint
from audit_log.cosignature import merge_signatures, verify_cosignatures
from audit_log.errors import NotVerified
from audit_log.merkle import Frontier
from audit_log.note import Verifier, parse_note
from audit_log.policy import TrustPolicy
from audit_log.tables import node_reader, read_head
from audit_log.transaction import all_or_nothing, require_writer

MOST_GATHERING: Final = 64
# Made when the first witness cosigns: a log without witnesses, or an older one, has no such table.
_SCHEMA: Final = """CREATE TABLE IF NOT EXISTS audit_cosigned (
    size INTEGER PRIMARY KEY, note BLOB NOT NULL, quorum INTEGER NOT NULL CHECK (quorum IN (0, 1))) STRICT"""


@dataclass(frozen=True, slots=True)
class CosignedNote:
    """A checkpoint with its witnesses' cosignatures.

    Attributes:
        size: number of entries that it covers.
        note: the note.
        quorum: whether the witnesses were a quorum of the policy under which it was stored.
    """

    size: int
    note: bytes
    quorum: bool


def read_cosigned(connection: sqlite3.Connection) -> Iterator[CosignedNote]:
    """Yield the cosigned checkpoints that are kept, the largest first."""
    table = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'audit_cosigned' AND type = 'table'")
    if table.fetchone() is None:
        return
    rows = connection.execute("SELECT size, note, quorum FROM audit_cosigned ORDER BY size DESC").fetchall()
    for size, note, quorum in rows:
        yield CosignedNote(size, bytes(note), bool(quorum))


def store_cosigned(connection: sqlite3.Connection, log: Verifier, note: bytes, policy: TrustPolicy) -> bool:
    """Keep a checkpoint that witnesses cosigned, as `gather_cosignatures` returned it or as a witness sent it in.

    Cosignatures of the same state add up; those of witnesses that the policy does not know are dropped. Whoever sends
    it needs no other proof of who they are.

    Args:
        connection: durable, with an open transaction of the caller.
        log: the log's key.
        note: the checkpoint, at most `note.MAX_NOTE_BYTES` long.
        policy: whose witnesses count.

    Returns:
        Whether the witnesses of this state are now a quorum.

    Raises:
        NotVerified: not a checkpoint of this log as it is here, or the cosignature of a known witness does not hold.
        OutsideTransaction, NotDurable: as their names say.
    """
    require_writer(connection, "store_cosigned")
    checkpoint = open_checkpoint(note, log)
    require_contained(connection, checkpoint)
    verify_cosignatures(note, (each.verifier for each in policy.witnesses))
    kept = {each.size: each for each in read_cosigned(connection)}
    base = kept[checkpoint.size].note if checkpoint.size in kept else note
    known = {(each.verifier.name, each.verifier.key_id) for each in policy.witnesses} | {(log.name, log.key_id)}
    ours = [each for each in parse_note(note).signatures if (each.name, each.key_id) in known]
    merged = merge_signatures(_only(base, known), ours)
    quorum = policy.satisfied_by(verify_cosignatures(merged, (each.verifier for each in policy.witnesses)))
    if any(each.quorum and each.size > checkpoint.size for each in kept.values()):
        return quorum  # a larger state has its quorum: this one is of no more use
    with all_or_nothing(connection):
        connection.execute(_SCHEMA)
        connection.execute(
            "INSERT INTO audit_cosigned (size, note, quorum) VALUES (?, ?, ?) "
            "ON CONFLICT (size) DO UPDATE SET note = excluded.note, quorum = excluded.quorum",
            (checkpoint.size, merged, int(quorum)),
        )
        if quorum:
            connection.execute("DELETE FROM audit_cosigned WHERE size < ?", (checkpoint.size,))
        connection.execute(
            "DELETE FROM audit_cosigned WHERE quorum = 0 AND size NOT IN "
            "(SELECT size FROM audit_cosigned WHERE quorum = 0 ORDER BY size DESC LIMIT ?)",
            (MOST_GATHERING,),
        )
    return quorum


def shown_checkpoint(connection: sqlite3.Connection, *, cosigned: bool) -> bytes:
    """Return the checkpoint to publish.

    Args:
        connection: to the database, without an open transaction.
        cosigned: the last one that a quorum cosigned, while there is one; else the newest, with the cosignatures that
            it has.
    """
    head = read_head(connection)
    for each in read_cosigned(connection):
        if each.quorum if cosigned else each.size == head.size:
            return each.note
    return head.note


def require_contained(connection: sqlite3.Connection, checkpoint: Checkpoint) -> None:
    """Check that a checkpoint is this log's, now or earlier.

    Raises:
        NotVerified: the log is smaller, or was another at that size.
    """
    size = read_head(connection).size
    if checkpoint.size > size:
        raise NotVerified("checkpoint", f"it covers {checkpoint.size} entries, the log has {size}")
    if Frontier.of(checkpoint.size, node_reader(connection, size)).root() != checkpoint.root:
        raise NotVerified("checkpoint", "the log was another at that size")


def _only(note: bytes, known: set[tuple[str, bytes]]) -> bytes:
    parsed = parse_note(note)
    lines = "".join(each.line() for each in parsed.signatures if (each.name, each.key_id) in known)
    return f"{parsed.text}\n{lines}".encode()
