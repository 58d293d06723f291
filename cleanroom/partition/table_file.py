"""Write and read the encrypted table file: the one typed façade over pyarrow's Parquet (docs/spec/partition.md).

Rows are sorted by token and cut into 2^k ranges of equal token width; each range that has rows is one row group. An
empty range has none: pyarrow can write an empty row group, but nothing reads its bytes, so a change in them would
go unnoticed.
"""

from __future__ import annotations

import bisect
import hashlib
import os
from enum import Enum
from typing import TYPE_CHECKING, Final, Self, assert_never

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe

from cleanroom.errors import Bilingual, InvalidUpload, NotVerified
from cleanroom.identifiers import Digest, RoomId, TableName, UploadId
from cleanroom.partition.manifest import (
    LARGEST_GROUP_BITS,
    TOKEN,
    Manifest,
    StorageType,
    StoredColumn,
    TableFileFacts,
)
from cleanroom.partition.page_sizes import Chunk, MalformedPage, PageSizes
from key_management.binding import bind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path
    from typing import BinaryIO

    import numpy as np
    from numpy.typing import NDArray

    from key_management.secret import SecretKey

TOKEN_COLUMN: Final = TOKEN.name
TOKEN_BYTES: Final = 16
ROWS_PER_GROUP: Final = 131_072
"""Mean rows of a row group: about 5 MB decoded, so that a slice's memory is small (DESIGN §3)."""

ENCRYPTED_MAGIC: Final = b"PARE"
"""First and last bytes of a Parquet file with an encrypted footer (Parquet Modular Encryption §5.3)."""

_AAD_LABEL: Final = b"cleanroom/partition/v1"
_CHUNK_BYTES: Final = 1 << 20
_DICTIONARY_BYTES: Final = 1 << 26
_UNREADABLE: Final = (OSError, pa.ArrowException)

LARGEST_PAGE: Final = 2 * _DICTIONARY_BYTES
"""Bytes that a page may unpack to: an honest writer's dictionary, twice."""

LARGEST_BATCH: Final = 1 << 26
"""Bytes that a column may unpack to for each `ROWS_PER_GROUP` rows, its dictionary aside; half a kilobyte a row."""


class Texts(Enum):
    """How columns of texts are read: each as it is, or as codes of a dictionary, which repeats nothing."""

    PLAIN = "plain"
    CODED = "coded"


def aad_prefix(room: RoomId, table: TableName, upload: UploadId) -> bytes:
    """Return what every module of a table file is authenticated with: its place, length-prefixed."""
    return bind(_AAD_LABEL, room.encode(), str(table).encode(), upload.encode())


def arrow_schema(columns: Sequence[StoredColumn]) -> pa.Schema:
    """Return the Arrow schema of a table file."""
    return pa.schema([pa.field(column.name, _arrow_type(column.storage), column.nullable) for column in columns])


def _arrow_type(storage: StorageType) -> pa.DataType:
    match storage:
        case StorageType.UUID:
            return pa.uuid()
        case StorageType.DICTIONARY:
            return pa.dictionary(pa.int32(), pa.string())
        case StorageType.STRING:
            return pa.string()
        case StorageType.DATE32:
            return pa.date32()
        case StorageType.INT64:
            return pa.int64()
        case _:
            assert_never(storage)


def token_array(tokens: bytes | NDArray[np.uint8]) -> pa.Array:
    """Return consecutive 16-byte tokens as a UUID column, without copying them."""
    buffer = pa.py_buffer(tokens)
    storage = pa.FixedSizeBinaryArray.from_buffers(pa.binary(TOKEN_BYTES), buffer.size // TOKEN_BYTES, [None, buffer])
    return pa.ExtensionArray.from_storage(pa.uuid(), storage)


def token_bytes(array: pa.Array) -> memoryview:
    """Return the consecutive 16-byte tokens of a UUID column of one chunk without nulls, without copying them."""
    data = array.storage.buffers()[1]
    first = array.offset * TOKEN_BYTES
    size = len(array) * TOKEN_BYTES
    return memoryview(b"") if data is None else memoryview(data).cast("B")[first : first + size]


def first_at_prefix(tokens: memoryview, bits: int, prefix: int) -> int:
    """Return how many of the sorted `tokens` have first `bits` bits, as a number, below `prefix`.

    Args:
        bits: 0 to 32.
        prefix: 0 to 2^bits; 2^bits is past the last token.
    """
    rows = len(tokens) // TOKEN_BYTES

    def leading(row: int) -> int:
        start = row * TOKEN_BYTES
        return int.from_bytes(tokens[start : start + 4], "big") >> (32 - bits)

    return bisect.bisect_left(range(rows), prefix, key=leading)


def group_bits_for(rows: int) -> int:
    """Return the least k such that 2^k row groups hold `rows` rows at 131 072 each."""
    groups = max(1, -(-rows // ROWS_PER_GROUP))
    return min((groups - 1).bit_length(), LARGEST_GROUP_BITS)


def write_table_file(
    target: Path | BinaryIO,
    columns: Sequence[StoredColumn],
    groups: Iterable[pa.Table],
    *,
    data_key: SecretKey,
    aad: bytes,
) -> tuple[int, ...]:
    """Write token ranges, in order, as one encrypted Parquet file: AES_GCM_V1, nothing in clear.

    Args:
        target: a file to create, or to write to; the caller flushes and renames it.
        groups: the 2^k ranges in order, each sorted by token; they are written as they come, so a stream will do.
        aad: the prefix from `aad_prefix`; it is not stored, a reader must know it.

    Returns:
        The rows of each range.
    """
    schema = arrow_schema(columns)
    names = [column.name for column in columns]
    rows: list[int] = []
    with pq.ParquetWriter(
        target,
        schema,
        # Tokens are random: no codec shortens them, and reading must not pay for one (reference/storage.md Q0).
        compression={name: "none" if name == TOKEN_COLUMN else "zstd" for name in names},
        use_dictionary=[name for name in names if name != TOKEN_COLUMN],
        dictionary_pagesize_limit=_DICTIONARY_BYTES,
        write_statistics=False,
        version="2.6",
        encryption_properties=pe.create_encryption_properties(
            data_key.reveal_secret_bytes(), aad_prefix=aad, store_aad_prefix=False
        ),
    ) as writer:
        for group in groups:
            rows.append(group.num_rows)
            if group.num_rows:
                writer.write_table(group, row_group_size=group.num_rows)
    return tuple(rows)


def file_facts(source: BinaryIO) -> TableFileFacts:
    """Measure and digest a table file from its beginning.

    Raises:
        InvalidUpload: it does not begin and end as an encrypted Parquet file.
    """
    whole = hashlib.sha256()
    size = 0
    source.seek(0)
    while chunk := source.read(_CHUNK_BYTES):
        whole.update(chunk)
        size += len(chunk)
    footer = read_footer(source, size)
    return TableFileFacts(size, Digest(whole.digest()), len(footer), Digest.of(footer))


def read_footer(source: BinaryIO, size_bytes: int) -> bytes:
    """Return the end of a table file: encrypted footer, its length (4 bytes little-endian), magic.

    Raises:
        InvalidUpload: the file does not begin and end as an encrypted Parquet file.
    """
    source.seek(0)
    if source.read(4) == ENCRYPTED_MAGIC and size_bytes >= 12:
        source.seek(size_bytes - 8)
        end = source.read(8)
        length = int.from_bytes(end[:4], "little") + 8
        if end[4:] == ENCRYPTED_MAGIC and 8 < length <= size_bytes - 4:
            source.seek(size_bytes - length)
            return source.read(length)
    raise InvalidUpload(
        Bilingual(
            "fichier de table : ce n'est pas un fichier Parquet chiffré",
            "table file: this is no encrypted Parquet file",
        ),
        code="invalid_table_file",
    )


class TableFile:
    """An open table file whose footer is the one that the manifest names; not to be shared between threads."""

    def __init__(self, source: BinaryIO, parquet: pq.ParquetFile, manifest: Manifest) -> None:
        self._source = source
        self._parquet = parquet
        self._manifest = manifest

    @classmethod
    def open(cls, source: BinaryIO, manifest: Manifest, data_key: SecretKey, *, texts: Texts = Texts.PLAIN) -> Self:
        """Open a table file and check its length, magic, footer, schema and row groups against the manifest.

        Args:
            texts: `CODED` for rows that nobody has checked yet: a few bytes may repeat a long text a million times.

        Raises:
            NotVerified: the bytes are not those of the manifest, or the key is another.
            InvalidUpload: the file's schema or row groups are not those of the manifest.
        """
        facts = manifest.file
        size = source.seek(0, os.SEEK_END)
        if size != facts.size_bytes:
            raise _altered("longueur", "length")
        try:
            footer = read_footer(source, size)
        except InvalidUpload:
            raise _altered("début ou fin du fichier", "start or end of the file") from None
        if len(footer) != facts.footer_bytes or Digest.of(footer) != facts.footer_digest:
            raise _altered("pied du fichier", "footer")
        coded = [each.name for each in manifest.columns if each.storage is StorageType.STRING and texts is Texts.CODED]
        try:
            parquet = pq.ParquetFile(
                source,
                read_dictionary=coded,
                decryption_properties=pe.create_decryption_properties(
                    data_key.reveal_secret_bytes(),
                    aad_prefix=aad_prefix(manifest.room, manifest.table, manifest.upload),
                ),
            )
            schema = parquet.schema_arrow
        except KeyError:  # a column of texts is not there
            raise _not_as_declared("colonnes", "columns") from None
        except _UNREADABLE:
            raise _altered("pied du fichier ou clé de données", "footer or data key") from None
        codes = _arrow_type(StorageType.DICTIONARY)
        declared = [
            field.with_type(codes) if field.name in coded else field for field in arrow_schema(manifest.columns)
        ]
        if not schema.equals(pa.schema(declared)):
            raise _not_as_declared("colonnes", "columns")
        metadata = parquet.metadata
        held = tuple(metadata.row_group(group).num_rows for group in range(metadata.num_row_groups))
        if held != tuple(count for count in manifest.group_rows if count):
            raise _not_as_declared("groupes de lignes", "row groups")
        return cls(source, parquet, manifest)

    def close(self) -> None:
        """Close the file."""
        self._parquet.close()
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def require_bounded(self, data_key: SecretKey) -> None:
        """Check what every page says that it unpacks to, before any is unpacked.

        Raises:
            InvalidUpload: a page or a column of a token range is larger than any honest one.
            NotVerified: a page header does not decrypt: the file was altered.
        """
        manifest, metadata = self._manifest, self._parquet.metadata
        aad = aad_prefix(manifest.room, manifest.table, manifest.upload)
        try:
            sizes = PageSizes(self._source, data_key, aad, read_footer(self._source, manifest.file.size_bytes))
            for group in range(metadata.num_row_groups):
                held = metadata.row_group(group)
                most = LARGEST_PAGE + LARGEST_BATCH * -(-held.num_rows // ROWS_PER_GROUP)
                for place in range(held.num_columns):
                    unpacked = 0
                    for page in sizes.of(_chunk(held.column(place), group, place)):
                        unpacked += page
                        if page > LARGEST_PAGE or unpacked > most:
                            raise _too_large(group)
        except MalformedPage:
            raise _altered("en-tête de page", "page header") from None

    def read_groups(self, first: int, end: int, columns: Sequence[str]) -> pa.Table:
        """Return the rows of the token ranges `first` to `end` - 1: the token, then `columns` in the order asked.

        Raises:
            NotVerified: a page does not decrypt: the file was altered.
        """
        names = [TOKEN_COLUMN, *columns]
        schema = arrow_schema([self._column(name) for name in names])
        counts = self._manifest.group_rows
        skipped = sum(1 for count in counts[:first] if count)
        held = sum(1 for count in counts[first:end] if count)
        if not held:
            return schema.empty_table()
        try:
            table = self._parquet.read_row_groups(
                list(range(skipped, skipped + held)), columns=names, use_threads=False
            ).select(names)
        except _UNREADABLE:
            raise _altered(f"plages de jetons {first} à {end - 1}", f"token ranges {first} to {end - 1}") from None
        if table.num_rows != sum(counts[first:end]):
            raise _altered(f"plages de jetons {first} à {end - 1}", f"token ranges {first} to {end - 1}")
        return table

    def batches(self, group: int, *, rows: int = ROWS_PER_GROUP) -> Iterator[pa.RecordBatch]:
        """Yield all columns of one token range in batches of at most `rows` rows, so that memory stays bounded.

        Raises:
            NotVerified: a page does not decrypt: the file was altered.
        """
        counts = self._manifest.group_rows
        if not counts[group]:
            return
        held = sum(1 for count in counts[:group] if count)
        try:
            yield from self._parquet.iter_batches(batch_size=rows, row_groups=[held], use_threads=False)
        except _UNREADABLE:
            raise _altered(f"plage de jetons {group}", f"token range {group}") from None

    def _column(self, name: str) -> StoredColumn:
        return next(column for column in self._manifest.columns if column.name == name)


def _chunk(column: pq.ColumnChunkMetaData, group: int, place: int) -> Chunk:
    dictionary = column.dictionary_page_offset
    start = column.data_page_offset if dictionary is None else min(dictionary, column.data_page_offset)
    return Chunk(group, place, start, column.total_compressed_size, dictionary is not None)


def _too_large(group: int) -> InvalidUpload:
    return InvalidUpload(
        Bilingual(
            f"groupe de lignes {group} : une colonne est plus grande que ce que la salle prend",
            f"row group {group}: a column is larger than the room takes",
        ),
        code="table_file_too_large",
    )


def _altered(fr: str, en: str) -> NotVerified:
    return NotVerified(
        Bilingual(f"le fichier de table a été altéré : {fr}", f"the table file was altered: {en}"),
        code="altered_table_file",
    )


def _not_as_declared(fr: str, en: str) -> InvalidUpload:
    return InvalidUpload(
        Bilingual(
            f"le fichier de table n'est pas celui du manifeste : {fr}",
            f"the table file is not the manifest's: {en}",
        ),
        code="invalid_table_file",
    )
