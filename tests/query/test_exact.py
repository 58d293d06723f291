"""What is bounded is right: equal to plain SQL where no bound binds, and to a slow reimplementation where one does."""

# ruff: noqa: S608, E501, ISC004 - questions are what is tested here, one a line
from __future__ import annotations

import math
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from questions import question
from rooms import (
    FRANCOS,
    MUSEE,
    TNM,
    Catalogs,
    Engine,
    Room,
    admit,
    catalog_of,
    catalogs,
    choices,
    clean_room,
    key_values,
    seeds,
    vector,
)
from searches import LIMITS, by_seeds, try_each
from slow_vector import planned, stream

from cleanroom.catalog import Category, Contribution, Date, Number
from cleanroom.query.algebra import FirstRows
from cleanroom.query.bound import Measured
from cleanroom.query.contribution import contributions
from cleanroom.query.estimates import places_of
from cleanroom.query.plan import Plan
from cleanroom.query.release import NoisedRelease
from cleanroom.query.statistics import (
    CategoryKey,
    CountPersons,
    CountRows,
    KeyOutput,
    Mean,
    StatisticOutput,
    Sum,
)

# Plain SQL


def database(room: Room) -> duckdb.DuckDBPyConnection:
    """Return a database with the room's rows as a member would read them: texts, dates and decimals."""
    connection = duckdb.connect(":memory:")
    for table, catalog in room.catalogs.items():
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {table.owner}")
        types = {Category: "VARCHAR", Date: "DATE", Number: "DECIMAL(18, 2)"}
        columns = [f"{catalog.unit.name} VARCHAR"]
        for column in catalog.columns:
            kind = types.get(type(column.type), "VARCHAR")
            columns.append(f"{column.name} {'INTEGER' if column.name in {'seats', 'tickets'} else kind}")
        connection.execute(f"CREATE TABLE {table} ({', '.join(columns)})")
        rows = [
            [f"p{person}", *(plain(column.type, value) for column, value in zip(catalog.columns, values, strict=True))]
            for part in room.uploads[table]
            for person, values in part
        ]
        if rows:
            connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(columns))})", rows)
    return connection


def plain(kind: object, code: Any) -> Any:
    """Return a code as the value it stands for."""
    if code is None:
        return None
    match kind:
        case Date():
            return date(1970, 1, 1) + timedelta(days=code)
        case Number(resolution=resolution):
            return code * resolution
    return code


def answer(a_plan: Plan, entries: tuple[int, ...]) -> dict[tuple[Any, ...], list[Fraction | None]]:
    """Return each cell's statistics from an exact vector; AVG of no value is None."""
    width = len(a_plan.bounds.components)
    found: dict[tuple[Any, ...], list[Fraction | None]] = {}
    for number, keys in enumerate(key_values(a_plan.keys)):
        parts = entries[number * width : (number + 1) * width]
        values = [part * component.step for part, component in zip(parts, a_plan.bounds.components, strict=True)]
        numbers: list[Fraction | None] = []
        for statistic in a_plan.statistics:
            mine = [values[place] for place in places_of(statistic, a_plan.bounds)]
            match statistic:
                case CountPersons() | CountRows():
                    numbers.append(mine[0])
                case Sum(resolution=resolution):
                    numbers.append(mine[0] * Fraction(resolution))
                case Mean(middle=middle, resolution=resolution):
                    rows, total = mine
                    numbers.append((middle + total / rows) * Fraction(resolution) if rows else None)
        shown = tuple(keys[output.key] for output in a_plan.outputs if isinstance(output, KeyOutput))
        listed = [numbers[output.statistic] for output in a_plan.outputs if isinstance(output, StatisticOutput)]
        found[shown] = listed
    return found


def compare(sql: str, a_plan: Plan, room: Room, written: str) -> int:
    """Compare every cell with plain SQL; return how many were not empty."""
    mine = answer(a_plan, vector(a_plan, room))
    with database(room) as connection:
        rows = connection.execute(written).fetchall()
    keys = len([output for output in a_plan.outputs if isinstance(output, KeyOutput)])
    # The columns may stand in any order in the question; those of keys come first in ours.
    order = sorted(range(len(a_plan.outputs)), key=lambda place: isinstance(a_plan.outputs[place], StatisticOutput))
    rows = [tuple(value.date() if isinstance(value, datetime) else value for value in row) for row in rows]
    theirs = {tuple(row[place] for place in order[:keys]): [row[place] for place in order[keys:]] for row in rows}
    assert set(theirs) <= set(mine), sql
    for cell, numbers in mine.items():
        for number, wanted in zip(numbers, theirs.get(cell, [None] * len(numbers)), strict=True):
            if isinstance(wanted, float):
                assert number is not None, (sql, cell)
                assert math.isclose(float(number), wanted, rel_tol=1e-9, abs_tol=1e-9), (sql, cell)
            else:
                assert (number or 0) == (Fraction(wanted) if wanted is not None else 0), (sql, cell)
    return len(theirs)


def cut(relation: object) -> bool:
    """Return whether a relation holds FirstRows anywhere."""
    return "FirstRows(" in repr(relation)


def check_plain(rng: Random, seed: int) -> None:
    made = catalogs(Random(seed), loose=True)
    written = question(rng, made)
    a_plan = admit(written.sql, written.parameters, made)
    if not cut(a_plan.relation):
        compare(written.sql, a_plan, clean_room(Random(seed), made), written.written)


@given(choices(), seeds())
@settings(LIMITS, max_examples=100)
def test_an_exact_vector_is_plain_sql_where_no_bound_binds(rng: Random, seed: int) -> None:
    check_plain(rng, seed)


@pytest.mark.soak
@by_seeds(40_000, at_once=1_000)
def test_plain_sql_many_times(seeds: range) -> None:
    try_each(seeds, lambda seed: check_plain(Random(seed), seed))


def loose(**kinds: Any) -> Catalogs:
    """Return three tables with different domains, nullable where it matters, bounds that do not bind."""
    wide = Contribution(5_000, 65_535)
    nullable = ("region", "bought", "seats")
    return {
        TNM: catalog_of(
            TNM, region=("nord", "sud", "est"), nullable=nullable, most_rows=40, contribution=wide, **kinds
        ),
        FRANCOS: catalog_of(
            FRANCOS, region=("est", "ouest", "nord"), seats=(-2, 15), nullable=nullable, most_rows=40, contribution=wide
        ),
        MUSEE: catalog_of(MUSEE, region=("sud",), nullable=("region",), most_rows=40, contribution=wide),
    }


PLAIN = (
    "SELECT region, COUNT(*) AS n, COUNT(DISTINCT person) AS p FROM tnm.visits GROUP BY region",
    "SELECT AVG(seats) AS a, region, SUM(amount) AS s FROM tnm.visits GROUP BY region",
    "SELECT date_trunc('month', bought) AS m, SUM(seats) AS s FROM tnm.visits GROUP BY m",
    "SELECT seats, COUNT(*) AS n FROM tnm.visits GROUP BY seats",
    "SELECT region, seats, COUNT(*) AS n FROM tnm.visits GROUP BY 2, 1",
    "SELECT COUNT(*) AS n FROM tnm.visits WHERE NOT (region = 'nord')",
    "SELECT COUNT(*) AS n FROM tnm.visits WHERE NOT (region = 'nord' AND seats > 3)",
    "SELECT COUNT(*) AS n FROM tnm.visits WHERE region IN ('nord', NULL)",
    "SELECT COUNT(*) AS n FROM tnm.visits WHERE region NOT IN ('nord', NULL)",
    "SELECT COUNT(*) AS n FROM tnm.visits WHERE NOT (region IN ('ailleurs'))",
    "SELECT COUNT(*) AS n FROM tnm.visits WHERE region IS NULL OR bought IS NOT NULL",
    "SELECT COUNT(*) AS n FROM tnm.visits WHERE NOT (bought < played)",
    "SELECT COUNT(*) AS n FROM tnm.visits WHERE bought = played OR seats <> 2",
    "SELECT COUNT(*) AS n FROM tnm.visits WHERE amount > 37.425",
    "SELECT COUNT(*) AS n FROM tnm.visits WHERE amount <= 37.425 AND amount >= 0.005",
    "SELECT COUNT(*) AS n FROM tnm.visits WHERE amount = 0.005 OR 100.00 > amount",
    "SELECT COUNT(*) AS n FROM tnm.visits WHERE bought BETWEEN DATE '2024-01-10' AND '2024-02-29'",
    "SELECT COUNT(*) AS n FROM tnm.visits WHERE bought NOT BETWEEN '2024-01-10' AND '2024-01-20'",
    "SELECT COUNT(*) AS n FROM tnm.visits WHERE seats BETWEEN 5 AND 3",
    "SELECT COUNT(*) AS n FROM tnm.visits WHERE seats = NULL OR NOT (seats <> NULL)",
    "SELECT COUNT(*) AS n FROM tnm.visits WHERE TRUE AND NOT FALSE AND (NULL OR seats > 2)",
    "SELECT COUNT(*) AS n, AVG(amount) AS a FROM tnm.visits WHERE FALSE",
    "SELECT region, COUNT(*) AS n FROM (SELECT person, region FROM tnm.visits UNION ALL SELECT person, region FROM "
    "francos.visits UNION ALL SELECT person, region FROM musee.visits) AS t GROUP BY region",
    "SELECT region, SUM(amount) AS s FROM (SELECT person, region, amount FROM musee.visits UNION ALL SELECT person, "
    "region, amount FROM francos.visits WHERE region <> 'nord') AS t WHERE region <> 'sud' GROUP BY region",
    "SELECT a.region, b.region, COUNT(*) AS n FROM tnm.visits AS a JOIN francos.visits AS b USING (person) GROUP BY 1, 2",
    "SELECT COUNT(*) AS n, SUM(a.seats) AS s FROM tnm.visits AS a JOIN tnm.visits AS b USING (person)",
    "SELECT COUNT(*) AS n FROM tnm.visits AS a, francos.visits AS b WHERE a.person = b.person AND a.bought < b.bought",
    "SELECT COUNT(DISTINCT a.person) AS n FROM tnm.visits AS a JOIN francos.visits AS b ON b.person = a.person AND "
    "b.seats = a.seats",
    "SELECT COUNT(DISTINCT person) AS n FROM tnm.visits JOIN francos.visits USING (person)",
    "SELECT COUNT(*) AS n, COUNT(DISTINCT person) AS p FROM tnm.visits JOIN francos.visits USING (person)",
    "SELECT seats, COUNT(*) AS n FROM (SELECT person, seats FROM tnm.visits UNION ALL SELECT person, seats FROM "
    "francos.visits) AS t GROUP BY seats",
    "SELECT tnm.visits.region, COUNT(*) AS n FROM tnm.visits JOIN francos.visits USING (person) GROUP BY 1",
    "SELECT region, COUNT(*) AS n FROM tnm.visits WHERE person IN (SELECT person FROM francos.visits WHERE seats > 6) "
    "GROUP BY region",
    "SELECT COUNT(*) AS n FROM tnm.visits WHERE person IN (SELECT person FROM francos.visits INTERSECT SELECT person "
    "FROM musee.visits)",
    "SELECT COUNT(*) AS n FROM (SELECT person FROM tnm.visits INTERSECT SELECT person FROM francos.visits) AS t",
    "SELECT SUM(v.amount) AS s FROM tnm.visits AS v JOIN (SELECT person FROM tnm.visits INTERSECT SELECT person FROM "
    "francos.visits) AS t USING (person)",
    "SELECT COUNT(*) AS n FROM (SELECT person FROM tnm.visits UNION ALL SELECT person FROM francos.visits INTERSECT "
    "SELECT person FROM musee.visits) AS t",
)


@pytest.mark.parametrize("sql", PLAIN)
def test_a_question_is_plain_sql(sql: str) -> None:
    made = loose()
    room = clean_room(Random(11), made)
    assert compare(sql, admit(sql, None, made), room, sql) > 0 or "FALSE" in sql


def test_union_of_150_arms_and_200_conditions_are_answered() -> None:
    made = loose()
    room = clean_room(Random(12), made)
    union = " UNION ALL ".join(["SELECT person FROM tnm.visits"] * 150)
    persons = sum(len(part) for part in room.uploads[TNM])
    a_plan = admit(f"SELECT COUNT(*) AS n FROM ({union}) AS t", None, made)
    assert vector(a_plan, room) == (150 * persons * a_plan.bounds.components[0].steps,)
    for joint in ("AND", "OR"):
        sql = "SELECT COUNT(*) AS n FROM tnm.visits WHERE " + f" {joint} ".join(["seats = 5"] * 190)
        compare(sql, admit(sql, None, made), room, sql)
    sql = "SELECT COUNT(*) AS n FROM tnm.visits WHERE " + "NOT " * 30 + "seats = 5"
    compare(sql, admit(sql, None, made), room, "SELECT COUNT(*) AS n FROM tnm.visits WHERE seats = 5")


def test_released_cells_carry_the_keys_and_numbers_of_the_vector() -> None:
    """The answer's cells are the vector's, in its order: what `release` prints is what was bounded."""
    made = loose()
    room = clean_room(Random(13), made)
    sql = "SELECT region, seats, date_trunc('month', bought) AS m, COUNT(*) AS n, AVG(amount) AS a FROM tnm.visits GROUP BY 1, 2, 3"
    a_plan = admit(sql, None, made)
    entries = vector(a_plan, room)
    mine = answer(a_plan, entries)
    cells = list(NoisedRelease(a_plan, 1.0, entries).cells())
    assert [cell.keys for cell in cells] == list(mine)
    for cell, (rows, mean) in zip(cells, mine.values(), strict=True):
        assert cell.values[0].number == float(rows or 0)
        if mean is not None:
            assert math.isclose(cell.values[1].number or 0.0, float(mean), rel_tol=1e-12)


def test_a_cut_join_counts_the_first_rows_of_each_side() -> None:
    """65 535 rows a side: each side keeps isqrt(2^17) = 362 rows of a person, no fewer."""
    wide = Contribution(65_535, 2)
    made = {table: catalog_of(table, most_rows=65_535, contribution=wide) for table in (TNM, FRANCOS)}
    a_plan = admit("SELECT SUM(a.seats) AS s FROM tnm.visits AS a JOIN francos.visits AS b USING (person)", None, made)
    assert cut(a_plan.relation)
    row = ("nord", "danse", 19_740, 19_740, 1, 5, "web")
    dear = ("nord", "danse", 19_740, 19_740, 12, 5, "web")
    room = Room(made, {TNM: (((0, dear),) * 100 + ((0, row),) * 300,), FRANCOS: (((0, row),) * 3,)})
    total = Fraction(vector(a_plan, room)[0], a_plan.bounds.components[0].steps)
    # 300 rows of one seat come first in the order of the column, then 62 of twelve; three rows on the other side.
    assert total == min(3 * (300 + 62 * 12), 65_535 * 12)
    assert any(isinstance(side, FirstRows) for side in (a_plan.relation.left, a_plan.relation.right))  # type: ignore[union-attr]


def test_an_owner_s_threshold_adds_a_count_of_persons() -> None:
    """The noised persons of a cell are part of the vector, of the norm and of the price (S37)."""
    made = loose()
    sql = "SELECT region, SUM(amount) AS s FROM tnm.visits GROUP BY region"
    plain_plan, a_plan = (admit(sql, None, made, threshold=threshold) for threshold in (0, 20))
    assert [component.measured for component in a_plan.bounds.components] == [Measured.TOTAL, Measured.PERSONS]
    assert a_plan.bounds.norm > plain_plan.bounds.norm
    room = clean_room(Random(2), made)
    counted = vector(
        admit("SELECT region, COUNT(DISTINCT person) AS n FROM tnm.visits GROUP BY region", None, made), room
    )
    persons = a_plan.bounds.components[1].steps
    # 5 000 rows a cell make room for everybody: nothing is clipped.
    assert [entry // persons for entry in vector(a_plan, room)[1::2]] == [entry >> 14 for entry in counted]
    asked = admit("SELECT COUNT(DISTINCT person) AS n FROM tnm.visits", None, made, threshold=20)
    assert len(asked.bounds.components) == 1


def test_an_empty_stream_is_a_vector_of_zeros() -> None:
    a_plan = planned((CategoryKey(0, ("a", "b"), nullable=True),), (CountRows(), Mean(1, 0, 5, Decimal(1))), 1, 1)
    assert contributions(a_plan, stream([], 2)).values == (0,) * 9


def test_engines_agree_on_a_second_run() -> None:
    made = loose()
    room = clean_room(Random(3), made)
    engine = Engine(admit("SELECT region, AVG(amount) AS a FROM tnm.visits GROUP BY region", None, made))
    assert engine.vector(room) == engine.vector(room)
