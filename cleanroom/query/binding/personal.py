"""Personal relations with names, while they are put together."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from cleanroom.query import algebra
from cleanroom.query.terms.language import Choice, Column, Flag, Opposite, Term
from cleanroom.query.terms.typed import Typed
from cleanroom.query.terms.types import BooleanType

if TYPE_CHECKING:
    from cleanroom.errors import Position
    from cleanroom.query.statistics import Key, Output, Statistic


@dataclass(frozen=True, slots=True)
class Personal:
    """A personal relation whose columns have names.

    Args:
        names: of the columns, folded; those of a subquery as it labels them.
        columns: what each is; term number i is `Column(i)`.
        unit: the name of the unit among the outputs, folded; None if the unit was not written.
        unit_at: place of the unit among the outputs as written; None if it was not written.
    """

    relation: algebra.Relation
    names: tuple[str, ...]
    columns: tuple[Typed, ...]
    unit: str | None
    unit_at: int | None


@dataclass(frozen=True, slots=True)
class Release:
    """One release over a personal relation, before its bounds are set.

    Args:
        columns: what each column of `relation` is.
        sets: the grouping sets, as places in `keys`; one set of all keys without ROLLUP and its kin.
        outputs: the columns of the released table, in order.
        named: the name of each output, folded; None for one without.
        position: where the SELECT stands.
    """

    relation: algebra.Relation
    columns: tuple[Typed, ...]
    keys: tuple[Key, ...]
    sets: tuple[tuple[int, ...], ...]
    statistics: tuple[Statistic, ...]
    outputs: tuple[Output, ...]
    position: Position | None


@dataclass(slots=True)
class Source:
    """A relation of a FROM clause.

    Args:
        label: its alias, else its name without the owner, folded.
        owner: the table's owner where it has no alias, since `tnm.visits` and `francos.visits` differ; else "".
        unit: the name of its unit; None if it has none to name.
        places: for each of its columns' names where it stands in the rows.
        present: the column that says whether a row has this source; None if every row has.
    """

    label: str
    owner: str
    unit: str | None
    places: dict[str, int]
    present: int | None = None

    @property
    def shown(self) -> str:
        """How a name of this source is qualified."""
        return f"{self.owner}.{self.label}" if self.owner else self.label


@dataclass(slots=True)
class Rows:
    """The rows of a SELECT while it is bound: what FROM and WHERE make, and where names stand in it.

    Columns are only ever added at the end, so places stay what they are.

    Args:
        merged: for each name that USING makes one column of, where those columns stand; the first that is not NULL.
    """

    relation: algebra.Relation
    columns: list[Typed]
    sources: list[Source] = field(default_factory=list)
    merged: dict[str, tuple[int, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, personal: Personal, label: str, owner: str) -> Rows:
        """Return the rows of one relation."""
        places = {name: place for place, name in enumerate(personal.names)}
        return cls(personal.relation, list(personal.columns), [Source(label, owner, personal.unit, places)])

    def present(self, source: Source) -> Term:
        """Return whether a row has `source`; never NULL."""
        if source.present is None:
            return Flag(value=True)
        return Choice(((Column(source.present), Flag(value=True)),), Flag(value=False))

    def absent(self, source: Source) -> Typed:
        """Return whether a row lacks `source`."""
        return Typed(Opposite(self.present(source)), BooleanType(nullable=False))

    def add(self, relation: algebra.Relation, *added: Typed) -> tuple[int, ...]:
        """Put a relation with more columns in the place of the present one; return where they stand."""
        first = len(self.columns)
        self.relation = relation
        self.columns += [replace(each, term=Column(first + at)) for at, each in enumerate(added)]
        return tuple(range(first, len(self.columns)))
