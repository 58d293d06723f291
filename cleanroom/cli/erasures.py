"""`erase`, `erase --facts`, `erase --take`: a member has people erased from all its tables.

What is said does not depend on who was there (S5).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleanroom.cli import receipts
from cleanroom.cli.erasure_words import GROUNDS
from cleanroom.cli.rooms import read_file, told_key
from cleanroom.errors import Bilingual, ExitCode, UsageError
from cleanroom.identifiers import ErasureGround
from cleanroom.room import Home, Room
from cleanroom.room.erasure import Erasure, erase
from cleanroom.room.erasure_certificate import keep_certificate
from cleanroom.room.erasure_order import order_at_home, order_erasure, read_order, write_order
from cleanroom.room.sending import Outbox

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from cleanroom.cli.console import Console


def erase_people(console: Console, arguments: argparse.Namespace) -> int:
    """Erase people, named here or in a file."""
    given = _given(arguments)
    with Room.open(arguments.room) as room:
        order = order_erasure(room, arguments.party, ErasureGround(arguments.ground), given, kind=arguments.kind)
        _done(console, room, erase(room, order))
        waiting = [each for each in Outbox.of(room.home, room.room_id).waiting() if each.table.owner == arguments.party]
    for each in waiting:
        console.note(
            f"un paquet fait avant attend encore, et sera refusé : {each.path} ; effacez-le et refaites ce dépôt",
            f"a package made before still waits, and will be refused: {each.path}; delete it and make that upload "
            "again",
        )
    return ExitCode.DONE


def order(console: Console, arguments: argparse.Namespace) -> int:
    """Sign an order at the member's, without the room."""
    given, home = _given(arguments), Home.default()
    made = order_at_home(
        home,
        arguments.facts,
        arguments.party,
        ErasureGround(arguments.ground),
        given,
        kind=arguments.kind,
        operator_key=told_key(arguments),
    )
    write_order(arguments.order, made)
    console.say(
        f"Signé : {arguments.order}, à remettre à l'opérateur (erase --take). Rien n'est encore effacé.",
        f"Signed: {arguments.order}, for the operator (erase --take). Nothing is erased yet.",
    )
    return ExitCode.DONE


def take(console: Console, arguments: argparse.Namespace) -> int:
    """Do what a member signed at home; receipt and certificate go back to it."""
    signed = read_order(read_file(arguments.file))
    with Room.open(arguments.room) as room:
        _done(console, room, erase(room, signed))
    return ExitCode.DONE


def _given(arguments: argparse.Namespace) -> list[str] | Path:
    if bool(arguments.identifiers) == (arguments.source is not None):
        raise UsageError(
            Bilingual(
                "nommez les personnes par leurs identifiants, ou par un fichier (--from), l'un ou l'autre",
                "name the people by their identifiers or by a file (--from), one or the other",
            ),
            code="usage",
        )
    given: list[str] | Path = arguments.identifiers or arguments.source
    return given


def _done(console: Console, room: Room, done: Erasure) -> None:
    receipt = receipts.keep(console, room.home, room.room_id, done.receipt)
    kept = _kept(console, room, done)
    _say(console, done.request.party, done)
    if receipt is not None:
        console.say(f"  reçu : {receipt}", f"  receipt: {receipt}")
    if kept is not None:
        console.say(f"  certificat : {kept}", f"  certificate: {kept}")


def _say(console: Console, party: str, done: Erasure) -> None:
    ground = GROUNDS[done.ground]
    console.say(f"{party} : effacement fait.", f"{party}: erasure done.")
    console.say(f"  base légale : {done.ground}, {ground.fr}", f"  legal ground: {done.ground}, {ground.en}")
    for each in done.tables:
        console.say(
            f"  {each.table} : réécrite, version {each.before} → {each.number}",
            f"  {each.table}: written anew, version {each.before} → {each.number}",
        )
    console.say(
        "  réponses conservées qui lisaient ces tables : détruites ; les redemander coûte de nouveau",
        "  stored answers that read these tables: destroyed; to ask again costs again",
    )
    if done.finished:
        console.say(
            "  anciennes clés détruites, anciens fichiers effacés ; ce qui fut dépensé le reste",
            "  old keys destroyed, old files removed; what was spent stays spent",
        )
    else:
        console.say(
            "  anciennes clés et anciens fichiers : à la prochaine ouverture de la salle",
            "  old keys and files: at the room's next opening",
        )
    console.say(
        "  cela se lit pareil, que ces personnes aient été là ou non",
        "  this reads the same whether these people were there or not",
    )
    console.say(f"  entrée du journal : {done.receipt.index}", f"  log entry: {done.receipt.index}")


def _kept(console: Console, room: Room, done: Erasure) -> Path | None:
    """Keep the certificate; what it certifies is done, so a disk that fails here is a warning only."""
    try:
        return keep_certificate(room, done)
    except OSError as error:
        console.note(
            f"le certificat n'a pas pu être gardé ({error.strerror}) ; le journal a l'entrée {done.receipt.index}",
            f"the certificate could not be kept ({error.strerror}); the log has entry {done.receipt.index}",
        )
        return None
