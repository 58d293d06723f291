"""Relations that are merged from sorted rows mean what the algebra says; elsewhere they are held against the engine."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_reader import MemoryReader
from rooms import bind, choices
from searches import LIMITS, by_seeds, try_each
from test_corpus import ACCEPT, MADE

from cleanroom.query import algebra, merging
from cleanroom.query.filtering import where
from cleanroom.query.merge_backend import MergeBackend
from cleanroom.query.terms.evaluate import Values, is_true
from cleanroom.storage.scan import CodeColumn
from tests.query.terms.predicates_on_values import holds

ROWS, COLUMNS = 40, 3
ENDS = (None, -2, 0, 1, 3, -(2**63), 2**63 - 1, -(2**63) - 1, 2**63, 2**70)
SETS = ((), (0,), (-2, 3), (0, 1, 2), (-(2**63), 0, 2**63 - 1), (2**63 - 1,), tuple(range(-3, 20)))
NARROW = (np.uint8, np.uint16, np.uint32)


def predicate(rng: Random, depth: int) -> algebra.Predicate:
    """Return a predicate of codes; the ends of 64 bits occur in it."""
    shape = rng.choice(("range", "set", "null", "compare", "truth", *(("and", "or", "not") * 2 if depth else ())))
    column = rng.randrange(COLUMNS)
    match shape:
        case "range":
            return algebra.InRange(column, rng.choice(ENDS), rng.choice(ENDS))
        case "set":
            return algebra.InSet(column, rng.choice(SETS))
        case "null":
            return algebra.IsNull(column)
        case "compare":
            return algebra.CompareColumns(rng.choice(list(algebra.Comparison)), column, rng.randrange(COLUMNS))
        case "truth":
            return rng.choice(list(algebra.Truth))
        case "not":
            return algebra.Not(predicate(rng, depth - 1))
        case _:
            items = tuple(predicate(rng, depth - 1) for _ in range(rng.choice((2, 3))))
            return algebra.And(items) if shape == "and" else algebra.Or(items)


def meaning(node: algebra.Predicate, columns: dict[int, Values]) -> Values:
    """Return what a predicate means by the tests' own words, comparisons of columns by the standard's."""
    match node:
        case algebra.CompareColumns(comparison=comparison, left=left, right=right):
            one, other = columns[left], columns[right]
            compared = {
                algebra.Comparison.EQUAL: np.equal,
                algebra.Comparison.LESS: np.less,
                algebra.Comparison.LESS_OR_EQUAL: np.less_equal,
            }[comparison](one.data, other.data)
            return Values(compared, one.present & other.present)
        case algebra.Not(item=item):
            inner = meaning(item, columns)
            return Values(~inner.data, inner.present)
        case algebra.And(items=items) | algebra.Or(items=items):
            decisive = isinstance(node, algebra.Or)
            parts = [meaning(item, columns) for item in items]
            settled = np.any([(part.data == decisive) & part.present for part in parts], axis=0)
            known = np.all([part.present for part in parts], axis=0)
            return Values(np.where(settled, decisive, not decisive), settled | known)
        case _:
            return holds(node, columns, ROWS)


def check_predicates(rng: Random) -> None:
    draw = np.random.default_rng(rng.randrange(2**32))
    present = [np.ones(ROWS, np.bool_) if rng.random() < 0.3 else draw.random(ROWS) < 0.7 for _ in range(COLUMNS)]
    rows = [a_column(rng, draw, None if each.all() else each) for each in present]
    columns = {place: Values(rows[place].values, present[place]) for place in range(COLUMNS)}
    node = predicate(rng, 3)
    expected = meaning(node, columns)
    assert np.array_equal(where(node, rows, ROWS), is_true(expected))
    assert np.array_equal(where(node, rows, ROWS, wanted=False), is_true(Values(~expected.data, expected.present)))
    assert all(found.values.dtype == np.int64 for found in rows)


def a_column(rng: Random, draw: np.random.Generator, present: np.ndarray[Any, np.dtype[np.bool_]] | None) -> CodeColumn:
    """Return values as 64 bits hold them, or codes of few bits counted from somewhere, the ends among them."""
    if rng.random() < 0.3:
        return CodeColumn(draw.choice([-(2**63), -2, 0, 1, 2, 3, 2**63 - 1], ROWS), present)
    narrow = rng.choice(NARROW)
    greatest = int(np.iinfo(narrow).max)
    first = rng.choice((0, 0, 1, -2, -greatest, 3 - greatest))
    codes = draw.choice([0, 1, 2, 3, greatest - 3, greatest - 1, greatest], ROWS).astype(narrow)
    return CodeColumn(codes, present, first)


@pytest.mark.parametrize("narrow", NARROW)
@pytest.mark.parametrize("first", [0, -7, 1000])
def test_narrow_codes_are_compared_as_the_values_that_they_are(
    narrow: type[np.unsignedinteger[Any]], first: int
) -> None:
    greatest = int(np.iinfo(narrow).max)
    values = np.array([0, 1, 2, 9, greatest - 1, greatest], dtype=np.int64) + first
    column = CodeColumn((values - first).astype(narrow), None, first)
    assert column.values.tolist() == values.tolist()
    ends = [None, *(first + each for each in (-1, 0, 1, 2, 9, 10, greatest - 1, greatest, greatest + 1))]
    for lower in ends:
        for upper in ends:
            held = [(lower is None or lower <= v) and (upper is None or v <= upper) for v in values.tolist()]
            assert where(algebra.InRange(0, lower, upper), [column], 6).tolist() == held
    for count in (1, 2, 8, 9, 30):
        codes = tuple(first + each for each in (*range(-2, count), greatest))[-count:]
        assert where(algebra.InSet(0, codes), [column], 6).tolist() == [v in codes for v in values.tolist()]


@given(choices())
@settings(LIMITS, max_examples=400)
def test_a_predicate_is_true_false_or_neither(rng: Random) -> None:
    check_predicates(rng)


@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=5), max_size=9), st.integers(0, 3))
@settings(LIMITS, max_examples=200)
def test_persons_keep_the_rows_of_a_mask_and_those_without_any_are_gone(masks: list[list[bool]], apart: int) -> None:
    ranks = np.arange(len(masks), dtype=np.int64) * (apart + 1) + apart
    starts = np.cumsum([0, *map(len, masks)], dtype=np.int64)
    mask = np.array([each for person in masks for each in person], dtype=np.bool_)
    kept, begins, rows = merging._kept_runs(ranks, starts, mask)
    assert rows.tolist() == np.flatnonzero(mask).tolist()
    held = [(int(rank), sum(person)) for rank, person in zip(ranks, masks, strict=True) if any(person)]
    assert kept.tolist() == [rank for rank, _ in held]
    assert begins.tolist() == [sum(rows for _, rows in held[:at]) for at in range(len(held) + 1)]


def test_most_ordinary_questions_need_no_engine() -> None:
    """What is merged, and held against the engine in the tests of whole questions, is no corner of the algebra."""
    backend = MergeBackend({table: (catalog, list[MemoryReader]()) for table, catalog in MADE.items()}, 1)
    plans = [plan for line in ACCEPT for plan in bind(line["sql"], line.get("params"), MADE).releases]
    merged = sum(backend.merges(plan.relation) for plan in plans)
    assert merged >= len(plans) // 3


@pytest.mark.soak
@by_seeds(2_000_000, at_once=200_000)
def test_predicates_many_times(seeds: range) -> None:
    try_each(seeds, lambda seed: check_predicates(Random(seed)))
