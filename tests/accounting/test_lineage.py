"""What was spent on a table taken back stays with its owner (S4): whatever the names, and whatever came first."""

from __future__ import annotations

import sqlite3
from decimal import Decimal
from fractions import Fraction

import pytest

from cleanroom.accounting import ledger
from cleanroom.accounting.account import ROOM, AccountId, Charge, PartyCap
from cleanroom.accounting.privacy_loss import Budget, Loss, PureEpsilon, Rho, Window
from cleanroom.accounting.reservation import InsufficientBudget, KindChanged
from cleanroom.errors import InvariantBroken
from cleanroom.identifiers import Digest, PartyId

VISITS, AGAIN, OTHER, NEIGHBOUR = map(AccountId.parse, ("tnm.visits", "tnm.again", "tnm.sales", "tnm_x.visits"))
BUDGET = Budget(Decimal(1), Fraction(1, 10**6), Window.NEVER)
PURE = Budget(Decimal(1), Fraction(0), Window.NEVER)
OSM, TNM = PartyId("osm"), PartyId("tnm")
TENTH = Rho(BUDGET.rho_max.pico // 10)


class Book:
    """A ledger in memory, each step its own transaction."""

    def __init__(self, again: Budget = BUDGET) -> None:
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        self.names = 0
        with self:
            ledger.create_schema(self.connection)
            for account in (ROOM, VISITS, AGAIN, OTHER, NEIGHBOUR):
                ledger.open_account(self.connection, account, again if account == AGAIN else BUDGET)

    def __enter__(self) -> None:
        self.connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        self.connection.execute("COMMIT" if failed is None else "ROLLBACK")

    def charge(self, account: AccountId, loss: Loss, party: PartyId = TNM, *caps: PartyCap) -> None:
        self.names += 1
        with self:
            ledger.reserve(
                self.connection,
                reservation_id=f"q{self.names}",
                plan_digest=Digest.of(b"plan"),
                party=party,
                charges=[Charge(ROOM, Rho(1)), Charge(account, loss)],
                caps=caps,
                at=0,
            )

    def take_back(self, account: AccountId) -> None:
        with self:
            ledger.end_account(self.connection, account)

    def spent(self, account: AccountId) -> int:
        return ledger.balance(self.connection, account, 0).spent_lifetime.pico


def test_what_a_table_taken_back_spent_counts_with_its_owner_s_others() -> None:
    book = Book()
    book.charge(VISITS, TENTH)
    book.charge(AGAIN, TENTH)
    assert [book.spent(each) for each in (VISITS, AGAIN, OTHER)] == [TENTH.pico, TENTH.pico, 0]
    book.take_back(VISITS)
    assert [book.spent(each) for each in (AGAIN, OTHER)] == [2 * TENTH.pico, TENTH.pico]
    assert ledger.balance(book.connection, AGAIN, 0).inherited == TENTH
    # Declared again under its own name, it goes on as it was left, and what it spent before still counts elsewhere.
    with book:
        ledger.open_account(book.connection, VISITS, BUDGET)
    book.charge(VISITS, TENTH)
    assert [book.spent(each) for each in (VISITS, AGAIN, OTHER)] == [2 * TENTH.pico, 2 * TENTH.pico, TENTH.pico]
    assert book.spent(ROOM) == 3


def test_another_owner_s_table_does_not_count() -> None:
    """Nor that of an owner whose name only begins alike."""
    book = Book()
    book.charge(NEIGHBOUR, TENTH)
    book.take_back(NEIGHBOUR)
    assert [book.spent(each) for each in (VISITS, AGAIN, OTHER)] == [0, 0, 0]


def test_a_budget_that_is_used_up_stays_so_under_every_name() -> None:
    book = Book()
    for _ in range(10):
        book.charge(VISITS, TENTH)
    book.take_back(VISITS)
    with pytest.raises(InsufficientBudget):
        book.charge(AGAIN, TENTH)
    book.charge(NEIGHBOUR, TENTH)


def test_a_party_s_part_of_it_counts_against_its_cap() -> None:
    book = Book()
    book.charge(VISITS, TENTH, OSM)
    book.charge(VISITS, TENTH, TNM)
    book.take_back(VISITS)
    cap = PartyCap(AGAIN, OSM, Rho(TENTH.pico + 5), Window.NEVER)
    assert ledger.party_left(book.connection, cap, 0) == Rho(5)
    with pytest.raises(InsufficientBudget):
        book.charge(AGAIN, Rho(6), OSM, cap)
    book.charge(AGAIN, Rho(5), OSM, cap)


def test_windows_forgive_what_was_inherited_as_they_do_the_rest() -> None:
    book = Book(Budget(Decimal(1), Fraction(1, 10**6), Window.YEAR))
    book.charge(VISITS, TENTH)
    book.take_back(VISITS)
    found = ledger.balance(book.connection, AGAIN, 366 * 86_400)
    assert (found.spent_window.pico, found.spent_lifetime) == (0, TENTH)


def test_a_pure_account_counts_no_rho() -> None:
    """No epsilon with delta 0 says what was lost in rho: nothing may be asked of the pure table any more."""
    book = Book(PURE)
    book.charge(AGAIN, PureEpsilon(10))
    book.take_back(VISITS)
    assert ledger.balance(book.connection, AGAIN, 0).left == PureEpsilon(10**12 - 10)
    book = Book(PURE)
    book.charge(VISITS, TENTH)
    book.take_back(VISITS)
    assert ledger.balance(book.connection, AGAIN, 0).left == PureEpsilon(0)
    with pytest.raises(InsufficientBudget):
        book.charge(AGAIN, PureEpsilon(1))


def test_a_zcdp_account_counts_what_an_epsilon_implies() -> None:
    book = Book(PURE)
    half = PureEpsilon(5 * 10**11)
    book.charge(AGAIN, half)
    book.take_back(AGAIN)
    assert book.spent(VISITS) == half.rho.pico == 125 * 10**9


def test_kinds_do_not_change_nor_mix() -> None:
    book = Book(PURE)
    book.charge(AGAIN, PureEpsilon(1))
    with pytest.raises(KindChanged), book:
        ledger.open_account(book.connection, AGAIN, BUDGET)
    with book:
        ledger.open_account(book.connection, OTHER, PURE)  # never charged: it may
    for account, loss, caps in (
        (AGAIN, Rho(1), ()),
        (VISITS, PureEpsilon(1), ()),
        (VISITS, Rho(1), (PartyCap(VISITS, TNM, PureEpsilon(9), Window.NEVER),)),
    ):
        with pytest.raises(InvariantBroken):
            book.charge(account, loss, TNM, *caps)
    with pytest.raises(InvariantBroken):
        book.take_back(ROOM)
