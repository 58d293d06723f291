"""What a generated expression is: enough of its type to write well-typed questions, and to know what to compare."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from cleanroom.catalog import Category, Date, Number, Text

if TYPE_CHECKING:
    from cleanroom.catalog import ColumnType


@dataclass(frozen=True)
class Num:
    """A number of so many decimals.

    Args:
        lower: the least whole number that literals are drawn around; bounds the generator's own arithmetic too.
        width: digits that plain SQL gives the type; beyond 38 its arithmetic fails.
        approximate: plain SQL computes it in floating point, so it is added up and never compared.
    """

    lower: int
    upper: int
    digits: int = 0
    width: int = 10
    approximate: bool = False

    @property
    def reach(self) -> int:
        """The largest magnitude."""
        return max(abs(self.lower), abs(self.upper), 1)


@dataclass(frozen=True)
class Cat:
    """A text of a declared domain."""

    domain: tuple[str, ...]


@dataclass(frozen=True)
class Words:
    """Any text."""


@dataclass(frozen=True)
class Day:
    """A date."""

    first: date
    last: date


@dataclass(frozen=True)
class Flag:
    """True or false."""


Kind = Num | Cat | Words | Day | Flag


def kind_of(declared: ColumnType) -> Kind:
    """Return the kind of a declared column."""
    match declared:
        case Category(domain=domain):
            return Cat(domain)
        case Text():
            return Words()
        case Date(first=first, last=last):
            return Day(first, last)
        case Number(lower=lower, upper=upper, resolution=resolution):
            if resolution == 1:
                return Num(lower, upper)
            return Num(int(lower * resolution) - 1, int(upper * resolution) + 1, 2, 18)
    raise AssertionError(declared)


def hull(kinds: list[Kind]) -> Kind:
    """Return the kind of what is one of these."""
    first = kinds[0]
    match first:
        case Num():
            numbers = [kind for kind in kinds if isinstance(kind, Num)]
            return Num(
                min(each.lower for each in numbers),
                max(each.upper for each in numbers),
                max(each.digits for each in numbers),
                max(each.width for each in numbers),
                any(each.approximate for each in numbers),
            )
        case Cat():
            return Cat(tuple(dict.fromkeys(v for kind in kinds if isinstance(kind, Cat) for v in kind.domain)))
        case Day():
            days = [kind for kind in kinds if isinstance(kind, Day)]
            return Day(min(each.first for each in days), max(each.last for each in days))
    return first
