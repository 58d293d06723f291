"""Shorten one person's integer vector to a norm, and prove it in exact arithmetic (S32): L2, or L1 if pure (S11)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numba import njit

if TYPE_CHECKING:
    pass

LARGEST_ENTRY: Final = 1 << 50
"""An entry of a person's vector stays below 2^50 steps: squares sum exactly in 128 bits, and doubles hold it."""

SHRINKS: Final = 64

TOGETHER: Final = 1 << 12
"""Entries whose squares' parts, each at most 2^50, are summed in 63 bits."""


def halves(square: int) -> tuple[np.uint64, np.uint64]:
    """Return the two 64-bit halves of a number below 2^128."""
    return np.uint64(square >> 64), np.uint64(square & ((1 << 64) - 1))


@njit(nogil=True, inline="always")
def clip(vector, entries, norm, square_high, square_low):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Shrink vector[:entries] until Σz² ≤ norm² in exact arithmetic (S32); a last resort is zero.

    Args:
        norm: whole, at most 2^62; the halves are those of its square.
    """
    if sum_of_sizes(vector, entries, norm) <= norm:
        # No vector is longer than its sizes' sum: of most persons no squares are needed.
        return
    high, low = sum_of_squares(vector, entries)
    if high > square_high or (high == square_high and low > square_low):
        length = np.sqrt(float(high) * 18446744073709551616.0 + float(low))
        _shrink(vector, entries, float(norm) / length, square_high, square_low)


@njit(cache=True, nogil=True)
def _shrink(vector, entries, factor, square_high, square_low):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Shrink vector[:entries] by a factor, and as much more as exact arithmetic asks for."""
    original = vector[:entries].copy()
    for _ in range(SHRINKS):
        for at in range(entries):
            vector[at] = np.int64(float(original[at]) * factor)
        high, low = sum_of_squares(vector, entries)
        if high < square_high or (high == square_high and low <= square_low):
            return
        factor *= 1.0 - 2.0**-40
    for at in range(entries):
        vector[at] = 0


@njit(nogil=True, inline="always")
def sum_of_squares(vector, entries):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return Σz² as two 64-bit halves; |z| ≤ 2^50 and fewer than 2^27 entries, so that it fits.

    With z = a·2^25 + b it is Σa²·2^50 + Σab·2^26 + Σb²; a sum over as many entries as are taken together is below 2^63.
    """
    high = np.uint64(0)
    low = np.uint64(0)
    for start in range(0, entries, TOGETHER):
        large, cross, small = np.int64(0), np.int64(0), np.int64(0)
        for at in range(start, min(entries, start + TOGETHER)):
            size = abs(vector[at])
            upper = size >> 25
            lower = size & 0x1FFFFFF
            large += upper * upper
            cross += upper * lower
            small += lower * lower
        before = low
        low += np.uint64(small)
        high += np.uint64(low < before)
        before = low
        low += np.uint64(cross) << np.uint64(26)
        high += (np.uint64(cross) >> np.uint64(38)) + np.uint64(low < before)
        before = low
        low += np.uint64(large) << np.uint64(50)
        high += (np.uint64(large) >> np.uint64(14)) + np.uint64(low < before)
    return high, low


@njit(cache=True, nogil=True)
def clip_sum(vector, entries, norm):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Shrink vector[:entries] until Σ|z| ≤ norm in exact arithmetic (S11, S32); a last resort is zero."""
    if sum_of_sizes(vector, entries, norm) <= norm:
        return
    length = 0.0
    for at in range(entries):
        length += float(abs(vector[at]))
    original = vector[:entries].copy()
    factor = float(norm) / length
    for _ in range(SHRINKS):
        for at in range(entries):
            vector[at] = np.int64(float(original[at]) * factor)
        if sum_of_sizes(vector, entries, norm) <= norm:
            return
        factor *= 1.0 - 2.0**-40
    for at in range(entries):
        vector[at] = 0


@njit(cache=True, nogil=True)
def sum_of_sizes(vector, entries, norm):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return Σ|z|, or as soon as that exceeds `norm` what it is so far; norm ≤ 2^62 and |z| ≤ 2^50, so that it fits."""
    total = np.int64(0)
    for at in range(entries):
        total += abs(vector[at])
        if total > norm:
            return total
    return total
