"""Put other terms in the place of a term's columns."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, assert_never

from cleanroom.query.terms import language as t

if TYPE_CHECKING:
    from collections.abc import Callable


def rewritten(term: t.Term, column: Callable[[int], t.Term]) -> t.Term:
    """Return `term` with `column(index)` in the place of each column."""

    def inside(each: t.Term) -> t.Term:
        return rewritten(each, column)

    match term:
        case t.Column(index=index):
            return column(index)
        case t.Integer() | t.Word() | t.Flag() | t.Nothing():
            return term
        case t.Plus() | t.Minus() | t.Times() | t.Quotient() | t.Compared():
            return replace(term, left=inside(term.left), right=inside(term.right))
        case t.Least() | t.Greatest() | t.AllOf() | t.AnyOf():
            return replace(term, items=tuple(inside(item) for item in term.items))
        case t.Choice(branches=branches, otherwise=otherwise):
            return t.Choice(tuple((inside(when), inside(value)) for when, value in branches), inside(otherwise))
        case t.FloorDivide() | t.Remainder() | t.Absolute() | t.Sign() | t.LookUp():
            return replace(term, item=inside(term.item))
        case t.OneOf() | t.Missing() | t.Opposite():
            return replace(term, item=inside(term.item))
        case t.PartOf() | t.StartOf() | t.AddMonths():
            return replace(term, day=inside(term.day))
        case t.PlaceOf() | t.Lower() | t.Upper() | t.Trim() | t.Substring() | t.Length() | t.Like():
            return replace(term, text=inside(term.text))
    assert_never(term)


def shifted(term: t.Term, by: int) -> t.Term:
    """Return `term` with `by` added to the number of each column."""
    return rewritten(term, lambda index: t.Column(index + by)) if by else term
