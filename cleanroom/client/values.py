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
from cleanroom.client.written import GROUP_SIGNS, NUMBER_PATTERN, DateForm, DecimalMark
from cleanroom.errors import Bilingual

if TYPE_CHECKING:
    from cleanroom.catalog import Category, Date, Number

_NUMBER: Final = re.compile(NUMBER_PATTERN, re.ASCII)
_GROUP_SIGNS: Final = str.maketrans("", "", GROUP_SIGNS)
_BOTH_MARKS: Final = re.compile(r"[+-]?[0-9][0-9.,]*", re.ASCII)


class ReasonKind(Enum):
    """Why a value cannot be uploaded."""

    NO_IDENTIFIER = "no_identifier"
    MISSING = "missing"
    NOT_IN_DOMAIN = "not_in_domain"
    NOT_A_DATE = "not_a_date"
    MIXED_DATES = "mixed_dates"
    NOT_A_NUMBER = "not_a_number"
    MIXED_MARKS = "mixed_marks"
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
    ReasonKind.NOT_A_DATE: Bilingual("pas un jour AAAA-MM-JJ ni JJ/MM/AAAA", "not a day YYYY-MM-DD or DD/MM/YYYY"),
    ReasonKind.MIXED_DATES: Bilingual(
        "date écrite autrement que la première de la colonne", "date not written like the column's first"
    ),
    ReasonKind.NOT_A_NUMBER: Bilingual("pas un nombre", "not a number"),
    ReasonKind.MIXED_MARKS: Bilingual(
        "virgule et point mêlés dans la colonne : lequel marque les décimales ?",
        "commas and points mixed in the column: which marks the decimals?",
    ),
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


def date_value(text: str, kind: Date, form: DateForm | None) -> date | ReasonKind:
    """Return the day that `text` names in its column's form; day before month in all but ISO's."""
    if form is None or re.fullmatch(form.pattern, text, re.ASCII) is None:
        other = any(re.fullmatch(each.pattern, text, re.ASCII) for each in DateForm)
        return ReasonKind.MIXED_DATES if other else ReasonKind.NOT_A_DATE
    digits = re.findall("[0-9]+", text)
    year, month, day = digits if form is DateForm.ISO else reversed(digits)
    try:
        found = date(int(year), int(month), int(day))
    except ValueError:
        return ReasonKind.NOT_A_DATE
    return found if kind.first <= found <= kind.last else ReasonKind.OUT_OF_BOUNDS


def number_value(text: str, kind: Number, mark: DecimalMark | None) -> int | ReasonKind:
    """Return `text` in whole steps of the declared resolution, exactly; all decimals of a column have one mark.

    A comma may be the decimal mark, as in French, but only with no more digits after it than the resolution has:
    `1,000` may not silently mean 1 where thousand was meant. Blanks and apostrophes separate thousands, nothing else.
    """
    if _NUMBER.fullmatch(text) is None:
        both = _BOTH_MARKS.fullmatch(text) is not None and "," in text and "." in text
        return ReasonKind.MIXED_MARKS if both else ReasonKind.NOT_A_NUMBER
    if any(each.value in text and each is not mark for each in DecimalMark):
        return ReasonKind.MIXED_MARKS
    mantissa = re.split("[eE]", text, maxsplit=1)[0]
    _, comma, decimals = mantissa.partition(",")
    if comma and len(decimals) > decimal_places(kind):
        return ReasonKind.NOT_A_MULTIPLE
    steps = Fraction(Decimal(text.translate(_GROUP_SIGNS).replace(",", "."))) / Fraction(kind.resolution)
    if not kind.lower <= steps <= kind.upper:
        return ReasonKind.OUT_OF_BOUNDS
    return int(steps) if steps.denominator == 1 else ReasonKind.NOT_A_MULTIPLE


def decimal_places(kind: Number) -> int:
    """Return how many digits after the mark a value of this resolution has: 2 for 0.01 and for 0.05."""
    exponent = kind.resolution.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
