"""A table whose budget has delta 0: one makes the whole question pure, its epsilons add up, the others count rho."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from room_samples import MEMBER, OVERLAP, Place, ask, audit, sector

from cleanroom.accounting import ledger
from cleanroom.accounting.account import ROOM, AccountId
from cleanroom.accounting.privacy_loss import PureEpsilon, Rho
from cleanroom.errors import CleanroomError, Refused
from cleanroom.identifiers import TableName
from cleanroom.room import Room, balances, logbook

if TYPE_CHECKING:
    from cleanroom.accounting.reservation import Balance

COUNT = "SELECT COUNT(*) AS n FROM theatre_fleuve.visits"
TABLE = AccountId(TableName.parse("theatre_fleuve.visits"))
OTHER = AccountId(TableName.parse("nuits_claires.visits"))


def purified(place: Place, epsilon: bytes = b"20") -> None:
    text = place.yaml(MEMBER)
    budget = b"budget: {epsilon: 20, delta: 1e-7"
    assert budget in text
    with place.open() as room:
        room.declare(text.replace(budget, b"budget: {epsilon: " + epsilon + b", delta: 0"))


def balance(room: Room, account: AccountId) -> Balance:
    return ledger.balance(room.connection, account, room.now())


def test_epsilons_add_up_where_delta_is_zero(place: Place) -> None:
    purified(place)
    with place.open() as room:
        answers = [ask(room, COUNT, epsilon=each) for each in (0.3, 0.5)]
        assert answers[1].epsilon == pytest.approx(0.5, rel=1e-6)
        ask(room, OVERLAP, epsilon=0.25)
        spent = balance(room, TABLE).spent_lifetime
        assert isinstance(spent, PureEpsilon)
        assert 1.049_99e12 < spent.pico <= 1.05e12
        # The overlap moves hidden persons by up to twice the norm: the room loses half the epsilon that the tables do.
        implied = 0.3**2 / 2 + 0.5**2 / 2 + 0.125**2 / 2
        assert balance(room, ROOM).spent_lifetime.pico == pytest.approx(implied * 1e12, rel=1e-5)
        other = balance(room, OTHER).spent_lifetime
        assert isinstance(other, Rho)
        assert other.pico == pytest.approx(0.25**2 / 2 * 1e12, rel=1e-5)
        assert {each.account: each.epsilon for each in answers[1].cost}[str(TABLE)] == pytest.approx(0.5, rel=1e-6)
    audit(place)
    assert balances.checked(place.path, place.home).ok
    assert logbook.verify(place.path, place.home).ok


def test_a_bound_is_chosen_purely_and_its_epsilon_is_in_the_price(place: Place) -> None:
    purified(place)
    with place.open() as room:
        answer = ask(room, COUNT, epsilon=0.5, max_rows_contributed="auto")
        (note,) = [each.en for each in answer.notes if each.en.startswith("auto: ")]
        assert "chosen among" in note
        spent = balance(room, TABLE).spent_lifetime
        assert isinstance(spent, PureEpsilon)
        assert 0.499_99e12 < spent.pico <= 0.5e12
        # Eight of nine parts for the count, one for the choice: half the sum of their squares in rho.
        assert balance(room, ROOM).spent_lifetime.pico == pytest.approx((0.5 / 9) ** 2 * 65 / 2 * 1e12, rel=1e-5)
        assert not any(float(each.epsilon) for each in ask(room, COUNT, epsilon=0.5, max_rows_contributed="auto").cost)
    audit(place)
    assert balances.checked(place.path, place.home).ok
    assert logbook.verify(place.path, place.home).ok


def test_one_pure_table_makes_the_question_pure(place: Place) -> None:
    purified(place)
    with place.open() as room:
        session = room.session(MEMBER)
        once = session.preview(OVERLAP, purpose="audience_overlap", epsilon=0.3)
        margin = dict(once.margins)["n"]
        assert margin is not None
        again = session.preview(OVERLAP, purpose="audience_overlap", margin=round(margin * 2))
        # Twice the margin, half the epsilon: of rho it is a quarter.
        assert again.epsilon == pytest.approx(0.15, rel=0.05)
        assert once.repetitions == pytest.approx(20 / 0.3, abs=1)


def test_a_pure_budget_is_used_up_and_says_what_would_fit(place: Place) -> None:
    purified(place, b"1")
    with place.open() as room:
        ask(room, COUNT, epsilon=0.4)
        ask(room, COUNT.replace("AS n", "AS n, COUNT(DISTINCT person) AS p"), epsilon=0.5)
        other = COUNT.replace("COUNT(*)", "COUNT(DISTINCT person)")
        with pytest.raises(Refused) as caught:
            ask(room, other, epsilon=0.3)
        assert "theatre_fleuve.visits" in caught.value.message.en
        hint = caught.value.refusals[0].hint
        assert hint is not None
        ask(room, other, epsilon=None, margin=float(hint.en.split("margin=")[1].split(",")[0]))
        assert 0 <= balance(room, TABLE).left.pico < 0.02e12


def test_a_table_that_was_charged_in_rho_does_not_become_pure(place: Place) -> None:
    with place.open() as room:
        ask(room, COUNT, epsilon=0.1)
    with pytest.raises(CleanroomError) as caught:
        purified(place)
    assert caught.value.code == "budget_kind_changed"
    with place.open() as room:
        ask(room, COUNT, epsilon=0.1)


def test_means_of_the_sector_are_pure_too(place: Place) -> None:
    purified(place)
    with place.open() as room:
        answer = ask(room, sector("SELECT discipline, AVG(amount) AS m, COUNT(*) AS n FROM GROUP BY 1"), epsilon=2)
        assert answer.table["m"].notna().any()
        assert isinstance(balance(room, TABLE).spent_lifetime, PureEpsilon)
