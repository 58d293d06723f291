"""The linkage key goes from member to member, sealed; whoever carries the files gets neither it nor theirs in."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from cleanroom.client.linkage import create_linkage_key, linkage_path, read_linkage_key
from cleanroom.errors import CleanroomError
from cleanroom.identifiers import Epoch, PartyId, RoomId
from cleanroom.room import Home, linkage_handover
from cleanroom.room.linkage_handover import (
    ASK,
    GIVE,
    ask_linkage_key,
    decode,
    encode,
    give_linkage_key,
    take_linkage_key,
)
from cleanroom.room.signed_request import SignedRequest
from key_management import SecretKey, TransportKey
from key_management.transport import seal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

ROOM, EPOCH = RoomId("r-0123456789abcdef"), Epoch("1")
FIRST, SECOND, OPERATOR = PartyId("premiere"), PartyId("seconde"), PartyId("operator")


class Machine:
    """A party's machine."""

    def __init__(self, path: Path, party: PartyId) -> None:
        self.home, self.party = Home(path), party
        self.public: Ed25519PublicKey = self.home.make_signing_key(party)

    @property
    def linkage(self) -> Path:
        return linkage_path(self.home.path, ROOM, EPOCH)

    def ask(self) -> SignedRequest:
        return ask_linkage_key(self.home, ROOM, self.party, at=7)

    def give(self, asked: SignedRequest, asker: Ed25519PublicKey, epoch: Epoch | None = None) -> SignedRequest:
        return give_linkage_key(self.home, asked, asker, self.party, epoch, at=8)

    def take(self, given: SignedRequest, giver: Ed25519PublicKey) -> tuple[Path, bool]:
        return take_linkage_key(self.home, given, giver, self.party)

    def sign(self, party: PartyId, action: str, **content: object) -> SignedRequest:
        key = self.home.signing_key(self.party)
        return SignedRequest.sign(key, room=ROOM, party=party, action=action, content=content, at=9)


@pytest.fixture
def first(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path / "first", FIRST)
    create_linkage_key(machine.linkage, room=ROOM, epoch=EPOCH)
    return machine


@pytest.fixture
def second(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "second", SECOND)


@pytest.fixture
def operator(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "operator", OPERATOR)


def code_of(act: Callable[[], object]) -> str:
    with pytest.raises(CleanroomError) as caught:
        act()
    return caught.value.code


def test_the_key_arrives_whole_and_private(first: Machine, second: Machine) -> None:
    asked = decode(encode(second.ask()), ASK)
    given = decode(encode(first.give(asked, second.public)), GIVE)
    path, there = second.take(given, first.public)
    assert (path, there) == (second.linkage, False)
    assert path.read_bytes() == first.linkage.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert second.take(given, first.public) == (path, True)
    secret = first.linkage.read_text().split("\n")[3]
    for carried in (encode(asked), encode(given)):
        assert secret.encode() not in carried
        assert bytes.fromhex(secret) not in carried


def test_the_operator_cannot_ask_in_a_members_name(first: Machine, second: Machine, operator: Machine) -> None:
    own = TransportKey.generate().public_bytes().hex()
    swapped = replace(second.ask(), content={"reading_key": own})
    resigned = operator.sign(SECOND, ASK, reading_key=own)
    for false in (swapped, resigned):
        assert code_of(lambda false=false: first.give(false, second.public)) == "member_key_differs"  # type: ignore[misc]


def test_the_operator_cannot_hand_out_a_key_of_its_own(first: Machine, second: Machine, operator: Machine) -> None:
    """Under a key that the operator knows it would read the identifiers out of the tokens."""
    create_linkage_key(operator.linkage, room=ROOM, epoch=EPOCH)
    false = operator.give(second.ask(), second.public)
    key = operator.home.signing_key(OPERATOR)
    as_first = SignedRequest.sign(key, room=ROOM, party=FIRST, action=GIVE, content=false.content, at=8)
    for each in (false, as_first, replace(false, party=FIRST)):
        assert code_of(lambda each=each: second.take(each, first.public)) == "member_key_differs"  # type: ignore[misc]
    assert not second.linkage.exists()


def test_one_sealed_for_another_opens_nowhere_else(
    first: Machine, second: Machine, operator: Machine, tmp_path: Path
) -> None:
    given = first.give(second.ask(), second.public)
    assert code_of(lambda: operator.take(given, first.public)) == "not_for_you"
    third = Machine(tmp_path / "third", PartyId("troisieme"))
    third.ask()
    redirected = first.sign(FIRST, GIVE, **{**given.content, "to": third.party})
    assert code_of(lambda: third.take(redirected, first.public)) == "linkage_key_sealed"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ("epoch", "linkage_key_sealed"),
        ("check", "invalid_handover"),
        ("sealed", "linkage_key_sealed"),
        ("more", "invalid_handover"),
    ],
)
def test_what_is_sealed_belongs_to_its_words(first: Machine, second: Machine, changed: str, code: str) -> None:
    """Also a giver's own mistake is found: the check, and what the seal is bound to."""
    content: dict[str, Any] = dict(first.give(second.ask(), second.public).content)
    content |= {
        "epoch": {"epoch": "2"},
        "check": {"check": "00" * 32},
        "sealed": {"sealed": content["sealed"][:-2] + "00" if content["sealed"][-2:] != "00" else "11"},
        "more": {"more": "words"},
    }[changed]
    assert code_of(lambda: second.take(first.sign(FIRST, GIVE, **content), first.public)) == code
    assert not second.linkage.parent.exists()


def test_a_key_sealed_for_another_purpose_is_not_taken(first: Machine, second: Machine) -> None:
    """What details and uploads are sealed with opens nothing here, though the reading key is the same."""
    public = bytes.fromhex(str(second.ask().content["reading_key"]))
    secret = SecretKey.generate()
    content = dict(first.give(second.ask(), second.public).content) | {"sealed": seal(public, secret, b"other").hex()}
    assert code_of(lambda: second.take(first.sign(FIRST, GIVE, **content), first.public)) == "linkage_key_sealed"


def test_a_key_that_is_there_is_not_replaced(first: Machine, second: Machine) -> None:
    own = create_linkage_key(second.linkage, room=ROOM, epoch=EPOCH)
    given = first.give(second.ask(), second.public)
    assert code_of(lambda: second.take(given, first.public)) == "linkage_key_exists"
    assert read_linkage_key(second.linkage).check() == own.check()


def test_which_key_is_given(first: Machine, second: Machine) -> None:
    asked = second.ask()
    assert code_of(lambda: second.give(asked, second.public)) == "linkage_key_missing"
    other = linkage_path(first.home.path, ROOM, Epoch("2"))
    create_linkage_key(other, room=ROOM, epoch=Epoch("2"))
    assert code_of(lambda: first.give(asked, second.public)) == "several_epochs"
    path, _ = second.take(first.give(asked, second.public, Epoch("2")), first.public)
    assert path.read_bytes() == other.read_bytes()


def test_what_is_no_such_file(first: Machine, second: Machine) -> None:
    asked = second.ask()
    assert code_of(lambda: decode(encode(asked), GIVE)) == "invalid_handover"
    assert code_of(lambda: decode(b"cleanroom/linkage-request/v1\n{}", ASK)) == "no_signed_request"
    elsewhere = replace(asked, room=RoomId("../../x"))
    assert code_of(lambda: first.give(elsewhere, second.public)) == "member_key_differs"
    key = second.home.signing_key(SECOND)
    crooked = SignedRequest.sign(key, room=RoomId("../../x"), party=SECOND, action=ASK, content={}, at=1)
    assert code_of(lambda: first.give(crooked, second.public)) == "invalid_room"
    assert code_of(lambda: first.give(second.sign(SECOND, ASK, reading_key="00"), second.public)) == "invalid_handover"
    assert json.loads(encode(asked).split(b"\n")[1])["party"] == SECOND


EPOCH_CHANGED = ("epoch", "linkage_key_sealed")


def unsigned(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(linkage_handover, "_verify", lambda *_: None)


def unbound(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(linkage_handover, "_info", lambda *_: b"same")


@pytest.mark.parametrize(
    ("broken", "noticed"),
    [
        (unsigned, test_the_operator_cannot_ask_in_a_members_name),
        (unsigned, test_the_operator_cannot_hand_out_a_key_of_its_own),
        (unbound, lambda first, second, _: test_what_is_sealed_belongs_to_its_words(first, second, *EPOCH_CHANGED)),
    ],
)
def test_each_breakage_is_noticed(broken: Any, noticed: Any, first: Any, second: Any, operator: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        broken(patch)
        with pytest.raises((AssertionError, pytest.fail.Exception)):
            noticed(first, second, operator)
