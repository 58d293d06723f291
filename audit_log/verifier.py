"""Offline verification of an exported log, from its files and the log's vkey alone."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from audit_log.checkpoint import Checkpoint, open_checkpoint
from audit_log.entry import LEAF_BYTES
from audit_log.errors import MalformedCheckpoint, MalformedNote, MalformedReceipt, NotVerified
from audit_log.export import CHECKPOINT_FILE, KEY_FILE
from audit_log.merkle import HASH_BYTES, NodeReader, consistency_proof, subtree_hash, verify_consistency
from audit_log.note import Verifier
from audit_log.receipt import Receipt, verify_receipt
from audit_log.rehash import Rehash
from audit_log.tiles import (
    HEIGHT,
    WIDTH,
    Tile,
    bundle_path,
    bundles_of,
    complete_root,
    parse_bundle,
    split_hashes,
    tiles_of,
    width_at,
)
from audit_log.verdict import Finding, Verdict

# In a bundle each entry stands behind its length, two bytes (c2sp.org/tlog-tiles).
_BUNDLED_BYTES: Final = 2 + LEAF_BYTES
_MAX_CHECKPOINT_BYTES: Final = 2_000_000
_NO_FILE: Final = -1  # the length of what has a name but is no regular file, such as a link out of the directory


def verify_directory(
    directory: Path, vkey: str, *, remembered: Checkpoint | None = None, receipts: Iterable[bytes] = ()
) -> Verdict:
    """Verify an exported log: signature, every entry, every tile, the root, and that nothing is missing or added.

    Args:
        directory: as `export_log` wrote it.
        vkey: the log's public key, from a source that the verifier trusts, not from the directory.
        remembered: an earlier checkpoint that the log must contain; finds rollback and rewritten history.
        receipts: `.tlog-proof` texts that the log must honour.

    Returns:
        Verified, or the first thing that is wrong and where.

    Raises:
        MalformedNote: `vkey` is not a key.
        OSError: the files cannot be read.
    """
    verifier = Verifier.from_vkey(vkey)
    present = _regular_files(directory)
    for name in (KEY_FILE, CHECKPOINT_FILE):
        if present.get(name, _NO_FILE) == _NO_FILE:
            return Verdict(Finding.FILE_MISSING, name)
    key_line = f"{verifier.vkey}\n".encode()
    if present[KEY_FILE] != len(key_line) or (directory / KEY_FILE).read_bytes() != key_line:
        return Verdict(Finding.KEY_DIFFERS, KEY_FILE)
    if present[CHECKPOINT_FILE] > _MAX_CHECKPOINT_BYTES:
        return Verdict(Finding.CHECKPOINT_MALFORMED, CHECKPOINT_FILE)
    opened = judge_note((directory / CHECKPOINT_FILE).read_bytes(), verifier, CHECKPOINT_FILE)
    if isinstance(opened, Verdict):
        return opened
    wrong = (
        _check_files(present, opened)
        or _check_tree(directory, opened)
        or check_remembered(opened, remembered, _tile_reader(directory, opened.size), CHECKPOINT_FILE)
        or _check_receipts(directory, opened, verifier, receipts)
    )
    return replace(wrong or Verdict(Finding.VERIFIED), checkpoint=opened)


def judge_note(note: bytes, verifier: Verifier, place: str) -> Checkpoint | Verdict:
    """Open a checkpoint, or say what is wrong with it.

    Args:
        note: the signed note.
        verifier: the log's key.
        place: where the note was found.
    """
    try:
        return open_checkpoint(note, verifier)
    except (MalformedNote, MalformedCheckpoint):
        return Verdict(Finding.CHECKPOINT_MALFORMED, place)
    except NotVerified:
        return Verdict(Finding.SIGNATURE_WRONG, place)


def check_remembered(
    checkpoint: Checkpoint, remembered: Checkpoint | None, read: NodeReader, place: str
) -> Verdict | None:
    """Check that a log contains an earlier checkpoint of it.

    Args:
        checkpoint: the log's present state, verified.
        remembered: the earlier one; None if there is none.
        read: gives the log's complete subtrees, verified.
        place: where the present checkpoint was found.
    """
    if remembered is None:
        return None
    if remembered.origin != checkpoint.origin:
        return Verdict(Finding.OTHER_LOG, place)
    if remembered.size > checkpoint.size:
        return Verdict(Finding.ROLLED_BACK, place, checkpoint.size)
    try:
        verify_consistency(
            old_size=remembered.size,
            new_size=checkpoint.size,
            old_root=remembered.root,
            new_root=checkpoint.root,
            proof=consistency_proof(remembered.size, checkpoint.size, read),
        )
    except NotVerified:
        return Verdict(Finding.HISTORY_REWRITTEN, place)
    return None


def judge_tree(
    rehash: Rehash,
    checkpoint: Checkpoint,
    *,
    entry_place: Callable[[int], str],
    tile_place: Callable[[Tile], str],
    root_place: str,
) -> Verdict | None:
    """Say what is wrong with a tree that was made again from its entries, if anything is.

    The checkpoint is authentic. If the entries make its root they are all as signed, and a tile that differs was
    altered; if they do not, the first entry that differs from its tile was.

    Args:
        rehash: after all entries.
        checkpoint: the log's signed state.
        entry_place: names the place of an entry.
        tile_place: names the place of a tile.
        root_place: where the signed root lies.
    """
    difference, malformed = rehash.difference, rehash.malformed
    if rehash.frontier.root() == checkpoint.root:
        if malformed is not None:
            return Verdict(Finding.ENTRY_MALFORMED, entry_place(malformed), malformed)
        if difference is not None:
            return Verdict(Finding.TILE_ALTERED, tile_place(difference.tile), difference.index)
        return None
    if difference is not None and (malformed is None or difference.index <= malformed):
        return Verdict(Finding.ENTRY_ALTERED, entry_place(difference.index), difference.index)
    if malformed is not None:
        return Verdict(Finding.ENTRY_MALFORMED, entry_place(malformed), malformed)
    return Verdict(Finding.ROOT_DIFFERS, root_place)


def _regular_files(directory: Path) -> dict[str, int]:
    """Return every name below the directory with its length in bytes, `_NO_FILE` for links and devices."""
    present: dict[str, int] = {}
    for folder, folders, names in os.walk(directory):
        for name in names + [each for each in folders if (Path(folder) / each).is_symlink()]:
            path = Path(folder) / name
            regular = path.is_file() and not path.is_symlink()
            present[path.relative_to(directory).as_posix()] = path.stat().st_size if regular else _NO_FILE
    return present


def _expected_files(size: int) -> Iterator[tuple[str, int, int, int]]:
    """Yield (path, length in bytes, bytes for each item, first entry) of every file of a log."""
    for number, width in bundles_of(size):
        yield bundle_path(number, width), width * _BUNDLED_BYTES, _BUNDLED_BYTES, number * WIDTH
    for tile in tiles_of(size):
        yield tile.path(), tile.width * HASH_BYTES, 0, tile.first_entry()


def _check_files(present: dict[str, int], checkpoint: Checkpoint) -> Verdict | None:
    extra = set(present) - {CHECKPOINT_FILE, KEY_FILE}
    wrong_length: Verdict | None = None
    # A signed but absurd size ends this loop at the first file that is not there.
    for path, length, item, first in _expected_files(checkpoint.size):
        if present.get(path, _NO_FILE) == _NO_FILE:
            return Verdict(Finding.FILE_MISSING, path)
        extra.discard(path)
        if present[path] != length and wrong_length is None:
            at = first + min(present[path], length) // item if item else first
            wrong_length = Verdict(Finding.FILE_LENGTH, path, at)
    if wrong_length is not None:
        return wrong_length
    return Verdict(Finding.FILE_EXTRA, min(extra)) if extra else None


def _check_tree(directory: Path, checkpoint: Checkpoint) -> Verdict | None:
    rehash = Rehash(lambda tile: (directory / tile.path()).read_bytes())
    for number, width in bundles_of(checkpoint.size):
        path = bundle_path(number, width)
        bundle = (directory / path).read_bytes()
        # Every entry has the same length: a wrong one shows at its own place, not where parsing would stop.
        for offset in range(width):
            if bundle[offset * _BUNDLED_BYTES : offset * _BUNDLED_BYTES + 2] != LEAF_BYTES.to_bytes(2, "big"):
                return Verdict(Finding.ENTRY_MALFORMED, path, number * WIDTH + offset)
        for leaf in parse_bundle(bundle, width):
            rehash.add(leaf)
    rehash.finish()
    return judge_tree(
        rehash,
        checkpoint,
        entry_place=lambda index: bundle_path(index // WIDTH, width_at(0, index // WIDTH, checkpoint.size)),
        tile_place=Tile.path,
        root_place=CHECKPOINT_FILE,
    )


def _tile_reader(directory: Path, size: int) -> NodeReader:
    kept: dict[Tile, tuple[bytes, ...]] = {}

    def read(height: int, number: int) -> bytes:
        level, depth = divmod(height, HEIGHT)
        at, offset = divmod(number << depth, WIDTH)
        tile = Tile(level, at, width_at(level, at, size))
        if tile not in kept:
            kept[tile] = split_hashes((directory / tile.path()).read_bytes())
        return complete_root(kept[tile][offset : offset + (1 << depth)])

    return read


def _check_receipts(
    directory: Path, checkpoint: Checkpoint, verifier: Verifier, receipts: Iterable[bytes]
) -> Verdict | None:
    read = _tile_reader(directory, checkpoint.size)
    for number, receipt in enumerate(receipts):
        place = f"receipt {number}"
        try:
            index = Receipt.parse(receipt).index
        except MalformedReceipt:
            return Verdict(Finding.RECEIPT_MALFORMED, place)
        if index >= checkpoint.size:
            return Verdict(Finding.ROLLED_BACK, place, checkpoint.size)
        bundle, offset = divmod(index, WIDTH)
        width = width_at(0, bundle, checkpoint.size)
        leaf = parse_bundle((directory / bundle_path(bundle, width)).read_bytes(), width)[offset]
        try:
            _, then = verify_receipt(receipt, leaf, verifier)
        except NotVerified:
            return Verdict(Finding.RECEIPT_WRONG, place, index)
        if then.size > checkpoint.size:
            return Verdict(Finding.ROLLED_BACK, place, checkpoint.size)
        if subtree_hash(0, then.size, read) != then.root:
            return Verdict(Finding.HISTORY_REWRITTEN, place, index)
    return None
