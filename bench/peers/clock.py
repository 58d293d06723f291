"""Measure one question of a peer: wall seconds, CPU seconds and memory of this process and all that it started.

Imported by the peers' scripts, which run in environments of their own: the standard library only.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def questions() -> frozenset[str]:
    """Return the questions that the command line asks for; the third argument, all without it."""
    every = {f"Q{number}" for number in range(1, 9)}
    return frozenset(sys.argv[3].split(",")) if len(sys.argv) > 3 else frozenset(every)


def for_speed() -> bool:
    """Return whether speed is measured: in one way of each library's ways, the cheapest for it."""
    return len(sys.argv) > 3


class Clock:
    """A stretch of time; `said` is what it took, as JSON takes it."""

    def __enter__(self) -> Clock:
        for process in _tree():
            # "5" makes the peak begin again from what is held now (proc(5), clear_refs).
            _write(process / "clear_refs", "5")
        self._cpu, self._wall = _cpu(), time.perf_counter()
        self.said: dict[str, float] = {}
        return self

    def __exit__(self, *_: object) -> None:
        wall = time.perf_counter() - self._wall
        self.said = {"cpu": _cpu() - self._cpu, "wall": wall, "peak": _peak()}


def _tree() -> list[Path]:
    """Return /proc's directories of this process and of all its descendants."""
    parents: dict[int, int] = {}
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            fields = _stat(process)
            if fields:
                parents[int(process.name)] = int(fields[1])
    found = [os.getpid()]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return [Path("/proc") / str(each) for each in found]


def _stat(process: Path) -> list[str]:
    """Return the fields of stat(5) after the command's name: state, parent, ..."""
    try:
        return (process / "stat").read_text("ascii", "replace").rpartition(")")[2].split()
    except OSError:
        return []


def _cpu() -> float:
    """Return seconds of processor time of the tree, ended children included."""
    return sum(sum(map(int, fields[11:15])) for fields in map(_stat, _tree()) if fields) / _TICKS


def _peak() -> float:
    """Return the most that each process of the tree held since the clock began, together, in MiB."""
    kib = 0
    for process in _tree():
        try:
            lines = (process / "status").read_text("ascii", "replace").splitlines()
        except OSError:
            continue
        kib += sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    return kib / 1024


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "ascii")
    except OSError:
        return
