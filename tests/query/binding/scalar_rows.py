"""Rows of every type, as plain values and as codes; scalar expressions bound over them, computed and compared."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
from sqlglot import exp

from cleanroom.catalog import day_number
from cleanroom.identifiers import fold
from cleanroom.query.binding.scalars import bind_scalar
from cleanroom.query.parse import Parameters, ParsedQuery, parse
from cleanroom.query.refusals import refusal
from cleanroom.query.terms.duckdb_terms import placeholder, printed
from cleanroom.query.terms.evaluate import Values, evaluate
from cleanroom.query.terms.language import Column, columns_of
from cleanroom.query.terms.resolutions import as_typed
from cleanroom.query.terms.typed import Constant, Typed
from cleanroom.query.terms.types import BooleanType, CategoryType, DateType, NullType, NumberType, TextType, ValueType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cleanroom.errors import Position, Refusal
    from cleanroom.query.parse import ParameterValue

REGIONS = ("montreal", "Laval", "côte-nord", "STRASSE", "straße", "İle ", "\u00a0estrie", "a%b_c", "", "Été")
GENRES = ("opera", "danse", "Danse")
TYPES: dict[str, ValueType] = {
    "amount": NumberType(Fraction(1, 100), -50_000, 50_000, True, -50_000, 50_000),
    "tickets": NumberType.between(1, 12, nullable=True),
    "score": NumberType.between(-100, 100, nullable=True),
    "region": CategoryType(REGIONS, nullable=True),
    "genre": CategoryType(GENRES, nullable=True),
    "channel": TextType(nullable=True),
    "bought": DateType(day_number(date(2019, 12, 25)), day_number(date(2025, 3, 2)), nullable=True),
    "seen": DateType(day_number(date(2019, 12, 25)), day_number(date(2025, 3, 2)), nullable=True),
    "early": DateType(day_number(date(1, 1, 1)), day_number(date(1, 12, 31)), nullable=True),
    "late": DateType(day_number(date(9999, 1, 1)), day_number(date(9999, 12, 31)), nullable=True),
}
NAMES = tuple(TYPES)
_SQL_TYPES = {
    "amount": "decimal(7, 2)",
    "tickets": "integer",
    "score": "integer",
    "region": "varchar",
    "genre": "varchar",
    "channel": "varchar",
}
_DAYS = ("2019-12-25", "2020-02-29", "2020-12-31", "2021-01-03", "2021-01-31", "2023-03-31", "2024-02-29", "2025-03-02")
ROWS = 840


def plain_rows() -> list[tuple[object, ...]]:
    """Return rows with halves, ends of months and years, capitals, spaces and NULL in each column."""
    cents = (0, 1, -1, 50, -50, 49, 150, 250, -250, 1050, 50_000, -50_000, 12_345, None)
    scores = (0, 1, -1, 7, -7, 100, -100, 15, None)
    texts = ("web", "Tel", "", "é", "ÉTÉ", "  pad ", "\u00a0nbsp", "straße", "a%b_c", "a" * 40, "Σσς", "🇨🇦x", None)
    days = [*(date.fromisoformat(day) for day in _DAYS), None]
    start, end = date(1, 1, 1), date(9999, 12, 31)
    rows: list[tuple[object, ...]] = []
    for number in range(ROWS):
        amount = cents[number % len(cents)]
        rows.append(
            (
                None if amount is None else Decimal(amount) / 100,
                [*range(1, 13), None][number % 13],
                scores[number % len(scores)],
                [*REGIONS, None][number % (len(REGIONS) + 1)],
                [*GENRES, None][number % (len(GENRES) + 1)],
                texts[number % len(texts)],
                days[number % len(days)] if number % 2 else date(2019, 12, 25) + timedelta(days=number * 2),
                days[number // 9 % len(days)],
                start + timedelta(days=number % 365) if number % 50 else None,
                end - timedelta(days=number % 365) if number % 50 else None,
            )
        )
    return rows


def code(kind: ValueType, value: object) -> object:
    """Return the code of a plain value."""
    match kind, value:
        case (_, None) | (TextType(), _):
            return value
        case NumberType(resolution=resolution), _:
            return int(Fraction(value) / resolution)  # type: ignore[arg-type]
        case CategoryType(domain=domain), str():
            return domain.index(value)
        case DateType(), date():
            return day_number(value)
    raise AssertionError(kind)


@dataclass
class Scope:
    """A scope of these columns and nothing else; `person` is refused as the unit."""

    query: ParsedQuery
    types: dict[str, ValueType]
    reasons: list[Refusal] = field(default_factory=list)

    @property
    def text(self) -> str:
        return self.query.text

    def special(self, node: exp.Expr) -> Typed | bool | None:
        if isinstance(node, (exp.Exists, exp.Subquery)):
            return self.subquery(node)
        return False

    def subquery(self, node: exp.Expr) -> Typed | None:
        self.refuse("not_admitted", node, what="SELECT")
        return None

    def column(self, node: exp.Column) -> Typed | None:
        name = fold(str(node.name))
        if name == "person":
            self.refuse("unit_use", node, unit=name)
            return None
        if name not in self.types or node.args.get("db") is not None:
            self.refuse("unknown_name", node, name=name)
            return None
        return Typed(Column(list(self.types).index(name)), self.types[name], position=self.position(node))

    def parameter(self, node: exp.Placeholder) -> ParameterValue:
        return self.query.parameter(node)

    def position(self, node: exp.Expr) -> Position | None:
        return self.query.position(node)

    def refuse(self, code: str, node: exp.Expr, hint: tuple[str, str] | None = None, **evidence: object) -> None:
        self.note(refusal(code, self.position(node), hint=hint, **evidence))

    def note(self, reason: Refusal) -> None:
        self.reasons.append(reason)


def bound(sql: str, parameters: Parameters = None) -> tuple[Typed | Constant | None, list[Refusal]]:
    """Bind one expression, the only output of a SELECT.

    Raises:
        Refused: by `parse`.
    """
    query = parse(f"SELECT {sql} FROM t.v", parameters)  # noqa: S608 - only parsed
    (node,) = query.tree.expressions
    scope = Scope(query, dict(TYPES))
    return bind_scalar(node, scope), scope.reasons


def computed(
    engine: duckdb.DuckDBPyConnection, found: Typed | Constant, columns: dict[int, Values]
) -> tuple[ValueType, list[object], list[object]]:
    """Return the type of a bound expression, and its codes as evaluated and as DuckDB computes what is printed."""
    typed = as_typed(found) if isinstance(found, Constant) else found
    assert typed is not None, found
    evaluated = evaluate(typed.term, {at: columns[at] for at in columns_of(typed.term)}, ROWS).items()
    parameters: list[object] = []

    def bind(value: object) -> str:
        parameters.append(list(value) if isinstance(value, tuple) else value)
        return placeholder(value)  # type: ignore[arg-type]

    sql = f"SELECT {printed(typed.term, bind)} AS v FROM codes AS t ORDER BY t.place"  # noqa: S608
    in_engine = [value for (value,) in engine.execute(sql, parameters).fetchall()]
    return typed.type, list(evaluated), in_engine


def engine_of_rows() -> tuple[duckdb.DuckDBPyConnection, dict[int, Values]]:
    """Return an engine with the table `v` of plain values and `codes`, and the codes as arrays."""
    engine = duckdb.connect()
    rows = plain_rows()
    declared = ", ".join(f"{name} {_SQL_TYPES.get(name, 'date')}" for name in NAMES)
    engine.execute(f"CREATE TABLE v ({declared}, place integer)")
    holes = ", ".join(["?"] * (len(NAMES) + 1))
    engine.executemany(f"INSERT INTO v VALUES ({holes})", [[*row, at] for at, row in enumerate(rows)])  # noqa: S608
    columns, arrays = {}, {}
    for at, (name, kind) in enumerate(TYPES.items()):
        codes = [code(kind, row[at]) for row in rows]
        text = isinstance(kind, TextType)
        columns[at] = Values.of(codes, str if text else int)  # type: ignore[arg-type]
        arrays[f"c{at}"] = pa.array(codes, pa.string() if text else pa.int64())
        assert name
    engine.register("codes", pa.table({**arrays, "place": pa.array(range(ROWS))}))
    return engine, columns


def assert_same(kind: ValueType, codes: Sequence[object], wanted: Sequence[object]) -> None:
    """Compare codes of a type with the plain values that DuckDB computed from the same text."""
    assert len(codes) == len(wanted)
    for value, want in zip(codes, wanted, strict=True):
        assert (value is None) == (want is None), (value, want)
        if value is None:
            assert kind.nullable
            continue
        match kind:
            case NumberType(resolution=resolution, lower=lower, upper=upper):
                assert lower <= value <= upper  # type: ignore[operator]
                exact, given = value * resolution, Fraction(want)  # type: ignore[operator, arg-type]
                margin = resolution / 2 + Fraction(1, 10**9) * max(1, abs(given)) if isinstance(want, float) else 0
                assert abs(exact - given) <= margin, (exact, given)
            case CategoryType(domain=domain):
                assert domain[value] == want  # type: ignore[index]
            case DateType(lower=lower, upper=upper):
                assert lower <= value <= upper  # type: ignore[operator]
                assert value == day_number(date(want.year, want.month, want.day))  # type: ignore[attr-defined]
            case BooleanType() | TextType():
                assert value == want
            case NullType():
                raise AssertionError(kind)
