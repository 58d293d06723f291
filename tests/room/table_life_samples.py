"""Uploads of the late member, in rooms of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from room_samples import LATE, Place, entries, visits

from audit_log import EventType
from cleanroom.partition.intent import Intent
from cleanroom.room import Room, member_facts, registry, sending, upload

if TYPE_CHECKING:
    from pathlib import Path

    from cleanroom.room import UploadReceipt

TABLE = visits(LATE)


def taken(room: Room, place: Place, intent: Intent | None = None, rows: int | None = None) -> UploadReceipt:
    """Upload the late member's rows, or the first of them."""
    source = place.csv(LATE)
    if rows is not None:
        lines = source.read_text().splitlines(keepends=True)
        source = place.path.parent / f"first-{rows}.csv"
        source.write_text("".join(lines[: rows + 1]))
    _, receipt = upload(room, TABLE, source, intent=intent)
    assert receipt is not None
    return receipt


def packed(room: Room, place: Place, to: Path, intent: Intent | None = None) -> Path:
    """Make a package of the late member's rows, on the table's version as it is now."""
    sending.pack(room.home, member_facts.facts_in(room, TABLE), place.csv(LATE), to, intent)
    return to


def current(room: Room) -> list[tuple[int, int]]:
    return [(each.number, each.manifest.row_count) for each in registry.uploads(room.connection, TABLE)]


def reads(room: Room) -> set[str]:
    """Return the uploads whose keys the last question opened."""
    return set(next(details["uploads"] for _, kind, details in reversed(entries(room)) if kind is EventType.KEY_USED))
