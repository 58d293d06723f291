"""Show what an upload would send, without sending, writing or signing anything.

Everything is done that an upload does, encryption too, under a key that is then forgotten; so that the sizes are the
real ones, and what would be refused is refused.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

import pyarrow as pa

from cleanroom.catalog import Category, Date, Number, Text, day_of
from cleanroom.client.gather import LeftOut, Options, SourceFacts, gather
from cleanroom.client.upload import RoomFacts, manifest_of, new_upload, require_key, sealed, sorted_groups
from cleanroom.errors import InvariantBroken
from cleanroom.identifiers import Digest, TableName
from cleanroom.partition.codes import code_bytes, missing_code, read_codes
from cleanroom.partition.manifest import StoredColumn, TableFileFacts, storage_schema
from cleanroom.partition.package import package_bytes, sealing_info
from cleanroom.partition.table_layout import TOKEN_COLUMN, aad_prefix, token_bytes
from cleanroom.partition.table_writing import write_table_file
from key_management.secret import SecretKey

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import BinaryIO

    from _typeshed import ReadableBuffer

    from cleanroom.catalog import ColumnType, TableCatalog
    from cleanroom.client.linkage import LinkageKey
    from cleanroom.client.order import PersonCounts
    from cleanroom.client.read_table import Source
    from cleanroom.partition.intent import Intent

SHOWN_ROWS: Final = 5
_END_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class StoredValue:
    """A value as the table file would hold it.

    Args:
        stored: what stands in the file: a place in the domain from 0, days since 1970-01-01, steps of the resolution,
            or the text itself; None for NULL.
        meaning: the same as people read it; None for NULL.
    """

    column: str
    stored: int | str | None
    meaning: str | None


@dataclass(frozen=True, slots=True)
class StoredRow:
    """A row as the table file would hold it; `token` in hexadecimal digits."""

    token: str
    values: tuple[StoredValue, ...]


@dataclass(frozen=True, slots=True)
class DryRun:
    """What would travel, and what would stay at home.

    Args:
        columns: of the table file, the token first.
        group_rows: rows of each token range.
        size_bytes: of the package.
        first: the first rows of the table file.
    """

    table: TableName
    columns: tuple[StoredColumn, ...]
    group_rows: tuple[int, ...]
    size_bytes: int
    first: tuple[StoredRow, ...]
    persons: PersonCounts
    left_out: LeftOut
    sources: tuple[SourceFacts, ...]

    @property
    def rows(self) -> int:
        """Rows of the package."""
        return sum(self.group_rows)

    @property
    def token_ranges(self) -> int:
        """Token ranges of the table file that have rows."""
        return sum(1 for count in self.group_rows if count)


def rehearse(
    source: Source | Sequence[Source],
    catalog: TableCatalog,
    facts: RoomFacts,
    linkage_key: LinkageKey,
    *,
    intent: Intent | None = None,
    options: Options | None = None,
) -> DryRun:
    """Do what `prepare` does, but write and keep nothing.

    Raises:
        As `prepare`.
    """
    require_key(linkage_key, facts)
    columns = storage_schema(catalog)
    chosen = options or Options()
    gathered = gather(source, catalog, linkage_key, chosen)
    upload, data_key, sink = new_upload(), SecretKey.generate(), _Counted()
    first: list[StoredRow] = []

    def watched() -> Iterator[pa.Table]:
        for group in sorted_groups(gathered.runs, columns, chosen.progress):
            if len(first) < SHOWN_ROWS:
                first.extend(_stored(group.slice(0, SHOWN_ROWS - len(first)), catalog))
            yield group

    group_rows = write_table_file(
        cast("BinaryIO", sink), columns, watched(), data_key=data_key, aad=aad_prefix(facts.room, catalog.table, upload)
    )
    manifest = manifest_of(facts, catalog, linkage_key, upload, group_rows, sink.facts(), intent)
    sealed_key = sealed(facts, data_key, sealing_info(manifest))
    return DryRun(
        table=catalog.table,
        columns=columns,
        group_rows=group_rows,
        size_bytes=package_bytes(manifest, sealed_key),
        first=tuple(first),
        persons=gathered.runs.persons,
        left_out=gathered.left_out,
        sources=gathered.sources,
    )


class _Counted(io.RawIOBase):
    """A file that forgets what is written to it, but for its size and its last bytes."""

    def __init__(self) -> None:
        super().__init__()
        self._size = 0
        self._end = b""

    def writable(self) -> bool:
        return True

    def write(self, octets: ReadableBuffer, /) -> int:
        view = memoryview(octets).cast("B")
        self._end = (self._end + bytes(view[-_END_BYTES:]))[-_END_BYTES:]
        self._size += len(view)
        return len(view)

    def tell(self) -> int:
        return self._size

    def facts(self) -> TableFileFacts:
        """Return facts of the right size; the digests are of nothing, as there is nothing to digest."""
        footer = int.from_bytes(self._end[:4], "little") + _END_BYTES
        return TableFileFacts(self._size, Digest.of(b""), footer, Digest.of(b""))


def _stored(rows: pa.Table, catalog: TableCatalog) -> Iterator[StoredRow]:
    tokens = bytes(token_bytes(rows[TOKEN_COLUMN].combine_chunks()))
    columns = [
        [_value(column.name, column.type, each) for each in _codes(rows[column.name], column.type)]
        for column in catalog.columns
    ]
    for row in range(rows.num_rows):
        yield StoredRow(tokens[16 * row : 16 * row + 16].hex(), tuple(column[row] for column in columns))


def _codes(column: pa.ChunkedArray, kind: ColumnType) -> list[int | str | None]:
    """Return what the file holds: codes, texts; None for what is missing."""
    if isinstance(kind, Text):
        return list(column.to_pylist())
    missing = missing_code(code_bytes(kind))
    return [None if code == missing else code for code in read_codes(column.combine_chunks()).tolist()]


def _value(name: str, kind: ColumnType, stored: int | str | None) -> StoredValue:
    if stored is None:
        return StoredValue(name, None, None)
    match kind, stored:
        case Category(domain=domain), int():
            meaning = domain[stored]
        case Date(), int():
            meaning = day_of(kind.lower + stored).isoformat()
        case Number(unit=unit), int():
            meaning = f"{kind.value(kind.lower + stored)}" + ("" if unit is None else f" {unit}")
        case Text(), str():
            meaning = stored
        case _:
            raise InvariantBroken("a stored value is not of its column's type")
    return StoredValue(name, stored, meaning)
