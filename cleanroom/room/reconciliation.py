"""Compare what the room's tables say with what its log recorded: budgets, spending, declarations, uploads, parties.

State and entry change in one transaction, so the log alone says what the state must be. Whoever edits the database
behind the room's back leaves a difference; each is named. It needs the key of the log's details.
"""

from __future__ import annotations

import json
from fractions import Fraction
from typing import TYPE_CHECKING

from cleanroom.errors import Bilingual, CleanroomError
from cleanroom.identifiers import Digest
from cleanroom.policies import read_declaration, read_settings
from cleanroom.room import answer_store, registry
from cleanroom.room.creation import ANSWERS, budget_of
from cleanroom.room.recorded import Given, Line, Recorded, recorded
from key_management import KeyId, KeyKind, KeyManagementError, KeyState

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from cleanroom.policies import BudgetTerms
    from cleanroom.room.journal import Journal
    from key_management import Keyring


def contradictions(connection: sqlite3.Connection, journal: Journal, keyring: Keyring) -> tuple[Bilingual, ...]:
    """Return every difference between state and log; none if the state is what the log says."""
    try:
        log = recorded(connection, journal)
        keys = _key_differences(connection, keyring, log)
        return (*_differences(connection, log), *keys, *_answer_differences(connection, keyring, log))
    except CleanroomError as error:
        return (error.message,)


def _differences(connection: sqlite3.Connection, log: Recorded) -> Iterator[Bilingual]:
    (settings,) = connection.execute("SELECT settings FROM room").fetchone()
    if settings.decode("utf-8", "replace") != log.settings:
        yield Bilingual("les réglages de la salle ne sont pas ceux du journal", "the room's settings are not the log's")
    parties = {
        str(party): (
            each.role.value,
            each.public_key.public_bytes_raw().hex(),
            "" if each.reading_key is None else str(Digest.of(each.reading_key)),
        )
        for party, each in registry.parties(connection).items()
    }
    for name in sorted(parties.keys() | log.parties.keys()):
        if parties.get(name) != log.parties.get(name):
            yield Bilingual(f"la partie {name} n'est pas celle du journal", f"the party {name} is not the log's")
    yield from _mandate_differences(connection, log)
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


def _mandate_differences(connection: sqlite3.Connection, log: Recorded) -> Iterator[Bilingual]:
    held: dict[int, Given] = {
        index: (auditor, giver, tuple(json.loads(events)), since, until, withdrawn)
        for index, auditor, giver, events, since, until, withdrawn in connection.execute(
            "SELECT log_index, auditor, giver, events, since, until, withdrawn FROM mandate"
        )
    }
    for index in sorted(held.keys() | log.mandates.keys()):
        if held.get(index) != log.mandates.get(index):
            yield Bilingual(
                f"le mandat de l'entrée {index} n'est pas celui du journal",
                f"the mandate of entry {index} is not the log's",
            )


def _upload_differences(connection: sqlite3.Connection, log: Recorded) -> Iterator[Bilingual]:
    held = registry.history(connection)
    uploads = {
        str(each.upload): (each.number, each.log_index, str(Digest.of(each.manifest.encode()))) for each, _ in held
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
    if set(connection.execute("SELECT table_name, number, log_index FROM erasure")) != log.erasures:
        yield Bilingual("les effacements ne sont pas ceux du journal", "the erasures are not the log's")


def _reference_differences(connection: sqlite3.Connection, log: Recorded) -> Iterator[Bilingual]:
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


def _key_differences(connection: sqlite3.Connection, keyring: Keyring, log: Recorded) -> Iterator[Bilingual]:
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


def _answer_differences(connection: sqlite3.Connection, keyring: Keyring, log: Recorded) -> Iterator[Bilingual]:
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
    connection: sqlite3.Connection, log: Recorded, budgets: dict[str, BudgetTerms]
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
