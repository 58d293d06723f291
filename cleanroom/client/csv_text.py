"""Find out how a CSV file's bytes are packed and encoded, and give them out as UTF-8, a piece at a time.

Nothing unpacked or recoded is written to disk or held whole: the file is read once to be checked, once to be used.
"""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from abc import abstractmethod
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final, cast

import pyarrow as pa

from cleanroom.errors import Bilingual, InvalidUpload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import BinaryIO

LARGEST_UNPACKED: Final = 8 << 30
"""Bytes that a compressed file may unpack to; more is taken for a mistake, or a bomb."""

_PIECE: Final = 4 << 20
_WORKBOOKS: Final = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")


class Encoding(Enum):
    """How bytes stand for characters; the value is Python's name for the codec."""

    UTF_8 = "utf-8"
    UTF_8_MARK = "utf-8-sig"
    UTF_16 = "utf-16"
    WINDOWS_1252 = "cp1252"

    @property
    def shown(self) -> Bilingual:
        """Say it in both languages."""
        match self:
            case Encoding.UTF_8:
                return Bilingual("UTF-8", "UTF-8")
            case Encoding.UTF_8_MARK:
                return Bilingual("UTF-8 (avec BOM)", "UTF-8 (with BOM)")
            case Encoding.UTF_16:
                return Bilingual("UTF-16", "UTF-16")
            case Encoding.WINDOWS_1252:
                return Bilingual("Windows-1252", "Windows-1252")


class Packing(Enum):
    """How a file is compressed; the value is what it begins with."""

    NONE = b""
    GZIP = b"\x1f\x8b"
    ZSTD = b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True, slots=True)
class CsvText:
    """A CSV file whose bytes were found to be text."""

    path: Path
    packing: Packing
    encoding: Encoding

    @property
    def as_it_is(self) -> bool:
        """Tell whether the file's own bytes are what `open` would give."""
        return self.packing is Packing.NONE and self.encoding is Encoding.UTF_8

    def open(self) -> BinaryIO:
        """Open the text as UTF-8, without byte order mark."""
        return self._recoded(_unpacked(self.path, self.packing))

    @contextmanager
    def opened(self) -> Iterator[OpenText]:
        """Open the text as UTF-8, without byte order mark, for a reader that says how far it is."""
        with pa.OSFile(str(self.path)) if self.as_it_is else self.path.open("rb") as file:
            # Arrow reads a plain file faster than through Python.
            stream = file if self.as_it_is else self._recoded(_unpacked(self.path, self.packing, file))
            with stream:
                yield OpenText(self, stream, file.tell)

    def _recoded(self, octets: BinaryIO) -> BinaryIO:
        if self.encoding is Encoding.UTF_8:
            return octets
        return cast("BinaryIO", io.BufferedReader(_Recoded(octets, self.encoding), _PIECE))


@dataclass(frozen=True, slots=True)
class OpenText:
    """The open text of a file.

    Args:
        stream: its bytes in UTF-8; Arrow's own file where they are the file's.
        place: how many bytes of the file were read so far, packed as they are.
    """

    text: CsvText
    stream: BinaryIO | pa.NativeFile
    place: Callable[[], int]


def find_text(path: Path, given: Encoding | None = None) -> CsvText:
    """Find out how a file is packed and encoded; every byte is looked at.

    Args:
        given: the encoding, if the file's owner says it; it is then checked, not found out.

    Raises:
        InvalidUpload: it is not text in an encoding that is known, or cannot be unpacked.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(8)
    if start.startswith(_WORKBOOKS):
        raise unreadable(
            path.name,
            "c'est un classeur ou une archive, pas un CSV ; enregistrez la feuille en « CSV UTF-8 »",
            "this is a workbook or an archive, no CSV; save the sheet as “CSV UTF-8”",
        )
    packing = next((each for each in (Packing.GZIP, Packing.ZSTD) if start.startswith(each.value)), Packing.NONE)
    try:
        return CsvText(path, packing, _encoding(path, packing) if given is None else _checked(path, packing, given))
    except (EOFError, zlib.error, gzip.BadGzipFile, pa.ArrowException):
        raise _damaged(path) from None
    except OSError:
        if packing is Packing.NONE:
            raise
        raise _damaged(path) from None


def unreadable(name: str | None, fr: str, en: str) -> InvalidUpload:
    """Return the error of a source that cannot be read, with its name."""
    said = Bilingual(fr, en) if name is None else Bilingual(f"{name} : {fr}", f"{name}: {en}")
    return InvalidUpload(said, code="unreadable_source")


def _encoding(path: Path, packing: Packing) -> Encoding:
    with _unpacked(path, packing) as octets:
        start = octets.read(3)
    if start.startswith(codecs.BOM_UTF8):
        marked = Encoding.UTF_8_MARK
    elif start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        marked = Encoding.UTF_16
    else:
        wrong = _first_wrong(path, packing, Encoding.UTF_8)
        if wrong is None:
            return Encoding.UTF_8
        if not wrong.ascii_before:
            # Accents in UTF-8 before it: read as Windows-1252 they would silently become other letters.
            raise _no_text(path, packing, wrong, "UTF-8, que le début du fichier est", "UTF-8, as the file begins")
        wrong = _first_wrong(path, packing, Encoding.WINDOWS_1252)
        if wrong is not None:
            raise _no_text(path, packing, wrong, "UTF-8 ni Windows-1252", "UTF-8 or Windows-1252")
        return Encoding.WINDOWS_1252
    wrong = _first_wrong(path, packing, marked)
    if wrong is not None:
        name = marked.shown
        raise _no_text(
            path, packing, wrong, f"{name.fr}, que le fichier annonce", f"{name.en}, which the file says it is"
        )
    return marked


def _checked(path: Path, packing: Packing, given: Encoding) -> Encoding:
    with _unpacked(path, packing) as octets:
        start = octets.read(3)
    if given in {Encoding.UTF_8, Encoding.UTF_8_MARK}:
        # With its mark or without, it is the same encoding to whoever says "UTF-8".
        given = Encoding.UTF_8_MARK if start.startswith(codecs.BOM_UTF8) else Encoding.UTF_8
    if given is Encoding.UTF_16 and not start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise unreadable(
            path.name,
            "un fichier UTF-16 commence par sa marque d'ordre (BOM) ; il n'y en a pas",
            "a UTF-16 file begins with its byte order mark; there is none",
        )
    wrong = _first_wrong(path, packing, given)
    if wrong is not None:
        name = given.shown
        raise _no_text(path, packing, wrong, f"{name.fr}, l'encodage indiqué", f"{name.en}, the encoding given")
    return given


@dataclass(frozen=True, slots=True)
class _Wrong:
    """The first byte that an encoding does not have, and whether all before it is ASCII."""

    offset: int
    octet: int
    line: int
    ascii_before: bool


def _first_wrong(path: Path, packing: Packing, encoding: Encoding) -> _Wrong | None:
    """Look at every byte; a zero character is in no text either (nor is UTF-16 without its mark anything else)."""
    if encoding not in {Encoding.UTF_8, Encoding.UTF_8_MARK}:
        with _unpacked(path, packing) as octets:
            return _first_wrong_decoded(octets, encoding)
    with _unpacked(path, packing) as octets:
        offset = _first_not_utf8(octets)
    if offset is None:
        return None
    lines, ascii_before = 1, True
    with _unpacked(path, packing) as octets:
        left = offset
        while left:
            piece = octets.read(min(_PIECE, left))
            left -= len(piece)
            if not piece:
                break
            lines += piece.count(b"\n")
            ascii_before = ascii_before and piece.isascii()
        wrong = octets.read(1)
    return _Wrong(offset, wrong[0] if wrong else 0, lines, ascii_before)


def _first_not_utf8(octets: BinaryIO) -> int | None:
    """Check by Arrow, which is ten times faster than to decode; only a piece that is wrong is decoded."""
    offset = 0
    held = b""
    while True:
        read = octets.read(_PIECE)
        piece = held + read if held else read
        cut = _whole_characters(piece) if read else len(piece)
        held, piece = piece[cut:], piece[:cut]
        if not _is_utf8(piece) or 0 in piece:
            return offset + _bad_place(piece)
        if not read:
            return None
        offset += len(piece)


def _first_wrong_decoded(octets: BinaryIO, encoding: Encoding) -> _Wrong | None:
    decoder = codecs.getincrementaldecoder(encoding.value)()
    offset, lines = 0, 0
    while True:
        piece = octets.read(_PIECE)
        pending = len(decoder.getstate()[0])
        try:
            text = decoder.decode(piece, final=not piece)
        except UnicodeDecodeError as error:
            place = offset - pending + error.start
            before = error.object[: error.start].decode(_without_mark(encoding, error.object), "ignore")
            return _Wrong(place, error.object[error.start], lines + before.count("\n") + 1, ascii_before=False)
        zero = text.find("\0")
        if zero >= 0:
            before = text[:zero]
            place = offset - pending + len(before.encode(_without_mark(encoding, piece)))
            return _Wrong(place, 0, lines + before.count("\n") + 1, ascii_before=False)
        if not piece:
            return None
        offset += len(piece)
        lines += text.count("\n")


def _without_mark(encoding: Encoding, octets: bytes) -> str:
    match encoding:
        case Encoding.UTF_16:
            return "utf-16-be" if octets.startswith(codecs.BOM_UTF16_BE) else "utf-16-le"
        case Encoding.UTF_8 | Encoding.UTF_8_MARK | Encoding.WINDOWS_1252:
            return str(encoding.value)


def _whole_characters(piece: bytes) -> int:
    """Return where the last character begins that the piece may hold only a part of."""
    for back in range(1, min(4, len(piece)) + 1):
        octet = piece[-back]
        if octet < 0x80:
            return len(piece)
        if octet >= 0xC0:
            return len(piece) - back
    return len(piece)


def _is_utf8(piece: bytes) -> bool:
    ends = pa.py_buffer((0).to_bytes(8, "little") + len(piece).to_bytes(8, "little"))
    whole = pa.Array.from_buffers(pa.large_binary(), 1, [None, ends, pa.py_buffer(piece)])
    try:
        whole.cast(pa.large_utf8())
    except pa.ArrowInvalid:
        return False
    return True


def _bad_place(piece: bytes) -> int:
    zero = piece.find(0)
    try:
        piece.decode()
    except UnicodeDecodeError as error:
        return error.start if zero < 0 else min(zero, error.start)
    return zero


def _no_text(path: Path, packing: Packing, wrong: _Wrong, fr: str, en: str) -> InvalidUpload:
    unpacked = Bilingual("", "") if packing is Packing.NONE else Bilingual(" décompressé", " unpacked")
    return unreadable(
        path.name,
        f"ligne {wrong.line}, octet {wrong.offset}{unpacked.fr} : 0x{wrong.octet:02X} n'est pas du texte {fr}",
        f"line {wrong.line}, byte {wrong.offset}{unpacked.en}: 0x{wrong.octet:02X} is no text in {en}",
    )


def _damaged(path: Path) -> InvalidUpload:
    return unreadable(path.name, "fichier compressé endommagé ou incomplet", "compressed file damaged or incomplete")


def _unpacked(path: Path, packing: Packing, file: BinaryIO | None = None) -> BinaryIO:
    """Open what a file unpacks to.

    Args:
        file: the open file, for whoever wants to know how far it was read.
    """
    match packing:
        case Packing.NONE:
            return path.open("rb") if file is None else file
        case Packing.GZIP:
            packed: BinaryIO = cast("BinaryIO", gzip.open(path if file is None else file))  # noqa: SIM115
        case Packing.ZSTD:
            source = pa.OSFile(str(path)) if file is None else pa.PythonFile(file)
            packed = cast("BinaryIO", pa.CompressedInputStream(source, "zstd"))
    return cast("BinaryIO", io.BufferedReader(_Limited(packed, path.name), _PIECE))


class _Pieces(io.RawIOBase):
    """A stream that hands out pieces made from another's."""

    def __init__(self, inner: BinaryIO) -> None:
        self._inner = inner
        self._made = self._pieces()
        self._rest = memoryview(b"")

    @abstractmethod
    def _pieces(self) -> Iterator[bytes]:
        """Yield the pieces, in order."""

    def readable(self) -> bool:
        return True

    def readinto(self, into: memoryview) -> int:  # type: ignore[override]
        while not self._rest:
            piece = next(self._made, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        size = min(len(into), len(self._rest))
        into[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size

    def close(self) -> None:
        if not self.closed:
            self._inner.close()
        super().close()


class _Limited(_Pieces):
    """What a compressed file unpacks to, up to the limit."""

    def __init__(self, inner: BinaryIO, name: str) -> None:
        super().__init__(inner)
        self._name = name

    def _pieces(self) -> Iterator[bytes]:
        total = 0
        while piece := self._inner.read(_PIECE):
            total += len(piece)
            if total > LARGEST_UNPACKED:
                gib = LARGEST_UNPACKED / (1 << 30)
                raise unreadable(
                    self._name,
                    f"le fichier décompressé dépasse {gib:g} Gio ; déposez-le décompressé, ou en plusieurs fichiers",
                    f"the file unpacks to more than {gib:g} GiB; upload it unpacked, or as several files",
                )
            yield piece


class _Recoded(_Pieces):
    """Text of another encoding, as UTF-8."""

    def __init__(self, inner: BinaryIO, encoding: Encoding) -> None:
        super().__init__(inner)
        self._decoder = codecs.getincrementaldecoder(encoding.value)()

    def _pieces(self) -> Iterator[bytes]:
        while piece := self._inner.read(_PIECE):
            yield self._decoder.decode(piece).encode()
        yield self._decoder.decode(b"", final=True).encode()
