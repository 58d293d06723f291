"""What parties and owners read: the catalog as one party may use it, and the budgets in plain figures."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from audit_log import EventType
from cleanroom.accounting import ledger
from cleanroom.accounting.account import ROOM, AccountId, PartyCap
from cleanroom.accounting.privacy_loss import Window, loss_for, shown_epsilon
from cleanroom.catalog import Category, ColumnType, Date, Number, Text
from cleanroom.errors import Bilingual, UsageError
from cleanroom.identifiers import PartyId
from cleanroom.room import references, registry
from cleanroom.room.database import transaction
from cleanroom.room.home import OPERATOR

if TYPE_CHECKING:
    from cleanroom.accounting.reservation import Balance
    from cleanroom.catalog.reference import ReferenceTable
    from cleanroom.identifiers import Purpose, TokenKind
    from cleanroom.policies import AnalysisRule
    from cleanroom.room.room import Room
    from cleanroom.room.signed_request import SignedRequest


_QUESTION: Final = Decimal("0.2")
"""What a question costs, where a budget says how questions add up."""


@dataclass(frozen=True, slots=True)
class CatalogColumn:
    """A column as a party sees it."""

    name: str
    description: Bilingual


@dataclass(frozen=True, slots=True)
class CatalogTable:
    """A table as a party may use it: the rules that name it, and what its budget has left.

    Args:
        known_by: what its persons' tokens are made of; tables meet others of the same alone (S10).
        left: epsilon of the rho that is left, at the table's conversion delta.
    """

    table: str
    unit: str
    known_by: TokenKind
    columns: tuple[CatalogColumn, ...]
    rules: tuple[AnalysisRule, ...]
    max_rows_contributed: int
    max_groups_contributed: int
    granted: str
    left: float


@dataclass(frozen=True, slots=True)
class CatalogReference:
    """A public table, which every party may join and read in clear (S30)."""

    name: str
    source: str
    digest: str
    rows: int
    columns: tuple[CatalogColumn, ...]


@dataclass(frozen=True, slots=True)
class PartyCatalog:
    """Everything that a party may ask about."""

    party: PartyId
    purposes: tuple[Purpose, ...]
    tables: tuple[CatalogTable, ...]
    references: tuple[CatalogReference, ...]


@dataclass(frozen=True, slots=True)
class AccountBudget:
    """An account in figures; epsilons are read at its conversion delta.

    Args:
        rho_max: the figures called rho are epsilons where delta is 0.
        epsilon_inherited: what of the spending is of tables that the owner took back (S4).
        question: an epsilon such as a question costs.
        hundred: what a hundred such questions cost together.
    """

    account: str
    epsilon_granted: str
    delta: str
    window: str
    rho_max: str
    rho_spent: str
    rho_spent_window: str
    rho_left: str
    epsilon_spent: float
    epsilon_left: float
    epsilon_spent_window: float
    epsilon_inherited: float
    question: float
    hundred: float


@dataclass(frozen=True, slots=True)
class PartyBudget:
    """What a party that used a table may still use of it, by a cap of the table's rules.

    Args:
        most: the cap in the account's kind of loss, as `left`.
    """

    party: PartyId
    account: str
    epsilon: str
    window: str
    most: str
    left: str


def catalog(room: Room, request: SignedRequest) -> PartyCatalog:
    """Return what the request's party may ask; logged."""
    party = room.verified(request, "catalog")
    with transaction(room.connection):
        now = room.take(request)
        room.journal.append(
            room.connection,
            EventType.CATALOG_READ,
            at=now,
            actor=party.party,
            ordinals=(party.ordinal,),
            details=request.entered(),
        )
    tables = []
    purposes: set[Purpose] = set()
    for table, declaration in registry.declarations(room.connection).items():
        rules = tuple(rule for rule in declaration.rules if rule.names(party.party, party.role))
        if not rules:
            continue
        purposes.update(purpose for rule in rules for purpose in rule.purposes)
        balance = ledger.balance(room.connection, AccountId(table), now)
        defaults = declaration.catalog.contribution
        tables.append(
            CatalogTable(
                str(table),
                declaration.catalog.unit.name,
                declaration.catalog.unit.token_kind,
                tuple(CatalogColumn(each.name, described(each.type)) for each in declaration.catalog.columns),
                rules,
                defaults.max_rows,
                defaults.max_groups,
                str(balance.budget.epsilon),
                shown_epsilon(balance.left, balance.budget.delta_conversion),
            )
        )
    return PartyCatalog(party.party, tuple(sorted(purposes)), tuple(tables), _references(room))


def reference_tables(room: Room) -> tuple[CatalogReference, ...]:
    """Return the room's public tables; logged as the operator's."""
    _log_read(room, "references")
    return _references(room)


def reference_values(room: Room, name: str) -> ReferenceTable:
    """Return a public table's values, in clear to everybody; logged as the operator's."""
    held = references.in_force(room.connection).get(name)
    if held is None:
        raise UsageError(
            Bilingual(f"aucune table publique « {name} »", f"no public table {name!r}"), code="unknown_reference"
        )
    _log_read(room, f"public.{name}")
    return references.stored(room.connection, held)


def _references(room: Room) -> tuple[CatalogReference, ...]:
    found = []
    for name, held in references.in_force(room.connection).items():
        table = references.stored(room.connection, held)
        columns = tuple(CatalogColumn(each.name, described(each.type)) for each in table.columns)
        found.append(CatalogReference(f"public.{name}", held.source, str(held.digest), table.rows, columns))
    return tuple(found)


def _log_read(room: Room, what: str) -> None:
    with transaction(room.connection):
        room.journal.append(
            room.connection,
            EventType.CATALOG_READ,
            at=registry.advance_clock(room.connection, room.now()),
            actor=OPERATOR,
            ordinals=(0,),
            details={"read": what},
        )


def budgets(room: Room) -> tuple[AccountBudget, ...]:
    """Return the room's account and each table's, withdrawn ones too (S4); logged as the operator's."""
    with transaction(room.connection):
        now = registry.advance_clock(room.connection, room.now())
        room.journal.append(
            room.connection, EventType.BUDGET_READ, at=now, actor=OPERATOR, ordinals=(0,), details={"read": "budgets"}
        )
    accounts = [ROOM, *(AccountId(table) for table in registry.declared_ever(room.connection))]
    return tuple(_account(account, ledger.balance(room.connection, account, now)) for account in accounts)


def _account(account: AccountId, balance: Balance) -> AccountBudget:
    delta = balance.budget.delta_conversion
    one = loss_for(_QUESTION, delta)
    return AccountBudget(
        str(account),
        str(balance.budget.epsilon),
        f"{float(balance.budget.delta):g}",
        balance.budget.window.value,
        str(balance.rho_max),
        str(balance.spent_lifetime),
        str(balance.spent_window),
        str(balance.left),
        shown_epsilon(balance.spent_lifetime, delta),
        shown_epsilon(balance.left, delta),
        shown_epsilon(balance.spent_window, delta),
        shown_epsilon(balance.inherited, delta),
        float(_QUESTION),
        shown_epsilon(type(one)(100 * one.pico), delta),
    )


def party_caps(room: Room) -> tuple[PartyBudget, ...]:
    """Return what each party that used a table under a cap has left of it."""
    found = []
    now = room.now()
    for table, declaration in registry.declarations(room.connection).items():
        budget = declaration.budget
        users = room.connection.execute(
            "SELECT DISTINCT party FROM ledger_line WHERE account = ? ORDER BY party", (str(table),)
        ).fetchall()
        known = registry.parties(room.connection)
        for (name,) in users:
            party = known[PartyId(name)]
            terms = {
                rule.per_party
                for rule in declaration.rules
                if rule.per_party is not None and rule.names(party.party, party.role)
            }
            for each in sorted(terms, key=str):
                cap = PartyCap(
                    AccountId(table), party.party, loss_for(each.epsilon, budget.delta / 2), Window(each.window.value)
                )
                left = ledger.party_left(room.connection, cap, now)
                window = each.window.value
                found.append(
                    PartyBudget(party.party, str(table), str(each.epsilon), window, str(cap.rho_max), str(left))
                )
    return tuple(found)


def described(kind: ColumnType) -> Bilingual:
    """Say what a column holds."""
    match kind:
        case Category(domain=domain):
            shown = ", ".join(domain[:20]) + (", …" if len(domain) > 20 else "")
            return Bilingual(f"{len(domain)} catégories : {shown}", f"{len(domain)} categories: {shown}")
        case Text():
            return Bilingual("texte sans domaine public", "text without a public domain")
        case Date(first=first, last=last):
            return Bilingual(f"date, du {first} au {last}", f"date, from {first} to {last}")
        case Number(resolution=resolution, lower=lower, upper=upper, unit=unit):
            ends = f"{kind.value(lower)} – {kind.value(upper)}{f' {unit}' if unit else ''}"
            return Bilingual(f"nombre, {ends}, pas de {resolution}", f"number, {ends}, steps of {resolution}")
