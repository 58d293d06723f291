"""Read the catalog part of a table's file (DESIGN §9)."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Final

from cleanroom.catalog.columns import LARGEST_DOMAIN, LARGEST_NUMBER, Category, Column, ColumnType, Date, Number, Text
from cleanroom.catalog.strict_yaml import Mapping, Node, Scalar, expect_mapping, expect_scalar, expect_sequence
from cleanroom.catalog.table import Contribution, PrivacyUnit, TableCatalog
from cleanroom.errors import Bilingual, InvalidDeclaration
from cleanroom.identifiers import DEFAULT_REGION, IdentifierKind, InvalidName, TableName, identifier

CATALOG_KEYS: Final = ("table", "unit", "columns", "limits", "defaults")
LARGEST_ROW_LIMIT: Final = 65_535
LARGEST_GROUP_LIMIT: Final = 65_535
LONGEST_VALUE: Final = 200
RESERVED_COLUMN: Final = "u"
"""What the token is called in a partition (docs/spec/partition.md)."""


def read_catalog(declaration: Mapping) -> TableCatalog:
    """Read a table's catalog from its parsed file.

    Raises:
        InvalidDeclaration: with the line and what is wrong there.
    """
    table = _table_name(expect_scalar(declaration.required("table")))
    unit = _unit(expect_mapping(declaration.required("unit")))
    columns = _columns(expect_mapping(declaration.required("columns")), unit)
    limits = expect_mapping(declaration.required("limits"))
    limits.only("max_rows_per_person")
    defaults = expect_mapping(declaration.required("defaults"))
    defaults.only("max_rows_contributed", "max_groups_contributed")
    return TableCatalog(
        table,
        unit,
        columns,
        _count(limits, "max_rows_per_person", LARGEST_ROW_LIMIT),
        Contribution(
            _count(defaults, "max_rows_contributed", LARGEST_ROW_LIMIT),
            _count(defaults, "max_groups_contributed", LARGEST_GROUP_LIMIT),
        ),
    )


def _table_name(node: Scalar) -> TableName:
    try:
        return TableName.parse(node.text)
    except InvalidName:
        raise _wrong(
            node, f"{node.text!r} n'est pas un nom « membre.table »", f"{node.text!r} is not a name 'member.table'"
        ) from None


def _identifier(text: str, node: Node) -> str:
    try:
        return identifier(text)
    except InvalidName:
        raise _wrong(
            node,
            f"{text!r} n'est pas un nom (minuscules ASCII, chiffres et _, une lettre d'abord)",
            f"{text!r} is not a name (lowercase ASCII letters, digits and _, a letter first)",
        ) from None


def _unit(node: Mapping) -> PrivacyUnit:
    node.only("name", "from", "kind", "namespace", "region")
    kind = expect_scalar(node.required("kind"))
    if kind.text not in set(IdentifierKind):
        known = ", ".join(IdentifierKind)
        raise _wrong(kind, f"genre inconnu {kind.text!r} (connus : {known})", f"unknown kind {kind.text!r} ({known})")
    source = expect_scalar(node.required("from")).text
    name = expect_scalar(node.required("name"))
    known_kind = IdentifierKind(kind.text)
    return PrivacyUnit(
        _identifier(name.text, name), source, known_kind, _namespace(node, known_kind), _region(node, known_kind)
    )


def _namespace(node: Mapping, kind: IdentifierKind) -> str | None:
    given = node.get("namespace")
    if given is None:
        return None
    name = expect_scalar(given)
    if kind is not IdentifierKind.OPAQUE:
        raise _wrong(name, "namespace ne va qu'avec kind: opaque", "namespace goes with kind: opaque only")
    return _identifier(name.text, name)


def _region(node: Mapping, kind: IdentifierKind) -> str | None:
    given = node.get("region")
    if kind is not IdentifierKind.PHONE:
        if given is not None:
            raise _wrong(given, "region ne va qu'avec kind: phone", "region goes with kind: phone only")
        return None
    if given is None:
        return DEFAULT_REGION
    from phonenumbers import SUPPORTED_REGIONS

    region = expect_scalar(given)
    if region.text not in SUPPORTED_REGIONS:
        raise _wrong(
            region,
            f"{region.text!r} n'est pas un pays en deux majuscules (CA, FR, US…)",
            f"{region.text!r} is not a country in two capital letters (CA, FR, US…)",
        )
    return region.text


def _columns(node: Mapping, unit: PrivacyUnit) -> tuple[Column, ...]:
    columns: list[Column] = []
    for name, description in node.entries:
        if name == RESERVED_COLUMN:
            raise _wrong(description, f"« {name} » est réservé au jeton", f"{name!r} is reserved for the token")
        if _identifier(name, description) == unit.name or name == unit.source:
            raise _wrong(
                description,
                f"« {name} » désigne déjà la personne ; l'identifiant ne voyage jamais",
                f"{name!r} already names the person; the identifier never travels",
            )
        columns.append(Column(name, _column_type(expect_mapping(description))))
    if not columns:
        raise _wrong(node, "aucune colonne", "no columns")
    return tuple(columns)


def _column_type(node: Mapping) -> ColumnType:
    kind = expect_scalar(node.required("type"))
    nullable_node = node.get("nullable")
    nullable = expect_scalar(nullable_node).as_boolean() if nullable_node is not None else False
    match kind.text:
        case "category":
            node.only("type", "domain", "nullable")
            return Category(_domain(node.required("domain")), nullable)
        case "text":
            node.only("type", "nullable")
            return Text(nullable)
        case "date":
            node.only("type", "range", "nullable")
            return _date(node, nullable)
        case "integer":
            node.only("type", "bounds", "nullable", "unit")
            return _number(node, Decimal(1), nullable)
        case "decimal":
            node.only("type", "resolution", "bounds", "nullable", "unit")
            resolution = expect_scalar(node.required("resolution"))
            step = resolution.as_decimal()
            if step <= 0:
                raise _wrong(resolution, "la résolution doit être positive", "the resolution must be positive")
            return _number(node, step, nullable)
    known = "category, text, date, integer, decimal"
    raise _wrong(kind, f"type inconnu {kind.text!r} (connus : {known})", f"unknown type {kind.text!r} (known: {known})")


def _domain(node: Node) -> tuple[str, ...]:
    if isinstance(node, Scalar):
        raise _wrong(
            node,
            "le domaine est une liste de valeurs ; les tables de référence ne sont pas encore admises ici",
            "the domain is a list of values; reference tables are not admitted here yet",
        )
    values = [item.text for item in expect_sequence(node).scalars()]
    if not 1 <= len(values) <= LARGEST_DOMAIN:
        raise _wrong(
            node,
            f"le domaine doit avoir de 1 à {LARGEST_DOMAIN} valeurs",
            f"the domain must have 1 to {LARGEST_DOMAIN} values",
        )
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise _wrong(node, f"valeur répétée {value!r}", f"duplicate value {value!r}")
        if not 1 <= len(value) <= LONGEST_VALUE or not value.isprintable():
            raise _wrong(node, f"valeur illisible {value!r}", f"unprintable value {value!r}")
        seen.add(value)
    return tuple(values)


def _date(node: Mapping, nullable: bool) -> Date:
    ends = expect_sequence(node.required("range")).scalars()
    if len(ends) != 2:
        raise _wrong(node, "range: [premier jour, dernier jour]", "range: [first day, last day]")
    first, last = ends[0].as_date(), ends[1].as_date()
    if first > last:
        raise _wrong(node, "le premier jour suit le dernier", "the first day is after the last")
    return Date(first, last, nullable)


def _number(node: Mapping, resolution: Decimal, nullable: bool) -> Number:
    ends = expect_sequence(node.required("bounds")).scalars()
    if len(ends) != 2:
        raise _wrong(node, "bounds: [minimum, maximum]", "bounds: [minimum, maximum]")
    lower, upper = (_whole_steps(end, resolution) for end in ends)
    if lower > upper:
        raise _wrong(node, "le minimum dépasse le maximum", "the minimum exceeds the maximum")
    unit = node.get("unit")
    return Number(resolution, lower, upper, nullable, expect_scalar(unit).text if unit is not None else None)


def _whole_steps(node: Scalar, resolution: Decimal) -> int:
    try:
        steps = Fraction(node.as_decimal()) / Fraction(resolution)
    except (InvalidOperation, ZeroDivisionError, OverflowError):
        raise _wrong(node, "nombre illisible", "unreadable number") from None
    if steps.denominator != 1:
        raise _wrong(
            node,
            f"{node.text} n'est pas un multiple de la résolution {resolution}",
            f"{node.text} is not a multiple of the resolution {resolution}",
        )
    if abs(steps) > LARGEST_NUMBER:
        raise _wrong(
            node,
            f"{node.text} dépasse 2^31 pas de {resolution}",
            f"{node.text} exceeds 2^31 steps of {resolution}",
        )
    return int(steps)


def _count(node: Mapping, key: str, largest: int) -> int:
    scalar = expect_scalar(node.required(key))
    number = scalar.as_integer()
    if not 1 <= number <= largest:
        raise _wrong(scalar, f"{key} doit être de 1 à {largest}", f"{key} must be from 1 to {largest}")
    return number


def _wrong(node: Node, fr: str, en: str) -> InvalidDeclaration:
    return InvalidDeclaration(Bilingual(fr, en), line=node.line)
