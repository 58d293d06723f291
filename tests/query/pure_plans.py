"""Plans of pure questions, their price, and the law of their noise."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from open_rules import open_rule
from rooms import TNM
from slow_vector import planned
from test_pricing import KEYS, STATISTICS

from cleanroom.identifiers import TableName
from cleanroom.policies import BudgetTerms
from cleanroom.policies.rule import SpendingWindow
from cleanroom.query.algebra import Scan, Semi
from cleanroom.query.plan import Plan
from cleanroom.query.precision import Precision
from cleanroom.query.pricing import Priced, price

FALSE_ALARM = 1e-9
SUMS = STATISTICS[:5]
TABLES = (TNM, TableName.parse("francos.visits"))


def distance(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    return sum(abs(a - b) for a, b in zip(one, other, strict=True))


def furthest(a_plan: Plan) -> int:
    """Return how far leaving one table may move the vector in L1, stated here apart from the product (S2, S11)."""
    one_number = a_plan.bounds.cells * len(a_plan.bounds.components) == 1
    signed = any(component.lower < 0 for component in a_plan.bounds.components)
    return a_plan.bounds.norm * (1 if len(a_plan.tables) == 1 or (one_number and not signed) else 2)


def priced(plans: tuple[Plan, ...], wanted: Precision, pure: set[TableName], *, limit: str | None = None) -> Priced:
    rule = open_rule(limit=limit)
    tables = {table for plan in plans for table in plan.tables}
    budgets = {
        table: BudgetTerms(Decimal(20), Fraction(0) if table in pure else Fraction(1, 10**7), SpendingWindow.NEVER)
        for table in tables
    }
    return price(plans, wanted, dict.fromkeys(tables, rule), budgets)


def asked(listed: tuple[object, ...], *, two: bool, threshold: int = 0, shares: tuple[Fraction, ...] = ()) -> Plan:
    a_plan = planned(KEYS[1], listed, 3, 2, threshold, shares=shares, pure=True)
    both = Semi(Scan(TNM, ("c0", "c1", "c2")), Scan(TABLES[1], ()))
    return replace(a_plan, relation=both) if two else a_plan


def lies_within(counted: Counter[int], scale: float, many: int) -> bool:
    """Hold P(|noise| ≤ a) for a few a against what was drawn, by Hoeffding's bound at 1e-9 together."""
    q = math.exp(-1 / scale)
    places = [0, int(scale / 2), int(scale), int(2 * scale), int(3 * scale)]
    slack = math.sqrt(math.log(2 * len(places) / FALSE_ALARM) / (2 * many))
    for a in places:
        inside = sum(count for value, count in counted.items() if abs(value) <= a)
        if abs(inside / many - (1 - 2 * q ** (a + 1) / (1 + q))) > slack:
            return False
    return True
