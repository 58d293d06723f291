"""A saved room comes back whole or not at all, and never with budget that was spent."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import syscalls
from room_samples import MEMBER, OVERLAP, Place, ask, audit, entries, spent, visits

from audit_log import EventType
from cleanroom.errors import CleanroomError, Fault, NotVerified, UsageError
from cleanroom.identifiers import Digest
from cleanroom.room import Home, Room, archive, balances, logbook, question, registry, upload
from cleanroom.room.archive import ArchivedFile, Index
from cleanroom.room.backup import backup, mac
from cleanroom.room.creation import LOG_DETAILS
from cleanroom.room.restoration import restore
from key_management import KeyId, KeyKind

HERE = Path(__file__).parent


@pytest.fixture
def saved(place: Place, tmp_path: Path) -> Path:
    """Ask a question, then save the room."""
    with place.open() as room:
        ask(room)
        backup(room, tmp_path / "saved.tar")
    return tmp_path / "saved.tar"


def checkpoint_of(place: Place) -> Path:
    (found,) = place.home.path.glob("rooms/*/checkpoint")
    return found


def forgetful(place: Place, tmp_path: Path) -> Home:
    """Return the keys of another machine of the operator's, which remembers no log."""
    home = Home(tmp_path / "forgetful")
    shutil.copytree(place.home.path, home.path)
    for seen in (*home.path.glob("rooms/*/checkpoint"), *home.path.glob("rooms/*/verified*")):
        seen.unlink()
    return home


def refused(saved: Path, to: Path, home: Home, *checkpoints: Path) -> str:
    with pytest.raises(CleanroomError) as caught:
        restore(saved, to, home, checkpoints)
    assert not to.exists()
    assert list(to.parent.glob(f".{to.name}-*")) == []
    assert caught.value.message.fr != caught.value.message.en
    return caught.value.code


def test_a_room_comes_back_as_it_was(place: Place, saved: Path, tmp_path: Path) -> None:
    with place.open() as room:
        before = spent(room)
        held = [each.upload for each in registry.uploads(room.connection)]
    place.path.rename(tmp_path / "lost")
    found = restore(saved, place.path, place.home)
    assert [each.source for each in found.evidence] == [None]
    audit(place)
    assert balances.checked(place.path, place.home).ok
    with place.open() as room:
        assert spent(room) == before
        assert [each.upload for each in registry.uploads(room.connection)] == held
        kinds = [kind for _, kind, _ in entries(room)]
        assert kinds[-2:] == [EventType.ROOM_SAVED, EventType.ROOM_RESTORED]
        ask(room)
    assert logbook.verify(place.path, place.home).ok


def test_a_question_under_way_comes_back_charged_and_failed(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Saved between a charge and its answer: nothing is given back."""
    with place.open() as room:

        def save_then_fail(*_: object, **__: object) -> None:
            backup(room, tmp_path / "saved.tar")
            raise OSError

        monkeypatch.setattr(question, "open_data_keys", save_then_fail)
        with pytest.raises(Fault):
            ask(room)
        charged = spent(room)
    assert charged["room"] > 0
    home = forgetful(place, tmp_path)
    # What remains of the other machine is the checkpoint that it remembered before the keys were opened.
    index = next(i for i, kind, _ in entries_of(place) if kind is EventType.ROOM_SAVED)
    monkeypatch.undo()
    with closing(sqlite3.connect(place.path / "room.db")) as connection:
        note = connection.execute("SELECT note FROM audit_checkpoint WHERE size = ?", (index + 1,)).fetchone()[0]
    (tmp_path / "note").write_bytes(note)
    restore(saved := tmp_path / "saved.tar", tmp_path / "again", home, [tmp_path / "note"])
    assert saved.exists()
    with Room.open(tmp_path / "again", home=home) as room:
        assert spent(room) == charged
        assert [kind for _, kind, _ in entries(room)][-1] is EventType.QUERY_FAILED


def entries_of(place: Place) -> list[tuple[int, EventType, dict[str, object]]]:
    with place.open() as room:
        return entries(room)


def test_a_backup_that_would_give_budget_back_is_refused(place: Place, saved: Path, tmp_path: Path) -> None:
    with place.open() as room:
        answer = ask(room)
    place.path.rename(tmp_path / "lost")
    assert refused(saved, place.path, place.home) == "backup_behind"
    # The same by what others hold: a checkpoint, or the receipt of the one who asked.
    home = forgetful(place, tmp_path)
    assert refused(saved, place.path, home, checkpoint_of(place)) == "backup_behind"
    (tmp_path / "receipt").write_bytes(answer.receipt.proof)
    assert refused(saved, place.path, home, tmp_path / "receipt") == "backup_behind"


def test_no_evidence_no_restoration(place: Place, saved: Path, tmp_path: Path) -> None:
    home = forgetful(place, tmp_path)
    assert refused(saved, tmp_path / "again", home) == "no_checkpoint"


def test_earlier_evidence_must_be_in_the_log(place: Place, tmp_path: Path) -> None:
    shutil.copytree(place.path, tmp_path / "fork")
    home = forgetful(place, tmp_path)
    with place.open() as room:
        for _ in range(2):
            ask(room)
        backup(room, tmp_path / "saved.tar")
    with Room.open(tmp_path / "fork", home=home) as fork:
        ask(fork)
    (theirs,) = home.path.glob("rooms/*/checkpoint")
    other = forgetful(place, tmp_path / "third")
    assert refused(tmp_path / "saved.tar", tmp_path / "again", other, theirs) == "log_not_verified"
    found = restore(tmp_path / "saved.tar", tmp_path / "again", other, [checkpoint_of(place)])
    assert found.evidence[0].checkpoint.size == found.entries


def test_another_room_s_checkpoint_or_none_proves_nothing(place: Place, saved: Path, tmp_path: Path) -> None:
    Room.create(tmp_path / "other", home=Home(tmp_path / "elsewhere")).close()
    (theirs,) = (tmp_path / "elsewhere").glob("rooms/*/checkpoint")
    assert refused(saved, tmp_path / "again", place.home, theirs) == "checkpoint_not_verified"
    (tmp_path / "junk").write_bytes(b"junk\n")
    assert refused(saved, tmp_path / "again", place.home, tmp_path / "junk") == "checkpoint_not_verified"
    assert refused(saved, tmp_path / "again", place.home, tmp_path / "none") == "unreadable_file"
    assert refused(saved, tmp_path / "again", Home(tmp_path / "nobody")) == "root_key_missing"


def test_every_part_of_a_backup_is_covered(place: Place, saved: Path, tmp_path: Path) -> None:
    content = saved.read_bytes()
    step = len(content) // 60
    offsets = {*range(0, 1_600, 97), *range(0, len(content), step), len(content) - 1}
    for offset in sorted(offsets):
        altered = bytearray(content)
        altered[offset] ^= 8
        with pytest.raises(NotVerified):
            unpacked(bytes(altered), place, tmp_path)
    for size in {*range(0, 1_600, 211), *range(0, len(content), step * 3), len(content) - 1}:
        with pytest.raises(NotVerified):
            unpacked(content[:size], place, tmp_path)
    with pytest.raises(NotVerified):
        unpacked(content + b"\0", place, tmp_path)
    unpacked(content, place, tmp_path)


def unpacked(content: bytes, place: Place, tmp_path: Path) -> None:
    """Read an archive as a restoration does, MAC included; the rest of that is tested at fewer places."""
    to = tmp_path / "unpacked"
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir()
    source = io.BytesIO(content)
    index, code = archive.read_head(source)
    archive.read_files(source, index, to)
    with place.open() as room:
        if mac(room.keyring.open(room.connection, LOG_DETAILS), index) != code:
            raise archive.damaged("backup.mac")


@pytest.mark.parametrize("knows_the_keys", [False, True])
def test_a_forged_backup_is_refused(place: Place, saved: Path, tmp_path: Path, *, knows_the_keys: bool) -> None:
    """Whoever rewrites spending in the file has no key for its MAC; who has one is held against the log."""
    to = tmp_path / "forged"
    to.mkdir()
    with saved.open("rb") as source:
        index, code = archive.read_head(source)
        archive.read_files(source, index, to)
    with closing(sqlite3.connect(to / "room.db", isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER ledger_line_never_updated")
        connection.execute("UPDATE ledger_line SET account_rho = 1, party_rho = 1, rho = 1")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("PRAGMA journal_mode = DELETE")
    (database,) = archive.measured(to, ("room.db",))
    forged = replace(index, files=(database, *index.files[1:]))
    if knows_the_keys:
        with place.open() as room:
            code = mac(room.keyring.open(room.connection, LOG_DETAILS), forged)
    rewritten(tmp_path / "forged.tar", forged, code, to)
    expected = "state_contradicts_log" if knows_the_keys else "backup_damaged"
    assert refused(tmp_path / "forged.tar", tmp_path / "again", place.home) == expected


def rewritten(path: Path, index: Index, code: bytes, root: Path) -> None:
    with path.open("wb") as target:
        archive.write_head(target, index, code)
        for file in index.files:
            archive.write_file(target, root / file.name, file)
        archive.write_end(target)


@pytest.mark.parametrize(
    "name",
    [
        "../room.db",
        "/etc/passwd",
        "partitions/../../x/0.parquet",
        "room.db/x",
        "partitions/a/b/c",
        "Room.db",
        "asking.lock",
    ],
)
def test_no_name_of_a_backup_leaves_its_directory(name: str) -> None:
    file = ArchivedFile(name, 1, Digest.of(b"x"))
    with pytest.raises(NotVerified):
        Index.parse(Index("r-0123456789abcdef", 1, (file,)).encode())
    with pytest.raises(NotVerified):
        Index.parse(Index("../../elsewhere", 1, ()).encode())


def test_no_key_is_in_it_in_clear(place: Place, saved: Path) -> None:
    content = saved.read_bytes()
    with place.open() as room:
        secrets = [place.home.root_key(room.room_id).reveal_secret_bytes()]
        secrets += [
            room.keyring.open(room.connection, key).reveal_secret_bytes()
            for key in (
                LOG_DETAILS,
                KeyId(KeyKind.LOG_SIGNING, "1"),
                KeyId(KeyKind.TRANSPORT, "1"),
                KeyId(KeyKind.MEMBER, MEMBER),
                *(KeyId(KeyKind.DATA, each.upload) for each in registry.uploads(room.connection)),
            )
        ]
    home = [path.read_bytes() for path in place.home.path.rglob("*.key")]
    for secret in secrets:
        assert secret not in content
        assert secret.hex().encode() not in content
    for each in home:
        assert each.strip().splitlines()[-1] not in content
    assert json.loads(content[512 : content.index(b"\n", 512)])["format"] == archive.FORMAT


def test_a_backup_is_not_made_over_a_file_nor_into_the_room(place: Place, saved: Path) -> None:
    with place.open() as room:
        for path, code in ((saved, "backup_exists"), (place.path / "x.tar", "backup_inside_room")):
            with pytest.raises(UsageError) as caught:
                backup(room, path)
            assert caught.value.code == code
    with pytest.raises(UsageError):
        restore(saved, place.path, place.home)


def test_a_damaged_room_is_not_saved(place: Place, tmp_path: Path) -> None:
    with place.open() as room:
        (taken,) = registry.uploads(room.connection, visits(MEMBER))
        path = room.store.path(room.stored(taken))
        path.chmod(0o600)
        path.write_bytes(path.read_bytes()[:-1] + b"?")
        with pytest.raises(Fault):
            backup(room, tmp_path / "saved.tar")
    assert [each.name for each in tmp_path.iterdir() if "saved" in each.name] == []


def test_uploads_of_later_are_not_in_it_and_retired_ones_neither(place: Place, tmp_path: Path) -> None:
    with place.open() as room:
        upload(room, visits(MEMBER), place.csv(MEMBER))
        found = backup(room, tmp_path / "saved.tar")
        assert found.partitions == len(registry.uploads(room.connection))
    names = {each.name for each in index_of(tmp_path / "saved.tar").files}
    assert len(names) == found.partitions + 3


def index_of(saved: Path) -> Index:
    with saved.open("rb") as source:
        return archive.read_head(source)[0]


def driven(place: Place, action: str, fault: str, tmp_path: Path) -> list[dict[str, object]]:
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1])}
    done = subprocess.run(
        [sys.executable, HERE / "backup_driver.py", place.path, place.home.path, action, fault, tmp_path / "work"],
        capture_output=True,
        check=False,
        env=environment,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.skipif(not syscalls.available(), reason="this machine lets no process be watched")
@pytest.mark.parametrize(
    ("action", "fault"),
    [
        ("backup", "KILL"),
        ("backup", "FULL"),
        ("restore", "KILL"),
        pytest.param("restore", "FULL", marks=pytest.mark.soak),
    ],
)
def test_a_crash_leaves_a_whole_backup_or_room_or_none(place: Place, action: str, fault: str, tmp_path: Path) -> None:
    with place.open() as room:
        ask(room, OVERLAP)
    points = driven(place, action, fault, tmp_path)
    assert len(points) > 5
    assert [point for point in points if point["wrong"]] == []
    assert {point["whole"] for point in points} == {True, False} or fault == "FULL"


def test_the_digest_is_of_the_whole_file(tmp_path: Path) -> None:
    (tmp_path / "room.db").write_bytes(b"a" * 3_000_000)
    (file,) = archive.measured(tmp_path, ("room.db",))
    assert (file.size, file.digest.value) == (3_000_000, hashlib.sha256(b"a" * 3_000_000).digest())
    (tmp_path / "room.db").write_bytes(b"a" * 2_999_999 + b"b")
    with pytest.raises(NotVerified):
        archive.write_file(io.BytesIO(), tmp_path / "room.db", file)
