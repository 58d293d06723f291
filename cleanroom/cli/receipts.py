"""Keep receipts where their owner finds them: `$CLEANROOM_HOME/rooms/ROOM_ID/receipts/INDEX.tlog-proof`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleanroom.room.home import keep_receipt, receipt_path

if TYPE_CHECKING:
    from pathlib import Path

    from cleanroom.cli.console import Console
    from cleanroom.identifiers import RoomId
    from cleanroom.room import Home, Receipt


def keep(console: Console, home: Home, room: RoomId, receipt: Receipt) -> Path | None:
    """Write a receipt and return its path; what it proves is done, so a disk that fails here is a warning only."""
    path = receipt_path(home, room, receipt.index)
    try:
        keep_receipt(home, room, receipt.index, receipt.proof)
    except OSError as error:
        console.note(
            f"le reçu n'a pas pu être gardé : {path} ({error.strerror})",
            f"the receipt could not be kept: {path} ({error.strerror})",
        )
        return None
    return path
