"""A log that several write and read at once, and that loses none of them when one is killed."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from audit_samples import (
    READERS,
    VKEY,
    add,
    connect,
    event,
    new_log,
)

from audit_log import (
    open_checkpoint,
    verify_database,
    verify_receipt,
)

WRITER = """
import sys
sys.path.insert(0, sys.argv[2])
from audit_samples import *
connection, log = connect(sys.argv[1]), Log(ORIGIN, signer())
log.verify_head(connection)
while True:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE balance SET spent = spent + 1")
    index = log.append(connection, event(), {"n": 1}, READERS)
    connection.execute("COMMIT")
    print(index, flush=True)
"""


def test_kill_9_loses_no_acknowledged_entry(db):
    connection, log = new_log(db)
    connection.execute("CREATE TABLE balance (spent INTEGER)")
    connection.execute("INSERT INTO balance VALUES (0)")
    connection.close()
    acknowledged = -1
    # The third round ends beyond the first full tile.
    for lines in (3, 97, 170):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(db), str(Path(__file__).parent)], stdout=subprocess.PIPE, text=True
        ) as writer:
            for _ in range(lines):
                acknowledged = int(writer.stdout.readline())
            os.kill(writer.pid, signal.SIGKILL)
            # What was in the pipe when it died was acknowledged too.
            acknowledged = max([acknowledged, *map(int, writer.stdout.read().split("\n")[:-1])])
        with closing(connect(db)) as connection:
            size = log.verify_head(connection).size
            assert size > acknowledged
            assert connection.execute("SELECT spent FROM balance").fetchone() == (size,)
            assert verify_database(connection, VKEY, readers=READERS).ok
    assert size > 256


def test_two_writers_do_not_fork_the_log(db):
    connection, log = new_log(db, 1)
    with closing(connection), closing(connect(db)) as other:
        other.execute("PRAGMA busy_timeout = 0")
        connection.execute("BEGIN IMMEDIATE")
        log.append(connection, event(), {}, READERS)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        other.execute("BEGIN")
        assert log.size(other) == 1
        connection.execute("COMMIT")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            log.append(other, event(), {}, READERS)
        other.execute("ROLLBACK")
        assert add(other, log, 1) == [2]
        assert verify_database(connection, VKEY).ok


class Crowded(sqlite3.Connection):
    """A connection beside which somebody appends an entry after each of its SELECTs."""

    beside = None

    def execute(self, sql, *parameters):
        found = super().execute(sql, *parameters)
        if self.beside is None or not sql.lstrip().startswith("SELECT"):
            return found
        rows = found.fetchall()
        beside, self.beside = self.beside, None
        beside()
        self.beside = beside
        return Read(rows)


class Read(list):
    """Stands for a cursor whose rows were read."""

    def fetchone(self):
        return self[0] if self else None

    def fetchall(self):
        return list(self)


@pytest.mark.parametrize("read", ["receipt", "verify_head"])
def test_head_and_entries_are_read_as_of_one_instant(db, read):
    writer, log = new_log(db)
    with closing(writer), closing(sqlite3.connect(db, isolation_level=None, factory=Crowded)) as reader:
        add(writer, log, 300)
        reader.execute("PRAGMA synchronous = FULL")
        reader.beside = lambda: add(writer, log, 1)
        if read == "receipt":
            receipt = log.receipt(reader, 299)
            assert verify_receipt(receipt, log.leaf(writer, 299), log.verifier)[1].size == 300
        else:
            assert log.verify_head(reader).size == 300
        assert open_checkpoint(log.checkpoint(writer), log.verifier).size > 300
        assert not reader.in_transaction
