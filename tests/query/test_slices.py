"""Slices are all read, in order, once, the next one while one is used; and no more of them than that."""

from __future__ import annotations

import threading
from contextlib import closing
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from slow_vector import each_person, planned, stream
from streamed import Streamed

from cleanroom.ahead import ahead
from cleanroom.errors import Bilingual, InvariantBroken, NotVerified
from cleanroom.query import contribution
from cleanroom.query.backend import PersonRows, Slice, SliceTooLarge
from cleanroom.query.cells import SurvivingKeys
from cleanroom.query.contribution import contributions, exact_vector, streamed
from cleanroom.query.statistics import CategoryKey, CountPersons, CountRows, Mean, Quantile, UnknownKey

if TYPE_CHECKING:
    from cleanroom.query.algebra import Relation

ONE, HALF = Fraction(1), Fraction(1, 2)


def some_plan() -> tuple[Any, PersonRows]:
    plan = planned(
        (CategoryKey(0, ("a", "b", "c"), nullable=True),),
        (CountRows(), Mean(1, -4, 9, ONE), Quantile(1, -4, 9, ONE, Fraction(1, 4), discrete=False)),
        2,
        2,
    )
    rows = stream(
        [
            [(0, 3), (0, 5), (1, None), (0, 9)],
            [(2, -4)],
            [(None, 7), (1, 50), (3, 1)],
            [(0, 2), (1, 2), (2, 2), (None, 2)],
            [(1, -1)] * 5,
        ],
        2,
    )
    return plan, rows


def test_every_slice_counts_once() -> None:
    plan, rows = some_plan()
    whole = contributions(plan, rows)
    parts = list(each_person(rows))
    found = exact_vector(plan, Streamed(parts))
    assert found.values == whole.values
    assert np.array_equal(found.weights[0], whole.weights[0])
    assert int(whole.weights[0].sum()) > 0
    apart = [contributions(plan, part).weights[0] for part in parts]
    assert np.array_equal(sum(apart), whole.weights[0])


def test_a_person_s_weights_are_laid_where_the_values_are() -> None:
    plan, rows = some_plan()
    (bound,) = plan.bounds.quantiles
    first, second, _, _, fifth = (contributions(plan, part).weights[0] for part in each_person(rows))
    unit = bound.weight
    # Three rows of a cell weigh as two; a bin stands at 2i for the i-th candidate, here every value from -4.
    assert {(0, 2 * 7): unit * 2 // 3, (0, 2 * 9): unit * 2 // 3, (0, 2 * 13): unit * 2 // 3} == laid(first)
    assert laid(second) == {(2, 0): unit}
    assert laid(fifth) == {(1, 2 * 3): 5 * (unit * 2 // 5)}


def laid(weights: np.ndarray) -> dict[tuple[int, int], int]:
    return {(int(cell), int(at)): int(weights[cell, at]) for cell, at in zip(*np.nonzero(weights), strict=True)}


def test_only_a_quantile_or_only_a_vector_is_read_too() -> None:
    _, rows = some_plan()
    key = CategoryKey(0, ("a", "b", "c"), nullable=True)
    only = planned((key,), (Quantile(1, -4, 9, ONE, HALF, discrete=True),), 2, 2)
    found = exact_vector(only, Streamed([rows]))
    assert found.values == ()
    assert int(found.weights[0].sum()) > 0
    counts = planned((key,), (CountRows(),), 2, 2)
    assert any(exact_vector(counts, Streamed([rows])).values)


class Unasked(Streamed):
    """A room that must not be read."""

    def rows(self, relation: Relation, columns: tuple[int, ...], part: Slice) -> PersonRows:
        raise AssertionError("read for nothing")


def test_what_the_threshold_has_counted_is_not_read_again() -> None:
    plan = planned((UnknownKey(0, nullable=False),), (CountPersons(),), 2, 3)
    found = exact_vector(plan, Unasked([stream([[(0,)]], 1)]), SurvivingKeys((("a",),), (40,)))
    assert (found.values, found.weights) == ((), ())


def test_a_slice_that_is_out_of_order_stops_the_question() -> None:
    plan, rows = some_plan()
    turned = PersonRows.of_rows(rows.units[::-1].copy(), rows.columns)
    # A person who comes back would be bounded twice.
    back = PersonRows.of_rows(np.array([0] * 4 + [1] * (rows.rows - 5) + [0], dtype=np.int64), rows.columns)
    late = PersonRows.of_rows(np.array([0] * 4 + [3] * (rows.rows - 5) + [2], dtype=np.int64), rows.columns)
    for each in (turned, back, late):
        with pytest.raises(InvariantBroken, match="ordered"):
            contributions(plan, each)


class Halving(Streamed):
    """One slice that is too large until it holds one person."""

    def rows(self, relation: Relation, columns: tuple[int, ...], part: Slice) -> PersonRows:
        if part.bits < 3:
            raise SliceTooLarge
        return self.parts[part.prefix]

    def slices(self) -> Any:
        yield Slice(1, 0)
        yield Slice(1, 1)


def test_halves_of_slices_are_all_read_in_order() -> None:
    plan, _ = some_plan()
    parts = [stream([[(number % 3, number % 5)]], 2) for number in range(8)]
    read = list(streamed(plan, Halving(parts), (0, 1)))
    assert [id(each) for each in read] == [id(each) for each in parts]


class Watched(Streamed):
    """Slices, and who reads which."""

    def __init__(self, parts: list[PersonRows], *, broken: int = 9) -> None:
        super().__init__(parts)
        self.broken = broken
        self.readers: list[threading.Thread] = []
        self.read = [threading.Event() for _ in parts]

    def slices(self) -> Any:
        return (Slice(12, prefix) for prefix in range(len(self.parts)))

    def rows(self, relation: Relation, columns: tuple[int, ...], part: Slice) -> PersonRows:
        if part.prefix == self.broken:
            raise NotVerified(Bilingual("altérée", "altered"), code="altered")
        self.readers.append(threading.current_thread())
        self.read[part.prefix].set()
        return self.parts[part.prefix]


def four_slices() -> list[PersonRows]:
    return [stream([[(number, number)]], 2) for number in range(4)]


def test_the_next_slice_is_read_while_one_is_used_by_one_thread() -> None:
    plan, _ = some_plan()
    watched = Watched(four_slices())
    for used, rows in enumerate(streamed(plan, watched, (0, 1))):
        assert rows is watched.parts[used]
        if used < 3:
            # Nobody asks for it before this returns; a minute is for ever.
            assert watched.read[used + 1].wait(60)
    assert used == 3
    assert len(set(watched.readers)) == 1
    assert threading.current_thread() not in watched.readers


def test_a_lone_slice_needs_no_thread() -> None:
    plan, _ = some_plan()
    for slices in (1, 2):
        watched = Watched(four_slices()[:slices])
        assert len(list(streamed(plan, watched, (0, 1)))) == slices
        assert (threading.current_thread() in watched.readers) is (slices == 1)


def test_two_slices_live_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """How many, `tests/client/test_stream.py` says of any depth."""
    asked = []

    def seen(items: Any, depth: int = 1) -> Any:
        asked.append(depth)
        return ahead(items, depth)

    monkeypatch.setattr(contribution, "ahead", seen)
    assert len(list(streamed(some_plan()[0], Watched(four_slices()), (0, 1)))) == 4
    assert asked == [0]


def test_a_slice_that_cannot_be_read_ends_the_question_where_it_stands() -> None:
    plan, _ = some_plan()
    slices = streamed(plan, Watched(four_slices(), broken=2), (0, 1))
    assert next(slices).rows == next(slices).rows == 1
    with pytest.raises(NotVerified):
        next(slices)


def test_nobody_reads_on_when_a_question_ends_early() -> None:
    plan, _ = some_plan()
    watched = Watched(four_slices() * 1000)
    with closing(streamed(plan, watched, (0, 1))) as slices:
        next(slices)
    # One in use, one being read.
    assert 1 <= len(watched.readers) <= 2
    assert not watched.readers[0].is_alive()
