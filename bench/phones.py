"""Phone numbers as organisations write them, and how fast they take their normal form."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from bench.measure import Series, repeated
from cleanroom.client.normalise import normalise_column
from cleanroom.identifiers import IdentifierKind

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOREIGN = 20
"""One number in so many is written for another country, which the library reads."""

SLICE_ROWS = 1 << 18


def written(rows: int, seed: int = 1) -> pl.Series:
    """Write North American numbers in six usual forms in turn, nearly all of them distinct."""
    randomness = np.random.default_rng(seed)
    area, exchange = (_digits(randomness.integers(200, 1000, rows)) for _ in range(2))
    line = _digits(randomness.integers(0, 10_000, rows)).str.zfill(4)
    forms = ("{}{}{}", "({}) {}-{}", "{}-{}-{}", "+1 {} {} {}", "1-{}-{}-{}", "{} {}-{}")
    parts = pl.DataFrame({"area": area, "exchange": exchange, "line": line}).with_row_index()
    choice = pl.coalesce(
        pl.when(pl.col("index") % len(forms) == place).then(pl.format(form, "area", "exchange", "line"))
        for place, form in enumerate(forms)
    )
    return parts.select(choice.alias("telephone")).to_series()


def some_foreign(numbers: pl.Series, seed: int = 2) -> pl.Series:
    """Put distinct numbers of Berlin in the place of some."""
    lines = _digits(np.random.default_rng(seed).integers(10**6, 10**7, len(numbers)))
    rows = pl.DataFrame({"telephone": numbers, "line": lines}).with_row_index()
    foreign = pl.format("+49 30 {}", "line")
    chosen = pl.when(pl.col("index") % FOREIGN == 0).then(foreign).otherwise("telephone")
    return rows.select(chosen.alias("telephone")).to_series()


def rates(rows: int, repeat: int) -> dict[str, tuple[int, list[tuple[float, float]]]]:
    """Time the normal form of whole columns, a slice after another, as an upload does.

    Returns:
        for each kind of column its rows, and its runs as a worker hands them over.
    """
    usual = written(rows)
    columns = {"phones, usual forms": usual, f"phones, one in {FOREIGN} foreign": some_foreign(usual)}
    return {name: (rows, _timed(column, repeat).written()) for name, column in columns.items()}


def _timed(column: pl.Series, repeat: int) -> Series:
    def normalise() -> None:
        for start in range(0, len(column), SLICE_ROWS):
            normalise_column(IdentifierKind.PHONE, column.slice(start, SLICE_ROWS), "CA")

    return repeated(normalise, repeat)


def _digits(numbers: NDArray[np.int64]) -> pl.Series:
    return pl.Series(numbers).cast(pl.String)
