"""What pure questions cost: an epsilon is shared out, used up, and never exceeded (S11)."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pure_plans import SUMS, TABLES, asked, priced
from rooms import TNM
from searches import LIMITS
from test_pricing import STATISTICS

from cleanroom.accounting.account import ROOM, AccountId
from cleanroom.accounting.accountant import Draw, Reach, VectorShape, charges_of, least_pure_scale
from cleanroom.accounting.privacy_loss import InvalidPrivacyParameter, PureEpsilon, Rho
from cleanroom.errors import InvariantBroken, Refused
from cleanroom.query.mechanisms import draws, vector_margin95
from cleanroom.query.precision import Default, Epsilon, Margin
from cleanroom.query.sharing import split_of


@given(
    st.lists(st.sampled_from(STATISTICS), min_size=1, unique=True),
    st.booleans(),
    st.sampled_from((0, 20)),
    st.sampled_from(("0.05", "0.3", "2")),
    st.lists(st.sampled_from((1, 2, 100)), min_size=7, max_size=7),
)
@settings(LIMITS, max_examples=100)
def test_a_pure_epsilon_is_shared_out_and_used_up(
    listed: list[object], two: bool, threshold: int, epsilon: str, weights: list[int]
) -> None:
    shares = tuple(map(Fraction, weights[: len(listed)]))
    plans = (asked(tuple(listed), two=two, threshold=threshold, shares=shares), asked(SUMS[:1], two=False))
    found = priced(plans, Epsilon(Decimal(epsilon)), {TNM})
    by_account = {charge.account: charge.loss for charge in found.charges}
    own = by_account[AccountId(TNM)]
    limit = PureEpsilon.at_most(Fraction(epsilon))
    assert isinstance(own, PureEpsilon)
    assert limit.pico * 0.999_999 <= own.pico <= limit.pico
    # What the zCDP accounts pay: half the square of each release's epsilon, added.
    # A quantile is read in rounds, 51 candidates in six: each costs half the square of its own epsilon.
    exact = Fraction(0)
    for plan, noise in zip(plans, found.noises, strict=True):
        assert (noise.vector is None) == (not plan.bounds.components)
        if noise.vector is not None:
            exact += (Fraction(plan.bounds.norm) / Fraction(noise.vector)) ** 2 / 2
        for bound, scale in zip(plan.bounds.quantiles, noise.quantiles, strict=True):
            exact += 6 * (2 * max(bound.below, bound.above) * Fraction(bound.norm) / Fraction(scale)) ** 2 / 2
    room = by_account[ROOM]
    assert isinstance(room, Rho)
    assert exact <= room.as_fraction() <= exact + Fraction(2, 10**12)
    if two:
        assert isinstance(by_account[AccountId(TABLES[1])], Rho)
    assert not any(charge.delta_threshold for charge in found.charges)
    assert Fraction(found.epsilon) >= own.as_fraction() * Fraction(999_999, 10**6)
    split = split_of(plans, found.noises)
    assert sum(split.statistics.values(), split.threshold) == 1


@given(st.lists(st.sampled_from(SUMS[:3]), min_size=1, unique=True), st.booleans(), st.integers(2, 5_000))
@settings(LIMITS, max_examples=60)
def test_a_pure_margin_is_met_at_the_least_cost(listed: list[object], two: bool, margin: int) -> None:
    a_plan = asked(tuple(listed), two=two)
    (noise,) = priced((a_plan,), Margin(Decimal(margin)), {TNM}).noises
    assert noise.vector is not None
    steps = [float(component.step) for component in a_plan.bounds.components]
    widest = max(steps)
    assert vector_margin95(a_plan.bounds, noise.vector) * widest <= margin * (1 + 1e-12)
    assert vector_margin95(a_plan.bounds, noise.vector * (1 + 2.0**-20)) * widest > margin * (1 - 1e-12)


def test_limits_and_defaults_are_epsilons_themselves() -> None:
    a_plan = asked(SUMS[:2], two=True)
    default = priced((a_plan,), Default(), {TNM}, limit="0.5")
    assert default.epsilon == pytest.approx(0.4, rel=1e-6)
    assert priced((a_plan,), Epsilon(Decimal("0.5")), {TNM}, limit="0.5").charges
    with pytest.raises(Refused) as caught:
        priced((a_plan,), Epsilon(Decimal("0.51")), {TNM}, limit="0.5")
    assert caught.value.code == "epsilon_over_limit"
    with pytest.raises(Refused):
        priced((a_plan,), Epsilon(Decimal("1e-12")), {TNM, TABLES[1]}) and priced(
            (a_plan, a_plan), Epsilon(Decimal("1e-12")), {TNM}
        )


@given(st.integers(1, 2**62), st.booleans(), st.fractions("1/100000", 20, max_denominator=10**6))
def test_the_least_pure_scale_is_least(norm: int, alone: bool, epsilon: Fraction) -> None:
    reach = Reach(norm, norm * VectorShape.SIGNED.diameter_factor)
    scale = least_pure_scale(reach, tables_alone=alone, epsilon=epsilon)
    largest = reach.largest(tables_alone=alone)
    assert Fraction(largest) / Fraction(scale) <= epsilon < Fraction(largest) / Fraction(math.nextafter(scale, 0))


def test_gaussian_noise_pays_no_pure_account() -> None:
    with pytest.raises(InvariantBroken):
        charges_of((Draw(Reach(1, 2), Fraction(1)),), {TNM}, {TNM})
    with pytest.raises(InvalidPrivacyParameter):
        least_pure_scale(Reach(1, 2), tables_alone=True, epsilon=Fraction(0))
    a_plan = asked(SUMS[:1], two=False)
    (noise,) = priced((a_plan,), Epsilon(Decimal(1)), {TNM}).noises
    assert all(draw.pure for draw in draws(a_plan.bounds, noise))
