"""The commands `erase`, `erase --facts`, `erase --take`, with their help."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleanroom.cli.erasure_words import GROUNDS
from cleanroom.cli.upload_arguments import operator_key
from cleanroom.errors import Bilingual
from cleanroom.identifiers import ErasureGround

if TYPE_CHECKING:
    from cleanroom.cli.arguments import Adder
    from cleanroom.cli.parser import Parser


def add_erasures(adder: Adder) -> None:
    """Add the command, and its two halves for a member whose machine has neither the room nor its keys."""
    words, read = adder.words, adder.read
    listed = [(ground.value, words.say(GROUNDS[ground])) for ground in ErasureGround]
    wide = max(len(code) for code, _ in listed)
    grounds = "\n".join(f"  {code:{wide}}  {said}" for code, said in listed)
    erase = adder.in_room(
        "erase",
        "efface des personnes de toutes les tables d'un membre ; se lit pareil, qu'elles y aient été ou non",
        "erase people from all tables of a member; reads the same whether they were there or not",
        Bilingual(
            "un identifiant tapé ici reste dans l'historique du terminal ; --from n'y laisse rien\n"
            "autrement : cleanroom erase --facts FILE --order FILE …, sans la salle\n"
            "            cleanroom erase --take ROOM FILE, fait ce qu'un membre a signé chez lui\n"
            f"bases légales :\n{grounds}",
            "an identifier typed here stays in the terminal's history; --from leaves nothing there\n"
            "otherwise: cleanroom erase --facts FILE --order FILE …, without the room\n"
            "           cleanroom erase --take ROOM FILE, does what a member signed at home\n"
            f"legal grounds:\n{grounds}",
        ),
    )
    _whom(adder, erase)
    at_home = adder.command(
        "erase --facts",
        "signe une demande d'effacement chez un membre, sans la salle ni aucune de ses clés",
        "sign an order to erase people at a member's, without the room or any of its keys",
        Bilingual(f"bases légales :\n{grounds}", f"legal grounds:\n{grounds}"),
    )
    adder.valued(
        at_home.choices,
        "--facts",
        "FILE",
        read.path,
        "le fichier de cleanroom facts d'une table du membre ; à répéter pour chacune de ses tables",
        "the file of cleanroom facts of a table of the member; again for each of its tables",
        action="append",
        required=True,
    )
    operator_key(adder, at_home)
    adder.valued(
        at_home.choices,
        "--order",
        "FILE",
        read.path,
        "écrit la demande signée ici, pour l'opérateur",
        "write the signed order here, for the operator",
        required=True,
    )
    _whom(adder, at_home)
    taking = adder.in_room(
        "erase --take",
        "fait ce qu'un membre a signé chez lui (erase --facts) ; le reçu et le certificat lui reviennent",
        "do what a member signed at home (erase --facts); receipt and certificate are for it",
    )
    adder.valued(taking.places, "file", "FILE", read.path, "la demande signée", "the signed order")


def _whom(adder: Adder, parser: Parser) -> None:
    words, read = adder.words, adder.read
    adder.party(
        parser.choices,
        "le membre ; sa clé de signature et ses clés d'appariement sont sur cette machine",
        "the member; its signing key and its linkage keys are on this machine",
    )
    parser.choices.add_argument(
        "--ground",
        required=True,
        choices=[ground.value for ground in ErasureGround],
        metavar="CODE",
        help=words.of("la base légale de la demande, parmi celles ci-dessous", "the request's legal ground, see below"),
    )
    adder.valued(
        parser.choices,
        "--kind",
        "KIND",
        read.text,
        "email, phone, opaque ou opaque:NOM ; si les tables du membre en ont plusieurs",
        "email, phone, opaque or opaque:NAME; if the member's tables have several",
    )
    adder.valued(
        parser.choices,
        "--from",
        "FILE",
        read.path,
        "une demande par ligne, ou une colonne appelée comme celle de la table",
        "one request a line, or a column called as the table's",
        dest="source",
    )
    adder.valued(
        parser.places,
        "identifiers",
        "IDENTIFIER",
        read.text,
        "qui effacer : courriel, téléphone ou numéro, écrit comme vous l'avez",
        "whom to erase: e-mail, phone or number, written as you have it",
        nargs="*",
    )
