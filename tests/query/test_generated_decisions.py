"""Generated questions are admitted or refused by what they say alone: the same bytes in any room (S12)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from random import Random
from typing import Any

import pytest
from generated.releases import generated

import cleanroom
from cleanroom.policies import read_declaration
from cleanroom.query.merge_backend import MergeBackend
from cleanroom.room import question
from cleanroom.storage.partition_store import PartitionStore
from examples.corpus import OBSERVATOIRE, PARTIES, PURPOSE, declaration, make_room, rows

QUESTIONS = 120
WORDS = ("person", "LIMIT", "amount", "tnm.visits", "MAX(amount)", "''", ",", "nulle_part.visits", "ORDER BY")


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[cleanroom.Room]]:
    """A room, the same without a person, and one that nobody has handed anything in to."""
    full = rows(persons=60)
    person = full["tnm"]["person"][0]
    fewer = {party: table.filter(table["person"] != person) for party, table in full.items()}
    assert fewer["tnm"].height < full["tnm"].height
    with ExitStack() as stack:
        made = []
        for name, tables in (("full", full), ("fewer", fewer), ("empty", {})):
            at = tmp_path_factory.mktemp(name)
            made.append(stack.enter_context(make_room(at / "room", tables=tables, home=cleanroom.Home(at / "home"))))
        yield made


def lines() -> list[dict[str, Any]]:
    """Return generated questions; every other one with a word replaced, so that many are refused, for many reasons."""
    read = [read_declaration(declaration(party)).catalog for party in PARTIES]
    made = {each.table: each for each in read}
    found = []
    for seed in range(QUESTIONS):
        rng = Random(seed)
        sql = generated(rng, made).written
        if seed % 2:
            words = sql.split(" ")
            words[rng.randrange(len(words))] = rng.choice(WORDS)
            sql = " ".join(words)
        found.append({"id": seed, "sql": sql})
    return found


def test_generated_questions_are_decided_alike_in_any_room(
    rooms: list[cleanroom.Room], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> Any:
        raise AssertionError("a decision went near data")

    monkeypatch.setattr(PartitionStore, "open", stop)
    monkeypatch.setattr(MergeBackend, "__init__", stop)
    monkeypatch.setattr(question, "exact_vector", stop)
    asked = lines()
    said = [
        json.dumps(room.session(OBSERVATOIRE).check(asked, purpose=PURPOSE), default=repr).encode() for room in rooms
    ]
    decisions = json.loads(said[0])
    assert len(decisions) == QUESTIONS
    admitted = sum(each["admitted"] for each in decisions)
    assert QUESTIONS // 4 < admitted < 3 * QUESTIONS // 4
    assert said[1] == said[0]
    assert said[2] == said[0]
