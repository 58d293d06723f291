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
    monkeypatch.setattr(csv_text, "_PIECE", piece)
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
BAD_FILES = {
    "fewer and more": (
        (HEADER + "a@b.ca,Montréal,\n\nc@d.ca,Montréal\ne@f.ca,Montréal,x,y\n").encode(),
        (
            "v.csv : des lignes n'ont pas les 3 champs de l'en-tête ; rien n'a été déposé\n"
            "  1 × pas assez de champs\n  1 × trop de champs\npremières lignes :\n"
            "  ligne 2, 'c@d.ca,Montréal' : 2 champs\n  ligne 3, 'e@f.ca,Montréal,x,y' : 4 champs"
        ),
        (
            "v.csv: rows do not have the header's 3 fields; nothing was uploaded\n"
            "  1 × too few fields\n  1 × too many fields\nfirst rows:\n"
            "  row 2, 'c@d.ca,Montréal': 2 fields\n  row 3, 'e@f.ca,Montréal,x,y': 4 fields"
        ),
    ),
    "open quote": (
        (HEADER + 'a@b.ca,Montréal,\na@b.ca,"Montréal,\nc@d.ca,Montréal,\n').encode(),
        "ligne 2, 'a@b.ca,\"Montréal,\\nc@d.ca,Montréal,' : 2 champs, guillemet jamais fermé",
        "row 2, 'a@b.ca,\"Montréal,\\nc@d.ca,Montréal,': 2 fields, a quote never closed",
    ),
    "very long open quote": (
        (HEADER + 'a@b.ca,"' + "Montréal\n" * 300_000).encode(),
        "v.csv : une ligne dépasse 1 Mio : un guillemet n'est jamais fermé ?",
        "v.csv: a row is longer than 1 MiB: is a quote never closed?",
    ),
    "no encoding": (
        (HEADER + "a@b.ca,Montréal,").encode("cp1252") + b"\x81\n",
        "v.csv : ligne 2, octet 37 : 0x81 n'est pas du texte UTF-8 ni Windows-1252",
        "v.csv: line 2, byte 37: 0x81 is no text in UTF-8 or Windows-1252",
    ),
    "two encodings": (
        (HEADER + "a@b.ca,Montréal,\n").encode() + "a@b.ca,Montréal,\n".encode("cp1252"),
        "v.csv : ligne 3, octet 52 : 0xE9 n'est pas du texte UTF-8, que le début du fichier est",
        "v.csv: line 3, byte 52: 0xE9 is no text in UTF-8, as the file begins",
    ),
    "mark of UTF-8, not UTF-8": (
        codecs.BOM_UTF8 + b"courriel\nr\xe9gion\n",
        "v.csv : ligne 2, octet 13 : 0xE9 n'est pas du texte UTF-8 (avec BOM), que le fichier annonce",
        "v.csv: line 2, byte 13: 0xE9 is no text in UTF-8 (with BOM), which the file says it is",
    ),
    "half a character of UTF-16": (
        HEADER.encode("utf-16") + b"a",
        "v.csv : ligne 2, octet 44 : 0x61 n'est pas du texte UTF-16, que le fichier annonce",
        "v.csv: line 2, byte 44: 0x61 is no text in UTF-16, which the file says it is",
    ),
    "UTF-16 without its mark": (
        "courriel\n".encode("utf-16-le"),
        "v.csv : ligne 1, octet 1 : 0x00 n'est pas du texte UTF-8 ni Windows-1252",
        "v.csv: line 1, byte 1: 0x00 is no text in UTF-8 or Windows-1252",
    ),
    "empty": (b"", "v.csv : le fichier est vide", "v.csv: the file is empty"),
    "blank first line": (
        b"\n" + HEADER.encode(),
        "v.csv : la première ligne est vide ; l'en-tête y est attendu",
        "v.csv: the first line is blank; it must be the header",
    ),
    "no header": (
        "a@b.ca,Montréal,\nc@d.ca,Montréal,\n".encode(),
        "colonnes déclarées absentes : « courriel », « région », « note » ; la première ligne doit être l'en-tête",
        "v.csv: declared columns missing: 'courriel', 'région', 'note'; the first line must be the header",
    ),
    "workbook": (
        b"PK\x03\x04" + bytes(30),
        "v.csv : c'est un classeur ou une archive, pas un CSV ; enregistrez la feuille en « CSV UTF-8 »",
        "v.csv: this is a workbook or an archive, no CSV; save the sheet as “CSV UTF-8”",
    ),
    "cut gzip": (
        gzip.compress(UTF_8.encode())[:-9],
        "v.csv : fichier compressé endommagé ou incomplet",
        "v.csv: compressed file damaged or incomplete",
    ),
    "broken gzip": (
        gzip.compress(UTF_8.encode())[:10] + b"\xff" * 40,
        "v.csv : fichier compressé endommagé ou incomplet",
        "v.csv: compressed file damaged or incomplete",
    ),
    "cut zstd": (
        zstd(UTF_8.encode())[:-3],
        "v.csv : fichier compressé endommagé ou incomplet",
        "v.csv: compressed file damaged or incomplete",
    ),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_named_in_both_languages(tmp_path: Path, case: str) -> None:
    content, french, english = BAD_FILES[case]
    path = tmp_path / "v.csv"
    path.write_bytes(content)
    with pytest.raises(InvalidUpload) as wrong:
        read_all(path)
    assert wrong.value.message.fr.endswith(french)
    assert wrong.value.message.en.endswith(english)


@pytest.mark.parametrize("pack", [gzip.compress, zstd])
def test_what_unpacks_to_too_much_is_refused(tmp_path: Path, pack: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_text, "LARGEST_UNPACKED", 1 << 20)
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
        patch.setattr(csv_text, "_PIECE", piece)
        try:
            found = find_text(path)
        except InvalidUpload:
            assert expected is None
            return
        with found.open() as octets:
            assert (found.encoding, io.BytesIO(octets.read()).getvalue().decode()) == expected
