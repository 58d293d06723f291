"""Whatever a member's file holds, the scan gives what the catalog declares (SOUNDNESS S7, S14, S23)."""

# ruff: noqa: S608 - questions are what is tested here
from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import date
from decimal import Decimal
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_reader import MemoryReader, Row, arrow_column, token
from raw_reader import HIGH, LOW, Raw
from rooms import COLUMNS, FRANCOS, TNM, admit, catalog_of, catalogs, hostile_room, seeds
from searches import LIMITS

from cleanroom.catalog import Category, Contribution, Date, Number, TableCatalog, Text
from cleanroom.errors import InvariantBroken
from cleanroom.partition import PersonsRows
from cleanroom.partition.codes import code_bytes, first_of, missing_code, values_of
from cleanroom.query.contribution import exact_vector
from cleanroom.query.duckdb_backend import DuckDBBackend
from cleanroom.query.merge_backend import MergeBackend
from cleanroom.storage.scan import CodeColumn, ScannedTable, scan


def texts_or_codes(column: CodeColumn | pa.Array) -> list[Any]:
    """Return a column's values, None for NULL."""
    if isinstance(column, pa.Array):
        return column.to_pylist()
    assert column.present is None or not column.values[~column.present].any()
    return column.arrow().to_pylist()


def rows_of(scanned: ScannedTable) -> list[tuple[bytes, tuple[Any, ...]]]:
    """Return each row's token and values."""
    persons = [int(high).to_bytes(8, "big") + int(low).to_bytes(8, "big") for high, low in scanned.persons]
    tokens = [persons[at] for at in scanned.of_rows(np.arange(len(persons)))]
    columns = [texts_or_codes(column) for column in scanned.columns.values()]
    return [(unit, tuple(column[place] for column in columns)) for place, unit in enumerate(tokens)]


def admitted(kind: object, value: Any) -> Any:
    """Return what the declaration makes of a value, one value at a time."""
    if value is None:
        return None
    match kind:
        case Category(domain=domain):
            return domain.index(value) if value in domain else None
        case Text():
            return value
        case Date(lower=lower, upper=upper) | Number(lower=lower, upper=upper):
            return min(max(value, lower), upper)
    raise AssertionError(kind)


def check_scan(seed: int) -> None:
    """Compare a scan with the declaration applied to each row, in the order of the files."""
    made = catalogs(Random(seed))
    room = hostile_room(Random(seed), made)
    for table, catalog in made.items():
        parts = room.uploads[table]
        names = tuple(Random(seed).sample(COLUMNS, 4))
        readers = [MemoryReader(catalog, part) for part in parts]
        mine = rows_of(scan(catalog, readers, names, bits=0, prefix=0))
        kept: dict[bytes, list[tuple[Any, ...]]] = {}
        for person, values in (row for part in parts for row in part):
            if person is not None:
                by_name = dict(zip(COLUMNS, values, strict=True))
                row = tuple(admitted(catalog.column(name).type, by_name[name]) for name in names)  # type: ignore[union-attr]
                kept.setdefault(token(person), []).append(row)
        expected = [(unit, row) for unit in sorted(kept) for row in kept[unit][: catalog.max_rows_per_person]]
        assert mine == expected
        sliced = [row for prefix in range(4) for row in rows_of(scan(catalog, readers, names, bits=2, prefix=prefix))]
        assert sliced == expected


@given(seeds())
@settings(LIMITS, max_examples=150)
def test_a_scan_is_the_declaration_applied_to_each_row(seed: int) -> None:
    check_scan(seed)


def check_others_stay(seed: int) -> None:
    """Remove a person: the others' scanned rows are the same bytes."""
    made = catalogs(Random(seed))
    room = hostile_room(Random(seed), made)
    for person in room.persons:
        for table, catalog in made.items():
            scans = [
                rows_of(
                    scan(
                        catalog,
                        [MemoryReader(catalog, part) for part in each.uploads[table]],
                        COLUMNS,
                        bits=0,
                        prefix=0,
                    )
                )
                for each in (room, room.without(person))
            ]
            assert [row for row in scans[0] if row[0] != token(person)] == scans[1]


@given(seeds())
@settings(LIMITS, max_examples=60)
def test_removing_a_person_leaves_the_rows_of_others(seed: int) -> None:
    check_others_stay(seed)


def test_values_out_of_the_declaration_are_clamped_or_null() -> None:
    catalog = catalog_of(TNM, bought=(date(2024, 1, 1), date(2024, 1, 31)), seats=(1, 12))
    rows: list[Row] = [
        (0, ("ailleurs", "danse", -(2**31), 2**31 - 1, -(2**63), 2**63 - 1, "")),
        (0, (None, "DANSE", None, 19_723, None, 0, None)),
        (0, ("nord", "cirque", 19_740, 19_723, 12, 50_000, "web")),
    ]
    found = rows_of(scan(catalog, [MemoryReader(catalog, rows)], COLUMNS, bits=0, prefix=0))
    first, last = (date(2024, 1, 1) - date(1970, 1, 1)).days, (date(2024, 3, 31) - date(1970, 1, 1)).days
    assert [values for _, values in found] == [
        (None, 0, first, last, 1, 50_000, ""),
        (None, None, None, 19_723, None, 0, None),
        (0, 1, 19_740, 19_723, 12, 50_000, "web"),
    ]


def test_a_person_has_the_first_rows_in_the_order_of_the_files_over_all_uploads() -> None:
    catalog = catalog_of(TNM, seats=(0, 99), most_rows=3)
    row = ("nord", "danse", 19_740, 19_740, 0, 0, "web")
    parts = [
        [(person, (*row[:4], seats, *row[5:])) for seats in listed for person in (7, 8)] for listed in ([1, 2], [3, 4])
    ]
    found = rows_of(scan(catalog, [MemoryReader(catalog, part) for part in parts], ("seats",), bits=0, prefix=0))
    assert sorted(found) == sorted((token(person), (seats,)) for person in (7, 8) for seats in (1, 2, 3))


def test_rows_without_a_unit_are_dropped() -> None:
    catalog = catalog_of(TNM)
    row = ("nord", "danse", 19_740, 19_740, 1, 0, "web")
    reader = MemoryReader(catalog, [(None, row), (3, row), (None, row)])
    assert rows_of(scan(catalog, [reader], ("seats",), bits=0, prefix=0)) == [(token(3), (1,))]
    empty = MemoryReader(catalog, [(None, row)])
    assert rows_of(scan(catalog, [empty], ("seats",), bits=0, prefix=0)) == []


def coded(catalog: TableCatalog, name: str, values: list[Any]) -> pa.Array:
    """Return values of a declared column as a file has them."""
    column = catalog.column(name)
    assert column is not None
    return arrow_column(column.type, values)


def test_disorder_is_refused() -> None:
    catalog = catalog_of(TNM)
    with pytest.raises(InvariantBroken, match="ordered"):
        scan(catalog, [Raw([HIGH, LOW], seats=coded(catalog, "seats", [1, 2]))], ("seats",), bits=0, prefix=0)
    same_half = [b"\x01" * 8 + b"\x02" * 8, b"\x01" * 16]
    with pytest.raises(InvariantBroken, match="ordered"):
        scan(catalog, [Raw(same_half, seats=coded(catalog, "seats", [1, 2]))], ("seats",), bits=0, prefix=0)


Counts = tuple[list[int | None], int, str]
"""How many rows each of two persons is said to have, how many there are, and what is said of it."""

NOBODY: Counts = ([1, 0], 1, "ordered")
LEFT_OVER: Counts = ([1, 1], 3, "not those of its persons")
TOO_MANY: Counts = ([2**32 - 1, 3], 2, "not those of its persons")  # two but for what a sum of 32 bits would lose


@pytest.mark.parametrize(
    "case",
    [
        NOBODY,
        LEFT_OVER,
        TOO_MANY,
        ([0, 2], 2, "ordered"),
        ([1, 2], 2, "not those of its persons"),
        ([1], 2, "not those of its persons"),
        ([1, 1, 1], 3, "not those of its persons"),
        ([None, 2], 2, "not those of its persons"),
    ],
)
@pytest.mark.parametrize("uploads", [1, 2])
def test_counts_that_are_not_of_the_rows_are_refused(case: Counts, uploads: int) -> None:
    """A member says how many rows a person has; whoever says it wrongly moves rows from person to person (S7)."""
    counts, rows, said = case
    catalog = catalog_of(TNM)
    wrong, right = (
        Raw([LOW, HIGH], seats=coded(catalog, "seats", [1, 2])),
        Raw([LOW], seats=coded(catalog, "seats", [1])),
    )
    columns = pa.table({"seats": coded(catalog, "seats", [1] * rows)})
    wrong.held = PersonsRows(wrong.held.tokens, pa.array(counts, pa.uint32()), columns, rows)
    with pytest.raises(InvariantBroken, match=said):
        scan(catalog, [wrong, right][:uploads], ("seats",), bits=0, prefix=0)


def test_columns_that_are_shorter_than_said_are_refused() -> None:
    catalog = catalog_of(TNM)
    wrong = Raw([LOW, HIGH], seats=coded(catalog, "seats", [1, 2]))
    wrong.held = replace(wrong.held, rows=wrong.held.rows.slice(0, 1))
    with pytest.raises(InvariantBroken, match="not those of its persons"):
        scan(catalog, [wrong], ("seats",), bits=0, prefix=0)


def test_a_token_that_a_file_repeats_is_one_person() -> None:
    """Counted as two, each would be clipped alone (S10, S23)."""
    catalog = catalog_of(TNM, most_rows=3, seats=(0, 99))
    for tokens, ours in (([LOW, HIGH, HIGH], [LOW, HIGH]), ([LOW, LOW, HIGH], [LOW, HIGH]), ([HIGH] * 3, [HIGH])):
        reader = Raw([LOW])
        units = pa.ExtensionArray.from_storage(pa.uuid(), pa.array(tokens, pa.binary(16)))
        rows = pa.table({"seats": coded(catalog, "seats", list(range(6)))})
        reader.held = PersonsRows(units, pa.array([1, 2, 3], pa.uint32()), rows, 6)
        found = scan(catalog, [reader], ("seats",), bits=0, prefix=0)
        assert [int(high) >> 63 for high, _ in found.persons] == [int(each == HIGH) for each in ours]
        held = [unit for unit, count in zip(tokens, (1, 2, 3), strict=True) for _ in range(count)]
        expected = [
            (unit, (row,)) for each in ours for row, unit in [pair for pair in enumerate(held) if pair[1] == each][:3]
        ]
        assert rows_of(found) == expected


@pytest.mark.parametrize("nullable", [(), ("region", "bought", "seats", "amount")])
def test_every_code_says_something(nullable: tuple[str, ...]) -> None:
    """Decoded bytes may say anything: of a category what no value has is NULL, other values stay within bounds (S7)."""
    catalog = catalog_of(TNM, region=("nord", "sud"), seats=(-2, 7), amount=(-5, 70_000), nullable=nullable)
    first, last = catalog.columns[2].type.lower, catalog.columns[2].type.upper  # type: ignore[union-attr]
    cases: dict[str, tuple[str, dict[int, int | None]]] = {
        "region": ("u1", {0: 0, 1: 1, 2: None, 127: None, 128: None, 254: None, 255: None}),
        "seats": ("u1", {0: -2, 9: 7, 10: 7, 128: 7, 254: 7, 255: None}),
        "bought": ("<u2", {0: first, last - first: last, 40_000: last, 65_534: last, 65_535: None}),
        "amount": ("<u4", {0: -5, 70_005: 70_000, 70_006: 70_000, 2**31: 70_000, 2**32 - 2: 70_000, 2**32 - 1: None}),
    }
    for name, (width, expected) in cases.items():
        # All together, those that have a value, and each alone.
        for codes in (
            [*expected],
            [code for code, value in expected.items() if value is not None],
            *([each] for each in expected),
        ):
            octets = pa.py_buffer(np.array(codes, dtype=width))
            kind = pa.binary(np.dtype(width).itemsize)
            reader = Raw([token(1)] * len(codes), **{name: pa.Array.from_buffers(kind, len(codes), [None, octets])})
            (found,) = scan(catalog, [reader], (name,), bits=0, prefix=0).columns.values()
            assert texts_or_codes(found) == [expected[code] for code in codes]


@pytest.mark.parametrize(("values", "size"), [(1, 1), (255, 1), (256, 2), (65_535, 2), (65_536, 4), (2**32 - 1, 4)])
def test_a_code_is_of_the_fewest_bytes_that_also_hold_that_there_is_none(values: int, size: int) -> None:
    lower = -(2**31) + 1
    kind = Number(Decimal(1), lower, lower + values - 1, nullable=False)
    assert (values_of(kind), code_bytes(kind), first_of(kind)) == (values, size, lower)
    assert values <= missing_code(size) == 2 ** (8 * size) - 1


def test_rows_of_another_slice_are_refused() -> None:
    """A person met in two slices would be clipped twice, each time alone (W-12)."""
    catalog = catalog_of(TNM)
    with pytest.raises(InvariantBroken, match="another slice"):
        scan(catalog, [Raw([LOW, HIGH], seats=coded(catalog, "seats", [1, 2]))], ("seats",), bits=1, prefix=0)


@pytest.mark.parametrize(("measure", "tables"), [("seats", 1), ("a.seats", 2)])
def test_persons_that_share_half_a_token_are_two_persons(measure: str, tables: int) -> None:
    """128 bits are compared, not 64 (S10)."""
    names = (TNM, FRANCOS)[:tables]
    made = {table: catalog_of(table, contribution=Contribution(1, 1)) for table in names}
    tokens = [b"\x01" * 8 + bytes(7) + bytes([number]) for number in (1, 1, 2)]
    source = "tnm.visits AS a" + " JOIN francos.visits AS b USING (person)" * (tables - 1)
    a_plan = admit(f"SELECT COUNT(*) AS n, COUNT(DISTINCT person) AS p FROM {source} WHERE {measure} >= 1", None, made)
    readers = {table: (made[table], [Raw(tokens, seats=coded(made[table], "seats", [1, 1, 1]))]) for table in names}
    for backend in (DuckDBBackend(readers, 3), MergeBackend(readers, 3)):
        values = exact_vector(a_plan, backend).values
        assert values == tuple(2 * component.steps for component in a_plan.bounds.components)


def test_columns_arrive_in_chunks_and_slices() -> None:
    catalog = catalog_of(TNM)
    units = [token(person) for person in sorted(range(6), key=token)]
    seats = coded(catalog, "seats", [1, 2, None, 99, -5, 3])
    whole = Raw(
        units,
        region=coded(catalog, "region", ["nord", "est", None, "zz", "sud", "nord"]),
        seats=pa.chunked_array([seats.slice(0, 2), seats.slice(2, 0), seats.slice(2)]),
    )
    sliced = Raw(units, seats=coded(catalog, "seats", list(range(6))))
    held = sliced.held
    sliced.held = PersonsRows(held.tokens.slice(2, 3), held.counts.slice(2, 3), held.rows.slice(2, 3), 3)
    found = scan(catalog, [whole], ("region", "seats"), bits=0, prefix=0)
    assert [texts_or_codes(column) for column in found.columns.values()] == [
        [0, 2, None, None, 1, 0],
        [1, 2, None, 12, 1, 3],
    ]
    cut = rows_of(scan(catalog, [sliced], ("seats",), bits=0, prefix=0))
    assert cut == [(unit, (seat,)) for unit, seat in zip(units[2:5], (2, 3, 4), strict=True)]


@given(st.integers(0, 40), st.integers(1, 6), st.integers(0, 2**32))
@settings(LIMITS, max_examples=80)
def test_nobody_has_more_rows_than_declared(rows: int, most: int, seed: int) -> None:
    catalog = catalog_of(TNM, most_rows=most)
    rng = Random(seed)
    listed: list[Row] = [(rng.randrange(4), ("nord", "danse", 0, 0, 1, 0, "web")) for _ in range(rows)]
    scanned = scan(catalog, [MemoryReader(catalog, listed)], (), bits=0, prefix=0)
    assert max(np.diff(scanned.starts), default=0) <= most
    assert len({tuple(person) for person in scanned.persons.tolist()}) == len(scanned.persons)


def test_no_uploads_and_empty_uploads_give_no_rows() -> None:
    catalog = catalog_of(TNM)
    for readers in ([], [MemoryReader(catalog, [])], [MemoryReader(catalog, [])] * 2):
        found = scan(catalog, readers, COLUMNS, bits=3, prefix=5)
        assert (len(found.persons), found.rows) == (0, 0)
        assert [texts_or_codes(column) for column in found.columns.values()] == [[]] * len(COLUMNS)


def test_a_column_that_the_catalog_lacks_is_our_own_fault() -> None:
    with pytest.raises(InvariantBroken):
        scan(catalog_of(TNM), [], ("courriel",), bits=0, prefix=0)


def test_random_units_are_no_special_case() -> None:
    rng = Random(1)
    catalog = catalog_of(TNM)
    units = sorted(uuid.UUID(int=rng.getrandbits(128)).bytes for _ in range(500))
    found = scan(catalog, [Raw(units, seats=coded(catalog, "seats", [1] * 500))], ("seats",), bits=0, prefix=0)
    assert [unit for unit, _ in rows_of(found)] == units
