"""A destroyed key is out of reach for good, and leaves no byte in any file."""

from __future__ import annotations

import random
import sqlite3
from typing import TYPE_CHECKING

import pytest
from keyring_samples import ROOT_ID, TNM, UPLOAD_1, UPLOAD_2, UPLOAD_3, connect, fill, transaction, wrapped

from key_management import (
    InTransaction,
    KeyDestroyed,
    KeyExists,
    KeyId,
    KeyKind,
    Keyring,
    KeyState,
    PurgeIncomplete,
    SecretKey,
    UnwrapFailed,
)

if TYPE_CHECKING:
    from pathlib import Path


def test_a_destroyed_key_and_its_children_are_out_of_reach(
    connection: sqlite3.Connection, keyring: Keyring, keys: dict[KeyId, SecretKey]
) -> None:
    with transaction(connection):
        keyring.destroy(connection, UPLOAD_1)
    with pytest.raises(KeyDestroyed) as refusal:
        keyring.open(connection, UPLOAD_1)
    assert (refusal.value.key_id, refusal.value.destroyed_id) == (UPLOAD_1, UPLOAD_1)
    assert keyring.open(connection, UPLOAD_2) == keys[UPLOAD_2]

    with transaction(connection):
        keyring.destroy(connection, TNM)
    with pytest.raises(KeyDestroyed) as refusal:
        keyring.open(connection, UPLOAD_2)
    assert (refusal.value.key_id, refusal.value.destroyed_id) == (UPLOAD_2, TNM)
    assert keyring.state(connection, UPLOAD_2) is KeyState.DESTROYED
    assert keyring.children(connection, TNM) == (UPLOAD_1, UPLOAD_2)
    assert keyring.open(connection, UPLOAD_3) == keys[UPLOAD_3]

    with transaction(connection):
        with pytest.raises(KeyDestroyed):
            keyring.destroy(connection, TNM)
        with pytest.raises(KeyDestroyed):
            keyring.create(connection, KeyId(KeyKind.DATA, "new"), TNM)
        with pytest.raises(KeyExists):
            keyring.create(connection, TNM, ROOT_ID)


def test_marking_a_tombstone_active_again_opens_nothing(
    connection: sqlite3.Connection, keyring: Keyring, keys: dict[KeyId, SecretKey]
) -> None:
    foreign = wrapped(connection, UPLOAD_2)
    with transaction(connection):
        keyring.destroy(connection, UPLOAD_1)
    for blob in (bytes(61), foreign):
        connection.execute("UPDATE keyring_keys SET state = 'A', wrapped = ? WHERE name = ?", (blob, UPLOAD_1.name))
        with pytest.raises(UnwrapFailed):
            keyring.open(connection, UPLOAD_1)


def files_of(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(path.parent.glob(f"{path.name}*")))


@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
def test_no_byte_of_a_destroyed_key_stays_in_the_files(tmp_path: Path, keyring: Keyring, journal: str) -> None:
    path = tmp_path / "room.db"
    connection = connect(path)
    connection.execute(f"PRAGMA journal_mode = {journal}")
    draw = random.Random(20250901)
    with transaction(connection):
        keyring.create_schema(connection)
        keyring.create(connection, TNM, ROOT_ID)
    ids = [KeyId(KeyKind.DATA, f"{draw.getrandbits(64):016x}") for _ in range(300)]
    for start in range(0, len(ids), 25):
        with transaction(connection):
            for key_id in ids[start : start + 25]:
                keyring.create(connection, key_id, TNM)
    blobs = {key_id: wrapped(connection, key_id) for key_id in ids}
    image = files_of(path)
    assert all(blob in image for blob in blobs.values())

    gone = set(draw.sample(ids, 150))
    for key_id in gone:
        with transaction(connection):
            keyring.destroy(connection, key_id)
    keyring.purge(connection)
    image = files_of(path)
    ciphertexts = {key_id: blob[13:45] for key_id, blob in blobs.items()}
    assert not any(ciphertexts[key_id] in image for key_id in gone)
    assert all(ciphertexts[key_id] in image for key_id in ids if key_id not in gone)
    connection.execute("VACUUM")
    keyring.purge(connection)
    image = files_of(path)
    assert not any(ciphertexts[key_id] in image for key_id in gone)
    assert all(key_id.name.encode() in image for key_id in gone), "tombstones stay"
    connection.close()


def test_without_purge_the_write_ahead_log_keeps_the_bytes(tmp_path: Path, keyring: Keyring) -> None:
    """Keep the reason for `purge` alive."""
    path = tmp_path / "room.db"
    connection = connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    fill(connection, keyring)
    blob = wrapped(connection, UPLOAD_1)
    with transaction(connection):
        keyring.destroy(connection, UPLOAD_1)
    assert blob in files_of(path)
    keyring.purge(connection)
    assert blob not in files_of(path)
    connection.close()


def test_purge_says_when_a_reader_keeps_the_log(tmp_path: Path, keyring: Keyring) -> None:
    path = tmp_path / "room.db"
    connection = connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA busy_timeout = 0")
    fill(connection, keyring)
    reader = connect(path)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM keyring_keys").fetchone()
    with transaction(connection):
        keyring.destroy(connection, UPLOAD_1)
    with pytest.raises(PurgeIncomplete):
        keyring.purge(connection)
    reader.close()
    keyring.purge(connection)
    with transaction(connection), pytest.raises(InTransaction):
        keyring.purge(connection)
    connection.close()
