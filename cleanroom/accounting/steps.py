"""Count privacy losses in whole steps: a zCDP rho, or where delta is 0 an epsilon; sums are exact either way.

A charge is rounded up, a budget down.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final, Self

from cleanroom.errors import Bilingual

if TYPE_CHECKING:
    from collections.abc import Iterable

STEPS_PER_RHO: Final = 10**12
"""One step is a loss of 1e-12: a million questions lose at most 1e-6 of a budget to rounding."""

MAX_STEPS: Final = 2**63 - 1
"""What an INTEGER of SQLite holds; a rho of 9.2 million, an epsilon that protects nobody."""


class InvalidPrivacyParameter(ValueError):
    """An epsilon, delta, rho, norm or time that has no meaning here."""

    def __init__(self, message: Bilingual) -> None:
        super().__init__(str(message))
        self.message = message


class PrivacyLossOverflow(InvalidPrivacyParameter):
    """A privacy loss beyond what the ledger can hold."""


@dataclass(frozen=True, slots=True, order=True)
class _Steps:
    """A loss, held as a whole number of 1e-12 steps so that sums are exact.

    Args:
        pico: the number of steps, 0 to `MAX_STEPS`.
    """

    pico: int

    def __post_init__(self) -> None:
        if type(self.pico) is not int or self.pico < 0:
            raise InvalidPrivacyParameter(
                Bilingual(
                    "une perte est un nombre entier de pas, zéro ou plus",
                    "a loss is a whole number of steps, at least 0",
                )
            )
        if self.pico > MAX_STEPS:
            raise PrivacyLossOverflow(
                Bilingual(
                    "perte de confidentialité trop grande pour être comptée", "privacy loss too large to account for"
                )
            )

    @classmethod
    def at_least(cls, value: Fraction) -> Self:
        """Return the least loss that is no smaller than `value`: how a charge is rounded."""
        return cls(math.ceil(value * STEPS_PER_RHO))

    @classmethod
    def at_most(cls, value: Fraction) -> Self:
        """Return the largest loss that is no larger than `value`: how a budget is rounded."""
        return cls(math.floor(value * STEPS_PER_RHO))

    @classmethod
    def total(cls, losses: Iterable[Self]) -> Self:
        """Add up `losses`: adaptive composition is a sum, of zCDP (Whitehouse et al. 2023) as of pure epsilons."""
        return cls(sum(loss.pico for loss in losses))

    def __add__(self, other: Self) -> Self:
        return type(self)(self.pico + other.pico)

    def left_after(self, spent: Self) -> Self:
        """Return what of this budget is left once `spent` is gone; zero if more was spent than this."""
        return type(self)(max(0, self.pico - spent.pico))

    def as_fraction(self) -> Fraction:
        """Return the loss as an exact fraction."""
        return Fraction(self.pico, STEPS_PER_RHO)

    def __str__(self) -> str:
        whole, steps = divmod(self.pico, STEPS_PER_RHO)
        return f"{whole}.{steps:012d}".rstrip("0").rstrip(".")


class Rho(_Steps):
    """A zCDP loss."""

    __slots__ = ()


class PureEpsilon(_Steps):
    """A loss of pure differential privacy, with delta 0 (S11).

    Args:
        pico: the number of steps of 1e-12.
    """

    __slots__ = ()

    @property
    def rho(self) -> Rho:
        """The zCDP loss that it implies, rounded up: epsilon²/2 (Bun and Steinke 2016, Proposition 1.4)."""
        return Rho.at_least(self.as_fraction() ** 2 / 2)


Loss = Rho | PureEpsilon
"""What an account adds up: all its charges are of one kind."""
