"""Put rows in the table file's order: by token, and within a person by the declared columns, so that it is canonical.

Rows are kept as they come in runs: some hundred thousand rows in compact columns, sorted by token. A token range of the
file is a slice of every run, put together and sorted when it is written, so that no second copy of the whole is ever
made. A token is held as two 64-bit numbers: that sorts several times faster than bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final, assert_never

import numpy as np
import polars as pl
import pyarrow as pa

from cleanroom.catalog import Category, Date, Number, Text
from cleanroom.client.tokens import token_column
from cleanroom.errors import InvariantBroken
from cleanroom.partition.codes import code_array, code_bytes, first_of, missing_code
from cleanroom.partition.table_layout import arrow_schema, token_array

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from cleanroom.catalog import ColumnType, TableCatalog
    from cleanroom.client.linkage import LinkageKey
    from cleanroom.identifiers import TokenKind
    from cleanroom.partition.manifest import StoredColumn

HIGH: Final = "token, high half"
LOW: Final = "token, low half"
"""No declared name has a blank or a comma, so these stay apart from them."""

RUN_ROWS: Final = 1 << 17

_UNSIGNED: Final = {1: pl.UInt8, 2: pl.UInt16, 4: pl.UInt32}

_WORTH_A_DICTIONARY: Final = 2
"""Texts of which each occurs so often on average are held once in a run."""


def tokens(identifiers: pl.Series, *, kind: TokenKind, linkage_key: LinkageKey) -> pl.DataFrame:
    """Return the tokens of normalised identifiers, as two columns of numbers."""
    return halves(token_column(linkage_key.secret, kind=kind, epoch=linkage_key.epoch, values=identifiers))


def halves(digits: pl.Series) -> pl.DataFrame:
    """Return tokens of 32 hexadecimal digits as two columns of numbers."""
    octets = digits.str.decode("hex")
    return pl.DataFrame([_half(octets, 0).alias(HIGH), _half(octets, 8).alias(LOW)])


@dataclass(frozen=True, slots=True)
class PersonCounts:
    """How many persons an upload has, and which the room will not see whole; for its owner alone (S13).

    Args:
        persons: distinct tokens.
        over_limit: persons with more rows than the declared limit.
        rows_ignored: rows beyond it, which every scan leaves out.
    """

    persons: int = 0
    over_limit: int = 0
    rows_ignored: int = 0


class Runs:
    """The rows of an upload under their tokens.

    Args:
        run_rows: least rows of a run; what arrives in smaller pieces is put together.
    """

    def __init__(self, catalog: TableCatalog, *, run_rows: int = RUN_ROWS) -> None:
        self._catalog = catalog
        self._run_rows = run_rows
        self._runs: list[pl.DataFrame] = []
        self._waiting: list[pl.DataFrame] = []
        self._waiting_rows = 0
        self.rows = 0
        self.persons = PersonCounts()
        """Complete once all groups were taken."""

    def add(self, rows: pl.DataFrame) -> None:
        """Take rows in: two columns of token, then the declared ones in their order."""
        self.rows += rows.height
        self._waiting.append(rows.with_columns(_compact(rows[each.name], each.type) for each in self._catalog.columns))
        self._waiting_rows += rows.height
        if self._waiting_rows >= self._run_rows:
            self._close_run()

    def groups(self, columns: Sequence[StoredColumn], group_bits: int) -> Generator[pa.Table]:
        """Yield the 2^group_bits token ranges in the table file's types, sorted, one at a time."""
        self._close_run()
        self.persons = PersonCounts()
        starts = np.arange(1, 1 << group_bits, dtype=np.uint64) << np.uint64(64 - group_bits if group_bits else 0)
        places = [
            [0, *(int(place) for place in np.searchsorted(run[HIGH].to_numpy(), starts)), run.height]
            for run in self._runs
        ]
        ranges = [list(pairwise(cuts)) for cuts in places]
        for group in range(1 << group_bits):
            slices = [
                run.slice(cut[group][0], cut[group][1] - cut[group][0])
                for run, cut in zip(self._runs, ranges, strict=True)
            ]
            yield _arrow(self._sorted(slices), self._catalog, columns)

    def _close_run(self) -> None:
        if self._waiting_rows:
            run = pl.concat(self._waiting, rechunk=True).sort(HIGH)
            self._waiting, self._waiting_rows = [], 0
            self._runs.append(
                run.with_columns(
                    _dictionary(run[each.name]) for each in self._catalog.columns if isinstance(each.type, Text)
                )
            )

    def _sorted(self, slices: list[pl.DataFrame]) -> pl.DataFrame:
        """Put the slices of a range together, in order: by token, then by the declared columns, NULL first."""
        texts = [each.name for each in self._catalog.columns if isinstance(each.type, Text)]
        whole = [part.with_columns(pl.col(texts).cast(pl.String)) for part in slices if part.height]
        if not whole:
            return pl.DataFrame(
                schema={HIGH: pl.UInt64, LOW: pl.UInt64}
                | {each.name: _held(each.type) for each in self._catalog.columns}
            )
        together = pl.concat(whole, rechunk=True)
        ordered = together.sort(together.columns, nulls_last=False)
        self._count_persons(ordered)
        return ordered

    def _count_persons(self, ordered: pl.DataFrame) -> None:
        """Count a range's persons; none is in two ranges."""
        high, low = ordered[HIGH].to_numpy(), ordered[LOW].to_numpy()
        first = np.flatnonzero((high[1:] != high[:-1]) | (low[1:] != low[:-1])) + 1
        rows = np.diff(first, prepend=0, append=len(high))
        beyond = np.maximum(rows - self._catalog.max_rows_per_person, 0)
        before = self.persons
        self.persons = PersonCounts(
            before.persons + len(rows),
            before.over_limit + int(np.count_nonzero(beyond)),
            before.rows_ignored + int(beyond.sum()),
        )


def _half(octets: pl.Series, start: int) -> pl.Series:
    return octets.bin.slice(start, 8).bin.reinterpret(dtype=pl.UInt64, endianness="big")


def _held(kind: ColumnType) -> pl.DataType:
    """Return the type that a column is held in: a number's is the smallest that has its bounds."""
    match kind:
        case Category():
            return pl.Enum(kind.domain)
        case Text():
            return pl.String()
        case Date():
            return pl.Date()
        case Number():
            for bits, held in ((8, pl.Int8()), (16, pl.Int16()), (32, pl.Int32())):
                if -(1 << bits - 1) <= kind.lower and kind.upper < 1 << bits - 1:
                    return held
            return pl.Int64()
        case _:
            assert_never(kind)


def _compact(values: pl.Series, kind: ColumnType) -> pl.Series:
    match kind:
        case Number():
            return values.cast(_held(kind))
        case Text():
            # Built anew: short texts then hold on to no buffer of the reader's.
            return values + ""
        case _:
            return values


def _dictionary(values: pl.Series) -> pl.Series:
    """Hold each text once, if that is less."""
    distinct = values.drop_nulls().unique()
    if _WORTH_A_DICTIONARY * len(distinct) > len(values):
        return values
    return values.cast(pl.Enum(distinct))


def _arrow(rows: pl.DataFrame, catalog: TableCatalog, columns: Sequence[StoredColumn]) -> pa.Table:
    octets = np.empty((rows.height, 2), dtype=">u8")
    octets[:, 0] = rows[HIGH].to_numpy()
    octets[:, 1] = rows[LOW].to_numpy()
    arrays = [token_array(octets.view(np.uint8).reshape(-1))]
    arrays += [_array(rows[column.name], column.type) for column in catalog.columns]
    return pa.Table.from_arrays(arrays, schema=arrow_schema(columns))


def _array(values: pl.Series, kind: ColumnType) -> pa.Array:
    if isinstance(kind, Text):
        return values.to_arrow().cast(pa.string())
    if isinstance(kind, Category) and not isinstance(values.dtype, pl.Enum):
        raise InvariantBroken("a category is not held as its domain's enumeration")
    size = code_bytes(kind)
    # Strict: a value that the code has no room for stops the upload.
    codes = (values.to_physical().cast(pl.Int64) - first_of(kind)).cast(_UNSIGNED[size])
    return code_array(codes.fill_null(missing_code(size)).to_numpy())
