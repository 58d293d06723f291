"""Sealing to the room: known answers, a second implementation, and every change refused."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from Crypto.Protocol import HPKE
from Crypto.PublicKey import Hybrid
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from key_management.errors import InvalidPublicKey, UnsealFailed
from key_management.secret import SecretKey
from key_management.transport import (
    LABEL,
    MAX_INFO_BYTES,
    PUBLIC_KEY_BYTES,
    SEALED_KEY_BYTES,
    TransportKey,
    bind,
    seal,
)

ROOM = TransportKey.generate()
KEY = SecretKey.adopt(bytes(range(32)))
INFO = bind(b"room-1", b"tnm.visits", b"upload-1", hashlib.sha256(b"manifest").digest())
X_WING = json.loads((Path(__file__).parent / "vectors" / "x_wing.json").read_text("ascii"))


def labelled_extract(suite: bytes, salt: bytes, label: bytes, ikm: bytes) -> bytes:
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + ikm, "sha256")


def labelled_expand(suite: bytes, prk: bytes, label: bytes, info: bytes, length: int) -> bytes:
    assert length <= 32
    message = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info + b"\x01"
    return hmac.digest(prk, message, "sha256")[:length]


def hpke_encrypt(encapsulation: bytes, shared_secret: bytes, info: bytes, plaintext: bytes) -> bytes:
    """Seal by RFC 9180 §4, §5.1 and §5.2 alone: KEM 0x647A, KDF 0x0001, AEAD 0x0002, base mode, no associated data."""
    suite = b"HPKE" + bytes.fromhex("647a00010002")
    context = (
        b"\x00" + labelled_extract(suite, b"", b"psk_id_hash", b"") + labelled_extract(suite, b"", b"info_hash", info)
    )
    secret = labelled_extract(suite, shared_secret, b"secret", b"")
    key = labelled_expand(suite, secret, b"key", context, 32)
    nonce = labelled_expand(suite, secret, b"base_nonce", context, 12)
    return encapsulation + AESGCM(key).encrypt(nonce, plaintext, b"")


def test_a_seed_gives_the_public_key_of_the_x_wing_vector() -> None:
    room = TransportKey.from_seed(SecretKey.adopt(bytes.fromhex(X_WING["seed"])))
    assert room.public_bytes() == bytes.fromhex(X_WING["public_key"])


def test_the_x_wing_vector_under_the_key_schedule_of_rfc_9180_opens() -> None:
    room = TransportKey.from_seed(SecretKey.adopt(bytes.fromhex(X_WING["seed"])))
    encapsulation, shared = bytes.fromhex(X_WING["encapsulation"]), bytes.fromhex(X_WING["shared_secret"])
    sealed = hpke_encrypt(encapsulation, shared, bind(LABEL, INFO), KEY.reveal_secret_bytes())
    assert room.open(sealed, INFO) == KEY
    with pytest.raises(UnsealFailed):
        room.open(hpke_encrypt(encapsulation, shared, INFO, KEY.reveal_secret_bytes()), INFO)


def test_another_implementation_opens_what_we_seal() -> None:
    theirs = Hybrid.HybridKey(param_set=Hybrid.MLKEM768_X25519, seed=ROOM.seed().reveal_secret_bytes())
    sealed = seal(ROOM.public_bytes(), KEY, INFO)
    cipher = HPKE.new(receiver_key=theirs, aead_id=HPKE.AEAD.AES256_GCM, enc=sealed[:1120], info=bind(LABEL, INFO))
    assert cipher.unseal(sealed[1120:]) == KEY.reveal_secret_bytes()


def test_we_open_what_another_implementation_seals() -> None:
    theirs = Hybrid.HybridKey(param_set=Hybrid.MLKEM768_X25519, pk=ROOM.public_bytes())
    cipher = HPKE.new(receiver_key=theirs, aead_id=HPKE.AEAD.AES256_GCM, info=bind(LABEL, INFO))
    sealed = cipher.enc + cipher.seal(KEY.reveal_secret_bytes())
    assert ROOM.open(sealed, INFO) == KEY


@settings(max_examples=25, deadline=None)
@given(secret=st.binary(min_size=32, max_size=32), info=st.binary(max_size=200))
def test_a_sealed_key_opens_to_itself(secret: bytes, info: bytes) -> None:
    sealed = seal(ROOM.public_bytes(), SecretKey.adopt(secret), info)
    assert len(sealed) == SEALED_KEY_BYTES == 1168
    assert secret not in sealed
    assert ROOM.open(sealed, info).reveal_secret_bytes() == secret


def test_a_seed_restores_the_key() -> None:
    restored = TransportKey.from_seed(SecretKey.adopt(ROOM.seed().reveal_secret_bytes()))
    assert restored.public_bytes() == ROOM.public_bytes()
    assert len(ROOM.public_bytes()) == PUBLIC_KEY_BYTES == 1216
    assert restored.open(seal(ROOM.public_bytes(), KEY, INFO), INFO) == KEY


def test_every_flipped_byte_is_refused() -> None:
    sealed = seal(ROOM.public_bytes(), KEY, INFO)
    for at in range(len(sealed)):
        altered = bytearray(sealed)
        altered[at] ^= 0x80  # in byte 1119 the bit that X25519 itself ignores
        with pytest.raises(UnsealFailed):
            ROOM.open(bytes(altered), INFO)


@pytest.mark.parametrize("length", [0, 1, 48, 1120, 1167, 1169])
def test_every_other_length_is_refused(length: int) -> None:
    sealed = (seal(ROOM.public_bytes(), KEY, INFO) + b"\0")[:length]
    with pytest.raises(UnsealFailed):
        ROOM.open(sealed, INFO)


def test_another_upload_or_room_is_refused() -> None:
    sealed = seal(ROOM.public_bytes(), KEY, INFO)
    with pytest.raises(UnsealFailed):
        ROOM.open(sealed, bind(b"room-1", b"tnm.visits", b"upload-2", hashlib.sha256(b"manifest").digest()))
    with pytest.raises(UnsealFailed):
        ROOM.open(sealed, b"")
    with pytest.raises(UnsealFailed):
        TransportKey.generate().open(sealed, INFO)


def test_a_point_of_small_order_is_refused_alike() -> None:
    sealed = seal(ROOM.public_bytes(), KEY, INFO)
    with pytest.raises(UnsealFailed):
        ROOM.open(sealed[:1088] + bytes(32) + sealed[1120:], INFO)
    with pytest.raises(InvalidPublicKey):
        seal(ROOM.public_bytes()[:1184] + bytes(32), KEY, INFO)


@pytest.mark.parametrize("public", [b"", bytes(1215), b"\xff" * PUBLIC_KEY_BYTES, bytes(1217)])
def test_what_is_no_public_key_is_refused(public: bytes) -> None:
    with pytest.raises(InvalidPublicKey):
        seal(public, KEY, INFO)


def test_info_has_a_limit() -> None:
    longest = bytes(MAX_INFO_BYTES)
    assert ROOM.open(seal(ROOM.public_bytes(), KEY, longest), longest) == KEY
    with pytest.raises(ValueError, match="at most 4096"):
        seal(ROOM.public_bytes(), KEY, longest + b"\0")
    with pytest.raises(ValueError, match="at most 4096"):
        ROOM.open(bytes(SEALED_KEY_BYTES), longest + b"\0")


def test_a_transport_key_does_not_print_or_change() -> None:
    assert repr(ROOM) == "TransportKey(<hidden>)"
    with pytest.raises(AttributeError):
        ROOM.other = 1  # type: ignore[attr-defined]


def test_the_client_needs_no_pycryptodome_and_no_database() -> None:
    """Import in a fresh interpreter where those modules cannot be found, as on a member's machine."""
    program = (
        "import sys\n"
        "for name in ('Crypto', 'sqlite3', '_sqlite3', 'duckdb'): sys.modules[name] = None\n"
        "import key_management.transport as t, key_management\n"
        "from key_management import SecretKey, TransportKey, seal, bind\n"
        "room = TransportKey.generate(); key = SecretKey.generate()\n"
        "assert room.open(seal(room.public_bytes(), key, bind(b'x')), bind(b'x')) == key\n"
        "assert 'key_management.shamir_seal' not in sys.modules and 'key_management.keyring' not in sys.modules\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)


def test_every_public_name_loads() -> None:
    import key_management

    for name in key_management.__all__:
        assert getattr(key_management, name).__name__ == name
        assert name in dir(key_management)
    with pytest.raises(AttributeError, match="no attribute 'absent'"):
        _ = key_management.absent  # type: ignore[attr-defined]
