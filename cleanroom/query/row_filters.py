"""Which columns a predicate looks at, and the same predicate over other columns."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, assert_never

from cleanroom.query.algebra import (
    And,
    CompareColumns,
    Holds,
    InRange,
    InSet,
    IsNull,
    Not,
    Or,
    Predicate,
    TextIn,
    Truth,
)
from cleanroom.query.terms.language import Column, columns_of
from cleanroom.query.terms.rewriting import rewritten

if TYPE_CHECKING:
    from collections.abc import Mapping


def predicate_columns(predicate: Predicate) -> frozenset[int]:
    """Return the columns that a predicate looks at."""
    match predicate:
        case Truth():
            return frozenset()
        case InRange(column=column) | InSet(column=column) | TextIn(column=column) | IsNull(column=column):
            return frozenset({column})
        case CompareColumns(left=left, right=right):
            return frozenset({left, right})
        case And(items=items) | Or(items=items):
            return frozenset(column for item in items for column in predicate_columns(item))
        case Not(item=item):
            return predicate_columns(item)
        case Holds(term=term):
            return columns_of(term)
    assert_never(predicate)


def with_columns(predicate: Predicate, places: Mapping[int, int]) -> Predicate:
    """Return a predicate that looks at `places[i]` where `predicate` looks at column i."""
    match predicate:
        case Truth():
            return predicate
        case InRange(column=column) | InSet(column=column) | TextIn(column=column) | IsNull(column=column):
            return replace(predicate, column=places[column])
        case CompareColumns(left=left, right=right):
            return replace(predicate, left=places[left], right=places[right])
        case And(items=items) | Or(items=items):
            return replace(predicate, items=tuple(with_columns(item, places) for item in items))
        case Not(item=item):
            return Not(with_columns(item, places))
        case Holds(term=term):
            return Holds(rewritten(term, lambda index: Column(places[index])))
    assert_never(predicate)
