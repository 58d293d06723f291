"""The search for an epsilon finds what OpenDP's own finds, to the last digit, and asks for far fewer deltas."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from cleanroom.accounting import conversion
from cleanroom.accounting.conversion import float_down, float_up, least_epsilon

rhos = st.integers(10**3, 16384 * 10**12).map(lambda pico: Fraction(pico, 10**12)) | st.floats(4, 14).map(
    lambda power: Fraction(int(10**power), 10**12)
)
deltas = (
    st.integers(2, 60).map(lambda k: Fraction(1, 2 * 10**k))
    | st.floats(2, 90).map(lambda power: Fraction(1, int(10**power)))
    | st.fractions(Fraction(1, 1000), Fraction(99, 100))
)


@dataclass
class Counted:
    """A privacy profile that counts what it is asked."""

    profile: Any
    deltas: list[float] = field(default_factory=list)
    searches: int = 0

    def delta(self, epsilon: float) -> float:
        self.deltas.append(epsilon)
        return float(self.profile.delta(epsilon))

    def epsilon(self, delta: float) -> float:
        self.searches += 1
        return float(self.profile.epsilon(delta))


def found(rho: Fraction, delta: Fraction) -> tuple[float, float, Counted]:
    """Return what the search finds, what OpenDP's finds, and what the search asked."""
    asked = Counted(conversion._privacy_profile(rho))
    at_delta = float_down(delta)
    ours = conversion._searched_epsilon(conversion._Profile(asked), float_up(rho), at_delta)
    return ours, float(asked.profile.epsilon(at_delta)), asked


@settings(max_examples=250, deadline=None)
@example(Fraction("9.802343075596"), Fraction(971, 1000))
@example(Fraction("5.657839257429"), Fraction(23, 25))
@example(Fraction(1), Fraction(1, 10**7))
# Deltas that do not fall from each float to the next: from another start another epsilon would be found.
@example(Fraction(199187, 5 * 10**11), Fraction(1, 2000))
@example(Fraction(4691, 10**12), Fraction(1, 20000))
@example(Fraction(1318361147, 62500000000), Fraction(383034689555581, 9007199254740992))
@given(rhos, deltas)
def test_the_search_finds_what_opendp_s_finds_to_the_last_digit(rho: Fraction, delta: Fraction) -> None:
    ours, theirs, _ = found(rho, delta)
    assert ours == theirs


@settings(max_examples=100, deadline=None)
@given(st.floats(7, 14).map(lambda power: Fraction(int(10**power), 10**12)), st.integers(5, 30))
def test_it_asks_for_few_deltas(rho: Fraction, power: int) -> None:
    _, _, asked = found(rho, Fraction(1, 2 * 10**power))
    assert not asked.searches
    assert len(asked.deltas) <= 12


def test_it_asks_for_two_to_five_deltas_of_a_usual_budget() -> None:
    asked = [len(found(Fraction(step, 50), Fraction(1, 2 * 10**7))[2].deltas) for step in range(1, 200)]
    assert min(asked) == 2
    assert sum(asked) / len(asked) < 4
    assert max(asked) <= 7


@pytest.mark.parametrize("off", [1 - 1e-6, 1 + 1e-6, 1 - 1e-14, 1 + 1e-14, 0.5, 2.0, -1.0, 0.0])
def test_an_estimate_that_is_off_is_noticed(off: float, monkeypatch: pytest.MonkeyPatch) -> None:
    about = conversion.least_epsilon_about

    def wrong(rho: float, delta: float) -> tuple[float, float]:
        epsilon, error = about(rho, delta)
        return epsilon * off, error

    monkeypatch.setattr(conversion, "least_epsilon_about", wrong)
    for rho in (Fraction(1, 50), Fraction(1), Fraction(40)):
        ours, theirs, _ = found(rho, Fraction(1, 10**7))
        assert ours == theirs


@settings(max_examples=50, deadline=None)
@given(rhos, deltas)
def test_opendp_agrees_that_the_epsilon_suffices(rho: Fraction, delta: Fraction) -> None:
    """What is returned is sound whatever the search did: OpenDP's delta at it is asked last of all."""
    order = conversion._best_order(float(rho), float_down(delta))
    assume(order >= conversion._OPENDP_LEAST_ORDER)
    assert Fraction(float(conversion._privacy_profile(rho).delta(least_epsilon(rho, delta)))) < delta


def test_a_search_that_ends_too_low_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    rho, delta = Fraction(1), Fraction(1, 10**7)
    sound = least_epsilon(rho, delta)
    monkeypatch.setattr(conversion, "_searched_epsilon", lambda *_: sound * (1 - 1e-14))
    assert least_epsilon(rho, delta) == sound
