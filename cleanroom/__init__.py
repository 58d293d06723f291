"""A privacy-preserving data clean room.

`cleanroom.Room` needs the extra `room` (DuckDB, OpenDP, sqlglot, numba); it is loaded when first used, so that a
member's machine can use `cleanroom.client` without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleanroom.errors import CleanroomError, Fault, InvalidUpload, NotVerified, Refusal, Refused

if TYPE_CHECKING:
    from cleanroom.room import Answer, Home, Preview, Room, Session

__all__ = [
    "Answer",
    "CleanroomError",
    "Fault",
    "Home",
    "InvalidUpload",
    "NotVerified",
    "Preview",
    "Refusal",
    "Refused",
    "Room",
    "Session",
]

_IN_ROOM = frozenset({"Answer", "Home", "Preview", "Room", "Session"})


def __getattr__(name: str) -> object:
    if name in _IN_ROOM:
        from cleanroom import room

        return getattr(room, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
