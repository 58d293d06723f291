"""Verify a room's log, in place, exported or served. It needs no key of the room: the files and a public key do."""

from __future__ import annotations

from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from audit_log import (
    HttpSource,
    LogFault,
    LogUnreachable,
    MalformedPolicy,
    TrustPolicy,
    Verdict,
    Verifier,
    Witnessed,
    open_checkpoint,
    serve,
    verify_database,
    verify_directory,
    verify_source,
)
from audit_log import NotVerified as LogNotVerified
from audit_log.judging import judge_note
from audit_log.note import MAX_NOTE_BYTES
from cleanroom.errors import Bilingual, Fault, NotVerified, UsageError
from cleanroom.room import registry
from cleanroom.room.creation import DATABASE, LOG_DETAILS, LOG_KEY, LOG_SIGNING, PARTITIONS, log_of
from cleanroom.room.database import connect
from cleanroom.room.journal import Journal
from cleanroom.room.log_memory import (
    NEWEST,
    read_key,
    read_key_file,
    remember,
    require_known_key,
    room_of,
    seen_checkpoint,
    verified_memory,
)
from cleanroom.room.reconciliation import contradictions
from cleanroom.storage.partition_store import PartitionStore, StoredPartition
from key_management import KeyManagementError, Keyring

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from audit_log import Checkpoint, Memory
    from cleanroom.identifiers import RoomId
    from cleanroom.room.home import Home

_LONGEST_KEY: Final = 1024
_LARGEST_RECEIPT: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Demands:
    """What a log must satisfy beside its own signature.

    Args:
        policy: whose witnesses must have cosigned.
        receipts: files that it must honour.
        incremental: whether entries verified earlier on this machine are read again; None for what is usual: of a
            directory yes, of a URL no.
        contains: signed checkpoints, as notes, that the log must contain.
    """

    policy: TrustPolicy | None = None
    receipts: tuple[Path, ...] = ()
    incremental: bool | None = None
    contains: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Verification:
    """What `verify` found.

    Args:
        first_time: the log's key came from the place that was verified, since this machine had not seen the log.
        damaged: of a room, the partitions that are missing or are not the bytes that were taken in.
        contradictions: of a room, what its tables say otherwise than its log.
        reconciled: whether the tables were compared with the log, which needs the room's root key.
        witnessed: the last state that the policy's witnesses cosigned, and when; None without a policy.
        known: the size that this machine had seen before, 0 for none.
    """

    verdict: Verdict
    vkey: str
    first_time: bool
    damaged: tuple[Bilingual, ...] = ()
    contradictions: tuple[Bilingual, ...] = ()
    reconciled: bool = False
    witnessed: Witnessed | None = None
    known: int = 0

    @property
    def ok(self) -> bool:
        """Whether all of it holds."""
        return self.verdict.ok and not self.damaged and not self.contradictions


def verify(
    target: Path | str,
    home: Home,
    *,
    vkey_file: Path | None = None,
    demands: Demands | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Verification:
    """Verify a log against what this machine has seen and verified of it, and remember what it is now.

    Args:
        target: a room's directory, an export's, or the URL (text) of a log that is served.

    Raises:
        UsageError: neither a room nor an export nor a URL.
        NotVerified: the key is another than the one this machine knows for this log.
        Fault: the URL does not answer.
    """
    wanted = demands or Demands()
    source = _source(target)
    verifier = read_key_file(vkey_file) if vkey_file is not None else _found_key(target, source)
    room = room_of(verifier)
    first_time = not require_known_key(home, verifier) and vkey_file is None
    seen = seen_checkpoint(home, verifier)
    memory = verified_memory(home, room)
    remembered = _recalled(memory, verifier)
    incremental = isinstance(source, HttpSource) if wanted.incremental is None else wanted.incremental
    receipts = tuple(_receipt(path) for path in wanted.receipts)
    contains = (*(() if seen is None else (seen,)), *(_signed(note, verifier) for note in wanted.contains))
    damaged: tuple[Bilingual, ...] = ()
    different: tuple[Bilingual, ...] = ()
    reconciled = False
    shown = b""
    match source:
        case HttpSource():
            verdict, note, shown = _served(
                str(target), verifier, remembered, contains, receipts, wanted, progress, incremental
            )
        case Path() if (source / DATABASE).exists():
            with closing(connect(source / DATABASE)) as connection:
                verdict = verify_database(
                    connection,
                    verifier.vkey,
                    remembered,
                    receipts=receipts,
                    contains=contains,
                    policy=wanted.policy,
                    incremental=incremental,
                    progress=progress,
                )
                note = _signed_at(connection, verdict)
                shown = _shown(connection, verifier)
                damaged = damaged_partitions(connection, PartitionStore(source / PARTITIONS))
                opened = _opened(connection, home, room) if verdict.ok else None
                reconciled = opened is not None
                different = contradictions(connection, *opened) if opened is not None else ()
        case _:
            verdict = verify_directory(
                source,
                verifier.vkey,
                remembered=remembered,
                receipts=receipts,
                contains=contains,
                policy=wanted.policy,
                incremental=incremental,
                progress=progress,
            )
            note = (source / "checkpoint").read_bytes() if verdict.ok else b""
    # What another process signed meanwhile was not verified.
    if verdict.ok and note and open_checkpoint(note, verifier) == verdict.checkpoint:
        memory.remember(verifier, note)
        remember(home, room, verifier.vkey, note)
    witnessed = wanted.policy.open(shown or note, verifier) if verdict.ok and wanted.policy is not None else None
    return Verification(
        _placed(verdict, wanted.receipts),
        verifier.vkey,
        first_time,
        damaged,
        different,
        reconciled,
        witnessed,
        0 if seen is None else seen.size,
    )


def read_policy(path: Path) -> TrustPolicy:
    """Read a tlog-policy file, else raise `UsageError` with the line."""
    try:
        return TrustPolicy.parse(path.read_bytes())
    except OSError as error:
        raise UsageError(
            Bilingual(f"{path} ne se lit pas ({error.strerror})", f"{path} cannot be read ({error.strerror})"),
            code="unreadable_file",
        ) from None
    except MalformedPolicy as error:
        raise UsageError(
            Bilingual(
                f"{path}, ligne {error.line} : pas une politique de témoins ({error.reason})",
                f"{path}, line {error.line}: not a policy of witnesses ({error.reason})",
            ),
            code="invalid_policy",
        ) from None


def is_url(target: str) -> bool:
    """Tell a URL from a path."""
    return target.startswith(("http://", "https://"))


def log_at(url: str) -> HttpSource:
    """Return a log that is served at a URL, else raise `UsageError`; nothing is sent yet."""
    try:
        return HttpSource(url)
    except LogUnreachable as error:
        raise UsageError(Bilingual(f"{url} : {error.reason}", f"{url}: {error.reason}"), code="no_log") from None


def unreachable(error: LogUnreachable) -> Fault:
    """Say that a log's server does not answer; it says nothing of the log."""
    return Fault(
        Bilingual(
            f"le journal n'est pas joignable, rien n'en est donc dit : {error.url} ({error.reason})",
            f"the log cannot be reached, so nothing is said of it: {error.url} ({error.reason})",
        ),
        code="log_unreachable",
    )


def served_key(source: HttpSource) -> Verifier:
    """Return the public key that a served log claims."""
    try:
        content = source.read(LOG_KEY, _LONGEST_KEY)
    except LogUnreachable as error:
        raise unreachable(error) from None
    finally:
        source.close()
    return read_key((content or b"").decode("ascii", "replace"))


def damaged_partitions(connection: sqlite3.Connection, store: PartitionStore) -> tuple[Bilingual, ...]:
    """Compare every byte of every partition with the digest of its upload; return what does not hold."""
    found = []
    for upload in registry.uploads(connection):
        try:
            store.verify(StoredPartition(upload.manifest))
        except (Fault, NotVerified) as error:
            found.append(error.message)
    return tuple(found)


def _source(target: Path | str) -> HttpSource | Path:
    if isinstance(target, str) and is_url(target):
        return log_at(target)
    path = Path(target)
    if not (path / DATABASE).exists() and not (path / "checkpoint").exists():
        raise UsageError(
            Bilingual(f"{path} n'est ni une salle ni un journal exporté", f"{path}: neither a room nor a log"),
            code="no_log",
        )
    return path


def _found_key(target: Path | str, source: HttpSource | Path) -> Verifier:
    return served_key(source) if isinstance(source, HttpSource) else read_key_file(Path(target) / LOG_KEY)


def _receipt(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST_RECEIPT)
    except OSError as error:
        raise UsageError(
            Bilingual(f"{path} ne se lit pas ({error.strerror})", f"{path} cannot be read ({error.strerror})"),
            code="unreadable_file",
        ) from None


def _served(
    url: str,
    verifier: Verifier,
    remembered: Checkpoint | None,
    contains: Sequence[Checkpoint],
    receipts: Sequence[bytes],
    wanted: Demands,
    progress: Callable[[int, int], None] | None,
    incremental: bool,
) -> tuple[Verdict, bytes, bytes]:
    """Verify a served log; return the verdict, the checkpoint verified, and the one that the policy accepts.

    A room shows beside its newest state the last one that a quorum cosigned. All entries are verified; the policy
    judges the cosigned state, which the newest must contain.
    """
    plain, newest = log_at(url), log_at(url.rstrip("/") + NEWEST)
    try:
        shown = plain.read("checkpoint", MAX_NOTE_BYTES) or b""
        two = bool(newest.read("checkpoint", MAX_NOTE_BYTES)) and bool(shown)
        judged = judge_note(shown, verifier, "checkpoint", wanted.policy) if two else None
        if isinstance(judged, Verdict):
            return judged, b"", b""
        verdict, note = verify_source(
            newest if two else plain,
            verifier.vkey,
            remembered=remembered,
            receipts=receipts,
            contains=contains if judged is None else (*contains, judged),
            policy=None if two else wanted.policy,
            incremental=incremental,
            progress=progress,
        )
        return verdict, note, shown if two else note
    except LogUnreachable as error:
        raise unreachable(error) from None
    finally:
        plain.close()
        newest.close()


def _signed(note: bytes, verifier: Verifier) -> Checkpoint:
    try:
        return open_checkpoint(note, verifier)
    except LogNotVerified as error:
        raise NotVerified(
            Bilingual(
                f"un état dit du journal n'est pas signé par lui : {error}",
                f"what is said to be a state of the log is not signed by it: {error}",
            ),
            code="checkpoint_not_signed",
        ) from None


def _recalled(memory: Memory, verifier: Verifier) -> Checkpoint | None:
    try:
        return memory.recall(verifier)
    except LogFault as error:
        raise NotVerified(
            Bilingual(
                f"ce que cette machine a retenu du journal est altéré : {error}",
                f"what this machine remembers of the log is damaged: {error}",
            ),
            code="remembered_checkpoint_damaged",
        ) from None


def _signed_at(connection: sqlite3.Connection, verdict: Verdict) -> bytes:
    """Return the checkpoint that was verified; the room may have gone on since."""
    size = -1 if verdict.checkpoint is None else verdict.checkpoint.size
    row = (
        connection.execute("SELECT note FROM audit_checkpoint WHERE size = ?", (size,)).fetchone()
        if verdict.ok
        else None
    )
    return b"" if row is None else bytes(row[0])


def _shown(connection: sqlite3.Connection, verifier: Verifier) -> bytes:
    """Return the checkpoint that a policy is asked about: the last that a quorum cosigned, else the newest."""
    with suppress(LogFault):
        return serve(connection, "/checkpoint", verifier.vkey, cosigned=True).body
    return b""


def _placed(verdict: Verdict, receipts: tuple[Path, ...]) -> Verdict:
    """Name the receipt that a verdict is about by its file."""
    kind, _, number = verdict.place.partition(" ")
    return replace(verdict, place=str(receipts[int(number)])) if kind == "receipt" and number.isdecimal() else verdict


def _opened(connection: sqlite3.Connection, home: Home, room: RoomId) -> tuple[Journal, Keyring] | None:
    """Return the room's journal and keyring if its root key is on this machine, else None."""
    try:
        keyring = Keyring(home.root_key(room))
        log = log_of(room, keyring.open(connection, LOG_SIGNING))
        return Journal(room, log, keyring.open(connection, LOG_DETAILS)), keyring
    except (Fault, KeyManagementError):
        return None
