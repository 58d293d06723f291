"""How entries come in: sealed beforehand, by whoever asks; then stored and signed for, many at a time."""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from audit_log.checkpoint import Checkpoint, keep_known_checkpoint, open_known_checkpoint, sign_checkpoint
from audit_log.details import SealedDetails, canonical_details, seal
from audit_log.entry import Event, EventType
from audit_log.errors import LogDamaged, MalformedEntry, NotVerified
from audit_log.merkle import leaf_hash
from audit_log.note import Signer, Verifier
from audit_log.tables import Head, insert_rows, pack, read_head, store_leaves, store_wraps
from audit_log.transaction import all_or_nothing


@dataclass(frozen=True, slots=True)
class Drafted:
    """An entry that may be logged, its details still in clear.

    Attributes:
        event: what happened.
        canonical: the details, as they will be sealed; nobody can change them any more.
        readers: for each reader by name, its 32-byte key.
    """

    event: Event
    canonical: bytes
    readers: Mapping[str, bytes]

    def seal(self) -> "Prepared":
        """Seal the details.

        Raises:
            MalformedEntry: readers that cannot be served, or an event above the constant size.
        """
        leaf, sealed = seal(self.event, self.canonical, self.readers)
        return Prepared(leaf, self.event, sealed)


@dataclass(frozen=True, slots=True)
class Prepared:
    """An entry that only needs its place in the log: nothing of its details is in clear.

    Attributes:
        leaf: its bytes, as they are hashed.
        event: what the leaf says.
        sealed: the encrypted details.
    """

    leaf: bytes
    event: Event
    sealed: SealedDetails


def draft(event: Event, details: Mapping[str, object], readers: Mapping[str, bytes]) -> Drafted:
    """Check that an entry may be logged and fix what it will say.

    Args:
        event: what happened.
        details: what only readers may know; see `details.canonical_details` for what it may hold.
        readers: for each reader by name, its 32-byte key; at least one.

    Raises:
        MalformedEntry: event or details cannot be logged.
    """
    require_ordinary(event)
    return Drafted(event, canonical_details(details), dict(readers))


def prepare(event: Event, details: Mapping[str, object], readers: Mapping[str, bytes]) -> Prepared:
    """Seal an entry's details; no database is needed.

    Args:
        event, details, readers: as `draft`.

    Raises:
        MalformedEntry: event, details or readers cannot be logged.
    """
    return draft(event, details, readers).seal()


def require_ordinary(event: Event) -> None:
    """Check that an event may be appended by itself.

    Raises:
        MalformedEntry: an erasure, which is one with what it erases.
    """
    if event.type in {EventType.DETAILS_ERASED, EventType.RETENTION_EXECUTED}:
        raise MalformedEntry("type", f"{event.type} is written by Log.erase and Log.erase_expired only")


def signed_head(connection: sqlite3.Connection, verifier: Verifier) -> Head:
    """Return the head once its note is verified as this log's and the last one signed.

    Args:
        connection: to the database.
        verifier: the log's key.

    Raises:
        LogDamaged: the tables do not agree with what was signed last.
    """
    head = read_head(connection)
    try:
        signed = open_known_checkpoint(head.note, verifier)
    except NotVerified as error:
        raise LogDamaged("audit_head", "the checkpoint is not signed by this log's key") from error
    if (signed.size, signed.root) != (head.size, head.root):
        raise LogDamaged("audit_head", "the signed checkpoint is not the head's")
    last = connection.execute("SELECT size, note FROM audit_checkpoint ORDER BY size DESC LIMIT 1").fetchone()
    if last is None or (last[0], bytes(last[1])) != (head.size, head.note):
        raise LogDamaged("audit_checkpoint", "the head is not what was signed last")
    return head


def append_prepared(connection: sqlite3.Connection, signer: Signer, prepared: Sequence[Prepared]) -> range:
    """Append entries in one go, under one signed checkpoint.

    Args:
        connection: durable, with an open transaction of the caller.
        signer: the log's key.
        prepared: one entry or more, in order.

    Returns:
        Their indexes.

    Raises:
        MalformedEntry: one is caused by an entry that is not before it; nothing was appended.
        LogDamaged: the tables do not agree with what was signed last; nothing was signed.
    """
    head = signed_head(connection, signer.verifier)
    for index, each in enumerate(prepared, head.size):
        if each.event.caused_by >= index:
            raise MalformedEntry("caused_by", "names an entry that is not before this one")
    leaves = [each.leaf for each in prepared]
    hashes = [leaf_hash(leaf) for leaf in leaves]
    frontier = head.frontier.extended(hashes)
    # Consistent with the last signed checkpoint by construction: its verified frontier, and these leaves more.
    checkpoint = Checkpoint(signer.name, frontier.size, frontier.root())
    note = sign_checkpoint(checkpoint, signer)
    keep_known_checkpoint(note, signer.verifier, checkpoint)
    with all_or_nothing(connection):
        store_leaves(connection, head.size, leaves, hashes)
        ciphertexts = [(index, each.sealed.ciphertext) for index, each in enumerate(prepared, head.size)]
        insert_rows(connection, "audit_detail (idx, ciphertext)", ciphertexts)
        store_wraps(connection, [(index, each.sealed.wraps) for index, each in enumerate(prepared, head.size)])
        changed = connection.execute(
            "UPDATE audit_head SET size = ?, root = ?, frontier = ?, note = ? WHERE id = 1 AND size = ? AND root = ?",
            (frontier.size, checkpoint.root, pack(frontier), note, head.size, head.root),
        ).rowcount
        if changed != 1:
            raise LogDamaged("audit_head", "another writer moved the head")
        connection.execute("INSERT INTO audit_checkpoint (size, note) VALUES (?, ?)", (frontier.size, note))
    return range(head.size, frontier.size)
