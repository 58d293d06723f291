"""Bind every name to a column of the catalog that this party may see, or to the privacy unit.

What the party may not see is not in `visible`, so unknown and forbidden names read alike (S12, DESIGN §9). Matching
ignores ASCII case. What follows works on positions and catalog columns; the text's names are gone, except aliases,
which stay labels of the answer.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from cleanroom.errors import Refused
from cleanroom.identifiers import InvalidName, TableName, fold
from cleanroom.query.binder import Binder, Source, shown
from cleanroom.query.resolved import (
    Aggregate,
    AggregateUse,
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
    Operator,
    OutputExpression,
    ResolvedJoin,
    ResolvedOutput,
    ResolvedQuery,
    ResolvedRelation,
    ResolvedSelect,
    ResolvedSet,
    ResolvedTable,
    SetOperation,
    UnitUse,
    conjuncts,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cleanroom.catalog import TableCatalog
    from cleanroom.errors import Position
    from cleanroom.query.parse import ParsedQuery


LONGEST_LABEL: Final = 63

_OPERATORS: Final[dict[type[exp.Expr], Operator]] = {
    exp.EQ: Operator.EQ,
    exp.NEQ: Operator.NE,
    exp.LT: Operator.LT,
    exp.LTE: Operator.LE,
    exp.GT: Operator.GT,
    exp.GTE: Operator.GE,
}


def resolve(query: ParsedQuery, visible: Mapping[TableName, TableCatalog]) -> ResolvedQuery:
    """Bind the names of `query`.

    Args:
        visible: the tables that some rule opens to this party for this purpose.

    Raises:
        Refused: every name that is unknown, unqualified or ambiguous, and constructs out of place.
    """
    resolver = _Resolver(query, visible)
    root = resolver.relation(query.tree)
    if resolver.reasons:
        raise Refused(tuple(dict.fromkeys(resolver.reasons)))
    return ResolvedQuery(root)


class _Resolver(Binder):
    def relation(self, node: exp.Expr) -> ResolvedRelation:
        while isinstance(node, (exp.Subquery, exp.Paren)):
            node = node.this
        match node:
            case exp.Select():
                return self.select(node)
            case exp.Union() | exp.Intersect():
                return self.set_operation(node)
        self.refuse("not_admitted", node, what=type(node).__name__)
        return ResolvedSelect((), (), Literally(value=True), (), (), None)

    def set_operation(self, node: exp.Union | exp.Intersect) -> ResolvedSet:
        operation = SetOperation.UNION_ALL if isinstance(node, exp.Union) else SetOperation.INTERSECT
        if isinstance(node, exp.Union) and node.args.get("distinct"):
            self.refuse(
                "set_operation",
                node,
                operation="UNION",
                shape="UNION ALL",
                shape_en="UNION ALL",
                hint=("écrivez UNION ALL", "write UNION ALL"),
            )
        if isinstance(node, exp.Intersect) and not node.args.get("distinct"):
            self.refuse(
                "set_operation",
                node,
                operation="INTERSECT ALL",
                shape="INTERSECT",
                shape_en="INTERSECT",
                hint=("écrivez INTERSECT", "write INTERSECT"),
            )
        arms: list[ResolvedRelation] = []
        for side in (node.this, node.expression):
            resolved = self.relation(side)
            # Both operations are associative: a chain is one operation with many arms.
            if isinstance(resolved, ResolvedSet) and resolved.operation is operation:
                arms.extend(resolved.arms)
            else:
                arms.append(resolved)
        return ResolvedSet(operation, tuple(arms), self.query.position(node))

    def select(self, node: exp.Select) -> ResolvedSelect:
        if node.args.get("kind"):
            self.refuse("not_admitted", node, what=f"SELECT AS {node.args['kind']}")
        sources: list[Source] = []
        joins: list[ResolvedJoin] = []
        from_ = node.args.get("from_")
        if from_ is None:
            self.refuse("row_output", node)
            return ResolvedSelect((), (), Literally(value=True), (), (), None)
        sources.append(self.source(from_.this))
        for join in node.args.get("joins") or ():
            sources.append(self.source(join.this))
            joins.append(self.join(join, sources))
        labels = [(source.label, source.owner) for source in sources]
        for index, label in enumerate(labels):
            if label in labels[:index]:
                hint = ("donnez un alias : … AS b", "give an alias: … AS b")
                self.refuse("duplicate_name", node, name=label[0] or "(SELECT …)", hint=hint)
        where_node = node.args.get("where")
        where = self.condition(where_node.this, sources) if where_node is not None else Literally(value=True)
        outputs = tuple(self.output(each, sources) for each in node.expressions)
        group_node = node.args.get("group")
        groups = tuple(
            group
            for each in (group_node.expressions if group_node is not None else ())
            if (group := self.group(each, sources, outputs)) is not None
        )
        return ResolvedSelect(
            tuple(self.finished(source) for source in sources),
            tuple(joins),
            where,
            groups,
            outputs,
            self.query.position(node),
        )

    def finished(self, source: Source) -> ResolvedTable | ResolvedRelation:
        if source.relation is not None:
            return source.relation
        if source.table is None:
            return ResolvedSelect((), (), Literally(value=True), (), (), None)
        used = tuple(column.name for column in source.table.columns if column.name in source.used)
        return ResolvedTable(source.table, used, source.position)

    def source(self, node: exp.Expr) -> Source:
        position = self.query.position(node)
        alias_node = node.args.get("alias")
        alias = fold(str(alias_node.this.this)) if alias_node is not None and alias_node.this is not None else None
        match node:
            case exp.Table():
                return self.table(node, alias, position)
            case exp.Subquery():
                relation = self.relation(node.this)
                first: ResolvedRelation = relation
                while isinstance(first, ResolvedSet):
                    first = first.arms[0]
                names = tuple(fold(o.label) for o in first.outputs if not isinstance(o.expression, UnitUse))
                unit = next((fold(o.label) for o in first.outputs if isinstance(o.expression, UnitUse)), None)
                every = names if unit is None else (*names, unit)
                for name in sorted({each for each in every if every.count(each) > 1}):
                    self.refuse("ambiguous_name", node, name=name)
                return Source(alias or "", "", unit, names, None, relation, position, set())
        self.refuse("not_admitted", node, what=type(node).__name__)
        return Source(alias or "", "", None, (), None, None, position, set())

    def table(self, node: exp.Table, alias: str | None, position: Position | None) -> Source:
        name = str(node.this.this) if isinstance(node.this, exp.Identifier) else ""
        owner = node.args.get("db")
        if not name or node.args.get("catalog") is not None:
            self.refuse("not_admitted", node, what=type(node.this).__name__)
            return Source(alias or "", "", None, (), None, None, position, set())
        if owner is None:
            found = [str(table) for table in self.visible if table.name == fold(name)]
            hint = (f"par exemple {found[0]}", f"for example {found[0]}") if found else None
            self.refuse("unqualified_table", node, name=name[:80], hint=hint)
            return Source(alias or fold(name), "", None, (), None, None, position, set())
        written = f"{fold(str(owner.this))}.{fold(name)}"
        catalog = None
        with contextlib.suppress(InvalidName):
            catalog = self.visible.get(TableName.parse(written))
        if catalog is None:
            self.refuse(
                "unknown_name", node, name=written[:140], hint=self.near(written, [str(t) for t in self.visible])
            )
            return Source(alias or fold(name), "", None, (), None, None, position, set())
        columns = tuple(column.name for column in catalog.columns)
        return Source(
            alias or fold(name),
            "" if alias else catalog.table.owner,
            catalog.unit.name,
            columns,
            catalog,
            None,
            position,
            set(),
        )

    def join(self, node: exp.Join, sources: list[Source]) -> ResolvedJoin:
        position = self.query.position(node)
        kind = str(node.args.get("kind") or "").upper()
        if kind not in {"", "INNER"}:
            self.refuse(
                "not_admitted",
                node,
                what=f"{kind} JOIN",
                hint=("INNER JOIN … USING (person)", "INNER JOIN … USING (person)"),
            )
        using = [fold(str(each.name)) for each in node.args.get("using") or ()]
        linked: int | None = None
        for name in using:
            earlier = [number for number, source in enumerate(sources[:-1]) if source.unit == name]
            if name != sources[-1].unit or not earlier:
                self.refuse("join_without_unit", node, hint=self._unit_hint(sources))
            else:
                linked = earlier[0]
        on = node.args.get("on")
        conditions = conjuncts(self.condition(on, sources)) if on is not None else ()
        return ResolvedJoin(linked, conditions, position)

    @staticmethod
    def _unit_hint(sources: list[Source]) -> tuple[str, str]:
        unit = next((source.unit for source in sources if source.unit), "person")
        return (f"JOIN … USING ({unit})", f"JOIN … USING ({unit})")

    def output(self, node: exp.Expr, sources: list[Source]) -> ResolvedOutput:
        inner = node.this if isinstance(node, exp.Alias) else node
        label = str(node.alias) if isinstance(node, exp.Alias) else None
        if isinstance(node, exp.Alias) and not _names_a_column(node.args.get("alias")):
            self.refuse("not_admitted", node, what=str(node.alias)[:40])
        if label is not None and not (0 < len(label) <= LONGEST_LABEL and label.isprintable()):
            self.refuse("not_admitted", node, what="alias")
            label = "alias"
        expression = self.output_expression(inner, sources)
        if label is None:
            # The printed expression, from the bound names: never the text.
            label = _describe(expression)
        return ResolvedOutput(label, expression)

    def output_expression(self, node: exp.Expr, sources: list[Source]) -> OutputExpression:
        position = self.query.position(node)
        match node:
            case exp.Paren():
                return self.output_expression(node.this, sources)
            case exp.Count(this=exp.Star()):
                return AggregateUse(Aggregate.COUNT_ROWS, None, position)
            case exp.Count(this=exp.Distinct()):
                inner = node.this.expressions
                argument = self.operand(inner[0], sources) if len(inner) == 1 else None
                if not isinstance(argument, UnitUse):
                    self.refuse(
                        "aggregate_not_admitted",
                        node,
                        function="COUNT(DISTINCT …)",
                        hint=("COUNT(DISTINCT person)", "COUNT(DISTINCT person)"),
                    )
                return AggregateUse(Aggregate.COUNT_PERSONS, argument, position)
            case exp.Count():
                self.refuse("aggregate_not_admitted", node, function="COUNT(x)", hint=("COUNT(*)", "COUNT(*)"))
                return AggregateUse(Aggregate.COUNT_ROWS, None, position)
            case exp.Sum() | exp.Avg():
                aggregate = Aggregate.SUM if isinstance(node, exp.Sum) else Aggregate.AVG
                return AggregateUse(aggregate, self.operand(node.this, sources), position)
        return self.operand(node, sources)

    def group(
        self, node: exp.Expr, sources: list[Source], outputs: tuple[ResolvedOutput, ...]
    ) -> ColumnUse | UnitUse | MonthUse | None:
        """Resolve a key: an ordinal, a column, an alias, or a month; a column's name goes before an alias."""
        if isinstance(node, exp.Literal) and not node.is_string:
            written = str(node.this)
            ordinal = int(written) if written.isdigit() and len(written) < 5 else 0
            if not 1 <= ordinal <= len(outputs):
                self.refuse("unknown_name", node, name=str(node.this)[:20])
                return None
            return self._as_key(outputs[ordinal - 1].expression, node)
        if isinstance(node, exp.Column) and not node.table:
            name = fold(str(node.name))
            if not any(name in source.columns or name == source.unit for source in sources):
                named = [output for output in outputs if fold(output.label) == name]
                if len(named) == 1:
                    return self._as_key(named[0].expression, node)
        return self._as_key(self.operand(node, sources), node)

    def _as_key(self, expression: OutputExpression, node: exp.Expr) -> ColumnUse | UnitUse | MonthUse | None:
        if isinstance(expression, (ColumnUse, UnitUse, MonthUse)):
            return expression
        if not self.reasons:
            self.refuse("not_admitted", node, what="GROUP BY …")
        return None

    def condition(self, node: exp.Expr, sources: list[Source]) -> Condition:
        position = self.query.position(node)
        match node:
            case exp.Paren():
                return self.condition(node.this, sources)
            case exp.And() | exp.Or():
                # A chain is one condition with many items; sqlglot nests it to the left.
                made: type[AllOf | AnyOf] = AllOf if isinstance(node, exp.And) else AnyOf
                sides = (self.condition(node.this, sources), self.condition(node.expression, sources))
                return made(
                    tuple(item for side in sides for item in (side.items if isinstance(side, made) else (side,)))
                )
            case exp.Not():
                item = self.condition(node.this, sources)
                return item.item if isinstance(item, Negated) else Negated(item, position)
            case exp.Boolean():
                return Literally(value=bool(node.this))
            case exp.Null():
                return Literally(value=None)
            case exp.Is(expression=exp.Null()):
                return Missing(self.operand(node.this, sources), position)
            case exp.Between():
                operand = self.operand(node.this, sources)
                low, high = self.operand(node.args["low"], sources), self.operand(node.args["high"], sources)
                return AllOf(
                    (Compared(Operator.GE, operand, low, position), Compared(Operator.LE, operand, high, position))
                )
            case exp.In():
                return self.in_(node, sources, position)
        operator = _OPERATORS.get(type(node))
        if operator is None:
            self.refuse("not_admitted", node, what=shown(node))
            return Literally(value=None)
        return Compared(operator, self.operand(node.this, sources), self.operand(node.expression, sources), position)

    def in_(self, node: exp.In, sources: list[Source], position: Position | None) -> Condition:
        operand = self.operand(node.this, sources)
        query = node.args.get("query")
        if query is not None:
            return Member(operand, self.relation(query), position)
        values = []
        for each in node.expressions:
            value = self.operand(each, sources)
            if isinstance(value, Constant):
                values.append(value)
            else:
                self.refuse("not_admitted", each, what="IN (…)")
        return Listed(operand, tuple(values), position)


def _names_a_column(alias: object) -> bool:
    """Return whether an alias is a name: sqlglot also takes a placeholder, and DuckDB's EXPORT_STATE, for one."""
    if not isinstance(alias, exp.Identifier):
        return False
    return bool(alias.quoted) or fold(str(alias.this)) != "export_state"


def _describe(expression: OutputExpression) -> str:
    match expression:
        case ColumnUse(name=name):
            return name
        case UnitUse():
            return "person"
        case MonthUse(column=column):
            return f"date_trunc('month', {column.name})"
        case Constant():
            return "constant"
        case AggregateUse(aggregate=aggregate, argument=argument):
            if isinstance(argument, ColumnUse):
                return f"{aggregate.value.lower()}({argument.name})"
            return aggregate.value.lower()
