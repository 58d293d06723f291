"""Turn the norm of a release into what each account pays, and an affordable loss into a noise scale.

Pure: depends on the norm, the shape, the scale and the names of the tables read, hence never on rows (S12).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from cleanroom.accounting.account import ROOM, AccountId, Charge
from cleanroom.accounting.privacy_loss import InvalidPrivacyParameter, PureEpsilon, Rho, float_up
from cleanroom.errors import Bilingual, InvariantBroken

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from cleanroom.identifiers import TableName

MAX_NORM: Final = 2**62
"""Where the exact vector is clamped (S23); a larger norm would bound nothing."""


class VectorShape(Enum):
    """What is known of the vectors that one person can have; decides how far two of them can lie apart (S2)."""

    ONE_NON_NEGATIVE = "one non-negative coordinate"
    NON_NEGATIVE = "non-negative coordinates"
    SIGNED = "coordinates of either sign"

    @property
    def diameter_factor(self) -> int:
        """D/Z in L1, where Z bounds |v|.

        Two vectors lie at most |v| + |v'| ≤ 2Z apart; reached on two cells, or by signs. One non-negative coordinate:
        both lie in [0, Z].
        """
        return 1 if self is VectorShape.ONE_NON_NEGATIVE else 2

    @property
    def squared_diameter_factor(self) -> int:
        """D²/Z², where Z bounds |v| and D = sup |v - v'| over person vectors v, v' with the zero vector among them.

        One non-negative coordinate: both lie in [0, Z], so |v - v'| ≤ Z.
        Non-negative: |v - v'|² = |v|² + |v'|² - 2 v·v' ≤ 2 Z², as v·v' ≥ 0; reached by Z on two different cells.
        Signed: |v - v'| ≤ |v| + |v'| ≤ 2 Z; reached by v' = -v.
        """
        match self:
            case VectorShape.ONE_NON_NEGATIVE:
                return 1
            case VectorShape.NON_NEGATIVE:
                return 2
            case VectorShape.SIGNED:
                return 4


@dataclass(frozen=True, slots=True)
class Reach:
    """How far one person moves what a mechanism is given, in its own unit of distance, squared.

    A mechanism here is (d²/2s²)-zCDP for inputs at distance d and scale s; discrete Laplace noise (d/s)-DP for L1
    distance d, which is not squared here.

    Args:
        everywhere: when all rows of a person go.
        in_one_table: when their rows in one table go, others stay, and these may count for more or less than before.
    """

    everywhere: int
    in_one_table: int

    def __post_init__(self) -> None:
        if not 0 < self.everywhere <= self.in_one_table:
            raise InvariantBroken("a person's reach in one table is not below their reach everywhere")

    def largest(self, *, tables_alone: bool) -> int:
        """Return the square that the dearest account is charged by.

        Args:
            tables_alone: whether the release reads one table only; then leaving it is leaving everywhere.
        """
        return self.everywhere if tables_alone else self.in_one_table


@dataclass(frozen=True, slots=True)
class Draw:
    """One use of a mechanism.

    Args:
        scale: of its noise, above 0, the exact value of the float that it is drawn with.
        delta_everywhere: what a threshold on unknown keys adds to delta when a person goes everywhere (S8).
        delta_in_one_table: likewise when their rows in one table go.
        pure: whether it is discrete Laplace noise, and the reach an L1 distance (S11).
        times: how often it is drawn, each time of what earlier ones decide on; losses and epsilons add up (Bun and
            Steinke 2016, Lemma 2.3; Dwork and Roth 2014, Theorem 3.16).
    """

    reach: Reach
    scale: Fraction
    delta_everywhere: Fraction = Fraction(0)
    delta_in_one_table: Fraction = Fraction(0)
    pure: bool = False
    times: int = 1

    def __post_init__(self) -> None:
        if self.times < 1:
            raise InvariantBroken("a mechanism is drawn once at least")
        if self.scale <= 0:
            raise InvalidPrivacyParameter(Bilingual("l'échelle du bruit est positive", "the noise scale is positive"))

    @property
    def loss(self) -> Fraction:
        """The zCDP loss of a person who goes everywhere, exactly."""
        return self.loss_at(self.reach.everywhere)

    def loss_at(self, reach: int) -> Fraction:
        """Return the zCDP loss at a reach; of a pure draw what its epsilon implies (Bun and Steinke 2016, 1.4)."""
        if self.pure:
            return self.epsilon_at(reach) ** 2 / (2 * self.times)
        # times · reach / 2s² with one reduction to lowest terms, not one at each step.
        return Fraction(self.times * reach * self.scale.denominator**2, 2 * self.scale.numerator**2)

    def epsilon_at(self, reach: int) -> Fraction:
        """Return the epsilon of a pure draw at an L1 distance (Ghosh, Roughgarden and Sundararajan 2012)."""
        if not self.pure:
            raise InvariantBroken("no epsilon with delta 0 says what Gaussian noise costs")
        return self.times * Fraction(reach) / self.scale


@dataclass(frozen=True, slots=True)
class ReleaseNorm:
    """What bounds one person's part in a release.

    Args:
        norm: Z, the L2 norm that every person's vector is clipped to, in steps of the integer lattice (S31, S32).
        shape: what else is known of those vectors.
    """

    norm: int
    shape: VectorShape

    def __post_init__(self) -> None:
        _checked_norm(self.norm)

    @property
    def squared_norm(self) -> int:
        """Z²."""
        return self.norm**2

    @property
    def squared_diameter(self) -> int:
        """D²."""
        return self.norm**2 * self.shape.squared_diameter_factor

    @property
    def reach(self) -> Reach:
        """How far one person moves the vector."""
        return Reach(self.squared_norm, self.squared_diameter)


def charges(release: ReleaseNorm, *, scale: Fraction, tables: AbstractSet[TableName]) -> tuple[Charge, ...]:
    """Return what the room and each table read pay for one draw of discrete Gaussian noise, rounded up.

    Discrete Gaussian noise of scale s on vectors at L2 distance d is (d²/2s²)-zCDP (Canonne, Kamath and Steinke 2020,
    Theorem 4). Removing a person everywhere moves the vector by |v| ≤ Z: the room's charge. Removing only their rows
    in one table moves it by |v| ≤ Z if nothing else is read, else from v to v', at most D: the table's charge (S2).

    Args:
        release: the norm and the shape.
        scale: the noise scale in lattice steps, the exact value of the float that the noise is drawn with.
        tables: every table that the release's plan reads, anywhere (S1).
    """
    return charges_of((Draw(release.reach, scale),), tables)


def charges_of(
    draws: Sequence[Draw], tables: AbstractSet[TableName], pure: AbstractSet[TableName] = frozenset()
) -> tuple[Charge, ...]:
    """Return what the room and each table read pay for several draws over one release's plan, rounded up.

    Losses under zCDP add up, and so do the deltas of its approximate form (Bun and Steinke 2016, Lemmas 1.7 and 8.2);
    they are added as exact fractions, and rounded once.

    Args:
        draws: at least one.
        tables: every table that the plan reads, anywhere (S1).
        pure: those whose budget is pure: they pay epsilons, and every draw must be pure (S11).
    """
    if not tables or not draws:
        raise InvariantBroken("a release that reads no table or draws no noise has nothing to charge")
    alone = len(tables) == 1
    everywhere = Rho.at_least(sum((draw.loss for draw in draws), Fraction(0)))
    reaches = [draw.reach.largest(tables_alone=alone) for draw in draws]
    largest = sum((draw.loss_at(reach) for draw, reach in zip(draws, reaches, strict=True)), Fraction(0))
    in_one_table = Rho.at_least(largest)
    delta = sum((draw.delta_everywhere for draw in draws), Fraction(0))
    delta_largest = delta if alone else sum((draw.delta_in_one_table for draw in draws), Fraction(0))
    charges = [Charge(ROOM, everywhere, delta)]
    for table in sorted(tables):
        if table in pure:
            epsilon = sum((draw.epsilon_at(reach) for draw, reach in zip(draws, reaches, strict=True)), Fraction(0))
            charges.append(Charge(AccountId(table), PureEpsilon.at_least(epsilon)))
        else:
            charges.append(Charge(AccountId(table), in_one_table, delta_largest))
    return tuple(charges)


def scale_for(*, norm: int, shape: VectorShape, tables_alone: bool, rho: Rho) -> float:
    """Return the least float noise scale at which no account pays more than `rho` for one draw.

    Args:
        norm: Z in lattice steps.
        shape: what else is known of a person's vector.
        tables_alone: whether the release reads one table only.
        rho: the most that any account may pay, above zero.
    """
    return least_scale(ReleaseNorm(norm, shape).reach, tables_alone=tables_alone, rho=rho.as_fraction())


def least_scale(reach: Reach, *, tables_alone: bool, rho: Fraction) -> float:
    """Return the least float scale at which no account's exact loss by one draw exceeds `rho`.

    That is M/2s² ≤ rho, M the largest square that a person reaches, or s² ≥ M/2rho. The loops below find the least
    float s with that property by exact comparison, whatever the square root's error. Where `rho` is a whole number of
    the ledger's steps, a loss rounded up to a step is within it as well.
    """
    if rho <= 0:
        raise InvalidPrivacyParameter(
            Bilingual("cet epsilon est trop petit pour une réponse", "this epsilon is too small for any answer")
        )
    square = Fraction(reach.largest(tables_alone=tables_alone)) / (2 * rho)

    def reaches(scale: float) -> bool:
        numerator, denominator = scale.as_integer_ratio()
        return numerator**2 * square.denominator >= square.numerator * denominator**2

    scale = math.sqrt(float(square))
    while not reaches(scale):
        scale = math.nextafter(scale, math.inf)
    while reaches(below := math.nextafter(scale, 0.0)):
        scale = below
    return scale


def least_pure_scale(reach: Reach, *, tables_alone: bool, epsilon: Fraction) -> float:
    """Return the least float scale at which no account's exact epsilon by one pure draw exceeds `epsilon`."""
    if epsilon <= 0:
        raise InvalidPrivacyParameter(
            Bilingual("cet epsilon est trop petit pour une réponse", "this epsilon is too small for any answer")
        )
    return float_up(Fraction(reach.largest(tables_alone=tables_alone)) / epsilon)


def _checked_norm(norm: int) -> int:
    if type(norm) is not int or not 0 < norm <= MAX_NORM:
        raise InvalidPrivacyParameter(
            Bilingual("une norme est un entier de 1 à 2^62", "a norm is a whole number from 1 to 2^62")
        )
    return norm
