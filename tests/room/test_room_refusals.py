"""Refusals depend on question and rules, never on rows: byte for byte the same on any data, free, blind (S12)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from room_samples import LATE, MEMBER, OTHER, OVERLAP, SECTOR, Place, build, kinds, sector, spent

from audit_log import EventType
from cleanroom.errors import Refused
from cleanroom.room import question
from cleanroom.storage.partition_store import PartitionReader, PartitionStore
from examples.season import PARTIES
from key_management import KeyKind, Keyring

if TYPE_CHECKING:
    from cleanroom.room import Room
    from examples.season import Season

NOWHERE = "SELECT COUNT(*) AS n FROM nulle_part.visits"
SMALL = sector("SELECT discipline, SUM(tickets) AS t FROM GROUP BY 1", PARTIES[:2])

QUESTIONS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "rows": (MEMBER, "SELECT * FROM nuits_claires.visits", {}),
    "syntax": (MEMBER, "SELECT FROM WHERE", {}),
    "two statements": (MEMBER, f"{OVERLAP}; {OVERLAP}", {}),
    "invisible": (MEMBER, "SELECT 1\u200b", {}),
    "unknown table": (MEMBER, NOWHERE, {}),
    "unknown column": (MEMBER, "SELECT COUNT(*) AS n FROM nuits_claires.visits WHERE taille > 3", {}),
    "join without the person": (
        MEMBER,
        "SELECT COUNT(*) AS n FROM theatre_fleuve.visits JOIN nuits_claires.visits USING (region)",
        {},
    ),
    "limit": (MEMBER, "SELECT COUNT(*) AS n FROM (SELECT * FROM nuits_claires.visits LIMIT 5) AS x", {}),
    "group by the person": (MEMBER, "SELECT person, COUNT(*) AS n FROM nuits_claires.visits GROUP BY 1", {}),
    "no such rule": (MEMBER, "SELECT SUM(amount) AS n FROM nuits_claires.visits", {}),
    "undeclared dimension": (MEMBER, OVERLAP.replace("visits.region", "visits.channel"), {}),
    "too precise": (MEMBER, OVERLAP, {"epsilon": 3}),
    "too fine a margin": (MEMBER, OVERLAP, {"margin": Decimal("0.5")}),
    "over the budget": ("observatoire", SECTOR, {"epsilon": 50}),
    "too few parties": ("observatoire", SMALL, {}),
    "other purpose": (MEMBER, OVERLAP, {"purpose": "sector_statistics"}),
    "unknown purpose": (MEMBER, OVERLAP, {"purpose": "curiosite"}),
    "literal": ("observatoire", SECTOR.replace(" GROUP", " WHERE tickets > 4 GROUP"), {}),
}


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory, season: Season) -> list[Place]:
    """The season, the season without its liveliest person, and a room that nobody has uploaded to."""
    liveliest = season.visits.group_by("person").len().sort("len", "person")["person"][-1]
    fewer = replace(season, visits=season.visits.filter(pl.col("person") != liveliest))
    assert 0 < fewer.visits.height < season.visits.height
    directories = [tmp_path_factory.mktemp(name) for name in ("full", "fewer", "empty")]
    return [build(directories[0], season), build(directories[1], fewer), build(directories[2], season, uploads=())]


@pytest.fixture
def blind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop whatever goes near data."""

    def stop(*_: object, **__: object) -> Any:
        raise AssertionError("a refusal went near data")

    whole = Keyring.open

    def open_key(self: Keyring, connection: Any, key: Any) -> Any:
        return stop() if key.kind is KeyKind.DATA else whole(self, connection, key)

    monkeypatch.setattr(Keyring, "open", open_key)
    monkeypatch.setattr(PartitionStore, "open", stop)
    monkeypatch.setattr(PartitionStore, "path", stop)
    # Of the backends only the question's own has readers; admission tries a plan on tables without any.
    monkeypatch.setattr(question, "MergeBackend", stop)
    monkeypatch.setattr(PartitionReader, "read", stop)
    monkeypatch.setattr(question, "exact_vector", stop)


def refused(room: Room, party: str, sql: str, asked: dict[str, Any]) -> tuple[object, ...]:
    asked = {"purpose": "sector_statistics" if party == "observatoire" else "audience_overlap", **asked}
    with pytest.raises(Refused) as caught:
        room.session(party).query(sql, **asked)
    with pytest.raises(Refused) as previewed:
        room.session(party).preview(sql, **asked)
    if caught.value.code != "budget_insufficient":
        assert previewed.value.refusals == caught.value.refusals
    return caught.value.refusals


@pytest.mark.usefixtures("blind")
@pytest.mark.parametrize("name", [name for name in QUESTIONS if name != "over the budget"])
def test_a_refusal_is_the_same_on_any_data(name: str, rooms: list[Place]) -> None:
    party, sql, asked = QUESTIONS[name]
    said = set()
    for place in rooms:
        with place.open() as room:
            before, log = spent(room), kinds(room)
            reasons = refused(room, party, sql, asked)
            said.add(repr(reasons).encode())
            assert spent(room) == before
            assert kinds(room) == [*log, EventType.QUERY_REFUSED, EventType.QUERY_REFUSED]
            for reason in reasons:
                assert reason.message.fr  # type: ignore[attr-defined]
                assert reason.message.en  # type: ignore[attr-defined]
    assert len(said) == 1


@pytest.mark.usefixtures("blind")
def test_an_empty_budget_reads_the_same_on_any_data(rooms: list[Place]) -> None:
    said = set()
    for place in rooms:
        with place.open() as room:
            before = spent(room)
            with pytest.raises(Refused) as caught:
                room.session("observatoire").query(SECTOR, purpose="sector_statistics", epsilon=50)
            said.add(repr(caught.value.refusals).encode())
            assert spent(room) == before
    assert len(said) == 1


def test_previews_and_checks_read_the_same_on_any_data(rooms: list[Place]) -> None:
    said = set()
    for place in rooms:
        with place.open() as room:
            session = room.session("observatoire")
            preview = session.preview(SECTOR, purpose="sector_statistics", epsilon=1)
            checked = session.check([{"id": 1, "sql": SECTOR}, {"id": 2, "sql": SMALL}], purpose="sector_statistics")
            said.add(repr((preview, checked, session.catalog())))
    assert len(said) == 1


@pytest.mark.usefixtures("blind")
def test_unknown_and_forbidden_read_alike(rooms: list[Place]) -> None:
    """`salle_grange.visits` exists and is closed to auditors; `nulle_part.visits` does not exist."""
    with rooms[0].open() as room:
        closed = rooms[0].yaml(LATE).replace(b"parties: {role: member}", b"parties: [guichet_nord]")
        room.declare(closed)
        texts = []
        for table in (f"{LATE}.visits", "salle_orange.visits"):
            with pytest.raises(Refused) as caught:
                room.session(MEMBER).query(f"SELECT COUNT(*) AS n FROM {table}", purpose="audience_overlap")  # noqa: S608
            texts.append(repr(caught.value.refusals).replace(table.split(".")[0], "X"))
        assert texts[0] == texts[1]
        purposes = []
        for purpose in ("statistics", "statistiquf"):
            with pytest.raises(Refused) as caught:
                room.session(MEMBER).query(OVERLAP, purpose=purpose)
            purposes.append(repr(caught.value.refusals).replace(purpose, "X"))
        assert purposes[0] == purposes[1]
        assert OTHER not in purposes[0]
