"""One upload in memory, readable as a partition is."""

from __future__ import annotations

import hashlib
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from cleanroom.catalog import Category, TableCatalog, Text
from cleanroom.partition import PersonsRows
from cleanroom.partition.codes import code_array, code_bytes, first_of, missing_code, values_of
from cleanroom.partition.table_layout import CountedRows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cleanroom.catalog import ColumnType

Row = tuple[int | None, tuple[Any, ...]]
"""A person, or None for a missing unit, and the values of the catalog's columns: texts, or codes as numbers."""


def token(person: int) -> bytes:
    """Return the token of a person: uniform, so that slices share persons out."""
    return hashlib.sha256(b"person %d" % person).digest()[:16]


class MemoryReader:
    """One upload in memory, readable by token range as a partition is."""

    def __init__(self, catalog: TableCatalog, rows: Sequence[Row]) -> None:
        ordered = sorted(rows, key=lambda row: b"" if row[0] is None else token(row[0]))
        self._tokens = [None if person is None else token(person) for person, _ in ordered]
        columns = {}
        for place, column in enumerate(catalog.columns):
            columns[column.name] = arrow_column(column.type, [values[place] for _, values in ordered])
        self._table = pa.table(columns)

    def read(self, prefix_bits: int, prefix: int, columns: Sequence[str]) -> PersonsRows:
        """Return the persons of a range of tokens; rows without a unit lie in the first."""
        mine = [
            not prefix_bits or int.from_bytes(each or b"", "big") >> (128 - prefix_bits) == prefix
            for each in self._tokens
        ]
        held = [each for each, wanted in zip(self._tokens, mine, strict=True) if wanted]
        return persons_of(held, self._table.select(list(columns)).filter(pa.array(mine, pa.bool_())))

    def read_seen(self, prefix_bits: int, prefix: int, columns: Sequence[str]) -> CountedRows | None:
        """Return nothing: what is in memory is looked at each time."""

    def saw(self, prefix_bits: int, prefix: int, persons: int) -> None:
        """Forget it."""


def persons_of(units: Sequence[bytes | None], rows: pa.Table) -> PersonsRows:
    """Return rows with these tokens as a file has them; rows without one belong to a person without one."""
    first = [row for row, unit in enumerate(units) if row == 0 or unit != units[row - 1]]
    storage = pa.array([units[row] for row in first], pa.binary(16))
    counts = [end - start for start, end in pairwise([*first, len(units)])]
    return PersonsRows(
        pa.ExtensionArray.from_storage(pa.uuid(), storage),
        pa.array(counts, pa.uint32()),
        rows,
        len(units),
    )


def arrow_column(kind: ColumnType, values: list[Any]) -> pa.Array:
    """Return values as a member's file holds them; what no code says is brought to the nearest that does."""
    if isinstance(kind, Text):
        return pa.array(values, pa.string())
    size = code_bytes(kind)
    missing = missing_code(size)
    # A word outside the domain: a code that no value has, or none at all where every code has one.
    beyond = min(values_of(kind), missing)
    codes = []
    for value in values:
        if value is None:
            codes.append(missing)
        elif isinstance(kind, Category):
            codes.append(kind.domain.index(value) if value in kind.domain else beyond)
        else:
            codes.append(min(max(value - first_of(kind), 0), missing - 1))
    return code_array(np.array(codes, dtype=f"u{size}"))
