"""Admit questions in a process of its own, which holds no keys, opens no data, and may be killed.

`python -m cleanroom.query.admission_worker` reads a rulebook and then questions on standard input and answers each
with a line of JSON: what it would release, or every reason against it. Before it starts on a question it asks the
kernel to kill it beyond so many seconds of CPU; memory beyond what it takes at rest is bounded too. The room's side,
which kills and replaces it, is `cleanroom.room.admission`.

What comes in is pickled, written by the room itself. What goes out is JSON, since the room must be able to read it
without trust: the worker is the process that hostile text is fed to.
"""

from __future__ import annotations

import json
import math
import os
import pickle
import resource
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cleanroom.errors import Refused
from cleanroom.query.gate import Question, Rulebook, ValidatedPlan, admit
from cleanroom.query.refusals import described
from cleanroom.query.statistics import bounds_of_values

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

LENGTH_BYTES: Final = 8
OUT_OF_MEMORY: Final = 3
"""The status that a worker ends with when its memory does not suffice; what it holds then is not used again."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one question may take.

    Args:
        cpu_seconds: whole seconds of CPU; the longest texts allowed take tenths of one.
        memory_bytes: address space beyond what the worker takes when it has started.
    """

    cpu_seconds: int = 5
    memory_bytes: int = 512 << 20


def decision(question: Question, rulebook: Rulebook) -> dict[str, Any]:
    """Return what the gate says of a question: whether it is admitted, every refusal, what it would release."""
    try:
        validated = admit(question, rulebook)
    except Refused as refused:
        return {"admitted": False, "refusals": [described(each) for each in refused.refusals]}
    return {"admitted": True, "refusals": [], "releases": release_facts(validated)}


def release_facts(validated: ValidatedPlan) -> list[dict[str, object]]:
    """Return what an admitted question releases: for each release its statistics, cells, bounds, norm, price."""
    return [
        {
            "statistics": [type(statistic).__name__ for statistic in release.statistics],
            "bounds": [bounds_of_values(statistic) for statistic in release.statistics],
            "cells": release.bounds.cells,
            "max_rows_contributed": release.bounds.max_rows,
            "max_groups_contributed": release.bounds.max_groups,
            "norm": release.bounds.norm,
            "distinct_keys": release.bounds.distinct_keys,
            "threshold": release.bounds.threshold,
            "rho": {str(charge.account): str(charge.rho) for charge in paid},
            "epsilon": validated.epsilon,
            "plan": str(release.digest()),
        }
        for release, paid in zip(validated.plan.releases, validated.paid, strict=True)
    ]


def serve(taken: BinaryIO, given: BinaryIO, decide: Callable[[Question, Rulebook], dict[str, Any]] = decision) -> None:
    """Answer questions until there are no more.

    Args:
        decide: what is done with each of them, within the limits.
    """
    limits, rulebook = _read(taken)
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)  # a parent that ignores it hands that down
    _bound_memory(limits.memory_bytes)
    given.write(b"{}\n")
    given.flush()
    while (question := _read(taken)) is not None:
        _bound_cpu(limits.cpu_seconds)
        line = json.dumps(decide(question, rulebook)).encode()
        given.write(line + b"\n")
        given.flush()


def frame(content: object) -> bytes:
    """Return what `serve` reads: a length and a pickle."""
    written = pickle.dumps(content)
    return len(written).to_bytes(LENGTH_BYTES, "big") + written


def _read(taken: BinaryIO) -> Any:
    """Return the next thing that the room sent, or None at the end."""
    length = taken.read(LENGTH_BYTES)
    if len(length) < LENGTH_BYTES:
        return None
    content = taken.read(int.from_bytes(length, "big"))
    # The other end is the room, which started this process and holds the only other end of its standard input.
    return pickle.loads(content)  # noqa: S301


def _bound_memory(more: int) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    held = Path("/proc/self/statm")
    if not held.exists():  # not Linux: such kernels do not keep to RLIMIT_AS either; the limit on CPU holds
        return
    pages = int(held.read_text("ascii").split()[0])
    most = pages * os.sysconf("SC_PAGE_SIZE") + more
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _bound_cpu(seconds: int) -> None:
    """Let the kernel end this process once it has taken so many seconds more; SIGXCPU is left to do that."""
    taken = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(taken.ru_utime + taken.ru_stime) + seconds, hard))


def main() -> int:
    """Serve on standard input and output."""
    try:
        serve(sys.stdin.buffer, sys.stdout.buffer)
    except MemoryError:
        return OUT_OF_MEMORY
    except KeyboardInterrupt:
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
