"""Where names stand in the rows of a SELECT, and which of its sources a row has (S14, S15)."""

from __future__ import annotations

from cleanroom.identifiers import TableName
from cleanroom.query import algebra
from cleanroom.query.binding.personal import Personal, Rows, Source
from cleanroom.query.terms.language import Choice, Column, Flag, Opposite
from cleanroom.query.terms.typed import Typed
from cleanroom.query.terms.types import BooleanType, TextType

SCAN = algebra.Scan(TableName.parse("tnm.visits"), ("a", "b"))
TEXT = TextType(nullable=True)


def rows() -> Rows:
    personal = Personal(SCAN, ("a", "b"), (Typed(Column(0), TEXT), Typed(Column(1), TEXT)), "person", 0)
    return Rows.of(personal, "v", "tnm")


def test_rows_of_one_relation_have_its_columns_under_its_names() -> None:
    made = rows()
    assert made.relation is SCAN
    assert made.columns == [Typed(Column(0), TEXT), Typed(Column(1), TEXT)]
    assert made.sources == [Source("v", "tnm", "person", {"a": 0, "b": 1})]
    assert made.merged == {}
    assert Rows(SCAN, []).sources == []


def test_a_source_is_shown_with_its_owner_where_it_has_no_alias() -> None:
    assert Source("visits", "tnm", None, {}).shown == "tnm.visits"
    assert Source("v", "", None, {}).shown == "v"


def test_presence_is_never_null() -> None:
    """Every row has a source that no outer join may lack; else its column says so, and NULL there is absence."""
    made = rows()
    always, sometimes = Source("v", "", None, {}), Source("w", "", None, {}, 7)
    assert made.present(always) == Flag(value=True)
    presence = Choice(((Column(7), Flag(value=True)),), Flag(value=False))
    assert made.present(sometimes) == presence
    assert made.absent(sometimes) == Typed(Opposite(presence), BooleanType(nullable=False))
    assert made.absent(always) == Typed(Opposite(Flag(value=True)), BooleanType(nullable=False))


def test_columns_are_added_at_the_end() -> None:
    made = rows()
    more = algebra.Scan(TableName.parse("tnm.visits"), ("a", "b", "c", "d"))
    flag = BooleanType(nullable=False)
    assert made.add(more, Typed(Column(0), flag), Typed(Column(9), TEXT)) == (2, 3)
    assert made.relation is more
    assert made.columns[2:] == [Typed(Column(2), flag), Typed(Column(3), TEXT)]
    assert made.add(more) == ()
