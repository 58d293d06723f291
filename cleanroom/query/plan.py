"""The plan: what a question is, apart from its spelling. Frozen, typed, with one digest."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import date
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from functools import cache
from typing import Final, cast

from cleanroom.errors import InvariantBroken
from cleanroom.identifiers import Digest, TableName
from cleanroom.query.algebra import PublicTable, Relation, public_tables, scans
from cleanroom.query.bound import Bounds
from cleanroom.query.cells import GroupingSets
from cleanroom.query.public.language import PublicRelation, reference_tables
from cleanroom.query.statistics import GroupingOutput, Key, KeyOutput, Output, Statistic, StatisticOutput

PLAN_LABEL = "cleanroom/plan/v1"

_PLAIN: Final = frozenset({type(None), bool, int, str})
"""What is written as it is."""

_BY_TEXT: Final = frozenset({Digest, TableName})


class _Looked:
    """Keeps what was found out of a frozen value: no field of it, so nothing copies it to another value."""

    __slots__ = ("_found", "_read")

    _found: tuple[Digest, ...]
    _read: tuple[TableName, ...]


@dataclass(frozen=True, slots=True)
class Plan(_Looked):
    """One release: a personal relation, its cells, its statistics, and one person's bound in it.

    Args:
        sets: the grouping sets, as places in `keys`; none given is one of all keys.
    """

    relation: Relation
    keys: tuple[Key, ...]
    statistics: tuple[Statistic, ...]
    outputs: tuple[Output, ...]
    bounds: Bounds
    sets: GroupingSets = ()

    def __post_init__(self) -> None:
        if not self.sets:
            object.__setattr__(self, "sets", (tuple(range(len(self.keys))),))

    @property
    def tables(self) -> tuple[TableName, ...]:
        """The tables that the plan reads anywhere, sorted (S1)."""
        if not hasattr(self, "_read"):
            object.__setattr__(self, "_read", tuple(sorted({scan.table for scan in scans(self.relation)})))
        return self._read

    def settled(self, picked: int | None) -> Plan:
        """Return the plan with the bound that was chosen; as it is where there was none to choose."""
        choice = self.bounds.choice
        if (choice is None) != (picked is None):
            raise InvariantBroken("a bound is chosen where there is one to choose")
        return self if choice is None or picked is None else replace(self, bounds=choice.bounds[picked])

    def digest(self) -> Digest:
        """Return the digest of what the plan computes; labels of the answer's columns are not part of it."""
        return self._digests()[0]

    def numbers(self) -> Digest:
        """Return the digest of the numbers that the plan releases, in whichever order its answer shows them (S40)."""
        return self._digests()[1]

    def digest_anew(self) -> Digest:
        """Return the digest as the plan is now, for whoever asks whether it is still what it was."""
        return self._whole(self._content())

    def _digests(self) -> tuple[Digest, ...]:
        if not hasattr(self, "_found"):
            content = self._content()
            object.__setattr__(self, "_found", (self._whole(content), _digest(content)))
        return self._found

    def _whole(self, content: list[object]) -> Digest:
        return _digest([*content, [_shape(output) for output in self.outputs]])

    def _content(self) -> list[object]:
        parts = (self.relation, self.keys, self.sets, self.statistics, self.bounds)
        return [PLAN_LABEL, *(_canonical(part) for part in parts)]


@dataclass(frozen=True, slots=True)
class QuestionPlan(_Looked):
    """A question: what it releases, and what it says over that.

    Args:
        releases: at least one, no two alike.
        finish: over the released tables, by number; None where the one release is the answer as it is.
    """

    releases: tuple[Plan, ...]
    finish: PublicRelation | None

    @property
    def tables(self) -> tuple[TableName, ...]:
        """The tables that the question reads anywhere, sorted (S1)."""
        if not hasattr(self, "_read"):
            read = {table for release in self.releases for table in release.tables}
            object.__setattr__(self, "_read", tuple(sorted(read)))
        return self._read

    @property
    def references(self) -> tuple[PublicTable, ...]:
        """The public tables that the question reads anywhere, by name, each once."""
        joined = [table for release in self.releases for table in public_tables(release.relation)]
        finished = reference_tables(self.finish) if self.finish is not None else ()
        found = {(table.name, table.digest): table for table in (*joined, *finished)}
        return tuple(found[key] for key in sorted(found, key=str))

    def digest(self) -> Digest:
        """Return the digest of what the question computes."""
        if not hasattr(self, "_found"):
            object.__setattr__(self, "_found", (self._of([release.digest() for release in self.releases]),))
        return self._found[0]

    def digest_anew(self) -> Digest:
        """Return the digest as the question is now, for whoever asks whether it is still what it was."""
        return self._of([release.digest_anew() for release in self.releases])

    def _of(self, releases: list[Digest]) -> Digest:
        if self.finish is None and len(releases) == 1:
            return releases[0]
        return _digest([PLAN_LABEL, *map(str, releases), _canonical(self.finish)])


def _digest(content: list[object]) -> Digest:
    return Digest.of(json.dumps(content, separators=(",", ":"), ensure_ascii=True).encode())


def _shape(output: Output) -> object:
    """Return what a column of the answer shows, without its label."""
    match output:
        case KeyOutput(key=key):
            return key
        case GroupingOutput(keys=keys):
            return list(keys)
        case StatisticOutput(statistic=statistic):
            return -1 - statistic


def _canonical(value: object) -> object:
    """Write a frozen value as JSON can, each node with its class, so that two different plans differ."""
    kind: type = type(value)
    if kind in _PLAIN:
        return value
    if kind is tuple:
        items = cast("tuple[object, ...]", value)
        return [item if type(item) in _PLAIN else _canonical(item) for item in items]
    if kind in _BY_TEXT:
        return [kind.__name__, str(value)]
    named = _fields_of(kind)
    if named is not None:
        held = [getattr(value, name) for name in named]
        return [kind.__name__, *[item if type(item) in _PLAIN else _canonical(item) for item in held]]
    match value:
        case Enum():
            return [kind.__name__, value.name]
        case int() | str():
            return value
        case Fraction() | Decimal():
            return ["number", str(Fraction(value))]
        case date():
            return ["date", value.isoformat()]
        case frozenset():
            return ["set", *sorted((_canonical(item) for item in value), key=repr)]
    raise TypeError(f"no canonical form for {kind.__name__}")


@cache
def _fields_of(kind: type) -> tuple[str, ...] | None:
    """Return the names of a frozen value's fields, None for what is written otherwise."""
    if not is_dataclass(kind) or issubclass(kind, Enum):
        return None
    return tuple(field.name for field in fields(kind))
