"""Two connections, in any order of steps, against a book kept by hand: nothing is overspent, lost or given back.

One account counts epsilons, the others rho; tables are taken back and declared again, under their names and others.
"""

from __future__ import annotations

import copy
import math
import shutil
import sqlite3
import tempfile
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from cleanroom.accounting import ledger
from cleanroom.accounting.account import ROOM, AccountId, Charge, PartyCap
from cleanroom.accounting.privacy_loss import Budget, PureEpsilon, Rho, Window
from cleanroom.accounting.reservation import InsufficientBudget, KindChanged, ReservationState
from cleanroom.identifiers import Digest, PartyId

PURE = AccountId.parse("francos.pure")
TABLES = (*map(AccountId.parse, ("tnm.visits", "tnm.again", "francos.visits")), PURE)
ACCOUNTS = (ROOM, *TABLES)
PARTIES = (PartyId("osm"), PartyId("tnm"))
PLAN = Digest.of(b"a plan")
DAY = 86_400
BUDGETS = [
    Budget(Decimal(epsilon), Fraction(delta), window)
    for epsilon, delta in (("0.5", "1e-7"), ("1", "1e-6"))
    for window in Window
]
ENDINGS = st.sampled_from(["commit", "commit", "commit", "roll back", "leave open"])
PURE_BUDGETS = [Budget(Decimal(epsilon), Fraction(0), window) for epsilon in ("1", "3") for window in Window]
UNIT = BUDGETS[0].rho_max.pico // 12
PURE_UNIT = 10**12 // 12


@dataclass(frozen=True)
class Line:
    name: str
    account: AccountId
    party: PartyId
    steps: int
    delta: Fraction
    at: int


@dataclass
class Book:
    """What the ledger should say, kept as a plain list that is added up anew each time."""

    budgets: dict[AccountId, Budget]
    lines: list[Line] = field(default_factory=list)
    states: dict[str, ReservationState] = field(default_factory=dict)
    last: int = 0

    ended: dict[AccountId, int] = field(default_factory=dict)

    def counted(self, account: AccountId, since: int, party: PartyId | None = None) -> list[tuple[AccountId, Line]]:
        """Return what counts against an account: its own lines, and its owner's other tables' until taken back."""
        owner = account.table.owner if account.table is not None else None
        found = []
        for place, line in enumerate(self.lines):
            theirs = line.account.table is not None and line.account.table.owner == owner
            mine = line.account == account or (theirs and place < self.ended.get(line.account, 0))
            if mine and line.at >= since and party in (None, line.party):
                found.append((line.account, line))
        return found

    def spent(self, account: AccountId, since: int, party: PartyId | None = None) -> int | None:
        """Add up the steps; None if no epsilon says what was spent in rho."""
        by_account: dict[AccountId, int] = {}
        for each, line in self.counted(account, since, party):
            by_account[each] = by_account.get(each, 0) + line.steps
        if account == PURE:
            return sum(by_account.values()) if by_account.keys() <= {PURE} else None
        epsilon = Fraction(by_account.pop(PURE, 0), 10**12)
        return sum(by_account.values()) + math.ceil(epsilon**2 / 2 * 10**12)

    def spent_delta(self, account: AccountId, since: int) -> Fraction:
        return sum((line.delta for _, line in self.counted(account, since)), Fraction(0))

    def left(self, account: AccountId, since: int) -> int:
        spent = self.spent(account, since) if self.spent(account, 0) is not None else None
        return 0 if spent is None else max(0, self.budgets[account].rho_max.pico - spent)

    def affords(self, lines: list[Line], caps: list[PartyCap]) -> bool:
        for line in lines:
            budget = self.budgets[line.account]
            since = budget.window.start_of(line.at)
            if line.steps > self.left(line.account, since):
                return False
            if self.spent_delta(line.account, since) + line.delta > budget.delta_threshold:
                return False
            for cap in caps:
                used = self.spent(line.account, cap.window.start_of(line.at), line.party)
                if cap.account == line.account and (used is None or used + line.steps > cap.rho_max.pico):
                    return False
        return True


class TwoConnections(RuleBasedStateMachine):
    """Steps of two processes; a step that SQLite refuses for the other's lock rolls its own transaction back."""

    @initialize()
    def open(self) -> None:
        self.directory = Path(tempfile.mkdtemp())
        self.connections = [self.connect() for _ in range(2)]
        self.watcher = self.connect()
        self.book = Book({**dict.fromkeys(ACCOUNTS, BUDGETS[0]), PURE: PURE_BUDGETS[0]})
        self.pending: list[Book | None] = [None, None]
        self.names = 0
        first = self.connections[0]
        first.execute("BEGIN IMMEDIATE")
        ledger.create_schema(first)
        for account in ACCOUNTS:
            ledger.open_account(first, account, self.book.budgets[account])
        first.execute("COMMIT")

    def connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.directory / "room.db", isolation_level=None, timeout=0)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = OFF")
        return connection

    def teardown(self) -> None:
        if hasattr(self, "directory"):
            for connection in (*self.connections, self.watcher):
                connection.close()
            shutil.rmtree(self.directory)

    def written(self, who: int) -> Book:
        """Return the book that `who` is writing; only one connection can, as SQLite has one write lock."""
        assert self.pending[1 - who] is None
        book = self.pending[who]
        if book is None:
            book = self.pending[who] = copy.deepcopy(self.book)
        return book

    def give_up(self, who: int) -> None:
        if self.connections[who].in_transaction:
            self.connections[who].execute("ROLLBACK")
        self.pending[who] = None

    def begun(self, who: int, how: str = "BEGIN") -> bool:
        """Begin a transaction unless one is open; False if the other connection's lock forbids it."""
        try:
            if not self.connections[who].in_transaction:
                self.connections[who].execute(how)
        except sqlite3.OperationalError:
            return False
        return True

    def end(self, who: int, ending: str) -> None:
        if ending == "commit":
            self.connections[who].execute("COMMIT")
            self.book = self.pending[who] or self.book
            self.pending[who] = None
        elif ending == "roll back":
            self.give_up(who)

    @rule(who=st.integers(0, 1))
    def read(self, who: int) -> None:
        """Hold a snapshot, which grows old when the other commits."""
        if self.begun(who):
            ledger.balance(self.connections[who], ROOM, 0)

    @rule(
        who=st.integers(0, 1),
        party=st.sampled_from(PARTIES),
        tables=st.lists(st.sampled_from(TABLES), min_size=1, max_size=3, unique=True),
        units=st.integers(1, 6),
        extra=st.integers(-1, 1),
        delta=st.sampled_from([Fraction(0), Fraction(1, 10**8), Fraction(1, 2 * 10**8)]),
        capped=st.lists(st.tuples(st.sampled_from(ACCOUNTS), st.integers(1, 20), st.sampled_from(Window)), max_size=2),
        day=st.integers(20_000, 20_100),
        how=st.sampled_from(["BEGIN", "BEGIN IMMEDIATE"]),
        ending=ENDINGS,
    )
    def reserve(
        self,
        who: int,
        party: PartyId,
        tables: list[AccountId],
        units: int,
        extra: int,
        delta: Fraction,
        capped: list[tuple[AccountId, int, Window]],
        day: int,
        how: str,
        ending: str,
    ) -> None:
        connection = self.connections[who]
        if not self.begun(who, how):
            return
        self.names += 1
        name, rho = f"q{self.names}", Rho(UNIT * units + extra)
        epsilon = PureEpsilon(PURE_UNIT * units + extra)
        caps = [
            PartyCap(account, party, PureEpsilon(PURE_UNIT * most) if account == PURE else Rho(UNIT * most), window)
            for account, most, window in capped
        ]
        charges = [
            Charge(ROOM, rho),
            *(Charge(table, epsilon) if table == PURE else Charge(table, rho, delta) for table in tables),
        ]
        try:
            made = ledger.reserve(
                connection,
                reservation_id=name,
                plan_digest=PLAN,
                party=party,
                charges=charges,
                caps=caps,
                at=day * DAY,
            )
        except sqlite3.OperationalError:
            self.give_up(who)
            return
        except InsufficientBudget:
            made = None
        book = self.written(who)
        book.last = max(book.last, day * DAY)
        lines = [
            Line(name, charge.account, party, charge.loss.pico, charge.delta_threshold, book.last)
            for charge in sorted(charges, key=lambda each: (each.account != ROOM, str(each.account)))
        ]
        assert (made is not None) == book.affords(lines, caps)
        if made is not None:
            assert made.at == book.last
            book.lines += lines
            book.states[name] = made.state
        self.end(who, ending)

    @rule(
        who=st.integers(0, 1),
        account=st.sampled_from(ACCOUNTS),
        budget=st.sampled_from(BUDGETS),
        pure=st.sampled_from(PURE_BUDGETS),
        ending=ENDINGS,
    )
    def redeclare(self, who: int, account: AccountId, budget: Budget, pure: Budget, ending: str) -> None:
        if not self.begun(who):
            return
        chosen = pure if account == PURE else budget
        try:
            ledger.open_account(self.connections[who], account, chosen)
        except sqlite3.OperationalError:
            self.give_up(who)
            return
        self.written(who).budgets[account] = chosen
        self.end(who, ending)

    @rule(who=st.integers(0, 1), account=st.sampled_from(ACCOUNTS))
    def change_kind(self, who: int, account: AccountId) -> None:
        """What was charged in one kind of loss never counts another."""
        book = self.pending[who] or self.book
        if not any(line.account == account for line in book.lines) or not self.begun(who):
            return
        try:
            ledger.open_account(self.connections[who], account, BUDGETS[0] if account == PURE else PURE_BUDGETS[0])
        except sqlite3.OperationalError:
            self.give_up(who)
        except KindChanged:
            return
        else:
            raise AssertionError(account)

    @rule(who=st.integers(0, 1), account=st.sampled_from(TABLES), ending=ENDINGS)
    def take_back(self, who: int, account: AccountId, ending: str) -> None:
        if not self.begun(who):
            return
        try:
            ledger.end_account(self.connections[who], account)
        except sqlite3.OperationalError:
            self.give_up(who)
            return
        book = self.written(who)
        book.ended[account] = len(book.lines)
        self.end(who, ending)

    @rule(who=st.integers(0, 1), data=st.data(), failing=st.booleans(), ending=ENDINGS)
    def settle(self, who: int, data: st.DataObject, failing: bool, ending: str) -> None:
        book = self.pending[who] or self.book
        unsettled = sorted(name for name, state in book.states.items() if state == "reserved")
        if not unsettled or not self.begun(who):
            return
        name = data.draw(st.sampled_from(unsettled))
        try:
            ledger.mark_data_read(self.connections[who], name)
        except sqlite3.OperationalError:
            self.give_up(who)
            return
        book = self.written(who)
        if failing:
            ledger.mark_failed(self.connections[who], name)
            book.states[name] = ReservationState.FAILED
        else:
            ledger.mark_released(self.connections[who], name)
            book.states[name] = ReservationState.RELEASED
        self.end(who, ending)

    @rule(who=st.integers(0, 1), ending=ENDINGS)
    def finish(self, who: int, ending: str) -> None:
        if self.connections[who].in_transaction:
            self.end(who, ending)

    @rule(who=st.integers(0, 1))
    def crash(self, who: int) -> None:
        self.connections[who].close()
        self.connections[who] = self.connect()
        self.pending[who] = None

    @invariant()
    def everybody_sees_the_committed_book(self) -> None:
        for account in ACCOUNTS:
            seen = ledger.balance(self.watcher, account, 0)
            since = self.book.budgets[account].window.start_of(self.book.last)
            assert seen.budget == self.book.budgets[account]
            assert seen.rho_max == seen.budget.rho_max
            if (spent := self.book.spent(account, 0)) is not None:
                assert seen.spent_lifetime.pico == spent
                assert seen.spent_window.pico == self.book.spent(account, since)
            assert seen.left.pico == self.book.left(account, since)
            assert seen.delta_threshold_spent_lifetime == self.book.spent_delta(account, 0)
            assert seen.delta_threshold_spent == self.book.spent_delta(account, since)
        unfinished = {made.reservation_id for made in ledger.unfinished(self.watcher)}
        assert unfinished == {name for name, state in self.book.states.items() if state == "reserved"}


TwoConnections.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestTwoConnections = TwoConnections.TestCase
