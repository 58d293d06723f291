"""Show an answer to a person: values with their margins, what was withheld, what it cost."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from cleanroom.cli import figures
from cleanroom.cli.text import grid
from cleanroom.errors import Language

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cleanroom.cli.console import Console
    from cleanroom.cli.formats import Cell, Table
    from cleanroom.errors import Bilingual
    from cleanroom.query.reuse import Source
    from cleanroom.room import AccountCost, Answer

MARGIN: Final = "_margin95"
STATE: Final = "_state"
_MOST_ACCOUNTS: Final = 12


def answer_lines(console: Console, answer: Answer, table: Table) -> list[str]:
    """Return an answer for a terminal: the table, then what its signs mean and what it cost."""
    values, keys = value_columns(table), key_columns(table)
    shown = [name for name in table.columns if name in values or name in keys]
    months = months_of(table, keys)
    rows = []
    for row in table.rows:
        cells = []
        for name in shown:
            value = row[table.at(name)]
            if name in values:
                cells.append(shown_value(console, value, row[table.at(name + MARGIN)], row[table.at(name + STATE)]))
            else:
                cells.append(shown_key(console, value, month=name in months))
        rows.append(cells)
    numeric = {at for at, name in enumerate(shown) if name in values or _are_numbers(table, name)}
    lines = [*grid(shown, rows, right=numeric), ""]
    if answer.suppressed:
        lines += _withheld(console, answer.suppressed)
    if values:
        lines += console.wrapped(
            "± : la marge d'erreur, 19 fois sur 20, du seul bruit ajouté pour protéger les personnes ; ni les erreurs "
            "des données ni l'effet des bornes n'y sont.",
            "±: the margin of error, 19 times out of 20, of the noise added to protect people, and of nothing else: "
            "neither errors in the data nor the effect of bounds are in it.",
        )
    lines += [*note_lines(console, answer.notes), "", *free_lines(console, answer.sources, asked=True)]
    lines += cost_lines(console, answer.cost, asked=True)
    return lines


def free_lines(console: Console, sources: Sequence[Source], *, asked: bool) -> list[str]:
    """Say what is free, because it is answered already; nothing where all of it was drawn."""
    from cleanroom.query.reuse import Source

    stored, whole = sources.count(Source.STORED), len(sources)
    lines: list[str] = []
    if stored and stored == whole:
        lines += console.wrapped(
            "Déjà répondu, gratuit : ce sont les nombres déjà publiés pour cette question ; aucune donnée n'est lue.",
            "Already answered, free: these are the numbers already released for this question; no data is read.",
        )
    elif stored:
        lines += console.wrapped(
            f"{stored} des {whole} parties de la question : déjà répondu, gratuit. Seul le reste se paie.",
            f"{stored} of the {whole} parts of the question: already answered, free. Only the rest is paid.",
        )
    if Source.COMBINED in sources:
        lines += console.wrapped(
            "La réponse conservée et un nouveau tirage sont combinés : seule la précision ajoutée "
            + ("est payée." if asked else "serait payée."),
            "The stored answer and a new draw are combined: only the added precision "
            + ("is paid." if asked else "would be paid."),
        )
    return lines


def cost_lines(console: Console, costs: Sequence[AccountCost], *, asked: bool) -> list[str]:
    """Return what each account pays; of many, those that have least left.

    Args:
        asked: whether it was charged, or only would be.
    """
    ordered = sorted(costs[1:], key=lambda cost: _left(cost) / (Decimal(cost.rho_max) or Decimal(1)))
    shown = list(costs) if len(costs) <= _MOST_ACCOUNTS else [costs[0], *ordered[: _MOST_ACCOUNTS - 1]]
    headers = [
        console.words("compte", "account"),
        console.words("coût (ε)", "cost (ε)"),
        console.words("il reste" if asked else "resterait", "left" if asked else "would be left"),
    ]
    rows = [
        (
            account_name(console, cost.account),
            figures.epsilon(cost.epsilon, console.language),
            figures.share(str(_left(cost)), cost.rho_max, console.language),
        )
        for cost in shown
    ]
    lines = grid(headers, rows, right={1, 2})
    hidden = len(costs) - len(shown)
    if hidden:
        lines.append(
            console.words(f"… et {hidden} tables, qui gardent davantage", f"… and {hidden} tables with more left")
        )
    return lines


def account_name(console: Console, account: str) -> str:
    """Return how people call an account."""
    return console.words("toute la salle", "whole room") if account == "room" else account


def value_columns(table: Table) -> tuple[str, ...]:
    """Return the columns that hold values, not keys: those that have a margin and a state."""
    names = set(table.columns)
    return tuple(name for name in table.columns if {name + MARGIN, name + STATE} <= names)


def key_columns(table: Table) -> tuple[str, ...]:
    """Return the columns that hold keys: those that are no value, margin or state."""
    taken = {each + end for each in value_columns(table) for end in ("", MARGIN, STATE)}
    return tuple(name for name in table.columns if name not in taken)


def months_of(table: Table, keys: Sequence[str]) -> frozenset[str]:
    """Return the keys whose days are all the first of a month: they are read as months."""
    return frozenset(name for name in keys if _are_months([row[table.at(name)] for row in table.rows]))


def note_lines(console: Console, notes: Sequence[Bilingual]) -> list[str]:
    """Return the notes of an answer or a preview, wrapped."""
    return [line for note in notes for line in console.wrapped(f"· {note.fr}", f"· {note.en}", indent="  ")]


def _withheld(console: Console, suppressed: int) -> list[str]:
    """Say how many cells of what was released are withheld; the answer may show fewer rows, or others."""
    count = figures.number(suppressed, 0, console.language)
    return console.wrapped(
        f"Cases retenues : {count}. Leur nombre de personnes, bruit compris, est sous le seuil que fixent "
        "les propriétaires.",
        f"Cells withheld: {count}. Their number of persons, noise included, is below the threshold that the "
        "owners set.",
    )


def shown_value(console: Console, value: Cell, margin: Cell, state: Cell) -> str:
    """Return a value as people read it, with its margin and its state where that is not simply `released`."""
    if not isinstance(value, int | float) or value != value:  # noqa: PLR0124 - NaN stands for what is withheld
        return "—" if state == "released" else console.words("retenu", "withheld")
    if not isinstance(margin, int | float) or margin != margin:  # noqa: PLR0124 - a quantile has no margin
        written = figures.number(value, 2, console.language)
    else:
        written = figures.with_margin(value, margin, console.language)
    return written if state != "partial" else console.words(f"{written} (partiel)", f"{written} (partial)")


def shown_key(console: Console, value: Cell, *, month: bool) -> str:
    """Return a key as people read it."""
    match value:
        case None:
            return console.words("(sans valeur)", "(no value)")
        case date():
            return value.strftime("%Y-%m") if month else value.isoformat()
        case Decimal() | float():
            written = f"{value:f}"
            return written.replace(".", ",") if console.language is Language.FR else written
    return str(value)


def _are_months(values: Sequence[Cell]) -> bool:
    days = [value for value in values if isinstance(value, date)]
    return bool(days) and all(day.day == 1 for day in days)


def _are_numbers(table: Table, name: str) -> bool:
    values = [row[table.at(name)] for row in table.rows]
    return any(isinstance(value, Decimal | int | float) for value in values)


def _left(cost: AccountCost) -> Decimal:
    return max(Decimal(0), Decimal(cost.rho_max) - Decimal(cost.rho_after))
