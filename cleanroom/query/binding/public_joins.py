"""Joins of released and public tables, on anything: post-processing like the rest."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot import exp

from cleanroom.identifiers import fold
from cleanroom.query.binding.asking import ReferenceCatalog
from cleanroom.query.binding.joins import conjuncts
from cleanroom.query.binding.personal import Personal
from cleanroom.query.binding.public_columns import reference_rows
from cleanroom.query.binding.public_constants import Bound
from cleanroom.query.binding.public_terms import PublicScope, PublicSource
from cleanroom.query.public import language as p
from cleanroom.query.public.language import Kind, PublicRelation, Ref

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cleanroom.query.binding.selects import Selects
    from cleanroom.query.binding.sources import Item


def joined_rows(selects: Selects, items: Sequence[Item]) -> tuple[PublicRelation, dict[str, Bound]]:
    """Join the relations of FROM; return also what USING makes of several columns of one name."""
    left = _relation(selects, items[0])
    merged: dict[str, Bound] = {}
    for at, item in enumerate(items[1:], start=1):
        right = _relation(selects, item)
        node = item.join
        if node is None:
            continue
        side, kind = str(node.args.get("side") or "").upper(), str(node.args.get("kind") or "").upper()
        if node.args.get("method") or kind not in {"", "INNER", "OUTER", "CROSS"}:
            selects.asking.stop("not_admitted", node, what=f"{kind} JOIN")
        scope = PublicScope(selects.asking, sources_of(items[: at + 1]))
        held: p.PublicTerm = p.Value(value=True, kind=Kind.TRUTH)
        parts: list[Bound] = []
        for each in node.args.get("using") or ():
            name = fold(str(each.name))
            before = PublicScope(selects.asking, sources_of(items[:at]), merged=merged)
            mine = before.bind(exp.column(each.name))
            theirs = _column(scope.sources[-1], name)
            if mine is None or theirs is None:
                if theirs is None:
                    selects.asking.refuse("unknown_name", node, name=name[:80])
                continue
            if mine[1].kind is not theirs[1].kind:
                selects.asking.stop("union_types", node, number=1)
            parts.append(scope.made(p.Op.EQUAL, [mine, theirs], Kind.TRUTH))
            whole = scope.made(p.Op.COALESCE, [mine, theirs], mine[1].kind)
            merged[name] = {"RIGHT": theirs, "FULL": (whole[0], replace(whole[1], name=name))}.get(side, mine)
        for each in conjuncts(node.args.get("on")):
            bound = scope.of_kind(each, Kind.TRUTH)
            parts += [bound] if bound is not None else []
        if parts:
            held = parts[0][0] if len(parts) == 1 else scope.made(p.Op.AND, parts, Kind.TRUTH)[0]
        columns = (*left.columns, *right.columns)
        left = p.PublicJoin(left, right, p.PublicJoinKind[side or "INNER"], held, columns)
    return left, merged


def _column(source: PublicSource, name: str) -> Bound | None:
    found = [at for at, column in enumerate(source.columns) if column.name == name]
    return (Ref(source.first + found[0]), source.columns[found[0]]) if len(found) == 1 else None


def _relation(selects: Selects, item: Item) -> PublicRelation:
    if isinstance(item.bound, ReferenceCatalog):
        return reference_rows(item.bound)
    if isinstance(item.bound, Personal):
        selects.asking.stop("release_in_personal", item.node)
    return item.bound


def sources_of(items: Sequence[Item]) -> list[PublicSource]:
    """Return what each relation of a FROM clause calls its columns, and where they begin."""
    found: list[PublicSource] = []
    first = 0
    for item in items:
        columns = (
            reference_rows(item.bound).columns
            if isinstance(item.bound, ReferenceCatalog)
            else ()
            if isinstance(item.bound, Personal)
            else item.bound.columns
        )
        found.append(PublicSource(item.label, item.owner, columns, first))
        first += len(columns)
    return found
