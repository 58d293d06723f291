"""Relations that are merged from sorted rows mean what the algebra says; elsewhere they are held against the engine."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_reader import MemoryReader
from rooms import bind, choices
from searches import LIMITS, by_seeds, try_each
from test_corpus import ACCEPT, MADE

from cleanroom.query import algebra, merging
from cleanroom.query.merge_backend import MergeBackend
from cleanroom.query.merging import Runs, where
from cleanroom.query.terms.evaluate import Values, is_true
from cleanroom.storage.scan import CodeColumn
from tests.query.terms.predicates_on_values import holds

ROWS, COLUMNS = 40, 3
ENDS = (None, -2, 0, 1, 3, -(2**63), 2**63 - 1, -(2**63) - 1, 2**63, 2**70)
SETS = ((), (0,), (-2, 3), (0, 1, 2), (-(2**63), 0, 2**63 - 1), (2**63 - 1,))


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
    values = [draw.choice([-(2**63), -2, 0, 1, 2, 3, 2**63 - 1], ROWS) for _ in range(COLUMNS)]
    present = [np.ones(ROWS, np.bool_) if rng.random() < 0.3 else draw.random(ROWS) < 0.7 for _ in range(COLUMNS)]
    rows = Runs(
        np.arange(ROWS),
        np.arange(ROWS + 1),
        tuple(CodeColumn(v, None if p.all() else p) for v, p in zip(values, present, strict=True)),
    )
    columns = {place: Values(values[place], present[place]) for place in range(COLUMNS)}
    node = predicate(rng, 3)
    expected = meaning(node, columns)
    assert np.array_equal(where(node, rows), is_true(expected))
    assert np.array_equal(where(node, rows, wanted=False), is_true(Values(~expected.data, expected.present)))


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
    kept, begins = merging._kept_runs(ranks, starts, mask)
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
