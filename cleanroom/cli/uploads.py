"""`upload`, `intake`: a member's rows, from files to the room."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleanroom.cli import figures, receipts
from cleanroom.client import Packing
from cleanroom.errors import ExitCode
from cleanroom.room import Room, hand_in

if TYPE_CHECKING:
    import argparse

    from cleanroom.cli.console import Console
    from cleanroom.client import PreparedUpload, SourceFacts
    from cleanroom.room import UploadReceipt


def upload(console: Console, arguments: argparse.Namespace) -> int:
    """Make an upload and hand it in, or keep its package."""
    with Room.open(arguments.room) as room:
        prepared, taken = hand_in.upload(room, arguments.table, arguments.files, package=arguments.package)
        _say_prepared(console, prepared)
        if taken is None:
            size = figures.number(prepared.size_bytes, 0, console.language)
            console.say(
                f"  paquet : {prepared.package} ({size} octets) ; rien n'est encore déposé : cleanroom intake",
                f"  package: {prepared.package} ({size} bytes); nothing is handed in yet: cleanroom intake",
            )
        else:
            _say_taken(console, room, taken)
    return ExitCode.DONE


def intake(console: Console, arguments: argparse.Namespace) -> int:
    """Take a package in."""
    with Room.open(arguments.room) as room:
        taken = hand_in.intake(room, arguments.file)
        rows = figures.number(taken.rows, 0, console.language)
        console.say(f"{taken.table} : {rows} lignes", f"{taken.table}: {rows} rows")
        _say_taken(console, room, taken)
    return ExitCode.DONE


def _say_prepared(console: Console, prepared: PreparedUpload) -> None:
    rows = figures.number(prepared.rows, 0, console.language)
    without = figures.number(prepared.without_person, 0, console.language)
    dropped = ", ".join(prepared.dropped_columns)
    console.say(f"{prepared.table} : {rows} lignes", f"{prepared.table}: {rows} rows")
    for source in prepared.sources:
        _say_source(console, source)
    console.say(
        f"  colonnes laissées chez vous (non déclarées) : {dropped or 'aucune'}",
        f"  columns left at home (not declared): {dropped or 'none'}",
    )
    console.say(
        f"  lignes laissées (sans identifiant utilisable) : {without}",
        f"  rows left out (no usable identifier): {without}",
    )


def _say_source(console: Console, source: SourceFacts) -> None:
    """Say how a file was read, so that a wrong reading is seen; what has one form only is not said."""
    rows = figures.number(source.rows, 0, console.language)
    fr, en = [f"{rows} lignes"], [f"{rows} rows"]
    if source.csv is not None:
        packing = {Packing.NONE: [], Packing.GZIP: ["gzip"], Packing.ZSTD: ["zstd"]}[source.csv.packing]
        encoding, delimiter = source.csv.encoding.shown, source.csv.delimiter.shown
        fr += [*packing, encoding.fr, delimiter.fr]
        en += [*packing, encoding.en, delimiter.en]
    name = source.name
    console.say(
        f"  {'table en mémoire' if name is None else name} : {', '.join(fr)}",
        f"  {'table in memory' if name is None else name}: {', '.join(en)}",
    )
    for column, date_form in source.dates:
        described = date_form.described
        console.say(f"    « {column} » : {described.fr}", f"    {column!r}: {described.en}")
    for column, number_form in source.numbers:
        shown = number_form.shown
        console.say(f"    « {column} » : {shown.fr}", f"    {column!r}: {shown.en}")


def _say_taken(console: Console, room: Room, taken: UploadReceipt) -> None:
    path = receipts.keep(console, room, taken.receipt)
    if taken.repeated:
        console.say("  ce paquet était déjà déposé ; rien n'a changé", "  this package was handed in before; no change")
    console.say(f"  version de la table : {taken.number}", f"  version of the table: {taken.number}")
    console.say(f"  entrée du journal : {taken.receipt.index}", f"  log entry: {taken.receipt.index}")
    if path is not None:
        console.say(f"  reçu : {path}", f"  receipt: {path}")
