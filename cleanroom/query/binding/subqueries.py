"""Subqueries inside a SELECT over people: EXISTS, IN, and aggregates of the same person (S16, S21).

Each looks at the rows of one person on both sides, by the equality of units, which must stand as a conjunct of the
subquery's WHERE or follow from IN. So a row's fate depends on its own person's rows, and the relation stays personal.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from cleanroom.query import algebra
from cleanroom.query.binding.asking import Unbound
from cleanroom.query.binding.joins import condition, together, unit_pair
from cleanroom.query.binding.personal import Personal
from cleanroom.query.binding.scalars import bind_scalar
from cleanroom.query.binding.scope import OUTER, RowScope
from cleanroom.query.binding.sources import environment
from cleanroom.query.terms.language import Choice, Column, Flag, Integer, Term, columns_of
from cleanroom.query.terms.rewriting import rewritten
from cleanroom.query.terms.typed import Typed
from cleanroom.query.terms.types import BooleanType

if TYPE_CHECKING:
    from cleanroom.query.binding.selects import Selects
    from cleanroom.query.binding.sources import Environment

_HINT: Final = (
    "EXISTS (SELECT 1 FROM … AS b WHERE b.person = a.person)",
    "EXISTS (SELECT 1 FROM … AS b WHERE b.person = a.person)",
)


@dataclass(frozen=True, slots=True)
class Met:
    """The other side of a subquery on the unit.

    Args:
        condition: what must hold besides equal units, over the outer columns, then the other side's; None for nothing.
        known: whether the unit asked for is there; None where it always is. `NULL IN (…)` is neither true nor false,
            nor is its opposite; SQL knows it for an empty list only, which would hang on everybody's rows.
    """

    relation: algebra.Relation
    condition: Term | None
    known: Term | None = None


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
                rows.relation = algebra.Semi(rows.relation, met.relation, negated, met.condition)
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
        kind = BooleanType(nullable=False)
        (place,) = rows.add(algebra.Mark(rows.relation, met.relation, met.condition), Typed(Column(0), kind))
        if met.known is None:
            return Typed(Column(place), kind, position=scope.position(node))
        known = Choice(((met.known, Column(place)),), Flag(value=None))
        return Typed(known, BooleanType(nullable=True), position=scope.position(node))

    def _met(self, scope: RowScope, node: exp.Expr) -> Met | None:
        if isinstance(node, exp.In):
            return self._member(scope, node)
        return self._exists(scope, node.this)

    def _member(self, scope: RowScope, node: exp.In) -> Met | None:
        """Bind `person IN (SELECT person …)`."""
        query = node.args["query"]
        unit = scope.unit(node.this, quiet=True)
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
        plain = not any(node.args.get(part) for part in ("group", "having", "distinct", "order", "limit", "offset"))
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
            if not isinstance(inner, exp.Star) and bare.unit(inner, quiet=True) is None:
                bind_scalar(inner, bare)

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
            or any(select.args.get(part) for part in ("group", "having", "distinct", "order", "limit", "offset"))
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
        grouped = self.selects.grouping(mine.rows, [], mine)
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
