"""A public table of a room: the regions' zones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from room_samples import kinds, sector, spent

from cleanroom.errors import CleanroomError
from cleanroom.room import Room, references
from examples.season import REGIONS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ISQ = "Institut de la statistique du Québec, 2025"
NAMES = tuple(REGIONS)
ALONE = "bas_saint_laurent"
"""The region that the file of zones leaves out."""

ZONES = {name: ("est", "ouest")[at % 2] for at, name in enumerate(NAMES) if name != ALONE}
BY_ZONE = sector(
    "SELECT z.zone, SUM(tickets) AS billets FROM LEFT JOIN public.zones AS z ON s.region = z.region GROUP BY z.zone"
)
SHARED = (
    "SELECT z.zone, COUNT(DISTINCT person) AS n FROM theatre_fleuve.visits AS a JOIN nuits_claires.visits AS b"
    " USING (person) JOIN public.zones AS z ON a.region = z.region GROUP BY z.zone"
)


def csv(to: Path, rows: dict[str, str] | None = None, header: str = "region,zone") -> Path:
    """Write a file of zones."""
    lines = [header, *(f"{key},{value}" for key, value in (ZONES if rows is None else rows).items())]
    to.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return to


@pytest.fixture
def zones(room: Room, tmp_path: Path) -> references.Reference:
    return references.add(room, "zones", csv(tmp_path / "zones.csv"), source=ISQ)


def sees_nothing(room: Room, act: Callable[[], object], *error: type[CleanroomError]) -> CleanroomError:
    """Return the error of an act that changes nothing: no table, no entry, no request, no charge."""

    def state() -> object:
        stored = room.connection.execute("SELECT name, version FROM reference").fetchall()
        taken = room.connection.execute("SELECT count(*) FROM request").fetchone()
        return stored, taken, kinds(room), spent(room)

    before = state()
    with pytest.raises(error) as caught:
        act()
    assert state() == before
    assert not room.connection.in_transaction
    return caught.value
