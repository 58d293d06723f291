"""Subqueries inside a SELECT over people: EXISTS, IN, and aggregates of the same person (S16, S21).

Each looks at the rows of one person on both sides, by the equality of units, which must stand as a conjunct of the
subquery's WHERE or follow from IN. So a row's fate depends on its own person's rows, and the relation stays personal.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from cleanroom.errors import Refusal
from cleanroom.query import algebra
from cleanroom.query.binding.asking import Unbound
from cleanroom.query.binding.joins import condition, together, unit_pair
from cleanroom.query.binding.personal import Personal, Rows
from cleanroom.query.binding.scalars import bind_scalar
from cleanroom.query.binding.scope import OUTER, RowScope
from cleanroom.query.binding.sources import environment
from cleanroom.query.terms.comparing import Operator, compare
from cleanroom.query.terms.language import AllOf, Choice, Column, Flag, Integer, Opposite, Term, columns_of
from cleanroom.query.terms.rewriting import rewritten
from cleanroom.query.terms.typed import Typed
from cleanroom.query.terms.types import BooleanType

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cleanroom.query.binding.selects import Selects
    from cleanroom.query.binding.sources import Environment
    from cleanroom.query.terms.operands import Operand

_HINT: Final = (
    "EXISTS (SELECT 1 FROM … AS b WHERE b.person = a.person)",
    "EXISTS (SELECT 1 FROM … AS b WHERE b.person = a.person)",
)
_IN_HINT: Final = (
    "x IN (SELECT b.x FROM … AS b WHERE b.person = a.person)",
    "x IN (SELECT b.x FROM … AS b WHERE b.person = a.person)",
)


@dataclass(frozen=True, slots=True)
class Met:
    """The other side of a subquery on the unit.

    Args:
        condition: what must hold besides equal units, over the outer columns, then the other side's; None for nothing.
        known: whether the unit asked for is there; None where it always is. `NULL IN (…)` is neither true nor false,
            nor is its opposite; SQL knows it for an empty list only, which would hang on everybody's rows.
        equal: what IN compares besides the unit, over the same columns; None for nothing. It is part of `condition`.
        apart: the rest of `condition`.
    """

    relation: algebra.Relation
    apart: Term | None
    known: Term | None = None
    equal: Term | None = None

    @property
    def condition(self) -> Term | None:
        """What a row must meet to be in."""
        return together([each for each in (self.apart, self.equal) if each is not None])

    @property
    def unless_known(self) -> Term | None:
        """What a row must meet for NOT IN to be no longer true: equal, or not known to differ, in SQL's logic."""
        if self.equal is None:
            return self.apart
        open_ = Choice(((Opposite(self.equal), Flag(value=False)),), Flag(value=True))
        return together([each for each in (self.apart, open_) if each is not None])


@dataclass
class Subqueries:
    """Binds the subqueries of one SELECT."""

    selects: Selects
    names: Environment

    def filtered(self, scope: RowScope, node: exp.Expr) -> bool:
        """Apply a conjunct of WHERE that is a bare EXISTS or IN, negated or not; return whether it was one."""
        negated = False
        while isinstance(node, (exp.Not, exp.Paren)):
            negated ^= isinstance(node, exp.Not)
            node = node.this
        if isinstance(node, exp.Exists) or (isinstance(node, exp.In) and node.args.get("query") is not None):
            met = self._met(scope, node)
            if met is not None:
                rows = scope.rows
                if met.known is not None:
                    rows.relation = self.selects.filtered(rows, [met.known])
                held = met.unless_known if negated else met.condition
                rows.relation = algebra.Semi(rows.relation, met.relation, negated, held)
            return True
        return False

    def term(self, scope: RowScope, node: exp.Expr) -> Typed | None:
        """Bind a subquery in the midst of a term: EXISTS and IN as a mark, others as an aggregate of the person."""
        if isinstance(node, exp.Subquery):
            return self._scalar(scope, node)
        met = self._met(scope, node)
        if met is None:
            return None
        rows = scope.rows
        width = len(rows.columns)
        kind = BooleanType(nullable=False)
        (place,) = rows.add(algebra.Mark(rows.relation, met.relation, met.condition), Typed(Column(0), kind))
        if met.equal is None and met.known is None:
            return Typed(Column(place), kind, position=scope.position(node))
        if met.equal is None and met.known is not None:
            known = Choice(((met.known, Column(place)),), Flag(value=None))
            return Typed(known, BooleanType(nullable=True), position=scope.position(node))
        # IN of values is NULL where it is not known: no equal one, and one that is not known to differ. The first mark
        # stands before the other side's columns now.
        beside = None if met.unless_known is None else rewritten(met.unless_known, _past(width))
        (maybe,) = rows.add(algebra.Mark(rows.relation, met.relation, beside), Typed(Column(0), kind))
        yes, unknown = (Column(place), Flag(value=True)), (Column(maybe), Flag(None))
        found: Term = Choice((yes, unknown), Flag(value=False))
        if met.known is not None:
            found = Choice(((met.known, found),), Flag(value=None))
        return Typed(found, BooleanType(nullable=True), position=scope.position(node))

    def _met(self, scope: RowScope, node: exp.Expr) -> Met | None:
        if isinstance(node, exp.In):
            return self._member(scope, node)
        return self._exists(scope, node.this)

    def _member(self, scope: RowScope, node: exp.In) -> Met | None:
        """Bind `person IN (SELECT person …)`, and IN of values of the same person."""
        query = node.args["query"]
        unit = scope.unit(node.this, quiet=True)
        if isinstance(node.this, exp.Tuple):
            return self._tuple(scope, node, node.this)
        if unit is None:
            return self._values(scope, node)
        try:
            other = self.selects.relation(query, self.names)
        except Unbound:
            return None
        shape = ("la personne : person IN (SELECT person FROM …)", "the person: person IN (SELECT person FROM …)")
        if unit is None or not isinstance(other, Personal) or other.unit_at is None or other.names:
            scope.refuse("set_operation", node, operation="IN (SELECT …)", shape=shape[0], shape_en=shape[1])
            return None
        if unit.outer:
            # Equal units make it the inner person where the outer one is present; whether it is, only WHERE there says.
            scope.refuse("correlated", node, _HINT)
            return None
        present = scope.rows.present(unit.source) if unit.source is not None else Flag(value=True)
        return Met(other.relation, None, together([present]))

    def _tuple(self, scope: RowScope, node: exp.In, left: exp.Tuple) -> Met | None:
        """Bind `(person, region) IN (SELECT person, region …)`: a person's values among the same person's."""
        try:
            other = self.selects.relation(node.args["query"], self.names)
        except Unbound:
            return None
        units = [scope.unit(each, quiet=True) for each in left.expressions]
        places = [at for at, each in enumerate(units) if each is not None]
        shape = ("la personne à la même place des deux côtés", "the person at the same place on both sides")
        fits = isinstance(other, Personal) and len(other.columns) + 1 == len(units)
        if not isinstance(other, Personal) or not fits or places != [other.unit_at]:
            scope.refuse("set_operation", node, operation="IN (SELECT …)", shape=shape[0], shape_en=shape[1])
            return None
        unit = units[places[0]]
        alone = replace(scope, alone=True)
        mine = [bind_scalar(each, alone) for each, found in zip(left.expressions, units, strict=True) if found is None]
        width = len(scope.rows.columns)
        theirs = [replace(each, term=Column(width + at)) for at, each in enumerate(other.columns)]
        if unit is None or unit.outer:
            scope.refuse("correlated", node, _HINT)
            return None
        known = together([scope.rows.present(unit.source)] if unit.source is not None else [])
        equal = self._equal(scope, node, mine, theirs)
        return None if equal is None else Met(other.relation, None, known, equal)

    def _values(self, scope: RowScope, node: exp.In) -> Met | None:
        """Bind `x IN (SELECT y FROM … AS b WHERE b.person = a.person)`: values of the same person (S21)."""
        query: exp.Expr = node.args["query"]
        while isinstance(query, (exp.Subquery, exp.Paren)):
            query = query.this
        parts = ("group", "having", "limit", "offset", "qualify", "order")
        if (
            not isinstance(query, exp.Select)
            or len(query.expressions) != 1
            or any(query.args.get(part) for part in parts)
            or self.selects.aggregates(query)
        ):
            scope.refuse("correlated", node, _IN_HINT)
            return None
        mine = bind_scalar(node.this, replace(scope, alone=True))
        inner = self._inner(scope, query)
        if inner is None or mine is None:
            return None
        names, correlated, present = inner
        out = query.expressions[0]
        value = bind_scalar(out.this if isinstance(out, exp.Alias) else out, names)
        width = len(scope.rows.columns)
        if isinstance(value, Typed):
            value = replace(value, term=_across(value.term, width))
        equal = self._equal(scope, node, [mine], [value])
        if equal is None:
            return None
        return Met(
            names.rows.relation, together([*present, *(_across(each, width) for each in correlated)]), equal=equal
        )

    def _equal(
        self, scope: RowScope, node: exp.Expr, mine: Sequence[Operand | None], theirs: Sequence[Operand | None]
    ) -> Term | None:
        """Return that values of the two sides are equal, pair by pair."""
        terms: list[Term] = []
        for one, other in zip(mine, theirs, strict=True):
            if one is None or other is None:
                return None
            made = compare(Operator.EQ, one, other, scope.position(node))
            if isinstance(made, Refusal):
                scope.note(made)
                return None
            terms.append(made.term)
        return terms[0] if len(terms) == 1 else AllOf(tuple(terms))

    def _exists(self, scope: RowScope, node: exp.Expr) -> Met | None:
        """Bind EXISTS (SELECT … FROM … WHERE unit = outer unit AND …)."""
        while isinstance(node, (exp.Subquery, exp.Paren)):
            node = node.this
        if not isinstance(node, exp.Select):
            scope.refuse("correlated", node, _HINT)
            return None
        inner = self._inner(scope, node)
        if inner is None:
            return None
        mine, correlated, units = inner
        if node.args.get("group") is not None and not correlated:
            return self._group_exists(scope, node, mine, units)
        # Which rows are there does not depend on DISTINCT, ORDER BY, or a LIMIT of one or more.
        limit = node.args.get("limit")
        one = limit is None or (
            isinstance(limit.expression, exp.Literal) and str(limit.expression.this).strip("0").isdecimal()
        )
        plain = one and not any(node.args.get(part) for part in ("group", "having", "offset", "qualify"))
        if not plain or self.selects.aggregates(node):
            scope.refuse("correlated", node, _HINT)
            return None
        self._named(mine, node)
        width = len(scope.rows.columns)
        return Met(mine.rows.relation, together([*units, *(_across(term, width) for term in correlated)]))

    def _named(self, scope: RowScope, node: exp.Select) -> None:
        """Bind the SELECT list of EXISTS: nothing looks at it, and yet it names what there is or is refused."""
        bare = replace(scope, nested=None)
        for each in node.expressions:
            inner = each.this if isinstance(each, exp.Alias) else each
            everything = isinstance(inner, exp.Star) and not scope.grouped
            if not everything and bare.unit(inner, quiet=True) is None:
                bind_scalar(inner, bare)

    def _group_exists(self, scope: RowScope, node: exp.Select, mine: RowScope, units: list[Term]) -> Met | None:
        """Bind EXISTS (SELECT … WHERE unit = outer unit GROUP BY … HAVING …): a group of the same person's rows."""
        if node.args["group"].args.get("all") or any(node.args.get(part) for part in ("limit", "offset", "qualify")):
            scope.refuse("correlated", node, _HINT)
            return None
        mine = replace(mine, alone=True)
        keys: list[Typed] = []
        for each in node.args["group"].expressions:
            if mine.unit(each, quiet=True) is not None:
                continue
            bound = bind_scalar(each, mine)
            if not isinstance(bound, Typed):
                if bound is not None:
                    scope.refuse("correlated", node, _HINT)
                return None
            keys.append(bound)
        groups = self.selects.grouping(mine.rows, keys, mine)
        having = node.args.get("having")
        held = condition(groups.scope(), having.this) if having is not None else None
        if having is not None and held is None:
            return None
        self._named(groups.scope(), node)
        grouped = Rows(groups.relation(), groups.columns(), mine.rows.sources)
        if held is not None:
            grouped.relation = self.selects.filtered(grouped, [held.term])
        return Met(grouped.relation, together(units))

    def _inner(self, scope: RowScope, node: exp.Select) -> tuple[RowScope, list[Term], list[Term]] | None:
        """Bind FROM and WHERE of a subquery that refers to the SELECT around it by the unit.

        Returns:
            Its names, over its rows; the conjuncts that look at both sides; and that the outer unit meant is present.
        """
        selects = self.selects
        names = environment(selects.asking, node, self.names)
        try:
            rows, waiting, inner = selects.rows(node, names, around=scope)
        except Unbound:
            return None
        linked = False
        filters: list[Term] = []
        correlated: list[Term] = []
        present: list[Term] = []
        nested = selects.subqueries(names)
        for each in waiting:
            pair = unit_pair(inner, each)
            if pair is not None and pair[0].outer != pair[1].outer:
                linked = True
                outer = pair[0] if pair[0].outer else pair[1]
                mine = pair[1] if pair[0].outer else pair[0]
                if outer.source is not None and outer.source.present is not None:
                    present.append(scope.rows.present(outer.source))
                if mine.source is not None and mine.source.present is not None:
                    filters.append(rows.present(mine.source))
                continue
            if nested.filtered(inner, each):
                continue
            bound = condition(inner, each)
            if bound is None:
                continue
            (correlated if any(place >= OUTER for place in columns_of(bound.term)) else filters).append(bound.term)
        if not linked and self.selects.aggregates(node) and not correlated:
            # A number of all people, exact, would decide which rows count (S24).
            ask = ("posez deux questions : d'abord le nombre, puis WHERE … > ce nombre",
                   "ask in two questions: first the number, then WHERE … > that number")  # fmt: skip
            scope.refuse("release_in_personal", node, ask)
            return None
        if not linked:
            scope.refuse("join_without_unit", node, _HINT)
            return None
        rows.relation = selects.filtered(rows, filters)
        return inner, correlated, present

    def _scalar(self, scope: RowScope, node: exp.Subquery) -> Typed | None:
        """Bind `(SELECT aggregate FROM … WHERE unit = outer unit)`: at most one row a person (S21)."""
        select: exp.Expr = node.this
        while isinstance(select, (exp.Subquery, exp.Paren)):
            select = select.this
        if (
            not isinstance(select, exp.Select)
            or len(select.expressions) != 1
            or any(
                select.args.get(part) for part in ("group", "having", "distinct", "order", "limit", "offset", "qualify")
            )
            or not self.selects.aggregates(select)
        ):
            scope.refuse("correlated", node, _HINT)
            return None
        inner = self._inner(scope, select)
        if inner is None:
            return None
        mine, correlated, present = inner
        if correlated:
            scope.refuse("correlated", node, _HINT)
            return None
        grouped = self.selects.grouping(mine.rows, [], replace(mine, alone=True))
        value = grouped.output(select.expressions[0])
        relation = grouped.relation()
        if value is None:
            return None
        counts = grouped.counts()
        outer = scope.rows
        columns = [replace(each, term=Column(0)) for each in grouped.columns()]
        places = outer.add(
            algebra.Join(outer.relation, relation, algebra.JoinKind.LEFT, together(present)),
            *columns,
            Typed(Column(0), BooleanType(nullable=False)),
        )

        def joined(index: int) -> Term:
            place = Column(places[0] + index)
            # A person without rows there has counts of 0 (S22) and NULL for the rest.
            if index in counts:
                return Choice(((Column(places[-1]), place),), Integer(0))
            return place

        return replace(value, term=rewritten(value.term, joined), position=scope.position(node))


def _across(term: Term, width: int) -> Term:
    """Return a term of both sides with the outer columns first: outer i stays i, inner j becomes width + j."""
    return rewritten(term, lambda place: Column(place - OUTER) if place >= OUTER else Column(place + width))


def _past(width: int) -> Callable[[int], Term]:
    """Return where columns are once one more stands after the first `width`."""
    return lambda index: Column(index + (index >= width))
