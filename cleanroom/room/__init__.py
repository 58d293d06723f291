"""Composes the rooms of the house: a room on one machine, and a party's session in it.

Names are loaded when first used, so that making a room, uploads and the log do without the engine (DuckDB, OpenDP).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cleanroom.room.answer import AccountCost, Answer, Preview, Receipt
    from cleanroom.room.hand_in import UploadReceipt, intake
    from cleanroom.room.home import Home, public_key
    from cleanroom.room.room import Room
    from cleanroom.room.sending import upload
    from cleanroom.room.session import Session
    from cleanroom.room.upload_choices import UploadChoices

__all__ = [
    "AccountCost",
    "Answer",
    "Home",
    "Preview",
    "Receipt",
    "Room",
    "Session",
    "UploadChoices",
    "UploadReceipt",
    "intake",
    "public_key",
    "upload",
]

_PLACES: Final = {
    "AccountCost": "answer",
    "Answer": "answer",
    "Home": "home",
    "Preview": "answer",
    "Receipt": "answer",
    "Room": "room",
    "Session": "session",
    "UploadChoices": "upload_choices",
    "UploadReceipt": "hand_in",
    "intake": "hand_in",
    "public_key": "home",
    "upload": "sending",
}


def __getattr__(name: str) -> object:
    if name in _PLACES:
        return getattr(import_module(f"cleanroom.room.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
