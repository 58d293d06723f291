"""Find out in which form a text column's dates or decimals are written: one form per column, never a guess per value.

The first value that has a form decides for its column; `values` then refuses those in another.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING, Final

import polars as pl

from cleanroom.catalog import Category, Date, Number, Text
from cleanroom.client.normalise import WHITE_SPACE
from cleanroom.errors import Bilingual

if TYPE_CHECKING:
    from cleanroom.catalog import ColumnType, TableCatalog


class DateForm(Enum):
    """How days are written; the value is the pattern, as Python and Rust read it."""

    ISO = "%Y-%m-%d"
    SLASHES = "%d/%m/%Y"
    DASHES = "%d-%m-%Y"
    DOTS = "%d.%m.%Y"

    @property
    def pattern(self) -> str:
        """Return the expression of its digits and signs, for `re` and Rust alike."""
        return (
            self.value.replace("%Y", "[0-9]{4}").replace(".", r"\.").replace("%d", "[0-9]{2}").replace("%m", "[0-9]{2}")
        )

    @property
    def shown(self) -> Bilingual:
        """Say it in both languages."""
        form = self.value.replace("%m", "MM")
        return Bilingual(form.replace("%Y", "AAAA").replace("%d", "JJ"), form.replace("%Y", "YYYY").replace("%d", "DD"))


class DecimalMark(Enum):
    """What stands before the decimals."""

    POINT = "."
    COMMA = ","

    @property
    def shown(self) -> Bilingual:
        """Say it in both languages."""
        match self:
            case DecimalMark.POINT:
                return Bilingual("point décimal", "decimal point")
            case DecimalMark.COMMA:
                return Bilingual("virgule décimale", "decimal comma")


WrittenForm = DateForm | DecimalMark

GROUP_SIGNS: Final = "\u202f\u00a0 '\u2019"
"""What may stand between thousands: narrow no-break space, no-break space, space, apostrophes; one kind in a value."""

_GROUPED: Final = "|".join(rf"[0-9]{{1,3}}(?:{sign}[0-9]{{3}}){{1,19}}" for sign in GROUP_SIGNS)
NUMBER_PATTERN: Final = (
    rf"[+-]?(?:[0-9]{{1,60}}(?:[.,][0-9]{{1,60}})?(?:[eE][+-]?[0-9]{{1,2}})?|(?:{_GROUPED})(?:[.,][0-9]{{1,60}})?)"
)
_MARKED: Final = rf"[+-]?(?:[0-9]{{1,60}}|{_GROUPED})[.,][0-9]{{1,60}}(?:[eE][+-]?[0-9]{{1,2}})?"
_FEW: Final = 256


def written_forms(frame: pl.DataFrame, catalog: TableCatalog) -> dict[str, WrittenForm]:
    """Return the form of each declared column of text that has dates, or numbers with decimals."""
    found = {column.name: written_form(frame[column.name], column.type) for column in catalog.columns}
    return {name: form for name, form in found.items() if form is not None}


def written_form(values: pl.Series, kind: ColumnType) -> WrittenForm | None:
    """Return the form that the first value has which has one; None if none has, or nothing is written."""
    if not (values.dtype == pl.String or isinstance(values.dtype, pl.Categorical | pl.Enum)):
        return None
    text = values.cast(pl.String)
    match kind:
        case Date():
            shape = _first(text, "|".join(form.pattern for form in DateForm), signs=["-", "/", "."])
            return next((form for form in DateForm if shape and re.fullmatch(form.pattern, shape)), None)
        case Number():
            digits = _first(text, _MARKED, signs=[".", ","])
            return next((mark for mark in DecimalMark if digits and mark.value in digits), None)
        case Category() | Text():
            return None


def _first(text: pl.Series, pattern: str, *, signs: list[str]) -> str | None:
    """Return the first value that is of a pattern, without the white space around it.

    Args:
        signs: of which such a value has at least one.
    """
    whole = rf"\A[{WHITE_SPACE}]*(?:{pattern})[{WHITE_SPACE}]*\z"
    for part in (text.head(_FEW), text):
        # Most columns without a form are whole numbers: to look for a sign is much faster than for a pattern.
        signed = part.filter(part.str.contains_any(signs).fill_null(value=False))
        found = signed.filter(signed.str.contains(whole))
        if not found.is_empty():
            return str(found[0]).strip(WHITE_SPACE)
    return None
