"""Verification straight from the database's tables: all that a directory shows, and the sealed details too."""

import hashlib
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import zip_longest

from audit_log.checkpoint import Checkpoint
from audit_log.details import WRAPPED_BYTES, open_details
from audit_log.entry import Envelope, EventType
from audit_log.errors import LogDamaged, MalformedEntry, NotVerified
from audit_log.note import Verifier
from audit_log.rehash import Rehash
from audit_log.tables import node_reader, read_head, read_leaf, read_tile
from audit_log.tiles import WIDTH, Tile, width_at
from audit_log.verdict import Finding, Verdict
from audit_log.verifier import check_remembered, judge_note, judge_tree


def verify_database(
    connection: sqlite3.Connection,
    vkey: str,
    remembered: Checkpoint | None = None,
    *,
    readers: Mapping[str, bytes] | None = None,
) -> Verdict:
    """Verify a log in its tables: every entry, tile, checkpoint ever signed, and every sealed detail.

    Args:
        connection: to the database; nothing is written. Within an open transaction, what that shows is verified.
        vkey: the log's public key, from a source that the verifier trusts.
        remembered: an earlier checkpoint that the log must contain; finds rollback and rewritten history.
        readers: 32-byte keys of readers by name; details sealed for them are opened and compared with the leaf.
            Without them a damaged wrapped key of the right length cannot be told.

    Returns:
        Verified, or the first thing that is wrong and where: a table, and the index of the entry.

    Raises:
        MalformedNote: `vkey` is not a key.
    """
    verifier = Verifier.from_vkey(vkey)
    own_transaction = not connection.in_transaction
    try:
        if own_transaction:
            # One snapshot for all statements, while the room goes on writing.
            connection.execute("BEGIN")
        return _verify(connection, verifier, remembered, readers or {})
    except sqlite3.DatabaseError:
        return Verdict(Finding.DATABASE_UNREADABLE, "database")
    finally:
        if own_transaction and connection.in_transaction:
            connection.execute("ROLLBACK")


def _verify(
    connection: sqlite3.Connection, verifier: Verifier, remembered: Checkpoint | None, readers: Mapping[str, bytes]
) -> Verdict:
    try:
        head = read_head(connection)
    except LogDamaged:
        return Verdict(Finding.HEAD_DIFFERS, "audit_head")
    opened = judge_note(head.note, verifier, "audit_head")
    if isinstance(opened, Verdict):
        return opened
    if (opened.size, opened.root) != (head.size, head.root):
        return Verdict(Finding.HEAD_DIFFERS, "audit_head", checkpoint=opened)
    wrong = (
        _check_history(connection, verifier, opened)
        or _check_last_note(connection, head.note, opened.size)
        or _check_surplus(connection, opened.size)
        or _check_details(connection, opened.size, readers)
        or check_remembered(opened, remembered, node_reader(connection, opened.size), "audit_head")
    )
    return replace(wrong or Verdict(Finding.VERIFIED), checkpoint=opened)


def _check_history(connection: sqlite3.Connection, verifier: Verifier, head: Checkpoint) -> Verdict | None:
    """Make the tree again entry by entry and compare it with what was signed after each."""
    rehash = Rehash(lambda tile: _stored_tile(connection, tile))
    notes = connection.execute("SELECT size, note FROM audit_checkpoint ORDER BY size")
    leaves = connection.execute("SELECT idx, leaf FROM audit_entry ORDER BY idx")
    for size, row in enumerate(notes):
        if row[0] != size:
            return Verdict(Finding.ROW_MISSING, "audit_checkpoint", size)
        if size > head.size:
            return Verdict(Finding.ROW_EXTRA, "audit_checkpoint", size)
        if size:
            entry = leaves.fetchone()
            if entry is None or entry[0] != size - 1:
                # An index below the one awaited can only be negative: entries are sorted and unique.
                surplus = entry is not None and entry[0] < size - 1
                return Verdict(Finding.ROW_EXTRA if surplus else Finding.ROW_MISSING, "audit_entry", size - 1)
            rehash.add(bytes(entry[1]))
        signed = judge_note(bytes(row[1]), verifier, "audit_checkpoint")
        if isinstance(signed, Verdict):
            return replace(signed, index=size)
        if signed.size != size:
            return Verdict(Finding.HEAD_DIFFERS, "audit_checkpoint", size)
        if signed.root != rehash.frontier.root():
            return Verdict(Finding.ENTRY_ALTERED, "audit_entry", size - 1)
    if rehash.frontier.size != head.size:
        return Verdict(Finding.ROW_MISSING, "audit_checkpoint", rehash.frontier.size + 1)
    rehash.finish()
    return judge_tree(
        rehash,
        head,
        entry_place=lambda _: "audit_entry",
        tile_place=lambda tile: f"audit_tile level {tile.level}, number {tile.number}",
        root_place="audit_head",
    )


def _stored_tile(connection: sqlite3.Connection, tile: Tile) -> bytes | None:
    if tile.level == 0 and tile.width < WIDTH:
        return None  # made from the entries when it is needed, see `tables`
    return read_tile(connection, tile.level, tile.number)


def _check_last_note(connection: sqlite3.Connection, note: bytes, size: int) -> Verdict | None:
    row = connection.execute("SELECT note FROM audit_checkpoint WHERE size = ?", (size,)).fetchone()
    if row is None or bytes(row[0]) != note:
        return Verdict(Finding.HEAD_DIFFERS, "audit_head")
    return None


def _check_surplus(connection: sqlite3.Connection, size: int) -> Verdict | None:
    """Find entries and tiles that nothing signed speaks of."""
    row = connection.execute("SELECT idx FROM audit_entry WHERE idx < 0 OR idx >= ? LIMIT 1", (size,)).fetchone()
    if row is not None:
        return Verdict(Finding.ROW_EXTRA, "audit_entry", row[0])
    # Those that are missing were found beside the tree; here, those that it does not have.
    for level, number in connection.execute("SELECT level, number FROM audit_tile ORDER BY level, number"):
        width = width_at(level, number, size) if level >= 0 and number >= 0 else 0
        if width < (1 if level else WIDTH):
            return Verdict(Finding.ROW_EXTRA, f"audit_tile level {level}, number {number}", number)
    return None


def _check_details(connection: sqlite3.Connection, size: int, readers: Mapping[str, bytes]) -> Verdict | None:
    rows: Iterator[tuple[int, bytes | None, int | None]] = connection.execute(
        "SELECT idx, ciphertext, erased_by FROM audit_detail ORDER BY idx"
    )
    for index, row in zip_longest(range(size), rows):
        if index is None:
            return Verdict(Finding.ROW_EXTRA, "audit_detail", row[0])
        if row is None or row[0] != index:
            return Verdict(Finding.DETAILS_MISSING, "audit_detail", index)
        envelope = Envelope.parse(read_leaf(connection, index) or b"")
        wraps = dict(connection.execute("SELECT reader, wrapped FROM audit_wrap WHERE idx = ?", (index,)).fetchall())
        wrong = _check_erased(connection, index, row[2], wraps) if row[1] is None else None
        if row[1] is not None:
            wrong = _check_sealed(index, envelope, bytes(row[1]), wraps, readers)
        if wrong is not None:
            return wrong
    surplus = connection.execute("SELECT idx FROM audit_wrap WHERE idx < 0 OR idx >= ? LIMIT 1", (size,)).fetchone()
    return None if surplus is None else Verdict(Finding.ROW_EXTRA, "audit_wrap", surplus[0])


def _check_erased(
    connection: sqlite3.Connection, index: int, erased_by: int | None, wraps: Mapping[str, bytes]
) -> Verdict | None:
    if wraps:
        return Verdict(Finding.ROW_EXTRA, "audit_wrap", index)
    leaf = None if erased_by is None else read_leaf(connection, erased_by)
    try:
        event = Envelope.parse(leaf or b"").event
    except MalformedEntry:
        return Verdict(Finding.ERASURE_UNLOGGED, "audit_detail", index)
    if event.type is not EventType.DETAILS_ERASED or event.caused_by != index:
        return Verdict(Finding.ERASURE_UNLOGGED, "audit_detail", index)
    return None


def _check_sealed(
    index: int, envelope: Envelope, ciphertext: bytes, wraps: Mapping[str, bytes], readers: Mapping[str, bytes]
) -> Verdict | None:
    if hashlib.sha256(ciphertext).hexdigest() != envelope.sealed:
        return Verdict(Finding.DETAILS_ALTERED, "audit_detail", index)
    if not wraps:
        return Verdict(Finding.DETAILS_MISSING, "audit_wrap", index)
    if any(len(wrapped) != WRAPPED_BYTES for wrapped in wraps.values()):
        return Verdict(Finding.DETAILS_ALTERED, "audit_wrap", index)
    for reader in wraps.keys() & readers.keys():
        try:
            open_details(envelope, ciphertext, wraps[reader], reader=reader, kek=readers[reader])
        except NotVerified:
            return Verdict(Finding.DETAILS_ALTERED, "audit_wrap", index)
    return None
