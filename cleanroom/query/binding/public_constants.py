"""Constants over released tables, and the kinds that they can take."""

from __future__ import annotations

from datetime import date
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from sqlglot import exp

from cleanroom.query.parse import is_plain_number
from cleanroom.query.public import language as p
from cleanroom.query.public.language import Kind
from cleanroom.query.terms.alike import iso_date

if TYPE_CHECKING:
    from cleanroom.query.binding.asking import Asking

Bound = tuple[p.PublicTerm, p.PublicColumn]
"""A term and what its column is."""


def constant_of(value: bool | Decimal | str | date | None, kind: Kind) -> Bound:
    """Return a constant of a kind, as a term and its column."""
    return p.Value(value, kind), p.PublicColumn("", "", kind)


def as_kind(found: Bound, wanted: Kind) -> Bound | None:
    """Return a term as one of a kind: NULL fits all, an ISO text fits a day; None if it does not fit."""
    term, column = found
    if column.kind is wanted:
        return found
    if isinstance(term, p.Value):
        if term.value is None:
            return constant_of(None, wanted)
        if wanted is Kind.DATE and isinstance(term.value, str):
            day = iso_date(term.value)
            return None if day is None else constant_of(day, wanted)
    return None


def written_as(node: exp.Expr) -> str:
    """Return how a construct is named in a refusal."""
    if isinstance(node, exp.Anonymous):
        return str(node.this).upper()[:40]
    return node.sql_names()[0] if isinstance(node, exp.Func) else type(node).__name__.upper()


def constant(asking: Asking, node: exp.Expr) -> Bound | None:
    """Return the constant that a node is, or None."""
    value: bool | Decimal | str | date | None
    match node:
        case exp.Null():
            return constant_of(None, Kind.NUMBER)
        case exp.Boolean():
            return constant_of(bool(node.this), Kind.TRUTH)
        case exp.Literal(is_string=True):
            return constant_of(str(node.this), Kind.TEXT)
        case exp.Literal():
            try:
                value = Decimal(str(node.this))
            except InvalidOperation:
                value = Decimal("NaN")
            if is_plain_number(value):
                return constant_of(value, Kind.NUMBER)
            asking.refuse("not_admitted", node, what=str(node.this)[:40])
            return constant_of(None, Kind.NUMBER)
        case exp.Cast(this=exp.Literal(is_string=True)) if node.to.this is exp.DataType.Type.DATE:
            value = iso_date(str(node.this.this))
            if value is None:
                asking.refuse("comparison_types", node, type_fr="une date illisible", type_en="an unreadable date")
            return constant_of(value, Kind.DATE)
        case exp.Placeholder():
            given = asking.query.parameter(node)
            if isinstance(given, bool):
                return constant_of(given, Kind.TRUTH)
            if isinstance(given, str):
                return constant_of(given, Kind.TEXT)
            return constant_of(Decimal(given), Kind.NUMBER)
    return None
