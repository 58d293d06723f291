"""Seeded data of two members, written once: the CSV files they upload, and the same rows as plain Parquet.

Nobody here exists. Each member has 3 persons to 10 rows, with a skew like ticket sales have: most persons once or
twice, a few very often. Half of one member's persons are also the other's. The plain Parquet files are what somebody
without a clean room would query: tokens (under a key of their own) as UUID or as hexadecimal text, sorted by token as
the room's files are, pyarrow's defaults otherwise, row groups of DuckDB's usual size.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from cleanroom.client.normalise import normalise_column
from cleanroom.client.tokens import token_column
from cleanroom.identifiers import Epoch, IdentifierKind, token_kind
from key_management import SecretKey

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROOT: Final = Path(__file__).parent / "data"
VERSION: Final = 1
MEMBERS: Final = ("fleuve", "rives")
REGIONS: Final = tuple(f"region_{number:02}" for number in range(1, 18))
DISCIPLINES: Final = ("theatre", "danse", "musique", "cirque", "humour", "arts_visuels", "cinema", "litterature")
CHANNELS: Final = ("web", "guichet", "telephone", "partenaire")
FIRST_DAY: Final = date(2023, 9, 1)
DAYS: Final = 731
MOST_TICKETS: Final = 8
LEAST_CENTS: Final = 5_00
MOST_CENTS: Final = 250_00
MOST_ROWS: Final = 250
ROW_GROUP: Final = 122_880


@dataclass(frozen=True, slots=True)
class BenchData:
    """Where the files lie; `rows` is per member."""

    directory: Path
    rows: int

    def csv(self, member: str) -> Path:
        """Return the file that a member uploads."""
        return self.directory / f"{member}.csv"

    def parquet(self, member: str, token: str) -> Path:
        """Return the same rows as plain Parquet; `token` is `uuid` or `hex`."""
        return self.directory / f"{member}.{token}.parquet"


def bench_data(rows: int, seed: int) -> BenchData:
    """Return the data of a size and seed; write it if it is not there yet."""
    directory = ROOT / f"v{VERSION}-{rows}-{seed}"
    if not directory.exists():
        ROOT.mkdir(exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".writing-", dir=ROOT))
        try:
            written = BenchData(staging, rows)
            for place, member in enumerate(MEMBERS):
                _write(written, member, _sales(rows, seed, place))
            staging.rename(directory)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
    return BenchData(directory, rows)


def _sales(rows: int, seed: int, place: int) -> pl.DataFrame:
    """Return one member's rows, in the order of sale."""
    draw = np.random.default_rng([seed, 1 + place])
    persons = max(1, rows * 3 // 10)
    often = rows_of_persons(persons, rows, draw)
    who = np.repeat(np.arange(persons) + place * (persons // 2), often)
    everyone = 2 * persons
    # A person's home region and address are the same at both members.
    homes = np.random.default_rng([seed, 0]).choice(len(REGIONS), size=everyone, p=shares(len(REGIONS)))
    region = np.where(draw.random(rows) < 0.04, draw.integers(0, len(REGIONS), rows), homes[who])
    discipline = draw.choice(len(DISCIPLINES), size=rows, p=shares(len(DISCIPLINES)))
    cents = np.clip(np.exp(draw.normal(8.1, 0.6, rows)) // 5 * 5, LEAST_CENTS, MOST_CENTS).astype(np.int64)
    day = draw.integers(0, DAYS, rows)
    frame = pl.DataFrame(
        {
            "who": who,
            "style": (who * 2_654_435_761 + draw.integers(0, 2, rows)) % 97,
            "region": pl.Series(REGIONS).gather(region),
            "discipline": pl.Series(DISCIPLINES).gather(discipline),
            "channel": pl.Series(CHANNELS).gather(draw.choice(len(CHANNELS), size=rows, p=shares(len(CHANNELS)))),
            "purchased": pl.Series(np.datetime64(FIRST_DAY) + day).cast(pl.Date),
            "tickets": np.minimum(draw.geometric(0.45, rows), MOST_TICKETS),
            "amount": pl.Series(cents).cast(pl.Decimal(9, 2)) / pl.Series([100]).cast(pl.Decimal(9, 2)),
        }
    )
    address = (
        pl.when(pl.col("who") % 10 < 4)
        .then(pl.format("visiteur.{}@gmail.com", pl.col("who")))
        .otherwise(pl.format("prenom.nom{}@courriel.example", pl.col("who")))
    )
    written = pl.when(pl.col("style") % 9 == 0).then(address.str.to_uppercase()).otherwise(address)
    return (
        frame.with_columns(written.alias("courriel"), pl.col("amount").cast(pl.Decimal(7, 2)))
        .select("courriel", "region", "discipline", "channel", "purchased", "tickets", "amount")
        .gather(np.argsort(day, kind="stable"))
    )


def rows_of_persons(persons: int, rows: int, draw: np.random.Generator) -> NDArray[np.int64]:
    """Return how many rows each person has: at least one, at most `MOST_ROWS`, `rows` together."""
    weight = draw.lognormal(0.0, 1.35, persons)
    often = 1 + draw.multinomial(rows - persons, weight / weight.sum())
    while (over := int(np.maximum(often - MOST_ROWS, 0).sum())) > 0:
        often = np.minimum(often, MOST_ROWS)
        often += draw.multinomial(over, np.full(persons, 1 / persons))
    return often.astype(np.int64)


def shares(count: int) -> NDArray[np.float64]:
    """Return shares that fall off as those of regions and venues do."""
    weight: NDArray[np.float64] = np.arange(1, count + 1, dtype=np.float64) ** -0.7
    return weight / float(weight.sum())


def _write(data: BenchData, member: str, sales: pl.DataFrame) -> None:
    sales.write_csv(data.csv(member))
    key = SecretKey.adopt(hashlib.sha256(b"bench: tokens of the plain files").digest())
    kind = IdentifierKind.EMAIL
    tokens = token_column(
        key, kind=token_kind(kind), epoch=Epoch("1"), values=normalise_column(kind, sales["courriel"])
    )
    plain = sales.drop("courriel").insert_column(0, tokens.alias("u")).sort("u").to_arrow()
    text = plain.set_column(0, "u", plain.column("u").cast(pa.string()))
    octets = pa.array([bytes.fromhex(value) for value in text.column("u").to_pylist()], pa.binary(16))
    uuid = text.set_column(0, "u", pa.ExtensionArray.from_storage(pa.uuid(), octets))
    for name, table in (("uuid", uuid), ("hex", text)):
        columns = [column.cast(pa.string()) if _is_text(column.type) else column for column in table.columns]
        pq.write_table(
            pa.Table.from_arrays(columns, names=table.column_names),
            data.parquet(member, name),
            row_group_size=ROW_GROUP,
        )


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_large_string(kind) or pa.types.is_string_view(kind))
