"""One writer for many: entries and whole transactions of many threads, made durable together, one fsync for all.

Each caller waits until what it handed in is on disk. While one group is being written the next one gathers, so the more
callers there are, the more share the price of one commit. Several processes may each have a writer on one database:
they take turns, and each of their groups begins at the head that the other left.
"""

import fcntl
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Final, Generic, Self, TypeAlias, TypeVar

from audit_log.appending import Drafted, Prepared, draft
from audit_log.entry import Event
from audit_log.errors import LogFault, MalformedEntry, WriterStopped
from audit_log.log import Log
from audit_log.tables import read_size
from audit_log.transaction import is_disk_at_fault, require_durable

MOST_IN_GROUP: Final = 1024

T = TypeVar("T")
Work: TypeAlias = Callable[[sqlite3.Connection], T]


class _Awaited(Generic[T]):
    """What somebody waits for: settled by the writer, who tells once it is durable."""

    __slots__ = ("_error", "_latch", "_value")

    def __init__(self) -> None:
        # A lock held from the start is the cheapest latch that there is.
        self._latch = threading.Lock()
        self._latch.acquire()
        self._value: T | None = None
        self._error: BaseException | None = None

    def settle(self, value: T) -> None:
        """Set what it came to; whoever waits hears of it by `tell` only."""
        self._value = value

    def refuse(self, error: BaseException) -> None:
        """Set why it failed; whoever waits hears of it by `tell` only."""
        self._error = error

    def tell(self) -> None:
        self._latch.release()

    def wait(self) -> T:
        self._latch.acquire()
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value]  # set, or an error was


class _Entry(_Awaited[int]):
    """An entry to append."""

    __slots__ = ("drafted",)

    def __init__(self, drafted: Drafted) -> None:
        super().__init__()
        self.drafted = drafted


class _Transaction(_Awaited[T]):
    """A caller's own work, state and entries together."""

    __slots__ = ("work",)

    def __init__(self, work: Work[T]) -> None:
        super().__init__()
        self.work = work


_Item: TypeAlias = _Entry | _Transaction[object]
_Sealed: TypeAlias = tuple[_Entry, Prepared] | _Transaction[object]


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
        self._state = threading.Lock()  # of what is handed in, and whether anything still may be
        self._waiting: SimpleQueue[_Item | None] = SimpleQueue()  # None is the end
        self._closing = False
        self._stopped: WriterStopped | None = None
        self._process = os.getpid()
        started: _Awaited[None] = _Awaited()
        self._thread = threading.Thread(target=self._live, args=(started,), name="audit-log-writer", daemon=True)
        self._thread.start()
        started.wait()

    def append(self, event: Event, details: Mapping[str, object], readers: Mapping[str, bytes]) -> int:
        """Append an entry and wait until it is durable.

        The details are fixed in the caller's thread and sealed in the writer's, for many threads that seal at the same
        time spend as long again on handing each other the interpreter. In clear they go nowhere else.

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
        entry = _Entry(draft(event, details, readers))
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
        with self._state:
            if not self._closing:
                self._waiting.put(None)
            self._closing = True
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
        with self._state:
            if self._stopped is not None:
                raise self._stopped
            if self._closing:
                raise LogFault("the log's writer is closed")
            self._waiting.put(item)  # type: ignore[arg-type]  # whoever put it in knows its type

    def _live(self, started: _Awaited[None]) -> None:
        """Be the writer's thread."""
        try:
            connection = self._connect()
        except BaseException as error:
            started.refuse(error)
            started.tell()
            return
        try:
            require_durable(connection)
            queue = _queue(connection)
        except BaseException as error:
            connection.close()
            started.refuse(error)
            started.tell()
            return
        started.tell()
        group: Sequence[_Item] = ()
        try:
            while group := self._next_group():
                ready = _sealed(group)
                with _turn(queue):
                    self._write(connection, group, ready)
                group = ()
        except BaseException as error:
            self._stop(error, group)
        finally:
            os.close(queue)
            connection.close()

    def _next_group(self) -> list[_Item]:
        """Wait for something to write and take what there is; return nothing when the writer is closed."""
        group: list[_Item] = []
        item = self._waiting.get()
        while item is not None:
            group.append(item)
            if len(group) == MOST_IN_GROUP or self._waiting.empty():
                return group
            item = self._waiting.get()
        if group:
            self._waiting.put(None)  # nothing follows it: the writer closes with the next group
        return group

    def _write(self, connection: sqlite3.Connection, group: Sequence[_Item], sealed: Sequence[_Sealed]) -> None:
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
                item.refuse(LogFault(f"the log's database cannot be written to now: {error}"))
        else:
            entries: list[tuple[_Entry, Prepared]] = []
            for ready in sealed:
                if isinstance(ready, tuple):
                    entries.append(ready)
                else:
                    self._append(connection, entries)
                    entries = []
                    _run(connection, ready)
            self._append(connection, entries)
            connection.execute("COMMIT")
        for item in group:
            item.tell()

    def _append(self, connection: sqlite3.Connection, entries: Sequence[tuple[_Entry, Prepared]]) -> None:
        size = read_size(connection) if entries else 0
        good: list[_Entry] = []
        prepared: list[Prepared] = []
        for entry, each in entries:
            if each.event.caused_by < size:
                good.append(entry)
                prepared.append(each)
            else:
                entry.refuse(MalformedEntry("caused_by", "names an entry that was not there before this one"))
        if good:
            for entry, index in zip(good, self._log.append_all(connection, prepared), strict=True):
                entry.settle(index)

    def _stop(self, error: BaseException, group: Sequence[_Item]) -> None:
        stopped = WriterStopped(str(error) or type(error).__name__)
        stopped.__cause__ = error
        waiting = [*group]
        with self._state:
            self._stopped = stopped
            while not self._waiting.empty():
                item = self._waiting.get()
                if item is not None:
                    waiting.append(item)
        for item in waiting:
            item.refuse(stopped)
            item.tell()


def _sealed(group: Sequence[_Item]) -> list[_Sealed]:
    """Seal the entries of a group, before the database is locked; one that cannot be sealed fails alone."""
    sealed: list[_Sealed] = []
    for item in group:
        if not isinstance(item, _Entry):
            sealed.append(item)
            continue
        try:
            sealed.append((item, item.drafted.seal()))
        except Exception as error:  # whatever was wrong with it is its caller's, who is told
            item.refuse(error)
    return sealed


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


def _run(connection: sqlite3.Connection, transaction: _Transaction[object]) -> None:
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
        transaction.refuse(error)
        return
    if not connection.in_transaction:
        raise LogFault("a caller's work ended the transaction that it shares with others")
    connection.execute("RELEASE audit_log_work")
    transaction.settle(value)
