"""Which mandates are in force: who gave them, to whom, for what; as far as whoever asks may read the entries.

It is read from the log's entries, in the room or at home alike, so reading it is entered like any other reading of
details. A reader may know of a mandate and not be let read its withdrawal (a mandate for one kind of entries shows it
the givings only); that something was withdrawn, by whom and up to which entry is public, so what is not sure is said.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Final

from audit_log import EventType
from cleanroom.identifiers import PartyId
from cleanroom.room.log_reading import Wanted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cleanroom.room.log_reading import LogLine

ENTRIES: Final = Wanted(events=(EventType.MANDATE_GIVEN, EventType.MANDATE_WITHDRAWN))
"""What is read for it."""


class State(Enum):
    """Whether a mandate still opens anything."""

    IN_FORCE = "in force"
    WITHDRAWN = "withdrawn"
    UNSURE = "unsure"  # its giver withdrew one that may be this, in an entry that is not the reader's


@dataclass(frozen=True, slots=True)
class GivenMandate:
    """A mandate, as its entry says it.

    Args:
        log_index: of the entry that it was given with.
        at: when that was, Unix time.
        events: kinds of events; none for all.
        since, until: Unix time of the entries that it covers, the first included, the last not; None for no end.
        ended_by, ended_at: the entry that withdrew it, or that may have, and when that was; None while it is in force.
    """

    log_index: int
    at: int
    giver: PartyId
    auditor: PartyId
    events: tuple[EventType, ...]
    since: int
    until: int | None
    state: State = State.IN_FORCE
    ended_by: int | None = None
    ended_at: int | None = None


@dataclass(frozen=True, slots=True)
class Mandates:
    """All mandates ever given, in order.

    Args:
        hidden: how many more there are whose details are others', or were erased.
    """

    given: tuple[GivenMandate, ...]
    hidden: int


def mandates_of(lines: Iterable[LogLine]) -> Mandates:
    """Return the mandates that entries tell of.

    Args:
        lines: those of `ENTRIES`, all of the log, in order.
    """
    given: dict[int, tuple[str, GivenMandate]] = {}
    hidden = 0
    for line in lines:
        event, details = line.envelope.event, line.details
        if event.type is EventType.MANDATE_GIVEN:
            if details is None or line.actor is None:
                hidden += 1
            else:
                given[line.index] = event.actor, _given(line.index, event.t, line.actor, details)
        else:
            for index in _withdrawn(line):
                pseudonym, mandate = given.get(index, ("", None))
                if mandate is not None:
                    given[index] = pseudonym, _ended(mandate, line, State.WITHDRAWN)
            if details is None:
                # Of its giver's, up to the last that it names, any may be among them.
                for index, (pseudonym, mandate) in given.items():
                    may_be = pseudonym == event.actor and index < event.caused_by
                    if may_be and mandate.state is State.IN_FORCE:
                        given[index] = pseudonym, _ended(mandate, line, State.UNSURE)
    return Mandates(tuple(mandate for _, mandate in given.values()), hidden)


def _given(index: int, at: int, giver: PartyId, details: dict[str, object]) -> GivenMandate:
    events, until = details["events"], details["until"]
    return GivenMandate(
        index,
        at,
        giver,
        PartyId(str(details["auditor"])),
        tuple(EventType(str(each)) for each in events) if isinstance(events, list) else (),
        int(str(details["since"])),
        None if until is None else int(str(until)),
    )


def _withdrawn(line: LogLine) -> tuple[int, ...]:
    """Return which mandates an entry certainly withdraws; its cause, which is public, is one."""
    said = None if line.details is None else line.details.get("mandates")
    if isinstance(said, list):
        return tuple(each for each in said if isinstance(each, int))
    return (line.envelope.event.caused_by,)


def _ended(mandate: GivenMandate, line: LogLine, state: State) -> GivenMandate:
    return replace(mandate, state=state, ended_by=line.index, ended_at=line.envelope.event.t)
