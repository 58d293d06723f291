"""Know the forms in which offices write numbers: decimal mark, thousands, a currency, losses in parentheses."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from cleanroom.errors import Bilingual


class DecimalMark(Enum):
    """What stands before the decimals."""

    POINT = "."
    COMMA = ","

    @property
    def other(self) -> str:
        """Return the sign that may then stand between thousands."""
        return "," if self is DecimalMark.POINT else "."

    @property
    def shown(self) -> Bilingual:
        """Say it in both languages."""
        match self:
            case DecimalMark.POINT:
                return Bilingual("point décimal", "decimal point")
            case DecimalMark.COMMA:
                return Bilingual("virgule décimale", "decimal comma")


@dataclass(frozen=True, slots=True)
class NumberForm:
    """How a column's numbers are written, as far as its values have shown.

    Args:
        mark: what marks decimals; None as long as no value has any.
        currency: the sign or code that all of them bear, without blanks; None where none does.
        grouped: whether the other mark stands between thousands; None as long as no value has it.
        seen: whether there was any number yet; from the first on, `currency` is certain.
    """

    mark: DecimalMark | None = None
    currency: str | None = None
    grouped: bool | None = None
    seen: bool = False

    @property
    def shown(self) -> Bilingual:
        """Say it in both languages; empty where it could not be written otherwise."""
        fr, en = [], []
        if self.mark is not None:
            fr.append(self.mark.shown.fr)
            en.append(self.mark.shown.en)
            if self.grouped:
                fr.append("point des milliers" if self.mark is DecimalMark.COMMA else "virgule des milliers")
                en.append("point between thousands" if self.mark is DecimalMark.COMMA else "comma between thousands")
        if self.currency is not None:
            fr.append(f"« {self.currency} » partout")
            en.append(f"{self.currency} everywhere")
        return Bilingual(", ".join(fr), ", ".join(en))


GROUP_SIGNS: Final = "\u202f\u00a0 '\u2019"
"""What may stand between thousands: narrow no-break space, no-break space, space, apostrophes; one kind in a value."""

BLANKS: Final = "[ \u00a0\u202f]*"
CURRENCY_PATTERN: Final = (
    rf"(?:(?:CA|US|C)?\$(?:{BLANKS}(?:CAD|USD|CA|US))?|€|£|CAD{BLANKS}\$|USD{BLANKS}\$|CAD|USD|EUR|GBP)"
)
"""A currency's sign or code; Rust and `re` read it alike."""

CURRENCY_SIGNS: Final = ("$", "€", "£", "CAD", "USD", "EUR", "GBP")
"""Of which every currency's expression holds one."""

_GROUPED: Final = "|".join(rf"[0-9]{{1,3}}(?:{sign}[0-9]{{3}}){{1,19}}" for sign in GROUP_SIGNS)
NUMBER_PATTERN: Final = (
    rf"[+-]?(?:[0-9]{{1,60}}(?:[.,][0-9]{{1,60}})?(?:[eE][+-]?[0-9]{{1,2}})?|(?:{_GROUPED})(?:[.,][0-9]{{1,60}})?)"
)
MARKED_PATTERN: Final = rf"[+-]?(?:[0-9]{{1,60}}|{_GROUPED})[.,][0-9]{{1,60}}(?:[eE][+-]?[0-9]{{1,2}})?"
BOTH_MARKS_PATTERN: Final = (
    r"[+-]?(?:[0-9]{1,3}(?:,[0-9]{3}){1,19}\.[0-9]{1,60}|[0-9]{1,3}(?:\.[0-9]{3}){1,19},[0-9]{1,60})"
)
"""Commas and points that leave no doubt which marks the decimals: 1,234.56 or 1.234,56."""

_LEADING: Final = re.compile(rf"({CURRENCY_PATTERN}){BLANKS}")
_TRAILING: Final = re.compile(rf"{BLANKS}({CURRENCY_PATTERN})\Z")
_BLANK: Final = re.compile("[ \u00a0\u202f]")
_CODES: Final = {
    "$": {"CAD", "USD"},
    "€": {"EUR"},
    "£": {"GBP"},
    "C$": {"CAD"},
    "CA$": {"CAD"},
    "US$": {"USD"},
    "$CA": {"CAD"},
    "$US": {"USD"},
    "$CAD": {"CAD"},
    "$USD": {"USD"},
    "CAD$": {"CAD"},
    "USD$": {"USD"},
}
KNOWN_CODES: Final = frozenset({"CAD", "USD", "EUR", "GBP"})


@dataclass(frozen=True, slots=True)
class BareNumber:
    """A number without what an accountant writes around it; `currency` without blanks."""

    text: str
    currency: str | None


def bare_number(text: str) -> BareNumber:
    """Take a currency off a number, and turn parentheses into a minus sign; what is no number stays what it is.

    `(12,50 $)`, `-$12.50` and `$ (12.50)` are losses; a number has one sign, and one currency, at most.
    """
    rest, currencies, minus = text.replace("\N{MINUS SIGN}", "-"), [], ""
    for _ in range(2):  # outside parentheses, then inside
        if rest[:1] in {"-", "+"} and not minus and _LEADING.match(rest[1:].lstrip(" \u00a0\u202f")):
            minus, rest = rest[0], rest[1:].lstrip(" \u00a0\u202f")
        for place in (_LEADING.match(rest), _TRAILING.search(rest)):
            if place is not None:
                currencies.append(_BLANK.sub("", place[1]))
                rest = rest[place.end() :] if place.start() == 0 else rest[: place.start()]
                break
        if rest.startswith("(") and rest.endswith(")") and not minus:
            minus, rest = "-", rest[1:-1].strip(" \u00a0\u202f")
            if rest[:1] in {"-", "+"}:
                return BareNumber(text, None)
        else:
            break
    if minus and rest[:1] in {"-", "+"}:
        return BareNumber(text, None)
    if len(currencies) > 1:
        return BareNumber(text, None)
    return BareNumber(minus + rest, currencies[0] if currencies else None)


def is_of_unit(currency: str, unit: str | None) -> bool:
    """Tell whether amounts in a currency may stand in a column of a declared unit; other units are not known here."""
    return unit not in KNOWN_CODES or unit in _CODES.get(currency, {currency})
