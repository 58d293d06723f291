"""Answer a relation by merging runs of rows that are sorted by person, without an SQL engine.

Scans, filters on codes, unions, joins, semi- and anti-joins on the person, and DISTINCT persons need nothing but one
pass over sorted rows; most questions of a room are of these. What is not among them goes to the engine whole. Each step
here looks at one row, or at the rows of one person, so the relations stay personal, as the engine's are; bounds are
applied later, to whatever comes (`query.contribution`). Tests hold both ways equal on the same rooms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numba import njit

from cleanroom.errors import InvariantBroken
from cleanroom.query import algebra
from cleanroom.query.algebra import Truth
from cleanroom.query.backend import Codes, PersonRows, SliceTooLarge
from cleanroom.query.filtering import decides, plain, where
from cleanroom.query.pairing import first_of_each, pairs
from cleanroom.query.terms.language import Column, Integer
from cleanroom.storage.scan import CodeColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from cleanroom.query.numbered import NumberedTable
    from cleanroom.query.terms.language import Term

    Int64s = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]


_MOST_ROWS: Final = (1 << 31) - 1
"""Rows that are numbered in 32 bits; memory ends long before."""


@dataclass(frozen=True, slots=True)
class Runs:
    """Rows sorted by person.

    Args:
        ranks: the persons' numbers, increasing; each has at least one row.
        starts: where each person's rows begin, and at last how many rows there are; shape (persons + 1,).
        columns: one code a row each.
    """

    ranks: Int64s
    starts: Int64s
    columns: tuple[CodeColumn, ...]

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return int(self.starts[-1])

    def of_rows(self, of_persons: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        """Return for each row what `of_persons` has for its person."""
        return np.repeat(of_persons, np.diff(self.starts))


def merges(relation: algebra.Relation, is_text: Callable[[algebra.Scan, str], bool]) -> bool:
    """Return whether a relation is among those that are answered here."""
    match relation:
        case algebra.Scan(columns=columns):
            return not any(is_text(relation, name) for name in columns)
        case algebra.Select(source=source, predicate=predicate):
            return decides(predicate) and merges(source, is_text)
        case algebra.Project(source=source, terms=terms):
            return all(plain(term) for term in terms) and merges(source, is_text)
        case algebra.Join(left=left, right=right, kind=algebra.JoinKind.INNER, condition=None):
            return merges(left, is_text) and merges(right, is_text)
        case algebra.FirstRows(source=source):
            return merges(source, is_text)
        case (
            algebra.Semi(source=source, other=other, condition=condition)
            | algebra.Mark(source=source, other=other, condition=condition)
        ):
            return condition is None and merges(source, is_text) and merges(other, is_text)
        case algebra.Persons(source=source):
            return merges(source, is_text)
        case algebra.UnionAll(arms=arms):
            return all(merges(arm.relation, is_text) for arm in arms)
        case _:
            return False


def person_rows(
    relation: algebra.Relation, columns: tuple[int, ...], tables: Mapping[algebra.Scan, NumberedTable]
) -> PersonRows:
    """Return the rows of a relation, ordered by person, with these of its columns.

    Args:
        tables: its scans, in one slice.
    """
    found = runs(relation, tables)
    everywhere = np.ones(found.rows, dtype=np.bool_)
    read = {}
    for place in columns:
        column = found.columns[place]
        read[place] = Codes(column.codes, everywhere if column.present is None else column.present, column.first)
    return PersonRows(found.ranks, found.starts, read)


def runs(relation: algebra.Relation, tables: Mapping[algebra.Scan, NumberedTable]) -> Runs:
    """Return the rows of a relation that `merges` accepts."""
    match relation:
        case algebra.Scan():
            table = tables[relation]
            return Runs(table.ranks, table.scanned.starts, tuple(table.scanned.columns.values()))
        case algebra.Select(source=source, predicate=predicate, columns=chosen):
            found = runs(source, tables)
            wanted = tuple(found.columns[place] for place in chosen)
            if predicate is Truth.TRUE:
                return Runs(found.ranks, found.starts, wanted)
            return _kept(Runs(found.ranks, found.starts, wanted), where(predicate, found.columns, found.rows))
        case algebra.Project(source=source, terms=terms):
            found = runs(source, tables)
            return Runs(found.ranks, found.starts, tuple(_projected(term, found) for term in terms))
        case algebra.Join(left=left, right=right):
            found = runs(left, tables)
            # A table joined with itself is read once.
            other_side = found if left == right else runs(right, tables)
            met_rows = pairs(found.ranks, found.starts, other_side.ranks, other_side.starts)
            columns = [column.take(met_rows.left) for column in found.columns]
            columns += [column.take(met_rows.right) for column in other_side.columns]
            return Runs(met_rows.ranks, met_rows.starts, tuple(columns))
        case algebra.FirstRows(source=source, most=most):
            found = runs(source, tables)
            first = first_of_each(found.starts, found.columns, most)
            if first is None:
                return found
            return Runs(found.ranks, first[1], tuple(column.take(first[0]) for column in found.columns))
        case algebra.Semi(source=source, other=other, negated=negated):
            found, met = runs(source, tables), runs(other, tables).ranks
            return _of_persons(found, _among(found.ranks, met) != negated)
        case algebra.Mark(source=source, other=other):
            found, met = runs(source, tables), runs(other, tables).ranks
            mark = found.of_rows(_among(found.ranks, met)).astype(np.int64)
            return Runs(found.ranks, found.starts, (*found.columns, CodeColumn(mark, None)))
        case algebra.Persons(source=source):
            found = runs(source, tables)
            return Runs(found.ranks, np.arange(len(found.ranks) + 1), ())
        case algebra.UnionAll(arms=arms):
            return _united([_recoded(runs(arm.relation, tables), arm) for arm in arms])
        case _:
            raise InvariantBroken("this relation is for the engine")


def _projected(term: Term, rows: Runs) -> CodeColumn:
    match term:
        case Column(index=index):
            return rows.columns[index]
        case Integer(value=value):
            return CodeColumn(np.full(rows.rows, value, dtype=np.int64), None)
        case _:
            raise InvariantBroken("this term is for the engine")


def _kept(rows: Runs, mask: Bools) -> Runs:
    """Return the rows of a mask; persons who keep none are gone."""
    if len(mask) >= _MOST_ROWS:
        raise SliceTooLarge
    ranks, starts, kept = _kept_runs(rows.ranks, rows.starts, mask)
    return Runs(ranks, starts, tuple(column.take(kept) for column in rows.columns))


def _of_persons(rows: Runs, chosen: Bools) -> Runs:
    """Return the rows of the persons chosen."""
    lengths = np.diff(rows.starts)[chosen]
    mask = np.asarray(rows.of_rows(chosen), dtype=np.bool_) if rows.columns else chosen
    starts = np.concatenate(([0], np.cumsum(lengths)))
    return Runs(rows.ranks[chosen], starts, _rows_of(rows.columns, mask))


def _rows_of(columns: tuple[CodeColumn, ...], mask: Bools) -> tuple[CodeColumn, ...]:
    if not columns:
        return ()
    kept = np.flatnonzero(mask)
    return tuple(column.take(kept) for column in columns)


def _recoded(rows: Runs, arm: algebra.Arm) -> Runs:
    """Return an arm's rows in the union's codes."""
    columns = (
        column if recode is None else CodeColumn(np.array(recode, dtype=np.int64)[column.values], column.present)
        for column, recode in zip(rows.columns, arm.recodes, strict=True)
    )
    return Runs(rows.ranks, rows.starts, tuple(columns))


def _united(arms: Sequence[Runs]) -> Runs:
    """Return the rows of all arms, each person's together."""
    shift = np.cumsum([0, *(arm.rows for arm in arms[:-1])])
    ranks = np.concatenate([arm.ranks for arm in arms])
    lengths = np.concatenate([np.diff(arm.starts) for arm in arms])
    begins = np.concatenate([arm.starts[:-1] + low for arm, low in zip(arms, shift, strict=True)])
    # Timsort merges lists that are sorted already.
    order = np.argsort(ranks, kind="stable")
    ranks, lengths, begins = ranks[order], lengths[order], begins[order]
    first = np.flatnonzero(np.diff(ranks, prepend=-1))
    starts = np.concatenate(([0], np.cumsum(lengths)))
    rows = _rows_in_turn(begins, lengths, int(starts[-1])) if arms[0].columns else None
    columns = []
    for place in range(len(arms[0].columns)):
        mine = [arm.columns[place] for arm in arms]
        values = np.concatenate([column.values for column in mine])
        present = None
        if any(column.present is not None for column in mine):
            present = np.concatenate(
                [np.ones(len(each.values), np.bool_) if each.present is None else each.present for each in mine]
            )
        columns.append(CodeColumn(values, present) if rows is None else CodeColumn(values, present).take(rows))
    return Runs(ranks[first], np.append(starts[first], starts[-1]), tuple(columns))


@njit(cache=True, nogil=True)
def _among(ranks, met):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return which of some increasing ranks occur in another increasing list."""
    found = np.zeros(ranks.shape[0], dtype=np.bool_)
    place = 0
    for person in range(ranks.shape[0]):
        while place < met.shape[0] and met[place] < ranks[person]:
            place += 1
        found[person] = place < met.shape[0] and met[place] == ranks[person]
    return found


@njit(cache=True, nogil=True)
def _kept_runs(ranks, starts, mask):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return the persons with rows in the mask, where these begin, and the rows."""
    upto = np.empty(mask.shape[0] + 1, dtype=np.int32)
    rows = np.empty(mask.shape[0] + 1, dtype=np.int32)
    found = np.int32(0)
    # No branch, and below no loop over each person's rows: whose end where is what no processor can guess.
    for row in range(mask.shape[0]):
        upto[row] = found
        rows[found] = row
        found += np.int32(mask[row])
    upto[mask.shape[0]] = found
    kept = np.empty(ranks.shape[0] + 1, dtype=np.int64)
    begins = np.empty(ranks.shape[0] + 1, dtype=np.int64)
    persons = np.int64(0)
    for person in range(ranks.shape[0]):
        before, after = upto[starts[person]], upto[starts[person + 1]]
        kept[persons] = ranks[person]
        begins[persons] = before
        persons += np.int64(after > before)
    begins[persons] = found
    return kept[:persons].copy(), begins[: persons + 1].copy(), rows[:found].copy()


@njit(cache=True, nogil=True)
def _rows_in_turn(begins, lengths, rows):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return the rows of runs, one run after another."""
    order = np.empty(rows, dtype=np.int64)
    place = 0
    for run in range(begins.shape[0]):
        for row in range(begins[run], begins[run] + lengths[run]):
            order[place] = row
            place += 1
    return order
