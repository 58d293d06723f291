"""AND, OR and NOT over boolean terms, constants folded, nested ones flattened."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cleanroom.errors import Refusal
from cleanroom.query.terms import language as t
from cleanroom.query.terms.operands import derived, is_null, unfit
from cleanroom.query.terms.typed import Constant, Typed
from cleanroom.query.terms.types import BooleanType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cleanroom.errors import Position
    from cleanroom.query.terms.operands import Operand


def as_boolean(function: str, value: Operand | Refusal) -> Typed | Refusal:
    """Return an argument as a boolean term; NULL is one."""
    if isinstance(value, Refusal):
        return value
    if is_null(value):
        return replace(derived(t.Flag(None), BooleanType(nullable=True), [value]), position=value.position)
    if isinstance(value, Constant):
        if isinstance(value.value, bool):
            return Typed(t.Flag(value.value), BooleanType(nullable=False), position=value.position)
        return unfit(function, value)
    return value if isinstance(value.type, BooleanType) else unfit(function, value)


def all_of(items: Sequence[Operand | Refusal], position: Position | None = None) -> Typed | Refusal:
    """Return whether all are true; TRUE for none. The first refusal among the items is passed on."""
    return _joined("AND", items, position)


def any_of(items: Sequence[Operand | Refusal], position: Position | None = None) -> Typed | Refusal:
    """Return whether one is true; FALSE for none. The first refusal among the items is passed on."""
    return _joined("OR", items, position)


def opposite(item: Operand | Refusal, position: Position | None = None) -> Typed | Refusal:
    """Return NOT."""
    found = as_boolean("NOT", item)
    if isinstance(found, Refusal):
        return found
    match found.term:
        case t.Flag(value=flag):
            term: t.Term = t.Flag(None if flag is None else not flag)
        case t.Opposite(item=inside):
            term = inside
        case other:
            term = t.Opposite(other)
    return replace(found, term=term, position=position or found.position)


def _joined(name: str, items: Sequence[Operand | Refusal], position: Position | None) -> Typed | Refusal:
    node = t.AllOf if name == "AND" else t.AnyOf
    found: list[Typed] = []
    for item in items:
        each = as_boolean(name, item)
        if isinstance(each, Refusal):
            return each
        found.append(each)
    decides = name == "OR"  # TRUE decides OR, FALSE decides AND
    terms: list[t.Term] = []
    for each in found:
        inside = each.term.items if isinstance(each.term, node) else (each.term,)
        terms += [term for term in inside if term != t.Flag(not decides)]
    if t.Flag(decides) in terms:
        terms = [t.Flag(decides)]
    term = t.Flag(not decides) if not terms else terms[0] if len(terms) == 1 else node(tuple(terms))
    nullable = any(each.type.nullable for each in found) and not (isinstance(term, t.Flag) and term.value is not None)
    return replace(derived(term, BooleanType(nullable), found), position=position)
