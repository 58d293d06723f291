"""What a verifier remembers: of each log, the last checkpoint all of whose entries it has verified."""

import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from audit_log.checkpoint import Checkpoint, open_checkpoint
from audit_log.errors import LogFault, NotVerified
from audit_log.note import Verifier

_LOCK: Final = "lock"


class Memory:
    """A directory with one signed checkpoint for each log. Only what was verified whole belongs in it.

    The notes are signed, so nobody without the log's key can put another state there; who can write to the directory
    can put an older one back, or take it away, and so make the verifier forget. It lies where the verifier is at home.
    """

    def __init__(self, directory: Path) -> None:
        """Name the place; it is made, for its owner alone, when there is something to remember."""
        self._directory = directory

    def recall(self, log: Verifier) -> Checkpoint | None:
        """Return the last checkpoint verified of a log, None if it was never verified here.

        Raises:
            LogFault: what is remembered is damaged, or not signed by this key: the file is named, so that a human being
                decides.
        """
        place = self._place(log)
        try:
            return open_checkpoint(place.read_bytes(), log)
        except FileNotFoundError:
            return None
        except NotVerified as error:
            raise LogFault(f"{place}: the remembered checkpoint does not hold: {error}") from error

    def remember(self, log: Verifier, note: bytes) -> None:
        """Keep a checkpoint that was verified, unless a larger one is kept already; durable on return.

        Raises:
            NotVerified: not a checkpoint of this log, or one of the same size and another root is remembered.
            LogFault: what is remembered is damaged.
        """
        checkpoint = open_checkpoint(note, log)
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._alone():
            known = self.recall(log)
            if known is not None and known.size == checkpoint.size and known.root != checkpoint.root:
                raise NotVerified("checkpoint", f"another history of {known.size} entries is remembered")
            if known is None or known.size <= checkpoint.size:
                _replace(self._place(log), note)

    def _place(self, log: Verifier) -> Path:
        return self._directory / f"{hashlib.sha256(log.name.encode()).hexdigest()}.checkpoint"

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Of two verifiers the slower may hold the older checkpoint; they take turns."""
        descriptor = os.open(self._directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    with temporary.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
