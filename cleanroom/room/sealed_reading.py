"""Read one's own entries of an exported or served log with one's own key: nobody is asked, nobody is told.

The log is verified before. Each opened detail is held against the commitment in its leaf. Which entries must open
follows from the public part alone (`reading_rights`), once the reader's own registration has opened: so an operator who
leaves out a key, or the details behind it, is found out, entry by entry; erased details count as such only where an
entry says that they were erased, and rightly.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from audit_log import (
    DirectorySource,
    EntryReader,
    Event,
    EventType,
    Outcome,
    SealedFile,
    erases,
    open_checkpoint,
    unveil,
)
from audit_log import NotVerified as LogNotVerified
from cleanroom.errors import Bilingual, NotVerified, UsageError
from cleanroom.identifiers import Digest, PartyId
from cleanroom.room.journal import Journal
from cleanroom.room.log_reading import CHECKPOINT_FILE, LogLine
from cleanroom.room.reading_rights import Known, Scope
from cleanroom.room.sealed_export import box_info, sealed_path
from key_management import UnsealFailed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from audit_log import Checkpoint, Envelope, Source, Veiled, Verifier
    from cleanroom.room.log_reading import Wanted
    from key_management import SecretKey, TransportKey

_REGISTRATIONS = frozenset({EventType.PARTY_ADDED, EventType.KEY_REGISTERED})


@dataclass
class OwnReading:
    """What a reader's own key opens of an export.

    Args:
        party: who the reader is, as its registration says.
        missing: entries that are the reader's, and whose details are not there for it; complete once `lines` is.
        size: the number of entries that the sealed details are of.
    """

    party: PartyId
    known: Known
    scopes: tuple[Scope, ...]
    missing: list[int] = field(default_factory=list)
    size: int = 0
    _pass: _Pass | None = None
    _erasures: tuple[Event, ...] = ()

    def lines(self, wanted: Wanted) -> Iterator[LogLine]:
        """Yield the wanted entries: the reader's whole, the others as envelopes.

        Raises:
            NotVerified: details are not those that their entry commits to; names the entry.
        """
        if self._pass is None:
            return
        self.missing.clear()
        for index, envelope, sealed in self._pass.read():
            event = envelope.event
            details = self._pass.opened(index, envelope, sealed)
            own = self.known.reads(event) or any(each.covers(event) for each in self.scopes)
            erased = not sealed.content and any(erases(each, index, event) for each in self._erasures)
            if own and details is None and not erased:
                self.missing.append(index)
            if _chosen(index, event, wanted):
                actor = None if details is None else PartyId(str(details.get("actor")))
                yield LogLine(index, envelope, actor, details, withheld=details is None and not (own and erased))


def read_own(directory: Path, checkpoint: Checkpoint, file: BinaryIO, key: TransportKey) -> OwnReading:
    """Find out what a key opens of an export.

    Args:
        directory: the export; it was verified, under this checkpoint.
        file: its sealed details, open as long as anything is read.
        key: the reader's own.

    Raises:
        NotVerified: the details are another export's or damaged, the key opens nothing there, or whose it is is not in
            them.
    """
    sealed = _sealed(file)
    if sealed.note != (directory / CHECKPOINT_FILE).read_bytes():
        raise NotVerified(
            Bilingual(
                f"{sealed_path(directory)} est d'un autre export que {directory}",
                f"{sealed_path(directory)} belongs to another export than {directory}",
            ),
            code="details_of_another_export",
        )
    return _read(_Pass.begin(DirectorySource(directory), checkpoint, sealed, key), key)


def read_served(source: Source, file: BinaryIO, key: TransportKey, log: Verifier) -> OwnReading:
    """Find out what a key opens of a log that is served, up to the state that its sealed details are of.

    Args:
        source: the log; it was verified, and that it contains the state of `note_of` the same file.
        file: the sealed details that were fetched, open as long as anything is read.
        key: the reader's own.
        log: the log's key.

    Raises:
        NotVerified: as `read_own`.
    """
    sealed = _sealed(file)
    try:
        checkpoint = open_checkpoint(sealed.note, log)
    except LogNotVerified as error:
        raise _damaged(error) from None
    return _read(_Pass.begin(source, checkpoint, sealed, key), key)


def note_of(file: BinaryIO) -> bytes:
    """Return the checkpoint, as its note, that sealed details say to be of; nothing is verified yet."""
    return _sealed(file).note


def _sealed(file: BinaryIO) -> SealedFile:
    try:
        return SealedFile(file)
    except LogNotVerified as error:
        raise _damaged(error) from None


def _read(reading: _Pass, key: TransportKey) -> OwnReading:
    public = str(Digest.of(key.public_bytes()))
    found: OwnReading | None = None
    given: dict[int, tuple[str, Scope]] = {}
    erasures = []
    actors: dict[str, str] = {}
    for index, envelope, sealed in reading.read():
        event = envelope.event
        if event.type in {EventType.DETAILS_ERASED, EventType.RETENTION_EXECUTED}:
            erasures.append(event)
        details = reading.opened(index, envelope, sealed)
        if details is None:
            continue
        actors[event.actor] = str(details.get("actor"))
        if event.type in _REGISTRATIONS and details.get("reading_key") == public and len(event.parties) == 1:
            known = Known(str(details["pseudonym"]), next(iter(event.parties)))
            found = OwnReading(PartyId(str(details["party"])), known, ())
        elif event.type is EventType.MANDATE_GIVEN:
            given[index] = str(details["auditor"]), _scope(event, details)
        elif event.type is EventType.MANDATE_WITHDRAWN:
            for each in _numbers(details.get("mandates")):
                given.pop(each, None)
    if found is None:
        raise NotVerified(
            Bilingual(
                "cette clé ouvre des détails, mais l'inscription qui dit à qui elle est n'y est pas",
                "this key opens details, but the registration that says whose it is is not among them",
            ),
            code="reading_key_unregistered",
        )
    # Told another pseudonym, the reader would not miss its own acts; any one of them that opens says the true one.
    if any((pseudonym == found.known.pseudonym) != (actor == found.party) for pseudonym, actor in actors.items()):
        raise NotVerified(
            Bilingual(
                f"l'inscription de {found.party} dit un autre pseudonyme que ses propres actes",
                f"the registration of {found.party} says another pseudonym than its own acts do",
            ),
            code="pseudonym_differs",
        )
    scopes = tuple(scope for auditor, scope in given.values() if auditor == found.party)
    return OwnReading(found.party, found.known, scopes, [], reading.size, reading, tuple(erasures))


def open_details(directory: Path) -> BinaryIO:
    """Open the sealed details beside an export, else raise `UsageError`."""
    path = sealed_path(directory)
    try:
        return path.open("rb")
    except OSError as error:
        raise UsageError(
            Bilingual(
                f"{path} ne se lit pas ({error.strerror}) : l'opérateur l'écrit avec log export --details",
                f"{path} cannot be read ({error.strerror}): the operator writes it with log export --details",
            ),
            code="no_sealed_details",
        ) from None


@dataclass(frozen=True, slots=True)
class _Pass:
    """Reads entries and their sealed details side by side, as often as wanted."""

    leaves: EntryReader
    sealed: SealedFile
    size: int
    key: SecretKey

    @classmethod
    def begin(cls, source: Source, checkpoint: Checkpoint, sealed: SealedFile, key: TransportKey) -> _Pass:
        """Find the key that this file holds for the reader."""
        info = box_info(sealed.note)
        for box in sealed.boxes:
            try:
                own = key.open(box, info)
            except UnsealFailed:
                continue
            return cls(EntryReader(source, checkpoint), sealed, checkpoint.size, own)
        raise NotVerified(
            Bilingual(
                "cette clé n'ouvre rien de cet export : elle n'est celle d'aucune partie pour qui il a été scellé",
                "this key opens nothing of this export: it is that of no party that it was sealed for",
            ),
            code="reading_key_opens_nothing",
        )

    def read(self) -> Iterator[tuple[int, Envelope, Veiled]]:
        """Yield each entry with what there is of its details."""
        try:
            # Both have `size` elements or end with an error of their own.
            for (index, envelope), sealed in zip(self.leaves.entries(), self.sealed.entries(self.size), strict=True):
                yield index, envelope, sealed
        except LogNotVerified as error:
            raise _damaged(error) from None

    def opened(self, index: int, envelope: Envelope, sealed: Veiled) -> dict[str, object] | None:
        """Open an entry's details; None if no slot is the reader's."""
        try:
            return unveil(envelope, sealed, kek=self.key.reveal_secret_bytes())
        except LogNotVerified as error:
            raise NotVerified(
                Bilingual(
                    f"entrée {index} : les détails ne sont pas ceux auxquels l'entrée du journal engage "
                    f"({error.reason}) ; gardez l'export, il fait preuve",
                    f"entry {index}: the details are not those that the log's entry commits to ({error.reason}); keep "
                    "the export, it is evidence",
                ),
                code="details_not_committed",
            ) from None


def _scope(event: Event, details: dict[str, object]) -> Scope:
    events, until = details["events"], details["until"]
    return Scope(
        Known(event.actor, int(str(details["giver"]))),
        tuple(EventType(each) for each in events) if isinstance(events, list) else (),
        int(str(details["since"])),
        None if until is None else int(str(until)),
    )


def _numbers(value: object) -> list[int]:
    return [each for each in value if isinstance(each, int)] if isinstance(value, list) else []


def _chosen(index: int, event: Event, wanted: Wanted) -> bool:
    return (
        wanted.first <= index
        and (wanted.last is None or index <= wanted.last)
        and wanted.since <= event.t
        and (wanted.until is None or event.t < wanted.until)
        and (not wanted.events or event.type in wanted.events)
        and (not wanted.refused or event.outcome is not Outcome.OK)
        and (wanted.purpose is None or event.purpose == Journal.purpose_code(wanted.purpose))
    )


def _damaged(error: LogNotVerified) -> NotVerified:
    return NotVerified(
        Bilingual(f"les détails scellés ne se lisent pas : {error}", f"the sealed details cannot be read: {error}"),
        code="sealed_details_damaged",
    )
