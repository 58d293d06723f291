"""What an owner may choose: how files are read, which rows stay at home, which values change; all of it reported."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stored_codes import coded_numbers

from cleanroom.catalog import Category, Column, Contribution, Date, Number, PrivacyUnit, TableCatalog, Text
from cleanroom.client import (
    BadRows,
    DateForm,
    DecimalMark,
    Delimiter,
    Encoding,
    LinkageKey,
    Options,
    OutOfBounds,
    Reading,
    ReasonKind,
    RowsRefused,
    Treatment,
    Vocabulary,
    read_vocabulary,
)
from cleanroom.client.csv_rows import UnevenRows
from cleanroom.client.gather import Gathered, gather
from cleanroom.errors import InvalidUpload, UsageError
from cleanroom.identifiers import Epoch, IdentifierKind, RoomId, TableName
from cleanroom.partition.manifest import storage_schema
from key_management.secret import SecretKey

REGIONS, FIRST_DAY = ("laval", "estrie", "Montréal"), date(2024, 1, 1)
CATALOG = TableCatalog(
    TableName.parse("tnm.visits"),
    PrivacyUnit("person", "courriel", IdentifierKind.EMAIL),
    (
        Column("region", Category(REGIONS, nullable=True)),
        Column("jour", Date(FIRST_DAY, date(2024, 12, 31), nullable=True)),
        Column("montant", Number(Decimal("0.01"), 0, 10_000, nullable=True)),
        Column("note", Text(nullable=True)),
    ),
    max_rows_per_person=9,
    contribution=Contribution(1, 1),
)
KEY = LinkageKey(RoomId("salle"), Epoch("1"), SecretKey.generate())
LEAVE_OUT = Treatment(BadRows.LEAVE_OUT)
HEADER = "courriel,region,jour,montant,note\n"


def taken(gathered: Gathered) -> list[tuple[object, ...]]:
    """Return the stored rows without their tokens, in the order of their notes."""
    (group,) = gathered.runs.groups(storage_schema(CATALOG), 0)
    columns = [
        [None if place is None else REGIONS[place] for place in coded_numbers(group["region"])],
        [None if each is None else FIRST_DAY + timedelta(days=each) for each in coded_numbers(group["jour"])],
        coded_numbers(group["montant"]),
        group["note"].to_pylist(),
    ]
    return sorted(zip(*columns, strict=True), key=str)


def a_file(directory: Path, content: str | bytes, name: str = "v.csv") -> Path:
    path = directory / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_given_forms_go_before_what_is_found(tmp_path: Path) -> None:
    path = a_file(tmp_path, HEADER.replace(",", "|") + "a@b.ca|laval|03/04/2024|1,50|x;y\n")
    reading = Reading(
        delimiter=Delimiter.PIPE,
        dates=DateForm.SLASHES,
        dates_of=(("jour", DateForm.MONTH_FIRST),),
        decimals=DecimalMark.COMMA,
    )
    assert taken(gather(path, CATALOG, KEY, Options(reading))) == [("laval", date(2024, 3, 4), 150, "x;y")]
    days_first = Options(Reading(dates=DateForm.SLASHES))
    assert taken(gather(path, CATALOG, KEY, days_first)) == [("laval", date(2024, 4, 3), 150, "x;y")]
    with pytest.raises(RowsRefused) as wrong:
        gather(path, CATALOG, KEY, Options(Reading(decimals=DecimalMark.POINT, dates=DateForm.ISO)))
    assert set(wrong.value.counts) == {("montant", ReasonKind.MIXED_MARKS), ("jour", ReasonKind.MIXED_DATES)}


def test_a_given_delimiter_is_taken_at_its_word(tmp_path: Path) -> None:
    path = a_file(tmp_path, HEADER + "a@b.ca,laval,,1,x\n")
    with pytest.raises(InvalidUpload, match="declared columns missing"):
        gather(path, CATALOG, KEY, Options(Reading(delimiter=Delimiter.SEMICOLON)))


@pytest.mark.parametrize(
    ("encoding", "content", "said"),
    [
        (Encoding.WINDOWS_1252, "Montréal".encode("cp1252"), None),
        (Encoding.UTF_8, "Montréal".encode(), None),
        (Encoding.UTF_8, "Montréal".encode("cp1252"), "0xE9 is no text in UTF-8, the encoding given"),
        (Encoding.WINDOWS_1252, b"\x81", "0x81 is no text in Windows-1252, the encoding given"),
        (Encoding.UTF_16, b"", "begins with its byte order mark"),
        # Read as Windows-1252, UTF-8 is other letters: not in the domain, so it shows.
        (Encoding.WINDOWS_1252, "Montréal".encode(), "not in the declared domain"),
    ],
)
def test_a_given_encoding_is_checked(tmp_path: Path, encoding: Encoding, content: bytes, said: str | None) -> None:
    path = a_file(tmp_path, HEADER.encode() + b"a@b.ca," + content + b",,1,x\n")
    options = Options(Reading(encoding=encoding))
    if said is None:
        assert taken(gather(path, CATALOG, KEY, options)) == [("Montréal", None, 100, "x")]
        return
    with pytest.raises(InvalidUpload, match=said):
        gather(path, CATALOG, KEY, options)


def test_utf_8_is_given_with_its_mark_or_without(tmp_path: Path) -> None:
    path = a_file(tmp_path, (HEADER + "a@b.ca,Montréal,,1,x\n").encode("utf-8-sig"))
    gathered = gather(path, CATALOG, KEY, Options(Reading(encoding=Encoding.UTF_8)))
    assert taken(gathered) == [("Montréal", None, 100, "x")]


def test_forms_of_what_is_not_declared_are_refused() -> None:
    frame = pl.DataFrame({"courriel": ["a@b.ca"], "region": ["laval"], "jour": [""], "montant": [1], "note": ["x"]})
    for dates_of in (
        (("montant", DateForm.ISO),),
        (("nulle", DateForm.ISO),),
        (("jour", DateForm.ISO), ("jour", DateForm.DOTS)),
    ):
        with pytest.raises(UsageError):
            gather(frame, CATALOG, KEY, Options(Reading(dates_of=dates_of)))


BAD = HEADER + (
    "a@b.ca,laval,2024-02-03,1.50,0\n"
    "a@b.ca,laval\n"
    " ,laval,2024-02-03,1.50,no identifier\n"
    "a@b.ca,paris,2024-02-30,9999,three faults\n"
    "a@b.ca,laval,2024-02-03,1.50,x,y\n"
    "n/a,laval,2024-02-03,1.50,nobody\n"
    "a@b.ca,estrie,2024-02-04,x,not a number\n"
    "a@b.ca,estrie,2024-02-04,2,1\n"
)


@pytest.mark.parametrize("batch_rows", [1, 2, 1000])
def test_bad_rows_stay_at_home_and_are_reported_by_their_numbers(tmp_path: Path, batch_rows: int) -> None:
    gathered = gather(a_file(tmp_path, BAD), CATALOG, KEY, Options(treatment=LEAVE_OUT, batch_rows=batch_rows))
    assert taken(gathered) == [("estrie", date(2024, 2, 4), 200, "1"), ("laval", date(2024, 2, 3), 150, "0")]
    bad = gathered.left_out.bad
    assert (bad.rows, gathered.left_out.without_person, gathered.sources[0].rows) == (5, 1, 8)
    assert dict(bad.counts) == {
        ("", ReasonKind.TOO_FEW_FIELDS): 1,
        ("", ReasonKind.TOO_MANY_FIELDS): 1,
        ("courriel", ReasonKind.NO_IDENTIFIER): 1,
        ("region", ReasonKind.NOT_IN_DOMAIN): 1,
        ("jour", ReasonKind.NO_SUCH_DAY): 1,
        ("montant", ReasonKind.OUT_OF_BOUNDS): 1,
        ("montant", ReasonKind.NOT_A_NUMBER): 1,
    }
    assert [(fault.row, fault.column, fault.value) for fault in bad.first] == [
        (2, "", "a@b.ca,laval"),
        (3, "courriel", " "),
        (4, "region", "paris"),
        (4, "jour", "2024-02-30"),
        (4, "montant", "9999"),
        (5, "", "a@b.ca,laval,2024-02-03,1.50,x,y"),
        (7, "montant", "x"),
    ]


def test_if_every_row_is_bad_nothing_is_uploaded(tmp_path: Path) -> None:
    path = a_file(tmp_path, HEADER + "a@b.ca,paris,,1,x\na@b.ca,rome,,1,x\n")
    with pytest.raises(RowsRefused, match="2 values break the declaration, in 2 rows; nothing was uploaded"):
        gather(path, CATALOG, KEY, Options(treatment=LEAVE_OUT))


def test_a_row_whose_end_is_unknown_is_never_left_out(tmp_path: Path) -> None:
    path = a_file(tmp_path, HEADER + 'a@b.ca,laval,,1,x\na@b.ca,"laval,,1,x\nb@c.ca,laval,,1,x\n')
    with pytest.raises(InvalidUpload, match="a quote never closed") as wrong:
        gather(path, CATALOG, KEY, Options(treatment=LEAVE_OUT))
    assert wrong.value.code == "uneven_rows"


@given(st.lists(st.booleans(), max_size=40))
def test_rows_keep_their_numbers_whatever_is_left_out(even: list[bool]) -> None:
    uneven = UnevenRows(3)

    class Wrong:
        actual_columns, text = 2, "x,y"

        def __init__(self, number: int) -> None:
            self.number: int | None = number

    kept = []
    for number, is_even in enumerate(even, start=1):
        if is_even:
            kept.append(number)
        else:
            uneven(Wrong(number + 1))  # Arrow counts the header
    assert [uneven.number_of(place) for place in range(len(kept))] == kept


def test_clipping_is_chosen_and_counted_and_touches_nothing_else(tmp_path: Path) -> None:
    rows = ["-3,50", "0", "100,00", "100,01", "1e9", "-1", "", "99999999999999999999999", "12,345"]
    content = HEADER.replace(",", ";") + "".join(f"a@b.ca;laval;;{value};{place}\n" for place, value in enumerate(rows))
    path = a_file(tmp_path, content)
    with pytest.raises(RowsRefused) as refused:
        gather(path, CATALOG, KEY, Options())
    assert refused.value.counts["montant", ReasonKind.OUT_OF_BOUNDS] == 5
    clip = Options(treatment=Treatment(BadRows.LEAVE_OUT, OutOfBounds.CLIP), batch_rows=2)
    gathered = gather(path, CATALOG, KEY, clip)
    amounts = {note: amount for _, _, amount, note in taken(gathered)}
    assert amounts == {"0": 0, "1": 0, "2": 10_000, "3": 10_000, "4": 10_000, "5": 0, "6": None, "7": 10_000}
    (clipped,) = gathered.left_out.clipped
    assert (clipped.column, clipped.to_lower, clipped.to_upper) == ("montant", 2, 3)
    assert dict(gathered.left_out.bad.counts) == {("montant", ReasonKind.NOT_A_MULTIPLE): 1}


def test_clipped_values_of_rows_that_stay_at_home_do_not_count(tmp_path: Path) -> None:
    path = a_file(tmp_path, HEADER + "a@b.ca,paris,,999,x\na@b.ca,laval,,1,y\n")
    gathered = gather(path, CATALOG, KEY, Options(treatment=Treatment(BadRows.LEAVE_OUT, OutOfBounds.CLIP)))
    assert gathered.left_out.clipped == ()


def test_dates_are_not_clipped(tmp_path: Path) -> None:
    path = a_file(tmp_path, HEADER + "a@b.ca,laval,2023-12-31,1,x\n")
    with pytest.raises(RowsRefused, match="outside the declared bounds"):
        gather(path, CATALOG, KEY, Options(treatment=Treatment(out_of_bounds=OutOfBounds.CLIP)))


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16"])
def test_a_vocabulary_translates_and_says_what_it_did(tmp_path: Path, encoding: str) -> None:
    words = 'écrit;voulu\r\nMtl;Montréal\r\n" Île; de Mtl ";Montréal\r\nMtl;Montréal\r\nGaspé;estrie\r\n'
    vocabulary = read_vocabulary("region", a_file(tmp_path, words.encode(encoding), "map.csv"), CATALOG)
    assert vocabulary == Vocabulary("region", (("Mtl", "Montréal"), ("Île; de Mtl", "Montréal"), ("Gaspé", "estrie")))
    path = a_file(
        tmp_path, HEADER + 'a@b.ca, Mtl ,,1,0\na@b.ca,"Île; de Mtl",,1,1\na@b.ca,laval,,1,2\na@b.ca,Laval,,1,3\n'
    )
    treatment = Treatment(BadRows.LEAVE_OUT, vocabularies=(vocabulary,))
    gathered = gather(path, CATALOG, KEY, Options(treatment=treatment, batch_rows=1))
    assert [(region, note) for region, _, _, note in taken(gathered)] == [
        ("Montréal", "0"),
        ("Montréal", "1"),
        ("laval", "2"),
    ]
    (use,) = gathered.left_out.vocabularies
    assert (use.column, use.replaced, use.unused) == ("region", 2, ("Gaspé",))
    # What no vocabulary has goes on to the ordinary check, with its suggestion.
    (fault,) = gathered.left_out.bad.first
    assert (fault.value, "laval" in str(fault.hint)) == ("Laval", True)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("mot,valeur\nMtl,Montreal\n", "row 1: 'Montreal' is not in the declared domain (is it 'Montréal'?)"),
        ("mot,valeur\nMtl,laval\nx,estrie\nMtl,estrie\n", "row 3: 'Mtl' means 'laval' already, and here 'estrie'"),
        ("mot,valeur\n,laval\n", "row 1: a word is missing"),
        ("mot,valeur\nMtl,\n", "row 1: a word is missing"),
        ("Mtl,Montréal\nx,laval\n", "the first line must be a header"),
        ("mot,valeur,note\nMtl,Montréal,x\n", "a vocabulary has two columns, what is written and what is meant"),
        ("mot,valeur\nMtl\n", "too few fields"),
        ("", "the file is empty"),
    ],
)
def test_a_vocabulary_that_is_unclear_is_refused(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(InvalidUpload) as wrong:
        read_vocabulary("region", a_file(tmp_path, content, "map.csv"), CATALOG)
    assert said in wrong.value.message.en
    assert wrong.value.message.fr != wrong.value.message.en


def test_a_vocabulary_is_of_one_declared_category(tmp_path: Path) -> None:
    path = a_file(tmp_path, "mot,valeur\nx,laval\n", "map.csv")
    for column in ("montant", "nulle", "courriel", "note"):
        with pytest.raises(UsageError, match="is no declared category"):
            read_vocabulary(column, path, CATALOG)
    frame = pl.DataFrame({"courriel": ["a@b.ca"], "region": ["x"], "jour": [""], "montant": [1], "note": ["x"]})
    good = read_vocabulary("region", path, CATALOG)
    for vocabularies in ((good, good), (Vocabulary("region", (("x", "paris"),)),), (Vocabulary("montant", ()),)):
        with pytest.raises(UsageError):
            gather(frame, CATALOG, KEY, Options(treatment=Treatment(vocabularies=vocabularies)))
