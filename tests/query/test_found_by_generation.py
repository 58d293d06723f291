"""What generated questions found wrong, each as small as it goes (tests/query/generated)."""

# ruff: noqa: S608 - questions are what is tested here
from __future__ import annotations

import pytest
from generated.killers import agrees
from rooms import TNM, Room, admit, catalog_of, vector
from test_sensitivity import visit

from cleanroom.catalog import Contribution
from cleanroom.query.release import NoisedRelease


def test_statistics_of_one_column_keep_their_own_resolutions() -> None:
    """SUM(x * 3) adds up the steps of x, each worth three: what is worth three there is worth one in AVG(x)."""
    made = {TNM: catalog_of(TNM, contribution=Contribution(50, 3))}
    sql = "SELECT AVG(seats) AS a, SUM(seats * 3) AS s, VAR_POP(seats) AS v, SUM(seats) AS t FROM tnm.visits"
    a_plan = admit(sql, None, made)
    rows = tuple(visit(person, seats=seats) for person in range(3) for seats in (2, 4))
    (cell,) = NoisedRelease(a_plan, 1.0, vector(a_plan, Room(made, {TNM: (rows,)}))).cells()
    assert [value.number for value in cell.values] == pytest.approx([3, 54, 1, 18])
    assert cell.values[1].margin95 == pytest.approx(3 * cell.values[3].margin95)


def test_the_threshold_looks_at_all_persons_of_a_cell_whatever_a_filter_leaves() -> None:
    """The filtered count is the first component, of column 0; suppression goes by the count of everybody (S37)."""
    made = {TNM: catalog_of(TNM, contribution=Contribution(5, 3))}
    sql = "SELECT COUNT(DISTINCT person) FILTER (WHERE seats > 3) AS few, COUNT(*) AS n FROM tnm.visits"
    a_plan = admit(sql, None, made, threshold=5)
    rows = tuple(visit(person, seats=5 if person < 2 else 1) for person in range(9))
    (cell,) = NoisedRelease(a_plan, 1.0, vector(a_plan, Room(made, {TNM: (rows,)}))).cells()
    assert [value.number for value in cell.values] == [2, 9]


@pytest.mark.parametrize(
    "condition",
    [
        "b.person IN (SELECT person FROM musee.visits)",
        "b.person NOT IN (SELECT person FROM musee.visits)",
        "NOT (b.person IN (SELECT person FROM musee.visits)) OR FALSE",
        "(b.person IN (SELECT person FROM musee.visits)) IS NULL",
    ],
)
def test_a_person_that_is_not_there_is_neither_in_nor_not_in(condition: str) -> None:
    """The absent side of an outer join has no person, and NULL NOT IN (…) is NULL, not true (S16)."""
    agrees(
        "SELECT COUNT(*) AS n, COUNT(DISTINCT a.person) AS p FROM tnm.visits AS a LEFT JOIN francos.visits AS b ON "
        f"a.person = b.person AND b.seats > 2 WHERE {condition}"
    )


@pytest.mark.parametrize("condition", ["FALSE", "NULL", "NOT (TRUE)"])
def test_rows_never_meet_where_their_condition_is_never_true(condition: str) -> None:
    """A condition that looks at no column, of a join of which no column is looked at, is a condition all the same."""
    agrees(f"SELECT COUNT(*) AS n FROM tnm.visits AS a JOIN francos.visits AS b ON a.person = b.person AND {condition}")
