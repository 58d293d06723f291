"""`declare --draft`: a table file proposed from a sample, for its owner alone; nothing is signed or enters the room."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cleanroom.cli import figures
from cleanroom.cli.destinations import Readers, new_file
from cleanroom.cli.upload_options import add_reading_options
from cleanroom.errors import Bilingual, ExitCode
from cleanroom.identifiers import InvalidName, PartyId, TableName, identifier

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from cleanroom.cli.arguments import Adder
    from cleanroom.cli.console import Console

_MEMBER: Final = PartyId("membre")
"""Whose a drafted table is if nobody says; no room has such a party unless it is called so."""


def add_drafts(adder: Adder) -> None:
    """Add the command and its arguments."""
    read = adder.read
    parser = adder.command(
        "declare --draft",
        "propose un fichier de table d'après un échantillon, pour vos yeux seulement ; ne déclare rien",
        "propose a table file from a sample, for your eyes only; declares nothing",
        Bilingual(
            "ensuite : relisez chaque ligne, changez-les, puis cleanroom declare ROOM FILE.yaml --reviewed",
            "then: review and change every line, and cleanroom declare ROOM FILE.yaml --reviewed",
        ),
    )
    adder.valued(
        parser.places,
        "room",
        "ROOM",
        read.path,
        "le répertoire de la salle, pour ses buts ; chez vous, sans elle, les buts ordinaires",
        "the room's directory, for its purposes; at home, without it, the ordinary purposes",
        nargs="?",
    )
    adder.valued(
        parser.choices,
        "--draft",
        "SAMPLE",
        read.path,
        "l'échantillon : CSV, Excel ou Parquet",
        "the sample: CSV, Excel or Parquet",
        required=True,
    )
    adder.valued(
        parser.choices,
        "--table",
        "TABLE",
        read.table,
        "membre.table, le nom de la table à venir",
        "member.table, the name of the table to be",
    )
    adder.valued(
        parser.choices,
        "--output",
        "FILE",
        read.path,
        "écrit ce fichier, qui ne doit pas exister, lisible de vous seul, au lieu de l'afficher",
        "write this file, which must not exist, readable by you alone, instead of printing it",
    )
    add_reading_options(adder, parser)


def show(console: Console, arguments: argparse.Namespace) -> int:
    """Print or write a draft, with notes in the console's language."""
    # Loaded here: whoever asks for help needs no data frames.
    from cleanroom.cli.upload_reading import reading_of
    from cleanroom.client.draft import draft
    from cleanroom.room.creation import ordinary_purposes
    from cleanroom.room.member_facts import purposes_here

    sample: Path = arguments.draft
    made = draft(
        sample,
        reading_of(arguments),
        table=arguments.table or TableName(_MEMBER, _name_of(sample)),
        purposes=ordinary_purposes() if arguments.room is None else purposes_here(arguments.room),
        language=console.language,
    )
    content = made.text.encode()
    if arguments.output is None:
        console.data(content)
        return ExitCode.DONE
    # It quotes the owner's data.
    with new_file(arguments.output, Readers.OWNER) as write:
        write(content)
    rows = figures.number(made.rows, 0, console.language)
    then = (
        f"cleanroom declare {arguments.output} --reviewed --vkey log.vkey --package {arguments.output.stem}.declaration"
        if arguments.room is None
        else f"cleanroom declare {arguments.room} {arguments.output} --reviewed"
    )
    console.say(
        f"{arguments.output} est écrit, d'après {rows} lignes, pour vos yeux seulement : relisez chaque ligne, puis "
        f"{then}",
        f"{arguments.output} is written, from {rows} rows, for your eyes only: review every line, then {then}",
    )
    return ExitCode.DONE


def _name_of(sample: Path) -> str:
    from cleanroom.client.headers import column_name

    try:
        return identifier(column_name(sample.name.partition(".")[0]))
    except InvalidName:
        return "table"
