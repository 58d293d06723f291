"""Relations that depend on nobody: released tables, reference tables, and what SQL makes of them.

Everything here is a function of noised numbers and public tables, so it costs nothing (DESIGN §3). Terms are typed, and
none can fail on any value: division by zero and roots of negative numbers are NULL.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, assert_never

if TYPE_CHECKING:
    from cleanroom.query.algebra import PublicTable


class Kind(Enum):
    """What a public value is, as the engine holds it."""

    NUMBER = "DOUBLE"
    TEXT = "VARCHAR"
    DATE = "DATE"
    TRUTH = "BOOLEAN"

    @property
    def words(self) -> tuple[str, str]:
        """Say it in French and English."""
        return {
            Kind.NUMBER: ("un nombre", "a number"),
            Kind.TEXT: ("un texte", "a text"),
            Kind.DATE: ("une date", "a date"),
            Kind.TRUTH: ("un booléen", "a boolean"),
        }[self]


Behind = frozenset[tuple[int, int]]
"""The released statistics that a number is made of: release, and place among its outputs."""


@dataclass(frozen=True, slots=True)
class PublicColumn:
    """A column of a public relation.

    Args:
        name: folded; "" if it cannot be named.
        label: as written, for the answer.
        behind: the noised statistics behind it; none for keys and public values.
    """

    name: str
    label: str
    kind: Kind
    behind: Behind = frozenset()


@dataclass(frozen=True, slots=True)
class Ref:
    """Column number `index` of the relation."""

    index: int


@dataclass(frozen=True, slots=True)
class Value:
    """A constant; None is NULL of the kind that its place asks for."""

    value: bool | Decimal | str | date | None
    kind: Kind


class Op(Enum):
    """A function of public values; the comment names its arguments' kinds."""

    ADD = "+"
    SUBTRACT = "-"
    MULTIPLY = "*"
    DIVIDE = "/"
    REMAINDER = "%"
    NEGATE = "neg"
    ABS = "abs"
    ROUND = "round"
    FLOOR = "floor"
    CEIL = "ceil"
    SQRT = "sqrt"
    LEAST = "least"
    GREATEST = "greatest"
    COALESCE = "coalesce"
    EQUAL = "="
    LESS = "<"
    LESS_OR_EQUAL = "<="
    AND = "and"
    OR = "or"
    NOT = "not"
    IS_NULL = "is null"
    LIKE = "like"
    LOWER = "lower"
    UPPER = "upper"
    CONCAT = "||"
    ILIKE = "ilike"
    TRIM = "trim"
    LENGTH = "length"
    LEFT = "left"
    RIGHT = "right"
    SIGN = "sign"
    TRUNC = "trunc"
    LN = "ln"
    LOG10 = "log10"
    EXP = "exp"
    WHOLE_DIVIDE = "//"
    YEAR = "year"
    MONTH = "month"
    QUARTER = "quarter"
    DAY = "day"
    DAY_OF_WEEK = "dayofweek"
    ISO_DAY_OF_WEEK = "isodow"
    WEEK = "week"
    DAY_OF_YEAR = "dayofyear"
    STRFTIME = "strftime"


@dataclass(frozen=True, slots=True)
class Call:
    """A function of terms.

    Args:
        kind: of the result.
        behind: the noised statistics behind it.
        apart: whether its arguments have no noised statistic in common, so that their noise is independent.
    """

    op: Op
    arguments: tuple[PublicTerm, ...]
    kind: Kind
    behind: Behind
    apart: bool = True


@dataclass(frozen=True, slots=True)
class Case:
    """The value beside the first condition that is true."""

    branches: tuple[tuple[PublicTerm, PublicTerm], ...]
    otherwise: PublicTerm
    kind: Kind
    behind: Behind


class Fold(Enum):
    """An aggregate over public rows."""

    COUNT = "count"
    SUM = "sum"
    AVG = "avg"
    MIN = "min"
    MAX = "max"
    MEDIAN = "median"
    STDDEV_SAMP = "stddev_samp"
    STDDEV_POP = "stddev_pop"
    VAR_SAMP = "var_samp"
    VAR_POP = "var_pop"
    COUNT_IF = "count_if"
    EVERY = "bool_and"
    SOME = "bool_or"


@dataclass(frozen=True, slots=True)
class Folded:
    """An aggregate over public rows, or over a window of them.

    Args:
        item: None for COUNT(*).
        once: whether each row holds another cell's noise, so that the noise of a sum adds up in squares.
    """

    fold: Fold
    item: PublicTerm | None
    where: PublicTerm | None
    kind: Kind
    behind: Behind
    once: bool
    window: PublicWindow | None = None
    distinct: bool = False


class Ranking(Enum):
    """A window function that looks at no value, or at one of another row."""

    ROW_NUMBER = "row_number"
    RANK = "rank"
    DENSE_RANK = "dense_rank"
    PERCENT_RANK = "percent_rank"
    CUME_DIST = "cume_dist"
    NTILE = "ntile"
    LAG = "lag"
    LEAD = "lead"
    FIRST_VALUE = "first_value"
    LAST_VALUE = "last_value"
    NTH_VALUE = "nth_value"


@dataclass(frozen=True, slots=True)
class Ranked:
    """A window function over public rows.

    Args:
        offset: for LAG and LEAD how many rows away, for NTH_VALUE which row, for NTILE how many parts.
        default: for LAG and LEAD what stands for a row that there is not; None for NULL.
    """

    ranking: Ranking
    item: PublicTerm | None
    offset: int
    kind: Kind
    behind: Behind
    window: PublicWindow
    default: PublicTerm | None = None


@dataclass(frozen=True, slots=True)
class PublicFrame:
    """A frame's ends: rows before (negative) or after the current one, None for the partition's end.

    Args:
        peers: whether it is RANGE: then 0 is the current row's peers, and there is no other number.
    """

    peers: bool
    start: int | None
    end: int | None


@dataclass(frozen=True, slots=True)
class PublicWindow:
    """The rows that a window function looks at."""

    partition: tuple[PublicTerm, ...]
    order: tuple[PublicOrder, ...]
    frame: PublicFrame | None = None


@dataclass(frozen=True, slots=True)
class PublicOrder:
    """A term to order by."""

    term: PublicTerm
    descending: bool
    nulls_first: bool


PublicTerm = Ref | Value | Call | Case | Folded | Ranked


def parts(term: PublicTerm) -> tuple[PublicTerm, ...]:
    """Return the terms directly inside a term."""
    match term:
        case Ref() | Value():
            return ()
        case Call(arguments=arguments):
            return arguments
        case Case(branches=branches, otherwise=otherwise):
            return (*(each for branch in branches for each in branch), otherwise)
        case Folded(item=item, where=where, window=window):
            return (*(each for each in (item, where) if each is not None), *_of_window(window))
        case Ranked(item=item, window=window, default=default):
            return (*(each for each in (item, default) if each is not None), *_of_window(window))
    assert_never(term)


def _of_window(window: PublicWindow | None) -> tuple[PublicTerm, ...]:
    return (*window.partition, *(each.term for each in window.order)) if window is not None else ()


@dataclass(frozen=True, slots=True)
class ReleaseTable:
    """The released, noised table of release number `release` of the question, its outputs in order."""

    release: int
    columns: tuple[PublicColumn, ...]


@dataclass(frozen=True, slots=True)
class ReferenceRows:
    """The rows of a public table of the room (S30)."""

    table: PublicTable
    columns: tuple[PublicColumn, ...]


class PublicJoinKind(Enum):
    """How public relations are joined."""

    INNER = "INNER"
    LEFT = "LEFT"
    RIGHT = "RIGHT"
    FULL = "FULL"


@dataclass(frozen=True, slots=True)
class PublicJoin:
    """Pairs of public rows: the left columns, then the right ones."""

    left: PublicRelation
    right: PublicRelation
    kind: PublicJoinKind
    condition: PublicTerm
    columns: tuple[PublicColumn, ...]


@dataclass(frozen=True, slots=True)
class PublicSelect:
    """A SELECT over a public relation.

    Args:
        groups: keys of GROUP BY; None for no grouping, () for one group.
        having: a condition on groups.
        outputs: what each column is.
        order: over the source's columns; of DISTINCT rows, over the outputs.
    """

    source: PublicRelation
    where: PublicTerm | None
    groups: tuple[Ref, ...] | None
    having: PublicTerm | None
    outputs: tuple[PublicTerm, ...]
    columns: tuple[PublicColumn, ...]
    distinct: bool = False
    order: tuple[PublicOrder, ...] = ()
    limit: int | None = None
    offset: int = 0


class PublicSetKind(Enum):
    """How public rows are put together."""

    UNION_ALL = "UNION ALL"
    UNION = "UNION"
    INTERSECT = "INTERSECT"
    EXCEPT = "EXCEPT"


@dataclass(frozen=True, slots=True)
class PublicSet:
    """A set operation over public relations."""

    kind: PublicSetKind
    arms: tuple[PublicRelation, ...]
    columns: tuple[PublicColumn, ...]


PublicRelation = ReleaseTable | ReferenceRows | PublicJoin | PublicSelect | PublicSet


def reference_tables(relation: PublicRelation) -> tuple[PublicTable, ...]:
    """Return the public tables that a relation reads, from left to right."""
    match relation:
        case ReleaseTable():
            return ()
        case ReferenceRows(table=table):
            return (table,)
        case PublicJoin(left=left, right=right):
            return (*reference_tables(left), *reference_tables(right))
        case PublicSelect(source=source):
            return reference_tables(source)
        case PublicSet(arms=arms):
            return tuple(table for arm in arms for table in reference_tables(arm))
    assert_never(relation)


def chosen_columns(relation: PublicRelation) -> tuple[tuple[str, int], ...] | None:
    """Return label and place of each column where a relation is a released table's columns and nothing more."""
    match relation:
        case ReleaseTable(columns=columns):
            return tuple((column.label, place) for place, column in enumerate(columns))
        case PublicSelect(source=source) if (
            (relation.where, relation.groups, relation.having) == (None, None, None)
            and not (relation.distinct or relation.order or relation.offset)
            and relation.limit is None
        ):
            below = chosen_columns(source)
            places = [term.index for term in relation.outputs if isinstance(term, Ref)]
            if below is None or len(places) != len(relation.outputs):
                return None
            return tuple(
                (column.label, below[place][1]) for column, place in zip(relation.columns, places, strict=True)
            )
    return None
