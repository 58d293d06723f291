"""Sources: CSV as it comes from French and English office software, Parquet, data frames; only declared columns."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from cleanroom.catalog import Column, Contribution, Number, PrivacyUnit, TableCatalog, Text
from cleanroom.client.read_table import Source, read_sources
from cleanroom.errors import InvalidUpload, UsageError
from cleanroom.identifiers import IdentifierKind, TableName

CATALOG = TableCatalog(
    TableName.parse("tnm.visits"),
    PrivacyUnit("person", "Courriel du client", IdentifierKind.EMAIL),
    (Column("tickets", Number(Decimal(1), 1, 12, nullable=False)), Column("note", Text(nullable=True))),
    max_rows_per_person=9,
    contribution=Contribution(1, 1),
)
FRAME = {"Courriel du client": ["a@b.ca", "c@d.ca"], "tickets": [1, 2], "note": ["x", None], "nom": ["Anne", "Luc"]}


def read_all(source: Source | list[Source]) -> list[list[pl.DataFrame]]:
    return [list(table.batches) for table in read_sources(source, CATALOG)]


@pytest.mark.parametrize(
    "content",
    [
        "Courriel du client,tickets,note,nom\na@b.ca,1,x,Anne\nc@d.ca,2,,Luc\n",
        "\ufeffnom;note;tickets;Courriel du client\r\nAnne;x;1;a@b.ca\r\nLuc;;2;c@d.ca\r\n",
        '"COURRIEL DU CLIENT ","Tickets"," note","nom"\n"a@b.ca","1","x","Tremblay, Anne"\nc@d.ca,2,,Luc',
        'nom;"Courriel du client";tickets;note\n"An\nne";a@b.ca;1;x\n;c@d.ca;2;\n',
    ],
)
def test_csv(tmp_path: Path, content: str) -> None:
    path = tmp_path / "ventes.csv"
    path.write_bytes(content.encode())
    for table in read_sources(path, CATALOG):
        assert table.name == "ventes.csv"
        assert table.dropped == ("nom",)
        frame = pl.concat(table.batches)
    assert frame.select("Courriel du client", "tickets", "note").rows() == [
        ("a@b.ca", "1", "x"),
        ("c@d.ca", "2", None),
    ]


def test_numbers_of_a_csv_are_not_guessed(tmp_path: Path) -> None:
    path = tmp_path / "v.csv"
    path.write_text("Courriel du client,tickets,note\na@b.ca,007,1.10\n", encoding="utf-8")
    (frame,) = [pl.concat(table.batches) for table in read_sources(str(path), CATALOG)]
    assert frame.row(0) == ("a@b.ca", "007", "1.10")


def test_a_header_alone_is_an_empty_table(tmp_path: Path) -> None:
    path = tmp_path / "v.csv"
    path.write_text("Courriel du client,tickets,note\n", encoding="utf-8")
    assert [list(table.batches) for table in read_sources(path, CATALOG)] == [[]]


def test_data_frames_and_parquet_say_the_same(tmp_path: Path) -> None:
    frame = pl.DataFrame(FRAME)
    frame.write_parquet(tmp_path / "v.parquet")
    sources = [tmp_path / "v.parquet", frame, pa.table(FRAME), pd.DataFrame(FRAME)]
    for table in read_sources(sources, CATALOG):
        assert table.dropped == ("nom",)
        assert pl.concat(table.batches).rows() == [("a@b.ca", 1, "x"), ("c@d.ca", 2, None)]


def test_missing_columns_are_named_with_what_they_may_be() -> None:
    frame = pl.DataFrame({"courriel client": ["a@b.ca"], "ticket": [1], "nom": ["Anne"]})
    with pytest.raises(InvalidUpload) as missing:
        read_all(frame)
    assert missing.value.code == "missing_columns"
    assert "'tickets' (is it 'ticket'?)" in missing.value.message.en
    assert "« Courriel du client » (serait-ce « courriel client » ?)" in missing.value.message.fr
    assert "'note'" in missing.value.message.en
    assert "Anne" not in str(missing.value)


RENAME = "rename the one that is not meant"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty; make the export again"),
        (b"Courriel du client,tickets,TICKETS ,Tickets,note\na@b.ca,1,2,3,4\n", ""),
        (b"Courriel du client,tickets,tickets,note\n", "several columns are called 'tickets'; " + RENAME),
        (b"Courriel du client,Tickets,TICKETS,note\n", "several columns are called 'tickets'; " + RENAME),
        (b'"Courriel du client,tickets\n', "malformed header: a quote is not closed in it; mend the first line"),
    ],
)
def test_unreadable_csv(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "v.csv"
    path.write_bytes(content)
    if not said:
        (table,) = read_sources(path, CATALOG)
        assert table.dropped == ("TICKETS ", "Tickets")
        return
    with pytest.raises(InvalidUpload) as wrong:
        read_all(path)
    assert wrong.value.message.en.startswith(f"v.csv: {said}")
    assert wrong.value.message.fr.startswith("v.csv : ")


def test_what_is_no_source() -> None:
    sources: tuple[object, ...] = (Path("/nowhere/v.csv"), [], 7)
    for source in sources:
        with pytest.raises(UsageError):
            read_all(source)  # type: ignore[arg-type]


def test_unreadable_parquet(tmp_path: Path) -> None:
    path = tmp_path / "v.parquet"
    path.write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(InvalidUpload, match="unreadable Parquet"):
        read_all(path)
