"""Joins of persons: on the unit or not at all, with whatever else ON says; who is present (S14, S15, S19)."""

# ruff: noqa: S608 - questions are what is tested here

from __future__ import annotations

from typing import Any

import pytest
from gate_samples import ROOM_RULES, declaration
from rooms import bind

from cleanroom.errors import Refusal, Refused
from cleanroom.identifiers import TableName
from cleanroom.query.algebra import FirstRows, Join, JoinKind, Project, Relation, Scan, Select, Semi, Truth
from cleanroom.query.terms.language import Choice, Column, Compared, Comparing, Flag, Missing, Opposite

CATALOGS = {table: each.catalog for table, each in ROOM_RULES.declarations.items()}
EACH = "SELECT x, COUNT(*) AS n, COUNT(y) AS m FROM (SELECT {} FROM {}) AS t GROUP BY x"
PAIR = "person, a.region AS x, b.region AS y"
FIRST = "person, a.region AS x, a.region AS y"


def scan(owner: str, *columns: str) -> Scan:
    return Scan(TableName.parse(f"{owner}.visits"), columns)


TNM, FRANCOS, MUSEE = (scan(owner, "region") for owner in ("tnm", "francos", "musee"))
TNM_SEATS, FRANCOS_SEATS = (scan(owner, "region", "seats") for owner in ("tnm", "francos"))


def relation(source: str, outputs: str = PAIR) -> Relation:
    (plan,) = bind(EACH.format(outputs, source), None, CATALOGS).releases
    return plan.relation


def chosen(inner: Relation, *columns: int) -> Select:
    return Select(inner, Truth.TRUE, columns)


def less(left: int, right: int) -> Compared:
    return Compared(Comparing.LESS, Column(left), Column(right))


def equal(left: int, right: int) -> Compared:
    return Compared(Comparing.EQUAL, Column(left), Column(right))


def first(inner: Scan) -> FirstRows:
    return FirstRows(inner, 49)


A, B = "tnm.visits AS a", "francos.visits AS b"
INSIDE = "b.seats IN (SELECT seats FROM musee.visits AS m WHERE m.person = a.person)"
NUMBERS = "SELECT region, COUNT(*) AS n FROM musee.visits GROUP BY region"
INNER = Join(FRANCOS, TNM, JoinKind.INNER, None)
PRESENT = Choice(((Column(1), Flag(value=True)),), Flag(value=False))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        # However equal units are said.
        (f"{A} JOIN {B} USING (person)", INNER),
        (f"{A} JOIN {B} ON a.person = b.person", INNER),
        (f"{A} JOIN {B} ON ((b.person = a.person))", INNER),
        (f"{A} INNER JOIN {B} ON a.person = b.person AND TRUE", INNER),
        (f"{A} CROSS JOIN {B} WHERE a.person = b.person", INNER),
        (f"{A}, {B} WHERE a.person = b.person", INNER),
        (f"{A} JOIN {B} ON TRUE WHERE b.person = a.person", INNER),
        (
            f"{A} LEFT JOIN {B} ON a.person = b.person AND a.seats < b.seats",
            chosen(Join(TNM_SEATS, FRANCOS_SEATS, JoinKind.LEFT, less(1, 3)), 0, 2),
        ),
        (
            f"{A} LEFT JOIN {B} ON a.seats < b.seats AND b.person = a.person",
            chosen(Join(TNM_SEATS, FRANCOS_SEATS, JoinKind.LEFT, less(1, 3)), 0, 2),
        ),
        (f"{A} FULL JOIN {B} USING (person)", chosen(Join(FRANCOS, TNM, JoinKind.FULL, None), 0, 1)),
        (f"{A} RIGHT JOIN {B} USING (person, region)", chosen(Join(FRANCOS, TNM, JoinKind.LEFT, equal(0, 1)), 0, 1)),
        # A third joins on a source that may be absent: only where that is there.
        (
            f"{A} LEFT JOIN {B} USING (person) JOIN musee.visits AS c ON b.person = c.person",
            None,
        ),
    ],
)
def test_persons_meet_on_the_unit(source: str, expected: Relation | None) -> None:
    if expected is None:
        outputs = "person, a.region AS x, c.region AS y"
        sides = Join(first(TNM), first(scan("francos")), JoinKind.LEFT, None)
        assert relation(source, outputs) == chosen(Join(sides, first(MUSEE), JoinKind.INNER, PRESENT), 0, 2)
    else:
        assert _columns_swapped(relation(source), expected)


def _columns_swapped(found: Relation, expected: Relation) -> bool:
    """Whether two relations are one, whatever the order in which the outputs are taken."""
    if isinstance(found, Select) and isinstance(expected, Select):
        return found.source == expected.source and set(found.columns) == set(expected.columns)
    return found == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (f"{A} SEMI JOIN {B} USING (person)", chosen(Semi(TNM, scan("francos"), False, None), 0, 0)),
        (f"{A} ANTI JOIN {B} ON b.person = a.person", chosen(Semi(TNM, scan("francos"), True, None), 0, 0)),
        (
            f"{A} ANTI JOIN {B} ON a.person = b.person AND a.seats = b.seats",
            chosen(Semi(TNM_SEATS, scan("francos", "seats"), True, equal(1, 2)), 0, 0),
        ),
    ],
)
def test_rows_stay_or_go_by_what_meets_them(source: str, expected: Relation) -> None:
    assert relation(source, FIRST) == expected


def test_a_column_of_using_is_the_first_that_is_there() -> None:
    both = Join(FRANCOS, TNM, JoinKind.FULL, equal(0, 1))
    term = Choice(((Opposite(Missing(Column(1))), Column(1)),), Column(0))
    source = f"{A} FULL JOIN {B} USING (person, region)"
    assert relation(source, "person, region AS x, region AS y") == Project(both, (term, term))
    left = relation(f"{A} LEFT JOIN {B} USING (person, region)", "person, region AS x, region AS y")
    right = relation(f"{A} RIGHT JOIN {B} USING (person, region)", "person, region AS x, region AS y")
    assert left == chosen(chosen(Join(TNM, FRANCOS, JoinKind.LEFT, equal(0, 1)), 0), 0, 0)
    assert right == chosen(chosen(Join(FRANCOS, TNM, JoinKind.LEFT, equal(0, 1)), 0), 0, 0)


def test_a_subquery_of_an_inner_on_is_one_of_where() -> None:
    on = relation(f"{A} JOIN {B} ON a.person = b.person AND {INSIDE}")
    where = relation(f"{A} JOIN {B} ON a.person = b.person WHERE {INSIDE}")
    assert on == where
    assert isinstance(on, Select)
    assert isinstance(on.source, Semi)


def reason(source: str, outputs: str = PAIR) -> tuple[str, Any]:
    with pytest.raises(Refused) as caught:
        relation(source, outputs)
    found: tuple[Refusal, ...] = caught.value.refusals
    return found[0].code, found[0]


@pytest.mark.parametrize(
    ("source", "code"),
    [
        (f"{A} JOIN {B} ON TRUE", "join_without_unit"),
        (f"{A}, {B}", "join_without_unit"),
        (f"{A} JOIN {B} ON a.seats = b.seats", "join_without_unit"),
        # Only inner joins may take it from WHERE.
        (f"{A} LEFT JOIN {B} ON TRUE WHERE a.person = b.person", "join_without_unit"),
        (f"{A} FULL JOIN {B} ON a.seats = b.seats", "join_without_unit"),
        (f"{A} LEFT JOIN {B} ON a.person = b.person OR a.seats = 1", "unit_use"),
        (f"{A} LEFT JOIN {B} ON a.person = a.person", "join_without_unit"),
        (f"{A} JOIN {B} USING (person) LEFT JOIN musee.visits AS c ON a.person = b.person", "join_without_unit"),
        (f"{A} JOIN {B} USING (person), musee.visits AS c", "join_without_unit"),
        (f"{A} JOIN {B} ON a.person = b.person AND a.seats", "comparison_types"),
        (f"{A} JOIN {B} USING (person, nothing)", "unknown_name"),
        (f"{A} JOIN {B} USING (person) JOIN musee.visits AS c USING (person, region)", "ambiguous_name"),
        (f"{A} NATURAL JOIN {B}", "not_admitted"),
        (f"{A} POSITIONAL JOIN {B}", "not_admitted"),
        (f"{A} LEFT JOIN {B} ON a.person = b.person AND b.seats IN (SELECT seats FROM musee.visits)", "correlated"),
        (f"{A} JOIN {B} ON a.person = b.person AND {INSIDE} FULL JOIN musee.visits AS c USING (person)", "correlated"),
        (f"{A} JOIN {B} USING (person) JOIN ({NUMBERS}) AS c ON a.region = c.region", "release_in_personal"),
    ],
)
def test_what_does_not_meet_on_the_unit_is_refused(source: str, code: str) -> None:
    found, refusal = reason(source)
    assert found == code, refusal.message.en
    assert refusal.position is not None
    if code in {"join_without_unit", "release_in_personal"}:
        assert refusal.hint is not None
    for kind in ("SEMI", "ANTI"):
        assert reason(f"{A} {kind} JOIN {B} ON a.seats = b.seats", FIRST)[0] == "join_without_unit"


def present(at: int) -> Choice:
    return Choice(((Column(at), Flag(value=True)),), Flag(value=False))


@pytest.mark.parametrize(
    ("sides", "unit", "at"),
    [
        (f"{A} LEFT JOIN {B} USING (person)", "b", 1),
        (f"{A} RIGHT JOIN {B} USING (person)", "a", 1),
        # Printed with francos on the left: it is there where column 1 says so, tnm where column 2 does.
        (f"{A} FULL JOIN {B} USING (person)", "a", 2),
        (f"{A} FULL JOIN {B} USING (person)", "b", 1),
        (f"{A} LEFT JOIN {B} USING (person)", "a", None),
        (f"{A} RIGHT JOIN {B} USING (person)", "b", None),
        (f"{A} JOIN {B} USING (person)", "a", None),
    ],
)
def test_a_unit_counts_where_its_source_is_there(sides: str, unit: str, at: int | None) -> None:
    """S14: one u stands beside every row; the unit of a side that may be absent is not equal to anything there."""
    x = "b" if "RIGHT" in sides else "a"
    outputs = f"person, {x}.region AS x, c.region AS y"
    found = relation(f"{sides} JOIN musee.visits AS c ON {unit}.person = c.person", outputs)
    conditions = []
    waiting = [found]
    while waiting:
        each = waiting.pop()
        if isinstance(each, Join):
            conditions.append(each.condition)
            waiting += [each.left, each.right]
        elif isinstance(each, Select | FirstRows):
            waiting.append(each.source)
    assert conditions[0] == (None if at is None else present(at))
    assert conditions[1:] == [None]


@pytest.mark.parametrize(
    ("kind", "nullable"),
    [
        ("JOIN", (False, False)),
        ("LEFT JOIN", (False, True)),
        ("RIGHT JOIN", (True, False)),
        ("FULL JOIN", (True, True)),
    ],
)
def test_a_side_that_may_be_absent_has_nulls(kind: str, nullable: tuple[bool, bool]) -> None:
    declared = [declaration(owner, nullable="false").catalog for owner in ("tnm", "francos")]
    catalogs = {each.table: each for each in declared}
    rows = f"SELECT {PAIR} FROM {A} {kind} {B} USING (person)"
    found = []
    for key in ("x", "y"):
        (plan,) = bind(f"SELECT {key}, COUNT(*) AS n FROM ({rows}) AS t GROUP BY {key}", None, catalogs).releases
        found += [each.nullable for each in plan.keys]
    assert tuple(found) == nullable


@pytest.mark.parametrize("kind", ["SEMI", "ANTI"])
def test_what_has_met_and_gone_links_nobody_else(kind: str) -> None:
    """S15: the place of a source that only decided on rows is the next one's, which must meet the unit itself."""
    outputs = "person, a.region AS x, c.region AS y"
    rows = f"{A} {kind} JOIN {B} USING (person)"
    for joined in (
        "JOIN musee.visits AS c ON TRUE",
        ", musee.visits AS c",
        "JOIN musee.visits AS c ON a.seats = c.seats",
    ):
        assert reason(f"{rows} {joined}", outputs)[0] == "join_without_unit"
    met = relation(f"{rows} JOIN musee.visits AS c USING (person)", outputs)
    assert met == relation(f"{rows}, musee.visits AS c WHERE a.person = c.person", outputs)
