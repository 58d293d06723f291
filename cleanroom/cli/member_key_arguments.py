"""The arguments of the commands about keys that a party keeps at home, in French and English."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cleanroom.errors import Bilingual

if TYPE_CHECKING:
    from cleanroom.cli.arguments import Adder
    from cleanroom.cli.parser import Parser

_TOLD: Final = Bilingual(
    "sa clé publique, 64 chiffres hexadécimaux, telle que ce membre vous l'a dite lui-même, non par l'opérateur",
    "its public key, 64 hexadecimal digits, as that member told you itself, not through the operator",
)
_SIGNS: Final = Bilingual(
    "vous ; votre clé de signature est sur cette machine", "you; your signing key is on this machine"
)


def add_member_keys(adder: Adder) -> None:
    """Add the commands."""
    read = adder.read
    new = adder.command(
        "party new",
        "crée sur cette machine la clé de signature d'une partie, ou montre la clé publique de celle qu'il y a",
        "make a party's signing key on this machine, or show the public key of the one that there is",
        Bilingual(
            "l'opérateur inscrit la clé publique : cleanroom party add ROOM ID --role member --key FILE.pub",
            "the operator registers the public key: cleanroom party add ROOM ID --role member --key FILE.pub",
        ),
    )
    adder.valued(new.places, "party", "ID", read.new_party, "le nom de la partie", "the party's name")
    adder.valued(
        new.choices,
        "--output",
        "FILE.pub",
        read.path,
        "écrit aussi la clé publique dans ce fichier",
        "also write the public key to this file",
    )
    _add_linkage(adder)


def _add_linkage(adder: Adder) -> None:
    read = adder.read
    ask = adder.command(
        "linkage ask",
        "demande à un autre membre la clé d'appariement, scellée pour vous",
        "ask another member for the linkage key, sealed to you",
    )
    adder.party(ask.choices, _SIGNS.fr, _SIGNS.en)
    adder.valued(
        ask.choices,
        "--vkey",
        "FILE",
        read.path,
        "la clé publique du journal de la salle",
        "the public key of the room's log",
        required=True,
    )
    give = adder.command(
        "linkage give",
        "scelle votre clé d'appariement pour un membre qui l'a demandée",
        "seal your linkage key to a member that asked for it",
        Bilingual(
            "le fichier peut passer par l'opérateur, qui ne peut pas l'ouvrir ; les clés publiques, non",
            "the file may pass through the operator, who cannot open it; the public keys may not",
        ),
    )
    take = adder.command(
        "linkage take",
        "garde la clé d'appariement qu'un autre membre a scellée pour vous",
        "keep the linkage key that another member sealed to you",
    )
    _handed(adder, give, "la demande (linkage ask)", "the request (linkage ask)")
    _handed(adder, take, "ce que l'autre membre a scellé (linkage give)", "what the other member sealed (linkage give)")
    adder.valued(
        give.choices,
        "--epoch",
        "E",
        read.text,
        "de cette époque, si vous avez la clé de plusieurs",
        "of this epoch, if you have the key of several",
    )
    for parser in (ask, give):
        adder.valued(
            parser.choices,
            "--output",
            "FILE",
            read.path,
            "un nouveau fichier pour l'écrire",
            "a new file to write it to",
            required=True,
        )


def _handed(adder: Adder, parser: Parser, fr: str, en: str) -> None:
    adder.valued(parser.places, "file", "FILE", adder.read.path, fr, en)
    adder.party(parser.choices, _SIGNS.fr, _SIGNS.en)
    adder.valued(parser.choices, "--member-key", "PUB", adder.read.text, _TOLD.fr, _TOLD.en, required=True)
