"""Wrap one key under another: AES-256-GCM (NIST SP 800-38D) with the key's place as associated data."""

from __future__ import annotations

import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from key_management.binding import bind
from key_management.errors import UnwrapFailed
from key_management.secret import SECRET_KEY_BYTES, SecretKey

LABEL: Final = b"key_management/envelope/v1"
VERSION: Final = b"\x01"
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
WRAPPED_BYTES: Final = len(VERSION) + NONCE_BYTES + SECRET_KEY_BYTES + TAG_BYTES


def wrap(kek: SecretKey, key: SecretKey, context: bytes) -> bytes:
    """Encrypt a key under a key-encryption key, bound to where it belongs.

    The nonce is 96 random bits, so one kek wraps at most 2**32 keys (NIST SP 800-38D §8.3); a member has thousands.

    Args:
        kek: the key-encryption key.
        key: the key to wrap.
        context: the key's place, from `bind`; the same bytes must be given to `unwrap`.

    Returns:
        61 bytes: version (1), nonce (12), ciphertext (32), tag (16).
    """
    nonce = os.urandom(NONCE_BYTES)
    sealed = AESGCM(kek.reveal_secret_bytes()).encrypt(nonce, key.reveal_secret_bytes(), bind(LABEL, context))
    return VERSION + nonce + sealed


def unwrap(kek: SecretKey, wrapped: bytes, context: bytes, *, key_name: str = "the wrapped key") -> SecretKey:
    """Decrypt a key that `wrap` encrypted.

    Args:
        kek: the key-encryption key.
        wrapped: the 61 bytes that `wrap` returned.
        context: the context that `wrap` was given.
        key_name: how the error calls the key.

    Raises:
        UnwrapFailed: another length, version, kek or context, or one altered bit.
    """
    if len(wrapped) != WRAPPED_BYTES or not wrapped.startswith(VERSION):
        raise UnwrapFailed(key_name)
    nonce, sealed = wrapped[1 : 1 + NONCE_BYTES], wrapped[1 + NONCE_BYTES :]
    try:
        return SecretKey.adopt(AESGCM(kek.reveal_secret_bytes()).decrypt(nonce, sealed, bind(LABEL, context)))
    except InvalidTag:
        raise UnwrapFailed(key_name) from None
