"""The log by itself: durable appends of many beside plain SQLite, a cold proof, verification of a large log."""

from __future__ import annotations

import cProfile
import hashlib
import json
import os
import pstats
import random
import sqlite3
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit_log import (
    Checkpoint,
    Envelope,
    Event,
    EventType,
    GroupWriter,
    Log,
    Outcome,
    Signer,
    export_log,
    fresh_id,
    verify_directory,
    verify_receipt,
)
from audit_log.checkpoint import sign_checkpoint
from audit_log.merkle import leaf_hash
from audit_log.tables import pack, read_head, store_leaves
from bench.log_stages import stages
from bench.measure import Series, timed

if TYPE_CHECKING:
    from collections.abc import Callable

    Append = Callable[[], object]

WRITERS: Final = (1, 16, 64)
ORIGIN: Final = "bench.example/log"
ROUNDS: Final = 5
SYNCS: Final = 40
PROOFS: Final = 50
NEW: Final = 1_000  # entries that an incremental verification finds
CHUNK: Final = 10_000
TOP: Final = 6
LEAF: Final = bytes(1024)
SEALED: Final = bytes(4112)  # details of one block, as they are stored
WRAPPED: Final = bytes(60)
READERS: Final = {"room": hashlib.sha256(b"bench").digest()}
_SIGNER: Final = Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(hashlib.sha256(ORIGIN.encode()).digest()))


def measured(directory: str, seconds: float, entries: int) -> dict[str, Any]:
    """Measure everything.

    Args:
        directory: where the databases are made, on the disk that is meant.
        seconds: that each way of appending is given.
        entries: of the large log.
    """
    place = Path(directory)
    return {
        "appends": [_appends(place, writers, seconds) for writers in WRITERS],
        "stages": _stages(place),
        "large": _large(place, entries),
    }


def _stages(place: Path) -> list[tuple[str, float]]:
    with tempfile.TemporaryDirectory(dir=place) as made:
        log = Log(ORIGIN, _SIGNER)
        with closing(_new_log(Path(made) / "log.db", log)) as connection:
            return stages(connection, log, _SIGNER, _event, READERS)


def _appends(place: Path, writers: int, seconds: float) -> dict[str, Any]:
    """Append with so many threads, each waiting until its entry is on disk: one row, an entry's rows, the log.

    In turns, since how long a disk takes to make something durable changes from one second to the next.
    """
    with tempfile.TemporaryDirectory(dir=place) as made, ExitStack() as stack:
        folder = Path(made)
        plain = [stack.enter_context(closing(_plain(folder / "plain.db"))) for _ in range(writers)]
        log = Log(ORIGIN, _SIGNER)
        _new_log(folder / "log.db", log).close()
        found: dict[str, list[float]] = {"row": [], "rows": [], "log": [], "sync": [], "log_cpu": []}
        with GroupWriter(lambda: _connect(folder / "log.db"), log) as writer:
            ways: dict[str, Callable[[int], Append]] = {
                "row": lambda number: lambda: _insert(plain[number], entry=False),
                "rows": lambda number: lambda: _insert(plain[number], entry=True),
                "log": lambda _: lambda: writer.append(_event(), {"sql": "SELECT 1"}, READERS),
            }
            for _ in range(ROUNDS):
                for name, way in ways.items():
                    found["sync"].append(_sync_seconds(place))
                    rate, cpu = _rate(writers, seconds / ROUNDS, way)
                    found[name].append(rate)
                    if name == "log":
                        found["log_cpu"].append(cpu)
        with closing(_connect(folder / "log.db")) as connection:
            entries, groups = connection.execute("SELECT max(size), count(*) - 1 FROM audit_checkpoint").fetchone()
    means = {name: sum(values) / len(values) for name, values in found.items()}
    return {"writers": writers, "group": entries / max(1, groups), "rounds": found, **means}


def _rate(writers: int, seconds: float, way: Callable[[int], Append]) -> tuple[float, float]:
    """Return calls a second of so many threads together, and CPU seconds a call."""
    counts = [0] * writers
    until = time.perf_counter() + seconds

    def run(number: int) -> None:
        append = way(number)
        while time.perf_counter() < until:
            append()
            counts[number] += 1

    threads = [threading.Thread(target=run, args=(number,)) for number in range(writers)]
    begun, cpu = time.perf_counter(), time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    calls = sum(counts)
    return calls / (time.perf_counter() - begun), (time.process_time() - cpu) / calls


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=60, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def _plain(path: Path) -> sqlite3.Connection:
    connection = _connect(path)
    for table in ("leaf", "sealed", "wrapped"):
        connection.execute(f"CREATE TABLE IF NOT EXISTS {table} (id INTEGER PRIMARY KEY, content BLOB)")
    return connection


def _insert(connection: sqlite3.Connection, *, entry: bool) -> None:
    """Insert one row of a leaf's length, or all that an entry brings, in a transaction of its own."""
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO leaf (content) VALUES (?)", (LEAF,))
    if entry:
        connection.execute("INSERT INTO sealed (content) VALUES (?)", (SEALED,))
        connection.execute("INSERT INTO wrapped (content) VALUES (?)", (WRAPPED,))
    connection.execute("COMMIT")


def _sync_seconds(place: Path) -> float:
    """Return what one page made durable takes on this disk: the middle of some."""
    times = []
    with tempfile.NamedTemporaryFile(dir=place) as file:
        for _ in range(SYNCS):
            os.write(file.fileno(), bytes(4096))
            begun = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - begun)
    return sorted(times)[len(times) // 2]


def _event(caused_by: int = -1) -> Event:
    return Event(
        room="r-bench",
        id=fresh_id(),
        t=1_800_000_000,
        type=EventType.QUERY_CHARGED,
        outcome=Outcome.OK,
        actor="p:0123456789abcdef",
        org="p:0123456789abcdef",
        parties=frozenset({0, 3}),
        caused_by=caused_by,
    )


def _new_log(path: Path, log: Log) -> sqlite3.Connection:
    connection = _connect(path)
    connection.execute("BEGIN IMMEDIATE")
    log.create_schema(connection)
    connection.execute("COMMIT")
    return connection


def _large(place: Path, entries: int) -> dict[str, Any]:
    """Make a large log, prove entries of it from a cold start, verify its export: all, and what is new."""
    with tempfile.TemporaryDirectory(dir=place) as made:
        folder = Path(made)
        log = Log(ORIGIN, _SIGNER)
        with closing(_new_log(folder / "log.db", log)) as connection:
            _, built = timed(lambda: _grow(connection, entries))
            _, exported = timed(lambda: export_log(connection, log.verifier, folder / "out"))
            earlier = Checkpoint(ORIGIN, entries, read_head(connection).root)
        proofs, checks, length = _proofs(folder / "log.db", log, entries)
        vkey = log.verifier.vkey
        verdict, full = timed(lambda: verify_directory(folder / "out", vkey))
        assert verdict.ok
        functions = _profiled(lambda: verify_directory(folder / "out", vkey))
        with closing(_connect(folder / "log.db")) as connection:
            _grow(connection, NEW)
            _, more = timed(lambda: export_log(connection, log.verifier, folder / "out"))
        verdict, new = timed(lambda: verify_directory(folder / "out", vkey, remembered=earlier, incremental=True))
        assert verdict.ok
        assert verdict.since == entries
    return {
        "entries": entries,
        "new_entries": NEW,
        "built": built,
        "exported": exported,
        "exported_more": more,
        "proofs": proofs.written(),
        "checks": checks.written(),
        "proof_bytes": length,
        "full": full,
        "new": new,
        "functions": functions,
    }


def _grow(connection: sqlite3.Connection, more: int) -> None:
    """Append leaves without sealed details, which no export shows, a checkpoint for every ten thousand."""
    for at in range(0, more, CHUNK):
        head = read_head(connection)
        count = min(CHUNK, more - at)
        leaves = [Envelope(_event(index - 1), "0" * 64).leaf() for index in range(head.size, head.size + count)]
        hashes = [leaf_hash(leaf) for leaf in leaves]
        frontier = head.frontier.extended(hashes)
        note = sign_checkpoint(Checkpoint(ORIGIN, frontier.size, frontier.root()), _SIGNER)
        connection.execute("BEGIN IMMEDIATE")
        store_leaves(connection, head.size, leaves, hashes)
        connection.execute(
            "UPDATE audit_head SET size = ?, root = ?, frontier = ?, note = ?",
            (frontier.size, frontier.root(), pack(frontier), note),
        )
        connection.execute("INSERT INTO audit_checkpoint (size, note) VALUES (?, ?)", (frontier.size, note))
        connection.execute("COMMIT")


def _proofs(path: Path, log: Log, entries: int) -> tuple[Series, Series, int]:
    """Prove entries drawn at random, each over a connection of its own, and verify each proof."""
    drawn = random.Random(entries)
    proofs, checks, length = [], [], 0
    for _ in range(min(PROOFS, entries)):
        index = drawn.randrange(entries)
        begun = time.perf_counter(), time.process_time()
        with closing(_connect(path)) as connection:
            receipt, leaf = log.receipt(connection, index), log.leaf(connection, index)
        proofs.append((time.process_time() - begun[1], time.perf_counter() - begun[0]))
        found, took = timed(lambda: verify_receipt(receipt, leaf, log.verifier))  # noqa: B023  # called at once
        assert found[0] == index
        checks.append(took)
        length = len(receipt)
    return Series.of(proofs), Series.of(checks), length


def _profiled(call: Callable[[], object]) -> list[tuple[str, float]]:
    profile = cProfile.Profile()
    profile.runcall(call)
    stats = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    own = {f"{name[0].rpartition('/')[2]}:{name[2]}" if name[1] else name[2]: each[2] for name, each in stats.items()}
    return sorted(own.items(), key=lambda pair: -pair[1])[:TOP]


if __name__ == "__main__":
    print(json.dumps(measured(**json.loads(sys.argv[1]))))
