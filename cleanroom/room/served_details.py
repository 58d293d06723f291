"""Serve an export's sealed details, and fetch them: the very file that `log export --details` wrote, in equal pieces.

GET /details            "<id> <length in bytes>\\n" of the file that is served now; the id is of its boxes, always fresh
GET /details/<id>/<n>   its n-th mebibyte, from 0; the last one may be shorter

No key is needed to serve it, nothing of it is opened, and whoever fetches it fetches all of it: so it says no more than
the file itself to whoever holds one. What left cannot be called back, but what is served can: as soon as the log has an
entry after which an export would hold less (a mandate withdrawn, details erased, a reading key registered), the file is
served no longer, until a later export is in its place.
"""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from audit_log import Envelope, EventType, LogUnreachable, Reply, SealedFile, open_checkpoint
from audit_log import NotVerified as LogNotVerified
from audit_log.tables import read_leaves, read_size
from cleanroom.errors import Bilingual, Fault, NotVerified, UsageError
from cleanroom.room.sealed_export import sealed_path

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from pathlib import Path
    from typing import BinaryIO

    from audit_log import HttpSource, Verifier

PATH: Final = "/details"
PIECE_BYTES: Final = 1 << 20
MOST_BYTES: Final = 64 << 30
"""Longer ones are not fetched: a server must not fill its readers' disks without end."""

ENDING: Final = frozenset(
    {
        EventType.MANDATE_WITHDRAWN,
        EventType.DETAILS_ERASED,
        EventType.RETENTION_EXECUTED,
        EventType.KEY_REGISTERED,
        EventType.PARTY_REMOVED,
    }
)
"""After these an export may hold less than one before, or be sealed to another key."""

_ASKED: Final = re.compile(r"/details(?:/(?P<id>[0-9a-f]{64})/(?P<piece>0|[1-9][0-9]{0,4}))?", re.ASCII)
_HEAD: Final = re.compile(rb"(?P<id>[0-9a-f]{64}) (?P<length>[1-9][0-9]{0,10})\n")
_LONGEST_HEAD: Final = 128
_PAGE: Final = 256


class ServedDetails:
    """The sealed details beside an export, as they are served; the caller lets one thread in at a time."""

    def __init__(self, export: Path, log: Verifier) -> None:
        """Name the file; it may be written later, and be replaced while it is served.

        Args:
            export: the export's directory, which it lies beside.
            log: the log's key.
        """
        self._path = sealed_path(export)
        self._log = log
        self._open: _Open | None = None

    def close(self) -> None:
        """Close the file."""
        if self._open is not None:
            self._open.file.close()
            self._open = None

    def answer(self, connection: sqlite3.Connection, path: str) -> Reply | None:
        """Answer a GET; None for another resource's path.

        Raises:
            LogFault, sqlite3.Error: the log cannot be read.
        """
        asked = _ASKED.fullmatch(path)
        if asked is None:
            return None
        if asked["id"] is None:
            self._renew()
        served = self._open
        if served is None or not served.holds(connection, self._log):
            return _none()
        if asked["id"] is None:
            return Reply(HTTPStatus.OK, f"{served.id} {served.length}\n".encode())
        at = int(asked["piece"]) * PIECE_BYTES
        if asked["id"] != served.id or at >= served.length:
            return _none()
        return Reply(HTTPStatus.OK, os.pread(served.file.fileno(), PIECE_BYTES, at), "application/octet-stream")

    def _renew(self) -> None:
        """Open what is in place now, unless it is open already; a file that is none is as good as none."""
        try:
            found = self._path.stat()
        except OSError:
            self.close()
            return
        if self._open is not None and os.path.samestat(os.fstat(self._open.file.fileno()), found):
            return
        self.close()
        with suppress(OSError, LogNotVerified):
            self._open = _Open.read(self._path, self._log)


@dataclass
class _Open:
    """A file of sealed details that is open.

    Args:
        size, root: of the checkpoint that it was made for.
        looked: how many entries of the log were looked at.
        ended: whether one of them ends it.
    """

    file: BinaryIO
    id: str
    length: int
    size: int
    root: bytes
    looked: int
    ended: bool = False

    @classmethod
    def read(cls, path: Path, log: Verifier) -> _Open:
        """Open it.

        Raises:
            OSError: there is none.
            LogNotVerified: it is none, or another log's.
        """
        file = path.open("rb")
        try:
            sealed = SealedFile(file)
            checkpoint = open_checkpoint(sealed.note, log)
            name = hashlib.sha256(sealed.note + b"".join(sealed.boxes)).hexdigest()
            length = os.fstat(file.fileno()).st_size
        except BaseException:
            file.close()
            raise
        return cls(file, name, length, checkpoint.size, checkpoint.root, checkpoint.size)

    def holds(self, connection: sqlite3.Connection, log: Verifier) -> bool:
        """Say whether an export made now would hold all that this one does."""
        size = read_size(connection)
        if self.ended or size < self.looked:  # a room that was put back must not bring back what had ended
            self.ended = True
            return False
        while self.looked < size:
            end = min(self.looked + _PAGE, size)
            leaves = enumerate(read_leaves(connection, self.looked, end), self.looked)
            if any(Envelope.parse_at(index, leaf).event.type in ENDING for index, leaf in leaves):
                self.ended = True
                return False
            self.looked = end
        row = connection.execute("SELECT note FROM audit_checkpoint WHERE size = ?", (self.size,)).fetchone()
        return row is not None and open_checkpoint(bytes(row[0]), log).root == self.root


def fetch_details(source: HttpSource, file: BinaryIO, progress: Callable[[int, int], None] | None = None) -> None:
    """Fetch the sealed details that a room serves, all of them.

    Args:
        source: the URL.
        file: where to.
        progress: is told how many bytes of how many there are.

    Raises:
        UsageError: it serves none.
        NotVerified: what comes is no such file.
        Fault: it does not answer, the file was replaced meanwhile, or the disk is full.
    """
    try:
        head = source.read(PATH[1:], _LONGEST_HEAD)
        if head is None:
            raise UsageError(
                Bilingual(
                    "aucun détail scellé n'est servi là, ou il faut que l'opérateur les scelle à nouveau (log export "
                    "--details) : un droit, une clé ou des détails ont pris fin depuis",
                    "no sealed details are served there, or the operator has to seal them again (log export "
                    "--details): a right, a key or details have ended since",
                ),
                code="no_sealed_details",
            )
        said = _HEAD.fullmatch(head)
        if said is None or int(said["length"]) > MOST_BYTES:
            raise _unreadable()
        length, name = int(said["length"]), said["id"].decode("ascii")
        for number, at in enumerate(range(0, length, PIECE_BYTES)):
            piece = source.read(f"{PATH[1:]}/{name}/{number}", PIECE_BYTES)
            if piece is None:
                raise Fault(
                    Bilingual(
                        "les détails scellés furent remplacés pendant leur lecture : recommencez",
                        "the sealed details were replaced while they were read: begin again",
                    ),
                    code="sealed_details_replaced",
                )
            if len(piece) != min(PIECE_BYTES, length - at):
                raise _unreadable()
            file.write(piece)
            if progress is not None:
                progress(at + len(piece), length)
        file.flush()
    except LogUnreachable as error:
        raise Fault(
            Bilingual(
                f"les détails scellés ne sont pas joignables : {error.url} ({error.reason})",
                f"the sealed details cannot be reached: {error.url} ({error.reason})",
            ),
            code="log_unreachable",
        ) from None
    except OSError as error:
        raise Fault(
            Bilingual(
                f"les détails scellés ne se gardent pas ici : {error.strerror}",
                f"the sealed details cannot be kept here: {error.strerror}",
            ),
            code="cannot_write",
        ) from None


def _none() -> Reply:
    return Reply(HTTPStatus.NOT_FOUND, b"no sealed details\n")


def _unreadable() -> NotVerified:
    return NotVerified(
        Bilingual("ce ne sont pas des détails scellés", "these are not sealed details"), code="sealed_details_damaged"
    )
