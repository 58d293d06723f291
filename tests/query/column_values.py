"""Values of a column: such as its declaration says, and such as a file may hold all the same."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

from cleanroom.catalog import (
    Category,
    Date,
    Number,
    Text,
)

if TYPE_CHECKING:
    from cleanroom.catalog import ColumnType


EXTREMES = (-(2**63), -(2**31), -1, 0, 1, 5, 2**31 - 1, 2**63 - 1)


def hostile_value(rng: Random, kind: ColumnType) -> Any:
    """Return a value that a member's file might hold, whatever the catalog says; often an ordinary one."""
    if rng.random() < 0.12:
        return None
    odd = rng.random() < 0.2
    match kind:
        case Category(domain=domain):
            return rng.choice(("ailleurs", "", "NORD")) if odd else rng.choice(domain)
        case Text():
            return rng.choice(("web", "guichet", "", "l'été"))
        case Date(lower=lower, upper=upper):
            return rng.choice((-(2**31), 0, 2**31 - 1, upper + 1)) if odd else rng.randrange(lower, upper + 1)
        case Number(lower=lower, upper=upper):
            return rng.choice(EXTREMES) if odd else rng.choice((lower, upper, rng.randrange(lower, upper + 1)))
    raise AssertionError(kind)


def clean_value(rng: Random, kind: ColumnType) -> Any:
    """Return a value as the catalog declares it."""
    if kind.nullable and rng.random() < 0.25:
        return None
    match kind:
        case Category(domain=domain):
            return rng.choice(domain)
        case Text():
            return rng.choice(("web", "guichet"))
        case Date(lower=lower, upper=upper) | Number(lower=lower, upper=upper):
            return rng.choice((lower, upper, rng.randrange(lower, upper + 1), rng.randrange(lower, upper + 1)))
    raise AssertionError(kind)
