"""Turn the precision asked for into a noise scale and what each account pays for it.

`epsilon` bounds the largest charge that any account of the question gets, read at the smallest conversion delta of the
tables touched (docs/adr/0003). `margin` asks for the least such charge at which every count and sum has a 95 % margin
of at most so many of its unit. Without either, the strictest default of the rules.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final

from cleanroom.accounting.account import Charge
from cleanroom.accounting.accountant import ReleaseNorm, VectorShape, charges, scale_for
from cleanroom.accounting.privacy_loss import (
    InvalidPrivacyParameter,
    PrivacyLossOverflow,
    Rho,
    checked_epsilon,
    epsilon_of,
    rho_for,
)
from cleanroom.errors import Refused
from cleanroom.identifiers import TableName
from cleanroom.policies import AnalysisRule, BudgetTerms
from cleanroom.query.bound import Bounds, Component, Measured
from cleanroom.query.noise import NORMAL_975, margin95
from cleanroom.query.plan import Plan
from cleanroom.query.refusals import refusal
from cleanroom.query.statistics import CountPersons, Mean, Sum

LARGEST_MARGIN: Final = Decimal(10) ** 15


@dataclass(frozen=True, slots=True)
class Epsilon:
    """As much accuracy as this epsilon pays for."""

    value: Decimal


@dataclass(frozen=True, slots=True)
class Margin:
    """A 95 % margin of at most this, in each value's unit."""

    value: Decimal


@dataclass(frozen=True, slots=True)
class Default:
    """The rules' default epsilon."""


Precision = Epsilon | Margin | Default


def precision(*, epsilon: object = None, margin: object = None) -> Precision:
    """Read the precision of a call.

    Args:
        epsilon: a number above 0, or None.
        margin: a number above 0, in the values' unit, or None.

    Raises:
        Refused: both, or not a finite positive number (texts and booleans are none).
    """
    if epsilon is not None and margin is not None:
        raise _refused("epsilon ou margin, pas les deux", "epsilon or margin, not both")
    if epsilon is not None:
        try:
            return Epsilon(checked_epsilon(_number(epsilon, "epsilon")))
        except InvalidPrivacyParameter as error:
            raise Refused((refusal("precision", why_fr=error.message.fr, why_en=error.message.en),)) from None
    if margin is not None:
        value = _number(margin, "margin")
        if not 0 < value <= LARGEST_MARGIN:
            raise _refused("margin est un nombre positif", "margin is a positive number")
        return Margin(value)
    return Default()


def _number(value: object, name: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise _refused(f"{name} est un nombre", f"{name} is a number")
    if isinstance(value, int) and abs(value) > 10**30:
        raise _refused(f"{name} est trop grand", f"{name} is too large")
    number = value if isinstance(value, Decimal) else Decimal(repr(float(value) if isinstance(value, float) else value))
    if not number.is_finite():
        raise _refused(f"{name} est un nombre fini", f"{name} is a finite number")
    if number and (abs(number.adjusted()) > 30 or len(number.as_tuple().digits) > 40):
        # Its fraction would be 10 to that power, however long that takes.
        raise _refused(
            f"{name} a un exposant ou des chiffres de trop", f"{name} has too large an exponent or too many digits"
        )
    return number


@dataclass(frozen=True, slots=True)
class Priced:
    """The noise of a question and its price.

    Args:
        scale: standard deviation parameter of the discrete Gaussian, in lattice steps.
        charges: what the room and each table pay.
        epsilon: the largest of them, as an epsilon at the smallest conversion delta.
    """

    scale: float
    charges: tuple[Charge, ...]
    epsilon: float


def price(
    plan: Plan,
    wanted: Precision,
    rules: Mapping[TableName, AnalysisRule],
    budgets: Mapping[TableName, BudgetTerms],
) -> Priced:
    """Price a plan.

    Raises:
        Refused: over an owner's limit a question, or a margin that cannot be promised.
    """
    norm = ReleaseNorm(plan.bounds.norm, shape_of(plan.bounds))
    delta = min(budget.delta for budget in budgets.values()) / 2
    alone = len(plan.tables) == 1
    match wanted:
        case Margin(value=margin):
            scale = _scale_for_margin(plan, Fraction(margin))
        case Epsilon(value=epsilon):
            scale = _scale_for_epsilon(norm, epsilon, delta, alone=alone)
        case Default():
            epsilon = min(rule.default_epsilon for rule in rules.values())
            scale = _scale_for_epsilon(norm, epsilon, delta, alone=alone)
    try:
        paid = charges(norm, scale=Fraction(scale), tables=frozenset(plan.tables))
    except PrivacyLossOverflow:
        raise _refused("cette précision dépasse tout budget", "this precision exceeds any budget") from None
    largest = max(charge.rho for charge in paid)
    over = [
        refusal(
            "epsilon_over_limit",
            owner=table.owner,
            table=table,
            limit=rule.max_epsilon_per_question,
            hint=(f"--epsilon {rule.max_epsilon_per_question}", f"--epsilon {rule.max_epsilon_per_question}"),
        )
        for table, rule in sorted(rules.items())
        if rule.max_epsilon_per_question is not None and largest > rho_for(rule.max_epsilon_per_question, delta)
    ]
    if over:
        raise Refused(tuple(over))
    return Priced(scale, paid, epsilon_of(largest, delta))


def shape_of(bounds: Bounds) -> VectorShape:
    """Return what is known of a person's vector under these bounds (S2)."""
    if bounds.signed:
        return VectorShape.SIGNED
    return VectorShape.ONE_NON_NEGATIVE if bounds.one_entry else VectorShape.NON_NEGATIVE


def unit_of(component: Component, resolutions: Mapping[int, Decimal]) -> Fraction:
    """Return the value of one lattice step of a component, in the answer's unit."""
    resolution = Decimal(1) if component.column is None else resolutions[component.column]
    if component.measured is Measured.MEAN_ROWS:
        resolution = Decimal(1)
    return Fraction(resolution) / component.steps


def resolutions_of(plan: Plan) -> dict[int, Decimal]:
    """Return the resolution of each column that is added up."""
    return {
        statistic.column: statistic.resolution for statistic in plan.statistics if isinstance(statistic, (Sum, Mean))
    }


def _scale_for_epsilon(norm: ReleaseNorm, epsilon: Decimal, delta: Fraction, *, alone: bool) -> float:
    rho: Rho = rho_for(epsilon, delta)
    if not rho.pico:
        raise _refused("cet epsilon est trop petit pour une réponse", "this epsilon is too small for any answer")
    return scale_for(norm=norm.norm, shape=norm.shape, tables_alone=alone, rho=rho)


def _scale_for_margin(plan: Plan, margin: Fraction) -> float:
    """Return the greatest scale at which each count and sum asked for keeps the margin."""
    resolutions = resolutions_of(plan)
    steps: list[Fraction] = []
    asked = {Measured.TOTAL, Measured.ROWS} | ({Measured.PERSONS} if _counts_persons(plan) else set())
    for component in plan.bounds.components:
        if component.measured in {Measured.MEAN_ROWS, Measured.MEAN_TOTAL}:
            raise _refused(
                "la marge d'une moyenne dépend du nombre de lignes ; donnez epsilon",
                "the margin of a mean depends on the number of rows; give epsilon",
            )
        if component.measured in asked:
            steps.append(margin / unit_of(component, resolutions))
    least = min(steps)
    scale = float(least) / NORMAL_975
    while scale > 0 and margin95(scale) > least:
        scale *= 1 - 2.0**-16
    if scale < 1e-3 or not math.isfinite(scale):
        raise _refused("cette marge est trop petite", "this margin is too small")
    return scale


def _counts_persons(plan: Plan) -> bool:
    return any(isinstance(statistic, CountPersons) for statistic in plan.statistics)


def _refused(fr: str, en: str) -> Refused:
    return Refused((refusal("precision", why_fr=fr, why_en=en),))
