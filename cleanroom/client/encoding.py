"""Find out how a file's bytes stand for characters, looking at every one of them."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from cleanroom.client.packing import PIECE, Packing, Pieces, unpacked, unreadable
from cleanroom.errors import Bilingual

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from cleanroom.errors import InvalidUpload

_OLD_MACINTOSH: Final = frozenset({0x81, 0x8D, 0x8F, 0x90, 0x9D})
"""What Windows-1252 does not have: an old Macintosh's ç, è and ê among them."""


class Encoding(Enum):
    """How bytes stand for characters; the value is Python's name for the codec.

    The last three have a letter for every byte: nothing tells them from Windows-1252 but their owner.
    """

    UTF_8 = "utf-8"
    UTF_8_MARK = "utf-8-sig"
    UTF_16 = "utf-16"
    WINDOWS_1252 = "cp1252"
    LATIN_9 = "iso8859-15"
    MAC_ROMAN = "mac_roman"
    DOS_850 = "cp850"

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
            case Encoding.LATIN_9:
                return Bilingual("Latin-9", "Latin-9")
            case Encoding.MAC_ROMAN:
                return Bilingual("Macintosh", "Macintosh")
            case Encoding.DOS_850:
                return Bilingual("DOS (CP850)", "DOS (CP850)")


def encoding_of(path: Path, packing: Packing) -> Encoding:
    """Find out a file's encoding.

    Raises:
        InvalidUpload: it is not text in an encoding that can be found out.
    """
    with unpacked(path, packing) as octets:
        start = octets.read(3)
    if start.startswith(codecs.BOM_UTF8):
        marked = Encoding.UTF_8_MARK
    elif start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        marked = Encoding.UTF_16
    else:
        wrong = _first_wrong(path, packing, Encoding.UTF_8)
        if wrong is None:
            return Encoding.UTF_8
        if not wrong.octet:
            raise _no_text(
                path,
                packing,
                wrong,
                "UTF-8 ni autre (un octet nul n'est dans aucun texte) ; exportez en « CSV UTF-8 »",
                "UTF-8 or any other (no text has a null byte); export as “CSV UTF-8”",
            )
        if not wrong.ascii_before:
            # Accents in UTF-8 before it: read as Windows-1252 they would silently become other letters.
            raise _no_text(
                path,
                packing,
                wrong,
                "UTF-8, que le début du fichier est ; deux fichiers mis bout à bout ? exportez en « CSV UTF-8 »",
                "UTF-8, as the file begins; two files put together? export as “CSV UTF-8”",
            )
        wrong = _first_wrong(path, packing, Encoding.WINDOWS_1252)
        if wrong is not None:
            more = _elsewhere(wrong)
            raise _no_text(
                path, packing, wrong, f"UTF-8 ni Windows-1252 ; {more.fr}", f"UTF-8 or Windows-1252; {more.en}"
            )
        return Encoding.WINDOWS_1252
    wrong = _first_wrong(path, packing, marked)
    if wrong is not None:
        name = marked.shown
        raise _no_text(
            path, packing, wrong, f"{name.fr}, que le fichier annonce", f"{name.en}, which the file says it is"
        )
    return marked


def _elsewhere(wrong: _Wrong) -> Bilingual:
    if wrong.octet in _OLD_MACINTOSH:
        return Bilingual("d'un vieux Mac ? --encoding macintosh", "from an old Mac? --encoding macintosh")
    return Bilingual("enregistrez en « CSV UTF-8 »", "save as “CSV UTF-8”")


def checked_encoding(path: Path, packing: Packing, given: Encoding) -> Encoding:
    """Hold a file against the encoding that its owner says it has.

    Raises:
        InvalidUpload: it is not text in that encoding.
    """
    with unpacked(path, packing) as octets:
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
        with unpacked(path, packing) as octets:
            return _first_wrong_decoded(octets, encoding)
    with unpacked(path, packing) as octets:
        offset = _first_not_utf8(octets)
    if offset is None:
        return None
    lines, ascii_before = 1, True
    with unpacked(path, packing) as octets:
        left = offset
        while left:
            piece = octets.read(min(PIECE, left))
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
        read = octets.read(PIECE)
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
        piece = octets.read(PIECE)
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
    if encoding is Encoding.UTF_16:
        return "utf-16-be" if octets.startswith(codecs.BOM_UTF16_BE) else "utf-16-le"
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


class Recoded(Pieces):
    """Text of another encoding, as UTF-8."""

    def __init__(self, inner: BinaryIO, encoding: Encoding) -> None:
        super().__init__(inner)
        self._decoder = codecs.getincrementaldecoder(encoding.value)()

    def _pieces(self) -> Iterator[bytes]:
        while piece := self._inner.read(PIECE):
            yield self._decoder.decode(piece).encode()
        yield self._decoder.decode(b"", final=True).encode()
