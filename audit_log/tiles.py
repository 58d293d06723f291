"""Tiles and entry bundles: where they lie and how they are written (c2sp.org/tlog-tiles)."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Self

from audit_log.errors import MalformedTile
from audit_log.merkle import HASH_BYTES, node_hash

WIDTH: Final = 256
HEIGHT: Final = 8  # levels of the tree in one tile: 2^8 = 256 hashes
MAX_ENTRY_BYTES: Final = 0xFFFF  # a bundle writes an entry's length as uint16
MAX_LEVEL: Final = 7  # 256^8 = 2^64 leaves
_PATH: Final = re.compile(
    r"tile/(?P<level>entries|[0-9])/(?P<number>(?:x[0-9]{3}/){0,5}[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?",
    re.ASCII,
)


def _number_path(number: int) -> str:
    """Write a tile's number in groups of three digits, all but the last behind an x: 1234067 is x001/x234/067."""
    groups = [f"{number % 1000:03d}"]
    number //= 1000
    while number:
        groups.append(f"x{number % 1000:03d}")
        number //= 1000
    return "/".join(reversed(groups))


@dataclass(frozen=True, slots=True, order=True)
class Tile:
    """Up to 256 neighbouring hashes of one level.

    Attributes:
        level: 0 for hashes of entries; a hash of level L covers 256^L entries.
        number: the tile's place within its level, from 0.
        width: hashes in it, 1 to 256; a tile below 256 is partial.
    """

    level: int
    number: int
    width: int = WIDTH

    def __post_init__(self) -> None:
        if not (0 <= self.level <= MAX_LEVEL and self.number >= 0 and 1 <= self.width <= WIDTH):
            raise MalformedTile(f"no tile of level {self.level}, number {self.number}, width {self.width}")

    def path(self) -> str:
        """Return the tile's path below the log's prefix."""
        return f"tile/{self.level}/{_number_path(self.number)}{_partial(self.width)}"

    def first_entry(self, offset: int = 0) -> int:
        """Return the index of the first entry below the hash at `offset`."""
        return (self.number * WIDTH + offset) << (HEIGHT * self.level)


@dataclass(frozen=True, slots=True)
class Resource:
    """What a path of c2sp.org/tlog-tiles names: a tile, or a bundle of entries.

    Attributes:
        level: of a tile; None for a bundle.
        number: its place within the level, from 0.
        width: hashes or entries in it, 1 to 256.
    """

    level: int | None
    number: int
    width: int

    def path(self) -> str:
        """Return the path below the log's prefix."""
        if self.level is None:
            return bundle_path(self.number, self.width)
        return Tile(self.level, self.number, self.width).path()

    @property
    def first(self) -> int:
        """The first entry that it covers."""
        return (self.number * WIDTH) << (HEIGHT * (self.level or 0))

    @property
    def end(self) -> int:
        """One past the last entry that it would cover if it were full."""
        return ((self.number + 1) * WIDTH) << (HEIGHT * (self.level or 0))

    @classmethod
    def parse(cls, path: str) -> Self:
        """Read a path.

        Raises:
            MalformedTile: any other spelling than the one that `path` writes.
        """
        match = _PATH.fullmatch(path)
        if match is None:
            raise MalformedTile("not the path of a tile or bundle")
        level = None if match["level"] == "entries" else int(match["level"])
        number = int(match["number"].replace("/", "").replace("x", ""))
        resource = cls(level, number, WIDTH if match["width"] is None else int(match["width"]))
        if resource.path() != path:
            raise MalformedTile("not the only spelling of this path")
        return resource


def bundle_path(number: int, width: int = WIDTH) -> str:
    """Return the path of the entries [number * 256, number * 256 + width) below the log's prefix."""
    if number < 0 or not 1 <= width <= WIDTH:
        raise MalformedTile(f"no bundle of number {number}, width {width}")
    return f"tile/entries/{_number_path(number)}{_partial(width)}"


def _partial(width: int) -> str:
    return "" if width == WIDTH else f".p/{width}"


def width_at(level: int, number: int, size: int) -> int:
    """Return how many hashes tile (level, number) has in a log of `size` entries; 0 if there is none."""
    hashes = size >> (HEIGHT * level)
    return max(0, min(WIDTH, hashes - number * WIDTH))


def tiles_of(size: int) -> Iterator[Tile]:
    """Yield every tile that a log of `size` entries has, from level 0 up, in order."""
    for level in range(MAX_LEVEL + 1):
        hashes = size >> (HEIGHT * level)
        if not hashes:
            return
        for number in range((hashes + WIDTH - 1) // WIDTH):
            yield Tile(level, number, min(WIDTH, hashes - number * WIDTH))


def bundles_of(size: int) -> Iterator[tuple[int, int]]:
    """Yield (number, width) of every bundle that a log of `size` entries has, in order."""
    for number in range((size + WIDTH - 1) // WIDTH):
        yield number, min(WIDTH, size - number * WIDTH)


def resources_of(size: int, bundled: int) -> Iterator[tuple[Resource, int]]:
    """Yield every bundle and tile of a log of `size` entries with its length in bytes, bundles first.

    Args:
        size: of the log.
        bundled: length of each entry within a bundle.
    """
    for number, width in bundles_of(size):
        yield Resource(None, number, width), width * bundled
    for tile in tiles_of(size):
        yield Resource(tile.level, tile.number, tile.width), tile.width * HASH_BYTES


def split_hashes(tile: bytes) -> tuple[bytes, ...]:
    """Cut a tile's bytes into its hashes.

    Raises:
        MalformedTile: not 1 to 256 whole hashes.
    """
    if not tile or len(tile) % HASH_BYTES or len(tile) > WIDTH * HASH_BYTES:
        raise MalformedTile(f"{len(tile)} bytes are not 1 to 256 hashes")
    return tuple(tile[at : at + HASH_BYTES] for at in range(0, len(tile), HASH_BYTES))


def complete_root(hashes: Sequence[bytes]) -> bytes:
    """Hash a complete subtree from the hashes of its lowest row; their number is a power of two."""
    if not hashes or len(hashes) & (len(hashes) - 1):
        raise MalformedTile(f"{len(hashes)} hashes do not make a complete subtree")
    row = list(hashes)
    while len(row) > 1:
        row = [node_hash(row[at], row[at + 1]) for at in range(0, len(row), 2)]
    return row[0]


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """Write entries as a bundle: for each, its length as uint16 big-endian and its bytes.

    Raises:
        MalformedTile: no entries, more than 256, or one above 65 535 bytes.
    """
    if not 1 <= len(entries) <= WIDTH:
        raise MalformedTile(f"{len(entries)} entries do not make a bundle")
    if any(len(entry) > MAX_ENTRY_BYTES for entry in entries):
        raise MalformedTile("an entry is above 65535 bytes")
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def parse_bundle(bundle: bytes, width: int) -> tuple[bytes, ...]:
    """Read exactly `width` entries from a bundle.

    Raises:
        MalformedTile: truncated, or bytes left over; `offset` says at which entry.
    """
    entries: list[bytes] = []
    at = 0
    for offset in range(width):
        end = at + 2 + int.from_bytes(bundle[at : at + 2], "big")
        if len(bundle) < at + 2 or len(bundle) < end:
            raise MalformedTile("the bundle ends within an entry", offset)
        entries.append(bundle[at + 2 : end])
        at = end
    if at != len(bundle):
        raise MalformedTile("bytes follow the last entry", width)
    return tuple(entries)
