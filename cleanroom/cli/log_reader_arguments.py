"""The arguments of what lets a party read its own details offline: reading keys and mandates, in French and English."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    parser.choices.add_argument(
        "--reading-key",
        metavar="FILE.pub",
        type=adder.read.path,
        help=adder.words.of(
            "sa clé publique de lecture, que log key écrit : les détails du journal qui sont à elle sont scellés pour "
            "cette clé quand ils sortent",
            "its public reading key, which log key writes: the details of the log that are its own are sealed to this "
            "key when they leave",
        ),
    )


def kinds_of_events(adder: Adder, parser: Parser) -> None:
    """Add which kinds of events."""
    parser.choices.add_argument(
        "--event",
        dest="events",
        metavar="TYPE",
        action="append",
        default=[],
        type=adder.read.event,
        help=adder.words.of(
            "ce genre d'événement (query.released, …) ; peut se répéter",
            "this kind of event (query.released, …); may be repeated",
        ),
    )


def period(adder: Adder, parser: Parser) -> None:
    """Add from when until when."""
    words, read, options = adder.words, adder.read, parser.choices
    options.add_argument(
        "--since",
        metavar="T",
        type=read.since,
        default=0,
        help=words.of(
            "à partir d'une date, d'un moment ISO 8601 (UTC) ou de secondes Unix",
            "from a date, an ISO 8601 moment (UTC) or Unix seconds on",
        ),
    )
    options.add_argument(
        "--until", metavar="T", type=read.since, help=words.of("avant ce moment", "before this moment")
    )


def _signer(adder: Adder, parser: Parser, fr: str, en: str) -> None:
    parser.choices.add_argument(
        "--as", dest="party", required=True, metavar="ID", type=adder.read.party, help=adder.words.of(fr, en)
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
    _signer(adder, make, "la partie dont c'est la clé", "the party whose key it is")
    make.choices.add_argument(
        "--output",
        required=True,
        metavar="FILE.pub",
        type=adder.read.path,
        help=adder.words.of("où écrire la clé publique", "where to write the public key"),
    )
    register = adder.in_room(
        "party key",
        "inscrit la clé de lecture d'une partie, à la place de celle d'avant",
        "register a party's reading key, in the place of the one before",
    )
    _signer(
        adder,
        register,
        "la partie ; sa clé de signature est sur cette machine",
        "the party; its signing key is on this machine",
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
    for parser in (give, withdraw):
        parser.places.add_argument(
            "auditor", metavar="AUDITOR", type=adder.read.party, help=adder.words.of("l'auditeur", "the auditor")
        )
        _signer(
            adder,
            parser,
            "qui donne le mandat ; sa clé de signature est sur cette machine",
            "who gives the mandate; its signing key is on this machine",
        )
    kinds_of_events(adder, give)
    period(adder, give)
