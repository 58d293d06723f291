"""Unpack compressed files a piece at a time, within bounds."""

from __future__ import annotations

import gzip
import io
from abc import abstractmethod
from enum import Enum
from typing import TYPE_CHECKING, Final, cast

import pyarrow as pa

from cleanroom.errors import Bilingual, InvalidUpload

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

LARGEST_UNPACKED: Final = 8 << 30
"""Bytes that a compressed file may unpack to; more is taken for a mistake, or a bomb."""

PIECE: Final = 4 << 20
"""Bytes looked at a time."""


class Packing(Enum):
    """How a file is compressed; the value is what it begins with."""

    NONE = b""
    GZIP = b"\x1f\x8b"
    ZSTD = b"\x28\xb5\x2f\xfd"


def unreadable(name: str | None, fr: str, en: str) -> InvalidUpload:
    """Return the error of a source that cannot be read, with its name."""
    said = Bilingual(fr, en) if name is None else Bilingual(f"{name} : {fr}", f"{name}: {en}")
    return InvalidUpload(said, code="unreadable_source")


def damaged(path: Path) -> InvalidUpload:
    """Return the error of a compressed file that cannot be unpacked."""
    return unreadable(
        path.name,
        "fichier compressé endommagé ou incomplet ; copiez-le ou compressez-le de nouveau",
        "compressed file damaged or incomplete; copy or compress it again",
    )


def unpacked(path: Path, packing: Packing, file: BinaryIO | None = None) -> BinaryIO:
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
    return cast("BinaryIO", io.BufferedReader(_Limited(packed, path.name), PIECE))


class Pieces(io.RawIOBase):
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


class _Limited(Pieces):
    """What a compressed file unpacks to, up to the limit."""

    def __init__(self, inner: BinaryIO, name: str) -> None:
        super().__init__(inner)
        self._name = name

    def _pieces(self) -> Iterator[bytes]:
        total = 0
        while piece := self._inner.read(PIECE):
            total += len(piece)
            if total > LARGEST_UNPACKED:
                gib = LARGEST_UNPACKED / (1 << 30)
                raise unreadable(
                    self._name,
                    f"le fichier décompressé dépasse {gib:g} Gio ; déposez-le décompressé, ou en plusieurs fichiers",
                    f"the file unpacks to more than {gib:g} GiB; upload it unpacked, or as several files",
                )
            yield piece
