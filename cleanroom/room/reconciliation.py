"""Compare what the room's tables say with what its log recorded: budgets, spending, declarations, uploads, parties.

State and entry change in one transaction, so the log alone says what the state must be. Whoever edits the database
behind the room's back leaves a difference; each is named. It needs the key of the log's details.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

from audit_log import DetailsErased, EventType
from cleanroom.errors import Bilingual, CleanroomError
from cleanroom.policies import read_declaration, read_settings
from cleanroom.room import registry
from cleanroom.room.creation import OPERATOR, budget_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator

    from cleanroom.policies import BudgetTerms, Declaration
    from cleanroom.room.journal import Journal


Line = tuple[str, str, str, int, int, int, int]
"""A line of the ledger: reservation, account, party, time, rho, and the running totals of account and party."""


@dataclass
class _Recorded:
    """What the log recorded, so far as state depends on it."""

    settings: str = ""
    parties: dict[str, tuple[str, str]] = field(default_factory=dict)
    declarations: dict[str, str] = field(default_factory=dict)
    uploads: dict[str, str] = field(default_factory=dict)
    linkage: dict[str, str] = field(default_factory=dict)
    cohorts: set[str] = field(default_factory=set)
    reservations: dict[str, tuple[str, str, int, str]] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)
    account_rho: Counter[str] = field(default_factory=Counter)
    party_rho: Counter[tuple[str, str]] = field(default_factory=Counter)


def contradictions(connection: sqlite3.Connection, journal: Journal) -> tuple[Bilingual, ...]:
    """Return every difference between state and log; none if the state is what the log says."""
    try:
        return tuple(_differences(connection, _recorded(connection, journal)))
    except CleanroomError as error:
        return (error.message,)


def _recorded(connection: sqlite3.Connection, journal: Journal) -> _Recorded:
    found = _Recorded()
    for index, envelope in journal.log.entries(connection):
        kind = envelope.event.type
        if kind not in _READERS:
            continue
        try:
            details = journal.details(connection, index)
        except DetailsErased:
            continue
        _READERS[kind](found, details, envelope.event.t)
    return found


def _room_created(found: _Recorded, details: dict[str, object], _: int) -> None:
    found.settings = str(details["settings"])
    found.parties[OPERATOR] = ("operator", str(details["operator_key"]))


def _party_added(found: _Recorded, details: dict[str, object], _: int) -> None:
    found.parties[str(details["party"])] = (str(details["role"]), str(details["public_key"]))


def _table_declared(found: _Recorded, details: dict[str, object], _: int) -> None:
    found.declarations[str(details["table"])] = str(details["declaration"])


def _dataset_uploaded(found: _Recorded, details: dict[str, object], _: int) -> None:
    found.uploads[str(details["upload"])] = str(details["manifest"])


def _linkage_registered(found: _Recorded, details: dict[str, object], _: int) -> None:
    found.linkage[str(details["epoch"])] = str(details["check"])


def _query_charged(found: _Recorded, details: dict[str, object], at: int) -> None:
    request, party = str(details["request"]), str(details["actor"])
    found.reservations[request] = (str(details["plan"]), party, at, "reserved")
    cohort, charges = details["cohort"], details["charges"]
    if isinstance(cohort, list) and cohort:
        found.cohorts.add(",".join(cohort))
    for account, steps in charges if isinstance(charges, list) else ():
        found.account_rho[account] += steps
        found.party_rho[account, party] += steps
        totals = found.account_rho[account], found.party_rho[account, party]
        found.lines.append((request, account, party, at, steps, *totals))


def _moved_to(state: str) -> Callable[[_Recorded, dict[str, object], int], None]:
    def move(found: _Recorded, details: dict[str, object], _: int) -> None:
        request = str(details["request"])
        if request in found.reservations:
            plan, party, at, _before = found.reservations[request]
            found.reservations[request] = (plan, party, at, state)

    return move


_READERS = {
    EventType.ROOM_CREATED: _room_created,
    EventType.PARTY_ADDED: _party_added,
    EventType.TABLE_DECLARED: _table_declared,
    EventType.DATASET_UPLOADED: _dataset_uploaded,
    EventType.LINKAGE_REGISTERED: _linkage_registered,
    EventType.QUERY_CHARGED: _query_charged,
    EventType.KEY_USED: _moved_to("data_read"),
    EventType.QUERY_RELEASED: _moved_to("released"),
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
    declared = {table: read_declaration(text.encode()) for table, text in log.declarations.items()}
    for table in sorted(in_force.keys() | declared.keys()):
        if table not in declared or in_force.get(table) != str(declared[table].digest):
            yield Bilingual(
                f"la déclaration de {table} n'est pas la dernière du journal",
                f"the declaration of {table} is not the log's last",
            )
    uploads = {each.upload: each.manifest.encode().decode("ascii") for each in registry.uploads(connection)}
    for upload in sorted(uploads.keys() | log.uploads.keys()):
        if uploads.get(upload) != log.uploads.get(upload):  # type: ignore[call-overload]
            yield Bilingual(f"le dépôt {upload} n'est pas celui du journal", f"the upload {upload} is not the log's")
    linkage = {epoch: check.hex() for epoch, check in connection.execute("SELECT epoch, linkage_check FROM linkage")}
    if linkage != log.linkage:
        yield Bilingual("les clés d'appariement ne sont pas celles du journal", "the linkage keys are not the log's")
    if {owners for (owners,) in connection.execute("SELECT owners FROM cohort")} != log.cohorts:
        yield Bilingual("les cohortes retenues ne sont pas celles du journal", "the cohorts kept are not the log's")
    yield from _ledger_differences(connection, log, declared)


def _ledger_differences(
    connection: sqlite3.Connection, log: _Recorded, declared: dict[str, Declaration]
) -> Iterator[Bilingual]:
    budgets: dict[str, BudgetTerms] = {table: each.budget for table, each in declared.items()}
    budgets["room"] = read_settings(log.settings.encode()).budget
    granted = {
        account: row
        for account, *row in connection.execute(
            "SELECT account, epsilon, delta, spending_window, rho_max FROM ledger_account"
        )
    }
    lines: dict[str, list[Line]] = {}
    for line in connection.execute(
        "SELECT reservation, account, party, at, rho, account_rho, party_rho FROM ledger_line ORDER BY line"
    ):
        lines.setdefault(line[1], []).append(tuple(line))
    for account in sorted(granted.keys() | budgets.keys() | lines.keys() | log.account_rho.keys()):
        if account not in budgets or granted.get(account) != _account_row(budgets[account]):
            yield Bilingual(
                f"le budget de {account} n'est pas celui du journal", f"the budget of {account} is not the log's"
            )
        if lines.get(account, []) != [line for line in log.lines if line[1] == account]:
            yield Bilingual(
                f"la dépense de {account} n'est pas la somme des questions du journal",
                f"what {account} spent is not the sum of the log's questions",
            )
    spent_delta = connection.execute(
        "SELECT count(*) FROM ledger_line WHERE delta_steps <> '0' OR account_delta_steps <> '0'"
    ).fetchone()
    reservations = {
        name: (f"sha256:{plan.hex()}", party, at, state)
        for name, plan, party, at, state in connection.execute(
            "SELECT reservation, plan_digest, party, at, state FROM ledger_reservation"
        )
    }
    if reservations != log.reservations or spent_delta != (0,):
        yield Bilingual("les réservations ne sont pas celles du journal", "the reservations are not the log's")


def _account_row(terms: BudgetTerms) -> list[object]:
    budget = budget_of(terms)
    return [str(budget.epsilon), str(Fraction(budget.delta)), budget.window.value, budget.rho_max.pico]
