"""`catalog`: what may be asked, of which tables, under which rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cleanroom.cli import figures
from cleanroom.errors import Bilingual, ExitCode
from cleanroom.identifiers import IdentifierKind
from cleanroom.room import Room

if TYPE_CHECKING:
    import argparse

    from cleanroom.cli.console import Console
    from cleanroom.policies import AnalysisRule
    from cleanroom.room.views import CatalogReference, CatalogTable

WINDOWS: Final = {
    "never": Bilingual("pour toujours", "for life"),
    "month": Bilingual("par mois", "a month"),
    "year": Bilingual("par an", "a year"),
}


def catalog(console: Console, arguments: argparse.Namespace) -> int:
    """Show what a party may ask."""
    with Room.open(arguments.room) as room:
        found = room.session(arguments.party).catalog()
    purposes = ", ".join(found.purposes)
    if not found.tables:
        console.say(f"Aucune table n'est ouverte à {found.party}.", f"No table is open to {found.party}.")
        return ExitCode.DONE
    console.say(f"Buts ouverts à {found.party} : {purposes}", f"Purposes open to {found.party}: {purposes}")
    for table in found.tables:
        _table(console, table)
    for reference in found.references:
        reference_lines(console, reference)
    return ExitCode.DONE


def _known_by(table: CatalogTable) -> Bilingual:
    """Say what persons are known by: only tables of the same meet (S10)."""
    kind, _, namespace = table.known_by.partition(":")
    match IdentifierKind(kind):
        case IdentifierKind.EMAIL:
            return Bilingual("par courriel", "by e-mail")
        case IdentifierKind.PHONE:
            return Bilingual("par téléphone", "by phone")
        case IdentifierKind.OPAQUE:
            own = Bilingual(f"par numéro de {namespace}", f"by number of {namespace}")
            return own if namespace else Bilingual("par numéro commun à la salle", "by the room's common number")


def _table(console: Console, table: CatalogTable) -> None:
    left = figures.epsilon(table.left, console.language)
    granted = figures.epsilon(table.granted, console.language)
    known = _known_by(table)
    console.say(
        f"\n{table.table} — une personne : {table.unit} ({known.fr}) ; budget ε = {granted}, il en reste {left}",
        f"\n{table.table} — a person: {table.unit} ({known.en}); budget ε = {granted}, {left} left",
    )
    console.say(
        f"  d'une personne comptent {table.max_rows_contributed} lignes par case et {table.max_groups_contributed} "
        "cases, sauf avis contraire",
        f"  of a person {table.max_rows_contributed} rows a cell and {table.max_groups_contributed} cells count, "
        "unless asked otherwise",
    )
    for column in table.columns:
        console.lines(
            console.wrapped(
                f"    {column.name} : {column.description.fr}",
                f"    {column.name}: {column.description.en}",
                indent=" " * 8,
            )
        )
    for rule in table.rules:
        _rule(console, rule)


def _rule(console: Console, rule: AnalysisRule) -> None:
    def listed(names: object) -> str:
        return ", ".join(sorted(str(each) for each in names)) or "—"  # type: ignore[attr-defined]

    fr = [
        f"buts {listed(rule.purposes)}",
        f"analyses {listed(rule.analyses)}",
        f"fonctions {listed(rule.functions)}",
        f"grouper par {listed(rule.dimensions)}",
        f"filtrer par {'toute colonne' if rule.allowed_literals is None else listed(rule.allowed_literals)}",
        f"seuil {rule.threshold} personnes",
        f"ε {figures.epsilon(str(rule.default_epsilon), console.language)} par défaut",
    ]
    en = [
        f"purposes {listed(rule.purposes)}",
        f"analyses {listed(rule.analyses)}",
        f"functions {listed(rule.functions)}",
        f"group by {listed(rule.dimensions)}",
        f"filter by {'any column' if rule.allowed_literals is None else listed(rule.allowed_literals)}",
        f"threshold {rule.threshold} persons",
        f"ε {figures.epsilon(str(rule.default_epsilon), console.language)} by default",
    ]
    if rule.min_parties:
        fr.append(f"au moins {rule.min_parties} autres organisations")
        en.append(f"at least {rule.min_parties} other organisations")
    if rule.max_epsilon_per_question is not None:
        most = figures.epsilon(str(rule.max_epsilon_per_question), console.language)
        fr.append(f"ε {most} au plus par question")
        en.append(f"ε {most} at most a question")
    if rule.per_party is not None:
        most = figures.epsilon(str(rule.per_party.epsilon), console.language)
        window = WINDOWS[rule.per_party.window.value]
        fr.append(f"ε {most} au plus par partie, {window.fr}")
        en.append(f"ε {most} at most a party, {window.en}")
    console.lines(
        console.wrapped(
            f"  règle « {rule.name} » : {' ; '.join(fr)}", f"  rule {rule.name!r}: {'; '.join(en)}", indent=" " * 6
        )
    )


def reference_lines(console: Console, reference: CatalogReference) -> None:
    """Show a public table: what it holds, and on whose word."""
    rows = figures.number(reference.rows, 0, console.language)
    console.say(
        f"\n{reference.name} — table publique, {rows} lignes, que tous peuvent lire : cleanroom reference show",
        f"\n{reference.name} — a public table, {rows} rows, which everybody can read: cleanroom reference show",
    )
    console.lines(console.wrapped(f"  source : {reference.source}", f"  source: {reference.source}", indent=" " * 8))
    console.say(f"  {reference.digest}", f"  {reference.digest}")
    for column in reference.columns:
        console.lines(
            console.wrapped(
                f"    {column.name} : {column.description.fr}",
                f"    {column.name}: {column.description.en}",
                indent=" " * 8,
            )
        )
