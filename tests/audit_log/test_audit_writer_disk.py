"""What the writer acknowledged is there when the disk fails, fills, or keeps half of what was written."""

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from audit_samples import READERS, add, connect, event
from writer_samples import start, verified, writer_of

from audit_log import (
    prepare,
)


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
