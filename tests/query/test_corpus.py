"""The corpus: what must be refused is, what this version admits is exact, the rest is refused cleanly or sound."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from rooms import Catalogs, Engine, Room, admit, bind, clean_room, hostile_room, squared_diameter, squared_distance
from test_exact import compare

from cleanroom.catalog import Contribution
from cleanroom.errors import Refused
from cleanroom.policies import read_declaration

CORPUS = Path(__file__).parents[1] / "corpus"
OWNERS = ("tnm", "francos", "opera_ville", "festival_ete", "musee_x")


def lines(name: str) -> list[dict[str, Any]]:
    """Return the questions of one file."""
    return [json.loads(line) for line in (CORPUS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def declared(contribution: Contribution | None = None) -> Catalogs:
    """Return the five tables' catalogs, with their own defaults or wider ones."""
    text = (CORPUS / "tables.yaml").read_text(encoding="utf-8")
    read = [read_declaration(f"table: {owner}.visits\n{text}".encode()).catalog for owner in OWNERS]
    return {each.table: replace(each, contribution=contribution or each.contribution) for each in read}


MADE = declared()
REFUSE, ACCEPT, EITHER = lines("refuse"), lines("accept"), lines("either")


def refused(sql: str, parameters: Any) -> Refused | None:
    """Return the refusal, if it is one."""
    try:
        bind(sql, parameters, MADE)
    except Refused as reasons:
        return reasons
    return None


@pytest.mark.parametrize(
    "line",
    REFUSE,
    ids=[each["id"] for each in REFUSE],
)
def test_what_must_be_refused_is(line: dict[str, Any]) -> None:
    reasons = refused(line["sql"], line.get("params"))
    assert reasons is not None
    assert all(each.message.fr and each.message.en for each in reasons.refusals)
    # Refusals are a function of the text alone (S12): the same bytes again.
    again = refused(line["sql"], line.get("params"))
    assert again is not None
    assert again.refusals == reasons.refusals


@pytest.mark.parametrize("line", [each for each in ACCEPT if each["plain"]], ids=lambda each: each["id"])
def test_what_is_admitted_is_exact(line: dict[str, Any]) -> None:
    made = declared(Contribution(5_000, 65_535))
    a_plan = admit(line["sql"], line.get("params"), made)
    found = compare(line["sql"], a_plan, clean_room(Random(len(line["id"])), made), line["exact_sql"])
    assert found


@pytest.mark.parametrize("line", ACCEPT, ids=lambda each: each["id"])
def test_every_question_of_the_corpus_is_admitted(line: dict[str, Any]) -> None:
    assert bind(line["sql"], line.get("params"), MADE).releases


@pytest.mark.parametrize("line", EITHER, ids=lambda each: each["id"])
def test_what_may_be_answered_is_refused_or_sound(line: dict[str, Any]) -> None:
    if refused(line["sql"], line.get("params")):
        return
    for a_plan in bind(line["sql"], line.get("params"), MADE).releases:
        engine = Engine(a_plan)
        for seed in range(2):
            assert_sound(engine, hostile_room(Random(seed), MADE))


def assert_sound(engine: Engine, room: Room) -> None:
    whole = engine.vector(room)
    for person in room.persons:
        assert squared_distance(whole, engine.vector(room.without(person))) <= engine.plan.bounds.norm**2
        if len(engine.plan.tables) > 1:
            for table in engine.plan.tables:
                moved = squared_distance(whole, engine.vector(room.without(person, {table})))
                assert moved <= squared_diameter(engine.plan)


def test_the_corpus_is_whole() -> None:
    assert (len(REFUSE), len(ACCEPT), len(EITHER)) == (195, 54, 49)
    assert sum(each["plain"] for each in ACCEPT) >= 26
