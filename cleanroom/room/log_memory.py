"""What this machine knows of a room's log: its public key, the newest checkpoint seen, and the last one verified whole.

rooms/ROOM_ID/log.vkey      the public key, as first seen
rooms/ROOM_ID/checkpoint    the newest checkpoint seen, at each opening, charge, answer, upload and verification
rooms/ROOM_ID/verified/     the last checkpoint all of whose entries this machine has verified
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from audit_log import Checkpoint, Memory, Verifier, open_checkpoint, open_known_checkpoint
from audit_log import NotVerified as LogNotVerified
from cleanroom.errors import Bilingual, NotVerified
from cleanroom.identifiers import RoomId
from cleanroom.room.home import private_directory, replace_durably
from cleanroom.room.locks import remembering

if TYPE_CHECKING:
    from pathlib import Path

    from cleanroom.room.home import Home

LOG_KEY: Final = "log.vkey"
NEWEST: Final = "/newest"
"""Below a served log's URL: the log as it is now, cosigned or not."""
_SEEN: Final = "checkpoint"
_VERIFIED: Final = "verified"
_ORIGIN: Final = re.compile(r"cleanroom/(r-[0-9a-f]{16})", re.ASCII)


def room_of(verifier: Verifier) -> RoomId:
    """Return the room that a log's key names; the name becomes a path of the home, so its form is checked."""
    named = _ORIGIN.fullmatch(verifier.name)
    if named is None:
        raise NotVerified(
            Bilingual("la clé ne nomme le journal d'aucune salle", "the key names no room's log"),
            code="log_key_unreadable",
        )
    return RoomId(named[1])


def read_key(text: str) -> Verifier:
    """Read a log's public key, else raise `NotVerified`."""
    try:
        return Verifier.from_vkey(text.strip())
    except LogNotVerified:
        raise NotVerified(
            Bilingual("la clé publique du journal est absente ou mal formée", "the log's public key is not readable"),
            code="log_key_unreadable",
        ) from None


def read_key_file(path: Path) -> Verifier:
    """Read a log's public key from a file, else raise `NotVerified`."""
    try:
        return read_key(path.read_text("ascii"))
    except (OSError, UnicodeDecodeError):
        return read_key("")


def known_key(home: Home, room: RoomId) -> str | None:
    """Return the public key under which this machine knows a room's log, None if it does not."""
    place = home.room(room) / LOG_KEY
    return place.read_text("ascii").strip() if place.exists() else None


def require_known_key(home: Home, verifier: Verifier) -> bool:
    """Return whether this machine knows the log already.

    Raises:
        NotVerified: it knows it under another key.
    """
    known = known_key(home, room_of(verifier))
    if known is not None and known != verifier.vkey:
        raise NotVerified(
            Bilingual(
                "la clé du journal n'est pas celle que cette machine connaît",
                "the log's key is not the one this machine knows",
            ),
            code="log_key_changed",
        )
    return known is not None


def seen_checkpoint(home: Home, verifier: Verifier) -> Checkpoint | None:
    """Return the newest checkpoint that this machine has seen of a log, None if it has seen none.

    Raises:
        NotVerified: what is kept was altered.
    """
    seen = home.room(room_of(verifier)) / _SEEN
    try:
        return open_checkpoint(seen.read_bytes(), verifier) if seen.exists() else None
    except LogNotVerified:
        raise NotVerified(
            Bilingual(
                f"le dernier point de contrôle retenu est altéré : {seen}",
                f"the last remembered checkpoint is damaged: {seen}",
            ),
            code="remembered_checkpoint_damaged",
        ) from None


def verified_memory(home: Home, room: RoomId) -> Memory:
    """Return where the last checkpoint verified whole is kept."""
    return Memory(home.room(room) / _VERIFIED)


def remember(home: Home, room: RoomId, vkey: str, note: bytes) -> None:
    """Keep a checkpoint that was seen, so that an older or rewritten log is noticed next time."""
    directory = home.room(room)
    private_directory(directory)
    verifier = _verifier(vkey)
    size = open_known_checkpoint(note, verifier).size
    with remembering(directory):
        if not (directory / LOG_KEY).exists():
            replace_durably(directory / LOG_KEY, f"{vkey}\n".encode("ascii"))
        seen = directory / _SEEN
        try:
            before = seen.read_bytes()
        except FileNotFoundError:
            before = None
        # Of two openers the slower may hold the older checkpoint; the larger one stays.
        if before is None or open_known_checkpoint(before, verifier).size < size:
            replace_durably(seen, note)


_verifier = lru_cache(maxsize=64)(Verifier.from_vkey)
