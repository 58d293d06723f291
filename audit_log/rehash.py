"""Making the tree again from its entries, beside the tiles that were stored: the core of verification, pure."""

from collections.abc import Callable
from dataclasses import dataclass

from audit_log.entry import Envelope
from audit_log.errors import MalformedEntry
from audit_log.merkle import HASH_BYTES, Frontier, leaf_hash
from audit_log.tiles import WIDTH, Tile, complete_root


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

    def add(self, leaf: bytes) -> Envelope | None:
        """Add the next entry.

        Args:
            leaf: the entry's bytes.

        Returns:
            Its envelope, None if it is malformed.
        """
        index = self.frontier.size
        hashed = leaf_hash(leaf)
        self.frontier = self.frontier.push(hashed)
        self._add_hash(0, hashed)
        try:
            return Envelope.parse_at(index, leaf)
        except MalformedEntry:
            if self.malformed is None:
                self.malformed = index
            return None

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
            self._compare(Tile(level, self._numbers[level]), row)
            self._rows[level] = []
            self._numbers[level] += 1
            self._add_hash(level + 1, complete_root(row))

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
