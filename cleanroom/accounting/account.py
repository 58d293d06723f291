"""Name the accounts of a room and what is put on them: the room's own and one for each table (S1)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from cleanroom.accounting.privacy_loss import InvalidPrivacyParameter, PureEpsilon, Rho
from cleanroom.errors import Bilingual, InvariantBroken
from cleanroom.identifiers import TableName

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cleanroom.accounting.privacy_loss import Loss, Window
    from cleanroom.identifiers import PartyId

_ROOM_TEXT: Final = "room"
"""A table's name has a dot, so none can be taken for the room's account."""


@dataclass(frozen=True, slots=True)
class AccountId:
    """The account of a table, or of the room.

    Args:
        table: the table; None for the room's account, which every release is charged to.
    """

    table: TableName | None

    @classmethod
    def parse(cls, text: str) -> AccountId:
        """Read `room` or `owner.name`, else raise `InvalidName`."""
        return cls(None) if text == _ROOM_TEXT else cls(TableName.parse(text))

    def __str__(self) -> str:
        return _ROOM_TEXT if self.table is None else str(self.table)


ROOM: Final = AccountId(None)


@dataclass(frozen=True, slots=True)
class Charge:
    """What one account pays.

    Args:
        account: who pays.
        loss: how much, more than zero: a rho, or of a pure account an epsilon (S11).
        delta_threshold: what releases of unknown keys add to delta (S8); 0 where there are none, and if it is pure.
    """

    account: AccountId
    loss: Loss
    delta_threshold: Fraction = Fraction(0)

    def __post_init__(self) -> None:
        delta = self.delta_threshold
        if self.loss.pico == 0 or not 0 <= delta.numerator < delta.denominator or (self.pure and delta):
            raise InvalidPrivacyParameter(
                Bilingual(
                    "une dépense a un rho supérieur à zéro et un delta de 0 à moins de 1, ou un epsilon et aucun delta",
                    "a charge has a rho above zero and a delta from 0 to less than 1, or an epsilon and no delta",
                )
            )

    @property
    def pure(self) -> bool:
        """Whether a pure account pays."""
        return isinstance(self.loss, PureEpsilon)

    @property
    def rho(self) -> Rho:
        """The loss as zCDP; of a pure charge what it implies."""
        return self.loss.rho if isinstance(self.loss, PureEpsilon) else self.loss


@dataclass(frozen=True, slots=True)
class PartyCap:
    """How much of an account one party may use: a limit below the budget, never in its place (S44).

    Args:
        account: the account.
        party: who is limited.
        rho_max: the most that the party's questions may be charged in a window, in the account's kind of loss.
        window: when that starts again.
    """

    account: AccountId
    party: PartyId
    rho_max: Loss
    window: Window


def combined(charges: Iterable[Charge]) -> tuple[Charge, ...]:
    """Add up `charges` by account, the room first and the tables by name: what several releases cost together."""
    sums: dict[AccountId, Charge] = {}
    for charge in charges:
        before = sums.get(charge.account)
        sums[charge.account] = charge if before is None else _added(before, charge)
    return tuple(sorted(sums.values(), key=lambda charge: (charge.account != ROOM, str(charge.account))))


def _added(one: Charge, other: Charge) -> Charge:
    delta = one.delta_threshold + other.delta_threshold
    match one.loss, other.loss:
        case Rho() as first, Rho() as second:
            return Charge(one.account, first + second, delta)
        case PureEpsilon() as first, PureEpsilon() as second:
            return Charge(one.account, first + second, delta)
    raise InvariantBroken(f"the account {one.account} is charged in two kinds of loss")
