"""The questions that are measured, each with the SQL that answers it without privacy in raw DuckDB.

Numbers Q1 to Q8 are those that other systems were measured with (counts, persons, sums, means, overlaps); medians
(Q6) are not answered yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class BenchQuestion:
    """A question in the room's words and in raw DuckDB's.

    Args:
        id: short name.
        title: for the table of the report.
        keys: how many of the answer's first columns are keys.
        sql: as asked in the room.
        raw: as asked of the views `fleuve` and `rives`.
        capped: the raw question with the room's bound on rows, ten of a person and cell, or None.
        members: how many tables it reads.
    """

    id: str
    title: str
    keys: int
    sql: str
    raw: str
    capped: str | None = None
    members: int = 1


_CAPPED: Final = (
    "SELECT discipline, {what} FROM (SELECT *, row_number() OVER (PARTITION BY u, discipline ORDER BY purchased,"
    " amount) AS place FROM fleuve) WHERE place <= 10 GROUP BY 1"
)
_BY: Final = "SELECT {key}, COUNT(DISTINCT person) AS n FROM fleuve.visits {where} GROUP BY 1"
_SECTOR: Final = (
    "SELECT discipline, {month} AS month, SUM(tickets) AS tickets, SUM(amount) AS total FROM (SELECT {columns} FROM"
    " fleuve{visits} UNION ALL SELECT {columns} FROM rives{visits}) AS s GROUP BY 1, 2"
)

QUESTIONS: Final = (
    BenchQuestion(
        "rows", "Q1 rows", 0, "SELECT COUNT(*) AS n FROM fleuve.visits", "SELECT count(*) FROM fleuve",
        _CAPPED.format(what="count(*)").replace("discipline, count(*)", "count(*)").replace("u, discipline", "u")
        .removesuffix(" GROUP BY 1"),
    ),
    BenchQuestion(
        "persons", "Q2 distinct persons", 0, "SELECT COUNT(DISTINCT person) AS n FROM fleuve.visits",
        "SELECT count(DISTINCT u) FROM fleuve",
    ),
    BenchQuestion(
        "persons_by_region", "Q3 distinct persons by region", 1, _BY.format(key="region", where=""),
        "SELECT region, count(DISTINCT u) FROM fleuve GROUP BY 1",
    ),
    BenchQuestion(
        "persons_filtered", "Q3 with a filter (discipline, a year)", 1,
        _BY.format(key="region", where="WHERE discipline IN ('theatre', 'musique') AND purchased >= DATE '2024-09-01'"),
        "SELECT region, count(DISTINCT u) FROM fleuve WHERE discipline IN ('theatre', 'musique')"
        " AND purchased >= DATE '2024-09-01' GROUP BY 1",
    ),
    BenchQuestion(
        "sum", "Q4 sum of amounts by discipline", 1,
        "SELECT discipline, SUM(amount) AS total FROM fleuve.visits GROUP BY 1",
        "SELECT discipline, sum(amount) FROM fleuve GROUP BY 1", _CAPPED.format(what="sum(amount)"),
    ),
    BenchQuestion(
        "mean", "Q5 mean amount by discipline", 1,
        "SELECT discipline, AVG(amount) AS mean FROM fleuve.visits GROUP BY 1",
        "SELECT discipline, avg(amount) FROM fleuve GROUP BY 1", _CAPPED.format(what="avg(amount)"),
    ),
    BenchQuestion(
        "overlap", "Q7 overlap of two members", 0,
        "SELECT COUNT(DISTINCT person) AS n FROM fleuve.visits JOIN rives.visits USING (person)",
        "SELECT count(DISTINCT fleuve.u) FROM fleuve JOIN rives USING (u)", members=2,
    ),
    BenchQuestion(
        "overlap_by_region", "Q8 overlap by region, JOIN", 1,
        "SELECT fleuve.visits.region, COUNT(DISTINCT person) AS n FROM fleuve.visits JOIN rives.visits USING (person)"
        " GROUP BY 1",
        "SELECT fleuve.region, count(DISTINCT fleuve.u) FROM fleuve JOIN rives USING (u) GROUP BY 1", members=2,
    ),
    BenchQuestion(
        "overlap_in_by_region", "Q8 overlap by region, IN", 1,
        "SELECT region, COUNT(DISTINCT person) AS n FROM fleuve.visits WHERE person IN"
        " (SELECT person FROM rives.visits) GROUP BY 1",
        "SELECT region, count(DISTINCT u) FROM fleuve WHERE u IN (SELECT u FROM rives) GROUP BY 1", members=2,
    ),
    BenchQuestion(
        "sector", "sector: tickets and amounts by discipline × month", 2,
        _SECTOR.format(month="date_trunc('month', purchased)", columns="person, discipline, purchased, tickets, amount",
                       visits=".visits"),
        _SECTOR.format(month="date_trunc('month', purchased)::DATE", columns="discipline, purchased, tickets, amount",
                       visits=""),
        members=2,
    ),
)  # fmt: skip
BY_ID: Final = {question.id: question for question in QUESTIONS}
