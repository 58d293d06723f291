"""What values a term can have: public facts, proved from the catalog, never read from data (S7, S25).

Every value is a *code*: a whole number of steps for numbers, days since 1970-01-01 for dates, the index in the domain
for categories; texts are texts and booleans are booleans. NULL is the absence of a code.

`nullable` says whether NULL is a value that is declared or can come about, and so a cell of its own where the term is
a key. It is no promise about rows: a hostile member's value outside its domain arrives as NULL in any column (S7),
every term bears it, and a NULL where none is declared falls outside every cell.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Final, TypeVar, assert_never

from cleanroom.catalog import Category, Date, Number, Text

if TYPE_CHECKING:
    from cleanroom.catalog import ColumnType

Code = int
"""A value as the scan gives it: index in the domain, days since 1970-01-01, or steps of the resolution."""

LARGEST_CODE: Final = 1 << 60
"""Codes stay within ±2^60: whatever adds two of them fits 64 bits, and a product is proved before it is made."""

LARGEST_DIVIDEND: Final = 10**17
"""Twice what is divided stays below it in size, so that a division is exact and quick."""

LONGEST_TEXT: Final = 1_000
"""Characters of a text value that a term looks at; the scan gives no more."""


@dataclass(frozen=True, slots=True)
class NumberType:
    """A number, exactly `code * resolution`.

    Args:
        resolution: the value of one step, above 0; any fraction, so that dividing by a constant is exact.
        lower: least code that any row can have, whatever the data.
        upper: greatest code that any row can have.
        usual_lower: least code where a person's own counts and sums are those of K rows (S22); a release, a key or a
            partial function clamps to it. Equal to `lower` where no per-person aggregate is involved.
        usual_upper: greatest code likewise.
        unit: what is counted, for people (CAD); or None.
    """

    resolution: Fraction
    lower: int
    upper: int
    nullable: bool
    usual_lower: int
    usual_upper: int
    unit: str | None = None

    @classmethod
    def between(
        cls, lower: int, upper: int, *, resolution: Fraction = Fraction(1), nullable: bool = False
    ) -> NumberType:
        """Return the type of a number with these bounds and nothing else known."""
        return cls(resolution, lower, upper, nullable, lower, upper)


@dataclass(frozen=True, slots=True)
class DateType:
    """A day; codes are days since 1970-01-01, between two of the years 1 to 9999."""

    lower: int
    upper: int
    nullable: bool


@dataclass(frozen=True, slots=True)
class CategoryType:
    """One of these texts; codes are indices. The domain has no text twice."""

    domain: tuple[str, ...]
    nullable: bool


@dataclass(frozen=True, slots=True)
class TextType:
    """A text of at most `LONGEST_TEXT` characters, of no public domain."""

    nullable: bool


@dataclass(frozen=True, slots=True)
class BooleanType:
    """True, false, or NULL."""

    nullable: bool


@dataclass(frozen=True, slots=True)
class NullType:
    """Nothing but NULL: the type of a bare NULL, which fits every other type."""

    @property
    def nullable(self) -> bool:
        """Always."""
        return True


ValueType = NumberType | DateType | CategoryType | TextType | BooleanType | NullType

_Kind = TypeVar("_Kind", NumberType, DateType, CategoryType, TextType, BooleanType)


def declared_type(column: ColumnType) -> ValueType:
    """Return the type of a catalog column's values as the scan gives them (S7)."""
    match column:
        case Category(domain=domain, nullable=null):
            return CategoryType(domain, null)
        case Text(nullable=null):
            return TextType(null)
        case Date(lower=lower, upper=upper, nullable=null):
            return DateType(lower, upper, null)
        case Number(resolution=resolution, lower=lower, upper=upper, nullable=null, unit=unit):
            return NumberType(Fraction(resolution), lower, upper, null, lower, upper, unit)
    assert_never(column)


def nullable(kind: _Kind) -> _Kind:
    """Return the type with NULL among its values."""
    return replace(kind, nullable=True)
