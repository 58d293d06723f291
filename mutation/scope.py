"""What is mutated, and which tests must notice."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from mutation.mutants import Mutant, Source

ROOT: Final = Path(__file__).resolve().parents[1]

GROUPS: Final = {
    "bounds of a person's contribution": (
        "cleanroom.query.contribution",
        "cleanroom.query.clipping",
        "cleanroom.query.bound",
        "cleanroom.query.components",
        "cleanroom.query.cells",
        "cleanroom.query.row_cells",
        "cleanroom.query.unknown_keys",
        "cleanroom.query.quantiles",
        "cleanroom.query.normal",
    ),
    "noise and price": (
        "cleanroom.query.mechanisms",
        "cleanroom.query.pricing",
        "cleanroom.query.noise",
        "cleanroom.query.key_threshold",
        "cleanroom.query.drawing",
        "cleanroom.query.plan",
    ),
    "gate": (
        "cleanroom.query.gate",
        "cleanroom.query.dimensions",
        "cleanroom.query.cohort",
        "cleanroom.query.sector",
        "cleanroom.query.evenness",
    ),
    "privacy account": (
        "cleanroom.accounting.privacy_loss",
        "cleanroom.accounting.accountant",
        "cleanroom.accounting.ledger",
        "cleanroom.accounting.reservation",
    ),
    "relations and scans": (
        "cleanroom.storage.scan",
        "cleanroom.query.duckdb_sql",
        "cleanroom.query.duckdb_person",
        "cleanroom.query.pruning",
        "cleanroom.query.fanout",
    ),
    "binding, where the unit lives": tuple(
        f"cleanroom.query.binding.{name}"
        for name in (
            "question",
            "joins",
            "sets",
            "subqueries",
            "personal",
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
        )
    ),
}
TESTS: Final = (
    "tests/query/test_*.py",
    "tests/accounting/test_*.py",
    "tests/storage/test_*.py",
    "tests/query/binding/test_*.py",
    "tests/room/test_room_statistics.py",
    "tests/room/test_room_requests.py",
    "tests/room/test_room_refusals.py",
)
OTHER_PROCESSES: Final = {"test_sabotage.py"}
"""Tests that start processes of their own, in which there is no mutant."""

_LATER: Final = {"test_corpus.py", "test_parse.py", "test_scan.py"}
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
    return Scope(ROOT, tuple(module for group in GROUPS.values() for module in group), tuple(files))
