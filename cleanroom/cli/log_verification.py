"""`log verify`: a verdict that needs no knowledge of how a log is made, and the first place that is wrong."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from audit_log import Finding, explain
from cleanroom.cli import figures
from cleanroom.cli.progress_line import ProgressLine
from cleanroom.errors import Bilingual, ExitCode
from cleanroom.room import Home, logbook
from cleanroom.room.logbook import Demands, read_policy

if TYPE_CHECKING:
    import argparse

    from cleanroom.cli.console import Console
    from cleanroom.room.logbook import Verification

READING: Final = Bilingual("vérification du journal", "verifying the log")


def verify(console: Console, arguments: argparse.Namespace) -> int:
    """Verify a log."""
    policy = None if arguments.policy is None else read_policy(arguments.policy)
    demands = Demands(policy, tuple(arguments.receipts), arguments.incremental)
    with ProgressLine(console) as line:
        found = logbook.verify(
            arguments.target,
            Home.default(),
            vkey_file=arguments.vkey,
            demands=demands,
            progress=line.of(READING),
        )
    if not found.ok:
        complain(console, found)
        return ExitCode.NOT_VERIFIED
    sentence = explain(found.verdict, console.language.value)
    console.say(sentence, sentence)
    _facts(console, found, demands)
    if found.first_time:
        console.lines(
            console.wrapped(
                "Cette machine voit ce journal pour la première fois, et sa clé vient de l'endroit vérifié : comparez-"
                "la à celle qu'un autre membre connaît.",
                "This machine sees this log for the first time, and its key came from the place verified: compare it "
                "with the one that another member knows.",
            )
        )
    return ExitCode.DONE


def complain(console: Console, found: Verification) -> None:
    """Say what is wrong with a log, and what to do with it."""
    if not found.verdict.ok:
        sentence = explain(found.verdict, console.language.value)
        console.error(Bilingual(sentence, sentence), found.verdict.code.value)
        console.note(
            "  Ne vous fiez pas à ce journal tel qu'il est. Gardez-en une copie, et vos reçus : ils font preuve.",
            "  Do not rely on this log as it is. Keep a copy of it, and your receipts: they are evidence.",
        )
        if found.verdict.code is Finding.ROLLED_BACK:
            console.note(
                "  Un export plus ancien que ce que vous avez vu se lit de même : s'il en est un, faites exporter le "
                "journal de nouveau (log export), et vérifiez celui-là.",
                "  An export older than what you have seen reads the same: if it is one, have the log exported again "
                "(log export), and verify that one.",
            )
    for damaged in found.damaged:
        console.error(damaged, "partition_damaged")
    for difference in found.contradictions:
        console.error(difference, "state_contradicts_log")


def _facts(console: Console, found: Verification, demands: Demands) -> None:
    checkpoint = found.verdict.checkpoint
    if checkpoint is not None:
        size = figures.number(checkpoint.size, 0, console.language)
        console.say(
            f"  journal {checkpoint.origin}, {size} entrées, racine {checkpoint.root.hex()}",
            f"  log {checkpoint.origin}, {size} entries, root {checkpoint.root.hex()}",
        )
    console.say(f"  clé publique : {found.vkey}", f"  public key: {found.vkey}")
    if found.known:
        known = figures.number(found.known, 0, console.language)
        console.say(
            f"  contient, inchangées, les {known} entrées que cette machine avait vues",
            f"  contains, unchanged, the {known} entries that this machine had seen",
        )
    if demands.receipts:
        count = figures.number(len(demands.receipts), 0, console.language)
        console.say(f"  reçus honorés : {count}", f"  receipts honoured: {count}")
    _witnesses(console, found)
    if found.reconciled:
        console.say(
            "  budgets, dépenses, déclarations, dépôts et parties : ce que dit le journal",
            "  budgets, spending, declarations, uploads and parties: what the log says",
        )


def _witnesses(console: Console, found: Verification) -> None:
    if found.witnessed is None:
        console.say(
            "  témoins : non vérifiés (--policy FICHIER dit lesquels doivent avoir contresigné)",
            "  witnesses: not verified (--policy FILE says which must have cosigned)",
        )
        return
    cosigned, checkpoint = found.witnessed.cosigned, found.witnessed.checkpoint
    for each in cosigned:
        at = datetime.fromtimestamp(each.at, UTC).strftime("%Y-%m-%d %H:%M:%S")
        console.say(f"  contresigné par {each.witness.name}, {at} UTC", f"  cosigned by {each.witness.name}, {at} UTC")
    if not cosigned:
        console.say("  témoins : la politique n'en exige aucun", "  witnesses: the policy demands none")
    elif found.verdict.checkpoint is not None and checkpoint.size < found.verdict.checkpoint.size:
        size = figures.number(checkpoint.size, 0, console.language)
        console.say(
            f"  contresignées : les {size} premières entrées ; les suivantes ne le sont pas encore",
            f"  cosigned: the first {size} entries; those after are not yet",
        )
