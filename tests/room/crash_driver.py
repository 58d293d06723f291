"""Run one command again and again on copies of a room, let something befall it at each call, check what is left.

python crash_driver.py TEMPLATE ACTION FAULT every|runs

A process of its own, so that it has no threads when it forks. Prints one JSON object a line: the call, what was found
at the next opening, and what was wrong, which must be nothing.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import sys
import tempfile
import traceback
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

# Loaded before the first fork, so that each run is short; none of them starts a thread when it is imported.
import polars  # noqa: F401
import pyarrow.parquet  # noqa: F401
import syscalls
from room_samples import LATE, Place, audit, partition_files, visits

from cleanroom.cli import erasures, main, table_life, uploads  # noqa: F401
from cleanroom.room import Home, Room, intake, registry, sending

TABLE = visits(LATE)
ACTIONS = ("upload", "replace", "correct", "intake", "withdraw", "erase")


@dataclass(frozen=True)
class Found:
    """What a crash leaves: was the act taken, does its package wait, are keys or files of retired uploads left."""

    taken: bool
    waits: bool
    pending: bool


def arguments(action: str, place: Place, source: Path) -> list[str]:
    """Return the command line of an action."""
    room, rows = str(place.path), str(source / "in" / f"{LATE}.visits.csv")
    match action:
        case "upload":
            return ["upload", room, str(TABLE), rows]
        case "replace":
            return ["upload", room, str(TABLE), rows, "--replace"]
        case "correct":
            return ["upload", room, str(TABLE), rows, "--correct", (source / "first.upload").read_text()]
        case "intake":
            return ["intake", room, str(source / "replace.package")]
        case "withdraw":
            return ["withdraw", room, str(TABLE), "--as", LATE]
        case "erase":
            return ["erase", room, "--as", LATE, "--ground", "qc-28", (source / "who").read_text()]
    raise AssertionError(action)


def command(action: str, place: Place, source: Path) -> int:
    """Run the action as a person does."""
    os.environ["CLEANROOM_HOME"] = str(place.home.path)
    return main(["--lang", "en", *arguments(action, place, source)])


def fresh(source: Path, to: Path) -> Place:
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(source / "room", to / "room")
    shutil.copytree(source / "home", to / "home")
    return Place(to / "room", Home(to / "home"), source / "in")


def left(place: Place, action: str) -> Found:
    """Look at what is on the disk, before anybody opens the room."""
    with closing(sqlite3.connect(place.path / "room.db")) as connection:
        (version,) = connection.execute(
            "SELECT max((SELECT coalesce(max(number), 0) FROM upload WHERE table_name = ?1),"
            " (SELECT coalesce(max(number), 0) FROM withdrawal WHERE table_name = ?1),"
            " (SELECT coalesce(max(number), 0) FROM erasure WHERE table_name = ?1))",
            (str(TABLE),),
        ).fetchone()
        (pending,) = connection.execute("SELECT count(*) FROM retirement WHERE stage <> 'gone'").fetchone()
    waits = any((place.home.path / "rooms").glob("*/outbox/*.package"))
    assert action in {"upload", "replace", "correct"} or not waits
    return Found(version == 2, waits, pending > 0)


def check(action: str, place: Place, source: Path, ran: syscalls.Ran) -> Found:
    """Open the room again, as the next command does, and try once more; raise where anything is not as promised."""
    found = left(place, action)
    said = re.search(r"log entry: (\d+)", ran.out)
    acknowledged = int(said[1]) if said is not None and ran.code == 0 else None
    assert acknowledged is None or found.taken, "an acknowledged act is lost"
    if ran.code not in {None, 0}:
        assert re.search(r"^cleanroom: .+ \[[a-z_]+\]$", ran.err, re.MULTILINE), ran.err
        assert "internal_" not in ran.err
        assert "Traceback" not in ran.err
    audit(place)  # opens the room, which finishes what was begun
    with place.open() as room:
        assert (registry.version(room.connection, TABLE) == 2) == found.taken, "taken by half"
        first = (source / "first.upload").read_text()
        current = [each.upload for each in registry.uploads(room.connection, TABLE)]
        if not found.taken:
            assert current == [first], "an earlier upload is lost"
        _again(action, room, place, source, acknowledged, found)
    audit(place)
    with place.open() as room:
        assert registry.version(room.connection, TABLE) == 2
        now = {each.upload for each in registry.uploads(room.connection, TABLE)}
        kept = {"upload": 2, "withdraw": 0}.get(action, 1)
        assert len(now) == kept
        assert (first in now) == (action == "upload")
        if action == "erase":
            rows = {each.manifest.row_count for each in registry.uploads(room.connection, TABLE)}
            assert rows == {int((source / "rows").read_text())}, "somebody was erased by half, or comes back"
        assert sending.Outbox.of(room.home, room.room_id).paths() == ()
        assert partition_files(place) == {f"{each.upload}.parquet" for each in registry.uploads(room.connection)}
    return found


def _again(action: str, room: Room, place: Place, source: Path, acknowledged: int | None, found: Found) -> None:
    if action in {"withdraw", "erase"}:
        if not found.taken:
            assert command(action, place, source) == 0
        # An intake of anything clears what a crash left half.
        return
    if action == "intake":
        receipt = intake(room, source / "replace.package")
        assert receipt.repeated == found.taken
        assert acknowledged in {None, receipt.receipt.index}
        return
    if found.waits:
        (resumed,) = sending.resume(room)
        assert resumed.repeated == found.taken
    elif not found.taken:
        assert command(action, place, source) == 0


def stops(calls: tuple[syscalls.Call, ...], fault: syscalls.Fault, which: str) -> list[syscalls.Place]:
    """Return where to stop: at every call, or at the first of each run of like ones, such as one commit's writes."""
    torn = {"write", "pwrite64"} if fault is syscalls.Fault.TEAR else {call.name for call in calls}
    placed = zip(syscalls.places(calls), calls, strict=True)
    return [place for place, call in placed if call.name in torn and (which == "every" or not place.call)]


def run_all(source: Path, action: str, fault: syscalls.Fault, which: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        to = Path(directory) / "copy"
        place = fresh(source, to)
        whole = syscalls.run(partial(command, action, place, source), to)
        assert whole.code == 0, whole.err
        for at in stops(whole.calls, fault, which):
            place = fresh(source, to)
            ran = syscalls.run(partial(command, action, place, source), to, at=at, fault=fault)
            print(json.dumps(verdict(action, place, source, ran, at)), flush=True)


def verdict(action: str, place: Place, source: Path, ran: syscalls.Ran, at: syscalls.Place) -> dict[str, object]:
    """Check in a process of its own, since checking uses libraries that start threads."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        with os.fdopen(os.dup(2), "w") as errors:
            sys.stdout = errors
            try:
                found = check(action, place, source, ran)
                told: dict[str, object] = {"found": [found.taken, found.waits, found.pending], "wrong": ""}
            except BaseException:
                told = {"found": [], "wrong": traceback.format_exc()}
        os.write(writing, json.dumps(told).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        told = json.loads(file.read())
    os.waitpid(child, 0)
    return {"at": [at.run, at.call], "call": ran.stopped(at), "code": ran.code, "err": ran.err.strip(), **told}


if __name__ == "__main__":
    run_all(Path(sys.argv[1]), sys.argv[2], syscalls.Fault[sys.argv[3]], sys.argv[4])
