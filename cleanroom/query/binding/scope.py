"""Where a column's name is looked up: the rows of one SELECT, then those of the SELECT around it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from cleanroom.errors import Refusal
from cleanroom.identifiers import fold
from cleanroom.query.binding.asking import Asking, near
from cleanroom.query.terms.conditional import coalesce
from cleanroom.query.terms.language import Column, Flag, columns_of
from cleanroom.query.terms.typed import Constant, Typed
from cleanroom.query.terms.types import BooleanType

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cleanroom.errors import Position
    from cleanroom.query.binding.personal import Rows, Source
    from cleanroom.query.parse import ParameterValue

OUTER: Final = 1 << 20
"""Added to the places of the columns of the SELECT around, so that one term can hold columns of both."""


@dataclass(frozen=True, slots=True)
class UnitName:
    """The privacy unit of a source as written; `source` is None for the one unit of all sources (USING).

    Args:
        outer: whether it is of the SELECT around.
    """

    source: Source | None
    outer: bool


@dataclass
class RowScope:
    """Resolves the names of scalar terms over the rows of one SELECT (terms see `cleanroom.query.binding.scalars`).

    Args:
        outer: the scope of the SELECT around, where a subquery may refer to it.
        nested: binds EXISTS, IN (SELECT …) and scalar subqueries in a term.
        instead: what stands for a whole node: aggregates, keys and windows of a grouped SELECT; None binds it itself.
        grouped: whether terms are over groups, so that nothing of a single row may stand in them.
        alone: whether a term here must not look at columns of the SELECT around: it would stand where these are not.
        arriving: the source that a join brings in, while its ON is bound: whether it is there says nothing of the rest.
        aliases: labels of the same SELECT that terms may use; a column of that name comes first, as in DuckDB.
        meanings: what labels were found to mean, so that each is bound once however often it is used.
    """

    asking: Asking
    rows: Rows
    outer: RowScope | None = None
    nested: Callable[[RowScope, exp.Expr], Typed | None] | None = None
    instead: Callable[[RowScope, exp.Expr], Typed | Constant | bool | None] | None = None
    grouped: bool = False
    alone: bool = False
    arriving: Source | None = None
    aliases: Mapping[str, exp.Expr] = field(default_factory=dict)
    meanings: dict[str, Typed | Constant | None] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The question as written."""
        return self.asking.query.text

    def refuse(self, code: str, node: exp.Expr, hint: tuple[str, str] | None = None, **evidence: object) -> None:
        """Note a reason to refuse."""
        self.asking.refuse(code, node, hint, **evidence)

    def note(self, reason: Refusal) -> None:
        """Note a reason to refuse that is already in words."""
        self.asking.reasons.append(reason)

    def position(self, node: exp.Expr) -> Position | None:
        """Return where a node stands."""
        return self.asking.position(node)

    def parameter(self, node: exp.Placeholder) -> ParameterValue:
        """Return the value of a parameter."""
        return self.asking.query.parameter(node)

    def labelled(self, aliases: Mapping[str, exp.Expr]) -> RowScope:
        """Return these names with labels of the same SELECT beside them."""
        return replace(self, aliases=aliases, meanings={})

    def _label(self, node: exp.Expr) -> str | None:
        """Return the label that a node is, where no column has that name; in a subquery what is around comes first."""
        if not self.aliases or self.outer is not None or not isinstance(node, exp.Column) or node.table:
            return None
        name = fold(str(node.name))
        return name if name in self.aliases and not self._own(node) else None

    def _meaning(self, label: str) -> Typed | Constant | None:
        """Return what a label means; it may use the labels before it."""
        from cleanroom.query.binding.scalars import bind_scalar

        if label not in self.meanings:
            before = dict(list(self.aliases.items())[: list(self.aliases).index(label)])
            self.meanings[label] = bind_scalar(self.aliases[label], replace(self, aliases=before))
        return self.meanings[label]

    def special(self, node: exp.Expr) -> Typed | Constant | bool | None:
        """Return what stands for a node, None if it is refused, or False if it is an ordinary term."""
        if self.instead is not None:
            found = self.instead(self, node)
            if found is not False:
                return found
        label = self._label(node)
        if label is not None:
            return self._meaning(label)
        if isinstance(node, exp.Is) and isinstance(node.this, exp.Column) and isinstance(node.expression, exp.Null):
            unit = self.unit(node.this, quiet=True)
            if unit is not None and self.grouped:
                self.refuse("not_grouped", node, name=str(node.this.name)[:80])
                return None
            if unit is not None and unit.outer:
                self.refuse("correlated", node)
                return None
            if unit is not None:
                return self._unit_is_null(unit)
        if isinstance(node, (exp.Exists, exp.Subquery)) or (isinstance(node, exp.In) and node.args.get("query")):
            return self.subquery(node)
        return False

    def subquery(self, node: exp.Expr) -> Typed | None:
        """Bind a subquery inside a term."""
        if self.nested is None:
            self.refuse("not_admitted", node, what="SELECT")
            return None
        return self.nested(self, node)

    def _unit_is_null(self, unit: UnitName) -> Typed:
        if unit.source is None:
            return Typed(Flag(value=False), BooleanType(nullable=False))
        return self.rows.absent(unit.source)

    def column(self, node: exp.Column) -> Typed | None:
        """Resolve a column; the unit is no value (S14)."""
        if isinstance(node.this, exp.Star):
            self.refuse("row_output", node)
            return None
        found = self._find(node)
        if isinstance(found, UnitName):
            name = fold(str(node.name))
            self.refuse("unit_use", node, unit=name)
            return None
        if found is None:
            self._explain(node)
            return None
        if self.alone and columns_of(found.term) and max(columns_of(found.term)) >= OUTER:
            self.refuse("correlated", node)
            return None
        return replace(found, position=self.position(node))

    def unit(self, node: exp.Expr, *, quiet: bool = False) -> UnitName | None:
        """Resolve a node as the privacy unit, or return None if it is something else.

        `COALESCE(a.person, b.person)` is the unit that every row has (S14), where one of these is there in every row:
        an outer join's own is COALESCE of its sides' units.
        """
        while isinstance(node, exp.Paren):
            node = node.this
        if isinstance(node, exp.Coalesce):
            return self._first_unit([node.this, *node.expressions])
        if not isinstance(node, exp.Column) or isinstance(node.this, exp.Star):
            return None
        found = self._find(node)
        if found is None and not quiet:
            self._explain(node)
        return found if isinstance(found, UnitName) else None

    def _first_unit(self, nodes: Sequence[exp.Expr]) -> UnitName | None:
        units = [self.unit(each, quiet=True) for each in nodes]
        named = [each.source for each in units if each is not None and not each.outer]
        if len(named) < len(nodes):
            return None
        others = [source for source in self.rows.sources if source is not self.arriving]
        with_unit = [source for source in others if source.unit is not None]
        if any(source is self.arriving for source in named):
            return None
        if named[0] is not None and named[0].present is None:
            # The first is there in every row, so it is meant alone: the other sources may not have met it yet.
            return UnitName(named[0], outer=False)
        sure = any(source is None or source.present is None for source in named)
        if sure or all(any(source is each for each in named) for source in with_unit):
            return UnitName(None, outer=False)
        return None

    def _find(self, node: exp.Column) -> Typed | UnitName | None:
        """Return what a name means, without its place, or None if nothing or several things."""
        found = self._own(node)
        if not found and self.outer is not None:
            around = self.outer._own(node)
            if len(around) == 1 or (around and all(isinstance(each, UnitName) for each in around)):
                first = around[0]
                if isinstance(first, UnitName):
                    return UnitName(first.source if len(around) == 1 else None, outer=True)
                if isinstance(first.term, Column):
                    return replace(first, term=Column(first.term.index + OUTER))
            return None
        if len(found) == 1:
            return found[0]
        if found and not node.table and fold(str(node.name)) in self.rows.merged:
            return self._merged(fold(str(node.name)))
        if found and all(isinstance(each, UnitName) for each in found):
            # After USING, or after ON a.person = b.person, the bare unit is the same on every side.
            return UnitName(None, outer=False)
        return None

    def _merged(self, name: str) -> Typed | None:
        """Return the one column that USING makes of several: the first that is not NULL."""
        columns = [self.rows.columns[place] for place in self.rows.merged[name]]
        made = columns[0] if len(columns) == 1 else coalesce(columns)
        if isinstance(made, Refusal):
            self.note(made)
            return None
        return made

    def knows(self, node: exp.Column) -> bool:
        """Return whether a name is one of the rows' own."""
        return bool(self._own(node))

    def _own(self, node: exp.Column) -> list[Typed | UnitName]:
        name, table, owner = _written(node)
        found: list[Typed | UnitName] = []
        for source in self.rows.sources:
            if (table and table != source.label) or (owner and owner != source.owner):
                continue
            if name == source.unit:
                found.append(UnitName(source, outer=False))
            elif name in source.places:
                found.append(self.rows.columns[source.places[name]])
        return found

    def _explain(self, node: exp.Column) -> None:
        name, table, owner = _written(node)
        shown = ".".join(part for part in (owner, table, name) if part)[:140]
        found = self._own(node)
        if len(found) > 1:
            places = [source.shown for source in self.rows.sources if name in source.places]
            hint = (f"écrivez {places[0]}.{name}", f"write {places[0]}.{name}") if places and places[0] else None
            self.refuse("ambiguous_name", node, hint, name=shown)
            return
        known = [each for source in self.rows.sources for each in source.places]
        self.refuse("unknown_name", node, near(name, known), name=shown)


def _written(node: exp.Column) -> tuple[str, str, str]:
    """Return name, table and owner as written, folded; "" for what is not written."""
    owner = node.args.get("db")
    if node.args.get("catalog") is not None:
        return (fold(str(node.name)), "\0", "\0")
    return fold(str(node.name)), fold(str(node.table)), fold(str(owner.this)) if owner is not None else ""
