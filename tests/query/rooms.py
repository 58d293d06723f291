"""Rooms and questions for the soundness tests of the query path.

`catalogs`, `hostile_room` and `clean_room` make small rooms from a source of choices; `questions` and `deep_questions`
write well-typed questions as SQL text, so that all of admission runs on them. A source of choices is anything with the
methods of `random.Random`: Hypothesis's own in the properties, a seeded one where the same room is wanted again.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from functools import cache
from random import Random
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np
from column_values import clean_value, hostile_value
from hypothesis import strategies as st
from memory_reader import MemoryReader, Row

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
from cleanroom.query.backend import PersonRows, Slice
from cleanroom.query.binding.question import bind_question
from cleanroom.query.bound import bounds_of, require_depth
from cleanroom.query.cells import SurvivingKeys
from cleanroom.query.contribution import ExactVector, contributions, exact_vector, needed_columns, streamed
from cleanroom.query.duckdb_backend import DuckDBBackend
from cleanroom.query.merge_backend import MergeBackend
from cleanroom.query.parse import Parameters, parse
from cleanroom.query.plan import Plan, QuestionPlan
from cleanroom.query.statistics import CategoryKey, Key, ListedKey, MonthKey, NumberKey
from cleanroom.query.unknown_keys import counted_keys, key_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from fractions import Fraction

    from cleanroom.catalog.reference import ReferenceTable
    from cleanroom.identifiers import Digest
    from cleanroom.query.algebra import Relation
    from cleanroom.query.binding.asking import ReferenceCatalog

Catalogs = dict[TableName, TableCatalog]

TNM, FRANCOS, MUSEE = (TableName(PartyId(owner), "visits") for owner in ("tnm", "francos", "musee"))
SALES = TableName(PartyId("tnm"), "sales")


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


def bind(
    sql: str,
    parameters: Parameters,
    catalogs: Mapping[TableName, TableCatalog],
    *,
    threshold: int = 0,
    weigh: Callable[[], Fraction] | None = None,
    references: Mapping[str, ReferenceCatalog] | None = None,
    pure: bool = False,
) -> QuestionPlan:
    """Run all of admission but the owners' rules.

    Args:
        weigh: gives the weight of each statistic, at least 1; None for equal parts.
        references: the room's public tables, by name.
        pure: whether a table's budget is pure (S11).
    """
    bound = bind_question(parse(sql, parameters), catalogs, {}, references=references)
    plans = []
    for release in bound.releases:
        require_depth(release.relation)
        tables = sorted({scan.table for scan in scans(release.relation)})
        contributions = [catalogs[table].contribution for table in tables]
        shares = () if weigh is None else tuple(weigh() for _ in release.statistics)
        bounds = bounds_of(release.keys, release.sets, release.statistics, contributions, threshold, shares, pure=pure)
        plans.append(Plan(release.relation, release.keys, release.statistics, release.outputs, bounds, release.sets))
    return QuestionPlan(tuple(plans), bound.finish)


def admit(
    sql: str,
    parameters: Parameters,
    catalogs: Mapping[TableName, TableCatalog],
    *,
    threshold: int = 0,
    weigh: Callable[[], Fraction] | None = None,
    pure: bool = False,
) -> Plan:
    """Run all of admission but the owners' rules on a question of one release; return this one."""
    (a_plan,) = bind(sql, parameters, catalogs, threshold=threshold, weigh=weigh, pure=pure).releases
    return a_plan


PUBLISHED: dict[Digest, ReferenceTable] = {}
"""The public tables that the backend of all tests knows."""


class BothWays:
    """Streams every relation through the engine, and, where it can be merged, that way too: the rows must be equal."""

    def __init__(self, tables: dict[TableName, tuple[TableCatalog, list[MemoryReader]]]) -> None:
        self._engine = DuckDBBackend(tables, 1, references=PUBLISHED)
        self._merging = MergeBackend(tables, 1)

    def slices(self) -> Iterator[Slice]:
        """Yield one slice."""
        return self._merging.slices()

    def rows(self, relation: Relation, columns: tuple[int, ...], part: Slice) -> PersonRows:
        """Return the rows as the room has them."""
        by_engine = self._engine.rows(relation, columns, part)
        assert bool(np.all(np.diff(by_engine.units) >= 0)), "the engine's rows are not ordered by person"
        if not self._merging.merges(relation):
            return by_engine
        merged = self._merging.rows(relation, columns, part)
        assert np.array_equal(listed(merged), listed(by_engine))
        return merged


def listed(rows: PersonRows) -> np.ndarray[Any, Any]:
    """Return each row's person and codes, in an order of their own; what stands where a code is NULL is nobody's."""
    columns = [rows.units]
    for codes in rows.columns.values():
        columns += [codes.present, np.where(codes.present, codes.values, 0)]
    table = np.array(columns, dtype=np.int64)
    return table[:, np.lexsort(table[::-1])]


@cache
def _backend() -> tuple[dict[TableName, tuple[TableCatalog, list[MemoryReader]]], BothWays]:
    """Return one backend for all tests of a process, and what it reads: a connection takes ten milliseconds."""
    tables: dict[TableName, tuple[TableCatalog, list[MemoryReader]]] = {}
    return tables, BothWays(tables)


class Engine:
    """Runs one plan on many rooms.

    Args:
        again: whether its statement is read again, as it is in the room, before it is run first.
    """

    def __init__(self, a_plan: Plan, *, again: bool = True) -> None:
        self.plan = a_plan
        self._tables, self.backend = _backend()
        self._read = not again

    def vector(self, room: Room, *, bits: int = 0) -> tuple[int, ...]:
        """Return the exact vector of a room, as the sum of 2^bits slices."""
        return self.exact(room, bits=bits).values

    def exact(self, room: Room, *, bits: int = 0, surviving: SurvivingKeys | None = None) -> ExactVector:
        """Return the exact vector and the weights of quantiles, as the sum of 2^bits slices.

        Args:
            surviving: the keys to count by, where some are unknown; those of the room if not given.
        """
        with self.reading(room):
            if self.plan.bounds.distinct_keys and surviving is None:
                surviving = self._keys()
            if not bits:
                return exact_vector(self.plan, self.backend, surviving)
            columns = needed_columns(self.plan)
            parts = [
                contributions(self.plan, self.backend.rows(self.plan.relation, columns, Slice(bits, prefix)), surviving)
                for prefix in range(1 << bits)
            ]
            total = parts[0]
            for part in parts[1:]:
                total += part
            return total

    def stream(self, room: Room, *, bits: int = 0) -> list[PersonRows]:
        """Return the rows that the bounds are applied to, slice by slice."""
        columns = needed_columns(self.plan)
        with self.reading(room):
            return [self.backend.rows(self.plan.relation, columns, Slice(bits, prefix)) for prefix in range(1 << bits)]

    def keys(self, room: Room) -> SurvivingKeys:
        """Return the unknown keys that somebody keeps, with the number of persons, as if all survived."""
        with self.reading(room):
            return self._keys()

    def _keys(self) -> SurvivingKeys:
        counted = counted_keys(self.plan, streamed(self.plan, self.backend, key_columns(self.plan)))
        columns = [counted[place].to_pylist() for place in range(counted.num_columns)]
        rows = sorted(zip(*columns, strict=True), key=lambda row: [(value is not None, value) for value in row])
        return SurvivingKeys(
            tuple(tuple(row[place] for row in rows) for place in range(counted.num_columns - 1)),
            tuple(row[-1] for row in rows),
        )

    @contextmanager
    def reading(self, room: Room) -> Iterator[None]:
        """Put a room before the backend; its statement is read again the first time only."""
        self._tables.update(room.readers(self.plan.tables))
        if self._read:
            with patch.object(duckdb_backend, "read_again", lambda *_: None):
                yield
        else:
            self._read = True
            yield


def vector(a_plan: Plan, room: Room, *, bits: int = 0) -> tuple[int, ...]:
    """Return the exact vector of a plan on a room."""
    return Engine(a_plan).vector(room, bits=bits)


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
        case ListedKey(labels=labels):
            values = list(labels)
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


def choices() -> st.SearchStrategy[Random]:
    """Return Hypothesis's own source of choices, which it can shrink."""
    return st.randoms(use_true_random=False)


def seeds() -> st.SearchStrategy[int]:
    """Return seeds of rooms: rows are many, and need no shrinking."""
    return st.integers(0, 2**32)
