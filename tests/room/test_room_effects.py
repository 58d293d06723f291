"""Order of effects: charged and logged before keys, logged before the answer; whatever fails, nothing is free."""

from __future__ import annotations

import sqlite3
import traceback
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from room_samples import (
    LATE,
    MEMBER,
    OVERLAP,
    Place,
    ask,
    audit,
    committed,
    entries,
    kinds,
    overlap,
    spent,
    stored_names,
    visits,
)

from audit_log import EventType
from cleanroom.accounting import ledger
from cleanroom.accounting.reservation import ReservationState
from cleanroom.errors import CleanroomError, Fault, InvariantBroken, NotVerified, Refused
from cleanroom.query import gate
from cleanroom.query.merge_backend import MergeBackend
from cleanroom.query.reuse import Source
from cleanroom.room import Room, charge, question, registry, stored_releases, upload
from cleanroom.room import room as room_module
from cleanroom.room.database import transaction
from cleanroom.room.journal import Journal
from cleanroom.storage.partition_store import PartitionReader, PartitionStore
from key_management import KeyKind, Keyring

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECRET = "marie.tremblay.fictif7@gmail.com"
FAILED = str(question.failed_after_charge())
Patch = pytest.MonkeyPatch


def failing(error: BaseException) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> Any:
        raise error

    return fail


def append_failing(kind: EventType, error: BaseException) -> Callable[..., int]:
    whole = Journal.append

    def append(self: Journal, connection: sqlite3.Connection, what: EventType, **rest: Any) -> int:
        if what is kind:
            raise error
        return whole(self, connection, what, **rest)

    return append


def keys_failing(error: BaseException) -> Callable[..., Any]:
    whole = Keyring.open

    def open_key(self: Keyring, connection: sqlite3.Connection, key: Any) -> Any:
        if key.kind is KeyKind.DATA:
            raise error
        return whole(self, connection, key)

    return open_key


def backend_failing(error: BaseException) -> type[MergeBackend]:
    """The backend of a charged question, not the one that admission tries a plan with, on nobody."""
    return type("Broken", (MergeBackend,), {"rows": failing(error)})


@contextmanager
def interrupted(connection: sqlite3.Connection) -> Iterator[None]:
    """The crash between the last statement and COMMIT."""
    with transaction(connection):
        yield
        raise sqlite3.OperationalError("database or disk is full")


@contextmanager
def acknowledged_late(connection: sqlite3.Connection) -> Iterator[None]:
    """The commit that succeeds and is reported as failed."""
    with transaction(connection):
        yield
    raise sqlite3.OperationalError("disk I/O error")


BROKEN = RuntimeError(f"Conversion Error: {SECRET} is no number")

# Before the charge is durable: nothing is charged, nothing is entered.
UNCHARGED: dict[str, Callable[[Patch], None]] = {
    "append of the charge": lambda p: p.setattr(Journal, "append", append_failing(EventType.QUERY_CHARGED, BROKEN)),
    "reservation": lambda p: p.setattr(ledger, "reserve", failing(sqlite3.OperationalError("disk I/O error"))),
    "commit of the charge": lambda p: p.setattr(question, "transaction", interrupted),
}

# After it: charged for good, and one message whatever happened.
CHARGED: dict[str, Callable[[Patch], None]] = {
    "append of the keys' use": lambda p: p.setattr(Journal, "append", append_failing(EventType.KEY_USED, BROKEN)),
    "commit of the keys' use": lambda p: p.setattr(charge, "transaction", interrupted),
    "keys' use committed, reported as failed": lambda p: p.setattr(charge, "transaction", acknowledged_late),
    "key": lambda p: p.setattr(Keyring, "open", keys_failing(BROKEN)),
    "open a partition": lambda p: p.setattr(PartitionStore, "open", failing(FileNotFoundError(SECRET))),
    "read a partition": lambda p: p.setattr(PartitionReader, "read", failing(OSError(SECRET))),
    "engine": lambda p: p.setattr(question, "MergeBackend", backend_failing(duckdb.ConversionException(SECRET))),
    "memory": lambda p: p.setattr(question, "MergeBackend", backend_failing(MemoryError())),
    "noise": lambda p: p.setattr(question, "draw", failing(InvariantBroken(SECRET))),
    "table of the answer": lambda p: p.setattr(question, "answer_table", failing(KeyError(SECRET))),
    "append of the release": lambda p: p.setattr(Journal, "append", append_failing(EventType.QUERY_RELEASED, BROKEN)),
}


@pytest.mark.parametrize("step", UNCHARGED)
def test_a_fault_before_the_charge_charges_nothing(step: str, place: Place, monkeypatch: Patch) -> None:
    with place.open() as room:
        before, log = spent(room), kinds(room)
        with monkeypatch.context() as patch:
            UNCHARGED[step](patch)
            patch.setattr(PartitionStore, "open", failing(AssertionError("data was opened")))
            with pytest.raises(Exception, match=r"."):
                ask(room)
        assert spent(room) == before
        assert kinds(room) == log
        assert ask(room).receipt.index == len(log) + 2
    audit(place)


@pytest.mark.parametrize("step", CHARGED)
def test_a_fault_after_the_charge_stays_charged_and_says_nothing(step: str, place: Place, monkeypatch: Patch) -> None:
    with place.open() as room:
        ask(room)
        once = spent(room)
        with monkeypatch.context() as patch:
            CHARGED[step](patch)
            with pytest.raises(Fault) as caught:
                ask(room, overlap(1))
        assert str(caught.value) == FAILED
        assert caught.value.code == "failed_after_charge"
        assert SECRET not in f"{caught.value!r} {caught.value.args} {vars(caught.value)}"
        assert spent(room) == {account: 2 * steps for account, steps in once.items()}
        log = entries(room)
        assert log[-1][1] is EventType.QUERY_FAILED
        assert SECRET not in repr(log)
        assert sum(kind is EventType.QUERY_RELEASED for _, kind, _ in log) == 1
    audit(place)
    with place.open() as room:
        # What failed left nothing that could be had for nothing.
        assert ask(room, overlap(1)).sources == (Source.DRAWN,)


def test_the_traceback_of_a_failure_shows_no_value(room: Room, monkeypatch: Patch) -> None:
    CHARGED["engine"](monkeypatch)
    with pytest.raises(Fault) as caught:
        ask(room)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_failure_that_cannot_be_entered_says_the_same(place: Place, monkeypatch: Patch) -> None:
    with place.open() as room, monkeypatch.context() as patch:
        CHARGED["engine"](patch)
        patch.setattr(ledger, "mark_failed", failing(sqlite3.OperationalError("disk I/O error")))
        with pytest.raises(Fault) as caught:
            ask(room)
        assert str(caught.value) == FAILED
    audit(place)


def test_a_failure_that_cannot_be_entered_is_entered_at_the_next_opening(place: Place, monkeypatch: Patch) -> None:
    with place.open() as room, monkeypatch.context() as patch:
        CHARGED["engine"](patch)
        patch.setattr(ledger, "mark_failed", failing(sqlite3.OperationalError("disk I/O error")))
        with pytest.raises(Fault):
            ask(room)
        assert kinds(room)[-1] is EventType.KEY_USED
    audit(place)
    with place.open() as room:
        assert kinds(room)[-1] is EventType.QUERY_FAILED


def test_an_interrupt_while_reading_is_entered_and_passed_on(place: Place, monkeypatch: Patch) -> None:
    with place.open() as room, monkeypatch.context() as patch:
        patch.setattr(question, "exact_vector", failing(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            ask(room)
        assert kinds(room)[-1] is EventType.QUERY_FAILED
    audit(place)


def test_an_interrupt_after_the_release_was_committed_is_passed_on(place: Place, monkeypatch: Patch) -> None:
    whole = question.log_release

    def log_release(*arguments: Any) -> int:
        whole(*arguments)
        raise KeyboardInterrupt

    with place.open() as room, monkeypatch.context() as patch:
        patch.setattr(question, "log_release", log_release)
        with pytest.raises(KeyboardInterrupt):
            ask(room)
    audit(place)


# What must be durable, as another process sees it, at the moment of each effect


def watched(place: Place, patch: Patch) -> list[str]:
    """Watch the effects of the room's questions; return the list that violations come into."""
    wrong: list[str] = []
    opened, answered = Keyring.open, question.ask

    def open_key(self: Keyring, connection: sqlite3.Connection, key: Any) -> Any:
        if key.kind is KeyKind.DATA:
            _, states = committed(place)
            with place.open() as other:
                last = entries(other)[-1]
            if last[1] is not EventType.KEY_USED or str(key.name) not in last[2]["uploads"]:
                wrong.append("a data key is unwrapped before its use is logged")
            if states.get(last[2].get("request", "")) != "data_read":
                wrong.append("a data key is unwrapped while the ledger does not say that data is read")
        return opened(self, connection, key)

    def answer(room: Room, request: Any) -> Any:
        result = answered(room, request)
        size, states = committed(place)
        reused = set(result.sources) == {Source.STORED}
        if not reused and states.get(request.request_id) != "released":
            wrong.append("an answer leaves before its release is entered")
        last = entries(room)[-1]
        entry = (result.receipt.index, EventType.QUERY_REUSED if reused else EventType.QUERY_RELEASED)
        if last[:2] != entry or last[2]["request"] != request.request_id or size != last[0] + 1:
            wrong.append("an answer's receipt is not of its release")
        if not reused and not any(name.startswith(request.request_id) for name in stored_names(place)):
            wrong.append("an answer leaves that was not stored")
        return result

    patch.setattr(Keyring, "open", open_key)
    patch.setattr(question, "ask", answer)
    return wrong


def season_of_one_member(place: Place, patch: Patch) -> None:
    """Do everything once, with the effects watched, and audit the room."""
    with place.open() as room:
        wrong = watched(place, patch)
        session = room.session(MEMBER)
        upload(room, visits(LATE), place.csv(LATE))
        room.declare(place.yaml(MEMBER) + b"\n")
        session.catalog()
        session.preview(OVERLAP, purpose="audience_overlap")
        session.check([{"id": 1, "sql": OVERLAP}], purpose="audience_overlap")
        with pytest.raises(Refused):
            ask(room, "SELECT * FROM nuits_claires.visits")
        ask(room)
        ask(room)
        repeated = session._signed("preview", {"sql": OVERLAP, "purpose": "audience_overlap"})
        question.preview(room, repeated)
        with pytest.raises(NotVerified):
            question.preview(room, repeated)
        forged_charges_are_refused(room)
        assert wrong == []
    audit(place)


def forged_charges_are_refused(room: Room) -> None:
    """Charge a plan that no gate issued, and open keys under another question's reservation."""
    session = room.session(MEMBER)
    genuine = gate.admit(
        question.question_of(
            session._signed("query", {"sql": OVERLAP, "purpose": "audience_overlap"}),
            registry.parties(room.connection)[session.party],
        ),
        registry.rulebook(room.connection),
    )
    forged = object.__new__(gate.ValidatedPlan)
    for name in gate.ValidatedPlan.__slots__:
        if name != "__weakref__":
            object.__setattr__(forged, name, getattr(genuine, name))
    assert gate.is_genuine(genuine)
    request = session._signed("query", {"sql": OVERLAP})
    due = stored_releases.due_of(room, genuine)
    with pytest.raises(InvariantBroken, match="gate"), transaction(room.connection):
        charge.charge(room.connection, room.journal, forged, due, request, at=room.take(request))

    (asked,) = room.connection.execute("SELECT reservation FROM ledger_reservation").fetchone()
    held = ledger.reservation(room.connection, asked)
    stale = object.__new__(charge.Charged)
    uploads = registry.uploads(room.connection, visits(MEMBER))
    for name, value in {"validated": genuine, "reservation": held, "uploads": uploads, "log_index": 0}.items():
        object.__setattr__(stale, name, value)
    with pytest.raises(InvariantBroken, match="no open reservation"):
        charge.open_data_keys(room.connection, room.keyring, room.journal, stale, at=room.now())


def test_everything_is_entered_before_it_takes_effect(place: Place, monkeypatch: Patch) -> None:
    season_of_one_member(place, monkeypatch)


def dropping(kind: EventType) -> Callable[[Patch], None]:
    whole = Journal.append

    def append(self: Journal, connection: sqlite3.Connection, what: EventType, **rest: Any) -> int:
        if what is kind:
            return self.log.size(connection) - 1
        return whole(self, connection, what, **rest)

    return lambda patch: patch.setattr(Journal, "append", append)


def ledger_without(**replaced: Any) -> SimpleNamespace:
    return SimpleNamespace(**{**vars(ledger), **replaced})


def reservation_as_if_open(connection: sqlite3.Connection, name: str) -> Any:
    return replace(ledger.reservation(connection, name), state=ReservationState.RESERVED)  # type: ignore[type-var]


def answer_first(patch: Patch) -> None:
    patch.setattr(question, "log_release", lambda room, *_: room.journal.log.size(room.connection) - 1)


SABOTAGES: dict[str, Callable[[Patch], None]] = {
    **{
        f"no entry {kind.value}": dropping(kind)
        for kind in (
            EventType.QUERY_CHARGED,
            EventType.KEY_USED,
            EventType.QUERY_RELEASED,
            EventType.QUERY_REUSED,
            EventType.QUERY_REFUSED,
            EventType.QUERY_PREVIEWED,
            EventType.CATALOG_READ,
            EventType.DATASET_UPLOADED,
            EventType.TABLE_DECLARED,
        )
    },
    "data read is not marked": lambda p: p.setattr(charge, "ledger", ledger_without(mark_data_read=lambda *_: None)),
    "any plan is genuine": lambda p: p.setattr(charge, "is_genuine", lambda _: True),
    "keys open without asking the ledger": lambda p: p.setattr(
        charge, "ledger", ledger_without(reservation=reservation_as_if_open)
    ),
    "the answer leaves before its entry": answer_first,
    "what left is not stored": lambda p: p.setattr(
        stored_releases, "keep", lambda *_: {"stored": [], "answers_removed": []}
    ),
    "a reuse is not entered": lambda p: p.setattr(
        question, "log_reuse", lambda room, *_, **__: room.journal.log.size(room.connection) - 1
    ),
    "a request is not taken": lambda p: p.setattr(
        room_module.Room, "take", lambda self, _: registry.advance_clock(self.connection, self.now())
    ),
    "spending is not reserved": lambda p: p.setattr(ledger, "_enter", lambda *_: None),
}


@pytest.mark.parametrize("sabotage", SABOTAGES)
def test_each_sabotage_turns_the_test_red(sabotage: str, place: Place, monkeypatch: Patch) -> None:
    SABOTAGES[sabotage](monkeypatch)
    with pytest.raises((AssertionError, CleanroomError, pytest.fail.Exception)):
        season_of_one_member(place, monkeypatch)
