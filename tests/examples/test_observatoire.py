"""The Observatoire's guides: each question that they show is answered, or refused with the code that they name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import cleanroom
from cleanroom.identifiers import Role, TableName, party_id
from cleanroom.room import references, upload
from examples.cooperative import PARTIES, REGIONS, TABLE
from examples.season import make_season

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = Path(__file__).parents[2] / "docs"
PURPOSE = "sector_statistics"
LANGUAGES = ("fr", "en")
HEADER = {"fr": "region,habitants", "en": "region,inhabitants"}
_PAIRS = re.compile(r"```yaml\n(.*?)```\n\n<!-- pairs: .*? -->\n```sql\n(.*?)```", re.DOTALL)
_FUNCTIONS = b"functions: [count_persons, count_rows, sum, avg]"


def guide(language: str) -> str:
    """Return the text of a guide."""
    return (DOCS / f"observatoire.{language}.md").read_text(encoding="utf-8")


def questions(language: str) -> list[tuple[str, str | None]]:
    """Return the questions of a guide, each below the sector's tables, with the code that refuses it, if one does."""
    blocks = re.findall(r"(?:<!-- refused: (\w+) -->\n)?```sql\n(.*?)```", _PAIRS.sub("", guide(language)), re.DOTALL)
    (_, sector), *others = blocks
    assert sector.startswith("WITH ")
    return [(sector.rstrip() + ("" if sql.startswith(",") else "\n") + sql, code or None) for code, sql in others]


def of_the_sector(select: str) -> str:
    """Return a question over the sector of the English guide."""
    return questions("en")[0][0].partition("\n)\n")[0] + "\n)\n" + select


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[cleanroom.Room]:
    directory = tmp_path_factory.mktemp("observatoire")
    files = make_season(persons=600).write(directory / "members")
    home = cleanroom.Home(directory / "home")
    with cleanroom.Room.create(directory / "room", home=home) as made:
        for party in PARTIES:
            made.add_party(party, Role.MEMBER)
        made.add_party("observatoire", Role.OBSERVATOIRE)
        for party, (declared, sales) in files.items():
            # The rule of the examples, and the statistics that the guide says a rule may name.
            content = declared.read_bytes()
            assert content.count(_FUNCTIONS) == 1
            made.declare(content.replace(_FUNCTIONS, _FUNCTIONS[:-1] + b", var, quantile]"))
            upload(made, TableName(party_id(party), TABLE), sales)
        yield made


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_question_of_the_guide_is_answered_or_refused_as_it_says(
    language: str, room: cleanroom.Room, tmp_path: Path
) -> None:
    population = tmp_path / "population.csv"
    lines = [HEADER[language], *(f"{region},{round(share * 90_000)}" for region, share in REGIONS.items())]
    population.write_text("\n".join(lines) + "\n", encoding="utf-8")
    references.add(room, "population", population, source="The shares of the examples")
    session, asked = room.session("observatoire"), questions(language)
    assert [code for _, code in asked if code] == ["cohort_too_close", "filter_inside_union", "dimension_not_allowed"]
    assert len(asked) >= 11
    for sql, code in asked:
        if code is None:
            answer = session.query(sql, purpose=PURPOSE, epsilon=0.5, max_groups_contributed=1)
            assert len(answer.table)
            for name in answer.table.columns:
                if name.endswith("_state"):
                    assert {name.removesuffix("_state"), name.replace("_state", "_margin95")} <= set(answer.table)
        else:
            with pytest.raises(cleanroom.Refused) as refused:
                session.query(sql, purpose=PURPOSE)
            assert code in {each.code for each in refused.value.refusals}


def test_what_the_guide_says_of_answers(room: cleanroom.Room) -> None:
    """All cells are there; the same again is free and the same; a level of a ROLLUP has noise of its own."""
    session = room.session("observatoire")
    by_region = of_the_sector("SELECT region, COUNT(DISTINCT person) AS persons FROM sector GROUP BY region")
    first, again = (session.query(by_region, purpose=PURPOSE, epsilon=0.25) for _ in range(2))
    assert set(first.table["region"]) == set(REGIONS)
    assert first.table.equals(again.table)
    assert any(float(each.rho) for each in first.cost)
    assert not any(float(each.rho) for each in again.cost)

    def margin(sql: str, groups: int) -> float:
        margins = session.preview(sql, purpose=PURPOSE, epsilon=0.5, max_groups_contributed=groups).margins
        return dict(margins)["persons"] or 0.0

    assert margin(by_region, 4) == pytest.approx(2 * margin(by_region, 1), rel=0.05)
    rolled = of_the_sector("SELECT region, COUNT(DISTINCT person) AS persons FROM sector GROUP BY ROLLUP (region)")
    assert margin(rolled, 1) > 1.2 * margin(by_region, 1)


@pytest.mark.parametrize("setting", ["max_rows_contributed", "max_sum"])
def test_a_bound_four_times_as_large_is_noise_four_times_as_large(setting: str, room: cleanroom.Room) -> None:
    sql = of_the_sector("SELECT discipline, SUM(amount) AS revenue FROM sector GROUP BY discipline")
    session = room.session("observatoire")

    def margin(bound: int) -> float:
        bounds = {setting: bound}
        return dict(session.preview(sql, purpose=PURPOSE, epsilon=0.5, **bounds).margins)["revenue"] or 0.0

    assert margin(8) == pytest.approx(4 * margin(2), rel=0.05)


def test_auto_is_chosen_and_paid_once(room: cleanroom.Room) -> None:
    sql = of_the_sector("SELECT discipline, SUM(amount) AS revenue FROM sector GROUP BY discipline")
    session = room.session("observatoire")
    for epsilon, paid in ((0.25, True), (0.25, False), (0.1, False), (0.4, True)):
        answer = session.query(sql, purpose=PURPOSE, epsilon=epsilon, max_sum="auto")
        assert any(float(each.rho) for each in answer.cost) == paid


@pytest.mark.parametrize("language", LANGUAGES)
def test_all_overlaps_are_one_question_where_the_owners_have_its_rule(
    language: str, room: cleanroom.Room, tmp_path: Path
) -> None:
    """Each pair is there once; the sector's rule alone refuses the question."""
    ((rule, sql),) = _PAIRS.findall(guide(language))
    with pytest.raises(cleanroom.Refused):
        room.session("observatoire").query(sql, purpose=PURPOSE)
    files = make_season(persons=300).write(tmp_path / "members")
    with cleanroom.Room.create(tmp_path / "room", home=cleanroom.Home(tmp_path / "home")) as made:
        for party in PARTIES:
            made.add_party(party, Role.MEMBER)
        made.add_party("observatoire", Role.OBSERVATOIRE)
        for party, (declared, sales) in files.items():
            made.declare(declared.read_bytes().rstrip() + b"\n" + rule.encode())
            upload(made, TableName(party_id(party), TABLE), sales)
        answer = made.session("observatoire").query(sql, purpose=PURPOSE, epsilon=0.5, max_groups_contributed=6)
    one, other = answer.table.columns[:2]
    pairs = set(zip(answer.table[one], answer.table[other], strict=True))
    assert len(pairs) == len(answer.table)
    assert pairs == {(a, b) for a in PARTIES for b in PARTIES if a < b}
