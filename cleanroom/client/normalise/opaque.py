"""Identifiers of the members' own making: customer, card and ticket numbers.

Nothing is known of them, so nothing is merged: neither case nor leading zeros. But what software writes where there
is no value, and numbers that a spreadsheet has spoilt, name nobody: each would be one person made of many.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

import polars as pl

from cleanroom.client.normalise.characters import LOWER, WHITE_SPACE, ascii_lower, nfc

NO_VALUE: Final = frozenset({
    "nan",
    "<na>",
    "nat",
    "none",
    "null",
    "(null)",
    r"\n",
    "na",
    "n/a",
    "#n/a",
    "#n/d",
    "#ref!",
    "#value!",
    "#valeur!",
    "#name?",
    "#nom?",
})  # fmt: skip
"""What pandas, R, SQL exports and spreadsheets write for a missing or failed value, in lower case."""

_LONGEST_NO_VALUE: Final = max(map(len, NO_VALUE))

_SPOILT_RUST: Final = r"\A(?:[0-9]+[.,]0+|[0-9](?:[.,][0-9]+)?[eE]\+[0-9]+)\z"
"""`123.0`, which is 123 for other members, and `1.23457E+11`, which many numbers share."""
_SPOILT: Final = re.compile(_SPOILT_RUST.replace(r"\z", r"\Z"))


def normalise_opaque(value: str) -> str | None:
    """Return an opaque identifier: NFC, trimmed, otherwise untouched; None for what names nobody."""
    text = unicodedata.normalize("NFC", value).strip(WHITE_SPACE)
    named = text and text.translate(LOWER) not in NO_VALUE and _SPOILT.match(text) is None
    return text if named else None


def opaque_column(values: pl.Series) -> pl.Series:
    """Do what `normalise_opaque` does to a whole String column; null stays null."""
    trimmed = nfc(values).str.strip_chars(WHITE_SPACE)
    short = trimmed.str.len_bytes() <= _LONGEST_NO_VALUE
    nobody = (trimmed == "") | trimmed.str.contains(_SPOILT_RUST)
    if short.any():
        nobody |= short & ascii_lower(trimmed).is_in(list(NO_VALUE))
    return trimmed.set(nobody, None)
