"""A thousand questions at once, from processes of their own, some killed on the way: never a step too much is spent."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from asker import TABLE

from cleanroom.accounting import ledger
from cleanroom.accounting.account import ROOM
from cleanroom.accounting.privacy_loss import Budget, Window

ROOT = Path(__file__).parents[2]
BUDGET = Budget(Decimal(1), Fraction(1, 10**6), Window.NEVER)
PROCESSES, QUESTIONS = 4, 250


def opened(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=60)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = OFF")
    return connection


def asker(path: Path, name: str, steps: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, Path(__file__).with_name("asker.py"), path, name, str(QUESTIONS), str(steps)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


@pytest.mark.parametrize(
    "fitting", [137, pytest.param(1, marks=pytest.mark.soak), pytest.param(2_000, marks=pytest.mark.soak)]
)
def test_a_thousand_questions_at_once_never_overspend(tmp_path: Path, fitting: int) -> None:
    """`fitting` of them fit: so many are taken, however they race, and one process is killed while it asks."""
    path = tmp_path / "room.db"
    steps = BUDGET.rho_max.pico // fitting
    with closing(opened(path)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        ledger.create_schema(connection)
        for account in (ROOM, TABLE):
            ledger.open_account(connection, account, BUDGET)
        connection.execute("COMMIT")
    running = [asker(path, f"p{number}", steps) for number in range(PROCESSES)]
    streams = [each.stdout for each in running if each.stdout is not None]
    for stream in streams:
        assert stream.readline() == "ready\n"
    heard = [streams[0].readline().strip() for _ in range(20)]
    running[0].send_signal(signal.SIGKILL)
    said = [[*(heard if number == 0 else []), *stream.read().split()] for number, stream in enumerate(streams)]
    for stream in streams:
        stream.close()
    assert running[0].wait() in {-signal.SIGKILL, 0}
    assert [each.wait() for each in running[1:]] == [0] * (PROCESSES - 1)
    acknowledged = {line for lines in said for line in lines if line != "refused"}
    with closing(opened(path)) as connection:
        taken = {name for (name,) in connection.execute("SELECT reservation FROM ledger_reservation")}
        # Nothing acknowledged is lost; at most one was taken by the killed process that could not say so any more.
        assert acknowledged <= taken
        assert len(taken - acknowledged) <= 1
        assert all(name.startswith("p0-") for name in taken - acknowledged)
        for account in (ROOM, TABLE):
            balance = ledger.balance(connection, account, 0)
            assert balance.spent_lifetime.pico == len(taken) * steps <= BUDGET.rho_max.pico
            lines = connection.execute("SELECT rho FROM ledger_line WHERE account = ?", (str(account),)).fetchall()
            assert sum(rho for (rho,) in lines) == balance.spent_lifetime.pico
        if fitting < PROCESSES * QUESTIONS:
            # The others asked 750 times: whatever fitted was taken.
            assert len(taken) == min(fitting, len(taken)) == fitting
            assert "refused" in {line for lines in said for line in lines}
        assert {each.reservation_id for each in ledger.unfinished(connection)} == taken
