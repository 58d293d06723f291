"""`make mutation` kills what a test notices, keeps what none does, goes on where it ended; its explanations hold."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from mutation.mutants import Source

ROOT = Path(__file__).parents[2]
SAMPLE = '''"""A sample."""

LEAST = 3


def clamp(value, least=LEAST):
    if value < least:
        return least
    return value


def wait(limit):
    while limit > 0:
        limit -= 1
    return limit
'''
TESTS = """import pytest
from sample import clamp, wait


@pytest.mark.parametrize(("value", "clamped"), [(1, 3), (3, 3), (5, 5)])
def test_values_are_clamped(value, clamped):
    assert clamp(value) == clamped


def test_the_end_is_reached():
    assert wait(5) == 0
"""
EXPLAINED = """sample:
  clamp:
    value < least → value <= least: at least itself both branches return the same number
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mutation", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_a_sample_is_run_and_not_run_again(tmp_path: Path) -> None:
    (tmp_path / "sample.py").write_text(SAMPLE, "utf-8")
    (tmp_path / "test_sample.py").write_text(TESTS, "utf-8")
    survivors = tmp_path / "survivors.yaml"
    sample = ["--root", str(tmp_path), "--modules", "sample", "--tests", "test_sample.py"]
    sample += ["--spare", "0", "--explanations"]
    first = run(*sample, str(survivors))
    found = (tmp_path / ".mutation" / "results.jsonl").read_text("utf-8")
    kept = [json.loads(line) for line in found.splitlines()]
    verdicts = {(each["within"], each["change"]): each["verdict"] for each in kept}
    assert verdicts.pop(("clamp", "value < least → value <= least")) == "green", first.stderr
    # What runs at import, in a function, and for ever.
    assert verdicts["LEAST", "3 → 4"] == verdicts["clamp", "if value < least → if False"] == "red"
    assert verdicts["wait", "limit -= 1 → pass"] == "cpu"
    assert set(verdicts.values()) == {"red", "cpu"}
    assert first.returncode == 1
    assert "7 clamp: value < least → value <= least" in first.stdout

    # What is committed is enough to go on with: the tables, without what a run left behind.
    shutil.rmtree(tmp_path / ".mutation")
    survivors.write_text(EXPLAINED, "utf-8")
    second = run(*sample, str(survivors))
    assert second.returncode == 0
    assert f"{len(kept)} of {len(kept)} run, {len(kept) - 1} killed, 1 explained, 0 left" in second.stdout
    assert not (tmp_path / ".mutation").exists(), "nothing was run again"


def test_explanations_name_mutants_of_the_source(tmp_path: Path) -> None:
    checked = run("--check")
    assert checked.returncode == 0, checked.stdout
    survivors = tmp_path / "survivors.yaml"
    survivors.write_text("cleanroom.query.clipping:\n  clip:\n    a → b: there is no such change in it\n", "utf-8")
    assert run("--check", "--explanations", str(survivors)).returncode == 1


def test_the_page_names_every_module_that_is_mutated() -> None:
    page = (ROOT / "docs" / "mutation.md").read_text("utf-8")
    named = re.findall(r"^\| `(cleanroom[\w.]+)` \|", page, re.MULTILINE)
    listed = run("--modules").stdout.split()
    assert named == listed
    assert all(ROOT.joinpath(*name.split(".")).with_suffix(".py").exists() for name in named)
    assert "cleanroom.query.clipping" in named


def test_of_changes_that_say_the_same_one_is_made() -> None:
    text = "def f(a, b):\n    if a > 1 and b:\n        raise E(1)\n    return g(a, b, 2, key=b) if a == b else not a\n"
    changes = [mutant.change for mutant in Source("sample", text).mutants]
    condition = "a > 1 and b"
    answer = "g(a, b, 2, key=b)"
    assert sorted(changes) == sorted(
        [
            f"if {condition} → if False",
            f"{condition} → b",
            f"{condition} → a > 1",
            "a > 1 → a >= 1",
            "1 → 2",
            "1 → 2 #2",
            f"{answer} if a == b else not a → {answer}",
            f"{answer} if a == b else not a → not a",
            f"{answer} → g(b, a, 2, key=b)",
            f"{answer} → g(a, b, 2)",
            "2 → 3",
            "not a → a",
        ]
    )
