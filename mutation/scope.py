"""What is mutated, and which tests must notice."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from mutation.mutants import Mutant, Source

ROOT: Final = Path(__file__).resolve().parents[1]


def _in(package: str, *names: str) -> tuple[str, ...]:
    return tuple(f"cleanroom.{package}.{name}" for name in names)


NAMED: Final = {
    "bounds of a person's contribution": _in(
        "query",
        "clipping",
        "bound",
        "contribution",
        "gathering",
        "in_full",
        "row_passes",
        "measures",
        "components",
        "cells",
        "row_cells",
        "unknown_keys",
        "quantiles",
        "bisecting",
        "candidates",
    ),
    "noise and price": _in(
        "query",
        "mechanisms",
        "pricing",
        "choosing",
        "noise",
        "drawing",
        "key_threshold",
        "normal",
    ),
    "gate": _in("query", "gate"),
    "binding, where the unit lives": _in("query.binding", "personal", "joins", "sets", "subqueries"),
}
"""What a person's privacy hangs on first; `make mutation` runs these, in this order."""

FURTHER: Final = {
    "plans and further rules of the gate": _in("query", "plan", "dimensions", "cohort", "sector", "evenness"),
    "privacy account": _in("accounting", "privacy_loss", "conversion", "accountant", "ledger", "reservation"),
    "what the log's noise costs": _in("room", "recorded_noise", "noise_cost"),
    "what is said after the noise": _in("query", "ranks", "totals", "consistent"),
    "relations and scans": (
        *_in("storage", "scan"),
        *_in("query", "filtering", "duckdb_sql", "duckdb_person", "pruning", "fanout"),
    ),
    "binding of the rest": _in(
        "query.binding",
        "question",
        "sources",
        "scope",
        "selects",
        "grouping",
        "keys",
        "aggregates",
        "windows",
        "releases",
        "asking",
        "written",
        "scalars",
        "functions",
        "public_columns",
        "public_constants",
        "public_selects",
        "public_terms",
        "public_windows",
    ),
}
"""What `--further` runs."""

TESTS: Final = (
    "tests/query/test_*.py",
    "tests/accounting/test_*.py",
    "tests/storage/test_*.py",
    "tests/query/binding/test_*.py",
    "tests/room/test_room_statistics.py",
    "tests/room/test_room_requests.py",
    "tests/room/test_room_refusals.py",
)
OTHER_PROCESSES: Final = {"test_admission_worker.py", "test_ledger_processes.py", "test_sabotage.py"}
"""Tests that start processes of their own, in which there is no mutant."""

_LATER: Final = {"test_any_text.py", "test_corpus.py", "test_parse.py", "test_scan.py"}
"""Tests of many modules, mapped after those of one."""


@dataclass(frozen=True)
class Scope:
    """A source tree, the modules in it that are mutated, and the files of tests."""

    root: Path
    modules: tuple[str, ...]
    tests: tuple[str, ...]

    def path(self, module: str) -> Path:
        """Return a module's file."""
        return self.root.joinpath(*module.split(".")).with_suffix(".py")

    def source(self, module: str) -> Source:
        """Parse a module, once."""
        if module not in self._sources:
            self._sources[module] = Source(module, self.path(module).read_text("utf-8"))
        return self._sources[module]

    def mutants(self, module: str) -> tuple[Mutant, ...]:
        """Return the mutants of a module."""
        return self.source(module).mutants

    def digest(self, test_file: str) -> str:
        """Return a digest of a file of tests."""
        return hashlib.sha256((self.root / test_file).read_bytes()).hexdigest()[:16]

    @cached_property
    def _sources(self) -> dict[str, Source]:
        return {}


def whole() -> Scope:
    """Return the scope of this repository."""
    files = [
        str(path.relative_to(ROOT))
        for pattern in TESTS
        for path in sorted(ROOT.glob(pattern), key=lambda each: (each.name in _LATER, each.name))
        if path.name not in OTHER_PROCESSES
    ]
    groups = [*NAMED.values(), *FURTHER.values()]
    return Scope(ROOT, tuple(module for group in groups for module in group), tuple(files))


def named() -> tuple[str, ...]:
    """Return the modules that a person's privacy hangs on first."""
    return tuple(module for group in NAMED.values() for module in group)
