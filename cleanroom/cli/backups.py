"""`backup` and `restore`: a room in one file, and back again if nothing was forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleanroom.cli import figures
from cleanroom.errors import ExitCode
from cleanroom.room import Home, Room
from cleanroom.room.backup import backup as save
from cleanroom.room.restoration import restore as put_back

if TYPE_CHECKING:
    import argparse

    from cleanroom.cli.console import Console
    from cleanroom.room.restoration import Evidence


def backup(console: Console, arguments: argparse.Namespace) -> int:
    """Save a room."""
    with Room.open(arguments.room) as room:
        saved = save(room, arguments.file)
    size, entries, partitions = (
        figures.number(each, 0, console.language) for each in (saved.size, saved.checkpoint.size, saved.partitions)
    )
    console.say(
        f"{saved.path} : {size} octets, {entries} entrées du journal, {partitions} partitions chiffrées.",
        f"{saved.path}: {size} bytes, {entries} log entries, {partitions} encrypted partitions.",
    )
    console.lines(
        console.wrapped(
            "  La clé racine n'y est pas. Pour remettre la salle en place, il la faudra, et le point de contrôle d'un "
            "membre ou celui que cette machine retient.",
            "  The root key is not in it. To put the room back, it will be needed, and a member's checkpoint or the "
            "one that this machine remembers.",
            indent="  ",
        )
    )
    return ExitCode.DONE


def restore(console: Console, arguments: argparse.Namespace) -> int:
    """Put a saved room back."""
    restored = put_back(arguments.file, arguments.room, Home.default(), arguments.checkpoint)
    # What a crash had cut short when it was saved is entered as failed, and stays charged.
    Room.open(arguments.room).close()
    entries = figures.number(restored.entries, 0, console.language)
    console.say(
        f"Salle {restored.room} remise en place : {arguments.room}, {entries} entrées du journal.",
        f"Room {restored.room} put back: {arguments.room}, {entries} log entries.",
    )
    for each in restored.evidence:
        console.say(*_compared(console, each))
    console.lines(
        console.wrapped(
            "  Une dépense que personne de ceux-là n'a vue serait oubliée : demandez leur dernier reçu à toutes les "
            "parties qui interrogent, avant de rouvrir. Cette copie est désormais la salle : celle d'où vient la "
            "sauvegarde, s'il en reste, ne s'ouvre plus sur cette machine, et ne doit servir nulle part.",
            "  Spending that none of these has seen would be forgotten: ask every party that asks questions for its "
            "last receipt before you open the room to them. This copy is the room from now on: the one that was saved, "
            "if it is still there, opens no more on this machine, and must be used nowhere.",
            indent="  ",
        )
    )
    return ExitCode.DONE


def _compared(console: Console, evidence: Evidence) -> tuple[str, str]:
    size = figures.number(evidence.checkpoint.size, 0, console.language)
    if evidence.source is None:
        return (
            f"  contient ce que cette machine retient : {size} entrées",
            f"  contains what this machine remembers: {size} entries",
        )
    return f"  contient {evidence.source} : {size} entrées", f"  contains {evidence.source}: {size} entries"
