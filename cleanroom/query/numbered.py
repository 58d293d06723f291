"""Scan the tables of a relation in one slice, and number the persons met.

Within a slice every token is replaced by its rank among the tokens of all scans: an injective, order-keeping renaming,
so that equal units stay equal and different ones different, and small integers are compared instead of 16-byte tokens.
No token goes beyond this room (docs/adr/0004).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cleanroom.storage.scan import ScannedTable, scan
from cleanroom.storage.token_runs import merged_persons, places_among

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy.typing as npt

    from cleanroom.catalog import TableCatalog
    from cleanroom.identifiers import TableName
    from cleanroom.query.algebra import Scan
    from cleanroom.query.backend import Slice
    from cleanroom.storage.scan import SliceReader

    Int64s = npt.NDArray[np.int64]
    OpenTables = Mapping[TableName, tuple[TableCatalog, Sequence[SliceReader]]]
    """For each table its catalog and the readers of its uploads, in the order they were taken in."""


@dataclass(frozen=True, slots=True)
class NumberedTable:
    """A scanned table and the numbers of its persons, increasing; shape (persons,)."""

    scanned: ScannedTable
    ranks: Int64s

    def units(self) -> Int64s:
        """Return the number of each row's person."""
        return self.scanned.of_rows(self.ranks)


def numbered(tables: OpenTables, wanted: Iterable[Scan], part: Slice) -> dict[Scan, NumberedTable]:
    """Scan the tables of these in a slice, each once with the columns of all scans of it."""
    scans = list(dict.fromkeys(wanted))
    columns: dict[TableName, dict[str, None]] = {}
    for each in scans:
        columns.setdefault(each.table, {}).update(dict.fromkeys(each.columns))
    scanned = {}
    for table, names in columns.items():
        catalog, readers = tables[table]
        # Tokens are asked for where persons of several tables meet.
        scanned[table] = scan(
            catalog, readers, tuple(names), bits=part.bits, prefix=part.prefix, with_tokens=len(columns) > 1
        )
    ranks = _ranks(scanned)
    return {each: NumberedTable(scanned[each.table].with_columns(each.columns), ranks[each.table]) for each in scans}


def _counted_up(increasing: Int64s) -> Int64s:
    """Return as many numbers from 0 on: these themselves if that is what they are."""
    if len(increasing) and increasing[-1] == len(increasing) - 1:
        return increasing
    return np.arange(len(increasing), dtype=np.int64)


def _ranks(scanned: Mapping[TableName, ScannedTable]) -> dict[TableName, Int64s]:
    """Return the numbers of each table's persons among those of all."""
    if len(scanned) == 1:
        return {name: _counted_up(table.first) for name, table in scanned.items()}
    persons = {name: table.persons for name, table in scanned.items()}
    lists = list(persons.values())
    while len(lists) > 1:
        # In pairs, so that each token is copied log2(tables) times.
        lists = [
            merged_persons(*lists[at : at + 2]) if at + 1 < len(lists) else lists[at] for at in range(0, len(lists), 2)
        ]
    return {name: places_among(lists[0], mine) for name, mine in persons.items()}
