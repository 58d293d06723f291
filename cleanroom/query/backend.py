"""What runs a plan's relation: slices of the room, each as a stream of rows ordered by person.

A room is a sum of slices. Tokens are uniform and files are sorted by token, so the tokens whose first `bits` bits are
`prefix` form one slice; every relation of the algebra keeps a person's rows together and looks at no other person,
hence the exact vector of the room is the sum of the slices' vectors (DESIGN §3).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol, Self

import numpy as np

from cleanroom.partition.codes import values_from

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy.typing as npt

    from cleanroom.query.algebra import Relation

    Int64s = npt.NDArray[np.int64]

DEFAULT_MEMORY: Final = 2 << 30
"""Bytes that a question is given where nobody says otherwise."""

BYTES_PER_ROW: Final = 2048
"""Of the memory given, for each row of a slice: its columns decoded, as codes, and as engine or merge copy them; and
once more, since the next slice is read meanwhile."""

ROWS_PER_SLICE: Final = DEFAULT_MEMORY // BYTES_PER_ROW
"""Rows of all tables that one slice aims at by default: tens of megabytes decoded, so that memory is two slices'."""

MOST_SLICE_BITS: Final = 12


FINEST_SLICE_BITS: Final = 32


class SliceTooLarge(Exception):
    """The rows of a slice do not fit in the memory allowed."""


@dataclass(frozen=True, slots=True)
class Slice:
    """The persons whose token's first `bits` bits, as a number, are `prefix`."""

    bits: int
    prefix: int

    def halves(self) -> tuple[Slice, Slice]:
        """Return the two slices that this one is made of; `SliceTooLarge` when it is the finest."""
        if self.bits >= FINEST_SLICE_BITS:
            raise SliceTooLarge
        return Slice(self.bits + 1, 2 * self.prefix), Slice(self.bits + 1, 2 * self.prefix + 1)


def slices_for(rows: int, memory: int = DEFAULT_MEMORY) -> Iterator[Slice]:
    """Yield the slices of a room whose tables of the plan have `rows` rows together.

    Args:
        memory: bytes that the question is given.
    """
    bits = min(MOST_SLICE_BITS, max(0, (rows - 1) // max(1, memory // BYTES_PER_ROW)).bit_length())
    for prefix in range(1 << bits):
        yield Slice(bits, prefix)


@dataclass(frozen=True, slots=True)
class Codes:
    """One column of a stream: its values, and where they are not NULL.

    Args:
        codes: whole numbers of any width, one a row; what stands where `present` is False means nothing.
        present: one a row.
        first: the value whose code is 0.
    """

    codes: npt.NDArray[np.integer]
    present: npt.NDArray[np.bool_]
    first: int = 0

    @property
    def values(self) -> Int64s:
        """The values, one a row, made anew each time if codes are narrow."""
        return values_from(self.codes, self.first)


@dataclass(frozen=True, slots=True)
class PersonRows:
    """The rows of one slice of a relation, ordered by person.

    Args:
        persons: a number that stands for each person within this slice, increasing.
        starts: where each person's rows begin, and at last how many rows there are; increasing, shape (persons + 1,).
        columns: the relation's columns that were asked for, by position.
        words: for each column of text its different values in this slice; the codes are indices.
    """

    persons: Int64s
    starts: Int64s
    columns: Mapping[int, Codes]
    words: Mapping[int, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of_rows(
        cls, units: Int64s, columns: Mapping[int, Codes], words: Mapping[int, tuple[str, ...]] | None = None
    ) -> Self:
        """Return rows whose persons are numbered row by row; a person who comes back is there twice, out of order."""
        begins = np.ones(len(units), dtype=np.bool_)
        begins[1:] = units[1:] != units[:-1]
        first = np.flatnonzero(begins)
        return cls(units[first], np.append(first, len(units)), columns, words or {})

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return int(self.starts[-1])

    @property
    def units(self) -> Int64s:
        """The number of each row's person."""
        return np.repeat(self.persons, np.diff(self.starts))


class Backend(Protocol):
    """Streams a relation, slice by slice."""

    def slices(self) -> Iterator[Slice]:
        """Yield slices that together hold every person once."""
        ...

    def rows(self, relation: Relation, columns: tuple[int, ...], part: Slice) -> PersonRows:
        """Return the rows of `relation` in one slice, ordered by person, with these of its columns.

        Raises:
            SliceTooLarge: it does not fit in memory; its halves may.
        """
        ...
