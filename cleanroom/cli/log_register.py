"""`log register access`, `log register check`: the register of accesses, and whether it is the log's own."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

from audit_log import Finding, explain
from cleanroom.cli import figures
from cleanroom.cli.destinations import new_file, unwritable
from cleanroom.cli.formats import Table, as_csv, as_json
from cleanroom.cli.log_places import source_of
from cleanroom.cli.log_verification import READING
from cleanroom.cli.log_words import moment
from cleanroom.cli.logs import wanted_of
from cleanroom.cli.progress_line import ProgressLine
from cleanroom.cli.rooms import read_file
from cleanroom.errors import Bilingual, ExitCode
from cleanroom.room import Home, Room, register_check
from cleanroom.room.access_register import READING as DRAWING
from cleanroom.room.access_register import access_register
from cleanroom.room.log_reading import sign_log_reading
from cleanroom.room.register_document import FIELDS, HEADINGS, OUTCOMES, document, row_fields

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from cleanroom.cli.console import Console
    from cleanroom.room.access_register import Access, AccessRegister

_TIMES = frozenset({"at", "answered_at", "erasable_at"})


def access(console: Console, arguments: argparse.Namespace) -> int:
    """Draw the register of accesses."""
    wanted = wanted_of(arguments)
    with Room.open(arguments.room) as room:
        reader = arguments.reader
        request = None if reader is None else sign_log_reading(room, reader, wanted, action=DRAWING)
        register = access_register(room, wanted, request=request)
        csv = as_csv(_table(console, register))
        if arguments.output is None and arguments.format == "csv":
            console.data(csv)
            return ExitCode.DONE
        proved = document(room, register)
    written = f"{as_json(proved)}\n".encode()
    if arguments.output is None:
        console.data(written)
        return ExitCode.DONE
    _write(arguments.output, b"\xef\xbb\xbf" + csv, written)
    rows = figures.number(len(register.rows), 0, console.language)
    console.say(
        f"{rows} accès : {arguments.output}/register.csv, et la preuve dans register.json.",
        f"{rows} accesses: {arguments.output}/register.csv, and the proof in register.json.",
    )
    for each in register.erasures:
        at = moment(each.at).strftime("%Y-%m-%d %H:%M:%S")
        console.say(
            f"  effacement de personnes par {each.member} : {at}, {each.legal}, entrée {each.entry}",
            f"  people erased by {each.member}: {at}, {each.legal}, entry {each.entry}",
        )
    console.say(
        "  vérifier : cleanroom log register check register.json ROOM|DIR|URL",
        "  to verify: cleanroom log register check register.json ROOM|DIR|URL",
    )
    return ExitCode.DONE


def check(console: Console, arguments: argparse.Namespace) -> int:
    """Hold a register against the log."""
    content = read_file(arguments.register)
    with ExitStack() as opened, ProgressLine(console) as line:
        source, verifier = source_of(Home.default(), arguments.target, arguments.vkey, opened)
        found = register_check.check(content, source, verifier, progress=line.of(READING))
    sentence = explain(found.verdict, console.language.value)
    if not found.verdict.ok:
        console.error(Bilingual(sentence, sentence), found.verdict.code.value)
    if found.verdict.code is Finding.ROLLED_BACK:
        size = figures.number(found.size, 0, console.language)
        console.note(
            f"  Le registre fut fait sur {size} entrées. Un export plus ancien se lit de même : faites exporter le "
            "journal de nouveau (log export), et vérifiez contre celui-là. S'il est encore plus court, le journal a "
            "reculé ; gardez registre et export.",
            f"  The register was drawn from {size} entries. An older export reads the same: have the log exported "
            "again (log export), and check against that one. If that is still shorter, the log went back; keep "
            "register and export.",
        )
    for different in found.differences:
        console.error(different, "register_differs")
    if not found.ok:
        return ExitCode.NOT_VERIFIED
    rows, counted = (figures.number(each, 0, console.language) for each in (found.rows, found.counted))
    console.say(sentence, sentence)
    console.lines(
        console.wrapped(
            f"Le registre est complet : ses {rows} accès sont ceux du journal, et les {counted} entrées de la période "
            "qui touchent ses membres s'y comptent sans lacune.",
            f"The register is complete: its {rows} accesses are the log's, and the {counted} entries of the period "
            "that touch its members are counted there without a gap.",
        )
    )
    for giver, scope in found.mandates:
        kinds = ", ".join(each.value for each in scope.events) or console.words("tout genre", "every kind")
        since = moment(scope.since).strftime("%Y-%m-%d %H:%M:%S") if scope.since else "…"
        until = "…" if scope.until is None else moment(scope.until).strftime("%Y-%m-%d %H:%M:%S")
        console.say(
            f"  il porte sur le mandat de {giver} : {kinds}, {since} – {until}",
            f"  it covers the mandate of {giver}: {kinds}, {since} – {until}",
        )
    return ExitCode.DONE


def _table(console: Console, register: AccessRegister) -> Table:
    columns = tuple(HEADINGS[name].into(console.language) for name in FIELDS)
    return Table(
        columns, tuple(tuple(_cell(console, name, value) for name, value in _fields(row)) for row in register.rows)
    )


def _fields(row: Access) -> list[tuple[str, object]]:
    found = row_fields(row)
    return [(name, found[name]) for name in FIELDS]


def _cell(console: Console, name: str, value: object) -> str | int | None:
    if name in _TIMES and isinstance(value, int):
        return moment(value).strftime("%Y-%m-%d %H:%M:%S")
    match value:
        case bool():
            return console.words("oui", "yes") if value else console.words("effacés", "erased")
        case None | int():
            return value
        case tuple():
            return ", ".join(str(each) for each in value)
    return OUTCOMES[str(value)].into(console.language) if name == "outcome" else str(value)


def _write(directory: Path, csv: bytes, proved: bytes) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(directory, error) from None
    # Neither has its name before both are written.
    with new_file(directory / "register.csv") as table, new_file(directory / "register.json") as proof:
        table(csv)
        proof(proved)
    sys.stdout.flush()
