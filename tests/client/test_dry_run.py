"""A dry run says to the byte what an upload sends, and leaves nothing anywhere."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cleanroom.catalog import Category, Column, Contribution, Date, Number, PrivacyUnit, TableCatalog, Text
from cleanroom.client import (
    BadRows,
    DryRun,
    LinkageKey,
    Options,
    RoomFacts,
    RowsRefused,
    Stage,
    Treatment,
    prepare,
    rehearse,
)
from cleanroom.client.tokens import token
from cleanroom.errors import UsageError
from cleanroom.identifiers import Digest, Epoch, IdentifierKind, RoomId, TableName
from cleanroom.partition import read_package
from cleanroom.partition.package import sealing_info
from cleanroom.partition.table_file import TableFile
from cleanroom.partition.table_layout import rows_under_tokens, token_bytes
from key_management.secret import SecretKey
from key_management.transport import TransportKey

CATALOG = TableCatalog(
    TableName.parse("tnm.visits"),
    PrivacyUnit("person", "courriel", IdentifierKind.EMAIL),
    (
        Column("region", Category(("laval", "estrie"), nullable=True)),
        Column("jour", Date(date(2024, 1, 1), date(2024, 12, 31), nullable=True)),
        Column("montant", Number(Decimal("0.05"), 0, 50_000, nullable=True, unit="CAD")),
        Column("note", Text(nullable=True)),
    ),
    max_rows_per_person=2,
    contribution=Contribution(1, 1),
)
ROOM, EPOCH = RoomId("salle"), Epoch("2025")
TRANSPORT = TransportKey.generate()
FACTS = RoomFacts(ROOM, TRANSPORT.public_bytes(), EPOCH, Digest.of(b"declaration"), 7)
LINKAGE = LinkageKey(ROOM, EPOCH, SecretKey.generate())
SIGNING = Ed25519PrivateKey.generate()


def frame(rows: int) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "courriel": [f"p{row % (rows // 3 + 1)}@b.ca" for row in range(rows)],
            "region": [("laval", "estrie", None)[row % 3] for row in range(rows)],
            "jour": [None if row % 5 == 0 else date(2024, 1, 1 + row % 28) for row in range(rows)],
            "montant": [None if row % 7 == 0 else row % 900 for row in range(rows)],
            "note": [None if row % 4 == 0 else f"note {row}" for row in range(rows)],
            "nom": ["Anne"] * rows,
        },
        schema_overrides={"courriel": pl.String, "nom": pl.String},
    )


def table_file(package: Path, copy: Path) -> pa.Table:
    """Return what the room finds in a package."""
    read = read_package(package)
    copy.write_bytes(package.read_bytes()[read.table_file_offset :])
    key = TRANSPORT.open(read.sealed_key, sealing_info(read.manifest))
    with TableFile.open(copy.open("rb"), read.manifest, key) as file:
        held = file.read_groups(0, len(read.manifest.group_rows), [column.name for column in CATALOG.columns])
        return rows_under_tokens(held)


@pytest.mark.parametrize("rows", [0, 1, 4, 300_000])
def test_it_is_what_the_upload_is(tmp_path: Path, rows: int) -> None:
    source = frame(rows)
    run = rehearse(source, CATALOG, FACTS, LINKAGE)
    assert list(tmp_path.iterdir()) == []
    package = tmp_path / "out.package"
    prepared = prepare(source, CATALOG, FACTS, SIGNING, LINKAGE, package)
    manifest = read_package(package).manifest
    assert (run.rows, run.group_rows, run.columns) == (prepared.rows, manifest.group_rows, manifest.columns)
    # zstd's length depends on nothing but the rows; so does everything else.
    assert run.size_bytes == prepared.size_bytes == package.stat().st_size
    assert (run.left_out, run.sources, run.persons) == (prepared.left_out, prepared.sources, prepared.persons)
    assert run.left_out.columns == ("nom",)
    stored = table_file(package, tmp_path / "table")
    tokens = bytes(token_bytes(stored["u"].combine_chunks()))
    assert [row.token for row in run.first] == [tokens[16 * row : 16 * row + 16].hex() for row in range(min(5, rows))]
    for row, expected in zip(run.first, stored.drop_columns(["u"]).slice(0, 5).to_pylist(), strict=True):
        region, day, amount, note = row.values
        codes = [int.from_bytes(expected[name], "little") for name in ("region", "jour", "montant")]
        kept = [None if code == none else code for code, none in zip(codes, (255, 65_535, 65_535), strict=True)]
        assert [region.stored, day.stored, amount.stored] == kept
        assert region.meaning == (None if kept[0] is None else ("laval", "estrie")[kept[0]])
        assert day.meaning == (None if kept[1] is None else (date(2024, 1, 1) + timedelta(days=kept[1])).isoformat())
        assert amount.meaning == (None if kept[2] is None else f"{Decimal('0.05') * kept[2]} CAD")
        assert note.stored == note.meaning == expected["note"]


def shown(run: DryRun) -> list[str]:
    return [row.token for row in run.first]


def test_a_token_is_the_persons() -> None:
    run = rehearse(frame(1), CATALOG, FACTS, LINKAGE)
    kind = CATALOG.unit.token_kind
    assert shown(run) == [token(LINKAGE.secret, kind=kind, epoch=EPOCH, value="p0@b.ca").hex()]


def test_persons_beyond_the_limit_are_counted_for_the_owner(tmp_path: Path) -> None:
    people = ["a@b.ca"] * 5 + ["c@d.ca"] * 2 + ["e@f.ca"] * 3 + ["n/a"] * 9
    source = frame(len(people)).with_columns(courriel=pl.Series(people))
    for batch_rows in (1, 4, 1000):
        prepared = prepare(
            source,
            CATALOG,
            FACTS,
            SIGNING,
            LINKAGE,
            tmp_path / "out.package",
            options=Options(batch_rows=batch_rows, run_rows=batch_rows),
        )
        counts = prepared.persons
        assert (counts.persons, counts.over_limit, counts.rows_ignored, prepared.without_person) == (3, 2, 4, 9)


def test_what_an_upload_refuses_a_dry_run_refuses(tmp_path: Path) -> None:
    wrong = frame(3).with_columns(region=pl.lit("paris"))
    with pytest.raises(RowsRefused):
        rehearse(wrong, CATALOG, FACTS, LINKAGE)
    with pytest.raises(RowsRefused):
        rehearse(wrong, CATALOG, FACTS, LINKAGE, options=Options(treatment=Treatment(BadRows.LEAVE_OUT)))
    with pytest.raises(UsageError, match="the linkage key is that of"):
        rehearse(frame(3), CATALOG, FACTS, LinkageKey(ROOM, Epoch("2026"), LINKAGE.secret))
    assert list(tmp_path.iterdir()) == []


def test_writing_is_said_as_it_goes(tmp_path: Path) -> None:
    said: list[tuple[Stage, int, int]] = []
    options = Options(progress=lambda *each: said.append(each))
    prepare(frame(300_000), CATALOG, FACTS, SIGNING, LINKAGE, tmp_path / "out.package", options=options)
    writing = [each for each in said if each[0] is Stage.WRITING]
    assert len(writing) == 4
    assert [done for _, done, _ in writing] == sorted(done for _, done, _ in writing)
    assert writing[-1] == (Stage.WRITING, 300_000, 300_000)
