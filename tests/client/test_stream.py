"""The streamed upload against a slow one that reads everything at once, one value at a time, for any batch size."""

from __future__ import annotations

import csv
import gzip
import io
import threading
from collections.abc import Generator, Iterator
from contextlib import closing
from datetime import date
from decimal import Decimal
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stored_codes import coded_numbers

from cleanroom.ahead import ahead
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
from cleanroom.client import FaultReport, LinkageKey, Options, RowsRefused, Stage
from cleanroom.client.gather import gather
from cleanroom.client.normalise import normalise
from cleanroom.client.order import HIGH, LOW, PersonCounts, Runs
from cleanroom.client.read_table import read_sources
from cleanroom.client.tokens import token
from cleanroom.client.values import ReasonKind, category_value, clean, date_value, number_value
from cleanroom.client.written import NumberForm, written_form
from cleanroom.identifiers import Epoch, IdentifierKind, RoomId, TableName
from cleanroom.partition.manifest import storage_schema
from cleanroom.partition.table_layout import token_bytes
from key_management.secret import SecretKey

REGION = Category(("zone", "b", "a"), nullable=True)
DAY = Date(date(2024, 1, 1), date(2024, 12, 31), nullable=True)
AMOUNT = Number(Decimal("0.01"), -100, 40_000, nullable=True)
CATALOG = TableCatalog(
    TableName.parse("tnm.visits"),
    PrivacyUnit("person", "courriel", IdentifierKind.EMAIL),
    (Column("region", REGION), Column("jour", DAY), Column("montant", AMOUNT), Column("note", Text(nullable=True))),
    max_rows_per_person=2,
    contribution=Contribution(1, 1),
)
NAMES = ("courriel", "region", "jour", "montant", "note")
KEY = LinkageKey(RoomId("salle"), Epoch("1"), SecretKey.generate())

Row = tuple[str, str, str, str, str]
Stored = tuple[bytes, tuple[int | str | None, ...]]

PEOPLE = st.sampled_from(["a@b.ca", " A@B.ca", "c@d.ca", "e.f+x@gmail.com", "ef@gmail.com", "n/a", "g@h.ca"])
NOTES = st.sampled_from(["", " ", "x", "deux\nlignes", 'dit "non"', "a;b,c", "e\u0301", "é", "une note bien longue !"])
WHOLE = st.sampled_from(["", "0", "7", "100", "-1"])
FILES = st.tuples(
    st.sampled_from(["%Y-%m-%d", "%d/%m/%Y", "%d.%m.%Y"]),
    st.sampled_from([".", ","]),
    # Rows that show neither form come first, so that it is found in a late batch.
    st.lists(st.tuples(PEOPLE, st.sampled_from(["", "a", " b ", "zone"]), st.just(""), WHOLE, NOTES), max_size=8),
    st.lists(
        st.tuples(
            PEOPLE,
            st.sampled_from(["a", "b", "zone"]),
            st.dates(DAY.first, DAY.last),
            st.integers(-100, 40_000),
            NOTES,
        ),
        max_size=8,
    ),
)


def rows_of(form: str, mark: str, early: list[Row], late: list[tuple[str, str, date, int, str]]) -> list[Row]:
    return early + [
        (who, region, day.strftime(form), f"{Decimal(cents) / 100:.2f}".replace(".", mark), note)
        for who, region, day, cents, note in late
    ]


def write(path: Path, rows: list[Row]) -> Path:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=";")
    writer.writerows([NAMES, *rows])
    content = text.getvalue().encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def slowly(files: list[list[Row]]) -> list[Stored]:
    """Read, convert and sort as the specification says, without a batch anywhere."""
    stored: list[Stored] = []
    for rows in files:
        columns = [pl.Series([row[place] or None for row in rows], dtype=pl.String) for place in range(5)]
        day_form = written_form(columns[2], DAY)
        number_form = written_form(columns[3], AMOUNT)
        assert number_form is None or isinstance(number_form, NumberForm)
        for row in rows:
            person = normalise(IdentifierKind.EMAIL, row[0])
            if person is None:
                continue
            who = token(KEY.secret, kind=CATALOG.unit.token_kind, epoch=KEY.epoch, value=person)
            region, day, amount, note = (clean(value) for value in row[1:])
            place = None if region is None else REGION.domain.index(str(category_value(region, REGION)))
            when = None if day is None else date_value(day, DAY, day_form)
            cents = None if amount is None else number_value(amount, AMOUNT, number_form)
            assert not isinstance(when, ReasonKind)
            assert not isinstance(cents, ReasonKind)
            stored.append((who, (place, None if when is None else day_number(when), cents, note)))
    return sorted(stored, key=lambda each: (each[0], *(nulls_first(value) for value in each[1])))


def nulls_first(value: int | str | None) -> tuple[bool, int | bytes]:
    return (value is not None, value.encode() if isinstance(value, str) else value or 0)


def taken(groups: list[pa.Table]) -> list[Stored]:
    """Read the table file's groups back."""
    stored: list[Stored] = []
    for group in groups:
        octets = bytes(token_bytes(group["u"].combine_chunks()))
        columns = [
            coded_numbers(group["region"]),
            coded_numbers(group["jour"], DAY.lower),
            coded_numbers(group["montant"], AMOUNT.lower),
            group["note"].to_pylist(),
        ]
        stored += [(octets[16 * row : 16 * row + 16], values) for row, values in enumerate(zip(*columns, strict=True))]
    return stored


@settings(deadline=None, max_examples=120)
@given(
    st.lists(FILES, min_size=1, max_size=3),
    st.integers(1, 7),
    st.integers(1, 9),
    st.integers(0, 3),
    st.sampled_from([".csv", ".gz"]),
)
def test_the_stream_gives_what_the_slow_way_gives(
    tmp_path_factory: pytest.TempPathFactory,
    files: list[tuple[str, str, list[Row], list[tuple[str, str, date, int, str]]]],
    batch_rows: int,
    run_rows: int,
    bits: int,
    suffix: str,
) -> None:
    written = [rows_of(*file) for file in files]
    place = tmp_path_factory.getbasetemp()
    paths = [write(place / f"stream{number}{suffix}", rows) for number, rows in enumerate(written)]
    expected = slowly(written)
    gathered = gather(paths, CATALOG, KEY, Options(batch_rows=batch_rows, run_rows=run_rows))
    groups = list(gathered.runs.groups(storage_schema(CATALOG), bits))
    assert taken(groups) == expected
    assert [group.num_rows for group in groups] == [
        sum(1 for who, _ in expected if who[0] >> (8 - bits) == prefix) for prefix in range(1 << bits)
    ]
    often = [sum(1 for who, _ in expected if who == each) for each in {who for who, _ in expected}]
    persons = gathered.runs.persons
    assert (persons.persons, persons.over_limit, persons.rows_ignored) == (
        len(often),
        sum(1 for rows in often if rows > 2),
        sum(max(0, rows - 2) for rows in often),
    )
    assert [source.rows for source in gathered.sources] == [len(rows) for rows in written]
    assert gathered.left_out.without_person == sum(row[0] == "n/a" for rows in written for row in rows)
    # A second time, in other batches: whoever asks for the groups again gets the same.
    assert taken(list(gathered.runs.groups(storage_schema(CATALOG), bits))) == expected


BROKEN = st.tuples(
    st.sampled_from(["a@b.ca", "", " "]),
    st.sampled_from(["a", "nulle part", ""]),
    st.sampled_from(["2024-02-03", "03/02/2024", "2023-01-01", "", "demain"]),
    st.sampled_from(["1,50", "1.50", "1", "9999", "x", "1,234.56"]),
    st.just(""),
)


def refusal(paths: list[Path], batch_rows: int) -> FaultReport | None:
    try:
        gather(paths, CATALOG, KEY, Options(batch_rows=batch_rows))
    except RowsRefused as refused:
        return refused.report
    return None


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(BROKEN, max_size=25), min_size=1, max_size=2), st.integers(1, 6))
def test_what_is_refused_does_not_depend_on_batches(
    tmp_path_factory: pytest.TempPathFactory, files: list[list[Row]], batch_rows: int
) -> None:
    place = tmp_path_factory.getbasetemp()
    paths = [write(place / f"broken{number}.csv", rows) for number, rows in enumerate(files)]
    whole = refusal(paths, 1000)
    assert refusal(paths, batch_rows) == whole
    blank = sum(not row[0].strip() for rows in files for row in rows)
    assert blank == (0 if whole is None else dict(whole.counts).get(("courriel", ReasonKind.NO_IDENTIFIER), 0))


@pytest.mark.parametrize("rows_a_group", [1, 3, 1000])
def test_parquet_comes_in_batches_too(tmp_path: Path, rows_a_group: int) -> None:
    frame = pl.DataFrame(
        {
            "courriel": [f"p{row % 40}@b.ca" for row in range(100)],
            "region": [("a", "b", None)[row % 3] for row in range(100)],
            "jour": [date(2024, 1, 1 + row % 28) for row in range(100)],
            "montant": [row / 4 for row in range(100)],
            "note": [f"note {row}" for row in range(100)],
        }
    )
    path = tmp_path / "v.parquet"
    frame.write_parquet(path, row_group_size=rows_a_group)
    found = []
    for source in (path, frame, frame.to_arrow()):
        gathered = gather(source, CATALOG, KEY, Options(batch_rows=7, run_rows=20))
        found.append(taken(list(gathered.runs.groups(storage_schema(CATALOG), 1))))
    assert len(found[0]) == 100
    assert found[0] == found[1] == found[2]


def test_a_bounded_number_of_batches_is_alive() -> None:
    batch = pa.table({name: ["x@y.ca" if name == "courriel" else None] * 10 for name in NAMES}).cast(
        pa.schema([(name, pa.string()) for name in NAMES])
    )
    made, most, used = 0, 0, 0

    def batches() -> Iterator[pa.RecordBatch]:
        nonlocal made
        for _ in range(200):
            made += 1
            yield batch.to_batches()[0]

    def watch(stage: Stage, done: int, total: int) -> None:
        nonlocal most, used
        del done, total
        if stage is Stage.READING:
            used += 1
            most = max(most, made - used)

    reader = pa.RecordBatchReader.from_batches(batch.schema, batches())
    gathered = gather(reader, CATALOG, KEY, Options(batch_rows=10, progress=watch))
    assert (gathered.runs.rows, made, used) == (2000, 200, 200)
    # Being read, read, being checked, checked, and one in hand of the reader's.
    assert most <= 5


def test_progress_ends_with_everything_done(tmp_path: Path) -> None:
    path = write(tmp_path / "v.csv", [("a@b.ca", "a", "", "1", "x")] * 50)
    said: list[tuple[Stage, int, int]] = []
    gather([path, path], CATALOG, KEY, Options(batch_rows=7, progress=lambda *each: said.append(each)))
    reading = [each for each in said if each[0] is Stage.READING]
    assert reading[-1] == (Stage.READING, path.stat().st_size, path.stat().st_size)
    assert [each for each in said if each[0] is Stage.CHECKING][-1] == (Stage.CHECKING, 2, 2)
    assert all(0 <= done <= total for _, done, total in said)


def numbers(end: int, closed: list[bool]) -> Generator[int]:
    try:
        yield from range(end)
        raise KeyError("over")
    finally:
        closed.append(True)


def test_ahead_hands_on_items_errors_and_the_end() -> None:
    closed: list[bool] = []
    seen: list[int] = []
    items = ahead(numbers(5, closed))
    with pytest.raises(KeyError, match="over"):
        seen.extend(items)
    assert seen == [0, 1, 2, 3, 4]
    assert closed == [True]


def test_ahead_given_up_ends_its_thread_and_closes_what_it_reads() -> None:
    closed: list[bool] = []
    before = threading.active_count()
    with closing(ahead(numbers(1_000_000, closed))) as items:
        assert next(items) == 0
    assert closed == [True]
    assert threading.active_count() == before


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_no_more_lives_at_once_than_said(depth: int) -> None:
    begun, changed = [0], threading.Condition()

    def numbers() -> Generator[int]:
        for number in range(20):
            with changed:
                begun[0] += 1
                changed.notify()
            yield number

    with closing(ahead(numbers(), depth)) as items:
        for used in items:
            with changed:
                most = min(20, used + 2 + depth)
                assert begun[0] <= most
                # It does get as far as that while this one is in use.
                assert changed.wait_for(lambda: begun[0] == most, 60)  # noqa: B023


def test_a_source_given_up_is_closed(tmp_path: Path) -> None:
    path = write(tmp_path / "v.csv", [("a@b.ca", "a", "", "1", "x")] * 5000)
    before = threading.active_count()
    tables = read_sources(path, CATALOG, batch_rows=10)
    assert next(next(tables).batches).height == 10
    tables.close()
    assert threading.active_count() == before


@given(st.lists(st.integers(0, 9), max_size=9), st.integers(1, 7))
def test_batches_have_their_size_whatever_the_source_gives(sizes: list[int], batch_rows: int) -> None:
    schema = pa.schema([(name, pa.string()) for name in NAMES])
    pieces = [pa.record_batch([["x"] * size] * len(NAMES), schema=schema) for size in sizes]
    reader = pa.RecordBatchReader.from_batches(schema, pieces)
    (heights,) = [
        [batch.height for batch in table.batches] for table in read_sources(reader, CATALOG, batch_rows=batch_rows)
    ]
    full, rest = divmod(sum(sizes), batch_rows)
    assert heights == [batch_rows] * full + [rest] * (rest > 0)


def test_tokens_that_share_their_first_half_are_two_persons() -> None:
    runs = Runs(CATALOG)
    runs.add(
        pl.DataFrame(
            {HIGH: [5, 5, 5, 5], LOW: [2, 1, 2, 2], "region": None, "jour": None, "montant": None, "note": None},
            schema={HIGH: pl.UInt64, LOW: pl.UInt64, "region": pl.Enum(REGION.domain), "jour": pl.Date}
            | {"montant": pl.Int64, "note": pl.String},
        )
    )
    (group,) = runs.groups(storage_schema(CATALOG), 0)
    assert [who[-1] for who, _ in taken([group])] == [1, 2, 2, 2]
    assert runs.persons == PersonCounts(2, 1, 1)
