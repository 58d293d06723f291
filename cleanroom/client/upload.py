"""Make an upload: read, check, tokenise, sort, encrypt, sign. Only the package leaves the member's machine.

Plaintext stays in memory: what is written, the temporary table file included, is ciphertext.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from cleanroom.client.conform import conform
from cleanroom.client.order import arrow_groups, in_token_order, tokenised
from cleanroom.client.read_table import CsvFacts, Source, SourceTable, read_sources
from cleanroom.client.written import DateForm, DecimalMark, WrittenForm, written_forms
from cleanroom.errors import Bilingual, UsageError
from cleanroom.identifiers import Digest, Epoch, RoomId, TableName, UploadId
from cleanroom.partition.manifest import Manifest, storage_schema
from cleanroom.partition.package import open_new, sealing_info, write_package
from cleanroom.partition.table_file import aad_prefix, file_facts, group_bits_for, write_table_file
from key_management.errors import InvalidPublicKey
from key_management.secret import SecretKey
from key_management.transport import seal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import polars as pl
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from cleanroom.catalog import TableCatalog
    from cleanroom.client.linkage import LinkageKey

_UPLOAD_ID_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class RoomFacts:
    """What a member must know of the room to make an upload for it.

    Args:
        transport_key: the room's public key for sealing, 1216 bytes.
        declaration: digest of the table's signed file.
    """

    room: RoomId
    transport_key: bytes
    epoch: Epoch
    declaration: Digest


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """How a source was read, for its owner to see that it was read as meant.

    Args:
        name: the file's; None for a table in memory.
        rows: all its rows, those of nobody included.
        csv: packing, encoding and delimiter; None for what is no CSV.
        dates: columns of text with dates, and the form they are written in.
        marks: columns of text with decimals, and what marks them.
    """

    name: str | None
    rows: int
    csv: CsvFacts | None
    dates: tuple[tuple[str, DateForm], ...]
    marks: tuple[tuple[str, DecimalMark], ...]


@dataclass(frozen=True, slots=True)
class PreparedUpload:
    """A package ready to be handed in, and what its owner should know of it.

    Args:
        rows: rows in the package.
        without_person: rows left out, their identifier being no e-mail address.
        dropped_columns: the sources' columns that are not declared and stay at home.
        sources: how each source was read, in their order.
    """

    package: Path
    upload: UploadId
    table: TableName
    size_bytes: int
    rows: int
    without_person: int
    dropped_columns: tuple[str, ...]
    sources: tuple[SourceFacts, ...]


def prepare(
    source: Source | Sequence[Source],
    catalog: TableCatalog,
    facts: RoomFacts,
    signing_key: Ed25519PrivateKey,
    linkage_key: LinkageKey,
    destination: Path,
) -> PreparedUpload:
    """Make a package of a member's rows.

    Args:
        source: CSV or Parquet files or tables in memory; several make one upload.
        signing_key: the table owner's.
        destination: the package file to write.

    Raises:
        RowsRefused: rows break the declaration; nothing was written.
        InvalidUpload: a file cannot be read or lacks a declared column.
        UsageError: the linkage key is another room's or another epoch's.
        OSError: the package cannot be written.
    """
    if (linkage_key.room, linkage_key.epoch) != (facts.room, facts.epoch):
        raise UsageError(
            Bilingual(
                f"la clé d'appariement est celle de {linkage_key.room}, époque {linkage_key.epoch}",
                f"the linkage key is that of {linkage_key.room}, epoch {linkage_key.epoch}",
            ),
            code="wrong_linkage_key",
        )
    columns = storage_schema(catalog)
    gathered = _gather(source, catalog, linkage_key)
    rows = in_token_order(gathered.parts)
    upload = UploadId(secrets.token_hex(_UPLOAD_ID_BYTES))
    data_key = SecretKey.generate()
    encrypted = destination.with_name(f".{destination.name}.{upload}.tmp")
    try:
        open_new(encrypted).close()
        group_rows = write_table_file(
            encrypted,
            columns,
            arrow_groups(rows, columns, group_bits_for(rows.height)),
            data_key=data_key,
            aad=aad_prefix(facts.room, catalog.table, upload),
        )
        with encrypted.open("rb") as written:
            file = file_facts(written)
        manifest = Manifest(
            room=facts.room,
            table=catalog.table,
            upload=upload,
            epoch=facts.epoch,
            kind=catalog.unit.kind,
            declaration=facts.declaration,
            columns=columns,
            group_rows=group_rows,
            file=file,
            linkage_check=linkage_key.check(),
        )
        sealed_key = _seal(facts, data_key, sealing_info(manifest))
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
        rows=rows.height,
        without_person=gathered.without_person,
        dropped_columns=tuple(gathered.dropped),
        sources=tuple(gathered.sources),
    )


@dataclass(slots=True)
class _Gathered:
    """What the sources held: rows under tokens, in parts; and what stays at home."""

    parts: list[pl.DataFrame] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    sources: list[SourceFacts] = field(default_factory=list)
    without_person: int = 0


def _gather(source: Source | Sequence[Source], catalog: TableCatalog, linkage_key: LinkageKey) -> _Gathered:
    gathered = _Gathered()
    for table in read_sources(source, catalog):
        gathered.dropped += [name for name in table.dropped if name not in gathered.dropped]
        forms = written_forms(table.frame, catalog)
        gathered.sources.append(_facts_of(table, forms))
        for conformed in conform(table, catalog, forms):
            gathered.parts.append(tokenised(conformed, kind=catalog.unit.kind, linkage_key=linkage_key))
            gathered.without_person += conformed.without_person
    return gathered


def _facts_of(table: SourceTable, forms: Mapping[str, WrittenForm]) -> SourceFacts:
    return SourceFacts(
        name=table.name,
        rows=table.frame.height,
        csv=table.csv,
        dates=tuple((column, form) for column, form in forms.items() if isinstance(form, DateForm)),
        marks=tuple((column, form) for column, form in forms.items() if isinstance(form, DecimalMark)),
    )


def _seal(facts: RoomFacts, data_key: SecretKey, info: bytes) -> bytes:
    try:
        return seal(facts.transport_key, data_key, info)
    except InvalidPublicKey:
        raise UsageError(
            Bilingual("la clé de transport de la salle est mal formée", "the room's transport key is malformed"),
            code="invalid_transport_key",
        ) from None
