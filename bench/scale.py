"""A room of many members, and one member of many rows: what a question costs as rooms grow.

*Members*: 150 tables, 10 million persons in all, each at a home member, most also at others. Asked: totals of the whole
sector, and how many visitors each two members share, all pairs in one question: its cells are the pairs, and a person
who is at m members is in m(m - 1)/2 of them, so that `max_groups` bounds and prices it as it does any other key.
*Rows*: the same questions of tables of 1, 3, 10 and 30 million rows.
"""

from __future__ import annotations

import functools
import shutil
import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from bench.data import (
    CHANNELS,
    DAYS,
    DISCIPLINES,
    FIRST_DAY,
    MEMBERS,
    MOST_TICKETS,
    REGIONS,
    ROOT,
    VERSION,
    BenchData,
    shares,
)
from bench.measure import begin_peak, peak_mebibytes, timed

PART_ROWS: Final = 1_000_000
LINEAR: Final = {
    "persons by region": "SELECT region, COUNT(DISTINCT person) AS n FROM {table} GROUP BY region",
    "sum of amounts by discipline": "SELECT discipline, SUM(amount) AS n FROM {table} GROUP BY discipline",
    "persons with a filter, met in another table": (
        "SELECT region, COUNT(DISTINCT person) AS n FROM {table} WHERE discipline IN ('theatre', 'musique')"
        " AND person IN (SELECT person FROM {other}) GROUP BY region"
    ),
}
RUNS: Final = 3


def members(count: int) -> list[str]:
    """Return the names of the members."""
    return [f"membre_{number:03}" for number in range(1, count + 1)]


def sector_question(count: int) -> str:
    """Return the totals of all members, by discipline and month."""
    arms = " UNION ALL ".join(f"SELECT * FROM {member}.visits" for member in members(count))
    return (
        "SELECT discipline, date_trunc('month', purchased) AS month, SUM(tickets) AS tickets, SUM(amount) AS total"
        f" FROM ({arms}) AS s GROUP BY 1, 2"
    )


def matrix_question(count: int) -> str:
    """Return how many visitors each two members share: all pairs, in one question of one release."""
    arms = " UNION ALL ".join(f"SELECT person, '{name}' AS house FROM {name}.visits" for name in members(count))
    return (
        f"WITH s AS ({arms}) SELECT a.house AS one, b.house AS other, COUNT(DISTINCT a.person) AS visitors"
        " FROM s AS a JOIN s AS b ON a.person = b.person WHERE a.house < b.house GROUP BY 1, 2"
    )


def _member_rows(place: int, count: int, persons: int, rows: int, seed: int) -> pl.DataFrame:
    """Return a member's rows: the persons whose home it is, each once, and others, the sooner the better known."""
    draw = np.random.default_rng([seed, 150, place])
    home = np.arange(place, persons, count)
    often = max(0, rows - len(home))
    # A square law, so that some are at many members.
    others = np.minimum((draw.random(often) ** 2 * persons).astype(np.int64), persons - 1)
    who = np.concatenate([home, others])
    cents = np.clip(np.exp(draw.normal(8.1, 0.6, len(who))) // 5 * 5, 500, 25_000).astype(np.int64)
    return pl.DataFrame(
        {
            "courriel": pl.select(pl.format("v{}@courriel.example", pl.Series(who))).to_series(),
            "region": pl.Series(REGIONS).gather(who % len(REGIONS)),
            "discipline": pl.Series(DISCIPLINES).gather(
                draw.choice(len(DISCIPLINES), size=len(who), p=shares(len(DISCIPLINES)))
            ),
            "channel": pl.Series(CHANNELS).gather(draw.integers(0, len(CHANNELS), len(who))),
            "purchased": pl.Series(np.datetime64(FIRST_DAY) + draw.integers(0, DAYS, len(who))).cast(pl.Date),
            "tickets": np.minimum(draw.geometric(0.45, len(who)), MOST_TICKETS),
            "amount": pl.Series(cents / 100.0).round(2).cast(pl.Decimal(7, 2)),
        }
    )


def scale_members(room: str, count: int, persons: int, rows: int, seed: int) -> dict[str, Any]:
    """Fill the room of many members.

    Args:
        persons: of all members together.
        rows: of all members together, at least `persons`.
    """
    from bench.house import room_of, table_of
    from cleanroom.room import upload

    source = Path(room) / "rows.parquet"
    cpu = wall = 0.0
    with room_of(Path(room), members(count)) as opened:
        for place, member in enumerate(members(count)):
            _member_rows(place, count, persons, rows // count, seed).write_parquet(source)
            took = timed(lambda name=member: upload(opened, table_of(name), source))[1]  # type: ignore[misc]
            cpu, wall = cpu + took[0], wall + took[1]
    source.unlink()
    return {"cpu": cpu, "wall": wall}


def scale_ask(room: str, count: int) -> dict[str, Any]:
    """Ask the room of many members: sector totals twice, the matrix of overlaps once, and some single overlaps."""
    from bench.house import ASKER, PURPOSE, forget_answers, open_room
    from bench.stages import QUESTION_DOORS, TICK, Stages, one_after_another

    pair = "SELECT COUNT(DISTINCT person) AS n FROM {}.visits JOIN {}.visits USING (person)"
    names = members(count)
    asked = {
        "sector totals": [sector_question(count)] * 2,
        "matrix of overlaps": [matrix_question(count)],
        "one overlap by itself": [pair.format(names[at], names[at + 1]) for at in range(min(10, count - 1))],
    }
    found: dict[str, Any] = {}
    stages = Stages()
    stages.install((TICK,))
    with open_room(Path(room)) as opened:
        session = opened.session(ASKER)

        def ask(sql: str) -> tuple[float, float]:
            forget_answers(opened)
            stages.clear()
            once = functools.partial(session.query, sql, purpose=PURPOSE, epsilon=1)
            cpu, wall = timed(lambda: stages.timed("question: rest", once))[1]
            return cpu, wall - stages.wall.pop(TICK[0], 0.0)

        for name, texts in asked.items():
            begin_peak()
            took = [ask(sql) for sql in texts]
            found[name] = {
                "cpu": [cpu for cpu, _ in took],
                "wall": [wall for _, wall in took],
                "peak": peak_mebibytes(),
                "characters": len(texts[0]),
            }
        # Where the time goes is measured apart: reading and bounding run at the same time otherwise.
        one_after_another()
        stages.install(QUESTION_DOORS[1:])
        for name, texts in asked.items():
            ask(texts[-1])
            found[name]["stages"] = stages.written(1)
    return found


def parts(data: BenchData, count: int, seed: int) -> list[Path]:
    """Return files of a member's rows again and again, each time of other people; written if they are not there."""
    directory = ROOT / f"parts-v{VERSION}-{data.rows}x{count}-{seed}"
    if not directory.exists():
        staging = Path(tempfile.mkdtemp(prefix=".writing-", dir=ROOT))
        try:
            text = pl.read_csv(data.csv(MEMBERS[0]), infer_schema=False)
            for number in range(count):
                others = text.with_columns(pl.col("courriel").str.replace("@", f".{number}@", literal=True))
                others.write_parquet(staging / f"part_{number:02}.parquet")
            staging.rename(directory)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
    return [directory / f"part_{number:02}.parquet" for number in range(count)]


def linear_prepare(room: str, sources: list[str], sizes: list[int]) -> dict[str, Any]:
    """Fill a room whose members have the first so many of the sources each."""
    from bench.house import room_of, table_of
    from cleanroom.room import upload

    found: dict[str, Any] = {}
    with room_of(Path(room), [f"rangs_{size}" for size in sizes]) as opened:
        for size in sizes:
            chosen = [Path(source) for source in sources[:size]]
            (_, taken), took = timed(lambda size=size, chosen=chosen: upload(opened, table_of(f"rangs_{size}"), chosen))  # type: ignore[misc]
            if taken is None:
                raise RuntimeError("the upload was not taken in")
            found[str(size)] = {"rows": taken.rows, "cpu": took[0], "wall": took[1], "peak": peak_mebibytes()}
    return found


def linear_ask(room: str, size: int, other: int) -> dict[str, Any]:
    """Ask the table of one size; in a process of its own, so that its memory is its own."""
    from bench.house import ASKER, PURPOSE, forget_answers, open_room
    from bench.stages import TICK, Stages

    ticks = Stages()
    ticks.install((TICK,))
    found = {}
    with open_room(Path(room)) as opened:
        session = opened.session(ASKER)
        for name, text in LINEAR.items():
            sql = text.format(table=f"rangs_{size}.visits", other=f"rangs_{other}.visits")
            begin_peak()
            took = []
            for _ in range(1 + RUNS):
                forget_answers(opened)
                ticks.clear()
                cpu, wall = timed(lambda sql=sql: session.query(sql, purpose=PURPOSE, epsilon=1))[1]  # type: ignore[misc]
                took.append((cpu, wall - ticks.wall.get(TICK[0], 0.0)))
            cpu, wall = min(took[1:])
            found[name] = {"cpu": cpu, "wall": wall, "peak": peak_mebibytes()}
    return found
