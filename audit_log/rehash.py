"""Making the tree again from its entries, beside the tiles that were stored: the core of verification, pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Self

from audit_log.entry import is_leaf_at
from audit_log.errors import MalformedTile
from audit_log.merkle import HASH_BYTES, Frontier, leaf_hash
from audit_log.tiles import HEIGHT, WIDTH, Tile, complete_root, split_hashes, width_at


@dataclass(frozen=True, slots=True)
class Difference:
    """Where a stored tile is not what the entries make: the first hash that differs."""

    tile: Tile
    offset: int

    @property
    def index(self) -> int:
        """The first entry below that hash."""
        return self.tile.first_entry(self.offset)


class Rehash:
    """The tree as the entries make it, one entry after the other.

    Attributes:
        frontier: of the entries so far.
        malformed: the first entry that is not an envelope; None so far.
        difference: the first tile of the lowest level that differs; None so far.
    """

    def __init__(self, stored: Callable[[Tile], bytes | None]) -> None:
        """Begin with the empty tree.

        Args:
            stored: gives a stored tile's bytes, None where none is kept and nothing is to be compared.
        """
        self.frontier = Frontier.empty()
        self.malformed: int | None = None
        self.difference: Difference | None = None
        self._stored = stored
        self._rows: list[list[bytes]] = []
        self._numbers: list[int] = []

    @classmethod
    def resume(cls, start: int, size: int, stored: Callable[[Tile], bytes | None]) -> Self:
        """Begin behind entries that were verified before, with the hashes that their tiles hold.

        What is taken from the tiles is as good as the root that the caller compares next: every hash taken is below it.

        Args:
            start: entries to go past, a multiple of 256.
            size: of the log, whose tiles are read.
            stored: gives a stored tile's bytes.

        Raises:
            MalformedTile: a tile that is needed is not there.
        """
        rehash = cls(stored)
        peaks: list[bytes] = []
        level = 0
        while start >> (HEIGHT * level):
            number, offset = divmod(start >> (HEIGHT * level), WIDTH)
            row: list[bytes] = []
            if offset:
                content = stored(Tile(level, number, width_at(level, number, size))) or b""
                row = list(split_hashes(content))[:offset]
            if len(row) != offset:
                raise MalformedTile(f"level {level}, number {number} has not {offset} hashes")
            rehash._rows.append(row)
            rehash._numbers.append(number)
            peaks = [*_peaks(row), *peaks]
            level += 1
        rehash.frontier = Frontier(start, tuple(peaks))
        return rehash

    def add(self, leaf: bytes) -> None:
        """Add the next entry.

        Args:
            leaf: the entry's bytes.
        """
        index = self.frontier.size
        hashed = leaf_hash(leaf)
        self.frontier = self.frontier.push(hashed)
        self._add_hash(0, hashed)
        if self.malformed is None and not is_leaf_at(index, leaf):
            self.malformed = index

    def add_all(self, leaves: Sequence[bytes]) -> None:
        """Add the next entries; a whole tile of them at once where one begins here.

        Args:
            leaves: the entries' bytes, in order.
        """
        index = self.frontier.size
        if index % WIDTH or len(leaves) != WIDTH:
            for leaf in leaves:
                self.add(leaf)
            return
        row = [sha256(b"\x00" + leaf).digest() for leaf in leaves]
        root = complete_root(row)
        self.frontier = self.frontier.push_subtree(HEIGHT, root)
        if not self._rows:
            self._rows.append([])
            self._numbers.append(0)
        self._complete(0, row, root)
        if self.malformed is None:
            self.malformed = next((at for at, leaf in enumerate(leaves, index) if not is_leaf_at(at, leaf)), None)

    def finish(self) -> None:
        """Compare the partial tiles at the right edge."""
        for level, row in enumerate(self._rows):
            if row:
                self._compare(Tile(level, self._numbers[level], len(row)), row)

    def _add_hash(self, level: int, hashed: bytes) -> None:
        if level == len(self._rows):
            self._rows.append([])
            self._numbers.append(0)
        row = self._rows[level]
        row.append(hashed)
        if len(row) == WIDTH:
            self._complete(level, row, complete_root(row))

    def _complete(self, level: int, row: list[bytes], root: bytes) -> None:
        self._compare(Tile(level, self._numbers[level]), row)
        self._rows[level] = []
        self._numbers[level] += 1
        self._add_hash(level + 1, root)

    def _compare(self, tile: Tile, row: list[bytes]) -> None:
        stored = self._stored(tile)
        made = b"".join(row)
        if stored is None or stored == made:
            return
        offset = next(
            (at for at, each in enumerate(row) if stored[at * HASH_BYTES :][:HASH_BYTES] != each), len(row) - 1
        )
        found = Difference(tile, offset)
        # The lowest level says most precisely where; within it, the first.
        if self.difference is None or found.tile.level < self.difference.tile.level:
            self.difference = found


def _peaks(row: list[bytes]) -> list[bytes]:
    """Return the roots of the complete subtrees that fewer than 256 neighbouring hashes make, the largest first."""
    peaks = []
    at = 0
    for depth in reversed(range(HEIGHT)):
        if len(row) >> depth & 1:
            peaks.append(complete_root(row[at : at + (1 << depth)]))
            at += 1 << depth
    return peaks
