"""A keyring of two members with three uploads, in a database of its own."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from key_management import (
    KeyId,
    KeyKind,
    Keyring,
    SecretKey,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROOT_ID = KeyId.root()
TNM = KeyId(KeyKind.MEMBER, "tnm")
FRANCOS = KeyId(KeyKind.MEMBER, "francos")
UPLOAD_1 = KeyId(KeyKind.DATA, "tnm.visits/1")
UPLOAD_2 = KeyId(KeyKind.DATA, "tnm.visits/2")
UPLOAD_3 = KeyId(KeyKind.DATA, "francos.visits/1")
SECURE_DELETE_OFF, SECURE_DELETE_ON, SECURE_DELETE_FAST = "OFF", "ON", "FAST"


def connect(path: Path | str, secure_delete: str = SECURE_DELETE_ON) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(f"PRAGMA secure_delete = {secure_delete}")
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def fill(connection: sqlite3.Connection, keyring: Keyring) -> dict[KeyId, SecretKey]:
    with transaction(connection):
        keyring.create_schema(connection)
        return {
            key_id: keyring.create(connection, key_id, parent)
            for key_id, parent in [
                (TNM, ROOT_ID),
                (FRANCOS, ROOT_ID),
                (UPLOAD_1, TNM),
                (UPLOAD_2, TNM),
                (UPLOAD_3, FRANCOS),
            ]
        }


@pytest.fixture
def keyring() -> Keyring:
    return Keyring(SecretKey.generate())


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    connection = connect(":memory:")
    yield connection
    connection.close()


@pytest.fixture
def keys(connection: sqlite3.Connection, keyring: Keyring) -> dict[KeyId, SecretKey]:
    return fill(connection, keyring)


def dump(connection: sqlite3.Connection) -> list[str]:
    return list(connection.iterdump())


def wrapped(connection: sqlite3.Connection, key_id: KeyId) -> bytes:
    query = "SELECT wrapped FROM keyring_keys WHERE kind = ? AND name = ?"
    blob = connection.execute(query, (key_id.kind.value, key_id.name)).fetchone()[0]
    assert isinstance(blob, bytes)
    return blob
