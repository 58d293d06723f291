"""`budget`: what was granted, what was spent on people, what is left; in words and in figures."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from cleanroom.cli import figures
from cleanroom.cli.answers import account_name
from cleanroom.cli.catalogs import WINDOWS
from cleanroom.errors import Bilingual, ExitCode
from cleanroom.room import Room, views

if TYPE_CHECKING:
    import argparse

    from cleanroom.cli.console import Console
    from cleanroom.room.views import AccountBudget


def budget(console: Console, arguments: argparse.Namespace) -> int:
    """Show every account, and every cap of a party that was used."""
    with Room.open(arguments.room) as room:
        accounts = views.budgets(room)
        caps = views.party_caps(room)
    headers = [
        console.words("compte", "account"),
        console.words("accordé (ε)", "granted (ε)"),
        "δ",
        console.words("durée", "window"),
        console.words("dépensé, de toujours (ε)", "spent, for life (ε)"),
        console.words("dans la période (ε)", "in the window (ε)"),
        console.words("il reste", "left"),
    ]
    rows = [
        (
            account_name(console, each.account),
            figures.epsilon(each.epsilon_granted, console.language),
            each.delta,
            WINDOWS[each.window].into(console.language),
            figures.epsilon(each.epsilon_spent, console.language),
            figures.epsilon(each.epsilon_spent_window, console.language),
            figures.share(each.rho_left, each.rho_max, console.language),
        )
        for each in accounts
    ]
    console.table(headers, rows, right={1, 2, 4, 5, 6})
    console.say()
    for each in accounts:
        console.lines(_sentence(console, each))
    if caps:
        console.say()
        console.table(
            [
                console.words("limite d'une partie", "cap of a party"),
                console.words("table", "table"),
                console.words("limite (ε)", "cap (ε)"),
                console.words("durée", "window"),
                console.words("il lui reste", "left to it"),
            ],
            [
                (
                    cap.party,
                    cap.account,
                    figures.epsilon(cap.epsilon, console.language),
                    WINDOWS[cap.window].into(console.language),
                    figures.share(cap.left, cap.most, console.language),
                )
                for cap in caps
            ],
            right={2, 4},
        )
    console.say()
    console.lines(_composition(console, accounts[0]))
    return ExitCode.DONE


def _composition(console: Console, room: AccountBudget) -> list[str]:
    """Say how losses add up, with the room's own figures."""
    one, hundred, naive = (
        figures.epsilon(each, console.language) for each in (room.question, room.hundred, 100 * room.question)
    )
    return console.wrapped(
        f"Les ε de plusieurs questions ne s'additionnent pas : cent questions de ε = {one} coûtent à une personne "
        f"ε = {hundred}, non {naive}. Ce qui s'additionne, c'est rho, et la part qui reste est celle du rho (d'un "
        "compte de δ = 0, l'ε lui-même). Une période qui recommence permet de dépenser de nouveau ; elle n'efface pas "
        "ce qui fut perdu : la promesse cite le total de toujours.",
        f"The ε of several questions do not add up: a hundred questions of ε = {one} cost a person ε = {hundred}, not "
        f"{naive}. What adds up is rho, and the share left is of rho (of an account with δ = 0, ε itself). A window "
        "that starts again lets spending start again; it does not undo what was lost: the promise quotes the total for "
        "life.",
    )


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
    inherited = Bilingual("", "")
    if account.epsilon_inherited:
        part = figures.epsilon(account.epsilon_inherited, console.language)
        inherited = Bilingual(
            f", dont ε = {part} pour des tables reprises par leur propriétaire",
            f", of which ε = {part} for tables that their owner took back",
        )
    return console.wrapped(
        f"{name} : ce qui est sorti a coûté à une personne ε = {spent} au plus, sur {granted} accordés{inherited.fr} ; "
        f"il reste {left} du budget, {window.fr}.",
        f"{name}: what has left cost a person at most ε = {spent} of the {granted} granted{inherited.en}; {left} of "
        f"the budget is left, {window.en}.",
        indent="  ",
    )
