"""Kill the process at random moments, race for the last of a budget: nothing acknowledged is lost or overspent."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from room_samples import (
    LATE,
    Place,
    ask,
    audit,
    committed,
    entries,
    kinds,
    partition_files,
    sector_table,
    spent,
    stored_names,
    visits,
)

from audit_log import EventType
from cleanroom.accounting import ledger
from cleanroom.accounting.account import AccountId
from cleanroom.errors import Refused
from cleanroom.query.reuse import Source
from cleanroom.room import Room, question, registry, upload

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
ROUNDS = 3


def started(what: str, place: Place, given: object) -> subprocess.Popen[bytes]:
    repository = str(HERE.parents[1])
    return subprocess.Popen(
        [sys.executable, HERE / "crasher.py", what, place.path, place.home.path, str(given)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": repository},
    )


def killed(what: str, place: Place, given: object, seed: int) -> list[str]:
    """Run until some work is acknowledged, kill at a random moment, return what was acknowledged."""
    process = started(what, place, given)
    assert process.stdout is not None
    with process:
        assert process.stdout.readline() == b"ready\n"
        first = process.stdout.readline()
        time.sleep(random.Random(seed).uniform(0.0, 0.06))
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read()
    return [line for line in (first + rest).decode().split("\n")[:-1] if line]


def test_kill_while_asking(place: Place) -> None:
    acknowledged: list[int] = []
    for seed in range(ROUNDS):
        acknowledged += [int(line) for line in killed("ask", place, 100 * seed, seed)]
        before = {name for name, state in committed(place)[1].items() if state in {"reserved", "data_read"}}
        audit(place)
        after = committed(place)[1]
        assert all(after[name] == "failed" for name in before)
    assert len(acknowledged) >= ROUNDS
    with place.open() as room:
        told = {index: kind for index, kind, _ in entries(room)}
        assert all(told[index] is EventType.QUERY_RELEASED for index in acknowledged)
        reservations = room.connection.execute("SELECT count(*) FROM ledger_reservation").fetchone()[0]
        (line,) = {steps for account, steps in spent(room).items() if account == "room"}
        single = ledger.reservation(room.connection, next(iter(committed(place)[1])))
        assert single is not None
        assert line == reservations * single.charges[0].rho.pico
        ask(room)


def test_kill_while_asking_the_same(place: Place) -> None:
    """Whatever is killed when: one charge for each draw that may have left, and one stored answer for ever after."""
    acknowledged: list[list[str]] = []
    for seed in range(ROUNDS):
        acknowledged += [line.split() for line in killed("repeat", place, "-", seed)]
        audit(place)
    assert len(acknowledged) >= ROUNDS
    assert len({digest for _, digest in acknowledged}) == 1, "two draws of one question left"
    with place.open() as room:
        states = list(committed(place)[1].values())
        assert states.count("released") == 1
        assert len(states) == 1 + states.count("failed")
        assert len(stored_names(place)) == 1
        paid = spent(room)
        ask(room, epsilon=0.01)
        assert spent(room) == paid


def test_killed_between_charge_and_release_it_costs_again_and_after_it_is_free(place: Place) -> None:
    """The two sides of the one commit that both stores a draw and lets it leave (S40)."""
    for dies, charges, stored in (("before", 2, 1), ("after", 1, 1)):
        copy = place.copy(place.path.parent / dies)
        process = started(f"die {dies}", copy, "-")
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        audit(copy)
        with copy.open() as room:
            assert len(stored_names(copy)) == (dies == "after")
            answer = ask(room, epsilon=0.01)
            assert (set(answer.sources) == {Source.STORED}) == (dies == "after")
            assert len(committed(copy)[1]) == charges
            assert len(stored_names(copy)) == stored
        audit(copy)


def test_two_processes_that_ask_the_same_draw_for_nothing_never(place: Place) -> None:
    processes = [started("once", place, "-") for _ in range(3)]
    lines = [process.communicate()[0].decode().split("\n")[1].split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    drawn = {digest for _, digest, source in lines if source == "drawn"}
    assert {digest for _, digest, source in lines} >= drawn
    with place.open() as room:
        states = list(committed(place)[1].values())
        charged = len(states)
        assert states == ["released"] * charged
        assert 1 <= charged <= 3
        # As many draws as charges: each is stored, each was paid in full.
        assert len(stored_names(place)) == charged == sum(source == "drawn" for _, _, source in lines)
        single = ledger.reservation(room.connection, next(iter(committed(place)[1])))
        assert single is not None
        assert spent(room)["room"] == charged * single.charges[0].rho.pico
        first, second = ask(room, epsilon=0.01), ask(room, epsilon=0.01)
        assert first.table.to_csv() == second.table.to_csv()
        assert spent(room)["room"] == charged * single.charges[0].rho.pico
    audit(place)


def test_kill_while_uploading(place: Place) -> None:
    acknowledged: list[tuple[int, str]] = []
    for seed in range(ROUNDS):
        lines = killed("upload", place, place.csv(LATE), seed)
        acknowledged += [(int(line.split()[0]), line.split()[1]) for line in lines]
        audit(place)
    assert len(acknowledged) >= ROUNDS
    with place.open() as room:
        upload(room, visits(LATE), place.csv(LATE))
        known = {each.upload: each.log_index for each in registry.uploads(room.connection)}
        assert all(known[name] == index for index, name in acknowledged)
        assert partition_files(place) == {f"{name}.parquet" for name in known}, "an orphan, or a lost partition"
        numbers = [each.number for each in registry.uploads(room.connection, visits(LATE))]
        assert numbers == list(range(1, len(numbers) + 1))


def test_a_crash_between_file_and_record_leaves_no_orphan(room: Room, place: Place, monkeypatch: Any) -> None:
    class Died(BaseException):
        pass

    def die(*_: object) -> None:
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr("cleanroom.room.hand_in._record", die)
        patch.setattr(room.store, "remove", lambda _: None)  # a dead process cleans nothing
        with pytest.raises(Died):
            upload(room, visits(LATE), place.csv(LATE))
    assert len(partition_files(place)) == len(registry.uploads(room.connection)) + 1
    upload(room, visits(LATE), place.csv(LATE))
    assert len(partition_files(place)) == len(registry.uploads(room.connection))
    audit(place)


def allowed(place: Place, epsilon: float) -> int:
    with place.open() as room:
        preview = room.session("observatoire").preview(sector_table(800), purpose="sector_statistics", epsilon=epsilon)
        return preview.repetitions


@pytest.fixture
def full(place: Place) -> Iterator[Place]:
    with place.open() as room:
        upload(room, visits(LATE), place.csv(LATE))
    yield place
    audit(place)


def overspent(place: Place) -> list[str]:
    with place.open() as room:
        accounts = [AccountId(None), *(AccountId(table) for table in registry.declarations(room.connection))]
        balances = {account: ledger.balance(room.connection, account, room.now()) for account in accounts}
        return [str(account) for account, held in balances.items() if held.spent_lifetime > held.rho_max]


def test_threads_race_for_the_last_of_a_budget(full: Place) -> None:
    most = allowed(full, 8)
    assert 2 <= most <= 8
    outcomes: list[str] = []
    numbers = count()
    gate = threading.Barrier(8)

    def race() -> None:
        with Room.open(full.path, home=full.home) as room:
            gate.wait()
            for _ in range(2):
                try:
                    ask(room, sector_table(next(numbers)), epsilon=8)
                    outcomes.append("answered")
                except Refused as refused:
                    outcomes.append(refused.code)

    # One after the other: opening at once is a test of its own.
    opened = threading.Lock()
    whole = Room.open.__func__  # type: ignore[attr-defined]

    def open_alone(cls: type[Room], *arguments: Any, **rest: Any) -> Room:
        with opened:
            return whole(cls, *arguments, **rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Room, "open", classmethod(open_alone))
        threads = [threading.Thread(target=race) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(outcomes) == ["answered"] * most + ["budget_insufficient"] * (16 - most)
    assert overspent(full) == []


def test_processes_race_for_the_last_of_a_budget(full: Place) -> None:
    most = allowed(full, 6)
    processes = [started("race", full, f"6 {first}") for first in (0, 350)]
    said = [process.communicate()[0].decode().split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert all(lines[0] == "ready" and lines[-1] == "budget_insufficient" for lines in said)
    assert sum(len(lines) - 2 for lines in said) == most
    assert overspent(full) == []


def test_many_threads_open_a_room_at_once(place: Place) -> None:
    wrong: list[BaseException] = []

    def open_often() -> None:
        for _ in range(12):
            try:
                Room.open(place.path, home=place.home).close()
            except Exception as error:
                wrong.append(error)

    threads = [threading.Thread(target=open_often) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_question_in_flight_is_not_failed_by_an_opening(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, go_on = threading.Event(), threading.Event()
    whole = question.exact_vector

    def slow(*arguments: Any) -> Any:
        reading.set()
        assert go_on.wait(30)
        return whole(*arguments)

    monkeypatch.setattr(question, "exact_vector", slow)
    answers: list[Any] = []

    def one() -> None:
        with place.open() as room:
            answers.append(ask(room))

    thread = threading.Thread(target=one)
    thread.start()
    assert reading.wait(30)
    with place.open() as other:
        assert EventType.QUERY_FAILED not in kinds(other)
        assert len(ledger.unfinished(other.connection)) == 1
    go_on.set()
    thread.join()
    assert len(answers) == 1
    audit(place)


def test_rules_that_change_during_admission_are_not_passed_over(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """What admits a question and what charges it are one state: another process cannot declare in between."""
    whole = question.admit
    declared = threading.Event()

    def declare() -> None:
        with place.open() as other:
            other.declare(place.yaml("nuits_claires").split(b"rules:")[0] + b"rules: []\n")
        declared.set()

    def admit(*arguments: Any) -> Any:
        validated = whole(*arguments)
        thread.start()
        assert not declared.wait(0.2), "a declaration came between admission and charge"
        return validated

    thread = threading.Thread(target=declare)
    monkeypatch.setattr(question, "admit", admit)
    with place.open() as room:
        ask(room)
        thread.join()
        monkeypatch.setattr(question, "admit", whole)
        with pytest.raises(Refused):
            ask(room)
        charged = kinds(room).index(EventType.QUERY_CHARGED)
        assert max(i for i, kind in enumerate(kinds(room)) if kind is EventType.TABLE_DECLARED) > charged
    audit(place)
