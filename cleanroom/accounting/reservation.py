"""Describe what the ledger holds: balances, reservations and their states, and why one is refused."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, assert_never

from cleanroom.accounting.privacy_loss import Rho, shown_epsilon
from cleanroom.errors import Bilingual, CleanroomError, ExitCode, Refusal, Refused

if TYPE_CHECKING:
    from fractions import Fraction

    from cleanroom.accounting.account import AccountId, Charge
    from cleanroom.accounting.privacy_loss import Budget, Loss
    from cleanroom.identifiers import Digest, PartyId


class ReservationState(StrEnum):
    """How far a reservation has come; every state is charged, and none gives anything back."""

    RESERVED = "reserved"
    DATA_READ = "data_read"
    RELEASED = "released"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Reservation:
    """A charge that was entered before any data was read.

    Args:
        reservation_id: its name, unique for ever.
        plan_digest: the one plan that it pays for.
        party: who asked.
        charges: what each account paid, the room first.
        at: the ledger's time of the entry, in Unix seconds.
        state: how far it has come.
    """

    reservation_id: str
    plan_digest: Digest
    party: PartyId
    charges: tuple[Charge, ...]
    at: int
    state: ReservationState


@dataclass(frozen=True, slots=True)
class Balance:
    """An account at a time.

    Args:
        budget: what its owner, or the quorum, granted last.
        rho_max: that budget as rho, fixed when it was granted (S11); of a pure account an epsilon, as all that follows.
        spent_lifetime: everything ever charged: the loss that is promised (S3).
        spent_window: what was charged since the window began.
        left: what may still be charged in this window.
        delta_threshold_spent_lifetime: what thresholds ever added to delta.
        delta_threshold_spent: what they added since the window began.
        delta_threshold_left: what they may still add in this window.
        inherited: what of `spent_lifetime` was spent on tables that the owner took back (S4).
    """

    budget: Budget
    rho_max: Loss
    spent_lifetime: Loss
    spent_window: Loss
    left: Loss
    delta_threshold_spent_lifetime: Fraction
    delta_threshold_spent: Fraction
    delta_threshold_left: Fraction
    inherited: Loss


@dataclass(frozen=True, slots=True)
class BudgetShortfall:
    """An account has less left than is asked of it.

    Args:
        delta: of the account's conversion, at which people read losses as epsilons.
    """

    account: AccountId
    requested: Loss
    left: Loss
    delta: Fraction


@dataclass(frozen=True, slots=True)
class ThresholdShortfall:
    """An account has less delta left for thresholds than is asked of it."""

    account: AccountId
    requested: Fraction
    left: Fraction


@dataclass(frozen=True, slots=True)
class PartyShortfall:
    """A party may use less of an account than it asks for.

    Args:
        delta: of the account's conversion, at which people read losses as epsilons.
    """

    account: AccountId
    party: PartyId
    requested: Loss
    left: Loss
    delta: Fraction


Shortfall = BudgetShortfall | ThresholdShortfall | PartyShortfall


class KindChanged(CleanroomError):
    """An account that was charged cannot begin to count another kind of loss."""

    exit_code = ExitCode.USAGE

    def __init__(self, account: AccountId) -> None:
        super().__init__(
            Bilingual(
                f"{account} a déjà été dépensé : son delta ne devient ni ne quitte 0 (budget pur)",
                f"{account} was spent from: its delta neither becomes nor leaves 0 (pure budget)",
            ),
            code="budget_kind_changed",
        )


class InsufficientBudget(Refused):
    """At least one account cannot pay, so none was charged; `shortfalls` holds every one.

    Args:
        hint: what would fit, where that is known.
    """

    def __init__(self, shortfalls: tuple[Shortfall, ...], hint: Bilingual | None = None) -> None:
        super().__init__(
            tuple(Refusal("budget_insufficient", _message(shortfall), hint=hint) for shortfall in shortfalls)
        )
        self.shortfalls = shortfalls


def _message(shortfall: Shortfall) -> Bilingual:
    match shortfall:
        case BudgetShortfall(account, requested, left, delta):
            fr, en = _asked(requested, left, delta)
            return Bilingual(f"budget insuffisant pour {account} : {fr}", f"insufficient budget for {account}: {en}")
        case ThresholdShortfall(account, requested, left):
            return Bilingual(
                f"delta insuffisant pour {account} : {float(requested):.3g} demandé, {float(left):.3g} disponible",
                f"insufficient delta for {account}: {float(requested):.3g} requested, {float(left):.3g} left",
            )
        case PartyShortfall(account, party, requested, left, delta):
            fr, en = _asked(requested, left, delta)
            return Bilingual(
                f"limite de {party} atteinte pour {account} : {fr}", f"limit of {party} reached for {account}: {en}"
            )
        case _:
            assert_never(shortfall)


def _asked(requested: Loss, left: Loss, delta: Fraction) -> tuple[str, str]:
    """Say what is asked and what is left: in epsilons, as people read them, and exactly."""
    kind = "rho" if isinstance(requested, Rho) else "epsilon"
    asked, rest = (f"{Decimal(f'{shown_epsilon(each, delta):.3g}'):f}" for each in (requested, left))
    exact = f"{kind} {requested}, {left}"
    return (
        f"ε {asked.replace('.', ',')} demandé, ε {rest.replace('.', ',')} disponible ({exact})",
        f"ε {asked} requested, ε {rest} left ({exact})",
    )
