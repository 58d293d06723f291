"""The corpus: what must be refused is, what must be answered is exact, the rest is refused cleanly or sound."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pytest
from corpus_rooms import corpus_room
from plain_sql import compare_answer
from rooms import Catalogs, Engine, Room, bind, hostile_room
from soundness import assert_sound

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
REFUSE, ACCEPT, EITHER, MORE = lines("refuse"), lines("accept"), lines("either"), lines("more")


def named(line: dict[str, Any]) -> str:
    """Return what a line's test is called."""
    return str(line["id"])


@cache
def the_room(persons: int) -> Room:
    """Return the room that questions are compared on; one of many people has no gaps between its values."""
    return corpus_room(Random(5), MADE, persons)


def refused(sql: str, parameters: Any) -> Refused | None:
    """Return the refusal, if it is one."""
    try:
        bind(sql, parameters, MADE)
    except Refused as reasons:
        return reasons
    return None


@pytest.mark.parametrize("line", REFUSE, ids=named)
def test_what_must_be_refused_is(line: dict[str, Any]) -> None:
    reasons = refused(line["sql"], line.get("params"))
    assert reasons is not None
    assert all(each.message.fr and each.message.en for each in reasons.refusals)
    # Refusals are a function of the text alone (S12); on three rooms: tests/examples/test_corpus_room.py.
    again = refused(line["sql"], line.get("params"))
    assert again is not None
    assert again.refusals == reasons.refusals


@pytest.mark.parametrize("line", [*ACCEPT, *MORE], ids=named)
def test_what_is_admitted_is_exact(line: dict[str, Any]) -> None:
    """A quantile is compared where values lie closer than candidates; means and variances to 1e-9."""
    dense = any(word in line["sql"] for word in ("QUANTILE", "PERCENTILE")) and "amount" in line["sql"]
    room = the_room(3_000 if dense else 200)
    # Nobody has more rows than this: of one table a few dozen, of a join some thousands.
    rows = 50 if line["sql"].count(".visits") == 1 else 5_000
    wide = {table: replace(each, contribution=Contribution(rows, 65_535)) for table, each in MADE.items()}
    written = line.get("exact_sql", line["sql"])
    found = compare_answer(
        line["sql"], written, room, parameters=line.get("params"), wide=wide, within=line.get("within", 0.0)
    )
    assert found


@pytest.mark.parametrize("line", EITHER, ids=named)
def test_what_may_be_answered_is_refused_or_sound(line: dict[str, Any]) -> None:
    if refused(line["sql"], line.get("params")):
        return
    for a_plan in bind(line["sql"], line.get("params"), MADE).releases:
        engine = Engine(a_plan)
        for seed in range(2):
            assert_sound(engine, hostile_room(Random(seed), MADE))


def test_the_corpus_is_whole() -> None:
    assert (len(REFUSE), len(ACCEPT), len(EITHER)) == (195, 54, 49)
    assert len(MORE) >= 500
    assert len({each["id"] for each in (*REFUSE, *ACCEPT, *EITHER, *MORE)}) == 195 + 54 + 49 + len(MORE)
