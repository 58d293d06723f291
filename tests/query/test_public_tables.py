"""Questions over a public table that was read from a file: plain SQL's answers, and nobody's bounds passed (S19).

The file has what files have: keys that are missing, that stand twice, that nobody has, and zones that are missing.
"""

# ruff: noqa: ISC004 - one question a line

from __future__ import annotations

from collections import Counter
from random import Random
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from generated.holding import hold
from generated.killers import tables
from generated.populations import crowded, declared, with_twins
from plain_sql import compare_plan, database
from rooms import PUBLISHED, TNM, Engine, bind

from cleanroom.catalog.reference import read_content
from cleanroom.client.reference_file import read_reference
from cleanroom.errors import Fault
from cleanroom.identifiers import Digest
from cleanroom.query.algebra import FirstRows, sources
from cleanroom.query.binding.asking import ReferenceCatalog
from cleanroom.query.fanout import MOST_ROWS, most_rows
from cleanroom.query.terms.types import declared_type

if TYPE_CHECKING:
    from cleanroom.catalog.reference import ReferenceTable
    from cleanroom.query.algebra import Relation

FILE = pl.DataFrame(
    {
        "région": ["nord", "sud", "nord", None, "nord", "ailleurs", "sud", None],
        "Zone": ["a", "b", "a", "c", None, "d", "a", "e"],
        "sièges": [1, 2, 3, 3, None, 12, 5, 1],
        "taux": ["0.5", "0.25", None, "1", "2.5", "3", "0.5", "0.5"],
        "jour": ["2024-01-15", "2024-02-01", "2024-02-29", None, "2023-12-01", "2024-01-15", None, "2024-01-15"],
    }
)
TABLE = read_reference(FILE)
PUBLISHED[TABLE.digest] = TABLE
REFERENCES = {
    "zones": ReferenceCatalog(
        "zones",
        TABLE.digest,
        TABLE.rows,
        tuple((column.name, declared_type(column.type)) for column in TABLE.columns),
        TABLE.repeats,
    )
}
JOIN = "FROM tnm.visits AS a {} JOIN public.zones AS z ON a.region = z.region"
QUESTIONS = [
    text.format(JOIN.format(side))
    for side in ("", "LEFT")
    for text in (
        "SELECT z.zone, COUNT(*) AS n {} GROUP BY z.zone",
        "SELECT z.zone, COUNT(DISTINCT person) AS n, SUM(a.seats) AS s {} GROUP BY z.zone",
        "SELECT COUNT(*) AS n, SUM(z.sieges) AS s, SUM(z.taux) AS t {}",
        "SELECT a.region, COUNT(z.zone) AS n {} AND z.sieges > 1 GROUP BY a.region",
        "SELECT COUNT(*) AS n {} AND z.jour >= a.bought",
        "SELECT COUNT(*) AS n {} WHERE z.zone IS NULL",
        "SELECT z.zone, z.sieges, COUNT(*) AS n {} GROUP BY z.zone, z.sieges",
        "SELECT COUNT(*) AS n FROM (SELECT person, COUNT(*) AS c {} GROUP BY person) AS t WHERE c > 3",
    )
] + [
    "SELECT COUNT(*) AS n FROM tnm.visits AS a JOIN public.zones AS z ON a.seats = z.sieges",
    "SELECT COUNT(*) AS n FROM tnm.visits AS a LEFT JOIN public.zones AS z ON a.bought = z.jour WHERE z.jour IS NULL",
    "SELECT COUNT(*) AS n FROM tnm.visits AS a JOIN public.zones AS z ON a.seats > z.sieges",
    "SELECT y.zone, COUNT(*) AS n FROM tnm.visits AS a JOIN public.zones AS z ON a.region = z.region"
    " JOIN public.zones AS y ON y.sieges = z.sieges GROUP BY y.zone",
    "SELECT z.zone, COUNT(DISTINCT person) AS n FROM tnm.visits AS a JOIN francos.visits AS b USING (person)"
    " LEFT JOIN public.zones AS z ON b.region = z.region GROUP BY z.zone",
]


def test_the_file_is_read_as_it_is() -> None:
    assert [column.name for column in TABLE.columns] == ["region", "zone", "sieges", "taux", "jour"]
    assert TABLE.rows == FILE.height
    # The commonest value of each, missing ones not counted.
    assert TABLE.repeats == (3, 3, 2, 3, 3)


@pytest.mark.parametrize("sql", QUESTIONS)
def test_an_answer_is_plain_sql_s(sql: str) -> None:
    lines = 0
    for seed in range(2):
        room = declared(Random(seed), tables(loose=True))
        plan = bind(sql, None, room.catalogs, threshold=1, references=REFERENCES)
        with database(room, {"zones": TABLE}) as connection:
            lines += compare_plan(plan, sql, room, connection, within=1e-3)
    assert lines


@pytest.mark.parametrize("sql", QUESTIONS)
def test_rows_of_a_value_that_stands_twice_stay_within_a_person(sql: str) -> None:
    people = with_twins(crowded(Random(1), tables(loose=False)))
    for release in bind(sql, None, people.catalogs, references=REFERENCES).releases:
        assert hold(release, people, Random(1))


def test_no_person_has_more_rows_than_public_numbers_say() -> None:
    """What memory is provided by, and what joins are cut by, is no less than what a person has (S23)."""
    room = crowded(Random(2), tables(loose=False))
    # As if each table's cap were what somebody has.
    limits = {
        table: min(
            catalog.max_rows_per_person, max(Counter(row[0] for part in room.uploads[table] for row in part).values())
        )
        for table, catalog in room.catalogs.items()
    }
    met = 0
    for sql in QUESTIONS:
        for release in bind(sql, None, room.catalogs, references=REFERENCES).releases:
            (rows,) = Engine(release).stream(room)
            counts = np.diff(rows.starts)
            most = int(counts.max(initial=0))
            assert most <= most_rows(release.relation, limits)
            met += most > max(limits.values())
    assert met, "no question makes more rows of one"


def test_content_is_read_back_under_its_own_digest_alone() -> None:
    again = read_content("zones", TABLE.content, TABLE.digest)
    assert (again.columns, again.repeats, again.shown) == (TABLE.columns, TABLE.repeats, TABLE.shown)
    other = TABLE.content.replace(b'"d"', b'"b"')
    for content in (other, TABLE.content + b" ", b"", b"[" * 100_000):
        assert refused(content, TABLE.digest)
    # Nor is what another hand could have written under a digest of its own: not the one spelling, or no table.
    for content in (
        TABLE.content + b" ",
        TABLE.content.replace(b'"format"', b'"format" '),
        TABLE.content.replace(b"reference/v1", b"reference/v2"),
        TABLE.content.replace(b'"ailleurs",', b""),
        b"[]",
        b"\xff",
        b"{}",
        b"[" * 100_000,
    ):
        assert refused(content, Digest.of(content))
    assert not refused(other, Digest.of(other))


def refused(content: bytes, digest: Digest) -> bool:
    try:
        read: ReferenceTable = read_content("zones", content, digest)
    except Fault as fault:
        return fault.code == "reference_damaged"
    assert read.digest == digest
    return False


def test_a_large_table_meets_so_many_rows_of_a_person_and_always_the_same() -> None:
    """What a person could have over 2^17 rows of is cut by the order of the person's own rows alone (S20, S23)."""
    numbers = read_reference(pl.DataFrame({"n": list(range(5_000))}))
    PUBLISHED[numbers.digest] = numbers
    columns = tuple((column.name, declared_type(column.type)) for column in numbers.columns)
    known = {"nombres": ReferenceCatalog("nombres", numbers.digest, numbers.rows, columns, numbers.repeats)}
    people = with_twins(crowded(Random(3), tables(loose=False)))
    limits = {table: catalog.max_rows_per_person for table, catalog in people.catalogs.items()}
    sql = "SELECT COUNT(*) AS n, SUM(a.seats) AS s FROM tnm.visits AS a JOIN public.nombres AS z ON a.seats <= z.n"
    (release,) = bind(sql, None, people.catalogs, references=known).releases
    assert any(isinstance(each, FirstRows) for each in walked(release.relation))
    assert most_rows(release.relation, limits) <= MOST_ROWS < limits[TNM] * numbers.rows
    assert hold(release, people, Random(3))
    # By an equality no row meets more than one, so nothing is cut.
    (release,) = bind(sql.replace("<=", "="), None, people.catalogs, references=known).releases
    assert not any(isinstance(each, FirstRows) for each in walked(release.relation))


def walked(relation: Relation) -> list[Relation]:
    return [relation, *(below for source in sources(relation) for below in walked(source))]
