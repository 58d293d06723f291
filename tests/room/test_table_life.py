"""Append, replace, correct, withdraw: what a version has, what leaves for ever, and what is never brought back."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from room_samples import LATE, MEMBER, OTHER, OVERLAP, Place, ask, audit, entries, kinds, partition_files, spent, visits
from table_life_samples import TABLE, current, packed, reads, taken
from under_way import MOMENTS, begin_while_asked

from audit_log import EventType, verify_receipt
from cleanroom.errors import Fault, InvalidUpload, NotVerified, Refused, UsageError
from cleanroom.partition.intent import Append, Correct, Replace
from cleanroom.room import Room, intake, logbook, question, registry, retirement, upload
from cleanroom.room.own_uploads import own_uploads, sign_reading
from cleanroom.room.registry import Stage
from cleanroom.room.signed_request import SignedRequest
from cleanroom.room.withdrawal import sign_withdrawal, withdraw
from key_management import KeyDestroyed, KeyId, KeyKind

if TYPE_CHECKING:
    from pathlib import Path


MINE = visits(MEMBER)


def refused(room: Room, package: Path, code: str) -> None:
    before = current(room)
    with pytest.raises(InvalidUpload) as caught:
        intake(room, package)
    assert caught.value.code == code
    assert current(room) == before
    assert kinds(room)[-1] is EventType.UPLOAD_REFUSED


def test_append_replace_and_correct(room: Room, place: Place) -> None:
    first, second = taken(room, place, rows=30), taken(room, place, Append(), rows=20)
    assert current(room) == [(1, 30), (2, 20)]
    corrected = taken(room, place, Correct(first.upload), rows=31)
    assert (corrected.number, corrected.retires) == (3, 1)
    assert current(room) == [(2, 20), (3, 31)]
    audit(place)
    replaced = taken(room, place, Replace(), rows=7)
    assert (replaced.number, replaced.retires) == (4, 2)
    assert current(room) == [(4, 7)]
    audit(place)
    ends = {each.upload: end for each, end in registry.history(room.connection, TABLE) if end is not None}
    assert {upload: end.number for upload, end in ends.items()} == {
        first.upload: 3,
        second.upload: 4,
        corrected.upload: 4,
    }
    assert registry.version(room.connection, TABLE) == 4
    for each in ends:
        with pytest.raises(KeyDestroyed):
            room.keyring.open(room.connection, KeyId(KeyKind.DATA, each))


def test_replacing_nothing_and_correcting_what_is_not_there(room: Room, place: Place, tmp_path: Path) -> None:
    assert taken(room, place, Replace(), rows=3).retires == 0
    other = registry.uploads(room.connection, MINE)[0].upload
    for number, wrong in enumerate((other, "0" * 32)):
        package = packed(room, place, tmp_path / f"{number}.package", Correct(wrong))  # type: ignore[arg-type]
        refused(room, package, "no_such_upload")
    audit(place)


def test_the_operator_cannot_hand_a_package_in_as_something_else(room: Room, place: Place, tmp_path: Path) -> None:
    package = packed(room, place, tmp_path / "append.package")
    content = package.read_bytes()
    assert b'"act":"append"' in content
    altered = tmp_path / "altered.package"
    altered.write_bytes(content.replace(b'"act":"append"', b'"act":"replac"', 1))
    with pytest.raises((NotVerified, InvalidUpload)):
        intake(room, altered)
    assert current(room) == []


def test_a_package_held_back_is_not_taken_after_the_table_began_anew(room: Room, place: Place, tmp_path: Path) -> None:
    taken(room, place, rows=30)
    held_append = packed(room, place, tmp_path / "append.package")
    held_replace = packed(room, place, tmp_path / "replace.package", Replace())
    held_correct = packed(
        room, place, tmp_path / "correct.package", Correct(registry.uploads(room.connection, TABLE)[0].upload)
    )
    taken(room, place, rows=4)
    refused(room, held_replace, "table_moved_on")
    taken(room, place, Replace(), rows=5)
    for package in (held_append, held_replace, held_correct):
        refused(room, package, "table_moved_on")
    assert current(room) == [(3, 5)]
    audit(place)


def test_an_append_made_before_another_append_is_taken(room: Room, place: Place, tmp_path: Path) -> None:
    held = packed(room, place, tmp_path / "append.package")
    taken(room, place, rows=4)
    assert intake(room, held).number == 2
    audit(place)


@pytest.mark.parametrize("ending", ["replaced", "corrected", "withdrawn", "withdrawn and declared anew"])
def test_an_old_package_handed_in_again_stays_retired(ending: str, room: Room, place: Place, tmp_path: Path) -> None:
    package = packed(room, place, tmp_path / "old.package")
    first = intake(room, package)
    match ending:
        case "replaced":
            taken(room, place, Replace(), rows=5)
        case "corrected":
            taken(room, place, Correct(first.upload), rows=5)
        case _:
            withdraw(room, sign_withdrawal(room, TABLE.owner, TABLE))
    if ending == "withdrawn and declared anew":
        room.declare(place.yaml(LATE))
    before = current(room), partition_files(place), kinds(room)
    again = intake(room, package)
    assert (again.repeated, again.retired_by, again.receipt.index) == (True, 2, first.receipt.index)
    assert (current(room), partition_files(place), kinds(room)) == before
    audit(place)


def test_withdrawal_ends_a_table_and_keeps_what_it_spent(room: Room, place: Place) -> None:
    ask(room)
    before = spent(room)
    assert before[str(MINE)] > 0
    done = withdraw(room, sign_withdrawal(room, MINE.owner, MINE))
    assert (done.number, done.retired, done.finished) == (2, 1, True)
    assert MINE not in registry.declarations(room.connection)
    with pytest.raises(Refused):
        ask(room)
    audit(place)
    changed = place.yaml(MEMBER).replace(b"bounds: [1, 12]", b"bounds: [1, 24]")
    room.declare(changed)
    assert spent(room) == before
    _, receipt = upload(room, MINE, place.csv(OTHER).with_name(f"{MEMBER}.visits.csv"), intent=Append())
    assert receipt is not None
    assert receipt.number == 3
    ask(room)
    assert spent(room)[str(MINE)] == 2 * before[str(MINE)]
    audit(place)


def test_only_the_owner_withdraws_and_what_it_signed_for(room: Room, place: Place) -> None:
    for party, table in ((MEMBER, TABLE), (MEMBER, "salle_grange.nothing"), ("observatoire", MINE)):
        request = SignedRequest.sign(
            room.home.signing_key(party),  # type: ignore[arg-type]
            room=room.room_id,
            party=party,  # type: ignore[arg-type]
            action="withdraw",
            content={"table": str(table), "version": 1},
            at=room.now(),
        )
        with pytest.raises(UsageError) as caught:
            withdraw(room, request)
        assert caught.value.message.en == f"{party} has no such table"
    stale = sign_withdrawal(room, MINE.owner, MINE)
    upload(room, MINE, place.csv(MEMBER))
    with pytest.raises(NotVerified) as moved:
        withdraw(room, stale)
    assert moved.value.code == "table_moved_on"
    once = sign_withdrawal(room, MINE.owner, MINE)
    withdraw(room, once)
    with pytest.raises(NotVerified):
        withdraw(room, once)
    audit(place)


def test_an_owner_sees_its_uploads_and_nobody_else_does(room: Room, place: Place) -> None:
    first = taken(room, place, rows=9)
    taken(room, place, Replace(), rows=8)
    shown = own_uploads(room, sign_reading(room, TABLE.owner, None))
    assert [(each.number, each.act, each.rows, each.proven) for each in shown] == [
        (1, "append", 9, True),
        (2, "replace", 8, True),
    ]
    assert shown[0].end is not None
    assert (shown[0].end.number, shown[0].end.stage) == (2, Stage.GONE)
    assert shown[0].digest == first.digest
    assert shown[0].receipt is not None
    leaf = room.journal.log.leaf(room.connection, first.receipt.index)
    assert verify_receipt(shown[0].receipt.read_bytes(), leaf, room.journal.log.verifier)[0] == first.receipt.index
    assert own_uploads(room, sign_reading(room, TABLE.owner, TABLE)) == shown
    for other, table in ((MEMBER, TABLE), ("observatoire", None), ("observatoire", TABLE), (MEMBER, visits("nobody"))):
        assert own_uploads(room, sign_reading(room, other, table)) == ()  # type: ignore[arg-type]
    forged = sign_reading(room, MINE.owner, None)
    with pytest.raises(NotVerified):
        own_uploads(room, SignedRequest(**{**{n: getattr(forged, n) for n in forged.__slots__}, "party": TABLE.owner}))
    audit(place)


def test_a_receipt_of_another_entry_is_not_shown_as_this_ones(room: Room, place: Place) -> None:
    first, second = taken(room, place, rows=9), taken(room, place, rows=8)
    receipts = room.home.room(room.room_id) / "receipts"
    shutil.copy(receipts / f"{second.receipt.index}.tlog-proof", receipts / f"{first.receipt.index}.tlog-proof")
    shown = own_uploads(room, sign_reading(room, TABLE.owner, TABLE))
    assert [each.receipt is None for each in shown] == [True, False]


# State against log

TAMPERED = {
    "an end forgotten": "DELETE FROM retirement",
    "another end": "UPDATE retirement SET number = 9",
    "a withdrawal forgotten": "DELETE FROM withdrawal",
    "a version moved": "UPDATE upload SET number = 7 WHERE number = 2",
    "a key said to be destroyed": "UPDATE keyring_keys SET state = 'D', wrapped = NULL WHERE kind = 'data'",
    "a key brought back": "UPDATE keyring_keys SET state = 'A', wrapped = zeroblob(40) WHERE state = 'D'",
}


@pytest.mark.parametrize("how", TAMPERED)
def test_verify_notices_what_was_done_behind_the_rooms_back(how: str, place: Place) -> None:
    with place.open() as room:
        taken(room, place, rows=9)
        taken(room, place, Replace(), rows=8)
        withdraw(room, sign_withdrawal(room, visits(OTHER).owner, visits(OTHER)))
    assert logbook.verify(place.path, place.home).ok
    with closing(sqlite3.connect(place.path / "room.db")) as connection, connection:
        connection.execute(TAMPERED[how])
    found = logbook.verify(place.path, place.home)
    assert found.verdict.ok
    assert found.contradictions


# Questions and replacements at once


def replace_mine(place: Place) -> None:
    with place.open() as other:
        upload(other, MINE, place.csv(MEMBER), intent=Replace())


def test_a_question_reads_exactly_the_uploads_of_the_version(room: Room, place: Place) -> None:
    upload(room, MINE, place.csv(MEMBER))
    ask(room)
    assert len(reads(room)) == 3
    upload(room, MINE, place.csv(MEMBER), intent=Replace())
    ask(room)
    assert reads(room) == {
        each.upload for table in (MINE, visits(OTHER)) for each in registry.uploads(room.connection, table)
    }
    versions = [details["versions"] for _, kind, details in entries(room) if kind is EventType.QUERY_CHARGED]
    assert versions[-1] == [[str(visits(OTHER)), 1], [str(MINE), 3]] or versions[-1] == [
        [str(MINE), 3],
        [str(visits(OTHER)), 1],
    ]
    audit(place)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_replacement_waits_for_questions(moment: str, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The question answers on the version that it charged: keys are destroyed when nobody asks any more."""
    thread = begin_while_asked(moment, lambda: replace_mine(place), monkeypatch)
    with place.open() as room:
        charged_on = registry.uploads(room.connection, MINE)[0].upload
        ask(room)
        thread.join()
        assert charged_on in reads(room)
        assert charged_on not in {each.upload for each in registry.uploads(room.connection, MINE)}
    audit(place)


def test_without_patience_the_question_fails_charged(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retirement.finish, "__kwdefaults__", {"patience": 0.0})
    whole = question.open_data_keys

    def late(*arguments: Any, **rest: Any) -> Any:
        replace_mine(place)
        return whole(*arguments, **rest)

    with place.open() as room:
        monkeypatch.setattr(question, "open_data_keys", late)
        with pytest.raises(Fault) as caught:
            ask(room, OVERLAP)
        assert caught.value.code == "failed_after_charge"
        assert spent(room)[str(MINE)] > 0
        monkeypatch.setattr(question, "open_data_keys", whole)
        ask(room)
    audit(place)
