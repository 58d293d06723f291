"""`log mandate list`: who lets which auditor read what, since which entry, and what was withdrawn."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from cleanroom.cli import figures
from cleanroom.cli.formats import as_json
from cleanroom.cli.log_readers import read_own_entries, require_room
from cleanroom.cli.log_words import moment
from cleanroom.errors import Bilingual, ExitCode, UsageError
from cleanroom.room import Room, log_reading
from cleanroom.room.log_reading import sign_log_reading
from cleanroom.room.mandate_list import ENTRIES, State, mandates_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Mapping

    from cleanroom.cli.console import Console
    from cleanroom.room.log_reading import LogLine
    from cleanroom.room.mandate_list import GivenMandate, Mandates


def listed(console: Console, arguments: argparse.Namespace) -> int:
    """List the mandates that are in force, or all that were ever given."""
    show = _shown(arguments)
    if arguments.key is not None:
        if arguments.reader is not None:
            raise UsageError(Bilingual("--key ou --as, pas les deux", "--key or --as, not both"), code="usage")
        return read_own_entries(console, arguments, ENTRIES, show)
    with Room.open(require_room(arguments.room)) as room:
        request = None if arguments.reader is None else sign_log_reading(room, arguments.reader, ENTRIES)
        show(console, log_reading.read(room, ENTRIES, request=request), {})
    return ExitCode.DONE


def _shown(arguments: argparse.Namespace) -> Callable[[Console, Iterator[LogLine], Mapping[int, str]], None]:
    def show(console: Console, lines: Iterator[LogLine], _names: Mapping[int, str]) -> None:
        found = mandates_of(lines)
        kept = [each for each in found.given if arguments.every or each.state is not State.WITHDRAWN]
        if arguments.format == "json":
            _print_json(kept, found.hidden)
        else:
            _print_table(console, kept, found)

    return show


def _print_table(console: Console, kept: list[GivenMandate], found: Mandates) -> None:
    headers = [
        console.words("entrée", "entry"),
        console.words("donné (UTC)", "given (UTC)"),
        console.words("par", "by"),
        console.words("à l'auditeur", "to the auditor"),
        console.words("genres", "kinds"),
        console.words("entrées depuis", "entries since"),
        console.words("avant", "before"),
        console.words("état", "state"),
    ]
    rows = [
        (
            str(each.log_index),
            _time(each.at),
            each.giver,
            each.auditor,
            ", ".join(kind.value for kind in each.events) or console.words("tous", "all"),
            _time(each.since) if each.since else "…",
            "…" if each.until is None else _time(each.until),
            _state(console, each),
        )
        for each in kept
    ]
    if rows:
        console.table(headers, rows, right={0})
    else:
        console.say("Aucun mandat.", "No mandate.")
    if found.hidden:
        count = figures.number(found.hidden, 0, console.language)
        console.note(
            f"Mandats donnés dont les détails ne sont pas à qui lit, ou furent effacés : {count}.",
            f"Mandates given whose details are not this reader's, or were erased: {count}.",
        )


def _print_json(kept: list[GivenMandate], hidden: int) -> None:
    mandates = [
        {
            "entry": each.log_index,
            "given": _iso(each.at),
            "giver": each.giver,
            "auditor": each.auditor,
            "events": [kind.value for kind in each.events],
            "since": each.since,
            "until": each.until,
            "state": each.state.value,
            "ended_by": each.ended_by,
            "ended": None if each.ended_at is None else _iso(each.ended_at),
        }
        for each in kept
    ]
    sys.stdout.write(as_json({"mandates": mandates, "hidden": hidden}) + "\n")


def _state(console: Console, mandate: GivenMandate) -> str:
    if mandate.ended_by is None or mandate.ended_at is None:
        return console.words("en vigueur", "in force")
    at = _time(mandate.ended_at)
    where = console.words(f"à l'entrée {mandate.ended_by}, {at}", f"at entry {mandate.ended_by}, {at}")
    match mandate.state:
        case State.UNSURE:
            return console.words(f"retiré peut-être, {where}", f"withdrawn perhaps, {where}")
        case _:
            return console.words(f"retiré {where}", f"withdrawn {where}")


def _time(seconds: int) -> str:
    return moment(seconds).strftime("%Y-%m-%d %H:%M:%S")


def _iso(seconds: int) -> str:
    return moment(seconds).isoformat().replace("+00:00", "Z")
