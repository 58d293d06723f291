"""Bring identifiers into one form, so that two members make one token of one person (docs/spec/token.md).

Each rule exists twice: as plain Python, one value at a time, which is the definition; and on Polars columns, which is
what runs. Tests hold the two equal.

E-mail: UID2's published rules (unifiedid.com/docs/getting-started/gs-normalization-encoding): trim; ASCII letters to
lower case; at gmail.com the local part loses its dots, and its first `+` with what follows. No other provider's
aliases are merged, because no other rule is published.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final, assert_never

import polars as pl

from cleanroom.identifiers import IdentifierKind

if TYPE_CHECKING:
    from collections.abc import Callable

WHITE_SPACE: Final = (
    "\t\n\v\f\r \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"""The characters with the Unicode property White_Space. Listed, because languages disagree on what they trim."""

LONGEST_EMAIL_BYTES: Final = 254
"""RFC 5321 §4.5.3.1.3: 256 octets with the angle brackets."""

_GMAIL: Final = "@gmail.com"

# What no address holds outside quotes (RFC 5322 §3.2.3 specials), controls, blanks, and invisible characters.
# Written for both `re` and Rust's regex, which agree on escaped code points in classes.
_NOT_IN_ADDRESS: Final = (
    r"\x00-\x20\x7f-\xa0\u{1680}\u{2000}-\u{200f}\u{2028}-\u{202f}\u{205f}-\u{2064}\u{3000}\u{feff}"
    r"()<>\[\]:;@\\,\x22"
)
_EMAIL_RUST: Final = rf"\A[^{_NOT_IN_ADDRESS}]+@(?:[^{_NOT_IN_ADDRESS}.]+\.)+[^{_NOT_IN_ADDRESS}.]+\z"
_EMAIL: Final = re.compile(re.sub(r"\\u\{([0-9a-f]{4})\}", r"\\u\1", _EMAIL_RUST).replace(r"\z", r"\Z"))

_ASCII_UPPER: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ASCII_LOWER: Final = _ASCII_UPPER.lower()
_LOWER: Final = str.maketrans(_ASCII_UPPER, _ASCII_LOWER)


def normalise(kind: IdentifierKind, value: str) -> str | None:
    """Return one identifier in the form that its token is made from, or None if it is not of its kind."""
    return _scalar(kind)(value)


def normalise_email(value: str) -> str | None:
    """Return an e-mail address in UID2's form, or None for what is no address."""
    text = unicodedata.normalize("NFC", value).strip(WHITE_SPACE).translate(_LOWER)
    if _EMAIL.search(text) is None:
        return None
    if text.endswith(_GMAIL):
        local = text.removesuffix(_GMAIL).partition("+")[0].replace(".", "")
        if not local:
            return None
        text = local + _GMAIL
    # Again: a lower-case letter may compose with a mark where its capital did not.
    text = unicodedata.normalize("NFC", text)
    return text if len(text.encode()) <= LONGEST_EMAIL_BYTES else None


def normalise_opaque(value: str) -> str | None:
    """Return an identifier of the members' own making: NFC, trimmed, otherwise untouched; None if nothing is left."""
    return unicodedata.normalize("NFC", value).strip(WHITE_SPACE) or None


def normalise_column(kind: IdentifierKind, values: pl.Series) -> pl.Series:
    """Do what `normalise` does to a whole String column; null stays null."""
    match kind:
        case IdentifierKind.EMAIL:
            return _email_column(values)
        case IdentifierKind.OPAQUE:
            trimmed = _nfc(values).str.strip_chars(WHITE_SPACE)
            return trimmed.set(trimmed == "", None)
        case _:
            assert_never(kind)


def is_blank(values: pl.Series) -> pl.Series:
    """Tell for each value whether there is nothing in it: null, or white space only."""
    return values.is_null() | (values.str.strip_chars(WHITE_SPACE) == "").fill_null(value=True)


def _scalar(kind: IdentifierKind) -> Callable[[str], str | None]:
    match kind:
        case IdentifierKind.EMAIL:
            return normalise_email
        case IdentifierKind.OPAQUE:
            return normalise_opaque
        case _:
            assert_never(kind)


def _email_column(values: pl.Series) -> pl.Series:
    text = pl.col("value")
    ascii_only = _is_ascii(values)
    trimmed = (values if ascii_only else _nfc(values)).str.strip_chars(WHITE_SPACE)
    lowered = (
        trimmed.str.to_lowercase() if ascii_only else trimmed.str.replace_many(list(_ASCII_UPPER), list(_ASCII_LOWER))
    )
    local = text.str.strip_suffix(_GMAIL).str.replace(r"(?s)\+.*\z", "").str.replace_all(".", "", literal=True)
    merged = (
        lowered.rename("value")
        .to_frame()
        .select(pl.when(text.str.contains(_EMAIL_RUST)).then(text))
        .select(
            pl.when(text.str.ends_with(_GMAIL).not_())
            .then(text)
            .when(local != "")
            .then(local + pl.lit(_GMAIL))
            .otherwise(None)
            .alias("value")
        )
        .to_series()
    )
    composed = merged if ascii_only else _nfc(merged)
    return composed.set(composed.str.len_bytes() > LONGEST_EMAIL_BYTES, None).rename(values.name)


def _nfc(values: pl.Series) -> pl.Series:
    return values if _is_ascii(values) else values.str.normalize("NFC")


def _is_ascii(values: pl.Series) -> bool:
    return bool((values.str.len_bytes() == values.str.len_chars()).all())
