"""Requests: signed by their party for this room and this act, taken once; whatever else is turned away."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from room_samples import MEMBER, OVERLAP, SECTOR, Place, ask, audit, entries, kinds, spent

from audit_log import EventType
from cleanroom.errors import CleanroomError, NotVerified, Refused, UsageError
from cleanroom.identifiers import PartyId, RoomId
from cleanroom.room import Room, question, views
from cleanroom.room.home import OPERATOR
from cleanroom.room.signed_request import SignedRequest

if TYPE_CHECKING:
    from collections.abc import Callable

CONTENT = {"sql": OVERLAP, "purpose": "audience_overlap", "epsilon": ["decimal", "0.1"]}


def signed(room: Room, action: str = "query", **changed: Any) -> SignedRequest:
    return room.session(MEMBER)._signed(action, {**CONTENT, **changed})


FORGERIES: dict[str, Callable[[SignedRequest], SignedRequest]] = {
    "unsigned": lambda r: replace(r, signature=b""),
    "zero signature": lambda r: replace(r, signature=bytes(64)),
    "a bit of the signature": lambda r: replace(r, signature=bytes([r.signature[0] ^ 1]) + r.signature[1:]),
    "other room": lambda r: replace(r, room=RoomId("r-0000000000000000")),
    "other party": lambda r: replace(r, party=PartyId("nuits_claires")),
    "more precision": lambda r: replace(r, content={**r.content, "epsilon": ["decimal", "0.5"]}),
    "other purpose": lambda r: replace(r, content={**r.content, "purpose": "sector_statistics"}),
    "one argument more": lambda r: replace(r, content={**r.content, "max_rows_contributed": 5}),
    "other act": lambda r: replace(r, action="preview"),
    "later": lambda r: replace(r, at=r.at + 1),
    "fresh id": lambda r: replace(r, request_id="0" * 32),
    "malformed id": lambda r: replace(r, request_id="../../etc"),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_request_is_not_verified_and_changes_nothing(forgery: str, place: Place) -> None:
    with place.open() as room:
        request = FORGERIES[forgery](signed(room))
        before, log = spent(room), kinds(room)
        for act in (question.ask, question.preview, views.catalog):
            with pytest.raises(NotVerified) as caught:
                act(room, request)
            assert caught.value.code == "request_not_signed"
        with pytest.raises(NotVerified):
            question.check(room, request, [])
        assert (spent(room), kinds(room)) == (before, [*log, *[EventType.ACCESS_REFUSED] * 4])
        # The public leaf accuses nobody: whom a forgery claims to be from is a claim, and sealed.
        event = room.journal.log.entry(room.connection, len(log)).event
        assert (event.actor, event.parties) == (room.journal.pseudonym(OPERATOR), frozenset({0}))
        _, _, details = entries(room)[len(log)]
        assert (details["reason"], details["claimed"]) == ("request_not_signed", request.party)
    audit(place)


def test_another_partys_key_does_not_sign(room: Room) -> None:
    for key in (room.home.signing_key(PartyId("nuits_claires")), Ed25519PrivateKey.generate()):
        request = SignedRequest.sign(
            key, room=room.room_id, party=PartyId(MEMBER), action="query", content=CONTENT, at=room.now()
        )
        with pytest.raises(NotVerified):
            question.ask(room, request)


def test_an_unknown_party_is_no_party(room: Room) -> None:
    with pytest.raises(UsageError):
        room.session("inconnu")
    with pytest.raises(UsageError):
        question.ask(room, replace(signed(room), party=PartyId("inconnu")))


def test_a_request_is_answered_once(place: Place) -> None:
    with place.open() as room:
        request = signed(room)
        question.ask(room, request)
        before, log = spent(room), kinds(room)
        with pytest.raises(NotVerified) as caught:
            question.ask(room, request)
        assert caught.value.code == "request_repeated"
        assert (spent(room), kinds(room)) == (before, log)
        refused = signed(room, sql="SELECT 1")
        for error in (Refused, NotVerified):
            with pytest.raises(error):
                question.ask(room, refused)
        preview = signed(room, "preview")
        question.preview(room, preview)
        with pytest.raises(NotVerified):
            question.preview(room, preview)
    audit(place)


@pytest.mark.parametrize("action", ["preview", "check", "catalog", "declare"])
def test_a_request_for_one_act_does_not_serve_for_another(action: str, room: Room) -> None:
    request = signed(room, action)
    before = spent(room)
    with pytest.raises(NotVerified):
        question.ask(room, request)
    assert spent(room) == before


def test_the_log_holds_the_request_as_it_was_signed(room: Room) -> None:
    """An auditor verifies the signature of a charged question from the log's details and the party's key alone."""
    ask(room)
    details = next(details for _, kind, details in entries(room) if kind is EventType.QUERY_CHARGED)
    again = SignedRequest(
        room.room_id,
        PartyId(details["actor"]),
        "query",
        details["content"],
        details["request"],
        details["requested_at"],
        bytes.fromhex(details["signature"]),
    )
    again.verify(room.verified(signed(room), "query").public_key, room.room_id, "query")


def test_the_log_holds_what_was_checked(room: Room) -> None:
    room.session(MEMBER).check([{"id": 1, "sql": "SELECT 'sonde'"}], purpose="audience_overlap")
    assert "sonde" in repr(entries(room)[-1][2])


# Whatever a party sends, it is refused in words and entered, not an exception of Python


ODD: dict[str, Callable[[Room], Any]] = {
    "epsilon of NumPy": lambda room: ask(room, epsilon=np.float64(-1)),
    "malformed decimal": lambda room: question.ask(room, signed(room, epsilon=["decimal", "zz"])),
    "malformed parameter": lambda room: question.ask(room, signed(room, parameters=[["decimal", "zz"]])),
    "question of 5 MB": lambda room: ask(room, "x" * 5_000_000),
}
WORKS: dict[str, Callable[[Room], Any]] = {
    "no text": lambda room: question.ask(room, signed(room, sql=None)),
    "empty": lambda room: ask(room, ""),
    "surrogate": lambda room: ask(room, "SELECT \ud800"),
    "NUL": lambda room: ask(room, "SELECT \0"),
    "not a number": lambda room: ask(room, epsilon=float("nan")),
    "infinite": lambda room: ask(room, epsilon=float("inf")),
    "negative": lambda room: ask(room, epsilon=-1),
    "true": lambda room: ask(room, epsilon=True),
    "text": lambda room: ask(room, epsilon="0.1"),
    "huge": lambda room: ask(room, epsilon=Decimal("1e999999999")),
    "tiny": lambda room: ask(room, epsilon=Decimal("1e-999999999")),
    "both": lambda room: ask(room, epsilon=1, margin=50),
    "rows as text": lambda room: ask(room, max_rows_contributed="5"),
    "rows as truth": lambda room: ask(room, max_rows_contributed=True),
    "no rows": lambda room: ask(room, max_rows_contributed=0),
    "many groups": lambda room: ask(room, max_groups_contributed=10**9),
    "odd purpose": lambda room: ask(room, purpose="Été!\n"),
    "no purpose": lambda room: ask(room, purpose=None),
    "nested parameters": lambda room: ask(room, parameters=[[[1]]]),
    "parameters nobody asked for": lambda room: ask(room, parameters={"x": 1}),
}


@pytest.mark.parametrize("odd", [*WORKS, *ODD])
def test_odd_requests_are_refused_and_entered(odd: str, place: Place) -> None:
    with place.open() as room:
        before, log = spent(room), kinds(room)
        with pytest.raises(Refused):
            {**WORKS, **ODD}[odd](room)
        assert spent(room) == before
        assert kinds(room) == [*log, EventType.QUERY_REFUSED]
    audit(place)


def test_a_margin_of_many_zeros_is_refused_by_its_exponent(monkeypatch: pytest.MonkeyPatch, room: Room) -> None:
    """Counted, not timed: the exact fraction of such a number must never be made."""
    from cleanroom.query import pricing

    made: list[object] = []

    def fraction(*arguments: object) -> Any:
        made.append(arguments)
        raise AssertionError

    monkeypatch.setattr(pricing, "Fraction", fraction)
    with pytest.raises(Refused):
        ask(room, epsilon=None, margin=Decimal("1e-400000"))
    assert made == []


def test_a_check_with_an_odd_purpose_decides(room: Room) -> None:
    (decision,) = room.session(MEMBER).check([{"id": 1, "sql": OVERLAP}], purpose="Été!")
    assert decision["admitted"] is False


@pytest.mark.parametrize(
    "line",
    [
        {},
        {"id": 1},
        {"id": 1, "sql": 5},
        {"id": None, "sql": OVERLAP, "params": {"x": 7}},
        7,
        {"sql": OVERLAP, "params": [["decimal", "x"]]},
    ],
)
def test_a_check_decides_odd_lines(line: Any, room: Room) -> None:
    before = spent(room)
    decisions = room.session(MEMBER).check([line, {"id": 2, "sql": OVERLAP}], purpose="audience_overlap")
    assert [each["admitted"] for each in decisions] == [False, True]
    assert spent(room) == before


def test_previews_and_checks_charge_nothing_and_remember_no_cohort(place: Place) -> None:
    with place.open() as room:
        before = spent(room)
        session = room.session("observatoire")
        session.preview(SECTOR, purpose="sector_statistics")
        session.check([{"id": 1, "sql": SECTOR}], purpose="sector_statistics")
        assert spent(room) == before
        assert room.connection.execute("SELECT count(*) FROM cohort").fetchone() == (0,)
    audit(place)


def test_a_failed_sector_question_is_remembered_as_answered(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its cohort may have been read; whoever asks next about one owner less must not be told the difference (S43)."""
    from room_samples import sector

    from examples.season import PARTIES

    fewer = sector("SELECT discipline, SUM(tickets) AS billets FROM GROUP BY 1", PARTIES[:5])
    with place.open() as room:
        with monkeypatch.context() as patch:
            patch.setattr(question, "exact_vector", lambda *_: 1 / 0)
            with pytest.raises(CleanroomError):
                ask(room, SECTOR)
        with pytest.raises(Refused) as caught:
            ask(room, fewer)
        assert "cohort_too_close" in {each.code for each in caught.value.refusals}
    audit(place)
