"""`check` reads questions in a worker: one that takes too much is refused, those after it decided, all logged."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from room_samples import MEMBER, OVERLAP, entries

from cleanroom.query.admission_worker import Limits
from cleanroom.room import question
from cleanroom.room.admission import Admission

if TYPE_CHECKING:
    import pytest

    from cleanroom.room import Room

MISBEHAVING = (str(Path(__file__).parents[1] / "query" / "burning_worker.py"),)


def test_a_question_that_burns_is_refused_and_the_rest_decided(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(question, "Admission", partial(Admission, limits=Limits(cpu_seconds=1), program=MISBEHAVING))
    before = len(entries(room))
    asked = [{"id": 1, "sql": OVERLAP}, {"id": 2, "sql": "burn cpu"}, {"id": 3, "sql": OVERLAP}]
    first, burnt, last = room.session(MEMBER).check(asked, purpose="audience_overlap")
    assert (first["admitted"], burnt["admitted"], last["admitted"]) == (True, False, True)
    assert first["releases"] == last["releases"]
    assert [each["code"] for each in burnt["refusals"]] == ["too_much_work"]  # type: ignore[attr-defined]
    assert len(entries(room)) == before + 1
    assert (entries(room)[-1][2]["lines"], entries(room)[-1][2]["admitted"]) == (3, 2)
