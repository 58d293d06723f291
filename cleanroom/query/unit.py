"""Prove that every relation is personal, and give every column its domain and bounds.

The unit travels beside each row, hidden (S14), so a relation is personal by construction once it is built from the
algebra. What is checked here is that the question asks for nothing else: joins equate units (S15), IN and INTERSECT
are on the unit (S16, S18), the unit is used as a key and as nothing else, tables of different identifier kinds or
epochs never meet (S10), and a row never leaves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, assert_never

from cleanroom.catalog import Category, Date, Number, Text
from cleanroom.errors import Refusal, Refused
from cleanroom.identifiers import fold
from cleanroom.query import algebra
from cleanroom.query.conditions import Conditions, Rows
from cleanroom.query.fanout import MOST_ROWS, most_rows
from cleanroom.query.resolved import (
    Aggregate,
    AggregateUse,
    ColumnUse,
    Compared,
    Condition,
    Constant,
    Member,
    MonthUse,
    Operator,
    ResolvedSelect,
    ResolvedSet,
    ResolvedTable,
    SetOperation,
    UnitUse,
    conjuncts,
)
from cleanroom.query.statistics import (
    CategoryKey,
    CountPersons,
    CountRows,
    Key,
    KeyOutput,
    Mean,
    MonthKey,
    NumberKey,
    Output,
    Statistic,
    StatisticOutput,
    Sum,
)
from cleanroom.query.unions import TypedColumn, TypedRelation, union_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from cleanroom.identifiers import Epoch, TableName
    from cleanroom.query.resolved import ResolvedQuery, ResolvedRelation


@dataclass(frozen=True, slots=True)
class TypedQuery:
    """One release over a personal relation, before its bounds are set."""

    source: TypedRelation
    keys: tuple[Key, ...]
    statistics: tuple[Statistic, ...]
    outputs: tuple[Output, ...]


def type_query(query: ResolvedQuery, epochs: Mapping[TableName, Epoch]) -> TypedQuery:
    """Type a question.

    Args:
        epochs: the epoch of each table's tokens; a table without rows has none.

    Raises:
        Refused: every reason found.
    """
    typer = _Typer(query.root)
    typed = typer.release(query.root)
    typer.one_namespace(query.root, epochs)
    if typer.reasons or typed is None:
        raise Refused(tuple(dict.fromkeys(typer.reasons)))
    return typed


def _column_names(source: ResolvedTable | ResolvedRelation) -> tuple[str, ...]:
    match source:
        case ResolvedTable(columns=columns):
            return columns
        case ResolvedSelect(outputs=outputs):
            return tuple(fold(o.label) for o in outputs if not isinstance(o.expression, UnitUse))
        case ResolvedSet(arms=arms):
            return _column_names(arms[0])
    assert_never(source)


class _Typer(Conditions):
    def __init__(self, root: ResolvedRelation) -> None:
        super().__init__()
        self.limits = {each.catalog.table: each.catalog.max_rows_per_person for each in _tables(root)}
        outputs = root.outputs if isinstance(root, ResolvedSelect) else ()
        asked = {each.expression.aggregate for each in outputs if isinstance(each.expression, AggregateUse)}
        self.persons_only = asked == {Aggregate.COUNT_PERSONS}

    # The release

    def release(self, root: ResolvedRelation) -> TypedQuery | None:
        """Type the outermost SELECT: keys and aggregates of a personal relation."""
        if not isinstance(root, ResolvedSelect):
            self.refuse("row_output", root.position)
            return None
        rows = self.rows(root)
        keys = [self.key(group, rows) for group in root.groups]
        statistics: list[Statistic] = []
        outputs: list[Output] = []
        for output in root.outputs:
            match output.expression:
                case AggregateUse() as use:
                    statistic = self.statistic(use, rows)
                    if statistic is not None:
                        if statistic not in statistics:
                            statistics.append(statistic)
                        outputs.append(StatisticOutput(output.label, statistics.index(statistic)))
                case ColumnUse() | MonthUse() as expression:
                    same = [at for at, group in enumerate(root.groups) if _same_key(group, expression)]
                    if same:
                        outputs.append(KeyOutput(output.label, same[0]))
                    elif root.groups or any(isinstance(o.expression, AggregateUse) for o in root.outputs):
                        self.refuse("not_grouped", expression.position, name=output.label[:80])
                    else:
                        self.refuse("row_output", expression.position)
                case UnitUse(position=position):
                    self.refuse("row_output", position)
                case Constant(position=position):
                    self.refuse("not_admitted", position, what="constante (SELECT)")
        if not statistics and not self.reasons:
            self.refuse(
                "row_output",
                root.position,
                hint=("ajoutez COUNT(DISTINCT person)", "add COUNT(DISTINCT person)"),
            )
        shown = {output.key for output in outputs if isinstance(output, KeyOutput)}
        if shown != set(range(len(keys))) and not self.reasons:
            self.refuse("key_not_selected", root.position)
        if self.reasons:
            return None
        source = TypedRelation(rows.relation, rows.columns, None)
        return TypedQuery(source, tuple(key for key in keys if key is not None), tuple(statistics), tuple(outputs))

    def key(self, group: ColumnUse | UnitUse | MonthUse, rows: Rows) -> Key | None:
        """Return the key and its public, complete set of values; NULL is one where the column is nullable."""
        match group:
            case UnitUse(position=position):
                self.refuse("row_output", position)
                return None
            case MonthUse(column=column, position=position):
                kind = rows.type(rows.place(column))
                if not isinstance(kind, Date):
                    self.refuse(
                        "comparison_types", position, type_fr="date_trunc d'une date", type_en="date_trunc of a date"
                    )
                    return None
                first = _month_number(kind.first)
                return MonthKey(rows.place(column), first, _month_number(kind.last) - first + 1, kind.nullable)
            case ColumnUse(name=name, position=position):
                place = rows.place(group)
                match rows.type(place):
                    case Category(domain=domain, nullable=nullable):
                        return CategoryKey(place, domain, nullable)
                    case Number(lower=lower, upper=upper, resolution=resolution, nullable=nullable):
                        return NumberKey(place, lower, upper, resolution, nullable)
                    case Date():
                        self.refuse(
                            "not_admitted",
                            position,
                            what=f"GROUP BY {name}",
                            hint=(f"GROUP BY date_trunc('month', {name})", f"GROUP BY date_trunc('month', {name})"),
                        )
                    case Text():
                        self.refuse("key_without_domain", position, name=name)
                return None
        assert_never(group)

    def statistic(self, use: AggregateUse, rows: Rows) -> Statistic | None:
        match use.aggregate:
            case Aggregate.COUNT_ROWS:
                return CountRows()
            case Aggregate.COUNT_PERSONS:
                return CountPersons()
            case Aggregate.SUM | Aggregate.AVG:
                if isinstance(use.argument, ColumnUse):
                    place = rows.place(use.argument)
                    kind = rows.type(place)
                    if isinstance(kind, Number):
                        made = Sum if use.aggregate is Aggregate.SUM else Mean
                        return made(place, kind.lower, kind.upper, kind.resolution)
                if isinstance(use.argument, UnitUse):
                    self.refuse("unit_use", use.position, unit="person")
                else:
                    self.refuse("measure_required", use.position, function=use.aggregate.value)
                return None
        assert_never(use.aggregate)

    def one_namespace(self, root: ResolvedRelation, epochs: Mapping[TableName, Epoch]) -> None:
        """Refuse a question over tokens of two kinds or two epochs: they name people differently (S10)."""
        tables = {table.catalog.table: table for table in _tables(root)}
        kinds = {table.catalog.unit.token_kind for table in tables.values()}
        if len(kinds) > 1:
            self.refuse("kinds_differ", root.position, kinds=", ".join(sorted(kinds)))
        if len({epochs[name] for name in tables if name in epochs}) > 1:
            self.refuse("epochs_differ", root.position)

    # Relations

    def relation(self, node: ResolvedTable | ResolvedRelation) -> TypedRelation:
        match node:
            case ResolvedTable():
                table = node.catalog.table
                columns = tuple(
                    TypedColumn(column.type, frozenset({(table, column.name)}))
                    for column in node.catalog.columns
                    if column.name in node.columns
                )
                return TypedRelation(algebra.Scan(table, node.columns), columns, unit_at=None)
            case ResolvedSelect():
                return self.select(node)
            case ResolvedSet():
                return self.set_operation(node)
        assert_never(node)

    def select(self, node: ResolvedSelect) -> TypedRelation:
        """Type a SELECT inside FROM, IN or a set operation: rows of people, no aggregates."""
        rows = self.rows(node)
        if node.groups:
            self.refuse("not_admitted", node.position, what="GROUP BY (sous-requête / subquery)")
        columns: list[int] = []
        unit_at: int | None = None
        for place, output in enumerate(node.outputs):
            match output.expression:
                case ColumnUse() as use:
                    columns.append(rows.place(use))
                case UnitUse():
                    if unit_at is not None:
                        self.refuse("unit_use", output.expression.position, unit=output.label)
                    unit_at = place
                case AggregateUse(aggregate=aggregate, position=position):
                    self.refuse("aggregate_not_admitted", position, function=aggregate.value)
                case MonthUse(position=position) | Constant(position=position):
                    self.refuse("not_admitted", position, what=f"SELECT {output.label[:40]}")
        if self.reasons:
            # Whoever reads these columns from outside would find them out of place.
            raise Refused(tuple(dict.fromkeys(self.reasons)))
        relation = algebra.Select(rows.relation, algebra.Truth.TRUE, tuple(columns))
        return TypedRelation(relation, tuple(rows.columns[i] for i in columns), unit_at)

    def set_operation(self, node: ResolvedSet) -> TypedRelation:
        arms = [self.relation(arm) for arm in node.arms]
        match node.operation:
            case SetOperation.UNION_ALL:
                united = union_of(arms, node.position)
                if isinstance(united, Refusal):
                    self.reasons.append(united)
                    return arms[0]
                return united
            case SetOperation.INTERSECT:
                if any(arm.columns or arm.unit_at is None for arm in arms):
                    self.refuse(
                        "set_operation",
                        node.position,
                        operation="INTERSECT",
                        shape="la personne seule",
                        shape_en="the person alone",
                        hint=(
                            "SELECT person FROM … INTERSECT SELECT person FROM …",
                            "SELECT person FROM … INTERSECT SELECT person FROM …",
                        ),
                    )
                relation = arms[0].relation
                for arm in arms[1:]:
                    relation = algebra.Semi(relation, arm.relation)
                return TypedRelation(algebra.Persons(relation), (), unit_at=0)
        assert_never(node.operation)

    def rows(self, node: ResolvedSelect) -> Rows:
        """Type FROM and WHERE: joins on the unit, then semi-joins, then one filter."""
        sources = [self.relation(source) for source in node.sources]
        columns = tuple(column for source in sources for column in source.columns)
        names = [(index, name) for index, source in enumerate(node.sources) for name in _column_names(source)]
        rows = Rows(sources[0].relation, columns, {use: place for place, use in enumerate(names)})
        conditions: list[Condition] = list(conjuncts(node.where))
        linked = set(range(len(sources)))
        groups = [{index} for index in range(len(sources))]

        def link(left: int, right: int) -> None:
            merged = groups[left] | groups[right]
            for member in merged:
                groups[member] = merged

        for step, join in enumerate(node.joins, start=1):
            if join.using is not None:
                link(join.using, step)
            conditions.extend(join.conditions)
        remaining: list[Condition] = []
        for condition in conditions:
            match condition:
                case Compared(operator=Operator.EQ, left=UnitUse(source=int(a)), right=UnitUse(source=int(b))):
                    # Every join here is inner, so WHERE may state the equality as well as ON (S15).
                    link(a, b)
                case _:
                    remaining.append(condition)
        for step, join in enumerate(node.joins, start=1):
            if groups[step] != linked:
                self.refuse(
                    "join_without_unit",
                    join.position,
                    hint=("JOIN … USING (person)", "JOIN … USING (person)"),
                )
                break
        relation = self.joined(sources)
        predicates: list[algebra.Predicate] = []
        for condition in remaining:
            if isinstance(condition, Member):
                relation = algebra.Semi(relation, self.member(condition))
            else:
                predicates.append(self.predicate(condition, rows))
        predicates = [each for each in predicates if each is not algebra.Truth.TRUE]
        if predicates:
            predicate = predicates[0] if len(predicates) == 1 else algebra.And(tuple(predicates))
            relation = algebra.Select(relation, predicate, tuple(range(len(columns))))
        return replace(rows, relation=relation)

    def joined(self, sources: list[TypedRelation]) -> algebra.Relation:
        """Join relations on the unit, within a public bound on one person's rows (S23).

        Where only persons are counted, how often a row is repeated does not matter: a relation without columns is
        then a semi-join, which is exact. For the rest, when the product of the sides' bounds exceeds `MOST_ROWS`, each
        side keeps its first rows of each person, in the order of all its columns.
        """
        kept = [source for source in sources if source.columns or not self.persons_only] or sources[:1]
        others = [source for source in sources if not any(source is each for each in kept)]
        bounds = [most_rows(source.relation, self.limits) for source in kept]
        sides = [source.relation for source in kept]
        if math.prod(bounds) > MOST_ROWS:
            share = max(1, int(MOST_ROWS ** (1 / len(kept))))
            sides = [
                algebra.FirstRows(side, share) if most > share else side
                for side, most in zip(sides, bounds, strict=True)
            ]
        relation = sides[0]
        for side in sides[1:]:
            relation = algebra.Join(relation, side)
        for other in others:
            relation = algebra.Semi(relation, other.relation)
        return relation

    def member(self, condition: Member) -> algebra.Relation:
        other = self.relation(condition.relation)
        if not isinstance(condition.unit, UnitUse) or other.unit_at is None or other.columns:
            self.refuse(
                "set_operation",
                condition.position,
                operation="IN (SELECT …)",
                shape="la personne : person IN (SELECT person FROM …)",
                shape_en="the person: person IN (SELECT person FROM …)",
            )
        return other.relation


def _same_key(group: ColumnUse | UnitUse | MonthUse, expression: ColumnUse | MonthUse) -> bool:
    match group, expression:
        case (ColumnUse() as a, ColumnUse() as b):
            return (a.source, a.name) == (b.source, b.name)
        case (MonthUse(column=a), MonthUse(column=b)):
            return (a.source, a.name) == (b.source, b.name)
    return False


def _month_number(day: date) -> int:
    return (day.year - 1970) * 12 + day.month - 1


def _tables(node: ResolvedTable | ResolvedRelation) -> tuple[ResolvedTable, ...]:
    match node:
        case ResolvedTable():
            return (node,)
        case ResolvedSelect(sources=sources, where=where, joins=joins):
            conditions = [*conjuncts(where), *(each for join in joins for each in join.conditions)]
            members = [condition.relation for condition in conditions if isinstance(condition, Member)]
            return tuple(table for each in (*sources, *members) for table in _tables(each))
        case ResolvedSet(arms=arms):
            return tuple(table for arm in arms for table in _tables(arm))
    assert_never(node)
