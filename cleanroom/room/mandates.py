"""Give an auditor a mandate, and withdraw it: each signed by the party whose reading it lets the auditor share.

A party can let an auditor read what it may read itself, no more. So a member's mandate covers what the member did and
what touches its data or rights; the operator's covers the room, and then touches everybody, who is told of it like of
every other entry. A withdrawn mandate opens nothing that is exported from then on.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from audit_log import EventType
from cleanroom.errors import Bilingual, UsageError
from cleanroom.identifiers import PartyId, Role
from cleanroom.room import registry
from cleanroom.room.database import transaction
from cleanroom.room.signed_request import SignedRequest

if TYPE_CHECKING:
    from cleanroom.identifiers import RoomId
    from cleanroom.room.home import Home
    from cleanroom.room.registry import Party
    from cleanroom.room.room import Room

GIVE: Final = "mandate"
WITHDRAW: Final = "mandate withdrawal"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a mandate says.

    Args:
        events: kinds of events; none for all.
        since, until: Unix time of the entries, the first included, the last not; None for no end.
    """

    auditor: PartyId
    events: tuple[EventType, ...] = ()
    since: int = 0
    until: int | None = None

    def content(self) -> dict[str, object]:
        """Return what is signed and logged of it."""
        events = sorted(each.value for each in self.events)
        return {"auditor": self.auditor, "events": events, "since": self.since, "until": self.until}


def sign_mandate(home: Home, room: RoomId, giver: PartyId, terms: Terms, *, at: int) -> SignedRequest:
    """Sign, with the giver's key on this machine, that an auditor may read; the room need not be here."""
    key = home.signing_key(giver)
    return SignedRequest.sign(key, room=room, party=giver, action=GIVE, content=terms.content(), at=at)


def sign_withdrawal(home: Home, room: RoomId, giver: PartyId, auditor: PartyId, *, at: int) -> SignedRequest:
    """Sign, with the giver's key on this machine, that an auditor may read no longer; the room need not be here."""
    key = home.signing_key(giver)
    return SignedRequest.sign(key, room=room, party=giver, action=WITHDRAW, content={"auditor": auditor}, at=at)


def terms_of(request: SignedRequest) -> Terms:
    """Return what a mandate that was signed elsewhere says, else raise `UsageError`."""
    try:
        said = dict(request.content)
        until = said["until"]
        terms = Terms(
            PartyId(str(said["auditor"])),
            tuple(EventType(str(each)) for each in _list(said["events"])),
            int(str(said["since"])),
            None if until is None else int(str(until)),
        )
    except (KeyError, ValueError, TypeError):
        raise _not_signed() from None
    return terms


def give_mandate(room: Room, terms: Terms, request: SignedRequest) -> int:
    """Take a mandate; return its entry in the log.

    Raises:
        UsageError: it is not what was signed, or it is for somebody who is no auditor.
        NotVerified: it is not signed by its giver for this.
    """
    giver = room.verified(request, GIVE)
    auditor = _auditor(room, terms.auditor)
    if request.content != terms.content():
        raise _not_signed()
    with transaction(room.connection):
        at = room.take(request)
        everybody = registry.parties(room.connection).values() if giver.role is Role.OPERATOR else (giver, auditor)
        index = room.journal.append(
            room.connection,
            EventType.MANDATE_GIVEN,
            at=at,
            actor=giver.party,
            ordinals=(each.ordinal for each in everybody),
            details={**terms.content(), "giver": giver.ordinal, **request.entered()},
        )
        room.connection.execute(
            "INSERT INTO mandate (log_index, auditor, giver, events, since, until) VALUES (?, ?, ?, ?, ?, ?)",
            (index, auditor.party, giver.party, json.dumps(terms.content()["events"]), terms.since, terms.until),
        )
    return index


def withdraw_mandates(room: Room, request: SignedRequest) -> tuple[int, ...]:
    """Withdraw all mandates that a party gave an auditor; return the entries that they were given with.

    Raises:
        UsageError: it gave none that is in force.
        NotVerified: it is not signed by their giver for this.
    """
    giver = room.verified(request, WITHDRAW)
    auditor = _auditor(room, PartyId(str(request.content.get("auditor"))))
    with transaction(room.connection):
        rows = room.connection.execute(
            "SELECT log_index FROM mandate WHERE auditor = ? AND giver = ? AND withdrawn IS NULL ORDER BY log_index",
            (auditor.party, giver.party),
        ).fetchall()
        given = tuple(int(index) for (index,) in rows)
        if not given:
            raise UsageError(
                Bilingual(
                    f"{auditor.party} n'a aucun mandat de {giver.party}",
                    f"{auditor.party} has no mandate from {giver.party}",
                ),
                code="no_mandate",
            )
        everybody = registry.parties(room.connection).values() if giver.role is Role.OPERATOR else (giver, auditor)
        index = room.journal.append(
            room.connection,
            EventType.MANDATE_WITHDRAWN,
            at=room.take(request),
            actor=giver.party,
            ordinals=(each.ordinal for each in everybody),
            caused_by=given[-1],
            details={"auditor": auditor.party, "mandates": list(given), **request.entered()},
        )
        room.connection.execute(
            "UPDATE mandate SET withdrawn = ? WHERE auditor = ? AND giver = ? AND withdrawn IS NULL",
            (index, auditor.party, giver.party),
        )
    return given


def _auditor(room: Room, party: PartyId) -> Party:
    auditor = registry.party_named(room.connection, party)
    if auditor.role is not Role.AUDITOR:
        raise UsageError(
            Bilingual(f"« {party} » n'est pas un auditeur de cette salle", f"{party!r} is no auditor of this room"),
            code="not_an_auditor",
        )
    return auditor


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError(value)
    return value


def _not_signed() -> UsageError:
    return UsageError(
        Bilingual("ce n'est pas le mandat qui a été signé", "this is not the mandate that was signed"),
        code="request_not_signed",
    )
