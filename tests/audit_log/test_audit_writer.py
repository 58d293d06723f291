"""One writer for many: what was acknowledged is there, whatever happens to the process, the disk or the others."""

import os
import signal
import sqlite3
from contextlib import closing

import pytest
from audit_samples import READERS, VKEY, add, connect, event
from writer_samples import start, together, verified, writer_of

from audit_log import (
    EventType,
    GroupWriter,
    LogDamaged,
    LogFault,
    MalformedEntry,
    NotDurable,
    WriterStopped,
    prepare,
    verify_database,
)


def test_many_threads_share_commits_and_lose_nothing(db, log):
    with writer_of(db, log) as writer:
        found = together(16, lambda number: [writer.append(event(t=number), {"n": number}, READERS) for _ in range(20)])
    assert sorted(index for each in found for index in each) == list(range(320))
    assert all(each == sorted(each) for each in found)
    assert verified(db).checkpoint.size == 320
    with closing(connect(db)) as connection:
        (checkpoints,) = connection.execute("SELECT count(*) FROM audit_checkpoint").fetchone()
        assert checkpoints < 321  # groups formed
        for number, indexes in enumerate(found):
            times = {log.entry(connection, index).event.t for index in indexes}
            assert len(times) == 1, number
            assert log.read_details(connection, indexes[0], "auditor", READERS["auditor"]) == {"n": times.pop()}


def test_an_acknowledged_entry_is_seen_by_others_at_once(db, log):
    with writer_of(db, log) as writer, closing(connect(db)) as other:
        for _ in range(3):
            index = writer.append(event(), {}, READERS)
            assert log.receipt(other, index)


def test_a_group_is_one_checkpoint_and_verifies_at_every_edge(db, log):
    with closing(connect(db)) as connection:
        for count in (1, 254, 1, 1, 255, 300):
            connection.execute("BEGIN IMMEDIATE")
            start = log.size(connection)
            assert log.append_all(connection, [prepare(event(), {}, READERS) for _ in range(count)]) == range(
                start, start + count
            )
            connection.execute("COMMIT")
            assert log.verify_head(connection).size == start + count
        sizes = [size for (size,) in connection.execute("SELECT size FROM audit_checkpoint ORDER BY size")]
        assert sizes == [0, 1, 255, 256, 257, 512, 812]
        assert verify_database(connection, VKEY, readers=READERS).ok


@pytest.mark.parametrize(
    ("index", "first", "last"),
    [(100, 100, 100), (600, 600, 600), (767, 767, 767), (790, 512, 811)],
)
def test_an_altered_entry_of_a_group_is_named_as_nearly_as_can_be(db, log, index, first, last):
    with closing(connect(db)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        for count in (255, 257, 300):
            log.append_all(connection, [prepare(event(), {}, READERS) for _ in range(count)])
        connection.execute("COMMIT")
        connection.execute("DROP TRIGGER audit_entry_keeps")
        (leaf,) = connection.execute("SELECT leaf FROM audit_entry WHERE idx = ?", (index,)).fetchone()
        changed = (
            leaf.replace(b'"outcome":"ok"', b'"outcome":"ko"') if index == 767 else leaf.replace(b"a:5f0c", b"a:5f0d")
        )
        connection.execute("UPDATE audit_entry SET leaf = ? WHERE idx = ?", (changed, index))
        found = verify_database(connection, VKEY)
        assert (found.code.value, found.index, found.last) == ("entry-altered", first, last)


def test_a_callers_own_transaction_is_one_with_its_entry(db, log):
    def spend(number):
        def work(connection):
            connection.execute("INSERT INTO balance VALUES ('x', 1) ON CONFLICT (who) DO UPDATE SET spent = spent + 1")
            index = log.append(connection, event(t=number), {}, READERS)
            if number % 4 == 3:
                raise ArithmeticError(number)
            return index

        return work

    with writer_of(db, log) as writer:

        def call(number):
            if number % 2:
                try:
                    return writer.run(spend(number))
                except ArithmeticError as error:
                    return -error.args[0]
            return writer.append(event(t=number), {}, READERS)

        found = together(40, call)
    assert sorted(each for each in found if each >= 0) == list(range(30))
    assert sorted(-each for each in found if each < 0) == list(range(3, 40, 4))
    with closing(connect(db)) as connection:
        assert connection.execute("SELECT spent FROM balance").fetchone() == (10,)
        times = [each.event.t for _, each in log.entries(connection)]
        assert sorted(times) == [each for each in range(40) if each % 4 != 3]
    assert verified(db).ok


def test_what_cannot_be_logged_fails_alone(db, log):
    with writer_of(db, log) as writer:

        def call(number):
            change = {0: {"caused_by": 9}, 1: {"type": EventType.DETAILS_ERASED, "caused_by": 0}}.get(number % 6, {})
            readers = {4: {"auditor": b"short"}, 5: {}}.get(number % 6, READERS)
            try:
                return writer.append(event(**change), {"x": 0.5} if number % 6 == 2 else {}, readers)
            except MalformedEntry:
                return None

        writer.append(event(), {}, READERS)
        found = together(24, call)
    assert sorted(each for each in found if each is not None) == [1, 2, 3, 4]
    assert verified(db).ok


def test_a_head_signed_by_this_process_but_undone_is_not_taken_for_the_last(db, log):
    """What was signed here need not be verified again, but what counts is what the tables say."""
    with closing(connect(db)) as connection:
        add(connection, log, 2)
        (before,) = connection.execute("SELECT note FROM audit_head").fetchone()
        connection.execute("BEGIN IMMEDIATE")
        log.append(connection, event(), {}, READERS)
        (undone,) = connection.execute("SELECT note FROM audit_head").fetchone()
        connection.execute("ROLLBACK")
        connection.execute("UPDATE audit_head SET note = ?", (undone,))
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(LogDamaged, match="not the head's"):
            log.append(connection, event(), {}, READERS)
        connection.execute("ROLLBACK")
        changed = bytearray(before)
        changed[-10] ^= 1
        connection.execute("UPDATE audit_head SET note = ?", (bytes(changed),))
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(LogDamaged, match="not signed by this log's key"):
            log.append(connection, event(), {}, READERS)
        connection.execute("ROLLBACK")
        connection.execute("UPDATE audit_head SET note = ?", (before,))
        assert add(connection, log, 1) == [2]
    assert verified(db).ok


def test_work_may_not_commit_nor_wait_for_its_own_writer(db, log):
    writer = writer_of(db, log)
    with pytest.raises(LogFault, match="cannot wait"):
        writer.run(lambda _: writer.append(event(), {}, READERS))
    assert writer.append(event(), {}, READERS) == 0
    with pytest.raises(WriterStopped, match="ended the transaction"):
        writer.run(lambda connection: connection.execute("COMMIT"))
    with pytest.raises(WriterStopped):
        writer.append(event(), {}, READERS)
    writer.close()
    assert verified(db).checkpoint.size == 1


def test_a_damaged_log_stops_the_writer(db, log):
    with closing(connect(db)) as connection:
        add(connection, log, 3)
        connection.execute("UPDATE audit_head SET root = zeroblob(32)")
    with writer_of(db, log) as writer:
        for _ in range(2):
            with pytest.raises(WriterStopped) as stopped:
                writer.append(event(), {}, READERS)
        assert "redémarrez" in stopped.value.french
        assert "restart" in stopped.value.english


def test_a_closed_writer_and_a_forked_one_refuse(db, log):
    writer = writer_of(db, log)
    child = os.fork()
    if not child:
        try:
            writer.append(event(), {}, READERS)
        except LogFault as error:
            os._exit(0 if "fork" in str(error) else 3)
        os._exit(4)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    writer.close()
    writer.close()
    with pytest.raises(LogFault, match="closed"):
        writer.append(event(), {}, READERS)


def test_a_connection_that_may_lose_entries_is_refused(db, log):
    def careless():
        connection = connect(db)
        connection.execute("PRAGMA synchronous = off")
        return connection

    with pytest.raises(NotDurable):
        GroupWriter(careless, log)
    with pytest.raises(sqlite3.OperationalError):
        GroupWriter(lambda: connect(db.parent / "nowhere" / "x.db"), log)


def test_a_database_that_is_busy_is_said_to_be(db, log):
    def impatient():
        connection = connect(db)
        connection.execute("PRAGMA busy_timeout = 1")
        return connection

    with GroupWriter(impatient, log) as writer, closing(connect(db)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LogFault, match="cannot be written to now"):
            writer.append(event(), {}, READERS)
        other.execute("ROLLBACK")
        assert writer.append(event(), {}, READERS) == 0


def test_writers_of_several_processes_take_turns(db, log):
    writers = [start(db, 4, 15) for _ in range(3)]
    acknowledged = []
    for writer in writers:
        out, err = writer.communicate()
        assert writer.returncode == 0, err
        acknowledged += map(int, out.split())
    assert sorted(acknowledged) == list(range(180))
    assert verified(db).checkpoint.size == 180


def test_kill_9_loses_nothing_acknowledged_to_many(db, log):
    acknowledged = []
    for after in (1, 9, 40, 120):
        with start(db, 16, 10_000) as writer:
            for _, line in zip(range(after), writer.stdout, strict=False):
                acknowledged.append(int(line))
            os.kill(writer.pid, signal.SIGKILL)
            # The last line may have been cut in the middle of its number.
            acknowledged += map(int, writer.stdout.read().split("\n")[:-1])
        verdict = verified(db)
        assert verdict.ok
        assert verdict.checkpoint.size > max(acknowledged)
    assert len(set(acknowledged)) == len(acknowledged)
