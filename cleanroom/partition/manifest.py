"""Say what an upload is: the signed manifest of a partition package (docs/spec/partition.md).

A manifest has one encoding: JSON with sorted keys, no blanks, UTF-8. Parsing re-encodes and compares, so that two
different byte strings never mean the same manifest.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, assert_never

from cleanroom.catalog import Category, ColumnType, Date, Number, TableCatalog, Text
from cleanroom.errors import Bilingual, InvalidUpload, UsageError
from cleanroom.identifiers import (
    Digest,
    Epoch,
    InvalidName,
    RoomId,
    TableName,
    TokenKind,
    UploadId,
    identifier,
    parse_token_kind,
)
from cleanroom.partition.codes import code_bytes
from cleanroom.partition.intent import Act, Append, Correct, Erase, Replace, act, is_upload

if TYPE_CHECKING:
    from collections.abc import Iterable

FORMAT: Final = "cleanroom/partition/v4"
LARGEST_GROUP_BITS: Final = 14
"""At most 2^14 token ranges, of two row groups each: a row group's ordinal is authenticated as a signed number of 16
bits (Parquet Modular Encryption §4.4.2). They hold two thousand million rows at their usual size, then get larger."""

_LARGEST_COUNT: Final = 1 << 53
"""Counts stay exact in any JSON reader (RFC 8259 §6)."""

_ROOM: Final = re.compile(r"[!-~]{1,200}", re.ASCII)
_EPOCH: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,62}", re.ASCII)
_HASH: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


class StorageType(StrEnum):
    """How a column lies in the table file."""

    UUID = "uuid"
    STRING = "string"
    CODE8 = "code8"
    CODE16 = "code16"
    CODE32 = "code32"


@dataclass(frozen=True, slots=True)
class StoredColumn:
    """A column of the table file."""

    name: str
    storage: StorageType
    nullable: bool


_CODES: Final = {1: StorageType.CODE8, 2: StorageType.CODE16, 4: StorageType.CODE32}

TOKEN: Final = StoredColumn("u", StorageType.UUID, nullable=False)
"""The privacy unit's token, the first column of every table file (S14)."""


@dataclass(frozen=True, slots=True)
class TableFileFacts:
    """What the encrypted table file must be, byte for byte.

    Args:
        size_bytes: its length.
        digest: SHA-256 of all of it.
        footer_bytes: length of its end: encrypted footer, footer length, magic.
        footer_digest: SHA-256 of that end, checked at every opening.
    """

    size_bytes: int
    digest: Digest
    footer_bytes: int
    footer_digest: Digest


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything that an upload says about itself, signed by its owner.

    Args:
        upload: 128 random bits, as 32 hexadecimal digits.
        declaration: digest of the table's signed file.
        columns: the table file's columns, the token first.
        group_rows: rows of each token-prefix range, in order; 2^k ranges, of which the empty ones have no row group.
        linkage_check: 32 bytes that two members with the same linkage key agree on.
        intent: what the upload does to its table.
        after: the table's version that its owner knew, from 0; what has happened since may rule the upload out.

    Raises:
        ValueError: a field has another form.
    """

    room: RoomId
    table: TableName
    upload: UploadId
    epoch: Epoch
    kind: TokenKind
    declaration: Digest
    columns: tuple[StoredColumn, ...]
    group_rows: tuple[int, ...]
    file: TableFileFacts
    linkage_check: bytes
    intent: Act
    after: int

    def __post_init__(self) -> None:
        if _ROOM.fullmatch(self.room) is None:
            raise ValueError("room")
        if not is_upload(self.upload):
            raise ValueError("upload")
        if not 0 <= self.after < _LARGEST_COUNT:
            raise ValueError("after")
        if not is_epoch(self.epoch):
            raise ValueError("epoch")
        if len(self.linkage_check) != 32:
            raise ValueError("linkage_check")
        if len(self.group_rows) not in {1 << bits for bits in range(LARGEST_GROUP_BITS + 1)}:
            raise ValueError("group_rows")
        if any(not 0 <= count < _LARGEST_COUNT for count in self.group_rows):
            raise ValueError("group_rows")
        if not 0 < self.file.footer_bytes < self.file.size_bytes < _LARGEST_COUNT:
            raise ValueError("file")
        if self.columns[:1] != (TOKEN,):
            raise ValueError("columns")

    @property
    def group_bits(self) -> int:
        """How many leading bits of a token name its range."""
        return len(self.group_rows).bit_length() - 1

    @property
    def row_count(self) -> int:
        """Rows of the whole upload; known to its owner and the room only (S13)."""
        return sum(self.group_rows)

    def encode(self) -> bytes:
        """Return the one encoding of this manifest."""
        return _canonical(
            {
                "after": self.after,
                "columns": [
                    {"name": column.name, "nullable": column.nullable, "storage": str(column.storage)}
                    for column in self.columns
                ],
                "declaration": str(self.declaration),
                "epoch": self.epoch,
                "file": {
                    "bytes": self.file.size_bytes,
                    "digest": str(self.file.digest),
                    "footer_bytes": self.file.footer_bytes,
                    "footer_digest": str(self.file.footer_digest),
                },
                "format": FORMAT,
                "group_rows": list(self.group_rows),
                "intent": _intent_fields(self.intent),
                "kind": str(self.kind),
                "linkage_check": self.linkage_check.hex(),
                "owner": self.table.owner,
                "room": self.room,
                "table": self.table.name,
                "upload": self.upload,
            }
        )

    @classmethod
    def parse(cls, content: bytes) -> Manifest:
        """Read a manifest from its one encoding.

        Raises:
            InvalidUpload: `content` is anything else; names the field where there is one.
        """
        try:
            manifest = _manifest(_Object(json.loads(content.decode("utf-8"), parse_constant=_no_constant)))
            encoded = manifest.encode()
        except _WrongField as wrong:
            raise _invalid(str(wrong)) from None
        except (ValueError, RecursionError, InvalidName):
            raise _invalid("JSON") from None
        if encoded != content:
            raise _invalid("encoding")
        return manifest


def is_epoch(text: str) -> bool:
    """Tell whether `text` can name an epoch: 1 to 63 letters, digits, `.`, `_`, `-`."""
    return _EPOCH.fullmatch(text) is not None


def storage_schema(catalog: TableCatalog) -> tuple[StoredColumn, ...]:
    """Return how a table's columns lie in its file: the token, then the declared columns in their order.

    Raises:
        UsageError: a declared column is called as the token is.
    """
    if catalog.column(TOKEN.name) is not None:
        raise UsageError(
            Bilingual(
                f"une colonne ne peut s'appeler « {TOKEN.name} » : ce nom est celui du jeton de la personne",
                f"no column may be called {TOKEN.name!r}: that is the name of the person's token",
            ),
            code="reserved_column",
        )
    return (TOKEN, *(StoredColumn(column.name, *_storage(column.type)) for column in catalog.columns))


def _storage(kind: ColumnType) -> tuple[StorageType, bool]:
    match kind:
        case Text(nullable=nullable):
            return StorageType.STRING, nullable
        case Category(nullable=nullable) | Date(nullable=nullable) | Number(nullable=nullable):
            return _CODES[code_bytes(kind)], nullable
        case _:
            assert_never(kind)


class _WrongField(ValueError):
    """A field of a manifest is missing, unknown or of another form; says its name."""


class _Object:
    """Read typed fields of a JSON object."""

    def __init__(self, value: object) -> None:
        if not isinstance(value, dict):
            raise _WrongField("object")
        self._value: dict[str, object] = value

    def only(self, names: Iterable[str]) -> None:
        for name in self._value.keys() ^ set(names):
            raise _WrongField(name if name in names else "unknown")

    def text(self, name: str) -> str:
        value = self._value.get(name)
        if not isinstance(value, str):
            raise _WrongField(name)
        return value

    def count(self, name: str) -> int:
        return _count(name, self._value.get(name))

    def counts(self, name: str) -> tuple[int, ...]:
        return tuple(_count(name, item) for item in self._list(name))

    def digest(self, name: str) -> Digest:
        try:
            return Digest.parse(self.text(name))
        except ValueError:
            raise _WrongField(name) from None

    def flag(self, name: str) -> bool:
        value = self._value.get(name)
        if not isinstance(value, bool):
            raise _WrongField(name)
        return value

    def nested(self, name: str) -> _Object:
        return _Object(self._value.get(name))

    def nested_list(self, name: str) -> list[_Object]:
        return [_Object(item) for item in self._list(name)]

    def _list(self, name: str) -> list[object]:
        value = self._value.get(name)
        if not isinstance(value, list):
            raise _WrongField(name)
        return value


_FIELDS: Final = (
    *("after", "columns", "declaration", "epoch", "file", "format", "group_rows", "intent", "kind", "linkage_check"),
    *("owner", "room", "table", "upload"),
)


def _manifest(fields: _Object) -> Manifest:
    fields.only(_FIELDS)
    if fields.text("format") != FORMAT:
        raise _WrongField("format")
    if _HASH.fullmatch(fields.text("linkage_check")) is None:
        raise _WrongField("linkage_check")
    file = fields.nested("file")
    file.only(("bytes", "digest", "footer_bytes", "footer_digest"))
    try:
        return Manifest(
            room=RoomId(fields.text("room")),
            table=TableName.parse(f"{fields.text('owner')}.{fields.text('table')}"),
            upload=UploadId(fields.text("upload")),
            epoch=Epoch(fields.text("epoch")),
            kind=_token_kind(fields.text("kind")),
            declaration=fields.digest("declaration"),
            columns=tuple(_column(column) for column in fields.nested_list("columns")),
            group_rows=fields.counts("group_rows"),
            file=TableFileFacts(
                file.count("bytes"), file.digest("digest"), file.count("footer_bytes"), file.digest("footer_digest")
            ),
            linkage_check=bytes.fromhex(fields.text("linkage_check")),
            intent=_intent(fields.nested("intent")),
            after=fields.count("after"),
        )
    except InvalidName:
        raise _WrongField("table") from None
    except _WrongField:
        raise
    except ValueError as wrong:
        raise _WrongField(*wrong.args) from None


def _intent_fields(intent: Act) -> dict[str, object]:
    match intent:
        case Correct(upload=replaced):
            return {"act": act(intent), "upload": replaced}
        case Erase(upload=made_from, request=request):
            return {"act": act(intent), "upload": made_from, "request": request}
        case _:
            return {"act": act(intent)}


_INTENT_FIELDS: Final = {"correct": ("act", "upload"), "erase": ("act", "request", "upload")}


def _intent(fields: _Object) -> Act:
    named = fields.text("act")
    fields.only(_INTENT_FIELDS.get(named, ("act",)))
    match named:
        case "append":
            return Append()
        case "replace":
            return Replace()
        case "correct":
            return Correct(UploadId(fields.text("upload")))
        case "erase":
            return Erase(UploadId(fields.text("upload")), fields.text("request"))
    raise _WrongField("intent")


def _token_kind(text: str) -> TokenKind:
    try:
        return parse_token_kind(text)
    except InvalidName:
        raise _WrongField("kind") from None


def _column(fields: _Object) -> StoredColumn:
    fields.only(("name", "nullable", "storage"))
    if fields.text("storage") not in set(StorageType):
        raise _WrongField("columns")
    try:
        return StoredColumn(
            identifier(fields.text("name")), StorageType(fields.text("storage")), fields.flag("nullable")
        )
    except InvalidName:
        raise _WrongField("columns") from None


def _count(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _WrongField(name)
    return value


def _no_constant(text: str) -> object:
    raise ValueError(text)


def _canonical(value: dict[str, object]) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")).encode()


def _invalid(where: str) -> InvalidUpload:
    return InvalidUpload(
        Bilingual(f"manifeste du dépôt invalide : {where}", f"invalid manifest of the upload: {where}"),
        code="invalid_manifest",
    )
