"""`reference add`, `reference list`, `reference show`: the room's public tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleanroom.catalog import Number
from cleanroom.cli import figures
from cleanroom.cli.catalogs import reference_lines
from cleanroom.cli.formats import Table, as_csv, as_json
from cleanroom.cli.upload_reading import reading_of
from cleanroom.errors import ExitCode
from cleanroom.room import Room, references, views

if TYPE_CHECKING:
    import argparse

    from cleanroom.cli.console import Console


def add(console: Console, arguments: argparse.Namespace) -> int:
    """Add a public table."""
    with Room.open(arguments.room) as room:
        added = references.add(
            room,
            arguments.name,
            arguments.file,
            source=arguments.source,
            texts=tuple(arguments.text),
            reading=reading_of(arguments),
        )
        table = references.stored(room.connection, added)
    rows = figures.number(table.rows, 0, console.language)
    console.say(
        f"public.{added.name} (version {added.version}) : {rows} lignes, {added.digest}",
        f"public.{added.name} (version {added.version}): {rows} rows, {added.digest}",
    )
    for column in table.columns:
        described = views.described(column.type)
        console.say(f"  {column.name} : {described.fr}", f"  {column.name}: {described.en}")
    console.say(
        f"  approuvée par l'opérateur seul ; entrée {added.log_index} du journal",
        f"  approved by the operator alone; log entry {added.log_index}",
    )
    return ExitCode.DONE


def listed(console: Console, arguments: argparse.Namespace) -> int:
    """Show the public tables."""
    with Room.open(arguments.room) as room:
        found = views.reference_tables(room)
    if not found:
        console.say("Aucune table publique.", "No public table.")
    for each in found:
        reference_lines(console, each)
    return ExitCode.DONE


def show(console: Console, arguments: argparse.Namespace) -> int:
    """Write a public table's values."""
    with Room.open(arguments.room) as room:
        values = views.reference_values(room, arguments.name)
    table = Table.of(values.shown.to_pandas())
    match arguments.format:
        case "csv":
            console.data(as_csv(table))
        case "json":
            console.data(f"{as_json({'columns': table.columns, 'rows': table.rows})}\n".encode())
        case _:
            numbers = {at for at, column in enumerate(values.columns) if isinstance(column.type, Number)}
            console.table(
                table.columns,
                [[_shown(cell) for cell in row] for row in table.rows],
                right=numbers,
            )
    return ExitCode.DONE


def _shown(cell: object) -> str:
    """Return a value as it was written: a column of whole numbers may hold years, whose thousands are not set apart."""
    match cell:
        case None:
            return ""
        case float() if cell.is_integer():
            return str(int(cell))
        case _:
            return str(cell)
