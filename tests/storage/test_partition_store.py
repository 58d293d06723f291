"""The way of a table, from a member's rows to slices of the store, and what the store notices."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe
import pytest
from partition_samples import (
    CATALOG,
    LINKAGE,
    NAMES,
    REGIONS,
    Forger,
    Row,
    frame,
    prepared,
    read_form,
    rows,
    stored_form,
    verified,
)

from cleanroom.client.tokens import token
from cleanroom.errors import Fault, InvariantBroken, NotVerified
from cleanroom.identifiers import Digest, IdentifierKind, UploadId
from cleanroom.partition import (
    LARGEST_GROUP_BITS,
    StorageType,
    StoredColumn,
    arrow_schema,
    table_file,
    table_layout,
    token_array,
    write_table_file,
)
from cleanroom.partition.manifest import TOKEN
from cleanroom.storage import partition_store
from cleanroom.storage.partition_store import PartitionReader, PartitionStore, StoredPartition
from key_management.secret import SecretKey

SHAPES = {
    "several people": rows(300, people=40),
    "no rows": [],
    "one row": rows(1, people=1),
    "one person": rows(120, people=1),
}


def placed(made: list[Row], tmp_path: Path) -> tuple[PartitionStore, StoredPartition, SecretKey]:
    path = tmp_path / "a.package"
    prepared(frame(made), path)
    taken = verified(path)
    store = PartitionStore(tmp_path / "store")
    return store, store.place(taken), taken.data_key


@pytest.fixture(params=SHAPES)
def made(request: pytest.FixtureRequest) -> list[Row]:
    return SHAPES[request.param]


@pytest.fixture(params=[131_072, 32])
def rows_per_group(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(table_layout, "ROWS_PER_GROUP", request.param)
    return int(request.param)


def test_what_goes_in_comes_out(made: list[Row], rows_per_group: int, tmp_path: Path) -> None:
    expected = stored_form(made)
    store, stored, data_key = placed(made, tmp_path)
    assert stored.rows == len(made)
    assert StoredPartition(type(stored.manifest).parse(stored.manifest.encode())) == stored
    groups = len(stored.manifest.group_rows)
    assert groups == 1 or len(made) > rows_per_group * groups // 2
    with store.open(stored, data_key) as reader:
        assert read_form(reader.read(0, 0, NAMES)) == expected
        for bits in (1, 3, 5, 32):
            prefixes = range(1 << bits) if bits < 32 else {int.from_bytes(row[0][:4], "big") for row in expected}  # type: ignore[index]
            held = [row for prefix in sorted(prefixes) for row in read_form(reader.read(bits, prefix, NAMES))]
            assert held == expected


def test_each_range_holds_its_tokens_only_and_columns_come_as_asked(tmp_path: Path, rows_per_group: int) -> None:
    store, stored, data_key = placed(SHAPES["several people"], tmp_path)
    with store.open(stored, data_key) as reader:
        for prefix in range(16):
            held = reader.read(4, prefix, ["montant", "region"])
            assert held.rows.column_names == ["montant", "region"]
            assert held.rows.num_rows == held.row_count == sum(held.counts.to_pylist())
            assert {unit.bytes[0] >> 4 for unit in held.tokens.to_pylist()} <= {prefix}
            bare = reader.read(4, prefix, [])
            assert bare.rows.column_names == []
            assert (bare.tokens, bare.counts, bare.row_count) == (held.tokens, held.counts, held.row_count)
        for bits, prefix in ((-1, 0), (33, 0), (2, 4), (2, -1)):
            with pytest.raises(ValueError, match="no such range"):
                reader.read(bits, prefix, [])


def test_slices_of_one_group_share_its_memory(tmp_path: Path) -> None:
    store, stored, data_key = placed(SHAPES["several people"], tmp_path)
    with store.open(stored, data_key) as reader:
        buffers = {
            reader.read(3, prefix, ["montant"]).rows.column("montant").chunk(0).buffers()[1].address
            for prefix in range(8)
            if reader.read(3, prefix, ["montant"]).row_count
        }
    assert len(buffers) == 1


def test_only_the_groups_of_a_range_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_layout, "ROWS_PER_GROUP", 32)
    store, stored, data_key = placed(SHAPES["several people"], tmp_path)
    bits = stored.manifest.group_bits
    assert bits == 4
    path = store.path(stored)
    content = bytearray(path.read_bytes())
    with store.open(stored, data_key) as reader:
        # Of the persons of one range: 16 bytes each, most of a small page.
        place = table_file._chunk(reader._table_file._parquet.metadata.row_group(14).column(0), 14, 0)
    content[place.start + place.size // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(content)
    broken = []
    for prefix in range(1 << bits):
        with store.open(stored, data_key) as reader:
            try:
                reader.read(bits, prefix, NAMES)
            except NotVerified as altered:
                broken.append((prefix, altered.message.en))
    assert len(broken) == 1
    assert broken[0][1] == f"the table file was altered: token ranges {broken[0][0]} to {broken[0][0]}"


def test_as_many_ranges_as_are_promised_are_written_and_read(tmp_path: Path) -> None:
    """And not one more: each is two row groups, whose ordinals have 15 bits (Parquet Modular Encryption §4.4.2)."""
    columns = (TOKEN, StoredColumn("montant", StorageType.CODE8, nullable=False))
    key, path, most = SecretKey.generate(), tmp_path / "many.parquet", 1 << LARGEST_GROUP_BITS
    lone = pa.table({"u": token_array(bytes(16)), "montant": [b"\7"]}, schema=arrow_schema(columns))
    assert write_table_file(path, columns, (lone for _ in range(most)), data_key=key, aad=b"") == (1,) * most
    opened = pq.ParquetFile(
        path, decryption_properties=pe.create_decryption_properties(key.reveal_secret_bytes(), aad_prefix=b"")
    )
    assert opened.num_row_groups == 2 * most
    assert opened.read_row_group(2 * most - 1, columns=["montant"]).to_pylist() == [{"montant": b"\7"}]
    with pytest.raises(OSError, match="row groups"):
        write_table_file(path, columns, (lone for _ in range(most + 1)), data_key=key, aad=b"")


def test_tokens_of_one_prefix_make_one_group_of_many(tmp_path: Path) -> None:
    forger = Forger(tmp_path)
    crowd = forger.table([b"\x50" + bytes(13) + number.to_bytes(2, "big") for number in range(1000)])
    empty = crowd.slice(0, 0)
    taken = verified(forger.package([empty, crowd, empty, empty]))
    store = PartitionStore(tmp_path / "store")
    stored = store.place(taken)
    assert stored.manifest.group_rows == (0, 1000, 0, 0)
    with store.open(stored, taken.data_key) as reader:
        assert [reader.read(2, prefix, ["salle"]).rows.num_rows for prefix in range(4)] == [0, 1000, 0, 0]
        assert reader.read(1, 0, ["salle"]).rows.num_rows == 1000
        assert reader.read(1, 1, ["region"]).rows.schema == crowd.schema.empty_table().select(["region"]).schema
        assert [len(reader.read(8, prefix, []).tokens) for prefix in (0x4F, 0x50, 0x51)] == [0, 1000, 0]
        assert reader.read(0, 0, NAMES).rows.num_rows == 1000


@pytest.mark.parametrize("shape", ["one row", "no rows"])
def test_no_flipped_byte_of_a_partition_reaches_a_reader(shape: str, tmp_path: Path) -> None:
    """Pages of NULLs are never read; a change in one, like any other, is noticed by the whole file's digest."""
    store, stored, data_key = placed(SHAPES[shape], tmp_path)
    path = store.path(stored)
    content = path.read_bytes()

    def read() -> list[Row]:
        with store.open(stored, data_key) as reader:
            return read_form(reader.read(0, 0, NAMES))

    expected = read()
    with store.open(stored, data_key) as reader:
        metadata = reader._table_file._parquet.metadata
        nulls = [
            table_file._chunk(metadata.row_group(group).column(place), group, place)
            for group in range(metadata.num_row_groups)
            for place in range(metadata.num_columns)
            if (place < 2) is (group % 2 == 1)
        ]
    unread = {byte for chunk in nulls for byte in range(chunk.start, chunk.start + chunk.size)}
    assert len(unread) < len(content) // 2
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x80]) + content[place + 1 :])
        if place in unread:
            assert read() == expected
        else:
            with pytest.raises(NotVerified, match="the table file was altered"):
                read()
        with pytest.raises(NotVerified, match="the digest is not the manifest's"):
            store.verify(stored)
    for other in (content[:-1], content + b"\0", b""):
        path.write_bytes(other)
        with pytest.raises(NotVerified, match="length"):
            read()


def test_another_key_or_a_missing_file(tmp_path: Path) -> None:
    store, stored, _ = placed(SHAPES["one row"], tmp_path)
    with pytest.raises(NotVerified, match="footer or data key"):
        store.open(stored, SecretKey.generate())
    store.remove(stored)
    store.remove(stored)
    for use in (lambda: store.open(stored, SecretKey.generate()), lambda: store.verify(stored)):
        with pytest.raises(Fault, match="the file is missing"):
            use()


def test_placing_again_does_nothing_and_another_file_is_refused(tmp_path: Path) -> None:
    package = tmp_path / "a.package"
    prepared(frame(SHAPES["one row"]), package)
    store = PartitionStore(tmp_path / "store")
    stored = store.place(verified(package))
    path = store.path(stored)
    before = path.stat()
    assert store.place(verified(package)) == stored
    assert path.stat().st_ino == before.st_ino
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]

    forger = Forger(tmp_path, upload=stored.upload)
    with pytest.raises(NotVerified, match="the digest is not the manifest's"):
        store.place(verified(forger.package([forger.table([bytes(16)])])))
    store.verify(stored)


def test_a_package_changed_after_it_was_verified_is_not_placed(tmp_path: Path) -> None:
    package = tmp_path / "a.package"
    prepared(frame(SHAPES["one row"]), package)
    taken = verified(package)
    content = bytearray(package.read_bytes())
    content[-100] ^= 1
    package.write_bytes(content)
    store = PartitionStore(tmp_path / "store")
    with pytest.raises(NotVerified):
        store.place(taken)
    assert [path for path in (tmp_path / "store").rglob("*") if path.is_file()] == []


def test_orphans_are_removed_and_nothing_else(tmp_path: Path) -> None:
    store, stored, _ = placed(SHAPES["one row"], tmp_path)
    directory = store.path(stored).parent
    orphan = directory / f"{'0' * 32}.parquet"
    temporary = directory / f".{'1' * 32}.{'2' * 16}.tmp"
    foreign = directory / "notes.txt"
    for path in (orphan, temporary, foreign):
        path.write_bytes(b"x")
    assert set(store.remove_orphans([stored.upload])) == {orphan, temporary}
    assert set(directory.iterdir()) == {foreign, store.path(stored)}
    assert store.remove_orphans([stored.upload, UploadId("3" * 32)]) == ()
    assert PartitionStore(tmp_path / "absent").remove_orphans([]) == ()


def test_nothing_readable_is_on_the_disk(tmp_path: Path) -> None:
    made = SHAPES["several people"]
    store, stored, data_key = placed(made, tmp_path)
    email = str(made[0][0])
    secrets = [
        *(b"marqueur", b"exemple.ca", email.encode(), "québec".encode(), b"grande salle", b"web"),
        *(region.encode() for region in REGIONS),
        token(LINKAGE.secret, kind=IdentifierKind.EMAIL, epoch=LINKAGE.epoch, value=email),
        data_key.reveal_secret_bytes(),
        data_key.reveal_secret_bytes().hex().encode(),
        LINKAGE.secret.reveal_secret_bytes(),
        LINKAGE.secret.reveal_secret_bytes().hex().encode(),
    ]
    files = [Path(at) / name for at, _, names in os.walk(tmp_path) for name in names]
    assert {path.name for path in files} == {"a.package", store.path(stored).name}
    for path in files:
        content = path.read_bytes()
        assert [secret for secret in secrets if secret in content] == []
    # The store's file does not even say where it belongs: the AAD prefix is not stored.
    assert b"visits" not in store.path(stored).read_bytes()


def test_a_range_that_was_seen_is_read_without_its_tokens(tmp_path: Path, rows_per_group: int) -> None:
    """Whole ranges of this very file only, as long as the store lives; other persons than those stop the question."""
    store, stored, data_key = placed(SHAPES["several people"], tmp_path)
    bits = stored.manifest.group_bits
    with store.open(stored, data_key) as reader:
        held = reader.read(0, 0, NAMES)
        assert reader.read_seen(0, 0, NAMES) is None
        reader.saw(0, 0, len(held.tokens))
        reader.saw(bits + 1, 0, len(held.tokens))
        assert reader.read_seen(bits + 1, 0, NAMES) is None
    with store.open(stored, data_key) as again:
        counted = again.read_seen(0, 0, NAMES)
        assert counted is not None
        assert (counted.counts, counted.rows, counted.row_count) == (held.counts, held.rows, held.row_count)
        again.saw(0, 0, len(held.tokens) + 1)
        with pytest.raises(InvariantBroken, match="not those that were seen"):
            again.read_seen(0, 0, NAMES)
    with PartitionStore(store.path(stored).parents[2]).open(stored, data_key) as elsewhere:
        assert elsewhere.read_seen(0, 0, NAMES) is None


def test_what_was_seen_is_forgotten_before_it_is_too_much(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(partition_store, "_MOST_SEEN", 2)
    store, stored, data_key = placed(SHAPES["one row"], tmp_path)
    with store.open(stored, data_key) as reader:
        for persons in range(3):
            reader.saw(0, 0, persons)
        assert reader._seen.of(stored, 0, 0) == 2
        reader.saw(1, 0, 1)
        reader.saw(1, 1, 1)
        assert [reader._seen.of(stored, *each) for each in ((0, 0), (1, 0), (1, 1))] == [None, None, 1]
        # Of another upload nothing was seen, nor of other bytes under the same name.
        file = replace(stored.manifest.file, digest=Digest.of(b"other bytes"))
        for changed in ({"upload": UploadId("0" * 32)}, {"file": file}):
            assert reader._seen.of(StoredPartition(replace(stored.manifest, **changed)), 1, 1) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rows", "bits"),
    [
        (0, 0), (1, 0), (131_072, 0), (131_073, 1), (32 * 131_072, 5), (32 * 131_072 + 1, 5), (10_000_000, 5),
        (32 * 524_288, 5), (32 * 524_288 + 1, 6), (30_000_000, 6), (2**40, 14),
    ],
)  # fmt: skip
def test_tables_are_cut_into_ranges_and_large_ones_into_larger_ranges(rows: int, bits: int) -> None:
    assert table_layout.group_bits_for(rows) == bits


def test_a_reader_is_closed(tmp_path: Path) -> None:
    store, stored, data_key = placed(SHAPES["one row"], tmp_path)
    with store.open(stored, data_key) as reader:
        assert isinstance(reader, PartitionReader)
        assert reader.read(0, 0, []).row_count == 1
    with pytest.raises((NotVerified, ValueError)):
        reader.read(0, 0, ["salle"])
    assert CATALOG.table == stored.table
