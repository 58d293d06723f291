"""The language of terms. Each node says what it means on one row; all are total: none can fail on any row (DESIGN §3).

Numbers are whole and exact. Where a node combines numbers, whoever builds it has proved that the result stays within
±2^60 (`typed`); the printer computes in HUGEINT (S23). Without such a proof a number beyond 64 bits, and a day more
than 9 999 999 days from 1970, is NULL: even then nothing fails. NULL in gives NULL out, where nothing else is said.
Booleans are three-valued as in SQL.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Comparing(Enum):
    """How two values of one type are compared; texts by their Unicode code points."""

    EQUAL = "="
    LESS = "<"
    LESS_OR_EQUAL = "<="


class DatePart(Enum):
    """A whole number read from a day."""

    YEAR = "year"
    QUARTER = "quarter"
    MONTH = "month"
    WEEK = "week"
    """ISO 8601 week, 1 to 53."""
    ISO_YEAR = "isoyear"
    DAY = "day"
    DAY_OF_WEEK = "dow"
    """0 for Sunday to 6 for Saturday."""
    ISO_DAY_OF_WEEK = "isodow"
    """1 for Monday to 7 for Sunday."""
    DAY_OF_YEAR = "doy"


class DateUnit(Enum):
    """What a day is cut to: the first day of its week (Monday), month, quarter or year."""

    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


@dataclass(frozen=True, slots=True)
class Column:
    """The code, or the text, of column number `index` of the relation."""

    index: int


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number."""

    value: int


@dataclass(frozen=True, slots=True)
class Word:
    """A text."""

    value: str


@dataclass(frozen=True, slots=True)
class Flag:
    """TRUE, FALSE, or NULL as a boolean."""

    value: bool | None


@dataclass(frozen=True, slots=True)
class Nothing:
    """NULL, as a number or, if `text`, as a text."""

    text: bool = False


@dataclass(frozen=True, slots=True)
class Plus:
    """The sum of two numbers."""

    left: Term
    right: Term


@dataclass(frozen=True, slots=True)
class Minus:
    """The difference of two numbers."""

    left: Term
    right: Term


@dataclass(frozen=True, slots=True)
class Times:
    """The product of two numbers."""

    left: Term
    right: Term


@dataclass(frozen=True, slots=True)
class FloorDivide:
    """The greatest whole number at most `item / divisor`; the divisor is above 0. Items above 2^62 can be NULL."""

    item: Term
    divisor: int


@dataclass(frozen=True, slots=True)
class Quotient:
    """`left * scale / right` rounded to the nearest whole number, halves away from 0.

    NULL where `right` is 0, and where `left * scale * 2` reaches `LARGEST_DIVIDEND`, which the builder rules out.
    """

    left: Term
    right: Term
    scale: int


@dataclass(frozen=True, slots=True)
class Remainder:
    """What is left of a number divided by `divisor`, above 0, with the sign of the number as in SQL's `%`."""

    item: Term
    divisor: int


@dataclass(frozen=True, slots=True)
class Absolute:
    """A number without its sign."""

    item: Term


@dataclass(frozen=True, slots=True)
class Sign:
    """-1, 0 or 1."""

    item: Term


@dataclass(frozen=True, slots=True)
class Least:
    """The least of the numbers that are not NULL; NULL if all are."""

    items: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Greatest:
    """The greatest of the numbers that are not NULL; NULL if all are."""

    items: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """The value beside the first condition that is true, else `otherwise`; all values of one kind."""

    branches: tuple[tuple[Term, Term], ...]
    otherwise: Term


@dataclass(frozen=True, slots=True)
class LookUp:
    """`values[item - first]`; NULL where that is None or outside."""

    item: Term
    first: int
    values: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class PlaceOf:
    """The index of a text among `words`; NULL if it is none of them."""

    text: Term
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PartOf:
    """A part of a day."""

    part: DatePart
    day: Term


@dataclass(frozen=True, slots=True)
class StartOf:
    """The first day of the week, month, quarter or year that a day lies in."""

    unit: DateUnit
    day: Term


@dataclass(frozen=True, slots=True)
class AddMonths:
    """The same day so many months later, or the last day of that month if it has no such day; at most 10 000 years."""

    day: Term
    months: int


@dataclass(frozen=True, slots=True)
class Lower:
    """A text in lower case."""

    text: Term


@dataclass(frozen=True, slots=True)
class Upper:
    """A text in upper case."""

    text: Term


@dataclass(frozen=True, slots=True)
class Trim:
    """A text without spaces (Unicode's category Zs) at its ends."""

    text: Term


@dataclass(frozen=True, slots=True)
class Substring:
    """`length` characters of a text from character number `start`, counted from 1; both constants, length None: all."""

    text: Term
    start: int
    length: int | None


@dataclass(frozen=True, slots=True)
class Length:
    """How many characters a text has, at most `LONGEST_TEXT`."""

    text: Term


@dataclass(frozen=True, slots=True)
class Like:
    """Whether a text matches a pattern of LIKE: `%` any characters, `_` one; no escape; `ignore_case`: ILIKE."""

    text: Term
    pattern: str
    ignore_case: bool


@dataclass(frozen=True, slots=True)
class Compared:
    """Two numbers, two texts or two booleans compared; NULL if either is."""

    comparing: Comparing
    left: Term
    right: Term


@dataclass(frozen=True, slots=True)
class OneOf:
    """Whether a number or a text is among these, at least one; NULL for NULL."""

    item: Term
    values: tuple[int, ...] | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Missing:
    """Whether a term is NULL; never NULL itself."""

    item: Term


@dataclass(frozen=True, slots=True)
class AllOf:
    """All are true (three-valued); at least one item."""

    items: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One is true (three-valued); at least one item."""

    items: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Opposite:
    """Not true (three-valued)."""

    item: Term


Term = (
    Column | Integer | Word | Flag | Nothing | Plus | Minus | Times | FloorDivide | Quotient | Remainder | Absolute
    | Sign | Least | Greatest | Choice | LookUp | PlaceOf | PartOf | StartOf | AddMonths | Lower | Upper | Trim
    | Substring | Length | Like | Compared | OneOf | Missing | AllOf | AnyOf | Opposite
)  # fmt: skip


def parts(term: Term) -> tuple[Term, ...]:
    """Return the terms directly inside a term, in order."""
    match term:
        case Column() | Integer() | Word() | Flag() | Nothing():
            return ()
        case Plus(left=a, right=b) | Minus(left=a, right=b) | Times(left=a, right=b) | Quotient(left=a, right=b):
            return (a, b)
        case Compared(left=a, right=b):
            return (a, b)
        case Least(items=items) | Greatest(items=items) | AllOf(items=items) | AnyOf(items=items):
            return items
        case Choice(branches=branches, otherwise=otherwise):
            return (*(each for branch in branches for each in branch), otherwise)
        case PartOf(day=item) | StartOf(day=item) | AddMonths(day=item):
            return (item,)
        case FloorDivide(item=item) | Remainder(item=item) | Absolute(item=item) | Sign(item=item) | LookUp(item=item):
            return (item,)
        case OneOf(item=item) | Missing(item=item) | Opposite(item=item):
            return (item,)
        case _:
            return (term.text,)


def columns_of(term: Term) -> frozenset[int]:
    """Return the columns that a term looks at."""
    if isinstance(term, Column):
        return frozenset({term.index})
    return frozenset(column for part in parts(term) for column in columns_of(part))


def size_of(term: Term) -> int:
    """Return how many nodes a term has."""
    return 1 + sum(size_of(part) for part in parts(term))
