"""`log verify --balances`: every balance recomputed from the log, beside what the ledger says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cleanroom.accounting.privacy_loss import PureEpsilon, Rho, epsilon_of
from cleanroom.cli import figures, log_verification
from cleanroom.cli.answers import account_name
from cleanroom.errors import Bilingual, ExitCode
from cleanroom.room import Home, balances

if TYPE_CHECKING:
    import argparse

    from cleanroom.cli.console import Console
    from cleanroom.room.balances import AccountBalance, Checked, Figures


def verify(console: Console, arguments: argparse.Namespace) -> int:
    """Verify a room's log, then recompute its balances from it."""
    verified = log_verification.verify(console, arguments)
    found = balances.checked(Path(arguments.target), Home.default())
    console.say()
    console.table(
        [
            console.words("compte", "account"),
            console.words("accordé (ε)", "granted (ε)"),
            console.words("dépensé selon le journal (rho)", "spent by the log (rho)"),
            console.words("selon le grand livre (rho)", "by the ledger (rho)"),
            console.words("il reste", "left"),
            console.words("les deux concordent", "both agree"),
        ],
        [_row(console, each) for each in found.accounts],
        right={1, 2, 3, 4},
    )
    _say_unheld(console, found)
    _complain(console, found)
    if not found.ok:
        return ExitCode.NOT_VERIFIED
    caps = figures.number(len(found.caps), 0, console.language)
    console.lines(
        console.wrapped(
            "Chaque solde, recalculé du journal seul, est celui du grand livre ; aucune question n'a dépassé le "
            "budget d'alors ni coûté à un compte moins que le bruit que son entrée consigne. Limites par partie "
            f"comparées : {caps}.",
            "Each balance, recomputed from the log alone, is the ledger's; no question exceeded the budget of its time "
            f"or cost an account less than the noise that its entry records. Caps per party compared: {caps}.",
        )
    )
    return verified


def _say_unheld(console: Console, found: Checked) -> None:
    """Say which entries do not say enough of their noise to be held against their charge: no fault of theirs."""
    for part, indexes in found.unheld.items():
        count, first, last = figures.number(len(indexes), 0, console.language), indexes[0], indexes[-1]
        fr, en = f"{count} questions, entrées {first} à {last}", f"{count} questions, entries {first} to {last}"
        if first == last:
            fr, en = f"1 question, entrée {first}", f"1 question, entry {first}"
        console.lines(
            console.wrapped(
                f"Non confronté au coût, faute d'être consigné alors : {part.value.fr} ({fr}).",
                f"Not held against its cost, since it was not recorded then: {part.value.en} ({en}).",
            )
        )


def _complain(console: Console, found: Checked) -> None:
    for fault in found.faults:
        console.error(fault, "charge_unsound")
    for account in found.accounts:
        if not account.agrees:
            name = account.account
            console.error(
                Bilingual(
                    f"le solde de {name} n'est pas celui que le journal donne",
                    f"the balance of {name} is not the one that the log gives",
                ),
                "balance_contradicts_log",
            )
    for cap in found.caps:
        if not cap.agrees:
            console.error(
                Bilingual(
                    f"ce qui reste à {cap.party} de {cap.account} n'est pas ce que le journal donne",
                    f"what {cap.party} has left of {cap.account} is not what the log gives",
                ),
                "balance_contradicts_log",
            )


def _row(console: Console, account: AccountBalance) -> tuple[str, ...]:
    log = account.by_log
    left = "—"
    if log is not None:
        left = figures.share(str(Rho(log.left)), str(Rho(log.granted)), console.language)
    return (
        account_name(console, account.account),
        "—" if account.budget is None else figures.epsilon(str(account.budget.epsilon), console.language),
        _spent(console, account, log),
        _spent(console, account, account.by_ledger),
        left,
        console.words("oui", "yes") if account.agrees else console.words("NON", "NO"),
    )


def _spent(console: Console, account: AccountBalance, found: Figures | None) -> str:
    if found is None:
        return "—"
    if account.budget is None:
        return str(Rho(found.lifetime))
    if account.budget.pure:
        return f"ε {PureEpsilon(found.lifetime)}"
    epsilon = epsilon_of(Rho(found.lifetime), account.budget.delta_conversion)
    return f"{Rho(found.lifetime)} (ε {figures.epsilon(epsilon, console.language)})"
