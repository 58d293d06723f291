"""Read, export and verify the room's log. Verifying needs no key of the room: the files and a public key are enough."""

from __future__ import annotations

import os
import re
import secrets
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from audit_log import (
    Checkpoint,
    DetailsErased,
    Envelope,
    EventType,
    LogFault,
    Verdict,
    Verifier,
    export_log,
    open_checkpoint,
    verify_database,
    verify_directory,
)
from audit_log import NotVerified as LogNotVerified
from cleanroom.errors import Bilingual, Fault, NotVerified, UsageError
from cleanroom.identifiers import PartyId, RoomId
from cleanroom.room import registry
from cleanroom.room.creation import DATABASE, LOG_DETAILS, LOG_KEY, LOG_SIGNING, PARTITIONS, log_of
from cleanroom.room.database import connect, transaction
from cleanroom.room.home import OPERATOR, Home, private_directory
from cleanroom.room.journal import Journal
from cleanroom.room.locks import remembering
from cleanroom.room.reconciliation import contradictions
from cleanroom.storage.partition_store import PartitionStore, StoredPartition
from key_management import KeyManagementError, Keyring

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from cleanroom.room.room import Room

_ORIGIN: Final = re.compile(r"cleanroom/(r-[0-9a-f]{16})", re.ASCII)


@dataclass(frozen=True, slots=True)
class LogLine:
    """One entry as the room's own reader sees it; `details` is None when they were erased."""

    index: int
    envelope: Envelope
    actor: PartyId | None
    details: dict[str, object] | None


def read(room: Room, *, party: PartyId | None = None, since: int = 0) -> Iterator[LogLine]:
    """Yield entries with their details; that they were read is itself logged, before the first is shown.

    Args:
        party: only entries that this party did, or whose data or rights they touch.
        since: Unix time in seconds of the earliest entry.
    """
    wanted = registry.party_named(room.connection, party) if party is not None else None
    with transaction(room.connection):
        room.journal.append(
            room.connection,
            EventType.LOG_READ,
            at=registry.advance_clock(room.connection, room.now()),
            actor=OPERATOR,
            ordinals=(0,),
            details={"party": party or "", "since": since},
        )
    pseudonyms = {room.journal.pseudonym(each): each for each in registry.parties(room.connection)}
    for index, envelope in room.journal.log.entries(room.connection):
        event = envelope.event
        actor = pseudonyms.get(event.actor)
        if event.t < since or (wanted and actor != wanted.party and wanted.ordinal not in event.parties):
            continue
        details: dict[str, object] | None = None
        with suppress(DetailsErased):
            details = room.journal.details(room.connection, index)
        yield LogLine(index, envelope, actor, details)


def export(room: Room, directory: Path) -> Checkpoint:
    """Write the log as a C2SP tlog-tiles directory; the export itself is logged, and in it."""
    with transaction(room.connection):
        room.journal.append(
            room.connection,
            EventType.LOG_EXPORTED,
            at=registry.advance_clock(room.connection, room.now()),
            actor=OPERATOR,
            ordinals=(0,),
            details={"format": "c2sp.org/tlog-tiles"},
        )
    try:
        return export_log(room.connection, room.journal.log.verifier, directory)
    except LogFault as error:
        raise Fault(
            Bilingual(f"le journal ne s'exporte pas : {error}", f"the log cannot be exported: {error}"),
            code="export_failed",
        ) from None
    except OSError as error:
        raise Fault(
            Bilingual(f"{directory} : {error.strerror}", f"{directory}: {error.strerror}"), code="export_failed"
        ) from None


@dataclass(frozen=True, slots=True)
class Verification:
    """What `verify` found.

    Args:
        damaged: of a room, the partitions that are missing or are not the bytes that were taken in.
        contradictions: of a room, what its tables say otherwise than its log.
        reconciled: whether the tables were compared with the log, which needs the room's root key.
        first_time: the log's key came from the place that was verified, since this machine had not seen the log.
    """

    verdict: Verdict
    vkey: str
    first_time: bool
    damaged: tuple[Bilingual, ...] = ()
    contradictions: tuple[Bilingual, ...] = ()
    reconciled: bool = False

    @property
    def ok(self) -> bool:
        """Whether all of it holds."""
        return self.verdict.ok and not self.damaged and not self.contradictions


def verify(target: Path, home: Home, *, vkey_file: Path | None = None) -> Verification:
    """Verify a room's log, or an exported one, against the last checkpoint that this machine verified.

    Raises:
        UsageError: neither a room nor an export.
        NotVerified: the key is another than the one this machine knows for this log.
    """
    database = target / DATABASE
    vkey_place = target / LOG_KEY
    if not database.exists() and not (target / "checkpoint").exists():
        raise UsageError(
            Bilingual(f"{target} n'est ni une salle ni un journal exporté", f"{target}: neither a room nor a log"),
            code="no_log",
        )
    try:
        given = (vkey_file or vkey_place).read_text("ascii").strip()
        verifier = Verifier.from_vkey(given)
    except (OSError, UnicodeDecodeError, LogNotVerified):
        raise NotVerified(
            Bilingual("la clé publique du journal est absente ou mal formée", "the log's public key is not readable"),
            code="log_key_unreadable",
        ) from None
    room = _room_of(verifier)
    known = home.room(room)
    seen_key, seen = known / LOG_KEY, known / "checkpoint"
    first_time = not seen_key.exists() and vkey_file is None
    if seen_key.exists() and seen_key.read_text("ascii").strip() != given:
        raise NotVerified(
            Bilingual(
                "la clé du journal n'est pas celle que cette machine connaît",
                "the log's key is not the one this machine knows",
            ),
            code="log_key_changed",
        )
    try:
        remembered = open_checkpoint(seen.read_bytes(), verifier) if seen.exists() else None
    except LogNotVerified:
        raise NotVerified(
            Bilingual(
                f"le dernier point de contrôle retenu est altéré : {seen}",
                f"the last remembered checkpoint is damaged: {seen}",
            ),
            code="remembered_checkpoint_damaged",
        ) from None
    damaged: tuple[Bilingual, ...] = ()
    different: tuple[Bilingual, ...] = ()
    opened: tuple[Journal, Keyring] | None = None
    if database.exists():
        with closing(connect(database)) as connection:
            verdict = verify_database(connection, given, remembered)
            note = _head(connection) if verdict.ok else b""
            damaged = damaged_partitions(connection, PartitionStore(target / PARTITIONS))
            opened = _opened(connection, home, room) if verdict.ok else None
            different = contradictions(connection, *opened) if opened is not None else ()
    else:
        verdict = verify_directory(target, given, remembered=remembered)
        note = (target / "checkpoint").read_bytes() if verdict.ok else b""
    if verdict.ok:
        remember(home, room, given, note)
    return Verification(verdict, given, first_time, damaged, different, opened is not None)


def damaged_partitions(connection: sqlite3.Connection, store: PartitionStore) -> tuple[Bilingual, ...]:
    """Compare every byte of every partition with the digest of its upload; return what does not hold."""
    found = []
    for upload in registry.uploads(connection):
        try:
            store.verify(StoredPartition(upload.manifest))
        except (Fault, NotVerified) as error:
            found.append(error.message)
    return tuple(found)


def remember(home: Home, room: RoomId, vkey: str, note: bytes) -> None:
    """Keep a verified checkpoint, so that an older or rewritten log is noticed next time."""
    directory = home.room(room)
    private_directory(directory)
    verifier = Verifier.from_vkey(vkey)
    size = open_checkpoint(note, verifier).size
    with remembering(directory):
        if not (directory / LOG_KEY).exists():
            _replace(directory / LOG_KEY, f"{vkey}\n".encode("ascii"))
        seen = directory / "checkpoint"
        # Of two openers the slower may hold the older checkpoint; the larger one stays.
        if not seen.exists() or open_checkpoint(seen.read_bytes(), verifier).size < size:
            _replace(seen, note)


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    with temporary.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _room_of(verifier: Verifier) -> RoomId:
    """Return the room that a log's key names; the name becomes a path of the home, so its form is checked."""
    named = _ORIGIN.fullmatch(verifier.name)
    if named is None:
        raise NotVerified(
            Bilingual("la clé ne nomme le journal d'aucune salle", "the key names no room's log"),
            code="log_key_unreadable",
        )
    return RoomId(named[1])


def _opened(connection: sqlite3.Connection, home: Home, room: RoomId) -> tuple[Journal, Keyring] | None:
    """Return the room's journal and keyring if its root key is on this machine, else None."""
    try:
        keyring = Keyring(home.root_key(room))
        log = log_of(room, keyring.open(connection, LOG_SIGNING))
        return Journal(room, log, keyring.open(connection, LOG_DETAILS)), keyring
    except (Fault, KeyManagementError):
        return None


def _head(connection: sqlite3.Connection) -> bytes:
    (note,) = connection.execute("SELECT note FROM audit_head").fetchone()
    return bytes(note)
