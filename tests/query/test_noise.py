"""The noise is the discrete Gaussian of the scale it names, one draw a coordinate, and never cheaper than charged.

Every statistical test bounds its false alarms by 1e-9 with an inequality that holds at the sample size used, and shows
that the same statistic rejects noise that is wrong.
"""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanroom.accounting.account import ROOM
from cleanroom.accounting.accountant import ReleaseNorm, VectorShape, charges, scale_for
from cleanroom.accounting.privacy_loss import STEPS_PER_RHO, PureEpsilon, Rho
from cleanroom.errors import InvariantBroken
from cleanroom.identifiers import TableName
from cleanroom.query.noise import (
    CLAMP,
    LAPLACE_MOSTLY_NONE,
    MAP_SLACK,
    NORMAL_975,
    _float_up,
    _largest,
    add_laplace,
    add_noise,
    combined_margin95,
    combined_scale,
    laplace_margin95,
    largest_laplace_scale,
    largest_scale,
    margin95,
    noisy_max,
    weights_of,
)

FALSE_ALARM = 1e-9
TABLE = TableName.parse("tnm.visits")


def drawn(count: int, scale: float) -> np.ndarray:
    charged = Rho.at_least(Fraction(1) / (2 * Fraction(scale) ** 2))
    return np.array(add_noise([0] * count, norm=1, scale=scale, charged=charged), dtype=np.int64)


def mass(scale: float, *, reach: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return the support and the probabilities exp(-x²/2s²)/Σ, by definition; beyond 14 s lies less than 1e-40."""
    reach = math.ceil(14 * scale) + 1 if reach is None else reach
    support = np.arange(-reach, reach + 1)
    weights = np.exp(-(support.astype(float) ** 2) / (2 * scale**2))
    return support, weights / weights.sum()


def distance(draws: np.ndarray, scale: float) -> float:
    """Return sup |F_n - F|, Kolmogorov's distance of the draws from the discrete Gaussian."""
    support, probabilities = mass(scale)
    empirical = np.searchsorted(np.sort(draws), support, side="right") / len(draws)
    return float(np.abs(empirical - np.cumsum(probabilities)).max())


def critical(count: int) -> float:
    """Return t with P(sup |F_n - F| > t) ≤ 2 exp(-2 n t²) = 1e-9: Massart 1990, any distribution, any n."""
    return math.sqrt(math.log(2 / FALSE_ALARM) / (2 * count))


SAMPLES = {0.8: 100_000, 6.5: 100_000, 1234.5: 100_000}


@pytest.mark.parametrize(("scale", "count"), SAMPLES.items())
def test_noise_has_the_discrete_gaussian_s_distribution_and_no_other_scale_s(scale: float, count: int) -> None:
    draws = drawn(count, scale)
    assert distance(draws, scale) <= critical(count)
    reach = math.ceil(16 * scale) + 1
    true = np.cumsum(mass(scale, reach=reach)[1])
    for wrong in (scale / 1.1, scale * 1.1):
        # By the triangle inequality the draws are rejected whenever they pass above, which is all but 1e-9 of the time.
        assert np.abs(np.cumsum(mass(wrong, reach=reach)[1]) - true).max() > 2 * critical(count)
        assert distance(draws, wrong) > critical(count)


def product_bound(count: int, alarm: float) -> float:
    """Return u with P(|Σ XY| > u s²) ≤ alarm for `count` independent pairs of noise of scale s.

    E exp(tX) ≤ exp(t²s²/2) (Canonne, Kamath and Steinke 2020: subgaussian) and the same for Y give, for 0 < t < 1,
    E exp(t XY/s²) ≤ (1 - t²)^(-1/2); Markov's inequality on both tails at any t.
    """
    return min((math.log(2 / alarm) - count / 2 * math.log1p(-(t**2))) / t for t in (k / 1000 for k in range(1, 1000)))


def most_correlated(rows: np.ndarray, scale: float) -> float:
    """Return the largest |Σ XY|/s² over all pairs of coordinates."""
    floats = rows.astype(float) / scale
    return max(abs(float(floats[:, a] @ floats[:, b])) for a, b in itertools.combinations(range(floats.shape[1]), 2))


def test_coordinates_are_drawn_independently() -> None:
    rows, columns, scale = 2_500, 16, 40.0
    noise = drawn(rows * columns, scale).reshape(rows, columns)
    pairs = columns * (columns - 1) // 2
    bound = product_bound(rows, FALSE_ALARM / pairs)
    assert most_correlated(noise, scale) <= bound
    shared = noise.copy()
    shared[:, 1:] = (3 * noise[:, 1:] + noise[:, :1]) // math.sqrt(10)  # a tenth of the variance in common
    assert most_correlated(shared, scale) > bound


def test_calls_are_drawn_independently() -> None:
    rows, scale = 1_500, 40.0
    charged = Rho.at_least(Fraction(1, 2 * 40**2))
    noise = np.array([add_noise([0, 0], norm=1, scale=scale, charged=charged) for _ in range(rows)])
    bound = product_bound(rows // 2, FALSE_ALARM / 4)
    first, second = noise[0::2], noise[1::2]
    for a, b in itertools.product(range(2), repeat=2):
        assert abs(float(first[:, a].astype(float) @ second[:, b].astype(float))) / scale**2 <= bound
    assert len({tuple(pair) for pair in noise.tolist()}) > rows // 2


def test_noise_is_added_to_each_value_in_its_place() -> None:
    vector = [10**6 * index for index in range(-50, 50)]
    noised = add_noise(vector, norm=1, scale=2.0, charged=Rho.at_least(Fraction(1, 8)))
    assert len(noised) == len(vector)
    assert all(type(value) is int for value in noised)
    assert max(abs(a - b) for a, b in zip(vector, noised, strict=True)) < 40  # 20 scales: 1e-86 for all hundred
    assert add_noise([], norm=1, scale=2.0, charged=Rho.at_least(Fraction(1, 8))) == ()


def test_values_are_clamped_to_62_bits_however_large() -> None:
    noised = add_noise([10**30, -(10**30), 2**62, 0], norm=1, scale=2.0, charged=Rho.at_least(Fraction(1, 8)))
    assert all(abs(value - expected) < 40 for value, expected in zip(noised, (2**62, -(2**62), 2**62, 0), strict=True))


norms = st.integers(1, 10**9) | st.integers(2**52, 2**62)
affordable = st.integers(10**3, 10**14).map(Rho)


@settings(deadline=None)
@given(norms, affordable, st.sampled_from(VectorShape), st.booleans())
def test_what_the_accountant_charges_is_what_the_noise_accepts(
    norm: int, rho: Rho, shape: VectorShape, alone: bool
) -> None:
    """The two routes agree to the last float, at the least scale that an epsilon buys, where rounding is tightest."""
    scale = scale_for(norm=norm, shape=shape, tables_alone=alone, rho=rho)
    room = charges(ReleaseNorm(norm, shape), scale=Fraction(scale), tables={TABLE})[0]
    assert room.account == ROOM
    assert len(add_noise([5], norm=norm, scale=scale, charged=room.rho)) == 1


@settings(deadline=None)
@given(st.integers(1, 10**9), st.integers(10**6, 10**14).map(Rho))
def test_sabotage_an_understated_charge_or_norm_stops_the_question(norm: int, rho: Rho) -> None:
    scale = scale_for(norm=norm, shape=VectorShape.ONE_NON_NEGATIVE, tables_alone=True, rho=rho)
    step_less = Rho(rho.pico - 1)
    if Fraction(norm**2) / (2 * Fraction(scale) ** 2) > step_less.as_fraction():
        with pytest.raises(InvariantBroken):
            add_noise([5], norm=norm, scale=scale, charged=step_less)
    with pytest.raises(InvariantBroken):
        add_noise([5], norm=norm, scale=scale * (1 - 2**-40), charged=rho)
    with pytest.raises(InvariantBroken):
        add_noise([5], norm=2 * norm, scale=scale, charged=Rho(2 * rho.pico))


def test_sabotage_a_charge_one_step_short_stops_the_question_below_any_float_s_precision() -> None:
    """128²/2 = 8192 exactly; a step less is 1.2e-16 less, within the slack of OpenDP's float, not of our fractions."""
    assert len(add_noise([5], norm=128, scale=1.0, charged=Rho(8192 * STEPS_PER_RHO))) == 1
    with pytest.raises(InvariantBroken, match="costs more"):
        add_noise([5], norm=128, scale=1.0, charged=Rho(8192 * STEPS_PER_RHO - 1))


def test_sabotage_a_map_that_finds_more_than_was_charged_stops_the_question(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenDP's second opinion counts: were the norm handed to it larger than the one charged, it says so."""
    charged = Rho.at_least(Fraction(1, 8))
    monkeypatch.setattr("cleanroom.query.noise._float_up", lambda norm: norm * 1.001)
    with pytest.raises(InvariantBroken, match="OpenDP"):
        add_noise([5], norm=1, scale=2.0, charged=charged)


def test_the_slack_left_to_opendp_is_below_a_step_of_any_real_question() -> None:
    assert Fraction(1, STEPS_PER_RHO) > (MAP_SLACK - 1) * 10


@pytest.mark.parametrize("scale", [0.0, -1.0, math.nan, math.inf])
def test_a_scale_without_meaning_is_our_bug(scale: float) -> None:
    with pytest.raises(InvariantBroken):
        add_noise([5], norm=1, scale=scale, charged=Rho(10**12))
    with pytest.raises(InvariantBroken):
        margin95(scale)


@pytest.mark.parametrize("norm", [0, -1])
def test_a_norm_without_meaning_is_our_bug(norm: int) -> None:
    with pytest.raises(InvariantBroken):
        add_noise([5], norm=norm, scale=1.0, charged=Rho(10**12))


@pytest.mark.parametrize("scale", [0.0, -0.5, -3.0, math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("far", [5, 1])
def test_no_scale_without_meaning_is_bought_with_a_large_charge(scale: float, far: int) -> None:
    dear = Rho.at_least(Fraction(1_000))
    with pytest.raises(InvariantBroken, match="positive"):
        add_noise([3], norm=far, scale=scale, charged=dear)
    with pytest.raises(InvariantBroken, match="positive"):
        noisy_max([[3, 4]], reach=far, scale=scale, charged=dear)


@pytest.mark.parametrize("far", [0, -1])
def test_nobody_moves_by_nothing(far: int) -> None:
    dear = Rho.at_least(Fraction(1_000))
    with pytest.raises(InvariantBroken, match="positive"):
        add_noise([3], norm=far, scale=1.0, charged=dear)
    with pytest.raises(InvariantBroken, match="positive"):
        noisy_max([[3, 4]], reach=far, scale=1.0, charged=dear)
    assert len(add_noise([3], norm=1, scale=0.5, charged=dear)) == 1
    assert noisy_max([[3, 4_000]], reach=1, scale=0.5, charged=dear) == (1,)


def covered(scale: float, margin: float) -> float:
    support, probabilities = mass(scale)
    return float(probabilities[np.abs(support) <= margin].sum())


@settings(deadline=None, max_examples=60)
@given(st.floats(0.05, 4095) | st.floats(0.05, 20))
def test_the_margin_is_the_least_that_holds_19_times_out_of_20(scale: float) -> None:
    margin = margin95(scale)
    assert margin == int(margin) >= 0
    assert covered(scale, margin) >= 0.95 - 1e-12
    if margin:
        assert covered(scale, margin - 1) < 0.95 + 1e-12


@pytest.mark.parametrize("scale", [4096.0, 5000.25, 77_777.7])
def test_a_wide_margin_holds_and_is_a_step_or_two_above_the_least(scale: float) -> None:
    margin = margin95(scale)
    assert covered(scale, margin) >= 0.95
    assert covered(scale, margin - 2) < 0.95


def test_a_very_wide_margin_is_the_normal_one() -> None:
    assert margin95(1e15) == pytest.approx(1.959963984540054e15, rel=1e-12)


def priced(kind: str, moved: int, scale: float, value: int) -> object:
    """Draw by one of the three mechanisms what costs `value` in its own loss."""
    match kind:
        case "gaussian":
            return add_noise([5], norm=moved, scale=scale, charged=Rho.at_least(Fraction(value)))
        case "laplace":
            return add_laplace([5], norm=moved, scale=scale, charged=PureEpsilon.at_least(Fraction(value)))
    return noisy_max([[5, 7]], reach=moved, scale=scale, charged=Rho.at_least(Fraction(value)))


@pytest.mark.parametrize(("kind", "value"), [("gaussian", 8), ("laplace", 4), ("choice", 8)])
def test_the_exact_price_may_not_be_exceeded_by_the_least(kind: str, value: int) -> None:
    """2^52 over 2^50 costs exactly so much; one step more is within what OpenDP's floats may say too much."""
    assert priced(kind, 2**52, 2.0**50, value)
    with pytest.raises(InvariantBroken, match="costs more than its question was charged"):
        priced(kind, 2**52 + 1, 2.0**50, value)
    with pytest.raises(InvariantBroken, match="costs more than its question was charged"):
        priced(kind, 2**52, 2.0**50 - 2.0**-2, value)


@pytest.mark.parametrize("kind", ["gaussian", "laplace", "choice"])
def test_what_is_moved_and_a_scale_are_positive_and_finite(kind: str) -> None:
    assert priced(kind, 1, 1.0, 8)
    for moved, scale in ((0, 1.0), (-1, 1.0), (1, 0.0), (1, -1.0), (1, math.inf), (1, math.nan)):
        with pytest.raises(InvariantBroken, match="positive and finite"):
            priced(kind, moved, scale, 8)
    for margin in (margin95, laplace_margin95):
        for scale in (0.0, -1.0, math.inf, math.nan):
            with pytest.raises(InvariantBroken, match="positive and finite"):
                margin(scale)


class Dear:
    """A measurement of OpenDP's that says its own price."""

    def __init__(self, price: float) -> None:
        self.price = price

    def map(self, _: object) -> float:
        return self.price

    def __call__(self, values: list[int]) -> object:
        return values if len(values) == 1 else 0


@pytest.mark.parametrize(
    ("kind", "maker", "value"),
    [("gaussian", "make_gaussian", 8), ("laplace", "make_laplace", 4), ("choice", "make_noisy_max", 8)],
)
def test_opendp_may_find_a_draw_dearer_by_its_rounding_alone(
    monkeypatch: pytest.MonkeyPatch, kind: str, maker: str, value: int
) -> None:
    for price, stopped in ((value, False), (value * (1 + 2.0**-49), False), (value * (1 + 2.0**-48), True)):
        monkeypatch.setattr(f"opendp.measurements.{maker}", lambda *_, price=price, **__: Dear(price))
        if stopped:
            with pytest.raises(InvariantBroken, match="OpenDP finds"):
                priced(kind, 2**52, 2.0**50, value)
        else:
            assert priced(kind, 2**52, 2.0**50, value)


def test_a_wide_margin_is_the_normal_one_rounded_up() -> None:
    assert [margin95(scale) for scale in (5_000.0, 10_000.0, 2.0**40)] == [
        math.ceil(NORMAL_975 * scale) for scale in (5_000, 10_000, 2**40)
    ]


def test_at_the_very_edge_a_laplace_margin_is_widened() -> None:
    """At q = 1/39 noise is 0 exactly 19 times of 20, which no float can tell: the margin is one; just below, none."""
    assert laplace_margin95(1 / math.log(39)) == 1
    assert laplace_margin95(LAPLACE_MOSTLY_NONE) == 0
    assert laplace_margin95(1e-4) == 0


def test_a_margin_beyond_what_is_clamped_has_no_scale() -> None:
    def doubled(scale: float) -> float:
        return math.ceil(2 * scale)

    assert _largest(Fraction(CLAMP), doubled, 0.5) == CLAMP / 2
    assert _largest(Fraction(CLAMP) + 1, doubled, 0.5) == 0
    for largest in (largest_scale, largest_laplace_scale):
        assert largest(Fraction(1)) > 0
        assert largest(Fraction(99, 100)) == 0


@pytest.mark.parametrize("guess", [0.5, 0.499, 0.3, 0.46, 0.55, 0.7, 0.05])
@pytest.mark.parametrize("whole", [1, 2, 10, 1_000])
def test_the_largest_scale_is_found_whatever_the_guess(guess: float, whole: int) -> None:
    def doubled(scale: float) -> float:
        assert scale > 0, "no scale is asked about that is none"
        return math.ceil(2 * scale)

    found = _largest(Fraction(whole) + Fraction(1, 3), doubled, guess)
    assert whole / 2 * (1 - 2.0**-30) <= found <= whole / 2
    # Not to the last digit: a step of the search is 2^-30 of it.
    assert _largest(Fraction(whole), lambda scale: math.ceil(3 * scale), guess) == pytest.approx(
        whole / 3, rel=2.0**-30
    )


def test_draws_are_combined_by_their_precision() -> None:
    """Weights in proportion to 1/s², and the root of the variance that they give, never rounded down."""
    assert weights_of((1.0, 2.0)) == (1 << 48, 1 << 46)
    assert weights_of((3.0, 1.0, 3.0)) == ((1 << 48) // 9, 1 << 48, (1 << 48) // 9)
    assert combined_scale((3.5,)) == 3.5
    assert combined_scale((3.0,) * 4) == 1.5
    for scales in ((1.0, 2.0), (3.0, 1.0, 3.0), (0.1, 0.7), (5e9, 7e9)):
        found = Fraction(combined_scale(scales)) ** 2
        best = 1 / sum(1 / Fraction(scale) ** 2 for scale in scales)
        assert best <= found <= best * (1 + Fraction(1, 2**44))
        weights = weights_of(scales)
        parts = sum((weight * Fraction(scale)) ** 2 for weight, scale in zip(weights, scales, strict=True))
        assert found >= parts / Fraction(sum(weights)) ** 2
    assert combined_margin95(4096.0) == margin95(4096.0)
    assert combined_margin95(100.0) == NORMAL_975 * 100 + 0.5
    assert _float_up(2**53 + 1) == 2**53 + 2
    assert _float_up(2**53) == 2**53
