"""Say what a question uses of each table: functions, dimensions, columns compared with values, kinds of analysis."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from cleanroom.policies import Analysis, Dimension, Function
from cleanroom.query import algebra, statistics

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cleanroom.identifiers import PartyId, TableName
    from cleanroom.query.unit import TypedQuery

Origins = tuple[frozenset[tuple["TableName", str]], ...]


def functions_of(query: TypedQuery) -> frozenset[Function]:
    """Return the functions that the question computes."""
    return frozenset(_function(statistic) for statistic in query.statistics)


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


def dimensions_of(query: TypedQuery) -> frozenset[tuple[TableName, Dimension]]:
    """Return what is grouped by, of which table."""
    return frozenset(
        (table, Dimension(column, "month" if isinstance(key, statistics.MonthKey) else None))
        for key in query.keys
        for table, column in query.source.columns[key.column].origins
    )


def literals_of(relation: algebra.Relation) -> frozenset[tuple[TableName, str]]:
    """Return the columns that are compared with values, with NULL or with columns, anywhere in `relation`."""
    return frozenset(use for source, column in _compared(relation) for use in origins_of(source)[column])


def _compared(relation: algebra.Relation) -> Iterator[tuple[algebra.Relation, int]]:
    match relation:
        case algebra.Scan():
            return
        case algebra.Select(source=source, predicate=predicate):
            yield from ((source, column) for column in _literal_columns(predicate))
            yield from _compared(source)
        case algebra.Join(left=left, right=right):
            yield from _compared(left)
            yield from _compared(right)
        case algebra.Semi(source=source, other=other):
            yield from _compared(source)
            yield from _compared(other)
        case algebra.UnionAll(arms=arms):
            for arm in arms:
                yield from _compared(arm.relation)
        case algebra.Persons(source=source) | algebra.FirstRows(source=source):
            yield from _compared(source)
        case _:
            assert_never(relation)


def _literal_columns(predicate: algebra.Predicate) -> Iterator[int]:
    match predicate:
        case (
            algebra.InRange(column=column)
            | algebra.InSet(column=column)
            | algebra.TextIn(column=column)
            | algebra.IsNull(column=column)
        ):
            yield column
        case algebra.CompareColumns(left=left, right=right):
            # A column that the asker fills itself would stand for a literal (S44).
            yield from (left, right)
        case algebra.Truth():
            return
        case algebra.Not(item=item):
            yield from _literal_columns(item)
        case algebra.And(items=items) | algebra.Or(items=items):
            for item in items:
                yield from _literal_columns(item)
        case _:
            assert_never(predicate)


def origins_of(relation: algebra.Relation) -> Origins:
    """Return for each column of `relation` the catalog columns that its values come from."""
    match relation:
        case algebra.Scan(table=table, columns=columns):
            return tuple(frozenset({(table, column)}) for column in columns)
        case algebra.Select(source=source, columns=columns):
            below = origins_of(source)
            return tuple(below[column] for column in columns)
        case algebra.Join(left=left, right=right):
            return origins_of(left) + origins_of(right)
        case algebra.Semi(source=source) | algebra.FirstRows(source=source):
            return origins_of(source)
        case algebra.UnionAll(arms=arms):
            each = [origins_of(arm.relation) for arm in arms]
            return tuple(frozenset().union(*column) for column in zip(*each, strict=True))
        case algebra.Persons():
            return ()
    assert_never(relation)


def owners_of(relation: algebra.Relation) -> frozenset[PartyId]:
    """Return the owners of the tables that `relation` reads."""
    return frozenset(scan.table.owner for scan in algebra.scans(relation))


def meets_owners(relation: algebra.Relation) -> bool:
    """Return whether two owners' persons meet anywhere in `relation`: an overlap (DESIGN §9)."""
    match relation:
        case algebra.Scan():
            return False
        case algebra.Select(source=source) | algebra.Persons(source=source) | algebra.FirstRows(source=source):
            return meets_owners(source)
        case algebra.Join(left=left, right=right):
            return len(owners_of(relation)) > 1 or meets_owners(left) or meets_owners(right)
        case algebra.Semi(source=source, other=other):
            return len(owners_of(relation)) > 1 or meets_owners(source) or meets_owners(other)
        case algebra.UnionAll(arms=arms):
            return any(meets_owners(arm.relation) for arm in arms)
    assert_never(relation)


def united_owners(relation: algebra.Relation) -> frozenset[PartyId]:
    """Return the owners that a UNION ALL of `relation` puts together; empty if none has two."""
    match relation:
        case algebra.Scan():
            return frozenset()
        case algebra.Select(source=source) | algebra.Persons(source=source) | algebra.FirstRows(source=source):
            return united_owners(source)
        case algebra.Join(left=left, right=right):
            return united_owners(left) | united_owners(right)
        case algebra.Semi(source=source, other=other):
            return united_owners(source) | united_owners(other)
        case algebra.UnionAll():
            owners = owners_of(relation)
            return owners if len(owners) > 1 else frozenset()
    assert_never(relation)


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
    match relation:
        case algebra.Scan():
            return True
        case algebra.Select(source=source) | algebra.Persons(source=source) | algebra.FirstRows(source=source):
            return plain_unions(source)
        case algebra.Join(left=left, right=right):
            return plain_unions(left) and plain_unions(right)
        case algebra.Semi(source=source, other=other):
            return plain_unions(source) and plain_unions(other)
        case algebra.UnionAll(arms=arms):
            return len(owners_of(relation)) < 2 or all(_whole(arm.relation) for arm in arms)
    assert_never(relation)


def _whole(relation: algebra.Relation) -> bool:
    match relation:
        case algebra.Scan():
            return True
        case algebra.Select(source=source, predicate=algebra.Truth.TRUE):
            return _whole(source)
        case algebra.UnionAll(arms=arms):
            return all(_whole(arm.relation) for arm in arms)
        case _:
            return False
