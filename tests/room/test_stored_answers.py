"""Stored answers: only the newest are kept, sealed, and an altered one is noticed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import pytest
from reuse_samples import COUNT, free
from room_samples import Place, ask, audit, kinds, spent, stored_names

from audit_log import EventType
from cleanroom.accounting import ledger
from cleanroom.errors import Fault
from cleanroom.query.reuse import Source
from cleanroom.room import answer_store, logbook

Patch = pytest.MonkeyPatch


def test_only_the_newest_are_kept(place: Place, monkeypatch: Patch) -> None:
    monkeypatch.setattr(answer_store, "MOST_STORED", 2)
    with place.open() as room:
        questions = [COUNT.replace("GROUP", f"WHERE tickets > {number} GROUP") for number in range(1, 4)]
        for each in questions:
            ask(room, each)
        assert len(stored_names(place)) == 2
        assert free(ask(room, questions[2]))
        assert ask(room, questions[0]).sources == (Source.DRAWN,)
    audit(place)


def tampered(place: Place, statement: str) -> None:
    with closing(sqlite3.connect(place.path / "room.db", isolation_level=None)) as connection:
        assert connection.execute(statement).rowcount >= 1


TAMPERING = {
    "a byte": "UPDATE stored_draw SET sealed = CAST(substr(sealed, 1, 40) || x'00' || substr(sealed, 42) AS BLOB)"
    " WHERE place = 1",
    "another answer's bytes": "UPDATE stored_draw SET sealed = (SELECT sealed FROM stored_draw WHERE place = 2)"
    " WHERE place = 1",
    "another question's answer": "UPDATE stored_draw SET tag = (SELECT tag FROM stored_draw WHERE place = 1)"
    " WHERE place = 2",
}


@pytest.mark.parametrize("tampering", TAMPERING)
def test_a_stored_answer_that_was_altered_or_moved_is_noticed(tampering: str, place: Place) -> None:
    with place.open() as room:
        ask(room)
        ask(room, COUNT)
        paid = spent(room)
    tampered(place, TAMPERING[tampering])
    with place.open() as room:
        with pytest.raises(Fault) as caught:
            ask(room)
        assert caught.value.code == "stored_answer_damaged"
        assert spent(room) == paid
        assert kinds(room)[-1] is EventType.QUERY_REFUSED
    if "tag" not in TAMPERING[tampering]:
        found = logbook.verify(place.path, place.home)
        assert any("stored answer" in each.en for each in found.contradictions)


@pytest.mark.parametrize("statement", ["DELETE FROM stored_draw_table", "UPDATE stored_draw SET name = 'x' || name"])
def test_an_answer_that_is_gone_or_renamed_is_named_by_the_verification(statement: str, place: Place) -> None:
    with place.open() as room:
        ask(room)
    tampered(place, statement)
    if "DELETE" in statement:
        tampered(place, "DELETE FROM stored_draw")
    found = logbook.verify(place.path, place.home)
    assert any("stored answer" in each.en for each in found.contradictions)


def test_no_number_of_an_answer_stands_in_the_database(place: Place) -> None:
    with place.open() as room:
        answer = ask(room)
        (name,) = stored_names(place)
        (sealed,) = room.connection.execute("SELECT sealed FROM stored_draw").fetchone()
        content = room.path.joinpath("room.db").read_bytes() + room.path.joinpath("room.db-wal").read_bytes()
    assert len(sealed) % 4096 == 29
    assert b'"steps":' not in content
    assert b"cleanroom/drawn/v1" not in content
    assert name.encode() in content
    assert answer.table["n"].notna().any()


def test_a_question_whose_draw_cannot_be_stored_fails_charged(place: Place, monkeypatch: Patch) -> None:
    def full(*_: object, **__: object) -> Any:
        raise sqlite3.OperationalError("database or disk is full")

    with place.open() as room:
        with monkeypatch.context() as patch:
            patch.setattr(answer_store, "enter", full)
            with pytest.raises(Fault) as caught:
                ask(room)
        assert caught.value.code == "failed_after_charge"
        assert stored_names(place) == []
        assert ledger.unfinished(room.connection) == ()
        assert ask(room).sources == (Source.DRAWN,)
    audit(place)
