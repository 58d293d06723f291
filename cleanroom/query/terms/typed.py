"""A term with its proof: its type, the catalog columns behind it, and where it stands in the text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cleanroom.errors import Position
    from cleanroom.identifiers import TableName
    from cleanroom.query.terms.language import Term
    from cleanroom.query.terms.types import ValueType


@dataclass(frozen=True, slots=True)
class Typed:
    """A term, the type that its values provably have, and where it comes from.

    Args:
        origins: the catalog columns that its value depends on.
        compared: the catalog columns that were compared with values on the way (S44): CASE conditions, filters.
    """

    term: Term
    type: ValueType
    origins: frozenset[tuple[TableName, str]] = frozenset()
    compared: frozenset[tuple[TableName, str]] = frozenset()
    position: Position | None = None


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal or a parameter before it meets a column: NULL, a boolean, an exact number, a text or a day.

    A text may become a day, a category or a text, and NULL anything, depending on what it meets; the functions that
    put terms together take both `Typed` and `Constant`.
    """

    value: object
    position: Position | None = None
