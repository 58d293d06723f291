"""Keep receipts where their owner finds them: `$CLEANROOM_HOME/rooms/ROOM_ID/receipts/INDEX.tlog-proof`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from cleanroom.room import Receipt, Room


def keep(room: Room, receipt: Receipt) -> Path:
    """Write a receipt and return its path."""
    directory = room.home.room(room.room_id) / "receipts"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = directory / f"{receipt.index}.tlog-proof"
    temporary = directory / f".{receipt.index}.{os.getpid()}.tmp"
    temporary.write_bytes(receipt.proof)
    temporary.replace(path)
    return path
