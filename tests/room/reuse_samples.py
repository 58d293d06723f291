"""What tells an answer that was stored from one that was drawn."""

from __future__ import annotations

from typing import Any

import pytest

from cleanroom.query.reuse import Source
from cleanroom.storage.partition_store import PartitionStore

Patch = pytest.MonkeyPatch

COUNT = "SELECT region, COUNT(DISTINCT person) AS n FROM theatre_fleuve.visits GROUP BY region"


def numbers(answer: Any) -> str:
    """Return all that a table says; a text, in which what is withheld equals itself."""
    return str(answer.table.to_csv())


def free(answer: Any) -> bool:
    return set(answer.sources) == {Source.STORED} and all(
        cost.rho == "0" and cost.epsilon == 0 and cost.rho_before == cost.rho_after for cost in answer.cost
    )


def no_data(patch: Patch) -> None:
    def fail(*_: object, **__: object) -> Any:
        raise AssertionError("data was opened")

    patch.setattr(PartitionStore, "open", fail)
