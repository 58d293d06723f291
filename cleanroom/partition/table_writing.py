"""Write the encrypted table file: rows under their tokens come in, each person's token is written once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe

from cleanroom.partition.table_layout import (
    MOST_ROWS_PER_GROUP,
    TOKEN_COLUMN,
    PersonsRows,
    file_schema,
    nothing,
    one_array,
    persons_written,
    token_array,
    token_pairs,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from cleanroom.partition.manifest import StoredColumn
    from key_management.secret import SecretKey

DICTIONARY_BYTES: Final = 1 << 26
"""A dictionary that grows larger is left off for the rest of the row group."""


def write_table_file(
    target: Path | BinaryIO,
    columns: Sequence[StoredColumn],
    groups: Iterable[pa.Table],
    *,
    data_key: SecretKey,
    aad: bytes,
) -> tuple[int, ...]:
    """Write token ranges, in order, as one encrypted Parquet file: AES_GCM_V1, nothing in clear.

    A range without rows has no row groups: pyarrow can write empty ones, but nothing reads their bytes, so a change in
    them would go unnoticed.

    Args:
        target: a file to create, or to write to; the caller flushes and renames it.
        groups: the 2^k ranges in order, rows under their tokens, sorted by token; they are written as they come, so a
            stream will do.
        aad: the prefix from `aad_prefix`; it is not stored, a reader must know it.

    Returns:
        The rows of each range.
    """
    schema = file_schema(columns)
    rows: list[int] = []
    with pq.ParquetWriter(
        target,
        schema,
        # Tokens are random, and codes as narrow as whole bytes can be: what a codec would take off, every reading would
        # pay for (docs/adr/0022). Words are another matter.
        compression={
            name: "zstd" if column == pa.string() else "none"
            for name, column in zip(schema.names, schema.types, strict=True)
        },
        use_dictionary=[name for name, column in zip(schema.names, schema.types, strict=True) if column == pa.string()],
        dictionary_pagesize_limit=DICTIONARY_BYTES,
        # A page of its own costs more than the values of a small one.
        max_rows_per_page=MOST_ROWS_PER_GROUP,
        write_statistics=False,
        version="2.6",
        encryption_properties=pe.create_encryption_properties(
            data_key.reveal_secret_bytes(), aad_prefix=aad, store_aad_prefix=False
        ),
    ) as writer:
        for group in groups:
            rows.append(group.num_rows)
            if group.num_rows:
                for table in _row_groups(persons_rows(group), schema):
                    writer.write_table(table, row_group_size=table.num_rows)
    return tuple(rows)


def persons_rows(rows: pa.Table) -> PersonsRows:
    """Return rows under their tokens as persons and their rows; the tokens are of one chunk or several, none NULL."""
    tokens = token_pairs(one_array(rows.column(TOKEN_COLUMN)))
    begins = np.ones(len(tokens), dtype=np.bool_)
    begins[1:] = (tokens[1:] != tokens[:-1]).any(axis=1)
    first = np.flatnonzero(begins)
    counts = np.diff(first, append=len(tokens)).astype(np.uint32)
    return PersonsRows(
        token_array(tokens[first].view(np.uint8).reshape(-1)),
        pa.array(counts),
        rows.drop_columns([TOKEN_COLUMN]),
        rows.num_rows,
    )


def _row_groups(held: PersonsRows, schema: pa.Schema) -> tuple[pa.Table, pa.Table]:
    """Return the row group of persons and that of their rows."""
    rows = {name: held.rows.column(name) for name in held.rows.column_names}
    return _filled(persons_written(held), 1, schema), _filled(rows, held.row_count, schema)


def _filled(held: dict[str, pa.Array | pa.ChunkedArray], rows: int, schema: pa.Schema) -> pa.Table:
    """Return a table with every column of the file."""
    arrays = [held[field.name] if field.name in held else nothing(field, rows) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)
