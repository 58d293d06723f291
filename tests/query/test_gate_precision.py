"""What the gate makes of the precision and the contributions that are asked for."""

# ruff: noqa: S608, E501 - questions are what is tested here, one a line
from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from gate_samples import MEETING, OVERLAP, ROOM_RULES, asked, codes, declaration, rulebook, sector, union

from cleanroom.accounting.account import ROOM
from cleanroom.accounting.privacy_loss import rho_for
from cleanroom.errors import Refused
from cleanroom.query.gate import admit
from cleanroom.query.noise import margin95
from cleanroom.query.precision import precision

# Precision


@pytest.mark.parametrize(
    "value",
    [0, -1, -0.0, 0.0, float("nan"), float("inf"), float("-inf"), Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity"), "1", "", b"1", [], {}, True, False,
     1j, Fraction(1, 2), 10**400, -(10**400), Decimal("1E-400"), Decimal("1E+400"), 1e-300, 1e300],
    ids=repr,
)  # fmt: skip
def test_an_epsilon_that_is_none_is_refused(value: Any) -> None:
    """S11: a number above zero, finite, and of a size that an account can hold."""
    with pytest.raises(Refused) as caught:
        precision(epsilon=value)
    assert {each.code for each in caught.value.refusals} == {"precision"}


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), "50", True, 10**16, [50]])
def test_a_margin_that_is_none_is_refused(value: Any) -> None:
    with pytest.raises(Refused):
        precision(margin=value)


def test_epsilon_and_margin_exclude_each_other() -> None:
    with pytest.raises(Refused):
        precision(epsilon=1, margin=50)


def test_a_numpy_float_is_a_float() -> None:
    import numpy as np

    assert precision(epsilon=np.float64(0.5)) == precision(epsilon=0.5)


def test_the_default_is_the_strictest_rule_s() -> None:
    dear = declaration("francos", rules=OVERLAP.replace("default_epsilon: 0.2", "default_epsilon: 0.1"))
    room = rulebook(declaration("tnm"), dear)
    issued = admit(asked(MEETING.format("COUNT(*) AS n", "")), room)
    assert 0.0999 < issued.epsilon <= 0.1


def test_an_owner_limits_epsilon_a_question() -> None:
    both = MEETING.format("COUNT(*) AS n", "")
    assert codes(asked(both, epsilon=0.5)) == set()
    assert codes(asked(both, epsilon=Decimal("0.500001"))) == {"epsilon_over_limit"}
    assert codes(asked(both, margin=1)) == {"epsilon_over_limit"}


def test_nobody_pays_more_than_epsilon_and_the_room_no_more_than_a_table() -> None:
    """D² is charged to the tables of an overlap, norm² to the room (S2)."""
    for sql, factor in (
        ("SELECT COUNT(*) AS n FROM tnm.visits", 1),
        (MEETING.format("a.region, COUNT(*) AS n", "GROUP BY 1"), 2),
    ):
        issued = admit(asked(sql, epsilon=0.3), ROOM_RULES)
        paid = {charge.account: charge.rho.as_fraction() for charge in issued.charges}
        limit = rho_for(Decimal("0.3"), Fraction(1, 10**7) / 2).as_fraction()
        assert max(paid.values()) <= limit
        bounds = issued.plan.releases[0].bounds
        room = Fraction(bounds.norm**2) / (2 * Fraction(issued.noises[0].scale) ** 2)
        assert paid[ROOM] >= room
        for account, rho in paid.items():
            if account != ROOM:
                assert rho >= factor * room
        assert max(paid.values()) > limit * Fraction(999_999, 1_000_000)


def test_the_smallest_delta_of_the_tables_prices_epsilon() -> None:
    room = rulebook(declaration("tnm", delta="1e-5"), declaration("francos", delta="1e-9"))
    same = rulebook(declaration("tnm", delta="1e-9"), declaration("francos", delta="1e-9"))
    question = asked(MEETING.format("COUNT(*) AS n", ""), epsilon=0.3)
    assert admit(question, room).noises == admit(question, same).noises


@pytest.mark.parametrize("margin", [50, 200, Decimal("123.5")])
def test_a_margin_is_kept_by_every_count_and_sum_asked_for(margin: Any) -> None:
    rich = OVERLAP.replace("max_epsilon_per_question: 0.5", "max_epsilon_per_question: 1000")
    room = rulebook(declaration("tnm", rules=rich), declaration("francos", rules=rich))
    issued = admit(asked(MEETING.format("COUNT(*) AS n, COUNT(DISTINCT person) AS p", ""), margin=margin), room)
    steps = [component.steps for component in issued.plan.releases[0].bounds.components]
    assert max(margin95(issued.noises[0].scale) / each for each in steps) <= margin
    # The least loss that keeps it: a hundredth more noise would not.
    assert max(margin95(issued.noises[0].scale * 1.01) / each for each in steps) > margin


def test_a_mean_has_no_margin_before_data() -> None:
    sql = f"SELECT AVG(seats) AS n FROM ({union(columns='person, seats')}) AS t"
    assert codes(sector(sql, margin=50)) == {"precision"}


def test_margins_too_small_for_any_scale_are_refused() -> None:
    for margin in (Decimal("1E-9"), Decimal("1E-300"), Decimal("1E-999999"), 5e-324):
        with pytest.raises(Refused) as caught:
            admit(asked(MEETING.format("COUNT(*) AS n", ""), margin=margin), ROOM_RULES)
        assert caught.value.code == "precision"


@pytest.mark.parametrize("value", [0, -1, 65_536, 1.0, "1", True])
@pytest.mark.parametrize("name", ["max_rows_contributed", "max_groups_contributed"])
def test_contributions_are_whole_numbers_within_limits(name: str, value: Any) -> None:
    assert codes(asked("SELECT COUNT(*) AS n FROM tnm.visits", **{name: value})) == {"precision"}


def test_contributions_asked_for_replace_the_tables_own() -> None:
    sql = "SELECT region, COUNT(*) AS n FROM tnm.visits GROUP BY region"
    issued = admit(asked(sql, max_rows_contributed=9, max_groups_contributed=1), ROOM_RULES)
    assert (issued.plan.releases[0].bounds.max_rows, issued.plan.releases[0].bounds.max_groups) == (9, 1)
    assert admit(asked(sql), ROOM_RULES).plan.releases[0].bounds.max_rows == 5


def test_a_margin_dearer_than_any_budget_is_refused_in_words() -> None:
    assert codes(asked("SELECT COUNT(*) AS n FROM tnm.visits", margin=Decimal("0.000001"))) == {"precision"}
