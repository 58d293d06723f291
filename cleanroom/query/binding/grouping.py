"""GROUP BY with the unit: an exact aggregate of each person's own rows, itself rows of people (DESIGN §3)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from cleanroom.errors import Refusal
from cleanroom.identifiers import fold
from cleanroom.query import algebra
from cleanroom.query.binding.aggregates import Aggregated, Called, argument, is_aggregate, taken_apart
from cleanroom.query.binding.joins import condition, with_null
from cleanroom.query.binding.scalars import bind_scalar
from cleanroom.query.fanout import most_rows
from cleanroom.query.person_rows import Ordering, PersonAggregate, PersonFunction
from cleanroom.query.terms.alike import recoded
from cleanroom.query.terms.casting import Target, cast
from cleanroom.query.terms.language import AllOf, Choice, Column, Integer, LookUp, Missing, Nothing, Opposite, Term
from cleanroom.query.terms.typed import Constant, Typed
from cleanroom.query.terms.types import LARGEST_CODE, BooleanType, CategoryType, NullType, NumberType, ValueType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cleanroom.query.binding.asking import Asking
    from cleanroom.query.binding.personal import Rows
    from cleanroom.query.binding.scope import RowScope

_FINEST: Final = 1 << 31
"""Averages are rounded to the finest power of ten at which they stay below 2^31 steps (S20)."""

_FUNCTIONS: Final = {
    Called.SUM: PersonFunction.SUM,
    Called.AVG: PersonFunction.AVERAGE,
    Called.MIN: PersonFunction.LEAST,
    Called.MAX: PersonFunction.GREATEST,
    Called.EVERY: PersonFunction.EVERY,
    Called.SOME: PersonFunction.SOME,
    Called.FIRST: PersonFunction.FIRST,
    Called.LAST: PersonFunction.LAST,
}


@dataclass
class PersonGroups:
    """The groups of one person's rows, and what is asked of them.

    Args:
        rows: what FROM and WHERE gave.
        keys: what rows are grouped by besides the unit.
        row_scope: names over these rows.
        written: the keys as the text has them, in order.
    """

    asking: Asking
    rows: Rows
    keys: list[Typed]
    row_scope: RowScope
    aggregates: list[PersonAggregate] = field(default_factory=list)
    facts: list[Typed] = field(default_factory=list)
    written: tuple[exp.Expr, ...] = ()

    def relation(self) -> algebra.GroupPerson:
        """Return one row for each unit and keys, with the aggregates found so far."""
        return algebra.GroupPerson(self.rows.relation, tuple(key.term for key in self.keys), tuple(self.aggregates))

    def columns(self) -> list[Typed]:
        """Return what each column of `relation` is."""
        found = [*self.keys, *self.facts]
        return [replace(each, term=Column(place)) for place, each in enumerate(found)]

    def counts(self) -> frozenset[int]:
        """Return the columns that are 0, not NULL, for no rows."""
        zero = {PersonFunction.COUNT, PersonFunction.COUNT_ROWS, PersonFunction.COUNT_DISTINCT}
        return frozenset(
            len(self.keys) + at for at, aggregate in enumerate(self.aggregates) if aggregate.function in zero
        )

    def scope(self) -> RowScope:
        """Return the names of a SELECT list over the groups: keys, and aggregates of rows."""
        return replace(self.row_scope, instead=self.instead, nested=None, grouped=True)

    def output(self, node: exp.Expr) -> Typed | None:
        """Bind an expression over the groups."""
        inner = node.this if isinstance(node, exp.Alias) else node
        found = bind_scalar(inner, self.scope())
        if isinstance(found, Constant):
            self.asking.refuse("not_admitted", node, what="SELECT …")
            return None
        return found

    def instead(self, scope: RowScope, node: exp.Expr) -> Typed | Constant | bool | None:
        """Return what stands for a node over the groups: a key or an aggregate; False for what is neither."""
        if is_aggregate(node):
            return self.aggregate(node)
        key = same_key(self.row_scope, node, self.keys, self.written)
        if key is not None:
            return replace(self.keys[key], term=Column(key), position=scope.position(node))
        if isinstance(node, exp.Column):
            if not node.table and fold(str(node.name)) in scope.aliases and not scope.knows(node):
                return False
            if scope.unit(node, quiet=True) is None:
                scope.refuse("not_grouped", node, name=str(node.name)[:80])
            else:
                scope.refuse("unit_use", node, unit=str(node.name)[:80])
            return None
        return False

    def aggregate(self, node: exp.Expr) -> Typed | None:
        """Bind an aggregate of a person's rows; its bounds are proved from the rows a person can have (S22)."""
        scope = self.row_scope
        found = taken_apart(scope, node)
        if found is None:
            return None
        where = condition(scope, found.where) if found.where is not None else None
        if found.where is not None and where is None:
            return None
        made = self._made(found, where.term if where is not None else None)
        if made is None:
            return None
        aggregate, fact = made
        if where is not None:
            fact = replace(fact, compared=fact.compared | where.compared, origins=fact.origins | where.origins)
        if aggregate in self.aggregates:
            place = self.aggregates.index(aggregate)
        else:
            place = len(self.aggregates)
            self.aggregates.append(aggregate)
            self.facts.append(fact)
        return replace(fact, term=Column(len(self.keys) + place), position=scope.position(node))

    def _made(self, found: Aggregated, where: Term | None) -> tuple[PersonAggregate, Typed] | None:
        scope = self.row_scope
        most = most_rows(self.rows.relation, self.asking.limits())
        usual = min(most, self.asking.rows_counted(self.rows.relation))
        count = NumberType(Fraction(1), 0, most, nullable=False, usual_lower=0, usual_upper=usual)
        if found.called is Called.COUNT_ROWS:
            return PersonAggregate(PersonFunction.COUNT_ROWS, None, where), Typed(Column(0), count)
        if found.called is Called.COUNT_IF and found.item is not None:
            held = condition(scope, found.item)
            if held is None:
                return None
            item: Term = Choice(((held.term, Integer(1)),), Nothing())
            return PersonAggregate(PersonFunction.COUNT, item, where), replace(held, term=Column(0), type=count)
        if found.called is Called.COUNT and found.item is not None and scope.unit(found.item, quiet=True) is not None:
            return PersonAggregate(PersonFunction.COUNT_ROWS, None, where), Typed(Column(0), count)
        value = argument(scope, found)
        if value is not None and found.called is Called.SUM and isinstance(value.type, BooleanType):
            flag = cast(value, Target.INTEGER, position=value.position)
            if isinstance(flag, Refusal):
                scope.note(flag)
                return None
            value = flag
        if value is None:
            return None
        if found.called in {Called.MIN, Called.MAX} and isinstance(value.type, CategoryType):
            # The least text is that of the least place among the sorted ones.
            ordered = tuple(sorted(value.type.domain))
            codes = tuple(ordered.index(text) for text in value.type.domain)
            value = replace(value, term=recoded(value.term, codes), type=replace(value.type, domain=ordered))
        if found.called in {Called.COUNT, Called.COUNT_DISTINCT}:
            distinct = found.called is Called.COUNT_DISTINCT
            function = PersonFunction.COUNT_DISTINCT if distinct else PersonFunction.COUNT
            return PersonAggregate(function, value.term, where), replace(value, term=Column(0), type=count)
        function_of = _FUNCTIONS.get(found.called)
        if function_of is None:
            scope.refuse("aggregate_not_admitted", found.node, function=found.called.value)
            return None
        kind, scale = self._type(found, value.type, function_of, most, usual)
        if kind is None:
            return None
        order = tuple(each for node in found.order if (each := ordering(scope, node)) is not None)
        if len(order) != len(found.order):
            return None
        if isinstance(found.node, (exp.ArgMin, exp.ArgMax)):
            # These pass over rows where either is NULL; FIRST takes them as they come.
            there: list[Term] = [Opposite(Missing(value.term)), *(Opposite(Missing(each.term)) for each in order)]
            where = AllOf((*there, *([where] if where is not None else [])))
        made = PersonAggregate(function_of, value.term, where, order, scale)
        return made, replace(value, term=Column(0), type=kind)

    def _type(
        self, found: Aggregated, kind: ValueType, function: PersonFunction, most: int, usual: int
    ) -> tuple[ValueType | None, int]:
        scope = self.row_scope
        match function:
            case PersonFunction.FIRST | PersonFunction.LAST:
                return with_null(kind), 1
            case PersonFunction.EVERY | PersonFunction.SOME if isinstance(kind, BooleanType):
                return with_null(kind), 1
            case PersonFunction.LEAST | PersonFunction.GREATEST if not isinstance(kind, (BooleanType, NullType)):
                return with_null(kind), 1
            case PersonFunction.AVERAGE if isinstance(kind, NumberType):
                scale = 1
                while max(abs(kind.lower), abs(kind.upper), 1) * scale * 10 < _FINEST and scale < 10**9:
                    scale *= 10
                return replace(
                    kind,
                    resolution=kind.resolution / scale,
                    lower=kind.lower * scale,
                    upper=kind.upper * scale,
                    usual_lower=kind.usual_lower * scale,
                    usual_upper=kind.usual_upper * scale,
                    nullable=True,
                ), scale
            case PersonFunction.SUM if isinstance(kind, NumberType):
                lower, upper = min(0, most * kind.lower), max(0, most * kind.upper)
                if max(-lower, upper) > LARGEST_CODE:
                    scope.refuse("bounds_too_wide", found.node)
                    return None, 1
                return replace(
                    kind,
                    lower=lower,
                    upper=upper,
                    usual_lower=min(0, usual * kind.usual_lower),
                    usual_upper=max(0, usual * kind.usual_upper),
                    nullable=True,
                ), 1
        scope.refuse("measure_required", found.node, function=found.called.value)
        return None, 1


def ordering(scope: RowScope, node: exp.Ordered) -> Ordering | None:
    """Bind a term of ORDER BY inside one person's rows."""
    bound = bind_scalar(node.this, scope)
    if bound is None or isinstance(bound, Constant):
        if bound is not None:
            scope.refuse("not_admitted", node, what="ORDER BY")
        return None
    term = bound.term
    if isinstance(bound.type, CategoryType):
        # In the order of the texts, as SQL has it, not of the domain as declared.
        places = {value: place for place, value in enumerate(sorted(bound.type.domain))}
        term = LookUp(term, 0, tuple(places[value] for value in bound.type.domain))
    return Ordering(term, bool(node.args.get("desc")), bool(node.args.get("nulls_first")))


def same_key(scope: RowScope, node: exp.Expr, keys: list[Typed], written: Sequence[exp.Expr]) -> int | None:
    """Return which key a node is, judged by what it means; None if it is none, or holds what cannot be one.

    What holds a subquery is judged by how it is written: bound again, it would stand in a column of its own.
    """
    same = next((at for at, each in enumerate(written) if each is node or each == node), None)
    if same is not None or not keys:
        return same
    if isinstance(node, (exp.And, exp.Or)) and type(node.parent) is type(node):
        # Part of a row of conditions: tried at each of its places, a long one would be read again as often.
        return None
    if any(is_aggregate(each) or isinstance(each, (exp.Window, exp.Select)) for each in node.walk()):
        return None
    noted = len(scope.asking.reasons)
    bound = bind_scalar(node, scope)
    del scope.asking.reasons[noted:]
    if not isinstance(bound, Typed):
        return None
    return next((at for at, key in enumerate(keys) if same_value(key, bound)), None)


def same_value(one: Typed, other: Typed) -> bool:
    """Return whether two terms have the same value on every row: equal codes that mean the same.

    Codes alone do not decide: `tickets * 10` has the codes of `tickets` with a resolution ten times as coarse, and
    `upper(region)` those of `region` with other texts.
    """
    if one.term != other.term:
        return False
    match one.type, other.type:
        case NumberType(resolution=mine), NumberType(resolution=theirs):
            return mine == theirs
        case CategoryType(domain=mine_words), CategoryType(domain=their_words):
            return mine_words == their_words
    return type(one.type) is type(other.type)
