"""Write the room's log: every entry in the transaction of what it records, its details sealed beside it."""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import TYPE_CHECKING, Final

from audit_log import Event, EventType, Log, Outcome, Retention, fresh_id

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping

    from cleanroom.identifiers import Digest, PartyId, Purpose, RoomId
    from key_management import SecretKey

READER: Final = "room"
"""Whose key opens the details in this version: the room's own, under the root key."""

_CODE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9:._/-]{0,31}", re.ASCII)
_PSEUDONYM_LABEL: Final = b"cleanroom/actor/v1\0"


class Journal:
    """Appends to one room's log.

    Args:
        details_key: wraps the key of each entry's details, and makes the actors' pseudonyms.
    """

    def __init__(self, room: RoomId, log: Log, details_key: SecretKey) -> None:
        self._room = room
        self._log = log
        self._details_key = details_key

    @property
    def log(self) -> Log:
        """The log itself."""
        return self._log

    def pseudonym(self, party: PartyId) -> str:
        """Return what the log's public part calls a party: a keyed hash that only the room can look up."""
        key = self._details_key.reveal_secret_bytes()
        return "p:" + hmac.digest(key, _PSEUDONYM_LABEL + party.encode(), hashlib.sha256).hex()[:32]

    def append(
        self,
        connection: sqlite3.Connection,
        kind: EventType,
        *,
        at: int,
        actor: PartyId,
        details: Mapping[str, object],
        outcome: Outcome = Outcome.OK,
        ordinals: Iterable[int] = (),
        policy: Digest | None = None,
        purpose: Purpose | None = None,
        caused_by: int = -1,
    ) -> int:
        """Append an entry inside the caller's transaction; return its index.

        Args:
            at: Unix time in seconds, from the room's monotone clock.
            ordinals: of the parties whose data or rights are touched.
        """
        pseudonym = self.pseudonym(actor)
        event = Event(
            room=self._room,
            id=fresh_id(),
            t=at,
            type=kind,
            outcome=outcome,
            actor=pseudonym,
            org=pseudonym,
            parties=frozenset(ordinals),
            policy=str(policy) if policy is not None else "",
            purpose=self.purpose_code(purpose),
            caused_by=caused_by,
            ret=Retention.ACCESS_1Y,
        )
        readers = {READER: self._details_key.reveal_secret_bytes()}
        return self._log.append(connection, event, {"actor": actor, **details}, readers)

    @staticmethod
    def purpose_code(purpose: Purpose | None) -> str:
        """Return a purpose as the leaf writes it, empty where its alphabet has no room for it.

        The details hold it in any case.
        """
        code = "" if purpose is None else purpose.replace("_", "-")
        return code if _CODE.fullmatch(code) else ""

    def details(self, connection: sqlite3.Connection, index: int) -> dict[str, object]:
        """Open the details of an entry."""
        return self._log.read_details(connection, index, READER, self._details_key.reveal_secret_bytes())
