"""UNION, INTERSECT and EXCEPT of persons: what meets what, in which order, and what is no set (S16, S18)."""

# ruff: noqa: S608 - questions are what is tested here

from __future__ import annotations

from typing import Any

import pytest
import sqlglot
from gate_samples import ROOM_RULES, declaration
from rooms import bind
from sqlglot import exp

from cleanroom.errors import Refusal, Refused
from cleanroom.identifiers import TableName
from cleanroom.query.algebra import (
    Arm,
    Distinct,
    Persons,
    Project,
    Relation,
    Scan,
    Select,
    Semi,
    Truth,
    UnionAll,
    Window,
)
from cleanroom.query.binding.personal import Personal
from cleanroom.query.binding.sets import _arm, _arms, _recoded
from cleanroom.query.person_rows import WindowFunction, WindowName
from cleanroom.query.statistics import Sum
from cleanroom.query.terms.language import AllOf, AnyOf, Column, Compared, Comparing, LookUp, Missing

CATALOGS = {table: each.catalog for table, each in ROOM_RULES.declarations.items()}
TNM, FRANCOS, MUSEE, OPERA = (
    f"SELECT person, region FROM {owner}.visits" for owner in ("tnm", "francos", "musee", "opera")
)


def scan(owner: str, *columns: str) -> Scan:
    return Scan(TableName.parse(f"{owner}.visits"), columns or ("region",))


def same(left: int, right: int) -> AnyOf:
    missing = AllOf((Missing(Column(left)), Missing(Column(right))))
    return AnyOf((missing, Compared(Comparing.EQUAL, Column(left), Column(right))))


def numbered(relation: Relation) -> Window:
    return Window(relation, (WindowFunction(WindowName.ROW_NUMBER, None, (Column(0),), ()),))


BOTH = AllOf((same(0, 2), same(1, 3)))
LEFT = Semi(numbered(scan("tnm")), numbered(scan("francos")), True, BOTH)


def relation(sql: str, catalogs: Any = CATALOGS) -> Relation:
    (plan,) = bind(f"SELECT COUNT(*) AS n FROM ({sql}) AS t", None, catalogs).releases
    return plan.relation


def counted(inner: Relation) -> Select:
    return Select(inner, Truth.TRUE, ())


def once(inner: Relation) -> Select:
    return counted(Distinct(inner))


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (f"{TNM} EXCEPT {FRANCOS}", once(Semi(scan("tnm"), scan("francos"), True, same(0, 1)))),
        (f"{FRANCOS} EXCEPT {TNM}", once(Semi(scan("francos"), scan("tnm"), True, same(0, 1)))),
        (f"{FRANCOS} INTERSECT {TNM}", once(Semi(scan("francos"), scan("tnm"), False, same(0, 1)))),
        (
            f"{FRANCOS} INTERSECT {MUSEE} INTERSECT {TNM}",
            once(Semi(Semi(scan("francos"), scan("musee"), False, same(0, 1)), scan("tnm"), False, same(0, 1))),
        ),
        # EXCEPT takes away one after the other; what stands in brackets is taken away as a whole.
        (
            f"{TNM} EXCEPT {FRANCOS} EXCEPT {MUSEE}",
            once(Semi(Semi(scan("tnm"), scan("francos"), True, same(0, 1)), scan("musee"), True, same(0, 1))),
        ),
        (
            f"({TNM} EXCEPT {FRANCOS}) EXCEPT {MUSEE}",
            once(Semi(Semi(scan("tnm"), scan("francos"), True, same(0, 1)), scan("musee"), True, same(0, 1))),
        ),
        (
            f"{TNM} EXCEPT ({FRANCOS} EXCEPT {MUSEE})",
            once(Semi(scan("tnm"), Semi(scan("francos"), scan("musee"), True, same(0, 1)), True, same(0, 1))),
        ),
        # Rows as often as they are left: numbered before they meet, and what is left anew.
        (
            f"{TNM} INTERSECT ALL {FRANCOS}",
            counted(Semi(numbered(scan("tnm")), numbered(scan("francos")), False, BOTH)),
        ),
        (
            f"{TNM} EXCEPT ALL {FRANCOS} EXCEPT ALL {MUSEE}",
            counted(
                Semi(
                    numbered(Select(LEFT, Truth.TRUE, (0,))),
                    numbered(scan("musee")),
                    True,
                    BOTH,
                )
            ),
        ),
        # Persons alone.
        (
            "SELECT person FROM francos.visits INTERSECT SELECT person FROM tnm.visits",
            Persons(Semi(Scan(scan("francos").table, ()), Scan(scan("tnm").table, ()), False, None)),
        ),
        (
            "SELECT person FROM tnm.visits EXCEPT SELECT person FROM francos.visits",
            Persons(Semi(Scan(scan("tnm").table, ()), Scan(scan("francos").table, ()), True, None)),
        ),
    ],
)  # fmt: skip
def test_what_meets_what(sql: str, expected: Relation) -> None:
    assert relation(sql) == expected


def united(inner: Relation) -> tuple[set[Relation], bool]:
    """Return the arms of a union, and whether equal rows count once."""
    distinct = isinstance(inner, Select)
    while isinstance(inner, Select | Distinct):
        inner = inner.source
    assert isinstance(inner, UnionAll)
    return {arm.relation for arm in inner.arms}, distinct


def test_a_union_has_its_arms_side_by_side() -> None:
    rows = {Scan(scan(owner).table, ()) for owner in ("tnm", "francos", "musee")}
    keyed = {scan(owner) for owner in ("tnm", "francos", "musee")}
    for sql in (
        f"{TNM} UNION ALL {FRANCOS} UNION ALL {MUSEE}",
        f"{TNM} UNION ALL ({FRANCOS} UNION ALL {MUSEE})",
        f"{TNM} UNION ALL BY NAME SELECT region, person FROM francos.visits UNION ALL BY NAME {MUSEE}",
    ):
        assert united(relation(sql)) == (rows, False)
    for sql in (f"{TNM} UNION {FRANCOS} UNION {MUSEE}", f"({TNM} UNION {FRANCOS}) UNION ({MUSEE})"):
        assert united(relation(sql)) == (keyed, True)
    # Of two kinds of union the inner stays one.
    arms, distinct = united(relation(f"{TNM} UNION ALL ({FRANCOS} UNION {MUSEE})"))
    assert (len(arms), distinct) == (2, False)


def test_codes_of_a_domain_are_brought_together_in_the_open() -> None:
    """S43: an arm whose category has other codes is the owner's rows still, with its recoding beside it."""
    wider = declaration("francos", region="est, nord, sud").catalog
    made = {**CATALOGS, wider.table: wider}
    (plan,) = bind(
        f"SELECT region, COUNT(*) AS n FROM ({TNM} UNION ALL {FRANCOS}) AS t GROUP BY region", None, made
    ).releases
    assert isinstance(plan.relation, UnionAll)
    recoded = {arm.relation: arm.recodes for arm in plan.relation.arms}
    assert set(recoded) == {scan("tnm"), scan("francos")}
    (domain,) = (key.domain for key in plan.keys)  # type: ignore[union-attr]
    assert set(domain) == {"est", "nord", "sud"}
    for owner, names in (("tnm", ("nord", "sud")), ("francos", ("est", "nord", "sud"))):
        (codes,) = recoded[scan(owner)]
        assert [domain[code] for code in (codes or range(len(names)))] == list(names)
    assert plan.relation.arms[0] == Arm(*next(iter(recoded.items())))


HOLD, PLACE = "hold the person", "the person at the same place"


def refused(sql: str) -> Refusal:
    with pytest.raises(Refused) as caught:
        relation(sql)
    (reason,) = caught.value.refusals
    return reason


@pytest.mark.parametrize(
    ("sql", "code", "said"),
    [
        ("SELECT region FROM tnm.visits INTERSECT SELECT region FROM francos.visits", "set_operation", HOLD),
        ("SELECT region FROM tnm.visits UNION SELECT region FROM francos.visits", "set_operation", HOLD),
        ("SELECT region FROM tnm.visits EXCEPT ALL SELECT region FROM francos.visits", "set_operation", HOLD),
        (f"{TNM} UNION ALL SELECT person FROM francos.visits", "set_operation", PLACE),
        (f"{TNM} UNION ALL SELECT region, person FROM francos.visits", "set_operation", PLACE),
        (f"{TNM} UNION ALL SELECT person, seats FROM francos.visits", "union_types", "1"),
        (f"{TNM} UNION ALL BY NAME SELECT person, seats FROM francos.visits", "set_operation", "same names of columns"),
    ],
)  # fmt: skip
def test_what_is_no_set_of_persons_is_refused_with_its_name(sql: str, code: str, said: str) -> None:
    reason = refused(sql)
    assert reason.code == code
    assert said in reason.message.en
    assert reason.position is not None
    if said == HOLD:
        assert reason.hint is not None
        operation = next(word for word in ("INTERSECT", "UNION", "EXCEPT") if word in sql)
        assert operation in reason.message.fr
        assert operation in reason.message.en
        assert reason.hint.fr == reason.hint.en == f"SELECT person … {operation} SELECT person …"


def test_the_unit_may_stay_out_of_rows_that_all_count() -> None:
    assert united(relation("SELECT region FROM tnm.visits UNION ALL SELECT region FROM francos.visits"))[1] is False


def test_released_numbers_are_not_united_with_persons() -> None:
    numbers = "SELECT region, COUNT(*) AS n FROM francos.visits GROUP BY region"
    for sql in (
        f"SELECT region, seats FROM tnm.visits UNION ALL {numbers}",
        f"{numbers} UNION ALL SELECT region, seats FROM tnm.visits",
    ):
        reason = refused(sql)
        assert reason.code == "release_in_personal"
        assert reason.hint is not None
    for sql in (f"{TNM} UNION ALL BY NAME {numbers}", f"{numbers} UNION ALL BY NAME {numbers}"):
        assert refused(sql).code == "not_admitted"


def test_chains_are_read_from_left_to_right_and_no_further_than_they_reach() -> None:
    """Brackets of the same operation are its own; a name, an order, a WITH or another operation are not."""

    def arms(sql: str) -> list[str]:
        node = sqlglot.parse_one(sql, dialect="duckdb")
        assert isinstance(node, exp.SetOperation)
        return [each.sql(dialect="duckdb") for each in _arms(node)]  # type: ignore[arg-type]

    a, b, c = (f"SELECT {name}" for name in "abc")
    for union in ("UNION", "UNION ALL", "INTERSECT"):
        assert arms(f"{a} {union} {b} {union} {c}") == [a, b, c]
        assert arms(f"({a} {union} {b}) {union} {c}") == [a, b, c]
        assert arms(f"{a} {union} (({b} {union} {c}))") == [a, b, c]
    assert arms(f"{a} EXCEPT {b} EXCEPT {c}") == [a, b, c]
    assert len(arms(f"{a} EXCEPT ({b} EXCEPT {c})")) == 2
    assert len(arms(f"({a} EXCEPT {b}) EXCEPT ({b} EXCEPT {c})")) == 3
    for inner in (f"{b} UNION ALL {c}", f"{b} EXCEPT {c}", f"{b} UNION {c} ORDER BY 1", f"{b} UNION {c} LIMIT 3"):
        assert len(arms(f"{a} UNION ({inner})")) == 2
    assert len(arms(f"{a} UNION (WITH t AS ({c}) {b} UNION {c})")) == 2
    assert len(arms(f"{a} UNION (SELECT b FROM ({b} UNION {c}) AS t)")) == 2


def test_columns_of_union_by_name_stand_where_the_first_arm_has_them() -> None:
    pairs = "SELECT {} FROM ({}) AS t GROUP BY 1"
    arms = ("SELECT person, region, seats FROM tnm.visits", "SELECT seats, person, region FROM francos.visits")
    sides = " UNION ALL BY NAME ".join(arms)
    for column in ("region", "seats"):
        (plan,) = bind(pairs.format(f"{column}, COUNT(*) AS n", sides), None, CATALOGS).releases
        assert united(plan.relation)[0] == {scan("tnm", column), scan("francos", column)}
    unnamed = "SELECT person, region FROM tnm.visits UNION ALL BY NAME SELECT region FROM francos.visits"
    reason = refused(unnamed)
    assert (reason.code, "same names of columns" in reason.message.en) == ("set_operation", True)
    assert "des branches aux mêmes noms de colonnes" in reason.message.fr


def test_the_first_arm_names_the_columns() -> None:
    arms = f"{TNM} UNION ALL SELECT person, region AS place FROM francos.visits"
    (plan,) = bind(f"SELECT region, COUNT(*) AS n FROM ({arms}) AS t GROUP BY region", None, CATALOGS).releases
    assert united(plan.relation)[0] == {scan("tnm"), scan("francos")}
    with pytest.raises(Refused):
        bind(f"SELECT place, COUNT(*) AS n FROM ({arms}) AS t GROUP BY place", None, CATALOGS)


def test_the_number_of_the_column_is_named() -> None:
    sides = ("SELECT person, region, seats FROM tnm.visits", "SELECT person, region, discipline FROM francos.visits")
    reason = refused(" UNION ALL ".join(sides))
    assert (reason.code, "2" in reason.message.en) == ("union_types", True)


def test_three_meetings_of_rows_as_often_as_they_are_left_are_numbered_once() -> None:
    inner = Semi(numbered(scan("tnm")), numbered(scan("francos")), False, BOTH)
    assert relation(f"{TNM} INTERSECT ALL {FRANCOS} INTERSECT ALL {MUSEE}") == counted(
        Semi(inner, numbered(scan("musee")), False, BOTH)
    )


def test_an_arm_is_recoded_in_the_open_or_it_is_a_relation_of_its_own() -> None:
    """S43: only each column in its own place, or a category's codes by others that are all there."""
    two = scan("tnm", "region", "discipline")
    recoded = LookUp(Column(1), 0, (1, 0))
    assert _arm(two) == Arm(two, (None, None))
    assert _arm(Project(two, (Column(0), recoded))) == Arm(two, (None, (1, 0)))
    for terms in (
        (Column(1), Column(0)),
        (Column(0), LookUp(Column(1), 1, (1, 0))),
        (Column(0), LookUp(Column(1), 0, (1, None))),
        (Column(0), LookUp(Column(0), 0, (1, 0))),
        (Column(0), Missing(Column(1))),
    ):
        assert _arm(Project(two, terms)) == Arm(Project(two, terms), (None, None))
    fewer = Project(two, (Column(0),))
    assert _arm(fewer) == Arm(fewer, (None,))
    assert _recoded(Personal(two, (), (), None, None), [Column(0), Column(1)]) is two
    assert _recoded(Personal(two, (), (), None, None), [Column(1), Column(0)]) == Project(two, (Column(1), Column(0)))


@pytest.mark.parametrize("union", ["UNION ALL", "UNION ALL BY NAME"])
def test_bounds_of_a_union_are_those_of_every_arm(union: str) -> None:
    """S29: whoever's rows have the wider bounds, first or second."""
    wider = declaration("francos", seats="-3, 20").catalog
    made = {**CATALOGS, wider.table: wider}
    arms = [f"SELECT person, seats FROM {owner}.visits" for owner in ("tnm", "francos")]
    for order in (1, -1):
        (plan,) = bind(f"SELECT SUM(seats) AS s FROM ({f' {union} '.join(arms[::order])}) AS t", None, made).releases
        (statistic,) = plan.statistics
        assert isinstance(statistic, Sum)
        assert (statistic.lower, statistic.upper) == (-3, 20)
