"""Each mechanism is given the numbers, the norm and the scale of its own draw, and what it was charged (S11, S36)."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest
from slow_vector import TNM, planned, stream
from streamed import Streamed

from cleanroom.accounting.account import ROOM, Charge
from cleanroom.accounting.accountant import Draw, Reach, charges_of
from cleanroom.accounting.privacy_loss import PureEpsilon, Rho
from cleanroom.errors import InvariantBroken
from cleanroom.query import drawing
from cleanroom.query.bound import BoundChoice, Sized
from cleanroom.query.contribution import contributions
from cleanroom.query.drawing import draw, picked_bound, require_paid
from cleanroom.query.mechanisms import ChoiceNoise, Noise, draws, grained_scale
from cleanroom.query.quantiles import scores
from cleanroom.query.statistics import CategoryKey, CountPersons, CountRows, Mean, Quantile, Sum

if TYPE_CHECKING:
    from cleanroom.query.plan import Plan

ONE = Fraction(1)
KEYS = (CategoryKey(0, ("a", "b"), nullable=False),)
ROWS = stream([[(0, 3), (1, 5)], [(1, 9)], [(0, 4), (0, 4)]], 2)


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, dict[str, Any]]]:
    """What the mechanisms are given; they answer with it, or with the first candidate."""
    seen: list[tuple[Any, dict[str, Any]]] = []

    def noised(values: Any, **more: Any) -> tuple[int, ...]:
        seen.append((tuple(values), more))
        return tuple(values)

    def picked(cells: Any, **more: Any) -> tuple[int, ...]:
        seen.append((tuple(map(tuple, cells)), more))
        return (1,) * len(cells)

    monkeypatch.setattr(drawing, "add_noise", noised)
    monkeypatch.setattr(drawing, "add_laplace", noised)
    monkeypatch.setattr(drawing, "noisy_max", picked)
    return seen


def paid(plan: Plan, noise: Noise, pure: frozenset[Any] = frozenset()) -> Charge:
    return charges_of(draws(plan.bounds, noise), {TNM}, pure)[0]


def test_a_vector_and_quantiles_are_drawn_one_after_another(given: list[Any]) -> None:
    quantiles = tuple(Quantile(1, 0, 9, ONE, Fraction(a, 4), discrete=True) for a in (1, 2))
    plan = planned(KEYS, (CountRows(), *quantiles, Mean(1, 0, 9, ONE)), 3, 2, 20)
    bounds = plan.bounds
    first, second = bounds.quantiles
    noise = Noise(bounds.norm * 3.0, (first.norm * 11.0, second.norm * 13.0))
    due = draws(bounds, noise)
    exact = contributions(plan, ROWS)
    drawn = draw(plan, noise, exact, None, paid(plan, noise), 7)
    expected = [
        (exact.values, {"norm": bounds.norm, "scale": noise.vector, "charged": Rho.at_least(due[0].loss)}),
        *(
            (
                tuple(map(tuple, scores(each, exact.weights[at]))),
                {
                    "reach": each.factor * each.norm,
                    "scale": noise.quantiles[at],
                    "charged": Rho.at_least(due[at + 1].loss),
                },
            )
            for at, each in enumerate(bounds.quantiles)
        ),
    ]
    assert given == expected
    assert len({more["charged"] for _, more in given}) == 3
    assert (drawn.steps, drawn.chosen, drawn.picked) == (exact.values, ((1, 1), (1, 1)), 7)


def test_quantiles_alone_are_charged_as_what_they_are(given: list[Any]) -> None:
    plan = planned(KEYS, (Quantile(1, 0, 9, ONE, Fraction(1, 4), discrete=True),), 3, 2)
    noise = Noise(None, (plan.bounds.quantiles[0].norm * 11.0,))
    drawn = draw(plan, noise, contributions(plan, ROWS), None, paid(plan, noise))
    assert drawn.steps == ()
    assert [more["charged"] for _, more in given] == [Rho.at_least(draws(plan.bounds, noise)[0].loss)]


@pytest.mark.parametrize("groups", [1, 2])
def test_a_pure_vector_is_drawn_on_its_grain(given: list[Any], groups: int) -> None:
    """Where everybody fits, all numbers are multiples of a step of counts, and so is the noise; else of one."""
    plan = planned(KEYS, (CountRows(), CountPersons()), 3, groups, pure=True)
    bounds = plan.bounds
    assert (bounds.grain > 1) == (groups == 2)
    noise = Noise(bounds.norm * 3.0)
    exact = contributions(plan, ROWS)
    charge = paid(plan, noise, frozenset({TNM}))
    drawn = draw(plan, noise, exact, None, charge)
    grain = bounds.grain
    ((values, more),) = given
    assert values == tuple(value // grain for value in exact.values)
    assert more == {
        "norm": bounds.norm // grain,
        "scale": grained_scale(bounds, bounds.norm * 3.0),
        "charged": PureEpsilon.at_least(Fraction(bounds.norm) / Fraction(bounds.norm * 3.0)),
    }
    assert drawn.steps == exact.values
    if grain > 1:
        off = replace(exact, values=(*exact.values[:-1], exact.values[-1] + 1))
        with pytest.raises(InvariantBroken):
            draw(plan, noise, off, None, charge)
        longer = replace(plan, bounds=replace(bounds, norm=bounds.norm + 1))
        with pytest.raises(InvariantBroken):
            draw(longer, Noise(bounds.norm * 4.0), exact, None, charge)


def test_a_bound_is_picked_by_the_scores_of_its_candidates(given: list[Any]) -> None:
    settled = tuple(planned(KEYS, (Sum(1, 0, 9, ONE),), rows, 2).bounds for rows in (1, 2, 4))
    choice = BoundChoice(Sized.ROWS, None, 0, 0, (1, 2, 4), settled, 7, 2)
    plan = planned(KEYS, (Sum(1, 0, 9, ONE),), 4, 2)
    waiting = replace(plan, bounds=replace(settled[-1], choice=choice))
    scales = tuple(Noise(each.norm * 3.0) for each in settled)
    noise = replace(scales[-1], choice=ChoiceNoise(5.0, 3, (0, 1, 2), scales))
    charge = charges_of(draws(waiting.bounds, noise), {TNM})[0]
    require_paid(waiting, noise, charge)
    assert picked_bound(waiting, noise, Streamed([ROWS]), None, charge) == 1
    # In the cell where it is largest one person of three has two rows, the others one.
    ((cells, more),) = given
    assert cells == (tuple(choice.scores((2, 1, 0, 0), 3, (0, 1, 2))),)
    assert more == {"reach": 7, "scale": 5.0, "charged": Rho.at_least(Fraction(49, 50))}
    assert picked_bound(plan, scales[-1], Streamed([ROWS]), None, paid(plan, scales[-1])) is None
    with pytest.raises(InvariantBroken):
        picked_bound(waiting, noise, Streamed([ROWS]), None, paid(plan, scales[-1]))


def test_what_was_charged_is_enough_to_the_last_step(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = planned(KEYS, (CountRows(),), 3, 2)
    due = Draw(Reach(1, 1), Fraction(1), Fraction(1, 16), Fraction(1, 16))
    monkeypatch.setattr(drawing, "draws", lambda *_: (due, due))
    one = Rho.at_least(ONE)
    assert one.as_fraction() == ONE
    exact = Charge(ROOM, one, Fraction(1, 8))
    require_paid(plan, Noise(1.0), exact)
    for short in (replace(exact, loss=Rho(one.pico - 1)), replace(exact, delta_threshold=Fraction(1, 9))):
        with pytest.raises(InvariantBroken):
            require_paid(plan, Noise(1.0), short)


def test_a_pure_bound_is_picked_by_noised_persons_by_size(given: list[Any]) -> None:
    plans = tuple(planned(KEYS, (CountRows(),), rows, 2, pure=True) for rows in (1, 2, 4))
    settled = tuple(plan.bounds for plan in plans)
    choice = BoundChoice(Sized.ROWS, None, 0, 0, (1, 2, 4), settled, 7, 2)
    waiting = replace(plans[-1], bounds=replace(settled[-1], choice=choice))
    scales = tuple(Noise(each.norm * 3.0) for each in settled)
    noise = replace(scales[-1], choice=ChoiceNoise(5.0, 3, (0, 1, 2), scales))
    charge = charges_of(draws(waiting.bounds, noise), {TNM}, {TNM})[0]
    scored = choice.scores((2, 1, 0, 0), 3, (0, 1, 2))
    assert picked_bound(waiting, noise, Streamed([ROWS]), None, charge) == scored.index(max(scored)) == 0
    assert given == [((2, 1, 0, 0), {"norm": 1, "scale": 5.0, "charged": PureEpsilon.at_least(Fraction(1, 5))})]
