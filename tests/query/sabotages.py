"""Break the query path on purpose, one line at a time, and see whether a test notices (SOUNDNESS F).

Run as a script with the numbers of some sabotages: each runs in a forked process of its own, in which the package is
imported anew from its source with one replacement, and prints what the tests that must notice it did. Compiled code
runs as plain Python here, so that a broken kernel is never cached.
"""

# ruff: noqa: E501 - one breakage, one question a line
from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import signal
import sys
import traceback
from dataclasses import replace
from pathlib import Path

from breakage import Sabotage
from broken.charges import CHARGES
from broken.numbers import NUMBERS
from broken.pure import PURE
from broken.questions import QUESTIONS
from generated.breakages import BREAKAGES

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 120

SABOTAGES = (*BREAKAGES, *CHARGES, *NUMBERS, *PURE, *QUESTIONS)


class _NotApplied(Exception):
    """The text to replace is not there, or not once."""


class _Loader(importlib.machinery.SourceFileLoader):
    sabotage: Sabotage

    def get_code(self, fullname: str) -> object:
        source = Path(self.path).read_text(encoding="utf-8")
        if source.count(self.sabotage.old) != 1:
            raise _NotApplied(f"{self.sabotage.name}: {source.count(self.sabotage.old)} places in {fullname}")
        return compile(source.replace(self.sabotage.old, self.sabotage.new), self.path, "exec")


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, sabotage: Sabotage) -> None:
        self.sabotage = sabotage
        self.found = False

    def find_spec(self, fullname: str, path: object, target: object = None) -> importlib.machinery.ModuleSpec | None:
        if fullname != self.sabotage.module:
            return None
        self.found = True
        file = ROOT.joinpath(*fullname.split(".")).with_suffix(".py")
        loader = _Loader(fullname, str(file))
        loader.sabotage = self.sabotage
        return importlib.util.spec_from_file_location(fullname, file, loader=loader)


def attempt(sabotage: Sabotage, *, broken: bool) -> str:
    """Run the killer in this process, with the sabotage or without; return what happened."""
    finder = _Finder(sabotage)
    if broken:
        sys.meta_path.insert(0, finder)
    module, _, function = sabotage.killer.partition(":")
    try:
        test = getattr(importlib.import_module(module), function)
        named = [
            getattr(importlib.import_module(module), each, each) if isinstance(each, str) else each
            for each in sabotage.arguments
        ]
        test(*named)
    except _NotApplied as error:
        return f"fault: {error}"
    except BaseException as error:
        return f"red: {type(error).__name__}: {str(error).splitlines()[0][:120] if str(error) else traceback.format_exc()[-120:]}"
    return "green" if finder.found or not broken else "fault: the module was never imported"


def main(numbers: list[int], searched: int = 0) -> None:
    """Fork for each sabotage, and once more for each killer without one.

    Args:
        searched: how many generated questions are asked of each property instead of the killer's one; 0 for that one.
    """
    os.environ["NUMBA_DISABLE_JIT"] = "1"
    sys.path[:0] = [str(ROOT), *(str(ROOT / "tests" / each) for each in ("query", "accounting", "room", "."))]
    for heavy in ("duckdb", "hypothesis", "numba", "opendp.prelude", "pyarrow.compute", "pytest", "sqlglot", "yaml"):
        importlib.import_module(heavy)
    import warnings

    warnings.simplefilter("ignore")
    results = {}
    for number in numbers:
        for broken in (True, False):
            sabotage = SABOTAGES[number]
            if searched and not broken:
                continue
            if searched:
                sabotage = replace(sabotage, killer="generated.killers:searched", arguments=(0, searched))
            results[f"{number} {'broken' if broken else 'whole'}"] = _forked(
                sabotage, broken=broken, seconds=SECONDS * (1 + searched)
            )
    json.dump(results, sys.stdout)


def _forked(sabotage: Sabotage, *, broken: bool, seconds: int) -> str:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        signal.alarm(seconds)
        verdict = "fault"
        try:
            verdict = attempt(sabotage, broken=broken)
        finally:
            os.write(writing, verdict.encode()[:4_000])
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        verdict = pipe.read().decode()
    _, status = os.waitpid(child, 0)
    return verdict or f"red: ended by signal {os.WTERMSIG(status)}"


if __name__ == "__main__":
    wanted = [each for each in sys.argv[1:] if not each.startswith("--searched=")]
    counts = [int(each.partition("=")[2]) for each in sys.argv[1:] if each.startswith("--searched=")]
    main([int(each) for each in wanted], *counts)
