"""What a question may still cost: how often it could be asked, what it lacks, and the precision that would fit.

A function of the plan, the declarations and the ledger (S41): nothing here reads data.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from cleanroom.accounting import ledger
from cleanroom.accounting.privacy_loss import InvalidPrivacyParameter, PureEpsilon, Rho, epsilon_of, loss_for
from cleanroom.accounting.reservation import InsufficientBudget, ThresholdShortfall
from cleanroom.errors import Bilingual
from cleanroom.query.refusals import at_each_door
from cleanroom.query.release import margins_before
from cleanroom.query.statistics import CountPersons, CountRows, Sum

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from cleanroom.accounting.account import Charge
    from cleanroom.accounting.reservation import BudgetShortfall, PartyShortfall, Shortfall
    from cleanroom.identifiers import TableName
    from cleanroom.policies import Declaration
    from cleanroom.query.gate import ValidatedPlan

_SLACK: Final = Fraction(1001, 1000)
"""Scales are found within one part in 65 536, and charges rounded up to a step: a thousandth covers both."""

_DIGITS: Final = 3


@dataclass(frozen=True, slots=True)
class Possible:
    """How many such questions something still allows.

    Args:
        account: a table's name, or `room`.
        capped: whether it is the party's cap on that account, else the account itself.
    """

    account: str
    capped: bool
    questions: int


def possible(connection: sqlite3.Connection, validated: ValidatedPlan, now: int) -> tuple[Possible, ...]:
    """Return how many such questions each account and each cap of the party still allow, in their windows."""
    found = []
    for each in validated.charges:
        left = ledger.balance(connection, each.account, now).left
        found.append(Possible(str(each.account), False, left.pico // each.loss.pico))
    for cap in validated.caps:
        for each in validated.charges:
            if each.account == cap.account:
                left = ledger.party_left(connection, cap, now)
                found.append(Possible(str(cap.account), True, left.pico // each.loss.pico))
    return tuple(found)


def lacking(
    connection: sqlite3.Connection,
    validated: ValidatedPlan,
    charges: tuple[Charge, ...],
    declared: Mapping[TableName, Declaration],
    now: int,
    *,
    by_margin: bool,
) -> InsufficientBudget | None:
    """Return what a question would be refused for, with the precision that would fit; None if it can be paid.

    Args:
        charges: what is still to be paid of it.
    """
    short = ledger.shortfalls(connection, charges, validated.party, validated.caps, now)
    return explained(short, validated, declared, by_margin=by_margin) if short else None


def explained(
    short: tuple[Shortfall, ...],
    validated: ValidatedPlan,
    declared: Mapping[TableName, Declaration],
    *,
    by_margin: bool,
) -> InsufficientBudget:
    """Return the refusal of a question that does not fit, with the precision that would.

    Args:
        by_margin: whether it asked for a margin.
    """
    return InsufficientBudget(short, _hint(short, validated, declared, by_margin=by_margin))


def _hint(
    short: tuple[Shortfall, ...],
    validated: ValidatedPlan,
    declared: Mapping[TableName, Declaration],
    *,
    by_margin: bool,
) -> Bilingual | None:
    losses = [each for each in short if not isinstance(each, ThresholdShortfall)]
    if len(losses) < len(short):
        return Bilingual(
            "groupez par des colonnes à domaine déclaré : elles ne coûtent pas de delta",
            "group by columns with a declared domain: these cost no delta",
        )
    if any(each.left.pico == 0 for each in losses):
        return Bilingual(
            "il ne reste rien, à aucune précision : voyez avec le propriétaire, ou attendez la période suivante",
            "nothing is left, at any precision: talk to the owner, or wait for the next window",
        )
    stretch = max(map(_stretch, losses))
    margin = _margin_that_fits(validated, stretch)
    epsilon = None if by_margin else _epsilon_that_fits(validated, declared, stretch)
    if margin is not None:
        also = "" if epsilon is None else f", {{epsilon:{epsilon:f}}}"
        return at_each_door(
            f"±{_french(margin)} passerait : {{margin:{margin:f}}}{also}",
            f"±{margin:,f} would fit: {{margin:{margin:f}}}{also}",
        )
    if epsilon is not None:
        return at_each_door(
            f"ε {_french(epsilon)} passerait : {{epsilon:{epsilon:f}}}",
            f"ε {epsilon:f} would fit: {{epsilon:{epsilon:f}}}",
        )
    return None


def _stretch(short: BudgetShortfall | PartyShortfall) -> Fraction:
    """Return how much stronger the noise must be: an epsilon goes with its strength, a rho with the square of that."""
    ratio = Fraction(short.requested.pico, short.left.pico)
    return (ratio if isinstance(short.requested, PureEpsilon) else Fraction(math.sqrt(float(ratio)))) * _SLACK


def _margin_that_fits(validated: ValidatedPlan, stretch: Fraction) -> Decimal | None:
    """Return a margin at which no noise of the question is less than `stretch` times as strong.

    With the widest margin of the answer, that much wider, asked of all values, every vector has at least such noise,
    and every other mechanism of its release the same part of a price that is as much smaller.
    """
    widest = Fraction(0)
    for plan, noise in zip(validated.plan.releases, validated.noises, strict=True):
        if not any(isinstance(each, (CountPersons, CountRows, Sum)) for each in plan.statistics):
            return None  # a margin cannot be asked of such a release
        known = [Fraction(each) for each in margins_before(plan, noise.scale) if each is not None]
        widest = max([widest, *known])
    return _rounded(widest * stretch, ROUND_CEILING) if widest else None


def _epsilon_that_fits(
    validated: ValidatedPlan, declared: Mapping[TableName, Declaration], stretch: Fraction
) -> Decimal | None:
    """Return an epsilon at which no noise of the question is less than `stretch` times as strong."""
    delta = min(declared[table].budget.delta for table in validated.plan.tables) / 2
    if delta == 0:
        pure = max(each.loss.pico for each in validated.charges if isinstance(each.loss, PureEpsilon))
        return _rounded(PureEpsilon(pure).as_fraction() / stretch, ROUND_FLOOR)
    most = Rho.at_most(max(each.rho for each in validated.charges).as_fraction() / stretch**2)
    epsilon = _rounded(Fraction(epsilon_of(most, delta)), ROUND_FLOOR)
    try:
        return epsilon if 0 < loss_for(epsilon, delta).pico <= most.pico else None
    except InvalidPrivacyParameter:
        return None


def _rounded(value: Fraction, how: str) -> Decimal:
    number = Context(prec=_DIGITS, rounding=how).divide(Decimal(value.numerator), Decimal(value.denominator))
    return number.quantize(Decimal(1)) if number == number.to_integral_value() else number.normalize()


def _french(number: Decimal) -> str:
    return f"{number:,f}".replace(",", "\N{NARROW NO-BREAK SPACE}").replace(".", ",")
