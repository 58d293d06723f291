"""Make a room for trying questions: five tables of one shape, six parties, one purpose, a budget that hardly ends.

Nobody in it exists. The regions are French and the amounts in euros on purpose: nothing in the room depends on them.
The same seed gives the same rows, so what a question must answer can be computed beside the room.

    python examples/corpus.py ROOM [--persons N] [--seed S]
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

import cleanroom
from cleanroom.catalog import Category, read_catalog
from cleanroom.catalog.strict_yaml import parse
from cleanroom.identifiers import Role, TableName, party_id
from cleanroom.room import upload

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

TABLE: Final = "visits"
OBSERVATOIRE: Final = "observatoire"
PURPOSE: Final = "statistics"
FIRST_DAY: Final = date(2023, 9, 1)
LAST_DAY: Final = date(2025, 8, 31)
SETTINGS: Final = b"""\
purposes: [statistics]
budget: {epsilon: 1000000, delta: 1e-6, window: never}
"""
_TEMPLATE: Final = Path(__file__).with_name("corpus_tables.yaml")
_CHANNELS: Final = ("web", "guichet", "telephone", "partenaire", "ami du musée")


@dataclass(frozen=True, slots=True)
class House:
    """A fictional organisation of the corpus.

    Args:
        share: of all persons who go there at all.
        mean_rows: of a person who goes there.
        liked: weight of each discipline, in the order of the declared domain.
    """

    share: float
    mean_rows: float
    liked: tuple[float, ...]


HOUSES: Final[Mapping[str, House]] = {
    "tnm": House(0.35, 2.5, (30, 3, 2, 2, 2, 6, 4, 1)),
    "francos": House(0.45, 2.0, (1, 3, 40, 3, 1, 3, 6, 1)),
    "opera_ville": House(0.15, 3.0, (2, 8, 12, 1, 30, 3, 1, 1)),
    "festival_ete": House(0.40, 1.8, (4, 4, 30, 10, 1, 6, 10, 2)),
    "musee_x": House(0.25, 1.6, (1, 1, 2, 1, 1, 6, 1, 40)),
}
PARTIES: Final = tuple(HOUSES)


def declaration(party: str) -> bytes:
    """Return a table's file."""
    return f"table: {party}.{TABLE}\n".encode() + _TEMPLATE.read_bytes()


def rows(*, persons: int = 4_000, seed: int = 2025) -> dict[str, pl.DataFrame]:
    """Draw what each party has.

    Args:
        persons: how many people there are; everybody is in one table at least.
        seed: decides everything.

    Returns:
        For each party: person, region, discipline, purchased, channel, tickets, amount (decimal, EUR).
    """
    catalog = read_catalog(parse(b"\n".join(_shape(declaration(PARTIES[0])))))
    domains = {each.name: each.type.domain for each in catalog.columns if isinstance(each.type, Category)}
    randomness = np.random.default_rng(seed)
    # Large regions and small ones; a few people have not said where they live, or moved between two purchases.
    weights = np.geomspace(1, 40, len(domains["region"]))
    region = randomness.choice(len(weights), size=persons, p=weights / weights.sum())
    lively = randomness.gamma(2.0, 0.5, size=persons)
    shares = np.array([house.share for house in HOUSES.values()])
    goes = randomness.random((persons, len(HOUSES))) < 1 - (1 - shares) ** lively[:, None]
    # Who would go nowhere goes to one house, so that everybody is somewhere.
    goes[~goes.any(axis=1), :] = np.eye(len(HOUSES), dtype=bool)[
        randomness.choice(len(HOUSES), size=int((~goes.any(axis=1)).sum()), p=shares / shares.sum())
    ]
    made = {}
    for (party, house), visitors in zip(HOUSES.items(), goes.T, strict=True):
        known = np.flatnonzero(visitors)
        person = np.repeat(known, 1 + randomness.poisson(house.mean_rows - 1, size=len(known)))
        count = len(person)
        liked = np.array(house.liked) / sum(house.liked)
        days = (LAST_DAY - FIRST_DAY).days
        tickets = 1 + randomness.choice(12, size=count, p=_falling(12))
        cents = np.minimum(randomness.integers(500, 9_000, size=count) * tickets, 500_00)
        home = np.where(randomness.random(count) < 0.03, randomness.integers(len(weights), size=count), region[person])
        made[party] = pl.DataFrame(
            {
                "person": pl.Series([f"P{number:06}" for number in person], dtype=pl.String),
                "region": _some(domains["region"], home, 0.05, randomness),
                "discipline": _some(
                    domains["discipline"], randomness.choice(len(liked), size=count, p=liked), 0.03, randomness
                ),
                "purchased": pl.date_range(FIRST_DAY, LAST_DAY, eager=True).gather(
                    np.minimum((days + 1) * randomness.beta(1.2, 1.0, size=count), days).astype(np.int64)
                ),
                "channel": _some(_CHANNELS, randomness.choice(5, size=count, p=_falling(5)), 0.1, randomness),
                "tickets": tickets,
                "amount": pl.Series([f"{each // 100}.{each % 100:02}" for each in cents], dtype=pl.String).cast(
                    pl.Decimal(5, 2)
                ),
            }
        )
    return made


def make_room(
    path: Path, *, tables: Mapping[str, pl.DataFrame] | None = None, home: cleanroom.Home | None = None
) -> cleanroom.Room:
    """Make the room, its parties and tables; return it open.

    Args:
        tables: what each party hands in; a party without rows declares its table only. None for `rows()`.
    """
    given = rows() if tables is None else tables
    room = cleanroom.Room.create(path, home=home, settings=SETTINGS)
    for party in PARTIES:
        room.add_party(party, Role.MEMBER)
    room.add_party(OBSERVATOIRE, Role.OBSERVATOIRE)
    for party in PARTIES:
        room.declare(declaration(party))
    for party, table in given.items():
        upload(room, TableName(party_id(party), TABLE), table)
    return room


def _shape(declared: bytes) -> list[bytes]:
    """Return the lines of a declaration that describe the table, without budget and rules."""
    lines = declared.splitlines()
    return lines[: next(place for place, line in enumerate(lines) if line.startswith(b"budget:"))]


def _some(
    values: tuple[str, ...], index: NDArray[np.int64], missing: float, randomness: np.random.Generator
) -> pl.Series:
    absent = randomness.random(len(index)) < missing
    return pl.Series([None if gone else values[at] for at, gone in zip(index, absent, strict=True)], dtype=pl.String)


def _falling(length: int) -> NDArray[np.float64]:
    weights: NDArray[np.float64] = 0.55 ** np.arange(length, dtype=np.float64)
    shares: NDArray[np.float64] = weights / weights.sum()
    return shares


def main() -> None:
    """Make the room and say what is in it."""
    parser = argparse.ArgumentParser(description="Make a room with five tables of invented people.")
    parser.add_argument("room", type=Path)
    parser.add_argument("--persons", type=int, default=4_000)
    parser.add_argument("--seed", type=int, default=2025)
    arguments = parser.parse_args()
    tables = rows(persons=arguments.persons, seed=arguments.seed)
    with make_room(arguments.room, tables=tables) as room:
        for party, table in tables.items():
            print(f"{f'{party}.{TABLE}':22}{table['person'].n_unique():>8} persons {table.height:>8} rows")
        print(f"room {room.room_id} in {room.path}")


if __name__ == "__main__":
    main()
