"""The room that tests of this directory copy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from erasure_samples import furnish
from reference_samples import zones
from room_samples import LATE, PERSONS, Place, build

from cleanroom.room import question
from examples.season import PARTIES, Season, make_season

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cleanroom.room import Room

__all__ = ["zones"]


@pytest.fixture(scope="session")
def season() -> Season:
    return make_season(persons=PERSONS, seed=7)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory, season: Season) -> Place:
    return build(tmp_path_factory.mktemp("template"), season, uploads=tuple(p for p in PARTIES if p != LATE))


@pytest.fixture
def place(template: Place, tmp_path: Path) -> Place:
    return template.copy(tmp_path)


@pytest.fixture
def room(place: Place) -> Iterator[Room]:
    with place.open() as opened:
        yield opened


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the tick: what it hides is not tested by durations."""
    monkeypatch.setattr(question, "TICK_SECONDS", 0.001)


@pytest.fixture
def furnished(place: Place) -> Place:
    furnish(place)
    return place
