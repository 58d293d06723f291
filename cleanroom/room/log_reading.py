"""Read the room's log, each reader what is theirs, and export it; that it was read or exported is entered first.

The operator reads all details, a party those of its own acts and of what touches its data or rights, an auditor what
its mandates cover beside (`reading_rights`); everything else is an envelope, as every reader of the log sees it.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from audit_log import Checkpoint, DetailsErased, Envelope, EventType, LogFault, Outcome, export_log
from cleanroom.errors import Bilingual, Fault, UsageError
from cleanroom.identifiers import Role
from cleanroom.room import registry
from cleanroom.room.database import transaction
from cleanroom.room.home import OPERATOR
from cleanroom.room.reading_rights import Rights
from cleanroom.room.sealed_export import keyed_parties, sealed_path, write_details
from cleanroom.room.signed_request import SignedRequest
from cleanroom.room.witnesses import cosign

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cleanroom.identifiers import PartyId, Purpose
    from cleanroom.room.registry import Party
    from cleanroom.room.room import Room

CHECKPOINT_FILE: Final = "checkpoint"
ACTION: Final = "log"
WATCH: Final = "watch"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries are read; all of them by default.

    Args:
        party: who did it.
        member: whose data or rights it touches.
        purpose: of the question.
        events: kinds of events; none for all.
        refused: only what was refused or failed.
        since, until: Unix time in seconds, the first included, the last not.
        first, last: indexes, both included.
    """

    party: PartyId | None = None
    member: PartyId | None = None
    purpose: Purpose | None = None
    events: tuple[EventType, ...] = ()
    refused: bool = False
    since: int = 0
    until: int | None = None
    first: int = 0
    last: int | None = None

    def content(self) -> dict[str, object]:
        """Return what is signed and logged of it: what was asked for, and nothing else."""
        asked = asdict(self) | {"events": [each.value for each in self.events]}
        return {name: value for name, value in asked.items() if value not in (None, 0, False, [])}


@dataclass(frozen=True, slots=True)
class LogLine:
    """One entry as its reader sees it.

    Args:
        actor: who did it, None where the reader sees a pseudonym only.
        details: None when they were erased, or are not the reader's.
        withheld: whether they are not the reader's.
    """

    index: int
    envelope: Envelope
    actor: PartyId | None
    details: dict[str, object] | None
    withheld: bool = False


def sign_log_reading(room: Room, party: PartyId, wanted: Wanted, *, action: str = ACTION) -> SignedRequest:
    """Sign, with the party's key on this machine, that it reads the log, or has a register drawn from it."""
    return SignedRequest.sign(
        room.home.signing_key(party),
        room=room.room_id,
        party=party,
        action=action,
        content=wanted.content(),
        at=room.now(),
    )


def read(room: Room, wanted: Wanted | None = None, *, request: SignedRequest | None = None) -> Iterator[LogLine]:
    """Yield entries with the details that are their reader's; the reading is entered before the first is shown.

    Args:
        request: whose reading it is, signed; None for the operator's.
    """
    asked = wanted or Wanted()
    for each in (asked.party, asked.member):
        if each is not None:
            registry.party_named(room.connection, each)
    reader = enter_reading(room, asked, request, what=ACTION)
    yield from _lines(room, asked, reader)


def enter_reading(room: Room, wanted: Wanted, request: SignedRequest | None, *, what: str) -> Party:
    """Enter that details are about to be read; return by whom.

    Args:
        request: whose reading it is, signed; None for the operator's.
        what: `log`, or the register that is drawn.

    Raises:
        NotVerified: the request is not signed by its party for this.
    """
    if request is not None and request.content != wanted.content():
        raise UsageError(
            Bilingual("ce n'est pas ce qui a été signé", "this is not what was signed"), code="request_not_signed"
        )
    reader = registry.party_named(room.connection, OPERATOR) if request is None else room.verified(request, what)
    with transaction(room.connection):
        signed: dict[str, object] = {}
        if request is not None:
            at = room.take(request)
            signed = request.entered()
        else:
            at = registry.advance_clock(room.connection, room.now())
        room.journal.append(
            room.connection,
            EventType.LOG_READ,
            at=at,
            actor=reader.party,
            ordinals=(reader.ordinal,),
            details={**signed, "read": what, "wanted": wanted.content()},
        )
    return reader


def _lines(room: Room, wanted: Wanted, reader: Party) -> Iterator[LogLine]:
    known = registry.parties(room.connection)
    pseudonyms = {room.journal.pseudonym(each): each for each in known}
    rights = Rights.of(room.connection, room.journal)
    touched = known[wanted.member].ordinal if wanted.member is not None else None
    end = None if wanted.last is None else wanted.last + 1
    for index, envelope in room.journal.log.entries(room.connection, wanted.first, end):
        event = envelope.event
        actor = pseudonyms.get(event.actor)
        if (
            event.t < wanted.since
            or (wanted.until is not None and event.t >= wanted.until)
            or (wanted.party is not None and actor != wanted.party)
            or (touched is not None and touched not in event.parties)
            or (wanted.events and event.type not in wanted.events)
            or (wanted.refused and event.outcome is Outcome.OK)
            or (wanted.purpose is not None and event.purpose != room.journal.purpose_code(wanted.purpose))
        ):
            continue
        whose = rights.may_read(reader, event)
        details: dict[str, object] | None = None
        if whose:
            with suppress(DetailsErased):
                details = room.journal.details(room.connection, index)
        names = whose or reader.role in {Role.OPERATOR, Role.AUDITOR}
        yield LogLine(index, envelope, actor if names else None, details, withheld=not whose)


def sign_watching(room: Room, party: PartyId) -> SignedRequest:
    """Sign, with the party's key on this machine, that it reads what touches it, from now until it stops."""
    return SignedRequest.sign(
        room.home.signing_key(party), room=room.room_id, party=party, action=WATCH, content={}, at=room.now()
    )


def details_for(room: Room, request: SignedRequest) -> Callable[[int, Envelope], LogLine]:
    """Return what reads, for the party that signed, the entries that are its own; entered once, before the first.

    Its own reading touches nobody, or each watch would find the last one.
    """
    reader = room.verified(request, WATCH)
    with transaction(room.connection):
        room.journal.append(
            room.connection,
            EventType.LOG_READ,
            at=room.take(request),
            actor=reader.party,
            details={
                "read": WATCH,
                **request.entered(),
            },
        )
    pseudonyms = {room.journal.pseudonym(each): each for each in registry.parties(room.connection)}
    rights = Rights.of(room.connection, room.journal)

    def line(index: int, envelope: Envelope) -> LogLine:
        actor = pseudonyms.get(envelope.event.actor)
        if not rights.may_read(reader, envelope.event):
            return LogLine(index, envelope, actor, None, withheld=True)
        details: dict[str, object] | None = None
        with suppress(DetailsErased):
            details = room.journal.details(room.connection, index)
        return LogLine(index, envelope, actor, details)

    return line


def export(room: Room, directory: Path, *, cosigned: bool = False, details: bool = False) -> Checkpoint:
    """Write the log as a C2SP tlog-tiles directory; the export itself is logged, and in it, and shown to the witnesses.

    Args:
        cosigned: up to the last checkpoint that a quorum of the room's witnesses cosigned, instead of the newest.
        details: also write, beside the directory, the sealed details for whoever has a reading key.
    """
    readers = [each.party for each in keyed_parties(room)] if details else []
    with transaction(room.connection):
        room.journal.append(
            room.connection,
            EventType.LOG_EXPORTED,
            at=registry.advance_clock(room.connection, room.now()),
            actor=OPERATOR,
            ordinals=(0,),
            details={"format": "c2sp.org/tlog-tiles", **({"sealed_for": readers} if details else {})},
        )
    cosign(room)
    try:
        checkpoint = export_log(room.connection, room.journal.log.verifier, directory, cosigned=cosigned)
        if details:
            write_details(room, sealed_path(directory), (directory / CHECKPOINT_FILE).read_bytes())
        return checkpoint
    except LogFault as error:
        raise Fault(
            Bilingual(f"le journal ne s'exporte pas : {error}", f"the log cannot be exported: {error}"),
            code="export_failed",
        ) from None
    except OSError as error:
        raise Fault(
            Bilingual(f"{directory} : {error.strerror}", f"{directory}: {error.strerror}"), code="export_failed"
        ) from None
