"""Subqueries that are one number of another public relation: `n / (SELECT SUM(n) FROM t)`.

Such a relation has at most one row, whatever was released, so joining it to every row keeps their number, and the
number is a column like others: its noise is known to be shared, and nothing can fail.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlglot import exp

from cleanroom.query.binding.asking import Unbound
from cleanroom.query.binding.personal import Personal
from cleanroom.query.public import language as p
from cleanroom.query.public.language import Kind, PublicColumn, PublicRelation

if TYPE_CHECKING:
    from cleanroom.query.binding.public_constants import Bound
    from cleanroom.query.binding.selects import Selects
    from cleanroom.query.binding.sources import Environment

ALWAYS = p.Value(value=True, kind=Kind.TRUTH)
_HINT = (
    "une seule ligne et une seule colonne : (SELECT SUM(n) FROM …), ou … LIMIT 1",
    "one row and one column: (SELECT SUM(n) FROM …), or … LIMIT 1",
)


@dataclass
class PublicNumbers:
    """The subqueries of one SELECT over public rows; their columns stand behind its own.

    Args:
        width: how many columns the SELECT's rows have themselves.
    """

    selects: Selects
    names: Environment
    width: int
    found: list[PublicRelation] = field(default_factory=list)

    def number(self, node: exp.Subquery) -> Bound | None:
        """Bind a subquery as a column more."""
        try:
            relation = self.selects.relation(node.this, self.names)
        except Unbound:
            return None
        if isinstance(relation, Personal):
            self.selects.asking.refuse("row_output", node)
            return None
        if len(relation.columns) != 1 or not _one_row(self.selects, relation):
            self.selects.asking.refuse("not_admitted", node, _HINT, what="(SELECT …)")
            return None
        if relation not in self.found:
            self.found.append(relation)
        place = self.width + self.found.index(relation)
        column = relation.columns[0]
        return p.Ref(place), PublicColumn("", "", column.kind, column.behind)

    def joined(self, source: PublicRelation | None) -> PublicRelation:
        """Return the rows with these numbers behind them; without rows of its own, one row of the numbers."""
        for each in self.found:
            if source is None:
                source = each
                continue
            columns = (*source.columns, *each.columns)
            source = p.PublicJoin(source, each, p.PublicJoinKind.LEFT, ALWAYS, columns)
        if source is None:
            raise Unbound
        return source


def _one_row(selects: Selects, relation: PublicRelation) -> bool:
    """Return whether a relation has at most one row, whatever its numbers are."""
    match relation:
        case p.ReleaseTable(release=release):
            found = selects.asking.releases[release]
            return not found.keys and len(found.sets) == 1
        case p.PublicSelect(groups=groups, limit=limit, source=source):
            return groups == () or (limit is not None and limit <= 1) or (groups is None and _one_row(selects, source))
        case p.PublicJoin(left=left, right=right):
            return _one_row(selects, left) and _one_row(selects, right)
    return False


def has_a_row(selects: Selects, relation: PublicRelation) -> bool:
    """Return whether a relation has exactly one row."""
    match relation:
        case p.PublicSelect(groups=(), having=None, where=None, limit=None, offset=0):
            return True
        case p.PublicSelect(groups=None, where=None, limit=None, offset=0, source=source):
            return has_a_row(selects, source)
        case p.ReleaseTable():
            return _one_row(selects, relation)
    return False
