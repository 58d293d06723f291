"""Decide what a draft proposes of each column that a survey saw: a type that may become public, or to leave it at home.

A column that names, places or reaches a person is never proposed, however few values it has: its domain would be a list
of people (S25).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_CEILING, Decimal
from enum import Enum
from typing import TYPE_CHECKING, Final

from cleanroom.catalog.columns import LARGEST_NUMBER
from cleanroom.client.headers import column_name
from cleanroom.errors import Bilingual
from cleanroom.identifiers import IdentifierKind, InvalidName, identifier

if TYPE_CHECKING:
    from cleanroom.client.survey import ColumnSurvey, Survey

MOST_CATEGORIES: Final = 200
_LEAST_REPEATED: Final = 3
"""Rows that a value of a category has on average, at least; in fewer, values are rather names than kinds."""

_MOSTLY: Final = 0.9
_NEARLY_UNIQUE: Final = 0.95
_LONGEST_VALUE: Final = 200
_PERSONAL: Final = frozenset(
    [
        "nom",
        "prenom",
        "name",
        "firstname",
        "lastname",
        "surname",
        "adresse",
        "address",
        "rue",
        "street",
        "courriel",
        "email",
        "mail",
        "telephone",
        "tel",
        "phone",
        "mobile",
        "cellulaire",
        "cell",
        "fax",
        "naissance",
        "birth",
        "birthdate",
        "birthday",
        "dob",
        "nas",
        "ssn",
        "sin",
        "ip",
        "signature",
        "conjoint",
        "postal",
        "zip",
        "postcode",
        "cp",
        "siege",
        "seat",
        "rangee",
        "commentaire",
        "comment",
        "comments",
        "note",
        "notes",
        "remarque",
        "remarques",
    ]
)
_NUMBERING: Final = frozenset(
    [
        "id",
        "no",
        "num",
        "numero",
        "number",
        "ref",
        "reference",
        "commande",
        "order",
        "transaction",
        "facture",
        "invoice",
        "billet_no",
        "barcode",
        "code_barre",
        "uuid",
        "guid",
        "token",
        "carte",
        "card",
    ]
)
_CUSTOMER: Final = frozenset(
    [
        "client",
        "clients",
        "customer",
        "membre",
        "member",
        "abonne",
        "subscriber",
        "acheteur",
        "buyer",
        "patron",
        "person",
        "personne",
        "contact",
        "compte",
        "account",
        "visiteur",
        "visitor",
    ]
)
_TAKEN: Final = frozenset({"person", "u"})
_POSTAL: Final = re.compile(r"[A-Za-z][0-9][A-Za-z][ -]?[0-9][A-Za-z][0-9]|[0-9]{5}(?:-[0-9]{4})?")


class Home(Enum):
    """Why a column is proposed to stay at home."""

    UNIT = "unit"
    PERSONAL = "personal"
    CONTACT = "contact"
    NUMBERING = "numbering"
    FREE_TEXT = "free_text"
    UNREADABLE = "unreadable"
    EMPTY = "empty"
    NO_NAME = "no_name"

    @property
    def reason(self) -> Bilingual:
        """Say it in both languages."""
        return _REASONS[self]


_REASONS: Final = {
    Home.UNIT: Bilingual("l'identifiant, qui ne voyage jamais", "the identifier, which never travels"),
    Home.PERSONAL: Bilingual("dit qui ou où est une personne", "tells who or where a person is"),
    Home.CONTACT: Bilingual("adresses courriel ou téléphones", "e-mail addresses or phones"),
    Home.NUMBERING: Bilingual("numéros d'une chose ou d'une personne", "numbers of a thing or a person"),
    Home.FREE_TEXT: Bilingual(
        "texte libre ou trop de valeurs ; regroupez-les avant l'exportation si elles servent",
        "free text or too many values; group them before the export if they are of use",
    ),
    Home.UNREADABLE: Bilingual("un type que rien ne convertit", "a type that nothing converts"),
    Home.EMPTY: Bilingual("toujours vide", "always empty"),
    Home.NO_NAME: Bilingual(
        "son en-tête ne donne pas de nom, ou un nom déjà pris ; renommez-la",
        "its header makes no name, or one that is taken; rename it",
    ),
}


@dataclass(frozen=True, slots=True)
class Left:
    """A column that stays at home."""

    column: ColumnSurvey
    why: Home


@dataclass(frozen=True, slots=True)
class Categories:
    """A column of few values."""

    column: ColumnSurvey
    name: str
    values: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class DayRange:
    """A column of days, and the whole years that hold them."""

    column: ColumnSurvey
    name: str
    first: date
    last: date


@dataclass(frozen=True, slots=True)
class Amounts:
    """A column of numbers, and round bounds that hold them."""

    column: ColumnSurvey
    name: str
    resolution: Decimal
    lower: Decimal
    upper: Decimal


Proposal = Left | Categories | DayRange | Amounts


@dataclass(frozen=True, slots=True)
class Unit:
    """The column that names the person.

    Args:
        place: from 0.
    """

    place: int
    column: ColumnSurvey
    kind: IdentifierKind


def find_unit(survey: Survey) -> Unit | None:
    """Return the identifier that most members share: e-mail, else phone, else a customer number; None without any."""
    columns = list(enumerate(survey.columns))
    for kind, share in ((IdentifierKind.EMAIL, "emails"), (IdentifierKind.PHONE, "phones")):
        found = [(getattr(column, share), -place) for place, column in columns]
        best, place = max(found, default=(0.0, 0))
        column = survey.columns[-place]
        named = kind is IdentifierKind.EMAIL or bool(_words(column) & _PERSONAL)
        if best >= _MOSTLY and named and column.values:
            return Unit(-place, column, kind)
    for place, column in columns:
        if _words(column) & _CUSTOMER and column.values and column.counts is None:
            return Unit(place, column, IdentifierKind.OPAQUE)
    for place, column in columns:
        if _words(column) & _CUSTOMER and column.values and column.distinct > 1 / _LEAST_REPEATED:
            return Unit(place, column, IdentifierKind.OPAQUE)
    return None


def propose(survey: Survey, unit: Unit) -> tuple[Proposal, ...]:
    """Return what is proposed of each column, in the sample's order."""
    names = [column_name(column.header) for column in survey.columns]
    proposals: list[Proposal] = []
    for place, column in enumerate(survey.columns):
        name = names[place]
        if place == unit.place:
            proposals.append(Left(column, Home.UNIT))
        elif not _is_name(name) or name in _TAKEN or names.count(name) > 1:
            proposals.append(Left(column, Home.NO_NAME))
        else:
            proposals.append(_proposal(column, name))
    return tuple(proposals)


def _proposal(column: ColumnSurvey, name: str) -> Proposal:
    if not column.readable:
        return Left(column, Home.UNREADABLE)
    if not column.values:
        return Left(column, Home.EMPTY)
    if column.emails > 0.5 or (column.phones >= _MOSTLY and column.distinct > 0.1):
        return Left(column, Home.CONTACT)
    if _words(column) & _PERSONAL:
        return Left(column, Home.PERSONAL)
    days = column.days
    if days is not None and days.first is not None and days.last is not None and _fits(days.wrong, column):
        return DayRange(column, name, days.first.replace(month=1, day=1), days.last.replace(month=12, day=31))
    if (
        column.values >= 100
        and column.distinct > _NEARLY_UNIQUE
        and (_words(column) & _NUMBERING or not column.numbers)
    ):
        return Left(column, Home.NUMBERING if _words(column) & _NUMBERING else Home.FREE_TEXT)
    if _words(column) & _NUMBERING and column.counts is None:
        return Left(column, Home.NUMBERING)
    amounts = _amounts(column, name)
    if amounts is not None:
        return amounts
    return _categories(column, name) or Left(column, Home.FREE_TEXT)


def _amounts(column: ColumnSurvey, name: str) -> Amounts | None:
    numbers = column.numbers
    if numbers is None or numbers.lower is None or numbers.upper is None or not _fits(numbers.wrong, column):
        return None
    largest = numbers.resolution * LARGEST_NUMBER
    counted = numbers.resolution == 1 and numbers.lower >= 1  # tickets, visits: there is no row without one
    lower = _outward(numbers.lower) if numbers.lower < 0 else Decimal(int(counted))
    upper = max(_outward(numbers.upper), lower + numbers.resolution)
    return Amounts(column, name, numbers.resolution, max(lower, -largest), min(upper, largest))


def _categories(column: ColumnSurvey, name: str) -> Categories | None:
    counts = column.counts
    if counts is None or not 1 <= counts.height <= MOST_CATEGORIES:
        return None
    if counts.height * _LEAST_REPEATED > column.values and counts.height > 2:
        return None
    values = tuple((str(value), int(rows)) for value, rows in counts.iter_rows())
    if any(len(value) > _LONGEST_VALUE or not value.isprintable() for value, _ in values):
        return None
    if sum(_POSTAL.fullmatch(value) is not None for value, _ in values) * 2 > len(values):
        return None
    return Categories(column, name, values)


def outward_count(number: int) -> int:
    """Return the next of 1, 2, 5, 10, 20… from a number on."""
    return int(_outward(Decimal(max(1, number))))


def _outward(value: Decimal) -> Decimal:
    """Return the next of ±1, ±2, ±5 times a power of ten, away from zero: a bound that says little of the data."""
    if not value:
        return Decimal(0)
    step = Decimal(1).scaleb(abs(value).adjusted())
    times = (abs(value) / step).to_integral_value(ROUND_CEILING)
    nice = next(each for each in (1, 2, 5, 10) if each >= times)
    return (step * nice).copy_sign(value)


def _fits(wrong: int, column: ColumnSurvey) -> bool:
    return wrong <= (1 - _NEARLY_UNIQUE) * column.values


def _words(column: ColumnSurvey) -> set[str]:
    name = column_name(column.header)
    # `NomClient`, `customerID`: a capital begins a word.
    parted = column_name(re.sub(r"(?<=[a-zà-ÿ])(?=[A-ZÀ-Ý])", " ", column.header))
    return {name, *name.split("_"), *parted.split("_")}


def _is_name(name: str) -> bool:
    try:
        identifier(name)
    except InvalidName:
        return False
    return True
