"""Which of an owner's dimensions a key needs (docs/adr/0009).

A key is allowed on a column if the owner lists the column as a dimension; on a date, if the key is a function of a
listed part of it (quarter and year of `purchased:month`); and if it is *coarse*, with at most half as many values as
the column, where the owner lets the column be filtered by: then its cells say no more than so many filters would.
Whether one function is a function of another is found out on every declared value, so no spelling escapes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cleanroom.query import algebra, statistics
from cleanroom.query.person_rows import PersonFunction
from cleanroom.query.terms import language as t
from cleanroom.query.terms.evaluate import Values, evaluate
from cleanroom.query.terms.rewriting import rewritten
from cleanroom.query.terms.types import declared_type
from cleanroom.query.terms.universes import MOST, Sort, Universe, universe_of
from cleanroom.query.usage import origins_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cleanroom.catalog import TableCatalog
    from cleanroom.identifiers import TableName
    from cleanroom.policies import AnalysisRule

_UNITS = {
    "week": t.DateUnit.WEEK,
    "month": t.DateUnit.MONTH,
    "quarter": t.DateUnit.QUARTER,
    "year": t.DateUnit.YEAR,
}
_OF_VALUES = frozenset({PersonFunction.LEAST, PersonFunction.GREATEST, PersonFunction.FIRST, PersonFunction.LAST})
"""Aggregates of a person whose value is one of the column's own."""


@dataclass(frozen=True, slots=True)
class Traced:
    """What a column is, in terms of one column of one table: `term` over `Column(0)`."""

    table: TableName
    column: str
    term: t.Term


@dataclass(frozen=True, slots=True)
class Opaque:
    """A column made of several, or of counts and sums; only its origins are known."""


def traced(relation: algebra.Relation, place: int) -> list[Traced | Opaque]:
    """Return what a column of `relation` is, once for each arm of a union that gives it."""
    match relation:
        case algebra.Scan(table=table, columns=columns):
            return [Traced(table, columns[place], t.Column(0))]
        case algebra.Select(source=source, columns=columns):
            return traced(source, columns[place])
        case algebra.Project(source=source, terms=terms):
            return _of_term(source, terms[place])
        case algebra.Join(left=left, right=right):
            width, other = algebra.column_count(left), algebra.column_count(right)
            if place < width:
                return traced(left, place)
            return traced(right, place - width) if place < width + other else []
        case algebra.UnionAll(arms=arms):
            return [each for arm in arms for each in _of_arm(arm, place)]
        case algebra.GroupPerson(source=source, keys=keys, aggregates=aggregates):
            if place < len(keys):
                return _of_term(source, keys[place])
            aggregate = aggregates[place - len(keys)]
            if aggregate.function in _OF_VALUES and aggregate.item is not None:
                return _of_term(source, aggregate.item)
            return [Opaque()]
        case algebra.Window(source=source, functions=functions):
            width = algebra.column_count(source)
            if place < width:
                return traced(source, place)
            function = functions[place - width]
            if function.item is None:
                return [] if function.aggregate is None else [Opaque()]
            return [Opaque()] if function.aggregate is not None else _of_term(source, function.item)
        case algebra.Persons():
            return []
        case algebra.JoinPublic(source=source, condition=condition):
            width = algebra.column_count(source)
            if place < width:
                return traced(source, place)
            # A public column shows what its row was met by: each of these must be allowed as a key itself.
            return [each for term in _sides_of(condition, width) for each in _of_term(source, term)]
        case _:
            width = algebra.column_count(relation.source)
            return traced(relation.source, place) if place < width else []


def _of_term(source: algebra.Relation, term: t.Term) -> list[Traced | Opaque]:
    columns = t.columns_of(term)
    if not columns:
        return []
    if len(columns) > 1:
        return [Opaque()]
    (column,) = columns
    return [
        each if isinstance(each, Opaque) else Traced(each.table, each.column, _inside(term, each.term))
        for each in traced(source, column)
    ]


def _sides_of(condition: t.Term, width: int) -> Iterator[t.Term]:
    """Yield the largest parts of a join's condition that look at the left side alone."""
    columns = t.columns_of(condition)
    if columns and all(place < width for place in columns):
        # What is compared with a constant shows whether it holds; the comparison is the term.
        yield condition
        return
    for part in t.parts(condition):
        yield from _sides_of(part, width)


def _inside(term: t.Term, inner: t.Term) -> t.Term:
    return rewritten(term, lambda _: inner)


def _of_arm(arm: algebra.Arm, place: int) -> Iterator[Traced | Opaque]:
    recodes = arm.recodes[place]
    for each in traced(arm.relation, place):
        if isinstance(each, Opaque) or recodes is None:
            yield each
        else:
            yield Traced(each.table, each.column, t.LookUp(each.term, 0, recodes))


def refused_dimensions(
    relation: algebra.Relation,
    key: statistics.Key,
    table: TableName,
    rule: AnalysisRule,
    catalogs: Mapping[TableName, TableCatalog],
) -> list[str]:
    """Return the columns of `table` that a key of `relation` may not show under `rule`."""
    found: list[str] = []
    place = key.column
    term: t.Term = t.Column(place)
    if isinstance(key, statistics.MonthKey):
        term = t.StartOf(t.DateUnit.MONTH, term)
    for each in _of_term(relation, term):
        if isinstance(each, Opaque):
            found += [
                column
                for origin, column in sorted(origins_of(relation)[place], key=str)
                if origin == table and not (_listed(rule, column) or _filterable(rule, column))
            ]
        elif each.table == table and not _allowed(each, rule, catalogs[table]):
            found.append(each.column)
    return list(dict.fromkeys(found))


def _listed(rule: AnalysisRule, column: str) -> bool:
    return any(each.column == column and each.part in {None, "day"} for each in rule.dimensions)


def _filterable(rule: AnalysisRule, column: str) -> bool:
    return rule.allowed_literals is None or column in rule.allowed_literals


def _allowed(key: Traced, rule: AnalysisRule, catalog: TableCatalog) -> bool:
    if _listed(rule, key.column):
        return True
    declared = catalog.column(key.column)
    if declared is None:
        return False
    universe = universe_of(declared_type(declared.type))
    if universe.sort is Sort.TEXTS or (universe.size or 0) > MOST:
        return False
    values = _all_values(universe)
    mine = _shown(key.term, values)
    for each in rule.dimensions:
        unit = _UNITS.get(each.part or "")
        if each.column == key.column and unit is not None:
            start = evaluate(t.StartOf(unit, t.Column(0)), {0: values})
            if np.array_equal(mine, _shown(key.term, start)):
                return True
    coarse = 2 * len(set(mine.tolist())) <= len(mine)
    return coarse and _filterable(rule, key.column)


def _all_values(universe: Universe) -> Values:
    codes = np.arange(universe.lower, universe.upper + 1, dtype=np.int64)
    return Values(codes, np.ones(len(codes), dtype=np.bool_))


def _shown(term: t.Term, values: Values) -> npt.NDArray[np.object_]:
    """Return the values of a term with NULL as one of them."""
    found = evaluate(term, {0: values}, len(values.present))
    shown = found.data.astype(object)
    shown[~found.present] = None
    return shown
