"""What became of each mutant: lines of JSON under `.mutation/`, so that a run goes on where the last one ended."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from mutation.mutants import Mutant
    from mutation.scope import Scope


@dataclass(frozen=True)
class Result:
    """What became of a mutant.

    Args:
        key: of the mutant and the definition that it changes.
        verdict: as `forked.Outcome` has it; `green` is a survivor.
        by: the test at which it ended.
        why: the exception of that test.
        ran: tests that ran.
        of: tests that run the changed line.
        most_seconds: CPU seconds of tests that it was given.
        tests: a digest of the files of tests that the verdict depends on.
        module: the mutant's, for people who read the file.
        within: the mutant's.
        change: the mutant's.
    """

    key: str
    verdict: str
    by: str
    why: str
    ran: int
    of: int
    most_seconds: float
    tests: str
    module: str
    within: str
    change: str

    @property
    def killed(self) -> bool:
        """Whether a test noticed."""
        return self.verdict not in {"green", "fault"}


class Results:
    """The results so far; the last of a mutant counts."""

    def __init__(self, scope: Scope, folder: Path) -> None:
        self._scope = scope
        self._file = folder / "results.jsonl"
        self._kept: dict[str, Result] = {}
        if self._file.exists():
            for line in self._file.read_text("utf-8").splitlines():
                result = Result(**json.loads(line))
                self._kept[result.key] = result

    def add(self, result: Result) -> None:
        """Keep a result, on disk at once."""
        self._kept[result.key] = result
        self._file.parent.mkdir(exist_ok=True)
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(result), ensure_ascii=False) + "\n")

    def last(self, mutant: Mutant) -> Result | None:
        """Return the last result of a mutant, whatever became of the tests since."""
        return self._kept.get(mutant.key)

    def depends_on(self, files: Iterable[str]) -> str:
        """Return a digest of files of tests."""
        each = "\0".join(
            f"{file}={self._scope.digest(file) if (self._scope.root / file).is_file() else ''}"
            for file in sorted(set(files))
        )
        return hashlib.sha256(each.encode()).hexdigest()[:16]

    def still(self, result: Result, covering: Iterable[str], tests: int, most_seconds: float) -> bool:
        """Whether a result holds for the tests as they are.

        Args:
            covering: files of the tests that run the changed line.
            tests: how many these are.
            most_seconds: that a survivor must have been given at least.
        """
        if result.verdict == "fault":
            return False
        if result.killed:
            return not result.by.startswith("tests/") or result.tests == self.depends_on([result.by.split("::")[0]])
        enough = result.most_seconds >= most_seconds or result.ran == result.of
        return enough and result.of == tests and result.tests == self.depends_on(covering)
