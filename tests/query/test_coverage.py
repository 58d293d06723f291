"""Margins of everything that is computed from noised sums cover the value without noise 19 times out of 20 (S35)."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import pytest
from empirical import RULES

from cleanroom.accounting.privacy_loss import Rho
from cleanroom.identifiers import PartyId, Purpose, Role
from cleanroom.query.bound import Component, Measured
from cleanroom.query.finishing import answer_rows
from cleanroom.query.gate import Question, ValidatedPlan, admit
from cleanroom.query.noise import add_noise
from cleanroom.query.precision import precision
from cleanroom.query.release import NoisedRelease

FALSE_ALARM = 1e-9
CELLS = 100
BY_DAY = "FROM tnm.visits GROUP BY day"
RATIO = f"SELECT day, s / n AS v FROM (SELECT day, SUM(seats) AS s, COUNT(*) AS n {BY_DAY}) AS t"  # noqa: S608
SHARE = f"SELECT day, p / n AS v FROM (SELECT day, COUNT(DISTINCT person) AS p, COUNT(*) AS n {BY_DAY}) AS t"  # noqa: S608
RATE = f"SELECT day, n / k AS v FROM (SELECT day, day AS k, COUNT(*) AS n {BY_DAY}) AS t"  # noqa: S608
QUESTIONS = {
    "persons": f"SELECT day, COUNT(DISTINCT person) AS v {BY_DAY}",
    "rows": f"SELECT day, COUNT(*) AS v {BY_DAY}",
    "sum": f"SELECT day, SUM(seats) AS v {BY_DAY}",
    "mean": f"SELECT day, AVG(seats) AS v {BY_DAY}",
    "variance": f"SELECT day, VAR_POP(seats) AS v {BY_DAY}",
    "deviation": f"SELECT day, STDDEV_SAMP(seats) AS v {BY_DAY}",
    "ratio of a sum": RATIO,
    "ratio of counts": SHARE,
    "rate for a number that is exact": RATE,
}
LINEAR = set(QUESTIONS) - {"deviation"}
"""Whose margin is the noise's own; that of a root is its interval's farther end, hence a little wide."""


def admitted(sql: str) -> ValidatedPlan:
    """Return a question's plan."""
    question = Question(sql, None, PartyId("tnm"), Role.MEMBER, Purpose("audit"), precision(epsilon=Decimal(1)))
    return admit(question, RULES)


def entry(component: Component, rows: int, number: int) -> int:
    """Return a cell's exact sum in lattice steps: so many rows of 20 to 40, their squares likewise."""
    mean = 20 + number % 20 - component.middle
    value = {
        Measured.PERSONS: rows // 2,
        Measured.ROWS: rows,
        Measured.TOTAL: rows * (20 + number % 20),
        Measured.MEAN_TOTAL: rows * mean,
        Measured.SQUARES: rows * (mean**2 + 300 - component.offset),
    }[component.measured]
    return int(Fraction(value) / component.step)


def covered(name: str, deviations: int, runs: int) -> tuple[int, int, int, int]:
    """Return how often margins, and margins a third narrower and a half wider, cover the value; and of how many.

    Args:
        deviations: rows of a cell, in standard deviations of their own noise.
    """
    validated = admitted(QUESTIONS[name])
    (plan,), (noise,) = validated.plan.releases, validated.noises
    assert noise.vector is not None
    components = plan.bounds.components
    rows = math.ceil(deviations * noise.vector * max(float(each.step) for each in components if not each.column))
    exact = [entry(each, rows, number) for number in range(CELLS) for each in components]
    truth = [
        row[-1].value
        for row in answer_rows(validated.plan, (NoisedRelease(plan, noise.vector, tuple(exact)),), {}).rows
    ]
    charged = Rho.at_least(Fraction(plan.bounds.norm) ** 2 / (2 * Fraction(noise.vector) ** 2))
    hits = narrow = wide = 0
    for _ in range(runs):
        steps = add_noise(exact, norm=plan.bounds.norm, scale=noise.vector, charged=charged)
        shown = answer_rows(validated.plan, (NoisedRelease(plan, noise.vector, steps),), {}).rows
        for row, true in zip(shown, truth, strict=True):
            assert isinstance(row[-1].value, float)
            assert isinstance(true, float)
            assert row[-1].margin is not None
            error = abs(row[-1].value - true) / row[-1].margin
            hits += error <= 1
            narrow += error <= 0.7
            wide += error <= 1.5
    return hits, narrow, wide, runs * CELLS


def tail(hits: int, draws: int, *, below: bool) -> float:
    """Return the probability of a count of coins of 95 % at least as low, or as high."""
    counts = range(hits + 1) if below else range(hits, draws + 1)
    return math.fsum(
        math.exp(
            math.lgamma(draws + 1) - math.lgamma(k + 1) - math.lgamma(draws - k + 1)
            + k * math.log(0.95) + (draws - k) * math.log(0.05)
        )
        for k in counts
    )  # fmt: skip


@pytest.mark.parametrize("name", sorted(QUESTIONS))
def test_margins_cover_the_value_in_nineteen_of_twenty(name: str) -> None:
    hits, narrow, wide, draws = covered(name, 200, 12)
    assert tail(hits, draws, below=True) > FALSE_ALARM, (hits, draws)
    if name in LINEAR:
        assert tail(hits, draws, below=False) > FALSE_ALARM, (hits, draws)
    # A margin a third too narrow would be noticed, and one half too wide.
    assert tail(narrow, draws, below=True) <= FALSE_ALARM
    assert tail(wide, draws, below=False) <= FALSE_ALARM


@pytest.mark.parametrize("name", sorted(QUESTIONS))
def test_margins_of_few_rows_are_not_too_narrow(name: str) -> None:
    """Six deviations of their noise: where a ratio's own divisor is uncertain by a sixth."""
    hits, _, _, draws = covered(name, 6, 12)
    assert tail(hits, draws, below=True) > FALSE_ALARM, (hits, draws)
