"""Read declarations and room settings from their files."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import TYPE_CHECKING, Final, TypeVar

from cleanroom.catalog import CATALOG_KEYS, Category, Date, Number, TableCatalog, Text, read_catalog
from cleanroom.catalog.notes import first_note
from cleanroom.catalog.strict_yaml import (
    Mapping,
    Node,
    Scalar,
    Sequence,
    expect_mapping,
    expect_scalar,
    expect_sequence,
    parse,
)
from cleanroom.errors import Bilingual, InvalidDeclaration
from cleanroom.identifiers import Digest, InvalidName, Purpose, Role, identifier, party_id
from cleanroom.policies.record import ProcessingRecord, read_record
from cleanroom.policies.rule import (
    Analysis,
    AnalysisRule,
    BudgetTerms,
    Declaration,
    Dimension,
    Function,
    PartyTerms,
    RoomSettings,
    SpendingWindow,
)

if TYPE_CHECKING:
    from cleanroom.identifiers import PartyId

MAX_EPSILON: Final = Decimal(1_000_000)
LEAST_DELTA: Final = Fraction(1, 10**30)
LARGEST_THRESHOLD: Final = 1_000_000
_DATE_PARTS: Final = ("day", "month", "year")
_RULE_KEYS: Final = (
    "name",
    "parties",
    "purposes",
    "analyses",
    "functions",
    "dimensions",
    "allowed_literals",
    "threshold",
    "min_parties",
    "default_epsilon",
    "max_epsilon_per_question",
    "per_party",
)

Word = TypeVar("Word", bound=StrEnum)


def read_declaration(content: bytes) -> Declaration:
    """Read a table's file.

    Raises:
        InvalidDeclaration: with the line and what is wrong there.
    """
    _refuse_notes(content)
    root = parse(content)
    root.only(*CATALOG_KEYS, "budget", "rules")
    catalog = read_catalog(root)
    budget = _budget(expect_mapping(root.required("budget")), pure=True)
    rules = tuple(_rule(expect_mapping(item), catalog) for item in expect_sequence(root.required("rules")).items)
    names = [rule.name for rule in rules]
    if len(set(names)) != len(names):
        raise _wrong(root.required("rules"), "deux règles ont le même nom", "two rules have the same name")
    return Declaration(catalog, budget, rules, Digest.of(content))


def _refuse_notes(content: bytes) -> None:
    """Refuse a draft as it was drawn from the data: what is signed is public, comments too (S25)."""
    line = first_note(content)
    if line is not None:
        raise InvalidDeclaration(
            Bilingual(
                "c'est un brouillon : ses lignes « #~ » parlent de vos données et deviendraient publiques ; "
                "relisez tout, puis : cleanroom declare ROOM FILE.yaml --reviewed",
                "this is a draft: its lines '#~' speak of your data and would become public; review all of it, then: "
                "cleanroom declare ROOM FILE.yaml --reviewed",
            ),
            line=line,
        )


def read_settings(content: bytes) -> RoomSettings:
    """Read a room's purposes, its budget, and what registers say of it.

    Raises:
        InvalidDeclaration: with the line and what is wrong there.
    """
    root = parse(content)
    root.only("purposes", "budget", "register")
    purposes = _purposes(expect_sequence(root.required("purposes")))
    said = root.get("register")
    record = ProcessingRecord() if said is None else read_record(said, purposes)
    return RoomSettings(tuple(sorted(purposes)), _budget(expect_mapping(root.required("budget")), pure=False), record)


def _budget(node: Mapping, *, pure: bool) -> BudgetTerms:
    """Read a budget.

    Args:
        pure: whether delta may be 0, which makes every question of the table pure (S11); the room's never is.
    """
    node.only("epsilon", "delta", "window")
    delta_node = expect_scalar(node.required("delta"))
    delta = Fraction(delta_node.as_decimal())
    if not (LEAST_DELTA <= delta < 1 or (pure and delta == 0)):
        raise _wrong(
            delta_node,
            "delta est entre 1e-30 et 1" + (", ou 0 pour un budget pur" if pure else ""),
            "delta lies between 1e-30 and 1" + (", or is 0 for a pure budget" if pure else ""),
        )
    return BudgetTerms(_epsilon(node.required("epsilon")), delta, _window(node))


def _window(node: Mapping) -> SpendingWindow:
    window = node.get("window")
    return SpendingWindow.NEVER if window is None else _word(expect_scalar(window), SpendingWindow)


def _epsilon(node: Node) -> Decimal:
    scalar = expect_scalar(node)
    epsilon = scalar.as_decimal()
    if not 0 < epsilon <= MAX_EPSILON or epsilon.as_tuple().exponent < -9:  # type: ignore[operator]
        raise _wrong(
            scalar,
            f"epsilon est entre 1e-9 et {MAX_EPSILON}",
            f"epsilon lies between 1e-9 and {MAX_EPSILON}",
        )
    return epsilon


def _rule(node: Mapping, catalog: TableCatalog) -> AnalysisRule:
    node.only(*_RULE_KEYS)
    literals = node.get("allowed_literals")
    limit = node.get("max_epsilon_per_question")
    per_party = node.get("per_party")
    default = _epsilon(node.required("default_epsilon"))
    maximum = _epsilon(limit) if limit is not None else None
    if maximum is not None and default > maximum:
        raise _wrong(
            node.required("default_epsilon"),
            "default_epsilon dépasse max_epsilon_per_question",
            "default_epsilon exceeds max_epsilon_per_question",
        )
    return AnalysisRule(
        name=_rule_name(expect_scalar(node.required("name"))),
        parties=_parties(node.required("parties")),
        purposes=_purposes(expect_sequence(node.required("purposes"))),
        analyses=_words(node.required("analyses"), Analysis),
        functions=_words(node.required("functions"), Function),
        dimensions=_dimensions(expect_sequence(node.required("dimensions")), catalog),
        allowed_literals=_columns(expect_sequence(literals), catalog) if literals is not None else None,
        threshold=_count(node, "threshold", LARGEST_THRESHOLD),
        min_parties=_count(node, "min_parties", LARGEST_THRESHOLD),
        default_epsilon=default,
        max_epsilon_per_question=maximum,
        per_party=_per_party(expect_mapping(per_party)) if per_party is not None else None,
    )


def _per_party(node: Mapping) -> PartyTerms:
    node.only("epsilon", "window")
    return PartyTerms(_epsilon(node.required("epsilon")), _window(node))


def _rule_name(node: Scalar) -> str:
    if not 1 <= len(node.text) <= 100 or not node.text.isprintable():
        raise _wrong(node, "un nom de règle a de 1 à 100 caractères", "a rule's name has 1 to 100 characters")
    return node.text


def _parties(node: Node) -> frozenset[PartyId] | Role:
    if isinstance(node, Mapping):
        node.only("role")
        return _word(expect_scalar(node.required("role")), Role)
    parties = set()
    for item in expect_sequence(node).scalars():
        try:
            parties.add(party_id(item.text))
        except InvalidName:
            raise _wrong(item, f"{item.text!r} n'est pas un nom", f"{item.text!r} is not a name") from None
    return frozenset(parties)


def _purposes(node: Sequence) -> frozenset[Purpose]:
    purposes = set()
    for item in node.scalars():
        try:
            purposes.add(Purpose(identifier(item.text)))
        except InvalidName:
            raise _wrong(item, f"{item.text!r} n'est pas un nom", f"{item.text!r} is not a name") from None
    if not purposes:
        raise _wrong(node, "aucun but", "no purpose")
    return frozenset(purposes)


def _dimensions(node: Sequence, catalog: TableCatalog) -> frozenset[Dimension]:
    dimensions = set()
    for item in node.scalars():
        name, colon, part = item.text.partition(":")
        column = catalog.column(name)
        if column is None:
            raise _wrong(item, f"colonne inconnue {name!r}", f"unknown column {name!r}")
        match column.type:
            case Date() if part in _DATE_PARTS:
                dimensions.add(Dimension(name, part))
            case Category() | Text() | Number() if not colon:
                dimensions.add(Dimension(name))
            case _:
                parts = ", ".join(f"{name}:{each}" for each in _DATE_PARTS)
                raise _wrong(
                    item,
                    f"une date se groupe par {parts} ; le reste par son nom",
                    f"group a date by {parts}; others by name",
                )
    return frozenset(dimensions)


def _columns(node: Sequence, catalog: TableCatalog) -> frozenset[str]:
    for item in node.scalars():
        if catalog.column(item.text) is None:
            raise _wrong(item, f"colonne inconnue {item.text!r}", f"unknown column {item.text!r}")
    return frozenset(item.text for item in node.scalars())


def _words(node: Node, words: type[Word]) -> frozenset[Word]:
    found = frozenset(_word(item, words) for item in expect_sequence(node).scalars())
    if not found:
        raise _wrong(node, "la liste est vide", "the list is empty")
    return found


def _word(node: Scalar, words: type[Word]) -> Word:
    if node.text not in {word.value for word in words}:
        known = ", ".join(word.value for word in words)
        raise _wrong(node, f"{node.text!r} inconnu (connus : {known})", f"unknown {node.text!r} (known: {known})")
    return words(node.text)


def _count(node: Mapping, key: str, largest: int) -> int:
    value = node.get(key)
    if value is None:
        return 0
    scalar = expect_scalar(value)
    number = scalar.as_integer()
    if not 0 <= number <= largest:
        raise _wrong(scalar, f"{key} est entre 0 et {largest}", f"{key} lies between 0 and {largest}")
    return number


def _wrong(node: Node, fr: str, en: str) -> InvalidDeclaration:
    return InvalidDeclaration(Bilingual(fr, en), line=node.line)
