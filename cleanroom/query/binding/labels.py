"""What the labels and ordinals of a SELECT stand for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlglot import exp

from cleanroom.identifiers import fold

if TYPE_CHECKING:
    from cleanroom.query.binding.scope import RowScope


def aliases_of(node: exp.Select) -> dict[str, exp.Expr]:
    """Return what the labels of a SELECT mean, in their order."""
    found: dict[str, exp.Expr] = {}
    for out in node.expressions:
        if isinstance(out, exp.Alias):
            found.setdefault(fold(str(out.alias)), out.this)
    return found


def written_key(each: Any, node: exp.Select, scope: RowScope) -> Any:
    """Return what a key of GROUP BY stands for: an ordinal or an alias is the output that it names."""
    while isinstance(each, exp.Paren):
        each = each.this
    if isinstance(each, exp.Literal) and not each.is_string:
        written = str(each.this)
        ordinal = int(written) if written.isdigit() and len(written) < 5 else 0
        if not 1 <= ordinal <= len(node.expressions):
            scope.refuse("unknown_name", each, name=written[:20])
            return None
        named = node.expressions[ordinal - 1]
        return named.this if isinstance(named, exp.Alias) else named
    if isinstance(each, exp.Column) and not each.table and not scope.knows(each):
        name = fold(str(each.name))
        aliases = [out.this for out in node.expressions if isinstance(out, exp.Alias) and fold(str(out.alias)) == name]
        if len(aliases) == 1:
            return aliases[0]
    return each
