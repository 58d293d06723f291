"""Gather what a slice's statistics add up: each column once, as narrow as it lies if it is the only one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from cleanroom.storage.token_runs import rows_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from cleanroom.query.backend import PersonRows
    from cleanroom.query.bound import Component

    Int64s = npt.NDArray[np.int64]

Measure = tuple[int, int | None, int | None]
"""A column that is added up, and the bounds that its values are brought within first."""

_ANY: Final = (-(1 << 63), (1 << 63) - 1)
"""Bounds of a column of which only NULLs matter."""


@dataclass(frozen=True, slots=True)
class Measures:
    """What is added up.

    Args:
        measured: the columns.
        codes: of each, how far its values are above a first one; shape (measures, rows).
        present: where they are not NULL, likewise.
        complete: whether they nowhere are; shape (measures,).
        limits: the bounds that values are brought within, and the first value; shape (measures, 3).
    """

    measured: list[Measure]
    codes: npt.NDArray[np.integer]
    present: npt.NDArray[np.bool_]
    complete: npt.NDArray[np.bool_]
    limits: Int64s

    def of_persons(self, persons: Int64s, starts: Int64s) -> Measures:
        """Return the same of the rows of some persons; nothing of them is NULL.

        Args:
            starts: where each person's rows begin, and at last how many there are.
        """
        codes = rows_of(persons, starts, self.codes)
        return replace(self, codes=codes, present=np.ones(codes.shape, dtype=np.bool_))

    def values(self) -> Int64s:
        """Return the values; shape (measures, rows)."""
        values = self.codes.astype(np.int64, order="C", copy=False)
        return values + self.limits[:, 2:] if self.limits[:, 2].any() else values

    def place(self, component: Component) -> int:
        """Return which measure a component adds up; -1 for rows."""
        if component.column is None:
            return -1
        exact = (component.column, component.least, component.most)
        return next(
            place
            for place, each in enumerate(self.measured)
            if each == exact or (component.least is None and each[0] == component.column)
        )


def measures_of(components: tuple[Component, ...], rows: PersonRows) -> Measures:
    """Return what the components of a release add up of some rows."""
    found = [(part.column, part.least, part.most) for part in components if part.column is not None]
    # Where only NULLs matter, any bounds do.
    measured = list(dict.fromkeys(sorted(found, key=lambda each: each[1] is None)))
    bounded = {column for column, least, _ in measured if least is not None}
    measured = [each for each in measured if each[1] is not None or each[0] not in bounded]
    columns = [rows.columns[column] for column, _, _ in measured]
    limits = [_ANY if least is None or most is None else (least, most) for _, least, most in measured]
    present = _stacked([column.present for column in columns], rows.rows, np.bool_)
    # One alone is looked at as it lies.
    lone = len(columns) == 1 and columns[0].codes.dtype.kind == "u"
    firsts = [column.first if lone else 0 for column in columns]
    return Measures(
        measured,
        columns[0].codes.reshape(1, rows.rows) if lone else _stacked([c.values for c in columns], rows.rows, np.int64),
        present,
        np.asarray(present.all(axis=1), dtype=np.bool_),
        np.array([(*each, first) for each, first in zip(limits, firsts, strict=True)], dtype=np.int64).reshape(-1, 3),
    )


def _stacked(columns: list[npt.NDArray[Any]], rows: int, kind: type[np.generic]) -> npt.NDArray[Any]:
    """Return columns as the rows of one array; a single one as it lies."""
    if len(columns) == 1:
        return np.ascontiguousarray(columns[0], dtype=kind).reshape(1, rows)
    return np.array(columns, dtype=kind).reshape(len(columns), rows)
