"""What the log demands of the caller's connection and transaction."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from audit_log.errors import InsideTransaction, LogDamaged, NotDurable, OutsideTransaction

_SYNCHRONOUS: Final = {0: "OFF", 1: "NORMAL", 2: "FULL", 3: "EXTRA"}


def require_durable(connection: sqlite3.Connection) -> None:
    """Check that what this connection commits survives a loss of power.

    Args:
        connection: to the database that holds the log.

    Raises:
        NotDurable: not in WAL mode, not synchronous, or Python would begin and commit transactions by itself.
    """
    if connection.isolation_level is not None:
        raise NotDurable("isolation_level", repr(connection.isolation_level), "None, with explicit BEGIN IMMEDIATE")
    (mode,) = connection.execute("PRAGMA main.journal_mode").fetchone()
    if mode != "wal":
        raise NotDurable("journal_mode", str(mode), "wal")
    (level,) = connection.execute("PRAGMA main.synchronous").fetchone()
    if level not in (2, 3):
        raise NotDurable("synchronous", _SYNCHRONOUS.get(level, str(level)), "FULL")


def require_writer(connection: sqlite3.Connection, operation: str) -> None:
    """Check that the caller has a durable transaction open.

    Raises:
        OutsideTransaction: none is open.
        NotDurable: as `require_durable`.
    """
    if not connection.in_transaction:
        raise OutsideTransaction(operation)
    require_durable(connection)


def require_no_transaction(connection: sqlite3.Connection, operation: str) -> None:
    """Check that all there is to see is durable, for what is signed must not leave before.

    Raises:
        InsideTransaction: a transaction is open.
    """
    if connection.in_transaction:
        raise InsideTransaction(operation)


@contextmanager
def all_or_nothing(connection: sqlite3.Connection) -> Iterator[None]:
    """Undo our own statements if one fails: a caller that catches the error and commits must not commit half."""
    connection.execute("SAVEPOINT audit_log")
    try:
        yield
    except BaseException as error:
        # After a disk error SQLite has rolled back by itself, and there is no savepoint left.
        if connection.in_transaction:
            connection.execute("ROLLBACK TO audit_log")
            connection.execute("RELEASE audit_log")
        if isinstance(error, sqlite3.IntegrityError):
            raise LogDamaged("database", "a row of the log is there already") from error
        raise
    connection.execute("RELEASE audit_log")
