"""A backup's file: a tar archive with one reading, every byte of it accounted for.

First `backup.json`, which names every other file with its size and digest, then `backup.mac`, its HMAC under a key that
the room's root key opens, then the files in the order named, then tar's end. A header is what `tarfile` writes for that
name and size and nothing else, padding is zero, and nothing follows the end: an archive that differs from the one
written in a single byte is refused, and so is a shorter or longer one. Any tar reads it, if it must be by hand.
"""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cleanroom.errors import Bilingual, NotVerified
from cleanroom.identifiers import Digest
from cleanroom.partition.package import open_new

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import BinaryIO

FORMAT: Final = "cleanroom/backup/v1"
_INDEX: Final = "backup.json"
_MAC: Final = "backup.mac"
_LARGEST_INDEX: Final = 1 << 26
_CHUNK_BYTES: Final = 1 << 20
_END: Final = bytes(2 * tarfile.BLOCKSIZE)
_NAME: Final = re.compile(
    r"room\.(?:db|yaml)|log\.vkey|partitions(?:/[a-z][a-z0-9_]*){2}/[0-9a-f]{32}\.parquet", re.ASCII
)
"""What may be in a backup: no name of it leaves the directory that it is read into."""

_ROOM: Final = re.compile(r"r-[0-9a-f]{16}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ArchivedFile:
    """A file of a backup.

    Args:
        name: where it lies in the room, with slashes.
        size: in bytes.
    """

    name: str
    size: int
    digest: Digest


@dataclass(frozen=True, slots=True)
class Index:
    """What a backup says of itself.

    Args:
        room: the room's id.
        made_at: Unix time in seconds, the operator's word.
        files: in the order in which they follow.
    """

    room: str
    made_at: int
    files: tuple[ArchivedFile, ...]

    def encode(self) -> bytes:
        """Write it as canonical JSON."""
        files = [[each.name, each.size, str(each.digest)] for each in self.files]
        document = {"files": files, "format": FORMAT, "made_at": self.made_at, "room": self.room}
        return (json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True) + "\n").encode("ascii")

    @classmethod
    def parse(cls, encoded: bytes) -> Index:
        """Read it in its only spelling, else raise `NotVerified`."""
        try:
            document = json.loads(encoded)
            files = tuple(ArchivedFile(name, size, Digest.parse(digest)) for name, size, digest in document["files"])
            found = cls(document["room"], document["made_at"], files)
            if found.encode() != encoded or len({each.name for each in files}) != len(files):
                raise ValueError
            if _ROOM.fullmatch(found.room) is None or type(found.made_at) is not int or found.made_at < 0:
                raise ValueError
            if any(type(each.size) is not int or each.size < 0 or not _NAME.fullmatch(each.name) for each in files):
                raise ValueError
        except (ValueError, KeyError, TypeError, RecursionError):
            raise damaged(_INDEX) from None
        return found


def measured(root: Path, names: Sequence[str]) -> tuple[ArchivedFile, ...]:
    """Return size and digest of files under a directory."""
    found = []
    for name in names:
        digest, size = hashlib.sha256(), 0
        with (root / name).open("rb") as source:
            for chunk in _chunks(source):
                digest.update(chunk)
                size += len(chunk)
        found.append(ArchivedFile(name, size, Digest(digest.digest())))
    return tuple(found)


def write_head(target: BinaryIO, index: Index, mac: bytes) -> None:
    """Begin an archive."""
    encoded = index.encode()
    for name, content in ((_INDEX, encoded), (_MAC, mac)):
        target.write(_header(name, len(content)) + content + _padding(len(content)))


def write_file(target: BinaryIO, source: Path, file: ArchivedFile) -> None:
    """Append a file, else raise `NotVerified` if it is not what was measured any more."""
    target.write(_header(file.name, file.size))
    digest, size = hashlib.sha256(), 0
    with source.open("rb") as opened:
        for chunk in _chunks(opened):
            digest.update(chunk)
            size += len(chunk)
            target.write(chunk)
    if (size, digest.digest()) != (file.size, file.digest.value):
        raise damaged(file.name)
    target.write(_padding(size))


def write_end(target: BinaryIO) -> None:
    """End an archive."""
    target.write(_END)


def read_head(source: BinaryIO) -> tuple[Index, bytes]:
    """Read what a backup says of itself, and its MAC, which is not checked here.

    Raises:
        NotVerified: it is no backup, or damaged.
    """
    first = _exactly(source, tarfile.BLOCKSIZE, _INDEX)
    try:
        size = tarfile.TarInfo.frombuf(first, "ascii", "strict").size
    except (tarfile.HeaderError, UnicodeDecodeError):
        raise NotVerified(
            Bilingual("ce fichier n'est pas une sauvegarde de salle", "this file is no backup of a room"),
            code="backup_damaged",
        ) from None
    if size > _LARGEST_INDEX or first != _header(_INDEX, size):
        raise damaged(_INDEX)
    encoded = _exactly(source, size, _INDEX)
    _expect(source, _padding(size), _INDEX)
    _expect(source, _header(_MAC, 32), _MAC)
    mac = _exactly(source, 32, _MAC)
    _expect(source, _padding(32), _MAC)
    return Index.parse(encoded), mac


def read_files(source: BinaryIO, index: Index, root: Path) -> None:
    """Write the files of an archive under a directory, each checked, and nothing else.

    Raises:
        NotVerified: a file, a header or the end is not what the index says.
    """
    for file in index.files:
        _expect(source, _header(file.name, file.size), file.name)
        path = root / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        digest, left = hashlib.sha256(), file.size
        with open_new(path) as target:
            while left:
                chunk = _exactly(source, min(left, _CHUNK_BYTES), file.name)
                digest.update(chunk)
                target.write(chunk)
                left -= len(chunk)
        if digest.digest() != file.digest.value:
            raise damaged(file.name)
        _expect(source, _padding(file.size), file.name)
    _expect(source, _END, "")
    if source.read(1):
        raise damaged("")


def damaged(name: str) -> NotVerified:
    """Say that a backup is not what was written, and where."""
    return NotVerified(
        Bilingual(
            f"la sauvegarde est tronquée ou altérée{f', à {name}' if name else ', à la fin'}",
            f"the backup is cut short or altered{f', at {name}' if name else ', at its end'}",
        ),
        code="backup_damaged",
    )


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o600
    return info.tobuf(tarfile.PAX_FORMAT, "ascii", "strict")


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)


def _chunks(source: BinaryIO) -> Iterator[bytes]:
    while chunk := source.read(_CHUNK_BYTES):
        yield chunk


def _exactly(source: BinaryIO, size: int, name: str) -> bytes:
    content = source.read(size)
    if len(content) != size:
        raise damaged(name)
    return content


def _expect(source: BinaryIO, content: bytes, name: str) -> None:
    if _exactly(source, len(content), name) != content:
        raise damaged(name)
