"""Gather what the rows of an upload break of the declaration, and say it: how many, of which kind, the first of each.

For the rows' owner, on the owner's machine (S13): the words may quote values.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from cleanroom.client.values import ReasonKind
from cleanroom.errors import Bilingual, InvalidUpload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


SHOWN: Final = 10
"""How many broken rows are spelled out, if they are of one kind; of each of several kinds, at least three."""

_OF_EACH: Final = 3
_LONGEST_VALUE: Final = 60

Kind = tuple[str, ReasonKind]
"""A column, and what is wrong in it; the column is empty where the whole row is."""


@dataclass(frozen=True, slots=True)
class RowFault:
    """One value that the declaration does not allow.

    Args:
        source: the file's name; None for a table in memory.
        row: the row, from 1, the header not counted.
        column: empty where the row as a whole is wrong.
        value: what stands there, shortened; None for nothing.
        hint: what may have been meant, or in what form the column is.
    """

    source: str | None
    row: int
    column: str
    value: str | None
    reason: ReasonKind
    hint: Bilingual | None = None

    def sentence(self) -> Bilingual:
        """Say it in both languages."""
        where = "" if self.source is None else f"{self.source}, "
        value = "—" if self.value is None else repr(self.value)
        column = Bilingual(f", colonne « {self.column} »", f", column {self.column!r}") if self.column else _NOTHING
        hint = _NOTHING if self.hint is None else Bilingual(f" ({self.hint.fr})", f" ({self.hint.en})")
        return Bilingual(
            f"{where}ligne {self.row}{column.fr}, {value} : {self.reason.message.fr}{hint.fr}",
            f"{where}row {self.row}{column.en}, {value}: {self.reason.message.en}{hint.en}",
        )


_NOTHING: Final = Bilingual("", "")


@dataclass(frozen=True, slots=True)
class FaultReport:
    """What is wrong in all sources together.

    Args:
        rows: how many rows have at least one fault.
        counts: how many values, by column and reason, most first.
        first: the first of each kind, in the order of the sources and rows.
    """

    rows: int
    counts: tuple[tuple[Kind, int], ...]
    first: tuple[RowFault, ...]

    def lines(self) -> tuple[list[str], list[str]]:
        """Say it in both languages, line by line: the kinds, then the first rows."""
        fr, en = [], []
        for (column, reason), count in self.counts:
            at = Bilingual(f"« {column} » : ", f"{column!r}: ") if column else _NOTHING
            fr.append(f"  {count} × {at.fr}{reason.message.fr}")
            en.append(f"  {count} × {at.en}{reason.message.en}")
        sentences = [fault.sentence() for fault in self.first]
        fr += ["premières lignes :", *(f"  {line.fr}" for line in sentences)]
        en += ["first rows:", *(f"  {line.en}" for line in sentences)]
        return fr, en


class RowsRefused(InvalidUpload):
    """Rows break the declaration; `first` are the first of each kind, `counts` all, by column and reason."""

    def __init__(self, report: FaultReport) -> None:
        self.report = report
        self.first = report.first
        self.counts = Counter(dict(report.counts))
        total = self.counts.total()
        values = Bilingual(
            _many(total, "valeur ne respecte", "valeurs ne respectent"), _many(total, "value breaks", "values break")
        )
        rows = Bilingual(_many(report.rows, "ligne", "lignes"), _many(report.rows, "row", "rows"))
        fr, en = report.lines()
        fr.append("pour laisser ces lignes chez vous et déposer les autres : --skip-bad-rows")
        en.append("to leave these rows at home and upload the others: --skip-bad-rows")
        super().__init__(
            Bilingual(
                "\n".join([f"{values.fr} pas la déclaration, dans {rows.fr} ; rien n'a été déposé", *fr]),
                "\n".join([f"{values.en} the declaration, in {rows.en}; nothing was uploaded", *en]),
            ),
            code="rows_refused",
        )


@dataclass(slots=True)
class Faults:
    """Faults as they are found; of each kind the first are kept."""

    rows: int = 0
    counts: Counter[Kind] = field(default_factory=Counter)
    _first: dict[Kind, list[RowFault]] = field(default_factory=dict)

    def wanted(self, kind: Kind) -> int:
        """Return how many more faults of a kind would be kept."""
        return SHOWN - len(self._first.get(kind, ()))

    def add(self, kind: Kind, count: int, first: Iterable[RowFault]) -> None:
        """Count faults of a kind; `first` are the first of them, at most `wanted`."""
        self.counts[kind] += count
        self._first.setdefault(kind, []).extend(first)

    def take(self, others: Faults, finished: Callable[[RowFault], RowFault]) -> None:
        """Add a source's faults to those before.

        Args:
            finished: completes a fault that is kept.
        """
        self.rows += others.rows
        for kind, count in others.counts.items():
            kept = others._first[kind][: max(0, self.wanted(kind))]
            self.add(kind, count, [finished(fault) for fault in kept])

    def report(self, sources: Sequence[str | None], columns: Sequence[str]) -> FaultReport:
        """Return what was found, in an order that does not depend on how it was found.

        Args:
            sources: the sources' names in their order.
            columns: the columns' names in theirs.
        """
        reasons = list(ReasonKind)

        def place(kind: Kind) -> tuple[int, int]:
            column, reason = kind
            return (columns.index(column) if column in columns else -1, reasons.index(reason))

        of_each = max(_OF_EACH, SHOWN // max(1, len(self._first)))
        order = {name: place for place, name in reversed(list(enumerate(sources)))}
        first = [fault for faults in self._first.values() for fault in faults[:of_each]]
        return FaultReport(
            self.rows,
            tuple(sorted(self.counts.items(), key=lambda found: (-found[1], place(found[0])))),
            tuple(
                sorted(
                    first,
                    key=lambda fault: (order.get(fault.source, 0), fault.row, place((fault.column, fault.reason))),
                )
            ),
        )


def shown(value: object) -> str | None:
    """Return a value as messages quote it."""
    if value is None:
        return None
    text = str(value)
    return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "…"


def _many(count: int, one: str, several: str) -> str:
    return f"{count} {one if count == 1 else several}"
