"""The season's truth is the truth of its files, and its files are what its declarations promise."""

from __future__ import annotations

from pathlib import Path

import duckdb
import polars as pl
import pytest

from cleanroom.catalog import Category, Date, Number, TableCatalog, read_catalog
from cleanroom.catalog.strict_yaml import parse
from examples.cooperative import DISCIPLINES, PARTIES, REGIONS, declaration
from examples.season import Season, make_season


@pytest.fixture(scope="module")
def season() -> Season:
    return make_season(persons=20_000, seed=7)


@pytest.fixture(scope="module")
def files(season: Season, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    return season.write(tmp_path_factory.mktemp("season"))


@pytest.fixture(scope="module")
def sector(files: dict[str, tuple[Path, Path]]) -> duckdb.DuckDBPyConnection:
    """Read the files back as a stranger would: UID2's rules for e-mails, written once more in SQL."""
    connection = duckdb.connect()
    for party, (_, sales) in files.items():
        connection.execute(
            f"""CREATE TABLE {party} AS
            WITH read AS (SELECT *, lower(trim(courriel)) AS mail FROM read_csv('{sales}', all_varchar = true))
            SELECT CASE WHEN mail LIKE '%@gmail.com'
                   THEN replace(regexp_replace(split_part(mail, '@', 1), '[+].*', ''), '.', '') || '@gmail.com'
                   ELSE mail END AS person,
                   region, discipline, channel, purchased::DATE AS purchased, tickets::INT AS tickets,
                   amount::DECIMAL(10, 2) AS amount, commentaire
            FROM read"""  # noqa: S608
        )
    arms = " UNION ALL ".join(f"SELECT '{party}' AS party, * FROM {party}" for party in PARTIES)  # noqa: S608
    connection.execute(f"CREATE VIEW sector AS {arms}")
    return connection


def catalog(party: str) -> TableCatalog:
    return read_catalog(parse(declaration(party).encode()))


def test_same_seed_same_files(files: dict[str, tuple[Path, Path]], tmp_path: Path) -> None:
    again = make_season(persons=20_000, seed=7).write(tmp_path)
    for party, paths in files.items():
        for first, second in zip(paths, again[party], strict=True):
            assert first.read_bytes() == second.read_bytes()


def test_other_seed_other_files(season: Season) -> None:
    assert not make_season(persons=20_000, seed=8).visits.equals(season.visits)


def test_five_rows_a_person_and_one_region(season: Season, sector: duckdb.DuckDBPyConnection) -> None:
    rows, persons = sector.execute("SELECT count(*), count(DISTINCT person) FROM sector").fetchone() or (0, 0)
    assert persons == 20_000 == season.people.height
    assert 4.8 < rows / persons < 5.2
    several = sector.execute("SELECT person FROM sector GROUP BY person HAVING count(DISTINCT region) > 1").fetchall()
    assert several == []


@pytest.mark.parametrize(("a", "b"), [("theatre_fleuve", "nuits_claires"), ("salle_grange", "maison_elan")])
def test_overlap_is_that_of_the_files(season: Season, sector: duckdb.DuckDBPyConnection, a: str, b: str) -> None:
    found = dict(
        sector.execute(
            f"SELECT {a}.region, count(DISTINCT person) FROM {a} JOIN {b} USING (person) GROUP BY ALL"  # noqa: S608
        ).fetchall()
    )
    truth = season.overlap_by_region(a, b)
    assert truth["region"].to_list() == list(REGIONS)
    assert {region: persons for region, persons in truth.iter_rows() if persons} == found
    assert season.overlap(a, b) == season.overlap(b, a) == sum(found.values())


def test_sector_totals_are_those_of_the_files(season: Season, sector: duckdb.DuckDBPyConnection) -> None:
    found = {
        tuple(row[:3]): tuple(row[3:])
        for row in sector.execute(
            """SELECT discipline, region, date_trunc('month', purchased)::DATE, count(DISTINCT person), count(*),
                      sum(tickets)::BIGINT, (sum(amount) * 100)::BIGINT
               FROM sector GROUP BY ALL"""
        ).fetchall()
    }
    truth = season.sector_totals("discipline", "region", "month")
    assert truth.height == len(DISCIPLINES) * len(REGIONS) * 24
    assert {tuple(row[:3]): tuple(row[3:]) for row in truth.iter_rows() if row[4]} == found
    total = season.sector_totals().row(0, named=True)
    assert total["rows"] == truth["rows"].sum()
    assert total["amount_cents"] == truth["amount_cents"].sum()
    assert total["persons"] == 20_000


def test_sector_totals_of_some_parties(season: Season) -> None:
    alone = season.sector_totals("region", parties=["musee_rives"])
    assert alone["persons"].equals(season.audience_by_region("musee_rives")["persons"])


@pytest.mark.parametrize("party", PARTIES)
def test_files_are_as_declared(season: Season, party: str) -> None:
    declared = catalog(party)
    upload = season.upload(party)
    assert str(declared.table) == f"{party}.visits"
    assert declared.unit.source in upload.columns
    for column in declared.columns:
        values = upload[column.name]
        assert values.null_count() == 0
        match column.type:
            case Category(domain=domain):
                assert set(values) <= set(domain)
            case Date(first=first, last=last):
                assert values.is_between(first, last).all()
            case Number(lower=lower, upper=upper) as number:
                assert (values.cast(pl.Decimal(20, 2)) >= number.value(lower)).all()
                assert (values.cast(pl.Decimal(20, 2)) <= number.value(upper)).all()
    undeclared = set(upload.columns) - {column.name for column in declared.columns} - {declared.unit.source}
    assert undeclared == {"commentaire"}


def test_one_vocabulary_for_the_sector() -> None:
    assert len({catalog(party).columns for party in PARTIES}) == 1


def test_bounds_rarely_bind(season: Season) -> None:
    declared = catalog(PARTIES[0])
    for party in PARTIES:
        of_one = season.at(party).group_by("person").agg(pl.len(), pl.col("discipline", "region").n_unique())
        assert (of_one["len"] > declared.contribution.max_rows).mean() < 0.02
        assert of_one["len"].max() <= declared.max_rows_per_person
        assert (of_one["discipline"] > declared.contribution.max_groups).mean() < 0.02


def test_no_discipline_is_one_house_alone(season: Season) -> None:
    houses = season.visits.group_by("discipline").agg(pl.col("organisation").n_unique())
    assert houses.height == len(DISCIPLINES)
    assert houses["organisation"].min() >= 3


def test_addresses_are_messy_and_nobodys(sector: duckdb.DuckDBPyConnection, season: Season) -> None:
    written = season.upload("guichet_nord")["courriel"]
    for pattern in (r"^  ", r" $", r"^[A-Z.0-9]+@[A-Z.]+$", r"\+billets@gmail\.com$", r"^[a-z]+fictif\d+@gmail\.com$"):
        share = written.str.contains(pattern).mean()
        assert 0.005 < share < 0.1, pattern
    assert written.str.to_lowercase().str.contains("fictif").all()
    assert written.str.to_lowercase().str.contains(r"@(gmail\.com|[a-z]+\.example) ?$").all()
    assert sector.execute("SELECT count(DISTINCT commentaire) FROM sector").fetchone() == (4,)
