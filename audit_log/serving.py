"""The log over HTTP, pure: a path goes in, a `Reply` comes out (c2sp.org/tlog-tiles)."""

import re
import sqlite3
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from audit_log.cosigned import shown_checkpoint
from audit_log.errors import MalformedTile
from audit_log.reply import BINARY, TEXT, Reply, refusal
from audit_log.tables import hashes_at, read_head, read_leaves
from audit_log.tiles import WIDTH, Resource, encode_bundle, width_at
from audit_log.transaction import require_no_transaction

CHECKPOINT_PATH: Final = "/checkpoint"
KEY_PATH: Final = "/log.vkey"
# Asked anew each time: it is the one resource that changes.
_MUTABLE: Final = "no-cache"
# Envelopes say who is touched by what; a room that shows them to everybody says so.
_IMMUTABLE: Final = "private, max-age=31536000, immutable"
_IMMUTABLE_PUBLIC: Final = "public, max-age=31536000, immutable"
_LONGEST_PATH: Final = 128
_PATH: Final = re.compile(r"/[A-Za-z0-9./]{1,127}", re.ASCII)


def serve(
    connection: sqlite3.Connection, path: str, vkey: str, *, cosigned: bool = False, public: bool = False
) -> Reply:
    """Answer a GET for one of the log's resources.

    Whoever carries it decides who may ask: envelopes are for the room's parties unless the room publishes them.

    Args:
        connection: to the database, without an open transaction: what is shown must be durable.
        path: below the log's prefix, with its leading slash, undecoded.
        vkey: the log's public key, served as `log.vkey`. Whoever verifies must have it from elsewhere too.
        cosigned: whether the checkpoint shown is the last one that witnesses cosigned, while there is one, instead of
            the newest.
        public: whether caches shared between people may keep tiles.

    Returns:
        200 with the bytes; 404 for whatever the log does not have, any other spelling of a path included.

    Raises:
        InsideTransaction: a transaction is open.
        LogDamaged: the tables do not have what the head promises.
    """
    require_no_transaction(connection, "serve")
    if path == CHECKPOINT_PATH:
        return Reply(HTTPStatus.OK, shown_checkpoint(connection, cosigned=cosigned), TEXT, _MUTABLE)
    if path == KEY_PATH:
        return Reply(HTTPStatus.OK, f"{vkey}\n".encode(), TEXT, _MUTABLE)
    if len(path) > _LONGEST_PATH or not _PATH.fullmatch(path):
        return refusal(HTTPStatus.NOT_FOUND, "no such resource")
    try:
        asked = Resource.parse(path[1:])
    except MalformedTile:
        return refusal(HTTPStatus.NOT_FOUND, "no such resource")
    size = read_head(connection).size
    # Every width up to the present one was some earlier checkpoint's: all of them are served, for good.
    if asked.width > width_at(asked.level or 0, asked.number, size):
        return refusal(HTTPStatus.NOT_FOUND, "not in the log yet")
    if asked.level is None:
        start = asked.number * WIDTH
        body = encode_bundle(read_leaves(connection, start, start + asked.width))
    else:
        body = b"".join(hashes_at(connection, asked.level, asked.number, asked.width))
    return Reply(HTTPStatus.OK, body, BINARY, _IMMUTABLE_PUBLIC if public else _IMMUTABLE)


class DatabaseSource:
    """A log's tables, read as the files that they are exported and served as; another process may go on writing."""

    def __init__(self, connection: sqlite3.Connection, vkey: str, *, cosigned: bool = False) -> None:
        """Name the log.

        Args:
            connection: to the database, without an open transaction.
            vkey: the log's public key.
            cosigned: as of `serve`.
        """
        self._serve: Callable[[str], Reply] = lambda path: serve(connection, path, vkey, cosigned=cosigned)

    def read(self, path: str, most: int) -> bytes | None:
        """Return a file of the log, None if there is none."""
        reply = self._serve(f"/{path}")
        return reply.body[: most + 1] if reply.status is HTTPStatus.OK else None
