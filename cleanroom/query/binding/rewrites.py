"""Hints that are questions: the text asked, with one construct put in the place of one that is refused.

They are printed by sqlglot from the tree, for a person to read and ask; nothing here is run, and a rewrite is admitted
or refused like any other text. Tests hold that those given for questions with one fault are admitted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlglot import exp

if TYPE_CHECKING:
    from cleanroom.query.binding.asking import Asking

LONGEST: Final = 1_000
"""Characters of a hint; a longer one says the construct alone."""

FEWEST_PERSONS: Final = 20
"""Persons that a hint asks a value to have before it counts as one."""

Hint = tuple[str, str]


def instead(asking: Asking, node: exp.Expr, by: exp.Expr) -> Hint:
    """Return the whole question with `by` in the place of `node`; `by` alone where that is long or lies elsewhere."""
    tree = asking.query.tree
    place = next((at for at, each in enumerate(tree.walk()) if each is node), None)
    fragment = _printed(by)
    if place is None or place == 0:
        return fragment, fragment
    copied = tree.copy()
    old = next(each for at, each in enumerate(copied.walk()) if at == place)
    if isinstance(old.parent, exp.Filter):
        inner = old.parent
        inner.set("this", by.copy())
    else:
        old.replace(by.copy())
    whole = _printed(copied)
    if len(whole) > LONGEST:
        return fragment, fragment
    asking.rewrites.add(whole)
    return whole, whole


def counted_rows(asking: Asking) -> Hint:
    """Return how the rows of people that a question stops at are counted: the question itself as FROM."""
    tree = asking.query.tree
    fragment = ("ajoutez COUNT(DISTINCT person)", "add COUNT(DISTINCT person)")
    if any(tree.args.get(part) for part in ("with_", "order", "limit", "offset")):
        return fragment
    inner = exp.Subquery(this=tree.copy(), alias=exp.TableAlias(this=exp.to_identifier("t")))
    outer = exp.Select(expressions=[exp.alias_(exp.Count(this=exp.Star()), "n")])
    outer.set("from_", exp.From(this=inner))
    whole = _printed(outer)
    if len(whole) > LONGEST:
        return fragment
    asking.rewrites.add(whole)
    return whole, whole


def counted_values(asking: Asking, select: exp.Select, item: exp.Column, unit: str) -> Hint | None:
    """Return how the values of a column that enough persons have are counted; None where keys are no plain columns.

    What COUNT(DISTINCT item) would count is first released by value, with the persons of each (S28).
    """
    group = select.args.get("group")
    keys = list(group.expressions) if group is not None else []
    if not all(isinstance(key, exp.Column) for key in keys) or (group is not None and group.args.get("all")):
        return None
    inner = exp.Select(expressions=[*(key.copy() for key in keys), item.copy()])
    for name in ("from_", "where"):
        if select.args.get(name) is not None:
            inner.set(name, select.args[name].copy())
    inner.set("joins", [join.copy() for join in select.args.get("joins") or ()])
    inner.set("group", exp.Group(expressions=[*(key.copy() for key in keys), item.copy()]))
    persons = exp.Count(this=exp.Distinct(expressions=[exp.column(unit)]))
    inner.set("having", exp.Having(this=exp.GTE(this=persons, expression=exp.Literal.number(FEWEST_PERSONS))))
    plain = [exp.column(key.name) for key in keys]
    outer = exp.Select(expressions=[*plain, exp.alias_(exp.Count(this=exp.Star()), "n")])
    outer.set("from_", exp.From(this=exp.Subquery(this=inner, alias=exp.TableAlias(this=exp.to_identifier("t")))))
    if plain:
        outer.set("group", exp.Group(expressions=[key.copy() for key in plain]))
    whole = _printed(outer)
    if len(whole) > LONGEST or any(True for _ in outer.find_all(exp.Placeholder)):
        return None
    asking.rewrites.add(whole)
    return whole, whole


def _printed(tree: exp.Expr) -> str:
    copied = tree.copy()
    for each in list(copied.find_all(exp.Placeholder)):
        if str(each.this).startswith("?"):
            each.replace(exp.Placeholder())
    return copied.sql(dialect="duckdb")
