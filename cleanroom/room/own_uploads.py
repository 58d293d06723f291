"""What an owner reads of its own uploads, each held against the log; to others, nothing of them exists (S13)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from audit_log import DetailsErased, EventType, LogFault, verify_receipt
from audit_log import NotVerified as LogNotVerified
from cleanroom.identifiers import Digest, TableName
from cleanroom.partition.intent import act
from cleanroom.room import registry
from cleanroom.room.database import transaction
from cleanroom.room.home import receipt_path
from cleanroom.room.recorded import Recorded, read_entry
from cleanroom.room.signed_request import SignedRequest

if TYPE_CHECKING:
    from pathlib import Path

    from cleanroom.identifiers import PartyId, UploadId
    from cleanroom.room.registry import Retirement, Upload
    from cleanroom.room.room import Room

ACTION: Final = "uploads"
_MAKING: Final = frozenset({EventType.DATASET_UPLOADED, EventType.DATASET_ERASED})


@dataclass(frozen=True, slots=True)
class OwnUpload:
    """An upload as its owner sees it.

    Args:
        number: the version of the table that it made.
        act: `append`, `replace` or `correct`; `erase` of what the room wrote anew when somebody was erased.
        at: Unix time in seconds, the log's.
        digest: of the encrypted table file.
        end: when and how far it was retired; None while the table's version has it.
        receipt: where this machine keeps its receipt, if it proves the log's entry.
        proven: whether the signed log holds exactly this upload, and its end.
    """

    table: TableName
    number: int
    upload: UploadId
    act: str
    rows: int
    at: int
    digest: str
    log_index: int
    end: Retirement | None
    receipt: Path | None
    proven: bool


def sign_reading(room: Room, party: PartyId, table: TableName | None) -> SignedRequest:
    """Sign, with the party's key on this machine, that it reads its uploads; of one table, or of all its tables."""
    return SignedRequest.sign(
        room.home.signing_key(party),
        room=room.room_id,
        party=party,
        action=ACTION,
        content={"table": None if table is None else str(table)},
        at=room.now(),
    )


def own_uploads(room: Room, request: SignedRequest) -> tuple[OwnUpload, ...]:
    """Return every upload of the request's party, retired ones included; logged.

    Another's table, and one that there is not, give nothing, and the same nothing.
    """
    party = room.verified(request, ACTION)
    with transaction(room.connection):
        now = room.take(request)
        room.journal.append(
            room.connection,
            EventType.CATALOG_READ,
            at=now,
            actor=party.party,
            ordinals=(party.ordinal,),
            details={
                "read": ACTION,
                **request.entered(),
                "content": dict(request.content),
            },
        )
    wanted = request.content.get("table")
    return tuple(
        _shown(room, upload, end)
        for upload, end in registry.history(room.connection)
        if upload.table.owner == party.party and wanted in {None, str(upload.table)}
    )


def _shown(room: Room, upload: Upload, end: Retirement | None) -> OwnUpload:
    manifest = upload.manifest
    kept = receipt_path(room.home, room.room_id, upload.log_index)
    return OwnUpload(
        upload.table,
        upload.number,
        upload.upload,
        act(manifest.intent),
        manifest.row_count,
        room.journal.log.entry(room.connection, upload.log_index).event.t,
        str(manifest.file.digest),
        upload.log_index,
        end,
        kept if _proves(room, kept, upload.log_index) else None,
        _proven(room, upload, end),
    )


def _proves(room: Room, kept: Path, index: int) -> bool:
    """Tell whether a kept receipt is there, and proves this entry of the log."""
    try:
        leaf = room.journal.log.leaf(room.connection, index)
        return verify_receipt(kept.read_bytes(), leaf, room.journal.log.verifier)[0] == index
    except (OSError, LogFault, LogNotVerified):
        return False


def _proven(room: Room, upload: Upload, end: Retirement | None) -> bool:
    log, connection = room.journal.log, room.connection
    try:
        leaf = log.leaf(connection, upload.log_index)
        proof = log.receipt(connection, upload.log_index)
        if verify_receipt(proof, leaf, log.verifier)[0] != upload.log_index:
            return False
        said = Recorded()
        for index in {upload.log_index} | (set() if end is None else {end.log_index}):
            read_entry(said, index, log.entry(connection, index), room.journal.details(connection, index))
        taken = (upload.number, upload.log_index, str(Digest.of(upload.manifest.encode())))
        ended = None if end is None else (end.number, end.log_index)
        return said.uploads.get(upload.upload) == taken and said.retired.get(upload.upload) == ended
    except DetailsErased:
        # The leaf stays when its details were erased; that it is an upload is then all that can be proven.
        return log.entry(connection, upload.log_index).event.type in _MAKING
    except (KeyError, LogFault, LogNotVerified):
        return False
