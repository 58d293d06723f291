"""Keep the accounts of a room, durably: what was granted, what was spent, what is left (S1, S3, S4).

The caller owns the SQLite connection and the transaction, so that a charge and its log entry are one commit. Every line
carries its account's running total, so a balance is two look-ups however long the room has lived, and an auditor can
recompute each. Lines are never changed nor deleted; the schema says so too.

A race cannot overspend: `reserve` writes before it reads, so it holds SQLite's one write lock from before the totals
are read until the caller commits; a transaction that began on an older snapshot fails with SQLITE_BUSY_SNAPSHOT.
"""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from cleanroom.accounting.account import ROOM, AccountId, Charge, combined
from cleanroom.accounting.privacy_loss import Budget, Rho, Window, checked_time
from cleanroom.accounting.reservation import (
    Balance,
    BudgetShortfall,
    InsufficientBudget,
    PartyShortfall,
    Reservation,
    ReservationState,
    Shortfall,
    ThresholdShortfall,
)
from cleanroom.errors import InvariantBroken
from cleanroom.identifiers import Digest, PartyId

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from cleanroom.accounting.account import PartyCap

DELTA_STEPS: Final = 10**30
"""Threshold deltas are entered in whole steps of 1e-30, rounded up, so that sums stay exact and short."""

SCHEMA: Final = (
    """
    CREATE TABLE IF NOT EXISTS ledger_clock (
        only INTEGER PRIMARY KEY CHECK (only = 1),
        last INTEGER NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE IF NOT EXISTS ledger_account (
        account TEXT PRIMARY KEY,
        epsilon TEXT NOT NULL,
        delta TEXT NOT NULL,
        spending_window TEXT NOT NULL CHECK (spending_window IN ('never', 'month', 'year')),
        rho_max INTEGER NOT NULL CHECK (rho_max >= 0)
    ) STRICT
    """,
    """
    CREATE TABLE IF NOT EXISTS ledger_reservation (
        reservation TEXT PRIMARY KEY,
        plan_digest BLOB NOT NULL CHECK (length(plan_digest) = 32),
        party TEXT NOT NULL,
        at INTEGER NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('reserved', 'data_read', 'released', 'failed'))
    ) STRICT
    """,
    """
    CREATE TABLE IF NOT EXISTS ledger_line (
        line INTEGER PRIMARY KEY,
        reservation TEXT NOT NULL REFERENCES ledger_reservation (reservation),
        account TEXT NOT NULL REFERENCES ledger_account (account),
        party TEXT NOT NULL,
        at INTEGER NOT NULL,
        rho INTEGER NOT NULL CHECK (rho > 0),
        delta_steps TEXT NOT NULL,
        account_rho INTEGER NOT NULL,
        account_delta_steps TEXT NOT NULL,
        party_rho INTEGER NOT NULL,
        UNIQUE (reservation, account)
    ) STRICT
    """,
    "CREATE INDEX IF NOT EXISTS ledger_line_of_account ON ledger_line (account, at, line)",
    "CREATE INDEX IF NOT EXISTS ledger_line_of_party ON ledger_line (account, party, at, line)",
    """
    CREATE INDEX IF NOT EXISTS ledger_reservation_unfinished ON ledger_reservation (state)
    WHERE state IN ('reserved', 'data_read')
    """,
    *(
        f"""
        CREATE TRIGGER IF NOT EXISTS {table}_never_{verb}d BEFORE {verb.upper()} ON {table}
        BEGIN SELECT raise(ABORT, 'what was spent stays spent'); END
        """
        for table, verb in (("ledger_line", "update"), ("ledger_line", "delete"), ("ledger_reservation", "delete"))
    ),
)
"""`rho`, `account_rho` and `party_rho` are 1e-12 steps; the last two are totals with this line, for ever."""


def create_schema(connection: sqlite3.Connection) -> None:
    """Make the ledger's tables where they are missing."""
    _in_transaction(connection)
    for statement in SCHEMA:
        connection.execute(statement)


def open_account(connection: sqlite3.Connection, account: AccountId, budget: Budget) -> None:
    """Open `account` with `budget`, or change its budget; what was spent stays spent, for ever (S4)."""
    _in_transaction(connection)
    connection.execute(
        "INSERT INTO ledger_account (account, epsilon, delta, spending_window, rho_max) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (account) DO UPDATE SET epsilon = excluded.epsilon, delta = excluded.delta,"
        " spending_window = excluded.spending_window, rho_max = excluded.rho_max",
        (str(account), str(budget.epsilon), str(budget.delta), budget.window.value, budget.rho_max.pico),
    )


def balance(connection: sqlite3.Connection, account: AccountId, at: int) -> Balance:
    """Return the state of `account` at `at`, or at the last time the ledger has seen if that is later."""
    now = max(checked_time(at), _last_seen(connection))
    row = connection.execute(
        "SELECT epsilon, delta, spending_window, rho_max FROM ledger_account WHERE account = ?", (str(account),)
    ).fetchone()
    if row is None:
        raise InvariantBroken(f"the account {account} was never opened")
    budget = Budget(Decimal(row[0]), Fraction(row[1]), Window(row[2]))
    rho_max = Rho(row[3])
    spent, delta_spent = _totals(connection, account, before=None)
    earlier, delta_earlier = _totals(connection, account, before=budget.window.start_of(now))
    in_window = spent.left_after(earlier)
    delta_in_window = delta_spent - delta_earlier
    return Balance(
        budget=budget,
        rho_max=rho_max,
        spent_lifetime=spent,
        spent_window=in_window,
        left=rho_max.left_after(in_window),
        delta_threshold_spent_lifetime=Fraction(delta_spent, DELTA_STEPS),
        delta_threshold_spent=Fraction(delta_in_window, DELTA_STEPS),
        delta_threshold_left=max(Fraction(0), budget.delta_threshold - Fraction(delta_in_window, DELTA_STEPS)),
    )


def party_left(connection: sqlite3.Connection, cap: PartyCap, at: int) -> Rho:
    """Return what `cap` still lets its party use at `at`."""
    now = max(checked_time(at), _last_seen(connection))
    spent = _party_total(connection, cap.account, cap.party, before=None)
    earlier = _party_total(connection, cap.account, cap.party, before=cap.window.start_of(now))
    return cap.rho_max.left_after(spent.left_after(earlier))


def reserve(
    connection: sqlite3.Connection,
    *,
    reservation_id: str,
    plan_digest: Digest,
    party: PartyId,
    charges: Iterable[Charge],
    caps: Iterable[PartyCap],
    at: int,
) -> Reservation:
    """Charge every account or none, before any data is read.

    Several charges on one account count as their sum. The caller commits; until then nothing is reserved.

    Args:
        connection: inside a transaction.
        reservation_id: unique for ever.
        plan_digest: the plan that this pays for.
        party: who asks.
        charges: of every release of the question; the room's account and each table read are among them (S1).
        caps: what of the accounts `party` may use; caps on accounts not charged do not matter.
        at: the caller's time; the ledger's own never goes back (S3).

    Raises:
        InsufficientBudget: with every account, threshold and cap that falls short; nothing was charged.
    """
    _in_transaction(connection)
    now = _advance_clock(connection, at)
    summed = tuple(_whole_steps(charge) for charge in combined(charges))
    if not summed or summed[0].account != ROOM or len(summed) == 1:
        raise InvariantBroken("a question charges the room and at least one table")
    if reservation(connection, reservation_id) is not None:
        raise InvariantBroken(f"the reservation {reservation_id!r} was made before")
    shortfalls = _shortfalls(connection, summed, party, tuple(caps), now)
    if shortfalls:
        raise InsufficientBudget(shortfalls)
    connection.execute(
        "INSERT INTO ledger_reservation (reservation, plan_digest, party, at, state) VALUES (?, ?, ?, ?, ?)",
        (reservation_id, plan_digest.value, party, now, ReservationState.RESERVED.value),
    )
    for charge in summed:
        _enter(connection, reservation_id, party, charge, now)
    return Reservation(reservation_id, plan_digest, party, summed, now, ReservationState.RESERVED)


def reservation(connection: sqlite3.Connection, reservation_id: str) -> Reservation | None:
    """Return the reservation called `reservation_id`, or None."""
    row = connection.execute(
        "SELECT reservation, plan_digest, party, at, state FROM ledger_reservation WHERE reservation = ?",
        (reservation_id,),
    ).fetchone()
    return None if row is None else _read_reservation(connection, row)


def unfinished(connection: sqlite3.Connection) -> tuple[Reservation, ...]:
    """Return the reservations that neither released nor failed, oldest first: at start-up, what a crash cut short.

    They stay charged: what was reserved may have been read, and what was read may have left.
    """
    rows = connection.execute(
        "SELECT reservation, plan_digest, party, at, state FROM ledger_reservation"
        " WHERE state IN ('reserved', 'data_read') ORDER BY at, rowid"
    ).fetchall()
    return tuple(_read_reservation(connection, row) for row in rows)


def mark_data_read(connection: sqlite3.Connection, reservation_id: str) -> None:
    """Enter that keys are about to be unwrapped for a reservation; it can never be given back."""
    _move(connection, reservation_id, (ReservationState.RESERVED,), ReservationState.DATA_READ)


def mark_released(connection: sqlite3.Connection, reservation_id: str) -> None:
    """Enter that a reservation's answer is stored and may leave."""
    _move(connection, reservation_id, (ReservationState.DATA_READ,), ReservationState.RELEASED)


def mark_failed(connection: sqlite3.Connection, reservation_id: str) -> None:
    """Enter that a reservation will never be answered; it stays charged (S23)."""
    _move(connection, reservation_id, (ReservationState.RESERVED, ReservationState.DATA_READ), ReservationState.FAILED)


def _in_transaction(connection: sqlite3.Connection) -> None:
    if not connection.in_transaction:
        raise InvariantBroken("the ledger is written inside the caller's transaction only")


def _last_seen(connection: sqlite3.Connection) -> int:
    row = connection.execute("SELECT last FROM ledger_clock WHERE only = 1").fetchone()
    return 0 if row is None else int(row[0])


def _advance_clock(connection: sqlite3.Connection, at: int) -> int:
    """Return the later of `at` and the last time seen, and remember it; the first write of `reserve`, see the top."""
    connection.execute(
        "INSERT INTO ledger_clock (only, last) VALUES (1, ?)"
        " ON CONFLICT (only) DO UPDATE SET last = max(last, excluded.last)",
        (checked_time(at),),
    )
    return _last_seen(connection)


def _whole_steps(charge: Charge) -> Charge:
    """Round a charge's threshold delta up to the ledger's step."""
    return Charge(charge.account, charge.rho, Fraction(_delta_steps(charge), DELTA_STEPS))


def _delta_steps(charge: Charge) -> int:
    return math.ceil(charge.delta_threshold * DELTA_STEPS)


def _shortfalls(
    connection: sqlite3.Connection, charges: Sequence[Charge], party: PartyId, caps: Sequence[PartyCap], now: int
) -> tuple[Shortfall, ...]:
    found: list[Shortfall] = []
    for charge in charges:
        account = balance(connection, charge.account, now)
        if charge.rho > account.left:
            found.append(BudgetShortfall(charge.account, charge.rho, account.left))
        if charge.delta_threshold > account.delta_threshold_left:
            found.append(ThresholdShortfall(charge.account, charge.delta_threshold, account.delta_threshold_left))
        for cap in caps:
            if cap.party != party:
                raise InvariantBroken("a cap of another party than the one that asks")
            if cap.account == charge.account and charge.rho > (left := party_left(connection, cap, now)):
                found.append(PartyShortfall(charge.account, party, charge.rho, left))
    return tuple(found)


def _enter(connection: sqlite3.Connection, reservation_id: str, party: PartyId, charge: Charge, now: int) -> None:
    spent, delta_spent = _totals(connection, charge.account, before=None)
    party_spent = _party_total(connection, charge.account, party, before=None)
    connection.execute(
        "INSERT INTO ledger_line (reservation, account, party, at, rho, delta_steps, account_rho, account_delta_steps,"
        " party_rho) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            reservation_id,
            str(charge.account),
            party,
            now,
            charge.rho.pico,
            str(_delta_steps(charge)),
            (spent + charge.rho).pico,
            str(delta_spent + _delta_steps(charge)),
            (party_spent + charge.rho).pico,
        ),
    )


def _totals(connection: sqlite3.Connection, account: AccountId, *, before: int | None) -> tuple[Rho, int]:
    """Return the rho and the delta steps ever charged to `account`, or charged before the time `before`.

    Times never go back along the lines, so the last line before a time carries the total up to it.
    """
    row = connection.execute(
        "SELECT account_rho, account_delta_steps FROM ledger_line WHERE account = ? AND at < ?"
        " ORDER BY at DESC, line DESC LIMIT 1",
        (str(account), _END_OF_TIME if before is None else before),
    ).fetchone()
    return (Rho(0), 0) if row is None else (Rho(row[0]), int(row[1]))


def _party_total(connection: sqlite3.Connection, account: AccountId, party: PartyId, *, before: int | None) -> Rho:
    row = connection.execute(
        "SELECT party_rho FROM ledger_line WHERE account = ? AND party = ? AND at < ?"
        " ORDER BY at DESC, line DESC LIMIT 1",
        (str(account), party, _END_OF_TIME if before is None else before),
    ).fetchone()
    return Rho(0) if row is None else Rho(row[0])


_END_OF_TIME: Final = 2**63 - 1


def _read_reservation(connection: sqlite3.Connection, row: tuple[str, bytes, str, int, str]) -> Reservation:
    lines = connection.execute(
        "SELECT account, rho, delta_steps FROM ledger_line WHERE reservation = ? ORDER BY line", (row[0],)
    ).fetchall()
    charges = tuple(
        Charge(AccountId.parse(account), Rho(rho), Fraction(int(delta_steps), DELTA_STEPS))
        for account, rho, delta_steps in lines
    )
    return Reservation(row[0], Digest(row[1]), PartyId(row[2]), charges, row[3], ReservationState(row[4]))


def _move(
    connection: sqlite3.Connection,
    reservation_id: str,
    sources: tuple[ReservationState, ...],
    target: ReservationState,
) -> None:
    _in_transaction(connection)
    marks = ", ".join("?" for _ in sources)
    moved = connection.execute(
        f"UPDATE ledger_reservation SET state = ? WHERE reservation = ? AND state IN ({marks})",  # noqa: S608
        (target.value, reservation_id, *(source.value for source in sources)),
    )
    if moved.rowcount != 1:
        raise InvariantBroken(f"the reservation {reservation_id!r} cannot become {target.value}")
