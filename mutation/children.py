"""Work in a forked process, under limits, and hear what it reports.

A child that uses far more CPU seconds than its test takes is ended (RLIMIT_CPU), and so is one that waits for ever
without using any.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_MEMORY: Final = 3 << 30
_IDLE_SECONDS: Final = 90


def in_child(work: Callable[[Callable[[dict[str, Any]], None]], None]) -> dict[str, Any]:
    """Fork, work, and return the last that was reported."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.setpgid(0, 0)

        def report(each: dict[str, Any]) -> None:
            text = f"{json.dumps(each)}\n".encode()
            while text:
                text = text[os.write(writing, text) :]

        quiet()
        resource.setrlimit(resource.RLIMIT_DATA, (_data_used() + _MEMORY, resource.RLIM_INFINITY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        try:
            work(report)
        except BaseException as error:
            report({"verdict": "fault", "why": repr(error)[:300]})
        os._exit(0)
    os.close(writing)
    last, idle = _followed(child, reading)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if last.get("verdict", "started") != "started":
        return last
    if idle:
        last["verdict"] = "idle"
    elif os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU:
        last["verdict"] = "cpu"
    else:
        last |= {"verdict": "ended", "why": f"status {status}"}
    return last


def _followed(child: int, reading: int) -> tuple[dict[str, Any], bool]:
    """Read what a child reports to the end, or until it has used no CPU for long though it does not wait for any."""
    kept, idle, used = b"", 0, -1.0
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        while True:
            if not select.select([pipe], [], [], 1.0)[0]:
                now = _used_by(child)
                idle = idle + 1 if now == used else 0
                used = now
                if idle >= _IDLE_SECONDS:
                    break
                continue
            more = pipe.read(1 << 16)
            if not more:
                break
            kept = (kept + more)[-(1 << 26) :]
    reported = [line for line in kept.split(b"\n") if line]
    return (json.loads(reported[-1]) if reported else {}), idle >= _IDLE_SECONDS


def _used_by(process: int) -> float:
    """Return a process's CPU ticks; a fresh number where it is ready to run, so that waiting for a core is not idle."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text("ascii").rpartition(")")[2].split()
    except OSError:
        return -1.0
    return float("nan") if fields[0] == "R" else float(fields[11]) + float(fields[12])


def _data_used() -> int:
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
    return 0


def quiet() -> None:
    """Write nothing, read nothing."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)


def cpu() -> float:
    """Return the CPU seconds that this process has used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
