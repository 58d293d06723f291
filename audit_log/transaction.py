"""What the log demands of the caller's connection and transaction."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from audit_log.errors import InsideTransaction, LogDamaged, NotDurable, OutsideTransaction

_SYNCHRONOUS: Final = {0: "OFF", 1: "NORMAL", 2: "FULL", 3: "EXTRA"}
# What SQLite says when the disk, not the caller, is at fault (https://sqlite.org/rescode.html). Afterwards nobody knows
# what is on it, and a second fsync may report success for pages that the first one lost: nothing is tried again.
_DISK_AT_FAULT: Final = frozenset(
    {
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
    }
)


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


def is_disk_at_fault(error: sqlite3.Error) -> bool:
    """Say whether SQLite failed for the disk's sake, so that its process must stop writing."""
    return (getattr(error, "sqlite_errorcode", sqlite3.SQLITE_IOERR) & 0xFF) in _DISK_AT_FAULT


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
def one_instant(connection: sqlite3.Connection) -> Iterator[None]:
    """Read what follows as it is at one instant, while others append; inside a transaction of the caller, at its own.

    Without it an entry that is committed between two statements makes the head and what is under it disagree.
    """
    own = not connection.in_transaction
    if own:
        connection.execute("BEGIN")
    try:
        yield
    finally:
        if own and connection.in_transaction:
            connection.execute("ROLLBACK")


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
