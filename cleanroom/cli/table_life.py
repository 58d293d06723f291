"""`facts`, `uploads`, `withdraw`: what an owner is told of its tables, and their end."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from cleanroom.cli import figures, receipts
from cleanroom.cli.formats import Table, as_csv, as_json
from cleanroom.errors import Bilingual, ExitCode
from cleanroom.room import Room
from cleanroom.room.member_facts import sign_facts
from cleanroom.room.own_uploads import OwnUpload, own_uploads, sign_reading
from cleanroom.room.registry import Stage
from cleanroom.room.sending import Outbox
from cleanroom.room.withdrawal import sign_withdrawal, withdraw

if TYPE_CHECKING:
    import argparse

    from cleanroom.cli.console import Console
    from cleanroom.room.registry import Retirement
    from cleanroom.room.sending import Waiting

_COLUMNS: Final = (
    *("table", "version", "upload", "act", "rows", "time", "digest", "log_index", "state", "retired_by"),
    *("receipt", "proven"),
)
_ACTS: Final = {
    "append": Bilingual("ajout", "append"),
    "replace": Bilingual("remplacement", "replace"),
    "correct": Bilingual("correction", "correct"),
    "erase": Bilingual("effacement", "erasure"),
}


def facts(console: Console, arguments: argparse.Namespace) -> int:
    """Write the signed facts of a table to standard output."""
    with Room.open(arguments.room) as room:
        console.data(sign_facts(room, arguments.table))
        key = room.home.operator_public_key()
    console.note(
        f"clé publique de l'opérateur, à dire au membre autrement que par ce fichier : {key}",
        f"the operator's public key, to be told to the member by another way than this file: {key}",
    )
    return ExitCode.DONE


def uploads(console: Console, arguments: argparse.Namespace) -> int:
    """Show an owner its uploads."""
    with Room.open(arguments.room) as room:
        found = own_uploads(room, sign_reading(room, arguments.party, arguments.table))
        waiting = [
            each
            for each in Outbox.of(room.home, room.room_id).waiting()
            if each.table.owner == arguments.party and arguments.table in {None, each.table}
        ]
    if arguments.format == "csv":
        console.data(as_csv(Table(_COLUMNS, tuple(_cells(each) for each in found))))
    elif arguments.format == "json":
        lines = [dict(zip(_COLUMNS, _cells(each), strict=True)) for each in found]
        left = [
            {
                "table": str(each.table),
                "upload": each.upload,
                "act": each.act,
                "rows": each.rows,
                "package": str(each.path),
            }
            for each in waiting
        ]
        console.lines([as_json({"uploads": lines, "waiting": left})])
    else:
        _print(console, found, waiting)
    if all(each.proven for each in found):
        return ExitCode.DONE
    console.error(
        Bilingual("des dépôts ne sont pas ceux du journal signé", "some uploads are not the signed log's"),
        "state_contradicts_log",
    )
    return ExitCode.NOT_VERIFIED


def withdraw_table(console: Console, arguments: argparse.Namespace) -> int:
    """Take a table back."""
    with Room.open(arguments.room) as room:
        done = withdraw(room, sign_withdrawal(room, arguments.party, arguments.table))
        path = receipts.keep(console, room.home, room.room_id, done.receipt)
    console.say(f"{done.table} est retirée de la salle.", f"{done.table} is taken back from the room.")
    console.say(f"  version de la table : {done.number}", f"  version of the table: {done.number}")
    console.say(f"  dépôts retirés : {done.retired}", f"  uploads retired: {done.retired}")
    if done.finished:
        console.say(
            "  clés détruites, fichiers effacés ; ce qui fut dépensé le reste",
            "  keys destroyed, files removed; what was spent stays spent",
        )
    else:
        console.say(
            "  clés et fichiers : à la prochaine ouverture de la salle",
            "  keys and files: at the room's next opening",
        )
    console.say(f"  entrée du journal : {done.receipt.index}", f"  log entry: {done.receipt.index}")
    if path is not None:
        console.say(f"  reçu : {path}", f"  receipt: {path}")
    return ExitCode.DONE


def _cells(each: OwnUpload) -> tuple[str | int | None, ...]:
    state = "current" if each.end is None else each.end.stage.value
    return (
        *(str(each.table), each.number, each.upload, each.act, each.rows, _moment(each.at), each.digest),
        *(each.log_index, state, None if each.end is None else each.end.number),
        *(None if each.receipt is None else str(each.receipt), "yes" if each.proven else "no"),
    )


def _print(console: Console, found: tuple[OwnUpload, ...], waiting: list[Waiting]) -> None:
    if not found and not waiting:
        console.say("Aucun dépôt.", "No upload.")
        return
    headers = [
        "table",
        "version",
        console.words("moment (UTC)", "time (UTC)"),
        console.words("acte", "act"),
        console.words("lignes", "rows"),
        console.words("état", "state"),
        console.words("entrée", "entry"),
        console.words("dépôt", "upload"),
    ]
    rows = [
        (
            *(str(each.table), str(each.number), _moment(each.at), _ACTS[each.act].into(console.language)),
            *(figures.number(each.rows, 0, console.language), _state(each.end).into(console.language)),
            *(str(each.log_index), each.upload),
        )
        for each in found
    ]
    console.table(headers, rows, right={1, 4, 6})
    for each in found:
        kept = str(each.receipt) if each.receipt is not None else None
        console.say(
            f"  {each.upload} : {each.digest}\n    reçu : {kept or 'pas sur cette machine'}"
            + ("" if each.proven else " ; NE CORRESPOND PAS AU JOURNAL"),
            f"  {each.upload}: {each.digest}\n    receipt: {kept or 'not on this machine'}"
            + ("" if each.proven else "; DOES NOT AGREE WITH THE LOG"),
        )
    for left in waiting:
        console.say(
            f"  attend (cleanroom upload ROOM --resume) : {left.table}, {left.rows} lignes, {left.path}",
            f"  waits (cleanroom upload ROOM --resume): {left.table}, {left.rows} rows, {left.path}",
        )


def _state(end: Retirement | None) -> Bilingual:
    if end is None:
        return Bilingual("en vigueur", "current")
    match end.stage:
        case Stage.RETIRED:
            return Bilingual(
                f"retiré en v{end.number}, clé à détruire", f"retired in v{end.number}, key to be destroyed"
            )
        case Stage.DESTROYED | Stage.GONE:
            return Bilingual(f"retiré en v{end.number}, clé détruite", f"retired in v{end.number}, key destroyed")


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
