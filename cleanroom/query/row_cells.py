"""Where a row counts: its cell in each grouping set, by its public keys and the unknown keys that were released."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

import numpy as np

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
    Bools = npt.NDArray[np.bool_]


def cells_of_rows(
    keys: tuple[Key, ...], sets: GroupingSets, rows: PersonRows, surviving: SurvivingKeys | None
) -> Int64s:
    """Return each row's cell in each grouping set, or -1 where it has none; shape (sets, rows)."""
    cells = np.empty((len(sets), len(rows.units)), dtype=np.int64)
    start = 0
    for number, (chosen, size) in enumerate(zip(sets, set_sizes(keys, sets), strict=True)):
        mine = tuple(keys[at] for at in chosen)
        within = cell_numbers(public_keys(mine), rows)
        if surviving is not None:
            block = surviving_numbers(unknown_keys(mine), rows, surviving)
            within = np.where((within < 0) | (block < 0), -1, block * size + within)
        cells[number] = np.where(within < 0, -1, within + start)
        start += size
    return cells


def cell_numbers(keys: tuple[PublicKey, ...], rows: PersonRows) -> Int64s:
    """Return each row's cell of public keys, or -1 outside the declared domain (dropped silently, S25)."""
    cells = np.zeros(len(rows.units), dtype=np.int64)
    outside = np.zeros(len(rows.units), dtype=np.bool_)
    for key in keys:
        codes, missing = _key_codes(key, rows.columns[key.column])
        inside = (codes >= 0) & (codes < key.size - key.nullable)
        if key.nullable:
            codes = np.where(missing, key.size - 1, codes)
            inside |= missing
        else:
            inside &= ~missing
        cells = cells * key.size + codes
        outside |= ~inside
    cells[outside] = -1
    return cells


def _key_codes(key: PublicKey, column: Codes) -> tuple[Int64s, Bools]:
    missing = ~column.present
    match key:
        case CategoryKey():
            return column.values, missing
        case NumberKey(lower=lower):
            return column.values - lower, missing
        case MonthKey(first=first):
            # One conversion for each day of the range that occurs, not for each row.
            days = np.where(missing, _first_day(first), column.values)
            least, most = (int(days.min()), int(days.max())) if len(days) else (0, 0)
            calendar = np.arange(least, most + 1).astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
            return (calendar - first)[days - least], missing
        case ListedKey(codes=codes):
            listed = np.array(codes, dtype=np.int64)
            places = np.searchsorted(listed, column.values)
            found = listed[np.minimum(places, len(listed) - 1)] == column.values if len(listed) else missing & False
            return np.where(found, places, -1), missing
    assert_never(key)


def _first_day(month: int) -> int:
    """Return the first day of a month, both counted from 1970-01."""
    return int(np.datetime64(month, "M").astype("datetime64[D]").astype(np.int64))


def surviving_numbers(keys: tuple[UnknownKey, ...], rows: PersonRows, surviving: SurvivingKeys) -> Int64s:
    """Return each row's place among the surviving combinations, or -1."""
    combined = np.zeros(len(rows.units), dtype=np.int64)
    listed = np.zeros(surviving.size, dtype=np.int64)
    outside = np.zeros(len(rows.units), dtype=np.bool_)
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
    if not surviving.size:
        return np.full(len(outside), -1, dtype=np.int64)
    order = np.argsort(listed)
    near = np.minimum(np.searchsorted(listed[order], combined), surviving.size - 1)
    return np.where(outside | (listed[order][near] != combined), -1, order[near])
