"""Every draw of a release: what is charged for it, what stops it, how it is distributed, what unknown keys survive."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from decimal import Decimal, localcontext
from fractions import Fraction
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from searches import LIMITS
from slow_vector import each_person, planned, stream

from cleanroom.accounting.account import ROOM, AccountId, Charge
from cleanroom.accounting.accountant import charges_of
from cleanroom.accounting.privacy_loss import Rho
from cleanroom.errors import InvariantBroken, Refused
from cleanroom.identifiers import TableName
from cleanroom.query.backend import PersonRows, Slice
from cleanroom.query.cells import SurvivingKeys
from cleanroom.query.combining import answered
from cleanroom.query.contribution import contributions, exact_vector
from cleanroom.query.drawing import draw, released_keys, require_paid
from cleanroom.query.key_threshold import delta_of, least_threshold, threshold_measurement
from cleanroom.query.mechanisms import KeyNoise, Noise, draws
from cleanroom.query.noise import margin95, noisy_max
from cleanroom.query.plan import Plan
from cleanroom.query.release import NoisedRelease, margins_before, scales_of
from cleanroom.query.statistics import (
    CategoryKey,
    CountPersons,
    CountRows,
    KeyOutput,
    Mean,
    NumberKey,
    Quantile,
    Shown,
    StatisticOutput,
    Sum,
    UnknownKey,
    Variance,
)
from cleanroom.query.unknown_keys import counted_keys, first_keys, surviving_keys

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cleanroom.query.algebra import Relation

FALSE_ALARM = 1e-9
ONE = Fraction(1)
TNM, FRANCOS = TableName.parse("tnm.visits"), TableName.parse("francos.visits")


@dataclass
class Streamed:
    """Slices that lie in memory."""

    parts: list[PersonRows]

    def slices(self) -> Iterator[Slice]:
        bits = max(1, (len(self.parts) - 1).bit_length())
        yield from (Slice(bits, prefix) for prefix in range(len(self.parts)))

    def rows(self, relation: Relation, columns: tuple[int, ...], part: Slice) -> PersonRows:
        return self.parts[part.prefix]


def stray(draws_made: int) -> float:
    """Return how far a frequency strays from its probability with a chance of 1e-9 (Hoeffding)."""
    return math.sqrt(math.log(2 / FALSE_ALARM) / (2 * draws_made))


# Noisy max


def test_a_choice_falls_as_the_exponential_of_its_score_and_no_other_scale() -> None:
    scale, made = 40.0, 12_000
    listed = [0, -40, -100, -1_000]
    reach = 40
    charged = Rho.at_least(Fraction(reach**2) / (2 * Fraction(scale) ** 2))
    chosen = Counter(noisy_max([listed] * made, reach=reach, scale=scale, charged=charged))
    for guess, fits in ((scale, True), (2 * scale, False), (scale / 2, False)):
        weights = [math.exp(score / guess) for score in listed]
        wanted = [weight / sum(weights) for weight in weights]
        near = all(abs(chosen[at] / made - p) <= stray(made) for at, p in enumerate(wanted))
        assert near is fits


def test_a_choice_dearer_than_its_charge_is_stopped() -> None:
    charged = Rho.at_least(Fraction(1, 2))
    assert noisy_max([[0, -5]], reach=10, scale=10.0, charged=charged)[0] in {0, 1}
    with pytest.raises(InvariantBroken, match="costs more"):
        noisy_max([[0]], reach=11, scale=10.0, charged=charged)
    with pytest.raises(InvariantBroken):
        noisy_max([[0]], reach=0, scale=10.0, charged=charged)
    with pytest.raises(InvariantBroken):
        noisy_max([[0]], reach=1, scale=math.inf, charged=charged)


def test_opendp_s_own_price_of_a_choice_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cleanroom.query.noise.MAP_SLACK", Fraction(1, 2))
    with pytest.raises(InvariantBroken, match="OpenDP"):
        noisy_max([[0]], reach=10, scale=10.0, charged=Rho.at_least(Fraction(1, 2)))


# What several draws cost together


def check_price(noise: Noise, a_plan: Plan) -> None:
    """Compare the charge with the sum that the definitions give, for a release of two tables."""
    bounds = a_plan.bounds
    room, *tables = charges_of(draws(bounds, noise), {TNM, FRANCOS})
    everywhere = in_table = Fraction(0)
    if noise.vector is not None:
        factor = 4 if bounds.signed else 1 if bounds.one_entry else 2
        everywhere += Fraction(bounds.norm**2) / (2 * Fraction(noise.vector) ** 2)
        in_table += Fraction(factor * bounds.norm**2) / (2 * Fraction(noise.vector) ** 2)
    for quantile, scale in zip(bounds.quantiles, noise.quantiles, strict=True):
        a, c, d = quantile.below, quantile.above, quantile.norm
        everywhere += Fraction(max(a, c) ** 2 * d**2) / (2 * Fraction(scale) ** 2)
        square = (a + c) ** 2 if bounds.cells == 1 and not bounds.distinct_keys else 2 * (a * a + c * c)
        in_table += Fraction(square * d**2) / (2 * Fraction(scale) ** 2)
    if noise.keys is not None:
        everywhere += Fraction(bounds.distinct_keys) / (2 * Fraction(noise.keys.scale) ** 2)
        in_table += Fraction(2 * bounds.distinct_keys) / (2 * Fraction(noise.keys.scale) ** 2)
    assert room.account == ROOM
    assert room.rho == Rho.at_least(everywhere)
    assert [each.rho for each in tables] == [Rho.at_least(in_table)] * 2
    alone = charges_of(draws(bounds, noise), {TNM})
    assert {each.rho for each in alone} == {room.rho}
    if noise.keys is not None:
        assert 0 < room.delta_threshold < tables[0].delta_threshold
        assert {each.delta_threshold for each in alone} == {room.delta_threshold}


def many() -> tuple[Plan, Noise]:
    keys = (CategoryKey(0, ("a", "b"), nullable=False),)
    quantiles = tuple(Quantile(1, 0, 9, ONE, Fraction(a, 4), discrete=True) for a in (1, 3))
    a_plan = planned(keys, (CountRows(), *quantiles, Mean(1, 0, 9, ONE)), 3, 2, 20)
    return a_plan, Noise(a_plan.bounds.norm * 3.0, (a_plan.bounds.quantiles[0].norm * 11.0,) * 2)


def test_losses_of_all_draws_add_up() -> None:
    a_plan, noise = many()
    check_price(noise, a_plan)
    one = planned((), (Quantile(1, 0, 9, ONE, Fraction(9, 10), discrete=True),), 3, 2)
    check_price(Noise(None, (one.bounds.quantiles[0].norm * 5.0,)), one)
    unknown = planned((UnknownKey(0, nullable=True),), (CountPersons(), CountRows()), 3, 4)
    check_price(Noise(unknown.bounds.norm * 3.0, (), KeyNoise(20.0, 120)), unknown)


def room_charge(a_plan: Plan, noise: Noise) -> Charge:
    return charges_of(draws(a_plan.bounds, noise), {TNM})[0]


def test_a_draw_that_was_not_paid_in_rho_or_delta_stops_the_question() -> None:
    a_plan, noise = many()
    paid = room_charge(a_plan, noise)
    require_paid(a_plan, noise, paid)
    exact = contributions(a_plan, stream([[(0, 3)]], 2))
    assert draw(a_plan, noise, exact, None, paid).chosen
    for cheaper in (
        replace(noise, vector=a_plan.bounds.norm * 2.9),
        replace(noise, quantiles=(noise.quantiles[0], noise.quantiles[1] * 0.99)),
    ):
        with pytest.raises(InvariantBroken, match="cost more"):
            draw(a_plan, cheaper, exact, None, paid)
    for other in (Noise(None, noise.quantiles), Noise(noise.vector), replace(noise, keys=KeyNoise(20.0, 120))):
        with pytest.raises(InvariantBroken, match="another release"):
            draws(a_plan.bounds, other)
    unknown = planned((UnknownKey(0, nullable=True),), (CountPersons(),), 3, 4)
    thresholded = Noise(None, (), KeyNoise(20.0, 120))
    full = room_charge(unknown, thresholded)
    with pytest.raises(InvariantBroken, match="delta"):
        require_paid(unknown, Noise(None, (), KeyNoise(20.0, 119)), full)
    with pytest.raises(InvariantBroken, match="delta"):
        require_paid(unknown, thresholded, Charge(full.account, full.rho))


class Unread(Streamed):
    """A room that nobody paid for."""

    def rows(self, relation: Relation, columns: tuple[int, ...], part: Slice) -> PersonRows:
        raise AssertionError("read before it was paid")


def test_unknown_keys_are_not_read_before_they_are_paid() -> None:
    unknown = planned((UnknownKey(0, nullable=True),), (CountPersons(),), 3, 4)
    noise = Noise(None, (), KeyNoise(20.0, 120))
    full = room_charge(unknown, noise)
    backend = Unread([text_rows([[("web", 0, None)]])])
    for cheap in (Charge(full.account, full.rho), Charge(full.account, Rho(full.rho.pico - 10), full.delta_threshold)):
        with pytest.raises(InvariantBroken, match="charged"):
            released_keys(unknown, noise, backend, cheap)
    public = planned((), (CountRows(),), 1, 1)
    vector = Noise(public.bounds.norm * 2.0)
    assert released_keys(public, vector, backend, room_charge(public, vector)) is None


# The threshold


def tail(scale: float, least: int) -> float:
    """Return P(noise ≥ least) of the discrete Gaussian, by its definition."""
    reach = math.ceil(40 * scale) + 40
    whole = math.fsum(math.exp(-(x * x) / (2 * scale**2)) for x in range(-reach, reach + 1))
    return math.fsum(math.exp(-(x * x) / (2 * scale**2)) for x in range(least, reach + 1)) / whole


def check_delta() -> None:
    """The delta charged covers the draw that is made, by the definition of both."""
    for scale in (0.7, 3.0, 11.0, 100.0):
        for away in (1.5, 3.0, 6.0):
            threshold = max(2, math.ceil(1 + away * scale))
            for changed in (1, 4, 8):
                charged = delta_of(scale, threshold, changed)
                assert min(1.0, changed * tail(scale, threshold - 1) * (1 - 1e-9)) <= charged
                assert charged <= max(1e-15, 2.5 * changed * tail(scale, threshold - 1))


def test_the_delta_charged_covers_a_discrete_draw() -> None:
    check_delta()


@pytest.mark.parametrize(("scale", "threshold", "changed"), [(0.7, 4, 1), (3.0, 20, 8), (11.5, 60, 3), (7.0, 50, 2)])
def test_the_delta_charged_is_rounded_up(scale: float, threshold: int, changed: int) -> None:
    """The bound that the docstring proves, to fifty digits; floats may lie above it only."""
    with localcontext(prec=50):
        s, t, pi = (
            Decimal(scale),
            Decimal(threshold - 1),
            Decimal("3.14159265358979323846264338327950288419716939937510"),
        )
        whole = changed * (-(t * t) / (2 * s * s)).exp() * (1 + s * s / t) / max(Decimal(1), s * (2 * pi).sqrt())
        charged = Decimal(delta_of(scale, threshold, changed))
        assert whole <= charged <= whole * (1 + Decimal(2) ** -36)


def test_a_lone_key_passes_as_often_as_the_discrete_gaussian_says() -> None:
    """At scale 3 and threshold 10 that is 2.2 in a thousand, more than the continuous tail that OpenDP's map uses."""
    scale, threshold, made = 3.0, 10, 60_000
    passed = len(threshold_measurement(scale, threshold)(dict.fromkeys(range(made), 1)))
    true = tail(scale, threshold - 1)
    # Bernstein's inequality, for a small probability.
    width = math.sqrt(2 * true / made * math.log(2 / FALSE_ALARM)) + math.log(2 / FALSE_ALARM) / (3 * made) * 2
    assert abs(passed / made - true) <= width
    assert true <= delta_of(scale, threshold, 1)
    assert float(threshold_measurement(scale, threshold).map((1, 1.0, 1.0))[1]) < true


@given(st.floats(0.3, 300), st.integers(1, 16), st.integers(6, 12))
@settings(LIMITS, max_examples=60)
def test_the_least_threshold_is_the_least(scale: float, changed: int, digits: int) -> None:
    delta = Fraction(1, 10**digits)
    threshold = least_threshold(scale, changed, delta)
    assert threshold is not None
    assert delta_of(scale, threshold, changed) <= delta
    assert threshold == 2 or delta_of(scale, threshold - 1, changed) > delta


def test_a_threshold_that_one_person_meets_hides_nothing() -> None:
    for threshold in (1, 0, -3):
        assert delta_of(3.0, threshold, 2) == 1.0
    assert delta_of(0.3, 2, 1) < 0.01
    # Sixteen keys that half of the noise lets pass: no more than certainty.
    assert delta_of(100.0, 2, 16) == 1.0


def test_a_delta_that_opendp_cannot_show_has_no_threshold() -> None:
    assert least_threshold(3.0, 4, Fraction(1, 10**60)) is None


# Unknown keys

WORDS = ("web", "guichet", "", "été", "zèbre", "Zèbre", "a", "aa", "\U0001f3ad")


def text_rows(persons: list[list[tuple[str | None, int | None, int | None]]], rng: Random | None = None) -> PersonRows:
    """Return a stream whose first column is text; its words in any order."""
    words = sorted({row[0] for person in persons for row in person if row[0] is not None})
    if rng is not None:
        rng.shuffle(words)
    places: dict[str | None, int | None] = {word: at for at, word in enumerate(words)}
    places[None] = None
    coded = [[(places[row[0]], *row[1:]) for row in person] for person in persons]
    return replace(stream(coded, 3), words={0: tuple(words)})


def some_persons(rng: Random, count: int) -> list[list[tuple[str | None, int | None, int | None]]]:
    return [
        [
            (rng.choice((*WORDS, None)), rng.choice((0, 1, 2, None, 7)), rng.choice((-5, 0, 40, None)))
            for _ in range(rng.randrange(1, 9))
        ]
        for _ in range(count)
    ]


def slow_keys(a_plan: Plan, person: list[tuple[str | None, int | None, int | None]]) -> set[tuple[Any, ...]]:
    """Return the combinations that a person keeps: the first in code-point order."""
    found = set()
    for row in person:
        outside = False
        mine = []
        for key in a_plan.keys:
            value = row[key.column]
            if isinstance(key, UnknownKey):
                outside |= value is None and not key.nullable
                mine.append(value)
            else:
                outside |= (value is None and not key.nullable) or (value is not None and value not in (0, 1, 2))
        if not outside:
            found.add(tuple(mine))
    ordered = sorted(found, key=lambda values: [(value is not None, value) for value in values])
    return set(ordered[: a_plan.bounds.distinct_keys])


def unknown_plan(rng: Random, most: int) -> Plan:
    nullable = rng.random() < 0.5
    keys = rng.choice(
        (
            (UnknownKey(0, nullable),),
            (UnknownKey(0, nullable), UnknownKey(2, nullable, Shown.NUMBER, Fraction(1, 2))),
            (UnknownKey(2, nullable, Shown.DATE), CategoryKey(1, ("a", "b", "c"), nullable)),
        )
    )
    return planned(keys, (CountPersons(), CountRows()), 3, most)


def counted(a_plan: Plan, parts: list[PersonRows]) -> dict[tuple[Any, ...], int]:
    table = counted_keys(a_plan, parts)
    columns = [column.to_pylist() for column in table.columns]
    found = dict(zip(zip(*columns[:-1], strict=True), columns[-1], strict=True))
    assert len(found) == table.num_rows
    return found


def check_keys(rng: Random) -> None:
    """Compare with the slow count; a person who leaves takes at most m keys along, one who changes at most 2m."""
    a_plan = unknown_plan(rng, rng.choice((1, 2, 3)))
    most = a_plan.bounds.distinct_keys
    persons = some_persons(rng, rng.randrange(1, 12))
    whole = counted(a_plan, [text_rows(persons[:4], rng), text_rows(persons[4:], rng)])
    wanted = Counter(key for person in persons for key in slow_keys(a_plan, person))
    assert whole == dict(wanted)
    without = counted(a_plan, [text_rows(persons[1:], rng)])
    instead = counted(a_plan, [text_rows([persons[-1], *persons[1:]], rng)])
    for other, changed in ((without, most), (instead, 2 * most)):
        moved = [abs(whole.get(key, 0) - other.get(key, 0)) for key in whole.keys() | other.keys()]
        assert max(moved, default=0) <= 1
        assert sum(moved) <= changed


@given(st.integers(0, 2**32))
@settings(LIMITS, max_examples=120)
def test_each_person_brings_at_most_m_keys_in_a_public_order(seed: int) -> None:
    check_keys(Random(seed))


def check_keys_of_seeds() -> None:
    for seed in range(12):
        check_keys(Random(seed))


def test_first_keys_are_each_person_s_own() -> None:
    units = np.array([0, 0, 0, 0, 3, 3, 9], dtype=np.int64)
    numbers = np.array([5, 2, 2, 9, 9, 5, 1], dtype=np.int64)
    outside = np.array([False, False, False, False, False, False, True])
    assert sorted(first_keys(units, numbers, outside, 2).tolist()) == [2, 5, 5, 9]
    assert first_keys(units[:0], numbers[:0], outside[:0], 2).tolist() == []


def test_counts_of_many_slices_are_added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is counted and noised part by part is the same as in one piece."""
    a_plan = planned(
        (UnknownKey(0, nullable=True), CategoryKey(1, ("a", "b", "c"), nullable=True)), (CountRows(),), 2, 3
    )
    persons = some_persons(Random(5), 60)
    whole = counted(a_plan, [text_rows(persons)])
    monkeypatch.setattr("cleanroom.query.unknown_keys._AT_ONCE", 2)
    assert counted(a_plan, [text_rows([person]) for person in persons]) == whole
    assert len(whole) > 4
    table = pa.table({"k0": pa.array([f"w{at}" for at in range(9)]), "n": pa.array([9_000, 0, 0, 8_000, 0] + [0] * 4)})
    kept = surviving_keys(table, scale=5.0, threshold=1_000, most=7)
    assert kept.columns == (("w0", "w3"),)
    assert [abs(ours - theirs) < 100 for ours, theirs in zip(kept.counted, (9_000, 8_000), strict=True)] == [True] * 2


def test_one_word_and_a_null_are_two_keys() -> None:
    a_plan = planned((UnknownKey(0, nullable=True),), (CountRows(),), 2, 3)
    assert counted(a_plan, [text_rows([[("web", 0, None)], [(None, 0, None)]])]) == {("web",): 1, (None,): 1}
    assert counted(a_plan, [text_rows([[(None, 0, None)]])]) == {(None,): 1}


def test_keys_that_many_have_survive_and_nothing_is_said_of_the_others() -> None:
    """500 persons of two words, one of each of a thousand others: those are gone, the release has no trace of them."""
    a_plan = planned((UnknownKey(0, nullable=False), CategoryKey(1, ("x", "y"), nullable=False)), (CountRows(),), 2, 1)
    shown = (KeyOutput("w", 0), KeyOutput("k", 1), StatisticOutput("n", 0))
    a_plan = replace(a_plan, outputs=shown)
    common = [[(("web", "été")[number % 2], number % 2, None)] for number in range(500)]
    rare = [[(f"rare {number}", 0, None)] for number in range(1_000)]
    backend = Streamed([text_rows(common[:300] + rare[:500]), text_rows(common[300:] + rare[500:])])
    noise = Noise(a_plan.bounds.norm * 2.0, (), KeyNoise(10.0, 100))
    paid = room_charge(a_plan, noise)
    surviving = released_keys(a_plan, noise, backend, paid)
    assert surviving is not None
    assert surviving.columns == (("web", "été"),)
    assert all(abs(n - 250) < 150 for n in surviving.counted)
    exact = exact_vector(a_plan, backend, surviving)
    step = a_plan.bounds.components[0].steps
    assert exact.values == (250 * step, 0, 0, 250 * step)
    release = answered(a_plan, [draw(a_plan, noise, exact, surviving, paid)])
    assert [cell.keys for cell in release.cells()] == [("web", "x"), ("web", "y"), ("été", "x"), ("été", "y")]
    assert "rare" not in repr(release)


def test_a_person_of_many_unknown_keys_is_clipped_over_the_survivors() -> None:
    a_plan = planned((UnknownKey(0, nullable=True),), (CountPersons(), CountRows()), 2, 2)
    surviving = SurvivingKeys((tuple(WORDS),), (200,) * len(WORDS))
    rows = text_rows([[(word, None, None) for word in (*WORDS, None, "ailleurs")]])
    (part,) = each_person(rows)
    square = sum(entry**2 for entry in contributions(a_plan, part, surviving).values)
    assert a_plan.bounds.norm**2 * 0.99 <= square <= a_plan.bounds.norm**2
    with pytest.raises(InvariantBroken, match="surviving"):
        contributions(a_plan, part)


def test_counts_of_unknown_keys_are_the_threshold_s_own() -> None:
    plain = planned((UnknownKey(0, nullable=True),), (CountPersons(),), 2, 3, 40)
    assert plain.bounds.counted_by_threshold
    outputs = (KeyOutput("w", 0), StatisticOutput("n", 0))
    a_plan = replace(plain, outputs=outputs)
    surviving = SurvivingKeys(((None, "a", "b"),), (39, 40, 95))
    noise = Noise(None, (), KeyNoise(10.0, 30))
    exact = exact_vector(a_plan, Streamed([]), surviving)
    cells = list(answered(a_plan, [draw(a_plan, noise, exact, surviving, room_charge(a_plan, noise))]).cells())
    assert [(cell.keys, cell.values[0].number) for cell in cells] == [((None,), None), (("a",), 40), (("b",), 95)]
    assert cells[2].values[0].margin95 == margin95(10.0) == 20
    assert margins_before(a_plan, noise.scale) == (20,)
    assert scales_of(a_plan, noise.scale) == (10,)


def test_too_many_survivors_are_cut_after_noise_fewest_first() -> None:
    table = pa.table(
        {"k0": pa.array([f"w{number}" for number in range(50)]), "n": pa.array(range(1_000, 51_000, 1_000))}
    )
    kept = surviving_keys(table, scale=5.0, threshold=40, most=7)
    assert kept.columns == (tuple(sorted(f"w{number}" for number in range(43, 50))),)
    nothing = surviving_keys(table.slice(0, 0), scale=5.0, threshold=40, most=7)
    assert (nothing.columns, nothing.size) == (((),), 0)
    assert surviving_keys(table, scale=5.0, threshold=10**6, most=7).size == 0


def test_survivors_of_one_count_are_cut_and_listed_in_the_order_of_keys() -> None:
    """At this scale no draw is anything but zero: the chance of one is 1e-80."""
    words = ["b", None, "a", "", "c", "z"]
    table = pa.table({"k0": pa.array(words), "k1": pa.array([1, 2, 3, 3, 3, None]), "n": pa.array([50] * 5 + [90])})
    kept = surviving_keys(table, scale=0.05, threshold=40, most=4)
    assert kept.columns == ((None, "", "a", "z"), (2, 3, 3, None))
    assert kept.counted == (50, 50, 50, 90)


def test_no_survivor_is_an_empty_answer() -> None:
    for listed in ((CountPersons(),), (CountRows(), Quantile(1, 0, 2, ONE, Fraction(1, 2), discrete=True))):
        a_plan = planned((UnknownKey(0, nullable=True),), listed, 2, 3)
        quantiles = tuple(each.norm * 9.0 for each in a_plan.bounds.quantiles)
        noise = Noise(a_plan.bounds.norm * 2.0 if a_plan.bounds.components else None, quantiles, KeyNoise(5.0, 80))
        backend = Streamed([text_rows([[("web", 1, None)]]), text_rows([])])
        paid = room_charge(a_plan, noise)
        surviving = released_keys(a_plan, noise, backend, paid)
        assert surviving is not None
        release = answered(a_plan, [draw(a_plan, noise, exact_vector(a_plan, backend, surviving), surviving, paid)])
        assert list(release.cells()) == []


def test_grouping_sets_over_unknown_keys_are_refused() -> None:
    with pytest.raises(Refused) as caught:
        planned((UnknownKey(0, nullable=True),), (CountPersons(),), 1, 1, sets=((0,), ()))
    assert caught.value.code == "not_admitted"


def test_a_release_of_another_shape_is_our_bug() -> None:
    a_plan = planned(
        (NumberKey(0, 0, 2, ONE, nullable=False),),
        (Sum(1, 0, 5, ONE), Variance(1, 0, 5, ONE, sample=True, root=True)),
        1,
        1,
    )
    assert len(a_plan.bounds.components) == 4
    with pytest.raises(InvariantBroken, match="another shape"):
        NoisedRelease(a_plan, 1.0, (0,) * 11)
    with pytest.raises(InvariantBroken, match="another shape"):
        NoisedRelease(a_plan, 1.0, (0,) * 12, ((0, 0, 0),))
    assert margins_before(a_plan, 100.0)[1] is None
    assert AccountId(TNM) != ROOM
