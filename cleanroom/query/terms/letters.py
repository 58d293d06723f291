"""Texts as the engine reads them: letter case, spaces, characters and patterns (checked on every code point in tests).

The engine maps letters one to one: its `upper` never makes two letters of one, its `lower` knows no final sigma.
Python's own mappings differ for 29 code points, which stand here.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_ZS: Final = "Zs"
_UPPER: Final = {"ß": "ẞ"}
_LOWER: Final = {"İ": "i"}


def _upper_letter(letter: str) -> str:
    for form in (letter.upper(), letter.title()):
        if len(form) == 1:
            return form
    return letter


def upper(text: str) -> str:
    """Return a text in upper case, letter by letter."""
    return text.upper() if text.isascii() else "".join(_UPPER.get(each) or _upper_letter(each) for each in text)


def lower(text: str) -> str:
    """Return a text in lower case, letter by letter."""
    if text.isascii():
        return text.lower()
    return "".join(_LOWER.get(each) or (form if len(form := each.lower()) == 1 else each) for each in text)


def is_space(character: str) -> bool:
    """Return whether `trim` takes a character away: Unicode's category Zs; neither tabs nor ends of line."""
    return unicodedata.category(character) == _ZS


def trim(text: str, *, left: bool = True, right: bool = True) -> str:
    """Return a text without the spaces at its ends, or at one of them."""
    start, end = 0, len(text)
    while left and start < end and is_space(text[start]):
        start += 1
    while right and end > start and is_space(text[end - 1]):
        end -= 1
    return text[start:end]


def substring(text: str, start: int, length: int | None) -> str:
    """Return `length` characters from number `start`, counted from 1, as far as there are any."""
    first = max(0, start - 1)
    return text[first:] if length is None else text[first : max(first, start - 1 + length)]


def like(pattern: str, *, ignore_case: bool) -> Pattern:
    """Return the test of LIKE, or of ILIKE, against a pattern: `%` any characters, `_` one, no escape."""
    return Pattern(lower(pattern) if ignore_case else pattern, ignore_case=ignore_case)


class Pattern:
    """A pattern of LIKE, tried piece by piece from the left: never more than text times pattern in work."""

    def __init__(self, pattern: str, *, ignore_case: bool) -> None:
        self._ignore_case = ignore_case
        first, *rest = pattern.split("%")
        self._first, self._last = self._piece(first), self._piece(rest[-1]) if rest else None
        self._between = tuple(self._piece(each) for each in rest[:-1] if each)

    @staticmethod
    def _piece(text: str) -> tuple[re.Pattern[str], int]:
        made = "".join("." if each == "_" else re.escape(each) for each in text)
        return re.compile(made, re.DOTALL), len(text)

    def matches(self, text: str) -> bool:
        """Return whether the whole text fits."""
        text = lower(text) if self._ignore_case else text
        first, length = self._first
        if self._last is None:
            return first.fullmatch(text) is not None
        last, tail = self._last
        end = len(text) - tail
        if first.match(text) is None or end < length or last.fullmatch(text, end) is None:
            return False
        at = length
        for piece, _ in self._between:
            found = piece.search(text, at, end)
            if found is None:
                return False
            at = found.end()
        return True
