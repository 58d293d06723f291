"""Each named breakage of the query path turns a stated test red; the same test is green without it (SOUNDNESS F)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from generated.breakages import AGREES, BREAKAGES, HOLDS
from sabotages import SABOTAGES

BATCHES = 6


@pytest.mark.parametrize("batch", range(BATCHES))
def test_every_sabotage_is_noticed(batch: int) -> None:
    numbers = range(batch, len(SABOTAGES), BATCHES)
    script = Path(__file__).with_name("sabotages.py")
    run = subprocess.run(
        [sys.executable, str(script), *map(str, numbers)],
        capture_output=True,
        text=True,
        timeout=3_000,
        check=False,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONHASHSEED": "0"},
    )
    assert run.returncode == 0, run.stderr[-2_000:]
    verdicts = json.loads(run.stdout)
    survived = [SABOTAGES[number].name for number in numbers if not verdicts[f"{number} broken"].startswith("red")]
    spoilt = {SABOTAGES[number].name: verdicts[f"{number} whole"] for number in numbers}
    assert {name: verdict for name, verdict in spoilt.items() if verdict != "green"} == {}
    assert survived == []


@pytest.mark.soak
@pytest.mark.parametrize("number", [at for at, each in enumerate(BREAKAGES) if each.killer in {AGREES, HOLDS}])
def test_the_generator_finds_what_its_shrunk_questions_find(number: int) -> None:
    """Not only the question that was kept of a breakage notices it: generated ones do, by themselves."""
    script = Path(__file__).with_name("sabotages.py")
    run = subprocess.run(
        [sys.executable, str(script), str(number), "--searched=1500"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONHASHSEED": "0"},
    )
    verdict = json.loads(run.stdout)[f"{number} broken"]
    assert verdict.startswith("red"), BREAKAGES[number].name
    assert "ended by signal" not in verdict


def test_the_table_holds_what_the_rules_ask_for() -> None:
    """At least the mutations of SOUNDNESS F that this version has a place for."""
    names = {sabotage.name for sabotage in SABOTAGES}
    assert len(names) == len(SABOTAGES) >= 40
    assert {
        "D replaced by C",
        "clip off where a person has one group",
        "lattice check off",
        "tie-breaker dropped",
        "scan clamp off",
        "middle off by one",
        "two epochs meet",
        "c applied once an arm",
        "the unit dropped from GROUP BY after FULL JOIN",
        "NOT IN printed raw",
        "the unit missing from a grouping set",
        "a person brings all keys",
    } <= names
