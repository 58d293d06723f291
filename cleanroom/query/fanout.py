"""Bound one person's rows in a relation, from public limits alone (S23).

A scan keeps at most the catalog's rows of a person; a join multiplies, a union adds. So memory for one person is
bounded whatever a member handed in, and a slice that does not fit can be split until it does.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final, assert_never

from cleanroom.query import algebra
from cleanroom.query.terms.language import AllOf, Column, Compared, Comparing, LookUp, columns_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cleanroom.identifiers import TableName
    from cleanroom.query.terms.language import Term

MOST_ROWS: Final = 1 << 17
"""Rows of one person that a join may have; its sides are cut where they could exceed it."""


def most_rows(relation: algebra.Relation, limits: Mapping[TableName, int]) -> int:
    """Return how many rows of one person `relation` can have.

    Args:
        limits: `max_rows_per_person` of each table.
    """
    match relation:
        case algebra.Scan(table=table):
            return limits[table]
        case algebra.FirstRows(source=source, most=most):
            return min(most, most_rows(source, limits))
        case algebra.Join(left=left, right=right, kind=kind):
            a, b = most_rows(left, limits), most_rows(right, limits)
            return min(MOST_ROWS, a * b + a * kind.keeps_left + b * kind.keeps_right)
        case algebra.UnionAll(arms=arms):
            return sum(most_rows(arm.relation, limits) for arm in arms)
        case algebra.Persons():
            return 1
        case algebra.GroupPerson(source=source, keys=keys):
            return most_rows(source, limits) if keys else 1
        case algebra.JoinPublic(source=source):
            return min(MOST_ROWS, most_rows(source, limits) * most_partners(relation))
        case algebra.Select() | algebra.Project() | algebra.Semi() | algebra.Mark() | algebra.Distinct():
            return most_rows(relation.source, limits)
        case algebra.Window(source=source):
            return most_rows(source, limits)
    assert_never(relation)


def most_partners(join: algebra.JoinPublic) -> int:
    """Return how many rows of a public table one row can meet, at least 1: its rows are public, so this is too.

    Where a conjunct equates a column of the table with something of the row, they are the rows of one value at most.
    """
    width = algebra.column_count(join.source)
    conditions = join.condition.items if isinstance(join.condition, AllOf) else (join.condition,)
    most = [join.table.rows]
    for each in conditions:
        if isinstance(each, Compared) and each.comparing is Comparing.EQUAL:
            for mine, theirs in ((each.left, each.right), (each.right, each.left)):
                column = _renamed(theirs)
                if column is not None and column >= width and all(place < width for place in columns_of(mine)):
                    most.append(join.table.repeats[column - width])
    return max(1, min(most))


def _renamed(term: Term) -> int | None:
    """Return the column that a term is, code for code; None where several codes could become one."""
    if isinstance(term, LookUp):
        known = [value for value in term.values if value is not None]
        return _renamed(term.item) if len(set(known)) == len(known) else None
    return term.index if isinstance(term, Column) else None


def capped(relation: algebra.Relation, limits: Mapping[TableName, int]) -> algebra.Relation:
    """Return `relation` with the sides of its joins cut where a person could have more than `MOST_ROWS` rows.

    Joins nest to the left; the relations that a nest of them joins are cut alike, each to its first rows in the order
    of all its columns, so that what is left is a function of the person's own rows (S20).
    """
    match relation:
        case algebra.Join():
            return _capped_join(relation, limits)
        case algebra.Scan():
            return relation
        case algebra.Semi(source=source, other=other) | algebra.Mark(source=source, other=other):
            return replace(relation, source=capped(source, limits), other=capped(other, limits))
        case algebra.UnionAll(arms=arms):
            return algebra.UnionAll(tuple(replace(arm, relation=capped(arm.relation, limits)) for arm in arms))
        case algebra.JoinPublic(source=source):
            inner = capped(source, limits)
            share = max(1, MOST_ROWS // most_partners(relation))
            if most_rows(inner, limits) > share:
                inner = algebra.FirstRows(inner, share)
            return replace(relation, source=inner)
        case _:
            return replace(relation, source=capped(relation.source, limits))


def _capped_join(relation: algebra.Join, limits: Mapping[TableName, int]) -> algebra.Relation:
    joined = _joined(relation)
    outer = _outer(relation)
    # An outer join adds its sides to their product, and (a + 1)(b + 1) is more than both.
    if math.prod(most_rows(each, limits) + outer for each in joined) <= MOST_ROWS:
        return _rebuilt(relation, limits, None)
    return _rebuilt(relation, limits, max(1, int(MOST_ROWS ** (1 / len(joined))) - outer))


def _outer(relation: algebra.Relation) -> bool:
    """Return whether a nest of joins keeps rows without a partner anywhere."""
    if not isinstance(relation, algebra.Join):
        return False
    return relation.kind is not algebra.JoinKind.INNER or _outer(relation.left)


def _joined(relation: algebra.Relation) -> list[algebra.Relation]:
    if isinstance(relation, algebra.Join):
        return [*_joined(relation.left), relation.right]
    return [relation]


def _rebuilt(relation: algebra.Relation, limits: Mapping[TableName, int], share: int | None) -> algebra.Relation:
    if isinstance(relation, algebra.Join):
        return replace(
            relation,
            left=_rebuilt(relation.left, limits, share),
            right=_rebuilt_side(relation.right, limits, share),
        )
    return _rebuilt_side(relation, limits, share)


def _rebuilt_side(relation: algebra.Relation, limits: Mapping[TableName, int], share: int | None) -> algebra.Relation:
    side = capped(relation, limits)
    if share is not None and most_rows(side, limits) > share:
        return algebra.FirstRows(side, share)
    return side
