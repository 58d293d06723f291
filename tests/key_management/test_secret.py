"""SecretKey: prints nothing, moves nowhere by accident."""

from __future__ import annotations

import copy
import pickle
from typing import cast

import pytest

from key_management import SecretKey, TransportKey
from key_management.keyring import Keyring

OCTETS = bytes(range(32))


def test_repr_str_and_format_hide_the_secret() -> None:
    key = SecretKey.adopt(OCTETS)
    for text in (repr(key), str(key), f"{key}", f"{key!r}", repr([key]), repr({"k": key})):
        assert OCTETS.hex() not in text
        assert repr(OCTETS)[2:-1] not in text
    assert repr(key) == "SecretKey(<hidden>)"


@pytest.mark.parametrize("holder", [SecretKey.generate(), TransportKey.generate(), Keyring(SecretKey.generate())])
def test_holders_of_secrets_are_not_pickled_or_copied(holder: object) -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(holder, protocol)
    with pytest.raises(TypeError):
        copy.copy(holder)
    with pytest.raises(TypeError):
        copy.deepcopy(holder)


def test_there_is_no_public_constructor() -> None:
    with pytest.raises(TypeError, match="generate"):
        SecretKey()
    with pytest.raises(TypeError):
        cast("type", SecretKey)(OCTETS)
    with pytest.raises(TypeError, match="generate"):
        TransportKey()


def test_a_key_does_not_change_and_has_no_dictionary() -> None:
    key = SecretKey.adopt(OCTETS)
    with pytest.raises(AttributeError):
        key.other = 1  # type: ignore[attr-defined]
    with pytest.raises(AttributeError):
        del key._SecretKey__secret  # type: ignore[attr-defined]
    assert not hasattr(key, "__dict__")
    assert key.reveal_secret_bytes() == OCTETS


def test_a_mutable_buffer_is_copied_on_adoption() -> None:
    buffer = bytearray(OCTETS)
    key = SecretKey.adopt(buffer)
    buffer[0] ^= 1
    assert key.reveal_secret_bytes() == OCTETS


@pytest.mark.parametrize("octets", [b"", OCTETS[:31], OCTETS + b"\0"])
def test_another_length_is_refused_without_quoting_it(octets: bytes) -> None:
    with pytest.raises(ValueError, match="32 bytes, not") as refusal:
        SecretKey.adopt(octets)
    assert repr(octets) not in str(refusal.value)


def test_text_is_refused() -> None:
    with pytest.raises(TypeError):
        SecretKey.adopt(cast("bytes", "0" * 32))


def test_equality_is_by_value_and_hashing_refused() -> None:
    assert SecretKey.adopt(OCTETS) == SecretKey.adopt(OCTETS)
    assert SecretKey.adopt(OCTETS) != SecretKey.adopt(OCTETS[::-1])
    assert SecretKey.adopt(OCTETS) != OCTETS
    with pytest.raises(TypeError, match="unhashable"):
        hash(SecretKey.adopt(OCTETS))


def test_generated_keys_differ() -> None:
    assert SecretKey.generate() != SecretKey.generate()
