"""Read a zCDP loss as an epsilon at a delta, tight and never understated, by OpenDP's conversion or its theorem.

Canonne, Kamath and Steinke 2020, section 2.3: of rho-zCDP follows (epsilon, delta)-DP by any order 1 + t.
"""

from __future__ import annotations

import math
import sys
from decimal import ROUND_CEILING, Context, Decimal
from fractions import Fraction
from functools import cache, lru_cache
from typing import Any, Final, final

_OPENDP_MAX_RHO: Final = Fraction(2**14)
_OPENDP_LEAST_ORDER: Final = 0.01
"""OpenDP tries no order below 1.01: where the best one is lower it overstates epsilon by up to 1 %, and from a rho of
some 7e4 on it overflows there in exp((alpha - 1) * alpha * rho)."""

_OPENDP_DELTA_SLACK: Final = Fraction(1, 2**46)
"""See `least_epsilon`."""

_OPENDP_MOSTLY_ABOVE: Final = 0.63
"""How many rounding errors OpenDP's epsilon lies above the formula's, half of the time; a start, no more."""

_FEW_FLOATS: Final = 4
"""To how many floats an epsilon is known for most budgets. In 12,000 pairs of rho and delta, those where OpenDP's delta
does not fall from each float to the next were known to 7 or more."""

_NEWTON_STEPS: Final = 60
_NEWTON_ENDS: Final = 1e-9
"""A step this small leaves an error of its square, and of the epsilon the square of that."""


def float_up(value: Fraction) -> float:
    """Return the least float that is no smaller than `value`, which must be within the floats' range."""
    near = float(value)
    numerator, denominator = near.as_integer_ratio()
    enough = numerator * value.denominator >= value.numerator * denominator
    return near if enough else math.nextafter(near, math.inf)


def float_down(value: Fraction) -> float:
    """Return the largest float that is no larger than `value`, which must be within the floats' range."""
    near = float(value)
    numerator, denominator = near.as_integer_ratio()
    within = numerator * value.denominator <= value.numerator * denominator
    return near if within else math.nextafter(near, -math.inf)


def least_epsilon(rho: Fraction, delta: Fraction) -> float:
    """Return an epsilon such that rho-zCDP implies (epsilon, delta)-DP: tight, never understated.

    OpenDP's conversion (`make_zCDP_to_approxDP`; Canonne, Kamath and Steinke 2020, section 2.3), and the same
    theorem evaluated here where OpenDP's search is loose or overflows. The float error is bounded by direction: rho
    enters rounded up, OpenDP's delta(epsilon) rounds up at every step but one, and the epsilon found is asked again for
    its delta and raised until that is at most `delta`. The one step is its 1/alpha, rounded to nearest: it moves
    ln(delta) by at most 2^-53 alpha / (alpha - 1) ≤ 101 * 2^-53 < `_OPENDP_DELTA_SLACK`, so delta is asked for lowered
    by that factor, rounded down.

    Args:
        rho: more than 0.
        delta: more than 0, less than 1.
    """
    if rho > _OPENDP_MAX_RHO or _best_order_is_below(2 * _OPENDP_LEAST_ORDER, float(rho), float_down(delta)):
        order = _best_order(float(rho), float_down(delta))
        if rho > _OPENDP_MAX_RHO or order < _OPENDP_LEAST_ORDER:
            return _epsilon_above(rho, delta, order)
    profile = _Profile(_privacy_profile(rho))
    at_delta = float_down(delta * (1 - _OPENDP_DELTA_SLACK))
    epsilon = _searched_epsilon(profile, float_up(rho), at_delta)
    while profile.delta(epsilon) > at_delta:
        epsilon = math.nextafter(epsilon, math.inf)
    return epsilon


@lru_cache(maxsize=64)
def _privacy_profile(rho: Fraction) -> Any:
    """Return OpenDP's privacy profile of a Gaussian mechanism that costs `rho` or a few ulps more.

    It is kept: one loss is read at the deltas of several accounts.
    """
    unit_noise, converted = _unit_noise()
    distance = math.sqrt(2 * float_up(rho))
    while Fraction(float(unit_noise.map(distance))) < rho:
        distance = math.nextafter(distance, math.inf)
    return converted.map(distance)


@cache
def _unit_noise() -> tuple[Any, Any]:
    """Return OpenDP's Gaussian mechanism of scale 1, in zCDP and in approximate differential privacy."""
    import opendp.prelude as dp

    dp.enable_features("contrib")
    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l2_distance(T="f64")
    unit_noise: Any = dp.m.make_gaussian(*space, scale=1.0)
    return unit_noise, dp.c.make_zCDP_to_approxDP(unit_noise)


@final
class _Profile:
    """OpenDP's privacy profile, asked once for the delta of each epsilon."""

    def __init__(self, asked: Any) -> None:
        self._asked = asked
        self._deltas: dict[float, float] = {}

    def delta(self, epsilon: float) -> float:
        """Return the delta at an epsilon."""
        if epsilon not in self._deltas:
            self._deltas[epsilon] = float(self._asked.delta(epsilon))
        return self._deltas[epsilon]

    def epsilon(self, delta: float) -> float:
        """Return the epsilon at a delta by OpenDP's own search."""
        return float(self._asked.epsilon(delta))


def _searched_epsilon(profile: _Profile, rho: float, delta: float) -> float:
    """Return `profile.epsilon(delta)`, asking the profile where the answer may lie and nowhere else.

    OpenDP bisects from 0 over all floats and asks for the delta of each, some sixty times, until two floats side by
    side are left of which the greater is enough. Where the formula's least epsilon is known to a few floats, these two
    are looked for from there. Elsewhere rounding errors move the delta more than the next float does, and there may be
    several such pairs: then the same steps are taken as OpenDP takes, but the formula decides those beyond the rounding
    errors of both, if the profile agrees at either end of what is left. That the epsilon is sound rests on none of
    this: see `least_epsilon`.
    """
    about, error = least_epsilon_about(rho, delta)
    low, high = about - 2 * error, about + 4 * error
    if low <= sys.float_info.min:
        return profile.epsilon(delta)
    if error <= _FEW_FLOATS * math.ulp(about):
        found = _enough_beside_too_small(profile, delta, about + _OPENDP_MOSTLY_ABOVE * error, low, high)
        return profile.epsilon(delta) if found is None else found
    if profile.delta(low) <= delta or profile.delta(high) > delta:
        return profile.epsilon(delta)

    def too_small(epsilon: float) -> bool:
        return epsilon <= low or (epsilon < high and profile.delta(epsilon) > delta)

    below, above = 0.0, 2.0
    while too_small(above):
        above *= above
    while below < (middle := below + (above - below) / 2) < above:
        if too_small(middle):
            below = middle
        else:
            above = middle
    return above


def _enough_beside_too_small(profile: _Profile, delta: float, start: float, low: float, high: float) -> float | None:
    """Return a float that is enough and follows one that is not, the first from `start` in steps that double.

    None where there is none from `low` to `high`.
    """
    enough = profile.delta(start) <= delta
    edge, step = start, -math.ulp(start) if enough else math.ulp(start)
    while (beyond := min(max(edge + step, low), high)) != edge:
        if (profile.delta(beyond) <= delta) != enough:
            break
        edge, step = beyond, 2 * step
    else:
        return None
    below, above = (beyond, edge) if enough else (edge, beyond)
    while below < (middle := below + (above - below) / 2) < above:
        if profile.delta(middle) > delta:
            below = middle
        else:
            above = middle
    return above


def least_epsilon_about(rho: float, delta: float) -> tuple[float, float]:
    """Return the least epsilon of all orders, computed in floats, and the size of such a computation's rounding error.

    The derivative of `_epsilon_above` is zero where t² rho + ln(1 + t) = ln(1/delta). In ln t that is convex and
    growing, so Newton's steps come down to it from any t above. At the least, an error of t is one of second order.
    """
    log = -math.log(delta)
    order = math.sqrt(log / rho)
    for _ in range(_NEWTON_STEPS):
        excess = order * order * rho + math.log1p(order) - log
        step = excess / (2 * order * order * rho + order / (1 + order))
        order *= math.exp(-step)
        if step < _NEWTON_ENDS:
            break
    epsilon = (1 + order) * rho + (log - math.log1p(order)) / order - math.log1p(1 / order)
    return epsilon, (epsilon + (1 + log) * (1 + 1 / order) / order) * sys.float_info.epsilon


def _best_order_is_below(order: float, rho: float, delta: float) -> bool:
    """Return whether the best order is less than 1 + `order`: see `least_epsilon_about`."""
    return order * order * rho + math.log1p(order) > -math.log(delta)


def _epsilon_above(rho: Fraction, delta: Fraction, order: float) -> float:
    """Return the conversion by one order, 1 + `order`, rounded up: sound at any, tight at the best.

    For every order 1 + t, t > 0, rho-zCDP implies (epsilon, delta)-DP with
    epsilon = (1 + t) rho + ln(1/delta) / t + ln t - (1 + t) / t * ln(1 + t)
    (Canonne, Kamath and Steinke 2020, section 2.3, solved for epsilon). The sum is taken with 60 decimal digits; for
    t ≥ 1e-9, as `_best_order` keeps it, no term exceeds 1e20, so the error is below 1e-38, and 1e-30 is added before
    rounding up to a float.
    """
    digits = Context(prec=60)
    t = Decimal(order)
    above = digits.add(Decimal(1), t)
    terms = (
        digits.multiply(above, digits.divide(Decimal(rho.numerator), Decimal(rho.denominator))),
        digits.divide(digits.ln(digits.divide(Decimal(delta.denominator), Decimal(delta.numerator))), t),
        digits.ln(t),
        digits.minus(digits.multiply(digits.divide(above, t), digits.ln(above))),
        Decimal("1e-30"),
    )
    total = Decimal(0)
    for term in terms:
        total = digits.add(total, term)
    return float_up(Fraction(max(total, Decimal(0)).quantize(Decimal("1e-30"), ROUND_CEILING, digits)))


def _best_order(rho: float, delta: float) -> float:
    """Return about the t that gives the least epsilon, by golden-section search over ln t."""
    ratio = (math.sqrt(5) - 1) / 2
    low, high = math.log(1e-9), math.log(1e12)
    for _ in range(90):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if _epsilon_at(math.exp(left), rho, delta) <= _epsilon_at(math.exp(right), rho, delta):
            high = right
        else:
            low = left
    return math.exp((low + high) / 2)


def _epsilon_at(order: float, rho: float, delta: float) -> float:
    return (1 + order) * rho - math.log(delta) / order + math.log(order) - (1 + order) / order * math.log1p(order)
