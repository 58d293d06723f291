"""The command `erase`, with its help."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleanroom.cli.erasure_words import GROUNDS
from cleanroom.errors import Bilingual
from cleanroom.identifiers import ErasureGround

if TYPE_CHECKING:
    from cleanroom.cli.arguments import Adder


def add_erasures(adder: Adder) -> None:
    """Add the command."""
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
            f"bases légales :\n{grounds}",
            "an identifier typed here stays in the terminal's history; --from leaves nothing there\n"
            f"legal grounds:\n{grounds}",
        ),
    )
    adder.party(
        erase.choices,
        "le membre ; sa clé de signature et ses clés d'appariement sont sur cette machine",
        "the member; its signing key and its linkage keys are on this machine",
    )
    erase.choices.add_argument(
        "--ground",
        required=True,
        choices=[ground.value for ground in ErasureGround],
        metavar="CODE",
        help=words.of("la base légale de la demande, parmi celles ci-dessous", "the request's legal ground, see below"),
    )
    adder.valued(
        erase.choices,
        "--kind",
        "KIND",
        read.text,
        "email, phone, opaque ou opaque:NOM ; si les tables du membre en ont plusieurs",
        "email, phone, opaque or opaque:NAME; if the member's tables have several",
    )
    adder.valued(
        erase.choices,
        "--from",
        "FILE",
        read.path,
        "une demande par ligne, ou une colonne appelée comme celle de la table",
        "one request a line, or a column called as the table's",
        dest="source",
    )
    adder.valued(
        erase.places,
        "identifiers",
        "IDENTIFIER",
        read.text,
        "qui effacer : courriel, téléphone ou numéro, écrit comme vous l'avez",
        "whom to erase: e-mail, phone or number, written as you have it",
        nargs="*",
    )
