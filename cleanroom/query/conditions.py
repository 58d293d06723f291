"""Type conditions: each becomes a predicate on codes, or a reason to refuse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cleanroom.errors import Refusal
from cleanroom.query import algebra
from cleanroom.query.predicates import FLIPPED, compare_columns, compare_constant, list_constants
from cleanroom.query.refusals import refusal
from cleanroom.query.resolved import (
    AllOf,
    AnyOf,
    ColumnUse,
    Compared,
    Condition,
    Constant,
    Listed,
    Literally,
    Member,
    Missing,
    MonthUse,
    Negated,
    UnitUse,
)

if TYPE_CHECKING:
    from cleanroom.catalog import ColumnType
    from cleanroom.errors import Position
    from cleanroom.query.resolved import Operand
    from cleanroom.query.unions import TypedColumn


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a FROM clause after WHERE; `places` says where each source's columns stand."""

    relation: algebra.Relation
    columns: tuple[TypedColumn, ...]
    places: dict[tuple[int, str], int]

    def place(self, use: ColumnUse) -> int:
        """Return where a column stands."""
        return self.places[use.source, use.name]

    def type(self, place: int) -> ColumnType:
        """Return the public type of the column at `place`."""
        return self.columns[place].type


class Conditions:
    """Types the conditions of a question, collecting every reason to refuse in `reasons`."""

    def __init__(self) -> None:
        self.reasons: list[Refusal] = []

    def refuse(
        self, code: str, position: Position | None, *, hint: tuple[str, str] | None = None, **evidence: object
    ) -> None:
        self.reasons.append(refusal(code, position, hint=hint, **evidence))

    def predicate(self, node: Condition, rows: Rows) -> algebra.Predicate:
        """Return the predicate of a condition over `rows`; unknown where it is refused."""
        match node:
            case AllOf(items=items):
                return algebra.And(tuple(self.predicate(item, rows) for item in items))
            case AnyOf(items=items):
                return algebra.Or(tuple(self.predicate(item, rows) for item in items))
            case Negated(item=item):
                return algebra.Not(self.predicate(item, rows))
            case Literally(value=value):
                if value is None:
                    return algebra.Truth.UNKNOWN
                return algebra.Truth.TRUE if value else algebra.Truth.FALSE
            case Missing(operand=UnitUse()):
                return algebra.Truth.FALSE
            case Missing(operand=ColumnUse() as use):
                return algebra.IsNull(rows.place(use))
            case Listed(operand=ColumnUse() as use, values=values, position=position):
                index = rows.place(use)
                constants = tuple(value.value for value in values)
                return self.kept(list_constants(index, rows.type(index), constants, position))
            case Compared():
                return self.compared(node, rows)
            case Member(position=position):
                self.refuse(
                    "set_operation",
                    position,
                    operation="IN (SELECT …)",
                    shape="une condition jointe par AND, sans NOT ni OR",
                    shape_en="a condition joined by AND, without NOT or OR",
                )
            case Missing(position=position) | Listed(position=position):
                self.operand_refused(node.operand, position)
        return algebra.Truth.UNKNOWN

    def compared(self, node: Compared, rows: Rows) -> algebra.Predicate:
        match node.left, node.right:
            case (ColumnUse() as use, Constant(value=value)):
                index = rows.place(use)
                return self.kept(compare_constant(node.operator, index, rows.type(index), value, node.position))
            case (Constant(value=value), ColumnUse() as use):
                index = rows.place(use)
                flipped = FLIPPED[node.operator]
                return self.kept(compare_constant(flipped, index, rows.type(index), value, node.position))
            case (ColumnUse() as left, ColumnUse() as right):
                i, j = rows.place(left), rows.place(right)
                pair = ((i, rows.type(i)), (j, rows.type(j)))
                return self.kept(compare_columns(node.operator, *pair, node.position))
        for operand in (node.left, node.right):
            if not isinstance(operand, (ColumnUse, Constant)):
                self.operand_refused(operand, node.position)
                return algebra.Truth.UNKNOWN
        self.refuse("not_admitted", node.position, what=f"constante {node.operator.value} constante")
        return algebra.Truth.UNKNOWN

    def operand_refused(self, operand: Operand, position: Position | None) -> None:
        match operand:
            case UnitUse():
                self.refuse("unit_use", position, unit="person")
            case MonthUse():
                self.refuse(
                    "not_admitted",
                    position,
                    what="date_trunc (WHERE)",
                    hint=("comparez la date elle-même", "compare the date itself"),
                )
            case _:
                self.refuse("not_admitted", position, what="constante")

    def kept(self, result: algebra.Predicate | Refusal) -> algebra.Predicate:
        if isinstance(result, Refusal):
            self.reasons.append(result)
            return algebra.Truth.UNKNOWN
        return result
