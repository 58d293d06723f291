"""Take a member's package in: verify, keep the file, then one transaction for key, record and log entry.

The file is durable before the record that names it; a crash in between leaves a file that no record knows, which the
next intake removes. Handing the same package in again gives the same receipt.
"""

from __future__ import annotations

import hashlib
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from audit_log import EventType, Outcome
from cleanroom.client import (
    LinkageKey,
    RoomFacts,
    create_linkage_key,
    linkage_path,
    prepare,
    read_linkage_key,
)
from cleanroom.errors import Bilingual, CleanroomError, Fault, InvalidUpload, UsageError
from cleanroom.partition.package import read_package
from cleanroom.room import registry
from cleanroom.room.answer import Receipt
from cleanroom.room.creation import OPERATOR
from cleanroom.room.database import transaction
from cleanroom.room.locks import taking_in
from cleanroom.storage.intake import VerifiedPackage, verify_package
from key_management import KeyId, KeyKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cleanroom.client import PreparedUpload, Source
    from cleanroom.identifiers import TableName
    from cleanroom.room.room import Room


@dataclass(frozen=True, slots=True)
class UploadReceipt:
    """What the owner gets for an upload, and nobody else (S13).

    Args:
        number: the version of the table's data that this upload makes.
        digest: of the encrypted table file, as stored.
        repeated: whether this very package was taken in before.
    """

    table: TableName
    upload: str
    number: int
    rows: int
    digest: str
    receipt: Receipt
    repeated: bool


def facts_for(room: Room, table: TableName) -> RoomFacts:
    """Return what a member must know to make an upload for `table`."""
    declaration = registry.declarations(room.connection).get(table)
    if declaration is None:
        raise UsageError(
            Bilingual(f"{table} n'est pas déclarée dans cette salle", f"{table} is not declared in this room"),
            code="unknown_table",
        )
    return RoomFacts(room.room_id, room.facts.transport_key, room.facts.epoch, declaration.digest)


def linkage_key_for(room: Room) -> LinkageKey:
    """Return this machine's linkage key of the room's epoch; the room's first member makes it (DESIGN §9).

    Raises:
        Fault: other members have uploaded already, and their key is not here.
    """
    epoch = room.facts.epoch
    path = linkage_path(room.home.path, room.room_id, epoch)
    if path.exists():
        return read_linkage_key(path)
    if registry.linkage_check(room.connection, epoch) is not None:
        raise Fault(
            Bilingual(
                f"les membres ont déjà une clé d'appariement pour l'époque {epoch} ; demandez-la à l'un d'eux : {path}",
                f"the members have a linkage key for epoch {epoch} already; ask one of them for it: {path}",
            ),
            code="linkage_key_missing",
        )
    return create_linkage_key(path, room=room.room_id, epoch=epoch)


def upload(
    room: Room, table: TableName, sources: Source | Sequence[Source], *, package: Path | None = None
) -> tuple[PreparedUpload, UploadReceipt | None]:
    """Make a member's upload and hand it in, or keep its package.

    Args:
        package: where to keep the package instead of handing it in.
    """
    facts = facts_for(room, table)
    catalog = registry.declarations(room.connection)[table].catalog
    signing_key = room.home.signing_key(table.owner)
    linkage_key = linkage_key_for(room)
    if package is not None:
        return prepare(sources, catalog, facts, signing_key, linkage_key, package), None
    with tempfile.TemporaryDirectory(prefix="cleanroom-upload-") as directory:
        prepared = prepare(sources, catalog, facts, signing_key, linkage_key, Path(directory) / "upload.package")
        return prepared, intake(room, prepared.package)


def intake(room: Room, package: Path) -> UploadReceipt:
    """Take a package in.

    Raises:
        InvalidUpload, NotVerified: the package is not what it must be; logged, nothing kept.
        Fault: the disk or the database; nothing half there, and the same package can be handed in again.
    """
    with taking_in(room.path):
        try:
            room.store.remove_orphans({each.upload for each in registry.uploads(room.connection)})
            verified = _verify(room, package)
            for each in registry.uploads(room.connection, verified.manifest.table):
                if each.upload == verified.manifest.upload and each.manifest == verified.manifest:
                    return _receipt(room, each, repeated=True)
            stored = room.store.place(verified)
        except CleanroomError as error:
            if not isinstance(error, Fault):
                _log_refusal(room, package, error)
            raise
        except OSError as error:
            raise Fault(
                Bilingual(f"dépôt impossible : {error.strerror}", f"cannot be stored: {error.strerror}"),
                code="storage_failed",
            ) from None
        try:
            _record(room, verified)
        except BaseException as error:
            # Whether it was committed is the database's to say: a record without its file would fail for ever.
            if verified.manifest.upload not in {each.upload for each in registry.uploads(room.connection)}:
                room.store.remove(stored)
            if isinstance(error, CleanroomError) and not isinstance(error, Fault):
                _log_refusal(room, package, error)
            raise
        room.remember_log()
        taken = registry.uploads(room.connection, verified.manifest.table)
        return _receipt(room, next(each for each in taken if each.upload == stored.upload), repeated=False)


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


def _record(room: Room, verified: VerifiedPackage) -> None:
    manifest = verified.manifest
    owner = registry.party_named(room.connection, manifest.table.owner)
    with transaction(room.connection):
        if registry.declarations(room.connection)[manifest.table].digest != manifest.declaration:
            raise InvalidUpload(
                Bilingual(
                    f"{manifest.table} a été déclarée de nouveau pendant le dépôt ; refaites-le",
                    f"{manifest.table} was declared anew during the upload; make it again",
                ),
                code="mismatched_upload",
            )
        now = registry.advance_clock(room.connection, room.now())
        (number,) = room.connection.execute(
            "SELECT coalesce(max(number), 0) + 1 FROM upload WHERE table_name = ?", (str(manifest.table),)
        ).fetchone()
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
        index = room.journal.append(
            room.connection,
            EventType.DATASET_UPLOADED,
            at=now,
            actor=owner.party,
            ordinals=(owner.ordinal,),
            policy=manifest.declaration,
            details={"upload": manifest.upload, "number": number, "manifest": manifest.encode().decode("ascii")},
        )
        room.connection.execute(
            "INSERT INTO upload (upload, table_name, number, manifest, log_index) VALUES (?, ?, ?, ?, ?)",
            (manifest.upload, str(manifest.table), number, manifest.encode(), index),
        )


def _receipt(room: Room, taken: registry.Upload, *, repeated: bool) -> UploadReceipt:
    return UploadReceipt(
        taken.table,
        taken.upload,
        taken.number,
        taken.manifest.row_count,
        str(taken.manifest.file.digest),
        Receipt(taken.log_index, room.journal.log.receipt(room.connection, taken.log_index)),
        repeated,
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
