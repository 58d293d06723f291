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
_FUNCTIONS = b"functions: [count_persons, count_rows, sum, avg]"


def questions(language: str) -> list[tuple[str, str | None]]:
    """Return the questions of a guide, each below the sector's tables, with the code that refuses it, if one does."""
    text = (DOCS / f"observatoire.{language}.md").read_text(encoding="utf-8")
    blocks = re.findall(r"(?:<!-- refused: (\w+) -->\n)?```sql\n(.*?)```", text, re.DOTALL)
    (_, sector), *others = blocks
    assert sector.startswith("WITH ")
    return [(sector.rstrip() + ("" if sql.startswith(",") else "\n") + sql, code or None) for code, sql in others]


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
    sector = questions("en")[0][0].partition("\n)\n")[0] + "\n)\n"
    by_region = f"{sector}SELECT region, COUNT(DISTINCT person) AS persons FROM sector GROUP BY region"
    first, again = (session.query(by_region, purpose=PURPOSE, epsilon=0.25) for _ in range(2))
    assert set(first.table["region"]) == set(REGIONS)
    assert first.table.equals(again.table)
    assert any(float(each.rho) for each in first.cost)
    assert not any(float(each.rho) for each in again.cost)

    plain, narrow = (dict(session.preview(by_region, purpose=PURPOSE, epsilon=0.5, max_groups_contributed=n).margins)
                     for n in (4, 1))  # fmt: skip
    assert plain["persons"] == pytest.approx(2 * (narrow["persons"] or 0), rel=0.05)
    rolled = f"{sector}SELECT region, COUNT(DISTINCT person) AS persons FROM sector GROUP BY ROLLUP (region)"
    wider = dict(session.preview(rolled, purpose=PURPOSE, epsilon=0.5, max_groups_contributed=1).margins)
    assert (wider["persons"] or 0) > (narrow["persons"] or 0)


@pytest.mark.parametrize("setting", ["max_rows_contributed", "max_sum"])
def test_a_bound_four_times_as_large_is_noise_four_times_as_large(setting: str, room: cleanroom.Room) -> None:
    sector = questions("en")[0][0].partition("\n)\n")[0] + "\n)\n"
    sql = f"{sector}SELECT discipline, SUM(amount) AS revenue FROM sector GROUP BY discipline"
    session = room.session("observatoire")
    small, large = (dict(session.preview(sql, purpose=PURPOSE, epsilon=0.5, **{setting: bound}).margins)["revenue"]
                    for bound in (2, 8))  # fmt: skip
    assert large == pytest.approx(4 * (small or 0), rel=0.05)
