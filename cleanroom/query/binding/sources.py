"""What stands in FROM: tables of members, public tables, WITH names, subqueries."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlglot import exp

from cleanroom.identifiers import InvalidName, TableName, fold
from cleanroom.query import algebra
from cleanroom.query.binding.asking import Asking, ReferenceCatalog, Unbound, near
from cleanroom.query.binding.personal import Personal
from cleanroom.query.public.language import PublicRelation
from cleanroom.query.terms.language import Column
from cleanroom.query.terms.typed import Typed
from cleanroom.query.terms.types import declared_type

if TYPE_CHECKING:
    from cleanroom.catalog import TableCatalog

Bound = Personal | PublicRelation

PUBLIC = "public"
"""The owner's name under which reference tables stand (DESIGN §9)."""


@dataclass(slots=True)
class WithName:
    """A name that WITH gives to a subquery; bound once, when it is first used, whether it has a meaning or not.

    Args:
        failed: it has none. Names that use it twice, and names that use these twice, must not try again each time.
    """

    node: exp.Expr
    environment: Environment
    bound: Bound | None = None
    failed: bool = False


Environment = Mapping[str, WithName]


@dataclass(frozen=True, slots=True)
class Item:
    """A relation of a FROM clause, before it is joined.

    Args:
        join: the JOIN that brings it in; None for the first.
    """

    bound: Bound | ReferenceCatalog
    label: str
    owner: str
    node: exp.Expr
    join: exp.Join | None = field(default=None)


def environment(asking: Asking, node: exp.Expr, around: Environment) -> Environment:
    """Return the WITH names that hold inside `node`."""
    with_ = node.args.get("with_")
    if with_ is None:
        return around
    if with_.args.get("recursive"):
        asking.refuse("not_admitted", node, what="WITH RECURSIVE")
    names = dict(around)
    own: set[str] = set()
    for each in with_.expressions:
        name = fold(str(each.alias))
        if name in own:
            asking.refuse("duplicate_name", each, name=name[:80])
        own.add(name)
        # A name sees those before it, not itself: no recursion.
        names = {**names, name: WithName(each.this, names)}
    return names


def item(
    asking: Asking,
    node: exp.Expr,
    names: Environment,
    bind: Callable[[exp.Expr, Environment], Bound],
    join: exp.Join | None = None,
) -> Item:
    """Bind one relation of a FROM clause.

    Raises:
        Unbound: it has no meaning; why is noted.
    """
    alias_node = node.args.get("alias")
    alias = fold(str(alias_node.this.this)) if alias_node is not None and alias_node.this is not None else None
    if isinstance(node, exp.Subquery):
        return Item(bind(node.this, names), alias or "", "", node, join)
    if not isinstance(node, exp.Table) or not isinstance(node.this, exp.Identifier) or node.args.get("catalog"):
        asking.stop("not_admitted", node, what=type(node).__name__)
    name, owner = fold(str(node.this.this)), node.args.get("db")
    if owner is None:
        return Item(_named(asking, node, name, names, bind), alias or name, "", node, join)
    return _table(asking, node, fold(str(owner.this)), name, alias, join)


def _named(
    asking: Asking,
    node: exp.Table,
    name: str,
    names: Environment,
    bind: Callable[[exp.Expr, Environment], Bound],
) -> Bound:
    found = names.get(name)
    if found is None:
        known = [str(table) for table in asking.visible if table.name == name]
        hint = (f"par exemple {known[0]}", f"for example {known[0]}") if known else near(name, sorted(names))
        asking.stop("unqualified_table", node, hint, name=name[:80])
    if found.failed:
        raise Unbound
    if found.bound is None:
        found.failed = True
        found.bound = bind(found.node, found.environment)
        found.failed = False
    return found.bound


def _table(asking: Asking, node: exp.Table, owner: str, name: str, alias: str | None, join: exp.Join | None) -> Item:
    written = f"{owner}.{name}"
    if owner == PUBLIC and name in asking.references:
        return Item(asking.references[name], alias or name, "" if alias else owner, node, join)
    catalog = None
    with contextlib.suppress(InvalidName):
        catalog = asking.visible.get(TableName.parse(written))
    if catalog is None:
        known = [str(table) for table in asking.visible] + [f"{PUBLIC}.{each}" for each in asking.references]
        asking.stop("unknown_name", node, near(written, known), name=written[:140])
    return Item(scanned(catalog), alias or name, "" if alias else catalog.table.owner, node, join)


def scanned(catalog: TableCatalog) -> Personal:
    """Return a member's table with all its columns; those that nothing uses are dropped later."""
    names = tuple(column.name for column in catalog.columns)
    columns = tuple(
        Typed(Column(place), declared_type(column.type), frozenset({(catalog.table, column.name)}))
        for place, column in enumerate(catalog.columns)
    )
    return Personal(algebra.Scan(catalog.table, names), names, columns, catalog.unit.name, unit_at=0)
