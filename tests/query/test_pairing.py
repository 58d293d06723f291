"""Joins and cuts of sorted rows, held against what they mean, written out."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from rooms import choices
from searches import LIMITS

from cleanroom.query import pairing
from cleanroom.query.backend import SliceTooLarge
from cleanroom.query.pairing import first_of_each, pairs
from cleanroom.storage.scan import CodeColumn

Side = list[tuple[int, int]]
"""A person's number and how many rows it has."""


def side(rng: Random) -> Side:
    return [(person, rng.randint(1, 4)) for person in range(12) if rng.random() < 0.5]


def arrays(rows: Side) -> tuple[np.ndarray, np.ndarray]:
    starts = np.concatenate(([0], np.cumsum([count for _, count in rows], dtype=np.int64)))
    return np.array([person for person, _ in rows], dtype=np.int64), starts.astype(np.int64)


def listed(rows: Side) -> list[int]:
    """Return each row's person."""
    return [person for person, count in rows for _ in range(count)]


@given(choices())
@settings(LIMITS, max_examples=150)
def test_rows_of_a_person_meet_rows_of_that_person(rng: Random) -> None:
    one, other = side(rng), side(rng)
    found = pairs(*arrays(one), *arrays(other))
    left, right = listed(one), listed(other)
    expected = [(a, b) for a in range(len(left)) for b in range(len(right)) if left[a] == right[b]]
    assert list(zip(found.left.tolist(), found.right.tolist(), strict=True)) == expected
    spread = np.repeat(found.ranks, np.diff(found.starts)).tolist()
    assert spread == [left[a] for a, _ in expected]
    assert bool(np.all(np.diff(found.starts) > 0))


def test_too_many_pairs_are_a_slice_too_large() -> None:
    one, other = [(1, 3), (2, 2)], [(1, 2), (2, 3)]
    with patch.object(pairing, "MOST_PAIRS", 12):
        assert len(pairs(*arrays(one), *arrays(other)).left) == 12
    with patch.object(pairing, "MOST_PAIRS", 11), pytest.raises(SliceTooLarge):
        pairs(*arrays(one), *arrays(other))


@given(choices())
@settings(LIMITS, max_examples=150)
def test_a_person_keeps_the_first_rows_in_the_order_of_all_columns(rng: Random) -> None:
    rows, most = side(rng), rng.randint(1, 4)
    total = len(listed(rows))
    values = [[rng.choice((None, -(2**63), 0, 1, 2**63 - 1)) for _ in range(total)] for _ in range(2)]
    columns = [
        CodeColumn(
            np.array([value or 0 for value in each], dtype=np.int64),
            None if None not in each else np.array([value is not None for value in each]),
        )
        for each in values
    ]
    _, starts = arrays(rows)
    found = first_of_each(starts, columns, most)
    if all(count <= most for _, count in rows):
        assert found is None
        return
    assert found is not None
    kept, fewer = found

    def content(row: int) -> list[tuple[bool, int]]:
        return [(each[row] is None, each[row] or 0) for each in values]

    expected, place = [], 0
    for _, count in rows:
        expected.append(sorted(content(row) for row in range(place, place + count))[:most])
        place += count
    assert [[content(row) for row in kept[low:high]] for low, high in pairwise(fewer)] == expected
