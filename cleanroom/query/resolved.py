"""What a question says once its names are bound: the form between `resolve` and `unit`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date
    from decimal import Decimal

    from cleanroom.catalog import TableCatalog
    from cleanroom.errors import Position


class Operator(Enum):
    """A comparison as written."""

    EQ = "="
    NE = "<>"
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="


class Aggregate(Enum):
    """An aggregate as written."""

    COUNT_ROWS = "COUNT(*)"
    COUNT_PERSONS = "COUNT(DISTINCT person)"
    SUM = "SUM"
    AVG = "AVG"


@dataclass(frozen=True, slots=True)
class ColumnUse:
    """A column of the relation number `source` of the FROM clause."""

    source: int
    name: str
    position: Position | None


@dataclass(frozen=True, slots=True)
class UnitUse:
    """The privacy unit of relation number `source`; None for a bare name after joins on the unit."""

    source: int | None
    position: Position | None


@dataclass(frozen=True, slots=True)
class MonthUse:
    """date_trunc('month', column)."""

    column: ColumnUse
    position: Position | None


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal or a parameter's value; None is NULL."""

    value: str | Decimal | date | bool | None
    position: Position | None


Operand = ColumnUse | UnitUse | MonthUse | Constant


@dataclass(frozen=True, slots=True)
class Compared:
    """Two operands compared."""

    operator: Operator
    left: Operand
    right: Operand
    position: Position | None


@dataclass(frozen=True, slots=True)
class Listed:
    """An operand IN a list of constants."""

    operand: Operand
    values: tuple[Constant, ...]
    position: Position | None


@dataclass(frozen=True, slots=True)
class Missing:
    """An operand IS NULL."""

    operand: Operand
    position: Position | None


@dataclass(frozen=True, slots=True)
class Member:
    """A unit IN a relation."""

    unit: Operand
    relation: ResolvedRelation
    position: Position | None


@dataclass(frozen=True, slots=True)
class AllOf:
    """Conditions joined by AND."""

    items: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Conditions joined by OR."""

    items: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Negated:
    """NOT a condition."""

    item: Condition
    position: Position | None


@dataclass(frozen=True, slots=True)
class Literally:
    """TRUE, FALSE or NULL as a condition."""

    value: bool | None


Condition = Compared | Listed | Missing | Member | AllOf | AnyOf | Negated | Literally


@dataclass(frozen=True, slots=True)
class ResolvedTable:
    """A table of the catalog, and those of its columns that the question uses, in the catalog's order."""

    catalog: TableCatalog
    columns: tuple[str, ...]
    position: Position | None


@dataclass(frozen=True, slots=True)
class ResolvedJoin:
    """How a relation joins those before it.

    Args:
        using: number of the earlier relation whose unit USING equates with this one's, or None without USING.
    """

    using: int | None
    conditions: tuple[Condition, ...]
    position: Position | None


@dataclass(frozen=True, slots=True)
class AggregateUse:
    """An aggregate and its argument."""

    aggregate: Aggregate
    argument: Operand | None
    position: Position | None


OutputExpression = ColumnUse | UnitUse | MonthUse | Constant | AggregateUse


@dataclass(frozen=True, slots=True)
class ResolvedOutput:
    """An expression of the SELECT list and its label."""

    label: str
    expression: OutputExpression


@dataclass(frozen=True, slots=True)
class ResolvedSelect:
    """A SELECT whose names are bound."""

    sources: tuple[ResolvedTable | ResolvedRelation, ...]
    joins: tuple[ResolvedJoin, ...]
    where: Condition
    groups: tuple[ColumnUse | UnitUse | MonthUse, ...]
    outputs: tuple[ResolvedOutput, ...]
    position: Position | None


class SetOperation(Enum):
    """How two SELECTs are put together."""

    UNION_ALL = "UNION ALL"
    INTERSECT = "INTERSECT"


@dataclass(frozen=True, slots=True)
class ResolvedSet:
    """A set operation over SELECTs."""

    operation: SetOperation
    arms: tuple[ResolvedRelation, ...]
    position: Position | None


ResolvedRelation = ResolvedSelect | ResolvedSet


@dataclass(frozen=True, slots=True)
class ResolvedQuery:
    """One question, all names bound."""

    root: ResolvedRelation


def conjuncts(condition: Condition) -> tuple[Condition, ...]:
    """Return what `condition` joins by AND at its top."""
    if isinstance(condition, AllOf):
        return tuple(each for item in condition.items for each in conjuncts(item))
    return (condition,)
