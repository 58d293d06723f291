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
- `Persons`: one row for each unit;
- `Project`: terms of each row; the unit passes through;
- `Distinct`: rows of a unit that differ;
- `GroupPerson`, `Window`: what is computed within the rows of one unit;
- `Mark`: each row and whether its unit has a row on the other side;
- `JoinPublic`: each row and the rows of a public table that fit it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, assert_never

from cleanroom.identifiers import TableName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cleanroom.identifiers import Digest
    from cleanroom.query.person_rows import PersonAggregate, WindowFunction
    from cleanroom.query.terms.language import Term
    from cleanroom.query.terms.types import Code


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


@dataclass(frozen=True, slots=True)
class Holds:
    """A boolean term is true."""

    term: Term


Predicate = InRange | InSet | TextIn | IsNull | CompareColumns | And | Or | Not | Truth | Holds
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


class JoinKind(Enum):
    """Which rows without a partner stay."""

    INNER = "INNER"
    LEFT = "LEFT"
    RIGHT = "RIGHT"
    FULL = "FULL"

    @property
    def keeps_left(self) -> bool:
        """Whether left rows without a partner stay."""
        return self in {JoinKind.LEFT, JoinKind.FULL}

    @property
    def keeps_right(self) -> bool:
        """Whether right rows without a partner stay."""
        return self in {JoinKind.RIGHT, JoinKind.FULL}


@dataclass(frozen=True, slots=True)
class Join:
    """Pairs of rows with the same unit: the left columns, then the right ones, then who is present.

    An outer join's unit is COALESCE(left unit, right unit), so it is never NULL (S14). After the columns of both sides
    comes one boolean for each side that may be absent, the left first: whether the row has that side.

    Args:
        condition: what must hold besides equal units, over the left columns, then the right ones; None for nothing.
    """

    left: Relation
    right: Relation
    kind: JoinKind = JoinKind.INNER
    condition: Term | None = None


@dataclass(frozen=True, slots=True)
class FirstRows:
    """The first `most` rows of each unit, in the order of all columns; rows that tie are equal (S20, S23)."""

    source: Relation
    most: int


@dataclass(frozen=True, slots=True)
class Semi:
    """The rows of `source` whose unit has a row in `other`, or has none if `negated` (IN, EXISTS, EXCEPT; S16).

    Args:
        condition: what must hold besides equal units, over the columns of `source`, then of `other`; None for nothing.
    """

    source: Relation
    other: Relation
    negated: bool = False
    condition: Term | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """The rows of `source`, each with one boolean more: whether its unit has a row in `other` (EXISTS in a term)."""

    source: Relation
    other: Relation
    condition: Term | None = None


@dataclass(frozen=True, slots=True)
class Project:
    """Terms of each row of `source`, in this order."""

    source: Relation
    terms: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Distinct:
    """The rows of `source`, equal ones of a unit once (DISTINCT, UNION, INTERSECT, EXCEPT; S18)."""

    source: Relation


@dataclass(frozen=True, slots=True)
class GroupPerson:
    """One row for each unit and each value of `keys`: the keys, then the aggregates (S14, S17)."""

    source: Relation
    keys: tuple[Term, ...]
    aggregates: tuple[PersonAggregate, ...]


@dataclass(frozen=True, slots=True)
class Window:
    """The rows of `source`, then one column for each function."""

    source: Relation
    functions: tuple[WindowFunction, ...]


@dataclass(frozen=True, slots=True)
class PublicTable:
    """A reference table of the room, by its content (S30): depends on nobody.

    Args:
        columns: those that are read, in this order.
        rows: how many rows it has.
        repeats: for each column how many rows have its commonest value, NULL not counted.
    """

    name: str
    digest: Digest
    columns: tuple[str, ...]
    rows: int
    repeats: tuple[int, ...]

    def chosen(self, places: Sequence[int]) -> PublicTable:
        """Return the table read for these of its columns."""
        columns, repeats = self.columns, self.repeats
        return replace(
            self,
            columns=tuple(columns[place] for place in places),
            repeats=tuple(repeats[place] for place in places),
        )


@dataclass(frozen=True, slots=True)
class JoinPublic:
    """Rows of `source` with the rows of a public table that fit: the source's columns, then the table's (S19).

    Args:
        outer: whether rows that nothing fits stay, once, with NULL.
        condition: over the source's columns, then the table's.
    """

    source: Relation
    table: PublicTable
    outer: bool
    condition: Term


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


Relation = (
    Scan | Select | Join | FirstRows | Semi | UnionAll | Persons | Mark | Project | Distinct | GroupPerson | Window
    | JoinPublic
)  # fmt: skip


def sources(relation: Relation) -> tuple[Relation, ...]:
    """Return the relations directly below one, from left to right."""
    match relation:
        case Scan():
            return ()
        case Join(left=left, right=right):
            return (left, right)
        case Semi(source=source, other=other) | Mark(source=source, other=other):
            return (source, other)
        case UnionAll(arms=arms):
            return tuple(arm.relation for arm in arms)
        case _:
            return (relation.source,)


def scans(relation: Relation) -> tuple[Scan, ...]:
    """Return the scans of `relation`, from left to right."""
    if isinstance(relation, Scan):
        return (relation,)
    return tuple(scan for below in sources(relation) for scan in scans(below))


def public_tables(relation: Relation) -> tuple[PublicTable, ...]:
    """Return the public tables that `relation` joins, from left to right."""
    below = tuple(table for each in sources(relation) for table in public_tables(each))
    return (*below, relation.table) if isinstance(relation, JoinPublic) else below


def column_count(relation: Relation) -> int:
    """Return how many columns a relation has, the unit not counted."""
    match relation:
        case Scan(columns=columns):
            return len(columns)
        case Select(columns=chosen):
            return len(chosen)
        case Project(terms=terms):
            return len(terms)
        case Join(left=left, right=right, kind=kind):
            return column_count(left) + column_count(right) + kind.keeps_left + kind.keeps_right
        case Semi(source=source) | FirstRows(source=source) | Distinct(source=source):
            return column_count(source)
        case Mark(source=source):
            return column_count(source) + 1
        case UnionAll(arms=arms):
            return column_count(arms[0].relation)
        case Persons():
            return 0
        case GroupPerson(keys=keys, aggregates=aggregates):
            return len(keys) + len(aggregates)
        case Window(source=source, functions=functions):
            return column_count(source) + len(functions)
        case JoinPublic(source=source, table=table):
            return column_count(source) + len(table.columns)
    assert_never(relation)


def size(relation: Relation) -> int:
    """Return how many relations one is made of, itself included."""
    return 1 + sum(size(each) for each in sources(relation))


def depth(relation: Relation) -> int:
    """Return how deep relations nest."""
    below = max((depth(each) for each in sources(relation)), default=0)
    return below + (2 if isinstance(relation, UnionAll) else 1)
