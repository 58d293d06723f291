"""Run every measurement, each in a process of its own, and put together what they found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench.data import MEMBERS, ROOT, BenchData, bench_data
from bench.exact import compare, relative_error
from bench.large import large_data
from bench.measure import Series, load
from bench.questions import QUESTIONS, BenchQuestion
from bench.scale import PART_ROWS, parts
from bench.scale_report import SMALL_MEMORY
from bench.utility import environment
from bench.utility_data import sales
from bench.versus import SCRIPTS, Versus, versus

if TYPE_CHECKING:
    from collections.abc import Callable

CHECKOUT: Final = Path(__file__).parent.parent
PROFILED: Final = tuple(question.id for question in QUESTIONS)
MANY_ROWS: Final = 1_000_000
"""Above this, things are measured less often."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to measure.

    Args:
        sizes: rows of each of the two members: each size is a room of its own, the profile is the last one's.
        repeat: measured runs of each question.
        uploads: measured uploads.
        large: rows of the large uploads, a multiple of the first size.
        durable: questions to the tiny table.
        log: entries of the large log.
        append_seconds: that each way of appending to a log, and each number of threads that charge, is given.
        fresh_processes: one process for each question, so that its memory is its own; else one for all.
        profiled: the questions whose stages are reported.
        members: of the room of many members; its persons and rows follow.
        linear: millions of rows of the tables that are asked to see how cost grows.
        part: rows of a part of these tables.
        peers: rows of the table that peers are asked of.
        seconds: that a peer is given for a question.
        environments: where peers are installed.
        without: sections that are not measured; the report keeps what it has of them.
    """

    sizes: tuple[int, ...]
    seed: int
    repeat: int = 5
    uploads: int = 3
    large: int = 10_000_000
    durable: int = 100
    log: int = 1_000_000
    append_seconds: float = 5.0
    fresh_processes: bool = True
    profiled: tuple[str, ...] = PROFILED
    members: int = 150
    persons: int = 10_000_000
    member_rows: int = 20_000_000
    linear: tuple[int, ...] = (1, 3, 10, 30)
    part: int = PART_ROWS
    peers: tuple[int, ...] = (1_000_000, 10_000_000)
    seconds: int = 45
    environments: Path = ROOT / "peers"
    without: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """Rows of a member of the first size."""
        return self.sizes[0]


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
class Sized:
    """What questions took at one size; `rows` is of each member, `idle` the MiB before the first one."""

    rows: int
    idle: tuple[float, float] = (0.0, 0.0)
    asked: list[Asked] = field(default_factory=list)


@dataclass(slots=True)
class Found:
    """Everything that was measured."""

    plan: Plan
    load_before: str
    sized: list[Sized] = field(default_factory=list)
    versus: list[Versus] = field(default_factory=list)
    members: dict[str, Any] = field(default_factory=dict)
    linear: dict[int, dict[str, Any]] = field(default_factory=dict)
    small_memory: dict[str, Any] = field(default_factory=dict)
    uploads: dict[str, Any] = field(default_factory=dict)
    large: dict[str, Any] = field(default_factory=dict)
    admission: dict[str, Any] = field(default_factory=dict)
    durable: dict[str, Any] = field(default_factory=dict)
    log: dict[str, Any] = field(default_factory=dict)
    profile: dict[str, Any] = field(default_factory=dict)
    load_after: str = ""


class WorkerFailed(RuntimeError):
    """A measuring process ended with an error."""


def prepare(plan: Plan) -> None:
    """Write all data and make the peers' environments; measure nothing."""
    for size in plan.sizes:
        bench_data(size, plan.seed)
    for size in plan.peers:
        sales(size, plan.seed)
    large_data(bench_data(plan.rows, plan.seed), plan.large, plan.seed)
    parts(bench_data(plan.part, plan.seed), max(plan.linear), plan.seed)
    for name in SCRIPTS if plan.peers and "peers" not in plan.without else ():
        environment(name, plan.environments)


def run(plan: Plan, save: Callable[[Found], object], onto: Found | None = None) -> Found:
    """Measure everything that the plan is not without.

    Args:
        save: is given what was found until then, after each section.
        onto: an earlier run, whose other sections stay.

    Raises:
        NumbersDiffer: the room's exact numbers are not raw DuckDB's.
        WorkerFailed: a measurement could not be made.
    """
    prepare(plan)
    found = onto or Found(plan, load())
    found.plan = plan
    sections: dict[str, Callable[[Found, Plan], None]] = {
        "questions": _sizes,
        "scale": _scale,
        "peers": _peers,
        "charges": _charges,
        "log": _log,
        "uploads": _uploads,
    }
    for name, measure in sections.items():
        if name not in plan.without:
            measure(found, plan)
            found.load_after = load()
            save(found)
    _note("done")
    return found


def _sizes(found: Found, plan: Plan) -> None:
    found.sized = []
    for size in plan.sizes:
        _at_size(found, plan, bench_data(size, plan.seed))


def _scale(found: Found, plan: Plan) -> None:
    _members(found, plan)
    found.linear = {}
    _linear(found, plan)


def _peers(found: Found, plan: Plan) -> None:
    found.versus = []
    for size in plan.peers:
        _note(f"peers, {size:,} rows")
        found.versus.append(
            versus(
                size,
                plan.seed,
                runs=2 if size <= MANY_ROWS else 1,
                seconds=plan.seconds,
                environments=plan.environments,
                worker=worker,
                smaller=found.versus[-1] if found.versus else None,
            )
        )


def _charges(found: Found, plan: Plan) -> None:
    _note("charges and log")
    with tempfile.TemporaryDirectory(prefix=".tiny-", dir=ROOT) as tiny:
        found.durable = worker("durable", directory=tiny, count=plan.durable, seconds=plan.append_seconds)


def _log(found: Found, plan: Plan) -> None:
    _note("the log by itself")
    with tempfile.TemporaryDirectory(prefix=".log-", dir=ROOT) as tiny:
        found.log = worker("log", directory=tiny, seconds=plan.append_seconds, entries=plan.log)


def _at_size(found: Found, plan: Plan, data: BenchData) -> None:
    """Ask the questions of a room of one size; admission is measured in the first, the profile in the last."""
    where = {"directory": str(data.directory), "rows": data.rows}
    with tempfile.TemporaryDirectory(prefix=".room-", dir=data.directory.parent) as place:
        room = {"room": place}
        _note(f"room, {data.rows:,} rows")
        worker("prepare", **room, **where)
        _questions(found, plan, room, where)
        if data.rows == plan.sizes[-1]:
            _note("profile")
            found.profile = worker("profile", **room, ids=list(plan.profiled), repeat=plan.repeat)
        if data.rows == plan.rows:
            _note("admission")
            found.admission = worker("admission", **room, repeat=plan.repeat)


def _members(found: Found, plan: Plan) -> None:
    with tempfile.TemporaryDirectory(prefix=".members-", dir=ROOT) as place:
        _note(f"room of {plan.members} members")
        shape = {"persons": plan.persons, "rows": plan.member_rows, "seed": plan.seed}
        filled = worker("scale_members", room=place, count=plan.members, **shape)
        _note("sector totals and matrix of overlaps")
        found.members = {"filled": filled, **worker("scale_ask", room=place, count=plan.members)}


def _linear(found: Found, plan: Plan) -> None:
    sources = [str(path) for path in parts(bench_data(plan.part, plan.seed), max(plan.linear), plan.seed)]
    with tempfile.TemporaryDirectory(prefix=".linear-", dir=ROOT) as place:
        _note(f"tables of {', '.join(map(str, plan.linear))} parts")
        filled = worker("linear_prepare", room=place, sources=sources, sizes=list(plan.linear))
        for size in plan.linear:
            asked = worker("linear_ask", room=place, size=size, other=plan.linear[0])
            found.linear[filled[str(size)]["rows"]] = {"upload": filled[str(size)], "asked": asked}
        size = plan.linear[-2]
        found.small_memory = {
            "rows": filled[str(size)]["rows"],
            **worker("linear_ask", memory=SMALL_MEMORY, room=place, size=size, other=plan.linear[0]),
        }


def run_uploads(plan: Plan) -> Found:
    """Measure uploads only."""
    found = Found(plan, load())
    _uploads(found, plan)
    found.load_after = load()
    return found


def _uploads(found: Found, plan: Plan) -> None:
    _note("uploads")
    data = bench_data(plan.rows, plan.seed)
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
    sized = Sized(where["rows"])
    found.sized.append(sized)
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
        sized.idle = (private[name]["idle"], raw["uuid"][name]["idle"])
        sized.asked.append(
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


def worker(kind: str, *, memory: str = "", **arguments: object) -> dict[str, Any]:
    """Run one measurement in a new process of this interpreter.

    Args:
        memory: that a question is given there, as `$CLEANROOM_MEMORY` says it; the default if empty.
    """
    ended = subprocess.run(
        [sys.executable, "-m", "bench.worker", kind, json.dumps(arguments)],
        cwd=CHECKOUT,
        env={**os.environ, "CLEANROOM_MEMORY": memory},
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise WorkerFailed(f"{kind}: {ended.stderr.strip()[-2000:]}")
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found


def _note(what: str) -> None:
    print(f"bench: {time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)
