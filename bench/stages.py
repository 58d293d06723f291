"""Find out where time goes: wrap the functions that are a stage's door, and count what each uses by itself.

The product is not changed: its names are replaced in this process alone, in a worker that profiles and does nothing
else. A name that the product no longer has is reported, so that a profile with a hole does not look whole.
"""

from __future__ import annotations

import functools
import importlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

Door = tuple[str, str, str]
"""Stage, module, and the function's name in it; `Class.method` for a method."""

_SCAN: Final = "cleanroom.storage.scan"
_DUCKDB: Final = "cleanroom.query.duckdb_backend"
_QUESTION: Final = "cleanroom.room.question"

TICK: Final[Door] = ("waiting for the tick", _QUESTION, "wait_for_tick")
"""Answers leave on a tick, so that durations tell little (S42): wall time that nobody works in."""

QUESTION_DOORS: Final[tuple[Door, ...]] = (
    TICK,
    ("admission", _QUESTION, "admit"),
    ("rulebook", "cleanroom.room.registry", "rulebook"),
    ("charge and log", _QUESTION, "charge"),
    ("keys", _QUESTION, "open_data_keys"),
    ("open files", "cleanroom.storage.partition_store", "PartitionStore.open"),
    ("read and decrypt", "cleanroom.storage.partition_store", "PartitionReader.read"),
    ("scan: runs of tokens", _SCAN, "runs_of"),
    ("scan: columns as admitted", _SCAN, "_column"),
    ("scan: rest", "cleanroom.query.numbered", "scan"),
    ("ranks", "cleanroom.query.merge_backend", "numbered"),
    ("ranks", _DUCKDB, "numbered"),
    ("merging", "cleanroom.query.merging", "runs"),
    ("merging: rest", "cleanroom.query.merge_backend", "person_rows"),
    ("read printed SQL again", _DUCKDB, "read_again"),
    ("DuckDB and Arrow out", _DUCKDB, "DuckDBBackend._run"),
    ("DuckDB: open", _DUCKDB, "DuckDBBackend.__init__"),
    ("print the SQL", _DUCKDB, "statement"),
    ("hand tables to DuckDB", _DUCKDB, "DuckDBBackend._register"),
    ("DuckDB: rest", _DUCKDB, "DuckDBBackend.rows"),
    ("backend: rest", "cleanroom.query.merge_backend", "MergeBackend.rows"),
    ("contribution: cells", "cleanroom.query.contribution", "cells_of_rows"),
    ("contribution: persons in full", "cleanroom.query.contribution", "add_in_full"),
    ("contribution: persons one by one", "cleanroom.query.contribution", "_add_persons"),
    ("contribution: rest", "cleanroom.query.contribution", "contributions"),
    ("noise", _QUESTION, "draw"),
    ("answer table", _QUESTION, "answer_table"),
    ("log the release", _QUESTION, "log_release"),
    ("cost lines", _QUESTION, "costs"),
)
UPLOAD_DOORS: Final[tuple[Door, ...]] = (
    ("check encoding", "cleanroom.client.read_table", "find_text"),
    ("find written forms", "cleanroom.client.reading", "written_form"),
    ("normalise", "cleanroom.client.conform", "normalise_column"),
    ("conform columns", "cleanroom.client.conform", "conform_column"),
    ("token", "cleanroom.client.order", "token_column"),
    ("token as numbers", "cleanroom.client.order", "halves"),
    ("runs", "cleanroom.client.order", "Runs.add"),
    ("sort", "cleanroom.client.order", "Runs._sorted"),
    ("to Arrow", "cleanroom.client.order", "_arrow"),
    ("Parquet and encrypt", "cleanroom.client.upload", "write_table_file"),
    ("digest", "cleanroom.client.upload", "file_facts"),
    ("sign and write package", "cleanroom.client.upload", "write_package"),
    ("read files, rest of prepare", "cleanroom.room.sending", "prepare"),
    ("intake: read package", "cleanroom.storage.intake", "read_package"),
    ("intake: read package", "cleanroom.room.hand_in", "read_package"),
    ("intake: verify", "cleanroom.room.hand_in", "verify_package"),
    ("intake: store", "cleanroom.storage.partition_store", "PartitionStore.place"),
    ("intake: record and log", "cleanroom.room.hand_in", "_record"),
)


_AT_THE_SAME_TIME: Final = (
    "cleanroom.client.gather",
    "cleanroom.client.read_table",
    "cleanroom.client.upload",
    "cleanroom.query.contribution",
)


def one_after_another() -> None:
    """Let stages run in turn, not at the same time, so that each one's seconds are its own."""
    for module in _AT_THE_SAME_TIME:
        found: Any = importlib.import_module(module)
        if not hasattr(found, "ahead"):
            raise AttributeError(f"{module}.ahead")
        found.ahead = lambda items, depth=1: items


@dataclass(slots=True)
class Stages:
    """CPU and wall seconds that each stage used by itself, without the stages it called."""

    cpu: dict[str, float] = field(default_factory=dict)
    wall: dict[str, float] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    _open: list[list[float]] = field(default_factory=list)

    def install(self, doors: tuple[Door, ...]) -> None:
        """Wrap every door."""
        for stage, module, name in doors:
            try:
                owner: Any = importlib.import_module(module)
                *path, last = name.split(".")
                for part in path:
                    owner = getattr(owner, part)
                call = getattr(owner, last)
            except (ImportError, AttributeError):
                self.missing.append(f"{module}.{name}")
                continue
            setattr(owner, last, self._wrapped(stage, call))

    def clear(self) -> None:
        """Begin again."""
        self.cpu.clear()
        self.wall.clear()

    def timed(self, stage: str, call: Callable[[], object]) -> None:
        """Call as a stage of its own, which gets what no other stage inside takes."""
        self._wrapped(stage, call)()

    def _wrapped(self, stage: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def run(*arguments: Any, **named: Any) -> Any:
            inside = [0.0, 0.0]
            self._open.append(inside)
            cpu, wall = time.process_time(), time.perf_counter()
            try:
                return call(*arguments, **named)
            finally:
                cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
                self._open.pop()
                self.cpu[stage] = self.cpu.get(stage, 0.0) + cpu - inside[0]
                self.wall[stage] = self.wall.get(stage, 0.0) + wall - inside[1]
                if self._open:
                    self._open[-1][0] += cpu
                    self._open[-1][1] += wall

        return run

    def written(self, runs: int) -> dict[str, object]:
        """Return the mean of `runs` runs as a worker hands it over."""
        return {
            "cpu": {stage: value / runs for stage, value in self.cpu.items() if stage in self.wall},
            "wall": {stage: value / runs for stage, value in self.wall.items()},
            "missing": self.missing,
        }
