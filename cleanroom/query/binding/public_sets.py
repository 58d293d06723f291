"""Set operations over released and public tables."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot import exp

from cleanroom.query.binding.public_selects import selected
from cleanroom.query.binding.public_terms import PublicScope, PublicSource
from cleanroom.query.public import language as p
from cleanroom.query.public.language import Kind, PublicRelation, PublicSelect, Ref

if TYPE_CHECKING:
    from cleanroom.query.binding.selects import Selects


def public_set(
    selects: Selects, node: exp.Union | exp.Intersect | exp.Except, arms: list[PublicRelation]
) -> PublicRelation:
    """Bind a set operation over public relations; the names are the first arm's."""
    word = {exp.Union: "UNION", exp.Intersect: "INTERSECT", exp.Except: "EXCEPT"}[type(node)]
    if not node.args.get("distinct"):
        word = f"{word} ALL"
    if word not in {kind.value for kind in p.PublicSetKind}:
        selects.asking.stop("not_admitted", node, what=word)
    arms = _with_nulls_as(arms)
    first = arms[0].columns
    for arm in arms[1:]:
        if [column.kind for column in arm.columns] != [column.kind for column in first]:
            selects.asking.stop("union_types", node, number=1)
    columns = tuple(
        replace(column, behind=frozenset().union(*(arm.columns[place].behind for arm in arms)))
        for place, column in enumerate(first)
    )
    united = p.PublicSet(p.PublicSetKind(word), tuple(arms), columns)
    if not any(node.args.get(part) for part in ("order", "limit", "offset")):
        return united
    scope = PublicScope(selects.asking, [PublicSource("", "", columns, 0)])
    outputs = tuple(Ref(place) for place in range(len(columns)))
    return selected(selects, node, united, None, outputs, columns, scope)


def _with_nulls_as(arms: list[PublicRelation]) -> list[PublicRelation]:
    """Return the arms with a bare NULL as what stands at its place in the others."""
    if len({len(arm.columns) for arm in arms}) > 1:
        return arms
    kinds = [
        next((arm.columns[place].kind for arm in arms if not _is_null(arm, place)), arms[0].columns[place].kind)
        for place in range(len(arms[0].columns))
    ]
    return [_retyped(arm, kinds) for arm in arms]


def _retyped(arm: PublicRelation, kinds: list[Kind]) -> PublicRelation:
    nulls = [_is_null(arm, place) for place in range(len(kinds))]
    if not isinstance(arm, PublicSelect) or not any(nulls):
        return arm
    terms, columns = list(arm.outputs), list(arm.columns)
    for place, kind in enumerate(kinds):
        if nulls[place]:
            terms[place], columns[place] = p.Value(None, kind), replace(columns[place], kind=kind)
    return replace(arm, outputs=tuple(terms), columns=tuple(columns))


def _is_null(relation: PublicRelation, place: int) -> bool:
    term = relation.outputs[place] if isinstance(relation, PublicSelect) else None
    return isinstance(term, p.Value) and term.value is None
