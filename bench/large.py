"""Ten million rows in every form that a member may have them in: the sales of many more people, from one seed."""

from __future__ import annotations

import gzip
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from bench.data import MEMBERS, ROOT, VERSION, BenchData

ROW_GROUP: Final = 1 << 20
FAST: Final = 1
"""gzip's level: what matters here is unpacking."""


@dataclass(frozen=True, slots=True)
class LargeData:
    """Where the files lie: one CSV, the same packed, as Parquet, and cut into several."""

    directory: Path
    copies: int

    def forms(self) -> dict[str, list[Path]]:
        """Return the sources of each form of the upload."""
        return {
            "one CSV": [self.directory / "sales.csv"],
            "gzip": [self.directory / "sales.csv.gz"],
            "Parquet": [self.directory / "sales.parquet"],
            f"{self.copies} CSV files": [self._part(number) for number in range(self.copies)],
        }

    def write(self, sales: Path) -> None:
        """Write every form: the same sales again and again, each time by other people."""
        text = pl.read_csv(sales, infer_schema=False)
        parquet: pq.ParquetWriter | None = None
        with (self.directory / "sales.csv").open("wb") as whole:
            for number in range(self.copies):
                others = text.with_columns(pl.col("courriel").str.replace("@", f".{number}@", literal=True))
                others.write_csv(self._part(number))
                others.write_csv(whole, include_header=number == 0)
                table = others.to_arrow().cast(pa.schema([(name, pa.string()) for name in others.columns]))
                parquet = parquet or pq.ParquetWriter(self.directory / "sales.parquet", table.schema)
                parquet.write_table(table, row_group_size=ROW_GROUP)
        if parquet is not None:
            parquet.close()
        with (
            (self.directory / "sales.csv").open("rb") as plain,
            gzip.open(self.directory / "sales.csv.gz", "wb", compresslevel=FAST) as packed,
        ):
            shutil.copyfileobj(plain, packed, 1 << 20)

    def _part(self, number: int) -> Path:
        return self.directory / f"sales_{number:02}.csv"


def large_data(data: BenchData, rows: int, seed: int) -> LargeData:
    """Return `rows` rows, made of a member's; written if they are not there yet."""
    copies = rows // data.rows
    directory = ROOT / f"large-v{VERSION}-{data.rows}x{copies}-{seed}"
    if not directory.exists():
        staging = Path(tempfile.mkdtemp(prefix=".writing-", dir=ROOT))
        try:
            LargeData(staging, copies).write(data.csv(MEMBERS[0]))
            staging.rename(directory)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
    return LargeData(directory, copies)
