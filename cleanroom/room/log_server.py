"""A room's log over HTTP, for members, auditors and witnesses that go and look. It holds no key of the room.

/checkpoint, /tile/…, /log.vkey    the log as far as a quorum of the room's witnesses cosigned it, while there is one
/newest/…                          the same as it is now: for witnesses that read before they cosign, and for watchers
/details…                          an export's sealed details, where the operator names one (`served_details`)
POST /add-cosignatures             a checkpoint under a witness's cosignature, as such a witness returns it
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from audit_log import LogFault, NotVerified, Reply, Verifier, serve, store_cosigned
from cleanroom.errors import CleanroomError
from cleanroom.room.creation import DATABASE, LOG_KEY
from cleanroom.room.database import connect, storage_fault, transaction
from cleanroom.room.log_memory import NEWEST, read_key_file
from cleanroom.room.served_details import ServedDetails
from cleanroom.room.witnesses import witnesses_of

if TYPE_CHECKING:
    from pathlib import Path

ADD_COSIGNATURES: Final = "/add-cosignatures"


class LogServer:
    """Answers requests for one room's log; threads may share it."""

    def __init__(self, room: Path, details: Path | None = None) -> None:
        """Open a room's log to be read.

        Args:
            room: its directory.
            details: the export whose sealed details are served too.

        Raises:
            Fault: no room here.
            NotVerified: its public key is not readable.
        """
        self._database = room / DATABASE
        with closing(connect(self._database)):
            pass
        self.verifier: Verifier = read_key_file(room / LOG_KEY)
        self._details = None if details is None else ServedDetails(details, self.verifier)
        self._lock = threading.Lock()
        try:
            self._connection = sqlite3.connect(self._database, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA query_only = ON")
            self._connection.execute("PRAGMA trusted_schema = OFF")
        except sqlite3.Error as error:
            raise storage_fault(error) from None

    def close(self) -> None:
        """Close the database, and the details."""
        if self._details is not None:
            self._details.close()
        self._connection.close()

    def answer(self, method: str, path: str, body: bytes) -> Reply:
        """Serve a request."""
        if path == ADD_COSIGNATURES:
            return self._add(body) if method == "POST" else _refusal(HTTPStatus.METHOD_NOT_ALLOWED, "a POST")
        if method != "GET":
            return _refusal(HTTPStatus.METHOD_NOT_ALLOWED, "a log is read with GET")
        newest = path.startswith(f"{NEWEST}/")
        try:
            with self._lock:
                details = None if self._details is None else self._details.answer(self._connection, path)
                if details is not None:
                    return details
                return serve(
                    self._connection,
                    path.removeprefix(NEWEST) if newest else path,
                    self.verifier.vkey,
                    cosigned=not newest,
                )
        except (LogFault, NotVerified, sqlite3.Error, OSError):
            return _refusal(HTTPStatus.SERVICE_UNAVAILABLE, "the log cannot be read")

    def _add(self, body: bytes) -> Reply:
        """Keep a witness's cosignature; whoever brings it needs no other proof of who they are."""
        try:
            with closing(connect(self._database)) as connection, transaction(connection):
                witnesses = witnesses_of(connection)
                if witnesses is None:
                    return _refusal(HTTPStatus.NOT_FOUND, "this room has no witnesses")
                quorum = store_cosigned(connection, self.verifier, body, witnesses.policy)
                if quorum:
                    connection.execute("UPDATE witness_policy SET quorum_at = (SELECT clock FROM room)")
        except NotVerified as error:
            return _refusal(HTTPStatus.UNPROCESSABLE_ENTITY, error.reason)
        except (LogFault, CleanroomError):
            return _refusal(HTTPStatus.SERVICE_UNAVAILABLE, "the log cannot be written")
        return Reply(HTTPStatus.OK, b"quorum\n" if quorum else b"kept\n")


def _refusal(status: HTTPStatus, reason: str) -> Reply:
    return Reply(status, f"{reason}\n".encode())
