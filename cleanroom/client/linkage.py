"""Keep the room's linkage key of one epoch: members hold it, the operator never does (DESIGN §5, §9).

The file is text of four lines: a label, the room, the epoch, 64 hexadecimal digits. Members hand the key on to each
other outside the room (`cleanroom.room.linkage_handover`).
"""

from __future__ import annotations

import hmac
import os
import re
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cleanroom.client.tokens import hmac_key
from cleanroom.errors import Bilingual, Fault, UsageError
from cleanroom.identifiers import Epoch, RoomId
from cleanroom.partition.manifest import is_epoch
from cleanroom.partition.package import open_new, sync_directory
from key_management.secret import SecretKey

if TYPE_CHECKING:
    from pathlib import Path

_FILE_LABEL: Final = "cleanroom/linkage-key/v1"
_CHECK_LABEL: Final = "cleanroom/linkage-check/v1"
_DIRECTORY_NAME: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z._+=-]{0,199}", re.ASCII)
_KEY: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_LARGEST_FILE: Final = 4096


@dataclass(frozen=True, slots=True)
class LinkageKey:
    """The secret under which a room's members make tokens during one epoch."""

    room: RoomId
    epoch: Epoch
    secret: SecretKey

    def check(self) -> bytes:
        """Return 32 bytes that two members with the same key agree on, and that tell nothing about the key.

        The room keeps the first upload's and compares: a member with another key would match nobody, silently.
        """
        message = f"{_CHECK_LABEL}\0{self.room}\0{self.epoch}".encode()
        return hmac.digest(hmac_key(self.secret).encode(), message, "sha256")


def linkage_path(home: Path, room: RoomId, epoch: Epoch) -> Path:
    """Return where a member keeps a linkage key: `rooms/ROOM_ID/linkage/EPOCH.key` under `home`.

    Raises:
        UsageError: the room's id or the epoch is not fit for a file name.
    """
    if _DIRECTORY_NAME.fullmatch(room) is None or not is_epoch(epoch):
        raise UsageError(
            Bilingual(
                f"identifiant de salle ou époque impropre : {room!r}, {epoch!r}",
                f"room id or epoch unfit for a file name: {room!r}, {epoch!r}",
            ),
            code="invalid_room",
        )
    return home / "rooms" / room / "linkage" / f"{epoch}.key"


def create_linkage_key(path: Path, *, room: RoomId, epoch: Epoch) -> LinkageKey:
    """Make the linkage key of an epoch; the room's first member makes it, once, and hands it to the others.

    Raises:
        UsageError: there is a key already; it is never replaced, since every token would change.
    """
    key = LinkageKey(room, epoch, SecretKey.generate())
    keep_linkage_key(path, key)
    return key


def keep_linkage_key(path: Path, key: LinkageKey) -> None:
    """Write a linkage key where none is yet, durably, for its owner's eyes alone.

    Raises:
        UsageError: as `create_linkage_key`.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        file = open_new(path)
    except FileExistsError:
        raise UsageError(
            Bilingual(
                f"{path} existe déjà : une clé d'appariement ne se remplace pas",
                f"{path} exists already: a linkage key is never replaced",
            ),
            code="linkage_key_exists",
        ) from None
    with file:
        file.write("\n".join((_FILE_LABEL, key.room, key.epoch, hmac_key(key.secret), "")).encode())
        file.flush()
        os.fsync(file.fileno())
    sync_directory(path.parent)


def read_linkage_key(path: Path) -> LinkageKey:
    """Read a linkage key that only its owner can read.

    Raises:
        Fault: it is missing, open to others, no regular file, or of another form.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        raise _refused(path, "fichier absent ou illisible", "missing or unreadable file") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise _refused(path, "ce n'est pas un fichier", "not a regular file")
        if status.st_mode & 0o077 or status.st_uid != os.geteuid():
            raise _refused(
                path,
                "d'autres peuvent le lire ; faites `chmod 600` sous votre propre compte",
                "others can read it; use `chmod 600` under your own account",
            )
        content = os.read(descriptor, _LARGEST_FILE)
    finally:
        os.close(descriptor)
    lines = content.decode("utf-8", errors="replace").split("\n")
    if len(lines) != 5 or lines[0] != _FILE_LABEL or _KEY.fullmatch(lines[3]) is None or lines[4]:
        raise _refused(path, "ce n'est pas une clé d'appariement", "this is no linkage key")
    return LinkageKey(RoomId(lines[1]), Epoch(lines[2]), SecretKey.adopt(bytes.fromhex(lines[3])))


def _refused(path: Path, fr: str, en: str) -> Fault:
    return Fault(Bilingual(f"clé d'appariement {path} : {fr}", f"linkage key {path}: {en}"), code="linkage_key_refused")
