"""`log`, `log read`, `log export`: who did what."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from cleanroom.cli import figures
from cleanroom.cli.formats import as_json
from cleanroom.cli.log_readers import read_own_entries, require_room
from cleanroom.cli.log_words import EVENTS, OUTCOMES, moment, purpose_of, subject
from cleanroom.errors import Bilingual, ExitCode, UsageError
from cleanroom.room import Room, log_reading, registry
from cleanroom.room.home import OPERATOR
from cleanroom.room.log_reading import Wanted, sign_log_reading
from cleanroom.room.sealed_export import sealed_path

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

    from cleanroom.cli.console import Console
    from cleanroom.room.log_reading import LogLine


def show(console: Console, arguments: argparse.Namespace) -> int:
    """Show the log's entries."""
    wanted = wanted_of(arguments)
    _print = _print_json if arguments.format == "json" else _print_table
    if arguments.key is not None:
        if arguments.reader is not None:
            raise UsageError(Bilingual("--key ou --as, pas les deux", "--key or --as, not both"), code="usage")
        return read_own_entries(console, arguments, wanted, _print)
    with Room.open(require_room(arguments.room)) as room:
        request = None if arguments.reader is None else sign_log_reading(room, arguments.reader, wanted)
        lines = log_reading.read(room, wanted, request=request)
        _print(console, lines, {party.ordinal: name for name, party in registry.parties(room.connection).items()})
    return ExitCode.DONE


def wanted_of(arguments: argparse.Namespace) -> Wanted:
    """Return which entries the filters choose."""
    first, last = arguments.entries
    return Wanted(
        party=arguments.party,
        member=arguments.member,
        purpose=arguments.purpose,
        events=tuple(arguments.events),
        refused=arguments.refused,
        since=arguments.since,
        until=arguments.until,
        first=first,
        last=last,
    )


def export(console: Console, arguments: argparse.Namespace) -> int:
    """Export the log."""
    with Room.open(arguments.room) as room:
        checkpoint = log_reading.export(
            room, arguments.directory, cosigned=arguments.cosigned, details=arguments.details
        )
        without = [name for name, each in registry.parties(room.connection).items() if each.reading_key is None]
    size = figures.number(checkpoint.size, 0, console.language)
    console.say(
        f"{size} entrées écrites dans {arguments.directory} ; cleanroom log verify les vérifie sans la salle.",
        f"{size} entries written to {arguments.directory}; cleanroom log verify verifies them without the room.",
    )
    if arguments.details:
        path = sealed_path(arguments.directory)
        console.say(
            f"  détails scellés : {path} ; chacun y lit les siens : log read {arguments.directory} --key CLÉ",
            f"  sealed details: {path}; each reads its own there: log read {arguments.directory} --key KEY",
        )
        unsealed = ", ".join(each for each in without if each != OPERATOR)
        if unsealed:
            console.say(
                f"  sans clé de lecture, donc rien de scellé pour : {unsealed} (party key en inscrit une)",
                f"  without a reading key, so nothing is sealed to: {unsealed} (party key registers one)",
            )
    return ExitCode.DONE


def _print_table(console: Console, lines: Iterator[LogLine], _names: Mapping[int, str]) -> None:
    headers = [
        console.words("entrée", "entry"),
        console.words("moment (UTC)", "time (UTC)"),
        console.words("partie", "party"),
        console.words("quoi", "what"),
        console.words("issue", "outcome"),
        console.words("but", "purpose"),
        console.words("objet", "subject"),
    ]
    rows = []
    for line in lines:
        event = line.envelope.event
        rows.append(
            (
                str(line.index),
                moment(event.t).strftime("%Y-%m-%d %H:%M:%S"),
                line.actor or event.actor,
                EVENTS[event.type].into(console.language),
                OUTCOMES[event.outcome].into(console.language),
                purpose_of(line),
                subject(line, console.language),
            )
        )
    console.table(headers, rows, right={0})


def _print_json(console: Console, lines: Iterator[LogLine], names: Mapping[int, str]) -> None:
    """Print a JSON array, one entry a line, as they are read."""
    before = "["
    for line in lines:
        event = line.envelope.event
        entry = {
            "index": line.index,
            "t": event.t,
            "time": moment(event.t).isoformat().replace("+00:00", "Z"),
            "type": event.type.value,
            "outcome": event.outcome.value,
            "actor": line.actor or event.actor,
            "parties": [names.get(ordinal, str(ordinal)) for ordinal in sorted(event.parties)],
            "policy": event.policy,
            "purpose": purpose_of(line),
            "caused_by": None if event.caused_by < 0 else event.caused_by,
            "details": line.details,
            "withheld": line.withheld,
        }
        sys.stdout.write(f"{before}\n{as_json(entry)}")
        before = ","
    console.lines(["[]"] if before == "[" else ["", "]"])
