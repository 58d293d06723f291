"""Ask smartnoise-sql the questions of `bench.utility`; run in its own environment (`smartnoise.txt`)."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator

import pandas as pd
from snsql import Privacy, from_df

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
    for line in asked(sys.argv[1], int(sys.argv[2])):
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
