"""Columns of a rewritten relation: where each stands now, and what is said over them there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cleanroom.query.canonical_terms import canonical_term
from cleanroom.query.terms import language as t
from cleanroom.query.terms.rewriting import rewritten

if TYPE_CHECKING:
    from cleanroom.query.algebra import Relation
    from cleanroom.query.person_rows import PersonAggregate, WindowFunction


@dataclass(frozen=True, slots=True)
class Placed:
    """A rewritten relation with as many columns.

    Args:
        places: for each old column where it stands now.
    """

    relation: Relation
    places: tuple[int, ...]

    def term(self, term: t.Term) -> t.Term:
        """Return a term over the rewritten columns, in its one spelling."""
        return canonical_term(rewritten(term, lambda index: t.Column(self.places[index])))


def same_rows(width: int) -> t.Term | None:
    """Return that two rows are equal, NULL with NULL, over the columns of both sides; None for no columns."""
    equal: list[t.Term] = []
    for place in range(width):
        left, right = t.Column(place), t.Column(place + width)
        both_missing = t.AllOf((t.Missing(left), t.Missing(right)))
        equal.append(t.AnyOf((both_missing, t.Compared(t.Comparing.EQUAL, left, right))))
    return None if not equal else equal[0] if len(equal) == 1 else t.AllOf(tuple(equal))


def aggregate_over(aggregate: PersonAggregate, below: Placed) -> PersonAggregate:
    """Return an aggregate over the rewritten columns, its terms in their one spelling."""
    return replace(
        aggregate,
        item=below.term(aggregate.item) if aggregate.item is not None else None,
        where=below.term(aggregate.where) if aggregate.where is not None else None,
        order=tuple(replace(each, term=below.term(each.term)) for each in aggregate.order),
    )


def window_over(function: WindowFunction, below: Placed) -> WindowFunction:
    """Return a window function over the rewritten columns, its terms in their one spelling."""
    return replace(
        function,
        item=below.term(function.item) if function.item is not None else None,
        partition=tuple(below.term(each) for each in function.partition),
        order=tuple(replace(each, term=below.term(each.term)) for each in function.order),
        aggregate=aggregate_over(function.aggregate, below) if function.aggregate is not None else None,
    )
