"""Compare what the room's tables say with what its log recorded: budgets, spending, declarations, uploads, parties.

State and entry change in one transaction, so the log alone says what the state must be. Whoever edits the database
behind the room's back leaves a difference; each is named. It needs the key of the log's details.
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
from cleanroom.errors import Bilingual, CleanroomError
from cleanroom.identifiers import Digest
from cleanroom.policies import read_declaration, read_settings
from cleanroom.room import answer_store, registry
from cleanroom.room.creation import ANSWERS, budget_of
from cleanroom.room.home import OPERATOR
from key_management import KeyId, KeyKind, KeyManagementError, KeyState

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator

    from cleanroom.policies import BudgetTerms
    from cleanroom.room.journal import Journal
    from key_management import Keyring


Line = tuple[str, str, str, int, int, int, int, str, str]
"""A line of the ledger: reservation, account, party, time, rho, the running totals of account and party, the delta of
thresholds in steps, and its running total."""


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
class _Recorded:
    """What the log recorded, so far as state depends on it.

    `budgets` holds each table's last declaration, `declarations` those still in force; `uploads` by id: number, log
    index, manifest; `retired` by id: the number and log index of the act that did it; `destroyed` whose keys are;
    `answers` by name the digests of the stored draws, `answers_removed` those whose keys are destroyed,
    `answers_untold` the questions whose details, erased by age, no longer say what was stored for them;
    `ended` by table how many lines the ledger had when it was last taken back.
    """

    settings: str = ""
    parties: dict[str, tuple[str, str]] = field(default_factory=dict)
    budgets: dict[str, str] = field(default_factory=dict)
    declarations: dict[str, str] = field(default_factory=dict)
    uploads: dict[str, tuple[int, int, str]] = field(default_factory=dict)
    retired: dict[str, tuple[int, int]] = field(default_factory=dict)
    withdrawals: set[tuple[str, int, int]] = field(default_factory=set)
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


def contradictions(connection: sqlite3.Connection, journal: Journal, keyring: Keyring) -> tuple[Bilingual, ...]:
    """Return every difference between state and log; none if the state is what the log says."""
    try:
        log = _recorded(connection, journal)
        keys = _key_differences(connection, keyring, log)
        return (*_differences(connection, log), *keys, *_answer_differences(connection, keyring, log))
    except CleanroomError as error:
        return (error.message,)


def _recorded(connection: sqlite3.Connection, journal: Journal) -> _Recorded:
    found = _Recorded()
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


def _answers(found: _Recorded, entry: _Entry) -> None:
    """Take in what an act stored of answers, and what it took away."""
    found.answers.update(_pairs(entry.details.get("stored")))
    for name in entry.names("answers_removed") if "answers_removed" in entry.details else ():
        found.answers.pop(name, None)
        found.answers_removed.add(name)


def _room_created(found: _Recorded, entry: _Entry) -> None:
    found.settings = entry.text("settings")
    found.parties[OPERATOR] = ("operator", entry.text("operator_key"))


def _party_added(found: _Recorded, entry: _Entry) -> None:
    found.parties[entry.text("party")] = (entry.text("role"), entry.text("public_key"))


def _table_declared(found: _Recorded, entry: _Entry) -> None:
    found.declarations[entry.text("table")] = found.budgets[entry.text("table")] = entry.text("declaration")


def _dataset_uploaded(found: _Recorded, entry: _Entry) -> None:
    number = int(entry.text("number"))
    found.uploads[entry.text("upload")] = (number, entry.index, entry.text("manifest"))
    found.retired.update(dict.fromkeys(entry.names("retires"), (number, entry.index)))


def _dataset_withdrawn(found: _Recorded, entry: _Entry) -> None:
    number = int(entry.text("number"))
    found.declarations.pop(entry.text("table"), None)
    found.ended[entry.text("table")] = len(found.lines)
    found.withdrawals.add((entry.text("table"), number, entry.index))
    found.retired.update(dict.fromkeys(entry.names("retires"), (number, entry.index)))


def _key_destroyed(found: _Recorded, entry: _Entry) -> None:
    found.destroyed.update(entry.names("uploads"))


def _linkage_registered(found: _Recorded, entry: _Entry) -> None:
    found.linkage[entry.text("epoch")] = entry.text("check")


def _reference_added(found: _Recorded, entry: _Entry) -> None:
    key = entry.text("name"), int(entry.text("version"))
    found.references[key] = (entry.text("digest"), entry.text("source"), entry.index)


def _query_charged(found: _Recorded, entry: _Entry) -> None:
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


def _cohorts(found: _Recorded, entry: _Entry) -> None:
    cohorts = entry.details["cohorts"]
    for cohort in cohorts if isinstance(cohorts, list) else ():
        found.cohorts.add(",".join(cohort))


def _pairs(value: object) -> list[tuple[str, str]]:
    return [(str(name), str(written)) for name, written in value] if isinstance(value, list) else []


def _moved_to(state: str) -> Callable[[_Recorded, _Entry], None]:
    def move(found: _Recorded, entry: _Entry) -> None:
        request = entry.text("request")
        if request in found.reservations:
            plan, party, at, _before = found.reservations[request]
            found.reservations[request] = (plan, party, at, state)

    return move


_STATES = frozenset({EventType.KEY_USED, EventType.QUERY_RELEASED, EventType.QUERY_FAILED})

_READERS = {
    EventType.ROOM_CREATED: _room_created,
    EventType.PARTY_ADDED: _party_added,
    EventType.TABLE_DECLARED: _table_declared,
    EventType.DATASET_UPLOADED: _dataset_uploaded,
    EventType.DATASET_WITHDRAWN: _dataset_withdrawn,
    EventType.KEY_DESTROYED: _key_destroyed,
    EventType.LINKAGE_REGISTERED: _linkage_registered,
    EventType.REFERENCE_ADDED: _reference_added,
    EventType.QUERY_CHARGED: _query_charged,
    EventType.KEY_USED: _moved_to("data_read"),
    EventType.QUERY_RELEASED: _moved_to("released"),
    EventType.QUERY_REUSED: _cohorts,
    EventType.QUERY_FAILED: _moved_to("failed"),
}


def _differences(connection: sqlite3.Connection, log: _Recorded) -> Iterator[Bilingual]:
    (settings,) = connection.execute("SELECT settings FROM room").fetchone()
    if settings.decode("utf-8", "replace") != log.settings:
        yield Bilingual("les réglages de la salle ne sont pas ceux du journal", "the room's settings are not the log's")
    parties = {
        str(party): (each.role.value, each.public_key.public_bytes_raw().hex())
        for party, each in registry.parties(connection).items()
    }
    for name in sorted(parties.keys() | log.parties.keys()):
        if parties.get(name) != log.parties.get(name):
            yield Bilingual(f"la partie {name} n'est pas celle du journal", f"the party {name} is not the log's")
    in_force = {str(table): str(each.digest) for table, each in registry.declarations(connection).items()}
    declared = {table: read_declaration(text.encode()) for table, text in log.budgets.items()}
    for table in sorted(in_force.keys() | log.declarations.keys()):
        if table not in log.declarations or in_force.get(table) != str(declared[table].digest):
            yield Bilingual(
                f"la déclaration de {table} n'est pas la dernière du journal",
                f"the declaration of {table} is not the log's last",
            )
    yield from _upload_differences(connection, log)
    linkage = {epoch: check.hex() for epoch, check in connection.execute("SELECT epoch, linkage_check FROM linkage")}
    if linkage != log.linkage:
        yield Bilingual("les clés d'appariement ne sont pas celles du journal", "the linkage keys are not the log's")
    if {owners for (owners,) in connection.execute("SELECT owners FROM cohort")} != log.cohorts:
        yield Bilingual("les cohortes retenues ne sont pas celles du journal", "the cohorts kept are not the log's")
    yield from _reference_differences(connection, log)
    yield from _ledger_differences(connection, log, {table: each.budget for table, each in declared.items()})


def _upload_differences(connection: sqlite3.Connection, log: _Recorded) -> Iterator[Bilingual]:
    held = registry.history(connection)
    uploads = {
        str(each.upload): (each.number, each.log_index, each.manifest.encode().decode("ascii")) for each, _ in held
    }
    retired = {str(each.upload): (end.number, end.log_index) for each, end in held if end is not None}
    for upload in sorted(uploads.keys() | log.uploads.keys() | log.retired.keys()):
        if uploads.get(upload) != log.uploads.get(upload):
            yield Bilingual(f"le dépôt {upload} n'est pas celui du journal", f"the upload {upload} is not the log's")
        elif retired.get(upload) != log.retired.get(upload):
            yield Bilingual(
                f"le dépôt {upload} est retiré dans l'un, l'état ou le journal, et pas dans l'autre",
                f"the upload {upload} is retired in one, the state or the log, and not in the other",
            )
    withdrawals = set(connection.execute("SELECT table_name, number, log_index FROM withdrawal"))
    if withdrawals != log.withdrawals:
        yield Bilingual("les tables retirées ne sont pas celles du journal", "the withdrawn tables are not the log's")


def _reference_differences(connection: sqlite3.Connection, log: _Recorded) -> Iterator[Bilingual]:
    """Hold every public table against the log, by the digest of what is stored, not of what is said of it (S30)."""
    held: dict[tuple[str, int], tuple[str, str, int]] = {}
    for name, version, digest, source, index, content in connection.execute(
        "SELECT name, version, digest, source, log_index, content FROM reference"
    ):
        held[name, version] = (digest if str(Digest.of(content)) == digest else "", source, index)
    for name, version in sorted(held.keys() | log.references.keys()):
        if held.get((name, version)) != log.references.get((name, version)):
            yield Bilingual(
                f"la version {version} de public.{name} n'est pas celle du journal",
                f"version {version} of public.{name} is not the log's",
            )


def _key_differences(connection: sqlite3.Connection, keyring: Keyring, log: _Recorded) -> Iterator[Bilingual]:
    """Hold every data key against the log: one that lives on, or came back, after its end was entered is a lie."""
    for upload in sorted(log.uploads):
        try:
            destroyed = keyring.state(connection, KeyId(KeyKind.DATA, upload)) is KeyState.DESTROYED
        except KeyManagementError:
            yield Bilingual(f"la clé du dépôt {upload} manque", f"the key of the upload {upload} is missing")
            continue
        if destroyed != (upload in log.destroyed):
            yield Bilingual(
                f"la clé du dépôt {upload} est détruite dans l'un, l'état ou le journal, et pas dans l'autre",
                f"the key of the upload {upload} is destroyed in one, the state or the log, and not in the other",
            )


def _answer_differences(connection: sqlite3.Connection, keyring: Keyring, log: _Recorded) -> Iterator[Bilingual]:
    """Hold every stored draw and its key against the log: what left is kept as it left, what was taken away is gone."""
    held = answer_store.digests(connection)
    active = {each.name for each in keyring.children(connection, ANSWERS) if _active(connection, keyring, each)}
    for name in sorted(held.keys() | log.answers.keys() | active | log.answers_removed):
        if name.partition("/")[0] in log.answers_untold and name not in log.answers_removed:
            wrong = (name in held) != (name in active)
        else:
            wrong = held.get(name) != log.answers.get(name) or (name in active) != (name in log.answers)
        if wrong:
            yield Bilingual(
                f"la réponse conservée {name} n'est pas celle du journal", f"the stored answer {name} is not the log's"
            )


def _active(connection: sqlite3.Connection, keyring: Keyring, key: KeyId) -> bool:
    return keyring.state(connection, key) is KeyState.ACTIVE


def _ledger_differences(
    connection: sqlite3.Connection, log: _Recorded, budgets: dict[str, BudgetTerms]
) -> Iterator[Bilingual]:
    budgets["room"] = read_settings(log.settings.encode()).budget
    granted = {
        account: row
        for account, *row in connection.execute(
            "SELECT account, epsilon, delta, spending_window, rho_max, ended_line FROM ledger_account"
        )
    }
    lines: dict[str, list[Line]] = {}
    for line in connection.execute(
        "SELECT reservation, account, party, at, rho, account_rho, party_rho, delta_steps, account_delta_steps"
        " FROM ledger_line ORDER BY line"
    ):
        lines.setdefault(line[1], []).append(tuple(line))
    for account in sorted(granted.keys() | budgets.keys() | lines.keys() | log.account_rho.keys()):
        if account not in budgets or granted.get(account) != [*_account_row(budgets[account]), log.ended[account]]:
            yield Bilingual(
                f"le budget de {account} n'est pas celui du journal", f"the budget of {account} is not the log's"
            )
        if lines.get(account, []) != [line for line in log.lines if line[1] == account]:
            yield Bilingual(
                f"la dépense de {account} n'est pas la somme des questions du journal",
                f"what {account} spent is not the sum of the log's questions",
            )
    reservations = {
        name: (f"sha256:{plan.hex()}", party, at, state)
        for name, plan, party, at, state in connection.execute(
            "SELECT reservation, plan_digest, party, at, state FROM ledger_reservation"
        )
    }
    if reservations != log.reservations:
        yield Bilingual("les réservations ne sont pas celles du journal", "the reservations are not the log's")


def _account_row(terms: BudgetTerms) -> list[object]:
    budget = budget_of(terms)
    return [str(budget.epsilon), str(Fraction(budget.delta)), budget.window.value, budget.rho_max.pico]
