"""Run tests in forked processes of a warm one, with or without a mutant.

Two kinds of warm process. `Collected` has imported everything and collected the tests; in its children the code of one
function is exchanged, so that a mutant costs its tests only. What ran at import, or as a file of tests was collected,
cannot be exchanged afterwards: for such tests a child of a process that has only imported libraries imports the package
anew.

Compiled code runs as plain Python (NUMBA_DISABLE_JIT), so that no stale kernel stands for a mutant.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import resource
import shutil
import sys
import tempfile
import warnings
from typing import TYPE_CHECKING, Any, Final

import pytest

from mutation.children import cpu, in_child, quiet
from mutation.exchange import Finder, exchanged, functions_of
from mutation.outcome import Outcome, Test, outcome
from mutation.session import Chosen, Tracer, run

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from mutation.mutants import Mutant
    from mutation.scope import Scope

_LIBRARIES: Final = (
    "cryptography.hazmat.primitives.ciphers.aead",
    "duckdb",
    "hypothesis.strategies",
    "numba",
    "opendp.prelude",
    "pandas",
    "polars",
    "pyarrow.compute",
    "pyarrow.parquet",
    "pytest",
    "sqlglot",
    "yaml",
)
_OPTIONS: Final = ["-q", "-s", "--tb=no", "--no-header", "-p", "no:cacheprovider", "-p", "no:xdist", "-W", "ignore"]


def warm() -> None:
    """Import the libraries, and nothing of ours."""
    os.environ["NUMBA_DISABLE_JIT"] = "1"
    os.environ["HYPOTHESIS_PROFILE"] = "unshrunk"
    os.environ["OMP_NUM_THREADS"] = "1"
    warnings.simplefilter("ignore")
    for library in _LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(library)
    gc.freeze()


class Collected:
    """A process in which the tests are collected, and which forks for each mutant."""

    def __init__(self, scope: Scope, files: Sequence[str], *, traced: bool = False) -> None:
        asking, self._requests = os.pipe()
        self._replies, replying = os.pipe()
        self._process = os.fork()
        if self._process == 0:
            os.close(self._requests)
            os.close(self._replies)
            quiet()
            status = _collect(scope, files, _Loop(scope, asking, replying, traced=traced))
            os.write(replying, f"{json.dumps({'verdict': 'fault', 'why': f'collection: {status}'})}\n".encode())
            os._exit(0)
        os.close(asking)
        os.close(replying)
        self._lines = os.fdopen(self._replies, "r", encoding="utf-8")
        ready = json.loads(self._lines.readline() or "{}")
        if "tests" not in ready:
            raise RuntimeError(f"the tests could not be collected: {ready}")
        self.tests: tuple[str, ...] = tuple(ready["tests"])
        self.names = frozenset(self.tests)
        self.at_import: dict[str, dict[str, list[int]]] = ready["at_import"]
        """Lines that run as the modules are imported (under an empty name), and as each file of tests is collected."""

    def run(self, mutant: Mutant | None, tests: Sequence[Test], *, traced: bool = False) -> Outcome:
        """Run tests until one notices."""
        place = None if mutant is None else mutant.source.mutants.index(mutant)
        request = {
            "module": mutant and mutant.module,
            "place": place,
            "tests": [(test.name, test.seconds, test.spare) for test in tests],
            "traced": traced,
        }
        os.write(self._requests, f"{json.dumps(request)}\n".encode())
        return outcome(json.loads(self._lines.readline()))

    def close(self) -> None:
        """End the process."""
        os.close(self._requests)
        self._lines.close()
        os.waitpid(self._process, 0)


def run_anew(scope: Scope, mutant: Mutant, tests: Sequence[Test]) -> Outcome:
    """Import the package with a mutant and run tests on it until one notices.

    Most are noticed by the first file of tests; the others are collected when they are wanted.
    """
    first = [test for test in tests if _file(test) == _file(tests[0])]
    rest = [test for test in tests if _file(test) != _file(tests[0])]
    found = _anew(scope, mutant, first)
    if found.verdict != "green" or not rest:
        return found
    return found.followed_by(_anew(scope, mutant, rest))


def _file(test: Test) -> str:
    return test.name.split("::")[0]


def _anew(scope: Scope, mutant: Mutant, tests: Sequence[Test]) -> Outcome:
    files = list(dict.fromkeys(_file(test) for test in tests))

    def child(report: Callable[[dict[str, Any]], None]) -> None:
        sys.meta_path.insert(0, Finder(scope, mutant))
        runner = Chosen(tests, report)
        # Collection too, where the mutant may run.
        resource.setrlimit(resource.RLIMIT_CPU, (int(cpu()) + 60, resource.RLIM_INFINITY))
        status = _collect(scope, files, runner)
        if not runner.ran:
            # A module that cannot be imported any more is noticed by every test.
            report({"verdict": "red", "by": "import", "why": f"collection ended with {status}"})

    return outcome(in_child(child))


def _collect(scope: Scope, files: Sequence[str], plugin: object) -> object:
    base = tempfile.mkdtemp(prefix="mutation-")
    try:
        os.chdir(scope.root)
        sys.path.insert(0, str(scope.root))
        return pytest.main([*_OPTIONS, f"--basetemp={base}/tests", f"--rootdir={scope.root}", *files], [plugin])
    except BaseException as error:
        return repr(error)[:500]
    finally:
        shutil.rmtree(base, ignore_errors=True)


class _Loop:
    """Stands where pytest would run its tests: answers requests instead."""

    def __init__(self, scope: Scope, requests: int, replies: int, *, traced: bool) -> None:
        self._scope = scope
        self._requests = os.fdopen(requests, "r", encoding="utf-8")
        self._replies = replies
        self._traced = traced
        self._at_import: dict[str, dict[str, list[int]]] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        """Import the mutated modules before any file of tests does, so that what runs then is told apart."""
        with self._noted(""):
            for module in self._scope.modules:
                importlib.import_module(module)

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(self, collector: pytest.Collector) -> Generator[None, Any, Any]:
        """Note what the collection of a file of tests runs."""
        if not isinstance(collector, pytest.Module):
            return (yield)
        with self._noted(collector.nodeid):
            return (yield)

    @contextlib.contextmanager
    def _noted(self, name: str) -> Iterator[None]:
        tracer = Tracer(self._scope) if self._traced else None
        if tracer:
            tracer.start()
        yield
        if tracer:
            self._at_import[name] = tracer.stop()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Answer requests."""
        items = {item.nodeid: item for item in session.items if item.get_closest_marker("soak") is None}
        self._reply({"tests": list(items), "at_import": self._at_import})
        functions = functions_of({str(self._scope.path(module)) for module in self._scope.modules})
        gc.freeze()
        for line in self._requests:
            request = json.loads(line)
            tests = [Test(*each) for each in request["tests"]]
            mutant = None if request["module"] is None else self._scope.mutants(request["module"])[request["place"]]

            def child(
                report: Callable[[dict[str, Any]], None],
                tests: list[Test] = tests,
                mutant: Mutant | None = mutant,
                traced: bool = request["traced"],
            ) -> None:
                if mutant is not None and not exchanged(self._scope, mutant, functions):
                    report({"verdict": "fault", "why": "no function to exchange"})
                    return
                run([items[test.name] for test in tests], tests, report, Tracer(self._scope) if traced else None)

            self._reply(in_child(child))
        os._exit(0)

    def _reply(self, reply: dict[str, Any]) -> None:
        text = f"{json.dumps(reply)}\n".encode()
        while text:
            text = text[os.write(self._replies, text) :]
