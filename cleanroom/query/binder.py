"""Bind operands: columns, the unit, constants, parameters, months."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from cleanroom.identifiers import fold
from cleanroom.query.parse import is_plain_number
from cleanroom.query.predicates import iso_date
from cleanroom.query.refusals import refusal
from cleanroom.query.resolved import ColumnUse, Constant, MonthUse, Operand, ResolvedRelation, UnitUse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cleanroom.catalog import TableCatalog
    from cleanroom.errors import Position, Refusal
    from cleanroom.identifiers import TableName
    from cleanroom.query.parse import ParsedQuery


MONTH_CALL: Final = re.compile(
    r"""\s*\(\s*'month'\s*,\s*("?\w+"?\s*\.\s*){0,2}"?\w+"?\s*\)""", re.ASCII | re.IGNORECASE
)


@dataclass
class Source:
    """A relation of a FROM clause while its names are being bound.

    Args:
        label: its alias, else its table's name without the owner.
        owner: the table's owner where it has no alias, since `tnm.visits` and `francos.visits` differ; else "".
        used: the columns that occur, collected while binding.
    """

    label: str
    owner: str
    unit: str | None
    columns: tuple[str, ...]
    table: TableCatalog | None
    relation: ResolvedRelation | None
    position: Position | None
    used: set[str]


class Binder:
    """Binds operands against the relations of one FROM clause, collecting every reason to refuse."""

    def __init__(self, query: ParsedQuery, visible: Mapping[TableName, TableCatalog]) -> None:
        self.query = query
        self.visible = visible
        self.reasons: list[Refusal] = []

    def refuse(self, code: str, node: exp.Expr, *, hint: tuple[str, str] | None = None, **evidence: object) -> None:
        self.reasons.append(refusal(code, self.query.position(node), hint=hint, **evidence))

    @staticmethod
    def near(name: str, known: list[str]) -> tuple[str, str] | None:
        close = difflib.get_close_matches(name, known, n=1)
        return (f"vouliez-vous dire {close[0]} ?", f"did you mean {close[0]}?") if close else None

    def operand(self, node: exp.Expr, sources: list[Source]) -> Operand:
        position = self.query.position(node)
        match node:
            case exp.Paren():
                return self.operand(node.this, sources)
            case exp.Column():
                return self.name(node, sources)
            case exp.TimestampTrunc() | exp.DateTrunc():
                unit = node.args.get("unit")
                column = self.operand(node.this, sources)
                if self.written_month(node, unit) and isinstance(column, ColumnUse):
                    return MonthUse(column, position)
                self.refuse(
                    "not_admitted",
                    node,
                    what="date_trunc",
                    hint=("date_trunc('month', colonne)", "date_trunc('month', column)"),
                )
                return Constant(None, position)
            case exp.Star():
                self.refuse("row_output", node, hint=("COUNT(*), SUM(…), AVG(…)", "COUNT(*), SUM(…), AVG(…)"))
                return Constant(None, position)
            case exp.Null():
                return Constant(None, position)
            case exp.Boolean():
                return Constant(bool(node.this), position)
            case exp.Literal():
                return Constant(str(node.this) if node.is_string else self.number(node), position)
            case exp.Neg(this=exp.Literal(is_string=False)):
                number = self.number(node.this)
                return Constant(-number if number is not None else None, position)
            case exp.Placeholder():
                given = self.query.parameter(node)
                exact = Decimal(given) if isinstance(given, int) and not isinstance(given, bool) else given
                return Constant(exact, position)
            case exp.Cast(this=exp.Literal(is_string=True)) if node.to.this is exp.DataType.Type.DATE:
                day = iso_date(str(node.this.this))
                if day is None:
                    self.refuse("comparison_types", node, type_fr="une date illisible", type_en="an unreadable date")
                return Constant(day, position)
        self.refuse("not_admitted", node, what=shown(node))
        return Constant(None, position)

    def written_month(self, node: exp.Expr, unit: object) -> bool:
        """Return whether the text says date_trunc('month', …) with two arguments.

        sqlglot takes a column for the unit as its name, and drops a third argument (docs/adr/0002), so the tokens
        that it read are looked at again.
        """
        place = next((int(each.meta["end"]) + 1 for each in (node,) if "end" in each.meta), None)
        if place is None or str(getattr(unit, "this", "")).upper() != "MONTH":
            return False
        return MONTH_CALL.match(self.query.text, place) is not None

    def number(self, node: exp.Expr) -> Decimal | None:
        try:
            value = Decimal(str(node.this))
        except InvalidOperation:
            value = Decimal("NaN")
        if is_plain_number(value):
            return value
        self.refuse("not_admitted", node, what=str(node.this)[:40])
        return None

    def name(self, node: exp.Column, sources: list[Source]) -> Operand:
        position = self.query.position(node)
        name, table = fold(str(node.name)), fold(str(node.table))
        database = fold(str(node.args["db"].this)) if node.args.get("db") is not None else ""
        if isinstance(node.this, exp.Star):
            self.refuse("row_output", node)
            return Constant(None, position)
        found: list[Operand] = []
        for index, source in enumerate(sources):
            if table and table != source.label:
                continue
            if database and (source.table is None or database != source.table.table.owner):
                continue
            if name == source.unit:
                found.append(UnitUse(index, position))
            elif name in source.columns:
                source.used.add(name)
                found.append(ColumnUse(index, name, position))
        if len(found) == 1:
            return found[0]
        if found and all(isinstance(each, UnitUse) for each in found):
            # After USING, or after ON a.person = b.person, the bare unit is the same on every side.
            return UnitUse(None, position)
        shown = ".".join(part for part in (database, table, name) if part)[:140]
        if found:
            uses = [sources[each.source] for each in found if isinstance(each, ColumnUse)]
            written = [f"{each.owner}.{each.label}.{name}" if each.owner else f"{each.label}.{name}" for each in uses]
            hint = (f"écrivez {written[0]}", f"write {written[0]}") if written else None
            self.refuse("ambiguous_name", node, name=shown, hint=hint)
        elif all(source.table is not None or source.relation is not None for source in sources):
            # When a relation is itself unknown, that is the reason given.
            known = [column for source in sources for column in source.columns]
            self.refuse("unknown_name", node, name=shown, hint=self.near(name, known))
        return Constant(None, position)


def shown(node: exp.Expr) -> str:
    """Return how an unadmitted construct is named in a refusal."""
    return node.sql_names()[0] if isinstance(node, exp.Func) else type(node).__name__
