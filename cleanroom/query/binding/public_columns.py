"""What the columns of released and public tables are, and how an answer's columns are labelled."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from cleanroom.query import statistics
from cleanroom.query.public.language import Kind, PublicColumn, ReferenceRows
from cleanroom.query.terms.types import CategoryType, DateType, NumberType, TextType, ValueType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cleanroom.query.binding.asking import Asking, ReferenceCatalog

LONGEST_LABEL: Final = 63
_NOT_LABELS: Final = frozenset({"EXPORT_STATE"})
"""Words that an engine reads as part of an aggregate, and sqlglot as its label (attacks §2)."""


def release_columns(
    keys: Sequence[statistics.Key], outputs: Sequence[statistics.Output], number: int
) -> tuple[PublicColumn, ...]:
    """Return what the columns of a released table are; they are named by the SELECT over it only."""
    found = []
    for place, output in enumerate(outputs):
        match output:
            case statistics.KeyOutput(key=key):
                found.append(PublicColumn("", "", _key_kind(keys[key])))
            case statistics.GroupingOutput():
                found.append(PublicColumn("", "", Kind.NUMBER))
            case _:
                found.append(PublicColumn("", "", Kind.NUMBER, frozenset({(number, place)})))
    return tuple(found)


def _key_kind(key: statistics.Key) -> Kind:
    match key:
        case statistics.CategoryKey():
            return Kind.TEXT
        case statistics.MonthKey():
            return Kind.DATE
        case statistics.NumberKey():
            return Kind.NUMBER
        case statistics.UnknownKey(shown=shown):
            return {"text": Kind.TEXT, "number": Kind.NUMBER, "date": Kind.DATE}[shown.value]
        case statistics.ListedKey(labels=labels):
            first = labels[0] if labels else ""
            if isinstance(first, bool):
                return Kind.TRUTH
            return Kind.TEXT if isinstance(first, str) else Kind.NUMBER if isinstance(first, Decimal) else Kind.DATE


def reference_rows(catalog: ReferenceCatalog) -> ReferenceRows:
    """Return a public table's rows."""
    return ReferenceRows(
        catalog.table(), tuple(PublicColumn(name, name, _kind(each)) for name, each in catalog.columns)
    )


def _kind(kind: ValueType) -> Kind:
    match kind:
        case NumberType():
            return Kind.NUMBER
        case DateType():
            return Kind.DATE
        case CategoryType() | TextType():
            return Kind.TEXT
    return Kind.TRUTH


def label_of(asking: Asking, node: exp.Expr) -> str:
    """Return how an output is labelled: its alias, its column's name, or its function; never the text."""
    if isinstance(node, exp.Alias):
        label = str(node.alias)
        identifier = node.args.get("alias")
        odd = not isinstance(identifier, exp.Identifier) or (
            not identifier.args.get("quoted") and label.upper() in _NOT_LABELS
        )
        if odd or not (0 < len(label) <= LONGEST_LABEL and label.isprintable()):
            asking.refuse("not_admitted", node, what=label[:40] if label.isprintable() else "alias")
        return label
    if isinstance(node, exp.Column):
        return str(node.name)[:LONGEST_LABEL]
    # The construct, never the text.
    return _described(node)[:LONGEST_LABEL]


def _described(node: exp.Expr) -> str:
    """Return an expression's label where it has none: its function and its column, as far as they have names."""
    while isinstance(node, exp.Paren):
        node = node.this
    match node:
        case exp.Count(this=exp.Star()):
            return "COUNT(*)"
        case exp.Count(this=exp.Distinct()):
            return "COUNT(DISTINCT person)"
        case exp.Column():
            return str(node.name)
        case exp.Func():
            inner = node.args.get("this")
            return f"{node.sql_names()[0]}({_described(inner) if isinstance(inner, exp.Expr) else ''})"
    return "…"
