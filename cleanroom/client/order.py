"""Put rows in the table file's order: by token, and within a person by the declared columns, so that it is canonical.

A token is held as two 64-bit numbers while rows are sorted: that is several times faster than as bytes.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
import pyarrow as pa

from cleanroom.client.tokens import token_column
from cleanroom.errors import InvariantBroken
from cleanroom.partition.manifest import StorageType, StoredColumn
from cleanroom.partition.table_file import TOKEN_COLUMN, arrow_schema, token_array

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cleanroom.client.conform import Conformed
    from cleanroom.client.linkage import LinkageKey
    from cleanroom.identifiers import IdentifierKind

_HIGH: Final = "token, high half"
_LOW: Final = "token, low half"
"""No declared name has a blank or a comma, so these stay apart from them."""


def tokenised(conformed: Conformed, *, kind: IdentifierKind, linkage_key: LinkageKey) -> pl.DataFrame:
    """Return the rows under their tokens; the identifiers stay behind."""
    digits = token_column(linkage_key.secret, kind=kind, epoch=linkage_key.epoch, values=conformed.identifiers)
    octets = digits.str.decode("hex")
    return conformed.columns.insert_column(0, _half(octets, 0).alias(_HIGH)).insert_column(
        1, _half(octets, 8).alias(_LOW)
    )


def in_token_order(parts: list[pl.DataFrame]) -> pl.DataFrame:
    """Sort rows by token, then by the declared columns in their order, NULL first; empties `parts` to save memory."""
    together = pl.concat(parts)
    parts.clear()
    return together.sort(together.columns, nulls_last=False)


def arrow_groups(rows: pl.DataFrame, columns: Sequence[StoredColumn], group_bits: int) -> Iterator[pa.Table]:
    """Yield the 2^group_bits token ranges of sorted rows in the table file's types, one at a time."""
    high = rows[_HIGH].to_numpy()
    starts = np.arange(1 << group_bits, dtype=np.uint64) << np.uint64(64 - group_bits) if group_bits else [0]
    places = [*(int(place) for place in np.searchsorted(high, starts)), rows.height]
    for start, end in pairwise(places):
        yield _arrow(rows.slice(start, end - start), columns)


def _half(octets: pl.Series, start: int) -> pl.Series:
    return octets.bin.slice(start, 8).bin.reinterpret(dtype=pl.UInt64, endianness="big")


def _arrow(rows: pl.DataFrame, columns: Sequence[StoredColumn]) -> pa.Table:
    tokens = np.empty((rows.height, 2), dtype=">u8")
    tokens[:, 0] = rows[_HIGH].to_numpy()
    tokens[:, 1] = rows[_LOW].to_numpy()
    arrays = [token_array(tokens.view(np.uint8).reshape(-1))]
    arrays += [_array(rows[column.name], column.storage) for column in columns if column.name != TOKEN_COLUMN]
    return pa.Table.from_arrays(arrays, schema=arrow_schema(columns))


def _array(values: pl.Series, storage: StorageType) -> pa.Array:
    match storage:
        case StorageType.DICTIONARY:
            if not isinstance(values.dtype, pl.Enum):
                raise InvariantBroken("a category is not held as its domain's enumeration")
            codes = values.to_physical().cast(pl.Int32).to_arrow()
            return pa.DictionaryArray.from_arrays(codes, pa.array(values.dtype.categories.to_list(), pa.string()))
        case StorageType.STRING:
            return values.to_arrow().cast(pa.string())
        case StorageType.DATE32 | StorageType.INT64:
            return values.to_arrow()
        case StorageType.UUID:
            raise InvariantBroken("the token is not a declared column")
