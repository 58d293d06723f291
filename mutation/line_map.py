"""Which test runs which lines, and how long it takes: made once for each file of tests, kept under `.mutation/`."""

from __future__ import annotations

import ast
import hashlib
import json
from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from mutation.forked import Collected
from mutation.outcome import Test

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from pathlib import Path

    from mutation.mutants import Mutant
    from mutation.scope import Scope

_QUICK: Final = 60.0
"""A test that takes longer than this, in CPU seconds and plain Python, is for `make soak` in this tool's eyes."""


class LineMap:
    """Tests by line. A line is kept as a function and a distance from its start, so that others may move."""

    def __init__(self, scope: Scope, folder: Path) -> None:
        self._scope = scope
        self._file = folder / "tests.json"
        self._kept: dict[str, Any] = json.loads(self._file.read_text("utf-8")) if self._file.exists() else {}

    def stale(self) -> list[str]:
        """Return the files of tests that changed since they were mapped."""
        kept = {file: each["digest"] for file, each in self._kept.get("files", {}).items()}
        return [file for file in self._scope.tests if kept.get(file) != self._scope.digest(file)]

    def files(self) -> list[str]:
        """Return the files of tests that are in the map."""
        return [file for file in self._scope.tests if file in self._kept.get("files", {})]

    def refresh(self, say: Callable[[str], None], wanted: Collection[str]) -> None:
        """Map those of the wanted files of tests that changed."""
        files = self._kept.setdefault("files", {})
        for gone in set(files) - set(self._scope.tests):
            del files[gone]
        stale = [file for file in self.stale() if file in wanted]
        if not stale and "at_import" in self._kept:
            return
        collected = Collected(self._scope, stale or self._scope.tests, traced=True)
        at_import = self._kept.setdefault("at_import", {})
        at_import |= {name: self._relative(found) for name, found in collected.at_import.items()}
        for file in stale:
            tests: dict[str, Any] = {}
            for name in (each for each in collected.tests if each.split("::")[0] == file):
                outcome = collected.run(None, [Test(name, _QUICK)], traced=True)
                lines = self._relative(outcome.lines.get(name, {}))
                seconds = outcome.passed[0].seconds if outcome.passed else 0.0
                if outcome.verdict != "green":
                    say(f"  not used, {outcome.verdict} without a mutant: {name} {outcome.why}")
                elif lines and seconds <= _QUICK:
                    tests[name] = {"seconds": seconds, "lines": lines}
            files[file] = {"digest": self._scope.digest(file), "tests": tests, "bodies": self._bodies}
            say(f"  {file}: {len(tests)} tests, {sum(each['seconds'] for each in tests.values()):.0f} s")
            self._file.parent.mkdir(exist_ok=True)
            made = self._file.with_suffix(".new")
            made.write_text(json.dumps(self._kept), "utf-8")
            made.replace(self._file)
        collected.close()
        self.__dict__.pop("_by_place", None)

    def covering(self, mutant: Mutant) -> list[Test]:
        """Return the tests that run a mutant's line; of a statement that runs at import, those that use its names."""
        if mutant.function is not None:
            name = self._place(mutant.module, mutant.line).split(":")[0]
            ran = dict(self._by_place.get((mutant.module, f"{name}:?"), {}))
            for line in range(mutant.statement, mutant.line + 1):
                ran |= self._by_place.get((mutant.module, self._place(mutant.module, line)), {})
            # Of a function that is not in the map, any test of the module may be a test.
            return list(ran or self._by_place.get((mutant.module, name), {})) or self.all_of(mutant.module)
        name = mutant.within.split(".")[0]
        found: dict[Test, None] = {}
        for module in self._scope.modules:
            for line in _lines_naming(self._scope.source(module).tree, name, also=module == mutant.module):
                found |= self._by_place.get((module, self._place(module, line)), {})
        return list(found) or self.all_of(mutant.module)

    def all_of(self, module: str) -> list[Test]:
        """Return the tests that run any function of a module."""
        found: dict[Test, None] = {}
        for (mine, _), tests in self._by_place.items():
            if mine == module:
                found |= tests
        return list(found)

    def too_late(self, mutant: Mutant, tests: Sequence[Test]) -> list[Test]:
        """Return the tests before which the mutated code has run already, so that it cannot be exchanged for them.

        It has run before all of them where it runs as its module is imported; else before those of the files of tests
        whose collection runs it.
        """
        if mutant.function is None or self._ran(mutant, ""):
            return list(tests)
        return [test for test in tests if self._ran(mutant, test.name.split("::")[0])]

    def _ran(self, mutant: Mutant, collected: str) -> bool:
        places = self._kept["at_import"].get(collected, {}).get(mutant.module, ())
        return self._names(mutant.module).get(mutant.line, "") in {place.split(":")[0] for place in places}

    @cached_property
    def _by_place(self) -> dict[tuple[str, str], dict[Test, None]]:
        found: dict[tuple[str, str], dict[Test, None]] = defaultdict(dict)
        for file in self._kept["files"].values():
            for name, each in file["tests"].items():
                test = Test(name, each["seconds"], breadth=sum(map(len, each["lines"].values())))
                for module, places in each["lines"].items():
                    then, now = file.get("bodies", {}).get(module, {}), self._bodies.get(module, {})
                    for place in places:
                        function = place.split(":")[0]
                        # Of a function that changed since it is known only that the test runs it.
                        same = function in then and then[function] == now.get(function)
                        found[module, place if same else f"{function}:?"][test] = None
                        found[module, function][test] = None
        return dict(found)

    def _relative(self, lines: dict[str, list[int]]) -> dict[str, list[str]]:
        return {
            module: sorted({self._place(module, line) for line in numbers if self._names(module).get(line)})
            for module, numbers in lines.items()
        }

    def _place(self, module: str, line: int) -> str:
        name = self._names(module).get(line, "")
        return f"{name}:{line - self._starts[module].get(name, 0)}"

    def _names(self, module: str) -> dict[int, str]:
        """Return the function whose body each line is in; lines that run at import have none."""
        if module not in self._spans:
            spans: dict[int, str] = {}
            starts: dict[str, int] = {}
            _spread(self._scope.source(module).tree, "", spans, starts)
            self._spans[module], self._starts[module] = spans, starts
        return self._spans[module]

    @cached_property
    def _bodies(self) -> dict[str, dict[str, str]]:
        """A digest of each function, as it is."""
        return {module: _digests(self._scope.source(module).tree) for module in self._scope.modules}

    @cached_property
    def _spans(self) -> dict[str, dict[int, str]]:
        return {}

    @cached_property
    def _starts(self) -> dict[str, dict[str, int]]:
        return {}


def _spread(node: ast.AST, name: str, spans: dict[int, str], starts: dict[str, int]) -> None:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.ClassDef)):
            inner = f"{name}.{child.name}" if name else child.name
            if isinstance(child, ast.FunctionDef):
                inner = f"{inner}@{sum(each.startswith(f'{inner}@') for each in starts)}"
                starts[inner] = child.lineno
                first = child.body[0].lineno
                spans |= dict.fromkeys(range(max(first, child.lineno), (child.end_lineno or first) + 1), inner)
                continue
            _spread(child, inner, spans, starts)
        else:
            _spread(child, name, spans, starts)


def _digests(tree: ast.AST) -> dict[str, str]:
    spans: dict[int, str] = {}
    starts: dict[str, int] = {}
    _spread(tree, "", spans, starts)
    functions = {node.lineno: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    return {name: hashlib.sha256(ast.dump(functions[line]).encode()).hexdigest()[:12] for name, line in starts.items()}


def _lines_naming(tree: ast.AST, name: str, *, also: bool) -> Iterable[int]:
    """Yield the lines that name something; of its own module also the lines of a class of that name."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=found, lineno=line) | ast.Attribute(attr=found, lineno=line) if found == name:
                yield line
            case ast.ClassDef(name=found, lineno=line, end_lineno=end) if also and found == name:
                yield from range(line, (end or line) + 1)


def in_order(tests: Sequence[Test], first: Sequence[str], module: str, most_seconds: float) -> list[Test]:
    """Order tests: known killers, those of a file named after the module, then of each function three, three more, …

    Of these the quick ones that run few lines come first: such a test is about the lines it runs.

    Args:
        first: names of tests that killed a neighbour, latest first.
        module: that is mutated.
        most_seconds: usual CPU seconds of all together; the first are kept.
    """
    known = {name: place for place, name in enumerate(first)}
    ranks: dict[str, int] = defaultdict(int)
    own = f"test_{module.rpartition('.')[2]}"
    ordered: list[tuple[int, bool, int, float, Test]] = []
    for test in sorted(tests, key=lambda each: (each.seconds, each.name)):
        function = test.name.split("[")[0]
        place = known.get(test.name, len(known))
        elsewhere = not test.name.rpartition("/")[2].startswith(own)
        ordered.append((place, elsewhere, ranks[function] // 3, test.seconds * test.breadth, test))
        ranks[function] += 1
    ordered.sort(key=lambda each: each[:4])
    kept: list[Test] = []
    total = 0.0
    for *_, test in ordered:
        if kept and total + test.seconds > most_seconds:
            continue
        kept.append(test)
        total += test.seconds
    return kept
