"""What is drawn once is not paid twice; what is added is paid, and combined as well as it can be (S37, S39, S40)."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rooms import FRANCOS, TNM
from searches import LIMITS
from slow_vector import planned
from test_noise import FALSE_ALARM, critical, mass

from cleanroom.accounting.account import ROOM
from cleanroom.accounting.accountant import charges_of
from cleanroom.accounting.privacy_loss import Rho
from cleanroom.errors import Fault, InvariantBroken
from cleanroom.identifiers import Digest, Epoch, RoomId
from cleanroom.query import reuse
from cleanroom.query.bound import Bounds
from cleanroom.query.cells import SurvivingKeys
from cleanroom.query.combining import answered
from cleanroom.query.drawn import Drawn, Kept
from cleanroom.query.mechanisms import KeyNoise, Noise, draws
from cleanroom.query.noise import add_noise, combined_margin95, combined_scale, margin95, weights_of
from cleanroom.query.plan import Plan
from cleanroom.query.release import CellState
from cleanroom.query.reuse import MOST_DRAWS, Added, Anew, Answered, TableState, due, noise_with, reuse_key
from cleanroom.query.statistics import CategoryKey, CountPersons, CountRows, NumberKey, Quantile, UnknownKey

ONE = Fraction(1)
COUNTS = planned((NumberKey(0, 0, 9, ONE, nullable=False),), (CountPersons(), CountRows()), 3, 2)
MANY = planned((NumberKey(0, 0, 49_999, ONE, nullable=False),), (CountPersons(),), 1, 1)
MEDIAN = planned(
    (CategoryKey(0, ("x",), nullable=False),), (Quantile(1, 0, 9, ONE, Fraction(1, 2), discrete=True),), 1, 1
)
WORDS = planned((UnknownKey(0, nullable=True),), (CountPersons(),), 1, 1)
ROOM_ID = RoomId("r-0123456789abcdef")
STATES = (TableState(TNM, 3, (Epoch("1"),), Digest.of(b"declared")),)


def zeros(a_plan: Plan, scale: float) -> Drawn:
    bounds = a_plan.bounds
    count = bounds.cells * len(bounds.components)
    charged = Rho.at_least(Fraction(1) / (2 * Fraction(scale) ** 2))
    return Drawn(Noise(scale), add_noise([0] * count, norm=1, scale=scale, charged=charged))


def price_of(a_plan: Plan, scale: float) -> tuple[Rho, ...]:
    return tuple(each.rho for each in charges_of(draws(a_plan.bounds, Noise(scale)), frozenset({TNM})))


# The account


scales = st.floats(1e4, 1e12)


@given(scales, st.lists(scales, max_size=MOST_DRAWS - 1))
@settings(LIMITS, max_examples=200)
def test_what_is_paid_in_all_is_what_the_draws_cost_and_no_more_than_one_draw_s_price(
    wanted: float, earlier: list[float]
) -> None:
    """Draw after draw, each bought with the earlier ones in sight: the sum of the charges covers all that left."""
    asked = [*sorted(earlier, reverse=True), wanted]
    stored: list[Drawn] = []
    paid = [Rho(0), Rho(0)]
    for scale in asked:
        full = charges_of(draws(COUNTS.bounds, Noise(scale)), frozenset({TNM}))
        match due(COUNTS, Noise(scale), full, tuple(stored)):
            case Answered():
                continue
            case Added(noise=noise, paid=charged) | Anew(noise=noise, paid=charged):
                stored.append(Drawn(noise, (0,) * 20))
                assert [each.account for each in charged] == [each.account for each in full]
                paid = [have + each.rho for have, each in zip(paid, charged, strict=True)]
    losses = sum(
        (Fraction(COUNTS.bounds.norm) ** 2 / (2 * Fraction(each.noise.scale) ** 2) for each in stored), Fraction(0)
    )
    assert paid[0].as_fraction() >= losses
    best = min(asked)
    assert paid[0].pico <= price_of(COUNTS, best)[0].pico * (1 + 1e-9) + 2 * len(stored)
    # And the answer is as precise as was asked.
    assert combined_scale([each.noise.scale for each in stored]) <= best * (1 + 1e-9)


def test_a_repeat_and_less_precision_are_free_and_more_is_the_difference() -> None:
    first = Drawn(Noise(1e6), (0,) * 20)
    full = charges_of(draws(COUNTS.bounds, Noise(1e6)), frozenset({TNM}))
    for scale in (1e6, 2e6, math.nextafter(1e6, 0.0)):
        assert due(COUNTS, Noise(scale), full, (first,)) == Answered((first,))
    dearer = due(COUNTS, Noise(5e5), full, (first,))
    assert isinstance(dearer, Added)
    assert dearer.noise.scale == pytest.approx(1 / math.sqrt(1 / 5e5**2 - 1 / 1e6**2))
    for before, added, whole in zip(price_of(COUNTS, 1e6), dearer.paid, price_of(COUNTS, 5e5), strict=True):
        assert 0 <= before.pico + added.rho.pico - whole.pico <= 1
    assert noise_with(dearer).scale == pytest.approx(5e5)
    assert noise_with(Answered((first,))).scale == 1e6
    assert due(COUNTS, Noise(5e5), full, ()) == Anew(Noise(5e5), full)
    assert due(COUNTS, Noise(1e5), full, (first,) * MOST_DRAWS) == Anew(Noise(1e5), full)


@pytest.mark.parametrize("a_plan", [MEDIAN, WORDS])
def test_choices_and_thresholds_are_not_combined(a_plan: Plan) -> None:
    paid = charges_of(draws(COUNTS.bounds, Noise(1e6)), frozenset({TNM}))

    def noise(scale: float, threshold: int = 50) -> Noise:
        if a_plan is MEDIAN:
            return Noise(None, (scale,))
        return Noise(None, (), KeyNoise(scale, threshold))

    coarse, fine = Drawn(noise(10.0), ()), Drawn(noise(5.0), ())
    assert due(a_plan, noise(10.0), paid, (coarse,)) == Answered((coarse,))
    assert due(a_plan, noise(20.0), paid, (coarse, fine)) == Answered((fine,))
    assert due(a_plan, noise(7.0), paid, (coarse, fine)) == Answered((fine,))
    assert due(a_plan, noise(4.0), paid, (coarse, fine)) == Anew(noise(4.0), paid)
    if a_plan is WORDS:
        assert due(a_plan, noise(10.0, 49), paid, (coarse,)) == Anew(noise(10.0, 49), paid)
        assert due(a_plan, noise(10.0, 51), paid, (coarse,)) == Answered((coarse,))
    with pytest.raises(InvariantBroken, match="only vectors"):
        answered(a_plan, [coarse, fine])


# The combination


def combined_noise(first: float, second: float) -> tuple[np.ndarray, float, float]:
    """Return noise of a combined answer in lattice steps, its scale, and its margin."""
    release = answered(MANY, [zeros(MANY, first), zeros(MANY, second)])
    margins = {value.margin95 for cell in release.cells() for value in cell.values}
    (margin,) = margins
    assert margin is not None
    unit = float(MANY.bounds.components[0].step)
    return np.array([float(each) for each in release.steps]), release.scale, margin / unit


def distance_to_normal(noise: np.ndarray, scale: float) -> float:
    ordered = np.sort(noise)
    expected = np.array([0.5 * (1 + math.erf(each / (scale * math.sqrt(2)))) for each in ordered])
    ranks = np.arange(1, len(ordered) + 1) / len(ordered)
    return float(np.maximum(np.abs(ranks - expected), np.abs(ranks - 1 / len(ordered) - expected)).max())


def assert_combined_as_said() -> None:
    """The law of a combination of lattices is within a step's mass, 1/(s·sqrt(2π)), of the normal's."""
    first, second = 300.0, 1500.0
    noise, scale, margin = combined_noise(first, second)
    best = 1 / math.sqrt(first**-2 + second**-2)
    assert scale == pytest.approx(best, rel=1e-12)
    slack = 1 / (best * math.sqrt(2 * math.pi))
    assert distance_to_normal(noise, best) <= critical(len(noise)) + slack
    # The margin holds 19 times of 20, by Hoeffding's inequality at 1e-9.
    width = math.sqrt(math.log(2 / FALSE_ALARM) / (2 * len(noise)))
    covered = float(np.mean(np.abs(noise) <= margin))
    assert abs(covered - 0.95) <= width + 2 * slack


def test_combined_noise_has_the_variance_that_was_paid_for() -> None:
    assert_combined_as_said()


@pytest.mark.parametrize("wrong", ["equal", "by scale", "the first alone", "upside down"])
def test_wrong_weights_are_noticed(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = {
        "equal": lambda scales: (1,) * len(scales),
        "by scale": lambda scales: tuple(round(1e6 / scale) for scale in scales),
        "the first alone": lambda scales: (0,) * (len(scales) - 1) + (1,),
        "upside down": lambda scales: tuple(round(scale**2) for scale in scales),
    }[wrong]
    monkeypatch.setattr("cleanroom.query.combining.weights_of", made)
    with pytest.raises(AssertionError):
        assert_combined_as_said()


@given(st.lists(st.floats(1e-3, 1e15), min_size=1, max_size=MOST_DRAWS))
@settings(LIMITS, max_examples=200)
def test_weights_are_within_2_48_of_the_best(given_scales: list[float]) -> None:
    best = 1 / sum(1 / Fraction(each) ** 2 for each in given_scales)
    scale = combined_scale(given_scales)
    assert (
        best
        <= Fraction(scale) ** 2
        <= best * (1 + Fraction(1, 2**40)) + (scale == given_scales[0]) * Fraction(scale) ** 2
    )
    assert max(weights_of(given_scales)) == 1 << 48
    assert min(weights_of(given_scales)) >= 0


@pytest.mark.parametrize("pair", [(1.0, 1.0), (0.7, 1.9), (2.0, 3.0), (5.0, 4.0), (3.0, 11.0)])
def test_the_margin_of_small_combinations_holds_exactly(pair: tuple[float, float]) -> None:
    weights = weights_of(pair)
    total = sum(weights)
    (first, p), (second, q) = (mass(each) for each in pair)
    values = np.abs(np.add.outer(first * (weights[0] / total), second * (weights[1] / total)))
    margin = combined_margin95(combined_scale(pair))
    assert float(np.multiply.outer(p, q)[values <= margin].sum()) >= 0.95
    assert combined_margin95(5000.0) == margin95(5000.0)


def test_suppression_is_decided_on_the_combined_count() -> None:
    a_plan = planned((CategoryKey(0, ("x", "y", "z"), nullable=False),), (CountPersons(),), 1, 1, 20)
    step = a_plan.bounds.components[0].steps
    assert len(a_plan.bounds.components) == 1
    below = Drawn(Noise(100.0), (19 * step, 30 * step, 19 * step))
    above = Drawn(Noise(100.0), (21 * step, 30 * step, 20 * step))
    assert answered(a_plan, [below]).withheld() == (0, 2)
    both = answered(a_plan, [below, above])
    assert both.withheld() == (2,)  # 20 on the dot is released, 19.5 is not
    states = [cell.state for cell in both.cells()]
    assert states == [CellState.RELEASED, CellState.RELEASED, CellState.SUPPRESSED]
    assert [number for number, state in enumerate(states) if state is CellState.SUPPRESSED] == list(both.withheld())


# The key


def keyed(a_plan: Plan = COUNTS, noise: Noise = Noise(5.0), states: tuple[TableState, ...] = STATES) -> Digest:  # noqa: B008
    return reuse_key(ROOM_ID, a_plan, noise, states)


def test_everything_that_changes_a_number_is_in_the_key() -> None:
    others = [
        keyed(states=(replace(STATES[0], version=4),)),
        keyed(states=(replace(STATES[0], epochs=(Epoch("2"),)),)),
        keyed(states=(replace(STATES[0], epochs=(Epoch("1"), Epoch("2"))),)),
        keyed(states=(replace(STATES[0], declaration=Digest.of(b"declared again")),)),
        keyed(states=(replace(STATES[0], table=FRANCOS),)),
        keyed(states=(*STATES, replace(STATES[0], table=FRANCOS))),
        reuse_key(RoomId("r-fedcba9876543210"), COUNTS, Noise(5.0), STATES),
        keyed(MEDIAN, Noise(None, (5.0,))),
        keyed(COUNTS, Noise(5.0, (5.0,))),
        keyed(COUNTS, Noise(5.0, (), KeyNoise(5.0, 9))),
        keyed(planned(COUNTS.keys, COUNTS.statistics[:1], 3, 2)),
        keyed(planned(COUNTS.keys, COUNTS.statistics, 4, 2)),
        keyed(planned(COUNTS.keys, COUNTS.statistics, 3, 3)),
        keyed(planned(COUNTS.keys, COUNTS.statistics, 3, 2, 20)),
        keyed(planned(COUNTS.keys, COUNTS.statistics, 3, 2, 21)),
        keyed(planned(COUNTS.keys, COUNTS.statistics, 3, 2, shares=(Fraction(3), Fraction(1)))),
    ]
    for field in fields(Bounds):
        value = getattr(COUNTS.bounds, field.name)
        changed = value + 1 if isinstance(value, int) else value[1:] if value else (COUNTS.bounds.components[0],)
        others.append(keyed(replace(COUNTS, bounds=replace(COUNTS.bounds, **{field.name: changed}))))
    whole = keyed()
    for name in ("MEANING", "LATTICE_BITS"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(reuse, name, 99)
            others.append(keyed())
    assert len({whole, *others}) == 1 + len(others)
    # Neither how much noise there is nor how the answer is shown changes what is asked.
    assert keyed(noise=Noise(7.0)) == whole
    assert keyed(replace(COUNTS, outputs=COUNTS.outputs[::-1])) == whole


# The bytes


KEPT = (
    Kept(Drawn(Noise(12.5), (1, -2, 3)), (0, 2)),
    Kept(Drawn(Noise(None, (0.1, 3.0)), (), ((1, 2), (3, 4))), ()),
    Kept(Drawn(Noise(2.0, (), KeyNoise(1.5, 40)), (5,), (), SurvivingKeys((("web", None), (3, None)), (44, 51))), ()),
    Kept(Drawn(Noise(1e300), (2**63 - 1, -(2**63))), ()),
    Kept(Drawn(Noise(7.0), (4,), picked=0), ()),
    Kept(Drawn(Noise(7.0), (4,), picked=11), (0,)),
)


@pytest.mark.parametrize("kept", KEPT)
def test_a_draw_is_read_as_it_was_written(kept: Kept) -> None:
    assert Kept.decode(kept.encode()) == kept
    assert kept.encode() == Kept.decode(kept.encode()).encode()


@given(st.sampled_from(KEPT), st.data())
@settings(LIMITS, max_examples=300)
def test_other_bytes_are_no_draw(kept: Kept, data: st.DataObject) -> None:
    content = kept.encode()
    at = data.draw(st.integers(0, len(content) - 1))
    how = data.draw(st.sampled_from(["change", "cut", "double", "blank"]))
    changed = {
        "change": content[:at] + bytes([content[at] ^ data.draw(st.integers(1, 255))]) + content[at + 1 :],
        "cut": content[:at],
        "double": content[:at] + content[at : at + 1] + content[at:],
        "blank": content[:at] + b" " + content[at:],
    }[how]
    try:
        found = Kept.decode(changed)
    except Fault as fault:
        assert fault.code == "stored_answer_damaged"  # noqa: PT017
        return
    # Whatever reads is another draw, in its own one spelling.
    assert changed != content
    assert found != kept
    assert found.encode() == changed


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"label":"cleanroom/drawn/v1"}',
        b"\xff",
        b'{"label":"cleanroom/drawn/v2"}',
        b"[" * 5_000,
    ],
)
def test_what_is_no_draw_is_refused(content: bytes) -> None:
    with pytest.raises(Fault):
        Kept.decode(content)


def test_the_room_pays_first() -> None:
    assert charges_of(draws(COUNTS.bounds, Noise(1e6)), frozenset({TNM}))[0].account == ROOM
