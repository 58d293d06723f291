"""Scan a member's partitions as the catalog admits them: the room's own enforcement (S7).

Whatever bytes a member handed in, what leaves here keeps the declaration: a category outside the domain is NULL, dates
and numbers are clamped to their bounds, no unit is missing (S14), and nobody has more than `max_rows_per_person` rows,
the first in the files' order (S23). Each of these looks at one row, or at one person's rows in their order, so a scan
is personal: removing a person changes nobody else's rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, assert_never

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit

from cleanroom.catalog import Category, ColumnType, Date, Number, Text
from cleanroom.errors import InvariantBroken

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from cleanroom.catalog import TableCatalog


class SliceReader(Protocol):
    """One upload, readable by token range; `cleanroom.storage.partition_store.PartitionReader` is one."""

    def read(self, prefix_bits: int, prefix: int, columns: Sequence[str]) -> pa.Table:
        """Return the rows whose token's first `prefix_bits` bits are `prefix`: the unit first, then `columns`."""
        ...


@dataclass(frozen=True, slots=True)
class ScannedTable:
    """The admitted rows of one table in one slice, ordered by token.

    Args:
        tokens: shape (rows, 2): a token's halves as big-endian numbers, so that their order is the tokens'.
        columns: by name; codes with a mask where NULL, or an Arrow array of strings for text.
    """

    tokens: npt.NDArray[np.uint64]
    columns: Mapping[str, pa.Array]


def scan(
    catalog: TableCatalog, readers: Sequence[SliceReader], columns: tuple[str, ...], *, bits: int, prefix: int
) -> ScannedTable:
    """Read one slice of a table.

    Args:
        readers: the uploads of the table's version, in the order they were taken in.
        columns: the columns to read, in the order wanted.
    """
    parts = [reader.read(bits, prefix, columns) for reader in readers]
    tokens = [_tokens(part) for part in parts]
    arrays = {
        name: pa.concat_arrays([_admitted(_column_type(catalog, name), part.column(name)) for part in parts])
        if parts
        else pa.array([], pa.string() if isinstance(_column_type(catalog, name), Text) else pa.int64())
        for name in columns
    }
    units = np.concatenate(tokens) if tokens else np.zeros((0, 2), dtype=np.uint64)
    if bits and len(units) and bool(np.any(units[:, 0] >> np.uint64(64 - bits) != np.uint64(prefix))):
        # A person in two slices would be clipped twice, each time alone.
        raise InvariantBroken("a partition gave rows of another slice")
    missing = [_missing_units(part) for part in parts]
    keep = ~np.concatenate(missing) if missing else np.zeros(0, dtype=np.bool_)
    order: npt.NDArray[np.int64] | None = None
    if len(parts) > 1 or not bool(keep.all()):
        order = np.flatnonzero(keep)
        order = order[np.lexsort((units[order, 1], units[order, 0]))]
        units = units[order]
    first = _first_rows(units, catalog.max_rows_per_person)
    if first is not None:
        order = first if order is None else order[first]
        units = units[first]
    if order is not None:
        taken = pa.array(order)
        arrays = {name: array.take(taken) for name, array in arrays.items()}
    return ScannedTable(units, arrays)


def _column_type(catalog: TableCatalog, name: str) -> ColumnType:
    column = catalog.column(name)
    if column is None:
        raise InvariantBroken(f"{catalog.table} has no column {name}")
    return column.type


def _tokens(part: pa.Table) -> npt.NDArray[np.uint64]:
    """Return the units of a table as pairs of numbers, shape (rows, 2)."""
    column = part.column(0)
    storage = pa.concat_arrays([chunk.storage for chunk in column.chunks]) if column.num_chunks else None
    if storage is None or len(storage) == 0:
        return np.zeros((0, 2), dtype=np.uint64)
    data = storage.buffers()[1]
    pairs = np.frombuffer(data, dtype=">u8", count=2 * len(storage), offset=16 * storage.offset)
    return pairs.reshape(-1, 2).astype(np.uint64)


def _missing_units(part: pa.Table) -> npt.NDArray[np.bool_]:
    column = part.column(0)
    if column.null_count == 0:
        return np.zeros(len(column), dtype=np.bool_)
    return np.asarray(column.is_null().to_numpy(zero_copy_only=False), dtype=np.bool_)


def _first_rows(units: npt.NDArray[np.uint64], most: int) -> npt.NDArray[np.int64] | None:
    """Return the rows that are among the first `most` of their person, or None for all. Refuses disorder."""
    longest = int(_longest_run(units))
    if longest < 0:
        raise InvariantBroken("a partition is not ordered by token")
    if longest <= most:
        return None
    heads = np.flatnonzero(np.concatenate(([True], np.any(units[1:] != units[:-1], axis=1))))
    place = np.arange(len(units)) - np.repeat(heads, np.diff(np.append(heads, len(units))))
    return np.flatnonzero(place < most)


@njit(cache=True, nogil=True)
def _longest_run(units):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return how many rows the person with most rows has, or -1 if tokens ever decrease."""
    longest = run = min(1, units.shape[0])
    for row in range(1, units.shape[0]):
        high, low = units[row, 0], units[row, 1]
        before_high, before_low = units[row - 1, 0], units[row - 1, 1]
        if high == before_high and low == before_low:
            run += 1
            longest = max(longest, run)
        elif high > before_high or (high == before_high and low > before_low):
            run = 1
        else:
            return -1
    return longest


def _admitted(kind: ColumnType, column: pa.ChunkedArray) -> pa.Array:
    """Return a column's codes as the catalog admits them, or its texts."""
    array = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], column.type)
    match kind:
        case Category(domain=domain):
            return _category_codes(array, domain)
        case Text():
            return array.cast(pa.string())
        case Date(lower=lower, upper=upper):
            return _clamped(array.cast(pa.int32()).cast(pa.int64()), lower, upper)
        case Number(lower=lower, upper=upper):
            return _clamped(array.cast(pa.int64()), lower, upper)
    assert_never(kind)


def _category_codes(array: pa.Array, domain: tuple[str, ...]) -> pa.Array:
    """Return domain indices; a value outside the domain is NULL. Works on the dictionary, once for each value."""
    if not isinstance(array, pa.DictionaryArray):
        array = array.dictionary_encode()
    if len(array.dictionary) == 0:
        return pa.nulls(len(array), pa.int64())
    codes = pc.index_in(array.dictionary.cast(pa.string()), value_set=pa.array(domain, pa.string()))
    return codes.cast(pa.int64()).take(array.indices)


def _clamped(array: pa.Array, lower: int, upper: int) -> pa.Array:
    return pc.min_element_wise(
        pc.max_element_wise(array, pa.scalar(lower, pa.int64()), skip_nulls=False),
        pa.scalar(upper, pa.int64()),
        skip_nulls=False,
    )
