"""Run tests of a collected pytest session, one after another, to the first that fails."""

from __future__ import annotations

import os
import resource
from typing import TYPE_CHECKING, Any, Final

import pytest

from mutation.children import cpu

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mutation.outcome import Test
    from mutation.scope import Scope

_TIMES: Final = 4
"""A test may use this many times its usual CPU seconds, and some to spare."""


class Chosen:
    """Runs chosen tests in a given order, in the process that collected them."""

    def __init__(self, tests: Sequence[Test], report: Callable[[dict[str, Any]], None]) -> None:
        self._tests = tests
        self._report = report
        self.ran = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run them instead of all."""
        items = {item.nodeid: item for item in session.items}
        self.ran = True
        missing = [test.name for test in self._tests if test.name not in items]
        if missing:
            self._report({"verdict": "red", "by": "collection", "why": f"{missing[0]} is not there"})
        else:
            run([items[test.name] for test in self._tests], self._tests, self._report, None)
        return True


class Tracer:
    """Which lines of the mutated modules run."""

    def __init__(self, scope: Scope) -> None:
        import coverage

        self._files = {str(scope.path(module)): module for module in scope.modules}
        self._coverage = coverage.Coverage(data_file=None, include=list(self._files), config_file=False)

    def start(self) -> None:
        """Begin to note lines."""
        self._coverage.start()

    def stop(self) -> dict[str, list[int]]:
        """Return the lines of each module that ran since."""
        self._coverage.stop()
        data = self._coverage.get_data()
        found = {module: sorted(data.lines(file) or ()) for file, module in self._files.items()}
        return {module: lines for module, lines in found.items() if lines}


def run(
    items: Sequence[pytest.Item],
    tests: Sequence[Test],
    report: Callable[[dict[str, Any]], None],
    tracer: Tracer | None,
) -> None:
    """Run tests one after another and report each; stop at the first that fails."""
    passed: list[tuple[str, float]] = []
    lines = {}
    for item, after, test in zip(items, [*items[1:], None], tests, strict=True):
        start = cpu()
        most = int(start + test.spare + _TIMES * test.seconds) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (most, resource.RLIM_INFINITY))
        report({"verdict": "started", "by": test.name, "passed": passed})
        try:
            if tracer:
                tracer.start()
            try:
                item.ihook.pytest_runtest_setup(item=item)
                item.ihook.pytest_runtest_call(item=item)
            finally:
                if tracer:
                    lines[test.name] = tracer.stop()
        except pytest.skip.Exception:
            _torn_down(item, after)
        except BaseException as error:
            why = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}"
            report({"verdict": "red", "by": test.name, "why": why, "passed": passed})
            os._exit(0)
        else:
            _torn_down(item, after)
        passed.append((test.name, round(cpu() - start, 4)))
    report({"verdict": "green", "passed": passed, "lines": lines})


def _torn_down(item: pytest.Item, after: pytest.Item | None) -> None:
    """End a test; fixtures of folders look for its report."""
    ended: pytest.CallInfo[None] = pytest.CallInfo.from_call(lambda: None, when="call")
    item.ihook.pytest_runtest_makereport(item=item, call=ended)
    item.ihook.pytest_runtest_teardown(item=item, nextitem=after)
