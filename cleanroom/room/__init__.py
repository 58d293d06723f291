"""Composes the rooms of the house: a room on one machine, and a party's session in it."""

from cleanroom.room.answer import AccountCost, Answer, Preview, Receipt
from cleanroom.room.hand_in import UploadReceipt, intake, upload
from cleanroom.room.home import Home, public_key
from cleanroom.room.room import Room
from cleanroom.room.session import Session

__all__ = [
    "AccountCost",
    "Answer",
    "Home",
    "Preview",
    "Receipt",
    "Room",
    "Session",
    "UploadReceipt",
    "intake",
    "public_key",
    "upload",
]
