"""What an entry of the log costs the processor, stage by stage: what no sharing of commits can take away."""

from __future__ import annotations

import threading
import time
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final

from audit_log.appending import draft
from audit_log.details import canonical_details, seal
from audit_log.merkle import leaf_hash
from audit_log.tables import insert_rows, read_head, store_leaves, store_wraps

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Mapping

    from audit_log import Event, Log, Signer
    from audit_log.appending import Prepared

GROUP: Final = 64
GROUPS: Final = 60
SIGNED: Final = "signed for, once a group"
INSERTED: Final = "rows inserted"
COMMITTED: Final = "committed"
OUTSIDE: Final = frozenset({SIGNED, INSERTED, COMMITTED})
"""Stages that are mostly SQLite's and OpenSSL's, while other threads have the interpreter."""
HANDOVERS: Final = 200  # of each thread


def stages(
    connection: sqlite3.Connection, log: Log, signer: Signer, event: Callable[[], Event], readers: Mapping[str, bytes]
) -> list[tuple[str, float]]:
    """Take groups apart: each part of the work by itself, as the log does it.

    Args:
        connection: to a new log, which is left unfit for use.
        log: whose it is.
        signer: its key.
        event: makes another event.
        readers: for whom the details are sealed.

    Returns:
        For each stage, CPU seconds an entry.
    """
    spent: dict[str, float] = {}

    def take(stage: str, call: Callable[[], object]) -> None:
        begun = time.process_time()
        call()
        spent[stage] = spent.get(stage, 0.0) + time.process_time() - begun

    details = {"sql": "SELECT 1"}
    canonical = canonical_details(details)
    for _ in range(GROUPS):
        drafted = [draft(event(), details, readers) for _ in range(GROUP)]
        take("event and details checked", lambda: [draft(event(), details, readers) for _ in range(GROUP)])
        take("sealed", lambda: [seal(each.event, canonical, readers) for each in drafted])  # noqa: B023
        prepared = [each.seal() for each in drafted]
        head = read_head(connection)
        hashes = [leaf_hash(each.leaf) for each in prepared]
        take(
            "hashed into the tree",
            lambda: head.frontier.extended([leaf_hash(each.leaf) for each in prepared]),  # noqa: B023
        )
        take(SIGNED, lambda: signer.sign_text(bytes(100)))
        connection.execute("BEGIN IMMEDIATE")
        take(INSERTED, lambda: _insert(connection, head.size, prepared, hashes))  # noqa: B023
        connection.execute("ROLLBACK")
        connection.execute("BEGIN IMMEDIATE")
        log.append_all(connection, prepared)
        take(COMMITTED, lambda: connection.execute("COMMIT"))
    each = [(stage, seconds / GROUPS / GROUP) for stage, seconds in spent.items()]
    return [*each, (f"handed to one thread and back, {GROUP} threads", _handover())]


def _insert(connection: sqlite3.Connection, start: int, prepared: list[Prepared], hashes: list[bytes]) -> None:
    store_leaves(connection, start, [each.leaf for each in prepared], hashes)
    rows = [(index, each.sealed.ciphertext) for index, each in enumerate(prepared, start)]
    insert_rows(connection, "audit_detail (idx, ciphertext)", rows)
    store_wraps(connection, [(index, each.sealed.wraps) for index, each in enumerate(prepared, start)])


def _handover() -> float:
    """Return the CPU seconds that it costs to wait for another thread that does nothing but tell."""
    handed: SimpleQueue[threading.Lock | None] = SimpleQueue()

    def tell() -> None:
        while (latch := handed.get()) is not None:
            latch.release()

    def wait() -> None:
        for _ in range(HANDOVERS):
            latch = threading.Lock()
            latch.acquire()
            handed.put(latch)
            latch.acquire()

    teller = threading.Thread(target=tell)
    waiting = [threading.Thread(target=wait) for _ in range(GROUP)]
    begun = time.process_time()
    for thread in (teller, *waiting):
        thread.start()
    for thread in waiting:
        thread.join()
    handed.put(None)
    teller.join()
    return (time.process_time() - begun) / GROUP / HANDOVERS
