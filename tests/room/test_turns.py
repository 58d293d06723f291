"""Threads that write to one room take turns; who waits too long is told so, and nothing is changed."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from cleanroom.errors import Fault
from cleanroom.room import database
from cleanroom.room.database import connect, transaction

if TYPE_CHECKING:
    from pathlib import Path

WRITERS, EACH = 8, 50


@pytest.fixture
def counted(tmp_path: Path) -> Path:
    path = tmp_path / "room.db"
    with closing(connect(path, create=True)) as made, transaction(made):
        made.execute("CREATE TABLE counted (n INTEGER NOT NULL) STRICT")
        made.execute("INSERT INTO counted VALUES (0)")
    return path


def add(connection: sqlite3.Connection) -> None:
    (n,) = connection.execute("SELECT n FROM counted").fetchone()
    connection.execute("UPDATE counted SET n = ?", (n + 1,))


def test_no_thread_writes_over_another_s_work(counted: Path) -> None:
    def run(_: int) -> None:
        with closing(connect(counted)) as connection:
            for _ in range(EACH):
                with transaction(connection):
                    add(connection)

    with ThreadPoolExecutor(WRITERS) as threads:
        list(threads.map(run, range(WRITERS)))
    with closing(connect(counted)) as connection:
        assert connection.execute("SELECT n FROM counted").fetchone() == (WRITERS * EACH,)


def test_the_engine_is_asked_by_whose_turn_it_is_alone(counted: Path) -> None:
    """While one thread writes, another has not begun: it waits for its turn, not in the engine's ever longer sleeps."""
    seen: list[str] = []
    writing, done = threading.Event(), threading.Event()

    def second() -> None:
        with closing(connect(counted)) as connection:
            connection.set_trace_callback(seen.append)
            writing.set()
            with transaction(connection):
                add(connection)

    with closing(connect(counted)) as first, ThreadPoolExecutor(1) as threads:
        with transaction(first):
            other = threads.submit(second)
            assert writing.wait(60)
            done.wait(0.05)  # time enough to begin, were it to
            assert "BEGIN IMMEDIATE" not in seen
            add(first)
        other.result(60)
        assert "BEGIN IMMEDIATE" in seen
        assert first.execute("SELECT n FROM counted").fetchone() == (2,)


def test_who_waits_too_long_is_told_so(counted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.01)
    with closing(connect(counted)) as first, closing(connect(counted)) as second:
        with transaction(first):
            add(first)
            with pytest.raises(Fault) as caught, transaction(second):
                add(second)
        assert caught.value.code == "storage_failed"
        with transaction(second):
            add(second)
        assert first.execute("SELECT n FROM counted").fetchone() == (2,)


def fail(connection: sqlite3.Connection) -> None:
    add(connection)
    connection.execute("SELECT nothing")


def test_a_transaction_that_failed_gives_its_turn_back(counted: Path) -> None:
    with closing(connect(counted)) as connection:
        with pytest.raises(Fault, match="nothing"), transaction(connection):
            fail(connection)
        with transaction(connection):
            add(connection)
        assert connection.execute("SELECT n FROM counted").fetchone() == (1,)
