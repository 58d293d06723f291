"""Make an upload: read, check, tokenise, sort, encrypt, sign. Only the package leaves the member's machine.

Plaintext stays in memory: what is written, the temporary table file included, is ciphertext.
"""

from __future__ import annotations

import secrets
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cleanroom.ahead import ahead
from cleanroom.client.gather import LeftOut, Options, SourceFacts, gather
from cleanroom.client.progress import Progress, Stage
from cleanroom.errors import Bilingual, UsageError
from cleanroom.identifiers import Digest, Epoch, RoomId, TableName, UploadId
from cleanroom.partition.intent import Append, Intent
from cleanroom.partition.manifest import Manifest, StoredColumn, TableFileFacts, storage_schema
from cleanroom.partition.package import open_new, sealing_info, write_package
from cleanroom.partition.table_file import file_facts
from cleanroom.partition.table_layout import aad_prefix, group_bits_for
from cleanroom.partition.table_writing import write_table_file
from key_management.errors import InvalidPublicKey
from key_management.secret import SecretKey
from key_management.transport import seal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from cleanroom.catalog import TableCatalog
    from cleanroom.client.linkage import LinkageKey
    from cleanroom.client.order import PersonCounts, Runs
    from cleanroom.client.read_table import Source

_UPLOAD_ID_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class RoomFacts:
    """What a member must know of the room to make an upload for it.

    Args:
        transport_key: the room's public key for sealing, 1216 bytes.
        declaration: digest of the table's signed file.
        version: the table's, as far as the member knows; 0 before its first upload.
    """

    room: RoomId
    transport_key: bytes
    epoch: Epoch
    declaration: Digest
    version: int = 0


@dataclass(frozen=True, slots=True)
class PreparedUpload:
    """A package ready to be handed in, and what its owner should know of it.

    Args:
        rows: rows in the package.
        persons: how many people it has, and of how many the room will not see all rows.
        left_out: what stayed at home or was changed.
        sources: how each source was read, in their order.
    """

    package: Path
    upload: UploadId
    table: TableName
    size_bytes: int
    rows: int
    persons: PersonCounts
    left_out: LeftOut
    sources: tuple[SourceFacts, ...]

    @property
    def without_person(self) -> int:
        """Rows left out because their identifier is not of its kind."""
        return self.left_out.without_person

    @property
    def dropped_columns(self) -> tuple[str, ...]:
        """The sources' columns that are not declared and stay at home."""
        return self.left_out.columns


def prepare(
    source: Source | Sequence[Source],
    catalog: TableCatalog,
    facts: RoomFacts,
    signing_key: Ed25519PrivateKey,
    linkage_key: LinkageKey,
    destination: Path,
    *,
    intent: Intent | None = None,
    options: Options | None = None,
) -> PreparedUpload:
    """Make a package of a member's rows; in memory are a few batches of the sources, and tokens and codes of all rows.

    Args:
        source: CSV or Parquet files or tables in memory; several make one upload.
        signing_key: the table owner's.
        destination: the package file to write.
        intent: what the upload does to its table; None to append.
        options: how the sources are read, and what becomes of rows that are not as declared; None for the strictest.

    Raises:
        RowsRefused: rows break the declaration; nothing was written.
        InvalidUpload: a file cannot be read or lacks a declared column.
        UsageError: the linkage key is another room's or another epoch's.
        OSError: the package cannot be written.
    """
    require_key(linkage_key, facts)
    columns = storage_schema(catalog)
    chosen = options or Options()
    gathered = gather(source, catalog, linkage_key, chosen)
    runs = gathered.runs
    upload = new_upload()
    data_key = SecretKey.generate()
    encrypted = destination.with_name(f".{destination.name}.{upload}.tmp")
    try:
        open_new(encrypted).close()
        group_rows = write_table_file(
            encrypted,
            columns,
            sorted_groups(runs, columns, chosen.progress),
            data_key=data_key,
            aad=aad_prefix(facts.room, catalog.table, upload),
        )
        with encrypted.open("rb") as written:
            file = file_facts(written)
        manifest = manifest_of(facts, catalog, linkage_key, upload, group_rows, file, intent)
        sealed_key = sealed(facts, data_key, sealing_info(manifest))
        write_package(
            destination, manifest=manifest, sealed_key=sealed_key, signing_key=signing_key, table_file=encrypted
        )
    finally:
        with suppress(FileNotFoundError):
            encrypted.unlink()
    return PreparedUpload(
        package=destination,
        upload=upload,
        table=catalog.table,
        size_bytes=destination.stat().st_size,
        rows=runs.rows,
        persons=runs.persons,
        left_out=gathered.left_out,
        sources=gathered.sources,
    )


def require_key(linkage_key: LinkageKey, facts: RoomFacts) -> None:
    """Check that the linkage key is of the room and epoch.

    Raises:
        UsageError: it is another's.
    """
    if (linkage_key.room, linkage_key.epoch) != (facts.room, facts.epoch):
        raise UsageError(
            Bilingual(
                f"la clé d'appariement est celle de {linkage_key.room}, époque {linkage_key.epoch}",
                f"the linkage key is that of {linkage_key.room}, epoch {linkage_key.epoch}",
            ),
            code="wrong_linkage_key",
        )


def manifest_of(
    facts: RoomFacts,
    catalog: TableCatalog,
    linkage_key: LinkageKey,
    upload: UploadId,
    group_rows: tuple[int, ...],
    file: TableFileFacts,
    intent: Intent | None,
) -> Manifest:
    """Return what an upload says of itself."""
    return Manifest(
        room=facts.room,
        table=catalog.table,
        upload=upload,
        epoch=facts.epoch,
        kind=catalog.unit.token_kind,
        declaration=facts.declaration,
        columns=storage_schema(catalog),
        group_rows=group_rows,
        file=file,
        linkage_check=linkage_key.check(),
        intent=intent or Append(),
        after=facts.version,
    )


def sorted_groups(runs: Runs, columns: Sequence[StoredColumn], progress: Progress) -> Iterator[pa.Table]:
    """Yield the token ranges of the table file; the next is sorted while one is written."""
    done = 0
    with closing(ahead(runs.groups(columns, group_bits_for(runs.rows)))) as groups:
        for group in groups:
            yield group
            done += group.num_rows
            progress(Stage.WRITING, done, runs.rows)


def new_upload() -> UploadId:
    """Return the name of an upload to be: 128 random bits."""
    return UploadId(secrets.token_hex(_UPLOAD_ID_BYTES))


def sealed(facts: RoomFacts, data_key: SecretKey, info: bytes) -> bytes:
    """Return a data key sealed to the room.

    Raises:
        UsageError: the room's transport key is malformed.
    """
    try:
        return seal(facts.transport_key, data_key, info)
    except InvalidPublicKey:
        raise UsageError(
            Bilingual("la clé de transport de la salle est mal formée", "the room's transport key is malformed"),
            code="invalid_transport_key",
        ) from None
