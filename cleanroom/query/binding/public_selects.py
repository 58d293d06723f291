"""SELECTs over released tables: post-processing, which may say anything that cannot fail (DESIGN §3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from cleanroom.query.public.language import Chosen, PublicRelation, ReleaseTable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cleanroom.query.binding.selects import Selects
    from cleanroom.query.binding.sources import Environment, Item


def over_release(
    selects: Selects, node: exp.Select, table: ReleaseTable, replaced: Mapping[int, int]
) -> PublicRelation:
    """Bind what a SELECT of aggregates says beyond them, over its released table.

    Args:
        replaced: for nodes that are keys or aggregates, by identity, the column of `table` that stands for them.
    """
    columns: list[tuple[str, int]] = []
    for each in node.expressions:
        inner = each.this if isinstance(each, exp.Alias) else each
        place = replaced.get(id(inner))
        if place is None:
            selects.asking.stop("not_admitted", each, what="…")
        label = str(each.alias) if isinstance(each, exp.Alias) else ""
        columns.append((label, place))
    for part in ("having", "order", "limit", "offset", "distinct"):
        if node.args.get(part):
            selects.asking.stop("not_admitted", node, what=part.upper())
    return Chosen(table, tuple(columns))


def public_select(selects: Selects, node: exp.Select, items: list[Item], names: Environment) -> PublicRelation:
    """Bind a SELECT whose relations are all public."""
    selects.asking.stop("not_admitted", node, what="SELECT … FROM (SELECT aggregate …)")


def public_set(
    selects: Selects, node: exp.Union | exp.Intersect | exp.Except, arms: list[PublicRelation]
) -> PublicRelation:
    """Bind a set operation over public relations."""
    selects.asking.stop("not_admitted", node, what=type(node).__name__.upper())
