"""What was admitted later: values that share their codes, windows with distances, hints that are questions."""

# ruff: noqa: S608 - questions are what is tested here
from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import pytest
from corpus_rooms import corpus_room
from plain_sql import compare_answer
from rooms import Engine, bind, hostile_room
from soundness import assert_sound
from test_corpus import MADE, REFUSE, lines

from cleanroom.catalog import Contribution
from cleanroom.errors import Refused
from cleanroom.query.binding import grouping, release_keys
from cleanroom.query.respelled import MOST_COPIED
from cleanroom.query.statistics import bounds_of_values

WIDE = {table: replace(each, contribution=Contribution(50, 65_535)) for table, each in MADE.items()}
ROOM = corpus_room(Random(7), MADE, 60)


def hints(sql: str, parameters: Any = None) -> list[str]:
    """Return the hints of a refused question that are questions themselves, in both languages."""
    try:
        bind(sql, parameters, MADE)
    except Refused as refused:
        said = [hint for each in refused.refusals if each.hint for hint in (each.hint.fr, each.hint.en)]
        return [hint for hint in said if re.match(r"(SELECT|WITH) .*\bFROM [a-z(]", hint) and "…" not in hint]
    return []


FAULTS = [
    "SELECT MIN(amount) AS m FROM tnm.visits",
    "SELECT region, MAX(purchased) AS m, COUNT(*) AS n FROM tnm.visits GROUP BY region ORDER BY n DESC",
    "SELECT MAX(tickets) FILTER (WHERE discipline = 'opera') AS m FROM tnm.visits WHERE region = 'bretagne'",
    "SELECT MEDIAN(purchased) AS m FROM tnm.visits",
    "SELECT BOOL_OR(tickets > 11) AS m FROM tnm.visits",
    "SELECT COUNT(DISTINCT region) AS n FROM tnm.visits WHERE tickets > 2",
    "SELECT discipline, COUNT(DISTINCT region) AS n FROM tnm.visits GROUP BY discipline",
    "SELECT COUNT(DISTINCT channel) AS n FROM tnm.visits AS a JOIN francos.visits AS b USING (person)",
]


@pytest.mark.parametrize("sql", FAULTS)
def test_a_hint_that_is_a_question_is_admitted(sql: str) -> None:
    found = hints(sql)
    if "channel" not in sql:
        assert found
    for hint in found:
        assert bind(hint, None, MADE).releases


def test_hints_keep_the_parameters_of_the_question() -> None:
    (hint, _) = hints("SELECT MAX(amount) AS m FROM tnm.visits WHERE tickets > ? AND region = ?", [2, "bretagne"])
    assert bind(hint, [2, "bretagne"], MADE).releases


def test_hints_of_the_corpus_that_are_questions_are_admitted() -> None:
    for line in REFUSE:
        for hint in hints(line["sql"], line.get("params")):
            assert bind(hint, line.get("params"), MADE).releases, (line["sql"], hint)


SAME_CODES = (
    "SELECT tickets, tickets * 10 AS dix, COUNT(*) AS n FROM tnm.visits GROUP BY tickets",
    "SELECT upper(discipline) AS d, COUNT(*) AS n FROM tnm.visits GROUP BY discipline",
    "SELECT COUNT(*) AS n FROM (SELECT person, tickets * 2 AS d FROM tnm.visits GROUP BY 1, tickets) t WHERE d = 4",
)


@pytest.mark.parametrize("sql", SAME_CODES)
def test_keys_that_share_their_codes_are_told_apart_by_what_these_mean(sql: str) -> None:
    assert compare_answer(sql, sql, ROOM, wide=WIDE)

    def by_codes_alone(one: Any, other: Any) -> bool:
        return bool(one.term == other.term)

    with patch.object(grouping, "same_value", by_codes_alone), pytest.raises(AssertionError):
        compare_answer(sql, sql, ROOM, wide=WIDE)
    assert release_keys.same_key is grouping.same_key


UNIT_ONLY = (
    "SELECT COUNT(DISTINCT CASE WHEN tickets > 3 THEN person ELSE channel END) AS n FROM tnm.visits",
    "SELECT COUNT(DISTINCT CASE person WHEN 'x' THEN person END) AS n FROM tnm.visits",
    "SELECT COUNT(DISTINCT CASE WHEN person = 'x' THEN person END) AS n FROM tnm.visits",
    "SELECT COUNT(DISTINCT COALESCE(person, 'x')) AS n FROM tnm.visits",
    "SELECT COUNT(DISTINCT IF(tickets > 3, person, upper(person))) AS n FROM tnm.visits",
    "SELECT MIN(CASE WHEN tickets > 3 THEN person END) AS n FROM tnm.visits",
    "SELECT COUNT(DISTINCT p) AS n FROM (SELECT COALESCE(b.person, 'x') AS p FROM tnm.visits b) AS t",
    "SELECT COUNT(*) AS n FROM tnm.visits a FULL JOIN francos.visits b ON COALESCE(a.person, b.person) = b.person",
)


@pytest.mark.parametrize("sql", UNIT_ONLY)
def test_the_unit_is_counted_where_a_condition_holds_and_is_nothing_else(sql: str) -> None:
    with pytest.raises(Refused):
        bind(sql, None, MADE)


@pytest.mark.parametrize("line", lines("more")[209::9], ids=lambda line: str(line["id"]))
def test_questions_admitted_later_are_sound(line: dict[str, Any]) -> None:
    for a_plan in bind(line["sql"], line.get("params"), MADE).releases:
        assert_sound(Engine(a_plan), hostile_room(Random(len(line["sql"])), MADE))


def test_what_rewritings_copy_is_bounded() -> None:
    power = "tickets"
    for _ in range(12):
        power = f"POWER({power}, 4)"
    with pytest.raises(Refused) as refused:
        bind(f"SELECT SUM({power}) AS s FROM tnm.visits", None, MADE)
    assert {each.code for each in refused.value.refusals} <= {"not_admitted", "too_deep", "bounds_too_wide"}
    assert MOST_COPIED < 10_000


def test_bounds_of_expressions_are_derived_and_shown() -> None:
    (release,) = bind("SELECT SUM(amount * tickets) AS s, COUNT(*) AS n FROM tnm.visits", None, MADE).releases
    assert {bounds_of_values(each) for each in release.statistics} == {(0.0, 6_000.0), None}


def test_the_corpus_names_each_question_once() -> None:
    written = (Path(__file__).parents[1] / "corpus" / "more.jsonl").read_text(encoding="utf-8").splitlines()
    asked = [json.loads(line)["sql"] for line in written]
    assert len(set(asked)) == len(asked)
