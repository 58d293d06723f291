"""Turn the precision asked for into noise scales and what each account pays for them.

`epsilon` bounds the largest charge that any account of the question gets, read at the smallest conversion delta of the
tables touched (docs/adr/0003). `margin` asks for the least such charge at which every count and sum has a 95 % margin
of at most so many of its unit. Without either, the strictest default of the rules.

That charge is shared out by weights (`query.weights`), equally if none are given: each statistic of the vector, each
quantile and the threshold on unknown keys, which weighs 1, gets its part, and the vector the parts of its statistics
together, since one vector serves them all at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Final

from cleanroom.accounting.account import Charge, combined
from cleanroom.accounting.accountant import Reach, charges_of, least_pure_scale, least_scale
from cleanroom.accounting.privacy_loss import PrivacyLossOverflow, PureEpsilon, Rho, epsilon_of, rho_for, shown_epsilon
from cleanroom.errors import Refused
from cleanroom.identifiers import TableName
from cleanroom.policies import AnalysisRule, BudgetTerms
from cleanroom.query.bound import Bounds
from cleanroom.query.choosing import aim, pulls
from cleanroom.query.estimates import units_of
from cleanroom.query.key_threshold import least_threshold
from cleanroom.query.mechanisms import (
    ChoiceNoise,
    KeyNoise,
    Noise,
    choice_reach,
    draws,
    keys_reach,
    quantile_reaches,
    quantile_rounds,
    vector_reach,
    widest_scale,
)
from cleanroom.query.plan import Plan
from cleanroom.query.precision import Default, Epsilon, Margin, Precision, not_precise
from cleanroom.query.refusals import at_each_door, refusal
from cleanroom.query.statistics import CountPersons, CountRows, Quantile, Sum

QUESTIONS_OF_A_DELTA: Final = 256
"""One question's threshold takes so small a part of what a table grants for thresholds; it costs little precision."""


CHOICE_SHARE: Final = Fraction(1, 8)
"""Of a statistic's part, for the choice of a bound; a bound near the best costs little (docs/accuracy.md)."""


@dataclass(frozen=True, slots=True)
class Priced:
    """The noise of a question and its price.

    Args:
        noises: for each release the scales of its mechanisms.
        paid: for each release what the room and each table pay.
        charges: what they pay together.
        epsilon: the largest of these, as an epsilon at the smallest conversion delta.
    """

    noises: tuple[Noise, ...]
    paid: tuple[tuple[Charge, ...], ...]
    charges: tuple[Charge, ...]
    epsilon: float


def price(
    plans: tuple[Plan, ...],
    wanted: Precision,
    rules: Mapping[TableName, AnalysisRule],
    budgets: Mapping[TableName, BudgetTerms],
) -> Priced:
    """Price the releases of a question; one epsilon is shared out over the parts of all of them.

    Raises:
        Refused: over an owner's limit a question, or a margin that cannot be promised.
    """
    delta = min(budget.delta for budget in budgets.values()) / 2
    if delta == 0:
        return _price_purely(plans, wanted, rules, frozenset(table for table, each in budgets.items() if each.pure))
    match wanted:
        case Margin(value=margin):
            shares = [_share_for_margin(plan, Fraction(margin)) for plan in plans]
        case Epsilon(value=epsilon):
            shares = [_share_for_epsilon(plans, epsilon, delta)] * len(plans)
        case Default():
            epsilon = min(rule.default_epsilon for rule in rules.values())
            shares = [_share_for_epsilon(plans, epsilon, delta)] * len(plans)
    each_delta = delta / (QUESTIONS_OF_A_DELTA * len(plans))
    noises = tuple(_noise(plan, share, each_delta) for plan, share in zip(plans, shares, strict=True))
    try:
        each = tuple(
            charges_of(draws(plan.bounds, noise), frozenset(plan.tables))
            for plan, noise in zip(plans, noises, strict=True)
        )
        paid = combined(charge for charges in each for charge in charges)
    except PrivacyLossOverflow:
        raise not_precise("cette précision dépasse tout budget", "this precision exceeds any budget") from None
    largest = max(charge.rho for charge in paid)
    _require_limits(rules, lambda limit: largest > rho_for(limit, delta))
    return Priced(noises, each, paid, epsilon_of(largest, delta))


def _require_limits(rules: Mapping[TableName, AnalysisRule], exceeds: Callable[[Decimal], bool]) -> None:
    """Refuse a question that exceeds what an owner allows one question."""
    over = [
        refusal(
            "epsilon_over_limit",
            owner=table.owner,
            table=table,
            limit=rule.max_epsilon_per_question,
            hint=at_each_door(*[f"{{epsilon:{rule.max_epsilon_per_question}}}"] * 2),
        )
        for table, rule in sorted(rules.items())
        if rule.max_epsilon_per_question is not None and exceeds(rule.max_epsilon_per_question)
    ]
    if over:
        raise Refused(tuple(over))


def _price_purely(
    plans: tuple[Plan, ...],
    wanted: Precision,
    rules: Mapping[TableName, AnalysisRule],
    pure: AbstractSet[TableName],
) -> Priced:
    """Price a question with a pure table: discrete Laplace noise on L1 norms, one epsilon shared out by weights (S11).

    An epsilon with delta 0 is one at every delta, so it bounds what the zCDP accounts lose as well; they are charged
    epsilon²/2 for each release.
    """
    match wanted:
        case Margin(value=margin):
            noises = tuple(_pure_noise_for_margin(plan, Fraction(margin)) for plan in plans)
        case Epsilon(value=epsilon):
            noises = _pure_noises(plans, epsilon)
        case Default():
            noises = _pure_noises(plans, min(rule.default_epsilon for rule in rules.values()))
    try:
        drawn = [draws(plan.bounds, noise) for plan, noise in zip(plans, noises, strict=True)]
        each = tuple(charges_of(due, frozenset(plan.tables), pure) for plan, due in zip(plans, drawn, strict=True))
        paid = combined(charge for charges in each for charge in charges)
        # As if every table were pure: what the dearest would count.
        all_pure = combined(
            charge
            for plan, due in zip(plans, drawn, strict=True)
            for charge in charges_of(due, frozenset(plan.tables), frozenset(plan.tables))[1:]
        )
    except PrivacyLossOverflow:
        raise not_precise("cette précision dépasse tout budget", "this precision exceeds any budget") from None
    largest = max(charge.loss.pico for charge in all_pure)
    _require_limits(rules, lambda limit: largest > PureEpsilon.at_most(Fraction(limit)).pico)
    return Priced(noises, each, paid, shown_epsilon(PureEpsilon(largest), Fraction(0)))


def _pure_noises(plans: tuple[Plan, ...], epsilon: Decimal) -> tuple[Noise, ...]:
    """Return the scales at which an epsilon is shared out over the parts of all releases."""
    part = _pure_share(epsilon, len(plans)) / sum((_parts(plan) for plan in plans), Fraction(0))
    return tuple(_pure_noise(plan, part) for plan in plans)


def _pure_noise_for_margin(plan: Plan, margin: Fraction) -> Noise:
    """Return the scales of the greatest noise on the vector that keeps a margin, and what a part costs then."""
    scale = _scale_for_margin(plan, margin)
    loss = Fraction(vector_reach(plan.bounds).largest(tables_alone=len(plan.tables) == 1)) / Fraction(scale)
    # The least scale that costs exactly this loss is the one that it was computed from.
    return _pure_noise(plan, loss / _vector_share(plan))


def _settled_purely(plan: Plan, bounds: Bounds, part: Fraction) -> Noise:
    """Return the least scales at which a vector and readings of quantiles with these bounds cost their parts."""
    alone = len(plan.tables) == 1
    vector = None
    if bounds.components:
        vector = least_pure_scale(vector_reach(bounds), tables_alone=alone, epsilon=part * _vector_share(plan))
    quantiles = tuple(
        least_pure_scale(
            reach, tables_alone=alone, epsilon=part * _weight(plan, each.statistic) / quantile_rounds(each)
        )
        for reach, each in zip(quantile_reaches(bounds), bounds.quantiles, strict=True)
    )
    return Noise(vector, quantiles)


def _pure_noise(plan: Plan, part: Fraction) -> Noise:
    """Return the scales of a pure release, whatever bound is chosen.

    Args:
        part: the epsilon of one part.
    """
    widest, choice = _settled_purely(plan, plan.bounds, part), plan.bounds.choice
    if choice is None:
        return widest
    alone = len(plan.tables) == 1
    choosing = least_pure_scale(choice_reach(choice), tables_alone=alone, epsilon=part * CHOICE_SHARE)
    narrower = tuple(_settled_purely(plan, each, part) for each in choice.bounds[:-1])
    # Noise of this scale on one number strays by the root of two of it.
    stray = choosing * math.sqrt(2)
    target = aim(plan.bounds, widest.vector, stray, widest.quantiles)
    chosen = ChoiceNoise(choosing, target, pulls(choice, stray), (*narrower, widest))
    return replace(widest, choice=chosen)


def _pure_share(epsilon: Decimal, plans: int) -> Fraction:
    """Return the exact epsilon that releases may share, so that each rounded up to a step is within `epsilon`."""
    whole = PureEpsilon.at_most(Fraction(epsilon)).pico - (plans - 1)
    if whole <= 0:
        raise not_precise("cet epsilon est trop petit pour une réponse", "this epsilon is too small for any answer")
    return PureEpsilon(whole).as_fraction()


def _weight(plan: Plan, statistic: int) -> Fraction:
    return plan.bounds.shares[statistic] if plan.bounds.shares else Fraction(1)


def _vector_share(plan: Plan) -> Fraction:
    """Return the vector's parts: its statistics' weights, half a one if only the owners' threshold needs it."""
    if not plan.bounds.components:
        return Fraction(0)
    summed = [_weight(plan, place) for place, each in enumerate(plan.statistics) if not isinstance(each, Quantile)]
    return sum(summed, Fraction(0)) if summed else Fraction(1, 2)


def _parts(plan: Plan) -> Fraction:
    quantiles = sum((_weight(plan, each.statistic) for each in plan.bounds.quantiles), Fraction(0))
    choice = CHOICE_SHARE if plan.bounds.choice is not None else 0
    return _vector_share(plan) + quantiles + bool(plan.bounds.distinct_keys) + choice


def _noise(plan: Plan, each: _Share, delta: Fraction) -> Noise:
    """Return the scales at which every part costs the dearest account at most its share, whatever bound is chosen."""
    widest = _settled_noise(plan, each, delta)
    choice = plan.bounds.choice
    if choice is None:
        return widest
    scale = least_scale(choice_reach(choice), tables_alone=len(plan.tables) == 1, rho=each.rho * CHOICE_SHARE)
    narrower = tuple(
        replace(
            _settled_noise(
                plan.settled(place), _Share(each.rho, keys=None if widest.keys is None else widest.keys.scale), delta
            ),
            keys=widest.keys,
        )
        for place in range(len(choice.candidates) - 1)
    )
    target = aim(plan.bounds, widest.vector, scale, widest.quantiles)
    return replace(widest, choice=ChoiceNoise(scale, target, pulls(choice, scale), (*narrower, widest)))


def _settled_noise(plan: Plan, each: _Share, delta: Fraction) -> Noise:
    alone = len(plan.tables) == 1

    def scale(reach: Reach, parts: Fraction = Fraction(1)) -> float:
        return least_scale(reach, tables_alone=alone, rho=each.rho * parts)

    bounds = plan.bounds
    vector = None
    if bounds.components:
        vector = each.vector or scale(vector_reach(bounds), _vector_share(plan))
    keys = None
    if bounds.distinct_keys:
        noise = each.keys or scale(keys_reach(bounds))
        threshold = least_threshold(noise, bounds.distinct_keys * (1 if alone else 2), delta)
        if threshold is None:
            raise not_precise(
                "le delta de ces tables est trop petit pour des clés sans domaine",
                "the delta of these tables is too small for keys without a domain",
            )
        keys = KeyNoise(noise, threshold)
    quantiles = tuple(
        scale(reach, _weight(plan, each.statistic))
        for reach, each in zip(quantile_reaches(bounds), bounds.quantiles, strict=True)
    )
    return Noise(vector, quantiles, keys)


@dataclass(frozen=True, slots=True)
class _Share:
    """What one part of a question may cost its dearest account, and the scales that a margin has already fixed."""

    rho: Fraction
    vector: float | None = None
    keys: float | None = None


def _share_for_epsilon(plans: tuple[Plan, ...], epsilon: Decimal, delta: Fraction) -> _Share:
    rho: Rho = rho_for(epsilon, delta)
    # Each release's charge is rounded up to a step by itself.
    whole = rho.pico - (len(plans) - 1)
    if whole <= 0:
        raise not_precise("cet epsilon est trop petit pour une réponse", "this epsilon is too small for any answer")
    return _Share(Rho(whole).as_fraction() / sum((_parts(plan) for plan in plans), Fraction(0)))


def _share_for_margin(plan: Plan, margin: Fraction) -> _Share:
    """Return the greatest scale at which each count and sum asked for keeps the margin, and what a part costs then."""
    bounds = plan.bounds
    scale = _scale_for_margin(plan, margin)
    alone = len(plan.tables) == 1
    if bounds.counted_by_threshold:
        return _Share(keys_reach(bounds).largest(tables_alone=alone) / (2 * Fraction(scale) ** 2), keys=scale)
    loss = vector_reach(bounds).largest(tables_alone=alone) / (2 * Fraction(scale) ** 2)
    return _Share(loss / _vector_share(plan), vector=scale)


def _scale_for_margin(plan: Plan, margin: Fraction) -> float:
    """Return the greatest scale at which each count and sum asked for keeps the margin."""
    bounds = plan.bounds
    units: list[Fraction] = []
    for statistic in plan.statistics:
        if isinstance(statistic, (CountPersons, CountRows, Sum)):
            units.append(Fraction(1) if bounds.counted_by_threshold else units_of(statistic, bounds)[0])
    if not units:
        raise not_precise(
            "la marge d'une moyenne ou d'un quantile dépend des lignes ; donnez {epsilon}, ou demandez aussi un nombre",
            "the margin of a mean or a quantile depends on the rows; give {epsilon}, or ask for a count as well",
        )
    least = margin / max(units)
    scale = widest_scale(bounds, least)
    if scale < 1e-3 or not math.isfinite(scale):
        raise not_precise("cette marge est trop petite", "this margin is too small")
    return scale
