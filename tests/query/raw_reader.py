"""A reader that gives persons and rows as they are, for files that no honest member writes."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
from memory_reader import persons_of

from cleanroom.partition import PersonsRows
from cleanroom.partition.table_layout import CountedRows

LOW, HIGH = b"\x00" * 15 + b"\x01", b"\xff" * 16


class Raw:
    """A reader that gives persons and rows as they are, whatever was asked."""

    def __init__(self, tokens: list[bytes], **columns: pa.Array) -> None:
        self.held = persons_of(tokens, pa.table(columns))
        self.seen: dict[tuple[int, int], int] = {}

    def read(self, prefix_bits: int, prefix: int, columns: tuple[str, ...]) -> PersonsRows:
        return replace(self.held, rows=self.held.rows.select(list(columns)))

    def read_seen(self, prefix_bits: int, prefix: int, columns: tuple[str, ...]) -> CountedRows | None:
        held = self.read(0, 0, columns)
        return CountedRows(held.counts, held.rows, held.row_count) if (prefix_bits, prefix) in self.seen else None

    def saw(self, prefix_bits: int, prefix: int, persons: int) -> None:
        self.seen[prefix_bits, prefix] = persons
