"""Joins looked at closely: what is refused where and with which words, public tables beside persons (S14, S15, S19)."""

# ruff: noqa: S608, E501 - questions are what is tested here, one a line

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from rooms import bind
from sqlglot import exp
from test_joins import CATALOGS, equal, first, less, scan

from cleanroom.catalog import Category, Number
from cleanroom.errors import Refused
from cleanroom.identifiers import Digest
from cleanroom.query.algebra import Holds, IsNull, Join, JoinKind, JoinPublic, Or, PublicTable, Relation, Select, Truth
from cleanroom.query.binding.asking import Asking, ReferenceCatalog, Unbound
from cleanroom.query.binding.joins import Joiner, condition, conjuncts, together, with_null
from cleanroom.query.binding.personal import Rows
from cleanroom.query.binding.scope import RowScope
from cleanroom.query.binding.sources import Item, scanned
from cleanroom.query.parse import parse
from cleanroom.query.terms.language import AllOf, Choice, Column, Flag, Missing, Opposite
from cleanroom.query.terms.types import BooleanType, NullType, declared_type

if TYPE_CHECKING:
    from cleanroom.query.plan import QuestionPlan

ZONES = ReferenceCatalog(
    "zones",
    Digest.of(b"zones"),
    5,
    (
        ("region", declared_type(Category(("nord", "sud"), nullable=False))),
        ("seats", declared_type(Number(Decimal(1), 1, 12, nullable=False, unit=None))),
    ),
    (2, 1),
)
A, B, C, Z = "tnm.visits AS a", "francos.visits AS b", "musee.visits AS c", "public.zones AS z"
COUNT = "SELECT COUNT(*) AS n FROM {}"
EXISTS = "EXISTS (SELECT 1 FROM musee.visits AS m WHERE m.person = a.person)"
WITHOUT_UNIT = "JOIN … USING (person)"
PUBLIC = "[LEFT] JOIN public.… ON …"


def asked(sql: str) -> QuestionPlan:
    return bind(sql, None, CATALOGS, references={"zones": ZONES})


def relation(source: str, *outputs: str) -> Relation:
    """Return what a FROM clause becomes, these outputs of it being counted."""
    inner = ", ".join(f"{each} AS o{at}" for at, each in enumerate(outputs))
    counts = ", ".join(f"COUNT(o{at}) AS n{at}" for at in range(len(outputs)))
    sql = f"SELECT {counts} FROM (SELECT person, {inner} FROM {source}) AS t" if outputs else COUNT.format(source)
    (plan,) = asked(sql).releases
    return plan.relation


def said(source: str) -> list[tuple[str, str, str | None, str]]:
    """Return the reasons why a question is refused: code, the word at its place, hint, message."""
    sql = COUNT.format(source)
    with pytest.raises(Refused) as caught:
        asked(sql)
    found = []
    for each in caught.value.refusals:
        assert each.position is not None
        at = sql[each.position.column - 1 :].split(maxsplit=1)[0]
        if each.hint is not None:
            assert each.hint.fr
        found.append((each.code, at, each.hint.en if each.hint else None, each.message.en))
    return found


def codes(source: str) -> list[tuple[str, str, str | None]]:
    return [each[:3] for each in said(source)]


# Parts of conditions.


def test_a_condition_is_taken_apart_at_its_ands() -> None:
    tree = parse("SELECT 1 AS n FROM tnm.visits WHERE (a AND (b AND (c OR d))) AND ((e))").tree
    assert [each.sql() for each in conjuncts(tree.args["where"].this)] == ["a", "b", "c OR d", "e"]


def test_terms_that_are_true_together() -> None:
    a, b = less(0, 1), less(1, 2)
    assert together([]) is None
    assert together([Flag(value=True)]) is None
    assert together([a, Flag(value=True)]) == a
    assert together([Flag(value=True), a, b]) == AllOf((a, b))


def joiner(sql: str) -> Joiner:
    table = next(catalog for name, catalog in CATALOGS.items() if name.owner == "tnm")
    asking = Asking(parse(sql), CATALOGS, {"zones": ZONES}, None)
    return Joiner(asking, Rows.of(scanned(table), "a", ""), lambda rows: RowScope(asking, rows))


def test_a_constant_condition_says_whether_it_may_be_null() -> None:
    scope = joiner(COUNT.format(A)).scope(joiner(COUNT.format(A)).rows)
    for node, value in ((exp.null(), None), (exp.true(), True), (exp.false(), False)):
        found = condition(scope, node)
        assert found is not None
        assert (found.term, found.type) == (Flag(value=value), BooleanType(nullable=value is None))
    for no_condition in ("1", "'x'", "0"):
        (reason,) = said(f"{A} LEFT JOIN {B} ON a.person = b.person AND {no_condition}")
        assert reason[:2] == ("comparison_types", no_condition)
        assert "a condition (true or false)" in reason[3]


def test_null_has_null_among_its_values() -> None:
    assert with_null(NullType()) == NullType()
    assert with_null(BooleanType(nullable=False)) == BooleanType(nullable=True)
    assert relation(f"{A} LEFT JOIN (SELECT person, NULL AS x FROM francos.visits) AS b USING (person)") == Select(
        Join(scan("tnm"), scan("francos"), JoinKind.LEFT, None), Truth.TRUE, ()
    )


# Kinds of joins.


@pytest.mark.parametrize(
    ("join", "called"),
    [
        ("NATURAL LEFT JOIN", "NATURAL LEFT JOIN"),
        ("NATURAL INNER JOIN", "NATURAL INNER JOIN"),
        ("ASOF LEFT JOIN", "ASOF LEFT JOIN"),
    ],
)
@pytest.mark.parametrize("other", [B, Z])
def test_what_is_not_admitted_is_called_as_written(join: str, called: str, other: str) -> None:
    assert said(f"{A} {join} {other}") == [
        ("not_admitted", other.split(maxsplit=1)[0], WITHOUT_UNIT, f"'{called}' is not admitted")
    ]


@pytest.mark.parametrize(("part", "word"), [("kind", "STRAIGHT"), ("side", "BOTH"), ("method", "HASH")])
def test_no_word_is_admitted_that_is_not_known(part: str, word: str) -> None:
    """Fails closed: whatever a parser may read one day."""
    mine = joiner(COUNT.format(f"{A} JOIN {B} USING (person)"))
    node = mine.asking.query.tree.args["joins"][0]
    node.set(part, word)
    table = next(catalog for name, catalog in CATALOGS.items() if name.owner == "francos")
    with pytest.raises(Unbound):
        mine.join(Item(scanned(table), "b", "", node.this, node))
    (reason,) = mine.asking.reasons
    assert (reason.code, reason.message.en) == ("not_admitted", f"'{word} JOIN' is not admitted")


def test_outer_says_nothing_more() -> None:
    for side in ("LEFT", "RIGHT", "FULL"):
        assert relation(f"{A} {side} OUTER JOIN {B} USING (person)", "a.seats", "b.region") == relation(
            f"{A} {side} JOIN {B} USING (person)", "a.seats", "b.region"
        )


def test_every_join_without_the_unit_is_said_once() -> None:
    assert codes(f"{A} LEFT JOIN {B} ON TRUE JOIN {C} ON TRUE") == [
        ("join_without_unit", "francos.visits", WITHOUT_UNIT),
        ("join_without_unit", "musee.visits", WITHOUT_UNIT),
    ]


# Subqueries in ON.


@pytest.mark.parametrize("join", ["LEFT JOIN", "SEMI JOIN", "ANTI JOIN"])
def test_a_subquery_decides_in_an_inner_on_alone(join: str) -> None:
    (reason,) = codes(f"{A} {join} {B} ON a.person = b.person AND {EXISTS}")
    assert reason == ("correlated", "1", None)


def test_what_waits_for_where_may_pass_a_join_that_adds_no_rows() -> None:
    where = relation(f"{A} JOIN {B} ON a.person = b.person LEFT JOIN {C} USING (person) WHERE {EXISTS}")
    assert relation(f"{A} JOIN {B} ON a.person = b.person AND {EXISTS} LEFT JOIN {C} USING (person)") == where


@pytest.mark.parametrize("outer", ["m.person = a.person", "a.person = m.person"])
def test_the_person_around_is_met_in_where_alone(outer: str) -> None:
    inner = "musee.visits AS m JOIN francos.visits AS f ON m.person = f.person"
    reasons = codes(f"{A} WHERE EXISTS (SELECT 1 FROM {inner} AND {outer})")
    assert reasons[0] == ("correlated", outer.split(maxsplit=1)[0], None)
    assert [each[0] for each in reasons[1:]] == ["join_without_unit"]
    said_there = relation(f"{A} WHERE EXISTS (SELECT 1 FROM {inner} WHERE {outer})")
    assert said_there == relation(f"{A} SEMI JOIN (SELECT f.person FROM francos.visits AS f SEMI JOIN musee.visits AS m"
                                  " USING (person)) AS s USING (person)")  # fmt: skip


# Who is there.


def persons(*owners: str) -> list[Any]:
    return [first(scan(owner)) for owner in owners]


@pytest.mark.parametrize("units", ["a.person = c.person", "c.person = a.person"])
@pytest.mark.parametrize("said_in", [f"JOIN {C} ON {{}}", f", {C} WHERE {{}}"])
def test_units_are_equal_where_both_are_there(units: str, said_in: str) -> None:
    """S14: in either order, in ON or WHERE."""
    found = repr(relation(f"{A} RIGHT JOIN {B} USING (person) {said_in.format(units)}".replace(" ,", ",")))
    assert "Column(index=0)" in found
    whole = repr(
        relation(f"{A} RIGHT JOIN {B} USING (person) {said_in.format(units.replace('a.', 'b.'))}".replace(" ,", ","))
    )
    assert "Column(index=0)" not in whole


def test_a_new_side_is_there_while_its_on_is_judged() -> None:
    found = relation(f"{A} LEFT JOIN {B} ON a.person = b.person AND b.person IS NULL")
    condition_ = Opposite(Flag(value=True))
    assert found == Select(Join(scan("tnm"), scan("francos"), JoinKind.LEFT, condition_), Truth.TRUE, ())


def test_who_was_absent_stays_absent() -> None:
    """The presence of a source is its first join's, whatever is joined later; it is NULL where all the left is absent."""
    absent = Holds(Opposite(Column(0)))
    for later, predicate in (("LEFT", absent), ("FULL", Or((absent, IsNull(0))))):
        found = relation(f"{A} LEFT JOIN {B} USING (person) {later} JOIN {C} USING (person) WHERE b.person IS NULL")
        assert isinstance(found, Select)
        assert found.predicate == predicate


@pytest.mark.parametrize(("side", "place"), [("LEFT", 1), ("RIGHT", 1), ("FULL", 2)])
def test_a_third_s_columns_stand_behind_who_is_there(side: str, place: int) -> None:
    tnm, francos = persons("tnm", "francos")
    left, right = (tnm, francos) if side == "LEFT" else (francos, tnm)
    sides = Join(left, right, JoinKind.LEFT if side == "RIGHT" else JoinKind(side), None)
    expected = Select(Join(sides, first(scan("musee", "region")), JoinKind.INNER, None), Truth.TRUE, (place,))
    assert relation(f"{A} {side} JOIN {B} USING (person) JOIN {C} USING (person)", "c.region") == expected


def test_the_unit_of_all_sources_is_the_unit_every_row_has() -> None:
    full = f"{A} FULL JOIN {B} USING (person)"
    tnm, francos, musee = persons("tnm", "francos", "musee")
    expected = Join(Join(francos, tnm, JoinKind.FULL, None), musee, JoinKind.LEFT, None)
    for both in ("COALESCE(a.person, b.person) = c.person", "c.person = COALESCE(b.person, a.person)"):
        assert relation(f"{full} LEFT JOIN {C} ON {both}") == Select(expected, Truth.TRUE, ())
    inner = relation(f"{A} JOIN {B} USING (person)")
    assert relation(f"{A} JOIN {B} ON COALESCE(a.person, a.person) = b.person") == inner
    assert relation(f"{A}, {B} WHERE COALESCE(a.person, a.person) = b.person") == inner
    # What arrives is not what the others meet.
    assert codes(f"{A} LEFT JOIN {B} ON COALESCE(a.person, b.person) = a.person")[0][0] == "unit_use"


@pytest.mark.parametrize(
    ("on", "units"),
    [
        ("a.person < b.person", ["a.person", "b.person"]),
        ("a.person <> b.person", ["a.person", "b.person"]),
        ("a.person = b.seats", ["a.person"]),
        ("a.seats = b.person", ["b.person"]),
    ],
)
def test_units_meet_by_equality_alone(on: str, units: list[str]) -> None:
    assert codes(f"{A} LEFT JOIN {B} ON {on}") == [
        *(("unit_use", each, None) for each in units),
        ("join_without_unit", "francos.visits", WITHOUT_UNIT),
    ]


def test_a_label_may_stand_on_either_side_of_where() -> None:
    """Looking for units must say nothing of names that are something else."""
    for where in ("s = 2", "2 = s"):
        sql = f"SELECT s, COUNT(*) AS n FROM (SELECT person, a.seats + 1 AS s FROM {A} WHERE {where}) AS t GROUP BY s"
        assert asked(sql).releases


# USING.


@pytest.mark.parametrize(
    ("source", "code", "name"),
    [
        (f"{A} JOIN (SELECT person, seats AS s FROM francos.visits) AS b USING (person, region)", "unknown_name", "region"),
        (f"{A} JOIN (SELECT person, seats AS s FROM francos.visits) AS b USING (person, s)", "unknown_name", "s"),
        (f"{A} JOIN {B} USING (person) JOIN {C} USING (person, region)", "ambiguous_name", "region"),
        (
            f"{A} JOIN {B} USING (person) JOIN (SELECT person, seats AS s FROM musee.visits) AS c USING (person, region)",
            "unknown_name",
            "region",
        ),
        (f"{A} JOIN (SELECT person, seats AS region FROM francos.visits) AS b USING (person, region)", "comparison_types", ""),
    ],
)  # fmt: skip
def test_using_names_one_column_of_each_side(source: str, code: str, name: str) -> None:
    (reason,) = said(source)
    assert reason[0] == code
    assert name in reason[3]


def test_using_says_each_name_that_is_nothing() -> None:
    for other in (f"{B} USING (person, nothing, neither)", f"{Z} USING (nothing, neither)"):
        assert [each[3] for each in said(f"{A} JOIN {other}")] == ["unknown name: nothing", "unknown name: neither"]


def of_both(left: int, right: int) -> Choice:
    return Choice(((Opposite(Missing(Column(right))), Column(right)),), Column(left))


def test_using_once_more_compares_what_using_made() -> None:
    full = relation(f"{A} FULL JOIN {B} USING (person, region) FULL JOIN {C} USING (person, region)")
    tnm, francos, musee = (first(scan(owner, "region")) for owner in ("tnm", "francos", "musee"))
    inner = Join(francos, tnm, JoinKind.FULL, equal(0, 1))
    third = replace(equal(0, 4), left=of_both(0, 1))
    assert full == Select(Join(inner, musee, JoinKind.FULL, third), Truth.TRUE, ())
    left = relation(f"{A} LEFT JOIN {B} USING (person, region) LEFT JOIN {C} USING (person, region)")
    sides = Join(tnm, francos, JoinKind.LEFT, equal(0, 1))
    assert left == Select(Join(sides, musee, JoinKind.LEFT, equal(0, 3)), Truth.TRUE, ())


def test_using_of_several_makes_one_column_of_each() -> None:
    found = relation(f"{A} FULL JOIN {B} USING (person, region, seats)", "region", "seats")
    assert "terms=" in repr(found)
    assert repr(found).count("Choice") == 2
    assert repr(found).count("Comparing.EQUAL") == 2


# Public tables.


def table(*columns: str) -> PublicTable:
    repeats = dict(zip(("region", "seats"), ZONES.repeats, strict=True))
    return PublicTable("zones", ZONES.digest, columns, 5, tuple(repeats[each] for each in columns))


@pytest.mark.parametrize(("join", "outer"), [("JOIN", False), ("LEFT JOIN", True), ("LEFT OUTER JOIN", True)])
def test_a_public_table_stands_behind_the_person_s_columns(join: str, outer: bool) -> None:
    tnm = scan("tnm", "region", "seats")
    both = AllOf((equal(0, 2), equal(1, 3)))
    using = relation(f"{A} {join} {Z} USING (region, seats)", "z.seats")
    assert using == Select(JoinPublic(tnm, table("region", "seats"), outer, both), Truth.TRUE, (3,))
    on = relation(f"{A} {join} {Z} ON a.region = z.region AND a.seats = z.seats", "z.seats")
    assert on == using
    sure = JoinPublic(scan("tnm", "region"), table("seats"), outer, Flag(value=True))
    assert relation(f"{A} {join} {Z} ON TRUE", "a.region", "z.seats") == sure
    assert relation(f"{A} CROSS JOIN {Z}", "a.region", "z.seats") == replace(sure, outer=False)


@pytest.mark.parametrize(("join", "nullable"), [("JOIN", False), ("LEFT JOIN", True)])
def test_a_public_table_that_may_be_absent_has_nulls(join: str, nullable: bool) -> None:
    rows = f"SELECT person, z.seats AS s FROM {A} {join} {Z} ON a.region = z.region"
    (plan,) = asked(f"SELECT s, COUNT(*) AS n FROM ({rows}) AS t GROUP BY s").releases
    assert [each.nullable for each in plan.keys] == [nullable]


@pytest.mark.parametrize(
    ("written", "name"), [(Z, "z.seats"), ("public.zones", "zones.seats"), ("public.zones", "public.zones.seats")]
)
def test_a_public_table_is_named_as_any_other(written: str, name: str) -> None:
    expected = JoinPublic(scan("tnm", "seats"), table("seats"), False, less(1, 0))
    assert relation(f"{A} JOIN {written} ON {name} < a.seats", "a.seats", name) == expected


@pytest.mark.parametrize("join", ["RIGHT JOIN", "FULL JOIN", "SEMI JOIN", "ANTI JOIN"])
def test_how_a_public_table_cannot_be_joined(join: str) -> None:
    (reason,) = said(f"{A} {join} {Z} ON a.region = z.region")
    assert reason == ("not_admitted", "public.zones", PUBLIC, f"'{join}' is not admitted")


def test_what_on_a_public_table_is_refused() -> None:
    assert codes(f"{A} JOIN {Z} ON a.region = z.region AND {EXISTS}") == [("correlated", "public.zones", None)]
    assert codes(f"{A} JOIN {Z} ON {EXISTS}") == [("correlated", "public.zones", None)]
    assert codes(f"{A} JOIN {Z} ON z.nothing = 1") == [("unknown_name", "z.nothing", None)]
    assert codes(f"{A} JOIN {Z} ON z.person = a.person")[0][0] == "unknown_name"


def test_a_public_table_links_nobody() -> None:
    """S15: persons behind it meet the unit themselves."""
    rows = f"{A} JOIN {Z} ON TRUE"
    assert codes(f"{rows} JOIN {B} ON TRUE") == [("join_without_unit", "francos.visits", WITHOUT_UNIT)]
    public = JoinPublic(scan("tnm"), table(), False, Flag(value=True))
    met = Join(public, scan("francos"), JoinKind.INNER, None)
    assert relation(f"{rows} JOIN {B} USING (person)") == met
    assert relation(f"{rows}, {B} WHERE b.person = a.person") == met
    both = relation(f"{rows} JOIN {B} USING (person) JOIN {C} ON c.person = b.person")
    assert both == relation(f"{rows} JOIN {B} USING (person) JOIN {C} ON c.person = a.person")
