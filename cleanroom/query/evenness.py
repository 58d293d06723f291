"""Which columns of a union of owners say whose a row may be, and what terms make of them (S43).

A column is *even* where every owner of a union can have the same codes in it, by their catalogs. A question that looks
at even columns alone cannot single out an owner by what owners declare. Otherwise every condition in it is judged: in
CASE, FILTER, HAVING and ON as in WHERE, or a filter would only have to be spelled as one of these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleanroom.catalog import Text
from cleanroom.query import algebra
from cleanroom.query.cohort import column_span, few_codes, owners_reaching
from cleanroom.query.row_filters import predicate_columns
from cleanroom.query.spans import ANYTHING, Span, Unjudged, Work, either, encoded
from cleanroom.query.terms.evaluate import Values, evaluate
from cleanroom.query.terms.language import Column, Term, columns_of, parts
from cleanroom.query.usage import Origins, origins_of, owners_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cleanroom.catalog import TableCatalog
    from cleanroom.identifiers import PartyId, TableName
    from cleanroom.query.person_rows import PersonAggregate

Uneven = tuple[frozenset[tuple["TableName", str]], ...]
"""Each column's origins; a column that comes from nowhere, such as an owner's own constant, has none."""


def uneven_columns(relation: algebra.Relation, catalogs: Mapping[TableName, TableCatalog]) -> Uneven:
    """Return the columns of unions of several owners that are not even, texts among them: nobody lists their values."""
    found: list[frozenset[tuple[TableName, str]]] = []
    if isinstance(relation, algebra.UnionAll) and len(owners_of(relation)) > 1:
        origins = origins_of(relation)
        for place in range(algebra.column_count(relation)):
            spans = _by_owner(relation, place, catalogs)
            texts = any(_is_text(catalogs, *origin) for origin in origins[place])
            if texts or len(set(spans.values())) > 1 or ANYTHING in spans.values():
                found.append(origins[place])
    for below in algebra.sources(relation):
        found += uneven_columns(below, catalogs)
    return tuple(dict.fromkeys(found))


def _is_text(catalogs: Mapping[TableName, TableCatalog], table: TableName, name: str) -> bool:
    column = catalogs[table].column(name)
    return column is not None and isinstance(column.type, Text)


def _by_owner(
    relation: algebra.Relation, place: int, catalogs: Mapping[TableName, TableCatalog]
) -> dict[PartyId, Span]:
    """Return what each owner's rows can have in a column of a union of whole tables."""
    match relation:
        case algebra.UnionAll(arms=arms):
            found: dict[PartyId, Span] = {}
            for arm in arms:
                for owner, span in _by_owner(arm.relation, place, catalogs).items():
                    mine, before = encoded(span, arm.recodes[place]), found.get(owner)
                    found[owner] = mine if before is None else _hull(before, mine)
            return found
        case algebra.Select(source=source, columns=columns):
            return _by_owner(source, columns[place], catalogs)
        case algebra.Project(source=source, terms=terms):
            term = terms[place]
            if isinstance(term, Column):
                return _by_owner(source, term.index, catalogs)
            return dict.fromkeys(owners_of(relation), _of_term(source, term, catalogs))
        case algebra.Scan(table=table):
            return {table.owner: column_span(relation, place, catalogs)}
        case _:
            return dict.fromkeys(owners_of(relation), ANYTHING)


def _hull(one: Span, other: Span) -> Span:
    return Span(either([one.codes, other.codes]), one.null or other.null)


def _of_term(source: algebra.Relation, term: Term, catalogs: Mapping[TableName, TableCatalog]) -> Span:
    """Return what a term of one owner's rows can be, if few codes decide."""
    columns = columns_of(term)
    if len(columns) > 1:
        return ANYTHING
    try:
        values = [value for (value,) in _classes(source, next(iter(columns), 0), (term,), catalogs)]
    except Unjudged:
        return ANYTHING
    codes = [int(value) for value in values if isinstance(value, int)]
    if len(codes) + (None in values) < len(values):
        return ANYTHING
    return Span(either([((code, code),) for code in codes]), null=None in values)


def _classes(
    source: algebra.Relation, column: int, terms: tuple[Term, ...], catalogs: Mapping[TableName, TableCatalog]
) -> dict[tuple[object, ...], Span]:
    """Return for each combination of values of terms of one column the span of that column which gives it.

    Raises:
        Unjudged: too many codes, or texts.
    """
    whole = column_span(source, column, catalogs) if any(map(columns_of, terms)) else Span(((0, 0),), null=False)
    if not few_codes(whole):
        raise Unjudged
    codes = [code for low, high in whole.codes for code in range(low, high + 1)]
    shown = [evaluate(term, {column: Values.of([*codes, None])}, len(codes) + 1).items() for term in terms]
    values = list(zip(*shown, strict=True))
    given: dict[tuple[object, ...], list[int]] = {}
    for code, value in zip(codes, values, strict=False):
        given.setdefault(value, []).append(code)
    found = {value: Span(either([((code, code),) for code in mine]), null=False) for value, mine in given.items()}
    if whole.null:
        before = found.get(values[-1])
        found[values[-1]] = Span(before.codes if before is not None else (), null=True)
    return found


def fewest_by_terms(
    relation: algebra.Relation,
    keys: frozenset[int],
    uneven: Uneven,
    catalogs: Mapping[TableName, TableCatalog],
    asker: PartyId,
) -> int:
    """Return the least number of owners, the asker not counted, that a value of some term tells from the others.

    A value that nobody's rows give tells nothing. Two conditions may tell together what neither tells alone, so terms
    on uneven columns are judged where each stands for itself: as statistics of the release, or one alone.

    Args:
        keys: the columns of `relation` that are grouped by.

    Raises:
        Unjudged: terms that may have to be judged together.
    """
    work = Work()
    fewest = len(owners_of(relation) - {asker})
    by_statistics = by_keys = deeper = 0
    for place, mine in enumerate(origins_of(relation)):
        by_keys += place in keys and any(_meets(mine, each) for each in uneven)
    top = relation.source if isinstance(relation, algebra.Project) else relation
    if isinstance(relation, algebra.Project):
        for place, term in enumerate(relation.terms):
            found = _told(relation.source, origins_of(relation.source), term, uneven, catalogs, work)
            if found is not None and place not in keys:
                by_statistics += 1
                fewest = min([fewest, *(len(owners - {asker}) for owners in found if owners - {asker})])
    for source, origins, term in _terms(top):
        if not any(_meets(origins[column], each) for column in columns_of(term) for each in uneven):
            continue
        found = _told(source, origins, term, uneven, catalogs, work) if source is not None else None
        if found is None:
            raise Unjudged
        deeper += 1
        fewest = min([fewest, *(len(owners - {asker}) for owners in found if owners - {asker})])
    for select in _selects(relation):
        # Whoever a subquery lets through says whose rows they have there.
        owners = owners_reaching(select, {}, catalogs, work) - {asker} if owners_of(select) - {asker} else frozenset()
        if owners and len(owners_of(select)) > 1:
            fewest = min(fewest, len(owners))
    filtered = sum(
        any(_meets(origins_of(select.source)[column], each) for each in uneven)
        for select in _selects(top)
        for column in predicate_columns(select.predicate)
    )
    if (by_statistics and by_keys) or (deeper and deeper + by_statistics + by_keys + filtered > 1):
        raise Unjudged
    return fewest


def _told(
    source: algebra.Relation,
    origins: Origins,
    term: Term,
    uneven: Uneven,
    catalogs: Mapping[TableName, TableCatalog],
    work: Work,
) -> list[frozenset[PartyId]] | None:
    """Return the owners that each value of a term is within reach of, as far as its uneven column decides.

    None for a bare column, and for a term that looks at no uneven one.
    """
    mine = {column for column in columns_of(term) if any(_meets(origins[column], each) for each in uneven)}
    if isinstance(term, Column) or not mine:
        return None
    if len(mine) > 1:
        raise Unjudged
    (column,) = mine
    parts_of_column = tuple(dict.fromkeys(_singles(term, column)))
    classes = _classes(source, column, parts_of_column, catalogs).values()
    return [owners_reaching(source, {column: span}, catalogs, work) for span in classes]


def _meets(origins: frozenset[tuple[TableName, str]], uneven: frozenset[tuple[TableName, str]]) -> bool:
    # A constant comes from nowhere, and so may any column that comes from nowhere be it.
    return bool(origins & uneven) or (not origins and not uneven)


def _singles(term: Term, column: int) -> Iterator[Term]:
    """Yield the largest parts of a term that look at one column and at nothing else."""
    columns = columns_of(term)
    if column not in columns:
        return
    if isinstance(term, Column):
        # Bare beside other columns: what is computed with it, no list of its values tells.
        raise Unjudged
    if len(columns) == 1:
        yield term
        return
    for part in parts(term):
        yield from _singles(part, column)


def _terms(relation: algebra.Relation) -> Iterator[tuple[algebra.Relation | None, Origins, Term]]:
    """Yield every term that is more than a column: the relation that it looks at, None for two, and their origins."""
    match relation:
        case algebra.Project(source=source, terms=terms):
            yield from _bigger(source, terms)
        case algebra.GroupPerson(source=source, keys=keys, aggregates=aggregates):
            yield from _bigger(source, (*keys, *(term for each in aggregates for term in _of_aggregate(each))))
        case algebra.Window(source=source, functions=functions):
            for each in functions:
                inner = _of_aggregate(each.aggregate) if each.aggregate is not None else ()
                terms = (*each.partition, *(order.term for order in each.order), *inner)
                yield from _bigger(source, (*terms, each.item) if each.item is not None else terms)
        case algebra.Join(left=left, right=right, condition=condition) if condition is not None:
            yield None, origins_of(left) + origins_of(right), condition
        case algebra.Semi(source=source, other=other, condition=condition) if condition is not None:
            yield None, origins_of(source) + origins_of(other), condition
        case algebra.Mark(source=source, other=other, condition=condition) if condition is not None:
            yield None, origins_of(source) + origins_of(other), condition
        case algebra.JoinPublic(source=source, table=table, condition=condition):
            yield None, origins_of(source) + (frozenset(),) * len(table.columns), condition
    for below in algebra.sources(relation):
        yield from _terms(below)


def _bigger(
    source: algebra.Relation, terms: tuple[Term, ...]
) -> Iterator[tuple[algebra.Relation | None, Origins, Term]]:
    origins = origins_of(source)
    for term in terms:
        if not isinstance(term, Column):
            yield source, origins, term


def _of_aggregate(aggregate: PersonAggregate) -> tuple[Term, ...]:
    terms = [each for each in (aggregate.item, aggregate.where) if each is not None]
    return (*terms, *(each.term for each in aggregate.order))


def _selects(relation: algebra.Relation) -> Iterator[algebra.Select]:
    if isinstance(relation, algebra.Select):
        yield relation
    for below in algebra.sources(relation):
        yield from _selects(below)
