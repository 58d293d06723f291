"""Make text fit for a terminal: nothing that moves its cursor, colours it or turns its lines around.

SQL, names and labels come from whoever asks; a terminal obeys control characters in them (CWE-150). Each becomes one
visible character, so that columns still line up and a caret still points at its place.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"
_DELETE: Final = "\x7f"


def visible(text: str) -> str:
    """Return one line without control, formatting or broken characters; blanks of any kind become spaces."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(character) for character in text)


def visible_lines(text: str) -> str:
    """Return text as `visible` does, its line ends kept."""
    return "\n".join(visible(line) for line in text.split("\n"))


def _shown(character: str) -> str:
    if character == "\t":
        return " "
    if character < " ":
        return chr(0x2400 + ord(character))
    if character == _DELETE:
        return "\N{SYMBOL FOR DELETE}"
    match unicodedata.category(character):
        case "Zs":
            return character
        case "Cc" | "Cf" | "Cs" | "Zl" | "Zp":
            return _REPLACEMENT
    return character


def width(text: str) -> int:
    """Return how many places a line takes on a terminal."""
    if text.isascii():
        return len(text)
    places = 0
    for character in text:
        if unicodedata.combining(character):
            continue
        places += 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1
    return places


def grid(headers: Sequence[str], rows: Iterable[Sequence[str]], *, right: Collection[int] = ()) -> list[str]:
    """Return lines of aligned columns under their headers.

    Args:
        right: the columns that are aligned right, from 0.
    """
    lines = [[visible(cell) for cell in row] for row in (headers, *rows)]
    widths = [max(width(row[at]) for row in lines) for at in range(len(headers))]
    shown = ["  ".join(_padded(cell, widths[at], at in right) for at, cell in enumerate(row)).rstrip() for row in lines]
    return [shown[0], "  ".join("─" * each for each in widths), *shown[1:]]


def _padded(cell: str, places: int, right: bool) -> str:
    blanks = " " * (places - width(cell))
    return blanks + cell if right else cell + blanks
