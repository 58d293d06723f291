"""Run a relation in DuckDB, one slice at a time, from scanned rows whose persons are numbered.

Persons are numbered within a slice (`query.numbered`), so the engine joins small integers instead of 16-byte keys
(measured: a third of the CPU time). DuckDB sees numbers and codes, never a token, a key or a file: external access,
extensions and spilling are off, and the configuration is locked (docs/adr/0002).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cleanroom.query import algebra
from cleanroom.query.backend import DEFAULT_MEMORY, Codes, PersonRows, Slice, SliceTooLarge, slices_for
from cleanroom.query.duckdb_reading import read_again
from cleanroom.query.duckdb_sql import Statement, keeps_order, statement
from cleanroom.query.numbered import numbered
from cleanroom.storage.scan import CodeColumn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cleanroom.catalog.reference import ReferenceTable
    from cleanroom.identifiers import Digest
    from cleanroom.query.numbered import OpenTables

DEFAULT_THREADS: Final = 2


class DuckDBBackend:
    """Streams the relations of one plan over opened partitions.

    Args:
        tables: for each table its catalog and the readers of its uploads, in the order they were taken in.
        rows: rows of all these uploads together; decides how many slices are made.
        memory: bytes that the engine is given; slices are made to fit.
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
        self._references = references or {}
        self._rows = rows
        self._memory = memory
        self._printed: dict[tuple[algebra.Relation, tuple[int, ...]], Statement] = {}
        self._connection = duckdb.connect(
            ":memory:",
            config={
                "enable_external_access": "false",
                "autoload_known_extensions": "false",
                "autoinstall_known_extensions": "false",
                "temp_directory": "",
                "memory_limit": f"{memory >> 10}KiB",
                "threads": DEFAULT_THREADS,
                "preserve_insertion_order": "true",
                "default_null_order": "nulls_last",
                "arrow_lossless_conversion": "true",
            },
        )
        self._connection.execute("SET lock_configuration = true")

    def slices(self) -> Iterator[Slice]:
        """Yield the slices of the room."""
        return slices_for(self._rows, self._memory)

    def rows(self, relation: algebra.Relation, columns: tuple[int, ...], part: Slice) -> PersonRows:
        """Run `relation` in one slice."""
        printed = self._statement(relation, columns)
        try:
            self._register(printed, part)
            return self._run(printed, columns)
        except (duckdb.OutOfMemoryException, MemoryError, pa.ArrowCapacityError):
            raise SliceTooLarge from None
        finally:
            for number in range(len(printed.tables)):
                self._connection.unregister(f"s{number}")
            for number in range(len(printed.public)):
                self._connection.unregister(f"r{number}")

    def _statement(self, relation: algebra.Relation, columns: tuple[int, ...]) -> Statement:
        """Return a relation as it is printed, and read again, once for all slices."""
        printed = self._printed.get((relation, columns))
        if printed is None:
            printed = statement(relation, columns, ordered=not keeps_order(relation))
            # Before anything is registered: DuckDB then reports the names as written.
            read_again(printed, self._connection)
            self._printed[relation, columns] = printed
        return printed

    def _register(self, printed: Statement, part: Slice) -> None:
        """Scan the tables of a statement in one slice and hand them to DuckDB, persons numbered."""
        scanned = numbered(self._tables, printed.tables, part)
        for number, each in enumerate(printed.tables):
            columns = scanned[each].scanned.columns.values()
            arrays = [pa.array(scanned[each].units())]
            arrays += [column.arrow() if isinstance(column, CodeColumn) else column for column in columns]
            names = ["u", *(f"c{place}" for place in range(len(each.columns)))]
            self._connection.register(f"s{number}", pa.Table.from_arrays(arrays, names=names))

        for number, public in enumerate(printed.public):
            codes = self._references[public.digest].codes.select(public.columns)
            # A join on nothing reads no column, but needs its rows.
            read = {f"c{place}": codes.column(place) for place in range(codes.num_columns)}
            self._connection.register(f"r{number}", pa.table(read or {"none": pa.nulls(public.rows, pa.int8())}))

    def _run(self, printed: Statement, columns: tuple[int, ...]) -> PersonRows:
        table: pa.Table = self._connection.sql(printed.sql, params=list(printed.parameters)).to_arrow_table()
        units = table.column(0).to_numpy()
        read: dict[int, Codes] = {}
        words: dict[int, tuple[str, ...]] = {}
        for place, column in enumerate(columns, start=1):
            values = table.column(place)
            if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
                encoded = pc.dictionary_encode(values.combine_chunks())
                words[column] = tuple(encoded.dictionary.to_pylist())
                values = pa.chunked_array([encoded.indices])
            read[column] = _codes(values)
        return PersonRows.of_rows(np.ascontiguousarray(units, dtype=np.int64), read, words)


def _codes(column: pa.ChunkedArray) -> Codes:
    if isinstance(column.type, pa.Bool8Type):
        # DuckDB's lossless booleans are an extension, whose NULLs cannot be filled.
        column = pa.chunked_array([chunk.storage for chunk in column.chunks], pa.int8())
    if column.null_count == 0:
        values = column.to_numpy().astype(np.int64, copy=False)
        return Codes(values, np.ones(len(values), dtype=np.bool_))
    present = column.is_valid().to_numpy().astype(np.bool_)
    return Codes(column.fill_null(0).to_numpy().astype(np.int64, copy=False), present)
