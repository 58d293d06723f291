"""Where stored draws lie: sealed rows of the room's database, each under a key of its own; no engine is loaded here.

A row's key hangs under the room's answer key, its content is bound to its name and its reuse key, and the row is found
by a keyed hash of that: whoever reads the database could guess questions.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Final

from cleanroom.room.creation import ANSWERS
from key_management import KeyId, KeyKind, bind, open_content, seal_content

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from cleanroom.identifiers import Digest, TableName
    from cleanroom.room.room import Room

MOST_STORED: Final = 10_000
MOST_STORED_BYTES: Final = 1 << 28
"""How much is kept: beyond either the oldest draws go, and asking for them again costs again."""

_TAG_LABEL: Final = b"cleanroom/reuse-tag/v1\0"
_DRAW_LABEL: Final = b"cleanroom/stored-draw/v1"


def tag_of(room: Room, key: Digest) -> bytes:
    """Return what a reuse key's draws are stored under."""
    secret = room.keyring.open(room.connection, ANSWERS)
    return hmac.digest(secret.reveal_secret_bytes(), _TAG_LABEL + key.value, hashlib.sha256)


def rows(room: Room, tag: bytes) -> list[tuple[str, bytes]]:
    """Return the names and sealed bytes of a reuse key's draws, the oldest first."""
    return room.connection.execute(
        "SELECT name, sealed FROM stored_draw WHERE tag = ? ORDER BY place", (tag,)
    ).fetchall()


def opened(room: Room, name: str, key: Digest, sealed: bytes) -> bytes:
    """Return what a row holds.

    Raises:
        KeyManagementError: it does not open: altered, moved to another name or reuse key, or its key is destroyed.
    """
    secret = room.keyring.open(room.connection, KeyId(KeyKind.ANSWER, name))
    return open_content(secret, sealed, _context(room, name, key))


def enter(room: Room, name: str, key: Digest, tag: bytes, tables: Sequence[TableName], content: bytes) -> str:
    """Store a content, inside the caller's transaction; return the digest of its sealed bytes.

    Args:
        tag: the key's.
        tables: that the draw reads.
    """
    secret = room.keyring.create(room.connection, KeyId(KeyKind.ANSWER, name), ANSWERS)
    sealed = seal_content(secret, content, _context(room, name, key))
    room.connection.execute("INSERT INTO stored_draw (name, tag, sealed) VALUES (?, ?, ?)", (name, tag, sealed))
    room.connection.executemany(
        "INSERT INTO stored_draw_table (name, table_name) VALUES (?, ?)", [(name, str(table)) for table in tables]
    )
    return f"sha256:{hashlib.sha256(sealed).hexdigest()}"


def digests(connection: sqlite3.Connection) -> dict[str, str]:
    """Return the digest of each stored draw's sealed bytes, by name."""
    found = connection.execute("SELECT name, sealed FROM stored_draw").fetchall()
    return {name: f"sha256:{hashlib.sha256(sealed).hexdigest()}" for name, sealed in found}


def take_away(room: Room, table: TableName) -> list[str]:
    """Destroy the stored draws that read a table, inside the transaction of the act that changes it (S4, S5).

    Returns:
        Their names, for the act's log entry.
    """
    found = room.connection.execute(
        "SELECT name FROM stored_draw_table WHERE table_name = ? ORDER BY name", (str(table),)
    ).fetchall()
    return remove(room, [name for (name,) in found])


def remove(room: Room, names: Sequence[str]) -> list[str]:
    """Destroy the keys of draws and delete their rows, inside the caller's transaction."""
    for name in names:
        room.keyring.destroy(room.connection, KeyId(KeyKind.ANSWER, name))
        room.connection.execute("DELETE FROM stored_draw_table WHERE name = ?", (name,))
        room.connection.execute("DELETE FROM stored_draw WHERE name = ?", (name,))
    return list(names)


def excess(connection: sqlite3.Connection) -> list[str]:
    """Return the oldest draws, as many as are beyond what is kept."""
    found = connection.execute("SELECT name, length(sealed) FROM stored_draw ORDER BY place DESC").fetchall()
    size, beyond = 0, []
    for count, (name, length) in enumerate(found, start=1):
        size += length
        if count > MOST_STORED or size > MOST_STORED_BYTES:
            beyond.append(name)
    return beyond


def _context(room: Room, name: str, key: Digest) -> bytes:
    return bind(_DRAW_LABEL, room.room_id.encode(), name.encode(), key.value)
