"""A member's upload, from rows to receipt. The package waits in the outbox until its receipt is durable.

The outbox holds ciphertext only, readable by its owner. A package is named after its table and the command that made
it, so that the same command, after whatever failed, hands the same package in and makes no second one.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cleanroom.client.dry_run import DryRun
from cleanroom.client.dry_run import rehearse as rehearse_here
from cleanroom.client.linkage import LinkageKey, create_linkage_key, linkage_path, read_linkage_key
from cleanroom.client.upload import prepare
from cleanroom.errors import Bilingual, CleanroomError, Fault, InvalidUpload, NotVerified, UsageError
from cleanroom.identifiers import TableName
from cleanroom.partition.intent import Append, Correct, Intent, act
from cleanroom.partition.package import read_package, sync_directory
from cleanroom.room.home import keep_receipt, private_directory
from cleanroom.room.member_facts import MemberFacts, facts_here, facts_in
from cleanroom.room.upload_choices import UploadChoices, digest_of, options_of
from key_management.secret import SecretKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from cleanroom.client import Options, PreparedUpload, Source
    from cleanroom.identifiers import RoomId, UploadId
    from cleanroom.room.hand_in import UploadReceipt
    from cleanroom.room.home import Home
    from cleanroom.room.room import Room

_FINAL: Final = frozenset({"damaged_package", "wrong_signature", "sealed_key", "altered_table_file"})
"""What does not verify in the package itself, and never will."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A package that waits in the outbox."""

    path: Path
    table: TableName
    upload: UploadId
    rows: int
    act: str


@dataclass(frozen=True, slots=True)
class Outbox:
    """Where a room's packages wait on a member's machine."""

    directory: Path

    @classmethod
    def of(cls, home: Home, room: RoomId) -> Outbox:
        """Return the outbox for a room, made if it is missing."""
        directory = home.room(room) / "outbox"
        private_directory(directory)
        return cls(directory)

    @contextmanager
    def of_table(self, table: TableName) -> Iterator[None]:
        """Hold a table's part of the outbox: one command at a time, others wait. What a crash left half is removed."""
        descriptor = os.open(self.directory / f"{table}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            for unfinished in self.directory.glob(f".{table}-*.tmp"):
                unfinished.unlink()
            yield
        finally:
            os.close(descriptor)

    def place(self, table: TableName, sources: Source | Sequence[Source], intent: Intent, options: Options) -> Path:
        """Return where the package of a command lies: the same for the same files, unchanged, intent and options."""
        listed = list(sources) if isinstance(sources, list | tuple) else [sources]
        files = [each.resolve() for each in listed if isinstance(each, Path)]
        if len(files) == len(listed) and all(each.is_file() for each in files):
            facts = [[str(each), each.stat().st_size, each.stat().st_mtime_ns] for each in files]
            corrects = intent.upload if isinstance(intent, Correct) else ""
            named = json.dumps([act(intent), corrects, facts, digest_of(options)])
            digest = hashlib.sha256(named.encode()).hexdigest()[:32]
        else:
            digest = secrets.token_hex(16)
        return self.directory / f"{table}-{digest}.package"

    def paths(self, table: TableName | None = None) -> tuple[Path, ...]:
        """Return the packages that wait, the oldest first."""
        found = self.directory.glob("*.package" if table is None else f"{table}-*.package")
        return tuple(sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name)))

    def waiting(self) -> tuple[Waiting, ...]:
        """Return what waits; a damaged package is left for the room to refuse."""
        found = []
        for path in self.paths():
            with suppress(CleanroomError, OSError):
                manifest = read_package(path).manifest
                found.append(Waiting(path, manifest.table, manifest.upload, manifest.row_count, act(manifest.intent)))
        return tuple(found)

    def remove(self, path: Path) -> None:
        """Forget a package, durably."""
        with suppress(FileNotFoundError):
            path.unlink()
            sync_directory(self.directory)


def linkage_key_of(home: Home, facts: MemberFacts) -> LinkageKey:
    """Return this machine's linkage key of the room's epoch; the room's first member makes it (DESIGN §9).

    Raises:
        Fault: other members have uploaded already, and their key is not here.
        UsageError: the key here is another than the other members'.
    """
    room, epoch = facts.room.room, facts.room.epoch
    path = linkage_path(home.path, room, epoch)
    if path.exists():
        key = read_linkage_key(path)
        if facts.linkage_check not in {None, key.check()}:
            raise UsageError(
                Bilingual(
                    f"cette clé d'appariement n'est pas celle des autres membres : {path} ; écartez ce fichier, et "
                    "demandez la leur (linkage ask)",
                    f"this linkage key is not the other members': {path}; move that file away, and ask for theirs "
                    "(linkage ask)",
                ),
                code="wrong_linkage_key",
            )
        return key
    if facts.linkage_check is not None:
        raise Fault(
            Bilingual(
                f"les membres ont déjà une clé d'appariement pour l'époque {epoch} ; demandez-la à l'un d'eux "
                f"(linkage ask) : {path}",
                f"the members have a linkage key for epoch {epoch} already; ask one of them for it (linkage ask): "
                f"{path}",
            ),
            code="linkage_key_missing",
        )
    return create_linkage_key(path, room=room, epoch=epoch)


def pack(
    home: Home,
    facts: MemberFacts,
    sources: Source | Sequence[Source],
    destination: Path,
    intent: Intent | None = None,
    choices: UploadChoices | None = None,
) -> PreparedUpload:
    """Make a package; it needs the member's home and the facts, and nothing of the room.

    Raises:
        As `cleanroom.client.prepare` and `options_of`; Fault: a key is missing.
    """
    linkage_key = linkage_key_of(home, facts)
    options = options_of(choices or UploadChoices(), home, facts, linkage_key, remember=True)
    return _pack(home, facts, sources, destination, intent, options)


def _pack(
    home: Home,
    facts: MemberFacts,
    sources: Source | Sequence[Source],
    destination: Path,
    intent: Intent | None,
    options: Options,
) -> PreparedUpload:
    return prepare(
        sources,
        facts.catalog,
        facts.room,
        home.signing_key(facts.table.owner),
        linkage_key_of(home, facts),
        destination,
        intent=intent,
        options=options,
    )


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A dry run; `trial_key` says that its tokens are of a key made for it alone, as the room has none yet."""

    run: DryRun
    trial_key: bool


def rehearse(
    home: Home,
    facts: MemberFacts,
    sources: Source | Sequence[Source],
    intent: Intent | None = None,
    choices: UploadChoices | None = None,
) -> Rehearsal:
    """Show what an upload would send; nothing is written, and neither the room's keys nor a signature are needed.

    Raises:
        As `pack`.
    """
    trial = facts.linkage_check is None and not linkage_path(home.path, facts.room.room, facts.room.epoch).exists()
    key = LinkageKey(facts.room.room, facts.room.epoch, SecretKey.generate()) if trial else linkage_key_of(home, facts)
    options = options_of(choices or UploadChoices(), home, facts, key, remember=False)
    return Rehearsal(rehearse_here(sources, facts.catalog, facts.room, key, intent=intent, options=options), trial)


def upload(
    room: Room,
    table: TableName,
    sources: Source | Sequence[Source],
    *,
    package: Path | None = None,
    intent: Intent | None = None,
    choices: UploadChoices | None = None,
) -> tuple[PreparedUpload | None, UploadReceipt | None]:
    """Make a member's upload for an open room and hand it in, or keep its package; see `upload_to`."""

    @contextmanager
    def opened() -> Iterator[Room]:
        yield room

    return _upload(room.home, facts_in(room, table), sources, opened, package, intent, choices)


def upload_to(
    path: Path,
    home: Home,
    table: TableName,
    sources: Source | Sequence[Source],
    *,
    package: Path | None = None,
    intent: Intent | None = None,
    choices: UploadChoices | None = None,
) -> tuple[PreparedUpload | None, UploadReceipt | None]:
    """Make a member's upload for the room at `path` and hand it in; the room's keys are opened for the hand-in only.

    Args:
        package: where to keep the package instead of handing it in.
        intent: what the upload does to its table; None to append.
        choices: how the files are read, and what becomes of rows that are not as declared; None for the strictest.

    Returns:
        What was prepared, None if this command's package was waiting already; and the receipt, None for a package kept.

    Raises:
        InvalidUpload, NotVerified: the rows or the package are not what they must be; nothing waits.
        UsageError: another upload of this table waits in the outbox.
        Fault: the room could not take it; the package waits, and the same command hands it in again.
    """
    from cleanroom.room.room import Room

    return _upload(home, facts_here(path, table), sources, lambda: Room.open(path, home=home), package, intent, choices)


def _upload(
    home: Home,
    facts: MemberFacts,
    sources: Source | Sequence[Source],
    opened: Callable[[], AbstractContextManager[Room]],
    package: Path | None,
    intent: Intent | None,
    choices: UploadChoices | None,
) -> tuple[PreparedUpload | None, UploadReceipt | None]:
    if package is not None:
        return pack(home, facts, sources, package, intent, choices), None
    # Those who say no are remembered before anything else, whatever becomes of the upload.
    options = options_of(choices or UploadChoices(), home, facts, linkage_key_of(home, facts), remember=True)
    outbox = Outbox.of(home, facts.room.room)
    with outbox.of_table(facts.table):
        place = outbox.place(facts.table, sources, intent or Append(), options)
        waiting = outbox.paths(facts.table)
        if waiting and place not in waiting:
            raise UsageError(
                Bilingual(
                    f"un dépôt antérieur de {facts.table} attend encore : {waiting[0]} ; remettez-le d'abord "
                    "(cleanroom upload ROOM --resume), ou effacez ce fichier",
                    f"an earlier upload of {facts.table} still waits: {waiting[0]}; hand it in first "
                    "(cleanroom upload ROOM --resume), or delete that file",
                ),
                code="upload_waiting",
            )
        try:
            prepared = None if waiting else _pack(home, facts, sources, place, intent, options)
        except OSError as error:
            reason = error.strerror or str(error)
            raise Fault(
                Bilingual(
                    f"le paquet n'a pas pu être écrit dans {outbox.directory} ({reason}) ; rien n'a été déposé",
                    f"the package could not be written to {outbox.directory} ({reason}); nothing was handed in",
                ),
                code="storage_failed",
            ) from None
        with opened() as room:
            return prepared, _hand_in(room, outbox, place)


def resume(room: Room) -> tuple[UploadReceipt, ...]:
    """Hand in every package that waits on this machine, the oldest first; return their receipts.

    Raises:
        As `cleanroom.room.intake`; what was not reached waits on.
    """
    outbox = Outbox.of(room.home, room.room_id)
    taken = []
    for path in outbox.paths():
        with outbox.of_table(TableName.parse(path.name.rsplit("-", 1)[0])):
            if path.exists():
                taken.append(_hand_in(room, outbox, path))
    return tuple(taken)


def _hand_in(room: Room, outbox: Outbox, package: Path) -> UploadReceipt:
    from cleanroom.room.hand_in import intake

    try:
        taken = intake(room, package)
    except CleanroomError as error:
        if isinstance(error, InvalidUpload) or (isinstance(error, NotVerified) and error.code in _FINAL):
            # Refused for good, and logged: it would be refused again. The rows are where they came from.
            outbox.remove(package)
        raise
    # Until the receipt is on this disk, the package stays: handing it in again gives the receipt again.
    with suppress(OSError):
        keep_receipt(room.home, room.room_id, taken.receipt.index, taken.receipt.proof)
        outbox.remove(package)
    return taken
