"""The noise of pure questions is discrete Laplace, of the scale that was priced (S11)."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import opendp.prelude as dp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pure_plans import FALSE_ALARM, SUMS, asked, lies_within, priced
from rooms import TNM
from searches import LIMITS
from slow_vector import planned

from cleanroom.accounting.accountant import Reach, charges_of, least_pure_scale
from cleanroom.accounting.privacy_loss import PureEpsilon
from cleanroom.errors import InvariantBroken
from cleanroom.query.contribution import ExactVector
from cleanroom.query.drawing import draw
from cleanroom.query.mechanisms import draws, vector_deviation, vector_margin95
from cleanroom.query.noise import add_laplace, laplace_margin95, largest_laplace_scale
from cleanroom.query.precision import Epsilon
from cleanroom.query.statistics import CategoryKey


@given(st.integers(1, 10**6), st.fractions("1/100", 10, max_denominator=1_000))
@settings(LIMITS, max_examples=60)
def test_opendp_says_what_the_exact_quotient_says(norm: int, epsilon: Fraction) -> None:
    scale = least_pure_scale(Reach(norm, norm), tables_alone=True, epsilon=epsilon)
    exact = Fraction(norm) / Fraction(scale)
    measurement = dp.m.make_laplace(dp.vector_domain(dp.atom_domain(T="i64")), dp.l1_distance(T="i64"), scale=scale)
    assert exact <= Fraction(float(measurement.map(norm))) <= exact * (1 + Fraction(1, 2**49))
    add_laplace([0, 5], norm=norm, scale=scale, charged=PureEpsilon.at_least(exact))
    with pytest.raises(InvariantBroken):
        add_laplace([0], norm=norm, scale=scale, charged=PureEpsilon(PureEpsilon.at_most(exact).pico - 1))
    with pytest.raises(InvariantBroken):
        add_laplace([0], norm=norm + norm // 1000 + 1, scale=scale, charged=PureEpsilon.at_least(exact))


def test_not_a_step_too_little_is_charged() -> None:
    """Of an epsilon of 10 000 a step is less than the slack that OpenDP's float is given: the exact check sees it."""
    whole = PureEpsilon(10**16)
    add_laplace([0], norm=10**6, scale=100.0, charged=whole)
    with pytest.raises(InvariantBroken):
        add_laplace([0], norm=10**6, scale=100.0, charged=PureEpsilon(whole.pico - 1))


@pytest.mark.parametrize("scale", [0.3, 1.0, 7.5, 400.0])
def test_laplace_noise_has_the_law_that_it_should(scale: float) -> None:
    """Counts of each value against their probabilities: of the right scale all within bounds, of a wrong one not.

    Of fewer draws a narrow scale that is a tenth too small passes once in twenty.
    """
    many = 120_000
    epsilon = PureEpsilon.at_least(1 / Fraction(scale))
    noised = Counter(add_laplace([0] * many, norm=1, scale=scale, charged=epsilon))
    assert lies_within(noised, scale, many)
    assert not lies_within(noised, scale * 1.1, many)
    assert not lies_within(noised, scale / 1.1, many)


@given(st.floats(0.05, 1e9))
def test_the_laplace_margin_is_the_least_that_holds(scale: float) -> None:
    def beyond(a: float) -> float:
        return 2 * math.exp(-(a + 1) / scale) / (1 + math.exp(-1 / scale))

    a = laplace_margin95(scale)
    assert beyond(a) <= 0.05
    assert a == 0 or beyond(a - 1) > 0.05 * (1 - 1e-6)
    bounds = replace(asked(SUMS[:1], two=False).bounds)
    assert vector_margin95(bounds, scale) == a
    if scale > 10:
        assert vector_deviation(bounds, scale) == pytest.approx(scale * math.sqrt(2), rel=0.01)


@pytest.mark.parametrize("margin", [1, 3, 50, 9_000, 10**9])
def test_no_laplace_scale_above_the_one_chosen_keeps_a_margin(margin: int) -> None:
    scale = largest_laplace_scale(Fraction(margin))
    assert laplace_margin95(scale) <= margin < laplace_margin95(scale * (1 + 2.0**-20))


def test_a_pure_draw_is_laplace() -> None:
    """Of many cells at scale s: Laplace has a third of the mass beyond s·ln 3, Gaussian noise of scale s 27 %."""
    cells = 20_000
    keys = (CategoryKey(0, tuple(f"v{place}" for place in range(cells)), nullable=False),)
    a_plan = planned(keys, SUMS[:1], 3, 1, pure=True)
    (noise,) = priced((a_plan,), Epsilon(Decimal(1)), {TNM}).noises
    assert noise.vector is not None
    room, _ = charges_of(draws(a_plan.bounds, noise), {TNM}, {TNM})
    drawn = draw(a_plan, noise, ExactVector((0,) * cells), None, room)
    beyond = sum(abs(step) > noise.vector * math.log(3) for step in drawn.steps)
    slack = math.sqrt(math.log(2 / FALSE_ALARM) / (2 * cells)) + 0.002
    assert abs(beyond / cells - 1 / 3) < slack < 1 / 3 - 0.272
