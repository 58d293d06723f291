"""Ask OpenDP's Polars context the questions of `bench.utility`; run in its own environment (`opendp.txt`)."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator

import opendp.prelude as dp
import polars as pl
from clock import Clock, for_speed, questions

dp.enable_features("contrib")
DELTA = 1e-7
RHO = 0.02018
"""epsilon 1 at delta 1e-7, by OpenDP's own conversion (checked below)."""

REGIONS = [f"region_{number:02}" for number in range(1, 18)]
CENTS = [each / 100 for each in range(25_001)]
"""Candidates of the median: every cent, as the room has them."""

DISCIPLINES = ["theatre", "danse", "musique", "cirque", "humour", "arts_visuels", "cinema", "litterature"]


def context(path: str, loss: tuple[object, object]) -> dp.Context:
    frame = pl.scan_parquet(path)
    return dp.Context.compositor(
        data=frame,
        privacy_unit=dp.unit_of(contributions=1, identifier=pl.col("person_id")),
        privacy_loss=loss,
        split_evenly_over=1,
        margins=[
            dp.polars.Margin(by=[], max_length=20_000_000, invariant=None),
            dp.polars.Margin(by=["region"], max_length=20_000_000),
            dp.polars.Margin(by=["discipline"], max_length=20_000_000),
            dp.polars.Margin(by=["region", "discipline"], max_length=20_000_000),
        ],
    )


def keyed(**columns: list[str]) -> pl.LazyFrame:
    frame = pl.LazyFrame({"__one": [1]})
    for name, values in columns.items():
        frame = frame.join(pl.LazyFrame({name: values}), how="cross")
    return frame.drop("__one")


def amount() -> object:
    return pl.col("amount").fill_null(0.0).fill_nan(0.0)


def q1(c: dp.Context) -> object:
    return c.query().truncate_per_group(10).select(dp.len())


def q2(c: dp.Context) -> object:
    return c.query().truncate_per_group(1).select(dp.len())


def q3(c: dp.Context) -> object:
    return (
        c.query()
        .truncate_num_groups(2, by=["region"], keep="first")
        .truncate_per_group(1, by=["region"])
        .group_by("region")
        .agg(dp.len())
        .with_keys(keyed(region=REGIONS))
    )


def q4(c: dp.Context) -> object:
    return (
        c.query()
        .truncate_per_group(10)
        .group_by("discipline")
        .agg(amount().dp.sum((0.0, 250.0)))
        .with_keys(keyed(discipline=DISCIPLINES))
    )


def q5(c: dp.Context) -> object:
    return (
        c.query()
        .truncate_per_group(10)
        .group_by("region", "discipline")
        .agg(total=amount().dp.sum((0.0, 250.0)), n=dp.len())
        .with_keys(keyed(region=REGIONS, discipline=DISCIPLINES))
    )


def q6(c: dp.Context) -> object:
    return c.query().truncate_per_group(10).select(amount().dp.median(CENTS))


def q7(c: dp.Context) -> object:
    return (
        c.query()
        .group_by("person_id")
        .agg(a=(pl.col("venue") == 1).any(), b=(pl.col("venue") == 2).any())
        .filter(pl.col("a") & pl.col("b"))
        .select(dp.len())
    )


def cells(question: str, frame: pl.DataFrame) -> dict[str, float]:
    rows = frame.to_dicts()
    if question in {"Q1", "Q2", "Q6", "Q7"}:
        return {"all": float(next(iter(rows[0].values())))}
    if question == "Q5":
        return {f"{row['region']}/{row['discipline']}": row["total"] / max(1.0, row["n"]) for row in rows}
    key, value = frame.columns
    return {row[key]: float(row[value]) for row in rows}


QUESTIONS: dict[str, Callable[[dp.Context], object]] = {
    "Q1": q1, "Q2": q2, "Q3": q3, "Q4": q4, "Q5": q5, "Q6": q6, "Q7": q7,
}  # fmt: skip


def asked(path: str, runs: int) -> Iterator[dict[str, object]]:
    ways = (
        ("Laplace, ε 1", dp.loss_of(epsilon=1.0)),
        ("Gaussian, ρ of ε 1", dp.loss_of(rho=RHO)),
    )
    for variant, loss in ways[for_speed() :]:
        for name in (each for each in QUESTIONS if each in questions()):
            # One number errs by chance: more runs.
            for _ in range(runs if for_speed() or name not in {"Q2", "Q6", "Q7"} else 2 * runs):
                try:
                    with Clock() as clock:
                        found = QUESTIONS[name](context(path, loss)).release().collect()  # type: ignore[attr-defined]
                    pure = variant == "Laplace, ε 1"
                    yield {"q": name, "variant": variant, "pure": pure, "cells": cells(name, found), **clock.said}
                except Exception as error:
                    yield {"q": name, "variant": variant, "unsupported": f"{type(error).__name__}: {str(error)[:160]}"}
                    break
    yield {
        "q": "Q8",
        "variant": "",
        "unsupported": "joins on the person are refused; aggregating by person loses region",
    }


def main() -> None:
    gaussian = dp.m.make_gaussian(dp.atom_domain(T="i64"), dp.absolute_distance(T="f64"), scale=(1 / (2 * RHO)) ** 0.5)
    assert 0.999 < dp.c.make_zCDP_to_approxDP(gaussian).map(1.0).epsilon(DELTA) <= 1.0
    for line in asked(sys.argv[1], int(sys.argv[2])):
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
