"""A drafted table file: it parses once reviewed, the sample that it came from passes, and people stay out of it."""

from __future__ import annotations

import random
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
from bad_files import workbook
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanroom.catalog import Category, Date, Number
from cleanroom.catalog.notes import first_note, without_notes
from cleanroom.client import LinkageKey, Options
from cleanroom.client.draft import draft
from cleanroom.client.gather import gather
from cleanroom.client.proposal import outward_count
from cleanroom.client.read_table import Source
from cleanroom.client.reading import Reading
from cleanroom.errors import InvalidDeclaration, Language, UsageError
from cleanroom.identifiers import Epoch, IdentifierKind, RoomId, TableName
from cleanroom.policies import Declaration, read_declaration
from key_management.secret import SecretKey

TABLE = TableName.parse("tnm.ventes")
PURPOSES = ("audience_overlap", "sector_statistics")
KEY = LinkageKey(RoomId("salle"), Epoch("1"), SecretKey.generate())


def drafted(source: Source, language: Language = Language.FR) -> tuple[str, Declaration]:
    text = draft(source, Reading(), table=TABLE, purposes=PURPOSES, language=language).text
    return text, read_declaration(without_notes(text.encode()))


def season(rows: int) -> pl.DataFrame:
    draw = random.Random(5)
    people = [draw.randrange(rows // 4) for _ in range(rows)]
    return pl.DataFrame(
        {
            "Courriel": [f"p{person}@exemple.ca" for person in people],
            "Prénom": [draw.choice(["Anne", "Luc", "Zoé"]) for _ in people],
            "Adresse": [f"{person} rue Sherbrooke" for person in people],
            "Téléphone": [f"514 555-{person % 10_000:04}" for person in people],
            "Région": [draw.choice(["Montréal", "Laval", None]) for _ in people],
            "Date d'achat": [date(2024, 3, 1) + timedelta(days=draw.randrange(300)) for _ in people],
            "Montant payé": [f"{draw.randrange(10, 300)},{draw.randrange(100):02} $" for _ in people],
            "Billets": [draw.randrange(1, 7) for _ in people],
            "No de commande": list(range(rows)),
            "Titre de l'œuvre": [f"Pièce {draw.randrange(rows)}" for _ in people],
        }
    )


@pytest.mark.parametrize("language", Language)
def test_a_draft_parses_when_reviewed_and_its_sample_passes(tmp_path: Path, language: Language) -> None:
    frame = season(2000)
    csv, parquet, xlsx = tmp_path / "v.csv", tmp_path / "v.parquet", tmp_path / "v.xlsx"
    csv.write_bytes(frame.write_csv(separator=";").encode("cp1252", "replace"))
    frame.write_parquet(parquet)
    workbook(xlsx, lambda sheet, book: frame.write_excel(book, sheet) and None)
    for source in (csv, parquet, xlsx, frame):
        text, declaration = drafted(source, language)
        catalog = declaration.catalog
        assert (catalog.unit.source, catalog.unit.kind) == ("Courriel", IdentifierKind.EMAIL)
        types = {column.name: column.type for column in catalog.columns}
        assert list(types) == ["region", "date_d_achat", "montant_paye", "billets"]
        assert types["region"] == Category(("Laval", "Montréal"), nullable=True)
        assert types["date_d_achat"] == Date(date(2024, 1, 1), date(2024, 12, 31), nullable=False)
        assert isinstance(types["montant_paye"], Number)
        assert (types["montant_paye"].unit, types["montant_paye"].upper) == ("CAD", 50_000)
        assert gather(source, catalog, KEY, Options()).left_out.bad.rows == 0
        for private in ("Anne", "Sherbrooke", "514 555", "Pièce", "exemple.ca"):
            assert private not in text


def test_what_speaks_of_the_data_is_never_signed(tmp_path: Path) -> None:
    text, declaration = drafted(season(400))
    content = text.encode()
    assert first_note(content) == 1
    with pytest.raises(InvalidDeclaration, match="--reviewed"):
        read_declaration(content)
    signed = without_notes(content)
    assert first_note(signed) is None
    assert b"#" not in signed
    # What it counted is in its notes alone.
    assert str(season(400).height) in text
    assert str(season(400).height) not in signed.decode()
    assert declaration.catalog.table == TABLE


def test_rare_alike_and_empty_words_are_pointed_out() -> None:
    values = ["Montréal"] * 60 + ["montreal"] * 30 + ["N/D"] * 25 + ["Ville-Marie"] * 2
    frame = pl.DataFrame({"courriel": [f"p{row}@b.ca" for row in range(len(values))], "ville": values})
    text, _ = drafted(frame)
    assert "ville : moins de 20 lignes : Ville-Marie" in text
    assert "ville : la même chose ? Montréal, montreal" in text
    assert "ville : si « N/D » veut dire « rien »" in text


def test_without_a_person_there_is_no_table() -> None:
    with pytest.raises(UsageError, match="no column has e-mail addresses"):
        drafted(pl.DataFrame({"region": ["a", "b"] * 9}))
    with pytest.raises(UsageError, match="no column but the identifier"):
        drafted(pl.DataFrame({"courriel": [f"p{row}@b.ca" for row in range(9)], "nom": ["x"] * 9}))


def test_phones_and_customer_numbers_name_people_too() -> None:
    rows = range(200)
    phones = pl.DataFrame({"tel": [f"514 555-{row:04}" for row in rows], "zone": ["a", "b"] * 100})
    assert drafted(phones)[1].catalog.unit.kind is IdentifierKind.PHONE
    numbers = pl.DataFrame({"No client": [f"C{row}" for row in rows], "zone": ["a", "b"] * 100})
    unit = drafted(numbers)[1].catalog.unit
    assert (unit.kind, unit.source, unit.namespace) == (IdentifierKind.OPAQUE, "No client", "tnm")


WORDS = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=12)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(WORDS, min_size=1, max_size=4, unique=True),
    st.sampled_from(["no", "null", "y", "1e5", "2024-01-01", "[x]", "#~ x", "a: b", "'", '"']),
    WORDS,
)
def test_any_words_make_yaml_that_reads_back(values: list[str], odd: str, header: str) -> None:
    """Whatever stands in cells and headers, it is a value of a domain or a comment, never structure."""
    cells = [*values, odd] * 6
    rows = range(len(cells))
    frame = pl.DataFrame(
        {"courriel": [f"p{row}@b.ca" for row in rows], "sorte": cells, header + "é": ["x"] * len(cells), "zone": "a"}
    )
    text, declaration = drafted(frame)
    assert declaration.catalog.unit.source == "courriel"
    kind = declaration.catalog.column("sorte")
    if kind is not None and isinstance(kind.type, Category):
        assert gather(frame, declaration.catalog, KEY, Options()).left_out.bad.rows == 0
    assert all(line.isprintable() for line in text.splitlines())


@given(st.integers(1, 10**9))
def test_limits_are_round_and_outward(number: int) -> None:
    found = outward_count(number)
    assert number <= found < 2.5 * number + 1
    assert str(found).strip("0") in {"1", "2", "5"}
