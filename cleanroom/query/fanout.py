"""Bound one person's rows in a relation, from public limits alone (S23).

A scan keeps at most the catalog's rows of a person; a join multiplies, a union adds. So memory for one person is
bounded whatever a member handed in, and a slice that does not fit can be split until it does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never

from cleanroom.query import algebra

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cleanroom.identifiers import TableName

MOST_ROWS: Final = 1 << 17
"""Rows of one person that a join may have; its sides are cut to the root of it, each, where they could exceed it."""


def most_rows(relation: algebra.Relation, limits: Mapping[TableName, int]) -> int:
    """Return how many rows of one person `relation` can have.

    Args:
        limits: `max_rows_per_person` of each table.
    """
    match relation:
        case algebra.Scan(table=table):
            return limits[table]
        case algebra.Select(source=source) | algebra.Semi(source=source):
            return most_rows(source, limits)
        case algebra.FirstRows(source=source, most=most):
            return min(most, most_rows(source, limits))
        case algebra.Join(left=left, right=right):
            return most_rows(left, limits) * most_rows(right, limits)
        case algebra.UnionAll(arms=arms):
            return sum(most_rows(arm.relation, limits) for arm in arms)
        case algebra.Persons():
            return 1
    assert_never(relation)
