"""Verification straight from the database's tables: all that a directory shows, and the sealed details too."""

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import zip_longest

from audit_log.checkpoint import Checkpoint
from audit_log.cosigned import read_cosigned
from audit_log.details import WRAPPED_BYTES, open_details
from audit_log.entry import Envelope
from audit_log.erasing import erases
from audit_log.errors import LogDamaged, MalformedEntry, MalformedTile, NotVerified
from audit_log.judging import check_receipts, check_remembered, judge_note, judge_tree
from audit_log.merkle import Frontier, NodeReader
from audit_log.note import Verifier
from audit_log.policy import TrustPolicy
from audit_log.rehash import Rehash
from audit_log.tables import node_reader, read_head, read_leaf, read_tile
from audit_log.tiles import WIDTH, Tile, width_at
from audit_log.transaction import one_instant
from audit_log.verdict import Finding, Verdict
from audit_log.verifier import Progress


def verify_database(
    connection: sqlite3.Connection,
    vkey: str,
    remembered: Checkpoint | None = None,
    *,
    readers: Mapping[str, bytes] | None = None,
    receipts: Iterable[bytes] = (),
    contains: Iterable[Checkpoint] = (),
    policy: TrustPolicy | None = None,
    incremental: bool = False,
    progress: Progress | None = None,
) -> Verdict:
    """Verify a log in its tables: every entry, tile, checkpoint signed, and every sealed detail.

    Args:
        connection: to the database; nothing is written. Within an open transaction, what that shows is verified.
        vkey: the log's public key, from a source that the verifier trusts.
        remembered: an earlier checkpoint that the log must contain; finds rollback and rewritten history.
        readers: 32-byte keys of readers by name; details sealed for them are opened and compared with the leaf.
            Without them a damaged wrapped key of the right length cannot be told.
        receipts: `.tlog-proof` texts that the log must honour.
        contains: further checkpoints that the log must contain, whoever verified them.
        policy: whose witnesses must have cosigned the last checkpoint that witnesses have seen.
        incremental: verify only what is behind `remembered`, all of which this verifier has verified before. That the
            log contains it still is always proved. Whatever is wrong is then looked for from the beginning.
        progress: told now and then how far it is.

    Returns:
        Verified, or the first thing that is wrong and where: a table, and the index of the entry.

    Raises:
        MalformedNote: `vkey` is not a key.
    """
    verifier = Verifier.from_vkey(vkey)
    try:
        with one_instant(connection):
            found = _verify(connection, verifier, remembered, readers or {}, policy, progress, incremental=incremental)
            return _check_known(connection, verifier, found, contains, receipts) if found.ok else found
    except sqlite3.DatabaseError:
        return Verdict(Finding.DATABASE_UNREADABLE, "database")


def _verify(
    connection: sqlite3.Connection,
    verifier: Verifier,
    remembered: Checkpoint | None,
    readers: Mapping[str, bytes],
    policy: TrustPolicy | None,
    progress: Progress | None,
    *,
    incremental: bool,
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

    def check(start: int, known: Checkpoint | None) -> Verdict | None:
        return (
            _check_history(connection, verifier, opened, start, known, progress)
            or _check_last_note(connection, head.note, opened.size)
            or _check_surplus(connection, opened.size)
            or _check_details(connection, opened.size, readers, start)
        )

    wrong: Verdict | None = None
    since = 0
    if incremental and remembered is not None and remembered.size <= opened.size:
        with suppress(MalformedTile, LogDamaged):
            since = remembered.size if check(remembered.size // WIDTH * WIDTH, remembered) is None else 0
    if not since:
        wrong = check(0, None)
    read = node_reader(connection, opened.size)
    wrong = (
        wrong
        or check_remembered(opened, remembered, read, "audit_head")
        or _check_cosigned(connection, verifier, policy, opened.size, read)
    )
    return replace(wrong or Verdict(Finding.VERIFIED), checkpoint=opened, since=0 if wrong else since)


def _check_known(
    connection: sqlite3.Connection,
    verifier: Verifier,
    found: Verdict,
    contains: Iterable[Checkpoint],
    receipts: Iterable[bytes],
) -> Verdict:
    """Hold a log whose entries are verified against what is known of it from elsewhere."""
    head = read_head(connection)
    present = Checkpoint(verifier.name, head.size, head.root)
    read = node_reader(connection, head.size)
    wrong: Verdict | None = None
    for each in contains:
        wrong = wrong or check_remembered(present, each, read, "audit_head")
    wrong = wrong or check_receipts(
        receipts, verifier, head.size, lambda index: read_leaf(connection, index) or b"", read
    )
    return found if wrong is None else replace(wrong, checkpoint=found.checkpoint)


def _check_history(
    connection: sqlite3.Connection,
    verifier: Verifier,
    head: Checkpoint,
    start: int,
    remembered: Checkpoint | None,
    progress: Progress | None,
) -> Verdict | None:
    """Make the tree again entry by entry and compare it with each checkpoint that was signed on the way.

    Args:
        start: entries to go past, a multiple of 256; 0 to begin at the beginning.
        remembered: when going past some, the checkpoint that proves them; it is above or at `start`, by less than 256.

    Raises:
        MalformedTile: of the entries to go past.
    """
    stored = lambda tile: _stored_tile(connection, tile)  # noqa: E731
    rehash = Rehash.resume(start, head.size, stored)
    if remembered is not None and remembered.size == start and rehash.frontier.root() != remembered.root:
        return Verdict(Finding.HISTORY_REWRITTEN, "audit_head")
    notes: Iterator[tuple[int, bytes]] = connection.execute(
        "SELECT size, note FROM audit_checkpoint WHERE size > ? OR ? = 0 ORDER BY size", (start, start)
    )
    leaves = connection.execute(
        "SELECT idx, leaf FROM audit_entry WHERE idx >= ? OR ? = 0 ORDER BY idx", (start, start)
    )
    signed = start - 1 if start == 0 else start  # the size of the last checkpoint that was compared
    for size, note in notes:
        if size < 0 or size > head.size:
            return Verdict(Finding.ROW_EXTRA, "audit_checkpoint", size)
        if signed < 0 < size:
            return Verdict(Finding.ROW_MISSING, "audit_checkpoint", 0)
        while rehash.frontier.size < size:
            wrong = _add_next(rehash, leaves, progress, start, head.size)
            if wrong is not None:
                return wrong
            if (
                remembered is not None
                and rehash.frontier.size == remembered.size
                and rehash.frontier.root() != remembered.root
            ):
                return Verdict(Finding.HISTORY_REWRITTEN, "audit_head")
        opened = judge_note(bytes(note), verifier, "audit_checkpoint")
        if isinstance(opened, Verdict):
            return replace(opened, index=size)
        if opened.size != size:
            return Verdict(Finding.HEAD_DIFFERS, "audit_checkpoint", size)
        if opened.root != rehash.frontier.root():
            return _altered(rehash, leaves, max(signed, 0), size)
        signed = size
    if signed != head.size:
        return Verdict(Finding.ROW_MISSING, "audit_checkpoint", head.size)
    rehash.finish()
    return judge_tree(
        rehash,
        head,
        entry_place=lambda _: "audit_entry",
        tile_place=lambda tile: f"audit_tile level {tile.level}, number {tile.number}",
        root_place="audit_head",
    )


def _add_next(
    rehash: Rehash, leaves: Iterator[tuple[int, bytes]], progress: Progress | None, start: int, end: int
) -> Verdict | None:
    index = rehash.frontier.size
    entry = next(leaves, None)
    if entry is None or entry[0] != index:
        # An index below the one awaited can only be negative: entries are sorted and unique.
        surplus = entry is not None and entry[0] < index
        return Verdict(Finding.ROW_EXTRA if surplus else Finding.ROW_MISSING, "audit_entry", index)
    rehash.add(bytes(entry[1]))
    if progress is not None and (index + 1 == end or (index + 1) % WIDTH == 0):
        progress(index + 1 - start, end - start)
    return None


def _altered(rehash: Rehash, leaves: Iterator[tuple[int, bytes]], first: int, end: int) -> Verdict:
    """Say which of the entries [first, end) under one checkpoint is not what was signed, as nearly as can be known."""
    if end - first > 1:
        # The stored tile of these entries, once it is full, says which.
        while rehash.frontier.size % WIDTH:
            if _add_next(rehash, leaves, None, 0, 0) is not None:
                break
        for suspect in (rehash.difference.index if rehash.difference is not None else None, rehash.malformed):
            if suspect is not None and first <= suspect < end:
                first, end = suspect, suspect + 1
                break
    return Verdict(Finding.ENTRY_ALTERED, "audit_entry", first, last=end - 1)


def _check_cosigned(
    connection: sqlite3.Connection, verifier: Verifier, policy: TrustPolicy | None, size: int, read: NodeReader
) -> Verdict | None:
    """Check the checkpoints that witnesses cosigned, and that the last one with a quorum has the policy's."""
    shown = read_head(connection).note
    shown_place = "audit_head"
    for each in reversed([*read_cosigned(connection)]):
        opened = judge_note(each.note, verifier, "audit_cosigned")
        if isinstance(opened, Verdict):
            return replace(opened, index=each.size)
        if opened.size != each.size or opened.size > size:
            return Verdict(Finding.HEAD_DIFFERS, "audit_cosigned", each.size)
        if Frontier.of(opened.size, read).root() != opened.root:
            return Verdict(Finding.HISTORY_REWRITTEN, "audit_cosigned", each.size)
        if each.quorum:
            shown, shown_place = each.note, "audit_cosigned"
    # Where no witness has cosigned, a policy that demands none is content with the head.
    judged = judge_note(shown, verifier, shown_place, policy)
    return judged if isinstance(judged, Verdict) else None


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


def _check_details(
    connection: sqlite3.Connection, size: int, readers: Mapping[str, bytes], start: int
) -> Verdict | None:
    rows: Iterator[tuple[int, bytes | None, int | None]] = connection.execute(
        "SELECT idx, ciphertext, erased_by FROM audit_detail WHERE idx >= ? OR ? = 0 ORDER BY idx", (start, start)
    )
    for index, row in zip_longest(range(start, size), rows):
        if index is None:
            return Verdict(Finding.ROW_EXTRA, "audit_detail", row[0])
        if row is None or row[0] != index:
            return Verdict(Finding.DETAILS_MISSING, "audit_detail", index)
        envelope = Envelope.parse(read_leaf(connection, index) or b"")
        wraps = dict(connection.execute("SELECT reader, wrapped FROM audit_wrap WHERE idx = ?", (index,)).fetchall())
        wrong = _check_erased(connection, index, envelope, row[2], wraps) if row[1] is None else None
        if row[1] is not None:
            wrong = _check_sealed(index, envelope, bytes(row[1]), wraps, readers)
        if wrong is not None:
            return wrong
    surplus = connection.execute("SELECT idx FROM audit_wrap WHERE idx < 0 OR idx >= ? LIMIT 1", (size,)).fetchone()
    return None if surplus is None else Verdict(Finding.ROW_EXTRA, "audit_wrap", surplus[0])


def _check_erased(
    connection: sqlite3.Connection, index: int, envelope: Envelope, erased_by: int | None, wraps: Mapping[str, bytes]
) -> Verdict | None:
    if wraps:
        return Verdict(Finding.ROW_EXTRA, "audit_wrap", index)
    leaf = None if erased_by is None else read_leaf(connection, erased_by)
    try:
        event = Envelope.parse(leaf or b"").event
    except MalformedEntry:
        return Verdict(Finding.ERASURE_UNLOGGED, "audit_detail", index)
    if not erases(event, index, envelope.event):
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
