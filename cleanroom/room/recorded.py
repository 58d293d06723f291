"""What the log recorded of a room's state, from the details of its entries: what the tables must say, and nothing else.

It needs the key of the log's details.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING

from audit_log import DetailsErased, EventType
from cleanroom.accounting.ledger import DELTA_STEPS
from cleanroom.identifiers import Digest
from cleanroom.room.home import OPERATOR

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from audit_log import Envelope
    from cleanroom.room.journal import Journal

Line = tuple[str, str, str, int, int, int, int, str, str]
"""A line of the ledger: reservation, account, party, time, rho, the running totals of account and party, the delta of
thresholds in steps, and its running total."""


Given = tuple[str, str, tuple[str, ...], int, int | None, int | None]
"""A mandate: auditor, giver, kinds of events, since, until, and the entry that withdrew it."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry of the log: where it stands, when it was made, what its details say."""

    index: int
    at: int
    details: dict[str, object]

    def text(self, name: str) -> str:
        return str(self.details[name])

    def names(self, name: str) -> list[str]:
        value = self.details[name]
        return [str(each) for each in value] if isinstance(value, list) else []


@dataclass
class Recorded:
    """What the log recorded, so far as state depends on it.

    `budgets` holds each table's last declaration, `declarations` those still in force; `uploads` by id: number, log
    index, digest of the manifest; `retired` by id: the number and log index of the act that did it; `destroyed` whose
    keys are;
    `answers` by name the digests of the stored draws, `answers_removed` those whose keys are destroyed,
    `answers_untold` the questions whose details, erased by age, no longer say what was stored for them;
    `ended` by table how many lines the ledger had when it was last taken back.
    """

    settings: str = ""
    parties: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    mandates: dict[int, Given] = field(default_factory=dict)
    budgets: dict[str, str] = field(default_factory=dict)
    declarations: dict[str, str] = field(default_factory=dict)
    uploads: dict[str, tuple[int, int, str]] = field(default_factory=dict)
    retired: dict[str, tuple[int, int]] = field(default_factory=dict)
    withdrawals: set[tuple[str, int, int]] = field(default_factory=set)
    erasures: set[tuple[str, int, int]] = field(default_factory=set)
    destroyed: set[str] = field(default_factory=set)
    linkage: dict[str, str] = field(default_factory=dict)
    cohorts: set[str] = field(default_factory=set)
    references: dict[tuple[str, int], tuple[str, str, int]] = field(default_factory=dict)
    reservations: dict[str, tuple[str, str, int, str]] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    answers_removed: set[str] = field(default_factory=set)
    answers_untold: set[str] = field(default_factory=set)
    ended: Counter[str] = field(default_factory=Counter)
    account_rho: Counter[str] = field(default_factory=Counter)
    party_rho: Counter[tuple[str, str]] = field(default_factory=Counter)
    account_delta: Counter[str] = field(default_factory=Counter)


def recorded(connection: sqlite3.Connection, journal: Journal) -> Recorded:
    """Return what the log recorded; of details that were erased, what their entries' public part still says."""
    found = Recorded()
    charges: dict[int, str] = {}
    for index, envelope in journal.log.entries(connection):
        kind = envelope.event.type
        if kind not in _READERS:
            continue
        details: dict[str, object] | None = None
        with suppress(DetailsErased):
            details = journal.details(connection, index)
        said = details
        if kind is EventType.QUERY_CHARGED and details is not None:
            charges[index] = str(details["request"])
        elif kind in _STATES:
            # What became of a question is said by its public part: the details may be erased by age.
            named = charges.get(envelope.event.caused_by) or (details or {}).get("request", "")
            details = {"request": named}
            if said is None and kind is EventType.QUERY_RELEASED:
                found.answers_untold.add(str(named))
        if details is not None:
            _READERS[kind](found, _Entry(index, envelope.event.t, details))
        if said is not None:
            _answers(found, _Entry(index, envelope.event.t, said))
    return found


def read_entry(found: Recorded, index: int, envelope: Envelope, details: dict[str, object]) -> None:
    """Take in what one entry recorded of uploads and their ends; other kinds of entries say nothing of these."""
    if envelope.event.type in _OF_UPLOADS:
        _READERS[envelope.event.type](found, _Entry(index, envelope.event.t, details))


def _answers(found: Recorded, entry: _Entry) -> None:
    """Take in what an act stored of answers, and what it took away."""
    found.answers.update(_pairs(entry.details.get("stored")))
    for name in entry.names("answers_removed") if "answers_removed" in entry.details else ():
        found.answers.pop(name, None)
        found.answers_removed.add(name)


def _room_created(found: Recorded, entry: _Entry) -> None:
    found.settings = entry.text("settings")
    found.parties[OPERATOR] = ("operator", entry.text("operator_key"), "")


def _party_added(found: Recorded, entry: _Entry) -> None:
    reading = str(entry.details.get("reading_key", ""))
    found.parties[entry.text("party")] = (entry.text("role"), entry.text("public_key"), reading)


def _key_registered(found: Recorded, entry: _Entry) -> None:
    role, key, _ = found.parties[entry.text("party")]
    found.parties[entry.text("party")] = (role, key, entry.text("reading_key"))


def _mandate_given(found: Recorded, entry: _Entry) -> None:
    until = entry.details["until"]
    said = entry.text("auditor"), entry.text("actor"), tuple(entry.names("events")), int(entry.text("since"))
    found.mandates[entry.index] = (*said, None if until is None else int(str(until)), None)


def _mandate_withdrawn(found: Recorded, entry: _Entry) -> None:
    for number in entry.names("mandates"):
        found.mandates[int(number)] = (*found.mandates[int(number)][:-1], entry.index)


def _table_declared(found: Recorded, entry: _Entry) -> None:
    found.declarations[entry.text("table")] = found.budgets[entry.text("table")] = entry.text("declaration")


def _dataset_uploaded(found: Recorded, entry: _Entry) -> None:
    number = int(entry.text("number"))
    found.uploads[entry.text("upload")] = (number, entry.index, str(Digest.of(entry.text("manifest").encode())))
    found.retired.update(dict.fromkeys(entry.names("retires"), (number, entry.index)))


def _dataset_withdrawn(found: Recorded, entry: _Entry) -> None:
    number = int(entry.text("number"))
    found.declarations.pop(entry.text("table"), None)
    found.ended[entry.text("table")] = len(found.lines)
    found.withdrawals.add((entry.text("table"), number, entry.index))
    found.retired.update(dict.fromkeys(entry.names("retires"), (number, entry.index)))


def _dataset_erased(found: Recorded, entry: _Entry) -> None:
    numbers = {table: int(number) for table, number in _pairs(entry.details["tables"])}
    found.erasures.update((table, number, entry.index) for table, number in numbers.items())
    files = entry.details["files"]
    for old, new, table, digest in files if isinstance(files, list) else ():
        found.uploads[new] = (numbers[table], entry.index, digest)
        found.retired[old] = (numbers[table], entry.index)


def _key_destroyed(found: Recorded, entry: _Entry) -> None:
    found.destroyed.update(entry.names("uploads"))


def _linkage_registered(found: Recorded, entry: _Entry) -> None:
    found.linkage[entry.text("epoch")] = entry.text("check")


def _reference_added(found: Recorded, entry: _Entry) -> None:
    key = entry.text("name"), int(entry.text("version"))
    found.references[key] = (entry.text("digest"), entry.text("source"), entry.index)


def _query_charged(found: Recorded, entry: _Entry) -> None:
    request, party = entry.text("request"), entry.text("actor")
    found.reservations[request] = (entry.text("plan"), party, entry.at, "reserved")
    charges, deltas = (entry.details[name] for name in ("charges", "deltas"))
    thresholds = {name: ceil(Fraction(written) * DELTA_STEPS) for name, written in _pairs(deltas)}
    _cohorts(found, entry)
    for account, steps in charges if isinstance(charges, list) else ():
        found.account_rho[account] += steps
        found.party_rho[account, party] += steps
        totals = found.account_rho[account], found.party_rho[account, party]
        delta = thresholds.get(account, 0)
        found.account_delta[account] += delta
        added = str(delta), str(found.account_delta[account])
        found.lines.append((request, account, party, entry.at, steps, *totals, *added))


def _cohorts(found: Recorded, entry: _Entry) -> None:
    cohorts = entry.details["cohorts"]
    for cohort in cohorts if isinstance(cohorts, list) else ():
        found.cohorts.add(",".join(cohort))


def _pairs(value: object) -> list[tuple[str, str]]:
    return [(str(name), str(written)) for name, written in value] if isinstance(value, list) else []


def _moved_to(state: str) -> Callable[[Recorded, _Entry], None]:
    def move(found: Recorded, entry: _Entry) -> None:
        request = entry.text("request")
        if request in found.reservations:
            plan, party, at, _before = found.reservations[request]
            found.reservations[request] = (plan, party, at, state)

    return move


_STATES = frozenset({EventType.KEY_USED, EventType.QUERY_RELEASED, EventType.QUERY_FAILED})

_OF_UPLOADS = frozenset({EventType.DATASET_UPLOADED, EventType.DATASET_WITHDRAWN, EventType.DATASET_ERASED})

_READERS = {
    EventType.ROOM_CREATED: _room_created,
    EventType.PARTY_ADDED: _party_added,
    EventType.KEY_REGISTERED: _key_registered,
    EventType.MANDATE_GIVEN: _mandate_given,
    EventType.MANDATE_WITHDRAWN: _mandate_withdrawn,
    EventType.TABLE_DECLARED: _table_declared,
    EventType.DATASET_UPLOADED: _dataset_uploaded,
    EventType.DATASET_WITHDRAWN: _dataset_withdrawn,
    EventType.DATASET_ERASED: _dataset_erased,
    EventType.KEY_DESTROYED: _key_destroyed,
    EventType.LINKAGE_REGISTERED: _linkage_registered,
    EventType.REFERENCE_ADDED: _reference_added,
    EventType.QUERY_CHARGED: _query_charged,
    EventType.KEY_USED: _moved_to("data_read"),
    EventType.QUERY_RELEASED: _moved_to("released"),
    EventType.QUERY_REUSED: _cohorts,
    EventType.QUERY_FAILED: _moved_to("failed"),
}
