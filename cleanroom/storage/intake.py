"""Take a member's package in: check all of it against the room and the declaration, keep nothing (S7, S13).

What is checked here serves the member; the room's guarantee rests on the scan, which enforces the catalog on whatever
bytes arrive (S7). No message repeats a value of a row.
"""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, Final, NoReturn, Self, SupportsIndex, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cleanroom.errors import Bilingual, InvalidUpload, InvariantBroken, NotVerified
from cleanroom.identifiers import Digest, Epoch, RoomId
from cleanroom.partition.codes import missing_code, read_codes
from cleanroom.partition.intent import Erase
from cleanroom.partition.manifest import Manifest, storage_schema
from cleanroom.partition.package import Package, read_package, sealing_info, verify_signature
from cleanroom.partition.table_file import LARGEST_BATCH, RowGroup, TableFile, Texts
from cleanroom.partition.table_layout import (
    ROWS_COLUMN,
    TOKEN_COLUMN,
    counts_read,
    first_at_prefix,
    nothing,
    token_bytes,
    tokens_read,
)
from key_management.errors import UnsealFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import BinaryIO

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from cleanroom.catalog import TableCatalog
    from key_management.secret import SecretKey

_ISSUED: Final = object()


@final
class VerifiedPackage:
    """A package that `verify_package` found right; issued by it alone, neither copied nor pickled."""

    __slots__ = ("__data_key", "__package")
    __package: Package
    __data_key: SecretKey

    def __new__(cls, package: Package, data_key: SecretKey, *, issued: object) -> Self:
        """Refuse whoever is not `verify_package`."""
        if issued is not _ISSUED:
            raise TypeError("only verify_package issues a VerifiedPackage")
        verified = object.__new__(cls)
        object.__setattr__(verified, "_VerifiedPackage__package", package)
        object.__setattr__(verified, "_VerifiedPackage__data_key", data_key)
        return verified

    @property
    def manifest(self) -> Manifest:
        """What the upload says about itself, all of it true."""
        return self.__package.manifest

    @property
    def data_key(self) -> SecretKey:
        """The key of the table file, to be wrapped under the member's key."""
        return self.__data_key

    def open_table_file(self) -> BinaryIO:
        """Open the encrypted table file inside the package; it ends where the package ends."""
        return Region.open(self.__package.path, self.__package.table_file_offset, self.manifest.file.size_bytes)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a VerifiedPackage does not change")

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError("a VerifiedPackage is not pickled or copied")


class Region(io.RawIOBase):
    """Read a part of a file as if it were a file of its own."""

    def __init__(self, descriptor: int, start: int, size: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._start = start
        self._size = size
        self._at = 0

    @classmethod
    def open(cls, path: Path, start: int, size: int) -> BinaryIO:
        """Open `size` bytes of the file at `path`, from byte `start`."""
        return io.BufferedReader(cls(os.open(path, os.O_RDONLY), start, size))

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        wanted = max(0, min(len(buffer), self._size - self._at))
        content = os.pread(self._descriptor, wanted, self._start + self._at)
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)

    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()


def verify_package(
    path: Path,
    *,
    room: RoomId,
    catalog: TableCatalog,
    declaration_digest: Digest,
    epoch: Epoch,
    linkage_check: bytes | None,
    member_key: Ed25519PublicKey,
    open_sealed: Callable[[bytes, bytes], SecretKey],
) -> VerifiedPackage:
    """Check a package: parts, signature, manifest, digest, then every row group's types, tokens and order.

    Args:
        linkage_check: what the room holds for this epoch, 32 bytes; None when this is the epoch's first upload.
        open_sealed: opens a sealed key, given what it is bound to: `TransportKey.open`.

    Raises:
        NotVerified: a part is damaged, or a signature or key does not hold.
        InvalidUpload: the package is not what the room or the declaration asks for.
    """
    package = read_package(path)
    manifest = package.manifest
    verify_signature(package, member_key)
    _check_manifest(
        manifest,
        room=room,
        catalog=catalog,
        declaration_digest=declaration_digest,
        epoch=epoch,
        linkage_check=linkage_check,
    )
    try:
        data_key = open_sealed(package.sealed_key, sealing_info(manifest))
    except UnsealFailed:
        raise NotVerified(
            Bilingual(
                "la clé scellée ne s'ouvre pas : elle est scellée pour une autre salle ou pour un autre dépôt",
                "the sealed key does not open: it is sealed to another room or to another upload",
            ),
            code="sealed_key",
        ) from None
    verified = VerifiedPackage(package, data_key, issued=_ISSUED)
    with (
        verified.open_table_file() as source,
        TableFile.open(source, manifest, data_key, texts=Texts.CODED) as table_file,
    ):
        table_file.require_bounded(data_key)
        for group in range(len(manifest.group_rows)):
            _check_group(table_file, group, manifest)
    return verified


def _check_manifest(
    manifest: Manifest,
    *,
    room: RoomId,
    catalog: TableCatalog,
    declaration_digest: Digest,
    epoch: Epoch,
    linkage_check: bytes | None,
) -> None:
    if manifest.room != room:
        raise _mismatch("salle", "room")
    if manifest.table != catalog.table:
        raise _mismatch("table", "table")
    if manifest.declaration != declaration_digest:
        raise _mismatch("déclaration de la table", "the table's declaration")
    if manifest.kind != catalog.unit.token_kind:
        raise _mismatch("genre d'identifiant", "kind of identifier")
    if manifest.epoch != epoch:
        raise _mismatch("époque", "epoch")
    if manifest.columns != storage_schema(catalog):
        raise _mismatch("colonnes", "columns")
    if isinstance(manifest.intent, Erase):
        # Such files are the room's, made from what it holds: a package would take another upload's place unseen.
        raise _mismatch("acte", "act")
    if linkage_check is not None and manifest.linkage_check != linkage_check:
        raise InvalidUpload(
            Bilingual(
                "ce dépôt est fait avec une autre clé d'appariement que celle des autres membres",
                "this upload was made with another linkage key than the other members'",
            ),
            code="wrong_linkage_key",
        )


def _check_group(table_file: TableFile, group: int, manifest: Manifest) -> None:
    """Check one token range; rows a batch at a time, persons as the one value that they are.

    Neither lets a hostile file ask for more memory than a batch or a page: what pages unpack to was checked before.
    """
    counted = _check_persons(table_file, group, manifest.group_bits) if manifest.group_rows[group] else 0
    required = {column.name for column in manifest.columns[1:] if not column.nullable}
    rows = 0
    for batch in _batches(table_file, group, RowGroup.ROWS):
        rows += batch.num_rows
        if any(_is_missing_in(batch.column(name)) for name in required):
            raise _not_right(group, "valeur manquante", "missing value")
    if not rows == counted == manifest.group_rows[group]:
        raise _not_right(group, "nombre de lignes", "row count")


def _check_persons(table_file: TableFile, group: int, bits: int) -> int:
    """Check a token range's persons; return how many rows they have by their own account."""
    written = pa.Table.from_batches(_batches(table_file, group, RowGroup.PERSONS))
    try:
        held, counts = tokens_read(written), counts_read(written)
    except InvariantBroken:
        raise _not_right(group, "personnes coupées", "persons cut off") from None
    if not len(held) or len(held) != len(counts) or pc.min(counts).as_py() == 0:
        raise _not_right(group, "personne sans jeton ou sans ligne", "person without a token or a row")
    tokens = token_bytes(held)
    if first_at_prefix(tokens, bits, group) != 0 or first_at_prefix(tokens, bits, group + 1) != len(held):
        raise _not_right(group, "jeton hors de sa plage", "token outside its range")
    if not _ascending(tokens):
        raise _not_right(group, "jetons non triés ou répétés", "tokens unsorted or repeated")
    return int(pc.sum(counts).as_py())


def _is_missing_in(column: pa.Array) -> bool:
    """Return whether a column of codes says somewhere that there is none; texts are required by the file itself."""
    if not pa.types.is_fixed_size_binary(column.type):
        return False
    return bool((read_codes(column) == missing_code(column.type.byte_width)).any())


def _batches(table_file: TableFile, group: int, held: RowGroup) -> Iterator[pa.RecordBatch]:
    """Yield a row group's batches: values well formed, texts not too long, no column of the other one."""
    for batch in table_file.batches(group, held):
        try:
            batch.validate(full=True)
        except pa.ArrowInvalid:
            raise _not_right(group, "valeurs mal formées", "malformed values") from None
        if any(_text_bytes(column) > LARGEST_BATCH for column in batch.columns):
            raise InvalidUpload(
                Bilingual(
                    f"plage de jetons {group} : textes plus longs que ce que la salle prend",
                    f"token range {group}: texts longer than the room takes",
                ),
                code="table_file_too_large",
            )
        for field, column in zip(batch.schema, batch.columns, strict=True):
            of_persons = field.name in {TOKEN_COLUMN, ROWS_COLUMN}
            if of_persons is not (held is RowGroup.PERSONS) and not _says_nothing(field, column):
                raise _not_right(group, "colonne hors de son groupe de lignes", "column outside its row group")
        yield batch


def _says_nothing(field: pa.Field, column: pa.Array) -> bool:
    """Return whether a column has in another's row group what it is to have there."""
    held = column.cast(pa.string()) if isinstance(column, pa.DictionaryArray) else column
    return bool(held.equals(nothing(field.with_type(held.type), len(column))))


def _text_bytes(column: pa.Array) -> int:
    """Return what a coded column would take if each of its values were written out, without writing them out."""
    if not isinstance(column, pa.DictionaryArray):
        return 0
    lengths = pc.binary_length(column.dictionary).cast(pa.int64())
    return int(pc.sum(lengths.take(column.indices)).as_py() or 0)


def _ascending(tokens: memoryview) -> bool:
    halves = np.frombuffer(tokens, dtype=">u8").reshape(-1, 2).astype(np.uint64)
    high, low = halves[:, 0], halves[:, 1]
    rises = (high[1:] > high[:-1]) | ((high[1:] == high[:-1]) & (low[1:] > low[:-1]))
    return bool(rises.all())


def _mismatch(fr: str, en: str) -> InvalidUpload:
    return InvalidUpload(
        Bilingual(f"ce dépôt n'est pas destiné à cette salle : {fr}", f"this upload is not meant for this room: {en}"),
        code="mismatched_upload",
    )


def _not_right(group: int, fr: str, en: str) -> InvalidUpload:
    return InvalidUpload(
        Bilingual(f"plage de jetons {group} : {fr}", f"token range {group}: {en}"), code="invalid_table_file"
    )
