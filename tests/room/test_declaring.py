"""A declaration signed at home: taken once, as its owner signed it, and never after the owner's later word."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from room_samples import LATE, MEMBER, OTHER, Place, audit, entries, visits

from audit_log import EventType
from cleanroom.errors import CleanroomError
from cleanroom.identifiers import RoomId, party_id
from cleanroom.room import Home, Room, declaring, registry, withdrawal
from cleanroom.room.declaring import (
    AHEAD_SECONDS,
    SignedDeclaration,
    declare,
    read_signed_declaration,
    sign_declaration,
    write_declaration,
)
from cleanroom.room.signed_request import SignedRequest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cleanroom.identifiers import TableName

TABLE = visits(MEMBER)


def signed(room: Room, content: bytes, *, at: int | None = None) -> SignedDeclaration:
    return sign_declaration(room.home, room.room_id, content, at=room.now() if at is None else at)


def forge(place: Room, signed: SignedDeclaration, **changes: Any) -> SignedDeclaration:
    """Sign other words with the member's own key; `party` with that party's."""
    request = signed.request
    said = {"room": request.room, "party": request.party, "action": request.action, "content": request.content}
    said |= changes
    key = place.home.signing_key(said["party"])
    return replace(signed, request=SignedRequest.sign(key, at=request.at, **said))


def in_force(room: Room) -> tuple[bytes, bytes]:
    return registry.declaration_request(room.connection, TABLE)


def test_signed_at_home_is_entered_as_signed_here(place: Place, room: Room, tmp_path: Path) -> None:
    content = place.yaml(MEMBER)
    room.declare(content)
    write_declaration(tmp_path / "d", signed(room, content))
    taken = declare(room, read_signed_declaration((tmp_path / "d").read_bytes()))
    here, home = entries(room)[-2:]
    assert (taken.table, taken.log_index, home[1]) == (TABLE, home[0], EventType.TABLE_DECLARED)
    assert here[2].keys() == home[2].keys()
    own = {"request", "requested_at", "signature", "version"}
    assert {n: v for n, v in here[2].items() if n not in own} == {n: v for n, v in home[2].items() if n not in own}
    assert home[2]["version"] == taken.version == here[2]["version"] + 1
    assert in_force(room)[0] == content
    envelopes = [room.journal.log.entry(room.connection, each[0]) for each in (here, home)]
    assert len({(e.event.actor, e.event.parties, e.event.policy, e.event.outcome) for e in envelopes}) == 1
    audit(place)


FALSE: dict[str, tuple[str, Callable[[Room, SignedDeclaration], SignedDeclaration]]] = {
    "other bytes": ("declaration_not_signed", lambda _, d: replace(d, content=d.content + b"\n")),
    "another digest, resigned by another member": (
        "declaration_not_signed",
        lambda room, d: forge(room, d, party=party_id(OTHER)),
    ),
    "the operator's signature": ("declaration_not_signed", lambda room, d: forge(room, d, party=party_id("operator"))),
    "more words": ("declaration_not_signed", lambda room, d: forge(room, d, content={**d.request.content, "x": 1})),
    "another act": ("request_not_signed", lambda room, d: forge(room, d, action="withdraw")),
    "another room": ("request_not_signed", lambda room, d: forge(room, d, room=RoomId("r-0000000000000000"))),
    "another's name": (
        "request_not_signed",
        lambda _, d: replace(d, request=replace(d.request, party=party_id(OTHER))),
    ),
    "a later date": ("request_not_signed", lambda _, d: replace(d, request=replace(d.request, at=d.request.at + 1))),
    "a broken signature": (
        "request_not_signed",
        lambda _, d: replace(d, request=replace(d.request, signature=bytes(64))),
    ),
}


@pytest.mark.parametrize("name", FALSE)
def test_what_its_owner_did_not_sign_is_not_taken(place: Place, room: Room, name: str) -> None:
    code, change = FALSE[name]
    before, size = in_force(room), len(entries(room))
    false = change(room, signed(room, place.yaml(MEMBER)))
    with pytest.raises(CleanroomError) as caught:
        declare(room, false)
    assert (caught.value.code, in_force(room)) == (code, before)
    entered = [kind for _, kind, _ in entries(room)[size:]]
    assert entered == ([EventType.ACCESS_REFUSED] if code == "request_not_signed" else [])
    audit(place)


def test_one_is_taken_once(place: Place, room: Room) -> None:
    once = signed(room, place.yaml(MEMBER))
    taken = declare(room, once)
    room.declare(place.yaml(MEMBER))
    size, before = len(entries(room)), in_force(room)
    again = declare(room, once)
    assert (again.version, again.log_index) == (taken.version, None)
    assert (len(entries(room)), in_force(room)) == (size, before)
    other = replace(once, request=replace(once.request, content={"declaration": "sha256:" + "0" * 64}))
    with pytest.raises(CleanroomError) as caught:
        declare(room, other)
    assert caught.value.code == "request_not_signed"


def test_one_kept_back_does_not_undo_a_later_one(place: Place, room: Room) -> None:
    lenient, strict = place.yaml(MEMBER), place.yaml(MEMBER).split(b"rules:")[0] + b"rules: []\n"
    now = room.now()
    kept_back = signed(room, lenient, at=now)
    declare(room, signed(room, strict, at=now + 1))
    with pytest.raises(CleanroomError) as caught:
        declare(room, kept_back)
    assert (caught.value.code, in_force(room)[0]) == ("declaration_superseded", strict)
    declare(room, signed(room, lenient, at=now + 1))  # of the same second: neither is known to be the later
    assert in_force(room)[0] == lenient


def test_one_kept_back_does_not_undo_a_withdrawal(place: Place, room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    kept_back = signed(room, place.yaml(MEMBER))
    later = room.now() + 10
    monkeypatch.setattr(room, "now", lambda: later)
    withdrawal.withdraw(room, withdrawal.sign_withdrawal(room, party_id(MEMBER), TABLE))
    with pytest.raises(CleanroomError) as caught:
        declare(room, kept_back)
    assert caught.value.code == "declaration_superseded"
    assert TABLE not in registry.declarations(room.connection)
    declare(room, signed(room, place.yaml(MEMBER)))
    assert TABLE in registry.declarations(room.connection)


def test_a_date_in_the_future_is_not_taken_and_a_clock_that_went_back_does_no_harm(
    place: Place, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, now = place.yaml(MEMBER), room.now()
    monkeypatch.setattr(room, "now", lambda: now)
    with pytest.raises(CleanroomError) as caught:
        declare(room, signed(room, content, at=now + AHEAD_SECONDS + 1))
    assert caught.value.code == "signed_in_the_future"
    declare(room, signed(room, content, at=now + AHEAD_SECONDS))
    monkeypatch.setattr(room, "now", lambda: now - 2 * AHEAD_SECONDS)
    room.declare(content)  # on the room's machine it is dated after what is in force


def test_what_is_no_signed_declaration(place: Place, room: Room) -> None:
    whole = signed(room, place.yaml(MEMBER)).encode()
    assert read_signed_declaration(whole).encode() == whole
    for bad in (
        b"",
        whole[1:],
        declaring.LABEL,
        declaring.LABEL + b"{}\n" + place.yaml(MEMBER),
        whole + bytes(1 << 22),
    ):
        with pytest.raises(CleanroomError) as caught:
            read_signed_declaration(bad)
        assert caught.value.code in {"no_signed_declaration", "no_signed_request"}


def test_the_key_is_the_owners_and_must_be_here(place: Place, room: Room, tmp_path: Path) -> None:
    with pytest.raises(CleanroomError) as caught:
        sign_declaration(Home(tmp_path / "empty"), room.room_id, place.yaml(LATE), at=room.now())
    assert caught.value.code == "signing_key_missing"


def without_order(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(declaring, "_require_newest", lambda *_: None)


def without_withdrawals(patch: pytest.MonkeyPatch) -> None:
    def last(room: Room, table: TableName) -> int:
        return SignedRequest.decode(registry.declaration_request(room.connection, table)[1]).at

    patch.setattr(declaring, "_last_word", last)


def whoever_signs(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Room, "verified", lambda room, *_: registry.party_named(room.connection, party_id(MEMBER)))


@pytest.mark.parametrize(
    ("broken", "noticed"),
    [
        (without_order, test_one_kept_back_does_not_undo_a_later_one),
        (without_order, test_one_kept_back_does_not_undo_a_withdrawal),
        (without_withdrawals, test_one_kept_back_does_not_undo_a_withdrawal),
        (whoever_signs, lambda place, room: test_what_its_owner_did_not_sign_is_not_taken(place, room, "another room")),
    ],
)
def test_each_breakage_is_noticed(broken: Any, noticed: Any, place: Place, room: Room) -> None:
    with pytest.MonkeyPatch.context() as patch:
        broken(patch)
        arguments = (place, room, patch) if "withdrawal" in getattr(noticed, "__name__", "") else (place, room)
        with pytest.raises((AssertionError, pytest.fail.Exception)):
            noticed(*arguments)
