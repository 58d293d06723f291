"""Say what a question uses of each table: functions, dimensions, columns compared with values, kinds of analysis."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from cleanroom.policies import Analysis, Function
from cleanroom.query import algebra, statistics
from cleanroom.query.pruning import aggregate_columns, window_columns
from cleanroom.query.row_filters import predicate_columns
from cleanroom.query.terms import language as t
from cleanroom.query.terms.language import columns_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from cleanroom.identifiers import PartyId, TableName
    from cleanroom.query.person_rows import PersonAggregate

Origins = tuple[frozenset[tuple["TableName", str]], ...]


def functions_of(computed: Iterable[statistics.Statistic]) -> frozenset[Function]:
    """Return the functions that these statistics are."""
    return frozenset(_function(statistic) for statistic in computed)


def _function(statistic: statistics.Statistic) -> Function:
    match statistic:
        case statistics.CountPersons():
            return Function.COUNT_PERSONS
        case statistics.CountRows():
            return Function.COUNT_ROWS
        case statistics.Sum():
            return Function.SUM
        case statistics.Mean():
            return Function.AVG
        case statistics.Variance():
            return Function.VAR
        case statistics.Quantile():
            return Function.QUANTILE
    assert_never(statistic)


def literals_of(relation: algebra.Relation) -> frozenset[tuple[TableName, str]]:
    """Return the columns that conditions look at, anywhere in `relation`: WHERE, ON, HAVING, CASE, FILTER (S44)."""
    return _used(relation, compared_columns, conditions=True)


def stepped_of(relation: algebra.Relation) -> frozenset[tuple[TableName, str]]:
    """Return the columns of which a step is taken: LEAST(x, 5), x // 12, SIGN(x - 5), LENGTH(x), ROUND(x / 20).

    Differences of sums of such steps count the rows that a comparison with the same constant would.
    """
    return _used(relation, stepped_columns, conditions=False)


def _used(
    relation: algebra.Relation, columns_in: Callable[[t.Term], frozenset[int]], *, conditions: bool
) -> frozenset[tuple[TableName, str]]:
    found: set[tuple[TableName, str]] = set()
    for origins, held, terms in _looked(relation):
        looked = [*(held if conditions else ()), *map(columns_in, terms)]
        for columns in looked:
            for column in columns:
                found |= origins[column]
    for below in algebra.sources(relation):
        found |= _used(below, columns_in, conditions=conditions)
    return frozenset(found)


def _looked(relation: algebra.Relation) -> Iterator[tuple[Origins, list[frozenset[int]], Sequence[t.Term]]]:
    """Yield what one relation itself looks at: where columns come from, those of its conditions, and its terms."""
    match relation:
        case algebra.Select(source=source, predicate=predicate):
            yield origins_of(source), [predicate_columns(predicate)], []
        case algebra.Project(source=source, terms=terms):
            yield origins_of(source), [], [*terms]
        case algebra.Join(left=left, right=right, condition=condition) if condition is not None:
            yield origins_of(left) + origins_of(right), [columns_of(condition)], []
        case algebra.Semi(source=source, other=other, condition=condition) if condition is not None:
            yield origins_of(source) + origins_of(other), [columns_of(condition)], []
        case algebra.Mark(source=source, other=other, condition=condition) if condition is not None:
            yield origins_of(source) + origins_of(other), [columns_of(condition)], []
        case algebra.JoinPublic(source=source, table=table, condition=condition):
            yield origins_of(source) + (frozenset(),) * len(table.columns), [columns_of(condition)], []
        case algebra.GroupPerson(source=source, keys=keys, aggregates=aggregates):
            wheres = [columns_of(each.where) for each in aggregates if each.where is not None]
            yield origins_of(source), wheres, [*keys, *(term for each in aggregates for term in _terms_of(each))]
        case algebra.Window(source=source, functions=functions):
            for each in functions:
                inner = _terms_of(each.aggregate) if each.aggregate is not None else []
                where = each.aggregate.where if each.aggregate is not None else None
                item = [each.item] if each.item is not None else []
                looked = [*each.partition, *item, *(order.term for order in each.order), *inner]
                yield origins_of(source), [columns_of(where)] if where is not None else [], looked


def _terms_of(aggregate: PersonAggregate) -> list[t.Term]:
    """Return what an aggregate computes: its item, and what FIRST and LAST are ordered by."""
    item = [aggregate.item] if aggregate.item is not None else []
    return [*item, *(each.term for each in aggregate.order)]


def stepped_columns(term: t.Term) -> frozenset[int]:
    """Return the columns of which a term takes a step at a constant of the question's choice."""
    match term:
        case t.FloorDivide() | t.Remainder() | t.Sign() | t.Absolute() | t.Length() | t.PlaceOf():
            return columns_of(term)
        case t.Quotient(right=t.Integer()):
            return columns_of(term)
        case t.Least(items=items) | t.Greatest(items=items) if any(isinstance(item, t.Integer) for item in items):
            return columns_of(term)
        case t.LookUp(values=values) if len(set(values)) < len(values):
            return columns_of(term)
        case _:
            return frozenset(column for part in t.parts(term) for column in stepped_columns(part))


def compared_columns(term: t.Term) -> frozenset[int]:
    """Return the columns that a term compares with something on the way to its value."""
    match term:
        case t.Compared() | t.OneOf() | t.Like() | t.Missing():
            return columns_of(term)
        case t.Choice(branches=branches):
            whens = frozenset(column for when, _ in branches for column in columns_of(when))
            return whens.union(*(compared_columns(part) for part in t.parts(term)))
        case _:
            return frozenset(column for part in t.parts(term) for column in compared_columns(part))


def origins_of(relation: algebra.Relation) -> Origins:
    """Return for each column of `relation` the catalog columns that its values come from."""
    match relation:
        case algebra.Scan(table=table, columns=columns):
            return tuple(frozenset({(table, column)}) for column in columns)
        case algebra.Select(source=source, columns=columns):
            below = origins_of(source)
            return tuple(below[column] for column in columns)
        case algebra.Project(source=source, terms=terms):
            return tuple(_origins(origins_of(source), columns_of(term)) for term in terms)
        case algebra.Join(left=left, right=right, kind=kind):
            return origins_of(left) + origins_of(right) + (frozenset(),) * (kind.keeps_left + kind.keeps_right)
        case algebra.Semi(source=source) | algebra.FirstRows(source=source) | algebra.Distinct(source=source):
            return origins_of(source)
        case algebra.Mark(source=source):
            return (*origins_of(source), frozenset())
        case algebra.UnionAll(arms=arms):
            each = [origins_of(arm.relation) for arm in arms]
            return tuple(frozenset().union(*column) for column in zip(*each, strict=True))
        case algebra.Persons():
            return ()
        case algebra.GroupPerson(source=source, keys=keys, aggregates=aggregates):
            below = origins_of(source)
            looked = [columns_of(key) for key in keys] + [aggregate_columns(each) for each in aggregates]
            return tuple(_origins(below, columns) for columns in looked)
        case algebra.Window(source=source, functions=functions):
            below = origins_of(source)
            return below + tuple(_origins(below, window_columns(each)) for each in functions)
        case algebra.JoinPublic(source=source, table=table, condition=condition):
            # Which row of the table a row meets says what the columns that it meets by are.
            below = origins_of(source)
            met = _origins(below, (place for place in columns_of(condition) if place < len(below)))
            return below + (met,) * len(table.columns)
    assert_never(relation)


def _origins(below: Origins, columns: Iterable[int]) -> frozenset[tuple[TableName, str]]:
    return frozenset(origin for column in columns for origin in below[column])


def owners_of(relation: algebra.Relation) -> frozenset[PartyId]:
    """Return the owners of the tables that `relation` reads."""
    return frozenset(scan.table.owner for scan in algebra.scans(relation))


def mattering_owners(relation: algebra.Relation) -> frozenset[PartyId]:
    """Return the owners of tables that can matter to `relation`: not those read under `WHERE FALSE` only (S43).

    A question that is empty as a whole says nothing of anybody: there all owners count.
    """
    return owners_of(relation) if _nobody(relation) else _mattering(relation)


def _mattering(relation: algebra.Relation) -> frozenset[PartyId]:
    if isinstance(relation, algebra.Scan):
        return frozenset({relation.table.owner})
    if _nobody(relation):
        return frozenset()
    return frozenset().union(*(_mattering(below) for below in algebra.sources(relation)))


def _nobody(relation: algebra.Relation) -> bool:
    """Return whether a relation has no rows, whatever the data."""
    match relation:
        case algebra.Scan():
            return False
        case algebra.Select(predicate=algebra.Truth.FALSE | algebra.Truth.UNKNOWN):
            return True
        case algebra.Join(left=left, right=right, kind=kind):
            left_gone = _nobody(left) and not kind.keeps_right
            return left_gone or (_nobody(right) and not kind.keeps_left)
        case algebra.Semi(source=source, other=other, negated=negated):
            return _nobody(source) or (not negated and _nobody(other))
        case algebra.UnionAll(arms=arms):
            return all(_nobody(arm.relation) for arm in arms)
        case algebra.Mark(source=source):
            return _nobody(source)
        case _:
            return _nobody(relation.source)


def meets_owners(relation: algebra.Relation) -> bool:
    """Return whether two owners' persons meet anywhere in `relation`: an overlap (DESIGN §9).

    They meet in joins and semi-joins, and in whatever puts rows of one person together that a union has of several
    owners: UNION without ALL, INTERSECT, GROUP BY person, windows. UNION ALL alone puts rows beside each other.
    """
    together = isinstance(
        relation,
        algebra.Join | algebra.Semi | algebra.Mark | algebra.Distinct | algebra.Persons | algebra.GroupPerson
        | algebra.Window,
    )  # fmt: skip
    if together and len(owners_of(relation)) > 1:
        return True
    return any(meets_owners(below) for below in algebra.sources(relation))


def united_owners(relation: algebra.Relation) -> frozenset[PartyId]:
    """Return the owners that a UNION ALL of `relation` puts together; empty if none has two."""
    if isinstance(relation, algebra.UnionAll):
        owners = owners_of(relation)
        return owners if len(owners) > 1 else frozenset()
    return frozenset().union(*(united_owners(below) for below in algebra.sources(relation)))


def analyses_of(relation: algebra.Relation, asker: PartyId, min_parties: int) -> frozenset[Analysis]:
    """Return what kinds of question it is, for a rule whose `min_parties` is given (S43)."""
    kinds = set()
    if meets_owners(relation):
        kinds.add(Analysis.OVERLAP)
    united = united_owners(relation)
    if united and len(united - {asker}) >= min_parties:
        kinds.add(Analysis.SECTOR)
    return frozenset(kinds) or frozenset({Analysis.AGGREGATE})


def plain_unions(relation: algebra.Relation) -> bool:
    """Return whether every union of several owners takes its arms' rows whole: no filter, join or semi-join inside.

    A filter inside an arm could leave one owner's rows alone without any domain showing it (S43).
    """
    if isinstance(relation, algebra.UnionAll) and len(owners_of(relation)) > 1:
        return all(_whole(arm.relation) for arm in relation.arms)
    return all(plain_unions(below) for below in algebra.sources(relation))


def _whole(relation: algebra.Relation) -> bool:
    match relation:
        case algebra.Scan():
            return True
        case algebra.Select(source=source, predicate=algebra.Truth.TRUE) | algebra.Project(source=source):
            return _whole(source)
        case algebra.UnionAll(arms=arms):
            return all(_whole(arm.relation) for arm in arms)
        case _:
            return False
