"""UNION, INTERSECT and EXCEPT of rows of people (S16, S18): the unit stands at the same place in every arm."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot import exp

from cleanroom.errors import Refusal
from cleanroom.query import algebra
from cleanroom.query.binding.personal import Personal
from cleanroom.query.canonical_columns import same_rows
from cleanroom.query.person_rows import WindowFunction, WindowName
from cleanroom.query.terms.alike import alike
from cleanroom.query.terms.language import Column, LookUp, Term
from cleanroom.query.terms.operands import derived

if TYPE_CHECKING:
    from cleanroom.query.binding.selects import Selects
    from cleanroom.query.binding.sources import Bound, Environment
    from cleanroom.query.terms.typed import Typed

_SetNode = exp.Union | exp.Intersect | exp.Except


def set_operation(selects: Selects, node: _SetNode, names: Environment) -> Bound:
    """Bind a set operation; a chain of one associative operation is one, with many arms."""
    from cleanroom.query.binding.public_sets import public_set

    arms = [selects.relation(each, names) for each in _arms(node)]
    people = [arm for arm in arms if isinstance(arm, Personal)]
    if node.args.get("by_name"):
        if len(people) != len(arms):
            selects.asking.stop("not_admitted", node, what="UNION BY NAME")
        people = [_named_as(selects, node, people[0], arm) for arm in people]
    if not people:
        return public_set(selects, node, [arm for arm in arms if not isinstance(arm, Personal)])
    selects.no_order(node)
    if len(people) != len(arms):
        selects.asking.stop("release_in_personal", node, ("posez deux questions", "ask in two questions"))
    name = _name(node)
    united = _aligned(selects, node, people)
    everyone = isinstance(node, exp.Union) and not node.args.get("distinct")
    if not everyone and any(arm.unit_at is None for arm in people):
        hint = (f"SELECT person … {name} SELECT person …", f"SELECT person … {name} SELECT person …")
        selects.asking.stop(
            "set_operation",
            node,
            hint,
            operation=name,
            shape="des lignes où figure la personne",
            shape_en="rows that hold the person",
        )
    relation = _relation(node, [arm.relation for arm in united])
    return replace(united[0], relation=relation)


def _named_as(selects: Selects, node: _SetNode, first: Personal, arm: Personal) -> Personal:
    """Return an arm of UNION BY NAME with its columns where the first arm has them."""
    if arm.unit != first.unit or sorted(arm.names) != sorted(first.names):
        shape = ("des branches aux mêmes noms de colonnes", "arms with the same names of columns")
        selects.asking.stop("set_operation", node, operation="UNION BY NAME", shape=shape[0], shape_en=shape[1])
    places = [arm.names.index(name) for name in first.names]
    facts = tuple(replace(arm.columns[place], term=Column(at)) for at, place in enumerate(places))
    relation = algebra.Select(arm.relation, algebra.Truth.TRUE, tuple(places))
    return replace(first, relation=relation, columns=facts)


def _arms(node: _SetNode) -> list[exp.Expr]:
    """Return the arms of a chain of one associative operation, from left to right."""

    def same(side: exp.Expr) -> _SetNode | None:
        bare = side
        while isinstance(bare, (exp.Subquery, exp.Paren)) and not bare.args.get("alias"):
            bare = bare.this
        alike = bool(bare.args.get("distinct")) == bool(node.args.get("distinct"))
        plain = not any(bare.args.get(part) for part in ("with_", "order", "limit", "offset"))
        return bare if alike and plain and isinstance(bare, _SetNode) and type(bare) is type(node) else None

    found: list[exp.Expr] = []
    waiting: list[exp.Expr] = [node.expression, node.this]
    while waiting:
        side = waiting.pop()
        # EXCEPT associates to the left only: its right arm stays one.
        inner = None if isinstance(node, exp.Except) and found else same(side)
        if inner is None:
            found.append(side)
        else:
            waiting += [inner.expression, inner.this]
    return found


def _name(node: _SetNode) -> str:
    return {exp.Union: "UNION", exp.Intersect: "INTERSECT", exp.Except: "EXCEPT"}[type(node)]


def _aligned(selects: Selects, node: _SetNode, arms: list[Personal]) -> list[Personal]:
    """Bring every arm's columns to common types; the names are the first arm's."""
    first = arms[0]
    if any(len(arm.columns) != len(first.columns) or arm.unit_at != first.unit_at for arm in arms):
        selects.asking.stop(
            "set_operation",
            node,
            operation=_name(node),
            shape="des branches aux mêmes colonnes, la personne à la même place",
            shape_en="arms with the same columns, the person at the same place",
        )
    terms: list[tuple[Term, ...]] = []
    facts: list[Typed] = []
    for place in range(len(first.columns)):
        columns = [arm.columns[place] for arm in arms]
        brought = alike(columns, selects.asking.position(node))
        if isinstance(brought, Refusal):
            selects.asking.stop("union_types", node, number=place + 1)
        terms.append(brought.terms)
        facts.append(derived(Column(place), brought.type, columns))
    return [
        replace(first, relation=_recoded(arm, [each[number] for each in terms]), columns=tuple(facts))
        for number, arm in enumerate(arms)
    ]


def _recoded(arm: Personal, terms: list[Term]) -> algebra.Relation:
    if terms == [Column(place) for place in range(len(terms))]:
        return arm.relation
    return algebra.Project(arm.relation, tuple(terms))


def _relation(node: _SetNode, arms: list[algebra.Relation]) -> algebra.Relation:
    if isinstance(node, exp.Union):
        united = algebra.UnionAll(tuple(_arm(arm) for arm in arms))
        return united if not node.args.get("distinct") else _once(united)
    relation = arms[0]
    width = algebra.column_count(relation)
    if not node.args.get("distinct"):
        return _counted(arms, negated=isinstance(node, exp.Except))
    same = same_rows(width)
    for arm in arms[1:]:
        relation = algebra.Semi(relation, arm, isinstance(node, exp.Except), same)
    return _once(relation)


def _counted(arms: list[algebra.Relation], *, negated: bool) -> algebra.Relation:
    """Return INTERSECT ALL or EXCEPT ALL, rows as often as they are left.

    Equal rows of a person are numbered; number k of the left meets number k of the right. The lesser of two counts is
    then left, or what one has more than the other, and each is a function of the person's own rows.
    """
    width = algebra.column_count(arms[0])
    relation = _numbered(arms[0], width)
    for arm in arms[1:]:
        relation = algebra.Semi(relation, _numbered(arm, width), negated, same_rows(width + 1))
        if negated:
            # What is left is numbered anew, for the next arm to take from.
            relation = _numbered(algebra.Select(relation, algebra.Truth.TRUE, tuple(range(width))), width)
    return algebra.Select(relation, algebra.Truth.TRUE, tuple(range(width)))


def _numbered(relation: algebra.Relation, width: int) -> algebra.Relation:
    columns = tuple(Column(place) for place in range(width))
    return algebra.Window(relation, (WindowFunction(WindowName.ROW_NUMBER, None, columns, ()),))


def _once(relation: algebra.Relation) -> algebra.Relation:
    return algebra.Distinct(relation) if algebra.column_count(relation) else algebra.Persons(relation)


def _arm(relation: algebra.Relation) -> algebra.Arm:
    """Return an arm; a mere change of a category's codes stays visible as such (S43)."""
    if isinstance(relation, algebra.Project):
        recodes: list[tuple[int, ...] | None] = []
        for place, term in enumerate(relation.terms):
            match term:
                case Column(index=index) if index == place:
                    recodes.append(None)
                case LookUp(item=Column(index=index), first=0, values=values) if index == place and None not in values:
                    recodes.append(tuple(value for value in values if value is not None))
                case _:
                    return algebra.Arm(relation, (None,) * len(relation.terms))
        if len(recodes) == algebra.column_count(relation.source):
            return algebra.Arm(relation.source, tuple(recodes))
    return algebra.Arm(relation, (None,) * algebra.column_count(relation))
