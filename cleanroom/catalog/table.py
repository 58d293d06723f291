"""Describe a table: its privacy unit, its columns, and how many rows a person may have in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cleanroom.identifiers import token_kind

if TYPE_CHECKING:
    from cleanroom.catalog.columns import Column
    from cleanroom.identifiers import IdentifierKind, TableName, TokenKind


@dataclass(frozen=True, slots=True)
class PrivacyUnit:
    """What names the person that a row belongs to.

    Args:
        name: what questions call it, `person`.
        source: the upload's column that it is made from; that column never travels.
        kind: how the identifier is normalised and separated from other kinds (S10).
        namespace: for opaque identifiers, whose numbers they are; None for the room's common ones.
        region: for phones, where a number without a country's code is dialled, as two capital letters; else None.
    """

    name: str
    source: str
    kind: IdentifierKind
    namespace: str | None = None
    region: str | None = None

    @property
    def token_kind(self) -> TokenKind:
        """Return what its tokens are made, and kept apart, by."""
        return token_kind(self.kind, self.namespace)


@dataclass(frozen=True, slots=True)
class Contribution:
    """How much of one person a release uses unless the question says otherwise (S29).

    Args:
        max_rows: rows of one person that count in one cell (c).
        max_groups: cells of one person that count in full (m); sets the default norm.
    """

    max_rows: int
    max_groups: int


@dataclass(frozen=True, slots=True)
class TableCatalog:
    """The public description of a table, enforced in the room at every scan (S7).

    Args:
        max_rows_per_person: rows of one person kept at the scan, the first in the file's order (S23).
    """

    table: TableName
    unit: PrivacyUnit
    columns: tuple[Column, ...]
    max_rows_per_person: int
    contribution: Contribution

    def column(self, name: str) -> Column | None:
        """Return the column called `name`, or None."""
        for column in self.columns:
            if column.name == name:
                return column
        return None
