"""What was spent stays spent; a charge is whole or not at all; two can never both have the last of a budget."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from cleanroom.accounting import ledger
from cleanroom.accounting.account import ROOM, AccountId, Charge, PartyCap
from cleanroom.accounting.privacy_loss import Budget, InvalidPrivacyParameter, Rho, Window
from cleanroom.accounting.reservation import (
    BudgetShortfall,
    InsufficientBudget,
    KindChanged,
    PartyShortfall,
    Reservation,
    ReservationState,
    ThresholdShortfall,
)
from cleanroom.errors import ExitCode, InvariantBroken
from cleanroom.identifiers import Digest, PartyId

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TNM, FRANCOS = AccountId.parse("tnm.visits"), AccountId.parse("francos.visits")
OSM = PartyId("osm")
PLAN = Digest.of(b"a plan")
JANUARY, FEBRUARY, NEXT_YEAR = 1_767_225_600, 1_769_904_000, 1_798_761_600
BUDGET = Budget(Decimal(1), Fraction(1, 10**7), Window.NEVER)
LIMIT = BUDGET.rho_max


def connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=60)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "room.db"
    with contextlib.closing(connect(path)) as connection, transaction(connection):
        ledger.create_schema(connection)
        for account in (ROOM, TNM, FRANCOS):
            ledger.open_account(connection, account, BUDGET)
    return path


@pytest.fixture
def room(path: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(connect(path)) as connection:
        yield connection


def ask(
    connection: sqlite3.Connection,
    name: str,
    *charges: Charge,
    at: int = JANUARY,
    caps: tuple[PartyCap, ...] = (),
) -> Reservation:
    with transaction(connection):
        return ledger.reserve(
            connection, reservation_id=name, plan_digest=PLAN, party=OSM, charges=charges, caps=caps, at=at
        )


def half(account: AccountId, *, delta: Fraction = Fraction(0)) -> Charge:
    return Charge(account, Rho(LIMIT.pico // 2), delta)


def test_a_charge_is_entered_on_every_account_and_read_back(room: sqlite3.Connection) -> None:
    made = ask(room, "q1", half(TNM), half(ROOM), half(FRANCOS, delta=Fraction(1, 10**9)))
    assert [charge.account for charge in made.charges] == [ROOM, FRANCOS, TNM]
    assert ledger.reservation(room, "q1") == made
    assert ledger.reservation(room, "q2") is None
    balance = ledger.balance(room, FRANCOS, JANUARY)
    assert balance.budget == BUDGET
    assert balance.rho_max == LIMIT
    assert balance.spent_lifetime == balance.spent_window == half(FRANCOS).rho
    assert balance.left == LIMIT.left_after(half(FRANCOS).rho)
    assert balance.delta_threshold_spent == balance.delta_threshold_spent_lifetime == Fraction(1, 10**9)
    assert balance.delta_threshold_left == BUDGET.delta_threshold - Fraction(1, 10**9)


def test_the_whole_budget_can_be_spent_and_not_one_step_more(room: sqlite3.Connection) -> None:
    ask(room, "all", Charge(ROOM, LIMIT), Charge(TNM, LIMIT))
    assert ledger.balance(room, TNM, JANUARY).left == Rho(0)
    with pytest.raises(InsufficientBudget):
        ask(room, "more", Charge(ROOM, Rho(1)), Charge(FRANCOS, Rho(1)))


def test_all_accounts_or_none_and_every_shortfall_is_named(room: sqlite3.Connection) -> None:
    ask(room, "q1", half(ROOM), half(TNM))
    cap = PartyCap(FRANCOS, OSM, Rho(5), Window.YEAR)
    too_much = Rho(LIMIT.pico - 1)
    with pytest.raises(InsufficientBudget) as caught:
        ask(room, "q2", half(ROOM), Charge(TNM, too_much), half(FRANCOS, delta=Fraction(1, 10**7)), caps=(cap,))
    left = LIMIT.left_after(half(TNM).rho)
    assert caught.value.shortfalls == (
        ThresholdShortfall(FRANCOS, Fraction(1, 10**7), BUDGET.delta_threshold),
        PartyShortfall(FRANCOS, OSM, half(FRANCOS).rho, Rho(5), BUDGET.delta_conversion),
        BudgetShortfall(TNM, too_much, left, BUDGET.delta_conversion),
    )
    assert caught.value.exit_code == ExitCode.REFUSED
    assert [refusal.code for refusal in caught.value.refusals] == ["budget_insufficient"] * 3
    assert all(
        "tnm.visits" in text for text in (caught.value.refusals[2].message.fr, caught.value.refusals[2].message.en)
    )
    assert ledger.reservation(room, "q2") is None
    assert ledger.balance(room, FRANCOS, JANUARY).spent_lifetime == Rho(0)


def test_even_if_the_caller_commits_after_a_refusal_nothing_was_charged(room: sqlite3.Connection) -> None:
    room.execute("BEGIN IMMEDIATE")
    with pytest.raises(InsufficientBudget):
        ledger.reserve(
            room,
            reservation_id="q",
            plan_digest=PLAN,
            party=OSM,
            charges=[half(ROOM), Charge(TNM, LIMIT + Rho(1))],
            caps=[],
            at=JANUARY,
        )
    room.execute("COMMIT")
    assert ledger.balance(room, ROOM, JANUARY).spent_lifetime == Rho(0)
    assert ledger.reservation(room, "q") is None


def test_charges_of_several_releases_count_as_their_sum(room: sqlite3.Connection) -> None:
    with pytest.raises(InsufficientBudget):
        ask(room, "q", half(ROOM), half(TNM), half(TNM), half(TNM))
    made = ask(room, "q", half(ROOM), Charge(TNM, Rho(1)), Charge(TNM, Rho(2)))
    assert made.charges == (half(ROOM), Charge(TNM, Rho(3)))


def test_a_redeclared_budget_forgets_nothing(room: sqlite3.Connection) -> None:
    ask(room, "q", half(ROOM), half(TNM))
    for budget in (
        replace(BUDGET, epsilon=Decimal("0.01")),
        replace(BUDGET, window=Window.MONTH),
        replace(BUDGET, epsilon=Decimal(2)),
        BUDGET,
    ):
        with transaction(room):
            ledger.open_account(room, TNM, budget)
        balance = ledger.balance(room, TNM, JANUARY)
        assert balance.budget == budget
        assert balance.spent_lifetime == half(TNM).rho
        assert balance.left == budget.rho_max.left_after(half(TNM).rho)


def test_a_window_renews_what_may_be_spent_not_what_was_lost(room: sqlite3.Connection) -> None:
    with transaction(room):
        ledger.open_account(room, ROOM, replace(BUDGET, epsilon=Decimal(10)))
        ledger.open_account(room, TNM, replace(BUDGET, window=Window.MONTH))
    delta = BUDGET.delta_threshold
    ask(room, "january", half(ROOM), Charge(TNM, LIMIT, delta), at=FEBRUARY - 1)
    with pytest.raises(InsufficientBudget):
        ask(room, "still january", Charge(ROOM, Rho(1)), Charge(TNM, Rho(1)), at=FEBRUARY - 1)
    ask(room, "february", half(ROOM), Charge(TNM, LIMIT, delta), at=FEBRUARY)
    balance = ledger.balance(room, TNM, FEBRUARY)
    assert balance.spent_window == LIMIT
    assert balance.spent_lifetime == LIMIT + LIMIT
    assert balance.delta_threshold_spent == delta
    assert balance.delta_threshold_spent_lifetime == 2 * delta


def test_a_clock_set_back_opens_no_window_again(room: sqlite3.Connection) -> None:
    with transaction(room):
        ledger.open_account(room, TNM, replace(BUDGET, window=Window.MONTH))
    ask(room, "q1", half(ROOM), Charge(TNM, LIMIT), at=FEBRUARY)
    with pytest.raises(InsufficientBudget):
        ask(room, "q2", Charge(ROOM, Rho(1)), Charge(TNM, Rho(1)), at=JANUARY)
    assert ledger.balance(room, TNM, JANUARY).spent_window == LIMIT
    made = ask(room, "q3", Charge(ROOM, Rho(1)), Charge(FRANCOS, Rho(1)), at=JANUARY)
    assert made.at == FEBRUARY


def test_a_party_s_cap_is_a_limit_below_the_budget(room: sqlite3.Connection) -> None:
    cap = PartyCap(TNM, OSM, Rho(10), Window.YEAR)
    ask(room, "q1", Charge(ROOM, Rho(6)), Charge(TNM, Rho(6)), caps=(cap,))
    assert ledger.party_left(room, cap, JANUARY) == Rho(4)
    assert ledger.party_left(room, replace(cap, party=PartyId("tnm")), JANUARY) == Rho(10)
    with pytest.raises(InsufficientBudget) as caught:
        ask(room, "q2", Charge(ROOM, Rho(5)), Charge(TNM, Rho(5)), caps=(cap,))
    assert caught.value.shortfalls == (PartyShortfall(TNM, OSM, Rho(5), Rho(4), BUDGET.delta_conversion),)
    ask(room, "q3", Charge(ROOM, Rho(5)), Charge(FRANCOS, Rho(5)), caps=(cap,))
    ask(room, "q4", Charge(ROOM, Rho(5)), Charge(TNM, Rho(5)), caps=(cap,), at=NEXT_YEAR)
    with pytest.raises(InvariantBroken):
        ask(room, "q5", half(ROOM), half(TNM), caps=(replace(cap, party=PartyId("tnm")),))


def test_states_move_forward_only_and_give_nothing_back(room: sqlite3.Connection) -> None:
    for name in ("released", "failed", "failed early", "unread", "read"):
        ask(room, name, Charge(ROOM, Rho(1)), Charge(TNM, Rho(1)))
    with transaction(room):
        ledger.mark_data_read(room, "released")
        ledger.mark_released(room, "released")
        ledger.mark_data_read(room, "failed")
        ledger.mark_failed(room, "failed")
        ledger.mark_failed(room, "failed early")
        ledger.mark_data_read(room, "read")
    states = {name: ledger.reservation(room, name) for name in ("released", "failed", "failed early")}
    assert [made.state for made in states.values() if made] == [
        ReservationState.RELEASED,
        ReservationState.FAILED,
        ReservationState.FAILED,
    ]
    assert [(made.reservation_id, made.state) for made in ledger.unfinished(room)] == [
        ("unread", ReservationState.RESERVED),
        ("read", ReservationState.DATA_READ),
    ]
    assert ledger.balance(room, TNM, JANUARY).spent_lifetime == Rho(5)
    for move, name in (
        (ledger.mark_released, "unread"),
        (ledger.mark_data_read, "released"),
        (ledger.mark_failed, "released"),
        (ledger.mark_released, "failed"),
        (ledger.mark_failed, "nobody's"),
    ):
        with pytest.raises(InvariantBroken), transaction(room):
            move(room, name)


def test_writes_need_the_caller_s_transaction(room: sqlite3.Connection) -> None:
    with pytest.raises(InvariantBroken):
        ledger.create_schema(room)
    with pytest.raises(InvariantBroken):
        ledger.open_account(room, TNM, BUDGET)
    with pytest.raises(InvariantBroken):
        ledger.reserve(room, reservation_id="q", plan_digest=PLAN, party=OSM, charges=[], caps=[], at=0)
    for move in (ledger.mark_data_read, ledger.mark_released, ledger.mark_failed):
        with pytest.raises(InvariantBroken):
            move(room, "q")


def test_a_question_that_leaves_out_the_room_or_every_table_is_our_bug(room: sqlite3.Connection) -> None:
    for charges in ((), (half(ROOM),), (half(TNM),), (half(TNM), half(FRANCOS))):
        with pytest.raises(InvariantBroken):
            ask(room, "q", *charges)


def test_an_account_never_opened_and_a_name_used_before_are_our_bugs(room: sqlite3.Connection) -> None:
    ask(room, "q", half(ROOM), half(TNM))
    with pytest.raises(InvariantBroken):
        ask(room, "q", Charge(ROOM, Rho(1)), Charge(TNM, Rho(1)))
    with pytest.raises(InvariantBroken):
        ask(room, "r", Charge(ROOM, Rho(1)), Charge(AccountId.parse("osm.sales"), Rho(1)))
    with pytest.raises(InvalidPrivacyParameter):
        ask(room, "s", Charge(ROOM, Rho(1)), Charge(TNM, Rho(1)), at=-1)


def test_lines_are_never_changed_nor_deleted(room: sqlite3.Connection) -> None:
    ask(room, "q", half(ROOM), half(TNM))
    for statement in ("DELETE FROM ledger_line", "UPDATE ledger_line SET rho = 1", "DELETE FROM ledger_reservation"):
        with pytest.raises(sqlite3.IntegrityError, match="stays spent"):
            room.execute(statement)


def test_a_threshold_s_delta_is_rounded_up(room: sqlite3.Connection) -> None:
    third = Fraction(1, 3 * 10**8)
    for name in ("a", "b", "c"):
        ask(room, name, Charge(ROOM, Rho(1), third), Charge(TNM, Rho(1), third))
    spent = ledger.balance(room, TNM, JANUARY).delta_threshold_spent
    assert 3 * third <= spent < 3 * third + Fraction(3, ledger.DELTA_STEPS)


def test_the_schema_can_be_made_again(room: sqlite3.Connection) -> None:
    ask(room, "q", half(ROOM), half(TNM))
    with transaction(room):
        ledger.create_schema(room)
    assert ledger.balance(room, TNM, JANUARY).spent_lifetime == half(TNM).rho


def test_of_64_racing_for_the_last_of_a_budget_exactly_one_has_it(path: Path) -> None:
    most = Charge(ROOM, Rho(LIMIT.pico // 2 + 1)), Charge(TNM, Rho(LIMIT.pico // 2 + 1))
    start, won, refused, faults = threading.Barrier(64), [], [], []

    def race(name: str) -> None:
        with contextlib.closing(connect(path)) as connection:
            start.wait()
            try:
                won.append(ask(connection, name, *most))
            except InsufficientBudget:
                refused.append(name)
            except Exception as fault:
                faults.append(fault)

    threads = [threading.Thread(target=race, args=(f"q{index}",)) for index in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(refused), faults) == (1, 63, [])
    with contextlib.closing(connect(path)) as connection:
        assert ledger.balance(connection, TNM, JANUARY).spent_lifetime == most[1].rho


def test_a_transaction_on_an_old_snapshot_cannot_reserve(path: Path) -> None:
    """Without BEGIN IMMEDIATE: whoever read before another's commit fails, rather than add to totals of the past."""
    with contextlib.closing(connect(path)) as old, contextlib.closing(connect(path)) as new:
        old.execute("BEGIN")
        assert ledger.balance(old, TNM, JANUARY).left == LIMIT
        ask(new, "new", Charge(ROOM, LIMIT), Charge(TNM, LIMIT))
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            ledger.reserve(
                old,
                reservation_id="old",
                plan_digest=PLAN,
                party=OSM,
                charges=[Charge(ROOM, LIMIT), Charge(TNM, LIMIT)],
                caps=[],
                at=JANUARY,
            )
        old.execute("ROLLBACK")


CRASH = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_ledger import *
connection = connect(Path(sys.argv[1]))
ask(connection, "reserved", half(ROOM), half(TNM))
connection.execute("BEGIN IMMEDIATE")
ledger.reserve(connection, reservation_id="not committed", plan_digest=PLAN, party=OSM,
               charges=[Charge(ROOM, Rho(1)), Charge(TNM, Rho(1))], caps=[], at=JANUARY)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_killed_between_reserving_and_settling_it_stays_charged(path: Path) -> None:
    here = os.path.dirname(__file__)  # noqa: PTH120
    ended = subprocess.run([sys.executable, "-c", CRASH, str(path), here], check=False, capture_output=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    with contextlib.closing(connect(path)) as connection:
        assert [made.reservation_id for made in ledger.unfinished(connection)] == ["reserved"]
        assert ledger.balance(connection, TNM, JANUARY).spent_lifetime == half(TNM).rho
        with transaction(connection):
            ledger.mark_failed(connection, "reserved")
        assert ledger.unfinished(connection) == ()
        assert ledger.balance(connection, TNM, JANUARY).spent_lifetime == half(TNM).rho


def test_an_account_that_was_charged_keeps_its_kind(room: sqlite3.Connection) -> None:
    """What was charged in rho cannot be counted in epsilons, nor the other way around (S11)."""
    pure = Budget(Decimal(1), Fraction(0), Window.NEVER)
    wider = Budget(Decimal(2), Fraction(1, 10**7), Window.YEAR)
    with transaction(room):
        for budget in (pure, BUDGET, wider, pure, BUDGET):
            ledger.open_account(room, TNM, budget)
    ask(room, "q", Charge(ROOM, Rho(1)), Charge(TNM, Rho(1)))
    with pytest.raises(KindChanged), transaction(room):
        ledger.open_account(room, TNM, pure)
    with transaction(room):
        ledger.open_account(room, TNM, wider)
        ledger.open_account(room, FRANCOS, pure)
    assert ledger.balance(room, TNM, JANUARY).budget == wider
    assert ledger.balance(room, FRANCOS, JANUARY).budget == pure
