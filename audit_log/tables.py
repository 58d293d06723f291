"""The log's tables in the caller's SQLite database.

`audit_tile` holds level 0 only when full and the levels above at their present width: the hashes of a partial tile of
level 0 are those of at most 255 entries, cheap to make again, while those above would cost 256 times as much.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from audit_log.errors import DetailsErased, LogDamaged, NotAReader, NotVerified
from audit_log.merkle import HASH_BYTES, Frontier, NodeReader, leaf_hash
from audit_log.tiles import HEIGHT, WIDTH, complete_root, split_hashes

_ROWS_AT_ONCE: Final = 64  # few enough for any limit on a statement's values

SCHEMA: Final = (
    """CREATE TABLE audit_entry (idx INTEGER PRIMARY KEY, leaf BLOB NOT NULL) STRICT""",
    """CREATE TABLE audit_tile (
        level INTEGER NOT NULL, number INTEGER NOT NULL, hashes BLOB NOT NULL,
        PRIMARY KEY (level, number)) STRICT, WITHOUT ROWID""",
    """CREATE TABLE audit_head (
        id INTEGER PRIMARY KEY CHECK (id = 1), size INTEGER NOT NULL, root BLOB NOT NULL,
        frontier BLOB NOT NULL, note BLOB NOT NULL) STRICT""",
    """CREATE TABLE audit_checkpoint (size INTEGER PRIMARY KEY, note BLOB NOT NULL) STRICT""",
    """CREATE TABLE audit_detail (
        idx INTEGER PRIMARY KEY, ciphertext BLOB, erased_by INTEGER,
        CHECK ((ciphertext IS NULL) <> (erased_by IS NULL))) STRICT""",
    """CREATE TABLE audit_wrap (
        idx INTEGER NOT NULL, reader TEXT NOT NULL, wrapped BLOB NOT NULL,
        PRIMARY KEY (idx, reader)) STRICT, WITHOUT ROWID""",
    # Against mistakes only: who owns the file can drop a trigger. The signed tree is the control.
    """CREATE TRIGGER audit_entry_keeps BEFORE UPDATE ON audit_entry
        BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END""",
    """CREATE TRIGGER audit_entry_stays BEFORE DELETE ON audit_entry
        BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END""",
    """CREATE TRIGGER audit_checkpoint_keeps BEFORE UPDATE ON audit_checkpoint
        BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END""",
    """CREATE TRIGGER audit_checkpoint_stays BEFORE DELETE ON audit_checkpoint
        BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END""",
)


@dataclass(frozen=True, slots=True)
class Head:
    """The log's present state as stored.

    Attributes:
        size: number of entries.
        root: the root at that size.
        frontier: what appending needs.
        note: the signed checkpoint.
    """

    size: int
    root: bytes
    frontier: Frontier
    note: bytes


def pack(frontier: Frontier) -> bytes:
    """Write a frontier's hashes as stored in `audit_head`."""
    return b"".join(frontier.peaks)


def read_head(connection: sqlite3.Connection) -> Head:
    """Read the head and check that it is one tree.

    Raises:
        LogDamaged: no head, or size, root and frontier contradict each other.
    """
    try:
        row = connection.execute("SELECT size, root, frontier, note FROM audit_head WHERE id = 1").fetchone()
    except sqlite3.OperationalError as error:
        raise LogDamaged("audit_head", "this database holds no log") from error
    if row is None:
        raise LogDamaged("audit_head", "this database holds no log")
    size, root, packed, note = row
    try:
        frontier, hashed = _hashed(size, packed)
    except NotVerified as error:
        raise LogDamaged("audit_head", "the frontier does not belong to the size") from error
    if hashed != root:
        raise LogDamaged("audit_head", "the frontier does not hash to the root")
    return Head(size, root, frontier, note)


@lru_cache(maxsize=64)
def _hashed(size: int, packed: bytes) -> tuple[Frontier, bytes]:
    """Return a stored frontier and the root that it hashes to: each state of a log is read several times."""
    frontier = Frontier(size, split_hashes(packed) if packed else ())
    return frontier, frontier.root()


def read_size(connection: sqlite3.Connection) -> int:
    """Return the number of entries that the head names.

    Raises:
        LogDamaged: no head.
    """
    row = connection.execute("SELECT size FROM audit_head WHERE id = 1").fetchone()
    if row is None:
        raise LogDamaged("audit_head", "this database holds no log")
    return int(row[0])


def read_leaf(connection: sqlite3.Connection, index: int) -> bytes | None:
    """Return an entry's bytes, None if there is none."""
    row = connection.execute("SELECT leaf FROM audit_entry WHERE idx = ?", (index,)).fetchone()
    return None if row is None else bytes(row[0])


def read_leaves(connection: sqlite3.Connection, start: int, end: int) -> list[bytes]:
    """Return the entries [start, end).

    Raises:
        LogDamaged: one of them is missing.
    """
    rows = connection.execute(
        "SELECT idx, leaf FROM audit_entry WHERE idx >= ? AND idx < ? ORDER BY idx", (start, end)
    ).fetchall()
    for expected, (index, _) in enumerate(rows, start):
        if index != expected:
            raise LogDamaged("audit_entry", "missing", expected)
    if len(rows) != end - start:
        raise LogDamaged("audit_entry", "missing", start + len(rows))
    return [bytes(leaf) for _, leaf in rows]


def read_tile(connection: sqlite3.Connection, level: int, number: int) -> bytes:
    """Return a stored tile's bytes, empty if there is none."""
    row = connection.execute("SELECT hashes FROM audit_tile WHERE level = ? AND number = ?", (level, number)).fetchone()
    return b"" if row is None else bytes(row[0])


def hashes_at(connection: sqlite3.Connection, level: int, number: int, width: int) -> tuple[bytes, ...]:
    """Return the first `width` hashes of a tile, made from the entries where the tile is not stored.

    Raises:
        LogDamaged: neither is there.
    """
    if level == 0 and width < WIDTH:
        start = number * WIDTH
        return tuple(leaf_hash(leaf) for leaf in read_leaves(connection, start, start + width))
    stored = read_tile(connection, level, number)
    if len(stored) < width * HASH_BYTES or len(stored) % HASH_BYTES:
        raise LogDamaged("audit_tile", f"level {level}, number {number} is missing or short")
    return split_hashes(stored[: width * HASH_BYTES])


def node_reader(connection: sqlite3.Connection, size: int) -> NodeReader:
    """Return a reader of the complete subtrees of a log of `size` entries; it keeps the tiles that it has read."""
    kept: dict[tuple[int, int], tuple[bytes, ...]] = {}

    def read(height: int, number: int) -> bytes:
        level, depth = divmod(height, HEIGHT)
        first = number << depth
        tile, offset = divmod(first, WIDTH)
        if (level, tile) not in kept:
            width = min(WIDTH, (size >> (HEIGHT * level)) - tile * WIDTH)
            kept[level, tile] = hashes_at(connection, level, tile, width)
        return complete_root(kept[level, tile][offset : offset + (1 << depth)])

    return read


def proof_reader(connection: sqlite3.Connection, head: Head) -> NodeReader:
    """Return a reader of the complete subtrees that one proof asks for, which reads no more entries than these have.

    The largest are the head's own frontier, and a proof of the last entries needs little else.

    Args:
        head: with a frontier that hashes to its root, as `read_head` gives it.
    """
    largest = head.frontier.subtrees()
    of_tiles = node_reader(connection, head.size)

    def read(height: int, number: int) -> bytes:
        known = largest.get((height, number))
        if known is not None:
            return known
        start, end = number << height, (number + 1) << height
        if start // WIDTH < head.size // WIDTH:
            return of_tiles(height, number)
        return complete_root([leaf_hash(leaf) for leaf in read_leaves(connection, start, end)])

    return read


def insert_rows(connection: sqlite3.Connection, table: str, rows: Sequence[tuple[object, ...]]) -> None:
    """Insert rows, many with one statement: each statement hands the interpreter to other threads, who keep it a while.

    Args:
        connection: within a transaction.
        table: with its columns, of this module's own writing.
        rows: of as many values as the table has columns.
    """
    for at in range(0, len(rows), _ROWS_AT_ONCE):
        some = rows[at : at + _ROWS_AT_ONCE]
        places = ",".join([f"({','.join('?' * len(some[0]))})"] * len(some))
        values = [value for row in some for value in row]
        connection.execute(f"INSERT INTO {table} VALUES {places}", values)  # noqa: S608  # constants and question marks


def store_leaves(connection: sqlite3.Connection, start: int, leaves: Sequence[bytes], hashes: Sequence[bytes]) -> None:
    """Insert entries from index `start` on, and whatever tiles they complete or widen.

    Args:
        connection: within a transaction.
        start: the log's present size.
        leaves: the entries.
        hashes: `leaf_hash` of each.
    """
    insert_rows(connection, "audit_entry (idx, leaf)", list(enumerate(leaves, start)))
    for number in range(start // WIDTH, (start + len(leaves)) // WIDTH):
        first = number * WIDTH
        before = [leaf_hash(each) for each in read_leaves(connection, first, start)] if first < start else []
        new = max(0, first - start)
        _store_full_tile(connection, number, (*before, *hashes[new : first + WIDTH - start]))


def _store_full_tile(connection: sqlite3.Connection, number: int, hashes: tuple[bytes, ...]) -> None:
    connection.execute("INSERT INTO audit_tile (level, number, hashes) VALUES (0, ?, ?)", (number, b"".join(hashes)))
    level = 1
    while True:
        # The full tile below becomes one hash of the level above (c2sp.org/tlog-tiles).
        number, offset = divmod(number, WIDTH)
        stored = read_tile(connection, level, number)
        if len(stored) != offset * HASH_BYTES:
            raise LogDamaged("audit_tile", f"level {level}, number {number} has not {offset} hashes")
        stored += complete_root(hashes)
        connection.execute(
            "INSERT INTO audit_tile (level, number, hashes) VALUES (?, ?, ?) "
            "ON CONFLICT (level, number) DO UPDATE SET hashes = excluded.hashes",
            (level, number, stored),
        )
        if offset + 1 < WIDTH:
            return
        hashes = split_hashes(stored)
        level += 1


def store_wraps(connection: sqlite3.Connection, wraps: Iterable[tuple[int, Mapping[str, bytes]]]) -> None:
    """Insert entries' wrapped keys, one for each reader."""
    rows = [(index, reader, wrapped) for index, readers in wraps for reader, wrapped in readers.items()]
    insert_rows(connection, "audit_wrap (idx, reader, wrapped)", rows)


def read_ciphertext(connection: sqlite3.Connection, index: int) -> bytes:
    """Return an entry's encrypted details.

    Raises:
        DetailsErased: they were erased.
        LogDamaged: they are missing.
    """
    row = connection.execute("SELECT ciphertext, erased_by FROM audit_detail WHERE idx = ?", (index,)).fetchone()
    if row is None:
        raise LogDamaged("audit_detail", "missing", index)
    if row[1] is not None:
        raise DetailsErased(index, row[1])
    return bytes(row[0])


def read_wrap(connection: sqlite3.Connection, index: int, reader: str) -> bytes:
    """Return an entry's key, wrapped for a reader.

    Raises:
        NotAReader: it is not wrapped for this one.
    """
    row = connection.execute("SELECT wrapped FROM audit_wrap WHERE idx = ? AND reader = ?", (index, reader)).fetchone()
    if row is None:
        raise NotAReader(index, reader)
    return bytes(row[0])
