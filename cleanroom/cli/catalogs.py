"""`catalog`, `budget`: what may be asked, and what is left to ask with."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from cleanroom.cli import figures
from cleanroom.cli.answers import account_name
from cleanroom.errors import Bilingual, ExitCode
from cleanroom.identifiers import IdentifierKind
from cleanroom.room import Room, views

if TYPE_CHECKING:
    import argparse

    from cleanroom.cli.console import Console
    from cleanroom.policies import AnalysisRule
    from cleanroom.room.views import AccountBudget, CatalogReference, CatalogTable

_WINDOWS: Final = {
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


def budget(console: Console, arguments: argparse.Namespace) -> int:
    """Show every account."""
    with Room.open(arguments.room) as room:
        accounts = views.budgets(room)
    headers = [
        console.words("compte", "account"),
        console.words("accordé (ε)", "granted (ε)"),
        "δ",
        console.words("durée", "window"),
        console.words("dépensé (ε)", "spent (ε)"),
        console.words("il reste", "left"),
    ]
    rows = [
        (
            account_name(console, each.account),
            figures.epsilon(each.epsilon_granted, console.language),
            each.delta,
            _WINDOWS[each.window].into(console.language),
            figures.epsilon(each.epsilon_spent, console.language),
            figures.share(each.rho_left, each.rho_max, console.language),
        )
        for each in accounts
    ]
    console.table(headers, rows, right={1, 2, 4, 5})
    console.say()
    for each in accounts:
        console.lines(_sentence(console, each))
    console.say()
    console.lines(
        console.wrapped(
            "ε est lu de la perte totale (rho) au δ du compte : les ε de plusieurs questions ne s'additionnent pas, "
            "les rho si ; la part qui reste est celle du rho. Le dépensé est de toujours, même quand le budget se "
            "renouvelle.",
            "ε is read from the whole loss (rho) at the account's δ: the ε of several questions do not add up, their "
            "rho do; the share left is of rho. What is spent counts for life, even where the budget starts again.",
        )
    )
    return ExitCode.DONE


def _sentence(console: Console, account: AccountBudget) -> list[str]:
    name = account_name(console, account.account)
    spent = figures.epsilon(account.epsilon_spent, console.language)
    granted = figures.epsilon(account.epsilon_granted, console.language)
    left = figures.share(account.rho_left, account.rho_max, console.language)
    window = {
        "never": Bilingual("il ne se renouvelle pas", "it does not start again"),
        "month": Bilingual("il se renouvelle chaque mois", "it starts again every month"),
        "year": Bilingual("il se renouvelle chaque année", "it starts again every year"),
    }[account.window]
    if not Decimal(account.rho_spent):
        return console.wrapped(
            f"{name} : rien n'est dépensé d'un budget de ε = {granted} ; {window.fr}.",
            f"{name}: nothing is spent of a budget of ε = {granted}; {window.en}.",
            indent="  ",
        )
    return console.wrapped(
        f"{name} : ce qui est sorti a coûté à une personne ε = {spent} au plus, sur {granted} accordés ; il reste "
        f"{left} du budget, {window.fr}.",
        f"{name}: what has left cost a person at most ε = {spent} of the {granted} granted; {left} of the budget is "
        f"left, {window.en}.",
        indent="  ",
    )


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
        window = _WINDOWS[rule.per_party.window.value]
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
