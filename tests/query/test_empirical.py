"""No loss above what is charged comes out of any mechanism, and one that is broken on purpose is found (S31, F)."""

from __future__ import annotations

import math

import numpy as np
import pytest
from empirical import CASES, loss
from searches import nightly
from seen_losses import FALSE_ALARM, bound, clopper_pearson

SHORT = 140
FEWEST, MOST = 60_000, 300_000
"""Runs of a night that count, of questions that read their rows anew each time and of others, which cost a tenth."""

AGAIN = {
    "a person spread thin",
    "cells chosen",
    "keys",
    "keys and sums",
    "pure rows chosen",
    "rows chosen",
    "total chosen",
    "two releases",
}
QUICK = (
    "counts",
    "together",
    "count and median",
    "median of many values",
    "keys",
    "a person spread thin",
    "moved between cells",
    "total chosen",
    "cells chosen",
    "pure count",
    "pure median",
    "pure rows chosen",
)


def check_case(name: str, runs: int) -> None:
    """Hold a case to what it is charged."""
    found, charged = loss(CASES[name], runs // 2, runs - runs // 2)
    assert found <= charged, (found, charged)


@pytest.mark.parametrize("name", QUICK)
def test_what_comes_out_shows_no_more_than_is_charged(name: str) -> None:
    check_case(name, SHORT)


@pytest.mark.soak
@pytest.mark.parametrize("name", sorted(CASES))
def test_long_runs_show_no_more_than_is_charged(name: str) -> None:
    counting = nightly(FEWEST if name in AGAIN else MOST)
    found, charged = loss(CASES[name], choosing(counting), counting)
    assert found <= charged, (found, charged)


def choosing(counting: int) -> int:
    """Return how many runs choose the event, beside those that count it."""
    return min(20_000, max(50, counting // 4))


def test_the_audit_finds_a_gaussian_that_is_too_narrow_and_lets_a_right_one_pass() -> None:
    """Against a mechanism whose loss is known: d²/2s², at d = 1."""
    random = np.random.default_rng(7)
    for scale, other in ((1.0, 0.0), (0.5, 7.0)):
        runs = 20_000
        ours, theirs = (
            np.column_stack([random.normal(place, scale, runs), random.normal(other, 1.0, runs)])
            for place in (1.0, 0.0)
        )
        true = 1 / (2 * scale**2)
        found = bound(ours, theirs, 0.0, runs // 2)
        # Never above the truth; and near enough that a scale twice too small shows.
        assert true / 4 < found < true


def test_a_point_that_one_room_alone_can_give_is_found_up_to_delta() -> None:
    runs = 2_000
    ours = np.zeros((runs, 1))
    ours[::4, 0] = 1.0
    theirs = np.zeros((runs, 1))
    assert bound(ours, theirs, 0.0, runs // 2) > 0.3
    assert bound(ours, theirs, 0.3, runs // 2) == 0.0


@pytest.mark.parametrize("counting", [FEWEST, MOST])
def test_a_night_finds_twice_the_loss_that_is_charged(counting: int) -> None:
    """Noise that is too narrow by a factor √2 does not go unseen; noise that is right does not look wrong."""
    random = np.random.default_rng(7)
    charged, first = 0.25, choosing(counting)
    for factor in (1, 2):
        apart = math.sqrt(2 * factor * charged)
        ours, theirs = (random.normal(place, 1.0, (first + counting, 1)) for place in (apart, 0.0))
        assert (bound(ours, theirs, 0.0, first) > charged) == (factor == 2)


def test_clopper_and_pearson_s_bounds_are_exact_where_they_are_known() -> None:
    runs, alarm = 200, FALSE_ALARM
    assert clopper_pearson(0, runs, alarm, upper=False) == 0.0
    assert clopper_pearson(runs, runs, alarm, upper=False) == pytest.approx(alarm ** (1 / runs), rel=1e-9)
    assert clopper_pearson(0, runs, alarm, upper=True) == pytest.approx(1 - alarm ** (1 / runs), rel=1e-9)
    low = clopper_pearson(130, runs, alarm, upper=False)
    tail = sum(math.comb(runs, k) * low**k * (1 - low) ** (runs - k) for k in range(130, runs + 1))
    assert tail == pytest.approx(alarm, rel=1e-6)
