"""What an entry says of its noise, read and reckoned by hand; and OpenDP's maps beside it."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import opendp.prelude as dp
import pytest

from cleanroom.query.key_threshold import delta_of
from cleanroom.room.noise_cost import SUMMED_BELOW, recorded, threshold_delta
from cleanroom.room.recorded_noise import Part

dp.enable_features("contrib")

SCALE = (10.0).hex()
MEDIAN = {"quantiles": [[1, 2, 5, "6"]], "quantile_scales": [SCALE]}
KEYED = {"distinct_keys": 2, "key_noise": [(3.0).hex(), 20]}
COUNT = {"norm": "7", "numbers": 2}
BEFORE = {"norm": "7", "scale": SCALE, "quantile_scales": [], "distinct_keys": 0, "key_noise": None, "pure": False}
STORED = {"plan": "", "from": [], "source": "stored"}
TNM = "tnm.visits"


def drawn(**said: Any) -> dict[str, Any]:
    """Return what is said of a release of one table in several cells, of scale 10."""
    listed = {"tables": [TNM], "cells": 4, "norm": "0", "numbers": 0, "signed": False, "scale": SCALE, "pure": False}
    return listed | {"quantiles": [], "quantile_scales": [], "distinct_keys": 0, "key_noise": None} | said


def chosen(outcomes: list[list[Any]]) -> dict[str, Any]:
    """Return what is said of a release with a median whose bound is chosen of two."""
    return drawn(**COUNT, **MEDIAN, auto=["rows", [1, 2], SCALE, 1], auto_counts=[1, 0], auto_noise=outcomes)


def test_of_a_choice_the_dearest_outcome_is_due() -> None:
    narrow, wide = [["7", SCALE, False, [["6", (20.0).hex()]]], ["7", (5.0).hex(), False, [["6", (20.0).hex()]]]]
    found = recorded([chosen([narrow, wide])], set()).due["room"].parts
    # The second's numbers cost four times as much: together more than the median of the bound that is written first.
    assert found == {Part.VECTOR: 980 * 10**9, Part.QUANTILES: 180 * 10**9, Part.CHOICE: 5 * 10**9}
    cheap = recorded([chosen([narrow, narrow])], set()).due["room"].parts
    assert cheap == {Part.VECTOR: 245 * 10**9, Part.QUANTILES: 720 * 10**9, Part.CHOICE: 5 * 10**9}


def steps(*releases: dict[str, Any], pure: tuple[str, ...] = ()) -> dict[str, int]:
    return {account: due.steps for account, due in recorded(list(releases), set(pure)).due.items()}


def test_what_is_stored_costs_nothing_and_releases_add_up_each_rounded_up() -> None:
    # 49/200 and a third of a step more each.
    third = drawn(**COUNT) | {"scale": (3e6).hex(), "norm": "1"}
    assert steps(drawn(**COUNT), STORED) == {"room": 245 * 10**9, TNM: 245 * 10**9}
    assert steps(third, third) == {"room": 2, TNM: 2}
    found = recorded([drawn(**COUNT), drawn(**COUNT, **MEDIAN), STORED], set())
    assert found.due["room"].parts == {Part.VECTOR: 490 * 10**9, Part.QUANTILES: 720 * 10**9}
    assert recorded([third, third], set()).due["room"].parts == {Part.VECTOR: 1}
    assert recorded([drawn(**MEDIAN)], set()).due["room"].parts == {Part.QUANTILES: 720 * 10**9}


def test_the_least_norms_and_scales_are_read() -> None:
    least = {"quantiles": [[0, 1, 1, "1"]], "quantile_scales": [(0.5).hex()]}
    assert steps(drawn(norm="1", numbers=1, cells=1, **least))[TNM] == 10**12 * 2 + 5 * 10**9


def test_each_account_pays_for_what_reads_its_table() -> None:
    tables = [f"{owner}.visits" for owner in ("tnm", "opera", "musee", "francos", "cirque")]
    found = steps(drawn(**COUNT), drawn(**COUNT, tables=tables))
    assert list(found) == ["room", *sorted(tables)]
    # Of several tables twice; the room and who is read alone once.
    assert found == dict.fromkeys(tables, 490 * 10**9) | {"room": 490 * 10**9, TNM: 735 * 10**9}


@pytest.mark.parametrize(
    ("said", "times"),
    [
        ({"cells": 1, "numbers": 1}, 1),
        ({"cells": 1, "numbers": 1, "signed": True}, 2),
        ({"cells": 1, "numbers": 2}, 2),
        ({"cells": 2, "numbers": 1}, 2),
    ],
)
def test_one_number_that_is_not_signed_moves_by_its_norm_at_most(said: dict[str, Any], times: int) -> None:
    both = {"tables": [TNM, "francos.visits"], "norm": "7", **said}
    found = steps(drawn(**both, pure=True), pure=(TNM,))
    assert found == {"room": 245 * 10**9, TNM: times * 700 * 10**9, "francos.visits": times**2 * 245 * 10**9}
    squared = {1: 1, 2: 4 if said.get("signed") else 2}[times]
    assert steps(drawn(**both))[TNM] == squared * 245 * 10**9


@pytest.mark.parametrize(("candidates", "rounds"), [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (1 << 17, 17)])
def test_a_pure_quantile_is_read_as_often_as_halving_takes(candidates: int, rounds: int) -> None:
    said = drawn(pure=True, quantiles=[[1, 2, candidates, "6"]], quantile_scales=[SCALE])
    assert steps(said, pure=(TNM,))[TNM] == rounds * 2 * 2 * 6 * 10**11


def test_what_needs_a_delta_is_not_paid_by_an_account_without() -> None:
    for said in (drawn(**COUNT), drawn(pure=True, **KEYED)):
        (short, *_) = recorded([said], {TNM}).shortfalls({"room": 10**15, TNM: 10**15}, {"room": Fraction(1)})
        assert short[1] == f"draws noise for {TNM}, whose delta is 0, that is not pure"
    assert not list(recorded([drawn(**COUNT, pure=True)], {TNM}).shortfalls({"room": 10**15, TNM: 10**15}, {}))


def test_an_account_that_was_not_charged_at_all_falls_short() -> None:
    found = recorded([drawn(**KEYED)], set())
    said = [en for _, en in found.shortfalls({}, {})]
    assert "steps of 1e-12: 0 < 111111111112 (keys without a domain: 111111111112)" in said[0]
    assert said[1].startswith("counts for room less delta than its thresholds on keys cost: 0 < ")
    assert len(said) == 4


@pytest.mark.parametrize(("times", "short"), [(1, False), (1 - 3 * 2.0**-32, False), (1 - 2.0**-29, True)])
def test_a_delta_is_held_to_the_slack_of_floats(times: float, short: bool) -> None:
    delta = Fraction(threshold_delta(3.0, 20, 2)) * Fraction(times)
    found = recorded([drawn(**KEYED)], set())
    assert bool(list(found.shortfalls({"room": 10**12, TNM: 10**12}, {"room": delta, TNM: delta}))) is short


def test_an_entry_of_before_says_what_it_says() -> None:
    entry = BEFORE | {"quantile_scales": [SCALE], "auto": ["rows", [1], SCALE, 1]}
    found = recorded([entry, STORED], set())
    assert found.unheld == {Part.TABLES, Part.QUANTILES, Part.CHOICE}
    assert {account: due.steps for account, due in found.due.items()} == {"room": 245 * 10**9}
    assert recorded([BEFORE], set()).unheld == {Part.TABLES}
    assert recorded([drawn(**COUNT)], set()).unheld == set()
    keyed = BEFORE | {"norm": "0"} | KEYED
    assert recorded([keyed], set()).due["room"].parts == {Part.KEYS: 111_111_111_112}
    assert recorded([keyed], set()).due["room"].delta > 0
    older = {"norm": "7", "scale": SCALE}
    assert recorded([older], set()).due["room"].parts == {Part.VECTOR: 245 * 10**9}


def test_the_room_and_the_tables_that_are_drawn_of_are_charged_and_no_others() -> None:
    both = {"room", TNM, "francos.visits"}
    now, before = recorded([drawn(**COUNT), STORED], set()), recorded([BEFORE, STORED], set())
    assert now.accounts_hold({"room", TNM}, both)
    assert not now.accounts_hold(both, both)
    assert not now.accounts_hold({TNM}, both)
    assert not now.accounts_hold({"room", TNM}, {"room"})
    # What was answered from the store, an entry of before does not say: any of the tables may be charged.
    assert before.accounts_hold({"room", TNM}, both)
    assert before.accounts_hold(both, both)
    assert not before.accounts_hold({TNM}, both)
    assert not before.accounts_hold(both, {"room", TNM})
    whole = recorded([BEFORE], set())
    assert whole.accounts_hold(both, both)
    assert not whole.accounts_hold({"room", TNM}, both)


@pytest.mark.parametrize(
    "releases",
    [
        None,
        {"norm": "7"},
        ["norm"],
        [drawn(**COUNT), "norm"],
        [drawn(**COUNT), BEFORE],
        [drawn(**COUNT, cells=0)],
        [drawn(norm="-7", numbers=2)],
        [drawn(**COUNT) | {"scale": "-0x1p3"}],
        [drawn(quantiles=[[0, 0, 5, "6"]], quantile_scales=[SCALE])],
        [drawn(quantiles=[[1, 1, 0, "6"]], quantile_scales=[SCALE])],
        [drawn(quantiles=[[1, 1, 5, "0"]], quantile_scales=[SCALE])],
        [chosen([["7", SCALE, False, []]])],
        [chosen([["7", SCALE, False, [["6", SCALE]]]] * 2) | {"quantiles": [], "quantile_scales": []}],
        [chosen([["7", SCALE, False, [["6", SCALE]]], ["0", SCALE, False, [["6", SCALE]]]])],
        [chosen([["7", SCALE, False, [["6", SCALE]]], ["7", SCALE, False, []]])],
    ],
)
def test_what_no_room_enters_is_not_read(releases: object) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        recorded(releases, set())


INTEGERS, ABSOLUTE = dp.vector_domain(dp.atom_domain(T="i64")), dp.linf_distance(T="i64")


@pytest.mark.parametrize(
    ("said", "measurement", "distance"),
    [
        (drawn(norm="7", numbers=2), dp.m.make_gaussian(INTEGERS, dp.l2_distance(T="f64"), scale=10.0), 7.0),
        (drawn(**MEDIAN), dp.m.make_noisy_max(INTEGERS, ABSOLUTE, dp.zero_concentrated_divergence(), 10.0), 2 * 6),
        (drawn(norm="7", numbers=2, pure=True), dp.m.make_laplace(INTEGERS, dp.l1_distance(T="i64"), scale=10.0), 7),
        # Of five candidates three rounds, each of a reading that moves by twice the weights.
        (drawn(pure=True, **MEDIAN), dp.m.make_laplace(INTEGERS, dp.l1_distance(T="i64"), scale=10.0), 3 * 2 * 2 * 6),
    ],
)
def test_a_cost_is_that_of_opendp_s_map(said: dict[str, Any], measurement: Any, distance: float) -> None:
    """To the slack of a float, in the account that counts as the map does."""
    due = recorded([said], {TNM} if said["pure"] else set()).due[TNM]
    assert due.steps == pytest.approx(measurement.map(distance) * 10**12, rel=2**-48, abs=1)


@pytest.mark.parametrize(
    ("scale", "threshold", "changed"),
    [
        (0.3, 2, 1),
        (0.7, 4, 2),
        (3.0, 20, 8),
        (3.0, 2, 1),
        (11.5, 60, 3),
        (100.0, 640, 1),
        (5000.0, 30_000, 2),
        (5000.0, 30, 2),
    ],
)
def test_a_threshold_costs_what_opendp_says_and_no_less_than_a_key_s_chance(
    scale: float, threshold: int, changed: int
) -> None:
    found = threshold_delta(scale, threshold, changed)
    keys = dp.map_domain(dp.atom_domain(T="i64"), dp.atom_domain(T="i64"))
    counts = dp.l02inf_distance(dp.absolute_distance(T="f64"))
    mapped: Any = dp.m.make_gaussian_threshold(keys, counts, scale=scale, threshold=threshold)
    assert found >= mapped.map((changed, math.nextafter(math.sqrt(changed), math.inf), 1.0))[1]
    with localcontext() as digits:
        digits.prec = 40
        mass = [(-((Decimal(x) / Decimal(scale)) ** 2) / 2).exp() for x in range(int(12 * scale) + 9)]
        passes = sum(mass[threshold - 1 :]) / (2 * sum(mass) - 1)
        chance = 1 - (1 - passes) ** changed
    # Continuous noise passes more seldom: at small scales the map alone would hold too little.
    assert found == pytest.approx(
        float(chance), rel=1e-9 if scale < SUMMED_BELOW else 1e-6 if threshold > scale else 1e-4, abs=0
    )
    assert found <= delta_of(scale, threshold, changed)


def test_what_one_person_always_passes_costs_all_delta() -> None:
    assert threshold_delta(3.0, 1, 1) == 1.0
    with pytest.raises(ValueError, match="i64"):
        threshold_delta(3.0, 1 << 80, 1)
