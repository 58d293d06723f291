"""What the codes of a table file say, read as docs/spec/partition.md has it and by nothing of the product's."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


def coded_numbers(column: pa.ChunkedArray, first: int = 0) -> list[int | None]:
    """Return a column's values: codes counted from `first`, None where all bits are set."""
    return [
        None if octets == b"\xff" * len(octets) else first + int.from_bytes(octets, "little")
        for octets in column.to_pylist()
    ]
