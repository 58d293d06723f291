"""What became of each mutant, so that a run goes on where the last one ended, in whatever copy of the source.

`mutation/results/` holds a table for each module, to be committed; what a run found since is at once in `.mutation/`,
and in the tables when its module is through.
"""

from __future__ import annotations

import ast
import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from mutation.mutants import Mutant
    from mutation.scope import Scope

_COLUMNS: Final = "definition\tdigest\tverdict\tran/of\tseconds\tdepends\ttest\tchange"


@dataclass(frozen=True)
class Result:
    """What became of a mutant.

    Args:
        module: the mutant's.
        within: the definition that it changes.
        digest: of that definition.
        change: the mutant's.
        verdict: as `running.Outcome` has it; `green` is a survivor.
        by: the test at which it ended.
        ran: tests that ran.
        of: tests that run the changed line.
        most_seconds: CPU seconds of tests that it was given.
        depends: a digest of the test that noticed; of a survivor, of the files of tests that run the line.
    """

    module: str
    within: str
    digest: str
    change: str
    verdict: str
    by: str
    ran: int
    of: int
    most_seconds: float
    depends: str

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Name the mutant and the definition as it was."""
        return self.module, self.within, self.digest, self.change

    @property
    def killed(self) -> bool:
        """Whether a test noticed."""
        return self.verdict not in {"green", "fault"}


class Results:
    """The results so far; the last of a mutant counts."""

    def __init__(self, scope: Scope, folder: Path) -> None:
        self._scope = scope
        self._tables = scope.root / "mutation" / "results"
        self._file = folder / "results.jsonl"
        self._kept: dict[tuple[str, str, str, str], Result] = {}
        for module in scope.modules:
            for result in self._read(module):
                self._kept[result.key] = result
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

    def settle(self, module: str) -> None:
        """Write the table of a module: its mutants as they are, in the order of the text."""
        rows = [_COLUMNS]
        before: tuple[str, str] | None = None
        for mutant in self._scope.mutants(module):
            result = self.last(mutant)
            if result is None or result.verdict == "fault":
                continue
            # A definition is named once, so that the table stays small.
            definition = ("", "") if before == (result.within, result.digest) else (result.within, result.digest)
            before = result.within, result.digest
            count = f"{result.ran}/{result.of}"
            cells = [*definition, result.verdict, count, f"{result.most_seconds:g}", result.depends, result.by]
            rows.append("\t".join([*cells, result.change]))
        if len(rows) > 1:
            self._tables.mkdir(parents=True, exist_ok=True)
            self._table(module).write_text("\n".join(rows) + "\n", "utf-8")

    def last(self, mutant: Mutant) -> Result | None:
        """Return the last result of a mutant, whatever became of the tests since."""
        return self._kept.get((mutant.module, mutant.within, mutant.definition, mutant.change))

    def depends_on(self, files: Iterable[str]) -> str:
        """Return a digest of files of tests."""
        each = "\0".join(f"{file}={self._scope.digest(file)}" for file in sorted(set(files)))
        return hashlib.sha256(each.encode()).hexdigest()[:8]

    def test_digest(self, test: str) -> str:
        """Return a digest of a test function; nothing of one that is not there."""
        file, _, name = test.partition("::")
        if file not in self._functions:
            path = self._scope.root / file
            tree = ast.parse(path.read_text("utf-8")) if path.is_file() else ast.Module([], [])
            self._functions[file] = {
                node.name: hashlib.sha256(ast.dump(node).encode()).hexdigest()[:8]
                for node in ast.walk(tree)
                if isinstance(node, ast.FunctionDef)
            }
        return self._functions[file].get(name.partition("[")[0].rpartition("::")[2], "")

    def still_killed(self, result: Result) -> bool:
        """Whether the test that noticed a mutant is as it was; what is noticed at import stays so."""
        return result.killed and (not result.by.startswith("tests/") or result.depends == self.test_digest(result.by))

    def still_green(self, result: Result, covering: Iterable[str], tests: int, most_seconds: float) -> bool:
        """Whether a survivor has nothing more to fear from the tests as they are.

        Args:
            covering: files of the tests that run the changed line.
            tests: how many these are.
            most_seconds: that a survivor must have been given at least.
        """
        enough = result.most_seconds >= most_seconds or result.ran == result.of
        return (
            result.verdict == "green" and enough and result.of == tests and result.depends == self.depends_on(covering)
        )

    def _table(self, module: str) -> Path:
        return self._tables / f"{module.removeprefix('cleanroom.')}.tsv"

    def _read(self, module: str) -> Iterator[Result]:
        if not self._table(module).exists():
            return
        within = digest = ""
        for row in self._table(module).read_text("utf-8").splitlines()[1:]:
            name, mark, verdict, count, seconds, depends, by, change = row.split("\t")
            within, digest = (name, mark) if mark else (within, digest)
            ran, _, of = count.partition("/")
            yield Result(module, within, digest, change, verdict, by, int(ran), int(of), float(seconds), depends)

    @cached_property
    def _functions(self) -> dict[str, dict[str, str]]:
        return {}
