"""Give single values their exact form: the definition that the vectorised columns are tested against.

Text in, for every type: numbers and dates are read as they are written, never through binary floating point.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from cleanroom.client.normalise import WHITE_SPACE
from cleanroom.errors import Bilingual

if TYPE_CHECKING:
    from cleanroom.catalog import Category, Date, Number

_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,60}(?:[.,][0-9]{1,60})?(?:[eE][+-]?[0-9]{1,2})?", re.ASCII)
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


class ReasonKind(Enum):
    """Why a value cannot be uploaded."""

    NO_IDENTIFIER = "no_identifier"
    MISSING = "missing"
    NOT_IN_DOMAIN = "not_in_domain"
    NOT_A_DATE = "not_a_date"
    NOT_A_NUMBER = "not_a_number"
    OUT_OF_BOUNDS = "out_of_bounds"
    NOT_A_MULTIPLE = "not_a_multiple"
    NOT_READABLE = "not_readable"

    @property
    def message(self) -> Bilingual:
        """Say it in both languages."""
        return _MESSAGES[self]


_MESSAGES: Final = {
    ReasonKind.NO_IDENTIFIER: Bilingual("identifiant vide", "empty identifier"),
    ReasonKind.MISSING: Bilingual(
        "valeur absente d'une colonne obligatoire", "missing value in a column that must have one"
    ),
    ReasonKind.NOT_IN_DOMAIN: Bilingual("hors du domaine déclaré", "not in the declared domain"),
    ReasonKind.NOT_A_DATE: Bilingual("pas un jour AAAA-MM-JJ", "not a day YYYY-MM-DD"),
    ReasonKind.NOT_A_NUMBER: Bilingual("pas un nombre", "not a number"),
    ReasonKind.OUT_OF_BOUNDS: Bilingual("hors des bornes déclarées", "outside the declared bounds"),
    ReasonKind.NOT_A_MULTIPLE: Bilingual(
        "pas un multiple de la résolution déclarée", "not a multiple of the declared resolution"
    ),
    ReasonKind.NOT_READABLE: Bilingual(
        "colonne d'un type que rien ne convertit", "column of a type that nothing converts"
    ),
}


def clean(value: str | None) -> str | None:
    """Return a value without white space around it, in NFC; None for nothing."""
    return None if value is None else unicodedata.normalize("NFC", value).strip(WHITE_SPACE) or None


def written_domain(kind: Category) -> tuple[str, ...]:
    """Return a domain's values as rows are compared with them: in NFC, without white space around.

    Two values of one domain that this would make equal keep every value as declared.
    """
    written = tuple(clean(value) or value for value in kind.domain)
    return written if len(set(written)) == len(written) else kind.domain


def category_value(text: str, kind: Category) -> str | ReasonKind:
    """Return the domain's value that the cleaned `text` is."""
    for written, value in zip(written_domain(kind), kind.domain, strict=True):
        if written == text:
            return value
    return ReasonKind.NOT_IN_DOMAIN


def date_value(text: str, kind: Date) -> date | ReasonKind:
    """Return the day that `text` names, YYYY-MM-DD and nothing else."""
    if _DATE.fullmatch(text) is None:
        return ReasonKind.NOT_A_DATE
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return ReasonKind.NOT_A_DATE
    return day if kind.first <= day <= kind.last else ReasonKind.OUT_OF_BOUNDS


def number_value(text: str, kind: Number) -> int | ReasonKind:
    """Return `text` in whole steps of the declared resolution, exactly.

    A comma may be the decimal mark, as in French, but only with no more digits after it than the resolution has:
    `1,000` may not silently mean 1 where thousand was meant. Nothing separates thousands.
    """
    if _NUMBER.fullmatch(text) is None:
        return ReasonKind.NOT_A_NUMBER
    mantissa = re.split("[eE]", text, maxsplit=1)[0]
    _, comma, decimals = mantissa.partition(",")
    if comma and len(decimals) > decimal_places(kind):
        return ReasonKind.NOT_A_MULTIPLE
    steps = Fraction(Decimal(text.replace(",", "."))) / Fraction(kind.resolution)
    if not kind.lower <= steps <= kind.upper:
        return ReasonKind.OUT_OF_BOUNDS
    return int(steps) if steps.denominator == 1 else ReasonKind.NOT_A_MULTIPLE


def decimal_places(kind: Number) -> int:
    """Return how many digits after the mark a value of this resolution has: 2 for 0.01 and for 0.05."""
    exponent = kind.resolution.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
