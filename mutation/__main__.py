"""Run mutants, or say what became of them."""

from __future__ import annotations

import argparse
import os
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mutation import forked
from mutation.explanations import FILE, explained, explanations, stale
from mutation.line_map import LineMap, in_order
from mutation.outcome import Outcome
from mutation.report import counted, line, page
from mutation.results import Result, Results
from mutation.scope import ROOT, Scope, named, whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mutation.explanations import Explanations
    from mutation.mutants import Mutant
    from mutation.outcome import Test

PAGE = ROOT / "docs" / "mutation.md"
_EXPLAINED_SECONDS = 1.0
_NEIGHBOURS = 4
"""Killers of the same function that are tried first."""


def main() -> int:
    """Read the command line and do it."""
    parser = argparse.ArgumentParser(prog="python -m mutation", description="Mutation of what carries the guarantee.")
    parser.add_argument("--modules", nargs="*", help="modules to mutate; none: list all")
    parser.add_argument("--further", action="store_true", help="the modules beyond those named first")
    parser.add_argument("--seconds", type=float, default=10, help="usual CPU seconds of tests for one mutant")
    parser.add_argument("--spare", type=float, default=10, help="CPU seconds that a test may use beyond its usual ones")
    parser.add_argument("--again", action="store_true", help="run what is left once more, with every test")
    parser.add_argument("--left", action="store_true", help="list what is left, and run nothing")
    parser.add_argument("--check", action="store_true", help="hold the explanations against the source")
    parser.add_argument("--write", action="store_true", help="write docs/mutation.md, and run nothing")
    parser.add_argument("--map", nargs="*", metavar="FILE", help="map (these) tests to lines, and run nothing")
    parser.add_argument("--mapped", action="store_true", help="use the map as it is, of whatever tests are in it")
    parser.add_argument("--root", type=Path, help="another source tree")
    parser.add_argument("--tests", nargs="+", help="files of tests of another source tree")
    parser.add_argument("--explanations", type=Path, default=FILE)
    arguments = parser.parse_args()
    scope = whole()
    if arguments.root:
        scope = Scope(arguments.root.resolve(), tuple(arguments.modules), tuple(arguments.tests))
    modules = _modules(scope, arguments)
    if arguments.modules == []:
        print(*scope.modules, sep="\n")
        return 0
    reasons = explanations(arguments.explanations)
    if arguments.check:
        wrong = stale(scope, reasons)
        print(*wrong, f"{len(reasons)} explanations, {len(wrong)} wrong", sep="\n")
        return int(bool(wrong))
    folder = scope.root / ".mutation"
    results = Results(scope, folder)
    if arguments.write:
        PAGE.write_text(page(scope, results, reasons), "utf-8")
        return 0
    if not arguments.left:
        _run(scope, modules, results, reasons, folder, arguments)
    if arguments.map is not None:
        return 0
    left = 0
    for module in modules:
        count = counted(scope, module, results, reasons)
        print(line(count))
        for mutant in count.left:
            result = results.last(mutant)
            print(f"  {mutant.line} {mutant.within}: {mutant.change}  ({result.ran} of {result.of})" if result else "")
        left += len(count.left)
    return int(bool(left))


def _modules(scope: Scope, arguments: argparse.Namespace) -> tuple[str, ...]:
    if arguments.modules:
        return tuple(arguments.modules)
    if arguments.further:
        return tuple(module for module in scope.modules if module not in named())
    return named()


def _run(
    scope: Scope,
    modules: Sequence[str],
    results: Results,
    reasons: Explanations,
    folder: Path,
    arguments: argparse.Namespace,
) -> None:
    lines = LineMap(scope, folder)
    if arguments.map is not None:
        forked.warm()
        lines.refresh(_say, arguments.map or scope.tests)
        return
    most_seconds = 10_000.0 if arguments.again else arguments.seconds
    collected: forked.Collected | None = None
    for module in modules:
        killers: dict[str, list[str]] = defaultdict(list)
        for mutant in scope.mutants(module):
            last = results.last(mutant)
            if last and results.still_killed(last):
                killers[mutant.within].append(last.by)
                continue
            if explained(mutant, reasons) and last and last.verdict == "green":
                continue
            if arguments.again and last is None:
                continue
            if collected is None:
                # Not before it is known that there is something to run.
                forked.warm()
                if not arguments.mapped:
                    lines.refresh(_say, scope.tests)
                collected = forked.Collected(scope, lines.files())
            covering = lines.covering(mutant)
            files = {test.name.split("::")[0] for test in covering}
            if last and results.still_green(last, files, len(covering), most_seconds):
                continue
            first = list(dict.fromkeys([*([last.by] if last else []), *killers[mutant.within][::-1]]))[:_NEIGHBOURS]
            # The map may be older than the tests: what is gone since is no test.
            there = [test for test in covering if test.name in collected.names]
            # What is explained is run too, since a test may notice it after all; but not for long.
            enough = min(most_seconds, _EXPLAINED_SECONDS) if explained(mutant, reasons) else most_seconds
            tests = [replace(each, spare=arguments.spare) for each in in_order(there, first, module, enough)]
            if not tests:
                outcome = Outcome("green")
            else:
                anew = lines.too_late(mutant, tests)
                now = [test for test in tests if test not in anew]
                outcome = collected.run(mutant, now) if now else Outcome("green")
                if anew and not outcome.killed:
                    outcome = outcome.followed_by(forked.run_anew(scope, mutant, anew))
            _note(results, mutant, outcome, covering, files, enough)
            if outcome.killed:
                killers[mutant.within].append(outcome.by)
        results.settle(module)
        _say(line(counted(scope, module, results, reasons)))
    if collected:
        collected.close()


def _note(
    results: Results,
    mutant: Mutant,
    outcome: Outcome,
    covering: Sequence[Test],
    files: set[str],
    most_seconds: float,
) -> None:
    result = Result(
        mutant.module,
        mutant.within,
        mutant.definition,
        mutant.change,
        outcome.verdict,
        outcome.by,
        len(outcome.passed) + outcome.killed,
        len(covering),
        most_seconds,
        results.test_digest(outcome.by) if outcome.killed else results.depends_on(files),
    )
    results.add(result)
    if not outcome.killed:
        _say(f"  {outcome.verdict}: {mutant.module}:{mutant.line} {mutant.within}: {mutant.change} {outcome.why}")


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    # Not through the libraries' own endings, which speak of forked processes' leaks.
    os._exit(status)
