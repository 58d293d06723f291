"""Writing the log as a directory of c2sp.org/tlog-tiles, for mirrors and auditors."""

import os
import sqlite3
from pathlib import Path
from typing import Final

from audit_log.checkpoint import Checkpoint, open_checkpoint
from audit_log.cosigned import require_contained, shown_checkpoint
from audit_log.entry import BUNDLED_BYTES
from audit_log.errors import LogFault
from audit_log.merkle import consistency_proof, verify_consistency
from audit_log.note import Verifier
from audit_log.tables import hashes_at, node_reader, read_head, read_leaves
from audit_log.tiles import WIDTH, Resource, encode_bundle, resources_of
from audit_log.transaction import require_no_transaction

CHECKPOINT_FILE: Final = "checkpoint"
KEY_FILE: Final = "log.vkey"
_TEMPORARY: Final = ".tmp"


def export_log(
    connection: sqlite3.Connection, verifier: Verifier, directory: Path, *, cosigned: bool = False
) -> Checkpoint:
    """Write all durable entries below a directory: tiles, bundles, the log's vkey, and the checkpoint last.

    A directory that holds an earlier export of the same log is brought up to date; whoever reads it meanwhile finds
    the earlier checkpoint and all that belongs to it.

    Args:
        connection: to the database, without an open transaction.
        verifier: the log's key.
        directory: created if it is missing.
        cosigned: export up to the last checkpoint that witnesses cosigned, while there is one, instead of the newest.

    Returns:
        The exported checkpoint.

    Raises:
        InsideTransaction: a transaction is open.
        LogFault: the directory holds something else.
        NotVerified: the log's signature does not hold, or it does not contain the earlier export.
    """
    require_no_transaction(connection, "export_log")
    head = read_head(connection)
    newest = open_checkpoint(head.note, verifier)
    if (newest.size, newest.root) != (head.size, head.root):
        raise LogFault("the signed checkpoint is not the head's")
    note = shown_checkpoint(connection, cosigned=cosigned)
    checkpoint = open_checkpoint(note, verifier)
    require_contained(connection, checkpoint)
    directory.mkdir(parents=True, exist_ok=True)
    earlier = _earlier_export(connection, checkpoint, verifier, directory)
    expected = {CHECKPOINT_FILE, KEY_FILE}
    touched = {directory}
    _write(directory / KEY_FILE, f"{verifier.vkey}\n".encode(), touched)
    for resource, length in resources_of(checkpoint.size, BUNDLED_BYTES):
        path = resource.path()
        expected.add(path)
        # What an earlier export of this log wrote whole never changes; a file that was damaged since is for
        # verification to find.
        if resource.end > earlier or not _is_whole(directory / path, length):
            _write(directory / path, _content(connection, resource), touched)
    for folder in sorted(touched):
        _sync_folder(folder)
    _write(directory / CHECKPOINT_FILE, note, touched)
    _sync_folder(directory)
    _remove_superseded(directory, expected)
    return checkpoint


def _content(connection: sqlite3.Connection, resource: Resource) -> bytes:
    if resource.level is None:
        start = resource.number * WIDTH
        return encode_bundle(read_leaves(connection, start, start + resource.width))
    return b"".join(hashes_at(connection, resource.level, resource.number, resource.width))


def _is_whole(path: Path, length: int) -> bool:
    return path.is_file() and not path.is_symlink() and path.stat().st_size == length


def _earlier_export(connection: sqlite3.Connection, checkpoint: Checkpoint, verifier: Verifier, directory: Path) -> int:
    """Return how many entries were exported here before, once it is sure that what is there may be replaced."""
    try:
        note = (directory / CHECKPOINT_FILE).read_bytes()
    except FileNotFoundError:
        if any(path.name not in {"tile", KEY_FILE} and path.suffix != _TEMPORARY for path in directory.iterdir()):
            raise LogFault("the directory holds something else than a log") from None
        return 0
    earlier = open_checkpoint(note, verifier)
    if earlier.size > checkpoint.size:
        raise LogFault(f"the directory holds {earlier.size} entries, the log only {checkpoint.size}: rolled back?")
    read = node_reader(connection, checkpoint.size)
    verify_consistency(
        old_size=earlier.size,
        new_size=checkpoint.size,
        old_root=earlier.root,
        new_root=checkpoint.root,
        proof=consistency_proof(earlier.size, checkpoint.size, read),
    )
    return earlier.size


def _write(path: Path, content: bytes, touched: set[Path]) -> None:
    """Put a file in place whole or not at all, its bytes on disk before its name."""
    if path.is_file() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + _TEMPORARY)
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    touched.update((path.parent, path.parent.parent))


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_superseded(directory: Path, expected: set[str]) -> None:
    """Remove the partial tiles of earlier sizes and what a killed export left; nothing that is not ours."""
    for path in sorted(directory.rglob("*"), reverse=True):
        name = path.relative_to(directory).as_posix()
        if name in expected or not (name.startswith("tile/") or path.suffix == _TEMPORARY):
            continue
        if path.is_dir():
            if path.suffix == ".p" and not any(path.iterdir()):
                path.rmdir()
        elif path.parent.suffix == ".p" or path.suffix == _TEMPORARY:
            path.unlink()
