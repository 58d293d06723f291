"""Ask Tumult Analytics the questions of `bench.utility`; run in its own environment (`tumult.txt`), needs Java."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator

from clock import Clock, for_speed
from clock import questions as wanted
from pyspark.sql import SparkSession
from tmlt.analytics import (
    AddRowsWithID,
    KeySet,
    MaxGroupsPerID,
    MaxRowsPerGroupPerID,
    MaxRowsPerID,
    PureDPBudget,
    QueryBuilder,
    RhoZCDPBudget,
    Session,
)

RHO = 0.02018
"""epsilon 1 at delta 1e-7."""

REGIONS = [f"region_{number:02}" for number in range(1, 18)]
DISCIPLINES = ["theatre", "danse", "musique", "cirque", "humour", "arts_visuels", "cinema", "litterature"]
REGION = KeySet.from_dict({"region": REGIONS})
DISCIPLINE = KeySet.from_dict({"discipline": DISCIPLINES})
BOTH = KeySet.from_dict({"region": REGIONS, "discipline": DISCIPLINES})


def persons(source: str) -> object:
    return QueryBuilder(source).enforce(MaxRowsPerID(1)).count(name="n")


def by_region(source: str) -> object:
    grouped = QueryBuilder(source).enforce(MaxGroupsPerID("region", 2)).enforce(MaxRowsPerGroupPerID("region", 1))
    return grouped.groupby(REGION).count(name="n")


def capped() -> QueryBuilder:
    return QueryBuilder("sales").enforce(MaxRowsPerID(10))


def questions() -> dict[str, object]:
    at_one = QueryBuilder("sales").filter("venue = 1").select(["person_id", "region"]).enforce(MaxRowsPerID(10))
    at_two = QueryBuilder("sales").filter("venue = 2").select(["person_id"]).enforce(MaxRowsPerID(1))
    both = at_one.join_private(at_two)
    return {
        "Q1": capped().count(name="n"),
        "Q2": persons("sales"),
        "Q3": by_region("sales"),
        "Q4": capped().groupby(DISCIPLINE).sum("amount", low=0, high=250, name="n"),
        "Q5": capped().groupby(BOTH).average("amount", low=0, high=250, name="n"),
        "Q6": capped().median("amount", low=0, high=250, name="n"),
        "Q7": both.enforce(MaxRowsPerID(1)).count(name="n"),
        "Q8": both.enforce(MaxGroupsPerID("region", 2))
        .enforce(MaxRowsPerGroupPerID("region", 1))
        .groupby(REGION)
        .count(name="n"),
    }


def cells(question: str, rows: list[dict[str, object]]) -> dict[str, object]:
    match question:
        case "Q3" | "Q8":
            return {str(row["region"]): row["n"] for row in rows}
        case "Q4":
            return {str(row["discipline"]): row["n"] for row in rows}
        case "Q5":
            return {f"{row['region']}/{row['discipline']}": row["n"] for row in rows}
    return {"all": rows[0]["n"]}


def asked(path: str, runs: int) -> Iterator[dict[str, object]]:
    # Workers are to be of this environment, not of whatever `python3` is.
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.driver.memory", "4g")
        .config("spark.sql.shuffle.partitions", "4")
        .config("spark.sql.warehouse.dir", tempfile.mkdtemp(prefix="warehouse-"))
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("OFF")
    table = spark.read.parquet(path).drop("purchased").cache()
    variants = (
        ("ε 1", PureDPBudget(1), PureDPBudget(float("inf"))),
        ("ρ of ε 1", RhoZCDPBudget(RHO), RhoZCDPBudget(float("inf"))),
    )
    for variant, budget, whole in variants[for_speed() :]:
        session = Session.from_dataframe(
            privacy_budget=whole, source_id="sales", dataframe=table, protected_change=AddRowsWithID("person_id")
        )
        for name, question in questions().items():
            # One number errs by chance: more runs.
            often = {"Q2": 12, "Q6": 12, "Q7": 12, "Q5": 3, "Q8": 3}
            times = runs if for_speed() else runs * often.get(name, 1)
            for _ in range(times if name in wanted() else 0):
                try:
                    with Clock() as clock:
                        found = [row.asDict() for row in session.evaluate(question, privacy_budget=budget).collect()]
                    pure = variant == "ε 1"
                    yield {"q": name, "variant": variant, "pure": pure, "cells": cells(name, found), **clock.said}
                except Exception as error:
                    yield {"q": name, "variant": variant, "unsupported": f"{type(error).__name__}: {str(error)[-160:]}"}
                    break


def main() -> None:
    for line in asked(sys.argv[1], int(sys.argv[2])):
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
