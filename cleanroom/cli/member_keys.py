"""`party new`, `linkage ask`, `linkage give`, `linkage take`: keys that a party makes and keeps at home."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleanroom.cli.destinations import new_file
from cleanroom.cli.rooms import read_file
from cleanroom.errors import Bilingual, ExitCode, UsageError
from cleanroom.room import Home, Room, public_key
from cleanroom.room.home import OPERATOR
from cleanroom.room.linkage_handover import (
    ASK,
    GIVE,
    ask_linkage_key,
    decode,
    encode,
    give_linkage_key,
    take_linkage_key,
)
from cleanroom.room.log_memory import read_key_file, require_known_key, room_of

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from cleanroom.cli.console import Console
    from cleanroom.identifiers import PartyId


def make(console: Console, arguments: argparse.Namespace) -> int:
    """Make a party's signing key, or show again the public half of the one there is."""
    home, party, output = Home.default(), arguments.party, arguments.output
    if party == OPERATOR:
        raise UsageError(
            Bilingual(
                "la clé de l'opérateur se crée avec la salle (init)", "the operator's key is made with the room (init)"
            ),
            code="party_exists",
        )
    place = home.signing_key_path(party)
    there = place.exists()
    if output is not None and output.exists() and (not there or _read(output) != _public_line(home, party)):
        raise UsageError(Bilingual(f"{output} existe déjà", f"{output} exists already"), code="file_exists")
    home.make_signing_key(party)
    if there:
        console.say(
            f"{party} a déjà une clé ici, qui reste : {place}", f"{party} has a key here already, kept: {place}"
        )
    else:
        console.say(
            f"Clé de signature de {party} créée ; elle ne quitte pas cette machine : {place}",
            f"Signing key of {party} made; it does not leave this machine: {place}",
        )
    line = _public_line(home, party)
    console.say(
        f"  clé publique, à remettre à l'opérateur : {line.decode().strip()}",
        f"  public key, for the operator: {line.decode().strip()}",
    )
    if output is not None:
        if not output.exists():
            with new_file(output) as write:
                write(line)
        console.say(
            f"  dans un fichier : {output} ; il l'inscrit par party add ROOM {party} --role … --key {output.name}",
            f"  in a file: {output}; the operator registers it by party add ROOM {party} --role … --key {output.name}",
        )
    console.say(
        "  gardez une copie de la clé en lieu sûr : perdue, elle ne se remplace pas ; trouvée, elle signe pour vous",
        "  keep a copy of the key in a safe place: lost, it is not replaced; found, it signs for you",
    )
    return ExitCode.DONE


def ask(console: Console, arguments: argparse.Namespace) -> int:
    """Ask another member for the linkage key."""
    home, log = Home.default(), read_key_file(arguments.vkey)
    require_known_key(home, log)
    with new_file(arguments.output) as write:
        write(encode(ask_linkage_key(home, room_of(log), arguments.party, at=Room.now())))
    console.say(
        f"Signé : {arguments.output}, à remettre à un membre qui a la clé d'appariement (linkage give).",
        f"Signed: {arguments.output}, for a member that has the linkage key (linkage give).",
    )
    _say_told(console, home, arguments.party)
    return ExitCode.DONE


def give(console: Console, arguments: argparse.Namespace) -> int:
    """Seal the linkage key to a member that asked for it."""
    home = Home.default()
    asked = decode(read_file(arguments.file), ASK)
    with new_file(arguments.output) as write:
        given = give_linkage_key(
            home, asked, public_key(arguments.member_key), arguments.party, arguments.epoch, at=Room.now()
        )
        write(encode(given))
    console.say(
        f"Scellée pour {asked.party} seul : {arguments.output} (linkage take) ; quiconque peut le porter.",
        f"Sealed to {asked.party} alone: {arguments.output} (linkage take); anybody may carry it.",
    )
    _say_told(console, home, arguments.party)
    return ExitCode.DONE


def take(console: Console, arguments: argparse.Namespace) -> int:
    """Keep the linkage key that another member sealed."""
    home = Home.default()
    given = decode(read_file(arguments.file), GIVE)
    path, there = take_linkage_key(home, given, public_key(arguments.member_key), arguments.party)
    if there:
        console.say(f"Cette machine l'avait déjà : {path}", f"This machine had it already: {path}")
    else:
        console.say(f"Clé d'appariement de {given.party} gardée : {path}", f"Linkage key of {given.party} kept: {path}")
    console.say("  ne la montrez jamais à l'opérateur", "  never show it to the operator")
    return ExitCode.DONE


def _say_told(console: Console, home: Home, party: PartyId) -> None:
    key = _public_line(home, party).decode().strip()
    console.say(
        f"  dites-lui vous-même votre clé publique, autrement que par ce fichier : {key}",
        f"  tell it your public key yourself, by another way than this file: {key}",
    )


def _public_line(home: Home, party: PartyId) -> bytes:
    return f"{home.signing_key(party).public_key().public_bytes_raw().hex()}\n".encode()


def _read(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""
