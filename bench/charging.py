"""Durable charges of many threads: reservation, log entry and checkpoint in one transaction, each on disk when done."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from bench.exact import validated
from bench.house import ASKER, PURPOSE, open_room
from bench.log import WRITERS
from bench.measure import timed
from cleanroom.identifiers import PartyId
from cleanroom.room.charge import charge
from cleanroom.room.database import transaction
from cleanroom.room.locks import asking
from cleanroom.room.signed_request import SignedRequest
from cleanroom.room.stored_releases import due_of

if TYPE_CHECKING:
    from pathlib import Path

_SQL: Final = "SELECT discipline, COUNT(*) AS n FROM fleuve.visits GROUP BY discipline"


def charges(place: Path, seconds: float) -> list[dict[str, Any]]:
    """Charge one question over and over, with so many threads, each with the room open for itself.

    Nothing is read and nothing answered: what is measured is what `room.charge` does between admission and keys.

    Args:
        place: a room with rows in its table, budgets that last.
        seconds: that each number of writers is given.

    Returns:
        For each number of writers how many charges were durable, and the seconds of wall and CPU they took.
    """
    # Held as while questions are under way: else whoever opens the room next enters all these charges as failed.
    with asking(place / "room"):
        return [_charges(place, writers, seconds) for writers in WRITERS]


def _charges(place: Path, writers: int, seconds: float) -> dict[str, Any]:
    ready = threading.Barrier(writers + 1)

    def run() -> int:
        with open_room(place) as room:
            key = room.home.signing_key(PartyId(ASKER))
            plan = validated(room, _SQL, epsilon=0.001)
            ready.wait()
            until = time.perf_counter() + seconds
            count = 0
            while time.perf_counter() < until:
                request = SignedRequest.sign(
                    key,
                    room=room.room_id,
                    party=PartyId(ASKER),
                    action="query",
                    content={"sql": _SQL, "purpose": PURPOSE, "epsilon": "0.001"},
                    at=room.now(),
                )
                with transaction(room.connection):
                    now = room.take(request)
                    charge(room.connection, room.journal, plan, due_of(room, plan), request, at=now)
                count += 1
            return count

    def started() -> int:
        try:
            return run()
        except BaseException:
            ready.abort()  # or the others would wait for this one
            raise

    with ThreadPoolExecutor(writers) as threads:
        running = [threads.submit(started) for _ in range(writers)]
        with suppress(threading.BrokenBarrierError):
            ready.wait()
        count, took = timed(lambda: sum(each.result() for each in running))
    return {"writers": writers, "count": count, "took": took}
