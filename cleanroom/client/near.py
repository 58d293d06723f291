"""Say what to do about a value that cannot be uploaded; a suggestion to a person, never a replacement."""

from __future__ import annotations

import difflib
import unicodedata
from typing import TYPE_CHECKING, Final

from cleanroom.catalog import Category
from cleanroom.client.values import ReasonKind
from cleanroom.errors import Bilingual

if TYPE_CHECKING:
    from cleanroom.catalog import ColumnType
    from cleanroom.client.written import WrittenForm

_ALIKE: Final = 0.75
_FORM_MATTERS: Final = frozenset({ReasonKind.MIXED_DATES, ReasonKind.NOT_A_DATE, ReasonKind.MIXED_MARKS})


def hint(value: str | None, reason: ReasonKind, kind: ColumnType | None, form: WrittenForm | None) -> Bilingual | None:
    """Return what may be meant or done, or None where the reason says it all.

    Args:
        value: as it is written, perhaps shortened; None for nothing.
        kind: the column's declared type; None for the identifier's column.
        form: in which form the column is read; None where it has none.
    """
    if value is not None and isinstance(kind, Category) and reason is ReasonKind.NOT_IN_DOMAIN:
        near = near_category(value, kind)
        if near is not None:
            return Bilingual(f"serait-ce « {near} » ?", f"is it {near!r}?")
    if form is not None and reason in _FORM_MATTERS:
        return Bilingual(f"la colonne est lue en {form.shown.fr}", f"the column is read as {form.shown.en}")
    return None


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
