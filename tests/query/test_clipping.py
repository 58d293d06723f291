"""The arithmetic under the clip: squares sum as integers do, whatever a float said, and a vector is shortened alike."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cleanroom.query.clipping import LARGEST_ENTRY, clip, halves, sum_of_squares

LIMITS = settings(derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
ENTRY = st.integers(-LARGEST_ENTRY, LARGEST_ENTRY) | st.integers(-70_000, 70_000) | st.integers(2**32 - 3, 2**32 + 3)
VECTOR = st.lists(ENTRY, min_size=1, max_size=12)


def square(vector: list[int]) -> int:
    return sum(entry * entry for entry in vector)


def clipped(vector: list[int], entries: int, norm: float, most: int) -> list[int]:
    array = np.array(vector, dtype=np.int64)
    clip(array, entries, norm, *halves(most))
    return [int(entry) for entry in array]


@given(VECTOR)
@example([2**32 - 1] * 3)
@example([LARGEST_ENTRY] * 12)
@settings(LIMITS, max_examples=120)
def test_squares_sum_as_integers_do(vector: list[int]) -> None:
    for entries in (len(vector), len(vector) - 1):
        high, low = sum_of_squares(np.array(vector, dtype=np.int64), entries)
        assert (int(high) << 64) + int(low) == square(vector[:entries])


@given(VECTOR, st.integers(0, 2**52))
@example([3, 4], 5)
@example([3, 4], 4)
@settings(LIMITS, max_examples=120)
def test_a_vector_is_shortened_to_its_norm_and_no_more(vector: list[int], norm: int) -> None:
    shorter = clipped([*vector, 5], len(vector), float(norm), norm**2)
    # What lies behind the person's entries is somebody else's.
    assert shorter.pop() == 5
    assert square(shorter) <= norm**2
    if square(vector) <= norm**2:
        assert shorter == vector
    length = math.sqrt(square(vector))
    for ours, theirs in zip(shorter, vector, strict=True):
        assert ours * theirs >= 0
        assert abs(ours) <= abs(theirs)
        assert abs(ours) >= abs(theirs) * min(1.0, norm / max(length, 1)) * (1 - 2**-39) - 1


def test_a_norm_met_only_after_shortening_is_kept() -> None:
    """25 entries of 5·2^18, four fifths of which are 2^20 to the unit; and squares told apart by their upper halves."""
    assert clipped([5 << 18] * 25, 25, float(20 << 18), (20 << 18) ** 2) == [1 << 20] * 25
    assert clipped([(1 << 33) + 1], 1, math.sqrt(5) * 2**32, 5 << 64) == [(1 << 33) + 1]
    assert clipped([1 << 34], 1, math.sqrt(5) * 2**32, 5 << 64) == [int(math.sqrt(5) * 2**32)]


def test_a_float_that_does_not_shorten_leaves_nothing() -> None:
    """The last resort: a factor of one for ever, and a norm in exact arithmetic that it never meets."""
    assert clipped([2**40, -3, 7], 3, float(2**41), 4) == [0, 0, 0]
    assert clipped([2**40, -3, 7], 2, float(2**41), 4) == [0, 0, 7]
