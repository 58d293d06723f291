"""Seal one content under a key made for it: AES-256-GCM (NIST SP 800-38D) with its place as associated data.

The content is padded, so that its length in a database says little.
"""

from __future__ import annotations

import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from key_management.binding import bind
from key_management.errors import ContentNotOpened
from key_management.secret import SecretKey

CONTENT_LABEL: Final = b"key_management/content/v1"
CONTENT_VERSION: Final = b"\x01"
CONTENT_NONCE_BYTES: Final = 12
PADDING_BYTES: Final = 4096
_LENGTH_BYTES: Final = 4
_LONGEST: Final = 1 << 30


def seal_content(key: SecretKey, content: bytes, context: bytes) -> bytes:
    """Encrypt a content under a key that seals nothing else, bound to where it belongs.

    Args:
        key: a fresh key; the nonce is 96 random bits all the same.
        content: below 1 GiB.
        context: the content's place, from `bind`; the same bytes must be given to `open_content`.

    Returns:
        Version (1), nonce (12), ciphertext of length ‖ content ‖ zeros up to a multiple of 4096 bytes, tag (16).
    """
    if len(content) >= _LONGEST:
        raise ValueError("a sealed content is below 1 GiB")
    framed = len(content).to_bytes(_LENGTH_BYTES, "big") + content
    framed += bytes(-len(framed) % PADDING_BYTES)
    nonce = os.urandom(CONTENT_NONCE_BYTES)
    sealed = AESGCM(key.reveal_secret_bytes()).encrypt(nonce, framed, bind(CONTENT_LABEL, context))
    return CONTENT_VERSION + nonce + sealed


def open_content(key: SecretKey, sealed: bytes, context: bytes) -> bytes:
    """Decrypt what `seal_content` encrypted.

    Raises:
        ContentNotOpened: another length, version, key or context, or one altered bit.
    """
    begin = len(CONTENT_VERSION) + CONTENT_NONCE_BYTES
    if not sealed.startswith(CONTENT_VERSION):
        raise ContentNotOpened
    try:
        framed = AESGCM(key.reveal_secret_bytes()).decrypt(
            sealed[len(CONTENT_VERSION) : begin], sealed[begin:], bind(CONTENT_LABEL, context)
        )
    except (InvalidTag, ValueError):
        raise ContentNotOpened from None
    end = _LENGTH_BYTES + int.from_bytes(framed[:_LENGTH_BYTES], "big")
    if len(framed) % PADDING_BYTES or len(framed) - end >= PADDING_BYTES or end > len(framed) or any(framed[end:]):
        raise ContentNotOpened
    return framed[_LENGTH_BYTES:end]
