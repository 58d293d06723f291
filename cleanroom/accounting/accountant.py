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
from cleanroom.accounting.privacy_loss import InvalidPrivacyParameter, Rho
from cleanroom.errors import Bilingual, InvariantBroken

if TYPE_CHECKING:
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


def charges(release: ReleaseNorm, *, scale: Fraction, tables: AbstractSet[TableName]) -> tuple[Charge, ...]:
    """Return what the room and each table read pay for one draw, rounded up.

    Discrete Gaussian noise of scale s on vectors at L2 distance d is (d²/2s²)-zCDP (Canonne, Kamath and Steinke 2020,
    Theorem 4). Removing a person everywhere moves the vector by |v| ≤ Z: the room's charge. Removing only their rows
    in one table moves it by |v| ≤ Z if nothing else is read, else from v to v', at most D: the table's charge (S2).

    Args:
        release: the norm and the shape.
        scale: the noise scale in lattice steps, the exact value of the float that the noise is drawn with.
        tables: every table that the release's plan reads, anywhere (S1).
    """
    if scale <= 0:
        raise InvalidPrivacyParameter(Bilingual("l'échelle du bruit est positive", "the noise scale is positive"))
    if not tables:
        raise InvariantBroken("a release that reads no table has nothing to charge")
    everywhere = Rho.at_least(Fraction(release.squared_norm) / (2 * scale**2))
    in_one_table = Rho.at_least(Fraction(_largest_square(release, tables_alone=len(tables) == 1)) / (2 * scale**2))
    return (
        Charge(ROOM, everywhere),
        *(Charge(AccountId(table), in_one_table) for table in sorted(tables)),
    )


def scale_for(*, norm: int, shape: VectorShape, tables_alone: bool, rho: Rho) -> float:
    """Return the least float noise scale at which no account pays more than `rho`.

    The largest charge is M/2s² rounded up to a step, M = Z² if the release reads one table alone, else D² ≥ Z². As
    `rho` is a whole number of steps, that is at most `rho` exactly when M/2s² is, that is when s² ≥ M/2ρ. The loops
    below find the least float s with that property by exact comparison, whatever the square root's error.

    Args:
        norm: Z in lattice steps.
        shape: what else is known of a person's vector.
        tables_alone: whether the release reads one table only.
        rho: the most that any account may pay, above zero.
    """
    if rho.pico == 0:
        raise InvalidPrivacyParameter(
            Bilingual("cet epsilon est trop petit pour une réponse", "this epsilon is too small for any answer")
        )
    release = ReleaseNorm(norm, shape)
    square = Fraction(_largest_square(release, tables_alone=tables_alone)) / (2 * rho.as_fraction())
    scale = math.sqrt(float(square))
    while Fraction(scale) ** 2 < square:
        scale = math.nextafter(scale, math.inf)
    while Fraction(below := math.nextafter(scale, 0.0)) ** 2 >= square:
        scale = below
    return scale


def _largest_square(release: ReleaseNorm, *, tables_alone: bool) -> int:
    return release.squared_norm if tables_alone else release.squared_diameter


def _checked_norm(norm: int) -> int:
    if type(norm) is not int or not 0 < norm <= MAX_NORM:
        raise InvalidPrivacyParameter(
            Bilingual("une norme est un entier de 1 à 2^62", "a norm is a whole number from 1 to 2^62")
        )
    return norm
