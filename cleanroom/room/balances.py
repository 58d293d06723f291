"""Recompute every balance from the log alone, and hold the ledger against it: `log verify --balances`.

The ledger keeps running totals and looks balances up; here the charges of the log are added one by one, and nothing of
`accounting.ledger` is asked until the comparison. On the way each charge is held against the budget that was in force
when it was entered, and against the noise that its own entry says was drawn (`noise_cost`). Pure but for `checked`.
"""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from audit_log import DetailsErased, EventType, LogFault
from audit_log import NotVerified as LogNotVerified
from cleanroom.accounting import ledger
from cleanroom.accounting.account import AccountId, PartyCap
from cleanroom.accounting.privacy_loss import Budget, PureEpsilon, Window, loss_for
from cleanroom.errors import Bilingual, CleanroomError, Fault, UsageError
from cleanroom.identifiers import PartyId
from cleanroom.policies import read_declaration, read_settings
from cleanroom.room import noise_cost, registry
from cleanroom.room.creation import DATABASE, LOG_DETAILS, LOG_SIGNING, budget_of, log_of
from cleanroom.room.database import connect
from cleanroom.room.journal import Journal
from cleanroom.room.recorded_noise import Part
from key_management import KeyManagementError, Keyring

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from cleanroom.policies import Declaration
    from cleanroom.room.home import Home

ROOM: Final = noise_cost.ROOM

Entry = tuple[int, EventType, int, "Mapping[str, object] | None"]
"""Index, kind, Unix time and details of an entry of the log; no details where they were erased."""


@dataclass(frozen=True, slots=True)
class Figures:
    """A balance in whole steps of the ledger.

    Args:
        granted: the whole budget.
        lifetime: everything ever charged.
        in_window: what was charged since the budget's window began.
        delta_lifetime: what thresholds ever added to delta.
        delta_in_window: what they added since the window began.
    """

    granted: int
    lifetime: int
    in_window: int
    delta_lifetime: Fraction
    delta_in_window: Fraction

    @property
    def left(self) -> int:
        """What may still be charged in this window."""
        return max(0, self.granted - self.in_window)


@dataclass(frozen=True, slots=True)
class AccountBalance:
    """One account: what the log makes of it, and what the ledger says; None where one of them does not know it."""

    account: str
    budget: Budget | None
    by_log: Figures | None
    by_ledger: Figures | None

    @property
    def agrees(self) -> bool:
        """Whether both say the same."""
        return self.by_log == self.by_ledger


@dataclass(frozen=True, slots=True)
class CapBalance:
    """What a party may still use of a table under a cap of its rules, by the log and by the ledger, in steps."""

    account: str
    party: str
    by_log: int
    by_ledger: int

    @property
    def agrees(self) -> bool:
        """Whether both say the same."""
        return self.by_log == self.by_ledger


@dataclass(frozen=True, slots=True)
class Checked:
    """Every balance of a room, twice, and what is wrong with the charges themselves.

    Args:
        unheld: what entries of before do not say enough of to be held against their charge, and which these are.
    """

    accounts: tuple[AccountBalance, ...]
    caps: tuple[CapBalance, ...]
    faults: tuple[Bilingual, ...]
    unheld: Mapping[Part, tuple[int, ...]]

    @property
    def ok(self) -> bool:
        """Whether all of it holds."""
        return not self.faults and all(each.agrees for each in self.accounts) and all(each.agrees for each in self.caps)


@dataclass(frozen=True, slots=True)
class _Line:
    party: str
    at: int
    steps: int
    delta: Fraction


@dataclass
class Book:
    """What the log says of budgets and charges, kept as a plain list that is added up anew each time.

    Args:
        declared: the last declaration of each table.
        lines: each account's charges.
        ended: how many charges a table had when its owner last took it back; these count with the owner's others (S4).
        last: the time of the last charge; the ledger's own never goes back (S3).
        faults: charges that no budget allowed, that pay less than their noise costs, or that cannot be read.
        unheld: entries of before, by what they do not say enough of.
        whole_since: the first entry that says all of its noise; whoever wrote it says it of every later one.
    """

    budgets: dict[str, Budget] = field(default_factory=dict)
    declared: dict[str, Declaration] = field(default_factory=dict)
    lines: dict[str, list[_Line]] = field(default_factory=dict)
    ended: dict[str, int] = field(default_factory=dict)
    last: int = 0
    faults: list[Bilingual] = field(default_factory=list)
    unheld: dict[Part, list[int]] = field(default_factory=dict)
    whole_since: int | None = None
    _recent: dict[str, tuple[int, int, Fraction]] = field(default_factory=dict)

    @classmethod
    def read(cls, entries: Iterable[Entry]) -> Book:
        """Read the entries of a log, from its first."""
        book = cls()
        for index, kind, at, details in entries:
            if kind not in _READ:
                continue
            try:
                if details is None:
                    raise KeyError
                match kind:
                    case EventType.ROOM_CREATED:
                        book.budgets[ROOM] = budget_of(read_settings(str(details["settings"]).encode()).budget)
                    case EventType.TABLE_DECLARED:
                        declaration = read_declaration(str(details["declaration"]).encode())
                        book.declared[str(declaration.catalog.table)] = declaration
                        book.budgets[str(declaration.catalog.table)] = budget_of(declaration.budget)
                        book._recent.clear()
                    case EventType.DATASET_WITHDRAWN:
                        book.ended[str(details["table"])] = len(book.lines.get(str(details["table"]), ()))
                        book._recent.clear()
                    case _:
                        book._charge(index, at, details)
            except (LookupError, TypeError, ValueError, CleanroomError):
                book.faults.append(
                    Bilingual(
                        f"l'entrée {index} ne se lit pas : les soldes ne se recalculent pas au-delà",
                        f"entry {index} cannot be read: balances cannot be recomputed beyond it",
                    )
                )
        return book

    def _charge(self, index: int, at: int, details: Mapping[str, object]) -> None:
        party = str(details["actor"])
        deltas = {account: Fraction(written) for account, written in _pairs(details["deltas"])}
        charges = {account: int(steps) for account, steps in _pairs(details["charges"])}
        read = {table for table, _ in _pairs(details["rules"])} | {ROOM}
        pure = {account for account, budget in self.budgets.items() if budget.pure}
        said = noise_cost.recorded(details["releases"], pure)
        if not said.accounts_hold(charges.keys(), read) or not deltas.keys() <= charges.keys():
            self._fault(
                index,
                "n'impute pas exactement la salle et chaque table lue",
                "does not charge exactly the room and each table read",
            )
        for fr, en in said.shortfalls(charges, deltas):
            self._fault(index, fr, en)
        self._note_form(index, said.unheld)
        for account, steps in charges.items():
            line = _Line(party, at, steps, deltas.get(account, Fraction(0)))
            self.lines.setdefault(account, []).append(line)
            self.last = max(self.last, at)
            if line.steps <= 0 or not self._affordable(account, line):
                self._fault(index, f"dépasse le budget de {account}", f"exceeds the budget of {account}")

    def _note_form(self, index: int, unheld: frozenset[Part]) -> None:
        """Remember what an entry of before does not say; what comes after an entry of now is none of before."""
        if not unheld:
            self.whole_since = index if self.whole_since is None else self.whole_since
        elif self.whole_since is not None:
            self._fault(
                index,
                f"ne dit pas tout de son bruit, que l'entrée {self.whole_since} disait déjà",
                f"does not say all of its noise, as entry {self.whole_since} before it does",
            )
        for part in unheld:
            self.unheld.setdefault(part, []).append(index)

    def _affordable(self, account: str, line: _Line) -> bool:
        """Return whether an account's budget, as it was then, allowed its last line."""
        budget = self.budgets[account]
        since = budget.window.start_of(self.last)
        before = self._recent.get(account)
        if before is None or before[0] != since:
            found = self.figures(account, self.last)
            spent, delta = found.in_window, found.delta_in_window
        else:
            spent, delta = before[1] + line.steps, before[2] + line.delta
        self._recent[account] = since, spent, delta
        return spent <= budget.rho_max.pico and delta <= budget.delta_threshold

    def _fault(self, index: int, fr: str, en: str) -> None:
        self.faults.append(Bilingual(f"la question de l'entrée {index} {fr}", f"the question of entry {index} {en}"))

    def figures(self, account: str, now: int) -> Figures:
        """Add up the charges of one account."""
        budget = self.budgets[account]
        since = budget.window.start_of(max(now, self.last))
        lifetime, delta_lifetime = self._sum(account, budget, 0)
        in_window, delta_in_window = self._sum(account, budget, since)
        return Figures(budget.rho_max.pico, lifetime, in_window, delta_lifetime, delta_in_window)

    def _sum(self, account: str, budget: Budget, since: int, party: str | None = None) -> tuple[int, Fraction]:
        """Add up the charges of an account, and of its owner's tables until these were taken back (S4)."""
        owner, _, _ = account.partition(".")
        steps, delta = 0, Fraction(0)
        for name, lines in self.lines.items():
            counted = lines if name == account else lines[: self.ended.get(name, 0)]
            if name != account and (account == ROOM or name.partition(".")[0] != owner):
                continue
            mine = [line for line in counted if line.at >= since and party in (None, line.party)]
            spent = sum(line.steps for line in mine)
            pure = self.budgets[name].pure
            # Of a pure table, what its epsilon implies; a pure account cannot count a table charged in rho, see there.
            if pure == budget.pure:
                steps += spent
            elif pure:
                steps += PureEpsilon(spent).rho.pico
            delta += sum((line.delta for line in mine), Fraction(0))
        return steps, delta

    def caps(self) -> Iterator[tuple[PartyCap, int]]:
        """Yield each cap of the declarations for each party that ever used the table, and what it used of it."""
        for name, declaration in sorted(self.declared.items()):
            terms = {rule.per_party for rule in declaration.rules if rule.per_party is not None}
            mine = self.lines.get(name, [])
            users = sorted({line.party for line in mine})
            for each in sorted(terms, key=str):
                window = Window(each.window.value)
                most = loss_for(each.epsilon, declaration.budget.delta / 2)
                for party in users:
                    used, _ = self._sum(name, budget_of(declaration.budget), window.start_of(self.last), party)
                    yield PartyCap(AccountId.parse(name), PartyId(party), most, window), used


_READ: Final = frozenset(
    {EventType.ROOM_CREATED, EventType.TABLE_DECLARED, EventType.DATASET_WITHDRAWN, EventType.QUERY_CHARGED}
)


def _pairs(value: object) -> list[tuple[str, str]]:
    if not isinstance(value, list):
        raise TypeError
    return [(str(name), str(content)) for name, content in value]


def compared(connection: sqlite3.Connection, book: Book, now: int) -> Checked:
    """Hold the ledger of a room against the book of its log."""
    held = {name for (name,) in connection.execute("SELECT account FROM ledger_account")}
    named = {name for (name,) in connection.execute("SELECT account FROM ledger_line")}
    accounts = []
    for name in sorted(held | named | book.budgets.keys(), key=lambda each: (each != ROOM, each)):
        by_log = book.figures(name, now) if name in book.budgets else None
        by_ledger = _ledger_figures(connection, name, now) if name in held else None
        accounts.append(AccountBalance(name, book.budgets.get(name), by_log, by_ledger))
    caps = tuple(
        CapBalance(
            str(cap.account),
            cap.party,
            max(0, cap.rho_max.pico - used),
            ledger.party_left(connection, cap, book.last).pico,
        )
        for cap, used in book.caps()
        if str(cap.account) in held
    )
    unheld = {part: tuple(book.unheld[part]) for part in Part if part in book.unheld}
    return Checked(tuple(accounts), caps, tuple(book.faults), unheld)


def _ledger_figures(connection: sqlite3.Connection, name: str, now: int) -> Figures:
    found = ledger.balance(connection, AccountId.parse(name), now)
    return Figures(
        found.rho_max.pico,
        found.spent_lifetime.pico,
        found.spent_window.pico,
        found.delta_threshold_spent_lifetime,
        found.delta_threshold_spent,
    )


def entries_of(connection: sqlite3.Connection, journal: Journal) -> Iterator[Entry]:
    """Yield a room's entries with the details that balances need."""
    for index, envelope in journal.log.entries(connection):
        kind = envelope.event.type
        details: Mapping[str, object] | None = None
        if kind in _READ:
            try:
                details = journal.details(connection, index)
            except DetailsErased:
                details = None
        yield index, kind, envelope.event.t, details


def checked(target: Path, home: Home) -> Checked:
    """Recompute the balances of a room whose log was verified, and compare.

    Raises:
        UsageError: an exported log: its entries' details, which hold the charges, are not in it.
        Fault: the room's root key, which opens them, is not on this machine.
    """
    if not (target / DATABASE).exists():
        raise UsageError(
            Bilingual(
                "un journal exporté ne contient pas les détails scellés, où sont les coûts : donnez la salle",
                "an exported log does not hold the sealed details, where the costs are: give the room",
            ),
            code="balances_need_room",
        )
    with closing(connect(target / DATABASE)) as connection:
        room = registry.room_file(connection).room
        try:
            keyring = Keyring(home.root_key(room))
            log = log_of(room, keyring.open(connection, LOG_SIGNING))
            journal = Journal(room, log, keyring.open(connection, LOG_DETAILS))
        except KeyManagementError as error:
            raise Fault(
                Bilingual(f"les clés de la salle ne s'ouvrent pas : {error}", f"the room's keys do not open: {error}"),
                code="keys_refused",
            ) from None
        # One snapshot: a question charged meanwhile is in both or in neither.
        connection.execute("BEGIN")
        try:
            return compared(connection, Book.read(entries_of(connection, journal)), int(time.time()))
        except (LogFault, LogNotVerified) as error:
            raise Fault(
                Bilingual(f"les soldes ne se lisent pas : {error}", f"the balances cannot be read: {error}"),
                code="balances_unreadable",
            ) from None
