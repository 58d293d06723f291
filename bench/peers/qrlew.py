"""Ask Qrlew the questions of `bench.utility`, its SQL run by DuckDB; in its own environment (`qrlew.txt`)."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import duckdb
import pyqrlew as qrlew
import sqlalchemy
from clock import Clock, for_speed, questions

EPSILON_DELTA = {"epsilon": 1.0, "delta": 1e-7}
REGIONS = [f"region_{number:02}" for number in range(1, 18)]
DISCIPLINES = ["theatre", "danse", "musique", "cirque", "humour", "arts_visuels", "cinema", "litterature"]
UNIT = [("sales", [], "person_id")]
BOTH = "FROM sales AS a JOIN sales AS b ON a.person_id = b.person_id WHERE a.venue = 1 AND b.venue = 2"
QUESTIONS = {
    # rows of a person, groups of a person, text
    "Q1": (10, 1, "SELECT COUNT(*) AS n FROM sales"),
    "Q2": (1, 1, "SELECT COUNT(DISTINCT person_id) AS n FROM sales"),
    "Q3": (2, 2, "SELECT region, COUNT(DISTINCT person_id) AS n FROM sales GROUP BY region"),
    "Q4": (10, 8, "SELECT discipline, SUM(amount) AS n FROM sales GROUP BY discipline"),
    "Q5": (10, 10, "SELECT region, discipline, AVG(amount) AS n FROM sales GROUP BY region, discipline"),
    "Q6": (10, 1, "SELECT MEDIAN(amount) AS n FROM sales"),
    "Q7": (1, 1, f"SELECT COUNT(DISTINCT a.person_id) AS n {BOTH}"),
    "Q8": (2, 2, f"SELECT a.region, COUNT(DISTINCT a.person_id) AS n {BOTH} GROUP BY a.region"),
}


def dataset(rows: int) -> qrlew.Dataset:
    """Describe the table; its rows stay in DuckDB."""
    engine = sqlalchemy.create_engine("sqlite://", poolclass=sqlalchemy.pool.StaticPool)
    with engine.begin() as connection:
        connection.execute(
            sqlalchemy.text(
                "CREATE TABLE sales (person_id TEXT, venue INTEGER, discipline TEXT, region TEXT, tickets INTEGER, "
                "amount FLOAT)"
            )
        )
        connection.execute(sqlalchemy.text("INSERT INTO sales (venue) VALUES " + ", ".join(["(1)"] * rows)))
    described = qrlew.Dataset.from_database("sales", engine, None)
    described = described.with_range(None, "sales", "amount", 0.0, 250.0)
    described = described.with_range(None, "sales", "venue", 1, 20)
    described = described.with_possible_values(None, "sales", "region", REGIONS)
    return described.with_possible_values(None, "sales", "discipline", DISCIPLINES)


def asked(path: str, runs: int) -> Iterator[dict[str, object]]:
    connection = duckdb.connect()
    connection.execute(f"CREATE TABLE sales AS SELECT * EXCLUDE (purchased) FROM '{path}'")
    (rows,) = connection.execute("SELECT count(*) FROM sales").fetchone()
    described = dataset(rows)
    for name, (most, groups, question) in QUESTIONS.items():
        if name not in questions():
            continue
        # One number errs by chance: more runs.
        for _ in range(runs if for_speed() or name not in {"Q2", "Q7"} else 2 * runs):
            try:
                with Clock() as clock:
                    rewritten = described.relation(question).rewrite_with_differential_privacy(
                        described,
                        UNIT,
                        EPSILON_DELTA,
                        max_multiplicity=float(most),
                        max_multiplicity_share=1.0,
                        max_privacy_unit_groups=groups,
                    )
                    found = connection.execute(rewritten.relation().to_query(qrlew.Dialect.PostgreSql)).fetchall()
                cells = {"/".join(map(str, row[:-1])) or "all": float(row[-1] or 0.0) for row in found}
                yield {"q": name, "variant": "ε 1, δ 1e-7", "pure": False, "cells": cells, **clock.said}
            except BaseException as error:
                text = f"{type(error).__name__}: {str(error)[:160]}"
                yield {"q": name, "variant": "", "unsupported": text}
                break


def main() -> None:
    for line in asked(sys.argv[1], int(sys.argv[2])):
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
