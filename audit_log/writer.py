"""One writer for many: entries and whole transactions of many threads, made durable together, one fsync for all.

Each caller waits until what it handed in is on disk. While one group is being written the next one gathers, so the more
callers there are, the more share the price of one commit. Several processes may each have a writer on one database:
they take turns, and each of their groups begins at the head that the other left.
"""

import fcntl
import os
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, Generic, Self, TypeAlias, TypeVar

from audit_log.appending import Prepared, prepare
from audit_log.entry import Event
from audit_log.errors import LogFault, MalformedEntry, WriterStopped
from audit_log.log import Log
from audit_log.tables import read_head
from audit_log.transaction import is_disk_at_fault, require_durable

MOST_IN_GROUP: Final = 1024

T = TypeVar("T")
Work: TypeAlias = Callable[[sqlite3.Connection], T]


class _Awaited(Generic[T]):
    """What somebody waits for: set once, by the writer."""

    __slots__ = ("_error", "_latch", "_value")

    def __init__(self) -> None:
        # A lock held from the start is the cheapest latch that there is.
        self._latch = threading.Lock()
        self._latch.acquire()
        self._value: T | None = None
        self._error: BaseException | None = None

    def succeed(self, value: T) -> None:
        self._value = value
        self._latch.release()

    def fail(self, error: BaseException) -> None:
        self._error = error
        self._latch.release()

    def wait(self) -> T:
        self._latch.acquire()
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value]  # set, or an error was


class _Entry(_Awaited[int]):
    """An entry to append."""

    __slots__ = ("prepared",)

    def __init__(self, prepared: Prepared) -> None:
        super().__init__()
        self.prepared = prepared


class _Transaction(_Awaited[T]):
    """A caller's own work, state and entries together."""

    __slots__ = ("work",)

    def __init__(self, work: Work[T]) -> None:
        super().__init__()
        self.work = work


class GroupWriter:
    """Appends for many threads. It owns its connection and one thread; close it, or use it as a context."""

    def __init__(self, connect: Callable[[], sqlite3.Connection], log: Log) -> None:
        """Start the writer.

        Args:
            connect: opens a durable connection; called once, in the writer's thread, which also closes it.
            log: whose entries they are.

        Raises:
            NotDurable: what the connection commits may be lost.
            Exception: whatever `connect` raised.
        """
        self._log = log
        self._connect = connect
        self._changed = threading.Condition()
        self._waiting: deque[_Entry | _Transaction[object]] = deque()
        self._closing = False
        self._stopped: WriterStopped | None = None
        self._process = os.getpid()
        started: _Awaited[None] = _Awaited()
        self._thread = threading.Thread(target=self._live, args=(started,), name="audit-log-writer", daemon=True)
        self._thread.start()
        started.wait()

    def append(self, event: Event, details: Mapping[str, object], readers: Mapping[str, bytes]) -> int:
        """Append an entry and wait until it is durable.

        The details are sealed in the caller's thread: in clear they go nowhere else.

        Args:
            event: what happened; `caused_by` is an entry that was acknowledged.
            details: what only readers may know.
            readers: for each reader by name, its 32-byte key; at least one.

        Returns:
            The entry's index.

        Raises:
            MalformedEntry: it cannot be logged.
            WriterStopped: it was not acknowledged, so its effect must not happen; it may be in the log all the same.
            LogFault: the database was busy for too long, or the writer is closed; it is not in the log.
        """
        entry = _Entry(prepare(event, details, readers))
        self._submit(entry)
        return entry.wait()

    def run(self, work: Work[T]) -> T:
        """Run a caller's own transaction, state and entries together, and wait until it is durable.

        Args:
            work: is handed the writer's connection within an open transaction; it may read, write and call any method
                of `Log` that takes a connection, but neither commit nor wait for this writer. If it raises, what it
                wrote is undone, and nothing else.

        Returns:
            What the work returned.

        Raises:
            WriterStopped, LogFault: as `append`.
            Exception: whatever the work raised.
        """
        transaction = _Transaction(work)
        self._submit(transaction)
        return transaction.wait()

    def close(self) -> None:
        """Write what is waiting, then end the thread and close the connection."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _submit(self, item: _Entry | _Transaction[T]) -> None:
        if threading.current_thread() is self._thread:
            raise LogFault("work within the writer's transaction cannot wait for the writer")
        if os.getpid() != self._process:
            raise LogFault("a writer does not survive a fork; each process makes its own")
        with self._changed:
            if self._stopped is not None:
                raise self._stopped
            if self._closing:
                raise LogFault("the log's writer is closed")
            self._waiting.append(item)  # type: ignore[arg-type]  # whoever put it in knows its type
            self._changed.notify()

    def _live(self, started: _Awaited[None]) -> None:
        """Be the writer's thread."""
        try:
            connection = self._connect()
        except BaseException as error:
            started.fail(error)
            return
        try:
            require_durable(connection)
            queue = _queue(connection)
        except BaseException as error:
            connection.close()
            started.fail(error)
            return
        started.succeed(None)
        group: Sequence[_Entry | _Transaction[object]] = ()
        try:
            while group := self._next_group():
                with _turn(queue):
                    self._write(connection, group)
                group = ()
        except BaseException as error:
            self._stop(error, group)
        finally:
            os.close(queue)
            connection.close()

    def _next_group(self) -> list[_Entry | _Transaction[object]]:
        """Wait for something to write; return nothing when the writer is closed."""
        with self._changed:
            while not self._waiting and not self._closing:
                self._changed.wait()
            return [self._waiting.popleft() for _ in range(min(MOST_IN_GROUP, len(self._waiting)))]

    def _write(self, connection: sqlite3.Connection, group: Sequence[_Entry | _Transaction[object]]) -> None:
        """Write a group as one transaction and tell everybody in it.

        Raises:
            BaseException: nobody was told anything; the writer must stop.
        """
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if is_disk_at_fault(error):
                raise
            for item in group:  # another process held the lock for too long; nothing was begun
                item.fail(LogFault(f"the log's database cannot be written to now: {error}"))
            return
        told: list[Callable[[], None]] = []
        entries: list[_Entry] = []
        for item in group:
            if isinstance(item, _Entry):
                entries.append(item)
            else:
                self._append(connection, entries, told)
                entries = []
                _run(connection, item, told)
        self._append(connection, entries, told)
        connection.execute("COMMIT")
        for tell in told:
            tell()

    def _append(
        self, connection: sqlite3.Connection, entries: Sequence[_Entry], told: list[Callable[[], None]]
    ) -> None:
        size = read_head(connection).size if entries else 0
        good: list[_Entry] = []
        for entry in entries:
            if entry.prepared.envelope.event.caused_by < size:
                good.append(entry)
            else:
                error = MalformedEntry("caused_by", "names an entry that was not there before this one")
                told.append(_telling(entry.fail, error))
        if good:
            indexes = self._log.append_all(connection, [entry.prepared for entry in good])
            told += [_telling(entry.succeed, index) for entry, index in zip(good, indexes, strict=True)]

    def _stop(self, error: BaseException, group: Sequence[_Entry | _Transaction[object]]) -> None:
        stopped = WriterStopped(str(error) or type(error).__name__)
        stopped.__cause__ = error
        with self._changed:
            self._stopped = stopped
            waiting = [*group, *self._waiting]
            self._waiting.clear()
        for item in waiting:
            item.fail(stopped)


def _queue(connection: sqlite3.Connection) -> int:
    """Open the file on which the writers of several processes queue.

    SQLite's own lock is asked for again and again, and of many who ask some wait for ever: the kernel lets them in by
    turns. Not the database file itself: whoever closes a second descriptor of that loses SQLite's locks on it.
    """
    (path,) = [name for _, schema, name in connection.execute("PRAGMA database_list") if schema == "main"]
    return os.open(f"{path}-writers", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


@contextmanager
def _turn(queue: int) -> Iterator[None]:
    fcntl.flock(queue, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(queue, fcntl.LOCK_UN)


def _run(connection: sqlite3.Connection, transaction: _Transaction[object], told: list[Callable[[], None]]) -> None:
    """Run one caller's work so that, if it fails, the others' stays.

    Raises:
        BaseException: the others' is gone too.
    """
    connection.execute("SAVEPOINT audit_log_work")
    try:
        value = transaction.work(connection)
    except Exception as error:
        if not connection.in_transaction or (isinstance(error, sqlite3.Error) and is_disk_at_fault(error)):
            raise
        connection.execute("ROLLBACK TO audit_log_work")
        connection.execute("RELEASE audit_log_work")
        told.append(_telling(transaction.fail, error))
        return
    if not connection.in_transaction:
        raise LogFault("a caller's work ended the transaction that it shares with others")
    connection.execute("RELEASE audit_log_work")
    told.append(_telling(transaction.succeed, value))


def _telling(tell: Callable[[T], None], what: T) -> Callable[[], None]:
    return lambda: tell(what)
