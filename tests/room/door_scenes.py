"""A door of the room, what is seen while one goes through it, and what of that is not as the door's row says."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from room_samples import Place

from audit_log import Envelope
from audit_log import EventType as E
from cleanroom.room import (
    Room,
    log_reading,
    question,
)
from cleanroom.room.journal import Journal
from cleanroom.storage.partition_store import PartitionStore
from key_management import KeyKind, Keyring

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


KEY, ROWS, DETAILS, FILE = "a data key is opened", "a partition is opened", "details are opened", "a file is written"
SEALED = "details leave, sealed"


@dataclass
class Scene:
    """A room that a door is tried on, and what was seen of it."""

    place: Place
    tmp: Path
    patch: pytest.MonkeyPatch
    start: int = 0
    effects: list[tuple[str, list[E]]] = field(default_factory=list)

    def durable(self) -> list[E]:
        """Return what another process sees of the log, from where the door began."""
        with closing(sqlite3.connect(self.place.path / "room.db")) as connection:
            leaves = connection.execute("SELECT leaf FROM audit_entry WHERE idx >= ? ORDER BY idx", (self.start,))
            return [Envelope.parse(bytes(leaf)).event.type for (leaf,) in leaves]

    def watch(self) -> None:
        """Note, at each effect, what was durable then; from the entries that there are now."""
        self.start = 0
        self.start = len(self.durable())
        self.effects.clear()
        self._note(Keyring, "open", KEY, lambda arguments: arguments[2].kind is KeyKind.DATA)
        self._note(PartitionStore, "open", ROWS)
        self._note(Journal, "details", DETAILS)
        self._note(log_reading, "export_log", FILE)
        self._note(log_reading, "write_details", SEALED)

    def _note(self, owner: Any, name: str, effect: str, wanted: Callable[[Any], bool] = lambda _: True) -> None:
        whole = getattr(owner, name)

        def noted(*arguments: Any, **rest: Any) -> Any:
            if wanted(arguments):
                self.effects.append((effect, self.durable()))
            return whole(*arguments, **rest)

        self.patch.setattr(owner, name, noted)


@dataclass(frozen=True)
class Door:
    """A door.

    Args:
        act: goes through it, on an open room; `before` prepares, unseen.
        entries: what it appends, in order.
        waits: for each effect the entry that is durable before it, None where nobody is shown it and nothing leaves; an
            effect not named here does not happen.
        raises: how it ends, None for well.
    """

    act: Callable[[Scene, Room], object]
    entries: tuple[E, ...]
    waits: dict[str, E | None] = field(default_factory=dict)
    raises: type[BaseException] | None = None
    before: Callable[[Scene, Room], object] = lambda _scene, _room: None


def tried(door: Door, place: Place, tmp: Path) -> Scene:
    """Go through a door and return what was seen."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(question, "TICK_SECONDS", 0.001)
        scene = Scene(place.copy(tmp), tmp, patch)
        with scene.place.open() as room:
            door.before(scene, room)
            scene.watch()
            if door.raises is None:
                door.act(scene, room)
            else:
                with pytest.raises(door.raises):
                    door.act(scene, room)
    return scene


def judge(door: Door, scene: Scene) -> Iterator[str]:
    """Yield what is not as the table says."""
    found = tuple(scene.durable())
    if found != door.entries:
        yield f"entered {found}, not {door.entries}"
    for effect, durable in scene.effects:
        if effect not in door.waits:
            yield f"{effect}: the table does not say so"
        elif (wanted := door.waits[effect]) is not None and wanted not in durable:
            yield f"{effect} before {wanted} was durable"
    if set(door.waits) - {effect for effect, _ in scene.effects}:
        yield f"of {set(door.waits)}, happened only {dict(scene.effects).keys()}"
