"""The plan's own words: relations whose rows belong to people, predicates, keys and statistics.

Every relation carries a hidden, non-null unit beside each row (S14); no expression can name it, so it cannot be
recomputed, renamed or lost. Columns are positions, never names: nothing that a person typed reaches the engine.
Each relation here is *personal*: the rows of a person are a function of that person's own rows (DESIGN §3):

- `Scan`: the member's rows, as the catalog admits them;
- `Select`: a row-wise filter and a choice of columns; the unit passes through;
- `Join`: rows of the same unit on both sides; fan-out stays inside one person;
- `FirstRows`: of each unit the first rows in an order that all columns decide;
- `Semi`: the left rows whose unit occurs on the right;
- `UnionAll`: the rows of every arm, each with its own unit;
- `Persons`: one row for each unit.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, assert_never

from cleanroom.identifiers import TableName

if TYPE_CHECKING:
    from decimal import Decimal

Code = int
"""A value as the scan gives it: index in the domain, days since 1970-01-01, or steps of the resolution."""


class Comparison(Enum):
    """How two columns of the same row are compared."""

    EQUAL = "="
    LESS = "<"
    LESS_OR_EQUAL = "<="


class Truth(Enum):
    """A predicate that looks at no column."""

    TRUE = "TRUE"
    FALSE = "FALSE"
    UNKNOWN = "NULL"


@dataclass(frozen=True, slots=True)
class InRange:
    """Column's code lies between two ends, both included; None is no end. NULL for a NULL column."""

    column: int
    lower: Code | None
    upper: Code | None


@dataclass(frozen=True, slots=True)
class InSet:
    """Column's code is one of these; NULL for a NULL column, even when the set is empty."""

    column: int
    codes: tuple[Code, ...]


@dataclass(frozen=True, slots=True)
class TextIn:
    """Text column equals one of these; NULL for a NULL column."""

    column: int
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IsNull:
    """Column is NULL; never NULL itself."""

    column: int


@dataclass(frozen=True, slots=True)
class CompareColumns:
    """Two columns of the same type and resolution are compared; NULL if either is."""

    comparison: Comparison
    left: int
    right: int


@dataclass(frozen=True, slots=True)
class And:
    """All hold (three-valued)."""

    items: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """One holds (three-valued)."""

    items: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """It does not hold (three-valued)."""

    item: Predicate


Predicate = InRange | InSet | TextIn | IsNull | CompareColumns | And | Or | Not | Truth
"""Total on every value that a scan can give: nothing here can fail on a row (DESIGN §3)."""


@dataclass(frozen=True, slots=True)
class Scan:
    """The rows of a member's table, these columns in this order, clamped to the catalog (S7)."""

    table: TableName
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Select:
    """Rows of `source` for which `predicate` is true, and these of its columns."""

    source: Relation
    predicate: Predicate
    columns: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Join:
    """Pairs of rows with the same unit: the left columns, then the right ones."""

    left: Relation
    right: Relation


@dataclass(frozen=True, slots=True)
class FirstRows:
    """The first `most` rows of each unit, in the order of all columns; rows that tie are equal (S20, S23)."""

    source: Relation
    most: int


@dataclass(frozen=True, slots=True)
class Semi:
    """The rows of `source` whose unit has a row in `other` (IN, INTERSECT; S16)."""

    source: Relation
    other: Relation


@dataclass(frozen=True, slots=True)
class Arm:
    """One side of a union.

    Args:
        recodes: for each column None, or the new code of each old code, where the arms' domains differ.
    """

    relation: Relation
    recodes: tuple[tuple[Code, ...] | None, ...]


@dataclass(frozen=True, slots=True)
class UnionAll:
    """The rows of all arms."""

    arms: tuple[Arm, ...]


@dataclass(frozen=True, slots=True)
class Persons:
    """One row, without columns, for each unit of `source` (DISTINCT; S18)."""

    source: Relation


Relation = Scan | Select | Join | FirstRows | Semi | UnionAll | Persons


@dataclass(frozen=True, slots=True)
class CategoryKey:
    """Group by a category; the cells are its declared domain, and NULL where it is nullable."""

    column: int
    domain: tuple[str, ...]
    nullable: bool

    @property
    def size(self) -> int:
        """Number of values."""
        return len(self.domain) + self.nullable


@dataclass(frozen=True, slots=True)
class NumberKey:
    """Group by a number: one cell for each step of its declared bounds."""

    column: int
    lower: Code
    upper: Code
    resolution: Decimal
    nullable: bool

    @property
    def size(self) -> int:
        """Number of values."""
        return self.upper - self.lower + 1 + self.nullable


@dataclass(frozen=True, slots=True)
class MonthKey:
    """Group by the month of a date: one cell for each month of its declared range.

    Args:
        first: months from 1970-01 to the first month.
        months: number of months.
    """

    column: int
    first: int
    months: int
    nullable: bool

    @property
    def size(self) -> int:
        """Number of values."""
        return self.months + self.nullable


Key = CategoryKey | NumberKey | MonthKey


@dataclass(frozen=True, slots=True)
class CountPersons:
    """COUNT(DISTINCT person)."""


@dataclass(frozen=True, slots=True)
class CountRows:
    """COUNT(*): rows, each person's capped."""


@dataclass(frozen=True, slots=True)
class Sum:
    """SUM of a number: each person's total clamped (S33).

    Args:
        lower: least value of the column, in steps.
        upper: greatest value, in steps.
    """

    column: int
    lower: Code
    upper: Code
    resolution: Decimal


@dataclass(frozen=True, slots=True)
class Mean:
    """AVG of a number: rows and centred total of a person, scaled by one factor (S34)."""

    column: int
    lower: Code
    upper: Code
    resolution: Decimal

    @property
    def middle(self) -> Code:
        """The integer that values are centred on."""
        return (self.lower + self.upper) // 2

    @property
    def half_width(self) -> int:
        """Greatest distance of a value from the middle, in steps; at least 1."""
        return max(self.upper - self.middle, self.middle - self.lower, 1)


Statistic = CountPersons | CountRows | Sum | Mean


@dataclass(frozen=True, slots=True)
class KeyOutput:
    """An answer's column that shows a key."""

    label: str
    key: int


@dataclass(frozen=True, slots=True)
class StatisticOutput:
    """An answer's column that shows a statistic."""

    label: str
    statistic: int


Output = KeyOutput | StatisticOutput


def scans(relation: Relation) -> tuple[Scan, ...]:
    """Return the scans of `relation`, from left to right."""
    match relation:
        case Scan():
            return (relation,)
        case Select(source=source) | Persons(source=source) | FirstRows(source=source):
            return scans(source)
        case Join(left=left, right=right):
            return scans(left) + scans(right)
        case Semi(source=source, other=other):
            return scans(source) + scans(other)
        case UnionAll(arms=arms):
            return tuple(scan for arm in arms for scan in scans(arm.relation))
    assert_never(relation)


def column_count(relation: Relation) -> int:
    """Return how many columns a relation has, the unit not counted."""
    match relation:
        case Scan(columns=columns):
            return len(columns)
        case Select(columns=chosen):
            return len(chosen)
        case Join(left=left, right=right):
            return column_count(left) + column_count(right)
        case Semi(source=source) | FirstRows(source=source):
            return column_count(source)
        case UnionAll(arms=arms):
            return column_count(arms[0].relation)
        case Persons():
            return 0
    assert_never(relation)


def depth(relation: Relation) -> int:
    """Return how deep relations nest."""
    match relation:
        case Scan():
            return 1
        case Select(source=source) | Persons(source=source) | FirstRows(source=source):
            return 1 + depth(source)
        case Join(left=left, right=right):
            return 1 + max(depth(left), depth(right))
        case Semi(source=source, other=other):
            return 1 + max(depth(source), depth(other))
        case UnionAll(arms=arms):
            return 2 + max(depth(arm.relation) for arm in arms)
    assert_never(relation)
