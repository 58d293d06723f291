"""What the owner says of how its files are written, where nothing shall be found out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cleanroom.catalog import Date, Number
from cleanroom.client.number_forms import NumberForm
from cleanroom.client.written import DateForm, DecimalMark, WrittenForm, written_form
from cleanroom.errors import Bilingual, UsageError

if TYPE_CHECKING:
    import polars as pl

    from cleanroom.catalog import TableCatalog
    from cleanroom.client.csv_rows import Delimiter
    from cleanroom.client.csv_text import Encoding


@dataclass(frozen=True, slots=True)
class Reading:
    """How the sources are written; None is found out, for each source by itself.

    Args:
        encoding: of every CSV file.
        delimiter: of every CSV file.
        dates: the form of all columns of dates.
        dates_of: the form of single columns; goes before `dates`.
        decimals: what marks decimals in all columns of numbers.
        sheet: which sheet of every workbook; None for the first that holds anything.
    """

    encoding: Encoding | None = None
    delimiter: Delimiter | None = None
    dates: DateForm | None = None
    dates_of: tuple[tuple[str, DateForm], ...] = ()
    decimals: DecimalMark | None = None
    sheet: str | None = None

    def require_declared(self, catalog: TableCatalog) -> None:
        """Check that the columns spoken of are declared as dates.

        Raises:
            UsageError: one is not, or is spoken of twice.
        """
        declared = [column.name for column in catalog.columns if isinstance(column.type, Date)]
        names = [name for name, _ in self.dates_of]
        for name in names:
            if name not in declared:
                raise UsageError(
                    Bilingual(
                        f"« {name} » n'est pas une colonne de dates de {catalog.table} ; "
                        f"il y a : {', '.join(declared) or 'aucune'}",
                        f"{name!r} is no column of dates of {catalog.table}; there is: {', '.join(declared) or 'none'}",
                    ),
                    code="unknown_column",
                )
            if names.count(name) > 1:
                raise UsageError(
                    Bilingual(f"deux formes de date pour « {name} »", f"two forms of date for {name!r}"),
                    code="form_twice",
                )


class Forms:
    """The written forms of one source's columns, as its rows come: given, else the first value's that has one.

    Until a value has a form, no value could be read differently in another, so that reading in one pass says the same
    as looking for the form first.
    """

    def __init__(self, catalog: TableCatalog, reading: Reading) -> None:
        self._types = {column.name: column.type for column in catalog.columns}
        self.found: dict[str, WrittenForm] = {}
        given = dict(reading.dates_of)
        for name, kind in self._types.items():
            form: WrittenForm | None = None
            if isinstance(kind, Date):
                form = given.get(name, reading.dates)
            elif isinstance(kind, Number) and reading.decimals is not None:
                form = NumberForm(reading.decimals)
            if form is not None:
                self.found[name] = form

    def see(self, rows: pl.DataFrame) -> None:
        """Look at the next rows for what is not known yet."""
        for name, kind in self._types.items():
            form = written_form(rows[name], kind, self.found.get(name))
            if form is not None:
                self.found[name] = form
