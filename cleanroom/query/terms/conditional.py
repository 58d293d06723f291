"""CASE, COALESCE, NULLIF and IF: a value chosen among values of one type."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from cleanroom.errors import Refusal
from cleanroom.query.terms import language as t
from cleanroom.query.terms.alike import alike, is_value, nothing_of
from cleanroom.query.terms.arithmetic import ceil, floor
from cleanroom.query.terms.comparing import Operator, compare
from cleanroom.query.terms.logic import as_boolean
from cleanroom.query.terms.operands import derived, is_null, nothing
from cleanroom.query.terms.resolutions import small, too_large
from cleanroom.query.terms.typed import Constant, Typed
from cleanroom.query.terms.types import NullType, NumberType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cleanroom.errors import Position
    from cleanroom.query.terms.operands import Operand


def case(
    branches: Sequence[tuple[Operand | Refusal, Operand]],
    otherwise: Operand | None = None,
    position: Position | None = None,
) -> Typed | Refusal:
    """Return the value beside the first condition that is true, else `otherwise`, else NULL.

    Texts that are all constant become a category whose domain they are, in order.
    """
    kept: list[tuple[Typed, Operand]] = []
    last: Operand = Constant(None) if otherwise is None else otherwise
    conditions: list[Typed] = []
    for when, then in branches:
        condition = as_boolean("CASE", when)
        if isinstance(condition, Refusal):
            return condition
        conditions.append(condition)
        if condition.term == t.Flag(True):
            last = then
            break
        if not isinstance(condition.term, t.Flag):
            kept.append((condition, then))
    values = [*(then for _, then in kept), last]
    found = alike(values, position)
    if isinstance(found, Refusal):
        return found
    chosen = tuple((condition.term, term) for (condition, _), term in zip(kept, found.terms[:-1], strict=True))
    term = t.Choice(chosen, found.terms[-1]) if chosen else found.terms[-1]
    result = derived(term, found.type, [*conditions, *values])
    looked_at = frozenset(origin for condition in conditions for origin in condition.origins)
    return replace(result, compared=result.compared | looked_at, position=position)


def simple_case(
    subject: Operand,
    branches: Sequence[tuple[Operand, Operand]],
    otherwise: Operand | None = None,
    position: Position | None = None,
) -> Typed | Refusal:
    """Return the value beside the first one that `subject` equals, else `otherwise`, else NULL."""
    if isinstance(subject, Typed) and not small(subject.term):
        return too_large(position)
    return case([(compare(Operator.EQ, subject, when, position), then) for when, then in branches], otherwise, position)


def choose(condition: Operand, then: Operand, otherwise: Operand, position: Position | None = None) -> Typed | Refusal:
    """Return IF: one value where the condition is true, else the other."""
    return case([(condition, then)], otherwise, position)


def coalesce(items: Sequence[Operand], position: Position | None = None) -> Typed | Refusal:
    """Return the first value that is not NULL."""
    there = [item for item in items if not is_null(item)]
    if not there:
        return nothing(*items)
    found = alike(there, position)
    if isinstance(found, Refusal):
        return found
    if not all(small(term) for term in found.terms[:-1]):
        return too_large(position)
    terms = list(found.terms)
    sure = next((place for place, term in enumerate(terms) if is_value(term)), None)
    if sure is not None:
        terms = terms[: sure + 1]
    chosen = tuple((t.Opposite(t.Missing(term)), term) for term in terms[:-1])
    term = t.Choice(chosen, terms[-1]) if chosen else terms[-1]
    nullable = sure is None and all(isinstance(item, Typed) and item.type.nullable for item in there)
    kind = found.type if isinstance(found.type, NullType) else replace(found.type, nullable=nullable)
    return replace(derived(term, kind, there), position=position)


def nullif(item: Operand, other: Operand, position: Position | None = None) -> Typed | Refusal:
    """Return a value, or NULL where it equals another. `NULLIF(x, 0)` is a divisor that is never 0."""
    if is_null(item) or is_null(other):
        equal: Typed | Refusal = Typed(t.Flag(None), NullType())
    else:
        equal = compare(Operator.EQ, item, other, position)
    if isinstance(equal, Refusal):
        return equal
    if is_null(item):
        return nothing(item, other)
    if isinstance(item, Typed) and not small(item.term):
        return too_large(position)
    found = alike((item,), position)
    if isinstance(found, Refusal) or isinstance(found.type, NullType):
        return found if isinstance(found, Refusal) else nothing(item, other)
    kind = replace(found.type, nullable=True)
    term = t.Choice(((equal.term, nothing_of(kind)),), found.terms[0])
    return replace(derived(term, kind, [item, other, equal]), position=position)


def truncated(item: Operand, position: Position | None = None) -> Typed | Refusal:
    """Return TRUNC: the whole part of a number, towards 0."""
    below = floor(item, position)
    if isinstance(below, Refusal) or not isinstance(below.type, NumberType) or below.type.lower >= 0:
        return below
    above, negative = ceil(item, position), compare(Operator.LT, item, Constant(Decimal(0)), position)
    if isinstance(above, Refusal) or isinstance(negative, Refusal):
        return above if isinstance(above, Refusal) else negative
    return case([(negative, above)], below, position)
