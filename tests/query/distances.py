"""How far vectors are apart, and how far they may be, in whole numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleanroom.query.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Sequence


def squared_distance(one: Sequence[int], other: Sequence[int]) -> int:
    """Return ‖one - other‖² in whole numbers."""
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))


def squared_diameter(a_plan: Plan) -> int:
    """Return D²: what removing a person from one table may change (S2), stated here apart from the product."""
    square = a_plan.bounds.norm**2
    one_number = a_plan.bounds.cells * len(a_plan.bounds.components) == 1 and not a_plan.bounds.distinct_keys
    signed = any(component.lower < 0 for component in a_plan.bounds.components)
    if len(a_plan.tables) == 1 or (one_number and not signed):
        return square
    return 4 * square if signed else 2 * square
