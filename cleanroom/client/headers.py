"""Compare the headers of files with declared names: `Date d'achat` is `date_d_achat`, `Région` is `region`."""

from __future__ import annotations

import unicodedata
from typing import Final

_LIGATURES: Final = str.maketrans({"œ": "oe", "æ": "ae", "ß": "ss"})


def column_name(header: str) -> str:
    """Return the name that a header would be declared under: ASCII letters in lower case, digits, `_` for the rest.

    It is empty if nothing is left, and no name if it begins with a digit.
    """
    spelled = unicodedata.normalize("NFKD", header.casefold().translate(_LIGATURES))
    letters = "".join(letter for letter in spelled if not unicodedata.combining(letter))
    words = "".join(letter if letter.isascii() and letter.isalnum() else " " for letter in letters).split()
    return "_".join(words)
