"""`declare --preset`: a table file to start from, printed or written; nothing is declared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleanroom.cli.destinations import new_file
from cleanroom.errors import Bilingual, ExitCode
from cleanroom.policies import Preset, preset_file

if TYPE_CHECKING:
    import argparse

    from cleanroom.cli.arguments import Adder
    from cleanroom.cli.console import Console


def add_presets(adder: Adder) -> None:
    """Add the command and its arguments."""
    words, read = adder.words, adder.read
    preset = adder.command(
        "declare --preset",
        "écrit un fichier de table pour commencer, avec ses raisons ; ne déclare rien",
        "write a table file to start from, with its reasons; declares nothing",
        Bilingual(
            "ensuite : relisez le fichier, changez-le, puis cleanroom declare ROOM FILE.yaml",
            "then: read the file, change it, and cleanroom declare ROOM FILE.yaml",
        ),
    )
    preset.choices.add_argument(
        "--preset",
        required=True,
        choices=[each.value for each in Preset],
        help=words.of(
            "ce que contient la table : billetterie, visites du site, adhésions, sondage",
            "what the table holds: ticketing, web visits, membership, a survey",
        ),
    )
    adder.valued(
        preset.choices,
        "--table",
        "TABLE",
        read.table,
        "membre.table, le nom de la table à venir",
        "member.table, the name of the table to be",
        required=True,
    )
    adder.valued(
        preset.choices,
        "--output",
        "FILE",
        read.path,
        "écrit ce fichier, qui ne doit pas exister, au lieu de l'afficher",
        "write this file, which must not exist, instead of printing it",
    )


def show(console: Console, arguments: argparse.Namespace) -> int:
    """Print or write a preset's file, with comments in the console's language."""
    content = preset_file(Preset(arguments.preset), table=arguments.table, language=console.language)
    if arguments.output is None:
        console.data(content)
        return ExitCode.DONE
    # What an owner has changed is not written over.
    with new_file(arguments.output) as write:
        write(content)
    console.say(
        f"{arguments.output} est écrit : relisez-le, changez-le, puis cleanroom declare ROOM {arguments.output}",
        f"{arguments.output} is written: read it, change it, then cleanroom declare ROOM {arguments.output}",
    )
    return ExitCode.DONE
