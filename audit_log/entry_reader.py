"""Reading an exported log's entries, more than once, without keeping them: each time they are those of one root."""

import hashlib
from collections.abc import Iterator

from audit_log.checkpoint import Checkpoint
from audit_log.entry import BUNDLED_BYTES, Envelope
from audit_log.errors import NotVerified
from audit_log.merkle import Frontier, leaf_hash
from audit_log.source import Source
from audit_log.tiles import WIDTH, bundle_path, bundles_of, parse_bundle


class EntryReader:
    """Yields a log's entries and holds them against its checkpoint.

    The first reading must reach the end before anything of it counts; the later ones are held against the first, bundle
    by bundle, so that whoever changes a file in between is noticed.
    """

    def __init__(self, source: Source, checkpoint: Checkpoint) -> None:
        """Begin.

        Args:
            source: gives the log's files.
            checkpoint: the log's state, its signature verified.
        """
        self._source = source
        self._checkpoint = checkpoint
        self._digests: list[bytes] = []
        self._proved = False

    def entries(self) -> Iterator[tuple[int, Envelope]]:
        """Yield (index, entry) from the first to the last.

        Raises:
            NotVerified: a bundle is missing or malformed, the entries do not make the checkpoint's root, or they are
                not those of the first reading.
        """
        frontier, first = Frontier.empty(), []
        for number, width in bundles_of(self._checkpoint.size):
            path = bundle_path(number, width)
            content = self._source.read(path, width * BUNDLED_BYTES)
            if content is None:
                raise NotVerified(path, "missing")
            digest = hashlib.sha256(content).digest()
            leaves = parse_bundle(content, width)
            if self._proved:
                if digest != self._digests[number]:
                    raise NotVerified(path, "changed while it was read")
            else:
                first.append(digest)
                for leaf in leaves:
                    frontier = frontier.push(leaf_hash(leaf))
            for index, leaf in enumerate(leaves, number * WIDTH):
                yield index, Envelope.parse_at(index, leaf)
        if not self._proved:
            if frontier.root() != self._checkpoint.root:
                raise NotVerified("entries", "they do not make the checkpoint's root")
            self._digests, self._proved = first, True
