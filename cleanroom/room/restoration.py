"""Put a saved room back: `cleanroom restore`. A backup that would give budget back is refused.

An older room has forgotten what was spent since, so the same budget could be spent twice. Whether something was is not
in the backup; it is in what others hold: the checkpoint that this machine remembers outside the room, renewed before
any key is opened for a question; checkpoints that members verified; receipts, of which every answer that left gave its
asker one. At least one of these is needed. The log in the backup must contain all of them, or the room stays closed:
there is no switch to go on all the same, and charging the lost questions in full would not mend it, since a log that
grew anew from an earlier point is, for whoever holds the later one, a rewritten log (docs/adr/0012).
"""

from __future__ import annotations

import hmac
import os
import shutil
import sqlite3
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from audit_log import EventType, LogFault, MalformedReceipt, explain, open_checkpoint, verify_database
from audit_log import NotVerified as LogNotVerified
from audit_log import Receipt as LogReceipt
from cleanroom.errors import Bilingual, CleanroomError, Fault, NotVerified, UsageError
from cleanroom.partition.package import sync_directory
from cleanroom.room import archive, registry
from cleanroom.room.backup import mac
from cleanroom.room.creation import DATABASE, LOG_DETAILS, LOG_KEY, LOG_SIGNING, PARTITIONS, SETTINGS, log_of
from cleanroom.room.database import connect, transaction
from cleanroom.room.home import OPERATOR
from cleanroom.room.journal import Journal
from cleanroom.room.log_memory import require_known_key, seen_checkpoint
from cleanroom.room.logbook import damaged_partitions
from cleanroom.room.reconciliation import contradictions
from cleanroom.room.unverified import unverified
from cleanroom.storage.partition_store import PartitionStore
from key_management import KeyManagementError, Keyring

if TYPE_CHECKING:
    from collections.abc import Sequence

    from audit_log import Checkpoint, Log
    from cleanroom.identifiers import RoomId
    from cleanroom.room.home import Home


@dataclass(frozen=True, slots=True)
class Evidence:
    """A checkpoint that somebody holds outside the room.

    Args:
        source: where it was found; None for what this machine remembers.
    """

    source: Path | None
    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True)
class Restored:
    """A room that was put back.

    Args:
        entries: how many entries its log had when it was saved.
        evidence: what it was compared with.
    """

    room: RoomId
    entries: int
    made_at: int
    evidence: tuple[Evidence, ...]


def restore(source: Path, path: Path, home: Home, checkpoints: Sequence[Path] = ()) -> Restored:
    """Put a saved room back where there is none; it appears whole or not at all.

    Args:
        checkpoints: files of checkpoints or receipts that members hold.

    Raises:
        UsageError: there is something at `path`, or a file cannot be read.
        NotVerified: the backup is cut short or altered, the evidence contradicts it or is newer, or there is none.
        Fault: the disk, or the root key is not on this machine.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UsageError(
            Bilingual(f"{path} existe et n'est pas vide", f"{path} exists and is not empty"), code="room_exists"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with source.open("rb") as opened:
            staging = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
            try:
                index, code = archive.read_head(opened)
                archive.read_files(opened, index, staging)
                restored = _judged(staging, index, code, home, checkpoints)
                _make_durable(staging)
                if path.exists():
                    path.rmdir()
                staging.rename(path)
                sync_directory(path.parent)
            except BaseException:
                shutil.rmtree(staging, ignore_errors=True)
                raise
    except OSError as error:
        where = os.fsdecode(error.filename or source)
        raise Fault(
            Bilingual(f"{where} : {error.strerror}", f"{where}: {error.strerror}"), code="storage_failed"
        ) from None
    return restored


def _judged(staging: Path, index: archive.Index, code: bytes, home: Home, checkpoints: Sequence[Path]) -> Restored:
    """Hold everything in the backup against keys, log and evidence, and enter in its log that it is put back."""
    if {each.name for each in index.files if "/" not in each.name} != {DATABASE, SETTINGS, LOG_KEY}:
        raise archive.damaged("backup.json")
    with closing(connect(staging / DATABASE)) as connection:
        try:
            facts = registry.room_file(connection)
        except (sqlite3.Error, CleanroomError, TypeError, ValueError):
            raise archive.damaged(DATABASE) from None
        # The index's name has the form of a room's; the database's becomes a path of the home only if it is the same.
        if index.room != facts.room:
            raise archive.damaged(DATABASE)
        keyring = Keyring(home.root_key(facts.room))
        try:
            keyring.verify_root(connection)
            log = log_of(facts.room, keyring.open(connection, LOG_SIGNING))
            details_key = keyring.open(connection, LOG_DETAILS)
        except KeyManagementError as error:
            raise Fault(
                Bilingual(f"les clés de la salle ne s'ouvrent pas : {error}", f"the room's keys do not open: {error}"),
                code="keys_refused",
            ) from None
        if not hmac.compare_digest(mac(details_key, index), code):
            raise archive.damaged("backup.mac")
        if (staging / LOG_KEY).read_text("ascii").strip() != log.verifier.vkey:
            raise archive.damaged(LOG_KEY)
        require_known_key(home, log.verifier)
        evidence = _evidence(home, log, checkpoints)
        head = _require_contained(connection, log, evidence)
        journal = Journal(facts.room, log, details_key)
        wrong = (
            *damaged_partitions(connection, PartitionStore(staging / PARTITIONS)),
            *contradictions(connection, journal, keyring),
        )
        if wrong:
            raise NotVerified(wrong[0], code="state_contradicts_log")
        _enter(connection, journal, index, evidence)
    return Restored(facts.room, head.size, index.made_at, evidence)


def _evidence(home: Home, log: Log, checkpoints: Sequence[Path]) -> tuple[Evidence, ...]:
    """Read what this machine remembers and what others handed over, each with the log's signature; at least one."""
    found = [Evidence(path, _checkpoint(path, log)) for path in checkpoints]
    seen = seen_checkpoint(home, log.verifier)
    if seen is not None:
        found.append(Evidence(None, seen))
    if not found:
        raise NotVerified(
            Bilingual(
                "rien ne dit si cette sauvegarde oublie des dépenses : demandez à un membre son point de contrôle ou "
                "son dernier reçu (--checkpoint FILE)",
                "nothing tells whether this backup forgets spending: ask a member for its checkpoint or its last "
                "receipt (--checkpoint FILE)",
            ),
            code="no_checkpoint",
        )
    return tuple(found)


def _checkpoint(path: Path, log: Log) -> Checkpoint:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(
            Bilingual(f"{path} ne se lit pas ({error.strerror})", f"{path} cannot be read ({error.strerror})"),
            code="unreadable_file",
        ) from None
    try:
        note = LogReceipt.parse(content).note
    except MalformedReceipt:
        note = content
    try:
        return open_checkpoint(note, log.verifier)
    except LogNotVerified:
        raise NotVerified(
            Bilingual(
                f"{path} n'est pas un point de contrôle signé de ce journal",
                f"{path} is no signed checkpoint of this log",
            ),
            code="checkpoint_not_verified",
        ) from None


def _require_contained(connection: sqlite3.Connection, log: Log, evidence: Sequence[Evidence]) -> Checkpoint:
    """Verify the whole log of a backup, and that it contains every checkpoint that somebody holds."""
    try:
        head = log.verify_head(connection)
    except LogFault as error:
        raise unverified(error) from None
    newest = max(evidence, key=lambda each: each.checkpoint.size)
    if newest.checkpoint.size > head.size:
        missing = newest.checkpoint.size - head.size
        whose = str(newest.source) if newest.source is not None else None
        raise NotVerified(
            Bilingual(
                f"cette sauvegarde est en retard : il lui manque {missing} entrée(s) du journal que "
                f"{whose or 'cette machine'} prouve ; ce qui fut dépensé depuis serait rendu. Prenez une sauvegarde "
                "plus récente ; s'il n'y en a pas, la salle ne rouvre pas",
                f"this backup is behind: it lacks {missing} of the log's entries that "
                f"{whose or 'this machine'} proves; what was spent since would be given back. Take a newer backup; if "
                "there is none, the room does not open again",
            ),
            code="backup_behind",
        )
    verdict = verify_database(connection, log.verifier.vkey, contains=[each.checkpoint for each in evidence])
    if not verdict.ok:
        raise NotVerified(Bilingual(explain(verdict, "fr"), explain(verdict, "en")), code="log_not_verified")
    return head


def _enter(
    connection: sqlite3.Connection, journal: Journal, index: archive.Index, evidence: Sequence[Evidence]
) -> None:
    with transaction(connection):
        journal.append(
            connection,
            EventType.ROOM_RESTORED,
            at=registry.advance_clock(connection, int(time.time())),
            actor=OPERATOR,
            ordinals=(0,),
            details={
                "made_at": index.made_at,
                "compared": [[each.checkpoint.size, each.checkpoint.root.hex()] for each in evidence],
            },
        )
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _make_durable(directory: Path) -> None:
    for each in sorted(directory.rglob("*"), reverse=True):
        if each.is_dir():
            sync_directory(each)
        else:
            descriptor = os.open(each, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
    sync_directory(directory)
