"""Measure privacy loss exactly: zCDP's rho in whole steps, its (epsilon, delta), budgets and their windows.

Every rounding goes against whoever asks: a charge is rounded up, a budget down, a displayed epsilon up.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from cleanroom.accounting.conversion import float_down, float_up, least_epsilon, least_epsilon_about
from cleanroom.accounting.steps import (
    MAX_STEPS,
    STEPS_PER_RHO,
    InvalidPrivacyParameter,
    Loss,
    PrivacyLossOverflow,
    PureEpsilon,
    Rho,
)
from cleanroom.errors import Bilingual, InvariantBroken

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "LAST_UNIX_TIME",
    "MAX_EPSILON",
    "MAX_STEPS",
    "MIN_DELTA",
    "MIN_EPSILON",
    "STEPS_PER_RHO",
    "Budget",
    "InvalidPrivacyParameter",
    "Loss",
    "PrivacyLossOverflow",
    "PureEpsilon",
    "Rho",
    "Window",
    "checked_delta",
    "checked_epsilon",
    "checked_time",
    "epsilon_of",
    "float_down",
    "float_up",
    "loss_for",
    "rho_for",
    "shown_epsilon",
]

MIN_EPSILON: Final = Decimal("1e-12")
MAX_EPSILON: Final = Decimal("1e6")
_FINEST_DELTA: Final = 10**100
MIN_DELTA: Final = Fraction(1, _FINEST_DELTA)
MAX_DECIMAL_PLACES: Final = 1100
"""A float written out has at most 1 074 places; more would only make the fractions below large."""

LAST_UNIX_TIME: Final = 253_402_300_799
"""9999-12-31T23:59:59Z, the last second that a calendar date can be given to."""


class Window(StrEnum):
    """When a budget's spending starts again from zero; the loss itself never does (S3)."""

    NEVER = "never"
    MONTH = "month"
    YEAR = "year"

    def start_of(self, unix_time: int) -> int:
        """Return the first second of the UTC calendar window that `unix_time` lies in; 0 for `never`."""
        moment = datetime.fromtimestamp(checked_time(unix_time), tz=UTC)
        match self:
            case Window.NEVER:
                return 0
            case Window.MONTH:
                return int(datetime(moment.year, moment.month, 1, tzinfo=UTC).timestamp())
            case Window.YEAR:
                return int(datetime(moment.year, 1, 1, tzinfo=UTC).timestamp())


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be spent: (epsilon, delta), once or in each window.

    Args:
        epsilon: more than 0, at most `MAX_EPSILON`.
        delta: at least twice `MIN_DELTA`, less than 1; half pays the conversion, half the thresholds (S11). Or 0: then
            the account is pure, its losses are epsilons, and these add up.
        window: when spending starts again.
    """

    epsilon: Decimal
    delta: Fraction
    window: Window

    def __post_init__(self) -> None:
        checked_epsilon(self.epsilon)
        if not self.pure:
            checked_delta(self.delta)
            checked_delta(self.delta_conversion)
        if not isinstance(self.window, Window):
            raise InvalidPrivacyParameter(
                Bilingual("la période est never, month ou year", "the window is never, month or year")
            )

    @property
    def pure(self) -> bool:
        """Whether losses are added up as epsilons, with no delta at all (S11)."""
        return isinstance(self.delta, Fraction) and self.delta == 0

    @property
    def delta_conversion(self) -> Fraction:
        """The half of delta at which the sum of rho is read as an epsilon."""
        return self.delta / 2

    @property
    def delta_threshold(self) -> Fraction:
        """The half of delta that releases of unknown keys add up to."""
        return self.delta - self.delta_conversion

    @property
    def rho_max(self) -> Loss:
        """The largest sum of rho whose epsilon at `delta_conversion` is within this budget; if pure, of epsilons."""
        return loss_for(self.epsilon, self.delta_conversion)


def checked_epsilon(epsilon: Decimal) -> Decimal:
    """Return `epsilon` if it is a Decimal in [`MIN_EPSILON`, `MAX_EPSILON`], else raise `InvalidPrivacyParameter`."""
    if not isinstance(epsilon, Decimal) or not epsilon.is_finite() or not MIN_EPSILON <= epsilon <= MAX_EPSILON:
        raise InvalidPrivacyParameter(
            Bilingual(
                f"epsilon est un nombre décimal de {MIN_EPSILON} à {MAX_EPSILON}",
                f"epsilon is a decimal number from {MIN_EPSILON} to {MAX_EPSILON}",
            )
        )
    exponent = epsilon.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -MAX_DECIMAL_PLACES:
        raise InvalidPrivacyParameter(Bilingual("epsilon a trop de décimales", "epsilon has too many decimal places"))
    return epsilon


def checked_delta(delta: Fraction) -> Fraction:
    """Return `delta` if it is a Fraction in [`MIN_DELTA`, 1), else raise `InvalidPrivacyParameter`."""
    # In whole numbers: each epsilon that is shown asks.
    if not isinstance(delta, Fraction) or not (
        delta.denominator <= delta.numerator * _FINEST_DELTA and delta.numerator < delta.denominator
    ):
        raise InvalidPrivacyParameter(
            Bilingual(
                "delta est une fraction de 1e-100 à moins de 1",
                "delta is a fraction from 1e-100 to less than 1",
            )
        )
    return delta


def checked_time(unix_time: int) -> int:
    """Return `unix_time` if it is a whole second of 1970 to 9999, else raise `InvalidPrivacyParameter`."""
    if type(unix_time) is not int or not 0 <= unix_time <= LAST_UNIX_TIME:
        raise InvalidPrivacyParameter(
            Bilingual(
                "une date est un nombre entier de secondes depuis 1970",
                "a time is a whole number of seconds since 1970",
            )
        )
    return unix_time


def epsilon_of(rho: Rho, delta: Fraction) -> float:
    """Return an epsilon such that rho-zCDP implies (epsilon, delta)-DP: tight, never understated (`conversion`)."""
    return _epsilon_of(rho, checked_delta(delta))


# Checked before they are cached: 1, 1.0 and True would find what Decimal(1) left there.
@lru_cache(maxsize=4096)
def _epsilon_of(rho: Rho, delta: Fraction) -> float:
    return least_epsilon(rho.as_fraction(), delta) if rho.pico else 0.0


def loss_for(epsilon: Decimal, delta: Fraction) -> Loss:
    """Return the largest loss within `epsilon` at `delta`: a rho, or where delta is 0 that epsilon itself."""
    return PureEpsilon.at_most(Fraction(checked_epsilon(epsilon))) if delta == 0 else rho_for(epsilon, delta)


def shown_epsilon(loss: Loss, delta: Fraction) -> float:
    """Return a loss as an epsilon at `delta`, never understated; a pure one is its own."""
    return epsilon_of(loss, delta) if isinstance(loss, Rho) else float_up(loss.as_fraction())


def rho_for(epsilon: Decimal, delta: Fraction) -> Rho:
    """Return the largest rho, rounded down to a step, whose `epsilon_of` at `delta` is at most `epsilon`.

    Bisection over whole steps; the answer holds and the next step does not, both asked of `epsilon_of` itself. Zero if
    not even one step fits.
    """
    return _rho_for(checked_epsilon(epsilon), checked_delta(delta))


@lru_cache(maxsize=4096)
def _rho_for(epsilon: Decimal, delta: Fraction) -> Rho:
    bound = Fraction(epsilon)

    def within(pico: int) -> bool:
        return Fraction(_epsilon_of(Rho(pico), delta)) <= bound

    fits, breaks = _bracket(within, _guess(float(bound), float_down(delta)))
    while breaks - fits > 1:
        middle = (fits + breaks) // 2
        if within(middle):
            fits = middle
        else:
            breaks = middle
    if not within(fits) or within(fits + 1):
        raise InvariantBroken("the largest rho within an epsilon is not the largest")
    return Rho(fits)


def _bracket(within: Callable[[int], bool], guess: int) -> tuple[int, int]:
    """Return two step counts, the first within and the second not, as near to `guess` as doubling finds them."""
    width = 1 + guess // 10**12
    fits = breaks = guess
    while fits > 0 and not within(fits):
        breaks = fits
        fits = max(0, fits - width)
        width *= 8
    while breaks == fits or within(breaks):
        fits = breaks
        breaks = min(MAX_STEPS, breaks + width)
        width *= 8
        if fits == MAX_STEPS:
            raise InvariantBroken("an epsilon within bounds allows a rho beyond them")
    return fits, breaks


def _guess(epsilon: float, delta: float) -> int:
    """Return about the number of steps whose epsilon is `epsilon`; only the speed of `rho_for` rests on it."""
    low, high = 0.0, 2 * epsilon + 1
    for _ in range(60):
        middle = (low + high) / 2
        if middle > 0 and least_epsilon_about(middle, delta)[0] > epsilon:
            high = middle
        else:
            low = middle
    return int(low * STEPS_PER_RHO)
