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

from cleanroom.client.day_forms import SHORT_YEAR_PATTERN, TIME_PATTERN, ZONE_PATTERN, DateForm, MomentForm
from cleanroom.client.normalise import WHITE_SPACE
from cleanroom.client.number_forms import GROUP_SIGNS, NUMBER_PATTERN, DecimalMark, NumberForm, bare_number, is_of_unit
from cleanroom.errors import Bilingual, InvariantBroken

if TYPE_CHECKING:
    from cleanroom.catalog import Category, Date, Number
    from cleanroom.client.written import WrittenForm

_NUMBER: Final = re.compile(NUMBER_PATTERN, re.ASCII)
_GROUP_SIGNS: Final = str.maketrans("", "", GROUP_SIGNS)
_BOTH_MARKS: Final = re.compile(r"[+-]?[0-9][0-9.,]*", re.ASCII)
_GROUPED_BY: Final = {
    mark: re.compile(rf"[+-]?[0-9]{{1,3}}(?:\{mark.other}[0-9]{{3}}){{1,19}}(?:\{mark.value}[0-9]{{1,60}})?", re.ASCII)
    for mark in DecimalMark
}
_ANY_FORM: Final = re.compile(
    "(?:" + "|".join(form.pattern for form in DateForm if form.found_out) + f")(?:{TIME_PATTERN})?", re.ASCII
)
_ZONED: Final = re.compile(rf"[0-9A-Za-zÀ-ÿ /.,-]{{6,20}}{TIME_PATTERN}{ZONE_PATTERN}", re.ASCII)
_SHORT_YEAR: Final = re.compile(rf"(?:{SHORT_YEAR_PATTERN})(?:{TIME_PATTERN})?", re.ASCII)


class ReasonKind(Enum):
    """Why a value cannot be uploaded."""

    NO_IDENTIFIER = "no_identifier"
    MISSING = "missing"
    NOT_IN_DOMAIN = "not_in_domain"
    NOT_A_DATE = "not_a_date"
    NO_SUCH_DAY = "no_such_day"
    SHORT_YEAR = "short_year"
    ZONED_TIME = "zoned_time"
    MIXED_DATES = "mixed_dates"
    NOT_A_NUMBER = "not_a_number"
    PERCENT = "percent"
    MIXED_CURRENCIES = "mixed_currencies"
    OTHER_CURRENCY = "other_currency"
    MIXED_MARKS = "mixed_marks"
    OUT_OF_BOUNDS = "out_of_bounds"
    NOT_A_MULTIPLE = "not_a_multiple"
    NOT_READABLE = "not_readable"
    TOO_FEW_FIELDS = "too_few_fields"
    TOO_MANY_FIELDS = "too_many_fields"

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
    ReasonKind.NOT_A_DATE: Bilingual(
        "pas une date que l'on sache lire (AAAA-MM-JJ, JJ/MM/AAAA, 3 mai 2024…)",
        "not a date that can be read (YYYY-MM-DD, DD/MM/YYYY, May 3, 2024…)",
    ),
    ReasonKind.NO_SUCH_DAY: Bilingual("ce jour n'existe pas", "there is no such day"),
    ReasonKind.SHORT_YEAR: Bilingual(
        "année à deux chiffres, qu'on ne devine pas", "a year of two digits, which is not guessed"
    ),
    ReasonKind.ZONED_TIME: Bilingual(
        "heure avec fuseau horaire : quel jour était-ce chez vous ?",
        "time of day with a zone: which day was it where you are?",
    ),
    ReasonKind.MIXED_DATES: Bilingual(
        "date écrite autrement que la première de la colonne", "date not written like the column's first"
    ),
    ReasonKind.NOT_A_NUMBER: Bilingual("pas un nombre", "not a number"),
    ReasonKind.PERCENT: Bilingual(
        "pourcentage : écrivez le nombre sans « % », dans l'unité déclarée",
        "a percentage: write the number without %, in the declared unit",
    ),
    ReasonKind.MIXED_CURRENCIES: Bilingual(
        "devise écrite autrement que dans le reste de la colonne",
        "currency not written as in the rest of the column",
    ),
    ReasonKind.OTHER_CURRENCY: Bilingual(
        "montant dans une autre devise que celle déclarée", "amount in another currency than the declared one"
    ),
    ReasonKind.MIXED_MARKS: Bilingual(
        "virgule et point mêlés dans la colonne : lequel marque les décimales ?",
        "commas and points mixed in the column: which marks the decimals?",
    ),
    ReasonKind.OUT_OF_BOUNDS: Bilingual("hors des bornes déclarées", "outside the declared bounds"),
    ReasonKind.NOT_A_MULTIPLE: Bilingual("plus fin que le pas déclaré", "finer than the declared step"),
    ReasonKind.NOT_READABLE: Bilingual(
        "colonne d'un type que rien ne convertit", "column of a type that nothing converts"
    ),
    ReasonKind.TOO_FEW_FIELDS: Bilingual("moins de champs que l'en-tête", "fewer fields than the header"),
    ReasonKind.TOO_MANY_FIELDS: Bilingual("plus de champs que l'en-tête", "more fields than the header"),
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


def date_value(text: str, kind: Date, form: WrittenForm | None) -> date | ReasonKind:
    """Return the day that `text` names in its column's form; a time of day after it is left out."""
    day_form, day = form, text
    if isinstance(form, MomentForm):
        day_form = form.day
        day = re.sub(rf"{TIME_PATTERN}\Z", "", text, flags=re.ASCII)
    if not isinstance(day_form, DateForm) or re.fullmatch(day_form.pattern, day, re.ASCII) is None:
        return not_in_form(text)
    found = day_form.day(day)
    if found is None:
        return ReasonKind.NO_SUCH_DAY
    return found if kind.first <= found <= kind.last else ReasonKind.OUT_OF_BOUNDS


def not_in_form(text: str) -> ReasonKind:
    """Say what is wrong with a date that is not written as its column is read."""
    if _ANY_FORM.fullmatch(text) is not None:
        return ReasonKind.MIXED_DATES
    if _ZONED.fullmatch(text) is not None:
        return ReasonKind.ZONED_TIME
    return ReasonKind.SHORT_YEAR if _SHORT_YEAR.fullmatch(text) is not None else ReasonKind.NOT_A_DATE


def number_value(text: str, kind: Number, form: NumberForm | None) -> int | ReasonKind:
    """Return `text` in whole steps of the declared resolution, exactly; all of a column's numbers are written alike.

    A comma may be the decimal mark, as in French, but only with no more digits after it than the resolution has:
    `1,000` may not silently mean 1 where thousand was meant. Blanks and apostrophes separate thousands; a comma or
    point does where the column has shown it without doubt.
    """
    steps = _steps(text, kind, form or NumberForm())
    if isinstance(steps, ReasonKind):
        return steps
    if not kind.lower <= steps <= kind.upper:
        return ReasonKind.OUT_OF_BOUNDS
    return int(steps) if steps.denominator == 1 else ReasonKind.NOT_A_MULTIPLE


def nearest_bound(text: str, kind: Number, form: NumberForm | None) -> int:
    """Return the bound, in steps, that a number is beyond; `number_value` has said that it is out of bounds."""
    steps = _steps(text, kind, form or NumberForm())
    if isinstance(steps, ReasonKind):
        raise InvariantBroken("a number out of bounds is a number")
    return kind.lower if steps < kind.lower else kind.upper


def _steps(text: str, kind: Number, form: NumberForm) -> Fraction | ReasonKind:
    bare = bare_number(text)
    digits, mark = bare.text, form.mark
    if mark is not None and form.grouped and _GROUPED_BY[mark].fullmatch(digits) is not None:
        digits = digits.replace(mark.other, "")
    if _NUMBER.fullmatch(digits) is None:
        if digits.endswith("%") and _NUMBER.fullmatch(digits[:-1].rstrip(" \u00a0\u202f")) is not None:
            return ReasonKind.PERCENT
        both = _BOTH_MARKS.fullmatch(digits) is not None and "," in digits and "." in digits
        return ReasonKind.MIXED_MARKS if both else ReasonKind.NOT_A_NUMBER
    if bare.currency != form.currency:
        return ReasonKind.MIXED_CURRENCIES
    if bare.currency is not None and not is_of_unit(bare.currency, kind.unit):
        return ReasonKind.OTHER_CURRENCY
    if any(each.value in digits and each is not mark for each in DecimalMark):
        return ReasonKind.MIXED_MARKS
    mantissa = re.split("[eE]", digits, maxsplit=1)[0]
    _, comma, decimals = mantissa.partition(",")
    if comma and len(decimals) > decimal_places(kind):
        return ReasonKind.NOT_A_MULTIPLE
    return Fraction(Decimal(digits.translate(_GROUP_SIGNS).replace(",", "."))) / Fraction(kind.resolution)


def decimal_places(kind: Number) -> int:
    """Return how many digits after the mark a value of this resolution has: 2 for 0.01 and for 0.05."""
    exponent = kind.resolution.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
