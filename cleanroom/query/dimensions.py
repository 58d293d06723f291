"""Which of an owner's dimensions a key needs (docs/adr/0009).

A key is allowed on a column if the owner lists the column as a dimension; on a date, if the key is a function of a
listed part of it (quarter and year of `purchased:month`); and if it is *coarse*, with at most half as many values as
the column, where the owner lets the column be filtered by: then its cells say no more than so many filters would.
Whether one function is a function of another is found out on every declared value, so no spelling escapes it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

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

_WORK: Final = 1 << 24
"""Values times operations that are tried for a key: some tens of milliseconds."""

MOST_TRACES: Final = 1_000
"""Ways from a key to the columns behind it that are looked at one by one."""


@dataclass(frozen=True, slots=True)
class Traced:
    """What a column is, in terms of one column of one table.

    Args:
        steps: terms over `Column(0)`, the first over the column, each other over the one before. Written into each
            other they could double at every step.
    """

    table: TableName
    column: str
    steps: tuple[t.Term, ...] = ()


@dataclass(frozen=True, slots=True)
class Opaque:
    """A column made of several, or of counts and sums; only its origins are known."""


def traced(relation: algebra.Relation, place: int) -> list[Traced | Opaque]:
    """Return what a column of `relation` is, once for each arm of a union that gives it."""
    return _Tracing().of(relation, place)


@dataclass(slots=True)
class _Tracing:
    """Traces columns, each once: a public table may be met by many columns, each of which may be one of another."""

    known: dict[tuple[int, int], list[Traced | Opaque]] = field(default_factory=dict)

    def of(self, relation: algebra.Relation, place: int) -> list[Traced | Opaque]:
        """Return what a column is."""
        found = self.known.get((id(relation), place))
        if found is None:
            found = list(dict.fromkeys(self.found(relation, place)))
            # What is too much to be looked at one by one is judged by where it comes from.
            found = found if len(found) <= MOST_TRACES else [Opaque()]
            self.known[id(relation), place] = found
        return found

    def found(self, relation: algebra.Relation, place: int) -> list[Traced | Opaque]:
        match relation:
            case algebra.Scan(table=table, columns=columns):
                return [Traced(table, columns[place])]
            case algebra.Select(source=source, columns=columns):
                return self.of(source, columns[place])
            case algebra.Project(source=source, terms=terms):
                return self.of_term(source, terms[place])
            case algebra.Join(left=left, right=right):
                width, other = algebra.column_count(left), algebra.column_count(right)
                if place < width:
                    return self.of(left, place)
                return self.of(right, place - width) if place < width + other else []
            case algebra.UnionAll(arms=arms):
                return [each for arm in arms for each in self.of_arm(arm, place)]
            case algebra.GroupPerson(source=source, keys=keys, aggregates=aggregates):
                if place < len(keys):
                    return self.of_term(source, keys[place])
                aggregate = aggregates[place - len(keys)]
                if aggregate.function in _OF_VALUES and aggregate.item is not None:
                    return self.of_term(source, aggregate.item)
                return [Opaque()]
            case algebra.Window(source=source, functions=functions):
                width = algebra.column_count(source)
                if place < width:
                    return self.of(source, place)
                function = functions[place - width]
                if function.item is None:
                    return [] if function.aggregate is None else [Opaque()]
                return [Opaque()] if function.aggregate is not None else self.of_term(source, function.item)
            case algebra.Persons():
                return []
            case algebra.JoinPublic(source=source, condition=condition):
                width = algebra.column_count(source)
                if place < width:
                    return self.of(source, place)
                # A public column shows what its row was met by: each of these must be allowed as a key itself.
                return [each for term in _sides_of(condition, width) for each in self.of_term(source, term)]
            case _:
                width = algebra.column_count(relation.source)
                return self.of(relation.source, place) if place < width else []

    def of_term(self, source: algebra.Relation, term: t.Term) -> list[Traced | Opaque]:
        """Return what a term over a relation is."""
        columns = t.columns_of(term)
        if not columns:
            return []
        if len(columns) > 1:
            return [Opaque()]
        (column,) = columns
        below = self.of(source, column)
        if isinstance(term, t.Column):
            return below
        step = rewritten(term, lambda _: t.Column(0))
        return [each if isinstance(each, Opaque) else replace(each, steps=(*each.steps, step)) for each in below]

    def of_arm(self, arm: algebra.Arm, place: int) -> Iterator[Traced | Opaque]:
        """Yield what a column of one arm of a union is."""
        recodes = arm.recodes[place]
        for each in self.of(arm.relation, place):
            if isinstance(each, Opaque) or recodes is None:
                yield each
            else:
                yield replace(each, steps=(*each.steps, t.LookUp(t.Column(0), 0, recodes)))


def _sides_of(condition: t.Term, width: int) -> Iterator[t.Term]:
    """Yield the largest parts of a join's condition that look at the left side alone."""
    columns = t.columns_of(condition)
    if columns and all(place < width for place in columns):
        # What is compared with a constant shows whether it holds; the comparison is the term.
        yield condition
        return
    for part in t.parts(condition):
        yield from _sides_of(part, width)


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
    for each in _Tracing().of_term(relation, term):
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
    if sum(map(t.size_of, key.steps)) * (universe.size or 0) > _WORK:
        return False
    values = _all_values(universe)
    mine = _shown(_through(key.steps, values))
    for each in rule.dimensions:
        unit = _UNITS.get(each.part or "")
        if each.column == key.column and unit is not None:
            start = evaluate(t.StartOf(unit, t.Column(0)), {0: values})
            if np.array_equal(mine, _shown(_through(key.steps, start))):
                return True
    coarse = 2 * len(set(mine.tolist())) <= len(mine)
    return coarse and _filterable(rule, key.column)


def _all_values(universe: Universe) -> Values:
    codes = np.arange(universe.lower, universe.upper + 1, dtype=np.int64)
    return Values(codes, np.ones(len(codes), dtype=np.bool_))


def _through(steps: tuple[t.Term, ...], values: Values) -> Values:
    """Return what the values of a column become, step by step."""
    for step in steps:
        values = evaluate(step, {0: values}, len(values.present))
    return values


def _shown(values: Values) -> npt.NDArray[np.object_]:
    """Return values with NULL as one of them."""
    shown = values.data.astype(object)
    shown[~values.present] = None
    return shown
