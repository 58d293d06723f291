"""Wrapping: round trips, and every change is refused."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from key_management import SecretKey, UnwrapFailed, bind, unwrap, wrap
from key_management.envelope import WRAPPED_BYTES

KEK = SecretKey.adopt(b"\x01" * 32)
KEY = SecretKey.adopt(b"\x02" * 32)
CONTEXT = bind(b"place")

keys = st.binary(min_size=32, max_size=32).map(SecretKey.adopt)


@given(kek=keys, key=keys, context=st.binary(max_size=64))
def test_a_wrapped_key_opens_to_itself(kek: SecretKey, key: SecretKey, context: bytes) -> None:
    wrapped = wrap(kek, key, context)
    assert len(wrapped) == WRAPPED_BYTES == 61
    assert key.reveal_secret_bytes() not in wrapped
    assert unwrap(kek, wrapped, context) == key


@given(context=st.binary(max_size=16), other=st.binary(max_size=16))
def test_another_context_is_refused(context: bytes, other: bytes) -> None:
    if context != other:
        with pytest.raises(UnwrapFailed):
            unwrap(KEK, wrap(KEK, KEY, context), other)


def test_another_kek_is_refused_and_the_error_names_the_key_only() -> None:
    other = SecretKey.adopt(b"\x03" * 32)
    with pytest.raises(UnwrapFailed, match="the key member:tnm") as failure:
        unwrap(other, wrap(KEK, KEY, CONTEXT), CONTEXT, key_name="the key member:tnm")
    assert failure.value.key_name == "the key member:tnm"
    assert failure.value.__cause__ is None
    for secret in (KEK, KEY, other):
        assert secret.reveal_secret_bytes().hex() not in repr(failure.value)


@pytest.mark.parametrize("flip", [0x01, 0x80])
def test_every_flipped_byte_is_refused(flip: int) -> None:
    wrapped = wrap(KEK, KEY, CONTEXT)
    for at in range(len(wrapped)):
        altered = bytearray(wrapped)
        altered[at] ^= flip
        with pytest.raises(UnwrapFailed):
            unwrap(KEK, bytes(altered), CONTEXT)


def test_every_other_length_is_refused() -> None:
    wrapped = wrap(KEK, KEY, CONTEXT)
    for length in range(len(wrapped)):
        with pytest.raises(UnwrapFailed):
            unwrap(KEK, wrapped[:length], CONTEXT)
    with pytest.raises(UnwrapFailed):
        unwrap(KEK, wrapped + b"\0", CONTEXT)


def test_nonces_are_fresh() -> None:
    assert len({wrap(KEK, KEY, CONTEXT)[1:13] for _ in range(64)}) == 64


def test_the_format_is_the_documented_one() -> None:
    """Open the bytes by docs/spec/keys.md alone, so that the page and the code cannot part."""
    wrapped = wrap(KEK, KEY, b"ctx")
    aad = bytes.fromhex("0000001a") + b"key_management/envelope/v1" + bytes.fromhex("00000003") + b"ctx"
    assert wrapped[0] == 1
    assert AESGCM(b"\x01" * 32).decrypt(wrapped[1:13], wrapped[13:], aad) == b"\x02" * 32


parts = st.lists(st.binary(max_size=6), min_size=1, max_size=4)


@given(first=parts, second=parts)
def test_binding_is_injective(first: list[bytes], second: list[bytes]) -> None:
    assert (bind(*first) == bind(*second)) == (first == second)


def test_binding_separates_what_joining_would_not() -> None:
    assert bind(b"ab", b"c") != bind(b"a", b"bc")
    assert bind(b"a") != bind(b"a", b"")
    assert bind(b"ab", b"") == bytes.fromhex("00000002 6162 00000000")


def test_binding_refuses_nothing_and_text() -> None:
    with pytest.raises(ValueError, match="at least one"):
        bind()
    with pytest.raises(TypeError):
        bind("text")  # type: ignore[arg-type]
