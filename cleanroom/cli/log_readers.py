"""`log key`, `party key`, `log mandate`, `log read --key`: who reads which details, without asking."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleanroom.cli import figures
from cleanroom.cli.log_verification import READING, complain
from cleanroom.cli.progress_line import ProgressLine
from cleanroom.errors import Bilingual, ExitCode, UsageError
from cleanroom.room import Home, Room, logbook, registry
from cleanroom.room.mandates import Terms, give_mandate, sign_mandate, sign_mandate_withdrawal, withdraw_mandates
from cleanroom.room.reading_key import (
    make_reading_key,
    public_reading_key,
    read_reading_key,
    reading_key_path,
    register_reading_key,
    sign_reading_key,
)
from cleanroom.room.sealed_reading import open_details, read_own

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from cleanroom.cli.console import Console
    from cleanroom.room.log_reading import LogLine, Wanted

    Shown = Callable[[Console, Iterator[LogLine], Mapping[int, str]], None]


def make_key(console: Console, arguments: argparse.Namespace) -> int:
    """Make a reading key, or write again the public half of the one there is."""
    home = Home.default()
    public = make_reading_key(home, arguments.party)
    arguments.output.write_text(f"{public.hex()}\n", "ascii")
    console.say(
        f"Clé publique de lecture de {arguments.party} : {arguments.output}, à remettre à l'opérateur.",
        f"Public reading key of {arguments.party}: {arguments.output}, for the operator.",
    )
    place = reading_key_path(home, arguments.party)
    console.say(f"  clé privée, à garder : {place}", f"  private key, to be kept: {place}")
    return ExitCode.DONE


def register_key(console: Console, arguments: argparse.Namespace) -> int:
    """Register a reading key; without one given, the one of this machine."""
    with Room.open(arguments.room) as room:
        given = arguments.reading_key
        public = make_reading_key(room.home, arguments.party) if given is None else public_reading_key(given)
        index = register_reading_key(room, public, sign_reading_key(room, arguments.party, public))
    console.say(
        f"La clé de lecture de {arguments.party} est inscrite, à l'entrée {index} du journal.",
        f"The reading key of {arguments.party} is registered, at entry {index} of the log.",
    )
    return ExitCode.DONE


def give(console: Console, arguments: argparse.Namespace) -> int:
    """Give a mandate."""
    terms = Terms(arguments.auditor, tuple(arguments.events), arguments.since, arguments.until)
    with Room.open(arguments.room) as room:
        index = give_mandate(room, terms, sign_mandate(room, arguments.party, terms))
        keyed = registry.party_named(room.connection, arguments.auditor).reading_key is not None
    console.say(
        f"{arguments.auditor} a un mandat de {arguments.party}, à l'entrée {index} du journal.",
        f"{arguments.auditor} has a mandate from {arguments.party}, at entry {index} of the log.",
    )
    if not keyed:
        console.say(
            f"  {arguments.auditor} sans clé de lecture : rien n'est scellé pour elle (party key en inscrit une)",
            f"  {arguments.auditor} has no reading key: nothing will be sealed to it (party key registers one)",
        )
    return ExitCode.DONE


def withdraw(console: Console, arguments: argparse.Namespace) -> int:
    """Withdraw mandates."""
    with Room.open(arguments.room) as room:
        given = withdraw_mandates(room, sign_mandate_withdrawal(room, arguments.party, arguments.auditor))
    entries = ", ".join(str(each) for each in given)
    console.say(
        f"Les mandats de {arguments.party} à {arguments.auditor} sont retirés (entrées {entries}). Ce qui fut exporté "
        "avant reste lisible pour qui l'a.",
        f"The mandates of {arguments.party} to {arguments.auditor} are withdrawn (entries {entries}). What was "
        "exported before can still be read by whoever has it.",
    )
    return ExitCode.DONE


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
    with open_details(arguments.room) as file:
        with ProgressLine(console) as line:
            verified = logbook.verify(
                arguments.room, Home.default(), vkey_file=arguments.vkey, progress=line.of(READING)
            )
        if not verified.ok or verified.verdict.checkpoint is None:
            complain(console, verified)
            return ExitCode.NOT_VERIFIED
        reading = read_own(arguments.room, verified.verdict.checkpoint, file, key)
        show(console, reading.lines(wanted), {reading.known.ordinal: reading.party})
        mandates = figures.number(len(reading.scopes), 0, console.language)
        console.note(
            f"Journal vérifié ; ce sont les détails de {reading.party} (n° {reading.known.ordinal}, mandats : "
            f"{mandates}), chacun confronté à l'entrée qui y engage.",
            f"Log verified; these are the details of {reading.party} (no. {reading.known.ordinal}, mandates: "
            f"{mandates}), each held against the entry that commits to it.",
        )
        if reading.missing:
            console.error(missing_details(reading.missing), "details_missing")
            return ExitCode.NOT_VERIFIED
    return ExitCode.DONE


def missing_details(entries: Sequence[int]) -> Bilingual:
    """Say that details are left out that are the reader's, and where."""
    shown = ", ".join(str(each) for each in entries[:20]) + (", …" if len(entries) > 20 else "")
    return Bilingual(
        f"{len(entries)} entrée(s) sont à vous, et leurs détails manquent ou ne s'ouvrent pas avec votre clé, sans "
        f"effacement consigné : {shown}. Demandez-les à l'opérateur ; gardez l'export.",
        f"{len(entries)} entries are yours, and their details are missing or do not open with your key, without an "
        f"erasure entered: {shown}. Ask the operator for them; keep the export.",
    )
