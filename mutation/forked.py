"""Run tests in forked processes of a warm one, with or without a mutant.

Two kinds of warm process. `Collected` has imported everything and collected the tests; in its children the code of one
function is exchanged, so that a mutant costs its tests only. What runs at import or collection cannot be exchanged
afterwards: for such a mutant a child of a process that has only imported libraries imports the package anew.

Compiled code runs as plain Python (NUMBA_DISABLE_JIT), so that no stale kernel stands for a mutant. A child that uses
far more CPU seconds than its test takes is ended (RLIMIT_CPU), and so is one that waits for ever without using any.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import resource
import select
import shutil
import signal
import sys
import tempfile
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

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
_TIMES: Final = 12
"""A test may use this many times its usual CPU seconds, and some to spare."""

_MEMORY: Final = 3 << 30
_IDLE_SECONDS: Final = 90
_OPTIONS: Final = ["-q", "-s", "--tb=no", "--no-header", "-p", "no:cacheprovider", "-p", "no:xdist", "-W", "ignore"]


@dataclass(frozen=True)
class Test:
    """A test.

    Args:
        name: as pytest has it.
        seconds: CPU seconds that it usually takes.
        spare: CPU seconds that it may take besides.
        breadth: how many lines of the mutated modules it runs.
    """

    name: str
    seconds: float
    spare: float = 10
    breadth: int = 0


@dataclass(frozen=True)
class Outcome:
    """What tests made of a mutant.

    Args:
        verdict: `green`, `red`, `cpu` (used up), `idle` (waited for ever), `ended` by a signal, or `fault` of the run.
        by: the test at which it ended.
        why: the exception.
        passed: tests that passed, with the CPU seconds each took.
        lines: for each passed test the lines that it ran, where that was asked for.
    """

    verdict: str
    by: str = ""
    why: str = ""
    passed: tuple[Test, ...] = ()
    lines: dict[str, dict[str, list[int]]] = field(default_factory=dict)

    @property
    def killed(self) -> bool:
        """Whether a test noticed."""
        return self.verdict in {"red", "cpu", "idle", "ended"}


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
            with _quiet():
                loop = _Loop(scope, asking, replying, traced=traced)
                status = _collect(scope, files, loop)
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
        self.at_import: dict[str, list[int]] = ready["at_import"]

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
        return _outcome(json.loads(self._lines.readline()))

    def close(self) -> None:
        """End the process."""
        os.close(self._requests)
        self._lines.close()
        os.waitpid(self._process, 0)


def run_anew(scope: Scope, mutant: Mutant, tests: Sequence[Test]) -> Outcome:
    """Import the package with a mutant and run tests on it until one notices."""
    files = list(dict.fromkeys(test.name.split("::")[0] for test in tests))

    def child(report: Callable[[dict[str, Any]], None]) -> None:
        sys.meta_path.insert(0, _Finder(scope, mutant))
        runner = _Chosen(tests, report)
        with _limited(tests):
            status = _collect(scope, files, runner)
        if not runner.ran:
            # A module that cannot be imported any more is noticed by every test.
            report({"verdict": "red", "by": "import", "why": f"collection ended with {status}"})

    return _in_child(child)


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
        self._tracer = _Tracer(scope) if traced else None
        if self._tracer:
            self._tracer.start()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        at_import = self._tracer.stop() if self._tracer else {}
        items = {item.nodeid: item for item in session.items if item.get_closest_marker("soak") is None}
        self._reply({"tests": list(items), "at_import": at_import})
        functions = _functions({str(self._scope.path(module)) for module in self._scope.modules})
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
                if mutant is not None and not _exchanged(self._scope, mutant, functions):
                    report({"verdict": "fault", "why": "no function to exchange"})
                    return
                _run([items[test.name] for test in tests], tests, report, _Tracer(self._scope) if traced else None)

            self._reply(_in_child_raw(child))
        os._exit(0)

    def _reply(self, reply: dict[str, Any]) -> None:
        text = f"{json.dumps(reply)}\n".encode()
        while text:
            text = text[os.write(self._replies, text) :]


class _Chosen:
    """Runs chosen tests in a given order, in the process that collected them."""

    def __init__(self, tests: Sequence[Test], report: Callable[[dict[str, Any]], None]) -> None:
        self._tests = tests
        self._report = report
        self.ran = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = {item.nodeid: item for item in session.items}
        self.ran = True
        missing = [test.name for test in self._tests if test.name not in items]
        if missing:
            self._report({"verdict": "red", "by": "collection", "why": f"{missing[0]} is not there"})
        else:
            _run([items[test.name] for test in self._tests], self._tests, self._report, None)
        return True


class _Tracer:
    """Which lines of the mutated modules run."""

    def __init__(self, scope: Scope) -> None:
        import coverage

        self._files = {str(scope.path(module)): module for module in scope.modules}
        self._coverage = coverage.Coverage(data_file=None, include=list(self._files), config_file=False)

    def start(self) -> None:
        self._coverage.start()

    def stop(self) -> dict[str, list[int]]:
        self._coverage.stop()
        data = self._coverage.get_data()
        found = {module: sorted(data.lines(file) or ()) for file, module in self._files.items()}
        return {module: lines for module, lines in found.items() if lines}


def _run(
    items: Sequence[pytest.Item],
    tests: Sequence[Test],
    report: Callable[[dict[str, Any]], None],
    tracer: _Tracer | None,
) -> None:
    """Run tests one after another and report each; stop at the first that fails."""
    passed: list[tuple[str, float]] = []
    lines = {}
    for item, after, test in zip(items, [*items[1:], None], tests, strict=True):
        start = _cpu()
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
        passed.append((test.name, round(_cpu() - start, 4)))
    report({"verdict": "green", "passed": passed, "lines": lines})


def _torn_down(item: pytest.Item, after: pytest.Item | None) -> None:
    """End a test; fixtures of folders look for its report."""
    ended: pytest.CallInfo[None] = pytest.CallInfo.from_call(lambda: None, when="call")
    item.ihook.pytest_runtest_makereport(item=item, call=ended)
    item.ihook.pytest_runtest_teardown(item=item, nextitem=after)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


_Functions = dict[tuple[str, str, int], list[FunctionType]]
"""All functions of some files, by file, name and first line."""


def _functions(files: set[str]) -> _Functions:
    found: _Functions = {}
    for each in gc.get_objects():
        if type(each) is FunctionType and each.__code__.co_filename in files:
            code = each.__code__
            found.setdefault((code.co_filename, code.co_qualname, code.co_firstlineno), []).append(each)
    return found


def _exchanged(scope: Scope, mutant: Mutant, functions: _Functions) -> bool:
    """Give the functions of a mutant's source their changed code; return whether there was one."""
    if mutant.function is None:
        return False
    file = str(scope.path(mutant.module))
    codes = _codes(mutant.compiled(file))
    (code,) = (each for each in codes if (each.co_qualname, each.co_firstlineno) == mutant.function)
    exchanged = functions.get((file, *mutant.function), [])
    for each in exchanged:
        each.__code__ = code
    return bool(exchanged)


def _codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)


class _Loader(importlib.machinery.SourceFileLoader):
    mutant: Mutant

    def get_code(self, fullname: str) -> CodeType:
        return self.mutant.compiled(self.path)


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, scope: Scope, mutant: Mutant) -> None:
        self._scope = scope
        self._mutant = mutant

    def find_spec(self, fullname: str, path: object, target: object = None) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._mutant.module:
            return None
        file = self._scope.path(fullname)
        loader = _Loader(fullname, str(file))
        loader.mutant = self._mutant
        return importlib.util.spec_from_file_location(fullname, file, loader=loader)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    yield


@contextlib.contextmanager
def _limited(tests: Sequence[Test]) -> Iterator[None]:
    """Limit collection too, where a mutant may run."""
    resource.setrlimit(resource.RLIMIT_CPU, (int(_cpu()) + 60, resource.RLIM_INFINITY))
    yield


def _in_child(work: Callable[[Callable[[dict[str, Any]], None]], None]) -> Outcome:
    return _outcome(_in_child_raw(work))


def _in_child_raw(work: Callable[[Callable[[dict[str, Any]], None]], None]) -> dict[str, Any]:
    """Fork, work, and return the last that was reported."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.setpgid(0, 0)

        def report(each: dict[str, Any]) -> None:
            text = f"{json.dumps(each)}\n".encode()
            while text:
                text = text[os.write(writing, text) :]

        with _quiet():
            resource.setrlimit(resource.RLIMIT_DATA, (_data_used() + _MEMORY, resource.RLIM_INFINITY))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            try:
                work(report)
            except BaseException as error:
                report({"verdict": "fault", "why": repr(error)[:300]})
            os._exit(0)
    os.close(writing)
    last, idle = _followed(child, reading)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if last.get("verdict", "started") != "started":
        return last
    if idle:
        last["verdict"] = "idle"
    elif os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU:
        last["verdict"] = "cpu"
    else:
        last |= {"verdict": "ended", "why": f"status {status}"}
    return last


def _followed(child: int, reading: int) -> tuple[dict[str, Any], bool]:
    """Read what a child reports to the end, or until it has used no CPU for long though it does not wait for any."""
    kept, idle, used = b"", 0, -1.0
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        while True:
            if not select.select([pipe], [], [], 1.0)[0]:
                now = _used_by(child)
                idle = idle + 1 if now == used else 0
                used = now
                if idle >= _IDLE_SECONDS:
                    break
                continue
            more = pipe.read(1 << 16)
            if not more:
                break
            kept = (kept + more)[-(1 << 26) :]
    reported = [line for line in kept.split(b"\n") if line]
    return (json.loads(reported[-1]) if reported else {}), idle >= _IDLE_SECONDS


def _used_by(process: int) -> float:
    """Return a process's CPU ticks; a fresh number where it is ready to run, so that waiting for a core is not idle."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text("ascii").rpartition(")")[2].split()
    except OSError:
        return -1.0
    return float("nan") if fields[0] == "R" else float(fields[11]) + float(fields[12])


def _data_used() -> int:
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
    return 0


def _outcome(reply: dict[str, Any]) -> Outcome:
    return Outcome(
        reply.get("verdict", "fault"),
        reply.get("by", ""),
        reply.get("why", ""),
        tuple(Test(name, seconds) for name, seconds in reply.get("passed", ())),
        reply.get("lines", {}),
    )
