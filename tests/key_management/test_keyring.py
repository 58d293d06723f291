"""The keyring: chains open, moved rows do not, destroyed keys leave no bytes, a roll-back leaves no trace."""

from __future__ import annotations

import random
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from key_management import (
    InTransaction,
    InvalidKeyId,
    KeyDestroyed,
    KeyExists,
    KeyId,
    KeyKind,
    Keyring,
    KeyringDamaged,
    KeyState,
    NotInTransaction,
    PurgeIncomplete,
    SecretKey,
    SecureDeleteOff,
    TransportKey,
    UnknownKey,
    UnwrapFailed,
    WrongRootKey,
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
