"""A witness: cosigns a log's checkpoint once it is proved to contain the last one cosigned (c2sp.org/tlog-witness).

Pure of HTTP: bytes come in, a `Reply` goes out, and whatever server the member runs carries both. The state is one row
for each log, in a database of the witness's own, changed and durable before a cosignature leaves.
"""

import base64
import hashlib
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final, Self

from audit_log.checkpoint import parse_decimal
from audit_log.cosignature import Cosigner, merge_signatures
from audit_log.errors import LogFault, MalformedCheckpoint, MalformedNote, MalformedRequest, NotVerified, WriterStopped
from audit_log.merkle import EMPTY_ROOT, HASH_BYTES, verify_consistency
from audit_log.note import MAX_NOTE_BYTES, Algorithm, Verifier, decode_base64, open_note, parse_note
from audit_log.reply import TEXT, Reply, refusal
from audit_log.transaction import is_disk_at_fault, require_durable

MAX_PROOF_HASHES: Final = 63
MAX_REQUEST_BYTES: Final = MAX_NOTE_BYTES + 64 * 64
SIZE_TYPE: Final = "text/x.tlog.size"
ADD_CHECKPOINT: Final = "/add-checkpoint"
_MONITORED: Final = re.compile(r"/([0-9a-f]{64})/checkpoint", re.ASCII)
_BUSY_SECONDS: Final = 30.0
MAX_CONFLICTS: Final = 64  # of each log: evidence, not a way to fill the disk
_SCHEMA: Final = (
    "CREATE TABLE witness (vkey TEXT PRIMARY KEY) STRICT, WITHOUT ROWID",
    """CREATE TABLE witnessed (
    origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL, at INTEGER NOT NULL, note BLOB NOT NULL
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE conflict (
    origin TEXT NOT NULL, note BLOB NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (origin, note)
    ) STRICT, WITHOUT ROWID""",
)


@dataclass(frozen=True, slots=True)
class State:
    """A log's state as a checkpoint's text names it; other logs than ours may add extension lines below.

    Attributes:
        origin: the log's name.
        size: number of entries.
        root: 32 bytes.
    """

    origin: str
    size: int
    root: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a checkpoint's text (c2sp.org/tlog-checkpoint).

        Raises:
            MalformedCheckpoint: another spelling.
        """
        lines = text.split("\n")
        if len(lines) < 4 or lines[-1] or not all(lines[:-1]):
            raise MalformedCheckpoint("a checkpoint has three lines or more, none of them empty")
        try:
            root = decode_base64(lines[2])
        except MalformedNote as error:
            raise MalformedCheckpoint("the root is not canonical base64") from error
        if len(root) != HASH_BYTES:
            raise MalformedCheckpoint("the root is not 32 bytes long")
        return cls(lines[0], parse_decimal(lines[1]), root)


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """The body of a request to cosign.

    Attributes:
        old: the size that the proof begins at.
        proof: RFC 6962 §2.1.2, from `old` to the checkpoint's size.
        note: the signed checkpoint.
    """

    old: int
    proof: tuple[bytes, ...]
    note: bytes

    def encode(self) -> bytes:
        """Write the body."""
        lines = [f"old {self.old}", *(base64.b64encode(each).decode("ascii") for each in self.proof), "", ""]
        return "\n".join(lines).encode("ascii") + self.note

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read a body; its checkpoint is well-formed, nothing is verified.

        Raises:
            MalformedRequest: another spelling.
        """
        if len(body) > MAX_REQUEST_BYTES:
            raise MalformedRequest("too long")
        head, blank, note = body.partition(b"\n\n")
        try:
            lines = head.decode("ascii").split("\n")
            if not blank or not lines[0].startswith("old "):
                raise MalformedRequest("a request begins with the old size, and a blank line stands before the note")
            old = parse_decimal(lines[0].removeprefix("old "))
            proof = tuple(decode_base64(line) for line in lines[1:])
            State.parse(parse_note(note).text)
        except (UnicodeDecodeError, MalformedNote, MalformedCheckpoint) as error:
            raise MalformedRequest("not in its only spelling") from error
        if len(proof) > MAX_PROOF_HASHES or any(len(each) != HASH_BYTES for each in proof):
            raise MalformedRequest("the proof is not at most 63 hashes of 32 bytes")
        return cls(old, proof, note)


class Witness:
    """One witness: its key, the logs that it knows, what it has seen of them. Threads may share it."""

    def __init__(
        self,
        database: Path,
        cosigner: Cosigner,
        logs: Iterable[Verifier],
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Open a witness's state; several processes may share it.

        Args:
            database: as `create` made it. A witness whose database was lost is retired, its key with it: at zero
                again it would cosign a second history of a log that it has seen.
            cosigner: the witness's key.
            logs: the keys of the logs that it cosigns; several keys may bear one origin.
            now: Unix time in seconds.

        Raises:
            LogFault: the state is missing or another's.
            NotDurable: what is committed there may be lost.
        """
        if not database.is_file():
            raise LogFault(f"{database}: the witness's state is missing; a witness that lost it is retired")
        self._cosigner = cosigner
        self._now = now
        self._logs = _by_origin(logs)
        self._lock = threading.Lock()
        self._stopped: WriterStopped | None = None
        self._connection = _connect(database)
        try:
            require_durable(self._connection)
            row = self._connection.execute("SELECT vkey FROM witness").fetchone()
            if row is None or row[0] != cosigner.verifier.vkey:
                raise LogFault(f"{database}: the state is another witness's")
        except (sqlite3.Error, LogFault) as error:
            self._connection.close()
            if isinstance(error, sqlite3.Error):
                raise LogFault(f"{database}: not a witness's state") from error
            raise

    @staticmethod
    def create(database: Path, verifier: Verifier) -> None:
        """Make the state of a new witness, once in the life of its key.

        Args:
            database: a path where nothing is yet.
            verifier: the public half of the witness's key.

        Raises:
            LogFault: there is something already.
        """
        try:
            database.touch(mode=0o600, exist_ok=False)
        except FileExistsError:
            raise LogFault(f"{database}: there is a state already") from None
        connection = _connect(database)
        try:
            connection.execute("BEGIN IMMEDIATE")
            for statement in _SCHEMA:
                connection.execute(statement)
            connection.execute("INSERT INTO witness VALUES (?)", (verifier.vkey,))
            connection.execute("COMMIT")
        finally:
            connection.close()

    def close(self) -> None:
        """Close the state."""
        self._connection.close()

    @property
    def verifier(self) -> Verifier:
        """The public half of the witness's key."""
        return self._cosigner.verifier

    def size_of(self, origin: str) -> int:
        """Return the size of the last checkpoint cosigned of a log, 0 if there is none."""
        with self._lock:
            row = self._connection.execute("SELECT size FROM witnessed WHERE origin = ?", (origin,)).fetchone()
        return 0 if row is None else int(row[0])

    def answer(self, method: str, path: str, body: bytes = b"") -> Reply:
        """Serve a request of either prefix.

        Args:
            method: the HTTP method.
            path: below the submission or monitoring prefix, with its leading slash.
            body: the whole body, which the server has cut at `MAX_REQUEST_BYTES` + 1.
        """
        if path == ADD_CHECKPOINT:
            if method != "POST":
                return refusal(HTTPStatus.METHOD_NOT_ALLOWED, "add-checkpoint is a POST")
            try:
                return self.add_checkpoint(body)
            except LogFault:
                return refusal(HTTPStatus.SERVICE_UNAVAILABLE, "the witness cannot write its state")
        monitored = _MONITORED.fullmatch(path)
        if monitored is None:
            return refusal(HTTPStatus.NOT_FOUND, "no such resource")
        if method != "GET":
            return refusal(HTTPStatus.METHOD_NOT_ALLOWED, "a checkpoint is read with GET")
        return self.latest(monitored[1])

    def add_checkpoint(self, body: bytes) -> Reply:
        """Cosign a checkpoint if it contains the last one cosigned; the answer is durable before it is returned.

        Args:
            body: as `AddCheckpoint.encode` writes it.

        Returns:
            200 and the cosignature; 400 malformed; 403 not signed by a key known for the log; 404 unknown log; 409 and
            the size last cosigned, when the proof begins elsewhere; 422 not consistent with it.

        Raises:
            WriterStopped: the disk failed; nothing was cosigned, and nothing will be until the witness is restarted.
            LogFault: the state is busy; nothing was cosigned.
        """
        try:
            asked = AddCheckpoint.parse(body)
        except MalformedRequest as error:
            return refusal(HTTPStatus.BAD_REQUEST, error.reason)
        text = parse_note(asked.note).text
        state = State.parse(text)
        if state.origin not in self._logs:
            return refusal(HTTPStatus.NOT_FOUND, "unknown log")
        try:
            open_note(asked.note, self._logs[state.origin])
        except NotVerified as error:
            return refusal(HTTPStatus.FORBIDDEN, error.reason)
        if asked.old > state.size:
            return refusal(HTTPStatus.BAD_REQUEST, "the old size is above the checkpoint's")
        # The check and the new row are one transaction: of two requests the second sees what the first cosigned.
        with self._writing():
            return self._cosign(asked, state, text)

    def _cosign(self, asked: AddCheckpoint, state: State, text: str) -> Reply:
        row = self._connection.execute(
            "SELECT size, root, at FROM witnessed WHERE origin = ?", (state.origin,)
        ).fetchone()
        size, root, at = (0, EMPTY_ROOT, 0) if row is None else (row[0], bytes(row[1]), row[2])
        if asked.old != size:
            return Reply(HTTPStatus.CONFLICT, b"%d\n" % size, SIZE_TYPE)
        try:
            # It covers the empty tree's root, equal sizes with other roots, and a proof where none may be.
            verify_consistency(
                old_size=size, new_size=state.size, old_root=root, new_root=state.root, proof=asked.proof
            )
        except NotVerified as error:
            self._keep_conflict(asked, state)
            return refusal(HTTPStatus.UNPROCESSABLE_ENTITY, error.reason)
        # A clock set back must not make a later statement look like an earlier one.
        cosignature = self._cosigner.cosign(text, max(int(self._now()), at, 1))
        stamped = int.from_bytes(cosignature.signature[:8], "big")
        kept = merge_signatures(_signed_by(asked.note, self._logs[state.origin]), (cosignature,))
        self._connection.execute(
            "INSERT INTO witnessed (origin, size, root, at, note) VALUES (?, ?, ?, ?, ?) ON CONFLICT (origin) "
            "DO UPDATE SET size = excluded.size, root = excluded.root, at = excluded.at, note = excluded.note",
            (state.origin, state.size, state.root, stamped, kept),
        )
        return Reply(HTTPStatus.OK, cosignature.line().encode(), TEXT)

    def _keep_conflict(self, asked: AddCheckpoint, state: State) -> None:
        """Keep what the log signed and we cannot reconcile: beside our last checkpoint it may prove two histories."""
        (kept,) = self._connection.execute("SELECT count(*) FROM conflict WHERE origin = ?", (state.origin,)).fetchone()
        if kept < MAX_CONFLICTS:
            note = _signed_by(asked.note, self._logs[state.origin])
            self._connection.execute(
                "INSERT OR IGNORE INTO conflict (origin, note, at) VALUES (?, ?, ?)",
                (state.origin, note, int(self._now())),
            )

    def conflicts(self, origin: str) -> tuple[bytes, ...]:
        """Return the checkpoints that the log signed and that were refused as inconsistent, the first 64 of them.

        One of the same size as another checkpoint of the log and another root proves that it showed two histories. Of
        another size it may also be a wrong proof for a right checkpoint.

        Args:
            origin: the log's name.
        """
        with self._lock:
            rows = self._connection.execute(
                "SELECT note FROM conflict WHERE origin = ? ORDER BY at, note", (origin,)
            ).fetchall()
        return tuple(bytes(note) for (note,) in rows)

    def latest(self, origin_hash: str) -> Reply:
        """Return the last checkpoint cosigned of a log, with the log's signature and ours.

        Args:
            origin_hash: SHA-256 of the origin in lowercase hex.
        """
        for origin in self._logs:
            if hashlib.sha256(origin.encode()).hexdigest() == origin_hash:
                with self._lock:
                    row = self._connection.execute("SELECT note FROM witnessed WHERE origin = ?", (origin,)).fetchone()
                if row is not None:
                    return Reply(HTTPStatus.OK, bytes(row[0]), TEXT, "no-cache")
        return refusal(HTTPStatus.NOT_FOUND, "never cosigned")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._lock:
            if self._stopped is not None:
                raise self._stopped
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield
                self._connection.execute("COMMIT")
            except BaseException as error:
                if isinstance(error, sqlite3.Error) and is_disk_at_fault(error):
                    # Nobody knows what is on the disk now; what we said before must still be there when we speak again.
                    self._stopped = WriterStopped(str(error))
                    raise self._stopped from error
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error):
                    raise LogFault(f"the witness's state cannot be written to now: {error}") from error
                raise


def _connect(database: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(database, isolation_level=None, timeout=_BUSY_SECONDS, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
    except sqlite3.Error as error:
        connection.close()
        raise LogFault(f"{database}: not a witness's state") from error
    return connection


def _by_origin(logs: Iterable[Verifier]) -> Mapping[str, tuple[Verifier, ...]]:
    known: dict[str, tuple[Verifier, ...]] = {}
    for each in logs:
        if each.algorithm is not Algorithm.ED25519:
            raise MalformedNote("a log's key signs, it does not cosign")
        known[each.name] = (*known.get(each.name, ()), each)
    return known


def _signed_by(note: bytes, verifiers: Iterable[Verifier]) -> bytes:
    """Return a note with the signatures of these keys only, which were verified; we vouch for no others."""
    parsed = parse_note(note)
    known = {(each.name, each.key_id) for each in verifiers}
    lines = "".join(each.line() for each in parsed.signatures if (each.name, each.key_id) in known)
    return f"{parsed.text}\n{lines}".encode()
