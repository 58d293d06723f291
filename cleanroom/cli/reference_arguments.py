"""The arguments of `reference add`, `reference list`, `reference show`: the room's public tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleanroom.cli.upload_options import add_reading_options
from cleanroom.errors import Bilingual

if TYPE_CHECKING:
    from cleanroom.cli.arguments import Adder
    from cleanroom.cli.parser import Parser


def add_references(adder: Adder) -> None:
    """Add the commands and their arguments."""
    words, read = adder.words, adder.read
    add = adder.in_room(
        "reference add",
        "ajoute une table publique, public.NAME, ou la remplace ; signé par l'opérateur",
        "add a public table, public.NAME, or replace it; signed by the operator",
        Bilingual(
            "tout le monde lit chaque valeur d'une table publique : rien de ce qu'un membre tire de ses visiteurs n'y "
            "va\n100 000 lignes et 64 colonnes au plus ; des textes, des nombres, des dates",
            "everybody reads every value of a public table: nothing that a member derives from its visitors goes there"
            "\nat most 100,000 rows and 64 columns; texts, numbers, dates",
        ),
    )
    _name(adder, add)
    adder.valued(add.places, "file", "FILE", read.path, "CSV, Excel ou Parquet", "CSV, Excel or Parquet")
    adder.valued(
        add.choices,
        "--source",
        "TEXT",
        read.text,
        "d'où viennent ses valeurs : qui les a publiées, quand, où",
        "where its values come from: who published them, when, where",
        required=True,
    )
    adder.valued(
        add.choices,
        "--text",
        "COLUMN",
        read.text,
        "cette colonne est un texte, même si tout y est nombre ou date ; peut se répéter",
        "this column is text, even if all of it is numbers or dates; may be repeated",
        action="append",
        default=[],
    )
    add_reading_options(adder, add)
    adder.in_room("reference list", "montre les tables publiques de la salle", "show the room's public tables")
    show = adder.in_room(
        "reference show", "écrit les valeurs d'une table publique", "write the values of a public table"
    )
    _name(adder, show)
    show.choices.add_argument(
        "--format",
        choices=("table", "csv", "json"),
        default="table",
        help=words.of("la forme du résultat (par défaut, table)", "the form of the result (default: table)"),
    )


def _name(adder: Adder, parser: Parser) -> None:
    adder.valued(
        parser.places, "name", "NAME", adder.read.text, "son nom, sans « public. »", "its name, without 'public.'"
    )
