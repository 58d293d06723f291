"""The options that say how an upload's files are read and what becomes of unfit rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cleanroom.cli.arguments import Adder
    from cleanroom.cli.parser import Parser


def add_reading_options(adder: Adder, parser: Parser) -> None:
    """Add the options of whatever command reads a member's files: how they are written."""
    words, read = adder.words, adder.read
    options = parser.choices
    options.add_argument(
        "--encoding",
        metavar="NAME",
        type=read.text,
        help=words.of(
            "l'encodage des CSV : utf-8, utf-16, windows-1252 (sinon, il est trouvé), latin-9, macintosh, cp850",
            "the CSV files' encoding: utf-8, utf-16, windows-1252 (else it is found out), latin-9, macintosh, cp850",
        ),
    )
    options.add_argument(
        "--delimiter",
        metavar="SIGN",
        type=read.text,
        help=words.of(
            "ce qui sépare les champs : comma, semicolon, tab, pipe, ou le signe (sinon, trouvé)",
            "what separates fields: comma, semicolon, tab, pipe, or the sign (else found out)",
        ),
    )
    options.add_argument(
        "--dates",
        metavar="[COLUMN=]FORM",
        action="append",
        default=[],
        type=read.text,
        help=words.of(
            "comment les dates s'écrivent, p. ex. MM/JJ/AAAA, d'une colonne ou de toutes (sinon, trouvé)",
            "how dates are written, e.g. MM/DD/YYYY, of one column or of all (else found out)",
        ),
    )
    options.add_argument(
        "--decimal",
        metavar="MARK",
        type=read.text,
        help=words.of(
            "ce qui marque les décimales : comma ou point (sinon, trouvé)",
            "what marks decimals: comma or point (else found out)",
        ),
    )
    options.add_argument(
        "--sheet",
        metavar="NAME",
        type=adder.read.text,
        help=words.of(
            "la feuille à lire d'un classeur Excel (sinon, la première qui contient quelque chose)",
            "the sheet to read of an Excel workbook (else the first that holds anything)",
        ),
    )


def add_upload_options(adder: Adder, parser: Parser) -> None:
    """Add the options of a command that takes a member's rows: how files are read, what becomes of unfit rows."""
    add_reading_options(adder, parser)
    words, read = adder.words, adder.read
    options = parser.choices
    options.add_argument(
        "--map",
        metavar="COLUMN=FILE",
        action="append",
        default=[],
        type=read.text,
        help=words.of(
            "un vocabulaire : un CSV de deux colonnes, ce qui est écrit et la valeur déclarée ; peut se répéter",
            "a vocabulary: a CSV of two columns, what is written and the declared value; may be repeated",
        ),
    )
    options.add_argument(
        "--skip-bad-rows",
        action="store_true",
        help=words.of(
            "laisse chez vous les lignes qui ne respectent pas la déclaration, et les compte",
            "leave rows that break the declaration at home, and count them",
        ),
    )
    options.add_argument(
        "--clip",
        action="store_true",
        help=words.of(
            "ramène à la borne les nombres hors des bornes déclarées, et les compte",
            "bring numbers outside the declared bounds to the bound, and count them",
        ),
    )
    options.add_argument(
        "--opt-out",
        metavar="FILE",
        type=read.path,
        help=words.of(
            "des personnes qui ont dit non : un identifiant par ligne, ou la colonne d'un CSV ; leurs lignes restent "
            "chez vous, cette fois et toujours",
            "people who said no: one identifier a line, or a CSV's column; their rows stay at home, now and always",
        ),
    )
