"""Run every measurement, each in a process of its own, and put together what they found."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bench.data import MEMBERS, BenchData, bench_data
from bench.exact import compare, relative_error
from bench.large import large_data
from bench.measure import Series, load
from bench.questions import QUESTIONS, BenchQuestion

CHECKOUT: Final = Path(__file__).parent.parent
PROFILED: Final = ("persons_by_region", "sum", "overlap_by_region", "overlap_in_by_region", "sector")


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to measure.

    Args:
        rows: of each member.
        repeat: measured runs of each question.
        uploads: measured uploads.
        large: rows of the large uploads, a multiple of `rows`.
        durable: questions to the tiny table.
        log: entries of the large log.
        append_seconds: that each way of appending to a log is given.
        fresh_processes: one process for each question, so that its memory is its own; else one for all.
        profiled: the questions whose stages are reported.
    """

    rows: int
    seed: int
    repeat: int = 5
    uploads: int = 3
    large: int = 10_000_000
    durable: int = 100
    log: int = 1_000_000
    append_seconds: float = 5.0
    fresh_processes: bool = True
    profiled: tuple[str, ...] = PROFILED


@dataclass(frozen=True, slots=True)
class Asked:
    """What one question took, in the room and in raw DuckDB.

    Args:
        first: CPU seconds of the first time in a new process, which loads and may compile.
        capped: raw DuckDB with at most ten rows of a person and cell, on UUIDs.
        peak: MiB at most: room, raw UUID, raw hex.
        compared: numbers found equal to raw DuckDB's where no bound binds.
        error: mean relative error at epsilon 1 against the whole truth.
        noise: the same against the bounded truth: the noise alone.
    """

    question: BenchQuestion
    room: Series
    uuid: Series
    hex: Series
    capped: Series | None
    first: float
    peak: tuple[float, float, float]
    compared: int
    error: float | None
    noise: float | None


@dataclass(slots=True)
class Found:
    """Everything that was measured."""

    plan: Plan
    load_before: str
    idle: tuple[float, float] = (0.0, 0.0)
    asked: list[Asked] = field(default_factory=list)
    uploads: dict[str, Any] = field(default_factory=dict)
    large: dict[str, Any] = field(default_factory=dict)
    admission: dict[str, Any] = field(default_factory=dict)
    durable: dict[str, Any] = field(default_factory=dict)
    log: dict[str, Any] = field(default_factory=dict)
    profile: dict[str, Any] = field(default_factory=dict)
    load_after: str = ""


class WorkerFailed(RuntimeError):
    """A measuring process ended with an error."""


def run(plan: Plan) -> Found:
    """Measure everything.

    Raises:
        NumbersDiffer: the room's exact numbers are not raw DuckDB's.
        WorkerFailed: a measurement could not be made.
    """
    found = Found(plan, load())
    data = bench_data(plan.rows, plan.seed)
    where = {"directory": str(data.directory), "rows": plan.rows}
    with tempfile.TemporaryDirectory(prefix=".room-", dir=data.directory.parent) as place:
        room = {"room": str(Path(place) / "measured")}
        Path(room["room"]).mkdir()
        _note("room")
        worker("prepare", **room, **where)
        _questions(found, plan, room, where)
        _note("profile")
        found.profile = worker("profile", **room, ids=list(plan.profiled), repeat=plan.repeat)
        _note("admission")
        found.admission = worker("admission", **room, repeat=plan.repeat)
        _note("charges and log")
        tiny = Path(place) / "tiny"
        tiny.mkdir()
        found.durable = worker("durable", directory=str(tiny), count=plan.durable)
        _note("the log by itself")
        found.log = worker("log", directory=str(tiny), seconds=plan.append_seconds, entries=plan.log)
    _uploads(found, plan, data)
    found.load_after = load()
    return found


def run_uploads(plan: Plan) -> Found:
    """Measure uploads only."""
    found = Found(plan, load())
    _uploads(found, plan, bench_data(plan.rows, plan.seed))
    found.load_after = load()
    return found


def _uploads(found: Found, plan: Plan, data: BenchData) -> None:
    _note("uploads")
    found.uploads = worker("uploads", directory=str(data.directory), rows=plan.rows, repeat=plan.uploads)
    found.large = _large(plan, data)


def _large(plan: Plan, data: BenchData) -> dict[str, Any]:
    """Hand in the member's own file, and many more rows in every form, each in a process of its own."""
    _note("large uploads")
    large = large_data(data, plan.large, plan.seed)
    forms = {"one CSV, as above": [data.csv(MEMBERS[0])], **large.forms()}
    return {
        form: worker("large_upload", directory=str(large.directory.parent), sources=[str(path) for path in paths])
        for form, paths in forms.items()
    }


def _questions(found: Found, plan: Plan, room: dict[str, str], where: dict[str, Any]) -> None:
    names = [question.id for question in QUESTIONS]
    _note("numbers equal")
    exact = worker("exact", **room, ids=names)
    private: dict[str, Any] = {}
    raw: dict[str, dict[str, Any]] = {"uuid": {}, "hex": {}}
    for ids in [[name] for name in names] if plan.fresh_processes else [names]:
        _note(" ".join(ids))
        raw["uuid"] |= worker("raw", **where, ids=ids, token="uuid", repeat=plan.repeat)  # noqa: S106
        private |= worker("questions", **room, ids=ids, repeat=plan.repeat)
        raw["hex"] |= worker("raw", **where, ids=ids, token="hex", repeat=plan.repeat)  # noqa: S106
    for question in QUESTIONS:
        name = question.id
        truth = raw["uuid"][name]["answer"]
        compared = compare(exact[name]["unbounded"], truth, mean=name == "mean")
        compare(exact[name]["unbounded"], raw["hex"][name]["answer"], mean=name == "mean")
        capped = raw["uuid"][name]["capped"]
        found.idle = (private[name]["idle"], raw["uuid"][name]["idle"])
        found.asked.append(
            Asked(
                question,
                Series.read(private[name]["series"]),
                Series.read(raw["uuid"][name]["series"]),
                Series.read(raw["hex"][name]["series"]),
                None if capped is None else Series.read(capped),
                private[name]["first"][0],
                (private[name]["peak"], raw["uuid"][name]["peak"], raw["hex"][name]["peak"]),
                compared,
                relative_error(private[name]["answers"], truth),
                relative_error(private[name]["answers"], exact[name]["bounded"]),
            )
        )


def worker(kind: str, **arguments: object) -> dict[str, Any]:
    """Run one measurement in a new process of this interpreter."""
    ended = subprocess.run(
        [sys.executable, "-m", "bench.worker", kind, json.dumps(arguments)],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise WorkerFailed(f"{kind}: {ended.stderr.strip()[-2000:]}")
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found


def _note(what: str) -> None:
    print(f"bench: {what}", file=sys.stderr, flush=True)
