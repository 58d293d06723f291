"""What COUNT(DISTINCT …) may hold besides the bare unit: the unit where a condition is true, else NULL.

Every row has one unit u (S14). Each of these forms is u on some rows and NULL on the others, whatever the data, so the
number of its distinct values is the number of persons with a row of the former kind: a count of persons with a filter.
Nothing else of the unit gets into the question: it is neither compared nor computed with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from cleanroom.query.binding.joins import condition
from cleanroom.query.terms.language import AnyOf, Choice, Flag, Term

if TYPE_CHECKING:
    from cleanroom.query.binding.scope import RowScope


def unit_where(scope: RowScope, node: exp.Expr) -> Term | None:
    """Return on which rows a node is the unit, as a boolean that is never NULL; None if it is no such form."""
    if not _has_form(scope, node):
        return None
    return _there(scope, node)


def _has_form(scope: RowScope, node: exp.Expr | None) -> bool:
    """Return whether a node is of the forms read here, before anything is bound or refused."""
    match node:
        case None | exp.Null():
            return True
        case exp.Paren():
            return _has_form(scope, node.this)
        case exp.Case(this=None):
            return all(_has_form(scope, each.args["true"]) for each in node.args["ifs"]) and _has_form(
                scope, node.args.get("default")
            )
        case exp.If():
            return _has_form(scope, node.args.get("true")) and _has_form(scope, node.args.get("false"))
        case exp.Coalesce():
            return all(_has_form(scope, each) for each in (node.this, *node.expressions))
        case exp.Column():
            return scope.unit(node, quiet=True) is not None
    return False


def _there(scope: RowScope, node: exp.Expr | None) -> Term | None:
    match node:
        case None | exp.Null():
            return Flag(value=False)
        case exp.Paren():
            return _there(scope, node.this)
        case exp.Case():
            branches = [(each.this, each.args["true"]) for each in node.args["ifs"]]
            return _chosen(scope, branches, node.args.get("default"))
        case exp.If():
            return _chosen(scope, [(node.this, node.args["true"])], node.args.get("false"))
        case exp.Coalesce():
            items = [_there(scope, each) for each in (node.this, *node.expressions)]
            found = [each for each in items if each is not None]
            if len(found) < len(items):
                return None
            return found[0] if len(found) == 1 else AnyOf(tuple(found))
    unit = scope.unit(node, quiet=True)
    if unit is None or unit.outer:
        return None
    return Flag(value=True) if unit.source is None else scope.rows.present(unit.source)


def _chosen(scope: RowScope, branches: list[tuple[exp.Expr, exp.Expr]], otherwise: exp.Expr | None) -> Term | None:
    pairs: list[tuple[Term, Term]] = []
    for when, then in branches:
        held, there = condition(scope, when), _there(scope, then)
        if held is None or there is None:
            return None
        pairs.append((held.term, there))
    last = _there(scope, otherwise)
    return None if last is None else Choice(tuple(pairs), last)
