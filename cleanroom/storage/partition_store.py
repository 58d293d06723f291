"""Keep partitions: one root per member, one directory per table, one immutable encrypted file per upload (DESIGN §5).

The store holds ciphertext only; keys live in `key_management`. A file is written under a temporary name in its final
directory, flushed, linked to its name, and the directory flushed: a crash leaves the whole file or an orphan.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from cleanroom.errors import Bilingual, Fault, NotVerified
from cleanroom.identifiers import Digest, TableName, UploadId
from cleanroom.partition.manifest import Manifest
from cleanroom.partition.package import open_new, sync_directory
from cleanroom.partition.table_file import TOKEN_COLUMN, TableFile, file_facts, first_at_prefix, token_bytes

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    import pyarrow as pa

    from cleanroom.storage.intake import VerifiedPackage
    from key_management.secret import SecretKey

_NAME: Final = re.compile(r"([0-9a-f]{32})\.parquet", re.ASCII)
_TEMPORARY: Final = re.compile(r"\.[0-9a-f]{32}\.[0-9a-f]{16}\.tmp", re.ASCII)
_CHUNK_BYTES: Final = 1 << 20
LARGEST_PREFIX_BITS: Final = 32


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
        if not path.exists():
            self._write(verified, path)
        self.verify(stored)
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
            raise NotVerified(
                Bilingual(
                    f"partition {stored.table}, dépôt {stored.upload} : l'empreinte n'est pas celle du manifeste",
                    f"partition {stored.table}, upload {stored.upload}: the digest is not the manifest's",
                ),
                code="altered_partition",
            )

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
            return PartitionReader(stored, TableFile.open(source, stored.manifest, data_key))
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

    def _write(self, verified: VerifiedPackage, path: Path) -> None:
        self._make_directory(path.parent)
        temporary = path.with_name(f".{path.stem}.{secrets.token_hex(8)}.tmp")
        try:
            copy_durably(verified, temporary)
            with suppress(FileExistsError):
                path.hardlink_to(temporary)
        finally:
            with suppress(FileNotFoundError):
                temporary.unlink()
        sync_directory(path.parent)
