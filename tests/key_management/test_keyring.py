"""The keyring: chains open, moved rows do not, destroyed keys leave no bytes, a roll-back leaves no trace."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keyring_samples import (
    FRANCOS,
    ROOT_ID,
    SECURE_DELETE_FAST,
    SECURE_DELETE_OFF,
    TNM,
    UPLOAD_1,
    UPLOAD_2,
    UPLOAD_3,
    connect,
    dump,
    fill,
    transaction,
    wrapped,
)

from key_management import (
    InvalidKeyId,
    KeyDestroyed,
    KeyExists,
    KeyId,
    KeyKind,
    Keyring,
    KeyState,
    NotInTransaction,
    SecretKey,
    SecureDeleteOff,
    TransportKey,
    UnknownKey,
    UnwrapFailed,
    WrongRootKey,
)


def test_every_key_opens_along_its_chain(
    connection: sqlite3.Connection, keyring: Keyring, keys: dict[KeyId, SecretKey]
) -> None:
    for key_id, secret in keys.items():
        assert keyring.open(connection, key_id) == secret
        assert keyring.state(connection, key_id) is KeyState.ACTIVE
    assert keyring.children(connection, ROOT_ID) == (FRANCOS, TNM)
    assert keyring.children(connection, TNM) == (UPLOAD_1, UPLOAD_2)
    assert keyring.children(connection, UPLOAD_1) == ()


def test_no_secret_stands_in_the_database(
    connection: sqlite3.Connection, keyring: Keyring, keys: dict[KeyId, SecretKey]
) -> None:
    image = connection.serialize()
    for secret in keys.values():
        assert secret.reveal_secret_bytes() not in image


def test_a_callers_row_factory_does_not_matter(
    connection: sqlite3.Connection, keyring: Keyring, keys: dict[KeyId, SecretKey]
) -> None:
    connection.row_factory = lambda cursor, row: {"row": row}
    assert keyring.open(connection, UPLOAD_1) == keys[UPLOAD_1]


def test_private_keys_are_adopted_by_their_seeds(connection: sqlite3.Connection, keyring: Keyring) -> None:
    transport, signing = TransportKey.generate(), SecretKey.generate()
    transport_id, signing_id = KeyId(KeyKind.TRANSPORT, "2025-09"), KeyId(KeyKind.LOG_SIGNING, "log")
    with transaction(connection):
        keyring.create_schema(connection)
        keyring.adopt(connection, transport_id, ROOT_ID, transport.seed())
        keyring.adopt(connection, signing_id, ROOT_ID, signing)
    restored = TransportKey.from_seed(keyring.open(connection, transport_id))
    assert restored.public_bytes() == transport.public_bytes()
    assert keyring.open(connection, signing_id) == signing


def test_details_keys_may_form_a_chain(connection: sqlite3.Connection, keyring: Keyring) -> None:
    room, entry = KeyId(KeyKind.LOG_DETAILS, "room"), KeyId(KeyKind.LOG_DETAILS, "entry/7")
    with transaction(connection):
        keyring.create_schema(connection)
        keyring.create(connection, room, ROOT_ID)
        secret = keyring.create(connection, entry, room)
    assert keyring.open(connection, entry) == secret


@pytest.mark.usefixtures("keys")
def test_unknown_taken_and_impossible_ids_are_refused(connection: sqlite3.Connection, keyring: Keyring) -> None:
    unknown = KeyId(KeyKind.DATA, "unknown")
    with pytest.raises(UnknownKey) as refusal:
        keyring.open(connection, unknown)
    assert refusal.value.key_id == unknown
    with pytest.raises(UnknownKey):
        keyring.state(connection, unknown)
    with pytest.raises(InvalidKeyId):
        keyring.open(connection, ROOT_ID)
    with transaction(connection):
        with pytest.raises(UnknownKey):
            keyring.destroy(connection, unknown)
        with pytest.raises(UnknownKey):
            keyring.create(connection, unknown, KeyId(KeyKind.MEMBER, "unknown"))
        with pytest.raises(KeyExists):
            keyring.create(connection, UPLOAD_1, TNM)
        with pytest.raises(KeyExists):
            keyring.create(connection, UPLOAD_1, FRANCOS)
        for key_id, parent in [
            (unknown, ROOT_ID),
            (unknown, UPLOAD_1),
            (KeyId(KeyKind.MEMBER, "new"), TNM),
            (KeyId(KeyKind.MEMBER, "new"), KeyId(KeyKind.ROOT, "other")),
            (KeyId(KeyKind.ROOT, "root"), ROOT_ID),
        ]:
            with pytest.raises(InvalidKeyId):
                keyring.create(connection, key_id, parent)
        with pytest.raises(UnknownKey):
            keyring.destroy(connection, ROOT_ID)


@pytest.mark.parametrize("name", ["", " a", "a b", "é", "a\n", "a\0", "-a", "/a", "a" * 201])
def test_names_of_another_form_are_refused(name: str) -> None:
    with pytest.raises(InvalidKeyId):
        KeyId(KeyKind.DATA, name)


def test_a_kind_is_not_a_string() -> None:
    with pytest.raises(TypeError):
        KeyId("data", "x")  # type: ignore[arg-type]


def test_writes_need_the_callers_transaction(connection: sqlite3.Connection, keyring: Keyring) -> None:
    with pytest.raises(NotInTransaction):
        keyring.create_schema(connection)
    fill(connection, keyring)
    before = dump(connection)
    with pytest.raises(NotInTransaction):
        keyring.create(connection, KeyId(KeyKind.DATA, "new"), TNM)
    with pytest.raises(NotInTransaction):
        keyring.adopt(connection, KeyId(KeyKind.DATA, "new"), TNM, SecretKey.generate())
    with pytest.raises(NotInTransaction):
        keyring.destroy(connection, UPLOAD_1)
    with pytest.raises(NotInTransaction):
        keyring.rotate_root(connection, SecretKey.generate())
    assert dump(connection) == before


@pytest.mark.parametrize("setting", [SECURE_DELETE_OFF, SECURE_DELETE_FAST])
def test_writes_need_secure_delete(connection: sqlite3.Connection, keyring: Keyring, setting: str) -> None:
    keys = fill(connection, keyring)
    connection.execute(f"PRAGMA secure_delete = {setting}")
    with transaction(connection):
        with pytest.raises(SecureDeleteOff):
            keyring.create(connection, KeyId(KeyKind.DATA, "new"), TNM)
        with pytest.raises(SecureDeleteOff):
            keyring.destroy(connection, UPLOAD_1)
    with pytest.raises(SecureDeleteOff):
        keyring.purge(connection)
    assert keyring.open(connection, UPLOAD_1) == keys[UPLOAD_1]


def test_a_rolled_back_transaction_leaves_the_keyring_unchanged(
    connection: sqlite3.Connection, keyring: Keyring, keys: dict[KeyId, SecretKey]
) -> None:
    before = dump(connection)
    new = KeyId(KeyKind.DATA, "new")
    connection.execute("BEGIN")
    keyring.create(connection, new, TNM)
    keyring.destroy(connection, FRANCOS)
    successor = keyring.rotate_root(connection, SecretKey.generate())
    assert successor.open(connection, UPLOAD_1) == keys[UPLOAD_1]
    connection.execute("ROLLBACK")
    assert dump(connection) == before
    for key_id, secret in keys.items():
        assert keyring.open(connection, key_id) == secret
    with pytest.raises(UnknownKey):
        keyring.open(connection, new)
    with pytest.raises(WrongRootKey):
        successor.open(connection, UPLOAD_1)


def test_a_new_root_opens_everything_and_the_old_one_nothing(
    connection: sqlite3.Connection, keyring: Keyring, keys: dict[KeyId, SecretKey]
) -> None:
    with transaction(connection):
        keyring.destroy(connection, UPLOAD_2)
        keyring.destroy(connection, FRANCOS)
    old = wrapped(connection, TNM)
    with transaction(connection):
        successor = keyring.rotate_root(connection, SecretKey.generate())
    assert successor.open(connection, TNM) == keys[TNM]
    assert successor.open(connection, UPLOAD_1) == keys[UPLOAD_1]
    for key_id in (UPLOAD_2, UPLOAD_3, FRANCOS):
        with pytest.raises(KeyDestroyed):
            successor.open(connection, key_id)
    with pytest.raises(WrongRootKey):
        keyring.open(connection, UPLOAD_1)
    with transaction(connection):
        third = successor.rotate_root(connection, SecretKey.generate())
    assert third.open(connection, UPLOAD_1) == keys[UPLOAD_1]
    connection.execute("UPDATE keyring_keys SET wrapped = ?, version = 1 WHERE name = 'tnm'", (old,))
    with pytest.raises(UnwrapFailed):
        third.open(connection, UPLOAD_1)


def test_two_schemas_in_one_database_are_refused(connection: sqlite3.Connection, keyring: Keyring) -> None:
    fill(connection, keyring)
    with pytest.raises(sqlite3.OperationalError, match="already exists"), transaction(connection):
        keyring.create_schema(connection)


def test_the_keyring_takes_only_a_secret_key_and_does_not_print_it() -> None:
    with pytest.raises(TypeError):
        Keyring(bytes(32))  # type: ignore[arg-type]
    assert repr(Keyring(SecretKey.generate())) == "Keyring(<hidden>)"


@settings(max_examples=15, deadline=None)
@given(steps=st.lists(st.tuples(st.sampled_from(["create", "destroy", "abort"]), st.integers(0, 7)), max_size=20))
def test_the_keyring_agrees_with_a_dictionary(steps: list[tuple[str, int]]) -> None:
    """Run any sequence of creations, destructions and roll-backs beside a model of it."""
    connection, keyring = connect(":memory:"), Keyring(SecretKey.generate())
    with transaction(connection):
        keyring.create_schema(connection)
        keyring.create(connection, TNM, ROOT_ID)
    model: dict[KeyId, SecretKey | None] = {}
    for action, number in steps:
        key_id = KeyId(KeyKind.DATA, f"u{number}")
        connection.execute("BEGIN")
        match action, model.get(key_id, "absent"):
            case "create", "absent":
                model[key_id] = keyring.create(connection, key_id, TNM)
            case "create", _:
                with pytest.raises(KeyExists):
                    keyring.create(connection, key_id, TNM)
            case "destroy", "absent":
                with pytest.raises(UnknownKey):
                    keyring.destroy(connection, key_id)
            case "destroy", None:
                with pytest.raises(KeyDestroyed):
                    keyring.destroy(connection, key_id)
            case "destroy", _:
                keyring.destroy(connection, key_id)
                model[key_id] = None
            case _:
                keyring.create(connection, KeyId(KeyKind.DATA, "aborted"), TNM)
                connection.execute("ROLLBACK")
        if connection.in_transaction:
            connection.execute("COMMIT")
        assert set(keyring.children(connection, TNM)) == set(model)
        for known, secret in model.items():
            if secret is None:
                assert keyring.state(connection, known) is KeyState.DESTROYED
            else:
                assert keyring.open(connection, known) == secret
    connection.close()
