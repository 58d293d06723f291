"""The register of accesses: who had a question answered from whose data, why, on which ground, and what came of it.

A row is one question charged, or answered again from what is stored, and one member whose table it reads: a stored
answer that leaves again is a use of what it was drawn from, though no key is opened for it. The register is drawn from
the log alone, so it can be held against the log by anybody: each member's entries of the period are listed by their
dense counters, the rows' entries are proved by receipts, and from the log's public part `register_check` finds a row
that was left out, added or changed.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from audit_log import RETENTION_SECONDS, DetailsErased, EventType
from cleanroom.accounting.privacy_loss import Rho
from cleanroom.errors import CleanroomError
from cleanroom.identifiers import InvalidName, Role, TableName
from cleanroom.policies import read_declaration
from cleanroom.query.reuse import Source
from cleanroom.room import registry
from cleanroom.room.log_reading import enter_reading
from cleanroom.room.reading_rights import Mandate, Rights, mandates

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from audit_log import Envelope, Event
    from cleanroom.identifiers import PartyId
    from cleanroom.room.log_reading import Wanted
    from cleanroom.room.registry import Party
    from cleanroom.room.room import Room
    from cleanroom.room.signed_request import SignedRequest

READING: Final = "register access"
_OUTCOMES: Final = {
    EventType.QUERY_RELEASED: "released",
    EventType.QUERY_FAILED: "failed",
}
_ANSWERED: Final = frozenset({"released", "reused"})


@dataclass(slots=True)
class Access:
    """A question that was charged or answered again, and one member whose data it reads.

    Args:
        entry: of the charge, or of the reuse; `counter` is the member's own number of it.
        party: who asked, and so received the answer if there was one.
        columns: the declared columns of the tables read: the categories of information.
        outcome: `reused`, or of a charge `released`, `failed`, or `open` while neither is entered.
        charged_by: the earlier charges that opened the member's data for what is answered here from the store, as far
            as they are the reader's to know of.
        key_entry, outcome_entry: where the log says that this member's keys were opened, and how it ended; None if it
            does not.
        answered_at: Unix time of the outcome.
        details: whether the sealed details were there to read.
        erasable_at: Unix time when they are due to be erased; None as long as the room lasts.
    """

    entry: int
    counter: int
    at: int
    party: PartyId | None
    role: str
    purpose: str
    purpose_text: str
    legal: str
    member: PartyId
    tables: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    policy: str = ""
    plan: str = ""
    request: str = ""
    question: str = ""
    cost: str = ""
    charged_by: tuple[int, ...] = ()
    outcome: str = "open"
    key_entry: int | None = None
    outcome_entry: int | None = None
    answered_at: int | None = None
    details: bool = True
    erasable_at: int | None = None

    @property
    def recipients(self) -> tuple[PartyId, ...]:
        """Who received the answer."""
        return (self.party,) if self.outcome in _ANSWERED and self.party is not None else ()


@dataclass(frozen=True, slots=True)
class Counted:
    """An entry that touches a member, by the member's dense counter."""

    counter: int
    entry: int
    kind: EventType


@dataclass(frozen=True, slots=True)
class ErasureLine:
    """That a member had people erased from all its tables; whom, and whether they were there, nothing tells (S5).

    Args:
        entry: of the erasure; `counter` is the member's own number of it.
        at: Unix time in seconds.
        legal: the code of its legal ground.
    """

    member: PartyId
    counter: int
    entry: int
    at: int
    legal: str


@dataclass(frozen=True, slots=True)
class AccessRegister:
    """The register, and what it is proved by.

    Args:
        mandates: an auditor's, which the register covers.
        size: entries of the log that it was drawn from.
        counters: for each member of the register, every entry of the period that touches it; `before` how many did
            earlier.
        erasures: of the period and the register's members; all that it says of them is public.
    """

    wanted: Wanted
    reader: Party
    mandates: tuple[Mandate, ...]
    size: int
    rows: tuple[Access, ...]
    members: tuple[Party, ...]
    before: Mapping[PartyId, int]
    counters: Mapping[PartyId, tuple[Counted, ...]]
    erasures: tuple[ErasureLine, ...]


def access_register(room: Room, wanted: Wanted, *, request: SignedRequest | None = None) -> AccessRegister:
    """Draw the register; that it was drawn is entered in the log first.

    Args:
        wanted: by asking party, member, purpose, period, entries; kinds of events are the register's own.
        request: whose register it is, signed: an auditor's covers what its mandates do, another party's what it asked
            or what touches it; None for the operator's.
    """
    reader = enter_reading(room, wanted, request, what=READING)
    return _Drawing(room, wanted, reader).draw()


@dataclass(frozen=True, slots=True)
class _Charge:
    """An earlier charge, whose draws may be answered from later.

    Args:
        known: whether its details are the register's reader's: who asked first is no business of who asks again.
    """

    entry: int
    known: bool


@dataclass
class _Drawing:
    """One pass over the log."""

    room: Room
    wanted: Wanted
    reader: Party
    counts: Counter[int] = field(default_factory=Counter)
    before: dict[PartyId, int] = field(default_factory=dict)
    counters: dict[PartyId, list[Counted]] = field(default_factory=dict)
    columns: dict[str, tuple[str, ...]] = field(default_factory=dict)
    rows: dict[int, list[Access]] = field(default_factory=dict)
    charges: dict[str, _Charge] = field(default_factory=dict)
    opened: dict[int, frozenset[int]] = field(default_factory=dict)
    erasures: list[ErasureLine] = field(default_factory=list)

    def draw(self) -> AccessRegister:
        known = registry.parties(self.room.connection)
        self.members = tuple(each for each in known.values() if self._shown(each))
        self.ordinals = {each.party: each.ordinal for each in known.values()}
        self.pseudonyms = {self.room.journal.pseudonym(each): known[each] for each in known}
        self.rights = Rights.of(self.room.connection, self.room.journal)
        given = mandates(self.room.connection, self.room.journal)
        self.mandates = tuple(each for each in given if each.auditor == self.reader.party)
        self.before = dict.fromkeys((each.party for each in self.members), 0)
        self.counters = {each.party: [] for each in self.members}
        size = self.room.journal.log.size(self.room.connection)
        for index, envelope in self.room.journal.log.entries(self.room.connection, 0, size):
            self._count(index, envelope.event)
            self._read(index, envelope)
        rows = tuple(row for found in self.rows.values() for row in found)
        counters = {party: tuple(found) for party, found in self.counters.items()}
        return AccessRegister(
            self.wanted,
            self.reader,
            self.mandates,
            size,
            rows,
            self.members,
            self.before,
            counters,
            tuple(self.erasures),
        )

    def _shown(self, party: Party) -> bool:
        if self.wanted.member is not None:
            return party.party == self.wanted.member
        return party.role is Role.MEMBER

    def _within(self, index: int, event: Event) -> bool:
        wanted = self.wanted
        return (
            index >= wanted.first
            and (wanted.last is None or index <= wanted.last)
            and event.t >= wanted.since
            and (wanted.until is None or event.t < wanted.until)
        )

    def _count(self, index: int, event: Event) -> None:
        self.counts.update(event.parties)
        within = self._within(index, event)
        for member in self.members:
            if member.ordinal in event.parties:
                counter = self.counts[member.ordinal]
                if within:
                    self.counters[member.party].append(Counted(counter, index, event.type))
                    if event.type is EventType.DATASET_ERASED:
                        self.erasures.append(ErasureLine(member.party, counter, index, event.t, event.legal))
                elif not self.counters[member.party]:
                    self.before[member.party] = counter

    def _read(self, index: int, envelope: Envelope) -> None:
        event = envelope.event
        match event.type:
            case EventType.TABLE_DECLARED:
                self._declared(index)
            case EventType.QUERY_CHARGED | EventType.QUERY_REUSED:
                self._asked(index, envelope)
            case EventType.KEY_USED:
                self.opened[event.caused_by] = event.parties
                for row in self.rows.get(event.caused_by, ()):
                    # Of a question answered in part from the store, the keys of the rest alone are opened.
                    if self.ordinals[row.member] in event.parties:
                        row.key_entry = index
            case EventType.QUERY_RELEASED | EventType.QUERY_FAILED:
                for row in self.rows.get(event.caused_by, ()):
                    row.outcome, row.outcome_entry, row.answered_at = _OUTCOMES[event.type], index, event.t

    def _declared(self, index: int) -> None:
        with suppress(DetailsErased, CleanroomError, KeyError):
            said = self.room.journal.details(self.room.connection, index)
            catalog = read_declaration(str(said["declaration"]).encode()).catalog
            self.columns[str(catalog.table)] = tuple(each.name for each in catalog.columns)

    def _asked(self, index: int, envelope: Envelope) -> None:
        event, wanted = envelope.event, self.wanted
        asker = self.pseudonyms.get(event.actor)
        said: dict[str, object] = {}
        with suppress(DetailsErased):
            said = self.room.journal.details(self.room.connection, index)
        if event.type is EventType.QUERY_CHARGED and said:
            known = self.rights.may_read(self.reader, event)
            self.charges[str(said["request"])] = _Charge(index, known)
        if not self._within(index, event):
            return
        if wanted.party is not None and (asker is None or asker.party != wanted.party):
            return
        if wanted.purpose is not None and event.purpose != self.room.journal.purpose_code(wanted.purpose):
            return
        rules = [(table, rule) for table, rule in _pairs(said.get("rules")) if _owner(table) is not None]
        owners = {_owner(table) for table, _ in rules}
        for member in self.members:
            touched = member.party in owners if said else member.ordinal in event.parties
            if touched and self._readable(member, asker, event):
                self.rows.setdefault(index, []).append(self._row(index, event, asker, member, said, rules))

    def _readable(self, member: Party, asker: Party | None, event: Event) -> bool:
        """Say whether a row is its reader's to read."""
        if self.reader.role is Role.OPERATOR or any(each.scope.covers(event) for each in self.mandates):
            return True
        return self.reader.party == member.party or (asker is not None and asker.party == self.reader.party)

    def _first_charges(self, said: Mapping[str, object], member: Party) -> tuple[int, ...]:
        found = {self.charges[request] for request in _reused(said) if request in self.charges}
        return tuple(
            sorted(each.entry for each in found if each.known and member.ordinal in self.opened.get(each.entry, ()))
        )

    def _row(
        self,
        index: int,
        event: Event,
        asker: Party | None,
        member: Party,
        said: Mapping[str, object],
        rules: list[tuple[str, str]],
    ) -> Access:
        purpose = str(said.get("purpose", event.purpose.replace("-", "_")))
        ground = self.room.facts.settings.record.ground(purpose)
        own = [(table, rule) for table, rule in rules if _owner(table) == member.party]
        versions = [
            f"{table} v{number}" for table, number in _pairs(said.get("versions")) if _owner(table) == member.party
        ]
        charged = sum(int(steps) for account, steps in _pairs(said.get("charges")) if account in dict(own))
        content = said.get("content")
        period = RETENTION_SECONDS[event.ret]
        reused = event.type is EventType.QUERY_REUSED
        return Access(
            entry=index,
            counter=self.counts[member.ordinal],
            at=event.t,
            party=None if asker is None else asker.party,
            role="" if asker is None else asker.role.value,
            purpose=purpose,
            purpose_text="" if ground is None else ground.text,
            legal=event.legal,
            member=member.party,
            # Files that one erasure wrote anew share a version.
            tables=tuple(dict.fromkeys(versions or [table for table, _ in own])),
            columns=tuple(dict.fromkeys(name for table, _ in own for name in self.columns.get(table, ()))),
            rules=tuple(rule for _, rule in own),
            policy=event.policy,
            plan=str(said.get("plan", "")),
            request=str(said.get("request", "")),
            question=str(content.get("sql", "")) if isinstance(content, dict) else "",
            cost=str(Rho(charged)) if said else "",
            charged_by=self._first_charges(said, member),
            outcome="reused" if reused else "open",
            outcome_entry=index if reused else None,
            answered_at=event.t if reused else None,
            details=bool(said),
            erasable_at=None if period is None else event.t + period,
        )


def _reused(said: Mapping[str, object]) -> Iterator[str]:
    """Yield the requests whose stored draws a question is answered from, whole or in part."""
    found = [said.get("from")]  # of a reuse, for each release
    releases = said.get("releases")
    for each in releases if isinstance(releases, list) else ():
        # Draws that a fresh one takes the place of are named too, but answer nothing.
        if each["source"] in {Source.STORED, Source.COMBINED}:
            found.append([each["from"]])
    for names in found:
        for name in (name for each in names for name in each) if isinstance(names, list) else ():
            yield str(name).partition("/")[0]


def _pairs(value: object) -> Iterator[tuple[str, str]]:
    for each in value if isinstance(value, list) else ():
        if isinstance(each, list) and len(each) == 2:
            yield str(each[0]), str(each[1])


def _owner(table: str) -> PartyId | None:
    try:
        return TableName.parse(table).owner
    except InvalidName:
        return None
