"""Compare what the room's tables say with what its log recorded: budgets, spending, declarations, uploads, parties.

State and entry change in one transaction, so the log alone says what the state must be. Whoever edits the database
behind the room's back leaves a difference; each is named. It needs the key of the log's details.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from audit_log import DetailsErased, EventType
from cleanroom.errors import Bilingual, CleanroomError
from cleanroom.policies import read_declaration, read_settings
from cleanroom.room import registry
from cleanroom.room.creation import OPERATOR, budget_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from cleanroom.policies import BudgetTerms
    from cleanroom.room.journal import Journal


@dataclass
class _Recorded:
    """What the log recorded, so far as state depends on it."""

    settings: str = ""
    parties: dict[str, tuple[str, str]] = field(default_factory=dict)
    declarations: dict[str, str] = field(default_factory=dict)
    uploads: dict[str, str] = field(default_factory=dict)
    spent: Counter[str] = field(default_factory=Counter)


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
        _READERS[kind](found, details)
    return found


def _room_created(found: _Recorded, details: dict[str, object]) -> None:
    found.settings = str(details["settings"])
    found.parties[OPERATOR] = ("operator", str(details["operator_key"]))


def _party_added(found: _Recorded, details: dict[str, object]) -> None:
    found.parties[str(details["party"])] = (str(details["role"]), str(details["public_key"]))


def _table_declared(found: _Recorded, details: dict[str, object]) -> None:
    found.declarations[str(details["table"])] = str(details["declaration"])


def _dataset_uploaded(found: _Recorded, details: dict[str, object]) -> None:
    found.uploads[str(details["upload"])] = str(details["manifest"])


def _query_charged(found: _Recorded, details: dict[str, object]) -> None:
    charges = details["charges"]
    if isinstance(charges, list):
        found.spent.update({str(account): int(steps) for account, steps in charges})


_READERS = {
    EventType.ROOM_CREATED: _room_created,
    EventType.PARTY_ADDED: _party_added,
    EventType.TABLE_DECLARED: _table_declared,
    EventType.DATASET_UPLOADED: _dataset_uploaded,
    EventType.QUERY_CHARGED: _query_charged,
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
    budgets: dict[str, BudgetTerms] = {table: each.budget for table, each in declared.items()}
    budgets["room"] = read_settings(log.settings.encode()).budget
    granted = dict(connection.execute("SELECT account, rho_max FROM ledger_account").fetchall())
    spent = dict(connection.execute("SELECT account, sum(rho) FROM ledger_line GROUP BY account").fetchall())
    for account in sorted(granted.keys() | budgets.keys() | spent.keys() | log.spent.keys()):
        terms = budgets.get(account)
        if terms is None or granted.get(account) != budget_of(terms).rho_max.pico:
            yield Bilingual(
                f"le budget de {account} n'est pas celui du journal", f"the budget of {account} is not the log's"
            )
        if spent.get(account, 0) != log.spent.get(account, 0):
            yield Bilingual(
                f"la dépense de {account} n'est pas la somme des questions du journal",
                f"what {account} spent is not the sum of the log's questions",
            )
