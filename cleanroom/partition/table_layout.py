"""How a table's rows lie in its file: each person once, with the rows after them (docs/spec/partition.md).

Persons are sorted by token and cut into 2^k ranges of equal token width. A range that has rows is two row groups: its
persons, all of them one value of tokens and one of how many rows each has, then their rows, which need no token, since
each is the person's whose turn it is. A token is random and nothing shortens it, so that written once for a person, not
for each row, it is the least that a question must read and decrypt; codes (`partition.codes`) are as narrow as their
declaration. What belongs to the other row group is NULL there, or where it may not be, nothing that means anything.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, assert_never

import numpy as np
import pyarrow as pa

from cleanroom.errors import InvariantBroken
from cleanroom.partition.manifest import LARGEST_GROUP_BITS, TOKEN, StorageType, StoredColumn
from key_management.binding import bind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cleanroom.identifiers import RoomId, TableName, UploadId

TOKEN_COLUMN: Final = TOKEN.name
TOKEN_BYTES: Final = 16
ROWS_COLUMN: Final = "u#rows"
"""How many rows a person has here; no declared name has a `#`."""

ROWS_PER_GROUP: Final = 131_072
"""Mean rows of a token range: about 5 MB decoded, so that a slice's memory is small (DESIGN §3)."""

MOST_ROWS_PER_GROUP: Final = 4 * ROWS_PER_GROUP
"""The same of a large table: to begin with a column of a range takes as long as to read fifty thousand values of it."""

_ENOUGH_BITS: Final = 5
"""A table of so many ranges gets larger ones before it gets more."""

_AAD_LABEL: Final = b"cleanroom/partition/v1"


@dataclass(frozen=True, slots=True)
class PersonsRows:
    """Persons in the order of their tokens, and their rows, as a file has them: nothing of it is checked.

    Args:
        tokens: `arrow.uuid`, one a person.
        counts: uint32, how many of the rows are the person's; those of the first come first.
        rows: the columns asked for; there may be none.
        row_count: how many rows there are.
    """

    tokens: pa.Array
    counts: pa.Array
    rows: pa.Table
    row_count: int


@dataclass(frozen=True, slots=True)
class CountedRows:
    """The same without the tokens, which nobody asked for."""

    counts: pa.Array
    rows: pa.Table
    row_count: int


def aad_prefix(room: RoomId, table: TableName, upload: UploadId) -> bytes:
    """Return what every module of a table file is authenticated with: its place, length-prefixed."""
    return bind(_AAD_LABEL, room.encode(), str(table).encode(), upload.encode())


def arrow_schema(columns: Sequence[StoredColumn]) -> pa.Schema:
    """Return the Arrow schema of rows under their tokens; of a code that is missing there is one that says so."""
    return pa.schema(
        [
            pa.field(column.name, _arrow_type(column.storage), column.nullable and column.storage is StorageType.STRING)
            for column in columns
        ]
    )


def file_schema(columns: Sequence[StoredColumn]) -> pa.Schema:
    """Return the Arrow schema of a table file."""
    persons = [pa.field(name, pa.binary()) for name in (TOKEN_COLUMN, ROWS_COLUMN)]
    return pa.schema([*persons, *arrow_schema(columns[1:])])


def nothing(field: pa.Field, rows: int) -> pa.Array:
    """Return what a column holds in the row groups that are not its own: NULL, or if required 0 or the empty text."""
    if field.nullable:
        return pa.nulls(rows, field.type)
    return pa.repeat("" if field.type == pa.string() else pa.scalar(bytes(field.type.byte_width), field.type), rows)


def _arrow_type(storage: StorageType) -> pa.DataType:
    match storage:
        case StorageType.UUID:
            return pa.uuid()
        case StorageType.STRING:
            return pa.string()
        case StorageType.CODE8:
            return pa.binary(1)
        case StorageType.CODE16:
            return pa.binary(2)
        case StorageType.CODE32:
            return pa.binary(4)
        case _:
            assert_never(storage)


def token_array(tokens: bytes | NDArray[np.uint8]) -> pa.Array:
    """Return consecutive 16-byte tokens as a UUID column, without copying them."""
    buffer = pa.py_buffer(tokens)
    storage = pa.FixedSizeBinaryArray.from_buffers(pa.binary(TOKEN_BYTES), buffer.size // TOKEN_BYTES, [None, buffer])
    return pa.ExtensionArray.from_storage(pa.uuid(), storage)


def token_bytes(array: pa.Array) -> memoryview:
    """Return the consecutive 16-byte tokens of a UUID column of one chunk, without copying them; a NULL's are any."""
    data = array.storage.buffers()[1]
    first = array.offset * TOKEN_BYTES
    size = len(array) * TOKEN_BYTES
    return memoryview(b"") if data is None else memoryview(data).cast("B")[first : first + size]


def token_pairs(array: pa.Array) -> NDArray[np.uint64]:
    """Return such tokens as pairs of numbers, as their bytes lie in memory; shape (tokens, 2)."""
    return np.frombuffer(token_bytes(array), dtype=np.uint64).reshape(-1, 2)


def persons_written(held: PersonsRows) -> dict[str, pa.Array]:
    """Return persons as a file has them: one value of all tokens, one of all counts (little-endian, 32 bits)."""
    counts = held.counts.to_numpy(zero_copy_only=False).astype("<u4")
    return {
        TOKEN_COLUMN: pa.array([token_bytes(held.tokens)], pa.binary()),
        ROWS_COLUMN: pa.array([counts.tobytes()], pa.binary()),
    }


def tokens_read(table: pa.Table) -> pa.Array:
    """Return the tokens of the persons of some row groups; nothing of them is checked.

    Raises:
        InvariantBroken: a value is not of whole tokens.
    """
    return token_array(_octets(table.column(TOKEN_COLUMN), TOKEN_BYTES))


def counts_read(table: pa.Table) -> pa.Array:
    """Return how many rows the persons of some row groups have; nothing of it is checked.

    Raises:
        InvariantBroken: a value is not of whole counts.
    """
    return pa.array(_octets(table.column(ROWS_COLUMN), 4).view("<u4"))


def _octets(column: pa.ChunkedArray, size: int) -> NDArray[np.uint8]:
    """Return a column's values one after another, together a multiple of `size`; none for NULL."""
    found = [np.zeros(0, dtype=np.uint8)]
    for chunk in column.chunks:
        _, ends, data = chunk.buffers()
        if data is not None:
            at = np.frombuffer(ends, dtype=np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
            found.append(np.frombuffer(data, dtype=np.uint8)[at[0] : at[-1]])
    octets = found[1] if len(found) == 2 else np.concatenate(found)
    if len(octets) % size:
        raise InvariantBroken("a partition's persons are cut off")
    return octets


def row_counts(held: PersonsRows | CountedRows) -> NDArray[np.uint32]:
    """Return how many rows each person has: each row is somebody's, and nobody has others'.

    Raises:
        InvariantBroken: the counts are not of these rows.
    """
    counts = np.zeros(0, np.uint32) if held.counts.null_count else held.counts.to_numpy(zero_copy_only=False)
    whole = not held.rows.num_columns or held.rows.num_rows == held.row_count
    persons = len(held.tokens if isinstance(held, PersonsRows) else held.counts)
    if not whole or len(counts) != persons or counts.sum(dtype=np.uint64) != held.row_count:
        raise InvariantBroken("a partition's rows are not those of its persons")
    return np.asarray(counts, dtype=np.uint32)


def rows_under_tokens(held: PersonsRows) -> pa.Table:
    """Return rows with a first column that repeats each person's token.

    Raises:
        InvariantBroken: the counts are not of these rows.
    """
    persons = np.repeat(np.arange(len(held.tokens)), row_counts(held))
    units = pa.ExtensionArray.from_storage(pa.uuid(), held.tokens.storage.take(pa.array(persons)))
    return pa.Table.from_arrays([units, *held.rows.columns], names=[TOKEN_COLUMN, *held.rows.column_names])


def one_array(column: pa.ChunkedArray) -> pa.Array:
    """Return a column in one piece."""
    if column.num_chunks == 1:
        return column.chunk(0)
    if isinstance(column.type, pa.ExtensionType):
        storage = [chunk.storage for chunk in column.chunks]
        whole = pa.concat_arrays(storage) if storage else pa.array([], column.type.storage_type)
        return pa.ExtensionArray.from_storage(column.type, whole)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def first_at_prefix(tokens: memoryview, bits: int, prefix: int) -> int:
    """Return how many of the sorted `tokens` have first `bits` bits, as a number, below `prefix`.

    Args:
        bits: 0 to 32.
        prefix: 0 to 2^bits; 2^bits is past the last token.
    """
    persons = len(tokens) // TOKEN_BYTES

    def leading(person: int) -> int:
        start = person * TOKEN_BYTES
        return int.from_bytes(tokens[start : start + 4], "big") >> (32 - bits)

    return bisect.bisect_left(range(persons), prefix, key=leading)


def group_bits_for(rows: int) -> int:
    """Return the least k such that 2^k token ranges hold `rows` rows at 131 072 each, beyond 32 ranges at 524 288."""
    most, fewest = (max(0, -(-rows // each) - 1).bit_length() for each in (ROWS_PER_GROUP, MOST_ROWS_PER_GROUP))
    return min(most, max(fewest, _ENOUGH_BITS), LARGEST_GROUP_BITS)
