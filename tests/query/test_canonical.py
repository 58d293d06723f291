"""One plan for one question, however it is spelled; and never one plan for two that differ (S15, S40)."""

# ruff: noqa: E501, S608 - questions are what is tested here, one a line
from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from questions import question
from rooms import FRANCOS, MUSEE, TNM, Catalogs, Engine, Room, bind, catalog_of, catalogs, choices, hostile_room, seeds
from searches import LIMITS
from test_corpus import ACCEPT, EITHER, MADE, MORE, named, refused

from cleanroom.catalog import Contribution
from cleanroom.errors import Refused
from cleanroom.query.algebra import column_count
from cleanroom.query.binding import question as binding
from cleanroom.query.canonical import canonical
from cleanroom.query.canonical_columns import Placed, same_rows
from cleanroom.query.plan import Plan, QuestionPlan
from cleanroom.query.release import NoisedRelease

THREE: Catalogs = {
    table: catalog_of(table, nullable=("channel", "seats", "region"), contribution=Contribution(3, 2))
    for table in (TNM, FRANCOS, MUSEE)
}

A, B, C = "tnm.visits", "francos.visits", "musee.visits"
AB = f"{A} AS a JOIN {B} AS b"
SAME: dict[str, tuple[str, ...]] = {
    "white space and case": (
        f"SELECT region, COUNT(*) FROM {A} GROUP BY region",
        "select  REGION ,\n\tcount(*) from TNM.Visits group by 1 -- encore",
    ),
    "alias": (f"SELECT region, COUNT(*) FROM {A} GROUP BY region", f"SELECT v.region AS r, COUNT(*) AS n FROM {A} AS v GROUP BY v.region"),
    "CTE, subquery, neither": (
        f"SELECT region, COUNT(*) FROM {A} WHERE seats > 2 AND bought > '2024-01-01' GROUP BY region",
        f"WITH t AS (SELECT * FROM {A} WHERE seats > 2) SELECT region, COUNT(*) FROM t WHERE bought > '2024-01-01' GROUP BY region",
        f"SELECT region, COUNT(*) FROM (SELECT person, bought, region FROM {A} WHERE 2 < seats) AS t WHERE bought > '2024-01-01' GROUP BY region",
        f"WITH t AS (SELECT * FROM {A}), s AS (SELECT * FROM t WHERE bought > '2024-01-01') SELECT region, COUNT(*) FROM s WHERE seats > 2 GROUP BY region",
    ),
    "ranges in two filters": (
        f"SELECT COUNT(*) FROM {A} WHERE seats BETWEEN 3 AND 7",
        f"SELECT COUNT(*) FROM (SELECT * FROM {A} WHERE seats > 2) AS t WHERE seats < 8",
        f"SELECT COUNT(*) FROM {A} WHERE seats >= 3 AND 7 >= seats",
        f"SELECT COUNT(*) FROM {A} WHERE NOT (seats < 3 OR seats > 7)",
    ),
    "AND": (
        f"SELECT COUNT(*) FROM {A} WHERE seats > 2 AND region = 'nord' AND bought = played",
        f"SELECT COUNT(*) FROM {A} WHERE (played = bought) AND ((region = 'nord')) AND 2 < seats",
    ),
    "OR": (
        f"SELECT COUNT(*) FROM {A} WHERE (bought < played AND seats > 2) OR region = 'sud'",
        f"SELECT COUNT(*) FROM {A} WHERE region = 'sud' OR (2 < seats AND played > bought)",
        f"SELECT COUNT(*) FROM {A} WHERE NOT (NOT (region = 'sud') AND NOT (seats > 2 AND played > bought))",
    ),
    "IN": (
        f"SELECT COUNT(*) FROM {A} WHERE region IN ('nord', 'sud')",
        f"SELECT COUNT(*) FROM {A} WHERE region IN ('sud', 'nord', 'sud')",
        f"SELECT COUNT(*) FROM {A} WHERE 'sud' = region OR region = 'nord'",
    ),
    "NOT and comparison": (
        f"SELECT COUNT(*) FROM {A} WHERE NOT (bought < played)",
        f"SELECT COUNT(*) FROM {A} WHERE bought >= played",
        f"SELECT COUNT(*) FROM {A} WHERE played <= bought",
    ),
    "days": (
        f"SELECT COUNT(*) FROM {A} WHERE bought BETWEEN '2024-01-01' AND '2024-01-31'",
        f"SELECT COUNT(*) FROM {A} WHERE bought >= DATE '2024-01-01' AND bought < DATE '2024-02-01'",
    ),
    "USING, ON, WHERE": (
        f"SELECT a.region, COUNT(DISTINCT person) FROM {AB} USING (person) GROUP BY 1",
        f"SELECT a.region, COUNT(DISTINCT a.person) FROM {AB} ON b.person = a.person GROUP BY 1",
        f"SELECT a.region, COUNT(DISTINCT b.person) FROM {A} AS a, {B} AS b WHERE a.person = b.person GROUP BY 1",
        f"SELECT a.region, COUNT(DISTINCT person) FROM {B} AS b JOIN {A} AS a USING (person) GROUP BY 1",
        f"SELECT region, COUNT(DISTINCT person) FROM {A} WHERE person IN (SELECT person FROM {B}) GROUP BY 1",
    ),
    "JOIN of rows": (
        f"SELECT a.region, b.discipline, SUM(a.seats), COUNT(*) FROM {AB} ON a.person = b.person AND a.bought <= b.bought GROUP BY 1, 2",
        f"SELECT a.region, b.discipline, COUNT(*), SUM(a.seats) FROM {B} AS b JOIN {A} AS a ON b.bought >= a.bought AND b.person = a.person GROUP BY 1, 2",
    ),
    "JOIN of three": (
        f"SELECT COUNT(*) FROM {A} JOIN {B} USING (person) JOIN {C} USING (person)",
        f"SELECT COUNT(*) FROM {C} JOIN {A} USING (person) JOIN {B} USING (person)",
    ),
    "persons of three": (
        f"SELECT COUNT(DISTINCT person) FROM {A} JOIN {B} USING (person) JOIN {C} USING (person)",
        f"SELECT COUNT(DISTINCT person) FROM (SELECT person FROM {B} INTERSECT SELECT person FROM {C} INTERSECT SELECT person FROM {A}) AS t",
        f"SELECT COUNT(DISTINCT person) FROM {C} WHERE person IN (SELECT person FROM {B}) AND person IN (SELECT person FROM {A})",
        f"SELECT COUNT(DISTINCT person) FROM {C} WHERE person IN (SELECT person FROM {B} WHERE person IN (SELECT person FROM {A}))",
    ),
    "IN and NOT IN": (
        f"SELECT COUNT(*) FROM {A} WHERE person IN (SELECT person FROM {B}) AND seats > 2 AND person NOT IN (SELECT person FROM {C})",
        f"SELECT COUNT(*) FROM (SELECT * FROM {A} WHERE person NOT IN (SELECT person FROM {C})) AS t WHERE seats > 2 AND person IN (SELECT person FROM {B})",
    ),
    "FULL JOIN": (
        f"SELECT a.region, b.region, COUNT(*) FROM {A} AS a FULL JOIN {B} AS b USING (person) GROUP BY 1, 2",
        f"SELECT a.region, b.region, COUNT(*) FROM {B} AS b FULL JOIN {A} AS a USING (person) GROUP BY 1, 2",
    ),
    "FULL JOIN, who is there": (
        f"SELECT a.region, COUNT(DISTINCT a.person), COUNT(DISTINCT b.person) FROM {A} AS a FULL JOIN {B} AS b ON a.person = b.person GROUP BY 1",
        f"SELECT a.region, COUNT(DISTINCT a.person), COUNT(DISTINCT b.person) FROM {B} AS b FULL JOIN {A} AS a ON b.person = a.person GROUP BY 1",
    ),
    "LEFT and RIGHT JOIN": (
        f"SELECT a.region, b.region, COUNT(*) FROM {A} AS a LEFT JOIN {B} AS b USING (person) GROUP BY 1, 2",
        f"SELECT a.region, b.region, COUNT(*) FROM {B} AS b RIGHT JOIN {A} AS a USING (person) GROUP BY 1, 2",
    ),
    "INTERSECT of rows": (
        f"SELECT region, COUNT(*) FROM (SELECT person, region FROM {A} INTERSECT SELECT person, region FROM {B}) AS t GROUP BY region",
        f"SELECT region, COUNT(*) FROM (SELECT person, region FROM {B} INTERSECT SELECT person, region FROM {A}) AS t GROUP BY region",
    ),
    "EXCEPT": (
        f"SELECT COUNT(DISTINCT person) FROM (SELECT person FROM {A} EXCEPT SELECT person FROM {B} EXCEPT SELECT person FROM {C}) AS t",
        f"SELECT COUNT(DISTINCT person) FROM (SELECT person FROM {A} EXCEPT SELECT person FROM {C} EXCEPT SELECT person FROM {B}) AS t",
    ),
    "UNION ALL": (
        f"SELECT region, SUM(seats) FROM (SELECT person, seats, region FROM {A} UNION ALL SELECT person, seats, region FROM {B} UNION ALL SELECT person, seats, region FROM {C}) AS s GROUP BY region",
        f"SELECT region, SUM(seats) FROM (SELECT person, region, seats FROM {C} UNION ALL (SELECT person, region, seats FROM {B} UNION ALL SELECT person, region, seats FROM {A})) AS s GROUP BY region",
    ),
    "UNION": (
        f"SELECT COUNT(DISTINCT person) FROM (SELECT person FROM {A} UNION SELECT person FROM {B}) AS s",
        f"SELECT COUNT(DISTINCT person) FROM (SELECT person FROM {B} UNION SELECT person FROM {A}) AS s",
    ),
    "conditions within": (
        f"SELECT CASE WHEN seats > 2 OR region = 'nord' THEN 'x' ELSE 'y' END AS k, COUNT(*) FILTER (WHERE seats + 1 > 3 AND bought = played) FROM {A} GROUP BY 1",
        f"SELECT CASE WHEN region = 'nord' OR 2 < seats THEN 'x' ELSE 'y' END AS k, COUNT(*) FILTER (WHERE played = bought AND 3 < 1 + seats) FROM {A} GROUP BY 1",
    ),
    "what is said after": (
        f"SELECT region, COUNT(*) AS n FROM {A} GROUP BY region HAVING COUNT(*) > 30 ORDER BY n DESC LIMIT 3",
        f"SELECT 2 * n AS twice, region FROM (SELECT region, COUNT(*) AS n FROM {A} GROUP BY region) AS t",
    ),
    "rows of a person": (
        f"SELECT n, COUNT(*) FROM (SELECT person, COUNT(*) AS n FROM {A} WHERE seats > 1 AND region = 'nord' GROUP BY person) AS t WHERE n BETWEEN 1 AND 5 GROUP BY n",
        f"SELECT n, COUNT(*) FROM (SELECT person, COUNT(*) AS n FROM {A} WHERE region = 'nord' AND 1 < seats GROUP BY person) AS t WHERE n >= 1 AND 5 >= n GROUP BY n",
    ),
}  # fmt: skip


def literal(sql: str, parameters: Any, made: Catalogs) -> QuestionPlan:
    """Bind a question as it is spelled, without bringing it to one spelling."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            binding, "canonical", lambda relation, *, once: Placed(relation, tuple(range(column_count(relation))))
        )
        return bind(sql, parameters, made)


def shown(a_plan: Plan, room: Room) -> list[object]:
    """Return what a release would answer without noise, and the weights that its quantiles are chosen by."""
    engine = Engine(a_plan)
    surviving = engine.keys(room) if a_plan.bounds.distinct_keys else None
    exact = engine.exact(room, surviving=surviving)
    if a_plan.bounds.quantiles:
        named_weights = {
            repr(replace(a_plan.statistics[each.statistic], column=0)): weights.tolist()
            for each, weights in zip(a_plan.bounds.quantiles, exact.weights, strict=True)
        }
        return [sorted(named_weights.items()), surviving]
    return [list(NoisedRelease(a_plan, 1.0, exact.values, (), surviving).cells()), surviving]


def assert_same_numbers(sql: str, parameters: Any, made: Catalogs, rooms: list[Room]) -> None:
    one, spelled = bind(sql, parameters, made), literal(sql, parameters, made)
    assert len(one.releases) == len(spelled.releases)
    for mine, theirs in zip(one.releases, spelled.releases, strict=True):
        assert mine.tables == theirs.tables
        assert replace(mine.bounds, components=(), quantiles=()) == replace(theirs.bounds, components=(), quantiles=())
        for room in rooms:
            assert shown(mine, room) == shown(theirs, room)


@pytest.mark.parametrize("what", SAME)
def test_one_question_has_one_plan_however_it_is_spelled(what: str) -> None:
    plans = [bind(sql, None, THREE) for sql in SAME[what]]
    assert len({str(release.numbers()) for plan in plans for release in plan.releases}) == 1
    room = hostile_room(Random(7), THREE)
    for sql in SAME[what]:
        assert_same_numbers(sql, None, THREE, [room])


SAMPLE = [*ACCEPT[::2], *MORE[::4], *EITHER[::3]]


@pytest.mark.parametrize("line", SAMPLE, ids=named)
def test_the_one_spelling_has_the_numbers_of_the_one_written(line: dict[str, Any]) -> None:
    if refused(line["sql"], line.get("params")):
        return
    assert_same_numbers(line["sql"], line.get("params"), MADE, [hostile_room(Random(11), MADE)])


@given(choices(), seeds())
@settings(LIMITS, max_examples=25)
def test_generated_questions_keep_their_numbers(rng: Random, seed: int) -> None:
    made = catalogs(Random(seed))
    written = question(rng, made)
    try:
        bind(written.sql, written.parameters, made)
    except Refused:
        return
    assert_same_numbers(written.sql, written.parameters, made, [hostile_room(Random(seed), made)])


@given(choices(), seeds())
@settings(LIMITS, max_examples=25)
def test_the_one_spelling_is_its_own(rng: Random, seed: int) -> None:
    made = catalogs(Random(seed))
    written = question(rng, made)
    try:
        releases = literal(written.sql, written.parameters, made).releases
    except Refused:
        return
    for each in releases:
        one = canonical(each.relation, once=False)
        again = canonical(one.relation, once=False)
        assert again.relation == one.relation
        assert sorted(again.places) == list(range(len(again.places)))


def test_what_differs_has_another_plan() -> None:
    """S15 of the scenarios: normal forms must not collide."""
    base = f"SELECT region, COUNT(*) AS n FROM {A}"
    filters: list[tuple[str, Any]] = [
        ("seats > 2", None), ("seats >= 2", None), ("seats < 2", None), ("NOT seats > 2", None), ("seats <> 2", None), ("seats = 2", None),
        ("seats > 2 OR seats IS NULL", None), ("bought < played", None), ("bought <= played", None), ("played < bought", None), ("bought <> played", None),
        ("channel = 'web'", None), ("channel = 'web '", None), ("channel = ' web'", None), ("channel = 'Web'", None),
        ("channel = 'caf\u00e9'", None), ("channel = 'cafe\u0301'", None), ("channel = '1'", None), ("channel = 'TRUE'", None),
        ("channel IN ('a', 'b')", None), ("channel NOT IN ('a', 'b')", None), ("channel LIKE 'a%'", None), ("channel ILIKE 'a%'", None),
        ("region = 'nord' AND (seats > 2 OR bought < played)", None), ("(region = 'nord' AND seats > 2) OR bought < played", None),
        (f"person IN (SELECT person FROM {B})", None), (f"person NOT IN (SELECT person FROM {B})", None), (f"person IN (SELECT person FROM {C})", None),
        (f"person IN (SELECT person FROM {B} WHERE person IN (SELECT person FROM {C}))", None),
        (f"person IN (SELECT person FROM {B} WHERE person NOT IN (SELECT person FROM {C}))", None),
        (f"person IN (SELECT person FROM {B} WHERE seats > 2)", None), (f"seats > 2 AND person IN (SELECT person FROM {B})", None),
    ]  # fmt: skip
    sqls = [f"{base} WHERE {where} GROUP BY region" for where, _ in filters]
    sqls += [
        f"SELECT COUNT(*) FROM {AB} USING (person)",
        f"SELECT COUNT(*) FROM {A} WHERE person IN (SELECT person FROM {B})",
        f"SELECT COUNT(*) FROM {B} WHERE person IN (SELECT person FROM {A})",
        f"SELECT COUNT(*) FROM {A} AS a LEFT JOIN {B} AS b USING (person)",
        f"SELECT COUNT(*) FROM {A} AS a RIGHT JOIN {B} AS b USING (person)",
        f"SELECT COUNT(*) FROM {A} AS a FULL JOIN {B} AS b USING (person)",
        f"SELECT COUNT(*) FROM {A} AS a JOIN {A} AS b ON a.person = b.person AND a.bought < b.bought",
        f"SELECT COUNT(*) FROM {A} AS a JOIN {A} AS b ON a.person = b.person AND a.bought < b.played",
        f"SELECT COUNT(DISTINCT person) FROM (SELECT person FROM {A} EXCEPT SELECT person FROM {B}) AS t",
        f"SELECT COUNT(DISTINCT person) FROM (SELECT person FROM {B} EXCEPT SELECT person FROM {A}) AS t",
        f"SELECT COUNT(DISTINCT person) FROM (SELECT person FROM {A} INTERSECT SELECT person FROM {B}) AS t",
        f"SELECT COUNT(DISTINCT person) FROM (SELECT person FROM {A} UNION SELECT person FROM {B}) AS t",
        f"SELECT COUNT(*) FROM (SELECT person FROM {A} UNION ALL SELECT person FROM {B}) AS t",
        f"SELECT COUNT(*) FROM (SELECT person FROM {A} UNION ALL SELECT person FROM {A}) AS t",
        f"SELECT region, SUM(seats) FROM {A} GROUP BY region",
        f"SELECT region, SUM(amount) FROM {A} GROUP BY region",
        f"SELECT region, AVG(seats) FROM {A} GROUP BY region",
        f"SELECT SUM(seats - amount) FROM {A}",
        f"SELECT SUM(amount - seats) FROM {A}",
    ]  # fmt: skip
    found: dict[str, str] = {}
    for sql in sqls:
        (release,) = bind(sql, None, THREE).releases
        key = str(release.numbers())
        assert key not in found, (sql, found.get(key))
        found[key] = sql


@pytest.mark.parametrize("value", ["2", True, "2 ", "２"])
def test_a_parameter_of_another_kind_is_refused_or_another_question(value: object) -> None:
    sql = f"SELECT COUNT(*) FROM {A} WHERE seats > ?"
    (whole,) = bind(sql, [2], THREE).releases
    try:
        (other,) = bind(sql, [value], THREE).releases
    except Refused:
        return
    assert other.numbers() != whole.numbers() or value == "2"


def test_ties_are_broken_as_they_were() -> None:
    """Below FIRST, windows and cuts the columns keep their order: it decides which row is first (S20)."""
    sql = (
        f"SELECT f, COUNT(*) FROM (SELECT person, FIRST(region ORDER BY seats) AS f FROM (SELECT b.region, b.seats, b.person, a.bought FROM {AB} USING (person)) AS t"
        " GROUP BY person) AS s GROUP BY f"
    )
    assert_same_numbers(sql, None, THREE, [hostile_room(Random(seed), THREE) for seed in range(4)])
    assert same_rows(0) is None
