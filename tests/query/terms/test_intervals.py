"""A term's type holds on every row: bounds, usual bounds, domain, NULL; and a wrong rule does not go unseen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from searches import nightly

from cleanroom.query.normal import as_predicate
from cleanroom.query.terms import arithmetic, resolutions, universes
from cleanroom.query.terms.evaluate import evaluate, is_true
from cleanroom.query.terms.language import columns_of
from cleanroom.query.terms.typed import Typed
from cleanroom.query.terms.types import LARGEST_CODE, BooleanType, CategoryType, DateType, NumberType
from cleanroom.query.terms.universes import universe_of, values_over
from tests.query.terms.predicates_on_values import holds
from tests.query.terms.random_questions import RandomQuestion

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS = 150
UNSHRUNK = (Phase.explicit, Phase.reuse, Phase.generate)
"""A seed is not worth shrinking: each names its question."""


def check_type(question: RandomQuestion, typed: Typed) -> None:
    for usual, hostile in ((False, False), (True, False), (False, True)):
        rows = question.rows(ROWS, usual=usual, hostile=hostile)
        values = evaluate(typed.term, rows, ROWS)
        assert hostile or typed.type.nullable or values.present.all(), typed
        there = values.data[values.present]
        if not there.size:
            continue
        match typed.type:
            case NumberType() as kind:
                lower, upper = (kind.usual_lower, kind.usual_upper) if usual else (kind.lower, kind.upper)
                assert lower <= there.min() <= there.max() <= upper, typed
                assert max(abs(lower), abs(upper)) <= LARGEST_CODE
            case DateType(lower=lower, upper=upper):
                assert lower <= there.min() <= there.max() <= upper, typed
            case CategoryType(domain=domain):
                assert len(set(domain)) == len(domain)
                assert 0 <= there.min() <= there.max() < len(domain), typed


def check(seed: int) -> None:
    question = RandomQuestion(seed)
    for _ in range(10):
        typed = question.any_kind(question.source.randint(1, 4))
        if isinstance(typed, Typed):
            check_type(question, typed)


def check_many(seeds: int) -> None:
    for seed in range(seeds):
        check(seed)


@settings(max_examples=150, phases=UNSHRUNK)
@given(seed=st.integers(0, 1 << 32))
def test_a_type_holds_on_every_row(seed: int) -> None:
    check(seed)


@pytest.mark.soak
@settings(max_examples=nightly(80_000), phases=UNSHRUNK)
@given(seed=st.integers(0, 1 << 32))
def test_a_type_holds_on_many_rows(seed: int) -> None:
    check(seed)


BREAKS: list[tuple[object, str, Callable[..., object]]] = [
    (arithmetic, "_added", lambda a, b: (a[0] + b[0], a[1] + b[1] - 1)),
    (arithmetic, "_subtracted", lambda a, b: (a[0] - b[0], a[1] - b[1])),
    (arithmetic, "_multiplied", lambda a, b: (a[0] * b[0], a[1] * b[1])),
    (arithmetic, "_unsigned", lambda a: (abs(a[0]), abs(a[1]))),
    (arithmetic, "_half_away", int),
    (arithmetic, "_divided", lambda a, b: (resolutions.Fraction(0), resolutions.Fraction(a[1], max(1, abs(b[1]))))),
    (arithmetic, "_sign", lambda value: int(value > 0)),
    (resolutions, "scaled", lambda term, factor: term),
]


@pytest.mark.parametrize(("module", "name", "broken"), BREAKS, ids=[f"{name}" for _, name, _ in BREAKS])
def test_a_wrong_rule_is_seen(
    monkeypatch: pytest.MonkeyPatch, module: object, name: str, broken: Callable[..., object]
) -> None:
    monkeypatch.setattr(module, name, broken)
    with pytest.raises(AssertionError):
        check_many(2_000)


@settings(max_examples=150, phases=UNSHRUNK)
@given(seed=st.integers(0, 1 << 32))
def test_a_predicate_is_true_where_its_condition_is(seed: int) -> None:
    question = RandomQuestion(seed)
    everything = {place: universe_of(column.type) for place, column in enumerate(question.columns)}
    for _ in range(10):
        typed = question.flag(question.source.randint(1, 4))
        if isinstance(typed, Typed) and isinstance(typed.type, BooleanType):
            rows = question.rows(ROWS, usual=False, hostile=False)
            predicate = as_predicate(typed.term, everything)
            expected = is_true(evaluate(typed.term, rows, ROWS))
            assert (is_true(holds(predicate, rows, ROWS)) == expected).all(), (typed, predicate)


@settings(max_examples=150, phases=UNSHRUNK)
@given(seed=st.integers(0, 1 << 32))
def test_every_value_is_foreseen(seed: int) -> None:
    question = RandomQuestion(seed)
    everything = {place: universe_of(column.type) for place, column in enumerate(question.columns)}
    for _ in range(10):
        typed, condition = question.any_kind(2), question.flag(2)
        if not isinstance(typed, Typed) or not isinstance(condition, Typed):
            continue
        found = values_over(typed.term, everything, 20_000, [condition.term])
        if found is None:
            continue
        rows = question.rows(ROWS, usual=False, hostile=False)
        kept = is_true(evaluate(condition.term, rows, ROWS))
        values = evaluate(typed.term, rows, ROWS)
        assert set(values.data[values.present & kept].tolist()) <= set(found.values), (typed, condition)
        assert found.null or values.present[kept].all(), (typed, condition)
        if columns_of(condition.term) <= columns_of(typed.term):
            every = universes.values_over(typed.term, everything, 20_000)
            # Without the filter there can be too many combinations.
            assert every is None or set(found.values) <= set(every.values)
