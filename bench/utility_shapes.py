"""What `auto` is worth on tables of other shapes than `bench/utility_data.py`: `python -m bench.utility_shapes`.

Nobody here exists. The error of each candidate is computed, not drawn: the exact sums within its bounds, and the mean
absolute value of the noise around what they miss; so is how likely each candidate is (of a pure choice it is counted
over draws). The former score stands beside the present one: minus the distance of the persons above a bound from the
aim, in which all bounds that nobody exceeds are alike.
"""

from __future__ import annotations

import math
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Final

import duckdb
import numpy as np
import polars as pl

from bench.data import DISCIPLINES, REGIONS, rows_of_persons, shares
from bench.utility_data import DAYS, FIRST_DAY, VENUES, Sales
from bench.utility_house import PURE, TABLE, Asked, house, opened, question_of
from cleanroom.query.bound import Sized
from cleanroom.query.choosing import FALL
from cleanroom.query.contribution import exact_vector, streamed
from cleanroom.query.gate import admit
from cleanroom.query.mechanisms import settled_noise
from cleanroom.query.precision import Auto
from cleanroom.query.release import NoisedRelease, scales_of
from cleanroom.query.sizes import persons_by_size, size_columns
from cleanroom.room import registry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from cleanroom.query.bound import BoundChoice
    from cleanroom.query.gate import ValidatedPlan
    from cleanroom.query.mechanisms import ChoiceNoise, Noise
    from cleanroom.query.merge_backend import MergeBackend
    from cleanroom.query.plan import Plan

    Whole = NDArray[np.int64]

DRAWS: Final = 2_000
"""Of a pure choice."""

FORMER_STRAYS: Final = 2
"""The former aim left room for so many times the noise of the choice; for totals purely half as much."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A kind of table.

    Args:
        often: each person's rows, drawn.
        away: the part of rows that lie in any region, not in the person's own.
        loyal: whether a person keeps to one discipline.
    """

    words: str
    persons: int
    often: Callable[[np.random.Generator, int], Whole]
    away: float
    loyal: bool = False


def _once(_: np.random.Generator, persons: int) -> Whole:
    return np.ones(persons, dtype=np.int64)


def _skewed(draw: np.random.Generator, persons: int) -> Whole:
    return np.asarray(rows_of_persons(persons, persons * 10 // 3, draw), dtype=np.int64)


def _heavy(draw: np.random.Generator, persons: int) -> Whole:
    return np.minimum(draw.pareto(1.1, persons) + 1, 280).astype(np.int64)


def _few(draw: np.random.Generator, persons: int) -> Whole:
    return 1 + draw.poisson(1.0, persons).astype(np.int64)


SHAPES: Final = (
    Shape("60,000 persons, one row each", 60_000, _once, 0.0, loyal=True),
    Shape("60,000, skewed, in one region each", 60_000, _skewed, 0.0),
    Shape("60,000, skewed, in some regions", 60_000, _skewed, 0.06),
    Shape("40,000, tails of exponent 1.1, everywhere", 40_000, _heavy, 0.6),
    Shape("3,000, two rows each, about", 3_000, _few, 0.1),
    Shape("300, two rows each, about", 300, _few, 0.1),
    Shape("300, skewed", 300, _skewed, 0.06),
)
AUTO: Final = Auto.AUTO
ASKED: Final = (
    ("persons by region", Asked("SELECT region, COUNT(DISTINCT person) AS n FROM {} GROUP BY region", max_groups=AUTO)),
    ("rows", Asked("SELECT COUNT(*) AS n FROM {}", max_rows=AUTO)),
    ("rows by region", Asked("SELECT region, COUNT(*) AS n FROM {} GROUP BY region", max_rows=AUTO)),
    ("sum by discipline", Asked("SELECT discipline, SUM(amount) AS n FROM {} GROUP BY discipline", max_sum=AUTO)),
)


@dataclass(frozen=True, slots=True)
class Found:
    """Errors of one question on one shape of table: by default, with `auto` as it was and is, with the best bound."""

    words: str
    shape: str
    default: float
    former: float
    auto: float
    best: float


def measure(*, pure: bool, seed: int = 1) -> list[Found]:
    """Return the errors of all questions on all shapes, at ε 1."""
    table = PURE if pure else TABLE
    found = []
    for shape in SHAPES:
        rows = _rows(shape, seed)
        with tempfile.TemporaryDirectory() as directory, ExitStack() as until:
            data = Sales(Path(directory))
            address = pl.format("prenom.nom{}@courriel.example", pl.col("person")).alias("courriel")
            rows.select(address, pl.exclude("person")).write_csv(data.csv)
            room = until.enter_context(house(Path(directory), data))
            backend = opened(room, table, until)
            rules = registry.rulebook(room.connection)
            for words, asked in ASKED:
                truth = _truth(rows, asked.sql)
                auto = replace(asked, sql=asked.sql.format(table), table=table)
                default = Asked(auto.sql, table=table)
                plans = (admit(question_of(each), rules) for each in (default, auto))
                found.append(_measured(words, shape, truth, *plans, backend))
    order = [words for words, *_ in ASKED]
    return sorted(found, key=lambda each: order.index(each.words))


def _rows(shape: Shape, seed: int) -> pl.DataFrame:
    draw = np.random.default_rng([seed, shape.persons, len(shape.words)])
    who = np.repeat(np.arange(shape.persons), shape.often(draw, shape.persons))
    rows = len(who)
    homes = draw.choice(len(REGIONS), size=shape.persons, p=shares(len(REGIONS)))
    taste = draw.choice(len(DISCIPLINES), size=shape.persons, p=shares(len(DISCIPLINES)))
    strays = draw.random(rows) < (0.0 if shape.loyal else 0.5)
    cents = np.clip(np.exp(draw.normal(8.1, 0.6, rows)) // 5 * 5, 500, 25_000)
    return pl.DataFrame(
        {
            "person": who,
            "venue": draw.integers(1, VENUES + 1, rows),
            "discipline": pl.Series(DISCIPLINES).gather(
                np.where(strays, draw.integers(0, len(DISCIPLINES), rows), taste[who])
            ),
            "region": pl.Series(REGIONS).gather(
                np.where(draw.random(rows) < shape.away, draw.integers(0, len(REGIONS), rows), homes[who])
            ),
            "purchased": pl.Series(np.datetime64(FIRST_DAY) + draw.integers(0, DAYS, rows)).cast(pl.Date),
            "tickets": np.minimum(draw.geometric(0.45, rows), 8),
            "amount": (pl.Series(cents) / 100).round(2).cast(pl.Decimal(7, 2)),
        }
    )


def _truth(rows: pl.DataFrame, sql: str) -> dict[str, float]:
    with duckdb.connect() as connection:
        connection.register("sales", rows.to_arrow())
        return {"/".join(key): float(value) for *key, value in connection.execute(sql.format("sales")).fetchall()}


def _measured(
    words: str,
    shape: Shape,
    truth: Mapping[str, float],
    default: ValidatedPlan,
    asked: ValidatedPlan,
    backend: MergeBackend,
) -> Found:
    def error(plan: Plan, noise: Noise) -> float:
        """Return the mean over cells of the mean absolute difference from the truth."""
        exact = NoisedRelease(plan, noise.scale, exact_vector(plan, backend).values)
        (deviation,) = scales_of(plan, noise.scale)
        cells = {"/".join(map(str, each.keys)): each.values[0].number or 0.0 for each in exact.cells()}
        missed = [abs(truth.get(key, 0.0) - value) for key, value in cells.items()]
        return fmean(_around(each, deviation or 0.0, pure=plan.bounds.pure) for each in missed)

    (usual,), (usual_noise,) = default.plan.releases, default.noises
    (plan,), (noise,) = asked.plan.releases, asked.noises
    choice, how = plan.bounds.choice, noise.choice
    base = error(usual, usual_noise)
    if choice is None or how is None:
        return Found(words, shape.words, base, base, base, base)
    errors = [error(plan.settled(place), settled_noise(noise, place)) for place in range(len(choice.candidates))]
    counts = persons_by_size(plan, streamed(plan, backend, size_columns(plan, choice)), None)
    present = _likely(choice, how, counts, lambda given: choice.scores(given, how.target, how.pulls))
    former = _likely(choice, how, counts, lambda given: former_scores(choice, how, given))
    return Found(
        words,
        shape.words,
        base,
        *(_weighted(errors, chances) for chances in (former, present)),
        min(errors),
    )


def _around(missed: float, deviation: float, *, pure: bool) -> float:
    """Return the mean size of noise about a number: Gaussian, or Laplace if it is pure."""
    if pure:
        scale = deviation / math.sqrt(2)
        return missed + scale * math.exp(-missed / scale)
    far = missed / deviation
    return deviation * math.sqrt(2 / math.pi) * math.exp(-(far**2) / 2) + missed * math.erf(far / math.sqrt(2))


def _weighted(errors: list[float], chances: list[float]) -> float:
    """Return the mean error where each is as likely as given."""
    return math.fsum(error * chance for error, chance in zip(errors, chances, strict=True))


def _likely(
    choice: BoundChoice, how: ChoiceNoise, counts: tuple[int, ...], scored: Callable[[list[int]], list[int]]
) -> list[float]:
    """Return how likely each candidate is: as the exponential of its score, or counted where it is pure."""
    if not choice.bounds[0].pure:
        found = scored(list(counts))
        weights = [math.exp((each - max(found)) / how.scale) for each in found]
        return [each / sum(weights) for each in weights]
    draw = np.random.default_rng(7)
    heads = 1 - math.exp(-1 / how.scale)
    noise = draw.geometric(heads, (DRAWS, len(counts))) - draw.geometric(heads, (DRAWS, len(counts)))
    picked = [0.0] * len(choice.candidates)
    for each in noise:
        scores = scored([count + more for count, more in zip(counts, each.tolist(), strict=True)])
        picked[scores.index(max(scores))] += 1 / DRAWS
    return picked


def former_scores(choice: BoundChoice, how: ChoiceNoise, counts: list[int]) -> list[int]:
    """Return the former scores: −|persons above − aim|, the aim being the noise in persons and some strays more."""
    pure = choice.bounds[0].pure
    stray = how.scale * (math.sqrt(2) if pure else 1)
    strays = FORMER_STRAYS / 2 if pure and choice.sized is Sized.TOTAL else FORMER_STRAYS
    target = math.ceil((how.target - stray / 2) / FALL + strays * stray)
    left, found = sum(counts), []
    for here in counts[: len(choice.candidates)]:
        left -= here
        found.append(-abs(left - target))
    return found


def main() -> None:
    """Measure, and print one line a question and shape."""
    for pure in (False, True):
        for each in measure(pure=pure):
            print("pure" if pure else "zCDP", each)


if __name__ == "__main__":
    main()
