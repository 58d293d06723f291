"""Keep partitions: one root per member, one directory per table, one immutable encrypted file per upload (DESIGN §5).

The store holds ciphertext only; keys live in `key_management`. A file is written under a temporary name in its final
directory, flushed, linked to its name, and the directory flushed: a crash leaves the whole file or an orphan.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import numpy as np

from cleanroom.errors import Bilingual, Fault, InvariantBroken, NotVerified
from cleanroom.identifiers import Digest, TableName, UploadId
from cleanroom.partition.manifest import Manifest
from cleanroom.partition.package import open_new, sync_directory
from cleanroom.partition.table_file import TableFile, file_facts
from cleanroom.partition.table_layout import CountedRows, PersonsRows, first_at_prefix, row_counts, token_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from cleanroom.partition.manifest import TableFileFacts
    from cleanroom.storage.intake import VerifiedPackage
    from key_management.secret import SecretKey

_NAME: Final = re.compile(r"([0-9a-f]{32})\.parquet", re.ASCII)
_TEMPORARY: Final = re.compile(r"\.[0-9a-f]{32}\.[0-9a-f]{16}\.tmp", re.ASCII)
_CHUNK_BYTES: Final = 1 << 20
LARGEST_PREFIX_BITS: Final = 32
_MOST_SEEN: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class StoredPartition:
    """One upload in the store; the room keeps `manifest.encode()` and makes this again from it."""

    manifest: Manifest

    @property
    def table(self) -> TableName:
        """The table it is a version of."""
        return self.manifest.table

    @property
    def upload(self) -> UploadId:
        """The upload's id, the file's name."""
        return self.manifest.upload

    @property
    def rows(self) -> int:
        """How many rows it has; for its owner and the engine only (S13)."""
        return self.manifest.row_count


class PartitionStore:
    """A directory of encrypted partitions."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._seen = SeenRanges()

    def path(self, stored: StoredPartition) -> Path:
        """Return where a partition's file lies."""
        return self._directory(stored.table) / f"{stored.upload}.parquet"

    def place(self, verified: VerifiedPackage) -> StoredPartition:
        """Copy a verified package's encrypted table file into the store, durably; again does nothing.

        Raises:
            NotVerified: the bytes changed since they were verified, or the upload is stored with other bytes.
        """
        stored = StoredPartition(verified.manifest)
        path = self.path(stored)
        if path.exists():
            self.verify(stored)
        else:
            self._write(verified, path)
        return stored

    def verify(self, stored: StoredPartition) -> None:
        """Check every byte of a partition against its digest.

        Raises:
            Fault: it is missing.
            NotVerified: it is not the file that was placed.
        """
        try:
            with self.path(stored).open("rb") as source:
                digest = hashlib.sha256()
                while chunk := source.read(_CHUNK_BYTES):
                    digest.update(chunk)
        except FileNotFoundError:
            raise _missing(stored) from None
        if Digest(digest.digest()) != stored.manifest.file.digest:
            raise _altered(stored)

    def open(self, stored: StoredPartition, data_key: SecretKey) -> PartitionReader:
        """Open a partition for reading by token ranges.

        Raises:
            Fault: it is missing.
            NotVerified: its length or footer is not the manifest's, or the key is another.
        """
        try:
            source = self.path(stored).open("rb")
        except FileNotFoundError:
            raise _missing(stored) from None
        try:
            return PartitionReader(stored, TableFile.open(source, stored.manifest, data_key), self._seen)
        except BaseException:
            source.close()
            raise

    def remove(self, stored: StoredPartition) -> None:
        """Delete a partition's file, durably; a missing one is no error."""
        path = self.path(stored)
        with suppress(FileNotFoundError):
            path.unlink()
            sync_directory(path.parent)

    def remove_orphans(self, known: Collection[UploadId]) -> tuple[Path, ...]:
        """Delete what a crash left: temporary files, and partitions that the room's records do not know.

        The caller makes sure that no upload is under way. Files that the store never writes are left alone.

        Returns:
            What was deleted.
        """
        kept = frozenset(known)
        removed: list[Path] = []
        for path in sorted(self._root.glob("*/*/*")):
            named = _NAME.fullmatch(path.name)
            orphan = UploadId(named[1]) not in kept if named else _TEMPORARY.fullmatch(path.name) is not None
            if orphan:
                path.unlink()
                removed.append(path)
        for directory in {path.parent for path in removed}:
            sync_directory(directory)
        return tuple(removed)

    def _directory(self, table: TableName) -> Path:
        return self._root / table.owner / table.name

    def write(self, table: TableName, upload: UploadId, fill: Callable[[Path], None]) -> TableFileFacts:
        """Write a table file of the room's own, durably; return what it is, byte for byte.

        Args:
            fill: writes the encrypted file to the path that it is given, which is there and empty.

        Raises:
            FileExistsError: there is a file of that name.
            OSError: the disk; nothing is left of the file.
        """
        path = self._directory(table) / f"{upload}.parquet"
        with self._temporary(path) as temporary:
            open_new(temporary).close()
            fill(temporary)
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
                facts = file_facts(written)
            path.hardlink_to(temporary)
        return facts

    def _write(self, verified: VerifiedPackage, path: Path) -> None:
        digest = hashlib.sha256()
        with self._temporary(path) as temporary:
            with verified.open_table_file() as source, open_new(temporary) as target:
                while chunk := source.read(_CHUNK_BYTES):
                    digest.update(chunk)
                    target.write(chunk)
                target.flush()
                os.fsync(target.fileno())
            if Digest(digest.digest()) != verified.manifest.file.digest:
                raise _altered(StoredPartition(verified.manifest))
            try:
                # Not a rename: that would replace another file of the same upload without a word.
                path.hardlink_to(temporary)
            except FileExistsError:
                self.verify(StoredPartition(verified.manifest))

    @contextmanager
    def _temporary(self, path: Path) -> Iterator[Path]:
        """Give a name beside `path` to write to, which goes again; the directory is flushed if all went well."""
        self._make_directory(path.parent)
        temporary = path.with_name(f".{path.stem}.{secrets.token_hex(8)}.tmp")
        try:
            yield temporary
        finally:
            with suppress(FileNotFoundError):
                temporary.unlink()
        sync_directory(path.parent)

    def _make_directory(self, directory: Path) -> None:
        for made in (self._root, directory.parent, directory):
            if not made.is_dir():
                made.mkdir(mode=0o700, parents=made == self._root, exist_ok=True)
                sync_directory(made.parent)


class SeenRanges:
    """Ranges of which a scan of this process has seen every token: how many persons are in each (docs/adr/0023).

    A file never changes, and its name is that of no other upload. Nothing of a token is kept, and nothing outlives the
    process. It may be shared between threads: each call is one step of a dictionary.
    """

    def __init__(self) -> None:
        self._persons: dict[tuple[UploadId, Digest, int, int], int] = {}

    def add(self, stored: StoredPartition, prefix_bits: int, prefix: int, persons: int) -> None:
        """Remember a range; of very many all are forgotten first."""
        if len(self._persons) >= _MOST_SEEN:
            self._persons.clear()
        self._persons[stored.upload, stored.manifest.file.digest, prefix_bits, prefix] = persons

    def of(self, stored: StoredPartition, prefix_bits: int, prefix: int) -> int | None:
        """Return how many persons are in a range, None if it was not seen."""
        return self._persons.get((stored.upload, stored.manifest.file.digest, prefix_bits, prefix))


class PartitionReader:
    """Read an open partition by ranges of tokens; not to be shared between threads: each slice worker opens its own.

    The last token range read is kept, because slices finer than ranges ask for it many times in a row.

    Args:
        seen: the ranges that were seen; its own if not given.
    """

    def __init__(self, stored: StoredPartition, table_file: TableFile, seen: SeenRanges | None = None) -> None:
        self.stored = stored
        self._table_file = table_file
        self._seen = SeenRanges() if seen is None else seen
        self._held: tuple[int, tuple[str, ...], PersonsRows, NDArray[np.int64]] | None = None

    def read(self, prefix_bits: int, prefix: int, columns: Sequence[str]) -> PersonsRows:
        """Return the persons whose token begins with the `prefix_bits` bits of `prefix`, in order, and their rows.

        Args:
            prefix_bits: 0 to 32; the partition is cut into 2^prefix_bits ranges.
            prefix: which range, from 0.
            columns: declared columns, without the token.

        Raises:
            NotVerified: a page does not decrypt: the file was altered.

        Returns:
            Of rows `columns` in the order asked. Chunks are row groups; a category's chunks may each have their own
            dictionary, which is the member's bytes: the scan enforces the domain, and looks at order and counts (S7).
        """
        if not 0 <= prefix_bits <= LARGEST_PREFIX_BITS or not 0 <= prefix < 1 << prefix_bits:
            raise ValueError("no such range of tokens")
        finer = prefix_bits - self.stored.manifest.group_bits
        if finer <= 0:
            return self._table_file.read_groups(prefix << -finer, (prefix + 1) << -finer, columns)
        held, begins = self._group(prefix >> finer, tuple(columns))
        tokens = token_bytes(held.tokens)
        first = first_at_prefix(tokens, prefix_bits, prefix)
        persons = first_at_prefix(tokens, prefix_bits, prefix + 1) - first
        start, end = int(begins[first]), int(begins[first + persons])
        return PersonsRows(
            held.tokens.slice(first, persons),
            held.counts.slice(first, persons),
            held.rows.slice(start, end - start),
            end - start,
        )

    def read_seen(self, prefix_bits: int, prefix: int, columns: Sequence[str]) -> CountedRows | None:
        """Return what `read` does, but for the tokens, of a range that was seen and is whole in the file; else None.

        Raises:
            InvariantBroken: it does not have as many persons as it had.
            NotVerified: a page does not decrypt: the file was altered.
        """
        persons = self._seen.of(self.stored, prefix_bits, prefix)
        coarser = self.stored.manifest.group_bits - prefix_bits
        if persons is None or coarser < 0:
            return None
        held = self._table_file.read_counted(prefix << coarser, (prefix + 1) << coarser, columns)
        if len(held.counts) != persons:
            raise InvariantBroken("a partition's persons are not those that were seen")
        return held

    def saw(self, prefix_bits: int, prefix: int, persons: int) -> None:
        """Take note that every token of a range was looked at: so many, each in the range and greater than the last."""
        self._seen.add(self.stored, prefix_bits, prefix, persons)

    def _group(self, group: int, columns: tuple[str, ...]) -> tuple[PersonsRows, NDArray[np.int64]]:
        """Return a token range, and where each person's rows begin in it."""
        if self._held is None or self._held[:2] != (group, columns):
            self._held = None
            held = self._table_file.read_groups(group, group + 1, columns)
            self._held = (group, columns, held, np.concatenate(([0], np.cumsum(row_counts(held), dtype=np.int64))))
        return self._held[2:]

    def close(self) -> None:
        """Close the file and forget the rows kept."""
        self._held = None
        self._table_file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _missing(stored: StoredPartition) -> Fault:
    return Fault(
        Bilingual(
            f"partition {stored.table}, dépôt {stored.upload} : le fichier manque",
            f"partition {stored.table}, upload {stored.upload}: the file is missing",
        ),
        code="missing_partition",
    )


def _altered(stored: StoredPartition) -> NotVerified:
    return NotVerified(
        Bilingual(
            f"partition {stored.table}, dépôt {stored.upload} : l'empreinte n'est pas celle du manifeste",
            f"partition {stored.table}, upload {stored.upload}: the digest is not the manifest's",
        ),
        code="altered_partition",
    )
