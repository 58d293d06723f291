"""Let something happen while a question is under way."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from cleanroom.room import question, retirement

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from cleanroom.room import Room

MOMENTS = {"before the keys": "open_data_keys", "while reading": "exact_vector"}
"""How far the question has come, and the step that it is about to take."""


def begin_while_asked(moment: str, act: Callable[[], None], patch: pytest.MonkeyPatch) -> threading.Thread:
    """Return a thread that begins `act` at this moment of the next question, which goes on once `act` has committed."""
    patch.setattr(retirement, "PATIENCE_SECONDS", 60.0)
    thread, committed = threading.Thread(target=act), threading.Event()
    whole_destroy, whole = retirement._destroy_keys, getattr(question, MOMENTS[moment])

    def destroy(room: Room, patience: float) -> None:
        committed.set()
        whole_destroy(room, patience)

    def slow(*arguments: Any, **rest: Any) -> Any:
        thread.start()
        assert committed.wait(60)
        return whole(*arguments, **rest)

    patch.setattr(retirement, "_destroy_keys", destroy)
    patch.setattr(question, MOMENTS[moment], slow)
    return thread
