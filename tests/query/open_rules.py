"""A rule that lets one party ask anything: what is left of it is what it costs."""

from __future__ import annotations

from decimal import Decimal

from cleanroom.identifiers import PartyId, Purpose
from cleanroom.policies import Analysis, AnalysisRule, Function


def open_rule(default: str = "0.4", limit: str | None = None) -> AnalysisRule:
    """Return a rule with these epsilons: by default, and at most for a question."""
    return AnalysisRule(
        "r",
        frozenset({PartyId("tnm")}),
        frozenset({Purpose("p")}),
        frozenset(Analysis),
        frozenset(Function),
        frozenset(),
        None,
        0,
        0,
        Decimal(default),
        None if limit is None else Decimal(limit),
        None,
    )
