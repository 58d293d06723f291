"""The log: entries appended within the caller's transaction, so that state and log are one."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from audit_log.appending import Prepared, append_prepared, prepare, require_ordinary, signed_head
from audit_log.checkpoint import Checkpoint, open_known_checkpoint, sign_checkpoint
from audit_log.cosigned import shown_checkpoint
from audit_log.details import open_details, rewrap
from audit_log.entry import Envelope, Event
from audit_log.erasing import erase_expired, erase_one
from audit_log.errors import (
    LogDamaged,
    LogFault,
    MalformedEntry,
    NoSuchEntry,
    NotVerified,
)
from audit_log.merkle import Frontier, consistency_proof, inclusion_proof, verify_consistency
from audit_log.note import Signer, Verifier
from audit_log.receipt import Receipt
from audit_log.tables import (
    SCHEMA,
    Head,
    node_reader,
    pack,
    proof_reader,
    read_ciphertext,
    read_head,
    read_leaf,
    read_leaves,
    read_wrap,
    store_wraps,
)
from audit_log.transaction import all_or_nothing, one_instant, require_durable, require_no_transaction, require_writer

_PAGE: Final = 256


class Log:
    """One room's log: who signs it and how entries come in. It holds no connection; every call is handed one."""

    def __init__(self, origin: str, signer: Signer) -> None:
        """Bind a log's name and key.

        Args:
            origin: the log's name, such as "dcr.operator.example/room-1"; also the signer's (c2sp.org/tlog-checkpoint).
            signer: the log's private key.

        Raises:
            LogFault: the signer bears another name.
        """
        if signer.name != origin:
            raise LogFault("a log's key bears the log's origin as its name")
        self._origin = origin
        self._signer = signer

    @property
    def origin(self) -> str:
        """The log's name."""
        return self._origin

    @property
    def verifier(self) -> Verifier:
        """The log's public key; its `vkey` is what verifiers need."""
        return self._signer.verifier

    def create_schema(self, connection: sqlite3.Connection) -> None:
        """Create the tables and sign the empty log.

        Args:
            connection: durable, with an open transaction of the caller.

        Raises:
            OutsideTransaction: no transaction is open.
            NotDurable: as `require_durable`.
            LogFault: the database holds a log already.
        """
        require_writer(connection, "create_schema")
        with all_or_nothing(connection):
            for statement in SCHEMA:
                connection.execute(statement)
            empty = Frontier.empty()
            note = sign_checkpoint(Checkpoint(self._origin, 0, empty.root()), self._signer)
            connection.execute(
                "INSERT INTO audit_head (id, size, root, frontier, note) VALUES (1, 0, ?, ?, ?)",
                (empty.root(), pack(empty), note),
            )
            connection.execute("INSERT INTO audit_checkpoint (size, note) VALUES (0, ?)", (note,))

    def append(
        self,
        connection: sqlite3.Connection,
        event: Event,
        details: Mapping[str, object],
        readers: Mapping[str, bytes],
    ) -> int:
        """Append an entry and sign the new checkpoint; both are durable once the caller commits.

        Args:
            connection: durable, with an open transaction of the caller (BEGIN IMMEDIATE).
            event: what happened; `caused_by` is below the new index.
            details: what only readers may know; see `details.canonical_details` for what it may hold.
            readers: for each reader by name, its 32-byte key; at least one.

        Returns:
            The entry's index, from 0.

        Raises:
            OutsideTransaction: no transaction is open.
            NotDurable: as `require_durable`.
            MalformedEntry: event, details or readers cannot be logged.
            LogDamaged: the tables do not agree with what was signed last; nothing is signed.
        """
        require_writer(connection, "append")
        return append_prepared(connection, self._signer, [prepare(event, details, readers)])[0]

    def append_all(self, connection: sqlite3.Connection, prepared: Sequence[Prepared]) -> range:
        """Append entries that `prepare` sealed, under one signed checkpoint; durable once the caller commits.

        Args:
            connection: durable, with an open transaction of the caller.
            prepared: one entry or more, in order.

        Returns:
            Their indexes.

        Raises:
            As `append`; all of them are appended, or none.
        """
        require_writer(connection, "append_all")
        for each in prepared:
            require_ordinary(each.event)
        if not prepared:
            raise MalformedEntry("", "nothing to append")
        return append_prepared(connection, self._signer, prepared)

    def erase(
        self,
        connection: sqlite3.Connection,
        index: int,
        event: Event,
        details: Mapping[str, object],
        readers: Mapping[str, bytes],
    ) -> int:
        """Erase an entry's details for good and log it: ciphertext and wrapped keys go, leaf and proofs stay.

        Args:
            connection: durable, with an open transaction of the caller.
            index: the entry whose details go.
            event: of type `details.erased`, with `caused_by` the index.
            details: why, on whose decision.
            readers: who may read that.

        Returns:
            The index of the new entry.

        Raises:
            MalformedEntry: another type or cause.
            NoSuchEntry: no such entry.
            DetailsErased: they are gone already.
            LogFault: as `append`.
        """
        require_writer(connection, "erase")
        return erase_one(connection, self._signer, index, event, details, readers)

    def erase_expired(
        self,
        connection: sqlite3.Connection,
        indexes: Sequence[int],
        event: Event,
        details: Mapping[str, object],
        readers: Mapping[str, bytes],
    ) -> int:
        """Erase the details of entries whose retention is over, under one entry that says which.

        Args:
            connection: durable, with an open transaction of the caller.
            indexes: the entries, all of the event's class, each older than its period at the event's time.
            event: of type `retention.executed`, `ret` the class, `caused_by` the last of the entries.
            details: on whose decision.
            readers: who may read that.

        Returns:
            The index of the new entry.

        Raises:
            As `erase`; MalformedEntry also where an entry is of another class, or not due.
        """
        require_writer(connection, "erase_expired")
        return erase_expired(connection, self._signer, indexes, event, details, readers)

    def rewrap_details(
        self,
        connection: sqlite3.Connection,
        index: int,
        *,
        reader: str,
        kek: bytes,
        readers: Mapping[str, bytes],
    ) -> None:
        """Replace an entry's wrapped keys, for other readers or under their next keys; the leaf does not change.

        Args:
            connection: durable, with an open transaction of the caller.
            index: the entry.
            reader: a present reader.
            kek: that reader's key, 32 bytes.
            readers: all readers from now on, with their keys.

        Raises:
            NotVerified: the key does not open the entry's.
            DetailsErased, NotAReader, NoSuchEntry, OutsideTransaction: as their names say.
        """
        require_writer(connection, "rewrap_details")
        envelope = self.entry(connection, index)
        read_ciphertext(connection, index)
        wraps = rewrap(envelope, read_wrap(connection, index, reader), reader=reader, kek=kek, readers=readers)
        with all_or_nothing(connection):
            connection.execute("DELETE FROM audit_wrap WHERE idx = ?", (index,))
            store_wraps(connection, [(index, wraps)])

    def size(self, connection: sqlite3.Connection) -> int:
        """Return the number of entries, those of an open transaction included."""
        return read_head(connection).size

    def checkpoint(self, connection: sqlite3.Connection) -> bytes:
        """Return the signed checkpoint of all durable entries (c2sp.org/tlog-checkpoint).

        Raises:
            InsideTransaction: a transaction is open; what it signed may still be rolled back and must not leave.
        """
        require_no_transaction(connection, "checkpoint")
        return read_head(connection).note

    def leaf(self, connection: sqlite3.Connection, index: int) -> bytes:
        """Return an entry's bytes, as they are hashed.

        Raises:
            NoSuchEntry: no such entry.
        """
        leaf = read_leaf(connection, index)
        if leaf is None:
            raise NoSuchEntry(index, self.size(connection))
        return leaf

    def entry(self, connection: sqlite3.Connection, index: int) -> Envelope:
        """Return an entry.

        Raises:
            NoSuchEntry: no such entry.
            LogDamaged: its bytes are not an envelope.
        """
        return _parse(index, self.leaf(connection, index))

    def entries(
        self, connection: sqlite3.Connection, start: int = 0, end: int | None = None
    ) -> Iterator[tuple[int, Envelope]]:
        """Yield (index, entry) over [start, end), to the present end if it is None."""
        last = self.size(connection) if end is None else min(end, self.size(connection))
        for page in range(max(0, start), last, _PAGE):
            leaves = read_leaves(connection, page, min(page + _PAGE, last))
            for index, leaf in enumerate(leaves, page):
                yield index, _parse(index, leaf)

    def party_entries(self, connection: sqlite3.Connection, ordinal: int) -> Iterator[tuple[int, int, Envelope]]:
        """Yield (counter, index, entry) of all that touches one member; the counter is dense from 1.

        Args:
            connection: to the database.
            ordinal: the member's bit in the party map, 0 to 511.
        """
        counter = 0
        for index, envelope in self.entries(connection):
            if ordinal in envelope.event.parties:
                counter += 1
                yield counter, index, envelope

    def read_details(self, connection: sqlite3.Connection, index: int, reader: str, kek: bytes) -> dict[str, object]:
        """Decrypt an entry's details and check them against the leaf. Reading is an event too: the caller logs it.

        Args:
            connection: to the database.
            index: the entry.
            reader: the reader's name, as given to `append`.
            kek: the reader's key, 32 bytes.

        Raises:
            NoSuchEntry: no such entry.
            DetailsErased: they were erased; not a sign of tampering.
            NotAReader: not sealed for this reader.
            NotVerified: another key, or altered.
        """
        envelope = self.entry(connection, index)
        ciphertext = read_ciphertext(connection, index)
        return open_details(envelope, ciphertext, read_wrap(connection, index, reader), reader=reader, kek=kek)

    def inclusion_proof(self, connection: sqlite3.Connection, index: int, size: int | None = None) -> tuple[bytes, ...]:
        """Compute an entry's audit path (RFC 6962 §2.1.1) in the log as it was at `size`, by default now.

        Raises:
            NoSuchEntry: no such entry at that size, or the log is smaller.
        """
        present = self.size(connection)
        wanted = present if size is None else size
        if not 0 <= index < wanted <= present:
            raise NoSuchEntry(index, min(wanted, present))
        return inclusion_proof(index, wanted, node_reader(connection, present))

    def consistency_proof(self, connection: sqlite3.Connection, old_size: int, new_size: int) -> tuple[bytes, ...]:
        """Compute the proof that the log at `old_size` is a prefix of the log at `new_size` (RFC 6962 §2.1.2).

        Raises:
            NoSuchEntry: the log was never that large, or `old_size` is above `new_size`.
        """
        present = self.size(connection)
        if not 0 <= old_size <= new_size <= present:
            raise NoSuchEntry(max(old_size, new_size) - 1, present)
        return consistency_proof(old_size, new_size, node_reader(connection, present))

    def receipt(self, connection: sqlite3.Connection, index: int, *, cosigned: bool = False) -> bytes:
        """Return the proof that an entry is in the log, for whoever holds the log's vkey (c2sp.org/tlog-proof@v1).

        Args:
            connection: to the database.
            index: the entry.
            cosigned: prove it in the last checkpoint that witnesses cosigned, for whoever verifies against a policy.

        Raises:
            InsideTransaction: a transaction is open; the entry may not be durable.
            NoSuchEntry: no such entry, or none that witnesses have cosigned yet.
        """
        require_no_transaction(connection, "receipt")
        with one_instant(connection):
            head = signed_head(connection, self.verifier)
            note = shown_checkpoint(connection, cosigned=cosigned)
            size = open_known_checkpoint(note, self.verifier).size
            if not 0 <= index < size:
                raise NoSuchEntry(index, size)
            proof = inclusion_proof(index, size, proof_reader(connection, head))
        return Receipt(index, proof, note).encode()

    def verify_head(self, connection: sqlite3.Connection, remembered: Checkpoint | None = None) -> Checkpoint:
        """Make the head again from tiles and rightmost entries and compare; to be called when a room is opened.

        It is quick and finds a torn database, not every altered entry: that is `verify_database`.

        Args:
            connection: to the database.
            remembered: a checkpoint kept elsewhere, which the log must contain; finds a restored backup.

        Raises:
            LogDamaged: head, tiles, entries or the signature disagree, or the log does not contain `remembered`.
            NotDurable: as `require_durable`.
        """
        require_durable(connection)
        with one_instant(connection):
            return self._verified_head(connection, remembered)

    def _verified_head(self, connection: sqlite3.Connection, remembered: Checkpoint | None) -> Checkpoint:
        head = signed_head(connection, self.verifier)
        read = node_reader(connection, head.size)
        try:
            recomputed = Frontier.of(head.size, read)
        except NotVerified as error:
            raise LogDamaged("audit_tile", "the tiles do not make a tree") from error
        if recomputed != head.frontier:
            raise LogDamaged("audit_tile", "tiles and rightmost entries do not make the signed head")
        (rows, last) = connection.execute("SELECT count(*), max(idx) FROM audit_entry").fetchone()
        if rows != head.size or (last if last is not None else -1) != head.size - 1:
            raise LogDamaged("audit_entry", f"{rows} entries under a head of {head.size}")
        if remembered is not None:
            self._require_contains(head, remembered, connection)
        return Checkpoint(self._origin, head.size, head.root)

    def _require_contains(self, head: Head, remembered: Checkpoint, connection: sqlite3.Connection) -> None:
        if remembered.origin != self._origin:
            raise LogDamaged("checkpoint", "the remembered checkpoint is another log's")
        if remembered.size > head.size:
            raise LogDamaged("audit_head", f"rolled back: {remembered.size} entries were signed, {head.size} are here")
        try:
            verify_consistency(
                old_size=remembered.size,
                new_size=head.size,
                old_root=remembered.root,
                new_root=head.root,
                proof=consistency_proof(remembered.size, head.size, node_reader(connection, head.size)),
            )
        except NotVerified as error:
            raise LogDamaged("audit_head", "rewritten: the log does not contain the remembered checkpoint") from error


def _parse(index: int, leaf: bytes) -> Envelope:
    try:
        return Envelope.parse_at(index, leaf)
    except MalformedEntry as error:
        raise LogDamaged("audit_entry", "not an envelope", index) from error
