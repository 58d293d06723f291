"""Four organisations, a preset each, in two languages: declared, filled, and asked about one by one and together."""

# ruff: noqa: S608 - questions are what is tested here
from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from cleanroom.catalog import Category, Date, Number, TableCatalog, Text
from cleanroom.errors import Language, Refused
from cleanroom.identifiers import Role, TableName
from cleanroom.policies import Preset, preset_file, read_declaration
from cleanroom.room import Home, Room, upload

if TYPE_CHECKING:
    from collections.abc import Iterator

TABLES = {
    Preset.TICKETING: ("theatre_a.ventes", Language.FR),
    Preset.WEB_VISITS: ("festival_b.visits", Language.EN),
    Preset.MEMBERSHIP: ("musee_c.adhesions", Language.FR),
    Preset.SURVEY: ("salle_d.answers", Language.EN),
}
SOURCES = {Language.FR: "courriel", Language.EN: "email"}
PERSONS = 800
MEASURES = {
    Preset.TICKETING: "SUM(amount) AS dollars, AVG(tickets) AS tickets",
    Preset.WEB_VISITS: "AVG(minutes) AS minutes, SUM(pages) AS pages",
    Preset.MEMBERSHIP: "SUM(amount) AS dollars, AVG(years) AS years",
    Preset.SURVEY: "AVG(satisfaction) AS satisfaction, AVG(recommend) AS recommend",
}
DIMENSIONS = {
    Preset.TICKETING: "price_type",
    Preset.WEB_VISITS: "device",
    Preset.MEMBERSHIP: "level",
    Preset.SURVEY: "age_bracket",
}


def rows_of(catalog: TableCatalog, seed: int) -> pl.DataFrame:
    """Make rows that a declaration allows, nulls where it allows them."""
    randomness = np.random.default_rng(seed)
    persons = randomness.choice(PERSONS * 5 // 4, PERSONS, replace=False)
    people = [*persons, *randomness.choice(persons, PERSONS // 4)]
    made = {catalog.unit.source: pl.Series([f"p{number}@exemple.ca" for number in people])}
    count = len(people)
    for column in catalog.columns:
        match column.type:
            case Category(domain):
                values = pl.Series(randomness.choice(list(domain), count).tolist())
            case Date(first, last):
                days = randomness.integers(0, (last - first).days + 1, count)
                values = pl.Series([first + timedelta(days=int(day)) for day in days])
            case Number(resolution, lower, upper):
                steps = randomness.integers(lower, upper + 1, count)
                values = pl.Series([str(resolution * int(step)) for step in steps])
            case Text():
                values = pl.Series(["?"] * count)
        if column.type.nullable:
            values = values.set(pl.Series(randomness.random(count) < 0.1), None)
        made[column.name] = values
    return pl.DataFrame(made)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Room, dict[Preset, pl.DataFrame]]]:
    place = tmp_path_factory.mktemp("presets")
    rows: dict[Preset, pl.DataFrame] = {}
    with Room.create(place / "room", home=Home(place / "home")) as room:
        room.add_party("observatoire", Role.OBSERVATOIRE)
        for seed, (preset, (name, language)) in enumerate(TABLES.items()):
            table = TableName.parse(name)
            content = preset_file(preset, table=table, language=language)
            rows[preset] = rows_of(read_declaration(content).catalog, seed)
            room.add_party(table.owner, Role.MEMBER)
            room.declare(content)
            prepared, _ = upload(room, table, rows[preset])
            assert (prepared.rows, prepared.without_person) == (rows[preset].height, 0)
            assert prepared.dropped_columns == ()
        yield room, rows


@pytest.mark.parametrize("preset", Preset)
def test_its_owner_and_others_ask(filled: tuple[Room, dict[Preset, pl.DataFrame]], preset: Preset) -> None:
    room, rows = filled
    name = TABLES[preset][0]
    owner = name.split(".")[0]
    key = DIMENSIONS[preset]
    sql = f"SELECT {key}, COUNT(DISTINCT person) AS persons, {MEASURES[preset]} FROM {name} GROUP BY {key}"
    answer = room.session(owner).query(sql, purpose="statistics", epsilon=1)
    domain = rows[preset][key].drop_nulls().unique()
    assert set(answer.table[key].dropna()) == set(domain)
    source = SOURCES[TABLES[preset][1]]
    cells = rows[preset].drop_nulls(key).group_by(source).agg(pl.col(key).n_unique().alias("cells"))["cells"]
    groups = read_declaration(
        preset_file(preset, table=TableName.parse(name), language=Language.FR)
    ).catalog.contribution
    clipped = cells.filter(cells > groups.max_groups).sum()
    # Five times a margin of 95 % holds but for one time in 10^21; what the norm clips comes on top.
    noise = 5 * float(np.sqrt((answer.table["persons_margin95"] ** 2).sum()))
    assert -clipped - noise < float(answer.table["persons"].sum()) - int(cells.sum()) < noise
    other = next(table for each, (table, _) in TABLES.items() if each is not preset)
    overlap = f"SELECT COUNT(DISTINCT a.person) AS n FROM {name} AS a JOIN {other} AS b USING (person)"
    shared = room.session(owner).query(overlap, purpose="audience_overlap").table
    assert 0 < float(shared["n"][0]) < PERSONS + 500
    with pytest.raises(Refused):  # money is not for other members
        room.session(other.split(".")[0]).query(sql, purpose="audience_overlap")


def test_all_four_unite_in_a_question_on_the_sector(filled: tuple[Room, dict[Preset, pl.DataFrame]]) -> None:
    room, rows = filled
    arms = " UNION ALL ".join(
        f"SELECT person, region, discipline, activity_day FROM {name}" for name, _ in TABLES.values()
    )
    session = room.session("observatoire")
    sql = f"SELECT region, COUNT(DISTINCT person) AS persons, COUNT(*) AS n FROM ({arms}) AS s GROUP BY region"
    answer = session.query(
        sql, purpose="sector_statistics", epsilon=1, max_groups_contributed=1, max_rows_contributed=1
    )
    assert len(answer.table.dropna(subset=["region"])) == 18
    people = pl.concat(
        [each.select(pl.col(SOURCES[TABLES[key][1]]).alias("one"), "region") for key, each in rows.items()]
    )
    cells = people.n_unique()
    persons = people["one"].n_unique()
    # The norm lets a person in several cells count for more than one and less than each; five times a margin of 95 %
    # holds but for one time in 10^21.
    noise = 5 * float(np.sqrt((answer.table["n_margin95"] ** 2).sum()))
    assert noise < persons / 2
    assert persons - noise < float(answer.table["n"].sum()) < cells + noise
    monthly = (
        f"SELECT date_trunc('month', activity_day) AS month, COUNT(DISTINCT person) AS persons FROM ({arms}) AS s "
        "WHERE discipline = 'theatre' GROUP BY 1"
    )
    assert len(session.query(monthly, purpose="sector_statistics", epsilon=0.5).table) == 60
    two = " UNION ALL ".join(f"SELECT person, region FROM {name}" for name, _ in list(TABLES.values())[:2])
    with pytest.raises(Refused) as caught:
        session.query(f"SELECT region, COUNT(*) AS n FROM ({two}) AS s GROUP BY region", purpose="sector_statistics")
    assert "too_few_parties" in {each.code for each in caught.value.refusals}
