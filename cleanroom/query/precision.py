"""How precise a question asks to be: `epsilon`, `margin`, or neither."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Final

from cleanroom.accounting.privacy_loss import InvalidPrivacyParameter, checked_epsilon
from cleanroom.errors import Refusal, Refused
from cleanroom.query.refusals import MESSAGES, at_each_door, refusal


class Auto(Enum):
    """Instead of a number: chosen among public candidates, at a price (`query.choosing`)."""

    AUTO = "auto"


LARGEST_MARGIN: Final = Decimal(10) ** 15


@dataclass(frozen=True, slots=True)
class Epsilon:
    """As much accuracy as this epsilon pays for."""

    value: Decimal


@dataclass(frozen=True, slots=True)
class Margin:
    """A 95 % margin of at most this, in each value's unit."""

    value: Decimal


@dataclass(frozen=True, slots=True)
class Default:
    """The rules' default epsilon."""


Precision = Epsilon | Margin | Default


def precision(*, epsilon: object = None, margin: object = None) -> Precision:
    """Read the precision of a call.

    Args:
        epsilon: a number above 0, or None.
        margin: a number above 0, in the values' unit, or None.

    Raises:
        Refused: both, or not a finite positive number (texts and booleans are none).
    """
    if epsilon is not None and margin is not None:
        raise not_precise("{epsilon} ou {margin}, pas les deux", "{epsilon} or {margin}, not both")
    if epsilon is not None:
        try:
            return Epsilon(checked_epsilon(_number(epsilon, "epsilon")))
        except InvalidPrivacyParameter as error:
            raise Refused((refusal("precision", why_fr=error.message.fr, why_en=error.message.en),)) from None
    if margin is not None:
        value = _number(margin, "margin")
        if not 0 < value <= LARGEST_MARGIN:
            raise not_precise("{margin} est un nombre positif", "{margin} is a positive number")
        return Margin(value)
    return Default()


def require_contribution(*values: int | None) -> None:
    """Refuse numbers of rows or of cells that a person may count in, unless they are whole numbers of a sane size."""
    for value in values:
        if value is not None and (type(value) is not int or not 1 <= value <= 65_535):
            raise not_precise(
                "{max_rows_contributed} et {max_groups_contributed} sont des entiers de 1 à 65 535 (ou auto)",
                "{max_rows_contributed} and {max_groups_contributed} are integers from 1 to 65,535 (or auto)",
            )


def _number(value: object, name: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise not_precise(f"{{{name}}} est un nombre", f"{{{name}}} is a number")
    if isinstance(value, int) and abs(value) > 10**30:
        raise not_precise(f"{{{name}}} est trop grand", f"{{{name}}} is too large")
    number = value if isinstance(value, Decimal) else Decimal(repr(float(value) if isinstance(value, float) else value))
    if not number.is_finite():
        raise not_precise(f"{{{name}}} est un nombre fini", f"{{{name}}} is a finite number")
    if number and (abs(number.adjusted()) > 30 or len(number.as_tuple().digits) > 40):
        # Its fraction would be 10 to that power, however long that takes.
        raise not_precise(
            f"{{{name}}} a un exposant ou des chiffres de trop",
            f"{{{name}}} has too large an exponent or too many digits",
        )
    return number


def not_precise(fr: str, en: str) -> Refused:
    """Return the refusal of a precision that cannot be had, with why; parameters in braces (`at_each_door`)."""
    french, english = MESSAGES["precision"]
    return Refused((Refusal("precision", at_each_door(french.format(why_fr=fr), english.format(why_en=en))),))
