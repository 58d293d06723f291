"""Tokens: the committed vectors, and the bulk way equal to the standard library's HMAC."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanroom.client.linkage import LinkageKey
from cleanroom.client.normalise import normalise
from cleanroom.client.tokens import token, token_column
from cleanroom.identifiers import (
    Epoch,
    IdentifierKind,
    InvalidName,
    RoomId,
    TokenKind,
    parse_token_kind,
    token_kind,
)
from key_management.secret import SecretKey

VECTORS = json.loads((Path(__file__).parents[2] / "docs/spec/token-vectors.json").read_text(encoding="utf-8"))
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20) | st.sampled_from(["a\0b", "\0"])

KINDS = [*map(token_kind, IdentifierKind), *(token_kind(IdentifierKind.OPAQUE, name) for name in ("tnm", "francos"))]


@pytest.mark.parametrize("vector", VECTORS["tokens"], ids=lambda vector: vector["written"])
def test_vector(vector: dict[str, str]) -> None:
    key = SecretKey.adopt(bytes.fromhex(vector["linkage_key"]))
    kind, epoch = parse_token_kind(vector["kind"]), Epoch(vector["epoch"])
    value = normalise(IdentifierKind(kind.partition(":")[0]), vector["written"], vector.get("region"))
    assert value == vector["normalised"]
    assert token(key, kind=kind, epoch=epoch, value=value).hex() == vector["token"]
    # By hand, from the specification's sentence.
    message = b"cleanroom/token/v1\0" + kind.encode() + b"\0" + epoch.encode() + b"\0" + vector["normalised"].encode()
    by_hand = hmac.new(vector["linkage_key"].encode(), message, hashlib.sha256).hexdigest()
    assert by_hand[:32] == vector["token"]


@pytest.mark.parametrize("vector", VECTORS["refused"], ids=lambda vector: repr(vector["written"]))
def test_refused_vector(vector: dict[str, str]) -> None:
    assert normalise(IdentifierKind(vector["kind"]), vector["written"], vector.get("region")) is None


@pytest.mark.parametrize("vector", VECTORS["linkage_checks"], ids=lambda vector: vector["epoch"])
def test_linkage_check_vector(vector: dict[str, str]) -> None:
    key = SecretKey.adopt(bytes.fromhex(vector["linkage_key"]))
    assert LinkageKey(RoomId(vector["room"]), Epoch(vector["epoch"]), key).check().hex() == vector["check"]


@settings(deadline=None)
@given(st.binary(min_size=32, max_size=32), st.lists(TEXT, min_size=1, max_size=4), st.sampled_from(KINDS))
def test_the_bulk_way_is_the_reference(secret: bytes, values: list[str], kind: TokenKind) -> None:
    key, epoch = SecretKey.adopt(secret), Epoch("2025")
    bulk = token_column(key, kind=kind, epoch=epoch, values=pl.Series(values))
    assert bulk.to_list() == [token(key, kind=kind, epoch=epoch, value=value).hex() for value in values]


def test_kinds_epochs_and_keys_never_meet() -> None:
    one, other = SecretKey.adopt(bytes(32)), SecretKey.adopt(bytes(31) + b"\1")
    tokens = {
        token(key, kind=kind, epoch=Epoch(epoch), value="a@b.ca")
        for key in (one, other)
        for kind in KINDS
        for epoch in ("1", "2")
    }
    assert len(tokens) == 4 * len(KINDS)


def test_only_opaque_identifiers_have_number_spaces() -> None:
    for kind in KINDS:
        assert parse_token_kind(kind) == kind
    for wrong in ("email:tnm", "phone:tnm", "opaque:", "opaque:Tnm", "opaque:a:b", "opaque:a\0b", "fax", "", "Email"):
        with pytest.raises(InvalidName):
            parse_token_kind(wrong)
    with pytest.raises(InvalidName):
        token_kind(IdentifierKind.EMAIL, "tnm")


def test_no_rows() -> None:
    key = SecretKey.generate()
    assert token_column(
        key, kind=IdentifierKind.EMAIL, epoch=Epoch("1"), values=pl.Series([], dtype=pl.String)
    ).is_empty()
