"""The one form of a condition: where it is true of each kind of column, and what of it stays a term (S40)."""

from __future__ import annotations

from typing import Any

import pytest

from cleanroom.query import algebra as a
from cleanroom.query import normal
from cleanroom.query.normal import _predicate, as_predicate
from cleanroom.query.terms import language as t
from cleanroom.query.terms.language import Comparing
from cleanroom.query.terms.universes import Region, Sort, Universe

NUMBER, FULL = Universe(Sort.STEPS, 1, 9, nullable=True), Universe(Sort.STEPS, 1, 9, nullable=False)
NAMES, FLAG = Universe(Sort.INDICES, 0, 4, nullable=True), Universe(Sort.FLAGS, 0, 1, nullable=True)
WORDS = Universe(Sort.TEXTS, 0, -1, nullable=True)
COLUMNS = {0: NUMBER, 1: NAMES, 2: FLAG, 3: WORDS, 4: FULL, 5: NUMBER}
YES, NO = t.Flag(value=True), t.Flag(value=False)


def column(index: int) -> t.Column:
    return t.Column(index)


def above(index: int, value: int) -> t.Compared:
    return t.Compared(Comparing.LESS, t.Integer(value), column(index))


def equal(index: int, value: int) -> t.Compared:
    return t.Compared(Comparing.EQUAL, column(index), t.Integer(value))


def both(*items: t.Term) -> t.AllOf:
    return t.AllOf(items)


def either(*items: t.Term) -> t.AnyOf:
    return t.AnyOf(items)


ACROSS = t.Compared(Comparing.LESS, t.Column(0), t.Column(5))
BACKWARDS = t.Compared(Comparing.LESS, t.Column(5), t.Column(0))


@pytest.mark.parametrize(
    ("condition", "predicate"),
    [
        (YES, a.Truth.TRUE),
        (NO, a.Truth.FALSE),
        (t.Flag(value=None), a.Truth.FALSE),
        (above(0, 3), a.InRange(0, 4, None)),
        (t.Opposite(above(0, 3)), a.InRange(0, None, 3)),
        (t.Opposite(t.Opposite(above(0, 3))), a.InRange(0, 4, None)),
        (both(above(0, 3), t.Opposite(above(0, 6))), a.InRange(0, 4, 6)),
        (both(above(0, 3), YES), a.InRange(0, 4, None)),
        (both(above(0, 3), NO), a.Truth.FALSE),
        (above(0, 9), a.Truth.FALSE),
        # True of every number, not of NULL; and of every row where there is no NULL.
        (above(0, 0), a.InRange(0, None, None)),
        (above(4, 0), a.Truth.TRUE),
        (either(above(0, 0), t.Missing(column(0))), a.Truth.TRUE),
        (t.Missing(column(0)), a.IsNull(0)),
        (either(above(0, 8), t.Missing(column(0))), a.Or((a.InRange(0, 9, None), a.IsNull(0)))),
        (either(equal(0, 1), equal(0, 5)), a.Or((a.InRange(0, None, 1), a.InRange(0, 5, 5)))),
        # Names are listed, numbers are not.
        (equal(1, 2), a.InSet(1, (2,))),
        (t.Opposite(equal(1, 2)), a.InSet(1, (0, 1, 3, 4))),
        (t.Opposite(t.Missing(column(1))), a.InRange(1, None, None)),
        (column(2), a.Holds(column(2))),
        (t.Opposite(column(2)), a.Holds(t.Opposite(column(2)))),
        (either(column(2), t.Opposite(column(2))), a.Not(a.IsNull(2))),
        (either(column(2), t.Missing(column(2))), a.Or((a.Holds(column(2)), a.IsNull(2)))),
        (either(column(2), t.Opposite(column(2)), t.Missing(column(2))), a.Truth.TRUE),
        (t.OneOf(column(3), ("b", "a")), a.TextIn(3, ("a", "b"))),
        (t.Opposite(t.OneOf(column(3), ("a",))), a.Not(a.TextIn(3, ("a",)))),
        (t.Opposite(t.Missing(column(3))), a.InRange(3, None, None)),
        (either(t.OneOf(column(3), ("a",)), t.Missing(column(3))), a.Or((a.TextIn(3, ("a",)), a.IsNull(3)))),
        (t.Missing(column(3)), a.IsNull(3)),
        (t.Missing(column(1)), a.IsNull(1)),
        (equal(1, 9), a.Truth.FALSE),
        (both(t.OneOf(column(3), ("a",)), t.OneOf(column(3), ("b",))), a.Truth.FALSE),
        (either(t.Missing(column(3)), t.Opposite(t.Missing(column(3)))), a.Truth.TRUE),
        (t.Opposite(t.Opposite(both(ACROSS, above(0, 3)))), a.And((a.Holds(ACROSS), a.InRange(0, 4, None)))),
        (
            either(t.Opposite(t.Opposite(either(ACROSS, BACKWARDS))), above(0, 3)),
            a.Or((a.Holds(ACROSS), a.Holds(BACKWARDS), a.InRange(0, 4, None))),
        ),
        # Several columns.
        (both(above(0, 3), equal(1, 2)), a.And((a.InRange(0, 4, None), a.InSet(1, (2,))))),
        (both(equal(1, 2), above(0, 3)), a.And((a.InRange(0, 4, None), a.InSet(1, (2,))))),
        (both(above(0, 3), above(4, 0)), a.InRange(0, 4, None)),
        (both(above(0, 3), above(5, 9)), a.Truth.FALSE),
        (ACROSS, a.Holds(ACROSS)),
        (both(ACROSS, above(0, 3)), a.And((a.Holds(ACROSS), a.InRange(0, 4, None)))),
        (either(ACROSS, above(0, 3)), a.Or((a.Holds(ACROSS), a.InRange(0, 4, None)))),
        (either(above(0, 3), ACROSS), a.Or((a.Holds(ACROSS), a.InRange(0, 4, None)))),
        (either(ACROSS, either(above(0, 9), above(5, 9))), a.Holds(ACROSS)),
        (either(above(0, 9), above(5, 9)), a.Truth.FALSE),
        (either(ACROSS, above(4, 0)), a.Truth.TRUE),
        # By De Morgan, either way.
        (t.Opposite(either(above(0, 3), equal(1, 2))), a.And((a.InRange(0, None, 3), a.InSet(1, (0, 1, 3, 4))))),
        (t.Opposite(both(above(0, 3), equal(1, 2))), a.Or((a.InRange(0, None, 3), a.InSet(1, (0, 1, 3, 4))))),
        (t.Opposite(t.Opposite(either(ACROSS, BACKWARDS))), a.Or((a.Holds(BACKWARDS), a.Holds(ACROSS)))),
        (either(t.Opposite(t.Opposite(either(ACROSS, BACKWARDS))), above(0, 9)),
         a.Or((a.Holds(BACKWARDS), a.Holds(ACROSS)))),
    ],
)  # fmt: skip
def test_a_condition_has_one_form(condition: t.Term, predicate: Any) -> None:
    found = as_predicate(condition, COLUMNS)
    if isinstance(predicate, a.Or | a.And):
        assert type(found) is type(predicate)
        assert set(found.items) == set(predicate.items)
        assert len(found.items) == len(predicate.items)
    else:
        assert found == predicate


def test_a_column_of_which_nothing_is_known_stays_a_term() -> None:
    assert as_predicate(above(0, 3), {0: NUMBER}) == a.InRange(0, 4, None)
    assert as_predicate(above(7, 3), COLUMNS) == a.Holds(above(7, 3))
    assert as_predicate(both(above(7, 3), above(0, 9)), COLUMNS) is a.Truth.FALSE


def test_what_cannot_be_read_keeps_nothing_else_from_it() -> None:
    """LIKE of a text has no end of values; a text of a list beside it is read all the same."""
    like = t.Like(column(3), "a%", ignore_case=False)
    shorter = t.Compared(Comparing.LESS, t.Length(column(3)), t.Integer(5))
    listed = t.OneOf(column(3), ("a", "bbbbbb"))
    assert as_predicate(like, COLUMNS) == a.Holds(like)
    found = as_predicate(both(like, shorter), COLUMNS)
    assert isinstance(found, a.And)
    assert set(found.items) == {a.Holds(like), a.Holds(shorter)}
    found = as_predicate(both(like, listed), COLUMNS)
    assert isinstance(found, a.And)
    assert set(found.items) == {a.Holds(like), a.TextIn(3, ("a", "bbbbbb"))}


def pieces(count: int, width: int = 1) -> Region:
    """Return codes with a gap after each piece, from 2 on."""
    return Region(
        tuple((2 + 20_000 * at, 1 + width + 20_000 * at) for at in range(count)), (), others=False, null=False
    )


def test_few_runs_are_ranges_many_a_list_and_very_many_a_term(monkeypatch: pytest.MonkeyPatch) -> None:
    wide, names = Universe(Sort.STEPS, 0, 1 << 20, nullable=True), Universe(Sort.INDICES, 0, 1 << 20, nullable=True)
    found = _predicate(0, wide, pieces(16))
    assert isinstance(found, a.Or)
    assert found.items[:2] == (a.InRange(0, 2, 2), a.InRange(0, 20_002, 20_002))
    assert len(found.items) == 16
    assert _predicate(0, wide, pieces(17)) == a.InSet(0, tuple(2 + 20_000 * at for at in range(17)))
    assert _predicate(0, wide, pieces(1, 10_001)) == a.InRange(0, 2, 10_002)
    assert _predicate(0, names, pieces(1, 10_000)) == a.InSet(0, tuple(range(2, 10_002)))
    assert _predicate(0, names, pieces(1, 10_001)) is None
    assert _predicate(0, names, pieces(2, 5_000)) is not None
    assert _predicate(0, names, pieces(2, 5_001)) is None
    # What is too ragged is a term.
    monkeypatch.setattr(normal, "_predicate", lambda *_: None)
    assert as_predicate(equal(1, 2), COLUMNS) == a.Holds(equal(1, 2))
    pair = both(equal(1, 2), t.Opposite(equal(1, 3)))
    found = as_predicate(pair, COLUMNS)
    assert isinstance(found, a.And)
    assert set(found.items) == {a.Holds(item) for item in pair.items}
