"""Save a room, or put it back, and let something befall it at its system calls; look at what is left.

python backup_driver.py ROOM HOME backup|restore KILL|FULL WORK

A process of its own, so that it has no threads when it forks. Prints one JSON object a line.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import traceback
from functools import partial
from pathlib import Path

# Loaded before the first fork, so that each run is short; none of them starts a thread when it is imported.
import polars  # noqa: F401
import pyarrow.parquet  # noqa: F401
import syscalls

from cleanroom.cli import backups, main  # noqa: F401
from cleanroom.room import Home, archive, logbook


def command(home: Path, *arguments: object) -> int:
    os.environ["CLEANROOM_HOME"] = str(home)
    return main(["--lang", "en", *map(str, arguments)])


def fresh(room: Path, home: Path, work: Path) -> None:
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    shutil.copytree(room, work / "room")
    shutil.copytree(home, work / "home")


def check(work: Path, ran: syscalls.Ran, action: str) -> bool:
    """Raise where something is half there; return whether the result is there."""
    if ran.code not in {None, 0}:
        assert re.search(r"^cleanroom: .+ \[[a-z_]+\]$", ran.err, re.MULTILINE), ran.err
        assert "internal_" not in ran.err, ran.err
    if action == "backup":
        made = work / "saved.tar"
        if made.exists():
            shutil.rmtree(work / "unpacked", ignore_errors=True)
            (work / "unpacked").mkdir()
            with made.open("rb") as source:
                index, _ = archive.read_head(source)
                archive.read_files(source, index, work / "unpacked")
        assert made.exists() or ran.code != 0
        # The room itself is untouched, and can be saved at once.
        assert command(work / "home", "backup", work / "room", work / "next.tar") == 0
        return made.exists()
    put_back = work / "again"
    there = (put_back / "room.db").exists()
    assert there or not put_back.exists()
    assert there or ran.code != 0
    if there:
        assert logbook.verify(put_back, Home(work / "home")).ok
    else:
        assert command(work / "home", "restore", work / "saved.tar", put_back) == 0
    return there


def verdict(work: Path, ran: syscalls.Ran, action: str, at: syscalls.Place) -> dict[str, object]:
    """Check in a process of its own, since checking uses libraries that start threads."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        with os.fdopen(os.dup(2), "w") as errors:
            sys.stdout = errors
            told: dict[str, object]
            try:
                told = {"whole": check(work, ran, action), "wrong": ""}
            except BaseException:
                told = {"whole": False, "wrong": traceback.format_exc()[-600:]}
        os.write(writing, json.dumps(told).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        told = json.loads(file.read())
    os.waitpid(child, 0)
    return {"at": [at.run, at.call], "call": ran.stopped(at), "code": ran.code, **told}


def run_all(room: Path, home: Path, action: str, fault: syscalls.Fault, work: Path) -> None:
    def prepared() -> None:
        fresh(room, home, work)
        if action == "restore":
            shutil.copy(work.parent / "saved.tar", work / "saved.tar")

    arguments = ("backup", work / "room", work / "saved.tar")
    if action == "restore":
        fresh(room, home, work)
        assert waited(partial(command, work / "home", *arguments)) == 0
        shutil.move(work / "saved.tar", work.parent / "saved.tar")
        shutil.copytree(work / "home", work.parent / "later", dirs_exist_ok=True)
        home = work.parent / "later"
        arguments = ("restore", work / "saved.tar", work / "again")
    prepared()
    whole = syscalls.run(partial(command, work / "home", *arguments), work)
    assert whole.code == 0, whole.err
    stops = [place for place in syscalls.places(whole.calls) if not place.call]
    for at in stops[:: max(1, len(stops) // 8)] + stops[-1:]:
        prepared()
        ran = syscalls.run(partial(command, work / "home", *arguments), work, at=at, fault=fault)
        print(json.dumps(verdict(work, ran, action, at)), flush=True)


def waited(action: object) -> int:
    """Run in a process of its own, so that this one keeps no thread."""
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os._exit(action())  # type: ignore[operator]
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    run_all(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], syscalls.Fault[sys.argv[4]], Path(sys.argv[5]))
