"""Faults of key management. Each carries its evidence; none carries a secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from key_management.key_id import KeyId


class KeyManagementError(Exception):
    """Be the base of every fault that this package raises on purpose."""


class InvalidKeyId(KeyManagementError, ValueError):
    """Report a key id that has a wrong form, or a parent of a kind that may not wrap it."""


class UnwrapFailed(KeyManagementError):
    """Report wrapped bytes that do not open: altered, moved to another place, or wrapped under another key."""

    def __init__(self, key_name: str) -> None:
        super().__init__(f"{key_name} does not open: its wrapped bytes are not those written for it under its parent")
        self.key_name = key_name


class UnsealFailed(KeyManagementError):
    """Report a sealed key that does not open: altered, for another recipient, or bound to another context."""

    def __init__(self) -> None:
        super().__init__("the sealed key does not open: altered, sealed to another key, or bound to another upload")


class InvalidPublicKey(KeyManagementError, ValueError):
    """Report bytes that are no transport public key."""

    def __init__(self) -> None:
        super().__init__("these bytes are no transport public key (ML-KEM-768 with X25519, 1216 bytes)")


class UnknownKey(KeyManagementError):
    """Report a key id that the keyring never held."""

    def __init__(self, key_id: KeyId) -> None:
        super().__init__(f"the keyring holds no key {key_id}")
        self.key_id = key_id


class KeyExists(KeyManagementError):
    """Report a key id that is taken, by an active key or by the tombstone of a destroyed one."""

    def __init__(self, key_id: KeyId) -> None:
        super().__init__(f"the key id {key_id} is taken; ids are never given twice")
        self.key_id = key_id


class KeyDestroyed(KeyManagementError):
    """Report a key that cannot be opened any more, because it or a key above it was destroyed."""

    def __init__(self, key_id: KeyId, destroyed_id: KeyId) -> None:
        if key_id == destroyed_id:
            super().__init__(f"the key {key_id} was destroyed")
        else:
            super().__init__(f"the key {key_id} is out of reach: {destroyed_id} above it was destroyed")
        self.key_id = key_id
        self.destroyed_id = destroyed_id


class WrongRootKey(KeyManagementError):
    """Report a root key that is not the one this keyring was made with."""

    def __init__(self) -> None:
        super().__init__("this is not the root key of this keyring")


class ContentNotOpened(KeyManagementError):
    """Report a sealed content that was altered, moved, or belongs to another key."""

    def __init__(self) -> None:
        super().__init__("the sealed content does not open: altered, moved, or of another key")


class KeyringDamaged(KeyManagementError):
    """Report rows that this package never writes: no root row, a loop of parents, an unknown kind."""


class NotInTransaction(KeyManagementError, RuntimeError):
    """Report a write outside a transaction of the caller (a caller's bug)."""

    def __init__(self) -> None:
        super().__init__("the keyring changes only inside a transaction that the caller has begun")


class InTransaction(KeyManagementError, RuntimeError):
    """Report a purge inside a transaction (a caller's bug): bytes leave the files only after the commit."""

    def __init__(self) -> None:
        super().__init__("purge after the commit, not inside the transaction")


class SecureDeleteOff(KeyManagementError, RuntimeError):
    """Report a connection on which deleted bytes would stay in the file (a caller's bug)."""

    def __init__(self) -> None:
        super().__init__("the connection needs PRAGMA secure_delete = ON, or destroyed keys stay in the file")


class PurgeIncomplete(KeyManagementError):
    """Report that another connection kept old bytes in the write-ahead log; purge again later."""

    def __init__(self) -> None:
        super().__init__("the write-ahead log is in use; destroyed bytes remain in it until purge succeeds")


class KeyFileRefused(KeyManagementError):
    """Report a root key file that exists already, is readable by others, or has a wrong form."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"key file {path}: {reason}")
        self.path = path
        self.reason = reason


class ShareError(KeyManagementError):
    """Be the base of what goes wrong with the shares of a root key."""


class NotEnoughShares(ShareError):
    """Report that fewer shares were brought than the threshold asks for."""

    def __init__(self, have: int, need: int) -> None:
        super().__init__(f"{have} of the {need} shares that are needed")
        self.have = have
        self.need = need


class SharesDoNotMatch(ShareError):
    """Report shares of different sets, or the same share brought twice."""


class DamagedShare(ShareError):
    """Report a share that was misread or altered.

    ``indices`` holds the share at fault, or all that may be when only the threshold's number was brought, or
    nothing when the text could not be read as far as its index.
    """

    def __init__(self, reason: str, indices: tuple[int, ...] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.indices = indices
