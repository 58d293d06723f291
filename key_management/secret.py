"""A 256-bit secret that does not print, copy or pickle."""

from __future__ import annotations

import hmac
import secrets
from typing import Final, NoReturn, Self, SupportsIndex, final

SECRET_KEY_BYTES: Final = 32


@final
class SecretKey:
    """Hold 32 secret bytes: an AES-256 key, an HMAC key, or the seed of a private key.

    Made by `generate` and `adopt` only. It prints no secret, compares in constant time, cannot be hashed, copied or
    pickled, and gives its bytes through `reveal_secret_bytes` alone, so that a reviewer can grep for every use.
    CPython cannot promise to erase the bytes from memory; the threat model counts a worker's memory as trusted (S13).
    """

    __slots__ = ("__secret",)
    __secret: bytes
    __hash__ = None  # type: ignore[assignment]

    def __new__(cls) -> Self:
        """Refuse: a key is generated or adopted."""
        raise TypeError("use SecretKey.generate() or SecretKey.adopt(secret)")

    @classmethod
    def __hold(cls, secret: bytes) -> Self:
        key = object.__new__(cls)
        object.__setattr__(key, "_SecretKey__secret", secret)
        return key

    @classmethod
    def generate(cls) -> Self:
        """Draw a fresh key from the operating system."""
        return cls.__hold(secrets.token_bytes(SECRET_KEY_BYTES))

    @classmethod
    def adopt(cls, secret: bytes) -> Self:
        """Take over a secret that was made elsewhere.

        Args:
            secret: exactly 32 bytes of full entropy, never a password.

        Raises:
            TypeError: not bytes.
            ValueError: not 32 bytes; the message does not quote them.
        """
        if not isinstance(secret, bytes | bytearray | memoryview):
            raise TypeError("a secret key is bytes")
        octets = bytes(secret)
        if len(octets) != SECRET_KEY_BYTES:
            raise ValueError(f"a secret key has {SECRET_KEY_BYTES} bytes, not {len(octets)}")
        return cls.__hold(octets)

    def reveal_secret_bytes(self) -> bytes:
        """Give the 32 secret bytes away; whoever calls this answers for where they go."""
        return self.__secret

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SecretKey):
            return NotImplemented
        return hmac.compare_digest(self.__secret, other.__secret)

    def __repr__(self) -> str:
        return "SecretKey(<hidden>)"

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a SecretKey does not change")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("a SecretKey does not change")

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError("a SecretKey is not pickled or copied")

    def __copy__(self) -> NoReturn:
        raise TypeError("a SecretKey is not pickled or copied")

    def __deepcopy__(self, memo: object) -> NoReturn:
        raise TypeError("a SecretKey is not pickled or copied")
