"""`init`, `party add`, `declare`, `declare --package`: a room, who is in it, what they bring."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleanroom.catalog.notes import without_notes
from cleanroom.errors import Bilingual, ExitCode, UsageError
from cleanroom.identifiers import IdentifierKind, Role
from cleanroom.policies import read_declaration
from cleanroom.room import Home, Room, public_key
from cleanroom.room.declaring import sign_declaration, write_declaration
from cleanroom.room.log_memory import read_key_file, require_known_key, room_of
from cleanroom.room.reading_key import handed_over

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from cleanroom.cli.console import Console
    from cleanroom.identifiers import TableName


def init(console: Console, arguments: argparse.Namespace) -> int:
    """Make a room."""
    settings = None if arguments.settings is None else read_file(arguments.settings)
    home = Home.default()
    with Room.create(arguments.room, home=home, settings=settings, shares=arguments.shares) as room:
        keys = home.room(room.room_id)
        console.say(f"Salle {room.room_id} créée : {arguments.room}", f"Room {room.room_id} made: {arguments.room}")
        if arguments.shares is None:
            console.say(f"  clé racine : {keys / 'root.key'}", f"  root key: {keys / 'root.key'}")
        else:
            threshold, shares = arguments.shares
            console.say(
                f"  parts de la clé racine : {keys / 'shares'} ({shares}, dont {threshold} ouvrent la salle ; "
                "remettez-les, puis retirez-les d'ici)",
                f"  shares of the root key: {keys / 'shares'} ({shares}, of which {threshold} open the room; hand them "
                "out, then remove them from here)",
            )
        console.say(
            f"  clé publique du journal, à remettre aux membres : {arguments.room / 'log.vkey'}",
            f"  the log's public key, for the members: {arguments.room / 'log.vkey'}",
        )
        purposes = ", ".join(room.facts.settings.purposes)
        console.say(f"  buts : {purposes}", f"  purposes: {purposes}")
    return ExitCode.DONE


def add_party(console: Console, arguments: argparse.Namespace) -> int:
    """Register a party."""
    key = None if arguments.key is None else public_key(arguments.key)
    given = arguments.reading_key
    reading = None if given is None else handed_over(given).public
    with Room.open(arguments.room) as room:
        party = room.add_party(arguments.party, Role(arguments.role), key, reading)
        console.say(
            f"{party.party} ({party.role.value}) est une partie de la salle.",
            f"{party.party} ({party.role.value}) is a party of the room.",
        )
        console.say(f"  son numéro dans le journal : {party.ordinal}", f"  its number in the log: {party.ordinal}")
        if key is None:
            place = room.home.path / "parties" / party.party / "signing.key"
            console.say(f"  clé de signature : {place}", f"  signing key: {place}")
        if party.reading_key is None:
            console.say(
                "  sans clé de lecture, il ne lit ses détails du journal que par vous (party key en inscrit une)",
                "  without a reading key it reads its details of the log through you only (party key registers one)",
            )
    return ExitCode.DONE


def declare(console: Console, arguments: argparse.Namespace) -> int:
    """Take a table's file."""
    content = _reviewed(arguments)
    with Room.open(arguments.room) as room:
        table = room.declare(content)
    say_declared(console, table)
    _say_unit(console, content)
    return ExitCode.DONE


def declare_at_home(console: Console, arguments: argparse.Namespace) -> int:
    """Sign a table's file at its owner's, without the room."""
    home, log, content = Home.default(), read_key_file(arguments.vkey), _reviewed(arguments)
    require_known_key(home, log)
    write_declaration(arguments.package, sign_declaration(home, room_of(log), content, at=Room.now()))
    table = read_declaration(content).catalog.table
    console.say(
        f"{table}, signée par {table.owner} : {arguments.package}, à remettre à l'opérateur (intake). Rien n'est "
        "encore déclaré.",
        f"{table}, signed by {table.owner}: {arguments.package}, for the operator (intake). Nothing is declared yet.",
    )
    _say_unit(console, content)
    return ExitCode.DONE


def say_declared(console: Console, table: TableName) -> None:
    """Say that a table is declared."""
    console.say(f"{table} est déclarée, signée par {table.owner}.", f"{table} is declared, signed by {table.owner}.")


def _reviewed(arguments: argparse.Namespace) -> bytes:
    content = read_file(arguments.file)
    return without_notes(content) if arguments.reviewed else content


def _say_unit(console: Console, content: bytes) -> None:
    unit = read_declaration(content).catalog.unit
    if unit.kind is IdentifierKind.OPAQUE and unit.namespace is None:
        console.say(
            "  ses numéros sont ceux que toute la salle partage ; pour les vôtres seuls, l'unité veut un namespace",
            "  its numbers are those that the whole room shares; for yours alone, the unit wants a namespace",
        )


def read_file(path: Path) -> bytes:
    """Return a small file's bytes, else raise `UsageError`."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(
            Bilingual(f"{path} ne se lit pas ({error.strerror})", f"{path} cannot be read ({error.strerror})"),
            code="unreadable_file",
        ) from None


def told_key(arguments: argparse.Namespace) -> str | None:
    """Return the operator's public key that the command line tells, as hexadecimal digits; None if it tells none."""
    return None if arguments.operator_key is None else public_key(arguments.operator_key).public_bytes_raw().hex()
