"""Know the forms in which offices write days, and which of them may be found out.

A form that two countries read differently is never guessed, nor is a century: it is taken only if the owner says it.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Final

from cleanroom.errors import Bilingual

_MONTHS: Final = (
    ("janvier", "janv", "january", "jan"),
    ("fevrier", "fevr", "fev", "february", "feb"),
    ("mars", "march", "mar"),
    ("avril", "avr", "april", "apr"),
    ("mai", "may"),
    ("juin", "june", "jun"),
    ("juillet", "juil", "july", "jul"),
    ("aout", "august", "aug"),
    ("septembre", "sept", "september", "sep"),
    ("octobre", "oct", "october"),
    ("novembre", "nov", "november"),
    ("decembre", "dec", "december"),
)
"""French and English, in full and as offices shorten them, without accents; no name means two months."""

_MONTH_OF: Final = {name: number + 1 for number, names in enumerate(_MONTHS) for name in names}
_PATTERNS: Final = {
    "%Y": "[0-9]{4}",
    "%y": "[0-9]{2}",
    "%m": "[0-9]{2}",
    "%d": "[0-9]{2}",
    "%-m": "[0-9]{1,2}",
    "%-d": "[0-9]{1,2}",
    "%B": r"[A-Za-zÀ-ÿ]{3,9}\.?",
}
_PART: Final = re.compile("%-?[A-Za-z]")
_NAMED: Final = (
    r"(?:[0-9]{1,2}|1er)[ \u00a0\u202f-][A-Za-zÀ-ÿ]{3,9}\.?[ \u00a0\u202f-][0-9]{4}"
    r"|[A-Za-z]{3,9}\.?[ \u00a0\u202f][0-9]{1,2},?[ \u00a0\u202f][0-9]{4}"
)
_NAMED_DAY: Final = re.compile(r"(\d{1,2}|1er)[\s-]([^\W\d_]{3,9})\.?[\s-](\d{4})")
_MONTH_DAY: Final = re.compile(r"([^\W\d_]{3,9})\.?\s(\d{1,2}),?\s(\d{4})")
_FRENCH: Final = {"%Y": "AAAA", "%y": "AA", "%m": "MM", "%d": "JJ", "%-m": "M", "%-d": "J", "%B": "mois"}
_ENGLISH: Final = {"%Y": "YYYY", "%y": "YY", "%m": "MM", "%d": "DD", "%-m": "M", "%-d": "D", "%B": "month"}

TIME_PATTERN: Final = (
    r"(?:,?[ \u00a0\u202f]|T)(?:à )?(?:[01]?[0-9]|2[0-3])(?::[0-5][0-9](?::[0-5][0-9](?:[.,][0-9]{1,9})?)?"
    r"|[ \u00a0\u202f]?h[ \u00a0\u202f]?(?:[0-5][0-9])?)(?:[ \u00a0\u202f]?[AaPp]\.?[Mm]\.?)?"
)
"""A time of day after a day, without a zone: 19:30, T19:30:00.000, 19 h 30, 7:30 PM."""

ZONE_PATTERN: Final = r"[ \u00a0\u202f]?(?:Z|UTC|GMT|[+-][0-9]{2}:?[0-9]{2})"
"""A zone after a time of day."""

SHORT_YEAR_PATTERN: Final = r"[0-9]{1,2}([/.-])[0-9]{1,2}[/.-][0-9]{2}"


class DateForm(Enum):
    """How days are written; the value is the pattern, as Python's strftime reads it."""

    ISO = "%Y-%m-%d"
    SLASHES = "%d/%m/%Y"
    DASHES = "%d-%m-%Y"
    DOTS = "%d.%m.%Y"
    YEAR_SLASHES = "%Y/%m/%d"
    NAMED = "%-d %B %Y"
    LOOSE = "%-d/%-m/%Y"
    MONTH_FIRST = "%-m/%-d/%Y"
    SHORT_SLASHES = "%d/%m/%y"
    SHORT_DASHES = "%d-%m-%y"
    SHORT_DOTS = "%d.%m.%y"
    SHORT_ISO = "%y-%m-%d"
    SHORT_MONTH_FIRST = "%-m/%-d/%y"
    COMPACT = "%Y%m%d"

    @property
    def pattern(self) -> str:
        """Return the expression of its digits and signs, for `re` and Rust alike; it has no groups to number."""
        if self is DateForm.NAMED:
            return f"(?:{_NAMED})"
        return _PART.sub(lambda part: _PATTERNS[part[0]], self.value.replace(".", r"\."))

    @property
    def shown(self) -> Bilingual:
        """Say it in both languages."""
        if self is DateForm.NAMED:
            return Bilingual("3 mai 2024", "May 3, 2024")
        return Bilingual(
            _PART.sub(lambda part: _FRENCH[part[0]], self.value), _PART.sub(lambda part: _ENGLISH[part[0]], self.value)
        )

    @property
    def found_out(self) -> bool:
        """Tell whether a column may be read so without its owner saying it."""
        return self in _FOUND_OUT

    @property
    def described(self) -> Bilingual:
        """Say it in both languages, and which number comes first, where one could be mistaken."""
        shown = self.shown
        if self in {DateForm.MONTH_FIRST, DateForm.SHORT_MONTH_FIRST}:
            return Bilingual(f"{shown.fr}, mois d'abord", f"{shown.en}, month first")
        if self.value.startswith(("%d", "%-d/")):
            return Bilingual(f"{shown.fr}, jour d'abord", f"{shown.en}, day first")
        return shown

    def day(self, text: str) -> date | None:
        """Return the day that `text`, which has the form, names; None where the calendar has no such day."""
        if self is DateForm.NAMED:
            return _named_day(text)
        parts = (part.replace("-", "") for part in _PART.findall(self.value))
        numbers = dict(zip(parts, self._digits(text), strict=True))
        year = numbers["%Y"] if "%Y" in numbers else _century(numbers["%y"]) + numbers["%y"]
        return _existing(year, numbers["%m"], numbers["%d"])

    def _digits(self, text: str) -> list[int]:
        if self is DateForm.COMPACT:
            return [int(text[:4]), int(text[4:6]), int(text[6:])]
        return [int(digits) for digits in re.findall("[0-9]+", text)]

    @classmethod
    def called(cls, text: str) -> DateForm | None:
        """Return the form that somebody names: `JJ/MM/AA`, `mm/dd/yyyy`, in either language; None if there is none."""
        name = text.strip().upper()
        short = {"MM/JJ/AAAA": "M/J/AAAA", "MM/DD/YYYY": "M/D/YYYY", "MM/JJ/AA": "M/J/AA", "MM/DD/YY": "M/D/YY"}
        name = short.get(name, name)
        return next((form for form in cls if name in {form.shown.fr.upper(), form.shown.en.upper()}), None)


_FOUND_OUT: Final = frozenset(
    {DateForm.ISO, DateForm.SLASHES, DateForm.DASHES, DateForm.DOTS, DateForm.YEAR_SLASHES, DateForm.NAMED}
)


@dataclass(frozen=True, slots=True)
class MomentForm:
    """Days in a form, some of them with a time of day, which is left out."""

    day: DateForm

    @property
    def shown(self) -> Bilingual:
        """Say it in both languages."""
        day = self.day.shown
        return Bilingual(f"{day.fr} HH:MM", f"{day.en} HH:MM")

    @property
    def described(self) -> Bilingual:
        """Say it in both languages, which number comes first, and that only the day is taken."""
        day, order = self.shown, self.day.described
        return Bilingual(
            f"{day.fr}{order.fr.removeprefix(self.day.shown.fr)} ; l'heure reste chez vous",
            f"{day.en}{order.en.removeprefix(self.day.shown.en)}; the time of day stays with you",
        )


def _named_day(text: str) -> date | None:
    found = _NAMED_DAY.fullmatch(text)
    if found is not None:
        day, name, year = found.groups()
    else:
        found = _MONTH_DAY.fullmatch(text)
        if found is None:
            return None
        name, day, year = found.groups()
    letters = unicodedata.normalize("NFKD", name.casefold())
    month = _MONTH_OF.get("".join(letter for letter in letters if letter.isascii()))
    return None if month is None else _existing(int(year), month, int(day.removesuffix("er")))


def _century(year: int) -> int:
    """Return the century of a year of two digits, as Rust's chrono does: 70 is 1970."""
    return 1900 if year >= 70 else 2000


def _existing(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None
