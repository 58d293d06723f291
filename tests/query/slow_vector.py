"""The bounds of a release again, slowly: Python's own integers and fractions, one row at a time.

Shares nothing with the product but the numbers of its bounds.
"""

from __future__ import annotations

import math
from dataclasses import fields
from datetime import date, timedelta
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from cleanroom.catalog import Contribution
from cleanroom.identifiers import TableName
from cleanroom.query.algebra import Scan
from cleanroom.query.backend import Codes, PersonRows
from cleanroom.query.bound import LATTICE_BITS, Bounds, Component, Measured, QuantileBound, bounds_of
from cleanroom.query.contribution import contributions
from cleanroom.query.plan import Plan
from cleanroom.query.statistics import CategoryKey, Key, ListedKey, MonthKey, NumberKey, StatisticOutput

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

TNM = TableName.parse("tnm.visits")

Persons = list[list[tuple[int | None, ...]]]


def stream(persons: Persons, width: int) -> PersonRows:
    """Return a stream of persons' rows; None is NULL."""
    rows = [row for person in persons for row in person]
    units = [number for number, person in enumerate(persons) for _ in person]
    columns = {}
    for place in range(width):
        values = [row[place] for row in rows]
        columns[place] = Codes(
            np.array([77 if value is None else value for value in values], dtype=np.int64),
            np.array([value is not None for value in values], dtype=np.bool_),
        )
    return PersonRows.of_rows(np.array(units, dtype=np.int64), columns)


def as_narrow(rows: PersonRows, below: int) -> PersonRows:
    """Return the same rows, columns without NULL as codes as narrow as hold them.

    Args:
        below: how far below the least of a measure its codes are counted from; those of keys are counted from 0.
    """
    columns = {}
    for place, column in rows.columns.items():
        least = int(column.values.min()) - below if place else 0
        codes = column.values - least
        fits = next((kind for kind in (np.uint8, np.uint16, np.uint32) if codes.max() <= np.iinfo(kind).max), None)
        narrow = fits is not None and codes.min() >= 0 and bool(column.present.all())
        columns[place] = Codes(codes.astype(fits), column.present, least) if narrow else column
    return PersonRows(rows.persons, rows.starts, columns, rows.words)


def planned(
    keys: tuple[Any, ...],
    statistics: tuple[Any, ...],
    rows: int,
    groups: int,
    threshold: int = 0,
    sets: tuple[tuple[int, ...], ...] = (),
    shares: tuple[Fraction, ...] = (),
    *,
    pure: bool = False,
) -> Plan:
    """Return a plan over a stream, bounded by the product's own arithmetic."""
    chosen = sets or (tuple(range(len(keys))),)
    bounds = bounds_of(keys, chosen, statistics, [Contribution(rows, groups)], threshold, shares, pure=pure)
    outputs = tuple(StatisticOutput(f"v{place}", place) for place in range(len(statistics)))
    content: dict[str, Any] = {
        "relation": Scan(TNM, tuple(f"c{place}" for place in range(9))),
        "keys": keys,
        "statistics": statistics,
        "outputs": outputs,
        "bounds": bounds,
        "sets": sets,
    }
    return Plan(**{field.name: content.get(field.name, ()) for field in fields(Plan)})


def persons_of(a_plan: Plan, rows: PersonRows) -> Iterator[dict[int, list[int]]]:
    """Yield for each person the rows of each cell, over all grouping sets."""
    cells = slow_cells(a_plan, rows)
    found: dict[int, dict[int, list[int]]] = {}
    for row, unit in enumerate(rows.units.tolist()):
        mine = found.setdefault(int(unit), {})
        for cell in cells[row]:
            mine.setdefault(cell, []).append(row)
    yield from found.values()


def slow(a_plan: Plan, rows: PersonRows) -> tuple[list[list[Fraction]], list[int]]:
    """Return each person's clipped vector before truncation, and which of them were clipped."""
    bounds = a_plan.bounds
    vectors, clipped = [], []
    for number, mine in enumerate(persons_of(a_plan, rows)):
        entries = [Fraction(0)] * (bounds.cells * len(bounds.components))
        for cell, places in mine.items():
            for at, component in enumerate(bounds.components):
                entries[cell * len(bounds.components) + at] = slow_entry(component, bounds, rows, places)
        whole = [Fraction(math.trunc(entry)) for entry in entries]
        square = sum(entry * entry for entry in whole)
        if square > bounds.norm**2:
            clipped.append(number)
            # The root to 60 digits stands for the real one: far finer than a step.
            root = Fraction(math.isqrt(int(square * 10**120)), 10**60)
            whole = [entry * bounds.norm / root for entry in whole]
        vectors.append(whole)
    return vectors, clipped


def known_codes(key: Key) -> list[int]:
    """Return the values of a key as codes; months count from 1970-01."""
    match key:
        case CategoryKey(domain=domain):
            return list(range(len(domain)))
        case NumberKey(lower=lower, upper=upper):
            return list(range(lower, upper + 1))
        case MonthKey(first=first, months=months):
            return list(range(first, first + months))
        case ListedKey(codes=codes):
            return list(codes)
    raise AssertionError(key)


def slow_cells(a_plan: Plan, rows: PersonRows) -> list[list[int]]:
    """Return each row's cells, one for each grouping set that has one, by looking its keys up in lists."""
    cells: list[list[int]] = []
    for row in range(rows.rows):
        mine = []
        start = 0
        for chosen in a_plan.sets:
            number: int | None = 0
            size = 1
            for key in [a_plan.keys[at] for at in chosen]:
                column = rows.columns[key.column]
                code = int(column.values[row]) if column.present[row] else None
                if isinstance(key, MonthKey) and code is not None:
                    day = date(1970, 1, 1) + timedelta(days=code)
                    code = (day.year - 1970) * 12 + day.month - 1
                known: list[int | None] = [*known_codes(key), *([None] if key.nullable else [])]
                at_key = known.index(code) if code in known else None
                number = None if at_key is None or number is None else number * len(known) + at_key
                size *= len(known)
            if number is not None:
                mine.append(start + number)
            start += size
        cells.append(mine)
    return cells


def slow_entry(component: Component, bounds: Bounds, rows: PersonRows, places: list[int]) -> Fraction:
    """Return one component of one person's cell, in lattice steps, before truncation (S31 to S34)."""
    values: list[int] = []
    if component.column is not None:
        column = rows.columns[component.column]
        values = [int(column.values[row]) for row in places if column.present[row]]
        if component.least is not None and component.most is not None:
            values = [min(max(value, component.least), component.most) for value in values]
    n = len(places) if component.column is None else len(values)
    unit = Fraction(component.multiplier * 2**LATTICE_BITS, 2**component.shift)
    share = Fraction(min(n, bounds.max_rows), n) if n else Fraction(1)
    match component.measured:
        case Measured.PERSONS:
            return unit * (n > 0)
        case Measured.ROWS:
            return min(n, bounds.max_rows) * unit
        case Measured.TOTAL:
            return min(max(sum(values), component.lower), component.upper) * unit
        case Measured.MEAN_TOTAL:
            total = sum(value - component.middle for value in values) * share
        case Measured.SQUARES:
            total = sum((value - component.middle) ** 2 - component.offset for value in values) * share
    return min(max(total, Fraction(component.lower)), Fraction(component.upper)) * unit


def check_kernel(a_plan: Plan, rows: PersonRows) -> None:
    """Compare the compiled pass with the slow one: exactly, or within one step where a float entered."""
    fast = contributions(a_plan, rows).values
    vectors, clipped = slow(a_plan, rows)
    exact = [sum(column) for column in zip(*vectors, strict=True)] if vectors else [Fraction(0)] * len(fast)
    width = len(a_plan.bounds.components)
    for place, (mine, theirs) in enumerate(zip(fast, exact, strict=True)):
        component = a_plan.bounds.components[place % width]
        floated = component.measured in {Measured.MEAN_TOTAL, Measured.SQUARES}
        # A float costs a person less than a step, and so does the truncation of a clip; large entries, a few parts in
        # 2^53 more.
        rounding = (len(vectors) * floated + len(clipped)) * (1 + component.reach * 2**-48)
        assert abs(mine - theirs) <= rounding, (place, mine, float(theirs))
    for part in each_person(rows):
        assert sum(entry * entry for entry in contributions(a_plan, part).values) <= a_plan.bounds.norm**2


def each_person(rows: PersonRows) -> Iterator[PersonRows]:
    """Yield the rows of one person after another."""
    for person, (start, end) in enumerate(pairwise(rows.starts.tolist())):
        yield PersonRows(
            rows.persons[person : person + 1],
            np.array([0, end - start], dtype=np.int64),
            {at: Codes(c.values[start:end], c.present[start:end]) for at, c in rows.columns.items()},
            rows.words,
        )


# Quantiles


def slow_weights(a_plan: Plan, quantile: QuantileBound, rows: PersonRows) -> list[list[tuple[int, int]]]:
    """Return for each cell the (value, weight) of every row that counts, weights as if no norm bound them."""
    found: list[list[tuple[int, int]]] = [[] for _ in range(a_plan.bounds.cells)]
    column = rows.columns[quantile.column]
    for mine in persons_of(a_plan, rows):
        for cell, places in mine.items():
            values = [int(column.values[row]) for row in places if column.present[row]]
            most = a_plan.bounds.max_rows
            weight = quantile.weight if len(values) <= most else quantile.weight * most // len(values)
            found[cell] += [(min(max(value, quantile.grid.lower), quantile.grid.upper), weight) for value in values]
    return found


def slow_scores(quantile: QuantileBound, weighted: list[tuple[int, int]]) -> list[int]:
    """Return the score of every candidate, from the definition (`query.quantiles`)."""
    a, b = quantile.below, quantile.below + quantile.above
    listed = []
    for place in range(quantile.candidates):
        t = quantile.grid.candidate(place)
        below = sum(weight for value, weight in weighted if value < t)
        above = sum(weight for value, weight in weighted if value > t)
        here = sum(weight for value, weight in weighted if value == t)
        listed.append(-max(0, (b - a) * below - a * (here + above), a * above - (b - a) * (below + here)))
    return listed


def best(quantile: QuantileBound, cell: Iterable[int], *, discrete: bool) -> int:
    """Return the candidate of the greatest score: what is chosen where there is no noise.

    Several candidates between two neighbouring values of the data can share it. Where too little lies below them the
    highest is taken, where too much the lowest, and in balance the lowest for a discrete quantile, else the one that
    divides them as the fraction says.
    """
    bins = [int(weight) for weight in cell]
    upto = [0, *accumulate(bins)]
    away = []
    for at in range(0, len(bins), 2):
        less, here, more = upto[at], bins[at], upto[-1] - upto[at + 1]
        over = quantile.above * less - quantile.below * (here + more)
        under = quantile.below * more - quantile.above * (less + here)
        away.append(over if over > 0 else -under if under > 0 else 0)
    least = min(abs(each) for each in away)
    places = [place for place, each in enumerate(away) if abs(each) == least]
    if away[places[0]] < 0:
        return places[-1]
    if away[places[0]] > 0 or discrete:
        return places[0]
    return places[(len(places) - 1) * quantile.above // (quantile.above + quantile.below)]
