"""`log key`, `party key`, `log mandate`, `log read --key`: who reads which details, without asking."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack, closing, suppress
from typing import TYPE_CHECKING, Final

from audit_log import LogUnreachable
from cleanroom.cli import figures
from cleanroom.cli.destinations import new_file, whole_file
from cleanroom.cli.log_places import source_of
from cleanroom.cli.log_verification import READING, complain
from cleanroom.cli.progress_line import ProgressLine
from cleanroom.cli.rooms import read_file
from cleanroom.errors import Bilingual, ExitCode, UsageError
from cleanroom.room import Home, Room, logbook, mandates, registry
from cleanroom.room.log_memory import read_key_file, room_of
from cleanroom.room.logbook import Demands, log_at, unreachable
from cleanroom.room.mandates import Terms, give_mandate, sign_mandate, sign_withdrawal, terms_of, withdraw_mandates
from cleanroom.room.reading_key import (
    HandedOver,
    handed_over,
    make_reading_key,
    read_reading_key,
    reading_key_path,
    register_reading_key,
    sign_reading_key,
)
from cleanroom.room.sealed_reading import note_of, open_details, read_own, read_served
from cleanroom.room.served_details import fetch_details
from cleanroom.room.signed_request import read_request

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from audit_log import Checkpoint
    from cleanroom.cli.console import Console
    from cleanroom.cli.destinations import Write
    from cleanroom.identifiers import PartyId
    from cleanroom.room.log_reading import LogLine, Wanted
    from cleanroom.room.sealed_reading import OwnReading
    from cleanroom.room.signed_request import SignedRequest
    from key_management import TransportKey

    Shown = Callable[[Console, Iterator[LogLine], Mapping[int, str]], None]

FETCHING: Final = Bilingual("détails", "details")


def require_room(place: Path | str) -> Path:
    """Return a room's directory, else raise `UsageError`: a log that is served is read with a reading key."""
    if isinstance(place, str):
        raise UsageError(
            Bilingual("un journal servi se lit avec --key", "a log that is served is read with --key"), code="no_key"
        )
    return place


def make_key(console: Console, arguments: argparse.Namespace) -> int:
    """Make a reading key, or write again the public half of the one there is; for a room, signed for that room."""
    home = Home.default()
    # The file first: no key is made whose public half could not be handed over.
    with _for_operator(home, arguments.party, arguments.output) as write:
        public = make_reading_key(home, arguments.party)
        request = None
        if arguments.vkey is not None:
            room = room_of(read_key_file(arguments.vkey))
            request = sign_reading_key(home, room, arguments.party, public, at=Room.now())
        write(HandedOver(public, request).encode())
    console.say(
        f"Clé publique de lecture de {arguments.party} : {arguments.output}, à remettre à l'opérateur.",
        f"Public reading key of {arguments.party}: {arguments.output}, for the operator.",
    )
    place = reading_key_path(home, arguments.party)
    console.say(f"  clé privée, à garder : {place}", f"  private key, to be kept: {place}")
    return ExitCode.DONE


def _for_operator(home: Home, party: PartyId, path: Path) -> AbstractContextManager[Write]:
    """Return how to write what is handed over: over what was of the same key, else as a new file."""
    if path.is_file() and reading_key_path(home, party).exists():
        with suppress(UsageError):
            if handed_over(path).public == make_reading_key(home, party):
                return whole_file(path)
    return new_file(path)


def register_key(console: Console, arguments: argparse.Namespace) -> int:
    """Register a reading key: as its party signed it at home, or signed here; without one given, this machine's."""
    given = None if arguments.reading_key is None else handed_over(arguments.reading_key)
    with Room.open(arguments.room) as room:
        if arguments.party is None:
            if given is None or given.request is None:
                raise UsageError(
                    Bilingual(
                        "une clé que sa partie a signée chez elle est attendue (log key --vkey), ou --as",
                        "a key that its party signed at home is expected (log key --vkey), or --as",
                    ),
                    code="reading_key_unsigned",
                )
            public, request = given.public, given.request
        else:
            public = make_reading_key(room.home, arguments.party) if given is None else given.public
            request = sign_reading_key(room.home, room.room_id, arguments.party, public, at=room.now())
        index = register_reading_key(room, public, request)
    console.say(
        f"La clé de lecture de {request.party} est inscrite, à l'entrée {index} du journal.",
        f"The reading key of {request.party} is registered, at entry {index} of the log.",
    )
    return ExitCode.DONE


def give(console: Console, arguments: argparse.Namespace) -> int:
    """Give a mandate."""
    with Room.open(arguments.room) as room:
        request = sign_mandate(room.home, room.room_id, arguments.party, _terms(arguments), at=room.now())
        _given(console, room, request)
    return ExitCode.DONE


def withdraw(console: Console, arguments: argparse.Namespace) -> int:
    """Withdraw mandates."""
    with Room.open(arguments.room) as room:
        request = sign_withdrawal(room.home, room.room_id, arguments.party, arguments.auditor, at=room.now())
        _withdrawn(console, room, request)
    return ExitCode.DONE


def sign(console: Console, arguments: argparse.Namespace) -> int:
    """Sign a mandate, or its withdrawal, away from the room."""
    home, room, at = Home.default(), room_of(read_key_file(arguments.vkey)), Room.now()
    if arguments.withdraw:
        request = sign_withdrawal(home, room, arguments.party, arguments.auditor, at=at)
    else:
        request = sign_mandate(home, room, arguments.party, _terms(arguments), at=at)
    with new_file(arguments.output) as write:
        write(request.encode())
    console.say(
        f"Signé : {arguments.output}, à remettre à l'opérateur (log mandate take).",
        f"Signed: {arguments.output}, for the operator (log mandate take).",
    )
    return ExitCode.DONE


def take(console: Console, arguments: argparse.Namespace) -> int:
    """Take what a party signed at home."""
    request = read_request(read_file(arguments.file))
    with Room.open(arguments.room) as room:
        match request.action:
            case mandates.WITHDRAW:
                _withdrawn(console, room, request)
            case _:
                _given(console, room, request)
    return ExitCode.DONE


def _terms(arguments: argparse.Namespace) -> Terms:
    return Terms(arguments.auditor, tuple(arguments.events), arguments.since, arguments.until)


def _given(console: Console, room: Room, request: SignedRequest) -> None:
    terms = terms_of(request)
    index = give_mandate(room, terms, request)
    console.say(
        f"{terms.auditor} a un mandat de {request.party}, à l'entrée {index} du journal.",
        f"{terms.auditor} has a mandate from {request.party}, at entry {index} of the log.",
    )
    if registry.party_named(room.connection, terms.auditor).reading_key is None:
        console.say(
            f"  {terms.auditor} est sans clé de lecture : rien n'est scellé pour elle (party key en inscrit une)",
            f"  {terms.auditor} has no reading key: nothing will be sealed to it (party key registers one)",
        )


def _withdrawn(console: Console, room: Room, request: SignedRequest) -> None:
    entries = ", ".join(str(each) for each in withdraw_mandates(room, request))
    auditor = request.content["auditor"]
    console.say(
        f"Les mandats de {request.party} à {auditor} sont retirés (entrées {entries}). Ce qui fut exporté avant reste "
        "lisible pour qui l'a.",
        f"The mandates of {request.party} to {auditor} are withdrawn (entries {entries}). What was exported before "
        "can still be read by whoever has it.",
    )


def read_own_entries(console: Console, arguments: argparse.Namespace, wanted: Wanted, show: Shown) -> int:
    """Show an export to one of its readers: its own entries whole, the others as envelopes."""
    if wanted.party is not None or wanted.member is not None:
        raise UsageError(
            Bilingual(
                "avec --key, les noms des autres ne sont pas connus : sans --party ni --member",
                "with --key, the names of others are not known: without --party and --member",
            ),
            code="names_unknown",
        )
    key = read_reading_key(arguments.key)
    with ExitStack() as opened:
        found = (_served if isinstance(arguments.room, str) else _exported)(console, arguments, key, opened)
        if found is None:
            return ExitCode.NOT_VERIFIED
        reading, size = found
        try:
            show(console, reading.lines(wanted), {reading.known.ordinal: reading.party})
        except LogUnreachable as error:
            raise unreachable(error) from None
        count = figures.number(len(reading.scopes), 0, console.language)
        console.note(
            f"Journal vérifié ; ce sont les détails de {reading.party} (n° {reading.known.ordinal}, mandats : "
            f"{count}), chacun confronté à l'entrée qui y engage.",
            f"Log verified; these are the details of {reading.party} (no. {reading.known.ordinal}, mandates: "
            f"{count}), each held against the entry that commits to it.",
        )
        if size > reading.size:
            more, last = (figures.number(each, 0, console.language) for each in (size - reading.size, reading.size - 1))
            console.note(
                f"Les détails servis vont jusqu'à l'entrée {last} ; le journal a {more} entrée(s) de plus, qui ne sont "
                "pas montrées.",
                f"The details served go up to entry {last}; the log has {more} more, which are not shown.",
            )
        if reading.missing:
            console.error(missing_details(reading.missing), "details_missing")
            return ExitCode.NOT_VERIFIED
    return ExitCode.DONE


def _exported(
    console: Console, arguments: argparse.Namespace, key: TransportKey, opened: ExitStack
) -> tuple[OwnReading, int] | None:
    """Verify an export and open what is the key's; None if it does not hold, which was said."""
    file = opened.enter_context(open_details(arguments.room))
    checkpoint = _verified(console, arguments)
    if checkpoint is None:
        return None
    return read_own(arguments.room, checkpoint, file, key), checkpoint.size


def _served(
    console: Console, arguments: argparse.Namespace, key: TransportKey, opened: ExitStack
) -> tuple[OwnReading, int] | None:
    """Fetch what a log's server has sealed, verify its log, with the state that this is of in it, and open it."""
    file = opened.enter_context(tempfile.TemporaryFile())  # noqa: SIM115  # closed with the rest
    with closing(log_at(arguments.room)) as server, ProgressLine(console) as line:
        fetch_details(server, file, line.of(FETCHING))
    checkpoint = _verified(console, arguments, contains=(note_of(file),))
    if checkpoint is None:
        return None
    source, log = source_of(Home.default(), arguments.room, arguments.vkey, opened)
    try:
        return read_served(source, file, key, log), checkpoint.size
    except LogUnreachable as error:
        raise unreachable(error) from None


def _verified(
    console: Console, arguments: argparse.Namespace, *, contains: tuple[bytes, ...] = ()
) -> Checkpoint | None:
    with ProgressLine(console) as line:
        verified = logbook.verify(
            arguments.room,
            Home.default(),
            vkey_file=arguments.vkey,
            demands=Demands(contains=contains),
            progress=line.of(READING),
        )
    if not verified.ok or verified.verdict.checkpoint is None:
        complain(console, verified)
        return None
    return verified.verdict.checkpoint


def missing_details(entries: Sequence[int]) -> Bilingual:
    """Say that details are left out that are the reader's, and where."""
    shown = ", ".join(str(each) for each in entries[:20]) + (", …" if len(entries) > 20 else "")
    return Bilingual(
        f"{len(entries)} entrée(s) sont à vous, et leurs détails manquent ou ne s'ouvrent pas avec votre clé, sans "
        f"effacement consigné : {shown}. Demandez-les à l'opérateur ; gardez l'export.",
        f"{len(entries)} entries are yours, and their details are missing or do not open with your key, without an "
        f"erasure entered: {shown}. Ask the operator for them; keep the export.",
    )
