"""What a room could not take waits at home, and is handed in once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from room_samples import LATE, Place, audit
from table_life_samples import TABLE, taken

from cleanroom.errors import CleanroomError, Fault, InvalidUpload, UsageError
from cleanroom.partition.intent import Replace
from cleanroom.room import Room, registry, sending, upload

if TYPE_CHECKING:
    pass


def waiting(room: Room) -> list[str]:
    return [each.upload for each in sending.Outbox.of(room.home, room.room_id).waiting()]


def busy(*_: object) -> None:
    raise Fault(sending.Bilingual("occupée", "busy"), code="storage_failed")


def test_what_the_room_could_not_take_waits_and_is_handed_in_once(
    room: Room, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("cleanroom.room.hand_in._record", busy)
        for _ in range(2):
            with pytest.raises(Fault):
                taken(room, place)
    (left,) = waiting(room)
    outbox = sending.Outbox.of(room.home, room.room_id)
    (package,) = outbox.paths()
    assert package.stat().st_mode & 0o777 == 0o600
    rows = place.csv(LATE).read_text().splitlines()[1:40]
    content = package.read_bytes()
    assert not any(row.split(",")[0].encode() in content for row in rows)
    with pytest.raises(UsageError) as caught:
        taken(room, place, rows=3)
    assert caught.value.code == "upload_waiting"
    (receipt,) = sending.resume(room)
    assert (receipt.upload, receipt.number, receipt.repeated) == (left, 1, False)
    assert waiting(room) == []
    assert sending.resume(room) == ()
    audit(place)


def test_the_same_command_hands_it_in(room: Room, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("cleanroom.room.hand_in._record", busy)
        with pytest.raises(Fault):
            taken(room, place)
    (left,) = waiting(room)
    with pytest.raises(UsageError):
        taken(room, place, Replace())
    prepared, receipt = upload(room, TABLE, place.csv(LATE))
    assert prepared is None
    assert receipt is not None
    assert receipt.upload == left
    assert len(registry.uploads(room.connection, TABLE)) == 1


def test_a_lost_receipt_is_given_again(room: Room, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(sending, "keep_receipt", no_disk)
        first = taken(room, place)
    assert waiting(room) == [first.upload]
    (again,) = sending.resume(room)
    assert (again.upload, again.receipt.index, again.repeated) == (first.upload, first.receipt.index, True)
    assert waiting(room) == []
    assert len(registry.uploads(room.connection, TABLE)) == 1


def test_what_is_refused_for_good_does_not_wait(room: Room, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("cleanroom.room.hand_in._record", busy)
        with pytest.raises(Fault):
            taken(room, place)
    room.declare(place.yaml(LATE).replace(b"threshold: 20", b"threshold: 25"))
    with pytest.raises(InvalidUpload):
        sending.resume(room)
    assert waiting(room) == []
    assert taken(room, place).number == 1
    audit(place)


def test_a_damaged_package_is_named_and_leaves(room: Room, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("cleanroom.room.hand_in._record", busy)
        with pytest.raises(Fault):
            taken(room, place)
    (package,) = sending.Outbox.of(room.home, room.room_id).paths()
    package.write_bytes(package.read_bytes()[:-1])
    with pytest.raises(CleanroomError) as caught:
        sending.resume(room)
    assert caught.value.code == "truncated_package"
    assert taken(room, place).number == 1
