"""Count the work of a question, not its time: what is read, decrypted, merged, handed to the engine and bounded.

The room is always the same to the byte, in two tables of eight row groups each, read in four slices: tokens, rows and
data keys come from a seed. Counts are taken at the doors of the code that works; nothing in the product counts.
"""

from __future__ import annotations

import io
from collections import Counter
from contextlib import ExitStack, contextmanager
from datetime import date
from decimal import Decimal
from hashlib import sha256
from random import Random
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch

import numpy as np
import pyarrow as pa
from rooms import admit

from cleanroom.catalog import Category, Column, Contribution, Date, Number, PrivacyUnit, TableCatalog
from cleanroom.identifiers import Digest, Epoch, IdentifierKind, PartyId, RoomId, TableName, UploadId
from cleanroom.partition import (
    Append,
    Manifest,
    PersonsRows,
    aad_prefix,
    arrow_schema,
    file_facts,
    storage_schema,
    token_array,
    write_table_file,
)
from cleanroom.partition.codes import code_array, first_of
from cleanroom.partition.table_file import TableFile
from cleanroom.partition.table_layout import ROWS_COLUMN, TOKEN_COLUMN, CountedRows
from cleanroom.query import contribution, merge_backend, numbered, quantiles
from cleanroom.query.backend import ROWS_PER_SLICE
from cleanroom.query.contribution import exact_vector
from cleanroom.query.duckdb_backend import DuckDBBackend
from cleanroom.query.merge_backend import MergeBackend
from cleanroom.storage.partition_store import PartitionReader, StoredPartition
from key_management.secret import SecretKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cleanroom.query.backend import PersonRows

PERSONS, ROWS, GROUP_BITS, SLICES = 900, 3_000, 3, 4
REGIONS = ("montreal", "laval", "estrie", "outaouais")
DISCIPLINES = ("theatre", "danse", "musique")
ROOM, EPOCH = RoomId("bench"), Epoch("1")
MEMBERS: Final = ("fleuve", "rives")
VISITS = {member: TableName(PartyId(member), "visits") for member in MEMBERS}

BOTH = "FROM fleuve.visits WHERE venue = 1 AND person IN (SELECT person FROM fleuve.visits WHERE venue = 2)"
ARMS = " UNION ALL ".join(f"SELECT person, '{member}' AS house FROM {member}.visits" for member in MEMBERS)  # noqa: S608
QUESTIONS: Final = {
    "Q1 rows": "SELECT COUNT(*) AS n FROM fleuve.visits",
    "Q2 persons": "SELECT COUNT(DISTINCT person) AS n FROM fleuve.visits",
    "Q3 persons by region": "SELECT region, COUNT(DISTINCT person) AS n FROM fleuve.visits GROUP BY region",
    "Q3 with a filter": (
        "SELECT region, COUNT(DISTINCT person) AS n FROM fleuve.visits WHERE discipline IN ('theatre', 'musique')"
        " AND purchased >= DATE '2024-09-01' GROUP BY region"
    ),
    "Q4 sum": "SELECT discipline, SUM(amount) AS n FROM fleuve.visits GROUP BY discipline",
    "Q5 mean": "SELECT region, discipline, AVG(amount) AS n FROM fleuve.visits GROUP BY region, discipline",
    "Q6 median": "SELECT MEDIAN(amount) AS n FROM fleuve.visits",
    "Q7 overlap of venues": f"SELECT COUNT(DISTINCT person) AS n {BOTH}",
    "Q7 overlap of members": "SELECT COUNT(DISTINCT person) AS n FROM fleuve.visits JOIN rives.visits USING (person)",
    "Q8 overlap of venues by region": f"SELECT region, COUNT(DISTINCT person) AS n {BOTH} GROUP BY region",
    "Q8 overlap of members by region": (
        "SELECT region, COUNT(DISTINCT person) AS n FROM fleuve.visits WHERE person IN"
        " (SELECT person FROM rives.visits) GROUP BY region"
    ),
    "sector": (
        "SELECT discipline, SUM(tickets) AS n FROM (SELECT person, discipline, tickets FROM fleuve.visits UNION ALL"
        " SELECT person, discipline, tickets FROM rives.visits) AS s GROUP BY discipline"
    ),
    "matrix of overlaps": (
        f"WITH s AS ({ARMS}) SELECT a.house AS x, b.house AS y, COUNT(DISTINCT a.person) AS n FROM s AS a"  # noqa: S608
        " JOIN s AS b ON a.person = b.person WHERE a.house < b.house GROUP BY 1, 2"
    ),
    "for the engine: rows of a later purchase": (
        "SELECT COUNT(*) AS n FROM fleuve.visits AS a JOIN rives.visits AS b ON a.person = b.person AND"
        " b.purchased > a.purchased"
    ),
}


def catalog(member: str) -> TableCatalog:
    """Return a member's table; more columns than any question needs."""
    return TableCatalog(
        VISITS[member],
        PrivacyUnit("person", "courriel", IdentifierKind.EMAIL),
        (
            Column("region", Category(REGIONS, nullable=True)),
            Column("discipline", Category(DISCIPLINES, nullable=False)),
            Column("venue", Number(Decimal(1), 1, 20, nullable=False)),
            Column("purchased", Date(date(2023, 9, 1), date(2025, 8, 31), nullable=False)),
            Column("tickets", Number(Decimal(1), 1, 8, nullable=False)),
            Column("amount", Number(Decimal("0.01"), 0, 25_000, nullable=False)),
        ),
        max_rows_per_person=200,
        contribution=Contribution(10, 4),
    )


def partition(member: str) -> PartitionReader:
    """Write a member's rows as an encrypted table file, and open it."""
    rng = Random(member)
    described = catalog(member)
    first = 0 if member == MEMBERS[0] else PERSONS // 2
    rows = sorted(
        (sha256(b"person %d" % (first + rng.randrange(PERSONS))).digest()[:16], *_values(rng)) for _ in range(ROWS)
    )
    columns = storage_schema(described)
    schema = arrow_schema(columns)
    groups = []
    for prefix in range(1 << GROUP_BITS):
        mine = [row for row in rows if row[0][0] >> (8 - GROUP_BITS) == prefix]
        arrays: list[Any] = [token_array(b"".join(row[0] for row in mine))]
        for place, field in enumerate(list(schema)[1:], start=1):
            values = [row[place] for row in mine]
            declared = described.column(field.name)
            assert declared is not None
            codes = np.array(values, dtype=np.int64) - first_of(declared.type)
            arrays.append(code_array(codes.astype(f"u{field.type.byte_width}")))
        groups.append(pa.Table.from_arrays(arrays, schema=schema))
    upload = UploadId(sha256(member.encode()).hexdigest()[:32])
    data_key = SecretKey.adopt(sha256(b"data key of " + member.encode()).digest())
    written = io.BytesIO()
    sink = pa.PythonFile(written, mode="w")
    aad = aad_prefix(ROOM, described.table, upload)
    group_rows = write_table_file(sink, columns, groups, data_key=data_key, aad=aad)
    octets = io.BytesIO(written.getvalue())
    manifest = Manifest(
        room=ROOM,
        table=described.table,
        upload=upload,
        epoch=EPOCH,
        kind=described.unit.kind,
        declaration=Digest.of(b"declared"),
        columns=columns,
        group_rows=group_rows,
        file=file_facts(octets),
        linkage_check=bytes(32),
        intent=Append(),
        after=0,
    )
    return PartitionReader(StoredPartition(manifest), TableFile.open(octets, manifest, data_key))


def _values(rng: Random) -> tuple[int, ...]:
    """Return what a row holds after its token, in the catalog's order: codes, days and steps."""
    return (
        rng.randrange(len(REGIONS)),
        rng.randrange(len(DISCIPLINES)),
        rng.randint(1, 20),
        rng.randint(19_601, 20_331),
        rng.randint(1, 8),
        rng.randrange(25_001),
    )


def work(sql: str) -> dict[str, int]:
    """Return what answering a question takes, noise aside."""
    return works(sql, 1)[0]


def works(sql: str, times: int) -> list[dict[str, int]]:
    """Return what answering a question takes each time that the same process does it."""
    catalogs = {table: catalog(member) for member, table in VISITS.items()}
    plan = admit(sql, None, catalogs)
    with ExitStack() as opened:
        readers = {
            VISITS[member]: (catalog(member), [opened.enter_context(partition(member))])
            for member in MEMBERS
            if VISITS[member] in plan.tables
        }
        # As many slices as a room of so many rows has.
        backend = MergeBackend(readers, SLICES * ROWS_PER_SLICE)
        every = []
        for _ in range(times):
            with counted() as found:
                exact_vector(plan, backend)
            every.append(dict(sorted(found.items())))
    return every


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Count at the doors while this is open."""
    found: Counter[str] = Counter()

    def door(owner: object, name: str, count: Callable[..., None]) -> None:
        call = getattr(owner, name)

        def counting(*arguments: Any, **named: Any) -> Any:
            result = call(*arguments, **named)
            count(result, *arguments)
            return result

        opened.enter_context(patch.object(owner, name, counting))

    def read(
        result: PersonsRows | CountedRows, file: TableFile, first: int, end: int, columns: tuple[str, ...]
    ) -> None:
        of_persons = {TOKEN_COLUMN, ROWS_COLUMN} if isinstance(result, PersonsRows) else {ROWS_COLUMN}
        counts = file._manifest.group_rows
        before = sum(1 for count in counts[:first] if count)
        held = range(before, before + sum(1 for count in counts[first:end] if count))
        groups = [2 * place for place in held] + [2 * place + 1 for place in held if columns]
        metadata = file._parquet.metadata
        found["row groups read"] += len(groups)
        found["persons read"] += len(result.counts)
        found["rows read"] += result.row_count
        found["values read"] += len(of_persons) * len(result.counts) + result.rows.num_rows * result.rows.num_columns
        found["bytes decrypted"] += sum(
            chunk.total_compressed_size
            for group in groups
            for chunk in map(metadata.row_group(group).column, range(metadata.num_columns))
            if chunk.path_in_schema in (columns if group % 2 else of_persons)
        )

    def scanned(result: Any, *_: object) -> None:
        found["slices scanned"] += 1
        found["rows scanned"] += result.rows

    def engine(result: PersonRows, *_: object) -> None:
        found["engine queries"] += 1
        found["rows from the engine"] += result.rows

    def merged(result: PersonRows, *_: object) -> None:
        found["merges"] += 1
        found["rows merged"] += result.rows

    def ranked(result: Any, *_: object) -> None:
        found["tokens merged"] += len(result)

    def bounded(_result: Any, starts: Any, *_: object) -> None:
        found["passes over persons"] += 1
        found["rows bounded one by one"] += int(starts[-1])

    def together(_result: Any, _bounds: Any, starts: Any, *_: object) -> None:
        found["rows added together"] += int(starts[-1])

    with ExitStack() as opened:
        door(TableFile, "read_groups", read)
        door(TableFile, "read_counted", read)
        door(numbered, "scan", scanned)
        door(numbered, "merged_persons", ranked)
        door(DuckDBBackend, "_run", engine)
        door(merge_backend, "person_rows", merged)
        door(contribution, "add_in_full", together)
        door(contribution, "_add_persons", bounded)
        door(quantiles, "_add_weights", bounded)
        yield found
