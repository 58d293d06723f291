"""The release: a SELECT over rows of people without the unit among its keys becomes cells and statistics.

What SQL asks beyond that of the same SELECT (expressions over its aggregates, HAVING, ORDER BY, LIMIT) is said over
the released table, as post-processing.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from cleanroom.catalog import day_of
from cleanroom.errors import Refusal
from cleanroom.identifiers import fold
from cleanroom.query import statistics
from cleanroom.query.binding.aggregates import Aggregated, Called, argument, is_aggregate, taken_apart, under_window
from cleanroom.query.binding.joins import condition
from cleanroom.query.binding.keys import clamped, key_of, month_key, word_key
from cleanroom.query.binding.personal import Release, Rows
from cleanroom.query.binding.release_keys import ReleaseKeys
from cleanroom.query.binding.rewrites import FEWEST_PERSONS, counted_values, instead
from cleanroom.query.binding.scalars import bind_scalar
from cleanroom.query.binding.selects import chosen
from cleanroom.query.binding.unit_arguments import unit_where
from cleanroom.query.terms.casting import Target, cast
from cleanroom.query.terms.language import AllOf, Choice, Column, Flag, Integer, Missing, Nothing, Term
from cleanroom.query.terms.typed import Constant, Typed
from cleanroom.query.terms.types import BooleanType, DateType, NumberType, TextType

if TYPE_CHECKING:
    from cleanroom.query.binding.scope import RowScope
    from cleanroom.query.binding.selects import Selects
    from cleanroom.query.binding.sources import Environment
    from cleanroom.query.public.language import PublicRelation

LONGEST_LABEL: Final = 63
_VARIANCES: Final = {
    Called.VAR_POP: (False, False),
    Called.VAR_SAMP: (True, False),
    Called.STDDEV_POP: (False, True),
    Called.STDDEV_SAMP: (True, True),
}


def release(
    selects: Selects, node: exp.Select, names: Environment, rows: Rows, scope: RowScope, filters: list[Term]
) -> PublicRelation:
    """Bind a SELECT of aggregates over people; the result is public.

    Args:
        names: the WITH names that its subqueries may use.
    """
    from cleanroom.query.binding.public_selects import over_release

    keys = ReleaseKeys(selects, node, scope)
    keys.bind()
    binder = ReleaseBinder(selects, node, rows, scope, filters, keys)
    replaced = binder.replaced()
    found, index = binder.finished()
    return over_release(selects, node, names, found, index, replaced, counted=binder.counted)


@dataclass
class ReleaseBinder:
    """Collects the statistics of one release.

    Args:
        counted: the place of the persons of each cell among the outputs, where the text asks for keys alone (S25).
    """

    selects: Selects
    node: exp.Select
    rows: Rows
    scope: RowScope
    filters: list[Term]
    keys: ReleaseKeys
    counted: int | None = None
    _terms: list[Term] = field(default_factory=list)
    _facts: list[Typed] = field(default_factory=list)
    _statistics: list[statistics.Statistic] = field(default_factory=list)
    _outputs: list[statistics.Output] = field(default_factory=list)

    def replaced(self) -> dict[int, int]:
        """Find keys and aggregates in the SELECT list, HAVING and ORDER BY.

        Returns:
            For each such node, by identity, the place of the released column that stands for it.
        """
        places: dict[int, int] = {}
        labels: set[str] = set()
        for out in self.node.expressions:
            inner = out.this if isinstance(out, exp.Alias) else out
            self._replace(inner, places, set(labels))
            if isinstance(out, exp.Alias):
                labels.add(fold(str(out.alias)))
        for name in ("having", "qualify"):
            clause = self.node.args.get(name)
            if clause is not None:
                self._replace(clause.this, places, labels)
        order = self.node.args.get("order")
        for each in order.expressions if order is not None else ():
            plain = each.this
            alias = isinstance(plain, exp.Column) and not plain.table and fold(str(plain.name)) in labels
            if not alias and not isinstance(plain, (exp.Literal, exp.Var)):
                self._replace(plain, places, labels)
        return places

    def _replace(self, node: exp.Expr, places: dict[int, int], labels: set[str]) -> None:
        if isinstance(node, (exp.Grouping, exp.GroupingId)):
            self._grouping(node, places)
            return
        if is_aggregate(node):
            made = self._statistic(node)
            if made is not None:
                if made not in self._statistics:
                    self._statistics.append(made)
                places[id(node)] = self._output(statistics.StatisticOutput("", self._statistics.index(made)))
            return
        key = self.keys.place(node)
        if key is not None:
            places[id(node)] = self._output(statistics.KeyOutput("", key))
            return
        if isinstance(node, exp.Window):
            # A window over the released table; what is called over it is none of the people's aggregates.
            for inside in under_window(node):
                self._replace(inside, places, labels)
            return
        if isinstance(node, exp.Column):
            if self.scope.unit(node, quiet=True) is not None or isinstance(node.this, exp.Star):
                self.scope.refuse("row_output", node)
            elif fold(str(node.name)) not in labels or node.table:
                found = bind_scalar(node, self.scope)
                if found is not None:
                    self.scope.refuse("not_grouped", node, name=str(node.name)[:80])
            return
        if isinstance(node, exp.Star):
            self.scope.refuse("row_output", node)
            return
        if isinstance(node, exp.Subquery):
            # Another release's number, which the released table's terms bind.
            return
        if isinstance(node, (exp.Select, exp.Union, exp.Intersect, exp.Except, exp.Exists)):
            self.scope.refuse("not_admitted", node, what="SELECT")
            return
        for child in node.iter_expressions():
            self._replace(child, places, labels)

    def _grouping(self, node: exp.Expr, places: dict[int, int]) -> None:
        """Bind GROUPING(…): a bit for each key, the first highest."""
        found = [self.keys.place(each) for each in node.expressions]
        keys = [key for key in found if key is not None]
        if not keys or len(keys) < len(found):
            self.scope.refuse("not_admitted", node, what="GROUPING(…)")
            return
        places[id(node)] = self._output(statistics.GroupingOutput("", tuple(keys)))

    def _output(self, output: statistics.Output) -> int:
        if output not in self._outputs:
            self._outputs.append(output)
        return self._outputs.index(output)

    def finished(self) -> tuple[Release, int]:
        """Return the release and its number."""
        asking = self.selects.asking
        if not self._statistics and not self.keys.keys and not asking.reasons:
            asking.refuse("row_output", self.node, ("ajoutez COUNT(DISTINCT person)", "add COUNT(DISTINCT person)"))
        if not self._statistics:
            # Keys without a statistic are a GROUP BY with a charged count (S25).
            self._statistics.append(statistics.CountPersons(None))
            self.counted = self._output(statistics.StatisticOutput("", 0))
        for place in range(len(self.keys.keys)):
            # A key that SELECT leaves out is released all the same, and left out afterwards.
            self._output(statistics.KeyOutput("", place))
        keys = [self._key(key, node) for key, node in zip(self.keys.keys, self.keys.nodes, strict=True)]
        self.selects.stop_if_refused()
        found = Release(
            chosen(self.rows.relation, self._terms),
            tuple(self._facts),
            tuple(key for key in keys if key is not None),
            self.keys.sets,
            tuple(self._statistics),
            tuple(self._outputs),
            asking.position(self.node),
        )
        if found in asking.releases:
            return found, asking.releases.index(found)
        asking.releases.append(found)
        return found, len(asking.releases) - 1

    def _key(self, typed: Typed, node: exp.Expr) -> statistics.Key | None:
        if isinstance(typed.type, TextType):
            words = word_key(typed, self.filters)
            if words is not None:
                place, words_fact = words
                return place(self._column(words_fact))
            return statistics.UnknownKey(self._column(typed), typed.type.nullable)
        months = month_key(typed, self.rows.columns, self.filters)
        if months is not None:
            of_months, day = months
            return of_months(self._column(day))
        made = key_of(typed, -1, self.rows.columns, self.filters)
        if made is None:
            self.scope.refuse("key_without_domain", node, name=str(getattr(node, "name", "") or "GROUP BY")[:80])
            return None
        return replace(made, column=self._column(replace(typed, term=clamped(typed))))

    def _column(self, typed: Typed) -> int:
        """Return the place of a term among the columns of the release's relation."""
        if typed.term not in self._terms:
            self._terms.append(typed.term)
            self._facts.append(replace(typed, term=Column(len(self._terms) - 1)))
        return self._terms.index(typed.term)

    # Statistics

    def _statistic(self, node: exp.Expr) -> statistics.Statistic | None:
        scope = self.scope
        found = taken_apart(scope, node)
        if found is None:
            return None
        where: list[Term] = []
        for each in [found.where] + ([found.item] if found.called is Called.COUNT_IF else []):
            if each is None:
                continue
            held = condition(scope, each)
            if held is None:
                return None
            where.append(held.term)
        match found.called:
            case Called.COUNT_ROWS | Called.COUNT_IF:
                return statistics.CountRows(self._marked(where))
            case Called.COUNT_DISTINCT | Called.COUNT:
                return self._count(found, where)
            case Called.MIN | Called.MAX | Called.FIRST | Called.LAST | Called.EVERY | Called.SOME:
                self._refuse_extreme(found)
                return None
        return self._measure(found, where)

    def _refuse_extreme(self, found: Aggregated) -> None:
        """Refuse what one person can decide (S28), with the quantile that is near it."""
        hint = None
        if found.called in {Called.MIN, Called.MAX} and found.item is not None:
            hint = self._quantile_of(found, "0.01" if found.called is Called.MIN else "0.99")
        elif found.called is Called.SOME and found.item is not None:
            hint = instead(
                self.selects.asking, found.node, exp.GTE(this=exp.CountIf(this=found.item.copy()), expression=_twenty())
            )
        self.scope.refuse("aggregate_not_admitted", found.node, hint, function=found.called.value)

    def _quantile_of(self, found: Aggregated, share: str) -> tuple[str, str] | None:
        """Return the question with a quantile instead; of days, counted from the first declared one."""
        if found.item is None:
            return None
        noted = len(self.selects.asking.reasons)
        bound = bind_scalar(found.item, self.scope)
        del self.selects.asking.reasons[noted:]
        kind = bound.type if isinstance(bound, Typed) else None
        item = found.item.copy()
        if isinstance(kind, DateType):
            first = exp.Cast(
                this=exp.Literal.string(day_of(kind.lower).isoformat()), to=exp.DataType(this=exp.DataType.Type.DATE)
            )
            item = exp.Sub(this=item, expression=first)
        elif not isinstance(kind, NumberType):
            return None
        by = exp.PercentileDisc(this=item, expression=exp.Literal.number(share))
        return instead(self.selects.asking, found.node, by)

    def _refuse_distinct(self, found: Aggregated) -> None:
        """Refuse a count of distinct values: one person can have many, and it would count nobody's persons (S28)."""
        hint: tuple[str, str] | None = ("COUNT(DISTINCT person)", "COUNT(DISTINCT person)")
        unit = next((source.unit for source in self.rows.sources if source.unit is not None), None)
        item = found.item
        if isinstance(item, exp.Column) and unit is not None and found.where is None:
            hint = counted_values(self.selects.asking, self.node, item, unit) or hint
        self.scope.refuse("aggregate_not_admitted", found.node, hint, function="COUNT(DISTINCT …)")

    def _count(self, found: Aggregated, where: list[Term]) -> statistics.Statistic | None:
        distinct = found.called is Called.COUNT_DISTINCT
        item = found.item if found.item is not None else exp.Null()
        there = unit_where(self.scope, item) if not isinstance(item, exp.Null) else None
        if there is not None:
            column = self._marked([*where, *([there] if there != Flag(value=True) else [])])
            return statistics.CountPersons(column) if distinct else statistics.CountRows(column)
        if distinct:
            self._refuse_distinct(found)
            return None
        value = argument(self.scope, found)
        if value is None:
            return None
        present = Choice(((Missing(value.term), Nothing()),), Integer(1))
        if where:
            return statistics.CountRows(self._column(_counted(value, _only(where, present))))
        plain = isinstance(value.term, Column) and not isinstance(value.type, TextType)
        return statistics.CountRows(self._column(value if plain else _counted(value, present)))

    def _marked(self, where: list[Term]) -> int | None:
        """Return a column that is 1 where all conditions are true, else NULL; None where there are none."""
        if not where:
            return None
        return self._column(_counted(Typed(Integer(1), NumberType.between(1, 1)), _only(where, Integer(1))))

    def _measure(self, found: Aggregated, where: list[Term]) -> statistics.Statistic | None:
        value = argument(self.scope, found)
        if value is not None and found.called is Called.SUM and isinstance(value.type, BooleanType):
            value = self._as_number(value)
        if value is None:
            return None
        kind = value.type
        if not isinstance(kind, NumberType):
            hint = None
            if isinstance(kind, DateType) and found.called in {Called.QUANTILE_CONT, Called.QUANTILE_DISC}:
                share = found.fraction.sql(dialect="duckdb") if found.fraction is not None else "0.5"
                hint = self._quantile_of(found, share)
            self.scope.refuse("measure_required", found.node, hint, function=found.called.value)
            return None
        term = clamped(value)
        column = self._column(replace(value, term=_only(where, term) if where else term))
        lower, upper, resolution = kind.usual_lower, kind.usual_upper, kind.resolution
        match found.called:
            case Called.SUM:
                return statistics.Sum(column, lower, upper, resolution)
            case Called.AVG:
                return statistics.Mean(column, lower, upper, resolution)
            case Called.QUANTILE_CONT | Called.QUANTILE_DISC:
                fraction = self._fraction(found)
                if fraction is None:
                    return None
                disc = found.called is Called.QUANTILE_DISC
                return statistics.Quantile(column, lower, upper, resolution, fraction, discrete=disc)
        sample, root = _VARIANCES[found.called]
        return statistics.Variance(column, lower, upper, resolution, sample=sample, root=root)

    def _as_number(self, value: Typed) -> Typed | None:
        """Return a boolean as DuckDB's SUM reads it: 1 and 0."""
        made = cast(value, Target.INTEGER, position=value.position)
        if isinstance(made, Refusal):
            self.scope.note(made)
            return None
        return made

    def _fraction(self, found: Aggregated) -> Fraction | None:
        """Return the share of a quantile: a constant from 0 to 1 with few digits."""
        bound = bind_scalar(found.fraction, self.scope) if found.fraction is not None else None
        try:
            share = Fraction(str(bound.value)) if isinstance(bound, Constant) else Fraction(-1)
        except (ValueError, ZeroDivisionError):
            share = Fraction(-1)
        share = 1 - share if found.from_above else share
        if not 0 <= share <= 1 or share.denominator > 10_000:
            self.scope.refuse(
                "aggregate_not_admitted",
                found.node,
                ("QUANTILE_CONT(x, 0.5)", "QUANTILE_CONT(x, 0.5)"),
                function=found.called.value,
            )
            return None
        return share


def _twenty() -> exp.Expr:
    return exp.Literal.number(FEWEST_PERSONS)


def _only(where: list[Term], term: Term) -> Term:
    """Return `term` where all conditions are true, else NULL."""
    return Choice(((where[0] if len(where) == 1 else AllOf(tuple(where)), term),), Nothing())


def _counted(value: Typed, term: Term) -> Typed:
    return Typed(term, NumberType.between(1, 1, nullable=True), value.origins, value.compared)
