"""Keep receipts where their owner finds them: `$CLEANROOM_HOME/rooms/ROOM_ID/receipts/INDEX.tlog-proof`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from cleanroom.cli.console import Console
    from cleanroom.room import Receipt, Room


def keep(console: Console, room: Room, receipt: Receipt) -> Path | None:
    """Write a receipt and return its path; what it proves is done, so a disk that fails here is a warning only."""
    path = room.home.room(room.room_id) / "receipts" / f"{receipt.index}.tlog-proof"
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary.write_bytes(receipt.proof)
        temporary.replace(path)
    except OSError as error:
        console.note(
            f"le reçu n'a pas pu être gardé : {path} ({error.strerror})",
            f"the receipt could not be kept: {path} ({error.strerror})",
        )
        return None
    return path
