"""The commands of a table's life, with their help: upload, intake, facts, uploads, withdraw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cleanroom.cli.upload_options import add_upload_options
from cleanroom.errors import Bilingual

if TYPE_CHECKING:
    from cleanroom.cli.arguments import Adder
    from cleanroom.cli.parser import Parser

LIST_FORMATS: Final = ("table", "csv", "json")

_RESUME: Final = Bilingual(
    "autrement : cleanroom upload --facts FILE TABLE FILE…, sans la salle\n"
    "            cleanroom upload --resume ROOM, remet ce qui attend",
    "otherwise: cleanroom upload --facts FILE TABLE FILE…, without the room\n"
    "           cleanroom upload --resume ROOM, hands in what waits",
)


def add_uploads(adder: Adder) -> None:
    """Add the commands of a table's life."""
    words, read = adder.words, adder.read
    upload = adder.in_room(
        "upload",
        "jetonne, chiffre, signe et dépose les lignes d'une table",
        "tokenise, encrypt, sign and hand in a table's rows",
        _RESUME,
    )
    _rows(adder, upload)
    at_home = adder.command(
        "upload --facts",
        "fait un paquet chez un membre, sans la salle ni aucune de ses clés",
        "make a package at a member's, without the room or any of its keys",
    )
    adder.valued(
        at_home.choices,
        "--facts",
        "FILE",
        read.path,
        "le fichier de cleanroom facts, reçu de l'opérateur",
        "the file of cleanroom facts, had from the operator",
        required=True,
    )
    operator_key(adder, at_home)
    _rows(adder, at_home)
    adder.in_room(
        "upload --resume",
        "remet les paquets qui attendent encore leur reçu sur cette machine",
        "hand in the packages that still wait for their receipt on this machine",
    )
    _add_opt_out(adder)
    intake = adder.in_room(
        "intake",
        "prend dans la salle ce qu'un membre a fait chez lui : un paquet de lignes, une déclaration signée",
        "take into the room what a member made at home: a package of rows, a signed declaration",
    )
    adder.valued(
        intake.places,
        "file",
        "FILE",
        read.path,
        "un paquet d'upload --package ou de declare --package",
        "a package of upload --package or declare --package",
    )
    facts = adder.in_room(
        "facts",
        "écrit ce qu'un membre doit savoir de la salle pour faire ses dépôts chez lui, signé par l'opérateur",
        "write what a member must know of the room to make its uploads at home, signed by the operator",
    )
    _table(adder, facts)
    uploads = adder.in_room(
        "uploads",
        "montre à un membre ses dépôts, leurs versions et leurs reçus, et les tient contre le journal",
        "show a member its uploads, their versions and receipts, and hold them against the log",
    )
    _owner(adder, uploads)
    adder.valued(
        uploads.places,
        "table",
        "TABLE",
        read.table,
        "une de ses tables ; sinon, toutes",
        "one of its tables; else all",
        nargs="?",
    )
    uploads.choices.add_argument(
        "--format",
        choices=LIST_FORMATS,
        default="table",
        help=words.of("la forme du résultat (par défaut, table)", "the form of the result (default: table)"),
    )
    withdraw = adder.in_room(
        "withdraw",
        "retire une table : ses clés sont détruites, ses fichiers effacés, sa déclaration prend fin",
        "take a table back: its keys are destroyed, its files removed, its declaration ends",
    )
    _table(adder, withdraw)
    _owner(adder, withdraw)


def _add_opt_out(adder: Adder) -> None:
    read = adder.read
    opt_out = adder.in_room(
        "opt-out",
        "tient la liste d'un membre de qui a dit non : leurs lignes ne partent plus dans aucun dépôt",
        "keep a member's list of those who said no: their rows travel in no upload any more",
        Bilingual(
            "FILE a un identifiant par ligne, ou une colonne appelée comme celle de la table ; la liste garde des "
            "jetons,\njamais d'identifiant, sur la machine du membre",
            "FILE has one identifier a line, or a column called as the table's; the list keeps tokens, never an\n"
            "identifier, on the member's machine",
        ),
    )
    _owner(adder, opt_out)
    adder.valued(
        opt_out.choices,
        "--table",
        "TABLE",
        read.table,
        "une table du membre, si les siennes ont plusieurs sortes d'identifiants",
        "a table of the member, if its tables have several kinds of identifiers",
    )
    what = opt_out.choices.add_mutually_exclusive_group()
    adder.valued(what, "--add", "FILE", read.path, "ces personnes disent non", "these people say no")
    adder.valued(
        what, "--remove", "FILE", read.path, "ces personnes ont changé d'avis", "these people changed their minds"
    )
    adder.flag(what, "--count", "combien sont sur la liste (par défaut)", "how many are on the list (default)")


def _table(adder: Adder, parser: Parser) -> None:
    adder.valued(parser.places, "table", "TABLE", adder.read.table, "membre.table", "member.table")


def _owner(adder: Adder, parser: Parser) -> None:
    adder.party(
        parser.choices,
        "le propriétaire ; sa clé de signature est sur cette machine",
        "the owner; its signing key is on this machine",
    )


def _rows(adder: Adder, parser: Parser) -> None:
    read = adder.read
    _table(adder, parser)
    adder.valued(
        parser.places,
        "files",
        "FILE",
        read.path,
        "CSV, Excel ou Parquet ; plusieurs font un seul dépôt",
        "CSV, Excel or Parquet; several make one upload",
        nargs="+",
    )
    intent = parser.choices.add_mutually_exclusive_group()
    adder.flag(
        intent,
        "--replace",
        "ce dépôt prend la place de tous les dépôts de la table",
        "this upload takes the place of all uploads of the table",
    )
    adder.valued(
        intent,
        "--correct",
        "UPLOAD",
        read.upload,
        "ce dépôt prend la place de celui-là (cleanroom uploads les montre)",
        "this upload takes the place of that one (cleanroom uploads shows them)",
    )
    kept = parser.choices.add_mutually_exclusive_group()
    adder.valued(
        kept,
        "--package",
        "FILE",
        read.path,
        "écrit le paquet chiffré ici au lieu de le déposer",
        "write the encrypted package here, hand nothing in",
    )
    adder.flag(
        kept,
        "--dry-run",
        "montre ce qui voyagerait, et ne garde ni ne dépose rien",
        "show what would travel; keep and hand in nothing",
    )
    add_upload_options(adder, parser)


def operator_key(adder: Adder, parser: Parser) -> None:
    """Add the option that says whose signature a file of facts must bear."""
    adder.valued(
        parser.choices,
        "--operator-key",
        "PUB",
        adder.read.text,
        "la clé publique de l'opérateur, telle qu'il l'a dite autrement que par ce fichier ; la première fois",
        "the operator's public key, as it was told by another way than that file; the first time",
    )
