"""Joins: every personal relation meets the others on the unit, or not at all (S15).

Inner joins may state the equality of units in ON, USING or WHERE, and link all their sources in any order; outer,
semi and anti joins state it in their own ON or USING. Equal units of a source that may be absent count only where it
is present. Whatever else ON says becomes the join's condition.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from cleanroom.errors import Refusal
from cleanroom.identifiers import fold
from cleanroom.query import algebra
from cleanroom.query.binding.asking import Asking, ReferenceCatalog
from cleanroom.query.binding.personal import Personal, Rows, Source
from cleanroom.query.binding.scalars import bind_scalar
from cleanroom.query.binding.scope import RowScope, UnitName
from cleanroom.query.terms.comparing import Operator, compare
from cleanroom.query.terms.conditional import coalesce
from cleanroom.query.terms.language import AllOf, Column, Flag, Term
from cleanroom.query.terms.typed import Constant, Typed
from cleanroom.query.terms.types import BooleanType, NullType, ValueType

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cleanroom.query.binding.sources import Item

_HINT: Final = ("JOIN … USING (person)", "JOIN … USING (person)")


def conjuncts(node: exp.Expr | None) -> list[exp.Expr]:
    """Return what a condition joins by AND at its top."""
    found: list[exp.Expr] = []
    waiting = [node] if node is not None else []
    while waiting:
        each = waiting.pop()
        if isinstance(each, exp.Paren):
            waiting.append(each.this)
        elif isinstance(each, exp.And):
            waiting += [each.expression, each.this]
        else:
            found.append(each)
    return found


def condition(scope: RowScope, node: exp.Expr) -> Typed | None:
    """Bind a boolean term."""
    found = bind_scalar(node, scope)
    if isinstance(found, Constant):
        if found.value is None or isinstance(found.value, bool):
            return Typed(Flag(value=found.value), BooleanType(nullable=found.value is None))
    elif found is None or isinstance(found.type, BooleanType):
        return found
    scope.refuse(
        "comparison_types", node, type_fr="une condition (vrai ou faux)", type_en="a condition (true or false)"
    )
    return None


def together(terms: Sequence[Term]) -> Term | None:
    """Return that all terms are true; None for no term."""
    kept = [term for term in terms if term != Flag(value=True)]
    return None if not kept else kept[0] if len(kept) == 1 else AllOf(tuple(kept))


@dataclass
class Joiner:
    """Joins the relations of one FROM clause, one after the other.

    `later` holds the subqueries of inner joins' ON, for WHERE.
    """

    asking: Asking
    rows: Rows
    scope: Callable[[Rows], RowScope]

    def __post_init__(self) -> None:
        self._linked: list[set[int]] = [{0}]
        self._inner: list[tuple[int, exp.Expr]] = []
        self.later: list[exp.Expr] = []

    def join(self, item: Item) -> None:
        """Join one relation more."""
        node = item.join
        if node is None:
            return
        method, side = str(node.args.get("method") or "").upper(), str(node.args.get("side") or "").upper()
        kind = str(node.args.get("kind") or "").upper()
        if (
            method
            or kind not in {"", "INNER", "OUTER", "SEMI", "ANTI", "CROSS"}
            or side not in {"", "LEFT", "RIGHT", "FULL"}
        ):
            written = " ".join(word for word in (method, side, kind, "JOIN") if word)
            self.asking.stop("not_admitted", node, _HINT, what=written)
        if isinstance(item.bound, ReferenceCatalog):
            self._public(item, item.bound, side, kind, node)
        elif not isinstance(item.bound, Personal):
            self.asking.stop(
                "release_in_personal",
                item.node,
                ("posez deux questions", "ask in two questions"),
            )
        elif kind in {"SEMI", "ANTI"}:
            self._semi(item, item.bound, node, negated=kind == "ANTI")
        else:
            self._personal(item, item.bound, side, node)

    def pair(self, scope: RowScope, node: exp.Expr) -> tuple[UnitName, UnitName] | None:
        """Return the units of two of the sources that a conjunct of WHERE equates, or None."""
        pair = unit_pair(scope, node)
        return None if pair is None or pair[0].outer or pair[1].outer else pair

    def equal(self, unit_a: UnitName, unit_b: UnitName) -> Term:
        """Note that WHERE equates the units of two sources; return that both are present."""
        self._link(unit_a, unit_b)
        return self._both_present(unit_a, unit_b)

    def finish(self) -> None:
        """Refuse inner joins that nothing links."""
        for number, node in self._inner:
            if number not in self._linked[0]:
                self.asking.refuse("join_without_unit", node, _HINT)
                return

    def _personal(self, item: Item, right: Personal, side: str, node: exp.Join) -> None:
        kind = algebra.JoinKind[side or "INNER"]
        outer = kind is not algebra.JoinKind.INNER
        if kind.keeps_right and self.later:
            # What waits for WHERE would judge rows that this join adds.
            self.asking.refuse("correlated", node)
        number = len(self.rows.sources)
        combined = self._combined(item, right, kind)
        self._linked.append({number})
        terms, stated = self._conditions(node, combined, number, right.unit)
        if outer and not stated:
            self.asking.refuse("join_without_unit", node, _HINT)
        if not outer:
            self._inner.append((number, node))
        relation = algebra.Join(self.rows.relation, right.relation, kind, together(terms))
        self.rows = replace(combined, relation=relation)

    def _combined(self, item: Item, right: Personal, kind: algebra.JoinKind) -> Rows:
        """Return both sides' columns and sources, and who is present, as the join has them."""
        width = len(self.rows.columns)
        columns = list(self.rows.columns)
        columns += [replace(column, term=Column(width + at)) for at, column in enumerate(right.columns)]
        if kind.keeps_right:
            columns[:width] = [_may_lack(column) for column in columns[:width]]
        if kind.keeps_left:
            columns[width:] = [_may_lack(column) for column in columns[width:]]
        width_both = len(columns)
        present_left = width_both if kind.keeps_right else None
        present_right = width_both + kind.keeps_right if kind.keeps_left else None
        columns += [
            Typed(Column(width_both + at), BooleanType(nullable=False))
            for at in range(kind.keeps_left + kind.keeps_right)
        ]
        sources = [
            replace(source, present=source.present if source.present is not None else present_left)
            for source in self.rows.sources
        ]
        places = {name: width + at for at, name in enumerate(right.names)}
        sources.append(Source(item.label, item.owner, right.unit, places, present_right))
        return Rows(self.rows.relation, columns, sources, self.rows.merged)

    def _conditions(self, node: exp.Join, combined: Rows, number: int, unit: str | None) -> tuple[list[Term], bool]:
        """Bind ON and USING; return what must hold besides equal units, and whether these are stated to be equal."""
        terms: list[Term] = []
        stated = False
        # Presence is known after the join only: while ON is judged, the new source is there.
        judged = Rows(
            combined.relation,
            combined.columns,
            [*self.rows.sources, replace(combined.sources[-1], present=None)],
            combined.merged,
        )
        scope = replace(self.scope(judged), arriving=judged.sources[-1])
        for name in self._shared(node):
            earlier = [at for at, source in enumerate(self.rows.sources) if source.unit == name]
            if name == unit and earlier:
                self._linked_to(number, earlier[0])
                stated = True
                continue
            equal = self._merge(node, name, judged)
            terms += [equal] if equal is not None else []
            combined.merged = judged.merged
        for each in conjuncts(node.args.get("on")):
            pair = unit_pair(scope, each)
            if pair is None and each.find(exp.Select) is not None:
                self._subquery(each, node)
                continue
            if pair is None:
                bound = condition(scope, each)
                if bound is not None:
                    terms.append(bound.term)
                continue
            a, b = pair
            new = judged.sources[number]
            if a.outer or b.outer:
                self.asking.refuse("correlated", each)
                continue
            if (a.source is new) != (b.source is new):
                stated = True
                other = b if a.source is new else a
                if other.source is not None:
                    terms.append(judged.present(other.source))
            self._link_in(judged.sources, a, b)
        return terms, stated

    def _shared(self, node: exp.Join) -> list[str]:
        """Return the names that USING lists; NATURAL, which names nothing, is refused."""
        return list(dict.fromkeys(fold(str(each.name)) for each in node.args.get("using") or ()))

    def _merge(self, node: exp.Join, name: str, judged: Rows) -> Term | None:
        """Make one column of those that USING names; return that they are equal.

        Among a person's rows this is a condition like any other: the units are equal besides.
        """
        new = judged.sources[-1]
        mine = [source.places[name] for source in judged.sources[:-1] if name in source.places]
        places = judged.merged.get(name, tuple(mine) if len(mine) == 1 else ())
        if name not in new.places or not places:
            self.asking.refuse(
                "unknown_name" if not mine or name not in new.places else "ambiguous_name", node, name=name
            )
            return None
        theirs = judged.columns[new.places[name]]
        sides = [judged.columns[place] for place in places]
        ours = sides[0] if len(sides) == 1 else coalesce(sides)
        equal = ours if isinstance(ours, Refusal) else compare(Operator.EQ, ours, theirs, self.asking.position(node))
        if isinstance(equal, Refusal):
            self.asking.reasons.append(equal)
            return None
        kind = algebra.JoinKind[str(node.args.get("side") or "INNER").upper()]
        merged = {
            algebra.JoinKind.RIGHT: (new.places[name],),
            algebra.JoinKind.FULL: (*places, new.places[name]),
        }.get(kind, places)
        judged.merged = {**judged.merged, name: merged}
        return equal.term

    def _subquery(self, node: exp.Expr, join: exp.Join) -> None:
        """Leave a subquery of an inner join's ON to WHERE, where it means the same; of other joins, refuse it."""
        if join.args.get("side") or str(join.args.get("kind") or "").upper() in {"SEMI", "ANTI"}:
            self.asking.refuse("correlated", node)
        else:
            self.later.append(node)

    def _semi(self, item: Item, right: Personal, node: exp.Join, *, negated: bool) -> None:
        number = len(self.rows.sources)
        combined = self._combined(item, right, algebra.JoinKind.INNER)
        self._linked.append({number})
        terms, stated = self._conditions(node, combined, number, right.unit)
        self._linked.pop()
        for group in self._linked:
            group.discard(number)
        if not stated:
            self.asking.refuse("join_without_unit", node, _HINT)
        self.rows.relation = algebra.Semi(self.rows.relation, right.relation, negated, together(terms))

    def _public(self, item: Item, table: ReferenceCatalog, side: str, kind: str, node: exp.Join) -> None:
        """Join a public table, on anything but the unit (S19)."""
        if side not in {"", "LEFT"} or kind in {"SEMI", "ANTI"}:
            self.asking.stop(
                "not_admitted",
                node,
                ("[LEFT] JOIN public.… ON …", "[LEFT] JOIN public.… ON …"),
                what=f"{side or kind} JOIN",
            )
        width = len(self.rows.columns)
        columns = list(self.rows.columns)
        columns += [Typed(Column(width + at), each) for at, (_, each) in enumerate(table.columns)]
        if side == "LEFT":
            columns[width:] = [_may_lack(column) for column in columns[width:]]
        places = {name: width + at for at, (name, _) in enumerate(table.columns)}
        sources = [*self.rows.sources, Source(item.label, item.owner, None, places)]
        joined = Rows(self.rows.relation, columns, sources, self.rows.merged)
        scope = self.scope(joined)
        equal = [self._merge(node, name, joined) for name in self._shared(node)]
        stated = conjuncts(node.args.get("on"))
        if any(each.find(exp.Select) is not None for each in stated):
            self.asking.stop("correlated", node)
        terms = [each for each in equal if each is not None]
        terms += [bound.term for each in stated if (bound := condition(scope, each)) is not None]
        joined.relation = algebra.JoinPublic(
            self.rows.relation, table.table(), side == "LEFT", together(terms) or Flag(value=True)
        )
        self.rows = joined
        # It belongs to nobody, so there is nothing to link.
        self._linked.append({len(joined.sources) - 1})

    def _link(self, a: UnitName, b: UnitName) -> None:
        self._link_in(self.rows.sources, a, b)

    def _link_in(self, sources: list[Source], a: UnitName, b: UnitName) -> None:
        places = [0 if unit.source is None else _place(sources, unit.source) for unit in (a, b)]
        self._linked_to(places[0], places[1])

    def _linked_to(self, a: int, b: int) -> None:
        merged = self._linked[a] | self._linked[b]
        for member in merged:
            self._linked[member] = merged

    def _both_present(self, a: UnitName, b: UnitName) -> Term:
        terms = [self.rows.present(unit.source) for unit in (a, b) if unit.source is not None]
        return together(terms) or Flag(value=True)


def unit_pair(scope: RowScope, node: exp.Expr) -> tuple[UnitName, UnitName] | None:
    """Return the two units that a condition equates, or None if it is another condition."""
    while isinstance(node, exp.Paren):
        node = node.this
    if not isinstance(node, exp.EQ):
        return None
    a = scope.unit(node.this, quiet=True)
    b = scope.unit(node.expression, quiet=True)
    return None if a is None or b is None else (a, b)


def _place(sources: list[Source], wanted: Source) -> int:
    return next(at for at, source in enumerate(sources) if (source.label, source.owner) == (wanted.label, wanted.owner))


def _may_lack(column: Typed) -> Typed:
    return replace(column, type=with_null(column.type))


def with_null(kind: ValueType) -> ValueType:
    """Return the type with NULL among its values."""
    return kind if isinstance(kind, NullType) else replace(kind, nullable=True)
