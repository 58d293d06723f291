"""The last checkpoint that witnesses cosigned, kept beside the head, which may have grown since."""

import sqlite3
from dataclasses import dataclass
from typing import Final

from audit_log.checkpoint import Checkpoint, open_checkpoint
from audit_log.cosignature import merge_signatures
from audit_log.errors import NotVerified
from audit_log.merkle import Frontier
from audit_log.note import Verifier, parse_note
from audit_log.tables import node_reader, read_head
from audit_log.transaction import all_or_nothing, require_writer

# Made when the first witness cosigns: a log without witnesses, or an older one, has no such table.
_SCHEMA: Final = """CREATE TABLE IF NOT EXISTS audit_cosigned (
    id INTEGER PRIMARY KEY CHECK (id = 1), size INTEGER NOT NULL, note BLOB NOT NULL) STRICT"""


@dataclass(frozen=True, slots=True)
class CosignedNote:
    """A checkpoint with its witnesses' cosignatures.

    Attributes:
        size: number of entries that it covers.
        note: the note.
    """

    size: int
    note: bytes


def read_cosigned(connection: sqlite3.Connection) -> CosignedNote | None:
    """Return the last cosigned checkpoint, None if there is none."""
    table = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'audit_cosigned' AND type = 'table'")
    if table.fetchone() is None:
        return None
    row = connection.execute("SELECT size, note FROM audit_cosigned WHERE id = 1").fetchone()
    return None if row is None else CosignedNote(row[0], bytes(row[1]))


def store_cosigned(connection: sqlite3.Connection, log: Verifier, note: bytes) -> None:
    """Keep a checkpoint that witnesses cosigned, unless a larger one is kept already.

    Cosignatures of the same state add up. Whether they hold is for their verifiers to say: see `TrustPolicy.open`.

    Args:
        connection: durable, with an open transaction of the caller.
        log: the log's key.
        note: as `gather_cosignatures` returned it.

    Raises:
        NotVerified: not a checkpoint of this log, as it is here.
        OutsideTransaction, NotDurable: as their names say.
    """
    require_writer(connection, "store_cosigned")
    checkpoint = open_checkpoint(note, log)
    require_contained(connection, checkpoint)
    kept = read_cosigned(connection)
    if kept is not None and kept.size > checkpoint.size:
        return
    merged = (
        note
        if kept is None or kept.size < checkpoint.size
        else merge_signatures(kept.note, parse_note(note).signatures)
    )
    with all_or_nothing(connection):
        connection.execute(_SCHEMA)
        connection.execute(
            "INSERT INTO audit_cosigned (id, size, note) VALUES (1, ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET size = excluded.size, note = excluded.note",
            (checkpoint.size, merged),
        )


def shown_checkpoint(connection: sqlite3.Connection, *, cosigned: bool) -> bytes:
    """Return the checkpoint to publish.

    Args:
        connection: to the database, without an open transaction.
        cosigned: the last cosigned one, while there is one; else the newest, with cosignatures if it has any.
    """
    head, kept = read_head(connection), read_cosigned(connection)
    return kept.note if kept is not None and (cosigned or kept.size == head.size) else head.note


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
