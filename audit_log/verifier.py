"""Offline verification of a log from its files and its vkey alone: a directory, or whatever serves the same paths."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeAlias

from audit_log.checkpoint import Checkpoint
from audit_log.entry import BUNDLED_BYTES, LEAF_BYTES
from audit_log.errors import NotVerified
from audit_log.export import CHECKPOINT_FILE, KEY_FILE
from audit_log.judging import check_receipts, check_remembered, judge_note, judge_tree
from audit_log.merkle import HASH_BYTES, NodeReader
from audit_log.note import MAX_NOTE_BYTES, Verifier
from audit_log.policy import TrustPolicy
from audit_log.rehash import Rehash
from audit_log.source import DirectorySource, Source
from audit_log.tiles import (
    HEIGHT,
    WIDTH,
    Resource,
    Tile,
    bundle_path,
    complete_root,
    resources_of,
    split_hashes,
    width_at,
)
from audit_log.verdict import Finding, Verdict

# Told how many entries were verified, of how many.
Progress: TypeAlias = Callable[[int, int], None]
# Handed the index of the first of some entries, and their bytes as they were hashed.
Seen: TypeAlias = Callable[[int, Sequence[bytes]], None]

_NO_FILE: Final = -1  # the length of what has a name but is no regular file, such as a link out of the directory
_LENGTH: Final = LEAF_BYTES.to_bytes(2, "big")  # what stands before each entry in a bundle


class WrongFile(Exception):
    """A file that is not as it must be; ends a verification."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        super().__init__(verdict.place)


def verify_directory(
    directory: Path,
    vkey: str,
    *,
    remembered: Checkpoint | None = None,
    receipts: Iterable[bytes] = (),
    contains: Iterable[Checkpoint] = (),
    policy: TrustPolicy | None = None,
    incremental: bool = False,
    progress: Progress | None = None,
    seen: Seen | None = None,
) -> Verdict:
    """Verify an exported log: signature, every entry, every tile, the root, and that nothing is missing or added.

    Args:
        directory: as `export_log` wrote it.
        vkey: the log's public key, from a source that the verifier trusts, not from the directory.
        remembered, receipts, contains, policy, incremental, progress, seen: as of `verify_source`.

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
    if present[CHECKPOINT_FILE] > MAX_NOTE_BYTES:
        return Verdict(Finding.CHECKPOINT_MALFORMED, CHECKPOINT_FILE)
    opened = judge_note((directory / CHECKPOINT_FILE).read_bytes(), verifier, CHECKPOINT_FILE, policy)
    if isinstance(opened, Verdict):
        return opened
    wrong = _check_files(present, opened)
    if wrong is not None:
        return replace(wrong, checkpoint=opened)
    known = _Known(remembered, tuple(contains), tuple(receipts))
    return _verify(DirectorySource(directory), verifier, opened, known, progress, seen, incremental=incremental)


def verify_source(
    source: Source,
    vkey: str,
    *,
    remembered: Checkpoint | None = None,
    receipts: Iterable[bytes] = (),
    contains: Iterable[Checkpoint] = (),
    policy: TrustPolicy | None = None,
    incremental: bool = False,
    progress: Progress | None = None,
    seen: Seen | None = None,
) -> tuple[Verdict, bytes]:
    """Verify a log where it is served: signature, every entry, every tile, the root.

    Args:
        source: gives the log's files.
        vkey: the log's public key, from elsewhere than the source.
        remembered: an earlier checkpoint that the log must contain; finds rollback and rewritten history.
        receipts: `.tlog-proof` texts that the log must honour.
        contains: further checkpoints that the log must contain, whoever verified them.
        policy: whose witnesses must have cosigned.
        incremental: verify only entries behind `remembered`, all of whose entries this verifier has verified before.
            That the log contains it still is always proved. Whatever is wrong is then looked for from the beginning.
        progress: told now and then how far it is.
        seen: handed every entry that is read, in order; what it was handed holds once the verdict does. Where new
            entries alone did not do, it is handed all of them, from the first on, again.

    Returns:
        Verified, or the first thing that is wrong and where; and the checkpoint's bytes as they were read, to remember.

    Raises:
        MalformedNote: `vkey` is not a key.
        LogUnreachable: the source did not answer.
    """
    verifier = Verifier.from_vkey(vkey)
    note = source.read(CHECKPOINT_FILE, MAX_NOTE_BYTES)
    if note is None:
        return Verdict(Finding.FILE_MISSING, CHECKPOINT_FILE), b""
    opened = judge_note(note, verifier, CHECKPOINT_FILE, policy)
    if isinstance(opened, Verdict):
        return opened, note
    known = _Known(remembered, tuple(contains), tuple(receipts))
    return _verify(source, verifier, opened, known, progress, seen, incremental=incremental), note


def nodes_of(source: Source, checkpoint: Checkpoint) -> NodeReader:
    """Return a reader of a log's complete subtrees, as its tiles have them: for proofs, which verify themselves.

    Args:
        source: gives the log's files.
        checkpoint: the log's state, verified.
    """
    return _Tree(source, checkpoint, None, None).node


@dataclass(frozen=True, slots=True)
class _Known:
    """What a log must agree with beside its own signature."""

    remembered: Checkpoint | None
    contains: tuple[Checkpoint, ...]
    receipts: tuple[bytes, ...]


def _verify(
    source: Source,
    verifier: Verifier,
    checkpoint: Checkpoint,
    known: _Known,
    progress: Progress | None,
    seen: Seen | None,
    *,
    incremental: bool,
) -> Verdict:
    tree = _Tree(source, checkpoint, progress, seen)
    try:
        start = _resume(tree, known.remembered) if incremental else None
        wrong = tree.check() if start is None else None
        for each in (known.remembered, *known.contains):
            wrong = wrong or check_remembered(checkpoint, each, tree.node, CHECKPOINT_FILE)
        wrong = wrong or check_receipts(known.receipts, verifier, checkpoint.size, tree.leaf, tree.node)
    except WrongFile as found:
        wrong = found.verdict
        start = None
    return replace(wrong or Verdict(Finding.VERIFIED), checkpoint=checkpoint, since=start or 0)


def _resume(tree: _Tree, remembered: Checkpoint | None) -> int | None:
    """Verify what is behind a remembered checkpoint; return its size, or None if all must be verified."""
    if remembered is None or remembered.origin != tree.checkpoint.origin or remembered.size > tree.checkpoint.size:
        return None
    try:
        return remembered.size if tree.check(remembered) is None else None
    except (WrongFile, NotVerified):
        return None  # verification from the beginning says where


def _regular_files(directory: Path) -> dict[str, int]:
    """Return every name below the directory with its length in bytes, `_NO_FILE` for links and devices."""
    present: dict[str, int] = {}
    for folder, folders, names in os.walk(directory):
        for name in names + [each for each in folders if (Path(folder) / each).is_symlink()]:
            path = Path(folder) / name
            regular = path.is_file() and not path.is_symlink()
            present[path.relative_to(directory).as_posix()] = path.stat().st_size if regular else _NO_FILE
    return present


def _check_files(present: dict[str, int], checkpoint: Checkpoint) -> Verdict | None:
    extra = set(present) - {CHECKPOINT_FILE, KEY_FILE}
    wrong_length: Verdict | None = None
    # A signed but absurd size ends this loop at the first file that is not there.
    for resource, length in resources_of(checkpoint.size, BUNDLED_BYTES):
        path = resource.path()
        if present.get(path, _NO_FILE) == _NO_FILE:
            return Verdict(Finding.FILE_MISSING, path)
        extra.discard(path)
        if present[path] != length and wrong_length is None:
            wrong_length = _wrong_length(resource, present[path], length)
    if wrong_length is not None:
        return wrong_length
    return Verdict(Finding.FILE_EXTRA, min(extra)) if extra else None


def _wrong_length(resource: Resource, found: int, wanted: int) -> Verdict:
    within = min(found, wanted) // BUNDLED_BYTES if resource.level is None else 0
    return Verdict(Finding.FILE_LENGTH, resource.path(), resource.first + within)


class _Tree:
    """The files of a log of one size, read from a source and held against their checkpoint."""

    def __init__(self, source: Source, checkpoint: Checkpoint, progress: Progress | None, seen: Seen | None) -> None:
        self.checkpoint = checkpoint
        self._source = source
        self._progress = progress
        self._seen = seen
        self._kept: dict[Tile, tuple[bytes, ...]] = {}

    def check(self, remembered: Checkpoint | None = None) -> Verdict | None:
        """Make the tree again from its entries, or from those behind a checkpoint, and compare it with the tiles.

        Raises:
            WrongFile: a file is missing, or longer or shorter than it must be.
            MalformedTile: of those before the checkpoint.
        """
        size = self.checkpoint.size
        start = 0 if remembered is None else remembered.size // WIDTH * WIDTH
        rehash = Rehash.resume(start, size, self._tile)
        if remembered is not None and remembered.size == start and rehash.frontier.root() != remembered.root:
            return Verdict(Finding.HISTORY_REWRITTEN, CHECKPOINT_FILE)
        for number in range(start // WIDTH, (size + WIDTH - 1) // WIDTH):
            leaves = self.bundle(number)
            first = number * WIDTH
            if remembered is not None and first < remembered.size <= first + len(leaves):
                rehash.add_all(leaves[: remembered.size - first])
                if rehash.frontier.root() != remembered.root:
                    return Verdict(Finding.HISTORY_REWRITTEN, CHECKPOINT_FILE)
                leaves = leaves[remembered.size - first :]
                first = remembered.size
            rehash.add_all(leaves)
            if self._seen is not None:
                self._seen(first, leaves)
            if self._progress is not None:
                self._progress(min((number + 1) * WIDTH, size) - start, size - start)
        rehash.finish()
        return judge_tree(
            rehash,
            self.checkpoint,
            entry_place=lambda index: bundle_path(index // WIDTH, width_at(0, index // WIDTH, size)),
            tile_place=Tile.path,
            root_place=CHECKPOINT_FILE,
        )

    def bundle(self, number: int) -> list[bytes]:
        """Return the entries of a bundle.

        Raises:
            WrongFile: missing, of another length, or an entry in it is.
        """
        width = width_at(0, number, self.checkpoint.size)
        resource = Resource(None, number, width)
        content = self._read(resource, width * BUNDLED_BYTES, WIDTH * BUNDLED_BYTES)
        # Every entry has the same length: a wrong one shows at its own place, not where parsing would stop.
        if content[::BUNDLED_BYTES] + content[1::BUNDLED_BYTES] != _LENGTH[:1] * width + _LENGTH[1:] * width:
            wrong = next(at for at in range(width) if content[at * BUNDLED_BYTES :][:2] != _LENGTH)
            raise WrongFile(Verdict(Finding.ENTRY_MALFORMED, resource.path(), number * WIDTH + wrong))
        return [content[at + 2 : at + BUNDLED_BYTES] for at in range(0, len(content), BUNDLED_BYTES)]

    def leaf(self, index: int) -> bytes:
        """Return an entry's bytes."""
        return self.bundle(index // WIDTH)[index % WIDTH]

    def node(self, height: int, number: int) -> bytes:
        """Return the hash of a complete subtree, as the tiles have it."""
        level, depth = divmod(height, HEIGHT)
        at, offset = divmod(number << depth, WIDTH)
        tile = Tile(level, at, width_at(level, at, self.checkpoint.size))
        if tile not in self._kept:
            self._kept[tile] = split_hashes(self._tile(tile))
        return complete_root(self._kept[tile][offset : offset + (1 << depth)])

    def _tile(self, tile: Tile) -> bytes:
        resource = Resource(tile.level, tile.number, tile.width)
        return self._read(resource, tile.width * HASH_BYTES, WIDTH * HASH_BYTES)

    def _read(self, resource: Resource, length: int, full: int) -> bytes:
        path = resource.path()
        content = self._source.read(path, length)
        if content is None and resource.width < WIDTH:
            # Once a tile is full, a log may stop serving what it was while it was not.
            content = self._source.read(replace(resource, width=WIDTH).path(), full)
            content = None if content is None or len(content) != full else content[:length]
        if content is None:
            raise WrongFile(Verdict(Finding.FILE_MISSING, path))
        if len(content) != length:
            raise WrongFile(_wrong_length(resource, len(content), length))
        return content
