"""Write the room's log: every entry in the transaction of what it records, its details sealed beside it."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from audit_log import DetailsErased, Event, EventType, Log, Outcome, Retention, fresh_id
from cleanroom.policies.record import ProcessingRecord

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from cleanroom.identifiers import Digest, PartyId, Purpose, RoomId
    from key_management import SecretKey

RETENTION: Final[Mapping[EventType, Retention]] = {
    # What rights, state and the lifelong privacy account rest on is kept as long as the room lasts (S3, S4).
    **dict.fromkeys(
        (
            EventType.ROOM_CREATED,
            EventType.ROOM_SAVED,
            EventType.ROOM_RESTORED,
            EventType.PARTY_ADDED,
            EventType.PARTY_REMOVED,
            EventType.TABLE_DECLARED,
            EventType.REFERENCE_ADDED,
            EventType.POLICY_APPROVED,
            EventType.BUDGET_GRANTED,
            EventType.LINKAGE_REGISTERED,
            EventType.DATASET_UPLOADED,
            EventType.DATASET_WITHDRAWN,
            EventType.DATASET_ERASED,
            EventType.QUERY_CHARGED,
            EventType.QUERY_REUSED,
            EventType.KEY_REGISTERED,
            EventType.KEY_ROTATED,
            EventType.KEY_DESTROYED,
            EventType.MANDATE_GIVEN,
            EventType.MANDATE_WITHDRAWN,
            EventType.DETAILS_ERASED,
            EventType.RETENTION_EXECUTED,
            EventType.WITNESSES_SET,
        ),
        Retention.CONTRACT,
    ),
    # What may have been an incident (P-39.1 s. 3.8, A-2.1 r. 3.1 s. 8).
    **dict.fromkeys((EventType.ACCESS_REFUSED, EventType.UPLOAD_REFUSED), Retention.REGISTER_5Y),
    # Who asked, read or tried what, beyond what the account needs of it.
    **dict.fromkeys(
        (
            EventType.QUERY_RELEASED,
            EventType.QUERY_FAILED,
            EventType.QUERY_REFUSED,
            EventType.QUERY_PREVIEWED,
            EventType.CATALOG_READ,
            EventType.BUDGET_READ,
            EventType.LOG_READ,
            EventType.LOG_EXPORTED,
            EventType.KEY_USED,
            EventType.WITNESS_FAILED,
            EventType.WITNESS_RETURNED,
        ),
        Retention.ACCESS_1Y,
    ),
}
"""How long the details of each kind of event are kept; the leaf stays."""

READER: Final = "room"
"""Whose key opens all details in the room: its own, under the root key. What leaves it is sealed for others then."""

_CODE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9:._/-]{0,31}", re.ASCII)
_PSEUDONYM_LABEL: Final = b"cleanroom/actor/v1\0"


class Journal:
    """Appends to one room's log.

    Args:
        details_key: wraps the key of each entry's details, and makes the actors' pseudonyms.
        record: on which legal ground each purpose stands; nothing is appended for a purpose by whoever only reads.
    """

    def __init__(self, room: RoomId, log: Log, details_key: SecretKey, record: ProcessingRecord | None = None) -> None:
        self._room = room
        self._log = log
        self._details_key = details_key
        self._record = record or ProcessingRecord()

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
        legal: str = "",
    ) -> int:
        """Append an entry inside the caller's transaction; return its index.

        Args:
            at: Unix time in seconds, from the room's monotone clock.
            ordinals: of the parties whose data or rights are touched.
            legal: the code of the legal ground that the act stands on; empty for that of its purpose.
        """
        event = self._event(
            kind,
            at=at,
            actor=actor,
            outcome=outcome,
            ordinals=ordinals,
            policy=policy,
            purpose=purpose,
            caused_by=caused_by,
            ret=RETENTION[kind],
            legal=legal,
        )
        return self._log.append(connection, event, {"actor": actor, **details}, self._readers())

    def erase_expired(
        self,
        connection: sqlite3.Connection,
        indexes: Sequence[int],
        ret: Retention,
        *,
        at: int,
        actor: PartyId,
        details: Mapping[str, object],
    ) -> int:
        """Erase the details of entries of one class whose time is over, under one entry; return its index.

        Args:
            at: the time that their age is reckoned at.
        """
        event = self._event(
            EventType.RETENTION_EXECUTED, at=at, actor=actor, ordinals=(0,), caused_by=max(indexes), ret=ret
        )
        return self._log.erase_expired(connection, indexes, event, {"actor": actor, **details}, self._readers())

    def charge_of(self, connection: sqlite3.Connection, request: str) -> int:
        """Return the entry with which a question was charged, -1 if there is none; looks from the end."""
        for index in range(self._log.size(connection) - 1, -1, -1):
            if self._log.entry(connection, index).event.type is EventType.QUERY_CHARGED:
                with suppress(DetailsErased):
                    if self.details(connection, index).get("request") == request:
                        return index
        return -1

    def _event(
        self,
        kind: EventType,
        *,
        at: int,
        actor: PartyId,
        ret: Retention,
        outcome: Outcome = Outcome.OK,
        ordinals: Iterable[int] = (),
        policy: Digest | None = None,
        purpose: Purpose | None = None,
        caused_by: int = -1,
        legal: str = "",
    ) -> Event:
        pseudonym = self.pseudonym(actor)
        ground = None if purpose is None else self._record.ground(purpose)
        return Event(
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
            legal=legal or ("" if ground is None else ground.legal),
            caused_by=caused_by,
            ret=ret,
        )

    def room_reader(self) -> tuple[str, bytes]:
        """Return name and key of the reader that opens every entry."""
        return READER, self._details_key.reveal_secret_bytes()

    def _readers(self) -> dict[str, bytes]:
        return dict([self.room_reader()])

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
