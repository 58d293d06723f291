"""E-mail addresses in UID2's form.

UID2's published rules (unifiedid.com/docs/getting-started/gs-normalization-encoding): trim; ASCII letters to lower
case; at gmail.com the local part loses its dots, and its first `+` with what follows. No other provider's aliases are
merged, because no other rule is published.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

import polars as pl

from cleanroom.client.normalise.characters import LOWER, WHITE_SPACE, ascii_lower, is_ascii, nfc

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


def normalise_email(value: str) -> str | None:
    """Return an e-mail address in UID2's form, or None for what is no address."""
    text = unicodedata.normalize("NFC", value).strip(WHITE_SPACE).translate(LOWER)
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


def email_column(values: pl.Series) -> pl.Series:
    """Do what `normalise_email` does to a whole String column; null stays null."""
    text = pl.col("value")
    lowered = ascii_lower(nfc(values).str.strip_chars(WHITE_SPACE))
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
    composed = merged if is_ascii(values) else nfc(merged)
    return composed.set(composed.str.len_bytes() > LONGEST_EMAIL_BYTES, None).rename(values.name)
