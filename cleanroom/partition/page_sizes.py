"""Read the sizes that an encrypted Parquet file's pages unpack to, without unpacking any (Parquet format §Page header).

A page says in its own header how large it becomes, and a reader makes room for that before it decompresses: a few
bytes signed by a hostile member could ask for gigabytes. Headers are encrypted modules (Parquet Modular Encryption
§4.4, §5.1: length, nonce, ciphertext, tag; authenticated with prefix, file, kind of module, row group, column, page).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from key_management.secret import SecretKey

_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_LARGEST_HEADER: Final = 1 << 14
_LENGTH: Final = struct.Struct("<I")
_DEEPEST: Final = 8


class MalformedPage(ValueError):
    """A page header, or the description of the encryption, is not as the format says."""


class _Module(IntEnum):
    DATA_HEADER = 4
    DICTIONARY_HEADER = 5


@dataclass(frozen=True, slots=True)
class Chunk:
    """Where a column's pages of one row group lie.

    Args:
        row_group: its ordinal among the file's row groups.
        column: the column's ordinal.
        start: byte of the first page header.
        size: bytes of all the pages, headers included.
        dictionary: whether the first page is a dictionary.
    """

    row_group: int
    column: int
    start: int
    size: int
    dictionary: bool


class PageSizes:
    """Reads page headers of one file.

    Args:
        footer: the file's end, from the description of the encryption on.
        aad: the prefix that every module is authenticated with.
    """

    def __init__(self, source: BinaryIO, data_key: SecretKey, aad: bytes, footer: bytes) -> None:
        self._source = source
        self._cipher = AESGCM(data_key.reveal_secret_bytes())
        self._aad = aad + _file_unique(footer)

    def of(self, chunk: Chunk) -> Iterator[int]:
        """Yield what each page of a column chunk unpacks to, in bytes.

        Raises:
            MalformedPage: a header does not decrypt, is of another form, or leads out of the chunk.
        """
        at, end = chunk.start, chunk.start + chunk.size
        page = -1 if chunk.dictionary else 0
        while at < end:
            self._source.seek(at)
            (length,) = _LENGTH.unpack(_exactly(self._source.read(4), 4))
            if not _NONCE_BYTES + _TAG_BYTES < length <= _LARGEST_HEADER:
                raise MalformedPage("header")
            fields = _struct(self._opened(_exactly(self._source.read(length), length), chunk, page))
            unpacked, packed = fields.get(2), fields.get(3)
            if not isinstance(unpacked, int) or not isinstance(packed, int) or unpacked < 0 or packed <= 0:
                raise MalformedPage("sizes")
            yield unpacked
            at += 4 + length + packed
            page += 1
        if at != end:
            raise MalformedPage("chunk")

    def _opened(self, module: bytes, chunk: Chunk, page: int) -> bytes:
        kind = _Module.DICTIONARY_HEADER if page < 0 else _Module.DATA_HEADER
        place = struct.pack("<bhh", kind, chunk.row_group, chunk.column) + (
            b"" if page < 0 else struct.pack("<h", page)
        )
        try:
            return self._cipher.decrypt(module[:_NONCE_BYTES], module[_NONCE_BYTES:], self._aad + place)
        except InvalidTag:
            raise MalformedPage("module") from None


def _file_unique(footer: bytes) -> bytes:
    """Return what tells this file's modules from another's: FileCryptoMetaData.encryption_algorithm.aad_file_unique."""
    algorithm = _struct(footer).get(1)
    gcm = algorithm.get(1) if isinstance(algorithm, dict) else None
    unique = gcm.get(2) if isinstance(gcm, dict) else None
    if not isinstance(unique, bytes):
        raise MalformedPage("encryption")
    return unique


def _exactly(content: bytes, size: int) -> bytes:
    if len(content) != size:
        raise MalformedPage("end of file")
    return content


_Value = int | bytes | bool | dict[int, "_Value"] | None


def _struct(content: bytes) -> dict[int, _Value]:
    """Read the fields of a struct in Thrift's compact protocol, as far as numbers, bytes, flags and structs go."""
    try:
        return _Compact(content).fields(0)
    except (IndexError, OverflowError):
        raise MalformedPage("thrift") from None


class _Compact:
    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def fields(self, depth: int) -> dict[int, _Value]:
        if depth > _DEEPEST:
            raise MalformedPage("depth")
        found: dict[int, _Value] = {}
        number = 0
        while (head := self._byte()) != 0:
            step, kind = head >> 4, head & 15
            number = number + step if step else self._zigzag()
            found[number] = self._value(kind, depth)
        return found

    def _value(self, kind: int, depth: int) -> _Value:
        match kind:
            case 1 | 2:
                return kind == 1
            case 3:
                return self._byte()
            case 4 | 5 | 6:
                return self._zigzag()
            case 8:
                size = self._varint()
                return self._bytes(size)
            case 12:
                return self.fields(depth + 1)
        raise MalformedPage("type")

    def _byte(self) -> int:
        self._at += 1
        return self._content[self._at - 1]

    def _bytes(self, size: int) -> bytes:
        self._at += size
        return _exactly(self._content[self._at - size : self._at], size)

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7
            if shift > 63:
                raise MalformedPage("varint")

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
