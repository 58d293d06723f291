"""A CSV file's text: found out how it is packed and encoded, and given out as UTF-8, a piece at a time.

Nothing unpacked or recoded is written to disk or held whole: the file is read once to be checked, once to be used.
"""

from __future__ import annotations

import gzip
import io
import re
import zlib
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, cast

import pyarrow as pa

from cleanroom.client.encoding import Encoding, Recoded, checked_encoding, encoding_of
from cleanroom.client.packing import PIECE, Packing, damaged, unpacked, unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import BinaryIO

__all__ = ["CsvText", "Encoding", "OpenText", "Packing", "find_text", "unreadable"]

_WORKBOOKS: Final = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_MARKUP: Final = (b"<html", b"<!doctype html", b"<table", b"<?xml", b"<meta", b"<style")
_START: Final = 64
_SEPARATOR: Final = re.compile(rb'"?sep=([\x01-\x7f])"?(?:\r\n|\r|\n)', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class CsvText:
    """A CSV file whose bytes were found to be text.

    Args:
        separator: what its first line says stands between fields, as Excel writes it (`sep=;`); that line is no row.
        skipped: bytes of that line, in UTF-8.
    """

    path: Path
    packing: Packing
    encoding: Encoding
    separator: str | None = None
    skipped: int = 0

    @property
    def as_it_is(self) -> bool:
        """Tell whether the file's own bytes are what `open` would give."""
        return self.packing is Packing.NONE and self.encoding is Encoding.UTF_8

    def open(self) -> BinaryIO:
        """Open the text as UTF-8, without byte order mark and without a first line that names the separator."""
        return self._from_header(self._recoded(unpacked(self.path, self.packing)))

    @contextmanager
    def opened(self) -> Iterator[OpenText]:
        """Open the text as `open` does, for a reader that says how far it is."""
        with pa.OSFile(str(self.path)) if self.as_it_is else self.path.open("rb") as file:
            # Arrow reads a plain file faster than through Python.
            stream = file if self.as_it_is else self._recoded(unpacked(self.path, self.packing, file))
            with stream:
                yield OpenText(self, self._from_header(stream), file.tell)

    def _from_header(self, octets: BinaryIO) -> BinaryIO:
        if self.skipped:
            octets.read(self.skipped)
        return octets

    def _recoded(self, octets: BinaryIO) -> BinaryIO:
        if self.encoding is Encoding.UTF_8:
            return octets
        return cast("BinaryIO", io.BufferedReader(Recoded(octets, self.encoding), PIECE))


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
            "c'est un classeur ou une archive ; enregistrez la feuille en « CSV UTF-8 »",
            "this is a workbook or an archive; save the sheet as “CSV UTF-8”",
        )
    packing = next((each for each in (Packing.GZIP, Packing.ZSTD) if start.startswith(each.value)), Packing.NONE)
    try:
        encoding = encoding_of(path, packing) if given is None else checked_encoding(path, packing, given)
        text = CsvText(path, packing, encoding)
        with text.open() as octets:
            return _as_text(text, octets.read(_START))
    except (EOFError, zlib.error, gzip.BadGzipFile, pa.ArrowException):
        raise damaged(path) from None
    except OSError:
        if packing is Packing.NONE:
            raise
        raise damaged(path) from None


def _as_text(text: CsvText, start: bytes) -> CsvText:
    if start.lstrip().lower().startswith(_MARKUP):
        raise unreadable(
            text.path.name,
            "c'est une page web ou du XML, que des logiciels nomment .xls ; ouvrez-le dans Excel, enregistrez en .xlsx",
            "this is a web page or XML, which some software calls .xls; open it in Excel, save as .xlsx",
        )
    line = _SEPARATOR.match(start)
    return text if line is None else replace(text, separator=line[1].decode(), skipped=line.end())
