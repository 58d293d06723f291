"""Whose the details of an entry are: its actor's, those parties' whose data or rights it touches, their auditors'.

The rule needs an entry's public part only, so that whoever reads offline can tell which details must be there for it.
What made a charged question fail may depend on rows: nobody but the operator reads it (S23).
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from audit_log import Event, EventType
from cleanroom.identifiers import PartyId, Role
from cleanroom.room import registry

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping

    from cleanroom.room.journal import Journal
    from cleanroom.room.registry import Party

OPERATOR_ORDINAL: Final = 0
"""The operator is the room's first party; whatever is entered is the operator's to read, but for nobody to pass on."""


@dataclass(frozen=True, slots=True)
class Known:
    """A party as the log's public part knows it: the pseudonym that it acts under, its bit in the map of parties."""

    pseudonym: str
    ordinal: int

    def reads(self, event: Event) -> bool:
        """Say whether an entry's details are this party's own to read."""
        if event.type is EventType.QUERY_FAILED:
            return False
        return event.actor == self.pseudonym or self.ordinal in event.parties


@dataclass(frozen=True, slots=True)
class Scope:
    """What a mandate lets an auditor read: what its giver reads, of these kinds and this time.

    Args:
        giver: who gave it; the operator's reaches over the whole room.
        events: kinds of events; none for all.
        since, until: Unix time of the entries, the first included, the last not; None for no end.
    """

    giver: Known
    events: tuple[EventType, ...] = ()
    since: int = 0
    until: int | None = None

    @property
    def unlimited(self) -> bool:
        """Whether it covers all that its giver reads, of every kind and time."""
        return not self.events and self.since == 0 and self.until is None

    def covers(self, event: Event) -> bool:
        """Say whether an entry's details are within it."""
        reached = self.giver.ordinal == OPERATOR_ORDINAL or self.giver.reads(event)
        return (
            reached
            and event.type is not EventType.QUERY_FAILED
            and (not self.events or event.type in self.events)
            and self.since <= event.t
            and (self.until is None or event.t < self.until)
        )


@dataclass(frozen=True, slots=True)
class Mandate:
    """A mandate in force.

    Args:
        log_index: of the entry that it was given with.
    """

    log_index: int
    auditor: PartyId
    giver: PartyId
    scope: Scope


class Rights:
    """Who may read which details of one room's log, as things stand."""

    def __init__(self, parties: Iterable[Party], pseudonyms: Mapping[PartyId, str], given: Iterable[Mandate]) -> None:
        self._known = {each.party: Known(pseudonyms[each.party], each.ordinal) for each in parties}
        self._given: dict[PartyId, list[Scope]] = defaultdict(list)
        for each in given:
            self._given[each.auditor].append(each.scope)

    @classmethod
    def of(cls, connection: sqlite3.Connection, journal: Journal) -> Rights:
        """Read them from a room's tables."""
        parties = registry.parties(connection)
        return cls(parties.values(), {each: journal.pseudonym(each) for each in parties}, mandates(connection, journal))

    def known(self, party: PartyId) -> Known:
        """Return a party as the log's public part knows it."""
        return self._known[party]

    def scopes(self, auditor: PartyId) -> tuple[Scope, ...]:
        """Return what an auditor's mandates cover."""
        return tuple(self._given.get(auditor, ()))

    def may_read(self, reader: Party, event: Event) -> bool:
        """Say whether the details of an entry are a party's to read."""
        if reader.role is Role.OPERATOR or self._known[reader.party].reads(event):
            return True
        return reader.role is Role.AUDITOR and any(each.covers(event) for each in self._given.get(reader.party, ()))


def mandates(connection: sqlite3.Connection, journal: Journal) -> tuple[Mandate, ...]:
    """Return the mandates in force, in the order in which they were given."""
    parties = registry.parties(connection)
    rows = connection.execute(
        "SELECT log_index, auditor, giver, events, since, until FROM mandate WHERE withdrawn IS NULL ORDER BY log_index"
    ).fetchall()
    return tuple(
        Mandate(
            index,
            PartyId(auditor),
            PartyId(giver),
            Scope(
                Known(journal.pseudonym(PartyId(giver)), parties[PartyId(giver)].ordinal),
                tuple(EventType(each) for each in json.loads(events)),
                since,
                until,
            ),
        )
        for index, auditor, giver, events, since, until in rows
    )
