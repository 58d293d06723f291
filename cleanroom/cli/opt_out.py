"""`opt-out`: a member's list of people who said no, kept as tokens on its machine and applied to every upload."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleanroom.cli import figures
from cleanroom.client import OptOutMemory
from cleanroom.errors import Bilingual, ExitCode, UsageError
from cleanroom.room import Home
from cleanroom.room.member_facts import facts_here, tables_here
from cleanroom.room.sending import Outbox, linkage_key_of
from cleanroom.room.upload_choices import opt_out_of

if TYPE_CHECKING:
    import argparse

    from cleanroom.cli.console import Console
    from cleanroom.identifiers import TableName
    from cleanroom.room.member_facts import MemberFacts


def opt_out(console: Console, arguments: argparse.Namespace) -> int:
    """Add people to the list, remove some, or count it."""
    home = Home.default()
    facts = _facts(arguments)
    key = linkage_key_of(home, facts)
    memory = OptOutMemory(home.path, arguments.party, key)
    if arguments.add is not None:
        others = memory.of_other_epochs()
        listed = memory.add(opt_out_of(arguments.add, facts, key))
        for epoch, count in others:
            console.note(
                f"la liste de l'époque {epoch} a {count} jetons, que rien ne traduit : celle-ci doit ravoir tous les "
                "identifiants",
                f"the list of epoch {epoch} has {count} tokens, which nothing translates: this one must be given all "
                "identifiers again",
            )
        for each in Outbox.of(home, facts.room.room).waiting():
            if each.table.owner == arguments.party:
                console.note(
                    f"un paquet fait avant attend encore : {each.path} ; effacez-le et refaites ce dépôt",
                    f"a package made before still waits: {each.path}; delete it and make that upload again",
                )
    elif arguments.remove is not None:
        listed = memory.remove(opt_out_of(arguments.remove, facts, key))
    else:
        listed = memory.read()
    total = figures.number(len(listed), 0, console.language)
    console.say(f"{arguments.party} : {total} sur la liste de refus", f"{arguments.party}: {total} on the opt-out list")
    if arguments.add is not None:
        console.say(
            "  les dépôts à venir laissent leurs lignes chez vous ; ceux d'avant ne changent pas (upload --replace)",
            "  uploads to come leave their rows at home; earlier ones do not change (upload --replace)",
        )
    return ExitCode.DONE


def _facts(arguments: argparse.Namespace) -> MemberFacts:
    """Return the facts of a table of the party, which say what kind of identifiers the list has."""
    tables: tuple[TableName, ...] = tuple(each for each in tables_here(arguments.room) if each.owner == arguments.party)
    if arguments.table is not None:
        if arguments.table.owner != arguments.party:
            raise UsageError(
                Bilingual(
                    f"{arguments.table} n'est pas à {arguments.party}", f"{arguments.table} is not {arguments.party}'s"
                ),
                code="unknown_table",
            )
        return facts_here(arguments.room, arguments.table)
    if not tables:
        raise UsageError(
            Bilingual(
                f"{arguments.party} n'a déclaré aucune table ici : rien ne dit de quelle sorte sont ses identifiants",
                f"{arguments.party} has declared no table here: nothing says of which kind its identifiers are",
            ),
            code="unknown_table",
        )
    found = [facts_here(arguments.room, table) for table in tables]
    if len({each.catalog.unit.token_kind for each in found}) > 1:
        named = ", ".join(str(table) for table in tables)
        raise UsageError(
            Bilingual(
                f"les tables de {arguments.party} ont plusieurs sortes d'identifiants ; dites laquelle : "
                f"--table, parmi {named}",
                f"the tables of {arguments.party} have several kinds of identifiers; say which: "
                f"--table, one of {named}",
            ),
            code="several_kinds",
        )
    return found[0]
