"""Ask the room, raw DuckDB and other libraries the questions Q1 to Q8 of one table of sales, and say what each took.

All read the same rows: the peers and raw DuckDB a plain Parquet file with hexadecimal tokens, the room its own
encrypted file. Each peer runs in its own environment (`bench/peers/*.txt`), and is given so many seconds a question;
one that is not done is ended, and asked the rest. Where a peer took long for few rows, it is not asked for many.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench.utility import HERE, environment
from bench.utility_data import sales
from bench.utility_house import SQL

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.utility_data import Sales

SCRIPTS: Final = {
    "smartnoise": "smartnoise.py",
    "opendp": "opendp_context.py",
    "qrlew": "qrlew.py",
    "tumult": "tumult.py",
    "psi": "psi.py",
}
LOADING_SECONDS: Final = 60
"""That a peer is given beyond a question's, to start and to read."""

PEER_SECONDS: Final = 240
"""That a peer is given for all questions of one size."""

_LOOK_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class Took:
    """What one question took.

    Args:
        cpu: seconds of all processes and threads; of the fastest run.
        wall: seconds of that run.
        peak: MiB that these processes held at most while it ran.
        factor: what the measurement was multiplied by, 1 for none.
    """

    cpu: float
    wall: float
    peak: float
    factor: float = 1.0


@dataclass(slots=True)
class Versus:
    """What everybody took, at one size.

    Args:
        took: by who and question; `room`, `raw` and the peers.
        why_not: by who and question, why there is no number.
    """

    rows: int
    took: dict[tuple[str, str], Took] = field(default_factory=dict)
    why_not: dict[tuple[str, str], str] = field(default_factory=dict)


def versus(
    rows: int,
    seed: int,
    *,
    runs: int,
    seconds: int,
    environments: Path,
    worker: Callable[..., dict[str, Any]],
    smaller: Versus | None = None,
) -> Versus:
    """Measure everybody at one size.

    Args:
        runs: of each question and peer; the fastest counts. The room and raw DuckDB are warm, and run five times.
        seconds: that a peer is given for a question.
        environments: where peers are installed.
        worker: runs one measurement of ours in a process of its own.
        smaller: what was found with fewer rows.
    """
    found = Versus(rows)
    data = sales(rows, seed)
    with tempfile.TemporaryDirectory(prefix=".sales-", dir=data.directory.parent) as place:
        where = {"room": place, "directory": str(data.directory)}
        worker("sales_prepare", **where)
        for who, kind in (("room", "sales_questions"), ("raw", "sales_raw"), ("room", "sales_questions")):
            for name, took in worker(kind, **where).items():
                before = found.took.get((who, name))
                if before is None or took["cpu"] < before.cpu:
                    found.took[who, name] = Took(**took)
    for name in SCRIPTS:
        _ask_peer(found, data, name, runs, seconds, environments, smaller)
    return found


def _ask_peer(
    found: Versus, data: Sales, name: str, runs: int, seconds: int, environments: Path, smaller: Versus | None
) -> None:
    waiting = list(SQL)
    for question in tuple(waiting):
        reason = _no_use(found, name, question, seconds, smaller)
        if reason is not None:
            found.why_not[name, question] = reason
            waiting.remove(question)
    python = environment(name, environments) if waiting else None
    if python is None:
        found.why_not |= {(name, question): "does not install" for question in waiting}
        return
    end = time.monotonic() + PEER_SECONDS
    while waiting:
        first = waiting[0]
        for line in _said(python, name, data, waiting, runs, seconds, end):
            question = line["q"]
            if "cpu" in line:
                took = Took(line["cpu"], line["wall"], line["peak"], line.get("factor", 1.0))
                before = found.took.get((name, question))
                if before is None or took.cpu < before.cpu:
                    found.took[name, question] = took
            else:
                found.why_not.setdefault((name, question), line["unsupported"].splitlines()[0][:90])
        answered = {question for who, question in (*found.took, *found.why_not) if who == name}
        waiting = [question for question in waiting if question not in answered]
        if time.monotonic() >= end:
            found.why_not |= {(name, question): f"not reached in {PEER_SECONDS} s" for question in waiting}
            return
        if waiting and waiting[0] == first:
            # Not even the first one of those that were left.
            found.why_not[name, first] = f"not done after {seconds} s, or ended without an answer"
            waiting.remove(first)


def _no_use(found: Versus, name: str, question: str, seconds: int, smaller: Versus | None) -> str | None:
    if smaller is None:
        return None
    if (name, question) in smaller.why_not:
        return smaller.why_not[name, question]
    before = smaller.took[name, question]
    if before.factor > 1:
        return None
    if before.wall * found.rows / smaller.rows > 3 * seconds:
        return f"not asked: {before.wall:.0f} s for {smaller.rows:,} rows"
    return None


def _said(
    python: Path, name: str, data: Sales, questions: list[str], runs: int, seconds: int, end: float
) -> list[dict[str, Any]]:
    """Return what a peer says until it ends, until nothing came for too long, or until `end`."""
    with tempfile.TemporaryDirectory() as directory:
        said = Path(directory) / "said.jsonl"
        with said.open("wb") as out, (Path(directory) / "log").open("wb") as log:
            process = subprocess.Popen(
                [python, HERE / SCRIPTS[name], data.parquet.resolve(), str(runs), ",".join(questions)],
                cwd=directory,
                stdout=out,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "RUST_BACKTRACE": "0", "PYTHONPATH": "", "PYTHONWARNINGS": "ignore"},
            )
            size, since, allowed = 0, time.monotonic(), seconds + LOADING_SECONDS
            while process.poll() is None:
                time.sleep(_LOOK_SECONDS)
                if said.stat().st_size > size:
                    size, since, allowed = said.stat().st_size, time.monotonic(), seconds
                if time.monotonic() > min(since + allowed, end):
                    # What it started goes with it.
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
        return [json.loads(line) for line in said.read_text("utf-8").splitlines() if line.endswith("}")]
