"""Say which declared value an unknown one may be meant for; a suggestion to a person, never a replacement."""

from __future__ import annotations

import difflib
import unicodedata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cleanroom.catalog import Category

_ALIKE: Final = 0.75


def near_category(text: str, kind: Category) -> str | None:
    """Return the value of the domain that is nearest: the same but for case, accents and signs, else much alike."""
    folded: dict[str, str] = {}
    for value in kind.domain:
        folded.setdefault(_folded(value), value)
    wanted = _folded(text)
    if wanted in folded:
        return folded[wanted]
    near = difflib.get_close_matches(wanted, folded, n=1, cutoff=_ALIKE)
    return folded[near[0]] if near else None


def _folded(text: str) -> str:
    """Return letters and digits in one case, without accents; a blank for whatever else stands between them."""
    spelled = unicodedata.normalize("NFKD", text.casefold().replace("œ", "oe").replace("æ", "ae"))
    letters = "".join(letter for letter in spelled if not unicodedata.combining(letter))
    return " ".join("".join(letter if letter.isalnum() else " " for letter in letters).split())
