"""How a declared value lies in a table file: as a code of its declaration, in one, two or four bytes (S7).

A category's code is its place in the domain, a day's the days since the first, a number's the steps above the least.
The greatest code that the bytes hold stands for a missing value. So whatever bytes a member writes say something: a
code that no value has is no value of the domain, or one beyond the bounds, which the scan clamps. They hold no words,
nothing of them is looked up, and nothing about reading them depends on what they say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never

import numpy as np
import pyarrow as pa

from cleanroom.catalog import Category, Date, Number
from cleanroom.errors import InvariantBroken

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Codes = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.uint32]
    Int64s = NDArray[np.int64]

CODE_BYTES: Final = (1, 2, 4)
Coded = Category | Date | Number


def first_of(kind: Coded) -> int:
    """Return the value whose code is 0: a place in the domain, a day since 1970-01-01, a number of steps."""
    match kind:
        case Category():
            return 0
        case Date(lower=lower) | Number(lower=lower):
            return lower
    assert_never(kind)


def values_of(kind: Coded) -> int:
    """Return how many values a column can have; fewer than 2^32."""
    match kind:
        case Category(domain=domain):
            return len(domain)
        case Date(lower=lower, upper=upper) | Number(lower=lower, upper=upper):
            return upper - lower + 1
    assert_never(kind)


def code_bytes(kind: Coded) -> int:
    """Return the bytes of a code: the fewest that hold all values, and that there is none."""
    return next(size for size in CODE_BYTES if values_of(kind) <= missing_code(size))


def values_from(codes: NDArray[np.integer], first: int) -> Int64s:
    """Return the values of codes, which are numbers of whatever width, counted from `first`."""
    values = codes.astype(np.int64, copy=False)
    return values + first if first else values


def missing_code(size: int) -> int:
    """Return the code of a missing value, of so many bytes."""
    return int((1 << 8 * size) - 1)


def code_array(codes: NDArray[np.unsignedinteger]) -> pa.Array:
    """Return codes as a column of the file, without copying them; little-endian."""
    size = codes.dtype.itemsize
    held = np.ascontiguousarray(codes, dtype=f"<u{size}")
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(size), len(held), [None, pa.py_buffer(held)])


def read_codes(array: pa.Array) -> Codes:
    """Return the codes of a column of one chunk, without copying them.

    Raises:
        InvariantBroken: it is no column of codes.
    """
    if not pa.types.is_fixed_size_binary(array.type):
        raise InvariantBroken("a column is not of codes")
    size = array.type.byte_width
    data = array.buffers()[1]
    if data is None:
        return np.zeros(0, dtype=f"<u{size}")
    return np.frombuffer(data, dtype=f"<u{size}")[array.offset : array.offset + len(array)]
