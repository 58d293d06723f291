"""Keep the accounts of a room, durably: what was granted, what was spent, what is left (S1, S3, S4).

The caller owns the SQLite connection and the transaction, so that a charge and its log entry are one commit. Every line
carries its account's running total, so a balance is two look-ups however long the room has lived, and an auditor can
recompute each. Lines are never changed nor deleted; the schema says so too.

What was spent on a table until its owner took it back stays with the owner (S4): it counts against each of the owner's
other tables, of whatever name, declared before or after, for ever. An account counts rho, or epsilons if it is pure
(S11): of a pure table taken back a zCDP account counts what its epsilon implies; of a zCDP one, if anything was spent
on it, a pure account can count nothing, so it has nothing left.

A race cannot overspend: `reserve` writes before it reads, so it holds SQLite's one write lock from before the totals
are read until the caller commits; a transaction that began on an older snapshot fails with SQLITE_BUSY_SNAPSHOT.
"""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING

from cleanroom.accounting.account import ROOM, AccountId, Charge, combined
from cleanroom.accounting.ledger_tables import DELTA_STEPS, SCHEMA
from cleanroom.accounting.privacy_loss import Budget, Loss, PureEpsilon, Rho, Window, checked_time
from cleanroom.accounting.reservation import (
    Balance,
    BudgetShortfall,
    InsufficientBudget,
    KindChanged,
    PartyShortfall,
    Reservation,
    ReservationState,
    Shortfall,
    ThresholdShortfall,
)
from cleanroom.accounting.spending import last_seen, spent, steps_of
from cleanroom.errors import InvariantBroken
from cleanroom.identifiers import Digest, PartyId

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from cleanroom.accounting.account import PartyCap

__all__ = [
    "DELTA_STEPS",
    "balance",
    "budget_of",
    "create_schema",
    "end_account",
    "mark_data_read",
    "mark_failed",
    "mark_released",
    "open_account",
    "party_left",
    "reservation",
    "reserve",
    "shortfalls",
    "unfinished",
]


def create_schema(connection: sqlite3.Connection) -> None:
    """Make the ledger's tables where they are missing."""
    _in_transaction(connection)
    for statement in SCHEMA:
        connection.execute(statement)


def open_account(connection: sqlite3.Connection, account: AccountId, budget: Budget) -> None:
    """Open `account` with `budget`, or change its budget; what was spent stays spent, for ever (S4).

    Raises:
        KindChanged: it was charged in rho and would count epsilons, or the other way round.
    """
    _in_transaction(connection)
    before = connection.execute("SELECT delta FROM ledger_account WHERE account = ?", (str(account),)).fetchone()
    if before is not None and (Fraction(before[0]) == 0) != budget.pure and steps_of(connection, account, None)[0]:
        raise KindChanged(account)
    connection.execute(
        "INSERT INTO ledger_account (account, epsilon, delta, spending_window, rho_max) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (account) DO UPDATE SET epsilon = excluded.epsilon, delta = excluded.delta,"
        " spending_window = excluded.spending_window, rho_max = excluded.rho_max",
        (str(account), str(budget.epsilon), str(budget.delta), budget.window.value, budget.rho_max.pico),
    )


def end_account(connection: sqlite3.Connection, account: AccountId) -> None:
    """Enter that an account's table is taken back: what it spent so far counts against the owner's others too (S4)."""
    _in_transaction(connection)
    ended = connection.execute(
        "UPDATE ledger_account SET ended_line = (SELECT coalesce(max(line), 0) FROM ledger_line) WHERE account = ?",
        (str(account),),
    )
    if account == ROOM or ended.rowcount != 1:
        raise InvariantBroken(f"the account {account} cannot end")


def balance(connection: sqlite3.Connection, account: AccountId, at: int) -> Balance:
    """Return the state of `account` at `at`, or at the last time the ledger has seen if that is later."""
    now = max(checked_time(at), last_seen(connection))
    budget, most = _granted(connection, account)
    kind = PureEpsilon if budget.pure else Rho
    rho_max = kind(most)
    lifetime = spent(connection, account, pure=budget.pure, since=None)
    start = budget.window.start_of(now)
    # Nothing was charged before the first second, so from there on it is all that ever was.
    recent = spent(connection, account, pure=budget.pure, since=start) if start else lifetime
    delta_spent, delta_lifetime = _as_delta(recent.delta_steps), _as_delta(lifetime.delta_steps)
    delta_left = budget.delta_threshold - delta_spent
    return Balance(
        budget=budget,
        rho_max=rho_max,
        spent_lifetime=kind(lifetime.steps),
        spent_window=kind(recent.steps),
        left=kind(0 if lifetime.beyond_counting else max(0, rho_max.pico - recent.steps)),
        delta_threshold_spent_lifetime=delta_lifetime,
        delta_threshold_spent=delta_spent,
        delta_threshold_left=max(Fraction(0), delta_left),
        inherited=kind(lifetime.inherited),
    )


def budget_of(connection: sqlite3.Connection, account: AccountId) -> Budget:
    """Return what `account` was granted, without what is left of it."""
    return _granted(connection, account)[0]


def _granted(connection: sqlite3.Connection, account: AccountId) -> tuple[Budget, int]:
    """Return the budget of an account, and the steps of loss that it allows."""
    row = connection.execute(
        "SELECT epsilon, delta, spending_window, rho_max FROM ledger_account WHERE account = ?", (str(account),)
    ).fetchone()
    if row is None:
        raise InvariantBroken(f"the account {account} was never opened")
    return _budget(*row[:3]), int(row[3])


@lru_cache(maxsize=1024)
def _as_delta(steps: int) -> Fraction:
    """Return the ledger's steps of a threshold's delta as that delta."""
    return Fraction(steps, DELTA_STEPS)


@lru_cache(maxsize=1024)
def _budget(epsilon: str, delta: str, window: str) -> Budget:
    """Return a budget as an account's row writes it."""
    return Budget(Decimal(epsilon), Fraction(delta), Window(window))


def party_left(connection: sqlite3.Connection, cap: PartyCap, at: int) -> Loss:
    """Return what `cap` still lets its party use at `at`."""
    now = max(checked_time(at), last_seen(connection))
    pure = isinstance(cap.rho_max, PureEpsilon)
    used = spent(connection, cap.account, pure=pure, since=cap.window.start_of(now), party=cap.party)
    left = 0 if used.beyond_counting else max(0, cap.rho_max.pico - used.steps)
    return type(cap.rho_max)(left)


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
    short = _shortfalls(connection, summed, party, tuple(caps), now)
    if short:
        raise InsufficientBudget(short)
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


def _advance_clock(connection: sqlite3.Connection, at: int) -> int:
    """Return the later of `at` and the last time seen, and remember it; the first write of `reserve`, see the top."""
    connection.execute(
        "INSERT INTO ledger_clock (only, last) VALUES (1, ?)"
        " ON CONFLICT (only) DO UPDATE SET last = max(last, excluded.last)",
        (checked_time(at),),
    )
    return last_seen(connection)


def _whole_steps(charge: Charge) -> Charge:
    """Round a charge's threshold delta up to the ledger's step."""
    return Charge(charge.account, charge.loss, _as_delta(_delta_steps(charge)))


def _delta_steps(charge: Charge) -> int:
    return math.ceil(charge.delta_threshold * DELTA_STEPS)


def shortfalls(
    connection: sqlite3.Connection, charges: Iterable[Charge], party: PartyId, caps: Iterable[PartyCap], at: int
) -> tuple[Shortfall, ...]:
    """Return every account, threshold and cap that could not pay `charges`; none if `reserve` would take them."""
    summed = tuple(_whole_steps(charge) for charge in combined(charges))
    return _shortfalls(connection, summed, party, tuple(caps), max(checked_time(at), last_seen(connection)))


def _shortfalls(
    connection: sqlite3.Connection, charges: Sequence[Charge], party: PartyId, caps: Sequence[PartyCap], now: int
) -> tuple[Shortfall, ...]:
    found: list[Shortfall] = []
    for charge in charges:
        account = balance(connection, charge.account, now)
        if account.budget.pure != charge.pure:
            raise InvariantBroken(f"the account {charge.account} does not count this kind of loss")
        if charge.loss.pico > account.left.pico:
            found.append(BudgetShortfall(charge.account, charge.loss, account.left, account.budget.delta_conversion))
        if charge.delta_threshold > account.delta_threshold_left:
            found.append(ThresholdShortfall(charge.account, charge.delta_threshold, account.delta_threshold_left))
        for cap in caps:
            if cap.party != party:
                raise InvariantBroken("a cap of another party than the one that asks")
            if cap.account != charge.account:
                continue
            if isinstance(cap.rho_max, PureEpsilon) != charge.pure:
                raise InvariantBroken(f"a cap on {cap.account} does not count this kind of loss")
            if charge.loss.pico > (left := party_left(connection, cap, now)).pico:
                found.append(PartyShortfall(charge.account, party, charge.loss, left, account.budget.delta_conversion))
    return tuple(found)


def _enter(connection: sqlite3.Connection, reservation_id: str, party: PartyId, charge: Charge, now: int) -> None:
    before, delta_before = steps_of(connection, charge.account, None)
    party_before, _ = steps_of(connection, charge.account, None, party=party)
    steps, kind = charge.loss.pico, type(charge.loss)
    connection.execute(
        "INSERT INTO ledger_line (reservation, account, party, at, rho, delta_steps, account_rho, account_delta_steps,"
        " party_rho) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            reservation_id,
            str(charge.account),
            party,
            now,
            steps,
            str(_delta_steps(charge)),
            kind(before + steps).pico,
            str(delta_before + _delta_steps(charge)),
            kind(party_before + steps).pico,
        ),
    )


def _read_reservation(connection: sqlite3.Connection, row: tuple[str, bytes, str, int, str]) -> Reservation:
    lines = connection.execute(
        "SELECT account, rho, delta_steps, delta FROM ledger_line JOIN ledger_account USING (account)"
        " WHERE reservation = ? ORDER BY line",
        (row[0],),
    ).fetchall()
    charges = tuple(
        Charge(
            AccountId.parse(account),
            PureEpsilon(steps) if Fraction(delta) == 0 else Rho(steps),
            _as_delta(int(delta_steps)),
        )
        for account, steps, delta_steps, delta in lines
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
