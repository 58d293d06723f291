"""Draw an answer: each value with its margin as an error bar, by matplotlib.

Keys that are months or days run along the axis, other keys become series; else each line of the answer is a point. A
withheld cell is said, never drawn as zero. The same answer gives the same bytes of SVG.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from cleanroom.cli import figures
from cleanroom.cli.answers import MARGIN, key_columns, months_of, shown_key, value_columns
from cleanroom.cli.text import visible
from cleanroom.errors import Bilingual, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from cleanroom.cli.console import Console
    from cleanroom.cli.formats import Cell, Table

FORMS: Final = (".svg", ".png", ".pdf")
MOST_LINES: Final = 60
MOST_SERIES: Final = 8
MOST_VALUES: Final = 4
LONGEST_NAME: Final = 40
_COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#999999")
"""Okabe and Ito's palette, which people with any colour vision tell apart."""

_GREY: Final = "#767676"
_STYLE: Final[dict[Any, Any]] = {
    # A label is a party's text: it is never read as mathematics.
    "text.parse_math": False,
    "svg.hashsalt": "cleanroom",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10.0,
}


def require_plots(path: Path) -> None:
    """Refuse a file that could not be drawn, before the question is charged.

    Raises:
        UsageError: another ending than those of `FORMS`, or no matplotlib on this machine.
    """
    if path.suffix.lower() not in FORMS:
        raise UsageError(
            Bilingual("--plot : un fichier .svg, .png ou .pdf", "--plot: a .svg, .png or .pdf file"), code="usage"
        )
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        raise UsageError(
            Bilingual(
                "--plot demande matplotlib : pip install 'cleanroom[plot]'",
                "--plot needs matplotlib: pip install 'cleanroom[plot]'",
            ),
            code="no_plots",
        ) from None


@dataclass(frozen=True, slots=True)
class _Point:
    """A value where it stands; no number where it was withheld, no margin where no rule gives one."""

    place: float
    number: float | None
    margin: float | None


def plot(console: Console, table: Table, form: str, *, caption: str) -> bytes:
    """Return the drawing of an answer that has a value.

    Args:
        form: one of `FORMS`.
        caption: a line under the drawing, such as where the receipt is.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    values = value_columns(table)
    shown = values[:MOST_VALUES]
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # A letter that the font has not is drawn as a box; there is nothing to tell the analyst.
        warnings.simplefilter("ignore")
        keys = key_columns(table)
        dated = next((name for name in keys if _is_time(table, name)), None)
        series = None if dated is None else _series(console, table, dated)
        figure = Figure()
        if series is None:
            hidden = _points(console, figure, table, shown)
        else:
            hidden = 0
            _times(console, figure, table, shown, series)
        notes = [
            console.words(
                "Barres : la marge d'erreur, 19 fois sur 20, du bruit ajouté pour protéger les personnes.",
                "Bars: the margin of error, 19 times out of 20, of the noise added to protect people.",
            )
        ]
        if any(row[table.at(name)] is None for row in table.rows for name in shown):
            notes.append(
                console.words(
                    "× : retenu, moins de personnes que le seuil des propriétaires, ou sans valeur.",
                    "×: withheld, fewer persons than the owners' threshold, or no value.",
                )
            )
        if hidden:
            notes.append(
                console.words(f"{hidden} lignes de plus ne sont pas dessinées.", f"{hidden} more lines are not drawn.")
            )
        if len(values) > len(shown):
            more = len(values) - len(shown)
            notes.append(
                console.words(f"{more} valeurs de plus ne sont pas dessinées.", f"{more} more values are not drawn.")
            )
        _caption(figure, [*notes, visible(caption)])
        written = io.BytesIO()
        kind = form.removeprefix(".")
        metadata = {"svg": {"Date": None, "Creator": None}, "pdf": {"CreationDate": None}}.get(kind, {})
        figure.savefig(written, format=kind, dpi=150, metadata=metadata)
    return written.getvalue()


def _caption(figure: Figure, lines: Sequence[str]) -> None:
    """Write lines under the drawing, and keep it above them."""
    below = (0.08 + 0.14 * len(lines)) / figure.get_figheight()
    figure.set_layout_engine("constrained", rect=(0.0, below, 1.0, 1.0 - below))
    figure.text(0.01, 0.06 / figure.get_figheight(), "\n".join(lines), fontsize=7, color=_GREY, va="bottom")


def _points(console: Console, figure: Figure, table: Table, values: Sequence[str]) -> int:
    """Draw a point for each line of the answer; return how many lines are left out."""
    rows = table.rows[:MOST_LINES]
    keys = key_columns(table)
    months = months_of(table, keys)
    names = [
        " · ".join(_short(shown_key(console, row[table.at(name)], month=name in months)) for name in keys)
        for row in rows
    ]
    figure.set_size_inches(1.8 + 3.4 * len(values), 1.7 + 0.24 * len(rows))
    panels = figure.subplots(1, len(values), sharey=True, squeeze=False)[0]
    for at, (panel, value) in enumerate(zip(panels, values, strict=True)):
        points = [_point(table, row, value, float(place)) for place, row in enumerate(rows)]
        colour = _COLOURS[at % len(_COLOURS)]
        known = [each for each in points if each.number is not None]
        drawn = panel.errorbar(
            [each.number for each in known],
            [each.place for each in known],
            xerr=[each.margin or 0.0 for each in known],
            fmt="o",
            markersize=4,
            capsize=3,
            color=colour,
        )
        drawn.lines[2][0].set_gid(f"margins_{at}")
        _withheld(panel, [each.place for each in points if each.number is None], along_x=False)
        panel.set_title(_short(value), loc="left")
        panel.grid(axis="x", color="#dddddd", linewidth=0.6)
        panel.set_axisbelow(True)
        panel.xaxis.set_major_formatter(lambda number, _: _tick(console, number))
        _from_zero(panel, known, horizontal=True)
        panel.tick_params(axis="y", labelleft=at == 0)
    panels[0].set_yticks(range(len(names)), names)
    panels[0].set_ylim(len(rows) - 0.4, -0.6)
    return len(table.rows) - len(rows)


_Series = dict[str, list[tuple[date, tuple["Cell", ...]]]]


def _series(console: Console, table: Table, dated: str) -> _Series | None:
    """Return the lines of the answer by the keys that are not the time; None if they are too many to be told apart."""
    others = [name for name in key_columns(table) if name != dated]
    found: _Series = {}
    for row in table.rows:
        when = row[table.at(dated)]
        if not isinstance(when, date):
            return None
        name = " · ".join(_short(shown_key(console, row[table.at(each)], month=False)) for each in others)
        found.setdefault(name, []).append((when, row))
    single = all(len({when for when, _ in lines}) == len(lines) for lines in found.values())
    return found if single and 1 <= len(found) <= MOST_SERIES else None


def _times(console: Console, figure: Figure, table: Table, values: Sequence[str], series: _Series) -> None:
    figure.set_size_inches(8.0, 1.2 + 2.6 * len(values))
    panels = figure.subplots(len(values), 1, sharex=True, squeeze=False)[:, 0]
    for panel, value in zip(panels, values, strict=True):
        everything: list[_Point] = []
        for at, (name, lines) in enumerate(series.items()):
            # Series a little apart, so that their bars do not cover each other.
            apart = (at - (len(series) - 1) / 2) * 1.5 if len(series) > 1 else 0.0
            ordered = sorted(lines, key=lambda line: line[0])
            points = [_point(table, row, value, when.toordinal() + apart) for when, row in ordered]
            known = [each for each in points if each.number is not None]
            panel.errorbar(
                [each.place for each in known],
                [each.number for each in known],
                yerr=[each.margin or 0.0 for each in known],
                fmt="o-",
                markersize=3,
                linewidth=0.8,
                capsize=2,
                color=_COLOURS[at],
                label=name or None,
            )
            _withheld(panel, [each.place for each in points if each.number is None], along_x=True, colour=_COLOURS[at])
            everything += known
        panel.set_title(_short(value), loc="left")
        panel.grid(axis="y", color="#dddddd", linewidth=0.6)
        panel.set_axisbelow(True)
        panel.yaxis.set_major_formatter(lambda number, _: _tick(console, number))
        _from_zero(panel, everything, horizontal=False)
    if len(series) > 1:
        panels[0].legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8)
    days = sorted({when for lines in series.values() for when, _ in lines})
    ticks = days[:: max(1, -(-len(days) // 12))]
    months = all(day.day == 1 for day in days)
    panels[-1].set_xticks(
        [day.toordinal() for day in ticks],
        [day.strftime("%Y-%m") if months else day.isoformat() for day in ticks],
        rotation=30,
        ha="right",
    )


def _point(table: Table, row: Sequence[Cell], value: str, place: float) -> _Point:
    number, margin = row[table.at(value)], row[table.at(value + MARGIN)]
    return _Point(
        place,
        float(number) if isinstance(number, int | float) else None,
        float(margin) if isinstance(margin, int | float) else None,
    )


def _withheld(panel: Axes, places: Sequence[float], *, along_x: bool, colour: str = _GREY) -> None:
    """Mark what was withheld at the edge of the panel, on no value."""
    if not places:
        return
    edge = [0.02] * len(places)
    across, up = (places, edge) if along_x else (edge, places)
    transform = panel.get_xaxis_transform() if along_x else panel.get_yaxis_transform()
    panel.plot(across, up, "x", color=colour, markersize=5, transform=transform, in_layout=False)


def _from_zero(panel: Axes, points: Sequence[_Point], *, horizontal: bool) -> None:
    """Begin the axis at zero where the numbers are not far from it: lengths are then what they look like."""
    ends = [(each.number or 0.0) - (each.margin or 0.0) for each in points]
    tops = [(each.number or 0.0) + (each.margin or 0.0) for each in points]
    if not ends or max(tops) <= 0 or min(ends) > max(tops) / 2:
        return
    if min(ends) < 0:
        line = panel.axvline if horizontal else panel.axhline
        line(0.0, color=_GREY, linewidth=0.8)
    elif horizontal:
        panel.set_xlim(left=0.0)
    else:
        panel.set_ylim(bottom=0.0)


def _is_time(table: Table, name: str) -> bool:
    values = [row[table.at(name)] for row in table.rows]
    return all(isinstance(value, date) for value in values) and len(set(values)) > 1


def _short(text: str) -> str:
    shown = visible(text)
    return shown if len(shown) <= LONGEST_NAME else shown[: LONGEST_NAME - 1] + "…"


def _tick(console: Console, number: float) -> str:
    decimals = 0 if abs(number - round(number)) < 1e-9 or abs(number) >= 100 else 2
    return figures.number(number, decimals, console.language)
