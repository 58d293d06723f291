"""Ask smartnoise-sql the questions of `bench.utility`; run in its own environment (`smartnoise.txt`)."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator

import duckdb
import pandas as pd
from clock import Clock, for_speed, questions
from snsql import Privacy, from_connection, from_df

DELTA = 1e-7
QUESTIONS = {
    "Q1": (10, "SELECT COUNT(*) AS n FROM sales.sales"),
    "Q2": (1, "SELECT COUNT(DISTINCT person_id) AS n FROM sales.sales"),
    "Q3": (2, "SELECT region, COUNT(DISTINCT person_id) AS n FROM sales.sales GROUP BY region"),
    "Q4": (10, "SELECT discipline, SUM(amount) AS n FROM sales.sales GROUP BY discipline"),
    "Q5": (10, "SELECT region, discipline, AVG(amount) AS n FROM sales.sales GROUP BY region, discipline"),
}
REFUSED = {
    "Q6": "SELECT MEDIAN(amount) AS n FROM sales.sales",
    "Q7": "SELECT COUNT(DISTINCT a.person_id) AS n FROM sales.sales AS a JOIN sales.sales AS b USING (person_id) "
    "WHERE a.venue = 1 AND b.venue = 2",
    "Q8": "SELECT a.region, COUNT(DISTINCT a.person_id) AS n FROM sales.sales AS a JOIN sales.sales AS b "
    "USING (person_id) WHERE a.venue = 1 AND b.venue = 2 GROUP BY a.region",
}


def metadata(max_ids: int, rows: int) -> dict[str, object]:
    table = {
        "row_privacy": False,
        "max_ids": max_ids,
        "rows": rows,
        "censor_dims": False,
        "person_id": {"type": "string", "private_id": True},
        "venue": {"type": "int", "lower": 1, "upper": 20},
        "discipline": {"type": "string"},
        "region": {"type": "string"},
        "tickets": {"type": "int", "lower": 1, "upper": 8},
        "amount": {"type": "float", "lower": 0.0, "upper": 250.0},
    }
    return {"": {"sales": {"sales": table}}}


class OnDuckDB:
    """A connection that smartnoise takes for SQLite's: faster than its own reader of frames, which fills an SQLite.

    DuckDB takes no volatile ORDER BY in a window, so the random number becomes a column of the rows below.
    """

    def __init__(self, path: str) -> None:
        self._connection = duckdb.connect()
        self._connection.execute(f"CREATE SCHEMA sales; CREATE VIEW sales.sales AS SELECT * FROM '{path}'")
        self.description: object = None

    def cursor(self) -> OnDuckDB:
        return self

    def execute(self, sql: str, *_: object) -> OnDuckDB:
        sql = sql.replace("FROM sales.sales ) AS clamped", ", random() AS draw FROM sales.sales ) AS clamped")
        self._connection.execute(sql.replace("ORDER BY RANDOM ( )", "ORDER BY draw"))
        self.description = self._connection.description
        return self

    def fetchall(self) -> list[tuple[object, ...]]:
        return self._connection.fetchall()

    def __iter__(self) -> Iterator[tuple[object, ...]]:
        return iter(self.fetchall())

    def close(self) -> None:
        """Nothing is held for one statement."""

    def rollback(self) -> None:
        """Nothing was written."""

    def commit(self) -> None:
        """Nothing was written."""


def timed(path: str, runs: int) -> Iterator[dict[str, object]]:
    """Ask for the time it takes, on DuckDB."""
    connection = OnDuckDB(path)
    (rows,) = connection.execute("SELECT count(*) FROM sales.sales").fetchall()[0]
    for name, (max_ids, question) in {**QUESTIONS, **{q: (10, text) for q, text in REFUSED.items()}}.items():
        for _ in range(runs if name in questions() else 0):
            try:
                with Clock() as clock:
                    privacy = Privacy(epsilon=1.0, delta=DELTA)
                    reader = from_connection(
                        connection, privacy=privacy, engine="sqlite", metadata=metadata(max_ids, rows)
                    )
                    found = reader.execute(question)[1:]
                cells = {"/".join(map(str, row[:-1])) or "all": float(row[-1]) for row in found}
                yield {"q": name, "variant": "on DuckDB", "cells": cells, **clock.said}
            except Exception as error:
                yield {"q": name, "variant": "", "unsupported": f"{type(error).__name__}: {str(error)[:160]}"}
                break


def asked(path: str, runs: int) -> Iterator[dict[str, object]]:
    frame = pd.read_parquet(path).drop(columns="purchased")
    for name, (max_ids, question) in {**QUESTIONS, **{q: (10, text) for q, text in REFUSED.items()}}.items():
        # One number errs by chance: more runs.
        for run in range(runs * (4 if name == "Q2" else 1)):
            try:
                # Its own report of what a question costs tells how much of it is epsilon 1.
                described = metadata(max_ids, len(frame))
                cost = from_df(frame, privacy=Privacy(epsilon=1.0, delta=DELTA), metadata=described)
                spent = float(cost.get_privacy_cost(question)[0])
                reader = from_df(frame, privacy=Privacy(epsilon=1.0 / spent, delta=DELTA), metadata=described)
                rows = reader.execute(question)[1:]
                found = {"/".join(map(str, row[:-1])) or "all": float(row[-1]) for row in rows}
                # Its counts and sums are discrete Laplace and Laplace; delta is for keys, which are not censored here.
                yield {"q": name, "variant": f"ε 1 (asked for {1 / spent:.2f})", "pure": True, "cells": found}
            except Exception as error:
                yield {
                    "q": name,
                    "variant": "",
                    "unsupported": f"{type(error).__name__}: {str(error)[:160]}",
                    "run": run,
                }
                break


def main() -> None:
    warnings.simplefilter("ignore")
    for line in (timed if for_speed() else asked)(sys.argv[1], int(sys.argv[2])):
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
