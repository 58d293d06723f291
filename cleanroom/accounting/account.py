"""Name the accounts of a room and what is put on them: the room's own and one for each table (S1)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from cleanroom.accounting.privacy_loss import InvalidPrivacyParameter
from cleanroom.errors import Bilingual
from cleanroom.identifiers import TableName

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cleanroom.accounting.privacy_loss import Rho, Window
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
        rho: how much, more than zero.
        delta_threshold: what releases of unknown keys add to delta (S8), 0 where there are none.
    """

    account: AccountId
    rho: Rho
    delta_threshold: Fraction = Fraction(0)

    def __post_init__(self) -> None:
        if self.rho.pico == 0 or not 0 <= self.delta_threshold < 1:
            raise InvalidPrivacyParameter(
                Bilingual(
                    "une dépense a un rho supérieur à zéro et un delta de 0 à moins de 1",
                    "a charge has a rho above zero and a delta from 0 to less than 1",
                )
            )


@dataclass(frozen=True, slots=True)
class PartyCap:
    """How much of an account one party may use: a limit below the budget, never in its place (S44).

    Args:
        account: the account.
        party: who is limited.
        rho_max: the most that the party's questions may be charged in a window.
        window: when that starts again.
    """

    account: AccountId
    party: PartyId
    rho_max: Rho
    window: Window


def combined(charges: Iterable[Charge]) -> tuple[Charge, ...]:
    """Add up `charges` by account, the room first and the tables by name: what several releases cost together."""
    sums: dict[AccountId, Charge] = {}
    for charge in charges:
        before = sums.get(charge.account)
        sums[charge.account] = (
            charge
            if before is None
            else Charge(charge.account, before.rho + charge.rho, before.delta_threshold + charge.delta_threshold)
        )
    return tuple(sorted(sums.values(), key=lambda charge: (charge.account != ROOM, str(charge.account))))
