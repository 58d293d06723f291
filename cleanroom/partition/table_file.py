"""Read the encrypted table file: the one typed façade over pyarrow's Parquet (docs/spec/partition.md)."""

from __future__ import annotations

import hashlib
import os
from enum import Enum
from typing import TYPE_CHECKING, Final, Self

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe

from cleanroom.errors import Bilingual, InvalidUpload, NotVerified
from cleanroom.identifiers import Digest
from cleanroom.partition.manifest import Manifest, StorageType, StoredColumn, TableFileFacts
from cleanroom.partition.page_sizes import Chunk, MalformedPage, PageSizes
from cleanroom.partition.table_layout import (
    ROWS_COLUMN,
    ROWS_PER_GROUP,
    TOKEN_COLUMN,
    CountedRows,
    PersonsRows,
    aad_prefix,
    arrow_schema,
    counts_read,
    file_schema,
    tokens_read,
)
from cleanroom.partition.table_writing import DICTIONARY_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import BinaryIO

    from key_management.secret import SecretKey

ENCRYPTED_MAGIC: Final = b"PARE"
"""First and last bytes of a Parquet file with an encrypted footer (Parquet Modular Encryption §5.3)."""

_CHUNK_BYTES: Final = 1 << 20
_UNREADABLE: Final = (OSError, pa.ArrowException)
_OF_PERSONS: Final = (TOKEN_COLUMN, ROWS_COLUMN)

LARGEST_PAGE: Final = 2 * DICTIONARY_BYTES
"""Bytes that a page may unpack to: an honest writer's dictionary, twice."""

LARGEST_BATCH: Final = 1 << 26
"""Bytes that a column may unpack to for each `ROWS_PER_GROUP` rows, its dictionary aside; half a kilobyte a row."""


class Texts(Enum):
    """How columns of texts are read: each as it is, or as codes of a dictionary, which repeats nothing."""

    PLAIN = "plain"
    CODED = "coded"


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


class RowGroup(Enum):
    """The two row groups of a token range."""

    PERSONS = "persons"
    ROWS = "rows"


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
        codes = pa.dictionary(pa.int32(), pa.string())
        stored = [field.with_type(codes) if field.name in coded else field for field in file_schema(manifest.columns)]
        if not schema.equals(pa.schema(stored)):
            raise _not_as_declared("colonnes", "columns")
        metadata = parquet.metadata
        held = tuple(metadata.row_group(place).num_rows for place in range(metadata.num_row_groups))
        if (
            len(held) % 2
            or set(held[::2]) - {1}
            or held[1::2] != tuple(count for count in manifest.group_rows if count)
        ):
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

    def read_groups(self, first: int, end: int, columns: Sequence[str]) -> PersonsRows:
        """Return the persons of the token ranges `first` to `end` - 1, and of their rows `columns` in the order asked.

        Raises:
            NotVerified: a page does not decrypt: the file was altered.
        """
        persons, rows, row_count = self._of_groups(first, end, columns, _OF_PERSONS)
        return PersonsRows(tokens_read(persons), counts_read(persons), rows, row_count)

    def read_counted(self, first: int, end: int, columns: Sequence[str]) -> CountedRows:
        """Return the same without the tokens, which are not decrypted.

        Raises:
            NotVerified: a page does not decrypt: the file was altered.
        """
        persons, rows, row_count = self._of_groups(first, end, columns, (ROWS_COLUMN,))
        return CountedRows(counts_read(persons), rows, row_count)

    def _of_groups(
        self, first: int, end: int, columns: Sequence[str], of_persons: Sequence[str]
    ) -> tuple[pa.Table, pa.Table, int]:
        """Return these columns of persons and of rows, and how many rows there are."""
        schema = arrow_schema([self._column(name) for name in columns])
        counts = self._manifest.group_rows
        skipped = sum(1 for count in counts[:first] if count)
        held = range(skipped, skipped + sum(1 for count in counts[first:end] if count))
        try:
            persons = self._read([2 * each for each in held], file_schema(self._manifest.columns), of_persons)
            rows = self._read([2 * each + 1 for each in held] if columns else [], schema, columns)
        except _UNREADABLE:
            raise _altered(f"plages de jetons {first} à {end - 1}", f"token ranges {first} to {end - 1}") from None
        row_count = sum(counts[first:end])
        if columns and rows.num_rows != row_count:
            raise _altered(f"plages de jetons {first} à {end - 1}", f"token ranges {first} to {end - 1}")
        return persons, rows, row_count

    def _read(self, places: list[int], schema: pa.Schema, columns: Sequence[str]) -> pa.Table:
        """Return these columns of these row groups."""
        if not places:
            return schema.empty_table().select(columns)
        return self._parquet.read_row_groups(places, columns=list(columns), use_threads=False).select(columns)

    def batches(self, group: int, held: RowGroup, *, rows: int = ROWS_PER_GROUP) -> Iterator[pa.RecordBatch]:
        """Yield all columns of a token range's persons, or of its rows, at most `rows` at a time: memory stays bounded.

        Raises:
            NotVerified: a page does not decrypt: the file was altered.
        """
        counts = self._manifest.group_rows
        if not counts[group]:
            return
        place = 2 * sum(1 for count in counts[:group] if count) + (held is RowGroup.ROWS)
        try:
            yield from self._parquet.iter_batches(batch_size=rows, row_groups=[place], use_threads=False)
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
