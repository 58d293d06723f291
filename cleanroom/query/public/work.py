"""How many rows a public relation can have and its joins can pair, from released tables' sizes alone.

What is said over released tables runs after it was paid, in an engine that knows no limit but memory: `FROM r, r, r, r`
of a hundred cells is a hundred million rows. So it is bounded at admission, by the worst case.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, assert_never

from cleanroom.errors import Refused
from cleanroom.query.public import language as p
from cleanroom.query.refusals import refusal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MOST_ROWS: Final = 1_000_000
"""Rows of an answer."""

MOST_PAIRS: Final = 100_000_000
"""Rows of any relation on the way to it: a second or so of work."""

Pairs = frozenset[tuple[int, int]]
"""Columns of a join that a condition equates, by their places."""


def require_work(relation: p.PublicRelation, cells: Sequence[int], sets: int) -> None:
    """Refuse what could take too many rows.

    Args:
        cells: how many rows each release has at most.
        sets: how many grouping sets a release has at most.

    Raises:
        Refused: by `too_many_cells`.
    """
    rows = _Work(cells, sets).rows(relation, frozenset())
    if rows > MOST_ROWS:
        raise _too_many(rows, MOST_ROWS)


@dataclass(frozen=True, slots=True)
class _Work:
    cells: Sequence[int]
    sets: int

    def rows(self, relation: p.PublicRelation, equal: Pairs) -> int:
        """Return how many rows a relation has at most; `equal` are columns that whoever looks at it wants equal."""
        match relation:
            case p.ReleaseTable(release=release):
                rows = self.cells[release]
            case p.ReferenceRows(table=table):
                rows = table.rows
            case p.PublicJoin(left=left, right=right, kind=kind, condition=condition):
                width = len(left.columns)
                both = equal | frozenset(_equated(condition)) if kind is p.PublicJoinKind.INNER else _pairs(condition)
                within = frozenset((a, b) for a, b in both if max(a, b) < width)
                one = self.rows(left, within if kind is p.PublicJoinKind.INNER else frozenset())
                two = self.rows(right, frozenset())
                across = {(min(pair), max(pair) - width) for pair in both if min(pair) < width <= max(pair)}
                rows = one * two
                # Rows that meet at most one of the other side, because all that tells its rows apart is equated.
                if _told_apart(right, {b for _, b in across}):
                    rows = min(rows, one * self.sets)
                if _told_apart(left, {a for a, _ in across}):
                    rows = min(rows, two * self.sets)
                rows += one * (kind is not p.PublicJoinKind.INNER) + two * (kind is not p.PublicJoinKind.INNER)
            case p.PublicSelect(source=source, where=where, groups=groups, limit=limit):
                rows = self.rows(source, frozenset(_equated(where)) if where is not None else frozenset())
                if groups == () or (groups is None and any(_folds(each) for each in relation.outputs)):
                    rows = 1
                rows = rows if limit is None else min(rows, limit)
            case p.PublicSet(arms=arms):
                rows = sum(self.rows(arm, frozenset()) for arm in arms)
            case _:
                assert_never(relation)
        if rows > MOST_PAIRS:
            raise _too_many(rows, MOST_PAIRS)
        return rows


def _folds(term: p.PublicTerm) -> bool:
    return isinstance(term, p.Folded) and term.window is None


def _pairs(condition: p.PublicTerm) -> Pairs:
    return frozenset(_equated(condition))


def _equated(condition: p.PublicTerm) -> Iterator[tuple[int, int]]:
    """Yield the columns that a condition equates at its top."""
    match condition:
        case p.Call(op=p.Op.AND, arguments=arguments):
            for each in arguments:
                yield from _equated(each)
        case p.Call(op=p.Op.EQUAL, arguments=(p.Ref(index=a), p.Ref(index=b))):
            yield a, b


def _told_apart(relation: p.PublicRelation, columns: set[int]) -> bool:
    """Return whether rows that are equal in these columns are of one cell, in each grouping set."""
    match relation:
        case p.ReleaseTable(columns=all_columns):
            return {place for place, each in enumerate(all_columns) if not each.behind} <= columns
        case p.PublicSelect(source=source, groups=None, outputs=outputs):
            if any(_folds(each) for each in outputs):
                return True
            chosen = {term.index for at, term in enumerate(outputs) if at in columns and isinstance(term, p.Ref)}
            return _told_apart(source, chosen)
        case p.PublicSelect(groups=groups, outputs=outputs) if groups is not None:
            chosen = {term.index for at, term in enumerate(outputs) if at in columns and isinstance(term, p.Ref)}
            return {group.index for group in groups} <= chosen
    return False


def _too_many(rows: int, limit: int) -> Refused:
    hint = ("joignez par les clés, ou groupez d'abord", "join by the keys, or group first")
    return Refused((refusal("too_many_cells", cells=min(rows, 10**18), limit=limit, hint=hint),))
