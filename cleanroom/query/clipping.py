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


def halves(square: int) -> tuple[np.uint64, np.uint64]:
    """Return the two 64-bit halves of a number below 2^128."""
    return np.uint64(square >> 64), np.uint64(square & ((1 << 64) - 1))


@njit(cache=True, nogil=True)
def clip(vector, entries, norm, square_high, square_low):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Shrink vector[:entries] until Σz² ≤ norm² in exact arithmetic (S32); a last resort is zero."""
    high, low = sum_of_squares(vector, entries)
    if high < square_high or (high == square_high and low <= square_low):
        return
    length = np.sqrt(float(high) * 18446744073709551616.0 + float(low))
    original = vector[:entries].copy()
    factor = norm / length
    for _ in range(SHRINKS):
        for at in range(entries):
            vector[at] = np.int64(float(original[at]) * factor)
        high, low = sum_of_squares(vector, entries)
        if high < square_high or (high == square_high and low <= square_low):
            return
        factor *= 1.0 - 2.0**-40
    for at in range(entries):
        vector[at] = 0


@njit(cache=True, nogil=True)
def sum_of_squares(vector, entries):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return Σz² as two 64-bit halves; |z| ≤ 2^50 and fewer than 2^27 entries, so that it fits."""
    mask = np.uint64(0xFFFFFFFF)
    shift = np.uint64(32)
    one = np.uint64(1)
    high = np.uint64(0)
    low = np.uint64(0)
    for at in range(entries):
        size = np.uint64(abs(vector[at]))
        small = size & mask
        large = size >> shift
        cross = (small * large) << one
        square_low = small * small + (cross << shift)
        square_high = large * large + (cross >> shift)
        if square_low < small * small:
            square_high += one
        total = low + square_low
        if total < low:
            high += one
        low = total
        high += square_high
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
