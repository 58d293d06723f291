"""What counts as a blank, a dash, a letter in identifiers: listed, because languages disagree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import polars as pl

WHITE_SPACE: Final = (
    "\t\n\v\f\r \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"""The characters with the Unicode property White_Space."""

ASCII_UPPER: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
ASCII_LOWER: Final = ASCII_UPPER.lower()
LOWER: Final = str.maketrans(ASCII_UPPER, ASCII_LOWER)


def nfc(values: pl.Series) -> pl.Series:
    """Return a String column in Unicode NFC."""
    return values if is_ascii(values) else values.str.normalize("NFC")


def is_ascii(values: pl.Series) -> bool:
    """Tell whether a String column holds ASCII only."""
    return bool((values.str.len_bytes() == values.str.len_chars()).all())


def ascii_lower(values: pl.Series) -> pl.Series:
    """Return a String column with A to Z in lower case, and no other letter changed."""
    if is_ascii(values):
        return values.str.to_lowercase()
    return values.str.replace_many(list(ASCII_UPPER), list(ASCII_LOWER))
