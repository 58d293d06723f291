"""What is computed within one person's rows: aggregates by person, windows over a person's rows (DESIGN §3).

Every printed GROUP BY and PARTITION BY of these contains the unit (S14). What depends on an order is extended by all
live columns as tie-breakers, so that it is a function of the person's set of rows and of nothing else (S20).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cleanroom.query.terms.language import Term


class PersonFunction(Enum):
    """An exact aggregate over rows of one person; NULL for no rows, but 0 for counts."""

    COUNT_ROWS = "count rows"
    COUNT = "count values"
    COUNT_DISTINCT = "count distinct values"
    SUM = "sum"
    AVERAGE = "average"
    """`sum * scale / count`, rounded to the nearest whole number, halves away from 0: one division (S20)."""
    LEAST = "min"
    GREATEST = "max"
    EVERY = "bool_and"
    SOME = "bool_or"
    FIRST = "first"
    LAST = "last"


@dataclass(frozen=True, slots=True)
class Ordering:
    """A term to order by."""

    term: Term
    descending: bool
    nulls_first: bool


@dataclass(frozen=True, slots=True)
class PersonAggregate:
    """An aggregate of a person's group of rows.

    Args:
        item: what is aggregated; None for COUNT_ROWS.
        where: only rows for which it is true; None for all.
        order: for FIRST and LAST; all columns of the relation follow as tie-breakers (S20).
        scale: for AVERAGE.
    """

    function: PersonFunction
    item: Term | None
    where: Term | None = None
    order: tuple[Ordering, ...] = ()
    scale: int = 1


class WindowName(Enum):
    """A window function over the rows of one person."""

    ROW_NUMBER = "row_number"
    RANK = "rank"
    DENSE_RANK = "dense_rank"
    LAG = "lag"
    LEAD = "lead"
    FIRST_VALUE = "first_value"
    LAST_VALUE = "last_value"
    NTH_VALUE = "nth_value"
    NTILE = "ntile"
    AGGREGATE = "aggregate"


class FrameUnit(Enum):
    """How a frame counts: in rows, or in peers of the order (RANGE needs no tie-breakers, S20)."""

    ROWS = "ROWS"
    RANGE = "RANGE"


@dataclass(frozen=True, slots=True)
class Frame:
    """Which rows of the partition a window function looks at.

    Args:
        start: rows before (negative) or after the current one; None for the partition's first. Of RANGE: how far from
            the current row's value, in codes of the one term of the order; 0 is its peers.
        end: likewise; None for the partition's last.
    """

    unit: FrameUnit
    start: int | None
    end: int | None


@dataclass(frozen=True, slots=True)
class WindowFunction:
    """A window function; its partition is the unit and these terms.

    Args:
        item: what is looked at; None for row numbers and ranks.
        aggregate: for AGGREGATE: what is computed over the frame.
        offset: for LAG and LEAD, a constant from 0; for NTH_VALUE and NTILE, their number, from 1.
        order: ROW_NUMBER, LAG, LEAD, FIRST_VALUE, LAST_VALUE and ROWS frames get all columns as tie-breakers.
    """

    name: WindowName
    item: Term | None
    partition: tuple[Term, ...]
    order: tuple[Ordering, ...]
    frame: Frame | None = None
    aggregate: PersonAggregate | None = None
    offset: int = 1
