"""Seal a data key to the room: HPKE base mode (RFC 9180 §6.1) over the hybrid KEM MLKEM768-X25519.

The KEM is X-Wing (HPKE KEM id 0x647A, draft-connolly-cfrg-xwing-kem), the KDF HKDF-SHA-256 (0x0001), the AEAD
AES-256-GCM (0x0002): a sealed key stays secret as long as one of X25519 and ML-KEM-768 holds. Base mode does not say
who sealed; the signed manifest of the package does. A member's client imports this module, so it needs `cryptography`
and nothing of the room.
"""

from __future__ import annotations

import hashlib
from typing import Final, NoReturn, Self, SupportsIndex, final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

from key_management.binding import bind
from key_management.errors import InvalidPublicKey, UnsealFailed
from key_management.secret import SECRET_KEY_BYTES, SecretKey

__all__ = [
    "LABEL",
    "MAX_INFO_BYTES",
    "PUBLIC_KEY_BYTES",
    "SEALED_KEY_BYTES",
    "TransportKey",
    "bind",
    "seal",
]

LABEL: Final = b"key_management/transport/v1"
MAX_INFO_BYTES: Final = 4096
_MLKEM_SEED_BYTES: Final = 64
_MLKEM_PUBLIC_BYTES: Final = 1184
_X25519_BYTES: Final = 32
_ENCAPSULATION_BYTES: Final = 1088 + _X25519_BYTES
_TAG_BYTES: Final = 16
PUBLIC_KEY_BYTES: Final = _MLKEM_PUBLIC_BYTES + _X25519_BYTES
SEALED_KEY_BYTES: Final = _ENCAPSULATION_BYTES + SECRET_KEY_BYTES + _TAG_BYTES

_SUITE: Final = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def _labelled(info: bytes) -> bytes:
    if not isinstance(info, bytes):
        raise TypeError("info is bytes, from bind(...)")
    if len(info) > MAX_INFO_BYTES:
        raise ValueError(f"info has at most {MAX_INFO_BYTES} bytes; bind a digest of what is longer")
    return bind(LABEL, info)


def _public_key(public: bytes) -> MLKEM768X25519PublicKey:
    if len(public) != PUBLIC_KEY_BYTES:
        raise InvalidPublicKey
    try:
        return MLKEM768X25519PublicKey(
            MLKEM768PublicKey.from_public_bytes(public[:_MLKEM_PUBLIC_BYTES]),
            X25519PublicKey.from_public_bytes(public[_MLKEM_PUBLIC_BYTES:]),
        )
    except ValueError:
        raise InvalidPublicKey from None


def seal(public: bytes, key: SecretKey, info: bytes) -> bytes:
    """Encrypt a key so that only the holder of the transport key opens it, for one purpose only.

    The library's one-shot interface takes `info` but no associated data, so all that the key belongs to (room, table,
    upload, digest of the manifest) goes into `info`.

    Args:
        public: the 1216 bytes of `TransportKey.public_bytes`.
        key: the key to seal.
        info: at most 4096 bytes, from `bind`; the same bytes must be given to `TransportKey.open`.

    Raises:
        InvalidPublicKey: `public` is no transport public key.
        ValueError: `info` is too long.

    Returns:
        1168 bytes: encapsulation (ML-KEM-768 ciphertext 1088, X25519 32), ciphertext (32), tag (16).
    """
    labelled = _labelled(info)
    recipient = _public_key(public)
    try:
        return _SUITE.encrypt(key.reveal_secret_bytes(), recipient, info=labelled)
    except ValueError:
        # An X25519 point of small order, RFC 9180 §7.1.4.
        raise InvalidPublicKey from None


@final
class TransportKey:
    """Hold the room's private key for what members send. Made by `generate` and `from_seed` only."""

    __slots__ = ("__private", "__public", "__seed")
    __seed: SecretKey
    __private: MLKEM768X25519PrivateKey
    __public: bytes

    def __new__(cls) -> Self:
        """Refuse: a transport key is generated or read from its seed."""
        raise TypeError("use TransportKey.generate() or TransportKey.from_seed(seed)")

    @classmethod
    def generate(cls) -> Self:
        """Make a fresh transport key."""
        return cls.from_seed(SecretKey.generate())

    @classmethod
    def from_seed(cls, seed: SecretKey) -> Self:
        """Read a transport key from its serialised form.

        Args:
            seed: the 32 bytes of an X-Wing decapsulation key, which SHAKE-256 expands to the seeds of ML-KEM-768
                (64 bytes) and X25519 (32 bytes): draft-connolly-cfrg-xwing-kem, `expandDecapsulationKey`.
        """
        expanded = hashlib.shake_256(seed.reveal_secret_bytes()).digest(_MLKEM_SEED_BYTES + _X25519_BYTES)
        mlkem = MLKEM768PrivateKey.from_seed_bytes(expanded[:_MLKEM_SEED_BYTES])
        x25519 = X25519PrivateKey.from_private_bytes(expanded[_MLKEM_SEED_BYTES:])
        key = object.__new__(cls)
        object.__setattr__(key, "_TransportKey__seed", seed)
        object.__setattr__(key, "_TransportKey__private", MLKEM768X25519PrivateKey(mlkem, x25519))
        public = mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()
        object.__setattr__(key, "_TransportKey__public", public)
        return key

    def seed(self) -> SecretKey:
        """Return the private key's serialised form, to be adopted by the keyring and wrapped under the root key."""
        return self.__seed

    def public_bytes(self) -> bytes:
        """Return the public key: 1216 bytes, ML-KEM-768 (1184) then X25519 (32), as in X-Wing."""
        return self.__public

    def open(self, sealed: bytes, info: bytes) -> SecretKey:
        """Decrypt a key that `seal` encrypted to this transport key.

        Args:
            sealed: the 1168 bytes that `seal` returned.
            info: the info that `seal` was given.

        Raises:
            UnsealFailed: another length, recipient or info, or one altered bit.
            ValueError: `info` is too long.
        """
        labelled = _labelled(info)
        if len(sealed) != SEALED_KEY_BYTES:
            raise UnsealFailed
        try:
            return SecretKey.adopt(_SUITE.decrypt(sealed, self.__private, info=labelled))
        except (InvalidTag, ValueError):
            # ValueError: an X25519 point of small order, RFC 9180 §7.1.4. The sender learns no difference.
            raise UnsealFailed from None

    def __repr__(self) -> str:
        return "TransportKey(<hidden>)"

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a TransportKey does not change")

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError("a TransportKey is not pickled or copied")

    def __copy__(self) -> NoReturn:
        raise TypeError("a TransportKey is not pickled or copied")

    def __deepcopy__(self, memo: object) -> NoReturn:
        raise TypeError("a TransportKey is not pickled or copied")
