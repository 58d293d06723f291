"""Measure the room and raw DuckDB on the table of sales that the peers are asked of too."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from bench.measure import begin_peak, peak_mebibytes, timed

RUNS: Final = 3
CAPPED: Final = (
    "SELECT discipline, sum(amount) FROM (SELECT *, row_number() OVER (PARTITION BY person_id ORDER BY purchased,"
    " amount) AS place FROM sales) WHERE place <= 10 GROUP BY 1"
)


def sales_prepare(room: str, directory: str) -> dict[str, Any]:
    """Make the room with the table of sales."""
    from bench.utility_data import Sales
    from bench.utility_house import house

    house(Path(room), Sales(Path(directory))).close()
    return {}


def sales_questions(room: str, directory: str) -> dict[str, Any]:
    """Ask each question in the room: once to warm up, then some times, of which the fastest counts."""
    from bench.house import forget_answers, open_room
    from bench.stages import TICK, Stages
    from bench.utility_house import MEMBER, SQL

    ticks = Stages()
    ticks.install((TICK,))
    found = {}
    with open_room(Path(room)) as opened:
        session = opened.session(MEMBER)
        for name, sql in SQL.items():
            begin_peak()
            took = []
            for _ in range(1 + RUNS):
                forget_answers(opened)
                ticks.clear()
                cpu, wall = timed(lambda sql=sql: session.query(sql, purpose="statistics", epsilon=1))[1]  # type: ignore[misc]
                took.append((cpu, wall - ticks.wall.get(TICK[0], 0.0)))
            cpu, wall = min(took[1:])
            found[name] = {"cpu": cpu, "wall": wall, "peak": peak_mebibytes()}
    return found


def sales_raw(room: str, directory: str) -> dict[str, Any]:
    """Ask raw DuckDB, without privacy: two threads, warm, hexadecimal tokens."""
    import duckdb

    from bench.utility_data import TRUTH, Sales

    connection = duckdb.connect(":memory:", config={"threads": 2})
    connection.execute(f"CREATE VIEW sales AS FROM '{Sales(Path(directory)).parquet}'")
    found = {}
    for name, sql in {**TRUTH, "Q4 capped": CAPPED}.items():
        begin_peak()
        took = [timed(lambda sql=sql: connection.sql(sql).fetchall())[1] for _ in range(1 + RUNS)]  # type: ignore[misc]
        cpu, wall = min(took[1:])
        found[name] = {"cpu": cpu, "wall": wall, "peak": peak_mebibytes()}
    return found
