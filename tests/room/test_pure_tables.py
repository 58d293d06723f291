"""A table whose budget has delta 0: one makes the whole question pure, its epsilons add up, the others count rho."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from room_samples import MEMBER, OVERLAP, Place, ask, audit, sector
from room_samples import OTHER as OTHER_MEMBER

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
MEDIAN = "SELECT region, MEDIAN(amount) AS milieu FROM theatre_fleuve.visits GROUP BY region"
HIDDEN = (
    "SELECT theatre_fleuve.visits.region, MEDIAN(theatre_fleuve.visits.amount) AS milieu FROM theatre_fleuve.visits"
    " JOIN nuits_claires.visits USING (person) GROUP BY 1"
)


FUNCTIONS = b"functions: [count_persons, count_rows]"
QUANTILES = b"functions: [count_persons, count_rows, quantile]"


def purified(place: Place, epsilon: bytes = b"20", functions: bytes = FUNCTIONS) -> None:
    text = place.yaml(MEMBER).replace(FUNCTIONS, functions)
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


def test_a_median_is_read_purely_paid_once_and_kept(place: Place) -> None:
    purified(place, functions=QUANTILES)
    with place.open() as room:
        session = room.session(MEMBER)
        before = session.preview(MEDIAN, purpose="audience_overlap", epsilon=0.3)
        answer = ask(room, MEDIAN, epsilon=0.3)
        spent = balance(room, TABLE).spent_lifetime
        assert isinstance(spent, PureEpsilon)
        assert 0.299_99e12 < spent.pico <= 0.3e12
        shown = answer.table["milieu"].dropna()
        assert len(shown) > 0
        assert shown.between(0, 1000).all()
        ((label, rows),) = answer.rank_margins
        assert (label, rows) == before.rank_margins[0]
        assert rows > 0
        (facts,) = answer.provenance.releases
        (method,) = [each.en for each in facts.mechanisms if "readings a cell" in each.en]
        rounds = int(method.split(": ")[1].split()[0])
        assert "discrete Laplace noise" in method
        # Of R rounds each costs ρ half the square of its own epsilon.
        # Two thirds of the price are the median's, the owner's threshold has the other part.
        share = Fraction(2, 3)
        implied = (0.3 * share) ** 2 / (2 * rounds) + (0.3 * (1 - share)) ** 2 / 2
        assert balance(room, ROOM).spent_lifetime.pico == pytest.approx(float(implied) * 1e12, rel=1e-5)
        again = ask(room, MEDIAN, epsilon=0.2)
        assert not any(each.epsilon for each in again.cost)
        assert again.table["milieu"].equals(answer.table["milieu"])
        # Dearer: quantiles are not combined, but drawn anew at full price.
        ask(room, MEDIAN, epsilon=0.5)
        assert balance(room, TABLE).spent_lifetime.pico == pytest.approx(0.8e12, rel=1e-4)
    audit(place)
    assert balances.checked(place.path, place.home).ok
    assert logbook.verify(place.path, place.home).ok


def test_a_median_beside_a_count_has_its_part_by_weight_and_a_margin_is_the_count_s(place: Place) -> None:
    purified(place, functions=QUANTILES)
    both = MEDIAN.replace("AS milieu", "AS milieu, COUNT(*) AS n")
    with place.open() as room:
        session = room.session(MEMBER)
        once, thrice = (
            session.preview(both, purpose="audience_overlap", epsilon=0.5, weights=weights)
            for weights in (None, {"milieu": 3, "n": 1})
        )
        # The count pays for the threshold out of its part.
        for found, share in ((once, 0.5), (thrice, 0.75)):
            split = {label: part for label, part in found.split if part is not None}
            assert split["milieu"] == pytest.approx(share, rel=1e-6)
            assert split["n"] + found.split_threshold == pytest.approx(1 - share, rel=1e-6)
        assert thrice.rank_margins[0][1] < once.rank_margins[0][1]
        margin = dict(once.margins)["n"]
        assert margin is not None
        by_margin = session.preview(both, purpose="audience_overlap", margin=round(2 * margin))
        assert by_margin.epsilon == pytest.approx(0.25, rel=0.05)
        with pytest.raises(Refused) as caught:
            session.preview(MEDIAN, purpose="audience_overlap", margin=10)
        assert "quantile" in caught.value.message.en
    audit(place)


def test_a_median_by_a_chosen_bound_and_over_two_members_is_pure_too(place: Place) -> None:
    purified(place, functions=QUANTILES)
    with place.open() as room:
        room.declare(place.yaml(OTHER_MEMBER).replace(FUNCTIONS, QUANTILES))
        answer = ask(room, MEDIAN, epsilon=0.5, max_rows_contributed="auto")
        assert any(each.en.startswith("auto: ") for each in answer.notes)
        assert 0.499_99e12 < balance(room, TABLE).spent_lifetime.pico <= 0.5e12
        assert not any(each.epsilon for each in ask(room, MEDIAN, epsilon=0.5, max_rows_contributed="auto").cost)
        alone = balance(room, ROOM).spent_lifetime.pico
        ask(room, HIDDEN, epsilon=0.5)
        assert 0.999_99e12 < balance(room, TABLE).spent_lifetime.pico <= 1e12
        # Hidden at one member, a person moves the readings of several cells twice as far as one who goes everywhere.
        other = balance(room, OTHER).spent_lifetime.pico
        assert balance(room, ROOM).spent_lifetime.pico - alone == pytest.approx(other / 4, rel=1e-4)
    audit(place)
    assert balances.checked(place.path, place.home).ok


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
