"""Notice an older, rewritten or damaged room: what this machine verified is remembered, and every byte is named."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from room_samples import MEMBER, Place, ask, spent, visits

from audit_log import Log, Signer, export_log
from cleanroom.errors import CleanroomError, Fault, NotVerified
from cleanroom.room import Home, Room, log_reading, logbook, registry
from cleanroom.room.database import connect, transaction

if TYPE_CHECKING:
    from pathlib import Path


def saved(place: Place, to: Path) -> Path:
    with closing(sqlite3.connect(place.path / "room.db")) as source, closing(sqlite3.connect(to)) as target:
        source.backup(target)
    return to


def restored(place: Place, backup: Path) -> None:
    for name in ("room.db", "room.db-wal", "room.db-shm"):
        (place.path / name).unlink(missing_ok=True)
    shutil.copy(backup, place.path / "room.db")


def test_an_older_database_is_refused(place: Place, tmp_path: Path) -> None:
    backup = saved(place, tmp_path / "backup.db")
    with place.open() as room:
        ask(room)
    place.open().close()
    restored(place, backup)
    with pytest.raises(NotVerified) as caught:
        place.open()
    assert caught.value.code == "log_not_verified"
    assert "older than what this machine saw" in str(caught.value)
    assert "plus ancienne que ce que cette machine en a vu" in str(caught.value)
    verdict = logbook.verify(place.path, place.home).verdict
    assert verdict.code.value == "rolled-back"


def test_a_database_older_than_the_last_answer_is_refused(place: Place, tmp_path: Path) -> None:
    with place.open() as room:
        backup = saved(place, tmp_path / "backup.db")
        ask(room)
    restored(place, backup)
    with pytest.raises(NotVerified):
        place.open()


def test_a_log_that_went_another_way_is_refused(place: Place, tmp_path: Path) -> None:
    backup = saved(place, tmp_path / "backup.db")
    with place.open() as room:
        ask(room)
    place.open().close()
    restored(place, backup)
    forgetful = Home(tmp_path / "forgetful")
    shutil.copytree(place.home.path, forgetful.path)
    for seen in forgetful.path.glob("rooms/*/checkpoint"):
        seen.unlink()
    with Room.open(place.path, home=forgetful) as room:
        for _ in range(4):
            ask(room, epsilon=0.02)
    with pytest.raises(NotVerified) as caught:
        place.open()
    assert caught.value.code == "log_not_verified"
    assert "older" not in str(caught.value)
    assert logbook.verify(place.path, place.home).verdict.code.value == "history-rewritten"


def test_two_machines_remember_apart(place: Place, tmp_path: Path) -> None:
    behind = Home(tmp_path / "behind")
    shutil.copytree(place.home.path, behind.path)
    backup = saved(place, tmp_path / "backup.db")
    with place.open() as room:
        ask(room)
    place.open().close()
    restored(place, backup)
    Room.open(place.path, home=behind).close()
    with pytest.raises(NotVerified):
        place.open()


def test_an_older_export_is_refused_and_does_not_make_the_machine_forget(place: Place, tmp_path: Path) -> None:
    with place.open() as room:
        log_reading.export(room, tmp_path / "first")
        assert logbook.verify(tmp_path / "first", place.home).verdict.ok
        ask(room)
        log_reading.export(room, tmp_path / "second")
    assert logbook.verify(tmp_path / "second", place.home).verdict.ok
    for _ in range(2):
        assert logbook.verify(tmp_path / "first", place.home).verdict.code.value == "rolled-back"


def test_another_rooms_key_or_home_does_not_open(place: Place, tmp_path: Path) -> None:
    with pytest.raises(Fault):
        Room.open(place.path, home=Home(tmp_path / "nothing"))
    Room.create(tmp_path / "other", home=Home(tmp_path / "elsewhere")).close()
    (theirs,) = (tmp_path / "elsewhere" / "rooms").iterdir()
    (ours,) = (place.home.path / "rooms").iterdir()
    shutil.copy(theirs / "root.key", ours / "root.key")
    with pytest.raises(Fault) as caught:
        place.open()
    assert caught.value.code == "keys_refused"


def test_every_table_of_the_log_is_covered(place: Place) -> None:
    """Flip a byte in the first, middle and last row of each column that the log keeps."""
    with place.open() as room:
        ask(room)
    with closing(sqlite3.connect(place.path / "room.db", isolation_level=None)) as connection:
        for trigger in [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")]:
            connection.execute(f'DROP TRIGGER "{trigger}"')
        for table, column in (
            ("audit_entry", "leaf"),
            ("audit_tile", "hashes"),
            ("audit_head", "root"),
            ("audit_head", "note"),
            ("audit_head", "frontier"),
            ("audit_checkpoint", "note"),
            ("audit_detail", "ciphertext"),
        ):
            key = {"audit_tile": "level", "audit_head": "id", "audit_checkpoint": "size"}.get(table, "idx")
            rows = connection.execute(f"SELECT {key}, {column} FROM {table} ORDER BY 1").fetchall()  # noqa: S608
            if not rows:
                assert table == "audit_tile", "this log is too short for a whole tile"
                continue
            for which, content in {rows[0], rows[len(rows) // 2], rows[-1]}:
                for offset in {0, len(content) // 2, len(content) - 1}:
                    damaged = bytearray(content)
                    damaged[offset] ^= 1
                    update = f"UPDATE {table} SET {column} = ? WHERE {key} = ?"  # noqa: S608
                    connection.execute(update, (bytes(damaged), which))
                    verdict = logbook.verify(place.path, place.home).verdict
                    assert not verdict.ok, (table, column, which, offset)
                    assert verdict.place or verdict.index >= 0
                    connection.execute(update, (content, which))
    assert logbook.verify(place.path, place.home).verdict.ok


def test_every_byte_of_an_export_is_covered(place: Place, tmp_path: Path) -> None:
    with place.open() as room:
        ask(room)
        log_reading.export(room, tmp_path / "export")
    for path in sorted(p for p in (tmp_path / "export").rglob("*") if p.is_file()):
        content = path.read_bytes()
        for offset in {*range(0, len(content), max(1, len(content) // 12)), len(content) - 1}:
            damaged = bytearray(content)
            damaged[offset] ^= 4
            path.write_bytes(damaged)
            assert exported_damage_is_found(tmp_path / "export", place.home), (path, offset)
        path.write_bytes(content)
    assert logbook.verify(tmp_path / "export", place.home).verdict.ok


def exported_damage_is_found(directory: Path, home: Home) -> bool:
    try:
        return not logbook.verify(directory, home).verdict.ok
    except NotVerified:
        return True


def test_every_byte_of_a_partition_is_covered_and_named(room: Room) -> None:
    (taken,) = registry.uploads(room.connection, visits(MEMBER))
    stored = room.stored(taken)
    path = room.store.path(stored)
    content = path.read_bytes()
    path.chmod(0o600)
    for offset in {*range(0, len(content), len(content) // 50), len(content) - 1}:
        damaged = bytearray(content)
        damaged[offset] ^= 16
        path.write_bytes(damaged)
        with pytest.raises(NotVerified) as caught:
            room.store.verify(stored)
        assert str(taken.table) in str(caught.value)
        assert taken.upload in str(caught.value)
    path.write_bytes(content[:-1])
    with pytest.raises(NotVerified):
        room.store.verify(stored)
    path.write_bytes(content)
    room.store.verify(stored)


def test_a_damaged_partition_costs_nobody_anything(room: Room) -> None:
    (taken,) = registry.uploads(room.connection, visits(MEMBER))
    path = room.store.path(room.stored(taken))
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-100])
    before = spent(room)
    with pytest.raises(CleanroomError):
        ask(room)
    assert spent(room) == before


def test_altered_settings_and_declarations_are_refused(place: Place) -> None:
    settings = place.path / "room.yaml"
    original = settings.read_bytes()
    settings.write_bytes(original.replace(b"epsilon: 20", b"epsilon: 90"))
    with pytest.raises(Fault):
        place.open()
    settings.write_bytes(original)
    with closing(sqlite3.connect(place.path / "room.db", isolation_level=None)) as connection:
        connection.execute(
            "UPDATE declaration SET content ="
            " CAST(replace(CAST(content AS TEXT), 'threshold: 20', 'threshold: 0') AS BLOB)"
        )
    with place.open() as room, pytest.raises(NotVerified):
        ask(room)


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE ledger_account SET rho_max = 1000 * rho_max",
        "DELETE FROM ledger_line",
        "UPDATE ledger_line SET account_rho = 0, party_rho = 0",
        "UPDATE ledger_line SET party = 'observatoire'",
        "UPDATE ledger_account SET spending_window = 'month'",
        "UPDATE ledger_reservation SET state = 'failed'",
        "DELETE FROM linkage",
        "INSERT INTO cohort VALUES ('theatre_fleuve')",
        "DELETE FROM declaration WHERE version = 2",
        "UPDATE room SET settings = CAST(replace(CAST(settings AS TEXT), '20', '90') AS BLOB)",
    ],
)
def test_state_that_the_log_contradicts_is_refused(place: Place, tampering: str) -> None:
    with place.open() as room:
        ask(room)
        room.declare(place.yaml(MEMBER).replace(b"threshold: 20", b"threshold: 200"))
    with closing(sqlite3.connect(place.path / "room.db", isolation_level=None)) as connection:
        for trigger in [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")]:
            connection.execute(f'DROP TRIGGER "{trigger}"')
        connection.execute(tampering)
    if "settings" in tampering:
        shown = place.path / "room.yaml"
        shown.write_bytes(shown.read_bytes().replace(b"20", b"90"))
    assert noticed(place)


def noticed(place: Place) -> bool:
    """Whether opening, asking for what is in force, or verifying finds fault with a room."""
    try:
        with place.open() as room:
            registry.declarations(room.connection)
    except CleanroomError:
        return True
    return not logbook.verify(place.path, place.home).ok


def test_a_hostile_export_writes_nothing_outside_the_home(tmp_path: Path) -> None:
    name = "cleanroom/../../escaped"
    log = Log(name, Signer(name, Ed25519PrivateKey.generate()))
    with closing(connect(tmp_path / "hostile.db", create=True)) as connection:
        with transaction(connection):
            log.create_schema(connection)
        export_log(connection, log.verifier, tmp_path / "export")
    (tmp_path / "export" / "log.vkey").write_text(f"{log.verifier.vkey}\n")
    home = Home(tmp_path / "home")
    with suppress(CleanroomError):
        logbook.verify(tmp_path / "export", home)
    assert {path.name for path in tmp_path.iterdir()} <= {
        "export",
        "home",
        "hostile.db",
        "hostile.db-wal",
        "hostile.db-shm",
    }
