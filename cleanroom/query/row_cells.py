"""Where a row counts: its cell in each grouping set, by its public keys and the unknown keys that were released."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

import numpy as np
from numba import njit

from cleanroom.query.cells import GroupingSets, SurvivingKeys, public_keys, set_sizes, unknown_keys
from cleanroom.query.statistics import (
    CategoryKey,
    Key,
    ListedKey,
    MonthKey,
    NumberKey,
    PublicKey,
    Shown,
    UnknownKey,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    from cleanroom.query.backend import Codes, PersonRows

    Int64s = npt.NDArray[np.int64]
    Cells = npt.NDArray[np.integer]


def cells_of_rows(
    keys: tuple[Key, ...], sets: GroupingSets, rows: PersonRows, surviving: SurvivingKeys | None
) -> Cells:
    """Return each row's cell in each grouping set, or -1 or no cell at all where it has none; shape (sets, rows).

    Without keys all rows share a cell, and the shape is (sets, 1). The cells may be a column of `rows` itself, and as
    narrow: `to_write` is for who writes to them.
    """
    if not any(sets):
        return np.arange(len(sets), dtype=np.int64).reshape(len(sets), 1)
    if surviving is None and len(keys) == 1 and tuple(sets) == ((0,),):
        (key,) = keys
        # Codes that are all there, of a key that is never NULL, are cells already; one beyond the domain is no cell.
        column = rows.columns[key.column]
        if isinstance(key, CategoryKey) and not key.nullable and not column.first and column.present.all():
            narrow = column.codes if column.codes.dtype == np.uint8 else column.values
            return narrow.reshape(1, rows.rows)
    cells = np.empty((len(sets), rows.rows), dtype=np.int64)
    start = 0
    for number, (chosen, size) in enumerate(zip(sets, set_sizes(keys, sets), strict=True)):
        mine = tuple(keys[at] for at in chosen)
        within = cells[number]
        _fill_cells(public_keys(mine), rows, within)
        if surviving is not None:
            block = surviving_numbers(unknown_keys(mine), rows, surviving)
            within[:] = np.where((within < 0) | (block < 0), -1, block * size + within)
        if start:
            within[within >= 0] += start
        start += size
    return cells


def to_write(cells: Cells) -> Int64s:
    """Return cells in an array that may be written to; whoever writes has done with the column that it may be."""
    return np.require(cells, np.int64, ["C", "W"])


def every_row(cells: Cells, rows: int) -> Int64s:
    """Return the cells of every one of so many rows, also where all share one."""
    return to_write(cells if cells.shape[1] == rows else np.repeat(cells, rows, axis=1))


def cell_numbers(keys: tuple[PublicKey, ...], rows: PersonRows) -> Int64s:
    """Return each row's cell of public keys, or -1 outside the declared domain (dropped silently, S25)."""
    cells = np.empty(rows.rows, dtype=np.int64)
    _fill_cells(keys, rows, cells)
    return cells


def _fill_cells(keys: tuple[PublicKey, ...], rows: PersonRows, cells: Int64s) -> None:
    """Write what `cell_numbers` returns."""
    if not keys:
        cells[:] = 0
    for place, key in enumerate(keys):
        column = rows.columns[key.column]
        null = key.size - 1 if key.nullable else -1
        codes = _key_codes(key, column)
        _next_key(cells, place == 0, codes, column.present, key.size, null, key.size - key.nullable)


@njit(cache=True, nogil=True)
def _next_key(cells, first, codes, present, size, null, values):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Multiply and add, in place; once outside, always outside.

    Args:
        first: whether there is no key before, and `cells` holds anything.
        null: NULL's place among the key's values, or -1 if a row without the key has no cell.
        values: how many values the key has, NULL not counted.
    """
    for row in range(cells.shape[0]):
        code = null
        if present[row]:
            code = codes[row]
            if code >= values:
                code = -1
        before = 0 if first else cells[row]
        cells[row] = -1 if before < 0 or code < 0 else before * size + code


def _key_codes(key: PublicKey, column: Codes) -> Int64s:
    """Return each value's place among the key's values; below 0 or beyond where it has none."""
    match key:
        case CategoryKey():
            return column.values
        case NumberKey(lower=lower):
            return column.values - lower
        case MonthKey(first=first):
            # One conversion for each day of the range that occurs, not for each row.
            days = np.where(column.present, column.values, _first_day(first))
            least, most = (int(days.min()), int(days.max())) if len(days) else (0, 0)
            calendar = np.arange(least, most + 1).astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
            months: Int64s = (calendar - first)[days - least]
            return months
        case ListedKey(codes=codes):
            listed = np.array(codes, dtype=np.int64)
            if not len(listed):
                return np.full(len(column.values), -1, dtype=np.int64)
            places = np.searchsorted(listed, column.values)
            return np.where(listed[np.minimum(places, len(listed) - 1)] == column.values, places, -1)
    assert_never(key)


def _first_day(month: int) -> int:
    """Return the first day of a month, both counted from 1970-01."""
    return int(np.datetime64(month, "M").astype("datetime64[D]").astype(np.int64))


def surviving_numbers(keys: tuple[UnknownKey, ...], rows: PersonRows, surviving: SurvivingKeys) -> Int64s:
    """Return each row's place among the surviving combinations, or -1.

    After each key the combinations so far are numbered by those that survive, so that a number is below
    `surviving.size` and its product with one key's values far below 63 bits, however many keys there are.
    """
    if not surviving.size:
        return np.full(rows.rows, -1, dtype=np.int64)
    combined = np.zeros(rows.rows, dtype=np.int64)
    listed = np.zeros(surviving.size, dtype=np.int64)
    outside = np.zeros(rows.rows, dtype=np.bool_)
    for key, values in zip(keys, surviving.columns, strict=True):
        known = list(dict.fromkeys(value for value in values if value is not None))
        places: dict[str | int | None, int] = {value: place for place, value in enumerate([*known, None])}
        column = rows.columns[key.column]
        if key.shown is Shown.TEXT:
            # One look-up for each different text of the slice, not for each row.
            at = np.array([places.get(word, -1) for word in rows.words[key.column]], dtype=np.int64)
            mine = at[np.where(column.present, column.values, 0)] if len(at) else np.full(len(outside), -1)
        else:
            codes = np.array(known, dtype=np.int64)
            order = np.argsort(codes)
            near = np.minimum(np.searchsorted(codes[order], column.values), max(len(codes) - 1, 0))
            mine = np.where(codes[order][near] == column.values, order[near], -1) if len(codes) else 0 * near - 1
        mine = np.where(column.present, mine, len(known) if key.nullable else -1)
        outside |= mine < 0
        combined = combined * (len(known) + 1) + mine
        listed = listed * (len(known) + 1) + np.array([places[value] for value in values], dtype=np.int64)
        occurring, listed = np.unique(listed, return_inverse=True)
        near = np.minimum(np.searchsorted(occurring, combined), len(occurring) - 1)
        outside |= occurring[near] != combined
        combined = np.where(outside, 0, near)
    return np.where(outside, -1, np.argsort(listed)[combined])
