"""Invent two seasons of ticket sales for six fictional organisations of Québec, with every true answer known.

Nobody here exists: not the organisations, not the 200 000 persons. What is like the world: organisations are small
and large, people live where Québec lives, go mostly to what is near and to their taste, have few rows each (bounds
rarely bind), and the same e-mail address is written in several ways. The same seed gives the same files.

    python examples/season.py DIRECTORY [--persons N] [--seed S]
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from examples.cooperative import (
    CHANNELS,
    DISCIPLINES,
    FIRST_DAY,
    LAST_DAY,
    MOST_CENTS,
    ORGANISATIONS,
    PARTIES,
    REGIONS,
    TABLE,
    declaration,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["DISCIPLINES", "ORGANISATIONS", "PARTIES", "REGIONS", "TABLE", "Season", "declaration", "make_season"]

MEAN_ROWS: Final = 5
_PERSONS: Final = pl.col("person").n_unique().cast(pl.Int64).alias("persons")
_MEASURES: Final = (
    _PERSONS,
    pl.len().cast(pl.Int64).alias("rows"),
    pl.col("tickets").sum(),
    pl.col("amount_cents").sum(),
)


@dataclass(frozen=True, slots=True)
class Season:
    """The whole truth about two seasons.

    Args:
        seed: what it was drawn from.
        people: one row a person: person (0, 1, ...), region, address (as the person writes it).
        visits: one row a sale, all organisations: organisation, person, region, discipline, channel, purchased,
            month (its first day), tickets, amount_cents.
    """

    seed: int
    people: pl.DataFrame
    visits: pl.DataFrame

    def at(self, organisation: str) -> pl.DataFrame:
        """Return the sales of one organisation, by day."""
        if organisation not in PARTIES:
            raise KeyError(organisation)
        return self.visits.filter(pl.col("organisation") == organisation)

    def audience_by_region(self, organisation: str) -> pl.DataFrame:
        """Count the persons of one organisation in every region: region, persons."""
        counted = self.at(organisation).group_by("region").agg(_PERSONS)
        return _every_cell(counted, ("region",))

    def overlap(self, a: str, b: str) -> int:
        """Count the persons who went to both."""
        return int(self.overlap_by_region(a, b)["persons"].sum())

    def overlap_by_region(self, a: str, b: str) -> pl.DataFrame:
        """Count the persons who went to both, in every region: region, persons."""
        shared = self.at(a).join(self.at(b), on="person", how="semi")
        return _every_cell(shared.group_by("region").agg(_PERSONS), ("region",))

    def sector_totals(self, *by: str, parties: Sequence[str] = PARTIES) -> pl.DataFrame:
        """Add up all organisations, or some, over every cell, the empty ones too.

        Args:
            by: keys among region, discipline, channel, month; none for the one total.

        Returns:
            The keys, in the order of their domains, and persons, rows, tickets, amount_cents.
        """
        chosen = self.visits.filter(pl.col("organisation").is_in(list(parties)))
        return _every_cell(chosen.group_by(by).agg(_MEASURES), by) if by else chosen.select(_MEASURES)

    def upload(self, organisation: str) -> pl.DataFrame:
        """Return the file that the organisation has: an undeclared column and messy e-mails included.

        Returns:
            courriel, region, discipline, channel, purchased, tickets, amount (decimal, CAD), commentaire.
        """
        sales = self.at(organisation)
        randomness = np.random.default_rng([self.seed, 1 + PARTIES.index(organisation)])
        address = self.people["address"].gather(sales["person"])
        cents = pl.col("amount_cents")
        amount = pl.format("{}.{}", cents // 100, (cents % 100).cast(pl.String).str.zfill(2))
        return sales.select(
            _as_written(address, randomness).alias("courriel"),
            *(pl.col(name).cast(pl.String) for name in ("region", "discipline", "channel")),
            pl.col("purchased"),
            pl.col("tickets"),
            amount.cast(pl.Decimal(5, 2)).alias("amount"),
            _remarks(sales.height, randomness).alias("commentaire"),
        )

    def write(self, directory: Path) -> dict[str, tuple[Path, Path]]:
        """Write `PARTY.visits.yaml` and `PARTY.visits.csv` for each organisation; return both paths by party."""
        directory.mkdir(parents=True, exist_ok=True)
        written = {}
        for party in PARTIES:
            declared, sales = (directory / f"{party}.{TABLE}.{ending}" for ending in ("yaml", "csv"))
            declared.write_text(declaration(party), encoding="utf-8")
            self.upload(party).write_csv(sales)
            written[party] = (declared, sales)
        return written


def make_season(*, persons: int = 200_000, seed: int = 2025) -> Season:
    """Draw a season.

    Args:
        persons: how many people; there are about five times as many rows in all, and every person has at least one.
        seed: decides everything.
    """
    if persons < 1:
        raise ValueError("persons must be positive")
    randomness = np.random.default_rng(seed)
    regions, tastes = tuple(REGIONS), tuple(DISCIPLINES)
    region = _draw(np.array([list(REGIONS.values())]), np.zeros(persons, np.int64), randomness)
    taste = _draw(np.array([[weight for weight, _ in DISCIPLINES.values()]]), np.zeros(persons, np.int64), randomness)

    # A person has one row, and some more by how lively they are. Half of those come with the one before:
    # a subscription, the evenings of a festival.
    lively = randomness.gamma(shape=6.0, scale=(MEAN_ROWS - 1) / 6.0, size=persons)
    person = np.repeat(np.arange(persons), 1 + randomness.poisson(lively))
    first = np.diff(person, prepend=-1) > 0
    alone = first | (randomness.random(len(person)) < 0.5)
    purchase = np.maximum.accumulate(np.where(alone, np.arange(len(person)), 0))  # the row that each row came with
    organisation = _draw(_affinity(region, taste, randomness), person, randomness)[purchase]

    offer = np.array([[house.programme.get(name, 0.0) for name in tastes] for house in ORGANISATIONS])
    liked = offer[:, None, :] * (1 + 4 * np.eye(len(tastes)))[None, :, :]
    discipline = _draw(liked.reshape(-1, len(tastes)), organisation * len(tastes) + taste[person], randomness)[purchase]
    channel = _draw(np.array([house.channels for house in ORGANISATIONS]), organisation, randomness)
    day = _draw(_calendar(), organisation, randomness)[purchase]
    tickets = 1 + _draw(
        np.array([[24, 46, 9, 13, 3, 2.5, 0.7, 0.8, 0.2, 0.5, 0.1, 0.2]]), np.zeros_like(person), randomness
    )
    visits = pl.DataFrame(
        {
            "organisation": _category(organisation, PARTIES),
            "person": pl.Series(person, dtype=pl.Int64),
            "region": _category(region[person], regions),
            "discipline": _category(discipline, tastes),
            "channel": _category(channel, CHANNELS),
            "purchased": _days(day),
            "month": _days(day).dt.truncate("1mo"),
            "tickets": pl.Series(tickets, dtype=pl.Int64),
            "amount_cents": pl.Series(_cents(organisation, discipline, tickets, randomness), dtype=pl.Int64),
        }
    ).sort("organisation", "purchased", maintain_order=True)
    people = pl.DataFrame(
        {
            "person": pl.Series(np.arange(persons), dtype=pl.Int64),
            "region": _category(region, regions),
            "address": _addresses(persons, randomness),
        }
    )
    return Season(seed, people, visits)


# fmt: off
_FIRST_NAMES: Final = (
    "marie", "jean", "sophie", "luc", "julie", "marc", "annie", "eric", "nadia", "pierre",
    "simon", "chantal", "hugo", "amelie", "yves", "fatima", "samuel", "claire", "linh",
)
_LAST_NAMES: Final = (
    "tremblay", "gagnon", "roy", "cote", "bouchard", "gauthier", "morin", "lavoie", "fortin",
    "gagne", "ouellet", "pelletier", "leblanc", "nguyen", "diallo", "haddad",
)
# fmt: on
_DOMAINS: Final = ("gmail.com", "courriel.example", "postel.example", "videonet.example", "universite.example")
_REMARKS: Final = (
    "",
    "Abonné depuis longtemps, préfère le parterre",
    "Fauteuil roulant : prévoir l'accès, rappeler au 418 555-0123",
    'A dit « merci »; client "or", ne pas relancer',
    "Groupe scolaire",
)


def _draw(weights: NDArray[np.float64], row: NDArray[np.int64], randomness: np.random.Generator) -> NDArray[np.int64]:
    """Draw, for each entry of `row`, a column of that row of `weights`, in proportion to its weight."""
    choices = weights.shape[1]
    cumulative = np.cumsum(weights, axis=1)
    steps = cumulative / cumulative[:, -1:] + np.arange(len(weights))[:, None]  # one ladder, row after row
    place = np.searchsorted(steps.ravel(), row + randomness.random(len(row)), side="left") - row * choices
    drawn: NDArray[np.int64] = np.clip(place, 0, choices - 1)
    return drawn


def _affinity(
    region: NDArray[np.int64], taste: NDArray[np.int64], randomness: np.random.Generator
) -> NDArray[np.float64]:
    """Weigh the organisations for each person: size, distance, taste, and habits of their own."""
    near = np.array([[house.near.get(name, house.elsewhere) for name in REGIONS] for house in ORGANISATIONS])
    offer = np.array([[house.programme.get(name, 0.0) for name in DISCIPLINES] for house in ORGANISATIONS])
    appeal = 0.15 + offer / offer.sum(axis=1, keepdims=True)
    weight = np.array([house.weight for house in ORGANISATIONS])
    habit = randomness.gamma(shape=0.8, size=(len(region), len(ORGANISATIONS)))
    affinity: NDArray[np.float64] = weight * near.T[region] * appeal.T[taste] * (habit + 1e-3)
    return affinity


def _calendar() -> NDArray[np.float64]:
    """Weigh each day of the range for each organisation: its months, fuller ends of weeks, a growing second year."""
    days = pl.date_range(FIRST_DAY, LAST_DAY, eager=True)
    weekday = np.array([0.8, 0.8, 0.9, 1.1, 1.3, 1.2, 0.9])[days.dt.weekday().to_numpy() - 1]
    growth = np.where(days.to_numpy() >= np.datetime64("2024-09-01"), 1.12, 1.0)
    months = np.array([house.months for house in ORGANISATIONS])
    calendar: NDArray[np.float64] = months[:, days.dt.month().to_numpy() - 1] * weekday * growth
    return calendar


def _cents(
    organisation: NDArray[np.int64],
    discipline: NDArray[np.int64],
    tickets: NDArray[np.int64],
    randomness: np.random.Generator,
) -> NDArray[np.int64]:
    """Price each sale in cents, taxes included; one in 25 is an invitation."""
    usual = np.array([price for _, price in DISCIPLINES.values()])[discipline]
    place = np.array([0.7, 1.0, 1.0, 1.3, 1.7])[randomness.integers(5, size=len(tickets))]
    before_taxes = np.round(usual * place * np.array([house.price for house in ORGANISATIONS])[organisation] * 4) * 25
    each = np.round(before_taxes * 1.14975).astype(np.int64)
    paid = randomness.random(len(tickets)) >= 0.04
    cents: NDArray[np.int64] = np.minimum(each * tickets, MOST_CENTS) * paid
    return cents


def _addresses(persons: int, randomness: np.random.Generator) -> pl.Series:
    """Give each person an address: the number keeps them apart, `fictif` keeps them from being anybody's."""
    first, last = (
        pl.Series(names).gather(randomness.integers(len(names), size=persons)) for names in (_FIRST_NAMES, _LAST_NAMES)
    )
    domain = _draw(np.array([[52.0, 24, 12, 8, 4]]), np.zeros(persons, np.int64), randomness)
    parts = pl.DataFrame(
        {"first": first, "last": last, "number": np.arange(persons), "domain": pl.Series(_DOMAINS).gather(domain)}
    )
    return parts.select(pl.format("{}.{}.fictif{}@{}", "first", "last", "number", "domain").alias("address"))["address"]


def _as_written(address: pl.Series, randomness: np.random.Generator) -> pl.Series:
    """Write addresses as they are found in a box office: one in five unlike the person's own way, same mailbox."""
    way = pl.Series(randomness.choice(6, size=len(address), p=[0.8, 0.05, 0.05, 0.04, 0.03, 0.03]))
    local, domain = pl.col("address").str.split("@").list.get(0), pl.col("address").str.split("@").list.get(1)
    gmail = domain == "gmail.com"  # elsewhere dots and tags are another mailbox
    return (
        pl.DataFrame({"address": address, "way": way})
        .select(
            pl.when(pl.col("way") == 1)
            .then(pl.col("address").str.to_uppercase())
            .when(pl.col("way") == 2)
            .then(pl.format("{}@{}", local.str.to_titlecase(), domain))
            .when(pl.col("way") == 3)
            .then(pl.format("  {} ", "address"))
            .when((pl.col("way") == 4) & gmail)
            .then(pl.format("{}+billets@{}", local, domain))
            .when((pl.col("way") == 5) & gmail)
            .then(pl.format("{}@{}", local.str.replace_all(".", "", literal=True), domain))
            .otherwise("address")
            .alias("courriel")
        )
        .to_series()
    )


def _remarks(rows: int, randomness: np.random.Generator) -> pl.Series:
    return pl.Series(_REMARKS).gather(randomness.choice(len(_REMARKS), size=rows, p=[0.9, 0.04, 0.01, 0.02, 0.03]))


def _category(index: NDArray[np.int64], domain: tuple[str, ...]) -> pl.Series:
    return pl.Series(domain, dtype=pl.Enum(domain)).gather(index)


def _days(index: NDArray[np.int64]) -> pl.Series:
    return pl.date_range(FIRST_DAY, LAST_DAY, eager=True).gather(index)


def _every_cell(counted: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Add the cells in which nobody is, and put all in the order of the domains."""
    domains: dict[str, pl.Series] = {
        name: pl.Series(name, values, dtype=pl.Enum(values))
        for name, values in (("region", tuple(REGIONS)), ("discipline", tuple(DISCIPLINES)), ("channel", CHANNELS))
    }
    domains["month"] = pl.date_range(FIRST_DAY, LAST_DAY, interval="1mo", eager=True).alias("month")
    cells = pl.DataFrame(domains[keys[0]])
    for key in keys[1:]:
        cells = cells.join(pl.DataFrame(domains[key]), how="cross")
    return cells.join(counted, on=list(keys), how="left", maintain_order="left").fill_null(0)


def main() -> None:
    """Write the files of a season and say what is in them."""
    parser = argparse.ArgumentParser(description="Write the sales files and table declarations of six organisations.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--persons", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=2025)
    arguments = parser.parse_args()
    season = make_season(persons=arguments.persons, seed=arguments.seed)
    for party, (declared, sales) in season.write(arguments.directory).items():
        rows = season.at(party)
        print(f"{party:16}{rows['person'].n_unique():>9} persons {rows.height:>9} rows  {declared}  {sales}")
    for a, b in combinations(PARTIES, 2):
        print(f"{a} and {b}: {season.overlap(a, b)} persons in common")


if __name__ == "__main__":
    main()
