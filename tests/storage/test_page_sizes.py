"""What a hostile file would unpack to is known, and refused, before it is unpacked."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from partition_samples import CATALOG, ROOM, Forger, frame, prepared, rows, verified

from cleanroom.errors import InvalidUpload, NotVerified
from cleanroom.partition import table_file, table_layout
from cleanroom.partition.page_sizes import Chunk, MalformedPage, PageSizes
from cleanroom.partition.table_file import RowGroup, TableFile, Texts, read_footer
from cleanroom.partition.table_layout import aad_prefix
from cleanroom.storage import intake
from cleanroom.storage.intake import VerifiedPackage

LOW = b"\x01" + bytes(15)


def opened(taken: VerifiedPackage, texts: Texts = Texts.CODED) -> TableFile:
    return TableFile.open(taken.open_table_file(), taken.manifest, taken.data_key, texts=texts)


def chunks(file: TableFile) -> list[tuple[Chunk, pa.parquet.ColumnChunkMetaData]]:
    metadata = file._parquet.metadata
    return [
        (
            table_file._chunk(metadata.row_group(group).column(place), group, place),
            metadata.row_group(group).column(place),
        )
        for group in range(metadata.num_row_groups)
        for place in range(metadata.num_columns)
    ]


def test_page_sizes_add_up_to_what_arrow_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrow's own total holds each page and its header in clear; headers are some tens of bytes."""
    monkeypatch.setattr(table_layout, "ROWS_PER_GROUP", 512)
    prepared(frame(rows(3000, people=400)), tmp_path / "a.package")
    taken = verified(tmp_path / "a.package")
    source, manifest = taken.open_table_file(), taken.manifest
    aad = aad_prefix(manifest.room, manifest.table, manifest.upload)
    sizes = PageSizes(source, taken.data_key, aad, read_footer(source, manifest.file.size_bytes))
    with opened(taken) as file:
        found = chunks(file)
        assert len(found) >= 8 * 4
        assert {chunk.dictionary for chunk, _ in found} == {False, True}
        texts = {4, 5}
        assert all(chunk.dictionary is (chunk.column in texts) for chunk, _ in found)
        for chunk, column in found:
            pages = list(sizes.of(chunk))
            assert len(pages) == 1 + chunk.dictionary
            assert 10 * len(pages) < column.total_uncompressed_size - sum(pages) < 100 * len(pages)


def test_a_header_elsewhere_or_altered_does_not_open(tmp_path: Path) -> None:
    prepared(frame(rows(30, people=4)), tmp_path / "a.package")
    taken = verified(tmp_path / "a.package")
    source, manifest = taken.open_table_file(), taken.manifest
    aad = aad_prefix(manifest.room, manifest.table, manifest.upload)
    footer = read_footer(source, manifest.file.size_bytes)
    with opened(taken) as file:
        (first, _), (second, _), *_ = chunks(file)
    sizes = PageSizes(source, taken.data_key, aad, footer)
    for wrong in (
        Chunk(second.row_group, second.column + 1, second.start, second.size, second.dictionary),
        Chunk(second.row_group + 1, second.column, second.start, second.size, second.dictionary),
        Chunk(first.row_group, first.column, first.start, first.size - 1, first.dictionary),
        Chunk(first.row_group, first.column, first.start + 1, first.size, first.dictionary),
        Chunk(first.row_group, first.column, first.start, first.size, not first.dictionary),
    ):
        with pytest.raises(MalformedPage):
            list(sizes.of(wrong))
    with pytest.raises(MalformedPage):
        list(PageSizes(source, taken.data_key, aad_prefix(ROOM, CATALOG.table, "0" * 32), footer).of(first))  # type: ignore[arg-type]
    for cut in range(8):
        with pytest.raises(MalformedPage):
            PageSizes(source, taken.data_key, aad, footer[:cut])


@pytest.mark.parametrize("limit", ["LARGEST_PAGE", "LARGEST_BATCH"])
def test_a_page_or_column_that_unpacks_too_large_is_refused_unopened(
    limit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forger = Forger(tmp_path)
    package = forger.package([forger.table([number.to_bytes(16, "big") for number in range(5000)])])
    verified(package)
    monkeypatch.setattr(table_file, "LARGEST_PAGE", 1000)
    monkeypatch.setattr(table_file, "LARGEST_BATCH", 1000 if limit == "LARGEST_BATCH" else 1 << 26)
    monkeypatch.setattr(TableFile, "batches", lambda *_: pytest.fail("a page was unpacked"))
    with pytest.raises(InvalidUpload) as caught:
        verified(package)
    assert caught.value.code == "table_file_too_large"
    assert "row group 0" in caught.value.message.en


def test_a_text_repeated_beyond_measure_is_refused_without_writing_it_out(tmp_path: Path) -> None:
    """A dictionary of one long text and a run of codes: some kilobytes, of which a reader makes 100 MB."""
    forger = Forger(tmp_path)
    table = forger.table([LOW] * 100_000)
    long = pa.DictionaryArray.from_arrays(pa.array([0] * 100_000, pa.int32()), pa.array(["x" * 1000]))
    table = table.set_column(4, table.schema.field(4), long.cast(pa.string()))
    package = forger.package([table])
    assert package.stat().st_size < 2_000_000
    del table, long
    with pytest.raises(InvalidUpload) as caught:
        verified(package)
    assert caught.value.code == "table_file_too_large"
    assert caught.value.message.en == "token range 0: texts longer than the room takes"


def test_texts_are_checked_as_codes(tmp_path: Path) -> None:
    prepared(frame(rows(300, people=40)), tmp_path / "a.package")
    taken = verified(tmp_path / "a.package")
    with opened(taken) as coded, opened(taken, Texts.PLAIN) as plain:
        (codes,), (texts,) = list(coded.batches(0, RowGroup.ROWS)), list(plain.batches(0, RowGroup.ROWS))
    assert isinstance(codes.column(5), pa.DictionaryArray)
    assert codes.column(5).cast(pa.string()).equals(texts.column(5))
    written = sum(len(each.encode()) for each in texts.column(5).to_pylist())
    assert intake._text_bytes(codes.column(5)) == written
    assert intake._text_bytes(texts.column(5)) == 0


def test_an_altered_page_header_is_not_verified(tmp_path: Path) -> None:
    forger = Forger(tmp_path)
    taken = verified(forger.package([forger.table([LOW] * 10)]))
    content = bytearray(taken.open_table_file().read())
    with opened(taken) as file:
        (first, _), *_ = chunks(file)
    content[first.start + 20] ^= 1
    path = tmp_path / "altered.parquet"
    path.write_bytes(content)
    with TableFile.open(path.open("rb"), taken.manifest, taken.data_key) as file, pytest.raises(NotVerified):
        file.require_bounded(taken.data_key)
