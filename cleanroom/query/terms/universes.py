"""Every value that a term can have, known from declared domains alone (S25): this makes derived keys public.

A column's *universe* is its domain, its days, or the codes between its bounds, and NULL if that is declared. What the
filters of a question leave of it is public too, for they are the question's own words.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, assert_never

import numpy as np
import numpy.typing as npt

from cleanroom.query.terms import language as t
from cleanroom.query.terms.evaluate import Values, evaluate, is_true
from cleanroom.query.terms.types import BooleanType, CategoryType, DateType, NullType, NumberType, TextType

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cleanroom.query.terms.types import ValueType

MOST: Final = 1 << 17
"""Combinations of codes that are tried."""

_WORK: Final = 1 << 24
"""Combinations times operations that are tried: some tens of milliseconds."""


class Sort(Enum):
    """What a column's values are."""

    STEPS = "steps"
    """Numbers and days: neighbouring codes belong together."""
    INDICES = "indices"
    """A category: codes are names."""
    FLAGS = "flags"
    TEXTS = "texts"
    """No codes, and no end of them."""


@dataclass(frozen=True, slots=True)
class Universe:
    """What a column can hold: the codes from `lower` to `upper`, and NULL if `nullable`."""

    sort: Sort
    lower: int
    upper: int
    nullable: bool

    @property
    def size(self) -> int | None:
        """How many values there are, NULL included; None without end."""
        return None if self.sort is Sort.TEXTS else max(0, self.upper - self.lower + 1) + self.nullable


def universe_of(kind: ValueType) -> Universe:
    """Return what a column of a type can hold, whatever the data."""
    match kind:
        case NumberType(lower=lower, upper=upper, nullable=null) | DateType(lower=lower, upper=upper, nullable=null):
            return Universe(Sort.STEPS, lower, upper, null)
        case CategoryType(domain=domain, nullable=null):
            return Universe(Sort.INDICES, 0, len(domain) - 1, null)
        case BooleanType(nullable=null):
            return Universe(Sort.FLAGS, 0, 1, null)
        case TextType(nullable=null):
            return Universe(Sort.TEXTS, 0, -1, null)
        case NullType():
            return Universe(Sort.STEPS, 0, -1, nullable=True)
    assert_never(kind)


@dataclass(frozen=True, slots=True)
class Reached:
    """The values that a term can have, in order, and whether it can be NULL."""

    values: tuple[int, ...] | tuple[bool, ...] | tuple[str, ...]
    null: bool


def values_over(
    term: t.Term, universes: Mapping[int, Universe], most: int = MOST, filters: Sequence[t.Term] = ()
) -> Reached | None:
    """Return the values of a term over all values of its columns for which every filter is true.

    Each filter of one column narrows that column, each filter of several is tried on their combinations; one that
    would need more than `most` combinations, or has a column without end, is left aside: then values may be listed
    that no row can have, but none is ever missing.

    Returns:
        None if the term's own columns have more than `most` combinations.
    """
    wanted = t.columns_of(term)
    narrowed: dict[int, Values] = {}
    several: list[t.Term] = []
    for condition in filters:
        columns = t.columns_of(condition)
        if not columns and not is_true(evaluate(condition, {}))[0]:
            return Reached((), null=False)
        if len(columns) > 1 and columns & wanted:
            several.append(condition)
    for column in sorted(wanted.union(*(t.columns_of(condition) for condition in several))):
        found = _narrowed(column, universes.get(column), filters, most)
        if found is not None:
            narrowed[column] = found
    if not wanted <= narrowed.keys():
        return None
    product = _Product({column: narrowed[column] for column in wanted})
    if product.size > most or product.size * _size(term) > _WORK:
        return None
    for condition in sorted(several, key=lambda each: len(t.columns_of(each) - wanted)):
        product = product.filtered(condition, narrowed, most)
    result = evaluate(term, product.columns(), product.size)
    there = result.data[result.present]
    return Reached(tuple(sorted(set(there.tolist()))), bool((~result.present).any()))


@dataclass(frozen=True, slots=True)
class Region:
    """Where a condition on one column is true.

    Args:
        runs: codes, from and to, both included; apart, in order.
        words: for texts, those for which it is true, or, if `others`, those for which it is not.
        others: for texts, whether it is true for those not named.
        null: whether it is true for NULL, and NULL is declared.
    """

    runs: tuple[tuple[int, int], ...]
    words: tuple[str, ...]
    others: bool
    null: bool


def region(condition: t.Term, column: int, universe: Universe, most: int = MOST) -> Region | None:
    """Return where a condition that looks at one column alone is true, or None if that takes too long to find out."""
    marks = _Marks(column)
    simple = marks.read(condition)
    if universe.sort is Sort.TEXTS:
        return _region_of_texts(condition, column, universe, marks) if simple else None
    if simple and universe.sort is not Sort.FLAGS:
        inside = {code for code in marks.starts if universe.lower < code <= universe.upper}
        starts = [*([universe.lower] if universe.lower <= universe.upper else []), *sorted(inside)]
    elif (universe.size or 0) <= most and (universe.size or 0) * _size(condition) <= _WORK:
        starts = list(range(universe.lower, universe.upper + 1))
    else:
        return None
    if len(starts) * _size(condition) > _WORK:
        return None
    kind = bool if universe.sort is Sort.FLAGS else int
    true = is_true(evaluate(condition, {column: Values.of([*starts, None], kind)}))
    ends = [*(start - 1 for start in starts[1:]), universe.upper]
    runs: list[tuple[int, int]] = []
    for place in np.flatnonzero(true[:-1]).tolist():
        if runs and runs[-1][1] == starts[place] - 1:
            runs[-1] = (runs[-1][0], ends[place])
        else:
            runs.append((starts[place], ends[place]))
    return Region(tuple(runs), (), others=False, null=bool(true[-1]) and universe.nullable)


def _region_of_texts(condition: t.Term, column: int, universe: Universe, marks: _Marks) -> Region | None:
    if (len(marks.words) + 2) * _size(condition) > _WORK:
        return None
    words = sorted(marks.words)
    # A text that is none of those named stands for all others.
    other = max((len(word) for word in words), default=0) * "x" + "x"
    true = is_true(evaluate(condition, {column: Values.of([*words, other, None], str)}))
    others = bool(true[-2])
    listed = tuple(word for word, holds in zip(words, true.tolist(), strict=False) if holds is not others)
    return Region((), listed, others, bool(true[-1]) and universe.nullable)


@dataclass(slots=True)
class _Marks:
    """The constants that a condition compares its one column with: between them it does not change."""

    column: int
    starts: set[int]
    words: set[str]

    def __init__(self, column: int) -> None:
        self.column, self.starts, self.words = column, set(), set()

    def read(self, term: t.Term) -> bool:
        """Read a condition; return whether it is made of comparisons of the bare column with constants."""
        match term:
            case t.Flag() | t.Missing(item=t.Column()):
                return True
            case t.AllOf() | t.AnyOf() | t.Opposite() | t.Choice():
                return all(self.read(part) for part in t.parts(term))
            case (
                t.Compared(left=t.Column(), right=t.Integer(code)) | t.Compared(left=t.Integer(code), right=t.Column())
            ):
                self.starts |= {code, code + 1}
                return True
            case t.Compared(comparing=t.Comparing.EQUAL, left=t.Column(), right=t.Word(word)):
                self.words.add(word)
                return True
            case t.OneOf(item=t.Column(), values=values):
                for value in values:
                    if isinstance(value, str):
                        self.words.add(value)
                    else:
                        self.starts |= {value, value + 1}
                return True
        return False


def _narrowed(column: int, universe: Universe | None, filters: Sequence[t.Term], most: int) -> Values | None:
    """Return the values of a column for which its own filters are true, or None if there are too many."""
    if universe is None or universe.sort is Sort.TEXTS:
        return None
    own = tuple(condition for condition in filters if t.columns_of(condition) == {column})
    found = region(t.AllOf((t.Flag(True), *own)), column, universe, most)
    runs = found.runs if found is not None else ((universe.lower, universe.upper),)
    if sum(upper - lower + 1 for lower, upper in runs) > most:
        return None
    codes: list[int | None] = [code for lower, upper in runs for code in range(lower, upper + 1)]
    if found.null if found is not None else universe.nullable:
        codes.append(None)
    return Values.of(codes, bool if universe.sort is Sort.FLAGS else int)


@dataclass(frozen=True, slots=True)
class _Product:
    """Combinations of values of columns, some of them taken out."""

    axes: Mapping[int, Values]
    kept: npt.NDArray[np.int64] | None = None

    @property
    def size(self) -> int:
        whole = math.prod(len(axis.present) for axis in self.axes.values())
        return whole if self.kept is None else len(self.kept)

    def columns(self) -> dict[int, Values]:
        shape = tuple(len(axis.present) for axis in self.axes.values())
        kept = np.arange(math.prod(shape)) if self.kept is None else self.kept
        places: tuple[Any, ...] = np.unravel_index(kept, shape) if shape else ()
        return {
            column: Values(axis.data[place], axis.present[place])
            for (column, axis), place in zip(self.axes.items(), places, strict=True)
        }

    def filtered(self, condition: t.Term, narrowed: Mapping[int, Values], most: int) -> _Product:
        """Return the combinations for which a condition is true, of its columns too if there are not too many."""
        axes = dict(self.axes)
        for column in sorted(t.columns_of(condition) - axes.keys()):
            if column not in narrowed:
                return self
            axes[column] = narrowed[column]
        more = math.prod(len(axes[column].present) for column in axes.keys() - self.axes.keys())
        if self.size * more > most or self.size * more * _size(condition) > _WORK:
            return self
        kept = np.arange(self.size) if self.kept is None else self.kept
        # New columns stand behind the old ones, so each old combination becomes `more` new ones side by side.
        wide = _Product(axes, (kept[:, None] * more + np.arange(more)).ravel())
        return _Product(axes, wide.kept[is_true(evaluate(condition, wide.columns(), wide.size))])  # type: ignore[index]


def _size(term: t.Term) -> int:
    """Return how many nodes a term has, or a number beyond all work."""
    count, waiting = 0, [term]
    while waiting:
        count += 1
        if count > _WORK >> 8:
            return _WORK + 1
        waiting.extend(t.parts(waiting.pop()))
    return count
