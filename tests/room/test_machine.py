"""What the operator gives a question is what its slices are made for, and what the engine gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from cleanroom.errors import UsageError
from cleanroom.query.backend import DEFAULT_MEMORY
from cleanroom.query.duckdb_backend import DuckDBBackend
from cleanroom.query.merge_backend import MergeBackend
from cleanroom.room import Home, Room
from cleanroom.room.machine import question_memory

ROWS = 10_000_000


@pytest.mark.parametrize(
    ("given", "size"), [("", DEFAULT_MEMORY), ("64MiB", 64 << 20), ("512 MiB", 512 << 20), ("4GiB", 4 << 30)]
)
def test_a_size_is_read_as_it_is_written(given: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLEANROOM_MEMORY", given)
    assert question_memory() == size


@pytest.mark.parametrize("given", ["2", "2GB", "63MiB", "0GiB", "-1GiB", "1.5GiB", "2GiB\n", "٢GiB", "unlimited"])
def test_anything_else_is_refused_before_a_room_is_opened(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Room.create(tmp_path / "room", home=Home(tmp_path / "home")).close()
    monkeypatch.setenv("CLEANROOM_MEMORY", given)
    with pytest.raises(UsageError, match="CLEANROOM_MEMORY"):
        Room.open(tmp_path / "room", home=Home(tmp_path / "home"))


def test_a_room_is_opened_with_what_its_machine_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLEANROOM_MEMORY", "256MiB")
    with Room.create(tmp_path / "room", home=Home(tmp_path / "home")) as room:
        assert room.memory == 256 << 20


def test_less_memory_makes_more_slices_and_a_smaller_engine() -> None:
    slices = {}
    for memory in (2 << 30, 256 << 20):
        slices[memory] = list(MergeBackend({}, ROWS, memory=memory).slices())
        engine = DuckDBBackend({}, ROWS, memory=memory)
        assert list(engine.slices()) == slices[memory]
        ((limit,),) = engine._connection.sql("SELECT current_setting('memory_limit')").fetchall()
        assert limit == {2 << 30: "2.0 GiB", 256 << 20: "256.0 MiB"}[memory]
    assert [len(each) for each in slices.values()] == [16, 128]
