"""Make the next thing while the last one is used: one thread, a bounded number of things between them."""

from __future__ import annotations

import queue
import threading
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Generator

Item = TypeVar("Item")

_LOOK_SECONDS: Final = 0.05
"""How long a maker that found the queue full waits before it looks whether anybody still wants anything."""


@dataclass(frozen=True, slots=True)
class _Made(Generic[Item]):
    item: Item


@dataclass(frozen=True, slots=True)
class _Ended:
    error: BaseException | None


def ahead(items: Generator[Item], depth: int = 1) -> Generator[Item]:
    """Yield what `items` yields, which runs in a thread of its own; its error is raised here, in its place.

    Args:
        depth: how many made things may wait; with the one being made and the one in use, `depth` + 2 live at once.
    """
    made: queue.Queue[_Made[Item] | _Ended] = queue.Queue(depth)
    unwanted = threading.Event()

    def put(thing: _Made[Item] | _Ended) -> None:
        while not unwanted.is_set():
            try:
                made.put(thing, timeout=_LOOK_SECONDS)
            except queue.Full:
                continue
            return

    def make() -> None:
        error: BaseException | None = None
        try:
            with closing(items):
                for item in items:
                    put(_Made(item))
                    del item
                    if unwanted.is_set():
                        break
        except BaseException as raised:
            error = raised
        put(_Ended(error))

    maker = threading.Thread(target=make, name="ahead", daemon=True)
    maker.start()
    try:
        while isinstance(thing := made.get(), _Made):
            yield thing.item
            del thing
        if thing.error is not None:
            raise thing.error
    finally:
        unwanted.set()
        maker.join()
