"""Make the next thing while the last one is used: one thread, a bounded number of things between them."""

from __future__ import annotations

import queue
import threading
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Generator

Item = TypeVar("Item")


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
            With 0 the next is begun when the last one made is taken.
    """
    made: queue.SimpleQueue[_Made[Item] | _Ended] = queue.SimpleQueue()
    allowed, unwanted = threading.Semaphore(depth + 1), threading.Event()

    def make() -> None:
        error: BaseException | None = None
        try:
            with closing(items):
                while allowed.acquire() and not unwanted.is_set():
                    made.put(_Made(next(items)))
        except StopIteration:
            pass
        except BaseException as raised:
            error = raised
        made.put(_Ended(error))

    maker = threading.Thread(target=make, name="ahead", daemon=True)
    maker.start()
    try:
        while isinstance(thing := made.get(), _Made):
            allowed.release()
            yield thing.item
            del thing
        if thing.error is not None:
            raise thing.error
    finally:
        unwanted.set()
        allowed.release()
        maker.join()
