"""Take a member's package in: verify, keep the file, then one transaction for key, record and log entry.

The file is durable before the record that names it; a crash in between, or a database that fails, leaves a file that no
record knows, which the next intake removes. Handing the same package in again gives the same receipt.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from audit_log import EventType, Outcome
from cleanroom.errors import Bilingual, CleanroomError, Fault, InvalidUpload, InvariantBroken
from cleanroom.partition.intent import Append, Correct, Erase, Replace
from cleanroom.partition.package import read_package, verify_signature
from cleanroom.room import registry
from cleanroom.room.answer import Receipt
from cleanroom.room.answer_store import take_away
from cleanroom.room.database import transaction
from cleanroom.room.home import OPERATOR
from cleanroom.room.locks import taking_in
from cleanroom.room.retirement import finish, remove_orphans, retire
from cleanroom.room.witnesses import receipt_of
from cleanroom.storage.intake import VerifiedPackage, verify_package
from key_management import KeyId, KeyKind

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from cleanroom.identifiers import RoomId, TableName, UploadId
    from cleanroom.partition.manifest import Manifest
    from cleanroom.room.registry import Retirement, Upload
    from cleanroom.room.room import Room


@dataclass(frozen=True, slots=True)
class UploadReceipt:
    """What the owner gets for an upload, and nobody else (S13).

    Args:
        room: the room that took it.
        number: the version of the table's data that this upload makes.
        digest: of the encrypted table file, as stored.
        repeated: whether this very package was taken in before.
        retires: how many earlier uploads it took the place of.
        retired_by: the version that no longer has it, if it was retired since; it does not come back.
    """

    room: RoomId
    table: TableName
    upload: UploadId
    number: int
    rows: int
    digest: str
    receipt: Receipt
    repeated: bool
    retires: int
    retired_by: int | None


def intake(room: Room, package: Path) -> UploadReceipt:
    """Take a package in.

    A package that was taken in before gets the same receipt, whatever has become of its table since; an upload that
    was retired stays retired.

    Raises:
        InvalidUpload, NotVerified: the package is not what it must be; logged, nothing kept.
        Fault: the disk or the database; nothing half there, and the same package can be handed in again.
    """
    with taking_in(room.path):
        try:
            again = _taken_before(room, package)
            if again is not None:
                finish(room)
                return again
            verified = _verify(room, package)
            _retires(room.connection, verified.manifest)
            stored = room.store.place(verified)
        except CleanroomError as error:
            if not isinstance(error, Fault):
                _log_refusal(room, package, error)
            raise
        except OSError as error:
            # What is not the package itself lies in the room, whose paths are not the member's to read.
            named = f" ({package.name})" if str(error.filename) == str(package) else ""
            raise Fault(
                Bilingual(f"dépôt impossible : {error.strerror}{named}", f"cannot be stored: {error.strerror}{named}"),
                code="storage_failed",
            ) from None
        try:
            _record(room, verified)
        except BaseException as error:
            # Whether it was committed is the database's to say: a record without its file would fail for ever. If it
            # is the database that failed, only its next opening can: a commit whose sync failed may be found done.
            if not isinstance(error, Fault) and registry.upload_named(room.connection, stored.upload) is None:
                with suppress(OSError):  # what cannot be removed now is an orphan, and the next intake's to remove
                    room.store.remove(stored)
            if isinstance(error, CleanroomError) and not isinstance(error, Fault):
                _log_refusal(room, package, error)
            raise
        # It is in: that this machine could not note the checkpoint must not lose the receipt.
        with suppress(OSError):
            room.remember_log()
            remove_orphans(room)
        taken = registry.upload_named(room.connection, stored.upload)
        if taken is None:
            raise InvariantBroken("an upload was recorded and is not there")
        receipt = _receipt(room, *taken, repeated=False)
        # What it replaces is retired already; if keys and files cannot go now, the next opening sees to it.
        finish(room)
        return receipt


def _taken_before(room: Room, package: Path) -> UploadReceipt | None:
    """Return the receipt of a package that was taken in before, byte for byte, else None.

    Raises:
        InvalidUpload: another package has its id; ids are random, so its maker chose it.
    """
    read = read_package(package)
    known = registry.upload_named(room.connection, read.manifest.upload)
    if known is None:
        return None
    if known[0].manifest != read.manifest:
        raise InvalidUpload(
            Bilingual("un autre paquet porte déjà ce nom de dépôt", "another package has this upload's id already"),
            code="upload_id_taken",
        )
    verify_signature(read, registry.party_named(room.connection, read.manifest.table.owner).public_key)
    return _receipt(room, *known, repeated=True)


def _verify(room: Room, package: Path) -> VerifiedPackage:
    claimed = read_package(package).manifest
    declaration = registry.declarations(room.connection).get(claimed.table)
    if declaration is None:
        raise InvalidUpload(
            Bilingual(f"{claimed.table} n'est pas déclarée", f"{claimed.table} is not declared"), code="unknown_table"
        )
    owner = registry.party_named(room.connection, claimed.table.owner)
    return verify_package(
        package,
        room=room.room_id,
        catalog=declaration.catalog,
        declaration_digest=declaration.digest,
        epoch=room.facts.epoch,
        linkage_check=registry.linkage_check(room.connection, room.facts.epoch),
        member_key=owner.public_key,
        open_sealed=room.transport_key().open,
    )


def _retires(connection: sqlite3.Connection, manifest: Manifest) -> tuple[Upload, ...]:
    """Return the uploads that a new one takes the place of.

    Raises:
        InvalidUpload: the table has moved on since the package was made, so that it no longer means what was signed.
    """
    table, version = manifest.table, registry.version(connection, manifest.table)
    current = registry.uploads(connection, table)
    if manifest.after > version or (version and registry.began_anew(connection, table) > manifest.after):
        raise _moved_on(table, manifest.after, version)
    match manifest.intent:
        case Append():
            return ()
        case Replace():
            if manifest.after != version:
                raise _moved_on(table, manifest.after, version)
            return current
        case Correct(upload=corrected):
            # An erasure wrote files anew; their packages' names still mean them.
            found = tuple(each for each in current if corrected in {each.upload, each.package})
            if not found:
                raise InvalidUpload(
                    Bilingual(
                        f"{table} n'a pas de dépôt {corrected} en version {version} ; cleanroom uploads les montre",
                        f"{table} has no upload {corrected} in its version {version}; cleanroom uploads shows them",
                    ),
                    code="no_such_upload",
                )
            return found
        case Erase():
            raise InvariantBroken("a package that says it is the room's own was verified")
    assert_never(manifest.intent)


def _moved_on(table: TableName, after: int, version: int) -> InvalidUpload:
    return InvalidUpload(
        Bilingual(
            f"ce paquet est fait sur la version {after} de {table}, qui en est à la version {version} ; refaites-le",
            f"this package was made on version {after} of {table}, which is at version {version}; make it again",
        ),
        code="table_moved_on",
    )


def _record(room: Room, verified: VerifiedPackage) -> None:
    manifest = verified.manifest
    owner = registry.party_named(room.connection, manifest.table.owner)
    with transaction(room.connection):
        declaration = registry.declarations(room.connection).get(manifest.table)
        if declaration is None or declaration.digest != manifest.declaration:
            raise InvalidUpload(
                Bilingual(
                    f"{manifest.table} a été déclarée de nouveau pendant le dépôt ; refaites-le",
                    f"{manifest.table} was declared anew during the upload; make it again",
                ),
                code="mismatched_upload",
            )
        retires = _retires(room.connection, manifest)
        now = registry.advance_clock(room.connection, room.now())
        number = registry.version(room.connection, manifest.table) + 1
        if registry.linkage_check(room.connection, manifest.epoch) is None:
            room.connection.execute(
                "INSERT INTO linkage (epoch, linkage_check) VALUES (?, ?)", (manifest.epoch, manifest.linkage_check)
            )
            room.journal.append(
                room.connection,
                EventType.LINKAGE_REGISTERED,
                at=now,
                actor=owner.party,
                ordinals=(owner.ordinal,),
                details={"epoch": manifest.epoch, "check": manifest.linkage_check.hex()},
            )
        room.keyring.adopt(
            room.connection,
            KeyId(KeyKind.DATA, manifest.upload),
            KeyId(KeyKind.MEMBER, owner.party),
            verified.data_key,
        )
        answers = take_away(room, manifest.table)
        index = room.journal.append(
            room.connection,
            EventType.DATASET_UPLOADED,
            at=now,
            actor=owner.party,
            ordinals=(owner.ordinal,),
            policy=manifest.declaration,
            details={
                "upload": manifest.upload,
                "number": number,
                "manifest": manifest.encode().decode("ascii"),
                "retires": [each.upload for each in retires],
                "answers_removed": answers,
            },
        )
        room.connection.execute(
            "INSERT INTO upload (upload, table_name, number, manifest, log_index) VALUES (?, ?, ?, ?, ?)",
            (manifest.upload, str(manifest.table), number, manifest.encode(), index),
        )
        retire(room.connection, retires, number=number, log_index=index)


def _receipt(room: Room, taken: Upload, end: Retirement | None, *, repeated: bool) -> UploadReceipt:
    (retires,) = room.connection.execute(
        "SELECT count(*) FROM retirement WHERE log_index = ?", (taken.log_index,)
    ).fetchone()
    return UploadReceipt(
        room.room_id,
        taken.table,
        taken.upload,
        taken.number,
        taken.manifest.row_count,
        str(taken.manifest.file.digest),
        receipt_of(room, taken.log_index),
        repeated,
        retires,
        None if end is None else end.number,
    )


def _log_refusal(room: Room, package: Path, error: CleanroomError) -> None:
    """Enter a refused package; whom it claims to be from is a claim, and in the sealed details only (S13)."""
    claimed = ""
    digest = ""
    with suppress(OSError), package.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    with suppress(CleanroomError, OSError):
        claimed = read_package(package).manifest.table.owner
    with transaction(room.connection):
        known = registry.parties(room.connection)
        room.journal.append(
            room.connection,
            EventType.UPLOAD_REFUSED,
            at=registry.advance_clock(room.connection, room.now()),
            actor=OPERATOR,
            outcome=Outcome.REFUSED,
            ordinals=(known[OPERATOR].ordinal,),
            details={"reason": error.code, "claimed": claimed, "package": f"sha256:{digest}"},
        )
