"""Erasures at the same time as questions, uploads and each other, and erasures cut short."""

from __future__ import annotations

import sqlite3
import threading
from typing import TYPE_CHECKING, Any

import pytest
from erasure_samples import (
    ABSENT,
    MINE,
    erased,
    holding,
    order,
    pack,
    people,
    token_of,
    unchanged,
    without,
)
from room_samples import (
    MEMBER,
    OTHER,
    Place,
    ask,
    audit,
    entries,
    kinds,
    partition_files,
    stored_names,
    visits,
)
from table_life_samples import reads
from under_way import MOMENTS, begin_while_asked

from audit_log import EventType
from cleanroom.errors import CleanroomError, Fault, NotVerified
from cleanroom.query.reuse import Source
from cleanroom.room import (
    Room,
    erasure,
    intake,
    question,
    registry,
    retirement,
)
from cleanroom.room.erasure import ErasureOrder, erase
from cleanroom.storage import erasure as storage_erasure
from key_management import KeyId, KeyKind, UnknownKey

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Patch = pytest.MonkeyPatch


# At the same time, and cut short


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_question_under_way_answers_on_the_version_it_charged(
    moment: str, furnished: Place, monkeypatch: Patch
) -> None:
    who = people(furnished)[0]

    def erase_now() -> None:
        with furnished.open() as other:
            erased(other, who)

    thread = begin_while_asked(moment, erase_now, monkeypatch)
    with furnished.open() as room:
        charged_on = {each.upload for each in registry.uploads(room.connection, MINE)}
        ask(room)
        thread.join()
        assert charged_on <= reads_of_questions(room)
        assert not charged_on & {each.upload for each in registry.uploads(room.connection, MINE)}
        assert stored_names(furnished) == [], "an answer of before the erasure was kept"
    audit(furnished)


def reads_of_questions(room: Room) -> set[str]:
    """Return the uploads whose keys questions opened."""
    found: set[str] = set()
    for _, kind, details in entries(room):
        if kind is EventType.KEY_USED and details.get("act") != "erase":
            found |= set(details["uploads"])
    return found


def test_without_patience_the_question_fails_charged(furnished: Place, monkeypatch: Patch) -> None:
    monkeypatch.setattr(retirement.finish, "__kwdefaults__", {"patience": 0.0})
    whole = question.open_data_keys

    def late(*arguments: Any, **rest: Any) -> Any:
        with furnished.open() as other:
            erased(other, ABSENT)
        return whole(*arguments, **rest)

    with furnished.open() as room:
        monkeypatch.setattr(question, "open_data_keys", late)
        with pytest.raises(Fault) as caught:
            ask(room)
        assert caught.value.code == "failed_after_charge"
        monkeypatch.setattr(question, "open_data_keys", whole)
        ask(room)
        assert reads(room) == {
            each.upload for each in registry.uploads(room.connection) if each.table in {MINE, visits(OTHER)}
        }
    audit(furnished)


def at_once(*actions: Callable[[], object]) -> list[object]:
    gate, outcomes = threading.Barrier(len(actions)), [None] * len(actions)

    def run(number: int, action: Callable[[], Any]) -> None:
        gate.wait()
        try:
            outcomes[number] = action()
        except CleanroomError as error:
            outcomes[number] = error.code  # type: ignore[call-overload]

    threads = [threading.Thread(target=run, args=each) for each in enumerate(actions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return list(outcomes)


def test_two_erasures_at_once(furnished: Place) -> None:
    first, second = people(furnished)[:2]
    with furnished.open() as room:
        before = holding(room)
        orders = [order(room, each) for each in (first, second)]

    def run(given: ErasureOrder) -> Any:
        with furnished.open() as room:
            return erase(room, given)

    done = at_once(*(lambda given=given: run(given) for given in orders))
    assert done.count("table_moved_on") == 1
    taken = (first, second)[0 if done[1] == "table_moved_on" else 1]
    with furnished.open() as room:
        assert holding(room) == without(before, token_of(furnished, taken))
    audit(furnished)


def test_an_erasure_and_an_upload_at_once(furnished: Place, tmp_path: Path) -> None:
    who = people(furnished)[0]
    with furnished.open() as room:
        package = pack(room, furnished, tmp_path / "a.package")
        given, before = order(room, who), holding(room)

    def run(act: Callable[[Room], object]) -> Any:
        with furnished.open() as room:
            return act(room)

    done = at_once(lambda: run(lambda room: erase(room, given)), lambda: run(lambda room: intake(room, package)))
    # Whichever is first, the other was made on what is no more.
    assert done.count("table_moved_on") == 1
    with furnished.open() as room:
        if done[1] == "table_moved_on":
            assert holding(room) == without(before, token_of(furnished, who))
        else:
            assert len(holding(room)[str(MINE)]) == 3
            assert erased(room, who).finished
    audit(furnished)


def test_a_table_declared_meanwhile_is_noticed(furnished: Place, monkeypatch: Patch) -> None:
    whole = erasure._rewrite

    def slow(room: Room, *given: Any) -> Any:
        with furnished.open() as other:
            other.declare(furnished.yaml(MEMBER).replace(str(MINE).encode(), f"{MEMBER}.plus".encode()))
        return whole(room, *given)

    with furnished.open() as room:
        monkeypatch.setattr(erasure, "_rewrite", slow)
        given = order(room, people(furnished)[0])
        unchanged_but_declared = holding(room)[str(MINE)]
        with pytest.raises(NotVerified) as caught:
            erase(room, given)
        assert caught.value.code == "table_moved_on"
        assert holding(room)[str(MINE)] == unchanged_but_declared
        assert len(partition_files(furnished)) == len(registry.uploads(room.connection))
        monkeypatch.setattr(erasure, "_rewrite", whole)
        assert f"{MEMBER}.plus" in {str(each.table) for each in erased(room, people(furnished)[0]).tables}
    audit(furnished)


def test_a_full_disk_leaves_the_tables_as_they_were(furnished: Place, monkeypatch: Patch) -> None:
    whole, calls = storage_erasure.write_table_file, [0]

    def full(*given: Any, **rest: Any) -> Any:
        calls[0] += 1
        if calls[0] == 2:
            raise OSError(28, "No space left on device")
        return whole(*given, **rest)

    with furnished.open() as room:
        ask(room)
        with monkeypatch.context() as patch:
            patch.setattr(storage_erasure, "write_table_file", full)
            unchanged(furnished, room, lambda: erased(room, people(furnished)[0]), "storage_failed")
        assert kinds(room)[-1] is EventType.KEY_USED
        assert ask(room).sources == (Source.STORED,)
        assert erased(room, people(furnished)[0]).finished
    audit(furnished)


def test_a_record_that_fails_leaves_what_no_key_opens(furnished: Place, monkeypatch: Patch) -> None:
    """A commit whose sync failed may be found done: its files must be there then; if it is not, nobody reads them."""

    def broken(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with furnished.open() as room:
        held, before = holding(room), partition_files(furnished)
        with monkeypatch.context() as patch:
            patch.setattr(erasure, "retire", broken)
            with pytest.raises(Fault) as caught:
                erased(room, people(furnished)[0])
        assert caught.value.code == "storage_failed"
        assert holding(room) == held
        left = partition_files(furnished) - before
        assert len(left) == 3
        for each in left:
            with pytest.raises(UnknownKey):
                room.keyring.open(room.connection, KeyId(KeyKind.DATA, each.removesuffix(".parquet")))
        erased(room, people(furnished)[0])
        assert partition_files(furnished) == {f"{each.upload}.parquet" for each in registry.uploads(room.connection)}
    audit(furnished)


def test_an_altered_or_missing_file_stops_it(furnished: Place) -> None:
    with furnished.open() as room:
        (each, _) = registry.uploads(room.connection, MINE)
        path = room.store.path(room.stored(each))
        content = path.read_bytes()
        path.write_bytes(content[:2000] + bytes([content[2000] ^ 1]) + content[2001:])
        with pytest.raises(NotVerified):
            erased(room, ABSENT)
        path.unlink()
        with pytest.raises(Fault) as caught:
            erased(room, ABSENT)
        assert caught.value.code == "missing_partition"
        assert registry.version(room.connection, MINE) == 2
        path.write_bytes(content)
        assert erased(room, ABSENT).finished
    audit(furnished)
