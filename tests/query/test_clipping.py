"""The arithmetic under the clip: squares sum as integers do, whatever a float said, and a vector is shortened alike."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from searches import LIMITS

from cleanroom.accounting.accountant import MAX_NORM
from cleanroom.query.clipping import LARGEST_ENTRY, clip, clip_sum, halves, sum_of_sizes, sum_of_squares

ENTRY = st.integers(-LARGEST_ENTRY, LARGEST_ENTRY) | st.integers(-70_000, 70_000) | st.integers(2**32 - 3, 2**32 + 3)
VECTOR = st.lists(ENTRY, min_size=1, max_size=12)


def square(vector: list[int]) -> int:
    return sum(entry * entry for entry in vector)


def clipped(vector: list[int], entries: int, norm: int, most: int) -> list[int]:
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
    shorter = clipped([*vector, 5], len(vector), norm, norm**2)
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
    assert clipped([5 << 18] * 25, 25, 20 << 18, (20 << 18) ** 2) == [1 << 20] * 25
    norm = math.isqrt(5 << 64)
    longer = [(1 << 33) + 1, 1 << 30]
    assert sum(longer) > norm  # so that squares are asked
    assert clipped(longer, 2, norm, 5 << 64) == longer
    assert clipped([1 << 34], 1, norm, 5 << 64) == [norm]


def test_a_float_that_does_not_shorten_leaves_nothing() -> None:
    """The last resort: a factor of one for ever, and a norm in exact arithmetic that it never meets."""
    assert clipped([2**40, -3, 7], 3, 2**40, 4) == [0, 0, 0]
    assert clipped([2**40, -3, 7], 2, 2**40, 4) == [0, 0, 7]


def test_a_vector_that_a_float_left_too_long_is_shortened_on() -> None:
    """Norms given a little too great: what is checked is the exact square, both halves of it."""
    # (2^33 + 1)² has the upper half of 2^66 and a greater lower one; one step of 2^-40 then brings it to 2^33.
    assert clipped([1 << 40], 1, 2**33 + 1, 1 << 66) == [1 << 33]
    # (2^33)² has a greater upper half than 3·2^64 and the same lower one; no step of the few there are is enough.
    assert clipped([1 << 40], 1, 2**33, 3 << 64) == [0]


def test_no_square_is_needed_of_sizes_that_add_up_to_the_norm(monkeypatch: pytest.MonkeyPatch) -> None:
    """(‖z‖₂ ≤ ‖z‖₁.) One more is asked for its squares."""
    asked = []

    def squares(vector: npt.NDArray[np.int64], entries: int) -> tuple[np.uint64, np.uint64]:
        asked.append(vector.tolist())
        return exact(vector, entries)  # type: ignore[no-any-return]

    plain = getattr(clip, "py_func", clip)
    exact = getattr(sum_of_squares, "py_func", sum_of_squares)
    monkeypatch.setitem(plain.__globals__, "sum_of_squares", squares)
    for vector, squared in (([3, -4], False), ([3, -5], True), ([7, 0], False), ([0, 0], False), ([-8], True)):
        asked.clear()
        array = np.array(vector, dtype=np.int64)
        plain(array, len(vector), 7, *halves(49))
        assert bool(asked) is squared
        assert square(array.tolist()) <= 49
        assert (array.tolist() == vector) is (square(vector) <= 49)


def summed(vector: list[int], entries: int, norm: int) -> list[int]:
    array = np.array(vector, dtype=np.int64)
    clip_sum(array, entries, norm)
    return [int(entry) for entry in array]


@given(VECTOR, st.integers(0, 2**52))
@example([3, -4], 7)
@example([3, -4], 6)
@settings(LIMITS, max_examples=60)
def test_a_vector_is_shortened_to_its_l1_norm_and_no_more(vector: list[int], norm: int) -> None:
    *shorter, behind = summed([*vector, 5], len(vector), norm)
    assert behind == 5
    length = sum(map(abs, vector))
    assert sum(map(abs, shorter)) <= norm
    if length <= norm:
        assert shorter == vector
    for ours, theirs in zip(shorter, vector, strict=True):
        assert ours * theirs >= 0
        assert abs(ours) <= abs(theirs)
        assert abs(ours) >= abs(theirs) * min(1.0, norm / max(length, 1)) * (1 - 2**-39) - 1


def test_an_l1_norm_met_only_after_shortening_is_kept() -> None:
    """Halves to the unit; and 2^53 + 15, which as a float is 2^53 + 16: one step too many at first, in 16 entries."""
    assert summed([1 << 40, -(1 << 40)], 2, 1 << 40) == [1 << 39, -(1 << 39)]
    assert summed([1 << 40, -(1 << 40), 9], 2, 1) == [0, 0, 9]
    # A norm that nothing meets leaves nothing.
    assert summed([300], 1, -100) == [0]
    (entry,) = set(summed([LARGEST_ENTRY] * 16, 16, 2**53 + 15))
    assert 0 <= 2**49 - entry <= 2**10


def test_sizes_are_added_up_no_further_than_the_norm() -> None:
    """Beyond it the rest does not matter, and would not always fit."""
    assert sum_of_sizes(np.array([3, -4, 5], dtype=np.int64), 3, 6) == 7
    assert sum_of_sizes(np.array([3, -4, 5], dtype=np.int64), 3, 7) == 12
    assert sum_of_sizes(np.array([3, -4, 5], dtype=np.int64), 2, 12) == 7
    most = np.full(1 << 14, LARGEST_ENTRY)
    assert sum_of_sizes(most, 1 << 14, MAX_NORM) == MAX_NORM + LARGEST_ENTRY
