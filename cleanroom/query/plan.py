"""The plan: what a question is, apart from its spelling. Frozen, typed, with one digest."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, is_dataclass
from decimal import Decimal
from enum import Enum

from cleanroom.identifiers import Digest, TableName
from cleanroom.query.algebra import Relation, scans
from cleanroom.query.bound import BoundedQuery, Bounds
from cleanroom.query.statistics import Key, KeyOutput, Output, Statistic
from cleanroom.query.unions import TypedColumn

PLAN_LABEL = "cleanroom/plan/v1"


@dataclass(frozen=True, slots=True)
class Plan:
    """One release: a personal relation, its cells, its statistics, and one person's bound in it.

    Args:
        columns: public type and origin of each column of `relation`.
    """

    relation: Relation
    columns: tuple[TypedColumn, ...]
    keys: tuple[Key, ...]
    statistics: tuple[Statistic, ...]
    outputs: tuple[Output, ...]
    bounds: Bounds

    @property
    def tables(self) -> tuple[TableName, ...]:
        """The tables that the plan reads anywhere, sorted (S1)."""
        return tuple(sorted({scan.table for scan in scans(self.relation)}))

    def digest(self) -> Digest:
        """Return the digest of what the plan computes; labels of the answer's columns are not part of it."""
        shape = [output.key if isinstance(output, KeyOutput) else -1 - output.statistic for output in self.outputs]
        content = [PLAN_LABEL, *(_canonical(part) for part in (self.relation, self.keys, self.statistics, self.bounds))]
        return Digest.of(json.dumps([*content, shape], separators=(",", ":"), ensure_ascii=True).encode())


def plan(bounded: BoundedQuery) -> Plan:
    """Return the plan of a bounded query."""
    query = bounded.query
    return Plan(
        query.source.relation, query.source.columns, query.keys, query.statistics, query.outputs, bounded.bounds
    )


def _canonical(value: object) -> object:
    """Write a frozen value as JSON can, each node with its class, so that two different plans differ."""
    match value:
        case None | bool() | int() | str() if not isinstance(value, Enum):
            return value
        case Enum():
            return [type(value).__name__, value.name]
        case Decimal():
            return ["Decimal", str(value.normalize())]
        case TableName():
            return ["TableName", str(value)]
        case tuple():
            return [_canonical(item) for item in value]
        case _ if is_dataclass(value) and not isinstance(value, type):
            return [type(value).__name__, *(_canonical(getattr(value, field.name)) for field in fields(value))]
    raise TypeError(f"no canonical form for {type(value).__name__}")
