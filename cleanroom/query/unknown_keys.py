"""Release the keys that many persons have, where no declaration lists them (S8, S9, S26).

Each person keeps at most m of their different combinations of unknown keys: the first in code-point order, NULL before
all others; a public order that looks at no other person and at no popularity. They count 1 for each. So removing a
person changes at most m counts by one, and moving them from one set of keys to another, when rows at one member go, at
most 2m (S2). The counts are noised by OpenDP's `make_gaussian_threshold`, and keys below the threshold are dropped with
everything about them: their number, their existence, the time they took.

The measurement treats every key alike and draws for each its own noise, so it may be run over the keys part by part,
under numbers that stand for them; what survives is named again afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from cleanroom.query.cells import SurvivingKeys, public_keys, unknown_keys
from cleanroom.query.key_threshold import threshold_measurement
from cleanroom.query.row_cells import cell_numbers
from cleanroom.query.statistics import Shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from cleanroom.query.backend import PersonRows
    from cleanroom.query.plan import Plan
    from cleanroom.query.statistics import UnknownKey

    Int64s = npt.NDArray[np.int64]

_AT_ONCE: Final = 1 << 16
"""Keys handed to OpenDP in one call, and lines of counts after which equal keys are added up."""


def key_columns(plan: Plan) -> tuple[int, ...]:
    """Return the relation's columns that decide on the keys of a person."""
    return tuple(sorted({key.column for key in plan.keys}))


def counted_keys(plan: Plan, slices: Iterable[PersonRows]) -> pa.Table:
    """Count the persons that keep each combination of unknown keys, before noise.

    Returns:
        A column `k0`, `k1`, … for each unknown key, and `n`; every combination once. It never leaves the room.
    """
    keys = unknown_keys(plan.keys)
    schema = pa.schema(
        [(f"k{place}", pa.string() if key.shown is Shown.TEXT else pa.int64()) for place, key in enumerate(keys)]
        + [("n", pa.int64())]
    )
    total = schema.empty_table()
    waiting: list[pa.Table] = []
    for rows in slices:
        waiting.append(_counts(plan, keys, rows, schema))
        if sum(each.num_rows for each in waiting) > max(_AT_ONCE, total.num_rows):
            total, waiting = _merged([total, *waiting]), []
    return _merged([total, *waiting])


def _merged(tables: list[pa.Table]) -> pa.Table:
    whole = pa.concat_tables(tables)
    names = whole.column_names[:-1]
    return whole.group_by(names).aggregate([("n", "sum")]).rename_columns(whole.column_names)


def _counts(plan: Plan, keys: tuple[UnknownKey, ...], rows: PersonRows, schema: pa.Schema) -> pa.Table:
    """Return how many persons of a slice keep each combination."""
    number = np.zeros(rows.rows, dtype=np.int64)
    listed: list[list[Any]] = []
    decoded: list[Int64s] = []
    # A row that no public cell holds brings no key.
    outside = cell_numbers(public_keys(plan.keys), rows) < 0
    for key in keys:
        column = rows.columns[key.column]
        if key.shown is Shown.TEXT:
            words = rows.words[key.column]
            order = sorted(range(len(words)), key=words.__getitem__)
            values: list[Any] = [words[at] for at in order]
            ranks = np.empty(len(words), dtype=np.int64)
            ranks[order] = np.arange(len(words))
            mine = ranks[np.where(column.present, column.values, 0)] if len(words) else 0 * column.values
        else:
            codes, mine = np.unique(column.values, return_inverse=True)
            values = codes.tolist()
        # NULL before all others.
        mine = np.where(column.present, mine + 1, 0)
        if not key.nullable:
            outside |= ~column.present
        # Combinations are numbered by those that occur, in order: values and numbers are at most as many as the rows of
        # a slice, and of so many rows that their product passes 63 bits (2^31) no memory holds a column.
        combined, number = np.unique(number * (len(values) + 1) + mine, return_inverse=True)
        earlier, last = np.divmod(combined, len(values) + 1)
        decoded = [*(each[earlier] for each in decoded), last]
        listed.append([None, *values])
    kept, counts = np.unique(first_keys(rows.units, number, outside, plan.bounds.distinct_keys), return_counts=True)
    arrays = [
        pa.array([values[at] for at in codes[kept].tolist()], field.type)
        for values, codes, field in zip(listed, decoded, schema, strict=False)
    ]
    return pa.Table.from_arrays([*arrays, pa.array(counts, pa.int64())], schema=schema)


def first_keys(units: Int64s, numbers: Int64s, outside: npt.NDArray[np.bool_], most: int) -> Int64s:
    """Return the keys that persons keep, one entry for each person and key: of each person the `most` least.

    Args:
        units: the person of each row.
        numbers: the key of each row; the order of the numbers is the public order.
        outside: rows that have no key.
    """
    pairs = np.stack([units[~outside], numbers[~outside]])
    pairs = pairs[:, np.lexsort((pairs[1], pairs[0]))]
    different = np.ones(pairs.shape[1], dtype=np.bool_)
    different[1:] = np.any(pairs[:, 1:] != pairs[:, :-1], axis=0)
    person, key = pairs[:, different]
    begins = np.searchsorted(person, person, side="left")
    kept: Int64s = key[np.arange(len(key)) - begins < most]
    return kept


def surviving_keys(counted: pa.Table, *, scale: float, threshold: int, most: int) -> SurvivingKeys:
    """Noise the counts and keep the keys at or above the threshold; the greatest `most` of them (S41).

    Args:
        scale: of the discrete Gaussian noise, in persons.
        threshold: in persons.
        most: a public number.
    """
    measurement = threshold_measurement(scale, threshold)
    places: list[int] = []
    noised: list[int] = []
    for start in range(0, counted.num_rows, _AT_ONCE):
        part = counted["n"].slice(start, _AT_ONCE).to_pylist()
        for at, n in measurement(dict(enumerate(part))).items():
            places.append(start + int(at))
            noised.append(int(n))
    survivors = counted.take(pa.array(places, pa.int64()))
    columns = [survivors[place].to_pylist() for place in range(counted.num_columns - 1)]
    named = list(zip(zip(*columns, strict=True), noised, strict=True))
    # From here on all is a function of what was released.
    named.sort(key=lambda pair: (-pair[1], _order(pair[0])))
    chosen = sorted(named[:most], key=lambda pair: _order(pair[0]))
    return SurvivingKeys(
        tuple(tuple(values[place] for values, _ in chosen) for place in range(counted.num_columns - 1)),
        tuple(n for _, n in chosen),
    )


def _order(values: tuple[Any, ...]) -> list[tuple[bool, Any]]:
    return [(value is not None, value) for value in values]
