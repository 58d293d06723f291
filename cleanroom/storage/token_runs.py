"""Find whose rows begin where, and merge sorted lists of tokens: one pass each, no hash table.

A token is 16 bytes, ordered byte by byte. Here it is two 64-bit numbers: as its bytes lie in memory where only equality
matters, turned round (big-endian) where order does. Both halves are always compared (S10).
"""

from __future__ import annotations

import sys
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from cleanroom.errors import InvariantBroken

if TYPE_CHECKING:
    import numpy.typing as npt

    Int64s = npt.NDArray[np.int64]
    Tokens = npt.NDArray[np.uint64]
    Counts = npt.NDArray[np.uint32]

if sys.byteorder != "little":  # pragma: no cover - no such machine is supported
    raise InvariantBroken("tokens are compared on little-endian machines only")


def runs_of(tokens: Tokens, counts: Counts) -> tuple[Int64s, Int64s, int]:
    """Return where the rows of each different token begin, of tokens in order and how many rows each has.

    Args:
        tokens: as they lie in memory; equal ones, of several uploads, are one person; shape (tokens, 2).
        counts: rows of each; shape (tokens,).

    Returns:
        The first place of each different token, shape (persons,); where each person's rows begin, and at last how many
        there are, shape (persons + 1,); the most rows of a person, -1 if tokens are not in order or one has no rows.
    """
    if _all_rise(tokens):
        # Half of each token tells them all apart and in order, so that each is a person: what a file of one upload is.
        return runs_of_counts(counts)
    first, starts = np.empty(len(tokens), dtype=np.int64), np.empty(len(tokens) + 1, dtype=np.int64)
    persons, longest = _run_starts(tokens, counts, first, starts)
    return first[:persons], starts[: persons + 1], longest


def runs_of_counts(counts: Counts) -> tuple[Int64s, Int64s, int]:
    """Return what `runs_of` does of tokens that are in order and all different."""
    starts = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=starts[1:])
    right = bool(counts.all())
    return np.arange(len(counts), dtype=np.int64), starts, int(counts.max(initial=0)) if right else -1


def first_rows(starts: Int64s, most: int) -> tuple[Int64s, Int64s]:
    """Return the rows that are among the first `most` of their person, and where these begin for each person."""
    return rows_from(starts[:-1], np.minimum(np.diff(starts), most))


def rows_from(starts: Int64s, lengths: Int64s) -> tuple[Int64s, Int64s]:
    """Return the rows of runs that begin at `starts`, one run after another, and where each begins among them."""
    places = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(lengths)))
    rows = np.arange(places[-1]) + np.repeat(starts - places[:-1], lengths)
    return rows, places


def starts_of(persons: Int64s, starts: Int64s) -> Int64s:
    """Return where the rows of some persons begin among theirs, and at last how many there are."""
    places = np.zeros(len(persons) + 1, dtype=np.int64)
    np.cumsum(starts[persons + 1] - starts[persons], out=places[1:])
    return places


def merged_order(tokens: Tokens, ends: Int64s, missing: npt.NDArray[np.bool_]) -> Int64s:
    """Return the places of several lists, each in the order of its tokens, in the order of all; equal as they come.

    Disorder within a list remains disorder, for `runs_of` to find.

    Args:
        ends: where each list begins, and the last ends.
        missing: places without a token, which are left out.
    """
    lists = [np.flatnonzero(~missing[low:high]) + low for low, high in pairwise(ends)]
    while len(lists) > 1:
        # In pairs, so that each place is moved log2(lists) times; a list before another stays before it.
        lists = [
            _two_in_order(tokens, *lists[at : at + 2]) if at + 1 < len(lists) else lists[at]
            for at in range(0, len(lists), 2)
        ]
    return lists[0] if lists else np.zeros(0, dtype=np.int64)


@njit(cache=True, nogil=True)
def _turned(half):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return the eight bytes of a number in the other order."""
    half = ((half & np.uint64(0x00FF00FF00FF00FF)) << np.uint64(8)) | (
        (half >> np.uint64(8)) & np.uint64(0x00FF00FF00FF00FF)
    )
    half = ((half & np.uint64(0x0000FFFF0000FFFF)) << np.uint64(16)) | (
        (half >> np.uint64(16)) & np.uint64(0x0000FFFF0000FFFF)
    )
    return (half << np.uint64(32)) | (half >> np.uint64(32))


@njit(cache=True, nogil=True)
def rows_of(persons, starts, columns):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return the rows of some persons, one person after another; shape (columns, rows) like `columns`."""
    size = np.int64(0)
    for person in persons:
        size += starts[person + 1] - starts[person]
    found = np.empty((columns.shape[0], size), dtype=np.int64)
    for column in range(columns.shape[0]):
        at = 0
        for person in persons:
            for row in range(starts[person], starts[person + 1]):
                found[column, np.uint64(at)] = columns[column, np.uint64(row)]
                at += 1
    return found


@njit(cache=True, nogil=True)
def _all_rise(tokens):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return whether the first halves of tokens increase."""
    rise = True
    for place in range(1, tokens.shape[0]):
        rise &= _turned(tokens[place - 1, 0]) < _turned(tokens[place, 0])
    return rise


@njit(cache=True, nogil=True)
def _run_starts(tokens, counts, first, starts):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Write where persons and their rows begin; return how many persons, and the most rows of one.

    The latter is -1 if tokens ever decrease or one has no rows.
    """
    right = True
    persons = rows = np.int64(0)
    high_before = low_before = np.uint64(0)
    # No branch: where a person ends is what no processor can guess.
    for place in range(tokens.shape[0]):
        high, low = _turned(tokens[place, 0]), _turned(tokens[place, 1])
        same = (high == high_before) & (low == low_before) & (place > 0)
        right &= same | (place == 0) | (high > high_before) | ((high == high_before) & (low > low_before))
        right &= counts[place] > 0
        # Written again for a token that is the same: what stands before it is that person's.
        persons += np.int64(not same)
        first[persons - 1] = place if not same else first[persons - 1]
        starts[persons - 1] = rows if not same else starts[persons - 1]
        rows += np.int64(counts[place])
        high_before, low_before = high, low
    starts[persons] = rows
    longest = 0
    for person in range(persons):
        longest = max(longest, starts[person + 1] - starts[person])
    return persons, longest if right else -1


@njit(cache=True, nogil=True)
def turned_at(tokens, rows):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return the tokens of some rows, turned round."""
    turned = np.empty((rows.shape[0], 2), dtype=np.uint64)
    for place in range(rows.shape[0]):
        turned[place, 0] = _turned(tokens[rows[place], 0])
        turned[place, 1] = _turned(tokens[rows[place], 1])
    return turned


@njit(cache=True, nogil=True)
def _two_in_order(tokens, left, right):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Merge two lists of rows by their tokens; of equal tokens those on the left first."""
    order = np.empty(left.shape[0] + right.shape[0], dtype=np.int64)
    i = j = 0
    for place in range(order.shape[0]):
        take_left = j >= right.shape[0]
        if not take_left and i < left.shape[0]:
            one, other = left[i], right[j]
            high, other_high = _turned(tokens[one, 0]), _turned(tokens[other, 0])
            take_left = high < other_high or (
                high == other_high and _turned(tokens[one, 1]) <= _turned(tokens[other, 1])
            )
        if take_left:
            order[place] = left[i]
            i += 1
        else:
            order[place] = right[j]
            j += 1
    return order


@njit(cache=True, nogil=True)
def merged_persons(left, right):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Merge two increasing lists of tokens, turned round, into one without repetitions; shapes (persons, 2)."""
    merged = np.empty((left.shape[0] + right.shape[0], 2), dtype=np.uint64)
    i = j = size = 0
    while i < left.shape[0] or j < right.shape[0]:
        if j >= right.shape[0]:
            take_left = True
        elif i >= left.shape[0]:
            take_left = False
        else:
            take_left = left[i, 0] < right[j, 0] or (left[i, 0] == right[j, 0] and left[i, 1] <= right[j, 1])
        if take_left:
            high, low = left[i, 0], left[i, 1]
            i += 1
        else:
            high, low = right[j, 0], right[j, 1]
            j += 1
        if size == 0 or merged[size - 1, 0] != high or merged[size - 1, 1] != low:
            merged[size, 0] = high
            merged[size, 1] = low
            size += 1
    return merged[:size].copy()


@njit(cache=True, nogil=True)
def places_among(everyone, persons):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return the place of each token of `persons` in `everyone`; both increase, and every token is there."""
    places = np.empty(persons.shape[0], dtype=np.int64)
    place = 0
    for person in range(persons.shape[0]):
        while everyone[place, 0] != persons[person, 0] or everyone[place, 1] != persons[person, 1]:
            place += 1
        places[person] = place
    return places
