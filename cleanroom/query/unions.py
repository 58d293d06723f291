"""Typed relations, and the union of several: bounds are the hull, domains the union (S29)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cleanroom.catalog import Category, ColumnType, Date, Number, Text
from cleanroom.errors import Refusal
from cleanroom.query.algebra import Arm, Relation, UnionAll
from cleanroom.query.refusals import refusal

if TYPE_CHECKING:
    from cleanroom.errors import Position
    from cleanroom.identifiers import TableName


@dataclass(frozen=True, slots=True)
class TypedColumn:
    """A column's public type, and the catalog columns that its values come from."""

    type: ColumnType
    origins: frozenset[tuple[TableName, str]]


@dataclass(frozen=True, slots=True)
class TypedRelation:
    """A personal relation and its columns.

    Args:
        unit_at: place of the unit among the outputs that were written, or None if it was not written.
    """

    relation: Relation
    columns: tuple[TypedColumn, ...]
    unit_at: int | None


def union_of(arms: list[TypedRelation], position: Position | None) -> TypedRelation | Refusal:
    """Unite `arms`, column by column.

    Every arm carries its own hidden unit, so the union is personal (S18). A category's codes are those of the first
    arm's domain, then of what later arms add; each arm's codes are translated. Keys and dependencies of the arms are
    not kept: a person may be in several (S6).
    """
    first = arms[0]
    for arm in arms[1:]:
        if len(arm.columns) != len(first.columns) or arm.unit_at != first.unit_at:
            return refusal(
                "set_operation",
                position,
                operation="UNION ALL",
                shape="des branches aux mêmes colonnes, la personne à la même place",
                shape_en="arms with the same columns, the person at the same place",
            )
    columns: list[TypedColumn] = []
    for index in range(len(first.columns)):
        hull = first.columns[index].type
        for arm in arms[1:]:
            joined = _hull(hull, arm.columns[index].type)
            if joined is None:
                return refusal("union_types", position, number=index + 1)
            hull = joined
        origins = frozenset().union(*(arm.columns[index].origins for arm in arms))
        columns.append(TypedColumn(hull, origins))
    united = UnionAll(
        tuple(
            Arm(
                arm.relation,
                tuple(_recode(mine.type, united.type) for mine, united in zip(arm.columns, columns, strict=True)),
            )
            for arm in arms
        )
    )
    return TypedRelation(united, tuple(columns), first.unit_at)


def _hull(left: ColumnType, right: ColumnType) -> ColumnType | None:
    nullable = left.nullable or right.nullable
    match left, right:
        case (Category(), Category()):
            added = tuple(value for value in right.domain if value not in set(left.domain))
            return Category(left.domain + added, nullable)
        case (Text(), Text()):
            return Text(nullable)
        case (Date(), Date()):
            return Date(min(left.first, right.first), max(left.last, right.last), nullable)
        case (Number(), Number()) if left.resolution == right.resolution and left.unit == right.unit:
            return replace(
                left, lower=min(left.lower, right.lower), upper=max(left.upper, right.upper), nullable=nullable
            )
    return None


def _recode(mine: ColumnType, united: ColumnType) -> tuple[int, ...] | None:
    if not isinstance(mine, Category) or not isinstance(united, Category) or mine.domain == united.domain:
        return None
    places = {value: code for code, value in enumerate(united.domain)}
    codes = tuple(places[value] for value in mine.domain)
    return None if codes == tuple(range(len(codes))) else codes
