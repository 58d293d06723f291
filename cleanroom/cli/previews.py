"""Show a preview to a person: margins, who gets which part of the price, what it costs, how often it can be asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cleanroom.cli import figures
from cleanroom.cli.answers import account_name, cost_lines, free_lines, note_lines

if TYPE_CHECKING:
    from cleanroom.cli.console import Console
    from cleanroom.room import Preview
    from cleanroom.room.affordability import Possible

_MOST_SHOWN: Final = 5


def preview_lines(console: Console, preview: Preview) -> list[str]:
    """Return a preview for a terminal."""
    shares = dict(preview.split)
    lines = [_value(console, label, margin, shares.get(label)) for label, margin in preview.margins]
    for label, margin in preview.least_margins:
        if margin is not None:
            least = figures.margin(margin, console.language)
            lines.append(
                console.words(
                    f"({label} : ±{least} si la plus étroite des bornes est choisie)",
                    f"({label}: ±{least} if the narrowest of the bounds is chosen)",
                )
            )
    if preview.split_threshold:
        share = _percent(console, preview.split_threshold)
        lines.append(
            console.words(
                f"(le seuil des propriétaires : {share} du prix)", f"(the owners' threshold: {share} of the price)"
            )
        )
    if preview.split_keys:
        share = _percent(console, preview.split_keys)
        lines.append(
            console.words(
                f"(les clés sans domaine : {share} du prix)", f"(keys without a domain: {share} of the price)"
            )
        )
    count = figures.number(preview.cells, 0, console.language)
    lines += [
        "",
        console.words(f"Cases : {count}", f"Cells: {count}"),
        *note_lines(console, preview.notes),
        "",
        *free_lines(console, preview.sources, asked=False),
        *cost_lines(console, preview.cost, asked=False),
    ]
    left = figures.number(preview.repetitions, 0, console.language)
    lines.append(
        console.words(
            f"Il reste de quoi poser {left} questions comme celle-ci."
            if preview.repetitions > 1
            else f"Il reste de quoi poser {left} question comme celle-ci.",
            f"{left} such questions can still be asked."
            if preview.repetitions != 1
            else "1 such question can still be asked.",
        )
    )
    lines += _possible_lines(console, preview.possible)
    lacking = [each.as_typed() for each in preview.lacking]
    for each in lacking:
        lines += console.wrapped(f"✗ {each.message.fr}", f"✗ {each.message.en}", indent="  ")
    hints = dict.fromkeys(each.hint for each in lacking if each.hint is not None)
    lines += [line for hint in hints for line in console.wrapped(f"  → {hint.fr}", f"  → {hint.en}", indent="    ")]
    return lines


def _value(console: Console, label: str, margin: float | None, share: float | None) -> str:
    part = ""
    if share is not None:
        percent = _percent(console, share)
        part = console.words(f" ; {percent} du prix", f"; {percent} of the price")
    if margin is None:
        return (
            console.words(
                f"{label} : la marge dépendra du nombre de lignes publié (moyenne)",
                f"{label}: the margin will depend on the number of rows released (mean)",
            )
            + part
        )
    figure = figures.margin(margin, console.language)
    return console.words(f"{label} : ±{figure}, 19 fois sur 20", f"{label}: ±{figure}, 19 times out of 20") + part


def _possible_lines(console: Console, possible: tuple[Possible, ...]) -> list[str]:
    """Return what allows the fewest such questions, fewest first."""
    if len(possible) < 2:
        return []
    fewest = sorted(possible, key=lambda each: each.questions)
    shown = []
    for each in fewest[:_MOST_SHOWN]:
        name = account_name(console, each.account)
        count = figures.number(each.questions, 0, console.language)
        limited = console.words(f"votre limite chez {name}", f"your limit at {name}") if each.capped else name
        shown.append(f"{limited} {count}")
    more = "…" if len(fewest) > _MOST_SHOWN else ""
    listed = ", ".join(shown)
    return console.wrapped(f"  selon le compte : {listed}{more}", f"  by account: {listed}{more}", indent="  ")


def _percent(console: Console, share: float) -> str:
    return figures.share(f"{share:.9f}", "1", console.language)
