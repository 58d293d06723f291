"""Questions of every kind, asked of a room: their noise is held against their charges, and less of it is named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from room_samples import LATE, MEMBER, OTHER, SECTOR, Place, ask, entries, overlap, upload_all

from audit_log import EventType
from cleanroom.query.reuse import Source
from cleanroom.room import balances, charge
from cleanroom.room.noise_cost import ROOM, recorded
from cleanroom.room.recorded_noise import Part

if TYPE_CHECKING:
    from collections.abc import Callable

    from cleanroom.query.plan import Plan
    from cleanroom.room import Room
    from cleanroom.room.stored_releases import DueRelease

Patch = pytest.MonkeyPatch

FUNCTIONS = b"functions: [count_persons, count_rows]"
MORE = b"functions: [count_persons, count_rows, sum, avg, quantile]"
CATEGORY = b"channel: {type: category, domain: [web, guichet, telephone, partenaire]}"
TEXT = b"channel: {type: text, nullable: true}"
BUDGET, PURE_BUDGET = b"budget: {epsilon: 20, delta: 1e-7", b"budget: {epsilon: 20, delta: 0"

COUNT = "SELECT region, COUNT(DISTINCT person) AS n FROM theatre_fleuve.visits GROUP BY region"
TWO = (
    f"SELECT a.region, a.n, b.m FROM ({COUNT}) AS a JOIN (SELECT region, COUNT(*) AS m FROM nuits_claires.visits"  # noqa: S608
    " GROUP BY region) AS b ON a.region = b.region"
)
MEDIAN = "SELECT region, MEDIAN(amount) AS milieu, COUNT(*) AS n FROM theatre_fleuve.visits GROUP BY region"
MEDIANS = (
    "SELECT t.region, MEDIAN(t.amount) AS milieu, AVG(t.amount) AS moyenne FROM theatre_fleuve.visits AS t"
    " JOIN nuits_claires.visits USING (person) GROUP BY 1"
)
TOTAL = "SELECT region, SUM(amount) AS s FROM theatre_fleuve.visits GROUP BY region"
KEYS = "SELECT channel, COUNT(DISTINCT person) AS n FROM salle_grange.visits GROUP BY channel"
BY_KEYS = "SELECT channel, COUNT(*) AS n, MEDIAN(amount) AS milieu FROM salle_grange.visits GROUP BY channel"


def furnished(place: Place, *, pure: bool = False) -> None:
    """Let members ask for all statistics, of one table by keys without a domain; or let one table be pure."""
    mine, late = (place.yaml(party).replace(FUNCTIONS, MORE) for party in (MEMBER, LATE))
    other = place.yaml(OTHER).replace(FUNCTIONS, MORE)
    late = late.replace(CATEGORY, TEXT).replace(b"dimensions: [region", b"dimensions: [channel, region")
    assert late.count(TEXT) == mine.count(BUDGET) == 1
    with place.open() as room:
        for text in (mine.replace(BUDGET, PURE_BUDGET) if pure else mine, other, late):
            room.declare(text)
        upload_all(room, place)


def charged(room: Room) -> list[dict[str, Any]]:
    return [details for _, kind, details in entries(room) if kind is EventType.QUERY_CHARGED]


def parts(room: Room) -> set[Part]:
    """Return what any question of the log has noise on."""
    return {part for each in charged(room) for part in recorded(each["releases"], set()).due[ROOM].parts}


def test_every_kind_of_noise_is_held_against_its_charge(place: Place) -> None:
    furnished(place)
    with place.open() as room:
        ask(room, COUNT, epsilon=0.1)
        assert ask(room, TWO, epsilon=0.1).sources == (Source.STORED, Source.DRAWN)
        assert ask(room, TWO, epsilon=0.2).sources == (Source.COMBINED, Source.COMBINED)
        ask(room, overlap(1), epsilon=None, margin=500)
        ask(room, SECTOR, epsilon=0.3)
        ask(room, MEDIAN, epsilon=0.3)
        ask(room, MEDIAN, epsilon=0.3)
        ask(room, MEDIAN, epsilon=0.3, weights={"milieu": 3, "n": 1}, max_rows_contributed="auto")
        ask(room, MEDIANS, epsilon=0.3, max_rows_contributed="auto")
        ask(room, TOTAL, epsilon=0.3, max_sum="auto")
        ask(room, COUNT, epsilon=0.3, max_groups_contributed="auto")
        ask(room, KEYS, epsilon=0.5)
        ask(room, BY_KEYS, epsilon=0.5, max_rows_contributed="auto")
        assert parts(room) == set(Part) - {Part.TABLES}
    found = balances.checked(place.path, place.home)
    assert found.ok, found.faults
    assert found.unheld == {}


def test_every_kind_of_pure_noise_is_held_against_its_charge(place: Place) -> None:
    furnished(place, pure=True)
    with place.open() as room:
        ask(room, TWO, epsilon=0.2)
        ask(room, MEDIAN, epsilon=0.3)
        ask(room, MEDIANS, epsilon=0.3, max_rows_contributed="auto")
        ask(room, TOTAL, epsilon=0.3, max_sum="auto")
        assert parts(room) == {Part.VECTOR, Part.QUANTILES, Part.CHOICE}
        assert any(each["pure"] for details in charged(room) for each in details["releases"])
    found = balances.checked(place.path, place.home)
    assert found.ok, found.faults


def enters(patch: Patch, change: Callable[[dict[str, Any]], object]) -> None:
    """Let the room enter something else of what it draws."""
    whole = charge.release_details

    def changed(release: Plan, each: DueRelease) -> dict[str, object]:
        said = whole(release, each)
        change(said)
        return said

    patch.setattr(charge, "release_details", changed)


def half(scale: str) -> str:
    return (float.fromhex(scale) / 2).hex()


def half_of_a_choice(said: dict[str, Any]) -> None:
    said["auto"][2] = half(said["auto"][2])


SABOTAGES: dict[str, tuple[str, dict[str, Any], Callable[[dict[str, Any]], object], str]] = {
    "half the noise on a count": (COUNT, {}, lambda said: said.update(scale=half(said["scale"])), "counts, sums and"),
    "half the noise on a median": (
        MEDIAN,
        {},
        lambda said: said.update(quantile_scales=list(map(half, said["quantile_scales"]))),
        "quantiles: ",
    ),
    "half the noise of a choice": (TOTAL, {"max_sum": "auto"}, half_of_a_choice, "the choice of a bound: "),
    "half the noise on keys": (
        KEYS,
        {},
        lambda said: said.update(key_noise=[half(said["key_noise"][0]), said["key_noise"][1]]),
        "keys without a domain: ",
    ),
    "a lower threshold": (
        KEYS,
        {},
        lambda said: said.update(key_noise=[said["key_noise"][0], said["key_noise"][1] - 1]),
        "counts for salle_grange.visits less delta than its thresholds on keys cost",
    ),
}


@pytest.mark.parametrize("sabotage", SABOTAGES)
def test_a_room_that_draws_less_than_it_charges_for_is_named(sabotage: str, place: Place, monkeypatch: Patch) -> None:
    sql, more, change, named = SABOTAGES[sabotage]
    furnished(place)
    with place.open() as room:
        ask(room, sql, epsilon=0.3, **more)
    assert balances.checked(place.path, place.home).ok
    enters(monkeypatch, change)
    with place.open() as room:
        ask(room, sql, epsilon=0.4, **more)
        last = max(index for index, kind, _ in entries(room) if kind is EventType.QUERY_CHARGED)
    found = balances.checked(place.path, place.home)
    assert not found.ok
    assert any(named in each.en for each in found.faults), found.faults
    assert all(f"of entry {last} " in each.en for each in found.faults)


def of_before(said: dict[str, Any]) -> None:
    """Say what entries said before quantiles, choices and tables were held."""
    for later in ("tables", "numbers", "signed", "quantiles", "auto_counts", "auto_noise"):
        said.pop(later, None)


def test_a_log_of_before_is_verified_and_it_is_said_what_could_not_be_held(place: Place, monkeypatch: Patch) -> None:
    furnished(place)
    with place.open() as room, monkeypatch.context() as patch:
        enters(patch, of_before)
        ask(room, COUNT, epsilon=0.3)
        ask(room, TWO, epsilon=0.3)
        ask(room, MEDIAN, epsilon=0.3, max_rows_contributed="auto")
        ask(room, KEYS, epsilon=0.5)
    with place.open() as room:
        ask(room, BY_KEYS, epsilon=0.5)
        numbers = [index for index, kind, _ in entries(room) if kind is EventType.QUERY_CHARGED]
    found = balances.checked(place.path, place.home)
    assert found.ok, found.faults
    assert found.unheld == {
        Part.QUANTILES: (numbers[2],),
        Part.CHOICE: (numbers[2],),
        Part.TABLES: tuple(numbers[:4]),
    }
