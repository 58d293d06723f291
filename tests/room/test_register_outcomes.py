"""The register of accesses is complete however its questions ended: also where one failed, or was cut short."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from door_scenes import Scene
from doors import broken_draw, cut_short
from room_samples import MEMBER, OTHER, Place, ask

from audit_log import DatabaseSource
from cleanroom.errors import Fault
from cleanroom.room import register_check
from cleanroom.room.access_register import access_register
from cleanroom.room.database import connect
from cleanroom.room.log_reading import Wanted
from cleanroom.room.register_document import document

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cleanroom.room import Room


def failed(scene: Scene, room: Room) -> None:
    with scene.patch.context() as patch:
        broken_draw(Scene(scene.place, scene.tmp, patch), room)
        with pytest.raises(Fault):
            ask(room)


def reopened(scene: Scene, room: Room) -> None:
    cut_short(scene, room)
    scene.place.open().close()


ENDS: dict[str, tuple[Callable[[Scene, Room], object], str, bool]] = {
    "failed after reading": (failed, "failed", True),
    "cut short": (cut_short, "open", False),
    "cut short, and entered as failed by the next opening": (reopened, "failed", False),
    "answered": (lambda _, room: ask(room), "released", True),
    "answered from the store": (lambda _, room: (ask(room), ask(room)), "reused", False),
}


def held(place: Place, said: dict[str, Any]) -> tuple[str, ...]:
    """Return what is found wrong with a register."""
    with place.open() as room:
        verifier = room.journal.log.verifier
    with closing(connect(place.path / "room.db")) as connection:
        source = DatabaseSource(connection, verifier.vkey)
        found = register_check.check(json.dumps(said).encode(), source, verifier)
    assert found.verdict.ok
    return tuple(each.en for each in found.differences)


@pytest.mark.parametrize("end", ENDS)
def test_a_row_says_how_its_question_ended(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    act, outcome, opened = ENDS[end]
    with place.open() as room:
        act(Scene(place, tmp_path, monkeypatch), room)
        said = json.loads(json.dumps(document(room, access_register(room, Wanted()))))
    rows = said["rows"][-2:]
    assert {row["member"] for row in rows} == {MEMBER, OTHER}
    for row in rows:
        assert (row["outcome"], row["key_entry"] is not None) == (outcome, opened)
        assert (row["recipients"] == []) == (outcome in {"failed", "open"})
    assert held(place, said) == ()
    for other in ENDS.values():
        if other[1] != outcome:
            rows[0]["outcome"] = other[1]
            assert any("Outcome" in each for each in held(place, said)), other[1]
    said["rows"].remove(next(row for row in rows if row["member"] == OTHER))
    assert any("missing" in each for each in held(place, said))
