"""The arguments of what lets a party read its own details offline: reading keys and mandates, in French and English."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleanroom.cli.log_service_arguments import ANY_LOG, VKEY
from cleanroom.errors import Bilingual

if TYPE_CHECKING:
    from cleanroom.cli.arguments import Adder
    from cleanroom.cli.parser import Parser


def add_readers(adder: Adder) -> None:
    """Add the commands."""
    _add_keys(adder)
    _add_mandates(adder)


def reading_key(adder: Adder, parser: Parser) -> None:
    """Add the public half of a reading key."""
    adder.valued(
        parser.choices,
        "--reading-key",
        "FILE.pub",
        adder.read.path,
        "sa clé publique de lecture, que log key écrit : les détails du journal qui sont à elle sont scellés pour "
        "cette clé quand ils sortent",
        "its public reading key, which log key writes: the details of the log that are its own are sealed to this "
        "key when they leave",
    )


def kinds_of_events(adder: Adder, parser: Parser) -> None:
    """Add which kinds of events."""
    adder.valued(
        parser.choices,
        "--event",
        "TYPE",
        adder.read.event,
        "ce genre d'événement (query.released, …) ; peut se répéter",
        "this kind of event (query.released, …); may be repeated",
        dest="events",
        action="append",
        default=[],
    )


def period(adder: Adder, parser: Parser) -> None:
    """Add from when until when."""
    read, options = adder.read, parser.choices
    adder.valued(
        options,
        "--since",
        "T",
        read.since,
        "à partir d'une date, d'un moment ISO 8601 (UTC) ou de secondes Unix",
        "from a date, an ISO 8601 moment (UTC) or Unix seconds on",
        default=0,
    )
    adder.valued(options, "--until", "T", read.since, "avant ce moment", "before this moment")


def reader(adder: Adder, parser: Parser) -> None:
    """Add who reads in the room."""
    adder.party(
        parser.choices,
        "qui lit, avec sa clé : un auditeur ce que ses mandats couvrent, un membre ce qui le touche ; sinon, "
        "l'opérateur",
        "who reads, with its key: an auditor what its mandates cover, a member what touches it; without it, the "
        "operator",
        dest="reader",
        required=False,
    )


def offline(adder: Adder, parser: Parser) -> None:
    """Add with which key an export, or a log that is served, is read."""
    adder.valued(
        parser.choices,
        "--key",
        "FILE",
        adder.read.path,
        "lit un export, ou un journal servi, et ses détails scellés (log export --details) avec cette clé de lecture, "
        "sans la salle : les siens en entier, les autres comme enveloppes",
        "read an export, or a log that is served, and its sealed details (log export --details) with this reading "
        "key, without the room: one's own whole, the others as envelopes",
    )
    parser.choices.add_argument("--vkey", metavar="FILE", type=adder.read.path, help=adder.words.say(VKEY))


def room_or_log(adder: Adder, name: str, fr: str, en: str, epilog: Bilingual | None = None) -> Parser:
    """Add a command about a room, or with `--key` about its log wherever that is."""
    parser = adder.command(name, fr, en, epilog)
    parser.places.add_argument("room", metavar="ROOM|DIR|URL", type=adder.read.log_place, help=adder.words.say(ANY_LOG))
    return parser


def table_or_json(adder: Adder, parser: Parser) -> None:
    """Add the form of a result."""
    parser.choices.add_argument(
        "--format",
        choices=("table", "json"),
        default="table",
        help=adder.words.of("la forme du résultat (par défaut, table)", "the form of the result (default: table)"),
    )


def _add_keys(adder: Adder) -> None:
    make = adder.command(
        "log key",
        "crée sur cette machine la clé qui lit, hors ligne, les détails du journal qui sont à une partie",
        "make on this machine the key that reads, offline, the details of the log that are a party's",
        Bilingual(
            "remettez le fichier à l'opérateur (party add --reading-key, ou party key) ; la clé elle-même reste ici",
            "hand the file to the operator (party add --reading-key, or party key); the key itself stays here",
        ),
    )
    adder.party(make.choices, "la partie dont c'est la clé", "the party whose key it is")
    adder.valued(
        make.choices,
        "--output",
        "FILE.pub",
        adder.read.path,
        "où écrire la clé publique : un nouveau fichier, ou celui de cette clé",
        "where to write the public key: a new file, or the one of this key",
        required=True,
    )
    adder.valued(
        make.choices,
        "--vkey",
        "FILE",
        adder.read.path,
        "la clé publique du journal d'une salle : signe aussi, avec votre clé, que cette salle prenne cette clé",
        "the public key of a room's log: also sign, with your key, that this room take this key",
    )
    register = adder.in_room(
        "party key",
        "inscrit la clé de lecture d'une partie, à la place de celle d'avant",
        "register a party's reading key, in the place of the one before",
    )
    adder.party(
        register.choices,
        "la partie ; sa clé de signature est sur cette machine ; sinon, le fichier est signé (log key --vkey)",
        "the party; its signing key is on this machine; without it, the file is signed (log key --vkey)",
        required=False,
    )
    reading_key(adder, register)


def _add_mandates(adder: Adder) -> None:
    give = adder.in_room(
        "log mandate give",
        "laisse un auditeur lire ce qu'une partie peut lire elle-même du journal",
        "let an auditor read what a party may read of the log itself",
        Bilingual(
            "le mandat de l'opérateur porte sur toute la salle ; chaque partie le voit dans le journal",
            "the operator's mandate covers the whole room; every party sees it in the log",
        ),
    )
    withdraw = adder.in_room(
        "log mandate withdraw",
        "retire à un auditeur les mandats qu'une partie lui a donnés",
        "withdraw the mandates that a party gave an auditor",
    )
    sign = adder.command(
        "log mandate sign",
        "signe chez soi un mandat, ou son retrait, loin de la salle",
        "sign a mandate, or its withdrawal, at home, away from the room",
    )
    given = room_or_log(
        adder,
        "log mandate list",
        "les mandats en vigueur : qui les donna, à quel auditeur, pour quoi, depuis quelle entrée",
        "the mandates in force: who gave them, to which auditor, for what, since which entry",
        Bilingual(
            "de ceux dont qui lit peut lire l'entrée ; combien d'autres il y a est dit",
            "of those whose entries the reader may read; how many others there are is said",
        ),
    )
    reader(adder, given)
    offline(adder, given)
    adder.flag(
        given.choices,
        "--all",
        "aussi ceux qui furent retirés, par quelle entrée et quand",
        "also those that were withdrawn, by which entry and when",
        dest="every",
    )
    table_or_json(adder, given)
    take = adder.in_room(
        "log mandate take",
        "prend un mandat, ou un retrait, qu'une partie a signé chez elle",
        "take a mandate, or a withdrawal, that a party signed at home",
    )
    adder.valued(take.places, "file", "FILE", adder.read.path, "ce qu'elle a signé", "what it signed")
    for parser in (give, withdraw, sign):
        adder.valued(parser.places, "auditor", "AUDITOR", adder.read.party, "l'auditeur", "the auditor")
        adder.party(
            parser.choices,
            "qui donne le mandat ; sa clé de signature est sur cette machine",
            "who gives the mandate; its signing key is on this machine",
        )
    for parser in (give, sign):
        kinds_of_events(adder, parser)
        period(adder, parser)
    adder.flag(sign.choices, "--withdraw", "retire les mandats donnés", "withdraw the mandates given")
    adder.valued(
        sign.choices,
        "--vkey",
        "FILE",
        adder.read.path,
        "la clé publique du journal de la salle",
        "the public key of the room's log",
        required=True,
    )
    adder.valued(
        sign.choices,
        "--output",
        "FILE",
        adder.read.path,
        "où écrire ce qui est signé : un nouveau fichier",
        "where to write what is signed: a new file",
        required=True,
    )
