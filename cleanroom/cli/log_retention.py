"""`log retention`: details of the log whose time is over are erased, or it is said which would be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from audit_log import Retention
from cleanroom.cli import figures
from cleanroom.cli.log_words import moment
from cleanroom.errors import Bilingual, ExitCode
from cleanroom.room import Room, log_retention

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from cleanroom.cli.console import Console

CLASSES: Final[Mapping[Retention, Bilingual]] = {
    Retention.ACCESS_1Y: Bilingual("journal des accès : 1 an", "access journal: 1 year"),
    Retention.REGISTER_5Y: Bilingual("incidents possibles : 5 ans", "possible incidents: 5 years"),
    Retention.CONTRACT: Bilingual(
        "droits, état, compte : la vie de la salle", "rights, state, account: the room's life"
    ),
    Retention.ANONYMIZATION: Bilingual("anonymisation : tant que l'usage dure", "anonymisation: while it is used"),
}


def retention(console: Console, arguments: argparse.Namespace) -> int:
    """Erase what is due, or say what it would be."""
    with Room.open(arguments.room) as room:
        found = log_retention.retention(room, dry_run=arguments.dry_run)
    rows = [
        (
            CLASSES[each.retention].into(console.language),
            figures.number(each.kept, 0, console.language),
            figures.number(len(each.due), 0, console.language),
            figures.number(each.erased, 0, console.language),
            "—" if each.next_due is None else moment(each.next_due).strftime("%Y-%m-%d"),
            "—" if each.erased_by is None else str(each.erased_by),
        )
        for each in found
    ]
    console.table(
        [
            console.words("classe", "class"),
            console.words("détails", "details"),
            console.words("échus", "due"),
            console.words("effacés avant", "erased before"),
            console.words("prochains", "next due"),
            console.words("entrée", "entry"),
        ],
        rows,
        right={1, 2, 3, 5},
    )
    due = sum(len(each.due) for each in found)
    count = figures.number(due, 0, console.language)
    if not due:
        console.say("Rien n'est échu.", "Nothing is due.")
    elif arguments.dry_run:
        console.say(
            f"Les détails de {count} entrées seraient effacés ; rien ne l'a été (--dry-run).",
            f"The details of {count} entries would be erased; nothing was (--dry-run).",
        )
    else:
        console.lines(
            console.wrapped(
                f"Les détails de {count} entrées sont effacés, leurs clés détruites, et le journal le dit. Les "
                "entrées, l'arbre et les reçus restent valables. Les sauvegardes gardent ce qu'elles ont : ôtez les "
                "anciennes.",
                f"The details of {count} entries are erased, their keys destroyed, and the log says so. Entries, tree "
                "and receipts stay valid. Backups keep what they hold: remove the old ones.",
            )
        )
    return ExitCode.DONE
