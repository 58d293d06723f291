"""Scan a member's partitions as the catalog admits them: the room's own enforcement (S7).

Whatever bytes a member handed in, what leaves here keeps the declaration: a category outside the domain is NULL, dates
and numbers are clamped to their bounds, no unit is missing (S14), and nobody has more than `max_rows_per_person` rows,
the first in the files' order (S23). Each of these looks at one row, or at one person's rows in their order, so a scan
is personal: removing a person changes nobody else's rows.

A file has each person once, sorted by token, and says how many of its rows are theirs: what it says is a member's word,
but there is no other, since rows carry no token. A person is thus whoever a token stands for, and their rows those that
follow for it; order is checked, tokens of several uploads meet, and no row is left over.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from cleanroom.catalog import Category, ColumnType, Text
from cleanroom.errors import InvariantBroken
from cleanroom.partition.codes import first_of, missing_code, read_codes, values_from, values_of
from cleanroom.partition.table_layout import one_array, row_counts, token_pairs
from cleanroom.storage.token_runs import first_rows, merged_order, rows_from, runs_of, runs_of_counts, turned_at

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cleanroom.catalog import TableCatalog
    from cleanroom.partition.codes import Coded
    from cleanroom.partition.table_layout import CountedRows, PersonsRows

Int64s = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


class SliceReader(Protocol):
    """One upload, readable by token range; `cleanroom.storage.partition_store.PartitionReader` is one."""

    def read(self, prefix_bits: int, prefix: int, columns: Sequence[str]) -> PersonsRows:
        """Return the persons whose token's first `prefix_bits` bits are `prefix`, and of their rows `columns`."""
        ...

    def read_seen(self, prefix_bits: int, prefix: int, columns: Sequence[str]) -> CountedRows | None:
        """Return the same without tokens, if this range `saw` them before; else None."""
        ...

    def saw(self, prefix_bits: int, prefix: int, persons: int) -> None:
        """Take note that every token of a range was looked at: so many, each in the range and greater than the last."""
        ...


@dataclass(frozen=True, slots=True)
class CodeColumn:
    """The admitted values of a column, as narrow as they lie in the file where nothing had to be done to them.

    Args:
        codes: whole numbers of any width, one a row.
        present: where the column is not NULL; None for everywhere.
        first: the value whose code is 0.
    """

    codes: npt.NDArray[np.integer]
    present: Bools | None
    first: int = 0

    @property
    def values(self) -> Int64s:
        """The values, one a row, made anew each time if codes are narrow; anything where the column is NULL."""
        return values_from(self.codes, self.first)

    def take(self, rows: Int64s) -> CodeColumn:
        """Return the values of these rows."""
        return CodeColumn(self.codes[rows], None if self.present is None else self.present[rows], self.first)

    def arrow(self) -> pa.Array:
        """Return the codes as Arrow has them."""
        return pa.array(self.values, mask=None if self.present is None else ~self.present)


@dataclass(frozen=True, slots=True)
class ScannedTable:
    """The admitted rows of one table in one slice, ordered by token.

    Args:
        tokens: of each upload's persons, in order, as their bytes lie in memory; shape (tokens, 2). None where nobody
            asked for them.
        first: the first of these that is each person's; shape (persons,).
        starts: where each person's admitted rows begin, and at last how many there are; shape (persons + 1,).
        columns: by name; codes, or an Arrow array of strings for text.
    """

    tokens: npt.NDArray[np.uint64] | None
    first: Int64s
    starts: Int64s
    columns: Mapping[str, CodeColumn | pa.Array]

    @property
    def persons(self) -> npt.NDArray[np.uint64]:
        """The halves of each different token as big-endian numbers, increasing; shape (persons, 2)."""
        if self.tokens is None:
            raise InvariantBroken("a table was scanned without its tokens")
        found: npt.NDArray[np.uint64] = turned_at(self.tokens, self.first)
        return found

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return int(self.starts[-1])

    def with_columns(self, names: Sequence[str]) -> ScannedTable:
        """Return the same rows with these of the columns, in this order."""
        return replace(self, columns={name: self.columns[name] for name in names})

    def of_rows(self, of_persons: Int64s) -> Int64s:
        """Return for each row the number that `of_persons` has for its person."""
        return np.repeat(of_persons, np.diff(self.starts))


def scan(
    catalog: TableCatalog,
    readers: Sequence[SliceReader],
    columns: tuple[str, ...],
    *,
    bits: int,
    prefix: int,
    with_tokens: bool = True,
) -> ScannedTable:
    """Read one slice of a table.

    Args:
        readers: the uploads of the table's version, in the order they were taken in.
        columns: the columns to read, in the order wanted.
        with_tokens: whether anybody asks for the persons' tokens. They are looked at all the same, but of a range of a
            single upload only until a scan of this process has seen them all, in order (docs/adr/0023).
    """
    kinds = {name: _column_type(catalog, name) for name in columns}
    seen = readers[0].read_seen(bits, prefix, columns) if len(readers) == 1 and not with_tokens else None
    tokens: npt.NDArray[np.uint64] | None = None
    order: Int64s | None = None
    if seen is not None:
        parts = [seen.rows]
        first, starts, longest = runs_of_counts(row_counts(seen))
    else:
        held = [part for part in (reader.read(bits, prefix, columns) for reader in readers) if part.row_count]
        parts = [part.rows for part in held]
        tokens, counts, order = _ordered(held)
        first, starts, longest = runs_of(tokens, counts)
        # Tokens increase, so that all lie in the slice if the first and the last do.
        ends = turned_at(tokens, np.array([0, len(tokens) - 1])) if len(tokens) else tokens
        if bits and any(int(each) >> (64 - bits) != prefix for each in ends[:, 0]):
            # A person in two slices would be clipped twice, each time alone.
            raise InvariantBroken("a partition gave rows of another slice")
        if longest >= 0 and len(readers) == len(held) == 1 and len(first) == len(held[0].tokens):
            # Every person of the file has a token, and no two have the same.
            readers[0].saw(bits, prefix, len(first))
    if longest < 0:
        raise InvariantBroken("a partition is not ordered by token")
    if longest > catalog.max_rows_per_person:
        kept, starts = first_rows(starts, catalog.max_rows_per_person)
        order = kept if order is None else order[kept]
    return ScannedTable(
        tokens, first, starts, {name: _column(kind, parts, name, order) for name, kind in kinds.items()}
    )


def _column_type(catalog: TableCatalog, name: str) -> ColumnType:
    column = catalog.column(name)
    if column is None:
        raise InvariantBroken(f"{catalog.table} has no column {name}")
    return column.type


def _ordered(
    parts: Sequence[PersonsRows],
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint32], Int64s | None]:
    """Return the tokens of all parts, ordered, the number of rows of each, and these rows; None for all as they lie."""
    tokens = [token_pairs(part.tokens) for part in parts]
    counts = [row_counts(part) for part in parts]
    missing = [_missing_units(part.tokens) for part in parts]
    if len(parts) == 1 and not missing[0].any():
        return tokens[0], counts[0], None
    units = np.concatenate([np.zeros((0, 2), dtype=np.uint64), *tokens])
    of_each = np.concatenate([np.zeros(0, dtype=np.uint32), *counts])
    ends = np.cumsum([0, *(len(each) for each in tokens)])
    persons = merged_order(units, ends, np.concatenate([np.zeros(0, dtype=np.bool_), *missing]))
    begins = np.cumsum(of_each, dtype=np.int64) - of_each
    rows, _ = rows_from(begins[persons], of_each[persons].astype(np.int64))
    return units[persons], of_each[persons], rows


def _missing_units(tokens: pa.Array) -> Bools:
    if tokens.null_count == 0:
        return np.zeros(len(tokens), dtype=np.bool_)
    return np.asarray(tokens.is_null().to_numpy(zero_copy_only=False), dtype=np.bool_)


def _column(kind: ColumnType, parts: Sequence[pa.Table], name: str, order: Int64s | None) -> CodeColumn | pa.Array:
    """Return a column's codes as the catalog admits them, or its texts; the rows of `order`."""
    arrays = [one_array(part.column(name)) for part in parts]
    if isinstance(kind, Text):
        texts = pa.concat_arrays([pa.array([], pa.string()), *(each.cast(pa.string()) for each in arrays)])
        return texts if order is None else texts.take(pa.array(order))
    found = [_admitted(kind, array) for array in arrays]
    codes = found[0] if len(found) == 1 else _joined(found)
    return codes if order is None else codes.take(order)


def _joined(columns: Sequence[CodeColumn]) -> CodeColumn:
    everywhere = all(each.present is None for each in columns)
    if everywhere and len({(each.codes.dtype, each.first) for each in columns}) == 1:
        return CodeColumn(np.concatenate([each.codes for each in columns]), None, columns[0].first)
    values = np.concatenate([np.zeros(0, dtype=np.int64), *(each.values for each in columns)])
    if everywhere:
        return CodeColumn(values, None)
    present = [np.ones(len(each.codes), np.bool_) if each.present is None else each.present for each in columns]
    return CodeColumn(values, np.concatenate(present))


def _admitted(kind: Coded, array: pa.Array) -> CodeColumn:
    """Return a column's values as the catalog admits them, whatever its codes are.

    A category's code that no value of the domain has is NULL; a day or a number beyond the greatest is the greatest;
    none can be below the least. Where nothing may be missing, what is missing is NULL all the same. Codes of which each
    has a value are left as they are: to admit them is to look at the greatest.
    """
    codes, count = read_codes(array), values_of(kind)
    if not len(codes) or int(codes.max()) < count:
        return CodeColumn(codes, None, first_of(kind))
    missing = count if isinstance(kind, Category) else missing_code(codes.itemsize)
    values = np.empty(len(codes), dtype=np.int64)
    _decode(codes, first_of(kind), count, missing, values)
    present = np.asarray(codes < missing)
    return CodeColumn(values, None if present.all() else present)


@njit(cache=True, nogil=True)
def _decode(codes, first, count, missing, values):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Write the value of each code, 0 where there is none."""
    for row in range(codes.shape[0]):
        code = np.int64(codes[row])
        values[row] = first + min(code, count - 1) if code < missing else 0
