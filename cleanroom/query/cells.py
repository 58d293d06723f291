"""The cells of a release: public keys, grouping sets, keys that survived a threshold, and how they are shown.

The cells of a grouping set are numbered by its keys' codes, the last key fastest; sets follow one another. Where there
are unknown keys, each that survived has a whole block of public cells (S26), in code-point order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Final, assert_never

from cleanroom.catalog import day_of
from cleanroom.query.statistics import (
    CategoryKey,
    Key,
    ListedKey,
    MonthKey,
    NumberKey,
    PublicKey,
    Shown,
    UnknownKey,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cleanroom.query.statistics import Resolution

KeyValue = str | Decimal | date | bool | None

GroupingSets = tuple[tuple[int, ...], ...]
"""For each set the positions of its keys, ascending. The usual question has one set of all keys."""

_DIGITS: Final = Context(prec=28, rounding=ROUND_HALF_EVEN)


@dataclass(frozen=True, slots=True)
class SurvivingKeys:
    """The unknown keys that many persons have, released past a threshold; public from then on.

    Args:
        columns: for each unknown key its values, one for each surviving combination; a text, a code, or None for NULL.
        counted: the noised number of persons of each combination.
    """

    columns: tuple[tuple[str | int | None, ...], ...]
    counted: tuple[int, ...]

    @property
    def size(self) -> int:
        """How many combinations survived."""
        return len(self.counted)


def public_keys(keys: Sequence[Key]) -> tuple[PublicKey, ...]:
    """Return the keys whose values are declared, in their order."""
    return tuple(key for key in keys if not isinstance(key, UnknownKey))


def unknown_keys(keys: Sequence[Key]) -> tuple[UnknownKey, ...]:
    """Return the keys without a public domain, in their order."""
    return tuple(key for key in keys if isinstance(key, UnknownKey))


def set_sizes(keys: Sequence[Key], sets: GroupingSets) -> tuple[int, ...]:
    """Return how many public cells each grouping set has."""
    return tuple(math.prod(key.size for key in public_keys([keys[at] for at in chosen])) for chosen in sets)


# Labels


def key_values(
    keys: tuple[Key, ...], sets: GroupingSets, surviving: SurvivingKeys | None, number: int
) -> tuple[list[KeyValue], int]:
    """Return the value of each key in a cell, None where its set has not that key, and the set's position."""
    for place, (chosen, size) in enumerate(zip(sets, set_sizes(keys, sets), strict=True)):
        here = size if surviving is None else size * surviving.size
        if number >= here:
            number -= here
            continue
        values: list[KeyValue] = [None] * len(keys)
        block, cell = divmod(number, size)
        unknown = 0
        for at in chosen:
            key = keys[at]
            if isinstance(key, UnknownKey):
                if surviving is not None:
                    values[at] = shown_value(key, surviving.columns[unknown][block])
                unknown += 1
        for at in reversed(chosen):
            key = keys[at]
            if not isinstance(key, UnknownKey):
                cell, code = divmod(cell, key.size)
                values[at] = None if key.nullable and code == key.size - 1 else _key_value(key, code)
        return values, place
    raise IndexError(number)


def _key_value(key: PublicKey, code: int) -> KeyValue:
    match key:
        case CategoryKey(domain=domain):
            return domain[code]
        case NumberKey(lower=lower, resolution=resolution):
            return decimal_of((lower + code) * Fraction(resolution), resolution)
        case MonthKey(first=first):
            month = first + code
            return date(1970 + month // 12, month % 12 + 1, 1)
        case ListedKey(labels=labels):
            return labels[code]
    assert_never(key)


def shown_value(key: UnknownKey, value: str | int | None) -> KeyValue:
    """Return a surviving key's value as the answer shows it."""
    match value:
        case None | str():
            return value
        case int() if key.shown is Shown.DATE:
            return day_of(value)
        case int():
            return decimal_of(value * Fraction(key.resolution), key.resolution)
    raise TypeError(f"no label for {value!r}")


def decimal_of(value: Fraction, resolution: Resolution) -> Decimal:
    """Return a number as a decimal, with the places of its resolution where it has such; else to 28 digits."""
    if isinstance(resolution, Decimal):
        return int(value / Fraction(resolution)) * resolution
    # A quotient that ends has as few places as it needs.
    return _DIGITS.divide(Decimal(value.numerator), Decimal(value.denominator))
