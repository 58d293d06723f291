"""Rows of the keyring that were altered, moved or exchanged open nothing, and are named."""

from __future__ import annotations

import sqlite3

import pytest
from keyring_samples import FRANCOS, ROOT_ID, TNM, UPLOAD_1, UPLOAD_2, UPLOAD_3, transaction, wrapped

from key_management import (
    KeyId,
    KeyKind,
    Keyring,
    KeyringDamaged,
    SecretKey,
    UnwrapFailed,
    WrongRootKey,
)


@pytest.mark.usefixtures("keys")
def test_a_wrong_root_key_gives_one_clear_error(connection: sqlite3.Connection, keyring: Keyring) -> None:
    stranger = Keyring(SecretKey.generate())
    keyring.verify_root(connection)
    with pytest.raises(WrongRootKey):
        stranger.verify_root(connection)
    with pytest.raises(WrongRootKey):
        stranger.open(connection, UPLOAD_1)
    with pytest.raises(WrongRootKey), transaction(connection):
        stranger.create(connection, KeyId(KeyKind.MEMBER, "new"), ROOT_ID)
    with pytest.raises(WrongRootKey), transaction(connection):
        stranger.rotate_root(connection, SecretKey.generate())


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize(
    ("one", "other"), [(UPLOAD_1, UPLOAD_2), (UPLOAD_1, UPLOAD_3), (TNM, FRANCOS), (TNM, UPLOAD_1)]
)
def test_swapped_wrapped_bytes_are_detected(
    connection: sqlite3.Connection, keyring: Keyring, one: KeyId, other: KeyId
) -> None:
    first, second = wrapped(connection, one), wrapped(connection, other)
    for key_id, blob in ((one, second), (other, first)):
        connection.execute(
            "UPDATE keyring_keys SET wrapped = ? WHERE kind = ? AND name = ?", (blob, key_id.kind.value, key_id.name)
        )
    for key_id in (one, other):
        with pytest.raises(UnwrapFailed):
            keyring.open(connection, key_id)


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize(
    "change",
    [
        "name = 'tnm.visits/9'",
        "kind = 'log_details'",
        "parent_name = 'francos'",
        "version = 2",
        "version = -1",
    ],
)
def test_a_changed_row_is_detected(connection: sqlite3.Connection, keyring: Keyring, change: str) -> None:
    row = connection.execute("SELECT rowid FROM keyring_keys WHERE name = ?", (UPLOAD_1.name,)).fetchone()
    connection.execute(f"UPDATE keyring_keys SET {change} WHERE rowid = ?", row)  # noqa: S608 - fixed texts above
    kind, name = connection.execute("SELECT kind, name FROM keyring_keys WHERE rowid = ?", row).fetchone()
    with pytest.raises(UnwrapFailed):
        keyring.open(connection, KeyId(KeyKind(kind), name))


@pytest.mark.parametrize("other", [KeyId(KeyKind.MEMBER, "b"), KeyId(KeyKind.LOG_DETAILS, "a")])
def test_a_key_moved_under_a_parent_with_the_same_secret_is_detected(
    connection: sqlite3.Connection, keyring: Keyring, other: KeyId
) -> None:
    """Take away the difference between the parents' keys, so that the context alone must tell them apart."""
    parent, child, secret = KeyId(KeyKind.MEMBER, "a"), KeyId(KeyKind.LOG_DETAILS, "entry/1"), SecretKey.generate()
    with transaction(connection):
        keyring.create_schema(connection)
        keyring.adopt(connection, parent, ROOT_ID, secret)
        keyring.adopt(connection, other, ROOT_ID, secret)
        keyring.create(connection, child, parent)
    keyring.open(connection, child)
    connection.execute(
        "UPDATE keyring_keys SET parent_kind = ?, parent_name = ? WHERE name = ?",
        (other.kind.value, other.name, child.name),
    )
    with pytest.raises(UnwrapFailed, match="entry/1"):
        keyring.open(connection, child)


@pytest.mark.usefixtures("keys")
def test_a_changed_row_above_is_detected_and_named(connection: sqlite3.Connection, keyring: Keyring) -> None:
    connection.execute("UPDATE keyring_keys SET version = 7 WHERE kind = 'member'")
    with pytest.raises(UnwrapFailed, match="the key member:tnm"):
        keyring.open(connection, UPLOAD_2)


@pytest.mark.usefixtures("keys")
def test_every_flipped_byte_of_a_row_is_detected(connection: sqlite3.Connection, keyring: Keyring) -> None:
    blob = wrapped(connection, UPLOAD_1)
    for at in range(len(blob)):
        altered = bytearray(blob)
        altered[at] ^= 1
        connection.execute("UPDATE keyring_keys SET wrapped = ? WHERE name = ?", (bytes(altered), UPLOAD_1.name))
        with pytest.raises(UnwrapFailed) as failure:
            keyring.open(connection, UPLOAD_1)
        assert failure.value.key_name == "the key data:tnm.visits/1"


@pytest.mark.usefixtures("keys")
def test_rows_that_no_keyring_writes_are_reported(connection: sqlite3.Connection, keyring: Keyring) -> None:
    connection.execute("UPDATE keyring_keys SET parent_kind = 'data', parent_name = 'tnm.visits/1' WHERE name = 'tnm'")
    with pytest.raises(KeyringDamaged, match="loop"):
        keyring.open(connection, UPLOAD_1)
    connection.execute("UPDATE keyring_keys SET parent_kind = 'elsewhere' WHERE name = 'tnm'")
    with pytest.raises(KeyringDamaged, match="member:tnm"):
        keyring.open(connection, UPLOAD_1)
    connection.execute("DELETE FROM keyring_root")
    with pytest.raises(KeyringDamaged, match="check value"):
        keyring.open(connection, UPLOAD_3)
