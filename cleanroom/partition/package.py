"""Write and read the one file that travels from a member to the room (docs/spec/partition.md).

    magic         21 bytes   "cleanroom/package/v1" and a line feed
    index        160 bytes   lengths of the four parts (8 bytes big-endian each), SHA-256 of the first three (32 each),
                             SHA-256 of the magic and of the index so far (32)
    manifest                 canonical JSON
    sealed key               the data key, HPKE to the room's transport key
    signature     64 bytes   Ed25519 by the owner, over the manifest and the sealed key
    table file               encrypted Parquet; its length and digest stand in the manifest

The digests of the index protect nothing; they name the part that was damaged. The signature protects.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import struct
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidSignature

from cleanroom.errors import Bilingual, InvalidUpload, NotVerified
from cleanroom.identifiers import Digest
from cleanroom.partition.manifest import Manifest
from key_management.binding import bind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

MAGIC: Final = b"cleanroom/package/v1\n"
_SIGNING_LABEL: Final = b"cleanroom/package/v1"
_SEALING_LABEL: Final = b"cleanroom/package/v1/data-key"
_LENGTHS: Final = struct.Struct(">QQQQ")
_DIGEST_BYTES: Final = 32
_INDEX_BYTES: Final = _LENGTHS.size + 4 * _DIGEST_BYTES
_SIGNATURE_BYTES: Final = 64
_LARGEST_MANIFEST: Final = 1 << 22
_LARGEST_SEALED_KEY: Final = 1 << 14
_CHUNK_BYTES: Final = 1 << 20


class PackagePart(Enum):
    """A part of the package, called as people read it."""

    MAGIC = Bilingual("en-tête", "magic")
    INDEX = Bilingual("index", "index")
    MANIFEST = Bilingual("manifeste", "manifest")
    SEALED_KEY = Bilingual("clé scellée", "sealed key")
    SIGNATURE = Bilingual("signature", "signature")
    TABLE_FILE = Bilingual("fichier de table", "table file")


@dataclass(frozen=True, slots=True)
class Package:
    """A package whose parts are whole; nothing is yet known of who signed it.

    Args:
        table_file_offset: where the table file begins, in bytes; it is the last part.
    """

    path: Path
    manifest: Manifest
    sealed_key: bytes
    signature: bytes
    table_file_offset: int


def sealing_info(manifest: Manifest) -> bytes:
    """Return what the sealed data key is bound to: room, table, upload and the digest of the whole manifest."""
    return bind(
        _SEALING_LABEL,
        manifest.room.encode(),
        str(manifest.table).encode(),
        manifest.upload.encode(),
        hashlib.sha256(manifest.encode()).digest(),
    )


def write_package(
    destination: Path, *, manifest: Manifest, sealed_key: bytes, signing_key: Ed25519PrivateKey, table_file: Path
) -> None:
    """Write a package durably: beside its name, flushed, then renamed; a crash leaves the old file or the new one.

    Args:
        sealed_key: the data key, sealed with `sealing_info(manifest)`.
        table_file: the encrypted file whose facts the manifest states.

    Raises:
        OSError: the disk is full or the directory not writable.
    """
    content = manifest.encode()
    signature = signing_key.sign(_signed(content, sealed_key))
    parts = (content, sealed_key, signature)
    head = MAGIC + _LENGTHS.pack(*(len(part) for part in parts), manifest.file.size_bytes)
    head += b"".join(hashlib.sha256(part).digest() for part in parts)
    head += hashlib.sha256(head).digest()
    with replacing(destination) as target, table_file.open("rb") as source:
        target.write(head + b"".join(parts))
        while chunk := source.read(_CHUNK_BYTES):
            target.write(chunk)


def package_bytes(manifest: Manifest, sealed_key: bytes) -> int:
    """Return how many bytes the package of a manifest has."""
    head = len(MAGIC) + _INDEX_BYTES + len(manifest.encode())
    return head + len(sealed_key) + _SIGNATURE_BYTES + manifest.file.size_bytes


@contextmanager
def replacing(destination: Path) -> Iterator[BinaryIO]:
    """Give a new file, readable by its owner only, that takes `destination`'s place once it is whole and on disk."""
    temporary = destination.with_name(f".{destination.name}.{secrets.token_hex(8)}.tmp")
    try:
        with open_new(temporary) as target:
            yield target
            target.flush()
            os.fsync(target.fileno())
        temporary.replace(destination)
    except BaseException:
        with suppress(FileNotFoundError):
            temporary.unlink()
        raise
    sync_directory(destination.parent)


def open_new(path: Path) -> BinaryIO:
    """Create a file that only its owner may read.

    Raises:
        FileExistsError: there is one already.
    """
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def sync_directory(directory: Path) -> None:
    """Make a directory's names durable; a rename is not, until its directory is flushed."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_package(path: Path) -> Package:
    """Read a package's parts and check each of them, the table file's digest included, for damage.

    Raises:
        InvalidUpload: the file has not the form of a package.
        NotVerified: a part was damaged; names it.
    """
    with path.open("rb") as source:
        size = source.seek(0, os.SEEK_END)
        source.seek(0)
        if source.read(len(MAGIC)) != MAGIC:
            raise InvalidUpload(
                Bilingual(
                    "ce fichier n'est pas un paquet de dépôt (en-tête)", "this file is no upload package (magic)"
                ),
                code="not_a_package",
            )
        index = source.read(_INDEX_BYTES)
        if len(index) != _INDEX_BYTES:
            raise _truncated(PackagePart.INDEX)
        if hashlib.sha256(MAGIC + index[:-_DIGEST_BYTES]).digest() != index[-_DIGEST_BYTES:]:
            raise _damaged(PackagePart.INDEX)
        manifest_bytes, sealed_bytes, signature_bytes, table_bytes = _LENGTHS.unpack_from(index)
        if manifest_bytes > _LARGEST_MANIFEST or sealed_bytes > _LARGEST_SEALED_KEY:
            raise _wrong_length(PackagePart.INDEX)
        if signature_bytes != _SIGNATURE_BYTES:
            raise _wrong_length(PackagePart.SIGNATURE)
        lengths = (manifest_bytes, sealed_bytes, signature_bytes)
        names = (PackagePart.MANIFEST, PackagePart.SEALED_KEY, PackagePart.SIGNATURE)
        digests = (index[at : at + _DIGEST_BYTES] for at in range(_LENGTHS.size, _INDEX_BYTES, _DIGEST_BYTES))
        content, sealed_key, signature = (_part(source, *part) for part in zip(names, lengths, digests, strict=False))
        manifest = Manifest.parse(content)
        offset = source.tell()
        if size < offset + table_bytes:
            raise _truncated(PackagePart.TABLE_FILE)
        if size != offset + table_bytes or table_bytes != manifest.file.size_bytes:
            raise _wrong_length(PackagePart.TABLE_FILE)
        if _digest_of_rest(source) != manifest.file.digest:
            raise _damaged(PackagePart.TABLE_FILE)
    return Package(path, manifest, sealed_key, signature, offset)


def verify_signature(package: Package, owner_key: Ed25519PublicKey) -> None:
    """Check that the owner signed the manifest and the sealed key.

    Raises:
        NotVerified: somebody else did, or nobody.
    """
    try:
        owner_key.verify(package.signature, _signed(package.manifest.encode(), package.sealed_key))
    except InvalidSignature:
        owner = package.manifest.table.owner
        raise NotVerified(
            Bilingual(
                f"la signature du paquet n'est pas celle de « {owner} »", f"the package's signature is not {owner!r}'s"
            ),
            code="wrong_signature",
        ) from None


def _signed(manifest: bytes, sealed_key: bytes) -> bytes:
    return bind(_SIGNING_LABEL, manifest, sealed_key)


def _part(source: BinaryIO, name: PackagePart, size: int, digest: bytes) -> bytes:
    content = source.read(size)
    if len(content) != size:
        raise _truncated(name)
    if hashlib.sha256(content).digest() != digest:
        raise _damaged(name)
    return content


def _digest_of_rest(source: BinaryIO) -> Digest:
    digest = hashlib.sha256()
    while chunk := source.read(_CHUNK_BYTES):
        digest.update(chunk)
    return Digest(digest.digest())


def _damaged(part: PackagePart) -> NotVerified:
    return NotVerified(
        Bilingual(f"paquet endommagé : {part.value.fr}", f"damaged package: {part.value.en}"), code="damaged_package"
    )


def _truncated(part: PackagePart) -> InvalidUpload:
    return InvalidUpload(
        Bilingual(f"paquet tronqué : {part.value.fr}", f"truncated package: {part.value.en}"), code="truncated_package"
    )


def _wrong_length(part: PackagePart) -> InvalidUpload:
    return InvalidUpload(
        Bilingual(f"longueur impossible : {part.value.fr}", f"impossible length: {part.value.en}"),
        code="invalid_package",
    )
