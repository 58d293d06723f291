"""CSV as organisations have it: encodings, delimiters, packing, and each bad file's message in both languages."""

from __future__ import annotations

import codecs
import gzip
import io
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanroom.catalog import Category, Column, Contribution, PrivacyUnit, TableCatalog, Text
from cleanroom.client import csv_text
from cleanroom.client import encoding as encodings
from cleanroom.client import packing as packings
from cleanroom.client.conform import Conforming, Treatment
from cleanroom.client.csv_rows import Delimiter
from cleanroom.client.csv_text import Encoding, Packing, find_text
from cleanroom.client.read_table import CsvFacts, read_sources
from cleanroom.client.reading import Reading
from cleanroom.errors import InvalidUpload
from cleanroom.identifiers import IdentifierKind, TableName

CATALOG = TableCatalog(
    TableName.parse("tnm.visits"),
    PrivacyUnit("person", "courriel", IdentifierKind.EMAIL),
    (Column("région", Category(("Montréal",), nullable=False)), Column("note", Text(nullable=True))),
    max_rows_per_person=9,
    contribution=Contribution(1, 1),
)
ROWS = [("a@b.ca", "Montréal", "1,5"), ("c@d.ca", "Montréal", None)]
UTF_8 = "courriel;région;note\r\na@b.ca;Montréal;1,5\r\n\r\nc@d.ca;Montréal;\r\n"


def zstd(content: bytes) -> bytes:
    return bytes(pa.Codec("zstd").compress(content, asbytes=True))


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (UTF_8.encode(), Encoding.UTF_8),
        (UTF_8.encode("utf-8-sig"), Encoding.UTF_8_MARK),
        (UTF_8.encode("cp1252"), Encoding.WINDOWS_1252),
        (UTF_8.encode("utf-16"), Encoding.UTF_16),
        (codecs.BOM_UTF16_BE + UTF_8.encode("utf-16-be"), Encoding.UTF_16),
        (UTF_8.replace("\r\n", "\r").encode("cp1252"), Encoding.WINDOWS_1252),
    ],
)
@pytest.mark.parametrize("packing", Packing)
@pytest.mark.parametrize("piece", [1 << 22, 5])
def test_encodings_and_packings_are_found(
    tmp_path: Path, content: bytes, encoding: Encoding, packing: Packing, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (csv_text, encodings, packings):
        monkeypatch.setattr(module, "PIECE", piece)
    pack = {Packing.NONE: bytes, Packing.GZIP: gzip.compress, Packing.ZSTD: zstd}[packing]
    path = tmp_path / "ventes.csv"
    path.write_bytes(pack(content))
    for table in read_sources(path, CATALOG):
        assert pl.concat(table.batches).select("courriel", "région", "note").rows() == ROWS
        assert table.csv == CsvFacts(packing, encoding, Delimiter.SEMICOLON)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("delimiter", Delimiter)
def test_delimiters_are_found_though_quotes_hold_others(tmp_path: Path, delimiter: Delimiter) -> None:
    rows = [
        ["courriel", '"nom, prénom; titre | ville\tet, pays"', "note", "région"],
        ["a@b.ca", '"x,;|\ty\nz"', '"1,5"', "Montréal"],
        ["c@d.ca", "", "", "Montréal"],
    ]
    path = tmp_path / "v.csv"
    path.write_text("\n".join(delimiter.value.join(row) for row in rows), encoding="utf-8")
    for table in read_sources(path, CATALOG):
        assert table.csv is not None
        assert table.csv.delimiter is delimiter
        assert pl.concat(table.batches).select("courriel", "région", "note").rows() == ROWS
        assert table.dropped == ("nom, prénom; titre | ville\tet, pays",)


def read_all(path: Path) -> None:
    """Read a file as an upload does, whose bad rows are refused."""
    conforming = Conforming(CATALOG, Reading(), Treatment())
    for table in read_sources(path, CATALOG):
        list(conforming.conform(table))


HEADER = "courriel,région,note\n"


@pytest.mark.parametrize("pack", [gzip.compress, zstd])
def test_what_unpacks_to_too_much_is_refused(tmp_path: Path, pack: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packings, "LARGEST_UNPACKED", 1 << 20)
    assert callable(pack)
    path = tmp_path / "v.csv"
    path.write_bytes(pack(HEADER.encode() + b"\n" * (1 << 20)))
    with pytest.raises(InvalidUpload, match="unpacks to more than 0"):
        read_all(path)


@settings(deadline=None, max_examples=200)
@given(
    st.binary(max_size=12)
    | st.text("aé\n€\U0001f3ad", max_size=8).map(str.encode)
    | st.text("aé\n").map(lambda t: t.encode("cp1252")),
    st.integers(1, 6),
)
def test_encodings_follow_python(tmp_path_factory: pytest.TempPathFactory, content: bytes, piece: int) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    content = b"x" + content  # neither packed nor marked
    path.write_bytes(content)
    expected: tuple[Encoding, str] | None = None
    for encoding in (Encoding.UTF_8, Encoding.WINDOWS_1252):
        try:
            text = content.decode(encoding.value)
        except UnicodeDecodeError as error:
            if not content[: error.start].isascii():
                break
            continue
        expected = None if "\0" in text else (encoding, text)
        break
    with pytest.MonkeyPatch.context() as patch:
        for module in (csv_text, encodings, packings):
            patch.setattr(module, "PIECE", piece)
        try:
            found = find_text(path)
        except InvalidUpload:
            assert expected is None
            return
        with found.open() as octets:
            assert (found.encoding, io.BytesIO(octets.read()).getvalue().decode()) == expected
