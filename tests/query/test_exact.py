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
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
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
from slow_vector import check_kernel, planned, stream

from cleanroom.catalog import Category, Contribution, Date, Number
from cleanroom.errors import InvariantBroken
from cleanroom.query.algebra import FirstRows, Scan
from cleanroom.query.backend import PersonRows
from cleanroom.query.bound import Bounds, Component, Measured
from cleanroom.query.contribution import contributions
from cleanroom.query.estimates import places_of
from cleanroom.query.plan import Plan
from cleanroom.query.release import NoisedRelease
from cleanroom.query.row_cells import cell_numbers
from cleanroom.query.statistics import (
    CategoryKey,
    CountPersons,
    CountRows,
    KeyOutput,
    Mean,
    MonthKey,
    NumberKey,
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


# The bounds again, slowly: Python's own integers and fractions (`slow_vector`)


@st.composite
def streams(draw: st.DrawFn) -> tuple[Plan, PersonRows]:
    """Draw a plan over columns 0 to 3 and persons' rows, out of the domain too."""
    rng = Random(draw(st.integers(0, 2**32)))
    key_choices = (
        CategoryKey(0, ("a", "b", "c"), nullable=rng.random() < 0.5),
        NumberKey(1, -2, 3, Decimal(1), nullable=rng.random() < 0.5),
        MonthKey(2, 648, 3, nullable=rng.random() < 0.5),
    )
    keys = tuple(rng.sample(key_choices, rng.randrange(3)))
    low, high = rng.choice(((0, 10), (-5, 7), (5, 5), (0, 0), (-9, -3), (-(2**31) + 1, 2**31 - 1)))
    statistics = [CountPersons(), CountRows(), Sum(3, low, high, Decimal(1)), Mean(3, low, high, Decimal(1))]
    chosen = tuple(rng.sample(statistics, rng.randrange(1, 5)))
    a_plan = planned(keys, chosen, rng.choice((1, 2, 5, 16)), rng.choice((1, 2, 7)), rng.choice((0, 20)))
    persons = [
        [
            (
                rng.choice((0, 1, 2, 3, -1, None)),
                rng.choice((-3, -2, 0, 3, 4, None)),
                rng.choice((19_723, 19_753, 19_754, 19_782, 19_814, 0, None)),
                rng.choice((low, high, (low + high) // 2, rng.randrange(low, high + 1), None)),
            )
            for _ in range(rng.choice((1, 2, 5, 40)))
        ]
        for _ in range(rng.randrange(6))
    ]
    return a_plan, stream(persons, 4)


@given(streams())
@settings(LIMITS, max_examples=250)
def test_the_kernel_is_the_slow_arithmetic(drawn: tuple[Plan, PersonRows]) -> None:
    check_kernel(*drawn)


def check_middle() -> None:
    """A mean centres on the middle of its bounds, truncated down: values there add nothing."""
    a_plan = planned((), (Mean(0, 3, 10, Decimal(1)),), 4, 1)
    steps = [component.steps for component in a_plan.bounds.components]
    assert contributions(a_plan, stream([[(6,), (6,)]], 1)).values == (2 * steps[0], 0)
    assert contributions(a_plan, stream([[(10,), (3,)]], 1)).values == (2 * steps[0], (4 - 3) * steps[1])


def test_a_mean_is_centred_on_the_middle() -> None:
    check_middle()


@pytest.mark.parametrize("value", [2**31 - 1, -(2**31) + 1])
@pytest.mark.parametrize("rows", [16, 5_000])
def test_extremes_sum_exactly(value: int, rows: int) -> None:
    wide = (-(2**31) + 1, 2**31 - 1)
    for statistic in (Sum(0, *wide, Decimal(1)), Mean(0, *wide, Decimal(1))):
        a_plan = planned((), (statistic, CountRows()), 16, 1)
        check_kernel(a_plan, stream([[(value,)] * rows, [(value,), (-value,), (None,)]], 1))


def test_thousands_of_cells_and_rows() -> None:
    a_plan = planned((NumberKey(0, 0, 4_999, Decimal(1), nullable=False),), (CountRows(),), 3, 2)
    rng = Random(5)
    persons = [[(rng.randrange(-5, 5_005),) for _ in range(size)] for size in (4_000, 1, 2_000, 3)]
    check_kernel(a_plan, stream(persons, 1))


def test_totals_of_many_persons_pass_32_bits_in_both_directions() -> None:
    """The halves of the accumulators are put together with their sign."""
    wide = (-(2**31) + 1, 2**31 - 1)
    a_plan = planned((), (Sum(0, *wide, Decimal(1)),), 16, 1)
    for sign in (1, -1):
        rows = stream([[(sign * (2**31 - 1),)] * 16] * 3_000, 1)
        assert contributions(a_plan, rows).values == (
            sign * 3_000 * 16 * (2**31 - 1) / a_plan.bounds.components[0].step,
        )


def norm_of(entries: int, steps: int, norm: int) -> Plan:
    """Return a plan of `entries` cells of one count, with this multiplier and norm."""
    component = Component(Measured.ROWS, None, 0, 0, 1, steps)
    bounds = Bounds(entries, 1, 1, (component,), norm, 0)
    key = NumberKey(0, 0, entries - 1, Decimal(1), nullable=False)
    return Plan(Scan(TNM, ("c0",)), (key,), (CountRows(),), (), bounds)


def test_a_norm_exactly_met_is_kept_and_one_off_is_clipped() -> None:
    """Four entries of 3·2^10 have length 6·2^10: met, nothing changes; one less, they shrink and stay below."""
    rows = stream([[(0,), (1,), (2,), (3,)]], 1)
    assert contributions(norm_of(4, 3, 6 << 10), rows).values == (3 << 10,) * 4
    shrunk = contributions(norm_of(4, 3, (6 << 10) - 1), rows).values
    assert max(shrunk) < 3 << 10
    assert sum(entry**2 for entry in shrunk) <= ((6 << 10) - 1) ** 2
    assert min(shrunk) >= (3 << 10) - 2


@pytest.mark.parametrize("entries", [2, 3, 1_000, 4_097])
@pytest.mark.parametrize("multiplier", [1, 12_345, 1 << 40])
def test_clipping_never_exceeds_the_norm_in_exact_arithmetic(entries: int, multiplier: int) -> None:
    """Norms chosen one off a multiple of the root, where a float alone would round above (S32)."""
    root = math.isqrt(entries * (multiplier << 10) ** 2)
    rows = stream([[(place,) for place in range(entries)]], 1)
    for norm in {root - 1, root, root + 1, root // 2, root // 3, 1}:
        values = contributions(norm_of(entries, multiplier, norm), rows).values
        assert sum(value**2 for value in values) <= norm**2
        if norm > entries:
            assert sum(value**2 for value in values) >= (norm - math.isqrt(entries) - 1) ** 2 * (1 - 1e-9)


def test_lattice_check_catches_what_floats_round_up() -> None:
    """Among these norms some make the truncated product of floats exceed the norm; the exact check shrinks them."""
    rows = stream([[(place,) for place in range(2)]], 1)
    for norm in range((1 << 50) + 1, (1 << 50) + 400):
        values = contributions(norm_of(2, 1 << 40, norm), rows).values
        assert sum(value**2 for value in values) <= norm**2


def test_rows_out_of_order_and_oversized_components_stop_the_question() -> None:
    a_plan = planned((), (CountRows(),), 1, 1)
    disorder = PersonRows.of_rows(np.array([1, 0], dtype=np.int64), {})
    with pytest.raises(InvariantBroken, match="not ordered"):
        contributions(a_plan, disorder)
    with pytest.raises(InvariantBroken, match="lattice"):
        contributions(norm_of(1, 1 << 41, 1 << 50), stream([[(0,)]], 1))


def test_rows_outside_the_declared_cells_are_dropped() -> None:
    """Out of the domain, or NULL where the key is not nullable: no cell, no contribution (S25)."""
    key = NumberKey(0, 0, 2, Decimal(1), nullable=False)
    rows = stream([[(-1,), (3,), (None,), (1,)], [(3,)]], 1)
    assert cell_numbers((key,), rows).tolist() == [-1, -1, -1, 1, -1]
    a_plan = planned((key,), (CountRows(),), 5, 1)
    assert contributions(a_plan, rows).values == (0, a_plan.bounds.components[0].steps, 0)


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
