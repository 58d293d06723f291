"""Conditions as predicates in one form: equal questions, spelled differently, filter by the same predicate (S40).

At the top of a WHERE unknown counts as false. There each condition on one column becomes the codes, days or texts for
which it is true, conditions on the same column together; what looks at several columns stays a term.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cleanroom.query import algebra
from cleanroom.query.terms import language as t
from cleanroom.query.terms.evaluate import evaluate, is_true
from cleanroom.query.terms.universes import Sort, region

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cleanroom.query.terms.universes import Region, Universe

_MOST_RUNS: Final = 16
_MOST_CODES: Final = 10_000


def as_predicate(condition: t.Term, universes: Mapping[int, Universe]) -> algebra.Predicate:
    """Return the predicate that is true where a condition is.

    Args:
        universes: what each column can hold; of a column that is not there nothing is known.
    """
    by_column: dict[int, list[t.Term]] = {}
    found: list[algebra.Predicate] = []
    for item in _conjuncts(condition):
        columns = t.columns_of(item)
        if not columns:
            if not is_true(evaluate(item, {}))[0]:
                return algebra.Truth.FALSE
        elif len(columns) == 1 and columns <= universes.keys():
            by_column.setdefault(min(columns), []).append(item)
        else:
            found.append(_either(item, universes))
    for column, items in by_column.items():
        found += _of_column(column, items, universes[column])
    return _all(found)


def _either(condition: t.Term, universes: Mapping[int, Universe]) -> algebra.Predicate:
    """Return where a condition on several columns is true: where one of its alternatives is, each in its own form."""
    alternatives = _disjuncts(condition)
    if len(alternatives) == 1:
        return algebra.Holds(condition)
    found = [as_predicate(each, universes) for each in alternatives]
    if algebra.Truth.TRUE in found:
        return algebra.Truth.TRUE
    kept = sorted({repr(item): item for item in found if item is not algebra.Truth.FALSE}.items())
    if not kept:
        return algebra.Truth.FALSE
    return kept[0][1] if len(kept) == 1 else algebra.Or(tuple(item for _, item in kept))


def _disjuncts(condition: t.Term) -> list[t.Term]:
    """Return what must one be true; by De Morgan, which holds for three values, the opposites of a negated AND."""
    match condition:
        case t.AnyOf(items=items):
            return [part for item in items for part in _disjuncts(item)]
        case t.Opposite(item=t.AllOf(items=items)):
            return [part for item in items for part in _disjuncts(t.Opposite(item))]
        case t.Opposite(item=t.Opposite(item=item)):
            return _disjuncts(item)
        case _:
            return [condition]


def _conjuncts(condition: t.Term) -> Iterator[t.Term]:
    """Return what must all be true."""
    match condition:
        case t.AllOf(items=items):
            for item in items:
                yield from _conjuncts(item)
        case t.Opposite(item=t.AnyOf(items=items)):
            for item in items:
                yield from _conjuncts(t.Opposite(item))
        case t.Opposite(item=t.Opposite(item=item)):
            yield from _conjuncts(item)
        case _:
            yield condition


def _of_column(column: int, items: list[t.Term], universe: Universe) -> list[algebra.Predicate]:
    together = items[0] if len(items) == 1 else t.AllOf(tuple(items))
    found = region(together, column, universe)
    predicate = _predicate(column, universe, found) if found is not None else None
    if predicate is not None:
        return [predicate]
    if len(items) == 1:
        return [algebra.Holds(together)]
    # One of several that cannot be read does not keep the others from it.
    read = [item for item in items if region(item, column, universe) is not None]
    rest = [algebra.Holds(item) for item in items if item not in read]
    if not read or not rest:
        return [algebra.Holds(item) for item in items]
    return [*_of_column(column, read, universe), *rest]


def _predicate(column: int, universe: Universe, found: Region) -> algebra.Predicate | None:
    """Return where a region lies as a predicate, or None if it is too ragged."""
    everything = found.null or not universe.nullable
    match universe.sort:
        case Sort.TEXTS:
            if found.others and not found.words:
                return algebra.Truth.TRUE if everything else algebra.InRange(column, None, None)
            listed = algebra.TextIn(column, found.words)
            if found.others:
                return _any([algebra.Not(listed)], column, found)
            return _any([listed] if found.words else [], column, found)
        case Sort.FLAGS:
            return _flags(column, found, everything)
    if found.runs == ((universe.lower, universe.upper),):
        return algebra.Truth.TRUE if everything else algebra.InRange(column, None, None)
    codes = sum(upper - lower + 1 for lower, upper in found.runs)
    if found.runs and (universe.sort is Sort.INDICES or len(found.runs) > _MOST_RUNS):
        if codes > _MOST_CODES:
            return None
        listed_codes = tuple(code for lower, upper in found.runs for code in range(lower, upper + 1))
        return _any([algebra.InSet(column, listed_codes)], column, found)
    ranges: list[algebra.Predicate] = [
        algebra.InRange(column, None if lower == universe.lower else lower, None if upper == universe.upper else upper)
        for lower, upper in found.runs
    ]
    return _any(ranges, column, found)


def _flags(column: int, found: Region, everything: bool) -> algebra.Predicate:
    true = {code for lower, upper in found.runs for code in range(lower, upper + 1)}
    if true == {0, 1}:
        return algebra.Truth.TRUE if everything else algebra.Not(algebra.IsNull(column))
    bare = t.Column(column)
    holds = [algebra.Holds(bare if code else t.Opposite(bare)) for code in sorted(true)]
    return _any([*holds], column, found)


def _any(items: list[algebra.Predicate], column: int, found: Region) -> algebra.Predicate:
    all_items = [*items, algebra.IsNull(column)] if found.null else items
    if not all_items:
        return algebra.Truth.FALSE
    return all_items[0] if len(all_items) == 1 else algebra.Or(tuple(all_items))


def _all(items: list[algebra.Predicate]) -> algebra.Predicate:
    if algebra.Truth.FALSE in items:
        return algebra.Truth.FALSE
    kept = sorted({repr(item): item for item in items if item is not algebra.Truth.TRUE}.items())
    if not kept:
        return algebra.Truth.TRUE
    return kept[0][1] if len(kept) == 1 else algebra.And(tuple(item for _, item in kept))
