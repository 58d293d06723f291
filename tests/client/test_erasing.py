"""Whom a member has erased: normalised as uploads are, for each epoch whose key it holds, sealed to one room."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanroom.catalog import PrivacyUnit
from cleanroom.client import ErasedMemory, LinkageKey, create_linkage_key, linkage_path
from cleanroom.client.erasing import Held, erasure_list, keys_held, remember
from cleanroom.client.tokens import token
from cleanroom.errors import Fault, InvalidUpload, NotVerified, UsageError
from cleanroom.identifiers import Epoch, IdentifierKind, PartyId, RoomId, token_kind
from cleanroom.partition.erasure import ErasureList, Tokens
from key_management import SecretKey, TransportKey

ROOM, PARTY = RoomId("r-1"), PartyId("tnm")
EMAIL = PrivacyUnit("person", "courriel", IdentifierKind.EMAIL)
PHONE = PrivacyUnit("person", "tel", IdentifierKind.PHONE)
FRANCE = PrivacyUnit("person", "mobile", IdentifierKind.PHONE, region="FR")
KEYS = tuple(LinkageKey(ROOM, Epoch(each), SecretKey.generate()) for each in ("1", "2"))
TRANSPORT = TransportKey.generate()


def token_of(key: LinkageKey, unit: PrivacyUnit, value: str) -> bytes:
    return token(key.secret, kind=unit.token_kind, epoch=key.epoch, value=value)


def test_tokens_of_every_epoch_are_made_as_uploads_make_them() -> None:
    listed = erasure_list([" Ana.B@Exemple.CA ", "c@d.ca", "c@d.ca"], [EMAIL], KEYS)
    for key in KEYS:
        made = {token_of(key, EMAIL, value) for value in ("ana.b@exemple.ca", "c@d.ca")}
        assert set(listed.tokens(key.epoch, EMAIL.token_kind)) == made
    assert listed.tokens(Epoch("3"), EMAIL.token_kind) == ()
    assert listed.tokens(Epoch("1"), PHONE.token_kind) == ()


def test_a_phone_is_read_by_the_region_of_each_table() -> None:
    listed = erasure_list(["+1 514 555-1234"], [PHONE, FRANCE], KEYS)
    assert listed.tokens(Epoch("1"), PHONE.token_kind) == (token_of(KEYS[0], PHONE, "+15145551234"),)
    # In Canada this is a number, in France it is none: said for all, with nothing done.
    with pytest.raises(InvalidUpload) as caught:
        erasure_list(["514 555-1234"], [PHONE, FRANCE], KEYS)
    assert caught.value.code == "invalid_identifiers"


@pytest.mark.parametrize(
    "content", ["a@b.ca\nc@d.ca\n", "courriel\r\nA@b.ca\r\nc@d.ca\r\n", "no;COURRIEL\n1;a@b.ca\n2;c@d.ca\n"]
)
def test_a_file_is_read_as_an_opt_out_list_is(content: str, tmp_path: Path) -> None:
    path = tmp_path / "demandes.csv"
    path.write_bytes(content.encode())
    made = {token_of(KEYS[0], EMAIL, value) for value in ("a@b.ca", "c@d.ca")}
    assert set(erasure_list(path, [EMAIL], KEYS).tokens(Epoch("1"), EMAIL.token_kind)) == made


@pytest.mark.parametrize("wrong", [["a@b.ca", "nobody"], [""], ["a@b.ca\nc@d.ca"], ["514 555-1234"], ["a" * 100_000]])
def test_what_is_no_identifier_is_named_by_its_place(wrong: list[str]) -> None:
    with pytest.raises(InvalidUpload) as caught:
        erasure_list(wrong, [EMAIL], KEYS)
    assert f"no. {len(wrong)}" in caught.value.message.en
    assert f"n° {len(wrong)}" in caught.value.message.fr
    assert len(caught.value.message.en) < 200


def test_nobody_is_an_error() -> None:
    with pytest.raises(UsageError):
        erasure_list([], [EMAIL], KEYS)


# The keys


def held(home: Path, *epochs: str) -> dict[str, LinkageKey]:
    return {
        each: create_linkage_key(linkage_path(home, ROOM, Epoch(each)), room=ROOM, epoch=Epoch(each)) for each in epochs
    }


def test_all_keys_of_the_room_are_found_and_those_of_uploads_must_be(tmp_path: Path) -> None:
    keys = held(tmp_path, "1", "2")
    needed = {Held(Epoch("1"), keys["1"].check())}
    assert {each.epoch for each in keys_held(tmp_path, ROOM, Epoch("2"), needed)} == {"1", "2"}
    with pytest.raises(Fault) as missing:
        keys_held(tmp_path, ROOM, Epoch("2"), {Held(Epoch("0"), bytes(32))})
    assert missing.value.code == "linkage_key_missing"
    with pytest.raises(UsageError) as another:
        keys_held(tmp_path, ROOM, Epoch("2"), {Held(Epoch("1"), bytes(32))})
    assert another.value.code == "wrong_linkage_key"
    with pytest.raises(Fault):
        keys_held(tmp_path / "elsewhere", ROOM, Epoch("2"), set())
    linkage_path(tmp_path, ROOM, Epoch("2")).chmod(0o644)
    with pytest.raises(Fault) as open_to_others:
        keys_held(tmp_path, ROOM, Epoch("2"), needed)
    assert open_to_others.value.code == "linkage_key_refused"


def test_they_are_remembered_as_tokens_one_list_an_epoch(tmp_path: Path) -> None:
    listed = erasure_list(["a@b.ca"], [EMAIL], KEYS)
    remember(tmp_path, PARTY, listed, KEYS)
    remember(tmp_path, PARTY, erasure_list(["c@d.ca"], [EMAIL], KEYS[:1]), KEYS[:1])
    for key, people in zip(KEYS, (("a@b.ca", "c@d.ca"), ("a@b.ca",)), strict=True):
        known = ErasedMemory(tmp_path, PARTY, key).read()
        assert set(known.tokens(EMAIL.token_kind)) == {token_of(key, EMAIL, each).hex() for each in people}
    # Unlike those who said no, a list of another epoch stops nothing.
    assert len(ErasedMemory(tmp_path, PARTY, LinkageKey(ROOM, Epoch("9"), SecretKey.generate())).read()) == 0
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or b"@" not in path.read_bytes()


# The sealed list


KINDS = (token_kind(IdentifierKind.EMAIL), token_kind(IdentifierKind.OPAQUE, "tnm"))
GROUPS = st.dictionaries(
    st.tuples(st.sampled_from(["1", "2", "2025-09"]), st.sampled_from(KINDS)),
    st.sets(st.binary(min_size=16, max_size=16), min_size=1, max_size=4),
    min_size=1,
    max_size=4,
)


def opened(sealed: bytes, commitment: str, room: str = ROOM, party: str = PARTY) -> ErasureList:
    return ErasureList.opened(sealed, RoomId(room), PartyId(party), commitment, TRANSPORT.open)


@given(GROUPS)
def test_what_is_sealed_opens_for_what_was_signed_and_for_nothing_else(groups: dict[Any, set[bytes]]) -> None:
    listed = ErasureList.of(Tokens(Epoch(epoch), kind, tuple(sorted(groups[epoch, kind]))) for epoch, kind in groups)
    sealed, commitment = listed.sealed(TRANSPORT.public_bytes(), ROOM, PARTY), listed.commitment()
    assert opened(sealed, commitment) == listed
    again = ErasureList.of(listed.groups).commitment()
    assert again != commitment  # the same people, committed to twice, are not seen to be the same
    for room, party, signed in (("r-2", PARTY, commitment), (ROOM, "francos", commitment), (ROOM, PARTY, again)):
        with pytest.raises(NotVerified) as caught:
            opened(sealed, signed, room, party)
        assert caught.value.code == "erasure_list_refused"


@given(st.binary(max_size=3000), st.integers(0, 3000))
def test_whatever_is_sealed_is_refused_or_right(noise: bytes, at: int) -> None:
    listed = ErasureList.of([Tokens(Epoch("1"), KINDS[0], (bytes(16),))])
    sealed = listed.sealed(TRANSPORT.public_bytes(), ROOM, PARTY)
    at %= len(sealed)
    for wrong in (noise, sealed[:at], sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :], sealed + noise + b"x"):
        with pytest.raises(NotVerified):
            opened(wrong, listed.commitment())


def test_a_list_has_one_form() -> None:
    one, two = os.urandom(16), os.urandom(16)
    for wrong in ((two, one) if one < two else (one, two), (one, one), (one[:-1],)):
        with pytest.raises(ValueError, match="tokens"):
            Tokens(Epoch("1"), KINDS[0], wrong)
    with pytest.raises(ValueError, match="tokens"):
        Tokens(Epoch("../1"), KINDS[0], ())
    with pytest.raises(ValueError, match="nobody"):
        ErasureList.of([Tokens(Epoch("1"), KINDS[0], ())])
    with pytest.raises(ValueError, match="list"):
        ErasureList.of([Tokens(Epoch("1"), KINDS[0], (one,)), Tokens(Epoch("1"), KINDS[0], (two,))])
