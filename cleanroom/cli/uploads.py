"""`upload`, `upload --facts`, `upload --resume`, `intake`: a member's rows, from files to the room."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleanroom.cli import figures, receipts
from cleanroom.cli.progress_line import ProgressLine
from cleanroom.cli.rooms import read_file, say_declared, told_key
from cleanroom.cli.upload_reading import choices_of
from cleanroom.cli.upload_report import say_dry_run, say_prepared
from cleanroom.client.linkage import linkage_path
from cleanroom.errors import Bilingual, ExitCode, UsageError
from cleanroom.partition.intent import Append, Correct, Intent, Replace
from cleanroom.room import Home, Room, hand_in, sending
from cleanroom.room.declaring import declare, is_declaration, read_signed_declaration
from cleanroom.room.member_facts import facts_here, read_facts
from cleanroom.room.witnesses import receipt_of

if TYPE_CHECKING:
    import argparse

    from cleanroom.cli.console import Console
    from cleanroom.client import PreparedUpload
    from cleanroom.room import UploadReceipt
    from cleanroom.room.member_facts import MemberFacts


def upload(console: Console, arguments: argparse.Namespace) -> int:
    """Make an upload and hand it in, keep its package, or only show what would travel."""
    home, table, intent = Home.default(), arguments.table, _intent(arguments)
    facts = facts_here(arguments.room, table)
    if arguments.dry_run:
        return _rehearsed(console, home, facts, arguments)
    there = _has_linkage_key(home, facts)
    with ProgressLine(console) as progress:
        prepared, taken = sending.upload_to(
            arguments.room,
            home,
            table,
            arguments.files,
            package=arguments.package,
            intent=intent,
            choices=choices_of(arguments, progress),
        )
    if prepared is not None:
        say_prepared(console, prepared)
        _say_linkage_key(console, home, facts, there=there)
        if taken is None:
            _say_package(console, prepared)
    else:
        console.say(
            f"{table} : le paquet de cette commande attendait encore ; c'est lui qui est remis",
            f"{table}: this command's package was still waiting; it is the one handed in",
        )
    if taken is not None:
        _say_taken(console, home, taken)
    return ExitCode.DONE


def upload_at_home(console: Console, arguments: argparse.Namespace) -> int:
    """Make a package on a member's machine, without the room."""
    home, intent = Home.default(), _intent(arguments)
    if not arguments.dry_run and arguments.package is None:
        raise UsageError(
            Bilingual("avec --facts, il faut --package ou --dry-run", "with --facts, --package or --dry-run is needed"),
            code="usage",
        )
    facts = read_facts(arguments.facts, home, operator_key=told_key(arguments))
    if facts.table != arguments.table:
        raise UsageError(
            Bilingual(f"ce fichier parle de {facts.table}", f"that file speaks of {facts.table}"), code="unknown_table"
        )
    if arguments.dry_run:
        return _rehearsed(console, home, facts, arguments)
    there = _has_linkage_key(home, facts)
    with ProgressLine(console) as progress:
        prepared = sending.pack(
            home, facts, arguments.files, arguments.package, intent, choices_of(arguments, progress)
        )
    say_prepared(console, prepared)
    _say_linkage_key(console, home, facts, there=there)
    _say_package(console, prepared)
    return ExitCode.DONE


def resume(console: Console, arguments: argparse.Namespace) -> int:
    """Hand in what waits."""
    home = Home.default()
    with Room.open(arguments.room, home=home) as room:
        taken = sending.resume(room)
        if not taken:
            console.say("Rien n'attend.", "Nothing waits.")
        for each in taken:
            _say_rows(console, each)
            _say_taken(console, home, each)
    return ExitCode.DONE


def intake(console: Console, arguments: argparse.Namespace) -> int:
    """Take in a package of rows, or a declaration that was signed at home."""
    if is_declaration(arguments.file):
        return _declared(console, arguments)
    with Room.open(arguments.room) as room:
        taken = hand_in.intake(room, arguments.file)
        _say_rows(console, taken)
        _say_taken(console, room.home, taken)
    return ExitCode.DONE


def _declared(console: Console, arguments: argparse.Namespace) -> int:
    signed = read_signed_declaration(read_file(arguments.file))
    with Room.open(arguments.room) as room:
        taken = declare(room, signed)
        if taken.log_index is None:
            console.say(
                f"{taken.table} : cette déclaration était déjà prise, n° {taken.version} de la table ; rien n'a changé",
                f"{taken.table}: this declaration was taken before, no. {taken.version} of the table; no change",
            )
            return ExitCode.DONE
        say_declared(console, taken.table)
        path = receipts.keep(console, room.home, room.room_id, receipt_of(room, taken.log_index))
    console.say(f"  entrée du journal : {taken.log_index}", f"  log entry: {taken.log_index}")
    if path is not None:
        console.say(f"  reçu, à rendre au membre : {path}", f"  receipt, for the member: {path}")
    console.say(
        f"  il fera ses dépôts avec : cleanroom facts ROOM {taken.table}",
        f"  for its uploads it needs: cleanroom facts ROOM {taken.table}",
    )
    return ExitCode.DONE


def _say_linkage_key(console: Console, home: Home, facts: MemberFacts, *, there: bool) -> None:
    """Say that this upload made the linkage key: the others need the same one."""
    path = linkage_path(home.path, facts.room.room, facts.room.epoch)
    if there or not path.exists():
        return
    console.say(
        f"  clé d'appariement de la salle, créée à l'instant : {path} ; remettez-la aux autres membres (linkage give), "
        "jamais à l'opérateur",
        f"  linkage key of the room, made just now: {path}; hand it to the other members (linkage give), never to the "
        "operator",
    )


def _has_linkage_key(home: Home, facts: MemberFacts) -> bool:
    return linkage_path(home.path, facts.room.room, facts.room.epoch).exists()


def _intent(arguments: argparse.Namespace) -> Intent:
    if arguments.replace:
        return Replace()
    return Append() if arguments.correct is None else Correct(arguments.correct)


def _rehearsed(console: Console, home: Home, facts: MemberFacts, arguments: argparse.Namespace) -> int:
    with ProgressLine(console) as progress:
        rehearsed = sending.rehearse(home, facts, arguments.files, _intent(arguments), choices_of(arguments, progress))
    say_dry_run(console, rehearsed.run, trial_key=rehearsed.trial_key)
    return ExitCode.DONE


def _say_package(console: Console, prepared: PreparedUpload) -> None:
    size = figures.number(prepared.size_bytes, 0, console.language)
    console.say(
        f"  paquet : {prepared.package} ({size} octets) ; rien n'est encore déposé : cleanroom intake",
        f"  package: {prepared.package} ({size} bytes); nothing is handed in yet: cleanroom intake",
    )


def _say_rows(console: Console, taken: UploadReceipt) -> None:
    rows = figures.number(taken.rows, 0, console.language)
    console.say(f"{taken.table} : {rows} lignes", f"{taken.table}: {rows} rows")


def _say_taken(console: Console, home: Home, taken: UploadReceipt) -> None:
    path = receipts.keep(console, home, taken.room, taken.receipt)
    if taken.repeated:
        console.say("  ce paquet était déjà déposé ; rien n'a changé", "  this package was handed in before; no change")
    if taken.retired_by is not None:
        console.say(
            f"  ce dépôt a été retiré depuis, en version {taken.retired_by} ; il ne revient pas",
            f"  this upload was retired since, in version {taken.retired_by}; it does not come back",
        )
    console.say(f"  dépôt : {taken.upload}", f"  upload: {taken.upload}")
    console.say(f"  version de la table : {taken.number}", f"  version of the table: {taken.number}")
    if taken.retires:
        console.say(
            f"  dépôts remplacés : {taken.retires} ; leurs clés sont détruites",
            f"  uploads replaced: {taken.retires}; their keys are destroyed",
        )
    console.say(f"  entrée du journal : {taken.receipt.index}", f"  log entry: {taken.receipt.index}")
    if path is not None:
        console.say(f"  reçu : {path}", f"  receipt: {path}")
