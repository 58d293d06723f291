"""Certify an erasure to its member: what was done, and the log's entry with the receipt that proves it.

It says what is done whoever was there, so it reads the same whether the person was in the tables or not: but for what
is random (ids, signatures, keys, commitments) and the time. Whoever it is shown to verifies it with the log's public
key alone: the leaf says that this member erased, when and on which ground; the receipt proves that it is in the log.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from cleanroom.room.home import private_directory, replace_durably

if TYPE_CHECKING:
    from pathlib import Path

    from cleanroom.room.erasure import Erasure
    from cleanroom.room.home import Home
    from cleanroom.room.room import Room

VERSION: Final = "cleanroom/erasure/v1"

_SAYS: Final = {
    "fr": "Toutes les tables du membre dans la salle ont été réécrites sans les lignes des personnes de sa demande. "
    "Aucune version n'a plus les anciens fichiers ; leurs clés sont détruites aussitôt, au plus tard à la "
    "prochaine ouverture de la salle, et le journal le dit (key.destroyed). Les réponses conservées qui "
    "lisaient ces tables sont détruites. Ce certificat est le même, que ces personnes aient été dans les "
    "tables ou non. Aucune ligne n'est remise à une autre partie : seuls des chiffres bruités sortent de la "
    "salle, il n'y a donc aucun destinataire à aviser. Les sauvegardes faites avant gardent les anciens "
    "fichiers jusqu'à ce que l'opérateur les remplace.",
    "en": "All tables of the member in the room were written anew without the rows of the people of its request. No "
    "version has the old files any more; their keys are destroyed at once, at the latest at the room's next "
    "opening, and the log says so (key.destroyed). The stored answers that read these tables are destroyed. "
    "This certificate is the same whether these people were in the tables or not. No row is handed to another "
    "party: only noised figures leave the room, so there is no recipient to notify. Backups made before keep "
    "the old files until the operator replaces them.",
}


def certificate(room: Room, erasure: Erasure) -> dict[str, object]:
    """Return the certificate of an erasure as one document of plain values."""
    request = erasure.request
    return {
        "certificate": VERSION,
        "room": room.room_id,
        "member": request.party,
        "ground": erasure.ground.value,
        "requested_at": _moment(request.at),
        "erased_at": _moment(erasure.at),
        "tables": [
            {"table": str(each.table), "version_before": each.before, "version": each.number} for each in erasure.tables
        ],
        "says": _SAYS,
        "request": {"id": request.request_id, "content": dict(request.content), "signature": request.signature.hex()},
        "entry": erasure.receipt.index,
        "leaf": erasure.leaf.decode("ascii"),
        "receipt": erasure.receipt.proof.decode("utf-8"),
        "log_key": room.journal.log.verifier.vkey,
    }


def certificate_path(home: Home, room: str, index: int) -> Path:
    """Return where the certificate of an erasure is kept."""
    return home.path / "rooms" / room / "erasures" / f"{index}.json"


def keep_certificate(room: Room, erasure: Erasure) -> Path:
    """Keep the certificate on the member's machine, durably.

    Raises:
        OSError: the disk.
    """
    path = certificate_path(room.home, room.room_id, erasure.receipt.index)
    private_directory(path.parent)
    content = json.dumps(certificate(room, erasure), ensure_ascii=False, indent=2, sort_keys=True)
    replace_durably(path, f"{content}\n".encode())
    return path


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
