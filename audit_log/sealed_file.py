"""Sealed details on their way out: one file beside an export, from which each reader opens what is its own, offline.

The file says nothing that the log's public part does not say already, but of long details how long they are, as a power
of four of blocks of 4096 bytes (`details.veil`): how many slots an entry has is reckoned by its writer from public
facts, and a slot that holds a key cannot be told from an empty one. The readers' keys are fresh for each file and lie
in boxes, which the caller sealed to the readers by means that this library does not know: so two files have nothing in
common either. Form, integers big-endian:

    magic ‖ uint32 length ‖ checkpoint ‖ uint16 boxes ‖ uint16 length of a box ‖ the boxes
    for each entry: uint32 length ‖ uint16 slots ‖ veiled details ‖ the slots; length and slots 0 where they were erased
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, Final

from audit_log.details import BLOCK_BYTES, MAX_DETAILS_BYTES, WRAPPED_BYTES, Veiled, veil, veiled_length
from audit_log.entry import Envelope
from audit_log.errors import DetailsErased, NotVerified
from audit_log.note import MAX_NOTE_BYTES
from audit_log.tables import read_ciphertext, read_leaves, read_wrap
from audit_log.transaction import one_instant, require_no_transaction

MAGIC: Final = b"dcr-audit-sealed-v1\n"
_MOST_CONTENT: Final = veiled_length(4 * MAX_DETAILS_BYTES // BLOCK_BYTES)
_PAGE: Final = 256


def write_sealed(
    target: BinaryIO,
    connection: sqlite3.Connection,
    *,
    note: bytes,
    size: int,
    boxes: Sequence[bytes],
    room_reader: tuple[str, bytes],
    keys_of: Callable[[int, Envelope], Sequence[bytes]],
    slots_of: Callable[[Envelope], int],
    least_blocks: Callable[[Envelope], int],
) -> None:
    """Write the details of all entries of a checkpoint.

    Args:
        target: where to.
        connection: to the database, without an open transaction; nothing is written there.
        note: the checkpoint, as it is exported.
        size: its number of entries.
        boxes: of one length; what each reader finds its key for this file in.
        room_reader: name and key of the reader that opens every entry.
        keys_of: of an entry the keys of those who may open it; the same key always means the same reader.
        slots_of: of an entry how many slots it has: at least as many as it has readers, and a function of what is
            public, else their number tells who reads.
        least_blocks: of an entry how many blocks of 4096 bytes its details are made to fill at least.

    Raises:
        LogDamaged: details are missing.
        NotVerified: the room's reader does not open an entry.
        MalformedEntry: an entry has more readers than slots.
        OSError: the disk.
    """
    require_no_transaction(connection, "write_sealed")
    reader, kek = room_reader
    target.write(MAGIC + len(note).to_bytes(4, "big") + note)
    target.write(len(boxes).to_bytes(2, "big") + len(boxes[0] if boxes else b"").to_bytes(2, "big") + b"".join(boxes))
    with one_instant(connection):
        for page in range(0, size, _PAGE):
            for index, leaf in enumerate(read_leaves(connection, page, min(page + _PAGE, size)), page):
                envelope = Envelope.parse_at(index, leaf)
                try:
                    ciphertext = read_ciphertext(connection, index)
                except DetailsErased:
                    target.write(bytes(6))
                    continue
                found = veil(
                    envelope,
                    ciphertext,
                    read_wrap(connection, index, reader),
                    reader=reader,
                    kek=kek,
                    keys=keys_of(index, envelope),
                    count=slots_of(envelope),
                    least_blocks=least_blocks(envelope),
                )
                target.write(len(found.content).to_bytes(4, "big") + len(found.slots).to_bytes(2, "big"))
                target.write(found.content + b"".join(found.slots))


class SealedFile:
    """A file of sealed details, read from its beginning to its end; nothing of it is believed before it opens."""

    def __init__(self, source: BinaryIO) -> None:
        """Read what stands before the entries.

        Args:
            source: the file, which is read again for each `entries`.

        Raises:
            NotVerified: it is no such file, or ends too early.
        """
        self._source = source
        source.seek(0)
        if source.read(len(MAGIC)) != MAGIC:
            raise NotVerified("sealed details", "not a file of sealed details")
        self.note = self._exactly(self._number(4), MAX_NOTE_BYTES)
        count, length = self._number(2), self._number(2)
        self.boxes = tuple(self._exactly(length, length) for _ in range(count))
        self._start = source.tell()

    def entries(self, size: int) -> Iterator[Veiled]:
        """Yield what there is for each entry, in order.

        Args:
            size: of the log, by its verified checkpoint.

        Raises:
            NotVerified: it ends within an entry, says what cannot be, or goes on behind the last one.
        """
        self._source.seek(self._start)
        for index in range(size):
            try:
                length, count = self._number(4), self._number(2)
                content = self._exactly(length, _MOST_CONTENT)
                held = self._exactly(count * WRAPPED_BYTES, count * WRAPPED_BYTES)
            except NotVerified as error:
                raise NotVerified(f"sealed details, entry {index}", error.reason) from None
            cut = range(0, len(held), WRAPPED_BYTES)
            yield Veiled(content, tuple(held[at : at + WRAPPED_BYTES] for at in cut))
        if self._source.read(1):
            raise NotVerified("sealed details", "bytes follow the last entry")

    def _number(self, length: int) -> int:
        return int.from_bytes(self._exactly(length, length), "big")

    def _exactly(self, length: int, most: int) -> bytes:
        if length > most:
            raise NotVerified("sealed details", "a length is above what there can be")
        found = self._source.read(length)
        if len(found) != length:
            raise NotVerified("sealed details", "the file ends too early")
        return found
