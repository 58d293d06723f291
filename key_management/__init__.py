"""Envelope encryption for a data clean room: a root key over member keys over data keys, in the caller's database.

Names load on first use, so that a member's client can import `key_management.transport` without the room's libraries.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from key_management.binding import bind
    from key_management.content import open_content, seal_content
    from key_management.envelope import unwrap, wrap
    from key_management.errors import (
        ContentNotOpened,
        DamagedShare,
        InTransaction,
        InvalidKeyId,
        InvalidPublicKey,
        KeyDestroyed,
        KeyExists,
        KeyFileRefused,
        KeyManagementError,
        KeyringDamaged,
        NotEnoughShares,
        NotInTransaction,
        PurgeIncomplete,
        SecureDeleteOff,
        ShareError,
        SharesDoNotMatch,
        UnknownKey,
        UnsealFailed,
        UnwrapFailed,
        WrongRootKey,
    )
    from key_management.key_id import KeyId, KeyKind, KeyState
    from key_management.keyring import Keyring
    from key_management.root_key import read_key_file, write_key_file
    from key_management.secret import SecretKey
    from key_management.shamir_seal import Share, combine, parse_share, split
    from key_management.transport import TransportKey, seal

__all__ = [
    "ContentNotOpened",
    "DamagedShare",
    "InTransaction",
    "InvalidKeyId",
    "InvalidPublicKey",
    "KeyDestroyed",
    "KeyExists",
    "KeyFileRefused",
    "KeyId",
    "KeyKind",
    "KeyManagementError",
    "KeyState",
    "Keyring",
    "KeyringDamaged",
    "NotEnoughShares",
    "NotInTransaction",
    "PurgeIncomplete",
    "SecretKey",
    "SecureDeleteOff",
    "Share",
    "ShareError",
    "SharesDoNotMatch",
    "TransportKey",
    "UnknownKey",
    "UnsealFailed",
    "UnwrapFailed",
    "WrongRootKey",
    "bind",
    "combine",
    "open_content",
    "parse_share",
    "read_key_file",
    "seal",
    "seal_content",
    "split",
    "unwrap",
    "wrap",
    "write_key_file",
]

_MODULES: Final = {
    "binding": ("bind",),
    "content": ("open_content", "seal_content"),
    "envelope": ("unwrap", "wrap"),
    "key_id": ("KeyId", "KeyKind", "KeyState"),
    "keyring": ("Keyring",),
    "root_key": ("read_key_file", "write_key_file"),
    "secret": ("SecretKey",),
    "shamir_seal": ("Share", "combine", "parse_share", "split"),
    "transport": ("TransportKey", "seal"),
}
_HOME: Final = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_HOME.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
