"""Read only the columns that matter, and join no more than is asked: the same question, said with less.

A relation is rewritten to the columns that are looked at above it. Where what is above does not care how often a row
occurs (`once`: only persons are counted, or rows are made distinct), a join that adds no column becomes a semi-join,
which is exact without any bound on fan-out; DISTINCT and windows that nothing looks at are left out. Each rewriting
keeps the set of (unit, looked-at columns), and without `once` their multiset, so it changes no exact vector (tests
hold the two forms equal). Whether a plan's bound holds does not rest on this: the algebra is personal either way.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from cleanroom.query import algebra
from cleanroom.query.algebra import JoinKind
from cleanroom.query.person_rows import PersonAggregate, PersonFunction, WindowFunction
from cleanroom.query.row_filters import predicate_columns, with_columns
from cleanroom.query.terms.language import Column, Term, columns_of
from cleanroom.query.terms.rewriting import rewritten

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_INDIFFERENT: Final = frozenset(
    {
        PersonFunction.LEAST,
        PersonFunction.GREATEST,
        PersonFunction.EVERY,
        PersonFunction.SOME,
        PersonFunction.COUNT_DISTINCT,
    }
)
"""Aggregates that do not change when a row occurs more often."""


@dataclass(frozen=True, slots=True)
class Narrow:
    """A rewritten relation.

    Args:
        places: for each old column that was needed where it stands now.
    """

    relation: algebra.Relation
    places: Mapping[int, int]

    def term(self, term: Term) -> Term:
        """Return a term over the rewritten columns."""
        return rewritten(term, lambda index: Column(self.places[index]))


def pruned(relation: algebra.Relation, *, once: bool) -> algebra.Relation:
    """Return `relation`, all its columns kept, reading no more than they need.

    Args:
        once: whether it does not matter how often a row occurs.
    """
    width = algebra.column_count(relation)
    narrow = _narrow(relation, frozenset(range(width)), once)
    return _arranged(narrow, range(width))


def _arranged(narrow: Narrow, wanted: Iterable[int]) -> algebra.Relation:
    """Return the rewritten relation with these old columns, in this order."""
    places = tuple(narrow.places[column] for column in wanted)
    if places == tuple(range(algebra.column_count(narrow.relation))):
        return narrow.relation
    return algebra.Select(narrow.relation, algebra.Truth.TRUE, places)


def _narrow(relation: algebra.Relation, needed: frozenset[int], once: bool) -> Narrow:
    match relation:
        case algebra.Scan(table=table, columns=columns):
            kept = sorted(needed)
            return Narrow(algebra.Scan(table, tuple(columns[place] for place in kept)), _numbered(kept))
        case algebra.Select():
            return _select(relation, needed, once)
        case algebra.Project(source=source, terms=terms):
            kept = sorted(needed)
            below = _narrow(source, _columns(terms[place] for place in kept), once)
            return Narrow(_projected(below.relation, [below.term(terms[place]) for place in kept]), _numbered(kept))
        case algebra.Join():
            return _join(relation, needed, once)
        case algebra.Semi(source=source, other=other, negated=negated, condition=condition):
            left, right, condition = _met(source, other, condition, needed, once)
            return Narrow(algebra.Semi(left.relation, right.relation, negated, condition), left.places)
        case algebra.Mark(source=source, other=other, condition=condition):
            width = algebra.column_count(source)
            if width not in needed:
                return _narrow(source, needed, once)
            left, right, condition = _met(source, other, condition, needed - {width}, once)
            places = {**left.places, width: algebra.column_count(left.relation)}
            return Narrow(algebra.Mark(left.relation, right.relation, condition), places)
        case algebra.FirstRows(source=source, most=most):
            # Which rows are first is decided by all columns, so all stay.
            whole = frozenset(range(algebra.column_count(source)))
            return Narrow(
                algebra.FirstRows(_arranged(_narrow(source, whole, once=False), sorted(whole)), most),
                _numbered(sorted(whole)),
            )
        case algebra.Distinct(source=source):
            if once:
                return _narrow(source, needed, once=True)
            whole = frozenset(range(algebra.column_count(source)))
            below = _narrow(source, whole, once=True)
            return Narrow(algebra.Distinct(_arranged(below, sorted(whole))), _numbered(sorted(whole)))
        case algebra.Persons(source=source):
            return Narrow(algebra.Persons(_narrow(source, frozenset(), once=True).relation), {})
        case algebra.UnionAll(arms=arms):
            kept = sorted(needed)
            narrowed = tuple(
                algebra.Arm(
                    _arranged(_narrow(arm.relation, needed, once), kept), tuple(arm.recodes[place] for place in kept)
                )
                for arm in arms
            )
            return Narrow(algebra.UnionAll(narrowed), _numbered(kept))
        case algebra.GroupPerson():
            return _group(relation, needed, once)
        case algebra.Window():
            return _window(relation, needed, once)
        case algebra.JoinPublic(source=source, table=table, outer=outer, condition=condition):
            width = algebra.column_count(source)
            looked = columns_of(condition) | needed
            below = _narrow(source, frozenset(place for place in looked if place < width), once)
            kept = sorted(place - width for place in looked if place >= width)
            base = algebra.column_count(below.relation)
            places = {**below.places, **{width + old: base + new for new, old in enumerate(kept)}}
            joined = algebra.JoinPublic(
                below.relation,
                table.chosen(kept),
                outer,
                rewritten(condition, lambda index: Column(places[index])),
            )
            return Narrow(joined, places)


def _numbered(kept: list[int]) -> dict[int, int]:
    return {old: new for new, old in enumerate(kept)}


def _columns(terms: Iterable[Term]) -> frozenset[int]:
    return frozenset(column for term in terms for column in columns_of(term))


def _projected(relation: algebra.Relation, terms: list[Term]) -> algebra.Relation:
    places = [term.index for term in terms if isinstance(term, Column)]
    if len(places) == len(terms):
        if places == list(range(algebra.column_count(relation))):
            return relation
        return algebra.Select(relation, algebra.Truth.TRUE, tuple(places))
    return algebra.Project(relation, tuple(terms))


def _select(relation: algebra.Select, needed: frozenset[int], once: bool) -> Narrow:
    kept = sorted(needed)
    looked = predicate_columns(relation.predicate)
    below = _narrow(relation.source, looked | {relation.columns[place] for place in kept}, once)
    predicate = with_columns(relation.predicate, below.places)
    columns = tuple(below.places[relation.columns[place]] for place in kept)
    if predicate is algebra.Truth.TRUE and columns == tuple(range(algebra.column_count(below.relation))):
        return Narrow(below.relation, _numbered(kept))
    if isinstance(below.relation, algebra.Select) and (
        predicate is algebra.Truth.TRUE or below.relation.predicate is algebra.Truth.TRUE
    ):
        inner = below.relation
        merged = with_columns(predicate, dict(enumerate(inner.columns)))
        if predicate is algebra.Truth.TRUE:
            merged = inner.predicate
        chosen = tuple(inner.columns[place] for place in columns)
        return Narrow(algebra.Select(inner.source, merged, chosen), _numbered(kept))
    return Narrow(algebra.Select(below.relation, predicate, columns), _numbered(kept))


def _met(
    source: algebra.Relation,
    other: algebra.Relation,
    condition: Term | None,
    needed: frozenset[int],
    once: bool,
) -> tuple[Narrow, Narrow, Term | None]:
    """Rewrite both sides of a semi-join or mark; nothing above looks at the other side's rows or their number."""
    width = algebra.column_count(source)
    looked = columns_of(condition) if condition is not None else frozenset()
    left = _narrow(source, needed | frozenset(place for place in looked if place < width), once)
    right = _narrow(other, frozenset(place - width for place in looked if place >= width), once=True)
    return left, right, _across(condition, left, right, width)


def _across(condition: Term | None, left: Narrow, right: Narrow, width: int) -> Term | None:
    if condition is None:
        return None
    base = algebra.column_count(left.relation)
    return rewritten(
        condition,
        lambda index: Column(left.places[index] if index < width else base + right.places[index - width]),
    )


def _join(relation: algebra.Join, needed: frozenset[int], once: bool) -> Narrow:
    width, other = algebra.column_count(relation.left), algebra.column_count(relation.right)
    looked = needed | (columns_of(relation.condition) if relation.condition is not None else frozenset())
    from_left = frozenset(place for place in needed if place < width)
    from_right = frozenset(place for place in needed if width <= place < width + other)
    kind = relation.kind
    marks = needed - from_left - from_right
    if once and kind is JoinKind.INNER and not from_right:
        left, right, condition = _met(relation.left, relation.right, relation.condition, from_left, once)
        return Narrow(algebra.Semi(left.relation, right.relation, condition=condition), left.places)
    if once and kind is JoinKind.INNER and not from_left and relation.condition is None:
        right, left, _ = _met(relation.right, relation.left, None, frozenset(p - width for p in from_right), once)
        places = {width + old: new for old, new in right.places.items()}
        return Narrow(algebra.Semi(right.relation, left.relation), places)
    if once and kind is JoinKind.LEFT and not from_right:
        if not marks:
            return _narrow(relation.left, from_left, once)
        left, right, condition = _met(relation.left, relation.right, relation.condition, from_left, once)
        places = {**left.places, width + other: algebra.column_count(left.relation)}
        return Narrow(algebra.Mark(left.relation, right.relation, condition), places)
    left = _narrow(relation.left, frozenset(place for place in looked if place < width), once)
    right = _narrow(
        relation.right, frozenset(place - width for place in looked if width <= place < width + other), once
    )
    base = algebra.column_count(left.relation)
    end = base + algebra.column_count(right.relation)
    places = {
        **left.places,
        **{width + old: base + new for old, new in right.places.items()},
        **{width + other + at: end + at for at in range(kind.keeps_left + kind.keeps_right)},
    }
    condition = _across(relation.condition, left, right, width)
    return Narrow(algebra.Join(left.relation, right.relation, kind, condition), places)


def _group(relation: algebra.GroupPerson, needed: frozenset[int], once: bool) -> Narrow:
    keys = relation.keys
    if once and all(place < len(keys) for place in needed):
        kept = sorted(needed)
        below = _narrow(relation.source, _columns(keys[place] for place in kept), once=True)
        return Narrow(_projected(below.relation, [below.term(keys[place]) for place in kept]), _numbered(kept))
    kept = [place for place in range(len(relation.aggregates)) if len(keys) + place in needed]
    aggregates = [relation.aggregates[place] for place in kept]
    looked = _columns(keys) | frozenset(column for each in aggregates for column in aggregate_columns(each))
    indifferent = all(each.function in _INDIFFERENT for each in aggregates)
    below = _narrow(relation.source, looked, once=indifferent)
    made = algebra.GroupPerson(
        below.relation,
        tuple(below.term(key) for key in keys),
        tuple(_moved(each, below) for each in aggregates),
    )
    places = {place: place for place in range(len(keys))}
    places |= {len(keys) + old: len(keys) + new for new, old in enumerate(kept)}
    return Narrow(made, places)


def aggregate_columns(aggregate: PersonAggregate) -> frozenset[int]:
    """Return the columns that an aggregate looks at, tie-breakers not counted."""
    terms = [term for term in (aggregate.item, aggregate.where) if term is not None]
    return _columns([*terms, *(each.term for each in aggregate.order)])


def _moved(aggregate: PersonAggregate, below: Narrow) -> PersonAggregate:
    return replace(
        aggregate,
        item=below.term(aggregate.item) if aggregate.item is not None else None,
        where=below.term(aggregate.where) if aggregate.where is not None else None,
        order=tuple(replace(each, term=below.term(each.term)) for each in aggregate.order),
    )


def _window(relation: algebra.Window, needed: frozenset[int], once: bool) -> Narrow:
    width = algebra.column_count(relation.source)
    kept = [place for place in range(len(relation.functions)) if width + place in needed]
    from_source = frozenset(place for place in needed if place < width)
    if not kept:
        return _narrow(relation.source, from_source, once)
    functions = [relation.functions[place] for place in kept]
    looked = frozenset(column for each in functions for column in window_columns(each))
    below = _narrow(relation.source, from_source | looked, once=False)
    made = algebra.Window(below.relation, tuple(_moved_window(each, below) for each in functions))
    base = algebra.column_count(below.relation)
    return Narrow(made, {**below.places, **{width + old: base + new for new, old in enumerate(kept)}})


def window_columns(function: WindowFunction) -> frozenset[int]:
    """Return the columns that a window function looks at, tie-breakers not counted."""
    terms = [*function.partition, *(each.term for each in function.order)]
    if function.item is not None:
        terms.append(function.item)
    inner = aggregate_columns(function.aggregate) if function.aggregate is not None else frozenset()
    return _columns(terms) | inner


def _moved_window(function: WindowFunction, below: Narrow) -> WindowFunction:
    return replace(
        function,
        item=below.term(function.item) if function.item is not None else None,
        partition=tuple(below.term(each) for each in function.partition),
        order=tuple(replace(each, term=below.term(each.term)) for each in function.order),
        aggregate=_moved(function.aggregate, below) if function.aggregate is not None else None,
    )
