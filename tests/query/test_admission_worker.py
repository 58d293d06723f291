"""Admission in a process of its own: it says what the gate says, is killed when it takes too much, and is replaced."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from test_bounded_work import DOUBLING
from test_corpus import ACCEPT, EITHER, REFUSE
from test_text_fuzzer import RULEBOOK, STATISTICS

from cleanroom.errors import Fault
from cleanroom.identifiers import PartyId, Role
from cleanroom.query.admission_worker import Limits, decision
from cleanroom.query.gate import Question
from cleanroom.query.precision import precision
from cleanroom.room.admission import Admission

if TYPE_CHECKING:
    from collections.abc import Iterator

MISBEHAVING = (str(Path(__file__).with_name("burning_worker.py")),)
TIGHT = Limits(cpu_seconds=1, memory_bytes=64 << 20)
ORDINARY = "SELECT region, COUNT(*) AS n FROM tnm.visits GROUP BY region"


def question(sql: str, parameters: Any = None) -> Question:
    return Question(sql, parameters, PartyId("observatoire"), Role.OBSERVATOIRE, STATISTICS, precision(epsilon=1))


@pytest.fixture
def admission() -> Iterator[Admission]:
    with Admission(RULEBOOK, TIGHT, MISBEHAVING) as opened:
        yield opened


def codes(decided: dict[str, Any]) -> list[str]:
    assert not decided["admitted"]
    return [each["code"] for each in decided["refusals"]]


def test_the_worker_says_what_the_gate_says() -> None:
    asked = [(each["sql"], each.get("params")) for each in (*ACCEPT, *REFUSE, *EITHER)]
    asked += [(sql, None) for sql, _ in DOUBLING]
    with Admission(RULEBOOK) as admission:
        said = [admission.decide(question(*each)) for each in asked]
        assert admission.worker is not None
    assert admission.worker is None
    gate = [json.loads(json.dumps(decision(question(*each), RULEBOOK))) for each in asked]
    assert said == gate
    assert {each["admitted"] for each in said} == {True, False}


@pytest.mark.parametrize("text", ["burn cpu", "eat memory"])
def test_what_takes_too_much_is_refused_and_the_next_question_gets_a_new_worker(
    text: str, admission: Admission
) -> None:
    expected = json.loads(json.dumps(decision(question(ORDINARY), RULEBOOK)))
    assert admission.decide(question(ORDINARY)) == expected
    first = admission.worker
    assert codes(admission.decide(question(text))) == ["too_much_work"]
    assert admission.decide(question(ORDINARY)) == expected
    assert admission.worker not in {None, first}


def test_seconds_are_counted_for_each_question_anew(admission: Admission) -> None:
    """Many questions together may take more than one may: none is refused for those before it."""
    expected = json.loads(json.dumps(decision(question(ORDINARY), RULEBOOK)))
    first = None
    for _ in range(400):
        assert admission.decide(question(ORDINARY)) == expected
        first = first or admission.worker
    assert admission.worker == first


def test_the_worker_as_it_is_does_not_outgrow_its_memory() -> None:
    """No code of a test in it: a text of more than it may hold ends it; one with room for it decides."""
    large = question("SELECT " + "x" * (48 << 20))
    with Admission(RULEBOOK, Limits(memory_bytes=16 << 20)) as admission:
        assert codes(admission.decide(large)) == ["too_much_work"]
        assert admission.decide(question(ORDINARY))["admitted"] is True
    with Admission(RULEBOOK) as admission:
        assert codes(admission.decide(large)) == ["text_too_long"]


def test_a_worker_killed_between_questions_is_replaced(admission: Admission) -> None:
    before = admission.decide(question(ORDINARY))
    for _ in range(2):
        killed = admission.worker
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        assert admission.decide(question(ORDINARY)) == before
        assert admission.worker != killed


def test_a_worker_killed_during_a_question_is_replaced_once(admission: Admission, tmp_path: Path) -> None:
    """A kill from outside says nothing of the question; two do."""
    assert admission.decide(question(f"die_once {tmp_path / 'marker'}")) == {"admitted": True}
    assert codes(admission.decide(question(f"die {tmp_path / 'none'}"))) == ["too_much_work"]
    assert admission.decide(question(ORDINARY))["admitted"] is True


def test_half_an_answer_is_no_answer(admission: Admission) -> None:
    assert codes(admission.decide(question("halve it"))) == ["too_much_work"]
    assert admission.decide(question(ORDINARY))["admitted"] is True


def test_our_own_failure_is_no_refusal(admission: Admission) -> None:
    with pytest.raises(Fault) as failed:
        admission.decide(question("fail now"))
    assert failed.value.code == "admission_failed"
    assert admission.decide(question(ORDINARY))["admitted"] is True


def test_a_worker_that_cannot_start_is_a_fault() -> None:
    with Admission(RULEBOOK, program=("-c", "raise SystemExit(7)")) as admission, pytest.raises(Fault) as failed:
        admission.decide(question(ORDINARY))
    assert failed.value.code == "admission_failed"


def test_a_worker_that_is_stopped_is_killed(admission: Admission, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that takes no CPU is not ended by the kernel: the room ends it."""
    admission.decide(question(ORDINARY))
    stopped = admission.worker
    assert stopped is not None
    os.kill(stopped, signal.SIGSTOP)
    monkeypatch.setattr(threading, "Timer", at_once(stopped))
    assert admission.decide(question(ORDINARY))["admitted"] is True
    assert admission.worker != stopped


def at_once(stopped: int) -> Any:
    """Return a timer that ends at once for a stopped worker, and never for any other."""

    class Timer(threading.Timer):
        def __init__(self, interval: float, function: Any) -> None:
            mine = getattr(function.__self__, "pid", None) == stopped
            super().__init__(0 if mine else interval, function)

    return Timer


def test_the_worker_holds_no_keys_and_opens_no_data(admission: Admission, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CLEANROOM_HOME", "SOME_SECRET"):
        monkeypatch.setenv(name, "/somewhere")
    admission.decide(question(ORDINARY))
    seen = admission.decide(question("look around"))
    roots = {name.split(".")[0] for name in seen["modules"]}
    assert not roots & {"key_management", "audit_log", "duckdb", "sqlite3"}
    assert not {name for name in seen["modules"] if name.startswith(("cleanroom.room", "cleanroom.storage"))}
    assert "PYTHONPATH" in seen["environment"]
    assert not {"CLEANROOM_HOME", "SOME_SECRET", "HOME", "PATH"} & set(seen["environment"])
    assert [name for name in seen["files"] if not name.startswith("anon_inode:")] == []
    assert seen["directory"] == "/"
