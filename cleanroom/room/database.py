"""The room's one SQLite file: what is declared, uploaded, asked, charged and logged, changed in one transaction."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final
from weakref import WeakValueDictionary

from audit_log import require_durable
from cleanroom.errors import Bilingual, Fault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BUSY_SECONDS: Final = 60.0
FORM: Final = 5
"""The form of the room, in its database's header. A change of any table, of the room's or of the libraries' that keep
theirs in it, or of the table files, is a new number, and says what becomes of rooms of the old one: so far, that they
are not opened."""

SCHEMA: Final = """
CREATE TABLE room (id INTEGER PRIMARY KEY CHECK (id = 1), room TEXT NOT NULL, settings BLOB NOT NULL,
  transport_key BLOB NOT NULL, epoch TEXT NOT NULL, clock INTEGER NOT NULL) STRICT;
CREATE TABLE party (party TEXT PRIMARY KEY, role TEXT NOT NULL, ordinal INTEGER NOT NULL UNIQUE,
  public_key BLOB NOT NULL UNIQUE, reading_key BLOB) STRICT;
CREATE TABLE mandate (log_index INTEGER PRIMARY KEY, auditor TEXT NOT NULL REFERENCES party, giver TEXT NOT NULL
  REFERENCES party, events TEXT NOT NULL, since INTEGER NOT NULL, until INTEGER, withdrawn INTEGER) STRICT;
CREATE TABLE declaration (table_name TEXT NOT NULL, version INTEGER NOT NULL, owner TEXT NOT NULL,
  content BLOB NOT NULL, request BLOB NOT NULL, PRIMARY KEY (table_name, version)) STRICT;
CREATE TABLE upload (upload TEXT PRIMARY KEY, table_name TEXT NOT NULL, number INTEGER NOT NULL,
  place INTEGER NOT NULL DEFAULT 0, manifest BLOB NOT NULL, log_index INTEGER NOT NULL,
  UNIQUE (table_name, number, place)) STRICT;
CREATE TABLE retirement (upload TEXT PRIMARY KEY REFERENCES upload, number INTEGER NOT NULL, log_index INTEGER NOT NULL,
  stage TEXT NOT NULL CHECK (stage IN ('retired', 'destroyed', 'gone'))) STRICT;
CREATE TABLE withdrawal (table_name TEXT NOT NULL, number INTEGER NOT NULL, declaration INTEGER NOT NULL,
  log_index INTEGER NOT NULL, PRIMARY KEY (table_name, number)) STRICT;
CREATE TABLE erasure (table_name TEXT NOT NULL, number INTEGER NOT NULL, log_index INTEGER NOT NULL,
  PRIMARY KEY (table_name, number)) STRICT;
CREATE TABLE linkage (epoch TEXT PRIMARY KEY, linkage_check BLOB NOT NULL) STRICT;
CREATE TABLE request (request TEXT PRIMARY KEY, party TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE reference (name TEXT NOT NULL, version INTEGER NOT NULL, digest TEXT NOT NULL, source TEXT NOT NULL,
  content BLOB NOT NULL, request BLOB NOT NULL, log_index INTEGER NOT NULL, PRIMARY KEY (name, version)) STRICT;
CREATE TABLE cohort (owners TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE stored_draw (place INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE,
  tag BLOB NOT NULL CHECK (length(tag) = 32), sealed BLOB NOT NULL) STRICT;
CREATE INDEX stored_draw_of_tag ON stored_draw (tag, place);
CREATE TABLE stored_draw_table (table_name TEXT NOT NULL, name TEXT NOT NULL REFERENCES stored_draw (name),
  PRIMARY KEY (table_name, name)) STRICT, WITHOUT ROWID;
CREATE INDEX stored_draw_table_of_name ON stored_draw_table (name)
"""
"""`declaration` keeps every version, `upload` every upload, also those that a `retirement` took out of the table's
version `number`, and each file that an `erasure` wrote anew, by its `place` among those of one number; `reference`
every content of a public table (S30); `withdrawal` ends the declarations up to one;
`cohort` the owner sets of answered sector questions (S43); `request` every id; `stored_draw` answers, encrypted, under
the keyed hash of their reuse key (S40), and `stored_draw_table` the tables that each reads; `mandate` every mandate
that was given to an auditor, and the log entry that withdrew it."""


def connect(path: Path, *, create: bool = False) -> sqlite3.Connection:
    """Open the room's database with durable settings, read back.

    Raises:
        Fault: it is missing, is no database, does not take the settings, or has another form.
    """
    if create == path.exists():
        raise Fault(
            Bilingual(
                f"{path} existe déjà" if create else f"aucune salle ici : {path} manque",
                f"{path} exists already" if create else f"no room here: {path} is missing",
            ),
            code="room_exists" if create else "room_missing",
        )
    try:
        connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_SECONDS)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA trusted_schema = OFF")
        require_durable(connection)
        if create:
            connection.execute(f"PRAGMA user_version = {FORM}")
        (form,) = connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.Error as error:
        raise storage_fault(error) from None
    if form != FORM:
        connection.close()
        raise Fault(
            Bilingual(
                f"cette salle a été faite par une autre version du programme (forme {form}, ici {FORM}) : "
                "ouvrez-la avec celle qui l'a faite ; rien n'a été changé",
                f"this room was made by another version of the program (form {form}, here {FORM}): "
                "open it with the one that made it; nothing was changed",
            ),
            code="room_form_unknown",
        )
    return connection


_TURNS: Final[WeakValueDictionary[str, threading.Lock]] = WeakValueDictionary()
"""Whose turn it is to write, by the database's path; forgotten when nobody writes."""

_GUARD: Final = threading.Lock()


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Run a block as one durable transaction: all of it or none.

    Raises:
        Fault: the database could not be written (disk full, locked, damaged); nothing was changed.
    """
    with _turn(connection):
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise storage_fault(error) from None
        try:
            yield
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            _roll_back(connection)
            raise storage_fault(error) from None
        except BaseException:
            _roll_back(connection)
            raise


@contextmanager
def _turn(connection: sqlite3.Connection) -> Iterator[None]:
    """Wait until no other thread of this process writes to the database.

    The engine alone would do: between threads as between processes it looks again after ever longer sleeps, a tenth of
    a second in the end, so that of many writers most sleep while nobody writes.
    """
    try:
        (_, _, path) = connection.execute("PRAGMA database_list").fetchone()
    except sqlite3.Error as error:
        raise storage_fault(error) from None
    with _GUARD:
        turn = _TURNS.setdefault(path, threading.Lock())
    if not turn.acquire(timeout=BUSY_SECONDS):
        raise storage_fault(sqlite3.OperationalError("database is locked"))
    try:
        yield
    finally:
        turn.release()


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def storage_fault(error: sqlite3.Error) -> Fault:
    """Say in both languages that the room's database failed; its own words name no row."""
    return Fault(
        Bilingual(
            f"la base de la salle n'a pas pu être lue ou écrite ({error}) ; rien n'a été changé",
            f"the room's database could not be read or written ({error}); nothing was changed",
        ),
        code="storage_failed",
    )
