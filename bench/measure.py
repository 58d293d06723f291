"""Measure calls: wall seconds, CPU seconds of all threads and children, peak memory."""

from __future__ import annotations

import os
import resource
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Series:
    """What several runs of one thing took.

    Args:
        cpu: seconds of processor time of each run, all threads and ended children.
        wall: seconds of each run.
    """

    cpu: tuple[float, ...]
    wall: tuple[float, ...]

    @classmethod
    def of(cls, samples: list[tuple[float, float]]) -> Series:
        """Put (cpu, wall) pairs together."""
        return cls(tuple(cpu for cpu, _ in samples), tuple(wall for _, wall in samples))

    @classmethod
    def read(cls, found: dict[str, list[float]]) -> Series:
        """Read a worker's answer."""
        return cls(tuple(found["cpu"]), tuple(found["wall"]))

    def written(self) -> dict[str, list[float]]:
        """Return it as a worker hands it over."""
        return {"cpu": list(self.cpu), "wall": list(self.wall)}

    @property
    def median_cpu(self) -> float:
        """The middle run's CPU seconds."""
        return statistics.median(self.cpu)

    @property
    def median_wall(self) -> float:
        """The middle run's wall seconds."""
        return statistics.median(self.wall)


def cpu_seconds() -> float:
    """Return the CPU time that this process, its threads and its ended children have used."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


def timed(call: Callable[[], Result]) -> tuple[Result, tuple[float, float]]:
    """Call once; return what it gave, and CPU and wall seconds."""
    cpu, wall = cpu_seconds(), time.perf_counter()
    result = call()
    return result, (cpu_seconds() - cpu, time.perf_counter() - wall)


def repeated(call: Callable[[], object], times: int, *, warm_up: int = 1) -> Series:
    """Call several times, and before that `warm_up` times unmeasured."""
    for _ in range(warm_up):
        call()
    return Series.of([timed(call)[1] for _ in range(times)])


def begin_peak() -> None:
    """Let `peak_mebibytes` begin again from what is held now (proc(5), clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5", "ascii")


def peak_mebibytes() -> float:
    """Return the most memory that this process ever held, or since `begin_peak`, in MiB.

    Read from /proc, since `ru_maxrss` of a new process begins with its parent's.
    """
    status = Path("/proc/self/status").read_text("ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def load() -> str:
    """Return the machine's load of the last 1, 5 and 15 minutes."""
    return " ".join(f"{value:.2f}" for value in os.getloadavg())
