"""What a question may cost: weights, their split, how often it can be asked, and a precision that really fits."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from room_samples import MEMBER, OVERLAP, Place, ask, overlap, sector, spent

from cleanroom.errors import Refused

if TYPE_CHECKING:
    from cleanroom.room import Room

TWO = sector("SELECT discipline, COUNT(DISTINCT person) AS personnes, SUM(amount) AS recette FROM GROUP BY 1")
PERSONS = sector("SELECT discipline, COUNT(DISTINCT person) AS personnes FROM GROUP BY 1")
MEANS = sector("SELECT discipline, AVG(amount) AS moyenne FROM GROUP BY 1")
STAGES = sector("SELECT COUNT(DISTINCT person) AS personnes, SUM(tickets) AS billets FROM")


def shrunk(place: Place, *, table: str, cap: str = "") -> None:
    """Grant so little that one question leaves too little for another."""
    with place.open() as room:
        for party in (MEMBER, "nuits_claires"):
            text = place.yaml(party).replace(b"budget: {epsilon: 20,", b"budget: {epsilon: " + table.encode() + b",")
            if cap:
                text = text.replace(
                    b"    default_epsilon: 1\n", b"    default_epsilon: 1\n    per_party: " + cap.encode()
                )
            room.declare(text)


def refused(room: Room, sql: str, **asked: Any) -> Refused:
    before = spent(room)
    with pytest.raises(Refused) as caught:
        ask(room, sql, **asked)
    assert spent(room) == before
    assert {each.code for each in caught.value.refusals} == {"budget_insufficient"}
    return caught.value


def suggested(error: Refused) -> dict[str, Decimal]:
    """Read what the refusal says would fit, as a person would type it, or write it in Python."""
    hint, coded = error.refusals[0].as_typed().hint, error.refusals[0].hint
    assert hint is not None
    assert coded is not None
    assert re.sub(r"--(margin|epsilon) ", r"\1=", f"{hint.fr}{hint.en}") == f"{coded.fr}{coded.en}"
    found = {name: Decimal(value) for name, value in re.findall(r"--(margin|epsilon) ([0-9.]+)", hint.en)}
    assert found == {name: Decimal(value) for name, value in re.findall(r"--(margin|epsilon) ([0-9.]+)", hint.fr)}
    return found


@pytest.mark.parametrize(
    ("sql", "asked", "names"),
    [
        (OVERLAP, {"epsilon": 0.5}, {"margin", "epsilon"}),
        (PERSONS, {"epsilon": None, "margin": 10}, {"margin"}),
        (TWO, {"epsilon": 3}, {"margin", "epsilon"}),
        (TWO, {"epsilon": 3, "weights": {"personnes": 40, "recette": 1}}, {"margin", "epsilon"}),
        (MEANS, {"epsilon": 3}, {"epsilon"}),
    ],
)
def test_what_is_said_to_fit_fits(place: Place, sql: str, asked: dict[str, Any], names: set[str]) -> None:
    shrunk(place, table="0.3" if sql == OVERLAP else "2")
    with place.open() as room:
        error = refused(room, sql, **asked)
        named = {name for each in error.refusals for name in re.findall(r"\w+\.visits", each.message.en)}
        assert named == {"theatre_fleuve.visits", "nuits_claires.visits"}
        assert re.search(r"ε [\d.]+ requested, ε [\d.]+ left", error.message.en)
        assert re.search(r"ε [\d,]+ demandé, ε [\d,]+ disponible", error.message.fr)
        found = suggested(error)
        assert set(found) == names
        weights = asked.get("weights")
        for name, value in found.items():
            shown = preview(room, sql, **{"epsilon": None, name: value, "weights": weights})
            assert shown.lacking == ()
            assert shown.repetitions == 1, "it fits, and is not far from the most that does"
        name, value = sorted(found.items())[0]
        ask(room, sql, **{"epsilon": None, name: value, "weights": weights})


def preview(room: Room, sql: str, **asked: Any) -> Any:
    party = "observatoire" if "UNION ALL" in sql else MEMBER
    purpose = "sector_statistics" if party == "observatoire" else "audience_overlap"
    return room.session(party).preview(sql, purpose=purpose, **asked)


def test_a_cap_s_limit_is_named_and_fits_too(place: Place) -> None:
    shrunk(place, table="20", cap="{epsilon: 1, window: never}")
    with place.open() as room:
        error = refused(room, TWO, epsilon=2)
        assert "limit of observatoire" in error.message.en
        assert "limite de observatoire" in error.message.fr
        found = suggested(error)
        ask(room, TWO, epsilon=None, margin=found["margin"])
        # Of another question: this one is answered already.
        shown = preview(room, TWO.replace(" GROUP", " WHERE purchased <> DATE '2023-09-05' GROUP"), epsilon=0.5)
        assert {each.account for each in shown.possible if each.capped} == {
            "theatre_fleuve.visits",
            "nuits_claires.visits",
        }
        assert shown.repetitions == 0
        assert shown.lacking[0].code == "budget_insufficient"


def test_nothing_left_is_said_so(place: Place) -> None:
    shrunk(place, table="0.3")
    with place.open() as room:
        ask(room, OVERLAP, epsilon=0.3)
        (first, *_) = refused(room, overlap(1), epsilon=0.01).refusals
        assert first.hint is not None
        assert "nothing is left" in first.hint.en or "would fit" in first.hint.en


def test_a_preview_counts_for_every_account(room: Room) -> None:
    shown = preview(room, OVERLAP, epsilon=0.2)
    by_account = {each.account: each.questions for each in shown.possible}
    assert set(by_account) == {"room", "theatre_fleuve.visits", "nuits_claires.visits"}
    assert shown.repetitions == min(by_account.values())
    # An overlap costs its tables twice what it costs the room.
    assert by_account["room"] > by_account["theatre_fleuve.visits"] > 100


def test_weights_are_shown_as_parts_of_the_price(room: Room) -> None:
    equal = preview(room, TWO, epsilon=1)
    weighted = preview(room, TWO, epsilon=1, weights={"Personnes": 9, "recette": 1})
    assert dict(equal.split)["personnes"] == pytest.approx(0.5, rel=0.05)
    assert dict(weighted.split)["personnes"] == pytest.approx(0.9, rel=0.02)
    assert dict(weighted.margins)["personnes"] < 0.8 * dict(equal.margins)["personnes"]
    assert dict(weighted.margins)["recette"] > 2 * dict(equal.margins)["recette"]
    assert [each.rho for each in weighted.cost] == pytest.approx([each.rho for each in equal.cost])
    assert preview(room, TWO, epsilon=1, weights={"personnes": 3, "recette": 3}).split == equal.split
    answer = ask(room, TWO, epsilon=1, weights={"personnes": 9, "recette": 1})
    assert dict(answer.noise_scale)["personnes"] < dict(answer.noise_scale)["recette"]


@pytest.mark.parametrize(
    "weights",
    [
        {},
        {"personnes": 0},
        {"personnes": -1},
        {"personnes": "2"},
        {"personnes": True},
        {"personnes": 1, "recette": 10_001},
        {"personnes": float("nan")},
        {"discipline": 2},
        {"autre": 2},
        {"personnes": 1, "PERSONNES": 2},
        [1, 2],
        {"personnes": [1]},
    ],
)
def test_weights_without_meaning_are_refused(room: Room, weights: Any) -> None:
    with pytest.raises(Refused) as caught:
        preview(room, TWO, epsilon=1, weights=weights)
    assert caught.value.code == "precision"


def test_weights_reach_through_what_is_said_of_the_released_numbers(room: Room) -> None:
    sql = f"SELECT personnes AS p, billets, billets / personnes AS par FROM ({STAGES}) AS r"  # noqa: S608
    shown = preview(room, sql, epsilon=1, weights={"p": 25, "billets": 1})
    split = dict(shown.split)
    assert split["p"] > 0.9
    assert split["par"] is None
    with pytest.raises(Refused) as caught:
        preview(room, sql, epsilon=1, weights={"par": 2})
    assert caught.value.refusals[0].hint is not None
    assert "billets, p" in caught.value.refusals[0].hint.en
