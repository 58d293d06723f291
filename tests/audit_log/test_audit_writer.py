"""One writer for many: what was acknowledged is there, whatever happens to the process, the disk or the others."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
from audit_samples import READERS, VKEY, add, connect, event, new_log

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

HERE = str(Path(__file__).parent)


@pytest.fixture
def db(tmp_path):
    return tmp_path / "room.db"


@pytest.fixture
def log(db):
    connection, log = new_log(db)
    with closing(connection):
        connection.execute("CREATE TABLE balance (who TEXT PRIMARY KEY, spent INTEGER)")
    return log


def writer_of(db, log):
    return GroupWriter(lambda: connect(db), log)


def verified(db, **more):
    with closing(connect(db)) as connection:
        return verify_database(connection, VKEY, readers=READERS, **more)


def together(count, call):
    """Run a call in so many threads; return all results, and raise the first error."""
    results, errors = [], []

    def run(number):
        try:
            results.append(call(number))
        except BaseException as error:  # whatever it is, the test must see it
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results


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


WRITER = """
import sys, threading
sys.path.insert(0, sys.argv[2])
from audit_samples import READERS, connect, event, signer
from audit_log import GroupWriter, Log, LogFault
from audit_samples import ORIGIN
threads, each = int(sys.argv[3]), int(sys.argv[4])
def connection():
    opened = connect(sys.argv[1])
    opened.execute("PRAGMA busy_timeout = 60000")
    return opened
writer = GroupWriter(connection, Log(ORIGIN, signer()))
failed = []
def run():
    for _ in range(each):
        try:
            index = writer.append(event(), {}, READERS)
        except LogFault as error:
            failed.append(error)
            return
        sys.stdout.write(f"{index}\\n")
        sys.stdout.flush()
workers = [threading.Thread(target=run) for _ in range(threads)]
for worker in workers: worker.start()
for worker in workers: worker.join()
if failed:
    try:
        writer.append(event(), {}, READERS)  # the disk works again; the writer must not
    except LogFault as error:
        sys.exit(f"{type(error).__name__}: {error}")
"""


def start(db, threads, each, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(db), HERE, str(threads), str(each)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )


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


@pytest.fixture(scope="session")
def failing_disk(tmp_path_factory):
    """The shared object that makes a disk fail, or a loud skip."""
    compiler = shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("no C compiler on Linux: a failing disk could NOT be tried")
    made = tmp_path_factory.mktemp("disk") / "failing_disk.so"
    source = Path(__file__).with_name("failing_disk.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", made, source, "-ldl"], check=True, capture_output=True)
    return made


@pytest.mark.parametrize("kind", ["sync", "full"])
def test_a_disk_that_fails_once_stops_the_writer_for_good(db, log, tmp_path, failing_disk, kind):
    trigger = tmp_path / "fail"
    with start(db, 8, 10_000, LD_PRELOAD=str(failing_disk), FAILING_DISK=str(trigger)) as writer:
        acknowledged = [int(line) for _, line in zip(range(30), writer.stdout, strict=False)]
        (tmp_path / "prepared").write_text(kind)
        (tmp_path / "prepared").rename(trigger)
        acknowledged += map(int, writer.stdout.read().split())
        said = writer.stderr.read()
    assert not trigger.exists(), "the fault never happened"
    assert writer.returncode == 1
    assert said.startswith("WriterStopped: The log can no longer be written"), said
    assert "disk" in said
    assert sorted(acknowledged) == list(range(len(acknowledged)))
    verdict = verified(db)
    assert verdict.ok
    assert verdict.checkpoint.size >= len(acknowledged)
    with writer_of(db, log) as again:  # after a restart the log goes on
        assert again.append(event(), {}, READERS) == verdict.checkpoint.size


def crashed(db, log, groups):
    """Write groups; return what the database and its write-ahead log were, and the latter's length after each."""
    lengths = []
    wal = db.with_name(db.name + "-wal")
    with closing(connect(db)) as connection:
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        start = log.size(connection)
        for count in groups:
            connection.execute("BEGIN IMMEDIATE")
            log.append_all(connection, [prepare(event(), {}, READERS) for _ in range(count)])
            connection.execute("COMMIT")
            lengths.append((wal.stat().st_size, log.size(connection)))
        return db.read_bytes(), wal.read_bytes(), [(0, start), *lengths]


def recovered(place, log, base, tail):
    """Return the size that the log has after a crash left these bytes."""
    place.write_bytes(base)
    place.with_name(place.name + "-wal").write_bytes(tail)
    place.with_name(place.name + "-shm").unlink(missing_ok=True)
    with closing(sqlite3.connect(place, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = full")
        size = log.verify_head(connection).size
        (entries, last) = connection.execute("SELECT count(*), max(idx) FROM audit_entry").fetchone()
        assert (entries, last + 1) == (size, size)
        return size


@pytest.mark.parametrize(
    ("before", "groups", "stride"),
    [
        (250, (1, 2, 5, 1), 2003),  # the third completes a tile
        pytest.param(2, (1,), 1, marks=pytest.mark.soak),
    ],
)
def test_a_write_cut_at_any_byte_loses_nothing_acknowledged(db, log, tmp_path, before, groups, stride):
    with closing(connect(db)) as connection:
        add(connection, log, before)
    base, tail, lengths = crashed(db, log, groups)
    frame = 24 + 4096
    edges = {32 + each * frame + by for each in range(len(tail) // frame) for by in (-1, 0, 24)}
    for cut in sorted({*range(0, len(tail) + 1, stride), *edges, *(length for length, _ in lengths), len(tail)}):
        expected = max(size for length, size in lengths if length <= cut)
        assert recovered(tmp_path / "cut.db", log, base, tail[:cut]) == expected


def test_a_flipped_bit_in_the_last_writes_is_never_taken_for_an_entry(db, log, tmp_path):
    with closing(connect(db)) as connection:
        add(connection, log, 3)
    base, tail, lengths = crashed(db, log, (1, 2, 1))
    sizes = {size for _, size in lengths}
    for at in range(0, len(tail), 997):
        changed = tail[:at] + bytes([tail[at] ^ 16]) + tail[at + 1 :]
        before = max(size for length, size in lengths if length <= at)
        size = recovered(tmp_path / "flipped.db", log, base, changed)
        assert size in sizes
        assert size >= before
