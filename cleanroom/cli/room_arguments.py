"""The arguments of `init`, `party add`, `declare`, with their help in French and English."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleanroom.cli.log_reader_arguments import reading_key
from cleanroom.errors import Bilingual
from cleanroom.identifiers import Role

if TYPE_CHECKING:
    from cleanroom.cli.arguments import Adder


def add_rooms(adder: Adder) -> None:
    """Add the commands."""
    words, read = adder.words, adder.read
    init = adder.in_room("init", "crée une salle : clés, journal, opérateur", "make a room: keys, log, operator")
    adder.valued(
        init.choices,
        "--settings",
        "FILE",
        read.path,
        "room.yaml : les buts et le budget de la salle",
        "room.yaml: the room's purposes and budget",
    )
    adder.valued(
        init.choices,
        "--shares",
        "K/N",
        read.shares,
        "écrit la clé racine en N parts, dont K ouvrent la salle, au lieu d'un fichier",
        "write the root key as N shares, of which K open the room, instead of one file",
    )
    party = adder.in_room("party add", "inscrit une partie", "register a party")
    adder.valued(party.places, "party", "ID", read.new_party, "son nom", "its name")
    party.choices.add_argument(
        "--role",
        required=True,
        choices=[role.value for role in Role],
        help=words.of("ce qu'elle est dans la salle", "what it is in the room"),
    )
    adder.valued(
        party.choices,
        "--key",
        "PUB",
        read.text,
        "sa clé publique Ed25519 : 64 chiffres hexadécimaux, ou un fichier ; sinon, des clés d'essai sont créées ici",
        "its Ed25519 public key: 64 hexadecimal digits or a file; without it, its keys for trials are made here",
    )
    reading_key(adder, party)
    declare = adder.in_room(
        "declare",
        "déclare une table : ses colonnes et qui peut en demander quoi, signé par son propriétaire",
        "declare a table: its columns and who may ask what of it, signed by its owner",
        Bilingual(
            "pour commencer : cleanroom declare --preset ticketing --table MEMBRE.TABLE --output FICHIER.yaml\n"
            "d'après vos données, pour vos yeux seulement : cleanroom declare ROOM --draft FICHIER\n"
            "chez vous, sans la salle : cleanroom declare FICHIER.yaml --vkey log.vkey --package FICHIER",
            "to begin: cleanroom declare --preset ticketing --table MEMBER.TABLE --output FILE.yaml\n"
            "from your data, for your eyes only: cleanroom declare ROOM --draft FILE\n"
            "at home, without the room: cleanroom declare FILE.yaml --vkey log.vkey --package FILE",
        ),
    )
    at_home = adder.command(
        "declare --package",
        "signe le fichier d'une table chez son propriétaire, sans la salle ; l'opérateur le prend avec intake",
        "sign a table's file at its owner's, without the room; the operator takes it with intake",
    )
    for parser in (declare, at_home):
        adder.valued(parser.places, "file", "FILE.yaml", read.path, "le fichier de la table", "the table's file")
        adder.flag(
            parser.choices,
            "--reviewed",
            "ce brouillon est relu : ses lignes « #~ », qui parlent de vos données, sont ôtées avant de signer",
            "this draft is reviewed: its lines '#~', which speak of your data, are struck out before signing",
        )
    adder.valued(
        at_home.choices,
        "--vkey",
        "FILE",
        read.path,
        "la clé publique du journal de la salle",
        "the public key of the room's log",
        required=True,
    )
    adder.valued(
        at_home.choices,
        "--package",
        "FILE",
        read.path,
        "écrit ici ce qui est signé, pour l'opérateur",
        "write here what is signed, for the operator",
        required=True,
    )
