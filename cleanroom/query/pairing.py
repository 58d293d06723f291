"""Pair the rows that two lists of persons share, and cut each person's rows to the first: kernels on sorted runs.

Both look at the rows of one person at a time. Many pairs are no answer withheld: a slice of too many is halved, and one
person has a bounded number (S23).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numba import njit

from cleanroom.query.backend import SliceTooLarge
from cleanroom.storage.token_runs import first_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from cleanroom.storage.scan import CodeColumn

    Int64s = npt.NDArray[np.int64]

MOST_PAIRS: Final = 1 << 23
"""Pairs of one slice; one person has 2^17 at most (`query.fanout`)."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """The rows of persons whom both sides have, each of one side with each of the other.

    Args:
        ranks: the persons' numbers, increasing.
        starts: where each person's pairs begin, and at last how many there are.
        left: the left row of each pair.
        right: the right row of each pair.
    """

    ranks: Int64s
    starts: Int64s
    left: Int64s
    right: Int64s


def pairs(ranks: Int64s, starts: Int64s, other_ranks: Int64s, other_starts: Int64s) -> Pairs:
    """Pair the rows of two sides.

    Args:
        ranks: increasing.
        starts: where each person's rows begin, and at last how many there are; likewise of the other side.

    Raises:
        SliceTooLarge: there are more than `MOST_PAIRS`.
    """
    persons, count = _counted(ranks, starts, other_ranks, other_starts)
    if count > MOST_PAIRS:
        raise SliceTooLarge
    found = Pairs(*(np.empty(size, dtype=np.int64) for size in (persons, persons + 1, count, count)))
    _paired(ranks, starts, other_ranks, other_starts, found.ranks, found.starts, found.left, found.right)
    return found


def first_of_each(starts: Int64s, columns: Sequence[CodeColumn], most: int) -> tuple[Int64s, Int64s] | None:
    """Return each person's first rows in the order of all columns, NULL last, and where they begin; None for all rows.

    Rows that tie are equal, so that what is left depends on the person's own rows alone (S20).
    """
    lengths = np.diff(starts)
    if not len(lengths) or int(lengths.max()) <= most:
        return None
    # The last key of lexsort counts first: the person, then column after column.
    keys: list[npt.NDArray[np.generic]] = []
    for column in reversed(columns):
        keys.append(column.values)
        if column.present is not None:
            keys.append(~column.present)
    order = np.lexsort((*keys, np.repeat(np.arange(len(lengths)), lengths)))
    kept, fewer = first_rows(starts, most)
    return order[kept], fewer


@njit(cache=True, nogil=True)
def _counted(ranks, starts, other_ranks, other_starts):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return how many persons both sides have, and how many pairs."""
    persons = 0
    count = 0
    at = 0
    for person in range(ranks.shape[0]):
        while at < other_ranks.shape[0] and other_ranks[at] < ranks[person]:
            at += 1
        if at < other_ranks.shape[0] and other_ranks[at] == ranks[person]:
            persons += 1
            count += (starts[person + 1] - starts[person]) * (other_starts[at + 1] - other_starts[at])
    return persons, count


@njit(cache=True, nogil=True)
def _paired(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    ranks, starts, other_ranks, other_starts, met, begins, left, right
):
    persons = 0
    count = 0
    at = 0
    for person in range(ranks.shape[0]):
        while at < other_ranks.shape[0] and other_ranks[at] < ranks[person]:
            at += 1
        if at >= other_ranks.shape[0] or other_ranks[at] != ranks[person]:
            continue
        met[persons] = ranks[person]
        begins[persons] = count
        persons += 1
        for row in range(starts[person], starts[person + 1]):
            for other in range(other_starts[at], other_starts[at + 1]):
                left[count] = row
                right[count] = other
                count += 1
    begins[persons] = count
