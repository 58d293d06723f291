"""Stream the relations of a plan: what can be merged from sorted rows is, the rest is handed to the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from cleanroom.catalog import Text
from cleanroom.query import algebra
from cleanroom.query.backend import DEFAULT_MEMORY, PersonRows, Slice, SliceTooLarge, slices_for
from cleanroom.query.duckdb_backend import DuckDBBackend
from cleanroom.query.merging import merges, person_rows
from cleanroom.query.numbered import numbered

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cleanroom.catalog.reference import ReferenceTable
    from cleanroom.identifiers import Digest
    from cleanroom.query.numbered import OpenTables


class MergeBackend:
    """Streams the relations of one plan over opened partitions.

    Args:
        tables: for each table its catalog and the readers of its uploads, in the order they were taken in.
        rows: rows of all these uploads together; decides how many slices are made.
        memory: bytes that the question is given: the engine's limit, and what slices are made for.
        references: the public tables that plans join, by digest.
    """

    def __init__(
        self,
        tables: OpenTables,
        rows: int,
        *,
        memory: int = DEFAULT_MEMORY,
        references: Mapping[Digest, ReferenceTable] | None = None,
    ) -> None:
        self._tables = tables
        self._rows = rows
        self._memory = memory
        self._references = references
        self._engine: DuckDBBackend | None = None

    def slices(self) -> Iterator[Slice]:
        """Yield the slices of the room."""
        return slices_for(self._rows, self._memory)

    def merges(self, relation: algebra.Relation) -> bool:
        """Return whether a relation is answered without the engine."""
        return merges(relation, self._is_text)

    def rows(self, relation: algebra.Relation, columns: tuple[int, ...], part: Slice) -> PersonRows:
        """Return the rows of `relation` in one slice, ordered by person, with these of its columns.

        Which way it goes depends on the relation and the declarations alone, never on rows (S12).
        """
        if self.merges(relation):
            try:
                return person_rows(relation, columns, numbered(self._tables, algebra.scans(relation), part))
            except (MemoryError, pa.ArrowCapacityError):
                raise SliceTooLarge from None
        if self._engine is None:
            # Made for who needs it: opening an engine takes longer than many a question.
            self._engine = DuckDBBackend(self._tables, self._rows, memory=self._memory, references=self._references)
        return self._engine.rows(relation, columns, part)

    def _is_text(self, scan: algebra.Scan, name: str) -> bool:
        column = self._tables[scan.table][0].column(name)
        return column is not None and isinstance(column.type, Text)
