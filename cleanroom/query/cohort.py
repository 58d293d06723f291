"""Find which owners can put a row into a cell, from declared domains alone (S43).

A sector figure must not be one organisation's business: every cell and filter of a sector question must be within
reach of enough owners. What is "within reach" is read from the catalog and the question, never from data, so it says
nothing about people; it is an owner's rule and no privacy guarantee.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Final, assert_never

from cleanroom.catalog import Category, Date, Number, Text, day_number
from cleanroom.errors import InvariantBroken
from cleanroom.query import algebra, statistics
from cleanroom.query.person_rows import PersonFunction
from cleanroom.query.spans import (
    ANYTHING,
    MOST_WORK,
    Intervals,
    Span,
    Spans,
    Unjudged,
    Work,
    all_of,
    common,
    decoded,
    either,
    encoded,
    meet,
    starts,
    without,
)
from cleanroom.query.terms.evaluate import Values, evaluate
from cleanroom.query.terms.language import Column, Term, columns_of
from cleanroom.query.terms.universes import MOST

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cleanroom.catalog import TableCatalog
    from cleanroom.identifiers import PartyId, TableName
    from cleanroom.query.plan import Plan

MOST_ALTERNATIVES: Final = 256

OF_VALUES: Final = frozenset({PersonFunction.LEAST, PersonFunction.GREATEST, PersonFunction.FIRST, PersonFunction.LAST})
"""Aggregates of a person whose value is one of the rows'."""


def fewest_owners(plan: Plan, catalogs: Mapping[TableName, TableCatalog], asker: PartyId) -> int:
    """Return the least number of owners, the asker not counted, that can reach one cell of `plan`.

    Cells that nobody can reach are known to be empty and do not count.
    """
    work = Work()
    reaches: list[set[frozenset[PartyId]]] = []
    for key in plan.keys:
        spans = _values(key, _ends(plan.relation, key.column, catalogs))
        found = {owners_reaching(plan.relation, {key.column: span}, catalogs, work) - {asker} for span in spans}
        reaches.append(found - {frozenset()})
    combined = {owners_reaching(plan.relation, {}, catalogs, work) - {asker}}
    for found in reaches:
        if len(combined) * len(found) > MOST_WORK:
            raise Unjudged
        combined = {one & other for one in combined for other in found} - {frozenset()}
    return min((len(owners) for owners in combined), default=0)


def _values(key: statistics.Key, ends: frozenset[int] | None) -> Iterator[Span]:
    if key.nullable:
        yield Span((), null=True)
    match key:
        case statistics.CategoryKey(domain=domain):
            yield from (Span(((code, code),), null=False) for code in range(len(domain)))
        case statistics.NumberKey(lower=lower, upper=upper):
            # Between two ends of arms or filters all codes are reached alike, so one of each piece decides.
            # What is computed may be anything at any code.
            few = None if ends is None else {lower, *(end for end in ends if lower <= end <= upper)}
            codes = range(lower, upper + 1) if few is None else sorted(few)
            yield from (Span(((code, code),), null=False) for code in codes)
        case statistics.ListedKey(codes=codes):
            yield from (Span(((code, code),), null=False) for code in codes)
        case statistics.UnknownKey():
            # Nobody declares which values there are, so one may be one owner's.
            yield Span((), null=False)
        case statistics.MonthKey(first=first, months=months):
            for month in range(first, first + months):
                yield Span(((day_number(_month(month)), day_number(_month(month + 1)) - 1),), null=False)
        case _:
            assert_never(key)


def _month(number: int) -> date:
    return date(1970 + number // 12, number % 12 + 1, 1)


def owners_reaching(
    relation: algebra.Relation,
    spans: Spans,
    catalogs: Mapping[TableName, TableCatalog],
    work: Work | None = None,
) -> frozenset[PartyId]:
    """Return the owners whose tables can give a row of `relation` with columns within `spans`."""
    work = work if work is not None else Work()
    work.step()
    reached: frozenset[PartyId]
    match relation:
        case algebra.Scan(table=table, columns=columns):
            for place, span in spans.items():
                if meet(span, _universe(catalogs[table], columns[place])).empty:
                    return frozenset()
            return frozenset({table.owner})
        case algebra.Select(source=source, predicate=predicate, columns=columns):
            outside = {columns[place]: span for place, span in spans.items()}
            reached = frozenset()
            for wanted in possible(predicate, source, catalogs, negated=False):
                both = all_of([wanted, outside])
                if both is not None:
                    reached |= owners_reaching(source, both, catalogs, work)
            return reached
        case algebra.Project(source=source, terms=terms):
            below = _through(source, dict(enumerate(terms)), spans, catalogs)
            return owners_reaching(source, below, catalogs, work) if below is not None else frozenset()
        case algebra.Join(left=left, right=right, kind=kind):
            width, other = algebra.column_count(left), algebra.column_count(right)
            first = owners_reaching(
                left, {place: span for place, span in spans.items() if place < width}, catalogs, work
            )
            asked_right = {place - width: span for place, span in spans.items() if width <= place < width + other}
            second = owners_reaching(right, asked_right, catalogs, work)
            reached = first | second if first and second else frozenset()
            # A side that may be absent leaves rows of the other alone, as long as nothing is asked of it.
            return reached | (first if kind.keeps_left and not asked_right else frozenset())
        case algebra.Semi(source=source, other=other, negated=negated):
            first, second = owners_reaching(source, spans, catalogs, work), owners_reaching(other, {}, catalogs, work)
            if negated:
                return first
            return first | second if first and second else frozenset()
        case algebra.Mark(source=source):
            width = algebra.column_count(source)
            return owners_reaching(
                source, {place: each for place, each in spans.items() if place < width}, catalogs, work
            )
        case algebra.JoinPublic(source=source, outer=outer):
            # Which rows a public table lets through, or which have one of its values, domains do not tell.
            if not outer or any(place >= algebra.column_count(source) for place in spans):
                raise Unjudged
            return owners_reaching(source, spans, catalogs, work)
        case algebra.GroupPerson(source=source, keys=keys, aggregates=aggregates):
            # A count or a sum can have any value at any owner; a first or greatest value is one of the rows'.
            values = {len(keys) + at: each.item for at, each in enumerate(aggregates) if each.function in OF_VALUES}
            items = dict(enumerate(keys)) | {place: item for place, item in values.items() if item is not None}
            asked = {place: span for place, span in spans.items() if place in items}
            within = _through(source, items, asked, catalogs)
            return owners_reaching(source, within, catalogs, work) if within is not None else frozenset()
        case algebra.Window(source=source, functions=functions):
            width = algebra.column_count(source)
            mine = {place: span for place, span in spans.items() if place < width}
            if any(functions[place - width].item is not None for place in spans if place >= width):
                raise Unjudged
            return owners_reaching(source, mine, catalogs, work)
        case algebra.UnionAll(arms=arms):
            reached = frozenset()
            for arm in arms:
                mine = {place: decoded(span, arm.recodes[place]) for place, span in spans.items()}
                if not any(span.empty for span in mine.values()):
                    reached |= owners_reaching(arm.relation, mine, catalogs, work)
            return reached
        case algebra.FirstRows(source=source) | algebra.Distinct(source=source):
            return owners_reaching(source, spans, catalogs, work)
        case algebra.Persons(source=source):
            return owners_reaching(source, {}, catalogs, work)
    assert_never(relation)


def _through(
    source: algebra.Relation, terms: Mapping[int, Term], spans: Spans, catalogs: Mapping[TableName, TableCatalog]
) -> Spans | None:
    """Return what the columns of `source` must be where its terms are within `spans`.

    None where a term is never within its span.

    Raises:
        Unjudged: a term looks at several columns, or at one of too many values.
    """
    found: list[Spans] = []
    for place, span in spans.items():
        term = terms[place]
        columns = columns_of(term)
        if len(columns) > 1:
            raise Unjudged
        if isinstance(term, Column):
            found.append({term.index: span})
            continue
        whole = column_span(source, next(iter(columns)), catalogs) if columns else Span(((0, 0),), null=False)
        codes = [code for low, high in whole.codes for code in range(low, high + 1)] if few_codes(whole) else None
        if codes is None:
            raise Unjudged
        kept = _within(term, codes, whole, span, next(iter(columns), 0))
        if kept.empty:
            return None
        found.append({next(iter(columns)): kept} if columns else {})
    return all_of(found)


def few_codes(span: Span) -> bool:
    """Return whether codes can be looked at one by one."""
    return sum(high - low + 1 for low, high in span.codes) <= MOST


def _within(term: Term, codes: list[int], whole: Span, span: Span, column: int) -> Span:
    """Return the codes of a column at which a term is within `span`."""
    values = evaluate(term, {column: Values.of([*codes, None])}, len(codes) + 1)
    data = values.data.astype("int64") if values.data.dtype != object else None
    if data is None:
        raise Unjudged
    inside = [
        (span.null if not there else any(low <= code <= high for low, high in span.codes))
        for code, there in zip(data.tolist(), values.present.tolist(), strict=True)
    ]
    kept = either([((code, code),) for code, held in zip(codes, inside, strict=False) if held])
    return Span(kept, null=inside[-1] and whole.null)


def possible(
    predicate: algebra.Predicate,
    relation: algebra.Relation,
    catalogs: Mapping[TableName, TableCatalog],
    *,
    negated: bool,
) -> list[Spans]:
    """Return what columns may be where `predicate` is true (or false, if `negated`), as alternatives.

    None at all if it never is, and none either when there would be more than `MOST_ALTERNATIVES`: the owners reached
    are then too few, so a question is refused rather than misjudged.
    """

    def only(column: int, codes: Intervals) -> list[Spans]:
        whole = column_span(relation, column, catalogs)
        kept = without(whole.codes, codes) if negated else common(whole.codes, codes)
        return [{column: Span(kept, null=False)}] if kept else []

    match predicate:
        case algebra.Truth():
            return [{}] if predicate is (algebra.Truth.FALSE if negated else algebra.Truth.TRUE) else []
        case algebra.InRange(column=column, lower=lower, upper=upper):
            least = lower if lower is not None else -(1 << 62)
            most = upper if upper is not None else 1 << 62
            return only(column, ((least, most),) if least <= most else ())
        case algebra.InSet(column=column, codes=codes):
            return only(column, tuple((code, code) for code in sorted(set(codes))))
        case algebra.TextIn():
            # Nobody declares which texts a table may hold, so one text may be one owner's.
            return []
        case algebra.IsNull(column=column):
            whole = column_span(relation, column, catalogs)
            span = Span(whole.codes, null=False) if negated else Span((), null=whole.null)
            return [] if span.empty else [{column: span}]
        case algebra.CompareColumns(comparison=comparison, left=left, right=right):
            return [{}] if negated or _may_compare(comparison, left, right, relation, catalogs) else []
        case algebra.Not(item=item):
            return possible(item, relation, catalogs, negated=not negated)
        case algebra.Holds():
            # What looks at one column with a domain was brought to the forms above.
            raise Unjudged
        case algebra.And(items=items) | algebra.Or(items=items):
            parts = [possible(item, relation, catalogs, negated=negated) for item in items]
            if isinstance(predicate, algebra.Or) is not negated:
                return _few([spans for part in parts for spans in part])
            found: list[Spans] = [{}]
            for part in parts:
                found = _few([both for one in found for other in part if (both := all_of([one, other])) is not None])
            return found
    assert_never(predicate)


def _few(alternatives: list[Spans]) -> list[Spans]:
    return alternatives if len(alternatives) <= MOST_ALTERNATIVES else []


def _may_compare(
    comparison: algebra.Comparison,
    left: int,
    right: int,
    relation: algebra.Relation,
    catalogs: Mapping[TableName, TableCatalog],
) -> bool:
    """Return whether two columns can compare so, from their domains."""
    if left == right:
        return comparison is not algebra.Comparison.LESS
    one, other = column_span(relation, left, catalogs).codes, column_span(relation, right, catalogs).codes
    match comparison:
        case algebra.Comparison.EQUAL:
            return bool(common(one, other))
        case algebra.Comparison.LESS:
            return bool(one and other) and one[0][0] < other[-1][1]
        case algebra.Comparison.LESS_OR_EQUAL:
            return bool(one and other) and one[0][0] <= other[-1][1]
    assert_never(comparison)


def _universe(catalog: TableCatalog, name: str) -> Span:
    column = catalog.column(name)
    if column is None:
        raise InvariantBroken(f"{catalog.table} has no column {name}")
    match column.type:
        case Category(domain=domain, nullable=nullable):
            return Span(((0, len(domain) - 1),), nullable)
        case Date(lower=lower, upper=upper, nullable=nullable) | Number(lower=lower, upper=upper, nullable=nullable):
            return Span(((lower, upper),), nullable)
        case Text(nullable=nullable):
            return Span(((-(1 << 62), 1 << 62),), nullable)
    assert_never(column.type)


def column_span(relation: algebra.Relation, place: int, catalogs: Mapping[TableName, TableCatalog]) -> Span:
    """Return everything that a column of `relation` may be, from the catalog alone."""
    match relation:
        case algebra.Scan(table=table, columns=columns):
            return _universe(catalogs[table], columns[place])
        case algebra.Select(source=source, columns=columns):
            return column_span(source, columns[place], catalogs)
        case algebra.Join(left=left, right=right):
            width = algebra.column_count(left)
            if place < width:
                return column_span(left, place, catalogs)
            if place >= width + algebra.column_count(right):
                return ANYTHING
            return column_span(right, place - width, catalogs)
        case algebra.Semi(source=source) | algebra.FirstRows(source=source) | algebra.Distinct(source=source):
            return column_span(source, place, catalogs)
        case algebra.Mark(source=source) | algebra.JoinPublic(source=source) | algebra.Window(source=source):
            if place < algebra.column_count(source):
                return column_span(source, place, catalogs)
            if isinstance(relation, algebra.JoinPublic):
                raise Unjudged  # which values stand beside whose rows is said by the table, not by domains
            return ANYTHING
        case algebra.Project(source=source, terms=terms):
            term = terms[place]
            return column_span(source, term.index, catalogs) if isinstance(term, Column) else ANYTHING
        case algebra.GroupPerson(source=source, keys=keys):
            key = keys[place] if place < len(keys) else None
            return column_span(source, key.index, catalogs) if isinstance(key, Column) else ANYTHING
        case algebra.UnionAll(arms=arms):
            spans = [encoded(column_span(arm.relation, place, catalogs), arm.recodes[place]) for arm in arms]
            return Span(either([span.codes for span in spans]), null=any(span.null for span in spans))
        case algebra.Persons():
            raise InvariantBroken("a relation of persons has no columns")
    assert_never(relation)


def _ends(relation: algebra.Relation, place: int, catalogs: Mapping[TableName, TableCatalog]) -> frozenset[int] | None:
    """Return the codes of a column at which the owners that reach it can change; None if at any code."""
    match relation:
        case algebra.Scan(table=table, columns=columns):
            return starts(_universe(catalogs[table], columns[place]))
        case algebra.Select(source=source, predicate=predicate, columns=columns):
            inner = columns[place]
            alternatives = possible(predicate, source, catalogs, negated=False)
            own = [starts(spans[inner]) for spans in alternatives if inner in spans]
            return _any_ends([_ends(source, inner, catalogs), *own])
        case algebra.Join(left=left, right=right):
            width = algebra.column_count(left)
            if place >= width + algebra.column_count(right):
                return frozenset()
            return _ends(left, place, catalogs) if place < width else _ends(right, place - width, catalogs)
        case algebra.Semi(source=source) | algebra.FirstRows(source=source) | algebra.Distinct(source=source):
            return _ends(source, place, catalogs)
        case algebra.Mark(source=source) | algebra.JoinPublic(source=source) | algebra.Window(source=source):
            return _ends(source, place, catalogs) if place < algebra.column_count(source) else frozenset()
        case algebra.Project(source=source, terms=terms):
            term = terms[place]
            return _ends(source, term.index, catalogs) if isinstance(term, Column) else None
        case algebra.GroupPerson(source=source, keys=keys, aggregates=aggregates):
            if place >= len(keys):
                return None if aggregates[place - len(keys)].function in OF_VALUES else frozenset()
            key = keys[place]
            return _ends(source, key.index, catalogs) if isinstance(key, Column) else None
        case algebra.UnionAll(arms=arms):
            return _any_ends([_ends(arm.relation, place, catalogs) for arm in arms])
        case algebra.Persons():
            return frozenset()
    assert_never(relation)


def _any_ends(found: list[frozenset[int] | None]) -> frozenset[int] | None:
    known = [each for each in found if each is not None]
    return frozenset().union(*known) if len(known) == len(found) else None
