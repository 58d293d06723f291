"""One spelling for terms and predicates that say the same: equal questions, written differently, are one plan (S40).

Each rewriting keeps the value on every row: AND and OR are associative, commutative and idempotent for three values,
`=` is symmetric, NOT (a < b) is b <= a where neither is NULL and NULL where one is (codes and texts are totally
ordered), De Morgan's laws hold for three values, + and * commute on whole numbers that the builder keeps within bounds,
and of several least or greatest numbers the order does not matter.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar, assert_never

from cleanroom.query import algebra
from cleanroom.query.terms import language as t

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


T = TypeVar("T")


def canonical_term(term: t.Term) -> t.Term:
    """Return a term in its one spelling."""
    match term:
        case t.Column() | t.Integer() | t.Word() | t.Flag() | t.Nothing():
            return term
        case t.AllOf():
            return _joined(t.AllOf, term.items)
        case t.AnyOf():
            return _joined(t.AnyOf, term.items)
        case t.Opposite(item=item):
            return _opposite(item)
        case t.Compared(comparing=t.Comparing.EQUAL) | t.Plus() | t.Times():
            left, right = sorted((canonical_term(term.left), canonical_term(term.right)), key=repr)
            return replace(term, left=left, right=right)
        case t.Compared() | t.Minus() | t.Quotient():
            return replace(term, left=canonical_term(term.left), right=canonical_term(term.right))
        case t.Least() | t.Greatest():
            return replace(term, items=_sorted(map(canonical_term, term.items)))
        case t.Choice(branches=branches, otherwise=otherwise):
            made = tuple((canonical_term(when), canonical_term(value)) for when, value in branches)
            return t.Choice(made, canonical_term(otherwise))
        case t.OneOf(item=item, values=values):
            listed: tuple[int, ...] | tuple[str, ...] = _sorted(values)  # type: ignore[assignment]  # of one kind
            return t.OneOf(canonical_term(item), listed)
        case t.FloorDivide() | t.Remainder() | t.Absolute() | t.Sign() | t.LookUp() | t.Missing():
            return replace(term, item=canonical_term(term.item))
        case t.PartOf() | t.StartOf() | t.AddMonths():
            return replace(term, day=canonical_term(term.day))
        case t.PlaceOf() | t.Lower() | t.Upper() | t.Trim() | t.Substring() | t.Length() | t.Like():
            return replace(term, text=canonical_term(term.text))
    assert_never(term)


def _joined(kind: type[t.AllOf | t.AnyOf], items: Iterable[t.Term]) -> t.Term:
    found: list[t.Term] = []
    for item in items:
        made = canonical_term(item)
        found += made.items if isinstance(made, (t.AllOf, t.AnyOf)) and isinstance(made, kind) else [made]
    kept = _sorted(found)
    return kept[0] if len(kept) == 1 else kind(kept)


def _opposite(item: t.Term) -> t.Term:
    match item:
        case t.Opposite(item=inner):
            return canonical_term(inner)
        case t.AllOf(items=items):
            return canonical_term(t.AnyOf(tuple(t.Opposite(each) for each in items)))
        case t.AnyOf(items=items):
            return canonical_term(t.AllOf(tuple(t.Opposite(each) for each in items)))
        case t.Compared(comparing=t.Comparing.LESS, left=left, right=right):
            return canonical_term(t.Compared(t.Comparing.LESS_OR_EQUAL, right, left))
        case t.Compared(comparing=t.Comparing.LESS_OR_EQUAL, left=left, right=right):
            return canonical_term(t.Compared(t.Comparing.LESS, right, left))
        case _:
            return t.Opposite(canonical_term(item))


def conjuncts(term: t.Term | None) -> tuple[t.Term, ...]:
    """Return what must all be true for a canonical condition to be; none for no condition."""
    if term is None:
        return ()
    return term.items if isinstance(term, t.AllOf) else (term,)


def together(terms: Iterable[t.Term]) -> t.Term | None:
    """Return the canonical condition that all of these are true; None for none."""
    found = tuple(terms)
    return canonical_term(t.AllOf(found)) if found else None


def canonical_predicate(predicate: algebra.Predicate) -> algebra.Predicate:
    """Return a predicate in its one spelling; at the top of a filter, where what is not true is left out."""
    return _all(_conditions(predicate))


def _conditions(predicate: algebra.Predicate) -> Iterator[algebra.Predicate]:
    match predicate:
        case algebra.And(items=items):
            for item in items:
                yield from _conditions(item)
        case algebra.Holds(term=term):
            yield from (algebra.Holds(each) for each in conjuncts(canonical_term(term)))
        case algebra.CompareColumns(comparison=algebra.Comparison.EQUAL):
            left, right = sorted((predicate.left, predicate.right))
            yield replace(predicate, left=left, right=right)
        case algebra.Or(items=items):
            found: list[algebra.Predicate] = []
            for item in items:
                made = canonical_predicate(item)
                found += made.items if isinstance(made, algebra.Or) else [made]
            if algebra.Truth.TRUE in found:
                return
            kept = _sorted(each for each in found if each not in {algebra.Truth.FALSE, algebra.Truth.UNKNOWN})
            yield algebra.Or(kept) if len(kept) > 1 else kept[0] if kept else algebra.Truth.FALSE
        case algebra.Truth.TRUE:
            return
        case algebra.Truth.UNKNOWN:
            yield algebra.Truth.FALSE
        case _:
            yield predicate


def _all(items: Iterable[algebra.Predicate]) -> algebra.Predicate:
    """Return that all hold; ranges and sets of one column become what they have in common."""
    ranges: dict[tuple[type, int], algebra.Predicate] = {}
    found: list[algebra.Predicate] = []
    for item in items:
        if isinstance(item, (algebra.InRange, algebra.InSet)):
            place = (type(item), item.column)
            before = ranges.get(place)
            ranges[place] = item if before is None else _common(before, item)
        else:
            found.append(item)
    kept = _sorted([*ranges.values(), *found])
    if algebra.Truth.FALSE in kept:
        return algebra.Truth.FALSE
    if not kept:
        return algebra.Truth.TRUE
    return kept[0] if len(kept) == 1 else algebra.And(kept)


def _common(one: algebra.Predicate, other: algebra.Predicate) -> algebra.Predicate:
    match one, other:
        case algebra.InRange(column=column), algebra.InRange():
            lowers = [each.lower for each in (one, other) if each.lower is not None]
            uppers = [each.upper for each in (one, other) if each.upper is not None]
            lower, upper = max(lowers, default=None), min(uppers, default=None)
            if lower is not None and upper is not None and lower > upper:
                return algebra.Truth.FALSE
            return algebra.InRange(column, lower, upper)
        case algebra.InSet(column=column), algebra.InSet():
            codes = tuple(sorted(set(one.codes) & set(other.codes)))
            return algebra.InSet(column, codes) if codes else algebra.Truth.FALSE
        case _:
            return algebra.Truth.FALSE  # a range or set of this column is empty already


def _sorted(items: Iterable[T]) -> tuple[T, ...]:
    """Return items in the order of what they are, each once."""
    return tuple(item for _, item in sorted({repr(item): item for item in items}.items()))
