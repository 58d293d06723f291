"""The release: a SELECT over rows of people without the unit among its keys becomes cells and statistics.

What SQL asks beyond that of the same SELECT (expressions over its aggregates, HAVING, ORDER BY, LIMIT) is said over
the released table, as post-processing.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from cleanroom.identifiers import fold
from cleanroom.query import statistics
from cleanroom.query.binding.aggregates import Aggregated, Called, argument, calls_in, is_aggregate, taken_apart
from cleanroom.query.binding.grouping import same_key
from cleanroom.query.binding.joins import condition
from cleanroom.query.binding.keys import clamped, key_of, month_key, word_key
from cleanroom.query.binding.personal import Release, Rows
from cleanroom.query.binding.scalars import bind_scalar
from cleanroom.query.binding.selects import chosen, written_key
from cleanroom.query.terms.language import AllOf, Choice, Column, Integer, Missing, Nothing, Term
from cleanroom.query.terms.typed import Constant, Typed
from cleanroom.query.terms.types import NumberType, TextType

if TYPE_CHECKING:
    from cleanroom.query.binding.scope import RowScope
    from cleanroom.query.binding.selects import Selects
    from cleanroom.query.public.language import PublicRelation

LONGEST_LABEL: Final = 63
MOST_SETS: Final = 64
"""Grouping sets of a question: CUBE over six columns."""

_VARIANCES: Final = {
    Called.VAR_POP: (False, False),
    Called.VAR_SAMP: (True, False),
    Called.STDDEV_POP: (False, True),
    Called.STDDEV_SAMP: (True, True),
}


def release(selects: Selects, node: exp.Select, rows: Rows, scope: RowScope, filters: list[Term]) -> PublicRelation:
    """Bind a SELECT of aggregates over people; the result is public."""
    from cleanroom.query.binding.public_selects import over_release

    binder = ReleaseBinder(selects, node, rows, scope, filters)
    binder.keys()
    replaced = binder.replaced()
    found, index = binder.finished()
    return over_release(selects, node, found, index, replaced)


@dataclass
class ReleaseBinder:
    """Collects the keys and statistics of one release."""

    selects: Selects
    node: exp.Select
    rows: Rows
    scope: RowScope
    filters: list[Term]
    _keys: list[Typed] = field(default_factory=list)
    _key_nodes: list[exp.Expr] = field(default_factory=list)
    _sets: tuple[tuple[int, ...], ...] = ((),)
    _terms: list[Term] = field(default_factory=list)
    _facts: list[Typed] = field(default_factory=list)
    _statistics: list[statistics.Statistic] = field(default_factory=list)
    _outputs: list[statistics.Output] = field(default_factory=list)

    def keys(self) -> None:
        """Bind GROUP BY, its ROLLUP, CUBE and GROUPING SETS written out."""
        group = self.node.args.get("group")
        if group is None:
            return
        if group.args.get("all"):
            plain = [
                out.this if isinstance(out, exp.Alias) else out
                for out in self.node.expressions
                if not any(True for _ in calls_in(out))
            ]
            self._sets = (self._places(plain),)
            return
        simple = [each for each in group.expressions if not isinstance(each, (exp.Rollup, exp.Cube, exp.GroupingSets))]
        products: list[list[tuple[int, ...]]] = [[self._places(simple)]]
        special: list[exp.Expr] = [
            each for each in group.expressions if isinstance(each, (exp.Rollup, exp.Cube, exp.GroupingSets))
        ]
        for name in ("rollup", "cube", "grouping_sets"):
            special += [each for each in group.args.get(name) or () if isinstance(each, exp.Expr)]
        products += [self._written_sets(each) for each in special]
        sets: list[tuple[int, ...]] = [()]
        for options in products:
            sets = [tuple(dict.fromkeys((*one, *other))) for one in sets for other in options]
            if len(sets) > MOST_SETS:
                self.selects.asking.stop("too_many_sets", group, limit=MOST_SETS)
        self._sets = tuple(sorted(tuple(sorted(each)) for each in sets)) if len(sets) > 1 else tuple(sets)

    def _written_sets(self, node: exp.Expr) -> list[tuple[int, ...]]:
        parts = [self._places(_members(each)) for each in node.expressions]
        match node:
            case exp.Rollup():
                return [_joined(parts[:count]) for count in range(len(parts), -1, -1)]
            case exp.Cube():
                if len(parts) > 6:
                    self.selects.asking.stop("too_many_sets", node, limit=MOST_SETS)
                return [
                    _joined([part for at, part in enumerate(parts) if mask >> at & 1])
                    for mask in range(2 ** len(parts) - 1, -1, -1)
                ]
        return parts

    def _places(self, nodes: list[exp.Expr]) -> tuple[int, ...]:
        """Return the places of these keys, noting those that are new."""
        places: list[int] = []
        for each in nodes:
            written = written_key(each, self.node, self.scope)
            if written is None:
                continue
            if self.scope.unit(written, quiet=True) is not None:
                self.scope.refuse("row_output", each)
                continue
            bound = bind_scalar(written, self.scope)
            if not isinstance(bound, Typed):
                if bound is not None:
                    self.scope.refuse("not_admitted", each, what="GROUP BY …")
                continue
            same = [place for place, key in enumerate(self._keys) if key.term == bound.term]
            if not same:
                self._keys.append(bound)
                self._key_nodes.append(each)
                same = [len(self._keys) - 1]
            places.append(same[0])
        return tuple(dict.fromkeys(places))

    def replaced(self) -> dict[int, int]:
        """Find keys and aggregates in the SELECT list, HAVING and ORDER BY.

        Returns:
            For each such node, by identity, the place of the released column that stands for it.
        """
        places: dict[int, int] = {}
        clauses = [out.this if isinstance(out, exp.Alias) else out for out in self.node.expressions]
        having, order = self.node.args.get("having"), self.node.args.get("order")
        if having is not None:
            clauses.append(having.this)
        aliases = {fold(str(out.alias)) for out in self.node.expressions if isinstance(out, exp.Alias)}
        for each in order.expressions if order is not None else ():
            plain = each.this
            alias = isinstance(plain, exp.Column) and not plain.table and fold(str(plain.name)) in aliases
            if not alias and not isinstance(plain, (exp.Literal, exp.Var)):
                clauses.append(plain)
        for clause in clauses:
            self._replace(clause, places, aliases if clause is (having.this if having is not None else None) else set())
        return places

    def _replace(self, node: exp.Expr, places: dict[int, int], aliases: set[str]) -> None:
        if isinstance(node, exp.Grouping):
            self._grouping(node, places)
            return
        if is_aggregate(node):
            made = self._statistic(node)
            if made is not None:
                if made not in self._statistics:
                    self._statistics.append(made)
                places[id(node)] = self._output(statistics.StatisticOutput("", self._statistics.index(made)))
            return
        key = same_key(self.scope, node, self._keys)
        if key is not None:
            places[id(node)] = self._output(statistics.KeyOutput("", key))
            return
        if isinstance(node, exp.Window):
            # A window over a release is said over its released table, in a SELECT around it.
            hint = ("… FROM (SELECT … GROUP BY …) AS t", "… FROM (SELECT … GROUP BY …) AS t")
            self.scope.refuse("window_without_unit", node, hint)
            return
        if isinstance(node, exp.Column):
            if self.scope.unit(node, quiet=True) is not None or isinstance(node.this, exp.Star):
                self.scope.refuse("row_output", node)
            elif fold(str(node.name)) not in aliases or node.table:
                found = bind_scalar(node, self.scope)
                if found is not None:
                    self.scope.refuse("not_grouped", node, name=str(node.name)[:80])
            return
        if isinstance(node, exp.Star):
            self.scope.refuse("row_output", node)
            return
        if isinstance(node, (exp.Select, exp.Union, exp.Intersect, exp.Except, exp.Exists)):
            self.scope.refuse("not_admitted", node, what="SELECT")
            return
        for child in node.iter_expressions():
            self._replace(child, places, aliases)

    def _grouping(self, node: exp.Grouping, places: dict[int, int]) -> None:
        keys = [same_key(self.scope, each, self._keys) for each in node.expressions]
        if len(keys) != 1 or keys[0] is None:
            self.scope.refuse("not_admitted", node, what="GROUPING(…)")
            return
        places[id(node)] = self._output(statistics.GroupingOutput("", (keys[0],)))

    def _output(self, output: statistics.Output) -> int:
        if output not in self._outputs:
            self._outputs.append(output)
        return self._outputs.index(output)

    def finished(self) -> tuple[Release, int]:
        """Return the release and its number."""
        asking = self.selects.asking
        if not self._statistics and not asking.reasons:
            asking.refuse("row_output", self.node, ("ajoutez COUNT(DISTINCT person)", "add COUNT(DISTINCT person)"))
        shown = {output.key for output in self._outputs if isinstance(output, statistics.KeyOutput)}
        if shown != set(range(len(self._keys))) and not asking.reasons:
            asking.refuse("key_not_selected", self.node)
        keys = [self._key(key, node) for key, node in zip(self._keys, self._key_nodes, strict=True)]
        self.selects.stop_if_refused()
        found = Release(
            chosen(self.rows.relation, self._terms),
            tuple(self._facts),
            tuple(key for key in keys if key is not None),
            self._sets,
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
        hint = None
        item = str(found.item.name) if isinstance(found.item, exp.Column) else "x"
        if found.called in {Called.MIN, Called.MAX}:
            share = "0.01" if found.called is Called.MIN else "0.99"
            hint = (f"QUANTILE_DISC({item}, {share})", f"QUANTILE_DISC({item}, {share})")
        self.scope.refuse("aggregate_not_admitted", found.node, hint, function=found.called.value)

    def _count(self, found: Aggregated, where: list[Term]) -> statistics.Statistic | None:
        distinct = found.called is Called.COUNT_DISTINCT
        unit = self.scope.unit(found.item, quiet=True) if found.item is not None else None
        if unit is not None:
            if unit.source is not None and unit.source.present is not None:
                where = [*where, self.rows.present(unit.source)]
            column = self._marked(where)
            return statistics.CountPersons(column) if distinct else statistics.CountRows(column)
        if distinct:
            hint = ("COUNT(DISTINCT person)", "COUNT(DISTINCT person)")
            self.scope.refuse("aggregate_not_admitted", found.node, hint, function="COUNT(DISTINCT …)")
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
        if value is None:
            return None
        kind = value.type
        if not isinstance(kind, NumberType):
            self.scope.refuse("measure_required", found.node, function=found.called.value)
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

    def _fraction(self, found: Aggregated) -> Fraction | None:
        """Return the share of a quantile: a constant from 0 to 1 with few digits."""
        bound = bind_scalar(found.fraction, self.scope) if found.fraction is not None else None
        try:
            share = Fraction(str(bound.value)) if isinstance(bound, Constant) else Fraction(-1)
        except (ValueError, ZeroDivisionError):
            share = Fraction(-1)
        if not 0 <= share <= 1 or share.denominator > 10_000:
            self.scope.refuse(
                "aggregate_not_admitted",
                found.node,
                ("QUANTILE_CONT(x, 0.5)", "QUANTILE_CONT(x, 0.5)"),
                function=found.called.value,
            )
            return None
        return share


def _only(where: list[Term], term: Term) -> Term:
    """Return `term` where all conditions are true, else NULL."""
    return Choice(((where[0] if len(where) == 1 else AllOf(tuple(where)), term),), Nothing())


def _counted(value: Typed, term: Term) -> Typed:
    return Typed(term, NumberType.between(1, 1, nullable=True), value.origins, value.compared)


def _members(node: exp.Expr) -> list[exp.Expr]:
    if isinstance(node, exp.Tuple):
        return list(node.expressions)
    return [node.this if isinstance(node, exp.Paren) else node]


def _joined(parts: list[tuple[int, ...]]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(place for part in parts for place in part))
