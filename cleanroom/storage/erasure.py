"""Write a partition anew without the rows of people who are erased, under a fresh key; the rest stays, in its order.

Every file is read, filtered and written whether or not anybody of the list is in it: what is done does not depend on
who was there (S5). Of texts the file keeps a dictionary: it is made from the rows that stay, or a word that only an
erased person had would live on in it. Rows are in memory a token range at a time; what is written is ciphertext.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from cleanroom.partition.table_layout import (
    TOKEN_BYTES,
    TOKEN_COLUMN,
    aad_prefix,
    arrow_schema,
    one_array,
    rows_under_tokens,
)
from cleanroom.partition.table_writing import write_table_file
from cleanroom.storage.partition_store import StoredPartition

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from cleanroom.identifiers import UploadId
    from cleanroom.partition.intent import Erase
    from cleanroom.storage.partition_store import PartitionReader, PartitionStore
    from key_management.secret import SecretKey


def rewrite(
    store: PartitionStore,
    stored: StoredPartition,
    data_key: SecretKey,
    erased: Sequence[bytes],
    *,
    upload: UploadId,
    intent: Erase,
    after: int,
    new_key: SecretKey,
) -> StoredPartition:
    """Write a partition's rows anew but for those of the tokens `erased`, durably, and read back what was written.

    Args:
        data_key: opens the partition as it is.
        erased: tokens of the partition's epoch and kind, 16 bytes each; there may be none.
        upload: the name of the new file.
        intent: what it is made from, and at whose request.
        after: the table's version before.
        new_key: encrypts the new file.

    Raises:
        Fault, NotVerified: the partition is missing or altered; nothing is left of the new file.
        OSError: the disk; nothing is left of the new file.
    """
    manifest = stored.manifest
    unwanted = pa.array(list(erased), pa.binary(TOKEN_BYTES))
    rows: list[int] = []
    # Reading looks at no page of NULLs: here the whole file is looked at, since it is about to go.
    store.verify(stored)
    with store.open(stored, data_key) as reader:

        def write(target: Path) -> None:
            rows[:] = write_table_file(
                target,
                manifest.columns,
                _kept(reader, unwanted),
                data_key=new_key,
                aad=aad_prefix(manifest.room, manifest.table, upload),
            )

        file = store.write(manifest.table, upload, write)
    made = StoredPartition(
        replace(manifest, upload=upload, group_rows=tuple(rows), file=file, intent=intent, after=after)
    )
    try:
        _read_back(store, made, new_key)
    except BaseException:
        store.remove(made)
        raise
    return made


def _kept(reader: PartitionReader, unwanted: pa.Array) -> Iterator[pa.Table]:
    """Yield each token range's rows under their tokens, without those of the unwanted tokens."""
    manifest = reader.stored.manifest
    names = [each.name for each in manifest.columns[1:]]
    for group in range(len(manifest.group_rows)):
        rows = rows_under_tokens(reader.read(manifest.group_bits, group, names))
        tokens = one_array(rows.column(TOKEN_COLUMN)).storage
        kept = rows.filter(pc.invert(pc.is_in(tokens, value_set=unwanted)))
        yield kept.cast(arrow_schema(manifest.columns))


def _read_back(store: PartitionStore, made: StoredPartition, key: SecretKey) -> None:
    """Read every row of the new file: the old one's key is about to be destroyed."""
    names = [each.name for each in made.manifest.columns[1:]]
    store.verify(made)
    with store.open(made, key) as reader:
        for group in range(len(made.manifest.group_rows)):
            reader.read(made.manifest.group_bits, group, names)
