"""The longest texts that the benchmark times are each decided, in counted work; none of them is time itself."""

from __future__ import annotations

from typing import Final

import pytest
from test_text_fuzzer import counted

from bench.data import MEMBERS
from bench.house import ASKER, PURPOSE, declaration
from bench.longest import texts
from cleanroom.errors import Refused
from cleanroom.identifiers import Epoch, PartyId, Purpose, Role
from cleanroom.policies import read_declaration
from cleanroom.query.gate import Question, Rulebook, admit
from cleanroom.query.parse import MAX_CHARACTERS
from cleanroom.query.precision import precision

MOST_CALLS: Final = 500_000
"""Calls of functions for the worst of them: 350 000 today, some forty milliseconds of an idle processor."""

REFUSED: Final = {
    "a union of filters": {"filter_inside_union"},
    "long arithmetic": {"nested_too_deep"},
    "unions that double": {"too_many_relations"},
    "joins that double": {"too_many_relations"},
    "terms that double": {"too_deep"},
    "columns that double": {"ambiguous_name"},
    "types or calls": {"nested_too_deep"},
    "brackets never closed": {"unreadable"},
    "many stars": {"too_many_columns"},
}
TEXTS: Final = texts()


def rulebook() -> Rulebook:
    """Return what the gate reads of the room that is measured."""
    tables = {each.catalog.table: each for each in (read_declaration(declaration(member)) for member in MEMBERS)}
    return Rulebook(tables, dict.fromkeys(tables, Epoch("2024")), (Purpose(PURPOSE),), ())


def codes(sql: str) -> set[str]:
    """Return why a text is refused: nothing if it is admitted."""
    question = Question(sql, None, PartyId(ASKER), Role.OBSERVATOIRE, Purpose(PURPOSE), precision(epsilon=1))
    book = rulebook()
    with counted(MOST_CALLS):
        try:
            admit(question, book)
        except Refused as refused:
            return {each.code for each in refused.refusals}
    return set()


@pytest.mark.parametrize("name", TEXTS)
def test_each_is_decided_in_counted_work(name: str) -> None:
    assert codes(TEXTS[name]) == REFUSED.get(name, set())


def test_they_are_long() -> None:
    assert max(map(len, TEXTS.values())) == MAX_CHARACTERS
    assert set(REFUSED) < set(TEXTS)
