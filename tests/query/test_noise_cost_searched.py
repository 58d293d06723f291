"""Of any statistics, keys and weights the second way finds what the pricing charged, to the step."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pure_plans
import test_pricing
from hypothesis import given, settings
from hypothesis import strategies as st
from rooms import TNM
from searches import LIMITS
from test_pricing import KEYS, STATISTICS

from cleanroom.identifiers import Digest
from cleanroom.query.precision import Epsilon
from cleanroom.query.reuse import Anew
from cleanroom.room.charge import release_details
from cleanroom.room.noise_cost import recorded
from cleanroom.room.recorded_noise import Part
from cleanroom.room.stored_releases import DueRelease

if TYPE_CHECKING:
    from cleanroom.query.plan import Plan
    from cleanroom.query.pricing import Priced

STATISTIC_LISTS = st.lists(st.sampled_from(STATISTICS), min_size=1, unique=True)
EPSILONS = st.sampled_from(("0.05", "0.3", "2")).map(Decimal)
WEIGHTS = st.lists(st.sampled_from((1, 2, 100)), min_size=7, max_size=7)


def is_found_again(plans: tuple[Plan, ...], found: Priced, pure: set[str]) -> None:
    each = zip(plans, found.noises, found.paid, strict=True)
    details = [
        release_details(plan, DueRelease(Digest.of(b""), b"", (), Anew(noise, paid))) for plan, noise, paid in each
    ]
    held = recorded(json.loads(json.dumps(details)), pure)
    charges = {str(charge.account): charge for charge in found.charges}
    assert held.due.keys() == charges.keys()
    for account, due in held.due.items():
        assert not due.impure
        assert due.steps == charges[account].loss.pico, account
        assert due.delta <= charges[account].delta_threshold
        assert (Part.KEYS in due.parts) == bool(due.delta) == bool(charges[account].delta_threshold)


@given(STATISTIC_LISTS, st.sampled_from(KEYS), st.booleans(), st.sampled_from((0, 20)), EPSILONS, WEIGHTS)
@settings(LIMITS, max_examples=100)
def test_what_is_charged_is_found_again(
    listed: list[Any], keys: tuple[Any, ...], two: bool, threshold: int, epsilon: Decimal, weights: list[int]
) -> None:
    shares = tuple(map(Fraction, weights[: len(listed)]))
    first = test_pricing.asked(tuple(listed), keys, two=two, threshold=threshold, shares=shares)
    plans = (first, test_pricing.asked(STATISTICS[:1], (), two=not two))
    is_found_again(plans, test_pricing.prices(list(plans), Epsilon(epsilon)), set())


@given(STATISTIC_LISTS, st.booleans(), st.sampled_from((0, 20)), EPSILONS, WEIGHTS, st.booleans())
@settings(LIMITS, max_examples=100)
def test_what_is_charged_purely_is_found_again(
    listed: list[Any], two: bool, threshold: int, epsilon: Decimal, weights: list[int], both: bool
) -> None:
    shares = tuple(map(Fraction, weights[: len(listed)]))
    first = pure_plans.asked(tuple(listed), two=two, threshold=threshold, shares=shares)
    plans = (first, pure_plans.asked(STATISTICS[1:2], two=not two))
    pure = set(pure_plans.TABLES) if both else {TNM}
    is_found_again(plans, pure_plans.priced(plans, Epsilon(epsilon), pure), set(map(str, pure)))
