"""What an attacker found in the gate and its neighbours, and nothing else tests directly."""

# ruff: noqa: S608, E501, ISC004 - questions are what is tested here, one a line
from __future__ import annotations

import pytest
from gate_samples import asked, codes, declaration, rulebook
from test_corpus import CORPUS, OWNERS
from test_text_fuzzer import decided

from cleanroom.errors import Refused
from cleanroom.identifiers import Epoch, PartyId, Purpose, Role
from cleanroom.policies import read_declaration
from cleanroom.query.gate import Question, Rulebook, admit
from cleanroom.query.precision import precision
from cleanroom.query.release import CellState, NoisedRelease

UNION = " UNION ALL ".join(
    f"SELECT person, region, discipline, tickets, amount FROM {owner}.visits" for owner in OWNERS
)
SECTOR = f"({UNION}) AS s"


def changed(replacements: dict[str, dict[str, str]], everywhere: dict[str, str]) -> Rulebook:
    """Return the corpus' rulebook with words of some owners' files replaced, and of all."""
    text = (CORPUS / "tables.yaml").read_text(encoding="utf-8")
    read = []
    for owner in OWNERS:
        mine = text
        for old, new in {**everywhere, **replacements.get(owner, {})}.items():
            assert old in mine
            mine = mine.replace(old, new)
        read.append(read_declaration(f"table: {owner}.visits\n{mine}".encode()))
    tables = {each.catalog.table: each for each in read}
    return Rulebook(tables, dict.fromkeys(tables, Epoch("2024")), (Purpose("statistics"),), ())


def why(sql: str, room: Rulebook) -> set[str]:
    """Return why a question of the Observatoire is refused."""
    try:
        admit(
            Question(
                sql, None, PartyId("observatoire"), Role.OBSERVATOIRE, Purpose("statistics"), precision(epsilon=1)
            ),
            room,
        )
    except Refused as refused:
        return {each.code for each in refused.refusals}
    return set()


# S43: owners are told apart by what they declare, however the condition is spelled

_PARTIES = {"    threshold: 0\n": "    threshold: 0\n    min_parties: 3\n"}
_OPERA = {"cirque, opera, jeune-public": "cirque, jeune-public"}
ONE_OPERA = changed({owner: _OPERA for owner in OWNERS if owner != "francos"}, _PARTIES)
"""Francos alone declares opera."""
ONE_LARGE = changed({"francos": {"bounds: [1, 12]": "bounds: [1, 40]"}}, _PARTIES)
"""Francos alone sells more than twelve tickets at once."""
ALIKE = changed({}, _PARTIES)

ISOLATING = (
    f"SELECT COUNT(*) AS n FROM {SECTOR} WHERE discipline = 'opera'",
    f"SELECT SUM(CASE WHEN discipline = 'opera' THEN amount ELSE 0 END) AS n FROM {SECTOR}",
    f"SELECT SUM(CASE WHEN discipline <> 'opera' THEN 0 ELSE amount END) AS n FROM {SECTOR}",
    f"SELECT SUM(amount) FILTER (WHERE discipline = 'opera') AS n FROM {SECTOR}",
    f"SELECT COUNT(*) FILTER (WHERE discipline = 'opera' AND tickets > 1) AS n FROM {SECTOR}",
    f"SELECT COUNT(DISTINCT person) FILTER (WHERE discipline = 'opera') AS n FROM {SECTOR}",
    f"SELECT COUNT_IF(discipline = 'opera') AS n FROM {SECTOR}",
    f"SELECT AVG(CASE WHEN discipline = 'opera' THEN amount END) AS n FROM {SECTOR}",
    f"SELECT MEDIAN(CASE WHEN discipline = 'opera' THEN amount END) AS n FROM {SECTOR}",
    f"SELECT CASE WHEN discipline = 'opera' THEN 1 ELSE 0 END AS k, COUNT(*) AS n FROM {SECTOR} GROUP BY k",
    f"SELECT k, COUNT(*) AS n FROM (SELECT person, CASE WHEN discipline = 'opera' THEN 1 ELSE 0 END AS k FROM {SECTOR}) AS t GROUP BY k",
    f"SELECT SUM(k) AS n FROM (SELECT person, CASE WHEN discipline = 'opera' THEN 1 ELSE 0 END AS k FROM {SECTOR}) AS t",
    f"SELECT COUNT(*) AS n FROM {SECTOR} JOIN (SELECT person FROM ({UNION}) AS z) AS t ON s.person = t.person AND s.discipline = 'opera'",
    f"SELECT COUNT(*) AS n FROM {SECTOR} WHERE EXISTS (SELECT 1 FROM ({UNION}) AS b WHERE b.person = s.person AND s.discipline = 'opera')",
    f"SELECT COUNT(*) AS n FROM {SECTOR} WHERE person IN (SELECT person FROM ({UNION}) AS b WHERE b.discipline = 'opera')",
    f"SELECT COUNT(*) AS n FROM (SELECT person, COUNT(*) FILTER (WHERE discipline = 'opera') AS k FROM {SECTOR} GROUP BY person) AS t WHERE k > 0",
    f"SELECT COUNT(*) AS n FROM (SELECT person FROM {SECTOR} GROUP BY person HAVING BOOL_OR(discipline = 'opera')) AS t",
    f"SELECT COUNT(*) AS n FROM (SELECT person, CASE WHEN discipline IN ('opera', 'danse') THEN 1 END AS x, CASE WHEN discipline IN ('opera', 'cirque') "
    f"THEN 1 END AS y FROM {SECTOR}) AS t WHERE x = 1 AND y = 1",
    f"SELECT SUM(CASE WHEN discipline IN ('opera', 'danse') THEN CASE WHEN discipline IN ('opera', 'cirque') THEN amount END END) AS n FROM {SECTOR}",
)  # fmt: skip


@pytest.mark.parametrize("sql", ISOLATING)
def test_a_condition_in_other_words_isolates_as_a_filter_does(sql: str) -> None:
    assert why(sql, ONE_OPERA) == {"isolates_owner"}
    assert why(sql, ALIKE) == set(), "where all declare the same, nobody is told apart"


@pytest.mark.parametrize(
    "sql",
    [
        f"SELECT m, COUNT(*) AS n FROM (SELECT person, MAX(tickets) AS m FROM {SECTOR} GROUP BY person) AS t GROUP BY m",
        f"SELECT tickets, COUNT(*) AS n FROM {SECTOR} GROUP BY tickets",
        f"SELECT tickets + 1 AS k, COUNT(*) AS n FROM {SECTOR} GROUP BY k",
        f"SELECT LEAST(tickets, 20) AS k, COUNT(*) AS n FROM {SECTOR} GROUP BY k",
    ],
)
def test_every_value_of_a_key_is_judged(sql: str) -> None:
    """A computed number was judged by its least value alone."""
    assert why(sql, ONE_LARGE) == {"isolates_owner"}
    assert why(sql, ALIKE) == set()


def test_what_several_declare_may_be_asked_of_several() -> None:
    room = changed(dict.fromkeys(("tnm", "musee_x"), _OPERA), _PARTIES)
    assert why(f"SELECT SUM(amount) FILTER (WHERE discipline = 'opera') AS n FROM {SECTOR}", room) == set()
    assert why(f"SELECT COUNT(NULLIF(discipline, 'danse')) AS n FROM {SECTOR}", ONE_OPERA) == set()


def test_an_owner_s_own_constant_tells_owners_apart() -> None:
    tagged = " UNION ALL ".join(
        f"SELECT person, amount, {number} AS house FROM {owner}.visits" for number, owner in enumerate(OWNERS)
    )
    assert why(f"SELECT COUNT(*) AS n FROM ({tagged}) AS s", ALIKE) <= {"isolates_owner"}
    for sql in (
        f"SELECT house, COUNT(*) AS n FROM ({tagged}) AS s GROUP BY house",
        f"SELECT SUM(CASE WHEN house = 2 THEN amount ELSE 0 END) AS n FROM ({tagged}) AS s",
        f"SELECT SUM(house * 1000) AS n FROM ({tagged}) AS s",
        f"SELECT SUM(house) AS n FROM ({tagged}) AS s WHERE house >= 2",
    ):
        assert why(sql, ALIKE) == {"isolates_owner"}, sql


def test_owners_whose_rows_cannot_matter_do_not_count() -> None:
    away = [f"(SELECT person FROM {owner}.visits WHERE FALSE)" for owner in OWNERS[1:4]]
    joined = " ".join(f"LEFT JOIN {each} AS x{n} USING (person)" for n, each in enumerate(away))
    missing = " AND ".join(f"person NOT IN {each}" for each in away)
    for sql in (
        f"SELECT COUNT(*) AS n FROM tnm.visits {joined}",
        f"SELECT COUNT(*) AS n FROM tnm.visits WHERE {missing}",
    ):
        assert why(sql, ALIKE) == {"too_few_parties"}


def test_filters_upon_filters_are_judged_in_bounded_work() -> None:
    inner = f"({UNION})"
    for _ in range(12):
        inner = f"(SELECT * FROM {inner} AS s WHERE discipline = 'danse' OR tickets = 1 OR region = 'corse')"
    assert why(f"SELECT COUNT(*) AS n FROM {inner} AS s", ONE_LARGE) <= {"isolates_owner"}


# S44: a step at a constant is a filter by it


@pytest.mark.parametrize(
    "sql",
    [
        f"SELECT SUM({step}) AS n FROM tnm.visits"
        for step in (
            "SIGN(seats - 5)", "GREATEST(seats, 5)", "LEAST(seats, 5)", "ABS(seats - 5)", "seats // 12", "FLOOR(seats / 12)", "seats % 12",
            "ROUND(seats / 20)", "LENGTH(channel)", "CASE WHEN seats = 5 THEN 1 ELSE 0 END",
        )
    ]
    + [
        "SELECT region, COUNT(*) AS n FROM (SELECT person, FIRST(region ORDER BY CASE WHEN seats = 5 THEN 0 ELSE 1 END) AS region "
        "FROM tnm.visits GROUP BY person) AS t GROUP BY region",
        "SELECT COUNT(*) AS n FROM (SELECT person, RANK() OVER (PARTITION BY person ORDER BY seats = 5) AS r FROM tnm.visits) AS t",
        "SELECT region, COUNT(*) AS n FROM (SELECT person, FIRST_VALUE(region) OVER (PARTITION BY person ORDER BY ABS(seats - 5)) AS region "
        "FROM tnm.visits) AS t GROUP BY region",
    ],
)  # fmt: skip
def test_literals_are_not_evaded_by_steps_and_orders(sql: str) -> None:
    rules = """  - name: statistics
    parties: {role: member}
    purposes: [audience_overlap]
    analyses: [aggregate]
    functions: [count_persons, count_rows, sum]
    dimensions: [region]
    allowed_literals: [discipline]
    default_epsilon: 0.2
"""
    room = rulebook(declaration("tnm", rules=rules))
    if "RANK" in sql:
        sql += " WHERE r > 1"
    assert codes(asked(sql), room) == {"literal_not_allowed"}
    assert codes(asked("SELECT SUM(seats * 2 + 1) AS n FROM tnm.visits WHERE discipline = 'danse'"), room) == set()


# S37: who is counted for the owners' threshold


def test_the_threshold_counts_persons_of_the_cell_not_those_of_a_filter() -> None:
    """The first column's number is 0, which was taken for no column."""
    room = changed({}, {"    threshold: 0\n": "    threshold: 20\n"})
    question = Question(
        "SELECT COUNT(DISTINCT person) FILTER (WHERE tickets > 11) AS n FROM tnm.visits", None, PartyId("observatoire"),
        Role.OBSERVATOIRE, Purpose("statistics"), precision(epsilon=1),
    )  # fmt: skip
    (plan,) = admit(question, room).plan.releases
    filtered, everybody = plan.bounds.components
    assert (filtered.column, everybody.column) == (0, None)
    few_of_many = NoisedRelease(plan, 1.0, (3 * filtered.steps, 100 * everybody.steps))
    few = NoisedRelease(plan, 1.0, (3 * filtered.steps, 10 * everybody.steps))
    assert [cell.state for cell in few_of_many.cells()] == [CellState.RELEASED]
    assert [cell.state for cell in few.cells()] == [CellState.SUPPRESSED]


# Rows of people are neither sorted nor cut


@pytest.mark.parametrize("word", ["UNION ALL", "UNION", "INTERSECT", "EXCEPT"])
def test_what_cuts_a_union_of_people_is_refused(word: str) -> None:
    """It was passed over in silence, and another question answered."""
    both = f"SELECT person FROM tnm.visits {word} SELECT person FROM francos.visits"
    for cut in ("LIMIT 10", "ORDER BY person", "ORDER BY 1 LIMIT 1", "OFFSET 3"):
        for sql in (
            f"SELECT COUNT(*) AS n FROM ({both} {cut}) AS t",
            f"SELECT COUNT(*) AS n FROM (({both} {cut}) {word} SELECT person FROM musee_x.visits) AS t",
            f"SELECT COUNT(*) AS n FROM opera_ville.visits WHERE person IN ({both} {cut})",
            f"WITH a AS ({both} {cut}) SELECT COUNT(*) AS n FROM a",
        ):
            found = decided(sql, None)
            assert isinstance(found, Refused)
            assert {each.code for each in found.refusals} == {"picks_rows"}, sql


# Names


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT COUNT(*) AS n FROM ..visits",
        "SELECT COUNT(*) AS n FROM tnm..visits",
        "SELECT COUNT(*) AS n FROM tnm.visits WHERE ..region = 'a'",
    ],
)
def test_names_that_are_not_there_are_refused(sql: str) -> None:
    assert isinstance(decided(sql, None), Refused)
