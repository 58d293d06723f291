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
    from collections.abc import Iterable, Iterator

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
    found: set[tuple[TableName, str]] = set()
    for origins, terms in _conditions(relation):
        for term in terms:
            for column in term:
                found |= origins[column]
    for below in algebra.sources(relation):
        found |= literals_of(below)
    return frozenset(found)


def _conditions(relation: algebra.Relation) -> Iterator[tuple[Origins, list[frozenset[int]]]]:
    """Yield the columns compared by one relation itself, with the origins of the columns that its terms see."""
    match relation:
        case algebra.Select(source=source, predicate=predicate):
            yield origins_of(source), [predicate_columns(predicate)]
        case algebra.Project(source=source, terms=terms):
            yield origins_of(source), [compared_columns(term) for term in terms]
        case algebra.Join(left=left, right=right, condition=condition) if condition is not None:
            yield origins_of(left) + origins_of(right), [columns_of(condition)]
        case algebra.Semi(source=source, other=other, condition=condition) if condition is not None:
            yield origins_of(source) + origins_of(other), [columns_of(condition)]
        case algebra.Mark(source=source, other=other, condition=condition) if condition is not None:
            yield origins_of(source) + origins_of(other), [columns_of(condition)]
        case algebra.JoinPublic(source=source, table=table, condition=condition):
            yield origins_of(source) + (frozenset(),) * len(table.columns), [columns_of(condition)]
        case algebra.GroupPerson(source=source, keys=keys, aggregates=aggregates):
            yield origins_of(source), [*map(compared_columns, keys), *map(_aggregate_compared, aggregates)]
        case algebra.Window(source=source, functions=functions):
            for each in functions:
                looked = [*each.partition, *([each.item] if each.item is not None else [])]
                inner = [_aggregate_compared(each.aggregate)] if each.aggregate is not None else []
                yield origins_of(source), [*map(compared_columns, looked), *inner]


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


def _aggregate_compared(aggregate: PersonAggregate) -> frozenset[int]:
    where = columns_of(aggregate.where) if aggregate.where is not None else frozenset()
    return where | (compared_columns(aggregate.item) if aggregate.item is not None else frozenset())


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
