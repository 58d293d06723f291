"""GROUP BY of a release: its keys, and its grouping sets written out (S27)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from cleanroom.query.binding.aggregates import calls_in
from cleanroom.query.binding.grouping import same_key
from cleanroom.query.binding.labels import written_key
from cleanroom.query.binding.scalars import bind_scalar
from cleanroom.query.terms.typed import Constant, Typed

if TYPE_CHECKING:
    from cleanroom.query.binding.scope import RowScope
    from cleanroom.query.binding.selects import Selects

MOST_SETS: Final = 64
"""Grouping sets of a question: CUBE over six columns."""

_SPECIAL: Final = (exp.Rollup, exp.Cube, exp.GroupingSets)


@dataclass
class ReleaseKeys:
    """The keys of one SELECT over people.

    Args:
        keys: what it is grouped by, each once.
        nodes: the keys as written, for what a refusal names.
        written: the keys with ordinals and labels written out.
        sets: the grouping sets, as places among the keys.
    """

    selects: Selects
    node: exp.Select
    scope: RowScope
    keys: list[Typed] = field(default_factory=list)
    nodes: list[exp.Expr] = field(default_factory=list)
    written: list[exp.Expr] = field(default_factory=list)
    sets: tuple[tuple[int, ...], ...] = ((),)

    def bind(self) -> None:
        """Bind GROUP BY, its ROLLUP, CUBE and GROUPING SETS written out."""
        group = self.node.args.get("group")
        if group is None:
            if self.node.args.get("distinct") and not any(True for out in self.node.expressions for _ in calls_in(out)):
                self.sets = (self._places(self._plain()),)
            return
        if group.args.get("all"):
            self.sets = (self._places(self._plain()),)
            return
        simple = [each for each in group.expressions if not isinstance(each, _SPECIAL)]
        special: list[exp.Expr] = [each for each in group.expressions if isinstance(each, _SPECIAL)]
        for name in ("rollup", "cube", "grouping_sets"):
            special += [each for each in group.args.get(name) or () if isinstance(each, exp.Expr)]
        products = [[self._places(simple)], *(self._written_sets(each) for each in special)]
        sets: list[tuple[int, ...]] = [()]
        for options in products:
            sets = [tuple(dict.fromkeys((*one, *other))) for one in sets for other in options]
            if len(sets) > MOST_SETS:
                self.selects.asking.stop("too_many_sets", group, limit=MOST_SETS)
        self.sets = tuple(sorted(tuple(sorted(each)) for each in sets)) if len(sets) > 1 else tuple(sets)

    def place(self, node: exp.Expr) -> int | None:
        """Return which key a node is, or None."""
        return same_key(self.scope, node, self.keys, self.written)

    def _plain(self) -> list[exp.Expr]:
        """Return the outputs that are no aggregates: what GROUP BY ALL and DISTINCT group by."""
        plain = [out.this if isinstance(out, exp.Alias) else out for out in self.node.expressions]
        return [out for out in plain if not any(True for _ in calls_in(out)) and out.find(exp.Window) is None]

    def _written_sets(self, node: exp.Expr) -> list[tuple[int, ...]]:
        if isinstance(node, exp.GroupingSets):
            # A set may itself be a ROLLUP or CUBE: then it is all of theirs.
            sets: list[tuple[int, ...]] = []
            for each in node.expressions:
                sets += self._written_sets(each) if isinstance(each, _SPECIAL) else [self._places(_members(each))]
            return sets
        parts = [self._places(_members(each)) for each in node.expressions]
        if isinstance(node, exp.Rollup):
            return [_joined(parts[:count]) for count in range(len(parts), -1, -1)]
        if len(parts) > 6:
            self.selects.asking.stop("too_many_sets", node, limit=MOST_SETS)
        return [
            _joined([part for at, part in enumerate(parts) if mask >> at & 1])
            for mask in range(2 ** len(parts) - 1, -1, -1)
        ]

    def _places(self, nodes: list[exp.Expr]) -> tuple[int, ...]:
        """Return the places of these keys, noting those that are new. A constant groups nothing, and is none."""
        places: list[int] = []
        for each in nodes:
            written = written_key(each, self.node, self.scope)
            if written is None:
                continue
            if self.scope.unit(written, quiet=True) is not None:
                self.scope.refuse("row_output", each)
                continue
            known = self.place(written)
            if known is None:
                bound = bind_scalar(written, self.scope)
                if isinstance(bound, Constant) and isinstance(written, exp.Placeholder):
                    # It reads like a column's name, and would be none.
                    self.scope.refuse("not_admitted", each, what="GROUP BY $…")
                if bound is None or isinstance(bound, Constant):
                    continue
                self.keys.append(bound)
                self.nodes.append(each)
                self.written.append(written)
                known = len(self.keys) - 1
            places.append(known)
        return tuple(dict.fromkeys(places))


def _members(node: exp.Expr) -> list[exp.Expr]:
    if isinstance(node, exp.Tuple):
        return list(node.expressions)
    return [node.this if isinstance(node, exp.Paren) else node]


def _joined(parts: list[tuple[int, ...]]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(place for part in parts for place in part))
