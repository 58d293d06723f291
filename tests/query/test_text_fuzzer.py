"""Whatever comes in, admission yields a plan or a refusal, the same twice, in bounded work; what it admits is sound.

Fixed seeds in `make test`; `make soak` goes on with others, each time.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hostile_texts import hostile_text
from rooms import Engine, hostile_room
from searches import by_seeds
from soundness import assert_sound
from test_corpus import CORPUS, MADE, OWNERS

from cleanroom.errors import Refused
from cleanroom.identifiers import Epoch, PartyId, Purpose, Role
from cleanroom.policies import read_declaration
from cleanroom.query.finishing import require_runnable
from cleanroom.query.gate import Question, Rulebook, ValidatedPlan, admit, is_genuine
from cleanroom.query.precision import precision

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_CALLS = 3_000_000
"""Calls of Python functions that admission may take: a second, whatever the text; ordinary questions take thousands."""

STATISTICS = Purpose("statistics")


def corpus_rulebook() -> Rulebook:
    """Return what the gate reads of a room with the corpus' five tables."""
    text = (CORPUS / "tables.yaml").read_text(encoding="utf-8")
    read = [read_declaration(f"table: {owner}.visits\n{text}".encode()) for owner in OWNERS]
    tables = {each.catalog.table: each for each in read}
    return Rulebook(tables, dict.fromkeys(tables, Epoch("2024")), (STATISTICS,), ())


RULEBOOK = corpus_rulebook()


class TooMuchWork(Exception):
    """Admission calls functions without end."""


@contextmanager
def counted(most: int) -> Iterator[None]:
    """Stop what calls more than so many functions."""
    left = most

    def count(_: object, event: str, __: object) -> None:
        nonlocal left
        if event == "call":
            left -= 1
            if left < 0:
                raise TooMuchWork

    sys.setprofile(count)
    try:
        yield
    finally:
        sys.setprofile(None)


def decided(sql: str, parameters: Any, rulebook: Rulebook = RULEBOOK) -> ValidatedPlan | Refused:
    """Return what admission makes of a text: a plan, or why not; nothing else, and not for long."""
    question = Question(sql, parameters, PartyId("observatoire"), Role.OBSERVATOIRE, STATISTICS, precision(epsilon=1))
    with counted(MOST_CALLS):
        try:
            return admit(question, rulebook)
        except Refused as refused:
            return refused


def check(rng: Random, *, rooms: int) -> bool:
    """Ask one text, twice; hold what is admitted against small rooms. Return whether it was."""
    sql, parameters = hostile_text(rng)
    found, again = decided(sql, parameters), decided(sql, parameters)
    if isinstance(found, Refused):
        assert isinstance(again, Refused)
        assert found.refusals == again.refusals
        assert found.refusals
        for each in found.refusals:
            assert each.message.fr
            assert each.message.en
            assert each.message.en.isprintable()
        return False
    assert isinstance(again, ValidatedPlan)
    assert is_genuine(found)
    assert found.plan.digest() == again.plan.digest()
    assert (found.charges, found.noises) == (again.charges, again.noises)
    # Prints both halves, has them read again by both parsers, and runs them.
    require_runnable(found.plan, {}, MADE)
    for release in found.plan.releases:
        engine = Engine(release)
        for number in range(rooms):
            room = hostile_room(Random(number), MADE)
            assert_sound(engine, room, room.persons[:2])
    return True


def batch(first: int, count: int, *, rooms: int) -> int:
    """Ask so many texts; say which one it was if something is wrong. Return how many were admitted."""
    admitted = 0
    for seed in range(first, first + count):
        try:
            admitted += check(Random(seed), rooms=rooms)
        except Exception as error:
            sql, parameters = hostile_text(Random(seed))
            raise AssertionError(f"text {seed}: {sql!r} with {parameters!r}: {error!r}") from error
    return admitted


@pytest.mark.parametrize("number", range(2))
def test_whatever_comes_in_is_decided(number: int) -> None:
    # Some texts are questions: the fuzzer reaches past the parser.
    assert batch(10_000 * number, 160, rooms=1) >= 8


@pytest.mark.soak
@by_seeds(150_000, at_once=3_000)
def test_whatever_comes_in_is_decided_many_times(seeds: range) -> None:
    batch(seeds.start, len(seeds), rooms=2)
