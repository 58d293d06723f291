"""Details of the log go by their age, by class; what the account, the state and every proof rest on stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from room_samples import Place, ask, audit, entries, spent, spent_by_log

from audit_log import RETENTION_SECONDS, DetailsErased, EventType, Log, Retention, verify_receipt
from cleanroom.errors import Refused
from cleanroom.room import Room, log_reading, log_retention, logbook
from cleanroom.room.journal import RETENTION
from cleanroom.room.log_reading import Wanted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

YEAR = RETENTION_SECONDS[Retention.ACCESS_1Y] or 0


def later(room: Room, seconds: int) -> None:
    """Let the room's machine be so much later."""
    now = Room.now()
    room.now = lambda: now + seconds  # type: ignore[method-assign]


def test_every_event_has_a_class() -> None:
    assert set(RETENTION) == set(EventType), "say in journal.RETENTION how long the details of each event are kept"


def used(room: Room) -> bytes:
    """Ask, be refused, read; return the answer's receipt."""
    answer = ask(room)
    with pytest.raises(Refused):
        ask(room, "SELECT courriel FROM theatre_fleuve.visits")
    list(log_reading.read(room, Wanted()))
    return answer.receipt.proof


def test_a_year_later_accesses_are_erased_and_all_else_holds(place: Place) -> None:
    with place.open() as room:
        receipt = used(room)
        index, before = int(receipt.split(b"\n")[1].split()[1]), spent(room)
        leaf = room.journal.log.leaf(room.connection, index)
        size = room.journal.log.size(room.connection)
        later(room, YEAR - 10)
        assert not any(each.due for each in log_retention.retention(room, dry_run=True))
        assert not any(each.due for each in log_retention.retention(room, dry_run=False))
        later(room, YEAR + 10)
        said = log_retention.retention(room, dry_run=True)
        assert room.journal.log.size(room.connection) == size
        done = {each.retention: each for each in log_retention.retention(room, dry_run=False)}
        assert [each.due for each in said] == [each.due for each in done.values()]
        assert done[Retention.ACCESS_1Y].erased_by == size
        assert room.journal.log.size(room.connection) == size + 1
        for index_, envelope in room.journal.log.entries(room.connection, 0, size):
            gone = RETENTION[envelope.event.type] is Retention.ACCESS_1Y
            if gone:
                with pytest.raises(DetailsErased):
                    room.journal.details(room.connection, index_)
            else:
                assert room.journal.details(room.connection, index_)
        kept = room.journal.details(room.connection, size)
        assert (kept["class"], kept["entries"]) == ("access-1y", len(done[Retention.ACCESS_1Y].due))
        assert verify_receipt(receipt, leaf, room.journal.log.verifier)[0] == index
        assert spent(room) == before
        # It is done once.
        assert not any(each.due for each in log_retention.retention(room, dry_run=False))
        lines = list(log_reading.read(room, Wanted()))
        assert sum(line.details is None for line in lines) == len(done[Retention.ACCESS_1Y].due)
    # State, budgets and charges are still compared with the log, which no longer has the erased details.
    found = logbook.verify(place.path, place.home)
    assert found.ok, (found.verdict, found.contradictions)
    assert found.reconciled


def test_the_account_outlives_every_class(place: Place) -> None:
    with place.open() as room:
        used(room)
        later(room, 100 * YEAR)
        log_retention.retention(room, dry_run=False)
        kinds = {envelope.event.type for _, envelope in room.journal.log.entries(room.connection)}
        charges = Wanted(events=(EventType.QUERY_CHARGED, EventType.TABLE_DECLARED, EventType.DATASET_UPLOADED))
        lines = list(log_reading.read(room, charges))
        assert EventType.QUERY_CHARGED in kinds
        assert all(line.details for line in lines)
    assert logbook.verify(place.path, place.home).ok


def test_entries_of_before_the_classes_keep_what_the_account_needs(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A room whose every entry was written as access-1y loses no charge."""
    with monkeypatch.context() as before:
        before.setattr("cleanroom.room.journal.RETENTION", dict.fromkeys(EventType, Retention.ACCESS_1Y))
        with place.open() as room:
            used(room)
    with place.open() as room:
        later(room, 2 * YEAR)
        log_retention.retention(room, dry_run=False)
        kept = {kind for _, kind, _ in _readable(room)}
        assert EventType.QUERY_CHARGED in kept
        assert EventType.QUERY_REFUSED not in kept
    assert logbook.verify(place.path, place.home).ok


def _readable(room: Room) -> list[tuple[int, EventType, dict[str, object]]]:
    found = []
    for index, envelope in room.journal.log.entries(room.connection):
        try:
            found.append((index, envelope.event.type, room.journal.details(room.connection, index)))
        except DetailsErased:
            continue
    return found


def test_the_erased_bytes_leave_the_files(place: Place, tmp_path: Path) -> None:
    with place.open() as room:
        used(room)
        rows = room.connection.execute("SELECT idx, wrapped FROM audit_wrap").fetchall()
        later(room, 2 * YEAR)
        done = log_retention.retention(room, dry_run=False)
        gone = {index for each in done for index in each.due}
        on_disk = b"".join((place.path / f"room.db{end}").read_bytes() for end in ("", "-wal"))
    assert gone
    for index, wrapped in rows:
        assert (wrapped in on_disk) is (index not in gone)


def test_a_crash_of_a_retention_erases_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    with place.open() as room:
        used(room)
        told = entries(room)
        later(room, 2 * YEAR)
        with monkeypatch.context() as broken:
            broken.setattr(Log, "erase_expired", _interrupted(Log.erase_expired))
            with pytest.raises(KeyboardInterrupt):
                log_retention.retention(room, dry_run=False)
        assert entries(room) == told
        assert spent(room) == spent_by_log(room)
    audit(place)


def _interrupted(whole: Callable[..., int]) -> Callable[..., int]:
    def erase(*arguments: object) -> int:
        whole(*arguments)
        raise KeyboardInterrupt

    return erase
