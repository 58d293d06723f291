"""Save a room to one file while it is used: `cleanroom backup`.

What is saved is the room of one instant: a snapshot of the database by SQLite's own backup, which readers and writers
do not disturb, then the partitions of that snapshot, which never change and cannot go while intake is held off. The
file appears whole or not at all. No key is in it but wrapped ones: without the root key, which is not, it opens for
nobody; rows are the ciphertext that they are in the room, and what the room keeps in clear is in clear here too.
"""

from __future__ import annotations

import hashlib
import hmac
import shutil
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from audit_log import EventType, open_checkpoint
from cleanroom.errors import Bilingual, Fault, NotVerified, UsageError
from cleanroom.partition.package import replacing
from cleanroom.room import archive, registry
from cleanroom.room.creation import DATABASE, LOG_DETAILS, LOG_KEY, PARTITIONS, SETTINGS
from cleanroom.room.database import storage_fault, transaction
from cleanroom.room.home import OPERATOR
from cleanroom.room.locks import taking_in

if TYPE_CHECKING:
    from audit_log import Checkpoint
    from cleanroom.room.room import Room
    from key_management import SecretKey

_MAC_LABEL: Final = b"cleanroom/backup/v1\0"


@dataclass(frozen=True, slots=True)
class Backup:
    """What was saved.

    Args:
        size: of the file, in bytes.
        checkpoint: of the log in it; a restore is compared with what others hold.
        partitions: how many encrypted files are in it.
    """

    path: Path
    size: int
    checkpoint: Checkpoint
    partitions: int


def backup(room: Room, path: Path) -> Backup:
    """Save a room; logged, and the entry is in the file.

    Raises:
        UsageError: there is a file already, or it would lie inside the room.
        Fault: the disk, or a partition is missing; nothing was written.
    """
    if path.exists():
        raise UsageError(Bilingual(f"{path} existe déjà", f"{path} exists already"), code="backup_exists")
    if room.path.resolve() in path.resolve().parents:
        raise UsageError(
            Bilingual("une sauvegarde ne va pas dans la salle même", "a backup does not go into the room itself"),
            code="backup_inside_room",
        )
    with taking_in(room.path):
        with transaction(room.connection):
            now = registry.advance_clock(room.connection, room.now())
            room.journal.append(
                room.connection,
                EventType.ROOM_SAVED,
                at=now,
                actor=OPERATOR,
                ordinals=(0,),
                details={"format": archive.FORMAT},
            )
        room.remember_log()
        staging = _directory_beside(path)
        try:
            head = _snapshot(room, staging / DATABASE)
            for name in (SETTINGS, LOG_KEY):
                shutil.copyfile(room.path / name, staging / name)
            with closing(sqlite3.connect(staging / DATABASE)) as snapshot:
                uploads = registry.uploads(snapshot)
            _close_snapshot(staging)
            own = archive.measured(staging, (DATABASE, SETTINGS, LOG_KEY))
            places = [room.store.path(room.stored(each)).relative_to(room.path).as_posix() for each in uploads]
            partitions = tuple(
                archive.ArchivedFile(place, each.manifest.file.size_bytes, each.manifest.file.digest)
                for place, each in zip(places, uploads, strict=True)
            )
            index = archive.Index(room.room_id, now, (*own, *partitions))
            with replacing(path) as target:
                archive.write_head(target, index, mac(room.keyring.open(room.connection, LOG_DETAILS), index))
                for file in index.files:
                    inside = file.name.startswith(f"{PARTITIONS}/")
                    archive.write_file(target, (room.path if inside else staging) / file.name, file)
                archive.write_end(target)
        except NotVerified as error:
            # What lies in the room is not what was handed in: that is no backup.
            raise Fault(error.message, code=error.code) from None
        except OSError as error:
            raise Fault(
                Bilingual(
                    f"la sauvegarde n'a pas pu être écrite ({error.strerror}) ; rien n'en est resté",
                    f"the backup could not be written ({error.strerror}); nothing of it is left",
                ),
                code="storage_failed",
            ) from None
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return Backup(path, path.stat().st_size, head, len(partitions))


def mac(details_key: SecretKey, index: archive.Index) -> bytes:
    """Return what only who opens the room's keys can compute of an index."""
    return hmac.digest(details_key.reveal_secret_bytes(), _MAC_LABEL + index.encode(), hashlib.sha256)


def _directory_beside(path: Path) -> Path:
    try:
        return Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    except OSError as error:
        raise Fault(
            Bilingual(f"{path.parent} : écriture impossible ({error.strerror})", f"{path.parent}: {error.strerror}"),
            code="storage_failed",
        ) from None


def _snapshot(room: Room, to: Path) -> Checkpoint:
    """Copy the database of an instant; return the checkpoint of its log."""
    try:
        with closing(sqlite3.connect(to)) as target:
            room.connection.backup(target)
            (note,) = target.execute("SELECT note FROM audit_head").fetchone()
    except sqlite3.Error as error:
        raise storage_fault(error) from None
    return open_checkpoint(bytes(note), room.journal.log.verifier)


def _close_snapshot(staging: Path) -> None:
    """Make the snapshot one file: what reading it in WAL mode left beside it goes into it."""
    with closing(sqlite3.connect(staging / DATABASE)) as snapshot:
        snapshot.execute("PRAGMA journal_mode = DELETE")
