"""Rooms and questions for the soundness tests of the query path.

`catalogs`, `hostile_room` and `clean_room` make small rooms from a source of choices; `question` writes a well-typed
question as SQL text, so that all of admission runs on it. A source of choices is anything with the methods of
`random.Random`: Hypothesis's own in the properties, a seeded one where the same room is wanted again.
"""

# ruff: noqa: S608 - questions are what is tested here, one a line
from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from functools import cache
from random import Random
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pyarrow as pa
from hypothesis import strategies as st

from cleanroom.catalog import (
    Category,
    Column,
    Contribution,
    Date,
    Number,
    PrivacyUnit,
    TableCatalog,
    Text,
    day_number,
)
from cleanroom.identifiers import IdentifierKind, PartyId, TableName
from cleanroom.query import duckdb_backend
from cleanroom.query.algebra import scans
from cleanroom.query.backend import Slice
from cleanroom.query.bound import bound
from cleanroom.query.contribution import contributions, exact_vector, needed_columns
from cleanroom.query.duckdb_backend import DuckDBBackend
from cleanroom.query.parse import Parameters, parse
from cleanroom.query.plan import Plan, plan
from cleanroom.query.resolve import resolve
from cleanroom.query.statistics import CategoryKey, Key, MonthKey, NumberKey
from cleanroom.query.unit import type_query

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from cleanroom.catalog import ColumnType

Row = tuple[int | None, tuple[Any, ...]]
"""A person, or None for a missing unit, and the values of the catalog's columns: texts, or codes as numbers."""

Catalogs = dict[TableName, TableCatalog]

TNM, FRANCOS, MUSEE = (TableName(PartyId(owner), "visits") for owner in ("tnm", "francos", "musee"))
SALES = TableName(PartyId("tnm"), "sales")


def token(person: int) -> bytes:
    """Return the token of a person: uniform, so that slices share persons out."""
    return hashlib.sha256(b"person %d" % person).digest()[:16]


class MemoryReader:
    """One upload in memory, readable by token range as a partition is."""

    def __init__(self, catalog: TableCatalog, rows: Sequence[Row]) -> None:
        ordered = sorted(rows, key=lambda row: b"" if row[0] is None else token(row[0]))
        self._tokens = [None if person is None else token(person) for person, _ in ordered]
        storage = pa.array(self._tokens, pa.binary(16))
        columns = {"u": pa.ExtensionArray.from_storage(pa.uuid(), storage)}
        for place, column in enumerate(catalog.columns):
            columns[column.name] = arrow_column(column.type, [values[place] for _, values in ordered])
        self._table = pa.table(columns)

    def read(self, prefix_bits: int, prefix: int, columns: Sequence[str]) -> pa.Table:
        """Return the rows of a range of tokens; rows without a unit lie in the first."""
        table = self._table.select(["u", *columns])
        if not prefix_bits:
            return table
        mine = [int.from_bytes(each or b"", "big") >> (128 - prefix_bits) == prefix for each in self._tokens]
        return table.filter(pa.array(mine, pa.bool_()))


def arrow_column(kind: ColumnType, values: list[Any]) -> pa.Array:
    """Return values as a member's file holds them."""
    match kind:
        case Category():
            return pa.array(values, pa.string()).dictionary_encode()
        case Text():
            return pa.array(values, pa.string())
        case Date():
            return pa.array(values, pa.int32()).cast(pa.date32())
        case Number():
            return pa.array(values, pa.int64())
    raise AssertionError(kind)


@dataclass(frozen=True)
class Room:
    """Catalogs, and for each table its uploads in the order they were taken in."""

    catalogs: Catalogs
    uploads: dict[TableName, tuple[tuple[Row, ...], ...]]

    def without(self, person: int, tables: Collection[TableName] | None = None) -> Room:
        """Return the room without the rows of a person, everywhere or in some tables."""
        return replace(
            self,
            uploads={
                table: parts
                if tables is not None and table not in tables
                else tuple(tuple(row for row in part if row[0] != person) for part in parts)
                for table, parts in self.uploads.items()
            },
        )

    @property
    def persons(self) -> list[int]:
        """Everybody who has a row."""
        return sorted(
            {row[0] for parts in self.uploads.values() for part in parts for row in part if row[0] is not None}
        )

    def readers(self, tables: Collection[TableName]) -> dict[TableName, tuple[TableCatalog, list[MemoryReader]]]:
        """Return what the backend reads."""
        return {
            table: (self.catalogs[table], [MemoryReader(self.catalogs[table], part) for part in self.uploads[table]])
            for table in tables
        }


def admit(sql: str, parameters: Parameters, catalogs: Mapping[TableName, TableCatalog], *, threshold: int = 0) -> Plan:
    """Run all of admission but the owners' rules."""
    typed = type_query(resolve(parse(sql, parameters), catalogs), {})
    tables = {scan.table for scan in scans(typed.source.relation)}
    return plan(bound(typed, [catalogs[table].contribution for table in tables], threshold))


@cache
def _backend() -> tuple[dict[TableName, tuple[TableCatalog, list[MemoryReader]]], DuckDBBackend]:
    """Return one backend for all tests of a process, and what it reads: a connection takes ten milliseconds."""
    tables: dict[TableName, tuple[TableCatalog, list[MemoryReader]]] = {}
    return tables, DuckDBBackend(tables, 1)


class Engine:
    """Runs one plan on many rooms."""

    def __init__(self, a_plan: Plan) -> None:
        self.plan = a_plan
        self._tables, self.backend = _backend()
        self._read = False

    def vector(self, room: Room, *, bits: int = 0) -> tuple[int, ...]:
        """Return the exact vector of a room, as the sum of 2^bits slices."""
        self._tables.update(room.readers(self.plan.tables))
        if self._read:
            # The statement is the same as the first time; reading it again is `test_printed_sql`'s subject.
            with patch.object(duckdb_backend, "read_again", lambda *_: None):
                return self._vector(bits)
        self._read = True
        return self._vector(bits)

    def _vector(self, bits: int) -> tuple[int, ...]:
        if not bits:
            return exact_vector(self.plan, self.backend).values
        columns = needed_columns(self.plan)
        parts = [
            contributions(self.plan, self.backend.rows(self.plan.relation, columns, Slice(bits, prefix))).values
            for prefix in range(1 << bits)
        ]
        return tuple(map(sum, zip(*parts, strict=True)))


def vector(a_plan: Plan, room: Room, *, bits: int = 0) -> tuple[int, ...]:
    """Return the exact vector of a plan on a room."""
    return Engine(a_plan).vector(room, bits=bits)


def squared_distance(one: Sequence[int], other: Sequence[int]) -> int:
    """Return ‖one - other‖² in whole numbers."""
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))


def squared_diameter(a_plan: Plan) -> int:
    """Return D²: what removing a person from one table may change (S2), stated here apart from the product."""
    square = a_plan.bounds.norm**2
    one_number = a_plan.bounds.cells * len(a_plan.bounds.components) == 1
    signed = any(component.lower < 0 for component in a_plan.bounds.components)
    if len(a_plan.tables) == 1 or (one_number and not signed):
        return square
    return 4 * square if signed else 2 * square


def key_values(keys: tuple[Key, ...]) -> Iterator[tuple[Any, ...]]:
    """Yield the keys of every cell, in the vector's order."""
    if not keys:
        yield ()
        return
    first, rest = keys[0], keys[1:]
    values: list[Any]
    match first:
        case CategoryKey(domain=domain):
            values = list(domain)
        case NumberKey(lower=lower, upper=upper, resolution=resolution):
            values = [code * resolution for code in range(lower, upper + 1)]
        case MonthKey(first=begin, months=months):
            values = [date(1970 + month // 12, month % 12 + 1, 1) for month in range(begin, begin + months)]
    for value in [*values, *([None] if first.nullable else [])]:
        for others in key_values(rest):
            yield (value, *others)


# Catalogs

DOMAINS = (("nord", "sud", "est"), ("est", "ouest", "nord"), ("sud",))
OTHER_DOMAINS = (("danse", "cirque"), ("cirque", "danse"), ("danse", "opera", "cirque"))
DAYS = ((date(2024, 1, 15), date(2024, 2, 10)), (date(2023, 12, 1), date(2024, 3, 31)), (date(2024, 2, 29),) * 2)
SEATS = ((1, 12), (-4, 7), (5, 5), (0, 0), (-9, -3), (0, 3))
AMOUNTS = ((0, 50_000), (-500, 700), (5, 5), (-(2**31) + 1, 2**31 - 1))


def catalog_of(
    table: TableName,
    *,
    unit: str = "person",
    kind: IdentifierKind = IdentifierKind.EMAIL,
    region: tuple[str, ...] = DOMAINS[0],
    discipline: tuple[str, ...] = OTHER_DOMAINS[0],
    bought: tuple[date, date] = DAYS[1],
    played: tuple[date, date] = DAYS[1],
    seats: tuple[int, int] = SEATS[0],
    amount: tuple[int, int] = AMOUNTS[0],
    nullable: Collection[str] = (),
    most_rows: int = 50,
    contribution: Contribution = Contribution(3, 2),  # noqa: B008 - frozen
) -> TableCatalog:
    """Return the catalog of a table with one column of each type."""
    return TableCatalog(
        table,
        PrivacyUnit(unit, "courriel", kind),
        (
            Column("region", Category(region, "region" in nullable)),
            Column("discipline", Category(discipline, "discipline" in nullable)),
            Column("bought", Date(*bought, "bought" in nullable)),
            Column("played", Date(*played, "played" in nullable)),
            Column("seats", Number(Decimal(1), *seats, "seats" in nullable)),
            Column("amount", Number(Decimal("0.01"), *amount, "amount" in nullable, "CAD")),
            Column("channel", Text("channel" in nullable)),
        ),
        most_rows,
        contribution,
    )


COLUMNS = ("region", "discipline", "bought", "played", "seats", "amount", "channel")


def catalogs(rng: Random, *, loose: bool = False) -> Catalogs:
    """Return one to four tables of one to three owners.

    Args:
        loose: with bounds that do not bind, for exact comparisons.
    """
    made: Catalogs = {}
    for table in (TNM, FRANCOS, MUSEE, SALES)[: rng.choice((1, 2, 2, 3, 3, 4))]:
        made[table] = catalog_of(
            table,
            unit=rng.choice(("person", "person", "person", "visiteur")),
            region=rng.choice(DOMAINS),
            discipline=rng.choice(OTHER_DOMAINS),
            bought=rng.choice(DAYS),
            played=rng.choice(DAYS),
            seats=rng.choice(SEATS),
            amount=rng.choice(AMOUNTS[:3] if loose else AMOUNTS),
            nullable=[name for name in COLUMNS if rng.random() < 0.4],
            most_rows=40 if loose else rng.choice((1, 2, 3, 40, 65_535)),
            contribution=Contribution(5_000, 65_535)
            if loose
            else Contribution(rng.choice((1, 2, 5)), rng.choice((1, 2, 3))),
        )
    return made


# Rows

EXTREMES = (-(2**63), -(2**31), -1, 0, 1, 5, 2**31 - 1, 2**63 - 1)


def hostile_value(rng: Random, kind: ColumnType) -> Any:
    """Return a value that a member's file might hold, whatever the catalog says; often an ordinary one."""
    if rng.random() < 0.12:
        return None
    odd = rng.random() < 0.2
    match kind:
        case Category(domain=domain):
            return rng.choice(("ailleurs", "", "NORD")) if odd else rng.choice(domain)
        case Text():
            return rng.choice(("web", "guichet", "", "l'été"))
        case Date(lower=lower, upper=upper):
            return rng.choice((-(2**31), 0, 2**31 - 1, upper + 1)) if odd else rng.randrange(lower, upper + 1)
        case Number(lower=lower, upper=upper):
            return rng.choice(EXTREMES) if odd else rng.choice((lower, upper, rng.randrange(lower, upper + 1)))
    raise AssertionError(kind)


def clean_value(rng: Random, kind: ColumnType) -> Any:
    """Return a value as the catalog declares it."""
    if kind.nullable and rng.random() < 0.25:
        return None
    match kind:
        case Category(domain=domain):
            return rng.choice(domain)
        case Text():
            return rng.choice(("web", "guichet"))
        case Date(lower=lower, upper=upper) | Number(lower=lower, upper=upper):
            return rng.choice((lower, upper, rng.randrange(lower, upper + 1), rng.randrange(lower, upper + 1)))
    raise AssertionError(kind)


def hostile_room(rng: Random, made: Catalogs) -> Room:
    """Return a room of few persons, one of them heavy, with rows that break the declaration."""
    persons = list(range(rng.randrange(1, 5)))
    uploads = {}
    for table, catalog in made.items():
        rows: list[Row] = []
        for _ in range(rng.choice((0, 8, 16, 16, 24))):
            person = None if rng.random() < 0.05 else rng.choice((0, *persons))
            row = (person, tuple(hostile_value(rng, column.type) for column in catalog.columns))
            rows += [row] * rng.choice((1, 1, 1, 4))
        cut = rng.randrange(0, len(rows) + 1)
        uploads[table] = (tuple(rows[:cut]), tuple(rows[cut:])) if rng.random() < 0.4 else (tuple(rows),)
    return Room(made, uploads)


def clean_room(rng: Random, made: Catalogs) -> Room:
    """Return a room whose rows keep the declaration, at most four of a person in a table."""
    uploads = {
        table: (
            tuple(
                (person, tuple(clean_value(rng, column.type) for column in catalog.columns))
                for person in range(8)
                if rng.random() < 0.7
                for _ in range(rng.randrange(1, 5))
            ),
        )
        for table, catalog in made.items()
    }
    return Room(made, uploads)


def day(year: int, month: int, number: int) -> int:
    """Return a date's code."""
    return day_number(date(year, month, number))


# Questions


@dataclass(frozen=True)
class Question:
    """A question as a party writes it, and the same with its values written out."""

    sql: str
    parameters: Parameters
    written: str


@dataclass(frozen=True)
class _Source:
    sql: str
    unit: str | None
    columns: dict[str, ColumnType]
    alias: str = ""


class _Writer:
    """Writes one question about some tables."""

    def __init__(self, rng: Random, made: Catalogs, *, plain: bool) -> None:
        self.rng = rng
        self.catalogs = made
        self.plain = plain
        self.values: list[Any] = []
        self.aliases = 0
        self.nested = 0

    # Values

    def value(self, value: Any) -> str:
        self.values.append(value)
        return f"\x01{len(self.values) - 1}\x02"

    def literal(self, kind: ColumnType) -> str:
        rng = self.rng
        match kind:
            case Category(domain=domain):
                return self.value(rng.choice((*domain, *domain, "ailleurs")))
            case Text():
                return self.value(rng.choice(("web", "guichet", "l'été")))
            case Date(first=first, last=last):
                return self.value(rng.choice((first, last, date(2024, 2, 1), date(2024, 1, 31), date(1999, 1, 1))))
            case Number(lower=lower, upper=upper, resolution=resolution):
                middle = (lower + upper) // 2
                steps = rng.choice((lower, upper, middle, middle + 1, lower - 1, upper + 1))
                return self.value(steps * resolution + rng.choice((0, 0, Decimal("0.004"))))
        raise AssertionError(kind)

    # Relations

    def alias(self) -> str:
        self.aliases += 1
        return f"r{self.aliases}"

    def source(self, depth: int) -> _Source:
        shape = self.rng.choice(("table",) * 3 + ("select", "union", "union", "intersect")) if depth else "table"
        match shape:
            case "table":
                table = self.rng.choice(sorted(self.catalogs))
                catalog = self.catalogs[table]
                written = str(table).upper() if self.rng.random() < 0.1 else str(table)
                return _Source(written, catalog.unit.name, {each.name: each.type for each in catalog.columns})
            case "select":
                select, columns = self.select(depth - 1)
                return _Source(f"({select})", "person", columns)
            case "union":
                names = self.rng.sample(COLUMNS, self.rng.randrange(0, 5))
                arms = [self.select(depth - 1, names) for _ in range(self.rng.choice((2, 2, 3)))]
                columns = {name: _hull([arm[1][name] for arm in arms]) for name in names}
                return _Source("(" + " UNION ALL ".join(arm[0] for arm in arms) + ")", "person", columns)
            case _:
                arms = [self.select(depth - 1, []) for _ in range(self.rng.choice((2, 2, 3)))]
                return _Source("(" + " INTERSECT ".join(arm[0] for arm in arms) + ")", "person", {})

    def select(self, depth: int, names: Sequence[str] | None = None) -> tuple[str, dict[str, ColumnType]]:
        """Write a SELECT of the person and some columns, called `person` and by their names."""
        text, sources, conditions = self.from_(depth if names is None else 0)
        found = {name: (source, kind) for source in sources for name, kind in source.columns.items()}
        if names is None:
            names = [name for name in found if self.rng.random() < 0.6]
        listed = [f"{sources[0].alias}.{sources[0].unit} AS person"]
        listed += [f"{found[name][0].alias}.{name} AS {name}" for name in names]
        conditions += self.conditions(sources)
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        return f"SELECT {', '.join(listed)} FROM {text}{where}", {name: found[name][1] for name in names}

    def from_(self, depth: int) -> tuple[str, list[_Source], list[str]]:
        rng = self.rng
        sources = [
            replace(self.source(depth), alias=self.alias())
            for _ in range(rng.choice((1, 1, 1, 2, 2, 3)) if depth or rng.random() < 0.3 else 1)
        ]
        text = f"{sources[0].sql} AS {sources[0].alias}"
        using = len({source.unit for source in sources}) == 1 and rng.random() < 0.4
        conditions: list[str] = []
        comma = False
        for place, source in enumerate(sources[1:], start=1):
            if using:
                text += f" JOIN {source.sql} AS {source.alias} USING ({source.unit})"
                continue
            other = rng.choice(sources[:place])
            same = f"{other.alias}.{other.unit} = {source.alias}.{source.unit}"
            comma = comma or rng.random() < 0.3
            if comma:
                text += f", {source.sql} AS {source.alias}"
                conditions.append(same)
            else:
                extra = self.compare(sources[: place + 1]) if rng.random() < 0.4 else None
                text += f" INNER JOIN {source.sql} AS {source.alias} ON {same}" + (f" AND {extra}" if extra else "")
        return text, sources, conditions

    # Conditions

    def conditions(self, sources: list[_Source]) -> list[str]:
        rng = self.rng
        found = [self.condition(sources, 2) for _ in range(rng.choice((0, 0, 0, 1, 1, 2)))]
        if self.nested < 2 and rng.random() < 0.2:
            self.nested += 1
            arms = [self.select(0, [])[0] for _ in range(rng.choice((1, 1, 2)))]
            found.append(f"{sources[0].alias}.{sources[0].unit} IN ({' INTERSECT '.join(arms)})")
            self.nested -= 1
        return [each for each in found if each]

    def condition(self, sources: list[_Source], depth: int) -> str:
        rng = self.rng
        shape = rng.choice(("one", "one", "one", "not", "and", "or")) if depth else "one"
        match shape:
            case "not":
                return f"NOT ({self.condition(sources, depth - 1)})"
            case "and" | "or":
                items = [self.condition(sources, depth - 1) for _ in range(rng.choice((2, 2, 3)))]
                return "(" + f" {shape.upper()} ".join(items) + ")"
        if rng.random() < 0.2:
            compared = self.compare(sources)
            if compared:
                return compared
        found = [(source.alias, name, kind) for source in sources for name, kind in source.columns.items()]
        if not found:
            return rng.choice(("TRUE", "TRUE", f"{sources[0].alias}.{sources[0].unit} IS NOT NULL"))
        alias, name, kind = rng.choice(found)
        column = f"{alias}.{name}"
        shape = rng.choice(("compare", "compare", "between", "in", "null", "constant"))
        if shape == "between" and isinstance(kind, (Date, Number)):
            return f"{column} BETWEEN {self.literal(kind)} AND {self.literal(kind)}"
        if shape == "in":
            listed = [self.literal(kind) for _ in range(rng.randrange(1, 4))] + (["NULL"] if rng.random() < 0.2 else [])
            return f"{column} {rng.choice(('IN', 'NOT IN'))} ({', '.join(listed)})"
        if shape == "null":
            return f"{column} IS {rng.choice(('', 'NOT '))}NULL"
        if shape == "constant" and rng.random() < 0.3:
            return rng.choice(("TRUE", "TRUE", "FALSE", "NULL"))
        operators = ("=", "<>", "!=") if isinstance(kind, (Category, Text)) else ("=", "<>", "<", "<=", ">", ">=")
        sides = (column, self.literal(kind) if rng.random() < 0.95 else "NULL")
        left, right = sides if rng.random() < 0.7 else sides[::-1]
        return f"{left} {rng.choice(operators)} {right}"

    def compare(self, sources: list[_Source]) -> str | None:
        """Compare two columns, dates with dates and numbers with numbers of the same step."""
        rng = self.rng
        found = [(source.alias, name) for source in sources for name in source.columns]
        for names in rng.sample((("bought", "played"), ("seats",), ("amount",)), 3):
            sides = [f"{alias}.{name}" for alias, name in found if name in names]
            if len(sides) > 1:
                one, other = rng.sample(sides, 2)
                return f"{one} {rng.choice(('=', '<>', '<', '<=', '>', '>='))} {other}"
        return None

    # The release

    def question(self) -> Question:
        rng = self.rng
        text, sources, conditions = self.from_(rng.choice((0, 1, 1, 2)))
        conditions += self.conditions(sources)
        found = [(source.alias, name, kind) for source in sources for name, kind in source.columns.items()]
        keys: list[str] = []
        for alias, name, kind in rng.sample(found, min(len(found), rng.choice((0, 1, 1, 2)))):
            column = f"{alias}.{name}"
            match kind:
                case Category():
                    keys.append(column)
                case Number(lower=lower, upper=upper) if upper - lower < 30:
                    keys.append(column)
                case Date():
                    keys.append(f"date_trunc('month', {column})")
        measures = [f"{alias}.{name}" for alias, name, kind in found if isinstance(kind, Number)]
        unit = rng.choice([f"{source.alias}.{source.unit}" for source in sources])
        statistics = ["COUNT(*)", f"COUNT(DISTINCT {unit})"]
        statistics += [f"{rng.choice(('SUM', 'AVG'))}({measure})" for measure in measures]
        chosen = rng.sample(statistics, rng.randrange(1, min(3, len(statistics)) + 1))
        outputs = [f"{key} AS k{place}" for place, key in enumerate(keys)]
        outputs += [f"{statistic} AS v{place}" for place, statistic in enumerate(chosen)]
        grouped = [rng.choice((key, f"k{place}", str(place + 1))) for place, key in enumerate(keys)]
        sql = f"SELECT {', '.join(outputs)} FROM {text}"
        sql += f" WHERE {' AND '.join(conditions)}" if conditions else ""
        sql += f" GROUP BY {', '.join(grouped)}" if grouped else ""
        return self.finished(sql)

    def finished(self, marked: str) -> Question:
        """Put values in their places: written out, as `?` or as `$name`."""
        written = marked
        for place, value in enumerate(self.values):
            written = written.replace(f"\x01{place}\x02", _written(value))
        style = "written" if self.plain or not self.values else self.rng.choice(("written", "question", "name"))
        if style == "written":
            return Question(written, None, written)
        sql, order = marked, sorted(range(len(self.values)), key=lambda place: marked.find(f"\x01{place}\x02"))
        given = [value.isoformat() if isinstance(value, date) else value for value in self.values]
        for place in range(len(self.values)):
            sql = sql.replace(f"\x01{place}\x02", "?" if style == "question" else f"$p{place}")
        if style == "question":
            return Question(sql, [given[place] for place in order], written)
        return Question(sql, {f"p{place}": value for place, value in enumerate(given)}, written)


def _written(value: Any) -> str:
    match value:
        case str():
            return "'" + value.replace("'", "''") + "'"
        case date():
            return f"DATE '{value.isoformat()}'"
        case _:
            return str(value)


def _hull(kinds: list[ColumnType]) -> ColumnType:
    """Return a type whose literals are of use for a union's column."""
    first = kinds[0]
    match first:
        case Category():
            domain = dict.fromkeys(value for kind in kinds for value in getattr(kind, "domain", ()))
            return Category(tuple(domain), nullable=True)
        case Number():
            return replace(
                first,
                lower=min(getattr(kind, "lower", 0) for kind in kinds),
                upper=max(getattr(kind, "upper", 0) for kind in kinds),
            )
        case Date():
            return Date(
                min(getattr(kind, "first", first.first) for kind in kinds),
                max(getattr(kind, "last", first.last) for kind in kinds),
                nullable=True,
            )
    return first


def question(rng: Random, made: Catalogs, *, plain: bool = False) -> Question:
    """Write a well-typed question about `made`.

    Args:
        plain: with every value written out, none as a parameter.
    """
    return _Writer(rng, made, plain=plain).question()


def choices() -> st.SearchStrategy[Random]:
    """Return Hypothesis's own source of choices, which it can shrink."""
    return st.randoms(use_true_random=False)


def seeds() -> st.SearchStrategy[int]:
    """Return seeds of rooms: rows are many, and need no shrinking."""
    return st.integers(0, 2**32)
