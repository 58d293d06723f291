"""Hand packages in: damaged, forged, foreign, repeated; a full disk; an interrupt. Nothing is ever half there."""

from __future__ import annotations

import errno
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from room_samples import LATE, MEMBER, SECTOR, Place, ask, audit, build, entries, kinds, partition_files, spent, visits

from audit_log import EventType, Outcome
from cleanroom.client import LinkageKey, prepare
from cleanroom.errors import CleanroomError, Fault, InvalidUpload, NotVerified
from cleanroom.partition.intent import Replace
from cleanroom.room import Room, hand_in, intake, member_facts, registry, sending, upload
from cleanroom.room.database import transaction
from cleanroom.room.home import OPERATOR
from cleanroom.storage import partition_store
from key_management import KeyId, KeyKind, SecretKey, UnknownKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cleanroom.room import UploadReceipt
    from examples.season import Season

TABLE = visits(LATE)


def packed(room: Room, place: Place, to: Path, **other: Any) -> Path:
    """Write the package of the late member's upload, with facts or keys changed as asked."""
    facts = member_facts.facts_in(room, TABLE)
    signing = other.get("signing") or room.home.signing_key(TABLE.owner)
    linkage = other.get("linkage") or sending.linkage_key_of(room.home, facts)
    prepare(place.csv(LATE), facts.catalog, other.get("facts") or facts.room, signing, linkage, to)
    return to


def state(room: Room, place: Place) -> tuple[object, ...]:
    """Return everything that an upload changes, but the log."""
    keys = room.connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return registry.uploads(room.connection), partition_files(place), keys, _key_rows(room)


def _key_rows(room: Room) -> list[tuple[str, int]]:
    tables = [name for (name,) in room.connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return [
        (name, room.connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0])  # noqa: S608
        for name in tables
        if not name.startswith(("audit_", "sqlite_"))
    ]


def refused(
    room: Room, place: Place, package: Path, error: type[CleanroomError] | tuple[type[CleanroomError], ...]
) -> CleanroomError:
    before, log = state(room, place), kinds(room)
    with pytest.raises(error) as caught:
        intake(room, package)
    assert state(room, place) == before
    assert kinds(room) == [*log, EventType.UPLOAD_REFUSED]
    # The public leaf tells nobody whose upload was refused: that is the owner's to know (S13).
    event = room.journal.log.entry(room.connection, len(log)).event
    assert event.parties == frozenset({0})
    assert event.actor == room.journal.pseudonym(OPERATOR)
    return caught.value


@pytest.fixture
def package(room: Room, place: Place, tmp_path: Path) -> Path:
    return packed(room, place, tmp_path / "late.package")


def test_a_package_is_taken_once_and_its_receipt_is_given_again(room: Room, place: Place, package: Path) -> None:
    first = intake(room, package)
    again = intake(room, package)
    assert (first.repeated, again.repeated) == (False, True)
    assert (again.upload, again.number, again.digest, again.receipt.index) == (
        first.upload,
        first.number,
        first.digest,
        first.receipt.index,
    )
    assert kinds(room).count(EventType.DATASET_UPLOADED) == len(registry.uploads(room.connection))
    audit(place)


def test_every_flipped_byte_of_a_package_is_refused(room: Room, place: Place, package: Path, tmp_path: Path) -> None:
    whole = package.read_bytes()
    head = {*range(0, 181, 12), 21, 52, 53, 180}
    body = {*range(181, len(whole), max(1, len(whole) // 40)), len(whole) - 1, len(whole) - 5}
    altered = tmp_path / "altered.package"
    for offset in sorted(head | body):
        damaged = bytearray(whole)
        damaged[offset] ^= 1 << offset % 8
        altered.write_bytes(damaged)
        error = refused(room, place, altered, (NotVerified, InvalidUpload))
        assert error.message.fr
        assert error.message.en
    assert intake(room, package).number == 1
    audit(place)


def test_a_truncated_or_longer_package_is_refused(room: Room, place: Place, package: Path, tmp_path: Path) -> None:
    whole = package.read_bytes()
    cut = tmp_path / "cut.package"
    for length in (0, 1, 20, 21, 180, 181, 400, len(whole) // 2, len(whole) - 1):
        cut.write_bytes(whole[:length])
        refused(room, place, cut, (NotVerified, InvalidUpload))
    cut.write_bytes(whole + b"\0")
    refused(room, place, cut, (NotVerified, InvalidUpload))


def test_a_package_that_is_not_there_is_named(room: Room, place: Place, tmp_path: Path) -> None:
    before = state(room, place)
    with pytest.raises(Fault, match=r"No such file or directory \(elsewhere\.package\)"):
        intake(room, tmp_path / "elsewhere.package")
    assert state(room, place) == before


def test_a_package_for_another_room_is_refused(
    room: Room, place: Place, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, season: Season
) -> None:
    elsewhere = build(tmp_path_factory.mktemp("elsewhere"), season, uploads=())
    with elsewhere.open() as other:
        foreign = packed(other, place, tmp_path / "foreign.package", signing=room.home.signing_key(TABLE.owner))
    assert refused(room, place, foreign, InvalidUpload).code == "mismatched_upload"


def test_a_package_for_another_declaration_is_refused(room: Room, place: Place, package: Path) -> None:
    room.declare(place.yaml(LATE).replace(b"threshold: 20", b"threshold: 25"))
    assert refused(room, place, package, InvalidUpload).code == "mismatched_upload"


def test_a_package_with_another_linkage_key_is_refused(room: Room, place: Place, tmp_path: Path) -> None:
    other = LinkageKey(room.room_id, room.facts.epoch, SecretKey.generate())
    strange = packed(room, place, tmp_path / "strange.package", linkage=other)
    assert refused(room, place, strange, InvalidUpload).code == "wrong_linkage_key"


def test_a_package_signed_by_another_member_is_refused(room: Room, place: Place, tmp_path: Path) -> None:
    forged = packed(room, place, tmp_path / "forged.package", signing=room.home.signing_key("musee_rives"))  # type: ignore[arg-type]
    assert refused(room, place, forged, NotVerified).code == "wrong_signature"


def test_a_forged_package_is_not_entered_as_the_act_of_its_victim(room: Room, place: Place, tmp_path: Path) -> None:
    forged = packed(room, place, tmp_path / "forged.package", signing=room.home.signing_key("musee_rives"))  # type: ignore[arg-type]
    refused(room, place, forged, NotVerified)
    assert entries(room)[-1][2]["actor"] != LATE


def test_another_package_under_a_taken_id_is_refused(
    room: Room, place: Place, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when that upload is retired, and its file and key are gone."""
    first = intake(room, package)
    monkeypatch.setattr("cleanroom.client.upload.UploadId", lambda _: first.upload)
    same = packed(room, place, tmp_path / "same.package")
    monkeypatch.undo()
    assert refused(room, place, same, InvalidUpload).code == "upload_id_taken"
    upload(room, TABLE, place.csv(LATE), intent=Replace())
    assert refused(room, place, same, InvalidUpload).code == "upload_id_taken"
    audit(place)


def test_an_unknown_table_is_refused(room: Room, place: Place, package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "declarations", lambda _: {})
    assert refused(room, place, package, InvalidUpload).code == "unknown_table"


# A full disk


class FullDisk:
    """A file that takes some bytes, then no more."""

    def __init__(self, file: Any, room_for: int) -> None:
        self._file, self._left = file, room_for

    def write(self, content: bytes) -> int:
        if len(content) > self._left:
            self._file.write(content[: self._left])
            raise OSError(errno.ENOSPC, "No space left on device")
        self._left -= len(content)
        return int(self._file.write(content))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@contextmanager
def no_commit(connection: sqlite3.Connection) -> Iterator[None]:
    with transaction(connection):
        yield
        raise sqlite3.OperationalError("database or disk is full")


def disk_full_while_writing(room_for: int) -> Callable[[pytest.MonkeyPatch], None]:
    whole = partition_store.open_new

    def open_new(path: Path) -> Any:
        @contextmanager
        def opened() -> Iterator[FullDisk]:
            with whole(path) as file:
                yield FullDisk(file, room_for)

        return opened()

    return lambda patch: patch.setattr(partition_store, "open_new", open_new)


def fails(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


FULL: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "at the first byte": disk_full_while_writing(0),
    "in the middle": disk_full_while_writing(1000),
    "at the link": lambda patch: patch.setattr("pathlib.Path.hardlink_to", fails),
    "at the directory": lambda patch: patch.setattr("pathlib.Path.mkdir", fails),
    "at the directory's flush": lambda patch: patch.setattr(partition_store, "sync_directory", fails),
    "at the commit": lambda patch: patch.setattr(hand_in, "transaction", no_commit),
    "at the key": lambda patch: patch.setattr("key_management.Keyring.adopt", fails),
}


@pytest.mark.parametrize("moment", FULL)
def test_a_full_disk_leaves_nothing_half_there(
    moment: str, room: Room, place: Place, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, log = state(room, place)[0], kinds(room)
    files = partition_files(place)
    with monkeypatch.context() as patch:
        FULL[moment](patch)
        with pytest.raises((Fault, OSError)):
            intake(room, package)
    assert state(room, place)[0] == before
    assert kinds(room) == log
    if moment not in {"at the directory's flush", "at the commit"}:
        assert partition_files(place) == files
    receipt: UploadReceipt = intake(room, package)
    assert (receipt.number, receipt.repeated) == (1, False)
    assert len(partition_files(place)) == len(files) + 1
    audit(place)


def test_a_commit_that_failed_may_be_found_done_so_its_file_stays_until_the_next(
    room: Room, place: Place, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sync that fails leaves it to the next opening to say; a record without its file would fail for ever."""
    files = partition_files(place)
    with monkeypatch.context() as patch:
        FULL["at the commit"](patch)
        with pytest.raises(Fault):
            intake(room, package)
    (left,) = partition_files(place) - files
    with pytest.raises(UnknownKey):
        room.keyring.open(room.connection, KeyId(KeyKind.DATA, left.removesuffix(".parquet")))
    other = tmp_path / "other.package"
    sending.pack(room.home, member_facts.facts_in(room, TABLE), place.csv(LATE), other)
    assert intake(room, other).upload in {name.removesuffix(".parquet") for name in partition_files(place) - files}
    assert left not in partition_files(place)
    audit(place)


@pytest.mark.parametrize("trouble", [KeyboardInterrupt(), sqlite3.OperationalError("disk I/O error")])
def test_trouble_after_the_commit_loses_no_partition(
    trouble: BaseException, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def receipt(*_: object, **__: object) -> None:
        raise trouble

    with place.open() as room:
        with monkeypatch.context() as patch:
            patch.setattr(hand_in, "_receipt", receipt)
            with pytest.raises(type(trouble)):
                upload(room, TABLE, place.csv(LATE))
        (taken,) = registry.uploads(room.connection, TABLE)
        room.store.verify(room.stored(taken))
        ask(room, SECTOR)
    audit(place)


def test_a_declaration_replaced_during_intake_refuses_the_upload(
    room: Room, place: Place, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = hand_in._record

    def record(*arguments: Any) -> Any:
        room.declare(place.yaml(LATE).replace(b"bounds: [1, 12]", b"bounds: [1, 9]"))
        return whole(*arguments)

    monkeypatch.setattr(hand_in, "_record", record)
    with pytest.raises(CleanroomError):
        intake(room, package)
    assert registry.uploads(room.connection, TABLE) == ()


def test_columns_of_a_table_with_data_do_not_change(room: Room, place: Place) -> None:
    upload(room, TABLE, place.csv(LATE))
    before, log = registry.declarations(room.connection)[TABLE], kinds(room)
    for changed in (
        place.yaml(LATE).replace(b"bounds: [1, 12]", b"bounds: [1, 9]"),
        place.yaml(LATE).replace(b"kind: email", b"kind: opaque"),
        place.yaml(LATE).replace(b"theatre, danse", b"danse, theatre"),
        place.yaml(LATE).replace(b"0.01", b"0.05"),
    ):
        assert changed != place.yaml(LATE)
        with pytest.raises(CleanroomError) as caught:
            room.declare(changed)
        assert caught.value.code == "table_has_data"
    assert registry.declarations(room.connection)[TABLE] == before
    assert kinds(room) == log


def test_a_new_declaration_does_not_give_spending_back(room: Room, place: Place) -> None:
    ask(room)
    before = spent(room)
    for budget in (b"epsilon: 30", b"epsilon: 20, delta: 1e-7, window: month"):
        text = place.yaml(MEMBER)
        old = b"epsilon: 20, delta: 1e-7, window: never" if b"month" in budget else b"epsilon: 20"
        room.declare(text.replace(old, budget, 1))
        assert spent(room) == before
    audit(place)


def test_a_question_stopped_by_a_missing_partition_is_logged_and_not_charged(room: Room, place: Place) -> None:
    (mine,) = registry.uploads(room.connection, visits(MEMBER))
    room.store.path(room.stored(mine)).unlink()
    before, log = spent(room), kinds(room)
    with pytest.raises(Fault) as caught:
        ask(room)
    assert caught.value.code == "partition_missing"
    assert spent(room) == before
    assert kinds(room) == [*log, EventType.QUERY_REFUSED]
    assert entries(room)[-1][2]["reasons"] == ["partition_missing"]
    assert room.journal.log.entry(room.connection, len(log)).event.outcome is Outcome.ERROR
