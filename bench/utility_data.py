"""The table that utility is measured on: one table of sales, skewed as sales are, the same file for everybody.

Nobody here exists. 3 persons to 10 rows; half of the persons once or twice, a few very often; a home region and some
favourite venues for each. Errors are measured against the whole truth, so the skew is what bounds cost.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import polars as pl

from bench.data import DISCIPLINES, REGIONS, ROOT, rows_of_persons, shares

VERSION: Final = 1
VENUES: Final = 20
FIRST_DAY: Final = date(2023, 9, 1)
DAYS: Final = 731
LEAST, MOST = 5, 250
"""Of an amount, in dollars."""


@dataclass(frozen=True, slots=True)
class Sales:
    """Where the files lie."""

    directory: Path

    @property
    def parquet(self) -> Path:
        """person_id (64 hexadecimal digits), venue, discipline, region, purchased, tickets, amount (double)."""
        return self.directory / "sales.parquet"

    @property
    def csv(self) -> Path:
        """The same rows, with an e-mail for the person, as a member uploads them."""
        return self.directory / "sales.csv"

    def truth(self) -> dict[str, dict[str, float]]:
        """Return the exact answer of each question by cell, no bound applied."""
        found: dict[str, dict[str, float]] = json.loads((self.directory / "truth.json").read_text("utf-8"))
        return found

    def rolled(self) -> dict[str, float]:
        """Return the exact rows by region and discipline, and their totals, "None" where a key is left out."""
        with duckdb.connect() as connection:
            rows = connection.execute(
                f"SELECT region, discipline, count(*) FROM '{self.parquet}' GROUP BY ROLLUP (region, discipline)"
            ).fetchall()
        return {f"{region}/{discipline}": float(count) for region, discipline, count in rows}


TRUTH: Final = {
    "Q1": "SELECT 'all', count(*) FROM sales",
    "Q2": "SELECT 'all', count(DISTINCT person_id) FROM sales",
    "Q3": "SELECT region, count(DISTINCT person_id) FROM sales GROUP BY 1",
    "Q4": "SELECT discipline, sum(amount) FROM sales GROUP BY 1",
    "Q5": "SELECT region || '/' || discipline, avg(amount) FROM sales GROUP BY 1",
    "Q6": "SELECT 'all', median(amount) FROM sales",
    "Q7": "SELECT 'all', count(DISTINCT person_id) FROM sales WHERE venue = 1 AND person_id IN "
    "(SELECT person_id FROM sales WHERE venue = 2)",
    "Q8": "SELECT region, count(DISTINCT person_id) FROM sales WHERE venue = 1 AND person_id IN "
    "(SELECT person_id FROM sales WHERE venue = 2) GROUP BY 1",
}


def sales(rows: int, seed: int) -> Sales:
    """Return the table of a size and seed; write it if it is not there yet."""
    directory = ROOT / f"utility-v{VERSION}-{rows}-{seed}"
    if not directory.exists():
        ROOT.mkdir(exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".writing-", dir=ROOT))
        try:
            _write(Sales(staging), rows, seed)
            staging.rename(directory)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
    return Sales(directory)


def _write(where: Sales, rows: int, seed: int) -> None:
    draw = np.random.default_rng([seed, 7])
    persons = max(1, rows * 3 // 10)
    who = np.repeat(np.arange(persons), rows_of_persons(persons, rows, draw))
    homes = draw.choice(len(REGIONS), size=persons, p=shares(len(REGIONS)))
    favourites = draw.choice(VENUES, size=(persons, 2), p=shares(VENUES))
    taste = draw.choice(len(DISCIPLINES), size=persons, p=shares(len(DISCIPLINES)))
    region = np.where(draw.random(rows) < 0.06, draw.integers(0, len(REGIONS), rows), homes[who])
    venue = np.where(
        draw.random(rows) < 0.3, draw.integers(0, VENUES, rows), favourites[who, draw.integers(0, 2, rows)]
    )
    discipline = np.where(draw.random(rows) < 0.5, taste[who], draw.integers(0, len(DISCIPLINES), rows))
    cents = np.clip(np.exp(draw.normal(8.1, 0.6, rows)) // 5 * 5, 100 * LEAST, 100 * MOST).astype(np.int64)
    names = [hashlib.sha256(b"sales %d" % each).hexdigest() for each in range(persons)]
    frame = pl.DataFrame(
        {
            "person_id": pl.Series(names).gather(who),
            "venue": pl.Series(venue + 1).cast(pl.Int64),
            "discipline": pl.Series(DISCIPLINES).gather(discipline),
            "region": pl.Series(REGIONS).gather(region),
            "purchased": pl.Series(np.datetime64(FIRST_DAY) + draw.integers(0, DAYS, rows)).cast(pl.Date),
            "tickets": pl.Series(np.minimum(draw.geometric(0.45, rows), 8)).cast(pl.Int64),
            "amount": pl.Series(cents / 100.0),
            "who": who,
        }
    ).gather(draw.permutation(rows))
    frame.drop("who").write_parquet(where.parquet)
    address = pl.format("prenom.nom{}@courriel.example", pl.col("who")).alias("courriel")
    money = (pl.col("amount").round(2)).cast(pl.Decimal(7, 2))
    frame.with_columns(address, money).select(
        "courriel", "venue", "discipline", "region", "purchased", "tickets", "amount"
    ).write_csv(where.csv)
    (where.directory / "truth.json").write_text(json.dumps(_truth(where)), encoding="utf-8")


def _truth(where: Sales) -> dict[str, dict[str, Any]]:
    with duckdb.connect() as connection:
        connection.execute(f"CREATE VIEW sales AS FROM '{where.parquet}'")
        found = {
            name: {str(key): float(value) for key, value in connection.execute(question).fetchall()}
            for name, question in TRUTH.items()
        }
    found["Q8"] = {region: found["Q8"].get(region, 0.0) for region in REGIONS}
    return found
