"""Every command, argument and option of `cleanroom`, with its help in French and English (DESIGN §8)."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cleanroom.cli.backup_arguments import add_backups
from cleanroom.cli.drafts import add_drafts
from cleanroom.cli.erasure_arguments import add_erasures
from cleanroom.cli.log_arguments import add_log
from cleanroom.cli.member_key_arguments import add_member_keys
from cleanroom.cli.parser import Parser
from cleanroom.cli.presets import add_presets
from cleanroom.cli.reference_arguments import add_references
from cleanroom.cli.room_arguments import add_rooms
from cleanroom.cli.upload_arguments import add_uploads
from cleanroom.cli.values import Reader
from cleanroom.errors import Bilingual, Language

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Arguments = argparse._ActionsContainer

FORMATS: Final = ("table", "csv", "json", "parquet")

_ROOM: Final = Bilingual("le répertoire de la salle", "the room's directory")
_AS: Final = Bilingual(
    "la partie qui demande ; sa clé de signature est sur cette machine",
    "the party that asks; its signing key is on this machine",
)
_PURPOSE: Final = Bilingual(
    "le but de la question, parmi ceux de la salle", "the question's purpose, one of the room's"
)
_LANG: Final = Bilingual(
    "la langue, aussi avant la commande (par défaut $CLEANROOM_LANG, sinon fr)",
    "the language, also before the command (default: $CLEANROOM_LANG, else fr)",
)
_HELP: Final = Bilingual("montre cette aide", "show this help")


def build_parser(language: Language) -> Parser:
    """Return the parser of the whole command."""
    words = Words(language)
    parser = Parser(
        language=language,
        prog="cleanroom",
        description=words.of(
            "Une salle de données partagées : des réponses bruitées, un budget de vie privée, un journal vérifiable.",
            "A data clean room: noised answers, one privacy budget, a log that verifies.",
        ),
        epilog=words.of(
            "codes de sortie : 0 fait, 1 panne, 2 mauvais emploi, 3 refusé, 4 vérification manquée\n"
            "les clés sont dans $CLEANROOM_HOME (par défaut ~/.config/cleanroom), jamais dans la salle",
            "exit codes: 0 done, 1 fault, 2 usage, 3 refused, 4 verification failed\n"
            "keys are kept in $CLEANROOM_HOME (default ~/.config/cleanroom), never in the room",
        ),
    )
    _common(parser, words)
    parser.choices.add_argument(
        "--version", action="store_true", help=words.of("montre la version", "show the version")
    )
    commands = parser.add_subparsers(
        title=words.of("commandes", "commands"),
        dest="command",
        metavar=words.of("COMMANDE", "COMMAND"),
        prog="cleanroom",
    )
    adder = Adder(commands, words, Reader(language))
    add_rooms(adder)
    add_presets(adder)
    add_member_keys(adder)
    add_drafts(adder)
    add_uploads(adder)
    add_erasures(adder)
    add_references(adder)
    _add_questions(adder)
    _add_budget(adder)
    add_backups(adder)
    add_log(adder)
    return parser


@dataclass(frozen=True, slots=True)
class Words:
    """Texts of the help, in one language."""

    language: Language

    def of(self, fr: str, en: str) -> str:
        """Return the words in the language, for argparse."""
        # argparse reads % in help as a format.
        return Bilingual(fr, en).into(self.language).replace("%", "%%")

    def say(self, text: Bilingual) -> str:
        """Return a text in the language, for argparse."""
        return self.of(text.fr, text.en)


@dataclass(frozen=True, slots=True)
class Adder:
    """Adds commands, their help and their arguments."""

    commands: argparse._SubParsersAction[Parser]
    words: Words
    read: Reader

    def command(self, name: str, fr: str, en: str, epilog: Bilingual | None = None) -> Parser:
        """Add a command."""
        text = Bilingual(fr, en).into(self.words.language)
        parser = self.commands.add_parser(
            name,
            help=self.words.of(fr, en),
            language=self.words.language,
            description=f"{text[0].upper()}{text[1:]}.",
            epilog=None if epilog is None else epilog.into(self.words.language),
        )
        _common(parser, self.words)
        return parser

    def valued(
        self,
        arguments: Arguments,
        name: str,
        metavar: str,
        read: Callable[[str], object],
        fr: str,
        en: str,
        **more: Any,
    ) -> None:
        """Add an argument that has a value.

        Args:
            arguments: a parser's places or choices, or a group of them.
            name: with dashes for an option.
            read: turns what is written into the value, or says why not.
            more: as argparse takes it.
        """
        arguments.add_argument(name, metavar=metavar, type=read, help=self.words.of(fr, en), **more)

    def flag(self, arguments: Arguments, name: str, fr: str, en: str, **more: Any) -> None:
        """Add an option that is there or not."""
        arguments.add_argument(name, action="store_true", help=self.words.of(fr, en), **more)

    def party(self, arguments: Arguments, fr: str, en: str, *, dest: str = "party", required: bool = True) -> None:
        """Add `--as`: whose key signs, or whose affair it is."""
        self.valued(arguments, "--as", "ID", self.read.party, fr, en, dest=dest, required=required)

    def in_room(self, name: str, fr: str, en: str, epilog: Bilingual | None = None) -> Parser:
        """Add a command about a room."""
        parser = self.command(name, fr, en, epilog)
        parser.places.add_argument("room", metavar="ROOM", type=self.read.path, help=self.words.say(_ROOM))
        return parser


def _common(parser: Parser, words: Words) -> None:
    parser.choices.add_argument("-h", "--help", action="help", help=words.say(_HELP))
    # Taken from the arguments before they are parsed, since errors need the language; here for the help alone.
    parser.choices.add_argument("--lang", choices=[each.value for each in Language], help=words.say(_LANG))


def _add_questions(adder: Adder) -> None:
    words, read = adder.words, adder.read
    catalog = adder.in_room(
        "catalog",
        "montre ce qu'une partie peut demander : tables, colonnes, règles, budget",
        "show what a party may ask: tables, columns, rules, budget",
    )
    asker(adder, catalog)
    query = adder.in_room(
        "query",
        "pose une question",
        "ask a question",
        Bilingual(
            "exemple :\n  cleanroom query salle --as tnm --purpose audience_overlap --epsilon 0.3 \\\n"
            '    "SELECT region, COUNT(DISTINCT person) FROM tnm.visits GROUP BY region"\n\n'
            "dans un CSV, une apostrophe précède tout texte qui commence par = + - @, pour qu'aucun tableur n'en "
            "fasse une formule",
            "example:\n  cleanroom query room --as tnm --purpose audience_overlap --epsilon 0.3 \\\n"
            '    "SELECT region, COUNT(DISTINCT person) FROM tnm.visits GROUP BY region"\n\n'
            "in a CSV, an apostrophe precedes any text that begins with = + - @, so that no spreadsheet takes it "
            "for a formula",
        ),
    )
    preview = adder.in_room(
        "preview",
        "dit ce qu'une question coûterait et sa marge d'erreur, sans rien imputer",
        "say what a question would cost and its margin of error, charging nothing",
    )
    for parser in (query, preview):
        _question(adder, parser)
    adder.valued(
        query.choices,
        "--plot",
        "FILE.svg",
        read.path,
        "dessine la réponse, ses marges en barres d'erreur (.svg, .png, .pdf)",
        "draw the answer, its margins as error bars (.svg, .png, .pdf)",
    )
    adder.valued(
        query.choices,
        "--sheet",
        "FILE.md|.html",
        read.path,
        "écrit la fiche de publication : question, méthode, bornes, marges, versions, coût, reçu",
        "write the publication sheet: question, method, bounds, margins, versions, cost, receipt",
    )
    check = adder.in_room(
        "check",
        "décide de questions lues sur l'entrée standard, une par ligne JSON ; ne lit aucune donnée",
        "decide questions read from standard input, one JSON object a line; reads no data",
        Bilingual(
            'entrée : {"id":…, "sql":…, "params":…}\nsortie : {"id":…, "admitted":…, "refusals":[…], "releases":[…]}',
            'input:  {"id":…, "sql":…, "params":…}\noutput: {"id":…, "admitted":…, "refusals":[…], "releases":[…]}',
        ),
    )
    asker(adder, check)
    check.choices.add_argument("--purpose", required=True, metavar="P", type=read.text, help=words.say(_PURPOSE))
    check.choices.add_argument(
        "--fail-on",
        choices=("refused", "admitted"),
        metavar="refused|admitted",
        help=words.of(
            "finit avec le code 3 si une question est refusée, ou si une est admise : pour une suite de contrôle",
            "end with status 3 if a question is refused, or if one is admitted: for continuous integration",
        ),
    )


def asker(adder: Adder, parser: Parser) -> None:
    """Add `--as`."""
    adder.party(parser.choices, _AS.fr, _AS.en)


def _question(adder: Adder, parser: Parser) -> None:
    words, read = adder.words, adder.read
    asker(adder, parser)
    options = parser.choices
    adder.valued(
        parser.places,
        "sql",
        "SQL",
        read.text,
        "la question, ou - pour l'entrée standard",
        "the question, or - for standard input",
    )
    options.add_argument("--purpose", required=True, metavar="P", type=read.text, help=words.say(_PURPOSE))
    precision = options.add_mutually_exclusive_group()
    adder.valued(
        precision,
        "--epsilon",
        "E",
        read.exact,
        "le plus que la question peut coûter à un compte",
        "the most that the question may cost an account",
    )
    adder.valued(
        precision,
        "--margin",
        "M",
        read.exact,
        "la marge voulue, 19 fois sur 20, dans l'unité des valeurs",
        "the margin wanted, 19 times out of 20, in the values' unit",
    )
    adder.valued(
        options,
        "--weights",
        "JSON",
        read.weights,
        'la part du prix de chaque valeur, par son nom : {"persons": 2, "revenue": 1} ; sinon, parts égales',
        'the part of the price that each value gets, by its name: {"persons": 2, "revenue": 1}; else equal parts',
    )
    adder.valued(
        options,
        "--params",
        "JSON",
        read.parameters,
        "une liste pour ?, un objet pour $nom",
        "a list for ?, an object for $name",
    )
    adder.valued(
        options,
        "--max-rows",
        "N|auto",
        read.count_or_auto,
        "lignes d'une personne qui comptent dans une case (sinon, celles de la table) ; auto : choisies, contre "
        "une petite part du prix",
        "rows of a person that count in a cell (default: the table's); auto: chosen, for a small part of the price",
    )
    adder.valued(
        options,
        "--max-sum",
        "X|auto",
        read.exact_or_auto,
        "le plus grand total d'une personne dans une case, dans l'unité de la somme ; auto : choisi de même",
        "the greatest total of a person in a cell, in the sum's unit; auto: chosen likewise",
    )
    adder.valued(
        options,
        "--max-groups",
        "N|auto",
        read.count_or_auto,
        "cases d'une personne qui comptent en entier (sinon, celles de la table) ; auto : choisies de même",
        "cells of a person that count in full (default: the table's); auto: chosen likewise",
    )
    adder.flag(
        options,
        "--consistent",
        "avec ROLLUP, CUBE ou GROUPING SETS : cases ajustées pour s'additionner à leurs totaux ; gratuit",
        "with ROLLUP, CUBE or GROUPING SETS: cells adjusted to add up to their totals; free",
    )
    options.add_argument(
        "--format",
        choices=FORMATS,
        default="table",
        help=words.of("la forme du résultat (par défaut, table)", "the form of the result (default: table)"),
    )
    adder.valued(
        options, "--output", "FILE", read.path, "écrit le résultat dans ce fichier", "write the result to this file"
    )


def _add_budget(adder: Adder) -> None:
    adder.in_room(
        "budget",
        "montre ce qui fut accordé et dépensé, et ce qu'il reste",
        "show what was granted, what is spent and what is left",
    )
