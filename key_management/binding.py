"""One injective way to turn several byte strings into one context."""

from __future__ import annotations

from typing import Final

LENGTH_BYTES: Final = 4


def bind(*parts: bytes) -> bytes:
    """Join parts so that no two different sequences of parts give the same bytes.

    Each part is written as its length, four bytes big-endian, then the part itself. Without the lengths
    ``("ab", "c")`` and ``("a", "bc")`` would authenticate each other.

    Args:
        parts: at least one byte string, each shorter than 2**32 bytes.

    Raises:
        TypeError: a part is not bytes (a caller's bug).
        ValueError: no part was given (a caller's bug).

    Returns:
        The joined bytes, ``4 * len(parts)`` bytes longer than the parts together.
    """
    if not parts:
        raise ValueError("a context binds at least one part")
    for part in parts:
        if not isinstance(part, bytes):
            raise TypeError("each part of a context is bytes")
    return b"".join([len(part).to_bytes(LENGTH_BYTES, "big") + part for part in parts])
