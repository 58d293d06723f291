"""Write a table as CSV, JSON or Parquet.

CSV is for spreadsheets, which run text that begins like a formula (CWE-1236): an apostrophe goes before it. JSON and
Parquet hold every text as it is. All of them are UTF-8.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from cleanroom.cli.text import visible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

_FORMULA: Final = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
_TERMINAL: Final = re.compile("[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff]")
"""What JSON lets stand in a string and a terminal obeys; JSON may write any character as an escape."""

Cell = str | float | int | Decimal | date | None


@dataclass(frozen=True, slots=True)
class Table:
    """Named columns, and rows of plain values; nothing is None."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Table:
        """Return a data frame's columns and rows."""
        columns = tuple(str(name) for name in frame.columns)
        values = [[_plain(value) for value in frame[name].tolist()] for name in frame.columns]
        return cls(columns, tuple(zip(*values, strict=True)))

    def at(self, column: str) -> int:
        """Return where a column stands."""
        return self.columns.index(column)


def as_csv(table: Table) -> bytes:
    """Return a table as CSV (RFC 4180), empty where there is nothing."""
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow([_harmless(name) for name in table.columns])
    writer.writerows([_harmless(cell) if isinstance(cell, str) else cell for cell in row] for row in table.rows)
    return written.getvalue().encode()


def as_json(document: Mapping[str, object] | Sequence[object]) -> str:
    """Return a document as one line of JSON that a terminal can show."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, default=_exact)
    return _TERMINAL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def as_parquet(table: Table, facts: Mapping[str, object]) -> bytes:
    """Return a table as Parquet; `facts` go into its metadata under the key `cleanroom`, as JSON."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = []
    for at in range(len(table.columns)):
        values = [row[at] for row in table.rows]
        # A column of values is one of numbers also where every cell was withheld.
        floats = all(value is None or isinstance(value, float) for value in values)
        columns.append(pa.array(values, pa.float64() if floats else None))
    arrow = pa.Table.from_arrays(columns, names=list(table.columns))
    written = io.BytesIO()
    pq.write_table(arrow.replace_schema_metadata({"cleanroom": as_json(facts)}), written)
    return written.getvalue()


def _plain(value: object) -> Cell:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, str | int | float | Decimal | date):
        return value
    return str(value)


def _harmless(text: str) -> str:
    shown = visible(text)
    return f"'{shown}" if shown.lstrip().startswith(_FORMULA) else shown


def _exact(value: object) -> object:
    match value:
        case date():
            return value.isoformat()
        case Decimal():
            # Whole numbers and what a double holds are numbers; anything finer would not arrive, so it goes as text.
            if value == int(value):
                return int(value)
            return float(value) if Decimal(repr(float(value))) == value else str(value)
    raise TypeError(type(value).__name__)
