"""What a column may be, as intervals of codes: the arithmetic of reach (S43)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MOST_WORK: Final = 100_000
"""Relations looked at for one question: every value of a key is looked for in every arm."""


class Unjudged(Exception):
    """What owners can reach cannot be told from domains; a question whose owners ask for it is refused."""


@dataclass(slots=True)
class Work:
    """Counts relations looked at: each filter of several alternatives looks below itself as often."""

    left: int = MOST_WORK

    def step(self) -> None:
        """Count one; `Unjudged` when there have been too many."""
        self.left -= 1
        if self.left < 0:
            raise Unjudged


Intervals = tuple[tuple[int, int], ...]
"""Disjoint closed intervals of codes, ascending."""


@dataclass(frozen=True, slots=True)
class Span:
    """What a column may be: codes in these intervals, and NULL if `null`."""

    codes: Intervals
    null: bool

    @property
    def empty(self) -> bool:
        """Whether nothing is left."""
        return not self.codes and not self.null


Spans = dict[int, Span]

ANYTHING: Final = Span(((-(1 << 62), 1 << 62),), null=True)
"""A column that no domain bounds: too many codes to be judged one by one."""


def meet(one: Span, other: Span) -> Span:
    """Return what is in both spans."""
    return Span(common(one.codes, other.codes), one.null and other.null)


def common(one: Intervals, other: Intervals) -> Intervals:
    """Return the codes that are in both."""
    found = [(max(a, c), min(b, d)) for a, b in one for c, d in other]
    return tuple(sorted((low, high) for low, high in found if low <= high))


def either(parts: list[Intervals]) -> Intervals:
    """Return the codes that are in any."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(interval for part in parts for interval in part):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def encoded(span: Span, codes: tuple[int, ...] | None) -> Span:
    """Translate an arm's codes into the union's."""
    if codes is None:
        return span
    return Span(either([((codes[old], codes[old]),) for old in range(len(codes))]), span.null)


def decoded(span: Span, codes: tuple[int, ...] | None) -> Span:
    """Translate the union's codes into an arm's."""
    if codes is None:
        return span
    mine = [old for old, new in enumerate(codes) if any(low <= new <= high for low, high in span.codes)]
    return Span(tuple((code, code) for code in mine), span.null)


def starts(span: Span) -> frozenset[int]:
    """Return where the intervals of a span begin, and where they have just ended."""
    return frozenset(start for low, high in span.codes for start in (low, high + 1))


def without(whole: Intervals, taken: Intervals) -> Intervals:
    """Return the codes of `whole` that are not in `taken`."""
    left = list(whole)
    for low, high in taken:
        left = [
            piece
            for start, end in left
            for piece in ((start, min(end, low - 1)), (max(start, high + 1), end))
            if piece[0] <= piece[1]
        ]
    return tuple(sorted(set(left)))


def all_of(parts: list[Spans]) -> Spans | None:
    """Return what columns may be where all parts hold; None if nothing is left of one."""
    spans: Spans = {}
    for part in parts:
        for column, span in part.items():
            spans[column] = meet(spans[column], span) if column in spans else span
            if spans[column].empty:
                return None
    return spans
