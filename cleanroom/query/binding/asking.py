"""What one question is bound against, and what was found wrong with it."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NoReturn

from cleanroom.errors import Refused
from cleanroom.query.algebra import PublicTable, Relation, scans
from cleanroom.query.public.language import parts as public_parts
from cleanroom.query.refusals import refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlglot import exp

    from cleanroom.catalog import TableCatalog
    from cleanroom.errors import Position, Refusal
    from cleanroom.identifiers import Digest, TableName
    from cleanroom.query.binding.personal import Release
    from cleanroom.query.parse import ParsedQuery
    from cleanroom.query.public.language import PublicTerm
    from cleanroom.query.terms.types import ValueType

MAX_RELATIONS: Final = 400
"""Relations of a question once its WITH names are written out."""


MOST_LABELS: Final = 200
"""Labels over public rows that a question may use, each time that one is used."""


class Unbound(Exception):
    """A part of the question has no meaning; why is among the reasons."""


@dataclass(frozen=True, slots=True)
class ReferenceCatalog:
    """A public table as questions see it (S30).

    Args:
        rows: how many it has.
        columns: name and type of each, in order.
        repeats: for each column how many rows have its commonest value, NULL not counted.
    """

    name: str
    digest: Digest
    rows: int
    columns: tuple[tuple[str, ValueType], ...]
    repeats: tuple[int, ...]

    def table(self) -> PublicTable:
        """Return the whole table as a plan names it."""
        return PublicTable(self.name, self.digest, tuple(name for name, _ in self.columns), self.rows, self.repeats)


@dataclass(slots=True)
class Asking:
    """One question while it is bound.

    Args:
        visible: the tables that some rule opens to this party for this purpose.
        references: the room's public tables, by name.
        max_rows: rows of a person that count in a cell, as the question says; None for the tables' defaults.
        releases: the releases found so far, in the order in which they are needed.
        sizes: what `public_size` has counted.
        rewrites: the hints that are whole questions.
        labels_written_out: how often a label over public rows was put for its expression, so that it stays bounded.
    """

    query: ParsedQuery
    visible: Mapping[TableName, TableCatalog]
    references: Mapping[str, ReferenceCatalog]
    max_rows: int | None
    reasons: list[Refusal] = field(default_factory=list)
    releases: list[Release] = field(default_factory=list)
    sizes: dict[int, tuple[PublicTerm, int]] = field(default_factory=dict, repr=False)

    def public_size(self, term: PublicTerm) -> int:
        """Return the nodes of a public term written out, each shared part counted once for each place."""
        known = self.sizes.get(id(term))
        if known is None:
            # The term is kept, so that its identity stays its own.
            known = self.sizes[id(term)] = (term, 1 + sum(self.public_size(part) for part in public_parts(term)))
        return known[1]

    labels_written_out: int = 0
    rewrites: set[str] = field(default_factory=set)

    def refuse(self, code: str, node: exp.Expr, hint: tuple[str, str] | None = None, **evidence: object) -> None:
        """Note a reason; binding goes on, to find the others."""
        self.reasons.append(refusal(code, self.query.position(node), hint=hint, **evidence))

    def stop(self, code: str, node: exp.Expr, hint: tuple[str, str] | None = None, **evidence: object) -> NoReturn:
        """Note a reason and give up this part."""
        self.refuse(code, node, hint=hint, **evidence)
        raise Unbound

    def position(self, node: exp.Expr) -> Position | None:
        """Return where a node stands in the text."""
        return self.query.position(node)

    def raise_reasons(self) -> None:
        """Refuse the question if anything was found."""
        if self.reasons:
            raise Refused(tuple(dict.fromkeys(self.reasons)))

    def limits(self) -> Mapping[TableName, int]:
        """Return how many rows of a person each table keeps."""
        return {table: catalog.max_rows_per_person for table, catalog in self.visible.items()}

    def rows_counted(self, relation: Relation) -> int:
        """Return K: how many rows of a person count, where a per-person total needs a bound (S22)."""
        if self.max_rows is not None:
            return self.max_rows
        return max((self.visible[scan.table].contribution.max_rows for scan in scans(relation)), default=1)


def near(name: str, known: list[str]) -> tuple[str, str] | None:
    """Return a hint at a name like this one, if there is one."""
    close = difflib.get_close_matches(name, known, n=1)
    return (f"vouliez-vous dire {close[0]} ?", f"did you mean {close[0]}?") if close else None
